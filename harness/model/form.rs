//! The row of a step: how it is written, in the language and in Python, what it needs to happen at all, and what it does.
//!
//! Each kind of step has one `form()`, in its own file. What it prints, what the Python program calls, what counts as a deed
//! or as asking for the server's end, and how it is waited for, all follow from that.

use super::data::{Data, Segmentation};
use super::expectation::End;
use super::literal::{self, Shown, Size};
use super::profile::Transport;
use super::server_action::Signal;
use super::system_call::SystemCall;
use super::template::Template;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A ClientHello that is longer than this is a rare one.
const LONG_HELLO: usize = 512;

/// The row of a step.
#[derive(Clone, Debug)]
pub(crate) struct Form<'a> {
    /// The word that it begins with; none where it begins with data.
    pub(crate) word: &'static str,
    /// Its kind, where one word stands for several.
    pub(crate) kind: &'static str,
    /// What follows the word.
    pub(crate) arguments: Vec<Argument<'a>>,
    /// The method that does it in Python.
    pub(crate) python: Python,
    /// Without it the step cannot happen.
    pub(crate) needs: Option<Need>,
    /// Where else it does not happen, or changes nothing.
    pub(crate) over: Over,
    /// What changes by it.
    pub(crate) does: Does,
    /// The case builds on it: without it the case proves nothing.
    pub(crate) required: bool,
}

impl<'a> Form<'a> {
    /// A step of one word that needs nothing.
    pub(crate) fn new(word: &'static str, method: &'static str, does: Does) -> Self {
        Self {
            word,
            kind: word,
            arguments: Vec::new(),
            python: Python::Method(method),
            needs: None,
            over: Over::Any,
            does,
            required: false,
        }
    }

    /// The same with something that it cannot happen without.
    pub(crate) fn needing(self, need: Need) -> Self {
        let needs = Some(need);
        Self { needs, ..self }
    }

    /// The same of what happens over these alone.
    pub(crate) fn only_over(self, over: Over) -> Self {
        Self { over, ..self }
    }

    /// The same of a kind of its own.
    pub(crate) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// The same in Python's words.
    pub(crate) fn in_python(self, python: Python) -> Self {
        Self { python, ..self }
    }

    /// The same with another argument.
    pub(crate) fn with(mut self, argument: Argument<'a>) -> Self {
        self.arguments.push(argument);
        self
    }

    /// For how long it may go on by the times that are written in it.
    pub(crate) fn time_written(&self) -> Duration {
        // What has no data is a ClientHello.
        let (mut bytes, mut pieces, mut time) = (LONG_HELLO, 1, Duration::ZERO);
        for argument in &self.arguments {
            match argument {
                Argument::Data(data) => bytes = data.length(),
                Argument::Segmentation(segmentation) => pieces = segmentation.most_segments(bytes),
                Argument::Every(every) => {
                    let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
                    time = every.saturating_mul(pieces).saturating_add(time);
                }
                Argument::Time(limit) | Argument::After(limit) | Argument::Within(limit) => {
                    time = time.saturating_add(*limit);
                }
                _ => {}
            }
        }
        time
    }

    /// The same with other arguments.
    pub(crate) fn with_all(mut self, arguments: impl IntoIterator<Item = Argument<'a>>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// The step that waits for this, and holds the server to it.
    pub(super) fn expected(self, within: Option<Duration>) -> Self {
        self.awaited("expect", within)
    }

    /// The step that waits for this, and proves nothing without it.
    pub(super) fn required(self, within: Option<Duration>) -> Self {
        let required = true;
        Self {
            required,
            ..self.awaited("require", within)
        }
    }

    fn awaited(self, verb: &'static str, within: Option<Duration>) -> Self {
        let what = (!self.word.is_empty()).then_some(Argument::Word(self.word));
        let what = what.into_iter().chain(self.arguments);
        let kind = match self.kind {
            "" => "expect",
            kind => kind,
        };
        Self {
            word: verb,
            kind,
            arguments: what.chain(within.map(Argument::Within)).collect(),
            ..self
        }
    }
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        let mut is_first = self.word.is_empty();
        for argument in &self.arguments {
            let text = argument.to_string();
            // A comma stands at the word before it.
            if !std::mem::take(&mut is_first) && !text.starts_with(',') && !text.is_empty() {
                f.write_str(" ")?;
            }
            f.write_str(&text)?;
        }
        Ok(())
    }
}

