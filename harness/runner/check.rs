//! From a target and a selection of checks to a report.

use super::attempt::Job;
use super::checked::check_result;
use super::descriptors::{self, take_what_there_is};
use super::findings::Findings;
use super::observed::{first_observations, observe, worth_a_server};
use super::parallel::{block_on, map_in_order, wait_in_line};
use super::probe::{Probed, probe};
use super::saved;
use super::selection::selected;
use super::servers::Servers;
use super::settings::Settings;
use crate::checks;
use crate::checks::observations::Observation;
use crate::judge::{Cause, Verdict};
use crate::launch::Target;
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::report::data::{CheckResult, Outcome, Report};
use crate::session::Turn;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

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
    let findings = Findings::of_a_run(settings.fails_fast());
    let probed = block_on(settings, probe(target, settings, &findings))??;
    drop(held);
    let target = Target {
        found_to_turn_away: probed.subject.turned_away.is_some(),
        ..target.on(probed.subject.place.transport)
    };
    let turn = Turn::default();
    let first = Job::new(&target, &probed.subject, settings, &turn, &findings);
    let tried = Tried::of(&table, &probed, first)?;
    let report = |results, observations| Report {
        target: target.name.clone(),
        isolation: probed.subject.isolation.to_owned(),
        why_host: probed.why_host.clone(),
        seed: settings.seed,
        duration: begun.elapsed(),
        serves_nobody: tried.serves_nobody,
        results,
        observations,
    };
    if tried.serves_nobody {
        tried.results.iter().for_each(on_result);
        return Ok(report(tried.results.clone(), first_observations(&probed)));
    }
    let subject = &tried.subject;
    let jobs = jobs(first);
    let servers = Servers::at_most(jobs);
    let run_one = |check: &'static Check, job: Job<'_>| match tried.result_of(check) {
        Some(result) => Ok(result.clone()),
        None => check_result(check, tried.unserved, job),
    };
    let done = map_in_order(
        &all_work(selected, &probed, settings),
        |work| work.pauses(subject),
        jobs,
        |work, turn| match work {
            Work::Check(check) => {
                let job = Job::new(&target, subject, settings, turn, &findings);
                let result = run_one(check, job.sharing(&servers));
                result.map(|result| Done::Checked(Box::new(result)))
            }
            Work::Observe(observation, scenario) => {
                let job = Job::new(&target, subject, settings, turn, &findings);
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
    under_the_simplest(&mut results, &findings);
    Ok(report(results, observations))
}

/// Puts what each check has found under the simplest one that shows it: of two at a time the other may have come first.
fn under_the_simplest(results: &mut [CheckResult], findings: &Findings) {
    for result in results.iter_mut().filter(|result| result.cause().is_some()) {
        let head = result.under.clone().unwrap_or_else(|| result.id.clone());
        let simplest = findings.simplest(&head).map(str::to_owned);
        result.under = simplest.or_else(|| result.under.take());
    }
    // Alarms are heard beside what a check is about, wherever they sound.
    let mut sounded: HashMap<String, String> = HashMap::new();
    for result in results.iter_mut() {
        let alarm = result
            .cause()
            .filter(|cause| matches!(cause, Cause::Alarm(_)));
        if let Some(key) = alarm.map(Cause::key) {
            let first = sounded.entry(key).or_insert_with(|| result.id.clone());
            result.under = Some(first.clone()).filter(|first| *first != result.id);
        }
    }
    // What a head was found to be no failure of is a failure of its own.
    let fails = results.iter().filter(|result| result.cause().is_some());
    let heads: HashSet<String> = fails.map(|result| result.id.clone()).collect();
    for result in results.iter_mut() {
        result.under = result.under.take().filter(|head| heads.contains(head));
    }
}

/// What others build on was tried before them.
struct Tried<'a> {
    results: Vec<CheckResult>,
    /// What is left of the server: a promise that is broken is reported once, and not built on.
    subject: Subject,
    /// Why not even a polite client is served, where none is.
    unserved: Option<&'a Verdict>,
    /// Nothing is to be told of the server but that.
    serves_nobody: bool,
}

impl<'a> Tried<'a> {
    fn of(table: &[&'static Check], probed: &'a Probed, first: Job<'_>) -> Result<Self, Error> {
        let mut tried = Self {
            results: Vec::new(),
            subject: probed.subject.clone(),
            unserved: probed.unserved.as_ref(),
            serves_nobody: false,
        };
        tried.try_serving(table, first)?;
        tried.serves_nobody = tried.unserved.is_some() && !tried.results.is_empty();
        if !tried.serves_nobody {
            tried.try_promises(table, first)?;
        }
        Ok(tried)
    }

    /// Tries whether a polite client is served as the server owes it.
    fn try_serving(&mut self, table: &[&'static Check], first: Job<'_>) -> Result<(), Error> {
        let strict = Subject {
            resets_at_end: false,
            ..self.subject.clone()
        };
        let is_meant =
            |check: &&Check| check.judges_serving(&strict) && check.unmet(&strict).is_none();
        for check in table
            .iter()
            .copied()
            .filter(|check| is_meant(check) && first.settings.selects(check.id))
        {
            let turn = Turn::default();
            let job = first.with(&strict, &turn);
            self.results.push(check_result(check, self.unserved, job)?);
        }
        // The first look may have come at a bad moment.
        let has_passed = |result: &CheckResult| result.outcome() == Outcome::Pass;
        if self.results.iter().any(has_passed) {
            self.unserved = None;
        }
        Ok(())
    }

    /// Tries the promises that others build on. The bystander builds on promises too, whatever is selected.
    fn try_promises(&mut self, table: &[&'static Check], first: Job<'_>) -> Result<(), Error> {
        for check in table {
            let Some(without) = check.subject_without(&self.subject) else {
                continue;
            };
            let is_selected = first.settings.selects(check.id);
            if !is_selected && self.subject.bystander == without.bystander {
                continue;
            }
            let turn = Turn::default();
            let job = first.with(&self.subject, &turn);
            // What is not reported is known to nobody else: it would be lost.
            let aside = Findings::of_a_run(first.settings.fails_fast());
            let job = match is_selected {
                true => job,
                false => job.finding(&aside),
            };
            let result = check_result(check, self.unserved, job)?;
            // What a simpler check has shown is not what this promise is about.
            if matches!(result.verdict, Verdict::Fail(_)) && result.under.is_none() {
                match is_selected {
                    true => self.subject = without,
                    // Who leaves the check out wants the others tried as if it had passed.
                    false => self.subject.bystander = without.bystander,
                }
            }
            self.results.push(result);
        }
        Ok(())
    }

    fn result_of(&self, check: &Check) -> Option<&CheckResult> {
        self.results.iter().find(|result| result.id == check.id)
    }
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

/// All checks, and then the observations.
fn all_work(selected: Vec<&'static Check>, probed: &Probed, settings: &Settings) -> Vec<Work> {
    let observed = worth_a_server(probed, settings).into_iter();
    let observed = observed.map(|(observation, scenario)| Work::Observe(observation, scenario));
    let checks = selected.into_iter().map(Work::Check);
    checks.chain(observed).collect()
}

impl Work {
    /// For how long nothing happens in it.
    fn pauses(&self, subject: &Subject) -> Duration {
        match self {
            Self::Check(check) => {
                let scenarios = (check.scenarios)(subject).unwrap_or_default();
                scenarios.iter().map(Scenario::pauses).sum()
            }
            Self::Observe(_, scenario) => scenario.pauses(),
        }
    }
}

/// How many servers run at a time: on the plain host two with the same fixed port would meet.
fn jobs(job: Job<'_>) -> usize {
    match job.subject.own_namespace || job.target.takes_any_place() {
        true => descriptors::jobs(job.settings.jobs),
        false => 1,
    }
}
