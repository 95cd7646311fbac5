use super::leaks::{needs_another_run, needs_second_run, still_grows};
use super::*;
use crate::model::action::Action;
use crate::model::data::*;
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::expectation::*;
use crate::model::phase::{Moment, Next, Phase};
use crate::model::scenario::*;
use crate::model::server_action::*;
use crate::model::trial::Trial;
use crate::transcript::client_state::Progress;
use crate::transcript::event::*;
use crate::transcript::fault::Fault;
use crate::transcript::server_state::ServerState;
use std::time::Duration;

fn trial(lines: Vec<Line>) -> Trial {
    Trial::alone(scenario("case", &[("alice", 1)], vec![lines]))
}

fn transcript(what: Vec<What>) -> Transcript {
    let events = (0..).zip(what).map(|(second, what)| Event {
        at: Duration::from_secs(second),
        what,
    });
    Transcript {
        events: events.collect(),
    }
}

const ALICE: ClientId = ClientId { who: 0, member: 0 };

fn expects_hello() -> Trial {
    let hello = Data::literal("HELLO");
    trial(ClientSteps::of(0).expect(Expectation::Data(hello)).lines())
}

fn seen(event: ClientEvent, how: Ended) -> Transcript {
    transcript(vec![
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::Client(ALICE, event),
        What::StepEnded {
            step: 0,
            member: Some(0),
            how,
        },
    ])
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Fail(finding) => finding.cause.to_string(),
        other => panic!("expected a fail, got {other:?}"),
    }
}

#[test]
fn exact_reply_passes() {
    let seen = seen(ClientEvent::Received(b"HELLO".to_vec()), Ended::Done);
    assert_eq!(judge(&expects_hello(), &seen), Verdict::Pass);
}

#[test]
fn short_reply_fails_and_says_what_came() {
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let seen = seen(ClientEvent::Received(b"HEL".to_vec()), out);
    let reason = reason(judge(&expects_hello(), &seen));
    assert_eq!(reason, "alice expected \"HELLO\" within 1s, got \"HEL\"");
}

#[test]
fn short_reply_is_not_held_against_the_server_when_we_starved() {
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let mut seen = seen(ClientEvent::Received(b"HEL".to_vec()), out);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Starved(Duration::from_millis(400)),
    });
    assert!(matches!(
        judge(&expects_hello(), &seen),
        Verdict::Inconclusive(_)
    ));
}

#[test]
fn datagram_that_was_dropped_whole_may_be_waited_for_in_vain() {
    let what = Expectation::DataOrSilence(Data::literal("HELLO"));
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let seen = transcript(vec![
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::StepEnded {
            step: 0,
            member: Some(0),
            how: out,
        },
    ]);
    assert_eq!(
        judge(&trial(ClientSteps::of(0).expect(what).lines()), &seen),
        Verdict::Pass
    );
}

#[test]
fn datagram_that_the_kernel_dropped_is_not_held_against_the_server() {
    let connected = ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams: true,
    };
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let mut seen = seen(connected, out);
    assert!(matches!(judge(&expects_hello(), &seen), Verdict::Fail(_)));
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Counters(vec![("RcvbufErrors".to_owned(), 2)]),
    });
    let verdict = judge(&expects_hello(), &seen);
    assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
}

#[test]
fn reset_instead_of_reply_is_told_from_fin() {
    let seen = seen(ClientEvent::Ended(End::Reset), Ended::Done);
    let reason = reason(judge(&expects_hello(), &seen));
    assert!(reason.ends_with("got nothing, then reset"), "{reason}");
}

#[test]
fn death_comes_before_every_other_reason() {
    let mut seen = seen(ClientEvent::Ended(End::Reset), Ended::Done);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Server(ServerEvent::Exited(Exit::Signal(13))),
    });
    let reason = reason(judge(&expects_hello(), &seen));
    assert!(
        reason.starts_with("the server was ended by signal 13 (SIGPIPE)"),
        "{reason}"
    );
}

/// A case of steps of the server and of deeds of a client.
fn told(steps: &[ServerAction]) -> Trial {
    let lines = steps.iter().cloned().map(Step::Server).map(Line::from);
    trial(lines.collect())
}

fn waits(what: ServerExpectation) -> ServerAction {
    ServerAction::Expect { what, within: None }
}

