//! The JSON form of `.drill` files: the same lines, for generators that would rather not write a file format.

use super::builder::{Builder, Built};
use super::diagnostic::{Diagnostic, Place};
use super::file::{Case, DrillFile};
use super::json_place::JsonPlace;
use super::reader::{Known, Read, Reader};
use super::shared::Backend;
use super::statement::{self, Statement};
use super::terms::Expected;
use crate::foreign::JSON;
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::literal::Shown;
use crate::model::scenario::{ClientGroup, Line, Step, Waiver};
use crate::model::spelling::meant_in;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"server\": \"echo\", \"cases\": […]}"
)]
struct RawFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    speaks: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    backends: Vec<RawBackend>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    include: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    promises: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    payloads: Vec<RawPayload>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    setup: Option<RawSetup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cases: Vec<RawCase>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"name\": \"origin\"}"
)]
struct RawBackend {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"name\": \"hello\", \"data\": \"\\\"hi\\\"\"}"
)]
struct RawPayload {
    name: String,
    data: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object such as {\"steps\": […]}")]
struct RawSetup {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    clients: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waive: Vec<RawWaiver>,
    steps: Vec<RawStep>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"fail\": \"REASON\"}"
)]
struct RawExpected {
    fail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"name\": \"one\", \"steps\": […]}"
)]
struct RawCase {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    promises: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expected: Option<RawExpected>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    clients: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waive: Vec<RawWaiver>,
    steps: Vec<RawStep>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"invariant\": \"memory\", \"reason\": \"REASON\"}"
)]
struct RawWaiver {
    invariant: Invariant,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a step is a string such as \"alice connect\", or {\"repeat\": NUMBER, \"steps\": […]}"
)]
enum RawStep {
    Line(String),
    Block(RawBlock),
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"repeat\": 3, \"steps\": […]}"
)]
struct RawBlock {
    repeat: u32,
    steps: Vec<RawStep>,
}

impl DrillFile {
    /// Parses the JSON form: each step is a line of the `.drill` form, a block is `{"repeat": 3, "steps": […]}`.
    ///
    /// # Errors
    /// As [`DrillFile::parse`].
    pub fn from_json(name: &str, text: &str) -> Result<Self, Error> {
        Self::from_json_by(name, text, Builder::default())?.whole()
    }

    /// The same with what a builder knows of it.
    pub(super) fn from_json_by(
        name: &str,
        text: &str,
        builder: Builder<'_>,
    ) -> Result<Built, Error> {
        let sayings = Statements::read(name, text)?;
        Ok(sayings.put_together(builder))
    }

    /// Parses the JSON form of cases that have been performed, some of which go on where others have ended.
    ///
    /// # Errors
    /// As [`DrillFile::from_json`], but for steps that cannot happen where they stand.
    pub(crate) fn from_json_record(name: &str, text: &str) -> Result<Self, Error> {
        let sayings = Statements::read(name, text)?;
        sayings.put_together(Builder::of_record()).whole()
    }

    /// Prints the JSON form.
    ///
    /// # Errors
    /// Never in practice: JSON has room for every value.
    pub fn to_json(&self) -> Result<String, Error> {
        let shared = self.setup.clients.len();
        let cases = self.cases.iter();
        let payloads = self.payloads.iter().map(|payload| RawPayload {
            name: payload.name.clone(),
            data: payload.data.to_string(),
        });
        let backends = self.backends.iter().cloned();
        let backends = backends.map(|Backend { name, server }| RawBackend { name, server });
        let raw = RawFile {
            backends: backends.collect(),
            server: self.server.clone(),
            speaks: self.speaks.clone(),
            include: self.includes.clone(),
            tags: self.terms.tags.clone(),
            within: self.terms.within.map(|time| Shown(time).to_string()),
            promises: self.terms.promises.clone(),
            payloads: payloads.collect(),
            setup: self.has_setup().then(|| RawSetup::of(self)),
            cases: cases.map(|case| RawCase::of(case, shared)).collect(),
        };
        let text = serde_json::to_string_pretty(&raw).map_err(|error| Error::Malformed {
            file: "the scenario".to_owned(),
            message: error.to_string(),
        })?;
        Ok(JSON.text(&text).into_owned())
    }
}

