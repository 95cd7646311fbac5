//! Signals, and stopping: a server ends when it is told to, leaves nothing behind, and finishes what it has begun.

use super::derive::{narrow, requests, with_connect_options};
use super::partial;
use crate::checks::counterexample::{Stream, answer, each, echo, listen};
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy, Referral};
use crate::model::data::Data;
use crate::model::defect::Defect;
use crate::model::dialogue::{
    self, ClientSteps, scenario, server_does, server_expects, server_expects_within, settle,
};
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::need::Need;
use crate::model::profile::{Framing, Rule, STOP_WITHIN, Sessions, Transport};
use crate::model::scenario::{ClientGroup, Line, Scenario, Step, Waiver};
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::subject::Subject;
use crate::sys::signals::{block, wait_for};
use crate::transcript::fault::Fault;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The signal that stops the server: the promised one, or TERM.
pub(super) fn signal(subject: &Subject) -> Signal {
    subject
        .profile
        .promises
        .stop
        .map_or(Signal::Term, |stop| stop.signal)
}

fn within(subject: &Subject) -> Duration {
    subject
        .profile
        .promises
        .stop
        .map_or(STOP_WITHIN, |stop| stop.within)
}

fn expects_exit(subject: &Subject) -> Line {
    server_expects_within(ServerExpectation::Exit(None), within(subject))
}

/// How long the end may take while a client stays; `None` where the server waits for as long as that stays.
fn within_with_clients(subject: &Subject) -> Option<Duration> {
    match subject.profile.promises.stop {
        Some(stop) => stop.within_with_clients(),
        None => Some(STOP_WITHIN),
    }
}

/// Waits for the end without holding the server to it: that is for the checks of this family. `None` where the server may
/// wait for as long as its clients stay.
pub(super) fn requires_exit(subject: &Subject) -> Option<Line> {
    let within = Some(within_with_clients(subject)?);
    let what = ServerExpectation::Exit(None);
    Some(Step::Server(ServerAction::Require { what, within }).into())
}

/// A client that has been served where the profile allows it, so that the server has it in hand and not only the kernel.
pub(super) fn served_and_silent(subject: &Subject) -> ClientSteps {
    let steps = ClientSteps::of(0).open_accepted(subject);
    match subject.profile.closes_after_exchange() {
        true => steps,
        false => steps.request_and_reply(subject),
    }
}

/// A client that comes after the end, where there is a port to come to: the listener is gone.
fn refused(subject: &Subject) -> Vec<Line> {
    match subject.place.transport {
        Transport::Tcp => ClientSteps::of(1)
            .connect_without_waiting()
            .expect(Expectation::Refused)
            .lines(),
        _ => Vec::new(),
    }
}

/// A scenario that leaves no server behind to be served by.
fn ended(scenario: Scenario) -> Scenario {
    let waived = vec![Waiver {
        invariant: Invariant::Served,
        reason: "the server has ended".to_owned(),
    }];
    Scenario { waived, ..scenario }
}

/// Starting again is a part of the proof, and where it fails for what is left of connections or of a path, not its matter.
const RESTART: &[Referral] = &[Referral {
    cause: "did-not-start",
    see: &["time-wait/restart", "local/stale-path"],
}];

fn start_again() -> Line {
    server_does(ServerAction::Start(Streams::Usual))
}

/// What stays behind would keep the port; so starting again is a part of the proof.
fn ends_cleanly(subject: &Subject) -> Vec<Line> {
    vec![
        expects_exit(subject),
        server_expects(ServerExpectation::Gone),
        start_again(),
    ]
}

/// The same although the first client stays, who leaves once that is seen. `None` where the server may wait for it for ever.
fn ends_beside_a_client(subject: &Subject) -> Option<Vec<Line>> {
    let within = within_with_clients(subject)?;
    let told = vec![
        server_does(ServerAction::Signal(signal(subject))),
        server_expects_within(ServerExpectation::Exit(None), within),
    ];
    let leaves = ClientSteps::of(0).then(Action::Close).lines();
    let gone = vec![server_expects(ServerExpectation::Gone), start_again()];
    Some([told, leaves, gone].concat())
}

