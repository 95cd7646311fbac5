//! A check: one requirement that servers are held to, how it is provoked, and a server that breaks it.

use crate::model::address::Address;
use crate::model::defect::Defect;
use crate::model::invariant::Invariant;
use crate::model::need::{Need, Unmet, in_words};
use crate::model::profile::Promises;
use crate::model::scenario::Scenario;
use crate::model::subject::{Broken, Subject};
use std::io;

/// One requirement that servers are held to; a literal in `checks/<family>.rs` is all there is to it.
///
/// ```
/// for check in sockdrill::catalogue() {
///     println!("{}: {} ({})", check.id, check.requirement, check.needs_in_words());
/// }
/// ```
#[derive(Debug)]
pub struct Check {
    /// `family/name`, permanent.
    pub id: &'static str,
    /// What a correct server does, in one sentence.
    pub requirement: &'static str,
    /// The kind of bug that it is for, with public examples.
    pub why: &'static str,
    /// What is done to the server.
    pub method: &'static str,
    /// What each number in the scenarios is enough for, and how far `--deep` goes; empty where none matters.
    pub quantities: &'static str,
    /// How servers that fail are mended.
    pub fix: &'static str,
    /// The kind of defect that it is for, with programs that show it mended.
    pub(crate) defect: &'static Defect,
    /// What must be known or promised, or hold here, for the check to apply.
    pub(crate) needs: &'static [Need],
    /// How it is tried, and how a failure counts.
    pub(crate) policy: Policy,
    /// The scenarios for a server; `None` where there is nothing to do although the needs are met.
    pub(crate) scenarios: fn(&Subject) -> Option<Vec<Scenario>>,
    /// A server that breaks this requirement, and otherwise behaves.
    pub counterexample: Counterexample,
}

impl Check {
    /// The part of the id before the slash.
    pub fn family(&self) -> &'static str {
        self.id
            .split_once('/')
            .map_or(self.id, |(family, _)| family)
    }

    /// Whether a failure fails the run.
    pub fn severity(&self) -> Severity {
        self.policy.severity
    }

    /// What the check needs, as a person reads it.
    pub fn needs_in_words(&self) -> String {
        in_words(self.needs)
    }

    /// Whether it judges what all others take for granted of this server: that a client is served at all.
    pub(crate) fn judges_serving(&self, subject: &Subject) -> bool {
        matches!(self.policy.gate, Some(Gate::Serving(of)) if of(subject))
    }

    /// What is left of a server that fails the check, where others build on the promise that it judges.
    pub(crate) fn subject_without(&self, subject: &Subject) -> Option<Subject> {
        let Some(Gate::Promise { need, what, forget }) = self.policy.gate else {
            return None;
        };
        let broken = Broken {
            need: need.word,
            what,
            check: self.id,
        };
        Some(subject.without(broken, forget))
    }

    /// Why the check does not apply, if it does not.
    pub(crate) fn unmet(&self, subject: &Subject) -> Option<Unmet> {
        self.needs.iter().find_map(|need| need.unmet(subject))
    }
}

/// How a check is tried, and how a failure counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// Whether a failure fails the run.
    pub severity: Severity,
    /// Whether a recommendation is promised by a server, which is then held to it.
    pub promised: fn(&Subject) -> bool,
    /// Whether each scenario needs a server that none has used before.
    pub fresh_server: bool,
    /// What others build on, where they do.
    pub gate: Option<Gate>,
    /// Whether a client that takes what it is owed is in use of its connection, however long it has said nothing.
    pub reading_is_use: bool,
    /// Whether the scenarios are drawn from the seed, so that there are others and smaller ones.
    pub drawn: bool,
    /// The invariants that it is itself about, where it is a recommendation: every other one is none.
    pub recommends: &'static [Invariant],
    /// What its scenarios may show beside that is the matter of another check.
    pub referrals: &'static [Referral],
}

/// What a scenario may show of a server that is the matter of another check than the one that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Referral {
    /// The word of the cause.
    pub cause: &'static str,
    /// The checks that are about it.
    pub see: &'static [&'static str],
}

impl Policy {
    /// A failure fails the run; nothing else is special.
    pub(crate) const MUST: Self = Self {
        severity: Severity::Must,
        promised: |_| false,
        fresh_server: false,
        gate: None,
        reading_is_use: false,
        drawn: false,
        recommends: &[],
        referrals: &[],
    };

    /// A failure fails the run with `--strict` only.
    pub(crate) const SHOULD: Self = Self {
        severity: Severity::Should,
        ..Self::MUST
    };
}

/// What others build on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gate {
    /// That a polite client is served, for the servers of which the function says so: the check is tried although none
    /// was, and no polite client comes before and after.
    Serving(fn(&Subject) -> bool),
    /// A promise: the check is tried before the others, and where it fails, nothing is built on the promise.
    Promise {
        /// The need that the promise meets.
        need: Need,
        /// What is promised.
        what: &'static str,
        /// Takes the promise out of a profile.
        forget: fn(&mut Promises),
    },
}

/// How grave a failure is.
///
/// ```
/// use sockdrill::Severity;
///
/// let recommended = sockdrill::catalogue().into_iter();
/// let recommended = recommended.filter(|check| check.severity() == Severity::Should);
/// assert!(recommended.count() > 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Severity {
    /// A failure fails the run.
    Must,
    /// A failure fails the run with `--strict` only.
    Should,
}

impl Severity {
    /// The word for it in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

/// A server that breaks one requirement on purpose.
#[derive(Clone, Copy)]
pub struct Counterexample {
    /// The reference server whose profile it claims to follow.
    pub instead_of: &'static str,
    /// By what it shows: the name of the invariant that is broken, or the word of the cause where it is none.
    pub(crate) shows: &'static str,
    /// Its life: listen at the address, serve, break the requirement. An error ends the process with status 1.
    pub(crate) serve: fn(&Address) -> io::Result<()>,
}

impl std::fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counterexample(instead of {})", self.instead_of)
    }
}
