//! What must never come to a client, or be printed, and came.

use super::cause::{Cause, StepRef};
use crate::model::action::Action;
use crate::model::data::find;
use crate::model::limits::MOST_OF_A_STEP;
use crate::model::literal;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Step};
use crate::model::server_action::ServerAction;
use crate::model::trial::Trial;
use crate::transcript::client_state::{ClientStates, Matcher};
use crate::transcript::event::{
    ClientEvent, ClientId, Ended, Event, ServerEvent, Transcript, What,
};
use std::sync::Arc;
use std::time::Duration;

/// What is known of what must never come, or be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// It came, or was printed.
    Came(Cause),
    /// It did not come in what is kept, and so many bytes are not kept.
    Unkept(usize),
    /// It did not come.
    DidNotCome,
}

/// The first bytes that a step of the scenario says must never come, and that came.
pub(super) fn forbidden(trial: &Trial, transcript: &Transcript) -> Forbidden {
    let steps = trial.scenario().steps();
    if !steps.iter().any(|line| forbids(&line.step)) {
        return Forbidden::DidNotCome;
    }
    let mut seen = Seen::of(trial);
    let events = transcript.before_repeats().iter();
    let came = events
        .map(|event| seen.apply(event))
        .find_map(|cause| cause);
    match (came, seen.unkept) {
        (Some(cause), _) => Forbidden::Came(cause),
        (None, 0) => Forbidden::DidNotCome,
        (None, bytes) => Forbidden::Unkept(bytes),
    }
}

/// Whether a step says that something must never come.
fn forbids(step: &Step) -> bool {
    matches!(
        step,
        Step::Client {
            action: Action::Never(_),
            ..
        } | Step::Server(ServerAction::NeverOutput(_))
    )
}

/// What is forbidden at a point of the transcript, and what could still become that.
struct Seen<'a> {
    trial: &'a Trial,
    phase: Phase,
    steps: Vec<&'a Line>,
    client_states: ClientStates,
    watches: Vec<Watch<'a>>,
    /// What must not be printed, and what was printed that somebody looked for.
    output: Vec<(&'a [u8], &'a Line)>,
    printed: Vec<Vec<u8>>,
    /// How many bytes came to those who are watched that nobody has kept.
    unkept: usize,
}

/// Bytes that must not come to a client.
struct Watch<'a> {
    client: ClientId,
    bytes: Vec<u8>,
    /// The step that says so.
    line: &'a Line,
    /// The last that came, of which they may be a part.
    last: Vec<u8>,
}

