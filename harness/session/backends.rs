//! What is done to the servers that stand behind the drilled one, and what is awaited of them.

use super::observer::Observer;
use super::phases::{Flow, Session, go_on_if};
use super::server_steps::{kill, send, stop_all};
use crate::launch::{Backend, Process, Server};
use crate::model::expectation::ServerExpectation;
use crate::model::limits::{LOOK_EVERY, STEP_WITHIN};
use crate::model::server_action::{ServerAction, Signal};
use crate::transcript::client_state::Progress;
use crate::transcript::event::{Ended, Exit, ServerEvent, What, last_line};
use crate::transcript::fault::Fault;
use std::time::{Duration, Instant};

impl Session<'_> {
    pub(super) async fn backend_step(
        &mut self,
        name: &str,
        action: &ServerAction,
    ) -> (Ended, Flow) {
        let done = (Ended::Done, Flow::Continue(()));
        match action {
            ServerAction::Signal(signal) => self.signal_backend(name, *signal),
            ServerAction::Stop => self.stop_backend(name).await,
            ServerAction::Continue => {
                self.let_backend_run_on(name);
                self.observer.record_backend(name, ServerEvent::Continued);
            }
            ServerAction::Start(_) => return self.start_backend(name).await,
            ServerAction::Expect { what, within } => {
                let within = within.unwrap_or(STEP_WITHIN);
                return self.expect_of_backend(name, what, within).await;
            }
            ServerAction::Require { what, within } => {
                let within = within.unwrap_or(STEP_WITHIN);
                let (how, flow) = self.expect_of_backend(name, what, within).await;
                let fault = Fault::Step(format!("{name} {action}"));
                let evidence = match flow.is_continue() {
                    true => "it was seen",
                    false => "it was not seen",
                };
                self.observer.prove(fault, flow.is_continue(), evidence);
                return (how, flow);
            }
            // No line says so of a backend.
            _ => {}
        }
        done
    }

    /// Sends a signal to a backend, or writes down that it had ended.
    fn signal_backend(&self, name: &str, signal: Signal) {
        self.observer.count_drops_behind();
        let backend = self.observer.backends.find(name);
        let server = backend.filter(|backend| !backend.has_ended());
        match server.and_then(Backend::server) {
            Some(server) => self.observer.record_backend(name, send(server, signal)),
            None => {
                let fault = Fault::Step(format!("{name} signal {signal}"));
                self.observer.prove(fault, false, "it had ended before");
            }
        }
    }

    fn let_backend_run_on(&self, name: &str) {
        let backend = self.observer.backends.find(name);
        let processes = backend.map(Backend::processes);
        for process in processes.unwrap_or_default() {
            kill(&process, libc::SIGCONT);
        }
    }

    /// Stops every process of a backend; the proof is the state of each in `/proc`.
    async fn stop_backend(&self, name: &str) {
        let backend = self.observer.backends.find(name);
        let processes = || backend.map(Backend::processes).unwrap_or_default();
        let (shown, evidence) = stop_all(processes).await;
        self.observer.record_backend(name, ServerEvent::Stopped);
        let fault = Fault::Step(format!("{name} stop"));
        self.observer.prove(fault, shown, &evidence);
    }

    /// Starts a backend again; what runs of it is ended.
    async fn start_backend(&mut self, name: &str) -> (Ended, Flow) {
        self.observer.prove_backends();
        self.observer.count_drops_behind();
        let backend = self.observer.backends.find(name);
        if backend.is_some_and(|backend| !backend.has_ended()) {
            self.observer.record_backend(name, ServerEvent::Killed);
        }
        let Some(backend) = self.observer.backends.find_mut(name) else {
            return (Ended::Done, Flow::Break(()));
        };
        let started = backend.start().await;
        self.observer.awaited_ends.borrow_mut().remove(name);
        let pid = backend.server().and_then(|server| server.pid());
        match started {
            Ok(()) => {
                let pid = pid.unwrap_or_default();
                self.observer
                    .record_backend(name, ServerEvent::Started { pid });
                (Ended::Done, Flow::Continue(()))
            }
            Err(error) => {
                let fault = Fault::Step(format!("{name} start"));
                self.observer.prove(fault, false, &error.in_one_line());
                (Ended::Done, Flow::Break(()))
            }
        }
    }

    /// Lets backends run on that steps have stopped, and starts those again that they have ended: who comes next is owed all of them.
    pub(super) async fn restore_backends(&mut self) {
        let backends = self.observer.backends.iter();
        let names: Vec<_> = backends.map(|backend| backend.name.clone()).collect();
        for name in names {
            self.let_backend_run_on(&name);
            let is_to_end = self.observer.was_ordered_to_end(&name);
            if is_to_end && self.has_ended_in_time(&name).await || self.has_ended_as_awaited(&name)
            {
                // Where that fails it is written down.
                let _ = self.start_backend(&name).await;
            }
        }
    }

    /// Lets backends come to rest, or to the end that one of them is on its way to.
    pub(super) async fn settle_backends(&self) {
        if self.observer.backends.iter().next().is_none() {
            return;
        }
        self.observer.settle(&self.clients).await;
        let gone = self
            .observer
            .backends
            .iter()
            .filter(|backend| backend.has_no_process());
        for process in gone.filter_map(Backend::server).filter_map(Server::process) {
            // Who has waited for it has yet to say so.
            let _ = tokio::time::timeout(STEP_WITHIN, process.ended()).await;
        }
    }

    /// Whether a backend has ended of which a step has awaited that.
    fn has_ended_as_awaited(&self, name: &str) -> bool {
        let backend = self.observer.backends.find(name);
        self.observer.awaited_ends.borrow().contains(name)
            && backend.is_some_and(Backend::has_ended)
    }

    /// Whether a backend ends within the time that any step has.
    async fn has_ended_in_time(&self, name: &str) -> bool {
        let Some(backend) = self.observer.backends.find(name) else {
            return false;
        };
        if let Some(process) = backend.server().and_then(Server::process) {
            // One that does not end is still there for who comes next.
            let _ = tokio::time::timeout(STEP_WITHIN, process.ended()).await;
        }
        backend.has_ended()
    }

    /// Time in which the backend was kept from running, or the server that it stands behind, is none of theirs.
    async fn expect_of_backend(
        &self,
        name: &str,
        what: &ServerExpectation,
        limit: Duration,
    ) -> (Ended, Flow) {
        let state = || self.observer.recorder.backend_state(name);
        if matches!(what, ServerExpectation::Exit(_)) {
            // How it ends, and whether, is the matter of this step, which may come after that.
            let mut ends = self.observer.awaited_ends.borrow_mut();
            ends.insert(name.to_owned());
        }
        let Some(backend) = self.observer.backends.find(name) else {
            return (Ended::Done, Flow::Break(()));
        };
        let process = backend.server().and_then(Server::process);
        let mut exit = process.map(Process::exit_receiver);
        let (asked, first_look) = (Instant::now(), self.observer.fresh_look());
        let how = loop {
            if let Some(event) = seen(backend, what) {
                self.observer.record_backend_news(name, event);
            }
            if state().look(what) != Progress::Pending {
                break Ended::Done;
            }
            if !self
                .observer
                .has_time_left(&first_look, asked.elapsed(), limit)
            {
                break Ended::OutOfTime(limit);
            }
            // Of its end is told, and what it prints is looked for.
            tokio::select! {
                () = ends(&mut exit) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        };
        (how, go_on_if(state().look(what) == Progress::Met))
    }
}

