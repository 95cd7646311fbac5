//! What the kernel shows of a server at a moment.

use crate::kernel::{Row, State, tree};
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::subject::Place;
use std::net::SocketAddr;

/// A socket of the server's, as the kernel shows it.
///
/// ```no_run
/// # fn test(server: &sockdrill::Server) {
/// let left = server.sockets();
/// assert!(!left.iter().any(|socket| socket.state == "CLOSE_WAIT"), "{left:?}");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Socket {
    /// The state as `netstat` calls it:
    ///
    /// | state | what it is |
    /// |---|---|
    /// | `LISTEN` | clients may come |
    /// | `SYN_SENT`, `SYN_RECV` | the handshake has begun |
    /// | `ESTABLISHED` | both sides may send |
    /// | `FIN_WAIT1`, `FIN_WAIT2` | the server has closed its side, the client has not |
    /// | `CLOSE_WAIT` | the client has closed its side, the server has not |
    /// | `LAST_ACK`, `CLOSING` | both have, and an acknowledgement is underway |
    /// | `TIME_WAIT` | all is over, and late segments are waited for |
    /// | `CLOSE` | a socket for datagrams that is bound |
    pub state: &'static str,
    /// The server's end, where it has an address.
    pub local: Option<SocketAddr>,
    /// The client's end, where there is one and it has an address.
    pub remote: Option<SocketAddr>,
    /// The bytes that wait to be read by the server; of a socket that listens, the connections that wait to be accepted.
    pub waiting: u32,
    /// The bytes that the client has not acknowledged; of a socket that listens, how many connections may wait.
    pub unacknowledged: u32,
    /// Whether a process has it: it is not one that was closed, or that was not accepted yet.
    pub is_open: bool,
}

impl From<&Row> for Socket {
    fn from(row: &Row) -> Self {
        Self {
            state: row.state.word(),
            local: row.local,
            remote: row.peer().filter(|peer| peer.port() != 0),
            waiting: row.receive_queue,
            unacknowledged: row.send_queue,
            is_open: row.inode != 0,
        }
    }
}

/// The sockets that a server has at its place.
pub(super) fn sockets_of(lab: &Lab, place: &Place) -> Vec<Socket> {
    let diag = lab.diag();
    let (mut rows, more) = match &place.address {
        Address::Inet(address) if place.transport.is_datagram() => {
            let mut rows = diag.udp().unwrap_or_default();
            rows.retain(|row| {
                row.local
                    .is_some_and(|local| local.port() == address.port())
            });
            (rows, Vec::new())
        }
        Address::Inet(address) => {
            let mut rows = diag.listeners().unwrap_or_default();
            rows.retain(|row| {
                row.local
                    .is_some_and(|local| local.port() == address.port())
            });
            (rows, diag.connections(address.port()).unwrap_or_default())
        }
        Address::Path(path) => {
            let there = lab.file_at(path);
            let mut rows = diag.unix().unwrap_or_default();
            rows.retain(|row| row.is_at(path, there));
            (rows, Vec::new())
        }
    };
    rows.extend(more.into_iter().filter(|row| row.state != State::Listen));
    rows.iter().map(Socket::from).collect()
}

/// The files that the processes of a server have open.
pub(super) fn open_files(lab: &Lab) -> Vec<String> {
    let processes = tree(lab.supervisor().pid()).into_iter();
    let files = processes.flat_map(|process| {
        let folder = format!("/proc/{}/fd", process.pid);
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| std::fs::read_link(entry.path()).ok())
    });
    files.map(|file| file.display().to_string()).collect()
}
