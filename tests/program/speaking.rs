//! Servers that are held to the text of a profile.

use crate::kit::{Run, sockdrill};

/// Checks a server that speaks what a profile's text says, and reports.
#[track_caller]
pub(crate) fn check(profile: &str, arguments: &[&str], server: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.toml");
    std::fs::write(&file, profile).unwrap();
    sockdrill(&["check", "--speaks", &file.to_string_lossy()])
        .args(arguments)
        .reporting()
        .arg("--")
        .args(server)
        .run()
}

/// The arguments that select these checks alone.
pub(crate) fn only<'a>(ids: &[&'a str]) -> Vec<&'a str> {
    ids.iter().flat_map(|id| ["--only", id]).collect()
}
