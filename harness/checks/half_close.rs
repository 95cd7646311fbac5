//! Half-closed connections: a client that has sent FIN can still read, and a server that has seen FIN must close too.

use super::derive::{bulk, cuts, small_buffer, with_connect_options, without_a_word};
use crate::checks::counterexample::{Stream, answer, each, listen};
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::{Data, Segmentation};
use crate::model::defect::Defect;
use crate::model::dialogue::{self, ClientSteps, scenario, server_does, settle};
use crate::model::expectation::{End, Expectation};
use crate::model::need::Need;
use crate::model::profile::Transport;
use crate::model::scenario::{Line, Scenario};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use socket2::SockRef;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::time::Duration;

fn orderly_end() -> Expectation {
    Expectation::End {
        kinds: vec![End::Fin],
        all_bytes_first: true,
    }
}

/// Keeps the connection of a client that has left in the middle of a line.
fn keep_what_is_unfinished(stream: &mut Stream) -> std::io::Result<()> {
    let mut last = b'\n';
    answer(stream, |bytes| {
        last = *bytes.last().unwrap_or(&last);
        bytes.to_vec()
    })?;
    if last != b'\n' {
        std::mem::forget(stream.try_clone()?);
    }
    Ok(())
}

/// Reads and writes in two threads, and closes as soon as there is nothing more to read.
fn close_when_read(stream: &mut Stream) -> std::io::Result<()> {
    let (queue, owed) = std::sync::mpsc::channel::<Vec<u8>>();
    let mut writer = stream.try_clone()?;
    let writing =
        std::thread::spawn(move || owed.iter().try_for_each(|bytes| writer.write_all(&bytes)));
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            bytes => queue.send(buffer[..bytes].to_vec()).unwrap_or(()),
        }
    }
    // What little there is will have been sent by now.
    std::thread::park_timeout(Duration::from_millis(100));
    stream.shutdown(std::net::Shutdown::Both)?;
    drop(queue);
    writing
        .join()
        .map_err(|_| std::io::Error::other("the writer panicked"))?
}

/// A client that reads a large reply slowly.
struct SlowReader {
    name: &'static str,
    receive_buffer: usize,
    segment_size: Option<usize>,
    pace: ReadRate,
    bytes: usize,
}

const SLOW_READERS: [SlowReader; 2] = [
    SlowReader {
        name: "a slow reader",
        receive_buffer: 64 << 10,
        segment_size: None,
        pace: ReadRate {
            bytes: 16 << 10,
            every: Duration::from_micros(500),
        },
        bytes: 8 << 20,
    },
    SlowReader {
        name: "a slow reader of small segments",
        receive_buffer: 4 << 10,
        segment_size: Some(536),
        pace: ReadRate {
            bytes: 2 << 10,
            every: Duration::from_millis(2),
        },
        bytes: 1 << 20,
    },
];

/// A client that asks for much, half-closes, and reads at its pace what it is owed.
fn half_closed_and_read(reader: &SlowReader, subject: &Subject) -> Option<Vec<Line>> {
    let model = subject.profile.model()?;
    let data = bulk(model, subject.deeper_bytes(reader.bytes), subject.seed);
    let reply = Expectation::Data(model.reply(&data)?);
    let options = ConnectOptions {
        receive_buffer: Some(reader.receive_buffer),
        segment_size: reader.segment_size,
        ..ConnectOptions::default()
    };
    let steps = ClientSteps::of(0)
        .then(Action::Connect(options))
        .secured(subject)
        .then(Action::Read(Some(reader.pace)))
        .send_data(data, Segmentation::Whole)
        .then(Action::HalfClose)
        .expect_within(reply, subject.deeper(Duration::from_secs(20)))
        .expect(orderly_end())
        .then(Action::Close);
    Some(steps.lines())
}

/// Held while a connection is closed: nobody else is answered meanwhile.
static CLOSING: Mutex<()> = Mutex::new(());

