//! Every server of `fixtures/broken` is found out, and its mended twin is not blamed for anything.
//!
//! - `NAME::broken`: the checks fail that are to fail, and no other. Where all checks take minutes, for nearly each of
//!   them runs into its time limits, only those are run that `only` names; the rest of them is `NAME::broken in all`,
//!   on demand: `cargo test --test twins -- --ignored`;
//! - `NAME::mended`: all checks are run, and none fails.

use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use sockdrill::launch::Target;
use sockdrill::model::profile::Profile;
use sockdrill::runner::glob_matches;
use sockdrill::suite::needing;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What must be said of a broken server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[expect(dead_code, reason = "for readers of the file")]
    fault: String,
    speaks: String,
    /// Families or checks in each of which something must fail.
    names: Vec<String>,
    /// Families or checks in which something may fail; of `property` anything may.
    #[serde(default)]
    also: Vec<String>,
    /// The checks of a run that has no minutes to spare; all where there are none.
    #[serde(default)]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Servers mostly wait, so twice as many as two processors can be tried at a time.
    arguments.test_threads.get_or_insert(4);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/broken");
    let trials = match expectations(&folder) {
        Ok(expectations) => trials(&folder, &expectations),
        Err(error) => vec![Trial::test("expected.toml", move || {
            Err(Failed::from(error))
        })],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn expectations(folder: &Path) -> Result<BTreeMap<String, Expected>, String> {
    let text =
        std::fs::read_to_string(folder.join("expected.toml")).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| error.to_string())
}

fn trials(folder: &Path, expectations: &BTreeMap<String, Expected>) -> Vec<Trial> {
    let mut trials = vec![{
        let (folder, known) = (folder.to_owned(), expectations.clone());
        Trial::test("every file is expected", move || {
            every_file_is_expected(&folder, &known)
        })
    }];
    for (name, expected) in expectations {
        let broken = folder.join(format!("{name}.py"));
        let mended = folder.join(format!("{name}_mended.py"));
        let (speaks, only) = (expected.speaks.clone(), expected.only.clone());
        trials.push(needing_python(format!("{name}::mended"), move || {
            is_not_blamed(&mended, &speaks)
        }));
        if !only.is_empty() {
            let (broken, expected) = (broken.clone(), expected.clone());
            let in_all = needing_python(format!("{name}::broken in all"), move || {
                is_found_out(&broken, &expected, &[])
            });
            trials.push(in_all.with_ignored_flag(true));
        }
        let expected = expected.clone();
        trials.push(needing_python(format!("{name}::broken"), move || {
            is_found_out(&broken, &expected, &only)
        }));
    }
    trials
}

fn needing_python(
    name: String,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let python = Target::command(vec!["python3".to_owned()], Profile::unknown());
    let missing = (!python.is_installed()).then(|| "python3".to_owned());
    needing(name, missing, run)
}

fn every_file_is_expected(folder: &Path, known: &BTreeMap<String, Expected>) -> Result<(), Failed> {
    let mut found: Vec<String> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    found.sort();
    let mut wanted: Vec<String> = known
        .keys()
        .flat_map(|name| [name.clone(), format!("{name}_mended")])
        .collect();
    wanted.sort();
    match found == wanted {
        true => Ok(()),
        false => Err(format!("there are {found:?}, and expected.toml wants {wanted:?}").into()),
    }
}

fn is_found_out(server: &Path, expected: &Expected, only: &[String]) -> Result<(), Failed> {
    let (failed, text) = failures(server, &expected.speaks, only)?;
    let missed: Vec<&String> = expected
        .names
        .iter()
        .filter(|glob| !failed.iter().any(|id| glob_matches(glob, id)))
        .collect();
    // Drawn clients do anything that is legal, and so meet most faults too.
    let drawn = ["property".to_owned()];
    let allowed = || expected.names.iter().chain(&expected.also).chain(&drawn);
    let strange: Vec<&String> = failed
        .iter()
        .filter(|id| !allowed().any(|glob| glob_matches(glob, id)))
        .collect();
    match missed.is_empty() && strange.is_empty() {
        true => Ok(()),
        false => Err(format!("missed: {missed:?}; failed beside: {strange:?}\n{text}").into()),
    }
}

fn is_not_blamed(server: &Path, speaks: &str) -> Result<(), Failed> {
    let (failed, text) = failures(server, speaks, &[])?;
    match failed.as_slice() {
        [] => Ok(()),
        _ => Err(format!("blamed for {failed:?}\n{text}").into()),
    }
}

/// Checks a server as a user would, and returns the ids that failed and what was printed.
fn failures(server: &Path, speaks: &str, only: &[String]) -> Result<(Vec<String>, String), Failed> {
    let folder = tempfile::tempdir()?;
    let json: PathBuf = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_sockdrill"))
        .args(["check", "--speaks", speaks, "--json"])
        .arg(&json)
        .args(only.iter().flat_map(|glob| ["--only", glob]))
        .args(["--", "python3"])
        .arg(server)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !matches!(output.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {said}{text}", output.status).into());
    }
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json)?)?;
    let checks = report["checks"].as_array().ok_or("no checks")?;
    let failed = checks
        .iter()
        .filter(|check| check["verdict"] == "fail")
        .filter_map(|check| check["id"].as_str().map(str::to_owned));
    Ok((failed.collect(), text))
}
