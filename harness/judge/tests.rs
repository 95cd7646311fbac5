use super::*;
use crate::model::action::Action;
use crate::model::data::*;
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::expectation::*;
use crate::model::invariant::Invariant;
use crate::model::phase::{Moment, Next, Phase};
use crate::model::scenario::*;
use crate::model::server_action::*;
use crate::model::template::Template;
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
    Transcript::of(events.collect())
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
    let seen = seen(ClientEvent::Received(b"HELLO".to_vec().into()), Ended::Done);
    assert_eq!(judge(&expects_hello(), &seen), Verdict::Pass);
}

#[test]
fn server_that_may_listen_again_is_neither_held_to_it_nor_passed() {
    let mut seen = seen(ClientEvent::Received(b"HELLO".to_vec().into()), Ended::Done);
    let minute = Duration::from_secs(60);
    seen.events.push(Event {
        at: minute,
        what: What::Server(ServerEvent::ListensNotYet(minute)),
    });
    let verdict = judge(&expects_hello(), &seen);
    assert!(
        matches!(verdict, Verdict::Inconclusive(Doubt::NotYet { .. })),
        "{verdict:?}"
    );
}

#[test]
fn short_reply_fails_and_says_what_came() {
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let seen = seen(ClientEvent::Received(b"HEL".to_vec().into()), out);
    let reason = reason(judge(&expects_hello(), &seen));
    assert_eq!(reason, "alice expected \"HELLO\" within 1s, got \"HEL\"");
}

#[test]
fn short_reply_is_not_held_against_the_server_when_we_starved() {
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let mut seen = seen(ClientEvent::Received(b"HEL".to_vec().into()), out);
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

/// What it did for lack of room, even if it ended, it would not have done on the host.
#[test]
fn server_without_room_to_write_is_judged_by_nothing_that_it_does() {
    let mut seen = seen(ClientEvent::Ended(End::Reset), Ended::Done);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Server(ServerEvent::Exited(Exit::Signal(6))),
    });
    assert!(matches!(judge(&expects_hello(), &seen), Verdict::Fail(_)));
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Proof {
            fault: Box::new(Fault::Room),
            shown: false,
            evidence: "all 64 MiB are used".to_owned(),
        },
    });
    let Verdict::Inconclusive(doubt) = judge(&expects_hello(), &seen) else {
        panic!("it is held against the server");
    };
    let told = doubt.to_string();
    assert!(
        told.ends_with("more room for what the server writes: all 64 MiB are used"),
        "{told}"
    );
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

/// A death that another check has shown is known, and so is what it kept from a client.
#[test]
fn what_a_death_brings_about_is_no_news_where_the_death_is_known() {
    let mut seen = seen(ClientEvent::Ended(End::Reset), Ended::Settled);
    let exit = Exit::Signal(6);
    seen.events
        .insert(2, transcript(vec![exited(exit)]).events.remove(0));
    let mut trial = expects_hello();
    let cause_of = |trial: &Trial| match judge(trial, &seen) {
        Verdict::Fail(finding) => finding.cause.key(),
        other => panic!("expected a fail, got {other:?}"),
    };
    assert_eq!(cause_of(&trial), "died/signal-6");
    trial.known = vec!["died/signal-6".to_owned()];
    assert_eq!(cause_of(&trial), "died/signal-6");
}

fn ended(exit: Exit, worker: Option<&str>) -> What {
    What::Server(ServerEvent::ProcessEnded {
        pid: 7,
        exit,
        worker: worker.map(str::to_owned),
    })
}

#[test]
fn process_that_is_not_the_first_is_held_to_what_it_is_there_for() {
    let nothing = told(&[]);
    let of_worker = |exit| end_of(&nothing, vec![ended(exit, Some("httpd"))]);
    let of_child = |exit| end_of(&nothing, vec![ended(exit, None)]);
    let crash = Exit::Signal(libc::SIGSEGV);
    assert_eq!(
        of_worker(crash).as_deref(),
        Some("a worker of the server (httpd) was ended by signal 11 (SIGSEGV)")
    );
    assert_eq!(
        of_child(crash).as_deref(),
        Some("a process of the server was ended by signal 11 (SIGSEGV)")
    );
    for exit in [Exit::Status(1), Exit::Signal(libc::SIGPIPE)] {
        assert!(of_worker(exit).is_some(), "{exit}");
        // It may say in this way that its client has left.
        assert_eq!(of_child(exit), None, "{exit}");
    }
    // Masters end their workers by these.
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGQUIT] {
        assert_eq!(of_worker(Exit::Signal(signal)), None, "{signal}");
    }
}

#[test]
fn status_that_processes_say_which_are_there_for_a_moment_is_no_worker_s_defect() {
    let (no, crash) = (Exit::Status(1), Exit::Signal(libc::SIGSEGV));
    let after_helper = |exit| {
        let events = vec![ended(no, None), ended(exit, Some("httpd"))];
        end_of(&told(&[]), events)
    };
    assert_eq!(after_helper(no), None);
    assert!(after_helper(Exit::Status(2)).is_some());
    assert!(after_helper(crash).is_some());
}

#[test]
fn worker_may_end_with_the_server_and_never_by_a_crash() {
    let stop = told(&[ServerAction::Signal(Signal::Term)]);
    let asked = |event| {
        let events = vec![What::StepBegan(0), sent(Signal::Term), event];
        end_of(&stop, events)
    };
    assert_eq!(asked(ended(Exit::Status(1), Some("httpd"))), None);
    assert!(asked(ended(Exit::Signal(libc::SIGABRT), Some("httpd"))).is_some());
    // Whose master has died has nobody to work for: one death is told.
    let orphaned = vec![
        exited(Exit::Status(2)),
        ended(Exit::Status(1), Some("httpd")),
    ];
    let reason = end_of(&told(&[]), orphaned);
    assert_eq!(reason.as_deref(), Some("the server exited with status 2"));
}

