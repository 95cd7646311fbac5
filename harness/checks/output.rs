//! How much output a server lets wait for a client that does not read, before it ends the connection.

use super::choices::Found;
use super::derive::{bulk_of, narrow, small_buffer};
use super::observations::Sighting;
use super::partial;
use crate::judge::Choice;
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::data::{Data, Segmentation};
use crate::model::dialogue::{ClientSteps, repeat, scenario, settle};
use crate::model::expectation::Expectation;
use crate::model::need::Need;
use crate::model::profile::{Model, Transport};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::subject::Subject;
use crate::transcript::event::{ClientEvent, What};
use std::time::Duration;

/// The least that is asked for to find a limit: less fits the buffers of the kernel.
const LEAST: usize = 64 << 10;

/// What is asked for to observe whether there is a limit.
const MUCH: usize = 4 << 20;

/// How much a client asks for at a time that reads each reply before it asks on.
const PIECE: usize = 64 << 10;

/// How long a server is given to come to the end of a client that does not read, beside the time that so many bytes take.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// How much is asked for at least for more than `limit` to wait in the server, whatever the kernel takes of it.
pub(super) fn beyond(limit: usize, subject: &Subject) -> usize {
    2 * limit + subject.send_buffer + LEAST
}

/// A client that asks for so much and reads nothing; it is held back, or its connection is ended.
fn stalled(
    who: usize,
    options: ConnectOptions,
    bytes: usize,
    model: Model,
    subject: &Subject,
) -> ClientSteps {
    ClientSteps::of(who)
        .then(Action::Connect(options))
        .secured(subject)
        .then(Action::Stall)
        .send_in_background(bulk_of(model, bytes, subject.seed))
        .expect_within(Expectation::HeldBack, ENDS_WITHIN + partial::within(bytes))
}

/// What is promised of waiting output, as a scenario.
pub(super) fn promised(subject: &Subject) -> Option<Vec<Scenario>> {
    let model = subject.profile.model()?;
    let limit = subject.profile.promises.output_limit?;
    let bytes = beyond(limit, subject);
    let others = match subject.profile.serves_concurrently() {
        true => ClientSteps::of(0).polite(subject).lines(),
        false => Vec::new(),
    };
    Some(vec![scenario(
        "a client that asks for more than may wait, and does not read",
        &[("alice", 1), ("mallory", 1)],
        vec![
            stalled(1, small_buffer(), bytes, model, subject).lines(),
            others,
            ClientSteps::of(1).then(Action::Close).lines(),
        ],
    )])
}

/// What a server needs for a limit of its own to be found.
pub(super) const MAY_BE_MET: &[Need] = &[
    Need::STREAM,
    Need::MODEL,
    Need::REPLY,
    Need::STAYS_OPEN,
    Need::MANY_CONNECTIONS,
    Need::NO_OUTPUT_LIMIT,
];

/// Whether a server can have a limit of its own of which nothing is promised.
pub(super) fn may_be_met(subject: &Subject) -> bool {
    MAY_BE_MET.iter().all(|need| need.unmet(subject).is_none())
}

/// How much each client of a scenario sends on one connection at most.
fn asked_for(scenario: &Scenario) -> usize {
    let mut asked = vec![0; scenario.clients.len()];
    let mut most = 0;
    for line in scenario.steps() {
        let Step::Client { who, action } = &line.step else {
            continue;
        };
        match action {
            Action::Connect(_) => asked[*who] = 0,
            Action::Send { data, .. } => asked[*who] += data.length(),
            _ => {}
        }
        most = most.max(asked[*who]);
    }
    most
}

/// How long a client reads what it has been left by a server that has ended the connection.
const READS_FOR: Duration = Duration::from_secs(1);

