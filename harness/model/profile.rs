//! What a server speaks and what it promises, parsed from TOML into values that cannot be wrong.

use crate::model::data::{Data, Source};
use crate::model::error::Error;
use crate::model::literal;
use crate::model::server_action::Signal;
use crate::model::spelling::{did_you_mean, meant_in, toml_mistake};
use crate::model::template::Template;
use crate::model::text_file::Kind;
use crate::model::tls::{RawTls, TlsOptions};
use crate::model::toml_mistake::{Mistake, text_or_table};
use crate::model::unasked::Unasked;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// What a server speaks and promises. What is not promised is observed and reported, never judged.
///
/// ```
/// use sockdrill::Profile;
///
/// let text = r#"
/// transport = "tcp"
/// [[exchange]]
/// send = 'PING\r\n'
/// reply = '+PONG\r\n'
/// [promises]
/// half-close = "answers"
/// "#;
/// assert!(Profile::parse("pong", text)?.has_dialogue());
/// let error = Profile::parse("pong", "transprot = 'tcp'").unwrap_err();
/// assert!(error.chain().contains("transprot"));
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name it is called by.
    pub(crate) name: String,
    /// How bytes reach the server; `None` where the profile is for servers of either kind.
    pub(crate) transport: Option<Transport>,
    /// How clients begin TLS before anything else is said; `None` where the server speaks without.
    pub(crate) tls: Option<TlsOptions>,
    /// What is known of the conversation.
    pub(crate) speech: Speech,
    /// What the server promises.
    pub(crate) promises: Promises,
    /// The name of a built-in, or the file, that it was found by.
    pub(crate) source: Option<String>,
}

/// How bytes reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A Unix stream socket.
    Unix,
    /// A Unix datagram socket.
    UnixDatagram,
}

impl Transport {
    /// Every one of them.
    pub(crate) const ALL: &[Self] = &[Self::Tcp, Self::Udp, Self::Unix, Self::UnixDatagram];

    /// Whether bytes come in datagrams rather than in a stream.
    pub(crate) fn is_datagram(self) -> bool {
        matches!(self, Self::Udp | Self::UnixDatagram)
    }

    /// Whether the address is a path.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Unix | Self::UnixDatagram)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixDatagram => "unix-datagram",
        })
    }
}

/// What is known of a server's conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    /// Nothing.
    Unknown,
    /// Good exchanges: in order on one connection, or each on its own where the server closes after one.
    Dialogue {
        /// What the server says first.
        greeting: Option<Template>,
        /// What is said and answered, at least one.
        exchanges: Vec<Exchange>,
    },
    /// A rule that gives the reply to any payload.
    Model(Model),
}

/// A request and its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exchange {
    /// What a client sends.
    pub send: Vec<u8>,
    /// What the server must answer.
    pub reply: Template,
    /// Whether it is made once a connection, as an opening is; `false` promises that it can be made again, `None` nothing.
    pub once: Option<bool>,
}

impl Exchange {
    /// Whether it opens a conversation, and is made once.
    pub(crate) fn is_opening(&self) -> bool {
        self.once == Some(true)
    }
}

/// A rule that gives the reply to any payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    /// The rule.
    pub rule: Rule,
    /// The unit that the rule is applied to.
    pub framing: Framing,
    /// How many bytes a unit has at most, a line with its newline; `None` where nothing is promised.
    pub longest: Option<usize>,
    /// How many bytes may wait for a client before the server ends its connection; `None` where nothing is promised.
    pub output_limit: Option<usize>,
}

/// The rules that a model can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// What comes goes back.
    Echo,
    /// What comes goes back with ASCII letters in capitals.
    AsciiUppercase,
    /// Nothing goes back.
    Discard,
}

/// The unit that a model's rule is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Framing {
    /// Bytes as they come.
    Stream,
    /// A line at a time, with its newline.
    Line,
    /// A datagram at a time.
    Datagram,
}

impl Model {
    /// The reply that is owed for `data`; `None` where nothing is.
    pub(crate) fn reply(&self, data: &Data) -> Option<Data> {
        match self.rule {
            Rule::Echo => Some(data.clone()),
            Rule::AsciiUppercase => Some(Data {
                capitals: true,
                ..data.clone()
            }),
            Rule::Discard => None,
        }
    }

    /// The most bytes of a unit up to `bytes`, that a client may send.
    pub(crate) fn at_most(&self, bytes: usize) -> usize {
        let bytes = self.may_wait(bytes);
        self.longest.map_or(bytes, |longest| bytes.min(longest))
    }

    /// The most bytes up to `bytes` that a client may have asked for and not read. No more of them than these can wait in the
    /// server; it is half of what is promised, for some count what they need to hold them, too.
    pub(crate) fn may_wait(&self, bytes: usize) -> usize {
        self.output_limit
            .map_or(bytes, |limit| bytes.min(limit / 2))
    }

    /// A payload that the framing allows, seeded: of `bytes` bytes, or as many as are promised to be taken.
    pub(crate) fn payload(&self, bytes: usize, seed: u64) -> Data {
        self.payload_of(self.at_most(bytes), seed)
    }

    /// A payload of `bytes` bytes, however many the server takes.
    pub(crate) fn payload_of(&self, bytes: usize, seed: u64) -> Data {
        match self.framing {
            Framing::Stream | Framing::Datagram => Source::Pattern { bytes, seed }.into(),
            Framing::Line => Source::Text {
                bytes: bytes.max(1),
                seed,
                line: true,
            }
            .into(),
        }
    }
}

/// What a server promises; `None` means that nothing is promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promises {
    /// How many clients it serves at a time.
    pub serves: Option<Serves>,
    /// What it does for a client that has half-closed.
    pub half_close: Option<HalfClose>,
    /// What it does with the connection after an exchange.
    pub after_exchange: Option<AfterExchange>,
    /// When it gives up on a silent client.
    pub idle_timeout: Option<IdleTimeout>,
    /// When it gives up on a client that has not spoken, or not logged in.
    pub login_timeout: Option<Duration>,
    /// When it gives up on a client whose request has begun and is not whole, whatever comes of it meanwhile.
    pub request_timeout: Option<Duration>,
    /// How many connections it holds.
    pub most_connections: Option<MostConnections>,
    /// How long a line or a datagram may be.
    pub longest: Option<Longest>,
    /// How many bytes of its output may wait for a client before it ends the connection.
    pub output_limit: Option<usize>,
    /// How long it lets a client wait that has said what is no request, or too much.
    pub throttling: Option<Duration>,
    /// Whether it turns clients away for a while whose address it has come to mistrust.
    pub penalties: Option<Penalties>,
    /// The limit of its accept queue.
    pub backlog: Option<u32>,
    /// What it says by itself, at any time; nothing where there is no text.
    pub unasked: Option<Unasked>,
    /// How it answers requests that arrive together.
    pub pipelining: Option<Pipelining>,
    /// What it does for a client that comes as soon as it listens.
    pub starting: Option<Starting>,
    /// What a second instance on the same address does.
    pub second_instance: Option<SecondInstance>,
    /// How it stops.
    pub stop: Option<Stop>,
}

