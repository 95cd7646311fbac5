//! What a run does on servers of their own: checks and observations, where each stands, and in which order they begin.

use super::observed::worth_a_server;
use super::probe::Probed;
use super::settings::Settings;
use super::worth::Worth;
use crate::checks::observations::Observation;
use crate::model::check::Check;
use crate::model::partition::Partition;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use std::time::Duration;

/// A piece of the work of a run.
pub(super) struct Work {
    /// Its place in the whole of the run, of which this one may do a part.
    pub(super) place: usize,
    pub(super) what: What,
}

/// What is done on a server of its own.
pub(super) enum What {
    Check(&'static Check),
    Observe(&'static Observation, Scenario),
}

impl Work {
    /// For how long nothing happens in it.
    pub(super) fn pauses(&self, subject: &Subject) -> Duration {
        match &self.what {
            What::Check(check) => {
                let scenarios = (check.scenarios)(subject).unwrap_or_default();
                scenarios.iter().map(Scenario::pauses).sum()
            }
            What::Observe(_, scenario) => scenario.pauses(),
        }
    }

    /// Its place by what it is worth: what is only observed comes last.
    pub(super) fn rank(&self, worth: &Worth) -> usize {
        match &self.what {
            What::Check(check) => worth.rank(check),
            What::Observe(..) => usize::MAX,
        }
    }

    fn is_check(&self) -> bool {
        matches!(self.what, What::Check(_))
    }

    fn name(&self) -> &str {
        match &self.what {
            What::Check(check) => check.id,
            What::Observe(observation, _) => observation.name,
        }
    }
}

/// All checks and observations of the whole run, in the order in which they are told: first the checks.
pub(super) fn all(selected: &[&'static Check], probed: &Probed, settings: &Settings) -> Vec<Work> {
    let mut all: Vec<What> = selected.iter().copied().map(What::Check).collect();
    let observed = worth_a_server(probed, settings).into_iter();
    let observed = observed.map(|(observation, scenario)| What::Observe(observation, scenario));
    all.extend(observed);
    let all = all.into_iter().enumerate();
    all.map(|(place, what)| Work { place, what }).collect()
}

/// What of it a part of the run does.
pub(super) fn part_of(all: Vec<Work>, partition: Option<Partition>) -> Vec<Work> {
    let Some(partition) = partition else {
        return all;
    };
    let (checks, observed): (Vec<_>, Vec<_>) = all.into_iter().partition(Work::is_check);
    let mut part = partition.part_of(checks, Work::name);
    part.extend(partition.part_of(observed, Work::name));
    part.sort_by_key(|work| work.place);
    part
}

/// What each check is worth.
pub(super) fn worth(work: &[Work], subject: &Subject) -> Worth {
    let checks = work.iter().filter_map(|work| match work.what {
        What::Check(check) => Some(check),
        What::Observe(..) => None,
    });
    Worth::of(checks, subject)
}
