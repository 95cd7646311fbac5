//! From a target and a selection of checks to a report: who is tried on which server, and what is repeated.

mod acquaintance;
mod attempt;
mod cases;
mod checked;
mod drawn;
mod interrupt;
mod observed;
mod parallel;
mod saved;
mod selection;
mod settings;

pub use cases::{CaseRun, Given, cases_of, run_case, run_cases};
pub use drawn::artifact_name;
pub use interrupt::Interrupt;
pub use saved::{SavedTrial, SavedVerdict};
pub(crate) use selection::selected;
pub use settings::{Invocation, Settings};

use crate::checks;
use crate::checks::observations::Observation;
use crate::judge::Verdict;
use crate::launch::Target;
use crate::model::check::Check;
use crate::model::dialogue;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::report::data::{CheckResult, Report};
use acquaintance::{Acquaintance, acquaint};
use attempt::Job;
use checked::check_result;
use observed::{first_observations, observe, worth_a_server};
use parallel::{block_on, map_in_order};
use std::time::Instant;

/// The check that the promise to serve concurrently is kept, on which others build.
const CONCURRENT: &str = "crowd/one-silent";

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
pub fn check_all(
    target: &Target,
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    check(target, &checks::all(), settings, on_result)
}

/// Checks a target against the checks of a table.
///
/// `on_result` is called with each result, in the order of the table.
///
/// # Errors
/// The server could not be started, or nothing was selected.
pub fn check(
    target: &Target,
    table: &[&'static Check],
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    let selected = selected(target, table, settings)?;
    saved::make_folder(settings)?;
    let begun = Instant::now();
    let mut first = block_on(settings, acquaint(Job::new(target, settings)))??;
    let mut target = Target {
        profile: first.profile.clone(),
        ..target.clone()
    };
    let concurrent = tried_first(table, &first, &target, settings)?;
    let has_failed = |result: &CheckResult| matches!(result.verdict, Verdict::Fail(_));
    if concurrent.as_ref().is_some_and(has_failed) {
        target.profile.promises.serves = None;
        if settings.selects(CONCURRENT) {
            first = first.without_concurrency(CONCURRENT);
        }
    }
    let job = Job::new(&target, settings);
    let run_one = |check: &'static Check| match &concurrent {
        Some(result) if check.id == CONCURRENT => Ok(result.clone()),
        _ => check_result(check, &first, job),
    };
    let done = map_in_order(
        &all_work(selected, &first, job),
        jobs(&first, job),
        |work| match work {
            Work::Check(check) => run_one(check).map(|result| Done::Checked(Box::new(result))),
            Work::Observe(observation, scenario) => observe(observation, scenario, &first, job)
                .map(|value| Done::Observed(observation.name, value)),
        },
        &|done| {
            if let Done::Checked(result) = done {
                on_result(result);
            }
        },
    )?;
    let mut results = Vec::new();
    let mut observations = first_observations(&first, job);
    for done in done {
        match done {
            Done::Checked(result) => results.push(*result),
            Done::Observed(name, value) => {
                observations.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Report {
        target: target.name.clone(),
        isolation: first.isolation.to_owned(),
        why_host: first.why_host.clone(),
        seed: settings.seed,
        duration: begun.elapsed(),
        results,
        observations,
    })
}

/// Tries what others build on: a promise that is broken is reported once, and not built on. The bystander builds on it
/// too, whatever is selected.
fn tried_first(
    table: &[&'static Check],
    first: &Acquaintance,
    target: &Target,
    settings: &Settings,
) -> Result<Option<CheckResult>, Error> {
    let is_wanted = settings.selects(CONCURRENT) || dialogue::can_stand_by(&target.profile);
    let mut table = table.iter().filter(|_| is_wanted);
    let concurrent = table.find(|check| check.id == CONCURRENT);
    let job = Job::new(target, settings);
    concurrent
        .map(|check| check_result(check, first, job))
        .transpose()
}

/// What a run does on a server of its own.
enum Work {
    Check(&'static Check),
    Observe(&'static Observation, Scenario),
}

/// What came of it.
enum Done {
    Checked(Box<CheckResult>),
    Observed(&'static str, String),
}

/// Checks and observations in the order in which they begin.
fn all_work(selected: Vec<&'static Check>, first: &Acquaintance, job: Job<'_>) -> Vec<Work> {
    let mut work: Vec<Work> = selected.into_iter().map(Work::Check).collect();
    // In the middle, long waits are still to come, which those of the observations overlap; the first results come out.
    let middle = work.len() / 2;
    let observed = worth_a_server(first, job).into_iter();
    let observed = observed.map(|(observation, scenario)| Work::Observe(observation, scenario));
    work.splice(middle..middle, observed);
    work
}

/// How many servers run at a time: on the plain host two with the same fixed port would meet.
fn jobs(first: &Acquaintance, job: Job<'_>) -> usize {
    match first.private || job.target.takes_any_place() {
        true => job.settings.jobs,
        false => 1,
    }
}
