//! What a client and a server have said to each other, in the order in which it was heard.

use crate::model::profile::Transport;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// More than this is no conversation to be written down.
const MOST_BYTES: usize = 4 << 20;

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What was heard of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A client has come.
    Came,
    /// Bytes of a stream, or a datagram.
    Said(Side, Vec<u8>),
    /// One side says no more: a FIN, or a reset.
    Ended(Side),
}

/// One thing that was heard, of which connection and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sound {
    /// The number of the connection.
    pub(super) of: usize,
    pub(super) at: Duration,
    pub(super) what: Heard,
}

/// All that was heard while a client ran.
#[derive(Debug)]
pub(super) struct Tape {
    begun: Instant,
    pub(super) sounds: Vec<Sound>,
    /// What the clients came over, in the order in which they came.
    pub(super) connections: Vec<Transport>,
    bytes: usize,
    /// Told of each thing that is heard.
    heard: Rc<Notify>,
}

impl Tape {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            sounds: Vec::new(),
            connections: Vec::new(),
            bytes: 0,
            heard: Rc::default(),
        }
    }

    /// What is told of each thing that is heard.
    pub(super) fn heard(&self) -> Rc<Notify> {
        Rc::clone(&self.heard)
    }

    /// Whether every client of a stream has said all that it will say.
    pub(super) fn all_have_left(&self) -> bool {
        let streams = self.connections.iter().enumerate();
        let mut streams = streams.filter(|(_, over)| !over.is_datagram());
        streams.all(|(of, _)| {
            let left = Heard::Ended(Side::Client);
            self.sounds
                .iter()
                .any(|sound| sound.of == of && sound.what == left)
        })
    }

    /// Takes what was heard so far; what comes later is of another run.
    pub(super) fn take(&mut self) -> Self {
        let next = Self {
            heard: self.heard(),
            ..Self::new()
        };
        std::mem::replace(self, next)
    }

    /// A client has come; returns the number of its connection.
    pub(super) fn begin(&mut self, over: Transport) -> usize {
        let of = self.connections.len();
        self.connections.push(over);
        self.hear(of, Heard::Came);
        of
    }

    pub(super) fn hear(&mut self, of: usize, what: Heard) {
        if let Heard::Said(_, bytes) = &what {
            self.bytes += bytes.len();
            if self.is_too_long() {
                return;
            }
        }
        let at = self.begun.elapsed();
        self.sounds.push(Sound { of, at, what });
        self.heard.notify_waiters();
    }

    /// Whether more was said than is kept.
    pub(super) fn is_too_long(&self) -> bool {
        self.bytes > MOST_BYTES
    }
}
