//! What varies in what a server says to the same words, and the template that all of it matches.

use crate::model::data::Match;
use crate::model::template::{Hole, Template};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::ops::Range;

/// More parts than this are compared in no time that anybody waits for.
const MOST_TOKENS: usize = 20_000;

/// Between two holes, fewer bytes of what is no text may well be there by chance.
const TELLING_BYTES: usize = 4;

/// Between two holes, fewer letters and digits of a text may well be there by chance.
const TELLING_LETTERS: usize = 2;

/// What is taken to vary beside what has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspected {
    /// Dates and times of day.
    Clocks,
    /// Numbers too, in replies that have varied.
    NumbersOfSome,
    /// Numbers too, in all replies.
    Numbers,
    /// All between the beginning and the end of replies that have varied.
    AllBetween,
}

impl Suspected {
    /// From the least to the most.
    pub(super) const ALL: &[Self] = &[
        Self::Clocks,
        Self::NumbersOfSome,
        Self::Numbers,
        Self::AllBetween,
    ];

    /// The parts of a reply that are taken to vary, where all samples of it are alike or not.
    fn parts(self, sample: &[u8], are_alike: bool) -> Vec<Range<usize>> {
        let clocks = clocks(sample);
        match self {
            Self::NumbersOfSome if are_alike && clocks.is_empty() => clocks,
            Self::NumbersOfSome | Self::Numbers => numbers(sample),
            Self::Clocks | Self::AllBetween => clocks,
        }
    }
}

/// The template that all of these match to their last byte; `None` where nothing tells where the varying end ends, which a datagram
/// does by itself.
pub(super) fn template(
    samples: &[Vec<u8>],
    is_datagram: bool,
    suspected: Suspected,
) -> Option<Template> {
    let fits = |template: &Template| {
        let mut holes = template.rest.iter();
        let has_ends = is_datagram || holes.all(|(_, part)| !part.is_empty());
        let matches = |sample: &Vec<u8>| matches_all(template, sample, is_datagram);
        has_ends && samples.iter().all(matches)
    };
    let first = samples.first()?;
    let are_alike = samples.iter().all(|sample| sample == first);
    let vary = suspected.parts(first, are_alike);
    if vary.is_empty() && are_alike {
        let whole = Template {
            first: first.clone(),
            rest: Vec::new(),
        };
        return Some(whole);
    }
    // From what keeps the most to what keeps the least.
    let cuts: [Cut; 2] = [words, halves_of_lines];
    let cuts = cuts.iter().filter(|_| suspected != Suspected::AllBetween);
    let by_tokens = cuts.filter_map(|cut| common(samples, &vary, *cut));
    let mut all = by_tokens.chain([ends(samples)]);
    let found = all.find(fits)?;
    Some((0..found.rest.len()).fold(found, |template, n| {
        // A hole that takes no newline says more.
        let mut narrow = template.clone();
        narrow.rest[n].0 = Hole::Line;
        if fits(&narrow) { narrow } else { template }
    }))
}

/// What a place may have had in every sample, from what says the most, and what it is taken to have then: a number, with a sign, with a
/// fraction; an identity; a hash, which shows by so many digits that they are no word, and may have fewer another time.
const KINDS: &[(&str, &str)] = &[
    ("{:[0-9]+}", "{:[0-9]+}"),
    ("{:-?[0-9]+}", "{:-?[0-9]+}"),
    ("{:[0-9.]+}", "{:[0-9.]+}"),
    ("{:[+-]?[0-9.]+}", "{:[+-]?[0-9.]+}"),
    (UUID, UUID),
    ("{:[0-9a-f]{8}[0-9a-f]*}", "{:[0-9a-f]+}"),
    ("{:[0-9A-F]{8}[0-9A-F]*}", "{:[0-9A-F]+}"),
];

/// An identity as RFC 9562 writes it.
const UUID: &str = "{:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}}";

