//! How much of a request was cut: at which of its bytes a check broke off, paused, or divided it.

use crate::model::action::Action;
use crate::model::data::{Data, Segmentation, Source};
use crate::model::phase::Phase;
use crate::model::scenario::Step;
use crate::model::trial::Trial;
use crate::transcript::event::{Transcript, What};
use std::collections::BTreeSet;
use std::fmt;

/// The places in the profile's request at which it was cut, of all that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    cuts: BTreeSet<usize>,
    /// How many bytes the request has; there is a place between each two of them.
    request_bytes: usize,
}

impl Coverage {
    /// Nothing yet, of a request.
    pub(crate) fn of(request: &[u8]) -> Self {
        Self {
            cuts: BTreeSet::new(),
            request_bytes: request.len(),
        }
    }

    /// Adds the cuts of the sends that were carried out, which are fewer than the script has where it was broken off.
    pub(crate) fn add(&mut self, trial: &Trial, transcript: &Transcript, request: &[u8]) {
        let steps = trial.steps(Phase::Scenario);
        let mut phase = Phase::Before;
        for event in &transcript.events {
            match &event.what {
                What::Phase(next) => phase = *next,
                What::StepEnded { step, .. } if phase == Phase::Scenario => {
                    let line = steps.get(*step);
                    self.cuts
                        .extend(line.map_or_else(Vec::new, |line| cuts(&line.step, request)));
                }
                _ => {}
            }
        }
    }

    /// The same, or nothing where nothing was cut.
    pub(crate) fn if_any(self) -> Option<Self> {
        (!self.cuts.is_empty()).then_some(self)
    }

    /// The same with what other scenarios have cut of the same request.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.cuts.extend(other.cuts);
        self
    }

    /// How many places were cut.
    pub(crate) fn covered(&self) -> usize {
        self.cuts.len()
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.request_bytes.saturating_sub(1)
    }
}

/// `cut points 1..20 of 20` where all were cut, `12 of 300 cut points` where only some were.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.covered(), self.places()) {
            (covered, places) if covered == places => {
                write!(f, "cut points 1..{places} of {places}")
            }
            (covered, places) => write!(f, "{covered} of {places} cut points"),
        }
    }
}

/// Where a step cuts the request: a send of its beginning, or of the whole in several segments.
fn cuts(step: &Step, request: &[u8]) -> Vec<usize> {
    let Step::Client {
        action: Action::Send {
            data, segmentation, ..
        },
        ..
    } = step
    else {
        return Vec::new();
    };
    let Some(sent) = literal(data) else {
        return Vec::new();
    };
    let within = |at: &usize| *at > 0 && *at < request.len();
    let mut places = match segmentation {
        Segmentation::Whole => Vec::new(),
        // A request may follow others in the same send.
        Segmentation::At(at) if sent == request => at.iter().map(|at| at % request.len()).collect(),
        Segmentation::Pieces(bytes) if sent == request => {
            (0..request.len()).step_by((*bytes).max(1)).collect()
        }
        Segmentation::At(_) | Segmentation::Pieces(_) => Vec::new(),
    };
    if request.starts_with(sent) {
        places.push(sent.len());
    }
    places.retain(within);
    places
}

