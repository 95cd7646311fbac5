//! What must never come to a client, or be printed, and came.

use super::cause::Cause;
use crate::model::action::Action;
use crate::model::data::find;
use crate::model::literal;
use crate::model::scenario::{Line, Step};
use crate::model::server_action::ServerAction;
use crate::model::trial::Trial;
use crate::transcript::client_state::{ClientStates, Matcher, Progress};
use crate::transcript::event::{
    ClientEvent, ClientId, Ended, Event, ServerEvent, Transcript, What,
};

/// The first bytes that a step of the scenario says must never come, and that came.
pub(super) fn forbidden(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    let mut seen = Seen::of(trial);
    let events = transcript.before_repeats().iter();
    events
        .map(|event| seen.apply(event))
        .find_map(|cause| cause)
}

/// What is forbidden at a point of the transcript, and what could still become that.
struct Seen<'a> {
    trial: &'a Trial,
    steps: Vec<&'a Line>,
    client_states: ClientStates,
    watches: Vec<Watch>,
    /// What must not be printed.
    output: Vec<&'a [u8]>,
    printed: Vec<u8>,
}

/// Bytes that must not come to a client.
struct Watch {
    client: ClientId,
    bytes: Vec<u8>,
    /// The last that came, of which they may be a part.
    last: Vec<u8>,
}

impl Watch {
    /// Whether they stand in what came last, or across what came before.
    fn finds(&mut self, came: &[u8]) -> bool {
        self.last.extend_from_slice(came);
        let found = find(&self.last, &self.bytes).is_some();
        let kept = self.last.len().min(self.bytes.len() - 1);
        self.last.drain(..self.last.len() - kept);
        found
    }
}

impl<'a> Seen<'a> {
    fn of(trial: &'a Trial) -> Self {
        Self {
            trial,
            steps: Vec::new(),
            client_states: ClientStates::hearing(&trial.unasked),
            watches: Vec::new(),
            output: Vec::new(),
            printed: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event) -> Option<Cause> {
        self.client_states.apply(event);
        match &event.what {
            What::Phase(phase) => {
                self.steps = self.trial.steps(*phase);
                self.watches.clear();
                None
            }
            What::StepEnded { step, member, how } => {
                self.step_over(*step, member.unwrap_or(0), *how);
                self.printed_so_far()
            }
            What::Client(id, event) => self.came(*id, event),
            What::Server(ServerEvent::Output(text)) => {
                self.printed.extend_from_slice(text);
                self.printed_so_far()
            }
            _ => None,
        }
    }

    fn came(&mut self, id: ClientId, event: &ClientEvent) -> Option<Cause> {
        let mut watches = self.watches.iter_mut().filter(|watch| watch.client == id);
        let found = match event {
            ClientEvent::Connecting => {
                watches.for_each(|watch| watch.last.clear());
                None
            }
            ClientEvent::Received(bytes) => watches.find_map(|watch| {
                let found = watch.finds(&bytes.bytes());
                found.then(|| watch.bytes.clone())
            }),
            ClientEvent::Datagram { bytes, .. } => {
                let found = watches.find(|watch| find(bytes, &watch.bytes).is_some());
                found.map(|watch| watch.bytes.clone())
            }
            _ => None,
        };
        let scenario = self.trial.scenario();
        found.map(|bytes| Cause::Forbidden {
            client: Some(id.name(scenario)),
            text: literal::shown(&bytes),
        })
    }

    fn printed_so_far(&self) -> Option<Cause> {
        let mut all = self.output.iter();
        let found = all.find(|text| find(&self.printed, text).is_some())?;
        Some(Cause::Forbidden {
            client: None,
            text: literal::shown(found),
        })
    }

    /// A step is over: what it captures others may forbid.
    fn step_over(&mut self, step: usize, member: u32, how: Ended) {
        match self.steps.get(step).map(|line| &line.step) {
            Some(Step::Client { who, action }) => {
                let client = ClientId { who: *who, member };
                let action = self.client_states.filled(client, action).into_owned();
                self.of_client(client, &action, how);
            }
            Some(Step::Server(ServerAction::NeverOutput(text))) => self.output.push(text),
            _ => {}
        }
    }

    fn of_client(&mut self, client: ClientId, action: &Action, how: Ended) {
        if let Action::Never(data) = action {
            self.watches.push(Watch {
                client,
                bytes: data.bytes(client.member),
                last: Vec::new(),
            });
        }
        if let Some(what) = action.awaited() {
            let mut sought = Matcher::new(what, client.member);
            let seen = self
                .client_states
                .of(client)
                .look(&mut sought, how != Ended::Done);
            if seen == Progress::Met {
                self.client_states.consume(client, &sought);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_across_what_came_in_pieces() {
        let mut watch = Watch {
            client: ClientId { who: 0, member: 0 },
            bytes: b"secret".to_vec(),
            last: Vec::new(),
        };
        let found: Vec<bool> = [&b"a sec"[..], b"r", b"et!", b"secre"]
            .iter()
            .map(|came| watch.finds(came))
            .collect();
        assert_eq!(found, [false, false, true, false]);
    }
}
