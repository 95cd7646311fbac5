//! `sockdrill run`: scenario files.

use super::arguments::RunArgs;
use super::output::say;
use super::reports::{finish, try_places};
use super::target::{is_named, refuse_misplaced, settings, started_as_told, target};
use crate::model::error::{Error, ExitCode};
use crate::runner::{self, CaseRun, Given, Invocation, Settings};

pub(super) fn run(arguments: &RunArgs, invocation: Invocation) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let given = Given {
        target: is_named(shared).then(|| target(None, shared)).transpose()?,
        speaks: shared.speaks.clone(),
        program: None,
    };
    try_places(shared)?;
    let settings = Settings {
        verbose: arguments.verbose,
        ..settings(shared, invocation)?
    };
    let ran = cases(arguments, &given).and_then(|cases| {
        runner::run_cases(&cases, &settings, &|result| {
            say(&result.line());
            if arguments.verbose {
                for line in &result.transcript {
                    say(&format!("    {line}"));
                }
            }
        })
    });
    let (_, code) = finish(ran, shared)?;
    Ok(code)
}

/// The cases of all files.
fn cases(arguments: &RunArgs, given: &Given) -> Result<Vec<CaseRun>, Error> {
    let mut cases = Vec::new();
    for file in &arguments.files {
        cases.extend(runner::cases_of(file, given)?);
    }
    for case in &mut cases {
        started_as_told(&mut case.target, &arguments.shared);
    }
    let targets: Vec<_> = cases.iter().map(|case| &case.target).collect();
    refuse_misplaced(&targets, &arguments.shared)?;
    Ok(cases)
}
