//! How bytes, durations and sizes are written in `.drill` files, profiles and reports.

use std::fmt;
use std::time::Duration;

/// What is wrong with a literal, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct LiteralError {
    /// The byte offset in the text at which the mistake stands.
    pub(crate) offset: usize,
    /// What to write instead.
    pub(crate) message: String,
}

impl LiteralError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }
}

/// A piece of a quoted text: bytes as they are, or a `{name}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    Name { name: String, offset: usize },
}

const ESCAPES: &[(char, u8)] = &[
    ('n', b'\n'),
    ('r', b'\r'),
    ('t', b'\t'),
    ('0', 0),
    ('\\', b'\\'),
    ('"', b'"'),
    ('\'', b'\''),
    ('{', b'{'),
    ('}', b'}'),
];

/// Splits the inside of a quoted text into bytes and `{names}`.
///
/// # Errors
/// An unknown escape, or a brace that is not closed.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, LiteralError> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = text.char_indices();
    while let Some((offset, c)) = rest.next() {
        match c {
            '\\' => bytes.push(escape(offset, &mut rest)?),
            '{' => {
                if !bytes.is_empty() {
                    pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                }
                pieces.push(name(text, offset, &mut rest)?);
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !bytes.is_empty() {
        pieces.push(Piece::Bytes(bytes));
    }
    Ok(pieces)
}

fn escape(offset: usize, rest: &mut std::str::CharIndices<'_>) -> Result<u8, LiteralError> {
    let unfinished = || LiteralError::new(offset, "this escape is unfinished");
    let (_, c) = rest.next().ok_or_else(unfinished)?;
    if c == 'x' {
        let mut digit = || rest.next().and_then(|(_, c)| c.to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(LiteralError::new(
                offset,
                r"write two hexadecimal digits after \x",
            ));
        };
        return Ok((high * 16 + low) as u8);
    }
    let known = ESCAPES.iter().find(|(letter, _)| *letter == c);
    known.map(|(_, byte)| *byte).ok_or_else(|| {
        let known = r#"\n \r \t \0 \\ \" \' \{ \} \xNN"#;
        LiteralError::new(offset, format!("unknown escape \\{c}; there are {known}"))
    })
}

fn name(
    text: &str,
    offset: usize,
    rest: &mut std::str::CharIndices<'_>,
) -> Result<Piece, LiteralError> {
    let inside = &text[offset + 1..];
    let Some(end) = closing_brace(inside) else {
        return Err(LiteralError::new(offset, r"write \{ for a brace"));
    };
    rest.by_ref()
        .take_while(|(at, _)| *at < offset + 1 + end)
        .for_each(drop);
    Ok(Piece::Name {
        name: inside[..end].to_owned(),
        offset,
    })
}

/// Where the brace stands that closes the one before a text. A name has no braces in it, and a regular expression pairs of them.
fn closing_brace(inside: &str) -> Option<usize> {
    let (mut open, mut is_escaped) = (0, false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if std::mem::take(&mut is_escaped) => {}
            '\\' => is_escaped = true,
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Parses text without any `{name}`.
///
/// # Errors
/// As [`pieces`], and for a name.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, LiteralError> {
    let mut all = Vec::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
            Piece::Name { name, offset } => {
                let message = format!("{{{name}}} has no meaning here; write \\{{ for a brace");
                return Err(LiteralError::new(offset, message));
            }
        }
    }
    Ok(all)
}

/// Writes bytes so that [`bytes`] reads them back.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let known = ESCAPES
            .iter()
            .find(|(letter, b)| *b == byte && *letter != '\'');
        match known {
            Some((letter, _)) => text.extend(['\\', *letter]),
            None if byte.is_ascii_graphic() || byte == b' ' => text.push(char::from(byte)),
            None => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

/// Shows bytes to a person: quoted, escaped, and cut in the middle where they are many.
pub(crate) fn shown(bytes: &[u8]) -> String {
    Excerpt::of(bytes).to_string()
}

/// What a person is shown of bytes: all where they are few, or else the first and the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    head: Vec<u8>,
    tail: Vec<u8>,
    /// How many there are.
    bytes: usize,
}

impl Excerpt {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (head, tail) = match bytes.len() {
            0..=EXCERPT_MOST => (bytes, &[][..]),
            many => (&bytes[..EXCERPT_HEAD], &bytes[many - EXCERPT_TAIL..]),
        };
        Self {
            head: head.to_vec(),
            tail: tail.to_vec(),
            bytes: bytes.len(),
        }
    }

    /// The same of bytes of which only the first and the last are at hand.
    pub(crate) fn of_ends(head: &[u8], tail: &[u8], bytes: usize) -> Self {
        Self {
            head: head.to_vec(),
            tail: tail.to_vec(),
            bytes,
        }
    }

    /// Whether there are many, and a person can read few of them.
    fn is_binary(&self) -> bool {
        let is_text = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t');
        self.head.len() > 2 * FEW
            && self.head.iter().filter(is_text).count() * 3 < self.head.len() * 2
    }

    /// The first of the bytes, as far as they are shown.
    pub(crate) fn beginning(&self) -> &[u8] {
        &self.head
    }
}

/// So many bytes are shown whole.
pub(crate) const EXCERPT_MOST: usize = 96;

/// So many are shown of the beginning where there are more.
pub(crate) const EXCERPT_HEAD: usize = 64;

/// So many of the end.
pub(crate) const EXCERPT_TAIL: usize = 16;

/// So many bytes are shown of those that nobody can read.
const FEW: usize = 8;

