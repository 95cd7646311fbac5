//! What is known of one server before it is judged.

use crate::model::address::Address;
use crate::model::limits::STEP_WITHIN;
use crate::model::profile::{AfterExchange, IdleTimeout, Profile, Promises, Transport};
use std::iter::Sum;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What is known of one server before it is judged, and what its checks and observations build on. The probe builds it
/// once; where a promise is found broken, another one is made of it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What the server speaks and promises, but for promises that were found broken.
    pub profile: Profile,
    /// Where it was found to listen.
    pub place: Place,
    /// Whether it has a network namespace to itself.
    pub own_namespace: bool,
    /// Where servers run, in a word.
    pub isolation: &'static str,
    /// Whether somebody else has started it, so that nothing is seen of its processes.
    pub is_elsewhere: bool,
    /// Whether it may then be flooded.
    pub may_be_flooded: bool,
    /// Whether its command names 127.0.0.1 as the address to listen on.
    pub told_loopback: bool,
    /// Whether the host lets us answer its system calls.
    pub may_answer_calls: bool,
    /// Whether it is handed its listening socket.
    pub socket_is_given: bool,
    /// The seed of generated payloads.
    pub seed: u64,
    /// Whether every position and the large counts are wanted.
    pub deep: bool,
    /// How many cases of a property are drawn.
    pub cases: usize,
    /// The most clients that the host lets one trial have.
    pub most_clients: u32,
    /// The deepest accept queue that the kernel gives where the server runs (`net.core.somaxconn`, listen(2)).
    pub somaxconn: Option<u32>,
    /// The most bytes of a server that the kernel takes for a client that does not read.
    pub send_buffer: usize,
    /// Whether it has a process for each client.
    pub process_for_each: bool,
    /// How many open files each of its processes may have at least.
    pub open_files: Option<u64>,
    /// Whether the host lets us limit its open files while it runs.
    pub may_be_limited: bool,
    /// How much later a client was served than the very first one, where that one was turned away.
    pub turned_away: Option<Duration>,
    /// How long it took for the reply to the last request of a polite client, at its quickest.
    pub reply_time: Option<Duration>,
    /// Whether it could be stopped between a request that it had read and its answer.
    pub takes_its_time: bool,
    /// Whether it goes on answering polite clients as it answered the very first one, who was owed something else.
    pub answers_otherwise: bool,
    /// Whether it ends a polite conversation by a reset, all bytes first, where it owes a FIN: that is one finding, and nothing
    /// else is held to it.
    pub resets_at_end: bool,
    /// The promises that were found broken.
    pub broken: Vec<Broken>,
    /// Whether the last exchange is answered again on the same connection, as was promised or, where nothing is said of
    /// it, tried.
    pub answers_again: bool,
    /// Whether a client that has been served may stand by while others are, and be served again.
    pub bystander: bool,
}

/// Where a server listens, as the kernel shows it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// How bytes reach the server.
    pub transport: Transport,
    /// The address that is drilled.
    pub address: Address,
    /// The limit of the accept queue, where there is one.
    pub backlog: Option<u32>,
    /// Whether the server is bound to all addresses.
    pub wildcard: bool,
    /// Whether several listening sockets share the address (SO_REUSEPORT, socket(7)).
    pub shared_port: bool,
    /// Whether the server listens on an IPv6 address.
    pub ipv6: bool,
    /// Whether it takes IPv4 clients on an IPv6 socket.
    pub dual_stack: bool,
    /// Whether the kernel keeps clients from the server that have not spoken (`TCP_DEFER_ACCEPT`, tcp(7)).
    pub deferred: bool,
}

/// A promise that was found broken, so that nothing is built on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The word of the need that the promise would have met.
    pub need: &'static str,
    /// What was promised.
    pub what: &'static str,
    /// The check that tells of it.
    pub check: &'static str,
}

impl Place {
    /// A place of which nothing but the transport is known.
    pub(crate) fn on(transport: Transport) -> Self {
        Self {
            transport,
            address: Address::Inet(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            backlog: None,
            wildcard: false,
            shared_port: false,
            ipv6: false,
            dual_stack: false,
            deferred: false,
        }
    }
}

impl Subject {
    /// Whether it speaks TLS from the first byte on.
    pub(crate) fn speaks_tls(&self) -> bool {
        self.profile.tls.is_some()
    }

    /// Whether it is on another host, whose kernel shows nothing.
    pub(crate) fn is_far(&self) -> bool {
        self.is_elsewhere && !self.place.address.is_here()
    }

    /// A server of which nothing but its profile and its place is known, on a run that asks for nothing special.
    pub(crate) fn of(profile: Profile, place: Place) -> Self {
        let answers_again = profile.answers_again() == Some(true);
        Self {
            bystander: answers_again && can_stand_by(&profile, place.transport),
            answers_again,
            process_for_each: false,
            profile,
            place,
            own_namespace: false,
            may_answer_calls: true,
            isolation: "unknown",
            is_elsewhere: false,
            may_be_flooded: false,
            told_loopback: false,
            socket_is_given: false,
            seed: 1,
            deep: false,
            cases: 1,
            most_clients: u32::MAX,
            somaxconn: None,
            send_buffer: USUAL_SEND_BUFFER,
            open_files: None,
            may_be_limited: true,
            turned_away: None,
            reply_time: None,
            takes_its_time: false,
            answers_otherwise: false,
            resets_at_end: false,
            broken: Vec::new(),
        }
    }

    /// The usual quantity of a check, or what a deep run has in its place.
    pub(crate) fn deeper<T: Copy + Sum>(&self, usual: T) -> T {
        let times = if self.deep { DEEPER } else { 1 };
        (0..times).map(|_| usual).sum()
    }