/// A typed argument of a step.
#[derive(Clone, Debug)]
pub(crate) enum Argument<'a> {
    /// A word of the language that the name of the method says in Python.
    Word(&'static str),
    /// Words of the language, and the argument in Python.
    Flag(&'static str, &'static str),
    /// Bytes, written out or generated.
    Data(&'a Data),
    /// Where the data before it is divided.
    Segmentation(&'a Segmentation),
    /// A text with holes.
    Template(&'a Template),
    /// A text.
    Text(&'a [u8]),
    /// Texts with their name.
    Texts(&'static str, &'a [String]),
    /// One byte.
    Byte(u8),
    /// A number of bytes.
    Size(usize),
    /// A number of bytes with its name.
    Setting(&'static str, usize),
    /// The address to come from; not where the port that is taken again brings its own.
    From(IpAddr, Bound),
    /// The address to go to.
    To(IpAddr),
    /// A time.
    Time(Duration),
    /// The time between two of something.
    Every(Duration),
    /// How long it must not come.
    After(Duration),
    /// By when.
    Within(Duration),
    /// A number.
    Number(i64),
    /// A signal.
    Signal(Signal),
    /// Ways to end.
    Ends(&'a [End]),
}

/// What binds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Its address alone.
    ByAddress,
    /// The port of the connection before.
    ByPort,
}

impl fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) | Self::Flag(word, _) => f.write_str(word),
            Self::Data(data) => data.fmt(f),
            Self::Segmentation(segmentation) => segmentation.fmt(f),
            Self::Template(template) => template.fmt(f),
            Self::Text(text) => write!(f, "\"{}\"", literal::escaped(text)),
            Self::Texts(name, texts) => {
                f.write_str(name)?;
                let quoted = |text: &String| literal::escaped(text.as_bytes());
                texts
                    .iter()
                    .try_for_each(|text| write!(f, " \"{}\"", quoted(text)))
            }
            Self::Byte(byte) => write!(f, "\"{}\"", literal::escaped(&[*byte])),
            Self::Size(bytes) => Size(*bytes).fmt(f),
            Self::Setting(name, bytes) => write!(f, "{name} {}", Size(*bytes)),
            Self::From(from, _) => write!(f, "from {from}"),
            Self::To(to) => write!(f, "to {to}"),
            Self::Time(time) => Shown(*time).fmt(f),
            Self::Every(time) => write!(f, "every {}", Shown(*time)),
            Self::After(time) => write!(f, "after {}", Shown(*time)),
            Self::Within(time) => write!(f, "within {}", Shown(*time)),
            Self::Number(number) => number.fmt(f),
            Self::Signal(signal) => signal.fmt(f),
            Self::Ends(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(End::to_string).collect();
                f.write_str(&kinds.join(" or "))
            }
        }
    }
}

/// How the Python program does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    /// By this method.
    Method(&'static str),
    /// By this method, which takes each argument as a way in which something may come.
    Ways(&'static str),
    /// By one for streams and one for datagrams.
    ByTransport {
        /// The method of a client for streams.
        stream: &'static str,
        /// The method of a client for datagrams.
        datagram: &'static str,
    },
    /// By this method, which does less than we do, or takes more; that is said in the program.
    Limited(&'static str, &'static str),
    /// By this method where `/proc` shows what is looked for, which it does not do of Unix sockets that listen.
    NotOfListeningPath(&'static str, &'static str),
    /// Not at all, for this reason.
    Nothing(&'static str),
}

/// What a step cannot happen without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A socket on which a connection was asked for, whatever became of it.
    Socket,
    /// A connection.
    Connection,
    /// A connection that the client reads from.
    Reading,
    /// A connection whose sending side is open, to a server that may still take what is sent.
    SendingSide,
    /// A connection whose other end a process of the server may still have.
    Peer,
    /// A connection, or one that has been.
    EarlierConnection,
    /// A server that has not ended.
    Server,
    /// A server that has been sent a signal since it was started.
    SignalledServer,
    /// A server that is not stopped.
    RunningServer,
    /// A server that is stopped.
    StoppedServer,
    /// A limit on open files that was lowered.
    LimitedFiles,
    /// Calls of the server that are answered in a rare way.
    AnsweredCalls,
}

/// The transports that a step can happen over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// All.
    Any,
    /// Those with connections.
    Streams,
    /// Those with datagrams.
    Datagrams,
    /// TCP alone: Unix sockets know neither urgent data, nor RST, nor a state after the end (unix(7)).
    Tcp,
    /// Those with an address and a port.
    Internet,
    /// Unix sockets.
    Local,
    /// Unix sockets with datagrams.
    LocalDatagrams,
}

impl Over {
    /// Whether a step can happen over this transport.
    pub(crate) fn allows(self, transport: Transport) -> bool {
        match self {
            Self::Any => true,
            Self::Streams => !transport.is_datagram(),
            Self::Datagrams => transport.is_datagram(),
            Self::Tcp => transport == Transport::Tcp,
            Self::Internet => !transport.is_local(),
            Self::Local => transport.is_local(),
            Self::LocalDatagrams => transport == Transport::UnixDatagram,
        }
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any transport",
            Self::Streams => "a stream, TCP or Unix",
            Self::Datagrams => "datagrams",
            Self::Tcp => "TCP",
            Self::Internet => "TCP or UDP",
            Self::Local => "a Unix socket",
            Self::LocalDatagrams => "datagrams of a Unix socket",
        })
    }
}

