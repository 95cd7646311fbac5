//! What was observed: facts with their time, in the order in which they became known.
//!
//! A [`Transcript`] holds everything that the judge needs. It can be saved and judged again.

use super::asked::Asked;
use crate::kernel::Figures;
use crate::kernel::{FileKind, RECEIVE_BUFFER_ERRORS, Toil};
use crate::model::alarm::Alarm;
use crate::model::error::in_one_line;
use crate::model::expectation::End;
use crate::model::figure::Figure;
use crate::model::literal::{self, Measured};
use crate::model::passage::Passage;
use crate::model::phase::{Moment, Phase};
use crate::model::scenario::Scenario;
use crate::model::server_action::Signal;
use crate::model::stream::Stream;
use crate::transcript::fault::Fault;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// A client in a phase: the index of its name among the clients, and its number in a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClientId {
    /// The index among the clients of the phase.
    pub who: usize,
    /// The number in the crowd, from zero.
    pub member: u32,
}

impl ClientId {
    /// The bystander, whose connection outlives a phase.
    pub(crate) const BYSTANDER: Self = Self {
        who: usize::MAX,
        member: 0,
    };

    /// The client as the scenario names it.
    pub(crate) fn name(self, scenario: &Scenario) -> String {
        match scenario.clients.get(self.who) {
            _ if self == Self::BYSTANDER => "bystander".to_owned(),
            Some(group) if group.members > 1 => format!("{}[{}]", group.name, self.member),
            Some(group) => group.name.clone(),
            None => "?".to_owned(),
        }
    }
}

impl Phase {
    /// A client of the phase.
    pub(crate) fn client(self, who: usize, member: u32) -> ClientId {
        match self {
            Self::BystanderConnects | Self::BystanderAgain => ClientId::BYSTANDER,
            Self::Before | Self::Scenario | Self::After | Self::Crowd | Self::Pressure => {
                ClientId { who, member }
            }
        }
    }
}

/// One observed fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The monotonic time since the transcript began.
    pub at: Duration,
    /// The fact.
    pub what: What,
}

/// The kinds of fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// A phase begins; all clients of the one before are gone.
    Phase(Phase),
    /// The phase is not gone through: a step of it failed, or no server runs.
    Stopped,
    /// A step begins: its number in the order of the text, from zero.
    StepBegan(usize),
    /// A step is over.
    StepEnded {
        /// Which of the crowd that it is a step of, where it is a step of clients.
        member: Option<u32>,
        /// Its number.
        step: usize,
        /// In which way.
        how: Ended,
    },
    /// Something happened at a client.
    Client(ClientId, ClientEvent),
    /// Something happened to the server's processes.
    Server(ServerEvent),
    /// The same of the backend of this name.
    Backend(String, ServerEvent),
    /// What the kernel holds for the server at a moment.
    Sample(Moment, Box<Sample>),
    /// Whether a fault is proven to have happened.
    Proof {
        /// The fault.
        fault: Box<Fault>,
        /// Whether the kernel shows it.
        shown: bool,
        /// What the kernel shows.
        evidence: String,
    },
    /// The harness itself did not get to run for this long.
    Starved(Duration),
    /// The longest round trip to our own echo server, measured after a limit was missed.
    Calibrated(Duration),
    /// What the counters of the server's own network moved by during the run.
    Counters(Vec<(String, u64)>),
}

/// How a step came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ended {
    /// It was done, or what it waited for has happened or has become impossible.
    Done,
    /// The time allowed ran out.
    OutOfTime(Duration),
    /// The kernel shows that nothing more will come: queues are empty and the server waits without a timeout.
    Settled,
    /// The kernel shows that nothing more will come: the server waits without a timeout, and does not read so many bytes.
    StandsStill(u64),
    /// The time ran out for which a server is looked on at that may still do it, as a thread of it waits with a time-out.
    NotYet(Duration),
    /// So long after it began, the kernel still kept the client from the server: it has dropped the handshake, as it does when
    /// the accept queue is full, and repeats it ever more seldom.
    KeptOut(Duration),
}

/// The kinds of fact about a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientEvent {
    /// It opened a socket and asked for a connection.
    Connecting,
    /// It did not wait for the connection, and this is what the call said at once.
    Underway(String),
    /// The handshake is complete.
    Connected {
        /// Its own address, where it has one.
        local: Option<Box<SocketAddr>>,
        /// The server's address, where it has one.
        peer: Option<Box<SocketAddr>>,
        /// It is a socket for datagrams, each of which may be empty.
        #[serde(default)]
        datagrams: bool,
    },
    /// There is no connection.
    ConnectFailed {
        /// Whether the host said no (ECONNREFUSED), rather than nothing.
        refused: bool,
        /// The error of the system.
        error: String,
    },
    /// It handed this many bytes to the kernel.
    Sent(Passage),
    /// Its connection lies in the server's accept queue, one of so many, when it has waited in vain.
    NotTaken(u32),
    /// It handed so many bytes to the kernel of something longer, when it left.
    SentPart(u64),
    /// It handed bytes of its ClientHello to the kernel, which begins TLS.
    Hello {
        /// The first of them.
        from: usize,
        /// The one behind the last.
        to: usize,
        /// How many it has.
        of: usize,
    },
    /// It handed so many bytes of TLS records to the kernel, the last of which are yet to come.
    SentOfRecords(u64),
    /// The TLS handshake is complete.
    Secured {
        /// The version of the protocol.
        version: String,
        /// The cipher suite.
        cipher: String,
        /// The protocol that both have chosen to speak inside (RFC 7301).
        protocol: Option<String>,
    },
    /// TLS has failed, in the handshake or behind it.
    TlsFailed(String),
    /// It said that it has said all (`close_notify`, RFC 8446, section 6.1).
    SaidAll,
    /// The server has closed with our answer to its `close_notify` unread, which resets a connection that is over for both.
    AnswerUnread,
    /// The server said so.
    HeardAll,
    /// The connection that spoke TLS has ended.
    TlsOver {
        /// How many bytes of TLS have come.
        came_bytes: u64,
        /// The server has ended it without saying that it has said all.
        is_cut: bool,
    },
    /// It handed a datagram of so many bytes to the kernel that names no sender.
    SentWithoutSource(usize),
    /// The kernel refused its bytes.
    SendFailed(String),
    /// It looked for bytes without waiting, and this is what the call said: there are none yet.
    Nothing(String),
    /// It read bytes.
    Received(Passage),
    /// It read a datagram.
    Datagram {
        /// The sender.
        from: Option<Box<SocketAddr>>,
        /// The content.
        #[serde(with = "as_text")]
        bytes: Vec<u8>,
    },
    /// The connection ended.
    Ended(End),
    /// It sent FIN.
    HalfClosed,
    /// It sent RST.
    Reset,
    /// It closed.
    Closed,
    /// It went away without a word.
    Vanished,
    /// It stopped reading.
    Stalled,
    /// It reads again.
    Reading,
    /// It was so late, all in all, with what it was to do at a pace.
    Late(Duration),
    /// The server has sent what it has not come to read yet.
    MoreToRead,
    /// The kernel shows its connection in the hands of a server process.
    Accepted,
    /// The kernel keeps its connection from the server until it has sent something, as the server has asked it to
    /// (`TCP_DEFER_ACCEPT`, tcp(7)).
    Deferred,
    /// The kernel shows that the server has read all that was sent.
    Taken,
    /// The kernel shows that the server sleeps although bytes of the client wait for it.
    HeldBack {
        /// How many of them wait.
        unread_bytes: u64,
    },
    /// The kernel shows that nothing more fits the queue of what it has not read.
    Full,
    /// The kernel shows that the server sleeps although a part of its reply, less than a segment, has not been sent: Nagle's
    /// algorithm holds it back until the part before it is acknowledged.
    Unsent {
        /// How many bytes.
        bytes: u64,
    },
    /// The kernel shows its own end, which it has closed, in TIME_WAIT.
    TimeWait,
    /// It has waited so long for what came, which must not come at once.
    Waited(Duration),
    /// The server's socket is no more; the kernel's last account of it.
    ServerSocketDestroyed {
        /// Bytes that it had for this client and that never arrived.
        lost_bytes: u64,
        /// Bytes that arrived.
        delivered_bytes: u64,
    },
}