/// What is said of a server that ended so, where `None` is that it was asked to.
fn end_of(trial: &Trial, events: Vec<What>) -> Option<String> {
    let events = [vec![What::Phase(Phase::Scenario)], events].concat();
    match judge(trial, &transcript(events)) {
        Verdict::Pass => None,
        Verdict::Fail(finding) => Some(finding.cause.to_string()),
        other => panic!("{other:?}"),
    }
}

fn exited(exit: Exit) -> What {
    What::Server(ServerEvent::Exited(exit))
}

fn sent(signal: Signal) -> What {
    What::Server(ServerEvent::Signalled(signal))
}

#[test]
fn server_that_ends_before_it_is_told_to_has_died() {
    let trial = told(&[
        ServerAction::Signal(Signal::Term),
        waits(ServerExpectation::Exit(None)),
    ]);
    let began = What::StepBegan;
    let one = || exited(Exit::Status(1));
    let died = Some("the server exited with status 1".to_owned());
    assert_eq!(end_of(&trial, vec![one(), began(0), began(1)]), died);
    // The step has begun, but there was nobody any more whom a signal could reach.
    let unsent = end_of(&trial, vec![began(0), one(), began(1)]);
    assert!(unsent.is_some_and(|reason| reason.starts_with("the server exited with status 1")));
    let asked = vec![began(0), sent(Signal::Term), one(), began(1)];
    assert_eq!(end_of(&trial, asked), None);
}

#[test]
fn signal_excuses_the_end_that_it_asks_for_and_no_other() {
    let ended = |signal, exit| {
        let trial = told(&[ServerAction::Signal(signal)]);
        end_of(&trial, vec![What::StepBegan(0), sent(signal), exited(exit)]).is_none()
    };
    for signal in [
        Signal::Term,
        Signal::Int,
        Signal::Quit,
        Signal::Hup,
        Signal::Usr1,
    ] {
        assert!(ended(signal, Exit::Signal(signal.number())), "{signal}");
        assert!(ended(signal, Exit::Status(0)), "{signal}");
        assert!(ended(signal, Exit::Status(143)), "{signal}");
        assert!(!ended(signal, Exit::Signal(libc::SIGPIPE)), "{signal}");
        assert!(!ended(signal, Exit::Signal(libc::SIGXCPU)), "{signal}");
        assert!(!ended(signal, Exit::Signal(libc::SIGKILL)), "{signal}");
    }
    assert!(ended(Signal::Kill, Exit::Signal(libc::SIGKILL)));
}

#[test]
fn signal_that_the_server_survives_excuses_no_later_death() {
    let ended = |signal, exit| {
        let mallory = Step::Client {
            who: 0,
            action: Action::Reset,
        };
        let lines = vec![
            Step::Server(ServerAction::Signal(signal)),
            mallory,
            Step::Settle,
        ];
        let trial = trial(lines.into_iter().map(Line::from).collect());
        let began = What::StepBegan;
        end_of(
            &trial,
            vec![began(0), sent(signal), began(1), began(2), exited(exit)],
        )
    };
    let died = ended(Signal::Hup, Exit::Status(1));
    assert_eq!(
        died.as_deref(),
        Some("the server exited with status 1 after `alice reset`")
    );
    assert!(ended(Signal::Usr1, Exit::Status(0)).is_some());
    // The signal that it ends by is the one that it was sent, however late it takes effect.
    assert_eq!(ended(Signal::Hup, Exit::Signal(libc::SIGHUP)), None);
    // It was told to end, and may see its clients off before.
    assert_eq!(ended(Signal::Term, Exit::Status(0)), None);
}

#[test]
fn end_may_be_seen_a_moment_before_the_step_that_waits_for_it() {
    let began = What::StepBegan;
    let exit = ServerExpectation::Exit(None);
    let required = ServerAction::Require {
        what: exit.clone(),
        within: None,
    };
    for awaits in [waits(exit), waits(ServerExpectation::Gone), required] {
        let gone = What::Server(ServerEvent::Gone);
        let trial = told(std::slice::from_ref(&awaits));
        let ended = |exit| end_of(&trial, vec![exited(exit), gone.clone(), began(0)]);
        assert_eq!(ended(Exit::Status(0)), None, "{awaits}");
        assert!(ended(Exit::Signal(libc::SIGKILL)).is_some(), "{awaits}");
        assert!(ended(Exit::Signal(libc::SIGSEGV)).is_some(), "{awaits}");
        let late = vec![began(0), exited(Exit::Status(3)), gone.clone()];
        assert_eq!(end_of(&trial, late), None, "{awaits}");
    }
}

