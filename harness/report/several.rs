//! The reports of several targets in one document, and what of both kinds is read and written in the same way.

use super::concluded::NoTests;
use super::data::Summary;
use super::matrix::Matrix;
use super::written::{FORMAT, Written, is_no_report};
use crate::foreign::JSON;
use crate::model::error::{Error, ExitCode};
use crate::model::text_file::Kind;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the schema that describes it: docs/matrix.schema.json has it as its `$id`.
const SCHEMA: &str = "urn:sockdrill:matrix:1";

fn schema() -> String {
    SCHEMA.to_owned()
}

/// What a file of `--json` holds.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    /// The report of one target.
    One(Box<Written>),
    /// Those of several.
    Several(Several),
}

/// The reports of several targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Several {
    #[serde(rename = "$schema", default = "schema")]
    pub schema: String,
    pub format: u32,
    /// The results of all targets.
    #[serde(default)]
    pub summary: Summary,
    #[serde(default)]
    pub matrix: Matrix,
    pub targets: Vec<Written>,
}

impl Several {
    /// The document of these reports.
    pub(crate) fn of(targets: Vec<Written>) -> Self {
        let verdicts = targets.iter().flat_map(|report| &report.checks);
        Self {
            schema: schema(),
            format: FORMAT,
            summary: Summary::of(verdicts.map(|check| check.verdict)),
            matrix: Matrix::of(&targets),
            targets,
        }
    }

    /// How many targets came out in each way, and how many results.
    pub(crate) fn counts(&self) -> String {
        let of = |wanted| {
            let codes = self.targets.iter();
            let codes = codes.map(|report| report.exit_code(NoTests::Fail));
            codes.filter(|code| *code == wanted).count()
        };
        let all = self.targets.len();
        let mut words = format!("{} of {all} targets failed", of(ExitCode::Failed));
        match of(ExitCode::CouldNotRun) {
            0 => {}
            few => words += &format!(", of {few} too little was concluded"),
        }
        match of(ExitCode::Interrupted) {
            0 => {}
            few => words += &format!(", {few} were interrupted"),
        }
        format!("{words}: {}", self.summary.in_words())
    }
}

impl Document {
    /// The document of these reports: where there is one it is as if nobody had thought of more.
    pub(crate) fn of(mut reports: Vec<Written>) -> Self {
        match reports.len() {
            1 => Self::One(Box::new(reports.remove(0))),
            _ => Self::Several(Several::of(reports)),
        }
    }

    /// Reads a file of `--json`.
    ///
    /// # Errors
    /// The file cannot be read, or is no report, or one of another format.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = Kind::REPORT.read(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of such a file; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| is_no_report(name, &error))?;
        if value.get("targets").is_none() {
            return Ok(Self::One(Box::new(Written::of_value(name, value)?)));
        }
        let targets = value["targets"].as_array().cloned().unwrap_or_default();
        let targets = targets.into_iter();
        let targets = targets.map(|target| Written::of_value(name, target));
        let several = Several::of(targets.collect::<Result<_, _>>()?);
        match several.targets.is_empty() {
            true => Err(Error::Malformed {
                file: name.to_owned(),
                message: "this is no report of --json: its `targets` are none".to_owned(),
            }),
            false => Ok(Self::Several(several)),
        }
    }

    /// The reports of all targets.
    pub(crate) fn reports(&self) -> &[Written] {
        match self {
            Self::One(report) => std::slice::from_ref(report),
            Self::Several(several) => &several.targets,
        }
    }

    /// The same without the document around them.
    pub(crate) fn into_reports(self) -> Vec<Written> {
        match self {
            Self::One(report) => vec![*report],
            Self::Several(several) => several.targets,
        }
    }

    /// The exit code: of several targets the gravest.
    pub(crate) fn exit_code(&self, no_tests: NoTests) -> ExitCode {
        let codes = self.reports().iter();
        ExitCode::gravest(codes.map(|report| report.exit_code(no_tests)))
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::One(report) => report.to_json(),
            Self::Several(several) => {
                // Strings and numbers only: there is nothing in it that cannot be written.
                let text = serde_json::to_string_pretty(several).unwrap_or_default();
                format!("{}\n", JSON.text(&text))
            }
        }
    }
}