/// The kinds of fact about the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServerEvent {
    /// It runs and listens.
    Started {
        /// Its first process.
        pid: i32,
    },
    /// It runs, and somebody else has started it: nothing is seen of its processes.
    Elsewhere,
    /// The socket that it listens on is another one than when somebody else had started it.
    Replaced,
    /// It did not come up.
    StartFailed(String),
    /// A second instance was started, and ended with these last words.
    SecondEnded(Exit, Option<String>),
    /// A second instance was started in its place, and lives.
    SecondLives,
    /// A second instance was started beside it, and lives without the address.
    SecondWithout,
    /// A second instance was started beside it, and listens at the same port.
    SecondShares,
    /// A second instance was started beside it, and has the address in its place.
    SecondTakesOver,
    /// A second instance was started beside it, and may still do something else.
    SecondTries,
    /// A second instance was started beside it, and listens elsewhere: here.
    SecondElsewhere(String),
    /// So high is the number of an open file of one of its processes, which may have so many.
    Descriptors {
        /// The highest number.
        highest: u32,
        /// How many the process may have.
        limit: u64,
    },
    /// A helper that runs another program has its listening socket when it is killed, and takes nobody.
    ListenerInherited {
        /// The program.
        program: String,
        /// The helper.
        pid: i32,
    },
    /// The regular file at its path is no longer there.
    FileRemoved,
    /// All of its processes are stopped.
    Stopped,
    /// They run again.
    Continued,
    /// It was sent a signal.
    Signalled {
        /// Which.
        signal: Signal,
        /// The process that listens, where the first one has only started it.
        #[serde(default)]
        inside: Option<String>,
    },
    /// What still ran of it was killed, for another to be started in its place.
    Killed,
    /// Its first process ended.
    Exited(Exit),
    /// Another process of it ended, by a signal or with a status that is not 0.
    ProcessEnded {
        /// It.
        pid: i32,
        /// How.
        exit: Exit,
        /// What it is called, where it was there before a client was; `None` where it may have been there for one client.
        #[serde(default)]
        worker: Option<String>,
    },
    /// Its first process has ended, and its listening socket is still there.
    InBackground,
    /// It lives, and its listening socket is gone.
    NoLongerListens,
    /// Nothing of its process tree is left.
    Gone,
    /// Its listening socket was in the kernel's table for so long although no process of it was left.
    LetGo(Duration),
    /// Its listening socket is in the kernel's table for so long although no process of it is left.
    NotLetGo(Duration),
    /// Processes are left although the first one ended.
    LeftBehind(usize),
    /// It printed.
    Output(#[serde(with = "as_text")] Vec<u8>),
    /// Behind that it printed so many bytes more, which nobody has kept.
    OutputCut(u64),
    /// It has printed this, for which somebody waited.
    Printed(#[serde(with = "as_text")] Vec<u8>),
    /// The listener's row in the kernel's table.
    Listener {
        /// Connections that wait to be accepted.
        queue: u32,
        /// The limit of the queue.
        backlog: u32,
    },
    /// How many connections of its port are in TIME_WAIT on its side.
    TimeWait(usize),
    /// How many connections to its port are in TIME_WAIT on the side of clients.
    TimeWaitOfClients(usize),
    /// It has ended; whether the path of its Unix socket is still there.
    PathRemains(bool),
    /// How it was found when it was asked whether it rests.
    Rests {
        /// Whether all of its threads wait and hardly any processor time was used for a while.
        rests: bool,
        /// The share of one processor that it used while it was watched, in percent.
        cpu_percent: u32,
        /// Whether that was all that it could get, for long enough to say that it will not rest.
        spins: bool,
    },
    /// How many threads and processes it has, counted at once.
    Workers(usize),
    /// The processor time that it used while something was waited for in vain.
    Ran(Duration),
    /// The time that its threads were ready to run meanwhile, and others had the processors.
    Lacked(Duration),
    /// What was waited for came when its time was over, of which its threads, those behind it, or the harness were kept from running
    /// for this long.
    Grace {
        /// How long it was waited for.
        waited: Duration,
        /// How much of that could not be used, or seen.
        lost: Duration,
    },
    /// How many files it has open, of how many, where its limit was lowered.
    OpenFiles {
        /// Descriptors below the limit that are in use, in the process that has fewest left.
        held: u64,
        /// The limit.
        limit: u64,
        /// Connections that wait to be accepted.
        #[serde(default)]
        waiting: u32,
        /// Nobody waits to be taken any more: what is left free is kept in reserve.
        #[serde(default)]
        settled: bool,
    },
    /// Its limit on open files was changed.
    OpenFilesLimited(u64),
    /// A call of it has had a rare answer.
    Answered {
        /// The call, by the name of syscalls(2).
        call: String,
        /// What it was about: `listener`, `connections`, `datagrams`, `files`, `output` or `process`.
        of: String,
        /// The error, or the number of bytes.
        with: String,
        /// Which of the calls that it could have been given to, counted from 1.
        nth: u32,
        /// The thread that had called.
        thread: i32,
    },
    /// Whether its calls have had every rare answer that was said by then.
    AllAnswered(bool),
    /// It, or what watches it, has sounded an alarm.
    Alarm {
        /// What was said.
        alarm: Box<Alarm>,
        /// When that began, since the transcript did; none where it was before.
        began: Option<Duration>,
    },
    /// It has printed so many lines within a tenth of a second.
    Burst {
        /// When that began, since the transcript did.
        began: Duration,
        /// How many.
        lines: u64,
    },
    /// It lives, and its listening socket is gone; after so long a time-out of its own may still have it open another.
    ListensNotYet(Duration),
    /// What its threads do, looked up when something that was expected had not come.
    Occupied(Vec<String>),
    /// What it is at, where it does not rest.
    Toils(Toil),
}

/// How a process ended, as wait(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// Reads a wait status.
    pub(crate) fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Status((status >> 8) & 0xff),
            signal => Self::Signal(signal),
        }
    }

    /// Whether the end is a crash: a signal that a program gets for a mistake of its own (signal(7)).
    pub(crate) fn is_crash(self) -> bool {
        matches!(self, Self::Signal(signal) if CRASHES.iter().any(|(number, _)| *number == signal))
    }
}

/// The signals that no server ends by in good order, for whoever sends them: the one list that there is.
pub(crate) const CRASHES: &[(i32, &str)] = &[
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGSYS, "SIGSYS"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

const OTHER_SIGNALS: &[(i32, &str)] = &[
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGALRM, "SIGALRM"),
];

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => {
                let mut known = CRASHES.iter().chain(OTHER_SIGNALS);
                match known.find(|(number, _)| number == signal) {
                    Some((_, name)) => write!(f, "was ended by signal {signal} ({name})"),
                    None => write!(f, "was ended by signal {signal}"),
                }
            }
        }
    }
}

/// What the kernel holds for the server's process tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Processes, zombies not counted.
    pub processes: usize,
    /// Threads of all processes.
    pub threads: usize,
    /// Ended children that nobody has waited for.
    pub zombies: usize,
    /// Open descriptors that are sockets.
    pub sockets: usize,
    /// Other open descriptors, by what they stand for.
    pub files: BTreeMap<FileKind, usize>,
    /// How many descriptors that process may have open which may have the fewest, at the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_limit: Option<usize>,
    /// Connections of the server's port in CLOSE_WAIT.
    pub close_wait: usize,
    /// Connections that wait to be accepted.
    pub accept_queue: u32,
    /// Memory that its processes alone have written, in bytes.
    pub memory_bytes: u64,
    /// What they have written since the baseline in mappings that they did not have then, in bytes.
    #[serde(default)]
    pub taken_bytes: u64,
    /// A sanitizer keeps memory that was freed for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadowed: bool,
    /// The mappings of its processes.
    #[serde(default)]
    pub mappings: usize,
    /// What it has printed since its start, in bytes.
    pub output_bytes: u64,
    /// Connections or children were left of which a time-out of its own may still have reminded the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_still_go: bool,
    /// Whether the server was seen at rest: every thread waiting and no CPU time spent.
    pub at_rest: bool,
    /// The share of one processor that it used while it was watched, in percent.
    pub cpu_percent: u32,
    /// Whether that was all that it could get, for long enough to say that it will not rest.
    pub spins: bool,
}

