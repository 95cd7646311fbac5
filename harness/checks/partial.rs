//! Partial reads and writes: a stream has no messages, and a write may take less than it was given.

use super::derive::{
    bulk, cuts, in_one_or_each, narrow, requests, served_beside, small_buffer, smallest_window,
    with_connect_options,
};
use super::output;
use crate::checks::counterexample::{Stream, answer, each, echo_once_heard, listen};
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::{Data, Segmentation};
use crate::model::defect::Defect;
use crate::model::dialogue::{self, ClientSteps, Conversation, scenario, server_expects, settle};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::need::Need;
use crate::model::profile::{Framing, Model};
use crate::model::scenario::Line;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::tls::TlsOptions;
use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::time::Duration;

/// A client whose ClientHello comes a byte at a time, where the server speaks TLS.
fn hello_byte_by_byte(subject: &Subject) -> Option<Scenario> {
    let in_pieces = TlsOptions {
        segmentation: Segmentation::Pieces(1),
        ..subject.profile.tls.clone()?
    };
    let steps = ClientSteps::of(0)
        .connect()
        .then(Action::StartTls(in_pieces))
        .expect(Expectation::Secured)
        .then(Action::Close);
    let lines = vec![steps.lines()];
    Some(scenario(
        "the ClientHello a byte at a time",
        &[("alice", 1)],
        lines,
    ))
}

/// Somebody asks for more than the kernel takes for him, and reads nothing of it; another is served.
fn beside_who_is_held_back(subject: &Subject) -> Option<Scenario> {
    let many = requests(subject, subject.deeper_bytes(REPLIES))?;
    let stalled = ClientSteps::of(1)
        .open(subject)
        .then(Action::Stall)
        .send_in_background(many);
    let leaves = ClientSteps::of(1).then(Action::Close);
    Some(scenario(
        "one asks and does not read, another is served",
        &[("alice", 1), ("mallory", 1)],
        vec![
            with_connect_options(stalled.lines(), &small_buffer()),
            vec![settle()],
            ClientSteps::of(0).polite(subject).lines(),
            leaves.lines(),
        ],
    ))
}

/// So many bytes of replies are asked for one by one: requests are small, and each takes its time.
const REPLIES: usize = 8 << 20;

/// Takes each read for a whole request: what does not end in a newline is not answered.
fn one_read_one_message(stream: &mut Stream) -> std::io::Result<()> {
    answer(stream, |bytes| match bytes {
        [.., b'\n'] => bytes.to_vec(),
        _ => Vec::new(),
    })
}

/// Takes each read for one request: what stands behind the first newline is dropped.
fn one_message_a_read(stream: &mut Stream) -> std::io::Result<()> {
    answer(stream, |bytes| {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        bytes[..end.map_or(bytes.len(), |end| end + 1)].to_vec()
    })
}

/// Answers the whole lines of each read: what has come of the next one is thrown away with the buffer.
fn whole_lines_of_each_read(stream: &mut Stream) -> std::io::Result<()> {
    answer(stream, |bytes| {
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes[..end.map_or(0, |end| end + 1)].to_vec()
    })
}

/// Held by whoever writes to a client, for as long as that takes.
static OUTPUT: Mutex<()> = Mutex::new(());

/// Sends everything back, to one client at a time.
fn echo_under_one_lock(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        let _alone = OUTPUT.lock();
        stream.write_all(&buffer[..bytes])?;
    }
}

/// Writes once and drops what the kernel did not take.
fn write_once(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        stream.set_nonblocking(true)?;
        match stream.write(&buffer[..bytes]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => stream.set_nonblocking(false)?,
        }
    }
}

/// Reads on, however much of the replies is still to be sent.
fn buffer_all(stream: &mut Stream) -> std::io::Result<()> {
    let (owed, to_send) = std::sync::mpsc::channel::<Vec<u8>>();
    let mut out = stream.try_clone()?;
    let writer =
        std::thread::spawn(move || to_send.iter().try_for_each(|bytes| out.write_all(&bytes)));
    let read = answer(stream, |bytes| {
        // A writer that has failed takes no more; the next read says why.
        let _ = owed.send(bytes.to_vec());
        Vec::new()
    });
    drop(owed);
    writer.join().unwrap_or(Ok(())).and(read)
}

