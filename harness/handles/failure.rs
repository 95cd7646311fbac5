//! What a test that fails says.

use super::repeat::test_again;
use crate::foreign::TERMINAL;
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome};
use std::fmt::Write as _;
use std::sync::Arc;

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
        let name = thread.name().filter(|name| *name != "main");
        Self {
            name: name.map(str::to_owned),
        }
    }

    /// What it claims, in words.
    pub(super) fn claim(&self) -> String {
        let name = self.name.as_deref().unwrap_or("a test");
        let (_, last) = name.rsplit_once("::").unwrap_or(("", name));
        last.replace('_', " ")
    }

    /// All that there is to say of a result that fails it, at a place of it; `None` where it does not fail.
    pub(super) fn failure(&self, result: CheckResult, place: &str) -> Option<Arc<str>> {
        let reason = match result.outcome() {
            Outcome::Pass | Outcome::Known | Outcome::Warn | Outcome::Skip => return None,
            Outcome::Fail => None,
            Outcome::Inconclusive => Some("inconclusive: "),
        };
        let reproduce = self.name.as_deref().map(test_again);
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
