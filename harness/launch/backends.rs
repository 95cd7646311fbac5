//! The servers that stand behind the one that is drilled, such as those of a proxy.

use super::foreground;
use super::server::Server;
use super::target::Target;
use crate::kernel::{Activity, OwnTime, Process, Row, Table, Watched};
use crate::launch::lab::Lab;
use crate::model::error::Error;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

/// A server that stands behind another one, in a lab of its own that shares the network.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) name: String,
    target: Target,
    lab: Arc<Lab>,
    server: Option<Server>,
    watched: RefCell<Watched>,
}

/// All that stand behind a server. Dropping them ends them.
#[derive(Debug, Default)]
pub(crate) struct Backends(Vec<Backend>);

/// What a look has shown all that stand behind a server to be at.
#[derive(Debug, Default)]
pub(crate) struct LookBehind(Vec<Activity>);

/// Whether what stands behind a server may still wake it, as two looks in a row have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// None of them has run between the looks or is about to, and nothing is on its way to one of them.
    pub(crate) rests: bool,
    /// The same, and no time-out of theirs ends that.
    pub(crate) is_parked: bool,
}

impl Behind {
    fn seen(before: &[Activity], now: &[Activity], are_calm: bool) -> Self {
        let is_still = before == now && are_calm;
        Self {
            rests: is_still && now.iter().all(|still| still.at_rest),
            is_parked: is_still && now.iter().all(|still| still.parked),
        }
    }
}

/// The datagrams that the kernel has dropped at the sockets behind a server: of each socket, how many it had when it was seen first,
/// which for one that has come since is none, and last.
#[derive(Debug, Default)]
pub(crate) struct DropsBehind(HashMap<u32, (u32, u32)>);

impl DropsBehind {
    /// Takes in what the sockets of these ports show; of those that are not there any more it keeps what they have shown.
    fn take(&mut self, rows: &[Row], ports: &[u16], is_first: bool) {
        // A socket for IPv6 also drops what the counters for IPv4 say nothing of.
        let is_behind = |row: &&Row| {
            let mut local = row.local.iter();
            local.any(|local| local.ip().to_canonical().is_ipv4() && ports.contains(&local.port()))
        };
        for row in rows.iter().filter(is_behind) {
            let first = if is_first { row.drops } else { 0 };
            let (_, last) = self.0.entry(row.inode).or_insert((first, first));
            *last = row.drops.max(*last);
        }
    }

    /// How many there were since the first look.
    pub(crate) fn datagrams(&self) -> u64 {
        let each = self.0.values();
        each.map(|(first, last)| u64::from(last - first)).sum()
    }
}

impl Backends {
    /// Starts those of a target in the labs that its own has for them, one after the other, and waits until each listens.
    ///
    /// # Errors
    /// One of them does not start.
    pub(crate) async fn start(target: &Target, lab: &Lab) -> Result<Self, Error> {
        let mut started = Vec::new();
        for (name, lab) in lab.backends() {
            let Some(target) = target.backends.get(name) else {
                continue;
            };
            let mut backend = Backend {
                name: name.clone(),
                target: Target {
                    stands_behind: true,
                    ..target.clone()
                },
                watched: RefCell::new(Watched::below(lab.supervisor().pid())),
                lab: Arc::clone(lab),
                server: None,
            };
            backend.start().await?;
            started.push(backend);
        }
        Ok(Self(started))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.0.iter()
    }

    /// The backend of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Backend> {
        self.0.iter().find(|backend| backend.name == name)
    }

    /// The same, to be started again.
    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Backend> {
        self.0.iter_mut().find(|backend| backend.name == name)
    }

    /// Looks whether any of them may still wake the server, in the light of a look before, in whose place it puts what it sees.
    pub(crate) fn look(&self, before: &mut LookBehind) -> Behind {
        let now = self.activities();
        // What is on its way when they were looked at is taken before this, or still shows.
        let behind = Behind::seen(&before.0, &now, self.are_calm());
        before.0 = now;
        behind
    }

    fn activities(&self) -> Vec<Activity> {
        self.0.iter().map(Backend::look).collect()
    }

    /// What all of them together have made of their time, as the last look has shown them; nothing where there is none.
    pub(crate) fn own_time(&self, look: &LookBehind) -> Option<OwnTime> {
        let of = |(backend, still): (&Backend, &Activity)| backend.watched.borrow().own_time(still);
        self.0.iter().zip(&look.0).map(of).reduce(OwnTime::add)
    }

    /// The longest time that a thread of theirs was ready to run and did not get a processor.
    pub(crate) fn longest_delay(&self) -> Duration {
        let looks = self.activities();
        let delays = looks.iter().map(|still| still.longest_delay);
        delays.max().unwrap_or_default()
    }

    /// Begins to count the datagrams that the kernel drops at their sockets.
    pub(crate) fn drops(&self) -> DropsBehind {
        let mut drops = DropsBehind::default();
        self.look_for_drops(&mut drops, true);
        drops
    }

    /// Goes on to count them. What a socket has dropped since the last time is lost once it is closed.
    pub(crate) fn count_drops(&self, drops: &mut DropsBehind) {
        self.look_for_drops(drops, false);
    }

    fn look_for_drops(&self, drops: &mut DropsBehind, is_first: bool) {
        let takes_datagrams = |backend: &Backend| {
            let place = backend.server().and_then(Server::port_in_its_table);
            place.filter(|(table, _)| *table == Table::Udp)
        };
        let places = self.0.iter().filter_map(takes_datagrams);
        let ports: Vec<u16> = places.map(|(_, port)| port).collect();
        if let Some(any) = self.0.first().filter(|_| !ports.is_empty()) {
            // All are in the same network.
            let rows = any.lab.diag().udp().unwrap_or_default();
            drops.take(&rows, &ports, is_first);
        }
    }

    /// Whether the kernel shows nothing on its way between them and anybody else.
    fn are_calm(&self) -> bool {
        self.0.iter().all(Backend::is_calm)
    }
}

