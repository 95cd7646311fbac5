//! The invariants that are held against samples of the server before and after a scenario.

use super::cause::Cause;
use super::growth;
use super::thresholds::{
    CERTAINLY_BUSY, LINES_BOUND, LINES_FOR_A_CONNECTION, LOGGED_FOR_A_BYTE,
    LOGGED_FOR_A_CONNECTION, OUTPUT_BOUND,
};
use crate::model::invariant::Invariant;
use crate::model::phase::Moment;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, ServerEvent, Transcript};

pub(super) fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<Cause> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = growth::leaks(trial, transcript)
        .into_iter()
        .map(Cause::Left);
    let rest = states(transcript, after);
    let rest = rest.into_iter().filter(|(invariant, _)| {
        let is_late = is_late(transcript) && LATE.contains(invariant);
        !is_late && !trial.waives(*invariant)
    });
    leaks.chain(rest.map(|(_, cause)| cause)).collect()
}

/// What a server that a time-out of its own wakes may still put right.
const LATE: &[Invariant] = &[Invariant::Queues];

/// Whether a server that may still put right what clients have left has not done so for as long as it is looked on at.
pub(super) fn is_late(transcript: &Transcript) -> bool {
    let after = transcript.sample(Moment::After);
    after.is_some_and(|after| after.may_still_go)
}

/// What such a server has left so far.
pub(super) fn left_so_far(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    let after = transcript
        .sample(Moment::After)
        .filter(|_| is_late(transcript))?;
    let left = states(transcript, after).into_iter();
    let mut left = left.filter(|(invariant, _)| !trial.waives(*invariant));
    let state = left.find(|(invariant, _)| LATE.contains(invariant));
    Some(state.map_or(Cause::LeftUnread, |(_, cause)| cause))
}

fn states(transcript: &Transcript, after: &Sample) -> Vec<(Invariant, Cause)> {
    let baseline = transcript
        .sample(Moment::Baseline)
        .cloned()
        .unwrap_or_default();
    let is_busy = !after.at_rest && (after.cpu_percent >= CERTAINLY_BUSY || after.spins);
    let bytes = after.output_bytes.saturating_sub(baseline.output_bytes);
    let percent = after.cpu_percent;
    let mut toil = transcript.server_events().filter_map(|event| match event {
        ServerEvent::Toils(toil) => Some(*toil),
        _ => None,
    });
    let toil = toil.next_back();
    let found = [
        (
            is_busy && baseline.at_rest,
            Invariant::IdleCpu,
            Cause::Busy { percent, toil },
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
    let lines = transcript.unasked_lines();
    let babbled = (
        lines > explained_lines(transcript),
        Invariant::Output,
        Cause::Babbled { lines },
    );
    let found = found.into_iter().chain([babbled]);
    let found = found.filter(|(is_broken, ..)| *is_broken);
    found
        .map(|(_, invariant, cause)| (invariant, cause))
        .collect()
}

/// As many lines as a server may have printed while nobody did anything: what it says of the ends of those who were there, of
/// what it reads late, and some more.
fn explained_lines(transcript: &Transcript) -> u64 {
    let connections = transcript.connections() as u64;
    LINES_BOUND + LINES_FOR_A_CONNECTION * connections + transcript.sent_bytes()
}

/// As much as a server may have printed: what it logs of each connection and of what it was sent, and some more.
fn explained_output(transcript: &Transcript) -> u64 {
    let connections = transcript.connections() as u64;
    OUTPUT_BOUND
        + LOGGED_FOR_A_CONNECTION * connections
        + LOGGED_FOR_A_BYTE * transcript.sent_bytes()
}
