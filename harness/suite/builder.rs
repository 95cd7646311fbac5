//! What is said of a suite before it runs.

use super::tally::Tally;
use super::test::{End, Test};
use super::{cases, checks};
use crate::foreign::{LINE, TERMINAL};
use crate::launch::{Project, Target};
use crate::report::concluded::NoTests;
use crate::runner::{Given, Settings};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs every case of every `.drill` file below a folder, each on the server that its file names; the short form of
/// [`Suite::of_scenarios`].
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     sockdrill::suite::main("tests/scenarios")
/// }
/// ```
pub fn main(folder: impl Into<PathBuf>) -> ExitCode {
    Suite::of_scenarios(folder).main()
}

/// Tests of a server: scenario files, checks, or both.
///
/// ```no_run
/// use sockdrill::Target;
/// use sockdrill::suite::Suite;
/// use std::path::Path;
///
/// fn main() -> std::process::ExitCode {
///     let target = Target::read(Path::new("tests/server.toml")).expect("a target file");
///     Suite::of(target).checks().skip("property*").main()
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `main` is called"]
pub struct Suite {
    pub(super) given: Given,
    pub(super) program: PathBuf,
    folders: Vec<PathBuf>,
    checks: Option<Target>,
    pub(super) settings: Settings,
    no_tests: NoTests,
}

impl Suite {
    /// A suite without tests yet, all of which will be of one server.
    pub fn of(target: Target) -> Self {
        Self {
            given: Given {
                target: Some(target),
                ..Given::default()
            },
            // The program that runs now is a test and serves nothing.
            program: PathBuf::from("sockdrill"),
            folders: Vec::new(),
            checks: None,
            settings: Settings::default(),
            no_tests: NoTests::default(),
        }
    }

    /// The scenario files below a folder, each for the server that it names.
    pub fn of_scenarios(folder: impl Into<PathBuf>) -> Self {
        Self {
            given: Given::default(),
            program: PathBuf::from("sockdrill"),
            folders: vec![folder.into()],
            checks: None,
            settings: Settings::default(),
            no_tests: NoTests::default(),
        }
    }

    /// Adds every case of every `.drill` file below a folder.
    pub fn scenarios(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Adds every check.
    pub fn checks(mut self) -> Self {
        self.checks.clone_from(&self.given.target);
        self
    }

    /// Leaves out the checks whose id matches; `*` stands for any text, a family's name for all of it.
    pub fn skip(mut self, glob: impl Into<String>) -> Self {
        self.settings.skip.push(glob.into());
        self
    }

    /// How the tests are carried out, in the place of the usual; what is skipped beside is said after it.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What becomes of a run in which nothing was tried; it fails where this is not said.
    pub fn no_tests(mut self, no_tests: NoTests) -> Self {
        self.no_tests = no_tests;
        self
    }

    /// The sockdrill program that starts reference servers; without it, the one that `PATH` has.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Runs the tests that the arguments of this program ask for, as `cargo test` and `cargo nextest` do.
    ///
    /// Listing only reads files. A file that cannot be understood, and a server that is not there, are tests too, and fail;
    /// a server whose target names a package may be missing, and is ignored with the reason. `SOCKDRILL_REQUIRE` makes
    /// what would be ignored fail (`all`, or names of targets separated by commas). A run all of which is ignored has
    /// concluded nothing, and ends with exit code 3; `cargo nextest` runs each test alone, and asks that of its own.
    pub fn main(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        // Servers and clients mostly wait, so more of them can be tried at a time than there are processors.
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        arguments.test_threads.get_or_insert(2 * processors);
        let (no_tests, tally) = (self.no_tests, Tally::default());
        let tests = self.tests().into_iter();
        let trials = tests.map(|test| trial(test, tally.clone())).collect();
        let conclusion = libtest_mimic::run(&arguments, trials);
        match tally.too_little(no_tests) {
            Some(code) if !conclusion.has_failed() => code,
            _ => conclusion.exit_code(),
        }
    }

    /// The tests, for a test program that has others too.
    pub fn tests(mut self) -> Vec<Test> {
        self.given.program = Some(self.program.clone());
        let mut tests = Vec::new();
        match Project::here() {
            Ok(project) => self.given.project = project,
            Err(error) => tests.push(Test::new("sockdrill.toml", move || Err(error.chain()))),
        }
        for folder in &self.folders {
            let found = cases::tests(&self, folder);
            if found.is_empty() {
                let reason = format!("there is no .drill file below {}", folder.display());
                tests.push(Test::new("scenarios", move || Err(reason)));
            }
            tests.extend(found);
        }
        if let Some(target) = &self.checks {
            tests.extend(checks::tests(&self, target));
        }
        match self.settings.partition {
            Some(partition) => partition.part_of(tests, Test::name),
            None => tests,
        }
    }
}

fn trial(test: Test, tally: Tally) -> Trial {
    let (name, is_ignored) = (LINE.text(test.name()).into_owned(), test.is_ignored());
    let run = move || {
        let end = test.end();
        tally.count(&end);
        match end {
            Ok(End::Passed) => Ok(Completion::Completed),
            Ok(End::Tolerated(reason) | End::NotTried(reason)) => {
                Ok(Completion::ignored_with(TERMINAL.text(&reason)))
            }
            Err(failure) => Err(Failed::from(TERMINAL.text(&failure))),
        }
    };
    Trial::ignorable_test(name, run).with_ignored_flag(is_ignored)
}
