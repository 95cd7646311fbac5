//! Every server of `fixtures/faulty` is found out, and the same server without the fault is not blamed for anything.
//!
//! - `NAME::faulty`: the checks fail that are to fail, and no other. Where all checks take minutes, for nearly each of
//!   them runs into its time limits, only those are run that `only` names; the rest of them is `NAME::faulty in all`,
//!   on demand: `cargo test --test servers -- --ignored "faulty in all"`;
//! - `NAME::fixed`: all checks are run, and none fails.

use crate::kit::{Run, sockdrill};
use crate::needing_python;
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What must be said of a faulty server.
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

pub(crate) fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/faulty");
    match expectations(&folder) {
        Ok(expectations) => of_each(&folder, &expectations),
        Err(error) => vec![Trial::test("expected.toml", move || {
            Err(Failed::from(error))
        })],
    }
}

fn expectations(folder: &Path) -> Result<BTreeMap<String, Expected>, String> {
    let text =
        std::fs::read_to_string(folder.join("expected.toml")).map_err(|error| error.to_string())?;
    toml::from_str(&text).map_err(|error| error.to_string())
}

fn of_each(folder: &Path, expectations: &BTreeMap<String, Expected>) -> Vec<Trial> {
    let mut trials = vec![{
        let (folder, known) = (folder.to_owned(), expectations.clone());
        Trial::test("every file is expected", move || {
            every_file_is_expected(&folder, &known)
        })
    }];
    for (name, expected) in expectations {
        let faulty = folder.join(format!("{name}.py"));
        let fixed = folder.join(format!("{name}_fixed.py"));
        let (speaks, only) = (expected.speaks.clone(), expected.only.clone());
        trials.push(needing_python(format!("{name}::fixed"), move || {
            is_not_blamed(&fixed, &speaks);
            Ok(())
        }));
        if !only.is_empty() {
            let (faulty, expected) = (faulty.clone(), expected.clone());
            let in_all = needing_python(format!("{name}::faulty in all"), move || {
                is_found_out(&faulty, &expected, &[]);
                Ok(())
            });
            trials.push(in_all.with_ignored_flag(true));
        }
        let expected = expected.clone();
        trials.push(needing_python(format!("{name}::faulty"), move || {
            is_found_out(&faulty, &expected, &only);
            Ok(())
        }));
    }
    trials
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
        .flat_map(|name| [name.clone(), format!("{name}_fixed")])
        .collect();
    wanted.sort();
    match found == wanted {
        true => Ok(()),
        false => Err(format!("there are {found:?}, and expected.toml wants {wanted:?}").into()),
    }
}

fn is_found_out(server: &Path, expected: &Expected, only: &[String]) {
    let (failed, run) = failures(server, &expected.speaks, only);
    let missed: Vec<&String> = expected
        .names
        .iter()
        .filter(|glob| !failed.iter().any(|id| names(glob, id)))
        .collect();
    // Drawn clients do anything that is legal, and so meet most faults too.
    let drawn = ["property".to_owned()];
    let allowed = || expected.names.iter().chain(&expected.also).chain(&drawn);
    let strange: Vec<&String> = failed
        .iter()
        .filter(|id| !allowed().any(|glob| names(glob, id)))
        .collect();
    run.demand(
        missed.is_empty() && strange.is_empty(),
        &format!("missed: {missed:?}; failed beside: {strange:?}"),
    );
}

/// Whether a line of `expected.toml` names a check: all of them, a family, or the one.
fn names(line: &str, id: &str) -> bool {
    let family = line.strip_suffix("/*").unwrap_or(line);
    line == "*" || line == id || id.split('/').next() == Some(family)
}

fn is_not_blamed(server: &Path, speaks: &str) {
    let (failed, run) = failures(server, speaks, &[]);
    run.demand(failed.is_empty(), &format!("blamed for {failed:?}"));
}

/// Checks a server as a user would, and returns the ids that failed and the run.
fn failures(server: &Path, speaks: &str, only: &[String]) -> (Vec<String>, Run) {
    let run = sockdrill(&["check", "--speaks", speaks])
        .reporting()
        .args(only.iter().flat_map(|glob| ["--only", glob]))
        .args(["--", "python3"])
        .arg(server)
        .run();
    let ended = matches!(run.code, Some(0 | 1));
    let run = run.demand(ended, "the checks were not concluded");
    let checks = run.report["checks"].as_array().into_iter().flatten();
    let failed = checks
        .filter(|check| check["verdict"] == "fail")
        .filter_map(|check| check["id"].as_str().map(str::to_owned));
    (failed.collect(), run)
}
