//! Text for people as wide as where it is read.

use crate::report::piece::Piece;
use rustix::termios::tcgetwinsize;
use std::os::fd::AsFd;
use textwrap::{Options, WordSplitter, WrapAlgorithm, wrap};

/// How wide text is where there is no terminal: logs are read in windows that are wider than terminals once were.
const USUAL: usize = 120;

/// No text is broken narrower than this: a terminal that says so says nothing.
const LEAST: usize = 20;

/// What stands for a space within words that stay together, while lines are broken.
const TIE: char = '\u{a0}';

/// How wide a terminal is, where this is one.
pub(super) fn terminal_width(stream: impl AsFd) -> Option<usize> {
    let size = tcgetwinsize(stream).ok()?;
    let columns = usize::from(size.ws_col);
    // One that does not know its size says 0.
    (columns > 0).then(|| columns.max(LEAST))
}

/// How wide text is on a stream.
pub(super) fn width(stream: impl AsFd) -> usize {
    terminal_width(stream).unwrap_or(USUAL)
}

/// The lines of a piece, none of them wider but for words that are.
pub(super) fn laid_out(piece: &Piece, width: usize) -> Vec<String> {
    match piece {
        Piece::Exact(line) => vec![line.clone()],
        Piece::Prose { lead, hang, text } => {
            let hang = " ".repeat((*hang).min(width / 2));
            let options = Options::new(width)
                .initial_indent(lead)
                .subsequent_indent(&hang)
                .word_splitter(WordSplitter::NoHyphenation)
                .wrap_algorithm(WrapAlgorithm::FirstFit);
            let text = tied(text);
            let lines = wrap(&text, options).into_iter();
            lines.map(|line| line.replace(TIE, " ")).collect()
        }
    }
}

/// A message of several lines as wide as a stream, where that is a terminal: programs read what is none line by line.
pub(super) fn message(text: &str, stream: impl AsFd) -> String {
    match terminal_width(stream) {
        Some(width) => broken(text, width),
        None => text.to_owned(),
    }
}

/// The same where it is so wide: sentences are broken, and what commands, servers and files say stays as it is.
fn broken(text: &str, width: usize) -> String {
    let lines = text.lines().enumerate().flat_map(|(n, line)| {
        let plain = line.trim_start();
        let indent = line.len() - plain.len();
        let is_said = plain.starts_with(char::is_alphabetic) && !plain.starts_with("command: ");
        let piece = match n == 0 || (is_said && indent <= SAID_WITHIN) {
            true => Piece::prose(" ".repeat(indent), indent + 2, plain),
            false => Piece::exact(line),
        };
        laid_out(&piece, width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What is indented further is no sentence of ours.
const SAID_WITHIN: usize = 2;

/// As much of a line as is seen in this width.
pub(super) fn cut(line: &str, width: usize) -> String {
    let options = Options::new(width.saturating_sub(1))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let mut lines = wrap(line, options).into_iter();
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        Some(_) => format!("{first}…"),
        None => first.into_owned(),
    }
}

/// The text with what stands in quotes for commands, or in parentheses at its end, kept together where it is short.
fn tied(text: &str) -> String {
    let mut is_command = false;
    let tie = |c: char| {
        is_command ^= c == '`';
        if is_command && c == ' ' { TIE } else { c }
    };
    let tied: String = text.chars().map(tie).collect();
    match tied.rsplit_once(" (") {
        Some((before, last)) if last.ends_with(')') && last.len() < LONGEST_TIED => {
            format!("{before} ({}", last.replace(' ', &TIE.to_string()))
        }
        _ => tied,
    }
}

/// What is longer is no aside.
const LONGEST_TIED: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lead: &str, text: &str) -> Vec<String> {
        laid_out(&Piece::prose(lead, 4, text), 24)
    }

    #[test]
    fn sentences_are_broken_at_spaces_and_go_on_indented() {
        let told = lines("  ", "the server closed the half-open connection");
        assert_eq!(
            told,
            ["  the server closed the", "    half-open connection"]
        );
    }

    #[test]
    fn commands_and_what_is_an_aside_stay_together() {
        let told = lines("", "see what `sockdrill doctor` tells (seed 1, x)");
        assert_eq!(
            told,
            [
                "see what",
                "    `sockdrill doctor`",
                "    tells (seed 1, x)"
            ]
        );
    }

    #[test]
    fn wide_characters_count_twice_and_a_long_word_is_broken() {
        let told = lines("", &"漢".repeat(24));
        assert!(
            told.iter()
                .all(|line| textwrap::core::display_width(line) <= 24)
        );
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn lines_that_are_to_stay_are_wider() {
        let line = "  repeat: sockdrill check --only a/b -- ./server";
        assert_eq!(laid_out(&Piece::exact(line), 24), [line]);
    }

    #[test]
    fn sentences_of_a_message_are_broken_and_what_others_said_stays() {
        let text = "error: the server exited at once:\n    Address already in use (os error 98)\n  command: ./server --port {port}\n  \
                    stop that program, or write {port}\n3 |   alice send \"hello\" and more";
        let told = "error: the server exited\n  at once:\n    Address already in use (os error 98)\n  command: ./server --port \
                    {port}\n  stop that program, or\n    write {port}\n3 |   alice send \"hello\" and more";
        assert_eq!(broken(text, 24), told);
    }

    #[test]
    fn line_is_cut_where_it_is_wider_than_the_terminal() {
        assert_eq!(cut("one two three", 20), "one two three");
        assert_eq!(cut("one two three", 10), "one two…");
    }
}
