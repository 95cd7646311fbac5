//! What checks and observations need: every need is one row.

use super::{derive, output, stop};
use crate::model::check::Check;
use crate::model::dialogue;
use crate::model::expectation::Expectation;
use crate::model::limits::SILENCE;
use crate::model::need::Need;
use crate::model::profile::{
    AfterExchange, Framing, HalfClose, IdleTimeout, MostConnections, Serves, Transport,
};
use crate::model::subject::Subject;
use std::time::Duration;

/// How long it may take until the last client of a burst is connected.
pub(super) const BURST_LASTS: Duration = Duration::from_secs(30);

/// How late a request may come at least.
pub(super) const LATE: Duration = Duration::from_secs(2);

/// The most connections that are held to find out what becomes of the next.
const MOST_HELD: u32 = 1_000;

/// The longest request that is sent to find out what becomes of a longer one.
const LONGEST_SENT: usize = 4 << 20;

/// The most that is asked for to find out what becomes of a client that does not read.
const MOST_ASKED_FOR: usize = 96 << 20;

/// Of replies so long, a dozen are far from what a server may have on its way (212,992 bytes with what the kernel needs beside).
const SHORT: usize = 4 << 10;

/// Whether a client may be silent for so long.
fn gives(subject: &Subject, time: Duration) -> bool {
    let patience = subject.profile.promises.patience();
    patience.is_none_or(|patience| patience >= time)
}

impl Need {
    /// A server that is started for its tests.
    pub(crate) const OWN_PROCESS: Self = Self {
        word: "own process",
        met: |subject| !subject.is_elsewhere,
        reason: "somebody else has started the server: what it is about shows in its processes alone",
    };

    /// A stream transport.
    pub(crate) const STREAM: Self = Self {
        word: "stream",
        met: |subject| !subject.place.transport.is_datagram(),
        reason: "the server takes datagrams",
    };

    /// TCP.
    pub(crate) const TCP: Self = Self {
        word: "TCP",
        met: |subject| subject.place.transport == Transport::Tcp,
        reason: "the server does not listen on TCP",
    };

    /// Datagrams.
    pub(crate) const DATAGRAM: Self = Self {
        word: "datagram",
        met: |subject| subject.place.transport.is_datagram(),
        reason: "the server does not take datagrams",
    };

    /// Datagrams of a Unix socket.
    pub(crate) const UNIX_DATAGRAM: Self = Self {
        word: "Unix datagram",
        met: |subject| subject.place.transport == Transport::UnixDatagram,
        reason: "the kernel drops what does not fit the queue of a UDP client: nobody waits for one who does not read",
    };

    /// Replies of which more fit what a server may have on its way than fit the queue of one client.
    pub(crate) const SHORT_REPLY: Self = Self {
        word: "short reply",
        met: |subject| match dialogue::reply(&subject.profile) {
            Some(Expectation::Data(reply)) => reply.length() <= SHORT,
            _ => false,
        },
        reason: "a few replies may be all that a server can have on its way (wmem_default), and then nobody's queue is full",
    };

    /// An address with a port, rather than a path.
    pub(crate) const INTERNET: Self = Self {
        word: "internet",
        met: |subject| !subject.place.transport.is_local(),
        reason: "the server is on a Unix socket",
    };

    /// A good exchange or a model.
    pub(crate) const DIALOGUE: Self = Self {
        word: "dialogue",
        met: |subject| subject.profile.has_dialogue(),
        reason: "the profile has no exchange and no model",
    };

    /// A request.
    pub(crate) const REQUEST: Self = Self {
        word: "request",
        met: |subject| subject.profile.has_request(),
        reason: "the profile has no request, only a greeting",
    };

    /// No promise to cut off who is silent for a few seconds.
    pub(crate) const TIME_TO_BE_LATE: Self = Self {
        word: "time to be late",
        met: |subject| gives(subject, LATE * 2),
        reason: "the promised idle-timeout or login-timeout leaves no time for a late request",
    };

    /// No promise to cut off who is silent while a burst lasts: a SYN that was dropped is repeated after a second, then ever
    /// later, and who is in by then may be cut.
    pub(crate) const TIME_FOR_A_BURST: Self = Self {
        word: "time for a burst",
        met: |subject| gives(subject, BURST_LASTS),
        reason: "the promised idle-timeout or login-timeout is shorter than a burst may last",
    };

