//! Where events are written down as they happen, on one clock, with what follows from them so far.

use super::arrivals::Arrivals;
use crate::model::data::Data;
use crate::model::passage::{Cut, Passage};
use crate::model::phase::Phase;
use crate::model::scenario::Scenario;
use crate::model::unasked::Unasked;
use crate::transcript::client_state::ClientStates;
use crate::transcript::event::{ClientEvent, ClientId, Event, ServerEvent, Transcript, What};
use crate::transcript::fault::Fault;
use crate::transcript::server_state::ServerState;
use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
    /// How what comes for clients is kept.
    arrivals: RefCell<Arrivals>,
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
            arrivals: RefCell::default(),
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
        match &event.what {
            What::Client(id, ClientEvent::Connecting) => {
                self.0.arrivals.borrow_mut().connects(*id);
            }
            What::Client(id, happened) => {
                self.tell_arrivals(*id, happened);
                self.wake(*id, happened);
            }
            _ => {}
        }
        self.0.client_states.borrow_mut().apply(&event);
        self.0.server_state.borrow_mut().apply(&event);
        self.write(event);
        self.0.changed.notify_waiters();
    }

    /// As much as a client sends in datagrams may be answered.
    fn tell_arrivals(&self, id: ClientId, event: &ClientEvent) {
        let mut arrivals = self.0.arrivals.borrow_mut();
        match event {
            ClientEvent::Connected { datagrams, .. } if *datagrams => arrivals.sends_datagrams(id),
            ClientEvent::Sent(bytes) => arrivals.has_sent(id, bytes.len()),
            _ => {}
        }
    }

    /// Writes an event down. What is not kept of a flood is one fact for a while: reads of megabytes follow each other within
    /// microseconds, and never end.
    fn write(&self, event: Event) {
        let events = &mut self.0.transcript.borrow_mut().events;
        match events.last_mut().and_then(|last| flood(last, &event)) {
            Some((last, more)) => *last = more.into(),
            None => events.push(event),
        }
    }

    /// What those behind the names of a scenario say, and are owed, may come from now on.
    pub(crate) fn know(&self, phase: Phase, scenario: &Scenario) {
        let id_of = |who| phase.client(who, 0);
        self.0.arrivals.borrow_mut().know(scenario, id_of);
    }

    /// A client is owed the rest of this next.
    pub(crate) fn foresee(&self, id: ClientId, (of, from): (&Arc<Data>, usize)) {
        self.0.arrivals.borrow_mut().foresee(id, of, from);
    }

    /// Writes down that bytes have come for a client.
    pub(crate) fn receive(&self, id: ClientId, bytes: &[u8]) {
        let pieces = self.0.arrivals.borrow_mut().keep(id, bytes);
        for piece in pieces {
            self.record(What::Client(id, ClientEvent::Received(piece)));
        }
    }

    /// Writes down that a datagram has come for a client, or, of a flood of them, no more than how long it was.
    pub(crate) fn receive_datagram(&self, id: ClientId, from: Option<SocketAddr>, bytes: &[u8]) {
        let is_kept = self.0.arrivals.borrow_mut().keeps_datagram(id, bytes.len());
        let event = match is_kept {
            true => ClientEvent::Datagram {
                from: from.map(Box::new),
                bytes: bytes.to_vec(),
            },
            false => ClientEvent::Received(Cut::of(bytes).into()),
        };
        self.record(What::Client(id, event));
    }

    /// Writes down whether a fault has happened, and what shows it.
    pub(crate) fn prove(&self, fault: Fault, shown: bool, evidence: impl Into<String>) {
        self.record(What::Proof {
            fault: Box::new(fault),
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

/// So long what is not kept of a flood is told as if it had come at once.
const FLOODS_FOR: Duration = Duration::from_millis(100);

/// The place of the last event, and what becomes of it where the next goes on with the same flood.
fn flood<'a>(last: &'a mut Event, next: &Event) -> Option<(&'a mut Passage, Cut)> {
    let is_soon = last.at.as_millis() / FLOODS_FOR.as_millis()
        == next.at.as_millis() / FLOODS_FOR.as_millis();
    let (
        What::Client(id, ClientEvent::Received(last)),
        What::Client(of, ClientEvent::Received(next)),
    ) = (&mut last.what, &next.what)
    else {
        return None;
    };
    let more = last.cut()?.with(next.cut()?);
    (is_soon && id == of).then_some((last, more))
}
