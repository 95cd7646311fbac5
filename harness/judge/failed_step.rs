//! The step at which a trial stopped, and whether the server is to blame for it.

use super::cause::{Cause, StepRef};
use super::crosstalk::{TELLING, crosstalk};
use super::deeds::{Deed, Deeds};
use super::doubt::Doubt;
use super::silence::Silences;
use super::thresholds::{
    CERTAINLY_BUSY, FLOWS_WITHIN, LACKS_AT_MOST, OFTEN_AS_LONG, RAN_FROM_A, STARVED_FROM_A,
};
use super::verdict::Halt;
use crate::model::action::Action;
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::limits::SILENCE;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::{Second, ServerAction};
use crate::model::trial::Trial;
use crate::transcript::asked::Asked;
use crate::transcript::client_state::{ClientStates, Matcher, Progress};
use crate::transcript::difference::Difference;
use crate::transcript::event::{ClientEvent, ClientId, Ended, Event, Exit, Transcript, What};
use crate::transcript::instead::{Got, Instead};
use crate::transcript::server_state::{BackendStates, SecondInstance, ServerState};
use std::collections::HashMap;
use std::time::Duration;

/// The step at which the trial stopped.
pub(super) struct FailedStep {
    pub(super) phase: Phase,
    pub(super) halt: Halt,
    pub(super) cause: Cause,
    /// The time limit that ran out, where that is the reason.
    limit: Option<Duration>,
    /// How long the server was looked on at, where it may still do it.
    not_yet: Option<Duration>,
    /// The server spoke to the client by itself meanwhile, and again, so that no time-out keeps it from coming to that client.
    spoken_to: bool,
    /// How long the kernel kept the client from a server that had room for it.
    kept_out: Option<Duration>,
    /// How many bytes had come, where those that would decide are not kept.
    unkept: Option<usize>,
    /// Bytes were still arriving when it ran out.
    flowing: bool,
    /// The server was to be seen to read no more, and was still reading.
    reads_on: bool,
    /// It waited for a datagram that has not come.
    is_missing: bool,
    /// The server was to rest, did not, and hardly got a processor either.
    idle: bool,
    /// The processor time that the server used before it ran out.
    ran: Duration,
    /// How long it waited for a processor meanwhile.
    lacked: Duration,
    /// How late the client was with what it does at a pace.
    late: Duration,
    /// What the client had asked for and was not answered, where that is known.
    asked: Option<Vec<u8>>,
    /// What was done to the server that accounts for it.
    deed: Option<Deed>,
    /// How long the client had not spoken, where the server then ended its connection.
    silent: Option<Duration>,
    /// For how long the client had been about what it asked for, where the same was.
    under_way: Option<Duration>,
    /// How long it was kept from speaking at most for which the scenario does not ask, where the same was.
    kept: Option<Duration>,
}

impl FailedStep {
    /// The cause, as what phase it showed in says.
    pub(super) fn in_its_phase(&self) -> Cause {
        let step = Box::new(self.cause.clone());
        match self.phase {
            Phase::After => Cause::NotServed { step },
            Phase::BystanderAgain => Cause::Disturbed { step },
            Phase::Scenario
            | Phase::Before
            | Phase::BystanderConnects
            | Phase::Crowd
            | Phase::Pressure => *step,
        }
    }

