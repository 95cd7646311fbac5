//! What a client, or the harness, can be owed by a server.

use super::data::Data;
use super::form::{Argument, Does, Form, Need, Over, Python, Wait};
use super::literal::name_in;
use super::template::Template;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What a client can be owed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expectation {
    /// The next bytes (or the next datagram) are exactly these.
    Data(Data),
    /// The next bytes match a text with holes; a hole takes as little as it can.
    Template(Template),
    /// The next datagram is exactly this, or none comes.
    DataOrSilence(Data),
    /// One of these comes, of which the first that fits is taken.
    OneOf(Vec<Self>),
    /// It comes, and no sooner than so long after it began to be waited for.
    NotBefore {
        /// The time that passes first.
        after: Duration,
        /// What comes.
        what: Box<Self>,
    },
    /// Nothing comes, neither bytes nor an end.
    Silence,
    /// The connection does not end, whatever comes over it.
    Open,
    /// There is nothing yet: a read that does not wait says so at once (EAGAIN, recv(2)).
    Nothing,
    /// The handshake is complete.
    Connected,
    /// The handshake is still unanswered.
    Pending,
    /// The TLS handshake is complete.
    Secured,
    /// The connection was refused.
    Refused,
    /// The server's end of the connection belongs to one of its processes.
    Accepted,
    /// The server has read all that was sent.
    Taken,
    /// The server has stopped reading what is being sent, or has ended the connection, before it had read all.
    HeldBack,
    /// What the server owes a client that does not read has no room any more: the queue of its socket is full.
    Full,
    /// Its own end of the connection, which it has closed, is in TIME_WAIT.
    TimeWait,
    /// The connection ends in one of these ways.
    End {
        /// The ways that are allowed.
        kinds: Vec<End>,
        /// No byte comes before the end that was not expected, and none is lost to it.
        all_bytes_first: bool,
    },
}

/// How a connection ended, seen from the client.
///
/// ```
/// use sockdrill::End;
///
/// assert_eq!(End::Fin.to_string(), "fin");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The server sent FIN: the orderly end of its stream.
    Fin,
    /// The server sent RST (ECONNRESET).
    Reset,
    /// The kernel gave up on an unanswering peer (ETIMEDOUT).
    Timeout,
    /// ICMP said that nobody is there (ECONNREFUSED on a datagram socket, EHOSTUNREACH).
    Unreachable,
}

impl End {
    /// Every end with its name in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::Fin, "fin"),
        (Self::Reset, "reset"),
        (Self::Timeout, "timeout"),
        (Self::Unreachable, "unreachable"),
    ];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

/// What can be expected of the server, read from the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerExpectation {
    /// Its first process ends; with this exit status where one is named.
    Exit(Option<i32>),
    /// Nothing of its process tree is left.
    Gone,
    /// Its accept queue holds this many connections.
    AcceptQueue(u32),
    /// The listener's limit is this.
    Backlog(u32),
    /// A connection of its port is in TIME_WAIT on its side.
    TimeWait,
    /// No connection of its port is in TIME_WAIT on its side.
    NoTimeWait,
    /// All of its threads wait and none uses a processor.
    Rest,
    /// It has printed this since it was started, or does so now.
    Output(Vec<u8>),
    /// One of its processes has an open file of this number or above.
    Descriptor(u32),
    /// One of its processes has as many open files as its limit allows, but for one that it may keep in reserve.
    OutOfFiles,
    /// Its calls have had every rare answer so far.
    Answered,
}

/// The methods that wait for what comes next.
const NEXT: Python = Python::ByTransport {
    stream: "expect_bytes",
    datagram: "expect_datagram",
};

/// The method that waits for the first of several ways, and keeps what that captures.
const ONE_OF: Python = Python::Ways("expect_one_of");

impl Expectation {
    /// The end of the connection, by FIN or by a reset, whatever has come before it.
    pub(crate) fn any_end() -> Self {
        Self::End {
            kinds: vec![End::Fin, End::Reset],
            all_bytes_first: false,
        }
    }

    /// The variables that it uses, in the order of the text.
    pub(crate) fn variables(&self) -> Vec<&str> {
        match self {
            Self::Data(data) | Self::DataOrSilence(data) => data.variables(),
            Self::Template(template) => template.variables().collect(),
            Self::OneOf(all) => all.iter().flat_map(Self::variables).collect(),
            Self::NotBefore { what, .. } => what.variables(),
            _ => Vec::new(),
        }
    }

