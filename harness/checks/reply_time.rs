//! How long replies take, to their first byte and to their last, and what holds the last back.

use super::observations::Sighting;
use crate::model::dialogue::{ClientSteps, repeat, scenario};
use crate::model::literal::Measured;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::transcript::event::{ClientEvent, Event, What};
use std::time::Duration;

/// How many exchanges are made: the kernel acknowledges the first segments of a connection at once, whoever waits.
const EXCHANGES: u32 = 20;

/// The exchange of the profile again and again, on one connection where it is answered again.
pub(super) fn exchanges(subject: &Subject) -> Option<Scenario> {
    let lines = match subject.answers_again {
        true => {
            let talks = ClientSteps::of(0).request_and_reply(subject).lines();
            let opened = ClientSteps::of(0).open(subject).lines();
            let closes = ClientSteps::of(0).finish(subject).lines();
            vec![opened, vec![repeat(EXCHANGES, talks)], closes]
        }
        false => {
            let polite = ClientSteps::of(0).polite(subject).lines();
            vec![vec![repeat(EXCHANGES, polite)]]
        }
    };
    Some(scenario("exchange after exchange", &[("alice", 1)], lines))
}

/// How long one reply took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply {
    first: Duration,
    last: Duration,
    /// A part of it waited for an acknowledgement.
    is_held: bool,
}

/// What was seen of it, in words.
pub(super) fn observed(seen: &Sighting<'_>) -> Option<String> {
    let replies = replies(&seen.transcript.events);
    let (median, worst) = of_each(&replies, |reply| reply.first)?;
    let (whole, latest) = of_each(&replies, |reply| reply.last)?;
    let times = format!(
        "begins after {} (worst {}), whole after {} (worst {}), {} exchanges",
        Measured(median),
        Measured(worst),
        Measured(whole),
        Measured(latest),
        replies.len()
    );
    let held = replies.iter().filter(|reply| reply.is_held).count();
    Some(match held {
        0 => times,
        held => format!(
            "{times}; in {held} of them a part lay in the server's send queue until the part before it was acknowledged (Nagle's \
             algorithm): set TCP_NODELAY, or write each reply at once"
        ),
    })
}

/// The median and the worst.
fn of_each(replies: &[Reply], time: fn(&Reply) -> Duration) -> Option<(Duration, Duration)> {
    let mut times: Vec<Duration> = replies.iter().map(time).collect();
    times.sort();
    Some((*times.get(times.len() / 2)?, *times.last()?))
}

fn replies(events: &[Event]) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut asked = None;
    let mut reply: Option<Reply> = None;
    for event in events {
        let What::Client(_, happened) = &event.what else {
            continue;
        };
        match happened {
            ClientEvent::Sent(_) | ClientEvent::Closed | ClientEvent::HalfClosed => {
                replies.extend(reply.take());
                let asks = matches!(happened, ClientEvent::Sent(_));
                asked = asks.then_some(event.at);
            }
            ClientEvent::Received(_) | ClientEvent::Datagram { .. } => {
                let Some(asked) = asked else {
                    continue;
                };
                let last = event.at - asked;
                let first = reply.map_or(last, |reply| reply.first);
                let is_held = reply.is_some_and(|reply| reply.is_held);
                reply = Some(Reply {
                    first,
                    last,
                    is_held,
                });
            }
            ClientEvent::Unsent { .. } => {
                if let Some(reply) = &mut reply {
                    reply.is_held = true;
                }
            }
            _ => {}
        }
    }
    replies.extend(reply);
    replies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, says, server, told};
    use crate::transcript::event::ClientId;

    #[test]
    fn reply_is_timed_from_its_request_and_one_in_two_parts_to_its_end() {
        let event = |at, what| Event {
            at: Duration::from_millis(at),
            what: What::Client(ClientId { who: 0, member: 0 }, what),
        };
        let bytes = || b"x".to_vec();
        let seen = [
            event(1, ClientEvent::Received(bytes().into())),
            event(10, ClientEvent::Sent(bytes().into())),
            event(11, ClientEvent::Received(bytes().into())),
            event(20, ClientEvent::Sent(bytes().into())),
            event(22, ClientEvent::Received(bytes().into())),
            event(30, ClientEvent::Unsent { bytes: 6 }),
            event(62, ClientEvent::Received(bytes().into())),
            event(63, ClientEvent::Closed),
        ];
        let reply = |first, last, is_held| Reply {
            first: Duration::from_millis(first),
            last: Duration::from_millis(last),
            is_held,
        };
        assert_eq!(replies(&seen), [reply(1, 1, false), reply(2, 42, true)]);
    }

    #[test]
    fn reply_time_is_that_of_the_median_and_of_the_worst() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let took = |times: &[u64]| {
            let staged = Staged::of(&subject, exchanges(&subject).unwrap());
            let staged = (0..).zip(times).fold(staged, |staged, (n, time)| {
                let asked = staged.client(1_000 * n, 0, says("?"));
                asked.client(1_000 * n + time, 0, told("!"))
            });
            staged.read(observed)
        };
        let expected =
            "begins after 3.0 ms (worst 50.0 ms), whole after 3.0 ms (worst 50.0 ms), 5 exchanges";
        assert_eq!(took(&[50, 3, 1, 4, 2]).as_deref(), Some(expected));
        assert_eq!(took(&[]), None);
    }

    #[test]
    fn reply_of_which_a_part_was_held_is_told() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let staged = Staged::of(&subject, exchanges(&subject).unwrap());
        let staged = staged.client(0, 0, says("?")).client(1, 0, told("!"));
        let held = staged.client(2, 0, ClientEvent::Unsent { bytes: 1 });
        let held = held.client(40, 0, told("!")).client(50, 0, says("?"));
        let words = held.client(51, 0, told("!")).read(observed).unwrap();
        assert!(
            words.contains("2 exchanges; in 1 of them a part lay in"),
            "{words}"
        );
    }

    #[test]
    fn reply_is_over_when_the_client_has_finished() {
        let event = |at, what| Event {
            at: Duration::from_millis(at),
            what: What::Client(ClientId { who: 0, member: 0 }, what),
        };
        for end in [ClientEvent::Closed, ClientEvent::HalfClosed] {
            let heard = |at| {
                event(
                    at,
                    ClientEvent::Datagram {
                        from: None,
                        bytes: vec![1],
                    },
                )
            };
            let seen = [event(0, says("?")), heard(5), event(6, end), heard(9)];
            let replies = replies(&seen);
            assert_eq!(replies.len(), 1);
            assert_eq!(replies[0].last, Duration::from_millis(5));
        }
    }
}
