//! What is known of the server at a point of the transcript.

use crate::kernel::Toil;
use crate::model::expectation::ServerExpectation;
use crate::transcript::client_state::Progress;
use crate::transcript::event::{Event, Exit, ServerEvent, What};
use crate::transcript::instead::Instead;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is known of the server at a point of the transcript.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerState {
    pub(crate) exit: Option<Exit>,
    gone: bool,
    left_behind: usize,
    pub(crate) start_failed: Option<String>,
    pub(crate) second: Option<SecondInstance>,
    queue: Option<u32>,
    backlog: Option<u32>,
    time_wait: Option<usize>,
    rests: bool,
    pub(crate) cpu_percent: u32,
    pub(crate) spins: bool,
    toil: Option<Toil>,
    open_files: Option<(u64, u64)>,
    out_of_files: bool,
    all_answered: bool,
    pub(crate) ran: Duration,
    /// How long its threads waited for a processor meanwhile.
    pub(crate) lacked: Duration,
    pub(crate) file_removed: bool,
    /// The program that has its listening socket.
    pub(crate) inherited_by: Option<String>,
    descriptors: Option<(u32, u64)>,
    /// What was waited for and has been printed.
    printed: Vec<Vec<u8>>,
}

/// What became of a second instance on the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondInstance {
    /// It ended.
    Ended(Exit),
    /// It lives in the place of the first one.
    Lives,
    /// It runs without the address.
    RunsWithout,
    /// It listens at the same port.
    Shares,
    /// It has the address in place of the first one, which runs on without clients.
    TakesOver,
    /// A time-out of its own may still wake it.
    Tries,
    /// It listens at an address of its own, and asks for none that is taken.
    Elsewhere,
}

