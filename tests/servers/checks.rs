//! Checks against servers, each pair a test of its own, named after what is claimed:
//!
//! - `counterexample::CHECK`: the check fails on its own counterexample, and passes on the server that this stands for;
//! - `ablation::CHECK`, on demand: without what the check does to it the counterexample does not fail;
//! - `over-tls::CHECK`: the same of both over TLS, some of them in every run and the others on demand;
//! - `server::NAME`: a reference server passes everything that it promises. `SOCKDRILL_TARGET='command {port}'` puts
//!   a server of your own in their place, with the profile that `SOCKDRILL_SPEAKS` names;
//! - `target::NAME`: a real server passes but for what its file lists as known, where its program is installed;
//! - `polite::NAME`: a real server starts by itself and speaks what its profile says, for those that are not drilled in
//!   every run;
//! - `external::…`: a server in another language that breaks a requirement is found out.

use crate::kit::{Run, sockdrill};
use crate::{needing, needing_python};
use libtest_mimic::{Failed, Trial};
use sockdrill::Check;
use sockdrill::Target;
use sockdrill::{ReferenceServer, catalogue};
use std::path::PathBuf;

pub(crate) fn trials() -> Vec<Trial> {
    let counterexamples = catalogue().into_iter().map(counterexample);
    let counterexamples = counterexamples.chain(catalogue().into_iter().filter_map(over_tls));
    let ablations = catalogue().into_iter().map(ablation);
    let real = targets().into_iter().chain(servers());
    let trials = real.chain(counterexamples).chain(polite_targets());
    let trials = trials.chain(ablations);
    trials
        .chain([external(), crate::ablation::trial()])
        .collect()
}

/// The commands of a check's counterexample and of the server that it stands for, after `sockdrill check`.
struct Twins {
    broken: Vec<&'static str>,
    correct: Vec<&'static str>,
}

impl Twins {
    fn of(proved: &'static Check) -> Self {
        let server = proved.counterexample.instead_of;
        let program = env!("CARGO_BIN_EXE_sockdrill");
        let serve = ["--speaks", server, "--", program, "serve"];
        Self {
            broken: [&serve[..], &proved.counterexample_arguments()].concat(),
            correct: [&serve[..], &[server], place_for(proved)].concat(),
        }
    }
}

/// What has a run try a check, and nothing else.
fn only(proved: &Check) -> Vec<&'static str> {
    let takes_long = proved.needs_in_words().contains("deep run");
    let deep: &[&str] = if takes_long { &["--deep"] } else { &[] };
    [&["--strict", "--only", proved.id], deep].concat()
}

/// A check that cannot fail is the worst bug that this project can have.
fn counterexample(proved: &'static Check) -> Trial {
    Trial::test(format!("counterexample::{}", proved.id), move || {
        let twins = Twins::of(proved);
        let one = only(proved);
        let failed = demand(check(&[&one[..], &twins.broken].concat()), 1, &["fail"]);
        // What a check says of how servers are mended is of what its counterexample shows; of a crash there is more to say.
        let fix = failed.report["checks"][0]["fix"].as_str();
        let is_own = fix.is_some_and(|fix| fix.starts_with(proved.fix));
        failed.demand(is_own, "it is told another fix");
        demand(check(&[&one[..], &twins.correct].concat()), 0, &["pass"]);
        Ok(())
    })
}

/// What is tried over TLS in every run; all of it takes as long as all counterexamples do.
const OFTEN_OVER_TLS: &[&str] = &[
    "polite/exchange",
    "reset/after-connect",
    "reset/mid-request",
    "half-close/after-request",
    "half-close/silent",
    "partial/every-cut",
    "partial/backpressure",
    "timeout/request-closes",
    "crowd/one-silent",
    "crowd/connect-and-leave",
    "property/line",
];

/// What shows in another way over TLS, or not at all, with the reason.
const OTHERWISE_OVER_TLS: &[(&str, &str)] = &[(
    "bytes/urgent",
    "the urgent byte comes in the place of TLS, and this server looks for one behind its handshake",
)];

/// A check that is made over TLS fails on the same server that speaks it; nothing of datagrams is.
fn over_tls(proved: &'static Check) -> Option<Trial> {
    let needs = proved.needs_in_words();
    let is_of_tcp = !needs
        .split(", ")
        .any(|need| ["datagram", "Unix datagram", "local"].contains(&need));
    let otherwise = OTHERWISE_OVER_TLS.iter().any(|(id, _)| *id == proved.id);
    let trial = Trial::test(format!("over-tls::{}", proved.id), move || {
        let one = only(proved);
        let twins = Twins::of(proved);
        for (command, code, verdict) in [(&twins.broken, 1, "fail"), (&twins.correct, 0, "pass")] {
            let file = target_over_tls(proved, command)?;
            let path = file.path().join("server.toml");
            let path = path.to_string_lossy();
            let arguments = [&one[..], &[&*path]].concat();
            demand(check(&arguments), code, &[verdict]);
        }
        Ok(())
    });
    let is_seldom = !OFTEN_OVER_TLS.contains(&proved.id);
    (is_of_tcp && !otherwise).then(|| trial.with_ignored_flag(is_seldom))
}

