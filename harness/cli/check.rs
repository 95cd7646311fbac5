//! `sockdrill check`: every check that applies, on one server.

use super::arguments::CheckArgs;
use super::output::{say, warn};
use super::reports::{finish, try_places};
use super::target::{settings, target};
use crate::model::error::{Error, ExitCode};
use crate::runner::{self, Invocation, Settings};

pub(super) fn check(arguments: &CheckArgs, invocation: Invocation) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let target = target(arguments.target.as_deref(), shared)?;
    try_places(shared)?;
    let settings = Settings {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
        deep: arguments.deep,
        fail_fast: !arguments.no_fail_fast,
        cases: arguments.cases,
        saved: shared.artifacts.clone(),
        ..settings(shared, invocation)?
    };
    let unreadable = runner::unreadable_saved_cases(&settings);
    for error in &unreadable {
        warn(&format!("a saved case is left out: {}", error.chain()));
    }
    if unreadable.len() > 1 {
        warn(&format!("{} saved cases are left out", unreadable.len()));
    }
    let ran = runner::check(&target, &settings, &|result| {
        say(&result.line());
        if arguments.verbose && result.scenarios > 0 {
            say(&format!("    {}", result.effort()));
        }
    });
    let (report, code) = finish(ran, shared)?;
    let passed = report.map_or(0, |report| report.summary().pass);
    // Of what the user did not wait for nothing is demanded.
    if code == ExitCode::Interrupted {
        return Ok(code);
    }
    if let Some(least) = arguments.min_checks.filter(|least| passed < *least) {
        say(&format!(
            "{passed} checks passed, and --min-checks wants {least}"
        ));
        return Ok(ExitCode::Failed);
    }
    Ok(code)
}
