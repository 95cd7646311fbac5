//! `sockdrill check`: every check that applies, on one server.

use super::arguments::CheckArgs;
use super::output::say;
use super::reports::finish;
use super::target::{settings, target};
use crate::checks;
use crate::launch::Target;
use crate::model::error::{Error, ExitCode};
use crate::model::profile::Profile;
use crate::runner::{self, Invocation, Settings};

pub(super) fn check(arguments: &CheckArgs) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let target = target(arguments.target.as_deref(), shared)?;
    let settings = Settings {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
        deep: arguments.deep,
        cases: arguments.cases,
        saved: shared.artifacts.clone(),
        strict: arguments.strict,
        invocation: invocation(arguments),
        ..settings(shared)?
    };
    let report = runner::check(&target, &checks::all(), &settings, &|result| {
        say(&result.line());
        if arguments.verbose && result.scenarios > 0 {
            say(&format!("    {}", result.effort()));
        }
    })?;
    finish(&report, shared)?;
    let passed = report.summary().pass;
    if let Some(least) = arguments.min_checks.filter(|least| passed < *least) {
        say(&format!(
            "{passed} checks passed, and --min-checks wants {least}"
        ));
        return Ok(ExitCode::Failed);
    }
    Ok(report.exit_code())
}

fn invocation(arguments: &CheckArgs) -> Invocation {
    let shared = &arguments.shared;
    let mut target = Vec::new();
    target.extend(arguments.target.clone());
    if let Some(speaks) = &shared.speaks {
        target.extend(["--speaks".to_owned(), speaks.clone()]);
    }
    if let Some(listen) = &shared.listen {
        target.extend(["--listen".to_owned(), listen.clone()]);
    }
    if arguments.deep {
        target.push("--deep".to_owned());
    }
    if let Some(cases) = arguments.cases {
        target.extend(["--cases".to_owned(), cases.to_string()]);
    }
    let command = Target::command(shared.command.clone(), Profile::unknown());
    let command = (!shared.command.is_empty()).then(|| command.command_line());
    Invocation { target, command }
}
