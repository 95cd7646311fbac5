//! What has failed in earlier runs of a project and has not passed since, for `--last-failed`.

use super::output::say_sentences_aside;
use crate::drill::{DrillFile, DrillText};
use crate::judge::{Doubt, Verdict};
use crate::launch::{Project, Target};
use crate::model::error::Error;
use crate::model::text_file::Kind;
use crate::report::data::{CheckResult, Outcome, Report};
use crate::runner::CaseRun;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many files of other projects are looked at, to take away those of folders that are gone.
const LOOKED_AT: usize = 100;

/// Something that has failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Failed {
    /// A case of a file.
    Case { file: PathBuf, case: String },
    /// A check of a server.
    Check { server: String, check: String },
}

/// What has failed in a project, and where that is kept.
#[derive(Debug)]
pub(super) struct LastRun {
    /// `None` where nobody has a folder for such things.
    place: Option<PathBuf>,
    kept: Kept,
}

/// What files are seen to hold by now.
#[derive(Default)]
struct Seen(BTreeMap<PathBuf, Names>);

/// The cases of a file by their names.
enum Names {
    /// It is gone, and they with it.
    Gone,
    /// It cannot be read, as while it is being written.
    Unknown,
    /// It has these.
    These(BTreeSet<String>),
}

impl Seen {
    /// Whether something can still be tried: of a case, whether its file is there and has it.
    fn has(&mut self, failed: &Failed) -> bool {
        let Failed::Case { file, case } = failed else {
            return true;
        };
        let names = self.0.entry(file.clone());
        match names.or_insert_with(|| names_in(file)) {
            Names::Gone => false,
            Names::Unknown => true,
            Names::These(names) => names.contains(case),
        }
    }
}

fn names_in(file: &Path) -> Names {
    if !file.is_file() {
        return Names::Gone;
    }
    let parsed = DrillText::read_found(file).and_then(|text| text.parsed(None));
    let names = |file: DrillFile| {
        let cases = file.cases.into_iter();
        cases.map(|case| case.scenario.name).collect()
    };
    parsed.map_or(Names::Unknown, |file| Names::These(names(file)))
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The folder of the project.
    folder: PathBuf,
    failed: BTreeSet<Failed>,
}

impl Kept {
    /// What is kept there of a folder by now.
    fn at(place: Option<&Path>, folder: PathBuf) -> Self {
        let kept = place.and_then(read);
        // Of two folders with one name for their files the last one has it.
        let kept = kept.filter(|kept| kept.folder == folder);
        kept.unwrap_or(Self {
            folder,
            failed: BTreeSet::new(),
        })
    }

    /// The same without the cases that are gone, alone or with their files.
    fn without_the_gone(mut self) -> Self {
        let mut seen = Seen::default();
        self.failed.retain(|failed| seen.has(failed));
        self
    }
}

impl LastRun {
    /// What is known of earlier runs: in the folder of the project file, or in this one where there is none.
    pub(super) fn of(project: &Project) -> Self {
        let folder = match &project.file {
            Some(_) => project.folder(),
            None => std::env::current_dir().unwrap_or_default(),
        };
        Self::within(states(), folder)
    }

    fn within(states: Option<PathBuf>, folder: PathBuf) -> Self {
        let place = states.map(|states| states.join(file_name(&folder)));
        let kept = Kept::at(place.as_deref(), folder);
        let kept = kept.without_the_gone();
        Self { place, kept }
    }

    /// Whether nothing has failed.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.failed.is_empty()
    }

    /// The files with cases that have failed.
    pub(super) fn files(&self) -> Vec<String> {
        let here = std::env::current_dir().unwrap_or_default();
        let files = self.kept.failed.iter().filter_map(|failed| match failed {
            Failed::Case { file, .. } => Some(file),
            Failed::Check { .. } => None,
        });
        let mut files: Vec<&PathBuf> = files.collect();
        files.dedup();
        let named = files
            .into_iter()
            .map(|file| file.strip_prefix(&here).unwrap_or(file));
        named.map(|file| file.display().to_string()).collect()
    }

    /// The cases among these that have failed; all of them where nothing has.
    ///
    /// # Errors
    /// None of what has failed is among them.
    pub(super) fn cases(&self, cases: Vec<CaseRun>) -> Result<Vec<CaseRun>, Error> {
        if self.is_empty() {
            say_nothing_failed();
            return Ok(cases);
        }
        let has_failed = |case: &CaseRun| {
            self.kept
                .failed
                .contains(&of_case(&case.file, &case.scenario.name))
        };
        let failed: Vec<CaseRun> = cases.into_iter().filter(has_failed).collect();
        match failed.is_empty() {
            true => Err(none_among("cases")),
            false => Ok(failed),
        }
    }

    /// The checks of a server that have failed, or of any where none is named; `None` where nothing has.
    ///
    /// # Errors
    /// What has failed is of another server.
    pub(super) fn checks(&self, target: Option<&Target>) -> Result<Option<Vec<String>>, Error> {
        if self.is_empty() {
            say_nothing_failed();
            return Ok(None);
        }
        let named = target.map(server);
        let of_server = |failed: &Failed| match failed {
            Failed::Check { server, check }
                if named.as_ref().is_none_or(|named| named == server) =>
            {
                Some(check.clone())
            }
            _ => None,
        };
        let failed: Vec<String> = self.kept.failed.iter().filter_map(of_server).collect();
        match failed.is_empty() {
            true => Err(none_among("checks")),
            false => Ok(Some(failed)),
        }
    }

    /// Keeps what came of a run of cases.
    pub(super) fn keep_cases(self, report: &Report) {
        self.keep(report, |result| {
            of_case(&result.family, &result.requirement)
        });
    }

    /// Keeps what came of the checks of a server.
    pub(super) fn keep_checks(self, target: &Target, report: &Report) {
        let server = server(target);
        self.keep(report, |result| Failed::Check {
            server: server.clone(),
            check: result.id.clone(),
        });
    }

    /// Adds what has failed, and takes away what has not any more. That nothing can be kept is no reason to say anything: nobody may
    /// ever ask for it.
    fn keep(self, report: &Report, of: impl Fn(&CheckResult) -> Failed) {
        let results = report.results.iter();
        let came = results.filter_map(|result| Some((of(result), fails(result)?)));
        if let Some(place) = self.place {
            let _ = merge(&place, self.kept.folder, came.collect());
        }
    }
}

