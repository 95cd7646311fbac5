//! The reference servers, a row each.

use super::server::ReferenceServer;
use super::{
    banner, chat, discard, echo, framed, http_one, line_echo, line_idle, udp_echo, udp_receiver,
    udp_timeout, uppercase, welcome_gate,
};

/// The reference servers.
pub(crate) const SERVERS: &[ReferenceServer] = &[
    echo::ECHO,
    uppercase::UPPERCASE,
    uppercase::UPPERCASE_ONE,
    uppercase::UPPERCASE_ONCE,
    line_echo::LINE_ECHO,
    line_idle::LINE_IDLE,
    discard::DISCARD,
    welcome_gate::WELCOME_GATE,
    banner::BANNER,
    chat::CHAT,
    framed::FRAMED,
    http_one::HTTP_ONE,
    udp_echo::UDP_ECHO,
    udp_receiver::UDP_RECEIVER,
    udp_timeout::UDP_TIMEOUT,
];

/// Finds a reference server by its name.
pub(crate) fn find(name: &str) -> Option<&'static ReferenceServer> {
    SERVERS.iter().find(|server| server.name == name)
}

impl ReferenceServer {
    /// All of them.
    pub fn all() -> &'static [Self] {
        SERVERS
    }

    /// The one with a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        find(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::{BACKLOG, Manner};
    use super::*;
    use crate::model::profile::{Profile, Speech, Transport};
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    fn profile(server: &ReferenceServer) -> Profile {
        Profile::find(server.name).unwrap_or_else(|error| panic!("{}: {error}", server.name))
    }

    #[test]
    fn every_server_does_what_its_profile_promises_of_listening() {
        for server in SERVERS {
            let profile = profile(server);
            assert_eq!(profile.promises.serves, Some(server.serves), "{server:?}");
            let backlog = profile.promises.backlog.unwrap_or(BACKLOG);
            assert_eq!(backlog, server.backlog, "{server:?}");
            let datagram = matches!(server.manner, Manner::Datagram(_) | Manner::Wait(..));
            let transport = if datagram {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            assert_eq!(profile.transport, Some(transport), "{server:?}");
        }
    }

    /// What a server says to a client that sends this and ends.
    fn said(server: &ReferenceServer, send: &[u8]) -> Vec<u8> {
        let running = server.start().unwrap();
        let mut client = TcpStream::connect(running.address()).unwrap();
        client.write_all(send).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut said = Vec::new();
        client.read_to_end(&mut said).unwrap();
        said
    }

    #[test]
    fn every_server_says_what_its_profile_says() {
        for server in SERVERS {
            let Speech::Dialogue {
                greeting,
                exchanges,
            } = profile(server).speech
            else {
                continue;
            };
            let greeting = greeting.map(|greeting| (Vec::new(), greeting));
            let answers = exchanges
                .into_iter()
                .map(|exchange| (exchange.send, exchange.reply));
            for (send, owed) in greeting.into_iter().chain(answers) {
                let said = said(server, &send);
                let said = said.escape_ascii();
                assert_eq!(
                    owed.as_literal()
                        .map(<[u8]>::escape_ascii)
                        .unwrap()
                        .to_string(),
                    said.to_string()
                );
            }
        }
    }

    #[test]
    fn names_are_unique() {
        for server in SERVERS {
            let namesakes = SERVERS.iter().filter(|other| other.name == server.name);
            assert_eq!(namesakes.count(), 1, "{server:?}");
        }
    }

    #[test]
    fn every_server_starts_and_stops_in_process() {
        for server in SERVERS {
            let running = server.start().unwrap();
            assert_ne!(running.address().port(), 0, "{server:?}");
        }
    }
}
