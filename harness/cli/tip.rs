//! What is said of a command line that has the server's command in the wrong place.

use super::arguments::Cli;
use crate::foreign::is_active;
use crate::launch::command_line;
use clap::CommandFactory;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The same error, with the command line that was meant where the server's command stands in front of no `--`.
pub(super) fn with_tip(mut error: Error, words: &[String]) -> Error {
    let is_strange = error.kind() == ErrorKind::UnknownArgument;
    if let Some(meant) = meant(words).filter(|_| is_strange) {
        let tip = StyledStr::from(format!("the server's command stands behind `--`: {meant}"));
        // What clap suggests is to put `--` in front of the option, in the middle of the server's command.
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// The command line with `--` in front of the first word that no option of ours has: that is the server's program.
fn meant(words: &[String]) -> Option<String> {
    let name = words.get(1)?;
    let all = Cli::command();
    let command = all.find_subcommand(name)?;
    let takes_one = command
        .get_arguments()
        .any(|argument| argument.is_last_set() && argument.get_id() == "command");
    let is_plain = !words
        .iter()
        .any(|word| word == "--" || word.contains(is_active));
    if !takes_one || !is_plain {
        return None;
    }
    let program = words
        .iter()
        .skip(2)
        .position(|word| !word.starts_with('-'))?
        + 2;
    let is_value =
        words[program - 1].starts_with("--") && takes_value(command, &words[program - 1]);
    let looks_like_one = words[program].contains('/') || program + 1 < words.len();
    (!is_value && looks_like_one).then(|| {
        let (ours, theirs) = words.split_at(program);
        let words = ours.iter().map(String::as_str);
        let theirs = theirs.iter().map(String::as_str);
        command_line(words.chain(["--"]).chain(theirs))
    })
}

fn takes_value(command: &clap::Command, word: &str) -> bool {
    let mut arguments = command.get_arguments();
    let long = word.trim_start_matches('-');
    let found = arguments.find(|argument| argument.get_long() == Some(long));
    found.is_some_and(|argument| argument.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = Cli::command().try_get_matches_from(&words).unwrap_err();
        with_tip(error, &words).render().to_string()
    }

    #[test]
    fn command_without_dashes_before_it_is_told_with_them() {
        for (line, meant) in [
            (
                "sockdrill check ./server --port {port}",
                "sockdrill check -- ./server --port {port}",
            ),
            (
                "sockdrill check --strict nginx -p x",
                "sockdrill check --strict -- nginx -p x",
            ),
        ] {
            let told = told(line);
            assert!(told.contains(&format!("behind `--`: {meant}\n")), "{told}");
            assert!(!told.contains("use '-- "), "{told}");
        }
    }

    #[test]
    fn option_that_there_is_not_is_told_as_such() {
        for line in ["sockdrill check --prot", "sockdrill explain --prot x"] {
            assert!(!told(line).contains("behind `--`"), "{line}");
        }
    }
}
