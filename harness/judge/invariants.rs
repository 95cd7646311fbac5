//! The invariants that are held against samples of the server before and after a scenario.

use super::cause::Cause;
use super::leaks::growing;
use super::thresholds::{CERTAINLY_BUSY, LOGGED_FOR_A_BYTE, OUTPUT_BOUND};
use crate::model::invariant::Invariant;
use crate::model::phase::Moment;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, Transcript};

pub(super) fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<Cause> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = growing(trial, transcript)
        .filter(|growing| growing.is_leak)
        .map(|growing| Cause::Left(growing.growth));
    let rest = states(transcript, after);
    let rest = rest
        .into_iter()
        .filter(|(invariant, _)| !trial.waives(*invariant));
    leaks.chain(rest.map(|(_, cause)| cause)).collect()
}

fn states(transcript: &Transcript, after: &Sample) -> Vec<(Invariant, Cause)> {
    let baseline = transcript
        .sample(Moment::Baseline)
        .cloned()
        .unwrap_or_default();
    let children = transcript
        .sample(Moment::Again)
        .map_or(0, |again| again.unreaped);
    let is_busy = !after.at_rest && (after.cpu_percent >= CERTAINLY_BUSY || after.spins);
    let bytes = after.output_bytes.saturating_sub(baseline.output_bytes);
    let (connections, percent) = (after.close_wait, after.cpu_percent);
    let found = [
        (
            connections > baseline.close_wait,
            Invariant::CloseWait,
            Cause::CloseWait { connections },
        ),
        (
            children > baseline.zombies,
            Invariant::Zombies,
            Cause::Unreaped { children },
        ),
        (
            is_busy && baseline.at_rest,
            Invariant::IdleCpu,
            Cause::Busy { percent },
        ),
        (
            after.accept_queue > baseline.accept_queue,
            Invariant::Queues,
            Cause::Queued {
                connections: after.accept_queue,
            },
        ),
        (
            bytes > OUTPUT_BOUND + LOGGED_FOR_A_BYTE * transcript.sent_bytes(),
            Invariant::Output,
            Cause::Flooded { bytes },
        ),
    ];
    let found = found.into_iter().filter(|(is_broken, ..)| *is_broken);
    found
        .map(|(_, invariant, cause)| (invariant, cause))
        .collect()
}
