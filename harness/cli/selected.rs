//! `--list`: what a run would try, without a server.

use super::arguments::{ListFormat, Selection};
use super::list::{Row, check_row, print_rows};
use super::selection::tags;
use crate::model::check::Check;
use crate::model::error::{Error, ExitCode};
use crate::runner::{CaseRun, Settings, part_of};

/// Lists cases, each with the place by which it is run alone.
pub(super) fn list_cases(
    cases: &[CaseRun],
    settings: &Settings,
    selection: &Selection,
) -> Result<ExitCode, Error> {
    let cases = part_of(cases.iter().collect(), settings, |case| &case.id)?;
    Ok(listed(cases.into_iter().map(case_row), selection))
}

/// Lists checks; whether they apply is known once the server is.
pub(super) fn list_checks(
    checks: Vec<&'static Check>,
    settings: &Settings,
    selection: &Selection,
) -> Result<ExitCode, Error> {
    let checks = part_of(checks, settings, |check| check.id)?;
    Ok(listed(checks.into_iter().map(check_row), selection))
}

fn listed(rows: impl Iterator<Item = Row>, selection: &Selection) -> ExitCode {
    print_rows(rows.collect(), selection.format == ListFormat::Json);
    ExitCode::Passed
}

fn case_row(case: &CaseRun) -> Row {
    let place = match case.line {
        0 => case.file.clone(),
        line => format!("{}:{line}", case.file),
    };
    Row {
        name: case.id.clone(),
        about: place,
        json: serde_json::json!({
            "id": case.id,
            "name": case.scenario.name,
            "file": case.file,
            "line": case.line,
            "server": case.target.name,
            "tags": tags(case),
        }),
    }
}
