//! The steps of the language, as tables: what clients do, what is done to the server, what both may expect.

use super::bounds::{MOST_FILES, MOST_PIECES, MOST_TIMES};
use super::calls;
use super::diagnostic::Diagnostic;
use super::payload;
use super::reader::{Choice, Read, Reader, Verb, words};
use super::tokens::Kind;
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::form::Wait;
use crate::model::limits::MOST_OF_A_STEP;
use crate::model::literal::Size;
use crate::model::server_action::{Second, ServerAction, Signal, Streams};
use crate::model::tls::{Identity, PemFile, TlsOptions, TlsVersion, is_host, is_protocol};
use std::path::Path;
use std::time::Duration;

/// What a client can do.
pub(super) const ACTIONS: &[Verb<Action>] = &[
    Verb {
        usage: "connect [without-waiting] [receive-buffer SIZE] [segment-size SIZE] [from ADDRESS] [to ADDRESS] [same-port]",
        about: "Opens a connection, in place of an earlier one, and waits for the handshake unless told not to.",
        example: "alice connect receive-buffer 4KiB from 127.0.0.2",
        read: |line| line.choices(CONNECT_OPTIONS).map(Action::Connect),
    },
    Verb {
        usage: "send DATA [in pieces of SIZE | cut at POSITION…] [as records] [every DURATION] [in the background]",
        about: "Sends data in one segment or several; without a pause each waits until the server has read the one before. Over TLS \
                its records are divided, or each segment is a record of its own.",
        example: "alice send \"hello\" cut at 2 every 10ms",
        read: send,
    },
    Verb {
        usage: "start-tls [name \"HOST\"] [alpn \"PROTOCOL\"…] [version 1.2|1.3] [certificate \"FILE\" key \"FILE\"] [in pieces of SIZE | cut at POSITION…] [every DURATION] [first SIZE]",
        about: "Begins a TLS handshake on the connection and does not wait for its end; `first` sends only so much of the \
                ClientHello, and nothing behind it. The files are in PEM.",
        example: "alice start-tls name \"localhost\" alpn \"h2\" in pieces of 1B",
        read: start_tls,
    },
    Verb {
        usage: "send-urgent \"BYTE\"",
        about: "Sends one out-of-band byte (MSG_OOB, tcp(7)).",
        example: "alice send-urgent \"!\"",
        read: |line| line.byte().map(Action::SendUrgent),
    },
    Verb {
        usage: "send-descriptor \"BYTE\"",
        about: "Sends one byte together with an open descriptor (SCM_RIGHTS, unix(7)).",
        example: "alice send-descriptor \"!\"",
        read: |line| line.byte().map(Action::SendDescriptor),
    },
    Verb {
        usage: "send-without-source DATA",
        about: "Sends a datagram that names no sender: from UDP port 0 (RFC 768), for which the lab needs a network of its own, \
                or from a Unix socket without a name.",
        example: "alice send-without-source \"hello\"",
        read: |line| plain(line).map(Action::SendWithoutSource),
    },
    Verb {
        usage: "half-close",
        about: "Sends FIN and goes on reading.",
        example: "alice half-close",
        read: |_| Ok(Action::HalfClose),
    },
    Verb {
        usage: "reset",
        about: "Closes with RST instead of FIN.",
        example: "alice reset",
        read: |_| Ok(Action::Reset),
    },
    Verb {
        usage: "close",
        about: "Closes; the kernel sends FIN, or RST where data was left unread (RFC 2525, section 2.17).",
        example: "alice close",
        read: |_| Ok(Action::Close),
    },
    Verb {
        usage: "vanish",
        about: "Is gone without FIN or RST, like a host that lost its power.",
        example: "alice vanish",
        read: |_| Ok(Action::Vanish),
    },
    Verb {
        usage: "stall",
        about: "Stops reading, so that data piles up in the queues of the kernel; before `connect` it is so from the beginning.",
        example: "alice stall",
        read: |_| Ok(Action::Stall),
    },
    Verb {
        usage: "read [SIZE [every DURATION]]",
        about: "Reads again, at full speed or so slowly; before `connect` it is how the coming connection is read.",
        example: "alice read 1KiB every 5ms",
        read: |line| rate(line).map(Action::Read),
    },
    Verb {
        usage: "never DATA",
        about: "Holds the server to it that this does not come to the client from here on, to the end of the case.",
        example: "alice never \"password\"",
        read: |line| some_plain(line).map(Action::Never),
    },
    Verb {
        usage: "expect WHAT [or WHAT]… [after DURATION] [within DURATION]",
        about: "Waits for something, or for the first of several, and holds the server to it; what comes sooner than `after` is wrong too.",
        example: "alice expect \"hello\" or fin after 200ms within 1s",
        read: |line| expectation(line).map(|(what, within)| Action::Expect { what, within }),
    },
    Verb {
        usage: "require WHAT [or WHAT]… [after DURATION] [within DURATION]",
        about: "Waits for something without which the case proves nothing, whoever is to blame.",
        example: "alice require accepted",
        read: |line| expectation(line).map(|(what, within)| Action::Require { what, within }),
    },
];

