//! What a scenario consists of: clients, steps and expectations, as values that cannot be wrong.
//!
//! A [`Scenario`] comes from a `.drill` file, from a check or from a property; it prints as the `.drill` case that
//! repeats it. The words here are the words of the files.

use crate::literal::{self, Shown, Size};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A case: who takes part, what each does in what order, and what each may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// A sentence that names the case.
    pub name: String,
    /// The clients, in the order of their declaration.
    pub cast: Vec<Cast>,
    /// The invariants that this case does not hold the server to.
    pub waived: Vec<Waiver>,
    /// The steps, in order.
    pub lines: Vec<Line>,
}

impl Scenario {
    /// Whether the server is told to end, or started again, so that no connection can outlive the scenario.
    pub fn ends_server(&self) -> bool {
        self.lines.iter().any(|line| line.step.ends_server())
    }
}

/// One declared name: a single client, or a crowd of them that acts as one (`mallory[20]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// The name in the scenario; `alice` is polite, `mallory` is not.
    pub name: String,
    /// How many clients stand behind the name, at least one.
    pub members: u32,
}

/// An invariant set aside, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The invariant.
    pub invariant: Invariant,
    /// Why the case may break it.
    pub reason: String,
}

/// What every server is held to after every scenario, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// No exit and no crash signal.
    Alive,
    /// A fresh polite client is served, before and after.
    Served,
    /// The connection of a bystander stays as it was: no byte of another client reaches it, and it is served again.
    Bystanders,
    /// Open files are back at their number before the scenario.
    OpenFiles,
    /// No connection is left in CLOSE_WAIT.
    CloseWait,
    /// Threads and child processes are back at their number before the scenario.
    Threads,
    /// No zombie child is left.
    Zombies,
    /// A server with nothing to do spends no CPU time.
    IdleCpu,
    /// Memory stays bounded.
    Memory,
    /// Receive queues and accept queue are drained.
    Queues,
    /// The server does not flood its output.
    Output,
}

impl Invariant {
    /// Every invariant with its name in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Alive, "alive"),
        (Self::Served, "served"),
        (Self::Bystanders, "bystanders"),
        (Self::OpenFiles, "open-files"),
        (Self::CloseWait, "close-wait"),
        (Self::Threads, "threads"),
        (Self::Zombies, "zombies"),
        (Self::IdleCpu, "idle-cpu"),
        (Self::Memory, "memory"),
        (Self::Queues, "queues"),
        (Self::Output, "output"),
    ];

    fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

fn name_in<T: Copy + PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    let row = table.iter().find(|(row, _)| *row == value);
    row.map_or("?", |(_, name)| name)
}

/// A step and where it was written; line 0 where it was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line in the file, counted from one.
    pub number: usize,
    /// The move.
    pub step: Step,
}

impl Line {
    /// The index in the cast of those whom the line concerns, if it concerns nobody else. Lines of the same clients
    /// that follow each other are gone through by each of them at its own pace.
    pub(crate) fn clients(&self) -> Option<usize> {
        match &self.step {
            Step::Client { who, .. } => Some(*who),
            Step::Repeat { lines, .. } => {
                let who = lines.first()?.clients()?;
                let same = lines.iter().all(|line| line.clients() == Some(who));
                same.then_some(who)
            }
            _ => None,
        }
    }
}

impl From<Step> for Line {
    fn from(step: Step) -> Self {
        Self { number: 0, step }
    }
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client, or every client of a crowd beside the others, acts.
    Client {
        /// The index in the cast.
        who: usize,
        /// What it does.
        action: Action,
    },
    /// Something is done to the server, or expected of it.
    Server(ServerAction),
    /// Time passes, because passing time is the point of the scenario.
    Pause(Duration),
    /// Nobody goes on before everybody has come this far: the clients of a crowd go through lines that follow each
    /// other at their own pace.
    Barrier,
    /// The server gets the time to come to rest after what was done to it; nothing is expected.
    Settle,
    /// The same lines several times.
    Repeat {
        /// How often.
        times: u32,
        /// What.
        lines: Vec<Line>,
    },
}

