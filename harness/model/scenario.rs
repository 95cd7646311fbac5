//! A scenario: who takes part, what each does in what order, and what each may expect; it prints as the `.drill` case
//! that repeats it.

use super::action::Action;
use super::address::Address;
use super::data::Segmentation;
use super::expectation::Expectation;
use super::form::{Argument, Ask, Does, Form, Python};
use super::invariant::Invariant;
use super::literal;
use super::profile::Transport;
use super::server_action::ServerAction;
use super::subject::Subject;
use super::system_call::{RareAnswer, SystemCall};
use super::tls::TlsOptions;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// A case: who takes part, what each does in what order, and what each may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    /// A sentence that names the case.
    pub name: String,
    /// The clients, in the order of their declaration.
    pub clients: Vec<ClientGroup>,
    /// The invariants that this case does not hold the server to.
    pub waived: Vec<Waiver>,
    /// The steps, in order.
    pub lines: Vec<Line>,
}

impl Scenario {
    /// Whether the server is told to end, or started again, so that no connection can outlive the scenario.
    pub(crate) fn ends_server(&self) -> bool {
        let mut steps = self.steps().into_iter();
        steps.any(|line| line.step.form().does.asks().is_some())
    }

    /// What those behind a name do, in the order of the text.
    pub(crate) fn actions_of(&self, name: &str) -> Vec<&Action> {
        let of_name = |who: usize| {
            self.clients
                .get(who)
                .is_some_and(|group| group.name == name)
        };
        let theirs = |line: &&Line| matches!(line.step, Step::Client { who, .. } if of_name(who));
        let steps = self.steps().into_iter();
        steps.filter(theirs).filter_map(Line::action).collect()
    }

    /// Whether the server's open files are limited.
    pub(crate) fn limits_files(&self) -> bool {
        let mut steps = self.steps().into_iter();
        steps.any(|line| line.step.form().does == Does::LimitsFiles)
    }

    /// The rare answers that its steps give.
    pub(crate) fn rare_answers(&self) -> Vec<RareAnswer> {
        let steps = self.steps().into_iter();
        let answers = steps.filter_map(|line| match &line.step {
            Step::Server(ServerAction::Answer(answer)) => Some(*answer),
            _ => None,
        });
        answers.collect()
    }

