//! What came out of a run, and how it is written down.

pub mod data;
mod html;
pub(crate) mod sentence;