/// What can be done to the server.
pub(super) const SERVER_ACTIONS: &[Verb<ServerAction>] = &[
    Verb {
        usage: "stop",
        about: "Stops every process of the server (SIGSTOP).",
        example: "server stop",
        read: |_| Ok(ServerAction::Stop),
    },
    Verb {
        usage: "continue",
        about: "Lets a stopped server run on (SIGCONT).",
        example: "server continue",
        read: |_| Ok(ServerAction::Continue),
    },
    Verb {
        usage: "signal NAME",
        about: "Sends its first process a signal; KILL goes to all of its processes.",
        example: "server signal TERM",
        read: |line| {
            line.one_of("a signal", Signal::ALL)
                .map(ServerAction::Signal)
        },
    },
    Verb {
        usage: "signal-again NAME",
        about: "Sends a signal once more, unless the server has ended meanwhile.",
        example: "server signal-again TERM",
        read: |line| {
            line.one_of("a signal", Signal::ALL)
                .map(ServerAction::SignalAgain)
        },
    },
    Verb {
        usage: "start [stdout-closed | stdin-closed | without-stdin | without-streams]",
        about: "Starts the server again where it ran before, with an output that nobody reads, an input at its end, or with \
                descriptor 0 or all of 0, 1 and 2 really closed; what still runs of it is killed first.",
        example: "server start stdout-closed",
        read: |line| {
            let streams = match line.peek() {
                None => Streams::Usual,
                Some(_) => line.one_of("a way to start", Streams::ALL)?,
            };
            Ok(ServerAction::Start(streams))
        },
    },
    Verb {
        usage: "start-beside-helpers",
        about: "Kills the processes that listen and all that run their program, leaves those of other programs, and starts the \
                server again; none of them may have kept its listening socket.",
        example: "server start-beside-helpers",
        read: |_| Ok(ServerAction::StartBesideHelpers),
    },
    Verb {
        usage: "start-second [shares-port | takes-over | either-way]",
        about: "Starts a second instance beside the server, or in its place after its end, which must fail; or listen at the \
                same port, or take the path or the datagrams over from the first, or do one of the first two.",
        example: "server start-second shares-port",
        read: |line| {
            let second = match line.peek() {
                None => Second::Ends,
                Some(_) => line.one_of("what a second instance does", Second::ALL)?,
            };
            Ok(ServerAction::StartSecond(second))
        },
    },
    Verb {
        usage: "start-over-file",
        about: "Ends the server, puts a regular file at its path and starts it there; it must fail, and leave the file.",
        example: "server start-over-file",
        read: |_| Ok(ServerAction::StartOverFile),
    },
    Verb {
        usage: "limit-open-files NUMBER",
        about: "Limits its open files to so many more than it has (prlimit(2)).",
        example: "server limit-open-files 4",
        read: |line| line.count(0..=MOST_FILES).map(ServerAction::LimitOpenFiles),
    },
    Verb {
        usage: "restore-open-files",
        about: "Gives it back the limit on open files that it had.",
        example: "server restore-open-files",
        read: |_| Ok(ServerAction::RestoreOpenFiles),
    },
    Verb {
        usage: "fail CALL [of WHAT] with ERROR [from NUMBER] [* NUMBER | for DURATION | always] [if-any]",
        about: "Has its next system calls of a kind fail as the kernel may have them fail, once or so often, as far as the manual pages promise that; where no such call comes the case proves nothing, unless `if-any` is said.",
        example: "server fail accept with ECONNABORTED",
        read: calls::failure,
    },
    Verb {
        usage: "shorten CALL [of WHAT] to SIZE [from NUMBER] [* NUMBER | for DURATION | always] [if-any]",
        about: "Has it read from its clients at most so many bytes at a time, or write so many where it does not wait for room.",
        example: "server shorten read to 1B always",
        read: calls::shortening,
    },
    Verb {
        usage: "restore-calls",
        about: "Leaves all of its system calls to the kernel again; a rare answer that no call has had proves nothing.",
        example: "server restore-calls",
        read: |_| Ok(ServerAction::RestoreCalls),
    },
    Verb {
        usage: "never output \"TEXT\"",
        about: "Holds it to that it does not print this from its start to the end of the case.",
        example: "server never output \"Traceback\"",
        read: |line| {
            line.one_of("something that it does", &[((), "output")])?;
            line.some_bytes("what it must not print in quotes, such as \"Traceback\"")
                .map(ServerAction::NeverOutput)
        },
    },
    Verb {
        usage: "expect WHAT [within DURATION]",
        about: "Waits for something at the server, and holds it to that.",
        example: "server expect rest within 2s",
        read: |line| {
            server_expectation(line).map(|(what, within)| ServerAction::Expect { what, within })
        },
    },
    Verb {
        usage: "require WHAT [within DURATION]",
        about: "Waits for something at the server without which the case proves nothing.",
        example: "server require exit",
        read: |line| {
            server_expectation(line).map(|(what, within)| ServerAction::Require { what, within })
        },
    },
];

