use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands between backticks in a page, on one line each.
fn quoted(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let parts = text.split('`').skip(1).step_by(2).map(str::to_owned);
    parts.collect()
}

fn folders(of: &str) -> Vec<String> {
    let entries = std::fs::read_dir(of).unwrap().flatten();
    let folders = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir());
    let mut folders: Vec<_> = folders.map(|path| path.display().to_string()).collect();
    folders.sort();
    folders
}

#[test]
fn layout_of_contributing_has_every_folder_of_the_crate_and_no_other() {
    let text = std::fs::read_to_string("CONTRIBUTING.md").unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut named: Vec<_> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    named.sort();
    assert_eq!(named, folders("harness"));
}

#[test]
fn pages_for_contributors_name_files_that_are_there() {
    let paths = ["CONTRIBUTING.md", "RELEASE.md"].map(quoted).concat();
    let paths = paths.iter().filter(|path| {
        let folder = path.split('/').next().unwrap_or_default();
        let is_path = ["harness", "tests", "fixtures", "docs", "ci"].contains(&folder);
        is_path && !path.contains(['<', ' '])
    });
    let missing: Vec<_> = paths.filter(|path| !Path::new(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The files of the repository below a folder.
fn files(folder: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path.to_string_lossy(), found),
            false => found.push(path),
        }
    }
}

/// The crates of some packages, or their features, as `cargo tree` tells them.
fn tree(of: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--prefix", "none", "--offline"])
        .args(of)
        .output()
        .unwrap();
    assert!(output.status.success(), "{of:?}: {output:?}");
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whoever takes the library alone into a package compiles it in every build of its tests.
#[test]
fn light_library_takes_few_crates() {
    let library = ["--package", "sockdrill", "--no-default-features"];
    let crates = tree(&[&library[..], &["--edges", "normal"]].concat());
    let is_few = (10..=52).contains(&crates.len());
    assert!(is_few, "{} crates: {crates:#?}", crates.len());
}

/// With other features of a single crate, sockdrill itself is compiled again for the tests of the example alone.
#[test]
fn example_is_made_of_what_the_workspace_is_made_of() {
    let features = ["--edges", "features,normal,build,dev"];
    let alone = tree(&[&["--package", "key-value"], &features[..]].concat());
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    let crates: BTreeSet<String> = alone.iter().map(|line| name(line)).collect();
    let together = tree(&[&["--workspace"], &features[..]].concat());
    let others = together.difference(&alone);
    let others: Vec<_> = others.filter(|line| crates.contains(&name(line))).collect();
    let is_selected = |line: &&&String| line.ends_with("(command-line)");
    let others: Vec<_> = others.iter().filter(|line| !is_selected(line)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// `ci/release` builds the package; that nothing is missing from it is seen without building.
#[test]
fn package_has_the_sources_and_what_the_build_embeds() {
    let output = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .output()
        .unwrap();
    let packed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut needed = ["Cargo.toml", "Cargo.lock", "build.rs", "README.md"]
        .map(PathBuf::from)
        .to_vec();
    needed.extend(["LICENSE-APACHE", "LICENSE-MIT", "CHANGELOG.md"].map(PathBuf::from));
    files("harness", &mut needed);
    files("fixtures/profiles", &mut needed);
    let is_packed = |path: &PathBuf| packed.lines().any(|line| Path::new(line) == path);
    let missing: Vec<_> = needed.iter().filter(|path| !is_packed(path)).collect();
    assert!(missing.is_empty(), "{missing:?}\n{output:?}");
    assert!(!packed.contains(".ci/"), "{packed}");
}

/// Each figure of the page is made again by the command beside it.
#[test]
fn reliability_page_names_commands_that_there_are() {
    let measures = std::fs::read_to_string("ci/soak").unwrap();
    let figures = measures.split_once("FIGURES = {").unwrap().1;
    let figures = figures.split_once('}').unwrap().0;
    let mut commands = 0;
    for command in quoted("docs/reliability.md") {
        let mut words = command.split(' ').skip_while(|word| word.contains('='));
        let Some(script) = words.next().filter(|word| word.starts_with("ci/")) else {
            continue;
        };
        commands += 1;
        assert!(Path::new(script).is_file(), "{command}");
        let figure = words.next().filter(|_| script == "ci/soak");
        let is_measured = |figure: &str| figures.contains(&format!("\"{figure}\":"));
        assert!(figure.is_none_or(is_measured), "{command}");
    }
    assert!(commands > 5, "{commands}");
}

/// A mutant of a file, as the page about them has it.
struct Explained {
    file: String,
    mutant: String,
    reason: String,
}

impl Explained {
    /// The function that is changed: what stands before the arrow, or behind the last `in`.
    fn function(&self) -> Option<&str> {
        let change = self.mutant.split(" -> ").next()?;
        let place = match self.mutant.rsplit_once(" in ") {
            Some((_, function)) => function,
            None => change.strip_prefix("replace ")?.split(" with ").next()?,
        };
        place.rsplit("::").next()
    }
}

/// The mutants that the page explains: those of a list have the reason that follows it.
fn explained(page: &str) -> Vec<Explained> {
    let (mut all, mut file): (Vec<Explained>, _) = (Vec::new(), "");
    // A list without a reason behind it is not given that of the next one.
    let mut list = 0;
    let mut is_listed = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            (file, list) = (heading, all.len());
        } else if let Some(mutant) = line.strip_prefix("- `") {
            if !is_listed {
                list = all.len();
            }
            is_listed = true;
            all.push(Explained {
                file: file.to_owned(),
                mutant: mutant.trim_end_matches('`').to_owned(),
                reason: String::new(),
            });
        } else if !line.is_empty() {
            is_listed = false;
            let of_list = all[list..].iter_mut();
            of_list.for_each(|explained| explained.reason.push_str(line));
        }
    }
    all
}

#[test]
fn mutants_that_no_test_kills_are_explained_once_and_of_functions_that_are_there() {
    let page = std::fs::read_to_string("docs/mutants.md").unwrap();
    let mut files: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let missing: Vec<_> = files
        .iter()
        .filter(|file| !Path::new(file).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let many = files.len();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), many, "each file has one section");
    let mut known = BTreeSet::new();
    for mutant in explained(&page) {
        let name = format!("{}: {}", mutant.file, mutant.mutant);
        assert!(mutant.reason.len() > 20, "{name} has no reason");
        let source = std::fs::read_to_string(&mutant.file).unwrap();
        let function = mutant
            .function()
            .unwrap_or_else(|| panic!("{name} names no function"));
        let is_there = [format!("fn {function}("), format!("fn {function}<")];
        let is_there = is_there
            .iter()
            .any(|function| source.contains(function.as_str()));
        assert!(is_there, "{name}: there is no {function}");
        assert!(known.insert(name.clone()), "{name} is explained twice");
    }
    assert!(!known.is_empty());
}

