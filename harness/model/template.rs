//! Texts with holes, as `{any}` and `{line}` make them.

use super::data::{Excerpt, Match, compare, find};
use super::literal::{self, LiteralError, Piece};
use super::literal::{EXCERPT_HEAD, EXCERPT_MOST, EXCERPT_TAIL};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A text with holes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Template {
    /// What it begins with.
    pub first: Vec<u8>,
    /// Each hole, with the fixed part behind it.
    pub rest: Vec<(Hole, Vec<u8>)>,
}

/// What may stand in a place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hole {
    /// Any bytes.
    Any,
    /// Any bytes but a newline.
    Line,
}

impl Hole {
    /// Every kind of hole.
    pub(crate) const ALL: &[Self] = &[Self::Any, Self::Line];

    fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Line => "line",
        }
    }

    /// How much it takes of bytes before `part` stands behind it, or else where it takes what it may not.
    fn until(self, bytes: &[u8], part: &[u8]) -> Result<Option<usize>, usize> {
        let found = find(bytes, part);
        let newline = match self {
            Self::Any => None,
            Self::Line => bytes.iter().position(|byte| *byte == b'\n'),
        };
        match newline {
            Some(newline) if found.is_none_or(|found| found > newline) => {
                // The part may have begun, with the newline or before it, and not all of it have come.
                let has_begun = (0..=newline).any(|at| part.starts_with(&bytes[at..]));
                if has_begun { Ok(None) } else { Err(newline) }
            }
            _ => Ok(found),
        }
    }
}

/// As files say it: `{any}`.
impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.name())
    }
}

/// What a hole took of the bytes that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Took {
    /// The hole.
    pub hole: Hole,
    /// What stood in its place, as far as it had come.
    pub bytes: Excerpt,
}

impl Template {
    /// Parses a text that may have holes.
    pub(crate) fn parse(text: &str) -> Result<Self, LiteralError> {
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for piece in literal::pieces(text)? {
            match piece {
                Piece::Bytes(bytes) => {
                    let last = rest.last_mut().map(|(_, part)| part);
                    last.unwrap_or(&mut first).extend_from_slice(&bytes);
                }
                Piece::Name { name, offset } => rest.push((hole(&name, offset)?, Vec::new())),
            }
        }
        Ok(Self { first, rest })
    }

    /// The same of a text whose end nothing but its last byte tells, as in a stream.
    pub(crate) fn parse_with_an_end(text: &str) -> Result<Self, LiteralError> {
        let template = Self::parse(text)?;
        let names = literal::pieces(text)?.into_iter();
        let offsets = names.filter_map(|piece| match piece {
            Piece::Name { offset, .. } => Some(offset),
            Piece::Bytes(_) => None,
        });
        let mut holes = template.rest.iter().zip(offsets);
        match holes.find(|((_, part), _)| part.is_empty()) {
            None => Ok(template),
            Some(((hole, _), offset)) => Err(LiteralError {
                offset,
                message: format!(
                    "nothing tells where {hole} ends; write what stands behind it, such as {hole}\\n"
                ),
            }),
        }
    }

    /// Holds `bytes` against the template.
    pub(crate) fn matches(&self, bytes: &[u8]) -> Match {
        self.walk(bytes).0
    }

    /// What each hole takes of `bytes`, as far as they go.
    pub(crate) fn took(&self, bytes: &[u8]) -> Vec<Took> {
        let (_, took) = self.walk(bytes);
        let took = took.into_iter().zip(&self.rest);
        took.map(|(range, (hole, _))| Took {
            hole: *hole,
            bytes: Excerpt::of(&bytes[range]),
        })
        .collect()
    }

    /// How far `bytes` go, and what each hole takes that they come to. A hole takes as little as it can.
    fn walk(&self, bytes: &[u8]) -> (Match, Vec<Range<usize>>) {
        let mut took = Vec::new();
        match compare(&self.first, bytes) {
            Match::Full(_) => {}
            other => return (other, took),
        }
        let mut at = self.first.len();
        for (hole, part) in &self.rest {
            match hole.until(&bytes[at..], part) {
                Ok(Some(found)) => {
                    took.push(at..at + found);
                    at += found + part.len();
                }
                Ok(None) => {
                    took.push(at..bytes.len());
                    return (Match::Partial, took);
                }
                Err(wrong) => {
                    took.push(at..at + wrong);
                    return (Match::Wrong(at + wrong), took);
                }
            }
        }
        (Match::Full(at), took)
    }

    /// Holds a message that is known to its end against the template: the last hole takes all that the last part leaves.
    pub(crate) fn matches_whole(&self, message: &[u8]) -> Match {
        let Some(((hole, last), before)) = self.rest.split_last() else {
            return self.matches(message);
        };
        let begins = Self {
            first: self.first.clone(),
            rest: before.to_vec(),
        };
        let at = match begins.matches(message) {
            Match::Full(at) => at,
            other => return other,
        };
        let Some(taken) = message[at..].strip_suffix(last.as_slice()) else {
            return Match::Partial;
        };
        match hole {
            Hole::Line if taken.contains(&b'\n') => Match::Partial,
            Hole::Line | Hole::Any => Match::Full(message.len()),
        }
    }

    /// The text as files have it, without its quotes.
    pub(crate) fn text(&self) -> String {
        let holes = self.rest.iter();
        let rest = holes.map(|(hole, part)| format!("{hole}{}", literal::escaped(part)));
        [literal::escaped(&self.first)]
            .into_iter()
            .chain(rest)
            .collect()
    }

