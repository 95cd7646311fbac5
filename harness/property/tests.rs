use super::rules::{CASES_A_BATCH, RESTARTS_FROM};
use super::*;
use crate::drill::DrillFile;
use crate::judge::{Doubt, Verdict};
use crate::model::action::Action;
use crate::model::data::Data;
use crate::model::expectation::Expectation;
use crate::model::profile::Profile;
use crate::model::scenario::Scenario;
use crate::model::scenario::Step;
use crate::model::server_action::ServerAction;
use crate::model::subject::{Place, Subject};
use crate::transcript::fault::Fault;
use std::collections::{HashMap, HashSet};

fn subject(profile: &Profile, cases: usize) -> Subject {
    let place = Place {
        backlog: Some(128),
        ..Place::on(profile.transport.unwrap())
    };
    Subject {
        seed: 7,
        cases,
        own_namespace: true,
        ..Subject::of(profile.clone(), place)
    }
}

fn drawn(name: &str, cases: usize) -> Vec<Scenario> {
    let profile = Profile::find(name).unwrap();
    Rules::of(&subject(&profile, cases)).unwrap().batches()
}

#[test]
fn case_is_the_same_whatever_number_of_cases_is_drawn() {
    let (few, many) = (drawn("echo", 30), drawn("echo", 60));
    assert_eq!(few[..], many[..few.len()]);
}

#[test]
fn every_drawn_scenario_prints_as_a_file_that_reads_back() {
    for name in [
        "echo",
        "line-echo",
        "udp-echo",
        "chat",
        "uppercase-once",
        "framed",
    ] {
        for scenario in drawn(name, 60) {
            let text = scenario.to_string();
            let file = DrillFile::parse("drawn", &text)
                .unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            assert_eq!(file.cases[0].scenario.to_string(), text);
        }
    }
}

#[test]
fn nobody_half_closes_where_nothing_is_promised_for_it() {
    let text = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n";
    let profile = Profile::parse("silent", text).unwrap();
    let batches = Rules::of(&subject(&profile, 200)).unwrap().batches();
    let lines = batches.iter().flat_map(|batch| &batch.lines);
    let half_closes = lines.filter(|line| {
        matches!(
            line.step,
            Step::Client {
                action: Action::HalfClose,
                ..
            }
        )
    });
    assert_eq!(half_closes.count(), 0);
}

#[test]
fn clients_of_a_server_that_serves_one_at_a_time_do_not_overlap() {
    for batch in drawn("uppercase-one", 200) {
        let mut connected: Option<usize> = None;
        for line in &batch.lines {
            let Step::Client { who, action } = &line.step else {
                continue;
            };
            assert!(connected.is_none_or(|other| other == *who), "{batch}");
            connected = match action {
                Action::Close | Action::Reset => None,
                _ => Some(*who),
            };
        }
    }
}

#[test]
fn nothing_is_expected_of_a_server_that_is_stopped() {
    for batch in drawn("echo", 300) {
        let mut is_stopped = false;
        for line in &batch.lines {
            match &line.step {
                Step::Server(action) => is_stopped = *action == ServerAction::Stop,
                Step::Client {
                    action: Action::Expect { .. },
                    ..
                } => assert!(!is_stopped, "{batch}"),
                _ => {}
            }
        }
    }
}

#[test]
fn no_bytes_are_never_expected_of_a_stream() {
    // Of a stream, no bytes are there at any time.
    for name in ["echo", "line-echo"] {
        for batch in drawn(name, 300) {
            for line in &batch.lines {
                if let Step::Client {
                    action:
                        Action::Expect {
                            what: Expectation::Data(data) | Expectation::DataOrSilence(data),
                            ..
                        },
                    ..
                } = &line.step
                {
                    assert!(data.length() > 0, "{batch}");
                }
            }
        }
    }
}

#[test]
fn two_hundred_cases_try_every_kind_of_end_and_many_cuts() {
    let coverage = Coverage::of(&drawn("echo", 200)).to_string();
    assert!(
        coverage.ends_with("ends by close, half-close, reset"),
        "{coverage}"
    );
}

