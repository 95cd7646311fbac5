//! A server between two trials, which nobody is at: it may change hands.

use super::guests::{GuestBook, Guests};
use super::phases::Session;
use super::turn::Turn;
use crate::launch::lab::Lab;
use crate::launch::{Backends, Server, Target};
use crate::model::phase::Moment;
use crate::transcript::event::Transcript;
use std::sync::Arc;
use std::time::Duration;

/// A server that a trial has left as it found it.
#[derive(Debug)]
pub(crate) struct Idle {
    server: Server,
    backends: Backends,
    lab: Arc<Lab>,
    turned_away: Option<Duration>,
    used_by: Vec<&'static str>,
    guests: GuestBook,
}

impl Idle {
    /// Whether it has not ended meanwhile.
    pub(crate) fn is_alive(&self) -> bool {
        self.server.exit().is_none()
    }
}

impl<'a> Session<'a> {
    /// Leaves the server to others, where it lives and rests behind what a check has done to it.
    pub(crate) fn left_idle(mut self, used_by: &'static str, last: &Transcript) -> Option<Idle> {
        let rests = last
            .sample(Moment::After)
            .is_some_and(|sample| sample.at_rest);
        let server = self.observer.server.take().filter(|_| rests)?;
        self.used_by.push(used_by);
        Some(Idle {
            server,
            backends: std::mem::take(&mut self.observer.backends),
            lab: Arc::clone(&self.observer.lab),
            turned_away: self.turned_away,
            used_by: std::mem::take(&mut self.used_by),
            guests: self.observer.guests.book(),
        })
    }

    /// Takes up a server that others have left.
    pub(crate) fn taken_up(idle: Idle, target: &'a Target, turn: Turn) -> Self {
        // What it has printed meanwhile is nothing of what is done to it now; processes that have crashed are told of all the same.
        drop(idle.server.take_output());
        drop(idle.server.take_alarms(true));
        drop(idle.server.take_bursts());
        let mut session = Self::on(target, (idle.server, idle.backends), idle.lab, turn);
        session.turned_away = idle.turned_away;
        session.used_by = idle.used_by;
        session.observer.guests = Guests::known_as(idle.guests);
        session
    }

    /// The checks that have used the server before.
    pub(crate) fn used_by(&self) -> &[&'static str] {
        &self.used_by
    }
}