#[test]
fn text_that_the_server_does_not_print_is_a_failure() {
    let ready = || b"ready".to_vec();
    let output = told(&[waits(ServerExpectation::Output(ready()))]);
    let ended = |how| What::StepEnded {
        step: 0,
        member: None,
        how,
    };
    let began = What::StepBegan(0);
    let printed = |text: &[u8]| What::Server(ServerEvent::Printed(text.to_vec()));
    let seen = vec![began.clone(), printed(b"ready"), ended(Ended::Done)];
    assert_eq!(end_of(&output, seen), None);
    let out = Ended::OutOfTime(Duration::from_secs(5));
    // What was printed may be another text that somebody waited for.
    let other = vec![began, printed(b"read"), ended(out)];
    let reason = end_of(&output, other);
    let expected =
        "server was expected to show output \"ready\" within 5s, but it has not printed that";
    assert_eq!(reason.as_deref(), Some(expected));
}

#[test]
fn death_is_a_failure_although_the_server_is_started_again() {
    let trial = told(&[ServerAction::Start(Streams::Usual)]);
    let started = What::Server(ServerEvent::Started { pid: 2 });
    let began = What::StepBegan(0);
    let died = vec![exited(Exit::Status(1)), began.clone(), started.clone()];
    assert!(end_of(&trial, died).is_some());
    // What still ran is ended by us.
    let swept = vec![began, exited(Exit::Signal(libc::SIGKILL)), started];
    assert_eq!(end_of(&trial, swept), None);
}

#[test]
fn end_that_was_asked_of_the_first_server_is_no_excuse_for_the_second() {
    let server = |action| Line::from(Step::Server(action));
    let restart = trial(vec![
        server(ServerAction::Signal(Signal::Kill)),
        server(ServerAction::Start(Streams::Usual)),
    ]);
    let mut events = vec![
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::Server(ServerEvent::Signalled(Signal::Kill)),
        exited(Exit::Signal(9)),
    ];
    assert_eq!(judge(&restart, &transcript(events.clone())), Verdict::Pass);
    events.extend([
        What::StepBegan(1),
        What::Server(ServerEvent::Started { pid: 2 }),
        exited(Exit::Status(1)),
    ]);
    let reason = reason(judge(&restart, &transcript(events)));
    assert!(
        reason.starts_with("the server exited with status 1"),
        "{reason}"
    );
}

#[test]
fn unproven_fault_is_never_a_pass() {
    let mut seen = seen(ClientEvent::Received(b"HELLO".to_vec()), Ended::Done);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Proof {
            fault: Fault::Reset,
            shown: false,
            evidence: "no counter moved".into(),
        },
    });
    assert!(matches!(
        judge(&expects_hello(), &seen),
        Verdict::Inconclusive(_)
    ));
}

/// What is seen at the three moments.
fn sampled(samples: impl IntoIterator<Item = Sample>) -> Transcript {
    let moments = [Moment::Baseline, Moment::After].into_iter();
    let moments = moments.chain(std::iter::repeat(Moment::Again));
    let events = moments.zip(samples).map(|(at, sample)| {
        let at_rest = true;
        What::Sample(at, Sample { at_rest, ..sample })
    });
    transcript(events.collect())
}

fn samples(figures: [usize; 3]) -> Transcript {
    sampled(figures.map(|sockets| Sample {
        sockets,
        ..Sample::default()
    }))
}

#[test]
fn sockets_that_grow_with_every_run_are_a_leak() {
    let reason = reason(judge(&trial(vec![]), &samples([1, 6, 11])));
    assert!(reason.starts_with("open sockets are not back"), "{reason}");
}

fn threads(threads: usize) -> Sample {
    Sample {
        threads,
        ..Sample::default()
    }
}

#[test]
fn workers_that_grow_twice_are_a_pool_or_a_leak() {
    let few = judge(&trial(vec![]), &sampled([2, 8, 14].map(threads)));
    assert!(matches!(few, Verdict::Inconclusive(_)), "{few:?}");
    let many = judge(&trial(vec![]), &sampled([2, 202, 402, 602].map(threads)));
    assert!(matches!(many, Verdict::Fail(_)), "{many:?}");
}

