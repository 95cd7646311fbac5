//! How much a server had printed at each moment of a trial in which it may have been started again: each process counts its own output.

use crate::transcript::event::{ServerEvent, Transcript, What};
use std::time::Duration;

/// A server from one start to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    began: Duration,
    /// How much it has printed, as far as the transcript tells.
    printed: u64,
}

/// The output of all the servers of a trial, one behind the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Printed {
    /// How much the first of them had printed before the trial.
    pub(super) before: u64,
    lives: Vec<Life>,
}

impl Printed {
    pub(super) fn of(seen: &Transcript) -> Self {
        let lives = lives(seen);
        let first = lives[0];
        let until = lives.get(1).map_or(Duration::MAX, |next| next.began);
        let of_the_first = seen.figures.iter().rev().find(|(at, _)| *at < until);
        let noted = of_the_first.map_or(0, |(_, figures)| figures.output_bytes);
        Self {
            before: noted.saturating_sub(first.printed),
            lives,
        }
    }

    /// How much had been printed by all of them when the one that ran at a moment had printed so much.
    pub(super) fn by(&self, at: Duration, of_its_own: u64) -> u64 {
        let now = self.lives.partition_point(|life| life.began <= at).max(1) - 1;
        let earlier: u64 = self.lives[..now].iter().map(|life| life.printed).sum();
        match now {
            0 => of_its_own,
            _ => self.before + earlier + of_its_own,
        }
    }
}

/// What was printed from each start on, that of the server that was there at first too; also by one that did not come to listen.
fn lives(seen: &Transcript) -> Vec<Life> {
    let mut lives = vec![Life::default()];
    let mut is_there = false;
    for event in &seen.events {
        let What::Server(what) = &event.what else {
            continue;
        };
        let printed = match what {
            ServerEvent::Output(bytes) => bytes.len() as u64,
            ServerEvent::OutputCut(bytes) => *bytes,
            _ => 0,
        };
        let begins = match what {
            ServerEvent::Started { .. } => std::mem::replace(&mut is_there, true),
            ServerEvent::StartFailed(_) => true,
            _ => false,
        };
        if begins {
            let began = event.at;
            lives.push(Life { began, printed: 0 });
        }
        if let Some(life) = lives.last_mut() {
            life.printed += printed;
        }
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Figures;
    use crate::transcript::event::Event;

    fn seen(events: Vec<(u64, ServerEvent)>, figures: &[(u64, u64)]) -> Printed {
        let events = events.into_iter().map(|(at, event)| Event {
            at: Duration::from_millis(at),
            what: What::Server(event),
        });
        let mut seen = Transcript::of(events.collect());
        let figures = figures.iter().map(|(at, output_bytes)| {
            let figures = Figures {
                output_bytes: *output_bytes,
                ..Figures::default()
            };
            (Duration::from_millis(*at), figures)
        });
        seen.figures = figures.collect();
        Printed::of(&seen)
    }

    fn printed(text: &str) -> ServerEvent {
        ServerEvent::Output(text.as_bytes().to_vec())
    }

    #[test]
    fn what_each_server_has_printed_stands_behind_what_those_before_it_had() {
        let started = || ServerEvent::Started { pid: 7 };
        let events = vec![
            (0, started()),
            (9, printed("four")),
            (10, started()),
            (20, printed("three")),
            (20, ServerEvent::StartFailed("no".to_owned())),
            (20, printed("Traceback")),
        ];
        let printed = seen(events, &[(1, 100), (8, 104), (12, 3)]);
        assert_eq!(printed.before, 100);
        let by = |at, of_its_own| printed.by(Duration::from_millis(at), of_its_own);
        assert_eq!([by(1, 100), by(8, 104)], [100, 104]);
        assert_eq!([by(12, 3), by(20, 0)], [107, 109]);
    }
}
