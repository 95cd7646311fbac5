//! For how long a check may go on, or a case.

use super::run_end::Over;
use super::settings::Settings;
use crate::model::scenario::Scenario;
use crate::session::Turn;
use std::time::Duration;

/// What each has, whatever it is about: several times what the longest takes on a host that is busy.
const AT_LEAST: Duration = Duration::from_secs(600);

/// What each of its scenarios adds: on an idle host most take less than a hundredth of it.
const FOR_EACH: Duration = Duration::from_secs(10);

/// How often a scenario is performed at most that fails and is made sure of, with what grows in it.
const TIMES: u32 = 10;

/// How often the account is looked at of who may have waited in line since.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// For how long all these scenarios go on together: as the user says, and else for far longer than they take, so that nothing
/// goes on for ever.
pub(super) fn of(scenarios: &[Scenario], settings: &Settings) -> Duration {
    let each = |scenario: &Scenario| {
        scenario
            .time_written()
            .saturating_mul(TIMES)
            .saturating_add(FOR_EACH)
    };
    let all = scenarios.iter().map(each);
    let all = || all.fold(AT_LEAST, Duration::saturating_add);
    settings.check_budget.unwrap_or_else(all)
}

/// Returns when a turn has used up its time; what it waits in line is the time of others.
pub(super) async fn until_used(most: Option<Duration>, turn: &Turn) -> Over {
    let Some(most) = most else {
        return std::future::pending().await;
    };
    loop {
        let left = most.saturating_sub(turn.spent().beside_the_line());
        if left.is_zero() {
            return Over::CheckBudget(most);
        }
        tokio::time::sleep(left.max(LOOKS_EVERY)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::{pause, scenario};
    use futures_util::FutureExt;

    #[test]
    fn time_is_what_the_user_says_or_more_than_the_scenarios_say() {
        let hour = Duration::from_secs(3_600);
        let scenario = scenario("a case", &[("alice", 1)], vec![vec![pause(hour)]]);
        let mut settings = Settings::default();
        assert_eq!(of(&[], &settings), AT_LEAST);
        assert!(of(std::slice::from_ref(&scenario), &settings) > hour * TIMES);
        let said = Duration::from_secs(1);
        settings.check_budget = Some(said);
        assert_eq!(of(&[scenario], &settings), said);
    }

    #[tokio::test]
    async fn waiting_in_line_is_no_time_of_ones_own() {
        let most = Duration::from_millis(20);
        let turn = Turn::default();
        let waits = turn.in_line(until_used(Some(most), &turn));
        let waits = tokio::time::timeout(most * 10, waits);
        assert!(waits.await.is_err());
        assert_eq!(until_used(Some(most), &turn).await, Over::CheckBudget(most));
        assert!(until_used(None, &turn).now_or_never().is_none());
    }
}
