//! Bytes to send or to expect, written out or generated.

pub(crate) use super::literal::Excerpt;

use super::literal::{self, EXCERPT_MOST, Size};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// So many bytes are few.
const FEW: usize = 256;

/// Bytes to send or to expect, written out or generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    /// Where the bytes come from.
    pub source: Source,
    /// How often they follow each other, at least once.
    pub times: u32,
    /// ASCII letters are turned into capitals.
    pub capitals: bool,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// Written in the scenario.
    Literal(Vec<u8>),
    /// The same with variables, whose bytes an earlier expectation has captured.
    Parts(Vec<Part>),
    /// Written in the scenario in another way than as a text: by a name, from a file, in hexadecimal digits.
    Written {
        /// The words of the scenario.
        words: String,
        /// What they stand for.
        data: Box<Data>,
    },
    /// Every byte value, from a seeded generator: any loss, repetition or exchange shows.
    Pattern {
        /// How many.
        bytes: usize,
        /// The generator's seed; each client of a crowd adds its own number.
        seed: u64,
    },
    /// The same with lower-case letters only, and a newline at the end where `line` is set.
    Text {
        /// How many, the newline included.
        bytes: usize,
        /// The generator's seed; each client of a crowd adds its own number.
        seed: u64,
        /// Whether the last byte is a newline.
        line: bool,
    },
    /// The same with a newline as the last byte of every line, no two of which are alike.
    Lines {
        /// How many, the newlines included.
        bytes: usize,
        /// How many each line has; the last one may be shorter.
        each: usize,
        /// The generator's seed; each client of a crowd adds its own number.
        seed: u64,
    },
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// As they are.
    Bytes(Vec<u8>),
    /// What was captured under this name.
    Variable(String),
}

