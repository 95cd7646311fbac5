//! A server whose own processes are killed, and what helpers that run other programs keep of it.

use super::phases::{Flow, Session};
use super::server_steps::kill;
use crate::foreign::LINE;
use crate::kernel::{Process, State, stillness};
use crate::launch::Process as Started;
use crate::model::error::Error;
use crate::model::limits::{LOOK_EVERY, LOOK_ON_FOR, LOOKS_TO_BLAME, STEP_WITHIN};
use crate::model::server_action::Streams;
use crate::transcript::event::{Ended, ServerEvent};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SocketType, connect};
use std::net::SocketAddr;
use std::time::Instant;

impl Session<'_> {
    /// Kills the server's own processes, and starts it again where no helper has kept its listening socket.
    ///
    /// Workers are the server itself and go with it, whoever they were started by: who runs the same program is one of
    /// them. A helper that takes the clients who come then was handed the socket, as a service manager does; one that leaves
    /// them in the queue has inherited it.
    pub(super) async fn start_beside_helpers(&mut self) -> Result<(Ended, Flow), Error> {
        let (own, helpers) = self.own_and_helpers();
        self.prepare_the_end();
        own.iter().for_each(|process| kill(process, libc::SIGKILL));
        let how = self.until_let_go_by(&own, &helpers).await;
        if let Some(helper) = self.holder_among(&helpers)
            && !self.somebody_takes_a_client(&helpers).await
        {
            let inherited = ServerEvent::ListenerInherited {
                program: name_of(&helper),
                pid: helper.pid,
            };
            self.observer.record_server(inherited);
            let again = Started::start(self.target, &self.observer.lab, Streams::Usual)?;
            self.watch_second(again, None).await;
            return Ok((how, Flow::Break(())));
        }
        self.start_again(Streams::Usual).await
    }

    /// The processes that run the server's program, and those that run others and may keep what they have of it.
    fn own_and_helpers(&self) -> (Vec<Process>, Vec<Process>) {
        let Some(server) = &self.observer.server else {
            return (Vec::new(), Vec::new());
        };
        let living: Vec<_> = self.observer.living().collect();
        let pid = server
            .inside()
            .map_or_else(|| server.pid(), |inside| Some(inside.pid));
        let program = living.iter().find(|process| Some(process.pid) == pid);
        let program = program.and_then(Process::program);
        let is_own = |process: &Process| {
            Some(process.pid) == pid || program.is_some() && process.program() == program
        };
        living.into_iter().partition(is_own)
    }

    /// A helper that has a socket which listens at the server's port.
    fn holder_among(&self, helpers: &[Process]) -> Option<Process> {
        let listening = self.observer.server.as_ref()?.sockets();
        let holds = |process: &Process| {
            let held = process.descriptors();
            held.sockets().any(|inode| listening.contains(&inode))
        };
        let mut living = self.observer.living();
        living.find(|process| {
            helpers.iter().any(|helper| helper.pid == process.pid) && holds(process)
        })
    }

    /// Waits until the server's own processes have ended, and its helpers have followed or do nothing more of themselves; who
    /// notices by a signal, or by the end of a pipe, has done so by then.
    async fn until_let_go_by(&self, own: &[Process], helpers: &[Process]) -> Ended {
        let begun = Instant::now();
        loop {
            let is_own = |process: &Process| own.iter().any(|own| own.pid == process.pid);
            let still_ends = self.observer.living().any(|process| is_own(&process));
            if !still_ends && self.holder_among(helpers).is_none() {
                return Ended::Done;
            }
            if begun.elapsed() > STEP_WITHIN && self.are_still(helpers) {
                return Ended::Done;
            }
            if begun.elapsed() > LOOK_ON_FOR {
                return Ended::NotYet(LOOK_ON_FOR);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether none of them runs.
    fn are_still(&self, helpers: &[Process]) -> bool {
        let server = self.observer.server.as_ref();
        server.is_none_or(|server| stillness(helpers, server.output_pipe()).at_rest)
    }

    /// Whether a client that comes now, and speaks, is taken by one of the helpers before all of them sleep.
    async fn somebody_takes_a_client(&self, helpers: &[Process]) -> bool {
        let Some((client, ends)) = self.call() else {
            return false;
        };
        let mut still = 0;
        let begun = Instant::now();
        while still < LOOKS_TO_BLAME && begun.elapsed() < LOOK_ON_FOR {
            let row =
                ends.and_then(|(local, peer)| self.observer.lab.diag().find(peer, local).ok()?);
            if row.is_some_and(|row| row.inode != 0 && row.state == State::Established) {
                return true;
            }
            still = match self.are_still(helpers) {
                true => still + 1,
                false => 0,
            };
            tokio::time::sleep(LOOK_EVERY).await;
        }
        drop(client);
        false
    }

    /// A client of ours, and its two ends.
    fn call(&self) -> Option<(OwnedFd, Option<(SocketAddr, SocketAddr)>)> {
        let server = self.observer.server.as_ref()?.address();
        let crate::model::address::Address::Inet(to) = server else {
            return None;
        };
        let family = match to.is_ipv4() {
            true => AddressFamily::INET,
            false => AddressFamily::INET6,
        };
        let socket = self.observer.lab.socket(family, SocketType::STREAM).ok()?;
        // On loopback the handshake is over when the call returns, unless the queue is full, and then nobody takes anybody.
        rustix::io::ioctl_fionbio(&socket, true).ok()?;
        let _ = connect(&socket, to);
        let _ = rustix::net::send(&socket, b"\n", rustix::net::SendFlags::NOSIGNAL);
        let local = rustix::net::getsockname(&socket).ok()?;
        let local: Option<SocketAddr> = local.try_into().ok();
        Some((socket, local.map(|local| (local, *to))))
    }
}

fn name_of(helper: &Process) -> String {
    let program = helper.program();
    let program = program.map(|program| LINE.text(&program.to_string_lossy()).into_owned());
    program.unwrap_or_else(|| helper.name.clone())
}
