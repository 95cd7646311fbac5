//! How the system under test is started, and the guard over its running process tree.

pub mod lab;
mod process;
mod readiness;
mod server;
mod shell;
mod target;

pub(crate) use process::Process;
pub use server::Server;
pub(crate) use shell::command_line;
pub use target::{Known, Target};
