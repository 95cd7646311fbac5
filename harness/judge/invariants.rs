//! The invariants that are held against samples of the server before and after a scenario.

use super::cause::Cause;
use super::growth;
use super::thresholds::{CERTAINLY_BUSY, LOGGED_FOR_A_BYTE, LOGGED_FOR_A_CONNECTION, OUTPUT_BOUND};
use crate::model::invariant::Invariant;
use crate::model::phase::Moment;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, Transcript};

pub(super) fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<Cause> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = growth::leaks(trial, transcript)
        .into_iter()
        .map(Cause::Left);
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
    let is_busy = !after.at_rest && (after.cpu_percent >= CERTAINLY_BUSY || after.spins);
    let bytes = after.output_bytes.saturating_sub(baseline.output_bytes);
    let percent = after.cpu_percent;
    let found = [
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
            bytes > explained_output(transcript),
            Invariant::Output,
            Cause::Flooded { bytes },
        ),
    ];
    let found = found.into_iter().filter(|(is_broken, ..)| *is_broken);
    found
        .map(|(_, invariant, cause)| (invariant, cause))
        .collect()
}

/// As much as a server may have printed: what it logs of each connection and of what it was sent, and some more.
fn explained_output(transcript: &Transcript) -> u64 {
    let connections = transcript.connections() as u64;
    OUTPUT_BOUND
        + LOGGED_FOR_A_CONNECTION * connections
        + LOGGED_FOR_A_BYTE * transcript.sent_bytes()
}