    /// The calls of the server that are answered in a rare way.
    pub(crate) fn answered_calls(&self) -> Vec<SystemCall> {
        let answers = self.rare_answers().into_iter();
        let mut calls: Vec<_> = answers.map(|answer| answer.call).collect();
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    /// Whether by the step of this number, in the order of the text and itself included, the server has been asked to end
    /// and not been started again.
    pub(crate) fn server_is_asked_to_end_by(&self, step: usize) -> bool {
        let steps = self.steps().into_iter().take(step.saturating_add(1));
        let mut asks = steps.filter_map(|line| line.step.form().does.asks());
        matches!(asks.next_back(), Some(Ask::End(_)))
    }

    /// Whether clients do nothing but come, ask, take the answer and leave, and nothing is done to the server.
    pub(crate) fn is_polite(&self) -> bool {
        let is_polite = |line: &&Line| match &line.step {
            Step::Client { action, .. } => match action {
                Action::Connect(_) | Action::Expect { .. } | Action::Close => true,
                Action::Send { segmentation, .. } => *segmentation == Segmentation::Whole,
                _ => false,
            },
            Step::Server(_) | Step::Backend { .. } | Step::Pause(_) => false,
            Step::Barrier | Step::Settle | Step::Repeat { .. } => true,
        };
        self.steps().iter().all(is_polite)
    }

    /// Whether something must never come in it.
    pub(crate) fn forbids_something(&self) -> bool {
        let forbids = |line: &&Line| match &line.step {
            Step::Client { action, .. } => matches!(action, Action::Never(_)),
            Step::Server(action) => matches!(action, ServerAction::NeverOutput(_)),
            _ => false,
        };
        self.steps().iter().any(forbids)
    }

    /// The first step that does not happen over this transport.
    pub(crate) fn first_impossible_over(&self, transport: Transport) -> Option<&Line> {
        let mut steps = self.steps().into_iter();
        steps.find(|line| !line.step.form().over.allows(transport))
    }

    /// Whether a client leaves without a word.
    pub(crate) fn vanishes(&self) -> bool {
        let steps = self.steps();
        let mut actions = steps.iter().filter_map(|line| line.action());
        actions.any(|action| *action == Action::Vanish)
    }

    /// Whether anything is done to the server but by clients.
    pub(crate) fn acts_on_server(&self) -> bool {
        self.first_of_server().is_some()
    }

    /// The first step that connects to another host than this one or the server's, where the network is the host's own.
    pub(crate) fn first_to_another_host(&self, subject: &Subject) -> Option<&Line> {
        let servers = match subject.place.address {
            Address::Inet(address) => Some(address.ip().to_canonical()),
            Address::Path(_) => None,
        };
        let leads_away = |line: &&Line| match line.action() {
            Some(Action::Connect(options)) => {
                let to = options.to.map(|to| to.to_canonical());
                to.is_some_and(|to| !to.is_loopback() && Some(to) != servers)
            }
            _ => false,
        };
        let steps = self.steps().into_iter();
        let mut steps = steps.filter(|_| !subject.own_namespace);
        steps.find(leads_away)
    }

    /// The first step of which the server's end of a connection has to show that it happened: where it is on another host, nothing does.
    pub(crate) fn first_seen_at_the_server(&self) -> Option<&Line> {
        let shows_there = |line: &&Line| match line.action() {
            Some(Action::Reset | Action::Vanish) => true,
            Some(
                Action::Send {
                    segmentation,
                    every: None,
                    ..
                }
                | Action::StartTls(TlsOptions {
                    segmentation,
                    every: None,
                    ..
                }),
            ) => *segmentation != Segmentation::Whole,
            Some(Action::Expect { what, .. } | Action::Require { what, .. }) => matches!(
                what,
                Expectation::Accepted
                    | Expectation::Taken
                    | Expectation::HeldBack
                    | Expectation::Full
                    | Expectation::Pending
            ),
            _ => false,
        };
        self.steps().into_iter().find(shows_there)
    }

    /// The first step that is done to the server, or that looks at its processes.
    pub(crate) fn first_of_server(&self) -> Option<&Line> {
        let mut steps = self.steps().into_iter();
        steps.find(|line| matches!(line.step, Step::Server(_) | Step::Backend { .. }))
    }

    /// Whether anything is done to what stands behind the server.
    pub(crate) fn acts_on_backends(&self) -> bool {
        let mut steps = self.steps().into_iter();
        steps.any(|line| matches!(line.step, Step::Backend { .. }))
    }

    /// Whether the server is started anew in it.
    pub(crate) fn starts_server(&self) -> bool {
        let starts = |line: &&Line| match &line.step {
            Step::Server(action) => matches!(
                action,
                ServerAction::Start(_)
                    | ServerAction::StartBesideHelpers
                    | ServerAction::StartOverFile
            ),
            _ => false,
        };
        self.steps().iter().any(starts)
    }

    /// For how long nothing happens in it, as it is written: it takes that long at least.
    pub(crate) fn pauses(&self) -> Duration {
        time_of(&self.lines, &|line| match &line.step {
            Step::Pause(time) => *time,
            _ => Duration::ZERO,
        })
    }

    /// For how long it may go on by the times that are written in it, where each is waited for in full.
    pub(crate) fn time_written(&self) -> Duration {
        time_of(&self.lines, &|line| line.step.form().time_written())
    }

    /// The same up to a step, counted as [`Scenario::steps`] counts them, with the whole of the block that it is in.
    pub(crate) fn up_to(&self, step: usize) -> Self {
        let mut before = 0;
        let is_reached = |line: &&Line| {
            let is_reached = before <= step;
            before += steps_of([*line]).len();
            is_reached
        };
        Self {
            lines: self.lines.iter().take_while(is_reached).cloned().collect(),
            ..self.clone()
        }
    }

    /// Whether the client of a step, counted as [`Scenario::steps`] counts them, has said something on its connection before.
    pub(crate) fn has_spoken_before(&self, step: usize) -> bool {
        let steps = self.steps();
        let Some(Step::Client { who, .. }) = steps.get(step).map(|line| &line.step) else {
            return false;
        };
        let theirs = steps[..step]
            .iter()
            .rev()
            .filter_map(|line| match &line.step {
                Step::Client { who: other, action } if other == who => Some(action),
                _ => None,
            });
        let mut since_it_came = theirs.take_while(|action| !matches!(action, Action::Connect(_)));
        since_it_came.any(|action| matches!(action, Action::Send { .. }))
    }

    /// How much there is to it.
    pub(crate) fn size(&self) -> Size {
        let members = |who: usize| {
            self.clients
                .get(who)
                .map_or(1, |group| group.members.into())
        };
        Size {
            clients: self
                .clients
                .iter()
                .map(|group| u64::from(group.members))
                .sum(),
            steps: performed(&self.lines, &members),
        }
    }

    /// The lines in the order of the text, those inside of blocks included.
    pub(crate) fn steps(&self) -> Vec<&Line> {
        steps_of(&self.lines)
    }
}

/// Lines in the order of the text, those inside of blocks included.
pub(crate) fn steps_of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<&'a Line> {
    let mut steps = Vec::new();
    flatten(lines, &mut steps);
    steps
}