/// How many connections a server holds at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MostConnections {
    /// As many as its host lets it.
    Unlimited,
    /// So many.
    Limit {
        /// In all.
        in_all: Option<u32>,
        /// From one address.
        an_address: Option<u32>,
        /// What those see who are turned away.
        refused: Refused,
        /// Which of those that come then, or have come before.
        drops: Drops,
    },
}

/// Which clients a server turns away when it holds as many as it promises and others come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Drops {
    /// Each of them.
    #[default]
    All,
    /// Some, and more as there are more, as random early drop does.
    Some,
    /// None of them: those go in their place who came first, or have been silent for the longest.
    Oldest,
}

/// What a client sees for which a server has no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing, until there is room.
    Waits,
    /// The end of its connection, behind this text where there is one.
    Closed(Option<Template>),
}

impl MostConnections {
    /// Whether those wait for whom there is no room.
    pub(crate) fn waits(&self) -> bool {
        matches!(
            self,
            Self::Limit {
                refused: Refused::Waits,
                ..
            }
        )
    }

    /// What those are told for whom there is no room, where they are told anything.
    pub(crate) fn text(&self) -> Option<&Template> {
        match self {
            Self::Limit {
                refused: Refused::Closed(text),
                ..
            } => text.as_ref(),
            Self::Limit { .. } | Self::Unlimited => None,
        }
    }
}

/// The longest request that a server takes: a line, its newline counted, or a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Longest {
    /// How many bytes it has.
    pub bytes: usize,
    /// What becomes of a longer one; `None` where nothing is promised of it.
    pub refused: Option<TooLong>,
}

/// What becomes of a request that is longer than a server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    /// The connection ends, behind this text where there is one.
    Closed(Option<Template>),
    /// It is answered with this text, and the conversation goes on.
    Answered(Template),
    /// It is answered as if it had ended where the longest one does.
    Cut,
    /// It is not answered, and the conversation goes on.
    Dropped,
}

impl Promises {
    /// How many connections our clients may hold; `None` where nothing limits them.
    pub(crate) fn most(&self) -> Option<u32> {
        let Some(MostConnections::Limit {
            in_all, an_address, ..
        }) = &self.most_connections
        else {
            return None;
        };
        let an_address = an_address.filter(|_| !self.penalises_addresses());
        in_all.iter().copied().chain(an_address).min()
    }

    /// Whether those who came first go when others come for whom there is no room.
    pub(crate) fn drops_the_oldest(&self) -> bool {
        let drops = match &self.most_connections {
            Some(MostConnections::Limit { drops, .. }) => Some(*drops),
            _ => None,
        };
        drops == Some(Drops::Oldest)
    }

    /// Whether clients that come from one address are held responsible for each other, so that ours come from one each.
    pub(crate) fn penalises_addresses(&self) -> bool {
        self.penalties == Some(Penalties::AnAddress)
    }

    /// How long a client may be silent at least before the server gives up on it; `None` where it does not.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let idle = self.idle_timeout.and_then(IdleTimeout::time);
        idle.into_iter().chain(self.login_timeout).min()
    }

    /// How long a client may be about its first request at least before the server gives up on it; `None` where it does not.
    pub(crate) fn time_for_a_request(&self) -> Option<Duration> {
        let times = self.request_timeout.into_iter();
        times.chain(self.login_timeout).min()
    }

    /// These promises, and where nothing is promised those of `other`.
    fn over(self, other: Self) -> Self {
        Self {
            serves: self.serves.or(other.serves),
            half_close: self.half_close.or(other.half_close),
            after_exchange: self.after_exchange.or(other.after_exchange),
            idle_timeout: self.idle_timeout.or(other.idle_timeout),
            login_timeout: self.login_timeout.or(other.login_timeout),
            request_timeout: self.request_timeout.or(other.request_timeout),
            most_connections: self.most_connections.or(other.most_connections),
            longest: self.longest.or(other.longest),
            output_limit: self.output_limit.or(other.output_limit),
            throttling: self.throttling.or(other.throttling),
            penalties: self.penalties.or(other.penalties),
            backlog: self.backlog.or(other.backlog),
            unasked: self.unasked.or(other.unasked),
            pipelining: self.pipelining.or(other.pipelining),
            starting: self.starting.or(other.starting),
            second_instance: self.second_instance.or(other.second_instance),
            stop: self.stop.or(other.stop),
        }
    }
}

/// How many clients a server serves at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Serves {
    /// Any number.
    Concurrently,
    /// One; the others wait.
    OneAtATime,
    /// One connection, then it ends.
    OneConnection,
}

/// What a server does for a client that has half-closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HalfClose {
    /// It answers what was asked, then closes.
    Answers,
    /// It closes.
    Closes,
}

/// What a server does with the connection after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AfterExchange {
    /// It waits for the next one.
    StaysOpen,
    /// It closes.
    Closes,
}

/// How a server treats several requests in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pipelining {
    /// It answers each, in order.
    Answers,
    /// Its protocol forbids it.
    Forbidden,
}

/// Whether a server turns clients away for a while for what others have done before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Penalties {
    /// It does not.
    None,
    /// Those that come from the same address.
    AnAddress,
}

/// What a server does for a client that comes as soon as it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Starting {
    /// It serves that client.
    Serves,
    /// It tells that client, in words of its own, to come again later.
    TurnsAway,
}

/// What a second instance on the same address does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SecondInstance {
    /// It ends with an error.
    Ends,
    /// It listens at the same port (SO_REUSEPORT, socket(7)).
    SharesPort,
    /// It takes the path, or the datagrams, over from the first.
    TakesOver,
}

/// When a server gives up on a silent client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdleTimeout {
    /// Never.
    Never,
    /// After this time.
    After(Duration),
}

impl IdleTimeout {
    /// The time, where there is one.
    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(time) => Some(time),
        }
    }

    /// How long a client has been silent at least when the server closes after this time: the two measure from different
    /// moments, and time-outs are often looked for by a clock that ticks.
    pub(crate) fn margin(time: Duration) -> Duration {
        time.mul_f64(0.7)
    }
}

/// How a server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The signal that it obeys.
    pub signal: Signal,
    /// The time it takes at most.
    pub within: Duration,
    /// Whether requests that have begun are answered.
    pub completes_in_flight: bool,
    /// What becomes of clients that are connected.
    pub sessions: Option<Sessions>,
}

