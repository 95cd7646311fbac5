//! Where in a scenario a failure showed: a line and the columns of it that a person, or an editor, looks at.

use crate::drill::{DrillText, Origin, awaited, snippet};
use crate::judge::{Finding, StepRef};
use crate::model::literal::nth;
use serde::{Deserialize, Serialize};

/// So many steps are shown before the one that failed.
const STEPS_BEFORE: usize = 4;

/// So many characters of a line are told: data of megabytes may stand in one.
const MOST_TEXT: usize = 500;

/// So many of them stand before the part, where the line is longer.
const TEXT_BEFORE: usize = 100;

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
    /// The line as it stands there; of a long one what is around the part.
    pub text: String,
    /// The column at which the text begins, where that is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_column: Option<usize>,
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

    /// The same where the step is one that its file takes from another one.
    pub(crate) fn in_included(included: &[Origin], finding: &Finding) -> Option<Self> {
        let origin = included.get(finding.step()?.step?)?;
        // A file of JSON has no line that a person would look for.
        (origin.number > 0).then(|| Self {
            file: Some(origin.file.clone()),
            ..Self::of(origin.number, &origin.text, finding)
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
        let (text_column, shown) = around(text, column(part.start));
        Self {
            file: None,
            line: number,
            column: column(part.start),
            end_column: column(part.end),
            text: shown.to_owned(),
            text_column: Some(text_column).filter(|column| *column > 1),
            round: round.filter(|round| *round > 1),
        }
    }

    /// The line with a caret under the part, as mistakes of a file are shown. Of a scenario that nobody has at hand the lines before
    /// it are shown too.
    pub(super) fn picture(&self, scenario: Option<&str>) -> String {
        let scenario = scenario.filter(|_| self.file.is_none());
        let before = scenario.map_or_else(String::new, |scenario| self.lines_before(scenario));
        // A report that somebody else has written may count from zero, or have the end before the beginning.
        let byte = |column: usize| {
            let mut starts = self.text.char_indices().map(|(at, _)| at);
            let before = column.saturating_sub(self.text_column.unwrap_or(1));
            starts.nth(before).unwrap_or(self.text.len())
        };
        let round = self.round.map(|round| format!("the {} time", nth(round)));
        let at = |column| before.len() + byte(column);
        let span = at(self.column)..at(self.end_column.max(self.column));
        let first = self.line.saturating_sub(before.lines().count());
        let text = format!("{before}{}", self.text);
        let picture = snippet(self.file.as_deref(), first, &text, span, round.as_deref());
        match (&self.file, self.text_column) {
            (Some(_), Some(_)) => self.with_own_column(picture),
            _ => picture,
        }
    }

    /// The picture of a part of a line with the column of the whole: that in its first line was counted in what is shown.
    fn with_own_column(&self, picture: String) -> String {
        let (head, rest) = picture.split_once('\n').unwrap_or((&picture, ""));
        match head.rsplit_once(':') {
            Some((place, _)) => format!("{place}:{}\n{rest}", self.column),
            None => picture,
        }
    }

    /// The steps before the line, as many as are shown.
    fn lines_before(&self, scenario: &str) -> String {
        let before: Vec<_> = scenario.lines().take(self.line.saturating_sub(1)).collect();
        let steps = before
            .rsplit(|line| line.is_empty())
            .next()
            .unwrap_or_default();
        let last = &steps[steps.len().saturating_sub(STEPS_BEFORE)..];
        last.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// What is told of a line with something at a column, and the column at which that begins.
fn around(text: &str, column: usize) -> (usize, &str) {
    if text.chars().nth(MOST_TEXT).is_none() {
        return (1, text);
    }
    let skipped = (column - 1).saturating_sub(TEXT_BEFORE);
    let mut starts = text.char_indices().map(|(at, _)| at).skip(skipped);
    let from = starts.next().unwrap_or(text.len());
    let to = starts.nth(MOST_TEXT - 1).unwrap_or(text.len());
    (skipped + 1, &text[from..to])
}

/// The line of a printed scenario that a step is, with its number.
fn printed_line<'a>(printed: &'a str, step: &StepRef) -> Option<(usize, &'a str)> {
    let found = printed_steps(printed).nth(step.step?);
    found.filter(|(_, line)| line.trim_start() == step.text)
}

/// The lines of a scenario as it is printed that are steps, each with its number, in the order of the steps.
fn printed_steps(printed: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut lines = (1..).zip(printed.lines());
    // What is above all cases ends in an empty line, too.
    let has_case = lines.any(|(_, line)| line.starts_with("case "));
    let has_steps = has_case && lines.any(|(_, line)| line.is_empty());
    let steps = lines.filter(|(_, line)| line.trim_start() != "end");
    steps.take_while(move |_| has_steps)
}

/// The numbers of those lines.
pub(super) fn step_lines(printed: &str) -> impl Iterator<Item = usize> {
    printed_steps(printed).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Cause, Halt};
    use std::time::Duration;

    #[test]
    fn step_is_found_in_a_printed_scenario_by_its_number_whatever_else_says_the_same() {
        let printed = "case a\n  clients: alice\n\n  alice connect\n  repeat 2\n    alice send \"a\"\n  end\n  alice send \"a\"\n";
        let step = |n, text: &str| StepRef {
            line: 0,
            text: text.to_owned(),
            step: Some(n),
        };
        let line = |n, text| printed_line(printed, &step(n, text)).map(|(number, _)| number);
        let behind = format!("backend: origin origin.toml\n\n{printed}");
        let found = printed_line(&behind, &step(0, "alice connect"));
        assert_eq!(found, Some((6, "  alice connect")));
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
            text_column: None,
            round: Some(12),
        };
        let expected = "
 --> ä.drill:9:14
  |
9 |   ä expect   \"é\"  # é
  |              ^^^ the 12th time";
        assert_eq!(format!("\n{}", place.picture(None)), expected);
    }

    #[test]
    fn failure_of_no_step_of_its_own_stands_at_the_case() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.drill");
        std::fs::write(&path, "# a\ncase b  # c\n\n  alice connect\n").unwrap();
        let file = DrillText::read(&path).unwrap();
        let of = |line: usize| {
            let step = StepRef {
                line,
                text: String::new(),
                step: None,
            };
            let finding = Finding {
                cause: Cause::LeftUnread,
                halt: Some(Box::new(Halt {
                    step,
                    at: Duration::ZERO,
                    round: 1,
                    difference: None,
                })),
                evidence: Vec::new(),
            };
            let place = Place::in_file(&file, 2, &finding).unwrap();
            (place.line, place.column, place.end_column)
        };
        assert_eq!(of(4), (4, 9, 16));
        assert_eq!(of(0), (2, 6, 7));
    }

    #[test]
    fn steps_before_it_are_shown_where_there_is_no_file() {
        let scenario = "case a\n  clients: a\n\n  a connect\n  a send \"é\"\n  a expect \"é\"\n";
        let place = Place {
            file: None,
            line: 6,
            column: 12,
            end_column: 15,
            text: "  a expect \"é\"".to_owned(),
            text_column: None,
            round: None,
        };
        let expected = "
  |
4 |   a connect
5 |   a send \"é\"
6 |   a expect \"é\"
  |            ^^^";
        assert_eq!(format!("\n{}", place.picture(Some(scenario))), expected);
    }

    #[test]
    fn long_line_is_told_around_the_part_with_its_own_columns() {
        let ours = "é".repeat(MOST_TEXT);
        assert_eq!(around(&ours, 7), (1, &ours[..]));
        let line = format!("{}X{}", "é".repeat(4_000), "ü".repeat(4_000));
        let (text_column, text) = around(&line, 4_001);
        assert_eq!((text_column, text.chars().count()), (3_901, MOST_TEXT));
        assert_eq!(around(&line, 1), (1, &line[..2 * MOST_TEXT]));
        let place = Place {
            file: Some("a.drill".to_owned()),
            line: 9,
            column: 4_001,
            end_column: 4_002,
            text: text.to_owned(),
            text_column: Some(text_column),
            round: None,
        };
        let picture = place.picture(None);
        assert!(picture.starts_with(" --> a.drill:9:4001\n"), "{picture}");
        let [line, mark] = [2, 3].map(|n| picture.lines().nth(n).unwrap());
        let column = |line: &str, what| line.chars().position(|c| c == what);
        assert_eq!(column(line, 'X'), column(mark, '^'), "{picture}");
    }

    #[test]
    fn place_that_is_none_is_shown_as_far_as_it_goes() {
        let numbers = [0, 1, 2, 99];
        for (line, column) in numbers.iter().flat_map(|n| numbers.map(|m| (*n, m))) {
            let place = Place {
                file: None,
                line,
                column,
                end_column: 0,
                text: "é".to_owned(),
                text_column: Some(column),
                round: None,
            };
            assert!(place.picture(Some("case a\n\n  a connect\n")).contains('é'));
        }
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
