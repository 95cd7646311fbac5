//! A server in its lab, on which phases are performed one after the other.

use super::clients::Clients;
use super::observer::Observer;
use super::open_files::OpenFilesLimits;
use super::own_delay;
use crate::launch::lab::Lab;
use crate::launch::{Server, Target};
use crate::model::error::Error;
use crate::model::phase::{Next, Phase};
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::session::client::Client;
use crate::transcript::event::{Transcript, What};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A server in its lab, ready for one scenario after the other.
pub(crate) struct Session<'a> {
    pub(super) target: &'a Target,
    pub(super) observer: Observer,
    pub(super) clients: Clients,
    pub(super) files: OpenFilesLimits,
    /// Whether a step of this phase has stopped it.
    pub(super) stopped: Cell<bool>,
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
            observer: Observer::of(server, lab),
            clients: Clients::default(),
            files: OpenFilesLimits::default(),
            stopped: Cell::default(),
        })
    }

    /// The server, while one runs.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.observer.server()
    }

    /// The listener's accept queue and its limit.
    pub(crate) fn listener(&self) -> Option<(u32, u32)> {
        self.observer.listener()
    }

    /// Begins a transcript.
    pub(crate) fn begin(&mut self) {
        self.files = OpenFilesLimits::default();
        self.observer.begin();
    }

    /// Looks at the transcript so far.
    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        self.observer.recorder.with(look)
    }

    /// Does what is to be done next on the server.
    pub(crate) async fn perform(&mut self, next: Next, trial: &Trial) -> Result<(), Error> {
        let flow = match next {
            _ if self.server().is_none() => Flow::Break(()),
            Next::Sample(moment) => {
                self.clients.leave().await;
                self.observer.sample(moment, trial.throttling).await;
                Flow::Continue(())
            }
            Next::CountWorkers => {
                self.observer.count_workers();
                Flow::Continue(())
            }
            Next::Perform(phase) => match trial.performs(phase) {
                Some(scenario) => self.phase(phase, scenario).await?,
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
        self.observer.wait_for_the_dying().await;
        self.observer.record_output();
        self.observer.record_destroyed_sockets();
        self.observer.record_starvation();
        self.clients.leave_all().await;
        self.observer.end()
    }

    async fn phase(&mut self, phase: Phase, scenario: &Scenario) -> Result<Flow, Error> {
        self.clients.leave().await;
        self.observer.record(What::Phase(phase));
        self.stopped.set(false);
        let observer = &self.observer;
        self.clients
            .enter(phase, || clients_of(phase, scenario, observer));
        let flow = self.lines(&scenario.lines, 0).await?;
        self.observer.record_output();
        match phase {
            Phase::BystanderConnects | Phase::BystanderAgain => self.clients.stand_by(),
            Phase::Before | Phase::After if flow.is_continue() => self.clients.leave().await,
            Phase::Scenario if flow.is_continue() => {
                self.clients.leave().await;
                self.observer.catch_up().await;
            }
            Phase::Before | Phase::Scenario | Phase::After => {}
        }
        Ok(flow)
    }
}

fn clients_of(phase: Phase, scenario: &Scenario, observer: &Observer) -> Vec<Vec<Client>> {
    let Some(server) = &observer.server else {
        return Vec::new();
    };
    let client = |who, member| {
        Client::new(
            phase.client(who, member),
            observer.recorder.clone(),
            Arc::clone(&observer.lab),
            server.address().clone(),
            server.transport(),
        )
    };
    let groups = scenario.clients.iter().enumerate();
    let groups = groups.map(|(who, group)| (0..group.members).map(|n| client(who, n)).collect());
    groups.collect()
}
