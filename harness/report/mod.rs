//! What came out of a run, and how it is written down.

pub(crate) mod concluded;
pub(crate) mod data;
mod html;
pub(crate) mod sentence;
mod step;
