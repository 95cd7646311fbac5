//! Where in a scenario a failure showed: a line and the columns of it that a person, or an editor, looks at.

use crate::drill::{DrillText, awaited, snippet};
use crate::judge::{Finding, StepRef};
use serde::{Deserialize, Serialize};

/// A part of a line of a scenario. Lines and columns are counted from one, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The file; where there is none the line is one of the scenario that the result tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    pub line: usize,
    pub column: usize,
    /// The first column behind it.
    pub end_column: usize,
    /// The line as it stands there.
    pub text: String,
    /// Which time it was, where the line was gone through before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<usize>,
}

impl Place {
    /// Where a failure shows in its file: at the step that failed, or else at its case, which begins at this line.
    pub(crate) fn in_file(file: &DrillText, case: usize, finding: &Finding) -> Option<Self> {
        let of_line = |number| Some((number, file.line(number)?));
        let step = finding.step().and_then(|step| of_line(step.line));
        let (number, text) = step.or_else(|| of_line(case))?;
        Some(Self {
            file: Some(file.name().to_owned()),
            ..Self::of(number, text, finding)
        })
    }

    /// The same in a scenario as it is printed, where the step is one of its own.
    pub(crate) fn in_scenario(printed: &str, finding: &Finding) -> Option<Self> {
        let (number, text) = printed_line(printed, finding.step()?)?;
        Some(Self::of(number, text, finding))
    }

    fn of(number: usize, text: &str, finding: &Finding) -> Self {
        let part = awaited(text);
        let column = |at: usize| text[..at].chars().count() + 1;
        let round = finding.halt.as_ref().map(|halt| halt.round);
        Self {
            file: None,
            line: number,
            column: column(part.start),
            end_column: column(part.end),
            text: text.to_owned(),
            round: round.filter(|round| *round > 1),
        }
    }

    /// The line with a caret under the part, as mistakes of a file are shown.
    pub(super) fn picture(&self) -> String {
        let byte = |column: usize| {
            let mut starts = self.text.char_indices().map(|(at, _)| at);
            starts.nth(column - 1).unwrap_or(self.text.len())
        };
        let round = self.round.map(|round| format!("the {} time", nth(round)));
        let span = byte(self.column)..byte(self.end_column);
        let file = self.file.as_deref();
        snippet(file, self.line, &self.text, span, round.as_deref())
    }
}

/// The line of a printed scenario that a step is, with its number.
fn printed_line<'a>(printed: &'a str, step: &StepRef) -> Option<(usize, &'a str)> {
    let mut lines = (1..).zip(printed.lines());
    lines.find(|(_, line)| line.is_empty())?;
    let mut steps = lines.filter(|(_, line)| line.trim_start() != "end");
    let found = steps.nth(step.step?);
    found.filter(|(_, line)| line.trim_start() == step.text)
}

/// `2nd`.
fn nth(number: usize) -> String {
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
    fn step_is_found_in_a_printed_scenario_by_its_number_whatever_else_says_the_same() {
        let printed = "case a\n  clients: alice\n\n  alice connect\n  repeat 2\n    alice send \"a\"\n  end\n  alice send \"a\"\n";
        let step = |n, text: &str| StepRef {
            line: 0,
            text: text.to_owned(),
            step: Some(n),
        };
        let line = |n, text| printed_line(printed, &step(n, text)).map(|(number, _)| number);
        assert_eq!(line(0, "alice connect"), Some(4));
        assert_eq!(line(2, "alice send \"a\""), Some(6));
        assert_eq!(line(3, "alice send \"a\""), Some(8));
        assert_eq!(line(3, "alice close"), None);
        assert_eq!(line(4, "alice close"), None);
    }

    #[test]
    fn caret_stands_under_the_part_whatever_stands_before_it() {
        let place = Place {
            file: Some("ä.drill".to_owned()),
            line: 9,
            column: 14,
            end_column: 17,
            text: "  ä expect   \"é\"  # é".to_owned(),
            round: Some(12),
        };
        let expected = "\
 --> ä.drill:9:14
  |
9 |   ä expect   \"é\"  # é
  |              ^^^ the 12th time";
        assert_eq!(place.picture(), expected);
    }

    #[test]
    fn numbers_of_rounds_are_written_as_words_end() {
        let all = [1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 111].map(nth);
        let words = [
            "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "103rd", "111th",
        ];
        assert_eq!(all, words);
    }
}