/// What a client can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a connection (a socket, for datagrams), in place of an earlier one if there was one.
    Connect(Dial),
    /// Sends data, in one segment or in several.
    Send {
        /// The data.
        data: Data,
        /// Where it is divided.
        cut: Cut,
        /// The pause between segments; without one, each segment waits until the server has read the one before.
        every: Option<Duration>,
        /// The next step does not wait until all is sent.
        background: bool,
    },
    /// Sends one out-of-band byte (`MSG_OOB`, tcp(7)).
    SendUrgent(u8),
    /// Sends one byte together with an open descriptor (`SCM_RIGHTS`, unix(7)).
    SendDescriptor(u8),
    /// Sends FIN and goes on reading (`shutdown(SHUT_WR)`).
    HalfClose,
    /// Closes with RST (`SO_LINGER` of zero).
    Reset,
    /// Closes; the kernel sends FIN, or RST where data was left unread (RFC 2525, section 2.17).
    Close,
    /// Is gone without FIN or RST, like a host that lost its power.
    Vanish,
    /// Stops reading; data piles up in the kernel's queues.
    Stall,
    /// Reads again, at full speed or at a pace; before `connect`, the coming connection is read so.
    Read(Option<Pace>),
    /// Waits for something, and holds the server to it.
    Expect {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
    /// Waits for something that the case builds on; without it the case proves nothing.
    Require {
        /// What must be seen.
        what: Expectation,
        /// By when; the default limit where `None`.
        within: Option<Duration>,
    },
}

/// How a client connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    /// Does not wait for the handshake (nor fail with it); `expect connected` or `expect refused` may follow.
    pub without_waiting: bool,
    /// The receive buffer in bytes, set before the handshake so that it bounds the window (`SO_RCVBUF`, socket(7)).
    pub receive_buffer: Option<usize>,
    /// The largest segment in bytes (`TCP_MAXSEG`, tcp(7); Linux takes no less than 88).
    pub segment_size: Option<usize>,
    /// The local address to come from.
    pub from: Option<IpAddr>,
    /// The address of the server to use instead of the usual one.
    pub to: Option<IpAddr>,
    /// Comes from the local port of its connection before.
    pub same_port: bool,
}

/// Bytes to send or to expect, written out or generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where the bytes come from.
    pub source: Source,
    /// How often they follow each other, at least once.
    pub times: u32,
    /// ASCII letters are turned into capitals.
    pub capitals: bool,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Written in the scenario.
    Literal(Vec<u8>),
    /// Every byte value, from a seeded generator: any loss, repetition or exchange shows.
    Pattern {
        /// How many.
        bytes: usize,
        /// The generator's seed; each client of a crowd adds its own number.
        seed: u64,
    },
    /// The same with lower-case letters only, and a newline at the end where `line` is set.
    Text {
        /// How many, the newline included.
        bytes: usize,
        /// The generator's seed; each client of a crowd adds its own number.
        seed: u64,
        /// Whether the last byte is a newline.
        line: bool,
    },
}

impl Data {
    /// The given bytes.
    pub fn literal(bytes: impl Into<Vec<u8>>) -> Self {
        Source::Literal(bytes.into()).into()
    }

    /// The same, `times` in a row.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The bytes for the given member of a crowd.
    pub fn bytes(&self, member: u32) -> Vec<u8> {
        let mut once = match &self.source {
            Source::Literal(bytes) => bytes.clone(),
            Source::Pattern { bytes, seed } => Noise::new(*seed, member).take(*bytes).collect(),
            Source::Text { bytes, seed, line } => {
                let letter = |byte| b'a' + byte % 26;
                let mut text: Vec<u8> =
                    Noise::new(*seed, member).map(letter).take(*bytes).collect();
                if let (true, Some(last)) = (*line, text.last_mut()) {
                    *last = b'\n';
                }
                text
            }
        };
        if self.capitals {
            once.make_ascii_uppercase();
        }
        once.repeat(self.times as usize)
    }
}

impl From<Source> for Data {
    fn from(source: Source) -> Self {
        Self {
            source,
            times: 1,
            capitals: false,
        }
    }
}

/// A seeded stream of bytes (SplitMix64), the same on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    state: u64,
    word: [u8; 8],
    used: usize,
}

impl Noise {
    pub(crate) fn new(seed: u64, member: u32) -> Self {
        let state = seed ^ (u64::from(member) << 32);
        Self {
            state,
            word: [0; 8],
            used: 8,
        }
    }

    pub(crate) fn next_word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Noise {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.used == self.word.len() {
            self.word = self.next_word().to_le_bytes();
            self.used = 0;
        }
        self.used += 1;
        Some(self.word[self.used - 1])
    }
}