impl Watch<'_> {
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
            phase: Phase::Before,
            steps: Vec::new(),
            client_states: ClientStates::hearing(&trial.unasked),
            watches: Vec::new(),
            output: Vec::new(),
            printed: Vec::new(),
            unkept: 0,
        }
    }

    fn apply(&mut self, event: &Event) -> Option<Cause> {
        self.client_states.apply(event);
        match &event.what {
            What::Phase(phase) => {
                self.phase = *phase;
                self.steps = self.trial.steps(*phase);
                self.watches.clear();
                None
            }
            What::StepEnded { step, member, how } => {
                self.step_over(*step, member.unwrap_or(0), *how);
                self.printed_so_far(event.at)
            }
            What::Client(id, what) => self.came(*id, what, event.at),
            What::Server(ServerEvent::Printed(text)) => {
                self.printed.push(text.clone());
                self.printed_so_far(event.at)
            }
            _ => None,
        }
    }

    fn came(&mut self, id: ClientId, event: &ClientEvent, at: Duration) -> Option<Cause> {
        let mut watches = self.watches.iter_mut().filter(|watch| watch.client == id);
        let found = match event {
            ClientEvent::Connecting => {
                watches.for_each(|watch| watch.last.clear());
                None
            }
            ClientEvent::Received(bytes) => {
                let unkept = bytes.known_from();
                let came = (unkept == 0).then(|| bytes.bytes());
                let last = bytes.cut().map(|cut| Arc::clone(&cut.then));
                let came = came.as_deref().or(last.as_deref()).unwrap_or_default();
                watches.find_map(|watch| {
                    if unkept > 0 {
                        watch.last.clear();
                        self.unkept += unkept;
                    }
                    watch.finds(came).then(|| (watch.bytes.clone(), watch.line))
                })
            }
            ClientEvent::Datagram { bytes, .. } => {
                let found = watches.find(|watch| find(bytes, &watch.bytes).is_some());
                found.map(|watch| (watch.bytes.clone(), watch.line))
            }
            _ => None,
        };
        let scenario = self.trial.scenario();
        found.map(|(bytes, line)| Cause::Forbidden {
            client: Some(id.name(scenario)),
            text: literal::shown(&bytes),
            step: StepRef::of(line, scenario),
            at,
        })
    }

    fn printed_so_far(&self, at: Duration) -> Option<Cause> {
        let mut all = self.output.iter();
        let is_printed = |text: &[u8]| self.printed.iter().any(|printed| printed == text);
        let (text, line) = all.find(|(text, _)| is_printed(text))?;
        Some(Cause::Forbidden {
            client: None,
            text: literal::shown(text),
            step: StepRef::of(line, self.trial.scenario()),
            at,
        })
    }

    /// A step is over: what it captures others may forbid.
    fn step_over(&mut self, step: usize, member: u32, how: Ended) {
        let Some(line) = self.steps.get(step).copied() else {
            return;
        };
        match &line.step {
            Step::Client { who, action } => {
                let client = self.phase.client(*who, member);
                let action = self.client_states.filled(client, action).into_owned();
                self.of_client(client, &action, line, how);
            }
            Step::Server(ServerAction::NeverOutput(text)) => self.output.push((text, line)),
            _ => {}
        }
    }

    fn of_client(&mut self, client: ClientId, action: &Action, line: &'a Line, how: Ended) {
        // What is too long was not performed.
        if let Action::Never(data) = action
            && action.bytes() <= MOST_OF_A_STEP
        {
            let bytes = data.bytes(client.member);
            let is_watched = |watch: &Watch<'_>| watch.client == client && watch.bytes == bytes;
            // A variable that was captured as nothing forbids nothing.
            if !bytes.is_empty() && !self.watches.iter().any(is_watched) {
                let last = Vec::new();
                self.watches.push(Watch {
                    client,
                    bytes,
                    line,
                    last,
                });
            }
        }
        if let Some(what) = action.awaited() {
            let mut sought = Matcher::new(what, client.member);
            self.client_states
                .take(client, &mut sought, how != Ended::Done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::{Data, Part, Source};
    use crate::model::dialogue::{ClientSteps, scenario};
    use crate::model::expectation::Expectation;
    use crate::model::passage::Cut;
    use crate::model::template::Template;

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
    fn found(steps: Vec<Vec<Line>>, what: Vec<What>) -> Option<(Option<String>, String)> {
        let trial = Trial::alone(scenario("case", &[("alice", 1), ("bob", 1)], steps));
        let what = [vec![What::Phase(Phase::Scenario)], what].concat();
        let at = Duration::ZERO;
        let events = what.into_iter().map(|what| Event { at, what });
        let events = events.collect();
        match forbidden(
            &trial,
            &Transcript {
                events,
                began: None,
            },
        ) {
            Forbidden::Came(cause) => Some(told(cause)),
            Forbidden::Unkept(bytes) => panic!("{bytes} bytes are not kept"),
            Forbidden::DidNotCome => None,
        }
    }

    fn of_alice(action: Action) -> Vec<Vec<Line>> {
        vec![ClientSteps::of(0).then(action).lines()]
    }

    /// To whom it came, and what.
    fn came_to(client: Option<&str>, text: &str) -> Option<(Option<String>, String)> {
        Some((client.map(str::to_owned), format!("\"{text}\"")))
    }

    fn told(cause: Cause) -> (Option<String>, String) {
        match cause {
            Cause::Forbidden { client, text, .. } => (client, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_are_found_across_what_came_in_pieces() {
        let line = Step::Settle.into();
        let mut watch = Watch {
            client: ALICE,
            bytes: b"secret".to_vec(),
            line: &line,
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

    /// One client captures `sid` by this template, and another one may never get it.
    fn captures_and_forbids(template: &str) -> Vec<Vec<Line>> {
        let sid = Template::parse_with_variables(template).unwrap();
        let parts = vec![Part::Variable("sid".to_owned())];
        vec![
            ClientSteps::of(0)
                .expect(Expectation::Template(sid))
                .lines(),
            ClientSteps::of(1)
                .then(Action::Never(Source::Parts(parts).into()))
                .lines(),
        ]
    }

    #[test]
    fn what_one_client_captures_another_one_may_not_get() {
        let steps = captures_and_forbids("{sid:[0-9]+};");
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
        let steps = captures_and_forbids;
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
        assert_eq!(
            found(steps("{sid:[0-9]+}"), told),
            came_to(Some("bob"), "17")
        );
        let nothing = vec![over, done(1), received(BOB, "17")];
        assert_eq!(found(steps("{sid:[0-9]*}"), nothing), None);
    }

    #[test]
    fn what_was_printed_before_is_forbidden_too() {
        let action = ServerAction::NeverOutput(b"panic".to_vec());
        let steps = || vec![vec![Step::Server(action.clone()).into()]];
        let printed = |text: &str| What::Server(ServerEvent::Printed(text.as_bytes().to_vec()));
        let over = || What::StepEnded {
            step: 0,
            member: None,
            how: Ended::Done,
        };
        let panic = || printed("panic");
        assert_eq!(
            found(steps(), vec![over(), panic()]),
            came_to(None, "panic")
        );
        assert_eq!(
            found(steps(), vec![panic(), over()]),
            came_to(None, "panic")
        );
        assert_eq!(found(steps(), vec![over(), printed("other")]), None);
        assert_eq!(
            found(of_alice(never("panic")), vec![done(0), panic()]),
            None
        );
    }

    #[test]
    fn what_is_not_kept_may_have_been_it() {
        let trial = Trial::alone(scenario("case", &[("alice", 1)], of_alice(never("secret"))));
        let cut = |text: &str| {
            let passage = Cut::of(text.as_bytes()).into();
            What::Client(ALICE, ClientEvent::Received(passage))
        };
        let of = |what: Vec<What>| {
            let what = [vec![What::Phase(Phase::Scenario), done(0)], what].concat();
            let at = Duration::ZERO;
            let events = what.into_iter().map(|what| Event { at, what }).collect();
            forbidden(
                &trial,
                &Transcript {
                    events,
                    began: None,
                },
            )
        };
        let flood = "x".repeat(100);
        assert_eq!(of(vec![cut(&flood)]), Forbidden::Unkept(84));
        // Half of it before the gap, and half behind.
        let across = vec![
            received(ALICE, "sec"),
            cut(&(flood.clone() + &"ret".repeat(6))),
        ];
        assert_eq!(of(across), Forbidden::Unkept(102));
        let behind = vec![cut(&(flood + "a secret"))];
        assert!(matches!(of(behind), Forbidden::Came(_)));
    }
}
