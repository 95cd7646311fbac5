//! Whether a run has come to enough conclusions for a green light to mean anything: one answer for every command and for
//! suites.

use super::data::Summary;
use crate::model::error::ExitCode;
use std::fmt;

/// What becomes of a run in which nothing was tried: nothing was selected, or all of it was skipped.
///
/// ```
/// use sockdrill::{NoTests, Report};
///
/// /// What a job that may well have nothing to do says of a run.
/// fn is_green(report: &Report) -> bool {
///     report.exit_code_with(NoTests::Pass) as i32 == 0
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoTests {
    /// It passes, and nothing is said.
    Pass,
    /// It passes, and what was not concluded is said.
    Warn,
    /// It does not pass.
    #[default]
    Fail,
}

/// Why a run says too little of its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLittle {
    /// All of it was skipped, or there was nothing.
    NothingTried {
        /// How much was skipped.
        skipped: usize,
    },
    /// More of it proved nothing than proved anything.
    MostlyInconclusive {
        /// How much proved nothing.
        inconclusive: usize,
        /// Of how much that was tried.
        tried: usize,
    },
    /// The run's budget was over before anything was concluded.
    OutOfBudget {
        /// For how much it left no time.
        left_out: usize,
    },
    /// A server could not be started, so that what is to be said of it is not said.
    NotRun {
        /// How often.
        times: usize,
    },
}

impl TooLittle {
    /// What keeps a run in which nothing failed from being green, if anything does; `not_run` of its results could not be
    /// tried at all, and for `left_out` of them the budget left no time: that is what was asked for, as long as there is
    /// anything else.
    pub(crate) fn of(summary: &Summary, not_run: usize, left_out: usize) -> Option<Self> {
        let Summary {
            pass,
            fail,
            inconclusive,
            skip,
            known,
            flaky,
            warn,
        } = *summary;
        let concluded = pass + fail + known + flaky + warn;
        let inconclusive = inconclusive.saturating_sub(left_out);
        if not_run > 0 {
            return Some(Self::NotRun { times: not_run });
        }
        if concluded + inconclusive == 0 && left_out > 0 {
            return Some(Self::OutOfBudget { left_out });
        }
        if concluded + inconclusive == 0 {
            return Some(Self::NothingTried { skipped: skip });
        }
        (inconclusive > concluded).then_some(Self::MostlyInconclusive {
            inconclusive,
            tried: concluded + inconclusive,
        })
    }

    /// The exit code that it comes to where nothing failed.
    pub(crate) fn exit_code(self, no_tests: NoTests) -> ExitCode {
        match (self, no_tests) {
            (Self::NothingTried { .. }, NoTests::Pass | NoTests::Warn) => ExitCode::Passed,
            _ => ExitCode::CouldNotRun,
        }
    }

    /// Whether there is anything to say of it.
    pub(crate) fn is_told(self, no_tests: NoTests) -> bool {
        no_tests != NoTests::Pass || !matches!(self, Self::NothingTried { .. })
    }
}

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingTried { skipped: 0 } => {
                f.write_str("nothing was concluded: nothing was tried")
            }
            Self::NothingTried { skipped } => {
                write!(
                    f,
                    "nothing was concluded: all that was selected ({skipped}) was skipped"
                )
            }
            Self::MostlyInconclusive {
                inconclusive,
                tried,
            } if inconclusive == tried => {
                write!(
                    f,
                    "nothing was concluded: all that was tried ({tried}) proved nothing"
                )
            }
            Self::MostlyInconclusive {
                inconclusive,
                tried,
            } => write!(
                f,
                "too little was concluded: {inconclusive} of {tried} that were tried proved nothing"
            ),
            Self::OutOfBudget { left_out } => write!(
                f,
                "nothing was concluded: the budget was over before ({left_out} were left out)"
            ),
            Self::NotRun { times: 1 } => f.write_str("one of them could not be run"),
            Self::NotRun { times } => write!(f, "{times} of them could not be run"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pass: usize, inconclusive: usize, skip: usize) -> Option<TooLittle> {
        let summary = Summary {
            pass,
            inconclusive,
            skip,
            ..Summary::default()
        };
        TooLittle::of(&summary, 0, 0)
    }

    #[test]
    fn run_of_which_most_proves_nothing_is_not_green() {
        assert_eq!(of(2, 2, 0), None);
        assert_eq!(of(1, 0, 50), None);
        let mostly = of(2, 3, 0).unwrap();
        assert_eq!(mostly.exit_code(NoTests::Pass), ExitCode::CouldNotRun);
        assert!(mostly.to_string().contains("3 of 5"), "{mostly}");
        assert!(of(0, 1, 4).unwrap().to_string().contains("all"));
    }

    #[test]
    fn run_without_a_test_is_what_its_user_says() {
        let skipped = of(0, 0, 7).unwrap();
        let code = |no_tests| skipped.exit_code(no_tests);
        assert_eq!(code(NoTests::Fail), ExitCode::CouldNotRun);
        assert_eq!(code(NoTests::Warn), ExitCode::Passed);
        assert_eq!(code(NoTests::Pass), ExitCode::Passed);
        let told =
            [NoTests::Fail, NoTests::Warn, NoTests::Pass].map(|no_tests| skipped.is_told(no_tests));
        assert_eq!(told, [true, true, false]);
    }

    #[test]
    fn what_a_budget_leaves_out_is_no_doubt_beside_what_was_concluded() {
        let summary = |pass| Summary {
            pass,
            inconclusive: 40,
            ..Summary::default()
        };
        assert_eq!(TooLittle::of(&summary(1), 0, 40), None);
        assert!(TooLittle::of(&summary(1), 0, 38).is_some());
        let nothing = TooLittle::of(&summary(0), 0, 40).unwrap();
        assert_eq!(nothing.exit_code(NoTests::Pass), ExitCode::CouldNotRun);
    }

    #[test]
    fn what_could_not_be_run_is_no_pass() {
        let passed = Summary {
            pass: 9,
            ..Summary::default()
        };
        let one = TooLittle::of(&passed, 1, 0).unwrap();
        assert_eq!(one.exit_code(NoTests::Pass), ExitCode::CouldNotRun);
    }
}
