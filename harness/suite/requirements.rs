//! Tests that cannot run everywhere.

use crate::launch::Target;
use libtest_mimic::{Completion, Failed, Trial};

/// A test of a server that may not be installed.
pub(super) fn if_installed(
    name: String,
    target: &Target,
    run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let missing = (!target.is_installed()).then(|| target.name.clone());
    ignorable(name, missing, run)
}

/// A test that cannot run here where something is `missing`: it is ignored with the reason, or fails if
/// `SOCKDRILL_REQUIRE` demands what is missing.
fn ignorable(
    name: String,
    missing: Option<String>,
    run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let missing = missing.filter(|need| !is_required(need));
    // Only what is ignored in the listing counts as skipped there; a reason can only be given by a test that runs.
    let by_flag = missing.is_some() && std::env::var_os("NEXTEST").is_some();
    let trial = Trial::ignorable_test(name, move || match missing {
        Some(need) => Ok(Completion::ignored_with(format!("{need} is not installed"))),
        None => run(),
    });
    trial.with_ignored_flag(by_flag)
}

/// Whether `SOCKDRILL_REQUIRE` demands that tests with this need are run.
fn is_required(need: &str) -> bool {
    let demanded = std::env::var("SOCKDRILL_REQUIRE").unwrap_or_default();
    demanded
        .split(',')
        .map(str::trim)
        .any(|name| name == "all" || name == need)
}
