//! The report as a JUnit file.

use super::data::Outcome;
use super::several::Document;
use super::written::{Written, WrittenCheck};
use crate::foreign::XML;
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use std::time::Duration;

/// Of a run that goes on for hours, each of whose failures would be an element: the counts are in the message.
const MOST_RERUNS: usize = 20;

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
    whole.add_test_suites(reports.iter().map(suite));
    whole.to_string().unwrap_or_default()
}

fn suite(report: &Written) -> TestSuite {
    let mut suite = TestSuite::new(&*XML.text(&report.target));
    for check in &report.checks {
        let mut case = TestCase::new(&*XML.text(&check.id), status(check, report.flaky_fails));
        if let Some((at, file)) = check
            .at
            .as_ref()
            .and_then(|at| Some((at, at.file.as_ref()?)))
        {
            let extra = &mut case.extra;
            extra.insert("file".into(), (&*XML.text(file)).into());
            extra.insert("line".into(), at.line.to_string().into());
        }
        case.set_classname(&*XML.text(&check.family));
        case.set_time(Duration::from_millis(check.duration_ms));
        suite.add_test_case(case);
    }
    suite
}

fn status(check: &WrittenCheck, flaky_fails: bool) -> TestCaseStatus {
    let reason = XML.text(check.reason.as_deref().unwrap_or_default());
    match check.verdict {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(&*reason);
            status.set_description(&*XML.text(&check.details()));
            status.add_reruns(reruns(check).skip(1));
            status
        }
        Outcome::Flaky if flaky_fails => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(&*reason);
            status.set_description(&*XML.text(&check.details()));
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
            status
        }
        Outcome::Known | Outcome::Warn | Outcome::Inconclusive | Outcome::Skip => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(format!("{}: {reason}", check.verdict.word()));
            status
        }
    }
}

/// The tries that failed; what was seen of the first is told with it.
fn reruns(check: &WrittenCheck) -> impl Iterator<Item = TestRerun> {
    let failed = check.tries.map_or(1, |tries| tries.failed);
    (0..failed.min(MOST_RERUNS)).map(|n| {
        let mut rerun = TestRerun::new(NonSuccessKind::Failure);
        let reason = check.reason.as_deref().unwrap_or_default();
        rerun.set_message(&*XML.text(reason));
        if n == 0 {
            rerun.set_description(&*XML.text(&check.details()));
        }
        rerun
    })
}
