//! wip
pub mod check;
mod client;
pub mod error;
pub mod event;
pub mod judge;
pub(crate) mod kernel;
pub mod lab;
pub mod literal;
pub mod profile;
mod pulse;
mod recorder;
pub mod servers;
mod stage;
pub mod step;
mod sys;
pub mod talk;
pub mod target;
pub mod view;
