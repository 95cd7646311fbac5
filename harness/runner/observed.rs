//! What is observed of a server beside the checks.

use super::attempt::Job;
use super::descriptors;
use super::parallel::{block_on, wait_in_line};
use super::probe::Probed;
use super::settings::Settings;
use crate::checks::observations::{OBSERVATIONS, Observation, Sighting};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use std::collections::BTreeMap;

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
    if !settings.only.is_empty() || probed.unserved.is_some() {
        return Vec::new();
    }
    let scenarios = OBSERVATIONS
        .iter()
        .filter(|observation| observation.id.is_none_or(|id| settings.selects(id)))
        .filter_map(|observation| Some((observation, observation.scenario(&probed.subject)?)));
    scenarios.collect()
}

/// Performs the scenario of an observation and says what was observed, or in words why nothing was.
pub(super) fn observe(
    observation: &Observation,
    scenario: &Scenario,
    job: Job<'_>,
) -> Result<String, Error> {
    let job = job.of(observation.name);
    let trial = job.trial(scenario, false);
    let needed = descriptors::needed(std::slice::from_ref(scenario));
    let _held = wait_in_line(job.settings, descriptors::take_what_there_is(needed))?;
    match block_on(job.settings, job.on_fresh_server(&trial))? {
        Ok((_, transcript)) => Ok(observation.value(&Sighting {
            subject: job.subject,
            scenario,
            transcript: &transcript,
        })),
        Err(error) => {
            let reason = error.chain();
            // What follows in further lines is for who starts the server himself.
            let reason = reason.lines().next().unwrap_or_default();
            Ok(format!("not observed: {reason}"))
        }
    }
}
