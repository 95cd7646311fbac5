//! What the kernel held for a server at one moment of a trial, for who looks at its course: nothing is judged by it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the kernel held for a server's process tree and its listening socket at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Connections that wait to be accepted.
    pub accept_queue: u32,
    /// The limit of that queue; 0 where nothing listens.
    pub backlog: u32,
    /// Connections of its port by their state, as `ss` names them; those that are not there are left out.
    pub connections: Vec<(String, usize)>,
    /// Bytes that clients have sent and that it has not read.
    pub unread_bytes: u64,
    /// Open descriptors of all processes.
    pub open_files: usize,
    /// Processes that live.
    pub processes: usize,
    /// Threads of all of them.
    pub threads: usize,
    /// The memory of all of them that has a place (RSS), in bytes.
    pub resident_bytes: u64,
    /// The processor time of all threads since they began.
    pub processor_time: Duration,
    /// What it has printed since it was started, in bytes.
    pub output_bytes: u64,
}

/// How far apart figures are taken: their number grows with the logarithm of a trial's length, and the time that they take stays a
/// small part of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spacing {
    next: Duration,
}

/// A figure is taken after so small a part of the time that has passed.
const PART_OF_THE_TIME: u32 = 200;

/// The next ones come after so many times the time that the last have taken: dozens of trials may go on at a time, and all of them
/// together are to take no processor from servers for it.
const TIMES_THE_WORK: u32 = 500;

impl Spacing {
    /// Whether it is time for the next ones, so long after a trial began.
    pub(crate) fn is_due(self, at: Duration) -> bool {
        at >= self.next
    }

    /// The same when some have been taken, which took so long.
    #[must_use]
    pub(crate) fn after(self, at: Duration, took: Duration) -> Self {
        let apart = (at / PART_OF_THE_TIME).max(took * TIMES_THE_WORK);
        Self { next: at + apart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_trial_has_few_figures_more_than_a_short_one() {
        let count = |lasts: Duration| {
            let (mut spacing, mut count, mut at) = (Spacing::default(), 0, Duration::ZERO);
            while at < lasts {
                if spacing.is_due(at) {
                    count += 1;
                    spacing = spacing.after(at, Duration::from_micros(40));
                }
                at += Duration::from_millis(1);
            }
            count
        };
        let (short, long) = (
            count(Duration::from_secs(1)),
            count(Duration::from_secs(60)),
        );
        assert!(short > 20, "{short}");
        assert!(long < short + 200 * 5, "{long}");
    }

    #[test]
    fn figures_that_are_dear_are_rare() {
        let dear = Spacing::default().after(Duration::ZERO, Duration::from_millis(4));
        assert!(!dear.is_due(Duration::from_millis(1_999)) && dear.is_due(Duration::from_secs(2)));
    }
}
