//! The one judge: from a transcript to a verdict, without I/O and without time.

use crate::event::{
    Act, ClientEvent, ClientId, Ended, Event, Exit, Moment, OUR_SOCKET, Sample, ServerEvent,
    Transcript, What,
};
use crate::literal::{Measured, Shown};
use crate::step::{
    Action, Expectation, Invariant, Line, Scenario, ServerAction, ServerExpectation, Step,
};
use crate::view::{Look, Sought, Views};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// What was seen of one scenario or one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The requirement held, and every fault is proven to have happened.
    Pass,
    /// The server broke the requirement.
    Fail(Finding),
    /// Nothing is proven: a fault did not happen, or the harness or the host starved.
    Inconclusive(String),
    /// The requirement does not apply to this server, or cannot be looked at here.
    Skip(String),
}

/// What a server did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// One sentence.
    pub reason: String,
    /// The line of the scenario at which it showed; 0 where there is none.
    pub line: usize,
    /// Facts that bear the reason out.
    pub evidence: Vec<String>,
}

/// A scenario with the polite conversations around it: what a transcript is held against.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The polite client before.
    pub before: Scenario,
    /// What the bystander does before the scenario; nothing where there is none.
    pub arrival: Scenario,
    /// The scenario.
    pub script: Scenario,
    /// What the bystander does after it, on the same connection.
    pub recall: Scenario,
    /// The polite client after.
    pub after: Scenario,
    /// The server ends by itself, with status 0, once it has served one connection.
    pub ends_after_one: bool,
}

impl Trial {
    /// A scenario with nobody around it.
    pub fn alone(script: Scenario) -> Self {
        let nothing = || Scenario {
            name: "nothing".to_owned(),
            cast: Vec::new(),
            waived: Vec::new(),
            lines: Vec::new(),
        };
        Self {
            before: nothing(),
            arrival: nothing(),
            script,
            recall: nothing(),
            after: nothing(),
            ends_after_one: false,
        }
    }

    /// The lines of an act, numbered in the order of the text, those inside of blocks included.
    pub(crate) fn steps(&self, act: Act) -> Vec<&Line> {
        let mut steps = Vec::new();
        flatten(&self.scenario(act).lines, &mut steps);
        steps
    }

    /// The scenario of an act.
    pub fn scenario(&self, act: Act) -> &Scenario {
        match act {
            Act::Before => &self.before,
            Act::Arrival => &self.arrival,
            Act::Script => &self.script,
            Act::Recall => &self.recall,
            Act::After => &self.after,
        }
    }

    fn waives(&self, invariant: Invariant) -> bool {
        self.script
            .waived
            .iter()
            .any(|waiver| waiver.invariant == invariant)
    }

    /// Whether the script ends the server that runs since this step, by a signal or by waiting for its end.
    fn expects_end(&self, since: usize) -> bool {
        self.steps(Act::Script).iter().skip(since).any(|line| {
            let Step::Server(action) = &line.step else {
                return false;
            };
            matches!(
                action,
                ServerAction::Signal(_)
                    | ServerAction::Expect {
                        what: ServerExpectation::Exit(_) | ServerExpectation::Gone,
                        ..
                    }
            )
        })
    }
}

fn flatten<'a>(lines: &'a [Line], steps: &mut Vec<&'a Line>) {
    for line in lines {
        steps.push(line);
        if let Step::Repeat { lines, .. } = &line.step {
            flatten(lines, steps);
        }
    }
}

/// Names the client of an event, as the scenario does.
pub fn name(scenario: &Scenario, id: ClientId) -> String {
    match scenario.cast.get(id.who) {
        _ if id == ClientId::BYSTANDER => "bystander".to_owned(),
        Some(cast) if cast.members > 1 => format!("{}[{}]", cast.name, id.member),
        Some(cast) => cast.name.clone(),
        None => "?".to_owned(),
    }
}

