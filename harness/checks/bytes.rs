//! Bytes that nobody expects.

use super::derive::{in_one_or_each, without_a_word};
use super::longest;
use crate::checks::counterexample::{Stream, answer, each, echo, listen};
use crate::model::action::Action;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::defect::Defect;
use crate::model::dialogue::{self, ClientSteps, pause, scenario, settle};
use crate::model::expectation::Expectation;
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Need;
use crate::model::profile::Framing;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use std::io::{Read, Write};
use std::os::fd::AsFd;

/// The given payload, in as many exchanges as the server takes it in, each framed as the model wants it.
fn exchange(name: &str, payload: &[u8], subject: &Subject) -> Option<Vec<Scenario>> {
    let model = subject.profile.model()?;
    let mut bytes = payload.to_vec();
    let end: &[u8] = match model.framing {
        Framing::Line => b"\n",
        Framing::Stream | Framing::Datagram => b"",
    };
    bytes.retain(|byte| !end.contains(byte));
    let parts = bytes.chunks(model.at_most(usize::MAX) - end.len());
    let conversation = |part: &[u8]| {
        let data = Data::literal([part, end].concat());
        let expected = model
            .reply(&data)
            .map_or(Expectation::Taken, Expectation::Data);
        ClientSteps::of(0)
            .open(subject)
            .send_data(data, Segmentation::Whole)
            .expect(expected)
            .finish(subject)
            .lines()
    };
    Some(in_one_or_each(
        name,
        parts.map(conversation).collect(),
        subject,
    ))
}

/// Sends without caring what comes of it, and leaves.
fn throw(name: impl Into<String>, steps: ClientSteps, data: Data) -> Scenario {
    and_leave(name, steps.send_in_background(data))
}

/// Random bytes in the place of what a client says first: of TLS, where the server speaks that, and inside of it.
fn garbage(seed: u64, subject: &Subject) -> Vec<Scenario> {
    let data = Source::Pattern {
        bytes: 64 << 10,
        seed,
    };
    let thrown = |(how, comes): (&str, ClientSteps)| {
        throw(format!("random bytes{how}"), comes, data.clone().into())
    };
    without_a_word(0, subject).into_iter().map(thrown).collect()
}

fn and_leave(name: impl Into<String>, steps: ClientSteps) -> Scenario {
    let leaves = ClientSteps::of(0).then(Action::Close).lines();
    let lines = [steps.lines(), vec![settle()], leaves, vec![settle()]];
    scenario(name, &[("mallory", 1)], lines.to_vec())
}

/// Clients of a dialogue that never come to the end of their request.
fn without_an_end(bytes: usize, subject: &Subject) -> Vec<Scenario> {
    let is_dialogue = subject.profile.model().is_none();
    let request = dialogue::request(&subject.profile).filter(|_| is_dialogue);
    let Some(request) = request else {
        return Vec::new();
    };
    let begins = |head: &[u8]| ClientSteps::of(0).open(subject).send(head);
    let line = beginning(&request).map(|head| {
        let steps = begins(head).send_in_background(letters(bytes, false, subject));
        and_leave("a request without an end", steps)
    });
    let lines = first_line(&request, subject).map(|first| {
        let line = letters(HEADER_BYTES, true, subject);
        let times = (bytes / HEADER_BYTES) as u32;
        let steps = begins(first).send_in_background(line.times(times));
        and_leave("a request of lines without an end", steps)
    });
    line.into_iter().chain(lines).collect()
}

/// A request less its end: the newlines, or the last byte.
fn beginning(request: &[u8]) -> Option<&[u8]> {
    let text = request.trim_ascii_end();
    let most = text.len().min(request.len().saturating_sub(1));
    (most > 0).then(|| &request[..most])
}

/// The first line of a request; none where whoever says what is no request is ignored for a while, each time.
fn first_line<'a>(request: &'a [u8], subject: &Subject) -> Option<&'a [u8]> {
    let takes_all = subject.profile.promises.throttling.is_none();
    let end = request.iter().position(|byte| *byte == b'\n');
    end.filter(|_| takes_all).map(|at| &request[..=at])
}