impl Stop {
    /// How long it takes at most while a client stays connected; `None` where it waits for as long as that stays.
    pub(crate) fn within_with_clients(&self) -> Option<Duration> {
        match self.sessions {
            Some(Sessions::WaitedFor { drain }) => drain.map(|drain| drain + self.within),
            Some(Sessions::Closed | Sessions::Kept) | None => Some(self.within),
        }
    }
}

/// What becomes of clients that are connected when a server is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// Their connections are closed.
    Closed,
    /// The server ends when they have left.
    WaitedFor {
        /// How long it waits for them; for ever where nothing is said.
        drain: Option<Duration>,
    },
    /// The server ends at once, and a process of their own serves them on.
    Kept,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawProfile {
    transport: Option<Transport>,
    #[serde(default)]
    speaks_first: bool,
    greeting: Option<Spanned<String>>,
    tls: Option<Spanned<RawTls>>,
    #[serde(default)]
    exchange: Vec<RawExchange>,
    model: Option<Rule>,
    framing: Option<Framing>,
    #[serde(default)]
    promises: RawPromises,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawExchange {
    send: Spanned<String>,
    reply: Spanned<String>,
    once: Option<bool>,
}

/// Promises as a file has them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct RawPromises {
    serves: Option<Serves>,
    half_close: Option<HalfClose>,
    after_exchange: Option<AfterExchange>,
    idle_timeout: Option<String>,
    login_timeout: Option<String>,
    request_timeout: Option<String>,
    most_connections: Option<RawMost>,
    longest: Option<RawLongest>,
    output_limit: Option<String>,
    throttling: Option<String>,
    penalties: Option<Penalties>,
    backlog: Option<u32>,
    unasked: Option<Vec<String>>,
    pipelining: Option<Pipelining>,
    starting: Option<Starting>,
    second_instance: Option<SecondInstance>,
    stop: Option<RawStop>,
}

enum RawMost {
    Unlimited,
    Limit(RawLimit),
}

impl<'de> Deserialize<'de> for RawMost {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "most-connections as \"unlimited\" or a table of in-all, an-address, refused (waits or closed), text and drops \
                         (all, some or oldest)";
        text_or_table(from, expecting, unlimited, Self::Limit)
    }
}

