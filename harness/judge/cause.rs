//! Causes: each kind of defect that the judge can name, with what was seen of it.

use crate::kernel::Toil;
use crate::model::check::Severity;
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::figure::Figure;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario};
use crate::model::server_action::Signal;
use crate::model::template::Took;
use crate::model::trial::BUSY;
use crate::transcript::event::{Ended, Exit};
use crate::transcript::instead::Instead;
use crate::transcript::server_state::SecondInstance;
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// The key of the cause that nobody takes connections from the accept queue.
pub(crate) const QUEUED: &str = "queued";

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
    /// It has ended, and somebody has started it again: its listening socket is another one.
    Replaced,
    /// It was ended by a signal that was sent to it and need not end a server.
    EndedBySignal {
        /// Which.
        signal: Signal,
        /// How it ended.
        exit: Exit,
        /// What was not shown then.
        step: Box<Self>,
    },
    /// It ended, or ended a connection, when nothing but that it was stopped and continued had reached it.
    Interrupted {
        /// What was not shown then.
        step: Box<Self>,
    },
    /// A client did not get what it was owed.
    StepFailed {
        /// The client's name.
        client: String,
        /// What it was owed.
        #[serde(serialize_with = "as_text")]
        expected: Box<Expectation>,
        /// How the wait for it ended.
        #[serde(rename = "limit_ms", serialize_with = "limit_ms")]
        how: Ended,
        /// What came.
        instead: Instead,
        /// What the holes of an expected text took of it.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        took: Vec<Took>,
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
    /// Something was expected of a server that stands behind it, and did not happen.
    BackendStepFailed {
        /// Its name.
        backend: String,
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
    /// A helper that runs another program has kept its listening socket, and takes nobody.
    ListenerInherited {
        /// What the helper runs.
        program: String,
        /// What became of a server that was started again.
        #[serde(skip)]
        second: Option<SecondInstance>,
    },
    /// It removed a regular file that stood at its path.
    FileRemoved,
    /// It runs although a regular file stands at its path.
    RunsOverFile,
    /// A second instance on the same address keeps running.
    SecondInstanceRuns,
    /// A second instance on the same address keeps running without it.
    SecondInstanceRunsWithout,
    /// A second instance listens at the same port.
    SecondInstanceShares,
    /// A second instance has the address in place of the first one.
    SecondInstanceTakesOver,
    /// A second instance was to have the address too, and ended.
    SecondInstanceEnded {
        /// How.
        exit: Exit,
    },
    /// A second instance on the same address runs, and may still end or listen.
    SecondInstanceTries,
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
    /// What clients who have left had sent is not read.
    LeftUnread,
    /// The server has nothing to do, and does not rest.
    Busy {
        /// The share of one processor that it uses, in percent.
        percent: u32,
        /// What it is at.
        #[serde(skip_serializing_if = "Option::is_none")]
        toil: Option<Toil>,
    },
    /// Connections are left in the accept queue.
    Queued {
        /// How many.
        connections: u32,
    },
    /// The server, or what watches it, sounded an alarm.
    Alarm(Alarmed),
    /// The server printed many lines while nobody did anything.
    Babbled {
        /// How many.
        lines: u64,
    },
    /// What a step says must never come to a client, or be printed, came.
    Forbidden {
        /// The client; none where the server printed it.
        client: Option<String>,
        /// What came, as it is shown.
        text: String,
        /// The step that says so.
        #[serde(skip)]
        step: StepRef,
        /// When it came.
        #[serde(skip)]
        at: Duration,
    },
    /// The server printed more than a log of what it did explains.
    Flooded {
        /// How much.
        bytes: u64,
    },
}

/// An alarm, as often as it was sounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Alarmed {
    /// What it is: a report of a sanitizer, a panic.
    pub form: String,
    /// What it said first, in a line.
    pub title: String,
    /// What all of them have in common.
    pub shape: String,
    /// How often.
    pub times: usize,
    /// What was done before the first.
    pub occasion: Occasion,
    /// How grave it is.
    #[serde(serialize_with = "word_of")]
    pub severity: Severity,
    /// All that the first said: evidence.
    #[serde(skip)]
    pub text: Vec<String>,
}

