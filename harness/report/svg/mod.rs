//! The picture of a trial: who said what to whom, on an axis of true time, and what the kernel knew meanwhile.

mod axis;
pub(super) mod drawing;
pub(super) mod growth;
mod lanes;
mod strips;