    /// Says that the harness may be to blame: it did not get to run for a good part of the limit.
    pub(super) fn blames_us(&self, trial: &Trial, transcript: &Transcript) -> Option<Doubt> {
        let step = Box::new(self.cause.clone());
        if let Some(bytes) = self.unkept {
            return Some(Doubt::Unkept { step, bytes });
        }
        if self.idle {
            return Some(Doubt::TooLittleToCallBusy { step });
        }
        if let Some(deed) = self.deed {
            return Some(Doubt::Excused { step, deed });
        }
        let entitled = self.silent.zip(trial.closes_silent_after);
        if let Some((silent, timeout)) = entitled.filter(|(silent, timeout)| silent >= timeout) {
            return Some(Doubt::SilentByUs {
                step,
                silent,
                timeout: Some(timeout),
            });
        }
        let slow = self.under_way.zip(trial.closes_unfinished_after);
        if let Some((under_way, timeout)) = slow.filter(|(slow, timeout)| slow >= timeout) {
            return Some(Doubt::SlowByUs {
                step,
                under_way,
                timeout,
            });
        }
        let kept = self.kept.map(|kept| kept + self.late);
        if let Some(silent) = kept.filter(|kept| trial.may_close_silent && *kept > SILENCE) {
            return Some(Doubt::SilentByUs {
                step,
                silent,
                timeout: None,
            });
        }
        let datagrams = transcript.dropped_datagrams();
        if self.is_missing && datagrams > 0 {
            return Some(Doubt::KernelDropped { step, datagrams });
        }
        if let Some(after) = self.kept_out {
            return Some(Doubt::KeptOut { step, after });
        }
        if let Some(waited) = self
            .not_yet
            .or(self.limit)
            .filter(|_| transcript.is_elsewhere())
        {
            return self.blames_what_is_unseen(trial, transcript, waited);
        }
        if let Some(after) = self.not_yet.filter(|_| !trial.is_undisturbed) {
            // Who has run all the time, or has turned to this very client, is not waiting for anything.
            let ran_or_would = self.ran + self.lacked.min(self.ran * LACKS_AT_MOST);
            let waits = ran_or_would * RAN_FROM_A < after && !self.spoken_to;
            return waits.then_some(Doubt::NotYet { step, after });
        }
        let limit = self.limit?;
        if self.reads_on {
            return Some(Doubt::StillReading { step });
        }
        if self.flowing {
            return Some(Doubt::StillArriving { step });
        }
        if self.ran * RAN_FROM_A > limit {
            // It did not lack the time: whatever kept us waiting, it was busy with something else.
            return None;
        }
        let by = transcript.starved().max(self.late);
        (by * STARVED_FROM_A > limit).then_some(Doubt::Starved { step, by })
    }

    /// The same of a server that somebody else has started, after this wait.
    fn blames_what_is_unseen(
        &self,
        trial: &Trial,
        transcript: &Transcript,
        waited: Duration,
    ) -> Option<Doubt> {
        let step = Box::new(self.cause.clone());
        if self.flowing {
            return Some(Doubt::StillArriving { step });
        }
        let by = transcript.starved().max(self.late);
        if by * STARVED_FROM_A > waited {
            return Some(Doubt::Starved { step, by });
        }
        let is_told_when = self.not_yet.is_none() && !is_about_a_reply(&self.cause);
        let is_known = is_told_when || self.is_owed_soon(trial, transcript, waited);
        (!is_known).then_some(Doubt::Unseen {
            step,
            after: waited,
        })
    }

    /// Whether what was waited for so long is a reply that comes to others in a small part of that time, from a server that serves
    /// several at a time. When it ends a connection that it may keep for a while is another matter; and a datagram may be lost on
    /// the way, which is nobody's fault.
    fn is_owed_soon(&self, trial: &Trial, transcript: &Transcript, waited: Duration) -> bool {
        let same = self.asked.as_deref().filter(|_| !trial.replies_alike);
        let usual = match (same, trial.replies_alike) {
            (None, false) => None,
            _ => transcript.quickest_reply(same),
        };
        let may_be_lost = transcript.has_datagrams();
        let is_served = is_about_a_reply(&self.cause) && trial.serves_at_once && !may_be_lost;
        is_served && usual.is_some_and(|usual| usual * OFTEN_AS_LONG < waited)
    }
}

