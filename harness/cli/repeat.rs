//! The command that repeats a part of a run, made from the arguments that the run was asked for with.
//!
//! Whatever is given is repeated, so that no new option can be forgotten; the exceptions are listed here.

use super::arguments::Cli;
use super::layers::{From, Layers};
use crate::runner::Invocation;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

/// How an argument stands in the command that repeats a part of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Repeated {
    /// As it was given, if it was.
    AsGiven,
    /// Given or not: another value would be another run.
    Always,
    /// Not at all: the part that is repeated stands in its place, or it decides nothing of a part.
    Not,
}

/// The arguments that are not simply repeated as they were given, and of which command that is said.
const EXCEPTIONS: &[(Of, &str, Repeated)] = &[
    // Data are drawn from it, and the failure is said to be of this seed.
    (Of::Check, "seed", Repeated::Always),
    // What failed is named in their place.
    (Of::Run, "files", Repeated::Not),
    (Of::Both, "only", Repeated::Not),
    (Of::Both, "skip", Repeated::Not),
    (Of::Both, "filter_expr", Repeated::Not),
    (Of::Both, "last_failed", Repeated::Not),
    (Of::Both, "list", Repeated::Not),
    (Of::Both, "format", Repeated::Not),
    // One part is no run of so many.
    (Of::Check, "min_checks", Repeated::Not),
    (Of::Both, "no_tests", Repeated::Not),
    // Once is enough to see it.
    (Of::Both, "fail_fast", Repeated::Not),
    (Of::Both, "no_fail_fast", Repeated::Not),
    (Of::Both, "max_fail", Repeated::Not),
    (Of::Both, "repeat", Repeated::Not),
    (Of::Both, "repeat_for", Repeated::Not),
    (Of::Both, "retries", Repeated::Not),
    (Of::Both, "flaky", Repeated::Not),
    // One part is repeated whole, wherever it was tried.
    (Of::Both, "budget", Repeated::Not),
    (Of::Both, "check_budget", Repeated::Not),
    (Of::Both, "partition", Repeated::Not),
    (Of::Both, "jobs", Repeated::Not),
    // How much is told, and where. The folder of `--artifacts` is read too: its cases come first.
    (Of::Both, "verbose", Repeated::Not),
    (Of::Both, "timings", Repeated::Not),
    (Of::Both, "json", Repeated::Not),
    (Of::Both, "junit", Repeated::Not),
    (Of::Both, "html", Repeated::Not),
    (Of::Both, "code_quality", Repeated::Not),
    (Of::Both, "events", Repeated::Not),
    (Of::Run, "artifacts", Repeated::Not),
    (Of::Both, "transcripts", Repeated::Not),
    (Of::Run, "message_format", Repeated::Not),
];

/// Which commands an exception is of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Check,
    Run,
    Both,
}

impl Of {
    fn is_of(self, command: &str) -> bool {
        match self {
            Self::Check => command == "check",
            Self::Run => command == "run",
            Self::Both => ["check", "run"].contains(&command),
        }
    }
}

fn repeated(command: &str, argument: &str) -> Repeated {
    let mut exceptions = EXCEPTIONS.iter();
    let exception = exceptions.find(|(of, id, _)| of.is_of(command) && *id == argument);
    exception.map_or(Repeated::AsGiven, |(_, _, repeated)| *repeated)
}

/// The command that was given, with a gap for the part that is to be repeated.
pub(super) fn invocation(matches: &ArgMatches, layers: &Layers) -> Invocation {
    // As it was called, so that it is found again from the same folder.
    let program = std::env::args().next();
    let program = program.unwrap_or_else(|| "sockdrill".to_owned());
    let all = Cli::command();
    let Some((name, matches)) = matches.subcommand() else {
        return Invocation {
            before: vec![program],
            after: Vec::new(),
        };
    };
    let mut invocation = Invocation {
        before: without_variables(name, layers),
        after: Vec::new(),
    };
    invocation.before.push(program);
    invocation.before.push(name.to_owned());
    let command = all.find_subcommand(name).into_iter();
    for argument in command.flat_map(clap::Command::get_arguments) {
        let id = argument.get_id().as_str();
        let was_given = matches.value_source(id) == Some(ValueSource::CommandLine)
            || variable_of(id, layers).is_some() && !is_unset_flag(argument, matches);
        match repeated(name, argument.get_id().as_str()) {
            Repeated::AsGiven if !was_given => {}
            Repeated::Not => {}
            // Which of several it was is for those to say who drill them.
            Repeated::AsGiven if id == "targets" && values(argument, matches).len() > 1 => {}
            Repeated::AsGiven if argument.is_last_set() => {
                invocation.after.push("--".to_owned());
                invocation.after.extend(words(argument, matches));
            }
            Repeated::AsGiven => invocation.before.extend(words(argument, matches)),
            Repeated::Always => invocation.after.extend(words(argument, matches)),
        }
    }
    invocation
}

