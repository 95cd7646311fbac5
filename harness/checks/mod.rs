//! The catalogue: every check is one literal in the file of its family.

mod address;
mod backlog;
mod bytes;
pub(crate) mod counterexample;
mod crowd;
mod datagram;
mod half_close;
mod local;
mod needs;
pub mod observations;
mod partial;
mod polite;
#[cfg(feature = "property")]
mod property;
mod reset;
mod stop;
mod time_wait;
mod timeout;

use crate::model::action::{Action, ConnectOptions};
use crate::model::check::Check;
use crate::model::data::{Data, Source};
use crate::model::dialogue::{scenario, server_does, server_requires};
use crate::model::expectation::ServerExpectation;
use crate::model::need::Need;
use crate::model::profile::{Framing, Model};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::subject::Subject;

/// The families in the order of reports.
const FAMILIES: &[&[Check]] = &[
    polite::CHECKS,
    reset::CHECKS,
    half_close::CHECKS,
    partial::CHECKS,
    timeout::CHECKS,
    time_wait::CHECKS,
    backlog::CHECKS,
    crowd::CHECKS,
    stop::CHECKS,
    bytes::CHECKS,
    datagram::CHECKS,
    local::CHECKS,
    address::CHECKS,
    #[cfg(feature = "property")]
    property::CHECKS,
];

/// Every check there is, in the order of reports.
///
/// ```
/// let reset = sockdrill::catalogue().into_iter().find(|check| check.id == "reset/mid-request");
/// assert_eq!(reset.expect("a permanent id").family(), "reset");
/// ```
pub fn all() -> Vec<&'static Check> {
    FAMILIES.iter().flat_map(|family| family.iter()).collect()
}

/// The check with an id.
pub fn find(id: &str) -> Option<&'static Check> {
    all().into_iter().find(|check| check.id == id)
}

/// The positions at which a request of `length` bytes is cut: every one, or in a quick run of a long request the first
/// and last few and some between.
fn cuts(length: usize, deep: bool) -> Vec<usize> {
    const QUICK: usize = 24;
    let all = 1..length;
    if deep || length <= QUICK {
        return all.collect();
    }
    let edge = 6;
    let step = (length / (QUICK - 2 * edge)).max(1);
    all.filter(|at| *at <= edge || *at >= length - edge || at % step == 0)
        .collect()
}

/// How many of `wanted` clients may connect at the same moment without one having to repeat its SYN after a second or
/// more: what overflows the accept queue is the matter of the backlog checks alone.
fn at_once(subject: &Subject, wanted: u32) -> u32 {
    let fitting = |backlog: u32| wanted.min(backlog.saturating_add(1));
    subject.place.backlog.map_or(wanted, fitting)
}

/// About this many bytes of payload, in lines of a moderate length where the model is made of lines.
fn bulk(model: Model, bytes: usize, seed: u64) -> Data {
    match model.framing {
        Framing::Stream | Framing::Datagram => model.payload(bytes, seed),
        Framing::Line => {
            let line = 1 << 10;
            let source = Source::Text {
                bytes: line,
                seed,
                line: true,
            };
            Data::from(source).times((bytes / line) as u32)
        }
    }
}

/// The server is killed, whatever it does, and its command run again.
fn killed_and_started_again() -> Vec<Line> {
    vec![
        server_does(ServerAction::Signal(Signal::Kill)),
        server_requires(ServerExpectation::Exit(None)),
        server_does(ServerAction::Start(Streams::Usual)),
    ]
}

/// A connection of a client that takes a few KiB of a reply before the server has to wait for it.
fn small_buffer() -> ConnectOptions {
    ConnectOptions {
        receive_buffer: Some(4 << 10),
        ..ConnectOptions::default()
    }
}

/// The same lines with every connection made in the given way.
fn with_dial(mut lines: Vec<Line>, dial: &ConnectOptions) -> Vec<Line> {
    for line in &mut lines {
        if let Step::Client {
            action: Action::Connect(made),
            ..
        } = &mut line.step
        {
            *made = dial.clone();
        }
    }
    lines
}

