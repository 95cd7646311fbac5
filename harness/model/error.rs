//! Why sockdrill could not look: everything that stands between a command and a verdict.

use crate::foreign::{LINE, TERMINAL};
use crate::model::literal::Measured;
use crate::model::mistake::{Mistake, Mistakes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why sockdrill could not look; what it saw of a server is never an error.
///
/// ```
/// use sockdrill::{ExitCode, Target};
///
/// let error = Target::find("ehco").unwrap_err();
/// assert!(error.to_string().contains("there is no target `ehco`"));
/// assert_eq!(error.exit_code(), ExitCode::Usage);
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{doing} {}", LINE.text(&path.to_string_lossy()))]
    File {
        /// What was being done, such as `reading`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A name that is neither a built-in nor a file.
    #[error("there is no {kind} `{}`{hint}", LINE.text(name))]
    Unknown {
        /// What was looked for: a server, a profile, a target, a check.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// What there is instead.
        hint: String,
    },
    /// A profile or target file that cannot be understood.
    #[error("{}: {message}", LINE.text(file))]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, where, and what to write.
        message: String,
    },
    /// A scenario file that cannot be understood; each mistake is shown in its place.
    #[error("{0}")]
    Scenario(Mistakes),
    /// Options that do not go together.
    #[error("{0}")]
    Usage(String),
    /// The selection left nothing to run.
    #[error("nothing selected: {0}")]
    NothingSelected(String),
    /// The server's program does not exist.
    #[error("starting `{}`: no such program{searched}", LINE.text(program))]
    MissingProgram {
        /// The program.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The server's program could not be started.
    #[error("starting `{}`", LINE.text(program))]
    Start {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// The server ended before it listened.
    #[error(
        "{} {how} after {}, before {awaited}{output}\n  command: {command}",
        who(*is_backend),
        Measured(*waited)
    )]
    EndedEarly {
        /// Whether it is a backend, which whoever tells of it has named.
        is_backend: bool,
        /// How it ended.
        how: String,
        /// What was awaited.
        awaited: String,
        /// For how long.
        waited: Duration,
        /// Its last output, ready to print.
        output: String,
        /// Its command.
        command: String,
    },
    /// The server lives but does not listen.
    #[error(
        "{} did not listen: {awaited} was awaited for {}{hint}{output}\n  command: {command}",
        who(*is_backend),
        Measured(*waited)
    )]
    NeverListened {
        /// Whether it is a backend, which whoever tells of it has named.
        is_backend: bool,
        /// What was awaited.
        awaited: String,
        /// For how long.
        waited: Duration,
        /// What to do.
        hint: String,
        /// Its last output, ready to print.
        output: String,
        /// Its command.
        command: String,
    },
    /// The server listens, and turns every client away.
    #[error(
        "the server listens and has served nobody within {}: it turned {clients} clients away, the last one with {words}; \
         ready-within says how long it may take\n  command: {command}",
        Measured(*waited)
    )]
    NeverServed {
        /// How long it was tried.
        waited: Duration,
        /// How many clients it turned away.
        clients: usize,
        /// What it told the last of them.
        words: String,
        /// Its command.
        command: String,
    },
    /// Something else listens where the server should.
    #[error(
        "port {port} is taken: {holder} listens on it, not {}{output}\n  command: {command}\n  \
         stop that program, or let the command take any port by writing {{port}} in it",
        who(*is_backend)
    )]
    PortTaken {
        /// Whether it is a backend, which whoever tells of it has named.
        is_backend: bool,
        /// The port.
        port: u16,
        /// Who listens.
        holder: String,
        /// The server's last output, ready to print.
        output: String,
        /// The server's command.
        command: String,
    },
    /// The server listens in several places and nothing says which one to drill.
    #[error("{} listens in several places: {places}; choose one with {setting}", who(*is_backend))]
    SeveralListeners {
        /// Whether it is a backend, which whoever tells of it has named.
        is_backend: bool,
        /// How one is chosen.
        setting: String,
        /// The places.
        places: String,
    },
    /// Nothing answers where somebody else is to have started a server.
    #[error("nothing answers at {}: {why}{}; is the server started, and is that its address? --ready-within 30s waits until it is there",
        LINE.text(address),
        waited.map_or(String::new(), |waited| format!(", for {}", Measured(waited)))
    )]
    NotReached {
        /// Where it was looked for.
        address: String,
        /// What was met instead.
        why: String,
        /// For how long it was awaited, where it was.
        waited: Option<Duration>,
    },
    /// A server that stands behind the one that is drilled was not to be started.
    #[error("the backend {name}, which stands behind the server, did not start")]
    Backend {
        /// Its name in the target or in the scenario.
        name: String,
        /// Why not.
        source: Box<Self>,
    },
    /// A client that was to show how a server is spoken to has not done so.
    #[error("the client {what}{output}\n  command: {command}")]
    Client {
        /// What it did instead, and what to do.
        what: String,
        /// Its last output, ready to print.
        output: String,
        /// Its command.
        command: String,
    },
    /// What a client and a server have said could not be learned from.
    #[error("{0}")]
    NotLearned(String),
    /// The lab could not be made.
    #[error(
        "making a lab for the server: {reason}; `sockdrill doctor` tells what this host permits"
    )]
    Lab {
        /// What the host refused.
        reason: String,
    },
    /// The kernel's socket tables could not be read.
    #[error("{doing}")]
    Kernel {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A report cannot be written where an option says.
    #[error("--{option} {}: {reason}", path.display())]
    Unwritable {
        /// The option.
        option: &'static str,
        /// The file or the folder.
        path: PathBuf,
        /// What is in the way, and what to do.
        reason: String,
    },
}

