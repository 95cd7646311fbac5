//! How the tests of a suite ended, to tell whether anything was concluded.

use super::test::End;
use crate::report::concluded::{NoTests, TooLittle};
use crate::report::data::Summary;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// How many tests ended in which way. Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(Arc<Mutex<Summary>>);

impl Tally {
    pub(super) fn count(&self, end: &Result<End, String>) {
        let Ok(mut summary) = self.0.lock() else {
            return;
        };
        let count = match end {
            Ok(End::Passed) => &mut summary.pass,
            Ok(End::Tolerated(_)) => &mut summary.known,
            Ok(End::NotTried(_)) => &mut summary.skip,
            Err(_) => &mut summary.fail,
        };
        *count += 1;
    }

    /// Says where nothing was concluded, and returns the exit code for it; nextest runs each test by itself.
    pub(super) fn too_little(&self, no_tests: NoTests) -> Option<ExitCode> {
        if std::env::var_os("NEXTEST").is_some() {
            return None;
        }
        let why = self.summary_says_too_little()?;
        if why.is_told(no_tests) {
            let _ = writeln!(std::io::stderr(), "{why}");
        }
        Some(ExitCode::from(why.exit_code(no_tests) as u8))
    }

    /// Who has listed tests, or has chosen none of them, has asked for nothing.
    fn summary_says_too_little(&self) -> Option<TooLittle> {
        let summary = *self.0.lock().ok()?;
        let asked = summary != Summary::default();
        TooLittle::of(&summary, 0, 0).filter(|_| asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_of_which_all_is_ignored_has_concluded_nothing() {
        let tally = Tally::default();
        let is_green = || tally.summary_says_too_little().is_none();
        assert!(is_green(), "who lists tests asks for nothing");
        tally.count(&Ok(End::NotTried("skip: it does not apply".to_owned())));
        assert!(!is_green());
        tally.count(&Ok(End::Tolerated("known: see issue 7".to_owned())));
        assert!(is_green());
    }
}
