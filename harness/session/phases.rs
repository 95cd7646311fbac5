//! A server in its lab, on which phases are performed one after the other.

use super::client_steps::Waiters;
use super::clients::Clients;
use super::observer::Observer;
use super::open_files::{OpenFilesLimits, may_be_limited};
use super::own_delay;
use super::recorder::Recorder;
use super::sources::Apart;
use super::turn::Turn;
use crate::launch::lab::Lab;
use crate::launch::{Backends, Server, Target};
use crate::model::action::ConnectOptions;
use crate::model::dialogue::scenario;
use crate::model::error::Error;
use crate::model::limits::{LOOK_EVERY, SETTLE_WITHIN};
use crate::model::phase::{Moment, Next, Phase};
use crate::model::profile::Serves;
use crate::model::scenario::Scenario;
use crate::model::spent::SpentOn;
use crate::model::system_call::SystemCall;
use crate::model::trial::Trial;
use crate::session::client::Client;
use crate::transcript::event::{ClientId, ServerEvent, Transcript, What};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server in its lab, ready for one scenario after the other.
pub(crate) struct Session<'a> {
    pub(super) target: &'a Target,
    pub(super) observer: Observer,
    pub(super) clients: Clients,
    pub(super) files: OpenFilesLimits,
    /// Whether a step of this phase has stopped it.
    pub(super) stopped: Cell<bool>,
    /// The clients that wait for something.
    pub(super) waiting: Waiters,
    /// How many clients go through lines of theirs at the same time.
    pub(super) at_once: Cell<usize>,
    /// The lines of this phase are told as it goes on, so that nobody knows what comes next.
    pub(super) is_told: Cell<bool>,
    /// How many transcripts have begun on it.
    transcripts: usize,
    /// For how long it turned clients away before the first transcript, where it did.
    pub(super) turned_away: Option<Duration>,
    /// The checks that have used the server before this session.
    pub(super) used_by: Vec<&'static str>,
}

/// Whether the lines of a phase are gone on with.
pub(super) type Flow = ControlFlow<()>;

/// Goes on where what was to be seen was seen.
pub(super) fn go_on_if(met: bool) -> Flow {
    match met {
        true => Flow::Continue(()),
        false => Flow::Break(()),
    }
}

impl<'a> Session<'a> {
    /// Whether just these calls of its server may have a rare answer.
    pub(crate) fn holds_up(&self, calls: &[SystemCall]) -> bool {
        self.observer.lab.calls == calls
    }

    /// Starts the target in a lab.
    pub(crate) async fn start(
        target: &'a Target,
        lab: Arc<Lab>,
        turn: Turn,
    ) -> Result<Self, Error> {
        tracing::debug!(target = target.name, "server starts");
        own_delay::start();
        let _start = turn.spends_on(SpentOn::Start);
        let backends = Backends::start(target, &lab).await?;
        let server = Server::start(target, Arc::clone(&lab)).await?;
        let mut session = Self::on(target, (server, backends), lab, turn);
        if target.turns_away_at_first() {
            session.turned_away = session.until_it_serves().await?;
        }
        Ok(session)
    }

    /// A session on a server that runs.
    pub(super) fn on(
        target: &'a Target,
        (server, backends): (Server, Backends),
        lab: Arc<Lab>,
        turn: Turn,
    ) -> Self {
        let unasked = target.profile.unasked();
        let session = Self {
            target,
            observer: Observer::of((server, backends), &unasked, lab, turn),
            clients: Clients::default(),
            files: OpenFilesLimits::default(),
            stopped: Cell::default(),
            waiting: Waiters::default(),
            at_once: Cell::default(),
            is_told: Cell::default(),
            transcripts: 0,
            turned_away: None,
            used_by: Vec::new(),
        };
        if target.profile.promises.penalises_addresses() {
            session.observer.sources.come(Apart::Usually);
        }
        session
    }