/// The same template of these samples, with a kind of number in each place in which there was nothing else.
pub(super) fn with_numbers(template: Template, samples: &[Vec<u8>], is_datagram: bool) -> Template {
    let hole = |text: &str| Some(Template::parse(text).ok()?.rest.into_iter().next()?.0);
    let kinds = KINDS.iter();
    let kinds: Vec<(Hole, Hole)> = kinds
        .filter_map(|(seen, taken)| hole(seen).zip(hole(taken)))
        .collect();
    (0..template.rest.len()).fold(template, |template, n| {
        let with = |hole: &Hole| {
            let mut narrow = template.clone();
            narrow.rest[n].0 = hole.clone();
            narrow
        };
        let fits = |hole: &Hole| {
            let narrow = with(hole);
            let mut samples = samples.iter();
            samples.all(|sample| matches_all(&narrow, sample, is_datagram))
        };
        let mut kinds = kinds.iter();
        let kind = kinds.find(|(seen, taken)| fits(seen) && fits(taken));
        kind.map_or_else(|| template.clone(), |(_, taken)| with(taken))
    })
}

/// Whether a template takes a sample to its last byte.
fn matches_all(template: &Template, sample: &[u8], is_datagram: bool) -> bool {
    let matched = match is_datagram {
        true => template.matches_whole(sample),
        false => template.matches(sample),
    };
    matched == Match::Full(sample.len())
}

/// What all of these begin with, and as many bytes behind it as they have; where they differ in that, all until the server comes to
/// rest.
pub(super) fn open_ended(samples: &[Vec<u8>]) -> Option<Template> {
    let first = samples.first()?;
    let all = |n: usize| samples.iter().all(|sample| sample.get(n) == first.get(n));
    let head = (0..first.len()).take_while(|n| all(*n)).count();
    let rests = || samples.iter().map(|sample| sample.len() - head);
    let (least, most) = (rests().min()?, rests().max()?);
    let counted = format!("{{{least}}}");
    let many = match (least == most, least) {
        (true, _) => counted.as_str(),
        (false, 0) => "*",
        (false, _) => "+",
    };
    let head = crate::model::literal::escaped(&first[..head]);
    let of = |many: &str| Template::parse(&format!(r"{head}{{:[\x00-\xff]{many}}}")).ok();
    // So many that an expression cannot count them are not counted.
    of(many).or_else(|| of("+"))
}

/// Whether what a client was told itself may be what these templates of samples describe, however much is taken to vary.
pub(super) fn fits(told: &[u8], samples: &[Vec<u8>], is_datagram: bool) -> bool {
    let mut templates = Suspected::ALL.iter().map(|suspected| {
        template(samples, is_datagram, *suspected).or_else(|| open_ended(samples))
    });
    templates.any(|template| {
        template.is_some_and(|template| !matches!(template.matches(told), Match::Wrong(_)))
    })
}

/// How bytes are cut into parts.
type Cut = fn(&[u8]) -> Vec<&[u8]>;

/// Runs of letters and digits, numbers with their sign and fraction, and each other byte.
fn words(bytes: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut begin = 0;
    for end in 1..=bytes.len() {
        if end == bytes.len() || !is_within_a_word(bytes, end) {
            words.push(&bytes[begin..end]);
            begin = end;
        }
    }
    words
}

/// Whether the byte here belongs to the word of the one before it. What varies of a number may be any part of it: `0.5` and `0.25` have
/// nothing in common that will stay.
fn is_within_a_word(bytes: &[u8], at: usize) -> bool {
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let before = at - 1;
    match (bytes[before], bytes[at]) {
        (b'.', _) if before > 0 => is_digit(before - 1) && is_digit(at),
        (_, b'.') => is_digit(before) && is_digit(at + 1),
        (b'-' | b'+', _) => is_digit(at) && (before == 0 || is_sign(bytes, before)),
        _ => is_letter(before) && is_letter(at),
    }
}

/// Whether a `-` or `+` stands where a number may begin: not between the parts of a date or a name, nor behind another one.
fn is_sign(bytes: &[u8], at: usize) -> bool {
    let before = bytes[at - 1];
    before.is_ascii_whitespace() || b"=:,([\"'".contains(&before)
}