/// What a server is called; of a backend its name has been said.
fn who(is_backend: bool) -> &'static str {
    match is_backend {
        true => "it",
        false => "the server",
    }
}

/// What stands before each line of a server's output.
pub(crate) const OUTPUT_MARGIN: &str = "    ";

/// The exit codes of the command line.
///
/// ```no_run
/// use sockdrill::{Profile, Settings, Target, check};
///
/// let target = Target::command(["./server", "{port}"], Profile::unknown());
/// let code = match check(&target, &Settings::default(), &|_| {}) {
///     Ok(report) => report.exit_code(),
///     Err(error) => error.exit_code(),
/// };
/// std::process::exit(code as i32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum ExitCode {
    /// Every verdict is a pass, a skip or a known failure, or was inconclusive beside as many passes.
    Passed = 0,
    /// A verdict is a fail.
    Failed = 1,
    /// The command line, a profile or a scenario is wrong.
    Usage = 2,
    /// The harness or a server could not run, a file could not be read or written, or too little was concluded.
    CouldNotRun = 3,
    /// Nothing was selected.
    NothingSelected = 4,
    /// The user ended the run.
    Interrupted = 130,
}

impl ExitCode {
    /// What several runs come to: that the user has ended one, a failure, and then whatever kept one from telling more.
    pub(crate) fn gravest(codes: impl Iterator<Item = Self>) -> Self {
        let order = [
            Self::Interrupted,
            Self::Failed,
            Self::Usage,
            Self::CouldNotRun,
            Self::NothingSelected,
        ];
        let codes: Vec<Self> = codes.collect();
        let gravest = order.into_iter().find(|code| codes.contains(code));
        gravest.unwrap_or(Self::Passed)
    }
}

/// `unwrap` and `expect` show it to people: in words, with what is behind it.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.chain())
    }
}

impl From<Mistake> for Error {
    fn from(mistake: Mistake) -> Self {
        Self::Scenario(Mistakes::of(vec![mistake]))
    }
}

/// What an error says, in one line with the last one of the server's output.
pub(crate) fn in_one_line(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let output = lines.rfind(|line| line.starts_with(OUTPUT_MARGIN));
    match output.filter(|_| first.ends_with(':')) {
        Some(line) => format!("{first} {}", line.trim()),
        None => first.to_owned(),
    }
}

impl Error {
    /// Whether it is a server's program that did not come up, rather than we or the host that could not start it.
    pub(crate) fn is_of_server(&self) -> bool {
        matches!(
            self,
            Self::EndedEarly { .. }
                | Self::NeverListened { .. }
                | Self::NeverServed { .. }
                | Self::PortTaken { .. }
                | Self::SeveralListeners { .. }
        )
    }

    /// Returns what makes an error of what went wrong with a file, as in `map_err(Error::file("reading", path))`.
    pub fn file(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::File {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// The exit code for a run that ended with this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unknown { .. } | Self::Malformed { .. } | Self::Scenario(_) | Self::Usage(_) => {
                ExitCode::Usage
            }
            Self::NothingSelected(_) => ExitCode::NothingSelected,
            Self::File { .. }
            | Self::Unwritable { .. }
            | Self::MissingProgram { .. }
            | Self::Start { .. }
            | Self::EndedEarly { .. }
            | Self::NeverListened { .. }
            | Self::NeverServed { .. }
            | Self::PortTaken { .. }
            | Self::SeveralListeners { .. }
            | Self::NotReached { .. }
            | Self::Backend { .. }
            | Self::Client { .. }
            | Self::NotLearned(_)
            | Self::Lab { .. }
            | Self::Kernel { .. } => ExitCode::CouldNotRun,
        }
    }

    /// The same in one line, with the last one of the server's output: the rest is for who starts the server himself.
    pub(crate) fn in_one_line(&self) -> String {
        in_one_line(&self.chain())
    }

    /// The error and its causes in one line each, as a terminal may be told: what names and files say is shown and does nothing.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            text.push_str(&format!(": {next}"));
            cause = next.source();
        }
        TERMINAL.text(&text).into_owned()
    }
}
