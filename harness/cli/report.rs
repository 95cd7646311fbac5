//! `sockdrill report`: what is done with reports.

use super::arguments::{ReportArgs, Reporting};
use super::output::say;
use super::reports::{Ending, conclude, try_files};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::piece::Piece;
use crate::report::written::Written;
use crate::runner;

pub(super) fn report(arguments: &ReportArgs) -> Result<ExitCode, Error> {
    match arguments.what {
        Reporting::Merge => merge(arguments),
    }
}

/// Tells what a run of all these parts would have told.
fn merge(arguments: &ReportArgs) -> Result<ExitCode, Error> {
    try_files(&arguments.forms)?;
    let parts = arguments.files.iter();
    let parts = parts.map(|file| Ok((file.clone(), Written::read(file)?)));
    let (whole, missing) = runner::merged(parts.collect::<Result<_, Error>>()?)?;
    for line in whole.lines() {
        say(&line);
    }
    let incomplete = format!(
        "no report of {}: not all of the run is told",
        missing.join(", ")
    );
    let ending = Ending {
        folds_skipped: true,
        notes: match missing.is_empty() {
            true => Vec::new(),
            false => vec![Piece::prose("", 0, incomplete)],
        },
        events: None,
    };
    let code = conclude(&whole, &arguments.forms, NoTests::Fail, &ending);
    if missing.is_empty() {
        return Ok(code);
    }
    Ok(match code {
        ExitCode::Passed => ExitCode::CouldNotRun,
        code => code,
    })
}