/// What is said of a client of a crowd that expects its own pattern and gets these bytes.
fn in_a_crowd(got: Vec<u8>) -> Cause {
    let own = Expectation::Data(
        Source::Pattern {
            bytes: 4096,
            seed: 1,
        }
        .into(),
    );
    let lines = ClientSteps::of(0).expect(own).lines();
    let crowd = Trial::alone(scenario("case", &[("crowd", 3)], vec![lines]));
    let first = ClientId { who: 0, member: 0 };
    let seen = transcript(vec![
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::Client(first, ClientEvent::Received(got.into())),
        What::StepEnded {
            step: 0,
            member: Some(0),
            how: Ended::Done,
        },
    ]);
    match judge(&crowd, &seen) {
        Verdict::Fail(finding) => finding.cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_of_another_client_are_told_from_own_ones_that_are_lost() {
    let pattern: Data = Source::Pattern {
        bytes: 4096,
        seed: 1,
    }
    .into();
    let of = |member: u32| pattern.bytes(member);
    let (own, other) = (of(0), of(2));
    let astray = in_a_crowd([&own[..1000], &other[1000..2000]].concat());
    assert!(
        matches!(&astray, Cause::Crosstalk { of, .. } if of == "crowd[2]"),
        "{astray}"
    );
    let lost = in_a_crowd([&own[..1000], &own[2000..]].concat());
    assert!(matches!(lost, Cause::StepFailed { .. }), "{lost}");
    let spoilt = in_a_crowd([&own[..1000], &[0; 64][..]].concat());
    assert!(matches!(spoilt, Cause::StepFailed { .. }), "{spoilt}");
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
    What::Server(ServerEvent::Signalled {
        signal,
        inside: None,
    })
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
    let expected = "the server has not printed \"ready\" within 5s";
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
        What::Server(ServerEvent::Signalled {
            signal: Signal::Kill,
            inside: None,
        }),
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
    let mut seen = seen(ClientEvent::Received(b"HELLO".to_vec().into()), Ended::Done);
    seen.events.push(Event {
        at: Duration::ZERO,
        what: What::Proof {
            fault: Box::new(Fault::Reset),
            shown: false,
            evidence: "no counter moved".into(),
        },
    });
    assert!(matches!(
        judge(&expects_hello(), &seen),
        Verdict::Inconclusive(_)
    ));
}

/// A transcript of a good reply in which something was not shown.
fn served_without_proof_of(faults: Vec<Fault>) -> Transcript {
    let mut seen = seen(ClientEvent::Received(b"HELLO".to_vec().into()), Ended::Done);
    let unproven = faults.into_iter().map(|fault| Event {
        at: Duration::ZERO,
        what: What::Proof {
            fault: Box::new(fault),
            shown: false,
            evidence: "the server made no such call".into(),
        },
    });
    seen.events.extend(unproven);
    seen
}

#[test]
fn server_that_makes_no_such_call_is_told_from_one_whose_calls_were_not_answered() {
    let step = || "server fail fork with EAGAIN".to_owned();
    let none = NoSuchCall {
        step: step(),
        evidence: "the server made no such call".to_owned(),
    };
    // Whatever else is not shown.
    let faults = vec![Fault::Reset, Fault::Called(step())];
    let verdict = judge(&expects_hello(), &served_without_proof_of(faults));
    assert_eq!(
        verdict,
        Verdict::Inconclusive(Doubt::NoSuchCall(none.clone()))
    );
    let doubt = Doubt::NoSuchCall(none);
    assert_eq!(
        (doubt.kind(), doubt.to_string()),
        (
            "no-such-call",
            "there was no call for `server fail fork with EAGAIN`: the server made no such call"
                .to_owned()
        )
    );
    let missed = vec![Fault::Step(step())];
    let verdict = judge(&expects_hello(), &served_without_proof_of(missed));
    assert!(
        matches!(verdict, Verdict::Inconclusive(Doubt::Unproven { .. })),
        "{verdict:?}"
    );
}

#[test]
fn failure_is_one_although_a_call_was_missing() {
    let mut seen = served_without_proof_of(vec![Fault::Called("server fail fork".into())]);
    let died = ServerEvent::Exited(Exit::Signal(11));
    seen.events.insert(
        0,
        Event {
            at: Duration::ZERO,
            what: What::Server(died),
        },
    );
    let verdict = judge(&expects_hello(), &seen);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

/// What a server holds with so much of a figure.
type Held = fn(usize) -> Sample;

fn sockets(sockets: usize) -> Sample {
    Sample {
        sockets,
        ..Sample::default()
    }
}

fn threads(threads: usize) -> Sample {
    Sample {
        threads,
        ..Sample::default()
    }
}

fn memory(mebibytes: usize) -> Sample {
    Sample {
        memory_bytes: (mebibytes as u64) << 20,
        taken_bytes: (mebibytes as u64) << 20,
        ..Sample::default()
    }
}

fn connection() -> ClientEvent {
    ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams: false,
    }
}

/// Goes on with a trial as the judge asks for it, on a server whose figure is `held` after so many runs and so many polite
/// clients, until nothing more is asked for. A run takes a hundredth of a second.
fn dosed(trial: &Trial, sample: Held, held: impl Fn(usize, usize) -> usize) -> Transcript {
    dosed_in(Duration::from_millis(10), trial, sample, held)
}

/// The same where a run takes so long.
fn dosed_in(
    pace: Duration,
    trial: &Trial,
    sample: Held,
    held: impl Fn(usize, usize) -> usize,
) -> Transcript {
    dosed_over_time(pace, trial, sample, |runs, polite, _| held(runs, polite))
}

/// The same where what is held may have to do with the time.
fn dosed_over_time(
    pace: Duration,
    trial: &Trial,
    sample: Held,
    held: impl Fn(usize, usize, Duration) -> usize,
) -> Transcript {
    let mut seen = transcript(vec![]);
    let (mut runs, mut polite, mut at) = (0, 0, Duration::ZERO);
    while let Some(next) = next(trial, &seen) {
        at += pace;
        let level = held(runs, polite, at);
        let mut connected = 0;
        let what = match next {
            Next::Perform(phase) => {
                let members = |group: &ClientGroup| group.members as usize;
                let of_scenario = trial.scenario().clients.iter().map(members).sum();
                connected = match phase {
                    Phase::Scenario => of_scenario,
                    Phase::Pressure => 128,
                    _ => 1,
                };
                match phase {
                    Phase::Scenario => runs += 1,
                    _ => polite += connected,
                }
                What::Phase(phase)
            }
            Next::Sample(moment) => {
                let at_rest = true;
                What::Sample(
                    moment,
                    Sample {
                        at_rest,
                        ..sample(level)
                    }
                    .into(),
                )
            }
            Next::LeaveAlone(time) => {
                at += time;
                What::Sample(Moment::Alone, sample(held(runs, polite, at)).into())
            }
            Next::CountWorkers => What::Server(ServerEvent::Workers(sample(level).threads)),
        };
        let connected = std::iter::repeat_n(What::Client(ALICE, connection()), connected);
        let all = std::iter::once(what).chain(connected);
        seen.events.extend(all.map(|what| Event { at, what }));
        assert!(seen.events.len() < 90_000, "it never ends");
    }
    seen
}

/// A trial with polite clients before, after and in number, whose scenario makes so many connections.
fn of_connections(connections: u32) -> Trial {
    let polite = |name: &str| scenario(name, &[("polite", 1)], vec![]);
    Trial::alone(scenario("case", &[("alice", connections)], vec![]))
        .with(Phase::Before, polite("before"))
        .with(Phase::After, polite("after"))
        .with(Phase::Pressure, polite("in number"))
}

fn with_polite_clients() -> Trial {
    of_connections(0)
}

/// What is said of such a server.
fn said_of(sample: Held, held: impl Fn(usize, usize) -> usize) -> Verdict {
    let trial = with_polite_clients();
    judge(&trial, &dosed(&trial, sample, held))
}

/// How often the scenario was performed until the judge had seen enough.
fn runs_of(sample: Held, held: impl Fn(usize, usize) -> usize) -> usize {
    let seen = dosed(&with_polite_clients(), sample, held);
    let run = |event: &&Event| event.what == What::Phase(Phase::Scenario);
    seen.events.iter().filter(run).count()
}

#[test]
fn socket_that_stays_with_every_run_is_a_leak_at_a_rate() {
    let reason = reason(said_of(sockets, |runs, _| 3 + runs));
    let expected = "open sockets grow by 1 a run: 1 with 1, 2 with 2, 4 with 4, 8 with 8, ";
    assert!(reason.starts_with(expected), "{reason}");
    // Where many are lost at once, few runs tell.
    assert!(runs_of(sockets, |runs, _| 3 + 100 * runs) <= 6);
}

#[test]
fn socket_in_ten_is_a_leak_however_it_began() {
    let kept = |runs: usize| runs.min(8) + runs / 10;
    let reason = reason(said_of(sockets, |runs, _| 3 + kept(runs)));
    assert!(reason.starts_with("open sockets grow by 0."), "{reason}");
}

#[test]
fn what_stays_once_or_until_a_pool_is_full_is_no_leak() {
    assert_eq!(said_of(sockets, |runs, _| 3 + runs.min(1)), Verdict::Pass);
    assert_eq!(said_of(sockets, |runs, _| 3 + runs.min(8)), Verdict::Pass);
    assert_eq!(said_of(threads, |runs, _| 3 + runs.min(64)), Verdict::Pass);
    assert!(runs_of(sockets, |runs, _| 3 + runs.min(1)) <= 4);
}

#[test]
fn shards_that_are_opened_as_they_are_hit_are_no_leak() {
    for shards in [8.0, 64.0, 96.0_f64] {
        let opened =
            |runs: usize| (shards * (1.0 - (1.0 - 1.0 / shards).powi(runs as i32))) as usize;
        let said = said_of(sockets, |runs, _| 3 + opened(runs));
        assert!(!matches!(said, Verdict::Fail(_)), "{shards}: {said:?}");
    }
}

#[test]
fn what_polite_clients_make_a_server_collect_is_no_leak() {
    let collected =
        |runs: usize, polite: usize| (runs + polite) % 700 - polite.min((runs + polite) % 700);
    assert_eq!(
        said_of(sockets, |runs, polite| 3 + collected(runs, polite)),
        Verdict::Pass
    );
    // A collector comes by while the scenario is repeated.
    assert_eq!(said_of(sockets, |runs, _| 3 + runs % 40), Verdict::Pass);
}

#[test]
fn pool_that_polite_clients_fill_is_full_before_doses_are_counted() {
    let workers = |runs: usize, polite: usize| 3 + (runs + polite).min(200);
    assert_eq!(said_of(threads, workers), Verdict::Pass);
    let endless = |runs: usize, polite: usize| 3 + runs + polite;
    assert!(matches!(said_of(threads, endless), Verdict::Fail(_)));
}

#[test]
fn children_that_are_waited_for_when_the_next_client_comes_are_no_zombies() {
    let zombies = |zombies| Sample {
        zombies,
        ..Sample::default()
    };
    let late = said_of(zombies, |runs, _| if runs == 1 { 13 } else { 0 });
    assert_eq!(late, Verdict::Pass);
    let reason = reason(said_of(zombies, |runs, _| 2 * runs));
    assert!(
        reason.starts_with("zombie children grow by 2 a run: 2 with 1"),
        "{reason}"
    );
}

#[test]
fn memory_that_grows_once_is_a_warm_heap() {
    assert_eq!(
        said_of(memory, |runs, _| 40 + 600 * runs.min(1)),
        Verdict::Pass
    );
    let levels_off = |runs: usize| (300.0 * (1.0 - 0.7_f64.powi(runs as i32))) as usize;
    let said = said_of(memory, |runs, _| 40 + levels_off(runs));
    assert_eq!(said, Verdict::Pass);
}

#[test]
fn memory_that_every_run_costs_is_a_leak() {
    let reason = reason(said_of(memory, |runs, _| 10 + 3 * runs));
    assert!(
        reason.starts_with("memory grows by 3 MiB a run: 3 MiB with 1, 6 MiB with 2"),
        "{reason}"
    );
    // A warm-up on top of it does not hide it.
    let warm = said_of(memory, |runs, _| 10 + 40 * runs.min(1) + 3 * runs);
    assert!(matches!(warm, Verdict::Fail(_)), "{warm:?}");
}

#[test]
fn memory_that_is_used_again_after_a_while_is_no_leak() {
    // Timers hold what each connection had until they have run out.
    let held = |runs: usize, polite: usize| match polite > 128 {
        false => 10 + 3 * runs,
        true => 10 + 3 * runs.min(8),
    };
    let said = said_of(memory, held);
    assert_eq!(said, Verdict::Pass);
}

#[test]
fn memory_that_was_reserved_before_may_be_used_up_before_it_is_collected() {
    let heap: Held = |mebibytes| Sample {
        taken_bytes: 0,
        ..memory(mebibytes)
    };
    assert_eq!(said_of(heap, |runs, _| 10 + 3 * runs), Verdict::Pass);
}

#[test]
fn memory_that_every_run_costs_is_a_leak_although_the_first_one_found_its_place() {
    let heap: Held = |mebibytes| Sample {
        taken_bytes: (mebibytes as u64).saturating_sub(5) << 20,
        ..memory(mebibytes)
    };
    let reason = reason(said_of(heap, |runs, _| 1 + 3 * runs));
    assert!(reason.starts_with("memory grows by "), "{reason}");
}

/// It is left alone for as long as a time-out may wake the server.
#[test]
fn what_is_given_back_late_is_no_leak_where_nobody_can_be_polite_beside_the_scenario() {
    let trial = Trial::alone(scenario("case", &[], vec![]));
    let said = |held: fn(usize) -> usize| {
        let mut seen = dosed(&trial, sockets, |runs, _| 3 + held(runs));
        let pressed = |event: &&mut Event| matches!(event.what, What::Sample(Moment::Pressed, _));
        let events = seen.events.iter_mut();
        assert_eq!(events.filter(pressed).count(), 1);
        judge(&trial, &seen)
    };
    assert!(matches!(said(|runs| runs), Verdict::Fail(_)));
}

/// Between doses nobody waits for what is given back a moment later, and of a slow scenario there are two.
#[test]
fn what_is_given_back_a_moment_after_the_last_dose_is_no_leak() {
    let trial = of_connections(3);
    let held = |runs: usize, polite: usize| match polite {
        ..128 => [1, 3, 6, 6][runs.min(3)],
        _ => 1,
    };
    let seen = dosed_in(Duration::from_secs(3), &trial, sockets, held);
    assert_eq!(judge(&trial, &seen), Verdict::Pass);
}

#[test]
fn what_grows_with_time_and_nobody_there_is_no_leak_of_clients() {
    let trial = of_connections(2);
    let said = |late: usize, every: u64| {
        let pace = Duration::from_millis(500);
        let held = |runs: usize, polite: usize, at: Duration| {
            let by_time = at.as_millis() as u64 / every;
            3 + late * (runs + polite / 128) + by_time as usize
        };
        let seen = dosed_over_time(pace, &trial, sockets, held);
        judge(&trial, &seen)
    };
    assert_eq!(said(0, 250), Verdict::Pass);
    assert!(matches!(said(2, u64::MAX), Verdict::Fail(_)));
    // Beside it clients cost something.
    assert!(matches!(said(2, 5_000), Verdict::Fail(_)));
}

/// A server that looks every few seconds for what has ended may do so while nobody is there.
#[test]
fn what_is_given_back_while_nobody_is_there_is_no_leak() {
    let trial = of_connections(4);
    let mut seen = dosed(&trial, sockets, |runs, _| 3 + 4 * runs);
    let is_alone = |event: &Event| matches!(event.what, What::Sample(Moment::Alone, _));
    let at = seen.events.iter().position(is_alone);
    seen.events.truncate(at.expect("it was left alone"));
    let at = seen.events[seen.events.len() - 1].at + Duration::from_secs(1);
    let what = What::Sample(Moment::Alone, sockets(3).into());
    seen.events.push(Event { at, what });
    assert_eq!(next(&trial, &seen), None);
    assert_eq!(judge(&trial, &seen), Verdict::Pass);
}

/// What comes to light once, a moment behind the last client, is that client's.
#[test]
fn leak_that_shows_late_is_told_from_growth_with_time() {
    let trial = of_connections(4);
    let mut seen = dosed(&trial, sockets, |runs, _| 3 + 4 * runs);
    let is_alone = |event: &Event| matches!(event.what, What::Sample(Moment::Alone, _));
    let at = seen
        .events
        .iter()
        .position(is_alone)
        .expect("it was left alone");
    seen.events.truncate(at + 1);
    let What::Sample(_, sample) = &mut seen.events[at].what else {
        panic!("this is the sample");
    };
    sample.sockets += 64;
    let held = sample.sockets;
    assert!(matches!(next(&trial, &seen), Some(Next::LeaveAlone(_))));
    let again = Event {
        at: seen.events[at].at + Duration::from_secs(1),
        what: What::Sample(Moment::Alone, sockets(held).into()),
    };
    seen.events.push(again);
    // It is no more, and told from a pool as any other.
    assert_eq!(next(&trial, &seen), Some(Next::Perform(Phase::Pressure)));
}

#[test]
fn what_a_dose_adds_however_large_it_is_comes_of_the_polite_client_behind_it() {
    let reason = reason(said_of(sockets, |_, polite| 3 + polite));
    assert!(
        reason.starts_with("open sockets grow by 1 with each polite client"),
        "{reason}"
    );
}

#[test]
fn cache_that_every_client_fills_is_no_leak_and_memory_that_every_client_costs_is_one() {
    let trial = of_connections(50);
    // Thirty-two connections to a mebibyte.
    let said = |most: usize| {
        let held = |runs: usize, polite: usize| 1 + (50 * runs + polite).min(most) / 32;
        judge(&trial, &dosed(&trial, memory, held))
    };
    assert_eq!(said(2_000), Verdict::Pass);
    let reason = reason(said(usize::MAX));
    assert!(reason.starts_with("memory grows by "), "{reason}");
}

/// A collector that comes with a limit of its own lets a heap grow to it, garbage and all.
#[test]
fn heap_that_is_full_behind_the_last_dose_is_no_leak() {
    let trial = of_connections(100);
    // Thirty-two connections to a mebibyte.
    let said = |most: usize| {
        let held = |runs: usize, polite: usize| 1 + ((100 * runs + polite) / 32).min(most);
        let pace = Duration::from_millis(100);
        judge(&trial, &dosed_in(pace, &trial, memory, held))
    };
    for most in (100..=308).step_by(4) {
        let said = said(most);
        assert!(!matches!(said, Verdict::Fail(_)), "{most} MiB: {said:?}");
    }
    assert!(matches!(said(usize::MAX), Verdict::Fail(_)));
}

#[test]
fn cache_of_files_that_every_client_fills_is_no_leak_on_a_slow_host_either() {
    let trial = of_connections(3);
    for pace in [10, 50, 200, 800, 3_000] {
        let pace = Duration::from_millis(pace);
        let held = |runs: usize, polite: usize| 5 + (3 * runs + polite).min(200);
        let said = judge(&trial, &dosed_in(pace, &trial, sockets, held));
        assert!(!matches!(said, Verdict::Fail(_)), "{pace:?}: {said:?}");
        let is_full = matches!(said, Verdict::Pass) || pace > Duration::from_millis(100);
        assert!(is_full, "{pace:?}: {said:?}");
        let held = |runs: usize, _| 5 + (3 * runs).min(10);
        let said = judge(&trial, &dosed_in(pace, &trial, sockets, held));
        assert!(!matches!(said, Verdict::Fail(_)), "{pace:?}: {said:?}");
    }
}

/// A leak meets the limit on descriptors, and is not seen to go on there: it has to be told in half of what there is.
#[test]
fn cache_of_a_thousand_files_is_no_leak_and_what_half_of_all_descriptors_go_to_is_one() {
    let said = |sockets: Held, most: usize| {
        let verdicts = [3, 20, 100, 1_000].map(|connections| {
            let trial = of_connections(connections);
            let runs_of = |runs: usize, polite: usize| runs * connections as usize + polite;
            let held = |runs: usize, polite: usize| 5 + runs_of(runs, polite).min(most);
            judge(&trial, &dosed(&trial, sockets, held))
        });
        verdicts.map(|verdict| matches!(verdict, Verdict::Fail(_)))
    };
    let of_many: Held = |open| Sample {
        files_limit: Some(20_000),
        ..sockets(open)
    };
    for most in [200, 512, 1_000] {
        assert_eq!(said(of_many, most), [false; 4], "{most}");
    }
    assert_eq!(said(of_many, usize::MAX), [true; 4]);
    let of_few: Held = |open| Sample {
        files_limit: Some(1_024),
        ..sockets(open)
    };
    // Of scenarios with many connections the limit is met sooner, and clients are not served.
    assert_eq!(said(of_few, 1_015)[..2], [true; 2]);
}

#[test]
fn what_is_not_added_by_a_hundred_is_no_leak() {
    let trial = of_connections(50);
    let seen = dosed(&trial, threads, |runs, _| 9 + usize::from(runs > 8));
    assert_eq!(judge(&trial, &seen), Verdict::Pass);
}

/// A reply that was late by our own doing may have come too soon; one that was later than that has not.
#[test]
fn reply_that_may_have_come_before_its_time_is_no_pass() {
    let later = Expectation::NotBefore {
        after: Duration::from_millis(200),
        what: Box::new(Expectation::Data(Data::literal("HELLO"))),
    };
    let trial = trial(ClientSteps::of(0).expect(later).lines());
    let said = |waited: u64, starved: Option<u64>| {
        let received = ClientEvent::Received(b"HELLO".to_vec().into());
        let waited = ClientEvent::Waited(Duration::from_millis(waited));
        let starved = starved.map(|ms| What::Starved(Duration::from_millis(ms)));
        let what = [
            What::Phase(Phase::Scenario),
            What::StepBegan(0),
            What::Client(ALICE, received),
            What::Client(ALICE, waited),
            done(0),
        ];
        judge(
            &trial,
            &transcript(what.into_iter().chain(starved).collect()),
        )
    };
    assert_eq!(said(210, None), Verdict::Pass);
    assert_eq!(said(270, Some(70)), Verdict::Pass);
    let doubt = said(269, Some(70));
    assert!(
        matches!(&doubt, Verdict::Inconclusive(Doubt::MayBeTooSoon { client, .. }) if client == "alice"),
        "{doubt:?}"
    );
    assert!(matches!(said(199, Some(70)), Verdict::Fail(_)));
}

/// Steps that do not come to the same a second time tell no leak from what was opened once; what is left is no pass.
#[test]
fn what_each_connection_left_is_unknown_where_the_steps_cannot_be_taken_again() {
    let trial = of_connections(2);
    let said = |sample: Held, held: &dyn Fn(usize, usize) -> usize| {
        let mut seen = dosed(&trial, sample, held);
        let is_warm = |event: &Event| matches!(event.what, What::Sample(Moment::Warm, _));
        let Some(warm) = seen.events.iter().position(is_warm) else {
            return judge(&trial, &seen);
        };
        seen.events.truncate(warm + 1);
        let at = seen.events[warm].at;
        let stopped = [What::Phase(Phase::Scenario), What::Stopped];
        let stopped = stopped.into_iter().map(|what| Event { at, what });
        seen.events.extend(stopped);
        judge(&trial, &seen)
    };
    let left = said(sockets, &|runs, _| 3 + 2 * runs);
    assert!(
        matches!(left, Verdict::Inconclusive(Doubt::Unrepeatable(_))),
        "{left:?}"
    );
    // One for two connections is what the first of all opened; workers are a pool that the first run may have filled.
    assert_eq!(said(sockets, &|runs, _| 3 + runs.min(1)), Verdict::Pass);
    let pool = |runs: usize, polite: usize| 1 + (2 * runs + polite).min(4);
    assert_eq!(said(threads, &pool), Verdict::Pass);
    assert_eq!(said(memory, &|runs, _| 10 + 20 * runs), Verdict::Pass);
}

/// Where nobody can be polite beside the scenario, it is the scenario itself that is taken to warm the server.
#[test]
fn what_each_connection_left_is_unknown_where_the_first_repeat_breaks_off() {
    let of = |connections| Trial::alone(scenario("case", &[("alice", connections)], vec![]));
    let said =
        |trial: &Trial, then: &[What], sample: Held, held: &dyn Fn(usize, usize) -> usize| {
            let mut seen = dosed(trial, sample, held);
            let is_after = |event: &Event| matches!(event.what, What::Sample(Moment::After, _));
            let after = seen.events.iter().position(is_after).unwrap();
            seen.events.truncate(after + 1);
            let at = seen.events[after].at;
            let then = then.iter().cloned().map(|what| Event { at, what });
            seen.events.extend(then);
            judge(trial, &seen)
        };
    let stopped = [What::Phase(Phase::Scenario), What::Stopped];
    let left = said(&of(2), &stopped, sockets, &|runs, _| 3 + 2 * runs);
    assert!(
        matches!(left, Verdict::Inconclusive(Doubt::Unrepeatable(_))),
        "{left:?}"
    );
    let passes = |then: &[What], sample, held: &dyn Fn(usize, usize) -> usize| {
        assert_eq!(said(&of(2), then, sample, held), Verdict::Pass);
    };
    passes(&[], sockets, &|runs, _| 3 + 2 * runs);
    passes(&stopped, sockets, &|runs, _| 3 + runs);
    passes(&stopped, threads, &|runs, _| 1 + 2 * runs);
    passes(&stopped, memory, &|runs, _| 10 + 20 * runs);
}

#[test]
fn memory_that_has_not_doubled_may_be_collected_yet() {
    let little = said_of(memory, |runs, _| 4_000 + 600 * runs);
    assert!(
        matches!(little, Verdict::Inconclusive(Doubt::StillGrows(_))),
        "{little:?}"
    );
}

#[test]
fn log_may_be_as_long_as_what_it_tells_of() {
    let printed = |mebibytes: u64| Sample {
        output_bytes: mebibytes << 20,
        ..Sample::default()
    };
    let sample = |at, mebibytes| What::Sample(at, printed(mebibytes).into());
    let mut seen = transcript(vec![sample(Moment::Baseline, 0), sample(Moment::After, 40)]);
    let reason = reason(judge(&trial(vec![]), &seen));
    assert_eq!(reason, "the server printed 40 MiB");
    let sent = ClientEvent::Sent(vec![0; 4 << 20].into());
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
    let seen = |received| {
        Transcript::of(vec![
            at(0, What::Phase(Phase::Scenario)),
            at(0, What::StepBegan(0)),
            at(
                received,
                What::Client(ALICE, ClientEvent::Received(b"HEL".to_vec().into())),
            ),
            at(
                20_000,
                What::StepEnded {
                    step: 0,
                    member: Some(0),
                    how: Ended::OutOfTime(limit),
                },
            ),
        ])
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
        (
            3,
            What::Client(ALICE, ClientEvent::Sent(b"hello".to_vec().into())),
        ),
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
    let seen = Transcript::of(events);
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
    assert_eq!(
        said_of(sockets, |runs, _| 1 + 5 * runs.min(1)),
        Verdict::Pass
    );
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
                    }
                    .into(),
                )
            }
            Next::LeaveAlone(_) => break,
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
fn pool_is_filled_and_what_has_grown_is_given_growing_doses() {
    use Next::{CountWorkers, Perform, Sample};
    let crowd = scenario("at once", &[("polite", 20)], vec![]);
    let surrounded = surrounded().with(Phase::Crowd, crowd);
    // Workers are counted behind each polite client until none adds one any more; then doses add one for each run.
    let mut figures = vec![4, 5];
    figures.extend([9; 17]);
    figures.extend([9, 10, 12]);
    let asked = asked_for(&surrounded, &figures);
    let of_fill = [Perform(Phase::After), CountWorkers];
    assert_eq!(asked[7..41], of_fill.repeat(17));
    assert_eq!(asked[41..43], [Perform(Phase::Crowd), Sample(Moment::Warm)]);
    let dose = |runs| {
        let mut dose = vec![Perform(Phase::Scenario); runs];
        dose.extend([Perform(Phase::After), Sample(Moment::Dose)]);
        dose
    };
    assert_eq!(asked[43..], [dose(1), dose(2), dose(4)].concat());
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
    let mut phases: Vec<What> = vec![What::Sample(Moment::Baseline, resting.into())];
    let then = [Phase::Scenario, Phase::BystanderAgain, Phase::After];
    phases.extend(then.map(What::Phase));
    phases.push(What::Sample(Moment::After, spinning.into()));
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

/// Alice asks and waits in vain for half a minute for this, of a server that somebody else has started and that has answered Bob, who
/// asked in these words, within so many milliseconds; the kind of doubt, where nothing is proven.
fn unseen(
    expected: Expectation,
    change: impl Fn(&mut Trial),
    said: (&str, bool, u64),
) -> Option<&'static str> {
    unseen_while(
        expected,
        change,
        said,
        Ended::NotYet(Duration::from_secs(30)),
        None,
    )
}

/// The same of a wait that ends in this way, and in which something else happens.
fn unseen_while(
    expected: Expectation,
    change: impl Fn(&mut Trial),
    (asked, datagrams, replied_after_ms): (&str, bool, u64),
    ended: Ended,
    meanwhile: Option<What>,
) -> Option<&'static str> {
    let bob = ClientId { who: 1, member: 0 };
    let from = ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams,
    };
    let event = |ms, what| Event {
        at: Duration::from_millis(ms),
        what,
    };
    let client = |ms, event_of| event(ms, What::Client(bob, event_of));
    let mut seen = seen(ClientEvent::Sent(b"hello".to_vec().into()), ended);
    let at = Duration::from_secs(3);
    let last = seen.events.len() - 1;
    let meanwhile = meanwhile.map(|what| Event { at, what });
    seen.events.splice(last..last, meanwhile);
    let before = [
        event(0, What::Server(ServerEvent::Elsewhere)),
        client(0, from),
        client(0, ClientEvent::Sent(asked.as_bytes().to_vec().into())),
        client(
            replied_after_ms,
            ClientEvent::Received(b"hi".to_vec().into()),
        ),
    ];
    seen.events.splice(0..0, before);
    let mut trial = trial(ClientSteps::of(0).expect(expected).lines());
    trial.serves_at_once = true;
    change(&mut trial);
    match judge(&trial, &seen) {
        Verdict::Inconclusive(doubt) => Some(doubt.kind()),
        verdict => {
            assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
            None
        }
    }
}

