//! Whether the server turns an address away, and for how long.

use super::phases::Session;
use super::sources::Apart;
use super::starting::Reception;
use crate::model::limits::{FORGIVES_WITHIN, SILENCE};
use std::time::{Duration, Instant};

/// How often an address has to be turned away where others are not. Of servers that turn away any client now and then, whatever
/// their dice, half pass for one that penalises each time.
const ROUNDS: usize = 6;

impl Session<'_> {
    /// From now on each connection comes from an address of its own, where the server can be reached from several.
    pub(crate) fn come_apart(&self) {
        self.observer.sources.come(Apart::Always);
    }

    /// Whether the server turns away the address that all come from, once so many polite clients have come from there, and
    /// serves as many who come from others, again and again: what it forgives soon it does so between two looks.
    pub(crate) async fn penalises_an_address(&self, clients: usize) -> bool {
        for _ in 0..ROUNDS {
            let Some(asked) = self.turned_away_after(clients).await else {
                return false;
            };
            if !self.serves_others(asked).await {
                return false;
            }
        }
        true
    }

    /// How many polite clients it took until the server did not serve one, where that was one of so many.
    async fn turned_away_after(&self, clients: usize) -> Option<usize> {
        for asked in 1..=clients {
            if self.received(SILENCE).await != Reception::Served {
                return Some(asked);
            }
        }
        None
    }

    /// Whether so many polite clients are served who come from elsewhere.
    async fn serves_others(&self, clients: usize) -> bool {
        for _ in 0..clients {
            let elsewhere = self.observer.sources.another();
            if self.received_from(Some(elsewhere), SILENCE).await != Reception::Served {
                return false;
            }
        }
        true
    }

    /// Whether the server serves a polite client, at once or in a while.
    pub(crate) async fn comes_to_serve_again(&self) -> bool {
        self.received(SILENCE).await == Reception::Served || self.forgives().await.is_some()
    }

    /// After how long the server serves a polite client again that comes from where the others came from.
    pub(crate) async fn forgives(&self) -> Option<Duration> {
        let begun = Instant::now();
        let mut pause = SILENCE;
        while begun.elapsed() < FORGIVES_WITHIN {
            self.observer.turn.step_aside();
            // Nothing announces it, and who asks too often may be turned away for that.
            tokio::time::sleep(pause).await;
            pause *= 2;
            if self.received(SILENCE).await == Reception::Served {
                return Some(begun.elapsed());
            }
        }
        None
    }
}
