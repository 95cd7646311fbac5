//! `sockdrill learn`: a target file from what a client says to a server.

use super::arguments::{LearnArgs, PairArgs};
use super::output::{say, say_aside, write};
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
    write(file, &text)?;
    for result in &report.results {
        say(&result.line());
    }
    let shown = command_line([file.to_string_lossy().as_ref()]);
    say(&format!("wrote     {}", file.display()));
    say(&format!(
        "next: read {shown}, take the # away from what the server promises, and then\n  sockdrill check {shown}"
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

/// Refuses to replace a file that nobody has said may be replaced.
pub(super) fn free_to_write(file: &Path, force: bool) -> Result<(), Error> {
    match file.exists() && !force {
        true => Err(Error::Usage(format!(
            "{} is there already: name another file, or replace it with --force",
            file.display()
        ))),
        false => Ok(()),
    }
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
    let ours = [
        "sockdrill",
        command,
        "-o",
        &file,
        "--server",
        &pair.server,
        "--",
    ];
    command_line(
        ours.into_iter()
            .chain(pair.client.iter().map(String::as_str)),
    )
}
