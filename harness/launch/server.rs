//! The guard over a running target: dropping it stops and reaps the whole process tree.

use super::answer::answering;
use super::elsewhere::{Elsewhere, takes};
use super::process::{Burst, Process};
use super::readiness::{Place, listening, sockets_at};
use super::recipient::Family;
use super::target::Target;
use crate::kernel::{OutputPipe, Row, Table, tree};
use crate::launch::lab::Lab;
use crate::model::address::{Address, is_here};
use crate::model::alarm::Alarm;
use crate::model::error::Error;
use crate::model::profile::Transport;
use crate::model::server_action::Streams;
use crate::transcript::event::Exit;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

/// What is said of a server that listens nowhere.
const IS_THE_COMMAND_RIGHT: &str =
    "; see that {port} is in the right place of the command, and that it stays in the foreground";

/// The same of one that has listened before.
const THE_COMMAND_IS_RIGHT: &str =
    "; it runs and listens nowhere, though the same command has started it before";

/// A running server. Dropping it ends its whole process tree and waits for that.
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub(crate) struct Server {
    lab: Arc<Lab>,
    /// `None` where somebody else has started it.
    process: Option<Process>,
    place: Place,
    /// The process that signals go to, once it was looked for.
    recipient: Cell<Option<i32>>,
}

/// A server that has not come to listen.
#[derive(Debug)]
pub(crate) struct NotStarted {
    /// Why not.
    pub(crate) error: Error,
    /// What it printed, and how many bytes were cut off that.
    pub(crate) output: (Vec<u8>, u64),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        let output = Default::default();
        Self { error, output }
    }
}

impl Server {
    /// Starts the target in a lab and waits until it listens.
    ///
    /// Readiness is read from the kernel: a listening (or bound datagram) socket that belongs to the server's process
    /// tree. No connection is made, so none is used up.
    ///
    /// # Errors
    /// The program is missing, ends early, never listens, or something else listens in its place.
    pub(crate) async fn start(target: &Target, lab: Arc<Lab>) -> Result<Self, Error> {
        match &target.elsewhere {
            None => {
                let begun = Self::begin(target, lab, Streams::Usual, IS_THE_COMMAND_RIGHT).await;
                begun.map_err(|not_started| not_started.error)
            }
            Some(elsewhere) => Self::reach(target, elsewhere, lab).await,
        }
    }

    /// Reaches a server that somebody else has started.
    async fn reach(target: &Target, elsewhere: &Elsewhere, lab: Arc<Lab>) -> Result<Self, Error> {
        Ok(Self {
            place: answering(target, elsewhere, &lab).await?,
            process: None,
            lab,
            recipient: Cell::default(),
        })
    }

    /// The same where the command has started the server before.
    pub(crate) async fn start_with(
        target: &Target,
        lab: Arc<Lab>,
        streams: Streams,
    ) -> Result<Self, NotStarted> {
        Self::begin(target, lab, streams, THE_COMMAND_IS_RIGHT).await
    }

    async fn begin(
        target: &Target,
        lab: Arc<Lab>,
        streams: Streams,
        hint: &str,
    ) -> Result<Self, NotStarted> {
        for (name, value) in &target.sysctl {
            lab.set_sysctl(name, value)?;
        }
        let mut process = Process::start(target, &lab, streams)?;
        match listening(target, &lab, &process, hint).await {
            Ok(place) => {
                // A program may well die of a broken pipe before it is a server, as any filter does.
                drop(process.leaving_reader.take());
                Ok(Self {
                    lab,
                    process: Some(process),
                    place,
                    recipient: Cell::default(),
                })
            }
            Err(error) => {
                lab.sweep();
                let output = process.take_output();
                Err(NotStarted { error, output })
            }
        }
    }

    /// Where clients reach the server.
    pub(crate) fn address(&self) -> &Address {
        &self.place.address
    }

    /// How bytes reach the server.
    pub(crate) fn transport(&self) -> Transport {
        self.place.transport
    }

    /// The port that it has, and the table of the kernel that shows who has it.
    pub(crate) fn port_in_its_table(&self) -> Option<(Table, u16)> {
        let Address::Inet(address) = &self.place.address else {
            return None;
        };
        let table = match self.place.transport.is_datagram() {
            true => Table::Udp,
            false => Table::Tcp,
        };
        Some((table, address.port()))
    }

    /// The rows of the kernel's table that listen on the server's TCP port.
    pub(crate) fn listeners(&self) -> Vec<Row> {
        let Address::Inet(address) = &self.place.address else {
            return Vec::new();
        };
        let mut rows = self.lab.diag().listeners().unwrap_or_default();
        let has_port = |row: &Row| {
            row.local
                .is_some_and(|local| local.port() == address.port())
        };
        rows.retain(|row| match self.process {
            Some(_) => has_port(row),
            // On the host anybody may have the port at another address, and here is nobody who has that of another host.
            None => is_here(*address) && takes(row, *address),
        });
        rows
    }

