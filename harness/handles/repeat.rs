//! The command that repeats a test of the package whose tests run.

use crate::launch::command_line;

/// The command that runs one test of this program again.
pub(crate) fn test_again(test: &str) -> String {
    let mut words = vec!["cargo".to_owned(), "test".to_owned()];
    // Cargo tells a test of which package it is, so that it is found from every folder of a workspace.
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    // Tests beside the code are in a program that has the package's name, and in no test target.
    let is_beside = |name: &String| *name == package.replace('-', "?");
    let target = test_target().filter(|name| !is_beside(name));
    let mut option = |option: &str, value: String| words.extend([option.to_owned(), value]);
    if !package.is_empty() {
        option("-p", package.clone());
    }
    if let Some(name) = target {
        option("--test", name);
    }
    words.extend(["--", "--exact", test].map(str::to_owned));
    command_line(words.iter().map(String::as_str))
}

/// The name of the test target that this program is of, as a pattern of cargo's: the file has an underscore for each dash.
fn test_target() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let stem = program.file_stem()?.to_string_lossy().into_owned();
    // Cargo writes a hash behind the name.
    let (name, _) = stem.rsplit_once('-')?;
    Some(name.replace('_', "?"))
}
