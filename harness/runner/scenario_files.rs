//! The scenario files of a folder.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What builds write, which is not what anybody has written.
const OF_BUILDS: &str = "target";

/// The scenario files below a folder, sorted: `.drill` files and their JSON form. What is hidden is left out, and what builds write;
/// a folder that links lead back to is gone through once.
pub(crate) fn scenario_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    find(folder, &mut BTreeSet::new(), &mut found);
    found.sort();
    found
}

fn find(folder: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<PathBuf>) {
    if !folder
        .canonicalize()
        .is_ok_and(|folder| seen.insert(folder))
    {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let path = entry.path();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        match path.is_dir() {
            true if name == OF_BUILDS => {}
            true => find(&path, seen, found),
            false if is_scenario_file(&path) => found.push(path),
            false => {}
        }
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
        let found = scenario_files(folder.path());
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
            (".hidden/d.drill", ""),
            (".e.drill", ""),
        ]);
        assert_eq!(names(&folder), ["a::b", "z"]);
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