/// One scenario of all conversations, or one for each where the server ends after a connection.
fn batches(name: &str, conversations: Vec<Vec<Line>>, subject: &Subject) -> Vec<Scenario> {
    let cast = [("alice", 1)];
    match Need::MANY_CONNECTIONS.unmet(subject) {
        None => vec![scenario(name, &cast, conversations)],
        Some(_) => conversations
            .into_iter()
            .map(|lines| scenario(name, &cast, vec![lines]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::observations::{OBSERVATIONS, Occasion};
    use super::*;
    use crate::drill::{Case, DrillFile};
    use crate::model::profile::{Profile, Transport};
    use crate::model::subject::Place;
    use std::collections::HashSet;

    /// Everything that is done to this server, with the name of what does it.
    fn all_scenarios(subject: &Subject) -> Vec<(&'static str, Scenario)> {
        let checks = all().into_iter().filter(|row| row.unmet(subject).is_none());
        let checks = checks.flat_map(|check| {
            let scenarios = (check.scenarios)(subject).into_iter().flatten();
            scenarios.map(|scenario| (check.id, scenario))
        });
        let observations = OBSERVATIONS.iter().filter_map(|row| match row.occasion {
            Occasion::Own(scenario)
                if row.needs.iter().all(|need| need.unmet(subject).is_none()) =>
            {
                Some((row.name, scenario(subject)?))
            }
            _ => None,
        });
        checks.chain(observations).collect()
    }

    #[test]
    fn every_step_that_a_check_takes_can_happen_where_it_stands() {
        for (name, text) in Profile::built_in() {
            let profile = Profile::parse(name, text).unwrap();
            let transport = profile.transport.unwrap_or(Transport::Tcp);
            let place = Place {
                backlog: Some(4),
                ..Place::on(transport)
            };
            let subject = Subject {
                own_namespace: true,
                ..Subject::of(profile, place)
            };
            for (id, scenario) in all_scenarios(&subject) {
                let case = Case { line: 0, scenario };
                let file = DrillFile {
                    cases: vec![case],
                    ..DrillFile::default()
                };
                let text = file.to_string();
                let back = DrillFile::parse(id, &text);
                let back = back.unwrap_or_else(|error| panic!("{id} on {name}: {error}\n{text}"));
                assert_eq!(back.to_string(), text, "{id} on {name}");
            }
        }
    }

    /// Who promises to cut silent clients early leaves no time to be late in.
    #[test]
    fn check_that_has_nothing_to_do_has_no_scenarios_and_not_no_steps() {
        let text = "[[exchange]]\nsend = 'a'\nreply = 'b'\n[promises]\nidle-timeout = \"1s\"\n";
        let profile = Profile::parse("hasty", text).unwrap();
        let subject = Subject::of(profile, Place::on(Transport::Tcp));
        let late = find("timeout/late-send").unwrap();
        assert_eq!(late.unmet(&subject), None);
        assert!((late.scenarios)(&subject).is_none());
        for check in all() {
            let is_empty = (check.scenarios)(&subject).is_some_and(|some| some.is_empty());
            assert!(!is_empty || check.unmet(&subject).is_some(), "{}", check.id);
        }
    }

    #[test]
    fn ids_are_unique_and_have_a_family() {
        let ids: HashSet<_> = all().iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), all().len());
        for check in all() {
            assert!(check.id.contains('/'), "{}", check.id);
        }
    }

    #[test]
    fn every_requirement_is_a_sentence_about_the_server() {
        for check in all() {
            assert!(
                check.requirement.ends_with('.'),
                "{}: {}",
                check.id,
                check.requirement
            );
            assert!(
                !check.why.is_empty() && !check.method.is_empty() && !check.fix.is_empty(),
                "{}",
                check.id
            );
        }
    }
}
