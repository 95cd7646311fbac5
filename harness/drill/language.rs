//! The language as a list: every line that there is, made of the tables that read it.

use super::reader::Verb;
use super::statement::KEYWORDS;
use super::steps::{ACTIONS, SERVER_ACTIONS, SERVER_EXPECTATIONS, SOURCES, STATES};

/// A line of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// How it is written, with the variable parts in capitals.
    pub usage: String,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// A line that has it.
    pub example: String,
}

impl Usage {
    fn new(usage: impl Into<String>, about: &'static str, example: impl Into<String>) -> Self {
        Self {
            usage: usage.into(),
            about,
            example: example.into(),
        }
    }
}

/// Every line of the language as a person writes it.
pub(crate) fn usages() -> Vec<Usage> {
    let mut all = rows("", KEYWORDS);
    all.extend(rows("NAME ", ACTIONS));
    all.extend(rows("server ", SERVER_ACTIONS));
    all.extend(rows("server expect ", SERVER_EXPECTATIONS));
    all.extend(
        SOURCES
            .iter()
            .map(|row| data(row.usage, row.about, row.example)),
    );
    all.push(data(
        "\"TEXT\"",
        "A text; in what is expected `{any}` stands for anything, `{line}` for anything without a newline; \\xff is one byte.",
        "alice expect \"HTTP/1.1 200{any}ok\"",
    ));
    all.extend(STATES.iter().map(|(state, about)| {
        Usage::new(
            format!("NAME expect {state}"),
            about,
            format!("alice expect {state}"),
        )
    }));
    all.push(Usage::new(
        "NAME expect END [or END]… [, all bytes first]",
        "The connection ends in one of these ways: fin, reset, timeout, unreachable.",
        "alice expect fin or reset, all bytes first",
    ));
    all
}

fn rows<T>(before: &str, table: &[Verb<T>]) -> Vec<Usage> {
    let row = |row: &Verb<T>| Usage::new(format!("{before}{}", row.usage), row.about, row.example);
    table.iter().map(row).collect()
}

fn data(usage: &str, about: &'static str, example: &str) -> Usage {
    Usage::new(
        format!("DATA: {usage} [in capitals] [* NUMBER]"),
        about,
        example,
    )
}
