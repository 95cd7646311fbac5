//! What a result means for the test that it is of.

use super::repeat::{from_where_cargo_was_called, test_again};
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome};
use libtest_mimic::{Completion, Failed};

pub(super) fn completion(result: &CheckResult, test: &str) -> Result<Completion, Failed> {
    let reason = result.reason().unwrap_or_default();
    let outcome = result.outcome();
    match outcome {
        Outcome::Pass => Ok(Completion::Completed),
        Outcome::Known | Outcome::Warn | Outcome::Skip => {
            let word = outcome.word();
            Ok(Completion::ignored_with(format!("{word}: {reason}")))
        }
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

fn failed(text: &str, test: &str) -> Failed {
    Failed::from(format!("{text}  as a test: {}", test_again(test)))
}

pub(super) fn in_words(error: &Error) -> Failed {
    Failed::from(error.chain())
}
