//! What is written for the user: lines, errors and files.

use super::arguments::{ColorArg, MessageFormat};
use super::destination;
use crate::foreign::{JSON, TERMINAL};
use crate::model::error::Error;
use crate::report::data::{CheckResult, Outcome};
use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use std::io::Write;
use std::path::Path;

/// Says when words are coloured from now on.
pub(super) fn colour(when: ColorArg) {
    match when {
        ColorArg::Auto => ColorChoice::Auto,
        ColorArg::Always => ColorChoice::Always,
        ColorArg::Never => ColorChoice::Never,
    }
    .write_global();
}

pub(super) fn complain(error: &Error) {
    say_aside_in(RED, "error:", &format!(" {}", error.chain()));
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
            say(&JSON.text(&serde_json::json!({ "message": error.chain() }).to_string()));
        }
        MessageFormat::Human | MessageFormat::Short => complain(error),
    }
}

/// Tells what is not as the user may think, beside what is printed.
pub(super) fn warn(text: &str) {
    say_aside_in(YELLOW, "warning:", &format!(" {text}"));
}

/// Prints a line that is no result.
pub(super) fn say_aside(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", TERMINAL.text(line));
}

/// Prints a line; a reader that has gone away is no error.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", TERMINAL.text(line));
}

/// Prints the line of a result, its first word in the colour of how it came out.
pub(super) fn say_result(result: &CheckResult) {
    let (line, outcome) = (result.line(), result.outcome());
    let word = outcome.word();
    say_in(
        style(outcome),
        word,
        line.strip_prefix(word).unwrap_or_default(),
    );
}

/// Prints a line that begins with the word of how something came out, in its colour.
pub(super) fn say_outcome(outcome: Outcome, line: &str) {
    let word = outcome.word();
    say_in(
        style(outcome),
        word,
        line.strip_prefix(word).unwrap_or_default(),
    );
}

/// Prints a failure of one of many rounds.
pub(super) fn say_round(round: usize, result: &CheckResult) {
    say_aside(&format!("in round {round}: {}", result.line()));
}

/// Prints the last line of a run, its counts in the colour of how it came out.
pub(super) fn say_counts(counts: &str, rest: &str, has_passed: bool) {
    let style = if has_passed { GREEN } else { RED };
    say_in(style, counts, rest);
}

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Pass => GREEN,
        Outcome::Fail => RED,
        Outcome::Known | Outcome::Flaky | Outcome::Warn | Outcome::Inconclusive => YELLOW,
        Outcome::Skip => Style::new().dimmed(),
    }
}

/// Prints a line that begins with a word in a style. Who is no terminal gets none of it.
fn say_in(style: Style, word: &str, rest: &str) {
    let (word, rest) = (TERMINAL.text(word), TERMINAL.text(rest));
    let _ = writeln!(anstream::stdout(), "{style}{word}{style:#}{rest}");
}

/// The same beside what is printed.
fn say_aside_in(style: Style, word: &str, rest: &str) {
    let (word, rest) = (TERMINAL.text(word), TERMINAL.text(rest));
    let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}{rest}");
}

/// Writes a file unless there is one, and returns whether it has.
pub(super) fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    destination::write_new(path, text.as_bytes()).map_err(Error::file("writing", path))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    destination::write(path, text.as_bytes()).map_err(Error::file("writing", path))
}
