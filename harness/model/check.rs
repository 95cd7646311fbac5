//! A check: one requirement that servers are held to, how it is provoked, and a server that breaks it.

use crate::model::profile::{
    AfterExchange, Framing, HalfClose, IdleTimeout, Profile, Serves, Transport,
};
use crate::model::scenario::Scenario;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One requirement; a literal in `checks/<family>.rs` is all there is to it.
#[derive(Debug)]
pub struct Check {
    /// `family/name`, permanent.
    pub id: &'static str,
    /// What a correct server does, in one sentence.
    pub requirement: &'static str,
    /// The kind of bug that it is for, with public examples.
    pub why: &'static str,
    /// What is done to the server.
    pub provoked: &'static str,
    /// How servers that fail are mended.
    pub cure: &'static str,
    /// What must be known or promised, or hold here, for the check to apply.
    pub needs: &'static [Need],
    /// Whether a failure fails the run.
    pub severity: Severity,
    /// Whether each scenario needs a server that none has used before.
    pub fresh_server: bool,
    /// The scenarios for a server; empty where there is none, with the reason left to [`Need`].
    pub scenarios: fn(&Ground<'_>) -> Vec<Scenario>,
    /// A server that breaks this requirement, and otherwise behaves.
    pub counterexample: Counterexample,
}

impl Check {
    /// The part of the id before the slash.
    pub fn family(&self) -> &'static str {
        self.id
            .split_once('/')
            .map_or(self.id, |(family, _)| family)
    }

    /// What the check needs, as a person reads it.
    pub fn needs_in_words(&self) -> String {
        in_words(self.needs)
    }

    /// The arguments after `sockdrill serve` that run the counterexample in a lab.
    pub fn counterexample_arguments(&self) -> Vec<&'static str> {
        let place = match self.needs.contains(&Need::Local) {
            true => ["--path", "{path}"],
            false => ["--port", "{port}"],
        };
        let mut arguments = vec![
            self.counterexample.instead_of,
            "--violate",
            self.id,
            place[0],
            place[1],
        ];
        if self.needs.contains(&Need::ToldLoopback) {
            arguments.extend(["--host", "127.0.0.1"]);
        }
        arguments
    }

    /// Why the check does not apply, if it does not.
    pub fn unmet(&self, ground: &Ground<'_>) -> Option<String> {
        self.needs.iter().find_map(|need| need.unmet(ground))
    }
}

/// Needs as a person reads them: `TCP, long request`.
pub fn in_words(needs: &[Need]) -> String {
    let words: Vec<String> = needs.iter().map(|need| need.to_string()).collect();
    words.join(", ")
}

/// How grave a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A failure fails the run.
    Must,
    /// A failure fails the run with `--strict` only.
    Should,
}

/// What a check can build on: the server's profile and the run's settings.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// What the server speaks and promises.
    pub profile: &'a Profile,
    /// How bytes reach the server, as found.
    pub transport: Transport,
    /// The limit of the accept queue, as the kernel shows it.
    pub backlog: Option<u32>,
    /// The seed of generated payloads.
    pub seed: u64,
    /// Whether every position and the large counts are wanted.
    pub deep: bool,
    /// How many cases of a property are drawn.
    pub cases: usize,
    /// The promise to serve concurrently, which the profile no longer has, was found broken.
    pub not_concurrent: bool,
    /// Whether the server has a network namespace to itself.
    pub own_namespace: bool,
    /// Whether the server listens on an IPv6 address.
    pub ipv6: bool,
    /// Whether it takes IPv4 clients on an IPv6 socket.
    pub dual_stack: bool,
    /// Whether its command names 127.0.0.1 as the address to listen on.
    pub told_loopback: bool,
    /// Whether the server is handed its listening socket.
    pub socket_is_given: bool,
    /// Whether the server is bound to all IPv4 addresses.
    pub wildcard: bool,
    /// Whether several listening sockets share the address (SO_REUSEPORT, socket(7)).
    pub shared_port: bool,
}