impl Sample {
    /// How many descriptors are open, sockets and others.
    pub(crate) fn open_files(&self) -> usize {
        self.sockets + self.files.values().sum::<usize>()
    }

    /// What a figure shows in it.
    pub(crate) fn figure(&self, figure: Figure) -> usize {
        match figure {
            Figure::CloseWait => self.close_wait,
            Figure::Sockets => self.sockets,
            Figure::Files(kind) => self.files.get(&kind).copied().unwrap_or(0),
            Figure::Zombies => self.zombies,
            Figure::Processes => self.processes,
            Figure::Threads => self.threads,
            Figure::Mappings => self.mappings,
            // A heap that had its place before may be used up before it is collected.
            Figure::Memory => self.taken_bytes as usize,
        }
    }
}

/// All that was observed in one run of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transcript {
    /// The facts, oldest first.
    pub events: Vec<Event>,
    /// What the kernel held for the server now and then, oldest first.
    #[serde(default)]
    pub figures: Vec<(Duration, Figures)>,
    /// When it began, by the clock of the host; none where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<SystemTime>,
}

/// A client that was answered before any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstAnswered {
    /// When it came.
    pub came: Duration,
    /// How long the server had listened then.
    pub after: Duration,
}

impl Transcript {
    /// Whether calls of the server have had rare answers.
    pub(crate) fn has_rare_answers(&self) -> bool {
        let mut events = self.server_events();
        events.any(|event| matches!(event, ServerEvent::Answered { .. }))
    }

    /// A transcript of these facts alone.
    pub(crate) fn of(events: Vec<Event>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    /// The facts about the server's processes.
    pub(crate) fn server_events(&self) -> impl DoubleEndedIterator<Item = &ServerEvent> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Server(event) => Some(event),
            _ => None,
        })
    }

    /// The facts about a backend since it was started last.
    pub(crate) fn life_of_backend(&self, name: &str) -> Vec<&ServerEvent> {
        let events = self.events.iter().filter_map(|event| match &event.what {
            What::Backend(of, event) if of == name => Some(event),
            _ => None,
        });
        let events: Vec<_> = events.collect();
        let begins = |event: &&ServerEvent| matches!(event, ServerEvent::Started { .. });
        let last = events.iter().rposition(begins).unwrap_or(0);
        events[last..].to_vec()
    }

    /// The phase that was come to last.
    pub(crate) fn last_phase(&self) -> Option<Phase> {
        let mut events = self.events.iter().rev();
        events.find_map(|event| match event.what {
            What::Phase(phase) => Some(phase),
            _ => None,
        })
    }

    /// Whether the server was started again.
    pub(crate) fn is_restarted(&self) -> bool {
        let started = |event: &&ServerEvent| matches!(event, ServerEvent::Started { .. });
        self.server_events().filter(started).count() > 1
    }

    /// Whether somebody else has started the server, so that nothing is seen of its processes.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.server_events()
            .any(|event| matches!(event, ServerEvent::Elsewhere))
    }

    /// How long after a client's last words the first bytes came back.
    pub(crate) fn last_reply_time(&self) -> Option<Duration> {
        let is = |wanted: fn(&ClientEvent) -> bool| move |event: &&Event| matches!(&event.what, What::Client(_, happened) if wanted(happened));
        let sent = is(|event| matches!(event, ClientEvent::Sent(_)));
        let received = is(|event| matches!(event, ClientEvent::Received(_)));
        let asked = self.events.iter().rposition(|event| sent(&event))?;
        let answered = self.events[asked..].iter().find(received)?;
        Some(answered.at - self.events[asked].at)
    }

    /// Whether clients speak in datagrams.
    pub(crate) fn has_datagrams(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| {
            matches!(
                event.what,
                What::Client(
                    _,
                    ClientEvent::Connected {
                        datagrams: true,
                        ..
                    }
                )
            )
        })
    }

    /// How long the quickest reply took, to these words where some are given, from the client's last ones before it.
    pub(crate) fn quickest_reply(&self, to: Option<&[u8]>) -> Option<Duration> {
        let mut asked = Asked::default();
        let replies = self.events.iter().filter_map(|event| asked.apply(event));
        let same = replies.filter(|(words, _)| to.is_none() || words.as_deref() == to);
        same.map(|(_, took)| took).min()
    }

    /// The connection on which alone a client was answered since the server has begun to listen: when it came, and how long
    /// after that.
    pub(crate) fn first_answered(&self) -> Option<FirstAnswered> {
        let is_start =
            |event: &Event| matches!(event.what, What::Server(ServerEvent::Started { .. }));
        let start = self.events.iter().rposition(is_start)?;
        let (mut came, mut answered) = (BTreeMap::new(), BTreeSet::new());
        for event in &self.events[start..] {
            match &event.what {
                What::Client(id, ClientEvent::Connecting) => {
                    came.insert(*id, event.at);
                }
                What::Client(id, ClientEvent::Received(_) | ClientEvent::Datagram { .. }) => {
                    answered.insert(came.get(id).copied());
                }
                _ => {}
            }
        }
        let mut answered = answered.into_iter();
        let (Some(first), None) = (answered.next(), answered.next()) else {
            return None;
        };
        let came = first?;
        Some(FirstAnswered {
            came,
            after: came - self.events[start].at,
        })
    }

    /// The sample taken at a moment.
    pub(crate) fn sample(&self, moment: Moment) -> Option<&Sample> {
        self.samples(moment).next_back()
    }

    /// Whether the server did not rest when it was looked at behind the scenario.
    pub(crate) fn is_busy_at_last(&self) -> bool {
        self.sample(Moment::After)
            .is_some_and(|after| !after.at_rest)
    }

    /// All samples that were taken at such a moment.
    pub(crate) fn samples(&self, moment: Moment) -> impl DoubleEndedIterator<Item = &Sample> {
        self.events
            .iter()
            .filter_map(move |event| match &event.what {
                What::Sample(at, sample) if *at == moment => Some(&**sample),
                _ => None,
            })
    }

    /// How long all of it took.
    pub(crate) fn lasted(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |event| event.at)
    }

    /// How long the first fault was waited for that was not proven: from the step before.
    pub(crate) fn waited_in_vain(&self) -> Duration {
        let is_missing = |event: &&Event| matches!(event.what, What::Proof { shown: false, .. });
        let missing = self.events.iter().find(is_missing);
        let until = missing.map_or(Duration::ZERO, |event| event.at);
        let begins = |event: &&Event| matches!(event.what, What::StepBegan(_)) && event.at <= until;
        let from = self.events.iter().rfind(begins);
        until.saturating_sub(from.map_or(until, |event| event.at))
    }

    /// The longest time for which the harness did not get to run, or for which our own echo server was late.
    pub(crate) fn starved(&self) -> Duration {
        let starved = self.events.iter().filter_map(|event| match &event.what {
            What::Starved(by) | What::Calibrated(by) => Some(*by),
            _ => None,
        });
        starved.max().unwrap_or_default()
    }

    /// How many datagrams the kernel dropped because the buffer of their receiver was full, which is no server's fault.
    pub(crate) fn dropped_datagrams(&self) -> u64 {
        let moved = self.events.iter().map(|event| match &event.what {
            What::Counters(moved) => moved.as_slice(),
            _ => &[],
        });
        let errors = moved
            .flatten()
            .filter(|(name, _)| name == RECEIVE_BUFFER_ERRORS);
        errors.map(|(_, by)| by).sum()
    }

    /// The faults that are not shown to have happened, each with what was seen instead.
    pub(crate) fn unproven(&self) -> impl Iterator<Item = (&Fault, &str)> {
        let events = self.before_repeats().iter();
        events.filter_map(|event| match &event.what {
            What::Proof {
                fault,
                shown: false,
                evidence,
            } => Some((&**fault, evidence.as_str())),
            _ => None,
        })
    }

    /// Whether a fault is shown to have happened.
    pub(crate) fn has_shown(&self, wanted: &Fault) -> bool {
        let is_shown = |event: &Event| matches!(&event.what, What::Proof { fault, shown: true, .. } if **fault == *wanted);
        self.before_repeats().iter().any(is_shown)
    }

    /// Whether the kernel kept a client from the server because it had not spoken.
    pub(crate) fn shows_deferral(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event.what, What::Client(_, ClientEvent::Deferred)))
    }

    /// The last output of the server, as text.
    pub(crate) fn last_output(&self) -> Option<String> {
        let mut output = Vec::new();
        for event in self.server_events() {
            match event {
                ServerEvent::Output(bytes) => output.extend_from_slice(bytes),
                // What stands before a gap is not the last.
                ServerEvent::OutputCut(_) => output.clear(),
                _ => {}
            }
        }
        last_line(&output)
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        let made =
            |event: &&Event| matches!(event.what, What::Client(_, ClientEvent::Connected { .. }));
        self.events.iter().filter(made).count()
    }

    /// What was seen of the trial itself, before anything of it was repeated.
    pub(crate) fn before_repeats(&self) -> &[Event] {
        let is_after = |event: &Event| matches!(event.what, What::Sample(Moment::After, _));
        let end = self.events.iter().position(is_after);
        end.map_or(&self.events[..], |end| &self.events[..=end])
    }

    /// How many lines the server has printed at once at moments at which nobody did anything.
    pub(crate) fn unasked_lines(&self) -> u64 {
        let deeds: Vec<Duration> = self
            .events
            .iter()
            .filter(|event| is_deed(&event.what))
            .map(|event| event.at)
            .collect();
        // The times are in order.
        let is_alone = |began: Duration| {
            let from = deeds.partition_point(|at| *at + ANSWERED_WITHIN < began);
            deeds
                .get(from)
                .is_none_or(|next| *next > began + ANSWERED_WITHIN)
        };
        let bursts = self.server_events().filter_map(|event| match event {
            ServerEvent::Burst { began, lines } if is_alone(*began) => Some(lines),
            _ => None,
        });
        bursts.sum()
    }

    /// How much the clients have sent.
    pub(crate) fn sent_bytes(&self) -> u64 {
        let sent = self.events.iter().map(|event| match &event.what {
            What::Client(_, ClientEvent::Sent(bytes)) => bytes.len() as u64,
            What::Client(_, ClientEvent::SentPart(bytes)) => *bytes,
            What::Client(_, ClientEvent::Hello { from, to, .. }) => (to - from) as u64,
            _ => 0,
        });
        sent.sum()
    }

    /// The facts as a person reads them, an event a line: `>` sent, `<` received, `*` noted. The scenario names its clients.
    pub(crate) fn lines(&self, scenario: &Scenario) -> Vec<EventLine> {
        let told = self.told(scenario).into_iter();
        told.map(|told| told.line).collect()
    }

    /// The facts that a person is told, each with its line.
    pub(crate) fn told(&self, scenario: &Scenario) -> Vec<Told<'_>> {
        let mut phase = Phase::Before;
        let mut all = Vec::new();
        let mut chosen = BTreeSet::new();
        for Shown {
            event,
            reads,
            joined,
        } in self.with_reads_joined()
        {
            match &event.what {
                What::Phase(next) => {
                    phase = *next;
                    chosen.clear();
                }
                what => {
                    let Some((who, mut text)) = line(what, phase, scenario) else {
                        continue;
                    };
                    if let Some(joined) = &joined {
                        text = format!("< {}", joined.excerpt_from(0));
                    }
                    match what {
                        What::Client(id, ClientEvent::Reading) => {
                            chosen.insert(*id);
                        }
                        // How many reads it takes says something where the scenario chose how to read.
                        What::Client(id, ClientEvent::Received(_))
                            if reads > 1 && chosen.contains(id) =>
                        {
                            text.push_str(&format!(" in {reads} reads"));
                        }
                        _ => {}
                    }
                    let line = EventLine {
                        at: event.at,
                        who,
                        text,
                        tells_of_a_step: matches!(what, What::StepEnded { .. }),
                        is_wrong: false,
                    };
                    all.push(Told {
                        event,
                        line,
                        joined,
                    });
                }
            }
        }
        all
    }

    /// The events, where reads of one client with nothing to tell between them are one.
    fn with_reads_joined(&self) -> Vec<Shown<'_>> {
        let mut shown: Vec<Shown<'_>> = Vec::new();
        for event in &self.events {
            let last = match &event.what {
                What::Client(_, ClientEvent::Received(_)) => shown
                    .iter_mut()
                    .rev()
                    .find(|shown| !may_stand_between_reads(&shown.event.what)),
                _ => None,
            };
            if !last.is_some_and(|last| last.goes_on_with(event)) {
                shown.push(Shown::of(event));
            }
        }
        shown
    }
}

