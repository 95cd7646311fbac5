//! A second instance on the address of the first: whether it ends, shares the address, or takes it over.

use super::phases::{Flow, Session, go_on_if};
use super::server_steps::kill;
use crate::kernel::{Descriptors, shows_waits, stillness};
use crate::launch::{Process, Server};
use crate::model::address::Address;
use crate::model::dialogue::request;
use crate::model::error::Error;
use crate::model::limits::{LOOK_ON_FOR, LOOK_SOON, LOOKS_TO_BLAME, MAY_DIE_WITHIN, STEP_WITHIN};
use crate::model::server_action::{Second, Streams};
use crate::transcript::event::{Ended, Exit, ServerEvent, last_line};
use crate::transcript::fault::Fault;
use crate::transcript::server_state::SecondInstance;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto};
use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

/// So many senders, each from a port of its own: where a group shares them (SO_REUSEPORT), hardly ever one of two gets none.
const SENDERS: usize = 32;

/// What stands at the path of a Unix socket: its device and number, by which another one that is put there is told from it.
pub(super) type AtPath = Option<(u64, u64)>;

impl Session<'_> {
    /// Starts a second instance beside the first or in its place, and waits until it has ended or nothing else is to come of it.
    pub(super) async fn start_second(&mut self, wanted: Second) -> Result<(Ended, Flow), Error> {
        if self.observer.server().is_none() {
            self.observer.until_let_go().await;
        }
        let stands = self.stands_at_path();
        let lab = &self.observer.lab;
        // Beside the first it has a folder of its own; who comes in its place finds what it has left.
        let second = match self.observer.server() {
            Some(_) => Process::start_second(self.target, lab)?,
            None => Process::start(self.target, lab, Streams::Usual)?,
        };
        let (how, became) = self.watch_second(second, stands).await;
        Ok((how, go_on_if(wanted.is_met_by(became))))
    }

    /// What stands at the server's path now, where it has one.
    pub(super) fn stands_at_path(&self) -> AtPath {
        let Address::Path(path) = self.observer.server.as_ref()?.address() else {
            return None;
        };
        let found = self.observer.lab.standing(path).symlink_metadata().ok()?;
        Some((found.dev(), found.ino()))
    }

    /// Waits for what becomes of another instance, and ends it.
    pub(super) async fn watch_second(
        &self,
        second: Process,
        stood: AtPath,
    ) -> (Ended, SecondInstance) {
        let became = tokio::select! {
            exit = second.ended() => SecondInstance::Ended(exit),
            became = self.second_settles(&second, stood) => became,
        };
        let became = match became {
            SecondInstance::Shares => self.who_receives(&second).await,
            other => other,
        };
        let (how, event) = match became {
            SecondInstance::Ended(exit) => {
                let words = last_line(&second.take_output().0);
                (Ended::Done, ServerEvent::SecondEnded(exit, words))
            }
            SecondInstance::Shares => (Ended::Done, ServerEvent::SecondShares),
            SecondInstance::TakesOver => (Ended::Done, ServerEvent::SecondTakesOver),
            SecondInstance::Lives => (Ended::Done, ServerEvent::SecondLives),
            SecondInstance::RunsWithout => {
                (Ended::OutOfTime(STEP_WITHIN), ServerEvent::SecondWithout)
            }
            SecondInstance::Tries => (Ended::NotYet(LOOK_ON_FOR), ServerEvent::SecondTries),
            SecondInstance::Elsewhere => {
                let address = self.listens_elsewhere(&second.tree()).unwrap_or_default();
                let evidence = format!("it listens at {address} instead");
                self.observer.prove(Fault::SameAddress, false, &evidence);
                (Ended::Done, ServerEvent::SecondElsewhere(address))
            }
        };
        self.observer.record_server(event);
        end(&second).await;
        (how, became)
    }

    /// Resolves once another instance has come to rest, or has been looked on at for long enough.
    async fn second_settles(&self, second: &Process, stood: AtPath) -> SecondInstance {
        let begun = Instant::now();
        let (mut looks, mut last, mut listens_since) = (0, None, None);
        loop {
            tokio::time::sleep(self.observer.between_looks()).await;
            let processes = second.tree();
            let now = stillness(&processes, second.output_pipe());
            looks = match last == Some(now) && now.parked {
                true => looks + 1,
                false => 0,
            };
            last = Some(now);
            let has = self.has_the_address(&processes, stood);
            let elsewhere = || {
                self.listens_elsewhere(&processes)
                    .map(|_| SecondInstance::Elsewhere)
            };
            let has = has.or_else(elsewhere);
            listens_since = has.map(|_| listens_since.unwrap_or_else(Instant::now));
            // Who has the address may still find that another has what it needs besides.
            if let (Some(became), Some(since)) = (has, listens_since)
                && since.elapsed() >= MAY_DIE_WITHIN
            {
                return became;
            }
            let is_parked = looks >= LOOKS_TO_BLAME || !shows_waits();
            if begun.elapsed() >= STEP_WITHIN && is_parked {
                return SecondInstance::RunsWithout;
            }
            if begun.elapsed() >= LOOK_ON_FOR {
                return SecondInstance::Tries;
            }
            if begun.elapsed() >= STEP_WITHIN {
                self.observer.turn.step_aside();
            }
        }
    }

    /// How these processes have the server's address, where they have it: alone, beside others, or in their place.
    fn has_the_address(
        &self,
        processes: &[crate::kernel::Process],
        stood: AtPath,
    ) -> Option<SecondInstance> {
        let server = self.observer.server.as_ref()?;
        let theirs = sockets(processes);
        let at_address = match server.address() {
            Address::Inet(_) if !server.transport().is_datagram() => server.listening_for_clients(),
            _ => server.sockets(),
        };
        let is_another = self.stands_at_path().filter(|now| Some(*now) != stood);
        // Under which name a socket was bound does not matter where it was put at the path by rename(2).
        let has_it = match server.address() {
            Address::Path(_) => is_another.is_some() && !theirs.is_empty(),
            Address::Inet(_) => at_address.iter().any(|inode| theirs.contains(inode)),
        };
        let is_alone = self.observer.server().is_none()
            || at_address.iter().all(|inode| theirs.contains(inode));
        has_it.then_some(match (is_alone, server.address()) {
            (true, _) => SecondInstance::Lives,
            (false, Address::Path(_)) => SecondInstance::TakesOver,
            (false, Address::Inet(_)) => SecondInstance::Shares,
        })
    }

    /// Where these processes listen, if they do so at as many addresses as the first instance and at none of its: the kernel has chosen
    /// for them, or they have found what they asked for taken and asked for something else.
    fn listens_elsewhere(&self, processes: &[crate::kernel::Process]) -> Option<String> {
        let server = self.observer.server()?;
        let Address::Inet(_) = server.address() else {
            return None;
        };
        let diag = self.observer.lab.diag();
        let rows = match server.transport().is_datagram() {
            true => diag.udp(),
            false => diag.listeners(),
        };
        let rows = rows.unwrap_or_default();
        let theirs = sockets(processes);
        let firsts = sockets(&self.observer.processes());
        // Whoever is there may be taken for one of the first's.
        let firsts = firsts.difference(&theirs).copied().collect();
        let at = |of: &HashSet<u32>| {
            let rows = rows.iter().filter(|row| of.contains(&row.inode));
            rows.filter_map(|row| row.local).collect::<BTreeSet<_>>()
        };
        let (theirs, firsts) = (at(&theirs), at(&firsts));
        let is_elsewhere = theirs.is_disjoint(&firsts) && theirs.len() >= firsts.len().max(1);
        let addresses = theirs.iter().map(ToString::to_string);
        is_elsewhere.then(|| addresses.collect::<Vec<_>>().join(", "))
    }

    /// Whether of datagrams that come now the first instance gets any. Connections are shared by all who listen; of datagram
    /// sockets with SO_REUSEADDR the last one that was bound gets all (socket(7)). Both are stopped meanwhile, so that what
    /// came lies in the queues.
    async fn who_receives(&self, second: &Process) -> SecondInstance {
        let transport = self.observer.server.as_ref().map(Server::transport);
        if !transport.is_some_and(|transport| transport.is_datagram()) {
            return SecondInstance::Shares;
        }
        let theirs = sockets(&second.tree());
        let first: Vec<_> = self.observer.processes();
        let running = first.iter().filter(|process| process.state != 'T');
        let running: Vec<_> = running.collect();
        running
            .iter()
            .for_each(|process| kill(process, libc::SIGSTOP));
        self.until_stopped().await;
        // A reply that meets nobody is the matter of another check.
        let senders = self.send_from_everywhere();
        let rows = self.observer.lab.diag().udp().unwrap_or_default();
        let got = |row: &&crate::kernel::Row| row.receive_queue > 0;
        let is_first = |row: &crate::kernel::Row| !theirs.contains(&row.inode);
        let shares = rows.iter().filter(got).any(is_first);
        end(second).await;
        running
            .iter()
            .for_each(|process| kill(process, libc::SIGCONT));
        self.observer.settle(&self.clients).await;
        drop(senders);
        match shares {
            true => SecondInstance::Shares,
            false => SecondInstance::TakesOver,
        }
    }

    async fn until_stopped(&self) {
        let deadline = Instant::now() + STEP_WITHIN;
        while Instant::now() < deadline
            && self.observer.living().any(|process| process.state != 'T')
        {
            tokio::time::sleep(LOOK_SOON).await;
        }
    }

    fn send_from_everywhere(&self) -> Vec<OwnedFd> {
        let Some(Address::Inet(to)) = self.observer.server.as_ref().map(Server::address) else {
            return Vec::new();
        };
        let words = request(&self.target.profile).unwrap_or_else(|| b"sockdrill".to_vec());
        let family = match to.is_ipv4() {
            true => AddressFamily::INET,
            false => AddressFamily::INET6,
        };
        let send = |_| {
            let socket = self.observer.lab.socket(family, SocketType::DGRAM).ok()?;
            sendto(&socket, &words, SendFlags::empty(), to).ok()?;
            Some(socket)
        };
        (0..SENDERS).filter_map(send).collect()
    }
}

fn sockets(processes: &[crate::kernel::Process]) -> HashSet<u32> {
    let mut held = Descriptors::default();
    for process in processes {
        held.share_with(&process.descriptors());
    }
    held.sockets().collect()
}

async fn end(second: &Process) {
    if second.exit().is_none() {
        for process in second.tree() {
            kill(&process, libc::SIGKILL);
        }
        second.ended().await;
    }
}

impl Second {
    fn is_met_by(self, became: SecondInstance) -> bool {
        match became {
            SecondInstance::Ended(exit) => {
                matches!(self, Self::Ends | Self::EitherWay) && exit != Exit::Status(0)
            }
            SecondInstance::Shares => matches!(self, Self::SharesPort | Self::EitherWay),
            SecondInstance::TakesOver => self == Self::TakesOver,
            SecondInstance::Lives
            | SecondInstance::RunsWithout
            | SecondInstance::Tries
            | SecondInstance::Elsewhere => false,
        }
    }
}