#[test]
fn workers_are_added_until_their_pool_is_full_or_larger_than_any() {
    let goes_on = |seen: &[usize]| {
        let seen = sampled(seen.iter().copied().map(threads));
        needs_another_run(&trial(vec![]), &seen)
    };
    assert!(goes_on(&[20, 220]));
    assert!(goes_on(&[20, 220, 400]));
    assert!(!goes_on(&[20, 220, 400, 400]));
    let full = sampled([20, 220, 400, 400].map(threads));
    assert_eq!(judge(&trial(vec![]), &full), Verdict::Pass);
    assert!(!goes_on(&[20, 220, 420, 620]));
    // So few at a time would take all day.
    assert!(!goes_on(&[20, 21, 22]));
}

#[test]
fn workers_that_are_added_once_a_pool_is_full_are_a_leak() {
    let seen = |filled: usize, again: &[usize]| {
        let mut seen = sampled([2, 8, 14].map(threads));
        let again = again.iter().map(|figure| (Moment::Again, *figure));
        for (moment, figure) in std::iter::once((Moment::Filled, filled)).chain(again) {
            let at_rest = true;
            let sample = Sample {
                at_rest,
                ..threads(figure)
            };
            let what = What::Sample(moment, sample);
            let at = Duration::ZERO;
            seen.events.push(Event { at, what });
        }
        (
            still_grows(&trial(vec![]), &seen),
            judge(&trial(vec![]), &seen),
        )
    };
    assert_eq!(seen(64, &[64]), (false, Verdict::Pass));
    assert_eq!(seen(14, &[20, 20]), (false, Verdict::Pass));
    assert!(matches!(
        seen(14, &[20, 26]),
        (true, Verdict::Inconclusive(_))
    ));
    assert!(matches!(seen(14, &[44, 84]), (false, Verdict::Fail(_))));
    assert!(matches!(seen(614, &[620]), (false, Verdict::Fail(_))));
}

#[test]
fn files_that_grow_with_the_workers_may_be_theirs() {
    let held = |files_of_one: usize, workers: usize| Sample {
        threads: 1 + workers,
        files: 3 + workers * files_of_one,
        ..Sample::default()
    };
    let own = [0, 20, 40].map(|workers| held(2, workers));
    let own = judge(&trial(vec![]), &sampled(own));
    assert!(matches!(own, Verdict::Inconclusive(_)), "{own:?}");
    let too_many = [0, 20, 40].map(|workers| held(20, workers));
    let reason = reason(judge(&trial(vec![]), &sampled(too_many)));
    assert!(reason.starts_with("open files are not back"), "{reason}");
}

#[test]
fn children_that_are_waited_for_when_the_next_client_comes_are_no_zombies() {
    let zombies = |(zombies, unreaped)| Sample {
        zombies,
        unreaped,
        ..Sample::default()
    };
    let late = sampled([(0, 0), (13, 0), (20, 0)].map(zombies));
    assert!(needs_second_run(&trial(vec![]), &late));
    assert_eq!(judge(&trial(vec![]), &late), Verdict::Pass);
    let never = sampled([(1, 0), (14, 1), (27, 14)].map(zombies));
    let reason = reason(judge(&trial(vec![]), &never));
    assert!(reason.starts_with("14 children have ended"), "{reason}");
}

fn memory(mebibytes: u64) -> Sample {
    Sample {
        memory_bytes: mebibytes << 20,
        address_space_bytes: mebibytes << 20,
        ..Sample::default()
    }
}

#[test]
fn memory_that_grows_once_is_a_warm_heap() {
    let little = sampled([40, 90, 90].map(memory));
    assert!(!needs_another_run(&trial(vec![]), &little));
    let once = sampled([40, 640, 700].map(memory));
    assert!(needs_second_run(&trial(vec![]), &once));
    assert_eq!(judge(&trial(vec![]), &once), Verdict::Pass);
}

#[test]
fn memory_that_grows_with_every_run_is_garbage_or_a_leak() {
    let little = sampled([40, 140, 240].map(memory));
    assert!(still_grows(&trial(vec![]), &little));
    let little = judge(&trial(vec![]), &little);
    assert!(
        matches!(
            &little,
            Verdict::Inconclusive(Doubt::PoolOrLeak {
                or_else: Useful::Heap,
                ..
            })
        ),
        "{little:?}"
    );
    let reason = reason(judge(&trial(vec![]), &sampled([40, 640, 1240].map(memory))));
    assert!(
        reason.starts_with("mebibytes of memory are not"),
        "{reason}"
    );
}