/// Where data is divided into segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nowhere.
    Whole,
    /// Before each of these byte positions.
    At(Vec<usize>),
    /// Into pieces of this many bytes.
    Pieces(usize),
}

impl Cut {
    /// The segments of `bytes`.
    pub fn segments<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        match self {
            Self::Whole => vec![bytes],
            Self::Pieces(size) => bytes.chunks((*size).max(1)).collect(),
            Self::At(positions) => {
                let ends = positions.iter().copied().chain([bytes.len()]);
                let mut start = 0;
                let mut segments = Vec::new();
                for end in ends.map(|end| end.min(bytes.len())).filter(|end| *end > 0) {
                    if end > start {
                        segments.push(&bytes[start..end]);
                        start = end;
                    }
                }
                segments
            }
        }
    }
}

/// A reader's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How much is read at a time.
    pub bytes: usize,
    /// The time between two reads; zero where only the buffer is small.
    pub every: Duration,
}

/// What a client can be owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The next bytes (or the next datagram) are exactly these.
    Data(Data),
    /// The next bytes match a text with holes; a hole takes as little as it can.
    Template(Template),
    /// The next datagram is exactly this, or none comes.
    DataOrSilence(Data),
    /// Nothing comes, neither bytes nor an end.
    Silence,
    /// There is nothing yet: a read that does not wait says so at once (EAGAIN, recv(2)).
    Nothing,
    /// The handshake is complete.
    Connected,
    /// The handshake is still unanswered.
    Pending,
    /// The connection was refused.
    Refused,
    /// The server's end of the connection belongs to one of its processes.
    Accepted,
    /// The server has read all that was sent.
    Taken,
    /// The server has stopped reading what is being sent, or has ended the connection, before it had read all.
    HeldBack,
    /// Its own end of the connection, which it has closed, is in TIME_WAIT.
    TimeWait,
    /// The connection ends in one of these ways.
    End {
        /// The ways that are allowed.
        kinds: Vec<End>,
        /// No byte comes before the end that was not expected, and none is lost to it.
        all_bytes_first: bool,
    },
}

/// A text with holes, as `{any}` makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The fixed parts, one more than there are holes.
    pub parts: Vec<Vec<u8>>,
}

/// How far bytes go towards a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// They match; this many bytes were needed.
    Full(usize),
    /// They may become a match.
    Partial,
    /// They cannot become a match; the first wrong byte stands here.
    Wrong(usize),
}

impl Template {
    /// Holds `bytes` against the template.
    pub fn matches(&self, bytes: &[u8]) -> Match {
        let Some((first, rest)) = self.parts.split_first() else {
            return Match::Full(0);
        };
        match compare(first, bytes) {
            Match::Full(_) => {}
            other => return other,
        }
        let mut at = first.len();
        for part in rest {
            match find(&bytes[at..], part) {
                Some(found) => at += found + part.len(),
                None => return Match::Partial,
            }
        }
        Match::Full(at)
    }

    /// Holds a message that is known to its end against the template: the last hole takes all that the last part leaves.
    pub fn matches_whole(&self, message: &[u8]) -> Match {
        let Some((last, before)) = self.parts.split_last().filter(|(_, b)| !b.is_empty()) else {
            return self.matches(message);
        };
        let begins = Self {
            parts: before.to_vec(),
        };
        match begins.matches(message) {
            Match::Full(at) if message[at..].ends_with(last) => Match::Full(message.len()),
            Match::Full(_) => Match::Partial,
            other => other,
        }
    }

    /// The template without holes, if it has none.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// Holds `got` against the exact bytes `wanted`.
pub(crate) fn compare(wanted: &[u8], got: &[u8]) -> Match {
    let common = wanted.len().min(got.len());
    if wanted[..common] != got[..common] {
        let wrong = wanted.iter().zip(got).position(|(w, g)| w != g);
        return Match::Wrong(wrong.unwrap_or(common));
    }
    match got.len() < wanted.len() {
        true => Match::Partial,
        false => Match::Full(wanted.len()),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// How a connection ended, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The server sent FIN: the orderly end of its stream.
    Fin,
    /// The server sent RST (ECONNRESET).
    Reset,
    /// The kernel gave up on an unanswering peer (ETIMEDOUT).
    Timeout,
    /// ICMP said that nobody is there (ECONNREFUSED on a datagram socket, EHOSTUNREACH).
    Unreachable,
}

impl End {
    /// Every end with its name in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Fin, "fin"),
        (Self::Reset, "reset"),
        (Self::Timeout, "timeout"),
        (Self::Unreachable, "unreachable"),
    ];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

/// What can be done to the server, or be expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Stops every process of it (SIGSTOP).
    Stop,
    /// Lets it run on (SIGCONT).
    Continue,
    /// Sends its first process a signal; SIGKILL goes to all of its processes.
    Signal(Signal),
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

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_in(Self::ALL, *self))
    }
}

