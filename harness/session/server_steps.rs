//! What is done to the server beside the clients, and what is awaited of it.

use super::phases::{Flow, Session, go_on_if};
use super::quiescence::{is_busy, is_starved_of_proof, looks};
use crate::kernel::{RestDetector, State};
use crate::launch::{Process, Server};
use crate::model::error::Error;
use crate::model::expectation::ServerExpectation;
use crate::model::limits::{LOOK_EVERY, LOOK_SOON, LOOKS_TO_BLAME, STEP_WITHIN};
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::session::client::Client;
use crate::sys::socket::limit_open_files;
use crate::transcript::client_state::Progress;
use crate::transcript::event::{Ended, Exit, ServerEvent, What, last_line};
use crate::transcript::fault::Fault;
use rustix::io::Errno;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What stands in a file that is not the server's.
const FOREIGN: &[u8] = b"somebody's data\n";

/// A limit on open files that was changed.
pub(super) struct Limited {
    pid: i32,
    before: u64,
    limit: u64,
}

impl Session<'_> {
    pub(super) async fn server_step(
        &mut self,
        action: &ServerAction,
    ) -> Result<(Ended, Flow), Error> {
        let done = Ok((Ended::Done, Flow::Continue(())));
        match action {
            ServerAction::Stop => self.stop().await,
            ServerAction::Continue => {
                self.prove_life(action);
                self.signal_all(libc::SIGCONT);
                self.record_server(ServerEvent::Continued);
            }
            ServerAction::Signal(signal) => {
                if !self.signal(*signal).await {
                    let evidence = "the server had ended before";
                    self.prove(Fault::Step(format!("server {action}")), false, evidence);
                }
            }
            ServerAction::SignalAgain(signal) => {
                self.signal(*signal).await;
            }
            ServerAction::Start(streams) => return self.start_again(*streams).await,
            ServerAction::StartSecond => return self.start_second().await,
            ServerAction::StartOverFile => return self.start_over_file().await,
            ServerAction::LimitOpenFiles(spare) => {
                self.prove_life(action);
                let flow = self.limit_open_files(*spare);
                return Ok((Ended::Done, flow));
            }
            ServerAction::RestoreOpenFiles => self.restore_open_files(),
            ServerAction::Expect { what, within } => {
                let how = self
                    .wait_for_server(what, within.unwrap_or(STEP_WITHIN))
                    .await;
                let met = self.recorder.server_state().look(what) == Progress::Met;
                return Ok((how, go_on_if(met)));
            }
            ServerAction::Require { what, within } => {
                let how = self
                    .wait_for_server(what, within.unwrap_or(STEP_WITHIN))
                    .await;
                let server_state = self.recorder.server_state().clone();
                let met = server_state.look(what) == Progress::Met;
                let evidence = if met {
                    "the kernel shows it".to_owned()
                } else {
                    server_state.instead(what).to_string()
                };
                self.prove(Fault::RequiredOfServer(what.clone()), met, &evidence);
                return Ok((how, go_on_if(met)));
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
        let deadline = Instant::now() + STEP_WITHIN;
        let mut running = usize::MAX;
        while running > 0 && Instant::now() < deadline {
            self.signal_all(libc::SIGSTOP);
            tokio::time::sleep(LOOK_SOON).await;
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
        self.record_server(ServerEvent::Stopped);
        let living = self.living().count();
        let evidence = match (running, living) {
            (0, 0) => "no process of it is left".to_owned(),
            (0, _) => "every process is in state T".to_owned(),
            (n, _) => format!("{n} processes still run"),
        };
        let shown = running == 0 && living > 0;
        self.prove(Fault::Stop, shown, &evidence);
    }

    /// Sends the server a signal; false where it has ended, which is written down then if it was not yet.
    async fn signal(&mut self, signal: Signal) -> bool {
        let Some(server) = self.server.as_ref().filter(|server| is_there(server)) else {
            if let Some(watch) = self.exit_watch.take() {
                let _ = tokio::time::timeout(STEP_WITHIN, watch).await;
            }
            return false;
        };
        server.process().signal(signal.number());
        if signal == Signal::Kill {
            // Nothing tells the workers of a killed master to go; a service manager kills them too.
            self.signal_all(signal.number());
        }
        self.record_server(ServerEvent::Signalled(signal));
        true
    }

    /// Writes down that a step does not happen where nothing of the server is left to do it to.
    fn prove_life(&self, action: &ServerAction) {
        if self.living().next().is_none() {
            let evidence = "no process of the server is left";
            self.prove(Fault::Step(format!("server {action}")), false, evidence);
        }
    }

    /// Starts the server again in its lab; what was left of the old one is swept away first.
    async fn start_again(&mut self, streams: Streams) -> Result<(Ended, Flow), Error> {
        self.record_output();
        // The old guard would sweep the lab, the new server with it: it has to go first.
        drop(self.server.take());
        match Server::start_with(self.target, Arc::clone(&self.lab), streams).await {
            Ok(server) => {
                let pid = server.pid();
                self.server = Some(server);
                self.record_server(ServerEvent::Started { pid });
                self.watch_exit();
                Ok((Ended::Done, Flow::Continue(())))
            }
            Err(error) => {
                self.record_server(ServerEvent::StartFailed(error.chain()));
                Ok((Ended::Done, Flow::Break(())))
            }
        }
    }

    /// Starts a second instance beside the first and waits for its end.
    async fn start_second(&mut self) -> Result<(Ended, Flow), Error> {
        let second = Process::start(self.target, &self.lab, Streams::Usual)?;
        match tokio::time::timeout(STEP_WITHIN, second.ended()).await {
            Ok(exit) => {
                let words = last_line(&second.take_output());
                self.record_server(ServerEvent::SecondEnded(exit, words));
                Ok((Ended::Done, go_on_if(exit != Exit::Status(0))))
            }
            Err(_) => {
                second.signal(libc::SIGKILL);
                second.ended().await;
                self.record_server(ServerEvent::SecondLives);
                Ok((Ended::OutOfTime(STEP_WITHIN), Flow::Break(())))
            }
        }
    }

    /// Starts the server where a regular file stands at its path, and looks for the file afterwards.
    async fn start_over_file(&mut self) -> Result<(Ended, Flow), Error> {
        drop(self.server.take());
        let path = self.lab.socket_path();
        let failed = Error::file("writing", &path);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, FOREIGN).map_err(failed)?;
        let (how, flow) = self.start_second().await?;
        let is_there = std::fs::read(&path).is_ok_and(|content| content == FOREIGN);
        if !is_there {
            self.record_server(ServerEvent::FileRemoved);
        }
        Ok((how, if is_there { flow } else { Flow::Break(()) }))
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
                        Fault::OpenFilesLimit,
                        false,
                        &format!(
                            "prlimit({}) of {}: {error}; of another user's process it takes CAP_SYS_RESOURCE",
                            process.pid, process.name
                        ),
                    );
                    return Flow::Break(());
                }
            }
        }
        if let Some(limit) = lowest {
            self.record_server(ServerEvent::OpenFilesLimited(limit));
        }
        Flow::Continue(())
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

    /// How near the server is to its limit on open files; `settled` where nobody waits any more to be taken.
    fn open_files(&self, settled: bool) -> Option<ServerEvent> {
        let (held, limit) = self.fewest_files_left()?;
        Some(ServerEvent::OpenFiles {
            held,
            limit,
            waiting: self.listener().map_or(0, |(queue, _)| queue),
            settled,
        })
    }

    fn restore_open_files(&mut self) {
        for Limited { pid, before, .. } in self.limited.drain(..) {
            // ESRCH: a worker that has ended needs no limit.
            if limit_open_files(pid, before).is_ok() {
                self.recorder
                    .record(What::Server(ServerEvent::OpenFilesLimited(before)));
            }
        }
    }

    async fn wait_for_server(&self, what: &ServerExpectation, limit: Duration) -> Ended {
        let mut deadline = tokio::time::Instant::now() + limit;
        let mut look = looks();
        let mut rest = RestDetector::default();
        let begun = self.looks.get().number;
        let mut all_in_hand = 0;
        loop {
            let next_fact = self.recorder.next_fact();
            self.record_server_facts(what, &mut rest);
            if self.recorder.server_state().look(what) != Progress::Pending {
                return Ended::Done;
            }
            if *what == ServerExpectation::OutOfFiles {
                all_in_hand = if self.all_accepted() {
                    all_in_hand + 1
                } else {
                    0
                };
                if all_in_hand > LOOKS_TO_BLAME || self.is_over(begun) {
                    if let Some(event) = self.open_files(true) {
                        self.record_server(event);
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
            self.record_server(ServerEvent::Rests {
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
    fn record_server_facts(&self, what: &ServerExpectation, rest: &mut RestDetector) {
        let Some(server) = &self.server else {
            return;
        };
        let event = match what {
            ServerExpectation::Exit(_) => return,
            ServerExpectation::Output(text) => match server.process().has_printed(text) {
                true => ServerEvent::Printed(text.clone()),
                false => return,
            },
            ServerExpectation::Gone => {
                let left = self.living().count();
                if let (0, crate::model::address::Address::Path(path)) = (left, server.address()) {
                    self.record_news(ServerEvent::PathRemains(path.symlink_metadata().is_ok()));
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
            ServerExpectation::OutOfFiles => match self.open_files(false) {
                Some(event) => event,
                None => return,
            },
            ServerExpectation::TimeWait | ServerExpectation::NoTimeWait => {
                self.record_news(ServerEvent::TimeWaitOfClients(self.clients_in_time_wait()));
                ServerEvent::TimeWait(self.count_connections(State::TimeWait))
            }
        };
        self.record_news(event);
    }

    fn record_news(&self, event: ServerEvent) {
        if self.recorder.is_news(&event) {
            self.record_server(event);
        }
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
}

/// Whether a signal would still reach the server. The kernel shows an end a moment before anybody is told of it.
fn is_there(server: &Server) -> bool {
    let first = server.pid();
    let mut processes = server.processes().into_iter();
    server.process().exit().is_none()
        && processes.any(|process| process.pid == first && !process.is_zombie())
}

/// The limit below which exactly `room` descriptor numbers are free: the limit is one on numbers (RLIMIT_NOFILE,
/// getrlimit(2)).
fn limit_with_room(used: &[i32], room: u32) -> u64 {
    let free = (0..).filter(|number| !used.contains(number));
    let last = free.take(room as usize).last();
    last.map_or(0, |last| last as u64 + 1)
}
