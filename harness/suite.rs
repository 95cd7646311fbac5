//! Scenario files as `cargo test` cases: one line in a test target with `harness = false`.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     sockdrill::suite::main("fixtures/scenarios")
//! }
//! ```
//!
//! A package that has a server of its own names it with [`Suite::target`], so that the files need not say where cargo
//! puts it.

use crate::judge::Verdict;
use crate::launch::Target;
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome};
use crate::runner::{self, CaseRun, Given, Settings};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs every case of every `.drill` file below a folder; the short form of [`Suite::main`].
pub fn main(folder: impl Into<PathBuf>) -> ExitCode {
    Suite::of(folder).main()
}

/// The scenario files below a folder, and the servers that they are for.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `main` is called"]
pub struct Suite {
    folders: Vec<PathBuf>,
    given: Given,
}

impl Suite {
    /// The files below a folder, each for the server that it names.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self {
            folders: vec![folder.into()],
            given: Given {
                // The program that runs now is a test and serves nothing.
                program: Some(PathBuf::from("sockdrill")),
                ..Given::default()
            },
        }
    }

    /// The files below another folder as well, such as one of cases that have failed before.
    pub fn and(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// The server for every file, in the place of the one that the file names.
    pub fn target(mut self, target: Target) -> Self {
        self.given.target = Some(target);
        self
    }

    /// The sockdrill program that starts reference servers; without it, the one that `PATH` has.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.given.program = Some(program.into());
        self
    }

    /// Runs every case of every file as a test of its own, under `cargo test` and `cargo nextest`.
    ///
    /// Listing only reads files. A file that cannot be understood, and a server that is not installed, are tests too:
    /// the first fails with the place of the mistake, the second is ignored with the reason.
    /// `SOCKDRILL_REQUIRE` makes what would be ignored fail (`all`, or names of targets separated by commas).
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // Servers and clients mostly wait, so more of them can be tried at a time than there are processors.
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        arguments.test_threads.get_or_insert(2 * processors);
        let mut trials = Vec::new();
        for folder in &self.folders {
            let mut files = Vec::new();
            find_files(folder, &mut files);
            files.sort();
            trials.extend(files.iter().flat_map(|file| self.trials(folder, file)));
        }
        if trials.is_empty() {
            let reason = format!(
                "there is no .drill file below {}",
                self.folders[0].display()
            );
            trials.push(Trial::test("scenarios", move || Err(Failed::from(reason))));
        }
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn trials(&self, folder: &Path, file: &Path) -> Vec<Trial> {
        let name = file.strip_prefix(folder).unwrap_or(file);
        let name = name.with_extension("");
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        let prefix = parts.join("::");
        match runner::cases_of(&file.display().to_string(), &self.given) {
            Ok(cases) => cases.into_iter().map(|case| trial(&prefix, case)).collect(),
            Err(error) => {
                let reason = in_words(&error);
                vec![Trial::test(prefix, move || Err(reason))]
            }
        }
    }
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

fn trial(prefix: &str, case: CaseRun) -> Trial {
    let name = format!("{prefix}::{}", case.scenario.name);
    let needs = match case.target.is_installed() {
        true => None,
        false => Some(case.target.name.clone()),
    };
    needing(name, needs, move || run(&case))
}

/// A test that cannot run here where something is `missing`: it is ignored with the reason, or fails if
/// `SOCKDRILL_REQUIRE` demands what is missing.
pub fn needing(
    name: String,
    missing: Option<String>,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = missing.filter(|need| !is_required(need));
    // Only what is ignored in the listing counts as skipped there; a reason can only be given by a test that runs.
    let by_flag = missing.is_some() && std::env::var_os("NEXTEST").is_some();
    let trial = Trial::ignorable_test(name, move || match missing {
        Some(need) => Ok(Completion::ignored_with(format!("{need} is not installed"))),
        None => run().map(|()| Completion::Completed),
    });
    trial.with_ignored_flag(by_flag)
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
    let result = runner::run_case(case, &Settings::default()).map_err(|error| in_words(&error))?;
    verdict(&result)
}

fn in_words(error: &Error) -> Failed {
    Failed::from(error.chain())
}

fn verdict(result: &CheckResult) -> Result<(), Failed> {
    match (result.outcome(), &result.verdict) {
        (Outcome::Pass | Outcome::Known, _) => Ok(()),
        (_, Verdict::Inconclusive(reason)) => Err(Failed::from(format!("inconclusive: {reason}"))),
        _ => Err(Failed::from(result.details())),
    }
}
