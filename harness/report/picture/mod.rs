//! The picture of a trial: who said what to whom, on an axis of true time, and what the kernel knew meanwhile.

mod axis;
mod drawing;
mod growth;
mod lanes;
mod strips;

pub(super) use drawing::{Drawing, shortened};
pub(super) use growth::Plot;