/// Lines in up to three parts: what stands before the first separator, what stands behind it, and the end of the line.
fn halves_of_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let parts = lines.flat_map(|line| {
        let end = line.len()
            - line
                .iter()
                .rev()
                .take_while(|b| b"\r\n".contains(b))
                .count();
        let separator = line[..end].iter().position(|byte| b": =".contains(byte));
        let value = separator.map_or(0, |at| {
            at + line[at..end]
                .iter()
                .take_while(|b| b": =".contains(b))
                .count()
        });
        [&line[..value], &line[value..end], &line[end..]]
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// What all samples have in common of these parts, in the order of the first.
fn common(
    samples: &[Vec<u8>],
    clocks: &[Range<usize>],
    cut: fn(&[u8]) -> Vec<&[u8]>,
) -> Option<Template> {
    let (first, others) = samples.split_first()?;
    let mut kept = Kept::of(first, clocks, cut);
    for other in others {
        kept.hold_against(&cut(other))?;
    }
    let is_text = samples.iter().all(|sample| is_text(sample));
    Some(kept.template(is_text))
}

/// The parts that all samples have so far.
struct Kept<'a> {
    /// Each with whether something may stand before it.
    parts: Vec<(bool, &'a [u8])>,
    /// Whether something may stand behind the last one.
    open_end: bool,
}

impl<'a> Kept<'a> {
    /// All parts of a sample, but those that a clock has made.
    fn of(sample: &'a [u8], clocks: &[Range<usize>], cut: fn(&[u8]) -> Vec<&[u8]>) -> Self {
        let (mut parts, mut gap, mut at) = (Vec::new(), false, 0);
        for part in cut(sample) {
            let range = at..at + part.len();
            at = range.end;
            let is_clock =
                |clock: &Range<usize>| clock.start < range.end && range.start < clock.end;
            match clocks.iter().any(is_clock) {
                true => gap = true,
                false => parts.push((std::mem::take(&mut gap), part)),
            }
        }
        Self {
            parts,
            open_end: gap,
        }
    }

    /// Keeps what another sample has, too; `None` where that is too much to compare.
    fn hold_against(&mut self, other: &[&[u8]]) -> Option<()> {
        let known: Vec<&[u8]> = self.parts.iter().map(|(_, part)| *part).collect();
        if known.len().max(other.len()) > MOST_TOKENS {
            return None;
        }
        let mut kept = Vec::new();
        let mut gap = false;
        for op in capture_diff_slices(Algorithm::Patience, &known, other) {
            match op {
                DiffOp::Equal { old_index, len, .. } => {
                    for (open, part) in &self.parts[old_index..old_index + len] {
                        kept.push((*open || std::mem::take(&mut gap), *part));
                        gap = false;
                    }
                }
                _ => gap = true,
            }
        }
        self.parts = kept;
        self.open_end |= gap;
        Some(())
    }

    /// The template of what is kept, where a few bytes between two holes are part of one hole.
    fn template(&self, is_text: bool) -> Template {
        let mut fixed: Vec<Vec<u8>> = vec![Vec::new()];
        for (open, part) in &self.parts {
            match (open, fixed.last_mut()) {
                (false, Some(last)) => last.extend_from_slice(part),
                _ => fixed.push(part.to_vec()),
            }
        }
        if self.open_end || self.parts.is_empty() {
            fixed.push(Vec::new());
        }
        let last = fixed.len() - 1;
        let mut parts = fixed.into_iter().enumerate();
        let first = parts.next().map(|(_, part)| part).unwrap_or_default();
        let kept = parts.filter(|(n, part)| *n == last || tells(part, is_text));
        Template {
            first,
            rest: kept.map(|(_, part)| (Hole::Any, part)).collect(),
        }
    }
}

/// Whether bytes between two holes are there by no chance.
fn tells(part: &[u8], is_text: bool) -> bool {
    let letters = part.iter().filter(|byte| byte.is_ascii_alphanumeric());
    match is_text {
        true => part.contains(&b'\n') || letters.count() >= TELLING_LETTERS,
        false => part.len() >= TELLING_BYTES,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()))
}

/// What all begin and end with, and one hole between them: of several lines the first ones and the last one, whole.
fn ends(samples: &[Vec<u8>]) -> Template {
    let first = samples.first().map_or(&[][..], Vec::as_slice);
    let shortest = samples.iter().map(Vec::len).min().unwrap_or(0);
    let all = |same: &dyn Fn(&[u8]) -> bool| samples.iter().all(|sample| same(sample));
    let head = (0..shortest).take_while(|n| all(&|sample| sample[*n] == first[*n]));
    let mut head = head.count();
    let behind = |sample: &[u8], n: usize| sample[sample.len() - 1 - n];
    let tail = (0..shortest - head).take_while(|n| all(&|s| behind(s, *n) == behind(first, *n)));
    let mut tail = &first[first.len() - tail.count()..];
    let newlines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    if samples.iter().any(|sample| newlines(sample) > 1) {
        head = last_line_of(&first[..head]).start;
        tail = &tail[last_line_of(tail.strip_suffix(b"\n").unwrap_or(tail)).start..];
    }
    Template {
        first: first[..head].to_vec(),
        rest: vec![(Hole::Any, tail.to_vec())],
    }
}

/// What stands behind the last newline.
fn last_line_of(bytes: &[u8]) -> Range<usize> {
    let newline = bytes.iter().rposition(|byte| *byte == b'\n');
    newline.map_or(0, |at| at + 1)..bytes.len()
}

const MONTHS_AND_DAYS: &[&str] = &[
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon",
    "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "GMT", "UTC", "T", "Z", "AM", "PM",
];

/// The numbers that stand in bytes, in digits.
fn numbers(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut at = 0;
    let runs = bytes.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    let runs = runs.map(|run| {
        let range = at..at + run.len();
        at = range.end;
        (run[0].is_ascii_digit(), range)
    });
    let numbers = runs.filter(|(is_number, _)| *is_number);
    numbers.map(|(_, range)| range).collect()
}

/// The dates and the times of day that stand in a text: they vary, however alike they are within a second.
fn clocks(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        found.extend(clock_in(line).map(|range| at + range.start..at + range.end));
        at += line.len();
    }
    found
}