/// A queue of one holds two at most (listen(2)), and a server that is stopped takes none out of it.
#[test]
fn nobody_connects_to_a_stopped_server_whose_queue_may_be_full() {
    let profile = Profile::find("echo").unwrap();
    let mut subject = subject(&profile, 600);
    subject.place.backlog = Some(1);
    let mut dialled = 0;
    for batch in Rules::of(&subject).unwrap().batches() {
        let (mut is_stopped, mut waiting) = (false, Vec::new());
        for line in &batch.lines {
            match &line.step {
                Step::Server(action) => is_stopped = *action == ServerAction::Stop,
                Step::Client { who, action } => match action {
                    Action::Connect(_) => {
                        waiting.push(*who);
                        dialled += usize::from(is_stopped);
                        assert!(!is_stopped || waiting.len() < 2, "{batch}");
                    }
                    Action::Expect { .. } => {
                        let heard = waiting.iter().rposition(|waiting| waiting == who);
                        waiting.drain(..heard.map_or(0, |heard| heard + 1));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
    }
    assert!(dialled > 0, "somebody connects");
}

#[test]
fn server_is_ended_only_where_nobody_is_connected_and_it_runs() {
    let mut ended = 0;
    for batch in drawn("echo", 600) {
        let (mut connected, mut is_stopped) = (HashSet::new(), false);
        for line in &batch.lines {
            match &line.step {
                Step::Client { who, action } => match action {
                    Action::Close | Action::Reset => drop(connected.remove(who)),
                    _ => drop(connected.insert(*who)),
                },
                Step::Server(ServerAction::Signal(_)) => {
                    ended += 1;
                    assert!(connected.is_empty() && !is_stopped, "{batch}");
                }
                Step::Server(action) => is_stopped = *action == ServerAction::Stop,
                _ => {}
            }
        }
    }
    assert!(ended > 5, "{ended}");
}

#[test]
fn nobody_is_ended_who_has_not_promised_how() {
    let text = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n";
    let profile = Profile::parse("silent", text).unwrap();
    let batches = Rules::of(&subject(&profile, 600)).unwrap().batches();
    assert!(!batches.iter().any(Scenario::ends_server));
}

#[test]
fn quick_run_goes_without_a_restart() {
    let batches = drawn("echo", 600);
    let quick = RESTARTS_FROM / CASES_A_BATCH;
    assert!(!batches[..quick].iter().any(Scenario::ends_server));
}

/// How many of the 30 cases of two batches are performed, and how many prove nothing, where there are 60 in all.
fn unproven_of(verdict_of: impl Fn(usize) -> Verdict) -> (usize, usize) {
    let profile = Profile::find("echo").unwrap();
    let subject = subject(&profile, 60);
    let rules = Rules::of(&subject).unwrap();
    let cases = [1, 3].map(|batch| rules.cases_of(batch)).concat();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut tried = 0;
    let alone = async |_: &Scenario| {
        tried += 1;
        Ok(verdict_of(tried))
    };
    let unproven = runtime.block_on(unproven(&cases, 60, alone)).unwrap();
    (tried, unproven)
}

fn lacks_proof() -> Verdict {
    Verdict::Inconclusive(Doubt::Unproven {
        fault: Fault::Cut,
        evidence: String::new(),
    })
}

#[test]
fn case_that_proves_nothing_says_nothing_of_its_batch() {
    let fourth = |n| if n == 4 { lacks_proof() } else { Verdict::Pass };
    assert_eq!(unproven_of(fourth), (30, 1));
    assert_eq!(unproven_of(|_| lacks_proof()), (30, 30));
}

#[test]
fn half_of_the_cases_are_enough_and_less_are_not() {
    assert!(!is_too_little(15, 30));
    assert!(is_too_little(16, 30));
    assert!(is_too_little(1, 1));
}

/// The smallest case of the first batch of some seed in which `fails` finds a fault.
fn shrunk(name: &str, fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let profile = Profile::find(name).unwrap();
    let subject = subject(&profile, 200);
    let rules = Rules::of(&subject).unwrap();
    let batch = rules.batches().iter().position(&fails).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let attempt = async |scenario: &Scenario, _: bool| Ok(fails(scenario));
    let seek = |at_once| runtime.block_on(smallest(&rules, batch, 0, "small", at_once, attempt));
    let [one_by_one, at_once] = [1, 5].map(|at_once| seek(at_once).unwrap());
    assert_eq!(one_by_one, at_once, "it is the same search");
    at_once.into_iter().next().unwrap()
}

fn sends(scenario: &Scenario) -> impl Iterator<Item = (usize, &crate::model::data::Segmentation)> {
    scenario.lines.iter().filter_map(|line| match &line.step {
        Step::Client {
            action: Action::Send {
                data, segmentation, ..
            },
            ..
        } => Some((data.length(), segmentation)),
        _ => None,
    })
}

#[test]
fn cut_of_a_large_message_shrinks_to_four_steps_and_the_very_size() {
    use crate::model::data::Segmentation;
    let small = shrunk("echo", |scenario| {
        sends(scenario)
            .any(|(bytes, segmentation)| bytes >= 4_096 && *segmentation != Segmentation::Whole)
    });
    let text = small.to_string();
    assert!(text.contains("alice connect\n"), "{text}");
    assert!(text.contains("send text 4KiB seed 0 cut at"), "{text}");
    assert!(small.lines.len() <= 4, "{text}");
}

#[test]
fn reset_beside_another_client_shrinks_to_both() {
    let small = shrunk("echo", |scenario| {
        let mut connected = HashSet::new();
        scenario.lines.iter().any(|line| {
            let Step::Client { who, action } = &line.step else {
                return false;
            };
            match action {
                Action::Connect(_) => connected.insert(*who),
                Action::Close => connected.remove(who),
                _ => false,
            };
            *action == Action::Reset && connected.remove(who) && !connected.is_empty()
        })
    });
    assert!(small.lines.len() <= 5, "{small}");
}

/// What is in flight where a client waits for what it is owed: each sender has no more than one kind of datagram there.
#[test]
fn answers_to_different_datagrams_are_never_owed_at_once() {
    for batch in drawn("udp-echo", 300) {
        let mut owed: HashMap<usize, Vec<&Data>> = HashMap::new();
        for line in &batch.lines {
            let Step::Client { who, action } = &line.step else {
                continue;
            };
            let owed = owed.entry(*who).or_default();
            match action {
                Action::Send { data, .. } => owed.push(data),
                Action::Expect { .. } if !owed.is_empty() => drop(owed.pop()),
                Action::Close => owed.clear(),
                _ => {}
            }
            assert!(owed.windows(2).all(|two| two[0] == two[1]), "{batch}");
        }
    }
}

#[test]
fn datagrams_come_doubled_swapped_and_piled_up() {
    let text: String = drawn("udp-echo", 200)
        .iter()
        .map(ToString::to_string)
        .collect();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let sends = |line: &str| line.contains(" send ");
    assert!(
        lines
            .windows(2)
            .any(|two| sends(two[0]) && two[0] == two[1])
    );
    let piled = |three: &[&str]| three[0] == "server stop" && sends(three[1]) && sends(three[2]);
    assert!(lines.windows(3).any(piled));
    let gone = |two: &[&str]| sends(two[0]) && two[1].ends_with(" close");
    assert!(lines.windows(2).any(gone));
    assert!(lines.iter().any(|line| line.contains("\"\" or silence")));
}

#[test]
fn nobody_waits_for_an_answer_without_reading() {
    for name in ["echo", "line-echo", "chat", "udp-echo"] {
        for batch in drawn(name, 300) {
            let mut stalled = HashSet::new();
            for line in &batch.lines {
                let Step::Client { who, action } = &line.step else {
                    continue;
                };
                match action {
                    Action::Stall => {
                        stalled.insert(*who);
                    }
                    Action::Read(_) | Action::Connect(_) => {
                        stalled.remove(who);
                    }
                    Action::Expect { .. } => assert!(!stalled.contains(who), "{batch}"),
                    _ => {}
                }
            }
        }
    }
}

/// The opening of a conversation is made once a connection, and its answer is heard before anything else is said.
#[test]
fn opening_is_made_once_a_connection_however_the_rest_is_mixed() {
    for after in ["stays-open\"\npipelining = \"answers", "closes"] {
        let text = format!(
            "transport = \"tcp\"\n[[exchange]]\nonce = true\nsend = 'hello\\n'\nreply = 'hi\\n'\n\
             [[exchange]]\nsend = 'ping\\n'\nreply = 'pong\\n'\n[promises]\nserves = \"concurrently\"\n\
             after-exchange = \"{after}\"\n"
        );
        let profile = Profile::parse("opened", &text).unwrap();
        let batches = Rules::of(&subject(&profile, 200)).unwrap().batches();
        let mut pings = 0;
        for batch in &batches {
            let mut openings = HashMap::new();
            let mut is_heard = HashMap::new();
            for line in &batch.lines {
                let Step::Client { who, action } = &line.step else {
                    continue;
                };
                match action {
                    Action::Connect(_) => drop(openings.insert(*who, 0)),
                    Action::Send { data, .. } if *data == Data::literal("hello\n") => {
                        *openings.get_mut(who).unwrap() += 1;
                        is_heard.insert(*who, false);
                    }
                    Action::Send { data, .. } if data.bytes(0).starts_with(b"p") => {
                        pings += 1;
                        assert_eq!(openings[who], 1, "{batch}");
                        assert!(is_heard[who], "{batch}");
                    }
                    Action::Expect { .. } => drop(is_heard.insert(*who, true)),
                    _ => {}
                }
                assert!(openings.get(who).is_none_or(|times| *times <= 1), "{batch}");
            }
        }
        assert!(pings > 50, "{pings} of a server that {after}");
    }
}
