//! What the judge wants to see next of the same server before it says what it has seen: more runs tell a leak from a pool
//! that is being filled.

use super::cause::Cause;
use super::invariants::{invariants, is_late};
use super::leaks::{needs_another_run, still_grows};
use super::thresholds::{FULL_AFTER, MOST_IN_A_POOL, TOLD_WITHIN};
use crate::model::phase::{Moment, Next, Phase};
use crate::model::trial::Trial;
use crate::transcript::event::{ServerEvent, Transcript, What};
use std::time::Duration;

/// What is to be done next on the server, if anything is.
pub(crate) fn next(trial: &Trial, transcript: &Transcript) -> Option<Next> {
    let done = Done::in_(transcript);
    if done.stopped {
        return None;
    }
    let (phases, then) = match done.last_sample {
        None => (BEFORE, Moment::Baseline),
        Some(Moment::Baseline) => (THEN, Moment::After),
        Some(Moment::After | Moment::Again | Moment::Filled) => {
            match round(trial, transcript, &done)? {
                Round::Again => (AGAIN, Moment::Again),
                Round::Fill => return Some(fill(trial, &done)),
            }
        }
    };
    let mut phases = phases
        .iter()
        .filter(|phase| trial.performs(**phase).is_some());
    let missing = phases.find(|phase| !done.since.contains(phase));
    Some(missing.map_or(Next::Sample(then), |phase| Next::Perform(*phase)))
}

const BEFORE: &[Phase] = &[Phase::Before, Phase::BystanderConnects];
const THEN: &[Phase] = &[Phase::Scenario, Phase::BystanderAgain, Phase::After];
/// Some servers clean up behind one client when the next one comes.
const AGAIN: &[Phase] = &[Phase::Scenario, Phase::After];

/// What was done so far.
#[derive(Default)]
struct Done {
    /// A phase was not gone through.
    stopped: bool,
    last_sample: Option<Moment>,
    /// The phases since the last sample, or since the workers were counted.
    since: Vec<Phase>,
    /// The workers that were counted since the last sample.
    workers: Vec<usize>,
    filled_at: Option<Duration>,
    now: Duration,
}

impl Done {
    fn in_(transcript: &Transcript) -> Self {
        let mut done = Self::default();
        for event in &transcript.events {
            done.now = event.at;
            match &event.what {
                What::Phase(phase) => done.since.push(*phase),
                What::Stopped => done.stopped = true,
                What::Server(ServerEvent::Workers(workers)) => {
                    done.since.clear();
                    done.workers.push(*workers);
                }
                What::Sample(moment, _) => {
                    done.since.clear();
                    done.workers.clear();
                    done.last_sample = Some(*moment);
                    if *moment == Moment::Filled {
                        done.filled_at = Some(event.at);
                    }
                }
                _ => {}
            }
        }
        done
    }

    /// Whether the last clients have added no worker, or more than any pool has.
    fn is_full(&self) -> bool {
        let (mut most, mut since) = (0, 0);
        for workers in &self.workers {
            since = if *workers > most { 0 } else { since + 1 };
            most = most.max(*workers);
        }
        since >= FULL_AFTER || self.workers.len() >= MOST_IN_A_POOL
    }
}

/// What tells more of what grows.
enum Round {
    /// The scenario is run once more, to see whether what grew grows again.
    Again,
    /// Polite clients come one after the other, until the server adds no worker for the next.
    Fill,
}

fn round(trial: &Trial, transcript: &Transcript, done: &Done) -> Option<Round> {
    // No sample has come since filling began, so that nothing new can be said of what grows.
    if !done.workers.is_empty() {
        return Some(Round::Fill);
    }
    if never_rests(trial, transcript) || is_late(transcript) {
        return None;
    }
    let Some(filled_at) = done.filled_at else {
        if needs_another_run(trial, transcript) {
            return Some(Round::Again);
        }
        return still_grows(trial, transcript).then_some(Round::Fill);
    };
    let is_first = done.last_sample == Some(Moment::Filled);
    let has_begun = !done.since.is_empty();
    let is_in_time = done.now - filled_at < TOLD_WITHIN && still_grows(trial, transcript);
    (is_first || has_begun || is_in_time).then_some(Round::Again)
}

/// Whether the server has failed already by never coming to rest: each further sample would wait as long as it may.
fn never_rests(trial: &Trial, transcript: &Transcript) -> bool {
    let broken = invariants(trial, transcript);
    let mut broken = broken.iter();
    broken.any(|cause| matches!(cause, Cause::Busy { .. }))
}

/// Nobody comes after a scenario that is itself a polite client.
fn fill(trial: &Trial, done: &Done) -> Next {
    let polite = match trial.performs(Phase::After) {
        Some(_) => Phase::After,
        None => Phase::Scenario,
    };
    match done.since.contains(&polite) {
        true => Next::CountWorkers,
        false if done.is_full() => Next::Sample(Moment::Filled),
        false => Next::Perform(polite),
    }
}
