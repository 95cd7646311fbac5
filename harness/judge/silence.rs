//! How long clients kept silent before their connections ended, or were about what they asked for.

use crate::transcript::event::{ClientEvent, ClientId, Event, What};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long clients were silent on their connections. A host that keeps a client from speaking makes it silent, too.
#[derive(Default)]
pub(super) struct Silences {
    /// Who takes what it is owed, and who waits for it, is not silent.
    reading_is_use: bool,
    /// Who has spoken and heard nothing since.
    waiting: HashSet<ClientId>,
    spoke: HashMap<ClientId, Duration>,
    longest: HashMap<ClientId, Duration>,
    /// What clients have asked for on their connections and heard nothing for.
    asking: HashMap<ClientId, Asking>,
    /// When each client had spoken last, and its connection was ended then.
    ended: HashMap<ClientId, (Duration, Duration)>,
    /// When something came for each client last.
    heard: HashMap<ClientId, Duration>,
    /// When each client's last step was over, and the one before.
    last_over: HashMap<ClientId, Duration>,
    over_before: HashMap<ClientId, Duration>,
    /// When connections were over, for the server or for us.
    over: HashMap<ClientId, Duration>,
    /// When each client's last step was over, and how long scenarios had paused by then.
    idle_since: HashMap<ClientId, (Duration, Duration)>,
    /// The same of those who have not spoken since: a step begins for a whole crowd, and each of it speaks in its turn.
    mute_since: HashMap<ClientId, (Duration, Duration)>,
    paused: Duration,
    /// The longest time for which a client waited for its next step, without the pauses that the scenario makes.
    kept: HashMap<ClientId, Duration>,
}

/// When a client has said what it asks for.
struct Asking {
    /// Its first word.
    began: Duration,
    /// Its last one, before its connection was over.
    last: Duration,
    over: Option<Duration>,
    /// Whether it went on when its connection was over.
    goes_on: bool,
}

impl Asking {
    fn begins(at: Duration) -> Self {
        Self {
            began: at,
            last: at,
            over: None,
            goes_on: false,
        }
    }

    fn goes_on(&mut self, at: Duration) {
        match self.over {
            Some(_) => self.goes_on = true,
            None => self.last = at,
        }
    }

    /// For how long the request was under way when the connection was over, where it was not whole. Who has not gone on since had
    /// said all, if it waits for a reply.
    fn lasted(&self, waits_for_a_reply: bool) -> Option<Duration> {
        let over = self.over?;
        let until = match waits_for_a_reply && !self.goes_on {
            true => self.last,
            false => over,
        };
        Some(until.saturating_sub(self.began))
    }
}

impl Silences {
    /// Those of a trial in which reading is use of a connection, or is not.
    pub(super) fn where_reading_is_use(reading_is_use: bool) -> Self {
        Self {
            reading_is_use,
            ..Self::default()
        }
    }

    /// A step of a client is over.
    pub(super) fn step_over(&mut self, id: ClientId, at: Duration) {
        if let Some(before) = self.last_over.insert(id, at) {
            self.over_before.insert(id, before);
        }
        self.idle_since.insert(id, (at, self.paused));
        self.mute_since.insert(id, (at, self.paused));
    }

    /// The scenario pauses.
    pub(super) fn pause(&mut self, time: Duration) {
        self.paused += time;
    }

    /// The next step of these clients begins.
    pub(super) fn step_begins(&mut self, of: impl Fn(ClientId) -> bool, at: Duration) {
        let begin = self.idle_since.extract_if(|id, _| of(*id));
        for (id, since) in begin.collect::<Vec<_>>() {
            self.was_kept(id, since, at);
        }
    }

    /// A client has waited since then for its turn; what comes behind the end of its connection is no wait that led to it.
    fn was_kept(
        &mut self,
        id: ClientId,
        (since, paused_before): (Duration, Duration),
        at: Duration,
    ) {
        let until = self.over.get(&id).map_or(at, |over| at.min(*over));
        let waited = until.saturating_sub(since + (self.paused - paused_before));
        let longest = self.kept.entry(id).or_default();
        *longest = waited.max(*longest);
    }

