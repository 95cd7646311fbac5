//! `sockdrill check`: every check that applies, on one server.

use super::arguments::CheckArgs;
use super::output::{say, warn};
use super::reports::{finish, try_places};
use super::target::{settings, target};
use super::unlocked;
use crate::launch::{Target, command_line};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::Transport;
use crate::report::data::Report;
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
    if let Some(hint) = report
        .as_ref()
        .and_then(|report| blind(&target, &settings, report))
    {
        say(&hint);
    }
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

/// What a run has left out that knew nothing of what the server speaks, and how that comes to be known.
fn blind(target: &Target, settings: &Settings, report: &Report) -> Option<String> {
    let is_whole = settings.only.is_empty() && !report.interrupted;
    if target.profile.has_dialogue() || target.elsewhere.is_some() || !is_whole {
        return None;
    }
    let seen = report.observations.get("transport")?;
    let transport = Transport::ALL
        .iter()
        .find(|known| known.to_string() == *seen)?;
    let more = unlocked::by_a_profile(*transport);
    let server = command_line([target.command_line().as_str()]);
    Some(format!(
        "nothing is known of what the server speaks: a profile has up to {more} checks more. A client's words make one:\n  \
         sockdrill learn -o {name}.toml --server {server} -- CLIENT…\n`sockdrill init` writes one to be filled in",
        name = target.name
    ))
}