/// Waits for the end of a process that runs.
async fn ends(exit: &mut Option<tokio::sync::watch::Receiver<Option<Exit>>>) {
    let changed = match exit {
        Some(exit) => exit.changed().await,
        None => return std::future::pending().await,
    };
    if changed.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How a backend has ended that nobody had told to, or has gone where nobody can tell it.
fn end_of(backend: &Backend, exit: Exit) -> String {
    if exit == Exit::Status(0) && !backend.has_ended() {
        let advice = backend.advice();
        return format!("it put itself into the background, and its first process ended; {advice}");
    }
    let output = backend.server().map(|server| server.take_output().0);
    let words = last_line(&output.unwrap_or_default());
    let words = words.map_or(String::new(), |line| format!("; its last output: {line}"));
    format!("{exit}, and nobody had told it to end{words}")
}

/// What is seen of a backend of which this is expected, where it is anything.
fn seen(backend: &Backend, what: &ServerExpectation) -> Option<ServerEvent> {
    let server = backend.server()?;
    match what {
        ServerExpectation::Output(text) => {
            let prints = |process: &Process| process.has_printed(text);
            let printed = server.process().is_some_and(prints);
            printed.then(|| ServerEvent::Printed(text.clone()))
        }
        _ => server.exit().map(ServerEvent::Exited),
    }
}

impl Observer {
    pub(super) fn record_backend(&self, name: &str, event: ServerEvent) {
        self.record(What::Backend(name.to_owned(), event));
    }

    fn record_backend_news(&self, name: &str, event: ServerEvent) {
        let is_known = self
            .recorder
            .with(|seen| seen.life_of_backend(name).contains(&&event));
        if !is_known {
            self.record_backend(name, event);
        }
    }

    /// Writes down which backends run, before anybody has spoken to the server.
    pub(super) fn begin_backends(&self) {
        self.awaited_ends.borrow_mut().clear();
        for backend in self.backends.iter() {
            if let Some(pid) = backend.server().and_then(|server| server.pid()) {
                self.record_backend(&backend.name, ServerEvent::Started { pid });
            }
        }
    }

    /// Writes down which backend has ended though nobody has told it to: what the server did without it says nothing of the server.
    pub(super) fn prove_backends(&self) {
        for backend in self.backends.iter() {
            let exit = backend.server().and_then(Server::exit);
            let Some(exit) = exit else {
                continue;
            };
            if backend.has_ended() {
                self.record_backend_news(&backend.name, ServerEvent::Exited(exit));
            }
            if !self.was_ended(&backend.name, exit) {
                let fault = Fault::Backend(backend.name.clone());
                self.recorder.disprove_once(fault, end_of(backend, exit));
            }
        }
    }

    /// The signals that steps have sent to a backend since it was started.
    fn signals_to(&self, name: &str) -> Vec<Signal> {
        let signal = |event: &&ServerEvent| match event {
            ServerEvent::Signalled { signal, .. } => Some(*signal),
            _ => None,
        };
        self.recorder.with(|seen| {
            seen.life_of_backend(name)
                .iter()
                .filter_map(signal)
                .collect()
        })
    }

    /// Whether a step has told a backend to end since it was started.
    fn was_ordered_to_end(&self, name: &str) -> bool {
        self.signals_to(name).into_iter().any(Signal::orders_end)
    }

    /// Whether a backend has ended so because of a step: it was told to, or does not know the signal that it was sent; or a step has
    /// judged its end.
    fn was_ended(&self, name: &str, exit: Exit) -> bool {
        let is_by = |signal: Signal| exit == Exit::Signal(signal.number());
        self.awaited_ends.borrow().contains(name)
            || self.was_ordered_to_end(name)
            || self.signals_to(name).into_iter().any(is_by)
    }
}
