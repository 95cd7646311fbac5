//! When a run is over, whatever is left of it.

use super::interrupt::Interrupt;
use super::settings::Settings;
use crate::judge::{Doubt, Verdict};
use crate::report::data::{CheckResult, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// For how long a run goes on that has found something, where it is to fail fast: what is known by then is worth mending first.
const RUNS_FOR: Duration = Duration::from_secs(120);

/// When a run is over, whatever is left of it.
#[derive(Clone, Debug, Default)]
pub(super) struct RunEnd {
    /// When it is where it has found something.
    where_found: Option<Instant>,
    /// When its budget is used up, and how much that was.
    budget: Option<(Instant, Duration)>,
    /// How much may fail before nothing more is begun.
    max_fail: Option<usize>,
    /// How much has failed, in all parts.
    failed: Arc<AtomicUsize>,
    /// The user may end it.
    interrupt: Interrupt,
}

/// Why a run is over, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It has found something, and has gone on for long enough.
    HasFound,
    /// Its budget is used up.
    Budget(Duration),
    /// What a check may take is used up, and the run goes on.
    CheckBudget(Duration),
    /// So many have failed, and nothing more is begun.
    EnoughFailed(usize),
    /// The user has ended it.
    Interrupted,
}

impl RunEnd {
    /// The end of a run that begins now.
    pub(super) fn of(settings: &Settings) -> Self {
        let now = Instant::now();
        let budget = settings.budget;
        Self {
            where_found: settings.fails_fast().then(|| now + RUNS_FOR),
            // A time that no clock tells is none.
            budget: budget.and_then(|budget| Some((now.checked_add(budget)?, budget))),
            max_fail: settings.max_fail,
            failed: Arc::default(),
            interrupt: settings.interrupt.clone(),
        }
    }

    /// Counts a result that fails the run.
    pub(super) fn count(&self, result: &CheckResult, flaky_fails: bool) {
        let fails = match result.outcome() {
            Outcome::Fail => true,
            Outcome::Flaky => flaky_fails,
            _ => false,
        };
        self.failed.fetch_add(usize::from(fails), Ordering::Relaxed);
    }

    fn enough_failed(&self) -> Option<Over> {
        let failed = self.failed.load(Ordering::Relaxed);
        let is_enough = self.max_fail.is_some_and(|most| failed >= most);
        is_enough.then_some(Over::EnoughFailed(failed))
    }

    /// The same for a part of the run that begins now, and has found nothing yet.
    pub(super) fn of_part(&self) -> Self {
        let now = Instant::now();
        Self {
            where_found: self.where_found.map(|_| now + RUNS_FOR),
            ..self.clone()
        }
    }

    /// Why the run is over, if it is.
    pub(super) fn now(&self, has_found: bool) -> Option<Over> {
        if self.interrupt.is_raised() {
            return Some(Over::Interrupted);
        }
        let now = Instant::now();
        let budget = self.budget.filter(|(at, _)| now >= *at);
        let has_found = has_found && self.where_found.is_some_and(|at| now >= at);
        let has_found = has_found.then_some(Over::HasFound);
        let budget = budget.map(|(_, budget)| Over::Budget(budget));
        budget.or_else(|| self.enough_failed()).or(has_found)
    }

    /// Returns when the budget is used up, or the user ends the run.
    pub(super) async fn until_ended(&self) -> Over {
        let budget = async {
            match self.budget {
                Some((at, budget)) => {
                    tokio::time::sleep_until(at).await;
                    Over::Budget(budget)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.interrupt.until_raised() => Over::Interrupted,
            over = budget => over,
        }
    }

    /// Returns when the time is over of a run that has found something.
    pub(super) async fn until_enough(&self) {
        match self.where_found {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl Over {
    /// What is said of what has begun and did not come to an end.
    pub(super) fn verdict(self) -> Verdict {
        Verdict::Inconclusive(self.doubt(true))
    }

    /// What is said of what has not begun.
    pub(super) fn verdict_on_the_untried(self) -> Verdict {
        Verdict::Inconclusive(self.doubt(false))
    }

    fn doubt(self, begun: bool) -> Doubt {
        match self {
            Self::HasFound => Doubt::OutOfRun { within: RUNS_FOR },
            Self::Budget(budget) => Doubt::OutOfBudget { budget, begun },
            Self::CheckBudget(budget) => Doubt::OutOfCheckBudget { budget, begun },
            Self::EnoughFailed(failed) => Doubt::EnoughFailed { failed },
            Self::Interrupted => Doubt::Interrupted { begun },
        }
    }
}

#[cfg(test)]
impl RunEnd {
    /// The end of a run that is over as soon as it has found something.
    pub(super) fn where_found() -> Self {
        Self {
            where_found: Some(Instant::now()),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_budget(budget: Duration) -> Settings {
        Settings {
            budget: Some(budget),
            ..Settings::default()
        }
    }

    #[tokio::test]
    async fn run_is_over_when_the_user_ends_it_whatever_else_ends_it() {
        let settings = with_budget(Duration::from_secs(3_600));
        let end = RunEnd::of(&settings);
        assert_eq!(end.now(true), None);
        settings.interrupt.raise();
        assert_eq!(end.until_ended().await, Over::Interrupted);
        assert_eq!(end.now(false), Some(Over::Interrupted));
        assert_eq!(end.of_part().now(false), Some(Over::Interrupted));
        let spent = Settings {
            budget: Some(Duration::ZERO),
            ..settings
        };
        let both = RunEnd::of(&spent);
        assert_eq!(both.until_ended().await, Over::Interrupted);
    }

    #[tokio::test]
    async fn run_is_over_when_its_budget_is_or_when_it_has_found_something() {
        let budget = Duration::from_millis(20);
        let end = RunEnd::of(&with_budget(budget));
        assert_eq!(end.now(true), None);
        assert_eq!(end.until_ended().await, Over::Budget(budget));
        assert_eq!(end.now(false), Some(Over::Budget(budget)));
        let unlimited = RunEnd::where_found();
        unlimited.until_enough().await;
        assert_eq!(unlimited.now(false), None);
        assert_eq!(unlimited.now(true), Some(Over::HasFound));
    }

    #[test]
    fn nothing_more_begins_once_enough_has_failed_in_any_part() {
        let settings = Settings {
            max_fail: Some(2),
            ..Settings::default()
        };
        let end = RunEnd::of(&settings);
        let listed = CheckResult {
            known: Some("a reason".to_owned()),
            ..CheckResult::of("id", "family", "It holds.", Verdict::Pass)
        };
        end.of_part().count(&listed, false);
        assert_eq!(end.now(false), None);
        let passed = CheckResult::of("id", "family", "It holds.", Verdict::Pass);
        end.count(&passed, false);
        assert_eq!(end.of_part().now(false), None);
        end.count(&listed, false);
        assert_eq!(end.of_part().now(false), Some(Over::EnoughFailed(2)));
    }

    #[test]
    fn part_of_a_run_has_the_budget_of_the_run_and_has_found_nothing_yet() {
        let run = RunEnd::of(&with_budget(Duration::ZERO));
        assert_eq!(run.of_part().now(false), Some(Over::Budget(Duration::ZERO)));
        assert_eq!(RunEnd::where_found().of_part().now(true), None);
    }
}
