//! The reports of a run, in the forms that were asked for.

use super::arguments::Shared;
use super::output::{say, write};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::data::{CheckResult, Report};
use crate::runner;
use std::path::Path;

/// What a run comes to, in which there may have been nothing to try: writes the reports that were asked for and the end of
/// the text, and returns the exit code.
pub(super) fn finish(
    ran: Result<Report, Error>,
    shared: &Shared,
) -> Result<(Option<Report>, ExitCode), Error> {
    let no_tests = shared.no_tests.into();
    let report = match ran {
        Err(error @ Error::NothingSelected(_)) if no_tests != NoTests::Fail => {
            if no_tests == NoTests::Warn {
                say(&format!("warning: {}", error.chain()));
            }
            return Ok((None, ExitCode::Passed));
        }
        ran => ran?,
    };
    write_all(&report, shared)?;
    if let Some(too_little) = report.too_little().filter(|why| why.is_told(no_tests)) {
        say(&too_little.to_string());
    }
    let code = report.exit_code_with(no_tests);
    Ok((Some(report), code))
}

fn write_all(report: &Report, shared: &Shared) -> Result<(), Error> {
    for line in report.closing_text().trim_end().lines() {
        say(line);
    }
    if let Some(path) = &shared.json {
        write(path, &report.to_json())?;
    }
    if let Some(path) = &shared.junit {
        write(path, &report.to_junit())?;
    }
    if let Some(path) = &shared.html {
        write(path, &report.to_html())?;
    }
    if let Some(folder) = &shared.artifacts {
        for result in &report.results {
            write_artifact(folder, result)?;
        }
    }
    Ok(())
}

fn write_artifact(folder: &Path, result: &CheckResult) -> Result<(), Error> {
    let Some(scenario) = &result.scenario else {
        return Ok(());
    };
    let path = folder.join(runner::artifact_name(result));
    std::fs::create_dir_all(folder).map_err(Error::file("making", folder))?;
    write(
        &path,
        &format!("# {}: {}\n{scenario}", result.id, result.requirement),
    )
}
