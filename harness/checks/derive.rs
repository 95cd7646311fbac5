//! What the scenarios of several families are made of.

use crate::model::action::{Action, ConnectOptions};
use crate::model::check::Policy;
use crate::model::data::{Data, Source};
use crate::model::dialogue::{self, ClientSteps, scenario, server_does, server_requires};
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Need;
use crate::model::profile::{Framing, Model, SecondInstance, Transport};
use crate::model::scenario::{Line, Scenario, Step, Waiver};
use crate::model::server_action::{Second, ServerAction, Signal, Streams};
use crate::model::subject::Subject;
use std::net::Ipv4Addr;

/// The positions at which a request of `length` bytes is cut: every one, or in a quick run of a long request the first
/// and last few and some between.
pub(super) fn cuts(length: usize, deep: bool) -> Vec<usize> {
    const QUICK: usize = 24;
    let all = 1..length;
    if deep || length <= QUICK {
        return all.collect();
    }
    let edge = 6;
    let step = (length / (QUICK - 2 * edge)).max(1);
    all.filter(|at| *at <= edge || *at >= length - edge || at % step == 0)
        .collect()
}

/// About this many bytes of payload, or as many as a client may ask for before it reads, in lines of a moderate length where
/// the model is made of lines.
pub(super) fn bulk(model: Model, bytes: usize, seed: u64) -> Data {
    bulk_of(model, model.may_wait(bytes), seed)
}

/// The same, however much of it the server lets wait.
pub(super) fn bulk_of(model: Model, bytes: usize, seed: u64) -> Data {
    match model.framing {
        Framing::Stream | Framing::Datagram => model.payload_of(bytes, seed),
        Framing::Line => {
            let each = model.at_most(1 << 10).max(1);
            let bytes = (bytes / each).max(1) * each;
            Source::Lines { bytes, each, seed }.into()
        }
    }
}

/// How a client comes that says nothing, and what that is called: on a bare connection, and where the server speaks TLS behind a
/// handshake as well.
pub(super) fn without_a_word(who: usize, subject: &Subject) -> Vec<(&'static str, ClientSteps)> {
    let connected = || ClientSteps::of(who).connect();
    let secured = || (", over TLS", connected().secured(subject));
    let secured = subject.speaks_tls().then(secured);
    std::iter::once(("", connected())).chain(secured).collect()
}

/// The server is killed, whatever it does, and its command run again.
pub(super) fn killed_and_started_again() -> Vec<Line> {
    vec![
        server_does(ServerAction::Signal(Signal::Kill)),
        server_requires(ServerExpectation::Exit(None)),
        server_does(ServerAction::Start(Streams::Usual)),
    ]
}

/// A second instance is started beside the server. Who lets it take the address over is not reached afterwards.
pub(super) fn second_instance(subject: &Subject) -> Scenario {
    let wanted = match subject.profile.promises.second_instance {
        Some(SecondInstance::Ends) => Second::Ends,
        Some(SecondInstance::SharesPort) => Second::SharesPort,
        Some(SecondInstance::TakesOver) => Second::TakesOver,
        None => Second::EitherWay,
    };
    let waived = (wanted == Second::TakesOver).then(|| Waiver {
        invariant: Invariant::Served,
        reason: "the second has taken the address over, and is ended".to_owned(),
    });
    let lines = vec![server_does(ServerAction::StartSecond(wanted))];
    Scenario {
        waived: waived.into_iter().collect(),
        ..scenario("a second instance", &[], vec![lines])
    }
}

/// How a check of a second instance is tried: what is promised of it is judged like any promise.
pub(super) const SECOND_INSTANCE: Policy = Policy {
    fresh_server: true,
    promised: |subject| subject.profile.promises.second_instance.is_some(),
    ..Policy::SHOULD
};

/// A connection of a client that takes a few KiB of a reply before the server has to wait for it.
pub(super) fn small_buffer() -> ConnectOptions {
    ConnectOptions {
        receive_buffer: Some(4 << 10),
        ..ConnectOptions::default()
    }
}

/// A connection with the smallest window and segments: for it the kernel takes some tens of KiB of a server, unless that asks
/// for a larger send buffer (tcp(7)), whose size follows from that of segments (`tcp_sndbuf_expand`, net/ipv4/tcp_input.c).
pub(super) fn smallest_window() -> ConnectOptions {
    ConnectOptions {
        receive_buffer: Some(1),
        segment_size: Some(88),
        ..ConnectOptions::default()
    }
}

/// A connection for which the kernel takes as little of the server as can be had.
pub(super) fn narrow(subject: &Subject) -> ConnectOptions {
    match subject.place.transport {
        Transport::Tcp => smallest_window(),
        _ => ConnectOptions::default(),
    }
}

/// So many times a step says the same at most, and so many bytes.
const MOST_REQUESTS: usize = 1_000_000;
const MOST_ASKED: usize = 60 << 20;

/// More bytes of replies than the kernel takes of a server whose client reads nothing and has a small buffer: 4 MiB (tcp_wmem,
/// tcp(7)).
const MORE_THAN_IS_HELD: usize = 6 << 20;