/// A conversation for each way to cut each of the requests that the profile has; those before and behind it come whole.
///
/// A server that knows its answer from the beginning of the request may close before the rest has come; the rest then
/// resets the connection, after the reply.
fn cut_requests(subject: &Subject, cuts: impl Fn(usize) -> Vec<Segmentation>) -> Vec<Vec<Line>> {
    let talk = |conversation: &Conversation, cut: usize, at: &Segmentation| {
        let mut steps = ClientSteps::of(0).greeted(subject);
        for (n, (request, owed)) in conversation.asked.iter().enumerate() {
            let whole = Segmentation::Whole;
            let segmentation = if n == cut { at } else { &whole };
            let request = Data::literal(request.clone());
            steps = steps
                .send_parts(request, segmentation.clone(), subject)
                .expect(owed.clone());
        }
        let steps = match subject.profile.closes_after_exchange() {
            true => steps
                .expect_end(&[End::Fin, End::Reset])
                .then(Action::Close),
            false => steps.finish(subject),
        };
        steps.lines()
    };
    let mut all = Vec::new();
    for conversation in dialogue::conversations(&subject.profile) {
        let asked = conversation.asked.iter().enumerate();
        for (n, (request, _)) in asked.skip(conversation.shared) {
            let cuts = cuts(request.len());
            all.extend(cuts.iter().map(|at| talk(&conversation, n, at)));
        }
    }
    all
}

/// One and a half requests, and the other half when the first has been answered: a reply that waits for the end of the next request
/// never comes to a client that waits for it.
fn answered_before_the_rest(request: &[u8], subject: &Subject) -> Vec<Line> {
    let (half, rest) = request.split_at(request.len() / 2);
    let and_a_half = [request, half].concat();
    let steps = ClientSteps::of(0).open(subject).send(and_a_half);
    let steps = steps.expect_reply_in_time(subject);
    let steps = steps.send(rest).expect_reply(subject);
    steps.finish(subject).lines()
}

/// The largest payload of a deep run: ten times the largest of another.
const DEEPEST: usize = 40 << 20;

