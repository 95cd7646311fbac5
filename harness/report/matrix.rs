//! What several targets came to, side by side: a row for each check that they do not agree on, or that fails somewhere.

use super::data::Outcome;
use super::written::Written;
use crate::model::error::in_one_line;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// As many columns as a terminal has at least.
const WIDTH: usize = 80;

/// So many rows that say the same are told one by one, where none of them is a failure or a doubt: more are folded into a line.
const MOST_ALIKE: usize = 5;

/// What is between two columns.
const GAP: usize = 2;

/// How a result of one target is shown; the words are no longer than this.
const CELL: usize = 5;

/// The verdicts of several targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Matrix {
    /// The columns.
    pub targets: Vec<String>,
    /// The checks that the targets do not agree on, or that fail somewhere, in the order of the table.
    pub rows: Vec<Row>,
    /// The other checks, by what they came to on each target that they were tried on.
    pub agreed: BTreeMap<String, Vec<String>>,
    /// The targets that could not be started, and why: nothing else is known of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_started: BTreeMap<String, String>,
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The check, or the case.
    pub id: String,
    /// A verdict for each column; none where it is not in the target's report.
    pub verdicts: Vec<Option<Outcome>>,
}

impl Row {
    /// The verdict that all have who have one, where it is no failure.
    fn agreed(&self) -> Option<Outcome> {
        let mut verdicts = self.verdicts.iter().flatten();
        let first = *verdicts.next()?;
        let is_good = match first {
            Outcome::Pass | Outcome::Skip => true,
            // Of one alone it is no agreement that nothing is known.
            Outcome::Inconclusive => self.verdicts.iter().all(Option::is_some),
            _ => false,
        };
        (is_good && verdicts.all(|other| *other == first)).then_some(first)
    }

    /// Whether it only says where a check does not apply.
    fn says_where_it_applies(&self) -> bool {
        let mut verdicts = self.verdicts.iter().flatten();
        verdicts.all(|verdict| matches!(verdict, Outcome::Pass | Outcome::Skip))
    }
}

impl Matrix {
    /// The verdicts of these reports, a column each.
    pub(crate) fn of(reports: &[Written]) -> Self {
        let mut matrix = Self {
            targets: reports.iter().map(|one| one.target.clone()).collect(),
            not_started: reports.iter().filter_map(not_started).collect(),
            ..Self::default()
        };
        for row in all_rows(reports) {
            match row.agreed() {
                Some(verdict) => {
                    let agreed = matrix.agreed.entry(verdict.word().to_owned());
                    agreed.or_default().push(row.id);
                }
                None => matrix.rows.push(row),
            }
        }
        matrix
    }