/// Requests in a row whose replies are about so many bytes, or as many as can be asked for; `None` where the server does not promise
/// to answer such, or their length is not known.
pub(super) fn requests(subject: &Subject, bytes: usize) -> Option<Data> {
    if let Some(model) = subject.profile.model() {
        return Some(bulk(model, bytes, subject.seed));
    }
    let needs = [Need::STAYS_OPEN, Need::PIPELINING];
    let request = dialogue::request(&subject.profile)?;
    let Some(Expectation::Data(reply)) = dialogue::reply(&subject.profile) else {
        return None;
    };
    let are_answered = needs.iter().all(|need| need.unmet(subject).is_none());
    let all = bytes / reply.length().max(1);
    let times = all.min(most_requests(&request)).max(1);
    are_answered.then(|| Data::literal(request).times(times as u32))
}

/// How often a request may be sent in a row.
fn most_requests(request: &[u8]) -> usize {
    MOST_REQUESTS.min(MOST_ASKED / request.len().max(1))
}

/// Whether a client may ask for more than the kernel holds.
pub(super) fn may_ask_for_more_than_is_held(subject: &Subject) -> bool {
    let request = dialogue::request(&subject.profile).unwrap_or_default();
    match dialogue::reply(&subject.profile) {
        _ if requests(subject, 1).is_none() => false,
        Some(Expectation::Data(reply)) if subject.profile.model().is_none() => {
            most_requests(&request) * reply.length() >= MORE_THAN_IS_HELD
        }
        _ => true,
    }
}

/// Client 0 is served in the time that one takes whom nobody keeps waiting, while client 1 has come so far. Where a server has nothing to
/// say to that one but this, it is there afterwards as well: who is served only when the other has been given up was not served beside it.
pub(super) fn served_beside(
    other: Vec<Line>,
    hears: Option<Vec<Expectation>>,
    subject: &Subject,
) -> Vec<Vec<Line>> {
    let client = ClientSteps::of(0);
    let served = match dialogue::request(&subject.profile) {
        Some(_) => client.served_in_time(subject),
        None => client.polite(subject),
    };
    let heard = hears.map(|said| [said, vec![Expectation::Nothing]].concat());
    let heard = heard.into_iter().flatten();
    let is_there = heard.fold(ClientSteps::of(1), ClientSteps::require);
    vec![other, served.lines(), is_there.lines()]
}

/// The same conversations of a crowd, none of whom leaves before all have come so far: who leaves frees the worker that the next one
/// needs.
pub(super) fn held_to_the_last(mut polite: Vec<Line>) -> Vec<Line> {
    polite.insert(polite.len().saturating_sub(1), Step::Barrier.into());
    polite
}

/// The same conversations of a crowd with limits for what they are owed that follow its size: who comes to a full queue is let
/// in by the kernel when its segments are repeated, ever later.
pub(super) fn in_deeper_time(mut lines: Vec<Line>, subject: &Subject) -> Vec<Line> {
    for line in &mut lines {
        let Step::Client { action, .. } = &mut line.step else {
            continue;
        };
        if let Action::Expect {
            what:
                Expectation::Data(_)
                | Expectation::Template(_)
                | Expectation::Secured
                | Expectation::End { .. },
            within,
        } = action
            && subject.deep
        {
            *within = Some(subject.deeper(within.unwrap_or(STEP_WITHIN)));
        }
    }
    lines
}

/// A connection from another address than the usual one.
pub(super) fn from_elsewhere() -> ConnectOptions {
    ConnectOptions {
        from: Some(Ipv4Addr::new(127, 0, 0, 2).into()),
        ..ConnectOptions::default()
    }
}

/// The same lines with every connection made in the given way.
pub(super) fn with_connect_options(mut lines: Vec<Line>, options: &ConnectOptions) -> Vec<Line> {
    for line in &mut lines {
        if let Step::Client {
            action: Action::Connect(made),
            ..
        } = &mut line.step
        {
            *made = options.clone();
        }
    }
    lines
}

