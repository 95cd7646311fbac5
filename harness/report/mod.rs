//! What came out of a run, and how it is written down.

mod advice;
#[cfg(feature = "report")]
mod annotations;
mod code_quality;
mod compared;
pub(crate) mod concluded;
pub(crate) mod data;
pub(crate) mod diff;
mod diff_text;
mod fact;
#[cfg(feature = "report")]
mod filters;
mod findings;
pub(crate) mod host;
#[cfg(feature = "report")]
mod html;
#[cfg(feature = "report")]
mod junit;
mod matrix;
#[cfg(feature = "report")]
mod matrix_page;
mod observed_change;
#[cfg(feature = "cli")]
mod packets;
#[cfg(feature = "cli")]
pub(crate) mod pcapng;
#[cfg(feature = "cli")]
pub(crate) mod picture;
pub(crate) mod piece;
pub(crate) mod place;
mod printed;
pub(crate) mod sentence;
pub(crate) mod several;
mod step;
#[cfg(feature = "report")]
mod svg;
mod text;
pub(crate) mod timings;
pub(crate) mod trace;
pub(crate) mod waits;
pub(crate) mod written;
