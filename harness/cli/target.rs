//! The server that a command line names, and how it is to be drilled.

use super::arguments::{Effort, FlakyArg, MaxFail, Shared};
use super::signals::interrupt;
use crate::launch::{Project, Target, placeholder};
use crate::model::error::Error;
use crate::model::profile::Profile;
use crate::runner::{Invocation, Rounds, Settings};

/// The target that the command line names: a reference server, a file, or a command.
pub(super) fn target(
    name: Option<&str>,
    shared: &Shared,
    project: &Project,
) -> Result<Target, Error> {
    let target = named(name, shared, project)?;
    refuse_misplaced(&[&target], shared)?;
    Ok(target)
}

/// The targets that the command line names, each with a name of its own, and with the word that stands for it where there are several.
pub(super) fn targets(
    names: &[String],
    shared: &Shared,
    project: &Project,
) -> Result<Vec<Target>, Error> {
    if names.len() < 2 {
        let name = names.first().map(String::as_str);
        return Ok(vec![target(name, shared, project)?]);
    }
    if is_named(shared) {
        return Err(Error::Usage(
            "an --address and a COMMAND after `--` are one server; where there are several, each of them is a TARGET: \
             write a target file for it (`sockdrill init` does), and name that"
                .to_owned(),
        ));
    }
    let mut targets: Vec<Target> = Vec::new();
    for (n, word) in names.iter().enumerate() {
        if names[..n].contains(word) {
            return Err(Error::Usage(format!("the target {word} is named twice")));
        }
        targets.push(named(Some(word), shared, project)?);
    }
    distinguish(&mut targets, names);
    refuse_misplaced(&targets.iter().collect::<Vec<_>>(), shared)?;
    Ok(targets)
}

/// Calls those as they were called in the command line that have one name in common.
fn distinguish(targets: &mut [Target], words: &[String]) {
    let names: Vec<String> = targets.iter().map(|target| target.name.clone()).collect();
    for (target, word) in targets.iter_mut().zip(words) {
        if names.iter().filter(|name| **name == target.name).count() > 1 {
            target.name.clone_from(word);
        }
    }
}

/// The target that the command line names, in whichever way.
fn named(name: Option<&str>, shared: &Shared, project: &Project) -> Result<Target, Error> {
    let speaks = shared.speaks.as_deref();
    let speaks = speaks.map(|name| project.profile(name)).transpose()?;
    let command = Some(&shared.command).filter(|command| !command.is_empty());
    let mut target = match (name, &shared.address, command) {
        (Some(name), None, None) => Target::find_in(name, project)?,
        (None, Some(address), None) => Target::at(address, Profile::unknown())?,
        (None, None, Some(command)) => commanded(command)?,
        (None, None, None) => {
            return Err(Error::Usage(
                "give a TARGET, an --address HOST:PORT, or the server's command after `--`: sockdrill check -- ./server --port {port}"
                    .to_owned(),
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
    started_as_told(&mut target, shared);
    Ok(target)
}

/// The target that a command is, whose names in braces are no slips.
pub(super) fn commanded(command: &[String]) -> Result<Target, Error> {
    match placeholder::slip(command.iter().map(String::as_str)) {
        Some(slip) => Err(Error::Usage(slip)),
        None => Ok(Target::command(command.to_vec(), Profile::unknown())),
    }
}

/// Whether the command line names a server in the place of those that files name.
pub(super) fn is_named(shared: &Shared) -> bool {
    shared.address.is_some() || !shared.command.is_empty()
}

/// What the command line says of how the server comes up, or is reached, whatever its target says.
pub(super) fn started_as_told(target: &mut Target, shared: &Shared) {
    target.ready_within = shared.ready_within.unwrap_or(target.ready_within);
    match &mut target.elsewhere {
        Some(elsewhere) => {
            elsewhere.own_host |= shared.i_own_this_host;
            elsewhere.may_be_flooded |= shared.flood;
        }
        None if shared.listen.is_some() => target.listen.clone_from(&shared.listen),
        None => {}
    }
}

/// Refuses options that say something of none of these servers.
pub(super) fn refuse_misplaced(targets: &[&Target], shared: &Shared) -> Result<(), Error> {
    let some_elsewhere = targets.iter().any(|target| target.elsewhere.is_some());
    let some_ours = targets.iter().any(|target| target.elsewhere.is_none());
    let theirs = "a server that somebody else has started (--address HOST:PORT)";
    let ours = "a server that is started for its tests";
    let options = [
        (
            "--i-own-this-host",
            shared.i_own_this_host,
            some_elsewhere,
            theirs,
        ),
        ("--flood", shared.flood, some_elsewhere, theirs),
        ("--listen", shared.listen.is_some(), some_ours, ours),
    ];
    let mut options = options.iter();
    match options.find(|(_, is_given, has_its_place, _)| *is_given && !has_its_place) {
        Some((option, _, _, of)) if !targets.is_empty() => {
            Err(Error::Usage(format!("{option} is for {of}")))
        }
        _ => Ok(()),
    }
}

pub(super) fn settings(shared: &Shared, invocation: Invocation) -> Result<Settings, Error> {
    let defaults = Settings::default();
    let effort = &shared.effort;
    Ok(Settings {
        isolation: shared.isolation.into(),
        jobs: shared.jobs.unwrap_or(defaults.jobs),
        seed: shared.seed,
        strict: shared.strict,
        fail_fast: !effort.fail_fast && !effort.no_fail_fast && effort.max_fail.is_none(),
        max_fail: most_failures(effort),
        retries: effort.retries,
        flaky_fails: effort.flaky == FlakyArg::Fail,
        rounds: rounds(effort),
        budget: shared.budget,
        check_budget: shared.check_budget,
        partition: shared.partition,
        timings: shared.timings,
        keeps_exhibits: shared.artifacts.is_some(),
        transcripts: shared.transcripts.clone(),
        interrupt: interrupt()?,
        invocation: Some(invocation),
        ..defaults
    })
}

/// How much may fail before nothing more is begun.
fn most_failures(effort: &Effort) -> Option<usize> {
    match effort.max_fail {
        Some(MaxFail::So(most)) => Some(most),
        Some(MaxFail::All) => None,
        None => effort.fail_fast.then_some(1),
    }
}

/// How often the run is made, where that is not once.
fn rounds(effort: &Effort) -> Option<Rounds> {
    let times = effort.repeat.map(Rounds::Times);
    times.or_else(|| effort.repeat_for.map(Rounds::For))
}
