//! The report as text.

use super::data::{Outcome, Summary};
use super::piece::{Piece, unbroken};
use super::written::{Written, WrittenCheck};
use crate::foreign::TERMINAL;
use crate::model::literal::Shown;
use std::fmt::Write as _;
use std::time::Duration;

/// What is said where a run ends with its first finding.
const SERVES_NOBODY: [&str; 2] = [
    "The run ends here: the server, as its profile describes it, does not serve a polite client, so that nothing else can be told of it.",
    "Correct the profile where it is wrong (`sockdrill learn` writes one from what a client of its own says to it), or else the server.",
];

/// How far what belongs to a line is indented below it, and what belongs to that.
const INDENT: usize = 2;
const DEEPER: usize = 4;

/// How far evidence goes on below itself.
const EVIDENCE: usize = 6;

/// How far a line of a result goes on below its name.
const HANG: usize = 16;

/// The same of an observation: below its value.
const OBSERVED: usize = 27;

/// So many lines are seen at once on a terminal that nobody has made larger.
const SCREEN: usize = 24;

impl Written {
    /// The lines of all results, but of what was skipped.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let tried = self.checks.iter().filter(|check| !check.is_skipped());
        tried.map(WrittenCheck::line)
    }

    /// The last lines of a run: the passport, every failure in full, and the counts.
    pub(crate) fn closing_text(&self) -> String {
        let mut pieces = self.observed();
        pieces.extend(self.told());
        let counts = self.counts().join("\n");
        TERMINAL
            .text(&format!("{}\n{counts}\n", unbroken(&pieces)))
            .into_owned()
    }

    /// What was observed and not judged.
    pub(crate) fn observed(&self) -> Vec<Piece> {
        let rows = self.observations.iter().map(|(name, value)| {
            let name = format!("  {name:<24} ");
            Piece::prose(name, OBSERVED, value)
        });
        let head = [Piece::gap(), Piece::exact("observed, not judged:")];
        let head = head.into_iter().filter(|_| !self.observations.is_empty());
        head.chain(rows).collect()
    }

    /// Every failure in full, and all else that is to be looked at.
    pub(crate) fn told(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for checks in self.told_findings() {
            pieces.push(Piece::gap());
            pieces.extend(finding(&checks));
        }
        for check in self.told_alone() {
            pieces.push(Piece::gap());
            pieces.extend(check.told());
        }
        if self.serves_nobody {
            pieces.push(Piece::gap());
            pieces.extend(SERVES_NOBODY.map(|text| Piece::prose("", 0, text)));
        }
        if let Some(timings) = &self.timings {
            pieces.push(Piece::gap());
            pieces.extend(timings.table(&self.checks, self.duration_ms));
        }
        pieces
    }

    /// The findings that are told: the simplest check of one may be listed as known, and another may not.
    fn told_findings(&self) -> Vec<Vec<&WrittenCheck>> {
        let mut findings = self.findings();
        findings.retain(|checks| checks.iter().any(|check| check.is_told()));
        findings
    }

    /// What is told and is no finding: what proved nothing and shows why, and what is listed as known and passes.
    fn told_alone(&self) -> impl Iterator<Item = &WrittenCheck> {
        let is_unclear = |check: &&WrittenCheck| {
            check.verdict == Outcome::Inconclusive && !check.evidence.is_empty()
        };
        let is_no_finding = |check: &&WrittenCheck| check.cause.is_none() && check.is_told();
        let unclear = self.checks.iter().filter(is_unclear);
        unclear.chain(self.checks.iter().filter(is_no_finding))
    }

    /// The lines of the failures once more, where there are several and what was told of them in full has left the screen by now.
    pub(crate) fn told_again(&self) -> Vec<Piece> {
        let findings = self.told_findings();
        let findings = findings.iter().map(|checks| again(checks));
        let others = self.checks.iter();
        let others = others.filter(|check| check.cause.is_none() && check.is_told());
        let lines: Vec<Piece> = findings
            .chain(others.map(WrittenCheck::line_piece))
            .collect();
        match lines.len() > 1 && self.told().len() > SCREEN {
            true => [Piece::gap()].into_iter().chain(lines).collect(),
            false => Vec::new(),
        }
    }

    /// What was skipped, a line for each reason.
    pub(crate) fn skipped(&self) -> Vec<Piece> {
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for check in self.checks.iter().filter(|check| check.is_skipped()) {
            let reason = check.reason.as_deref().unwrap_or_default();
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => reasons.push((reason, 1)),
            }
        }
        let line = |(reason, count): (&str, usize)| {
            let all = counted(count, self.word());
            Piece::prose(verdict("skipped"), HANG, format!("{all}: {reason}"))
        };
        reasons.into_iter().map(line).collect()
    }

    /// What is to be said of the run beside its counts: how many findings there are, where that says something, and what the budget or
    /// the user left out.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let findings = self.findings_in_words().into_iter();
        findings.chain(self.left_out_of_it()).collect()
    }

    /// What the budget or the user left out.
    pub(super) fn left_out_of_it(&self) -> Vec<String> {
        let lines = [
            self.left_out_in_words(),
            self.not_begun_in_words(),
            self.interrupted_in_words(),
        ];
        lines.into_iter().flatten().collect()
    }

    /// The last lines of a run: its remarks, how many results, and where it ran.
    pub(super) fn counts(&self) -> Vec<String> {
        let remarks = self.remarks().into_iter();
        let place = self.place_in_words().into_iter();
        let all = remarks.chain([self.totals()]).chain(place);
        all.collect()
    }

    /// The counts, the time and the seed, in a line.
    pub(crate) fn totals(&self) -> String {
        format!(
            "{} in {:.1} s (seed {}, isolation {})",
            self.summary.in_words(),
            Duration::from_millis(self.duration_ms).as_secs_f64(),
            self.seed,
            self.isolation
        )
    }

    /// Why there was no namespace, or what else is to be known of where the server ran.
    pub(crate) fn place_in_words(&self) -> Vec<String> {
        let place = match (&self.isolation_reason, &self.writes_reason) {
            (Some(why), _) => Some(format!(
                "no namespace: {why}; `sockdrill doctor` tells how to permit it"
            )),
            (None, Some(why)) => Some(format!("servers write to the host's own files: {why}")),
            (None, None) => None,
        };
        let elsewhere = self.elsewhere.as_ref().map(|address| {
            format!(
                "somebody else has started the server at {address}: only what its clients see was judged"
            )
        });
        place.into_iter().chain(elsewhere).collect()
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

/// Whether a line of evidence is a sentence. An event stands behind its time, and what the server printed is indented too.
fn is_sentence(line: &str) -> bool {
    !line.starts_with([' ', '!', '\t'])
}

/// A number of things.
fn counted(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// What stands in front of the line of a result.
fn verdict(word: &str) -> String {
    format!("{word:<13} ")
}

/// A defect in full: the check that shows it most simply, and the names of those that it also fails.
fn finding(checks: &[&WrittenCheck]) -> Vec<Piece> {
    let also: Vec<&str> = checks[1..].iter().map(|check| check.id.as_str()).collect();
    let mut pieces = checks[0].told();
    if !also.is_empty() {
        let also = format!("also shown by: {}", also.join(", "));
        pieces.push(Piece::prose("  ", DEEPER, also));
    }
    pieces
}

/// The line of a defect.
fn again(checks: &[&WrittenCheck]) -> Piece {
    let also = checks.len() - 1;
    match (checks[0].line_piece(), also) {
        (Piece::Prose { lead, hang, text }, 1..) => Piece::Prose {
            lead,
            hang,
            text: format!("{text} (and {also} more)"),
        },
        (line, _) => line,
    }
}

impl WrittenCheck {
    /// The line of a result in the list.
    pub(super) fn line(&self) -> String {
        self.line_piece().unbroken()
    }

    /// The same, where it may be broken.
    pub(crate) fn line_piece(&self) -> Piece {
        let reason = self.reason.as_ref().or(self.tried.as_ref());
        let reason = match (&self.under, reason) {
            (Some(head), _) => format!("  as {head} shows"),
            (None, Some(reason)) => format!("  {reason}"),
            (None, None) => String::new(),
        };
        let text = format!("{}{reason}", self.id);
        Piece::prose(verdict(self.verdict.word()), HANG, text)
    }

    fn is_skipped(&self) -> bool {
        self.verdict == Outcome::Skip
    }

    /// Whether it is told in full.
    fn is_told(&self) -> bool {
        matches!(self.verdict, Outcome::Fail | Outcome::Flaky | Outcome::Warn)
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
        unbroken(&self.told())
    }

    /// The same in pieces.
    fn told(&self) -> Vec<Piece> {
        let head = format!("{}: {}", self.id, self.requirement);
        let mut pieces = vec![Piece::prose("", INDENT, head)];
        let reason = self.reason.as_ref();
        pieces.extend(reason.map(|reason| Piece::prose("  ", INDENT, reason)));
        pieces.extend(Piece::lines("  ", &self.picture()));
        let evidence = self.evidence.iter();
        pieces.extend(evidence.map(|line| match is_sentence(line) {
            true => Piece::prose("    ", EVIDENCE, line),
            false => Piece::exact(format!("    {line}")),
        }));
        if let Some(coverage) = &self.coverage {
            let until_then = format!("until then: {}", coverage.text);
            pieces.push(Piece::prose("  ", DEEPER, until_then));
        }
        if let Some(fix) = &self.fix {
            pieces.push(Piece::prose("  ", DEEPER, format!("fix: {fix}")));
            let more = format!("  more: sockdrill explain {}", self.id);
            pieces.push(Piece::exact(more));
        }
        let repeat = self.reproduce.iter();
        pieces.extend(repeat.map(|command| Piece::exact(format!("  repeat: {command}"))));
        pieces
    }
}