/// Clients that do not read, one after the other. Nearly all that waits does so in the server.
fn never_read(sizes: &[usize], model: Model, subject: &Subject) -> Scenario {
    let names: Vec<String> = (1..=sizes.len()).map(|n| format!("client-{n}")).collect();
    let names: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let one = |(who, bytes): (usize, &usize)| {
        let steps = stalled(who, narrow(subject), *bytes, model, subject);
        // The kernel tells how much it had taken where the socket is one of TCP. Of others that can be read.
        let steps = match subject.place.transport {
            Transport::Tcp => steps,
            _ => steps
                .then(Action::Read(None))
                .expect_within(Expectation::any_end(), READS_FOR),
        };
        steps.then(Action::Close).lines()
    };
    let mut lines: Vec<Line> = sizes.iter().enumerate().flat_map(one).collect();
    lines.push(settle());
    scenario("clients that do not read", &names, vec![lines])
}

/// A client that asks for much and does not read.
pub(super) fn unread(subject: &Subject) -> Option<Scenario> {
    let model = subject.profile.model()?;
    Some(never_read(&[MUCH], model, subject))
}

/// A client that asks for as much as those of a scenario that failed, and does not read.
pub(super) fn unread_as_in(seen: &Sighting<'_>) -> Option<Scenario> {
    let model = seen.subject.profile.model()?;
    let asked = asked_for(seen.scenario);
    (asked >= LEAST).then(|| never_read(&[asked], model, seen.subject))
}

/// How many clients ask for the most: the kernel forgets what it had taken for some of them (see [`Fate::Ended`]).
const ASK_FOR_MOST: usize = 12;

/// Ever less, from `most` on, which several ask for: powers of two, and what is halfway between them.
fn ever_less(most: usize) -> Vec<usize> {
    let powers = (LEAST.trailing_zeros()..).map(|power| 1usize << power);
    let sizes = powers.flat_map(|power| [power, power + power / 2]);
    let mut sizes: Vec<usize> = sizes.take_while(|size| *size < most).collect();
    sizes.extend([most; ASK_FOR_MOST]);
    sizes.reverse();
    sizes
}

/// What became of a client that did not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server ended the connection. So many bytes of its output the kernel had taken, where it has told: a close with
    /// `SO_LINGER` of zero has it forget that, unless input was unread (`tcp_disconnect`, net/ipv4/tcp.c).
    Ended { in_kernel: Option<u64> },
    /// The server read no more of it.
    HeldBack,
    /// The server read all, and the connection stood.
    Kept,
}

impl Fate {
    /// `None` where nothing of this was seen.
    pub(super) fn of(who: usize, seen: &Sighting<'_>) -> Option<Self> {
        let (mut fate, mut in_kernel, mut left) = (None, None, 0);
        for event in &seen.transcript.events {
            match &event.what {
                What::Client(id, happened) if id.who == who => match happened {
                    ClientEvent::SendFailed(_) => {
                        fate = fate.or(Some(Self::Ended { in_kernel: None }));
                    }
                    ClientEvent::HeldBack { .. } => fate = fate.or(Some(Self::HeldBack)),
                    ClientEvent::Taken => fate = fate.or(Some(Self::Kept)),
                    ClientEvent::ServerSocketDestroyed {
                        lost_bytes,
                        delivered_bytes,
                    } => in_kernel = Some(lost_bytes + delivered_bytes),
                    ClientEvent::Received(bytes) => left += bytes.len() as u64,
                    _ => {}
                },
                _ => {}
            }
        }
        Some(match fate? {
            Self::Ended { .. } => Self::Ended {
                in_kernel: in_kernel.max((left > 0).then_some(left)),
            },
            other => other,
        })
    }
}

