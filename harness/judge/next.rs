//! What the judge wants to see next of the same server before it says what it has seen: growing doses tell a leak from a pool
//! that is being filled.

use super::cause::Cause;
use super::growth::{Wanted, is_cut_short, wanted};
use super::invariants::invariants;
use super::thresholds::{FULL_AFTER, MOST_IN_A_POOL, PRESSED_TIMES, PRESSED_WITHIN, WARM_WITHIN};
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
    match done.last_sample {
        None => Some(done.in_turn(trial, BEFORE, Moment::Baseline)),
        Some(Moment::Baseline) => Some(done.in_turn(trial, THEN, Moment::After)),
        Some(_) if never_rests(trial, transcript) => None,
        Some(_) => Some(match wanted(trial, transcript)? {
            Wanted::Warmth => done.warm(trial),
            Wanted::Dose(runs) => done.dose(trial, transcript, runs),
            Wanted::Pressure => done.press(trial),
            Wanted::Solitude(time) => Next::LeaveAlone(time),
        }),
    }
}

const BEFORE: &[Phase] = &[Phase::Before, Phase::BystanderConnects];
const THEN: &[Phase] = &[Phase::Scenario, Phase::BystanderAgain, Phase::After];

/// What was done so far.
#[derive(Default)]
struct Done {
    /// A phase was not gone through.
    stopped: bool,
    last_sample: Option<Moment>,
    sampled_at: Duration,
    /// The phases since the last sample, or since the workers were counted.
    since: Vec<Phase>,
    /// The workers that were counted since the last sample.
    workers: Vec<usize>,
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
                    done.sampled_at = event.at;
                }
                _ => {}
            }
        }
        done
    }

    /// The first of these phases that has not been, or the sample behind them.
    fn in_turn(&self, trial: &Trial, phases: &[Phase], then: Moment) -> Next {
        let phases = phases.iter().copied();
        let mut performed = phases.filter(|phase| trial.performs(*phase).is_some());
        let missing = performed.find(|phase| !self.since.contains(phase));
        missing.map_or(Next::Sample(then), Next::Perform)
    }

    /// Polite clients come one after the other, until the server adds no worker for the next, and then at once.
    fn warm(&self, trial: &Trial) -> Next {
        // Nobody comes after a scenario that is itself a polite client.
        let polite = match trial.performs(Phase::After) {
            Some(_) => Phase::After,
            None => Phase::Scenario,
        };
        match self.since.contains(&polite) {
            true => Next::CountWorkers,
            false if self.is_full() => self.in_turn(trial, &[Phase::Crowd], Moment::Warm),
            false => Next::Perform(polite),
        }
    }

    /// Whether the last clients have added no worker, or more than any pool has, or no time is left.
    fn is_full(&self) -> bool {
        let (mut most, mut since) = (0, 0);
        for workers in &self.workers {
            since = if *workers > most { 0 } else { since + 1 };
            most = most.max(*workers);
        }
        let is_over = self.now.saturating_sub(self.sampled_at) > WARM_WITHIN;
        since >= FULL_AFTER || self.workers.len() >= MOST_IN_A_POOL || is_over
    }

    /// Polite clients in number, and again, as long as there is time for them; where nobody can be polite beside the scenario,
    /// the server is left alone.
    fn press(&self, trial: &Trial) -> Next {
        if trial.performs(Phase::Pressure).is_none() {
            return Next::Sample(Moment::Pressed);
        }
        let is_over = self.now.saturating_sub(self.sampled_at) > PRESSED_WITHIN;
        match self.since.len() {
            1.. if is_over => Next::Sample(Moment::Pressed),
            PRESSED_TIMES.. => Next::Sample(Moment::Pressed),
            _ => Next::Perform(Phase::Pressure),
        }
    }

    /// The scenario so many times, or as often as there is time for, and a polite client behind it.
    fn dose(&self, trial: &Trial, transcript: &Transcript, runs: usize) -> Next {
        let run = |phase: &&Phase| **phase == Phase::Scenario;
        let done = self.since.iter().filter(run).count();
        match done < runs && (done == 0 || !is_cut_short(transcript)) {
            true => Next::Perform(Phase::Scenario),
            false => self.in_turn(trial, &[Phase::After], Moment::Dose),
        }
    }
}

/// Whether the server has failed already by never coming to rest: each further sample would wait as long as it may.
fn never_rests(trial: &Trial, transcript: &Transcript) -> bool {
    let broken = invariants(trial, transcript);
    let mut broken = broken.iter();
    let after = transcript.sample(Moment::After);
    let is_known = trial.is_known_to_be_busy() && after.is_some_and(|after| !after.at_rest);
    is_known || broken.any(|cause| matches!(cause, Cause::Busy { .. }))
}