fn unlimited(word: &str) -> Result<RawMost, String> {
    const WORD: &str = "unlimited";
    match word {
        WORD => Ok(RawMost::Unlimited),
        other => Err(format!(
            "`{other}` is no number of connections; write \"{WORD}\", or a table such as {{ in-all = 100, refused = \"closed\" }}{}",
            did_you_mean(other, [WORD])
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawLimit {
    in_all: Option<u32>,
    an_address: Option<u32>,
    refused: RefusedWord,
    text: Option<String>,
    #[serde(default)]
    drops: Drops,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum RefusedWord {
    Waits,
    Closed,
}

enum RawLongest {
    Size(String),
    Refusing(RawTooLong),
}

impl<'de> Deserialize<'de> for RawLongest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expecting = "longest as a size, such as \"64KiB\", or a table of size, refused (closed, answered, cut or dropped) and text";
        let size = |size: &str| Ok(Self::Size(size.to_owned()));
        text_or_table(from, expecting, size, Self::Refusing)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTooLong {
    size: String,
    refused: Option<TooLongWord>,
    text: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TooLongWord {
    Closed,
    Answered,
    Cut,
    Dropped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawStop {
    #[serde(default = "term")]
    signal: Signal,
    within: Option<String>,
    in_flight: Option<InFlight>,
    sessions: Option<SessionsWord>,
    drain: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum SessionsWord {
    Closed,
    WaitedFor,
    Kept,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum InFlight {
    Completes,
    Dropped,
}

fn term() -> Signal {
    Signal::Term
}

/// The time that a server is given to stop where its profile does not say.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(10);

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

impl Profile {
    /// What is known of a server of which nothing is known.
    pub fn unknown() -> Self {
        Self {
            name: "unknown".to_owned(),
            transport: None,
            tls: None,
            speech: Speech::Unknown,
            promises: Promises::default(),
            source: None,
        }
    }

    /// The built-in profiles: name and text.
    pub(crate) fn built_in() -> &'static [(&'static str, &'static str)] {
        PROFILES
    }

    /// Finds a profile by its built-in name, or reads it from a file.
    ///
    /// # Errors
    /// There is no such name or file, or the file is malformed.
    pub fn find(name: &str) -> Result<Self, Error> {
        let found = |profile| Self {
            source: Some(name.to_owned()),
            ..profile
        };
        if let Some((name, text)) = PROFILES.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text).map(found);
        }
        let path = Path::new(name);
        if !path.exists() {
            let known: Vec<_> = PROFILES.iter().map(|(known, _)| *known).collect();
            return Err(Error::Unknown {
                kind: "profile",
                name: name.to_owned(),
                hint: format!(
                    "; there are {}, or name a .toml file{}",
                    known.join(", "),
                    did_you_mean(name, known.iter().copied())
                ),
            });
        }
        let text = Kind::SETTINGS.read(path)?;
        let stem = path
            .file_stem()
            .map_or_else(|| name.into(), |stem| stem.to_string_lossy());
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let parsed = Self::parse_in(&stem, &text, folder).map(found);
        parsed.map_err(|error| match error {
            Error::Malformed { message, .. } => Error::Malformed {
                file: name.to_owned(),
                message,
            },
            other => other,
        })
    }

    /// Parses the text of a profile.
    ///
    /// # Errors
    /// Says which key is wrong and what it may be.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::parse_in(name, text, Path::new(""))
    }

    /// The same of a text that stands in a folder, at which the way to other files begins.
    fn parse_in(name: &str, text: &str, folder: &Path) -> Result<Self, Error> {
        let malformed = |message: String| Error::Malformed {
            file: name.to_owned(),
            message,
        };
        let raw: RawProfile =
            toml::from_str(text).map_err(|error| malformed(toml_mistake(&error)))?;
        Self::from_raw(name, raw, text, folder).map_err(|mistake| malformed(mistake.shown(text)))
    }

    /// What was read from this text makes, which stands in a folder.
    ///
    /// # Errors
    /// Says what is wrong, and where in the text.
    pub(crate) fn from_raw(
        name: &str,
        raw: RawProfile,
        text: &str,
        folder: &Path,
    ) -> Result<Self, Mistake> {
        let speech = speech(&raw, text)?;
        let datagram = raw.transport.is_some_and(Transport::is_datagram);
        if let Speech::Model(model) = &speech
            && raw.transport.is_some()
            && datagram != (model.framing == Framing::Datagram)
        {
            let message = "framing = \"datagram\" goes with transport = \"udp\" or \"unix-datagram\", and with no other";
            return Err(Mistake::of_value(&["framing"], message.to_owned()));
        }
        let tls = raw.tls.map(|tls| begun(tls, raw.transport, folder));
        let promises = promises(raw.promises)?;
        let speech = agreed(speech, raw.transport, &promises)?;
        Ok(Self {
            name: name.to_owned(),
            transport: raw.transport,
            tls: tls.transpose()?,
            speech,
            promises,
            source: None,
        })
    }

    /// The same of a server that promises this too, in the words of profiles.
    ///
    /// # Errors
    /// As [`Profile::promising`], and for what is no promise.
    pub(crate) fn promising_also(self, text: &str) -> Result<Self, String> {
        self.promising(raw_promises(text)?)
            .map_err(Mistake::message)
    }

    /// The same of a server that speaks it over TLS.
    ///
    /// # Errors
    /// Says what is wrong, and where.
    pub(crate) fn over_tls(self, raw: Spanned<RawTls>, folder: &Path) -> Result<Self, Mistake> {
        let tls = Some(begun(raw, self.transport, folder)?);
        Ok(Self { tls, ..self })
    }

    /// The same of a server that promises more than its protocol, or otherwise.
    ///
    /// # Errors
    /// A promise is malformed, or contradicts what is known of the conversation.
    pub(crate) fn promising(self, raw: RawPromises) -> Result<Self, Mistake> {
        let promises = promises(raw)?.over(self.promises);
        let speech = agreed(self.speech, self.transport, &promises)?;
        Ok(Self {
            speech,
            promises,
            ..self
        })
    }

    /// Whether something is known of the conversation.
    pub fn has_dialogue(&self) -> bool {
        self.speech != Speech::Unknown
    }

    /// Whether there is something for a client to ask.
    pub(crate) fn has_request(&self) -> bool {
        match &self.speech {
            Speech::Unknown => false,
            Speech::Dialogue { exchanges, .. } => !exchanges.is_empty(),
            Speech::Model(_) => true,
        }
    }

    /// The reply model, if there is one.
    pub(crate) fn model(&self) -> Option<Model> {
        match self.speech {
            Speech::Model(model) => Some(model),
            _ => None,
        }
    }

    /// Whether there is a reply model for this unit.
    pub(crate) fn is_modelled_in(&self, framing: Framing) -> bool {
        self.model().is_some_and(|model| model.framing == framing)
    }

    /// Whether the server closes after an exchange.
    pub(crate) fn closes_after_exchange(&self) -> bool {
        self.promises.after_exchange == Some(AfterExchange::Closes)
    }

    /// Whether requests that arrive together are answered in order. A model says what is owed for any bytes, however they
    /// are put together; of a dialogue that has to be promised, for many are in turns.
    pub(crate) fn answers_pipelined(&self) -> bool {
        match self.promises.pipelining {
            Some(promised) => promised == Pipelining::Answers,
            None => self.model().is_some() && !self.closes_after_exchange(),
        }
    }

    /// Whether the last exchange is answered again on the same connection; `None` where nothing is said of it.
    pub(crate) fn answers_again(&self) -> Option<bool> {
        if self.closes_after_exchange() {
            return Some(false);
        }
        if self.answers_pipelined() {
            return Some(true);
        }
        match &self.speech {
            Speech::Unknown => None,
            Speech::Dialogue { exchanges, .. } => exchanges.last()?.once.map(|once| !once),
            Speech::Model(_) => Some(true),
        }
    }

    /// The exchanges that a client goes through on a connection before it makes the last one: where the server closes
    /// after an exchange, those alone that open the conversation.
    pub(crate) fn earlier_exchanges(&self) -> impl Iterator<Item = &Exchange> {
        let exchanges = match &self.speech {
            Speech::Dialogue { exchanges, .. } => exchanges.as_slice(),
            Speech::Unknown | Speech::Model(_) => &[],
        };
        let earlier = &exchanges[..exchanges.len().saturating_sub(1)];
        let closes = self.closes_after_exchange();
        earlier
            .iter()
            .filter(move |exchange| !closes || exchange.is_opening())
    }

    /// Whether clients are turned away by a server of this profile until it has started.
    pub(crate) fn turns_away_at_first(&self) -> bool {
        self.promises.starting == Some(Starting::TurnsAway)
    }

    /// What the server may say at any time by itself.
    pub(crate) fn unasked(&self) -> Unasked {
        self.promises.unasked.clone().unwrap_or_default()
    }

    /// Whether several clients can be served at a time, and are there at the same time.
    pub(crate) fn serves_concurrently(&self) -> bool {
        self.promises.serves == Some(Serves::Concurrently) && self.promises.most() != Some(1)
    }
}

/// How clients of a server begin that speaks TLS from the first byte on.
fn begun(
    raw: Spanned<RawTls>,
    transport: Option<Transport>,
    folder: &Path,
) -> Result<TlsOptions, Mistake> {
    let wrong = |message: &str| Err(Mistake::at(raw.span(), message.to_owned()));
    if transport.is_some_and(Transport::is_datagram) {
        return wrong("tls: it is of connections, which datagrams have not");
    }
    if cfg!(not(feature = "tls")) {
        return wrong("tls: this sockdrill speaks no TLS; build it with its feature `tls`");
    }
    raw.into_inner().parsed(folder)
}

/// A client goes through all of them again and again.
const MOST_EXCHANGES: usize = 1_000;

fn speech(raw: &RawProfile, file: &str) -> Result<Speech, Mistake> {
    let wrong = |key: &str, message: &str| Err(Mistake::of_value(&[key], message.to_owned()));
    if raw.exchange.len() > MOST_EXCHANGES {
        let message = format!("write {MOST_EXCHANGES} [[exchange]] at most");
        return Err(Mistake::of_value(&["exchange"], message));
    }
    match (raw.model, raw.exchange.as_slice(), raw.framing) {
        (Some(_), [_, ..], _) => wrong("model", "model and [[exchange]] exclude each other"),
        (Some(_), [], _) if raw.greeting.is_some() || raw.speaks_first => {
            let message = "a server with a model does not speak first; describe it by [[exchange]]";
            wrong("model", message)
        }
        (Some(_), [], None) => {
            let message = "a model needs framing = \"stream\", \"line\" or \"datagram\"";
            wrong("model", message)
        }
        (Some(rule), [], Some(framing)) => Ok(Speech::Model(Model {
            rule,
            framing,
            longest: None,
            output_limit: None,
        })),
        (None, _, Some(_)) => {
            let message = "framing needs a model = \"echo\", \"ascii-uppercase\" or \"discard\"";
            wrong("framing", message)
        }
        (None, exchanges, None) => dialogue(raw, exchanges, file),
    }
}

fn dialogue(raw: &RawProfile, exchanges: &[RawExchange], file: &str) -> Result<Speech, Mistake> {
    let is_datagram = raw.transport.is_some_and(Transport::is_datagram);
    let expected = |key: &str, text: &Spanned<String>| {
        // A datagram has an end of its own.
        let parsed = match is_datagram {
            true => Template::parse(text.get_ref()),
            false => Template::parse_with_an_end(text.get_ref()),
        };
        parsed.map_err(|error| Mistake::inside(text, file, key, &error))
    };
    let greeting = raw.greeting.as_ref();
    let mut greeting = greeting
        .map(|text| expected("greeting", text))
        .transpose()?;
    let mut parsed = Vec::new();
    for (number, raw) in (1..).zip(exchanges) {
        let named = |key: &str| format!("exchange {number}, {key}");
        let send = literal::bytes(raw.send.get_ref())
            .map_err(|error| Mistake::inside(&raw.send, file, &named("send"), &error))?;
        let reply = expected(&named("reply"), &raw.reply)?;
        if !send.is_empty() {
            parsed.push(Exchange {
                send,
                reply,
                once: raw.once,
            });
        } else if number == 1 && greeting.is_none() {
            greeting = Some(reply);
        } else {
            let message = "only the first exchange may send nothing; it is the greeting";
            let message = format!("{}: {message}", named("send"));
            return Err(Mistake::of(&raw.send, message));
        }
    }
    if raw.speaks_first && greeting.is_none() {
        let message = "speaks-first = true needs a greeting = '…'";
        return Err(Mistake::of_value(&["speaks-first"], message.to_owned()));
    }
    if parsed.is_empty() && greeting.is_none() {
        return Ok(Speech::Unknown);
    }
    Ok(Speech::Dialogue {
        greeting,
        exchanges: parsed,
    })
}

/// What is known of the conversation, within what is promised of it, once nothing contradicts that.
fn agreed(
    speech: Speech,
    transport: Option<Transport>,
    promises: &Promises,
) -> Result<Speech, Mistake> {
    agree(&speech, promises)?;
    if let Some(unasked) = &promises.unasked {
        agree_on_unasked(&speech, transport, unasked)?;
    }
    Ok(match speech {
        Speech::Model(model) => Speech::Model(Model {
            longest: promises.longest.as_ref().map(|longest| longest.bytes),
            output_limit: promises.output_limit,
            ..model
        }),
        other => other,
    })
}

/// Makes sure that what is promised of the longest request has a meaning.
fn agree_on_longest(speech: &Speech, longest: &Longest) -> Result<(), Mistake> {
    let wrong = |message: &str| Err(broken("longest", message));
    let Speech::Model(model) = speech else {
        // The requests of an exchange are as long as they are.
        return Ok(());
    };
    match (model.framing, &longest.refused) {
        (Framing::Stream, _) => wrong(
            "a stream has no requests that could be too long; it goes with framing = \"line\" or \"datagram\"",
        ),
        (Framing::Datagram, Some(TooLong::Closed(_))) => wrong(
            "a datagram has no connection that could be closed; refused is \"answered\", \"cut\" or \"dropped\"",
        ),
        (Framing::Line | Framing::Datagram, _) => Ok(()),
    }
}

/// Makes sure that a client can tell what the server says unasked from all that it is owed.
fn agree_on_unasked(
    speech: &Speech,
    transport: Option<Transport>,
    unasked: &Unasked,
) -> Result<(), Mistake> {
    if unasked.texts().is_empty() {
        return Ok(());
    }
    let is_of_datagrams =
        matches!(speech, Speech::Model(model) if model.framing == Framing::Datagram);
    if is_of_datagrams || transport.is_some_and(Transport::is_datagram) {
        return Err(broken(
            "unasked",
            "it is of connections, which datagrams have not",
        ));
    }
    let mut texts = unasked.texts().iter();
    texts
        .try_for_each(|text| may_be_unasked(text, speech).map_err(|error| broken("unasked", error)))
}

/// Makes sure that a text which may be said at any time is not said all the time.
pub(crate) fn begins_with_something(text: &Template) -> Result<(), String> {
    match text.first.is_empty() {
        true => Err(format!(
            "{text} could be the beginning of anything; write what it begins with"
        )),
        false => Ok(()),
    }
}

/// Whether a client of this conversation can tell a text from all that it is owed.
///
/// # Errors
/// Says from what it could not.
pub(crate) fn may_be_unasked(text: &Template, speech: &Speech) -> Result<(), String> {
    begins_with_something(text)?;
    let (greeting, exchanges) = match speech {
        Speech::Dialogue {
            greeting,
            exchanges,
        } => (greeting.as_ref(), exchanges.as_slice()),
        Speech::Model(model) => return may_be_unasked_beside(text, model),
        Speech::Unknown => (None, &[][..]),
    };
    let replies = exchanges.iter().map(|exchange| &exchange.reply);
    let begins_alike = |owed: &&Template| {
        owed.first.starts_with(&text.first) || text.first.starts_with(&owed.first)
    };
    match greeting.into_iter().chain(replies).find(begins_alike) {
        Some(owed) => Err(format!(
            "a client could not tell {text} from {owed}, which it is owed: one begins as the other does"
        )),
        None => Ok(()),
    }
}

fn may_be_unasked_beside(text: &Template, model: &Model) -> Result<(), String> {
    let is_of_letters = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || *byte == b'\n')
    };
    match (model.rule, model.framing) {
        (Rule::Discard, _) => Ok(()),
        (_, Framing::Stream | Framing::Datagram) => Err(format!(
            "a client could not tell {text} from a reply, which may have any bytes; it goes with [[exchange]] or framing = \
             \"line\""
        )),
        (_, Framing::Line) if is_of_letters(&text.first) => Err(format!(
            "a client could not tell {text} from a reply, which may be a line of letters as well; write what no line of \
             letters begins with"
        )),
        (_, Framing::Line) => Ok(()),
    }
}

/// Makes sure that what is promised of waiting output has a meaning.
fn agree_on_output(
    speech: &Speech,
    limit: usize,
    longest: Option<&Longest>,
) -> Result<(), Mistake> {
    let wrong = |message: &str| Err(broken("output-limit", message));
    match speech {
        Speech::Model(model) if model.framing == Framing::Datagram => {
            wrong("a datagram has no connection that could be ended")
        }
        _ if longest.is_some_and(|longest| longest.bytes > limit) => wrong(
            "the reply to the longest request would not fit; write a size of promises.longest or more",
        ),
        _ => Ok(()),
    }
}

/// Makes sure that no promise contradicts what is known of the conversation.
fn agree(speech: &Speech, promises: &Promises) -> Result<(), Mistake> {
    if let Some(limit) = promises.output_limit {
        agree_on_output(speech, limit, promises.longest.as_ref())?;
    }
    if let Some(longest) = &promises.longest {
        agree_on_longest(speech, longest)?;
    }
    let exchanges = match speech {
        Speech::Dialogue { exchanges, .. } => exchanges,
        Speech::Model(_) if promises.pipelining == Some(Pipelining::Forbidden) => {
            return Err(broken(
                "pipelining",
                "a model answers any payload, so that pipelining is not forbidden; describe the server by [[exchange]]",
            ));
        }
        Speech::Unknown | Speech::Model(_) => return Ok(()),
    };
    let is_opening = exchanges.last().is_some_and(Exchange::is_opening);
    match is_opening && promises.pipelining == Some(Pipelining::Answers) {
        true => Err(broken(
            "pipelining",
            "the last exchange is made once a connection, so that it cannot be pipelined; add the exchange that follows it, or \
             leave out pipelining",
        )),
        false => Ok(()),
    }
}

impl Promises {
    /// Parses promises in the words of profiles.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        promises(raw_promises(text)?).map_err(Mistake::message)
    }
}

fn raw_promises(text: &str) -> Result<RawPromises, String> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().replace('\n', "; ");
        format!("{message}{}", meant_in(error.message()))
    })
}