    /// How long a client was kept from speaking at most for which the scenario does not ask, where its connection has been
    /// ended.
    pub(super) fn kept_before_end_of(&self, id: ClientId) -> Option<Duration> {
        let kept = self.kept.get(&id).copied();
        kept.filter(|_| self.ended.contains_key(&id))
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let What::Client(id, what) = &event.what else {
            return;
        };
        match what {
            ClientEvent::Connecting => {
                self.longest.remove(id);
                self.asking.remove(id);
                self.kept.remove(id);
                self.mute_since.remove(id);
                self.ended.remove(id);
                self.heard.remove(id);
                self.over.remove(id);
            }
            ClientEvent::Sent(_) | ClientEvent::Hello { .. } | ClientEvent::SentOfRecords(_) => {
                self.break_silence(*id, event.at);
                self.asks(*id, event.at);
                self.waiting.insert(*id);
                if let Some(since) = self.mute_since.remove(id) {
                    self.was_kept(*id, since, event.at);
                }
            }
            ClientEvent::Ended(_) => {
                let spoke = self.spoke.get(id).copied().unwrap_or(event.at);
                self.ended.insert(*id, (spoke, event.at));
                self.end(*id, event.at);
            }
            ClientEvent::Received(_) | ClientEvent::Secured { .. } => {
                self.heard.insert(*id, event.at);
                // What was under way when the connection was over shows in what the client does then.
                if !self.over.contains_key(id) {
                    self.asking.remove(id);
                }
                if !self.reading_is_use {
                    return;
                }
                if !self.waiting.remove(id) {
                    self.break_silence(*id, event.at);
                }
            }
            ClientEvent::SendFailed(_) => return self.asks(*id, event.at),
            // Who does not read learns of it later, and is not silent meanwhile.
            ClientEvent::ServerSocketDestroyed { .. } => return self.end(*id, event.at),
            _ => return,
        }
        self.spoke.insert(*id, event.at);
    }

    /// The connection has ended: from here on nobody waits for the client to speak.
    fn end(&mut self, id: ClientId, at: Duration) {
        self.over.entry(id).or_insert(at);
        if let Some(asking) = self.asking.get_mut(&id) {
            asking.over.get_or_insert(at);
        }
    }

    /// A client says something; nothing that begins when its connection is over is a request.
    fn asks(&mut self, id: ClientId, at: Duration) {
        match self.asking.get_mut(&id) {
            Some(asking) => asking.goes_on(at),
            None if self.over.contains_key(&id) => {}
            None => drop(self.asking.insert(id, Asking::begins(at))),
        }
    }

    fn break_silence(&mut self, id: ClientId, at: Duration) {
        let silent = self.spoke.get(&id).map(|spoke| at.saturating_sub(*spoke));
        let longest = self.longest.entry(id).or_default();
        *longest = silent.unwrap_or_default().max(*longest);
    }

    /// For how long a client had been about a request that was not whole, where its connection has been ended meanwhile.
    pub(super) fn under_way_at_end_of(
        &self,
        id: ClientId,
        waits_for_a_reply: bool,
    ) -> Option<Duration> {
        let asking = self
            .asking
            .get(&id)
            .filter(|_| self.ended.contains_key(&id));
        asking?.lasted(waits_for_a_reply)
    }

    /// The longest time for which a client did not speak, where its connection has been ended. Who waits since then for what it is
    /// owed, and hears nothing, is not silent by its own choice.
    pub(super) fn before_end_of(
        &self,
        id: ClientId,
        waits_since: Option<Duration>,
    ) -> Option<Duration> {
        let (spoke, ended) = self.ended.get(&id).copied()?;
        let until = waits_since.map_or(ended, |since| ended.min(self.began_to_wait(id, since)));
        let last = until.saturating_sub(spoke);
        let longest = self.longest.get(&id).copied();
        Some(longest.unwrap_or_default().max(last))
    }

