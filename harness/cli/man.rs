//! `sockdrill man`: the manual page, made of the arguments that the program takes.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use std::fmt::Write as _;

/// The exit codes, as the README has them.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Everything that was concluded passed."),
    ("1", "A verdict is a failure."),
    ("2", "The command line, a profile or a scenario is wrong."),
    (
        "3",
        "sockdrill or a server could not run, or too little was concluded.",
    ),
    ("4", "Nothing was selected."),
    (
        "130",
        "Interrupted: every server has been stopped, and what was known is reported. A second interrupt ends a run at once.",
    ),
];

/// The manual page of the program, as `man` reads it.
pub(super) fn man_page(command: &Command) -> String {
    let text_of = |text: Option<&StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let about = text_of(command.get_about());
    let mut page = format!(
        ".TH SOCKDRILL 1 \"\" \"sockdrill {}\"\n.SH NAME\nsockdrill \\- drills socket servers\n.SH SYNOPSIS\n",
        command.get_version().unwrap_or_default()
    );
    for sub in command.get_subcommands() {
        let _ = writeln!(page, ".B sockdrill {}", roff(sub.get_name()));
        let rest = synopsis(sub);
        if !rest.is_empty() {
            let _ = writeln!(page, "{}", roff(&rest));
        }
        page.push_str(".br\n");
    }
    let _ = writeln!(page, ".SH DESCRIPTION\n{}\n.SH OPTIONS", roff(&about));
    options(&mut page, command);
    page.push_str(".SH COMMANDS\n");
    for sub in command.get_subcommands() {
        let about = text_of(sub.get_about());
        let _ = writeln!(page, ".SS {}\n{}", roff(sub.get_name()), roff(&about));
        options(&mut page, sub);
    }
    page.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in EXIT_STATUS {
        let _ = writeln!(page, ".TP\n.B {code}\n{}", roff(meaning));
    }
    page
}

/// The arguments of a command, each with its line.
fn options(page: &mut String, command: &Command) {
    for argument in command.get_arguments() {
        let help = argument.get_help().map(ToString::to_string);
        let _ = writeln!(
            page,
            ".TP\n.B {}\n{}",
            roff(&heading(argument)),
            roff(&help.unwrap_or_default())
        );
    }
}

/// What follows the name of a command.
fn synopsis(command: &Command) -> String {
    let mut words = Vec::new();
    if command.get_opts().next().is_some() {
        words.push("[OPTIONS]".to_owned());
    }
    for argument in command.get_positionals() {
        let name = heading(argument);
        let name = if argument.is_last_set() {
            format!("-- {name}")
        } else {
            name
        };
        words.push(if argument.is_required_set() {
            name
        } else {
            format!("[{name}]")
        });
    }
    words.join(" ")
}

/// An argument as a person writes it: `-v, --verbose`, `--only GLOB`, `FILES`.
fn heading(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let spellings: Vec<_> = short.into_iter().chain(long).collect();
    let value = argument.get_value_names().unwrap_or_default();
    let value = match value {
        [] => argument.get_id().as_str().to_uppercase(),
        names => names.join(" "),
    };
    match (spellings.is_empty(), argument.get_action().takes_values()) {
        (true, _) if matches!(argument.get_action(), ArgAction::Append) => format!("{value}…"),
        (true, _) => value,
        (false, true) => format!("{} {value}", spellings.join(", ")),
        (false, false) => spellings.join(", "),
    }
}

/// Text in which nothing is a request to the formatter: no escapes, no control lines, no hyphenated minus signs.
fn roff(text: &str) -> String {
    let text = text
        .replace('…', "...")
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\n', " ");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}