/// A promise that cannot be meant, by the keys that lead to it.
fn broken(key: &str, message: impl fmt::Display) -> Mistake {
    let way: Vec<&str> = std::iter::once("promises").chain(key.split('.')).collect();
    Mistake::of_value(&way, format!("promises.{key}: {message}"))
}

fn promises(raw: RawPromises) -> Result<Promises, Mistake> {
    let idle_timeout = match raw.idle_timeout.as_deref() {
        None => None,
        Some("none") => Some(IdleTimeout::Never),
        Some(text) => Some(IdleTimeout::After(literal::wait(text).map_err(
            |error| broken("idle-timeout", format!("{error}, or \"none\"")),
        )?)),
    };
    let time = |key: &str, text: Option<String>| {
        let time = text.as_deref().map(literal::wait).transpose();
        time.map_err(|error| broken(key, error))
    };
    Ok(Promises {
        serves: raw.serves,
        half_close: raw.half_close,
        after_exchange: raw.after_exchange,
        idle_timeout,
        login_timeout: time("login-timeout", raw.login_timeout)?,
        request_timeout: time("request-timeout", raw.request_timeout)?,
        most_connections: raw.most_connections.map(most_connections).transpose()?,
        longest: raw.longest.map(longest).transpose()?,
        output_limit: raw.output_limit.map(output_limit).transpose()?,
        throttling: time("throttling", raw.throttling)?,
        penalties: raw.penalties,
        backlog: raw
            .backlog
            .map(|most| counted("backlog", most))
            .transpose()?,
        unasked: raw.unasked.as_deref().map(unasked).transpose()?,
        pipelining: raw.pipelining,
        starting: raw.starting,
        second_instance: raw.second_instance,
        stop: raw.stop.map(stop).transpose()?,
    })
}

