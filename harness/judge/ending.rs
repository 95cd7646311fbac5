//! The invariant *alive*: whether the server ended, and after what.

use super::cause::{Cause, StepRef};
use crate::model::form::{Ask, Does};
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::scenario::Line;
use crate::model::server_action::Signal;
use crate::model::trial::Trial;
use crate::transcript::event::{Event, Exit, ServerEvent, Transcript, What};

pub(super) fn last_exit(transcript: &Transcript) -> Option<Exit> {
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

/// The signal that was sent to the server, is no order to end, and has ended it, with how it did.
pub(super) fn ended_by(transcript: &Transcript) -> Option<(Signal, Exit)> {
    let (mut sent, mut ended) = (Vec::new(), None);
    for event in transcript.before_repeats() {
        match &event.what {
            What::Server(ServerEvent::Started { .. }) => (sent, ended) = (Vec::new(), None),
            What::Server(ServerEvent::Signalled { signal, .. }) => sent.push(*signal),
            What::Server(ServerEvent::Exited(exit)) => {
                let is_of = |signal: &&Signal| match exit {
                    Exit::Signal(number) => signal.number() == *number,
                    Exit::Status(_) => true,
                };
                // Of an end with a status the last signal is the cause, where it is one.
                let by = sent.iter().rfind(is_of).filter(|by| !by.orders_end());
                ended = by.map(|by| (*by, *exit));
            }
            _ => {}
        }
    }
    ended
}

/// The invariant *listens*: a listening socket that is gone although nobody has told the server to end.
pub(super) fn deafness(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    let mut is_deaf = false;
    let mut is_told = trial.ends_after_one || trial.waives(Invariant::Listens);
    for event in transcript.server_events() {
        match event {
            ServerEvent::NoLongerListens => is_deaf = !is_told,
            // Nobody closes the socket that clients come to for so long because one call has failed.
            ServerEvent::ListensNotYet(_) if transcript.has_rare_answers() => is_deaf = !is_told,
            ServerEvent::Signalled { .. } => is_told = true,
            _ => {}
        }
    }
    is_deaf.then_some(Cause::NoLongerListens)
}

/// A listening socket that is gone, and that the server may still open again.
pub(super) fn deafness_so_far(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    let mut events = transcript.server_events();
    let waits = events.any(|event| matches!(event, ServerEvent::ListensNotYet(_)));
    let is_held = !trial.ends_after_one && !trial.waives(Invariant::Listens);
    (waits && is_held).then_some(Cause::NoLongerListens)
}

/// The invariant *alive*: an end that nobody asked for, or a crash whoever asked.
pub(super) fn unexpected_end(trial: &Trial, transcript: &Transcript) -> Option<Cause> {
    if trial.waives(Invariant::Alive) {
        return None;
    }
    let mut seen = transcript.server_events();
    if seen.any(|event| matches!(event, ServerEvent::Replaced)) {
        return Some(Cause::Replaced);
    }
    let mut life = Life::of(trial);
    let mut events = transcript.events.iter();
    let death = events
        .find_map(|event| life.take_in(event))
        .or(life.unasked)?;
    let after = death.after.map(|line| StepRef::of(line, trial.scenario()));
    let exit = death.exit;
    Some(match death.of {
        Whose::First => Cause::Died { exit, after },
        Whose::Other { worker } => {
            let worker = worker.map(str::to_owned);
            Cause::ProcessDied {
                exit,
                worker,
                after,
            }
        }
    })
}

/// How the server ended, or a process of it, and the last thing before it that a person would look at.
#[derive(Clone, Copy)]
struct Death<'a> {
    of: Whose<'a>,
    exit: Exit,
    after: Option<&'a Line>,
}

/// Whose end it is.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// That of the server's first process.
    First,
    /// That of another one, which is called so where it is a worker.
    Other { worker: Option<&'a str> },
}

/// What has been asked of the server that runs, and what it did.
struct Life<'a> {
    trial: &'a Trial,
    steps: Vec<&'a Line>,
    phase: Phase,
    asked: Asked,
    /// The step that says what calls of the server are answered with.
    answering: Option<&'a Line>,
    /// That step, once a call has had its answer: of whatever clients do meanwhile, it is the first that an end may come of.
    answered: Option<&'a Line>,
    last: Option<&'a Line>,
    /// A step has begun that is to send a signal, and has not sent it yet.
    sends: bool,
    /// It has ended and nobody had asked; the next step may show that its end was awaited.
    unasked: Option<Death<'a>>,
    /// The statuses that processes said which it had for a moment: such are not its workers, wherever they are met.
    of_helpers: Vec<Exit>,
}

impl<'a> Life<'a> {
    fn of(trial: &'a Trial) -> Self {
        Self {
            trial,
            steps: trial.steps(Phase::Scenario),
            phase: Phase::Before,
            asked: Asked::default(),
            answering: None,
            answered: None,
            last: None,
            sends: false,
            unasked: None,
            of_helpers: trial
                .helpers_end_with
                .iter()
                .copied()
                .map(Exit::Status)
                .collect(),
        }
    }

