//! `sockdrill record`: a live session as a scenario file.

use super::arguments::{PairArgs, RecordArgs};
use super::learn::{asked, free_to_write, server, settings, typed, write_learned};
use super::named::name_in;
use super::output::{say, say_aside, write};
use crate::foreign::LINE;
use crate::launch::{Target, command_line};
use crate::learning::{self, Recorded};
use crate::model::error::{Error, ExitCode};
use crate::report::data::Outcome;
use crate::runner::{self, Given, Settings};
use std::path::Path;

pub(super) fn record(arguments: &RecordArgs) -> Result<ExitCode, Error> {
    let file = &arguments.output;
    let pair = &arguments.pair;
    free_to_write(file, pair.force)?;
    let server = server(pair)?;
    let settings = settings(pair)?;
    let asked = asked(pair, &server, &settings)?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("a session, {}", LINE.text(&stem));
    let Recorded { scenarios, over } =
        learning::record(asked, &name, &|step| say_aside(&format!("… {step}")))?;
    let named = server_of_file(pair, file);
    let how = typed("record", file, pair);
    let how = how.lines().map(|line| format!("# {line}\n"));
    let setting = named.map(|named| format!("server: {named}\n"));
    let texts = scenarios.iter().map(|scenario| {
        format!(
            "# Written by:\n{}{}\n{scenario}",
            how.clone().collect::<String>(),
            setting.clone().unwrap_or_default()
        )
    });
    say_aside("… runs the scenario");
    let text = first_that_passes(texts, &server.on(over), &settings)?;
    write_learned(file, &text, pair.force)?;
    say(&format!("wrote     {}", file.display()));
    let mut words = pair.server_words();
    words.push(file.to_string_lossy().into_owned());
    let shown = command_line(words.iter().map(String::as_str));
    let command = match setting {
        Some(_) => String::new(),
        None => format!(" -- {}", server.command_line()),
    };
    say(&format!("next:\n  sockdrill run {shown}{command}"));
    Ok(ExitCode::Passed)
}

/// The server as this scenario file names it: a target file, or a reference server.
fn server_of_file(pair: &PairArgs, file: &Path) -> Option<String> {
    let is_command = pair.server.contains(char::is_whitespace);
    let named = Target::find(&pair.server).ok().filter(|_| !is_command)?;
    name_in(file.parent().unwrap_or_else(|| Path::new("")), &named)
}

/// The first of these files that passes.
fn first_that_passes(
    texts: impl Iterator<Item = String>,
    server: &Target,
    settings: &Settings,
) -> Result<String, Error> {
    let mut why = Error::NotLearned("nothing was recorded".to_owned());
    for text in texts {
        match try_it(&text, server, settings) {
            Ok(()) => return Ok(text),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// Runs the scenario, which is to pass.
fn try_it(text: &str, server: &Target, settings: &Settings) -> Result<(), Error> {
    let folder =
        tempfile::tempdir().map_err(Error::file("making a folder in", &std::env::temp_dir()))?;
    let file = folder.path().join("recorded.drill");
    write(&file, text)?;
    let given = Given {
        target: Some(server.clone()),
        ..Given::default()
    };
    let cases = runner::cases_of(&file.to_string_lossy(), &given)?;
    let report = runner::run_cases(&cases, settings, &|_| {})?;
    let mut results = report.results.iter();
    let passes = |outcome| matches!(outcome, Outcome::Pass | Outcome::Warn);
    match results.find(|result| !passes(result.outcome())) {
        None => Ok(()),
        Some(result) => Err(Error::NotLearned(format!(
            "what was recorded does not pass when it is run, and was not written: {}\n{text}",
            result.line()
        ))),
    }
}