    /// A request of two bytes or more, so that it can be cut.
    pub(crate) const LONG_REQUEST: Self = Self {
        word: "long request",
        met: |subject| dialogue::request(&subject.profile).is_some_and(|bytes| bytes.len() > 1),
        reason: "the profile has no request of two bytes or more",
    };

    /// A reply of two bytes or more, or of a length that nobody knows.
    pub(crate) const LONG_REPLY: Self = Self {
        word: "long reply",
        met: |subject| match dialogue::reply(&subject.profile) {
            Some(Expectation::Data(reply)) => reply.length() > 1,
            Some(_) => true,
            None => false,
        },
        reason: "the profile has no reply of two bytes or more",
    };

    /// A reply model for arbitrary payloads.
    pub(crate) const MODEL: Self = Self {
        word: "model",
        met: |subject| subject.profile.model().is_some(),
        reason: "the profile has no model",
    };

    /// A model for bytes as they come.
    pub(crate) const STREAM_MODEL: Self = Self {
        word: "stream model",
        met: |subject| subject.profile.is_modelled_in(Framing::Stream),
        reason: "the profile has no model with framing = \"stream\"",
    };

    /// A model for lines.
    pub(crate) const LINE_MODEL: Self = Self {
        word: "line model",
        met: |subject| subject.profile.is_modelled_in(Framing::Line),
        reason: "the profile has no model with framing = \"line\"",
    };

    /// A greeting or an exchange, rather than a model.
    pub(crate) const EXCHANGES: Self = Self {
        word: "exchanges",
        met: |subject| subject.profile.has_dialogue() && subject.profile.model().is_none(),
        reason: "the profile has no exchange",
    };

    /// A model that answers.
    pub(crate) const REPLY: Self = Self {
        word: "reply",
        met: |subject| dialogue::replies(&subject.profile),
        reason: "the server does not reply",
    };

    /// The server survives a conversation, so that several can follow each other.
    pub(crate) const MANY_CONNECTIONS: Self = Self {
        word: "many connections",
        met: |subject| subject.profile.promises.serves != Some(Serves::OneConnection),
        reason: "the server ends after one connection",
    };

    /// A server that may hold several connections: not one that promises to serve a single one, or one after the other.
    pub(crate) const SEVERAL_AT_ONCE: Self = Self {
        word: "several at once",
        met: |subject| {
            let promises = &subject.profile.promises;
            let serves_one = matches!(
                promises.serves,
                Some(Serves::OneConnection | Serves::OneAtATime)
            );
            !serves_one && promises.most() != Some(1)
        },
        reason: "the server holds no more than one connection",
    };

    /// The promise to serve concurrently.
    pub(crate) const CONCURRENT: Self = Self {
        word: "concurrent",
        met: |subject| subject.profile.serves_concurrently(),
        reason: "serves = \"concurrently\" is not promised, or with room for one alone (most-connections)",
    };

    /// Room for so many clients that a server runs out of something else than room.
    pub(crate) const CROWD: Self = Self {
        word: "crowd",
        met: |subject| {
            let most = subject.profile.promises.most();
            most.is_none_or(|most| most > 16)
        },
        reason: "the server promises to hold too few connections (most-connections) for a crowd",
    };

    /// A server that may be met by so many clients: whom it has no room for it turns away only where it promises to.
    pub(crate) const TAKES_A_CROWD: Self = Self {
        word: "takes a crowd",
        met: |subject| {
            let limit = subject.profile.promises.most_connections.as_ref();
            (Self::CROWD.met)(subject) || limit.is_some_and(MostConnections::waits)
        },
        reason: Self::CROWD.reason,
    };

    /// A server that waits for what its clients say.
    pub(crate) const HOLDS_CLIENTS: Self = Self {
        word: "holds clients",
        met: |subject| !subject.profile.has_dialogue() || subject.profile.has_request(),
        reason: "the server greets who connects, and closes: it holds nobody",
    };

    /// The promise of how many connections the server holds.
    pub(crate) const MOST_CONNECTIONS: Self = Self {
        word: "most connections",
        met: |subject| {
            // So many connections can be held here.
            let most = subject.profile.promises.most();
            most.is_some_and(|most| most <= MOST_HELD)
        },
        reason: "most-connections is not promised, or more than are opened here",
    };

    /// That a client may come again from where it came from, whatever it has done.
    pub(crate) const SAME_ADDRESS: Self = Self {
        word: "same address",
        met: |subject| !subject.profile.promises.penalises_addresses(),
        reason: "an address from which a client has come may be turned away (penalties)",
    };