/// What was done to a server before it sounded an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Occasion {
    /// It was started, or an earlier scenario was over.
    Start,
    /// Nothing but that a polite client came.
    Polite,
    /// A step of the scenario.
    After(StepRef),
}

/// A figure that goes on growing while a scenario is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Growth {
    /// What is counted.
    pub figure: Figure,
    /// What it grows with.
    pub unit: Unit,
    /// What each dose added, the first one first.
    pub doses: Vec<Step>,
}

impl Growth {
    /// How much each unit has added, over all doses.
    pub(crate) fn rate(&self) -> f64 {
        let sum = self.doses.iter().fold(Step::default(), |sum, dose| Step {
            units: sum.units + dose.units,
            added: sum.added + dose.added,
        });
        sum.rate()
    }
}

/// So much of a scenario, and what a figure grew by meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// How many connections, or runs.
    pub units: usize,
    /// By how much the figure grew; below zero where it fell.
    pub added: isize,
}

impl Step {
    /// How much was added by each unit.
    pub(crate) fn rate(&self) -> f64 {
        self.added as f64 / self.units.max(1) as f64
    }
}

/// What growth is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// A connection that clients of the scenario made.
    Connection,
    /// A run of a scenario without connections.
    Run,
    /// A polite client, who comes behind each dose.
    PoliteClient,
}

/// A step of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StepRef {
    /// The line of the scenario's file; 0 where it has none.
    pub line: usize,
    /// The step as `.drill` files say it.
    pub text: String,
    /// Which of the steps of its scenario it is, in the order of the text; `None` where others than the scenario's clients took it.
    #[serde(skip)]
    pub step: Option<usize>,
}

impl StepRef {
    /// The step of a line of a scenario.
    pub(super) fn of(line: &Line, scenario: &Scenario) -> Self {
        Self {
            line: line.number,
            text: line.step.text(&scenario.clients),
            step: scenario
                .steps()
                .into_iter()
                .position(|step| std::ptr::eq(step, line)),
        }
    }

    /// The rare answer that a call of the server gets by it, where it is such a step.
    fn rare_answer(&self) -> Option<String> {
        let words = self.text.strip_prefix("server ")?;
        let is_answer = words.starts_with("fail ") || words.starts_with("shorten ");
        is_answer.then(|| words.replace(' ', "-"))
    }

    /// The same of a step that is taken in a phase: only one of them is the scenario's own.
    pub(super) fn in_phase(self, phase: Phase) -> Self {
        let step = self.step.filter(|_| phase == Phase::Scenario);
        Self { step, ..self }
    }
}

impl Cause {
    /// The step that failed, whoever's it was.
    pub(crate) fn step(&self) -> &Self {
        match self {
            Self::NotServed { step } | Self::Disturbed { step } | Self::Interrupted { step } => {
                step
            }
            other => other,
        }
    }

    /// What was the case in the place of what was owed, where it is a step that failed.
    pub(super) fn instead(&self) -> Option<&Instead> {
        match self {
            Self::StepFailed { instead, .. }
            | Self::ServerStepFailed { instead, .. }
            | Self::BackendStepFailed { instead, .. } => Some(instead),
            Self::Crosstalk { step, .. }
            | Self::NotServed { step }
            | Self::Disturbed { step }
            | Self::Interrupted { step } => step.instead(),
            _ => None,
        }
    }

