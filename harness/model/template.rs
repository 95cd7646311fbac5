//! Texts with holes, as `{any}` and `{line}` make them.

use super::data::{Excerpt, Match, compare, find};
use super::literal::{self, LiteralError, Piece};
use super::literal::{EXCERPT_HEAD, EXCERPT_MOST, EXCERPT_TAIL};
use super::pattern::{Pattern, Reach};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Template {
    /// What it begins with.
    pub first: Vec<u8>,
    /// Each hole, with the fixed part behind it.
    pub rest: Vec<(Hole, Vec<u8>)>,
}

/// What may stand in a place of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hole {
    /// Any bytes.
    Any,
    /// Any bytes but a newline.
    Line,
    /// What a regular expression takes, which is captured where it has a name.
    Pattern {
        /// The name of the variable that it becomes.
        name: Option<String>,
        /// What it may be.
        pattern: Pattern,
    },
    /// What was captured under this name.
    Variable(String),
}

/// The names that a hole has a meaning by, and a variable not.
const RESERVED: [&str; 2] = ["any", "line"];

impl Hole {
    /// The hole that is written so between braces.
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "any" => return Ok(Self::Any),
            "line" => return Ok(Self::Line),
            _ => {}
        }
        let Some((name, expression)) = text.split_once(':') else {
            return match is_variable(text) {
                true => Ok(Self::Variable(text.to_owned())),
                false => Err(no_hole(text)),
            };
        };
        if !name.is_empty() && !is_variable(name) {
            return Err(format!(
                "`{name}` cannot be the name of a variable; write one such as `id`: letters, digits, `-` and `_`"
            ));
        }
        let pattern = Pattern::parse(expression)
            .map_err(|error| format!("this is no regular expression: {error}"))?;
        Ok(Self::Pattern {
            name: (!name.is_empty()).then(|| name.to_owned()),
            pattern,
        })
    }

    /// How much it takes of bytes before `part` stands behind it.
    fn until(&self, bytes: &[u8], part: &[u8]) -> Reach {
        let newline = match self {
            Self::Any | Self::Variable(_) => None,
            Self::Line => bytes.iter().position(|byte| *byte == b'\n'),
            Self::Pattern { pattern, .. } => return pattern.until(bytes, part),
        };
        let found = find(bytes, part);
        match newline {
            Some(newline) if found.is_none_or(|found| found > newline) => {
                // The part may have begun, with the newline or before it, and not all of it have come.
                let has_begun = (0..=newline).any(|at| part.starts_with(&bytes[at..]));
                if has_begun {
                    Reach::NotYet
                } else {
                    Reach::Breaks(newline)
                }
            }
            _ => found.map_or(Reach::NotYet, Reach::Ends),
        }
    }

    /// Whether it may take these bytes, all of them.
    fn may_be(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Any | Self::Variable(_) => true,
            Self::Line => !bytes.contains(&b'\n'),
            Self::Pattern { pattern, .. } => pattern.is_all_of(bytes),
        }
    }

    /// Whether its end is told by what it takes.
    fn ends_by_itself(&self) -> bool {
        matches!(self, Self::Pattern { .. })
    }
}

/// Whether this can be the name of a variable.
pub(crate) fn is_variable(text: &str) -> bool {
    is_name(text) && !RESERVED.contains(&text)
}

/// Whether this can be the name of something in a scenario.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ['-', '_'].contains(&c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(fits)
}