impl RawSetup {
    fn of(file: &DrillFile) -> Self {
        let setup = &file.setup;
        let own = &setup.clients[file.beside.setup.clients.len()..];
        Self {
            clients: own.iter().map(ClientGroup::to_string).collect(),
            waive: setup.waived.iter().map(RawWaiver::from).collect(),
            steps: raw_steps(&setup.clients, &setup.lines),
        }
    }
}

impl RawCase {
    /// A case of a file whose setup has so many clients.
    fn of(case: &Case, shared: usize) -> Self {
        let (scenario, terms) = (&case.scenario, &case.terms);
        let expected = terms.expected.as_ref();
        Self {
            name: scenario.name.clone(),
            tags: terms.tags.clone(),
            within: terms.within.map(|time| Shown(time).to_string()),
            promises: terms.promises.clone(),
            expected: expected.map(|expected| RawExpected {
                fail: expected.reason.clone(),
            }),
            clients: scenario.clients[shared..]
                .iter()
                .map(ClientGroup::to_string)
                .collect(),
            waive: scenario.waived.iter().map(RawWaiver::from).collect(),
            steps: raw_steps(&scenario.clients, &scenario.lines),
        }
    }
}

impl From<&Waiver> for RawWaiver {
    fn from(waiver: &Waiver) -> Self {
        Self {
            invariant: waiver.invariant,
            reason: waiver.reason.clone(),
        }
    }
}

fn raw_steps(clients: &[ClientGroup], lines: &[Line]) -> Vec<RawStep> {
    let raw = |line: &Line| match &line.step {
        Step::Repeat { times, lines } => RawStep::Block(RawBlock {
            repeat: *times,
            steps: raw_steps(clients, lines),
        }),
        step => RawStep::Line(step.text(clients)),
    };
    lines.iter().map(raw).collect()
}

/// One value of the JSON form as the line that says the same.
struct JsonLine {
    /// The way to the value in the file.
    way: String,
    line: String,
    /// Whether the line was written by a person, who may only write steps.
    is_step: bool,
}

impl JsonLine {
    /// Its place in this file of this text.
    fn place<'a>(&'a self, file: &'a str, text: &'a str) -> Place<'a> {
        let way = &self.way;
        Place {
            file: way,
            number: 0,
            text: &self.line,
            json: Some(JsonPlace { file, text, way }),
        }
    }

    fn read(&self, known: Known<'_>) -> Read<Statement> {
        let all = 0..self.line.len();
        let mut reader = Reader::new(&self.line, known);
        let read = statement::read(&mut reader)?;
        if let Some(comment) = reader.comment().filter(|_| !self.is_step) {
            let start = self.line.len() - comment.len();
            return Err(
                Diagnostic::new(start..start + 1, "a `#` begins a comment in a line")
                    .label("leave it out"),
            );
        }
        match read {
            Some(sentence) if !self.is_step || matches!(sentence, Statement::Step(_)) => {
                Ok(sentence)
            }
            _ => Err(Diagnostic::new(all, "this is not a step")
                .label("write one such as \"alice connect\"")
                .help("a block is {\"repeat\": NUMBER, \"steps\": […]}")),
        }
    }
}

/// The lines of a JSON file, in order.
struct Statements<'a> {
    file: &'a str,
    text: &'a str,
    all: Vec<JsonLine>,
}

impl<'a> Statements<'a> {
    fn read(name: &'a str, text: &'a str) -> Result<Self, Error> {
        let raw: RawFile =
            serde_json::from_str(text).map_err(|error| malformed(name, text, &error))?;
        let mut sayings = Self {
            file: name,
            text,
            all: Vec::new(),
        };
        sayings.file(raw);
        Ok(sayings)
    }

