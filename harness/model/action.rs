//! What a client can do.

use super::data::{Cut, Data};
use super::expectation::{Expectation, write_wait};
use super::form::{Does, Form, Need};
use super::literal::{self, Shown, Size};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What a client can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a connection (a socket, for datagrams), in place of an earlier one if there was one.
    Connect(Dial),
    /// Sends data, in one segment or in several.
    Send {
        /// The data.
        data: Data,
        /// Where it is divided.
        cut: Cut,
        /// The pause between segments; without one, each segment waits until the server has read the one before.
        every: Option<Duration>,
        /// The next step does not wait until all is sent.
        background: bool,
    },
    /// Sends one out-of-band byte (`MSG_OOB`, tcp(7)).
    SendUrgent(u8),
    /// Sends one byte together with an open descriptor (`SCM_RIGHTS`, unix(7)).
    SendDescriptor(u8),
    /// Sends FIN and goes on reading (`shutdown(SHUT_WR)`).
    HalfClose,
    /// Closes with RST (`SO_LINGER` of zero).
    Reset,
    /// Closes; the kernel sends FIN, or RST where data was left unread (RFC 2525, section 2.17).
    Close,
    /// Is gone without FIN or RST, like a host that lost its power.
    Vanish,
    /// Stops reading; data piles up in the kernel's queues.
    Stall,
    /// Reads again, at full speed or at a pace; before `connect`, the coming connection is read so.
    Read(Option<Pace>),
    /// Waits for something, and holds the server to it.
    Expect {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
    /// Waits for something that the case builds on; without it the case proves nothing.
    Require {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
}

/// How a client connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    /// Does not wait for the handshake (nor fail with it); `expect connected` or `expect refused` may follow.
    pub without_waiting: bool,
    /// The receive buffer in bytes, set before the handshake so that it bounds the window (`SO_RCVBUF`, socket(7)).
    pub receive_buffer: Option<usize>,
    /// The largest segment in bytes (`TCP_MAXSEG`, tcp(7); Linux takes no less than 88).
    pub segment_size: Option<usize>,
    /// The local address to come from.
    pub from: Option<IpAddr>,
    /// The address of the server to use instead of the usual one.
    pub to: Option<IpAddr>,
    /// Comes from the local port of its connection before.
    pub same_port: bool,
}

/// A reader's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How much is read at a time.
    pub bytes: usize,
    /// The time between two reads; zero where only the buffer is small.
    pub every: Duration,
}

impl Action {
    /// What it needs and does.
    pub(crate) fn form(&self) -> Form {
        let form = |needs, does| Form { needs, does };
        match self {
            Self::Connect(dial) => form(
                dial.same_port.then_some(Need::EarlierConnection),
                Does::Connects,
            ),
            Self::Send { .. } | Self::SendUrgent(_) | Self::SendDescriptor(_) => {
                form(Some(Need::SendingSide), Does::Talks)
            }
            Self::HalfClose => form(Some(Need::SendingSide), Does::HalfCloses),
            Self::Close => form(Some(Need::Socket), Does::Leaves),
            Self::Reset | Self::Vanish => form(Some(Need::Connection), Does::Leaves),
            Self::Stall | Self::Read(_) => form(None, Does::Reads),
            Self::Expect { what, .. } | Self::Require { what, .. } => what.form(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(dial) => write!(f, "connect{dial}"),
            Self::Send {
                data,
                cut,
                every,
                background,
            } => {
                write!(f, "send {data}{cut}")?;
                if let Some(every) = every {
                    write!(f, " every {}", Shown(*every))?;
                }
                f.write_str(if *background {
                    " in the background"
                } else {
                    ""
                })
            }
            Self::SendUrgent(byte) => write!(f, "send-urgent \"{}\"", literal::escaped(&[*byte])),
            Self::SendDescriptor(byte) => {
                write!(f, "send-descriptor \"{}\"", literal::escaped(&[*byte]))
            }
            Self::HalfClose => f.write_str("half-close"),
            Self::Reset => f.write_str("reset"),
            Self::Close => f.write_str("close"),
            Self::Vanish => f.write_str("vanish"),
            Self::Stall => f.write_str("stall"),
            Self::Read(None) => f.write_str("read"),
            Self::Read(Some(Pace { bytes, every })) => {
                write!(f, "read {}", Size(*bytes))?;
                match every.is_zero() {
                    true => Ok(()),
                    false => write!(f, " every {}", Shown(*every)),
                }
            }
            Self::Expect { what, within } => write_wait(f, "expect", what, *within),
            Self::Require { what, within } => write_wait(f, "require", what, *within),
        }
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.without_waiting {
            f.write_str(" without-waiting")?;
        }
        if let Some(bytes) = self.receive_buffer {
            write!(f, " receive-buffer {}", Size(bytes))?;
        }
        if let Some(bytes) = self.segment_size {
            write!(f, " segment-size {}", Size(bytes))?;
        }
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if self.same_port {
            f.write_str(" same-port")?;
        }
        Ok(())
    }
}
