//! What a scenario does to a server, and what it requires, of which the kernel has to show that it happened.

use crate::model::expectation::{Expectation, ServerExpectation};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that has to have happened before anything that follows is held against the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// Our own host gave the client a socket: where it refuses one, nothing that follows is the server's fault.
    OwnSocket,
    /// The server had room to write: of a lab's layer there is only so much.
    Room,
    /// What was sent came to the server in the segments into which it was cut.
    Cut,
    /// The client's RST came to the server.
    Reset,
    /// The client was gone without a word, and the server's end of its connection still stood.
    Vanish,
    /// All processes of the server were stopped.
    Stop,
    /// The server's limit on open files was lowered.
    OpenFilesLimit,
    /// The step that reads so was done: there was somebody to do it to.
    Step(String),
    /// The server has made a call that the rare answer of this step could be given to.
    Called(String),
    /// The backend of this name was there for the server.
    Backend(String),
    /// All that a step was to send was sent.
    Sent,
    /// The second instance asked for the address of the first.
    SameAddress,
    /// What a step required of a client's connection was there.
    Required(Expectation),
    /// What a step required of the server was there.
    RequiredOfServer(ServerExpectation),
}

impl Fault {
    /// Whether it is a state that a server at rest has come to by itself, with all the time that it made use of.
    pub(crate) fn is_of_a_state(&self) -> bool {
        matches!(
            self,
            Self::RequiredOfServer(ServerExpectation::Descriptor(_))
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnSocket => f.write_str("a socket of the client's own"),
            Self::Room => f.write_str("more room for what the server writes"),
            Self::Cut => f.write_str("the cut"),
            Self::Reset => f.write_str("the reset"),
            Self::Vanish => f.write_str("the silent loss"),
            Self::Stop => f.write_str("stopping the server"),
            Self::OpenFilesLimit => f.write_str("limiting open files"),
            Self::Step(text) => write!(f, "`{text}`"),
            Self::Called(text) => write!(f, "a call for `{text}`"),
            Self::Backend(name) => write!(f, "the backend {name}"),
            Self::Sent => f.write_str("sending all that was to be sent"),
            Self::SameAddress => f.write_str("a second instance at the same address"),
            Self::Required(what) => what.fmt(f),
            Self::RequiredOfServer(what) => write!(f, "server {what}"),
        }
    }
}
