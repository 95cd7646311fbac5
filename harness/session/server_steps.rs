//! What is done to the server beside the clients, and what is awaited of it.

use super::open_files::lowest_with_room;
use super::phases::{Flow, Session, go_on_if};
use super::quiescence::{is_busy, is_starved_of_proof, looks_every};
use crate::kernel::{Labour, RestDetector};
use crate::launch::{NotStarted, Process, Server, Target};
use crate::model::error::Error;
use crate::model::expectation::ServerExpectation;
use crate::model::limits::{
    LET_IN_WITHIN, LOOK_ASIDE, LOOK_EVERY, LOOK_ON_FOR, LOOK_SOON, LOOKS_TO_BLAME, STEP_WITHIN,
};
use crate::model::literal::Measured;
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::system_call::RareAnswer;
use crate::model::text_file::Kind;
use crate::session::client::Client;
use crate::transcript::client_state::Progress;
use crate::transcript::event::{ClientEvent, ClientId, Ended, Exit, ServerEvent, What, last_line};
use crate::transcript::fault::Fault;
use crate::transcript::server_state::SecondInstance;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What stands in a file that is not the server's.
const FOREIGN: &[u8] = b"somebody's data\n";

impl Session<'_> {
    pub(super) async fn server_step(
        &mut self,
        action: &ServerAction,
    ) -> Result<(Ended, Flow), Error> {
        match action {
            ServerAction::Stop => self.stop().await,
            ServerAction::Continue => self.let_run_on(action),
            ServerAction::Signal(signal) => self.signal_the_living(action, *signal).await,
            ServerAction::SignalAgain(signal) => drop(self.signal(*signal).await),
            ServerAction::RestoreOpenFiles => self.restore_open_files(),
            ServerAction::LimitOpenFiles(spare) => {
                return Ok((Ended::Done, self.limit_open_files(action, *spare).await));
            }
            ServerAction::Start(streams) => return self.start_again(*streams).await,
            ServerAction::StartSecond(second) => return self.start_second(*second).await,
            ServerAction::StartBesideHelpers => return self.start_beside_helpers().await,
            ServerAction::StartOverFile => return self.start_over_file().await,
            ServerAction::NeverOutput(text) => self.forbid(action, text),
            ServerAction::Answer(answer) => self.answer(action, *answer),
            ServerAction::RestoreCalls => self.observer.end_answers(),
            ServerAction::Expect { what, within } => {
                let looks_on = within.is_none() && comes_of_itself(what);
                return Ok(self.expect_of_server(what, *within, looks_on).await);
            }
            ServerAction::Require { what, within } => {
                let (how, flow) = self.expect_of_server(what, *within, false).await;
                self.prove_required(what, flow.is_continue());
                return Ok((how, flow));
            }
        }
        Ok((Ended::Done, Flow::Continue(())))
    }

    /// Has calls of the server answered in a rare way from here on.
    fn answer(&self, action: &ServerAction, answer: RareAnswer) {
        let address = self.server().map(|server| server.address().clone());
        match self.observer.answerer().zip(address) {
            Some((answerer, address)) => {
                // Who stands by is nobody's concern.
                let states = self.observer.recorder.client_states();
                let spared = states.sources_of(ClientId::BYSTANDER);
                answerer.order(answer, address, spared);
            }
            None => self.disprove(action, "nobody holds up the calls of this server"),
        }
    }

    /// Waits until another call of the server has had a rare answer.
    async fn next_answer(&self) {
        match self.observer.answerer() {
            Some(answerer) => answerer.next_given().await,
            None => std::future::pending().await,
        }
    }

    /// Has the server's output looked through for what it must not print.
    fn forbid(&self, action: &ServerAction, text: &[u8]) {
        self.observer.forbidden.borrow_mut().push(text.to_vec());
        let process = self.server().and_then(|server| server.process());
        if !process.is_some_and(|process| process.forbid(text)) {
            let fault = Fault::Step(format!("server {action}"));
            let evidence = "it had printed more by then than is kept";
            self.observer.prove(fault, false, evidence);
        }
    }

    fn let_run_on(&self, action: &ServerAction) {
        self.prove_life(action);
        self.signal_all(libc::SIGCONT);
        self.observer.record_server(ServerEvent::Continued);
    }

    /// What we have stopped is not to be blamed for what it does not do afterwards.
    pub(super) fn continue_if_left_stopped(&self) {
        let mut living = self.observer.living();
        if living.any(|process| process.state == 'T') {
            self.signal_all(libc::SIGCONT);
            self.observer.record_server(ServerEvent::Continued);
        }
    }

    async fn signal_the_living(&mut self, action: &ServerAction, signal: Signal) {
        if !self.signal(signal).await {
            self.disprove(action, "the server had ended before");
        }
    }

    /// Writes down that a step did not happen.
    fn disprove(&self, action: &ServerAction, evidence: &str) {
        let step = Fault::Step(format!("server {action}"));
        self.observer.prove(step, false, evidence);
    }

    pub(super) fn restore_open_files(&mut self) {
        for limit in self.files.restore() {
            let restored = ServerEvent::OpenFilesLimited(limit);
            self.observer.record_server(restored);
        }
    }

    async fn expect_of_server(
        &self,
        what: &ServerExpectation,
        within: Option<Duration>,
        looks_on: bool,
    ) -> (Ended, Flow) {
        let within = within.unwrap_or(STEP_WITHIN);
        let how = self.wait_for_server(what, within, looks_on).await;
        let met = self.observer.recorder.server_state().look(what) == Progress::Met;
        (how, go_on_if(met))
    }

    fn prove_required(&self, what: &ServerExpectation, met: bool) {
        let evidence = match met {
            true => "the kernel shows it".to_owned(),
            false => {
                let state = self.observer.recorder.server_state();
                let instead = state.instead(what);
                let kept = |all: &mut dyn Iterator<Item = &Client>| {
                    all.filter(|client| client.is_deferred()).count()
                };
                match self.clients.look(kept) {
                    0 => instead.to_string(),
                    kept => format!(
                        "{instead}, and the kernel keeps {kept} clients from the server that have not spoken \
                         (TCP_DEFER_ACCEPT)"
                    ),
                }
            }
        };
        let required = Fault::RequiredOfServer(what.clone());
        self.observer.prove(required, met, &evidence);
    }

    fn signal_all(&self, signal: i32) {
        for process in self.observer.processes() {
            kill(&process, signal);
        }
    }

    /// Stops every process; the proof is the state of each in `/proc`.
    async fn stop(&self) {
        let (shown, evidence) = stop_all(|| self.observer.processes()).await;
        self.observer.record_server(ServerEvent::Stopped);
        self.observer.prove(Fault::Stop, shown, &evidence);
    }

    /// Sends the server a signal; false where it has ended, which is written down then if it was not yet.
    async fn signal(&mut self, signal: Signal) -> bool {
        self.note_the_deferred();
        let Some(server) = self
            .observer
            .server
            .as_ref()
            .filter(|server| is_there(server))
        else {
            if let Some(watch) = self.observer.exit_watch.take() {
                let _ = tokio::time::timeout(STEP_WITHIN, watch).await;
            }
            return false;
        };
        let signalled = send(server, signal);
        self.observer.record_server(signalled);
        true
    }

    /// Writes down that a step does not happen where nothing of the server is left to do it to.
    fn prove_life(&self, action: &ServerAction) {
        if self.observer.living().next().is_none() {
            self.disprove(action, "no process of the server is left");
        }
    }

    /// Writes down what is to be known of a server of which nothing is left a moment later.
    pub(super) fn prepare_the_end(&self) {
        self.note_the_deferred();
        self.observer.ends.record();
        if self.observer.living().next().is_some() {
            self.observer.record_server(ServerEvent::Killed);
        }
    }

    /// Writes down whom the kernel keeps from the server because it has not spoken: it is owed nothing by the server.
    pub(super) fn note_the_deferred(&self) {
        let deferred: Vec<_> = self.clients.look(|all| {
            let deferred = all.filter(|client| client.is_deferred());
            deferred.map(Client::id).collect()
        });
        for id in deferred {
            self.observer
                .record(What::Client(id, ClientEvent::Deferred));
        }
    }

    /// Starts the server again in its lab; what was left of the old one is swept away first.
    pub(super) async fn start_again(&mut self, streams: Streams) -> Result<(Ended, Flow), Error> {
        self.observer.record_output();
        self.observer.record_alarms(true);
        self.prepare_the_end();
        // The old guard would sweep the lab, the new server with it: it has to go first.
        let not_let_go = self.observer.end_server().await;
        self.observer.ends.discard();
        if streams != Streams::Usual {
            // What the streams do to a server shows in one that has nothing else in its way: another case is about that.
            let path = self.observer.lab.socket_path();
            let _ = std::fs::remove_file(self.observer.lab.standing(&path));
        }
        let started = Server::start_with(self.target, Arc::clone(&self.observer.lab), streams);
        let started = match started.await {
            Ok(server) => {
                self.observer.goes_on_as(server);
                self.observer.begin_life();
                self.observer.watch_exit();
                // What was only found of the first start is not promised of another.
                match self.target.profile.turns_away_at_first() {
                    true => self
                        .until_it_serves()
                        .await
                        .map(drop)
                        .map_err(NotStarted::from),
                    false => Ok(()),
                }
            }
            Err(not_started) => Err(not_started),
        };
        match started {
            Ok(()) => Ok((Ended::Done, Flow::Continue(()))),
            Err(NotStarted { error, output }) if error.is_of_server() => {
                let why = not_let_go.map_or(String::new(), |after| {
                    format!(
                        "the socket that it had listened on was still there {} after its last process; ",
                        Measured(after)
                    )
                });
                self.observer
                    .record_server(ServerEvent::StartFailed(why + &error.chain()));
                self.observer.record_printed(output);
                Ok((Ended::Done, Flow::Break(())))
            }
            Err(NotStarted { error, .. }) => {
                self.disprove(&ServerAction::Start(streams), &error.chain());
                Ok((Ended::Done, Flow::Break(())))
            }
        }
    }

    /// Starts the server where a regular file stands at its path, and looks for the file afterwards.
    async fn start_over_file(&mut self) -> Result<(Ended, Flow), Error> {
        self.prepare_the_end();
        drop(self.observer.server.take());
        self.observer.ends.discard();
        let path = self.observer.lab.socket_path();
        let failed = Error::file("writing", &path);
        let path = self.observer.lab.standing(&path);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, FOREIGN).map_err(failed)?;
        let stands = self.stands_at_path();
        let another = Process::start(self.target, &self.observer.lab, Streams::Usual)?;
        let (how, became) = self.watch_second(another, stands).await;
        let flow =
            go_on_if(matches!(became, SecondInstance::Ended(exit) if exit != Exit::Status(0)));
        // The server may have put anything in its place.
        let found = Kind::SETTINGS.read_found(&path);
        let is_there = found.is_ok_and(|content| content.as_bytes() == FOREIGN);
        if !is_there {
            self.observer.record_server(ServerEvent::FileRemoved);
        }
        Ok((how, if is_there { flow } else { Flow::Break(()) }))
    }

    async fn limit_open_files(&mut self, action: &ServerAction, spare: u32) -> Flow {
        self.prove_life(action);
        match self.files.lower(&self.observer.processes(), spare) {
            Ok(limit) => {
                if let Some(limit) = limit {
                    self.observer
                        .record_server(ServerEvent::OpenFilesLimited(limit));
                }
                Flow::Continue(())
            }
            Err(refused) if self.clients.is_anybody_connected() => {
                self.observer.prove(Fault::OpenFilesLimit, false, &refused);
                Flow::Break(())
            }
            Err(_) => self.start_limited(spare).await,
        }
    }

    /// Starts the server again with a limit on open files that it has from the beginning: one that has changed its user
    /// may not be limited later.
    async fn start_limited(&mut self, spare: u32) -> Flow {
        let limit = lowest_with_room(&self.observer.processes(), spare);
        let limited = Target {
            open_files: limit,
            ..self.target.clone()
        };
        if let Some(watch) = self.observer.exit_watch.take() {
            watch.abort();
        }
        self.observer.end_server().await;
        let lab = Arc::clone(&self.observer.lab);
        match Server::start_with(&limited, lab, Streams::Usual).await {
            Ok(server) => {
                server
                    .pid()
                    .inspect(|pid| self.observer.ends.tell_elsewhere(*pid));
                self.observer.goes_on_as(server);
            }
            Err(not_started) => return self.not_limited(&not_started.error.in_one_line()),
        }
        if let Some(exit) = self.ends_before_it_serves().await {
            let server = self.observer.server.take();
            let output = server.map(|server| server.take_output().0);
            // What it leaves behind is no worker of anybody.
            self.observer.ends.discard();
            let words = last_line(&output.unwrap_or_default());
            let words = words.map_or(String::new(), |line| format!("; its last output: {line}"));
            return self.not_limited(&format!(
                "the server {exit} before it had served anybody{words}"
            ));
        }
        let limit = limit.unwrap_or_default();
        let processes = self.observer.processes();
        self.files.started_with(limit, &processes);
        self.observer.begin_life();
        self.observer
            .record_server(ServerEvent::OpenFilesLimited(limit));
        self.observer.watch_exit();
        Flow::Continue(())
    }

    fn not_limited(&self, why: &str) -> Flow {
        let why = format!("started with it, {why}");
        self.observer.prove(Fault::OpenFilesLimit, false, &why);
        Flow::Break(())
    }

    async fn wait_for_server(
        &self,
        what: &ServerExpectation,
        limit: Duration,
        looks_on: bool,
    ) -> Ended {
        let asked = tokio::time::Instant::now();
        let mut deadline = asked + limit;
        let mut look = looks_every(LOOK_EVERY);
        let mut rest = RestDetector::beside(self.observer.idleness);
        let labour = Labour::of(&self.observer.processes());
        let first_look = self.observer.fresh_look();
        let begun = first_look.number;
        let mut all_in_hand = 0;
        let mut had_room = Instant::now();
        let (mut has_looked_again, mut in_grace) = (false, false);
        loop {
            let next_fact = self.observer.recorder.next_fact();
            self.observer
                .record_server_facts(what, &mut rest, &self.files);
            if self.observer.recorder.server_state().look(what) != Progress::Pending {
                if in_grace && !looks_on {
                    let waited = asked.elapsed();
                    self.observer
                        .record_grace(&first_look, waited, Duration::ZERO);
                }
                return Ended::Done;
            }
            // Descriptors and calls come with clients, and no other is to come.
            let comes_with_clients = matches!(
                what,
                ServerExpectation::Descriptor(_) | ServerExpectation::Answered
            );
            if comes_with_clients && self.is_over(begun) {
                return Ended::Settled;
            }
            if *what == ServerExpectation::OutOfFiles {
                all_in_hand = if self.all_accepted() {
                    all_in_hand + 1
                } else {
                    0
                };
                if all_in_hand > LOOKS_TO_BLAME || self.is_over(begun) {
                    if let Some(event) = self.observer.open_files(&self.files, true) {
                        self.observer.record_server(event);
                    }
                    return Ended::Settled;
                }
            }
            tokio::select! {
                // Of all that is waited for here only the exit is told; the rest is looked for, at times of our own.
                () = next_fact, if matches!(what, ServerExpectation::Exit(_)) => {}
                () = self.next_answer(), if *what == ServerExpectation::Answered => {}
                () = tokio::time::sleep_until(deadline) => {
                    if looks_on && self.observer.may_still_act() {
                        if asked.elapsed() >= LOOK_ON_FOR {
                            return Ended::NotYet(LOOK_ON_FOR);
                        }
                        self.observer.turn.step_aside();
                        look = looks_every(LOOK_ASIDE);
                    } else if *what == ServerExpectation::OutOfFiles
                        && asked.elapsed() < LET_IN_WITHIN
                        && self.is_to_let_in(&mut had_room)
                    {
                        look = looks_every(LOOK_ASIDE);
                    } else if self.observer.has_time_left(&first_look, asked.elapsed(), limit) {
                        in_grace = true;
                    } else if !is_starved_of_proof(&rest, limit) {
                        if std::mem::replace(&mut has_looked_again, true) {
                            break;
                        }
                        // We may be late ourselves: what we were told meanwhile is taken first.
                        tokio::task::yield_now().await;
                        continue;
                    }
                    deadline += look.period();
                }
                // Meanwhile others may go on.
                _ = look.tick() => drop(self.observer.fresh_look()),
            }
        }
        // A server that tries again and again never settles, and somebody still waits.
        if *what == ServerExpectation::OutOfFiles
            && let Some(event @ ServerEvent::OpenFiles { waiting: 1.., .. }) =
                self.observer.open_files(&self.files, true)
        {
            self.observer.record_server(event);
        }
        if *what == ServerExpectation::Rest {
            self.record_toil(&labour);
            self.observer.record_server(ServerEvent::Rests {
                rests: false,
                cpu_percent: rest.cpu_percent(),
                spins: rest.spins() && is_busy(&rest, limit),
            });
        }
        Ended::OutOfTime(limit)
    }

    /// Writes down what a server is at that does not come to rest, and whether it is for lack of descriptors.
    fn record_toil(&self, before: &Labour) {
        let files = self.observer.open_files(&self.files, false);
        let all_files = match files {
            Some(ServerEvent::OpenFiles { held, limit, .. }) => (held >= limit).then_some(limit),
            _ => None,
        };
        let queued = self.observer.listener().map_or(0, |(queue, _)| queue);
        self.observer.record_toil(before, all_files, queued);
    }

    /// Whether the server has taken every client in hand, and none is still to come.
    fn all_accepted(&self) -> bool {
        self.clients.all(|client| {
            let is_taken = || client.is_accepted() || client.is_deferred();
            match client.is_connected() {
                true => is_taken() || client.has_ended(),
                false => !client.is_calling(),
            }
        })
    }

    /// Whether a client is still to come to a queue that has had room of late: others may fill it for a moment.
    fn is_to_let_in(&self, had_room: &mut Instant) -> bool {
        if self.clients.any(Client::is_yet_to_come) {
            *had_room = Instant::now();
        }
        let is_calling = self.clients.any(Client::is_calling);
        is_calling && had_room.elapsed() < STEP_WITHIN
    }

    /// Whether nothing more will come of what the clients have done.
    fn is_over(&self, begun: u64) -> bool {
        let calling = self.clients.any(Client::is_calling);
        !calling && self.observer.is_settled(begun, LOOKS_TO_BLAME)
    }
}

