//! A `.drill` file as a value: read, formatted and printed.

use super::builder::Builder;
use super::diagnostic::Place;
use super::layout::{Layout, Row};
use super::reader::Reader;
use super::statement;
use crate::model::error::Error;
use crate::model::profile::Transport;
use crate::model::scenario::Scenario;
use std::fmt;
use std::path::Path;

/// A parsed file: its settings and its cases.
///
/// ```
/// use sockdrill::DrillFile;
///
/// let text = "server: echo\n\ncase hello\n  clients: alice\n\n  alice connect\n  alice send \"hello\"\n";
/// let file = DrillFile::parse("hello.drill", text)?;
/// assert_eq!(file.server.as_deref(), Some("echo"));
/// assert_eq!(file.to_string(), text);
/// let misspelt = text.replace("send", "sned");
/// let error = DrillFile::parse("hello.drill", &misspelt).unwrap_err();
/// assert!(error.chain().contains("hello.drill:7"));
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrillFile {
    /// The server that the file is written for: a reference server's name or a target file.
    pub server: Option<String>,
    /// What the server speaks: a profile's name or file.
    pub speaks: Option<String>,
    /// The cases, at least one.
    pub(crate) cases: Vec<Case>,
}

/// A case and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The line of the word `case`, counted from one; 0 where the file is JSON.
    pub line: usize,
    /// What happens in it.
    pub scenario: Scenario,
}

impl DrillFile {
    /// Parses the text of a file; `name` is what messages call it.
    ///
    /// # Errors
    /// The first mistake, shown in its line with what to write instead.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::parse_over(name, text, None)
    }

    /// The same of a server that is reached over this, where that is known.
    pub(crate) fn parse_over(
        name: &str,
        text: &str,
        over: Option<Transport>,
    ) -> Result<Self, Error> {
        walk(name, text, Builder::over(over), |_| {})
    }

    /// Reads a file: JSON where its name ends in `.json`, else `.drill`.
    ///
    /// # Errors
    /// The file cannot be read, or as [`DrillFile::parse`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_over(path, None)
    }

    /// Reads a file for a server that is reached over this, where that is known: what can happen depends on it.
    ///
    /// # Errors
    /// As [`DrillFile::read`].
    pub(crate) fn read_over(path: &Path, over: Option<Transport>) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("reading", path))?;
        let name = path.display().to_string();
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        match is_json {
            true => Self::from_json_over(&name, &text, over),
            false => Self::parse_over(&name, &text, over),
        }
    }
}

/// Prints the text of a file in the canonical form, with its comments and with single blank lines where it has some.
///
/// # Errors
/// As [`DrillFile::parse`].
pub(crate) fn format(name: &str, text: &str) -> Result<String, Error> {
    let mut layout = Layout::default();
    walk(name, text, Builder::default(), |row| layout.add(&row))?;
    Ok(layout.finish())
}

/// Reads a file line by line and shows each line to `see`.
fn walk<'a>(
    name: &'a str,
    text: &'a str,
    mut builder: Builder<'a>,
    mut see: impl FnMut(Row<'_>),
) -> Result<DrillFile, Error> {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut last = Place {
        file: name,
        number: 1,
        text: "",
    };
    for (number, text) in (1..).zip(text.lines()) {
        let place = Place {
            number,
            text,
            ..last
        };
        let mut line = Reader::new(text, builder.clients());
        let sentence = statement::read(&mut line).map_err(|mistake| mistake.at(place))?;
        see(Row {
            sentence: sentence.as_ref(),
            clients: builder.clients(),
            depth: builder.depth(),
            comment: line.comment(),
            indented: text.starts_with(char::is_whitespace),
        });
        if let Some(sentence) = sentence {
            builder.add(place, sentence)?;
        }
        last = place;
    }
    builder.finish(last)
}

impl fmt::Display for DrillFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = [("server", &self.server), ("speaks", &self.speaks)];
        let mut first = true;
        for (name, value) in settings {
            if let Some(value) = value {
                writeln!(f, "{name}: {}", statement::value(value))?;
                first = false;
            }
        }
        for case in &self.cases {
            if !std::mem::take(&mut first) {
                writeln!(f)?;
            }
            case.scenario.fmt(f)?;
        }
        Ok(())
    }
}
