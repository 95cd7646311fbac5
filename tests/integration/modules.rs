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
