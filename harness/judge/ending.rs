//! The invariant *alive*: whether the server ended, and after what.

use super::cause::{Cause, StepRef};
use crate::model::action::Action;
use crate::model::expectation::ServerExpectation;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Step};
use crate::model::server_action::ServerAction;
use crate::model::trial::Trial;
use crate::transcript::event::{Exit, ServerEvent, Transcript, What};

pub(super) fn last_exit(transcript: &Transcript) -> Option<Exit> {
    let mut last = None;
    for event in transcript.server_events() {
        match event {
            ServerEvent::Exited(exit) => last = Some(*exit),
            ServerEvent::Started { .. } => last = None,
            _ => {}
        }
    }
    last
}

/// The invariant *alive*: an end that nobody asked for, or a crash whoever asked.
pub(super) fn unexpected_end(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    if trial.waives(Invariant::Alive) {
        return None;
    }
    let exit = last_exit(transcript)?;
    let since = step_of_last_start(transcript);
    let asked = expects_end(trial, since) || (trial.ends_after_one && exit == Exit::Status(0));
    if asked && !exit.is_crash() {
        return None;
    }
    let after = last_step_before_exit(trial, transcript);
    Some(Cause::Died { exit, after })
}

/// The step of the script after which the server runs that was started last; 0 for the first one.
fn step_of_last_start(transcript: &Transcript) -> usize {
    let (mut phase, mut step, mut since) = (Phase::Before, 0, 0);
    for event in &transcript.events {
        match &event.what {
            What::Phase(next) => phase = *next,
            What::StepBegan(begun) => step = *begun,
            What::Server(ServerEvent::Started { .. }) if phase == Phase::Scenario => {
                since = step + 1;
            }
            _ => {}
        }
    }
    since
}

fn last_step_before_exit(trial: &Trial, transcript: &Transcript) -> Option<StepRef> {
    let mut phase = Phase::Before;
    let mut last = None;
    for event in &transcript.events {
        match &event.what {
            What::Phase(next) => phase = *next,
            What::StepBegan(step) if phase == Phase::Scenario => {
                let is_deed = |line: &&Line| {
                    !matches!(
                        &line.step,
                        Step::Client {
                            action: Action::Expect { .. },
                            ..
                        } | Step::Repeat { .. }
                    )
                };
                let steps = trial.steps(phase);
                last = steps.get(*step).copied().filter(is_deed).or(last);
            }
            What::Server(ServerEvent::Exited(_)) => break,
            _ => {}
        }
    }
    last.map(|line| StepRef::of(line, trial.scenario()))
}

/// Whether the script ends the server that runs since this step, by a signal or by waiting for its end.
fn expects_end(trial: &Trial, since: usize) -> bool {
    trial.steps(Phase::Scenario).iter().skip(since).any(|line| {
        let Step::Server(action) = &line.step else {
            return false;
        };
        matches!(
            action,
            ServerAction::Signal(_)
                | ServerAction::Expect {
                    what: ServerExpectation::Exit(_) | ServerExpectation::Gone,
                    ..
                }
        )
    })
}
