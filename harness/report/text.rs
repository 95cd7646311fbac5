//! The report as text.

use super::data::{Outcome, Summary};
use super::written::{Written, WrittenCheck};
use crate::foreign::TERMINAL;
use crate::model::literal::Shown;
use std::fmt::Write as _;
use std::time::Duration;

/// What is said where a run ends with its first finding.
const SERVES_NOBODY: &str = "\nThe run ends here: the server, as its profile describes it, does not serve a polite client, so that nothing else \
    can be told of it.\nCorrect the profile where it is wrong (`sockdrill learn` writes one from what a client of its own says to it), or else the server.\n";

impl Written {
    /// The lines of all results.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.checks.iter().map(WrittenCheck::line)
    }

    /// The last lines of a run: the passport, every failure in full, and the counts.
    pub(crate) fn closing_text(&self) -> String {
        let mut text = String::new();
        if !self.observations.is_empty() {
            text.push_str("\nobserved, not judged:\n");
            for (name, value) in &self.observations {
                let _ = writeln!(text, "  {name:<24} {value}");
            }
        }
        let is_told = |check: &WrittenCheck| {
            matches!(
                check.verdict,
                Outcome::Fail | Outcome::Flaky | Outcome::Warn
            )
        };
        let mut findings = self.findings();
        // Its simplest check may be listed as known, and another may not.
        findings.retain(|checks| checks.iter().any(|check| is_told(check)));
        for checks in findings {
            let _ = write!(text, "\n{}", finding(&checks));
        }
        let is_unclear = |check: &&WrittenCheck| {
            check.verdict == Outcome::Inconclusive && !check.evidence.is_empty()
        };
        for check in self.checks.iter().filter(is_unclear) {
            let _ = write!(text, "\n{}", check.details());
        }
        // What is listed as known and passes is no finding, and has to be looked at.
        let is_no_finding = |check: &&WrittenCheck| check.cause.is_none() && is_told(check);
        for check in self.checks.iter().filter(is_no_finding) {
            let _ = write!(text, "\n{}", check.details());
        }
        if self.serves_nobody {
            text.push_str(SERVES_NOBODY);
        }
        if let Some(timings) = &self.timings {
            let _ = write!(text, "\n{}", timings.table(&self.checks, self.duration_ms));
        }
        let _ = writeln!(text, "\n{}", self.counts().join("\n"));
        TERMINAL.text(&text).into_owned()
    }

    /// The last lines of a run: how many findings there are, where that says something, what the budget or the user left out, and
    /// how many results.
    pub(super) fn counts(&self) -> Vec<String> {
        let findings = self.findings_in_words().into_iter();
        let lines = findings.chain(self.remarks());
        lines.chain([self.summary_line()]).collect()
    }

    /// What the budget or the user left out.
    pub(super) fn remarks(&self) -> Vec<String> {
        let lines = [
            self.left_out_in_words(),
            self.not_begun_in_words(),
            self.interrupted_in_words(),
        ];
        lines.into_iter().flatten().collect()
    }

    /// The counts, the time and the seed, in a line; a second one says why there was no namespace.
    pub(super) fn summary_line(&self) -> String {
        let mut line = self.summary.in_words();
        let _ = write!(
            line,
            " in {:.1} s (seed {}, isolation {})",
            Duration::from_millis(self.duration_ms).as_secs_f64(),
            self.seed,
            self.isolation
        );
        if let Some(why) = &self.isolation_reason {
            let _ = write!(
                line,
                "\nno namespace: {why}; `sockdrill doctor` tells how to permit it"
            );
        } else if let Some(why) = &self.writes_reason {
            let _ = write!(line, "\nservers write to the host's own files: {why}");
        }
        if let Some(address) = &self.elsewhere {
            let _ = write!(
                line,
                "\nsomebody else has started the server at {address}: only what its clients see was judged"
            );
        }
        line
    }

    /// How many results the budget left no time for, where it left out any.
    fn left_out_in_words(&self) -> Option<String> {
        let budget = Duration::from_millis(self.budget_ms?);
        let left_out = self.left_out();
        let all = self.checks.len();
        let (word, budget) = (self.word(), Shown(budget));
        let words = format!(
            "left out: {left_out} of {all} {word}s, for which the budget of {budget} was too short"
        );
        (left_out > 0).then_some(words)
    }

    /// How many results were not tried because enough had failed, where there are such.
    fn not_begun_in_words(&self) -> Option<String> {
        let (missing, all, word) = (self.not_begun(), self.checks.len(), self.word());
        let words = format!("left out: {missing} of {all} {word}s, since enough had failed");
        (missing > 0).then_some(words)
    }

    /// How many results the user did not wait for, where he has ended the run.
    fn interrupted_in_words(&self) -> Option<String> {
        let (missing, all, word) = (self.not_waited_for(), self.checks.len(), self.word());
        let words = match missing {
            0 => format!("interrupted, when all {word}s were concluded"),
            _ => format!("interrupted: {missing} of {all} {word}s were not tried to their end"),
        };
        self.interrupted.then_some(words)
    }

    /// How many defects have failed checks, and how many checks, where that is more than one.
    pub(super) fn findings_in_words(&self) -> Option<String> {
        let fails = |check: &&WrittenCheck| check.verdict == Outcome::Fail && check.cause.is_some();
        let findings = self.findings();
        let findings = findings.iter().filter(|checks| checks.iter().any(fails));
        let findings: Vec<usize> = findings
            .map(|checks| checks.iter().filter(|check| fails(check)).count())
            .collect();
        let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let shown_by: usize = findings.iter().sum();
        let n = findings.len();
        let words = format!(
            "{}, shown by {}",
            counted(n, "finding"),
            counted(shown_by, self.word())
        );
        (shown_by > 1).then_some(words)
    }

    /// What its results are of: only cases belong to files.
    fn word(&self) -> &'static str {
        let mut cases = self.checks.iter();
        match cases.any(|check| !check.id.contains("::")) {
            true => "check",
            false => "case",
        }
    }
}

