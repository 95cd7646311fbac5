//! What is written for the user: lines, errors and files.

use super::destination;
use crate::foreign::TERMINAL;
use crate::model::error::Error;
use std::io::Write;
use std::path::Path;

pub(super) fn complain(error: &Error) {
    say_aside(&format!("error: {}", error.chain()));
}

/// Tells what is not as the user may think, beside what is printed.
pub(super) fn warn(text: &str) {
    say_aside(&format!("warning: {text}"));
}

/// Prints a line that is no result.
pub(super) fn say_aside(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", TERMINAL.text(line));
}

/// Prints a line; a reader that has gone away is no error.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", TERMINAL.text(line));
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    destination::write(path, text.as_bytes()).map_err(Error::file("writing", path))
}