/// What can be expected of the server.
pub(super) const SERVER_EXPECTATIONS: &[Verb<ServerExpectation>] = &[
    Verb {
        usage: "exit [STATUS]",
        about: "Its first process ends, with this status where one is named.",
        example: "server expect exit 0 within 2s",
        read: |line| exit_status(line).map(ServerExpectation::Exit),
    },
    Verb {
        usage: "gone",
        about: "Nothing of its process tree is left.",
        example: "server expect gone",
        read: |_| Ok(ServerExpectation::Gone),
    },
    Verb {
        usage: "accept-queue LENGTH",
        about: "So many connections wait to be accepted.",
        example: "server expect accept-queue 3",
        read: |line| line.count(0..=u32::MAX).map(ServerExpectation::AcceptQueue),
    },
    Verb {
        usage: "backlog LIMIT",
        about: "Its accept queue holds at most so many.",
        example: "server expect backlog 128",
        read: |line| line.count(0..=u32::MAX).map(ServerExpectation::Backlog),
    },
    Verb {
        usage: "time-wait",
        about: "A connection of its port is in TIME_WAIT on its side.",
        example: "server expect time-wait",
        read: |_| Ok(ServerExpectation::TimeWait),
    },
    Verb {
        usage: "no-time-wait",
        about: "No connection of its port is in TIME_WAIT on its side.",
        example: "server expect no-time-wait",
        read: |_| Ok(ServerExpectation::NoTimeWait),
    },
    Verb {
        usage: "rest",
        about: "All of its threads wait, and none uses a processor.",
        example: "server expect rest",
        read: |_| Ok(ServerExpectation::Rest),
    },
    Verb {
        usage: "output \"TEXT\"",
        about: "It has printed this since it was started, or does so now; the first MiB is looked through, and the end.",
        example: "server expect output \"ready\" within 10s",
        read: |line| {
            line.some_bytes("what it prints in quotes, such as \"ready\"")
                .map(ServerExpectation::Output)
        },
    },
    Verb {
        usage: "descriptor NUMBER",
        about: "One of its processes has an open file of this number or above.",
        example: "server require descriptor 1024",
        read: |line| {
            line.count(0..=MOST_FILES)
                .map(ServerExpectation::Descriptor)
        },
    },
    Verb {
        usage: "out-of-files",
        about: "One of its processes has all the open files that it may have, but for one in reserve.",
        example: "server expect out-of-files",
        read: |_| Ok(ServerExpectation::OutOfFiles),
    },
    Verb {
        usage: "answered",
        about: "Its calls have had every rare answer that was said so far: all of a number, one at least of those for a time or always.",
        example: "server require answered",
        read: |_| Ok(ServerExpectation::Answered),
    },
];

