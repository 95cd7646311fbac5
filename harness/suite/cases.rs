//! The cases of scenario files as tests.

use super::builder::Suite;
use super::outcome::end_of;
use super::repeat::run_again;
use super::test::Test;
use crate::runner::{self, CaseRun, Settings};
use std::path::{Path, PathBuf};

/// A test for each case of the files below a folder, and one that fails for each file that cannot be understood.
pub(super) fn tests(suite: &Suite, folder: &Path) -> Vec<Test> {
    let mut files = Vec::new();
    find_files(folder, &mut files);
    files.sort();
    let of_file = |file: &PathBuf| tests_of_file(suite, folder, file);
    files.iter().flat_map(of_file).collect()
}

fn find_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            find_files(&path, found);
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
        end_of(&result, &name)
    })
}
