//! The reports of a run, in the forms that were asked for.

use super::arguments::Shared;
use super::output::{say, write};
use crate::model::error::Error;
use crate::report::data::{CheckResult, Report};
use crate::runner;
use std::path::Path;

/// Writes the reports that were asked for, and the end of the text.
pub(super) fn finish(report: &Report, shared: &Shared) -> Result<(), Error> {
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
