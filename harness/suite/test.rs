//! A test of a suite, whoever runs it.

use crate::launch::Target;
use std::fmt;

/// A test of a [`Suite`](super::Suite), for a test program that has others too.
///
/// ```no_run
/// use sockdrill::suite::{Suite, TestEnd};
///
/// for test in Suite::of_scenarios("tests/scenarios").tests() {
///     let name = test.name().to_owned();
///     match test.run() {
///         Ok(TestEnd::Passed) => println!("{name}: passed"),
///         Ok(TestEnd::Ignored(reason)) => println!("{name}: ignored: {reason}"),
///         Err(failure) => println!("{name}: failed: {failure}"),
///     }
/// }
/// ```
#[must_use = "it has not run yet"]
pub struct Test {
    name: String,
    is_ignored: bool,
    run: Box<dyn FnOnce() -> Result<End, String> + Send>,
}

/// How a test ended that did not fail, and whether it has concluded anything.
pub(super) enum End {
    /// What it demands is so.
    Passed,
    /// What it demands is not so, which is known or no more than a recommendation: the reason.
    Tolerated(String),
    /// It was not tried: the reason.
    NotTried(String),
}

impl From<End> for TestEnd {
    fn from(end: End) -> Self {
        match end {
            End::Passed => Self::Passed,
            End::Tolerated(reason) | End::NotTried(reason) => Self::Ignored(reason),
        }
    }
}

/// How a test ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestEnd {
    /// What it demands is so.
    Passed,
    /// It could not run here, does not apply, or what failed is known or no more than recommended: the reason.
    Ignored(String),
}

impl Test {
    pub(super) fn new(
        name: impl Into<String>,
        run: impl FnOnce() -> Result<End, String> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            is_ignored: false,
            run: Box::new(run),
        }
    }

    /// A test of a server that may not be installed. One that is of a package is ignored with that reason, or fails if
    /// `SOCKDRILL_REQUIRE` demands it; any other is what the suite is about, and fails.
    pub(super) fn of(
        target: &Target,
        name: String,
        run: impl FnOnce() -> Result<End, String> + Send + 'static,
    ) -> Self {
        let may_be_missing = target.package.is_some();
        let missing = (may_be_missing && !target.is_installed()).then(|| target.name.clone());
        let Some(need) = missing.filter(|need| !is_required(need)) else {
            return Self::new(name, run);
        };
        let reason = format!("{need} is not installed");
        let test = Self::new(name, || Ok(End::NotTried(reason)));
        Self {
            // Only what is ignored in the listing counts as skipped there; a reason can only be given by a test that runs.
            is_ignored: std::env::var_os("NEXTEST").is_some(),
            ..test
        }
    }

    /// The name, its parts joined by `::`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is to be listed as ignored.
    pub fn is_ignored(&self) -> bool {
        self.is_ignored
    }

    /// Runs it.
    ///
    /// # Errors
    /// Why it failed: the finding with its evidence and how to repeat it, or what kept the server from being tried.
    pub fn run(self) -> Result<TestEnd, String> {
        self.end().map(TestEnd::from)
    }

    /// Runs it, and tells whether it has concluded anything.
    pub(super) fn end(self) -> Result<End, String> {
        (self.run)()
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut test = f.debug_struct("Test");
        test.field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether `SOCKDRILL_REQUIRE` demands that tests with this need are run.
fn is_required(need: &str) -> bool {
    let demanded = std::env::var("SOCKDRILL_REQUIRE").unwrap_or_default();
    let mut demanded = demanded.split(',').map(str::trim);
    demanded.any(|name| name == "all" || name == need)
}
