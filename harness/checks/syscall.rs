//! What the kernel may answer to a system call, and seldom does: none of it is the end of a server.

use crate::checks::counterexample::{Stream, bind, die_of, each, echo, listen};
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::Data;
use crate::model::defect::Defect;
use crate::model::dialogue::{
    self, ClientSteps, scenario, server_does, server_expects, server_requires, settle,
};
use crate::model::expectation::ServerExpectation;
use crate::model::invariant::Invariant;
use crate::model::need::Need;
use crate::model::scenario::{Line, Scenario};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use crate::model::system_call::{ErrorName, Of, RareAnswer, SystemCall, When, With};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

/// A filter is taken on when the server is started.
const ON_ITS_OWN: Policy = Policy {
    fresh_server: true,
    ..Policy::MUST
};

/// So many clients come: the first may find a thread in accept that has called it before.
const COME: u32 = 3;

fn answers(call: SystemCall, of: Of, with: With, when: When) -> Line {
    server_does(ServerAction::Answer(RareAnswer {
        call,
        of,
        with,
        when,
        if_any: false,
    }))
}

/// The next so many calls fail.
fn fails(call: SystemCall, of: Of, error: ErrorName, times: u32) -> Line {
    let when = When::From { first: 1, times };
    answers(call, of, With::Error(error), when)
}

/// All calls fail, until that is taken back.
fn fails_on(call: SystemCall, of: Of, error: ErrorName) -> Line {
    answers(call, of, With::Error(error), When::Always)
}

/// All read or write at most so many bytes.
fn shortens(call: SystemCall, bytes: usize) -> Line {
    let with = With::AtMost(bytes);
    answers(call, Of::Connections, with, When::Always)
}

fn restore() -> Line {
    server_does(ServerAction::RestoreCalls)
}

/// Clients who come and ask for something, whatever becomes of them, and leave.
fn some_come(subject: &Subject) -> Vec<Line> {
    let come = ClientSteps::of(0).connect_without_waiting();
    match dialogue::first_request(&subject.profile) {
        _ if subject.speaks_tls() => come.begin_tls(subject).lines(),
        Some(first) => come.send_in_background(Data::literal(first)).lines(),
        None => come.lines(),
    }
}

fn they_leave() -> Vec<Line> {
    ClientSteps::of(0).then(Action::Close).lines()
}

/// A scenario in which clients come who are owed nothing, for what is done is what a host may do to them.
fn some_may_go(name: &str, parts: Vec<Vec<Line>>) -> Scenario {
    // What it does to start, which may go on behind the first client, is not meant.
    let parts = [vec![vec![settle()]], parts].concat();
    scenario(name, &[("mallory", COME)], parts)
}

/// Clients come while accept fails, of which this is required; then it works again.
fn short_of(error: ErrorName, required: Vec<Line>, subject: &Subject) -> Vec<Line> {
    let lasts = [
        vec![fails_on(SystemCall::Accept, Of::Listener, error)],
        some_come(subject),
        vec![server_requires(ServerExpectation::Answered)],
        required,
        vec![restore(), settle()],
        they_leave(),
        vec![settle()],
    ];
    lasts.concat()
}

/// Accepts, and tries again at once where that fails.
fn accept_again_at_once(address: &Address) -> io::Result<()> {
    let listener = listen(address)?;
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || echo(&mut stream));
        }
    }
}

/// One client makes its conversation, with what is done to the server before.
fn served_all_the_same(name: String, done: Vec<Line>, subject: &Subject) -> Scenario {
    let polite = ClientSteps::of(0).polite(subject).lines();
    scenario(name, &[("alice", 1)], vec![done, polite])
}

/// Places to end a read or a write of so many bytes: at the first, before the last, and at one that the seed draws.
fn places(bytes: usize, seed: u64) -> Vec<usize> {
    let between = bytes.saturating_sub(2);
    let drawn = 1 + (seed as usize).wrapping_mul(0x9E37_79B9) % between.max(1);
    let mut places = vec![1, bytes.saturating_sub(1), drawn];
    places.retain(|place| (1..bytes).contains(place));
    places.sort_unstable();
    places.dedup();
    places
}