fn letters(bytes: usize, line: bool, subject: &Subject) -> Data {
    let seed = subject.seed;
    Source::Text { bytes, seed, line }.into()
}

/// As long as many a header of HTTP.
const HEADER_BYTES: usize = 64;

/// The longest line has its newline in it, and this server has no room for that where all else was there before.
fn no_room_for_the_newline(stream: &mut Stream) -> std::io::Result<()> {
    const LONGEST: usize = 64 << 10;
    let mut held = Vec::new();
    let mut buffer = vec![0; 2 * LONGEST];
    loop {
        let bytes = stream.read(&mut buffer)?;
        held.extend_from_slice(&buffer[..bytes]);
        while let Some(newline) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=newline).collect();
            if line.len() > LONGEST {
                return Ok(());
            }
            stream.write_all(&line)?;
        }
        if bytes == 0 || held.len() >= LONGEST - 1 {
            return Ok(());
        }
    }
}

/// Ignores a client for a while, as the profile `club` promises, and then leaves it; but an end that has come meanwhile is missed,
/// for no event tells of it any more.
fn ignore(stream: &mut Stream) -> std::io::Result<()> {
    std::thread::park_timeout(CLUB_IGNORES);
    stream.set_nonblocking(true)?;
    let mut buffer = [0; 16 << 10];
    loop {
        if stream.read(&mut buffer)? == 0 {
            std::thread::park();
        }
    }
}

/// The promised time of the profile `club` for who has said what is no request.
const CLUB_IGNORES: std::time::Duration = std::time::Duration::from_secs(1);

/// Longer than all that the reference server `club` knows.
const LONGEST_WORD: usize = 16;

const TEXT_WHY: &str = "A string type of the language, or a C string, does not hold every byte: one stray byte ends the \
                        conversation or the server.";

const TEXT_CURE: &str = "Handle bytes as bytes; decode late, and treat a failure as the client's.";

