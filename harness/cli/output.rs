//! What is written for the user: lines, errors and files.

use crate::model::error::Error;
use std::io::Write;
use std::path::Path;

pub(super) fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "error: {}", error.chain());
}

/// Prints a line; a reader that has gone away is no error.
pub(super) fn say(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("writing", path))
}