/// Waits until a socket that does not block has something to read.
fn await_input(stream: &Stream) -> io::Result<()> {
    poll(&mut [PollFd::new(stream, PollFlags::IN)], None)?;
    Ok(())
}

/// Sends everything back on a socket that does not block, by what is done with what a read brings.
fn echo_without_blocking(
    stream: &mut Stream,
    write: impl Fn(&mut Stream, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        await_input(stream)?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => write(stream, &buffer[..bytes])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many calls of a kind are tried at most.
const MOST_CALLS: u32 = 24;

/// The errors by which each call fails in turn.
const TORTURE: &[(SystemCall, Of, ErrorName)] = &[
    (SystemCall::Accept, Of::Listener, ErrorName::ECONNABORTED),
    (SystemCall::Accept, Of::Listener, ErrorName::EPROTO),
    (SystemCall::Accept, Of::Listener, ErrorName::ENOMEM),
    (SystemCall::Accept, Of::Listener, ErrorName::EMFILE),
    (SystemCall::Wait, Of::Process, ErrorName::EINTR),
    (SystemCall::Read, Of::Connections, ErrorName::EAGAIN),
    (SystemCall::Read, Of::Connections, ErrorName::EINTR),
    (SystemCall::Write, Of::Connections, ErrorName::ECONNRESET),
    (SystemCall::Write, Of::Connections, ErrorName::EPIPE),
    (SystemCall::PeerName, Of::Connections, ErrorName::ENOTCONN),
    (SystemCall::SetOption, Of::Connections, ErrorName::EINVAL),
    (SystemCall::Shutdown, Of::Connections, ErrorName::ENOTCONN),
    (SystemCall::Fork, Of::Process, ErrorName::EAGAIN),
    (SystemCall::Open, Of::Process, ErrorName::EMFILE),
];

/// The nth call fails, and only whom the error speaks of may lose by it.
fn fails_at(nth: u32, call: SystemCall, of: Of, error: ErrorName, subject: &Subject) -> Scenario {
    let when = When::From {
        first: nth,
        times: 1,
    };
    let done = answers(call, of, With::Error(error), when);
    let name = format!("{} with {}, call {nth}", call.name(), error.name);
    match error {
        ErrorName::EINTR | ErrorName::EAGAIN if call != SystemCall::Fork => {
            served_all_the_same(name, vec![done], subject)
        }
        _ => gone_when_asked(&name, done, subject),
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "syscall/accept-aborted",
        requirement: "A connection that was aborted before it is accepted (ECONNABORTED) is none of the others' business.",
        why: "accept(2): a connection has been aborted. Loops end over it, or the program does: \
              https://github.com/tiny-http/tiny-http/issues/283 https://github.com/MisterTea/EternalTerminal/pull/756",
        method: "accept fails once with ECONNABORTED, by seccomp_unotify(2), and the connection is reset with it; other clients come.",
        quantities: "Of three clients who come one at least meets an accept that has not begun to wait yet. --deep changes nothing.",
        fix: "Go on accepting after ECONNABORTED.",
        defect: &Defect::ACCEPT,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            Some(vec![some_may_go(
                "an aborted connection",
                vec![
                    vec![fails(
                        SystemCall::Accept,
                        Of::Listener,
                        ErrorName::ECONNABORTED,
                        1,
                    )],
                    some_come(subject),
                    vec![server_requires(ServerExpectation::Answered), settle()],
                    they_leave(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "syscall/accept-network-errors",
        requirement: "Errors of the network that accept passes on are of one connection alone, and accept is called again.",
        why: "accept(2), error handling: Linux passes pending errors of the network on, which are to be treated like EAGAIN by retrying: \
              https://github.com/cockpit-project/cockpit/pull/12673 https://github.com/grpc/grpc/pull/29318",
        method: "accept fails with each of the eight errors that the page names, one after the other, by seccomp_unotify(2); other \
                 clients come.",
        quantities: "Of three clients who come one at least meets an accept that has not begun to wait yet. --deep changes nothing.",
        fix: "Treat ENETDOWN, EPROTO, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP and ENETUNREACH like EAGAIN.",
        defect: &Defect::ACCEPT,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let one_after_the_other = ErrorName::OF_THE_NETWORK.iter().map(|error| {
                let meets = [
                    vec![fails(SystemCall::Accept, Of::Listener, *error, 1)],
                    some_come(subject),
                    vec![server_requires(ServerExpectation::Answered), settle()],
                    they_leave(),
                ];
                meets.concat()
            });
            Some(vec![some_may_go(
                "errors of the network",
                one_after_the_other.collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => {
                            std::thread::spawn(move || echo(&mut stream));
                        }
                        Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                        Err(error) => return Err(error),
                    }
                }
            },
        },
    },
    Check {
        id: "syscall/accept-out-of-files",
        requirement: "A server that cannot accept for want of descriptors neither ends nor spins, and serves again afterwards.",
        why: "accept(2): EMFILE and ENFILE. The connection stays in the queue, so that loops spin, or they end: \
              https://github.com/lalinsky/dusty/issues/134 https://github.com/MDA2AV/ioxide/issues/222",
        method: "accept fails with each of the two errors, one after the other, for as long as clients wait and the process closes no \
                 descriptor, by seccomp_unotify(2); then it works again.",
        quantities: "Three clients come each time. --deep changes nothing.",
        fix: "After EMFILE or ENFILE wait for a moment, or until a connection has ended, before accepting again.",
        defect: &Defect::ACCEPT,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let rests = || vec![server_expects(ServerExpectation::Rest)];
            let short = |error: &ErrorName| short_of(*error, rests(), subject);
            Some(vec![some_may_go(
                "no more descriptors",
                ErrorName::OF_FILES.iter().map(short).collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: accept_again_at_once,
        },
    },
    Check {
        id: "syscall/accept-out-of-memory",
        requirement: "A server that cannot accept for want of memory does not end, and serves again afterwards.",
        why: "accept(2): ENOBUFS and ENOMEM pass, as EMFILE does, and are seldom thought of beside it: \
              https://github.com/zeroclaw-labs/zeroclaw/pull/8122 https://github.com/tobez/snmp-query-engine/pull/31",
        method: "accept fails with each of the two errors, one after the other, when clients come, by seccomp_unotify(2); then it works \
                 again.",
        quantities: "Three clients come each time. --deep changes nothing.",
        fix: "After ENOBUFS or ENOMEM wait for a moment, and accept again.",
        defect: &Defect::ACCEPT,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let short = |error: &ErrorName| short_of(*error, Vec::new(), subject);
            Some(vec![some_may_go(
                "no memory for a socket",
                ErrorName::OF_MEMORY.iter().map(short).collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => {
                            std::thread::spawn(move || echo(&mut stream));
                        }
                        // Out of descriptors: a connection has to end first.
                        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                            std::thread::park_timeout(Duration::from_millis(50));
                        }
                        Err(error) => return Err(error),
                    }
                }
            },
        },
    },
    Check {
        id: "syscall/accept-waits-for-memory",
        requirement: "A server that cannot accept for want of memory waits before it tries again.",
        why: "accept(2): with ENOBUFS and ENOMEM the connection stays in the queue, and who tries again at once takes a processor from a \
              host that is short already: https://github.com/ponylang/ponyc/issues/4052",
        method: "accept fails with each of the two errors, one after the other, for as long as clients wait, by seccomp_unotify(2).",
        quantities: "Three clients come each time. --deep changes nothing.",
        fix: "After ENOBUFS or ENOMEM wait for a moment, and accept again.",
        defect: &Defect::ACCEPT,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            let rests = || vec![server_expects(ServerExpectation::Rest)];
            let short = |error: &ErrorName| short_of(*error, rests(), subject);
            Some(vec![some_may_go(
                "no memory for a socket, for long",
                ErrorName::OF_MEMORY.iter().map(short).collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: accept_again_at_once,
        },
    },
    Check {
        id: "syscall/short-reads",
        requirement: "A read that brings fewer bytes than have come is followed by another one.",
        why: "read(2), recv(2): fewer bytes than asked for are no error and no end, also where more are there: \
              https://github.com/uwplse/verdi-raft/issues/53 https://github.com/marcomorain/garcon/issues/2",
        method: "Each read of a connection brings one byte at most, or all but the last of the request, or as many as the seed draws, by \
                 seccomp_unotify(2), while a client makes its conversation.",
        quantities: "",
        fix: "Keep what was read until the message is complete, and read on.",
        defect: &Defect::FRAMING,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::LONG_REQUEST],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let places = places(request.len(), subject.seed).into_iter();
            let short = places.map(|bytes| {
                let name = format!("reads of {bytes} bytes at most");
                let done = vec![shortens(SystemCall::Read, bytes)];
                served_all_the_same(name, done, subject)
            });
            Some(short.collect())
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        let bytes = match stream.read(&mut buffer)? {
                            0 => return Ok(()),
                            // What is so short is thought to be the rest of something else.
                            1 => continue,
                            bytes => bytes,
                        };
                        buffer.make_ascii_uppercase();
                        stream.write_all(&buffer[..bytes])?;
                    }
                })
            },
        },
    },
    Check {
        id: "syscall/spurious-readiness",
        requirement: "A socket that was reported readable and has nothing to read (EAGAIN) is waited for again.",
        why: "select(2), bugs: a socket may be reported ready for reading, and a read of it would wait all the same, as where a segment \
              with a wrong checksum is dropped.",
        method: "The first read of a request fails with EAGAIN, by seccomp_unotify(2), on a socket that does not block; then it is \
                 reported readable again.",
        quantities: "",
        fix: "Take EAGAIN for no more than that nothing is there, and wait again.",
        defect: &Defect::INTERRUPTED,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::REQUEST],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let spurious = vec![fails(
                SystemCall::Read,
                Of::Connections,
                ErrorName::EAGAIN,
                1,
            )];
            Some(vec![scenario(
                "nothing to read at first",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open(subject).lines(),
                    spurious,
                    ClientSteps::of(0)
                        .request_and_reply(subject)
                        .finish(subject)
                        .lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    stream.set_nonblocking(true)?;
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        await_input(stream)?;
                        // It was reported readable, so that every error is an end.
                        match stream.read(&mut buffer)? {
                            0 => return Ok(()),
                            bytes => stream.write_all(&buffer[..bytes])?,
                        }
                    }
                })
            },
        },
    },
    Check {
        id: "syscall/short-writes",
        requirement: "A write that does not wait and takes fewer bytes than were given is followed by another one for the rest.",
        why: "send(2), write(2): a socket that does not block takes what there is room for: \
              https://github.com/puma/puma/issues/170 https://github.com/hyperium/hyper/issues/1032",
        method: "Each write to a connection whose socket does not block takes one byte at most, or half of the reply, or as many as the \
                 seed draws, by seccomp_unotify(2), while a client makes its conversation. A socket that blocks takes all, and is left \
                 alone.",
        quantities: "",
        fix: "Write on from where the last write has ended, as soon as there is room.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::LONG_REPLY],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let bytes = reply_bytes(subject);
            let mut places = places(bytes, subject.seed);
            places.extend((bytes > 3).then_some(bytes / 2));
            places.sort_unstable();
            places.dedup();
            let short = places.into_iter().map(|bytes| {
                let name = format!("writes of {bytes} bytes at most");
                let done = vec![shortens(SystemCall::Write, bytes)];
                served_all_the_same(name, done, subject)
            });
            Some(short.collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    // What was taken is not looked at.
                    echo_without_blocking(stream, |stream, bytes| stream.write(bytes).map(drop))
                })
            },
        },
    },
    Check {
        id: "syscall/peer-gone",
        requirement: "A write to a client that has gone in just this moment (ECONNRESET, EPIPE) is the end of its connection alone.",
        why: "send(2): the other end has gone, and without MSG_NOSIGNAL a signal comes with it, which ends the program: \
              https://github.com/mangband/mangband/issues/552 https://github.com/chipsalliance/caliptra-mcu-sw/issues/1137",
        method: "The connection of a client is reset when the server writes the first byte of its reply (seccomp_unotify(2)), so that the \
                 write fails with ECONNRESET; another time with EPIPE, as if that had been told before.",
        quantities: "Of three clients who ask each time one is gone. --deep changes nothing.",
        fix: "Ignore SIGPIPE or write with MSG_NOSIGNAL, and end the connection whose write has failed.",
        defect: &Defect::RESET,
        needs: &[
            Need::ANSWERED_CALLS,
            Need::TCP,
            Need::MANY_CONNECTIONS,
            Need::REPLY,
        ],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let gone = [ErrorName::ECONNRESET, ErrorName::EPIPE].map(|error| {
                some_may_go(
                    &format!("a write that fails with {}", error.name),
                    vec![
                        vec![fails(SystemCall::Write, Of::Connections, error, 1)],
                        some_come(subject),
                        vec![settle()],
                        they_leave(),
                    ],
                )
            });
            Some(gone.to_vec())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| each(&listen(address)?, |stream| die_of(echo(stream))),
        },
    },
    Check {
        id: "syscall/interrupted-wait",
        requirement: "A wait that a signal has interrupted (EINTR) goes on.",
        why: "signal(7): epoll_wait, and a read with a time-out, fail with EINTR behind SIGSTOP and SIGCONT, also without a handler: \
              https://github.com/MisterTea/EternalTerminal/pull/516 https://github.com/h2o/h2o/pull/2358",
        method: "epoll_wait fails once with EINTR, another time a read with SO_RCVTIMEO, by seccomp_unotify(2), while a client makes its \
                 conversation.",
        quantities: "",
        fix: "Call again what was interrupted.",
        defect: &Defect::INTERRUPTED,
        needs: &[
            Need::ANSWERED_CALLS,
            Need::STREAM,
            Need::DIALOGUE,
            Need::MANY_CONNECTIONS,
        ],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let waits = [
                (SystemCall::Wait, Of::Process),
                (SystemCall::Read, Of::Connections),
            ];
            let interrupted = waits.map(|(call, of)| {
                let polite = || ClientSteps::of(0).polite(subject).lines();
                let parts = vec![
                    vec![fails(call, of, ErrorName::EINTR, 1)],
                    polite(),
                    // By then it waits for the next.
                    vec![settle()],
                    polite(),
                ];
                scenario("a wait that is interrupted", &[("alice", 1)], parts)
            });
            Some(interrupted.to_vec())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                use rustix::event::epoll;
                let listener = listen(address)?;
                let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                let come = epoll::EventFlags::IN;
                epoll::add(&events, &listener, epoll::EventData::new_u64(0), come)?;
                loop {
                    let mut found = Vec::with_capacity(1);
                    // Every error is thought to be grave.
                    epoll::wait(&events, rustix::buffer::spare_capacity(&mut found), None)?;
                    let (mut stream, _) = listener.accept()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "syscall/peer-name",
        requirement: "A client that has gone before the server asks for its address (ENOTCONN) is the end of its connection alone.",
        why: "getpeername(2): the socket is not connected any more: https://github.com/puma/puma/pull/726 \
              https://github.com/emqx/esockd/issues/9 https://github.com/ioflo/hio/issues/165",
        method: "The connection of a client is reset when the server asks who it is, and getpeername fails with ENOTCONN \
                 (seccomp_unotify(2)).",
        quantities: "Three clients come, of which one is gone. --deep changes nothing.",
        fix: "Take an error of getpeername for the end of that connection.",
        defect: &Defect::RESET,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            Some(vec![gone_when_asked(
                "a client that nobody can name",
                fails(
                    SystemCall::PeerName,
                    Of::Connections,
                    ErrorName::ENOTCONN,
                    1,
                ),
                subject,
            )])
        },
        counterexample: Counterexample {
            instead_of: "ledger",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    stream.peer_addr()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "syscall/set-option",
        requirement: "An option that cannot be set on a connection (EINVAL) is the end of this connection at most.",
        why: "setsockopt(3p): the socket has been shut down. Linux does not say so, other systems do: https://github.com/meshtastic/meshtastic-mcp/pull/56 \
              https://github.com/twisted/twisted/issues/12372",
        method: "The connection of a client is reset when the server sets an option of it, and setsockopt fails with EINVAL \
                 (seccomp_unotify(2)).",
        quantities: "Three clients come, of which one is gone. --deep changes nothing.",
        fix: "Take an error of setsockopt for the end of that connection, or go on without the option.",
        defect: &Defect::RESET,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            recommends: &[Invariant::Alive],
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            Some(vec![gone_when_asked(
                "a client whose options cannot be set",
                fails(SystemCall::SetOption, Of::Connections, ErrorName::EINVAL, 1),
                subject,
            )])
        },
        counterexample: Counterexample {
            instead_of: "ledger",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    rustix::net::sockopt::set_tcp_nodelay(&stream, true)?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "syscall/shutdown",
        requirement: "A client that has gone before the server ends its side (ENOTCONN) is the end of its connection alone.",
        why: "shutdown(2): the socket is not connected any more, which is an exception in many languages, and often caught by nobody.",
        method: "The connection of a client is reset when the server shuts it down, and shutdown fails with ENOTCONN \
                 (seccomp_unotify(2)).",
        quantities: "Three clients come, of which one is gone. --deep changes nothing.",
        fix: "Close the socket whatever shutdown says.",
        defect: &Defect::RESET,
        needs: &[Need::ANSWERED_CALLS, Need::TCP, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            Some(vec![gone_when_asked(
                "a client that cannot be told the end",
                fails(
                    SystemCall::Shutdown,
                    Of::Connections,
                    ErrorName::ENOTCONN,
                    1,
                ),
                subject,
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let said = echo(stream);
                    die_of(stream.shutdown(std::net::Shutdown::Write))?;
                    said
                })
            },
        },
    },
    Check {
        id: "syscall/no-threads",
        requirement: "A thread or process that cannot be made (EAGAIN) costs one client at most, and the next is served.",
        why: "fork(2), pthread_create(3): a limit has been reached. The error comes where clients are accepted, and ends that loop: \
              https://github.com/tpm2-software/tpm2-tss/issues/222 https://github.com/chimera-nas/libevpl/pull/100",
        method: "The next three calls that make a thread or a process fail with EAGAIN, by seccomp_unotify(2), when clients come.",
        quantities: "Three, one for each client that comes: runtimes try again some times, and give up. --deep changes nothing.",
        fix: "Close the connection for which there is no thread, and go on accepting.",
        defect: &Defect::EXHAUSTED,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            Some(vec![some_may_go(
                "no thread for a client",
                vec![
                    vec![fails(
                        SystemCall::Fork,
                        Of::Process,
                        ErrorName::EAGAIN,
                        COME,
                    )],
                    some_come(subject),
                    vec![settle(), restore()],
                    they_leave(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "ledger",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    std::thread::Builder::new().spawn(move || echo(&mut stream))?;
                }
            },
        },
    },
    Check {
        id: "syscall/no-descriptors",
        requirement: "A file, pipe or socket that cannot be had (EMFILE, ENFILE) costs the clients who need it at most, and afterwards all \
                      are served.",
        why: "open(2), socket(2), pipe(2), eventfd(2): a limit on open files has been reached. What was opened for one client fails \
              everybody: https://github.com/civetweb/civetweb/issues/962",
        method: "Every call that makes a descriptor, but for accept, fails with EMFILE, another time with ENFILE, by seccomp_unotify(2), \
                 while clients come who know the server's ways; then they work again.",
        quantities: "Three clients come each time. --deep changes nothing.",
        fix: "End the conversation for which there is no descriptor, and nothing else.",
        defect: &Defect::EXHAUSTED,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let exhausted = [ErrorName::EMFILE, ErrorName::ENFILE].map(|error| {
                some_may_go(
                    &format!("no descriptors ({})", error.name),
                    vec![
                        vec![fails_on(SystemCall::Open, Of::Process, error)],
                        some_come(subject),
                        vec![settle(), server_expects(ServerExpectation::Rest), restore()],
                        they_leave(),
                    ],
                )
            });
            Some(exhausted.to_vec())
        },
        counterexample: Counterexample {
            instead_of: "ledger",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    die_of(std::fs::File::open("/dev/null").map(drop))?;
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "syscall/log-fails",
        requirement: "A line of the log that cannot be written (ENOSPC, EIO, EPIPE) keeps nobody from being served.",
        why: "write(2): the disk of the log is full or broken, or nobody reads it any more: https://github.com/emabee/flexi_logger/issues/75 \
              https://github.com/coreybutler/node-linux/issues/17",
        method: "All writes to standard output and standard error fail with one of these, by seccomp_unotify(2), while a client makes its \
                 conversation.",
        quantities: "",
        fix: "Do without the line.",
        defect: &Defect::STREAMS,
        needs: &[Need::ANSWERED_CALLS, Need::STREAM],
        policy: Policy {
            fresh_server: true,
            recommends: &[Invariant::Alive],
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            let full = ErrorName::OF_A_LOG.iter().map(|error| {
                let name = format!("a log that fails with {}", error.name);
                let done = vec![fails_on(SystemCall::Write, Of::Output, *error)];
                served_all_the_same(name, done, subject)
            });
            Some(full.collect())
        },
        counterexample: Counterexample {
            instead_of: "ledger",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    writeln!(io::stdout(), "a client has come")?;
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "syscall/torture",
        requirement: "Whichever call it is that fails as the kernel may have it fail, the server goes on serving.",
        why: "What is done about an error at one place is forgotten at another, and the first client is treated otherwise than the third. \
              SQLite and curl have tested their libraries so for decades, for memory that cannot be had.",
        method: "The first call of a kind fails when clients come, then the second, and so on until there is none left, for each kind and \
                 each error of its own; a server that has stood it is used on (seccomp_unotify(2)). Errors that are none, EINTR and \
                 EAGAIN, lose nobody.",
        quantities: "With --deep alone. Up to 24 calls of each kind are more than three clients need who ask for one thing each.",
        fix: "The case names the call and the error: deal with it as at the other places.",
        defect: &Defect::ACCEPT,
        needs: &[
            Need::ANSWERED_CALLS,
            Need::DEEP,
            Need::TCP,
            Need::DIALOGUE,
            Need::MANY_CONNECTIONS,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let each = |(call, of, error): &(SystemCall, Of, ErrorName)| {
                let (call, of, error) = (*call, *of, *error);
                (1..=MOST_CALLS).map(move |nth| fails_at(nth, call, of, error, subject))
            };
            Some(TORTURE.iter().flat_map(each).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                let mut patience = 2;
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => {
                            std::thread::spawn(move || echo(&mut stream));
                        }
                        // Two errors are thought to be enough of them.
                        Err(_) if patience > 0 => patience -= 1,
                        Err(error) => return Err(error),
                    }
                }
            },
        },
    },
    Check {
        id: "syscall/datagram-send-fails",
        requirement: "A datagram that cannot be sent (ENOBUFS, EPERM, ENETUNREACH) is lost, and the next client is answered.",
        why: "send(2): the queue of the interface is full, a firewall forbids it, or no network is reachable: \
              https://github.com/ponylang/ponyc/issues/5477 https://github.com/kronosnet/kronosnet/pull/178",
        method: "The send of a reply fails with one of these, by seccomp_unotify(2); other clients ask.",
        quantities: "",
        fix: "Let the error be that one datagram's.",
        defect: &Defect::DATAGRAMS,
        needs: &[Need::ANSWERED_CALLS, Need::DATAGRAM, Need::REPLY],
        policy: ON_ITS_OWN,
        scenarios: |subject| {
            let lost = ErrorName::OF_DATAGRAMS.iter().map(|error| {
                scenario(
                    format!("a reply that fails with {}", error.name),
                    &[("mallory", 1)],
                    vec![
                        vec![fails(SystemCall::Write, Of::Datagrams, *error, 1)],
                        some_come(subject),
                        vec![settle()],
                        they_leave(),
                    ],
                )
            });
            Some(lost.collect())
        },
        counterexample: Counterexample {
            instead_of: "udp-echo",
            shows: "alive",
            serve: |address| {
                let socket = bind(address)?;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    let (bytes, from) = socket.recv_from(&mut buffer)?;
                    socket.send_to(&buffer[..bytes], from)?;
                }
            },
        },
    },
];

/// A client is gone when the server does something for it, one of three who make their conversation.
fn gone_when_asked(name: &str, fails: Line, subject: &Subject) -> Scenario {
    some_may_go(
        name,
        vec![
            vec![fails],
            some_come(subject),
            vec![settle()],
            they_leave(),
            vec![settle()],
        ],
    )
}

/// How many bytes a reply has, where that is known; else some.
fn reply_bytes(subject: &Subject) -> usize {
    use crate::model::expectation::Expectation;
    match dialogue::reply(&subject.profile) {
        Some(Expectation::Data(reply)) => reply.length(),
        _ => 16,
    }
}
