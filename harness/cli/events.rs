//! What happens in a run, an object of JSON a line, while it lasts (`--events`).

use super::destination::Destination;
use super::output::leave_output;
use crate::foreign::JSON;
use crate::model::error::{Error, ExitCode};
use crate::report::data::CheckResult;
use crate::report::waits::Waiting;
use crate::report::written::{Written, WrittenCheck};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The version of the format.
const FORMAT: u32 = 1;

/// What stands for the standard output.
const OUTPUT: &str = "-";

/// Where what happens is written to.
pub(super) struct Events {
    path: PathBuf,
    begun: Instant,
    pen: Mutex<Pen>,
}

struct Pen {
    /// What is known of the run when it begins.
    run: Value,
    to: Box<dyn Write + Send>,
    /// The first line is written, which tells of the run.
    has_begun: bool,
    /// So is the last one.
    has_ended: bool,
    /// Which round of several it is.
    round: Option<usize>,
    /// Why no more can be written.
    failed: Option<io::Error>,
}

/// Tries whether events can be written there.
pub(super) fn tried(path: &Path) -> Result<(), Error> {
    match path == Path::new(OUTPUT) {
        true => Ok(()),
        false => Destination::of("events", path).tried_as_file(),
    }
}

impl Events {
    /// The events of a run that begins now; where they go to the standard output, all else goes to the other one.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn begin(path: &Path, seed: u64) -> Result<Self, Error> {
        let to: Box<dyn Write + Send> = match path == Path::new(OUTPUT) {
            true => {
                leave_output();
                Box::new(io::stdout())
            }
            false => Box::new(Destination::of("events", path).opened()?),
        };
        let run = json!({
            "format": FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "seed": seed,
        });
        let pen = Pen {
            run,
            to,
            has_begun: false,
            has_ended: false,
            round: None,
            failed: None,
        };
        Ok(Self {
            path: path.to_owned(),
            begun: Instant::now(),
            pen: Mutex::new(pen),
        })
    }

    /// Where they are written, unless that is the standard output.
    pub(super) fn file(&self) -> Option<&Path> {
        (self.path != Path::new(OUTPUT)).then_some(&self.path)
    }

    /// A run of this server begins; of several servers each has a run of its own.
    pub(super) fn are_of(&self, target: &str) {
        let mut pen = self.pen();
        pen.run["target"] = target.into();
        pen.has_begun = false;
        pen.has_ended = false;
    }

    /// So many results are to come; of several rounds the first says so for each.
    pub(super) fn planned(&self, planned: usize) {
        let mut pen = self.pen();
        self.begin_run(&mut pen, planned);
    }

    /// Another round begins.
    pub(super) fn round(&self, round: usize) {
        self.pen().round = Some(round);
    }

    /// A check or case is being tried.
    pub(super) fn begun(&self, id: &str) {
        self.tell("check-started", json!({ "id": id }));
    }

    /// Something is not done after such a time.
    pub(super) fn slow(&self, id: &str, tried: Duration, waiting: Option<&Waiting>) {
        let mut event = json!(waiting.map_or(Value::Null, as_json));
        if event.is_null() {
            event = json!({});
        }
        event["id"] = id.into();
        event["tried_ms"] = (tried.as_millis() as u64).into();
        self.tell("slow", event);
    }

    /// A result, as it is known by now.
    pub(super) fn concluded(&self, result: &CheckResult) {
        let check = as_json(&WrittenCheck::of(result));
        self.tell("result", json!({ "check": check }));
    }

    /// The run is over: what it has found, and what it comes to.
    pub(super) fn ended(&self, report: Option<&Written>, done: &Result<ExitCode, Error>) {
        self.pen().round = None;
        if std::mem::replace(&mut self.pen().has_ended, true) {
            return;
        }
        for finding in report.into_iter().flat_map(|report| &report.findings) {
            self.tell("finding", json!({ "finding": as_json(finding) }));
        }
        let mut event = json!({});
        if let Some(report) = report {
            event["summary"] = as_json(&report.summary);
            event["interrupted"] = report.interrupted.into();
        }
        let code = match done {
            Ok(code) => *code,
            Err(error) => {
                event["error"] = error.chain().into();
                error.exit_code()
            }
        };
        event["exit_code"] = (code as i32).into();
        self.tell("run-ended", event);
    }

    /// Whether all could be written.
    ///
    /// # Errors
    /// Some of it could not, for this reason.
    pub(super) fn written(&self) -> Result<(), Error> {
        match self.pen().failed.take() {
            Some(error) => Err(Destination::of("events", &self.path).unwritable(&error)),
            None => Ok(()),
        }
    }

    fn tell(&self, event: &str, said: Value) {
        let mut pen = self.pen();
        self.begin_run(&mut pen, 0);
        self.write(&mut pen, event, said);
    }

    fn begin_run(&self, pen: &mut Pen, planned: usize) {
        if !std::mem::replace(&mut pen.has_begun, true) {
            let mut run = pen.run.clone();
            run["planned"] = planned.into();
            self.write(pen, "run-started", run);
        }
    }

    /// Writes a line at once; who reads may read while the run lasts.
    fn write(&self, pen: &mut Pen, event: &str, said: Value) {
        if pen.failed.is_some() {
            return;
        }
        let line = Line {
            event,
            ms: self.begun.elapsed().as_millis() as u64,
            round: pen.round,
            said,
        };
        let line = serde_json::to_string(&line).unwrap_or_default();
        let line = format!("{}\n", JSON.text(&line));
        let written = pen.to.write_all(line.as_bytes());
        pen.failed = written.and_then(|()| pen.to.flush()).err();
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an event is told in.
#[derive(Serialize)]
struct Line<'a> {
    event: &'a str,
    /// Since the run began.
    ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<usize>,
    #[serde(flatten)]
    said: Value,
}

/// Strings and numbers only: there is nothing in them that cannot be written.
fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
