//! What is written for the user: lines, errors and files.

use super::arguments::{ColorArg, MessageFormat};
use super::destination;
use super::github;
use super::layout::{laid_out, message, terminal_width, width};
use super::line::above_it;
use crate::foreign::{JSON, LINE, TERMINAL, without_commands};
use crate::model::error::{Error, ExitCode};
use crate::report::data::{CheckResult, Outcome};
use crate::report::piece::Piece;
use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

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
    say_message(RED, "error:", &error.chain());
}

/// Prints a message behind its word, beside what is printed.
fn say_message(style: Style, word: &str, text: &str) {
    let text = message(&format!("{word} {text}"), io::stderr());
    say_aside_in(style, word, text.strip_prefix(word).unwrap_or_default());
}

/// Prints sentences that are no result.
pub(super) fn say_sentences_aside(text: &str) {
    say_aside(&message(text, io::stderr()));
}

/// The same where it is about one of several targets.
pub(super) fn complain_of(target: &str, error: &Error) {
    say_message(RED, "error:", &format!("{target}: {}", error.chain()));
}

/// Complains, and tells mistakes in scenario files as the user wants them.
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
    say_message(YELLOW, "warning:", text);
}

/// Prints a line that is no result.
pub(super) fn say_aside(line: &str) {
    above_it(|| {
        let _ = writeln!(io::stderr(), "{}", harmless(line));
    });
}

/// Whether somebody else has the standard output: what is for people goes beside it.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Leaves the standard output to a program that reads it.
pub(super) fn leave_output() {
    IS_TAKEN.store(true, Ordering::Relaxed);
}

fn is_left() -> bool {
    IS_TAKEN.load(Ordering::Relaxed)
}

/// Why the standard output could not be written to, where it could not.
static UNWRITTEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Notes why something could not be printed; that a reader has gone away is no error.
fn note(printed: io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let mut first = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    }
}

/// The exit code where not all could be printed, which is said.
pub(super) fn all_printed(code: ExitCode) -> ExitCode {
    let mut unwritten = UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(error) = unwritten.take() else {
        return code;
    };
    let text = format!("the standard output cannot be written to: {error}");
    say_message(RED, "error:", &text);
    match code {
        ExitCode::Passed => ExitCode::CouldNotRun,
        code => code,
    }
}

/// Prints a line; a reader that has gone away is no error.
pub(super) fn say(line: &str) {
    if is_left() {
        return say_aside(line);
    }
    above_it(|| {
        note(writeln!(io::stdout(), "{}", harmless(line)));
    });
}

/// Prints a command of a workflow, which is made to be one line of it; it is read beside the standard output as well.
pub(super) fn say_command(command: &str) {
    above_it(|| {
        let _ = match is_left() {
            true => writeln!(io::stderr(), "{command}"),
            false => writeln!(io::stdout(), "{command}"),
        };
    });
}

/// A text as it may be printed: for whoever looks at it, and for whoever reads commands out of it.
fn harmless(text: &str) -> String {
    let text = TERMINAL.text(text);
    match github::is_there() {
        true => without_commands(&text).into_owned(),
        false => text.into_owned(),
    }
}

/// Says which of several targets is told of from here on.
pub(super) fn say_heading(target: &str, n: usize, all: usize) {
    if n > 0 {
        say("");
    }
    let place = format!(" ({} of {all})", n + 1);
    say_in(Style::new().bold(), &LINE.text(target), &place);
}

/// Prints text as wide as where it is read.
pub(super) fn say_pieces(pieces: &[Piece]) {
    let width = match is_left() {
        true => width(io::stderr()),
        false => width(io::stdout()),
    };
    let lines = pieces.iter().flat_map(|piece| laid_out(piece, width));
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        say(&lines.join("\n"));
    }
}

/// Prints rows as wide as a terminal. Where it is none, each is one line however long: programs read them.
pub(super) fn say_rows(pieces: &[Piece]) {
    let width = terminal_width(io::stdout()).unwrap_or(usize::MAX);
    for line in pieces.iter().flat_map(|piece| laid_out(piece, width)) {
        say(&line);
    }
}

/// Prints the line of a result, its first word in the colour of how it came out. Where it is no terminal, it is one line however
/// long: programs read them.
pub(super) fn say_result(result: &CheckResult) {
    let outcome = result.outcome();
    let width = match is_left() {
        true => terminal_width(io::stderr()),
        false => terminal_width(io::stdout()),
    };
    let lines = match width {
        Some(width) => laid_out(&result.line_piece(), width),
        None => vec![result.line()],
    };
    let word = outcome.word();
    let text = lines.join("\n");
    say_in(
        style(outcome),
        word,
        text.strip_prefix(word).unwrap_or_default(),
    );
}

/// Says beside what is printed what is not over yet.
pub(super) fn say_slow(text: &str) {
    let piece = Piece::prose(format!("{:<13} ", "slow"), RESULT, text);
    let lines = match terminal_width(io::stderr()) {
        Some(width) => laid_out(&piece, width),
        None => laid_out(&piece, usize::MAX),
    };
    let text = lines.join("\n");
    say_aside_in(
        YELLOW,
        "slow",
        text.strip_prefix("slow").unwrap_or_default(),
    );
}

/// Prints pieces beside what is printed.
pub(super) fn say_pieces_aside(pieces: &[Piece]) {
    let width = width(io::stderr());
    let lines = pieces.iter().flat_map(|piece| laid_out(piece, width));
    say_aside(&lines.collect::<Vec<_>>().join("\n"));
}

/// How far what is told of a check goes on below its name.
const RESULT: usize = 16;

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

/// Prints how many results there were, in the colour of how the run came out, and the rest of that line.
pub(super) fn say_counts(counts: &str, rest: &str, has_passed: bool) {
    let style = if has_passed { GREEN } else { RED };
    let width = match is_left() {
        true => width(io::stderr()),
        false => width(io::stdout()),
    };
    let lines = laid_out(&Piece::prose("", 2, format!("{counts}{rest}")), width);
    let text = lines.join("\n");
    match text.strip_prefix(counts) {
        Some(rest) => say_in(style, counts, rest),
        None => say(&text),
    }
}

/// Prints a heading.
pub(super) fn say_title(title: &str) {
    say_in(Style::new().bold(), title, "");
}

/// Prints a line of code that mends something.
pub(super) fn say_mended(line: &str) {
    say_in(GREEN, line, "");
}

/// Prints a line of code that is wrong.
pub(super) fn say_wrong(line: &str) {
    say_in(AnsiColor::Red.on_default(), line, "");
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
    if is_left() {
        return say_aside_in(style, word, rest);
    }
    let (word, rest) = (harmless(word), harmless(rest));
    above_it(|| {
        note(writeln!(anstream::stdout(), "{style}{word}{style:#}{rest}"));
    });
}

/// The same beside what is printed.
fn say_aside_in(style: Style, word: &str, rest: &str) {
    let (word, rest) = (harmless(word), harmless(rest));
    above_it(|| {
        let _ = writeln!(anstream::stderr(), "{style}{word}{style:#}{rest}");
    });
}

/// Writes a file unless there is one, and returns whether it has.
pub(super) fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    destination::write_new(path, text.as_bytes()).map_err(Error::file("writing", path))
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    destination::write(path, text.as_bytes()).map_err(Error::file("writing", path))
}
