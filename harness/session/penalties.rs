//! Whether the server turns an address away, and for how long.

use super::phases::Session;
use super::starting::Reception;
use crate::model::limits::{FORGIVES_WITHIN, SILENCE};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// An address from which nobody comes otherwise.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

impl Session<'_> {
    /// From now on each connection comes from an address of its own, where the server can be reached from several.
    pub(crate) fn come_apart(&self) {
        self.observer.sources.set_apart();
    }

    /// Whether the server turns away a polite client that comes from where the others came from, and serves one from elsewhere.
    pub(crate) async fn penalises_an_address(&self) -> bool {
        self.received(SILENCE).await != Reception::Served
            && self.received_from(Some(ELSEWHERE), SILENCE).await == Reception::Served
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