    /// The promise of how long a request may be.
    pub(crate) const LONGEST: Self = Self {
        word: "longest",
        met: |subject| {
            // So long a request can be sent here, and a longer one.
            let longest = subject.profile.promises.longest.as_ref();
            longest.is_some_and(|longest| longest.bytes <= LONGEST_SENT)
        },
        reason: "longest is not promised, or is longer than what is sent here",
    };

    /// The promise of how much output may wait for a client.
    pub(crate) const OUTPUT_LIMIT: Self = Self {
        word: "output limit",
        met: |subject| {
            // So much can be asked for here.
            let limit = subject.profile.promises.output_limit;
            limit.is_some_and(|limit| output::beyond(limit, subject) <= MOST_ASKED_FOR)
        },
        reason: "output-limit is not promised, or is more than is asked for here",
    };

    /// No such promise: who lets output wait may be held back, and need not be ended.
    pub(crate) const NO_OUTPUT_LIMIT: Self = Self {
        word: "no output limit",
        met: |subject| subject.profile.promises.output_limit.is_none(),
        reason: "output-limit is promised: partial/output-limit is about it",
    };

    /// The promise to serve one at a time.
    pub(crate) const ONE_AT_A_TIME: Self = Self {
        word: "one at a time",
        met: |subject| subject.profile.promises.serves == Some(Serves::OneAtATime),
        reason: "serves = \"one-at-a-time\" is not promised",
    };

    /// The promise to answer half-closed clients.
    pub(crate) const HALF_CLOSE_ANSWERS: Self = Self {
        word: "half close answers",
        met: |subject| subject.profile.promises.half_close == Some(HalfClose::Answers),
        reason: "half-close = \"answers\" is not promised",
    };

    /// The connection stays open after an exchange.
    pub(crate) const STAYS_OPEN: Self = Self {
        word: "stays open",
        met: |subject| {
            subject.profile.promises.after_exchange == Some(AfterExchange::StaysOpen)
                || (subject.profile.model().is_some() && !subject.profile.closes_after_exchange())
        },
        reason: "after-exchange = \"stays-open\" is not promised",
    };

    /// The promise that the connection stays open after an exchange, for as long as it is looked at.
    pub(crate) const PROMISES_OPEN: Self = Self {
        word: "promises open",
        met: |subject| {
            let promised = subject.profile.promises.after_exchange;
            promised == Some(AfterExchange::StaysOpen) && gives(subject, SILENCE * 2)
        },
        reason: "after-exchange = \"stays-open\" is not promised, or only for a moment",
    };

    /// The connection is closed after an exchange.
    pub(crate) const CLOSES: Self = Self {
        word: "closes",
        met: |subject| subject.profile.closes_after_exchange(),
        reason: "after-exchange = \"closes\" is not promised",
    };

    /// A server to which more can come than it reads before it closes.
    pub(crate) const INPUT_BEFORE_END: Self = Self {
        word: "input before end",
        met: |subject| subject.profile.has_request() || !subject.speaks_tls(),
        reason: "a server over TLS that only greets has closed before anything can be said to it",
    };

    /// Several requests in one segment are answered.
    pub(crate) const PIPELINING: Self = Self {
        word: "pipelining",
        met: |subject| subject.profile.answers_pipelined(),
        reason: "pipelining = \"answers\" is not promised",
    };

    /// The last exchange can be made again on the same connection.
    pub(crate) const ANSWERS_AGAIN: Self = Self {
        word: "answers again",
        met: |subject| subject.answers_again,
        reason: "that an exchange can be made again (once = false) is not promised, and was not seen: it is tried where \
                 after-exchange = \"stays-open\" is promised",
    };

    /// The promise that the last exchange can be made again on the same connection.
    pub(crate) const PROMISES_AGAIN: Self = Self {
        word: "promises again",
        met: |subject| subject.profile.answers_again() == Some(true),
        reason: "that an exchange can be made again (once = false) is not promised",
    };

    /// A network namespace of the server's own.
    pub(crate) const OWN_NAMESPACE: Self = Self {
        word: "own namespace",
        met: |subject| subject.own_namespace,
        reason: "only possible in a namespace of the server's own",
    };

    /// A host that lets somebody else answer a server's system calls, and a server that is started for its tests.
    pub(crate) const ANSWERED_CALLS: Self = Self {
        word: "answered calls",
        met: |subject| subject.may_answer_calls && !subject.is_elsewhere,
        reason: "the host lets nobody answer the system calls of a server (`sockdrill doctor`), or somebody else has started this one",
    };

