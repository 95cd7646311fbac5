//! What the clients of drawn scenarios have tried, so that a green run says what it stands for.

use crate::model::action::Action;
use crate::model::data::Segmentation;
use crate::model::form::Does;
use crate::model::scenario::{Line, Scenario, Step};
use std::collections::BTreeSet;
use std::fmt;

/// What was tried at least once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Where data of which length was cut.
    cuts: BTreeSet<(usize, usize)>,
    /// Which step followed which, and whether both were of the same client.
    pairs: BTreeSet<(Kind, Kind, bool)>,
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
            if let Action::Send {
                data, segmentation, ..
            } = action
            {
                self.add_cuts(data.length(), segmentation);
            }
            let form = action.form();
            if matches!(form.does, Does::Leaves | Does::HalfCloses) {
                self.ends.insert(form.word);
            }
        }
        for pair in lines.windows(2) {
            let [first, second] = [&pair[0].step, &pair[1].step];
            let same = actor(first) == actor(second);
            self.pairs.insert((kind(first), kind(second), same));
        }
    }

    fn add_cuts(&mut self, length: usize, segmentation: &Segmentation) {
        let places = match segmentation {
            Segmentation::Whole => Vec::new(),
            Segmentation::At(places) => places.clone(),
            Segmentation::Pieces(size) => (1..length.div_ceil(*size)).map(|n| n * size).collect(),
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

/// The kind of a step, and whether it is one of the server.
type Kind = (&'static str, bool);

fn kind(step: &Step) -> Kind {
    (step.form().kind, matches!(step, Step::Server(_)))
}
