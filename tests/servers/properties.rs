//! Properties against servers with faults that need a combination: each is found, made small, and repeated.
//!
//! - `found::NAME`: within 200 cases from one seed, with a case of a few steps that fails at least 2 of 3 times;
//! - `any_sequence_of_deeds_is_served`: the reference echo server in process, held against a model of its clients;
//! - `saved`: what was found is written down, and repeated by a later run before anything is drawn;
//! - `often::NAME` (`-- --ignored often`): from nineteen of twenty seeds;
//! - `correct::NAME` (`-- --ignored correct`): a correct server passes 20,000 cases.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a faulty server says why it ends, and a long test what it has seen"
)]

use crate::faulty::{self, Faulty};
use crate::kit::sockdrill;
use crate::states;
use libtest_mimic::{Failed, Trial};
use sockdrill::CheckResult;
use sockdrill::Outcome;
use sockdrill::Profile;
use sockdrill::Settings;
use sockdrill::Target;
use std::process::ExitCode;

/// The cases within which a fault has to be found.
const CASES: usize = 200;

/// The most steps that the smallest case may have; three clients that connect, speak, are answered and leave.
const STEPS: usize = 12;

/// Faults that show only at some speeds: how small their cases become depends on what else the machine does, so they
/// are looked for on demand (`-- --ignored found`).
const BY_TIMING: &[&str] = &[
    "slow_and_large",
    "cut_and_size",
    "stale_bytes_for_the_same_port",
    "half_close_with_backlog",
    "pile_with_a_large_one",
    // Each smaller case that leaks takes several doses to tell, so that less of the time is left for the next.
    "leak_of_unfinished_half_close",
];

/// The word by which this program is told to be a faulty server.
const SERVE: &str = "serve-faulty";

/// Is a faulty server, where the command line says so, and returns how it ended.
pub(crate) fn serve_if_told() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.as_slice() {
        [word, name, port] if word == SERVE => Some(serve(name, port)),
        _ => None,
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let found = faulty::ALL.iter().map(|faulty| {
        let trial = Trial::test(format!("found::{}", faulty.name), || is_found(faulty));
        trial.with_ignored_flag(BY_TIMING.contains(&faulty.name))
    });
    let often = faulty::ALL.iter().map(|faulty| {
        let trial = Trial::test(format!("often::{}", faulty.name), || is_found_often(faulty));
        trial.with_ignored_flag(true)
    });
    let correct = CORRECT.iter().map(|(server, check)| {
        let trial = Trial::test(format!("correct::{server}"), || passes(server, check));
        trial.with_ignored_flag(true)
    });
    let saved = Trial::test("saved", is_repeated_from_its_file);
    let states = Trial::test("any_sequence_of_deeds_is_served", || Ok(states::hold()?));
    found
        .chain([saved, states])
        .chain(often)
        .chain(correct)
        .collect()
}

fn serve(name: &str, port: &str) -> ExitCode {
    let faulty = faulty::ALL.iter().find(|faulty| faulty.name == name);
    let served = faulty
        .zip(port.parse().ok())
        .map(|(faulty, port)| (faulty.serve)(port));
    match served {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
        None => ExitCode::from(2),
    }
}

/// Correct servers, each with the property that applies to it.
const CORRECT: &[(&str, &str)] = &[
    ("echo", "property/stream"),
    ("uppercase", "property/stream"),
    ("uppercase-one", "property/stream"),
    ("discard", "property/stream"),
    ("line-echo", "property/line"),
    ("udp-echo", "property/datagram"),
    ("udp-receiver", "property/datagram"),
    ("chat", "property/exchange"),
    ("framed", "property/exchange"),
    ("http-one", "property/exchange"),
    ("welcome-gate", "property/exchange"),
];

fn run(
    target: &Target,
    check: &str,
    seed: u64,
    cases: usize,
    shrink: bool,
) -> Result<CheckResult, Failed> {
    let mut settings = Settings::default();
    settings.seed = seed;
    settings.shrink = shrink;
    settings.cases = Some(cases);
    settings.only = vec![check.to_owned()];
    let report = sockdrill::check(target, &settings, &|_| {})?;
    let result = report.results.into_iter().next();
    result.ok_or_else(|| Failed::from("the check was not run"))
}

fn target(faulty: &Faulty) -> Result<Target, Failed> {
    let program = std::env::current_exe()?;
    let command = vec![
        program.display().to_string(),
        SERVE.to_owned(),
        faulty.name.to_owned(),
        "{port}".to_owned(),
    ];
    Ok(Target::command(command, Profile::find(faulty.speaks)?))
}

fn is_found(faulty: &Faulty) -> Result<(), Failed> {
    let result = run(&target(faulty)?, faulty.check, 1, CASES, true)?;
    if result.outcome() != Outcome::Fail {
        return Err(Failed::from(result.line()));
    }
    let complain = |what: &str| Err(Failed::from(format!("{what}\n{}", result.details())));
    let steps = result.scenario.as_deref().unwrap_or_default();
    let steps = steps.lines().filter(|line| line.starts_with("  ")).count() - 1;
    let evidence = result.evidence();
    let fails_again = ["failed 2 of", "failed 3 of"].iter().any(|words| {
        let mut lines = evidence.iter().map(|line| line.trim());
        lines.next().is_some_and(|line| line.starts_with(words))
    });
    match () {
        () if steps > STEPS => complain(&format!("the case has {steps} steps")),
        () if !fails_again => complain("the case hardly fails again"),
        () => Ok(()),
    }
}

/// The case that one run has saved is the first of another that draws nothing of the kind.
fn is_repeated_from_its_file() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let server = std::env::current_exe()?.display().to_string();
    let check = |cases: &str| {
        sockdrill(&["check", "--speaks", "echo", "--only", "property/stream"])
            .args(["--cases", cases, "--artifacts"])
            .arg(folder.path())
            .args(["--", &server, SERVE, "character_in_two_reads", "{port}"])
            .run()
    };
    let found = check("60");
    // Beside it stands the folder with all that was seen.
    let entries = std::fs::read_dir(folder.path())?.flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    found.demand(files.count() == 1, "one file holds the case");
    check("0").code(1);
    Ok(())
}

/// The seeds from which nineteen must find a fault.
const SEEDS: std::ops::Range<u64> = 100..120;

fn is_found_often(faulty: &Faulty) -> Result<(), Failed> {
    let target = target(faulty)?;
    let mut missed = Vec::new();
    let begun = std::time::Instant::now();
    for seed in SEEDS {
        let result = run(&target, faulty.check, seed, CASES, false)?;
        if result.outcome() != Outcome::Fail {
            missed.push(format!("seed {seed}: {}", result.line()));
        }
    }
    println!(
        "{}: missed {} in {:.0?}",
        faulty.name,
        missed.len(),
        begun.elapsed()
    );
    match missed.len() {
        0 | 1 => Ok(()),
        _ => Err(Failed::from(missed.join("\n"))),
    }
}

fn passes(server: &str, check: &str) -> Result<(), Failed> {
    let target = Target::reference(server, env!("CARGO_BIN_EXE_sockdrill").as_ref())?;
    let result = run(&target, check, 1, 20_000, false)?;
    match result.outcome() {
        Outcome::Pass => {
            println!("{server}: {} in {:.0?}", result.line(), result.duration);
            Ok(())
        }
        other => Err(Failed::from(format!("{other:?}\n{}", result.details()))),
    }
}