/// Quoted, escaped, and cut in the middle where there are many, or behind the first few where they are no text.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_binary() {
            let first = escaped(&self.head[..FEW]);
            return write!(f, "\"{first}\" … ({} bytes)", self.bytes);
        }
        write!(f, "\"{}\"", escaped(&self.head))?;
        if self.tail.is_empty() {
            return Ok(());
        }
        let (tail, bytes) = (escaped(&self.tail), self.bytes);
        write!(f, " … \"{tail}\" ({bytes} bytes)")
    }
}

impl serde::Serialize for Excerpt {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

const DURATION_UNITS: &[(&str, u64)] = &[
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Parses `250ms`, `1.5s`, `2m`.
///
/// # Errors
/// A missing or unknown unit, or no number.
pub(crate) fn duration(text: &str) -> Result<Duration, LiteralError> {
    let message = || format!("write a duration with its unit, such as 250ms or 2s, not `{text}`");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit);
    let (Ok(number), Some((_, micros))) = (number.parse::<f64>(), unit) else {
        return Err(LiteralError::new(0, message()));
    };
    let micros = number * *micros as f64;
    if !(0.0..1e15).contains(&micros) {
        return Err(LiteralError::new(0, message()));
    }
    Ok(Duration::from_micros(micros.round() as u64))
}

/// The shortest time that a server may take for anything; the clocks that it is held against tick no finer.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The longest; whatever takes longer nobody waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Parses a time that a server has for something, as [`duration`] does.
///
/// # Errors
/// As there, and where it is no time at all, or longer than anybody waits.
pub(crate) fn wait(text: &str) -> Result<Duration, LiteralError> {
    let time = duration(text)?;
    match (SHORTEST_WAIT..=LONGEST_WAIT).contains(&time) {
        true => Ok(time),
        false => Err(LiteralError::new(
            0,
            format!("write 1ms or more, and 24h at most, not `{text}`"),
        )),
    }
}

/// A duration as a person writes it, in the largest unit that leaves a whole number.
pub(crate) struct Shown(pub(crate) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros() as u64;
        if micros == 0 {
            return f.write_str("0ms");
        }
        let whole = DURATION_UNITS
            .iter()
            .find(|(_, unit)| micros >= *unit && micros.is_multiple_of(*unit));
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", micros / unit),
            None => write!(f, "{micros}us"),
        }
    }
}

/// A measured duration, to a precision that a person can use.
pub(crate) struct Measured(pub(crate) Duration);

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match seconds {
            1.0.. => write!(f, "{seconds:.2} s"),
            _ => write!(f, "{:.1} ms", seconds * 1000.0),
        }
    }
}

const SIZE_UNITS: &[(&str, u64)] = &[("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses `64KiB`, `4MiB`, `100B`; the result is in bytes.
///
/// # Errors
/// A missing or unknown unit, or no number.
pub(crate) fn size(text: &str) -> Result<usize, LiteralError> {
    let message = || format!("write a size with its unit, such as 100B or 64KiB, not `{text}`");
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let bytes = unit.and_then(|(_, bytes)| number.parse::<u64>().ok()?.checked_mul(*bytes));
    let bytes = bytes.filter(|bytes| *bytes <= 1 << 32);
    bytes
        .map(|bytes| bytes as usize)
        .ok_or_else(|| LiteralError::new(0, message()))
}

/// A byte count as [`size`] reads it.
pub(crate) struct Size(pub(crate) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as u64;
        let whole = SIZE_UNITS
            .iter()
            .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
        let (name, unit) = whole.unwrap_or(&("B", 1));
        write!(f, "{}{name}", bytes / unit)
    }
}

pub(crate) fn name_in<T: Copy + PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    let row = table.iter().find(|(row, _)| *row == value);
    row.map_or("?", |(_, name)| name)
}

/// `2nd`.
pub(crate) fn nth(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_escape_is_one_byte() {
        assert_eq!(bytes(r"\xff\x00a\r\n\{").unwrap(), b"\xff\x00a\r\n{");
    }

    #[test]
    fn unknown_escape_is_pointed_at() {
        assert_eq!(bytes(r"ab\q").unwrap_err().offset, 2);
    }

    #[test]
    fn every_byte_survives_writing_and_reading() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&escaped(&all)).unwrap(), all);
    }

    #[test]
    fn names_are_kept_apart_from_bytes() {
        let found = pieces("a{any}b").unwrap();
        let name = Piece::Name {
            name: "any".into(),
            offset: 1,
        };
        assert_eq!(
            found,
            [
                Piece::Bytes(b"a".to_vec()),
                name,
                Piece::Bytes(b"b".to_vec())
            ]
        );
    }

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(Shown(Duration::from_millis(1500)).to_string(), "1500ms");
        assert_eq!(Shown(Duration::ZERO).to_string(), "0ms");
        assert!(duration("5").is_err());
    }

    #[test]
    fn sizes_carry_their_unit() {
        assert_eq!(size("64KiB").unwrap(), 65_536);
        assert_eq!(Size(65_536).to_string(), "64KiB");
        assert_eq!(Size(0).to_string(), "0B");
        assert!(size("64").is_err());
    }

    #[test]
    fn ordinal_number_ends_as_it_is_spoken() {
        let numbers = [1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 23, 101, 111, 112, 113];
        let words: Vec<_> = numbers.into_iter().map(nth).collect();
        assert_eq!(
            words.join(" "),
            "1st 2nd 3rd 4th 10th 11th 12th 13th 21st 22nd 23rd 101st 111th 112th 113th"
        );
    }
}
