//! What a check is worth when there is not time for all: what it may find, for what it takes.

use crate::model::action::Action;
use crate::model::check::{Check, Severity};
use crate::model::data::Segmentation;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use std::collections::HashMap;
use std::time::Duration;

/// What each trial takes beside its steps: samples, polite clients, its share of the start of a server.
const OF_A_TRIAL: Duration = Duration::from_millis(50);

/// What a step of one client takes that waits for nothing.
const OF_A_STEP: Duration = Duration::from_micros(300);

/// The order of checks by what they are worth.
pub(super) struct Worth {
    ranks: HashMap<&'static str, usize>,
}

impl Worth {
    /// What is required comes before what is recommended; and the quickest check of each family before the second of any, for
    /// families are of different faults.
    pub(super) fn of(checks: impl Iterator<Item = &'static Check>, subject: &Subject) -> Self {
        let mut rows: Vec<_> = checks.map(|check| (check, takes(check, subject))).collect();
        rows.sort_by_key(|(check, takes)| (is_recommended(check, subject), *takes));
        let mut of_family: HashMap<&str, usize> = HashMap::new();
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(check, takes)| {
                let nth = of_family.entry(check.family()).or_default();
                // What does not apply is told at once.
                *nth += usize::from(takes.is_some());
                let nth = takes.map(|_| *nth);
                ((is_recommended(check, subject), nth, takes), check.id)
            })
            .collect();
        rows.sort_unstable();
        let ids = rows.into_iter().map(|(_, id)| id);
        let ranks = ids.enumerate().map(|(rank, id)| (id, rank)).collect();
        Self { ranks }
    }

    /// The place of a check in this order.
    pub(super) fn rank(&self, check: &Check) -> usize {
        self.ranks.get(check.id).copied().unwrap_or(usize::MAX)
    }
}

fn is_recommended(check: &Check, subject: &Subject) -> bool {
    check.severity() == Severity::Should && !(check.policy.promised)(subject)
}

/// About how long a check takes, by what its scenarios wait for, where it applies.
fn takes(check: &Check, subject: &Subject) -> Option<Duration> {
    if check.unmet(subject).is_some() {
        return None;
    }
    let scenarios = (check.scenarios)(subject)?;
    let scenarios = scenarios.iter();
    let takes = scenarios
        .map(|scenario| OF_A_TRIAL + of_scenario(scenario))
        .sum();
    Some(takes)
}

fn of_scenario(scenario: &Scenario) -> Duration {
    of_lines(&scenario.lines, scenario)
}

fn of_lines(lines: &[Line], scenario: &Scenario) -> Duration {
    lines.iter().map(|line| of_step(&line.step, scenario)).sum()
}

fn of_step(step: &Step, scenario: &Scenario) -> Duration {
    match step {
        Step::Pause(time) => *time,
        Step::Repeat { times, lines } => of_lines(lines, scenario) * *times,
        Step::Client { who, action } => {
            let members = scenario.clients.get(*who).map_or(1, |group| group.members);
            OF_A_STEP * members + waits(action)
        }
        Step::Server(
            ServerAction::Expect { within, .. } | ServerAction::Require { within, .. },
        )
        | Step::Backend {
            action: ServerAction::Expect { within, .. } | ServerAction::Require { within, .. },
            ..
        } => OF_A_STEP + within.unwrap_or_default(),
        Step::Server(_) | Step::Backend { .. } | Step::Barrier | Step::Settle => OF_A_STEP,
    }
}

/// What a client waits for besides: a limit that is not the usual one says that it may take so long.
fn waits(action: &Action) -> Duration {
    match action {
        Action::Expect { within, .. } | Action::Require { within, .. } => {
            within.unwrap_or_default()
        }
        Action::Send {
            data,
            segmentation,
            every: Some(every),
            ..
        } => *every * segments(segmentation, data.length()),
        _ => Duration::ZERO,
    }
}

/// How many segments so many bytes are sent in.
fn segments(segmentation: &Segmentation, bytes: usize) -> u32 {
    match segmentation {
        Segmentation::Whole => 1,
        Segmentation::At(places) => places.len() as u32 + 1,
        Segmentation::Pieces(size) => bytes.div_ceil((*size).max(1)) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::{ClientSteps, pause, repeat, scenario};

    #[test]
    fn what_waits_takes_as_long_as_it_waits() {
        let second = Duration::from_secs(1);
        let of = |lines| of_scenario(&scenario("case", &[("alice", 1)], vec![lines]));
        assert_eq!(of(vec![pause(second)]), second);
        assert_eq!(of(vec![repeat(3, vec![pause(second)])]), second * 3);
        assert!(of(ClientSteps::of(0).connect().lines()) < second);
    }
}
