//! From the words of the command line to a command, and from what came of it to an exit code.

use super::arguments::{Cli, Command, MessageFormat};
use super::layers::{Layers, layered};
use super::output::{all_printed, colour, complain_as, say, say_aside};
use super::repeat::invocation;
use super::tip::with_tip;
use super::{
    check, completions, config, diff, doctor, explain, fmt, init, judge, learn, list, log, man,
    record, replay, report, repro, run, serve,
};
use crate::foreign::is_active;
use crate::model::error::{Error, ExitCode};
use crate::sys::signals::ignore_file_size_signal;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

/// Does what the command line says, and returns the exit code.
pub fn main() -> i32 {
    // A report that grows beyond `ulimit -f` is one that cannot be written, and told as such: no reason to be killed.
    ignore_file_size_signal();
    if completions::is_answered(Cli::command).unwrap_or_else(refuse) {
        return ExitCode::Passed as i32;
    }
    let words: Vec<_> = std::env::args_os().collect();
    let plain = Cli::command()
        .try_get_matches_from(&words)
        .unwrap_or_else(refuse);
    let mut format = MessageFormat::Human;
    let done = layered(&words, plain).and_then(|layered| {
        let (matches, layers) = layered.unwrap_or_else(refuse);
        let cli = Cli::from_arg_matches(&matches).unwrap_or_else(refuse);
        colour(cli.color);
        format = cli.command.message_format();
        dispatch(cli.command, &matches, &layers)
    });
    let code = match done {
        Ok(code) => all_printed(code),
        Err(error) => {
            complain_as(format, &error);
            error.exit_code()
        }
    };
    code as i32
}

/// Ends as clap does, which quotes arguments as they are, where they do nothing.
fn refuse<T>(error: clap::Error) -> T {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let error = with_tip(error, &words.collect::<Vec<_>>());
    let mut arguments = std::env::args_os();
    if !arguments.any(|argument| argument.to_string_lossy().contains(is_active)) {
        error.exit();
    }
    say_aside(error.render().to_string().trim_end());
    std::process::exit(error.exit_code())
}

fn dispatch(command: Command, matches: &ArgMatches, layers: &Layers) -> Result<ExitCode, Error> {
    log::begin()?;
    match command {
        Command::Check(arguments) => check::check(&arguments, layers, invocation(matches, layers)),
        Command::Run(arguments) => run::run(&arguments, layers, invocation(matches, layers)),
        Command::Report(arguments) => report::report(&arguments),
        Command::Diff(arguments) => diff::diff(&arguments),
        Command::Repro(arguments) => repro::repro(arguments, layers),
        Command::Replay(arguments) => replay::replay(arguments),
        Command::Judge(arguments) => judge::judge(&arguments),
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::List { what, format } => list::list(what, format),
        Command::Explain { check, lang } => explain::explain(&check, lang),
        Command::Fmt {
            files, check, to, ..
        } => fmt::fmt(&files, check, to),
        Command::Config(arguments) => config::config(&arguments, layers),
        Command::Doctor => doctor::doctor(),
        Command::Init(arguments) => init::init(&arguments),
        Command::Learn(arguments) => learn::learn(&arguments),
        Command::Record(arguments) => record::record(&arguments),
        Command::Completions { shell } => {
            say(&completions::script(shell));
            Ok(ExitCode::Passed)
        }
        Command::Man => {
            say(man::man_page(Cli::command()).trim_end());
            Ok(ExitCode::Passed)
        }
    }
}
