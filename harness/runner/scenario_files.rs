//! The scenario files of a folder.

use crate::model::error::Error;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What builds and package managers write, which is not what anybody has written.
const OF_BUILDS: [&str; 2] = ["target", "node_modules"];

/// What says of a folder that it is a bundle of `--artifacts`, and what its files are.
pub(crate) const BUNDLE_INDEX: &str = "bundle.toml";

/// No project has so many files beside those; whoever names `/` or a home is told so in seconds.
const MOST_ENTRIES: usize = 100_000;

/// The scenario files below a folder, sorted: `.drill` files and their JSON form. What is hidden is left out, and what builds write;
/// a folder that links lead back to is gone through once.
///
/// # Errors
/// There are more entries below it than a project has.
pub(crate) fn scenario_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    files_among(MOST_ENTRIES, folder)
}

/// The same of a folder with so many entries at most.
fn files_among(most: usize, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut search = Search {
        left: most,
        ..Search::default()
    };
    if search.go_through(folder).is_break() {
        return Err(Error::Usage(format!(
            "there are more than {most} files below {}; name a folder of scenarios",
            folder.display()
        )));
    }
    search.found.sort();
    Ok(search.found)
}

#[derive(Default)]
struct Search {
    seen: BTreeSet<PathBuf>,
    /// How many entries are still looked at.
    left: usize,
    found: Vec<PathBuf>,
}

impl Search {
    fn go_through(&mut self, folder: &Path) -> ControlFlow<()> {
        let real = folder.canonicalize();
        if !real.is_ok_and(|folder| self.seen.insert(folder)) {
            return ControlFlow::Continue(());
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let Some(left) = self.left.checked_sub(1) else {
                return ControlFlow::Break(());
            };
            self.left = left;
            let name = entry.file_name();
            let path = entry.path();
            match path.is_dir() {
                _ if name.to_string_lossy().starts_with('.') => {}
                true if OF_BUILDS.iter().any(|of_builds| name == *of_builds) => {}
                // Its scenario stands beside it, too.
                true if path.join(BUNDLE_INDEX).is_file() => {}
                true => self.go_through(&path)?,
                false if is_scenario_file(&path) => self.found.push(path),
                false => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether a file is one of scenarios by its name, or JSON that has cases: much else is written as JSON.
fn is_scenario_file(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".drill")
        || name.ends_with(".drill.json")
        || name.ends_with(".json") && has_cases(path)
}

/// Whether a JSON file has cases with steps.
fn has_cases(path: &Path) -> bool {
    #[derive(Deserialize)]
    struct Outline {
        #[serde(rename = "cases")]
        _cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        #[serde(rename = "steps")]
        _steps: Vec<serde::de::IgnoredAny>,
    }
    // To open what somebody has put there may be to wait for ever.
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    file.is_some_and(|file| serde_json::from_reader::<_, Outline>(BufReader::new(file)).is_ok())
}

/// What cases of a file below a folder are called in front of their names: the way to the file, without its ending.
pub(crate) fn prefix_below(folder: &Path, file: &Path) -> String {
    let way = file.strip_prefix(folder).unwrap_or(file);
    let mut parts: Vec<_> = way.iter().map(|part| part.to_string_lossy()).collect();
    if let Some(last) = parts.last_mut() {
        let stem = last.strip_suffix(".json").unwrap_or(last);
        *last = stem
            .strip_suffix(".drill")
            .unwrap_or(stem)
            .to_owned()
            .into();
    }
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let found = scenario_files(folder.path()).unwrap();
        let names = found.iter().map(|file| prefix_below(folder.path(), file));
        names.collect()
    }

    #[test]
    fn files_of_a_folder_are_sorted_and_those_of_builds_and_hidden_ones_are_left_out() {
        let folder = folder_with(&[
            ("z.drill", ""),
            ("a/b.drill", ""),
            ("a/notes.txt", ""),
            ("target/debug/c.drill", ""),
            ("node_modules/x/c.drill", ""),
            (".hidden/d.drill", ""),
            (".e.drill", ""),
        ]);
        assert_eq!(names(&folder), ["a::b", "z"]);
    }

    #[test]
    fn folder_with_more_files_than_a_project_has_is_refused() {
        let folder = folder_with(&[("a.drill", ""), ("b/c.drill", "")]);
        assert_eq!(files_among(3, folder.path()).unwrap().len(), 2);
        let refused = files_among(2, folder.path()).unwrap_err().to_string();
        assert!(
            refused.starts_with("there are more than 2 files below"),
            "{refused}"
        );
    }

    #[test]
    fn json_is_a_scenario_file_by_its_name_or_by_its_cases() {
        let folder = folder_with(&[
            ("a.drill.json", "not even JSON"),
            ("b.json", r#"{"cases": [{"name": "x", "steps": []}]}"#),
            ("package.json", r#"{"name": "package"}"#),
            ("report.json", r#"{"cases": [{"id": "x"}]}"#),
        ]);
        assert_eq!(names(&folder), ["a", "b"]);
    }

    #[test]
    fn folder_that_links_lead_back_to_is_gone_through_once() {
        let folder = folder_with(&[("a.drill", "")]);
        for link in ["one", "two"] {
            std::os::unix::fs::symlink(folder.path(), folder.path().join(link)).unwrap();
        }
        assert_eq!(names(&folder), ["a"]);
    }
}