/// One scenario of all conversations, or one for each where the server ends after a connection.
pub(super) fn in_one_or_each(
    name: &str,
    conversations: Vec<Vec<Line>>,
    subject: &Subject,
) -> Vec<Scenario> {
    let clients = [("alice", 1)];
    match Need::MANY_CONNECTIONS.unmet(subject) {
        None => vec![scenario(name, &clients, conversations)],
        Some(_) => conversations
            .into_iter()
            .map(|lines| scenario(name, &clients, vec![lines]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    #[test]
    fn long_request_is_cut_at_its_edges_and_at_some_places_between() {
        assert_eq!(cuts(5, false), [1, 2, 3, 4]);
        assert_eq!(cuts(24, false), (1..24).collect::<Vec<_>>());
        assert_eq!(cuts(100, true), (1..100).collect::<Vec<_>>());
        let quick = [
            1, 2, 3, 4, 5, 6, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 94, 95, 96, 97, 98, 99,
        ];
        assert_eq!(cuts(100, false), quick);
        assert_eq!(cuts(25, false).first(), Some(&1));
        assert_eq!(cuts(0, false), [0; 0]);
    }

    fn model(promises: &str) -> Model {
        let profile = format!("model = \"echo\"\nframing = \"line\"\n[promises]\n{promises}\n");
        server(&profile).profile.model().unwrap()
    }

    #[test]
    fn bulk_of_lines_is_made_of_kibibytes_and_is_a_line_at_least() {
        let length = |bytes| bulk(model(""), bytes, 1).length();
        assert_eq!(length(10_000), 9 << 10);
        assert_eq!(length(100), 1 << 10);
        // No longer lines are said than are taken, and no more than may wait.
        assert_eq!(bulk(model("longest = \"100B\""), 1_000, 1).length(), 1_000);
        assert!(bulk(model("output-limit = \"4KiB\""), 1 << 20, 1).length() <= 4 << 10);
        assert_eq!(
            bulk_of(model("output-limit = \"4KiB\""), 1 << 20, 1).length(),
            1 << 20
        );
    }

    /// How often a request is said for replies of so many bytes, which are a hundred each.
    fn times(request: usize, promises: &str, bytes: usize) -> Option<usize> {
        let (send, reply) = ("a".repeat(request), "b".repeat(100));
        let profile =
            format!("[[exchange]]\nsend = '{send}'\nreply = '{reply}'\n[promises]\n{promises}\n");
        let asked = requests(&server(&profile), bytes)?;
        Some(asked.length() / request)
    }

    #[test]
    fn replies_come_to_more_than_is_held_where_they_are_long_beside_their_requests() {
        let may = |send: &str, reply: &str, pipelining: &str| {
            let exchange = format!("[[exchange]]\nsend = '{send}'\nreply = '{reply}'\n");
            let promises =
                format!("after-exchange = \"stays-open\"\npipelining = \"{pipelining}\"");
            let profile = format!("{exchange}[promises]\n{promises}\n");
            may_ask_for_more_than_is_held(&server(&profile))
        };
        assert!(may("a", "1234567", "answers"));
        assert!(
            !may("a", "123456", "answers"),
            "a million of them are fewer"
        );
        assert!(!may("a", "1234567", "forbidden"));
        assert!(!may(&"a".repeat(200), "1234567", "answers"));
        assert!(may_ask_for_more_than_is_held(&server(
            "model = \"echo\"\nframing = \"line\"\n"
        )));
    }

    #[test]
    fn request_is_said_as_often_as_its_replies_have_so_many_bytes() {
        let promises = "after-exchange = \"stays-open\"\npipelining = \"answers\"";
        assert_eq!(times(7, promises, 1_000), Some(10));
        assert_eq!(times(7, promises, 99), Some(1));
        // No more than a step may say.
        assert_eq!(times(7, promises, 1 << 30), Some(1_000_000));
        assert_eq!(times(1 << 10, promises, 1 << 30), Some(60 << 10));
        assert_eq!(times(7, "after-exchange = \"stays-open\"", 1_000), None);
        assert_eq!(times(7, "pipelining = \"answers\"", 1_000), None);
    }

    #[test]
    fn reply_of_unknown_length_is_not_asked_for_in_number() {
        let profile = "[[exchange]]\nsend = 'a'\nreply = '{any}\\n'\n[promises]\nafter-exchange = \"stays-open\"\npipelining = \"answers\"\n";
        assert!(requests(&server(profile), 1_000).is_none());
    }

    #[test]
    fn who_lets_another_instance_take_over_is_not_reached_afterwards() {
        let of = |promise: &str| {
            let profile = format!("model = \"echo\"\nframing = \"line\"\n[promises]\n{promise}\n");
            second_instance(&server(&profile)).to_string()
        };
        assert!(of("").contains("start-second either-way"), "{}", of(""));
        let ends = of("second-instance = \"ends\"");
        assert!(!ends.contains("waive:"), "{ends}");
        let takes_over = of("second-instance = \"takes-over\"");
        assert!(takes_over.contains("waive: served"), "{takes_over}");
        let is_promised = |promise: &str| {
            let profile = format!("model = \"echo\"\nframing = \"line\"\n[promises]\n{promise}\n");
            (SECOND_INSTANCE.promised)(&server(&profile))
        };
        assert!(is_promised("second-instance = \"ends\"") && !is_promised(""));
    }

    #[test]
    fn deep_run_gives_what_is_owed_ten_times_as_long() {
        let subject = |deep| Subject {
            deep,
            ..server("model = \"echo\"\nframing = \"line\"\n")
        };
        let limits = |deep| {
            let subject = subject(deep);
            let lines = in_deeper_time(ClientSteps::of(0).polite(&subject).lines(), &subject);
            let within = lines.iter().filter_map(|line| match line.action()? {
                Action::Expect { within, .. } => *within,
                _ => None,
            });
            within.collect::<Vec<_>>()
        };
        assert_eq!(limits(false), []);
        assert_eq!(limits(true), [10 * STEP_WITHIN]);
    }
}