/// More than any host has descriptors for, or its kernel room in a queue.
const MOST_COUNTED: u32 = 1_000_000;

fn counted(key: &str, count: u32) -> Result<u32, Mistake> {
    match count > MOST_COUNTED {
        true => Err(broken(key, format!("write {MOST_COUNTED} at most"))),
        false => Ok(count),
    }
}

fn most_connections(raw: RawMost) -> Result<MostConnections, Mistake> {
    let RawMost::Limit(raw) = raw else {
        return Ok(MostConnections::Unlimited);
    };
    let wrong = |message: &str| Err(broken("most-connections", message));
    let mut limits = raw.in_all.iter().chain(&raw.an_address);
    if limits.clone().next().is_none() || limits.any(|limit| *limit == 0) {
        return wrong("write in-all or an-address, a number above nought");
    }
    for limit in raw.in_all.iter().chain(&raw.an_address) {
        counted("most-connections", *limit)?;
    }
    if raw.refused == RefusedWord::Waits && raw.drops != Drops::All {
        return wrong("drops = \"some\" or \"oldest\" goes with refused = \"closed\"");
    }
    let refused = match (raw.refused, raw.text) {
        (RefusedWord::Waits, None) => Refused::Waits,
        (RefusedWord::Waits, Some(_)) => return wrong("text goes with refused = \"closed\""),
        (RefusedWord::Closed, text) => {
            let text = text.map(|text| Template::parse_with_an_end(&text));
            let text = text.transpose();
            Refused::Closed(text.map_err(|error| broken("most-connections.text", error))?)
        }
    };
    Ok(MostConnections::Limit {
        in_all: raw.in_all,
        an_address: raw.an_address,
        refused,
        drops: raw.drops,
    })
}

/// A request of one byte, such as a line without a word, asks for nothing.
const SHORTEST_LONGEST: usize = 2;

fn longest(raw: RawLongest) -> Result<Longest, Mistake> {
    let wrong = |message: &str| Err(broken("longest", message));
    let (size, refused, text) = match raw {
        RawLongest::Size(size) => (size, None, None),
        RawLongest::Refusing(raw) => (raw.size, raw.refused, raw.text),
    };
    let bytes = literal::size(&size).map_err(|error| broken("longest", error))?;
    if bytes < SHORTEST_LONGEST {
        return wrong("write a size of 2B or more");
    }
    let text = text.map(|text| Template::parse_with_an_end(&text));
    let text = text.transpose();
    let text = text.map_err(|error| broken("longest.text", error))?;
    let refused = match (refused, text) {
        (Some(TooLongWord::Closed), text) => Some(TooLong::Closed(text)),
        (Some(TooLongWord::Answered), Some(text)) => Some(TooLong::Answered(text)),
        (Some(TooLongWord::Answered), None) => {
            return wrong("refused = \"answered\" needs the text = '…'");
        }
        (_, Some(_)) => return wrong("text goes with refused = \"closed\" or \"answered\""),
        (Some(TooLongWord::Cut), None) => Some(TooLong::Cut),
        (Some(TooLongWord::Dropped), None) => Some(TooLong::Dropped),
        (None, None) => None,
    };
    Ok(Longest { bytes, refused })
}

/// All of them are looked for in whatever comes.
const MOST_UNASKED: usize = 100;

fn unasked(texts: &[String]) -> Result<Unasked, Mistake> {
    if texts.len() > MOST_UNASKED {
        return Err(broken(
            "unasked",
            format!("write {MOST_UNASKED} texts at most"),
        ));
    }
    let texts = texts.iter().enumerate().map(|(number, text)| {
        let text = Template::parse_with_an_end(text);
        text.map_err(|error| {
            let number = number.to_string();
            let way = ["promises", "unasked", number.as_str()];
            Mistake::of_value(&way, format!("promises.unasked: {error}"))
        })
    });
    texts.collect()
}

