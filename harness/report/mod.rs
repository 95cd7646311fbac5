//! What came out of a run, and how it is written down.

mod compared;
pub(crate) mod concluded;
pub(crate) mod data;
mod fact;
mod findings;
pub(crate) mod host;
mod html;
#[cfg(feature = "report")]
mod junit;
pub(crate) mod place;
pub(crate) mod sentence;
mod step;
mod text;
pub(crate) mod timings;
pub(crate) mod written;
