//! What can be done to the server.

use super::expectation::{ServerExpectation, write_wait};
use super::form::{Does, Form, Need};
use super::literal::name_in;
use std::fmt;
use std::time::Duration;

/// What can be done to the server, or be expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Stops every process of it (SIGSTOP).
    Stop,
    /// Lets it run on (SIGCONT).
    Continue,
    /// Sends its first process a signal; SIGKILL goes to all of its processes.
    Signal(Signal),
    /// Sends its first process the same signal once more, unless it has ended meanwhile.
    SignalAgain(Signal),
    /// Starts it again, where it ran before.
    Start(Streams),
    /// Starts a second instance beside it, or after its end in its place, which must fail.
    StartSecond,
    /// Puts a regular file at its path and starts it; it must fail, and leave the file.
    StartOverFile,
    /// Limits its open files to this many more than it has now (prlimit(2)).
    LimitOpenFiles(u32),
    /// Gives it back the limit it had.
    RestoreOpenFiles,
    /// Waits for something, and holds it to that.
    Expect {
        /// What must be seen.
        what: ServerExpectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
    /// Waits for something that the case builds on; without it the case proves nothing.
    Require {
        /// What must be seen.
        what: ServerExpectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
}

/// What a server finds at its standard streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// An input without a byte, and an output that is read.
    #[default]
    Usual,
    /// An output that is a pipe which nobody reads any more once the server listens.
    StdoutClosed,
    /// An input that is a pipe at its end.
    StdinClosed,
}

impl Streams {
    /// The unusual ones with their names in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::StdoutClosed, "stdout-closed"),
        (Self::StdinClosed, "stdin-closed"),
    ];
}

/// The signals that a scenario may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGHUP.
    Hup,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    Usr1,
    /// SIGKILL.
    Kill,
}

impl Signal {
    /// Every signal with its name in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Term, "TERM"),
        (Self::Int, "INT"),
        (Self::Hup, "HUP"),
        (Self::Quit, "QUIT"),
        (Self::Usr1, "USR1"),
        (Self::Kill, "KILL"),
    ];
}

impl Signal {
    /// Its number (signal(7)).
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Term => libc::SIGTERM,
            Self::Int => libc::SIGINT,
            Self::Hup => libc::SIGHUP,
            Self::Quit => libc::SIGQUIT,
            Self::Usr1 => libc::SIGUSR1,
            Self::Kill => libc::SIGKILL,
        }
    }

    /// Whether it is an order to end. The others end a process that does not know them, and mean something else to many a
    /// server: to read its settings again, to open its log again.
    pub(crate) fn orders_end(self) -> bool {
        match self {
            Self::Term | Self::Int | Self::Quit | Self::Kill => true,
            Self::Hup | Self::Usr1 => false,
        }
    }
}

impl ServerAction {
    /// What it needs and does.
    pub(crate) fn form(&self) -> Form {
        let form = |needs, does| Form { needs, does };
        match self {
            Self::Stop => form(Some(Need::RunningServer), Does::Stops),
            Self::Continue => form(Some(Need::StoppedServer), Does::Continues),
            Self::Signal(signal) | Self::SignalAgain(signal) => {
                form(Some(Need::Server), Does::Signals(*signal))
            }
            Self::Start(_) => form(None, Does::Starts),
            Self::StartSecond => form(None, Does::StartsSecond),
            Self::StartOverFile => form(None, Does::Replaces),
            Self::LimitOpenFiles(_) => form(Some(Need::Server), Does::LimitsFiles),
            Self::RestoreOpenFiles => form(Some(Need::LimitedFiles), Does::RestoresFiles),
            Self::Expect { what, .. } | Self::Require { what, .. } => what.form(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

impl fmt::Display for ServerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop"),
            Self::Continue => f.write_str("continue"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::SignalAgain(signal) => write!(f, "signal-again {signal}"),
            Self::Start(Streams::Usual) => f.write_str("start"),
            Self::Start(streams) => write!(f, "start {}", name_in(Streams::ALL, *streams)),
            Self::StartSecond => f.write_str("start-second"),
            Self::StartOverFile => f.write_str("start-over-file"),
            Self::LimitOpenFiles(spare) => write!(f, "limit-open-files {spare}"),
            Self::RestoreOpenFiles => f.write_str("restore-open-files"),
            Self::Expect { what, within } => write_wait(f, "expect", what, *within),
            Self::Require { what, within } => write_wait(f, "require", what, *within),
        }
    }
}
