//! `sockdrill run`: scenario files.

use super::arguments::RunArgs;
use super::last_run::LastRun;
use super::layers::Layers;
use super::live::{Live, Show};
use super::output::{say, say_result, say_round};
use super::reports::{Close, finish, try_places};
use super::selected::list_cases;
use super::selection::chosen_cases;
use super::target::{is_named, refuse_misplaced, settings, started_as_told, target};
use crate::model::error::{Error, ExitCode};
use crate::report::data::{CheckResult, Outcome, Report};
use crate::runner::{self, CaseRun, Given, Invocation, Settings};
use std::collections::HashSet;

pub(super) fn run(
    arguments: &RunArgs,
    layers: &Layers,
    invocation: Invocation,
) -> Result<ExitCode, Error> {
    let shared = &arguments.shared;
    if shared.selection.list {
        let settings = settings(shared, invocation)?;
        let last = LastRun::of(&layers.project);
        let cases = cases(arguments, &given(arguments, layers)?, &last)?;
        return list_cases(&cases, &settings, &shared.selection);
    }
    try_places(shared)?;
    let mut live = Live::begin("case", shared, shown(arguments))?;
    let tried = tried(arguments, layers, invocation, &mut live);
    live.ended(tried)
}

/// How a result is shown.
fn shown(arguments: &RunArgs) -> Show {
    let is_verbose = arguments.verbose;
    Box::new(move |result| {
        if result.outcome() != Outcome::Skip || is_verbose {
            say_result(result);
        }
        let lines = result.transcript.iter().filter(|_| is_verbose);
        lines.for_each(|line| say(&format!("    {line}")));
    })
}

fn given(arguments: &RunArgs, layers: &Layers) -> Result<Given, Error> {
    let shared = &arguments.shared;
    Ok(Given {
        target: is_named(shared)
            .then(|| target(None, shared, &layers.project))
            .transpose()?,
        speaks: shared.speaks.clone(),
        program: None,
        project: layers.project.clone(),
    })
}

fn tried(
    arguments: &RunArgs,
    layers: &Layers,
    invocation: Invocation,
    live: &mut Live,
) -> Result<(Option<Report>, ExitCode), Error> {
    let shared = &arguments.shared;
    let given = given(arguments, layers)?;
    let settings = Settings {
        verbose: arguments.verbose,
        ..settings(shared, invocation)?
    };
    let last = LastRun::of(&layers.project);
    let cases = match cases(arguments, &given, &last) {
        Ok(cases) => cases,
        Err(error) => return finish(Err(error), shared, &Close::of(live), &|_| None),
    };
    if let Some(first) = cases.first() {
        live.is_of(&first.target.name);
    }
    let settings = live.seen(settings);
    let on_result = |result: &CheckResult| live.result(result);
    let ran = runner::in_rounds(&settings, &say_round, &on_result, |settings, on_result| {
        runner::run_cases(&cases, settings, on_result)
    });
    live.over();
    if let Ok(report) = &ran {
        last.keep_cases(report);
    }
    let server = |result: &CheckResult| cases.get(result.place).map(|case| &case.target);
    let close = Close {
        folds_skipped: !arguments.verbose,
        ..Close::of(live)
    };
    finish(ran, shared, &close, &server)
}

/// The cases of all files that are chosen.
fn cases(arguments: &RunArgs, given: &Given, last: &LastRun) -> Result<Vec<CaseRun>, Error> {
    let asks_for_failed = arguments.shared.selection.last_failed;
    let failed = last.files();
    let files = match arguments.files.is_empty() && asks_for_failed {
        true => &failed,
        false => &arguments.files,
    };
    if files.is_empty() && asks_for_failed {
        return Err(Error::NothingSelected(
            "no case has failed here before; give scenario files, or a folder of them".to_owned(),
        ));
    }
    if files.is_empty() {
        return Err(Error::Usage(
            "give a scenario file, or a folder of them: sockdrill run tests/scenarios".to_owned(),
        ));
    }
    let files = files.iter().map(|file| runner::cases_of(file, given));
    let mut cases = runner::with_all_mistakes(files)?;
    let mut named = HashSet::new();
    // A case that is named twice, by its file and its folder perhaps, is one.
    cases.retain(|case| named.insert(case.place()));
    for case in &mut cases {
        started_as_told(&mut case.target, &arguments.shared);
    }
    let targets: Vec<_> = cases.iter().map(|case| &case.target).collect();
    refuse_misplaced(&targets, &arguments.shared)?;
    let cases = chosen_cases(cases, arguments)?;
    match asks_for_failed {
        true => last.cases(cases),
        false => Ok(cases),
    }
}
