//! In which order a file says steps that were taken side by side.

use crate::model::action::Action;
use crate::model::scenario::Step;

/// When the steps were taken, by their numbers: whoever waits does so behind what others did meanwhile, which may have brought
/// about what was waited for.
#[derive(Debug, Default)]
pub(super) struct ToldOrder {
    /// When each was begun, or where it waits, when it was over.
    moments: Vec<usize>,
    now: usize,
}

/// It is waited for yet.
const NOT_YET: usize = usize::MAX;

impl ToldOrder {
    /// The next step begins.
    pub(super) fn begins(&mut self, step: &Step) {
        let moment = match step {
            Step::Client {
                action: Action::Expect { .. } | Action::Require { .. },
                ..
            } => NOT_YET,
            _ => self.tick(),
        };
        self.moments.push(moment);
    }

    /// A step is over.
    pub(super) fn ends(&mut self, step: usize) {
        let now = self.tick();
        let moment = self.moments.get_mut(step);
        if let Some(moment) = moment.filter(|moment| **moment == NOT_YET) {
            *moment = now;
        }
    }

    fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    /// The numbers of the steps in the order of a file.
    pub(super) fn in_a_file(&self) -> Vec<usize> {
        let mut steps: Vec<_> = (0..self.moments.len()).collect();
        steps.sort_by_key(|step| self.moments[*step]);
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::expectation::Expectation;

    #[test]
    fn wait_stands_behind_what_others_did_meanwhile() {
        let of = |who, action| Step::Client { who, action };
        let waits = || Action::Expect {
            what: Expectation::Silence,
            within: None,
        };
        let mut order = ToldOrder::default();
        order.begins(&of(0, waits()));
        order.begins(&of(1, Action::Close));
        order.ends(1);
        order.begins(&of(2, waits()));
        order.ends(0);
        order.begins(&of(0, Action::Close));
        assert_eq!(order.in_a_file(), [1, 0, 3, 2]);
    }
}
