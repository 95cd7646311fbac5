//! The program under test, run as its users run it.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Far beyond what any run takes, on a loaded host too: one that hangs is a failure, not a wait.
const LIMIT: Duration = Duration::from_secs(600);

/// The program under test, and what it is told.
pub(crate) struct Sockdrill {
    pub(crate) command: Command,
    report: Option<TempDir>,
}

/// The program with its first arguments.
pub(crate) fn sockdrill(arguments: &[&str]) -> Sockdrill {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockdrill"));
    command.args(arguments);
    Sockdrill {
        command,
        report: None,
    }
}

impl Sockdrill {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Demands a report, as `--json` in this place of the arguments.
    pub(crate) fn reporting(mut self) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the report");
        let file = folder.path().join("report.json");
        self.report = Some(folder);
        self.arg("--json").arg(file)
    }

    /// Runs the program to its end.
    #[track_caller]
    pub(crate) fn run(mut self) -> Run {
        let command = format!("{:?}", self.command);
        self.command.stdin(Stdio::null());
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the program is built");
        let pid = Pid::from_child(&child);
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        let Ok(output) = end.recv_timeout(LIMIT) else {
            kill_process(pid, Signal::KILL).expect("it runs");
            panic!("{command} hangs");
        };
        let output = output.expect("it is our child");
        let file = self.report.as_ref();
        let file = file.map(|folder| folder.path().join("report.json"));
        let report = file.and_then(|file| std::fs::read(file).ok());
        Run {
            command,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            report: report.map_or(Value::Null, |report| {
                serde_json::from_slice(&report).expect("the report is JSON")
            }),
        }
    }
}

/// A run that is over: how it ended, what was printed, and the report, where one was demanded.
#[derive(Debug)]
pub(crate) struct Run {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Value,
}

impl Run {
    /// Holds the run to what is claimed of it; the complaint shows all of it.
    #[track_caller]
    pub(crate) fn demand(self, holds: bool, claim: &str) -> Self {
        let Self {
            command,
            code,
            stdout,
            stderr,
            ..
        } = &self;
        assert!(
            holds,
            "{claim}\n{command}\nexit code {code:?}\n{stdout}\n{stderr}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        let holds = self.code == Some(expected);
        self.demand(holds, &format!("exit code {expected} was expected"))
    }

    #[track_caller]
    pub(crate) fn prints(self, part: impl AsRef<str>) -> Self {
        let part = part.as_ref();
        let holds = self.stdout.contains(part);
        self.demand(holds, &format!("`{part}` is not printed"))
    }

    #[track_caller]
    pub(crate) fn complains(self, part: impl AsRef<str>) -> Self {
        let part = part.as_ref();
        let holds = self.stderr.contains(part);
        self.demand(holds, &format!("`{part}` is not among the errors"))
    }
}
