//! Where events are written down as they happen, on one clock, with what follows from them so far.

use super::arrivals::Arrivals;
use crate::kernel::Figures;
use crate::model::data::Data;
use crate::model::passage::{Cut, Passage};
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario};
use crate::model::unasked::Unasked;
use crate::transcript::client_state::ClientStates;
use crate::transcript::event::{ClientEvent, ClientId, Event, ServerEvent, Transcript, What};
use crate::transcript::fault::Fault;
use crate::transcript::server_state::{BackendStates, ServerState};
use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// A shared pen on the transcript of one run.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Rc<Book>);

#[derive(Debug)]
struct Book {
    begun: Instant,
    transcript: RefCell<Transcript>,
    latest: RefCell<Latest>,
    client_states: RefCell<ClientStates>,
    server_state: RefCell<ServerState>,
    backend_states: RefCell<BackendStates>,
    /// How what comes for clients is kept.
    arrivals: RefCell<Arrivals>,
    /// When bytes last came for any of the clients behind each name.
    served: RefCell<BTreeMap<usize, Instant>>,
    /// Wakes those who wait for a fact about a client; in a crowd, waking all for each would be quadratic.
    waiting: RefCell<BTreeMap<ClientId, Rc<Notify>>>,
    /// Wakes those who wait for any fact.
    changed: Notify,
}

/// Tells who follows a run what is written down: the steps, and in greater detail all that is seen.
fn log(what: &What) {
    match what {
        What::StepBegan(_) | What::StepEnded { .. } => tracing::debug!("{what:?}"),
        What::Client(id, event) => tracing::trace!("{id:?} {event}"),
        What::Server(event) => tracing::trace!("server {event}"),
        _ => {}
    }
}

impl Recorder {
    pub(crate) fn new(unasked: &Unasked) -> Self {
        Self(Rc::new(Book {
            begun: Instant::now(),
            transcript: RefCell::new(Transcript {
                began: Some(SystemTime::now()),
                ..Transcript::default()
            }),
            latest: RefCell::default(),
            client_states: RefCell::new(ClientStates::hearing(unasked)),
            server_state: RefCell::default(),
            backend_states: RefCell::default(),
            arrivals: RefCell::default(),
            served: RefCell::default(),
            waiting: RefCell::default(),
            changed: Notify::new(),
        }))
    }