/// Data that is generated; anything else is a string.
pub(super) const SOURCES: &[Verb<Source>] = &[
    Verb {
        usage: "pattern SIZE [seed NUMBER]",
        about: "Bytes of every value from a seeded generator, in which any loss, repetition or exchange shows.",
        example: "alice send pattern 64KiB seed 7 * 2",
        read: |line| line.size().map(|bytes| Source::Pattern { bytes, seed: 0 }),
    },
    Verb {
        usage: "text SIZE [seed NUMBER]",
        about: "The same of lower-case letters only.",
        example: "alice expect text 100B seed 3 in capitals",
        read: |line| text(line, false),
    },
    Verb {
        usage: "line SIZE [seed NUMBER]",
        about: "The same with a newline at its end.",
        example: "alice send line 80B seed 1",
        read: |line| text(line, true),
    },
    Verb {
        usage: "lines SIZE of SIZE [seed NUMBER]",
        about: "The same in lines of the second size, no two of which are alike, each with its newline.",
        example: "alice send lines 64KiB of 1KiB seed 1",
        read: lines,
    },
    Verb {
        usage: "hex \"DIGITS\"",
        about: "Bytes in hexadecimal digits, with spaces anywhere.",
        example: "alice send hex \"1603 0100\"",
        read: payload::hex,
    },
    Verb {
        usage: "base64 \"TEXT\"",
        about: "Bytes in base64 (RFC 4648, section 4).",
        example: "alice send base64 \"AAEC/w==\"",
        read: payload::base64,
    },
    Verb {
        usage: "file \"PATH\"",
        about: "The bytes of a file, 960KiB at most; the way to it begins at the folder of the scenario.",
        example: "alice send file \"request.bin\"",
        read: payload::file,
    },
];

/// Every word that data begins with, but for the names of payloads.
pub(super) fn data_words() -> Vec<&'static str> {
    let others = ["never", "or", "output", "any", "line"];
    expectation_words().into_iter().chain(others).collect()
}

/// What a client can be owed beside data and an end.
pub(super) const STATES: &[(Expectation, &str)] = &[
    (
        Expectation::Silence,
        "Nothing comes, neither bytes nor an end.",
    ),
    (
        Expectation::Open,
        "The connection does not end, whatever comes over it.",
    ),
    (
        Expectation::Nothing,
        "There is nothing yet: a read that does not wait says so at once (EAGAIN, recv(2)).",
    ),
    (Expectation::Connected, "The handshake is complete."),
    (Expectation::Pending, "The handshake is still unanswered."),
    (Expectation::Secured, "The TLS handshake is complete."),
    (Expectation::Refused, "The connection is refused."),
    (
        Expectation::Accepted,
        "One of the processes of the server has its end of the connection.",
    ),
    (Expectation::Taken, "The server has read all that was sent."),
    (
        Expectation::HeldBack,
        "The server has stopped reading what is being sent, or has ended the connection, before it had read all.",
    ),
    (
        Expectation::Full,
        "No reply fits any more beside those that the client has not read (Unix datagrams: over UDP the kernel drops what does not fit).",
    ),
    (
        Expectation::TimeWait,
        "The client's own end of the connection, which it has closed, is in TIME_WAIT.",
    ),
];

const CONNECT_OPTIONS: &[Choice<ConnectOptions>] = &[
    ("without-waiting", |options, _| {
        options.without_waiting = true;
        Ok(())
    }),
    ("receive-buffer", |options, line| {
        options.receive_buffer = Some(line.size()?);
        Ok(())
    }),
    ("segment-size", |options, line| {
        options.segment_size = Some(line.size()?);
        Ok(())
    }),
    ("from", |options, line| {
        options.from = Some(line.parsed("an IP address")?);
        Ok(())
    }),
    ("to", |options, line| {
        options.to = Some(line.parsed("an IP address")?);
        Ok(())
    }),
    ("same-port", |options, _| {
        options.same_port = true;
        Ok(())
    }),
];

/// What may follow data and expectations.
#[derive(Default)]
struct Tail {
    seed: u64,
    capitals: bool,
    times: Option<u32>,
    segmentation: Option<Segmentation>,
    every: Option<Duration>,
    as_records: bool,
    background: bool,
    or_silence: bool,
    all_bytes_first: bool,
    after: Option<Duration>,
    within: Option<Duration>,
    name: Option<String>,
    protocols: Vec<String>,
    version: Option<TlsVersion>,
    certificate: Option<PemFile>,
    key: Option<PemFile>,
    first: Option<usize>,
}

