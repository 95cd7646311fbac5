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
            let bytes = data.bytes(client.member);
            // A variable that was captured as nothing forbids nothing.
            if !bytes.is_empty() {
                self.watches.push(Watch {
                    client,
                    bytes,
                    last: Vec::new(),
                });
            }
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
    use crate::model::data::{Data, Part, Source};
    use crate::model::dialogue::{ClientSteps, scenario};
    use crate::model::expectation::Expectation;
    use crate::model::phase::Phase;
    use crate::model::template::Template;
    use std::time::Duration;

    const ALICE: ClientId = ClientId { who: 0, member: 0 };
    const BOB: ClientId = ClientId { who: 1, member: 0 };

    fn never(text: &str) -> Action {
        Action::Never(Data::literal(text))
    }

    fn done(step: usize) -> What {
        What::StepEnded {
            step,
            member: Some(0),
            how: Ended::Done,
        }
    }

    fn received(id: ClientId, text: &str) -> What {
        let bytes = text.as_bytes().to_vec();
        What::Client(id, ClientEvent::Received(bytes.into()))
    }

    /// What is found in a scenario of these steps, where this happens.
    fn found(steps: Vec<Vec<Line>>, what: Vec<What>) -> Option<Cause> {
        let trial = Trial::alone(scenario("case", &[("alice", 1), ("bob", 1)], steps));
        let what = [vec![What::Phase(Phase::Scenario)], what].concat();
        let at = Duration::ZERO;
        let events = what.into_iter().map(|what| Event { at, what });
        let events = events.collect();
        forbidden(&trial, &Transcript { events })
    }

    fn of_alice(action: Action) -> Vec<Vec<Line>> {
        vec![ClientSteps::of(0).then(action).lines()]
    }

    fn came_to(client: Option<&str>, text: &str) -> Option<Cause> {
        Some(Cause::Forbidden {
            client: client.map(str::to_owned),
            text: format!("\"{text}\""),
        })
    }

    #[test]
    fn bytes_are_found_across_what_came_in_pieces() {
        let mut watch = Watch {
            client: ALICE,
            bytes: b"secret".to_vec(),
            last: Vec::new(),
        };
        let came = [&b"a sec"[..], b"r", b"et!", b"secre"];
        let found = came.map(|came| watch.finds(came));
        assert_eq!(found, [false, false, true, false]);
    }

    #[test]
    fn it_is_forbidden_from_its_step_on_and_to_its_client() {
        let of = |what| found(of_alice(never("secret")), what);
        let secret = || received(ALICE, "secret");
        assert_eq!(
            of(vec![done(0), secret()]),
            came_to(Some("alice"), "secret")
        );
        assert_eq!(of(vec![secret(), done(0)]), None);
        assert_eq!(of(vec![done(0), received(BOB, "secret")]), None);
        assert_eq!(of(vec![done(0), received(ALICE, "secre")]), None);
        assert_eq!(of(vec![done(0), What::Phase(Phase::After), secret()]), None);
    }

    #[test]
    fn a_datagram_and_a_new_connection_begin_anew() {
        let of = |what| found(of_alice(never("secret")), what);
        let datagram = |text: &str| {
            let bytes = text.as_bytes().to_vec();
            What::Client(ALICE, ClientEvent::Datagram { from: None, bytes })
        };
        let again = || What::Client(ALICE, ClientEvent::Connecting);
        assert_eq!(
            of(vec![done(0), datagram("a secret")]),
            came_to(Some("alice"), "secret")
        );
        assert_eq!(of(vec![done(0), datagram("sec"), datagram("ret")]), None);
        let (sec, ret) = (received(ALICE, "sec"), received(ALICE, "ret"));
        assert_eq!(of(vec![done(0), sec.clone(), again(), ret.clone()]), None);
        assert_eq!(
            of(vec![done(0), again(), sec, ret]),
            came_to(Some("alice"), "secret")
        );
    }

    #[test]
    fn what_one_client_captures_another_one_may_not_get() {
        let sid = Template::parse_with_variables("{sid:[0-9]+};").unwrap();
        let parts = vec![Part::Variable("sid".to_owned())];
        let steps = vec![
            ClientSteps::of(0)
                .expect(Expectation::Template(sid))
                .lines(),
            ClientSteps::of(1)
                .then(Action::Never(Source::Parts(parts).into()))
                .lines(),
        ];
        let what = |text| {
            vec![
                received(ALICE, "17;"),
                done(0),
                done(1),
                received(BOB, text),
            ]
        };
        assert_eq!(
            found(steps.clone(), what("it is 17")),
            came_to(Some("bob"), "17")
        );
        assert_eq!(found(steps, what("it is 16")), None);
    }

    #[test]
    fn what_ends_where_the_server_rests_is_captured_and_nothing_forbids_nothing() {
        let steps = |regex: &str| {
            let sid = Template::parse_with_variables(&format!("{{sid:{regex}}}")).unwrap();
            let parts = vec![Part::Variable("sid".to_owned())];
            vec![
                ClientSteps::of(0)
                    .expect(Expectation::Template(sid))
                    .lines(),
                ClientSteps::of(1)
                    .then(Action::Never(Source::Parts(parts).into()))
                    .lines(),
            ]
        };
        let over = What::StepEnded {
            step: 0,
            member: Some(0),
            how: Ended::Settled,
        };
        let told = vec![
            received(ALICE, "17"),
            over.clone(),
            done(1),
            received(BOB, "17"),
        ];
        assert_eq!(found(steps("[0-9]+"), told), came_to(Some("bob"), "17"));
        let nothing = vec![over, done(1), received(BOB, "17")];
        assert_eq!(found(steps("[0-9]*"), nothing), None);
    }

    #[test]
    fn what_was_printed_before_is_forbidden_too() {
        let action = ServerAction::NeverOutput(b"panic".to_vec());
        let steps = || vec![vec![Step::Server(action.clone()).into()]];
        let printed = |text: &str| What::Server(ServerEvent::Output(text.as_bytes().to_vec()));
        let over = || What::StepEnded {
            step: 0,
            member: None,
            how: Ended::Done,
        };
        let (pa, nic) = (printed("pa"), printed("nic"));
        assert_eq!(
            found(steps(), vec![over(), pa.clone(), nic.clone()]),
            came_to(None, "panic")
        );
        assert_eq!(
            found(steps(), vec![pa.clone(), nic, over()]),
            came_to(None, "panic")
        );
        assert_eq!(found(steps(), vec![over(), pa]), None);
    }
}