    /// When a client began to wait whose last step, or that of its crowd, began then: its step before may have been over later, and
    /// something may have come meanwhile.
    fn began_to_wait(&self, id: ClientId, since: Duration) -> Duration {
        let before = self.over_before.get(&id).copied();
        let heard = self.heard.get(&id).copied();
        before.into_iter().chain(heard).fold(since, Duration::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::expectation::End;

    #[test]
    fn member_of_a_crowd_is_kept_from_speaking_until_its_turn_comes() {
        let id = ClientId { who: 0, member: 7 };
        let at = Duration::from_secs;
        let mut silences = Silences::default();
        silences.step_over(id, at(1));
        silences.step_begins(|of| of.who == 0, at(1));
        let events = [
            ClientEvent::Sent(vec![1].into()),
            ClientEvent::Sent(vec![2].into()),
            ClientEvent::Ended(End::Fin),
        ];
        for (second, event) in (5..).step_by(10).zip(events) {
            let what = What::Client(id, event);
            silences.apply(&Event {
                at: at(second),
                what,
            });
        }
        assert_eq!(silences.kept_before_end_of(id), Some(at(4)));
    }

    #[test]
    fn who_takes_what_it_is_owed_or_waits_for_it_is_not_silent_where_reading_is_use() {
        let id = ClientId { who: 0, member: 0 };
        let longest = |reading_is_use: bool| {
            let mut silences = Silences::where_reading_is_use(reading_is_use);
            let events = [
                (0, ClientEvent::Connecting),
                (1, ClientEvent::Sent(vec![1].into())),
                (5, ClientEvent::Received(vec![1].into())),
                (6, ClientEvent::Received(vec![2].into())),
                (8, ClientEvent::Ended(End::Fin)),
            ];
            for (second, event) in events {
                silences.apply(&Event {
                    at: Duration::from_secs(second),
                    what: What::Client(id, event),
                });
            }
            silences.before_end_of(id, None)
        };
        assert_eq!(longest(true), Some(Duration::from_secs(2)));
        assert_eq!(longest(false), Some(Duration::from_secs(7)));
    }

    #[test]
    fn who_waits_for_what_it_is_owed_and_hears_nothing_is_not_silent_by_its_own_choice() {
        let id = ClientId { who: 0, member: 0 };
        let at = Duration::from_secs;
        let silent = |heard: Option<u64>, steps: [u64; 2], waits_since: Option<u64>| {
            let mut silences = Silences::default();
            let heard = heard.map(|second| (second, ClientEvent::Received(vec![1].into())));
            let sent = [(1, ClientEvent::Sent(vec![1].into()))];
            let ended = [(20, ClientEvent::Ended(End::Fin))];
            for (second, event) in sent.into_iter().chain(heard).chain(ended) {
                let what = What::Client(id, event);
                silences.apply(&Event {
                    at: at(second),
                    what,
                });
            }
            for step in steps {
                silences.step_over(id, at(step));
            }
            silences.before_end_of(id, waits_since.map(at))
        };
        assert_eq!(silent(None, [1, 20], None), Some(at(19)));
        assert_eq!(silent(None, [1, 20], Some(1)), Some(at(0)));
        // It has waited before, taken its time, or not read until then.
        assert_eq!(silent(None, [1, 20], Some(9)), Some(at(8)));
        assert_eq!(silent(None, [8, 20], Some(1)), Some(at(7)));
        assert_eq!(silent(Some(6), [1, 20], Some(1)), Some(at(5)));
    }

    #[test]
    fn who_says_hello_or_a_part_of_a_record_is_not_silent_and_is_answered_once_it_is_secured() {
        let id = ClientId { who: 0, member: 0 };
        let hello = ClientEvent::Hello {
            from: 0,
            to: 200,
            of: 200,
        };
        let secured = ClientEvent::Secured {
            version: "TLS 1.3".to_owned(),
            cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
            protocol: None,
        };
        let mut silences = Silences::default();
        let events = [
            (0, ClientEvent::Connecting),
            (2, hello),
            (4, secured),
            (5, ClientEvent::SentOfRecords(5)),
            (8, ClientEvent::Ended(End::Fin)),
        ];
        for (second, event) in events {
            silences.apply(&Event {
                at: Duration::from_secs(second),
                what: What::Client(id, event),
            });
        }
        assert_eq!(
            silences.before_end_of(id, None),
            Some(Duration::from_secs(3))
        );
        let under_way = silences.under_way_at_end_of(id, false);
        assert_eq!(under_way, Some(Duration::from_secs(3)));
    }

    #[test]
    fn client_is_about_its_request_from_the_first_byte_until_it_has_said_all_or_hears_something() {
        let id = ClientId { who: 0, member: 0 };
        let under_way = |waits_for_a_reply, events: &[(u64, ClientEvent)]| {
            let mut silences = Silences::default();
            for (second, event) in events {
                silences.apply(&Event {
                    at: Duration::from_secs(*second),
                    what: What::Client(id, event.clone()),
                });
            }
            silences.under_way_at_end_of(id, waits_for_a_reply)
        };
        let sent = || ClientEvent::Sent(vec![1].into());
        let heard = || ClientEvent::Received(vec![1].into());
        let end = || ClientEvent::Ended(End::Fin);
        let seconds = |time| Some(Duration::from_secs(time));
        let begins = [(0, ClientEvent::Connecting), (1, sent()), (3, sent())];
        let of = |rest: &[(u64, ClientEvent)]| under_way(true, &[&begins, rest].concat());
        // It had said all, or the end came in the midst of it.
        assert_eq!(of(&[(6, end())]), seconds(2));
        assert_eq!(of(&[(6, end()), (7, sent())]), seconds(5));
        assert_eq!(of(&[(6, heard()), (7, end())]), None);
        assert_eq!(of(&[(6, heard()), (7, sent()), (9, end())]), seconds(0));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(6, end()), (7, ClientEvent::Connecting)]), None);
        // What we come to notice late was over before.
        let destroyed = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 0,
            delivered_bytes: 0,
        };
        assert_eq!(of(&[(6, destroyed), (7, sent()), (8, end())]), seconds(5));
        // Nobody knows of one that waits for no reply what else it would have said.
        assert_eq!(
            under_way(false, &[&begins, &[(6, end())][..]].concat()),
            seconds(5)
        );
        let idle = [(0, ClientEvent::Connecting), (5, end()), (6, sent())];
        assert_eq!(under_way(true, &idle), None);
    }

    #[test]
    fn client_that_does_not_read_was_not_silent_after_its_connection_was_ended() {
        let id = ClientId { who: 0, member: 0 };
        let mut silences = Silences::default();
        silences.step_over(id, Duration::from_secs(1));
        let destroyed = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 9,
            delivered_bytes: 0,
        };
        silences.apply(&Event {
            at: Duration::from_secs(2),
            what: What::Client(id, destroyed),
        });
        silences.step_begins(|of| of == id, Duration::from_secs(6));
        silences.apply(&Event {
            at: Duration::from_secs(7),
            what: What::Client(id, ClientEvent::Ended(End::Reset)),
        });
        assert_eq!(
            silences.kept_before_end_of(id),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn client_is_kept_from_speaking_by_what_others_do_and_not_by_pauses() {
        let id = ClientId { who: 0, member: 0 };
        let kept = |paused| {
            let mut silences = Silences::default();
            silences.step_over(id, Duration::from_secs(1));
            silences.pause(Duration::from_secs(paused));
            silences.step_begins(|of| of == id, Duration::from_secs(6));
            silences.apply(&Event {
                at: Duration::from_secs(7),
                what: What::Client(id, ClientEvent::Ended(End::Fin)),
            });
            silences.kept_before_end_of(id)
        };
        assert_eq!(kept(0), Some(Duration::from_secs(5)));
        assert_eq!(kept(5), Some(Duration::ZERO));
    }

    #[test]
    fn client_that_waits_for_its_turn_behind_the_end_was_not_kept_from_speaking_before_it() {
        let id = ClientId { who: 0, member: 0 };
        let mut silences = Silences::default();
        silences.step_over(id, Duration::from_secs(1));
        silences.apply(&Event {
            at: Duration::from_secs(2),
            what: What::Client(id, ClientEvent::Ended(End::Fin)),
        });
        silences.step_begins(|of| of == id, Duration::from_secs(9));
        let kept = silences.kept_before_end_of(id);
        assert_eq!(kept, Some(Duration::from_secs(1)));
    }
}