const SEED: Choice<Tail> = ("seed", |tail, line| {
    tail.seed = line.parsed("a number")?;
    Ok(())
});
const CAPITALS: Choice<Tail> = ("in capitals", |tail, _| {
    tail.capitals = true;
    Ok(())
});
const TIMES: Choice<Tail> = ("*", |tail, line| {
    tail.times = Some(line.count(1..=MOST_TIMES)?);
    Ok(())
});
const PIECES: Choice<Tail> = ("in pieces of", |tail, line| {
    let pieces = line.some_size().map(Segmentation::Pieces)?;
    tail.divide(pieces, line)
});
const CUT: Choice<Tail> = ("cut at", |tail, line| {
    let at = positions(line).map(Segmentation::At)?;
    tail.divide(at, line)
});
const EVERY: Choice<Tail> = ("every", |tail, line| {
    tail.every = Some(line.duration()?);
    Ok(())
});
const AS_RECORDS: Choice<Tail> = ("as records", |tail, _| {
    tail.as_records = true;
    Ok(())
});
const BACKGROUND: Choice<Tail> = ("in the background", |tail, _| {
    tail.background = true;
    Ok(())
});
const OR_SILENCE: Choice<Tail> = ("or silence", |tail, _| {
    tail.or_silence = true;
    Ok(())
});
const ALL_BYTES_FIRST: Choice<Tail> = (", all bytes first", |tail, _| {
    tail.all_bytes_first = true;
    Ok(())
});
const AFTER: Choice<Tail> = ("after", |tail, line| {
    let time = line.duration()?;
    once(tail.after.replace(time), line)
});
const WITHIN: Choice<Tail> = ("within", |tail, line| {
    let time = line.duration()?;
    once(tail.within.replace(time), line)
});

const NAME: Choice<Tail> = ("name", |tail, line| {
    let name = line.text("the name of a host, such as \"localhost\"")?;
    match name.is_empty() || !is_host(&name) {
        true => Err(Diagnostic::new(line.last(), "this is no name of a host")
            .label("write a name such as \"localhost\"; who comes to an address names none")),
        false => {
            tail.name = Some(name);
            Ok(())
        }
    }
});
const PROTOCOLS: Choice<Tail> = ("alpn", |tail, line| {
    while tail.protocols.is_empty() || line.peek().is_some_and(|next| next.kind == Kind::Quoted) {
        let protocol = line.text("a protocol, such as \"h2\"")?;
        if !is_protocol(&protocol) {
            let mistake = Diagnostic::new(line.last(), "this is no name of a protocol");
            return Err(mistake.label("write 1 to 255 bytes, such as \"http/1.1\""));
        }
        tail.protocols.push(protocol);
    }
    Ok(())
});
const VERSION: Choice<Tail> = ("version", |tail, line| {
    tail.version = Some(line.one_of("a version of TLS", TlsVersion::ALL)?);
    Ok(())
});
const CERTIFICATE: Choice<Tail> = ("certificate", |tail, line| {
    tail.certificate = Some(pem(line, "\"client.pem\"", PemFile::of_certificates)?);
    Ok(())
});
const KEY: Choice<Tail> = ("key", |tail, line| {
    tail.key = Some(pem(line, "\"client-key.pem\"", PemFile::of_key)?);
    Ok(())
});
const FIRST: Choice<Tail> = ("first", |tail, line| {
    tail.first = Some(line.some_size()?);
    Ok(())
});

/// Makes sure that no way has brought a time before.
fn once(before: Option<Duration>, line: &Reader<'_>) -> Read<()> {
    match before {
        None => Ok(()),
        Some(_) => Err(Diagnostic::new(
            line.last(),
            "this time is the second of its kind",
        )),
    }
}

impl Tail {
    fn divide(&mut self, segmentation: Segmentation, line: &Reader<'_>) -> Read<()> {
        match self.segmentation.replace(segmentation) {
            None => Ok(()),
            Some(_) => {
                let title = "`in pieces of` and `cut at` exclude each other";
                Err(Diagnostic::new(line.last(), title))
            }
        }
    }