    /// The same in quotes, cut in the middle where it is long.
    pub(crate) fn excerpt(&self) -> String {
        let bytes = |part: &[u8]| -> Vec<String> {
            part.iter().map(|byte| literal::escaped(&[*byte])).collect()
        };
        let mut shown = bytes(&self.first);
        for (hole, part) in &self.rest {
            shown.push(hole.to_string());
            shown.extend(bytes(part));
        }
        match shown.len() {
            0..=EXCERPT_MOST => format!("\"{}\"", shown.concat()),
            many => {
                let (head, tail) = (&shown[..EXCERPT_HEAD], &shown[many - EXCERPT_TAIL..]);
                format!("\"{}\" … \"{}\"", head.concat(), tail.concat())
            }
        }
    }

    /// The template without holes, if it has none.
    pub(crate) fn as_literal(&self) -> Option<&[u8]> {
        self.rest.is_empty().then_some(self.first.as_slice())
    }
}

/// More than this is no remark that a server makes again and again.
const REMARK_BYTES: usize = 1 << 10;

/// What all of these say, but for the numbers in it, where they say the same.
pub(crate) fn common<'a>(
    told: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
) -> Option<Template> {
    let parts = |words: &[u8]| -> Vec<Vec<u8>> {
        let parts = words.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
        let blank = |part: &[u8]| match part[0].is_ascii_digit() {
            true => Vec::new(),
            false => part.to_vec(),
        };
        parts.map(blank).collect()
    };
    let mut told = told.into_iter();
    let first = told.clone().next()?;
    if told.clone().any(|words| words.len() > REMARK_BYTES) {
        return None;
    }
    let text = match told.clone().all(|words| words == first) {
        true => literal::escaped(first),
        false if told.all(|words| parts(words) == parts(first)) => {
            let part = |part: Vec<u8>| match part.is_empty() {
                true => "{any}".to_owned(),
                false => literal::escaped(&part),
            };
            parts(first).into_iter().map(part).collect()
        }
        false => return None,
    };
    Template::parse_with_an_end(&text).ok()
}

fn hole(name: &str, offset: usize) -> Result<Hole, LiteralError> {
    let known = Hole::ALL.iter().find(|hole| hole.name() == name);
    known.copied().ok_or_else(|| LiteralError {
        offset,
        message: format!(
            "{{{name}}} has no meaning here; {{any}} stands for any bytes, {{line}} for any without a newline, \\{{ for a \
             brace"
        ),
    })
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn hole_takes_as_little_as_it_can() {
        let template = template(r"HTTP/1.1 200{any}\r\n\r\nok");
        let two = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nok";
        assert_eq!(template.matches(two), Match::Full(27));
        assert_eq!(template.matches(&two[..20]), Match::Partial);
        assert_eq!(template.matches(b"HTTP/1.0"), Match::Wrong(7));
    }

    #[test]
    fn long_template_is_cut_where_it_is_shown() {
        let long = template(&format!("{}{{line}}\\n{}", "a".repeat(60), "b".repeat(80)));
        let (head, tail) = ("a".repeat(60), "b".repeat(16));
        assert_eq!(
            long.excerpt(),
            format!("\"{head}{{line}}\\nbb\" … \"{tail}\"")
        );
        let short = template(r"ok {line}\r\n");
        assert_eq!(short.excerpt(), short.to_string());
    }

    #[test]
    fn line_takes_no_newline() {
        let template = template(r"ok {line}\r\nbye");
        assert_eq!(template.matches(b"ok 17\r\nbye"), Match::Full(10));
        assert_eq!(template.matches(b"ok 17\r"), Match::Partial);
        assert_eq!(template.matches(b"ok 17"), Match::Partial);
        assert_eq!(template.matches(b"ok 17\nand more\r\nbye"), Match::Wrong(5));
        let at_once = Template::parse(r"ok {line}\nbye").unwrap();
        assert_eq!(at_once.matches(b"ok 17\n"), Match::Partial);
        assert_eq!(at_once.matches(b"ok 17\nnow"), Match::Wrong(5));
        assert_eq!(at_once.matches_whole(b"ok 17\nbye"), Match::Full(9));
        assert_ne!(at_once.matches_whole(b"ok 1\n7\nbye"), Match::Full(10));
    }

    #[test]
    fn what_each_hole_took_is_told_as_far_as_it_came() {
        let template = template(r"{line} {any}\r\n{any}.");
        let took = |bytes: &[u8]| -> Vec<String> {
            let took = template.took(bytes).into_iter();
            took.map(|took| format!("{} {}", took.hole, took.bytes))
                .collect()
        };
        assert_eq!(
            took(b"200 fine\r\nand"),
            ["{line} \"200\"", "{any} \"fine\"", "{any} \"and\""]
        );
        assert_eq!(took(b"200 fi"), ["{line} \"200\"", "{any} \"fi\""]);
    }

    #[test]
    fn what_all_say_has_holes_for_numbers() {
        let of = |told: &[&str]| common(told.iter().map(|words| words.as_bytes()));
        assert_eq!(
            of(&["no {room}\n", "no {room}\n"]),
            Some(template(r"no \{room\}\n"))
        );
        assert_eq!(
            of(&["in 9 s\n", "in 10 s\n"]),
            Some(template(r"in {any} s\n"))
        );
        assert_eq!(of(&["in 9 s\n", "in 10 h\n"]), None);
        assert_eq!(of(&["at 9", "at 10"]), None);
    }

    #[test]
    fn hole_that_cannot_end_is_pointed_at() {
        let wrong = |text| Template::parse_with_an_end(text).map_err(|error| error.offset);
        assert_eq!(wrong("WELCOME {any}"), Err(8));
        assert_eq!(wrong("a{line}"), Err(1));
        assert_eq!(wrong("a{any}{any}b"), Err(1));
        assert!(wrong("a{any}b{line}c").is_ok());
    }
}
