//! What a reference server is: its name, how it deals with what it gets, and how it is started.

use super::conversation::Conversation;
use super::datagrams::{Reaction, Remark};
use super::lifecycle::Running;
use crate::model::profile::{Drops, Serves, Sessions};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// A correct server, which keeps the promises of the built-in profile of its name.
///
/// ```
/// use sockdrill::ReferenceServer;
///
/// let names: Vec<_> = ReferenceServer::all().iter().map(|server| server.name).collect();
/// assert!(names.contains(&"echo"));
/// ```
#[derive(Clone, Copy)]
pub struct ReferenceServer {
    /// The name of the server and of its profile.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    pub(super) serves: Serves,
    pub(super) backlog: u32,
    pub(super) sessions: Sessions,
    pub(super) room: Option<Room>,
    pub(super) manner: Manner,
}

/// How many connections are held at a time.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) most: usize,
    /// What those are told who are turned away.
    pub(super) refusal: &'static [u8],
    /// Which of those that come then, or have come before.
    pub(super) drops: Drops,
}

/// How a server deals with what it gets.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// A conversation with each client that connects.
    Stream(fn(&mut Conversation) -> Talk<'_>),
    /// A reaction to each datagram.
    Datagram(fn(&[u8], &dyn fmt::Display) -> Reaction),
    /// A wait for one datagram, which ends with a line on what came.
    Wait(Duration, Remark),
}

/// A conversation in progress; an error means that the client is gone.
pub(super) type Talk<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// The accept queue of a server that promises nothing about it: room for a burst, and below the usual somaxconn.
pub(super) const BACKLOG: u32 = 1024;

impl ReferenceServer {
    pub(super) const fn stream(
        name: &'static str,
        about: &'static str,
        converse: fn(&mut Conversation) -> Talk<'_>,
    ) -> Self {
        Self {
            name,
            about,
            serves: Serves::Concurrently,
            backlog: BACKLOG,
            sessions: Sessions::Closed,
            room: None,
            manner: Manner::Stream(converse),
        }
    }

    pub(super) const fn datagram(
        name: &'static str,
        about: &'static str,
        react: fn(&[u8], &dyn fmt::Display) -> Reaction,
    ) -> Self {
        Self {
            name,
            about,
            serves: Serves::Concurrently,
            backlog: BACKLOG,
            sessions: Sessions::Closed,
            room: None,
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

impl fmt::Debug for ReferenceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReferenceServer({})", self.name)
    }
}