/// The span of what tells a time in a line: digits, names of months and days, and what stands between them.
fn clock_in(line: &[u8]) -> Option<Range<usize>> {
    let colon = (0..line.len().saturating_sub(7)).find(|at| is_time_of_day(&line[*at..*at + 8]))?;
    let parts = words(line);
    let mut at = 0;
    let ranges: Vec<(Range<usize>, bool)> = parts
        .iter()
        .map(|part| {
            let range = at..at + part.len();
            at = range.end;
            (range, is_of_a_clock(part))
        })
        .collect();
    let middle = ranges
        .iter()
        .position(|(range, _)| range.contains(&colon))?;
    let back = ranges[..middle]
        .iter()
        .rev()
        .take_while(|(_, clock)| *clock)
        .count();
    let on = ranges[middle..]
        .iter()
        .take_while(|(_, clock)| *clock)
        .count();
    let span = &ranges[middle - back..middle + on];
    let is_blank = |(range, _): &&(Range<usize>, bool)| !line[range.start].is_ascii_alphanumeric();
    let start = span.iter().find(|part| !is_blank(part))?.0.start;
    let end = span.iter().rev().find(|part| !is_blank(part))?.0.end;
    Some(start..end)
}

/// `03:21:22`.
fn is_time_of_day(bytes: &[u8]) -> bool {
    let is_digit = |n: usize| bytes[n].is_ascii_digit();
    [0, 1, 3, 4, 6, 7].into_iter().all(is_digit) && bytes[2] == b':' && bytes[5] == b':'
}