impl Data {
    /// The given bytes.
    pub(crate) fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        Source::Literal(bytes.into()).into()
    }

    /// The same, `times` in a row.
    #[must_use]
    pub(crate) fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// How many bytes there are.
    pub(crate) fn length(&self) -> usize {
        self.once() * self.times as usize
    }

    /// The same, where that is a number at all.
    pub(crate) fn checked_length(&self) -> Option<usize> {
        self.once().checked_mul(self.times as usize)
    }

    /// Whether what says how it is made is short.
    pub(crate) fn is_told_in_few(&self) -> bool {
        match &self.source {
            Source::Literal(bytes) => bytes.len() <= FEW,
            Source::Written { data, .. } => data.is_told_in_few(),
            Source::Parts(_) => true,
            Source::Pattern { .. } | Source::Text { .. } | Source::Lines { .. } => true,
        }
    }

    /// Up to which byte it is known without a look at the bytes that another data comes to the same.
    pub(crate) fn alike(&self, other: &Self) -> usize {
        let sooner = self.once().min(other.once());
        match (&self.source, &other.source) {
            _ if self == other => self.length(),
            _ if self.capitals != other.capitals => 0,
            (Source::Pattern { seed, .. }, Source::Pattern { seed: of, .. }) if seed == of => {
                sooner
            }
            // The last byte may be a newline.
            (Source::Text { seed, .. }, Source::Text { seed: of, .. }) if seed == of => {
                sooner.saturating_sub(1)
            }
            (
                Source::Lines { each, seed, .. },
                Source::Lines {
                    each: lines_of,
                    seed: of,
                    ..
                },
            ) if (each, seed) == (lines_of, of) => sooner.saturating_sub(1),
            _ => 0,
        }
    }

    /// The same with ASCII letters turned into capitals.
    #[must_use]
    pub(crate) fn in_capitals(&self) -> Self {
        Self {
            capitals: true,
            ..self.clone()
        }
    }

    /// How many bytes the source has.
    fn once(&self) -> usize {
        match &self.source {
            Source::Literal(bytes) => bytes.len(),
            Source::Parts(parts) => parts.iter().map(Part::known_bytes).sum(),
            Source::Written { data, .. } => data.length(),
            Source::Pattern { bytes, .. }
            | Source::Text { bytes, .. }
            | Source::Lines { bytes, .. } => *bytes,
        }
    }

    /// The variables in it, in the order of the text.
    pub(crate) fn variables(&self) -> Vec<&str> {
        match &self.source {
            Source::Parts(parts) => parts.iter().filter_map(Part::variable).collect(),
            Source::Written { data, .. } => data.variables(),
            _ => Vec::new(),
        }
    }

    /// How many bytes stand before the first variable, which has as many as were captured.
    pub(crate) fn known_length(&self) -> usize {
        match &self.source {
            Source::Parts(parts) => {
                let known = parts.iter().take_while(|part| part.variable().is_none());
                known.map(Part::known_bytes).sum()
            }
            _ => self.length(),
        }
    }

    /// The same with the bytes of its variables; those without any are left out.
    #[must_use]
    pub(crate) fn filled(&self, value: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        let Source::Parts(parts) = &self.source else {
            return self.clone();
        };
        let bytes = parts.iter().filter_map(|part| match part {
            Part::Bytes(bytes) => Some(bytes.clone()),
            Part::Variable(name) => value(name),
        });
        let source = Source::Literal(bytes.collect::<Vec<_>>().concat());
        Self {
            source,
            ..self.clone()
        }
    }

    /// The same without the names and the ways in which it is written: a scenario of such needs nothing else.
    #[must_use]
    pub(crate) fn spelt_out(&self) -> Self {
        let Source::Written { data, .. } = &self.source else {
            return self.clone();
        };
        let inner = data.spelt_out();
        Self {
            times: inner.times.saturating_mul(self.times),
            capitals: inner.capitals || self.capitals,
            ..inner
        }
    }

    /// The bytes for the given member of a crowd.
    pub(crate) fn bytes(&self, member: u32) -> Vec<u8> {
        self.part(member, 0..self.length())
    }

    /// Some of the bytes for the given member of a crowd.
    pub(crate) fn part(&self, member: u32, range: Range<usize>) -> Vec<u8> {
        let mut part = Vec::with_capacity(range.len());
        while part.len() < range.len() {
            let from = (range.start + part.len()) % self.once();
            let to = self.once().min(from + range.len() - part.len());
            self.source.append(member, from..to, &mut part);
        }
        if self.capitals {
            part.make_ascii_uppercase();
        }
        part
    }
}

impl Part {
    fn known_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Variable(_) => 0,
        }
    }

    fn variable(&self) -> Option<&str> {
        match self {
            Self::Bytes(_) => None,
            Self::Variable(name) => Some(name),
        }
    }
}

/// As a text has it, without quotes.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.write_str(&literal::escaped(bytes)),
            Self::Variable(name) => write!(f, "{{{name}}}"),
        }
    }
}

impl Source {
    /// Appends some of its bytes.
    fn append(&self, member: u32, range: Range<usize>, to: &mut Vec<u8>) {
        let begun = to.len();
        match self {
            Self::Literal(bytes) => to.extend_from_slice(&bytes[range]),
            Self::Parts(parts) => {
                let known = parts.iter().filter_map(|part| match part {
                    Part::Bytes(bytes) => Some(bytes.as_slice()),
                    Part::Variable(_) => None,
                });
                to.extend_from_slice(&known.collect::<Vec<_>>().concat()[range]);
            }
            Self::Written { data, .. } => to.extend(data.part(member, range)),
            Self::Pattern { seed, .. } => Noise::new(*seed, member).append(range, to),
            Self::Text { bytes, seed, line } => {
                append_letters(*seed, member, &range, to);
                let last = (*line).then(|| bytes.wrapping_sub(1));
                end_lines(&mut to[begun..], &range, last);
            }
            Self::Lines { bytes, each, seed } => {
                append_letters(*seed, member, &range, to);
                let ends = (range.start - range.start % each + each - 1..*bytes).step_by(*each);
                let ends = ends.take_while(|at| *at < range.end);
                end_lines(&mut to[begun..], &range, ends.chain(bytes.checked_sub(1)));
            }
        }
    }
}