/// The bytes of data that is written out, without its repetitions.
fn literal(data: &Data) -> Option<&[u8]> {
    match &data.source {
        Source::Literal(bytes) if !data.capitals => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::{ClientSteps, repeat, scenario};
    use crate::model::scenario::Line;
    use crate::transcript::event::{Ended, Event};
    use std::time::Duration;

    const REQUEST: &[u8] = b"hello";

    /// What is covered when the first `done` steps of these lines have been carried out.
    fn covered(lines: Vec<Line>, done: usize) -> Coverage {
        let trial = Trial::alone(scenario("case", &[("alice", 1)], vec![lines]));
        let ended = |step| What::StepEnded {
            member: Some(0),
            step,
            how: Ended::Done,
        };
        let what = std::iter::once(What::Phase(Phase::Scenario)).chain((0..done).map(ended));
        let events = what.map(|what| Event {
            at: Duration::ZERO,
            what,
        });
        let transcript = Transcript {
            events: events.collect(),
            began: None,
        };
        let mut coverage = Coverage::of(REQUEST);
        coverage.add(&trial, &transcript, REQUEST);
        coverage
    }

    fn at(cut: Segmentation, times: u32) -> Vec<Line> {
        let data = Data::literal(REQUEST).times(times);
        ClientSteps::of(0).send_data(data, cut).lines()
    }

    #[test]
    fn every_way_to_cut_a_request_is_seen() {
        assert_eq!(
            covered(at(Segmentation::At(vec![1, 3]), 1), 1).cuts,
            [1, 3].into()
        );
        assert_eq!(
            covered(at(Segmentation::At(vec![7]), 2), 1).cuts,
            [2].into()
        );
        assert_eq!(
            covered(at(Segmentation::Pieces(2), 1), 1).cuts,
            [2, 4].into()
        );
        let half = ClientSteps::of(0).send("hel").then(Action::Reset).lines();
        assert_eq!(covered(half, 2).cuts, [3].into());
    }

    #[test]
    fn what_is_no_cut_is_not_counted() {
        let whole = ClientSteps::of(0)
            .send(REQUEST)
            .send("")
            .send("other")
            .lines();
        assert_eq!(covered(whole, 3).if_any(), None);
        assert_eq!(
            covered(at(Segmentation::At(vec![0, 5]), 1), 1).if_any(),
            None
        );
    }

    #[test]
    fn sends_that_were_not_come_to_are_not_counted() {
        let halves = ClientSteps::of(0).send("h").send("he").send("hel").lines();
        let coverage = covered(vec![repeat(1, halves)], 3);
        assert_eq!(coverage.to_string(), "2 of 4 cut points");
    }

    #[test]
    fn all_places_are_named_as_a_range() {
        assert_eq!(
            covered(at(Segmentation::Pieces(1), 1), 1).to_string(),
            "cut points 1..4 of 4"
        );
    }

    #[test]
    fn cuts_of_something_else_are_no_cuts_of_the_request() {
        let other = |cut| {
            let lines = ClientSteps::of(0).send_data(Data::literal("other"), cut);
            covered(lines.lines(), 1).if_any()
        };
        assert_eq!(other(Segmentation::At(vec![1, 3])), None);
        assert_eq!(other(Segmentation::Pieces(2)), None);
        let mut capitals = Data::literal("hel");
        capitals.capitals = true;
        let lines = ClientSteps::of(0).send_data(capitals, Segmentation::Whole);
        assert_eq!(covered(lines.lines(), 1).if_any(), None);
    }

    #[test]
    fn cuts_of_several_scenarios_are_counted_together_and_each_once() {
        let at = |places: &[usize]| covered(at(Segmentation::At(places.to_vec()), 1), 1);
        let all = at(&[1, 3]).with(at(&[3, 4]));
        assert_eq!(all.cuts, [1, 3, 4].into());
        assert_eq!(all.clone().if_any(), Some(all));
    }

    #[test]
    fn what_polite_clients_send_is_no_cut_of_the_scenario() {
        let lines = at(Segmentation::At(vec![1]), 1);
        let trial = Trial::alone(scenario("case", &[("alice", 1)], vec![lines]));
        let what = [
            What::Phase(Phase::After),
            What::StepEnded {
                member: Some(0),
                step: 0,
                how: Ended::Done,
            },
        ];
        let events = what.map(|what| Event {
            at: Duration::ZERO,
            what,
        });
        let transcript = Transcript {
            events: events.into(),
            began: None,
        };
        let mut coverage = Coverage::of(REQUEST);
        coverage.add(&trial, &transcript, REQUEST);
        assert_eq!(coverage.if_any(), None);
    }
}