#[test]
fn server_that_nobody_sees_fails_for_replies_that_others_got_far_sooner() {
    let hello = || Expectation::Data(Data::literal("HELLO"));
    let closed = Expectation::End {
        kinds: vec![End::Fin],
        all_bytes_first: false,
    };
    let usual = |_: &mut Trial| {};
    let doubt = Some("unseen");
    assert_eq!(unseen(hello(), usual, ("hello", false, 299)), None);
    assert_eq!(
        unseen(hello(), usual, ("hello", false, 301)),
        doubt,
        "it is slow"
    );
    assert_eq!(
        unseen(hello(), usual, ("ping", false, 1)),
        doubt,
        "it was asked for less"
    );
    let alike = |trial: &mut Trial| trial.replies_alike = true;
    assert_eq!(unseen(hello(), alike, ("ping", false, 1)), None);
    assert_eq!(
        unseen(closed, usual, ("hello", false, 1)),
        doubt,
        "it may close later"
    );
    assert_eq!(
        unseen(hello(), usual, ("hello", true, 1)),
        doubt,
        "a datagram may be lost"
    );
    let in_turn = |trial: &mut Trial| trial.serves_at_once = false;
    assert_eq!(
        unseen(hello(), in_turn, ("hello", false, 1)),
        doubt,
        "another may be at it"
    );
}