/// What the reference server `club` does.
pub(super) fn member(stream: &mut Stream) -> std::io::Result<()> {
    member_who(stream, || {})
}

/// The same; `is_in` is called when the client has been welcomed.
pub(super) fn member_who(stream: &mut Stream, is_in: impl Fn()) -> std::io::Result<()> {
    let mut line = Vec::new();
    let mut is_welcome = false;
    answer(stream, |bytes| {
        let mut said = Vec::new();
        line.extend_from_slice(bytes);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.drain(..=end);
            let reply: &[u8] = match is_welcome {
                false => b"WELCOME as number 1\n",
                true => b"PONG\n",
            };
            said.extend_from_slice(reply);
            is_welcome = true;
            is_in();
        }
        said
    })
}

static OPEN: Mutex<Vec<Stream>> = Mutex::new(Vec::new());

/// Echoes, and runs `on_signal` with the number of the signal and how many came before it.
fn echo_until(
    address: &Address,
    on_signal: impl Fn(i32, usize) + Send + 'static,
) -> std::io::Result<()> {
    serve_until(address, echo, on_signal)
}

/// Converses with each client, and runs `on_signal` with the number of the signal and how many came before it.
fn serve_until(
    address: &Address,
    converse: fn(&mut Stream) -> std::io::Result<()>,
    on_signal: impl Fn(i32, usize) + Send + 'static,
) -> std::io::Result<()> {
    // Blocked before the first thread is made, so that all inherit it and one waits (sigwaitinfo(2)).
    block(&[libc::SIGTERM, libc::SIGINT])?;
    let listener = listen(address)?;
    std::thread::spawn(move || {
        for before in 0.. {
            if let Ok(number) = wait_for(&[libc::SIGTERM, libc::SIGINT]) {
                on_signal(number, before);
            }
        }
    });
    each(&listener, move |stream| {
        if let (Ok(mut open), Ok(copy)) = (OPEN.lock(), stream.try_clone()) {
            open.push(copy);
        }
        let result = converse(stream);
        let gone = stream.peer_addr().ok();
        if let Ok(mut open) = OPEN.lock() {
            open.retain(|other| other.peer_addr().ok() != gone && other.peer_addr().is_ok());
        }
        result
    })
}

/// How many have sent the beginning of a line, or have not read what was written to them.
static UNFINISHED: AtomicUsize = AtomicUsize::new(0);

struct Unfinished;

