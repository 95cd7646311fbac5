//! What a handle asks of the thread that has the server.

use super::failure::Test;
use crate::model::error::Error;
use crate::model::scenario::{Line, Step};
use crate::report::data::CheckResult;
use std::panic::Location;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What became of a step: what its client has captured so far, or all there is to say of a failure.
pub(super) type Taken = Result<Captured, Arc<str>>;

/// What was captured, by its names.
pub(super) type Captured = Vec<(String, Vec<u8>)>;

/// What a handle asks for.
pub(super) enum Order {
    /// A client comes, the next in the order of such orders.
    Come(String),
    /// A client, or nobody in particular, takes a step.
    Take(Deed),
    /// Something happens that no step tells of.
    Untold,
    /// All that the server has printed.
    Printed(oneshot::Sender<Vec<u8>>),
    /// All is over, and is judged.
    Conclude(oneshot::Sender<Result<CheckResult, Error>>),
    /// Nobody is there any more: what was seen so far is judged, and the server ended.
    BreakOff,
}

/// A step that is to be taken.
pub(super) struct Deed {
    pub(super) test: Test,
    pub(super) place: Place,
    pub(super) step: Step,
    pub(super) taken: oneshot::Sender<Taken>,
}

impl Deed {
    /// Who takes it, if a client does.
    pub(super) fn who(&self) -> Option<usize> {
        match self.step {
            Step::Client { who, .. } => Some(who),
            _ => None,
        }
    }

    /// Says that it cannot happen.
    pub(super) fn refuse(self, other: &Test, why: &str) {
        let test = self.test.or(other);
        let why = test.impossible(why, &self.place.to_string());
        let _ = self.taken.send(Err(why));
    }

    /// The step as a line, which stands where the test has it.
    pub(super) fn line(&self) -> Line {
        Line {
            number: self.place.line() as usize,
            step: self.step.clone(),
        }
    }
}

/// Where a test says something.
pub(super) type Place = &'static Location<'static>;
