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
    let doubt = unproven(transcript).or_else(|| pool_or_leak(trial, transcript));
    match doubt {
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
                        idle: is_about_rest(&line.step) && facts.cpu_percent < BUSY && !facts.spins,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// The least share of one processor, in percent, that a server uses which does not rest.
pub(crate) const BUSY: u32 = 20;

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
    spins: bool,
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
            ServerEvent::Rests {
                rests,
                cpu_percent,
                spins,
            } => {
                self.rests = *rests;
                self.cpu_percent = *cpu_percent;
                self.spins = *spins;
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
            ServerExpectation::Rest => {
                let all = if self.spins { ", all that it gets" } else { "" };
                format!("it uses {} % of a processor{all}", self.cpu_percent)
            }
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

/// The baseline and what a figure is after one run, where it has grown by more than may stay without a second run.
fn growth(
    transcript: &Transcript,
    read: impl Fn(&Sample) -> usize,
    may_stay: usize,
) -> Option<(usize, usize)> {
    let baseline = read(transcript.sample(Moment::Baseline)?);
    let after = read(transcript.sample(Moment::After)?);
    (after > baseline + may_stay).then_some((baseline, after))
}

/// A figure that a leak would raise.
struct Figure {
    invariant: Invariant,
    /// How a person calls it.
    name: &'static str,
    read: fn(&Sample) -> usize,
    /// How much may be added by one run and stay, without a second run.
    may_stay: usize,
    /// How much is added until a pool is full, or a heap is collected, by the number of threads that were added.
    pool: fn(usize) -> usize,
    /// What else than a leak grows so.
    or_else: &'static str,
}

const FIGURES: &[Figure] = &[
    Figure {
        invariant: Invariant::OpenFiles,
        name: "open sockets",
        read: |sample| sample.sockets,
        may_stay: 0,
        pool: |_| 0,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::OpenFiles,
        name: "open files",
        read: |sample| sample.files,
        may_stay: 0,
        pool: |workers| workers * FILES_OF_A_WORKER,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Threads,
        name: "threads",
        read: |sample| sample.threads,
        may_stay: 0,
        pool: |_| POOL_BOUND,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Threads,
        name: "processes",
        read: |sample| sample.processes,
        may_stay: 0,
        pool: |_| POOL_BOUND,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Memory,
        name: "mebibytes of memory",
        read: |sample| (sample.memory_bytes >> 20) as usize,
        may_stay: WARM_UP_MIB,
        pool: |workers| HEAP_MIB + workers * MIB_OF_A_WORKER,
        or_else: "a heap that is collected late",
    },
];

const POOL: &str = "a pool being filled";

/// Allocators keep what they were given back, and warm-up costs memory.
const WARM_UP_MIB: usize = 64;

/// As much garbage as a heap may hold before it is collected. Java's starts with a 64th of the machine's memory, and
/// grows from there only when it collects.
const HEAP_MIB: usize = 1 << 10;

/// What a worker may have for itself: its stack, its part of the heap, and, where it is a process, all that it shares
/// with the others and that is counted for each.
const MIB_OF_A_WORKER: usize = 16;

/// As many workers as a pool may have; Tomcat stops at 200, Apache's event workers at 400.
pub(crate) const POOL_BOUND: usize = 512;

/// How often a script is run at most until it is clear whether what it adds is a leak.
const MOST_RUNS: usize = 5;

/// As many files as a worker may hold for itself: an epoll instance, its timer and its bell, a log, a database.
const FILES_OF_A_WORKER: usize = 8;

/// Whether only another run of the script can tell a leak from a pool that is being filled, from children that are
/// waited for when the next client comes, and from garbage that is collected late.
pub fn needs_another_run(trial: &Trial, transcript: &Transcript) -> bool {
    match transcript.samples(Moment::Again).count() {
        0 => needs_second_run(trial, transcript),
        again if again + 1 < MOST_RUNS => {
            growing(trial, transcript).any(|growing| growing.may_tell)
        }
        _ => false,
    }
}

/// Whether more runs can tell what a server adds whose pool was filled from a leak.
pub fn still_grows(trial: &Trial, transcript: &Transcript) -> bool {
    growing(trial, transcript).any(|growing| !growing.is_leak)
}

/// Whether polite clients, one after the other, have to fill what may be a pool, so that one more run can tell.
pub fn needs_filling(trial: &Trial, transcript: &Transcript) -> bool {
    !trial.after.lines.is_empty() && still_grows(trial, transcript)
}

fn needs_second_run(trial: &Trial, transcript: &Transcript) -> bool {
    let has_grown = |figure: &Figure| growth(transcript, figure.read, figure.may_stay).is_some();
    let zombies = growth(transcript, |sample| sample.zombies, 0).is_some();
    FIGURES
        .iter()
        .any(|figure| !trial.waives(figure.invariant) && has_grown(figure))
        || (!trial.waives(Invariant::Zombies) && zombies)
}

fn invariants(trial: &Trial, transcript: &Transcript) -> Vec<String> {
    let Some(after) = transcript.sample(Moment::After) else {
        return Vec::new();
    };
    let leaks = growing(trial, transcript)
        .filter(|growing| growing.is_leak)
        .map(|growing| growing.text);
    let rest = states(transcript, after);
    let rest = rest
        .into_iter()
        .filter(|(invariant, _)| !trial.waives(*invariant));
    leaks.chain(rest.map(|(_, text)| text)).collect()
}

/// A figure that grew again whenever the same was done again.
struct Growing {
    text: String,
    or_else: &'static str,
    /// No pool that is being filled grows so much.
    is_leak: bool,
    /// Few more runs fill the largest pool, and more than that.
    may_tell: bool,
}

/// What grows again when the same is done again, as much as before: a leak does, and a pool until it is full.
fn growing(trial: &Trial, transcript: &Transcript) -> impl Iterator<Item = Growing> {
    FIGURES
        .iter()
        .filter(|figure| !trial.waives(figure.invariant))
        .filter_map(|figure| grows_again(trial, transcript, figure))
}

/// How much a server may add whose pool was filled by one client after the other: a worker for each client that is
/// connected at once, or for one that comes while the last is not done with, until there are some dozens.
fn added_by_haste(trial: &Trial) -> usize {
    let crowd: u32 = trial.script.cast.iter().map(|cast| cast.members).sum();
    (crowd as usize).max(64)
}

fn grows_again(trial: &Trial, transcript: &Transcript, figure: &Figure) -> Option<Growing> {
    let (baseline, after) = growth(transcript, figure.read, figure.may_stay)?;
    let last = transcript.sample(Moment::Again)?;
    let workers = transcript
        .sample(Moment::Baseline)
        .map_or(0, |first| last.threads.saturating_sub(first.threads));
    let pool = (figure.pool)(workers);
    let again: Vec<usize> = transcript.samples(Moment::Again).map(figure.read).collect();
    let since: Vec<usize> = since_filled(transcript).map(figure.read).collect();
    let last = (figure.read)(last);
    let grown = last.saturating_sub(baseline);
    let first = after - baseline;
    // A pool that is full grows no more; what came before it was says nothing.
    let added = since
        .first()
        .map_or(0, |filled| last.saturating_sub(*filled));
    let counts_workers = figure.invariant == Invariant::Threads;
    let is_leak = grown > pool || counts_workers && added > added_by_haste(trial);
    let times = match again.len() {
        1 => String::new(),
        times => format!(" {times} times"),
    };
    let seen = if since.is_empty() {
        [&[after], &again[..]].concat()
    } else {
        since
    };
    goes_on(first, &seen).then(|| Growing {
        text: format!(
            "{} are not back to the baseline: {baseline} before, {after} after, {last} after the same again{times}",
            figure.name
        ),
        or_else: figure.or_else,
        is_leak,
        may_tell: !is_leak && first * MOST_RUNS > pool,
    })
}

/// The sample of a pool that was filled, and those after it.
fn since_filled(transcript: &Transcript) -> impl Iterator<Item = &Sample> {
    let samples = transcript
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Sample(moment, sample) => Some((*moment, sample)),
            _ => None,
        });
    let samples = samples.skip_while(|(moment, _)| *moment != Moment::Filled);
    samples.map(|(_, sample)| sample)
}

