//! Where a scenario is performed: one server, its clients, and the transcript of what they do to each other.

mod calibration;
mod client;
mod client_moves;
mod lines;
mod looks;
mod notes;
pub(crate) mod own_delay;
mod recorder;
mod samples;
mod server_moves;

use crate::judge::{POOL_BOUND, Trial, needs_another_run, still_grows};
use crate::kernel::Counters;
use crate::launch::lab::Lab;
use crate::model::error::Error;
use crate::session::client::Client;
use crate::transcript::event::{Act, Moment, ServerEvent, Transcript, What};

use crate::launch::{Server, Target};
use crate::model::scenario::Scenario;
use crate::session::recorder::Recorder;
use looks::LastLook;
use server_moves::Limited;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long anything may take where a scenario does not say. Generous: a limit that is met costs nothing, and one
/// that is missed is held against the server.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How many looks in a row must show a server that waits for us alone, before it is blamed for what has not come. One
/// would do on an idle machine; on a loaded one packets may be on their way for a while.
const LOOKS_TO_BLAME: u64 = 8;

/// How often the kernel is asked for what it has no event for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a script is repeated on a server that goes on adding workers, to tell a leak.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A pool that adds no worker for so many clients in a row is full.
const FULL_AFTER: usize = 16;

/// A server in its lab, ready for one scenario after the other.
pub(crate) struct Stage<'a> {
    target: &'a Target,
    lab: Arc<Lab>,
    server: Option<Server>,
    recorder: Recorder,
    clients: Vec<Vec<Client>>,
    /// The bystander, while it stands by.
    bystanders: Vec<Vec<Client>>,
    exit_watch: Option<JoinHandle<()>>,
    /// The limits on open files that were changed.
    limited: Vec<Limited>,
    /// The zombies at the last sample.
    zombies: Vec<i32>,
    began: Instant,
    baseline_delay: Duration,
    looks: std::cell::Cell<LastLook>,
    /// Whether a step of this act has stopped it.
    stopped: std::cell::Cell<bool>,
}

/// Whether the lines of an act were all gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

impl<'a> Stage<'a> {
    /// Starts the target in a lab.
    pub(crate) async fn set(target: &'a Target, lab: Arc<Lab>) -> Result<Self, Error> {
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

    /// Performs a trial and returns what was observed.
    pub(crate) async fn perform(&mut self, trial: &Trial) -> Result<Transcript, Error> {
        self.recorder = Recorder::new();
        self.began = Instant::now();
        self.limited.clear();
        if let Some(server) = &self.server {
            let pid = server.pid();
            self.note_server(ServerEvent::Started { pid });
        }
        self.watch_exit();
        let counters = Counters::of(self.lab.warden().pid());
        self.lab.obituaries();
        if self.act(Act::Before, &trial.before).await? == Flow::On
            && self.act(Act::Arrival, &trial.arrival).await? == Flow::On
        {
            self.sample(Moment::Baseline).await;
            if self.act(Act::Script, &trial.script).await? == Flow::On {
                self.afterwards(trial).await?;
            }
        }
        self.wait_for_the_dying().await;
        self.note_output();
        self.note_obituaries();
        self.note_starvation();
        self.clients.append(&mut self.bystanders);
        self.leave_all().await;
        self.note_counters(&counters);
        if let Some(watch) = self.exit_watch.take() {
            watch.abort();
        }
        Ok(self.recorder.take())
    }

    async fn afterwards(&mut self, trial: &Trial) -> Result<(), Error> {
        self.leave_all().await;
        self.catch_up().await;
        for act in [Act::Recall, Act::After] {
            if self.server().is_none() || self.act(act, trial.scenario(act)).await? == Flow::Stop {
                return Ok(());
            }
        }
        self.sample(Moment::After).await;
        let is_doubtful = |transcript: &Transcript| needs_another_run(trial, transcript);
        while self.recorder.with(is_doubtful) {
            if self.run_again(trial).await? == Flow::Stop {
                return Ok(());
            }
        }
        let grows = |transcript: &Transcript| still_grows(trial, transcript);
        if self.recorder.with(grows) && self.fill_pool(trial).await? == Flow::On {
            let begun = Instant::now();
            while self.run_again(trial).await? == Flow::On
                && self.recorder.with(grows)
                && begun.elapsed() < TOLD_WITHIN
            {}
        }
        Ok(())
    }

    /// Runs the script once more, to see whether what grew grows again.
    async fn run_again(&mut self, trial: &Trial) -> Result<Flow, Error> {
        if self.act(Act::Script, &trial.script).await? == Flow::Stop || self.server().is_none() {
            return Ok(Flow::Stop);
        }
        self.leave_all().await;
        self.catch_up().await;
        // Some servers clean up behind one client when the next one comes.
        let flow = self.act(Act::After, &trial.after).await?;
        if flow == Flow::On {
            self.sample(Moment::Again).await;
        }
        Ok(flow)
    }

    /// Sends polite clients, one after the other, until the server adds no worker for the next, or has more than any
    /// pool.
    async fn fill_pool(&mut self, trial: &Trial) -> Result<Flow, Error> {
        let (mut most, mut since) = (0, 0);
        let (act, polite) = match trial.after.lines.is_empty() {
            // Nobody comes after a scenario that is itself a polite client.
            true => (Act::Script, &trial.script),
            false => (Act::After, &trial.after),
        };
        for _ in 0..POOL_BOUND {
            if self.server().is_none() || self.act(act, polite).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            let processes = self.server.iter().flat_map(Server::processes);
            let living = processes.filter(|process| !process.is_zombie());
            let workers: usize = living.map(|process| process.threads + 1).sum();
            since = if workers > most { 0 } else { since + 1 };
            most = most.max(workers);
            if since == FULL_AFTER {
                break;
            }
        }
        self.sample(Moment::Filled).await;
        Ok(Flow::On)
    }

    async fn leave_all(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            client.close().await;
        }
        self.clients.clear();
    }

    async fn act(&mut self, act: Act, scenario: &Scenario) -> Result<Flow, Error> {
        self.leave_all().await;
        self.recorder.note(What::Act(act));
        self.stopped.set(false);
        let Some(server) = &self.server else {
            return Ok(Flow::Stop);
        };
        let (address, transport) = (server.address().clone(), server.transport());
        self.clients = match act {
            Act::Recall => std::mem::take(&mut self.bystanders),
            _ => Vec::new(),
        };
        let cast = match self.clients.is_empty() {
            true => scenario.cast.as_slice(),
            false => &[],
        };
        for (who, cast) in cast.iter().enumerate() {
            let member = |member| {
                let id = act.client(who, member);
                let recorder = self.recorder.clone();
                Client::new(
                    id,
                    recorder,
                    Arc::clone(&self.lab),
                    address.clone(),
                    transport,
                )
            };
            self.clients.push((0..cast.members).map(member).collect());
        }
        let flow = self.lines(&scenario.lines, 0).await?;
        self.note_output();
        match act {
            Act::Arrival | Act::Recall => self.bystanders = std::mem::take(&mut self.clients),
            _ if flow == Flow::On => self.leave_all().await,
            _ => {}
        }
        Ok(flow)
    }
}
