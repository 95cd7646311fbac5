//! A report as it is written down: what all its forms are made of, and what is read back of it.

use super::concluded::{NoTests, TooLittle};
use super::data::{CheckResult, Outcome, Report, Shows, Summary, Tries};
use super::findings::{Told, grouped};
use super::place::Place;
use super::step;
use super::timings::WrittenTimings;
use crate::foreign::JSON;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{Cause, Verdict};
use crate::model::error::{Error, ExitCode};
use crate::model::invariant::Invariant;
use crate::model::text_file::Kind;
use crate::transcript::difference::Difference;
use crate::transcript::event::EventLine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The version of the format.
const FORMAT: u32 = 1;

/// All of a report. What can be told from the rest is written for its readers, and told anew when it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub format: u32,
    pub target: String,
    pub isolation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
    pub seed: u64,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serves_nobody: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky_fails: bool,
    pub summary: Summary,
    pub checks: Vec<WrittenCheck>,
    #[serde(default)]
    pub findings: Vec<WrittenFinding>,
    pub observations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<WrittenTimings>,
}

/// One result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenCheck {
    pub id: String,
    pub family: String,
    pub requirement: String,
    pub verdict: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<Tries>,
    pub scenarios: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<WrittenCoverage>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<WrittenCause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<String>,
    #[serde(default)]
    pub place: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shows: Option<Shows>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_ms: Option<BTreeMap<String, u64>>,
}

/// What a failure is about, for programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenCause {
    pub kind: String,
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invariant: Option<String>,
    pub data: serde_json::Value,
}

/// One defect: the check that shows it most simply, and all that fail for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenFinding {
    pub key: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    pub checks: Vec<String>,
}

/// Counts for programs, and the words of the text report for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenCoverage {
    pub cut_points: usize,
    pub of: usize,
    pub text: String,
}

impl From<&Coverage> for WrittenCoverage {
    fn from(coverage: &Coverage) -> Self {
        Self {
            cut_points: coverage.covered(),
            of: coverage.places(),
            text: coverage.to_string(),
        }
    }
}

impl From<&Cause> for WrittenCause {
    fn from(cause: &Cause) -> Self {
        Self {
            kind: cause.kind().to_owned(),
            key: cause.key(),
            invariant: cause
                .invariant()
                .map(|broken| Invariant::name(broken).to_owned()),
            // Strings and numbers only: there is nothing in it that cannot be written.
            data: serde_json::to_value(cause).unwrap_or_default(),
        }
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl WrittenCheck {
    pub(super) fn of(result: &CheckResult) -> Self {
        let fails = result.cause().is_some();
        let (expected, actual) = result.cause().and_then(step::pair).unzip();
        let halt = result.finding().and_then(|finding| finding.halt.as_ref());
        let wrong = result.wrong_event();
        let transcript = result.transcript.iter();
        let transcript = transcript.filter(|_| fails && result.under.is_none());
        let transcript = transcript.map(|line| EventLine {
            is_wrong: wrong.is_some_and(|wrong| (wrong.at, &wrong.text) == (line.at, &line.text)),
            ..line.clone()
        });
        Self {
            id: result.id.clone(),
            family: result.family.clone(),
            requirement: result.requirement.clone(),
            verdict: result.outcome(),
            tries: result.tries,
            scenarios: result.scenarios,
            coverage: result.coverage.as_ref().map(WrittenCoverage::from),
            duration_ms: milliseconds(result.duration),
            reason: result.reason(),
            at: result.at.clone(),
            expected,
            actual,
            difference: halt.and_then(|halt| halt.difference.clone()),
            cause: result.cause().map(WrittenCause::from),
            under: result.under.clone(),
            doubt: match &result.verdict {
                Verdict::Inconclusive(doubt) => Some(doubt.kind().to_owned()),
                Verdict::Pass | Verdict::Fail(_) | Verdict::Skip(_) => None,
            },
            evidence: result.evidence(),
            fix: result.fix.clone().filter(|_| fails),
            reproduce: result.reproduce.clone(),
            scenario: result.scenario.clone(),
            tried: result.tried.clone(),
            transcript: transcript.map(|line| line.to_string()).collect(),
            place: result.place,
            shows: result.shows.clone(),
            spent_ms: None,
        }
    }

    #[cfg(feature = "cli")]
    pub(super) fn to_json(&self) -> String {
        in_json(self)
    }

    /// Whether its server could not even be started.
    pub(super) fn could_not_run(&self) -> bool {
        self.doubt.as_deref() == Some("could-not-run")
    }

    /// Whether the run's budget left no time for it.
    pub(super) fn is_left_out(&self) -> bool {
        self.doubt.as_deref() == Some("out-of-budget")
    }
}

impl Written {
    /// Reads a report of `--json`.
    ///
    /// # Errors
    /// The file cannot be read, or is no report, or one of another format.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = Kind::REPORT.read(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of such a report; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Written::read`].
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let malformed = |message: String| Error::Malformed {
            file: name.to_owned(),
            message,
        };
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| malformed(format!("this is no report of --json: {error}")))?;
        let format = &value["format"];
        if format
            .as_u64()
            .is_some_and(|format| format != u64::from(FORMAT))
        {
            let message =
                format!("this report has format {format}, and format {FORMAT} is understood");
            return Err(malformed(message));
        }
        let written: Self = serde_json::from_value(value)
            .map_err(|error| malformed(format!("this is no report of --json: {error}")))?;
        Ok(written.summed_up())
    }

