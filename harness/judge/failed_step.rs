//! The step at which a trial stopped, and whether the server is to blame for it.

use super::cause::{Cause, StepRef};
use super::doubt::Doubt;
use crate::model::action::Action;
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::trial::Trial;
use crate::transcript::client::{Look, Sought, Views};
use crate::transcript::event::{ClientEvent, ClientId, Ended, Event, Exit, Transcript, What};
use crate::transcript::instead::Instead;
use crate::transcript::server::ServerFacts;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A time limit that runs out so soon after bytes have come was too short, or the host too slow.
const FLOWS_WITHIN: Duration = Duration::from_millis(500);

/// The step at which the trial stopped.
pub(super) struct FailedStep {
    pub(super) phase: Phase,
    pub(super) at: StepRef,
    pub(super) cause: Cause,
    /// The time limit that ran out, where that is the reason.
    limit: Option<Duration>,
    /// Bytes were still arriving when it ran out.
    flowing: bool,
    /// It waited for a datagram that has not come.
    is_missing: bool,
    /// The server was to rest, did not, and hardly got a processor either.
    idle: bool,
    /// The processor time that the server used before it ran out.
    ran: Duration,
    /// How long the client had not spoken, where the server then ended its connection.
    silent: Option<Duration>,
}

impl FailedStep {
    /// The cause, as what phase it showed in says.
    pub(super) fn in_its_phase(&self) -> Cause {
        let step = Box::new(self.cause.clone());
        match self.phase {
            Phase::After => Cause::NotServed { step },
            Phase::BystanderAgain => Cause::Disturbed { step },
            Phase::Scenario | Phase::Before | Phase::BystanderConnects => *step,
        }
    }

    /// Says that the harness may be to blame: it did not get to run for a good part of the limit.
    pub(super) fn blames_us(&self, trial: &Trial, transcript: &Transcript) -> Option<Doubt> {
        let step = Box::new(self.cause.clone());
        if self.idle {
            return Some(Doubt::TooLittleToCallBusy { step });
        }
        let entitled = self.silent.zip(trial.closes_silent_after);
        if let Some((silent, timeout)) = entitled.filter(|(silent, timeout)| silent >= timeout) {
            return Some(Doubt::SilentByUs {
                step,
                silent,
                timeout,
            });
        }
        let datagrams = transcript.dropped_datagrams();
        if self.is_missing && datagrams > 0 {
            return Some(Doubt::KernelDropped { step, datagrams });
        }
        let limit = self.limit?;
        if self.flowing {
            return Some(Doubt::StillArriving { step });
        }
        if self.ran * 2 > limit {
            // It did not lack the time: whatever kept us waiting, it was busy with something else.
            return None;
        }
        let by = transcript.starved();
        (by * 4 > limit).then_some(Doubt::Starved { step, by })
    }
}