/// Judges what was seen.
pub fn judge(trial: &Trial, transcript: &Transcript) -> Verdict {
    let failure = first_failed_step(trial, transcript);
    let early = |failed: &&FailedStep| matches!(failed.act, Act::Before | Act::Arrival);
    if let Some(failed) = failure.as_ref().filter(early) {
        return before_failed(failed, transcript);
    }
    let death = unexpected_end(trial, transcript);
    if let Some(reason) = our_fault(transcript).filter(|_| death.is_none()) {
        return Verdict::Inconclusive(reason);
    }
    let died = death.is_some();
    let broken = invariants(trial, transcript);
    let reasons = death
        .into_iter()
        .chain(failure.as_ref().map(FailedStep::reason))
        .chain(broken);
    let reasons: Vec<String> = reasons.collect();
    if let Some((first, others)) = reasons.split_first() {
        let starved = failure
            .as_ref()
            .filter(|_| others.is_empty() && !died)
            .and_then(|failed| failed.blames_us(transcript));
        if let Some(starved) = starved {
            return Verdict::Inconclusive(starved);
        }
        return Verdict::Fail(Finding {
            reason: first.clone(),
            line: failure.as_ref().map_or(0, |failed| failed.line),
            evidence: evidence(trial, transcript, others),
        });
    }
    match unproven(transcript).or_else(|| pool_or_leak(trial, transcript)) {
        Some(reason) => Verdict::Inconclusive(reason),
        None => Verdict::Pass,
    }
}

/// Why the harness could not play its part, if it could not.
fn our_fault(transcript: &Transcript) -> Option<String> {
    transcript
        .events
        .iter()
        .find_map(|event| match &event.what {
            What::Proof {
                fault,
                shown: false,
                evidence,
            } if fault == OUR_SOCKET => Some(format!("this host refused {fault}: {evidence}")),
            _ => None,
        })
}

fn before_failed(failed: &FailedStep, transcript: &Transcript) -> Verdict {
    let mut reason = format!(
        "the undisturbed server did not serve a polite client: {}",
        failed.text
    );
    if let Some(exit) = last_exit(transcript) {
        reason.push_str(&format!("; the server {exit}"));
    }
    Verdict::Inconclusive(reason)
}

/// A time limit that runs out so soon after bytes have come was too short, or the host too slow.
const FLOWS_WITHIN: Duration = Duration::from_millis(500);

/// The step at which the trial stopped.
struct FailedStep {
    act: Act,
    line: usize,
    text: String,
    /// The time limit that ran out, where that is the reason.
    limit: Option<Duration>,
    /// Bytes were still arriving when it ran out.
    flowing: bool,
    /// It waited for a datagram that has not come.
    is_missing: bool,
    /// The server was to rest, did not, and hardly got a processor either.
    idle: bool,
    /// The processor time that the server used before it ran out.
    ran: Duration,
}

impl FailedStep {
    fn reason(&self) -> String {
        match self.act {
            Act::After => format!("a polite client was not served afterwards: {}", self.text),
            Act::Recall => format!("a client that only stood by was disturbed: {}", self.text),
            Act::Script | Act::Before | Act::Arrival => self.text.clone(),
        }
    }

    /// Says that the harness may be to blame: it did not get to run for a good part of the limit.
    fn blames_us(&self, transcript: &Transcript) -> Option<String> {
        if self.idle {
            return Some(format!("{}: too little to call it busy", self.text));
        }
        let dropped = dropped(transcript);
        if self.is_missing && dropped > 0 {
            return Some(format!(
                "{}, but the kernel dropped {dropped} datagrams that did not fit a receive buffer",
                self.text
            ));
        }
        let limit = self.limit?;
        if self.flowing {
            return Some(format!("{}, but bytes were still arriving", self.text));
        }
        if self.ran * 2 > limit {
            // It did not lack the time: whatever kept us waiting, it was busy with something else.
            return None;
        }
        let starved = transcript.starved();
        (starved * 4 > limit).then(|| {
            format!(
                "{}, but the harness itself did not get to run for {}",
                self.text,
                Measured(starved)
            )
        })
    }
}

/// How many datagrams the kernel dropped because the buffer of their receiver was full (`RcvbufErrors`), which is no
/// server's fault.
fn dropped(transcript: &Transcript) -> u64 {
    let moved = transcript.events.iter().map(|event| match &event.what {
        What::Counters(moved) => moved.as_slice(),
        _ => &[],
    });
    let errors = moved.flatten().filter(|(name, _)| name == "RcvbufErrors");
    errors.map(|(_, by)| by).sum()
}

