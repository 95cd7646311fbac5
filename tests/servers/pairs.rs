//! Every server of `fixtures/faulty` and of `fixtures/broken` is found out, and the same server without the fault is not blamed for
//! anything. The ones have slips that tutorials teach, the others are public bug reports, rebuilt.
//!
//! - `NAME::faulty`: the checks fail that are to fail, and no other of those that may show the fault, or that `only` names;
//! - `NAME::fixed`: of the same checks none fails;
//! - `NAME::faulty in all` and `NAME::fixed in all`: the same of all checks, which takes an hour, and so is done on demand:
//!   `cargo test --test servers -- --ignored "in all"`.

use crate::kit::{Run, sockdrill};
use crate::{needing, needing_python};
use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use sockdrill::{Profile, Target};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What must be said of a faulty server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[expect(dead_code, reason = "for readers of the file")]
    fault: String,
    /// The public thread that tells of it.
    #[expect(dead_code, reason = "for readers of the file")]
    report: Option<String>,
    /// What runs or builds it, and its argument: `python3` where nothing is said.
    how: Option<String>,
    /// A profile's name, or a file of the folder or of the repository.
    speaks: String,
    /// Families or checks in each of which something must fail.
    names: Vec<String>,
    /// Families or checks in which something may fail; of `property` anything may.
    #[serde(default)]
    also: Vec<String>,
    /// The checks of a usual run; where there are none, those that show the fault, and whether polite clients are served.
    #[serde(default)]
    only: Vec<String>,
    /// Left out of a usual run: it takes long, or is like another one.
    #[serde(default)]
    seldom: bool,
}

impl Expected {
    fn program(&self) -> &str {
        let how = self.how.as_deref().unwrap_or("python3");
        how.split(' ').next().unwrap_or(how)
    }

    /// The checks of a usual run.
    fn usual(&self) -> Vec<String> {
        let polite = "polite".to_owned();
        match self.only.is_empty() {
            true => self
                .names
                .iter()
                .chain(&self.also)
                .chain([&polite])
                .cloned()
                .collect(),
            false => self.only.clone(),
        }
    }

    fn extension(&self) -> &'static str {
        match self.program() {
            "cc" => "c",
            "node" => "js",
            _ => "py",
        }
    }

    /// The profile as the command line has it.
    fn speaks(&self, folder: &Path) -> String {
        let file = folder.join(&self.speaks);
        match file.is_file() {
            true => file.display().to_string(),
            false => self.speaks.clone(),
        }
    }

    /// The command that starts a server; one in C is built into the folder `at`.
    fn command(&self, source: &Path, at: &Path) -> Vec<String> {
        let word = |path: &Path| path.display().to_string();
        let argument = self
            .how
            .iter()
            .flat_map(|how| how.split(' ').skip(1))
            .map(str::to_owned);
        let start = match self.program() {
            "cc" => {
                let built = at.join(source.file_stem().unwrap_or_default());
                let cc = Command::new("cc")
                    .args(["-O1", "-w", "-pthread", "-o"])
                    .arg(&built)
                    .arg(source)
                    .status();
                assert!(
                    cc.is_ok_and(|status| status.success()),
                    "{}",
                    source.display()
                );
                vec![word(&built)]
            }
            program => vec![program.to_owned(), word(source)],
        };
        start.into_iter().chain(argument).collect()
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    let all = ["faulty", "broken"].into_iter().flat_map(of_folder);
    all.collect()
}

fn of_folder(name: &str) -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    match expectations(&folder) {
        Ok(expectations) => of_each(&folder, &expectations),
        Err(error) => vec![Trial::test(format!("{name}/expected.toml"), move || {
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
        let of = folder.file_name().unwrap_or_default().display().to_string();
        Trial::test(format!("every file of {of} is expected"), move || {
            every_file_is_expected(&folder, &known)
        })
    }];
    for (name, expected) in expectations {
        let pair = Pair {
            folder: folder.to_owned(),
            name: name.clone(),
            expected: expected.clone(),
        };
        let only = expected.usual();
        trials.push(pair.trial("fixed", &only, expected.seldom, Pair::is_not_blamed));
        trials.push(pair.trial("faulty", &only, expected.seldom, Pair::is_found_out));
        trials.push(pair.trial("faulty in all", &[], true, Pair::is_found_out));
        trials.push(pair.trial("fixed in all", &[], true, Pair::is_not_blamed));
    }
    trials
}

/// A server with a fault, and the same without it.
#[derive(Clone)]
struct Pair {
    folder: PathBuf,
    name: String,
    expected: Expected,
}

impl Pair {
    fn trial(
        &self,
        which: &str,
        only: &[String],
        seldom: bool,
        holds: fn(&Self, &[String]),
    ) -> Trial {
        let (pair, only) = (self.clone(), only.to_vec());
        let name = format!("{}::{which}", self.name);
        let run = move || {
            holds(&pair, &only);
            Ok(())
        };
        let program = self.expected.program();
        let trial = match program {
            "python3" => needing_python(name, run),
            program => {
                let there = Target::command(vec![program.to_owned()], Profile::unknown());
                let missing = (!there.is_installed()).then(|| program.to_owned());
                needing(name, missing, run)
            }
        };
        match seldom {
            true => trial.with_ignored_flag(true),
            false => trial,
        }
    }

    /// Checks one of the two as a user would, and returns the ids that failed and the run. A broken recommendation counts where the
    /// fault is one.
    fn failures(&self, suffix: &str, only: &[String]) -> (Vec<String>, Run) {
        let expected = &self.expected;
        let built = tempfile::tempdir().expect("a folder to build in");
        let source = self
            .folder
            .join(format!("{}{suffix}.{}", self.name, expected.extension()));
        let run = sockdrill(&["check", "--speaks", &expected.speaks(&self.folder)])
            .reporting()
            // On a loaded host what must fail may take long.
            .arg("--no-fail-fast")
            .args(only.iter().flat_map(|glob| ["--only", glob]))
            .arg("--")
            .args(expected.command(&source, built.path()))
            .run();
        let ended = matches!(run.code, Some(0 | 1));
        let run = run.demand(ended, "the checks were not concluded");
        let checks = run.report["checks"].as_array().into_iter().flatten();
        let counts = |check: &&serde_json::Value| {
            let warns =
                check["verdict"] == "warn" && expected.names.iter().any(|id| check["id"] == **id);
            check["verdict"] == "fail" || warns
        };
        let failed = checks
            .filter(counts)
            .filter_map(|check| check["id"].as_str().map(str::to_owned));
        (failed.collect(), run)
    }

    fn is_found_out(&self, only: &[String]) {
        let expected = &self.expected;
        let (failed, run) = self.failures("", only);
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

    fn is_not_blamed(&self, only: &[String]) {
        let (failed, run) = self.failures("_fixed", only);
        run.demand(failed.is_empty(), &format!("blamed for {failed:?}"));
    }
}

fn every_file_is_expected(folder: &Path, known: &BTreeMap<String, Expected>) -> Result<(), Failed> {
    let is_server = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default();
        ["py", "js", "c"].iter().any(|of| extension == *of)
    };
    let mut found: Vec<String> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(is_server)
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

/// Whether a line of `expected.toml` names a check: all of them, a family, or the one.
fn names(line: &str, id: &str) -> bool {
    let family = line.strip_suffix("/*").unwrap_or(line);
    line == "*" || line == id || id.split('/').next() == Some(family)
}