/// What can be expected of the server, read from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerExpectation {
    /// Its first process ends; with this exit status where one is named.
    Exit(Option<i32>),
    /// Nothing of its process tree is left.
    Gone,
    /// Its accept queue holds this many connections.
    AcceptQueue(u32),
    /// The listener's limit is this.
    Backlog(u32),
    /// A connection of its port is in TIME_WAIT on its side.
    TimeWait,
    /// No connection of its port is in TIME_WAIT on its side.
    NoTimeWait,
    /// All of its threads wait and none uses a processor.
    Rest,
    /// One of its processes has as many open files as its limit allows, but for one that it may keep in reserve.
    OutOfFiles,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case {}", self.name)?;
        if !self.cast.is_empty() {
            write!(f, "  clients:")?;
            for cast in &self.cast {
                write!(f, " {cast}")?;
            }
            writeln!(f)?;
        }
        for waiver in &self.waived {
            writeln!(f, "  waive: {waiver}")?;
        }
        writeln!(f)?;
        write_lines(f, &self.cast, &self.lines, 1)
    }
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.members {
            1 => f.write_str(&self.name),
            n => write!(f, "{}[{n}]", self.name),
        }
    }
}

impl fmt::Display for Waiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = literal::escaped(self.reason.as_bytes());
        write!(f, "{} \"{reason}\"", self.invariant.name())
    }
}

impl Step {
    fn ends_server(&self) -> bool {
        match self {
            Self::Repeat { lines, .. } => lines.iter().any(|line| line.step.ends_server()),
            Self::Server(action) => matches!(
                action,
                ServerAction::Signal(_)
                    | ServerAction::Start(_)
                    | ServerAction::StartOverFile
                    | ServerAction::Expect {
                        what: ServerExpectation::Exit(_) | ServerExpectation::Gone,
                        ..
                    }
            ),
            _ => false,
        }
    }

    /// The step as a line of a file, without indentation; of a block only the first line.
    pub(crate) fn text(&self, cast: &[Cast]) -> String {
        match self {
            Self::Client { who, action } => {
                let name = cast.get(*who).map_or("?", |cast| &cast.name);
                format!("{name} {action}")
            }
            Self::Server(action) => format!("server {action}"),
            Self::Pause(time) => format!("pause {}", Shown(*time)),
            Self::Settle => "settle".to_owned(),
            Self::Barrier => "barrier".to_owned(),
            Self::Repeat { times, .. } => format!("repeat {times}"),
        }
    }
}

fn write_lines(
    f: &mut fmt::Formatter<'_>,
    cast: &[Cast],
    lines: &[Line],
    depth: usize,
) -> fmt::Result {
    let indent = "  ".repeat(depth);
    for line in lines {
        writeln!(f, "{indent}{}", line.step.text(cast))?;
        if let Step::Repeat { lines, .. } = &line.step {
            write_lines(f, cast, lines, depth + 1)?;
            writeln!(f, "{indent}end")?;
        }
    }
    Ok(())
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(dial) => write!(f, "connect{dial}"),
            Self::Send {
                data,
                cut,
                every,
                background,
            } => {
                write!(f, "send {data}{cut}")?;
                if let Some(every) = every {
                    write!(f, " every {}", Shown(*every))?;
                }
                f.write_str(if *background {
                    " in the background"
                } else {
                    ""
                })
            }
            Self::SendUrgent(byte) => write!(f, "send-urgent \"{}\"", literal::escaped(&[*byte])),
            Self::SendDescriptor(byte) => {
                write!(f, "send-descriptor \"{}\"", literal::escaped(&[*byte]))
            }
            Self::HalfClose => f.write_str("half-close"),
            Self::Reset => f.write_str("reset"),
            Self::Close => f.write_str("close"),
            Self::Vanish => f.write_str("vanish"),
            Self::Stall => f.write_str("stall"),
            Self::Read(None) => f.write_str("read"),
            Self::Read(Some(Pace { bytes, every })) => {
                write!(f, "read {}", Size(*bytes))?;
                match every.is_zero() {
                    true => Ok(()),
                    false => write!(f, " every {}", Shown(*every)),
                }
            }
            Self::Expect { what, within } => write_wait(f, "expect", what, *within),
            Self::Require { what, within } => write_wait(f, "require", what, *within),
        }
    }
}

