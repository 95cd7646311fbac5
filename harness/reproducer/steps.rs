//! The steps of a scenario as calls in Python.

use super::parts;
use super::python::{Lines, WIDTH, bytes, call, comment, inner_call, seconds, text};
use crate::model::action::{Action, Dial};
use crate::model::data::{Cut, Data, Source};
use crate::model::dialogue::Talk;
use crate::model::error::Error;
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::limits::STEP_WITHIN;
use crate::model::profile::Serves;
use crate::model::scenario::{Cast, Line, Scenario, Step};
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::subject::Subject;
use std::time::Duration;

/// How bytes reach the server.
#[derive(Clone, Copy)]
pub(super) struct Ground {
    /// In datagrams.
    pub(super) datagram: bool,
    /// By a path.
    pub(super) local: bool,
}

/// A case as a function.
pub(super) struct Script {
    /// The function.
    pub(super) text: String,
    /// How long its steps may take.
    pub(super) time: Duration,
    /// What the function does not do as sockdrill does it.
    pub(super) limits: Vec<String>,
}

/// The longest generated data that is written out.
const WRITTEN_OUT: usize = 48;

/// Words that mean something else in Python, or in the functions written here.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "client",
    "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "range", "return",
    "server", "try", "while", "with", "yield",
];

impl Script {
    /// The function of this name that performs a scenario and looks at the server afterwards.
    ///
    /// # Errors
    /// An expectation cannot be looked for in Python.
    pub(super) fn of(
        name: &str,
        scenario: &Scenario,
        ground: Ground,
        subject: &Subject,
    ) -> Result<Self, Error> {
        let title = scenario.name.replace('\\', "\\\\").replace('"', "\\\"");
        let mut writer = Writer {
            cast: &scenario.cast,
            ground,
            names: variables(&scenario.cast),
            lines: vec![
                format!("def {name}(server):"),
                format!("    \"\"\"{title}.\"\"\""),
            ],
            walks: 0,
            times: 1,
            time: Duration::ZERO,
            limits: Vec::new(),
        };
        let waives = |invariant| {
            scenario
                .waived
                .iter()
                .any(|waiver| waiver.invariant == invariant)
        };
        if waives(Invariant::Alive) {
            writer.put(4, "server.may_end = True");
        }
        writer.clients();
        writer.block(&scenario.lines, 4)?;
        writer.put(4, "server.part()");
        writer.put(4, "server.expect_life()");
        let is_asked_to_end = scenario.server_is_asked_to_end_by(usize::MAX);
        if !is_asked_to_end && !waives(Invariant::Alive) {
            let once = subject.profile.promises.serves == Some(Serves::OneConnection);
            if !once && !waives(Invariant::Served) {
                writer.polite(subject)?;
            }
            if !once && !ground.datagram && !ground.local && !waives(Invariant::CloseWait) {
                writer.put(4, "server.expect_no_close_wait()");
            }
            if !once {
                writer.put(4, "server.expect_life(0)");
            }
        }
        Ok(Self {
            text: writer.lines.join("\n") + "\n",
            time: writer.time,
            limits: writer.limits,
        })
    }
}

/// A variable for each name of the cast.
fn variables(cast: &[Cast]) -> Vec<String> {
    let reserved = parts::reserved();
    let mut names: Vec<String> = Vec::new();
    for cast in cast {
        let mut name = cast.name.replace('-', "_");
        let taken = |name: &String| {
            KEYWORDS.contains(&name.as_str()) || reserved.contains(name) || names.contains(name)
        };
        while taken(&name) {
            name.push('_');
        }
        names.push(name);
    }
    names
}

struct Writer<'a> {
    cast: &'a [Cast],
    ground: Ground,
    names: Vec<String>,
    lines: Lines,
    walks: usize,
    /// How often the block that is being written is gone through.
    times: u32,
    time: Duration,
    limits: Vec<String>,
}