/// A fact that a person is told.
pub(crate) struct Told<'a> {
    pub(crate) event: &'a Event,
    pub(crate) line: EventLine,
    /// What was read in several reads that follow each other.
    pub(crate) joined: Option<Stream>,
}

/// An event as it is shown, perhaps with reads that go on with it.
struct Shown<'a> {
    event: &'a Event,
    /// How many reads it is made of.
    reads: usize,
    /// What they read, where they are more than one.
    joined: Option<Stream>,
}

impl<'a> Shown<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            event,
            reads: 1,
            joined: None,
        }
    }

    /// Takes in what came next, where it is a read of the same client too.
    fn goes_on_with(&mut self, event: &Event) -> bool {
        let (
            What::Client(id, ClientEvent::Received(first)),
            What::Client(of, ClientEvent::Received(next)),
        ) = (&self.event.what, &event.what)
        else {
            return false;
        };
        if id != of {
            return false;
        }
        let joined = self.joined.get_or_insert_with(|| {
            let mut stream = Stream::default();
            stream.push(first);
            stream
        });
        joined.push(next);
        self.reads += 1;
        true
    }
}

/// An event as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EventLine {
    /// The monotonic time since the transcript began.
    pub at: Duration,
    /// Whom it is about, a client or the server; nobody where it is about the harness and the host.
    pub who: Option<String>,
    /// What happened.
    pub text: String,
    /// It tells how the wait of a step ended.
    pub tells_of_a_step: bool,
    /// It is the one that was not to happen.
    pub is_wrong: bool,
}

/// With a mark in the margin where it was not to happen.
impl fmt::Display for EventLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_wrong { '!' } else { ' ' };
        write!(f, "{mark}{:>9}  ", Measured(self.at).to_string())?;
        if let Some(who) = &self.who {
            write!(f, "{who} ")?;
        }
        f.write_str(&self.text)
    }
}

/// So long after a deed what is printed may be about it.
const ANSWERED_WITHIN: Duration = Duration::from_millis(200);

/// Whether something was done of which a server may have much to say.
fn is_deed(what: &What) -> bool {
    match what {
        What::Client(_, event) => !matches!(event, ClientEvent::ServerSocketDestroyed { .. }),
        What::Server(event) => matches!(
            event,
            ServerEvent::Started { .. }
                | ServerEvent::Signalled { .. }
                | ServerEvent::Stopped
                | ServerEvent::Continued
                | ServerEvent::OpenFilesLimited(_)
        ),
        _ => false,
    }
}