#[test]
fn memory_that_is_lost_on_top_of_a_warm_up_is_not_passed_over() {
    let lost = judge(&trial(vec![]), &sampled([40, 640, 740].map(memory)));
    assert!(matches!(lost, Verdict::Inconclusive(_)), "{lost:?}");
}

#[test]
fn memory_that_may_be_of_use_is_not_called_a_leak() {
    let threads_of = |(threads, mebibytes)| Sample {
        threads,
        ..memory(mebibytes)
    };
    let workers = sampled([(1, 40), (151, 1240), (301, 2440)].map(threads_of));
    let heap_that_was_there = sampled([40, 640, 1240].map(|mebibytes| Sample {
        address_space_bytes: 8 << 30,
        ..memory(mebibytes)
    }));
    let several = sampled([40, 640, 1240].map(|mebibytes| Sample {
        processes: 4,
        ..memory(mebibytes)
    }));
    let mut keeps = sampled([40, 640, 1240].map(memory));
    let sent = ClientEvent::Sent(vec![0; 64 << 20]);
    keeps.events.push(Event {
        at: Duration::ZERO,
        what: What::Client(ALICE, sent),
    });
    for seen in [workers, heap_that_was_there, several, keeps] {
        let verdict = judge(&trial(vec![]), &seen);
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
    }
}

#[test]
fn log_may_be_as_long_as_what_it_tells_of() {
    let printed = |mebibytes: u64| Sample {
        output_bytes: mebibytes << 20,
        ..Sample::default()
    };
    let mut seen = sampled([0, 40, 40].map(printed));
    let reason = reason(judge(&trial(vec![]), &seen));
    assert_eq!(reason, "the server printed 40 MiB");
    let sent = ClientEvent::Sent(vec![0; 4 << 20]);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Client(ALICE, sent),
    });
    assert_eq!(judge(&trial(vec![]), &seen), Verdict::Pass);
}

#[test]
fn reply_that_still_arrives_at_the_limit_proves_nothing() {
    let limit = Duration::from_secs(20);
    let at = |seconds, what| Event {
        at: Duration::from_millis(seconds),
        what,
    };
    let seen = |received| Transcript {
        events: vec![
            at(0, What::Phase(Phase::Scenario)),
            at(0, What::StepBegan(0)),
            at(
                received,
                What::Client(ALICE, ClientEvent::Received(b"HEL".to_vec())),
            ),
            at(
                20_000,
                What::StepEnded {
                    step: 0,
                    member: Some(0),
                    how: Ended::OutOfTime(limit),
                },
            ),
        ],
    };
    let arriving = judge(&expects_hello(), &seen(19_900));
    assert!(matches!(arriving, Verdict::Inconclusive(_)), "{arriving:?}");
    let stuck = judge(&expects_hello(), &seen(2_000));
    assert!(matches!(stuck, Verdict::Fail(_)), "{stuck:?}");
}

#[test]
fn client_that_is_kept_from_speaking_may_be_closed() {
    let seconds = Duration::from_secs;
    let what = [
        (0, What::Phase(Phase::Scenario)),
        (0, What::StepBegan(0)),
        (0, What::Client(ALICE, ClientEvent::Connecting)),
        (3, What::Client(ALICE, ClientEvent::Sent(b"hello".to_vec()))),
        (3, What::Client(ALICE, ClientEvent::Ended(End::Fin))),
        (
            3,
            What::StepEnded {
                step: 0,
                member: Some(0),
                how: Ended::Done,
            },
        ),
    ];
    let events = what.map(|(at, what)| Event {
        at: seconds(at),
        what,
    });
    let events = events.to_vec();
    let promised = |closes_silent_after| {
        let mut trial = expects_hello();
        trial.closes_silent_after = closes_silent_after;
        trial
    };
    let seen = Transcript { events };
    for broken in [None, Some(seconds(4))] {
        let verdict = judge(&promised(broken), &seen);
        assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
    }
    let late = judge(&promised(Some(seconds(2))), &seen);
    assert!(matches!(late, Verdict::Inconclusive(_)), "{late:?}");
}

