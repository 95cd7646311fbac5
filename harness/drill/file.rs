//! A `.drill` file as a value: read, formatted and printed.

use super::bounds::LONGEST_LINE;
use super::builder::{Builder, Built, Inclusion};
use super::diagnostic::{Diagnostic, Place};
use super::json_place::JsonPlace;
use super::layout::{Layout, Row};
use super::payload::Payload;
use super::possible::first_impossible;
use super::reader::{Known, Reader};
use super::shared::{self, Backend, Namings, Origin, Setup, Shared};
use super::statement::{self, Statement};
use super::terms::Terms;
use crate::model::error::{Error, ExitCode};
use crate::model::profile::Transport;
use crate::model::scenario::{ClientGroup, Line, Scenario, Step, text_of, with_each_step};
use crate::model::text_file::Kind;
use std::fmt;
use std::path::{Path, PathBuf};

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
    /// The servers that stand behind the drilled one, as the file itself names them.
    pub(crate) backends: Vec<Backend>,
    /// Where it names the targets of those behind its server.
    pub(super) namings: Namings,
    /// The files that it takes what it shares from, as it names them.
    pub(crate) includes: Vec<String>,
    /// The data that has names.
    pub(crate) payloads: Vec<Payload>,
    /// On what terms all of its cases are run.
    pub(crate) terms: Terms,
    /// What all of its cases begin with; its clients are behind those of the files that it includes.
    pub(crate) setup: Setup,
    /// What the files share that it includes.
    pub(crate) beside: Shared,
    /// The cases, at least one where nobody includes it.
    pub(crate) cases: Vec<Case>,
}

/// A case and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The line of the word `case`, counted from one; 0 where the file is JSON.
    pub line: usize,
    /// On what terms it is run.
    pub terms: Terms,
    /// What is written of it: its clients are behind those of the setup, whose steps it does not have.
    pub scenario: Scenario,
}

impl DrillFile {
    /// A file of this case, and of nothing else.
    pub(crate) fn of(scenario: Scenario) -> Self {
        Self {
            cases: vec![Case {
                line: 0,
                terms: Terms::default(),
                scenario,
            }],
            ..Self::default()
        }
    }

    /// The text of a file of this case, and of nothing else but what is promised in it and what stands behind its server.
    pub(crate) fn promising(
        scenario: &Scenario,
        promises: &[String],
        backends: &[Backend],
    ) -> String {
        let mut file = Self::of(scenario.clone());
        file.backends = backends.to_vec();
        if let Some(case) = file.cases.first_mut() {
            case.terms.promises = promises.to_vec();
        }
        file.to_string()
    }

    /// What happens in a case from the beginning to the end, which needs nothing else of the file.
    pub(crate) fn performed(&self, case: &Case) -> Scenario {
        let terms = self.terms_of(case);
        let spelt_out = |step: &Step| step.spelt_out(terms.within);
        let of = |lines: &[Line]| with_each_step(lines, &spelt_out);
        let (beside, own) = (&self.beside.setup, &case.scenario);
        Scenario {
            name: own.name.clone(),
            clients: own.clients.clone(),
            waived: [beside.waived.as_slice(), &self.setup.waived, &own.waived].concat(),
            lines: [of(&beside.lines), of(&self.setup.lines), of(&own.lines)].concat(),
        }
    }

    /// What its cases begin with, as a case of its own.
    pub(super) fn setup_alone(&self) -> Scenario {
        let (beside, own) = (&self.beside.setup, &self.setup);
        Scenario {
            name: "setup".to_owned(),
            clients: own.clients.clone(),
            waived: Vec::new(),
            lines: [beside.lines.as_slice(), &own.lines].concat(),
        }
    }

    /// How many steps stand before those of the setup, or of a case.
    pub(super) fn steps_before(&self, case: bool) -> usize {
        let beside = count(&self.beside.setup.lines);
        match case {
            true => beside + count(&self.setup.lines),
            false => beside,
        }
    }

    /// On what terms a case is run.
    pub(crate) fn terms_of(&self, case: &Case) -> Terms {
        let outer = self.terms.within_those(&self.beside.terms);
        case.terms.within_those(&outer)
    }

    /// The servers that stand behind the drilled one, those of the files that it includes too.
    pub(crate) fn all_backends(&self) -> impl Iterator<Item = &Backend> {
        self.beside.backends.iter().chain(&self.backends)
    }

