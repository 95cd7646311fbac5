//! The clients that are there, by the names of a scenario, and the bystander.

use super::client::Client;
use crate::model::phase::Phase;

/// The clients of a phase, a group for each name, and those who stand by meanwhile.
#[derive(Default)]
pub(super) struct Clients {
    groups: Vec<Vec<Client>>,
    bystanders: Vec<Vec<Client>>,
}

impl Clients {
    /// All of the phase.
    pub(super) fn all(&self) -> impl Iterator<Item = &Client> {
        self.groups.iter().flatten()
    }

    /// Whether anybody has a connection, of the phase or standing by.
    pub(super) fn is_anybody_connected(&self) -> bool {
        let bystanders = self.bystanders.iter().flatten();
        self.all().chain(bystanders).any(Client::is_connected)
    }

    /// All of the phase leave.
    pub(super) async fn leave(&mut self) {
        for client in self.groups.iter_mut().flatten() {
            client.close().await;
        }
        self.groups.clear();
    }

    /// Everybody leaves, whoever stood by too.
    pub(super) async fn leave_all(&mut self) {
        self.groups.append(&mut self.bystanders);
        self.leave().await;
    }

    /// Those of a phase come: whoever stood by comes back, or new ones are made.
    pub(super) fn enter(&mut self, phase: Phase, made: impl FnOnce() -> Vec<Vec<Client>>) {
        self.groups = match phase {
            Phase::BystanderAgain => std::mem::take(&mut self.bystanders),
            _ => made(),
        };
    }

    /// Those of the phase stand by while others come.
    pub(super) fn stand_by(&mut self) {
        self.bystanders = std::mem::take(&mut self.groups);
    }

    /// Takes out those behind a name, so that each can go its own way.
    pub(super) fn take(&mut self, who: usize) -> Option<Vec<Client>> {
        self.groups.get_mut(who).map(std::mem::take)
    }

    /// Puts them back.
    pub(super) fn put_back(&mut self, who: usize, group: Vec<Client>) {
        if let Some(place) = self.groups.get_mut(who) {
            *place = group;
        }
    }
}