impl Backend {
    /// Starts it, again where it was started before: what runs of it is ended.
    ///
    /// # Errors
    /// It does not come to listen, or listens from the background.
    pub(crate) async fn start(&mut self) -> Result<(), Error> {
        drop(self.server.take());
        let started = Server::start(&self.target, Arc::clone(&self.lab)).await;
        let in_foreground = |server: Server| match server.has_lost_its_first_process() {
            true => Err(foreground::refusal(&self.target)),
            false => Ok(server),
        };
        let failed = |error| Error::Backend {
            name: self.name.clone(),
            source: Box::new(error),
        };
        self.server = Some(started.and_then(in_foreground).map_err(failed)?);
        Ok(())
    }

    /// How its command is kept in the foreground.
    pub(crate) fn advice(&self) -> String {
        foreground::advice(&self.target.command)
    }

    /// The server, until it is ended by dropping it.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// A SYN that it has dropped is sent again, and what is not acknowledged may be held back for a while.
    fn is_calm(&self) -> bool {
        let place = self.server.as_ref().and_then(Server::port_in_its_table);
        let Some((Table::Tcp, port)) = place else {
            return true;
        };
        let sides = self.lab.diag().both_sides(port);
        sides.is_ok_and(|sides| sides.iter().flatten().all(Row::is_calm))
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.server
            .as_ref()
            .map(Server::processes)
            .unwrap_or_default()
    }

    /// Whether none of its processes runs any more.
    pub(crate) fn has_no_process(&self) -> bool {
        self.processes().iter().all(Process::is_zombie)
    }

    /// Whether its first process has ended, and none is left.
    pub(crate) fn has_ended(&self) -> bool {
        let first = self.server.as_ref().and_then(Server::exit);
        first.is_some() && self.has_no_process()
    }

    fn look(&self) -> Activity {
        match &self.server {
            Some(server) => self.watched.borrow_mut().look(server.output_pipe()),
            None => Activity::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn at(at_rest: bool, parked: bool, ran_ms: u64) -> Activity {
        let mut still = Activity::default();
        (still.at_rest, still.parked) = (at_rest, parked);
        still.ran = Duration::from_millis(ran_ms);
        still
    }

    fn seen(before: &[Activity], now: &[Activity], are_calm: bool) -> (bool, bool) {
        let Behind { rests, is_parked } = Behind::seen(before, now, are_calm);
        (rests, is_parked)
    }

    #[test]
    fn all_behind_a_server_wait_for_ever_or_they_are_not_parked() {
        let (parked, naps) = (at(true, true, 1), at(true, false, 1));
        assert_eq!(seen(&[parked; 2], &[parked; 2], true), (true, true));
        assert_eq!(seen(&[parked, naps], &[parked, naps], true), (true, false));
        let runs = at(false, false, 1);
        assert_eq!(seen(&[parked, runs], &[parked, runs], true), (false, false));
    }

    #[test]
    fn who_has_run_since_the_look_before_does_not_rest() {
        let (before, now) = (at(true, true, 1), at(true, true, 2));
        assert_eq!(seen(&[before], &[now], true), (false, false));
        // Nor does anybody who is looked at for the first time.
        assert_eq!(seen(&[], &[now], true), (false, false));
    }

    #[test]
    fn nobody_rests_to_whom_something_is_on_its_way() {
        let parked = at(true, true, 1);
        assert_eq!(seen(&[parked], &[parked], false), (false, false));
    }

    fn socket(inode: u32, port: u16, drops: u32) -> Row {
        let local = SocketAddr::from(([127, 0, 0, 1], port));
        Row {
            inode,
            drops,
            ..Row::listening_at(local)
        }
    }

    #[test]
    fn drops_behind_are_those_since_the_first_look_at_these_ports() {
        let mut drops = DropsBehind::default();
        drops.take(&[socket(1, 7001, 5)], &[7001], true);
        assert_eq!(drops.datagrams(), 0);
        let later = [socket(1, 7001, 7), socket(2, 7000, 9)];
        drops.take(&later, &[7001], false);
        assert_eq!(drops.datagrams(), 2);
        // One that was started in the place of the first has all of its own.
        drops.take(&[socket(3, 7001, 4)], &[7001], false);
        assert_eq!(drops.datagrams(), 6);
    }

    #[test]
    fn server_with_nothing_behind_it_is_woken_by_nothing_there() {
        assert_eq!(seen(&[], &[], true), (true, true));
    }
}
