//! How the system under test is started, and the guard over its running process tree.

mod answer;
mod answerer;
mod backends;
mod elsewhere;
pub(crate) mod foreground;
pub(crate) mod lab;
mod loopback;
mod named;
pub(crate) mod options;
pub(crate) mod placeholder;
mod process;
pub(crate) mod project;
mod rare;
mod reach;
mod readiness;
mod recipient;
mod server;
mod shell;
mod target;
#[cfg(feature = "cli")]
mod target_text;

pub(crate) use answerer::{Answerer, Tally};
pub(crate) use backends::{Backend, Backends, DropsBehind, LookBehind};
pub use elsewhere::Elsewhere;
pub(crate) use process::{Burst, Process};
pub(crate) use project::Project;
pub(crate) use server::{NotStarted, Server};
pub(crate) use shell::command_line;
pub(crate) use target::Known;
pub use target::Target;