    /// How the server, or a process of it, ended, where that is what is wrong.
    pub(crate) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Died { exit, .. }
            | Self::ProcessDied { exit, .. }
            | Self::EndedBySignal { exit, .. }
            | Self::ServerStepFailed {
                instead: Instead::Exited(exit),
                ..
            } => Some(*exit),
            Self::Interrupted { step } => step.exit(),
            _ => None,
        }
    }

    /// The kind of defect, permanent.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Died { .. } => "died",
            Self::ProcessDied { .. } => "process-died",
            Self::NoLongerListens => "no-longer-listens",
            Self::Replaced => "replaced",
            Self::EndedBySignal { .. } => "ended-by-signal",
            Self::Interrupted { .. } => "interrupted",
            Self::StepFailed { .. } => "step-failed",
            Self::Crosstalk { .. } => "crosstalk",
            Self::ServerStepFailed { .. } => "server-step-failed",
            Self::BackendStepFailed { .. } => "backend-step-failed",
            Self::DidNotStart { .. } => "did-not-start",
            Self::ListenerInherited { .. } => "listener-inherited",
            Self::FileRemoved => "file-removed",
            Self::RunsOverFile => "runs-over-file",
            Self::SecondInstanceRuns => "second-instance-runs",
            Self::SecondInstanceRunsWithout => "second-instance-runs-without",
            Self::SecondInstanceShares => "second-instance-shares",
            Self::SecondInstanceTakesOver => "second-instance-takes-over",
            Self::SecondInstanceEnded { .. } => "second-instance-ended",
            Self::SecondInstanceTries => "second-instance-tries",
            Self::SecondInstanceEndedWell => "second-instance-ended-well",
            Self::NotServed { .. } => "not-served",
            Self::Disturbed { .. } => "disturbed",
            Self::Left(_) => "left",
            Self::LeftUnread => "left-unread",
            Self::Busy { .. } => BUSY,
            Self::Queued { .. } => QUEUED,
            Self::Forbidden { .. } => "forbidden",
            Self::Flooded { .. } | Self::Babbled { .. } => "flooded",
            Self::Alarm(_) => "alarm",
        }
    }

    /// What failures of the same defect have in common: its kind, and what tells it from others of this kind.
    pub(crate) fn key(&self) -> String {
        let kind = self.kind();
        // Each call has a place of its own where its error is dealt with.
        if let Self::Died { after, .. } | Self::ProcessDied { after, .. } = self
            && let Some(answer) = after.as_ref().and_then(StepRef::rare_answer)
        {
            return format!("{kind}/{answer}");
        }
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
            Self::StepFailed {
                expected,
                instead: Instead::SoFar(_),
                ..
            } if matches!(**expected, Expectation::End { .. }) => format!("{kind}/no-end"),
            _ if self.is_queued() => QUEUED.to_owned(),
            Self::StepFailed { instead, .. }
            | Self::ServerStepFailed { instead, .. }
            | Self::BackendStepFailed { instead, .. } => {
                format!("{kind}/{}", instead.word())
            }
            Self::EndedBySignal { signal, .. } => format!("{kind}/{}", signal.number()),
            Self::NotServed { step } | Self::Disturbed { step } | Self::Interrupted { step } => {
                format!("{kind}/{}", step.key())
            }
            Self::Alarm(alarm) => format!("{kind}/{}", alarm.shape),
            Self::Left(growth) => growth.figure.key(),
            _ => kind.to_owned(),
        }
    }

    /// Whether a step failed because connections lie in the accept queue that nobody takes, as [`Self::Queued`] has it.
    fn is_queued(&self) -> bool {
        match self {
            Self::NotServed { step } | Self::Disturbed { step } => step.is_queued(),
            Self::StepFailed { instead, .. } => matches!(instead, Instead::AcceptQueue(Some(_))),
            Self::ServerStepFailed { expected, .. } => {
                matches!(expected, ServerExpectation::AcceptQueue(0))
            }
            _ => false,
        }
    }

    /// Whether a client got all that it was owed, and then a reset in the place of FIN.
    pub(crate) fn is_reset_at_end(&self) -> bool {
        matches!(
            self,
            Self::StepFailed {
                instead: Instead::EndedOtherwise(End::Reset),
                ..
            }
        )
    }

    /// Whether the server, or a process of it, crashed.
    pub(crate) fn is_crash(&self) -> bool {
        match self {
            Self::Died { exit, .. } | Self::ProcessDied { exit, .. } => exit.is_crash(),
            Self::Interrupted { step } => step.is_crash(),
            _ => false,
        }
    }

    /// Whether one look at it is enough: a server that has ended, sounded an alarm, or told somebody what is not for him has done so,
    /// whatever another look shows.
    pub(crate) fn is_seen_for_good(&self) -> bool {
        let is_somebody_elses = matches!(self, Self::Crosstalk { .. } | Self::Forbidden { .. });
        is_somebody_elses || self.is_of_the_server()
    }

    /// Whether it is wrong whoever else is there or was, so that a scenario without others may be looked at for it. What grows is
    /// measured by doses, and other steps may wait for what those have done who were left out.
    pub(crate) fn is_wrong_without_others(&self) -> bool {
        match self {
            Self::StepFailed { expected, .. } => {
                matches!(**expected, Expectation::Data(_) | Expectation::Template(_))
            }
            Self::Crosstalk { .. } => true,
            Self::Left(_)
            | Self::Flooded { .. }
            | Self::Babbled { .. }
            | Self::Interrupted { .. } => false,
            _ => self.invariant().is_some(),
        }
    }

    /// The invariant that is broken, where it is one.
    pub(crate) fn invariant(&self) -> Option<Invariant> {
        match self {
            Self::Died { .. } | Self::ProcessDied { .. } | Self::Replaced => Some(Invariant::Alive),
            Self::NoLongerListens => Some(Invariant::Listens),
            Self::NotServed { .. } => Some(Invariant::Served),
            Self::Disturbed { .. } => Some(Invariant::Bystanders),
            Self::Left(growth) => Some(growth.figure.invariant()),
            Self::Busy { .. } => Some(Invariant::IdleCpu),
            Self::Queued { .. } | Self::LeftUnread => Some(Invariant::Queues),
            Self::Flooded { .. } | Self::Babbled { .. } => Some(Invariant::Output),
            Self::Alarm(_) => Some(Invariant::Alarm),
            Self::Interrupted { step } => step.invariant(),
            Self::EndedBySignal { .. }
            | Self::Forbidden { .. }
            | Self::StepFailed { .. }
            | Self::Crosstalk { .. }
            | Self::ServerStepFailed { .. }
            | Self::BackendStepFailed { .. }
            | Self::DidNotStart { .. }
            | Self::ListenerInherited { .. }
            | Self::FileRemoved
            | Self::RunsOverFile
            | Self::SecondInstanceRuns
            | Self::SecondInstanceShares
            | Self::SecondInstanceTakesOver
            | Self::SecondInstanceEnded { .. }
            | Self::SecondInstanceTries
            | Self::SecondInstanceRunsWithout
            | Self::SecondInstanceEndedWell => None,
        }
    }

    /// Whether it is told wherever it is seen, and whatever else is looked at: a crash, or an alarm.
    pub(crate) fn is_told_anyway(&self) -> bool {
        self.is_crash() || matches!(self, Self::Alarm(_))
    }

    /// Whether the server, a process of it, or its listening socket came to an end.
    pub(crate) fn is_an_end(&self) -> bool {
        match self {
            Self::Died { .. } | Self::ProcessDied { .. } => true,
            Self::NoLongerListens | Self::Replaced => true,
            Self::Interrupted { step } => step.is_an_end(),
            _ => false,
        }
    }

    /// Whether the server, a process of it, or its listening socket came to an end, or it said itself what is wrong: no lack of time excuses that.
    pub(crate) fn is_of_the_server(&self) -> bool {
        self.is_an_end() || matches!(self, Self::Alarm(_))
    }
}

