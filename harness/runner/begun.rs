//! The beginning of a run: since when it goes on, and what we had used of the host by then.

use crate::model::spent::Spent;
use crate::report::timings::Timings;
use crate::sys::own_use::{peak_memory_bytes, process_time};
use std::time::{Duration, Instant, SystemTime};

/// The beginning of a run.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    at: Instant,
    started: SystemTime,
    processor: Duration,
}

impl Begun {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            started: SystemTime::now(),
            processor: process_time(),
        }
    }

    /// What the clock of the host said then.
    pub(super) fn started(self) -> SystemTime {
        self.started
    }

    pub(super) fn elapsed(self) -> Duration {
        self.at.elapsed()
    }

    /// Where the time has gone since, with what was spent by those who ran side by side.
    pub(super) fn timings(self, spent: Spent) -> Timings {
        Timings {
            spent,
            processor: process_time().saturating_sub(self.processor),
            peak_memory_bytes: peak_memory_bytes(),
        }
    }
}
