//! Text for people, in the pieces by which it is laid out.

use crate::foreign::TERMINAL;

/// A piece of text, which takes a line or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Sentences, which may be broken wherever there is a space.
    Prose {
        /// What stands in front of the first line.
        lead: String,
        /// How far the other lines are indented.
        hang: usize,
        /// The sentences.
        text: String,
    },
    /// A line that stays as it is: a command, a picture, what was seen.
    Exact(String),
}

impl Piece {
    /// Sentences behind what stands in front of their first line.
    pub(crate) fn prose(lead: impl Into<String>, hang: usize, text: impl AsRef<str>) -> Self {
        Self::Prose {
            lead: TERMINAL.text(&lead.into()).into_owned(),
            hang,
            text: TERMINAL.text(text.as_ref()).into_owned(),
        }
    }

    /// A line that stays as it is.
    pub(crate) fn exact(line: impl AsRef<str>) -> Self {
        Self::Exact(TERMINAL.text(line.as_ref()).into_owned())
    }

    /// A line without a word.
    pub(crate) fn gap() -> Self {
        Self::Exact(String::new())
    }

    /// Each of these lines, indented, as it is.
    pub(super) fn lines(indent: &str, text: &str) -> impl Iterator<Item = Self> {
        text.lines()
            .map(move |line| Self::exact(format!("{indent}{line}").trim_end()))
    }

    /// The piece where nothing is broken.
    pub(super) fn unbroken(&self) -> String {
        match self {
            Self::Prose { lead, text, .. } => format!("{lead}{text}"),
            Self::Exact(line) => line.clone(),
        }
    }
}

/// All of them, where nothing is broken.
pub(super) fn unbroken<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> String {
    let lines = pieces.into_iter().map(Piece::unbroken);
    lines.map(|line| line + "\n").collect()
}