/// The first step that did not show what was expected, if there is one. What fails only when the trial is repeated, to see
/// what it leaves behind, may be the server's way with clients that come again and again.
pub(super) fn first_failed_step(trial: &Trial, transcript: &Transcript) -> Option<FailedStep> {
    let mut so_far = SoFar::of(trial);
    let events = transcript.before_repeats().iter();
    let mut failed = events.filter_map(|event| {
        so_far.apply(event);
        match &event.what {
            What::StepEnded { step, member, how } => {
                so_far.failed(event.at, *step, member.unwrap_or(0), *how)
            }
            _ => None,
        }
    });
    let first = failed.next()?;
    // Whose bytes went astray may miss them before anybody has noticed that they are not his.
    let of_others = |failed: &FailedStep| matches!(failed.cause, Cause::Crosstalk { .. });
    match of_others(&first) {
        true => Some(first),
        false => Some(failed.find(of_others).unwrap_or(first)),
    }
}

/// What is known at a point of the transcript.
struct SoFar<'a> {
    trial: &'a Trial,
    phase: Phase,
    /// The steps of the phase.
    steps: Vec<&'a Line>,
    /// How often each of them is over for each member of a crowd.
    rounds: HashMap<(usize, u32), usize>,
    /// When each of them began last.
    begun: HashMap<usize, Duration>,
    client_states: ClientStates,
    server_state: ServerState,
    backend_states: BackendStates,
    /// When bytes last came for a client in the phase.
    last_received: HashMap<ClientId, Duration>,
    /// When each client was found to have more to read than it had come to.
    more_to_read: HashMap<ClientId, Duration>,
    /// How often the server has spoken to a client by itself since that spoke.
    spoken_to: HashMap<ClientId, u32>,
    silences: Silences,
    deeds: Deeds,
    /// How late each client was with what it does at a pace.
    late: HashMap<ClientId, Duration>,
    /// What each client has asked for since it was answered last.
    asked: Asked,
}

impl<'a> SoFar<'a> {
    fn of(trial: &'a Trial) -> Self {
        Self {
            trial,
            phase: Phase::Before,
            steps: trial.steps(Phase::Before),
            rounds: HashMap::new(),
            begun: HashMap::new(),
            client_states: ClientStates::hearing(&trial.unasked),
            server_state: ServerState::default(),
            backend_states: BackendStates::default(),
            last_received: HashMap::new(),
            more_to_read: HashMap::new(),
            spoken_to: HashMap::new(),
            silences: Silences::where_reading_is_use(trial.reading_is_use),
            deeds: Deeds::default(),
            late: HashMap::new(),
            asked: Asked::default(),
        }
    }

    fn apply(&mut self, event: &Event) {
        self.client_states.apply(event);
        self.server_state.apply(event);
        self.backend_states.apply(event);
        self.silences.apply(event);
        self.deeds.apply(event);
        self.asked.apply(event);
        match &event.what {
            What::StepBegan(step) => self.begin(*step, event.at),
            What::Phase(next) => {
                self.phase = *next;
                self.steps = self.trial.steps(*next);
                self.rounds.clear();
                self.begun.clear();
                self.last_received.clear();
                self.more_to_read.clear();
                self.spoken_to.clear();
                self.late.clear();
            }
            What::Client(id, ClientEvent::Received(bytes)) => {
                match self.client_states.are_unasked(bytes) {
                    true => *self.spoken_to.entry(*id).or_default() += 1,
                    false => drop(self.last_received.insert(*id, event.at)),
                }
            }
            What::Client(id, ClientEvent::Connecting | ClientEvent::Sent(_)) => {
                self.spoken_to.remove(id);
            }
            // It is no matter of the server's how long the kernel and its reader take for that.
            What::Client(id, ClientEvent::MoreToRead) => {
                self.more_to_read.insert(*id, event.at);
            }
            What::Client(id, ClientEvent::Late(by)) => {
                *self.late.entry(*id).or_default() += *by;
            }
            _ => {}
        }
    }