    /// The variables that have a value once it has come. One that only some of several ways capture has none for sure.
    pub(crate) fn captures(&self) -> Vec<&str> {
        match self {
            Self::Template(template) => template.captures().collect(),
            Self::OneOf(all) => {
                let mut ways = all.iter().map(Self::captures);
                let first = ways.next().unwrap_or_default();
                ways.fold(first, |all, way| {
                    all.into_iter().filter(|name| way.contains(name)).collect()
                })
            }
            Self::NotBefore { what, .. } => what.captures(),
            _ => Vec::new(),
        }
    }

    /// The variables that only some of its ways capture.
    pub(crate) fn captures_in_some_ways(&self) -> Vec<&str> {
        match self {
            Self::OneOf(all) => {
                let sure = self.captures();
                let ways = all.iter().flat_map(Self::captures);
                ways.filter(|name| !sure.contains(name)).collect()
            }
            Self::NotBefore { what, .. } => what.captures_in_some_ways(),
            _ => Vec::new(),
        }
    }

    /// Whether nothing but what comes next tells where it ends, or where one of its ways does.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Template(template) => template.is_open(),
            Self::OneOf(all) => all.iter().any(Self::is_open),
            Self::NotBefore { what, .. } => what.is_open(),
            _ => false,
        }
    }

    /// How long it must not come.
    pub(crate) fn not_before(&self) -> Duration {
        match self {
            Self::NotBefore { after, .. } => *after,
            _ => Duration::ZERO,
        }
    }

    /// The same with the bytes of its variables.
    #[must_use]
    pub(crate) fn filled(&self, value: &dyn Fn(&str) -> Option<Vec<u8>>) -> Self {
        match self {
            Self::Data(data) => Self::Data(data.filled(value)),
            Self::DataOrSilence(data) => Self::DataOrSilence(data.filled(value)),
            Self::Template(template) => Self::Template(template.filled(value)),
            Self::OneOf(all) => Self::OneOf(all.iter().map(|what| what.filled(value)).collect()),
            Self::NotBefore { after, what } => Self::NotBefore {
                after: *after,
                what: Box::new(what.filled(value)),
            },
            other => other.clone(),
        }
    }

    /// The same without the names and the ways in which its data is written.
    #[must_use]
    pub(crate) fn spelt_out(&self) -> Self {
        match self {
            Self::Data(data) => Self::Data(data.spelt_out()),
            Self::DataOrSilence(data) => Self::DataOrSilence(data.spelt_out()),
            Self::OneOf(all) => Self::OneOf(all.iter().map(Self::spelt_out).collect()),
            Self::NotBefore { after, what } => Self::NotBefore {
                after: *after,
                what: Box::new(what.spelt_out()),
            },
            other => other.clone(),
        }
    }

    /// The row of waiting for it; of what can be said in one word, that word.
    pub(crate) fn form(&self) -> Form<'_> {
        let next = |wait| Form {
            python: NEXT,
            ..of_connection("", "", wait).needing(Need::Reading)
        };
        match self {
            Self::Data(data) => next(Wait::Event).with(Argument::Data(data)),
            Self::Template(template) => {
                let form = next(Wait::Event).with(Argument::Template(template));
                match template.is_to_be_tried() {
                    true => form.in_python(ONE_OF),
                    false => form,
                }
            }
            Self::DataOrSilence(data) => next(Wait::Either)
                .with(Argument::Data(data))
                .with(Argument::Flag("or silence", "or_silence=True"))
                .only_over(Over::Datagrams),
            Self::OneOf(all) => {
                let forms = all.iter().map(|what| what.form().arguments);
                let between = [Argument::Word("or")];
                let arguments = forms.reduce(|all, next| [all, between.to_vec(), next].concat());
                let over = all.iter().map(|what| what.form().over);
                let over = over.fold(Over::Any, |all, next| if next == Over::Any { all } else { next });
                next(Wait::Event)
                    .of_kind("expect one of several")
                    .only_over(over)
                    .with_all(arguments.unwrap_or_default())
                    .in_python(ONE_OF)
            }
            Self::NotBefore { after, what } => what.form().with(Argument::After(*after)),
            Self::Silence => {
                of_connection("silence", "expect_silence", Wait::Absence).needing(Need::Reading)
            }
            Self::Open => of_connection("open", "expect_open", Wait::Absence)
                .needing(Need::Reading)
                .only_over(Over::Streams),
            Self::Nothing => {
                of_connection("nothing", "expect_silence", Wait::Kernel).needing(Need::Reading)
            }
            Self::Connected => of_connection("connected", "expect_connected", Wait::Event)
                .needing(Need::Socket)
                .only_over(Over::Streams),
            Self::Pending => of_connection("pending", "expect_pending", Wait::Absence)
                .needing(Need::Socket)
                .only_over(Over::Streams),
            Self::Secured => of_connection("secured", "", Wait::Event)
                .needing(Need::Reading)
                .only_over(Over::Streams)
                .in_python(Python::Nothing("it does not speak TLS")),
            Self::Refused => Form {
                does: Does::WaitsForRefusal,
                ..of_connection("refused", "expect_refused", Wait::Event).needing(Need::Socket)
            },
            Self::Accepted => of_connection("accepted", "", Wait::Kernel)
                .needing(Need::Peer)
                .only_over(Over::Streams)
                .in_python(
                Python::NotOfListeningPath(
                    "expect_accepted",
                    "nothing waits for a connection of a Unix socket to be accepted: /proc does not show it",
                ),
            ),
            Self::Taken => {
                of_connection("taken", "expect_read", Wait::Kernel).needing(Need::Peer)
            }
            Self::HeldBack => of_connection("held-back", "expect_held_back", Wait::Kernel),
            // Over UDP the kernel drops what finds no room.
            Self::Full => of_connection("full", "expect_full", Wait::Kernel)
                .only_over(Over::LocalDatagrams),
            Self::TimeWait => of_connection("time-wait", "", Wait::Kernel)
                .needing(Need::EarlierConnection)
                .only_over(Over::Tcp)
                .in_python(Python::Nothing(
                    "nobody looks for a client's own end in TIME_WAIT",
                )),
            Self::End {
                kinds,
                all_bytes_first,
            } => {
                let first = Argument::Flag(", all bytes first", "all_bytes_first=True");
                // Who does not read learns of a reset, and of no orderly end.
                let needs = match kinds.as_slice() {
                    [End::Fin] => Need::Reading,
                    _ => Need::Connection,
                };
                let over = match kinds.contains(&End::Unreachable) {
                    true => Over::Any,
                    false => Over::Streams,
                };
                let form = Form::new("", "expect_end", Does::HearsOfEnd)
                    .needing(needs)
                    .only_over(over)
                    .of_kind("expect the end")
                    .with(Argument::Ends(kinds))
                    .with_all(all_bytes_first.then_some(first));
                match *all_bytes_first && kinds.contains(&End::Reset) {
                    true => form.in_python(Python::Limited(
                        "expect_end",
                        "bytes that a reset destroys before they are sent are not counted",
                    )),
                    false => form,
                }
            }
        }
    }
}