/// The variable that has given an argument its value, where one has: it may have been there for one command alone.
fn variable_of<'a>(id: &str, layers: &'a Layers) -> Option<&'a str> {
    layers.given.iter().find_map(|given| match &given.from {
        From::Environment(variable) if given.id == id => Some(variable.as_str()),
        _ => None,
    })
}

/// What takes away the variables of all that is not repeated: they would choose another part, or write over a report.
fn without_variables(name: &str, layers: &Layers) -> Vec<String> {
    let is_not = |id: &str| repeated(name, id) == Repeated::Not;
    let given = layers.given.iter().filter(|given| is_not(&given.id));
    let variables = given.filter_map(|given| variable_of(&given.id, layers));
    let words: Vec<String> = variables
        .flat_map(|variable| ["-u".to_owned(), variable.to_owned()])
        .collect();
    match words.is_empty() {
        true => words,
        false => std::iter::once("env".to_owned()).chain(words).collect(),
    }
}

fn is_unset_flag(argument: &Arg, matches: &ArgMatches) -> bool {
    !argument.get_action().takes_values() && !matches.get_flag(argument.get_id().as_str())
}

/// The words that give an argument the value that it has.
fn words(argument: &Arg, matches: &ArgMatches) -> Vec<String> {
    let Some(long) = argument.get_long().map(|long| format!("--{long}")) else {
        return values(argument, matches);
    };
    if !argument.get_action().takes_values() {
        return vec![long];
    }
    let values = values(argument, matches).into_iter();
    let words = values.flat_map(|value| match value.starts_with('-') {
        true => vec![format!("{long}={value}")],
        false => vec![long.clone(), value],
    });
    words.collect()
}