/// The same lines, each step of which is what this makes of it.
pub(crate) fn with_each_step(lines: &[Line], change: &dyn Fn(&Step) -> Step) -> Vec<Line> {
    let changed = |line: &Line| {
        let step = match &line.step {
            Step::Repeat { times, lines } => Step::Repeat {
                times: *times,
                lines: with_each_step(lines, change),
            },
            step => change(step),
        };
        Line {
            step,
            ..line.clone()
        }
    };
    lines.iter().map(changed).collect()
}

/// How many steps lines come to where so many stand behind a name.
fn performed(lines: &[Line], members: &dyn Fn(usize) -> u64) -> u64 {
    let of = |line: &Line| match &line.step {
        Step::Repeat { times, lines } => u64::from(*times) * performed(lines, members),
        Step::Client { who, .. } => members(*who),
        _ => 1,
    };
    lines.iter().map(of).sum()
}

/// What all lines take, each as often as it is performed, where a step takes so long.
fn time_of(lines: &[Line], step: &dyn Fn(&Line) -> Duration) -> Duration {
    let of = |line: &Line| match &line.step {
        Step::Repeat { times, lines } => time_of(lines, step).saturating_mul(*times),
        _ => step(line),
    };
    let all = lines.iter().map(of);
    all.fold(Duration::ZERO, Duration::saturating_add)
}

fn flatten<'a>(lines: impl IntoIterator<Item = &'a Line>, steps: &mut Vec<&'a Line>) {
    for line in lines {
        steps.push(line);
        if let Step::Repeat { lines, .. } = &line.step {
            flatten(lines, steps);
        }
    }
}

/// How much there is to a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// How many clients take part.
    pub clients: u64,
    /// How many steps they take together, and others beside them, each as often as it is performed.
    pub steps: u64,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, steps } = self;
        let (client, step) = (plural("client", *clients), plural("step", *steps));
        write!(f, "{clients} {client} in {steps} {step}")
    }
}

fn plural(word: &str, number: u64) -> String {
    format!("{word}{}", if number == 1 { "" } else { "s" })
}

/// One declared name: a single client, or a crowd of them that acts as one (`mallory[20]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientGroup {
    /// The name in the scenario; `alice` is polite, `mallory` is not.
    pub name: String,
    /// How many clients stand behind the name, at least one.
    pub members: u32,
}

/// An invariant set aside, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiver {
    /// The invariant.
    pub invariant: Invariant,
    /// Why the case may break it.
    pub reason: String,
}

/// A step and where it was written; line 0 where it was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line in the file, counted from one.
    pub number: usize,
    /// The move.
    pub step: Step,
}

impl Line {
    /// What a client does in it.
    pub(crate) fn action(&self) -> Option<&Action> {
        match &self.step {
            Step::Client { action, .. } => Some(action),
            _ => None,
        }
    }

