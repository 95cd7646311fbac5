//! What came out of a run, and how it is written down.

mod compared;
pub(crate) mod concluded;
pub(crate) mod data;
mod findings;
mod html;
#[cfg(feature = "report")]
mod junit;
#[cfg(feature = "cli")]
mod packets;
#[cfg(feature = "cli")]
pub(crate) mod pcapng;
pub(crate) mod place;
pub(crate) mod sentence;
mod step;
mod text;
pub(crate) mod timings;
pub(crate) mod written;
