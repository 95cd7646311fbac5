//! The order of the modules, and within a folder of modules the order of its files.

use std::path::{Path, PathBuf};

/// The modules from the top down, as the documentation of the crate declares them.
fn declared_order() -> Vec<String> {
    let text = std::fs::read_to_string("harness/lib.rs").unwrap();
    let docs: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    let docs = docs.join(" ");
    let (_, section) = docs
        .split_once("# Order of the modules")
        .expect("the section on the order");
    let (_, list) = section
        .split_once("code to it.")
        .expect("the sentence before the list");
    let (list, _) = list
        .split_once('.')
        .expect("the list ends with a full stop");
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The files of the crate, each with its module.
fn files() -> Vec<(String, PathBuf)> {
    let mut folders = vec![PathBuf::from("harness")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((module_of(&path), path));
            }
        }
    }
    files.retain(|(module, _)| module != "lib");
    files
}

fn module_of(path: &Path) -> String {
    let first = path.strip_prefix("harness").unwrap().iter().next().unwrap();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

/// The lines of a file that are code, with their numbers.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().enumerate();
    let lines = lines.map(|(n, line)| (n + 1, line.split("//").next().unwrap_or("").to_owned()));
    lines.collect()
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn every_module_is_in_the_declared_order_and_no_other() {
    let mut declared = declared_order();
    let mut present: Vec<_> = files().into_iter().map(|(module, _)| module).collect();
    declared.sort();
    present.sort();
    present.dedup();
    assert_eq!(declared, present);
}

#[test]
fn no_module_uses_one_that_stands_before_it() {
    let order = declared_order();
    let place = |module: &str| order.iter().position(|name| name == module);
    let mut upward = Vec::new();
    for (module, path) in files() {
        for (number, line) in code(&path) {
            let used = line.split("crate::").skip(1);
            let used = used.map(|rest| words(rest).next().unwrap_or_default());
            for used in used.filter(|used| place(used) < place(&module)) {
                upward.push(format!("{}:{number} uses {used}", path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let files = files().into_iter().filter(|(module, _)| module != "sys");
    let found: Vec<_> = files
        .flat_map(|(_, path)| lines_with(&path, "unsafe"))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_watch_on_our_own_delay_sleeps() {
    let files = files()
        .into_iter()
        .filter(|(_, path)| !path.ends_with("session/own_delay.rs"));
    let found = files.flat_map(|(_, path)| {
        let lines = code(&path).into_iter();
        let lines = lines.filter(|(_, line)| line.contains("thread::sleep"));
        lines.map(move |(number, _)| format!("{}:{number}", path.display()))
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn lines_with(path: &Path, word: &str) -> Vec<String> {
    let lines = code(path).into_iter();
    let lines = lines.filter(|(_, line)| words(line).any(|found| found == word));
    lines
        .map(|(number, _)| format!("{}:{number}", path.display()))
        .collect()
}

/// What a file takes from beside it: the first word behind each `super::`, of all of them where braces follow. Behind
/// `super::super::` it is taken from beside the folder, and its name is given as `super::name`.
fn taken(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("super::") {
        rest = behind;
        if let Some(higher) = rest.strip_prefix("super::") {
            rest = higher;
            found.extend(first_words(higher).map(|word| format!("super::{word}")));
        } else {
            found.extend(first_words(behind).map(str::to_owned));
        }
    }
    found
}

/// The first word of a path, or of each path between braces.
fn first_words(path: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let list = path.strip_prefix('{').unwrap_or(path);
    let is_list = path.starts_with('{');
    let end = list.find(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match is_list {
            true => depth < 0,
            false => !c.is_alphanumeric() && !"_*".contains(c),
        }
    });
    let list = &list[..end.unwrap_or(list.len())];
    let mut depth = 0;
    let parts = list.split(move |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let words = parts.map(|part| match part.trim_start() {
        all if all.starts_with('*') => "*",
        part => words(part).next().unwrap_or_default(),
    });
    words.filter(|word| !word.is_empty() && *word != "self")
}

/// The text of a file as code: no comments, and nothing of the tests in it, whose `super` is the file.
fn code_without_tests(path: &Path) -> String {
    let lines = code(path).into_iter().map(|(_, line)| line);
    let mut is_test = false;
    let lines = lines.filter(|line| {
        is_test |= line.starts_with("mod tests {");
        let keep = !is_test;
        is_test &= line != "}";
        keep
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a module of this name has a file or a folder in `folder`.
fn is_module(folder: &Path, name: &str) -> bool {
    folder.join(name).is_dir() || folder.join(format!("{name}.rs")).is_file()
}

/// What a file takes from the roof above it, in the place of a neighbour.
fn taken_from_the_roof(path: &Path) -> Vec<String> {
    let folder = path.parent().unwrap();
    let own = folder.strip_prefix("harness").unwrap().display();
    let text = code_without_tests(path);
    let own = format!("crate::{own}::");
    let by_name = text
        .split(&own)
        .skip(1)
        .flat_map(|path| first_words(path).map(str::to_owned));
    let beside = taken(&text).into_iter().chain(by_name);
    let strange = beside.filter(|name| match name.strip_prefix("super::") {
        Some(name) => !is_module(folder.parent().unwrap(), name),
        None => !is_module(folder, name),
    });
    strange.collect()
}

/// The files below a folder of modules. Its tests may take what everybody may, for nothing stands on them.
fn files_below_roofs() -> impl Iterator<Item = PathBuf> {
    let files = files().into_iter().map(|(_, path)| path);
    files.filter(|path| {
        let is_below = path
            .parent()
            .is_some_and(|folder| folder.join("mod.rs").is_file());
        is_below && !path.ends_with("mod.rs") && !path.ends_with("tests.rs")
    })
}

/// Who uses the roof that stands on it makes a circle, and nothing of the folder can be read alone.
#[test]
fn no_file_uses_the_roof_above_it() {
    let files = files_below_roofs().map(|path| (taken_from_the_roof(&path), path));
    let found: Vec<_> = files.filter(|(taken, _)| !taken.is_empty()).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// A `mod.rs` says what the folder is, lists its files and what of them is seen from outside, and defines nothing.
#[test]
fn roofs_define_nothing() {
    let roofs = files().into_iter().map(|(_, path)| path);
    let roofs = roofs.filter(|path| path.ends_with("mod.rs"));
    let roofs = roofs.map(|path| (defined(&path), path));
    let found: Vec<_> = roofs.filter(|(defined, _)| !defined.is_empty()).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The lines of a roof that begin something else than an attribute, a module or an import.
fn defined(roof: &Path) -> Vec<String> {
    let lines = code(roof).into_iter().map(|(_, line)| line);
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_alphabetic()));
    let strange = lines.filter(|line| {
        let mut words = line
            .split_whitespace()
            .filter(|word| !word.starts_with("pub"));
        match words.next() {
            Some("mod") => line.ends_with('{'),
            Some("use") => false,
            _ => true,
        }
    });
    strange.collect()
}

#[test]
fn what_a_file_takes_is_read_from_its_imports() {
    let text = "use super::steps::{ACTIONS, MOST};\nuse super::{Kind, plan::{Content, Case}, self};\n\
                let a = super::bulk(3); super::super::model::Step; pub(super) fn f() {}";
    assert_eq!(
        taken(text),
        ["steps", "Kind", "plan", "bulk", "super::model"]
    );
}

/// What the runner needs to know of a check is a field of it.
#[test]
fn no_check_is_named_outside_of_the_catalogue() {
    let files = files().into_iter().filter(|(module, _)| module != "checks");
    let ids: Vec<_> = sockdrill::catalogue()
        .iter()
        .map(|check| check.id)
        .collect();
    let mut found = Vec::new();
    for (_, path) in files {
        for (number, line) in code(&path) {
            let named = ids.iter().filter(|id| line.contains(**id));
            found.extend(named.map(|id| format!("{}:{number} names {id}", path.display())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