    /// A run that has time for what takes long.
    pub(crate) const DEEP: Self = Self {
        word: "deep run",
        met: |subject| subject.deep,
        reason: "it takes long, and is done with --deep",
    };

    /// A promised idle time-out.
    pub(crate) const IDLE_TIMEOUT: Self = Self {
        word: "idle timeout",
        met: |subject| {
            matches!(
                subject.profile.promises.idle_timeout,
                Some(IdleTimeout::After(_))
            )
        },
        reason: "no idle-timeout is promised",
    };

    /// A promised time-out for idle clients that is not too long for a reply that takes a multiple of it.
    pub(crate) const SHORT_IDLE_TIMEOUT: Self = Self {
        word: "short idle timeout",
        met: |subject| {
            let promised = subject.profile.promises.idle_timeout;
            let promised = promised.and_then(IdleTimeout::time);
            promised.is_some_and(|time| subject.deep || time <= Duration::from_secs(10))
        },
        reason: "no idle-timeout of at most 10 s is promised (--deep takes any)",
    };

    /// A promised time for a login.
    pub(crate) const LOGIN_TIMEOUT: Self = Self {
        word: "login timeout",
        met: |subject| subject.profile.promises.login_timeout.is_some(),
        reason: "no login-timeout is promised",
    };

    /// A promised time for a whole request.
    pub(crate) const REQUEST_TIMEOUT: Self = Self {
        word: "request timeout",
        met: |subject| subject.profile.promises.request_timeout.is_some(),
        reason: "no request-timeout is promised",
    };

    /// The promise never to time out.
    pub(crate) const NO_IDLE_TIMEOUT: Self = Self {
        word: "no idle timeout",
        met: |subject| subject.profile.promises.idle_timeout == Some(IdleTimeout::Never),
        reason: "idle-timeout = \"none\" is not promised",
    };

    /// A promise about silent clients: that they are kept, or for how long.
    pub(crate) const IDLE_PROMISE: Self = Self {
        word: "idle promise",
        met: |subject| subject.profile.promises.idle_timeout.is_some(),
        reason: "no idle-timeout is promised either way",
    };

    /// A promised backlog.
    pub(crate) const BACKLOG: Self = Self {
        word: "backlog",
        met: |subject| subject.profile.promises.backlog.is_some(),
        reason: "no backlog is promised",
    };

    /// The promise to end when it is told to.
    pub(crate) const STOPS: Self = Self {
        word: "stops",
        met: |subject| subject.profile.promises.stop.is_some(),
        reason: "nothing is promised about stopping (stop)",
    };

    /// The promise to end although a client stays.
    pub(crate) const STOPS_WITH_CLIENTS: Self = Self {
        word: "stops with clients",
        met: |subject| {
            let stop = subject.profile.promises.stop;
            stop.is_some_and(|stop| stop.within_with_clients().is_some())
        },
        reason: "how long clients are waited for (stop.drain) is not promised",
    };

    /// The promise of what becomes of clients that are connected when the server is told to end.
    pub(crate) const SESSIONS: Self = Self {
        word: "sessions",
        met: |subject| {
            let stop = subject.profile.promises.stop;
            stop.is_some_and(|stop| stop.sessions.is_some())
        },
        reason: "stop.sessions is not promised",
    };

    /// The promise to answer requests that have begun when it is told to end.
    pub(crate) const COMPLETES_IN_FLIGHT: Self = Self {
        word: "completes in flight",
        met: |subject| {
            subject
                .profile
                .promises
                .stop
                .is_some_and(|stop| stop.completes_in_flight)
        },
        reason: "stop.in-flight = \"completes\" is not promised",
    };

    /// A server that may be told to end while a request is in its hands: it takes its time for an answer, or may be asked for
    /// one that is more than the kernel takes for a client that does not read.
    pub(crate) const IN_FLIGHT: Self = Self {
        word: "in flight",
        met: |subject| subject.takes_its_time || stop::long_line(subject).is_some(),
        reason: "it answers before it can be stopped, and no reply is too large for the kernel to take it: nothing is in flight when the signal comes",
    };

    /// Replies of any size that one client may ask for: of a model, or of many requests in a row.
    pub(crate) const ASKS_FOR_MUCH: Self = Self {
        word: "asks for much",
        met: |subject| derive::requests(subject, 1).is_some(),
        reason: "the profile has no model, and no request that may be sent many times in a row (pipelining = \"answers\") for a \
                 reply without holes",
    };

