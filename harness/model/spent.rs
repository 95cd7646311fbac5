//! Where the time of a run goes: what was waited for, for how long, and what is our own work.

use std::time::Duration;

/// What time is spent on. Of what is done at the same time, or within each other, the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpentOn {
    /// For a place among those that are performed at a time, and for others to be alone or to tell.
    Line,
    /// Making sure of a failure: what the server may have chosen, and how often it fails.
    Confirmation,
    /// Trying again what proved nothing.
    Again,
    /// Until a server listens, and serves.
    Start,
    /// Until the server has come to rest, or back to what it held.
    Rest,
    /// What a scenario takes: replies, and the time that it wants.
    Scenario,
    /// Processor time of our own.
    Work,
    /// Servers are stopped; and a host that is busy lets us wait.
    Else,
}

/// How many things time is spent on.
const KINDS: usize = 8;

/// All that time is spent on, in the order in which it counts.
pub(crate) const ALL: [SpentOn; KINDS] = [
    SpentOn::Line,
    SpentOn::Confirmation,
    SpentOn::Again,
    SpentOn::Start,
    SpentOn::Rest,
    SpentOn::Scenario,
    SpentOn::Work,
    SpentOn::Else,
];

impl SpentOn {
    /// The word for it in reports, permanent.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Confirmation => "confirmation",
            Self::Again => "again",
            Self::Start => "start",
            Self::Rest => "rest",
            Self::Scenario => "scenario",
            Self::Work => "work",
            Self::Else => "else",
        }
    }

    /// Whether our own work within it is counted with it: without it there would be none.
    pub(crate) fn has_its_work(self) -> bool {
        matches!(self, Self::Confirmation | Self::Again)
    }
}

/// How much time was spent on what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    on: [Duration; KINDS],
    /// How long each server took to start.
    pub starts: Vec<Duration>,
}

impl Spent {
    /// How much was spent on something.
    pub(crate) fn on(&self, what: SpentOn) -> Duration {
        self.on[what as usize]
    }

    /// How much was spent on all but waiting in line.
    pub(crate) fn beside_the_line(&self) -> Duration {
        let own = ALL.iter().filter(|what| **what != SpentOn::Line);
        own.map(|what| self.on(*what)).sum()
    }

    /// Adds what was spent on something.
    pub(crate) fn spend(&mut self, what: SpentOn, time: Duration) {
        self.on[what as usize] += time;
    }

    /// Adds what was spent elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        for what in ALL {
            self.spend(what, other.on(what));
        }
        self.starts.extend(&other.starts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_elsewhere_is_added() {
        let ms = Duration::from_millis;
        let mut one = Spent::default();
        one.spend(SpentOn::Rest, ms(1));
        let mut other = one.clone();
        other.spend(SpentOn::Start, ms(5));
        other.starts.push(ms(5));
        one.add(&other);
        assert_eq!(one.on(SpentOn::Rest), ms(2));
        assert_eq!(one.on(SpentOn::Start), ms(5));
        assert_eq!(one.starts, [ms(5)]);
        one.spend(SpentOn::Line, ms(9));
        assert_eq!(one.beside_the_line(), ms(7));
    }

    #[test]
    fn all_are_in_the_order_in_which_they_count() {
        assert!(ALL.iter().enumerate().all(|(n, what)| *what as usize == n));
    }
}
