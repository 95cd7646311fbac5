//! What is observed of a server beside the checks.

use super::acquaintance::Acquaintance;
use super::attempt::{Drill, Floor};
use super::parallel::block_on;
use crate::checks::observations::{OBSERVATIONS, Observation};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use std::collections::BTreeMap;

/// What the first conversation showed.
pub(super) fn first_observations(
    first: &Acquaintance,
    drill: Drill<'_>,
) -> BTreeMap<String, String> {
    let ground = first.ground(drill);
    let seen = first.seen(&ground, &first.conversation, &first.transcript);
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
    drill: Drill<'_>,
) -> Vec<(&'static Observation, Scenario)> {
    if !drill.settings.only.is_empty() || first.unserved.is_some() {
        return Vec::new();
    }
    let ground = first.ground(drill);
    let scenarios = OBSERVATIONS
        .iter()
        .filter(|observation| observation.id.is_none_or(|id| drill.settings.selects(id)))
        .filter_map(|observation| Some((observation, observation.scenario(&ground)?)));
    scenarios.collect()
}

/// Performs the scenario of an observation and says what was observed, or in words why nothing was.
pub(super) fn observe(
    observation: &Observation,
    scenario: &Scenario,
    first: &Acquaintance,
    drill: Drill<'_>,
) -> Result<String, Error> {
    let trial = drill.trial(scenario, &first.profile, false);
    match block_on(drill.settings, drill.on_fresh_server(&trial, Floor::Shared))? {
        Ok((_, transcript)) => {
            let ground = first.ground(drill);
            Ok(observation.value(&first.seen(&ground, scenario, &transcript)))
        }
        Err(error) => {
            let reason = error.chain();
            // What follows in further lines is for who starts the server himself.
            let reason = reason.lines().next().unwrap_or_default();
            Ok(format!("not observed: {reason}"))
        }
    }
}
