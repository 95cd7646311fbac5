//! What the scenario has done to the server, or the kernel for it, for which nobody can blame the server.

use super::cause::Cause;
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::form::Does;
use crate::model::scenario::{Line, Step};
use crate::model::server_action::{ServerAction, Signal};
use crate::transcript::event::{ClientEvent, ClientId, Event, ServerEvent, What};
use crate::transcript::instead::Instead;
use std::collections::HashSet;

/// Why a client cannot count on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Its connection was to a server whose processes we have killed.
    Killed,
    /// The server was told to end by this signal, and need not let anybody in.
    ToldToEnd(Signal),
    /// The server may open no more than so many files.
    FilesLimited(u64),
    /// The kernel keeps clients from the server that have not spoken.
    Deferred,
}

/// What was done by a point of the transcript.
#[derive(Default)]
pub(super) struct Deeds {
    /// What is done in the step that has begun.
    does: Option<Does>,
    limit: Option<u64>,
    /// The case asks what the server does when it runs out of files.
    is_about_files: bool,
    told: Option<Signal>,
    connected: HashSet<ClientId>,
    /// Those whose connections were to a server that we have killed.
    orphans: HashSet<ClientId>,
    deferred: HashSet<ClientId>,
}

impl Deeds {
    /// A step begins.
    pub(super) fn begin(&mut self, line: &Line) {
        self.does = Some(line.step.form().does);
        if let Step::Server(
            ServerAction::Expect { what, .. } | ServerAction::Require { what, .. },
        ) = &line.step
        {
            self.is_about_files |= *what == ServerExpectation::OutOfFiles;
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match &event.what {
            What::Client(id, event) => self.of_client(*id, event),
            What::Server(event) => self.of_server(event),
            _ => {}
        }
    }

    fn of_client(&mut self, id: ClientId, event: &ClientEvent) {
        match event {
            ClientEvent::Connecting => {
                self.orphans.remove(&id);
                self.deferred.remove(&id);
                self.connected.insert(id);
            }
            ClientEvent::Deferred => {
                self.deferred.insert(id);
            }
            // Whoever has spoken is handed over.
            ClientEvent::Sent(_) | ClientEvent::Hello { .. } | ClientEvent::Accepted => {
                self.deferred.remove(&id);
            }
            _ => {}
        }
    }

    fn of_server(&mut self, event: &ServerEvent) {
        match event {
            ServerEvent::Started { .. } => (self.told, self.limit) = (None, None),
            ServerEvent::Killed => self.orphans.extend(self.connected.drain()),
            ServerEvent::Signalled { signal, .. } => {
                if *signal == Signal::Kill {
                    self.orphans.extend(self.connected.drain());
                }
                if signal.orders_end() {
                    self.told = Some(*signal);
                }
            }
            ServerEvent::OpenFilesLimited(limit) => {
                let is_lowered = self.does == Some(Does::LimitsFiles);
                self.limit = is_lowered.then_some(*limit);
            }
            _ => {}
        }
    }

    /// What excuses the server, where a step failed so of a client, or of nobody in particular.
    pub(super) fn excuse(&self, client: Option<ClientId>, cause: &Cause) -> Option<Deed> {
        match (client, cause) {
            (
                Some(id),
                Cause::StepFailed {
                    expected, instead, ..
                },
            ) => self.of(id, expected, instead),
            (
                None,
                Cause::ServerStepFailed {
                    expected: ServerExpectation::AcceptQueue(_),
                    ..
                },
            ) => match self.deferred.is_empty() {
                true => self.files(),
                false => Some(Deed::Deferred),
            },
            _ => None,
        }
    }

    fn of(&self, id: ClientId, expected: &Expectation, instead: &Instead) -> Option<Deed> {
        let awaits_the_server = matches!(expected, Expectation::End { .. } | Expectation::Taken);
        if self.deferred.contains(&id) && awaits_the_server {
            return Some(Deed::Deferred);
        }
        if self.orphans.contains(&id) {
            return Some(Deed::Killed);
        }
        let is_kept_out = matches!(instead, Instead::NotConnected(_));
        let told = self.told.filter(|_| is_kept_out).map(Deed::ToldToEnd);
        told.or_else(|| self.files())
    }

    fn files(&self) -> Option<Deed> {
        let limit = self.limit.filter(|_| !self.is_about_files);
        limit.map(Deed::FilesLimited)
    }
}
