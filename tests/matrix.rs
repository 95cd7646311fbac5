//! Checks against servers, each pair a test of its own, named after what is claimed:
//!
//! - `counterexample::CHECK`: the check fails on its own counterexample, and passes on the server that this stands for;
//! - `server::NAME`: a reference server passes everything that it promises. `SOCKDRILL_TARGET='command {port}'` puts
//!   a server of your own in their place, with the profile that `SOCKDRILL_SPEAKS` names;
//! - `target::NAME`: a real server passes but for what its file lists as known, where its program is installed;
//! - `polite::NAME`: a real server starts by itself and speaks what its profile says, for those that are not drilled in
//!   every run;
//! - `stranger::…`: a server in another language that breaks a requirement is found out.

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sockdrill::launch::Target;
use sockdrill::model::check::{Check, Need};
use sockdrill::suite::needing;
use sockdrill::{checks, reference};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Servers mostly wait, so twice as many as two processors can be tried at a time.
    arguments.test_threads.get_or_insert(4);
    let counterexamples = checks::all().into_iter().map(counterexample);
    let trials = counterexamples
        .chain(servers())
        .chain(targets())
        .chain(polite_targets())
        .chain([stranger()]);
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A check that cannot fail is the worst bug that this project can have.
fn counterexample(check: &'static Check) -> Trial {
    Trial::test(format!("counterexample::{}", check.id), || {
        let server = check.counterexample.instead_of;
        let one = ["--strict", "--only", check.id];
        let program = env!("CARGO_BIN_EXE_sockdrill");
        let serve = ["--speaks", server, "--", program, "serve"];
        let broken = check.counterexample_arguments();
        let on_broken = Run::check(&[&one[..], &serve, &broken].concat())?;
        on_broken.demand(Some(1), &["fail"])?;
        let correct = [&[server][..], place_for(check)].concat();
        let on_correct = Run::check(&[&one[..], &serve, &correct].concat())?;
        on_correct.demand(Some(0), &["pass"])
    })
}

/// Where a correct server has to listen for a check to apply to it; on all addresses where it does not matter.
fn place_for(check: &Check) -> &'static [&'static str] {
    let places: &[(Need, &[&str])] = &[
        (Need::LOCAL, &["--path", "{path}"]),
        (
            Need::TOLD_LOOPBACK,
            &["--port", "{port}", "--host", "127.0.0.1"],
        ),
        (Need::IPV6, &["--port", "{port}", "--host", "::"]),
        (Need::DUAL_STACK, &["--port", "{port}", "--host", "::"]),
    ];
    let place = places.iter().find(|(need, _)| check.needs.contains(need));
    place.map_or(&["--port", "{port}", "--host", "0.0.0.0"], |(_, place)| {
        place
    })
}

fn servers() -> Vec<Trial> {
    if let Ok(command) = std::env::var("SOCKDRILL_TARGET") {
        let trial = Trial::test(format!("server::{command}"), move || {
            let speaks = std::env::var("SOCKDRILL_SPEAKS").ok();
            let speaks = speaks.iter().flat_map(|profile| ["--speaks", profile]);
            let words = command.split_whitespace();
            let arguments: Vec<_> = speaks.chain(["--"]).chain(words).collect();
            Run::check(&arguments)?.demand(Some(0), &["pass", "skip", "known", "warn"])
        });
        return vec![trial];
    }
    let servers = reference::SERVERS.iter();
    let trials = servers.map(|server| {
        Trial::test(format!("server::{}", server.name), || {
            Run::check(&["--strict", server.name])?.demand(Some(0), &["pass", "skip"])
        })
    });
    trials.collect()
}

/// The real servers of every run. The others take minutes together: `cargo test --test matrix -- --ignored target`.
const OFTEN: &[&str] = &["redis", "nginx", "memcached", "python-http"];

fn target_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("fixtures/targets").into_iter().flatten();
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    files.sort();
    files
}