/// What changes by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// A client opens a connection.
    Connects,
    /// A client sends something.
    Talks,
    /// A client ends its sending side.
    HalfCloses,
    /// A client ends its connection.
    Leaves,
    /// A client reads again, or otherwise than before.
    Reads,
    /// A client reads no more.
    Stalls,
    /// Somebody waits for something that changes nothing but what is known.
    Waits(Wait),
    /// A client waits to hear of the end of its connection.
    HearsOfEnd,
    /// A client waits to hear that there is no connection.
    WaitsForRefusal,
    /// Somebody waits for the server's end, by which it is asked to end.
    WaitsForEnd,
    /// Somebody waits until nothing of the server is left, by which it is asked to end.
    WaitsForAllToEnd,
    /// The server gets a signal.
    Signals(Signal),
    /// The server is stopped.
    Stops,
    /// The server runs on.
    Continues,
    /// The server is started; one that still runs is ended before.
    Starts,
    /// The server is ended, and something else is started in its place.
    Replaces,
    /// Another instance is started beside the server.
    StartsSecond,
    /// The server's open files are limited.
    LimitsFiles,
    /// The server has the limit again that it had.
    RestoresFiles,
    /// Calls of the server are answered in a rare way.
    Answers(SystemCall),
    /// All calls of the server are left to the kernel again.
    RestoresCalls,
    /// Time passes.
    Passes,
    /// Nothing by itself.
    Nothing,
}

impl Does {
    /// Whether something is done to the server, for whatever it does next to be an answer to it.
    pub(crate) fn is_deed(self) -> bool {
        match self {
            Self::Connects
            | Self::Talks
            | Self::HalfCloses
            | Self::Leaves
            | Self::Signals(_)
            | Self::Stops
            | Self::Continues
            | Self::Starts
            | Self::Replaces
            | Self::StartsSecond
            | Self::LimitsFiles
            | Self::RestoresFiles
            | Self::Answers(_)
            | Self::RestoresCalls => true,
            Self::Reads
            | Self::Stalls
            | Self::Waits(_)
            | Self::HearsOfEnd
            | Self::WaitsForRefusal
            | Self::WaitsForEnd
            | Self::WaitsForAllToEnd
            | Self::Passes
            | Self::Nothing => false,
        }
    }

    /// How it is waited for, if anything is.
    pub(crate) fn wait(self) -> Wait {
        match self {
            Self::Waits(wait) => wait,
            _ => Wait::Event,
        }
    }

    /// What it asks of the server's life, if anything.
    pub(crate) fn asks(self) -> Option<Ask> {
        match self {
            Self::Signals(signal) => Some(Ask::End(Some(signal))),
            Self::WaitsForEnd | Self::WaitsForAllToEnd => Some(Ask::End(None)),
            Self::Replaces => Some(Ask::End(Some(Signal::Kill))),
            Self::Starts => Some(Ask::Run),
            _ => None,
        }
    }
}

/// What a step asks of the server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// That it ends; by this signal, or in any good order.
    End(Option<Signal>),
    /// That it runs.
    Run,
}

/// How something is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It comes, and an event tells of it.
    Event,
    /// It comes, and the kernel has to be asked.
    Kernel,
    /// It comes, or does not.
    Either,
    /// It does not come.
    Absence,
}