#[test]
fn descriptors_have_run_out_when_somebody_waits_for_one() {
    let is_out = |waiting, held, settled| {
        let mut server_state = ServerState::default();
        let limit = 10;
        let event = ServerEvent::OpenFiles {
            held,
            limit,
            waiting,
            settled,
        };
        let at = Duration::ZERO;
        let what = What::Server(event);
        server_state.apply(&Event { at, what });
        server_state.look(&ServerExpectation::OutOfFiles) == Progress::Met
    };
    assert!(is_out(1, 10, false));
    assert!(!is_out(0, 10, false));
    assert!(!is_out(3, 9, false));
    // One that keeps a descriptor in reserve has turned the others away.
    assert!(is_out(0, 9, true));
    assert!(!is_out(0, 8, true));
}

#[test]
fn sockets_that_grow_once_are_a_pool() {
    assert_eq!(judge(&trial(vec![]), &samples([1, 6, 6])), Verdict::Pass);
}

/// A trial with a polite client before and after, and a bystander.
fn surrounded() -> Trial {
    let nobody = || scenario("nobody", &[], vec![]);
    let phases = [
        Phase::Before,
        Phase::BystanderConnects,
        Phase::BystanderAgain,
        Phase::After,
    ];
    phases
        .into_iter()
        .fold(trial(vec![]), |trial, phase| trial.with(phase, nobody()))
}

/// What the judge asks for, one after the other, of a server that has so many threads at each sample and count.
fn asked_for(trial: &Trial, threads_seen: &[usize]) -> Vec<Next> {
    let mut figures = threads_seen.iter().copied();
    let (mut asked, mut seen) = (Vec::new(), Transcript::default());
    while let Some(next) = next(trial, &seen) {
        asked.push(next);
        let what = match next {
            Next::Perform(phase) => What::Phase(phase),
            Next::Sample(moment) => {
                let Some(figure) = figures.next() else { break };
                let at_rest = true;
                What::Sample(
                    moment,
                    Sample {
                        at_rest,
                        ..threads(figure)
                    },
                )
            }
            Next::CountWorkers => {
                let Some(figure) = figures.next() else { break };
                What::Server(ServerEvent::Workers(figure))
            }
        };
        let at = Duration::ZERO;
        seen.events.push(Event { at, what });
    }
    asked
}

#[test]
fn phases_follow_each_other_around_the_scenario_and_end_where_nothing_grows() {
    use Next::{Perform, Sample};
    let whole = [
        Perform(Phase::Before),
        Perform(Phase::BystanderConnects),
        Sample(Moment::Baseline),
        Perform(Phase::Scenario),
        Perform(Phase::BystanderAgain),
        Perform(Phase::After),
        Sample(Moment::After),
    ];
    assert_eq!(asked_for(&surrounded(), &[4, 4]), whole);
    let alone = [
        Sample(Moment::Baseline),
        Perform(Phase::Scenario),
        Sample(Moment::After),
    ];
    assert_eq!(asked_for(&trial(vec![]), &[4, 4]), alone);
}

#[test]
fn what_has_grown_is_run_again_and_a_pool_is_filled_before_it_is_told_from_a_leak() {
    let once = asked_for(&surrounded(), &[4, 9, 9]);
    let again = [
        Next::Perform(Phase::Scenario),
        Next::Perform(Phase::After),
        Next::Sample(Moment::Again),
    ];
    assert_eq!(once[7..], again);
    // It grows by a little with every run: the pool is filled with polite clients until none adds a worker any more.
    let mut figures = vec![4, 5, 6];
    figures.extend([9; 17]);
    figures.extend([9, 9]);
    let filled = asked_for(&surrounded(), &figures);
    let of_fill = [Next::Perform(Phase::After), Next::CountWorkers];
    assert_eq!(filled[10..44], of_fill.repeat(17));
    assert_eq!(filled[44], Next::Sample(Moment::Filled));
    assert_eq!(filled[45..], again);
}