    /// The same of bytes that one step sends or expects.
    pub(crate) fn deeper_bytes(&self, usual: usize) -> usize {
        self.deeper(usual).min(usual.max(DEEPEST_BYTES))
    }

    /// The same of clients that are connected at the same time: what is more than usual is no more than the server has
    /// descriptors for, and nothing where each takes a process, of which the host may have few.
    pub(crate) fn deeper_crowd(&self, usual: u32) -> u32 {
        match self.process_for_each {
            true => usual,
            false => self.deeper(usual).min(usual.max(self.may_hold())),
        }
    }

    /// The same of clients that come together to stay, beside one that talks and one that stands by: what is more than usual
    /// is no more than fits the accept queue.
    pub(crate) fn deeper_few(&self, usual: u32) -> u32 {
        let queue = self.place.backlog.unwrap_or(0).saturating_add(1);
        let few = self.deeper_crowd(usual).min(usual.max(queue));
        self.with_room(few)
    }

    /// How many connections the server has descriptors for.
    pub(crate) fn may_hold(&self) -> u32 {
        let its = self.open_files.unwrap_or(USUAL_OPEN_FILES);
        let held = its.saturating_sub(LEFT) / FOR_EACH;
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// How many of `wanted` clients may connect at the same moment without one having to repeat its SYN after a second or
    /// more: what overflows the accept queue is the matter of the backlog checks alone.
    pub(crate) fn at_once(&self, wanted: u32) -> u32 {
        let wanted = match self.profile.promises.most() {
            // Who comes again may be there before the server has noticed that it had left.
            Some(_) => (self.with_room(wanted) / 2).max(1),
            None => wanted.min(self.most_clients),
        };
        let fitting = |backlog: u32| wanted.min(backlog.saturating_add(1));
        self.place.backlog.map_or(wanted, fitting)
    }

    /// The same of clients who each come so many times in a row, and leave before they are accepted: the accept queue holds those who
    /// have left until the server comes to them. One more has room behind them.
    pub(crate) fn at_once_again(&self, wanted: u32, times: u32) -> u32 {
        let fitting = |backlog: u32| (backlog / times).max(1);
        let fitting = self.place.backlog.map_or(wanted, fitting);
        self.at_once(wanted).min(fitting)
    }

    /// For how long a client that nobody may keep waiting waits for its reply: as long as any step, and as long as one took that
    /// was alone, and again.
    pub(crate) fn in_time(&self) -> Duration {
        let alone = 2 * self.reply_time.unwrap_or_default();
        STEP_WITHIN + Duration::from_secs(alone.as_secs_f64().ceil() as u64)
    }

    /// How many of `wanted` clients may be connected at the same time beside one that talks and one that stands by, for the
    /// server and for us.
    pub(crate) fn with_room(&self, wanted: u32) -> u32 {
        let most = self.profile.promises.most();
        let fitting = most.map_or(wanted, |most| wanted.min(most.saturating_sub(2).max(1)));
        let its = match self.process_for_each {
            // Each has descriptors of its own.
            true => u32::MAX,
            false => self.may_hold().max(1),
        };
        fitting.min(self.most_clients).min(its)
    }

    /// The same of a server that was found to break a promise.
    pub(crate) fn without(&self, promise: Broken, forget: fn(&mut Promises)) -> Self {
        let mut subject = self.clone();
        forget(&mut subject.profile.promises);
        subject.broken.push(promise);
        subject.with_bystander()
    }

    /// The same of a server that was found to answer its last exchange again.
    pub(crate) fn answering_again(self) -> Self {
        Self {
            answers_again: true,
            ..self
        }
        .with_bystander()
    }

    fn with_bystander(self) -> Self {
        let can = can_stand_by(&self.profile, self.place.transport);
        Self {
            bystander: self.answers_again && can,
            ..self
        }
    }
}

/// How many times the usual quantities a deep run has.
pub(crate) const DEEPER: u32 = 10;

/// So many bytes are sent in one step at most: a step may say 64 MiB, and all that is sent and received is kept.
const DEEPEST_BYTES: usize = 60 << 20;

/// The usual limit on open files (getrlimit(2)).
const USUAL_OPEN_FILES: u64 = 1_024;

/// So many descriptors are left to the server for what else it opens.
const LEFT: u64 = 64;

/// So many it may have for each connection: its socket, and the two ends of the pipe that splice(2) goes through. What happens
/// where there are none is the matter of backlog/descriptor-limit.
const FOR_EACH: u64 = 3;

/// The most that the kernel lets a send buffer grow by itself where nobody has set it otherwise (`tcp_wmem`, tcp(7)).
const USUAL_SEND_BUFFER: usize = 4 << 20;

/// The least promised limit of connections at which one of them is left to a bystander.
const BYSTANDER_FROM: u32 = 5;

/// Whether a client that has been served may be silent for as long as it likes, beside others, and be served again.
fn can_stand_by(profile: &Profile, transport: Transport) -> bool {
    let promises = &profile.promises;
    // Those who come again while the server has not noticed that they had left need the few places that there are.
    let has_room = promises.most().is_none_or(|most| most >= BYSTANDER_FROM);
    // Who stands by would be the first to go.
    let may_stay = !promises.drops_the_oldest();
    has_room
        && may_stay
        && !transport.is_datagram()
        && profile.has_request()
        && profile.serves_concurrently()
        && !profile.closes_after_exchange()
        && promises.idle_timeout == Some(IdleTimeout::Never)
        && (profile.model().is_some() || promises.after_exchange == Some(AfterExchange::StaysOpen))
}
