//! What was expected and what came, one below the other, with the first difference marked.

use super::written::WrittenCheck;
use crate::model::literal;
use crate::transcript::difference::Difference;
use std::fmt::Write as _;

/// So many bytes are shown before the first other one where their numbers are shown too, and as many from it on: a line of them.
const HALF: usize = 8;

impl WrittenCheck {
    /// The line of the scenario, and below it what was expected and what came.
    pub(super) fn picture(&self) -> String {
        let mut picture = String::new();
        if let Some(at) = &self.at {
            let _ = writeln!(picture, "{}", at.picture(self.scenario.as_deref()));
        }
        for line in self.compared() {
            let _ = writeln!(picture, "{}", line.trim_end());
        }
        picture
    }

    fn compared(&self) -> Vec<String> {
        let (Some(expected), Some(actual)) = (&self.expected, &self.actual) else {
            return Vec::new();
        };
        let rows = match &self.difference {
            None => vec![expected.clone(), actual.clone()],
            Some(difference) if difference.is_text() => as_text(difference, expected).into(),
            Some(difference) => as_numbers(difference, expected).into(),
        };
        let titled = ["expected", "actual", ""].into_iter().zip(rows);
        titled
            .map(|(title, row)| format!("{title:<8}  {row}"))
            .collect()
    }
}

impl Difference {
    /// Whether a person can read all bytes around it.
    fn is_text(&self) -> bool {
        let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t');
        let expected = self.expected.iter().flat_map(|expected| &expected.0);
        expected.chain(&self.actual.0).all(is_text)
    }

    /// How many bytes are kept before it. A report that somebody else has written may say that it stands before them all.
    fn before(&self) -> usize {
        self.offset.saturating_sub(self.from)
    }

    /// What is to be said of the byte that is marked.
    fn remark(&self) -> String {
        let (offset, came) = (self.offset, self.actual_bytes);
        match self.expected_bytes {
            Some(0) => format!("{} came", bytes(came)),
            Some(owed) if offset == owed => {
                format!(
                    "{} too many, from byte {offset} on",
                    bytes(came.saturating_sub(offset))
                )
            }
            Some(owed) if offset >= came => {
                format!(
                    "{} of {owed} missing, from byte {offset} on",
                    bytes(owed.saturating_sub(offset))
                )
            }
            owed => {
                let of = owed.map_or_else(String::new, |owed| format!(" of {owed}"));
                format!("byte {offset}{of}{}", self.what_goes_on())
            }
        }
    }

    /// Says what comes in the place of what was owed, where that is owed elsewhere.
    fn what_goes_on(&self) -> String {
        match self.goes_on_at {
            Some(at) if at > self.offset => format!(
                ": goes on as was owed from byte {at} on, {} are missing",
                bytes(at - self.offset)
            ),
            Some(at) => format!(
                ": goes on as was owed from byte {at} on, {} came twice",
                bytes(self.offset - at)
            ),
            None => String::new(),
        }
    }
}

fn bytes(many: usize) -> String {
    match many {
        1 => "1 byte".to_owned(),
        many => format!("{many} bytes"),
    }
}

/// Both in quotes, and a mark below.
fn as_text(difference: &Difference, expected: &str) -> [String; 3] {
    let lead = if difference.from > 0 { "… " } else { "" };
    let side = |bytes: &[u8], all: Option<usize>| {
        let is_all = all.is_none_or(|all| difference.from.saturating_add(bytes.len()) >= all);
        let trail = if is_all { "" } else { " …" };
        format!("{lead}\"{}\"{trail}", literal::escaped(bytes))
    };
    let actual = &difference.actual.0;
    let same = &actual[..actual.len().min(difference.before())];
    let before = lead.chars().count() + 1 + literal::escaped(same).len();
    let owed = difference.expected.as_ref();
    [
        owed.map_or_else(
            || expected.to_owned(),
            |owed| side(&owed.0, difference.expected_bytes),
        ),
        side(actual, Some(difference.actual_bytes)),
        format!("{}^ {}", " ".repeat(before), difference.remark()),
    ]
}

