//! What the clients of drawn scenarios have tried, so that a green run says what it stands for.

use super::plan::length;
use crate::model::action::Action;
use crate::model::data::Cut;
use crate::model::expectation::Expectation;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use std::collections::BTreeSet;
use std::fmt;

/// What was tried at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Where words of which length were cut.
    cuts: BTreeSet<(usize, usize)>,
    /// Which step followed which, and whether both were of the same client.
    pairs: BTreeSet<(&'static str, &'static str, bool)>,
    /// In which ways connections were ended by a client.
    ends: BTreeSet<&'static str>,
}

impl Coverage {
    /// What scenarios try.
    pub(crate) fn of(scenarios: &[Scenario]) -> Self {
        let mut coverage = Self::default();
        for scenario in scenarios {
            coverage.add(&scenario.lines);
        }
        coverage
    }

    fn add(&mut self, lines: &[Line]) {
        for line in lines {
            let Step::Client { action, .. } = &line.step else {
                continue;
            };
            match action {
                Action::Send { data, cut, .. } => self.add_cuts(length(data), cut),
                Action::Close | Action::Reset | Action::HalfClose => {
                    self.ends.insert(word(&line.step));
                }
                _ => {}
            }
        }
        for pair in lines.windows(2) {
            let [first, second] = [&pair[0].step, &pair[1].step];
            let same = actor(first) == actor(second);
            self.pairs.insert((word(first), word(second), same));
        }
    }

    fn add_cuts(&mut self, length: usize, cut: &Cut) {
        let places = match cut {
            Cut::Whole => Vec::new(),
            Cut::At(places) => places.clone(),
            Cut::Pieces(size) => (1..length.div_ceil(*size)).map(|n| n * size).collect(),
        };
        self.cuts
            .extend(places.into_iter().map(|place| (length, place)));
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends: Vec<_> = self.ends.iter().copied().collect();
        write!(
            f,
            "{} cut points, {} step pairs, ends by {}",
            self.cuts.len(),
            self.pairs.len(),
            ends.join(", ")
        )
    }
}

fn actor(step: &Step) -> Option<usize> {
    match step {
        Step::Client { who, .. } => Some(*who),
        _ => None,
    }
}

/// The kind of a step.
fn word(step: &Step) -> &'static str {
    match step {
        Step::Client { action, .. } => match action {
            Action::Connect(_) => "connect",
            Action::Send {
                background: true, ..
            } => "send in the background",
            Action::Send {
                cut: Cut::Whole, ..
            } => "send",
            Action::Send { .. } => "send in segments",
            Action::HalfClose => "half-close",
            Action::Reset => "reset",
            Action::Close => "close",
            Action::Stall => "stall",
            Action::Read(None) => "read",
            Action::Read(Some(_)) => "read slowly",
            Action::Expect {
                what: Expectation::End { .. },
                ..
            } => "expect the end",
            Action::Expect { .. } | Action::Require { .. } => "expect",
            Action::SendUrgent(_) | Action::SendDescriptor(_) | Action::Vanish => "other",
        },
        Step::Server(ServerAction::Stop) => "server stop",
        Step::Server(ServerAction::Continue) => "server continue",
        Step::Server(ServerAction::Signal(_)) => "server signal",
        Step::Server(ServerAction::Start(_)) => "server start",
        Step::Server(_) => "server",
        Step::Pause(_) => "pause",
        Step::Settle => "settle",
        Step::Barrier => "barrier",
        Step::Repeat { .. } => "repeat",
    }
}