    /// What is wrong with the target of the backend of this name, shown in the file that names it: it may be one that this includes.
    pub(crate) fn target_refused(&self, backend: &str, error: Error) -> Error {
        if error.exit_code() != ExitCode::Usage {
            return error;
        }
        let message = error.to_string();
        let namings = [&self.namings, &self.beside.namings];
        let mut told = namings.into_iter();
        let told = told.find_map(|namings| namings.mistake(backend, &message));
        told.map_or(error, Error::from)
    }

    /// Whether it has anything for a file that includes it.
    pub(super) fn shares_something(&self) -> bool {
        let has_terms = self.terms != Terms::default();
        let has_backends = !self.backends.is_empty();
        has_terms
            || has_backends
            || self.has_setup()
            || !self.payloads.is_empty()
            || !self.includes.is_empty()
    }

    /// What it has for a file that includes it, where this is its text.
    pub(super) fn shared(self, text: &DrillText) -> Shared {
        let others = self.beside.setup.clients.len();
        let origins = origins(&self.setup.lines, text);
        let mut own = self.setup;
        // Their lines stand in another file than the cases.
        forget(&mut own.lines);
        let mut setup = self.beside.setup;
        // Its own steps count the others' clients already.
        setup.lines.extend(own.lines);
        setup.origins.extend(origins);
        setup.waived.extend(own.waived);
        setup.clients.extend_from_slice(&own.clients[others..]);
        let mut namings = self.beside.namings;
        namings.extend(self.namings);
        Shared {
            backends: [self.beside.backends, self.backends].concat(),
            namings,
            payloads: [self.beside.payloads, self.payloads].concat(),
            terms: self.terms.within_those(&self.beside.terms),
            setup,
        }
    }
}

impl DrillFile {
    /// Parses the text of a file; `name` is what messages call it.
    ///
    /// # Errors
    /// All mistakes, each shown in its line with what to write instead.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        Self::parse_over(name, text, None)
    }

    /// The same of a server that is reached over this, where that is known.
    pub(crate) fn parse_over(
        name: &str,
        text: &str,
        over: Option<Transport>,
    ) -> Result<Self, Error> {
        walk(name, text, Builder::over(over), |_| {}).whole()
    }

    /// The same of what can happen on one transport at least, where nobody knows which it was.
    ///
    /// # Errors
    /// As [`DrillFile::parse`].
    pub(crate) fn parse_over_any(name: &str, text: &str) -> Result<Self, Error> {
        let parsed = |over: &Transport| Self::parse_over(name, text, Some(*over)).ok();
        let untold = Self::parse(name, text);
        untold.or_else(|error| Transport::ALL.iter().find_map(parsed).ok_or(error))
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
        DrillText::read_found(path)?.parsed(None)
    }
}

/// The text of a file, which is read once: a pipe has nothing more to say.
#[derive(Clone, Debug)]
pub(crate) struct DrillText {
    path: PathBuf,
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

    /// Reads the text of a file that was found in a folder, or that another one names.
    ///
    /// # Errors
    /// As [`DrillText::read`], and for all that is no regular file.
    pub(crate) fn read_found(path: &Path) -> Result<Self, Error> {
        let text = Kind::SCENARIOS.read_found(path);
        text.map(|text| Self::of(path, text))
    }

    /// What messages call the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has so many lines; of a file of JSON nobody counts them.
    pub(crate) fn has_line(&self, number: usize) -> bool {
        self.is_json || number <= self.text.lines().count()
    }

