//! What can be done to the server.

use super::expectation::ServerExpectation;
use super::form::{Argument, Does, Form, Need, Over, Python};
use super::literal::name_in;
use super::system_call::RareAnswer;
use std::fmt;
use std::time::Duration;

/// What can be done to the server, or be expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerAction {
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
    /// Starts a second instance beside it, or after its end in its place.
    StartSecond(Second),
    /// Kills what listens of it, with all that run its program, and starts it again beside what it has started of others.
    StartBesideHelpers,
    /// Puts a regular file at its path and starts it; it must fail, and leave the file.
    StartOverFile,
    /// Limits its open files to this many more than it has now (prlimit(2)).
    LimitOpenFiles(u32),
    /// Gives it back the limit it had.
    RestoreOpenFiles,
    /// Has the kernel answer calls of it in a rare way.
    Answer(RareAnswer),
    /// Leaves all calls of it to the kernel again.
    RestoreCalls,
    /// It must not print this from its start to the end of the case.
    NeverOutput(Vec<u8>),
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
pub(crate) enum Streams {
    /// An input without a byte, and an output that is read.
    #[default]
    Usual,
    /// An output that is a pipe which nobody reads any more once the server listens.
    StdoutClosed,
    /// An input that is a pipe at its end.
    StdinClosed,
    /// No input at all: descriptor 0 is closed, and the next that is opened gets its number.
    NoStdin,
    /// No streams at all: descriptors 0, 1 and 2 are closed.
    NoneAtAll,
}

/// What a second instance on the same address must do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Second {
    /// It ends with an error.
    #[default]
    Ends,
    /// It listens at the same port (SO_REUSEPORT, socket(7)).
    SharesPort,
    /// It takes the path, or the datagrams, over from the first.
    TakesOver,
    /// It ends with an error, or listens at the same port.
    EitherWay,
}

impl Second {
    /// The unusual ones with their names in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::SharesPort, "shares-port"),
        (Self::TakesOver, "takes-over"),
        (Self::EitherWay, "either-way"),
    ];
}

impl Streams {
    /// The unusual ones with their names in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::StdoutClosed, "stdout-closed"),
        (Self::StdinClosed, "stdin-closed"),
        (Self::NoStdin, "without-stdin"),
        (Self::NoneAtAll, "without-streams"),
    ];

    /// The standard descriptors that are closed.
    pub(crate) fn closed(self) -> &'static [i32] {
        match self {
            Self::Usual | Self::StdoutClosed | Self::StdinClosed => &[],
            Self::NoStdin => &[0],
            Self::NoneAtAll => &[0, 1, 2],
        }
    }
}

/// The signals that a scenario may send.
///
/// ```
/// use sockdrill::Signal;
///
/// assert_eq!(Signal::Term.to_string(), "TERM");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
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
    pub(crate) const ALL: &[(Self, &'static str)] = &[
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
    /// Its row.
    pub(crate) fn form(&self) -> Form<'_> {
        match self {
            Self::Stop => Form::new("stop", "stop", Does::Stops).needing(Need::RunningServer),
            Self::Continue => {
                Form::new("continue", "resume", Does::Continues).needing(Need::StoppedServer)
            }
            Self::Signal(signal) => Form::new("signal", "signal", Does::Signals(*signal))
                .needing(Need::Server)
                .with(Argument::Signal(*signal)),
            Self::SignalAgain(signal) => {
                Form::new("signal-again", "signal_again", Does::Signals(*signal))
                    .needing(Need::SignalledServer)
                    .with(Argument::Signal(*signal))
            }
            Self::Start(streams) => {
                let method = match streams {
                    Streams::Usual => "start_again",
                    Streams::StdoutClosed => "start_without_reader",
                    Streams::StdinClosed => "start_without_input",
                    Streams::NoStdin => "start_without_stdin",
                    Streams::NoneAtAll => "start_without_streams",
                };
                let unusual = *streams != Streams::Usual;
                let unusual = unusual.then(|| Argument::Word(name_in(Streams::ALL, *streams)));
                Form::new("start", method, Does::Starts).with_all(unusual)
            }
            Self::StartSecond(second) => {
                let method = match second {
                    Second::Ends => "start_second",
                    Second::SharesPort => "start_second_sharing",
                    Second::TakesOver => "start_second_taking_over",
                    Second::EitherWay => "start_second_either_way",
                };
                let unusual = *second != Second::Ends;
                let unusual = unusual.then(|| Argument::Word(name_in(Second::ALL, *second)));
                Form::new("start-second", method, Does::StartsSecond).with_all(unusual)
            }
            Self::StartBesideHelpers => {
                Form::new("start-beside-helpers", "start_beside_helpers", Does::Starts)
                    .needing(Need::RunningServer)
                    .only_over(Over::Tcp)
            }
            Self::StartOverFile => Form::new("start-over-file", "start_over_file", Does::Replaces),
            Self::LimitOpenFiles(spare) => {
                Form::new("limit-open-files", "limit_open_files", Does::LimitsFiles)
                    .needing(Need::Server)
                    .with(Argument::Number((*spare).into()))
            }
            Self::RestoreOpenFiles => Form::new(
                "restore-open-files",
                "restore_open_files",
                Does::RestoresFiles,
            )
            .needing(Need::LimitedFiles),
            Self::Answer(answer) => answer.form(),
            Self::RestoreCalls => Form::new("restore-calls", "", Does::RestoresCalls)
                .needing(Need::AnsweredCalls)
                .in_python(Python::Nothing(
                    "a filter of system calls cannot be written in it",
                )),
            Self::NeverOutput(text) => Form::new("never", "never_print", Does::Nothing)
                .with(Argument::Word("output"))
                .with(Argument::Text(text)),
            Self::Expect { what, within } => what.form().expected(*within),
            Self::Require { what, within } => what.form().required(*within),
        }
    }
}

impl ServerAction {
    /// The same with this limit for what comes, where none is written.
    #[must_use]
    pub(crate) fn limited(&self, limit: Duration) -> Self {
        let mut limited = self.clone();
        if let Self::Expect { within, .. } | Self::Require { within, .. } = &mut limited {
            within.get_or_insert(limit);
        }
        limited
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

impl fmt::Display for ServerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form().fmt(f)
    }
}
