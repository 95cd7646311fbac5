//! What is written for the user: lines, errors and files.

use super::arguments::MessageFormat;
use super::destination;
use crate::foreign::{JSON, TERMINAL};
use crate::model::error::Error;
use std::io::Write;
use std::path::Path;

pub(super) fn complain(error: &Error) {
    say_aside(&format!("error: {}", error.chain()));
}

/// The same, and mistakes in scenario files as the user wants them.
pub(super) fn complain_as(format: MessageFormat, error: &Error) {
    let mistakes = match error {
        Error::Scenario(mistakes) => mistakes.all(),
        _ => &[],
    };
    match format {
        MessageFormat::Short if !mistakes.is_empty() => {
            for mistake in mistakes {
                say_aside(&mistake.in_one_line());
            }
        }
        // Programs read the standard output, as they do with compilers.
        MessageFormat::Json if !mistakes.is_empty() => {
            for mistake in mistakes {
                say(&JSON.text(&serde_json::json!(mistake).to_string()));
            }
        }
        MessageFormat::Json => {
            say(&JSON.text(&serde_json::json!({ "message": error.chain() }).to_string()))
        }
        MessageFormat::Human | MessageFormat::Short => complain(error),
    }
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