    /// Replies that are more than the kernel takes of a server, so that the rest is left to it.
    pub(crate) const ASKS_FOR_MORE_THAN_IS_HELD: Self = Self {
        word: "asks for more than is held",
        met: derive::may_ask_for_more_than_is_held,
        reason: "the profile has no model, and no request that may be sent many times in a row (pipelining = \"answers\") for a \
                 reply without holes that is long enough for the replies to be more than the kernel holds (4 MiB); the last \
                 exchange is the one that is repeated",
    };

    /// The promise of how long a client is ignored that has said what is no request.
    pub(crate) const THROTTLING: Self = Self {
        word: "throttling",
        met: |subject| subject.profile.promises.throttling.is_some(),
        reason: "throttling is not promised",
    };

    /// A server whose clients share a process, and with it the descriptors that one may have.
    pub(crate) const SHARED_PROCESS: Self = Self {
        word: "shared process",
        met: |subject| !subject.process_for_each,
        reason: "each client has a process of the server for itself, which has descriptors enough for one",
    };

    /// A server that opens its listening socket itself.
    pub(crate) const OWN_SOCKET: Self = Self {
        word: "own socket",
        met: |subject| !subject.socket_is_given,
        reason: "the server is handed its listening socket",
    };

    /// A server on a Unix socket.
    pub(crate) const LOCAL: Self = Self {
        word: "local",
        met: |subject| subject.place.transport.is_local(),
        reason: "the server does not listen on a Unix socket",
    };

    /// A server that listens on an IPv6 address.
    pub(crate) const IPV6: Self = Self {
        word: "IPv6",
        met: |subject| subject.place.ipv6,
        reason: "the server does not listen on IPv6",
    };

    /// A server that takes both families on one socket.
    pub(crate) const DUAL_STACK: Self = Self {
        word: "dual stack",
        met: |subject| subject.place.dual_stack,
        reason: "the server does not take IPv4 on an IPv6 socket",
    };

    /// A command that names 127.0.0.1 as the address to listen on.
    pub(crate) const TOLD_LOOPBACK: Self = Self {
        word: "told loopback",
        met: |subject| subject.told_loopback,
        reason: "the command does not name 127.0.0.1",
    };

    /// A single listening socket at the address.
    pub(crate) const ONE_LISTENER: Self = Self {
        word: "one listener",
        met: |subject| !subject.place.shared_port,
        reason: "several listening sockets share the port, each with a queue of its own",
    };

    /// A server that is bound to all addresses.
    pub(crate) const WILDCARD: Self = Self {
        word: "wildcard",
        met: |subject| subject.place.wildcard,
        reason: "the server is bound to one address only",
    };
}

