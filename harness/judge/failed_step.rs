//! The step at which a trial stopped, and whether the server is to blame for it.

use super::name;
use crate::model::action::Action;
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::literal::{Measured, Shown};
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::trial::Trial;
use crate::transcript::client::{Look, Sought, Views};
use crate::transcript::event::{ClientEvent, ClientId, Ended, Event, Exit, Transcript, What};
use crate::transcript::server::ServerFacts;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A time limit that runs out so soon after bytes have come was too short, or the host too slow.
const FLOWS_WITHIN: Duration = Duration::from_millis(500);

/// The step at which the trial stopped.
pub(super) struct FailedStep {
    pub(super) phase: Phase,
    pub(super) line: usize,
    pub(super) text: String,
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
    pub(super) fn reason(&self) -> String {
        match self.phase {
            Phase::After => format!("a polite client was not served afterwards: {}", self.text),
            Phase::BystanderAgain => {
                format!("a client that only stood by was disturbed: {}", self.text)
            }
            Phase::Scenario | Phase::Before | Phase::BystanderConnects => self.text.clone(),
        }
    }

    /// Says that the harness may be to blame: it did not get to run for a good part of the limit.
    pub(super) fn blames_us(&self, trial: &Trial, transcript: &Transcript) -> Option<String> {
        if self.idle {
            return Some(format!("{}: too little to call it busy", self.text));
        }
        let entitled = self.silent.zip(trial.closes_silent_after);
        if let Some((silent, timeout)) = entitled.filter(|(silent, timeout)| silent >= timeout) {
            return Some(format!(
                "{}, but the client had been silent for {}, and the server may close after {}",
                self.text,
                Measured(silent),
                Shown(timeout)
            ));
        }
        let dropped = transcript.dropped_datagrams();
        if self.is_missing && dropped > 0 {
            return Some(format!(
                "{}, but the kernel dropped {dropped} datagrams that did not fit a receive buffer",
                self.text
            ));
        }
        let limit = self.limit?;
        if self.flowing {
            return Some(format!("{}, but bytes were still arriving", self.text));
        }
        if self.ran * 2 > limit {
            // It did not lack the time: whatever kept us waiting, it was busy with something else.
            return None;
        }
        let starved = transcript.starved();
        (starved * 4 > limit).then(|| {
            format!(
                "{}, but the harness itself did not get to run for {}",
                self.text,
                Measured(starved)
            )
        })
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
                if let Some(text) = failed(scenario, line, id_of, *how, &mut views, &facts) {
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
                        line: line.number,
                        text,
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
) -> Option<String> {
    match &line.step {
        Step::Client { who, action } => client_failed(scenario, id_of(*who), action, how, views),
        Step::Server(ServerAction::Expect { what, .. }) => match facts.look(what) {
            Look::Met => None,
            Look::Broken(why) => Some(format!("server was expected to show {what}: {why}")),
            Look::Pending => Some(format!(
                "server was expected to show {what}{}, but {}",
                limit(how),
                facts.instead(what)
            )),
        },
        Step::Server(ServerAction::Start(_)) => facts
            .start_failed
            .as_ref()
            .map(|reason| format!("the server did not start again: {reason}")),
        Step::Server(ServerAction::StartOverFile) if facts.file_removed => {
            Some("the server removed a regular file that stood at its path".to_owned())
        }
        Step::Server(ServerAction::StartOverFile) if facts.second == Some(None) => {
            Some("the server runs although a regular file stands at its path".to_owned())
        }
        Step::Server(ServerAction::StartSecond) => match facts.second {
            Some(Some(Exit::Status(0))) => Some(
                "a second server on the same address ended with status 0, as if all were well"
                    .to_owned(),
            ),
            Some(None) => Some("a second server on the same address keeps running".to_owned()),
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
) -> Option<String> {
    let view = views.of(id);
    let what = match action {
        Action::Expect { what, .. } => what,
        Action::Connect(dial) if !dial.without_waiting => &Expectation::Connected,
        _ => return None,
    };
    let settled = how != Ended::Done;
    let mut sought = Sought::new(what, id.member);
    let problem = match view.look(&mut sought, settled) {
        Look::Met => {
            view.consume(&sought);
            return None;
        }
        Look::Broken(why) => why,
        Look::Pending => match how {
            Ended::Settled => format!(
                "got {} and nothing more will come: the server waits, all queues are empty",
                view.so_far()
            ),
            Ended::Done | Ended::OutOfTime(_) => format!("got {}", view.so_far()),
        },
    };
    Some(format!(
        "{} expected {what}{}, {problem}",
        name(scenario, id),
        limit(how)
    ))
}

fn limit(how: Ended) -> String {
    match how {
        Ended::OutOfTime(limit) => format!(" within {}", Shown(limit)),
        Ended::Done | Ended::Settled => String::new(),
    }
}
