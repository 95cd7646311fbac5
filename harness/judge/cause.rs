//! Causes: each kind of defect that the judge can name, with what was seen of it.

use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::scenario::{Line, Scenario};
use crate::transcript::event::{Ended, Exit};
use crate::transcript::instead::Instead;
use serde::{Serialize, Serializer};
use std::fmt;

/// What a server did wrong: one variant a kind of defect. The sentences are the report's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Cause {
    /// The server ended although nobody had asked for it, or in another way than it was asked to.
    Died {
        /// How it ended.
        exit: Exit,
        /// The step after which it did.
        after: Option<StepRef>,
    },
    /// A process of the server ended that is not its first one: by a crash, or as a worker that nobody had told to.
    ProcessDied {
        /// How it ended.
        exit: Exit,
        /// What the worker is called; `None` where it may have been there for one client.
        worker: Option<String>,
        /// The step after which it did.
        after: Option<StepRef>,
    },
    /// It lives, and its listening socket is gone.
    NoLongerListens,
    /// A client did not get what it was owed.
    StepFailed {
        /// The client's name.
        client: String,
        /// What it was owed.
        #[serde(serialize_with = "as_text")]
        expected: Expectation,
        /// How the wait for it ended.
        #[serde(rename = "limit_ms", serialize_with = "limit_ms")]
        how: Ended,
        /// What came.
        instead: Instead,
    },
    /// A client got bytes of another one.
    Crosstalk {
        /// Whose bytes they are.
        of: String,
        /// What the client did not get.
        step: Box<Self>,
    },
    /// The server did not show what was expected of it.
    ServerStepFailed {
        /// What was expected.
        #[serde(serialize_with = "as_text")]
        expected: ServerExpectation,
        /// How the wait for it ended.
        #[serde(rename = "limit_ms", serialize_with = "limit_ms")]
        how: Ended,
        /// What was the case.
        instead: Instead,
    },
    /// It did not start again.
    DidNotStart {
        /// Why, as who started it tells.
        reason: String,
    },
    /// It removed a regular file that stood at its path.
    FileRemoved,
    /// It runs although a regular file stands at its path.
    RunsOverFile,
    /// A second instance on the same address keeps running.
    SecondInstanceRuns,
    /// A second instance on the same address ended as if all were well.
    SecondInstanceEndedWell,
    /// A polite client was not served after the scenario.
    NotServed {
        /// What that client did not get.
        step: Box<Self>,
    },
    /// A client that only stood by was not served any more.
    Disturbed {
        /// What that client did not get.
        step: Box<Self>,
    },
    /// Something is left behind with every run.
    Left(Growth),
    /// Connections are left in CLOSE_WAIT.
    CloseWait {
        /// How many.
        connections: usize,
    },
    /// Children have ended and were never waited for.
    Unreaped {
        /// How many.
        children: usize,
    },
    /// The server has nothing to do, and does not rest.
    Busy {
        /// The share of one processor that it uses, in percent.
        percent: u32,
    },
    /// Connections are left in the accept queue.
    Queued {
        /// How many.
        connections: u32,
    },
    /// The server printed more than a log of what it did explains.
    Flooded {
        /// How much.
        bytes: u64,
    },
}

/// A figure that does not come back to its baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Growth {
    /// What is counted.
    pub figure: Figure,
    /// How many there were before the scenario.
    pub baseline: usize,
    /// How many there were after it.
    pub after: usize,
    /// How many there were when the same had been done again.
    pub last: usize,
    /// How often it was done again.
    pub again: usize,
}

/// A figure that a leak raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Figure {
    /// Open sockets.
    OpenSockets,
    /// Other open files.
    OpenFiles,
    /// Threads.
    Threads,
    /// Processes.
    Processes,
    /// Mebibytes of memory.
    Memory,
}

/// A step of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StepRef {
    /// The line of the scenario's file; 0 where it has none.
    pub line: usize,
    /// The step as `.drill` files say it.
    pub text: String,
}

impl StepRef {
    /// The step of a line of a scenario.
    pub(super) fn of(line: &Line, scenario: &Scenario) -> Self {
        Self {
            line: line.number,
            text: line.step.text(&scenario.clients),
        }
    }
}

impl Figure {
    fn invariant(self) -> Invariant {
        match self {
            Self::OpenSockets | Self::OpenFiles => Invariant::OpenFiles,
            Self::Threads | Self::Processes => Invariant::Threads,
            Self::Memory => Invariant::Memory,
        }
    }

