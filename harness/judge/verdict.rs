//! What the judge says: a verdict, with the cause of a failure and what bears it out.

use super::cause::{Alarmed, Cause, Occasion, StepRef};
use super::doubt::{Doubt, Skip};
use crate::model::scenario::{Scenario, Size};
use crate::transcript::difference::Difference;
use crate::transcript::event::{EventLine, Exit};
use std::time::Duration;

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
    /// Where the trial stopped, where it did.
    pub halt: Option<Box<Halt>>,
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
        self.halt.as_ref().map_or(0, |halt| halt.step.line)
    }

    /// The step of the scenario that a person looks at: the last one before an end or an alarm, or else the one that failed.
    pub(crate) fn step(&self) -> Option<&StepRef> {
        let before = match &self.cause {
            Cause::Died { after, .. } | Cause::ProcessDied { after, .. } => after.as_ref(),
            Cause::Forbidden { step, .. } => Some(step),
            Cause::Alarm(Alarmed {
                occasion: Occasion::After(step),
                ..
            }) => Some(step),
            _ => None,
        };
        before.or_else(|| self.halt.as_ref().map(|halt| &halt.step))
    }
}

/// The step at which a trial stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Halt {
    /// Which.
    pub step: StepRef,
    /// When it was over.
    pub at: Duration,
    /// Which time it was, counted from 1, of a step that is performed several times.
    pub round: usize,
    /// Where what came is not what was owed, where that is a matter of bytes.
    pub difference: Option<Difference>,
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
    /// The scenario of a check was made smaller.
    MadeSmaller {
        /// What there was to the one that failed first.
        from: Size,
        /// What there is to the one that is shown.
        to: Size,
    },
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
