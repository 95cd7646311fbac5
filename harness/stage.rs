//! Where a scenario is performed: one server, its clients, and the transcript of what they do to each other.

use crate::calibration;
use crate::client::Client;
use crate::error::Error;
use crate::event::{
    Act, ClientEvent, ClientId, Ended, Exit, Moment, Sample, ServerEvent, Transcript, What,
    last_line,
};
use crate::judge::{BUSY, POOL_BOUND, Trial, needs_another_run, needs_filling, still_grows};
use crate::kernel::{self, Counters, RestWatch, State, Stillness, percent, stillness};
use crate::lab::Lab;
use crate::profile::Serves;
use crate::pulse;
use crate::recorder::Recorder;
use crate::step::{
    Action, Expectation, Line, Scenario, ServerAction, ServerExpectation, Signal, Step, Streams,
};
use crate::sys::socket::limit_open_files;
use crate::target::{Process, Server, Target};
use crate::view::{Look, Sought};
use rustix::io::Errno;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long anything may take where a scenario does not say. Generous: a limit that is met costs nothing, and one
/// that is missed is held against the server.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// How many looks in a row must show a server that waits for us alone, before it is blamed for what has not come. One
/// would do on an idle machine; on a loaded one packets may be on their way for a while.
const LOOKS_TO_BLAME: u64 = 8;

/// How long `silence` is listened for where the kernel cannot tell that nothing more will come.
const SILENCE: Duration = Duration::from_millis(300);

/// What stands in a file that is not the server's.
const FOREIGN: &[u8] = b"somebody's data\n";

/// How often the kernel is asked for what it has no event for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long `settle` waits for a server that does not come to rest.
const SETTLE_WITHIN: Duration = Duration::from_millis(500);

/// How long a script is repeated on a server that goes on adding workers, to tell a leak.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A pool that adds no worker for so many clients in a row is full.
const FULL_AFTER: usize = 16;

/// How many times longer a server is watched that gets hardly any of a loaded host.
const PATIENCE: u32 = 8;

/// How long a server may take to return to its baseline once all clients are gone.
const RETURN_WITHIN: Duration = Duration::from_secs(5);

/// How long a server that still runs, or that no longer listens, is taken to be on its way out.
const MAY_DIE_WITHIN: Duration = Duration::from_secs(1);

/// How long a client may be kept waiting by a server that goes on serving others of its crowd, or itself.
const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may take to get through the clients of a scenario that have left.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

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

