//! The language as a list: every line that there is, made of the tables that read it.

use super::reader::Verb;
use super::statement::KEYWORDS;
use super::steps::{ACTIONS, SERVER_ACTIONS, SERVER_EXPECTATIONS, SOURCES, STATES};

/// A line of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// What it belongs to.
    pub part: Part,
    /// How it is written, with the variable parts in capitals.
    pub usage: String,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// A line that has it.
    pub example: String,
}

/// A part of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Settings, cases and blocks.
    Lines,
    /// What clients do.
    Actions,
    /// What is done to the server.
    ServerActions,
    /// What the server is held to.
    ServerExpectations,
    /// What is sent and expected.
    Data,
    /// What clients are owed.
    Expectations,
}

impl Part {
    /// Every part, in the order of the page.
    pub(crate) const ALL: &[Self] = &[
        Self::Lines,
        Self::Actions,
        Self::ServerActions,
        Self::ServerExpectations,
        Self::Data,
        Self::Expectations,
    ];

    /// As its heading says it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Lines => "Lines: settings, cases and blocks",
            Self::Actions => "What clients do",
            Self::ServerActions => "What is done to the server",
            Self::ServerExpectations => "What is expected of the server",
            Self::Data => "Data",
            Self::Expectations => "What clients are owed",
        }
    }
}

/// Every line of the language as a person writes it.
pub(crate) fn usages() -> Vec<Usage> {
    let mut all = rows(Part::Lines, "", KEYWORDS);
    all.extend(rows(Part::Actions, "NAME ", ACTIONS));
    all.extend(rows(Part::ServerActions, "server ", SERVER_ACTIONS));
    all.extend(rows(
        Part::ServerExpectations,
        "server expect ",
        SERVER_EXPECTATIONS,
    ));
    all.extend(
        SOURCES
            .iter()
            .map(|row| data(row.usage, row.about, row.example)),
    );
    all.push(data(
        "PAYLOAD",
        "The data that has this name, by a `payload:` above.",
        "alice send hello in pieces of 4B",
    ));
    all.push(data(
        "\"TEXT\"",
        "A text; in what is expected `{any}` stands for anything, `{line}` for anything without a newline, `{:REGEX}` for what a \
         regular expression takes; `{NAME:REGEX}` captures it, and `{NAME}` is what was captured; \\xff is one byte.",
        "alice expect \"HTTP/1.1 {status:[0-9]{3}} {line}\\r\\n\"",
    ));
    all.extend(STATES.iter().map(|(state, about)| Usage {
        part: Part::Expectations,
        usage: format!("NAME expect {state}"),
        about,
        example: format!("alice expect {state}"),
    }));
    all.push(Usage {
        part: Part::Expectations,
        usage: "NAME expect END [or END]… [, all bytes first]".to_owned(),
        about: "The connection ends in one of these ways: fin, reset, timeout, unreachable.",
        example: "alice expect fin or reset, all bytes first".to_owned(),
    });
    all
}

fn rows<T>(part: Part, before: &str, table: &[Verb<T>]) -> Vec<Usage> {
    let row = |row: &Verb<T>| Usage {
        part,
        usage: format!("{before}{}", row.usage),
        about: row.about,
        example: row.example.to_owned(),
    };
    table.iter().map(row).collect()
}

fn data(usage: &str, about: &'static str, example: &str) -> Usage {
    Usage {
        part: Part::Data,
        usage: format!("DATA: {usage} [in capitals] [* NUMBER]"),
        about,
        example: example.to_owned(),
    }
}
