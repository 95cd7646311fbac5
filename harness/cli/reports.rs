//! The reports of a run, in the forms that were asked for.

use super::arguments::{Forms, Shared};
use super::output::{say, write};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::data::{CheckResult, Report};
use crate::report::written::Written;
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
    let code = conclude(&report.written(), &shared.forms, no_tests)?;
    if let Some(folder) = &shared.artifacts {
        for result in &report.results {
            write_artifact(folder, result)?;
        }
    }
    Ok((Some(report), code))
}

/// Writes a report in the forms that were asked for, and the end of its text, and returns the exit code.
pub(super) fn conclude(
    report: &Written,
    forms: &Forms,
    no_tests: NoTests,
) -> Result<ExitCode, Error> {
    write_all(report, forms)?;
    if let Some(too_little) = report.too_little().filter(|why| why.is_told(no_tests)) {
        say(&too_little.to_string());
    }
    Ok(report.exit_code(no_tests))
}

fn write_all(report: &Written, forms: &Forms) -> Result<(), Error> {
    for line in report.closing_text().trim_end().lines() {
        say(line);
    }
    if let Some(path) = &forms.json {
        write(path, &report.to_json())?;
    }
    if let Some(path) = &forms.junit {
        write(path, &report.to_junit())?;
    }
    if let Some(path) = &forms.html {
        write(path, &report.to_html())?;
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