#[test]
fn mutants_of_each_file_are_gone_through_where_those_of_its_folder_are() {
    let page = std::fs::read_to_string("docs/mutants.md").unwrap();
    let sections: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let of_tests_alone = ["tests.rs", "staged.rs", "snapshots.rs"];
    for folder in ["judge", "transcript", "drill", "checks"] {
        for file in std::fs::read_dir(format!("harness/{folder}")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let is_left_out = of_tests_alone.contains(&name.as_str())
                || ["mod.rs", "counterexample.rs"].contains(&name.as_str());
            let file = format!("harness/{folder}/{name}");
            let is_gone_through = sections.contains(file.as_str());
            assert!(
                is_gone_through || is_left_out,
                "{file}: go through its mutants"
            );
        }
    }
}

/// What is done by a counterexample is left out of the mutants, and all that does I/O is taken for that.
#[test]
fn checks_do_nothing_themselves_but_in_counterexamples() {
    let mut asked = Command::new("bash");
    let lines = asked.args(["ci/mutants", "--counterexamples"]).output();
    let lines = String::from_utf8(lines.unwrap().stdout).unwrap();
    let lines: BTreeSet<&str> = lines.lines().collect();
    let mut counterexamples = 0;
    for file in std::fs::read_dir("harness/checks").unwrap() {
        let path = file.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in (1..).zip(code.lines()) {
            let place = format!("{}:{number}:", path.display());
            let is_left_out = lines.contains(place.as_str());
            let begins = line.contains("counterexample: Counterexample {");
            counterexamples += usize::from(begins);
            let does = [": &mut Stream", ": &Listener", "io::Result<", "serve: "];
            let does = does.iter().any(|what| line.contains(what));
            assert!(is_left_out || !begins && !does, "{place} {line}");
            assert!(
                !is_left_out || !line.contains("scenarios: "),
                "{place} {line}"
            );
        }
    }
    assert!(counterexamples > 50, "{counterexamples}");
}
