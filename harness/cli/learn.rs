//! `sockdrill learn`: a target file from what a client says to a server.

use super::arguments::{LearnArgs, PairArgs};
use super::destination::Destination;
use super::output::{say, say_aside, write, write_new};
use super::signals::interrupt;
use super::target::commanded;
use super::words::words;
use crate::launch::{Target, command_line, placeholder};
use crate::learning::{self, Learned, Pair};
use crate::model::error::{Error, ExitCode};
use crate::model::profile::Profile;
use crate::reference;
use crate::runner::Settings;
use std::path::Path;

pub(super) fn learn(arguments: &LearnArgs) -> Result<ExitCode, Error> {
    let file = &arguments.output;
    let pair = &arguments.pair;
    free_to_write(file, pair.force)?;
    let server = server(pair)?;
    let settings = settings(pair)?;
    let how = typed("learn", file, pair);
    let Learned { text, report } =
        learning::learn(asked(pair, &server, &settings)?, &how, &|step| {
            say_aside(&format!("… {step}"));
        })?;
    write_learned(file, &text, pair.force)?;
    for result in &report.results {
        say(&result.line());
    }
    let shown = command_line([file.to_string_lossy().as_ref()]);
    let check = check_command(file, pair);
    say(&format!("wrote     {}", file.display()));
    say(&format!(
        "next: read {shown}, take the # away from what the server promises, and then\n  {check}"
    ));
    Ok(ExitCode::Passed)
}

/// The server and the client, as they are to be run.
pub(super) fn asked<'a>(
    pair: &'a PairArgs,
    server: &'a Target,
    settings: &'a Settings,
) -> Result<Pair<'a>, Error> {
    match placeholder::slip(pair.client.iter().map(String::as_str)) {
        Some(slip) => Err(Error::Usage(slip)),
        None => Ok(Pair {
            server,
            client: &pair.client,
            within: pair.within,
            settings,
        }),
    }
}

/// The command that drills what was learned, in which all stands but where it runs.
fn check_command(file: &Path, pair: &PairArgs) -> String {
    let file = file.to_string_lossy().into_owned();
    let words = ["sockdrill", "check"].map(str::to_owned).into_iter();
    let words: Vec<String> = words.chain(pair.isolation.words()).chain([file]).collect();
    command_line(words.iter().map(String::as_str))
}

/// Refuses to replace a file that nobody has said may be replaced, before anything is done for it.
pub(super) fn free_to_write(file: &Path, force: bool) -> Result<(), Error> {
    match file.exists() && !force {
        true => Err(is_there_already(file)),
        false => Destination::of("output", file).tried_as_file(),
    }
}

/// Writes the file, and over another one only where that was asked for: it may have come since.
pub(super) fn write_learned(file: &Path, text: &str, force: bool) -> Result<(), Error> {
    match force {
        true => write(file, text),
        false => match write_new(file, text)? {
            true => Ok(()),
            false => Err(is_there_already(file)),
        },
    }
}

fn is_there_already(file: &Path) -> Error {
    Error::Usage(format!(
        "{} is there already: name another file, or replace it with --force",
        file.display()
    ))
}

/// The server that is meant: a file, a reference server, or a command.
pub(super) fn server(pair: &PairArgs) -> Result<Target, Error> {
    let named = &pair.server;
    let is_file = named.ends_with(".toml") && Path::new(named).is_file();
    let mut target = match is_file || reference::find(named).is_some() {
        true => Target::find(named)?,
        false => commanded(&words(named)?)?,
    };
    if target.command.is_empty() {
        return Err(Error::Usage(
            "--server takes the command that starts the server, in one argument: --server './server --port {port}'".to_owned(),
        ));
    }
    target.ready_within = pair.ready_within.unwrap_or(target.ready_within);
    if pair.listen.is_some() {
        target.listen.clone_from(&pair.listen);
    }
    // What it speaks is to be learned.
    target.profile = Profile {
        transport: target.profile.transport,
        ..Profile::unknown()
    };
    Ok(target)
}

pub(super) fn settings(pair: &PairArgs) -> Result<Settings, Error> {
    Ok(Settings {
        isolation: pair.isolation.into(),
        interrupt: interrupt()?,
        ..Settings::default()
    })
}

/// The command as it is typed again.
pub(super) fn typed(command: &str, file: &Path, pair: &PairArgs) -> String {
    let file = file.to_string_lossy();
    let ours = ["sockdrill", command, "-o", &file, "--server", &pair.server];
    let options = [pair.server_words(), pair.client_words()].concat();
    let words = ours.into_iter().chain(options.iter().map(String::as_str));
    let client = pair.client.iter().map(String::as_str);
    command_line(words.chain(["--"]).chain(client))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::{Cli, Command};
    use clap::Parser;

    fn learned(words: &[&str]) -> LearnArgs {
        let ours = ["sockdrill", "learn", "-o", "s.toml", "--server", "s {port}"];
        let words = ours.iter().chain(words).chain(&["--", "c", "{port}"]);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Learn(arguments) => arguments,
            _ => unreachable!(),
        }
    }

    #[test]
    fn command_says_again_all_that_decides_what_is_learned() {
        let of = |words| typed("learn", Path::new("s.toml"), &learned(words).pair);
        let ours = "sockdrill learn -o s.toml --server 's {port}'";
        assert_eq!(of(&[]), format!("{ours} -- c {{port}}"));
        let given = [
            "--isolation",
            "host",
            "--listen",
            "[::1]:80",
            "--ready-within",
            "1m",
            "--within",
            "5s",
        ];
        let told = "--isolation host --listen '[::1]:80' --ready-within 1m --within 5s";
        assert_eq!(of(&given), format!("{ours} {told} -- c {{port}}"));
        let check = check_command(Path::new("s.toml"), &learned(&given).pair);
        assert_eq!(check, "sockdrill check --isolation host s.toml");
    }

    #[test]
    fn file_that_has_come_since_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s.toml");
        write_learned(&file, "one", false).unwrap();
        let refused = write_learned(&file, "two", false).unwrap_err();
        assert!(refused.chain().contains("is there already"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
        write_learned(&file, "two", true).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
