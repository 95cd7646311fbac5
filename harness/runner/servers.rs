//! Servers that a check has left as it found them: the next one that minds no company takes them up, which saves their start, and
//! what it takes until they are warm.

use super::descriptors::{self, of_a_lab};
use crate::session::Idle;
use std::sync::Mutex;
use tokio::sync::OwnedSemaphorePermit;

/// Servers that nobody is at.
#[derive(Debug)]
pub(super) struct Servers {
    /// Each with the descriptors that its lab takes.
    idle: Mutex<Vec<(Idle, OwnedSemaphorePermit)>>,
    /// How many are kept.
    most: usize,
}

impl Servers {
    /// None yet, and never more than these.
    pub(super) fn at_most(most: usize) -> Self {
        Self {
            idle: Mutex::default(),
            most,
        }
    }

    /// One that has had its first clients, if there is any.
    pub(super) fn take(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().ok()?;
        let mut idle = std::iter::from_fn(|| idle.pop().map(|(server, _)| server));
        idle.find(Idle::is_alive)
    }

    /// Keeps one for whoever comes next, where there is room for it.
    pub(super) fn put(&self, server: Idle) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < self.most
            && let Some(held) = descriptors::take_at_once(of_a_lab())
        {
            idle.push((server, held));
        }
    }
}