    fn begin(&mut self, step: usize, at: Duration) {
        let phase = self.phase;
        let Some(line) = self.steps.get(step) else {
            return;
        };
        self.deeds.begin(line);
        self.begun.insert(step, at);
        match &line.step {
            Step::Pause(time) => self.silences.pause(*time),
            Step::Client { who, .. } => {
                let of = |id: ClientId| phase.client(*who, id.member) == id;
                self.silences.step_begins(of, at);
            }
            _ => {}
        }
    }

    /// The step that is over, where it failed, with what says whose fault that is.
    fn failed(&mut self, at: Duration, step: usize, member: u32, how: Ended) -> Option<FailedStep> {
        let (phase, line) = (self.phase, *self.steps.get(step)?);
        let scenario = self.trial.performs(phase)?;
        let round = self.rounds.entry((step, member)).or_default();
        *round += 1;
        let round = *round;
        let client = match &line.step {
            Step::Client { who, .. } => Some(phase.client(*who, member)),
            _ => None,
        };
        if let Some(id) = client {
            self.silences.step_over(id, at);
        }
        let cause = failed(
            (scenario, self.trial.scenario()),
            line,
            client,
            how,
            &mut self.client_states,
            (&self.server_state, &self.backend_states),
        )?;
        let difference = client.and_then(|id| self.difference(id, &cause));
        let is_about_rest = is_about_rest(&line.step);
        let is_for_a_reply = is_about_a_reply(&cause);
        let waits_since = self.begun.get(&step).copied().filter(|_| is_for_a_reply);
        let unkept = match cause.step() {
            Cause::StepFailed {
                instead: Instead::Unkept { bytes },
                ..
            } => Some(*bytes),
            _ => None,
        };
        let limit = match how {
            // Rest is measured in processor time used, which a loaded host makes less, not more.
            Ended::OutOfTime(limit) if !is_about_rest => Some(limit),
            _ => None,
        };
        let (not_yet, kept_out) = match how {
            Ended::NotYet(after) => (Some(after), None),
            Ended::KeptOut(after) => (None, Some(after)),
            Ended::OutOfTime(_) | Ended::Done | Ended::Settled | Ended::StandsStill(_) => {
                (None, None)
            }
        };
        Some(FailedStep {
            phase,
            deed: self.deeds.excuse(client, &cause),
            halt: Halt {
                step: StepRef::of(line, scenario).in_phase(phase),
                at,
                round,
                difference,
            },
            cause,
            limit,
            not_yet,
            spoken_to: client
                .is_some_and(|id| self.spoken_to.get(&id).is_some_and(|times| *times > 1)),
            kept_out,
            unkept,
            flowing: client.is_some_and(|id| self.flows(id, at, limit) || self.has_more(id, step)),
            reads_on: is_about_restraint(&line.step),
            is_missing: client.is_some_and(|id| self.lacks_datagram(id, &line.step)),
            idle: is_about_rest
                && self.server_state.cpu_percent < CERTAINLY_BUSY
                && !self.server_state.spins,
            ran: self.server_state.ran,
            lacked: self.server_state.lacked,
            late: client
                .and_then(|id| self.late.get(&id).copied())
                .unwrap_or_default(),
            asked: client.and_then(|id| self.asked.of(id).map(<[u8]>::to_vec)),
            silent: client.and_then(|id| self.silences.before_end_of(id, waits_since)),
            under_way: client.and_then(|id| self.silences.under_way_at_end_of(id, is_for_a_reply)),
            kept: client.and_then(|id| self.silences.kept_before_end_of(id)),
        })
    }

    /// Where what came to a client is not what it was owed.
    fn difference(&mut self, id: ClientId, cause: &Cause) -> Option<Difference> {
        let cause = match cause {
            Cause::Crosstalk { step, .. } => step,
            cause => cause,
        };
        let Cause::StepFailed {
            expected, instead, ..
        } = cause
        else {
            return None;
        };
        Difference::of(self.client_states.of(id), id.member, expected, instead)
    }

