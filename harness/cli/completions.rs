//! Scripts that complete the command line in a shell, made of the arguments that the program takes.

use clap::{Arg, Command, ValueEnum};
use std::fmt::Write as _;

/// The shells that there are scripts for.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Fish,
    Zsh,
}

impl Shell {
    /// The script that completes `command`.
    pub(super) fn script(self, command: &Command) -> String {
        match self {
            Self::Bash => format!(
                "# bash: source <(sockdrill completions bash)\n{}\
                 _sockdrill() {{\n    local words\n    \
                 words=$(_sockdrill_words \"${{COMP_WORDS[@]:1:COMP_CWORD}}\")\n    \
                 mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\")\n}}\n\
                 complete -o default -F _sockdrill sockdrill\n",
                words_function(command)
            ),
            Self::Zsh => format!(
                "#compdef sockdrill\n# zsh: source <(sockdrill completions zsh)\n{}\
                 _sockdrill() {{\n    local -a words_of_sockdrill\n    \
                 words_of_sockdrill=(${{=$(_sockdrill_words \"${{(@)words[2,CURRENT]}}\")}})\n    \
                 compadd -a words_of_sockdrill || _files\n}}\n\
                 compdef _sockdrill sockdrill\n",
                words_function(command)
            ),
            Self::Fish => fish(command),
        }
    }
}

/// What lists names that only the program knows: those of checks and of reference servers.
fn names_for(argument: &Arg) -> Option<&'static str> {
    match argument.get_id().as_str() {
        "only" | "skip" | "violate" => Some("checks"),
        "check" if argument.is_positional() => Some("checks"),
        "name" | "target" => Some("servers"),
        "speaks" => Some("profiles"),
        _ => None,
    }
}

fn values(argument: &Arg) -> Vec<String> {
    let values = argument.get_possible_values().into_iter();
    values.map(|value| value.get_name().to_owned()).collect()
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

/// The ways to write an option.
fn spellings(argument: &Arg) -> Vec<String> {
    let long = argument.get_long().map(|long| format!("--{long}"));
    let short = argument.get_short().map(|short| format!("-{short}"));
    long.into_iter().chain(short).collect()
}

/// A shell's text for the words that may stand for an argument's value.
fn words_for(argument: &Arg) -> String {
    match names_for(argument) {
        Some(what) => format!("$(sockdrill list {what} 2>/dev/null | cut -d' ' -f1)"),
        None => values(argument).join(" "),
    }
}

/// The arguments of a command, and those of all.
fn arguments<'a>(all: &'a Command, sub: &'a Command) -> impl Iterator<Item = &'a Arg> {
    sub.get_arguments().chain(all.get_arguments())
}

/// A POSIX function that prints what may come next, given the words so far, the one under the cursor last.
fn words_function(command: &Command) -> String {
    let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    let mut text = format!(
        "_sockdrill_words() {{\n    local command= previous=\n    while [ $# -gt 1 ]; do\n        \
         [ \"$1\" = -- ] && return\n        case $1 in\n            {}) command=${{command:-$1}} ;;\n        esac\n        \
         previous=$1\n        shift\n    done\n    case \"$command $previous\" in\n",
        names.join("|")
    );
    for sub in command.get_subcommands() {
        let options = arguments(command, sub);
        for option in options.filter(|argument| takes_value(argument)) {
            for spelling in spellings(option) {
                let _ = writeln!(
                    text,
                    "        \"{} {spelling}\") echo \"{}\"; return ;;",
                    sub.get_name(),
                    words_for(option)
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "    esac\n    case $command in\n        '') echo \"{}\" ;;",
        names.join(" ")
    );
    for sub in command.get_subcommands() {
        let options = arguments(command, sub).flat_map(spellings);
        let positionals = sub.get_positionals().map(words_for);
        let words: Vec<_> = options
            .chain(positionals)
            .filter(|word| !word.is_empty())
            .collect();
        let _ = writeln!(
            text,
            "        {}) echo \"{}\" ;;",
            sub.get_name(),
            words.join(" ")
        );
    }
    text.push_str("    esac\n}\n");
    text
}

fn fish(command: &Command) -> String {
    let mut text = "# fish: sockdrill completions fish | source\n".to_owned();
    for sub in command.get_subcommands() {
        let name = sub.get_name();
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(
            text,
            "complete -c sockdrill -n __fish_use_subcommand -f -a {name} -d {}",
            quoted(&about)
        );
        for argument in arguments(command, sub) {
            let mut line = format!("complete -c sockdrill -n '__fish_seen_subcommand_from {name}'");
            if let Some(long) = argument.get_long() {
                let _ = write!(line, " -l {long}");
            }
            if let Some(short) = argument.get_short() {
                let _ = write!(line, " -s {short}");
            }
            let words = match names_for(argument) {
                Some(what) => format!("(sockdrill list {what} | string split -f1 ' ')"),
                None => values(argument).join(" "),
            };
            if takes_value(argument) && !words.is_empty() {
                let required = if argument.is_positional() { "" } else { " -r" };
                let _ = write!(line, "{required} -f -a {}", quoted(&words));
            } else if argument.is_positional() {
                continue;
            } else if takes_value(argument) {
                line.push_str(" -r");
            }
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(text, "{line} -d {}", quoted(&help));
        }
    }
    text
}

/// Text in single quotes, as fish reads them.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
