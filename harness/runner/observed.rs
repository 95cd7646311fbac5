//! What is observed of a server beside the checks.

use super::acquaintance::Acquaintance;
use super::attempt::{Floor, Job};
use super::parallel::block_on;
use crate::checks::observations::{OBSERVATIONS, Observation};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use std::collections::BTreeMap;

/// What the first conversation showed.
pub(super) fn first_observations(first: &Acquaintance, job: Job<'_>) -> BTreeMap<String, String> {
    let ground = first.ground(job);
    let seen = first.sighting(&ground, &first.conversation, &first.transcript);
    let values = OBSERVATIONS.iter().filter_map(|observation| {
        Some((
            observation.name.to_owned(),
            observation.at_acquaintance(&seen)?,
        ))
    });
    values.collect()
}

/// The observations that are worth a server of their own: all that have a meaning, unless few checks were asked for or
/// there is nobody to observe.
pub(super) fn worth_a_server(
    first: &Acquaintance,
    job: Job<'_>,
) -> Vec<(&'static Observation, Scenario)> {
    if !job.settings.only.is_empty() || first.unserved.is_some() {
        return Vec::new();
    }
    let ground = first.ground(job);
    let scenarios = OBSERVATIONS
        .iter()
        .filter(|observation| observation.id.is_none_or(|id| job.settings.selects(id)))
        .filter_map(|observation| Some((observation, observation.scenario(&ground)?)));
    scenarios.collect()
}

/// Performs the scenario of an observation and says what was observed, or in words why nothing was.
pub(super) fn observe(
    observation: &Observation,
    scenario: &Scenario,
    first: &Acquaintance,
    job: Job<'_>,
) -> Result<String, Error> {
    let job = job.of(observation.name);
    let trial = job.trial(scenario, &first.profile, false);
    match block_on(job.settings, job.on_fresh_server(&trial, Floor::Shared))? {
        Ok((_, transcript)) => {
            let ground = first.ground(job);
            Ok(observation.value(&first.sighting(&ground, scenario, &transcript)))
        }
        Err(error) => {
            let reason = error.chain();
            // What follows in further lines is for who starts the server himself.
            let reason = reason.lines().next().unwrap_or_default();
            Ok(format!("not observed: {reason}"))
        }
    }
}
