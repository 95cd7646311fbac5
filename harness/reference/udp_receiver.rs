//! Prints the datagrams that it gets.

use super::datagrams::Reaction;
use super::server::ReferenceServer;
use std::fmt;

pub(super) const UDP_RECEIVER: ReferenceServer = ReferenceServer::datagram(
    "udp-receiver",
    "Receives datagrams of up to 1024 bytes and prints each with its sender; it never answers.",
    |datagram, from| Reaction::Print(line(datagram, from)),
);

/// The longest datagram that is printed. A longer one is dropped whole: half a message is worse than none.
const MESSAGE_BYTES: usize = 1024;

pub(super) fn line(datagram: &[u8], from: &dyn fmt::Display) -> String {
    match datagram.len() {
        0 => format!("{from} has left"),
        1..=MESSAGE_BYTES => format!("{from}: {}", datagram.escape_ascii()),
        bytes => format!("{from}: dropped a datagram of {bytes} bytes, more than {MESSAGE_BYTES}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(datagram: &[u8]) -> String {
        line(datagram, &std::net::SocketAddr::from(([127, 0, 0, 1], 7)))
    }

    #[test]
    fn datagram_is_printed_on_one_line_whatever_its_bytes() {
        assert_eq!(printed(b"a\n\xff"), r"127.0.0.1:7: a\n\xff");
    }

    #[test]
    fn empty_datagram_is_a_farewell() {
        assert_eq!(printed(b""), "127.0.0.1:7 has left");
    }

    #[test]
    fn long_datagram_is_dropped_whole() {
        assert!(printed(&[b'a'; 1024]).ends_with('a'));
        assert!(printed(&[b'a'; 1025]).contains("dropped a datagram of 1025 bytes"));
    }
}