/// The least that was asked for by a client whose connection was ended for it.
///
/// A server that takes a full send buffer for an error (EAGAIN, send(2)) ends connections, too, but lets nothing wait. What tells
/// them apart is that a client is kept, and gets all in the end, for whom more waits than the kernel takes of the server: half of
/// what was asked for by the last that was ended has to be more, by a quarter for what differs from one connection to the next.
/// A limit of less than some tens of KiB cannot be told from that fault.
pub(super) fn limit(seen: &Sighting<'_>) -> Option<Found> {
    let model = seen.subject.profile.model()?;
    let most = asked_for(seen.scenario);
    let sizes = ever_less(most);
    let fate = |who| Fate::of(who, seen);
    let Some(Fate::Ended { mut in_kernel }) = fate(0) else {
        return None;
    };
    if seen.scenario.clients.len() == 1 {
        return Some(Found {
            further: Some(never_read(&sizes, model, seen.subject)),
            ..Found::of(Choice::OutputLimit { asked: most })
        });
    }
    let mut asked = most;
    for (who, size) in sizes.iter().enumerate().skip(1) {
        let Some(Fate::Ended { in_kernel: now }) = fate(who) else {
            break;
        };
        (asked, in_kernel) = (*size, in_kernel.max(now));
    }
    let kept = asked / 2;
    (kept as u64 * 4 >= in_kernel? * 5).then(|| Found {
        confirm: Some(in_full(kept, most, model, seen.subject)),
        ..Found::of(Choice::OutputLimit { asked })
    })
}

/// A client that does not read for a while, and one that asks for much and reads each reply before it asks on.
fn in_full(kept: usize, most: usize, model: Model, subject: &Subject) -> Scenario {
    let exchange = |bytes| {
        let data = bulk_of(model, bytes, subject.seed);
        let reply = model.reply(&data).map(Expectation::Data);
        (data, reply.unwrap_or(Expectation::Taken))
    };
    let (data, reply) = exchange(kept);
    let late = ClientSteps::of(0)
        .then(Action::Connect(narrow(subject)))
        .secured(subject)
        .then(Action::Stall)
        .send_in_background(data);
    let reads = ClientSteps::of(0)
        .then(Action::Read(None))
        .expect_within(reply, ENDS_WITHIN + partial::within(kept))
        .finish(subject);
    let (data, reply) = exchange(kept.min(PIECE));
    let times = most.div_ceil(data.length()) as u32;
    let in_turns = ClientSteps::of(1)
        .send_data(data, Segmentation::Whole)
        .expect(reply);
    scenario(
        "a late reader, and one that asks and reads in turns",
        &[("bob", 1), ("alice", 1)],
        vec![
            late.lines(),
            vec![settle()],
            reads.lines(),
            ClientSteps::of(1).open(subject).lines(),
            vec![repeat(times, in_turns.lines())],
            ClientSteps::of(1).finish(subject).lines(),
        ],
    )
}

/// A stream of about so many bytes that a client asks for and reads: at once, or where the server promises to let only so much
/// wait, in parts of which each is read before the next is asked for.
pub(super) fn stream(
    steps: ClientSteps,
    bytes: usize,
    within: Duration,
    subject: &Subject,
) -> Option<Vec<Line>> {
    let Parts { data, reply, times } = Parts::of(bytes, subject)?;
    let exchange = |steps: ClientSteps| {
        let steps = steps.send_in_background(data.clone());
        steps.expect_within(reply.clone(), within)
    };
    Some(
        (0..times)
            .fold(steps, |steps, _| exchange(steps))
            .finish(subject)
            .lines(),
    )
}

/// The same stream, of which the client at this index reads nothing until the server has made of it what it can, and then goes on at
/// a pace: on a loaded host a server may be slower than whoever reads slowly, and never have to wait.
pub(super) fn stream_read_late(
    who: usize,
    options: ConnectOptions,
    pace: ReadRate,
    (bytes, within): (usize, Duration),
    subject: &Subject,
) -> Option<Vec<Line>> {
    let Parts { data, reply, times } = Parts::of(bytes, subject)?;
    let client = || ClientSteps::of(who);
    let asks = client().then(Action::Stall).send_in_background(data);
    let reads = client()
        .then(Action::Read(Some(pace)))
        .expect_within(reply, within);
    let part = [asks.lines(), vec![settle()], reads.lines()].concat();
    let connects = client()
        .then(Action::Connect(options))
        .secured(subject)
        .lines();
    let parts = std::iter::repeat_n(part, times).flatten();
    let leaves = client().finish(subject).lines();
    Some(connects.into_iter().chain(parts).chain(leaves).collect())
}

