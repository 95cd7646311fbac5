//! TLS of one connection of a counterexample: records for what is said, and text of what comes.

use super::tls::Tls;
use rustls::ServerConnection;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// As much as is said at a time.
const RECORD: usize = 16 << 10;

/// TLS of one connection.
pub(super) struct Records {
    state: Mutex<State>,
    /// Held by whoever hands records to the kernel, so that those of two are not mixed.
    outgoing: Mutex<VecDeque<u8>>,
}

struct State {
    connection: ServerConnection,
    text: VecDeque<u8>,
    has_heard_all: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Records {
    pub(super) fn of(tls: &Tls) -> io::Result<Self> {
        let state = State {
            connection: tls.connection()?,
            text: VecDeque::new(),
            has_heard_all: false,
        };
        Ok(Self {
            state: Mutex::new(state),
            outgoing: Mutex::default(),
        })
    }

    pub(super) fn is_opening(&self) -> bool {
        locked(&self.state).connection.is_handshaking()
    }

    pub(super) fn has_heard_all(&self) -> bool {
        locked(&self.state).has_heard_all
    }

    pub(super) fn has_text(&self) -> bool {
        !locked(&self.state).text.is_empty()
    }

    pub(super) fn peek(&self, buffer: &mut [u8]) -> usize {
        let state = locked(&self.state);
        let text = state.text.iter().zip(buffer.iter_mut());
        text.map(|(byte, into)| *into = *byte).count()
    }

    pub(super) fn take(&self, buffer: &mut [u8]) -> usize {
        // Reading from memory does not fail.
        locked(&self.state).text.read(buffer).unwrap_or(0)
    }

    /// Takes in what has come; nothing is the end.
    pub(super) fn hear(&self, mut came: &[u8]) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.has_heard_all |= came.is_empty();
        while !came.is_empty() && !state.has_heard_all {
            state.connection.read_tls(&mut came)?;
            let heard = state.connection.process_new_packets();
            let heard = heard.map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
            state.has_heard_all = heard.as_ref().map_or(true, |heard| heard.peer_has_closed());
            let mut text = Vec::new();
            // That there is no more of it yet is all that can go wrong.
            let _ = state.connection.reader().read_to_end(&mut text);
            state.text.extend(text);
            heard?;
        }
        Ok(())
    }

    /// Makes records of as much of a text as is said at a time; how much that is.
    pub(super) fn say(&self, text: &[u8]) -> usize {
        let text = &text[..text.len().min(RECORD)];
        // It is kept in memory, where nothing fails.
        let _ = locked(&self.state).connection.writer().write_all(text);
        text.len()
    }

    pub(super) fn say_all(&self) {
        locked(&self.state).connection.send_close_notify();
    }

    /// Hands records to the kernel, as many as it takes.
    pub(super) fn send(&self, send: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut outgoing = locked(&self.outgoing);
        let mut records = Vec::new();
        {
            let connection = &mut locked(&self.state).connection;
            while connection.wants_write() && connection.write_tls(&mut records)? > 0 {}
        }
        outgoing.extend(records);
        while !outgoing.is_empty() {
            let (first, _) = outgoing.as_slices();
            let sent = send(first)?;
            outgoing.drain(..sent);
        }
        Ok(())
    }
}
