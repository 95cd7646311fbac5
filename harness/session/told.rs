//! A scenario that is told as it goes on: its lines come one after the other, from code that nobody has read beforehand.

use super::phases::{Flow, Session, client_of};
use crate::model::error::Error;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario};
use crate::session::client::Client;
use crate::transcript::event::{ServerEvent, What};

impl Session<'_> {
    /// Begins a scenario of which only the clients are known that it has so far.
    pub(crate) async fn begin_told(&mut self, scenario: &Scenario) {
        self.enter(Phase::Scenario, scenario).await;
        self.is_told.set(true);
    }

    /// Lets one more client come, who is the next among those of the scenario. Where no server runs to come to, its place is kept.
    pub(crate) fn let_come(&self, who: usize) {
        self.clients.come(self.newcomer(who));
    }

    /// A client of the server that runs.
    fn newcomer(&self, who: usize) -> Option<Client> {
        let server = self.observer.server.as_ref()?;
        let id = Phase::Scenario.client(who, 0);
        let recorder = &self.observer.recorder;
        Some(client_of(id, server, &self.observer, recorder))
    }

    /// Lets a client go through one line, while others may go through theirs.
    pub(crate) async fn told_of_client(&self, who: usize, line: &Line, number: usize) -> Flow {
        let mut group = self.clients.take(who).unwrap_or_default();
        if group.is_empty() {
            // It has come before there was a server, or there still is none.
            group.extend(self.newcomer(who));
        }
        if group.is_empty() {
            return Flow::Break(());
        }
        let recorder = &self.observer.recorder;
        recorder.know_more(Phase::Scenario.client(who, 0), line);
        self.at_once.set(self.at_once.get() + 1);
        let mut flow = Flow::Continue(());
        for client in &mut group {
            flow = self.client_line(client, line, number).await;
        }
        self.at_once.set(self.at_once.get() - 1);
        self.clients.put_back(who, group);
        flow
    }

    /// Goes through a line that is not one of clients alone.
    ///
    /// # Errors
    /// The host refuses something.
    pub(crate) async fn told_of_server(
        &mut self,
        line: &Line,
        number: usize,
    ) -> Result<Flow, Error> {
        self.line(line, number).await
    }

    /// Ends the scenario that was told so far.
    pub(crate) async fn end_told(&mut self, flow: Flow) {
        self.is_told.set(false);
        if flow.is_continue() {
            // What must never come may have been named in a line, and come late.
            self.observer.hear_nothing_more().await;
        }
        if self.leave(Phase::Scenario, flow).await.is_break() {
            self.observer.record(What::Stopped);
        }
    }

    /// Numbers the steps that were told otherwise: each has the number from now on that stands at the place of its own.
    pub(crate) fn renumber(&mut self, numbers: &[usize]) {
        self.observer.recorder.renumber(numbers);
    }

    /// What a client has captured so far.
    pub(crate) fn captured_by(&self, who: usize) -> Vec<(String, Vec<u8>)> {
        let client_states = self.observer.recorder.client_states();
        client_states.captured_by(Phase::Scenario.client(who, 0))
    }

    /// All that the server has printed since the transcript began.
    pub(crate) fn printed(&self) -> Vec<u8> {
        self.observer.record_output();
        self.seen(|transcript| {
            let events = transcript.server_events();
            let printed = events.filter_map(|event| match event {
                ServerEvent::Output(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            printed.collect::<Vec<_>>().concat()
        })
    }
}