impl Summary {
    /// How many results came out in each way.
    pub(crate) fn in_words(&self) -> String {
        let mut words = format!(
            "{} passed, {} failed, {} inconclusive, {} skipped",
            self.pass, self.fail, self.inconclusive, self.skip
        );
        let rare = [
            (self.flaky, "flaky"),
            (self.known, "known"),
            (self.warn, "warned"),
        ];
        for (count, word) in rare {
            if count > 0 {
                let _ = write!(words, ", {count} {word}");
            }
        }
        words
    }
}

/// A defect in full: the check that shows it most simply, and the names of those that it also fails.
fn finding(checks: &[&WrittenCheck]) -> String {
    let also: Vec<&str> = checks[1..].iter().map(|check| check.id.as_str()).collect();
    let mut text = checks[0].details();
    if !also.is_empty() {
        let _ = writeln!(text, "  also shown by: {}", also.join(", "));
    }
    text
}

impl WrittenCheck {
    /// The line of a result in the list.
    pub(super) fn line(&self) -> String {
        let reason = self.reason.as_ref().or(self.tried.as_ref());
        let reason = match (&self.under, reason) {
            (Some(head), _) => format!("  as {head} shows"),
            (None, Some(reason)) => format!("  {reason}"),
            (None, None) => String::new(),
        };
        let line = format!("{:<13} {}{reason}", self.verdict.word(), self.id);
        TERMINAL.text(&line).into_owned()
    }

    /// What was done for the result: scenarios, cuts, time.
    pub(super) fn effort(&self) -> String {
        let mut text = match self.scenarios {
            1 => "1 scenario".to_owned(),
            n => format!("{n} scenarios"),
        };
        if let Some(coverage) = &self.coverage {
            let _ = write!(text, ", {}", coverage.text);
        }
        let _ = write!(text, ", {:.1} s", self.duration_ms as f64 / 1e3);
        text
    }

    /// A failure in full: id, requirement, what was seen, how to repeat it.
    pub(super) fn details(&self) -> String {
        let mut text = format!("{}: {}\n", self.id, self.requirement);
        if let Some(reason) = &self.reason {
            let _ = writeln!(text, "  {reason}");
        }
        for line in self.picture().lines() {
            let _ = writeln!(text, "  {line}");
        }
        for line in &self.evidence {
            let _ = writeln!(text, "    {line}");
        }
        if let Some(coverage) = &self.coverage {
            let _ = writeln!(text, "  until then: {}", coverage.text);
        }
        if let Some(fix) = &self.fix {
            let _ = writeln!(text, "  fix: {fix}\n  more: sockdrill explain {}", self.id);
        }
        if let Some(reproduce) = &self.reproduce {
            let _ = writeln!(text, "  repeat: {reproduce}");
        }
        TERMINAL.text(&text).into_owned()
    }
}
