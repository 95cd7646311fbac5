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
            let _ = writeln!(picture, "{}", at.picture());
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

    /// What is to be said of the byte that is marked.
    fn remark(&self) -> String {
        let (offset, came) = (self.offset, self.actual_bytes);
        match self.expected_bytes {
            Some(0) => format!("{} too many", bytes(came)),
            Some(owed) if offset == owed => {
                format!("{} too many, from byte {offset} on", bytes(came - offset))
            }
            Some(owed) if offset >= came => {
                format!("{} of {owed} missing, from byte {offset} on", bytes(owed - offset))
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
        let is_all = all.is_none_or(|all| difference.from + bytes.len() >= all);
        let trail = if is_all { "" } else { " …" };
        format!("{lead}\"{}\"{trail}", literal::escaped(bytes))
    };
    let actual = &difference.actual.0;
    let same = &actual[..actual.len().min(difference.offset - difference.from)];
    let before = lead.chars().count() + 1 + literal::escaped(same).len();
    let owed = difference.expected.as_ref();
    [
        owed.map_or_else(
            || expected.to_owned(),
            |owed| side(&owed.0, difference.expected_bytes),
        ),
        side(actual, Some(difference.actual_bytes)),
        format!("{:before$}^ {}", "", difference.remark()),
    ]
}

/// Both as numbers beside their text, and marks below.
fn as_numbers(difference: &Difference, expected: &str) -> [String; 3] {
    let same = HALF.min(difference.offset - difference.from);
    let skipped = difference.offset - difference.from - same;
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
        format!("{:<width$} |{}|", numbers.join(" "), text.collect::<String>())
    };
    let owed = difference.expected.as_ref().map(|owed| part(&owed.0));
    let (mark, between) = (same * 3, width - 3 * same - 2 + 2 + same);
    [
        owed.map_or_else(|| expected.to_owned(), |owed| row(&owed)),
        row(&part(&difference.actual.0)),
        format!("{:mark$}^^{:between$}^ {}", "", "", difference.remark()),
    ]
}