    /// The table for people, in as many parts as its columns take.
    pub(crate) fn text(&self) -> String {
        let (told, folded): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| self.is_told(row));
        let mut text = match told.is_empty() {
            true => String::new(),
            false => self.table(&told),
        };
        for line in self.folded(&folded) {
            let _ = writeln!(text, "{line}");
        }
        for line in self.notes() {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// What stands below the rows: a line for each target that could not be started, and one for each verdict that all agree on.
    pub(super) fn notes(&self) -> Vec<String> {
        let not_started = self.not_started.iter();
        let not_started = not_started.map(|(target, why)| format!("{target}: {why}"));
        let agreed = self.agreed.iter();
        let agreed = agreed.map(|(word, ids)| {
            let said = agreement(word, ids.len());
            match self.not_started.is_empty() {
                true => said,
                false => said.replace(" on all", " on all others"),
            }
        });
        not_started.chain(agreed).collect()
    }

    /// Whether a row is one of the table: those are folded that differ in where a check applies, and in the same way as many others.
    fn is_told(&self, row: &Row) -> bool {
        let mut alike = self.rows.iter();
        let alike = alike
            .by_ref()
            .filter(|other| other.verdicts == row.verdicts);
        !row.says_where_it_applies() || alike.count() <= MOST_ALIKE
    }

    /// A line for each set of rows that say the same.
    fn folded(&self, rows: &[&Row]) -> Vec<String> {
        let mut sets: BTreeMap<&[Option<Outcome>], usize> = BTreeMap::new();
        for row in rows {
            *sets.entry(&row.verdicts).or_default() += 1;
        }
        let line = |(verdicts, many): (&[Option<Outcome>], usize)| {
            let on = |wanted| {
                let columns = verdicts.iter().zip(&self.targets);
                let on = columns.filter(|(verdict, _)| **verdict == Some(wanted));
                on.map(|(_, target)| target.as_str()).collect::<Vec<_>>()
            };
            let (passes, skips) = (on(Outcome::Pass), on(Outcome::Skip));
            format!(
                "{many} checks pass on {} and do not apply to {}",
                passes.join(", "),
                skips.join(", ")
            )
        };
        sets.into_iter().map(line).collect()
    }

    fn table(&self, rows: &[&Row]) -> String {
        let first = rows.iter().map(|row| row.id.chars().count()).max();
        let first = first.unwrap_or_default();
        let named: usize = self.widths().iter().map(|width| width + GAP).sum();
        if first + named <= WIDTH {
            return part(rows, first, &self.targets, &self.widths(), 0);
        }
        self.numbered(rows, first)
    }

    /// How wide columns are that have their names above them.
    fn widths(&self) -> Vec<usize> {
        let names = self.targets.iter();
        names.map(|name| name.chars().count().max(CELL)).collect()
    }

    /// The table with a number for each column, and as many columns beside each other as there is room for.
    fn numbered(&self, rows: &[&Row], first: usize) -> String {
        let mut text = String::new();
        for (n, target) in self.targets.iter().enumerate() {
            let _ = writeln!(text, "{:>3}  {target}", n + 1);
        }
        let numbers: Vec<String> = (1..=self.targets.len()).map(|n| n.to_string()).collect();
        let most = (WIDTH.saturating_sub(first) / (CELL + GAP)).max(1);
        for (n, numbers) in numbers.chunks(most).enumerate() {
            let widths = vec![CELL; numbers.len()];
            let _ = write!(text, "\n{}", part(rows, first, numbers, &widths, n * most));
        }
        text
    }
}

/// The columns from one on, with what stands above them.
fn part(rows: &[&Row], first: usize, names: &[String], widths: &[usize], from: usize) -> String {
    let line = |id: &str, cells: &[&str]| {
        let mut line = format!("{id:<first$}");
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(line, "{:GAP$}{cell:<width$}", "");
        }
        format!("{}\n", line.trim_end())
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut text = line("", &names);
    for row in rows {
        let verdicts = row.verdicts.iter().skip(from).take(names.len());
        let cells: Vec<&str> = verdicts.map(|verdict| cell(*verdict)).collect();
        text.push_str(&line(&row.id, &cells));
    }
    text
}

/// What stands in a cell.
fn cell(verdict: Option<Outcome>) -> &'static str {
    match verdict {
        None => "",
        Some(Outcome::Inconclusive) => "?",
        Some(Outcome::Skip) => "-",
        Some(verdict) => verdict.word(),
    }
}

/// A target that could not be started, and why, in a line.
fn not_started(report: &Written) -> Option<(String, String)> {
    let mut checks = report.checks.iter();
    let start = checks.find(|check| check.family == "start" && check.could_not_run())?;
    let why = in_one_line(start.reason.as_deref().unwrap_or_default());
    Some((report.target.clone(), why))
}

/// What is said of checks that came to the same wherever they were tried.
fn agreement(word: &str, many: usize) -> String {
    let checks = if many == 1 {
        "1 check"
    } else {
        &format!("{many} checks")
    };
    match (word, many) {
        ("pass", 1) => format!("{checks} passes on all"),
        ("pass", _) => format!("{checks} pass on all"),
        ("skip", 1) => format!("{checks} applies to none"),
        ("skip", _) => format!("{checks} apply to none"),
        (word, 1) => format!("{checks} is {word} on all"),
        (word, _) => format!("{checks} are {word} on all"),
    }
}

