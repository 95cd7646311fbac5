//! The invariants that are held against samples of the server before and after a scenario.

use super::failed_step::CERTAINLY_BUSY;
use super::leaks::growing;
use super::sent_bytes;
use crate::model::invariant::Invariant;
use crate::model::phase::Moment;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, Transcript};

pub(super) fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<String> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = growing(trial, transcript)
        .filter(|growing| growing.is_leak)
        .map(|growing| growing.text);
    let rest = states(transcript, after);
    let rest = rest
        .into_iter()
        .filter(|(invariant, _)| !trial.waives(*invariant));
    leaks.chain(rest.map(|(_, text)| text)).collect()
}

fn states(transcript: &Transcript, after: &Sample) -> Vec<(Invariant, String)> {
    let baseline = transcript
        .sample(Moment::Baseline)
        .cloned()
        .unwrap_or_default();
    let mut found = Vec::new();
    if after.close_wait > baseline.close_wait {
        let text = format!(
            "{} connections are left in CLOSE_WAIT: the server never closed its side",
            after.close_wait
        );
        found.push((Invariant::CloseWait, text));
    }
    let unreaped = transcript
        .sample(Moment::Again)
        .map_or(0, |again| again.unreaped);
    if unreaped > baseline.zombies {
        let text = format!(
            "{unreaped} children have ended and were not waited for, though clients have come since"
        );
        found.push((Invariant::Zombies, text));
    }
    if !after.at_rest && baseline.at_rest && (after.cpu_percent >= CERTAINLY_BUSY || after.spins) {
        let text = format!(
            "the server has nothing to do and uses {} % of a processor",
            after.cpu_percent
        );
        found.push((Invariant::IdleCpu, text));
    }
    if after.accept_queue > baseline.accept_queue {
        found.push((
            Invariant::Queues,
            format!(
                "{} connections are left in the accept queue",
                after.accept_queue
            ),
        ));
    }
    let printed = after.output_bytes - baseline.output_bytes.min(after.output_bytes);
    if printed > OUTPUT_BOUND + LOGGED_FOR_A_BYTE * sent_bytes(transcript) {
        let text = format!("the server printed {} MiB", printed >> 20);
        found.push((Invariant::Output, text));
    }
    found
}

/// What a server may print during a scenario: a line a connection is fair, a line a turn of a busy loop is not.
const OUTPUT_BOUND: u64 = 8 << 20;

/// What a server may print beside that for each byte it is sent: one that logs its traffic in hexadecimal, as it comes
/// and as it goes, prints about ten.
const LOGGED_FOR_A_BYTE: u64 = 16;
