//! `sockdrill check`: every check that applies, on one server.

use super::arguments::{CheckArgs, Shared};
use super::last_run::LastRun;
use super::layers::Layers;
use super::live::{Live, Show};
use super::output::{say, say_result, say_round, warn};
use super::reports::{Close, finish, try_places};
use super::selected::list_checks;
use super::selection::chosen_checks;
use super::several;
use super::target::{is_named, settings, target, targets};
use super::unlocked;
use crate::checks;
use crate::launch::{Project, Target, command_line};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::{Profile, Transport};
use crate::report::data::{CheckResult, Outcome, Report};
use crate::report::piece::Piece;
use crate::runner::{self, Invocation, Settings};

pub(super) fn check(
    arguments: &CheckArgs,
    layers: &Layers,
    invocation: Invocation,
) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    if shared.selection.list {
        let settings = chosen(arguments, invocation)?;
        return list(arguments, &layers.project, settings);
    }
    try_places(shared)?;
    let mut live = Live::begin("check", shared, shown(arguments))?;
    let tried = tried(arguments, layers, invocation, &mut live);
    let tried = match tried {
        Err(error @ Error::NothingSelected(_)) => {
            finish(Err(error), shared, &Close::of(&live), &|_| None)
        }
        tried => tried,
    };
    live.ended(tried)
}

/// How a result is shown.
fn shown(arguments: &CheckArgs) -> Show {
    let is_verbose = arguments.verbose;
    Box::new(move |result| {
        if result.outcome() != Outcome::Skip || is_verbose {
            say_result(result);
        }
        if is_verbose && result.scenarios > 0 {
            say(&format!("    {}", result.effort()));
        }
    })
}

/// How the run is carried out, with what is chosen of the checks.
fn chosen(arguments: &CheckArgs, invocation: Invocation) -> Result<Settings, Error> {
    let shared = &arguments.shared;
    let settings = Settings {
        only: arguments.only.clone(),
        skip: arguments.skip.clone(),
        deep: arguments.deep,
        cases: arguments.cases,
        shrink: !arguments.no_shrink,
        saved: shared.artifacts.clone(),
        ..settings(shared, invocation)?
    };
    Ok(Settings {
        among: chosen_checks(&shared.selection, &settings)?,
        ..settings
    })
}

fn tried(
    arguments: &CheckArgs,
    layers: &Layers,
    invocation: Invocation,
    live: &mut Live,
) -> Result<(Option<Report>, ExitCode), Error> {
    let shared = &arguments.shared;
    let settings = chosen(arguments, invocation)?;
    let mut targets = targets(&arguments.targets, shared, &layers.project)?;
    if targets.len() > 1 {
        return several::check(targets, &settings, arguments, layers, live);
    }
    let target = targets.remove(0);
    live.is_of(&target.name);
    let last = LastRun::of(&layers.project);
    let settings = narrowed(settings, &last, shared, Some(&target))?;
    let ran = drilled(&target, &settings, layers, live);
    let notes = |report: &Report| {
        let too_few = too_few(arguments, report);
        let too_few = too_few.map(|words| Piece::prose("", 0, words));
        let blind = blind(&target, &settings, report);
        blind.into_iter().chain(too_few).collect()
    };
    let close = Close {
        folds_skipped: !arguments.verbose,
        notes: &notes,
        ..Close::of(live)
    };
    let (report, code) = finish(ran, shared, &close, &|_| Some(&target))?;
    let is_too_few = report
        .as_ref()
        .is_some_and(|report| too_few(arguments, report).is_some());
    Ok(match is_too_few {
        true => (report, ExitCode::Failed),
        false => (report, code),
    })
}

/// What is said where too few checks have passed. Of what the user did not wait for nothing is demanded.
fn too_few(arguments: &CheckArgs, report: &Report) -> Option<String> {
    let passed = report.summary().pass;
    let least = arguments.min_checks.filter(|least| passed < *least)?;
    let words = format!("{passed} checks passed, and --min-checks wants {least}");
    (!report.interrupted).then_some(words)
}

/// Drills one server, tells its results as they come, and keeps what has failed for a later run.
pub(super) fn drilled(
    target: &Target,
    settings: &Settings,
    layers: &Layers,
    live: &mut Live,
) -> Result<Report, Error> {
    let unreadable = runner::unreadable_saved_cases(settings);
    for error in &unreadable {
        warn(&format!("a saved case is left out: {}", error.chain()));
    }
    if unreadable.len() > 1 {
        warn(&format!("{} saved cases are left out", unreadable.len()));
    }
    let settings = live.seen(settings.clone());
    let on_result = |result: &CheckResult| live.result(result);
    let ran = runner::in_rounds(&settings, &say_round, &on_result, |settings, on_result| {
        runner::check(target, settings, on_result)
    });
    live.over();
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
pub(super) fn blind(target: &Target, settings: &Settings, report: &Report) -> Vec<Piece> {
    let is_whole = settings.only.is_empty() && settings.among.is_none() && !report.interrupted;
    if target.profile.has_dialogue() || target.elsewhere.is_some() || !is_whole {
        return Vec::new();
    }
    let seen = report.observations.get("transport");
    let transport = Transport::ALL
        .iter()
        .find(|known| seen.is_some_and(|seen| known.to_string() == *seen));
    let Some(transport) = transport else {
        return Vec::new();
    };
    let more = unlocked::by_a_profile(*transport);
    let server = command_line([target.command_line().as_str()]);
    let name = &target.name;
    vec![
        Piece::prose(
            "",
            0,
            format!(
                "nothing is known of what the server speaks: a profile has up to {more} checks more. A client's words make one:"
            ),
        ),
        Piece::exact(format!(
            "  sockdrill learn -o {name}.toml --server {server} -- CLIENT…"
        )),
        Piece::prose("", 0, "`sockdrill init` writes one to be filled in"),
    ]
}