impl Writer<'_> {
    fn put(&mut self, indent: usize, line: &str) {
        self.lines.push(format!("{}{line}", " ".repeat(indent)));
    }

    fn put_all(&mut self, indent: usize, lines: &[String]) {
        for line in lines {
            self.put(indent, line);
        }
    }

    fn class(&self) -> &'static str {
        if self.ground.datagram {
            "DatagramClient"
        } else {
            "Client"
        }
    }

    fn clients(&mut self) {
        let class = self.class();
        for (cast, name) in self.cast.iter().zip(self.names.clone()) {
            let title = text(&cast.name);
            match cast.members {
                1 => self.put(4, &format!("{name} = {class}(server, {title})")),
                members => {
                    let member = format!("{class}(server, {title}, n)");
                    self.put(4, &format!("{name} = ["));
                    self.put(8, &format!("{member} for n in range({members})"));
                    self.put(4, "]");
                }
            }
        }
        if !self.cast.is_empty() {
            self.lines.push(String::new());
        }
    }

    /// Lines of everybody; those of one crowd that follow each other are a walk of each member.
    fn block(&mut self, lines: &[Line], indent: usize) -> Result<(), Error> {
        let mut rest = lines;
        while let Some((line, later)) = rest.split_first() {
            let Some(who) = line.clients() else {
                self.line(line, indent)?;
                rest = later;
                continue;
            };
            let run = rest
                .iter()
                .take_while(|line| line.clients() == Some(who))
                .count();
            let name = self.names.get(who).cloned().unwrap_or_default();
            if self.cast.get(who).is_some_and(|cast| cast.members == 1) {
                self.walk(&name, false, &rest[..run], indent)?;
            } else {
                self.walks += 1;
                let walk = format!("walk_{}", self.walks);
                self.put(indent, &format!("def {walk}(client):"));
                self.walk("client", true, &rest[..run], indent + 4)?;
                self.lines.push(String::new());
                self.put(indent, &format!("side_by_side({name}, {walk})"));
            }
            rest = &rest[run..];
        }
        Ok(())
    }

    /// Lines of one client.
    fn walk(
        &mut self,
        client: &str,
        crowd: bool,
        lines: &[Line],
        indent: usize,
    ) -> Result<(), Error> {
        let mut is_empty = true;
        for line in lines {
            match &line.step {
                Step::Repeat { times, lines } => {
                    self.repeat(*times, indent, |writer| {
                        writer.walk(client, crowd, lines, indent + 4)
                    })?;
                    is_empty = false;
                }
                Step::Client { action, .. } => {
                    self.comment(indent, &line.step);
                    is_empty &= !self.action(client, crowd, action, indent);
                }
                _ => {}
            }
        }
        if is_empty {
            self.put(indent, "pass");
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        times: u32,
        indent: usize,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.put(indent, &format!("for _ in range({times}):"));
        let before = self.times;
        self.times = self.times.saturating_mul(times);
        body(self)?;
        self.times = before;
        Ok(())
    }

    fn comment(&mut self, indent: usize, step: &Step) {
        let text = step.text(self.cast);
        self.put(indent, &comment(WIDTH - indent, &text));
    }

    fn takes(&mut self, time: Duration) {
        self.time = self.time.saturating_add(time.saturating_mul(self.times));
    }

    /// A line that is not one of clients alone.
    fn line(&mut self, line: &Line, indent: usize) -> Result<(), Error> {
        if let Step::Repeat { times, lines } = &line.step {
            return self.repeat(*times, indent, |writer| writer.block(lines, indent + 4));
        }
        self.comment(indent, &line.step);
        match &line.step {
            Step::Server(action) => self.server(action, indent)?,
            Step::Pause(time) => {
                self.takes(*time);
                self.put(indent, &format!("time.sleep({})", seconds(*time)));
            }
            Step::Settle => self.put(indent, "server.settle()"),
            // Those who walk side by side are waited for anyway; a block must not be empty.
            Step::Barrier => self.put(indent, "pass"),
            Step::Client { .. } | Step::Repeat { .. } => {}
        }
        Ok(())
    }

    fn method(&mut self, indent: usize, object: &str, name: &str, arguments: &[Lines]) {
        let lines = call(WIDTH - indent, &format!("{object}.{name}"), arguments);
        self.put_all(indent, &lines);
    }

    /// A client's action; false where it is left out.
    fn action(&mut self, client: &str, crowd: bool, action: &Action, indent: usize) -> bool {
        let member = crowd.then(|| format!("{client}.member"));
        let data = |data: &Data| data_of(data, member.as_deref());
        let plain = |text: String| vec![text];
        let (name, arguments) = match action {
            Action::Connect(dial) => {
                self.takes(STEP_WITHIN);
                connect(dial)
            }
            Action::Send {
                data: sent,
                background: true,
                ..
            } => ("send_in_background", vec![data(sent)]),
            Action::Send {
                data: sent,
                cut: Cut::Whole,
                ..
            } => ("send", vec![data(sent)]),
            Action::Send {
                data: sent,
                cut,
                every,
                ..
            } => {
                let segments = segments(cut, data(sent));
                let count = cut.segments(&sent.bytes(0)).len() as u32;
                match every {
                    Some(every) => {
                        self.takes(every.saturating_mul(count));
                        ("send_slowly", vec![segments, plain(seconds(*every))])
                    }
                    None => {
                        self.takes(Duration::from_secs(2));
                        ("send_segments", vec![segments])
                    }
                }
            }
            Action::SendUrgent(byte) => ("send_urgent", vec![bytes(&[*byte])]),
            Action::SendDescriptor(byte) => ("send_descriptor", vec![bytes(&[*byte])]),
            Action::HalfClose => ("half_close", vec![]),
            Action::Reset => ("reset", vec![]),
            Action::Close => ("close", vec![]),
            Action::Vanish => {
                self.limits.push("`vanish` takes root".to_owned());
                ("vanish", vec![])
            }
            Action::Stall => ("stall", vec![]),
            Action::Read(None) => ("read_again", vec![]),
            Action::Read(Some(pace)) => {
                let every = seconds(pace.every);
                (
                    "set_pace",
                    vec![plain(pace.bytes.to_string()), plain(every)],
                )
            }
            Action::Expect { what, within } => {
                return self.expect(client, what, *within, member.as_deref(), indent);
            }
            Action::Require { what, within } => {
                self.put(indent, "with Required():");
                if !self.expect(client, what, *within, member.as_deref(), indent + 4) {
                    self.put(indent + 4, "pass");
                }
                return true;
            }
        };
        self.method(indent, client, name, &arguments);
        true
    }

    fn expect(
        &mut self,
        client: &str,
        what: &Expectation,
        within: Option<Duration>,
        member: Option<&str>,
        indent: usize,
    ) -> bool {
        self.takes(within.unwrap_or(STEP_WITHIN));
        let next = match self.ground.datagram {
            true => "expect_datagram",
            false => "expect_bytes",
        };
        let (name, mut arguments) = match what {
            Expectation::Data(data) => (next, vec![data_of(data, member)]),
            Expectation::DataOrSilence(data) => {
                // Silence is no fault, so it is not waited for as long as a reply.
                let mut arguments = vec![data_of(data, member), vec!["or_silence=True".to_owned()]];
                if within.is_none() {
                    arguments.push(vec!["within=SILENCE".to_owned()]);
                }
                (next, arguments)
            }
            Expectation::Template(template) => (
                next,
                template.parts.iter().map(|part| bytes(part)).collect(),
            ),
            Expectation::Silence | Expectation::Nothing => ("expect_silence", vec![]),
            Expectation::TimeWait => {
                let why = "nobody looks for a client's own end in TIME_WAIT";
                self.limits.push(why.to_owned());
                return false;
            }
            Expectation::Connected => ("expect_connected", vec![]),
            Expectation::Pending => ("expect_pending", vec![]),
            Expectation::Refused => ("expect_refused", vec![]),
            Expectation::Accepted if self.ground.local && !self.ground.datagram => {
                let why = "nothing waits for a connection of a Unix socket to be accepted: /proc does not show it";
                self.limits.push(why.to_owned());
                return false;
            }
            Expectation::Accepted => ("expect_accepted", vec![]),
            Expectation::Taken => ("expect_read", vec![]),
            Expectation::HeldBack => ("expect_held_back", vec![]),
            Expectation::End {
                kinds,
                all_bytes_first,
            } => {
                let named = kinds.iter().map(|kind| vec![text(&kind.to_string())]);
                let mut arguments: Vec<Lines> = named.collect();
                if *all_bytes_first {
                    arguments.push(vec!["all_bytes_first=True".to_owned()]);
                    if kinds.contains(&End::Reset) {
                        let why =
                            "bytes that a reset destroys before they are sent are not counted";
                        self.limits.push(why.to_owned());
                    }
                }
                ("expect_end", arguments)
            }
        };
        arguments.extend(within.map(|within| vec![format!("within={}", seconds(within))]));
        self.method(indent, client, name, &arguments);
        true
    }

    fn server(&mut self, action: &ServerAction, indent: usize) -> Result<(), Error> {
        let (name, arguments) = match action {
            ServerAction::Stop => ("stop", vec![]),
            ServerAction::Continue => ("resume", vec![]),
            ServerAction::Signal(signal) => ("signal", vec![vec![number(*signal).to_owned()]]),
            ServerAction::SignalAgain(signal) => {
                ("signal_again", vec![vec![number(*signal).to_owned()]])
            }
            ServerAction::Start(Streams::Usual) => ("start_again", vec![]),
            ServerAction::Start(Streams::StdoutClosed) => ("start_without_reader", vec![]),
            ServerAction::Start(Streams::StdinClosed) => ("start_without_input", vec![]),
            ServerAction::StartSecond => ("start_second", vec![]),
            ServerAction::StartOverFile => ("start_over_file", vec![]),
            ServerAction::LimitOpenFiles(room) => {
                ("limit_open_files", vec![vec![room.to_string()]])
            }
            ServerAction::RestoreOpenFiles => ("restore_open_files", vec![]),
            ServerAction::Expect { what, within } => {
                if !self.server_shows(what) {
                    return Err(Error::Usage(format!(
                        "a reproducer cannot look for `server expect {what}` of a Unix socket, which /proc does not \
                         show; `sockdrill run` can"
                    )));
                }
                self.expect_of_server(what, *within, indent);
                return Ok(());
            }
            ServerAction::Require { what, within } => {
                self.put(indent, "with Required():");
                if self.server_shows(what) {
                    self.expect_of_server(what, *within, indent + 4);
                } else {
                    self.limits.push(format!(
                        "`{what}` is not waited for: /proc does not show it of a Unix socket"
                    ));
                    self.put(indent + 4, "pass");
                }
                return Ok(());
            }
        };
        self.takes(STEP_WITHIN);
        self.method(indent, "server", name, &arguments);
        Ok(())
    }

    fn server_shows(&self, what: &ServerExpectation) -> bool {
        let of_listener = matches!(
            what,
            ServerExpectation::AcceptQueue(_) | ServerExpectation::Backlog(_)
        );
        !(of_listener && self.ground.local)
    }

    fn expect_of_server(
        &mut self,
        what: &ServerExpectation,
        within: Option<Duration>,
        indent: usize,
    ) {
        self.takes(within.unwrap_or(STEP_WITHIN));
        let (name, argument) = match what {
            ServerExpectation::Exit(status) => ("expect_exit", status.map(|n| n.to_string())),
            ServerExpectation::Gone => ("expect_gone", None),
            ServerExpectation::AcceptQueue(n) => ("expect_accept_queue", Some(n.to_string())),
            ServerExpectation::Backlog(n) => ("expect_backlog", Some(n.to_string())),
            ServerExpectation::TimeWait => ("expect_time_wait", None),
            ServerExpectation::NoTimeWait => ("expect_no_time_wait", None),
            ServerExpectation::Rest => ("expect_rest", None),
            ServerExpectation::OutOfFiles => ("expect_out_of_files", None),
        };
        let mut arguments: Vec<Lines> = argument.into_iter().map(|text| vec![text]).collect();
        arguments.extend(within.map(|within| vec![format!("within={}", seconds(within))]));
        self.method(indent, "server", name, &arguments);
    }

    /// A polite client comes and must be served.
    fn polite(&mut self, subject: &Subject) -> Result<(), Error> {
        self.lines.push(String::new());
        self.put(4, "# A polite client must be served afterwards.");
        let class = self.class();
        self.put(
            4,
            &format!("polite = {class}(server, \"a polite client afterwards\")"),
        );
        let before = self.limits.len();
        for line in Talk::of(0).polite(subject).lines() {
            if let Step::Client { action, .. } = &line.step {
                self.action("polite", false, action, 4);
            }
        }
        self.limits.truncate(before);
        self.put(4, "server.part()");
        Ok(())
    }
}

