//! Completion of command lines: the program itself says what may come next, the names that only it knows included.

use crate::checks;
use crate::model::profile::Profile;
use crate::reference;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::engine::{PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use std::ffi::OsStr;

/// The variable by which a shell asks what may come next.
const ASKED: &str = "SOCKDRILL_COMPLETE";

/// The script that has a shell ask.
pub(super) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    let (name, shells) = ("sockdrill", Shells::builtins());
    if let Some(shell) = shells.completer(&shell.to_string()) {
        // Nothing is written but to memory.
        let _ = shell.write_registration(ASKED, name, name, name, &mut script);
    }
    String::from_utf8_lossy(&script).trim().to_owned()
}

/// Answers a shell that asks, and says whether one did.
pub(super) fn is_answered(command: fn() -> Command) -> clap::error::Result<bool> {
    let named = || command().mut_subcommands(|command| command.mut_args(with_names));
    CompleteEnv::with_factory(named)
        .var(ASKED)
        .try_complete(std::env::args_os(), None)
}

/// The argument with the names that stand for its values, where only the program knows them.
fn with_names(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "only" | "skip" | "violate" => argument.add(ArgValueCandidates::new(checks)),
        "check" if argument.is_positional() => argument.add(ArgValueCandidates::new(checks)),
        "name" => argument.add(ArgValueCandidates::new(servers)),
        "targets" => argument.add(ArgValueCompleter::new(|word: &OsStr| {
            or_a_file(word, servers())
        })),
        "speaks" => argument.add(ArgValueCompleter::new(|word: &OsStr| {
            or_a_file(word, profiles())
        })),
        "file" | "files" => argument.add(ArgValueCompleter::new(PathCompleter::file())),
        _ => argument,
    }
}

fn checks() -> Vec<CompletionCandidate> {
    let checks = checks::all().into_iter();
    checks
        .map(|check| CompletionCandidate::new(check.id).help(Some(check.requirement.into())))
        .collect()
}

fn servers() -> Vec<CompletionCandidate> {
    let servers = reference::SERVERS.iter();
    servers
        .map(|server| CompletionCandidate::new(server.name))
        .collect()
}

fn profiles() -> Vec<CompletionCandidate> {
    let profiles = Profile::built_in().iter();
    profiles
        .map(|(name, _)| CompletionCandidate::new(*name))
        .collect()
}

/// The names that begin with a word, and the files that do.
fn or_a_file(word: &OsStr, names: Vec<CompletionCandidate>) -> Vec<CompletionCandidate> {
    let word_so_far = word.to_string_lossy();
    let begins = |name: &CompletionCandidate| {
        let name = name.get_value().to_string_lossy();
        name.starts_with(&*word_so_far)
    };
    let names = names.into_iter().filter(begins);
    names.chain(PathCompleter::file().complete(word)).collect()
}