fn first_failed_step(trial: &Trial, transcript: &Transcript) -> Option<FailedStep> {
    let mut views = Views::default();
    let mut act = Act::Before;
    let mut facts = ServerFacts::default();
    let mut last_received: HashMap<ClientId, Duration> = HashMap::new();
    let mut steps = trial.steps(act);
    for event in &transcript.events {
        if let What::Client(id, ClientEvent::Received(_)) = &event.what {
            last_received.insert(*id, event.at);
        }
        views.apply(event);
        facts.apply(event);
        match &event.what {
            What::Act(next) => {
                act = *next;
                steps = trial.steps(act);
                last_received.clear();
            }
            What::StepEnded { step, member, how } => {
                let Some(line) = steps.get(*step) else {
                    continue;
                };
                let scenario = trial.scenario(act);
                let member = member.unwrap_or(0);
                let id_of = |who| act.client(who, member);
                if let Some(text) = failed(scenario, line, id_of, *how, &mut views, &facts) {
                    let limit = match how {
                        // Rest is measured in processor time used, which a loaded host makes less, not more.
                        _ if is_about_rest(&line.step) => None,
                        Ended::OutOfTime(limit) => Some(*limit),
                        Ended::Done | Ended::Settled => None,
                    };
                    let flowing = match &line.step {
                        Step::Client { who, .. } => {
                            last_received.get(&id_of(*who)).is_some_and(|at| {
                                let window =
                                    limit.map_or(FLOWS_WITHIN, |limit| limit.min(FLOWS_WITHIN));
                                *at + window > event.at
                            })
                        }
                        _ => false,
                    };
                    // A polite client sends so little that none of it is dropped.
                    let is_missing = act == Act::Script
                        && matches!(&line.step, Step::Client { who, action: Action::Expect { .. } }
                            if views.of(id_of(*who)).lacks_datagram());
                    return Some(FailedStep {
                        act,
                        is_missing,
                        line: line.number,
                        text,
                        limit,
                        flowing,
                        ran: facts.ran,
                        idle: is_about_rest(&line.step) && facts.cpu_percent < BUSY,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// The least share of one processor, in percent, that a server uses which does not rest.
const BUSY: u32 = 20;

fn is_about_rest(step: &Step) -> bool {
    let Step::Server(ServerAction::Expect { what, .. }) = step else {
        return false;
    };
    *what == ServerExpectation::Rest
}

fn failed(
    scenario: &Scenario,
    line: &Line,
    id_of: impl Fn(usize) -> ClientId,
    how: Ended,
    views: &mut Views,
    facts: &ServerFacts,
) -> Option<String> {
    match &line.step {
        Step::Client { who, action } => client_failed(scenario, id_of(*who), action, how, views),
        Step::Server(ServerAction::Expect { what, .. }) => match facts.look(what) {
            Look::Met => None,
            Look::Broken(why) => Some(format!("server was expected to show {what}: {why}")),
            Look::Pending => Some(format!(
                "server was expected to show {what}{}, but {}",
                limit(how),
                facts.instead(what)
            )),
        },
        Step::Server(ServerAction::Start(_)) => facts
            .start_failed
            .as_ref()
            .map(|reason| format!("the server did not start again: {reason}")),
        Step::Server(ServerAction::StartOverFile) if facts.file_removed => {
            Some("the server removed a regular file that stood at its path".to_owned())
        }
        Step::Server(ServerAction::StartOverFile) if facts.second == Some(None) => {
            Some("the server runs although a regular file stands at its path".to_owned())
        }
        Step::Server(ServerAction::StartSecond) => match facts.second {
            Some(Some(Exit::Status(0))) => Some(
                "a second server on the same address ended with status 0, as if all were well"
                    .to_owned(),
            ),
            Some(None) => Some("a second server on the same address keeps running".to_owned()),
            Some(Some(_)) | None => None,
        },
        Step::Server(_) | Step::Pause(_) | Step::Settle | Step::Barrier | Step::Repeat { .. } => {
            None
        }
    }
}

fn client_failed(
    scenario: &Scenario,
    id: ClientId,
    action: &Action,
    how: Ended,
    views: &mut Views,
) -> Option<String> {
    let view = views.of(id);
    let what = match action {
        Action::Expect { what, .. } => what,
        Action::Connect(dial) if !dial.without_waiting => &Expectation::Connected,
        _ => return None,
    };
    let settled = how != Ended::Done;
    let mut sought = Sought::new(what, id.member);
    let problem = match view.look(&mut sought, settled) {
        Look::Met => {
            view.consume(&sought);
            return None;
        }
        Look::Broken(why) => why,
        Look::Pending => match how {
            Ended::Settled => format!(
                "got {} and nothing more will come: the server waits, all queues are empty",
                view.so_far()
            ),
            Ended::Done | Ended::OutOfTime(_) => format!("got {}", view.so_far()),
        },
    };
    Some(format!(
        "{} expected {what}{}, {problem}",
        name(scenario, id),
        limit(how)
    ))
}

fn limit(how: Ended) -> String {
    match how {
        Ended::OutOfTime(limit) => format!(" within {}", Shown(limit)),
        Ended::Done | Ended::Settled => String::new(),
    }
}

/// What is known of the server at a point of the transcript.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    exit: Option<Exit>,
    gone: bool,
    left_behind: usize,
    start_failed: Option<String>,
    second: Option<Option<Exit>>,
    queue: Option<u32>,
    backlog: Option<u32>,
    time_wait: Option<usize>,
    rests: bool,
    cpu_percent: u32,
    open_files: Option<(u64, u64)>,
    out_of_files: bool,
    ran: Duration,
    file_removed: bool,
}

impl ServerFacts {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        let What::Server(event) = &event.what else {
            return;
        };
        match event {
            ServerEvent::Started { .. } => {
                *self = Self::default();
            }
            ServerEvent::StartFailed(reason) => self.start_failed = Some(reason.clone()),
            ServerEvent::SecondEnded(exit, _) => self.second = Some(Some(*exit)),
            ServerEvent::SecondLives => self.second = Some(None),
            ServerEvent::FileRemoved => self.file_removed = true,
            ServerEvent::Exited(exit) => self.exit = Some(*exit),
            ServerEvent::Gone => self.gone = true,
            ServerEvent::LeftBehind(processes) => self.left_behind = *processes,
            ServerEvent::Listener { queue, backlog } => {
                self.queue = Some(*queue);
                self.backlog = Some(*backlog);
            }
            ServerEvent::TimeWait(rows) => self.time_wait = Some(*rows),
            ServerEvent::Rests { rests, cpu_percent } => {
                self.rests = *rests;
                self.cpu_percent = *cpu_percent;
            }
            ServerEvent::Ran(time) => self.ran = *time,
            ServerEvent::OpenFiles {
                held,
                limit,
                settled,
            } => {
                self.open_files = Some((*held, *limit));
                self.out_of_files = *held + u64::from(*settled) >= *limit;
            }
            ServerEvent::Stopped
            | ServerEvent::Continued
            | ServerEvent::Signalled(_)
            | ServerEvent::Output(_)
            | ServerEvent::OpenFilesLimited(_)
            | ServerEvent::TimeWaitOfClients(_)
            | ServerEvent::PathRemains(_)
            | ServerEvent::Occupied(_) => {}
        }
    }

    /// Looks for what is expected of the server.
    pub fn look(&self, what: &ServerExpectation) -> Look {
        match what {
            ServerExpectation::Exit(wanted) => match self.exit {
                None => Look::Pending,
                Some(exit) if exit.is_crash() => Look::Broken(format!("it {exit}")),
                Some(exit) => match wanted {
                    Some(status) if exit != Exit::Status(*status) => {
                        Look::Broken(format!("it {exit}"))
                    }
                    _ => Look::Met,
                },
            },
            ServerExpectation::Gone if self.gone => Look::Met,
            ServerExpectation::Gone => Look::Pending,
            ServerExpectation::AcceptQueue(wanted) => met_when(self.queue == Some(*wanted)),
            ServerExpectation::Backlog(wanted) => met_when(self.backlog == Some(*wanted)),
            ServerExpectation::TimeWait => met_when(self.time_wait.is_some_and(|rows| rows > 0)),
            ServerExpectation::NoTimeWait => met_when(self.time_wait == Some(0)),
            ServerExpectation::Rest => met_when(self.rests),
            ServerExpectation::OutOfFiles => met_when(self.out_of_files),
        }
    }

    /// What is the case instead of what was expected.
    pub fn instead(&self, what: &ServerExpectation) -> String {
        let or_unseen = |value: Option<u32>| {
            value.map_or_else(|| "was not seen".to_owned(), |n| format!("is {n}"))
        };
        match what {
            ServerExpectation::Exit(_) => "it still runs".to_owned(),
            ServerExpectation::Gone => {
                format!("{} of its processes are left", self.left_behind.max(1))
            }
            ServerExpectation::AcceptQueue(_) => {
                format!("its accept queue {}", or_unseen(self.queue))
            }
            ServerExpectation::Backlog(_) => format!("its backlog {}", or_unseen(self.backlog)),
            ServerExpectation::TimeWait | ServerExpectation::NoTimeWait => {
                format!(
                    "{} of its connections are in TIME_WAIT",
                    self.time_wait.unwrap_or(0)
                )
            }
            ServerExpectation::Rest => format!("it uses {} % of a processor", self.cpu_percent),
            ServerExpectation::OutOfFiles => match self.open_files {
                Some((held, limit)) => format!("it has {held} of {limit} files open"),
                None => "its limit on open files was not lowered".to_owned(),
            },
        }
    }
}

fn met_when(met: bool) -> Look {
    if met { Look::Met } else { Look::Pending }
}

fn last_exit(transcript: &Transcript) -> Option<Exit> {
    let mut last = None;
    for event in transcript.server_events() {
        match event {
            ServerEvent::Exited(exit) => last = Some(*exit),
            ServerEvent::Started { .. } => last = None,
            _ => {}
        }
    }
    last
}

/// The invariant *alive*: an end that nobody asked for, or a crash whoever asked.
fn unexpected_end(trial: &Trial, transcript: &Transcript) -> Option<String> {
    if trial.waives(Invariant::Alive) {
        return None;
    }
    let exit = last_exit(transcript)?;
    let since = step_of_last_start(transcript);
    let asked = trial.expects_end(since) || (trial.ends_after_one && exit == Exit::Status(0));
    if asked && !exit.is_crash() {
        return None;
    }
    let after = last_step_before_exit(trial, transcript);
    Some(match after {
        Some(step) => format!("the server {exit} after `{step}`"),
        None => format!("the server {exit}"),
    })
}

/// The step of the script after which the server runs that was started last; 0 for the first one.
fn step_of_last_start(transcript: &Transcript) -> usize {
    let (mut act, mut step, mut since) = (Act::Before, 0, 0);
    for event in &transcript.events {
        match &event.what {
            What::Act(next) => act = *next,
            What::StepBegan(begun) => step = *begun,
            What::Server(ServerEvent::Started { .. }) if act == Act::Script => since = step + 1,
            _ => {}
        }
    }
    since
}

fn last_step_before_exit(trial: &Trial, transcript: &Transcript) -> Option<String> {
    let mut act = Act::Before;
    let mut last = None;
    for event in &transcript.events {
        match &event.what {
            What::Act(next) => act = *next,
            What::StepBegan(step) if act == Act::Script => {
                let is_deed = |line: &&Line| {
                    !matches!(
                        &line.step,
                        Step::Client {
                            action: Action::Expect { .. },
                            ..
                        } | Step::Repeat { .. }
                    )
                };
                let steps = trial.steps(act);
                last = steps.get(*step).copied().filter(is_deed).or(last);
            }
            What::Server(ServerEvent::Exited(_)) => break,
            _ => {}
        }
    }
    let line = last?;
    let scenario = Scenario {
        lines: vec![line.clone()],
        ..trial.script.clone()
    };
    let text = scenario.to_string();
    text.lines().last().map(|line| line.trim().to_owned())
}

/// How far a figure may stand above its baseline after one run before a second run has to decide.
fn growth(transcript: &Transcript, read: impl Fn(&Sample) -> usize) -> Option<(usize, usize)> {
    let baseline = read(transcript.sample(Moment::Baseline)?);
    let after = read(transcript.sample(Moment::After)?);
    (after > baseline).then_some((baseline, after))
}

/// A figure that a leak would raise: how it is read and how a person calls it.
type Figure = (Invariant, &'static str, fn(&Sample) -> usize);

const FIGURES: &[Figure] = &[
    (Invariant::OpenFiles, "open sockets", |sample| {
        sample.sockets
    }),
    (Invariant::OpenFiles, "open files", |sample| sample.files),
    (Invariant::Threads, "threads", |sample| sample.threads),
    (Invariant::Threads, "processes", |sample| sample.processes),
];

/// Whether only a second run of the script can tell a leak from a pool that was filled once.
pub fn needs_second_run(trial: &Trial, transcript: &Transcript) -> bool {
    FIGURES
        .iter()
        .filter(|(invariant, ..)| !trial.waives(*invariant))
        .any(|(_, _, read)| growth(transcript, read).is_some())
}

fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<String> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = FIGURES
        .iter()
        .filter(|(invariant, ..)| !trial.waives(*invariant))
        .filter_map(|figure| leak(transcript, *figure));
    let rest = states(transcript, after);
    let rest = rest
        .into_iter()
        .filter(|(invariant, _)| !trial.waives(*invariant));
    leaks.chain(rest.map(|(_, text)| text)).collect()
}

/// What grows again when the same is done again: as much as before, and by how many altogether.
fn grows_again(
    transcript: &Transcript,
    name: &str,
    read: fn(&Sample) -> usize,
) -> Option<(usize, String)> {
    let (baseline, after) = growth(transcript, read)?;
    let again = read(transcript.sample(Moment::Again)?);
    let first = after - baseline;
    let second = again.saturating_sub(after);
    (second * 4 >= first * 3).then(|| {
        let text = format!("{name} are not back to the baseline: {baseline} before, {after} after, {again} after the same again");
        (again - baseline, text)
    })
}

/// A leak grows again when the same is done again; a pool that is full does not.
fn leak(transcript: &Transcript, (invariant, name, read): Figure) -> Option<String> {
    let (grown, text) = grows_again(transcript, name, read)?;
    (invariant != Invariant::Threads || grown > POOL_BOUND).then_some(text)
}

/// Workers that were added and stay: thread pools add one a task until they are full.
fn pool_or_leak(trial: &Trial, transcript: &Transcript) -> Option<String> {
    let workers = FIGURES
        .iter()
        .filter(|(invariant, ..)| *invariant == Invariant::Threads && !trial.waives(*invariant));
    workers
        .filter_map(|(_, name, read)| grows_again(transcript, name, *read))
        .map(|(_, text)| format!("{text}; a pool being filled does the same"))
        .next()
}

/// As many workers as a pool may have; Tomcat stops at 200.
const POOL_BOUND: usize = 256;

fn states(transcript: &Transcript, after: &Sample) -> Vec<(Invariant, String)> {
    let baseline = transcript
        .sample(Moment::Baseline)
        .cloned()
        .unwrap_or_default();
    let mut found = Vec::new();
    if after.close_wait > baseline.close_wait {
        let text = format!(
            "{} connections are left in CLOSE_WAIT: the server never closed its side",
            after.close_wait
        );
        found.push((Invariant::CloseWait, text));
    }
    if after.zombies > baseline.zombies {
        found.push((
            Invariant::Zombies,
            format!(
                "{} children have ended and were not waited for",
                after.zombies
            ),
        ));
    }
    if !after.at_rest && baseline.at_rest && after.cpu_percent >= 50 {
        let text = format!(
            "the server has nothing to do and uses {} % of a processor",
            after.cpu_percent
        );
        found.push((Invariant::IdleCpu, text));
    }
    if after.accept_queue > baseline.accept_queue {
        found.push((
            Invariant::Queues,
            format!(
                "{} connections are left in the accept queue",
                after.accept_queue
            ),
        ));
    }
    if after.output_bytes > baseline.output_bytes + OUTPUT_BOUND {
        let text = format!(
            "the server printed {} MiB",
            (after.output_bytes - baseline.output_bytes) >> 20
        );
        found.push((Invariant::Output, text));
    }
    if after.memory_bytes > baseline.memory_bytes + MEMORY_BOUND {
        let text = format!(
            "memory grew from {} MiB to {} MiB and did not go back",
            baseline.memory_bytes >> 20,
            after.memory_bytes >> 20
        );
        found.push((Invariant::Memory, text));
    }
    found
}

/// What a server may keep after a scenario. Allocators keep pools and warm-up costs memory; what is caught is
/// buffering without a bound.
const MEMORY_BOUND: u64 = 256 << 20;

/// What a server may print during a scenario: a line a connection is fair, a line a turn of a busy loop is not.
const OUTPUT_BOUND: u64 = 8 << 20;

fn unproven(transcript: &Transcript) -> Option<String> {
    transcript
        .events
        .iter()
        .find_map(|event| match &event.what {
            What::Proof {
                fault,
                shown: false,
                evidence,
            } => Some(format!(
                "{fault} is not proven to have happened: {evidence}"
            )),
            _ => None,
        })
}

fn evidence(trial: &Trial, transcript: &Transcript, others: &[String]) -> Vec<String> {
    let mut evidence: Vec<String> = others.to_vec();
    if let Some(exit) = last_exit(transcript) {
        evidence.push(format!("the server {exit} (wait status)"));
    }
    if let Some(output) = transcript.last_output() {
        evidence.push(format!("last output of the server: {output}"));
    }
    let names = |id| name(&trial.script, id);
    let mut lines = transcript.lines(&names);
    const MOST: usize = 24;
    if lines.len() > MOST {
        let left_out = lines.len() - MOST;
        lines.drain(..left_out);
        lines.insert(0, format!("({left_out} earlier events left out)"));
    }
    evidence.extend(lines);
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::talk::{Talk, scenario};

    fn trial(lines: Vec<Line>) -> Trial {
        Trial::alone(scenario("case", &[("alice", 1)], vec![lines]))
    }

    fn transcript(what: Vec<What>) -> Transcript {
        let events = (0..).zip(what).map(|(second, what)| Event {
            at: Duration::from_secs(second),
            what,
        });
        Transcript {
            events: events.collect(),
        }
    }

    const ALICE: ClientId = ClientId { who: 0, member: 0 };

    fn expects_hello() -> Trial {
        let hello = crate::step::Data::literal("HELLO");
        trial(Talk::of(0).expect(Expectation::Data(hello)).lines())
    }

    fn seen(event: ClientEvent, how: Ended) -> Transcript {
        transcript(vec![
            What::Act(Act::Script),
            What::StepBegan(0),
            What::Client(ALICE, event),
            What::StepEnded {
                step: 0,
                member: Some(0),
                how,
            },
        ])
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Fail(finding) => finding.reason,
            other => panic!("expected a fail, got {other:?}"),
        }
    }

    #[test]
    fn exact_reply_passes() {
        let seen = seen(ClientEvent::Received(b"HELLO".to_vec()), Ended::Done);
        assert_eq!(judge(&expects_hello(), &seen), Verdict::Pass);
    }

    #[test]
    fn short_reply_fails_and_says_what_came() {
        let out = Ended::OutOfTime(Duration::from_secs(1));
        let seen = seen(ClientEvent::Received(b"HEL".to_vec()), out);
        let reason = reason(judge(&expects_hello(), &seen));
        assert_eq!(reason, "alice expected \"HELLO\" within 1s, got \"HEL\"");
    }

    #[test]
    fn short_reply_is_not_held_against_the_server_when_we_starved() {
        let out = Ended::OutOfTime(Duration::from_secs(1));
        let mut seen = seen(ClientEvent::Received(b"HEL".to_vec()), out);
        seen.events.push(Event {
            at: Duration::ZERO,
            what: What::Starved(Duration::from_millis(400)),
        });
        assert!(matches!(
            judge(&expects_hello(), &seen),
            Verdict::Inconclusive(_)
        ));
    }

    #[test]
    fn datagram_that_was_dropped_whole_may_be_waited_for_in_vain() {
        let what = Expectation::DataOrSilence(crate::step::Data::literal("HELLO"));
        let out = Ended::OutOfTime(Duration::from_secs(1));
        let seen = transcript(vec![
            What::Act(Act::Script),
            What::StepBegan(0),
            What::StepEnded {
                step: 0,
                member: Some(0),
                how: out,
            },
        ]);
        assert_eq!(
            judge(&trial(Talk::of(0).expect(what).lines()), &seen),
            Verdict::Pass
        );
    }

    #[test]
    fn datagram_that_the_kernel_dropped_is_not_held_against_the_server() {
        let connected = ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: true,
        };
        let out = Ended::OutOfTime(Duration::from_secs(1));
        let mut seen = seen(connected, out);
        assert!(matches!(judge(&expects_hello(), &seen), Verdict::Fail(_)));
        seen.events.push(Event {
            at: Duration::ZERO,
            what: What::Counters(vec![("RcvbufErrors".to_owned(), 2)]),
        });
        let verdict = judge(&expects_hello(), &seen);
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{verdict:?}");
    }

    #[test]
    fn reset_instead_of_reply_is_told_from_fin() {
        let seen = seen(ClientEvent::Ended(crate::step::End::Reset), Ended::Done);
        let reason = reason(judge(&expects_hello(), &seen));
        assert!(reason.ends_with("got nothing, then reset"), "{reason}");
    }

    #[test]
    fn death_comes_before_every_other_reason() {
        let mut seen = seen(ClientEvent::Ended(crate::step::End::Reset), Ended::Done);
        seen.events.push(Event {
            at: Duration::ZERO,
            what: What::Server(ServerEvent::Exited(Exit::Signal(13))),
        });
        let reason = reason(judge(&expects_hello(), &seen));
        assert!(
            reason.starts_with("the server was ended by signal 13 (SIGPIPE)"),
            "{reason}"
        );
    }

    #[test]
    fn end_that_was_asked_of_the_first_server_is_no_excuse_for_the_second() {
        let server = |action| Line::from(Step::Server(action));
        let restart = trial(vec![
            server(ServerAction::Signal(crate::step::Signal::Kill)),
            server(ServerAction::Start(crate::step::Streams::Usual)),
        ]);
        let exited = |exit| What::Server(ServerEvent::Exited(exit));
        let mut events = vec![
            What::Act(Act::Script),
            What::StepBegan(0),
            exited(Exit::Signal(9)),
        ];
        assert_eq!(judge(&restart, &transcript(events.clone())), Verdict::Pass);
        events.extend([
            What::StepBegan(1),
            What::Server(ServerEvent::Started { pid: 2 }),
            exited(Exit::Status(1)),
        ]);
        let reason = reason(judge(&restart, &transcript(events)));
        assert!(
            reason.starts_with("the server exited with status 1"),
            "{reason}"
        );
    }

    #[test]
    fn unproven_fault_is_never_a_pass() {
        let mut seen = seen(ClientEvent::Received(b"HELLO".to_vec()), Ended::Done);
        seen.events.push(Event {
            at: Duration::ZERO,
            what: What::Proof {
                fault: "the reset".into(),
                shown: false,
                evidence: "no counter moved".into(),
            },
        });
        assert!(matches!(
            judge(&expects_hello(), &seen),
            Verdict::Inconclusive(_)
        ));
    }

    fn samples(figures: [usize; 3]) -> Transcript {
        let moments = [Moment::Baseline, Moment::After, Moment::Again];
        let sample = |sockets| Sample {
            sockets,
            at_rest: true,
            ..Sample::default()
        };
        let events = moments.into_iter().zip(figures);
        transcript(
            events
                .map(|(at, sockets)| What::Sample(at, sample(sockets)))
                .collect(),
        )
    }

    #[test]
    fn sockets_that_grow_with_every_run_are_a_leak() {
        let reason = reason(judge(&trial(vec![]), &samples([1, 6, 11])));
        assert!(reason.starts_with("open sockets are not back"), "{reason}");
    }

    #[test]
    fn workers_that_grow_twice_are_a_pool_or_a_leak() {
        let threads = |at, threads| {
            What::Sample(
                at,
                Sample {
                    threads,
                    at_rest: true,
                    ..Sample::default()
                },
            )
        };
        let seen = |after, again| {
            transcript(vec![
                threads(Moment::Baseline, 2),
                threads(Moment::After, after),
                threads(Moment::Again, again),
            ])
        };
        let few = judge(&trial(vec![]), &seen(8, 14));
        assert!(matches!(few, Verdict::Inconclusive(_)), "{few:?}");
        let many = judge(&trial(vec![]), &seen(202, 402));
        assert!(matches!(many, Verdict::Fail(_)), "{many:?}");
    }

    #[test]
    fn reply_that_still_arrives_at_the_limit_proves_nothing() {
        let limit = Duration::from_secs(20);
        let at = |seconds, what| Event {
            at: Duration::from_millis(seconds),
            what,
        };
        let seen = |received| Transcript {
            events: vec![
                at(0, What::Act(Act::Script)),
                at(0, What::StepBegan(0)),
                at(
                    received,
                    What::Client(ALICE, ClientEvent::Received(b"HEL".to_vec())),
                ),
                at(
                    20_000,
                    What::StepEnded {
                        step: 0,
                        member: Some(0),
                        how: Ended::OutOfTime(limit),
                    },
                ),
            ],
        };
        let arriving = judge(&expects_hello(), &seen(19_900));
        assert!(matches!(arriving, Verdict::Inconclusive(_)), "{arriving:?}");
        let stuck = judge(&expects_hello(), &seen(2_000));
        assert!(matches!(stuck, Verdict::Fail(_)), "{stuck:?}");
    }

    #[test]
    fn sockets_that_grow_once_are_a_pool() {
        assert_eq!(judge(&trial(vec![]), &samples([1, 6, 6])), Verdict::Pass);
    }
}