    /// Writes a fact down and wakes whoever waits for one.
    pub(crate) fn record(&self, what: What) {
        log(&what);
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
        self.0.backend_states.borrow_mut().apply(&event);
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
    /// microseconds, and never end. So is what comes in very many pieces.
    fn write(&self, event: Event) {
        let events = &mut self.0.transcript.borrow_mut().events;
        let latest = &mut self.0.latest.borrow_mut();
        let What::Client(id, happened) = &event.what else {
            latest.forget_all();
            return events.push(event);
        };
        let ClientEvent::Received(next) = happened else {
            latest.of.remove(id);
            return events.push(event);
        };
        let are_many = events.len() >= MANY_EVENTS;
        let last = latest.of(*id).and_then(|at| events.get_mut(at));
        if let Some(last) = last
            && let Some((last, both)) = joined(last, &event, next, are_many)
        {
            *last = both;
            return;
        }
        latest.set(*id, events.len());
        events.push(event);
    }

    /// Gives each step of the last phase the number that stands at the place of its own.
    pub(crate) fn renumber(&self, numbers: &[usize]) {
        let events = &mut self.0.transcript.borrow_mut().events;
        let of_a_phase = |event: &&mut Event| !matches!(event.what, What::Phase(_));
        for event in events.iter_mut().rev().take_while(of_a_phase) {
            if let What::StepBegan(step) | What::StepEnded { step, .. } = &mut event.what {
                *step = numbers.get(*step).copied().unwrap_or(*step);
            }
        }
    }

    /// What those behind the names of a scenario say, and are owed, may come from now on.
    pub(crate) fn know(&self, phase: Phase, scenario: &Scenario) {
        let id_of = |who| phase.client(who, 0);
        self.0.arrivals.borrow_mut().know(scenario, id_of);
    }

    /// What a client says, and is owed, in one line more.
    pub(crate) fn know_more(&self, id: ClientId, line: &Line) {
        self.0.arrivals.borrow_mut().know_more(id, line);
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

    /// The same of a fault that did not happen, where it is not written down yet.
    pub(crate) fn disprove_once(&self, fault: Fault, evidence: String) {
        let is_known = self.with(|seen| {
            let disproves = |event: &Event| matches!(&event.what, What::Proof { fault: known, shown: false, .. } if **known == fault);
            seen.events.iter().any(disproves)
        });
        if !is_known {
            self.prove(fault, false, evidence);
        }
    }

    /// Keeps when bytes came, and wakes those who wait for the client.
    fn wake(&self, id: ClientId, event: &ClientEvent) {
        let is_served = match event {
            ClientEvent::Received(bytes) => !self.client_states().are_unasked(bytes),
            ClientEvent::Secured { .. } => true,
            _ => false,
        };
        if is_served {
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

    pub(crate) fn backend_state(&self, name: &str) -> ServerState {
        self.0.backend_states.borrow().of(name)
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

    /// How long after an instant something came to a client last; as long as it is since, where nothing has.
    pub(crate) fn arrived(&self, id: ClientId, since: Instant) -> Duration {
        let came = self.client_states().of(id).came_last();
        let came = came.map(|at| (self.0.begun + at).saturating_duration_since(since));
        came.unwrap_or_else(|| since.elapsed())
    }

    /// Writes down what the kernel holds for the server, where that is not what it was; nobody waits for it, and nobody is woken.
    pub(crate) fn note(&self, figures: Figures) {
        let at = self.0.begun.elapsed();
        let noted = &mut self.0.transcript.borrow_mut().figures;
        if noted.last().is_none_or(|(_, last)| *last != figures) {
            noted.push((at, figures));
        }
    }

    /// Looks at the transcript so far.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Transcript) -> T) -> T {
        look(&self.0.transcript.borrow())
    }

    /// Takes the transcript; what follows begins a new one.
    pub(crate) fn take(&self) -> Transcript {
        self.0.latest.borrow_mut().forget_all();
        self.0.transcript.take()
    }
}

/// Where bytes stand in the transcript that have come for clients to whom nothing else has happened since.
#[derive(Debug, Default)]
struct Latest {
    of: HashMap<ClientId, (u64, usize)>,
    /// How often all were forgotten: to go through all of a crowd each time would be quadratic.
    times: u64,
}

impl Latest {
    fn of(&self, id: ClientId) -> Option<usize> {
        let (times, at) = self.of.get(&id)?;
        (*times == self.times).then_some(*at)
    }

    fn set(&mut self, id: ClientId, at: usize) {
        self.of.insert(id, (self.times, at));
    }

    /// Something has happened that is no client's alone, such as a step.
    fn forget_all(&mut self) {
        self.times += 1;
    }
}

/// So long what is not kept of a flood is told as if it had come at once.
const FLOODS_FOR: Duration = Duration::from_millis(100);

/// In a transcript of so many events, of which each takes a hundred bytes and more, that is told so of all that comes.
const MANY_EVENTS: usize = 100_000;

/// The place of what came last, and what it comes to where the next goes on with the same flood.
fn joined<'a>(
    last: &'a mut Event,
    event: &Event,
    next: &Passage,
    are_many: bool,
) -> Option<(&'a mut Passage, Passage)> {
    let moment = |event: &Event| event.at.as_millis() / FLOODS_FOR.as_millis();
    if moment(last) != moment(event) {
        return None;
    }
    let What::Client(_, ClientEvent::Received(last)) = &mut last.what else {
        return None;
    };
    let both = match (last.cut(), next.cut()) {
        (Some(last), Some(next)) => last.with(next).into(),
        _ => last.joined(next).filter(|_| are_many)?,
    };
    Some((last, both))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::Source;

    const ALICE: ClientId = ClientId { who: 0, member: 0 };
    const BOB: ClientId = ClientId { who: 1, member: 0 };

    fn received(recorder: &Recorder, id: ClientId) -> Vec<Passage> {
        recorder.with(|transcript| {
            let events = transcript.events.iter();
            let received = events.filter_map(|event| match &event.what {
                What::Client(of, ClientEvent::Received(bytes)) if *of == id => Some(bytes.clone()),
                _ => None,
            });
            received.collect()
        })
    }

    #[test]
    fn transcript_of_a_drip_is_bounded_and_loses_nothing() {
        let recorder = Recorder::new(&Unasked::default());
        let seed = 7;
        let bytes = 4 * MANY_EVENTS;
        let data = Arc::new(Data::from(Source::Pattern { bytes, seed }));
        for at in 0..bytes {
            let piece = Passage::part(&data, 0, at..at + 1);
            recorder.write(Event {
                at: recorder.0.begun.elapsed(),
                what: What::Client(ALICE, ClientEvent::Received(piece)),
            });
            if at % 2 == 0 {
                let piece = Passage::from(vec![b'x']);
                recorder.write(Event {
                    at: recorder.0.begun.elapsed(),
                    what: What::Client(BOB, ClientEvent::Received(piece)),
                });
            }
        }
        let (alice, bob) = (received(&recorder, ALICE), received(&recorder, BOB));
        assert!(alice.len() + bob.len() < 2 * MANY_EVENTS);
        let all: Vec<u8> = alice
            .iter()
            .flat_map(|piece| piece.bytes().into_owned())
            .collect();
        assert!(all == data.bytes(0), "bytes are lost");
        assert_eq!(bob.iter().map(Passage::len).sum::<usize>(), bytes / 2);
    }

    #[test]
    fn floods_of_several_clients_are_told_apart_in_few_events() {
        let recorder = Recorder::new(&Unasked::default());
        let flood = |id| {
            let piece = Cut::of(&[b'x'; 1_000]).into();
            recorder.write(Event {
                at: Duration::from_millis(1),
                what: What::Client(id, ClientEvent::Received(piece)),
            });
        };
        for _ in 0..1_000 {
            flood(ALICE);
            flood(BOB);
        }
        recorder.write(Event {
            at: Duration::from_millis(1),
            what: What::Client(ALICE, ClientEvent::Stalled),
        });
        flood(ALICE);
        let lengths = |id| {
            received(&recorder, id)
                .iter()
                .map(Passage::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(lengths(ALICE), [1_000_000, 1_000]);
        assert_eq!(lengths(BOB), [1_000_000]);
    }
}
