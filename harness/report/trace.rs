//! What was seen of a trial, as a viewer wants it: events with their bytes and steps, the course of what the kernel held, and what
//! the server printed.

use super::printed::Printed;
use crate::kernel::Figures;
use crate::model::phase::{Moment, Phase};
use crate::model::scenario::{ClientGroup, Scenario, Step};
use crate::transcript::event::{
    ClientEvent, Event, EventLine, ServerEvent, Told, Transcript, What,
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// So many events are kept of one trial: those of a crowd's members beside the ones that tell most are left out first.
const MOST_EVENTS: usize = 1_500;

/// So many bytes are kept of what one event carried.
const MOST_BYTES: usize = 2_048;

/// So many bytes are kept of what a server has printed, its last ones.
const MOST_OUTPUT: usize = 64 << 10;

/// What was seen of one trial; times are microseconds since its transcript began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trace {
    /// The steps of the scenario, in the order of its text.
    pub steps: Vec<TracedStep>,
    /// What happened, the oldest first.
    pub events: Vec<TracedEvent>,
    /// How many events were left out, of members of crowds that do as others do.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// What became of the members of crowds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crowds: Vec<TracedCrowd>,
    /// What the kernel held for the server now and then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<TracedFigures>,
    /// What the server has printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<TracedOutput>,
}

/// A step, and when it was gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedStep {
    /// As `.drill` files say it.
    pub text: String,
    /// Its line in the scenario that the result tells, counted from one; none where that has no such line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Whose it is: a client, `server` or a backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// When it began first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_us: Option<u64>,
    /// When it was over for the last of those who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_us: Option<u64>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedEvent {
    pub at_us: u64,
    /// The part of the trial that it is of.
    pub phase: Phase,
    /// What kind of fact it is, a word for programs: `sent`, `received`, `reset`, `exited`, …
    pub kind: String,
    /// Whom it is about, a client, `server` or a backend; nobody where it is about the host and the harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The name that it shares with others of a crowd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crowd: Option<String>,
    /// What passed between a client and the server, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The step that it belongs to, an index among the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// As a person reads it.
    pub text: String,
    /// How many bytes it carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The first of them, in base64 (RFC 4648).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bytes: String,
    /// It is the one that was not to happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrong: bool,
    /// What else the kind has to tell.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// Which way something passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// What became of the members of a crowd: the last that each of them saw, and how many saw the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedCrowd {
    pub name: String,
    pub members: usize,
    pub ends: Vec<TracedEnd>,
}

/// The last that some members of a crowd saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedEnd {
    pub text: String,
    pub members: usize,
}

/// What the kernel held for the server at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedFigures {
    pub at_us: u64,
    /// Connections that wait to be accepted, and how many may.
    pub accept_queue: u32,
    pub backlog: u32,
    /// Connections of its port by their state.
    pub connections: BTreeMap<String, usize>,
    /// What clients have sent and it has not read.
    pub unread_bytes: u64,
    pub open_files: usize,
    pub processes: usize,
    pub threads: usize,
    pub resident_bytes: u64,
    /// The processor time of its threads since the first of these figures.
    pub cpu_us: u64,
    /// How much of its output had been printed, and by those that had run in its place before.
    pub output_bytes: u64,
}

/// What a server has printed since it was started, or the end of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TracedOutput {
    /// How many bytes came before the text.
    pub from_byte: u64,
    pub text: String,
    /// The same as bytes, in base64: not all that is printed is text.
    #[serde(default)]
    pub bytes: String,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn microseconds(time: Duration) -> u64 {
    time.as_micros() as u64
}

impl Transcript {
    /// What was seen, for who looks at it as a picture. The scenario names its clients.
    pub(crate) fn trace(&self, scenario: &Scenario) -> Trace {
        self.traced(scenario, self.told(scenario))
    }

    /// The same beside the lines that a person reads.
    pub(crate) fn lines_and_trace(&self, scenario: &Scenario) -> (Vec<EventLine>, Box<Trace>) {
        let told = self.told(scenario);
        let lines = told.iter().map(|told| told.line.clone()).collect();
        (lines, Box::new(self.traced(scenario, told)))
    }