    /// A line, counted from one; a file of JSON has none that a person would look for.
    pub(crate) fn line(&self, number: usize) -> Option<&str> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let lines = (!self.is_json).then(|| text.lines());
        lines?.nth(number.checked_sub(1)?)
    }

    fn of(path: &Path, text: String) -> Self {
        let extension = path.extension();
        Self {
            path: path.to_owned(),
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
        self.built_by(Builder::over(over))?.whole()
    }

    /// The same of a file that these include, each in the one before.
    pub(super) fn included_by(&self, others: Inclusion) -> Result<Built, Error> {
        self.built_by(Builder::included_by(others))
    }

    fn built_by(&self, builder: Builder<'_>) -> Result<Built, Error> {
        let builder = builder.of_file(&self.path);
        match self.is_json {
            true => DrillFile::from_json_by(&self.name, &self.text, builder),
            false => Ok(walk(&self.name, &self.text, builder, |_| {})),
        }
    }

    /// What is wrong with a setting above the cases of which this is said, as a mistake in its line; nothing where the file does not say
    /// it itself. `way` leads to it where the file is JSON.
    pub(crate) fn mistake_in(
        &self,
        (setting, said): (&str, &str),
        way: &str,
        mistake: Diagnostic,
    ) -> Option<Error> {
        let file = self.name.as_str();
        if self.is_json {
            let line = said.to_owned();
            let text = &self.text;
            let json = JsonPlace { file, text, way };
            json.find(&line, &(0..line.len()))?;
            let place = Place {
                file: way,
                number: 0,
                text: &line,
                json: Some(json),
            };
            return Some(mistake.spanning(0..line.len()).at(place).into());
        }
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let is_it = |line: &str| {
            let rest = line.trim_start().strip_prefix(setting)?;
            let at = line.len() - rest.len() + rest.find(said)?;
            Some(at..at + said.len())
        };
        let mut lines = (1..).zip(text.lines());
        let (number, text, span) =
            lines.find_map(|(number, text)| Some((number, text, is_it(text)?)))?;
        let place = Place {
            file,
            number,
            text,
            json: None,
        };
        Some(mistake.spanning(span).at(place).into())
    }

    /// Its canonical form, with its comments and with single blank lines where it has some.
    ///
    /// # Errors
    /// As [`DrillFile::parse`].
    pub(crate) fn formatted(&self) -> Result<String, Error> {
        if self.is_json {
            return Ok(self.parsed(None)?.to_json()? + "\n");
        }
        let mut layout = Layout::default();
        let builder = Builder::default().of_file(&self.path);
        walk(&self.name, &self.text, builder, |row| layout.add(&row)).whole()?;
        Ok(layout.finish())
    }

    /// The text as it stands.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(any(fuzzing, test))]
impl DrillFile {
    /// The same, wherever its lines stood.
    pub(crate) fn unnumbered(mut self) -> Self {
        forget(&mut self.setup.lines);
        for case in &mut self.cases {
            case.line = 0;
            forget(&mut case.scenario.lines);
        }
        self
    }
}

/// How many steps lines come to in the order of the text, blocks counted.
fn count(lines: &[Line]) -> usize {
    let of = |line: &Line| match &line.step {
        Step::Repeat { lines, .. } => 1 + count(lines),
        _ => 1,
    };
    lines.iter().map(of).sum()
}

/// Where these lines stand, those inside of blocks too.
fn origins(lines: &[Line], text: &DrillText) -> Vec<Origin> {
    let of = |line: &Line| {
        let origin = Origin {
            file: text.name().to_owned(),
            number: line.number,
            text: text.line(line.number).unwrap_or_default().to_owned(),
        };
        let inner = match &line.step {
            Step::Repeat { lines, .. } => origins(lines, text),
            _ => Vec::new(),
        };
        [vec![origin], inner].concat()
    };
    lines.iter().flat_map(of).collect()
}

/// Takes where lines stand from them.
fn forget(lines: &mut [Line]) {
    for line in lines {
        line.number = 0;
        if let Step::Repeat { lines, .. } = &mut line.step {
            forget(lines);
        }
    }
}

/// The step that a line says of a case with these clients and backends; `place` is where the line stands.
///
/// # Errors
/// The line says no step.
pub(crate) fn step_of(
    place: (&str, usize),
    line: &str,
    clients: &[ClientGroup],
    backends: &[Backend],
) -> Result<Step, Error> {
    let (file, number) = place;
    let text = line;
    let place = Place {
        file,
        number,
        text,
        json: None,
    };
    let known = Known {
        clients,
        payloads: &[],
        backends,
        // Files are looked for where the program runs.
        folder: Some(Path::new("")),
    };
    match statement::read(&mut Reader::new(line, known)) {
        Ok(Some(Statement::Step(step))) => Ok(step.spelt_out(None)),
        Ok(_) => {
            let mistake = Diagnostic::new(0..line.len(), "this is no step");
            let label = "write what a client does, such as `send \"hello\"`";
            Err(mistake.label(label).at(place).into())
        }
        Err(mistake) => Err(mistake.at(place).into()),
    }
}

/// Why the last of the steps of a scenario cannot happen, and what to do, where the first that cannot is that one.
pub(crate) fn why_impossible(scenario: &Scenario, over: Transport) -> Option<String> {
    let impossible = first_impossible(scenario, Some(over))?;
    let is_last = impossible.step + 1 == scenario.lines.len();
    is_last.then(|| format!("{}: {}", impossible.title, impossible.label))
}

/// Prints a text in the canonical form, with its comments and with single blank lines where it has some.
///
/// # Errors
/// As [`DrillFile::parse`].
#[cfg(any(fuzzing, test))]
pub(crate) fn format(name: &str, text: &str) -> Result<String, Error> {
    let mut layout = Layout::default();
    walk(name, text, Builder::default(), |row| layout.add(&row)).whole()?;
    Ok(layout.finish())
}

/// Reads a file line by line and shows each line to `see`.
fn walk<'a>(
    name: &'a str,
    text: &'a str,
    mut builder: Builder<'a>,
    mut see: impl FnMut(Row<'_>),
) -> Built {
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut last = Place {
        file: name,
        number: 1,
        text: "",
        json: None,
    };
    for (number, text) in (1..).zip(text.lines()) {
        let place = Place {
            number,
            text,
            ..last
        };
        last = place;
        if builder.is_full() {
            break;
        }
        if text.len() > LONGEST_LINE {
            too_long(place, &mut builder);
            continue;
        }
        let mut line = Reader::new(text, builder.known());
        let read = statement::read(&mut line);
        let sentence = match read {
            Ok(sentence) => sentence,
            Err(mistake) => {
                builder.mistake(place, mistake);
                builder.guess(place);
                continue;
            }
        };
        see(Row {
            sentence: sentence.as_ref(),
            clients: builder.clients(),
            depth: builder.depth(),
            comment: line.comment(),
            indented: text.starts_with(char::is_whitespace),
        });
        if let Some(sentence) = sentence {
            builder.add(place, sentence);
        }
    }
    builder.finish(last)
}

/// Says so at the beginning of the line.
fn too_long(place: Place<'_>, builder: &mut Builder<'_>) {
    const SHOWN: usize = 60;
    let cut = place.text.char_indices().nth(SHOWN);
    let text = &place.text[..cut.map_or(place.text.len(), |(cut, _)| cut)];
    let title = format!("this line has {} bytes", place.text.len());
    let label = format!("write at most {LONGEST_LINE} in one line");
    let mistake = Diagnostic::new(0..text.len(), title).label(label);
    builder.mistake(Place { text, ..place }, mistake);
}

impl fmt::Display for DrillFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let top = self.top();
        if !top.is_empty() {
            parts.push(top);
        }
        let others = self.beside.setup.clients.len();
        if self.has_setup() {
            parts.push(self.setup.text(others));
        }
        let shared = self.setup.clients.len();
        parts.extend(self.cases.iter().map(|case| case.text(shared)));
        f.write_str(&parts.join("\n"))
    }
}

