//! `sockdrill config show`: what each option is, and who says so.

use super::arguments::{ConfigArgs, ListFormat};
use super::layers::{From, Given, Layers, known_options, variable};
use super::list::{Row, print_rows};
use super::output::say;
use crate::model::error::{Error, ExitCode};
use clap::Arg;

/// Options that say where all others come from, and what a run does but once.
const NOT_SHOWN: &[&str] = &[
    "help",
    "version",
    "config",
    "no-config",
    "profile",
    "list",
    "format",
];

pub(super) fn config(arguments: &ConfigArgs, layers: &Layers) -> Result<ExitCode, Error> {
    let known = known_options();
    let options = known.iter().filter(|argument| {
        let option = argument.get_long();
        option.is_some_and(|option| !NOT_SHOWN.contains(&option))
    });
    let mut options: Vec<Row> = options
        .flat_map(|argument| rows(argument, layers))
        .collect();
    options.sort_by(|one, other| one.name.cmp(&other.name));
    let targets = layers.project.targets().iter().map(|target| {
        let command = target.command_line();
        named_row("targets", &target.name, command)
    });
    let profiles = layers
        .project
        .profiles()
        .map(|name| named_row("profiles", name, String::new()));
    let as_json = arguments.format == ListFormat::Json;
    if !as_json {
        say(&format!("# {}", origin(layers)));
    }
    print_rows(
        options.into_iter().chain(targets).chain(profiles).collect(),
        as_json,
    );
    Ok(ExitCode::Passed)
}

/// The file, and the profile of it.
fn origin(layers: &Layers) -> String {
    let file = match &layers.project.file {
        Some(file) => file.display().to_string(),
        None => "no sockdrill.toml".to_owned(),
    };
    match &layers.profile {
        Some(profile) => format!("{file}, profile {profile}"),
        None => file,
    }
}

/// What an option is, for each command where that differs.
fn rows(argument: &Arg, layers: &Layers) -> Vec<Row> {
    let option = argument.get_long().unwrap_or_default();
    let given = layers.given.iter().filter(|given| given.option == option);
    let rows: Vec<Row> = given.map(given_row).collect();
    match rows.is_empty() {
        true => vec![row(option, built_in(argument), "built in".to_owned())],
        false => rows,
    }
}

fn given_row(given: &Given) -> Row {
    let from = match &given.from {
        From::Environment(variable) => variable.clone(),
        From::File(table) => table.clone(),
    };
    row(&given.option, given.values.join(", "), from)
}

fn row(option: &str, value: String, from: String) -> Row {
    Row {
        name: format!("{option} = {value}"),
        json: serde_json::json!({
            "option": option,
            "value": value,
            "from": from,
            "variable": variable(option),
        }),
        about: from,
    }
}

/// What an option is of itself; a dash where it is nothing.
fn built_in(argument: &Arg) -> String {
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    match (argument.get_action().takes_values(), values.is_empty()) {
        (false, _) => "false".to_owned(),
        (true, true) => "-".to_owned(),
        (true, false) => values.join(", "),
    }
}

fn named_row(table: &str, name: &str, about: String) -> Row {
    Row {
        name: format!("{table}.{name}"),
        json: serde_json::json!({ "table": table, "name": name, "command": about }),
        about,
    }
}
