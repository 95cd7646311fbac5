//! The reference servers, a row each.

use super::server::ReferenceServer;
use super::{
    banner, carousel, chat, club, discard, doorman, eager, echo, framed, http_one, ledger,
    line_echo, line_idle, udp_echo, udp_receiver, udp_timeout, uppercase, welcome_gate,
};

/// The reference servers.
pub(crate) const SERVERS: &[ReferenceServer] = &[
    echo::ECHO,
    eager::EAGER,
    uppercase::UPPERCASE,
    uppercase::UPPERCASE_ONE,
    uppercase::UPPERCASE_ONCE,
    line_echo::LINE_ECHO,
    line_idle::LINE_IDLE,
    discard::DISCARD,
    welcome_gate::WELCOME_GATE,
    banner::BANNER,
    carousel::CAROUSEL,
    chat::CHAT,
    club::CLUB,
    doorman::DOORMAN,
    framed::FRAMED,
    http_one::HTTP_ONE,
    ledger::LEDGER,
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
    use crate::model::data::Match;
    use crate::model::profile::{Exchange, Profile, Sessions, Speech, Transport};
    use crate::model::template::Template;
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
            let stop = profile.promises.stop.expect("all of them end");
            let sessions = stop.sessions.unwrap_or(Sessions::Closed);
            assert_eq!(sessions, server.sessions, "{server:?}");
            let room = server.room.map(|room| room.most as u32);
            assert_eq!(profile.promises.most(), room, "{server:?}");
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
            if let Some(greeting) = &greeting {
                assert_said(greeting, &said(server, b""));
            }
            let (openings, others): (Vec<_>, Vec<_>) =
                exchanges.into_iter().partition(Exchange::is_opening);
            for exchange in others {
                let opened = openings.iter().map(|opening| opening.send.as_slice());
                let all: Vec<_> = opened.chain([exchange.send.as_slice()]).collect();
                let mut said = said(server, &all.concat());
                let replies = openings.iter().chain([&exchange]).map(|one| &one.reply);
                for owed in greeting.iter().chain(replies) {
                    let Match::Full(bytes) = owed.matches(&said) else {
                        panic!("{server:?}: {}", said.escape_ascii());
                    };
                    said.drain(..bytes);
                }
                assert_eq!(said, b"", "{server:?}");
            }
        }
    }

    #[track_caller]
    fn assert_said(owed: &Template, said: &[u8]) {
        assert_eq!(owed.matches(said), Match::Full(said.len()));
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
