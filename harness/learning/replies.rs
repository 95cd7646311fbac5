//! What a server has said to a client that repeats what was said to it.

use crate::model::action::Action;
use crate::model::expectation::End;
use crate::model::scenario::{Scenario, Step};
use crate::transcript::event::{ClientEvent, Transcript, What};

/// What a server has said to one client: first what it said before it was asked, then each reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Replies {
    pub(super) said: Vec<Vec<u8>>,
    /// The end that the server made of the connection, and after how many requests.
    pub(super) ended: Option<(usize, End)>,
}

impl Replies {
    /// What was said to the client at this index.
    pub(super) fn to(who: usize, scenario: &Scenario, seen: &Transcript) -> Self {
        let steps = scenario.steps();
        let does = |number: usize, wanted: fn(&Action) -> bool| match steps
            .get(number)
            .map(|line| &line.step)
        {
            Some(Step::Client { who: by, action }) => *by == who && wanted(action),
            _ => false,
        };
        let mut replies = Self {
            said: vec![Vec::new()],
            ended: None,
        };
        for event in &seen.events {
            match &event.what {
                What::StepBegan(number)
                    if does(*number, |action| matches!(action, Action::Send { .. })) =>
                {
                    replies.said.push(Vec::new());
                }
                // What comes then is an answer to its end.
                What::StepBegan(number)
                    if does(*number, |action| matches!(action, Action::Close)) =>
                {
                    break;
                }
                What::Client(id, event) if id.who == who => replies.add(event),
                _ => {}
            }
        }
        replies
    }

    fn add(&mut self, event: &ClientEvent) {
        let asked = self.said.len() - 1;
        let Some(reply) = self.said.last_mut() else {
            return;
        };
        match event {
            ClientEvent::Received(bytes) => reply.extend_from_slice(&bytes.bytes()),
            // Who is answered by several datagrams is owed the first of them.
            ClientEvent::Datagram { bytes, .. } if reply.is_empty() => {
                reply.extend_from_slice(bytes);
            }
            ClientEvent::Ended(end) => self.ended = Some((asked, *end)),
            _ => {}
        }
    }
}
