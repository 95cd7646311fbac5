//! On what terms cases are run: what files and cases say beside clients and steps.

use crate::model::literal::{self, Shown};
use std::time::Duration;

/// On what terms a case is run, or all of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The names by which it is chosen.
    pub(crate) tags: Vec<String>,
    /// How long each expectation may take that says nothing of it.
    pub(crate) within: Option<Duration>,
    /// What the server promises beside its profile, or otherwise, each as profiles have it.
    pub(crate) promises: Vec<String>,
    /// The verdict that is known to come.
    pub(crate) expected: Option<Expected>,
}

/// A case that is known to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Why.
    pub(crate) reason: String,
}

impl Terms {
    /// The same with these where it says nothing: what is promised later counts.
    pub(super) fn within_those(&self, outer: &Self) -> Self {
        let own = self.tags.iter().filter(|tag| !outer.tags.contains(tag));
        Self {
            tags: outer.tags.iter().chain(own).cloned().collect(),
            within: self.within.or(outer.within),
            promises: [outer.promises.as_slice(), &self.promises].concat(),
            expected: self.expected.clone(),
        }
    }

    /// Each as its line has it.
    pub(super) fn lines(&self) -> Vec<String> {
        let tags = (!self.tags.is_empty()).then(|| tags(&self.tags));
        let within = self.within.map(within);
        let promises = self.promises.iter().map(|text| promise(text));
        let expected = self.expected.as_ref().map(Expected::line);
        let all = tags.into_iter().chain(within).chain(promises);
        all.chain(expected).collect()
    }
}

/// Tags, as their line has them.
pub(super) fn tags(tags: &[String]) -> String {
    format!("tags: {}", tags.join(" "))
}

/// How long an expectation may take, as its line has it.
pub(super) fn within(time: Duration) -> String {
    format!("within: {}", Shown(time))
}

/// A promise, as its line has it.
pub(super) fn promise(text: &str) -> String {
    format!("promise: {text}")
}

impl Expected {
    /// Its line.
    pub(super) fn line(&self) -> String {
        let reason = literal::escaped(self.reason.as_bytes());
        format!("expected: fail \"{reason}\"")
    }
}
