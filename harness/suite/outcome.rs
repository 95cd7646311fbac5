//! What a result means for the test that it is of.

use super::repeat::from_where_cargo_was_called;
use super::test::End;
use crate::handles::test_again;
use crate::report::data::{CheckResult, Outcome};

pub(super) fn end_of(result: &CheckResult, test: &str) -> Result<End, String> {
    let reason = result.reason().unwrap_or_default();
    let outcome = result.outcome();
    match outcome {
        Outcome::Pass => Ok(End::Passed),
        Outcome::Known | Outcome::Flaky | Outcome::Warn => {
            let word = outcome.word();
            Ok(End::Tolerated(format!("{word}: {reason}")))
        }
        Outcome::Skip => Ok(End::NotTried(format!("skip: {reason}"))),
        Outcome::Inconclusive => Err(failed(&format!("inconclusive: {reason}\n"), test)),
        Outcome::Fail => {
            let reproduce = result.reproduce.as_deref().map(from_where_cargo_was_called);
            let result = CheckResult {
                reproduce,
                ..result.clone()
            };
            Err(failed(&result.details(), test))
        }
    }
}

/// The same where trials were to be saved, and some could not be.
pub(super) fn unless_unsaved(
    end: Result<End, String>,
    unsaved: Option<String>,
) -> Result<End, String> {
    match (end, unsaved) {
        (Ok(_), Some(reason)) => Err(format!("not all trials could be saved: {reason}")),
        (end, _) => end,
    }
}

fn failed(text: &str, test: &str) -> String {
    format!("{text}  as a test: {}", test_again(test))
}
