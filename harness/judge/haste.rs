//! What came after the time before which it must not come, and may have come sooner than was seen.

use super::doubt::Doubt;
use crate::model::phase::Phase;
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, ClientId, Ended, Transcript, What};
use std::collections::BTreeMap;
use std::time::Duration;

/// The first wait that was long enough by no more than the time for which the harness, or the server, did not get to run.
pub(super) fn hidden_haste(trial: &Trial, transcript: &Transcript) -> Option<Doubt> {
    let by = transcript.starved();
    let scenario = trial.scenario();
    let mut waited: BTreeMap<ClientId, Duration> = BTreeMap::new();
    let (mut phase, mut steps) = (Phase::Before, Vec::new());
    let events = transcript.before_repeats().iter();
    let mut waits = events.filter_map(|event| match &event.what {
        What::Phase(next) => {
            (phase, steps) = (*next, trial.steps(*next));
            None
        }
        What::Client(id, ClientEvent::Waited(time)) => {
            waited.insert(*id, *time);
            None
        }
        What::StepEnded { step, member, how } => {
            let line = steps.get(*step)?;
            let after = line.action()?.awaited()?.not_before();
            let id = phase.client(line.clients()?, member.unwrap_or(0));
            let waited = waited.remove(&id).filter(|_| *how == Ended::Done)?;
            Some((id, after, waited))
        }
        _ => None,
    });
    let may_be_too_soon = |(_, after, waited): &(ClientId, Duration, Duration)| {
        waited >= after && waited.saturating_sub(by) < *after
    };
    let (id, after, waited) = waits.find(may_be_too_soon)?;
    Some(Doubt::MayBeTooSoon {
        client: id.name(scenario),
        after,
        waited,
        by,
    })
}