    /// Whether bytes have just come for a client.
    fn flows(&self, id: ClientId, now: Duration, limit: Option<Duration>) -> bool {
        let window = limit.map_or(FLOWS_WITHIN, |limit| limit.min(FLOWS_WITHIN));
        let last = self.last_received.get(&id);
        last.is_some_and(|last| *last + window > now)
    }

    /// Whether what the server had sent was not all read when a step was over.
    fn has_more(&self, id: ClientId, step: usize) -> bool {
        let since = self.begun.get(&step);
        let more = self.more_to_read.get(&id).zip(since);
        more.is_some_and(|(at, since)| at >= since)
    }

    /// Whether a step waits for a datagram that has not come. A polite client sends so little that none of it is dropped.
    fn lacks_datagram(&mut self, id: ClientId, step: &Step) -> bool {
        let is_expected = matches!(
            step,
            Step::Client {
                action: Action::Expect { .. },
                ..
            }
        );
        self.phase == Phase::Scenario && is_expected && self.client_states.of(id).lacks_datagram()
    }
}

fn is_about_restraint(step: &Step) -> bool {
    let Step::Client { action, .. } = step else {
        return false;
    };
    let Action::Expect { what, .. } = action else {
        return false;
    };
    *what == Expectation::HeldBack
}

/// Whether a client waited for a reply.
fn is_about_a_reply(cause: &Cause) -> bool {
    matches!(
        cause.step(),
        Cause::StepFailed { expected, .. }
            if matches!(**expected, Expectation::Data(_) | Expectation::Template(_))
    )
}

fn is_about_rest(step: &Step) -> bool {
    let Step::Server(ServerAction::Expect { what, .. }) = step else {
        return false;
    };
    *what == ServerExpectation::Rest
}

/// Why a step of a scenario failed; the clients of the other one are there beside its own.
fn failed(
    (scenario, beside): (&Scenario, &Scenario),
    line: &Line,
    client: Option<ClientId>,
    how: Ended,
    client_states: &mut ClientStates,
    (server_state, backend_states): (&ServerState, &BackendStates),
) -> Option<Cause> {
    match &line.step {
        Step::Client { action, .. } => {
            let id = client?;
            let cause = client_failed(scenario, id, action, how, client_states)?;
            Some(of_others((scenario, beside), id, cause, client_states))
        }
        Step::Server(ServerAction::Expect { what, .. }) => {
            let instead = match server_state.look(what) {
                Progress::Met => return None,
                Progress::Broken(instead) => instead,
                Progress::Pending => server_state.instead(what),
            };
            Some(Cause::ServerStepFailed {
                expected: what.clone(),
                how,
                instead,
            })
        }
        Step::Backend { name, action } => backend_failed(name, action, how, backend_states),
        Step::Server(ServerAction::StartBesideHelpers) if server_state.inherited_by.is_some() => {
            let program = server_state.inherited_by.clone()?;
            Some(Cause::ListenerInherited {
                program,
                second: server_state.second,
            })
        }
        Step::Server(ServerAction::Start(_) | ServerAction::StartBesideHelpers) => {
            let reason = server_state.start_failed.clone()?;
            Some(Cause::DidNotStart { reason })
        }
        Step::Server(ServerAction::StartOverFile) if server_state.file_removed => {
            Some(Cause::FileRemoved)
        }
        Step::Server(ServerAction::StartOverFile) => match server_state.second? {
            SecondInstance::Ended(_) => None,
            SecondInstance::Lives
            | SecondInstance::RunsWithout
            | SecondInstance::Shares
            | SecondInstance::TakesOver
            | SecondInstance::Tries
            | SecondInstance::Elsewhere => Some(Cause::RunsOverFile),
        },
        Step::Server(ServerAction::StartSecond(wanted)) => {
            second_failed(*wanted, server_state.second?)
        }
        Step::Server(_) | Step::Pause(_) | Step::Settle | Step::Barrier | Step::Repeat { .. } => {
            None
        }
    }
}

