//! From the words of the command line to a command, and from what came of it to an exit code.

use super::arguments::{Cli, Command};
use super::output::{complain, say};
use super::{check, doctor, explain, fmt, init, list, man, repro, run, serve};
use crate::model::error::{Error, ExitCode};
use clap::{CommandFactory, Parser};

/// Does what the command line says, and returns the exit code.
pub fn main() -> i32 {
    let code = match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    };
    code as i32
}

fn dispatch(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Repro(arguments) => repro::repro(arguments),
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::List { what, format } => list::list(what, format),
        Command::Explain { check } => explain::explain(&check),
        Command::Fmt { files, check, to } => fmt::fmt(&files, check, to),
        Command::Doctor => doctor::doctor(),
        Command::Init { folder } => init::init(&folder),
        Command::Completions { shell } => {
            say(shell.script(&Cli::command()).trim_end());
            Ok(ExitCode::Passed)
        }
        Command::Man => {
            say(man::man_page(&Cli::command()).trim_end());
            Ok(ExitCode::Passed)
        }
    }
}
