//! A server in its lab, on which phases are performed one after the other.

use crate::kernel::{Counters, Process};
use crate::launch::lab::Lab;
use crate::model::error::Error;
use crate::model::phase::{Next, Phase};
use crate::model::trial::Trial;
use crate::session::client::Client;
use crate::transcript::event::{ServerEvent, Transcript, What};

use super::own_delay;
use super::quiescence::Poll;
use super::server_steps::Limited;
use crate::launch::{Server, Target};
use crate::model::scenario::Scenario;
use crate::session::recorder::Recorder;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A server in its lab, ready for one scenario after the other.
pub(crate) struct Session<'a> {
    pub(super) target: &'a Target,
    pub(super) lab: Arc<Lab>,
    pub(super) server: Option<Server>,
    pub(super) recorder: Recorder,
    pub(super) clients: Vec<Vec<Client>>,
    /// The bystander, while it stands by.
    pub(super) bystanders: Vec<Vec<Client>>,
    pub(super) exit_watch: Option<JoinHandle<()>>,
    /// The limits on open files that were changed.
    pub(super) limited: Vec<Limited>,
    /// The zombies at the last sample.
    pub(super) zombies: Vec<i32>,
    pub(super) began: Instant,
    pub(super) baseline_delay: Duration,
    /// The counters of the lab's network at the beginning of the transcript.
    pub(super) counters: Counters,
    pub(super) looks: std::cell::Cell<Poll>,
    /// Whether a step of this phase has stopped it.
    pub(super) stopped: std::cell::Cell<bool>,
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
    /// Starts the target in a lab.
    pub(crate) async fn start(target: &'a Target, lab: Arc<Lab>) -> Result<Self, Error> {
        own_delay::start();
        let server = Server::start(target, Arc::clone(&lab)).await?;
        Ok(Self {
            target,
            lab,
            server: Some(server),
            recorder: Recorder::new(),
            clients: Vec::new(),
            bystanders: Vec::new(),
            exit_watch: None,
            limited: Vec::new(),
            zombies: Vec::new(),
            began: Instant::now(),
            baseline_delay: Duration::ZERO,
            counters: Counters::default(),
            looks: std::cell::Cell::default(),
            stopped: std::cell::Cell::default(),
        })
    }

    /// The server, while one runs.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server
            .as_ref()
            .filter(|server| server.process().exit().is_none())
    }

    /// Begins a transcript.
    pub(crate) fn begin(&mut self) {
        self.recorder = Recorder::new();
        self.began = Instant::now();
        self.limited.clear();
        if let Some(server) = &self.server {
            let pid = server.pid();
            self.record_server(ServerEvent::Started { pid });
        }
        self.watch_exit();
        self.counters = Counters::of(self.lab.supervisor().pid());
        self.lab.destroy_events();
    }

    /// Looks at the transcript so far.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        self.recorder.with(look)
    }

    /// Does what is to be done next on the server.
    pub(crate) async fn perform(&mut self, next: Next, trial: &Trial) -> Result<(), Error> {
        if self.server().is_none() {
            self.recorder.record(What::Stopped);
            return Ok(());
        }
        match next {
            Next::Sample(moment) => self.sample(moment).await,
            Next::CountWorkers => self.count_workers(),
            Next::Perform(phase) => {
                let scenario = trial.performs(phase);
                let flow = match scenario {
                    Some(scenario) => self.phase(phase, scenario).await?,
                    None => Flow::Continue(()),
                };
                if flow.is_break() {
                    self.recorder.record(What::Stopped);
                }
            }
        }
        Ok(())
    }

    /// Ends the transcript, with what becomes known of the server once all is over.
    pub(crate) async fn finish(&mut self) -> Transcript {
        self.wait_for_the_dying().await;
        self.record_output();
        self.record_destroyed_sockets();
        self.record_starvation();
        self.clients.append(&mut self.bystanders);
        self.leave_all().await;
        self.record_counters();
        if let Some(watch) = self.exit_watch.take() {
            watch.abort();
        }
        self.recorder.take()
    }

    fn count_workers(&self) {
        let workers = self.living().map(|process| process.threads + 1).sum();
        self.record_server(ServerEvent::Workers(workers));
    }

    /// The processes of the server that have not ended.
    pub(super) fn living(&self) -> impl Iterator<Item = Process> {
        let processes = self.server.iter().flat_map(Server::processes);
        processes.filter(|process| !process.is_zombie())
    }

    pub(super) async fn leave_all(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            client.close().await;
        }
        self.clients.clear();
    }

    async fn phase(&mut self, phase: Phase, scenario: &Scenario) -> Result<Flow, Error> {
        self.leave_all().await;
        self.recorder.record(What::Phase(phase));
        self.stopped.set(false);
        self.clients = match phase {
            Phase::BystanderAgain => std::mem::take(&mut self.bystanders),
            _ => self.clients_of(phase, scenario),
        };
        let flow = self.lines(&scenario.lines, 0).await?;
        self.record_output();
        match phase {
            Phase::BystanderConnects | Phase::BystanderAgain => {
                self.bystanders = std::mem::take(&mut self.clients);
            }
            Phase::Before | Phase::After if flow.is_continue() => self.leave_all().await,
            Phase::Scenario if flow.is_continue() => {
                self.leave_all().await;
                self.catch_up().await;
            }
            Phase::Before | Phase::Scenario | Phase::After => {}
        }
        Ok(flow)
    }

    fn clients_of(&self, phase: Phase, scenario: &Scenario) -> Vec<Vec<Client>> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let client = |who, member| {
            Client::new(
                phase.client(who, member),
                self.recorder.clone(),
                Arc::clone(&self.lab),
                server.address().clone(),
                server.transport(),
            )
        };
        let groups = scenario.clients.iter().enumerate();
        let groups =
            groups.map(|(who, group)| (0..group.members).map(|n| client(who, n)).collect());
        groups.collect()
    }
}