fn write_wait(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    what: &dyn fmt::Display,
    within: Option<Duration>,
) -> fmt::Result {
    write!(f, "{verb} {what}")?;
    within.map_or(Ok(()), |within| write!(f, " within {}", Shown(within)))
}

impl fmt::Display for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.without_waiting {
            f.write_str(" without-waiting")?;
        }
        if let Some(bytes) = self.receive_buffer {
            write!(f, " receive-buffer {}", Size(bytes))?;
        }
        if let Some(bytes) = self.segment_size {
            write!(f, " segment-size {}", Size(bytes))?;
        }
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if self.same_port {
            f.write_str(" same-port")?;
        }
        Ok(())
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Literal(bytes) => write!(f, "\"{}\"", literal::escaped(bytes))?,
            Source::Pattern { bytes, seed } => write!(f, "pattern {} seed {seed}", Size(*bytes))?,
            Source::Text { bytes, seed, line } => {
                let kind = if *line { "line" } else { "text" };
                write!(f, "{kind} {} seed {seed}", Size(*bytes))?;
            }
        }
        if self.capitals {
            f.write_str(" in capitals")?;
        }
        match self.times {
            1 => Ok(()),
            times => write!(f, " * {times}"),
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Pieces(bytes) => write!(f, " in pieces of {}", Size(*bytes)),
            Self::At(positions) => {
                f.write_str(" cut at")?;
                positions.iter().try_for_each(|at| write!(f, " {at}"))
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => data.fmt(f),
            Self::DataOrSilence(data) => write!(f, "{data} or silence"),
            Self::Template(template) => template.fmt(f),
            Self::Silence => f.write_str("silence"),
            Self::Nothing => f.write_str("nothing"),
            Self::Connected => f.write_str("connected"),
            Self::Pending => f.write_str("pending"),
            Self::Refused => f.write_str("refused"),
            Self::Accepted => f.write_str("accepted"),
            Self::Taken => f.write_str("taken"),
            Self::HeldBack => f.write_str("held-back"),
            Self::TimeWait => f.write_str("time-wait"),
            Self::End {
                kinds,
                all_bytes_first,
            } => {
                let kinds: Vec<_> = kinds.iter().map(End::to_string).collect();
                f.write_str(&kinds.join(" or "))?;
                f.write_str(if *all_bytes_first {
                    ", all bytes first"
                } else {
                    ""
                })
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|part| literal::escaped(part))
            .collect();
        write!(f, "\"{}\"", parts.join("{any}"))
    }
}

impl fmt::Display for ServerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stop"),
            Self::Continue => f.write_str("continue"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
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

impl fmt::Display for ServerExpectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(None) => f.write_str("exit"),
            Self::Exit(Some(status)) => write!(f, "exit {status}"),
            Self::Gone => f.write_str("gone"),
            Self::AcceptQueue(length) => write!(f, "accept-queue {length}"),
            Self::Backlog(limit) => write!(f, "backlog {limit}"),
            Self::TimeWait => f.write_str("time-wait"),
            Self::NoTimeWait => f.write_str("no-time-wait"),
            Self::Rest => f.write_str("rest"),
            Self::OutOfFiles => f.write_str("out-of-files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hole_takes_as_little_as_it_can() {
        let template = Template {
            parts: vec![b"HTTP/1.1 200".to_vec(), b"\r\n\r\nok".to_vec()],
        };
        let two = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nok";
        assert_eq!(template.matches(two), Match::Full(27));
        assert_eq!(template.matches(&two[..20]), Match::Partial);
        assert_eq!(template.matches(b"HTTP/1.0"), Match::Wrong(7));
    }

    #[test]
    fn cut_never_makes_an_empty_segment() {
        let cut = Cut::At(vec![0, 2, 2, 9]);
        assert_eq!(cut.segments(b"abcd"), [b"ab", b"cd"]);
    }

    #[test]
    fn each_member_of_a_crowd_has_its_own_bytes() {
        let data = Data::from(Source::Pattern { bytes: 32, seed: 7 });
        assert_ne!(data.bytes(0), data.bytes(1));
        assert_eq!(data.bytes(3), data.bytes(3));
    }
}
