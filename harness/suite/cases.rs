//! The cases of scenario files as tests.

use super::builder::Suite;
use super::outcome::{end_of, unless_unsaved};
use super::repeat::run_again;
use super::test::Test;
use crate::runner::{self, CaseRun, Settings};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A test for each case of the files below a folder, and one that fails for each file that cannot be understood.
pub(super) fn tests(suite: &Suite, folder: &Path) -> Vec<Test> {
    let mut files = Vec::new();
    find_files(folder, &mut BTreeSet::new(), &mut files);
    files.sort();
    let of_file = |file: &PathBuf| tests_of_file(suite, folder, file);
    files.iter().flat_map(of_file).collect()
}

/// The files below a folder; one that links lead back to is gone through once.
fn find_files(folder: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>) {
    if !folder
        .canonicalize()
        .is_ok_and(|folder| seen.insert(folder))
    {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            find_files(&path, seen, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "drill")
        {
            found.push(path);
        }
    }
}

fn tests_of_file(suite: &Suite, folder: &Path, file: &Path) -> Vec<Test> {
    let name = file.strip_prefix(folder).unwrap_or(file);
    let name = name.with_extension("");
    let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
    let prefix = parts.join("::");
    let settings = Settings {
        invocation: run_again(suite),
        partition: None,
        ..suite.settings.clone()
    };
    // To open what somebody has put there may be to wait for ever.
    if !file.is_file() {
        let reason = format!("{} is no regular file", file.display());
        return vec![Test::new(prefix, move || Err(reason))];
    }
    match runner::cases_of(&file.display().to_string(), &suite.given) {
        Ok(cases) => {
            let cases = cases.into_iter();
            let tests = cases.map(|case| test(&prefix, case, settings.clone()));
            tests.collect()
        }
        Err(error) => {
            vec![Test::new(prefix, move || Err(error.chain()))]
        }
    }
}

fn test(prefix: &str, case: CaseRun, settings: Settings) -> Test {
    let name = format!("{prefix}::{}", case.scenario.name);
    Test::of(&case.target.clone(), name.clone(), move || {
        let result = runner::run_case(&case, &settings).map_err(|error| error.chain())?;
        unless_unsaved(end_of(&result, &name), settings.unsaved.take())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_links_lead_back_to_is_gone_through_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.drill");
        std::fs::write(&file, "").unwrap();
        for link in ["one", "two"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(link)).unwrap();
        }
        let mut found = Vec::new();
        find_files(folder.path(), &mut BTreeSet::new(), &mut found);
        assert_eq!(found, [file]);
    }

    #[test]
    fn pipe_in_a_folder_is_a_test_that_fails() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.drill");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let mut tests = Suite::of_scenarios(folder.path()).tests();
        let failure = tests.pop().unwrap().run().unwrap_err();
        assert!(failure.ends_with("a.drill is no regular file"), "{failure}");
        assert!(tests.is_empty());
    }
}
