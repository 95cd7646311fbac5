//! What a test that fails says.

use super::repeat::test_again;
use crate::foreign::TERMINAL;
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome};
use std::cell::Cell;
use std::fmt::Write as _;
use std::sync::Arc;

thread_local! {
    /// Whether a failure is caught by somebody who tells of it later.
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Fails the test that runs here.
pub(super) fn fail(failure: &Arc<str>) -> ! {
    match IS_CAUGHT.get() {
        true => std::panic::resume_unwind(Box::new(failure.to_string())),
        false => panic!("{failure}"),
    }
}

/// Does something whose failures are caught, and told later.
#[cfg(feature = "property")]
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = IS_CAUGHT.replace(true);
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    IS_CAUGHT.set(before);
    done.map_err(|said| match said.downcast::<String>() {
        Ok(text) => *text,
        Err(said) => {
            let text = said.downcast_ref::<&str>().copied();
            text.unwrap_or("a panic without a word").to_owned()
        }
    })
}

/// The test that a server was started by.
#[derive(Clone, Debug)]
pub(super) struct Test {
    /// Its name, where it has one.
    name: Option<String>,
}

impl Test {
    /// The one that runs on this thread: libtest names its threads so.
    pub(super) fn here() -> Self {
        let thread = std::thread::current();
        let name = thread.name();
        let name = name.filter(|name| *name != "main" && !name.starts_with("tokio-"));
        Self {
            name: name.map(str::to_owned),
        }
    }

    /// What it claims, in words.
    pub(super) fn claim(&self) -> String {
        let name = self.name.as_deref().unwrap_or("a test");
        let mut parts: Vec<&str> = name.split("::").collect();
        // What is one of several cases has its claim before it.
        let claims = 1 + usize::from(name.contains("::case_"));
        parts.drain(..parts.len().saturating_sub(claims));
        parts.join(", ").replace('_', " ")
    }

    /// The same test, or where it has no name, another one.
    pub(super) fn or(self, other: &Self) -> Self {
        let name = self.name.or_else(|| other.name.clone());
        Self { name }
    }

    /// The command that repeats it.
    pub(super) fn again(&self) -> Option<String> {
        self.name.as_deref().map(test_again)
    }

    /// All that there is to say of a result that fails it, at a place of it; `None` where it does not fail.
    pub(super) fn failure(&self, result: CheckResult, place: &str) -> Option<Arc<str>> {
        let reason = match result.outcome() {
            Outcome::Pass | Outcome::Known | Outcome::Warn | Outcome::Skip => return None,
            // Nothing is tried again here, so that nothing is flaky.
            Outcome::Fail | Outcome::Flaky => None,
            Outcome::Inconclusive => Some("inconclusive: "),
        };
        let reproduce = self.again();
        let scenario = result.scenario.clone();
        let result = CheckResult {
            id: place.to_owned(),
            requirement: reason.unwrap_or_default().to_owned() + &self.claim(),
            reproduce,
            ..result
        };
        let mut text = result.details();
        if let Some(scenario) = scenario {
            let _ = writeln!(text, "  as a scenario:");
            for line in scenario.lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        Some(TERMINAL.text(text.trim_end()).into())
    }

    /// The same where nothing could be seen.
    pub(super) fn error(&self, error: &Error, place: &str) -> Arc<str> {
        let text = format!("{place}: {}\n  {}", self.claim(), error.chain());
        TERMINAL.text(&text).into()
    }

    /// The same of a step that cannot happen.
    pub(super) fn impossible(&self, why: &str, place: &str) -> Arc<str> {
        let text = format!(
            "{place}: {}\n  this step cannot happen: {why}",
            self.claim()
        );
        TERMINAL.text(&text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Test {
        let name = Some(name.to_owned());
        Test { name }
    }

    #[test]
    fn name_of_a_test_is_what_it_claims() {
        assert_eq!(named("who::is_served").claim(), "is served");
        assert_eq!(
            named("is_cut::case_2_by_the_byte").claim(),
            "is cut, case 2 by the byte"
        );
        assert_eq!(Test { name: None }.claim(), "a test");
        assert_eq!(Test { name: None }.or(&named("a_b")).claim(), "a b");
    }
}