fn values(argument: &Arg, matches: &ArgMatches) -> Vec<String> {
    let values = matches.get_raw(argument.get_id().as_str());
    let values = values.into_iter().flatten();
    values
        .map(|value| value.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Repeated::{Always, AsGiven, Not};

    /// Every argument of the commands that run something. A new one belongs here: is a failure the same without it?
    const ARGUMENTS: &[(&str, &[(&str, Repeated)])] = &[
        (
            "check",
            &[
                ("targets", AsGiven),
                ("only", Not),
                ("skip", Not),
                ("deep", AsGiven),
                ("cases", AsGiven),
                ("no_shrink", AsGiven),
                ("verbose", Not),
                ("min_checks", Not),
                ("filter_expr", Not),
                ("last_failed", Not),
                ("list", Not),
                ("format", Not),
                ("fail_fast", Not),
                ("no_fail_fast", Not),
                ("max_fail", Not),
                ("repeat", Not),
                ("repeat_for", Not),
                ("retries", Not),
                ("flaky", Not),
                ("config", AsGiven),
                ("no_config", AsGiven),
                ("profile", AsGiven),
                ("speaks", AsGiven),
                ("isolation", AsGiven),
                ("listen", AsGiven),
                ("address", AsGiven),
                ("i_own_this_host", AsGiven),
                ("flood", AsGiven),
                ("ready_within", AsGiven),
                ("no_tests", Not),
                ("budget", Not),
                ("check_budget", Not),
                ("partition", Not),
                ("timings", Not),
                ("strict", AsGiven),
                ("jobs", Not),
                ("seed", Always),
                ("json", Not),
                ("junit", Not),
                ("html", Not),
                ("code_quality", Not),
                ("events", Not),
                ("artifacts", AsGiven),
                ("transcripts", Not),
                ("command", AsGiven),
            ],
        ),
        (
            "run",
            &[
                ("files", Not),
                ("only", Not),
                ("skip", Not),
                ("verbose", Not),
                ("message_format", Not),
                ("filter_expr", Not),
                ("last_failed", Not),
                ("list", Not),
                ("format", Not),
                ("fail_fast", Not),
                ("no_fail_fast", Not),
                ("max_fail", Not),
                ("repeat", Not),
                ("repeat_for", Not),
                ("retries", Not),
                ("flaky", Not),
                ("config", AsGiven),
                ("no_config", AsGiven),
                ("profile", AsGiven),
                ("speaks", AsGiven),
                ("isolation", AsGiven),
                ("listen", AsGiven),
                ("address", AsGiven),
                ("i_own_this_host", AsGiven),
                ("flood", AsGiven),
                ("ready_within", AsGiven),
                ("no_tests", Not),
                ("budget", Not),
                ("check_budget", Not),
                ("partition", Not),
                ("timings", Not),
                ("strict", AsGiven),
                ("jobs", Not),
                ("seed", AsGiven),
                ("json", Not),
                ("junit", Not),
                ("html", Not),
                ("code_quality", Not),
                ("events", Not),
                ("artifacts", Not),
                ("transcripts", Not),
                ("command", AsGiven),
            ],
        ),
    ];

    #[test]
    fn of_every_argument_it_is_said_whether_it_is_repeated() {
        let all = Cli::command();
        for (name, expected) in ARGUMENTS {
            let command = all.find_subcommand(name).unwrap();
            let ids = command.get_arguments().map(|argument| argument.get_id());
            let said: Vec<_> = ids
                .map(|id| (id.as_str(), repeated(name, id.as_str())))
                .collect();
            assert_eq!(said, *expected, "{name}");
        }
    }

    #[test]
    fn exceptions_are_of_arguments_that_there_are() {
        for (of, id, _) in EXCEPTIONS {
            let mut of_commands = ARGUMENTS.iter().filter(|(command, _)| of.is_of(command));
            let has = |(_, all): &(&str, &[(&str, Repeated)])| {
                all.iter().any(|(argument, _)| argument == id)
            };
            assert!(of_commands.all(has), "{of:?}: {id}");
        }
    }

    /// The command that repeats `part` of what these words ask for.
    fn repeating(words: &[&str], part: &str) -> Vec<String> {
        let words = std::iter::once("sockdrill").chain(words.iter().copied());
        let Invocation { before, after } = invocation(
            &Cli::command().try_get_matches_from(words).unwrap(),
            &Layers::default(),
        );
        let part = std::iter::once(part.to_owned());
        before
            .into_iter()
            .chain(part)
            .chain(after)
            .skip(1)
            .collect()
    }

    #[test]
    fn all_that_decides_a_check_is_repeated() {
        let given = [
            "check",
            "t.toml",
            "--strict",
            "--deep",
            "--cases=9",
            "--isolation",
            "host",
            "--speaks=-p",
            "--listen",
            "[::1]:80",
            "--artifacts",
            "a b",
            "--only",
            "reset",
            "--only",
            "stop",
            "-v",
            "--json",
            "r.json",
            "--jobs",
            "3",
        ];
        let expected = [
            "check",
            "t.toml",
            "--deep",
            "--cases",
            "9",
            "--speaks=-p",
            "--isolation",
            "host",
            "--listen",
            "[::1]:80",
            "--strict",
            "--artifacts",
            "a b",
            "PART",
            "--seed",
            "1",
        ];
        assert_eq!(repeating(&given, "PART"), expected);
    }

    #[test]
    fn servers_command_stands_behind_all_else() {
        let given = [
            "run", "f.drill", "g.drill", "--seed", "7", "--", "sh", "-c", "a b", "--", "--seed",
        ];
        let expected = [
            "run",
            "--seed",
            "7",
            "f.drill:8",
            "--",
            "sh",
            "-c",
            "a b",
            "--",
            "--seed",
        ];
        assert_eq!(repeating(&given, "f.drill:8"), expected);
    }
}