/// Whether reads before and after an event are one all the same: it tells of the scenario's progress alone, or of the
/// server's socket, which dies when it likes.
fn may_stand_between_reads(what: &What) -> bool {
    matches!(
        what,
        What::StepBegan(_)
            | What::StepEnded {
                how: Ended::Done,
                ..
            }
            | What::Client(_, ClientEvent::ServerSocketDestroyed { .. })
    )
}

/// The last line of what a process has printed.
pub(crate) fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let last = text.trim_end().lines().last()?;
    Some(last.trim().chars().take(300).collect())
}

/// Whom an event is about, and what a person reads of it.
pub(crate) fn line(
    what: &What,
    phase: Phase,
    scenario: &Scenario,
) -> Option<(Option<String>, String)> {
    let noted = match what {
        What::Client(id, event) => {
            let name = match phase {
                _ if *id == ClientId::BYSTANDER => id.name(scenario),
                Phase::Before => "polite client before".to_owned(),
                Phase::After => "polite client after".to_owned(),
                Phase::Crowd | Phase::Pressure => format!("polite client {}", id.member),
                Phase::Scenario | Phase::BystanderConnects | Phase::BystanderAgain => {
                    id.name(scenario)
                }
            };
            return Some((Some(name), event.to_string()));
        }
        What::Server(
            ServerEvent::Output(_) | ServerEvent::OutputCut(_) | ServerEvent::Burst { .. },
        ) => return None,
        What::Server(event) => return Some((Some("server".to_owned()), event.to_string())),
        What::Backend(name, event) => return Some((Some(name.clone()), event.to_string())),
        What::Proof {
            fault,
            shown,
            evidence,
        } => {
            let word = if *shown { "proven" } else { "not proven" };
            format!("{fault}: {word}, {evidence}")
        }
        What::Starved(by) => format!("the harness did not run for {}", Measured(*by)),
        What::Calibrated(by) => format!("our own echo server answers within {}", Measured(*by)),
        What::Counters(moved) if moved.is_empty() => return None,
        What::Counters(moved) => {
            let moved: Vec<_> = moved
                .iter()
                .map(|(name, by)| format!("{name} +{by}"))
                .collect();
            format!("kernel counters: {}", moved.join(", "))
        }
        What::StepEnded {
            how: Ended::OutOfTime(limit),
            ..
        } => format!("nothing more within {}", literal::Shown(*limit)),
        What::StepEnded {
            how: Ended::NotYet(time),
            ..
        } => format!(
            "not yet after {}: the server may still be woken by a time-out of its own",
            literal::Shown(*time)
        ),
        What::StepEnded {
            how: Ended::Settled,
            ..
        } => "nothing more will come: queues are empty, the server waits".to_owned(),
        What::StepEnded {
            how: Ended::StandsStill(unread),
            ..
        } => format!("nothing more will come: the server waits, and does not read {unread} bytes"),
        What::Phase(_)
        | What::Stopped
        | What::StepBegan(_)
        | What::StepEnded { .. }
        | What::Sample(..) => return None,
    };
    Some((None, format!("* {noted}")))
}

impl fmt::Display for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connects"),
            Self::Underway(error) => write!(f, "* connect says at once: {error}"),
            Self::Nothing(error) => write!(f, "* a read says at once: {error}"),
            Self::Connected { local, .. } => match local {
                Some(local) => write!(f, "is connected from {local}"),
                None => f.write_str("is connected"),
            },
            Self::ConnectFailed { error, .. } => write!(f, "is not connected: {error}"),
            Self::Sent(bytes) => write!(f, "> {}", bytes.excerpt()),
            Self::NotTaken(1) => f.write_str("* its connection lies in the accept queue"),
            Self::NotTaken(many) => {
                write!(
                    f,
                    "* its connection lies in the accept queue, one of {many}"
                )
            }
            Self::Hello { from: 0, to, of } if to == of => write!(f, "> ClientHello, {of} bytes"),
            Self::Hello { from, to, of } => {
                write!(f, "> ClientHello, bytes {from} to {to} of {of}")
            }
            Self::SentOfRecords(bytes) => write!(f, "> {bytes} bytes of TLS records"),
            Self::Secured {
                version,
                cipher,
                protocol,
            } => {
                write!(f, "* is secured: {version}, {cipher}")?;
                match protocol {
                    Some(protocol) => write!(f, ", ALPN {protocol}"),
                    None => Ok(()),
                }
            }
            Self::TlsFailed(why) => write!(f, "* TLS fails: {why}"),
            Self::SaidAll => f.write_str("> close_notify"),
            Self::AnswerUnread => f.write_str(
                "* is reset by the server's kernel: it has closed with our close_notify unread, behind its own",
            ),
            Self::HeardAll => f.write_str("< close_notify"),
            Self::TlsOver { came_bytes, is_cut } => {
                write!(f, "* {came_bytes} bytes have come since TLS began")?;
                f.write_str(if *is_cut { ", and no close_notify" } else { "" })
            }
            Self::SentPart(bytes) => write!(f, "> the first {bytes} bytes of more"),
            Self::SentWithoutSource(bytes) => {
                write!(f, "sends {bytes} bytes that name no sender")
            }
            Self::SendFailed(error) => write!(f, "> fails: {error}"),
            Self::Received(bytes) => write!(f, "< {}", bytes.excerpt()),
            Self::Datagram { from, bytes } => match from {
                Some(from) => write!(f, "< {} from {from}", literal::shown(bytes)),
                None => write!(f, "< {}", literal::shown(bytes)),
            },
            Self::Ended(end) => write!(f, "< {end}"),
            Self::HalfClosed => f.write_str("> fin"),
            Self::Reset => f.write_str("> reset"),
            Self::Closed => f.write_str("closes"),
            Self::Vanished => f.write_str("vanishes"),
            Self::Stalled => f.write_str("stops reading"),
            Self::Reading => f.write_str("reads"),
            Self::Late(by) => write!(
                f,
                "* was late with what it does at a pace: {} in all",
                Measured(*by)
            ),
            Self::MoreToRead => f.write_str("* has not come yet to read all that the server has sent"),
            Self::Accepted => f.write_str("* is accepted"),
            Self::Deferred => {
                f.write_str("* is kept from the server until it speaks (TCP_DEFER_ACCEPT)")
            }
            Self::Taken => f.write_str("* has been read to the last byte"),
            Self::Unsent { bytes } => write!(
                f,
                "* the server sleeps, {bytes} bytes of its reply are not sent yet"
            ),
            Self::HeldBack { unread_bytes } => {
                write!(f, "* is held back: {unread_bytes} bytes wait unread")
            }
            Self::Full => f.write_str("* has a queue that is full of replies"),
            Self::TimeWait => f.write_str("* has its end in TIME_WAIT"),
            Self::Waited(time) => write!(f, "* has waited {} for that", Measured(*time)),
            Self::ServerSocketDestroyed {
                lost_bytes: 0,
                delivered_bytes,
            } => write!(
                f,
                "* server's socket is gone, {delivered_bytes} bytes delivered"
            ),
            Self::ServerSocketDestroyed {
                lost_bytes,
                delivered_bytes,
            } => write!(
                f,
                "* server's socket is gone, {delivered_bytes} bytes delivered and {lost_bytes} destroyed"
            ),
        }
    }
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid } => write!(f, "listens, process {pid}"),
            Self::Elsewhere => f.write_str("runs, started by somebody else"),
            Self::Replaced => f.write_str("listens on another socket than before"),
            Self::Killed => f.write_str("is killed, to be started in its place"),
            Self::StartFailed(reason) => write!(f, "does not start: {}", in_one_line(reason)),
            Self::SecondEnded(exit, None) => write!(f, "started a second time {exit}"),
            Self::SecondEnded(exit, Some(words)) => {
                write!(f, "started a second time {exit}: {words}")
            }
            Self::SecondLives => f.write_str("started a second time keeps running"),
            Self::SecondWithout => {
                f.write_str("started a second time keeps running without the address")
            }
            Self::SecondShares => f.write_str("started a second time listens at the same port"),
            Self::SecondTakesOver => {
                f.write_str("started a second time takes the address over from the first")
            }
            Self::SecondTries => f.write_str("started a second time still tries"),
            Self::SecondElsewhere(address) => {
                write!(f, "started a second time listens at {address} instead")
            }
            Self::Descriptors { highest, limit } => {
                write!(
                    f,
                    "has open files up to number {highest}, of {limit} that it may have"
                )
            }
            Self::ListenerInherited { program, pid } => write!(
                f,
                "is killed, and {program}, process {pid} of it, still has its listening socket and takes nobody"
            ),
            Self::FileRemoved => f.write_str("has removed the file at its path"),
            Self::Stopped => f.write_str("is stopped"),
            Self::Continued => f.write_str("runs on"),
            Self::Signalled { signal, inside } => match inside {
                None => write!(f, "is sent SIG{signal}"),
                Some(process) => write!(
                    f,
                    "is sent SIG{signal}: to {process}, which listens; the first process has only started it"
                ),
            },
            Self::Exited(exit) => exit.fmt(f),
            Self::ProcessEnded { pid, exit, worker } => match worker {
                Some(name) => write!(f, "worker {name}, process {pid}, {exit}"),
                None => write!(f, "process {pid} of it {exit}"),
            },
            Self::InBackground => f.write_str("still listens, without its first process"),
            Self::NoLongerListens => f.write_str("no longer listens"),
            Self::Gone => f.write_str("has left no process"),
            Self::LetGo(after) => write!(
                f,
                "had its listening socket for {} more although no process of it was left",
                Measured(*after)
            ),
            Self::NotLetGo(after) => write!(
                f,
                "still has its listening socket {} after the last process of it",
                Measured(*after)
            ),
            Self::LeftBehind(processes) => write!(f, "has left {processes} processes"),
            Self::Output(bytes) => write!(f, "prints {}", literal::shown(bytes)),
            Self::OutputCut(bytes) => write!(f, "prints {bytes} bytes more"),
            Self::Printed(text) => write!(f, "has printed {}", literal::shown(text)),
            Self::Listener { queue, backlog } => {
                write!(f, "has {queue} connections to accept, limit {backlog}")
            }
            Self::TimeWait(rows) => write!(f, "has {rows} connections in TIME_WAIT"),
            Self::TimeWaitOfClients(rows) => write!(f, "has left TIME_WAIT to {rows} clients"),
            Self::PathRemains(true) => f.write_str("has left its path behind"),
            Self::PathRemains(false) => f.write_str("has removed its path"),
            Self::Rests { rests: true, .. } => f.write_str("is at rest"),
            Self::Rests {
                cpu_percent, spins, ..
            } => {
                let all = if *spins { ", all that it gets" } else { "" };
                write!(
                    f,
                    "is not at rest, and uses {cpu_percent} % of a processor{all}"
                )
            }
            Self::Workers(workers) => write!(f, "has {workers} threads and processes"),
            Self::Ran(time) => write!(f, "used {} of a processor meanwhile", Measured(*time)),
            Self::Lacked(time) => write!(f, "waited {} for a processor meanwhile", Measured(*time)),
            Self::Grace { waited, lost } => write!(
                f,
                "was kept from running, or the harness was, for {} of the {} until this",
                Measured(*lost),
                Measured(*waited)
            ),
            Self::OpenFiles { held, limit, .. } => write!(f, "has {held} of {limit} files open"),
            Self::Occupied(threads) if threads.is_empty() => f.write_str("has no thread"),
            Self::Occupied(threads) => write!(f, "threads: {}", threads.join(", ")),
            Self::Toils(toil) => write!(f, "does not rest{toil}"),
            Self::OpenFilesLimited(limit) => write!(f, "may open {limit} files"),
            Self::Answered {
                call,
                of,
                with,
                nth,
                thread,
            } => write!(
                f,
                "{call} of {of} answered {with}, {} call, by thread {thread}",
                literal::nth(*nth as usize)
            ),
            Self::AllAnswered(true) => f.write_str("its calls have had every rare answer"),
            Self::AllAnswered(false) => f.write_str("its calls have not had every rare answer yet"),
            Self::Burst { lines, .. } => write!(f, "prints {lines} lines at once"),
            Self::ListensNotYet(after) => {
                write!(f, "does not listen yet after {}", literal::Shown(*after))
            }
            Self::Alarm { alarm, .. } => write!(f, "sounds an alarm: {}", alarm.title),
        }
    }
}

