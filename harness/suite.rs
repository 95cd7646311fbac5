//! Scenario files as `cargo test` cases: one line in a test target with `harness = false`.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     sockdrill::suite::main("fixtures/scenarios")
//! }
//! ```

use crate::judge::Verdict;
use crate::report::{CheckResult, Outcome};
use crate::runner::{self, CaseRun, Settings};
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs every case of every `.drill` file below a folder as a test of its own, under `cargo test` and `cargo nextest`.
///
/// Listing only reads files. A file that cannot be understood, and a server that is not installed, are tests too: the
/// first fails with the place of the mistake, the second is ignored with the reason.
/// `SOCKDRILL_REQUIRE` makes what would be ignored fail (`all`, or names of targets separated by commas).
pub fn main(folder: impl AsRef<Path>) -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = folder.as_ref();
    let mut files = Vec::new();
    find_files(folder, &mut files);
    files.sort();
    let mut trials: Vec<Trial> = files
        .iter()
        .flat_map(|file| trials_of(file, folder))
        .collect();
    if trials.is_empty() {
        let reason = format!("there is no .drill file below {}", folder.display());
        trials.push(Trial::test("scenarios", move || Err(Failed::from(reason))));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn find_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            find_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "drill")
        {
            found.push(path);
        }
    }
}

fn trials_of(file: &Path, folder: &Path) -> Vec<Trial> {
    let name = file.strip_prefix(folder).unwrap_or(file).with_extension("");
    let parts: Vec<_> = name
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let prefix = parts.join("::");
    match runner::cases_of(&file.display().to_string(), None, None) {
        Ok(cases) => cases
            .into_iter()
            .map(|case| trial_of(&prefix, case))
            .collect(),
        Err(error) => {
            let reason = error.chain();
            vec![Trial::test(prefix, move || Err(Failed::from(reason)))]
        }
    }
}

fn trial_of(prefix: &str, case: CaseRun) -> Trial {
    let name = format!("{prefix}::{}", case.scenario.name);
    let missing = !case.target.is_installed();
    let demanded = is_required(&case.target.name);
    let trial = Trial::test(name, move || run(&case));
    trial.with_ignored_flag(missing && !demanded)
}

/// Whether `SOCKDRILL_REQUIRE` demands that tests with this need are run.
pub fn is_required(need: &str) -> bool {
    let demanded = std::env::var("SOCKDRILL_REQUIRE").unwrap_or_default();
    demanded
        .split(',')
        .map(str::trim)
        .any(|name| name == "all" || name == need)
}

fn run(case: &CaseRun) -> Result<(), Failed> {
    let result = runner::run_case(case, &Settings::default())
        .map_err(|error| Failed::from(error.chain()))?;
    verdict(&result)
}

fn verdict(result: &CheckResult) -> Result<(), Failed> {
    match (result.outcome(), &result.verdict) {
        (Outcome::Pass | Outcome::Known, _) => Ok(()),
        (_, Verdict::Inconclusive(reason)) => Err(Failed::from(format!("inconclusive: {reason}"))),
        _ => Err(Failed::from(result.details())),
    }
}
