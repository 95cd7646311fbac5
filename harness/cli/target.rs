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
    let mut target = match (name, shared.command.is_empty()) {
        (Some(_), false) => {
            return Err(Error::Usage(
                "give a TARGET or a COMMAND after `--`, not both".to_owned(),
            ));
        }
        (None, true) => {
            return Err(Error::Usage(
                "give a TARGET, or the server's command after `--`: sockdrill check -- ./server --port {port}".to_owned(),
            ));
        }
        (None, false) => Target::command(shared.command.clone(), Profile::unknown()),
        (Some(name), true) => Target::find(name)?,
    };
    if let Some(speaks) = speaks {
        target.profile = speaks;
    }
    started_as_told(&mut target, shared);
    Ok(target)
}

/// What the command line says of how the server comes up, whatever its target says.
pub(super) fn started_as_told(target: &mut Target, shared: &Shared) {
    if shared.listen.is_some() {
        target.listen.clone_from(&shared.listen);
    }
    target.ready_within = shared.ready_within.unwrap_or(target.ready_within);
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
