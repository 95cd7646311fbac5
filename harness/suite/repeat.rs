//! The commands that repeat a failed test: by cargo, and by sockdrill where a command line can say the same.

use super::builder::Suite;
use crate::launch::{Target, command_line};
use crate::runner::{Invocation, Settings};
use std::path::PathBuf;

/// A command of the package's folder, which is where tests run, as a person types it in the folder where cargo was called.
pub(super) fn from_where_cargo_was_called(command: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match std::env::var_os("PWD").map(PathBuf::from) {
        Some(typed) if typed.is_dir() && typed.canonicalize().ok() != here.canonicalize().ok() => {
            let folder = here.to_string_lossy();
            format!("(cd {} && {command})", command_line([folder.as_ref()]))
        }
        _ => command.to_owned(),
    }
}

/// The command that runs cases of this suite's files again, where one can.
pub(super) fn run_again(suite: &Suite) -> Option<Invocation> {
    let (options, command) = match &suite.given.target {
        None => (Vec::new(), Vec::new()),
        Some(target) => target.as_command()?,
    };
    let isolation = ["--isolation", suite.settings.isolation.word()].map(str::to_owned);
    let is_usual = suite.settings.isolation == Settings::default().isolation;
    let isolation = isolation.into_iter().filter(|_| !is_usual);
    Some(Invocation {
        before: called(suite, "run", options.into_iter().chain(isolation)),
        after: behind_dashes(command),
    })
}

/// The command that checks a server again, where one can name it.
pub(super) fn check_again(suite: &Suite, target: &Target) -> Option<Invocation> {
    let (options, command) = target.on_command_line()?;
    let options = options.into_iter().chain(suite.settings.options());
    let seed = ["--seed".to_owned(), suite.settings.seed.to_string()];
    Some(Invocation {
        before: called(suite, "check", options),
        after: seed.into_iter().chain(behind_dashes(command)).collect(),
    })
}

/// The program with one of its commands.
fn called(suite: &Suite, command: &str, options: impl Iterator<Item = String>) -> Vec<String> {
    let program = suite.program.to_string_lossy().into_owned();
    [program, command.to_owned()]
        .into_iter()
        .chain(options)
        .collect()
}

fn behind_dashes(command: Vec<String>) -> Vec<String> {
    match command.is_empty() {
        true => command,
        false => std::iter::once("--".to_owned()).chain(command).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::Profile;

    fn words(invocation: Invocation, part: &str) -> String {
        let part = std::iter::once(part.to_owned());
        let words = invocation.before.into_iter().chain(part);
        words.chain(invocation.after).collect::<Vec<_>>().join(" ")
    }

    fn echo() -> Target {
        Target::command(["./echo", "{port}"], Profile::find("echo").unwrap())
    }

    #[test]
    fn cases_run_on_the_server_that_their_file_names_or_on_the_suites_own() {
        let named = run_again(&Suite::of_scenarios("tests")).unwrap();
        assert_eq!(words(named, "f:1"), "sockdrill run f:1");
        let own = run_again(&Suite::of(echo())).unwrap();
        assert_eq!(
            words(own, "f:1"),
            "sockdrill run --speaks echo f:1 -- ./echo {port}"
        );
    }

    #[test]
    fn checks_are_repeated_with_all_settings_that_decide_them() {
        let settings = Settings {
            deep: true,
            strict: true,
            cases: Some(9),
            seed: 7,
            isolation: crate::launch::lab::Isolation::Host,
            saved: Some(PathBuf::from("found")),
            ..Settings::default()
        };
        let suite = Suite::of(echo()).settings(settings);
        let command = words(check_again(&suite, &echo()).unwrap(), "--only x");
        let expected = "sockdrill check --speaks echo --deep --strict --cases 9 --isolation host --artifacts found --only x --seed 7 -- ./echo {port}";
        assert_eq!(command, expected);
    }

    #[test]
    fn target_of_which_no_command_line_can_tell_has_none() {
        let mut changed = echo();
        changed
            .environment
            .insert("LEVEL".to_owned(), "debug".to_owned());
        assert!(check_again(&Suite::of(changed.clone()), &changed).is_none());
        assert!(run_again(&Suite::of(changed)).is_none());
        let mut promising = echo();
        promising.profile.promises.backlog = Some(7);
        assert!(check_again(&Suite::of(promising.clone()), &promising).is_none());
    }

    #[test]
    fn target_of_a_file_is_named_by_it() {
        let file = "fixtures/targets/redis.toml";
        let target = Target::read(std::path::Path::new(file)).unwrap();
        let command = words(
            check_again(&Suite::of(target.clone()), &target).unwrap(),
            "--only x",
        );
        assert_eq!(command, format!("sockdrill check {file} --only x --seed 1"));
        // `sockdrill run` takes commands only.
        assert!(run_again(&Suite::of(target)).is_none());
    }
}
