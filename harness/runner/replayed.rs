//! A scenario that is performed to see what comes of it, and judged by nobody.

use super::findings::Findings;
use super::job::Job;
use super::parallel::block_on;
use super::probe::{only_served, subject_of};
use super::run_end::RunEnd;
use super::settings::Settings;
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::session::{Session, Turn};
use crate::transcript::event::Transcript;
use std::sync::Arc;

/// Performs a scenario so often on a server that has just been started, and returns what was seen each time; less often where the
/// user ends it.
///
/// # Errors
/// The server could not be started.
pub(crate) fn replayed(
    target: &Target,
    scenario: &Scenario,
    settings: &Settings,
    times: usize,
) -> Result<Vec<Transcript>, Error> {
    let findings = Findings::of_a_run(RunEnd::of(settings));
    let turn = Turn::default();
    block_on(async {
        tokio::select! {
            biased;
            seen = performed(target, scenario, settings, &findings, &turn, times) => seen,
            _ = findings.until_over() => Ok(Vec::new()),
        }
    })?
}

async fn performed(
    target: &Target,
    scenario: &Scenario,
    settings: &Settings,
    findings: &Findings,
    turn: &Turn,
    times: usize,
) -> Result<Vec<Transcript>, Error> {
    let lab = Arc::new(Lab::of(target, settings.isolation)?);
    let mut session = Session::start(target, lab.clone(), turn.clone()).await?;
    let subject = subject_of(&session, &lab, target, settings)?;
    let trial = Trial::alone(only_served(scenario.clone())).of(&subject.profile);
    let job = Job::new(target, &subject, settings, turn, findings);
    let mut seen = Vec::new();
    for _ in 0..times {
        seen.push(job.perform(&mut session, &trial).await?.1);
    }
    Ok(seen)
}
