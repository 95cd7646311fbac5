//! Documentation that is made of the program itself, so that it cannot say anything else.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use sockdrill::check::{Ground, Need, in_words};
use sockdrill::checks;
use sockdrill::passport::OBSERVATIONS;
use sockdrill::profile::{Profile, Serves, Transport};
use std::fmt::Write as _;
use std::sync::LazyLock;

const CHECKS_HEAD: &str = "\
# Checks and observations

This page is what `sockdrill list checks --format markdown` prints. `sockdrill explain CHECK` tells more of each: why,
how it is provoked, and how servers are mended. Ids are permanent.

## Checks

A check applies where all that it needs is known of the server, promised by its profile, or possible here; otherwise it
is skipped with the reason, as listed under *Needs*. A broken *must* fails the run, a broken *should* only with `--strict`. The counterexample is
the command of a reference server that is broken in just this; behind `sockdrill check --speaks SERVER --only CHECK --`
it is found out, with `{port}` and `{path}` filled in.

| check | needs | severity | requirement | counterexample |
| --- | --- | --- | --- | --- |
";

const NEEDS_HEAD: &str = "
## Needs

| need | what is said where it is not met |
| --- | --- |
";

const OBSERVATIONS_HEAD: &str = "
## Observations

What is worth knowing of a server and nothing that a correct server owes. Observations are never judged; they stand under
`observations` in the JSON report. Those with an id are rows of the catalogue for which no verdict would be fair.

| observation | id | needs | what is observed |
| --- | --- | --- | --- |
";

/// The tables of all checks and observations, as Markdown.
pub(super) fn checks_page() -> String {
    let mut page = CHECKS_HEAD.to_owned();
    for check in checks::all() {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | `sockdrill serve {}` |",
            check.id,
            check.needs_in_words(),
            check.severity.word(),
            cell(check.requirement),
            check.counterexample_arguments().join(" ")
        );
    }
    page.push_str(NEEDS_HEAD);
    let grounds = barren();
    for need in needs() {
        let reason = grounds.iter().find_map(|ground| need.unmet(ground));
        let _ = writeln!(page, "| {need} | {} |", cell(&reason.unwrap_or_default()));
    }
    page.push_str(OBSERVATIONS_HEAD);
    for observation in OBSERVATIONS {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            observation.name,
            observation.id.unwrap_or_default(),
            in_words(observation.needs),
            cell(observation.about)
        );
    }
    page
}

/// Every need that something has, in the order in which they first stand on the page.
fn needs() -> Vec<Need> {
    let checks = checks::all().into_iter().flat_map(|check| check.needs);
    let observations = OBSERVATIONS.iter().flat_map(|row| row.needs);
    let mut needs: Vec<Need> = Vec::new();
    for need in checks.chain(observations) {
        if !needs.contains(need) {
            needs.push(*need);
        }
    }
    needs
}

/// A server that nothing is known of on TCP, and one for datagrams that ends after a connection: each need is unmet on
/// one of them.
fn barren() -> [Ground<'static>; 2] {
    static UNKNOWN: LazyLock<Profile> = LazyLock::new(Profile::unknown);
    static ONCE: LazyLock<Profile> = LazyLock::new(|| {
        let mut once = Profile::unknown();
        once.promises.serves = Some(Serves::OneConnection);
        once
    });
    let ground = |profile, transport| Ground {
        socket_is_given: true,
        shared_port: true,
        ..Ground::of(profile, transport)
    };
    [
        ground(&UNKNOWN, Transport::Tcp),
        ground(&ONCE, Transport::Udp),
    ]
}

/// Text in which nothing ends a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The exit codes, as the README has them.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Everything that was concluded passed."),
    ("1", "A verdict is a failure."),
    ("2", "The command line, a profile or a scenario is wrong."),
    (
        "3",
        "sockdrill or the server could not run, or nothing was concluded.",
    ),
    ("4", "Nothing was selected."),
    ("130", "Interrupted; every server has been stopped."),
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
    let _ = writeln!(page, ".SH DESCRIPTION\n{}\n.SH COMMANDS", roff(&about));
    for sub in command.get_subcommands() {
        let about = text_of(sub.get_about());
        let _ = writeln!(page, ".SS {}\n{}", roff(sub.get_name()), roff(&about));
        for argument in sub.get_arguments() {
            let help = text_of(argument.get_help());
            let _ = writeln!(
                page,
                ".TP\n.B {}\n{}",
                roff(&heading(argument)),
                roff(&help)
            );
        }
    }
    page.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in EXIT_STATUS {
        let _ = writeln!(page, ".TP\n.B {code}\n{}", roff(meaning));
    }
    page
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
