//! What clients have asked for.

use super::event::{ClientEvent, ClientId, Event, What};
use std::collections::HashMap;
use std::time::Duration;

/// What each client has said since it was answered last.
#[derive(Debug, Default)]
pub(crate) struct Asked(HashMap<ClientId, Request>);

/// What was said, where it is short enough to be kept as it is, and when the last of it was.
#[derive(Debug)]
struct Request {
    words: Option<Vec<u8>>,
    last: Duration,
}

/// What is longer is no request that another one repeats.
const MOST_BYTES: usize = 64 << 10;

impl Asked {
    /// Takes an event in; how long a reply took, and to what, where it begins one.
    pub(crate) fn apply(&mut self, event: &Event) -> Option<(Option<Vec<u8>>, Duration)> {
        match &event.what {
            What::Client(id, ClientEvent::Connecting) => {
                self.0.remove(id);
                None
            }
            What::Client(id, ClientEvent::Sent(bytes)) => {
                let request = self.0.entry(*id).or_insert_with(|| Request {
                    words: Some(Vec::new()),
                    last: event.at,
                });
                request.last = event.at;
                let words = request.words.take().zip(bytes.plain());
                let all = words.map(|(words, more)| [&words, more].concat());
                request.words = all.filter(|words| words.len() <= MOST_BYTES);
                None
            }
            What::Client(id, ClientEvent::Received(_) | ClientEvent::Datagram { .. }) => {
                let request = self.0.remove(id)?;
                // A transcript that was read from a file may be in any order.
                Some((request.words, event.at.saturating_sub(request.last)))
            }
            _ => None,
        }
    }

    /// What a client has said since, where it has and that is known.
    pub(crate) fn of(&self, id: ClientId) -> Option<&[u8]> {
        self.0.get(&id)?.words.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_is_to_all_that_was_said_since_the_last_one() {
        const ALICE: ClientId = ClientId { who: 0, member: 0 };
        let mut asked = Asked::default();
        let mut seen = |ms, event| {
            asked.apply(&Event {
                at: Duration::from_millis(ms),
                what: What::Client(ALICE, event),
            })
        };
        let said = |bytes: &[u8]| ClientEvent::Sent(bytes.to_vec().into());
        let heard = || ClientEvent::Received(b"x".to_vec().into());
        assert_eq!(seen(0, heard()), None, "a greeting");
        assert_eq!(seen(1, said(b"PI")), None);
        assert_eq!(seen(5, said(b"NG")), None);
        let reply = Some((Some(b"PING".to_vec()), Duration::from_millis(2)));
        assert_eq!(seen(7, heard()), reply);
        assert_eq!(seen(8, heard()), None, "the rest of it");
        assert_eq!(seen(9, said(b"QUIT")), None);
        assert_eq!(asked.of(ALICE), Some(&b"QUIT"[..]));
    }

    fn event(ms: u64, who: usize, event: ClientEvent) -> Event {
        Event {
            at: Duration::from_millis(ms),
            what: What::Client(ClientId { who, member: 0 }, event),
        }
    }

    #[test]
    fn client_that_connects_anew_has_asked_for_nothing() {
        let mut asked = Asked::default();
        asked.apply(&event(0, 0, ClientEvent::Sent(b"PING".to_vec().into())));
        asked.apply(&event(0, 1, ClientEvent::Sent(b"QUIT".to_vec().into())));
        asked.apply(&event(1, 0, ClientEvent::Connecting));
        let of = |who| asked.of(ClientId { who, member: 0 });
        assert_eq!(of(0), None);
        assert_eq!(of(1), Some(&b"QUIT"[..]), "it is another one");
    }

    #[test]
    fn request_of_more_than_64_kib_is_timed_and_not_kept() {
        let reply_to = |parts: &[usize]| {
            let mut asked = Asked::default();
            for bytes in parts {
                asked.apply(&event(1, 0, ClientEvent::Sent(vec![b'a'; *bytes].into())));
            }
            let from = None;
            let heard = ClientEvent::Datagram {
                from,
                bytes: vec![1],
            };
            let (words, time) = asked.apply(&event(4, 0, heard)).unwrap();
            (words.map(|words| words.len()), time.as_millis())
        };
        assert_eq!(reply_to(&[65_000, 536]), (Some(65_536), 3));
        assert_eq!(reply_to(&[65_000, 537]), (None, 3));
        // The beginning of it is not known any more.
        assert_eq!(reply_to(&[70_000, 1]), (None, 3));
    }
}