/// Sends a process a signal.
pub(super) fn kill(process: &crate::kernel::Process, signal: i32) {
    if let (Some(pid), Some(signal)) = (
        rustix::process::Pid::from_raw(process.pid),
        rustix::process::Signal::from_named_raw(signal),
    ) {
        // ESRCH: it has ended in between.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a server a signal, to whom a service manager would; returns what is to be written down.
pub(super) fn send(server: &Server, signal: Signal) -> ServerEvent {
    let inside = server.inside();
    match &inside {
        Some(process) => kill(process, signal.number()),
        None => {
            let first = server.process();
            first.inspect(|first| first.signal(signal.number()));
        }
    }
    if signal == Signal::Kill {
        // Nothing tells the workers of a killed master to go; a service manager kills them too.
        for process in server.processes() {
            kill(&process, signal.number());
        }
    }
    let inside = inside.map(|process| format!("process {} ({})", process.pid, process.name));
    ServerEvent::Signalled { signal, inside }
}

/// Stops all of these processes, and those that come meanwhile; returns whether they are, and what shows it.
pub(super) async fn stop_all(
    processes: impl Fn() -> Vec<crate::kernel::Process>,
) -> (bool, String) {
    let deadline = Instant::now() + STEP_WITHIN;
    let mut running = usize::MAX;
    while running > 0 && Instant::now() < deadline {
        for process in processes() {
            kill(&process, libc::SIGSTOP);
        }
        tokio::time::sleep(LOOK_SOON).await;
        let still_runs =
            |process: &crate::kernel::Process| !matches!(process.state, 'T' | 't' | 'Z' | 'X');
        running = processes().into_iter().filter(still_runs).count();
    }
    let living = processes()
        .into_iter()
        .filter(|process| !process.is_zombie())
        .count();
    let evidence = match (running, living) {
        (0, 0) => "no process of it is left".to_owned(),
        (0, _) => "every process is in state T".to_owned(),
        (n, _) => format!("{n} processes still run"),
    };
    (running == 0 && living > 0, evidence)
}

/// Whether a server comes to what is expected of it by itself, and may take its time for that. The limit of its queue is
/// what it has asked for, and rest is a matter of what it does meanwhile.
fn comes_of_itself(what: &ServerExpectation) -> bool {
    match what {
        ServerExpectation::Exit(_)
        | ServerExpectation::Gone
        | ServerExpectation::AcceptQueue(_)
        | ServerExpectation::Output(_) => true,
        ServerExpectation::Backlog(_)
        | ServerExpectation::Descriptor(_)
        | ServerExpectation::TimeWait
        | ServerExpectation::NoTimeWait
        | ServerExpectation::Rest
        | ServerExpectation::OutOfFiles
        | ServerExpectation::Answered => false,
    }
}

/// Whether a signal would still reach the server. The kernel shows an end a moment before anybody is told of it.
fn is_there(server: &Server) -> bool {
    let first = server.pid();
    let mut processes = server.processes().into_iter();
    server.exit().is_none()
        && processes.any(|process| Some(process.pid) == first && !process.is_zombie())
}
