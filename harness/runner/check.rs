//! From a target and a selection of checks to a report.

use super::attempt::Job;
use super::checked::check_result;
use super::descriptors::{self, take_what_there_is};
use super::observed::{first_observations, observe, worth_a_server};
use super::parallel::{block_on, map_in_order, wait_in_line};
use super::probe::{Probed, probe};
use super::saved;
use super::selection::selected;
use super::settings::Settings;
use crate::checks;
use crate::checks::observations::Observation;
use crate::judge::Verdict;
use crate::launch::Target;
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::report::data::{CheckResult, Report};
use crate::session::Turn;
use std::time::Instant;

/// Checks a server against every check of the catalogue that applies to it and that the settings choose.
///
/// `on_result` is called with each result, in the order of the catalogue.
///
/// # Errors
/// The server could not be started, or nothing was selected.
///
/// ```no_run
/// use sockdrill::{ExitCode, Profile, Settings, Target, check};
///
/// let target = Target::command(["./server", "{port}"], Profile::find("http")?);
/// let mut settings = Settings::default();
/// settings.only = vec!["reset".to_owned(), "half-close".to_owned()];
/// let report = check(&target, &settings, &|result| println!("{}", result.line()))?;
/// assert_eq!(report.exit_code(), ExitCode::Passed);
/// # Ok::<(), sockdrill::Error>(())
/// ```
pub fn check(
    target: &Target,
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    let table = checks::all();
    let selected = selected(target, &table, settings)?;
    saved::make_folder(settings)?;
    let begun = Instant::now();
    let held = wait_in_line(settings, take_what_there_is(descriptors::needed(&[])))?;
    let probed = block_on(settings, probe(target, settings))??;
    drop(held);
    let target = Target {
        found_to_turn_away: probed.subject.turned_away.is_some(),
        ..target.on(probed.subject.place.transport)
    };
    let turn = Turn::default();
    let first = Job::new(&target, &probed.subject, settings, &turn);
    let (subject, tried) = try_gates(&table, &probed, first)?;
    let unserved = probed.unserved.as_ref();
    let run_one = |check: &'static Check, job: Job<'_>| match tried
        .iter()
        .find(|result| result.id == check.id)
    {
        Some(result) => Ok(result.clone()),
        None => check_result(check, unserved, job),
    };
    let done = map_in_order(
        &all_work(selected, &probed, settings),
        jobs(first),
        |work, turn| match work {
            Work::Check(check) => run_one(check, Job::new(&target, &subject, settings, turn))
                .map(|result| Done::Checked(Box::new(result))),
            Work::Observe(observation, scenario) => {
                let job = Job::new(&target, &subject, settings, turn);
                observe(observation, scenario, job).map(|(value, crash)| {
                    Done::Observed(observation.name, value, crash.map(Box::new))
                })
            }
        },
        &|done| {
            if let Done::Checked(result) | Done::Observed(_, _, Some(result)) = done {
                on_result(result);
            }
        },
    )?;
    let mut results = Vec::new();
    let mut observations = first_observations(&probed);
    for done in done {
        match done {
            Done::Checked(result) => results.push(*result),
            Done::Observed(name, value, crash) => {
                observations.insert(name.to_owned(), value);
                results.extend(crash.map(|crash| *crash));
            }
        }
    }
    Ok(Report {
        target: target.name.clone(),
        isolation: subject.isolation.to_owned(),
        why_host: probed.why_host.clone(),
        seed: settings.seed,
        duration: begun.elapsed(),
        results,
        observations,
    })
}

/// Tries what others build on: a promise that is broken is reported once, and not built on. The bystander builds on
/// promises too, whatever is selected.
fn try_gates(
    table: &[&'static Check],
    probed: &Probed,
    first: Job<'_>,
) -> Result<(Subject, Vec<CheckResult>), Error> {
    let mut subject = probed.subject.clone();
    let mut tried = Vec::new();
    for check in table {
        let Some(without) = check.subject_without(&subject) else {
            continue;
        };
        let is_selected = first.settings.selects(check.id);
        if !is_selected && subject.bystander == without.bystander {
            continue;
        }
        let turn = Turn::default();
        let job = Job::new(first.target, &subject, first.settings, &turn);
        let result = check_result(check, probed.unserved.as_ref(), job)?;
        if matches!(result.verdict, Verdict::Fail(_)) {
            subject = match is_selected {
                true => without,
                // Who leaves the check out wants the others tried as if it had passed.
                false => Subject {
                    bystander: without.bystander,
                    ..subject
                },
            };
        }
        tried.push(result);
    }
    Ok((subject, tried))
}

/// What a run does on a server of its own.
enum Work {
    Check(&'static Check),
    Observe(&'static Observation, Scenario),
}

/// What came of it.
enum Done {
    Checked(Box<CheckResult>),
    /// What was observed, and the crash that was seen besides.
    Observed(&'static str, String, Option<Box<CheckResult>>),
}

/// Checks and observations in the order in which they begin.
fn all_work(selected: Vec<&'static Check>, probed: &Probed, settings: &Settings) -> Vec<Work> {
    let mut work: Vec<Work> = selected.into_iter().map(Work::Check).collect();
    // In the middle, long waits are still to come, which those of the observations overlap; the first results come out.
    let middle = work.len() / 2;
    let observed = worth_a_server(probed, settings).into_iter();
    let observed = observed.map(|(observation, scenario)| Work::Observe(observation, scenario));
    work.splice(middle..middle, observed);
    work
}

/// How many servers run at a time: on the plain host two with the same fixed port would meet.
fn jobs(job: Job<'_>) -> usize {
    match job.subject.own_namespace || job.target.takes_any_place() {
        true => descriptors::jobs(job.settings.jobs),
        false => 1,
    }
}