    fn traced(&self, scenario: &Scenario, told: Vec<Told<'_>>) -> Trace {
        let until = self.told_until();
        let (events, steps) = self.walked(scenario, told, until);
        let crowds = crowds(&events);
        let all = events.len();
        let events = thinned(events);
        let printed = Printed::of(self);
        Trace {
            left_out: all - events.len(),
            steps,
            events,
            crowds,
            figures: self.traced_figures(until, &printed),
            output: self.traced_output(&printed),
        }
    }

    /// Until when events are told: where the scenario was repeated to tell a leak from a pool, and nothing came to an end over that, the
    /// first time of it shows all that there is to see.
    fn told_until(&self) -> u64 {
        let first = self.before_repeats();
        let ended = |event: &ServerEvent| {
            matches!(
                event,
                ServerEvent::Exited(_) | ServerEvent::ProcessEnded { .. }
            )
        };
        let is_repeated = self.samples(Moment::Dose).next().is_some();
        let is_told = is_repeated && !self.server_events().any(ended);
        let last = first.last().filter(|_| is_told);
        last.map_or(u64::MAX, |last| microseconds(last.at))
    }

    /// All events until a time with the steps they belong to, and when those were gone through.
    fn walked(
        &self,
        scenario: &Scenario,
        told: Vec<Told<'_>>,
        until: u64,
    ) -> (Vec<TracedEvent>, Vec<TracedStep>) {
        let mut walk = Walk::through(scenario);
        let mut told = told.into_iter().peekable();
        let mut events = Vec::new();
        let is_told = |event: &&Event| microseconds(event.at) <= until;
        for event in self.events.iter().take_while(is_told) {
            walk.pass(event);
            if let Some(told) = told.next_if(|told| std::ptr::eq(told.event, event)) {
                events.push(walk.traced(told));
            }
        }
        (events, walk.steps)
    }

    fn traced_figures(&self, until: u64, printed: &Printed) -> Vec<TracedFigures> {
        let first = self.figures.first();
        let began = first.map_or(Duration::ZERO, |(_, first)| first.processor_time);
        let figures = self.figures.iter();
        let told = figures.filter(|(at, _)| microseconds(*at) <= until);
        let traced = told.map(|(at, figures)| TracedFigures {
            output_bytes: printed.by(*at, figures.output_bytes),
            ..TracedFigures::of(*at, figures, began)
        });
        traced.collect()
    }

    /// What was printed, from the last byte on behind which all is known.
    fn traced_output(&self, printed: &Printed) -> Option<TracedOutput> {
        let (mut kept, mut before) = (Vec::new(), 0);
        for event in self.server_events() {
            match event {
                ServerEvent::Output(bytes) => kept.extend_from_slice(bytes),
                ServerEvent::OutputCut(unkept) => {
                    before += kept.len() as u64 + unkept;
                    kept.clear();
                }
                _ => {}
            }
        }
        let cut = kept.len().saturating_sub(MOST_OUTPUT);
        let bytes = &kept[cut..];
        (!bytes.is_empty()).then(|| TracedOutput {
            from_byte: printed.before + before + cut as u64,
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: BASE64.encode(bytes),
        })
    }
}

impl TracedFigures {
    fn of(at: Duration, figures: &Figures, began: Duration) -> Self {
        Self {
            at_us: microseconds(at),
            accept_queue: figures.accept_queue,
            backlog: figures.backlog,
            connections: figures.connections.iter().cloned().collect(),
            unread_bytes: figures.unread_bytes,
            open_files: figures.open_files,
            processes: figures.processes,
            threads: figures.threads,
            resident_bytes: figures.resident_bytes,
            cpu_us: microseconds(figures.processor_time.saturating_sub(began)),
            output_bytes: figures.output_bytes,
        }
    }
}

/// Who is at which step while events are gone through.
struct Walk {
    phase: Phase,
    steps: Vec<TracedStep>,
    /// Whose each step is, where it is one of clients.
    clients: Vec<Option<usize>>,
    names: Vec<Option<String>>,
    at: HashMap<usize, usize>,
    latest: Option<usize>,
}