/// Whether each step is as large as the first one was, or nearly so.
fn goes_on(first: usize, seen: &[usize]) -> bool {
    let mut steps = seen.windows(2);
    steps.all(|step| is_as_large(step[1].saturating_sub(step[0]) as u64, first as u64))
}

fn is_as_large(step: u64, first: u64) -> bool {
    step * 4 >= first * 3
}

/// What was added and stays, and may be of use: thread pools add a worker a task until they are full, and a heap of
/// garbage grows until it is collected.
fn pool_or_leak(trial: &Trial, transcript: &Transcript) -> Option<String> {
    growing(trial, transcript)
        .find(|growing| !growing.is_leak)
        .map(|growing| format!("{}; {} does the same", growing.text, growing.or_else))
}

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
    let unreaped = transcript
        .sample(Moment::Again)
        .map_or(0, |again| again.unreaped);
    if unreaped > baseline.zombies {
        let text = format!(
            "{unreaped} children have ended and were not waited for, though clients have come since"
        );
        found.push((Invariant::Zombies, text));
    }
    if !after.at_rest && baseline.at_rest && (after.cpu_percent >= 50 || after.spins) {
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
    let printed = after.output_bytes - baseline.output_bytes.min(after.output_bytes);
    if printed > OUTPUT_BOUND + LOGGED_FOR_A_BYTE * sent_bytes(transcript) {
        let text = format!("the server printed {} MiB", printed >> 20);
        found.push((Invariant::Output, text));
    }
    found
}