#[test]
fn server_that_nobody_sees_is_not_held_to_what_was_not_asked_for() {
    let mut seen = transcript(vec![
        What::Server(ServerEvent::Elsewhere),
        What::Client(
            ClientId { who: 1, member: 0 },
            ClientEvent::Sent(b"hi".to_vec().into()),
        ),
        What::Client(
            ClientId { who: 1, member: 0 },
            ClientEvent::Received(b"hi".to_vec().into()),
        ),
    ]);
    for event in &mut seen.events {
        event.at = Duration::ZERO;
    }
    let greeted = self::seen(
        ClientEvent::Connecting,
        Ended::NotYet(Duration::from_secs(30)),
    );
    seen.events.extend(greeted.events);
    let mut trial = expects_hello();
    trial.serves_at_once = true;
    let verdict = judge(&trial, &seen);
    assert!(
        matches!(verdict, Verdict::Inconclusive(Doubt::Unseen { .. })),
        "{verdict:?}"
    );
}

#[test]
fn what_is_unseen_of_a_server_is_not_held_against_it_where_we_lacked_the_time() {
    let hello = || Expectation::Data(Data::literal("HELLO"));
    let closed = || Expectation::End {
        kinds: vec![End::Fin],
        all_bytes_first: false,
    };
    let half_a_minute = Duration::from_secs(30);
    let usual = |_: &mut Trial| {};
    let not_yet = Ended::NotYet(half_a_minute);
    let out_of_time = Ended::OutOfTime(half_a_minute);
    let waits = |expected, ended, meanwhile| {
        unseen_while(expected, usual, ("hello", false, 1), ended, meanwhile)
    };
    let starved = |seconds| Some(What::Starved(Duration::from_secs(seconds)));
    assert_eq!(waits(hello(), not_yet, starved(8)), Some("starved"));
    assert_eq!(waits(hello(), not_yet, starved(7)), None);
    let part = ClientEvent::Received(b"HEL".to_vec().into());
    let arrives = Some(What::Client(ALICE, part));
    assert_eq!(waits(hello(), not_yet, arrives), Some("still-arriving"));
    assert_eq!(waits(closed(), out_of_time, None), None, "it was said when");
    assert_eq!(waits(closed(), not_yet, None), Some("unseen"));
}