impl Walk {
    fn through(scenario: &Scenario) -> Self {
        let lines = scenario.steps();
        let steps = lines.iter().map(|line| TracedStep {
            text: line.step.text(&scenario.clients),
            line: None,
            who: whose(&line.step, scenario),
            began_us: None,
            ended_us: None,
        });
        let client = |step: &Step| match step {
            Step::Client { who, .. } => Some(*who),
            _ => None,
        };
        let crowd = |group: &ClientGroup| (group.members > 1).then(|| group.name.clone());
        Self {
            phase: Phase::Before,
            steps: steps.collect(),
            clients: lines.iter().map(|line| client(&line.step)).collect(),
            names: scenario.clients.iter().map(crowd).collect(),
            at: HashMap::new(),
            latest: None,
        }
    }

    /// Notes how far the steps have come.
    fn pass(&mut self, event: &Event) {
        match &event.what {
            What::Phase(phase) => {
                self.phase = *phase;
                self.at.clear();
                self.latest = None;
            }
            What::StepBegan(number) if self.phase == Phase::Scenario => {
                self.begin(*number, microseconds(event.at));
            }
            What::StepEnded { step, .. } if self.phase == Phase::Scenario => {
                if let Some(step) = self.steps.get_mut(*step) {
                    step.ended_us = Some(microseconds(event.at));
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, number: usize, at_us: u64) {
        let Some(step) = self.steps.get_mut(number) else {
            return;
        };
        step.began_us.get_or_insert(at_us);
        self.latest = Some(number);
        if let Some(who) = self.clients[number] {
            self.at.insert(who, number);
        }
    }

    fn traced(&self, told: Told<'_>) -> TracedEvent {
        let Told {
            event,
            line,
            joined,
        } = told;
        let (kind, data) = kind_of(&event.what);
        let (bytes, length) = match joined {
            Some(joined) => (joined.first_from(0, MOST_BYTES), Some(joined.len())),
            None => carried(&event.what),
        };
        TracedEvent {
            at_us: microseconds(event.at),
            phase: self.phase,
            kind,
            who: line.who.or_else(|| self.whose_step(&event.what)),
            crowd: self.crowd(&event.what),
            direction: direction(&event.what),
            step: self.step_of(&event.what),
            text: line.text,
            length,
            bytes: BASE64.encode(&bytes),
            wrong: line.is_wrong,
            data,
        }
    }

    fn crowd(&self, what: &What) -> Option<String> {
        match what {
            What::Client(id, _) if self.phase == Phase::Scenario => {
                self.names.get(id.who).cloned().flatten()
            }
            What::StepEnded { step, .. } if self.phase == Phase::Scenario => {
                self.names.get((*self.clients.get(*step)?)?)?.clone()
            }
            _ => None,
        }
    }

    fn step_of(&self, what: &What) -> Option<usize> {
        match what {
            _ if self.phase != Phase::Scenario => None,
            What::StepEnded { step, .. } => Some(*step),
            What::Client(id, _) => self.at.get(&id.who).copied(),
            What::Server(_) | What::Backend(..) => self.latest,
            _ => None,
        }
    }

    fn whose_step(&self, what: &What) -> Option<String> {
        match what {
            What::StepEnded { step, member, .. } if self.phase == Phase::Scenario => {
                let who = self.steps.get(*step)?.who.clone()?;
                let crowd = self.names.get((*self.clients.get(*step)?)?)?;
                Some(match (crowd, member) {
                    (Some(_), Some(member)) => format!("{who}[{member}]"),
                    _ => who,
                })
            }
            _ => None,
        }
    }
}

/// Whom a step is of.
fn whose(step: &Step, scenario: &Scenario) -> Option<String> {
    match step {
        Step::Client { who, .. } => scenario.clients.get(*who).map(|group| group.name.clone()),
        Step::Server(_) => Some("server".to_owned()),
        Step::Backend { name, .. } => Some(name.clone()),
        Step::Pause(_) | Step::Barrier | Step::Settle | Step::Repeat { .. } => None,
    }
}

/// The word for a kind of fact, and what else it tells but for bytes: both as saved trials have them. What carries bytes may carry
/// megabytes, and is not written out for its name.
fn kind_of(what: &What) -> (String, Value) {
    let form = match what {
        What::Client(_, ClientEvent::Sent(_)) => return ("sent".to_owned(), Value::Null),
        What::Client(_, ClientEvent::Received(_)) => return ("received".to_owned(), Value::Null),
        What::Client(_, ClientEvent::Datagram { .. }) => {
            return ("datagram".to_owned(), Value::Null);
        }
        What::Client(_, event) => serde_json::to_value(event),
        What::Server(event) | What::Backend(_, event) => serde_json::to_value(event),
        other => serde_json::to_value(other),
    };
    match form.unwrap_or_default() {
        Value::String(kind) => (kind, Value::Null),
        Value::Object(fields) => fields.into_iter().next().unwrap_or_default(),
        _ => (String::new(), Value::Null),
    }
}

/// The first bytes that an event carries, and how many they are.
fn carried(what: &What) -> (Vec<u8>, Option<usize>) {
    match what {
        What::Client(_, ClientEvent::Sent(passage) | ClientEvent::Received(passage)) => {
            let kept = match passage.known_from() {
                0 => passage.slice(0..passage.len().min(MOST_BYTES)).into_owned(),
                _ => Vec::new(),
            };
            (kept, Some(passage.len()))
        }
        What::Client(_, ClientEvent::Datagram { bytes, .. }) => (
            bytes[..bytes.len().min(MOST_BYTES)].to_vec(),
            Some(bytes.len()),
        ),
        _ => (Vec::new(), None),
    }
}

/// Which way something passed between a client and the server.
fn direction(what: &What) -> Option<Direction> {
    let What::Client(_, event) = what else {
        return None;
    };
    match event {
        ClientEvent::Connecting
        | ClientEvent::Sent(_)
        | ClientEvent::SentPart(_)
        | ClientEvent::Hello { .. }
        | ClientEvent::SentOfRecords(_)
        | ClientEvent::SaidAll
        | ClientEvent::SentWithoutSource(_)
        | ClientEvent::HalfClosed
        | ClientEvent::Reset
        | ClientEvent::Closed => Some(Direction::ToServer),
        ClientEvent::Connected { .. }
        | ClientEvent::ConnectFailed { refused: true, .. }
        | ClientEvent::Received(_)
        | ClientEvent::Datagram { .. }
        | ClientEvent::Ended(_)
        | ClientEvent::HeardAll => Some(Direction::ToClient),
        _ => None,
    }
}

/// The last that a member saw, as others may have seen it too: each has an address of its own.
fn alike(event: &TracedEvent) -> &str {
    match event.kind.as_str() {
        "connected" => "is connected",
        _ => &event.text,
    }
}

/// The last that each member of each crowd saw.
fn last_seen(events: &[TracedEvent]) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut last: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let seen = events
        .iter()
        .filter(|event| event.direction.is_some() || event.kind == "connect-failed");
    for event in seen.filter(|event| event.kind != "closed") {
        if let (Some(crowd), Some(who)) = (&event.crowd, &event.who) {
            last.entry(crowd).or_default().insert(who, alike(event));
        }
    }
    last
}

/// What became of each member of each crowd.
fn crowds(events: &[TracedEvent]) -> Vec<TracedCrowd> {
    let last = last_seen(events);
    let ends = |members: &BTreeMap<&str, &str>| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        members
            .values()
            .for_each(|text| *counts.entry(text).or_default() += 1);
        let mut ends: Vec<TracedEnd> = counts
            .into_iter()
            .map(|(text, members)| TracedEnd {
                text: text.to_owned(),
                members,
            })
            .collect();
        ends.sort_by_key(|end| std::cmp::Reverse(end.members));
        ends
    };
    let crowds = last.iter().map(|(name, members)| TracedCrowd {
        name: (*name).to_owned(),
        members: members.len(),
        ends: ends(members),
    });
    crowds.collect()
}

/// The events of a trial, or where they are very many those of the members of crowds that tell most: who came to another end
/// than most, and a few of the others; of what is still too much the last.
fn thinned(events: Vec<TracedEvent>) -> Vec<TracedEvent> {
    if events.len() <= MOST_EVENTS {
        return events;
    }
    let told = told_members(&events);
    let is_told = |event: &TracedEvent| match (&event.crowd, &event.who) {
        (Some(_), Some(who)) => event.wrong || told.contains(who.as_str()),
        _ => true,
    };
    let is_told: Vec<bool> = events.iter().map(is_told).collect();
    let kept = events.into_iter().zip(is_told);
    let kept: Vec<TracedEvent> = kept
        .filter_map(|(event, told)| told.then_some(event))
        .collect();
    let cut = kept.len().saturating_sub(MOST_EVENTS);
    kept.into_iter().skip(cut).collect()
}

/// So many members are told of those who came to the same end.
const TOLD_OF_AN_END: usize = 4;

fn told_members(events: &[TracedEvent]) -> BTreeSet<&str> {
    let last = last_seen(events).into_values().flatten();
    let mut of_each: BTreeMap<&str, usize> = BTreeMap::new();
    let told = last.filter(|(_, text)| {
        let count = of_each.entry(text).or_default();
        *count += 1;
        *count <= TOLD_OF_AN_END
    });
    // Who waited in vain is told whatever he has in common with others.
    let in_vain = events.iter().filter(|event| event.kind == "step-ended");
    let in_vain = in_vain.filter_map(|event| event.who.as_deref());
    told.map(|(who, _)| who)
        .chain(in_vain.take(TOLD_OF_AN_END))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::DrillFile;
    use crate::model::data::Data;
    use crate::model::passage::Passage;
    use crate::transcript::event::{ClientId, Ended};

    fn scenario(steps: &str, clients: &str) -> Scenario {
        let text = format!("case it\n  clients: {clients}\n\n{steps}");
        DrillFile::parse("it.drill", &text)
            .unwrap()
            .cases
            .remove(0)
            .scenario
    }

    fn at(micros: u64, what: What) -> Event {
        Event {
            at: Duration::from_micros(micros),
            what,
        }
    }

    fn client(member: u32, event: ClientEvent) -> What {
        What::Client(ClientId { who: 0, member }, event)
    }

    fn received(text: &str) -> ClientEvent {
        ClientEvent::Received(Passage::all(&Data::literal(text.as_bytes()), 0))
    }

    #[test]
    fn event_belongs_to_the_step_that_its_client_is_at_and_the_server_s_to_the_last_that_began() {
        let steps = "  alice connect\n  alice expect \"ab\"\n  server signal TERM\n";
        let seen = Transcript::of(vec![
            at(0, What::Phase(Phase::Scenario)),
            at(10, What::StepBegan(0)),
            at(11, client(0, ClientEvent::Connecting)),
            at(
                12,
                What::StepEnded {
                    step: 0,
                    member: None,
                    how: Ended::Done,
                },
            ),
            at(20, What::StepBegan(1)),
            at(21, client(0, received("a"))),
            at(22, client(0, received("b"))),
            at(30, What::StepBegan(2)),
            at(31, What::Server(ServerEvent::Gone)),
        ]);
        let trace = seen.trace(&scenario(steps, "alice"));
        let told: Vec<_> = trace
            .events
            .iter()
            .map(|event| (event.at_us, event.kind.as_str(), event.step))
            .collect();
        assert_eq!(
            told,
            [
                (11, "connecting", Some(0)),
                (21, "received", Some(1)),
                (31, "gone", Some(2))
            ]
        );
        // What follows each other is one read, with all of its bytes.
        let read = &trace.events[1];
        assert_eq!((read.length, read.bytes.as_str()), (Some(2), "YWI="));
        assert_eq!(read.direction, Some(Direction::ToClient));
        let times: Vec<_> = trace
            .steps
            .iter()
            .map(|step| (step.began_us, step.ended_us))
            .collect();
        assert_eq!(
            times,
            [(Some(10), Some(12)), (Some(20), None), (Some(30), None)]
        );
        assert_eq!(trace.steps[2].who.as_deref(), Some("server"));
    }

    #[test]
    fn of_a_crowd_those_are_told_who_came_to_an_end_of_their_own() {
        let seen = (0..2_000).map(|member| {
            let text = if member == 1_234 { "wrong" } else { "right" };
            at(u64::from(member), client(member, received(text)))
        });
        let begins = at(0, What::Phase(Phase::Scenario));
        let seen = Transcript::of(std::iter::once(begins).chain(seen).collect());
        let trace = seen.trace(&scenario("  crowd connect\n", "crowd[2000]"));
        assert_eq!(trace.events.len() + trace.left_out, 2_000);
        assert_eq!(trace.events.len(), TOLD_OF_AN_END + 1);
        assert!(
            trace
                .events
                .iter()
                .any(|event| event.who.as_deref() == Some("crowd[1234]"))
        );
        let [crowd] = trace.crowds.as_slice() else {
            panic!("{:?}", trace.crowds)
        };
        let ends: Vec<_> = crowd
            .ends
            .iter()
            .map(|end| (end.text.as_str(), end.members))
            .collect();
        assert_eq!(ends, [("< \"right\"", 1_999), ("< \"wrong\"", 1)]);
    }

    /// Steps that are gone through again and again, to tell a leak from a pool, are told as they were the first time.
    #[test]
    fn what_is_repeated_is_told_of_the_first_time() {
        let over = |step| What::StepEnded {
            step,
            member: None,
            how: Ended::Done,
        };
        let sample = |moment| What::Sample(moment, Box::default());
        let seen = Transcript::of(vec![
            at(0, What::Phase(Phase::Scenario)),
            at(1, What::StepBegan(0)),
            at(2, over(0)),
            at(3, sample(Moment::After)),
            at(11, What::StepBegan(0)),
            at(12, over(0)),
            at(13, sample(Moment::Dose)),
        ]);
        let trace = seen.trace(&scenario("  alice connect\n", "alice"));
        assert_eq!(trace.steps[0].ended_us, Some(2));
    }

    #[test]
    fn who_waited_in_vain_is_told_by_his_name_in_the_crowd() {
        let vain = |member| What::StepEnded {
            step: 1,
            member: Some(member),
            how: Ended::Settled,
        };
        let seen = vec![
            at(0, What::Phase(Phase::Scenario)),
            at(1, What::StepBegan(1)),
            at(2, vain(7)),
        ];
        let trace = Transcript::of(seen).trace(&scenario(
            "  crowd connect\n  crowd expect \"a\"\n",
            "crowd[9]",
        ));
        assert_eq!(trace.events[0].who.as_deref(), Some("crowd[7]"));
        assert_eq!(trace.events[0].crowd.as_deref(), Some("crowd"));
    }

    #[test]
    fn output_is_told_from_the_byte_on_that_is_kept() {
        let printed = |text: String| at(5, What::Server(ServerEvent::Output(text.into_bytes())));
        let long = "x".repeat(MOST_OUTPUT);
        let mut seen = Transcript::of(vec![printed("first ".to_owned()), printed(long.clone())]);
        let figures = Figures {
            output_bytes: 106 + MOST_OUTPUT as u64,
            ..Figures::default()
        };
        seen.figures = vec![(Duration::ZERO, figures)];
        let output = seen
            .trace(&scenario("  alice connect\n", "alice"))
            .output
            .unwrap();
        assert_eq!((output.from_byte, output.text), (106, long.clone()));
        // What nobody has kept is none of it.
        let cut = at(6, What::Server(ServerEvent::OutputCut(1_000)));
        seen.events.splice(1..1, [cut]);
        seen.figures[0].1.output_bytes += 1_000;
        let output = seen
            .trace(&scenario("  alice connect\n", "alice"))
            .output
            .unwrap();
        assert_eq!((output.from_byte, output.text), (1_106, long));
    }
}