    pub(super) fn of(report: &Report) -> Self {
        let checks = report.results.iter().map(|result| WrittenCheck {
            spent_ms: report
                .timings
                .as_ref()
                .map(|_| WrittenTimings::of_one(&result.spent)),
            ..WrittenCheck::of(result)
        });
        let written = Self {
            format: FORMAT,
            target: report.target.clone(),
            isolation: report.isolation.clone(),
            isolation_reason: report.why_host.clone(),
            writes_reason: report.why_writes_to_host.clone(),
            elsewhere: report.elsewhere.clone(),
            seed: report.seed,
            duration_ms: milliseconds(report.duration),
            budget_ms: report.budget.map(milliseconds),
            partition: report.partition.map(|partition| partition.to_string()),
            serves_nobody: report.serves_nobody,
            interrupted: report.interrupted,
            flaky_fails: report.flaky_fails,
            summary: Summary::default(),
            checks: checks.collect(),
            findings: Vec::new(),
            observations: report.observations.clone(),
            timings: report.timings.as_ref().map(WrittenTimings::of),
        };
        written.summed_up()
    }

    /// The same with what is told from its results.
    pub(crate) fn summed_up(mut self) -> Self {
        self.summary = Summary::of(self.checks.iter().map(|check| check.verdict));
        let findings = self.findings().into_iter().map(|checks| WrittenFinding {
            key: checks[0]
                .cause
                .as_ref()
                .map_or_else(String::new, |cause| cause.key.clone()),
            reason: checks[0].reason.clone().unwrap_or_default(),
            fix: checks[0].fix.clone(),
            checks: checks.iter().map(|check| check.id.clone()).collect(),
        });
        self.findings = findings.collect();
        self
    }

    /// The defects, each with the result that shows it most simply first.
    pub(super) fn findings(&self) -> Vec<Vec<&WrittenCheck>> {
        let of = |check: &'_ WrittenCheck| Told {
            id: check.id.clone(),
            fails: check.cause.is_some(),
            under: check.under.clone(),
        };
        let told: Vec<Told> = self.checks.iter().map(of).collect();
        let findings = grouped(&told).into_iter();
        let checks = |group: Vec<usize>| group.into_iter().map(|n| &self.checks[n]).collect();
        findings.map(checks).collect()
    }

    pub(crate) fn exit_code(&self, no_tests: NoTests) -> ExitCode {
        match self.too_little() {
            _ if self.interrupted => ExitCode::Interrupted,
            _ if self.summary.fail > 0 => ExitCode::Failed,
            _ if self.flaky_fails && self.summary.flaky > 0 => ExitCode::Failed,
            Some(too_little) => too_little.exit_code(no_tests),
            None => ExitCode::Passed,
        }
    }

    /// Why the run says too little of its server, if it does. Of one that the user has ended, that is said.
    pub(crate) fn too_little(&self) -> Option<TooLittle> {
        if self.interrupted {
            return None;
        }
        let not_run = self.checks.iter().filter(|check| check.could_not_run());
        TooLittle::of(&self.summary, not_run.count(), self.left_out())
    }

    /// How many results the user did not wait for.
    pub(super) fn not_waited_for(&self) -> usize {
        let doubts = self.checks.iter().map(|check| check.doubt.as_deref());
        doubts.filter(|doubt| *doubt == Some("interrupted")).count()
    }

    /// How many results were not tried because enough had failed.
    pub(super) fn not_begun(&self) -> usize {
        let doubts = self.checks.iter().map(|check| check.doubt.as_deref());
        doubts
            .filter(|doubt| *doubt == Some("enough-failed"))
            .count()
    }

    /// For how many results the run's budget left no time.
    pub(super) fn left_out(&self) -> usize {
        let left_out = self.checks.iter().filter(|check| check.is_left_out());
        left_out.count()
    }

    pub(crate) fn to_json(&self) -> String {
        in_json(self)
    }
}

fn in_json(written: &impl Serialize) -> String {
    // Strings and numbers only: there is nothing in it that cannot be written.
    let text = serde_json::to_string_pretty(written).unwrap_or_default();
    format!("{}\n", JSON.text(&text))
}