/// The target of a reference server over TLS, in a folder of its own.
fn target_over_tls(proved: &Check, command: &[&str]) -> Result<tempfile::TempDir, Failed> {
    let words = command.iter().skip_while(|word| **word != "--").skip(1);
    let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    let server = proved.counterexample.instead_of;
    let text = format!(
        "command = [{}, '--tls']\nspeaks = \"{server}\"\n[tls]\nname = \"localhost\"\n",
        words.join(", ")
    );
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("server.toml"), text)?;
    Ok(folder)
}

/// What the check does to the counterexample is what that fails by.
fn ablation(proved: &'static Check) -> Trial {
    let trial = Trial::test(format!("ablation::{}", proved.id), move || {
        let twins = Twins::of(proved);
        let one = only(proved);
        let failed = demand(check(&[&one[..], &twins.broken].concat()), 1, &["fail"]);
        let case = failed.report["checks"][0]["scenario"].as_str();
        let case = case.ok_or("the scenario that failed is not in the report")?;
        crate::ablation::demand(proved, case, &twins.broken, &twins.correct)
    });
    trial.with_ignored_flag(true)
}

/// Where a correct server has to listen for a check to apply to it; on all addresses where it does not matter.
fn place_for(check: &Check) -> &'static [&'static str] {
    let places: &[(&str, &[&str])] = &[
        ("local", &["--path", "{path}"]),
        (
            "told loopback",
            &["--port", "{port}", "--host", "127.0.0.1"],
        ),
        ("IPv6", &["--port", "{port}", "--host", "::"]),
        ("dual stack", &["--port", "{port}", "--host", "::"]),
    ];
    let needs = check.needs_in_words();
    let needs: Vec<_> = needs.split(", ").collect();
    let place = places.iter().find(|(need, _)| needs.contains(need));
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
            demand(check(&arguments), 0, &["pass", "skip", "known", "warn"]);
            Ok(())
        });
        return vec![trial];
    }
    let servers = ReferenceServer::all().iter();
    let trials = servers.map(|server| {
        let trial = Trial::test(format!("server::{}", server.name), || {
            demand(check(&["--strict", server.name]), 0, &["pass", "skip"]);
            Ok(())
        });
        trial.with_ignored_flag(LIKE_ANOTHER.contains(&server.name))
    });
    trials.collect()
}

/// Reference servers that differ from another one in a promise or two, to which the checks that are about these hold them in every
/// run: `cargo test --test servers -- --ignored server::`.
const LIKE_ANOTHER: &[&str] = &["eager", "line-idle"];

/// The real servers of every run. The others take minutes together: `cargo test --test servers -- --ignored target::`.
const OFTEN: &[&str] = &["redis", "nginx", "memcached"];

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
            demand(check(&[&file, "--only", "polite/exchange"]), 0, &["pass"]);
            Ok(())
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
                    let fair = ["pass", "skip", "known", "warn", "inconclusive"];
                    demand(check(&[&file]), 0, &fair);
                    Ok(())
                });
                trial.with_ignored_flag(long)
            }
            Err(error) => Trial::test(name, move || Err(Failed::from(error.chain()))),
        }
    });
    trials.collect()
}

fn external() -> Trial {
    let name = "external::python_server_that_dies_of_a_reset_is_found_with_its_exit_status";
    needing_python(name.to_owned(), || {
        let script = "fixtures/external/dies_of_a_reset.py";
        let run = check(&[
            "--only", "reset", "--speaks", "echo", "--", "python3", script, "{port}",
        ]);
        demand(run, 1, &["pass", "fail"])
            .prints("the server exited with status 1")
            // The server's last words: ECONNRESET or EPIPE, by which of the checks has found it first.
            .prints("Error: [Errno ");
        Ok(())
    })
}

/// A finished `sockdrill check` with its report.
fn check(arguments: &[&str]) -> Run {
    let run = sockdrill(&["check", "--no-fail-fast"]);
    run.reporting().args(arguments).run()
}

/// Holds a run to its exit code and to verdicts; all but a pass and a failure must have a reason.
fn demand(run: Run, code: i32, verdicts: &[&str]) -> Run {
    let run = run.code(code);
    let checks = run.report["checks"].as_array().cloned();
    let checks = checks.unwrap_or_default();
    let mut run = run.demand(!checks.is_empty(), "the report has no checks");
    for check in &checks {
        let (id, verdict) = (&check["id"], check["verdict"].as_str().unwrap_or_default());
        let reason = check["reason"].as_str();
        let has_reason = reason.is_some_and(|reason| !reason.is_empty());
        run = run
            .demand(verdicts.contains(&verdict), &format!("{id} is {verdict}"))
            .demand(
                has_reason || verdict == "pass",
                &format!("{id} is {verdict} without a reason"),
            );
    }
    run
}
