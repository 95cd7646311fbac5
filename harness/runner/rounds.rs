//! A run that is made again and again, and what comes of all rounds.

use super::audience::Happening;
use super::settings::Settings;
use crate::judge::{Doubt, Verdict};
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome, Report, Tries};
use std::time::{Duration, Instant};

/// For how long a run is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounds {
    /// So often.
    Times(usize),
    /// Until so much time is over; a round that has begun is made to its end.
    For(Duration),
}

impl Rounds {
    fn has_another(self, made: usize, elapsed: Duration) -> bool {
        match self {
            Self::Times(times) => made < times,
            Self::For(time) => made == 0 || elapsed < time,
        }
    }
}

/// Makes a run as often as the settings say. Of several rounds failures are told as they come, each with the number of its round, and
/// at the end what came of each check or case in all of them.
///
/// # Errors
/// As the run, where not even the first round could be made.
pub(crate) fn in_rounds(
    settings: &Settings,
    on_failure: &(dyn Fn(usize, &CheckResult) + Sync),
    on_result: &(dyn Fn(&CheckResult) + Sync),
    run: impl Fn(&Settings, &(dyn Fn(&CheckResult) + Sync)) -> Result<Report, Error>,
) -> Result<Report, Error> {
    let Some(rounds) = settings.rounds else {
        return run(settings, on_result);
    };
    let begun = Instant::now();
    let mut whole: Option<Report> = None;
    let mut made = 0;
    while rounds.has_another(made, begun.elapsed()) && !is_over(whole.as_ref(), settings, begun) {
        made += 1;
        settings.audience.hears(Happening::Round(made));
        let round = settings_of_round(settings, whole.as_ref(), begun);
        let ran = run(&round, &|result| {
            if result.outcome() == Outcome::Fail {
                on_failure(made, result);
            }
        });
        match (&mut whole, ran) {
            (None, ran) => whole = Some(counted(ran?)),
            (Some(whole), Ok(report)) => add(whole, report),
            (Some(whole), Err(error)) => {
                whole.results.push(not_made(made, &error));
                break;
            }
        }
    }
    let Some(mut whole) = whole else {
        return Err(Error::NothingSelected("no round was to be made".to_owned()));
    };
    whole.duration = begun.elapsed();
    whole.budget = settings.budget;
    whole.results.iter().for_each(on_result);
    Ok(whole)
}

/// Whether no further round is made: the user has ended the run, its budget is over, or enough has failed.
fn is_over(whole: Option<&Report>, settings: &Settings, begun: Instant) -> bool {
    let enough = settings.max_fail;
    let has_enough = enough.is_some_and(|most| failures(whole) >= most);
    let is_spent = whole.is_some()
        && settings
            .budget
            .is_some_and(|budget| begun.elapsed() >= budget);
    has_enough || is_spent || whole.is_some_and(|report| report.interrupted)
}

/// How a round is made: with what is left of the whole.
fn settings_of_round(settings: &Settings, whole: Option<&Report>, begun: Instant) -> Settings {
    let budget = settings.budget;
    let max_fail = settings.max_fail;
    Settings {
        rounds: None,
        // Each round is a try already, and counted.
        retries: 0,
        budget: budget.map(|budget| budget.saturating_sub(begun.elapsed())),
        max_fail: max_fail.map(|most| most.saturating_sub(failures(whole))),
        ..settings.clone()
    }
}

/// How often anything has failed the run so far.
fn failures(whole: Option<&Report>) -> usize {
    let results = whole.map_or(&[][..], |report| &report.results);
    let failed = results
        .iter()
        .filter(|result| result.outcome() == Outcome::Fail);
    failed
        .map(|result| result.tries.map_or(1, |tries| tries.failed))
        .sum()
}

/// The first round, of which each result was tried once.
fn counted(mut report: Report) -> Report {
    for result in &mut report.results {
        result.tries = Some(Tries::first_of(&result.verdict));
    }
    report
}

/// Adds a round to those before it.
fn add(whole: &mut Report, mut round: Report) {
    whole.interrupted |= round.interrupted;
    whole.serves_nobody |= round.serves_nobody;
    whole.unsaved = whole.unsaved.take().or_else(|| round.unsaved.take());
    for result in counted(round).results {
        let mut known = whole.results.iter_mut();
        let known = known.find(|known| (known.place, &known.id) == (result.place, &result.id));
        match known {
            Some(known) if has_not_begun(&result) => known.duration += result.duration,
            Some(known) => *known = both(known.clone(), result),
            None => whole.results.push(result),
        }
    }
    whole.results.sort_by_key(|result| result.place);
}