#[test]
fn server_that_somebody_has_started_again_had_ended() {
    let seen = |event| {
        let events = [ServerEvent::Elsewhere, event].map(What::Server);
        judge(&trial(vec![]), &transcript(events.to_vec()))
    };
    let said = reason(seen(ServerEvent::Replaced));
    assert!(said.contains("another socket"), "{said}");
    assert_eq!(seen(ServerEvent::Continued), Verdict::Pass);
}

#[test]
fn client_whose_handshake_the_kernel_has_dropped_is_not_owed_anything_yet() {
    let long = Duration::from_secs(65);
    let kept_out = seen(ClientEvent::Connecting, Ended::KeptOut(long));
    let Verdict::Inconclusive(doubt) = judge(&expects_hello(), &kept_out) else {
        panic!("nothing is proven");
    };
    assert_eq!(doubt.kind(), "kept-out");
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

/// On a loaded host a loop gets a part of what it wants.
#[test]
fn server_that_would_run_all_the_time_is_not_waiting_for_a_time_out() {
    let late = Duration::from_secs(60);
    let fails = |ran: u64, lacked: u64| {
        let mut seen = seen(ClientEvent::Connecting, Ended::NotYet(late));
        let used = [
            ServerEvent::Ran(Duration::from_secs(ran)),
            ServerEvent::Lacked(Duration::from_secs(lacked)),
        ];
        let used = used.map(What::Server);
        let at = Duration::from_secs(2);
        seen.events
            .splice(3..3, used.map(|what| Event { at, what }));
        matches!(judge(&expects_hello(), &seen), Verdict::Fail(_))
    };
    assert!(fails(20, 35));
    assert!(!fails(20, 0));
    assert!(!fails(2, 50));
}

/// A client that is sent `HELLO` after so many questions whether it is still there, or is not.
fn asks(questions: usize, text: &str, how: Ended) -> Verdict {
    let mut hello = expects_hello();
    let question = Template::parse(r"PING {any}\n").unwrap();
    hello.unasked = [question].into_iter().collect();
    let received = |bytes: &[u8]| What::Client(ALICE, ClientEvent::Received(bytes.into()));
    let said = (0..questions).map(|n| received(format!("PING {n}\n").as_bytes()));
    let text = [text].into_iter().filter(|text| !text.is_empty());
    let before = [What::Phase(Phase::Scenario), What::StepBegan(0)];
    let mut what = Vec::from(before);
    what.extend(said);
    what.extend(text.map(|text| received(text.as_bytes())));
    what.push(What::StepEnded {
        step: 0,
        member: Some(0),
        how,
    });
    judge(&hello, &transcript(what))
}

#[test]
fn what_is_said_unasked_is_neither_an_answer_nor_a_fault() {
    let out = Ended::OutOfTime(Duration::from_secs(5));
    assert_eq!(asks(3, "HELLO", Ended::Done), Verdict::Pass);
    assert_eq!(
        reason(asks(3, "", out)),
        "alice expected \"HELLO\" within 5s, got nothing"
    );
    assert_eq!(
        reason(asks(3, "HALLO", Ended::Done)),
        "alice expected \"HELLO\", got \"HALLO\", wrong from byte 1 on, wanted \"HELLO\""
    );
}

#[test]
fn server_that_goes_on_asking_a_client_is_not_kept_from_it_by_a_time_out() {
    let late = Ended::NotYet(Duration::from_secs(60));
    assert_eq!(
        reason(asks(9, "", late)),
        "alice expected \"HELLO\", got nothing"
    );
    // Once is the time-out that was waited for before.
    let verdict = asks(1, "", late);
    assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
}

#[test]
fn connections_that_a_time_out_may_still_accept_are_no_failure_yet() {
    let after = |may_still_go| {
        let queued = Sample {
            at_rest: true,
            accept_queue: 1,
            may_still_go,
            ..Sample::default()
        };
        let seen = transcript(vec![
            What::Sample(Moment::Baseline, Box::default()),
            What::Sample(Moment::After, queued.into()),
        ]);
        judge(&trial(vec![]), &seen)
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

/// A client whose request takes longer than it may is given up; one that is given up earlier is not.
#[test]
fn client_that_is_slow_with_its_request_blames_us_where_it_is_to_be_whole_in_time() {
    let lines = ClientSteps::of(0).connect().send("HELLO").lines();
    let mut trial = trial([lines, ClientSteps::of(0).expect(hello()).lines()].concat());
    trial.closes_unfinished_after = Some(Duration::from_secs(2));
    let ends_after = |millis: u64, rest: &[u8]| {
        let sends = |bytes: &[u8]| What::Client(ALICE, ClientEvent::Sent(bytes.to_vec().into()));
        let mut what = vec![
            (0, What::Phase(Phase::Scenario)),
            (0, What::StepBegan(0)),
            (0, What::Client(ALICE, ClientEvent::Connecting)),
            (0, What::Client(ALICE, connection())),
            (0, done(0)),
            (5_000, What::StepBegan(1)),
            (5_000, sends(b"HELLO".strip_suffix(rest).unwrap())),
            (5_000 + millis, finished()),
        ];
        what.extend((!rest.is_empty()).then(|| (5_000 + millis, sends(rest))));
        what.extend([
            (5_000 + millis, What::StepBegan(2)),
            (5_000 + millis, done(2)),
        ]);
        judge(&trial, &timed(what))
    };
    assert_eq!(doubt_of(ends_after(2_000, b"LO")), "slow-by-us");
    let early = ends_after(1_900, b"LO");
    assert!(matches!(early, Verdict::Fail(_)), "{early:?}");
    // It had been whole at once.
    let whole = ends_after(2_000, b"");
    assert!(matches!(whole, Verdict::Fail(_)), "{whole:?}");
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

/// What lies in queues of the kernel at the deadline has been sent: how long it takes to be read is no matter of the server's.
#[test]
fn client_that_has_more_to_read_at_its_deadline_blames_nobody() {
    let limit = Ended::OutOfTime(Duration::from_secs(5));
    let verdict = judge(&expects_hello(), &seen(ClientEvent::MoreToRead, limit));
    assert_eq!(doubt_of(verdict), "still-arriving");
}

/// Alice connects; then what is done to the server; then she waits for something in vain.
fn after(done: &[ServerAction], events: Vec<What>, what: Expectation) -> Verdict {
    let done = done.iter().cloned().map(Step::Server).map(Line::from);
    let steps = ClientSteps::of(0).connect().lines().into_iter();
    let waits = ClientSteps::of(0).expect(what).lines();
    let trial = trial(steps.chain(done).chain(waits).collect());
    let connected = ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams: false,
    };
    let step = trial.steps(Phase::Scenario).len() - 1;
    let begun = vec![
        What::Server(ServerEvent::Started { pid: 7 }),
        What::Phase(Phase::Scenario),
        What::StepBegan(0),
        What::Client(ALICE, ClientEvent::Connecting),
        What::Client(ALICE, connected),
        What::StepBegan(1),
    ];
    let ended = vec![
        What::StepBegan(step),
        What::StepEnded {
            step,
            member: Some(0),
            how: Ended::OutOfTime(Duration::from_secs(5)),
        },
    ];
    judge(&trial, &transcript([begun, events, ended].concat()))
}

fn doubt_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Inconclusive(doubt) => doubt.kind(),
        other => panic!("nothing is proven, got {other:?}"),
    }
}

fn hello() -> Expectation {
    Expectation::Data(Data::literal("HELLO"))
}

fn fin() -> Expectation {
    Expectation::End {
        kinds: vec![End::Fin],
        all_bytes_first: false,
    }
}

#[test]
fn what_a_killed_server_owes_is_nothing() {
    let reset = || What::Client(ALICE, ClientEvent::Ended(End::Reset));
    let killed = |what| {
        let kill = [ServerAction::Signal(Signal::Kill)];
        let events = vec![sent(Signal::Kill), exited(Exit::Signal(9)), reset()];
        after(&kill, events, what)
    };
    assert_eq!(doubt_of(killed(hello())), "killed");
    assert_eq!(doubt_of(killed(fin())), "killed");
    let again = [ServerAction::Start(Streams::Usual)];
    let started = What::Server(ServerEvent::Started { pid: 8 });
    let killed = What::Server(ServerEvent::Killed);
    let events = vec![killed, started.clone(), reset()];
    assert_eq!(doubt_of(after(&again, events, hello())), "killed");
    // Whoever has ended by itself has dropped what it owed.
    let events = vec![started, reset()];
    let dropped = after(&again, events, hello());
    assert!(matches!(dropped, Verdict::Fail(_)), "{dropped:?}");
}

#[test]
fn signal_that_has_ended_a_server_is_told_with_what_it_did_not_do_then() {
    let ended = |signal: Signal, exit| {
        let told = [ServerAction::Signal(signal)];
        reason(after(&told, vec![sent(signal), exited(exit)], hello()))
    };
    let by_signal = ended(Signal::Hup, Exit::Signal(libc::SIGHUP));
    let start =
        "the server was ended by signal 1 (SIGHUP), which was sent to it: alice expected \"HELLO\"";
    assert!(by_signal.starts_with(start), "{by_signal}");
    let with_status = ended(Signal::Usr1, Exit::Status(3));
    let start = "the server exited with status 3 when it was sent SIGUSR1: alice";
    assert!(with_status.starts_with(start), "{with_status}");
    // What is an order to end explains itself.
    let ordered = ended(Signal::Term, Exit::Signal(libc::SIGTERM));
    assert!(ordered.starts_with("alice expected"), "{ordered}");
}

#[test]
fn server_that_may_open_no_files_owes_clients_nothing_unless_that_is_what_it_is_about() {
    let limited = || What::Server(ServerEvent::OpenFilesLimited(9));
    let limit = ServerAction::LimitOpenFiles(2);
    let none_left = after(std::slice::from_ref(&limit), vec![limited()], hello());
    assert_eq!(doubt_of(none_left), "files-limited");
    let restored = [limit.clone(), ServerAction::RestoreOpenFiles];
    let given_back = What::Server(ServerEvent::OpenFilesLimited(1_024));
    let events = vec![limited(), What::StepBegan(2), given_back];
    let has_some = after(&restored, events, hello());
    assert!(matches!(has_some, Verdict::Fail(_)), "{has_some:?}");
    let about = [limit, waits(ServerExpectation::OutOfFiles)];
    let full = What::Server(ServerEvent::OpenFiles {
        held: 9,
        limit: 9,
        waiting: 1,
        settled: false,
    });
    let events = vec![limited(), What::StepBegan(2), full];
    let asked = after(&about, events, hello());
    assert!(matches!(asked, Verdict::Fail(_)), "{asked:?}");
}

#[test]
fn client_that_the_kernel_keeps_from_the_server_hears_of_no_end() {
    let deferred = || What::Client(ALICE, ClientEvent::Deferred);
    let stop = [ServerAction::Stop];
    assert_eq!(doubt_of(after(&stop, vec![deferred()], fin())), "deferred");
    // A greeting is owed to whoever has not spoken.
    let greeted = after(&stop, vec![deferred()], hello());
    assert!(matches!(greeted, Verdict::Fail(_)), "{greeted:?}");
    let spoke = What::Client(ALICE, ClientEvent::Sent(b"a".to_vec().into()));
    let handed_over = after(&stop, vec![deferred(), spoke], fin());
    assert!(matches!(handed_over, Verdict::Fail(_)), "{handed_over:?}");
}

#[test]
fn server_that_was_told_to_end_need_not_let_anybody_in() {
    let refused = What::Client(
        ALICE,
        ClientEvent::ConnectFailed {
            refused: true,
            error: "Connection refused".to_owned(),
        },
    );
    let comes = |signal| {
        let told = [ServerAction::Signal(signal)];
        let events = vec![sent(signal), refused.clone()];
        after(&told, events, Expectation::Connected)
    };
    assert_eq!(doubt_of(comes(Signal::Term)), "told-to-end");
    let hung_up = comes(Signal::Hup);
    assert!(matches!(hung_up, Verdict::Fail(_)), "{hung_up:?}");
}

#[test]
fn what_ended_a_server_is_forgotten_when_it_is_started_again() {
    let started = || What::Server(ServerEvent::Started { pid: 8 });
    let failed = || exited(Exit::Status(1));
    let seen = transcript(vec![failed(), started()]);
    assert_eq!(ending::last_exit(&seen), None);
    let seen = transcript(vec![sent(Signal::Hup), failed()]);
    let by_signal = Some((Signal::Hup, Exit::Status(1)));
    assert_eq!(ending::ended_by(&seen), by_signal);
    let seen = transcript(vec![sent(Signal::Hup), started(), failed()]);
    assert_eq!(ending::ended_by(&seen), None);
}

/// A trial that sets an invariant aside.
fn waiving(invariant: Invariant) -> Trial {
    let mut waiving = trial(vec![]).scenario().clone();
    let reason = "it is meant".to_owned();
    waiving.waived.push(Waiver { invariant, reason });
    Trial::alone(waiving)
}

#[test]
fn listening_socket_that_is_gone_is_a_failure_unless_somebody_may_have_meant_it() {
    let deaf = || What::Server(ServerEvent::NoLongerListens);
    let alone = transcript(vec![deaf()]);
    let said = |trial: &Trial, seen: &Transcript| match judge(trial, seen) {
        Verdict::Pass => None,
        Verdict::Fail(finding) => Some(finding.cause),
        other => panic!("{other:?}"),
    };
    let gone = Some(Cause::NoLongerListens);
    assert_eq!(said(&trial(vec![]), &alone), gone);
    let told = transcript(vec![sent(Signal::Term), deaf()]);
    assert_eq!(said(&trial(vec![]), &told), None);
    assert_eq!(said(&waiving(Invariant::Listens), &alone), None);
    let mut of_one = trial(vec![]);
    of_one.ends_after_one = true;
    assert_eq!(said(&of_one, &alone), None);
}

#[test]
fn listening_socket_that_may_come_back_is_waited_for_only_where_it_has_to() {
    let not_yet = ServerEvent::ListensNotYet(Duration::from_secs(60));
    let seen = transcript(vec![What::Server(not_yet)]);
    assert_eq!(doubt_of(judge(&trial(vec![]), &seen)), "not-yet");
    assert_eq!(judge(&waiving(Invariant::Listens), &seen), Verdict::Pass);
    let mut of_one = trial(vec![]);
    of_one.ends_after_one = true;
    assert_eq!(judge(&of_one, &seen), Verdict::Pass);
}

#[test]
fn server_of_one_client_ends_well_or_has_died() {
    let mut of_one = trial(vec![]);
    of_one.ends_after_one = true;
    assert_eq!(end_of(&of_one, vec![exited(Exit::Status(0))]), None);
    assert!(end_of(&of_one, vec![exited(Exit::Status(1))]).is_some());
}

/// What a client does once nobody is there asks nothing of anybody.
#[test]
fn end_that_is_awaited_may_come_while_clients_leave_or_wait() {
    let ended_while = |steps: ClientSteps| {
        let awaits = Step::Server(waits(ServerExpectation::Exit(None)));
        let lines = [steps.lines(), vec![awaits.into()]].concat();
        let began = What::StepBegan;
        let events = vec![exited(Exit::Status(0)), began(0), began(1)];
        end_of(&trial(lines), events)
    };
    let alice = || ClientSteps::of(0);
    assert_eq!(ended_while(alice().then(Action::Close)), None);
    assert_eq!(ended_while(alice().expect(Expectation::Silence)), None);
    assert!(ended_while(alice().send("HELLO")).is_some());
}

#[test]
fn queue_that_is_not_emptied_is_excused_by_what_keeps_the_server_from_it() {
    let look = |does: ServerAction, event: ServerEvent| {
        let queue = waits(ServerExpectation::AcceptQueue(0));
        let trial = told(&[does, queue]);
        let listener = ServerEvent::Listener {
            queue: 1,
            backlog: 9,
        };
        let seen = transcript(vec![
            What::Phase(Phase::Scenario),
            What::StepBegan(0),
            What::Server(event),
            What::StepBegan(1),
            What::Server(listener),
            What::StepEnded {
                step: 1,
                member: None,
                how: Ended::OutOfTime(Duration::from_secs(5)),
            },
        ]);
        judge(&trial, &seen)
    };
    let limit = ServerAction::LimitOpenFiles(2);
    let limited = ServerEvent::OpenFilesLimited(9);
    assert_eq!(doubt_of(look(limit, limited)), "files-limited");
    let stopped = look(ServerAction::Stop, ServerEvent::Stopped);
    assert!(matches!(stopped, Verdict::Fail(_)), "{stopped:?}");
}

#[test]
fn server_that_was_started_again_has_to_let_clients_in() {
    let again = [
        ServerAction::Signal(Signal::Term),
        ServerAction::Start(Streams::Usual),
    ];
    let refused = ClientEvent::ConnectFailed {
        refused: true,
        error: "Connection refused".to_owned(),
    };
    let events = vec![
        sent(Signal::Term),
        exited(Exit::Status(0)),
        What::StepBegan(2),
        What::Server(ServerEvent::Started { pid: 8 }),
        What::Client(ALICE, refused),
    ];
    let verdict = after(&again, events, Expectation::Connected);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

/// What the limit of a wait for a server that stops reading says: it may read on for longer than anybody looks.
#[test]
fn server_that_reads_on_at_the_limit_may_still_stop() {
    let steps = ClientSteps::of(0).expect(Expectation::HeldBack);
    let out = Ended::OutOfTime(Duration::from_secs(5));
    let seen = seen(ClientEvent::Reading, out);
    assert_eq!(
        doubt_of(judge(&trial(steps.lines()), &seen)),
        "still-reading"
    );
}

#[test]
fn half_of_a_processor_is_no_rest() {
    let rest = told(&[waits(ServerExpectation::Rest)]);
    let uses = |percent| {
        let usage = ServerEvent::Rests {
            rests: false,
            cpu_percent: percent,
            spins: false,
        };
        let seen = transcript(vec![
            What::Phase(Phase::Scenario),
            What::StepBegan(0),
            What::Server(usage),
            What::StepEnded {
                step: 0,
                member: None,
                how: Ended::OutOfTime(Duration::from_secs(5)),
            },
        ]);
        judge(&rest, &seen)
    };
    assert!(matches!(uses(50), Verdict::Fail(_)));
    assert!(matches!(uses(49), Verdict::Inconclusive(_)));
}

/// A polite client sends so little that nothing of it is dropped, and other steps wait for no datagram.
#[test]
fn datagram_is_missed_only_by_a_client_of_the_scenario_that_waits_for_one() {
    let connected = ClientEvent::Connected {
        local: None,
        peer: None,
        datagrams: true,
    };
    let said = |phase, steps: ClientSteps| {
        let polite = scenario("polite", &[("alice", 1)], vec![steps.lines()]);
        let trial = Trial::alone(polite.clone()).with(Phase::After, polite);
        let id = match phase {
            Phase::After => Phase::After.client(0, 0),
            _ => ALICE,
        };
        judge(
            &trial,
            &transcript(vec![
                What::Counters(vec![("RcvbufErrors".to_owned(), 2)]),
                What::Phase(phase),
                What::StepBegan(0),
                What::Client(id, connected.clone()),
                What::StepEnded {
                    step: 0,
                    member: Some(0),
                    how: Ended::OutOfTime(Duration::from_secs(1)),
                },
            ]),
        )
    };
    let waits = || ClientSteps::of(0).expect(hello());
    assert_eq!(doubt_of(said(Phase::Scenario, waits())), "kernel-dropped");
    let after = said(Phase::After, waits());
    assert!(matches!(after, Verdict::Fail(_)), "{after:?}");
}

#[test]
fn bytes_in_the_place_of_silence_may_be_those_of_another_client() {
    let silent = ClientSteps::of(0).expect(Expectation::Silence).lines();
    let data = Expectation::Data(Data::literal("for bob alone"));
    let owed = ClientSteps::of(1).expect(data).lines();
    let clients = [("alice", 1), ("bob", 1)];
    let both = Trial::alone(scenario("case", &clients, vec![silent, owed]));
    let came = ClientEvent::Received(b"for bob alone".to_vec().into());
    let Verdict::Fail(finding) = judge(&both, &seen(came, Ended::Settled)) else {
        panic!("no failure");
    };
    let cause = finding.cause;
    assert!(
        matches!(&cause, Cause::Crosstalk { of, .. } if of == "bob"),
        "{cause}"
    );
}

/// Lines that a server printed in bursts, and whether that is more than what was done explains.
#[test]
fn bursts_may_be_as_long_as_what_clients_leave_behind_explains() {
    let babbles = |lines: u64, connections: usize, sent: usize| {
        let client = |event| What::Client(ALICE, event);
        let clients = std::iter::repeat_n(client(connection()), connections);
        let mut what = vec![What::Sample(Moment::Baseline, Box::default())];
        what.extend(clients);
        what.push(client(ClientEvent::Sent(vec![0; sent].into())));
        let mut seen = transcript(what);
        let began = Duration::from_secs(3_600);
        let burst = What::Server(ServerEvent::Burst { began, lines });
        let rested = Sample {
            at_rest: true,
            ..Sample::default()
        };
        let after = What::Sample(Moment::After, rested.into());
        let late = [burst, after].map(|what| Event { at: began, what });
        seen.events.extend(late);
        matches!(judge(&trial(vec![]), &seen), Verdict::Fail(_))
    };
    assert!(!babbles(10_000, 0, 0));
    assert!(babbles(10_001, 0, 0));
    // Each connection may leave a trace, and each byte may be a line that is read late.
    assert!(!babbles(10_500, 3, 200));
    assert!(babbles(10_501, 3, 200));
}

#[test]
fn queue_that_may_still_be_emptied_is_no_matter_where_queues_are_waived() {
    let queued = Sample {
        at_rest: true,
        accept_queue: 1,
        may_still_go: true,
        ..Sample::default()
    };
    let seen = transcript(vec![
        What::Sample(Moment::Baseline, Box::default()),
        What::Sample(Moment::After, queued.into()),
    ]);
    let cause = |trial: &Trial| match judge(trial, &seen) {
        Verdict::Inconclusive(Doubt::NotYet { step, .. }) => *step,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause(&trial(vec![])), Cause::Queued { connections: 1 });
    assert_eq!(cause(&waiving(Invariant::Queues)), Cause::LeftUnread);
}

#[test]
fn server_that_goes_on_in_the_background_is_not_judged_by_the_end_of_its_first_process() {
    let in_background = || What::Server(ServerEvent::InBackground);
    let seen = |then: Vec<What>| {
        let first = vec![
            What::Phase(Phase::Scenario),
            exited(Exit::Status(0)),
            in_background(),
        ];
        transcript([first, then].concat())
    };
    assert_eq!(
        doubt_of(judge(&trial(vec![]), &seen(vec![]))),
        "in-background"
    );
    let crashed = What::Server(ServerEvent::ProcessEnded {
        pid: 9,
        exit: Exit::Signal(libc::SIGSEGV),
        worker: None,
    });
    let verdict = judge(&trial(vec![]), &seen(vec![crashed]));
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

/// Who is kept from the server by the kernel as it has asked cannot be in its hands.
#[test]
fn case_about_a_client_in_the_servers_hands_is_skipped_only_where_clients_are_deferred() {
    let seen = |deferred: bool, fault: Fault| {
        let deferred = deferred.then_some(What::Client(ALICE, ClientEvent::Deferred));
        let proof = What::Proof {
            fault: Box::new(fault),
            shown: false,
            evidence: String::new(),
        };
        transcript(deferred.into_iter().chain([proof]).collect())
    };
    let accepted = || Fault::Required(Expectation::Accepted);
    let said = |deferred, fault| judge(&trial(vec![]), &seen(deferred, fault));
    assert_eq!(said(true, accepted()), Verdict::Skip(Skip::Deferred));
    assert_eq!(doubt_of(said(false, accepted())), "unproven");
    assert_eq!(doubt_of(said(true, Fault::Reset)), "unproven");
}

/// Who got nothing of a server that had ended got nothing for that reason.
#[test]
fn news_are_told_before_what_is_known_and_ends_before_what_they_bring() {
    let at_rest = Sample {
        at_rest: true,
        accept_queue: 3,
        output_bytes: 1 << 40,
        ..Sample::default()
    };
    let seen = transcript(vec![
        What::Sample(Moment::Baseline, Box::default()),
        What::Sample(Moment::After, at_rest.into()),
    ]);
    let first = |known: &[&str]| {
        let known = known.iter().map(|key| (*key).to_owned()).collect();
        match judge(&trial(vec![]).knowing(known), &seen) {
            Verdict::Fail(finding) => finding.cause.key(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first(&[]), "queued");
    assert_eq!(first(&["queued"]), "flooded");
    assert_eq!(first(&["queued", "flooded"]), "queued");
}

#[test]
fn finding_names_all_of_its_causes() {
    let died = Cause::Died {
        exit: Exit::Status(1),
        after: None,
    };
    let finding = Finding {
        cause: Cause::LeftUnread,
        halt: None,
        evidence: vec![Evidence::Output("bye".into()), Evidence::Also(died.clone())],
    };
    let causes: Vec<_> = finding.causes().collect();
    assert_eq!(causes, [&Cause::LeftUnread, &died]);
}

/// A transcript of events at these milliseconds.
fn timed(events: Vec<(u64, What)>) -> Transcript {
    let events = events.into_iter().map(|(at, what)| Event {
        at: Duration::from_millis(at),
        what,
    });
    Transcript::of(events.collect())
}

fn done(step: usize) -> What {
    What::StepEnded {
        step,
        member: Some(0),
        how: Ended::Done,
    }
}

fn finished() -> What {
    What::Client(ALICE, ClientEvent::Ended(End::Fin))
}

/// A trial about a server of which nobody knows for how long it bears with silent clients.
fn of_impatience(lines: Vec<Line>) -> Trial {
    let mut trial = trial(lines);
    trial.may_close_silent = true;
    trial
}

#[test]
fn client_that_waits_for_its_turn_and_then_is_late_is_silent_for_both() {
    let lines = ClientSteps::of(0).connect().expect(hello()).lines();
    let trial = of_impatience(lines);
    let late = |millis| {
        let late = ClientEvent::Late(Duration::from_millis(millis));
        let what = vec![
            (0, What::Phase(Phase::Scenario)),
            (0, What::StepBegan(0)),
            (0, What::Client(ALICE, ClientEvent::Connecting)),
            (0, What::Client(ALICE, connection())),
            (0, done(0)),
            (200, What::StepBegan(1)),
            (200, What::Client(ALICE, late)),
            (600, finished()),
            (600, done(1)),
        ];
        judge(&trial, &timed(what))
    };
    assert_eq!(doubt_of(late(150)), "silent-by-us");
    let little = late(50);
    assert!(matches!(little, Verdict::Fail(_)), "{little:?}");
}

/// What the scenario asks for is the case; what comes on top of it is the host's.
#[test]
fn client_is_kept_silent_by_what_is_no_pause_of_the_scenario() {
    let pause = || vec![crate::model::dialogue::pause(Duration::from_secs(5))];
    let connect = ClientSteps::of(0).connect().lines();
    let expect = ClientSteps::of(0).expect(hello()).lines();
    let opens = |at| {
        vec![
            (at, What::Client(ALICE, ClientEvent::Connecting)),
            (at, What::Client(ALICE, connection())),
        ]
    };
    let paused = of_impatience([connect.clone(), pause(), expect.clone()].concat());
    let first = vec![(0, What::Phase(Phase::Scenario)), (0, What::StepBegan(0))];
    let then = vec![
        (0, done(0)),
        (0, What::StepBegan(1)),
        (5_000, What::StepBegan(2)),
        (5_000, finished()),
        (5_000, done(2)),
    ];
    let meant = judge(&paused, &timed([first.clone(), opens(0), then].concat()));
    assert!(matches!(meant, Verdict::Fail(_)), "{meant:?}");
    let paused_before = of_impatience([pause(), connect, expect].concat());
    let then = vec![
        (5_000, done(1)),
        (9_000, What::StepBegan(2)),
        (9_000, finished()),
        (9_000, done(2)),
    ];
    let begins = vec![(5_000, What::StepBegan(1))];
    let late = timed([first, begins, opens(5_000), then].concat());
    assert_eq!(doubt_of(judge(&paused_before, &late)), "silent-by-us");
}

#[test]
fn server_whose_questions_a_client_has_answered_may_be_waiting_for_a_time_out() {
    let question = Template::parse(r"PING {any}\n").unwrap();
    let mut trial = expects_hello();
    trial.unasked = [question].into_iter().collect();
    let asks = || {
        let question = b"PING 1\n".to_vec();
        What::Client(ALICE, ClientEvent::Received(question.into()))
    };
    let answers = What::Client(ALICE, ClientEvent::Sent(b"PONG 1\n".to_vec().into()));
    let said = |between: Option<What>| {
        let mut what = vec![What::Phase(Phase::Scenario), What::StepBegan(0)];
        what.extend([asks(), asks()]);
        what.extend(between);
        what.push(asks());
        what.push(What::StepEnded {
            step: 0,
            member: Some(0),
            how: Ended::NotYet(Duration::from_secs(60)),
        });
        judge(&trial, &transcript(what))
    };
    assert_eq!(doubt_of(said(Some(answers))), "not-yet");
    assert!(matches!(said(None), Verdict::Fail(_)));
}

/// How often a phase was performed between the first sample of a moment and the one before, where each event takes so long.
fn performed_before(
    moment: Moment,
    phase: Phase,
    pace: Duration,
    sample: Held,
    held: impl Fn(usize, usize) -> usize,
) -> usize {
    let seen = dosed_in(pace, &with_polite_clients(), sample, held);
    let what: Vec<&What> = seen.events.iter().map(|event| &event.what).collect();
    let is_sample = |what: &&&What| matches!(what, What::Sample(..));
    let at = |what: &&What| matches!(what, What::Sample(at, _) if *at == moment);
    let end = what.iter().position(at).expect("it was sampled");
    let since_sample = what[..end].iter().rev();
    let since_sample = since_sample.take_while(|what| !is_sample(what));
    let performed = since_sample.filter(|what| ***what == What::Phase(phase));
    performed.count()
}

#[test]
fn pools_are_filled_and_servers_pressed_for_as_long_as_there_is_time() {
    let slowly = Duration::from_millis(1_500);
    let endless = |runs: usize, polite: usize| 3 + runs + polite;
    let filled = performed_before(Moment::Warm, Phase::After, slowly, threads, endless);
    assert_eq!(filled, 2);
    let leaks = |runs: usize, _| 3 + 100 * runs;
    let pressed = |pace| performed_before(Moment::Pressed, Phase::Pressure, pace, sockets, leaks);
    assert_eq!(pressed(Duration::from_millis(10)), 5);
    assert_eq!(pressed(Duration::from_secs(6)), 2);
}

#[test]
fn server_that_is_known_to_be_busy_and_rests_after_all_is_looked_at_for_leaks() {
    let trial = with_polite_clients().knowing(vec!["busy".to_owned()]);
    let seen = dosed(&trial, sockets, |runs, _| 3 + runs);
    let reason = reason(judge(&trial, &seen));
    assert!(
        reason.starts_with("open sockets grow by 1 a run"),
        "{reason}"
    );
}

#[test]
fn end_by_a_signal_may_be_awaited_and_a_violent_one_may_not() {
    let trial = told(&[waits(ServerExpectation::Exit(None))]);
    let by = |signal| {
        end_of(
            &trial,
            vec![What::StepBegan(0), exited(Exit::Signal(signal))],
        )
    };
    assert_eq!(by(libc::SIGTERM), None);
    assert!(by(libc::SIGKILL).is_some());
    assert!(by(libc::SIGSEGV).is_some());
}

#[test]
fn reply_of_which_not_all_was_kept_is_not_said_to_be_wrong() {
    let long = "x".repeat(4_096);
    let owed = Expectation::Data(Data::literal(long.clone()));
    let trial = trial(ClientSteps::of(0).expect(owed).lines());
    let kept = crate::model::passage::Cut::of(long.as_bytes());
    let verdict = judge(
        &trial,
        &seen(ClientEvent::Received(kept.into()), Ended::Done),
    );
    assert!(
        matches!(verdict, Verdict::Inconclusive(Doubt::Unkept { .. })),
        "{verdict:?}"
    );
}

#[test]
fn server_that_does_not_start_beside_its_helpers_may_have_left_them_its_socket() {
    let beside = told(&[ServerAction::StartBesideHelpers]);
    let why = |events: Vec<ServerEvent>| {
        let events = events.into_iter().map(What::Server);
        let before = [What::Phase(Phase::Scenario), What::StepBegan(0)];
        let over = What::StepEnded {
            step: 0,
            member: None,
            how: Ended::Done,
        };
        let what = before.into_iter().chain(events).chain([over]);
        match judge(&beside, &transcript(what.collect())) {
            Verdict::Fail(finding) => finding.cause.kind(),
            other => panic!("{other:?}"),
        }
    };
    let failed = || ServerEvent::StartFailed("it exited with status 1".to_owned());
    let inherited = ServerEvent::ListenerInherited {
        program: "sleep".to_owned(),
        pid: 9,
    };
    assert_eq!(why(vec![failed()]), "did-not-start");
    assert_eq!(why(vec![inherited, failed()]), "listener-inherited");
}

/// Who waits for what the kernel does alone is not kept from it by a server that takes nobody.
#[test]
fn client_that_lies_in_the_queue_is_kept_from_what_only_a_server_gives() {
    let failed = |what: Expectation| {
        let trial = trial(ClientSteps::of(0).expect(what).lines());
        let out = Ended::OutOfTime(Duration::from_secs(5));
        match judge(&trial, &seen(ClientEvent::NotTaken(3), out)) {
            Verdict::Fail(finding) => finding.cause.key(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failed(hello()), "queued");
    assert_eq!(failed(fin()), "queued");
    assert_eq!(failed(Expectation::Connected), "step-failed/nothing");
}

/// What a server that was sampled so is said to have done wrong.
fn said_of_sample(before: Vec<What>, after: Sample) -> Option<Cause> {
    let baseline = Sample {
        at_rest: true,
        ..Sample::default()
    };
    let first = vec![What::Sample(Moment::Baseline, baseline.into())];
    let last = vec![What::Sample(Moment::After, after.into())];
    match judge(&trial(vec![]), &transcript([first, before, last].concat())) {
        Verdict::Pass => None,
        Verdict::Fail(finding) => Some(finding.cause),
        other => panic!("{other:?}"),
    }
}

#[test]
fn output_may_be_as_long_as_what_is_logged_of_connections_and_bytes_explains() {
    let floods = |output_bytes| {
        let client = |event| What::Client(ALICE, event);
        let sent = ClientEvent::Sent(vec![0; 100].into());
        let before = [connection(), connection(), connection(), sent].map(client);
        let after = Sample {
            at_rest: true,
            output_bytes,
            ..Sample::default()
        };
        said_of_sample(before.into(), after).is_some()
    };
    let explained = (8 << 20) + 3 * (64 << 10) + 100 * 16;
    assert!(!floods(explained));
    assert!(floods(explained + 1));
}

#[test]
fn server_that_does_not_rest_is_said_to_be_at_what_it_was_seen_at_last() {
    let toil = |reads| crate::kernel::Toil {
        reads,
        ..crate::kernel::Toil::default()
    };
    let toils = |reads| What::Server(ServerEvent::Toils(toil(reads)));
    let spins = Sample {
        cpu_percent: 100,
        spins: true,
        ..Sample::default()
    };
    let seen = vec![toils(7), toils(9_000)];
    let busy = Cause::Busy {
        percent: 100,
        toil: Some(toil(9_000)),
    };
    assert_eq!(said_of_sample(seen, spins), Some(busy));
}

#[test]
fn time_that_we_lacked_does_not_excuse_what_the_server_did_beside() {
    let out = Ended::OutOfTime(Duration::from_secs(1));
    let mut seen = seen(ClientEvent::Received(b"HEL".to_vec().into()), out);
    let at = Duration::from_secs(4);
    let starved = What::Starved(Duration::from_secs(9));
    seen.events.push(Event { at, what: starved });
    assert_eq!(doubt_of(judge(&expects_hello(), &seen)), "starved");
    let flooded = Sample {
        at_rest: true,
        output_bytes: 1 << 30,
        ..Sample::default()
    };
    let what = What::Sample(Moment::After, flooded.into());
    seen.events.push(Event { at, what });
    let verdict = judge(&expects_hello(), &seen);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

#[test]
fn high_descriptor_is_seen_from_its_number_on() {
    let sees = |highest: u32| {
        let mut server_state = ServerState::default();
        let limit = 20_000;
        server_state.apply(&Event {
            at: Duration::ZERO,
            what: What::Server(ServerEvent::Descriptors { highest, limit }),
        });
        server_state.look(&ServerExpectation::Descriptor(1_024)) == Progress::Met
    };
    assert_eq!([1_023, 1_024, 1_025].map(sees), [false, true, true]);
}

#[test]
fn dose_of_a_slow_scenario_is_one_run_at_least_and_no_more_than_there_is_time_for() {
    let leaks = |runs: usize, _: usize| 3 + 100 * runs;
    let pace = Duration::from_secs(13);
    let seen = dosed_in(pace, &with_polite_clients(), sockets, leaks);
    let what = seen.events.iter().map(|event| &event.what);
    let behind = what.skip_while(|what| !matches!(what, What::Sample(Moment::Pressed, _)));
    let runs = behind.filter(|what| **what == What::Phase(Phase::Scenario));
    assert_eq!(runs.count(), 1);
}
