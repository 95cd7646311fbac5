//! What tests of this folder stage: a server that speaks in a certain way, and what was seen of it.

use super::observations::Sighting;
use crate::judge::Cause;
use crate::model::expectation::Expectation;
use crate::model::profile::{Profile, Transport};
use crate::model::scenario::Scenario;
use crate::model::subject::{Place, Subject};
use crate::transcript::event::{
    ClientEvent, ClientId, Ended, Event, ServerEvent, Transcript, What,
};
use crate::transcript::instead::Instead;
use std::time::Duration;

/// A server with this profile, over TCP where that names no other transport.
pub(super) fn server(profile: &str) -> Subject {
    let profile = Profile::parse("staged", profile).unwrap();
    let transport = profile.transport.unwrap_or(Transport::Tcp);
    Subject::of(profile, Place::on(transport))
}

/// A server that speaks so, of which all is known that lets something be tried.
pub(super) fn known(profile: Profile, transport: Transport) -> Subject {
    let place = Place {
        backlog: Some(128),
        wildcard: true,
        ipv6: true,
        dual_stack: true,
        ..Place::on(transport)
    };
    Subject {
        own_namespace: true,
        told_loopback: true,
        ..Subject::of(profile, place)
    }
}

/// A scenario, and what was seen of it.
pub(super) struct Staged {
    subject: Subject,
    scenario: Scenario,
    events: Vec<Event>,
}

impl Staged {
    pub(super) fn of(subject: &Subject, scenario: Scenario) -> Self {
        Self {
            subject: subject.clone(),
            scenario,
            events: Vec::new(),
        }
    }

    /// The same where the steps up to this one were come to, at once.
    pub(super) fn until(mut self, step: usize) -> Self {
        let began = (0..=step).map(What::StepBegan);
        self.events.extend(began.map(|what| Event {
            at: Duration::ZERO,
            what,
        }));
        self
    }

    /// The same where all steps were come to.
    pub(super) fn whole(self) -> Self {
        let last = self.scenario.steps().len() - 1;
        self.until(last)
    }

    /// The same where this happened at the client with this index, so many milliseconds after the start.
    pub(super) fn client(mut self, at: u64, who: usize, event: ClientEvent) -> Self {
        let what = What::Client(ClientId { who, member: 0 }, event);
        let at = Duration::from_millis(at);
        self.events.push(Event { at, what });
        self
    }

    /// The same where this happened at the server.
    pub(super) fn server(mut self, at: u64, event: ServerEvent) -> Self {
        let what = What::Server(event);
        let at = Duration::from_millis(at);
        self.events.push(Event { at, what });
        self
    }

    /// What somebody makes of it.
    pub(super) fn read<T>(&self, reader: impl Fn(&Sighting<'_>) -> T) -> T {
        reader(&Sighting {
            subject: &self.subject,
            scenario: &self.scenario,
            transcript: &Transcript {
                events: self.events.clone(),
                began: None,
            },
        })
    }
}

/// The client is connected.
pub(super) fn connected() -> ClientEvent {
    ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams: false,
    }
}

/// The client is told this.
pub(super) fn told(text: &str) -> ClientEvent {
    ClientEvent::Received(text.as_bytes().into())
}

/// The client says this.
pub(super) fn says(text: &str) -> ClientEvent {
    ClientEvent::Sent(text.as_bytes().into())
}

/// A client was to hear nothing, and this came of it.
pub(super) fn failed(instead: Instead) -> Cause {
    Cause::StepFailed {
        client: "alice".to_owned(),
        expected: Expectation::Silence.into(),
        how: Ended::Settled,
        instead,
        took: Vec::new(),
    }
}