    /// The server, while one runs.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.observer.server()
    }

    /// For how long the server turned clients away once it listened, where it did.
    pub(crate) fn turned_away(&self) -> Option<Duration> {
        self.turned_away
    }

    /// The listener's accept queue and its limit.
    pub(crate) fn listener(&self) -> Option<(u32, u32)> {
        self.observer.listener()
    }

    /// Begins a transcript.
    pub(crate) fn begin(&mut self) {
        self.files = OpenFilesLimits::default();
        self.observer.begin();
        self.transcripts += 1;
    }

    /// Whether nothing has been done to the server before what the last transcript tells of.
    pub(crate) fn is_its_first_transcript(&self) -> bool {
        self.transcripts == 1 && self.used_by.is_empty()
    }

    /// Looks at the transcript so far.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        self.observer.recorder.with(look)
    }

    /// How many open files the process of the server may have that may have the fewest.
    pub(crate) fn open_files(&self) -> Option<u64> {
        let processes = self.observer.processes().into_iter();
        let limits = processes.filter_map(|process| process.descriptors_limit());
        limits.min().map(|limit| limit as u64)
    }

    /// Whether the host lets us limit the open files of every process of the server.
    pub(crate) fn may_be_limited(&self) -> bool {
        may_be_limited(&self.observer.processes())
    }

    /// Whether the server makes a process for each client: when one more comes, a process is there that was not, and none
    /// of those that were has another socket.
    pub(crate) async fn has_a_process_for_each(&self) -> bool {
        let before = self.observer.sockets_of_each();
        let alone = scenario("one more", &[("alice", 1)], Vec::new());
        let recorder = Recorder::new(&self.target.profile.unasked());
        let mut clients = clients_of(Phase::Scenario, &alone, &self.observer, &recorder);
        let Some(client) = clients.first_mut().and_then(|group| group.first_mut()) else {
            return false;
        };
        self.make_room().await;
        client.connect(&ConnectOptions::default()).await;
        let begun = Instant::now();
        let mut is_found = false;
        while !is_found && begun.elapsed() < SETTLE_WITHIN {
            // Nothing announces that another process has taken a client in hand.
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.observer.sockets_of_each();
            let is_new = |pid: &i32| !before.contains_key(pid);
            let stays = |pid: &i32| {
                now.get(pid)
                    .is_none_or(|held| before[pid].is_superset(held))
            };
            is_found = now.keys().any(is_new) && before.keys().all(stays) && client.is_accepted();
        }
        client.close().await;
        is_found
    }

    /// Does what is to be done next on the server.
    pub(crate) async fn perform(&mut self, next: Next, trial: &Trial) -> Result<(), Error> {
        self.observer.is_known_to_be_busy = trial.is_known_to_be_busy();
        let flow = match next {
            _ if self.server().is_none() => Flow::Break(()),
            Next::Sample(moment) => {
                self.clients.leave().await;
                let stands_by = trial.performs(Phase::BystanderConnects).is_some();
                if moment != Moment::Baseline || !stands_by {
                    self.look_for_workers();
                }
                if moment == Moment::After {
                    // What is known by now is judged; what comes later is of repeats.
                    self.settle_backends().await;
                    self.observer.prove_backends();
                    self.observer.record_room();
                }
                self.observer.sample(moment, trial).await;
                let processes = self.observer.processes();
                self.observer.ends.settle_workers(&processes);
                Flow::Continue(())
            }
            Next::LeaveAlone(time) => {
                self.clients.leave().await;
                self.observer.turn.step_aside();
                let alone = self.observer.turn.spends_on(SpentOn::Scenario);
                tokio::time::sleep(time).await;
                drop(alone);
                self.observer.sample(Moment::Alone, trial).await;
                Flow::Continue(())
            }
            Next::CountWorkers => {
                self.observer.count_workers();
                Flow::Continue(())
            }
            Next::Perform(phase) => match trial.performs(phase) {
                Some(scenario) => {
                    let flow = self.phase(phase, scenario).await?;
                    self.observer.end_answers();
                    flow
                }
                None => Flow::Continue(()),
            },
        };
        if flow.is_break() {
            self.observer.record(What::Stopped);
        }
        Ok(())
    }

    /// Ends the transcript, with what becomes known of the server once all is over.
    pub(crate) async fn finish(&mut self) -> Transcript {
        let _rest = self.observer.turn.spends_on(SpentOn::Rest);
        self.observer.wait_for_the_dying().await;
        self.observer.record_output();
        self.observer.record_alarms(true);
        self.observer.record_destroyed_sockets();
        self.observer.record_starvation();
        self.clients.leave_all().await;
        self.observer.record_deafness(self.may_end()).await;
        self.observer.end()
    }

    /// Tells the server's workers from what it has for one client, or for a moment: they are there while nobody is connected,
    /// and stay.
    fn look_for_workers(&self) {
        let processes = self.observer.processes();
        self.observer.ends.look_for_workers(&processes);
    }

    /// Whether the server may end by what was done to it, or by what it promises.
    fn may_end(&self) -> bool {
        let is_for_one = self.target.profile.promises.serves == Some(Serves::OneConnection);
        is_for_one
            || self.seen(|transcript| {
                let mut events = transcript.server_events();
                events.any(|event| matches!(event, ServerEvent::Signalled { .. }))
            })
    }

    async fn phase(&mut self, phase: Phase, scenario: &Scenario) -> Result<Flow, Error> {
        tracing::debug!(?phase, "phase begins");
        self.enter(phase, scenario).await;
        let seat = self.observer.turn.seat();
        if let Some(seat) = &seat {
            seat.enter(phase, scenario);
        }
        let performing = self.observer.turn.spends_on(SpentOn::Scenario);
        let flow = self.lines(&scenario.lines, 0).await?;
        if flow.is_continue() && scenario.forbids_something() {
            self.observer.settle(&self.clients).await;
            self.observer.hear_nothing_more().await;
        }
        drop(performing);
        if let Some(seat) = &seat {
            seat.leave();
        }
        Ok(self.leave(phase, flow).await)
    }

    /// Begins a phase: its clients come.
    pub(super) async fn enter(&mut self, phase: Phase, scenario: &Scenario) {
        self.clients.leave().await;
        if phase == Phase::BystanderConnects {
            self.look_for_workers();
        }
        self.observer.record(What::Phase(phase));
        self.observer.recorder.know(phase, scenario);
        self.stopped.set(false);
        let observer = &self.observer;
        self.clients.enter(phase, || {
            clients_of(phase, scenario, observer, &observer.recorder)
        });
    }

    /// Ends a phase whose lines were gone through so far.
    pub(super) async fn leave(&mut self, phase: Phase, flow: Flow) -> Flow {
        self.continue_if_left_stopped();
        if phase == Phase::Scenario {
            self.restore_backends().await;
        }
        // Nor is one that was kept from opening files.
        self.restore_open_files();
        self.observer.record_output();
        self.observer.record_alarms(false);
        match phase {
            Phase::BystanderConnects | Phase::BystanderAgain => self.clients.stand_by(),
            Phase::Before | Phase::After if flow.is_continue() => self.clients.leave().await,
            Phase::Scenario if flow.is_continue() => {
                self.clients.leave().await;
                self.observer.catch_up().await;
                if self.target.profile.promises.most().is_some() {
                    // Those who have left count until the server has come to their ends.
                    self.observer.settle(&self.clients).await;
                }
            }
            _ if phase.is_only_work() => {
                self.clients.leave().await;
                return Flow::Continue(());
            }
            Phase::Before | Phase::Scenario | Phase::After | Phase::Crowd | Phase::Pressure => {}
        }
        flow
    }
}

pub(super) fn clients_of(
    phase: Phase,
    scenario: &Scenario,
    observer: &Observer,
    recorder: &Recorder,
) -> Vec<Vec<Client>> {
    let Some(server) = &observer.server else {
        return Vec::new();
    };
    let client = |who, member| client_of(phase.client(who, member), server, observer, recorder);
    let groups = scenario.clients.iter().enumerate();
    let groups = groups.map(|(who, group)| {
        let members = 0..group.members;
        let members = members.map(|n| client(who, n).among(group.members));
        members.collect()
    });
    groups.collect()
}

/// A client of a server.
pub(super) fn client_of(
    id: ClientId,
    server: &Server,
    observer: &Observer,
    recorder: &Recorder,
) -> Client {
    let client = Client::new(
        id,
        recorder.clone(),
        Arc::clone(&observer.lab),
        Rc::clone(&observer.listens_at),
        server.transport(),
        observer.sources.clone(),
        observer.guests.clone(),
    );
    client.far(server.is_far())
}