/// A stream in parts of which each may wait in the server, where that promises to let only so much wait.
struct Parts {
    data: Data,
    reply: Expectation,
    times: usize,
}

impl Parts {
    fn of(bytes: usize, subject: &Subject) -> Option<Self> {
        let model = subject.profile.model()?;
        let part = model.may_wait(bytes);
        let data = bulk_of(model, part, subject.seed);
        let reply = Expectation::Data(model.reply(&data)?);
        let times = (bytes / part).clamp(1, MOST_PARTS);
        Some(Self { data, reply, times })
    }
}

/// Into so many parts a stream is divided at most.
const MOST_PARTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, server};

    #[test]
    fn ever_less_is_asked_for_down_to_what_the_kernel_takes() {
        let sizes = ever_less(200 << 10);
        let (most, less) = sizes.split_at(ASK_FOR_MOST);
        assert!(most.iter().all(|size| *size == 200 << 10), "{most:?}");
        assert_eq!(less, [192 << 10, 128 << 10, 96 << 10, 64 << 10]);
        assert_eq!(ever_less(LEAST), [LEAST; ASK_FOR_MOST]);
    }

    const LINES: &str =
        "model = \"echo\"\nframing = \"line\"\n[promises]\nafter-exchange = \"stays-open\"\n";

    #[test]
    fn more_waits_in_the_server_than_twice_the_limit_and_what_the_kernel_takes() {
        let subject = server(LINES);
        assert_eq!(beyond(1 << 20, &subject), (6 << 20) + (64 << 10));
    }

    #[test]
    fn limit_of_its_own_can_be_met_where_nothing_is_promised_of_it() {
        assert!(may_be_met(&server(LINES)));
        assert!(!may_be_met(&server(&format!(
            "{LINES}output-limit = \"1MiB\"\n"
        ))));
    }

    fn send(bytes: usize) -> ClientSteps {
        ClientSteps::of(0).send_data(Data::literal(b"a".repeat(bytes)), Segmentation::Whole)
    }

    #[test]
    fn most_that_any_client_asks_for_on_one_connection_counts() {
        let connect = || ClientSteps::of(0).connect().lines();
        let other = ClientSteps::of(1).connect().send("abcd").lines();
        let case = |lines| scenario("case", &[("alice", 1), ("bob", 1)], lines);
        let two = vec![connect(), send(3).lines(), send(4).lines(), other];
        assert_eq!(asked_for(&case(two)), 7);
        let again = vec![connect(), send(3).lines(), connect(), send(2).lines()];
        assert_eq!(asked_for(&case(again)), 3);
        assert_eq!(asked_for(&case(vec![])), 0);
    }

    #[test]
    fn client_that_had_not_asked_for_more_than_the_kernel_takes_met_no_limit() {
        let subject = server(LINES);
        let tried = |bytes| {
            let lines = vec![ClientSteps::of(0).connect().lines(), send(bytes).lines()];
            let case = scenario("case", &[("alice", 1)], lines);
            Staged::of(&subject, case).read(unread_as_in).is_some()
        };
        assert!(tried(64 << 10));
        assert!(!tried((64 << 10) - 1));
    }

    fn destroyed(lost_bytes: u64, delivered_bytes: u64) -> ClientEvent {
        ClientEvent::ServerSocketDestroyed {
            lost_bytes,
            delivered_bytes,
        }
    }

    fn failed() -> ClientEvent {
        ClientEvent::SendFailed("broken pipe".to_owned())
    }

    #[test]
    fn fate_of_who_does_not_read_is_what_happened_first() {
        let subject = server(LINES);
        let fate = |events: &[ClientEvent]| {
            let staged = Staged::of(&subject, unread(&subject).unwrap());
            let staged = events.iter().fold(staged, |staged, event| {
                staged
                    .client(0, 0, event.clone())
                    .client(0, 1, destroyed(9, 9))
            });
            staged.read(|seen| Fate::of(0, seen))
        };
        let held_back = || ClientEvent::HeldBack { unread_bytes: 1 };
        let ended = |in_kernel| Some(Fate::Ended { in_kernel });
        assert_eq!(fate(&[]), None);
        assert_eq!(fate(&[failed()]), ended(None));
        assert_eq!(fate(&[held_back(), failed()]), Some(Fate::HeldBack));
        assert_eq!(fate(&[ClientEvent::Taken, held_back()]), Some(Fate::Kept));
        // How much the kernel had taken is told by it, or can be read.
        assert_eq!(fate(&[failed(), destroyed(30, 12)]), ended(Some(42)));
        let read = || ClientEvent::Received(b"seven b".to_vec().into());
        assert_eq!(fate(&[failed(), read()]), ended(Some(7)));
        assert_eq!(fate(&[failed(), read(), destroyed(1, 2)]), ended(Some(7)));
    }

    /// What is found of a server that ends whoever asks for so much or more, in kibibytes, of whose output the kernel takes this.
    fn found(limit: usize, in_kernel: u64) -> Option<Found> {
        let subject = server(LINES);
        let model = subject.profile.model()?;
        let sizes = ever_less(1 << 20);
        let mut staged = Staged::of(&subject, never_read(&sizes, model, &subject));
        for (who, size) in sizes.iter().enumerate() {
            let event = match *size >= limit << 10 {
                true => failed(),
                false => ClientEvent::Taken,
            };
            staged = staged.client(0, who, event);
            staged = staged.client(0, who, destroyed(0, in_kernel << 10));
        }
        staged.read(super::limit)
    }

    #[test]
    fn limit_is_the_least_that_was_asked_for_by_who_was_ended() {
        let asked = |limit, in_kernel| match found(limit, in_kernel)?.choice {
            Choice::OutputLimit { asked } => Some(asked >> 10),
            _ => None,
        };
        assert_eq!(asked(200, 10), Some(256));
        assert_eq!(asked(1_024, 10), Some(1_024));
        assert_eq!(asked(2_000, 10), None);
        // Half of it has to be more, by a quarter, than what the kernel takes.
        assert_eq!(asked(200, 102), Some(256));
        assert_eq!(asked(200, 103), None);
    }

    #[test]
    fn limit_is_confirmed_by_one_who_reads_late_and_one_who_asks_in_turns() {
        let confirm = found(200, 10).unwrap().confirm.unwrap().to_string();
        // All that was asked for at most, in pieces of 64 KiB.
        assert!(confirm.contains("repeat 16\n"), "{confirm}");
        // Half of what the last asked for that was ended, in the time that it takes and what a server is given.
        assert!(confirm.contains("128"), "{confirm}");
        assert!(confirm.contains("within 25s"), "{confirm}");
    }

    #[test]
    fn client_that_is_ended_is_followed_by_others_that_ask_for_less() {
        let subject = server(LINES);
        let alone = || Staged::of(&subject, unread(&subject).unwrap());
        let found = alone().client(0, 0, failed()).read(limit).unwrap();
        assert_eq!(found.choice, Choice::OutputLimit { asked: MUCH });
        assert_eq!(found.further.unwrap().clients.len(), ever_less(MUCH).len());
        assert!(
            alone()
                .client(0, 0, ClientEvent::Taken)
                .read(limit)
                .is_none()
        );
    }

    #[test]
    fn stream_is_read_in_as_many_parts_as_may_wait() {
        let parts = |promise: &str, bytes| {
            let subject = server(&format!("{LINES}{promise}"));
            let parts = Parts::of(bytes, &subject).unwrap();
            (parts.data.length() >> 10, parts.times)
        };
        assert_eq!(parts("", 1 << 20), (1_024, 1));
        let (part, times) = parts("output-limit = \"64KiB\"\n", 1 << 20);
        assert_eq!(part * times, 1_024);
        let (_, times) = parts("output-limit = \"64KiB\"\n", 1 << 30);
        assert_eq!(times, MOST_PARTS);
    }
}