fn of_connection<'a>(word: &'static str, method: &'static str, wait: Wait) -> Form<'a> {
    Form::new(word, method, Does::Waits(wait))
        .of_kind("")
        .needing(Need::Connection)
}

impl ServerExpectation {
    /// The row of waiting for it.
    pub(crate) fn form(&self) -> Form<'_> {
        let looks = |word, method| Form::new(word, method, Does::Waits(Wait::Kernel)).of_kind("");
        let of_listener = |word, method| {
            looks(word, method)
                .needing(Need::Server)
                .only_over(Over::Streams)
                .in_python(Python::NotOfListeningPath(
                    method,
                    "/proc does not show it of a Unix socket",
                ))
        };
        let number = |number: u32| Argument::Number(number.into());
        match self {
            Self::Exit(status) => Form::new("exit", "expect_exit", Does::WaitsForEnd)
                .of_kind("")
                .with_all(status.map(|status| Argument::Number(status.into()))),
            Self::Gone => Form::new("gone", "expect_gone", Does::WaitsForAllToEnd).of_kind(""),
            Self::AcceptQueue(length) => {
                of_listener("accept-queue", "expect_accept_queue").with(number(*length))
            }
            Self::Backlog(limit) => of_listener("backlog", "expect_backlog").with(number(*limit)),
            Self::TimeWait => looks("time-wait", "expect_time_wait").only_over(Over::Tcp),
            Self::NoTimeWait => looks("no-time-wait", "expect_no_time_wait").only_over(Over::Tcp),
            Self::Rest => looks("rest", "expect_rest").needing(Need::Server),
            Self::Output(text) => looks("output", "expect_output").with(Argument::Text(text)),
            Self::Descriptor(least) => looks("descriptor", "expect_descriptor")
                .needing(Need::Server)
                .with(number(*least)),
            Self::OutOfFiles => {
                looks("out-of-files", "expect_out_of_files").needing(Need::LimitedFiles)
            }
            Self::Answered => looks("answered", "")
                .needing(Need::AnsweredCalls)
                .in_python(Python::Nothing(
                    "a filter of system calls cannot be written in it",
                )),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form().fmt(f)
    }
}

impl fmt::Display for ServerExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form().fmt(f)
    }
}
