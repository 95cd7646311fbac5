//! How bytes reach the server that a program is written for.

use crate::launch::Target;
use crate::model::profile::Transport;

/// How bytes reach the server.
#[derive(Clone, Copy)]
pub(super) struct Ground {
    /// In datagrams.
    pub(super) datagram: bool,
    /// By a path.
    pub(super) local: bool,
}

impl Ground {
    pub(super) fn of(target: &Target, transport: Transport) -> Self {
        Self {
            datagram: transport.is_datagram(),
            // Told a path, a server speaks over a Unix socket what its profile says for TCP or UDP.
            local: transport.is_local() || target.uses("path"),
        }
    }

    /// What the server is reached over.
    pub(super) fn transport(self) -> Transport {
        match (self.local, self.datagram) {
            (true, true) => Transport::UnixDatagram,
            (true, false) => Transport::Unix,
            (false, true) => Transport::Udp,
            (false, false) => Transport::Tcp,
        }
    }

    /// The function that finds where the server listens.
    pub(super) fn find(self) -> &'static str {
        match (self.local, self.datagram) {
            (true, _) => "find_path",
            (false, true) => "find_udp",
            (false, false) => "find_tcp",
        }
    }
}
