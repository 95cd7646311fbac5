//! The server that a command line names, and how it is to be drilled.

use super::arguments::Shared;
use super::signals::interrupt;
use crate::launch::Target;
use crate::model::error::Error;
use crate::model::profile::Profile;
use crate::runner::{Invocation, Settings};

/// The target that the command line names: a reference server, a file, or a command.
pub(super) fn target(name: Option<&str>, shared: &Shared) -> Result<Target, Error> {
    let speaks = shared.speaks.as_deref().map(Profile::find).transpose()?;
    let command = Some(&shared.command).filter(|command| !command.is_empty());
    let mut target = match (name, &shared.address, command) {
        (Some(name), None, None) => Target::find(name)?,
        (None, Some(address), None) => Target::at(address, Profile::unknown())?,
        (None, None, Some(command)) => Target::command(command.clone(), Profile::unknown()),
        (None, None, None) => {
            return Err(Error::Usage(
                "give a TARGET, or the server's command after `--`: sockdrill check -- ./server --port {port}".to_owned(),
            ));
        }
        _ => {
            return Err(Error::Usage(
                "give one of a TARGET, an --address and a COMMAND after `--`".to_owned(),
            ));
        }
    };
    if let Some(speaks) = speaks {
        target.profile = speaks;
    }
    started_as_told(&mut target, shared)?;
    Ok(target)
}

/// Whether the command line names a server in the place of those that files name.
pub(super) fn is_named(shared: &Shared) -> bool {
    shared.address.is_some() || !shared.command.is_empty()
}

/// What the command line says of how the server comes up, whatever its target says.
///
/// # Errors
/// It says so of a server that somebody else has started, or the other way round.
pub(super) fn started_as_told(target: &mut Target, shared: &Shared) -> Result<(), Error> {
    if shared.listen.is_some() {
        target.listen.clone_from(&shared.listen);
    }
    target.ready_within = shared.ready_within.unwrap_or(target.ready_within);
    let is_started_by_us = target.elsewhere.is_none();
    let misplaced = [
        (
            "--i-own-this-host",
            shared.i_own_this_host,
            is_started_by_us,
        ),
        ("--flood", shared.flood, is_started_by_us),
        ("--listen", shared.listen.is_some(), !is_started_by_us),
    ];
    let mut misplaced = misplaced.iter();
    if let Some((option, ..)) = misplaced.find(|(_, given, out_of_place)| *given && *out_of_place) {
        let of = match is_started_by_us {
            true => "a server that somebody else has started (--address HOST:PORT)",
            false => "a server that is started for its tests",
        };
        return Err(Error::Usage(format!("{option} is for {of}")));
    }
    if let Some(elsewhere) = &mut target.elsewhere {
        elsewhere.own_host |= shared.i_own_this_host;
        elsewhere.may_be_flooded |= shared.flood;
    }
    Ok(())
}

pub(super) fn settings(shared: &Shared, invocation: Invocation) -> Result<Settings, Error> {
    let defaults = Settings::default();
    Ok(Settings {
        isolation: shared.isolation.into(),
        jobs: shared.jobs.unwrap_or(defaults.jobs),
        seed: shared.seed,
        strict: shared.strict,
        budget: shared.budget,
        check_budget: shared.check_budget,
        partition: shared.partition,
        timings: shared.timings,
        transcripts: shared.transcripts.clone(),
        interrupt: interrupt()?,
        invocation: Some(invocation),
        ..defaults
    })
}
