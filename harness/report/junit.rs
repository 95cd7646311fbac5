//! The report as a JUnit file.

use super::data::Outcome;
use super::written::{Written, WrittenCheck};
use crate::foreign::XML;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

impl Written {
    pub(crate) fn to_junit(&self) -> String {
        let mut report = Report::new("sockdrill");
        let mut suite = TestSuite::new(&*XML.text(&self.target));
        for check in &self.checks {
            let mut case = TestCase::new(&*XML.text(&check.id), status(check));
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
        report.add_test_suite(suite);
        report.to_string().unwrap_or_default()
    }
}

fn status(check: &WrittenCheck) -> TestCaseStatus {
    let reason = XML.text(check.reason.as_deref().unwrap_or_default());
    match check.verdict {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Fail => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(&*reason);
            status.set_description(&*XML.text(&check.details()));
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