/// Echoes, and waits in close(2) for what is unsent, as a loop would that serves all.
fn linger_at_close(address: &Address) -> std::io::Result<()> {
    let listener = listen(address)?;
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                std::thread::spawn(move || -> std::io::Result<()> {
                    SockRef::from(&stream).set_linger(Some(Duration::from_secs(10)))?;
                    answer(&mut stream, |bytes| {
                        drop(CLOSING.lock());
                        bytes.to_vec()
                    })?;
                    let _closing = CLOSING.lock();
                    drop(stream);
                    Ok(())
                });
            }
            // Out of descriptors: a connection has to end first.
            Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "half-close/after-request",
        requirement: "A client that half-closes after its request gets the whole reply, then FIN.",
        why: "Servers take the end of the input for the end of the connection and drop the reply: \
              https://github.com/enghitalo/vanilla/issues/103 https://github.com/cloudwu/skynet/issues/50",
        method: "A client sends its request and FIN, then reads. Once more with the server stopped meanwhile, so \
                   that it sees both at once; and before that with the server stopped while the client is silent, since to be stopped \
                   and continued must end no connection by itself.",
        quantities: "",
        fix: "On end of input, finish and send what is owed, then close.",
        defect: &Defect::HALF_CLOSE,
        needs: &[
            Need::STREAM,
            Need::DIALOGUE,
            Need::HALF_CLOSE_ANSWERS,
            Need::REQUEST,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let ask = |steps: ClientSteps| steps.send(request.clone()).then(Action::HalfClose);
            let read = ClientSteps::of(0)
                .expect_reply(subject)
                .expect(orderly_end())
                .then(Action::Close)
                .lines();
            let read_discard = ClientSteps::of(0)
                .expect(orderly_end())
                .then(Action::Close)
                .lines();
            let read = if dialogue::replies(&subject.profile) {
                read
            } else {
                read_discard
            };
            let plain = [ask(ClientSteps::of(0).open(subject)).lines(), read.clone()];
            let interrupted = [
                ClientSteps::of(0).open_accepted(subject).lines(),
                vec![
                    server_does(ServerAction::Stop),
                    server_does(ServerAction::Continue),
                ],
                ask(ClientSteps::of(0).expect(Expectation::Open)).lines(),
                read.clone(),
            ];
            let stopped = [
                ClientSteps::of(0).open_accepted(subject).lines(),
                vec![server_does(ServerAction::Stop)],
                ask(ClientSteps::of(0)).lines(),
                vec![server_does(ServerAction::Continue)],
                read,
            ];
            Some(vec![
                scenario("request, FIN, then read", &[("alice", 1)], plain.to_vec()),
                scenario(
                    "stopped and continued, then request and FIN",
                    &[("alice", 1)],
                    interrupted.to_vec(),
                ),
                scenario(
                    "request and FIN arrive together",
                    &[("alice", 1)],
                    stopped.to_vec(),
                ),
            ])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut buffer = [0; 4096];
                    loop {
                        let bytes = stream.read(&mut buffer)?;
                        // Its reply takes it a while, and then it looks whether the client is there.
                        stream.set_read_timeout(Some(Duration::from_millis(100)))?;
                        let finished = matches!(stream.peek(&mut [0]), Ok(0));
                        stream.set_read_timeout(None)?;
                        if finished {
                            return Ok(());
                        }
                        stream.write_all(&buffer[..bytes])?;
                    }
                })
            },
        },
    },
    Check {
        id: "half-close/mid-request",
        requirement: "A server closes its side when a client has half-closed in the middle of a request.",
        why: "The rest of the request can never come. Servers leave the connection in CLOSE_WAIT, or spin on it: \
              https://github.com/haproxy/haproxy/issues/1362 https://github.com/nodejs/node/issues/11307",
        method: "A client sends part of a request and FIN.",
        quantities: "Of a request of up to 24 bytes every position is tried, of a longer one the first and the last \
                     six and about a dozen between: parsers change their state at the edges. With --deep every \
                     position.",
        fix: "Treat the end of input inside a request as the end of the connection, and close it.",
        defect: &Defect::LEAK,
        needs: &[
            Need::OWN_PROCESS,
            Need::STREAM,
            Need::LONG_REQUEST,
            Need::MANY_CONNECTIONS,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let promised = subject.profile.promises.half_close.is_some();
            let halves = cuts(request.len(), subject.deep).into_iter().map(|at| {
                let steps = ClientSteps::of(0)
                    .open(subject)
                    .send(&request[..at])
                    .then(Action::HalfClose);
                let steps = if promised {
                    steps.expect_end(&[End::Fin, End::Reset])
                } else {
                    steps
                };
                let mut lines = steps.lines();
                lines.push(settle());
                lines.extend(ClientSteps::of(0).then(Action::Close).lines());
                lines
            });
            Some(vec![scenario(
                "part of a request, then FIN",
                &[("mallory", 1)],
                halves.collect(),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, keep_what_is_unfinished),
        },
    },
    Check {
        id: "half-close/silent",
        requirement: "A server closes its side of a connection on which a client has sent FIN and nothing else.",
        why: "The hang-up event is not consumed and wakes the loop for ever, or the descriptor is kept: \
              https://github.com/apple/cups/issues/4605 https://github.com/oven-sh/bun/pull/37928",
        method: "Clients connect, send FIN and no byte, and after a while close.",
        quantities: "A loop that wakes for ever does so for one; three differ from the polite client whatever the \
                     server keeps for one. With --deep thirty, as far as places, descriptors and the accept queue \
                     allow.",
        fix: "Close on end of input, also where no request has begun.",
        defect: &Defect::LEAK,
        needs: &[Need::OWN_PROCESS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let ends = |(how, comes): (&str, ClientSteps)| {
                let half = comes.then(Action::HalfClose).lines();
                let leave = ClientSteps::of(0).then(Action::Close).lines();
                scenario(
                    format!("FIN and no byte{how}"),
                    &[("mallory", subject.deeper_few(3))],
                    vec![half, vec![settle()], leave],
                )
            };
            Some(without_a_word(0, subject).into_iter().map(ends).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "close-wait",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut talked = false;
                    answer(stream, |bytes| {
                        talked = true;
                        bytes.to_vec()
                    })?;
                    if talked {
                        return Ok(());
                    }
                    // The descriptor is kept by who waits for something else than the end of input.
                    loop {
                        std::thread::park();
                    }
                })
            },
        },
    },
    Check {
        id: "half-close/reply-complete",
        requirement: "A client that half-closes and reads slowly gets every byte of a large reply before the end.",
        why: "Servers close on the end of input with data still queued in their own buffers: \
              https://github.com/mutability/dump1090/issues/137 https://github.com/objeck/objeck-lang/pull/670",
        method: "A client sends a large request and FIN, and reads the reply slowly through a small buffer. Another does so with small \
                 segments.",
        quantities: "8 MiB are more than the largest send buffer (4 MiB, tcp_wmem) and the client's window of 64 KiB \
                     hold, so that the rest waits in a server that has read the FIN. One that reads no more than it can \
                     soon send meets the FIN with something to send where the kernel's buffer for it is smaller than its own: of \
                     segments of 536 bytes (RFC 9293, section 3.7.1) it is some 50 KiB, so that 1 MiB will do. With --deep 60 MiB, the most \
                     that one step sends, and 10 MiB.",
        fix: "Close only when the write queue is empty.",
        defect: &Defect::HALF_CLOSE,
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::MODEL,
            Need::HALF_CLOSE_ANSWERS,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let tried = |reader: &SlowReader| {
                let name = format!("a large request, FIN, {}", reader.name);
                let lines = half_closed_and_read(reader, subject)?;
                Some(scenario(&name, &[("alice", 1)], vec![lines]))
            };
            let has_segments = subject.place.transport == Transport::Tcp;
            let fits = |reader: &&SlowReader| has_segments || reader.segment_size.is_none();
            SLOW_READERS.iter().filter(fits).map(tried).collect()
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, close_when_read),
        },
    },
    Check {
        id: "half-close/others-served",
        requirement: "A client that half-closes and does not read its reply yet keeps nobody else from being served.",
        why: "close(2) waits for what is unsent where SO_LINGER is set, also of a socket that does not block, and the loop waits \
              with it: https://github.com/cilium/proxy/pull/1127 https://github.com/MisterTea/EternalTerminal/pull/792",
        method: "A client with a small receive buffer sends 64 KiB and FIN and reads nothing, and another is served.",
        quantities: "64 KiB are more than the client's window of a few KiB, so that something is unsent when the \
                     server closes, and as little as the kernel usually takes off a server at once. --deep changes \
                     nothing: more would keep the server in its write.",
        fix: "Leave SO_LINGER alone, or close where waiting harms nobody.",
        defect: &Defect::LAST_WORDS,
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::MODEL,
            Need::HALF_CLOSE_ANSWERS,
            Need::CONCURRENT,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let model = subject.profile.model()?;
            let data = bulk(model, 64 << 10, subject.seed);
            let silent = ClientSteps::of(1)
                .then(Action::Connect(small_buffer()))
                .secured(subject)
                .then(Action::Stall)
                .send_data(data, Segmentation::Whole)
                .then(Action::HalfClose);
            // What becomes of its reply is the matter of half-close/reply-complete.
            let leaves = ClientSteps::of(1).then(Action::Close);
            Some(vec![scenario(
                "a reply that nobody reads yet, and FIN",
                &[("alice", 1), ("mallory", 1)],
                vec![
                    silent.lines(),
                    vec![settle()],
                    ClientSteps::of(0).served_in_time(subject).lines(),
                    leaves.lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: linger_at_close,
        },
    },
    Check {
        id: "half-close/unread-input",
        requirement: "A server that closes after its reply does not destroy the reply when more input has come.",
        why: "A close with unread input sends RST instead of FIN, and an RST can overtake the answer: \
              https://github.com/rwf2/Rocket/issues/2783 https://github.com/libevent/libevent/issues/321",
        method: "A client sends its request, and when the server has read it, bytes that nobody asked for. Where there is \
                 nothing to ask for, they wait for the server before it greets: it is stopped until they are there.",
        quantities: "",
        fix: "After the reply, shut down the sending side and read what still comes, for a while, before closing.",
        defect: &Defect::LAST_WORDS,
        needs: &[
            Need::STREAM,
            Need::DIALOGUE,
            Need::CLOSES,
            Need::REPLY,
            Need::INPUT_BEFORE_END,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let Some(request) = dialogue::request(&subject.profile) else {
                return Some(vec![greeted_with_input(subject)]);
            };
            let segmentation = Segmentation::At(vec![request.len()]);
            let mut bytes = request;
            bytes.extend_from_slice(&[b'x'; 2_000]);
            let lines = ClientSteps::of(0)
                .open(subject)
                .send_parts(Data::literal(bytes), segmentation, subject)
                .expect_reply(subject)
                .expect_end(&[End::Fin, End::Reset])
                .then(Action::Close)
                .lines();
            // What does not fit a small buffer is still the server's when it closes.
            let slowly = with_connect_options(lines.clone(), &small_buffer());
            let clients = [("mallory", 1)];
            Some(vec![
                scenario("more input than the server reads", &clients, vec![lines]),
                scenario(
                    "more input, and a small buffer for the reply",
                    &clients,
                    vec![slowly],
                ),
            ])
        },
        counterexample: Counterexample {
            instead_of: "welcome-gate",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut buffer = [0; 4096];
                    let bytes = stream.read(&mut buffer)?;
                    // Time for more to come: as with any server that works on its reply.
                    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
                    let more = matches!(stream.peek(&mut [0]), Ok(1));
                    if more {
                        SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
                        return Ok(());
                    }
                    match buffer[..bytes].first() {
                        Some(b'1') => stream.write_all(b"welcome to server"),
                        _ => stream.write_all(b"please go out"),
                    }
                })
            },
        },
    },
];

/// A client that has written before it is greeted. The greeting is all that the server has to say, so that a reset, which
/// can overtake it on a real network, has no excuse in a request that was not understood.
fn greeted_with_input(subject: &Subject) -> Scenario {
    let client = || ClientSteps::of(0);
    let greeting = client().open(subject).finish(subject).lines();
    // All but the connect, which comes before the server runs on.
    let greeting = greeting.into_iter().skip(1).collect();
    scenario(
        "input that waits before the greeting",
        &[("mallory", 1)],
        vec![
            vec![server_does(ServerAction::Stop)],
            client().connect().send(vec![b'x'; 2_000]).lines(),
            vec![server_does(ServerAction::Continue)],
            greeting,
        ],
    )
}
