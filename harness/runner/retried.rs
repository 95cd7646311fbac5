//! What fails is tried again where that was asked for.

use super::run_end::RunEnd;
use super::settings::Settings;
use crate::judge::{Cause, Verdict};
use crate::report::data::{CheckResult, Outcome, Tries};

/// Tries something, and as often as the settings say once more where it fails. What failed is what is told, whatever comes of it then;
/// where it passes then, it is flaky. Nothing is tried again of which one look says all.
pub(super) fn retried(
    settings: &Settings,
    end: &RunEnd,
    once: impl Fn() -> CheckResult,
) -> CheckResult {
    let mut first = once();
    let mut tries = Tries::first_of(&first.verdict);
    while tries.times <= settings.retries && may_be_flaky(&first) && end.now(false).is_none() {
        let again = once();
        tries.add(&again.verdict);
        tries.is_retry = true;
        tries.is_flaky = matches!(again.verdict, Verdict::Pass);
        first.duration += again.duration;
        first.spent.add(&again.spent);
        if is_seen_for_good(&again) {
            // It says more than what was seen first.
            let (duration, spent) = (first.duration, first.spent);
            first = CheckResult {
                duration,
                spent,
                ..again
            };
        }
        if tries.is_flaky {
            break;
        }
    }
    let result = CheckResult {
        tries: (tries.times > 1).then_some(tries),
        ..first
    };
    end.count(&result, settings.flaky_fails);
    result
}

/// Whether it failed by what another look may not show.
fn may_be_flaky(result: &CheckResult) -> bool {
    result.outcome() == Outcome::Fail && !is_seen_for_good(result)
}

/// Whether one look says all: an end, an alarm, the bytes of somebody else and those that must never come are what they are whenever
/// they are seen.
fn is_seen_for_good(result: &CheckResult) -> bool {
    let Verdict::Fail(finding) = &result.verdict else {
        return false;
    };
    finding.causes().any(Cause::is_seen_for_good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Finding;
    use crate::judge::StepRef;
    use crate::model::spent::SpentOn;
    use crate::transcript::event::Exit;
    use std::cell::Cell;
    use std::time::Duration;

    /// So long each try takes.
    const TAKES: Duration = Duration::from_millis(5);

    fn failed(cause: Cause) -> Verdict {
        Verdict::Fail(Finding {
            cause,
            halt: None,
            evidence: Vec::new(),
        })
    }

    fn died() -> Verdict {
        failed(Cause::Died {
            exit: Exit::Status(1),
            after: None,
        })
    }

    /// What comes of these verdicts, one a try, where there may be three tries, and how many were made.
    fn of(verdicts: &[Verdict]) -> (CheckResult, usize) {
        let settings = Settings {
            retries: 2,
            ..Settings::default()
        };
        let made = Cell::new(0);
        let once = || {
            let verdict = verdicts[made.replace(made.get() + 1)].clone();
            let mut result = CheckResult::of("id", "family", "It holds.", verdict);
            result.duration = TAKES;
            result.spent.spend(SpentOn::Scenario, TAKES);
            result
        };
        let result = retried(&settings, &RunEnd::of(&settings), once);
        (result, made.get())
    }

    #[test]
    fn failure_that_does_not_show_again_is_flaky_and_still_told() {
        let (result, made) = of(&[failed(Cause::LeftUnread), Verdict::Pass]);
        assert_eq!((result.outcome(), made), (Outcome::Flaky, 2));
        let reason = result.reason().unwrap();
        assert!(reason.ends_with("(failed 1 of 2 tries)"), "{reason}");
        assert_eq!(result.cause(), Some(&Cause::LeftUnread));
        assert_eq!(result.duration, TAKES * 2);
        assert_eq!(result.spent.on(SpentOn::Scenario), TAKES * 2);
    }

    #[test]
    fn what_one_look_says_in_a_further_try_is_not_taken_back() {
        let (result, made) = of(&[failed(Cause::LeftUnread), died(), Verdict::Pass]);
        assert_eq!((result.outcome(), made), (Outcome::Fail, 2));
    }

    #[test]
    fn failure_that_shows_each_time_is_one() {
        let verdicts = [(); 3].map(|()| failed(Cause::LeftUnread));
        let (result, made) = of(&verdicts);
        assert_eq!((result.outcome(), made), (Outcome::Fail, 3));
        assert!(result.reason().unwrap().contains("failed 3 of 3 tries"));
    }

    #[test]
    fn what_one_look_says_is_not_tried_again() {
        let forbidden = failed(Cause::Forbidden {
            client: None,
            text: "secret".to_owned(),
            step: StepRef {
                line: 0,
                text: String::new(),
                step: None,
            },
            at: Duration::ZERO,
        });
        for verdict in [died(), forbidden, Verdict::Pass] {
            let expected = CheckResult::of("id", "", "", verdict.clone()).outcome();
            let (result, made) = of(&[verdict]);
            assert_eq!((result.outcome(), made), (expected, 1));
            assert_eq!(result.tries, None);
        }
    }
}