/// A client may have asked for half of it, which has to be a request.
const SMALLEST_OUTPUT_LIMIT: usize = 128;

fn output_limit(size: String) -> Result<usize, Mistake> {
    let bytes = literal::size(&size).map_err(|error| broken("output-limit", error))?;
    match bytes < SMALLEST_OUTPUT_LIMIT {
        true => Err(broken("output-limit", "write a size of 128B or more")),
        false => Ok(bytes),
    }
}

fn stop(raw: RawStop) -> Result<Stop, Mistake> {
    let time = |key: &str, text: &Option<String>| {
        let time = text.as_deref().map(literal::wait).transpose();
        time.map_err(|error| broken(&format!("stop.{key}"), error))
    };
    let drain = time("drain", &raw.drain)?;
    let sessions = match (raw.sessions, drain) {
        (Some(SessionsWord::WaitedFor), drain) => Some(Sessions::WaitedFor { drain }),
        (_, Some(_)) => {
            return Err(broken(
                "stop.drain",
                "it goes with sessions = \"waited-for\"",
            ));
        }
        (Some(SessionsWord::Closed), None) => Some(Sessions::Closed),
        (Some(SessionsWord::Kept), None) => Some(Sessions::Kept),
        (None, None) => None,
    };
    Ok(Stop {
        signal: raw.signal,
        within: time("within", &raw.within)?.unwrap_or(STOP_WITHIN),
        completes_in_flight: raw.in_flight == Some(InFlight::Completes),
        sessions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_profile_parses() {
        for (name, text) in Profile::built_in() {
            Profile::parse(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn what_is_promised_has_bounds() {
        let many = |what: &str| vec![what; 101].join(", ");
        for (promise, complaint) in [
            (
                "idle-timeout = \"0s\"",
                "idle-timeout: write 1ms or more, and 24h at most, not `0s`, or \"none\"",
            ),
            ("idle-timeout = \"25h\"", "24h at most, not `25h`"),
            (
                "login-timeout = \"0ms\"",
                "login-timeout: write 1ms or more",
            ),
            (
                "throttling = \"48h\"",
                "throttling: write 1ms or more, and 24h at most",
            ),
            (
                "stop = { signal = \"TERM\", within = \"0s\" }",
                "stop.within: write 1ms",
            ),
            ("backlog = 4294967295", "backlog: write 1000000 at most"),
            (
                "most-connections = { in-all = 2000000, refused = \"closed\" }",
                "most-connections: write 1000000 at most",
            ),
            (
                &format!("unasked = [{}]", many("'a\\n'")),
                "unasked: write 100 texts at most",
            ),
        ] {
            let error = Profile::parse("p", &format!("[promises]\n{promise}\n")).unwrap_err();
            assert!(error.to_string().contains(complaint), "{error}");
        }
        let exchanges = "[[exchange]]\nsend = 'a'\nreply = 'b'\n".repeat(1_001);
        let error = Profile::parse("p", &exchanges).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("write 1000 [[exchange]] at most"),
            "{error}"
        );
    }

    #[test]
    fn misspelt_promise_is_an_error_that_names_it() {
        let error = Profile::parse("p", "[promises]\nservs = \"concurrently\"\n").unwrap_err();
        assert!(error.to_string().contains("servs"), "{error}");
    }

    #[test]
    fn duration_without_unit_is_an_error() {
        let error = Profile::parse("p", "[promises]\nidle-timeout = \"5\"\n").unwrap_err();
        assert!(error.to_string().contains("unit"), "{error}");
    }

    #[test]
    fn escape_in_single_quotes_is_one_byte() {
        let text = "[[exchange]]\nsend = 'a\\xff\\r\\n'\nreply = 'b{any}c'\n";
        let profile = Profile::parse("p", text).unwrap();
        let Speech::Dialogue { exchanges, .. } = profile.speech else {
            panic!("a dialogue");
        };
        assert_eq!(exchanges[0].send, b"a\xff\r\n");
        assert_eq!(exchanges[0].reply, Template::parse("b{any}c").unwrap());
    }

    /// As in a stream, where it takes nothing at all.
    #[test]
    fn hole_at_the_end_of_a_reply_is_an_error_with_a_caret_unless_it_is_a_datagram() {
        let text =
            "transport = \"tcp\"\n[[exchange]]\nsend = 'HELLO\\n'\nreply = 'WELCOME {any}'\n";
        let error = Profile::parse("p", text).unwrap_err().to_string();
        let shown = "4 | reply = 'WELCOME {any}'\n  |                  ^^^^^\nexchange 1, reply: nothing tells";
        assert!(error.contains(shown), "{error}");
        assert!(error.contains("line 4, column 18"), "{error}");
        assert!(Profile::parse("p", &text.replace("tcp", "udp")).is_ok());
        let basic = text.replace("'WELCOME {any}'", "\"\\\\r {line}\"");
        let error = Profile::parse("p", &basic).unwrap_err().to_string();
        assert!(error.contains("  |         ^^^^^^^^^^^^\n"), "{error}");
        let greeting = "speaks-first = true\ngreeting = 'hi {line}'\n";
        assert!(Profile::parse("p", greeting).is_err());
    }

    fn of_exchange(exchange: &str, promises: &str) -> Result<Profile, Error> {
        let text =
            format!("[[exchange]]\nsend = 'a'\nreply = 'b'\n{exchange}\n[promises]\n{promises}\n");
        Profile::parse("p", &text)
    }

    /// Many protocols are in turns although their connections stay.
    #[test]
    fn connection_that_stays_open_promises_neither_pipelining_nor_the_same_again() {
        let profile = of_exchange("", "after-exchange = \"stays-open\"").unwrap();
        assert!(!profile.answers_pipelined());
        assert_eq!(profile.answers_again(), None);
        let profile = of_exchange("", "pipelining = \"answers\"").unwrap();
        assert!(profile.answers_pipelined());
        assert_eq!(profile.answers_again(), Some(true));
        let profile = of_exchange("once = false", "").unwrap();
        assert_eq!(profile.answers_again(), Some(true));
        let model = "model = \"echo\"\nframing = \"line\"\n";
        assert!(Profile::parse("p", model).unwrap().answers_pipelined());
    }

    #[test]
    fn promise_that_contradicts_the_conversation_is_an_error() {
        let error = of_exchange("once = true", "pipelining = \"answers\"").unwrap_err();
        assert!(error.to_string().contains("once a connection"), "{error}");
        let model =
            "model = \"echo\"\nframing = \"line\"\n[promises]\npipelining = \"forbidden\"\n";
        assert!(Profile::parse("p", model).is_err());
    }

    /// Each connection of a server that closes after an exchange makes one, behind what opens it.
    #[test]
    fn opening_comes_first_on_every_connection() {
        let exchanges = |after: &str| {
            let rows = [("a", "once = true"), ("b", ""), ("c", "")];
            let rows = rows.map(|(send, once)| {
                format!("[[exchange]]\nsend = '{send}'\nreply = 'r'\n{once}\n")
            });
            let text = format!(
                "{}[promises]\nafter-exchange = \"{after}\"\n",
                rows.concat()
            );
            let profile = Profile::parse("p", &text).unwrap();
            let earlier = profile.earlier_exchanges();
            earlier
                .map(|exchange| exchange.send.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(exchanges("closes"), [b"a"]);
        assert_eq!(exchanges("stays-open"), [b"a", b"b"]);
    }

    #[test]
    fn limit_that_does_not_turn_all_of_the_next_away_is_one_that_closes() {
        let drops = |refused: &str, which: &str| {
            let limit = format!("{{ in-all = 10, refused = \"{refused}\", drops = \"{which}\" }}");
            of_exchange("", &format!("most-connections = {limit}"))
        };
        for (which, drops_which) in [("some", Drops::Some), ("oldest", Drops::Oldest)] {
            let limit = drops("closed", which).unwrap().promises.most_connections;
            let promised = Some(MostConnections::Limit {
                in_all: Some(10),
                an_address: None,
                refused: Refused::Closed(None),
                drops: drops_which,
            });
            assert_eq!(limit, promised);
            let error = drops("waits", which).unwrap_err().to_string();
            assert!(error.contains("goes with refused"), "{error}");
        }
    }

    fn of_model(transport: &str, framing: &str, longest: &str) -> Result<Profile, String> {
        let text = format!(
            "transport = \"{transport}\"\nmodel = \"echo\"\nframing = \"{framing}\"\n[promises]\nlongest = {longest}\n"
        );
        Profile::parse("p", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn longest_request_bounds_what_clients_say() {
        let profile = of_model("tcp", "line", "\"9B\"").unwrap();
        let model = profile.model().unwrap();
        assert_eq!(model.payload(100, 1).bytes(0).len(), 9);
        assert_eq!(model.payload(4, 1).bytes(0).len(), 4);
        assert_eq!(
            crate::model::dialogue::request(&profile).unwrap(),
            b"hello fr\n"
        );
        // A target may promise more than its profile.
        let more = "longest = \"16B\"";
        let more = profile.promising(toml::from_str(more).unwrap()).unwrap();
        assert_eq!(more.model().unwrap().longest, Some(16));
    }

    #[test]
    fn what_is_promised_of_a_longer_request_has_a_meaning() {
        let wrong = |transport: &str, framing: &str, longest: &str, expected: &str| {
            let error = of_model(transport, framing, longest).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        wrong("tcp", "stream", "\"1KiB\"", "a stream has no requests");
        wrong("tcp", "line", "\"1B\"", "2B or more");
        wrong("tcp", "line", "\"64\"", "a size with its unit");
        wrong("tcp", "line", "64", "expected longest as a size");
        let refused = |how: &str| format!("{{ size = \"1KiB\", {how} }}");
        wrong(
            "tcp",
            "line",
            &refused("refused = \"answered\""),
            "needs the text",
        );
        wrong(
            "tcp",
            "line",
            &refused("text = 'no\\n'"),
            "goes with refused",
        );
        wrong(
            "udp",
            "datagram",
            &refused("refused = \"closed\""),
            "no connection",
        );
        assert!(of_model("udp", "datagram", &refused("refused = \"cut\"")).is_ok());
        assert!(
            of_model(
                "tcp",
                "line",
                &refused("refused = \"closed\", text = 'no\\n'")
            )
            .is_ok()
        );
    }

    /// One that could be a reply would be taken for it, or hide that there is none.
    #[test]
    fn what_a_server_says_unasked_can_be_told_from_what_it_owes() {
        let exchange = "[[exchange]]\nsend = 'PING\\r\\n'\nreply = '+PONG\\r\\n'\n";
        let model =
            |rule: &str, framing: &str| format!("model = \"{rule}\"\nframing = \"{framing}\"\n");
        let said = |speech: &str, text: &str| {
            let text = format!("{speech}[promises]\nunasked = ['{text}']\n");
            Profile::parse("p", &text).map_err(|error| error.to_string())
        };
        let wrong = |speech: &str, text: &str, expected: &str| {
            let error = said(speech, text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        wrong(exchange, "+PONG", "which it is owed");
        wrong(exchange, "+PONG\\r\\nagain\\r\\n", "which it is owed");
        wrong(exchange, "{any}\\n", "the beginning of anything");
        wrong(exchange, "", "the beginning of anything");
        wrong(exchange, "PING :{any}", "nothing tells where {any} ends");
        wrong(&model("echo", "stream"), ":\\n", "may have any bytes");
        wrong(&model("echo", "datagram"), ":\\n", "of connections");
        wrong(
            &format!("transport = \"udp\"\n{exchange}"),
            ":\\n",
            "of connections",
        );
        wrong(&model("echo", "line"), "hello\\n", "a line of letters");
        wrong(&model("echo", "line"), "o{any}!\\n", "a line of letters");
        for speech in [
            "",
            exchange,
            &model("echo", "line"),
            &model("discard", "stream"),
        ] {
            let profile = said(speech, "PING :{any}\\r\\n").unwrap();
            assert_eq!(profile.unasked().before(b"PING :1\r\n"), 9);
        }
    }

    #[test]
    fn limit_of_waiting_output_bounds_what_clients_ask_for() {
        let of = |framing: &str, promises: &str| {
            let transport = match framing {
                "datagram" => "udp",
                _ => "tcp",
            };
            let text = format!(
                "transport = \"{transport}\"\nmodel = \"echo\"\nframing = \"{framing}\"\n[promises]\n{promises}\n"
            );
            Profile::parse("p", &text).map_err(|error| error.to_string())
        };
        let profile = of("stream", "output-limit = \"1KiB\"").unwrap();
        let model = profile.model().unwrap();
        assert_eq!(model.payload(4096, 1).length(), 512);
        assert_eq!(model.payload(100, 1).length(), 100);
        let wrong = |framing: &str, promises: &str, expected: &str| {
            let error = of(framing, promises).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        wrong("stream", "output-limit = \"64B\"", "128B or more");
        wrong("stream", "output-limit = \"64\"", "a size with its unit");
        wrong("datagram", "output-limit = \"1KiB\"", "no connection");
        let longer = "longest = \"2KiB\"\noutput-limit = \"1KiB\"";
        wrong("line", longer, "would not fit");
    }

    #[test]
    fn model_and_exchange_exclude_each_other() {
        let text =
            "model = \"echo\"\nframing = \"stream\"\n[[exchange]]\nsend = 'a'\nreply = 'a'\n";
        assert!(Profile::parse("p", text).is_err());
    }
}