fn append_letters(seed: u64, member: u32, range: &Range<usize>, to: &mut Vec<u8>) {
    let begun = to.len();
    Noise::new(seed, member).append(range.clone(), to);
    let letters = &mut to[begun..];
    letters
        .iter_mut()
        .for_each(|byte| *byte = b'a' + *byte % 26);
}

/// Puts a newline at each of these places that is in the range of which bytes are there.
fn end_lines(bytes: &mut [u8], range: &Range<usize>, ends: impl IntoIterator<Item = usize>) {
    for at in ends.into_iter().filter(|at| range.contains(at)) {
        bytes[at - range.start] = b'\n';
    }
}

impl From<Source> for Data {
    fn from(source: Source) -> Self {
        Self {
            source,
            times: 1,
            capitals: false,
        }
    }
}

/// A seeded stream of bytes (SplitMix64), the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    state: u64,
}

impl Noise {
    pub(crate) fn new(seed: u64, member: u32) -> Self {
        let state = seed ^ (u64::from(member) << 32);
        Self { state }
    }

    pub(crate) fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STRIDE);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Appends some of the bytes, by words: of megabytes each byte would be a call in a build without optimisation.
    fn append(mut self, range: Range<usize>, to: &mut Vec<u8>) {
        let (begun, skipped) = (to.len(), range.start % 8);
        let gone = (range.start / 8) as u64;
        self.state = self.state.wrapping_add(gone.wrapping_mul(STRIDE));
        // Zeroes of the allocator: a build without optimisation would write each of them.
        to.append(&mut vec![0; range.len()]);
        let (first, rest) = to[begun..].split_at_mut(range.len().min((8 - skipped) % 8));
        if !first.is_empty() {
            let word = self.next_word().to_le_bytes();
            first.copy_from_slice(&word[skipped..skipped + first.len()]);
        }
        for eight in rest.chunks_mut(8) {
            let word = self.next_word().to_le_bytes();
            eight.copy_from_slice(&word[..eight.len()]);
        }
    }
}

/// By how much the state of the generator moves with each word.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where data is divided into segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segmentation<Position = usize> {
    /// Nowhere.
    Whole,
    /// Before each of these bytes.
    At(Vec<Position>),
    /// Into pieces of this many bytes.
    Pieces(usize),
}

impl Segmentation {
    /// How many segments of so many bytes there are at most.
    pub(crate) fn most_segments(&self, bytes: usize) -> usize {
        match self {
            Self::Whole => 1,
            Self::Pieces(size) => bytes.div_ceil((*size).max(1)),
            Self::At(positions) => positions.len() + 1,
        }
    }

    /// Where the segments of so many bytes are.
    pub(crate) fn segments(&self, bytes: usize) -> Vec<Range<usize>> {
        match self {
            Self::Whole => std::iter::once(0..bytes).collect(),
            Self::Pieces(size) => {
                let size = (*size).max(1);
                let starts = (0..bytes).step_by(size);
                starts.map(|from| from..bytes.min(from + size)).collect()
            }
            Self::At(positions) => {
                let ends = positions.iter().copied().chain([bytes]);
                let mut start = 0;
                let mut segments = Vec::new();
                for end in ends.map(|end| end.min(bytes)).filter(|end| *end > 0) {
                    if end > start {
                        segments.push(start..end);
                        start = end;
                    }
                }
                segments
            }
        }
    }
}

/// How far bytes go towards a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// They match; this many bytes were needed.
    Full(usize),
    /// They may become a match.
    Partial,
    /// They cannot become a match; the first wrong byte stands here.
    Wrong(usize),
}

/// Holds `got` against the exact bytes `wanted`.
pub(crate) fn compare(wanted: &[u8], got: &[u8]) -> Match {
    let common = wanted.len().min(got.len());
    if wanted[..common] != got[..common] {
        let wrong = wanted.iter().zip(got).position(|(w, g)| w != g);
        return Match::Wrong(wrong.unwrap_or(common));
    }
    match got.len() < wanted.len() {
        true => Match::Partial,
        false => Match::Full(wanted.len()),
    }
}

