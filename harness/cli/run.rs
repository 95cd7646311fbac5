//! `sockdrill run`: scenario files.

use super::arguments::RunArgs;
use super::output::say;
use super::reports::finish;
use super::target::{settings, target};
use crate::model::error::{Error, ExitCode};
use crate::runner::{self, Given, Invocation};

pub(super) fn run(arguments: &RunArgs, invocation: Invocation) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let commanded = !shared.command.is_empty();
    let given = Given {
        target: commanded.then(|| target(None, shared)).transpose()?,
        speaks: shared.speaks.clone(),
        program: None,
    };
    let mut cases = Vec::new();
    for file in &arguments.files {
        cases.extend(runner::cases_of(file, &given)?);
    }
    if shared.listen.is_some() {
        for case in &mut cases {
            case.target.listen.clone_from(&shared.listen);
        }
    }
    let settings = settings(shared, invocation)?;
    let report = runner::run_cases(&cases, &settings, &|result| {
        say(&result.line());
        if arguments.verbose {
            for line in &result.transcript {
                say(&format!("    {line}"));
            }
        }
    })?;
    finish(&report, shared)?;
    Ok(report.exit_code())
}