fn polite_targets() -> Vec<Trial> {
    let targets = target_files().into_iter();
    let targets = targets.filter_map(|path| Some((Target::read(&path).ok()?, path)));
    let seldom = targets.filter(|(target, _)| !OFTEN.contains(&target.name.as_str()));
    let trials = seldom.map(|(target, path)| {
        let missing = (!target.is_installed()).then(|| target.name.clone());
        needing(format!("polite::{}", target.name), missing, move || {
            let file = path.to_string_lossy();
            Run::check(&[&file, "--only", "polite"])?.demand(Some(0), &["pass"])
        })
    });
    trials.collect()
}

fn targets() -> Vec<Trial> {
    let trials = target_files().into_iter().map(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("target::{stem}");
        match Target::read(&path) {
            Ok(target) => {
                let missing = (!target.is_installed()).then(|| target.name.clone());
                let long = !OFTEN.contains(&target.name.as_str());
                let trial = needing(name, missing, move || {
                    let file = path.to_string_lossy();
                    Run::check(&[&file])?
                        .demand(Some(0), &["pass", "skip", "known", "warn", "inconclusive"])
                });
                trial.with_ignored_flag(long)
            }
            Err(error) => Trial::test(name, move || Err(Failed::from(error.chain()))),
        }
    });
    trials.collect()
}

fn stranger() -> Trial {
    let python = Target::command(
        vec!["python3".to_owned()],
        sockdrill::model::profile::Profile::unknown(),
    );
    let missing = (!python.is_installed()).then(|| "python3".to_owned());
    let name = "stranger::python_server_that_dies_of_a_reset_is_found_with_its_exit_status";
    needing(name.to_owned(), missing, || {
        let script = "fixtures/strangers/dies_of_a_reset.py";
        let run = Run::check(&[
            "--only", "reset", "--speaks", "echo", "--", "python3", script, "{port}",
        ])?;
        run.demand(Some(1), &["pass", "fail"])?;
        run.claim(
            run.output.contains("the server exited with status 1"),
            "the exit status is not named",
        )?;
        run.claim(
            run.output.contains("ConnectionResetError"),
            "the server's last words are not shown",
        )
    })
}

/// A finished `sockdrill check`.
struct Run {
    status: Option<i32>,
    output: String,
    report: Value,
}

impl Run {
    fn check(arguments: &[&str]) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("report.json");
        let output = Command::new(env!("CARGO_BIN_EXE_sockdrill"))
            .arg("check")
            .arg("--json")
            .arg(&file)
            .args(arguments)
            .output()?;
        let words = [output.stdout, output.stderr].concat();
        Ok(Self {
            status: output.status.code(),
            output: String::from_utf8_lossy(&words).into_owned(),
            report: report(&file),
        })
    }

    /// Holds the run to its exit status and to verdicts; all but a pass and a failure must have a reason.
    fn demand(&self, status: Option<i32>, verdicts: &[&str]) -> Result<(), Failed> {
        self.claim(
            self.status == status,
            &format!("exit status {status:?} was expected, not {:?}", self.status),
        )?;
        let checks = self.report["checks"].as_array();
        self.claim(
            checks.is_some_and(|checks| !checks.is_empty()),
            "the report has no checks",
        )?;
        for check in checks.into_iter().flatten() {
            let (id, verdict) = (&check["id"], check["verdict"].as_str().unwrap_or_default());
            self.claim(verdicts.contains(&verdict), &format!("{id} is {verdict}"))?;
            let reason = check["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty());
            self.claim(
                reason || verdict == "pass",
                &format!("{id} is {verdict} without a reason"),
            )?;
        }
        Ok(())
    }

    fn claim(&self, holds: bool, complaint: &str) -> Result<(), Failed> {
        match holds {
            true => Ok(()),
            false => Err(Failed::from(format!("{complaint}\n{}", self.output))),
        }
    }
}

fn report(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