/// Whether a round was over before something was tried, which says nothing of it.
fn has_not_begun(result: &CheckResult) -> bool {
    matches!(
        result.verdict,
        Verdict::Inconclusive(
            Doubt::Interrupted { .. }
                | Doubt::OutOfBudget { .. }
                | Doubt::OutOfRun { .. }
                | Doubt::EnoughFailed { .. }
        )
    )
}

/// Whether the server of a round could not be started. However many others there are, that is what a run without a failure comes to.
fn could_not_run(result: &CheckResult) -> bool {
    matches!(
        result.verdict,
        Verdict::Inconclusive(Doubt::CouldNotRun { .. })
    )
}

/// What comes of all rounds so far and of another one: the first failure is what is told, then the first that could not be made, and
/// else what most rounds came to.
fn both(known: CheckResult, result: CheckResult) -> CheckResult {
    let mut tries = known.tries.unwrap_or_default();
    tries.add(&result.verdict);
    let duration = known.duration + result.duration;
    let mut spent = known.spent.clone();
    spent.add(&result.spent);
    // A pass may be one too, of what is known to fail.
    let fails = |result: &CheckResult| result.outcome() == Outcome::Fail;
    let is_unsure = |result: &CheckResult| matches!(result.verdict, Verdict::Inconclusive(_));
    let mostly_unsure = 2 * tries.unproven > tries.times;
    let settles = has_not_begun(&known)
        || is_unsure(&known) != mostly_unsure && is_unsure(&result) == mostly_unsure;
    let takes_over = !fails(&known)
        && (fails(&result) || !could_not_run(&known) && (could_not_run(&result) || settles));
    let told = if takes_over { result } else { known };
    CheckResult {
        tries: Some(tries),
        duration,
        spent,
        ..told
    }
}

/// The result of a round that could not be made.
fn not_made(round: usize, error: &Error) -> CheckResult {
    let reason = format!("round {round}: {}", error.chain());
    CheckResult {
        place: usize::MAX,
        ..CheckResult::of(
            "start",
            "rounds",
            "The server can be started for each round.",
            Verdict::Inconclusive(Doubt::CouldNotRun { reason }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Cause, Finding};

    fn fail() -> Verdict {
        Verdict::Fail(Finding {
            cause: Cause::LeftUnread,
            halt: None,
            evidence: Vec::new(),
        })
    }

    fn unsure() -> Verdict {
        Verdict::Inconclusive(Doubt::NotStarted {
            reason: String::new(),
        })
    }

    fn not_started(reason: &str) -> Verdict {
        Verdict::Inconclusive(Doubt::CouldNotRun {
            reason: reason.to_owned(),
        })
    }

    /// What comes of these verdicts, one a round.
    fn of(verdicts: Vec<Verdict>) -> CheckResult {
        let result = |verdict| CheckResult {
            tries: Some(Tries::first_of(&verdict)),
            ..CheckResult::of("id", "family", "It holds.", verdict)
        };
        verdicts.into_iter().map(result).reduce(both).unwrap()
    }

    #[test]
    fn one_failure_among_many_rounds_is_a_failure() {
        let result = of(vec![Verdict::Pass, unsure(), fail(), Verdict::Pass, fail()]);
        assert_eq!(result.outcome(), Outcome::Fail);
        let reason = result.reason().unwrap();
        assert!(reason.ends_with("(failed 2 of 5 times)"), "{reason}");
    }

    #[test]
    fn round_whose_server_did_not_start_is_what_comes_of_rounds_that_pass() {
        let pass = || Verdict::Pass;
        let result = of(vec![pass(), not_started("one"), pass(), not_started("two")]);
        let reason = result.reason().unwrap();
        assert!(reason.starts_with("it could not be run: one"), "{reason}");
        let failed = of(vec![not_started("one"), fail(), pass()]);
        assert_eq!(failed.outcome(), Outcome::Fail);
    }

    #[test]
    fn what_most_rounds_prove_is_what_comes_of_them() {
        let passed = of(vec![unsure(), Verdict::Pass, Verdict::Pass]);
        assert_eq!(passed.outcome(), Outcome::Pass);
        let reason = passed.reason().unwrap();
        assert_eq!(reason, "tried 3 times, of which 1 proved nothing");
        let doubtful = of(vec![Verdict::Pass, unsure(), unsure()]);
        assert_eq!(doubtful.outcome(), Outcome::Inconclusive);
        let passed = of(vec![Verdict::Pass, Verdict::Pass]);
        assert_eq!(passed.reason().unwrap(), "tried 2 times");
    }

    #[test]
    fn rounds_go_on_as_long_as_they_were_to() {
        let second = Duration::from_secs(1);
        assert!(Rounds::Times(2).has_another(1, second));
        assert!(!Rounds::Times(2).has_another(2, second));
        assert!(Rounds::For(second).has_another(0, second * 2));
        assert!(!Rounds::For(second).has_another(1, second));
    }
}