impl Unfinished {
    fn begin() -> Self {
        UNFINISHED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        UNFINISHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ends once nobody is unfinished, which may never be.
fn end_when_all_have_finished(_: i32, _: usize) {
    while UNFINISHED.load(Ordering::SeqCst) > 0 {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    std::process::exit(0);
}

/// Returns lines; who has sent the beginning of one is unfinished.
fn echo_lines(stream: &mut Stream) -> std::io::Result<()> {
    let (mut line, mut begun) = (Vec::new(), None);
    let result = answer(stream, |bytes| {
        line.extend_from_slice(bytes);
        let end = line.iter().rposition(|byte| *byte == b'\n');
        let whole = line.drain(..end.map_or(0, |at| at + 1)).collect();
        begun = (!line.is_empty()).then(Unfinished::begin);
        whole
    });
    drop(begun);
    result
}

/// Returns what comes; who has not taken it is unfinished.
fn echo_at_its_pace(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        let _unfinished = Unfinished::begin();
        stream.write_all(&buffer[..bytes])?;
    }
}

/// A line whose reply is larger than what the kernel takes of a server for a client that does not read (`wmem_max`, twice:
/// socket(7)), since no window lets the send buffer grow.
const LONG_LINE: usize = 1 << 20;

/// The long line, where the server takes so much, and may be owing as much.
pub(super) fn long_line(subject: &Subject) -> Option<Data> {
    let model = subject.profile.model()?;
    let takes_it = model.framing == Framing::Line && model.at_most(LONG_LINE) == LONG_LINE;
    (takes_it && model.rule != Rule::Discard).then(|| model.payload(LONG_LINE, subject.seed))
}

/// A server that answers sooner need not be tried: to stop one takes two looks, and the time in which signals arrive.
const STOPPED_WITHIN: Duration = Duration::from_millis(20);

/// What is shown of a server that was stopped before it had answered.
pub(crate) fn unanswered() -> Fault {
    Fault::Required(Expectation::Nothing)
}

/// What tells, of a server that is to complete what is in flight, whether it takes its time for an answer: that it was seen to do so
/// once may have been the host's doing.
pub(crate) fn caught_unanswered(subject: &Subject) -> Option<Scenario> {
    let needs = [
        Need::STREAM,
        Need::REQUEST,
        Need::REPLY,
        Need::COMPLETES_IN_FLIGHT,
    ];
    let seems_slow = subject
        .reply_time
        .is_some_and(|took| took >= STOPPED_WITHIN);
    let is_asked = needs.iter().all(|need| need.unmet(subject).is_none());
    if subject.is_elsewhere || !is_asked || !seems_slow || long_line(subject).is_some() {
        return None;
    }
    let goes_on = ClientSteps::of(0).expect_reply(subject).finish(subject);
    Some(scenario(
        "a server that is stopped before it has answered",
        &[("alice", 1)],
        vec![
            stopped_unanswered(subject),
            vec![server_does(ServerAction::Continue)],
            goes_on.lines(),
        ],
    ))
}

/// A client that has asked a question which the server has read, and not answered.
///
/// The kernel's queue is empty before the thread that reads has noted what it has read: not until that thread waits again
/// is the request in the server's hands. The server is stopped while it is looked whether it has answered.
fn stopped_unanswered(subject: &Subject) -> Vec<Line> {
    let request = dialogue::request(&subject.profile).unwrap_or_default();
    let asks = ClientSteps::of(0).open(subject).send(request);
    let unanswered = ClientSteps::of(0).require(Expectation::Nothing);
    [
        asks.require(Expectation::Taken).lines(),
        vec![settle(), server_does(ServerAction::Stop)],
        unanswered.lines(),
    ]
    .concat()
}

/// The same, of which the server is told to end, and runs on.
fn asked_a_slow_one(subject: &Subject) -> Vec<Line> {
    let told = server_does(ServerAction::Signal(signal(subject)));
    [
        stopped_unanswered(subject),
        vec![told, server_does(ServerAction::Continue)],
        ClientSteps::of(0).expect_reply(subject).lines(),
    ]
    .concat()
}

/// A client that does not read, until the signal has come, an answer that is more than the kernel takes for it.
fn asked_for_much(line: Data, subject: &Subject) -> Option<Vec<Line>> {
    let reply = subject.profile.model()?.reply(&line)?;
    let within = partial::within(line.length());
    let asks = ClientSteps::of(0)
        .then(Action::Connect(narrow(subject)))
        .secured(subject)
        .then(Action::Stall)
        .send_in_background(line)
        .require(Expectation::Taken);
    let told = vec![
        settle(),
        server_does(ServerAction::Signal(signal(subject))),
        settle(),
    ];
    let reads = ClientSteps::of(0)
        .then(Action::Read(None))
        .expect_within(Expectation::Data(reply), within);
    Some([asks.lines(), told, reads.lines()].concat())
}

/// So much is asked for by a client that does not read.
const MUCH: usize = 8 << 20;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "stop/term-idle",
        requirement: "A server without clients ends in time when it is told to, and leaves nothing of itself behind.",
        why: "TERM is not handled, or ignored by a process that is number 1: containers are then killed after ten \
              seconds: https://github.com/drasi-project/drasi-server/issues/199 https://github.com/bpatrik/pigallery2/issues/662",
        method: "The server gets the signal of its profile; then it is started again.",
        quantities: "",
        fix: "Let the default of SIGTERM be, or handle it by ending.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[Need::MANY_CONNECTIONS, Need::STOPS],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let told = vec![server_does(ServerAction::Signal(signal(subject)))];
            Some(vec![scenario(
                "told to end, without clients",
                &[],
                vec![told, ends_cleanly(subject)],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: |address| echo_until(address, |_, _| {}),
        },
    },
    Check {
        id: "stop/term-idle-client",
        requirement: "A server ends in time when it is told to, although a client is connected and silent.",
        why: "The drain waits for a connection that has nothing to say: \
              https://github.com/yesodweb/wai/issues/853 https://github.com/hasura/graphql-engine/issues/7785",
        method: "A client connects and is silent; the server gets the signal.",
        quantities: "",
        fix: "Close idle connections when draining, and give the drain a limit.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[
            Need::STREAM,
            Need::MANY_CONNECTIONS,
            Need::STOPS,
            Need::STOPS_WITH_CLIENTS,
        ],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let within = within_with_clients(subject)?;
            Some(vec![scenario(
                "told to end, with a silent client",
                &[("alice", 1), ("late", 1)],
                vec![
                    served_and_silent(subject).lines(),
                    vec![
                        server_does(ServerAction::Signal(signal(subject))),
                        server_expects_within(ServerExpectation::Exit(None), within),
                    ],
                    // A process of its own for each client may see its conversation to the end (sshd does), but then it
                    // has closed the listener that it inherited.
                    refused(subject),
                    ClientSteps::of(0).then(Action::Close).lines(),
                    vec![server_expects(ServerExpectation::Gone), start_again()],
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: |address| {
                echo_until(address, |_, _| {
                    // Waits for clients that have no reason to leave.
                    while OPEN.lock().is_ok_and(|open| !open.is_empty()) {
                        std::thread::park_timeout(Duration::from_millis(10));
                    }
                    std::process::exit(0);
                })
            },
        },
    },
    Check {
        id: "stop/sessions",
        requirement: "A client that is connected when the server is told to end is closed, waited for or served on, as is promised.",
        why: "A restart cuts the conversations that it was to spare, or never comes to its end for their sake: \
              https://github.com/benoitc/gunicorn/issues/2529 https://github.com/hasura/graphql-engine/issues/7785",
        method: "A client is served and stays; the server gets the signal; the client is closed in time, or it goes on and \
                   leaves, and the server ends then.",
        quantities: "",
        fix: "Close idle connections when told to end, or count the clients and end with the last, or promise what it does.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[
            Need::STREAM,
            Need::MANY_CONNECTIONS,
            Need::ANSWERS_AGAIN,
            Need::SESSIONS,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let open = served_and_silent(subject).lines();
            let told = server_does(ServerAction::Signal(signal(subject)));
            let again = ClientSteps::of(0).request_and_reply(subject).lines();
            let leave = ClientSteps::of(0).then(Action::Close).lines();
            let end = ClientSteps::of(0).expect_within(Expectation::any_end(), within(subject));
            let rest = match subject.profile.promises.stop?.sessions? {
                Sessions::Closed => vec![end.lines(), vec![expects_exit(subject)], leave],
                Sessions::WaitedFor { .. } => {
                    vec![again, leave, vec![expects_exit(subject)]]
                }
                Sessions::Kept => vec![vec![expects_exit(subject)], refused(subject), again, leave],
            };
            let gone = vec![server_expects(ServerExpectation::Gone)];
            Some(vec![ended(scenario(
                "told to end, with a client that goes on",
                &[("alice", 1), ("late", 1)],
                // What it does at the signal is done before the client goes on.
                [vec![open, vec![told, settle()]], rest, vec![gone]].concat(),
            ))])
        },
        counterexample: Counterexample {
            instead_of: "club",
            shows: "step-failed",
            serve: |address| {
                block(&[libc::SIGTERM, libc::SIGINT])?;
                let listener = listen(address)?;
                std::thread::spawn(|| {
                    // Ends under its clients.
                    while wait_for(&[libc::SIGTERM, libc::SIGINT]).is_err() {}
                    std::process::exit(0);
                });
                each(&listener, member)
            },
        },
    },
    Check {
        id: "stop/term-in-flight",
        requirement: "A request that was read and not answered when the server was told to end is answered.",
        why: "The process ends under its conversations: https://github.com/benoitc/gunicorn/issues/2529",
        method: "Of a server that answers lines: a client sends a line of 1 MiB and reads nothing, so that the reply is in the \
                   server's hands; it gets the signal, and the client reads. Of another that takes its time: a client sends its \
                   request, which the server reads, and comes to rest; it is stopped, the kernel shows that it has answered nothing, \
                   it gets the signal and runs on. Either gets the whole reply.",
        quantities: "1 MiB is several times what the kernel takes of a reply for a client with the smallest window, \
                     also of a server that asks for the largest send buffer (wmem_max, 208 KiB, twice), so that the \
                     answer is in flight when the signal comes. --deep changes nothing.",
        fix: "Stop accepting, finish what has begun, then end.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[
            Need::STREAM,
            Need::REQUEST,
            Need::REPLY,
            Need::COMPLETES_IN_FLIGHT,
            Need::IN_FLIGHT,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            // Whoever takes its time over a long line is asked for one, too: how slow it is then decides nothing.
            let asked = match long_line(subject) {
                Some(line) => asked_for_much(line, subject)?,
                None => subject.takes_its_time.then(|| asked_a_slow_one(subject))?,
            };
            let leaves = ClientSteps::of(0).then(Action::Close).lines();
            Some(vec![ended(scenario(
                "told to end before a request is answered",
                &[("alice", 1)],
                vec![asked, leaves, vec![expects_exit(subject)]],
            ))])
        },
        counterexample: Counterexample {
            instead_of: "line-echo",
            shows: "step-failed",
            serve: |address| serve_until(address, echo_lines, |_, _| std::process::exit(0)),
        },
    },
    Check {
        id: "stop/term-mid-request",
        requirement: "Half a request does not keep a server that was told to end for longer than is promised.",
        why: "The drain waits for the rest of what has begun, which never comes: \
              https://github.com/hyperium/hyper/pull/3233",
        method: "A client sends half a request, which the server reads, and falls silent; the server gets the signal.",
        quantities: "",
        fix: "Give the rest of a request a limit when draining, and end the connection then.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[
            Need::STREAM,
            Need::MANY_CONNECTIONS,
            Need::LONG_REQUEST,
            Need::STOPS,
            Need::STOPS_WITH_CLIENTS,
        ],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let half = &request[..request.len() / 2];
            let asks = ClientSteps::of(0).open(subject).send(half);
            Some(vec![scenario(
                "told to end in the middle of a request",
                &[("alice", 1)],
                vec![asks.lines(), vec![settle()], ends_beside_a_client(subject)?],
            )])
        },
        counterexample: Counterexample {
            instead_of: "line-echo",
            shows: "server-step-failed",
            serve: |address| serve_until(address, echo_lines, end_when_all_have_finished),
        },
    },
    Check {
        id: "stop/term-stalled-reader",
        requirement: "A client that does not read what it is owed does not keep a server that was told to end for longer than is promised.",
        why: "The drain waits until all output is written, and one client that takes none of it keeps the server for ever: \
              https://github.com/utensils/mold/issues/1582 https://github.com/h2o/h2o/pull/1108",
        method: "A client asks for megabytes and reads nothing; the server gets the signal.",
        quantities: "8 MiB are more than the largest send buffer (4 MiB, tcp_wmem) takes, so that output waits in the \
                     server when the signal comes. --deep changes nothing: more would wait in the same way.",
        fix: "Give the last output a limit when draining, and end the connection then.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[
            Need::STREAM,
            Need::MANY_CONNECTIONS,
            Need::REPLY,
            Need::ASKS_FOR_MUCH,
            Need::NO_OUTPUT_LIMIT,
            Need::STOPS,
            Need::STOPS_WITH_CLIENTS,
        ],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let asks = ClientSteps::of(0)
                .open(subject)
                .then(Action::Stall)
                .send_in_background(requests(subject, MUCH)?);
            Some(vec![scenario(
                "told to end, with a client that does not read",
                &[("alice", 1)],
                vec![
                    with_connect_options(asks.lines(), &narrow(subject)),
                    vec![settle()],
                    ends_beside_a_client(subject)?,
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: |address| serve_until(address, echo_at_its_pace, end_when_all_have_finished),
        },
    },
    Check {
        id: "stop/term-twice",
        requirement: "A second signal during the drain ends the server no worse than the first.",
        why: "The handler runs twice and closes twice, or the second signal is lost: \
              https://github.com/cloudamqp/amqproxy/pull/74",
        method: "A client is connected; the server gets the signal, and once more unless that has ended it.",
        quantities: "",
        fix: "Make the handler idempotent.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[Need::MANY_CONNECTIONS, Need::STOPS],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let told = server_does(ServerAction::Signal(signal(subject)));
            let again = server_does(ServerAction::SignalAgain(signal(subject)));
            let (open, leave) = match subject.place.transport.is_datagram() {
                true => (Vec::new(), Vec::new()),
                false => (
                    ClientSteps::of(0).open_accepted(subject).lines(),
                    ClientSteps::of(0).then(Action::Close).lines(),
                ),
            };
            // Whoever waits for as long as a client stays may do so after a second signal too.
            let exit = match within_with_clients(subject) {
                Some(within) => {
                    vec![server_expects_within(ServerExpectation::Exit(None), within)]
                }
                None => [leave, vec![expects_exit(subject)]].concat(),
            };
            Some(vec![scenario(
                "told to end twice",
                &[("alice", 1)],
                vec![open, vec![told, settle(), again], exit, vec![start_again()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                echo_until(address, |_, before| {
                    if before > 0 {
                        std::process::abort();
                    }
                    // A drain, so that the second signal finds it under way.
                    std::thread::spawn(|| {
                        std::thread::park_timeout(Duration::from_millis(500));
                        std::process::exit(0);
                    });
                })
            },
        },
    },
    Check {
        id: "stop/int",
        requirement: "A server ends when it is interrupted.",
        why: "Ctrl-C is what a person at a terminal has: https://github.com/mrmn2/PdfDing/issues/165",
        method: "The server gets SIGINT.",
        quantities: "",
        fix: "Let the default of SIGINT be, or handle it by ending.",
        defect: &Defect::GRACEFUL_STOP,
        needs: &[Need::MANY_CONNECTIONS, Need::STOPS],
        policy: Policy {
            fresh_server: true,
            referrals: RESTART,
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            Some(vec![scenario(
                "interrupted",
                &[],
                vec![vec![
                    server_does(ServerAction::Signal(Signal::Int)),
                    expects_exit(subject),
                    start_again(),
                ]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: |address| {
                echo_until(address, |number, _| {
                    if number == libc::SIGTERM {
                        std::process::exit(0);
                    }
                })
            },
        },
    },
    Check {
        id: "stop/stdout-closed",
        requirement: "A server goes on serving when nobody reads its standard output any more.",
        why: "The first line of a log then fails with EPIPE and SIGPIPE: \
              https://github.com/official-stockfish/Stockfish/pull/7028",
        method: "The server's output is a pipe whose reader leaves as soon as the server listens; then clients are \
                   served.",
        quantities: "",
        fix: "Ignore SIGPIPE and errors of logging.",
        defect: &Defect::STREAMS,
        needs: &[Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            recommends: &[Invariant::Alive, Invariant::Served],
            ..Policy::SHOULD
        },
        scenarios: |subject| Some(started_with(Streams::StdoutClosed, subject)),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    if writeln!(std::io::stdout(), "a client").is_err() {
                        std::process::exit(1);
                    }
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "stop/stdin-closed",
        requirement: "A server whose standard input is at its end goes on serving.",
        why: "A prompt for an operator, or a library that reads commands, takes the end of input for the order to end.",
        method: "The server is started with its input at the end, and clients are served.",
        quantities: "",
        fix: "Do not read standard input in a server, or take its end for silence.",
        defect: &Defect::STREAMS,
        needs: &[Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| Some(started_with(Streams::StdinClosed, subject)),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                std::thread::spawn(|| {
                    use std::os::fd::AsFd;
                    let stdin = std::io::stdin();
                    let is_pipe = rustix::fs::fstat(stdin.as_fd()).is_ok_and(|stat| {
                        rustix::fs::FileType::from_raw_mode(stat.st_mode).is_fifo()
                    });
                    if is_pipe && std::io::copy(&mut stdin.lock(), &mut std::io::sink()).is_ok() {
                        std::process::exit(0);
                    }
                });
                each(&listener, |stream| {
                    // Long enough for the other thread to have read.
                    std::thread::park_timeout(Duration::from_millis(50));
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "stop/descriptors-closed",
        requirement: "A server that is started without standard streams listens and serves, and prints to no client.",
        why: "The lowest number that is free goes to the next that is opened: a socket gets 0, which is taken for an error, or \
              2, and the log goes to a client. Cron, supervisors and remote shells have started servers so, and POSIX leaves \
              open what a program finds then (exec, standard descriptors), so that nobody is failed for it: \
              https://github.com/zeromq/libzmq/issues/2328 https://github.com/golang/go/issues/57442",
        method: "The server is killed and started again with descriptor 0 closed, then with 0, 1 and 2 closed, and clients are \
                 served. Runtimes that open /dev/null in their place pass.",
        quantities: "",
        fix: "Open /dev/null for each of 0, 1 and 2 that is closed before anything else is opened, as the runtimes of Go and \
              Rust do; take -1 alone for an error.",
        defect: &Defect::STREAMS,
        needs: &[Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            recommends: &[
                Invariant::Alive,
                Invariant::Served,
                Invariant::IdleCpu,
                Invariant::Listens,
            ],
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            let ways = [Streams::NoStdin, Streams::NoneAtAll];
            let started = |streams| {
                let mut scenarios = started_with(streams, subject);
                let lines = several(subject);
                scenarios.iter_mut().for_each(|scenario| {
                    scenario.clients.push(ClientGroup {
                        name: "bob".to_owned(),
                        members: at_once(subject),
                    });
                    scenario.lines.extend(lines.clone());
                });
                scenarios
            };
            Some(ways.map(started).concat())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    if has_no_output()? {
                        // The runtime has mended it; this is what is without that.
                        rustix::stdio::dup2_stdout(&*stream)?;
                    }
                    writeln!(std::io::stdout(), "a client")?;
                    echo(stream)
                })
            },
        },
    },
];

/// So many have the numbers of all standard streams between them.
fn at_once(subject: &Subject) -> u32 {
    match subject.profile.serves_concurrently() {
        true => subject.at_once(4),
        false => 1,
    }
}

/// Some who come to stay, and go on once all are there: nothing has been said to any of them that is not its due.
fn several(subject: &Subject) -> Vec<Line> {
    let stays = !subject.profile.closes_after_exchange() && subject.answers_again;
    let again = match stays {
        true => ClientSteps::of(1).request_and_reply(subject),
        false => ClientSteps::of(1),
    };
    let there = ClientSteps::of(1).come_to_stay(subject).lines();
    let leave = again.then(Action::Close).lines();
    [there, vec![settle()], leave].concat()
}

/// Whether the standard output of this process was closed at its start, and is the device that swallows all since, or a client.
fn has_no_output() -> std::io::Result<bool> {
    let output = rustix::fs::fstat(std::io::stdout())?;
    let kind = rustix::fs::FileType::from_raw_mode(output.st_mode);
    let null = rustix::fs::stat("/dev/null")?;
    Ok(output.st_rdev == null.st_rdev || kind == rustix::fs::FileType::Socket)
}

/// Ends the server and starts it again with other standard streams; the polite client afterwards is the judge.
fn started_with(streams: Streams, subject: &Subject) -> Vec<Scenario> {
    let polite = ClientSteps::of(0).polite(subject).lines();
    // Nobody is served by the first server: what its connections leave behind is for the family time-wait.
    let waived = vec![Waiver {
        invariant: Invariant::Served,
        reason: "only the second server is of interest".to_owned(),
    }];
    vec![Scenario {
        waived,
        ..scenario(
            "started with other standard streams",
            &[("alice", 1)],
            vec![
                vec![
                    server_does(ServerAction::Signal(Signal::Kill)),
                    dialogue::server_requires(ServerExpectation::Exit(None)),
                    server_does(ServerAction::Start(streams)),
                ],
                polite.clone(),
                polite,
            ],
        )
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    #[test]
    fn server_that_seems_slow_and_completes_what_is_in_flight_is_stopped_before_it_answers() {
        let promises = "[promises]\nstop = { signal = \"TERM\", in-flight = \"completes\" }\n";
        let of = |model: &str, promises: &str, took: Option<u64>| {
            let subject = Subject {
                reply_time: took.map(Duration::from_millis),
                ..server(&format!("{model}{promises}"))
            };
            caught_unanswered(&subject).map(|tried| tried.to_string())
        };
        let streams = "model = \"echo\"\nframing = \"stream\"\n";
        let tried = of(streams, promises, Some(20)).unwrap();
        let order = [
            "require taken",
            "settle",
            "server stop",
            "require nothing",
            "server continue",
        ];
        let places: Vec<_> = order.iter().map(|step| tried.find(step).unwrap()).collect();
        assert!(places.is_sorted(), "{tried}");
        assert!(!tried.contains("server signal"), "{tried}");
        assert_eq!(of(streams, promises, Some(19)), None);
        assert_eq!(of(streams, promises, None), None);
        assert_eq!(of(streams, "", Some(20)), None);
        // Who answers lines is asked for a long one.
        let lines = "model = \"echo\"\nframing = \"line\"\n";
        assert_eq!(of(lines, promises, Some(20)), None);
    }

    #[test]
    fn long_line_is_said_to_a_server_that_takes_it_and_answers() {
        let said = |profile: &str| long_line(&server(profile)).map(|line| line.length());
        let lines = "model = \"echo\"\nframing = \"line\"\n";
        assert_eq!(said(lines), Some(1 << 20));
        let longest = |bytes: usize| said(&format!("{lines}[promises]\nlongest = \"{bytes}B\"\n"));
        assert_eq!(longest(1 << 20), Some(1 << 20));
        assert_eq!(longest((1 << 20) - 1), None);
        assert_eq!(said("model = \"discard\"\nframing = \"line\"\n"), None);
        assert_eq!(said("model = \"echo\"\nframing = \"stream\"\n"), None);
    }

    #[test]
    fn clients_go_on_where_they_stay_and_are_answered_again() {
        let asks = |subject: &Subject| {
            let lines = several(subject);
            let sends = lines.iter().filter_map(Line::action);
            sends
                .filter(|action| matches!(action, Action::Send { .. }))
                .count()
        };
        let subject = |after: &str| {
            server(&format!(
                "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n[promises]\nafter-exchange = \"{after}\"\n"
            ))
        };
        assert_eq!(asks(&subject("stays-open")), 1);
        assert_eq!(asks(&subject("stays-open").answering_again()), 2);
        assert_eq!(asks(&subject("closes").answering_again()), 0);
    }
}
