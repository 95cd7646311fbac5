//! What a client and a server have said to each other, in the order in which it was heard.

use crate::model::profile::Transport;
use std::cell::RefCell;
use std::collections::HashSet;
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
    /// The connections on which nothing more is passed on.
    over: HashSet<usize>,
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
            over: HashSet::new(),
            bytes: 0,
            heard: Rc::default(),
        }
    }

    /// What is told of each thing that is heard.
    pub(super) fn heard(&self) -> Rc<Notify> {
        Rc::clone(&self.heard)
    }

    /// Whether every client of a stream has said all that it will say, or that anybody hears.
    pub(super) fn all_have_left(&self) -> bool {
        let streams = self.connections.iter().enumerate();
        let mut streams = streams.filter(|(_, over)| !over.is_datagram());
        streams.all(|(of, _)| {
            let left = Heard::Ended(Side::Client);
            let mut sounds = self.sounds.iter();
            self.over.contains(&of) || sounds.any(|sound| sound.of == of && sound.what == left)
        })
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

    /// Nothing more is passed on of a connection, whoever has ended it.
    pub(super) fn end(&mut self, of: usize) {
        self.over.insert(of);
        self.heard.notify_waiters();
    }

    /// Whether more was said than is kept.
    pub(super) fn is_too_long(&self) -> bool {
        self.bytes > MOST_BYTES
    }
}

/// A tape that several write to.
pub(super) type Shared = Rc<RefCell<Tape>>;

/// Where new connections are written down: each run has a tape of its own, and what its connections still say stays out of the next.
#[derive(Clone)]
pub(super) struct Recorder(Rc<RefCell<Shared>>);

impl Recorder {
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(blank())))
    }

    /// The tape of this run.
    pub(super) fn tape(&self) -> Shared {
        Rc::clone(&self.0.borrow())
    }

    /// Takes what was heard in this run, and begins the next.
    pub(super) fn take(&self) -> Tape {
        let of_this_run = self.0.replace(blank());
        of_this_run.replace(Tape::new())
    }
}

fn blank() -> Shared {
    Rc::new(RefCell::new(Tape::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Heard {
        Heard::Said(Side::Server, text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_said_after_a_run_is_in_no_other() {
        let recorder = Recorder::new();
        let first = recorder.tape();
        first.borrow_mut().begin(Transport::Tcp);
        let of = first.borrow_mut().begin(Transport::Tcp);
        first.borrow_mut().hear(of, said("in time"));
        let heard = recorder.take();
        assert_eq!((heard.connections.len(), heard.sounds.len()), (2, 3));

        let next = recorder.tape();
        next.borrow_mut().begin(Transport::Tcp);
        first.borrow_mut().hear(of, said("late"));
        let heard = recorder.take();
        let sounds: Vec<_> = heard.sounds.iter().map(|sound| &sound.what).collect();
        assert_eq!(sounds, [&Heard::Came]);
    }

    #[test]
    fn client_has_left_where_it_has_ended_or_nobody_hears_it() {
        let mut tape = Tape::new();
        let of = [(); 2].map(|()| tape.begin(Transport::Tcp));
        tape.begin(Transport::Udp);
        tape.hear(of[0], Heard::Ended(Side::Client));
        tape.hear(of[1], Heard::Ended(Side::Server));
        assert!(!tape.all_have_left());
        tape.end(of[1]);
        assert!(tape.all_have_left());
    }
}