    /// The data that the line says, unless it is absurdly much.
    fn data(&self, mut source: Source, line: &Reader<'_>, start: usize) -> Read<Data> {
        if let Source::Pattern { seed, .. }
        | Source::Text { seed, .. }
        | Source::Lines { seed, .. } = &mut source
        {
            *seed = self.seed;
        }
        let data = Data {
            source,
            times: self.times.unwrap_or(1),
            capitals: self.capitals,
        };
        let bytes = data.checked_length().unwrap_or(usize::MAX);
        if bytes > MOST_OF_A_STEP {
            let title = format!("this is {} of data", Size(bytes));
            let label = format!("write at most {} in one step", Size(MOST_OF_A_STEP));
            return Err(Diagnostic::new(line.since(start), title).label(label));
        }
        Ok(data)
    }
}

/// What anyone who writes a bare text should hear.
const IN_QUOTES: &str = "a text stands in quotes";

/// What may follow data: a seed only where there is something to generate.
fn with_data(source: &Source, more: &[Choice<Tail>]) -> Vec<Choice<Tail>> {
    let seed: &[_] = match source {
        Source::Literal(_) | Source::Parts(_) | Source::Written { .. } => &[],
        Source::Pattern { .. } | Source::Text { .. } | Source::Lines { .. } => &[SEED],
    };
    [seed, &[CAPITALS, TIMES], more].concat()
}

fn send(line: &mut Reader<'_>) -> Read<Action> {
    let start = line.start();
    let source = source(line)?;
    let tail = line.choices(&with_data(
        &source,
        &[PIECES, CUT, AS_RECORDS, EVERY, BACKGROUND],
    ))?;
    let data = tail.data(source, line, start)?;
    if let Some(Segmentation::Pieces(bytes)) = tail.segmentation
        && data.length().div_ceil(bytes) > MOST_PIECES
    {
        let title = format!("these are {} pieces", data.length().div_ceil(bytes));
        let label = format!("write a size that makes at most {MOST_PIECES}");
        return Err(Diagnostic::new(line.since(start), title).label(label));
    }
    if tail.as_records && tail.segmentation.is_none() {
        let title = "nothing says where a record ends";
        return Err(Diagnostic::new(line.since(start), title)
            .label("write `in pieces of SIZE` or `cut at POSITION` beside `as records`"));
    }
    Ok(Action::Send {
        data,
        segmentation: tail.segmentation.unwrap_or(Segmentation::Whole),
        every: tail.every,
        as_records: tail.as_records,
        background: tail.background,
    })
}

/// A file in PEM, the way to which begins at the scenario.
fn pem(
    line: &mut Reader<'_>,
    example: &str,
    read: fn(&str, &Path) -> Result<PemFile, String>,
) -> Read<PemFile> {
    let name = line.text(&format!("the name of a file in PEM, such as {example}"))?;
    let folder = line.known.folder.ok_or_else(|| {
        Diagnostic::new(line.last(), "there is no folder to look for this file in")
            .label("write the scenario into a file")
    })?;
    read(&name, folder).map_err(|why| Diagnostic::new(line.last(), why))
}

fn start_tls(line: &mut Reader<'_>) -> Read<Action> {
    let start = line.start();
    let choices = [
        NAME,
        PROTOCOLS,
        VERSION,
        CERTIFICATE,
        KEY,
        PIECES,
        CUT,
        EVERY,
        FIRST,
    ];
    let tail = line.choices(&choices)?;
    let identity = match (tail.certificate, tail.key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::of(certificate, key)
                .map_err(|why| Diagnostic::new(line.since(start), why))?;
            Some(Box::new(identity))
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let title = "`certificate` and `key` go together";
            return Err(Diagnostic::new(line.since(start), title)
                .label("write certificate \"client.pem\" key \"client-key.pem\""));
        }
    };
    Ok(Action::StartTls(TlsOptions {
        name: tail.name,
        protocols: tail.protocols,
        version: tail.version,
        identity,
        segmentation: tail.segmentation.unwrap_or(Segmentation::Whole),
        every: tail.every,
        first: tail.first,
    }))
}

/// Data that is not nothing.
fn some_plain(line: &mut Reader<'_>) -> Read<Data> {
    let start = line.start();
    let data = plain(line)?;
    match data.length() == 0 && data.variables().is_empty() {
        true => {
            Err(Diagnostic::new(line.since(start), "this is nothing").label("write what it is"))
        }
        false => Ok(data),
    }
}