/// Payload sizes around which buffers end, as far as the server takes them, and the largest that it takes.
pub(super) fn sizes(model: Model, deep: bool) -> Vec<usize> {
    let powers: Vec<u32> = match deep {
        true => (0..=22).collect(),
        false => vec![0, 1, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 20, 22],
    };
    let around = powers.into_iter().flat_map(|power| {
        let size = 1usize << power;
        [size - 1, size, size + 1]
    });
    let beyond = deep.then_some(DEEPEST);
    let sizes = around.filter(|size| *size > 0).chain(beyond);
    let mut sizes: Vec<usize> = sizes.map(|size| model.at_most(size)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Lines that differ, the long ones first: a server that answers each when it has done with it answers the short ones first.
fn lines_of_their_own(model: Model, seed: u64) -> Option<Vec<Data>> {
    let lengths = [400, 200, 100, 50, 31, 16, 9, 5, 3, 2];
    let line = |(number, bytes): (u64, usize)| model.payload(bytes, seed + number);
    let lines = (0..).zip(lengths).map(line).collect();
    (model.framing == Framing::Line).then_some(lines)
}

/// How long a payload of this many bytes may take.
pub(super) fn within(bytes: usize) -> Duration {
    // A megabyte a second is far below what any loopback server reaches.
    Duration::from_secs(5 + (bytes >> 20) as u64)
}

/// What a client says and hears, and that nothing comes behind it, where the connection is promised to stay open.
fn all_that_comes(steps: ClientSteps, subject: &Subject) -> Vec<Line> {
    let rest = ClientSteps::of(0);
    match Need::STAYS_OPEN.unmet(subject) {
        None => {
            let rest = rest.expect(Expectation::Nothing).finish(subject);
            [steps.lines(), vec![settle()], rest.lines()].concat()
        }
        Some(_) => steps.finish(subject).lines(),
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "partial/every-cut",
        requirement: "A request that arrives in two segments is answered as if it had come in one, wherever it is cut.",
        why: "One recv is taken for one message: \
              https://github.com/uwplse/verdi-raft/issues/53 https://github.com/foxweb/pico/issues/29",
        method: "Each request of the profile is sent in two segments, cut at each position; the second follows when the kernel \
                   shows that the server has read the first.",
        quantities: "Of a request of up to 24 bytes every position is tried, of a longer one the first and the last \
                     six and about a dozen between, where parsers change their state. With --deep every position.",
        fix: "Collect bytes until the protocol says that the message is complete.",
        defect: &Defect::FRAMING,
        needs: &[Need::STREAM, Need::LONG_REQUEST],
        policy: Policy::MUST,
        scenarios: |subject| {
            let at = |length| {
                let cuts = cuts(length, subject.deep).into_iter();
                cuts.map(|at| Segmentation::At(vec![at])).collect()
            };
            Some(in_one_or_each(
                "each request in two segments",
                cut_requests(subject, at),
                subject,
            ))
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, one_read_one_message),
        },
    },
    Check {
        id: "partial/byte-by-byte",
        requirement: "A request that arrives a byte at a time is answered as if it had come at once.",
        why: "A parser that starts afresh at each read never sees more than one byte: \
              https://github.com/marcomorain/garcon/issues/2",
        method: "Each request of the profile is sent one byte a segment; each follows when the server has read the one before. Over TLS \
                 another client's ClientHello comes so, too.",
        quantities: "",
        fix: "Keep what was read until the message is complete.",
        defect: &Defect::FRAMING,
        needs: &[Need::STREAM, Need::LONG_REQUEST],
        policy: Policy::MUST,
        scenarios: |subject| {
            let bytes = |length| match length {
                0 | 1 => Vec::new(),
                _ => vec![Segmentation::Pieces(1)],
            };
            let lines = cut_requests(subject, bytes);
            let mut all = in_one_or_each("each request a byte at a time", lines, subject);
            all.extend(hello_byte_by_byte(subject));
            Some(all)
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    answer(stream, |bytes| match bytes {
                        // A lone byte is taken for the rest of something that went before.
                        [_] => Vec::new(),
                        _ => bytes.to_ascii_uppercase(),
                    })
                })
            },
        },
    },
    Check {
        id: "partial/one-by-one",
        requirement: "Requests that come one by one on a connection, each behind the reply to the one before, are all answered.",
        why: "A server that goes back to accept after one request, or forgets to read again, leaves its client waiting: \
              https://github.com/jacksonh/manos/issues/57 https://github.com/ratpack/ratpack/issues/825",
        method: "One client makes the last exchange of the profile three times, each time when it has read the reply.",
        quantities: "The second shows who forgets to read again, the third who keeps something of the first. With \
                     --deep thirty.",
        fix: "After a reply, wait for the next request of the same client.",
        defect: &Defect::FRAMING,
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::STAYS_OPEN,
            Need::PROMISES_AGAIN,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let opened = ClientSteps::of(0).open(subject);
            let steps = (0..subject.deeper(3))
                .fold(opened, |steps, _| steps.request_and_reply(subject))
                .finish(subject);
            Some(vec![scenario(
                "the same again",
                &[("alice", 1)],
                vec![steps.lines()],
            )])
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut answered = false;
                    answer(stream, |bytes| {
                        let reply = match answered {
                            true => Vec::new(),
                            false => bytes.to_ascii_uppercase(),
                        };
                        answered = true;
                        reply
                    })
                })
            },
        },
    },
    Check {
        id: "partial/coalesced",
        requirement: "Requests that arrive in one segment are all answered, in order and once.",
        why: "What stands behind the first request in the buffer is dropped, and the client waits for ever; or workers answer in \
              whatever order they come to their end: \
              https://github.com/yhirose/cpp-httplib/issues/1271 https://github.com/warmcat/libwebsockets/issues/638 \
              https://github.com/guzba/mummy/issues/142",
        method: "Two, three and ten requests are sent in one segment; where each line has its own reply, also ten lines that differ, \
                   long ones before short ones. Where the connection stays open, nothing comes behind the replies.",
        quantities: "Two and three show a remainder that is dropped; ten, and ten that differ, give each of several \
                     workers something to overtake with. With --deep a hundred in the place of ten.",
        fix: "After a message, look for the next one in the buffer before reading again.",
        defect: &Defect::FRAMING,
        needs: &[Need::STREAM, Need::DIALOGUE, Need::REPLY, Need::PIPELINING],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let different = subject.profile.model().and_then(|model| {
                let lines = lines_of_their_own(model, subject.seed)?;
                let all: Vec<u8> = lines.iter().flat_map(|line| line.bytes(0)).collect();
                let steps = ClientSteps::of(0).open(subject).send(all);
                let steps = lines
                    .iter()
                    .filter_map(|line| model.reply(line))
                    .fold(steps, |steps, reply| steps.expect(Expectation::Data(reply)));
                Some(all_that_comes(steps, subject))
            });
            let conversation = |times: u32| {
                let mut steps = ClientSteps::of(0).open(subject).send_data(
                    Data::literal(request.clone()).times(times),
                    Segmentation::Whole,
                );
                for _ in 0..times {
                    steps = steps.expect_reply(subject);
                }
                all_that_comes(steps, subject)
            };
            let alike = [2, 3, subject.deeper(10)].map(conversation);
            let lines = alike.into_iter().chain(different).collect();
            Some(in_one_or_each(
                "several requests in one segment",
                lines,
                subject,
            ))
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, one_message_a_read),
        },
    },
    Check {
        id: "partial/straddle",
        requirement: "A request whose beginning arrives with the one before is answered too.",
        why: "The half that came early is thrown away with the buffer: \
              https://github.com/aether-lang-dev/aether/issues/1834",
        method: "One and a half requests are sent in one segment, the other half in the next; once not before the reply to the \
                   first has come.",
        quantities: "Of a request of up to 24 bytes every position is tried, of a longer one the first and the last \
                     six and about a dozen between. With --deep every position.",
        fix: "Keep what is left in the buffer after a message.",
        defect: &Defect::FRAMING,
        needs: &[
            Need::STREAM,
            Need::LONG_REQUEST,
            Need::REPLY,
            Need::PIPELINING,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let conversation = |at: usize| {
                ClientSteps::of(0)
                    .open(subject)
                    .send_parts(
                        Data::literal(request.clone()).times(2),
                        Segmentation::At(vec![request.len() + at]),
                        subject,
                    )
                    .expect_reply(subject)
                    .expect_reply(subject)
                    .finish(subject)
                    .lines()
            };
            let cuts = cuts(request.len(), subject.deep);
            let mut lines: Vec<_> = cuts.into_iter().map(conversation).collect();
            lines.push(answered_before_the_rest(&request, subject));
            Some(in_one_or_each(
                "one and a half requests, then the rest",
                lines,
                subject,
            ))
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, whole_lines_of_each_read),
        },
    },
    Check {
        id: "partial/large",
        requirement: "Payloads of every size up to 4 MiB, or to what is promised as the longest line or as half of the output that may \
                      wait, are answered exactly.",
        why: "Buffers end at powers of two; a payload that meets the end exactly, or passes it by one, is cut or stalls: \
              https://github.com/march-language/march/pull/260 https://github.com/puma/puma/issues/170",
        method: "Payloads of the sizes around the powers of two are sent, and the replies compared byte by byte. Where the connection \
                   stays open, nothing comes behind them.",
        quantities: "Buffers have sizes that are powers of two; up to 4 MiB covers those of languages and frameworks, \
                     and the largest send buffer (tcp_wmem). Without --deep some powers below 4 KiB and above 256 KiB \
                     are left out; with it none is, and 40 MiB are sent, too.",
        fix: "Read until the kernel has no more, and write until all is written.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| {
            let model = subject.profile.model()?;
            let conversation = |(number, bytes): (u64, usize)| {
                let data = model.payload(bytes, subject.seed + number);
                let reply = model.reply(&data)?;
                let steps = ClientSteps::of(0)
                    .open(subject)
                    .send_data(data, Segmentation::Whole)
                    .expect_within(Expectation::Data(reply), within(bytes));
                Some(all_that_comes(steps, subject))
            };
            let lines = (0..)
                .zip(sizes(model, subject.deep))
                .filter_map(conversation)
                .collect();
            Some(in_one_or_each(
                "payloads around the powers of two",
                lines,
                subject,
            ))
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut served = 0usize;
                    answer(stream, |bytes| {
                        served += bytes.len();
                        match served {
                            // The byte that does not fit the buffer is lost.
                            65_537.. => bytes[..bytes.len() - 1].to_vec(),
                            _ => bytes.to_vec(),
                        }
                    })
                })
            },
        },
    },
    Check {
        id: "partial/slow-reader",
        requirement: "A client that reads slowly through a small buffer gets every byte of a large reply, in order.",
        why: "The write is short, and the rest is dropped: \
              https://github.com/tina4stack/tina4-php/issues/118 https://github.com/hyperium/hyper/pull/1803",
        method: "A client with a receive buffer of a few KiB asks for megabytes and reads none of them until the server rests or \
                   waits for it, and then 1 KiB at a time.",
        quantities: "4 MiB are as many as the largest send buffer (tcp_wmem), which grows with the client's window, \
                     and that is a few KiB here: the server has to wait, however slow it is, and thousands of times. With \
                     --deep 40 MiB, and ten times as long for them.",
        fix: "Write until all is written (`sendall`), or keep the rest and go on when the socket is writable.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| {
            let slowly = ReadRate {
                bytes: 1 << 10,
                every: Duration::ZERO,
            };
            let bytes = subject.deeper_bytes(4 << 20);
            let within = subject.deeper(Duration::from_secs(60));
            let options = small_buffer();
            let lines = output::stream_read_late(0, options, slowly, (bytes, within), subject)?;
            Some(vec![scenario(
                "a reader that is slower than the server",
                &[("alice", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, write_once),
        },
    },
    Check {
        id: "partial/tiny-window",
        requirement: "A client with the smallest window and segments of the smallest size is answered exactly.",
        why: "What fits one segment everywhere else takes many here, in both directions: \
              https://github.com/hyperium/hyper/issues/1032",
        method: "A client connects with a receive buffer at its minimum and a maximum segment size of 88 bytes.",
        quantities: "256 KiB take some 3,000 segments of 88 bytes, more than any buffer that a client with the \
                     smallest window leaves the server. With --deep 2.5 MiB.",
        fix: "Expect short reads and short writes at any time.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::TCP, Need::DIALOGUE],
        policy: Policy::MUST,
        scenarios: |subject| {
            let options = smallest_window();
            let mut lines = vec![with_connect_options(
                ClientSteps::of(0).polite(subject).lines(),
                &options,
            )];
            if let Some(model) = subject.profile.model() {
                let data = bulk(model, subject.deeper_bytes(256 << 10), subject.seed);
                let expected = model
                    .reply(&data)
                    .map_or(Expectation::Taken, Expectation::Data);
                let steps = ClientSteps::of(0)
                    .then(Action::Connect(options))
                    .secured(subject)
                    .send_in_background(data)
                    .expect_within(expected, subject.deeper(Duration::from_secs(30)))
                    .finish(subject);
                lines.push(steps.lines());
            }
            Some(in_one_or_each(
                "the smallest window and segments",
                lines,
                subject,
            ))
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, write_once),
        },
    },
    Check {
        id: "partial/stalled-reader",
        requirement: "A client that stops reading keeps nobody else from being served, and gets the rest when it reads.",
        why: "A blocking write to one client blocks all, or its reply is buffered without a bound: \
              https://github.com/http-kit/http-kit/issues/180 https://github.com/folio-org/okapi/pull/948",
        method: "A client sends megabytes and does not read; another is served; then the first reads on, and is silent when it has \
                 all: the server comes to rest. Without a model, a client asks for 8 MiB of replies, one request after the other, of which \
                 the kernel takes 4 at most; another is served.",

        quantities: "8 MiB are more than the largest send buffer (4 MiB, tcp_wmem) and the window of a client that \
                     does not read (128 KiB at first, tcp_rmem) hold: the rest waits in the server, or is not read by \
                     it. With --deep 60 MiB, the most that one step sends.",
        fix: "Write without blocking, and stop reading from a client that does not read.",
        defect: &Defect::MANY,
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::ASKS_FOR_MUCH,
            Need::CONCURRENT,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let Some(model) = subject.profile.model() else {
                return Some(vec![beside_who_is_held_back(subject)?]);
            };
            let data = bulk(model, subject.deeper_bytes(8 << 20), subject.seed);
            let reply = model.reply(&data)?;
            // Of the little that a client may ask for, the kernel is to leave something to the server.
            let options = match model.output_limit {
                Some(_) => narrow(subject),
                None => ConnectOptions::default(),
            };
            let stalled = ClientSteps::of(1)
                .then(Action::Connect(options))
                .secured(subject)
                .then(Action::Stall)
                .send_in_background(data);
            let rest = ClientSteps::of(1).then(Action::Read(None)).expect_within(
                Expectation::Data(reply),
                subject.deeper(Duration::from_secs(20)),
            );
            Some(vec![scenario(
                "one reader stalls, another is served",
                &[("alice", 1), ("mallory", 1)],
                vec![
                    stalled.lines(),
                    vec![settle()],
                    ClientSteps::of(0).polite(subject).lines(),
                    rest.lines(),
                    // Interest in writing that outlives what was to be written wakes the server for as long as the client stays.
                    vec![server_expects(ServerExpectation::Rest)],
                    ClientSteps::of(1).finish(subject).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, echo_under_one_lock),
        },
    },
    Check {
        id: "partial/backpressure",
        requirement: "A client that asks for megabytes and reads nothing of what it is owed is held back: the server stops reading.",
        why: "Replies are buffered without a bound, until memory is at its end: \
              https://github.com/http-kit/http-kit/issues/180 https://github.com/BaseIntelligence/bounty-challenge/issues/1173",
        method: "A client with a small receive buffer sends 32 MiB to a server with a model, or as many requests in a row as are worth \
                   8 MiB of replies, and reads nothing; the server has to come to sleep over bytes that it has not read, or to end \
                   the connection. The kernel takes 4 MiB of it at most.",
        quantities: "Send buffers of 4 MiB and receive buffers of 6 MiB at most (tcp_wmem, tcp_rmem) hold 10 MiB on \
                     the way to the server and 4 MiB on the way back, where the client's buffer is small: of 32 MiB \
                     more than both hold has to wait in a server that reads all. Of 8 MiB of replies half has to. \
                     With --deep 60 MiB, the most that one step sends, for limits of tens of MiB.",
        fix: "Stop reading from a client while much of what it is owed is unsent (`pause`, `drain`, a full channel).",
        defect: &Defect::BOUNDED,
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::ASKS_FOR_MORE_THAN_IS_HELD,
            Need::NO_OUTPUT_LIMIT,
        ],
        policy: Policy::SHOULD,
        scenarios: |subject| {
            let replies = match subject.profile.model() {
                Some(_) => 32 << 20,
                None => REPLIES,
            };
            let steps = ClientSteps::of(0)
                .open(subject)
                .then(Action::Stall)
                .send_in_background(requests(subject, subject.deeper_bytes(replies))?)
                .expect_within(
                    Expectation::HeldBack,
                    subject.deeper(Duration::from_secs(20)),
                )
                .then(Action::Close);
            Some(vec![scenario(
                "a client that only sends",
                &[("mallory", 1)],
                vec![with_connect_options(steps.lines(), &small_buffer())],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, buffer_all),
        },
    },
    Check {
        id: "partial/output-limit",
        requirement: "A client for whom more output waits than is promised is ended, or held back before: the server does not read on.",
        why: "A limit that is looked at on some paths only, or that is met and not acted on, lets one client that does not read \
              take all memory: https://github.com/redis/redis/issues/4005 https://github.com/http-kit/http-kit/issues/180",
        method: "A client with a small receive buffer asks for twice the promised size and what the kernel takes beside, and reads \
                   nothing; meanwhile another is served.",
        quantities: "Twice the promised size and what the kernel takes beside cannot be kept within the promise, \
                     whatever is in the kernel. The promise says how much; --deep changes nothing.",
        fix: "Look at what waits for a client wherever something is added to it, and end the connection when it is too much.",
        defect: &Defect::BOUNDED,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY, Need::OUTPUT_LIMIT],
        policy: Policy::MUST,
        scenarios: output::promised,
        counterexample: Counterexample {
            instead_of: "eager",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, buffer_all),
        },
    },
    Check {
        id: "partial/stalled-writer",
        requirement: "A client that stops in the middle of its request keeps nobody else from being served.",
        why: "The first read is done in the accept loop: \
              https://github.com/scylladb/seastar/issues/335 https://github.com/Kitura/Kitura/issues/1143",
        method: "A client sends half a request and falls silent; another is served.",
        quantities: "Five are more than a server has that serves one client after the other, or a pool of four. With \
                     --deep fifty, as far as places, descriptors and the accept queue allow.",
        fix: "Never wait for one client in a loop that serves all.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::LONG_REQUEST, Need::CONCURRENT],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let half = &request[..request.len() / 2];
            // Of other protocols it is not known that half a request is none.
            let hears = subject.profile.model().map(|model| {
                let is_answered = model.framing == Framing::Stream;
                let reply = model.reply(&Data::literal(half)).filter(|_| is_answered);
                reply.map(Expectation::Data).into_iter().collect()
            });
            let half = ClientSteps::of(1).open(subject).send(half);
            Some(vec![scenario(
                "half a request, then silence",
                &[("alice", 1), ("mallory", subject.deeper_few(5))],
                served_beside([half.lines(), vec![settle()]].concat(), hears, subject),
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| echo_once_heard(&listen(address)?),
        },
    },
    Check {
        id: "partial/full-duplex",
        requirement: "A client that sends and reads at the same time gets every byte of a long stream.",
        why: "A server that reads all before it writes, or the other way round, comes to a stop when both buffers are \
              full: https://github.com/Karlson2k/libmicrohttpd/pull/11",
        method: "16 MiB are sent while the reply is read; no more at a time than may wait, where that is promised.",
        quantities: "16 MiB are more than all buffers hold in both directions, with send buffers of 4 MiB and receive \
                     buffers of 6 MiB at most (tcp_wmem, tcp_rmem): a server that reads all before it writes, and a \
                     client that does so too, would stand still in a part of it. With --deep 60 MiB, the most that \
                     one step sends.",
        fix: "Read and write independently of each other, with backpressure.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY],
        policy: Policy::MUST,
        scenarios: |subject| {
            let steps = ClientSteps::of(0).open(subject);
            let lines = output::stream(
                steps,
                subject.deeper_bytes(16 << 20),
                subject.deeper(Duration::from_secs(30)),
                subject,
            )?;
            Some(vec![scenario(
                "sending and reading at once",
                &[("alice", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut served = 0;
                    answer(stream, |bytes| {
                        served += bytes.len();
                        // A window that is never opened again.
                        if served > 8 << 20 {
                            Vec::new()
                        } else {
                            bytes.to_vec()
                        }
                    })
                })
            },
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    fn lines(promises: &str) -> Model {
        let profile = format!("model = \"echo\"\nframing = \"line\"\n[promises]\n{promises}\n");
        server(&profile).profile.model().unwrap()
    }

    #[test]
    fn payloads_are_of_the_sizes_around_which_buffers_end() {
        let sizes_of = |deep| sizes(lines(""), deep);
        let quick = sizes_of(false);
        assert_eq!(quick[..9], [1, 2, 3, 15, 16, 17, 63, 64, 65]);
        assert_eq!(quick[quick.len() - 2..], [4 << 20, (4 << 20) + 1]);
        let deep = sizes_of(true);
        assert_eq!(deep[..9], [1, 2, 3, 4, 5, 7, 8, 9, 15]);
        assert_eq!(deep.last(), Some(&DEEPEST));
        // The largest that is taken is the last.
        let few = sizes(lines("longest = \"20B\""), false);
        assert_eq!(few, [1, 2, 3, 15, 16, 17, 20]);
    }

    #[test]
    fn payload_may_take_five_seconds_and_one_for_each_mebibyte() {
        assert_eq!(within((1 << 20) - 1), Duration::from_secs(5));
        assert_eq!(within(3 << 20), Duration::from_secs(8));
    }

    #[test]
    fn lines_that_differ_begin_with_the_long_ones() {
        let of_lines = lines_of_their_own(lines(""), 1).unwrap();
        let lengths: Vec<_> = of_lines.iter().map(Data::length).collect();
        assert_eq!(lengths, [400, 200, 100, 50, 31, 16, 9, 5, 3, 2]);
        let texts: std::collections::HashSet<_> =
            of_lines.iter().map(|line| line.bytes(0)).collect();
        assert_eq!(texts.len(), lengths.len());
        let stream = server("model = \"echo\"\nframing = \"stream\"\n");
        assert!(lines_of_their_own(stream.profile.model().unwrap(), 1).is_none());
    }
}