/// Each look at a server that does not come to rest takes all the time that there is.
#[test]
fn what_grows_in_a_server_that_spins_is_not_run_again() {
    let spinning = Sample {
        spins: true,
        ..threads(9)
    };
    let resting = Sample {
        at_rest: true,
        ..threads(1)
    };
    let mut phases: Vec<What> = vec![What::Sample(Moment::Baseline, resting)];
    let then = [Phase::Scenario, Phase::BystanderAgain, Phase::After];
    phases.extend(then.map(What::Phase));
    phases.push(What::Sample(Moment::After, spinning));
    let seen = transcript(phases);
    assert_eq!(next(&surrounded(), &seen), None);
    let verdict = judge(&surrounded(), &seen);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

#[test]
fn nothing_more_is_asked_for_once_a_phase_was_not_gone_through() {
    let seen = transcript(vec![What::Phase(Phase::Before), What::Stopped]);
    assert_eq!(next(&surrounded(), &seen), None);
}

#[test]
fn server_that_a_time_out_may_still_wake_is_not_said_never_to_answer() {
    let late = Duration::from_secs(60);
    let not_yet = |how| judge(&expects_hello(), &seen(ClientEvent::Connecting, how));
    let verdict = not_yet(Ended::NotYet(late));
    let Verdict::Inconclusive(doubt) = &verdict else {
        panic!("nothing is proven, got {verdict:?}");
    };
    assert!(
        doubt
            .to_string()
            .starts_with("not yet after 60 s: alice expected"),
        "{doubt}"
    );
    assert!(matches!(not_yet(Ended::Settled), Verdict::Fail(_)));
}

#[test]
fn server_that_runs_all_the_time_is_not_waiting_for_a_time_out() {
    let late = Duration::from_secs(60);
    let mut seen = seen(ClientEvent::Connecting, Ended::NotYet(late));
    let ran = Event {
        at: Duration::from_secs(2),
        what: What::Server(ServerEvent::Ran(Duration::from_secs(50))),
    };
    seen.events.insert(3, ran);
    let verdict = judge(&expects_hello(), &seen);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

#[test]
fn connections_that_a_time_out_may_still_close_are_no_failure_yet() {
    let after = |may_still_go| {
        let close_wait = Sample {
            close_wait: 1,
            sockets: 1,
            may_still_go,
            ..Sample::default()
        };
        let samples = [Sample::default(), close_wait.clone(), close_wait];
        judge(&trial(vec![]), &sampled(samples))
    };
    assert!(matches!(after(false), Verdict::Fail(_)));
    let Verdict::Inconclusive(doubt) = after(true) else {
        panic!("nothing is proven");
    };
    assert_eq!(doubt.kind(), "not-yet");
}

/// A host that keeps a client from its next step makes it silent, as a step of others does.
#[test]
fn connection_that_ends_while_its_client_is_kept_silent_proves_nothing_where_nothing_is_promised() {
    let steps = ClientSteps::of(0).connect().lines();
    let hello = Expectation::Data(Data::literal("HELLO"));
    let lines = [steps, ClientSteps::of(0).expect(hello).lines()].concat();
    let what = vec![
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::Client(ALICE, ClientEvent::Connecting),
        What::Client(
            ALICE,
            ClientEvent::Connected {
                local: None,
                peer: None,
                datagrams: false,
            },
        ),
        What::StepEnded {
            step: 0,
            member: Some(0),
            how: Ended::Done,
        },
        What::Client(ALICE, ClientEvent::Ended(End::Fin)),
        What::StepBegan(1),
        What::StepEnded {
            step: 1,
            member: Some(0),
            how: Ended::Done,
        },
    ];
    let seen = transcript(what);
    let verdict = |may_close_silent| {
        let mut trial = trial(lines.clone());
        trial.may_close_silent = may_close_silent;
        judge(&trial, &seen)
    };
    assert!(matches!(verdict(false), Verdict::Fail(_)));
    let Verdict::Inconclusive(doubt) = verdict(true) else {
        panic!("nothing is proven");
    };
    assert_eq!(doubt.kind(), "silent-by-us");
}

/// Who reads at a pace that our own host does not keep has not been kept waiting by the server.
#[test]
fn client_that_was_late_with_its_own_pace_blames_us() {
    let limit = Ended::OutOfTime(Duration::from_secs(5));
    let late = |by| {
        let late = ClientEvent::Late(Duration::from_secs(by));
        judge(&expects_hello(), &seen(late, limit))
    };
    assert!(matches!(late(1), Verdict::Fail(_)));
    assert!(matches!(late(3), Verdict::Inconclusive(_)));
}