    /// The index among the clients of those whom the line concerns, if it concerns nobody else. Lines of the same clients
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
pub(crate) enum Step {
    /// A client, or every client of a crowd beside the others, acts.
    Client {
        /// The index among the clients.
        who: usize,
        /// What it does.
        action: Action,
    },
    /// Something is done to the server, or expected of it.
    Server(ServerAction),
    /// The same of a server that stands behind it.
    Backend {
        /// Its name.
        name: String,
        /// What is done to it, or expected of it.
        action: ServerAction,
    },
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

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "case {}", self.name)?;
        if !self.clients.is_empty() {
            write!(f, "  clients:")?;
            for group in &self.clients {
                write!(f, " {group}")?;
            }
            writeln!(f)?;
        }
        for waiver in &self.waived {
            writeln!(f, "  waive: {waiver}")?;
        }
        writeln!(f)?;
        f.write_str(&text_of(&self.lines, &self.clients))
    }
}

/// Lines as files have them below a heading.
pub(crate) fn text_of(lines: &[Line], clients: &[ClientGroup]) -> String {
    let mut text = String::new();
    write_lines(&mut text, clients, lines, 1);
    text
}

impl fmt::Display for ClientGroup {
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
    /// Its row; a block by itself does nothing.
    pub(crate) fn form(&self) -> Form<'_> {
        let without_method =
            |word, does, why| Form::new(word, "", does).in_python(Python::Nothing(why));
        match self {
            Self::Client { action, .. } => action.form(),
            Self::Server(action) => action.form(),
            Self::Backend { action, .. } => {
                let form = action.form();
                let does = match form.does {
                    waits @ Does::Waits(_) => waits,
                    // Nothing of it is done to the server.
                    _ => Does::Nothing,
                };
                let why = Python::Nothing("the program has one server");
                Form {
                    needs: None,
                    does,
                    ..form.in_python(why)
                }
            }
            Self::Pause(time) => without_method("pause", Does::Passes, "the program sleeps")
                .with(Argument::Time(*time)),
            Self::Barrier => without_method(
                "barrier",
                Does::Nothing,
                "those who walk side by side are waited for anyway",
            ),
            Self::Settle => Form::new("settle", "settle", Does::Nothing),
            Self::Repeat { times, .. } => {
                without_method("repeat", Does::Nothing, "the program has a loop")
                    .with(Argument::Number((*times).into()))
            }
        }
    }

    /// The same without the names and the ways in which its data is written, and with this limit where none is written.
    pub(crate) fn spelt_out(&self, within: Option<Duration>) -> Self {
        match self {
            Self::Client { who, action } => {
                let action = action.spelt_out();
                Self::Client {
                    who: *who,
                    action: within.map_or_else(|| action.clone(), |limit| action.limited(limit)),
                }
            }
            Self::Server(action) => {
                Self::Server(within.map_or_else(|| action.clone(), |limit| action.limited(limit)))
            }
            Self::Backend { name, action } => Self::Backend {
                name: name.clone(),
                action: within.map_or_else(|| action.clone(), |limit| action.limited(limit)),
            },
            step => step.clone(),
        }
    }

    /// The step as a line of a file, without indentation; of a block only the first line.
    pub(crate) fn text(&self, clients: &[ClientGroup]) -> String {
        match self {
            Self::Client { who, action } => {
                let name = clients.get(*who).map_or("?", |group| &group.name);
                format!("{name} {action}")
            }
            Self::Server(action) => format!("server {action}"),
            Self::Backend { name, action } => format!("{name} {action}"),
            step => step.form().to_string(),
        }
    }
}

fn write_lines(text: &mut String, clients: &[ClientGroup], lines: &[Line], depth: usize) {
    let indent = "  ".repeat(depth);
    for line in lines {
        text.push_str(&format!("{indent}{}\n", line.step.text(clients)));
        if let Step::Repeat { lines, .. } = &line.step {
            write_lines(text, clients, lines, depth + 1);
            text.push_str(&format!("{indent}end\n"));
        }
    }
}
