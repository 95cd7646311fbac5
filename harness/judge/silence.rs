//! How long clients kept silent before their connections ended.

use crate::transcript::event::{ClientEvent, ClientId, Event, What};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long clients were silent on their connections. A host that keeps a client from speaking makes it silent, too.
#[derive(Default)]
pub(super) struct Silences {
    spoke: HashMap<ClientId, Duration>,
    longest: HashMap<ClientId, Duration>,
    ended: HashSet<ClientId>,
}

impl Silences {
    pub(super) fn apply(&mut self, event: &Event) {
        let What::Client(id, what) = &event.what else {
            return;
        };
        match what {
            ClientEvent::Connecting => {
                self.longest.remove(id);
                self.ended.remove(id);
            }
            ClientEvent::Sent(_) => self.break_silence(*id, event.at),
            ClientEvent::Ended(_) => {
                self.break_silence(*id, event.at);
                self.ended.insert(*id);
            }
            _ => return,
        }
        self.spoke.insert(*id, event.at);
    }

    fn break_silence(&mut self, id: ClientId, at: Duration) {
        let silent = self.spoke.get(&id).map(|spoke| at.saturating_sub(*spoke));
        let longest = self.longest.entry(id).or_default();
        *longest = silent.unwrap_or_default().max(*longest);
    }

    /// The longest time for which a client did not speak, where its connection has been ended.
    pub(super) fn before_end_of(&self, id: ClientId) -> Option<Duration> {
        let longest = self.longest.get(&id).copied();
        longest.filter(|_| self.ended.contains(&id))
    }
}