fn backend_failed(
    name: &str,
    action: &ServerAction,
    how: Ended,
    states: &BackendStates,
) -> Option<Cause> {
    let ServerAction::Expect { what, .. } = action else {
        return None;
    };
    let state = states.of(name);
    let instead = match state.look(what) {
        Progress::Met => return None,
        Progress::Broken(instead) => instead,
        Progress::Pending => state.instead(what),
    };
    Some(Cause::BackendStepFailed {
        backend: name.to_owned(),
        expected: what.clone(),
        how,
        instead,
    })
}

fn second_failed(wanted: Second, second: SecondInstance) -> Option<Cause> {
    match (second, wanted) {
        (SecondInstance::Ended(exit), Second::SharesPort | Second::TakesOver) => {
            Some(Cause::SecondInstanceEnded { exit })
        }
        (SecondInstance::Ended(Exit::Status(0)), Second::Ends | Second::EitherWay) => {
            Some(Cause::SecondInstanceEndedWell)
        }
        (SecondInstance::Shares, Second::Ends | Second::TakesOver) => {
            Some(Cause::SecondInstanceShares)
        }
        (SecondInstance::TakesOver, Second::TakesOver) => None,
        (SecondInstance::TakesOver, _) => Some(Cause::SecondInstanceTakesOver),
        (SecondInstance::Lives, _) => Some(Cause::SecondInstanceRuns),
        (SecondInstance::RunsWithout, _) => Some(Cause::SecondInstanceRunsWithout),
        (SecondInstance::Tries, _) => Some(Cause::SecondInstanceTries),
        // What was to be tried has not come about, as the proof says.
        (SecondInstance::Ended(_) | SecondInstance::Shares | SecondInstance::Elsewhere, _) => None,
    }
}

/// The same cause, or what stands behind it where the wrong bytes that came are those of another client.
fn of_others(
    scenarios: (&Scenario, &Scenario),
    id: ClientId,
    cause: Cause,
    client_states: &mut ClientStates,
) -> Cause {
    let from = match &cause {
        Cause::StepFailed { instead, .. } => match instead {
            Instead::Wrong { at, .. } => Some(*at),
            Instead::Got(Got::Bytes(_)) | Instead::GotBeforeEnd(Got::Bytes(_)) => Some(0),
            _ => None,
        },
        _ => None,
    };
    let found = from.and_then(|from| {
        let wrong = client_states.of(id).unread_from(from, *TELLING.end());
        crosstalk(scenarios, id, &wrong, &cause)
    });
    found.unwrap_or(cause)
}

fn client_failed(
    scenario: &Scenario,
    id: ClientId,
    action: &Action,
    how: Ended,
    client_states: &mut ClientStates,
) -> Option<Cause> {
    let action = client_states.filled(id, action).into_owned();
    let what = match &action {
        Action::Expect { what, .. } | Action::Require { what, .. } => what,
        Action::Connect(options) if !options.without_waiting => &Expectation::Connected,
        _ => return None,
    };
    let settled = how != Ended::Done;
    let mut sought = Matcher::new(what, id.member);
    let seen = client_states.take(id, &mut sought, settled);
    let state = client_states.of(id);
    let instead = match seen {
        Progress::Met => return None,
        // What is only required proves nothing where it does not come, and is nobody's fault.
        _ if action.form().required => return None,
        Progress::Broken(instead) => instead,
        Progress::Pending => match state.queued().filter(|_| is_of_the_server(what)) {
            None => Instead::SoFar(state.so_far()),
            queued => Instead::AcceptQueue(queued),
        },
    };
    Some(Cause::StepFailed {
        client: id.name(scenario),
        expected: Box::new(what.clone()),
        how,
        took: state.took(what),
        instead,
    })
}

/// Whether only a process of the server can show it.
fn is_of_the_server(what: &Expectation) -> bool {
    matches!(
        what,
        Expectation::Data(_)
            | Expectation::Template(_)
            | Expectation::OneOf(_)
            | Expectation::Secured
            | Expectation::NotBefore { .. }
            | Expectation::End { .. }
    )
}
