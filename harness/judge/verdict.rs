//! What the judge says: a verdict, with the cause of a failure and what bears it out.

use super::cause::{Cause, StepRef};
use super::doubt::{Doubt, Skip};
use crate::model::scenario::Scenario;
use crate::transcript::event::{EventLine, Exit};

/// What was seen of one scenario or one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The requirement held, and every fault is proven to have happened.
    Pass,
    /// The server broke the requirement.
    Fail(Finding),
    /// Nothing is proven: a fault did not happen, or the harness or the host starved.
    Inconclusive(Doubt),
    /// The requirement does not apply to this server, or cannot be looked at here.
    Skip(Skip),
}

/// What a server did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The first and gravest of the reasons.
    pub cause: Cause,
    /// The step at which the trial stopped, where it did.
    pub at: Option<StepRef>,
    /// Facts that bear the cause out, in the order in which they are told.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// All that the server did wrong, the gravest first.
    pub(crate) fn causes(&self) -> impl Iterator<Item = &Cause> {
        let also = self.evidence.iter().filter_map(|evidence| match evidence {
            Evidence::Also(cause) => Some(cause),
            _ => None,
        });
        std::iter::once(&self.cause).chain(also)
    }

    /// The line of the scenario at which it showed; 0 where there is none.
    pub(crate) fn line(&self) -> usize {
        self.at.as_ref().map_or(0, |step| step.line)
    }
}

/// A fact that bears a failure out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// How often the trial failed when it was repeated.
    FailedOf {
        /// How often.
        failed: usize,
        /// Of how many tries that came to a conclusion.
        tries: usize,
        /// Why the server could not be started once more, where it could not.
        refused: Option<String>,
    },
    /// The smallest case that fails, where cases were drawn.
    SmallestCase(Scenario),
    /// Something else that the server did wrong.
    Also(Cause),
    /// How it ended.
    Exit(Exit),
    /// What an alarm said, whole.
    Alarm(Vec<String>),
    /// What was not proven beside.
    Unproven(Doubt),
    /// The last that it printed.
    Output(String),
    /// So many events are not among those that follow.
    LeftOut(usize),
    /// An event.
    Event(EventLine),
}