fn number(signal: Signal) -> &'static str {
    match signal {
        Signal::Term => "signal.SIGTERM",
        Signal::Int => "signal.SIGINT",
        Signal::Hup => "signal.SIGHUP",
        Signal::Quit => "signal.SIGQUIT",
        Signal::Usr1 => "signal.SIGUSR1",
        Signal::Kill => "signal.SIGKILL",
    }
}

fn connect(dial: &Dial) -> (&'static str, Vec<Lines>) {
    let name = match dial.without_waiting {
        true => "start_connecting",
        false => "connect",
    };
    let from = dial.from.filter(|_| !dial.same_port);
    let settings = [
        dial.segment_size
            .map(|bytes| format!("segment_size({bytes})")),
        dial.receive_buffer
            .map(|bytes| format!("receive_buffer({bytes})")),
        from.map(|ip| format!("source(\"{ip}\")")),
        dial.same_port.then(|| "same_port()".to_owned()),
        dial.to.map(|ip| format!("to=\"{ip}\"")),
    ];
    (
        name,
        settings
            .into_iter()
            .flatten()
            .map(|setting| vec![setting])
            .collect(),
    )
}

/// Data as an expression: written out where it is short, else made by the same generator.
fn data_of(data: &Data, member: Option<&str>) -> Lines {
    let own = member.map(|member| format!(", {member}"));
    let own = own.unwrap_or_default();
    let is_long = |size: usize| size > WRITTEN_OUT || member.is_some();
    let generator = match &data.source {
        Source::Pattern { bytes, seed } if is_long(*bytes) => Some(("noise", bytes, seed)),
        Source::Text { bytes, seed, line } if is_long(*bytes) => {
            Some((if *line { "line" } else { "letters" }, bytes, seed))
        }
        Source::Literal(_) | Source::Pattern { .. } | Source::Text { .. } => None,
    };
    let mut lines = match generator {
        Some((name, size, seed)) => {
            let upper = if data.capitals { ".upper()" } else { "" };
            vec![format!("{name}({size}, {seed}{own}){upper}")]
        }
        None => bytes(&data.clone().times(1).bytes(0)),
    };
    if data.times > 1 && lines.len() > 1 {
        let inside = lines.iter().map(|line| format!("    {line}")).collect();
        lines = [vec!["(".to_owned()], inside, vec![")".to_owned()]].concat();
    }
    if let Some(last) = lines.last_mut().filter(|_| data.times > 1) {
        last.push_str(&format!(" * {}", data.times));
    }
    lines
}

fn segments(cut: &Cut, data: Lines) -> Lines {
    match cut {
        Cut::Whole => data,
        Cut::Pieces(size) => inner_call("pieces", &[data, vec![size.to_string()]]),
        Cut::At(positions) => {
            let positions = positions.iter().map(|at| vec![at.to_string()]);
            let arguments: Vec<_> = [data].into_iter().chain(positions).collect();
            inner_call("cut_at", &arguments)
        }
    }
}
