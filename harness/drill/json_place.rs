//! Where a value of a JSON file stands in its text, found again by the way to it.

use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ops::Range;

/// A value of a JSON file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonPlace<'a> {
    /// What messages call the file.
    pub(super) file: &'a str,
    /// All of the file.
    pub(super) text: &'a str,
    /// The way to the value, such as `cases[0].steps[2]`.
    pub(super) way: &'a str,
}

/// A line of the text, and the bytes of it that are meant.
pub(super) struct Found<'a> {
    /// Counted from one.
    pub(super) number: usize,
    pub(super) line: &'a str,
    pub(super) span: Range<usize>,
}

impl<'a> JsonPlace<'a> {
    /// Where some bytes of a line stand that says the same as the value: in the value, where it is the end of that line, and else all of it.
    pub(super) fn find(self, line: &str, span: &Range<usize>) -> Option<Found<'a>> {
        let raw = value_at(self.text, self.way)?;
        let begin = raw.as_ptr() as usize - self.text.as_ptr() as usize;
        let said: Option<String> = serde_json::from_str(raw).ok();
        let before = said.and_then(|said| Some(line.strip_suffix(said.as_str())?.len()));
        let inside = before.and_then(|before| {
            let at = |byte: usize| Some(written_at(raw, byte.checked_sub(before)?));
            Some(at(span.start)?..at(span.end)?)
        });
        let inside = inside.unwrap_or(0..raw.len());
        let (start, end) = (begin + inside.start, begin + inside.end);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        Some(Found {
            number: self.text[..line_start].matches('\n').count() + 1,
            line,
            span: start - line_start..(end - line_start).min(line.len()),
        })
    }
}

/// The text of the value that a way leads to.
fn value_at<'a>(text: &'a str, way: &str) -> Option<&'a str> {
    let steps = way.split(['.', '[']).filter(|step| !step.is_empty());
    steps.into_iter().try_fold(text, |text, step| {
        let inner = match step.strip_suffix(']') {
            Some(number) => {
                let all: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                *all.get(number.parse::<usize>().ok()?)?
            }
            None => {
                let all: HashMap<&str, &RawValue> = serde_json::from_str(text).ok()?;
                *all.get(step)?
            }
        };
        Some(inner.get())
    })
}

/// Where a byte of a string stands in what is written of it, quotes and escapes and all.
fn written_at(raw: &str, byte: usize) -> usize {
    let (mut at, mut said) = ('"'.len_utf8(), 0);
    while let Some(rest) = raw.get(at..).filter(|_| said < byte) {
        let (written, bytes) = letter(rest);
        at += written;
        said += bytes;
    }
    at.min(raw.len())
}

/// How much is written of the first letter of a string, and how many bytes it has.
fn letter(rest: &str) -> (usize, usize) {
    let mut letters = rest.chars();
    let first = letters.next().map_or(1, char::len_utf8);
    if !rest.starts_with('\\') {
        return (first, first);
    }
    let unit = rest.strip_prefix("\\u").and_then(|digits| digits.get(..4));
    match unit.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        None => (2, 1),
        // A surrogate is followed by the other of its pair.
        Some(unit) => char::from_u32(unit).map_or((12, 4), |c| (6, c.len_utf8())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, way: &str, line: &str, span: Range<usize>) -> (usize, String) {
        let place = JsonPlace {
            file: "a.json",
            text,
            way,
        };
        let found = place.find(line, &span).unwrap();
        (found.number, found.line[found.span].to_owned())
    }

    #[test]
    fn bytes_of_a_line_are_found_in_the_value_that_says_it() {
        let text = "{\n  \"cases\": [{\n    \"steps\": [\"a\", {\"steps\": [\n      \"alice send \\\"x\\u00e9\\\" cut\"]}]}]}";
        let way = "cases[0].steps[1].steps[0]";
        let line = "alice send \"xé\" cut";
        assert_eq!(found(text, way, line, 6..10), (4, "send".to_owned()));
        assert_eq!(found(text, way, line, 17..20), (4, "cut".to_owned()));
        assert_eq!(
            found(text, way, line, 11..16),
            (4, r#"\"x\u00e9\""#.to_owned())
        );
        let pair = r#"{"way": "\ud83d\ude00 b"}"#;
        assert_eq!(found(pair, "way", "😀 b", 5..6), (1, "b".to_owned()));
        let behind = found(text, way, line, 20..20);
        assert_eq!(behind, (4, String::new()));
    }

    #[test]
    fn line_that_is_more_than_its_value_is_meant_as_far_as_that_goes() {
        let text = r#"{"within": "soon", "tags": ["a", "b c"], "setup": {}}"#;
        let said = |way, line, span| found(text, way, line, span).1;
        assert_eq!(said("within", "within: soon", 8..12), "soon");
        assert_eq!(said("within", "within: soon", 0..6), "\"soon\"");
        assert_eq!(said("tags", "tags: a b c", 6..7), r#"["a", "b c"]"#);
        assert_eq!(said("setup", "setup", 0..5), "{}");
    }
}