    /// What it is called in keys of causes and in sentences.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenSockets => "open sockets",
            Self::OpenFiles => "open files",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Memory => "mebibytes of memory",
        }
    }
}

impl Cause {
    /// The kind of defect, permanent.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Died { .. } => "died",
            Self::ProcessDied { .. } => "process-died",
            Self::NoLongerListens => "no-longer-listens",
            Self::StepFailed { .. } => "step-failed",
            Self::Crosstalk { .. } => "crosstalk",
            Self::ServerStepFailed { .. } => "server-step-failed",
            Self::DidNotStart { .. } => "did-not-start",
            Self::FileRemoved => "file-removed",
            Self::RunsOverFile => "runs-over-file",
            Self::SecondInstanceRuns => "second-instance-runs",
            Self::SecondInstanceEndedWell => "second-instance-ended-well",
            Self::NotServed { .. } => "not-served",
            Self::Disturbed { .. } => "disturbed",
            Self::Left(_) => "left",
            Self::CloseWait { .. } => "close-wait",
            Self::Unreaped { .. } => "unreaped",
            Self::Busy { .. } => "busy",
            Self::Queued { .. } => "queued",
            Self::Flooded { .. } => "flooded",
        }
    }

    /// What failures of the same defect have in common: its kind, and what tells it from others of this kind.
    pub(crate) fn key(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Died {
                exit: Exit::Status(status),
                ..
            }
            | Self::ProcessDied {
                exit: Exit::Status(status),
                ..
            } => format!("{kind}/status-{status}"),
            Self::Died {
                exit: Exit::Signal(signal),
                ..
            }
            | Self::ProcessDied {
                exit: Exit::Signal(signal),
                ..
            } => format!("{kind}/signal-{signal}"),
            Self::StepFailed { instead, .. } | Self::ServerStepFailed { instead, .. } => {
                format!("{kind}/{}", instead.word())
            }
            Self::NotServed { step } | Self::Disturbed { step } => format!("{kind}/{}", step.key()),
            Self::Left(growth) => format!("{kind}/{}", growth.figure.name().replace(' ', "-")),
            _ => kind.to_owned(),
        }
    }

    /// Whether the server, or a process of it, crashed.
    pub(crate) fn is_crash(&self) -> bool {
        match self {
            Self::Died { exit, .. } | Self::ProcessDied { exit, .. } => exit.is_crash(),
            _ => false,
        }
    }

    /// The invariant that is broken, where it is one.
    pub(crate) fn invariant(&self) -> Option<Invariant> {
        match self {
            Self::Died { .. } | Self::ProcessDied { .. } => Some(Invariant::Alive),
            Self::NoLongerListens => Some(Invariant::Listens),
            Self::NotServed { .. } => Some(Invariant::Served),
            Self::Disturbed { .. } => Some(Invariant::Bystanders),
            Self::Left(growth) => Some(growth.figure.invariant()),
            Self::CloseWait { .. } => Some(Invariant::CloseWait),
            Self::Unreaped { .. } => Some(Invariant::Zombies),
            Self::Busy { .. } => Some(Invariant::IdleCpu),
            Self::Queued { .. } => Some(Invariant::Queues),
            Self::Flooded { .. } => Some(Invariant::Output),
            Self::StepFailed { .. }
            | Self::Crosstalk { .. }
            | Self::ServerStepFailed { .. }
            | Self::DidNotStart { .. }
            | Self::FileRemoved
            | Self::RunsOverFile
            | Self::SecondInstanceRuns
            | Self::SecondInstanceEndedWell => None,
        }
    }

    /// Whether the server, a process of it, or its listening socket came to an end: no lack of time excuses that.
    pub(crate) fn is_of_the_server(&self) -> bool {
        matches!(
            self,
            Self::Died { .. } | Self::ProcessDied { .. } | Self::NoLongerListens
        )
    }
}

fn as_text<S: Serializer>(what: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(what)
}

/// The limit that ran out, where one did.
fn limit_ms<S: Serializer>(how: &Ended, to: S) -> Result<S::Ok, S::Error> {
    match how {
        Ended::OutOfTime(limit) => to.serialize_some(&(limit.as_millis() as u64)),
        Ended::Done | Ended::Settled => to.serialize_none(),
    }
}
