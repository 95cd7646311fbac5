//! A report as it is written down: what all its forms are made of, and what is read back of it.

use super::concluded::{NoTests, TooLittle};
use super::data::{CheckResult, Outcome, Report, Shows, Summary, Tries};
use super::fact::WrittenFact;
use super::findings::{Told, grouped};
use super::host::Host;
use super::place::{self, Place};
use super::step;
use super::timings::WrittenTimings;
use crate::checks;
use crate::foreign::JSON;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{Cause, Verdict};
use crate::model::check::Check;
use crate::model::date::utc;
use crate::model::error::{Error, ExitCode};
use crate::model::invariant::Invariant;
use crate::report::trace::{Trace, TracedEvent, TracedStep};
use crate::transcript::difference::Difference;
use crate::transcript::event::EventLine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

/// The name of the schema that describes it: docs/report.schema.json has it as its `$id`.
const SCHEMA: &str = "urn:sockdrill:report:1";

fn schema() -> String {
    SCHEMA.to_owned()
}

/// All of a report. What can be told from the rest is written for its readers, and told anew when it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    #[serde(rename = "$schema", default = "schema")]
    pub schema: String,
    pub format: u32,
    /// The version of the program that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sockdrill: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
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
    /// Since the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<WrittenFact>,
    /// Why it matters, where it is a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Box<Trace>>,
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

/// Why a check matters, as one paragraph.
fn why(check: &Check) -> String {
    check.why.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What was seen, with the lines of the scenario that is told, and the event that was not to happen.
fn traced(mut trace: Trace, result: &CheckResult) -> Box<Trace> {
    let lines = place::step_lines(result.scenario.as_deref().unwrap_or_default());
    let lines: Vec<usize> = lines.collect();
    for (step, line) in trace.steps.iter_mut().zip(&lines) {
        step.line = Some(*line);
    }
    // What is told of a scenario ends where it failed.
    let began = |step: &TracedStep| step.began_us.is_some();
    let performed = trace
        .steps
        .iter()
        .rposition(began)
        .map_or(0, |last| last + 1);
    trace.steps.truncate(lines.len().max(performed));
    if let Some(wrong) = result.wrong_event() {
        let is_it = |event: &TracedEvent| {
            event.at_us == wrong.at.as_micros() as u64 && event.text == wrong.text
        };
        let found = trace.events.iter_mut().find(|event| is_it(event));
        found.into_iter().for_each(|event| event.wrong = true);
    }
    Box::new(trace)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl WrittenCheck {
    pub(crate) fn of(result: &CheckResult) -> Self {
        let fails = result.cause().is_some();
        let is_told = result.under.is_none() && (fails || !result.evidence().is_empty());
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
            started_ms: None,
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
            facts: result.facts(),
            why: checks::find(&result.id).filter(|_| fails).map(why),
            fix: result.fix.clone().filter(|_| fails),
            reproduce: result.reproduce.clone(),
            scenario: result.scenario.clone(),
            tried: result.tried.clone(),
            transcript: transcript.map(|line| line.to_string()).collect(),
            trace: result
                .trace
                .clone()
                .filter(|_| is_told)
                .map(|trace| traced(*trace, result)),
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

/// Says that a file is no report.
pub(super) fn is_no_report(name: &str, error: &serde_json::Error) -> Error {
    Error::Malformed {
        file: name.to_owned(),
        message: format!("this is no report of --json: {error}"),
    }
}

impl Written {
    /// The report that a value of JSON is.
    ///
    /// # Errors
    /// It is none, or one of another format.
    pub(super) fn of_value(name: &str, value: serde_json::Value) -> Result<Self, Error> {
        let format = &value["format"];
        if format
            .as_u64()
            .is_some_and(|format| format != u64::from(FORMAT))
        {
            return Err(Error::Malformed {
                file: name.to_owned(),
                message: format!(
                    "this report has format {format}, and format {FORMAT} is understood"
                ),
            });
        }
        let written: Self =
            serde_json::from_value(value).map_err(|error| is_no_report(name, &error))?;
        Ok(written.summed_up())
    }

    pub(super) fn of(report: &Report) -> Self {
        let since =
            |at: SystemTime| milliseconds(at.duration_since(report.started).unwrap_or_default());
        let checks = report.results.iter().map(|result| WrittenCheck {
            started_ms: result.started.map(since),
            spent_ms: report
                .timings
                .as_ref()
                .map(|_| WrittenTimings::of_one(&result.spent)),
            ..WrittenCheck::of(result)
        });
        let written = Self {
            schema: schema(),
            format: FORMAT,
            sockdrill: env!("CARGO_PKG_VERSION").to_owned(),
            started: Some(utc(report.started)),
            host: Some(Host::of_this_process()),
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

    /// The same with what fails for no cause: what is listed as known, and passes.
    pub(super) fn failing(&self) -> Vec<Vec<&WrittenCheck>> {
        let mut failing = self.findings();
        let alone = self.checks.iter();
        let alone = alone.filter(|check| check.cause.is_none() && check.verdict.weight() > 0);
        failing.extend(alone.map(|check| vec![check]));
        failing
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