/// A row for each check that any of the reports has, in the order of the table.
fn all_rows(reports: &[Written]) -> Vec<Row> {
    let mut places: Vec<(usize, &str)> = Vec::new();
    let mut verdicts: BTreeMap<&str, Vec<Option<Outcome>>> = BTreeMap::new();
    for (n, report) in reports.iter().enumerate() {
        for check in &report.checks {
            let row = verdicts.entry(&check.id).or_insert_with(|| {
                places.push((check.place, &check.id));
                vec![None; reports.len()]
            });
            row[n] = Some(check.verdict);
        }
    }
    places.sort_by_key(|(place, _)| *place);
    let row = |(_, id): (usize, &str)| Row {
        id: id.to_owned(),
        verdicts: verdicts.remove(id).unwrap_or_default(),
    };
    places.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Fail, Inconclusive, Pass, Skip};

    fn matrix(targets: &[&str], rows: &[(&str, &[Option<Outcome>])]) -> Matrix {
        let row = |(id, verdicts): &(&str, &[Option<Outcome>])| Row {
            id: (*id).to_owned(),
            verdicts: verdicts.to_vec(),
        };
        Matrix {
            targets: targets.iter().map(|name| (*name).to_owned()).collect(),
            rows: rows.iter().map(row).collect(),
            agreed: BTreeMap::from([
                ("pass".to_owned(), vec!["a".to_owned(); 41]),
                ("skip".to_owned(), vec!["b".to_owned()]),
            ]),
            not_started: BTreeMap::new(),
        }
    }

    #[test]
    fn row_says_what_each_target_came_to_below_its_name() {
        let told = matrix(
            &["echo", "uppercase"],
            &[
                ("reset/one-of-them", &[Some(Pass), Some(Fail)]),
                ("stop/exit", &[Some(Inconclusive), Some(Pass)]),
                ("start/again", &[None, Some(Fail)]),
            ],
        );
        let wanted = "                   echo   uppercase
reset/one-of-them  pass   fail
stop/exit          ?      pass
start/again               fail
41 checks pass on all
1 check applies to none
";
        assert_eq!(told.text(), wanted);
        let why = ("absent".to_owned(), "no such program".to_owned());
        let told = Matrix {
            not_started: BTreeMap::from([why]),
            ..told
        };
        let notes = ["absent: no such program", "41 checks pass on all others"];
        assert_eq!(told.notes()[..2], notes);
    }

    #[test]
    fn more_targets_than_fit_have_numbers_and_parts_of_eighty_columns() {
        let names: Vec<String> = (0..30).map(|n| format!("a server of number {n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let verdicts = [Some(Fail); 30];
        let told = matrix(&names, &[("reset/one-of-them", &verdicts)]).text();
        assert!(told.lines().all(|line| line.len() <= WIDTH), "{told}");
        assert!(told.contains(" 30  a server of number 29"), "{told}");
        assert_eq!(told.matches("fail").count(), 30, "{told}");
        assert_eq!(told.matches("\nreset/one-of-them").count(), 4, "{told}");
    }

    #[test]
    fn many_checks_that_do_not_apply_to_the_same_targets_are_one_line() {
        let ids: Vec<String> = (0..7).map(|n| format!("tcp/{n}")).collect();
        let verdicts = [Some(Pass), Some(Skip)];
        let mut rows: Vec<(&str, &[Option<Outcome>])> =
            ids.iter().map(|id| (id.as_str(), &verdicts[..])).collect();
        rows.push(("udp/only", &[Some(Skip), Some(Pass)]));
        let told = matrix(&["tcp", "udp"], &rows).text();
        assert!(
            told.contains("7 checks pass on tcp and do not apply to udp\n"),
            "{told}"
        );
        assert!(told.contains("udp/only  -      pass\n"), "{told}");
        assert!(!told.contains("tcp/3"), "{told}");
    }

    #[test]
    fn failure_on_all_targets_is_a_row_and_what_was_not_tried_is_no_disagreement() {
        let row = |verdicts: &[Option<Outcome>]| Row {
            id: String::new(),
            verdicts: verdicts.to_vec(),
        };
        assert_eq!(row(&[Some(Fail), Some(Fail)]).agreed(), None);
        assert_eq!(row(&[Some(Pass), Some(Inconclusive)]).agreed(), None);
        assert_eq!(row(&[Some(Pass), None, Some(Pass)]).agreed(), Some(Pass));
        assert_eq!(row(&[None, Some(Inconclusive)]).agreed(), None);
    }
}
