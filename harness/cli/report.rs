//! `sockdrill report`: what is done with reports.

use super::arguments::{ReportArgs, Reporting};
use super::destination::Destination;
use super::output::{say, say_heading};
use super::reports::{Ending, conclude, say_end_of_one, try_files};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::piece::Piece;
use crate::report::several::Document;
use crate::runner;

pub(super) fn report(arguments: &ReportArgs) -> Result<ExitCode, Error> {
    match arguments.what {
        Reporting::Merge => merge(arguments),
        Reporting::Html => html(arguments),
    }
}

/// Writes a page of each report, beside it or where `--html` says.
fn html(arguments: &ReportArgs) -> Result<ExitCode, Error> {
    let forms = &arguments.forms;
    let is_one = arguments.files.len() == 1;
    if forms.json.is_some() || forms.junit.is_some() || (forms.html.is_some() && !is_one) {
        return Err(Error::Usage(
            "`report html` writes a page beside each report, or with `--html FILE` that of one report".to_owned(),
        ));
    }
    for file in &arguments.files {
        let report = Document::read(file)?;
        let page = forms
            .html
            .clone()
            .unwrap_or_else(|| file.with_extension("html"));
        if page == *file {
            return Err(Error::Usage(format!(
                "{} is the report itself; name another file by --html",
                file.display()
            )));
        }
        Destination::of("html", &page).write(&report.to_html())?;
        say(&page.display().to_string());
    }
    Ok(ExitCode::Passed)
}

/// Tells what a run of all these parts would have told.
fn merge(arguments: &ReportArgs) -> Result<ExitCode, Error> {
    try_files(&arguments.forms)?;
    let files = arguments.files.iter();
    let parts = files.map(|file| Ok((file.clone(), Document::read(file)?)));
    let (whole, missing) = runner::merged(parts.collect::<Result<_, Error>>()?)?;
    say_lines(&whole);
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

/// The lines of all results, and of several targets what is said of each besides.
fn say_lines(document: &Document) {
    for (n, report) in document.reports().iter().enumerate() {
        if let Document::Several(several) = document {
            say_heading(&report.target, n, several.targets.len());
        }
        report.lines().for_each(|line| say(&line));
        if let Document::Several(_) = document {
            say_end_of_one(report, NoTests::Fail, &Ending::folded());
        }
    }
}