impl ServerState {
    /// Takes an event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        if let What::Server(event) = &event.what {
            self.take(event);
        }
    }

    fn take(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::Started { .. } | ServerEvent::Elsewhere => {
                *self = Self::default();
            }
            ServerEvent::StartFailed(reason) => self.start_failed = Some(reason.clone()),
            ServerEvent::SecondEnded(exit, _) => self.second = Some(SecondInstance::Ended(*exit)),
            ServerEvent::SecondLives => self.second = Some(SecondInstance::Lives),
            ServerEvent::SecondWithout => self.second = Some(SecondInstance::RunsWithout),
            ServerEvent::SecondShares => self.second = Some(SecondInstance::Shares),
            ServerEvent::SecondTakesOver => self.second = Some(SecondInstance::TakesOver),
            ServerEvent::SecondTries => self.second = Some(SecondInstance::Tries),
            ServerEvent::SecondElsewhere(_) => self.second = Some(SecondInstance::Elsewhere),
            ServerEvent::ListenerInherited { program, .. } => {
                self.inherited_by = Some(program.clone());
            }
            ServerEvent::Descriptors { highest, limit } => {
                self.descriptors = Some((*highest, *limit));
            }
            ServerEvent::AllAnswered(all) => self.all_answered = *all,
            ServerEvent::FileRemoved => self.file_removed = true,
            ServerEvent::Exited(exit) => self.exit = Some(*exit),
            ServerEvent::Gone => self.gone = true,
            ServerEvent::Printed(text) => self.printed.push(text.clone()),
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
            ServerEvent::Ran(time) => (self.ran, self.lacked) = (*time, Duration::ZERO),
            ServerEvent::Lacked(time) => self.lacked = *time,
            ServerEvent::Toils(toil) => self.toil = Some(*toil),
            ServerEvent::OpenFiles {
                held,
                limit,
                waiting,
                settled,
            } => {
                self.open_files = Some((*held, *limit));
                // Where nobody waits, the next one has yet to come for whom no descriptor is left.
                let full = *waiting > 0 && *held >= *limit;
                self.out_of_files = full || *settled && *held + 1 >= *limit;
            }
            ServerEvent::ProcessEnded { .. }
            | ServerEvent::InBackground
            | ServerEvent::NoLongerListens
            | ServerEvent::Replaced
            | ServerEvent::Killed
            | ServerEvent::LetGo(_)
            | ServerEvent::NotLetGo(_)
            | ServerEvent::Stopped
            | ServerEvent::Continued
            | ServerEvent::Signalled { .. }
            | ServerEvent::Output(_)
            | ServerEvent::OutputCut(_)
            | ServerEvent::Workers(_)
            | ServerEvent::OpenFilesLimited(_)
            | ServerEvent::Answered { .. }
            | ServerEvent::TimeWaitOfClients(_)
            | ServerEvent::PathRemains(_)
            | ServerEvent::Alarm { .. }
            | ServerEvent::Burst { .. }
            | ServerEvent::ListensNotYet(_)
            | ServerEvent::Grace { .. }
            | ServerEvent::Occupied(_) => {}
        }
    }

    /// Looks for what is expected of the server.
    pub(crate) fn look(&self, what: &ServerExpectation) -> Progress {
        match what {
            ServerExpectation::Exit(wanted) => match self.exit {
                None => Progress::Pending,
                Some(exit) if exit.is_crash() => Progress::Broken(Instead::Exited(exit)),
                Some(exit) => match wanted {
                    Some(status) if exit != Exit::Status(*status) => {
                        Progress::Broken(Instead::Exited(exit))
                    }
                    _ => Progress::Met,
                },
            },
            ServerExpectation::Output(text) if self.printed.contains(text) => Progress::Met,
            // Whoever has ended prints nothing more.
            ServerExpectation::Output(_) => match self.exit {
                Some(exit) => Progress::Broken(Instead::Exited(exit)),
                None => Progress::Pending,
            },
            ServerExpectation::Gone if self.gone => Progress::Met,
            ServerExpectation::Gone => Progress::Pending,
            ServerExpectation::AcceptQueue(wanted) => met_when(self.queue == Some(*wanted)),
            ServerExpectation::Backlog(wanted) => met_when(self.backlog == Some(*wanted)),
            ServerExpectation::TimeWait => met_when(self.time_wait.is_some_and(|rows| rows > 0)),
            ServerExpectation::NoTimeWait => met_when(self.time_wait == Some(0)),
            ServerExpectation::Rest => met_when(self.rests),
            ServerExpectation::Descriptor(least) => met_when(
                self.descriptors
                    .is_some_and(|(highest, _)| highest >= *least),
            ),
            ServerExpectation::OutOfFiles => met_when(self.out_of_files),
            // Who has ended calls no more.
            ServerExpectation::Answered => match self.exit {
                Some(exit) => Progress::Broken(Instead::Exited(exit)),
                None => met_when(self.all_answered),
            },
        }
    }

    /// What is the case instead of what was expected.
    pub(crate) fn instead(&self, what: &ServerExpectation) -> Instead {
        match what {
            ServerExpectation::Exit(_) => Instead::Runs,
            ServerExpectation::Output(_) => Instead::NotPrinted,
            ServerExpectation::Gone => Instead::Processes(self.left_behind.max(1)),
            ServerExpectation::AcceptQueue(_) => Instead::AcceptQueue(self.queue),
            ServerExpectation::Backlog(_) => Instead::Backlog(self.backlog),
            ServerExpectation::TimeWait | ServerExpectation::NoTimeWait => {
                Instead::TimeWait(self.time_wait.unwrap_or(0))
            }
            ServerExpectation::Rest => Instead::Busy {
                percent: self.cpu_percent,
                spins: self.spins,
                toil: self.toil,
            },
            ServerExpectation::Descriptor(_) => {
                let (highest, limit) = self.descriptors.unwrap_or_default();
                Instead::Descriptors { highest, limit }
            }
            ServerExpectation::OutOfFiles => match self.open_files {
                Some((held, limit)) if held < limit => Instead::OpenFiles { held, limit },
                Some((_, limit)) => Instead::NobodyWaits { limit },
                None => Instead::NotLimited,
            },
            ServerExpectation::Answered => Instead::NotAnswered,
        }
    }
}

/// What is known of each backend at a point of the transcript.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackendStates(BTreeMap<String, ServerState>);

impl BackendStates {
    /// Takes an event in.
    pub(crate) fn apply(&mut self, event: &Event) {
        if let What::Backend(name, event) = &event.what {
            self.0.entry(name.clone()).or_default().take(event);
        }
    }

    /// What is known of the backend of this name.
    pub(crate) fn of(&self, name: &str) -> ServerState {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

fn met_when(met: bool) -> Progress {
    if met {
        Progress::Met
    } else {
        Progress::Pending
    }
}