/// Data that is sent as it is.
pub(super) fn plain(line: &mut Reader<'_>) -> Read<Data> {
    let start = line.start();
    let source = source(line)?;
    let tail = line.choices(&with_data(&source, &[]))?;
    tail.data(source, line, start)
}

fn source(line: &mut Reader<'_>) -> Read<Source> {
    match line.peek() {
        Some(token) if token.kind == Kind::Word => {
            let source = some_source(line);
            source.map_err(|mistake| mistake.or_label(IN_QUOTES))
        }
        _ => line.parts("the data, such as \"hello\" or pattern 64KiB"),
    }
}

/// Reads data that begins with a word: one of the table, or the name of a payload.
fn some_source(line: &mut Reader<'_>) -> Read<Source> {
    let payloads = line.known.payloads;
    let names = payloads.iter().map(|payload| payload.name.as_str());
    let all: Vec<_> = words(SOURCES).into_iter().chain(names).collect();
    let row = line.row_of("data", &all).map_err(Diagnostic::once)?;
    match row.checked_sub(SOURCES.len()) {
        Some(row) => Ok(payload::named(&payloads[row])),
        None => line.rest_of_verb(&SOURCES[row]),
    }
}

fn text(line: &mut Reader<'_>, newline: bool) -> Read<Source> {
    Ok(Source::Text {
        bytes: line.size()?,
        seed: 0,
        line: newline,
    })
}

fn lines(line: &mut Reader<'_>) -> Read<Source> {
    let bytes = line.size()?;
    if !line.took("of") {
        let token = line.word("`of` and the size of a line")?;
        return Err(
            Diagnostic::new(token.span(), "here stands how long a line is")
                .label("write `of` and a size, such as `of 1KiB`"),
        );
    }
    Ok(Source::Lines {
        bytes,
        each: line.some_size()?,
        seed: 0,
    })
}

fn positions(line: &mut Reader<'_>) -> Read<Vec<usize>> {
    let mut positions: Vec<usize> = Vec::new();
    loop {
        let position = line.parsed("a position in bytes, such as 3")?;
        if positions.last().is_some_and(|before| *before > position) {
            let mistake = Diagnostic::new(line.last(), "this position comes before the last one");
            return Err(mistake.label("write the positions in order"));
        }
        positions.push(position);
        let more = line.peek().map(|token| token.text.as_bytes());
        if !more.is_some_and(|text| text[0].is_ascii_digit()) {
            return Ok(positions);
        }
    }
}

fn rate(line: &mut Reader<'_>) -> Read<Option<ReadRate>> {
    if line.peek().is_none() {
        return Ok(None);
    }
    let bytes = line.some_size()?;
    let every = line.choices(&[EVERY])?.every.unwrap_or_default();
    Ok(Some(ReadRate { bytes, every }))
}

fn server_expectation(line: &mut Reader<'_>) -> Read<(ServerExpectation, Option<Duration>)> {
    let what = line.verb("something to expect of the server", SERVER_EXPECTATIONS)?;
    Ok((what, line.choices(&[WITHIN])?.within))
}

fn exit_status(line: &mut Reader<'_>) -> Read<Option<i32>> {
    match line.peek() {
        None => Ok(None),
        Some(token) if token.is("within") => Ok(None),
        Some(_) => line.parsed("an exit status, such as 0").map(Some),
    }
}

/// Every word that an expectation of a client can begin with.
pub(super) fn expectation_words() -> Vec<&'static str> {
    let states = STATES.iter().map(|(state, _)| state.form().word);
    let ends = End::ALL.iter().map(|(_, word)| *word);
    words(SOURCES)
        .into_iter()
        .chain(states)
        .chain(ends)
        .collect()
}

