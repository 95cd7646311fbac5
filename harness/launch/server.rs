//! The guard over a running target: dropping it stops and reaps the whole process tree.

use super::process::Process;
use super::readiness::{Place, listening, sockets_at};
use super::recipient::Family;
use super::target::Target;
use crate::kernel::{Row, Table, tree};
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::error::Error;
use crate::model::profile::Transport;
use crate::model::server_action::Streams;
use std::cell::Cell;
use std::sync::Arc;

/// What is said of a server that listens nowhere.
const IS_THE_COMMAND_RIGHT: &str =
    "; is {port} in the right place of the command, and does the server stay in the foreground?";

/// The same of one that has listened before.
const THE_COMMAND_IS_RIGHT: &str =
    "; it runs and listens nowhere, though the same command has started it before";

/// A running server. Dropping it ends its whole process tree and waits for that.
#[derive(Debug)]
#[must_use = "dropping the server stops it"]
pub(crate) struct Server {
    lab: Arc<Lab>,
    process: Process,
    place: Place,
    /// The process that signals go to, once it was looked for.
    recipient: Cell<Option<i32>>,
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
        Self::begin(target, lab, Streams::Usual, IS_THE_COMMAND_RIGHT).await
    }

    /// The same where the command has started the server before.
    pub(crate) async fn start_with(
        target: &Target,
        lab: Arc<Lab>,
        streams: Streams,
    ) -> Result<Self, Error> {
        Self::begin(target, lab, streams, THE_COMMAND_IS_RIGHT).await
    }

    async fn begin(
        target: &Target,
        lab: Arc<Lab>,
        streams: Streams,
        hint: &str,
    ) -> Result<Self, Error> {
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
                    process,
                    place,
                    recipient: Cell::default(),
                })
            }
            Err(error) => {
                lab.sweep();
                Err(error)
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
        rows.retain(|row| {
            row.local
                .is_some_and(|local| local.port() == address.port())
        });
        rows
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
        match self.place.transport {
            Transport::Tcp => self.listeners().iter().map(|row| row.inode).collect(),
            _ => sockets_at(&self.lab, &self.place),
        }
    }

    /// Whether the server is bound to all IPv4 addresses.
    pub(crate) fn is_on_every_address(&self) -> bool {
        let v4 = matches!(&self.place.address, Address::Inet(address) if address.is_ipv4());
        self.place.wildcard && v4
    }

    /// The process id of the server's first process.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid
    }

    /// The process that a signal for the server goes to, where that is not the first one: what a shell, `runuser` or `npm`
    /// has started ends by its own signal, not by theirs. Who no longer listens is the same that it was.
    pub(crate) fn inside(&self) -> Option<crate::kernel::Process> {
        let processes = self.processes();
        let listening = sockets_at(&self.lab, &self.place);
        let family = Family::of(self.pid(), &processes, &listening);
        let recipient = family.recipient().or_else(|| self.recipient.get());
        self.recipient.set(recipient);
        let mut inside = processes.into_iter();
        inside.find(|process| {
            Some(process.pid) == recipient && process.pid != self.pid() && !process.is_zombie()
        })
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
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