impl DrillFile {
    /// Whether it has steps of its own that all cases begin with.
    pub(super) fn has_setup(&self) -> bool {
        !self.setup.lines.is_empty()
    }

    /// The settings above all.
    fn top(&self) -> String {
        let setting = |name, value: &Option<String>| {
            let value = value.as_deref().map(statement::value);
            value.map(|value| format!("{name}: {value}"))
        };
        let settings = [
            setting("server", &self.server),
            setting("speaks", &self.speaks),
        ];
        let includes = self.includes.iter();
        let includes = includes.map(|file| Statement::Include(file.clone()).text(&[]));
        let payloads = self.payloads.iter();
        let payloads = payloads.map(|payload| Statement::Payload(payload.clone()).text(&[]));
        let backends = self.backends.iter();
        let backends = backends.map(|backend| Statement::Backend(backend.clone()).text(&[]));
        let all = settings
            .into_iter()
            .flatten()
            .chain(backends)
            .chain(includes);
        let all = all.chain(self.terms.lines()).chain(payloads);
        all.map(|line| line + "\n").collect()
    }
}

impl Case {
    /// The case as its file has it, where so many clients are the setup's.
    fn text(&self, shared: usize) -> String {
        let Scenario {
            name,
            clients,
            waived,
            lines,
        } = &self.scenario;
        let heading = shared::heading(&clients[shared..], waived, &self.terms.lines());
        format!("case {name}\n{heading}\n{}", text_of(lines, clients))
    }
}