fn word_of<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(severity.word())
}

fn as_text<S: Serializer>(what: &impl fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(what)
}

/// The limit that ran out, where one did.
fn limit_ms<S: Serializer>(how: &Ended, to: S) -> Result<S::Ok, S::Error> {
    match how {
        Ended::OutOfTime(limit) | Ended::NotYet(limit) | Ended::KeptOut(limit) => {
            to.serialize_some(&(limit.as_millis() as u64))
        }
        Ended::Done | Ended::Settled | Ended::StandsStill(_) => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::instead::Got;

    fn died(exit: Exit) -> Cause {
        Cause::Died { exit, after: None }
    }

    fn worker_died(exit: Exit) -> Cause {
        Cause::ProcessDied {
            exit,
            worker: None,
            after: None,
        }
    }

    fn step_failed(expected: Expectation, instead: Instead) -> Cause {
        Cause::StepFailed {
            client: "alice".to_owned(),
            expected: Box::new(expected),
            how: Ended::Settled,
            instead,
            took: Vec::new(),
        }
    }

    fn server_failed(expected: ServerExpectation, instead: Instead) -> Cause {
        Cause::ServerStepFailed {
            expected,
            how: Ended::Settled,
            instead,
        }
    }

    fn not_served(step: Cause) -> Cause {
        Cause::NotServed {
            step: Box::new(step),
        }
    }

    fn alarm() -> Cause {
        Cause::Alarm(Alarmed {
            form: "panic".to_owned(),
            title: "boom".to_owned(),
            shape: "boom at f".to_owned(),
            times: 1,
            occasion: Occasion::Start,
            severity: Severity::Must,
            text: Vec::new(),
        })
    }

    /// Keys are compared between runs, and a defect that is known under one is not told again under it.
    #[test]
    fn key_tells_defects_apart_by_what_was_seen_of_them() {
        let end = || Expectation::End {
            kinds: vec![End::Fin],
            all_bytes_first: true,
        };
        let nothing = || Instead::SoFar(Got::Nothing);
        let queued = || step_failed(Expectation::Silence, Instead::AcceptQueue(Some(3)));
        let stops_at = |signal| Cause::EndedBySignal {
            signal,
            exit: Exit::Signal(1),
            step: Box::new(died(Exit::Signal(1))),
        };
        let keys = [
            (died(Exit::Status(3)), "died/status-3"),
            (died(Exit::Signal(11)), "died/signal-11"),
            (worker_died(Exit::Status(3)), "process-died/status-3"),
            (worker_died(Exit::Signal(11)), "process-died/signal-11"),
            (step_failed(end(), nothing()), "step-failed/no-end"),
            (
                step_failed(Expectation::Silence, nothing()),
                "step-failed/nothing",
            ),
            (
                step_failed(end(), Instead::EndedOtherwise(End::Reset)),
                "step-failed/reset",
            ),
            (
                server_failed(ServerExpectation::Gone, Instead::Processes(2)),
                "server-step-failed/runs",
            ),
            (stops_at(Signal::Hup), "ended-by-signal/1"),
            (
                not_served(step_failed(Expectation::Silence, nothing())),
                "not-served/step-failed/nothing",
            ),
            (alarm(), "alarm/boom at f"),
            (Cause::FileRemoved, "file-removed"),
            // Whoever is kept waiting by connections that nobody takes, it is one defect.
            (Cause::Queued { connections: 3 }, QUEUED),
            (queued(), QUEUED),
            (not_served(queued()), QUEUED),
            (
                Cause::Disturbed {
                    step: Box::new(queued()),
                },
                QUEUED,
            ),
            (
                server_failed(
                    ServerExpectation::AcceptQueue(0),
                    Instead::AcceptQueue(Some(3)),
                ),
                QUEUED,
            ),
            // A queue that is to fill is another matter.
            (
                server_failed(
                    ServerExpectation::AcceptQueue(4),
                    Instead::AcceptQueue(Some(3)),
                ),
                "server-step-failed/queue",
            ),
        ];
        for (cause, key) in keys {
            assert_eq!(cause.key(), key);
        }
    }

    #[test]
    fn crash_or_alarm_is_told_anyway_and_no_lack_of_time_excuses_an_end() {
        let reset = step_failed(Expectation::Silence, Instead::EndedOtherwise(End::Reset));
        let of = |cause: &Cause| {
            (
                cause.is_crash(),
                cause.is_told_anyway(),
                cause.is_of_the_server(),
            )
        };
        assert_eq!(of(&died(Exit::Signal(11))), (true, true, true));
        assert_eq!(of(&worker_died(Exit::Signal(11))), (true, true, true));
        assert_eq!(of(&died(Exit::Status(0))), (false, false, true));
        assert_eq!(of(&Cause::NoLongerListens), (false, false, true));
        assert_eq!(of(&alarm()), (false, true, true));
        assert_eq!(of(&reset), (false, false, false));
    }

    #[test]
    fn reset_at_the_end_is_one_in_the_place_of_another_end() {
        let got = |instead| step_failed(Expectation::Silence, instead).is_reset_at_end();
        assert!(got(Instead::EndedOtherwise(End::Reset)));
        assert!(!got(Instead::EndedOtherwise(End::Fin)));
        assert!(!got(Instead::EndedFirst(End::Reset)));
    }
}