/// A limit on open files that was changed.
struct Limited {
    pid: i32,
    before: u64,
    limit: u64,
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
        pulse::start();
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
        let may_be_pool = |transcript: &Transcript| needs_filling(trial, transcript);
        if self.recorder.with(may_be_pool) && self.fill_pool(trial).await? == Flow::On {
            let begun = Instant::now();
            let grows = |transcript: &Transcript| still_grows(trial, transcript);
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
        for _ in 0..POOL_BOUND {
            if self.server().is_none() || self.act(Act::After, &trial.after).await? == Flow::Stop {
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

    /// Lets a server that serves one after the other get through those who have left: as long as its accept queue
    /// becomes shorter, the next client has no claim to be served at once.
    async fn catch_up(&self) {
        let begun = Instant::now();
        let (mut shortest, mut since) = (u32::MAX, begun);
        while let Some((queue @ 1.., _)) = self.listener() {
            if queue < shortest {
                (shortest, since) = (queue, Instant::now());
            }
            if since.elapsed() > LIMIT || begun.elapsed() > CATCH_UP_WITHIN {
                return;
            }
            // Nothing announces that a connection has been accepted.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note_server(&self, event: ServerEvent) {
        self.recorder.note(What::Server(event));
    }

    fn watch_exit(&mut self) {
        if let Some(old) = self.exit_watch.take() {
            old.abort();
        }
        let Some(server) = &self.server else {
            return;
        };
        let mut ended = server.process().exit_receiver();
        let recorder = self.recorder.clone();
        self.exit_watch = Some(tokio::task::spawn_local(async move {
            if let Ok(exit) = ended.wait_for(Option::is_some).await
                && let Some(exit) = *exit
            {
                recorder.note(What::Server(ServerEvent::Exited(exit)));
            }
        }));
    }

    /// A client may see the end of its connection before the wait status of the server has come through.
    async fn wait_for_the_dying(&self) {
        let Some(server) = &self.server else {
            return;
        };
        let has_served = self
            .recorder
            .with(|transcript| transcript.sample(Moment::After).is_some());
        // One that lives is the usual case.
        tokio::select! {
            _ = server.process().ended() => tokio::task::yield_now().await,
            () = self.shows_that_it_lives(server, has_served) => {}
        }
    }

    /// Returns once nothing says any more that the server is on its way out. An exception that goes through a program
    /// closes its sockets long before the process has ended.
    async fn shows_that_it_lives(&self, server: &Server, has_served: bool) {
        let begun = Instant::now();
        let mut rest = RestWatch::default();
        loop {
            let is_dying = server.process().exit().is_some()
                || server.processes().iter().any(|process| process.is_zombie());
            let listens = || server.transport().is_datagram() || self.listener().is_some();
            let grace = match is_dying {
                true => LIMIT,
                // It has served somebody since, and come to rest.
                false if has_served => return,
                // Without its listening socket a server is as a rule on its way out.
                false if rest.take(Instant::now(), self.stillness()) && listens() => return,
                false => MAY_DIE_WITHIN,
            };
            if begun.elapsed() > grace {
                return;
            }
            // Its end interrupts this; of its life nothing tells but another look.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Writes down what moved. What a counter of the plain host shows may be anybody's, so that it is noted there only
    /// where it can excuse a server.
    fn note_counters(&self, before: &Counters) {
        let mut moved = Counters::of(self.lab.warden().pid()).since(before);
        moved.retain(|(name, _)| self.lab.is_private() || name == "RcvbufErrors");
        self.recorder.note(What::Counters(moved));
    }

    fn note_output(&self) {
        if let Some(server) = &self.server {
            let output = server.process().take_output();
            if !output.is_empty() {
                self.note_server(ServerEvent::Output(output));
            }
        }
    }

    /// A reset is seen by the client a moment before the kernel has told of the socket that sent it.
    async fn await_obituary(&self, id: ClientId) {
        for _ in 0..10 {
            self.note_obituaries();
            let reset = self.recorder.views().of(id).ended() == Some(crate::step::End::Reset);
            if !reset || self.recorder.views().of(id).is_buried() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Writes down what the kernel tells of the server's sockets that died, each with its client.
    fn note_obituaries(&self) {
        for dead in self.lab.obituaries() {
            let client = self.recorder.views().client_at(dead.remote);
            if let Some(id) = client.filter(|_| Some(dead.local.port()) == self.port()) {
                let event = ClientEvent::Buried {
                    lost_bytes: dead.lost_bytes,
                    delivered_bytes: dead.delivered_bytes,
                };
                self.recorder.note(What::Client(id, event));
            }
        }
    }

    /// Writes down how long we, or a thread of the server that was ready to run, did not get a processor.
    fn note_starvation(&self) {
        let ours = pulse::delay_since(self.began);
        let theirs = self
            .stillness()
            .longest_delay
            .saturating_sub(self.baseline_delay);
        let starved = ours.max(theirs);
        if starved > Duration::from_millis(100) {
            self.recorder.note(What::Starved(starved));
        }
        let missed = |what: &What| {
            matches!(
                what,
                What::StepEnded {
                    how: Ended::OutOfTime(_),
                    ..
                }
            )
        };
        if self
            .recorder
            .with(|transcript| transcript.events.iter().any(|event| missed(&event.what)))
        {
            self.recorder
                .note(What::Calibrated(calibration::slowest_round_trip()));
        }
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

    /// Performs lines, numbered from `first` in the order of the text. Lines of the same clients that follow each
    /// other are gone through by each client at its own pace.
    fn lines<'b>(
        &'b mut self,
        lines: &'b [Line],
        first: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Flow, Error>> + 'b>> {
        Box::pin(async move {
            let (mut rest, mut number) = (lines, first);
            while let Some((line, later)) = rest.split_first() {
                let (done, flow) = match (line.clients(), &line.step) {
                    (Some(who), _) => {
                        let run = rest.iter().take_while(|line| line.clients() == Some(who));
                        let run = &rest[..run.count()];
                        (run, self.side_by_side(who, run, number).await)
                    }
                    (None, Step::Repeat { times, lines }) => {
                        (&rest[..1], self.repeat(*times, lines, number + 1).await?)
                    }
                    (None, _) => (&rest[..1], self.line(line, number).await?),
                };
                if flow == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                number += count(done);
                rest = rest.get(done.len()..).unwrap_or(later);
            }
            Ok(Flow::On)
        })
    }

    async fn repeat(&mut self, times: u32, lines: &[Line], first: usize) -> Result<Flow, Error> {
        for _ in 0..times {
            if self.lines(lines, first).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::On)
    }

    /// A line that is not one of clients alone.
    async fn line(&mut self, line: &Line, number: usize) -> Result<Flow, Error> {
        self.recorder.note(What::StepBegan(number));
        let (how, flow) = match &line.step {
            Step::Server(action) => self.server_step(action).await?,
            Step::Pause(time) => {
                tokio::time::sleep(*time).await;
                (Ended::Done, Flow::On)
            }
            Step::Settle => {
                self.settle().await;
                (Ended::Done, Flow::On)
            }
            Step::Client { .. } | Step::Repeat { .. } | Step::Barrier => (Ended::Done, Flow::On),
        };
        self.end_step(number, None, how, flow);
        Ok(flow)
    }

    fn end_step(&self, step: usize, member: Option<u32>, how: Ended, flow: Flow) {
        self.note_obituaries();
        if flow == Flow::Stop && !self.stopped.replace(true) {
            let processes = self.server.as_ref().map(Server::processes);
            let doing = kernel::occupations(&processes.unwrap_or_default());
            self.note_server(ServerEvent::Occupied(doing));
        }
        self.recorder.note(What::StepEnded { step, member, how });
    }

    /// Lets every client behind a name go through lines that concern no one else; all is over when all are done.
    async fn side_by_side(&mut self, who: usize, lines: &[Line], first: usize) -> Flow {
        let Some(mut crowd) = self.clients.get_mut(who).map(std::mem::take) else {
            return Flow::Stop;
        };
        let walks = crowd.iter_mut();
        let walks = walks.map(|client| self.walk(client.id(), client, lines, first));
        let flows = join_all(walks.collect()).await;
        self.clients[who] = crowd;
        match flows.contains(&Flow::Stop) {
            true => Flow::Stop,
            false => Flow::On,
        }
    }

    fn walk<'b>(
        &'b self,
        id: ClientId,
        client: &'b mut Client,
        lines: &'b [Line],
        first: usize,
    ) -> Pin<Box<dyn Future<Output = Flow> + 'b>> {
        Box::pin(async move {
            let mut number = first;
            for line in lines {
                let flow = match &line.step {
                    Step::Repeat { times, lines } => {
                        let mut flow = Flow::On;
                        for _ in 0..*times {
                            flow = self.walk(id, client, lines, number + 1).await;
                            if flow == Flow::Stop {
                                break;
                            }
                        }
                        flow
                    }
                    Step::Client { action, .. } => {
                        self.recorder.note(What::StepBegan(number));
                        let (how, flow) = self.client_move(id, client, action).await;
                        self.end_step(number, Some(id.member), how, flow);
                        flow
                    }
                    _ => Flow::On,
                };
                if flow == Flow::Stop {
                    return Flow::Stop;
                }
                number += count(std::slice::from_ref(line));
            }
            Flow::On
        })
    }

    async fn client_move(
        &self,
        id: ClientId,
        client: &mut Client,
        action: &Action,
    ) -> (Ended, Flow) {
        match action {
            Action::Connect(dial) => {
                client.connect(dial).await;
                if !dial.without_waiting {
                    return self.expect(id, client, &Expectation::Connected, None).await;
                }
            }
            Action::Send {
                data,
                background: true,
                ..
            } => client.send_in_background(data),
            Action::Send {
                data, cut, every, ..
            } => client.send(data, cut, *every).await,
            Action::SendUrgent(byte) => client.send_urgent(*byte).await,
            Action::SendDescriptor(byte) => client.send_descriptor(*byte).await,
            Action::HalfClose => client.half_close(),
            Action::Reset => client.reset().await,
            Action::Close => client.close().await,
            Action::Vanish => client.vanish().await,
            Action::Stall => client.stall(),
            Action::Read(pace) => client.set_pace(*pace),
            Action::Expect { what, within } => return self.expect(id, client, what, *within).await,
            Action::Require { what, within } => {
                let (how, flow) = self.expect(id, client, what, *within).await;
                self.prove(
                    what.to_string(),
                    flow == Flow::On,
                    "read from the connection and the kernel's tables",
                );
                return (how, flow);
            }
        }
        (Ended::Done, Flow::On)
    }

    async fn expect(
        &self,
        id: ClientId,
        client: &Client,
        what: &Expectation,
        within: Option<Duration>,
    ) -> (Ended, Flow) {
        let mut sought = Sought::new(what, id.member);
        let how = self.wait_for(id, client, what, &mut sought, within).await;
        if matches!(what, Expectation::End { .. }) {
            self.await_obituary(id).await;
        }
        let mut views = self.recorder.views();
        let view = views.of(id);
        match view.look(&mut sought, how != Ended::Done) {
            Look::Met => {
                view.consume(&sought);
                (how, Flow::On)
            }
            Look::Pending | Look::Broken(_) => (how, Flow::Stop),
        }
    }

    /// Waits until an expectation is met or broken, until the kernel shows that nothing more will come, or until
    /// the time is up.
    async fn wait_for(
        &self,
        id: ClientId,
        client: &Client,
        what: &Expectation,
        sought: &mut Sought<'_>,
        within: Option<Duration>,
    ) -> Ended {
        let absence = matches!(what, Expectation::Silence | Expectation::Pending);
        let limit = within.unwrap_or(if absence { SILENCE } else { LIMIT });
        let asked = tokio::time::Instant::now();
        let mut deadline = asked + limit;
        // A crowd is served one after the other: as long as anybody is, nobody has waited in vain.
        let is_patient = within.is_none() && !absence;
        let mut look = looks();
        let asks_kernel = matches!(
            what,
            Expectation::Accepted
                | Expectation::Taken
                | Expectation::HeldBack
                | Expectation::Nothing
                | Expectation::TimeWait
        );
        if !asks_kernel {
            look.reset();
        }
        let begun = self.looks.get().number;
        let mut ran_before = None;
        let may_fail_to_come = absence || matches!(what, Expectation::DataOrSilence(_));
        let (mut dead_looks, mut held_looks) = (0, 0);
        let facts = self.recorder.facts_of(id);
        loop {
            let next_fact = facts.notified();
            if self.recorder.views().of(id).look(sought, false) != Look::Pending {
                return Ended::Done;
            }
            tokio::select! {
                biased;
                () = next_fact => {}
                () = tokio::time::sleep_until(deadline) => {
                    let later = self.recorder.last_served(id).map(|at| at + limit);
                    let later = later.map(|at| (asked + SERVED_WITHIN).min(at.into()));
                    match later.filter(|later| is_patient && *later > deadline) {
                        Some(later) => deadline = later,
                        None => {
                            self.note_ran_since(ran_before);
                            return Ended::OutOfTime(limit);
                        }
                    }
                }
                _ = look.tick() => {
                    let ran = self.fresh_look().still.ran;
                    ran_before = ran_before.or(Some(ran));
                    dead_looks = if self.is_dead(client) { dead_looks + 1 } else { 0 };
                    if dead_looks >= LOOKS_TO_BLAME && !may_fail_to_come {
                        return Ended::Done;
                    }
                    if *what == Expectation::HeldBack {
                        held_looks = self.look_for_restraint(id, client, held_looks);
                    }
                    let looks = if absence { 1 } else { LOOKS_TO_BLAME };
                    let settled = || self.is_settled(begun, looks) && self.is_quiet(client, what);
                    if !self.look_in_kernel(id, client, what) && settled() {
                        return Ended::Settled;
                    }
                }
            }
        }
    }

    /// Whether nothing of a client is on its way. A SYN that was not answered is repeated, so that an answer may
    /// still come, unless the lack of one is what is expected.
    fn is_quiet(&self, client: &Client, what: &Expectation) -> bool {
        match client.is_calling() {
            true => *what == Expectation::Pending,
            false => client.is_quiet(),
        }
    }

    /// Whether at least `looks` looks in a row, all later than look `begun`, found the server waiting for us alone and
    /// not having run in between. All clients of a crowd share the looks.
    fn is_settled(&self, begun: u64, looks: u64) -> bool {
        let last = self.fresh_look();
        last.settled >= looks && last.number > begun + looks
    }

    /// A look at the server's threads that is hardly older than the time between two looks.
    fn fresh_look(&self) -> LastLook {
        let last = self.looks.get();
        if last.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.note_obituaries();
            let still = self.stillness();
            let unmoved = last.still == still;
            let settled = unmoved && still.parked && self.lab.is_private();
            self.looks.set(LastLook {
                number: last.number + 1,
                at: Some(Instant::now()),
                settled: if settled { last.settled + 1 } else { 0 },
                asleep: unmoved && still.at_rest,
                still,
            });
        }
        self.looks.get()
    }

    /// Writes down how much processor time the server has used since a look, where there was one.
    fn note_ran_since(&self, before: Option<Duration>) {
        if let Some(before) = before {
            let ran = self.fresh_look().still.ran.saturating_sub(before);
            self.note_server(ServerEvent::Ran(ran));
        }
    }

    /// Whether the server still sleeps over bytes of a client that has more to send: how many looks in a row have shown
    /// so. When there are enough of them, it is written down.
    fn look_for_restraint(&self, id: ClientId, client: &Client, looks: u64) -> u64 {
        let unread_bytes = client.unread_bytes();
        let asleep = self.fresh_look().asleep;
        let looks = if asleep && unread_bytes > 0 {
            looks + 1
        } else {
            0
        };
        if looks == LOOKS_TO_BLAME {
            let event = ClientEvent::HeldBack { unread_bytes };
            self.recorder.note(What::Client(id, event));
        }
        looks
    }

    /// Whether no process of the server is left and nothing that it has sent is on its way, so that no more will come.
    fn is_dead(&self, client: &Client) -> bool {
        let dead = |server: &Server| {
            let left = || {
                server
                    .processes()
                    .iter()
                    .any(|process| !process.is_zombie())
            };
            server.process().exit().is_some() && !left()
        };
        // The kernel goes on sending for a stream whose owner has ended; datagrams are there at once or never.
        let nothing_comes = |server: &Server| server.transport().is_datagram() || client.is_quiet();
        self.server
            .as_ref()
            .is_some_and(|server| dead(server) && nothing_comes(server))
    }

    fn prove(&self, fault: String, shown: bool, evidence: &str) {
        self.recorder.note(What::Proof {
            fault,
            shown,
            evidence: evidence.to_owned(),
        });
    }

    /// Gives the server the time to come to rest; a server that does not is held to nothing here.
    async fn settle(&self) {
        let deadline = Instant::now() + SETTLE_WITHIN;
        let mut last = None;
        while Instant::now() < deadline {
            let quiet = self.clients.iter().flatten().all(Client::is_idle);
            let now = self.stillness();
            if quiet && now.at_rest && last.as_ref() == Some(&now) {
                return;
            }
            last = quiet.then_some(now);
            // Nothing announces that another process has come to rest.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Asks the kernel for facts that no event announces; true where one was found.
    fn look_in_kernel(&self, id: ClientId, client: &Client, what: &Expectation) -> bool {
        let (found, event) = match what {
            Expectation::Accepted => (client.is_accepted(), ClientEvent::Accepted),
            Expectation::Taken => (
                client.is_taken() || self.has_had_its_datagram(),
                ClientEvent::Taken,
            ),
            Expectation::HeldBack => (client.is_idle() && !client.has_ended(), ClientEvent::Taken),
            Expectation::TimeWait => (client.is_in_time_wait(), ClientEvent::TimeWait),
            Expectation::Nothing => match client.finds_nothing() {
                Some(error) => (true, ClientEvent::Nothing(error)),
                None => return false,
            },
            _ => return false,
        };
        if found {
            self.recorder.note(What::Client(id, event));
        }
        found
    }

    /// Whether a server for one datagram has ended in good order: its socket, which would show that the queue is empty,
    /// went with it.
    fn has_had_its_datagram(&self) -> bool {
        let is_for_one = self.target.profile.promises.serves == Some(Serves::OneConnection);
        self.server.as_ref().is_some_and(|server| {
            is_for_one
                && server.transport().is_datagram()
                && server.process().exit() == Some(Exit::Status(0))
        })
    }

    fn stillness(&self) -> Stillness {
        match &self.server {
            Some(server) => stillness(&server.processes(), server.process().output_bytes()),
            None => Stillness::default(),
        }
    }

    async fn server_step(&mut self, action: &ServerAction) -> Result<(Ended, Flow), Error> {
        let done = Ok((Ended::Done, Flow::On));
        match action {
            ServerAction::Stop => self.stop().await,
            ServerAction::Continue => {
                self.signal_all(libc::SIGCONT);
                self.note_server(ServerEvent::Continued);
            }
            ServerAction::Signal(signal) => self.signal(*signal),
            ServerAction::Start(streams) => return self.start_again(*streams).await,
            ServerAction::StartSecond => return self.start_second().await,
            ServerAction::StartOverFile => return self.start_over_file().await,
            ServerAction::LimitOpenFiles(spare) => {
                let flow = self.limit_open_files(*spare);
                return Ok((Ended::Done, flow));
            }
            ServerAction::RestoreOpenFiles => self.restore_open_files(),
            ServerAction::Expect { what, within } => {
                let how = self.wait_for_server(what, within.unwrap_or(LIMIT)).await;
                let met = self.recorder.facts().look(what) == Look::Met;
                return Ok((how, if met { Flow::On } else { Flow::Stop }));
            }
            ServerAction::Require { what, within } => {
                let how = self.wait_for_server(what, within.unwrap_or(LIMIT)).await;
                let facts = self.recorder.facts().clone();
                let met = facts.look(what) == Look::Met;
                let evidence = if met {
                    "the kernel shows it".to_owned()
                } else {
                    facts.instead(what)
                };
                self.prove(format!("server {what}"), met, &evidence);
                return Ok((how, if met { Flow::On } else { Flow::Stop }));
            }
        }
        done
    }

    fn signal_all(&self, signal: i32) {
        for process in self.server.iter().flat_map(Server::processes) {
            if let (Some(pid), Some(signal)) = (
                rustix::process::Pid::from_raw(process.pid),
                rustix::process::Signal::from_named_raw(signal),
            ) {
                // ESRCH: it has ended in between.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }

    /// Stops every process; the proof is the state of each in `/proc`.
    async fn stop(&self) {
        let deadline = Instant::now() + LIMIT;
        let mut running = usize::MAX;
        while running > 0 && Instant::now() < deadline {
            self.signal_all(libc::SIGSTOP);
            tokio::time::sleep(Duration::from_millis(1)).await;
            let processes = self
                .server
                .as_ref()
                .map(Server::processes)
                .unwrap_or_default();
            running = processes
                .iter()
                .filter(|process| !matches!(process.state, 'T' | 't' | 'Z' | 'X'))
                .count();
        }
        self.note_server(ServerEvent::Stopped);
        self.recorder.note(What::Proof {
            fault: "stopping the server".to_owned(),
            shown: running == 0,
            evidence: match running {
                0 => "every process is in state T".to_owned(),
                n => format!("{n} processes still run"),
            },
        });
    }

    fn signal(&self, signal: Signal) {
        let number = match signal {
            Signal::Term => libc::SIGTERM,
            Signal::Int => libc::SIGINT,
            Signal::Hup => libc::SIGHUP,
            Signal::Quit => libc::SIGQUIT,
            Signal::Usr1 => libc::SIGUSR1,
            Signal::Kill => libc::SIGKILL,
        };
        if let Some(server) = &self.server {
            server.process().signal(number);
            if signal == Signal::Kill {
                // Nothing tells the workers of a killed master to go; a service manager kills them too.
                self.signal_all(number);
            }
            self.note_server(ServerEvent::Signalled(signal));
        }
    }

    /// Starts the server again in its lab; what was left of the old one is swept away first.
    async fn start_again(&mut self, streams: Streams) -> Result<(Ended, Flow), Error> {
        self.note_output();
        // The old guard would sweep the lab, the new server with it: it has to go first.
        drop(self.server.take());
        match Server::start_with(self.target, Arc::clone(&self.lab), streams).await {
            Ok(server) => {
                let pid = server.pid();
                self.server = Some(server);
                self.note_server(ServerEvent::Started { pid });
                self.watch_exit();
                Ok((Ended::Done, Flow::On))
            }
            Err(error) => {
                self.note_server(ServerEvent::StartFailed(error.chain()));
                Ok((Ended::Done, Flow::Stop))
            }
        }
    }

    /// Starts a second instance beside the first and waits for its end.
    async fn start_second(&mut self) -> Result<(Ended, Flow), Error> {
        let second = Process::start(self.target, &self.lab, Streams::Usual)?;
        match tokio::time::timeout(LIMIT, second.ended()).await {
            Ok(exit) => {
                let words = last_line(&second.take_output());
                self.note_server(ServerEvent::SecondEnded(exit, words));
                let flow = if exit == Exit::Status(0) {
                    Flow::Stop
                } else {
                    Flow::On
                };
                Ok((Ended::Done, flow))
            }
            Err(_) => {
                second.signal(libc::SIGKILL);
                second.ended().await;
                self.note_server(ServerEvent::SecondLives);
                Ok((Ended::OutOfTime(LIMIT), Flow::Stop))
            }
        }
    }

    /// Starts the server where a regular file stands at its path, and looks for the file afterwards.
    async fn start_over_file(&mut self) -> Result<(Ended, Flow), Error> {
        drop(self.server.take());
        let path = self.lab.socket_path();
        let failed = |source| Error::File {
            doing: "writing",
            path: path.clone(),
            source,
        };
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, FOREIGN).map_err(failed)?;
        let (how, flow) = self.start_second().await?;
        let is_there = std::fs::read(&path).is_ok_and(|content| content == FOREIGN);
        if !is_there {
            self.note_server(ServerEvent::FileRemoved);
        }
        Ok((how, if is_there { flow } else { Flow::Stop }))
    }

    fn limit_open_files(&mut self, spare: u32) -> Flow {
        let mut lowest = None;
        for process in self.server.iter().flat_map(Server::processes) {
            let limit = limit_with_room(&process.descriptor_numbers(), spare);
            match limit_open_files(process.pid, limit) {
                Ok(before) => {
                    self.limited.push(Limited {
                        pid: process.pid,
                        before,
                        limit,
                    });
                    lowest = Some(lowest.unwrap_or(limit).min(limit));
                }
                Err(Errno::SRCH) => {}
                Err(error) => {
                    self.prove(
                        "limiting open files".to_owned(),
                        false,
                        &format!(
                            "prlimit({}) of {}: {error}; of another user's process it takes CAP_SYS_RESOURCE",
                            process.pid, process.name
                        ),
                    );
                    return Flow::Stop;
                }
            }
        }
        if let Some(limit) = lowest {
            self.note_server(ServerEvent::OpenFilesLimited(limit));
        }
        Flow::On
    }

    /// Descriptors in use and the limit on them, in the process with a lowered limit that has the fewest left.
    fn fewest_files_left(&self) -> Option<(u64, u64)> {
        let processes = self.server.as_ref()?.processes();
        let held = self.limited.iter().filter_map(|limited| {
            let process = processes
                .iter()
                .find(|process| process.pid == limited.pid)?;
            let below = |number: &i32| u64::from(number.unsigned_abs()) < limited.limit;
            let held = process.descriptor_numbers().into_iter().filter(below);
            Some((held.count() as u64, limited.limit))
        });
        held.min_by_key(|(held, limit)| limit.saturating_sub(*held))
    }

    fn restore_open_files(&mut self) {
        for Limited { pid, before, .. } in self.limited.drain(..) {
            // ESRCH: a worker that has ended needs no limit.
            if limit_open_files(pid, before).is_ok() {
                self.recorder
                    .note(What::Server(ServerEvent::OpenFilesLimited(before)));
            }
        }
    }

    async fn wait_for_server(&self, what: &ServerExpectation, limit: Duration) -> Ended {
        let mut deadline = tokio::time::Instant::now() + limit;
        let mut look = looks();
        let mut rest = RestWatch::default();
        let begun = self.looks.get().number;
        let mut all_in_hand = 0;
        loop {
            let next_fact = self.recorder.next_fact();
            self.note_server_facts(what, &mut rest);
            if self.recorder.facts().look(what) != Look::Pending {
                return Ended::Done;
            }
            if *what == ServerExpectation::OutOfFiles {
                all_in_hand = if self.all_accepted() {
                    all_in_hand + 1
                } else {
                    0
                };
                if all_in_hand > LOOKS_TO_BLAME || self.is_over(begun) {
                    if let Some((held, limit)) = self.fewest_files_left() {
                        let settled = true;
                        self.note_server(ServerEvent::OpenFiles {
                            held,
                            limit,
                            settled,
                        });
                    }
                    return Ended::Settled;
                }
            }
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => {
                    if !is_starved_of_proof(&rest, limit) {
                        break;
                    }
                    deadline += LOOK_EVERY;
                }
                // Of all that is waited for here only the exit is told; the rest is looked for, at times of our own.
                () = next_fact, if matches!(what, ServerExpectation::Exit(_)) => {}
                _ = look.tick() => {}
            }
        }
        if *what == ServerExpectation::Rest {
            self.note_server(ServerEvent::Rests {
                rests: false,
                cpu_percent: rest.cpu_percent(),
                spins: rest.spins() && is_busy(&rest, limit),
            });
        }
        Ended::OutOfTime(limit)
    }

    /// Whether the server has taken every client in hand.
    fn all_accepted(&self) -> bool {
        let mut clients = self.clients.iter().flatten();
        clients.all(|client| !client.is_connected() || client.is_accepted() || client.has_ended())
    }

    /// Whether nothing more will come of what the clients have done.
    fn is_over(&self, begun: u64) -> bool {
        let calling = self.clients.iter().flatten().any(Client::is_calling);
        !calling && self.is_settled(begun, LOOKS_TO_BLAME)
    }

    /// Reads from the kernel what an expectation is about, and writes it down where it is news.
    fn note_server_facts(&self, what: &ServerExpectation, rest: &mut RestWatch) {
        let Some(server) = &self.server else {
            return;
        };
        let event = match what {
            ServerExpectation::Exit(_) => return,
            ServerExpectation::Gone => {
                let left = server
                    .processes()
                    .iter()
                    .filter(|process| !process.is_zombie())
                    .count();
                if let (0, crate::check::Address::Path(path)) = (left, server.address()) {
                    self.note_news(ServerEvent::PathRemains(path.symlink_metadata().is_ok()));
                }
                match left {
                    0 => ServerEvent::Gone,
                    left => ServerEvent::LeftBehind(left),
                }
            }
            ServerExpectation::AcceptQueue(_) | ServerExpectation::Backlog(_) => {
                match self.listener() {
                    Some((queue, backlog)) => ServerEvent::Listener { queue, backlog },
                    None => return,
                }
            }
            ServerExpectation::Rest if rest.take(Instant::now(), self.stillness()) => {
                ServerEvent::Rests {
                    rests: true,
                    cpu_percent: rest.cpu_percent(),
                    spins: false,
                }
            }
            // How busy it is says most at the end of the wait.
            ServerExpectation::Rest => return,
            ServerExpectation::OutOfFiles => match self.fewest_files_left() {
                Some((held, limit)) => ServerEvent::OpenFiles {
                    held,
                    limit,
                    settled: false,
                },
                None => return,
            },
            ServerExpectation::TimeWait | ServerExpectation::NoTimeWait => {
                self.note_news(ServerEvent::TimeWaitOfClients(self.clients_in_time_wait()));
                ServerEvent::TimeWait(self.count_connections(State::TimeWait))
            }
        };
        self.note_news(event);
    }

    fn note_news(&self, event: ServerEvent) {
        if self.recorder.is_news(&event) {
            self.note_server(event);
        }
    }

    fn port(&self) -> Option<u16> {
        match self.server.as_ref()?.address() {
            crate::check::Address::Inet(address) => Some(address.port()),
            crate::check::Address::Path(_) => None,
        }
    }

    /// The listener's accept queue and its limit.
    pub(crate) fn listener(&self) -> Option<(u32, u32)> {
        let rows = match self.server.as_ref()?.address() {
            crate::check::Address::Inet(address) => {
                let mut rows = self.lab.diag().listeners().ok()?;
                rows.retain(|row| {
                    row.local
                        .is_some_and(|local| local.port() == address.port())
                });
                rows
            }
            crate::check::Address::Path(path) => self.lab.diag().listening_at(path).ok()?,
        };
        let queue = rows.iter().map(|row| row.receive_queue).sum();
        let backlog = rows.iter().map(|row| row.send_queue).min()?;
        Some((queue, backlog))
    }

    fn count_connections(&self, state: State) -> usize {
        let rows = self
            .port()
            .and_then(|port| self.lab.diag().connections(port).ok());
        rows.unwrap_or_default()
            .iter()
            .filter(|row| row.state == state)
            .count()
    }

    fn clients_in_time_wait(&self) -> usize {
        let rows = self
            .port()
            .and_then(|port| self.lab.diag().connections_to(port).ok());
        rows.unwrap_or_default()
            .iter()
            .filter(|row| row.state == State::TimeWait)
            .count()
    }

    /// Takes a sample once the server has come back to its baseline, or cannot be expected to any more; none of a server
    /// that has ended, which holds nothing.
    async fn sample(&mut self, moment: Moment) {
        self.leave_all().await;
        let home = self.recorder.with(|transcript| home(transcript, moment));
        let begun = Instant::now();
        let mut looks = Looks::default();
        let mut parked_looks = 0;
        loop {
            let (mut sample, parked) = looks.take(self);
            let is_home = |sample: &Sample| home.iter().all(|home| !is_above(sample, home));
            parked_looks = if parked { parked_looks + 1 } else { 0 };
            let will_not = parked_looks >= LOOKS_TO_BLAME && self.lab.is_private();
            if self.server().is_none() {
                return;
            }
            sample.spins = looks.rest.spins() && is_busy(&looks.rest, RETURN_WITHIN);
            let out_of_time = begun.elapsed() > RETURN_WITHIN;
            let given_up =
                will_not || out_of_time && !is_starved_of_proof(&looks.rest, RETURN_WITHIN);
            if given_up || (sample.at_rest && is_home(&sample)) {
                // The kernel goes through the table of all connections for this, which is dear.
                sample.close_wait = self.count_connections(State::CloseWait);
            }
            if given_up || (sample.at_rest && is_home(&sample)) {
                if moment == Moment::Baseline {
                    self.baseline_delay = self.stillness().longest_delay;
                }
                self.zombies = self.zombies();
                return self.recorder.note(What::Sample(moment, sample));
            }
            // Nothing announces that a server has cleaned up; its state is looked at again.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The children of the server that have ended and that it has not waited for.
    fn zombies(&self) -> Vec<i32> {
        let init = self.lab.warden().pid();
        let processes = self.server.iter().flat_map(Server::processes);
        processes
            .filter(|process| process.is_neglected(init))
            .map(|process| process.pid)
            .collect()
    }

    fn look(&self) -> Sample {
        let processes = self
            .server
            .as_ref()
            .map(Server::processes)
            .unwrap_or_default();
        let (zombies, living): (Vec<_>, Vec<_>) =
            processes.into_iter().partition(kernel::Process::is_zombie);
        let init = self.lab.warden().pid();
        let neglected = zombies.iter().filter(|zombie| zombie.is_neglected(init));
        let seen_before = |zombie: &&kernel::Process| self.zombies.contains(&zombie.pid);
        let mut sample = Sample {
            processes: living.len(),
            zombies: neglected.clone().count(),
            unreaped: neglected.filter(|zombie| seen_before(zombie)).count(),
            ..Sample::default()
        };
        let mut held = kernel::Descriptors::default();
        for process in &living {
            held.share_with(process.descriptors());
            sample.threads += process.threads;
            sample.memory_bytes += process.memory_bytes;
        }
        sample.sockets = held.socket_count();
        sample.files = held.file_count();
        sample.output_bytes = self
            .server
            .as_ref()
            .map_or(0, |server| server.process().output_bytes());
        sample.accept_queue = self.listener().map_or(0, |(queue, _)| queue);
        sample
    }
}

/// The last look at the server's threads.
#[derive(Clone, Copy, Default)]
struct LastLook {
    number: u64,
    at: Option<Instant>,
    still: Stillness,
    /// How many looks in a row have found the same as the one before, and a server that waits for us alone.
    settled: u64,
    /// The server sleeps, and has done so since the look before.
    asleep: bool,
}

/// The times at which to look. On a loaded host looks come late; they must not all come at once then, as a burst of them
/// shows no more than one.
fn looks() -> tokio::time::Interval {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    looks
}

/// Looks that follow each other, to tell rest from a moment's pause.
#[derive(Default)]
struct Looks {
    rest: RestWatch,
    last: Option<(Instant, Stillness)>,
}

impl Looks {
    /// Takes a sample; also says whether the server is parked and has not run since the look before.
    fn take(&mut self, stage: &Stage<'_>) -> (Sample, bool) {
        let mut sample = stage.look();
        let now = Instant::now();
        let still = stage.stillness();
        self.rest.take(now, still);
        sample.cpu_percent = self.rest.cpu_percent();
        let mut parked = false;
        if let Some((at, last)) = &self.last {
            let lately = percent(still.ran.saturating_sub(last.ran), now - *at);
            sample.at_rest = still.at_rest && last.at_rest && lately < 20;
            parked = still.parked && *last == still;
        }
        self.last = Some((now, still));
        (sample, parked)
    }
}

/// Whether a server has used as much processor time as one that is busy uses within a limit.
fn is_busy(rest: &RestWatch, limit: Duration) -> bool {
    percent(rest.ran, limit) >= BUSY
}

/// Whether a server takes all that it gets and has got too little to be judged, as on a loaded host: what it does may
/// still be work that ends.
fn is_starved_of_proof(rest: &RestWatch, limit: Duration) -> bool {
    rest.spins() && !is_busy(rest, limit) && rest.watched < limit * PATIENCE
}

/// The limit below which exactly `room` descriptor numbers are free: the limit is one on numbers (RLIMIT_NOFILE,
/// getrlimit(2)).
fn limit_with_room(used: &[i32], room: u32) -> u64 {
    let free = (0..).filter(|number| !used.contains(number));
    let last = free.take(room as usize).last();
    last.map_or(0, |last| last as u64 + 1)
}

/// What a server is waited for to come back to: its baseline, and when the same is done again, for what a leak would
/// raise further, what it has had before.
fn home(transcript: &Transcript, moment: Moment) -> Option<Sample> {
    let baseline = transcript.sample(Moment::Baseline)?.clone();
    let before: &[Moment] = match moment {
        Moment::Baseline | Moment::After => &[],
        Moment::Filled | Moment::Again => &[Moment::After, Moment::Filled, Moment::Again],
    };
    let before = before.iter().flat_map(|moment| transcript.samples(*moment));
    Some(before.fold(baseline, |home, before| Sample {
        sockets: home.sockets.max(before.sockets),
        files: home.files.max(before.files),
        threads: home.threads.max(before.threads),
        processes: home.processes.max(before.processes),
        ..home
    }))
}

fn is_above(sample: &Sample, baseline: &Sample) -> bool {
    sample.sockets > baseline.sockets
        || sample.files > baseline.files
        || sample.threads > baseline.threads
        || sample.processes > baseline.processes
        || sample.zombies > baseline.zombies
        || sample.close_wait > baseline.close_wait
        || sample.accept_queue > baseline.accept_queue
}

fn count(lines: &[Line]) -> usize {
    lines
        .iter()
        .map(|line| match &line.step {
            Step::Repeat { lines, .. } => 1 + count(lines),
            _ => 1,
        })
        .sum()
}

/// Drives futures together until all are done, and returns their results in order.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none() {
                match Pin::new(future).poll(context) {
                    Poll::Ready(value) => *result = Some(value),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn server_is_waited_for_only_where_it_has_more_than_ever_before() {
        let sample = |threads, zombies| Sample {
            threads,
            zombies,
            ..Sample::default()
        };
        let seen = [
            (Moment::Baseline, sample(10, 0)),
            (Moment::After, sample(14, 3)),
            (Moment::Again, sample(12, 0)),
        ];
        let events = seen.map(|(moment, sample)| Event {
            at: Duration::ZERO,
            what: What::Sample(moment, sample),
        });
        let events = events.to_vec();
        let transcript = Transcript { events };
        let home = |moment| home(&transcript, moment);
        assert_eq!(home(Moment::After), Some(sample(10, 0)));
        // Children are waited for when a client comes, or now and then: they are given the time for it.
        assert_eq!(home(Moment::Again), Some(sample(14, 0)));
    }
}
