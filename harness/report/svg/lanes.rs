//! Who has a lane of its own in a picture, and in which order.

use crate::report::trace::{Direction, Trace, TracedEvent};
use std::collections::BTreeSet;

/// So many clients have a lane that is seen at once; the rest are there when they are asked for.
const SEEN: usize = 6;

/// So many lanes there are at most.
const MOST: usize = 40;

/// Whose a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Client,
    Server,
    /// The host and the harness.
    Host,
}

/// A lane: one of those who take part, from its first moment to its last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) of: Of,
    /// What it is beside the others: the one that failed, one that was served.
    pub(super) role: &'static str,
    /// It is seen only where all are asked for.
    pub(super) is_folded: bool,
}

/// Polite clients come before and after, and are one to who looks at them.
pub(super) fn name_of(event: &TracedEvent) -> &str {
    match event.who.as_deref() {
        Some("polite client before" | "polite client after") => "polite client",
        Some(name) => name,
        None => "host",
    }
}

/// The clients of a trial beside those that have a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Others {
    /// Whose events are told.
    pub(super) told: usize,
    /// Whose events were left out, since they came to the same end as others.
    pub(super) alike: usize,
}

/// The lanes of a trial: the client that failed, one beside it that was served, the others, and then those behind: the server last.
pub(super) fn lanes(trace: &Trace) -> (Vec<Lane>, Others) {
    let mut names: Vec<&str> = Vec::new();
    for event in &trace.events {
        let name = name_of(event);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let failed = failed(trace);
    let served = served(trace, failed);
    let is_client = |name: &&str| {
        let mut events = trace.events.iter().filter(|event| name_of(event) == *name);
        events.any(|event| event.direction.is_some() || event.kind == "connect-failed")
    };
    let role = |name: &str| match name {
        _ if Some(name) == failed => "failed",
        _ if Some(name) == served => "served",
        _ => "",
    };
    let (clients, behind): (Vec<&str>, Vec<&str>) = names.into_iter().partition(is_client);
    let mut clients: Vec<&str> = clients.into_iter().collect();
    clients.sort_by_key(|name| match role(name) {
        "failed" => 0,
        "served" => 1,
        _ => 2,
    });
    let others = Others {
        told: clients.len().saturating_sub(MOST),
        alike: alike(trace),
    };
    let clients = clients.into_iter().take(MOST).enumerate();
    let clients = clients.map(|(n, name)| Lane {
        name: name.to_owned(),
        of: Of::Client,
        role: role(name),
        is_folded: n >= SEEN,
    });
    let mut lanes: Vec<Lane> = clients.collect();
    let mut behind: Vec<&str> = behind;
    behind.sort_by_key(|name| match *name {
        "server" => 1,
        "host" => 2,
        _ => 0,
    });
    lanes.extend(behind.into_iter().map(|name| Lane {
        name: name.to_owned(),
        of: if name == "host" { Of::Host } else { Of::Server },
        role: "",
        is_folded: false,
    }));
    if !lanes.iter().any(|lane| lane.name == "server") {
        let host = lanes.iter().position(|lane| lane.of == Of::Host);
        let server = Lane {
            name: "server".to_owned(),
            of: Of::Server,
            role: "",
            is_folded: false,
        };
        lanes.insert(host.unwrap_or(lanes.len()), server);
    }
    (lanes, others)
}

/// How many members of crowds nothing is told of.
fn alike(trace: &Trace) -> usize {
    let of_a_crowd = |event: &TracedEvent| Some((event.crowd.clone()?, event.who.clone()?));
    let told: BTreeSet<_> = trace.events.iter().filter_map(of_a_crowd).collect();
    let all: usize = trace.crowds.iter().map(|crowd| crowd.members).sum();
    all.saturating_sub(told.len())
}

/// The client that failed: the one of the wrong event, or whose step that belongs to; where no event is wrong, whose wait ended in vain.
/// Where no client did, as with a leak, there is none.
fn failed(trace: &Trace) -> Option<&str> {
    let has_lane = |name: &&str| {
        let mut names = trace.events.iter().map(name_of);
        *name != "server" && names.any(|other| other == *name)
    };
    let whose_step = |event: &TracedEvent| trace.steps.get(event.step?)?.who.as_deref();
    let wrong = trace.events.iter().find(|event| event.wrong);
    let in_vain = trace
        .events
        .iter()
        .rev()
        .find(|event| event.kind == "step-ended" && event.who.is_some());
    match wrong {
        Some(event) => Some(name_of(event))
            .filter(|name| *name != "host")
            .filter(has_lane)
            .or_else(|| whose_step(event).filter(has_lane)),
        None => in_vain.map(name_of).filter(has_lane),
    }
}

/// Another that was answered, of the same crowd if there is one.
fn served<'a>(trace: &'a Trace, failed: Option<&str>) -> Option<&'a str> {
    let is_answer = |event: &&TracedEvent| {
        event.direction == Some(Direction::ToClient)
            && event.length.is_some_and(|length| length > 0)
            && Some(name_of(event)) != failed
    };
    let mut answers = trace.events.iter().filter(is_answer);
    let of_a_crowd = answers.clone().find(|event| event.crowd.is_some());
    of_a_crowd.or_else(|| answers.next()).map(name_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::phase::Phase;
    use crate::report::trace::TracedCrowd;

    fn event(who: &str, crowd: Option<&str>, length: Option<usize>, wrong: bool) -> TracedEvent {
        TracedEvent {
            at_us: 0,
            phase: Phase::Scenario,
            kind: "received".to_owned(),
            who: Some(who.to_owned()),
            crowd: crowd.map(str::to_owned),
            direction: (who != "server").then_some(Direction::ToClient),
            step: Some(0),
            text: String::new(),
            length,
            bytes: String::new(),
            wrong,
            data: serde_json::Value::Null,
        }
    }

    fn names(events: Vec<TracedEvent>) -> Vec<String> {
        let trace = Trace {
            events,
            ..Trace::default()
        };
        let told = lanes(&trace).0.into_iter();
        told.map(|lane| format!("{} {} {}", lane.name, lane.role, lane.is_folded))
            .collect()
    }

    #[test]
    fn client_that_failed_stands_first_and_one_that_was_served_beside_it() {
        let seen = names(vec![
            event("polite client before", None, Some(3), false),
            event("crowd[0]", Some("crowd"), Some(3), false),
            event("crowd[7]", Some("crowd"), None, true),
            event("server", None, None, false),
        ]);
        assert_eq!(
            seen,
            [
                "crowd[7] failed false",
                "crowd[0] served false",
                "polite client  false",
                "server  false"
            ]
        );
    }

    #[test]
    fn crowd_is_folded_and_the_server_is_there_though_nothing_happened_to_it() {
        let member = |n: usize| event(&format!("crowd[{n}]"), Some("crowd"), Some(1), n == 9);
        let seen = names((0..500).map(member).collect());
        assert_eq!(seen.len(), MOST + 1);
        let folded = seen.iter().filter(|lane| lane.ends_with("true")).count();
        assert_eq!(folded, MOST - SEEN);
        assert!(seen[0].starts_with("crowd[9] failed"), "{seen:?}");
        let trace = Trace {
            events: (0..50).map(member).collect(),
            crowds: vec![TracedCrowd {
                name: "crowd".to_owned(),
                members: 500,
                ends: Vec::new(),
            }],
            ..Trace::default()
        };
        let others = Others {
            told: 10,
            alike: 450,
        };
        assert_eq!(lanes(&trace).1, others);
        assert_eq!(seen.last().unwrap(), "server  false");
    }
}
