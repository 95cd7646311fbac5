//! The reference servers: correct by every promise of their profiles, under every legal but hostile client.
//!
//! One server is one file here, one row of [`SERVERS`] and one profile of the same name in `fixtures/profiles`. A file
//! holds the conversation only: accepting, draining, lingering and stopping are the same for all and live in
//! `lifecycle`, `conversation` and `datagrams`.

mod banner;
mod chat;
mod console;
mod conversation;
mod datagrams;
mod discard;
mod echo;
mod framed;
mod http_one;
mod lifecycle;
mod line_echo;
mod line_idle;
mod lines;
mod listener;
mod udp_echo;
mod udp_receiver;
mod udp_timeout;
mod uppercase;
mod welcome_gate;

use crate::model::profile::Serves;
use conversation::Conversation;
use datagrams::{Reaction, Remark};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

pub use lifecycle::{Running, serve};

/// The reference servers.
pub const SERVERS: &[ReferenceServer] = &[
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

/// A server that keeps the promises of the profile of its name; a row of [`SERVERS`].
#[derive(Clone, Copy)]
pub struct ReferenceServer {
    /// The name of the server and of its profile.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    serves: Serves,
    backlog: u32,
    manner: Manner,
}

/// How a server deals with what it gets.
#[derive(Clone, Copy)]
enum Manner {
    /// A conversation with each client that connects.
    Stream(fn(&mut Conversation) -> Talk<'_>),
    /// A reaction to each datagram.
    Datagram(fn(&[u8], SocketAddr) -> Reaction),
    /// A wait for one datagram, which ends with a line on what came.
    Wait(Duration, Remark),
}

/// A conversation in progress; an error means that the client is gone.
type Talk<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// The accept queue of a server that promises nothing about it: room for a burst, and below the usual somaxconn.
const BACKLOG: u32 = 1024;

/// Finds a reference server by its name.
pub fn find(name: &str) -> Option<&'static ReferenceServer> {
    SERVERS.iter().find(|server| server.name == name)
}

impl ReferenceServer {
    const fn stream(
        name: &'static str,
        about: &'static str,
        converse: fn(&mut Conversation) -> Talk<'_>,
    ) -> Self {
        Self {
            name,
            about,
            serves: Serves::Concurrently,
            backlog: BACKLOG,
            manner: Manner::Stream(converse),
        }
    }

    const fn datagram(
        name: &'static str,
        about: &'static str,
        react: fn(&[u8], SocketAddr) -> Reaction,
    ) -> Self {
        Self {
            name,
            about,
            serves: Serves::Concurrently,
            backlog: BACKLOG,
            manner: Manner::Datagram(react),
        }
    }

    /// Starts the server in this process, on a free port of 127.0.0.1 and in a thread of its own.
    ///
    /// # Errors
    /// It could not listen, or the thread could not be started.
    pub fn start(&self) -> io::Result<Running> {
        Running::start(self)
    }
}

impl std::fmt::Debug for ReferenceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReferenceServer({})", self.name)
    }
}

#[cfg(test)]
mod tests {
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