/// Adds what has failed to what is kept by now, and takes away what has not: other runs may have ended since this one began.
fn merge(place: &Path, folder: PathBuf, came: Vec<(Failed, bool)>) -> std::io::Result<()> {
    let states = states_of(place);
    if came.iter().any(|(_, fails)| *fails) {
        fs::create_dir_all(states)?;
    }
    let lock = File::open(states)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let before = Kept::at(Some(place), folder);
    let mut kept = before.clone().without_the_gone();
    for (what, fails) in came {
        match fails {
            true => kept.failed.insert(what),
            false => kept.failed.remove(&what),
        };
    }
    match kept == before {
        true => Ok(()),
        false => write(place, &kept),
    }
}

/// The folder that a file of this kind is in.
fn states_of(place: &Path) -> &Path {
    place.parent().unwrap_or_else(|| Path::new("."))
}

/// Whether a result is one to be tried again, where it says anything.
fn fails(result: &CheckResult) -> Option<bool> {
    match (result.outcome(), &result.verdict) {
        (Outcome::Fail | Outcome::Flaky, _) => Some(true),
        (_, Verdict::Inconclusive(Doubt::CouldNotRun { .. })) => Some(true),
        (Outcome::Inconclusive, _) => None,
        _ => Some(false),
    }
}

fn of_case(file: &str, name: &str) -> Failed {
    let file = Path::new(file);
    Failed::Case {
        file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
        case: name.to_owned(),
    }
}

/// What a server is called by which it is known again.
fn server(target: &Target) -> String {
    let file = target.file.as_ref();
    let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    match (file, &target.project) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(_)) => target.name.clone(),
        (None, None) => target.command_line(),
    }
}

fn say_nothing_failed() {
    say_sentences_aside("nothing has failed here before, so that all is tried");
}

fn none_among(what: &str) -> Error {
    Error::NothingSelected(format!("none of these {what} has failed before"))
}

/// The folder of such files, as the XDG base directories have it.
fn states() -> Option<PathBuf> {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let states = given.filter(|path| path.is_absolute()).or_else(usual)?;
    Some(states.join("sockdrill"))
}

/// The name of the file of a folder, the same for every build: its FNV-1a hash, since the path may be longer than a name may be.
fn file_name(folder: &Path) -> String {
    let bytes = folder.as_os_str().as_bytes().iter();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}.json")
}

fn read(place: &Path) -> Option<Kept> {
    serde_json::from_str(&Kind::REPORT.read_found(place).ok()?).ok()
}

/// Writes the file whole, or takes it away where there is nothing to keep.
fn write(place: &Path, kept: &Kept) -> std::io::Result<()> {
    if kept.failed.is_empty() {
        return fs::remove_file(place);
    }
    let folder = states_of(place);
    fs::create_dir_all(folder)?;
    take_away_those_of_gone(folder);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(serde_json::to_string(kept)?.as_bytes())?;
    file.persist(place)?;
    Ok(())
}