fn expectation(line: &mut Reader<'_>) -> Read<(Expectation, Option<Duration>)> {
    let start = line.start();
    let mut tail = Tail::default();
    let mut ways = vec![way(line, &mut tail)?];
    while line.took("or") {
        let next = way(line, &mut tail)?;
        add(&mut ways, next);
    }
    let alone = ways.len() == 1;
    let mut what = match ways.pop() {
        Some(only) if alone => only,
        last => Expectation::OneOf(ways.into_iter().chain(last).collect()),
    };
    let wrong = |title| Err(Diagnostic::new(line.since(start), title));
    match &mut what {
        Expectation::Data(data) if tail.or_silence => {
            what = Expectation::DataOrSilence(data.clone());
        }
        _ if tail.or_silence => return wrong("`or silence` follows data, and nothing else"),
        Expectation::End {
            all_bytes_first, ..
        } => *all_bytes_first = tail.all_bytes_first,
        _ if tail.all_bytes_first => {
            return wrong("`all bytes first` follows ways to end, and nothing else");
        }
        Expectation::OneOf(all) if all.iter().any(is_state) => {
            return wrong("this can only be expected alone");
        }
        _ => {}
    }
    match tail.after {
        None => Ok((what, tail.within)),
        Some(after) if tail.within.is_some_and(|within| within <= after) => {
            wrong("this limit is over before anything may come")
        }
        Some(_) if what.form().does.wait() != Wait::Event || tail.or_silence => {
            wrong("`after` goes with what comes, and not with what does not, or is looked for")
        }
        Some(after) => {
            let what = Box::new(what);
            Ok((Expectation::NotBefore { after, what }, tail.within))
        }
    }
}

/// Whether it is neither data nor an end.
fn is_state(what: &Expectation) -> bool {
    STATES.iter().any(|(state, _)| state == what)
}

/// Adds a way; ways to end become one.
fn add(ways: &mut Vec<Expectation>, next: Expectation) {
    match (ways.last_mut(), next) {
        (Some(Expectation::End { kinds, .. }), Expectation::End { kinds: more, .. }) => {
            kinds.extend(more);
        }
        (_, next) => ways.push(next),
    }
}

/// What may follow each way.
const OF_ALL: [Choice<Tail>; 2] = [AFTER, WITHIN];

/// Reads one of the ways in which an expectation may be met, and what stands behind it.
fn way(line: &mut Reader<'_>, tail: &mut Tail) -> Read<Expectation> {
    let Some(token) = line.peek().filter(|token| token.kind == Kind::Word) else {
        return expected_text(line, tail);
    };
    let payloads = line.known.payloads;
    let is_payload = payloads.iter().any(|payload| token.is(&payload.name));
    if is_payload || words(SOURCES).contains(&token.text) {
        let source = some_source(line)?;
        return expected_data(line, source, token.start, tail);
    }
    if let Some((end, _)) = End::ALL.iter().find(|(_, word)| token.is(word)) {
        let kinds = vec![*end];
        line.one_of("an end", End::ALL)?;
        line.choices_before(
            Some("or"),
            &[&[ALL_BYTES_FIRST], &OF_ALL[..]].concat(),
            tail,
        )?;
        let all_bytes_first = false;
        return Ok(Expectation::End {
            kinds,
            all_bytes_first,
        });
    }
    let names = payloads.iter().map(|payload| payload.name.as_str());
    let all: Vec<_> = expectation_words().into_iter().chain(names).collect();
    let row = line
        .row_of("something to expect", &all)
        .map_err(|mistake| mistake.or_label(IN_QUOTES).once())?;
    // The generated data stands before the states, and none of it comes this far.
    let (state, _) = &STATES[row - SOURCES.len()];
    line.choices_before(Some("or"), &OF_ALL, tail)?;
    Ok(state.clone())
}

fn expected_text(line: &mut Reader<'_>, tail: &mut Tail) -> Read<Expectation> {
    let start = line.start();
    let listed = format!("there are: \"TEXT\", {}", expectation_words().join(", "));
    let template = line
        .template("what is expected, such as \"hello\"")
        .map_err(|mistake| mistake.or_help(listed))?;
    if let Some(bytes) = template.as_literal() {
        let source = Source::Literal(bytes.to_vec());
        return expected_data(line, source, start, tail);
    }
    line.choices_before(Some("or"), &OF_ALL, tail)?;
    Ok(Expectation::Template(template))
}

fn expected_data(
    line: &mut Reader<'_>,
    source: Source,
    start: usize,
    tail: &mut Tail,
) -> Read<Expectation> {
    // What belongs to one data is none of the next.
    (tail.seed, tail.capitals, tail.times) = (0, false, None);
    let table = with_data(&source, &[&[OR_SILENCE], &OF_ALL[..]].concat());
    line.choices_before(Some("or"), &table, tail)?;
    tail.data(source, line, start).map(Expectation::Data)
}
