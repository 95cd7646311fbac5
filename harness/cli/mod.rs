//! The command line: arguments in, a report and an exit code out.

mod arguments;
mod check;
mod completions;
mod destination;
mod dispatch;
mod doctor;
mod explain;
mod fmt;
mod init;
mod learn;
mod list;
mod man;
mod markdown;
mod output;
mod record;
mod repeat;
mod report;
mod reports;
mod repro;
mod run;
mod serve;
mod signals;
mod target;
mod tip;
mod unlocked;
mod words;

pub use dispatch::main;
