//! A `.drill` file as a value: read, formatted and printed.

use super::bounds::LONGEST_LINE;
use super::builder::Builder;
use super::diagnostic::{Diagnostic, Place};
use super::layout::{Layout, Row};
use super::possible::first_impossible;
use super::reader::Reader;
use super::statement::{self, Statement};
use crate::model::error::Error;
use crate::model::profile::Transport;
#[cfg(any(fuzzing, test))]
use crate::model::scenario::Line;
use crate::model::scenario::{ClientGroup, Scenario, Step};
use crate::model::text_file::Kind;
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
        DrillText::read(path)?.parsed(None)
    }

    /// Reads a file that was found in a folder; as [`DrillFile::read`], but of regular files alone.
    pub(crate) fn read_found(path: &Path) -> Result<Self, Error> {
        let text = Kind::SCENARIOS.read_found(path)?;
        DrillText::of(path, text).parsed(None)
    }
}

/// The text of a file, which is read once: a pipe has nothing more to say.
#[derive(Clone, Debug)]
pub(crate) struct DrillText {
    name: String,
    text: String,
    is_json: bool,
}

impl DrillText {
    /// Reads the text of a file that the user has named.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or is no text.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Kind::SCENARIOS.read(path).map(|text| Self::of(path, text))
    }

    fn of(path: &Path, text: String) -> Self {
        let extension = path.extension();
        Self {
            name: path.display().to_string(),
            text,
            is_json: extension.is_some_and(|extension| extension == "json"),
        }
    }

    /// What it says of a server that is reached over this, where that is known: what can happen depends on it.
    ///
    /// # Errors
    /// As [`DrillFile::parse`].
    pub(crate) fn parsed(&self, over: Option<Transport>) -> Result<DrillFile, Error> {
        match self.is_json {
            true => DrillFile::from_json_over(&self.name, &self.text, over),
            false => DrillFile::parse_over(&self.name, &self.text, over),
        }
    }
}

#[cfg(any(fuzzing, test))]
impl DrillFile {
    /// The same, wherever its lines stood.
    pub(crate) fn unnumbered(mut self) -> Self {
        for case in &mut self.cases {
            case.line = 0;
            forget(&mut case.scenario.lines);
        }
        self
    }
}

#[cfg(any(fuzzing, test))]
fn forget(lines: &mut [Line]) {
    for line in lines {
        line.number = 0;
        if let Step::Repeat { lines, .. } = &mut line.step {
            forget(lines);
        }
    }
}

/// The step that a line says of a case with these clients; `place` is where the line stands.
///
/// # Errors
/// The line says no step.
pub(crate) fn step_of(
    place: (&str, usize),
    line: &str,
    clients: &[ClientGroup],
) -> Result<Step, Error> {
    let (file, number) = place;
    let text = line;
    let place = Place { file, number, text };
    let sentence = statement::read(&mut Reader::new(line, clients));
    match sentence.map_err(|mistake| mistake.at(place))? {
        Some(Statement::Step(step)) => Ok(step),
        _ => Err(Diagnostic::new(0..line.len(), "this is no step")
            .label("write what a client does, such as `send \"hello\"`")
            .at(place)),
    }
}

/// Why the last of the steps of a scenario cannot happen, and what to do, where the first that cannot is that one.
pub(crate) fn why_impossible(scenario: &Scenario, over: Transport) -> Option<String> {
    let impossible = first_impossible(scenario, Some(over))?;
    let is_last = impossible.step + 1 == scenario.lines.len();
    is_last.then(|| format!("{}: {}", impossible.title, impossible.label))
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
        if text.len() > LONGEST_LINE {
            return Err(too_long(place));
        }
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

/// Says so at the beginning of the line.
fn too_long(place: Place<'_>) -> Error {
    const SHOWN: usize = 60;
    let cut = place.text.char_indices().nth(SHOWN);
    let text = &place.text[..cut.map_or(place.text.len(), |(cut, _)| cut)];
    let title = format!("this line has {} bytes", place.text.len());
    let label = format!("write at most {LONGEST_LINE} in one line");
    let mistake = Diagnostic::new(0..text.len(), title).label(label);
    mistake.at(Place { text, ..place })
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
