//! Returns datagrams.

use super::datagrams::Reaction;
use super::server::ReferenceServer;

pub(super) const UDP_ECHO: ReferenceServer = ReferenceServer::datagram(
    "udp-echo",
    "Returns every datagram to its sender, whatever its length.",
    |datagram, _| Reaction::Answer(datagram.to_vec()),
);
