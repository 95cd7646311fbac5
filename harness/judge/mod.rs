//! The one judge: from a transcript to a verdict, without I/O and without time.

pub mod cut_coverage;
mod ending;
mod failed_step;
mod invariants;
mod leaks;
mod next;
#[cfg(test)]
mod tests;

pub use next::next;

use crate::model::phase::Phase;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, ClientId, Transcript, What};
use crate::transcript::fault::Fault;
use ending::{last_exit, unexpected_end};
use failed_step::{FailedStep, first_failed_step};
use invariants::invariants;
use leaks::pool_or_leak;
use serde::{Deserialize, Serialize};

/// What was seen of one scenario or one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The requirement held, and every fault is proven to have happened.
    Pass,
    /// The server broke the requirement.
    Fail(Finding),
    /// Nothing is proven: a fault did not happen, or the harness or the host starved.
    Inconclusive(String),
    /// The requirement does not apply to this server, or cannot be looked at here.
    Skip(String),
}

/// What a server did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// One sentence.
    pub reason: String,
    /// The line of the scenario at which it showed; 0 where there is none.
    pub line: usize,
    /// Facts that bear the reason out.
    pub evidence: Vec<String>,
}

/// Names the client of an event, as the scenario does.
pub fn name(scenario: &Scenario, id: ClientId) -> String {
    match scenario.cast.get(id.who) {
        _ if id == ClientId::BYSTANDER => "bystander".to_owned(),
        Some(cast) if cast.members > 1 => format!("{}[{}]", cast.name, id.member),
        Some(cast) => cast.name.clone(),
        None => "?".to_owned(),
    }
}

/// Judges what was seen.
pub fn judge(trial: &Trial, transcript: &Transcript) -> Verdict {
    let failure = first_failed_step(trial, transcript);
    let early =
        |failed: &&FailedStep| matches!(failed.phase, Phase::Before | Phase::BystanderConnects);
    if let Some(failed) = failure.as_ref().filter(early) {
        return before_failed(failed, transcript);
    }
    let death = unexpected_end(trial, transcript);
    if let Some(reason) = our_fault(transcript).filter(|_| death.is_none()) {
        return Verdict::Inconclusive(reason);
    }
    let died = death.is_some();
    let broken = invariants(trial, transcript);
    let reasons = death
        .into_iter()
        .chain(failure.as_ref().map(FailedStep::reason))
        .chain(broken);
    let reasons: Vec<String> = reasons.collect();
    if let Some((first, others)) = reasons.split_first() {
        let starved = failure
            .as_ref()
            .filter(|_| others.is_empty() && !died)
            .and_then(|failed| failed.blames_us(trial, transcript));
        if let Some(starved) = starved {
            return Verdict::Inconclusive(starved);
        }
        return Verdict::Fail(Finding {
            reason: first.clone(),
            line: failure.as_ref().map_or(0, |failed| failed.line),
            evidence: evidence(trial, transcript, others),
        });
    }
    let doubt = unproven(transcript).or_else(|| pool_or_leak(trial, transcript));
    match doubt {
        Some(reason) => Verdict::Inconclusive(reason),
        None => Verdict::Pass,
    }
}

/// Why the harness could not play its part, if it could not.
fn our_fault(transcript: &Transcript) -> Option<String> {
    let mut unproven = transcript.unproven();
    let (fault, evidence) = unproven.find(|(fault, _)| **fault == Fault::OwnSocket)?;
    Some(format!("this host refused {fault}: {evidence}"))
}

fn before_failed(failed: &FailedStep, transcript: &Transcript) -> Verdict {
    let mut reason = format!(
        "the undisturbed server did not serve a polite client: {}",
        failed.text
    );
    if let Some(exit) = last_exit(transcript) {
        reason.push_str(&format!("; the server {exit}"));
    }
    Verdict::Inconclusive(reason)
}

/// How much the clients have sent.
fn sent_bytes(transcript: &Transcript) -> u64 {
    let sent = transcript.events.iter().map(|event| match &event.what {
        What::Client(_, ClientEvent::Sent(bytes)) => bytes.len() as u64,
        _ => 0,
    });
    sent.sum()
}

fn unproven(transcript: &Transcript) -> Option<String> {
    let (fault, evidence) = transcript.unproven().next()?;
    Some(format!(
        "{fault} is not proven to have happened: {evidence}"
    ))
}

fn evidence(trial: &Trial, transcript: &Transcript, others: &[String]) -> Vec<String> {
    let mut evidence: Vec<String> = others.to_vec();
    if let Some(exit) = last_exit(transcript) {
        evidence.push(format!("the server {exit} (wait status)"));
    }
    if let Some(output) = transcript.last_output() {
        evidence.push(format!("last output of the server: {output}"));
    }
    let names = |id| name(trial.scenario(), id);
    let mut lines = transcript.lines(&names);
    const MOST: usize = 24;
    if lines.len() > MOST {
        let left_out = lines.len() - MOST;
        lines.drain(..left_out);
        lines.insert(0, format!("({left_out} earlier events left out)"));
    }
    evidence.extend(lines);
    evidence
}