/// Both as numbers beside their text, and marks below.
fn as_numbers(difference: &Difference, expected: &str) -> [String; 3] {
    let same = HALF.min(difference.before());
    let skipped = difference.before() - same;
    let part = |bytes: &[u8]| -> Vec<u8> {
        let part = bytes.iter().skip(skipped).take(same + HALF);
        part.copied().collect()
    };
    let width = (same + HALF) * 3;
    let row = |bytes: &[u8]| {
        let numbers: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        format!(
            "{:<width$} |{}|",
            numbers.join(" "),
            text.collect::<String>()
        )
    };
    let owed = difference.expected.as_ref().map(|owed| part(&owed.0));
    let (mark, between) = (same * 3, width - 3 * same - 2 + 2 + same);
    [
        owed.map_or_else(|| expected.to_owned(), |owed| row(&owed)),
        row(&part(&difference.actual.0)),
        format!("{:mark$}^^{:between$}^ {}", "", "", difference.remark()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::difference::Escaped;

    fn difference(expected: &[u8], actual: &[u8], offset: usize) -> Difference {
        Difference {
            offset,
            from: 0,
            expected: Some(Escaped(expected.to_vec())),
            actual: Escaped(actual.to_vec()),
            expected_bytes: Some(expected.len()),
            actual_bytes: actual.len(),
            goes_on_at: None,
        }
    }

    #[test]
    fn mark_stands_below_the_first_other_byte_whatever_is_escaped_before_it() {
        let rows = as_text(&difference(b"a\r\nb!", b"a\r\nc!", 3), "");
        let expected = [r#""a\r\nb!""#, r#""a\r\nc!""#, "      ^ byte 3 of 5"];
        assert_eq!(rows, expected);
    }

    #[test]
    fn text_that_is_cut_at_both_ends_says_so() {
        let cut = Difference {
            offset: 102,
            from: 100,
            expected_bytes: Some(200),
            actual_bytes: 104,
            ..difference(b"abcd", b"abxd", 0)
        };
        let expected = ["… \"abcd\" …", "… \"abxd\"", "     ^ byte 102 of 200"];
        assert_eq!(as_text(&cut, ""), expected);
    }

    #[test]
    fn bytes_that_are_no_text_are_numbers_with_marks_in_both_columns() {
        let rows = as_numbers(&difference(b"ab\0\x01c", b"ab\0\x02c", 3), "");
        let expected = [
            "61 62 00 01 63                    |ab..c|",
            "61 62 00 02 63                    |ab..c|",
            "         ^^                           ^ byte 3 of 5",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn sixteen_bytes_at_most_are_shown_as_numbers() {
        let all: Vec<u8> = (0..64).collect();
        let long = Difference {
            from: 1_000,
            expected_bytes: Some(2_000),
            actual_bytes: 2_000,
            ..difference(&all, &all, 1_020)
        };
        let [expected, actual, mark] = as_numbers(&long, "");
        assert_eq!(expected, actual);
        assert!(
            expected.starts_with("0c 0d 0e 0f 10 11 12 13 14 15"),
            "{expected}"
        );
        assert_eq!(expected.len(), 16 * 3 + 1 + 18);
        assert_eq!(&expected[mark.find("^^").unwrap()..][..2], "14");
    }

    #[test]
    fn numbers_that_contradict_each_other_are_shown_as_far_as_they_go() {
        let strange = |offset, from, owed| Difference {
            from,
            expected_bytes: Some(owed),
            actual_bytes: 1,
            ..difference(b"ab", b"ac", offset)
        };
        let numbers = [0, 1, 2, usize::MAX];
        for offset in numbers {
            for (from, owed) in numbers.iter().flat_map(|n| numbers.map(|m| (*n, m))) {
                let strange = strange(offset, from, owed);
                assert!(as_text(&strange, "")[2].contains('^'));
                assert!(as_numbers(&strange, "")[2].contains("^^"));
            }
        }
    }

    #[test]
    fn text_with_holes_stands_as_it_is_written() {
        let in_a_hole = Difference {
            expected: None,
            expected_bytes: None,
            ..difference(b"", b"ok\nx", 2)
        };
        let [expected, actual, mark] = as_text(&in_a_hole, "\"ok{line}\"");
        assert_eq!(
            (expected.as_str(), actual.as_str()),
            ("\"ok{line}\"", r#""ok\nx""#)
        );
        assert_eq!(mark, "   ^ byte 2");
    }

    #[test]
    fn remark_says_what_is_missing_or_too_much_and_where_it_goes_on() {
        let goes_on = |goes_on_at| Difference {
            expected_bytes: Some(100),
            goes_on_at: Some(goes_on_at),
            ..difference(b"abcd", b"abxd", 2)
        };
        let remarks = [
            (
                difference(b"abcd", b"ab", 2),
                "2 bytes of 4 missing, from byte 2 on",
            ),
            (
                difference(b"ab", b"abc", 2),
                "1 byte too many, from byte 2 on",
            ),
            (difference(b"", b"abc", 0), "3 bytes came"),
            (
                goes_on(42),
                "byte 2 of 100: goes on as was owed from byte 42 on, 40 bytes are missing",
            ),
            (
                goes_on(1),
                "byte 2 of 100: goes on as was owed from byte 1 on, 1 byte came twice",
            ),
        ];
        for (difference, remark) in remarks {
            assert_eq!(difference.remark(), remark);
        }
    }
}
