//! The cases of scenario files as tests.

use super::builder::Suite;
use super::outcome::{end_of, unless_unsaved};
use super::repeat::run_again;
use super::test::Test;
use crate::runner::{self, CaseRun, Settings};
use std::path::{Path, PathBuf};

/// A test for each case of the files below a folder, and one that fails for each file that cannot be understood.
pub(super) fn tests(suite: &Suite, folder: &Path) -> Vec<Test> {
    let of_file = |file: PathBuf| tests_of_file(suite, folder, &file);
    match runner::scenario_files(folder) {
        Ok(files) => files.into_iter().flat_map(of_file).collect(),
        Err(error) => {
            let name = folder.display().to_string();
            vec![Test::new(name, move || Err(error.chain()))]
        }
    }
}

fn tests_of_file(suite: &Suite, folder: &Path, file: &Path) -> Vec<Test> {
    let prefix = runner::prefix_below(folder, file);
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
