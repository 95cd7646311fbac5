//! What is observed of a server beside the checks.

use super::alarms::{self, Heard};
use super::descriptors;
use super::job::Job;
use super::parallel::{block_on, wait_in_line};
use super::probe::Probed;
use super::run_end::Over;
use super::settings::Settings;
use crate::checks::observations::{OBSERVATIONS, Observation, Sighting};
use crate::judge::{Evidence, Skip, Verdict};
use crate::model::invariant::Invariant;
use crate::model::literal::Shown;
use crate::model::scenario::{Scenario, Waiver};
use crate::report::data::CheckResult;
use crate::transcript::event::Transcript;
use std::collections::BTreeMap;
use std::time::Instant;

/// What the first conversation showed.
pub(super) fn first_observations(probed: &Probed) -> BTreeMap<String, String> {
    let values = OBSERVATIONS.iter().filter_map(|observation| {
        let value = observation.at_the_probe(&probed.sighting())?;
        Some((observation.name.to_owned(), value))
    });
    values.collect()
}

/// The observations that are worth a server of their own: all that have a meaning, unless few checks were asked for or
/// there is nobody to observe.
pub(super) fn worth_a_server(
    probed: &Probed,
    settings: &Settings,
) -> Vec<(&'static Observation, Scenario)> {
    let chooses = !settings.only.is_empty() || settings.among.is_some();
    let is_asked_for = settings.observe || !chooses;
    if !is_asked_for || probed.unserved.is_some() {
        return Vec::new();
    }
    let scenarios = OBSERVATIONS
        .iter()
        .filter(|observation| {
            settings.observe || observation.id.is_none_or(|id| settings.selects(id))
        })
        .filter_map(|observation| Some((observation, observation.scenario(&probed.subject)?)));
    let is_for =
        |(_, scenario): &(_, Scenario)| Skip::out_of_reach(&probed.subject, scenario).is_none();
    scenarios.filter(is_for).collect()
}

/// Performs the scenario of an observation and says what was observed, or in words why nothing was. A crash or an
/// alarm is none of the things that are observed and not judged: it is a result besides.
pub(super) fn observe(
    observation: &Observation,
    scenario: &Scenario,
    job: Job<'_>,
) -> (String, Option<CheckResult>) {
    let begun = Instant::now();
    let heard = Heard::default();
    let _shown = job.settings.audience.sees(observation.name, job.turn);
    let job = job.of(observation.name, &heard);
    let job = job.in_time_of(std::slice::from_ref(scenario));
    let trial = job.trial(&unmeasured(scenario), false);
    let needed = descriptors::needed(std::slice::from_ref(scenario));
    let taken = descriptors::take_what_there_is(needed, job.turn);
    let not_observed = |why: &str| (format!("not observed: {why}"), None);
    let Ok(_held) = wait_in_line(job.settings, taken) else {
        return not_observed("the run was over before");
    };
    let observed = async {
        tokio::select! {
            biased;
            over = job.until_over() => Ok(Err(over)),
            observed = job.on_fresh_server(&trial) => observed.map(Ok),
        }
    };
    match block_on(observed).and_then(|observed| observed) {
        Ok(Err(Over::CheckBudget(most))) => {
            not_observed(&format!("it took longer than {}", Shown(most)))
        }
        Ok(Err(_)) => not_observed("the run was over before"),
        Ok(Ok((verdict, transcript))) => {
            let value = observation.value(&Sighting {
                subject: job.subject,
                scenario,
                transcript: &transcript,
            });
            let told = told_anyway(verdict).unwrap_or(Verdict::Pass);
            let told = heard.beside(told);
            let lenient = alarms::is_recommended(&told) && !job.settings.strict;
            let exhibit = job.exhibit(&told, &trial, &transcript);
            let told = result(observation, told, scenario, &transcript);
            let told = told.map(|result| CheckResult {
                duration: begun.elapsed(),
                lenient,
                exhibit,
                ..result
            });
            (value, told)
        }
        Err(error) => not_observed(&error.in_one_line()),
    }
}

/// The same with nothing held against what the server keeps, which takes doses to be told from a pool and is the matter of checks.
fn unmeasured(scenario: &Scenario) -> Scenario {
    let kept = [
        Invariant::OpenFiles,
        Invariant::CloseWait,
        Invariant::Threads,
        Invariant::Zombies,
        Invariant::Memory,
        Invariant::Queues,
    ];
    let waived = kept.map(|invariant| Waiver {
        invariant,
        reason: "it is observed, and not judged".to_owned(),
    });
    Scenario {
        waived: waived.into_iter().chain(scenario.waived.clone()).collect(),
        ..scenario.clone()
    }
}

/// The failure that is told whatever is observed: a crash or an alarm, which may stand behind what was not shown.
fn told_anyway(verdict: Verdict) -> Option<Verdict> {
    let Verdict::Fail(mut finding) = verdict else {
        return None;
    };
    let also = finding.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Also(cause) if cause.is_told_anyway() => Some(cause.clone()),
        _ => None,
    });
    if !finding.cause.is_told_anyway() {
        finding.cause = also?;
    }
    Some(Verdict::Fail(finding))
}

/// The result of an observation in which a process of the server crashed, or an alarm was heard.
fn result(
    observation: &Observation,
    verdict: Verdict,
    scenario: &Scenario,
    transcript: &Transcript,
) -> Option<CheckResult> {
    let Verdict::Fail(finding) = &verdict else {
        return None;
    };
    let id = observation.id.unwrap_or(observation.name);
    let invariant = finding.cause.invariant().unwrap_or(Invariant::Alive);
    let (lines, trace) = transcript.lines_and_trace(scenario);
    Some(CheckResult {
        scenario: Some(scenario.to_string()),
        transcript: lines,
        trace: Some(trace),
        ..CheckResult::of(id, "observed", invariant.requirement(), verdict)
    })
}
