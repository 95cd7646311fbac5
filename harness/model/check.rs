//! A check: one requirement that servers are held to, how it is provoked, and a server that breaks it.

use crate::model::profile::{Profile, Transport};
use crate::model::scenario::Scenario;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One requirement that servers are held to; a literal in `checks/<family>.rs` is all there is to it.
///
/// ```
/// for check in sockdrill::catalogue() {
///     println!("{}: {} ({})", check.id, check.requirement, check.needs_in_words());
/// }
/// ```
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
    pub(crate) needs: &'static [Need],
    /// Whether a failure fails the run.
    pub severity: Severity,
    /// Whether each scenario needs a server that none has used before.
    pub(crate) fresh_server: bool,
    /// The scenarios for a server; empty where there is none, with the reason left to [`Need`].
    pub(crate) scenarios: fn(&Ground<'_>) -> Vec<Scenario>,
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

    /// Why the check does not apply, if it does not.
    pub(crate) fn unmet(&self, ground: &Ground<'_>) -> Option<String> {
        self.needs.iter().find_map(|need| need.unmet(ground))
    }
}

/// Needs as a person reads them: `TCP, long request`.
pub fn in_words(needs: &[Need]) -> String {
    let words: Vec<String> = needs.iter().map(|need| need.to_string()).collect();
    words.join(", ")
}

/// How grave a failure is.
///
/// ```
/// use sockdrill::Severity;
///
/// let recommended = sockdrill::catalogue().into_iter();
/// let recommended = recommended.filter(|check| check.severity == Severity::Should);
/// assert!(recommended.count() > 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// The promises that were found broken, which the profile no longer has.
    pub broken: &'a [Broken],
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
            broken: &[],
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

/// Something that must be known or promised, or hold here, for a check to apply; the rows are in `checks/needs.rs`.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What it is called, permanent.
    pub word: &'static str,
    /// Whether it is met.
    pub met: fn(&Ground<'_>) -> bool,
    /// What is said where it is not; the first such reason of a check is why it is skipped.
    pub reason: &'static str,
}

impl PartialEq for Need {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Need {}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word)
    }
}

impl Need {
    /// Says why the need is not met, if it is not.
    pub(crate) fn unmet(&self, ground: &Ground<'_>) -> Option<String> {
        if (self.met)(ground) {
            return None;
        }
        let broken = ground.broken.iter().find(|broken| broken.need == *self);
        Some(match broken {
            Some(Broken { what, check, .. }) => {
                format!("builds on {what}, which is broken: see {check}")
            }
            None => self.reason.to_owned(),
        })
    }
}

/// A promise that was found broken, so that nothing is built on it.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The need that the promise would have met.
    pub need: Need,
    /// What was promised.
    pub what: &'static str,
    /// The check that tells of it.
    pub check: &'static str,
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

/// A server that breaks one requirement on purpose.
#[derive(Clone, Copy)]
pub struct Counterexample {
    /// The reference server whose profile it claims to follow.
    pub instead_of: &'static str,
    /// Its life: listen at the address, serve, break the requirement. An error ends the process with status 1.
    pub(crate) serve: fn(&Address) -> io::Result<()>,
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