fn is_of_a_clock(part: &[u8]) -> bool {
    let is_mixed = |part: &[u8]| {
        // 2026-11-30T03:21:22Z has a letter between two numbers.
        let pieces = part.split(|byte| b"TZ".contains(byte));
        pieces
            .into_iter()
            .all(|piece| piece.iter().all(u8::is_ascii_digit))
    };
    let is_name = MONTHS_AND_DAYS.iter().any(|name| name.as_bytes() == part);
    let is_between = matches!(part, [byte] if b" ,:-/+.".contains(byte));
    is_between || is_name || is_mixed(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[&str]) -> Option<String> {
        let samples: Vec<Vec<u8>> = samples.iter().map(|s| s.as_bytes().to_vec()).collect();
        template(&samples, false, Suspected::Clocks).map(|template| template.text())
    }

    fn suspecting(suspected: Suspected, samples: &[&str]) -> String {
        let samples: Vec<Vec<u8>> = samples.iter().map(|s| s.as_bytes().to_vec()).collect();
        let template = template(&samples, false, suspected).unwrap();
        template.text()
    }

    #[test]
    fn more_is_taken_to_vary_where_that_is_suspected() {
        let [alike, varied] = [["up 0 s\n", "up 0 s\n"], ["n 10\nup 0\n", "n 12\nup 0\n"]];
        for (suspected, alike_as, varied_as) in [
            (Suspected::Clocks, r"up 0 s\n", r"n {line}\nup 0\n"),
            (
                Suspected::NumbersOfSome,
                r"up 0 s\n",
                r"n {line}\nup {line}\n",
            ),
            (
                Suspected::Numbers,
                r"up {line} s\n",
                r"n {line}\nup {line}\n",
            ),
            (Suspected::AllBetween, r"up 0 s\n", r"{any}up 0\n"),
        ] {
            assert_eq!(suspecting(suspected, &alike), alike_as, "{suspected:?}");
            assert_eq!(suspecting(suspected, &varied), varied_as, "{suspected:?}");
        }
    }

    #[test]
    fn reply_whose_end_varies_is_as_long_as_it_was() {
        let of = |samples: &[&str]| {
            let samples: Vec<Vec<u8>> = samples.iter().map(|s| s.as_bytes().to_vec()).collect();
            open_ended(&samples).unwrap().text()
        };
        assert_eq!(
            of(&["\0\x04{ab", "\0\x04{cd"]),
            r"\0\x04\{{:[\x00-\xff]{2}}"
        );
        assert_eq!(of(&["n1", "n23"]), r"n{:[\x00-\xff]+}");
        assert_eq!(of(&["n", "n23"]), r"n{:[\x00-\xff]*}");
    }

    #[test]
    fn reply_of_another_kind_does_not_fit() {
        let takes = |told: &str, samples: &[&str]| {
            let samples: Vec<Vec<u8>> = samples.iter().map(|s| s.as_bytes().to_vec()).collect();
            fits(told.as_bytes(), &samples, false)
        };
        assert!(!takes(
            "OK secret\n",
            &["ERR bad token\n", "ERR bad token\n"]
        ));
        assert!(takes("OK 7\n", &["OK 8\n", "OK 8\n"]));
        assert!(takes("id ab\n", &["id cd\n", "id ef\n"]));
        assert!(takes("O", &["OK\n", "OK\n"]));
    }

    #[test]
    fn what_does_not_vary_stays_as_it_is() {
        assert_eq!(of(&["+PONG\r\n", "+PONG\r\n"]).unwrap(), r"+PONG\r\n");
    }

    #[test]
    fn what_varies_is_a_hole_with_what_stands_around_it() {
        let ids = ["+OK id=ab12 ready\r\n", "+OK id=9c ready\r\n"];
        assert_eq!(of(&ids).unwrap(), r"+OK id={line} ready\r\n");
        assert_eq!(
            of(&[":1\r\n", ":2\r\n", ":17\r\n"]).unwrap(),
            r":{line}\r\n"
        );
        let banner = ["<1.2@a> go\n", "<33.44@a> go\n"];
        assert_eq!(of(&banner).unwrap(), r"<{line}@a> go\n");
    }

    #[test]
    fn what_was_digits_alone_is_a_number() {
        let of = |samples: &[&str], is_datagram| {
            let samples: Vec<Vec<u8>> = samples.iter().map(|s| s.as_bytes().to_vec()).collect();
            let wide = template(&samples, is_datagram, Suspected::Clocks).unwrap();
            with_numbers(wide, &samples, is_datagram).text()
        };
        assert_eq!(of(&[":1\r\n", ":17\r\n"], false), r":{:[0-9]+}\r\n");
        assert_eq!(of(&[":1\r\n", ":1f\r\n"], false), r":{line}\r\n");
        // The end of the number has to be told from what stands behind it.
        assert_eq!(
            of(&["n 10\nup\n", "n 12\nup\n"], false),
            r"n {:[0-9]+}\nup\n"
        );
        assert_eq!(of(&["id 1", "id 2"], true), "id {:[0-9]+}");
        assert_eq!(
            of(&["up 0.12 s\n", "up 0.5 s\n"], false),
            r"up {:[0-9.]+} s\n"
        );
        assert_eq!(of(&["t=-5\n", "t=17\n"], false), r"t={:-?[0-9]+}\n");
        assert_eq!(of(&["t=-0.5\n", "t=1.25\n"], false), r"t={:[+-]?[0-9.]+}\n");
        assert_eq!(
            of(&["id 9f86d081884c\n", "id 60303ae22b99\n"], false),
            r"id {:[0-9a-f]+}\n"
        );
        assert_eq!(
            of(
                &[
                    "x 6fa459ea-ee8a-3ca4-894e-db77e160355e\n",
                    "x 16fd2706-8baf-433b-82eb-8c7fada847da\n"
                ],
                false
            ),
            r"x {:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}}\n"
        );
        let dates = ["at 03:21:22.\n", "at 03:21:23.\n"];
        assert_eq!(of(&dates, false), r"at {line}.\n");
    }

    #[test]
    fn date_varies_however_alike_it_is() {
        let head = "HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 03:21:22 GMT\r\nETag: \"6a-6\"\r\n\r\nhello\n";
        let other = head.replace("6a-6", "7b-6");
        assert_eq!(
            of(&[head, &other]).unwrap(),
            r#"HTTP/1.1 200 OK\r\nDate: {line}\r\nETag: \"{line}-6\"\r\n\r\nhello\n"#
        );
        let iso = "at 2026-11-30T03:21:22Z.\n";
        assert_eq!(of(&[iso, iso]).unwrap(), r"at {line}.\n");
    }

    #[test]
    fn hole_that_takes_lines_takes_any_bytes() {
        let lists = ["* a\n* b\n.\n", "* c\n.\n"];
        let text = of(&lists).unwrap();
        assert!(text.contains("{any}") && text.ends_with(r"\n.\n"), "{text}");
    }

    #[test]
    fn end_that_varies_has_an_end_in_a_datagram_alone() {
        assert_eq!(of(&["id 1", "id 2"]), None);
        let samples = [b"id 1".to_vec(), b"id 2".to_vec()];
        assert_eq!(
            template(&samples, true, Suspected::Clocks).unwrap().text(),
            "id {line}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_have_holes_of_any_bytes() {
        let salted = |salt: &[u8]| [b"\x0a5.5\0", salt, b"native\0"].concat();
        let samples = [salted(b"\x01\x02\x03\n"), salted(b"\x09\x08\x02\x07")];
        let template = template(&samples, false, Suspected::Clocks).unwrap();
        assert_eq!(template.text(), r"\n5.5\0{any}native\0");
    }

    #[test]
    fn template_matches_all_that_it_was_made_of() {
        let samples = [
            "a 1 b\nb 2 c\n1\n",
            "a 22 b\nb b c\n2\n",
            "a b b\nb 3 3 c\n3\n",
        ];
        let text = of(&samples).unwrap();
        let template = Template::parse_with_an_end(&text).unwrap();
        for sample in samples {
            let full = Match::Full(sample.len());
            assert_eq!(template.matches(sample.as_bytes()), full, "{text}");
        }
    }
}
