//! Where events are written down as they happen, on one clock, with what follows from them so far.

use crate::model::unasked::Unasked;
use crate::transcript::client_state::ClientStates;
use crate::transcript::event::{ClientEvent, ClientId, Event, ServerEvent, Transcript, What};
use crate::transcript::fault::Fault;
use crate::transcript::server_state::ServerState;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A shared pen on the transcript of one run.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Rc<Book>);

#[derive(Debug)]
struct Book {
    begun: Instant,
    transcript: RefCell<Transcript>,
    client_states: RefCell<ClientStates>,
    server_state: RefCell<ServerState>,
    /// When bytes last came for any of the clients behind each name.
    served: RefCell<BTreeMap<usize, Instant>>,
    /// Wakes those who wait for a fact about a client; in a crowd, waking all for each would be quadratic.
    waiting: RefCell<BTreeMap<ClientId, Rc<Notify>>>,
    /// Wakes those who wait for any fact.
    changed: Notify,
}

impl Recorder {
    pub(crate) fn new(unasked: &Unasked) -> Self {
        Self(Rc::new(Book {
            begun: Instant::now(),
            transcript: RefCell::default(),
            client_states: RefCell::new(ClientStates::hearing(unasked)),
            server_state: RefCell::default(),
            served: RefCell::default(),
            waiting: RefCell::default(),
            changed: Notify::new(),
        }))
    }

    /// Writes a fact down and wakes whoever waits for one.
    pub(crate) fn record(&self, what: What) {
        let event = Event {
            at: self.0.begun.elapsed(),
            what,
        };
        if let What::Client(id, happened) = &event.what {
            self.wake(*id, happened);
        }
        self.0.client_states.borrow_mut().apply(&event);
        self.0.server_state.borrow_mut().apply(&event);
        self.0.transcript.borrow_mut().events.push(event);
        self.0.changed.notify_waiters();
    }

    /// Writes down whether a fault has happened, and what shows it.
    pub(crate) fn prove(&self, fault: Fault, shown: bool, evidence: impl Into<String>) {
        self.record(What::Proof {
            fault,
            shown,
            evidence: evidence.into(),
        });
    }

    /// Keeps when bytes came, and wakes those who wait for the client.
    fn wake(&self, id: ClientId, event: &ClientEvent) {
        if let ClientEvent::Received(bytes) = event
            && !self.client_states().are_unasked(bytes)
        {
            self.0.served.borrow_mut().insert(id.who, Instant::now());
        }
        // Who is woken looks once this fact is written down: nothing else runs on this thread until then.
        if let Some(waiting) = self.0.waiting.borrow().get(&id) {
            waiting.notify_waiters();
        }
    }

    /// What wakes those who wait for a fact about a client.
    pub(crate) fn waiting_for(&self, id: ClientId) -> Rc<Notify> {
        let mut waiting = self.0.waiting.borrow_mut();
        Rc::clone(waiting.entry(id).or_default())
    }

    /// Resolves at the next fact; to be made before looking, so that none is missed.
    pub(crate) fn next_fact(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    pub(crate) fn client_states(&self) -> RefMut<'_, ClientStates> {
        self.0.client_states.borrow_mut()
    }

    pub(crate) fn server_state(&self) -> RefMut<'_, ServerState> {
        self.0.server_state.borrow_mut()
    }

    /// When bytes last came for this client, or for another one behind the same name.
    pub(crate) fn last_served(&self, id: ClientId) -> Option<Instant> {
        self.0.served.borrow().get(&id.who).copied()
    }

    /// Whether the last fact of its kind about the server, as it runs since its last start, was another one.
    pub(crate) fn is_news(&self, event: &ServerEvent) -> bool {
        let transcript = self.0.transcript.borrow();
        let kind = std::mem::discriminant(event);
        let last = transcript
            .server_events()
            .rev()
            .take_while(|seen| !matches!(seen, ServerEvent::Started { .. }))
            .find(|seen| std::mem::discriminant(*seen) == kind);
        last != Some(event)
    }

    /// Looks at the transcript so far.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        look(&self.0.transcript.borrow())
    }

    /// Takes the transcript; what follows begins a new one.
    pub(crate) fn take(&self) -> Transcript {
        self.0.transcript.take()
    }
}