/// As files say it: `{any}`.
impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("{any}"),
            Self::Line => f.write_str("{line}"),
            Self::Pattern { name, pattern } => {
                write!(f, "{{{}:{pattern}}}", name.as_deref().unwrap_or_default())
            }
            Self::Variable(name) => write!(f, "{{{name}}}"),
        }
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
    /// Parses a text that may have holes, but no variables: it stands alone.
    pub(crate) fn parse(text: &str) -> Result<Self, LiteralError> {
        let is_of_scenarios = |hole: &Hole| match hole {
            Hole::Variable(_) | Hole::Pattern { name: Some(_), .. } => true,
            Hole::Any | Hole::Line | Hole::Pattern { name: None, .. } => false,
        };
        Self::of(text, &|hole, inside| match is_of_scenarios(hole) {
            true => Err(no_hole(inside)),
            false => Ok(()),
        })
    }

    /// Parses a text that may have holes, capture what they take, and have variables.
    pub(crate) fn parse_with_variables(text: &str) -> Result<Self, LiteralError> {
        Self::of(text, &|_, _| Ok(()))
    }

    /// Parses a text with holes that are allowed.
    fn of(
        text: &str,
        allowed: &dyn Fn(&Hole, &str) -> Result<(), String>,
    ) -> Result<Self, LiteralError> {
        let mut template = Self::default();
        for piece in literal::pieces(text)? {
            match piece {
                Piece::Bytes(bytes) => template.append(&bytes),
                Piece::Name { name, offset } => {
                    let wrong = |message| LiteralError { offset, message };
                    let hole = Hole::parse(&name).map_err(wrong)?;
                    allowed(&hole, &name).map_err(wrong)?;
                    template.ends_before(&hole).map_err(wrong)?;
                    template.rest.push((hole, Vec::new()));
                }
            }
        }
        Ok(template)
    }

    /// Makes sure that what the last hole takes is told from what the next one does.
    fn ends_before(&self, next: &Hole) -> Result<(), String> {
        match self.rest.last() {
            Some((hole @ Hole::Pattern { .. }, part)) if part.is_empty() => Err(format!(
                "nothing tells where {hole} ends and {next} begins; write something between them, or one expression"
            )),
            _ => Ok(()),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let last = self.rest.last_mut().map(|(_, part)| part);
        last.unwrap_or(&mut self.first).extend_from_slice(bytes);
    }

    /// The variables that it uses, in the order of the text.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.rest.iter().filter_map(|(hole, _)| match hole {
            Hole::Variable(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it is known only when bytes have come which bytes of them it takes, or has variables beside other holes.
    pub(crate) fn is_to_be_tried(&self) -> bool {
        let holes = || self.rest.iter().map(|(hole, _)| hole);
        let is_pattern = |hole: &Hole| matches!(hole, Hole::Pattern { .. });
        let is_variable = |hole: &Hole| matches!(hole, Hole::Variable(_));
        let mixes = holes().any(is_variable) && !holes().all(is_variable);
        mixes || holes().any(is_pattern)
    }

    /// Whether nothing but what comes next tells where it ends.
    pub(crate) fn is_open(&self) -> bool {
        let last = self.rest.last();
        last.is_some_and(|(hole, part)| part.is_empty() && hole.ends_by_itself())
    }

    /// The variables that it captures.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &str> {
        self.rest.iter().filter_map(|(hole, _)| match hole {
            Hole::Pattern { name, .. } => name.as_deref(),
            _ => None,
        })
    }

    /// The same with the bytes of its variables, where they have any.
    pub(crate) fn filled(&self, value: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let first = self.first.clone();
        let rest = Vec::new();
        let mut filled = Self { first, rest };
        for (hole, part) in &self.rest {
            match hole {
                Hole::Variable(name) => filled.append(&value(name).unwrap_or_default()),
                hole => filled.rest.push((hole.clone(), Vec::new())),
            }
            filled.append(part);
        }
        filled
    }

    /// The same of a text whose end nothing but its last byte tells, as in a stream.
    pub(crate) fn parse_with_an_end(text: &str) -> Result<Self, LiteralError> {
        Self::parse(text)?.with_an_end(text)
    }

    /// The same of a text that may capture what its holes take, and have variables.
    pub(crate) fn parse_with_variables_and_an_end(text: &str) -> Result<Self, LiteralError> {
        Self::parse_with_variables(text)?.with_an_end(text)
    }

    /// Itself, which was parsed from this text, where its end is told.
    fn with_an_end(self, text: &str) -> Result<Self, LiteralError> {
        let names = literal::pieces(text)?.into_iter();
        let offsets = names.filter_map(|piece| match piece {
            Piece::Name { offset, .. } => Some(offset),
            Piece::Bytes(_) => None,
        });
        let mut holes = self.rest.iter().zip(offsets);
        let has_no_end = |(hole, part): &(Hole, Vec<u8>)| part.is_empty() && !hole.ends_by_itself();
        match holes.find(|(hole, _)| has_no_end(hole)) {
            None => Ok(self),
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
        self.walk(bytes, false).0
    }

    /// The same of bytes behind which nothing comes.
    pub(crate) fn matches_last(&self, bytes: &[u8]) -> Match {
        self.walk(bytes, true).0
    }

    /// What it captures of bytes that are a match, behind which nothing comes.
    pub(crate) fn captured(&self, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.named(bytes, self.walk(bytes, true).1)
    }

    /// The same of a message that is known to its end.
    pub(crate) fn captured_of_whole(&self, message: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.named(message, self.walk_whole(message).1)
    }

    fn named(&self, bytes: &[u8], took: Vec<Range<usize>>) -> Vec<(String, Vec<u8>)> {
        let took = took.into_iter().zip(&self.rest);
        let named = took.filter_map(|(range, (hole, _))| match hole {
            Hole::Pattern { name, .. } => Some((name.clone()?, bytes[range].to_vec())),
            _ => None,
        });
        named.collect()
    }

    /// What each hole takes of `bytes`, as far as they go.
    pub(crate) fn took(&self, bytes: &[u8]) -> Vec<Took> {
        let (_, took) = self.walk(bytes, true);
        let took = took.into_iter().zip(&self.rest);
        took.map(|(range, (hole, _))| Took {
            hole: hole.clone(),
            bytes: Excerpt::of(&bytes[range]),
        })
        .collect()
    }

    /// How far `bytes` go, and what each hole takes that they come to. A hole takes as little as it can, but for a pattern behind
    /// which nothing stands: it takes all that it may, which is known by what it does not take, or by the `end` of all.
    fn walk(&self, bytes: &[u8], end: bool) -> (Match, Vec<Range<usize>>) {
        let mut took = Vec::new();
        match compare(&self.first, bytes) {
            Match::Full(_) => {}
            other => return (other, took),
        }
        let mut at = self.first.len();
        for (hole, part) in &self.rest {
            match hole.until(&bytes[at..], part) {
                Reach::Ends(found) => {
                    took.push(at..at + found);
                    at += found + part.len();
                }
                Reach::MayGoOn(found) if end => {
                    took.push(at..at + found);
                    at += found;
                }
                Reach::MayGoOn(_) | Reach::NotYet => {
                    took.push(at..bytes.len());
                    return (Match::Partial, took);
                }
                Reach::Breaks(wrong) => {
                    took.push(at..at + wrong);
                    return (Match::Wrong(at + wrong), took);
                }
            }
        }
        (Match::Full(at), took)
    }

    /// Holds a message that is known to its end against the template: the last hole takes all that the last part leaves.
    pub(crate) fn matches_whole(&self, message: &[u8]) -> Match {
        self.walk_whole(message).0
    }

    fn walk_whole(&self, message: &[u8]) -> (Match, Vec<Range<usize>>) {
        let Some(((hole, last), before)) = self.rest.split_last() else {
            return self.walk(message, true);
        };
        let begins = Self {
            first: self.first.clone(),
            rest: before.to_vec(),
        };
        let (begun, mut took) = begins.walk(message, true);
        let Match::Full(at) = begun else {
            return (begun, took);
        };
        match message[at..].strip_suffix(last.as_slice()) {
            Some(taken) if hole.may_be(taken) => {
                took.push(at..at + taken.len());
                (Match::Full(message.len()), took)
            }
            _ => (Match::Partial, took),
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

/// What to write where a hole has no meaning.
fn no_hole(inside: &str) -> String {
    format!(
        "{{{inside}}} has no meaning here; {{any}} stands for any bytes, {{line}} for any without a newline, {{:REGEX}} for \
         what a regular expression takes, \\{{ for a brace"
    )
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
