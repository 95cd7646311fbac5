//! The command line: arguments in, a report and an exit code out.

mod arguments;
mod check;
mod completions;
mod config;
mod destination;
mod dispatch;
mod doctor;
mod explain;
mod filterset;
mod filterset_reader;
mod fmt;
mod grammar;
mod init;
mod language_page;
mod last_run;
mod layers;
mod list;
mod log;
mod man;
mod markdown;
mod output;
mod repeat;
mod report;
mod reports;
mod repro;
mod run;
mod selected;
mod selection;
mod serve;
mod signals;
mod target;

pub use dispatch::main;
