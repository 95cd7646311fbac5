//! Everything that is tried on servers, each claim a test of its own. Part of a name selects those that have it:
//!
//! - `counterexample::`, `ablation::`, `server::`, `target::`, `polite::`, `external::`: checks, see `checks.rs`;
//! - `[scenario]`: the scenario files of the repository, and the cases that have failed before;
//! - `[pair]`: servers with a slip, and the same servers without it;
//! - `[mended]`: the programs that `sockdrill explain` shows, as they are and with what is often written in their place;
//! - `[property]`: faults that only drawn scenarios find;
//! - `[reproducer]`: the Python programs that `sockdrill repro` writes.

#[path = "../kit.rs"]
mod kit;

#[path = "../host.rs"]
mod host;

mod ablation;
mod checks;
/// Servers with faults that need two things at once.
mod faulty;
mod in_turn;
mod mended;
mod pairs;
mod properties;
mod reproducers;
mod states;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use sockdrill::Profile;
use sockdrill::Target;
use sockdrill::suite::{Suite, Test, TestEnd};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(ended) = properties::serve_if_told() {
        return ended;
    }
    let mut arguments = Arguments::from_args();
    // Servers mostly wait, and those that are broken for seconds, so that many can be tried at a time; more than these made
    // servers that drain for most of what they promise to end within late for it.
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    arguments.test_threads.get_or_insert(4 * processors);
    let scenarios = Suite::of_scenarios("fixtures/scenarios").scenarios("fixtures/regressions");
    let scenarios = scenarios.program(env!("CARGO_BIN_EXE_sockdrill")).tests();
    let scenarios = scenarios.into_iter().map(of_suite).collect();
    // The longest first, so that none of them is waited for alone.
    let kinds = [
        ("pair", pairs::trials()),
        ("mended", mended::trials()),
        ("property", properties::trials()),
        ("", checks::trials()),
        ("reproducer", reproducers::trials()),
        ("scenario", scenarios),
    ];
    let has_few = has_few_descriptors() && !host::is_required("descriptors");
    let trials = kinds.into_iter().flat_map(|(kind, trials)| {
        let named = move |trial: Trial| match has_few && takes_many(kind, trial.name()) {
            true => trial.with_kind(kind).with_ignored_flag(true),
            false => trial.with_kind(kind),
        };
        trials.into_iter().map(named)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// What most tests take: a crowd, or a leak that shows.
const DESCRIPTORS: u64 = 256;

/// Whether this host gives a process too few for most tests.
#[expect(
    clippy::print_stderr,
    reason = "a test that is ignored by its flag has no other place for the reason"
)]
fn has_few_descriptors() -> bool {
    let has_few = !host::gives_descriptors(DESCRIPTORS);
    if has_few {
        eprintln!(
            "{DESCRIPTORS} descriptors (ulimit -n) are needed by all but `server::` and scenarios: the rest is ignored"
        );
    }
    has_few
}

/// Whether a test is of a server that shows its defect to many clients, or of one that needs much itself.
fn takes_many(kind: &str, name: &str) -> bool {
    kind != "scenario" && !name.starts_with("server::")
}

/// A test of a suite beside the others of this program.
fn of_suite(test: Test) -> Trial {
    let (name, is_ignored) = (test.name().to_owned(), test.is_ignored());
    let run = move || match test.run()? {
        TestEnd::Passed => Ok(Completion::Completed),
        TestEnd::Ignored(reason) => Ok(Completion::ignored_with(reason)),
    };
    Trial::ignorable_test(name, run).with_ignored_flag(is_ignored)
}

/// A test that cannot run here where something is `missing`: it is ignored with the reason, or fails if
/// `SOCKDRILL_REQUIRE` demands what is missing.
fn needing(
    name: String,
    missing: Option<String>,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let missing = missing.filter(|need| !host::is_required(need));
    // Only what is ignored in the listing counts as skipped there; a reason can only be given by a test that runs.
    let by_flag = missing.is_some() && std::env::var_os("NEXTEST").is_some();
    let trial = Trial::ignorable_test(name, move || match missing {
        Some(need) => Ok(Completion::ignored_with(format!("{need} is not installed"))),
        None => run().map(|()| Completion::Completed),
    });
    trial.with_ignored_flag(by_flag)
}

fn needing_python(
    name: String,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let python = Target::command(vec!["python3".to_owned()], Profile::unknown());
    let missing = (!python.is_installed()).then(|| "python3".to_owned());
    needing(name, missing, run)
}