pub(super) fn first_failed_step(trial: &Trial, transcript: &Transcript) -> Option<FailedStep> {
    let mut views = Views::default();
    let mut phase = Phase::Before;
    let mut facts = ServerFacts::default();
    let mut last_received: HashMap<ClientId, Duration> = HashMap::new();
    let mut silences = Silences::default();
    let mut steps = trial.steps(phase);
    for event in &transcript.events {
        if let What::Client(id, ClientEvent::Received(_)) = &event.what {
            last_received.insert(*id, event.at);
        }
        views.apply(event);
        facts.apply(event);
        silences.apply(event);
        match &event.what {
            What::Phase(next) => {
                phase = *next;
                steps = trial.steps(phase);
                last_received.clear();
            }
            What::StepEnded { step, member, how } => {
                let (Some(line), Some(scenario)) = (steps.get(*step), trial.performs(phase)) else {
                    continue;
                };
                let member = member.unwrap_or(0);
                let id_of = |who| phase.client(who, member);
                if let Some(cause) = failed(scenario, line, id_of, *how, &mut views, &facts) {
                    let limit = match how {
                        // Rest is measured in processor time used, which a loaded host makes less, not more.
                        _ if is_about_rest(&line.step) => None,
                        Ended::OutOfTime(limit) => Some(*limit),
                        Ended::Done | Ended::Settled => None,
                    };
                    let flowing = match &line.step {
                        Step::Client { who, .. } => {
                            last_received.get(&id_of(*who)).is_some_and(|at| {
                                let window =
                                    limit.map_or(FLOWS_WITHIN, |limit| limit.min(FLOWS_WITHIN));
                                *at + window > event.at
                            })
                        }
                        _ => false,
                    };
                    // A polite client sends so little that none of it is dropped.
                    let is_missing = phase == Phase::Scenario
                        && matches!(&line.step, Step::Client { who, action: Action::Expect { .. } }
                            if views.of(id_of(*who)).lacks_datagram());
                    let silent = match &line.step {
                        Step::Client { who, .. } => silences.before_end_of(id_of(*who)),
                        _ => None,
                    };
                    return Some(FailedStep {
                        phase,
                        silent,
                        is_missing,
                        at: StepRef::of(line, scenario),
                        cause,
                        limit,
                        flowing,
                        ran: facts.ran,
                        idle: is_about_rest(&line.step)
                            && facts.cpu_percent < CERTAINLY_BUSY
                            && !facts.spins,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// How long clients were silent on their connections. A host that keeps a client from speaking makes it silent, too.
#[derive(Default)]
struct Silences {
    spoke: HashMap<ClientId, Duration>,
    longest: HashMap<ClientId, Duration>,
    ended: HashSet<ClientId>,
}

impl Silences {
    fn apply(&mut self, event: &Event) {
        let What::Client(id, what) = &event.what else {
            return;
        };
        match what {
            ClientEvent::Connecting => {
                self.longest.remove(id);
                self.ended.remove(id);
            }
            ClientEvent::Sent(_) => self.break_silence(*id, event.at),
            ClientEvent::Ended(_) => {
                self.break_silence(*id, event.at);
                self.ended.insert(*id);
            }
            _ => return,
        }
        self.spoke.insert(*id, event.at);
    }

    fn break_silence(&mut self, id: ClientId, at: Duration) {
        let silent = self.spoke.get(&id).map(|spoke| at.saturating_sub(*spoke));
        let longest = self.longest.entry(id).or_default();
        *longest = silent.unwrap_or_default().max(*longest);
    }

    /// The longest time for which a client did not speak, where its connection has been ended.
    fn before_end_of(&self, id: ClientId) -> Option<Duration> {
        let longest = self.longest.get(&id).copied();
        longest.filter(|_| self.ended.contains(&id))
    }
}

/// The share of one processor, in percent, that a server does not use for the chores that some do now and then, clients or
/// none.
pub(super) const CERTAINLY_BUSY: u32 = 50;

fn is_about_rest(step: &Step) -> bool {
    let Step::Server(ServerAction::Expect { what, .. }) = step else {
        return false;
    };
    *what == ServerExpectation::Rest
}

fn failed(
    scenario: &Scenario,
    line: &Line,
    id_of: impl Fn(usize) -> ClientId,
    how: Ended,
    views: &mut Views,
    facts: &ServerFacts,
) -> Option<Cause> {
    match &line.step {
        Step::Client { who, action } => client_failed(scenario, id_of(*who), action, how, views),
        Step::Server(ServerAction::Expect { what, .. }) => {
            let instead = match facts.look(what) {
                Look::Met => return None,
                Look::Broken(instead) => instead,
                Look::Pending => facts.instead(what),
            };
            Some(Cause::ServerStepFailed {
                expected: what.clone(),
                how,
                instead,
            })
        }
        Step::Server(ServerAction::Start(_)) => {
            let reason = facts.start_failed.clone()?;
            Some(Cause::DidNotStart { reason })
        }
        Step::Server(ServerAction::StartOverFile) if facts.file_removed => Some(Cause::FileRemoved),
        Step::Server(ServerAction::StartOverFile) if facts.second == Some(None) => {
            Some(Cause::RunsOverFile)
        }
        Step::Server(ServerAction::StartSecond) => match facts.second {
            Some(Some(Exit::Status(0))) => Some(Cause::SecondInstanceEndedWell),
            Some(None) => Some(Cause::SecondInstanceRuns),
            Some(Some(_)) | None => None,
        },
        Step::Server(_) | Step::Pause(_) | Step::Settle | Step::Barrier | Step::Repeat { .. } => {
            None
        }
    }
}

fn client_failed(
    scenario: &Scenario,
    id: ClientId,
    action: &Action,
    how: Ended,
    views: &mut Views,
) -> Option<Cause> {
    let view = views.of(id);
    let what = match action {
        Action::Expect { what, .. } => what,
        Action::Connect(dial) if !dial.without_waiting => &Expectation::Connected,
        _ => return None,
    };
    let settled = how != Ended::Done;
    let mut sought = Sought::new(what, id.member);
    let instead = match view.look(&mut sought, settled) {
        Look::Met => {
            view.consume(&sought);
            return None;
        }
        Look::Broken(instead) => instead,
        Look::Pending => Instead::SoFar(view.so_far()),
    };
    Some(Cause::StepFailed {
        client: id.name(scenario),
        expected: what.clone(),
        how,
        instead,
    })
}
