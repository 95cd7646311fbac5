//! The one judge: from a transcript to a verdict, without I/O and without time.

pub(crate) mod cause;
pub mod cut_coverage;
mod doubt;
mod ending;
mod failed_step;
mod invariants;
mod judgement;
mod leaks;
mod next;
mod silence;
#[cfg(test)]
mod tests;
mod thresholds;
mod verdict;

pub use cause::{Cause, Growth};
pub use doubt::{Doubt, Skip, Useful};
pub use judgement::judge;
pub use next::next;
pub use verdict::{Evidence, Finding, Verdict};