impl Check {
    /// The arguments after `sockdrill serve` that run the counterexample in a lab.
    pub fn counterexample_arguments(&self) -> Vec<&'static str> {
        let place = match self.needs.contains(&Need::LOCAL) {
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
        if self.needs.contains(&Need::TOLD_LOOPBACK) {
            arguments.extend(["--host", "127.0.0.1"]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use crate::checks::staged::server;

    const LINES: &str = "model = \"echo\"\nframing = \"line\"\n";

    /// Whether a need is met by a server of lines that promises this.
    fn met(need: Need, promise: &str) -> bool {
        let subject = server(&format!("{LINES}[promises]\n{promise}\n"));
        need.unmet(&subject).is_none()
    }

    #[test]
    fn late_request_and_burst_need_a_server_that_waits_for_silent_clients() {
        assert!(met(Need::TIME_TO_BE_LATE, ""));
        assert!(met(Need::TIME_TO_BE_LATE, "idle-timeout = \"4s\""));
        assert!(!met(Need::TIME_TO_BE_LATE, "idle-timeout = \"3999ms\""));
        assert!(met(Need::TIME_FOR_A_BURST, "login-timeout = \"30s\""));
        assert!(!met(Need::TIME_FOR_A_BURST, "login-timeout = \"29s\""));
    }

    #[test]
    fn limits_are_tried_that_can_be_reached_here() {
        let most = |most| format!("most-connections = {{ in-all = {most}, refused = \"closed\" }}");
        assert!(met(Need::MOST_CONNECTIONS, &most(1_000)));
        assert!(!met(Need::MOST_CONNECTIONS, &most(1_001)));
        assert!(met(Need::CROWD, &most(17)) && !met(Need::CROWD, &most(16)));
        let waits = "most-connections = { in-all = 8, refused = \"waits\" }";
        assert!(met(Need::TAKES_A_CROWD, waits) && !met(Need::CROWD, waits));
        assert!(met(Need::TAKES_A_CROWD, &most(17)) && !met(Need::TAKES_A_CROWD, &most(16)));
        let longest = |bytes: usize| format!("longest = \"{bytes}B\"");
        assert!(met(Need::LONGEST, &longest(4 << 20)));
        assert!(!met(Need::LONGEST, &longest((4 << 20) + 1)));
        // Twice so much, and what the kernel takes, is 96 MiB.
        let output = |bytes: usize| format!("output-limit = \"{bytes}B\"");
        assert!(met(Need::OUTPUT_LIMIT, &output(48_201_728)));
        assert!(!met(Need::OUTPUT_LIMIT, &output(48_201_729)));
    }

    #[test]
    fn time_out_is_waited_for_three_times_where_it_is_short_or_the_run_deep() {
        let need = Need::SHORT_IDLE_TIMEOUT;
        assert!(met(need, "idle-timeout = \"10s\"") && !met(need, "idle-timeout = \"11s\""));
        assert!(!met(need, "idle-timeout = \"none\""));
        let deep = Subject {
            deep: true,
            ..server(&format!("{LINES}[promises]\nidle-timeout = \"11s\"\n"))
        };
        assert!(need.unmet(&deep).is_none());
    }

    /// A server of one exchange.
    fn exchanging(request: &str, reply: &str) -> Subject {
        server(&format!(
            "[[exchange]]\nsend = '{request}'\nreply = '{reply}'\n"
        ))
    }

    #[test]
    fn request_that_is_cut_has_two_bytes_and_a_short_reply_a_page() {
        assert!(Need::LONG_REQUEST.unmet(&exchanging("ab", "c")).is_none());
        assert!(Need::LONG_REQUEST.unmet(&exchanging("a", "c")).is_some());
        let replies = |bytes| Need::SHORT_REPLY.unmet(&exchanging("a", &"b".repeat(bytes)));
        assert!(replies(4_096).is_none());
        assert!(replies(4_097).is_some());
    }

    #[test]
    fn server_that_only_greets_holds_nobody() {
        let holds = |subject: &Subject| Need::HOLDS_CLIENTS.unmet(subject).is_none();
        assert!(holds(&exchanging("a", "b")));
        assert!(holds(&server("transport = \"tcp\"\n")));
        assert!(!holds(&server("speaks-first = true\ngreeting = 'hello'\n")));
    }

    #[test]
    fn connection_is_promised_open_for_as_long_as_it_is_looked_at() {
        let open = "after-exchange = \"stays-open\"";
        assert!(met(Need::PROMISES_OPEN, open));
        assert!(!met(Need::PROMISES_OPEN, ""));
        assert!(met(
            Need::PROMISES_OPEN,
            &format!("{open}\nidle-timeout = \"600ms\"")
        ));
        assert!(!met(
            Need::PROMISES_OPEN,
            &format!("{open}\nidle-timeout = \"599ms\"")
        ));
    }

    #[test]
    fn server_on_somebody_elses_terms_meets_less() {
        let given = Subject {
            socket_is_given: true,
            process_for_each: true,
            is_elsewhere: true,
            ..server(LINES)
        };
        for need in [Need::OWN_SOCKET, Need::SHARED_PROCESS, Need::OWN_PROCESS] {
            assert!(need.unmet(&given).is_some(), "{need:?}");
            assert!(need.unmet(&server(LINES)).is_none(), "{need:?}");
        }
        let mut shared = server(LINES);
        shared.place.shared_port = true;
        assert!(Need::ONE_LISTENER.unmet(&shared).is_some());
    }

    #[test]
    fn counterexample_is_given_a_path_or_a_port_and_the_loopback_where_it_has_to_be_told() {
        let arguments = |id| {
            checks::find(id)
                .unwrap()
                .counterexample_arguments()
                .join(" ")
        };
        assert_eq!(
            arguments("address/only-where-told"),
            "echo --violate address/only-where-told --port {port} --host 127.0.0.1"
        );
        assert_eq!(
            arguments("address/ipv6"),
            "echo --violate address/ipv6 --port {port}"
        );
        assert!(arguments("local/stale-path").ends_with(" --path {path}"));
    }
}
