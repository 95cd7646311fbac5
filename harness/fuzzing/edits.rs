//! Mutated inputs: a seed with a few edits, of the kinds that people and hostile programs make.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// An input has no more bytes than this: what takes too long with so many shows with them.
const MOST_BYTES: usize = 64 << 10;

/// What readers stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x1b[2J",
    b"\r",
    b"\r\n",
    b"\n",
    b"\n\n",
    b"\t",
    b" ",
    b"\"",
    b"\"\"\"",
    b"'",
    b"'''",
    b"\\",
    b"\\x",
    b"{",
    b"}",
    b"{any}",
    b"{line}",
    b"[",
    b"]",
    b"[[",
    b":",
    b"#",
    b"*",
    b"=",
    b",",
    b"-",
    b"-1",
    b"0",
    b"1e999",
    b"()",
    b")",
    b"<b>",
    b"]]>",
    b"&",
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{c}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{1f980}".as_bytes(),
    "é".as_bytes(),
    b"\xed\xa0\x80",
];

/// Numbers at which something ends.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "2147483648",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "0.5",
    "1e9",
    "00",
];

/// An edit of an input.
#[derive(Clone, Debug)]
enum Edit {
    /// Bytes are taken out.
    Remove(Index, usize),
    /// Something is put in.
    Insert(Index, &'static [u8]),
    /// Bytes are put in.
    Bytes(Index, Vec<u8>),
    /// A byte becomes another.
    Byte(Index, u8),
    /// Bytes follow each other several times.
    Repeat(Index, usize, usize),
    /// A number becomes another.
    Number(Index, &'static str),
    /// A line of a seed is put in before a line.
    Line(Index, Index, Index),
    /// A line follows itself several times.
    RepeatLine(Index, usize),
    /// A line is taken out.
    RemoveLine(Index),
    /// A word becomes one of a seed.
    Word(Index, Index, Index),
    /// All behind a byte is that of a seed.
    Splice(Index, Index, Index),
}

/// A seed, and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    seed: Index,
    edits: Vec<Edit>,
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1..16usize).prop_map(|(at, bytes)| Edit::Remove(at, bytes)),
        (at(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Bytes(at, bytes)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        (at(), 1..40usize, 1..9usize).prop_map(|(at, bytes, by)| Edit::Repeat(at, bytes, 1 << by)),
        (at(), select(NUMBERS)).prop_map(|(at, number)| Edit::Number(at, number)),
        (at(), at(), at()).prop_map(|(at, seed, line)| Edit::Line(at, seed, line)),
        (at(), 1..12usize).prop_map(|(at, by)| Edit::RepeatLine(at, 1 << by)),
        at().prop_map(Edit::RemoveLine),
        (at(), at(), at()).prop_map(|(at, seed, word)| Edit::Word(at, seed, word)),
        (at(), at(), at()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
    ]
}

/// Any mutation; a few of them change nothing, so that each seed is tried as it is.
pub(super) fn mutations() -> impl Strategy<Value = Mutation> {
    (any::<Index>(), vec(edit(), 0..4)).prop_map(|(seed, edits)| Mutation { seed, edits })
}

impl Mutation {
    /// The input that becomes of one of these.
    pub(super) fn of(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let begun = self.seed.get(seeds).clone();
        let edited = self
            .edits
            .iter()
            .fold(begun, |input, edit| edit.of(input, seeds));
        edited.into_iter().take(MOST_BYTES).collect()
    }
}

impl Edit {
    fn of(&self, mut input: Vec<u8>, seeds: &[Vec<u8>]) -> Vec<u8> {
        let place = |at: &Index| at.index(input.len() + 1);
        let (range, put) = match self {
            Self::Remove(at, bytes) => (place(at)..place(at) + bytes, Vec::new()),
            Self::Insert(at, piece) => (place(at)..place(at), piece.to_vec()),
            Self::Bytes(at, bytes) => (place(at)..place(at), bytes.clone()),
            Self::Byte(at, byte) => (place(at)..place(at) + 1, vec![*byte]),
            Self::Repeat(at, bytes, times) => {
                let range = place(at)..(place(at) + bytes).min(input.len());
                (range.clone(), input[range].repeat(*times))
            }
            Self::Number(at, number) => match one(&parts(&input, is_of_number), at) {
                Some(range) => (range, number.as_bytes().to_vec()),
                None => return input,
            },
            Self::Line(at, seed, line) => {
                let mut put = seed_part(seeds, seed, is_of_line, line);
                put.push(b'\n');
                let start = one(&parts(&input, is_of_line), at).map_or(0, |line| line.start);
                (start..start, put)
            }
            Self::RepeatLine(at, times) => match one(&parts(&input, is_of_line), at) {
                Some(line) => {
                    let whole = [&input[line.clone()], b"\n"].concat();
                    (line, whole.repeat(*times))
                }
                None => return input,
            },
            Self::RemoveLine(at) => match one(&parts(&input, is_of_line), at) {
                Some(line) => (line.start..line.end + 1, Vec::new()),
                None => return input,
            },
            Self::Word(at, seed, word) => match one(&parts(&input, is_of_word), at) {
                Some(range) => (range, seed_part(seeds, seed, is_of_word, word)),
                None => return input,
            },
            Self::Splice(at, seed, from) => {
                let seed = seed.get(seeds);
                (
                    place(at)..input.len(),
                    seed[from.index(seed.len() + 1)..].to_vec(),
                )
            }
        };
        let end = range.end.min(input.len());
        input.splice(range.start..end, put);
        input.truncate(MOST_BYTES);
        input
    }
}

fn is_of_number(byte: &u8) -> bool {
    byte.is_ascii_digit()
}

fn is_of_line(byte: &u8) -> bool {
    *byte != b'\n'
}

fn is_of_word(byte: &u8) -> bool {
    !byte.is_ascii_whitespace()
}

/// Where the longest parts are of which each byte is of a kind.
fn parts(bytes: &[u8], is_of_it: fn(&u8) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut found = Vec::new();
    for part in bytes.chunk_by(|one, other| is_of_it(one) == is_of_it(other)) {
        if part.first().is_some_and(is_of_it) {
            found.push(at..at + part.len());
        }
        at += part.len();
    }
    found
}

/// One of them, where there is any.
fn one<T: Clone>(of: &[T], at: &Index) -> Option<T> {
    (!of.is_empty()).then(|| at.get(of).clone())
}

fn seed_part(seeds: &[Vec<u8>], seed: &Index, is_of_it: fn(&u8) -> bool, part: &Index) -> Vec<u8> {
    let seed = seed.get(seeds);
    let range = one(&parts(seed, is_of_it), part).unwrap_or(0..0);
    seed[range].to_vec()
}
