//! When a run is over, whatever is left of it.

use crate::judge::Doubt;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a run goes on that has found something, where it is to fail fast: what is known by then is worth mending first.
const RUNS_FOR: Duration = Duration::from_secs(120);

/// When a run is over, whatever is left of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunEnd {
    /// When it is where it has found something.
    where_found: Option<Instant>,
    /// When its budget is used up, and how much that was.
    budget: Option<(Instant, Duration)>,
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It has found something, and has gone on for long enough.
    HasFound,
    /// Its budget is used up.
    Budget(Duration),
}

impl RunEnd {
    /// The end of a run that begins now.
    pub(super) fn of(fails_fast: bool, budget: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            where_found: fails_fast.then(|| now + RUNS_FOR),
            budget: budget.map(|budget| (now + budget, budget)),
        }
    }

    /// The same for a part of the run that begins now, and has found nothing yet.
    pub(super) fn of_part(self) -> Self {
        let now = Instant::now();
        Self {
            where_found: self.where_found.map(|_| now + RUNS_FOR),
            ..self
        }
    }

    /// Why the run is over, if it is.
    pub(super) fn now(self, has_found: bool) -> Option<Over> {
        let now = Instant::now();
        let budget = self.budget.filter(|(at, _)| now >= *at);
        let has_found = has_found && self.where_found.is_some_and(|at| now >= at);
        let has_found = has_found.then_some(Over::HasFound);
        budget.map(|(_, budget)| Over::Budget(budget)).or(has_found)
    }

    /// Returns when the budget is used up.
    pub(super) async fn until_budget(self) -> Over {
        match self.budget {
            Some((at, budget)) => {
                tokio::time::sleep_until(at).await;
                Over::Budget(budget)
            }
            None => std::future::pending().await,
        }
    }

    /// Returns when the time is over of a run that has found something.
    pub(super) async fn until_enough(self) {
        match self.where_found {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Over {
    /// The doubt about what has begun and did not come to an end.
    pub(super) fn doubt(self) -> Doubt {
        match self {
            Self::HasFound => Doubt::OutOfRun { within: RUNS_FOR },
            Self::Budget(budget) => Doubt::OutOfBudget {
                budget,
                begun: true,
            },
        }
    }

    /// The doubt about what has not begun.
    pub(super) fn doubt_of_the_untried(self) -> Doubt {
        match self {
            Self::HasFound => self.doubt(),
            Self::Budget(budget) => Doubt::OutOfBudget {
                budget,
                begun: false,
            },
        }
    }
}

#[cfg(test)]
impl RunEnd {
    /// The end of a run that is over as soon as it has found something.
    pub(super) fn where_found() -> Self {
        Self {
            where_found: Some(Instant::now()),
            budget: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn run_is_over_when_its_budget_is_or_when_it_has_found_something() {
        let budget = Duration::from_millis(20);
        let end = RunEnd::of(true, Some(budget));
        assert_eq!(end.now(true), None);
        assert_eq!(end.until_budget().await, Over::Budget(budget));
        assert_eq!(end.now(false), Some(Over::Budget(budget)));
        let unlimited = RunEnd::where_found();
        unlimited.until_enough().await;
        assert_eq!(unlimited.now(false), None);
        assert_eq!(unlimited.now(true), Some(Over::HasFound));
    }

    #[test]
    fn part_of_a_run_has_the_budget_of_the_run_and_has_found_nothing_yet() {
        let run = RunEnd::of(true, Some(Duration::ZERO));
        assert_eq!(run.of_part().now(false), Some(Over::Budget(Duration::ZERO)));
        assert_eq!(RunEnd::where_found().of_part().now(true), None);
    }
}
