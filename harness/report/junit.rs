//! The report as a JUnit file.
//!
//! There is no standard of these files. Elements, their order and the form of times are those of Maven's Surefire and of Jenkins' xUnit plugin;
//! beyond them, as newer readers have it, a case has its time, its file with the line, and properties.

use super::data::Outcome;
use super::several::Document;
use super::written::{Written, WrittenCheck};
use crate::foreign::XML;
use crate::model::date::from_utc;
use chrono::{DateTime, Utc};
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use std::time::{Duration, SystemTime};

/// Of a run that goes on for hours, each of whose failures would be an element: the counts are in the message.
const MOST_RERUNS: usize = 20;

/// How much of what a server has printed, and of a transcript, is told: readers keep all of it in memory, for each failure.
const MOST_OUTPUT: usize = 256 << 10;

/// What a failure is of that is listed as known and passes.
const NO_CAUSE: &str = "passes-although-known";

impl Document {
    /// A suite for each target.
    pub(crate) fn to_junit(&self) -> String {
        of(self.reports())
    }
}

impl Written {
    pub(crate) fn to_junit(&self) -> String {
        of(std::slice::from_ref(self))
    }
}

fn of(reports: &[Written]) -> String {
    let mut whole = Report::new("sockdrill");
    whole.set_time(reports.iter().map(duration).sum());
    whole.add_test_suites(reports.iter().map(suite));
    whole.to_string().unwrap_or_default()
}

fn duration(report: &Written) -> Duration {
    Duration::from_millis(report.duration_ms)
}

fn suite(report: &Written) -> TestSuite {
    let mut suite = TestSuite::new(&*XML.text(&report.target));
    if let Some(started) = started(report) {
        suite.set_timestamp(moment(started));
    }
    suite.set_time(duration(report));
    if let Some(host) = &report.host {
        let name = (&*XML.text(&host.name)).into();
        suite.extra.insert("hostname".into(), name);
    }
    let seed = report.seed.to_string();
    suite.add_properties(properties(&[
        ("target", Some(&report.target)),
        ("isolation", Some(&report.isolation)),
        ("isolation_reason", report.isolation_reason.as_ref()),
        ("elsewhere", report.elsewhere.as_ref()),
        ("seed", Some(&seed)),
        ("partition", report.partition.as_ref()),
        ("sockdrill", Some(&report.sockdrill)),
    ]));
    suite.add_test_cases(report.checks.iter().map(|check| case(report, check)));
    suite
}

fn started(report: &Written) -> Option<SystemTime> {
    from_utc(report.started.as_ref()?)
}

/// A moment as the writer of these files has it.
fn moment(at: SystemTime) -> DateTime<Utc> {
    at.into()
}

fn case(report: &Written, check: &WrittenCheck) -> TestCase {
    let mut case = TestCase::new(&*XML.text(&check.id), status(check, report.flaky_fails));
    case.set_classname(&*XML.text(&check.family));
    case.set_time(Duration::from_millis(check.duration_ms));
    let since = check.started_ms.map(Duration::from_millis);
    let began = started(report).zip(since);
    if let Some(at) = began.and_then(|(run, since)| run.checked_add(since)) {
        case.set_timestamp(moment(at));
    }
    if let Some(file) = file(check) {
        let file = (&*XML.text(file)).into();
        case.extra.insert("file".into(), file);
    }
    let at = check.at.as_ref().filter(|at| at.file.is_some());
    if let Some(at) = at {
        let line = at.line.to_string();
        case.extra.insert("line".into(), line.into());
    }
    let verdict = check.verdict.word().to_owned();
    let key = check.cause.as_ref().map(|cause| &cause.key);
    let seed = report.seed.to_string();
    let tries = check.tries.map(|tries| tries.times.to_string());
    case.add_properties(properties(&[
        ("verdict", Some(&verdict)),
        ("target", Some(&report.target)),
        ("family", Some(&check.family)),
        ("requirement", Some(&check.requirement)),
        ("isolation", Some(&report.isolation)),
        ("seed", Some(&seed)),
        ("tries", tries.as_ref()),
        ("finding", key),
        ("under", check.under.as_ref()),
        ("doubt", check.doubt.as_ref()),
        ("reproduce", check.reproduce.as_ref()),
    ]));
    if let Some(output) = output(check) {
        case.set_system_out(&*XML.text(&output));
    }
    case
}

/// The file of a case; a check is in none that its user has.
fn file(check: &WrittenCheck) -> Option<&str> {
    let at = check.at.as_ref().and_then(|at| at.file.as_deref());
    at.or_else(|| check.id.contains("::").then_some(check.family.as_str()))
}

fn properties(all: &[(&str, Option<&String>)]) -> Vec<Property> {
    let given = all
        .iter()
        .filter_map(|(name, value)| Some((name, (*value)?)));
    let given = given.filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| Property::new(*name, &*XML.text(value)))
        .collect()
}

/// What was seen of a failure, and what the server printed.
fn output(check: &WrittenCheck) -> Option<String> {
    let printed = check.trace.as_ref();
    let printed = printed.and_then(|trace| trace.output.as_ref());
    let printed = printed.map_or("", |output| output.text.as_str());
    let transcript = check.transcript.join("\n");
    let parts = [
        ("transcript", transcript.as_str()),
        ("the server printed", printed),
    ];
    let parts = parts.iter().filter(|(_, text)| !text.is_empty());
    let parts: Vec<String> = parts
        .map(|(title, text)| format!("{title}:\n{}\n", end(text)))
        .collect();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// As much of a text as is told, which is its end.
fn end(text: &str) -> &str {
    let from = text.len().saturating_sub(MOST_OUTPUT);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or_default()..]
}

fn status(check: &WrittenCheck, flaky_fails: bool) -> TestCaseStatus {
    let reason = XML.text(check.reason.as_deref().unwrap_or_default());
    let failure = || {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(&*reason);
        status.set_type(kind(check));
        status.set_description(&*XML.text(&check.details()));
        status
    };
    match check.verdict {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => {
            let mut status = failure();
            status.add_reruns(reruns(check).skip(1));
            status
        }
        Outcome::Flaky if flaky_fails => {
            let mut status = failure();
            status.set_rerun_kind(FlakyOrRerun::Flaky);
            status.add_reruns(reruns(check));
            status
        }
        Outcome::Flaky => {
            let mut status = TestCaseStatus::success();
            status.add_reruns(reruns(check));
            status
        }
        Outcome::Inconclusive if check.could_not_run() => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(&*reason);
            status.set_type("could-not-run");
            status
        }
        // What is known to fail is told from what was not tried by its first word, which readers show, and by a property.
        Outcome::Known | Outcome::Warn | Outcome::Inconclusive | Outcome::Skip => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {reason}", check.verdict.word()));
            status
        }
    }
}

/// The kind of defect.
fn kind(check: &WrittenCheck) -> String {
    let kind = check.cause.as_ref().map_or(NO_CAUSE, |cause| &cause.kind);
    XML.text(kind).into_owned()
}

/// The tries that failed; what was seen of the first is told with it.
fn reruns(check: &WrittenCheck) -> impl Iterator<Item = TestRerun> {
    let failed = check.tries.map_or(1, |tries| tries.failed);
    (0..failed.min(MOST_RERUNS)).map(|n| {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        let reason = check.reason.as_deref().unwrap_or_default();
        rerun.set_message(&*XML.text(reason));
        rerun.set_type(kind(check));
        let seen = if n == 0 { &check.details() } else { reason };
        rerun.set_stack_trace(&*XML.text(seen));
        rerun
    })
}
