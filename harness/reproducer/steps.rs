//! The steps of a scenario as calls in Python.

use super::arguments::{Actor, arguments};
use super::ground::Ground;
use super::parts;
use super::python::{Lines, WIDTH, call, comment, seconds, text};
use crate::model::action::Action;
use crate::model::dialogue::ClientSteps;
use crate::model::error::Error;
use crate::model::expectation::Expectation;
use crate::model::form::{Argument, Does, Form, Python};
use crate::model::invariant::Invariant;
use crate::model::limits::{LOOK_ON_FOR, SILENCE, TAKEN_WITHIN};
use crate::model::literal::Shown;
use crate::model::profile::Serves;
use crate::model::scenario::{ClientGroup, Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use std::time::Duration;

/// A case as a function.
pub(super) struct Script {
    /// The function.
    pub(super) text: String,
    /// How long its steps may take.
    pub(super) time: Duration,
    /// What the function does not do as sockdrill does it.
    pub(super) limits: Vec<String>,
}

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
        let title = text(&format!("{}.", scenario.name));
        let mut writer = Writer {
            clients: &scenario.clients,
            ground,
            names: variables(&scenario.clients),
            lines: vec![
                format!("def {name}(server):"),
                format!("    \"\"{title}\"\""),
            ],
            walks: 0,
            times: 1,
            time: Duration::ZERO,
            limits: limits(scenario, subject),
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
        if forbids(scenario) {
            writer.put(4, "server.expect_nothing_forbidden()");
        }
        writer.put(4, "server.part()");
        writer.put(4, "server.expect_life()");
        let is_asked_to_end = scenario.server_is_asked_to_end_by(usize::MAX);
        if !is_asked_to_end && !waives(Invariant::Alive) {
            let once = subject.profile.promises.serves == Some(Serves::OneConnection);
            // What stands behind it may be gone.
            let polite = !once && !scenario.acts_on_backends();
            if polite && !waives(Invariant::Served) {
                writer.polite(subject)?;
            }
            if !once && !ground.datagram && !ground.local && !waives(Invariant::CloseWait) {
                writer.takes(LOOK_ON_FOR);
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

/// A variable for each name.
fn variables(clients: &[ClientGroup]) -> Vec<String> {
    let reserved = parts::reserved();
    let mut names: Vec<String> = Vec::new();
    for group in clients {
        let mut name = group.name.replace('-', "_");
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
    clients: &'a [ClientGroup],
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
        for (group, name) in self.clients.iter().zip(self.names.clone()) {
            let title = text(&group.name);
            match group.members {
                1 => self.put(4, &format!("{name} = {class}(server, {title})")),
                members => {
                    let member = format!("{class}(server, {title}, n)");
                    self.put(4, &format!("{name} = ["));
                    self.put(8, &format!("{member} for n in range({members})"));
                    self.put(4, "]");
                }
            }
        }
        if !self.clients.is_empty() {
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
            if self
                .clients
                .get(who)
                .is_some_and(|group| group.members == 1)
            {
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
                    let actor = Actor {
                        name: client,
                        is_member: crowd,
                    };
                    is_empty &= !self.step(actor, &action.form(), indent)?;
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
        let text = step.text(self.clients);
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
            Step::Backend { name, action } => self.backend(name, action, indent)?,
            Step::Client { .. } | Step::Repeat { .. } => {}
        }
        Ok(())
    }

    /// A step as a call of a method; false where it is left out.
    fn step(&mut self, actor: Actor<'_>, form: &Form<'_>, indent: usize) -> Result<bool, Error> {
        let required = form.required.then(|| "with Required():".to_owned());
        let after = not_before(form).map(|after| {
            let after = seconds(after);
            format!("with NotBefore({}, {after}):", actor.name)
        });
        let (mut inner, outer) = (indent, [required, after]);
        for line in outer.iter().flatten() {
            self.put(inner, line);
            inner += 4;
        }
        let is_done = self.call(actor, form, inner)?;
        if inner > indent && !is_done {
            self.put(inner, "pass");
        }
        Ok(is_done || inner > indent)
    }

    fn call(&mut self, actor: Actor<'_>, form: &Form<'_>, indent: usize) -> Result<bool, Error> {
        let (method, limit) = self.method(form.python);
        self.limits.extend(limit.map(str::to_owned));
        let Some(method) = method else {
            return Ok(false);
        };
        self.takes(time_of(form));
        let head = format!("{}.{method}", actor.name);
        let lines = call(WIDTH - indent, &head, &arguments(form, actor)?);
        self.put_all(indent, &lines);
        Ok(true)
    }

    /// The method that does a step here, and what is to be said of it.
    fn method(&self, python: Python) -> (Option<&'static str>, Option<&'static str>) {
        let listens_at_path = self.ground.local && !self.ground.datagram;
        match python {
            Python::Method(method) | Python::Ways(method) => (Some(method), None),
            Python::ByTransport { datagram, .. } if self.ground.datagram => (Some(datagram), None),
            Python::ByTransport { stream, .. } => (Some(stream), None),
            Python::Limited(method, limit) => (Some(method), Some(limit)),
            Python::NotOfListeningPath(_, why) if listens_at_path => (None, Some(why)),
            Python::NotOfListeningPath(method, _) => (Some(method), None),
            Python::Nothing(why) => (None, Some(why)),
        }
    }

    fn server(&mut self, action: &ServerAction, indent: usize) -> Result<(), Error> {
        let server = Actor {
            name: "server",
            is_member: false,
        };
        match self.step(server, &action.form(), indent)? {
            true => Ok(()),
            false => {
                let (_, why) = self.method(action.form().python);
                Err(Error::Usage(format!(
                    "a reproducer cannot say `server {action}`: {}; `sockdrill run` can",
                    why.unwrap_or_default()
                )))
            }
        }
    }

    fn backend(&mut self, name: &str, action: &ServerAction, indent: usize) -> Result<(), Error> {
        let backend = format!("server.backends[{}]", text(name));
        let backend = Actor {
            name: &backend,
            is_member: false,
        };
        match self.step(backend, &action.form(), indent)? {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "a reproducer cannot say `{name} {action}`; `sockdrill run` can"
            ))),
        }
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
        let polite = Actor {
            name: "polite",
            is_member: false,
        };
        for line in ClientSteps::of(0).polite(subject).lines() {
            if let Step::Client { action, .. } = &line.step {
                self.step(polite, &action.form(), 4)?;
            }
        }
        self.limits.truncate(before);
        self.put(4, "server.part()");
        Ok(())
    }
}

/// How long a step may take.
fn time_of(form: &Form<'_>) -> Duration {
    let within = form.arguments.iter().find_map(|argument| match argument {
        Argument::Within(time) => Some(*time),
        _ => None,
    });
    match form.does {
        Does::Talks => time_of_segments(form),
        Does::HalfCloses | Does::Leaves | Does::Reads | Does::Nothing => Duration::ZERO,
        _ => {
            let after = not_before(form).unwrap_or_default();
            within.unwrap_or(LOOK_ON_FOR).saturating_add(after)
        }
    }
}

/// How long it is that what a step waits for must not come.
fn not_before(form: &Form<'_>) -> Option<Duration> {
    form.arguments.iter().find_map(|argument| match argument {
        Argument::After(time) => Some(*time),
        _ => None,
    })
}

/// Whether something must never come, or be printed.
fn forbids(scenario: &Scenario) -> bool {
    scenario.steps().iter().any(|line| {
        let is_never = |action: &Action| matches!(action, Action::Never(_));
        line.action().is_some_and(is_never)
            || matches!(line.step, Step::Server(ServerAction::NeverOutput(_)))
    })
}

/// What is told of ways in which something may come, where sockdrill knows more than the program can.
fn limits(scenario: &Scenario, subject: &Subject) -> Vec<String> {
    let steps = scenario.steps();
    let awaited = || {
        let actions = steps.iter().filter_map(|line| line.action());
        actions.filter_map(Action::awaited)
    };
    let open = awaited().any(Expectation::is_open).then(|| {
        let time = Shown(SILENCE);
        format!(
            "what a pattern takes behind which nothing stands is over when nothing came for {time}"
        )
    });
    let speaks = !subject.profile.unasked().texts().is_empty();
    let has_ways = || awaited().any(|what| matches!(what.form().python, Python::Ways(_)));
    let unasked = (speaks && has_ways()).then(|| {
        "what the server says by itself is passed over before a text of which there are several, or that has patterns, and \
         not between its lines"
            .to_owned()
    });
    open.into_iter().chain(unasked).collect()
}

/// How long segments may take that wait for a time, or for the server to read.
fn time_of_segments(form: &Form<'_>) -> Duration {
    match form.arguments.as_slice() {
        [
            Argument::Data(data),
            Argument::Segmentation(segmentation),
            Argument::Every(every),
            ..,
        ] => every.saturating_mul(segmentation.segments(data.length()).len() as u32),
        [_, Argument::Segmentation(_), ..] => TAKEN_WITHIN,
        _ => Duration::ZERO,
    }
}
