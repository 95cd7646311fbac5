//! `sockdrill check`: every check that applies, on one server.

use super::arguments::{CheckArgs, Shared};
use super::last_run::LastRun;
use super::layers::Layers;
use super::output::{say, say_result, say_round, warn};
use super::reports::{finish, try_places};
use super::selected::list_checks;
use super::selection::chosen_checks;
use super::several;
use super::target::{is_named, settings, target, targets};
use super::unlocked;
use crate::checks;
use crate::launch::{Project, Target, command_line};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::{Profile, Transport};
use crate::report::data::{CheckResult, Report};
use crate::runner::{self, Invocation, Settings};

pub(super) fn check(
    arguments: &CheckArgs,
    layers: &Layers,
    invocation: Invocation,
) -> Result<ExitCode, Error> {
    match tried(arguments, layers, invocation) {
        Err(error @ Error::NothingSelected(_)) => {
            let (_, code) = finish(Err(error), &arguments.shared, &|_| None)?;
            Ok(code)
        }
        done => done,
    }
}

fn tried(
    arguments: &CheckArgs,
    layers: &Layers,
    invocation: Invocation,
) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let settings = Settings {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
        deep: arguments.deep,
        cases: arguments.cases,
        saved: shared.artifacts.clone(),
        ..settings(shared, invocation)?
    };
    let settings = Settings {
        among: chosen_checks(&shared.selection, &settings)?,
        ..settings
    };
    if shared.selection.list {
        return list(arguments, &layers.project, settings);
    }
    let mut targets = targets(&arguments.targets, shared, &layers.project)?;
    if targets.len() > 1 {
        return several::check(targets, &settings, arguments, layers);
    }
    let target = targets.remove(0);
    let last = LastRun::of(&layers.project);
    let settings = narrowed(settings, &last, shared, Some(&target))?;
    try_places(shared)?;
    let ran = drilled(&target, &settings, arguments, layers);
    let (report, code) = finish(ran, shared, &|_| Some(&target))?;
    if let Some(hint) = report
        .as_ref()
        .and_then(|report| hint(&target, &settings, report))
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

/// Drills one server, tells its results as they come, and keeps what has failed for a later run.
pub(super) fn drilled(
    target: &Target,
    settings: &Settings,
    arguments: &CheckArgs,
    layers: &Layers,
) -> Result<Report, Error> {
    let unreadable = runner::unreadable_saved_cases(settings);
    for error in &unreadable {
        warn(&format!("a saved case is left out: {}", error.chain()));
    }
    if unreadable.len() > 1 {
        warn(&format!("{} saved cases are left out", unreadable.len()));
    }
    let on_result = |result: &CheckResult| {
        say_result(result);
        if arguments.verbose && result.scenarios > 0 {
            say(&format!("    {}", result.effort()));
        }
    };
    let ran = runner::in_rounds(settings, &say_round, &on_result, |settings, on_result| {
        runner::check(target, settings, on_result)
    });
    if let Ok(report) = &ran {
        LastRun::of(&layers.project).keep_checks(target, report);
    }
    ran
}

/// Lists the checks that are chosen, of which no server has to be known.
fn list(arguments: &CheckArgs, project: &Project, settings: Settings) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    let name = arguments.targets.first().map(String::as_str);
    let is_known = name.is_some() || is_named(shared);
    let known = is_known.then(|| target(name, shared, project));
    let known = known.transpose()?;
    let settings = narrowed(settings, &LastRun::of(project), shared, known.as_ref())?;
    let unknown = || Target::command([""; 0], Profile::unknown());
    let target = known.unwrap_or_else(unknown);
    let selected = runner::selected(&target, &checks::all(), &settings)?;
    list_checks(selected, &settings, &shared.selection)
}

/// The same where only what has failed is tried, if that is wanted.
pub(super) fn narrowed(
    settings: Settings,
    last: &LastRun,
    shared: &Shared,
    target: Option<&Target>,
) -> Result<Settings, Error> {
    if !shared.selection.last_failed {
        return Ok(settings);
    }
    let Some(failed) = last.checks(target)? else {
        return Ok(settings);
    };
    let table = checks::all().into_iter().map(|check| check.id);
    let has_failed = |id: &&str| failed.iter().any(|failed| failed == id) && settings.selects(id);
    let among: Vec<&str> = table.filter(has_failed).collect();
    match among.is_empty() {
        true => Err(Error::NothingSelected(
            "none of the checks that have failed before is chosen".to_owned(),
        )),
        false => Ok(Settings {
            among: Some(among),
            ..settings
        }),
    }
}

/// What a run has left out that knew nothing of what the server speaks, and how that comes to be known.
pub(super) fn hint(target: &Target, settings: &Settings, report: &Report) -> Option<String> {
    let is_whole = settings.only.is_empty() && settings.among.is_none() && !report.interrupted;
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
