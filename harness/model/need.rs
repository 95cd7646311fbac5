//! What checks and observations need of a server.

use crate::model::subject::{Broken, Subject};
use std::fmt;

/// Something that must be known or promised, or hold here, for a check to apply; the rows are in `checks/needs.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What it is called, permanent.
    pub word: &'static str,
    /// Whether it is met.
    pub met: fn(&Subject) -> bool,
    /// What is said where it is not; the first such reason of a check is why it is skipped.
    pub reason: &'static str,
}

/// Why a need is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// It is not known or promised, or does not hold here.
    NotGiven(Need),
    /// It was promised, and a check has shown that it is not so.
    Broken(Broken),
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Need {}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)
    }
}

impl Need {
    /// Says why the need is not met, if it is not.
    pub(crate) fn unmet(&self, subject: &Subject) -> Option<Unmet> {
        if (self.met)(subject) {
            return None;
        }
        let mut broken = subject.broken.iter();
        let broken = broken.find(|broken| broken.need == self.word);
        Some(broken.map_or(Unmet::NotGiven(*self), |broken| Unmet::Broken(*broken)))
    }
}

/// Needs as a person reads them: `TCP, long request`.
pub(crate) fn in_words(needs: &[Need]) -> String {
    let words: Vec<String> = needs.iter().map(|need| need.to_string()).collect();
    words.join(", ")
}