/// Where `wanted` first stands in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

impl Data {
    /// The same as it is written in files, but with a long literal cut.
    pub(crate) fn excerpt(&self) -> String {
        match &self.source {
            // Somebody has written it: a few bytes are told whole, whatever they are.
            Source::Literal(bytes) if bytes.len() > EXCERPT_MOST => {
                format!("{}{}", Excerpt::of(bytes), self.manner())
            }
            _ => self.to_string(),
        }
    }

    /// What is done with the source.
    fn manner(&self) -> String {
        let capitals = if self.capitals { " in capitals" } else { "" };
        match self.times {
            1 => capitals.to_owned(),
            times => format!("{capitals} * {times}"),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Literal(bytes) => write!(f, "\"{}\"", literal::escaped(bytes))?,
            Source::Parts(parts) => {
                let text: String = parts.iter().map(Part::to_string).collect();
                write!(f, "\"{text}\"")?;
            }
            Source::Written { words, .. } => f.write_str(words)?,
            Source::Pattern { bytes, seed } => write!(f, "pattern {} seed {seed}", Size(*bytes))?,
            Source::Text { bytes, seed, line } => {
                let kind = if *line { "line" } else { "text" };
                write!(f, "{kind} {} seed {seed}", Size(*bytes))?;
            }
            Source::Lines { bytes, each, seed } => {
                write!(f, "lines {} of {} seed {seed}", Size(*bytes), Size(*each))?;
            }
        }
        f.write_str(&self.manner())
    }
}

impl fmt::Display for Segmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Pieces(bytes) => write!(f, "in pieces of {}", Size(*bytes)),
            Self::At(positions) => {
                f.write_str("cut at")?;
                positions.iter().try_for_each(|at| write!(f, " {at}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_several_lines_are_alike() {
        let source = Source::Lines {
            bytes: 100,
            each: 30,
            seed: 7,
        };
        let data = Data::from(source);
        assert_eq!(data.to_string(), "lines 100B of 30B seed 7");
        let bytes = data.bytes(0);
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let lengths: Vec<usize> = lines.iter().map(|line| line.len()).collect();
        assert_eq!(lengths, [30, 30, 30, 10]);
        let distinct: std::collections::HashSet<_> = lines.iter().collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn cut_never_makes_an_empty_segment() {
        let segmentation = Segmentation::At(vec![0, 2, 2, 9]);
        assert_eq!(segmentation.segments(4), [0..2, 2..4]);
    }

    /// Saved scenarios and programs of `sockdrill repro` mean these bytes.
    #[test]
    fn pattern_is_the_same_on_every_machine_and_a_longer_one_begins_with_a_shorter() {
        let pattern = |bytes| Data::from(Source::Pattern { bytes, seed: 7 }).bytes(0);
        assert_eq!(
            pattern(11),
            [215, 13, 50, 89, 228, 225, 203, 99, 28, 102, 60]
        );
        assert!(pattern(300).starts_with(&pattern(11)));
        assert_eq!(pattern(0), b"");
    }

    #[test]
    fn long_literal_is_cut_where_it_is_shown_and_whole_in_files() {
        let mut data = Data::literal(b"a".repeat(5_000)).times(3);
        data.capitals = true;
        let (head, tail) = ("a".repeat(64), "a".repeat(16));
        let cut = format!("\"{head}\" … \"{tail}\" (5000 bytes) in capitals * 3");
        assert_eq!(data.excerpt(), cut);
        assert_eq!(data.to_string().len(), 5_000 + "\"\" in capitals * 3".len());
    }

    #[test]
    fn each_member_of_a_crowd_has_its_own_bytes() {
        let data = Data::from(Source::Pattern { bytes: 32, seed: 7 });
        assert_ne!(data.bytes(0), data.bytes(1));
        assert_eq!(data.bytes(3), data.bytes(3));
    }
}