    fn put_together<'b>(&'b self, mut builder: Builder<'b>) -> Built {
        for saying in &self.all {
            let place = saying.place(self.file, self.text);
            let read = saying.read(builder.known());
            match read {
                Ok(sentence) => builder.add(place, sentence),
                Err(mistake) => {
                    builder.mistake(place, mistake);
                    builder.guess(place);
                }
            }
            if builder.is_full() {
                break;
            }
        }
        builder.finish(Place {
            file: self.file,
            number: 0,
            text: "",
            json: None,
        })
    }

    fn say(&mut self, way: &str, line: String) {
        self.all.push(JsonLine {
            way: way.to_owned(),
            line,
            is_step: false,
        });
    }

    fn file(&mut self, raw: RawFile) {
        let settings = [
            ("server", raw.server.map(Statement::Server)),
            ("speaks", raw.speaks.map(Statement::Speaks)),
        ];
        for (key, setting) in settings {
            if let Some(setting) = setting {
                self.say(key, setting.text(&[]));
            }
        }
        for (number, RawBackend { name, server }) in raw.backends.into_iter().enumerate() {
            let statement = Statement::Backend(Backend { name, server });
            self.say(&format!("backends[{number}]"), statement.text(&[]));
        }
        for (number, file) in raw.include.into_iter().enumerate() {
            let statement = Statement::Include(file);
            self.say(&format!("include[{number}]"), statement.text(&[]));
        }
        self.terms("", &raw.tags, raw.within.as_deref(), &raw.promises);
        for (number, RawPayload { name, data }) in raw.payloads.iter().enumerate() {
            self.say(
                &format!("payloads[{number}]"),
                format!("payload: {name} {data}"),
            );
        }
        if let Some(setup) = raw.setup {
            self.say("setup", Statement::Setup.text(&[]));
            self.heading("setup", &setup.clients, setup.waive);
            self.steps("setup", setup.steps);
        }
        for (number, case) in raw.cases.into_iter().enumerate() {
            self.case(&format!("cases[{number}]"), case);
        }
    }

    fn terms(&mut self, way: &str, tags: &[String], within: Option<&str>, promises: &[String]) {
        if !tags.is_empty() {
            self.say(&format!("{way}tags"), format!("tags: {}", tags.join(" ")));
        }
        if let Some(time) = within {
            self.say(&format!("{way}within"), format!("within: {time}"));
        }
        for (number, promise) in promises.iter().enumerate() {
            let way = format!("{way}promises[{number}]");
            self.say(&way, format!("promise: {promise}"));
        }
    }

    fn heading(&mut self, way: &str, clients: &[String], waive: Vec<RawWaiver>) {
        for (number, client) in clients.iter().enumerate() {
            let way = format!("{way}.clients[{number}]");
            self.say(&way, format!("clients: {client}"));
        }
        for (number, RawWaiver { invariant, reason }) in waive.into_iter().enumerate() {
            let waiver = Statement::Waive(Waiver { invariant, reason });
            self.say(&format!("{way}.waive[{number}]"), waiver.text(&[]));
        }
    }

    fn case(&mut self, way: &str, raw: RawCase) {
        self.say(&format!("{way}.name"), format!("case {}", raw.name));
        self.terms(
            &format!("{way}."),
            &raw.tags,
            raw.within.as_deref(),
            &raw.promises,
        );
        if let Some(RawExpected { fail: reason }) = raw.expected {
            let statement = Statement::Expected(Expected { reason });
            self.say(&format!("{way}.expected"), statement.text(&[]));
        }
        self.heading(way, &raw.clients, raw.waive);
        self.steps(way, raw.steps);
    }

    fn steps(&mut self, way: &str, raw: Vec<RawStep>) {
        for (number, step) in raw.into_iter().enumerate() {
            let way = format!("{way}.steps[{number}]");
            match step {
                RawStep::Line(line) => self.all.push(JsonLine {
                    way,
                    line,
                    is_step: true,
                }),
                RawStep::Block(block) => {
                    self.say(&way, Statement::Repeat(block.repeat).text(&[]));
                    self.steps(&way, block.steps);
                    self.say(&way, Statement::End.text(&[]));
                }
            }
        }
    }
}

/// The error for text that is not JSON, or not of the right shape.
fn malformed(name: &str, text: &str, error: &serde_json::Error) -> Error {
    let number = error.line().max(1);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let before = error.column().saturating_sub(1);
    let letter = line
        .char_indices()
        .take_while(|(at, _)| *at <= before)
        .last();
    let (at, wrong) = letter.unwrap_or_default();
    let place = Place {
        file: name,
        number,
        text: line,
        json: None,
    };
    let message = error.to_string();
    // The place is shown by the caret.
    let message = message.split(" at line ").next().unwrap_or_default();
    let span = at..at + wrong.len_utf8().min(line.len());
    let message = format!("{message}{}", meant_in(message));
    Diagnostic::new(span, message).at(place).into()
}