/// What a server may print during a scenario: a line a connection is fair, a line a turn of a busy loop is not.
const OUTPUT_BOUND: u64 = 8 << 20;

/// What a server may print beside that for each byte it is sent: one that logs its traffic in hexadecimal, as it comes
/// and as it goes, prints about ten.
const LOGGED_FOR_A_BYTE: u64 = 16;

fn sent_bytes(transcript: &Transcript) -> u64 {
    let sent = transcript.events.iter().map(|event| match &event.what {
        What::Client(_, ClientEvent::Sent(bytes)) => bytes.len() as u64,
        _ => 0,
    });
    sent.sum()
}

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

    /// What is seen at the three moments.
    fn sampled(samples: impl IntoIterator<Item = Sample>) -> Transcript {
        let moments = [Moment::Baseline, Moment::After].into_iter();
        let moments = moments.chain(std::iter::repeat(Moment::Again));
        let events = moments.zip(samples).map(|(at, sample)| {
            let at_rest = true;
            What::Sample(at, Sample { at_rest, ..sample })
        });
        transcript(events.collect())
    }

    fn samples(figures: [usize; 3]) -> Transcript {
        sampled(figures.map(|sockets| Sample {
            sockets,
            ..Sample::default()
        }))
    }

    #[test]
    fn sockets_that_grow_with_every_run_are_a_leak() {
        let reason = reason(judge(&trial(vec![]), &samples([1, 6, 11])));
        assert!(reason.starts_with("open sockets are not back"), "{reason}");
    }

    fn threads(threads: usize) -> Sample {
        Sample {
            threads,
            ..Sample::default()
        }
    }

    #[test]
    fn workers_that_grow_twice_are_a_pool_or_a_leak() {
        let few = judge(&trial(vec![]), &sampled([2, 8, 14].map(threads)));
        assert!(matches!(few, Verdict::Inconclusive(_)), "{few:?}");
        let many = judge(&trial(vec![]), &sampled([2, 202, 402, 602].map(threads)));
        assert!(matches!(many, Verdict::Fail(_)), "{many:?}");
    }

    #[test]
    fn workers_are_added_until_their_pool_is_full_or_larger_than_any() {
        let goes_on = |seen: &[usize]| {
            let seen = sampled(seen.iter().copied().map(threads));
            needs_another_run(&trial(vec![]), &seen)
        };
        assert!(goes_on(&[20, 220]));
        assert!(goes_on(&[20, 220, 400]));
        assert!(!goes_on(&[20, 220, 400, 400]));
        let full = sampled([20, 220, 400, 400].map(threads));
        assert_eq!(judge(&trial(vec![]), &full), Verdict::Pass);
        assert!(!goes_on(&[20, 220, 420, 620]));
        // So few at a time would take all day.
        assert!(!goes_on(&[20, 21, 22]));
    }

    #[test]
    fn workers_that_are_added_once_a_pool_is_full_are_a_leak() {
        let seen = |filled: usize, again: &[usize]| {
            let mut seen = sampled([2, 8, 14].map(threads));
            let again = again.iter().map(|figure| (Moment::Again, *figure));
            for (moment, figure) in std::iter::once((Moment::Filled, filled)).chain(again) {
                let at_rest = true;
                let sample = Sample {
                    at_rest,
                    ..threads(figure)
                };
                let what = What::Sample(moment, sample);
                let at = Duration::ZERO;
                seen.events.push(Event { at, what });
            }
            (
                still_grows(&trial(vec![]), &seen),
                judge(&trial(vec![]), &seen),
            )
        };
        assert_eq!(seen(64, &[64]), (false, Verdict::Pass));
        assert_eq!(seen(14, &[20, 20]), (false, Verdict::Pass));
        assert!(matches!(
            seen(14, &[20, 26]),
            (true, Verdict::Inconclusive(_))
        ));
        assert!(matches!(seen(14, &[44, 84]), (false, Verdict::Fail(_))));
        assert!(matches!(seen(614, &[620]), (false, Verdict::Fail(_))));
    }

    #[test]
    fn files_that_grow_with_the_workers_may_be_theirs() {
        let held = |files_of_one: usize, workers: usize| Sample {
            threads: 1 + workers,
            files: 3 + workers * files_of_one,
            ..Sample::default()
        };
        let own = [0, 20, 40].map(|workers| held(2, workers));
        let own = judge(&trial(vec![]), &sampled(own));
        assert!(matches!(own, Verdict::Inconclusive(_)), "{own:?}");
        let too_many = [0, 20, 40].map(|workers| held(20, workers));
        let reason = reason(judge(&trial(vec![]), &sampled(too_many)));
        assert!(reason.starts_with("open files are not back"), "{reason}");
    }

    #[test]
    fn children_that_are_waited_for_when_the_next_client_comes_are_no_zombies() {
        let zombies = |(zombies, unreaped)| Sample {
            zombies,
            unreaped,
            ..Sample::default()
        };
        let late = sampled([(0, 0), (13, 0), (20, 0)].map(zombies));
        assert!(needs_second_run(&trial(vec![]), &late));
        assert_eq!(judge(&trial(vec![]), &late), Verdict::Pass);
        let never = sampled([(1, 0), (14, 1), (27, 14)].map(zombies));
        let reason = reason(judge(&trial(vec![]), &never));
        assert!(reason.starts_with("14 children have ended"), "{reason}");
    }

    fn memory(mebibytes: u64) -> Sample {
        Sample {
            memory_bytes: mebibytes << 20,
            ..Sample::default()
        }
    }

    #[test]
    fn memory_that_grows_once_is_a_warm_heap() {
        let little = sampled([40, 90, 90].map(memory));
        assert!(!needs_another_run(&trial(vec![]), &little));
        let once = sampled([40, 640, 700].map(memory));
        assert!(needs_second_run(&trial(vec![]), &once));
        assert_eq!(judge(&trial(vec![]), &once), Verdict::Pass);
    }

    #[test]
    fn memory_that_grows_with_every_run_is_garbage_or_a_leak() {
        let little = sampled([40, 140, 240].map(memory));
        assert!(still_grows(&trial(vec![]), &little));
        let little = judge(&trial(vec![]), &little);
        assert!(
            matches!(&little, Verdict::Inconclusive(reason) if reason.contains("a heap")),
            "{little:?}"
        );
        let reason = reason(judge(&trial(vec![]), &sampled([40, 640, 1240].map(memory))));
        assert!(
            reason.starts_with("mebibytes of memory are not"),
            "{reason}"
        );
    }

    #[test]
    fn memory_of_workers_is_theirs() {
        let of = |workers: usize| Sample {
            threads: 1 + workers,
            ..memory(40 + 8 * workers as u64)
        };
        let prefork = judge(&trial(vec![]), &sampled([0, 150, 300].map(of)));
        assert!(matches!(prefork, Verdict::Inconclusive(_)), "{prefork:?}");
    }

    #[test]
    fn log_may_be_as_long_as_what_it_tells_of() {
        let printed = |mebibytes: u64| Sample {
            output_bytes: mebibytes << 20,
            ..Sample::default()
        };
        let mut seen = sampled([0, 40, 40].map(printed));
        let reason = reason(judge(&trial(vec![]), &seen));
        assert_eq!(reason, "the server printed 40 MiB");
        let sent = ClientEvent::Sent(vec![0; 4 << 20]);
        seen.events.push(Event {
            at: Duration::ZERO,
            what: What::Client(ALICE, sent),
        });
        assert_eq!(judge(&trial(vec![]), &seen), Verdict::Pass);
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
