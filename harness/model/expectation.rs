//! What a client, or the harness, can be owed by a server.

use super::data::{Data, Template};
use super::form::{Does, Form, Need};
use super::literal::{Shown, name_in};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What a client can be owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The next bytes (or the next datagram) are exactly these.
    Data(Data),
    /// The next bytes match a text with holes; a hole takes as little as it can.
    Template(Template),
    /// The next datagram is exactly this, or none comes.
    DataOrSilence(Data),
    /// Nothing comes, neither bytes nor an end.
    Silence,
    /// There is nothing yet: a read that does not wait says so at once (EAGAIN, recv(2)).
    Nothing,
    /// The handshake is complete.
    Connected,
    /// The handshake is still unanswered.
    Pending,
    /// The connection was refused.
    Refused,
    /// The server's end of the connection belongs to one of its processes.
    Accepted,
    /// The server has read all that was sent.
    Taken,
    /// The server has stopped reading what is being sent, or has ended the connection, before it had read all.
    HeldBack,
    /// Its own end of the connection, which it has closed, is in TIME_WAIT.
    TimeWait,
    /// The connection ends in one of these ways.
    End {
        /// The ways that are allowed.
        kinds: Vec<End>,
        /// No byte comes before the end that was not expected, and none is lost to it.
        all_bytes_first: bool,
    },
}

/// How a connection ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The server sent FIN: the orderly end of its stream.
    Fin,
    /// The server sent RST (ECONNRESET).
    Reset,
    /// The kernel gave up on an unanswering peer (ETIMEDOUT).
    Timeout,
    /// ICMP said that nobody is there (ECONNREFUSED on a datagram socket, EHOSTUNREACH).
    Unreachable,
}

impl End {
    /// Every end with its name in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Fin, "fin"),
        (Self::Reset, "reset"),
        (Self::Timeout, "timeout"),
        (Self::Unreachable, "unreachable"),
    ];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

/// What can be expected of the server, read from the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerExpectation {
    /// Its first process ends; with this exit status where one is named.
    Exit(Option<i32>),
    /// Nothing of its process tree is left.
    Gone,
    /// Its accept queue holds this many connections.
    AcceptQueue(u32),
    /// The listener's limit is this.
    Backlog(u32),
    /// A connection of its port is in TIME_WAIT on its side.
    TimeWait,
    /// No connection of its port is in TIME_WAIT on its side.
    NoTimeWait,
    /// All of its threads wait and none uses a processor.
    Rest,
    /// One of its processes has as many open files as its limit allows, but for one that it may keep in reserve.
    OutOfFiles,
}

impl Expectation {
    /// What waiting for it needs and does.
    pub(crate) fn form(&self) -> Form {
        let (needs, does) = match self {
            Self::Refused => (Need::Socket, Does::WaitsForRefusal),
            Self::Connected | Self::Pending => (Need::Socket, Does::Waits),
            Self::TimeWait => (Need::EarlierConnection, Does::Waits),
            Self::Data(_)
            | Self::Template(_)
            | Self::DataOrSilence(_)
            | Self::Silence
            | Self::Nothing
            | Self::Accepted
            | Self::Taken
            | Self::HeldBack
            | Self::End { .. } => (Need::Connection, Does::Waits),
        };
        let needs = Some(needs);
        Form { needs, does }
    }
}

impl ServerExpectation {
    /// What waiting for it needs and does.
    pub(crate) fn form(&self) -> Form {
        let (needs, does) = match self {
            Self::Exit(_) | Self::Gone => (None, Does::WaitsForEnd),
            Self::OutOfFiles => (Some(Need::LimitedFiles), Does::Waits),
            Self::AcceptQueue(_)
            | Self::Backlog(_)
            | Self::TimeWait
            | Self::NoTimeWait
            | Self::Rest => (None, Does::Waits),
        };
        Form { needs, does }
    }
}

pub(super) fn write_wait(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    what: &dyn fmt::Display,
    within: Option<Duration>,
) -> fmt::Result {
    write!(f, "{verb} {what}")?;
    within.map_or(Ok(()), |within| write!(f, " within {}", Shown(within)))
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => data.fmt(f),
            Self::DataOrSilence(data) => write!(f, "{data} or silence"),
            Self::Template(template) => template.fmt(f),
            Self::Silence => f.write_str("silence"),
            Self::Nothing => f.write_str("nothing"),
            Self::Connected => f.write_str("connected"),
            Self::Pending => f.write_str("pending"),
            Self::Refused => f.write_str("refused"),
            Self::Accepted => f.write_str("accepted"),
            Self::Taken => f.write_str("taken"),
            Self::HeldBack => f.write_str("held-back"),
            Self::TimeWait => f.write_str("time-wait"),
            Self::End {
                kinds,
                all_bytes_first,
            } => {
                let kinds: Vec<_> = kinds.iter().map(End::to_string).collect();
                f.write_str(&kinds.join(" or "))?;
                f.write_str(if *all_bytes_first {
                    ", all bytes first"
                } else {
                    ""
                })
            }
        }
    }
}

impl fmt::Display for ServerExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(None) => f.write_str("exit"),
            Self::Exit(Some(status)) => write!(f, "exit {status}"),
            Self::Gone => f.write_str("gone"),
            Self::AcceptQueue(length) => write!(f, "accept-queue {length}"),
            Self::Backlog(limit) => write!(f, "backlog {limit}"),
            Self::TimeWait => f.write_str("time-wait"),
            Self::NoTimeWait => f.write_str("no-time-wait"),
            Self::Rest => f.write_str("rest"),
            Self::OutOfFiles => f.write_str("out-of-files"),
        }
    }
}