    /// The sockets that listen where clients come, at the server's port of another address not among them.
    pub(crate) fn listening_for_clients(&self) -> Vec<u32> {
        let rows = self.listeners();
        let is_there = |row: &&Row| match &self.place.address {
            Address::Inet(address) => takes(row, *address),
            Address::Path(_) => true,
        };
        rows.iter().filter(is_there).map(|row| row.inode).collect()
    }

    /// The rows of the kernel's table that are at the server's path, and that of the socket which was there when it started:
    /// another file may stand there since (rename(2)).
    pub(crate) fn at_path(&self) -> Vec<Row> {
        let Address::Path(path) = &self.place.address else {
            return Vec::new();
        };
        let there = self.lab.file_at(path);
        let mut rows = self.lab.diag().unix().unwrap_or_default();
        rows.retain(|row| row.inode == self.place.inode || row.is_at(path, there));
        rows
    }

    /// The sockets that anybody has where clients reach the server: those that listen, and of datagrams those that are bound.
    pub(crate) fn sockets(&self) -> Vec<u32> {
        match (self.place.transport, &self.process, &self.place.address) {
            (Transport::Tcp, ..) => self.listeners().iter().map(|row| row.inode).collect(),
            (_, None, Address::Inet(address)) => {
                let mut bound = self.lab.diag().udp().unwrap_or_default();
                bound.retain(|row| is_here(*address) && takes(row, *address));
                bound.iter().map(|row| row.inode).collect()
            }
            _ => sockets_at(&self.lab, &self.place),
        }
    }

    /// Whether the kernel shows us nothing of the server's ends of its connections: it is on another host.
    pub(crate) fn is_far(&self) -> bool {
        self.is_elsewhere() && !self.place.address.is_here()
    }

    /// Whether the server is bound to all IPv4 addresses.
    pub(crate) fn is_on_every_address(&self) -> bool {
        let v4 = matches!(&self.place.address, Address::Inet(address) if address.is_ipv4());
        self.place.wildcard && v4
    }

    /// The process id of the server's first process; `None` where somebody else has started it.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// The process that a signal for the server goes to, where that is not the first one: what a shell, `runuser` or `npm`
    /// has started ends by its own signal, not by theirs. Who no longer listens is the same that it was.
    pub(crate) fn inside(&self) -> Option<crate::kernel::Process> {
        let first = self.pid()?;
        let processes = self.processes();
        let listening = sockets_at(&self.lab, &self.place);
        let family = Family::of(first, &processes, &listening);
        let recipient = family.recipient().or_else(|| self.recipient.get());
        self.recipient.set(recipient);
        let mut inside = processes.into_iter();
        inside.find(|process| {
            Some(process.pid) == recipient && process.pid != first && !process.is_zombie()
        })
    }

    /// Its first process, as who started it knows it.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Whether somebody else has started it, so that nothing is known of its processes.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.process.is_none()
    }

    /// How its first process ended, if it has.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.process()?.exit()
    }

    /// Whether the kernel shows its first process as ended, of which somebody may have yet to tell.
    pub(super) fn has_lost_its_first_process(&self) -> bool {
        let mut processes = self.processes().into_iter();
        let first = processes.find(|process| Some(process.pid) == self.pid());
        first.is_none_or(|first| first.is_zombie())
    }

    /// Takes what it has printed since the last call, and how many bytes more that were not kept.
    pub(crate) fn take_output(&self) -> (Vec<u8>, u64) {
        self.process().map(Process::take_output).unwrap_or_default()
    }

    /// Takes the alarms that it has sounded since the last call, each with when it began.
    pub(crate) fn take_alarms(&self, all: bool) -> Vec<(Instant, Alarm)> {
        let process = self.process();
        process
            .map(|process| process.take_alarms(all))
            .unwrap_or_default()
    }

    /// Takes the moments since the last call in which it has printed more than a log has lines.
    pub(crate) fn take_bursts(&self) -> Vec<Burst> {
        self.process().map(Process::take_bursts).unwrap_or_default()
    }

    /// How much it has printed, in bytes.
    pub(crate) fn output_bytes(&self) -> u64 {
        self.process().map_or(0, Process::output_bytes)
    }

    /// The pipe that it prints to.
    pub(crate) fn output_pipe(&self) -> OutputPipe {
        self.process().map(Process::output_pipe).unwrap_or_default()
    }

    /// The processes that belong to the server.
    pub(crate) fn processes(&self) -> Vec<crate::kernel::Process> {
        tree(self.lab.supervisor().pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lab.sweep();
    }
}