/// Bytes in saved transcripts: in the notation of `.drill` files, or shorter where they are many.
mod as_text {
    use crate::model::data::Data;
    use crate::model::literal;
    use crate::model::passage::{Cut, Passage};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::sync::Arc;

    /// Fewer bytes are written out, so that a person can read them.
    const MANY: usize = 256;

    /// The longest piece that is looked for again and again.
    const LONGEST_PIECE: usize = 128;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        /// The text again and again, until there are so many bytes.
        Repeated {
            text: String,
            bytes: usize,
        },
        Hex {
            hex: String,
        },
        /// More than is kept: so many bytes, and the last ones behind them.
        Cut {
            unkept: usize,
            then: String,
        },
        /// A part of what this comes to for a member of a crowd.
        Part {
            of: Data,
            member: u32,
            from: usize,
            to: usize,
        },
    }

    /// The most that is written so, in bytes: as much as a client sends or expects in one step, and then some. Nobody is to hold
    /// what a few words of a file come to.
    const MOST: usize = 1 << 30;

    impl Form {
        fn of(bytes: &[u8]) -> Self {
            let text = literal::escaped(bytes);
            if bytes.len() < MANY {
                return Self::Text(text);
            }
            if let Some(length) = (1..LONGEST_PIECE).find(|length| repeats(bytes, *length)) {
                return Self::Repeated {
                    text: literal::escaped(&bytes[..length]),
                    bytes: bytes.len(),
                };
            }
            match text.len() > bytes.len() * 2 {
                true => Self::Hex {
                    hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                },
                false => Self::Text(text),
            }
        }

        fn bytes(&self) -> Result<Vec<u8>, String> {
            let read = |text| literal::bytes(text).map_err(|error| error.to_string());
            match self {
                Self::Repeated { bytes, .. } if *bytes > MOST => Err(too_many(*bytes)),
                Self::Cut { unkept, .. } if *unkept > usize::MAX / 2 => Err(too_many(*unkept)),
                Self::Text(text) | Self::Cut { then: text, .. } => read(text),
                Self::Part { .. } => {
                    Err("this is known of what comes over a connection alone".to_owned())
                }
                Self::Repeated { text, bytes } => {
                    let piece = read(text)?;
                    Ok(piece.into_iter().cycle().take(*bytes).collect())
                }
                Self::Hex { hex } => {
                    let pairs = hex.as_bytes().chunks(2);
                    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
                    bytes.ok_or_else(|| "these are not hexadecimal digits".to_owned())
                }
            }
        }
    }

    fn too_many(bytes: usize) -> String {
        format!("these are {bytes} bytes, and {MOST} is the most")
    }

    /// Whether the first `length` bytes follow each other again and again.
    fn repeats(bytes: &[u8], length: usize) -> bool {
        bytes[length..] == bytes[..bytes.len() - length]
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        Form::of(bytes).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let bytes = Form::deserialize(from)?.bytes();
        bytes.map_err(D::Error::custom)
    }

    impl Serialize for Passage {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let part = self.part_of().filter(|(of, ..)| of.is_told_in_few());
            let form = match (self.cut(), part) {
                (None, None) => Form::of(&self.bytes()),
                (None, Some((of, member, range))) => Form::Part {
                    of: Data::clone(of),
                    member,
                    from: range.start,
                    to: range.end,
                },
                (Some(cut), _) => Form::Cut {
                    unkept: cut.unkept,
                    then: literal::escaped(&cut.then),
                },
            };
            form.serialize(to)
        }
    }

    impl<'de> Deserialize<'de> for Passage {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let form = Form::deserialize(from)?;
            if let Form::Part {
                of,
                member,
                from,
                to,
            } = form
            {
                let is_of_it = from <= to && of.checked_length().is_some_and(|all| to <= all);
                return match is_of_it && to - from <= MOST {
                    true => Ok(Self::part(&Arc::new(of), member, from..to)),
                    false => Err(D::Error::custom("there is no such part")),
                };
            }
            let bytes = form.bytes().map_err(D::Error::custom)?;
            let unkept = match form {
                Form::Cut { unkept, .. } => unkept,
                Form::Text(_) | Form::Repeated { .. } | Form::Hex { .. } | Form::Part { .. } => {
                    return Ok(bytes.into());
                }
            };
            let then = bytes.into();
            Ok(Cut { unkept, then }.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::{Data, Source};
    use crate::model::passage::Cut;
    use std::sync::Arc;

    #[test]
    fn transcript_survives_saving() {
        let payloads = [
            vec![0, 255, b'{'],
            b"hello\n".repeat(100),
            [b"hello\n".repeat(100), b"hel".to_vec()].concat(),
            (0..=255).cycle().take(1000).collect(),
        ];
        let event = |payload: &Vec<u8>| Event {
            at: Duration::from_millis(3),
            what: What::Client(
                ClientId { who: 0, member: 1 },
                ClientEvent::Received(payload.clone().into()),
            ),
        };
        let transcript = Transcript::of(payloads.iter().map(event).collect());
        let saved = serde_json::to_string(&transcript).unwrap();
        assert_eq!(
            serde_json::from_str::<Transcript>(&saved).unwrap(),
            transcript
        );
    }

    #[test]
    fn large_payload_is_saved_in_little() {
        let saved =
            |payload: Vec<u8>| serde_json::to_string(&ClientEvent::Sent(payload.into())).unwrap();
        assert_eq!(
            saved(b"ab".repeat(500_000)),
            r#"{"sent":{"text":"ab","bytes":1000000}}"#
        );
        assert!(saved((0..=255).cycle().take(1000).collect()).len() < 2100);
        assert_eq!(saved(b"ab".to_vec()), r#"{"sent":"ab"}"#);
    }

    #[test]
    fn flood_is_saved_as_what_is_kept_of_it() {
        let flood = ClientEvent::Received(Cut::of(&b"ab\n".repeat(500_000)).into());
        let saved = r#"{"received":{"unkept":1499984,"then":"\\nab\\nab\\nab\\nab\\nab\\n"}}"#;
        assert_eq!(serde_json::to_string(&flood).unwrap(), saved);
        assert_eq!(serde_json::from_str::<ClientEvent>(saved).unwrap(), flood);
        assert_eq!(
            flood.to_string(),
            r#"< "" … "\nab\nab\nab\nab\nab\n" (1500000 bytes)"#
        );
    }

    #[test]
    fn part_of_a_pattern_is_saved_in_a_line() {
        let data: Data = Source::Pattern {
            bytes: 64 << 20,
            seed: 7,
        }
        .into();
        let part = Passage::part(&Arc::new(data), 3, 1_000..60 << 20);
        let came = ClientEvent::Received(part);
        let saved = serde_json::to_string(&came).unwrap();
        assert!(saved.len() < 200, "{saved}");
        let read: ClientEvent = serde_json::from_str(&saved).unwrap();
        let (ClientEvent::Received(came), ClientEvent::Received(read)) = (&came, &read) else {
            panic!("{saved}");
        };
        assert!(came == read);
    }

    #[test]
    fn saved_bytes_are_no_more_than_there_can_be() {
        for saved in [
            r#"{"text":"ab","bytes":1000000000000}"#,
            r#"{"unkept":18446744073709551615,"then":"ab"}"#,
            r#"{"of":{"source":{"pattern":{"bytes":5,"seed":0}},"times":1,"capitals":false},"member":0,"from":0,"to":6}"#,
            r#"{"of":{"source":{"pattern":{"bytes":5,"seed":0}},"times":1,"capitals":false},"member":0,"from":3,"to":2}"#,
            r#"{"of":{"source":{"pattern":{"bytes":9223372036854775807,"seed":0}},"times":4294967295,"capitals":false},"member":0,"from":0,"to":6}"#,
        ] {
            let saved = format!("{{\"received\":{saved}}}");
            assert!(
                serde_json::from_str::<ClientEvent>(&saved).is_err(),
                "{saved}"
            );
        }
    }

    #[test]
    fn lines_that_somebody_may_have_asked_for_are_not_counted() {
        let event = |at, what| Event {
            at: Duration::from_millis(at),
            what,
        };
        let burst = |at| {
            let began = Duration::from_millis(at);
            let lines = 1_000;
            event(9_000, What::Server(ServerEvent::Burst { began, lines }))
        };
        let connects = |at| {
            let id = ClientId { who: 0, member: 0 };
            event(at, What::Client(id, ClientEvent::Connecting))
        };
        let signalled = |at| {
            let told = ServerEvent::Signalled {
                signal: Signal::Hup,
                inside: None,
            };
            event(at, What::Server(told))
        };
        let events = vec![connects(1_000), signalled(1_500), connects(3_000)];
        let lines = |at| Transcript::of([events.clone(), vec![burst(at)]].concat()).unasked_lines();
        assert_eq!([lines(1_100), lines(2_900), lines(3_000)], [0; 3]);
        assert_eq!(lines(1_600), 0, "what is printed at a signal");
        assert_eq!([lines(500), lines(2_000), lines(4_000)], [1_000; 3]);
    }

    #[test]
    fn wait_status_tells_exit_from_signal() {
        assert_eq!(Exit::from_wait_status(0x0100), Exit::Status(1));
        assert_eq!(Exit::from_wait_status(13), Exit::Signal(13));
        assert!(Exit::Signal(13).is_crash());
        assert!(!Exit::Signal(15).is_crash());
    }

    const ALICE: ClientId = ClientId { who: 0, member: 0 };
    const BOB: ClientId = ClientId { who: 1, member: 0 };

    /// A transcript of events, one each second.
    fn seen(what: Vec<What>) -> Transcript {
        let events = (0..).zip(what).map(|(second, what)| Event {
            at: Duration::from_secs(second),
            what,
        });
        Transcript::of(events.collect())
    }

    fn of(id: ClientId, event: ClientEvent) -> What {
        What::Client(id, event)
    }

    fn received(bytes: &[u8]) -> ClientEvent {
        ClientEvent::Received(bytes.into())
    }

    fn sent(bytes: &[u8]) -> ClientEvent {
        ClientEvent::Sent(bytes.into())
    }

    fn started() -> What {
        What::Server(ServerEvent::Started { pid: 7 })
    }

    #[test]
    fn transcript_knows_where_it_stands() {
        let whole = seen(vec![
            started(),
            What::Phase(Phase::Before),
            What::Phase(Phase::Scenario),
            started(),
        ]);
        assert_eq!(whole.last_phase(), Some(Phase::Scenario));
        assert!(whole.is_restarted());
        assert_eq!(whole.lasted(), Duration::from_secs(3));
        let once = seen(vec![started()]);
        assert_eq!(once.last_phase(), None);
        assert!(!once.is_restarted());
        assert!(!seen(vec![]).is_restarted());
    }

    #[test]
    fn reply_time_is_that_of_the_last_words_that_were_answered() {
        let conversation = seen(vec![
            of(ALICE, sent(b"one")),
            of(ALICE, received(b"1")),
            of(ALICE, sent(b"two")),
            What::StepBegan(3),
            What::StepBegan(4),
            of(ALICE, received(b"2")),
            of(ALICE, received(b"more")),
        ]);
        let after = conversation.last_reply_time();
        assert_eq!(after, Some(Duration::from_secs(3)));
        assert_eq!(seen(vec![of(ALICE, sent(b"one"))]).last_reply_time(), None);
    }

    #[test]
    fn connection_on_which_alone_a_server_answered_is_found_from_its_last_start_on() {
        let connects = |id| of(id, ClientEvent::Connecting);
        let datagram = |id| {
            let bytes = b"x".to_vec();
            of(id, ClientEvent::Datagram { from: None, bytes })
        };
        let before = vec![connects(BOB), of(BOB, received(b"x")), started()];
        let alone = vec![connects(BOB), connects(ALICE), of(ALICE, received(b"x"))];
        let found = seen([before.clone(), alone.clone()].concat()).first_answered();
        let found = found.expect("one was answered");
        assert_eq!(found.came, Duration::from_secs(4));
        assert_eq!(found.after, Duration::from_secs(2));
        let both = [before.clone(), alone, vec![datagram(BOB)]].concat();
        assert!(seen(both).first_answered().is_none());
        assert!(seen(before).first_answered().is_none());
    }

    #[test]
    fn server_is_busy_at_last_where_it_was_looked_at_and_did_not_rest() {
        let looked = |at_rest| {
            let sample = Sample {
                at_rest,
                ..Sample::default()
            };
            seen(vec![What::Sample(Moment::After, sample.into())]).is_busy_at_last()
        };
        assert!(looked(false));
        assert!(!looked(true));
        assert!(!seen(vec![]).is_busy_at_last());
    }

    #[test]
    fn open_files_are_sockets_and_all_others() {
        let sample = Sample {
            sockets: 3,
            files: [(FileKind::Pipe, 2), (FileKind::File, 4)].into(),
            ..Sample::default()
        };
        assert_eq!(sample.open_files(), 9);
    }

    #[test]
    fn what_clients_did_is_counted_over_all_of_them() {
        let connected = || ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: false,
        };
        let both = seen(vec![
            of(ALICE, connected()),
            of(BOB, connected()),
            of(ALICE, sent(b"abc")),
            of(BOB, ClientEvent::SentPart(30)),
            of(BOB, hello(100, 110)),
            of(BOB, received(b"x")),
        ]);
        assert_eq!(both.connections(), 2);
        assert_eq!(both.sent_bytes(), 43);
        assert!(!both.shows_deferral());
        assert!(seen(vec![of(BOB, ClientEvent::Deferred)]).shows_deferral());
    }

    fn hello(from: usize, to: usize) -> ClientEvent {
        let of = 218;
        ClientEvent::Hello { from, to, of }
    }

    #[test]
    fn what_is_said_and_heard_of_tls_is_told() {
        let secured = |protocol: Option<&str>| ClientEvent::Secured {
            version: "TLS 1.3".to_owned(),
            cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
            protocol: protocol.map(str::to_owned),
        };
        let over = |is_cut| ClientEvent::TlsOver {
            came_bytes: 787,
            is_cut,
        };
        for (event, told) in [
            (hello(0, 218), "> ClientHello, 218 bytes"),
            (hello(0, 100), "> ClientHello, bytes 0 to 100 of 218"),
            (hello(100, 218), "> ClientHello, bytes 100 to 218 of 218"),
            (ClientEvent::SentOfRecords(5), "> 5 bytes of TLS records"),
            (
                secured(None),
                "* is secured: TLS 1.3, TLS13_AES_128_GCM_SHA256",
            ),
            (
                secured(Some("h2")),
                "* is secured: TLS 1.3, TLS13_AES_128_GCM_SHA256, ALPN h2",
            ),
            (ClientEvent::TlsFailed("no".to_owned()), "* TLS fails: no"),
            (ClientEvent::SaidAll, "> close_notify"),
            (ClientEvent::HeardAll, "< close_notify"),
            (over(false), "* 787 bytes have come since TLS began"),
            (
                over(true),
                "* 787 bytes have come since TLS began, and no close_notify",
            ),
        ] {
            assert_eq!(event.to_string(), told);
        }
    }

    /// What is told of these events of two clients, without the times.
    fn told(what: Vec<What>) -> Vec<String> {
        let clients = [("alice", 1), ("bob", 1)];
        let scenario = crate::model::dialogue::scenario("case", &clients, vec![]);
        let what = [vec![What::Phase(Phase::Scenario)], what].concat();
        let lines = seen(what).lines(&scenario).into_iter();
        lines
            .map(|line| format!("{} {}", line.who.unwrap_or_default(), line.text))
            .collect()
    }

    #[test]
    fn reads_of_one_client_with_nothing_to_tell_between_them_are_one() {
        let gone = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 0,
            delivered_bytes: 2,
        };
        let step_over = |how| What::StepEnded {
            step: 0,
            member: Some(0),
            how,
        };
        let reads = |between: What| {
            let (first, next) = (of(ALICE, received(b"a")), of(ALICE, received(b"b")));
            let told = told(vec![first, between, next]);
            told.contains(&"alice < \"ab\"".to_owned())
        };
        assert!(reads(What::StepBegan(0)));
        assert!(reads(step_over(Ended::Done)));
        assert!(reads(of(BOB, gone)));
        assert!(!reads(step_over(Ended::Settled)));
        assert!(!reads(of(BOB, ClientEvent::HalfClosed)));
        assert!(!reads(of(BOB, received(b"c"))));
        let three = vec![of(ALICE, received(b"a")); 3];
        assert_eq!(told(three), ["alice < \"aaa\""]);
    }

    /// How many reads it takes says something where the scenario chose how to read.
    #[test]
    fn reads_are_counted_for_a_client_that_chose_how_to_read() {
        let reads = |id, times| vec![of(id, received(b"a")); times];
        let alice_reads = vec![of(ALICE, ClientEvent::Reading)];
        let last = |what: Vec<Vec<What>>| told(what.concat()).pop().unwrap();
        let two = vec![alice_reads.clone(), reads(ALICE, 2)];
        assert_eq!(last(two), "alice < \"aa\" in 2 reads");
        let one = vec![alice_reads.clone(), reads(ALICE, 1)];
        assert_eq!(last(one), "alice < \"a\"");
        let of_another = vec![alice_reads.clone(), reads(BOB, 3)];
        assert_eq!(last(of_another), "bob < \"aaa\"");
        let next_phase = vec![What::Phase(Phase::BystanderAgain)];
        let later = vec![alice_reads, next_phase, reads(ALICE, 2)];
        assert_eq!(last(later), "alice < \"aa\"");
    }

    #[test]
    fn saved_bytes_that_are_too_many_are_told_with_the_most_there_may_be() {
        let repeated = |bytes: usize| {
            let saved = format!(r#"{{"received":{{"text":"","bytes":{bytes}}}}}"#);
            serde_json::from_str::<ClientEvent>(&saved).map_err(|error| error.to_string())
        };
        let most = 1 << 30;
        assert!(repeated(most).is_ok());
        let refused = repeated(most + 1).unwrap_err();
        let reason = "these are 1073741825 bytes, and 1073741824 is the most";
        assert!(refused.contains(reason), "{refused}");
        let part = |from: u64, to: u64| {
            let of = r#"{"source":{"pattern":{"bytes":3221225472,"seed":0}},"times":1,"capitals":false}"#;
            let saved =
                format!(r#"{{"received":{{"of":{of},"member":0,"from":{from},"to":{to}}}}}"#);
            serde_json::from_str::<ClientEvent>(&saved).is_ok()
        };
        assert!(part(2 << 30, 3 << 30));
        assert!(!part((2 << 30) - 1, 3 << 30));
    }

    /// A person reads transcripts too.
    #[test]
    fn long_text_is_saved_as_text_and_what_is_none_in_hexadecimal_digits() {
        let saved = |payload: &[u8]| {
            let sent = ClientEvent::Sent(payload.into());
            serde_json::to_value(&sent).unwrap()["sent"].clone()
        };
        let numbers: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let text = numbers.join("\n");
        assert!(saved(text.as_bytes()).is_string());
        let bytes: Vec<u8> = (0..400).map(|n: u32| (n * n % 251) as u8).collect();
        assert!(saved(&bytes)["hex"].is_string());
    }
}