/// Longer than a server looks at a client that it takes for gone, and shorter than any is given up.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(300);

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "bytes/nul",
        requirement: "NUL bytes in a payload are answered like any others.",
        why: TEXT_WHY,
        method: "A payload with NUL bytes at its beginning, in its middle and at its end is sent.",
        quantities: "",
        fix: TEXT_CURE,
        defect: &Defect::BYTES,
        needs: &[Need::MODEL],
        policy: Policy::MUST,
        scenarios: |subject| exchange("NUL bytes", b"\0a\0\0b\0", subject),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    answer(stream, |bytes| {
                        bytes
                            .split(|byte| *byte == 0)
                            .next()
                            .unwrap_or_default()
                            .to_vec()
                    })
                })
            },
        },
    },
    Check {
        id: "bytes/invalid-utf8",
        requirement: "Bytes that are no UTF-8 are answered like any others.",
        why: TEXT_WHY,
        method: "Payloads with lone continuation bytes, overlong forms and cut sequences are sent.",
        quantities: "",
        fix: TEXT_CURE,
        defect: &Defect::BYTES,
        needs: &[Need::MODEL],
        policy: Policy::MUST,
        scenarios: |subject| {
            exchange(
                "no UTF-8",
                b"\xff\xfe\x80 \xc0\xaf \xed\xa0\x80 \xf0\x9f\x92",
                subject,
            )
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    answer(stream, |bytes| {
                        String::from_utf8_lossy(bytes).into_owned().into_bytes()
                    })
                })
            },
        },
    },
    Check {
        id: "bytes/all-values",
        requirement: "Every byte value is answered as the model says.",
        why: TEXT_WHY,
        method: "A payload of all 256 byte values is sent.",
        quantities: "",
        fix: TEXT_CURE,
        defect: &Defect::BYTES,
        needs: &[Need::MODEL],
        policy: Policy::MUST,
        scenarios: |subject| exchange("all byte values", &(0..=255).collect::<Vec<u8>>(), subject),
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    // Clearing a bit turns lower case into capitals, and much else into something else.
                    answer(stream, |bytes| {
                        bytes
                            .iter()
                            .map(|byte| if *byte >= b'a' { byte & 0xdf } else { *byte })
                            .collect()
                    })
                })
            },
        },
    },
    Check {
        id: "bytes/garbage",
        requirement: "A server survives random bytes.",
        why: "Parsers meet lengths that are negative, indexes out of range, and states that cannot be.",
        method: "64 KiB of seeded random bytes are sent, three times.",
        quantities: "Three times 64 KiB are three seeds: a parser takes a wrong turn in the first bytes of most of \
                     them, and some buffers end at 64 KiB. With --deep thirty seeds; --seed gives others.",
        fix: "Check every length and index that comes from outside.",
        defect: &Defect::BYTES,
        needs: &[Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let seeds = (0..subject.deeper(3u64)).map(|n| subject.seed + n);
            Some(seeds.flat_map(|seed| garbage(seed, subject)).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    answer(stream, |bytes| {
                        if bytes.len() > 100 && bytes.iter().any(|byte| *byte >= 0x80) {
                            std::process::abort();
                        }
                        bytes.to_vec()
                    })
                })
            },
        },
    },
    Check {
        id: "bytes/endless-line",
        requirement: "A server survives megabytes without a newline, within bounded memory.",
        why: "A line is collected without a bound, and copied at each read: \
              https://github.com/BaseIntelligence/bounty-challenge/issues/1173",
        method: "16 MiB of letters without a newline are sent, by themselves and, where there is an exchange, behind the beginning of its \
                   request; where that has lines, 16 MiB of lines behind its first one as well.",
        quantities: "16 MiB are more than any line that usual protocols allow, and a buffer that collects them shows \
                     twice over: in memory, and in the time of a server that copies it at each read. With --deep 60 \
                     MiB, the most that one step sends.",
        fix: "Bound what is collected, and end the conversation beyond it.",
        defect: &Defect::BOUNDED,
        needs: &[Need::OWN_PROCESS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let bytes = subject.deeper_bytes(16 << 20);
            let alone = throw(
                "a line without an end",
                ClientSteps::of(0).connect().secured(subject),
                letters(bytes, false, subject),
            );
            Some([vec![alone], without_an_end(bytes, subject)].concat())
        },
        counterexample: Counterexample {
            instead_of: "line-echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut line = Vec::new();
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        let bytes = stream.read(&mut buffer)?;
                        if bytes == 0 {
                            return Ok(());
                        }
                        line.extend_from_slice(&buffer[..bytes]);
                        if line.len() > 1 << 20 {
                            // A fixed buffer, written past its end.
                            std::process::abort();
                        }
                        if line.ends_with(b"\n") {
                            stream.write_all(&std::mem::take(&mut line))?;
                        }
                    }
                })
            },
        },
    },
    Check {
        id: "bytes/throttled",
        requirement: "Who has said what is no request is noticed again within the time that is promised for that.",
        why: "A penalty that was meant for guessing keeps a descriptor and a worker for ever: \
              https://github.com/hfiref0x/LightFTP/issues/62",
        method: "A client sends a line of 8 KiB that is no request, then FIN; the server has to close its side within the promised \
                   time and five seconds.",
        quantities: "8 KiB are longer than a request in the protocols that have a penalty for noise. The promise says \
                     how long it lasts; --deep changes nothing.",
        fix: "Bound the time for which a client is ignored, or promise what it is.",
        defect: &Defect::DEADLINE,
        needs: &[
            Need::STREAM,
            Need::EXCHANGES,
            Need::MANY_CONNECTIONS,
            Need::THROTTLING,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let promised = subject.profile.promises.throttling?;
            let noise = letters(8 << 10, true, subject);
            let steps = ClientSteps::of(0)
                .open(subject)
                .send_data(noise, Segmentation::Whole)
                .then(Action::HalfClose)
                .expect_within(Expectation::any_end(), promised + STEP_WITHIN)
                .then(Action::Close);
            Some(vec![scenario(
                "a line that is no request, and the end",
                &[("mallory", 1)],
                vec![steps.lines()],
            )])
        },
        counterexample: Counterexample {
            instead_of: "club",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut words = [&b"WELCOME as number 1\n"[..]].into_iter();
                    let mut buffer = [0; 16 << 10];
                    loop {
                        match stream.read(&mut buffer)? {
                            0 => return Ok(()),
                            1..=LONGEST_WORD => {
                                stream.write_all(words.next().unwrap_or(b"PONG\n"))?;
                            }
                            _ => return ignore(stream),
                        }
                    }
                })
            },
        },
    },
    Check {
        id: "bytes/longest",
        requirement: "A request that is as long as promised is answered, and a longer one sees what is promised.",
        why: "The end of a buffer is where the newline, or the last byte, finds no room; and who sends more is left without a \
              word, or takes the server along: https://github.com/march-language/march/pull/260 \
              https://github.com/PowerDNS/pdns/pull/2939",
        method: "Requests of half the promised length, of a byte less than it and of exactly that length are sent, and \
                   others that are longer by a byte, by half and by much more, the newline of a line by itself; then a polite client \
                   comes.",
        quantities: "One byte less, exactly, and one byte more than is promised are where a buffer is too short by \
                     one; half as much again and much more are where it is written beyond. --deep changes nothing.",
        fix: "Keep room for the longest request and its newline, and say no to a longer one as the protocol does.",
        defect: &Defect::BOUNDED,
        needs: &[
            Need::MODEL,
            Need::REPLY,
            Need::LONGEST,
            Need::MANY_CONNECTIONS,
        ],
        policy: Policy::MUST,
        scenarios: longest::promised,
        counterexample: Counterexample {
            instead_of: "line-idle",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, no_room_for_the_newline),
        },
    },
    Check {
        id: "bytes/empty-write",
        requirement: "A client that connects and speaks a moment later is answered.",
        why: "A first read that finds nothing is taken for a client that has gone: EAGAIN is not the end (read(2)).",
        method: "A client connects, writes nothing, and sends its request when the server has come to rest, and a moment \
                 later.",
        quantities: "",
        fix: "Tell EAGAIN from the end of input.",
        defect: &Defect::INTERRUPTED,
        needs: &[Need::STREAM, Need::DIALOGUE, Need::REQUEST],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            Some(vec![scenario(
                "nothing, then the request",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open(subject).send("").lines(),
                    vec![settle(), pause(A_MOMENT)],
                    ClientSteps::of(0)
                        .send(request)
                        .expect_reply(subject)
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
                    // Long enough for a polite client on a loaded host.
                    std::thread::park_timeout(std::time::Duration::from_millis(200));
                    stream.peek(&mut [0])?;
                    stream.set_nonblocking(false)?;
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "bytes/urgent",
        requirement: "A server survives an out-of-band byte.",
        why: "Urgent data raises POLLPRI and moves the read mark (tcp(7)); loops that never clear it spin or end.",
        method: "A client sends one urgent byte and leaves.",
        quantities: "",
        fix: "Ignore urgent data, or read it in line (SO_OOBINLINE).",
        defect: &Defect::BYTES,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |_| {
            let mut lines = ClientSteps::of(0)
                .connect()
                .then(Action::SendUrgent(b'!'))
                .lines();
            lines.push(settle());
            lines.extend(ClientSteps::of(0).then(Action::Close).lines());
            Some(vec![scenario(
                "an urgent byte",
                &[("mallory", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    use rustix::event::{PollFd, PollFlags, poll};
                    let mut fds = [PollFd::from_borrowed_fd(
                        stream.as_fd(),
                        PollFlags::PRI | PollFlags::IN,
                    )];
                    poll(&mut fds, None)?;
                    if fds[0].revents().contains(PollFlags::PRI) {
                        std::process::exit(1);
                    }
                    echo(stream)
                })
            },
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_of_a_request_is_all_but_its_newlines_or_its_last_byte() {
        assert_eq!(beginning(b"PING\r\n"), Some(&b"PING"[..]));
        assert_eq!(beginning(b"PING"), Some(&b"PIN"[..]));
        assert_eq!(beginning(b"P"), None);
        assert_eq!(beginning(b"\n"), None);
        assert_eq!(beginning(b""), None);
    }
}