    /// Takes an event in; returns a death that nothing which follows can excuse.
    fn take_in(&mut self, event: &'a Event) -> Option<Death<'a>> {
        match &event.what {
            What::Phase(next) => {
                self.phase = *next;
                self.answered = None;
                self.asked.survived();
                None
            }
            What::StepBegan(step) if self.phase == Phase::Scenario => {
                let line = *self.steps.get(*step)?;
                self.begin(line)
            }
            What::Server(ServerEvent::Signalled { signal, .. }) => {
                self.sends = false;
                self.asked.signals.push(*signal);
                self.asked.unanswered = Some(*signal);
                None
            }
            // It has had an answer that may well be its end.
            What::Server(ServerEvent::Answered { .. }) => {
                self.answered = self.answering;
                None
            }
            What::Server(ServerEvent::Exited(exit)) => {
                self.asked.has_ended = true;
                self.end(*exit)
            }
            What::Server(ServerEvent::ProcessEnded { exit, worker, .. }) => {
                self.end_of_another(*exit, worker.as_deref())
            }
            What::Server(ServerEvent::Started { .. }) => {
                self.asked = Asked::default();
                self.unasked.take()
            }
            _ => None,
        }
    }

    fn begin(&mut self, line: &'a Line) -> Option<Death<'a>> {
        let does = line.step.form().does;
        if matches!(does, Does::Answers(_)) {
            (self.answering, self.answered) = (Some(line), None);
        }
        if does.is_deed() || does == Does::Passes {
            self.last = Some(line);
        }
        if does.is_deed() {
            self.asked.survived();
        }
        self.sends = matches!(does, Does::Signals(_));
        match does.asks() {
            // Who waits for the end may be told of it before the step has begun.
            Some(Ask::End(None)) => {
                self.asked.awaited = true;
                self.unasked = None;
            }
            // What still runs then is ended by us; a signal asks when it has been sent.
            Some(Ask::Run) | Some(Ask::End(Some(_))) if !self.sends => {
                self.asked.signals.push(Signal::Kill);
                return self.unasked.take();
            }
            // To leave a server that is no more asks nothing of it.
            _ if does.is_deed() && does != Does::Leaves => return self.unasked.take(),
            _ => {}
        }
        None
    }

    fn end(&mut self, exit: Exit) -> Option<Death<'a>> {
        let served_its_one = self.trial.ends_after_one && exit == Exit::Status(0);
        if served_its_one || self.asked.for_this(exit) {
            return None;
        }
        let after = self.answered.or(self.last);
        let death = Death {
            of: Whose::First,
            exit,
            after,
        };
        // What nobody may wait for, and who ends before the signal is sent has not ended by it.
        if is_violent(exit) || self.sends {
            return Some(death);
        }
        self.unasked = Some(death);
        None
    }

    /// A process that is not the first one has ended: what crashes does so whoever asked, and a worker is told to end by
    /// the server's first process, which a signal may have told to, or the end of it.
    fn end_of_another(&mut self, exit: Exit, worker: Option<&'a str>) -> Option<Death<'a>> {
        if worker.is_none() {
            self.of_helpers.push(exit);
        }
        let is_asked = self.asked.for_others() || self.of_helpers.contains(&exit);
        // One that ends itself over an error of the kernel may be replaced by another: whether clients are served tells.
        let is_excused = (is_asked || self.answering.is_some()) && !exit.is_crash();
        (is_defect(exit, worker.is_some()) && !is_excused).then_some(Death {
            of: Whose::Other { worker },
            exit,
            after: self.answered.or(self.last),
        })
    }
}

/// Whether the end of a process that is not the server's first is a defect by itself. What a process that was there for one
/// client says with its status, or dies of with SIGPIPE, may well be that its client has left.
fn is_defect(exit: Exit, is_worker: bool) -> bool {
    match exit {
        Exit::Signal(libc::SIGPIPE) => is_worker,
        Exit::Signal(_) => exit.is_crash(),
        Exit::Status(_) => is_worker,
    }
}

/// Whether it is an end that nobody may wait for: a crash, or somebody's SIGKILL.
fn is_violent(exit: Exit) -> bool {
    exit.is_crash() || exit == Exit::Signal(libc::SIGKILL)
}

/// In which ways the server that runs has been asked to end.
#[derive(Default)]
struct Asked {
    /// By these signals.
    signals: Vec<Signal>,
    /// The last of them, where nothing has been done to the server since.
    unanswered: Option<Signal>,
    /// In any good order.
    awaited: bool,
    /// Its first process has ended, and the others have nobody to work for.
    has_ended: bool,
}

impl Asked {
    /// Something else happens: who lives so long has not ended by a signal that need not end anybody.
    fn survived(&mut self) {
        self.unanswered = None;
    }

    /// Whether this is an end that was asked for.
    fn for_this(&self, exit: Exit) -> bool {
        match exit {
            // None of those that are sent is one that a program crashes by.
            Exit::Signal(number) => {
                let sent = self.signals.iter().any(|signal| signal.number() == number);
                sent || (self.awaited && !is_violent(exit))
            }
            Exit::Status(_) => {
                let ordered = self.signals.iter().any(|signal| signal.orders_end());
                self.awaited || ordered || self.unanswered.is_some()
            }
        }
    }

    /// Whether the processes beside the first one may be on their way out.
    fn for_others(&self) -> bool {
        self.has_ended || self.for_this(Exit::Status(0))
    }
}