impl<'a> Ground<'a> {
    /// A server of which nothing but its profile is known, on a run that asks for nothing special.
    pub fn of(profile: &'a Profile, transport: Transport) -> Self {
        Self {
            profile,
            transport,
            backlog: None,
            seed: 1,
            deep: false,
            cases: 1,
            not_concurrent: false,
            own_namespace: false,
            ipv6: false,
            dual_stack: false,
            told_loopback: false,
            socket_is_given: false,
            wildcard: false,
            shared_port: false,
        }
    }
}

/// What a check needs; the first one unmet is the reason for skipping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A stream transport.
    Stream,
    /// TCP.
    Tcp,
    /// Datagrams.
    Datagram,
    /// A good exchange or a model.
    Dialogue,
    /// A request of two bytes or more, so that it can be cut.
    LongRequest,
    /// A reply model for arbitrary payloads.
    Model,
    /// A model for bytes as they come.
    StreamModel,
    /// A model for lines.
    LineModel,
    /// A greeting or an exchange, rather than a model.
    Exchanges,
    /// A model that answers.
    Reply,
    /// The server survives a conversation, so that several can follow each other.
    ManyConnections,
    /// A server that may hold several connections: not one that promises to serve a single one, or one after the other.
    SeveralAtOnce,
    /// The promise to serve concurrently.
    Concurrent,
    /// The promise to serve one at a time.
    OneAtATime,
    /// A promise about half-closed clients.
    HalfClose,
    /// The promise to answer half-closed clients.
    HalfCloseAnswers,
    /// The connection stays open after an exchange.
    StaysOpen,
    /// The connection is closed after an exchange.
    Closes,
    /// Several requests in one segment are answered.
    Pipelining,
    /// A network namespace of the server's own.
    OwnNamespace,
    /// A promised idle time-out.
    IdleTimeout,
    /// The promise never to time out.
    NoIdleTimeout,
    /// A promised backlog.
    Backlog,
    /// The promise to answer requests that have begun when it is told to end.
    CompletesInFlight,
    /// A server that is bound to all addresses.
    Wildcard,
    /// A single listening socket at the address.
    OneListener,
    /// A server that opens its listening socket itself.
    OwnSocket,
    /// A server on a Unix socket.
    Local,
    /// A server that listens on an IPv6 address.
    Ipv6,
    /// A server that takes both families on one socket.
    DualStack,
    /// A command that names 127.0.0.1 as the address to listen on.
    ToldLoopback,
}

impl Severity {
    /// The word for it in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Ipv6 => "IPv6",
            // The variants are named as a person would say it, but for the gaps between the words.
            other => return split_words(f, &format!("{other:?}")),
        })
    }
}

fn split_words(f: &mut std::fmt::Formatter<'_>, name: &str) -> std::fmt::Result {
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_uppercase() {
            f.write_str(" ")?;
        }
        write!(f, "{}", letter.to_ascii_lowercase())?;
    }
    Ok(())
}

