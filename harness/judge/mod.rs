//! The one judge: from a transcript to a verdict, without I/O and without time.

mod alarms;
pub(crate) mod cause;
mod choice;
mod crosstalk;
pub(crate) mod cut_coverage;
mod deeds;
mod doubt;
mod ending;
mod failed_step;
mod forbidden;
mod growth;
mod haste;
mod interrupted;
mod invariants;
mod judgement;
mod next;
mod silence;
#[cfg(test)]
mod tests;
mod thresholds;
mod verdict;
mod wrong_event;

pub(crate) use alarms::{add as add_alarm, recommendations};
pub(crate) use cause::{Alarmed, Cause, Growth, Occasion, QUEUED, StepRef, Unit};
pub(crate) use choice::{Choice, text_of, timeout_promise};
pub(crate) use deeds::Deed;
pub(crate) use doubt::{Doubt, NoSuchCall, Skip};
pub(crate) use growth::begins_to_tell;
pub(crate) use judgement::judge;
pub(crate) use next::next;
#[cfg(test)]
pub(crate) use verdict::Halt;
pub(crate) use verdict::{Evidence, Finding, Verdict};