/// Takes away the files of folders that are gone, as those of tests are.
fn take_away_those_of_gone(folder: &Path) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.take(LOOKED_AT) {
        let is_gone = read(&file.path()).is_some_and(|kept| !kept.folder.is_dir());
        if is_gone {
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Cause, Finding};

    fn result(verdict: Verdict) -> CheckResult {
        CheckResult::of("reset::one", "reset.drill", "one", verdict)
    }

    fn failure() -> Verdict {
        Verdict::Fail(Finding {
            cause: Cause::LeftUnread,
            halt: None,
            evidence: Vec::new(),
        })
    }

    #[test]
    fn what_proves_nothing_changes_nothing_and_what_could_not_run_is_to_be_run() {
        assert_eq!(fails(&result(failure())), Some(true));
        assert_eq!(fails(&result(Verdict::Pass)), Some(false));
        let doubt = Doubt::Interrupted { begun: false };
        assert_eq!(fails(&result(Verdict::Inconclusive(doubt))), None);
        let reason = String::new();
        let not_run = Verdict::Inconclusive(Doubt::CouldNotRun { reason });
        assert_eq!(fails(&result(not_run)), Some(true));
    }

    #[test]
    fn case_that_its_file_has_no_more_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.drill");
        let of = |name: &str| of_case(&file.to_string_lossy(), name);
        let left = |text: &str| {
            fs::write(&file, text).unwrap();
            let failed = BTreeSet::from([of("one"), of("two")]);
            let kept = Kept {
                folder: folder.path().to_owned(),
                failed,
            };
            kept.without_the_gone().failed
        };
        let case = |name: &str| format!("case {name}\n  clients: a\n\n  a connect\n");
        let both = BTreeSet::from([of("one"), of("two")]);
        assert_eq!(left(&(case("one") + "\n" + &case("two"))), both);
        assert_eq!(left(&case("one")), BTreeSet::from([of("one")]));
        assert!(left(&case("another")).is_empty());
        // A file with a mistake may have it again.
        assert_eq!(left("case one\n  a conect\n"), both);
    }

    #[test]
    fn what_is_kept_is_known_again_and_gone_with_the_last_failure() {
        let (states, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let last = || LastRun::within(Some(states.path().to_owned()), project.path().to_owned());
        let place = last().place.unwrap();
        let mut kept = last().kept;
        assert!(kept.failed.is_empty());
        let file = project.path().join("reset.drill");
        fs::write(&file, "").unwrap();
        kept.failed.insert(of_case(file.to_str().unwrap(), "one"));
        write(&place, &kept).unwrap();
        assert_eq!(last().kept, kept);
        kept.failed.clear();
        write(&place, &kept).unwrap();
        assert!(!place.exists());
    }

    #[test]
    fn what_came_of_one_run_takes_nothing_away_that_another_has_kept() {
        let (states, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Neither is there before something fails.
        let states = states.path().join("sockdrill");
        let last = || LastRun::within(Some(states.clone()), project.path().to_owned());
        let file = project.path().join("reset.drill");
        fs::write(&file, "").unwrap();
        let failed = |case| of_case(file.to_str().unwrap(), case);
        let came = |case, fails| {
            let (place, folder) = (last().place.unwrap(), project.path().to_owned());
            merge(&place, folder, vec![(failed(case), fails)])
        };
        assert!(came("one", false).is_err());
        assert!(!states.exists());
        came("one", true).unwrap();
        came("other", true).unwrap();
        let both = BTreeSet::from(["one", "other"].map(failed));
        assert_eq!(last().kept.failed, both);
        came("one", false).unwrap();
        assert_eq!(last().kept.failed, BTreeSet::from([failed("other")]));
    }

    #[test]
    fn cases_of_a_file_that_is_gone_have_not_failed() {
        let (states, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let last = || LastRun::within(Some(states.path().to_owned()), project.path().to_owned());
        let case = |name: &str| {
            let file = project.path().join(name);
            fs::write(&file, "").unwrap();
            of_case(file.to_str().unwrap(), "one")
        };
        let place = last().place.unwrap();
        let came = |all| merge(&place, project.path().to_owned(), all).unwrap();
        came(vec![(case("a.drill"), true), (case("b.drill"), true)]);
        fs::remove_file(project.path().join("a.drill")).unwrap();
        let left = BTreeSet::from([case("b.drill")]);
        assert_eq!(last().kept.failed, left);
        // It is gone from what is kept with the next run.
        came(Vec::new());
        assert_eq!(read(&place).unwrap().failed, left);
        fs::remove_file(project.path().join("b.drill")).unwrap();
        assert!(last().is_empty());
    }

    #[test]
    fn file_has_the_same_name_for_every_build() {
        // As FNV-1a is published: of nothing, and of "foobar".
        assert_eq!(file_name(Path::new("")), "cbf29ce484222325.json");
        assert_eq!(file_name(Path::new("foobar")), "85944171f73967e8.json");
    }

    #[test]
    fn files_of_folders_that_are_gone_are_taken_away() {
        let (states, project) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = |folder: &Path| Kept {
            folder: folder.to_owned(),
            failed: BTreeSet::from([of_case("/a/reset.drill", "one")]),
        };
        let place = |name: &str| states.path().join(name);
        write(&place("gone.json"), &kept(Path::new("/gone/away"))).unwrap();
        write(&place("here.json"), &kept(project.path())).unwrap();
        write(&place("here.json"), &kept(project.path())).unwrap();
        assert!(!place("gone.json").exists());
        assert!(place("here.json").exists());
    }
}