impl Need {
    /// Says why the need is not met, if it is not.
    pub fn unmet(self, ground: &Ground<'_>) -> Option<String> {
        let profile = ground.profile;
        let promises = &profile.promises;
        let (met, reason): (bool, &str) = match self {
            Self::Stream => (
                !ground.transport.is_datagram(),
                "the server takes datagrams",
            ),
            Self::Tcp => (
                ground.transport == Transport::Tcp,
                "the server does not listen on TCP",
            ),
            Self::Datagram => (
                ground.transport.is_datagram(),
                "the server does not take datagrams",
            ),
            Self::Dialogue => (
                profile.has_dialogue(),
                "the profile has no exchange and no model",
            ),
            Self::LongRequest => (
                crate::model::dialogue::request(profile).is_some_and(|bytes| bytes.len() > 1),
                "the profile has no request of two bytes or more",
            ),
            Self::Model => (profile.model().is_some(), "the profile has no model"),
            Self::StreamModel => (
                profile.is_modelled_in(Framing::Stream),
                "the profile has no model with framing = \"stream\"",
            ),
            Self::LineModel => (
                profile.is_modelled_in(Framing::Line),
                "the profile has no model with framing = \"line\"",
            ),
            Self::Exchanges => (
                profile.has_dialogue() && profile.model().is_none(),
                "the profile has no exchange",
            ),
            Self::Reply => (
                crate::model::dialogue::replies(profile),
                "the server does not reply",
            ),
            Self::ManyConnections => (
                promises.serves != Some(Serves::OneConnection),
                "the server ends after one connection",
            ),
            Self::SeveralAtOnce => (
                !matches!(
                    promises.serves,
                    Some(Serves::OneConnection | Serves::OneAtATime)
                ),
                "the server holds no more than one connection",
            ),
            Self::Concurrent if ground.not_concurrent => (
                false,
                "builds on serving concurrently, which is broken: see crowd/one-silent",
            ),
            Self::Concurrent => (
                profile.serves_concurrently(),
                "serves = \"concurrently\" is not promised",
            ),
            Self::OneAtATime => (
                promises.serves == Some(Serves::OneAtATime),
                "serves = \"one-at-a-time\" is not promised",
            ),
            Self::HalfClose => (promises.half_close.is_some(), "half-close is not promised"),
            Self::HalfCloseAnswers => (
                promises.half_close == Some(HalfClose::Answers),
                "half-close = \"answers\" is not promised",
            ),
            Self::StaysOpen => (
                promises.after_exchange == Some(AfterExchange::StaysOpen)
                    || (profile.model().is_some() && !profile.closes_after_exchange()),
                "after-exchange = \"stays-open\" is not promised",
            ),
            Self::Closes => (
                profile.closes_after_exchange(),
                "after-exchange = \"closes\" is not promised",
            ),
            Self::Pipelining => (
                profile.answers_pipelined(),
                "pipelining = \"answers\" is not promised",
            ),
            Self::OwnNamespace => (
                ground.own_namespace,
                "only possible in a namespace of the server's own",
            ),
            Self::IdleTimeout => (
                matches!(promises.idle_timeout, Some(IdleTimeout::After(_))),
                "no idle-timeout is promised",
            ),
            Self::NoIdleTimeout => (
                promises.idle_timeout == Some(IdleTimeout::Never),
                "idle-timeout = \"none\" is not promised",
            ),
            Self::Backlog => (promises.backlog.is_some(), "no backlog is promised"),
            Self::CompletesInFlight => (
                promises.stop.is_some_and(|stop| stop.completes_in_flight),
                "stop.in-flight = \"completes\" is not promised",
            ),
            Self::OwnSocket => (
                !ground.socket_is_given,
                "the server is handed its listening socket",
            ),
            Self::Local => (
                ground.transport.is_local(),
                "the server does not listen on a Unix socket",
            ),
            Self::Ipv6 => (ground.ipv6, "the server does not listen on IPv6"),
            Self::DualStack => (
                ground.dual_stack,
                "the server does not take IPv4 on an IPv6 socket",
            ),
            Self::ToldLoopback => (ground.told_loopback, "the command does not name 127.0.0.1"),
            Self::OneListener => (
                !ground.shared_port,
                "several listening sockets share the port, each with a queue of its own",
            ),
            Self::Wildcard => (ground.wildcard, "the server is bound to one address only"),
        };
        (!met).then(|| reason.to_owned())
    }
}

/// A server that breaks one requirement on purpose.
#[derive(Clone, Copy)]
pub struct Counterexample {
    /// The reference server whose profile it claims to follow.
    pub instead_of: &'static str,
    /// Its life: listen at the address, serve, break the requirement. An error ends the process with status 1.
    pub serve: fn(&Address) -> io::Result<()>,
}

impl std::fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counterexample(instead of {})", self.instead_of)
    }
}

/// Where a server is told to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port, for TCP and UDP.
    Inet(SocketAddr),
    /// A path, for Unix sockets.
    Path(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}
