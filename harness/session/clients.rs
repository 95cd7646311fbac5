//! The clients that are there, by the names of a scenario, and the bystander.

use super::client::Client;
use crate::model::phase::Phase;
use std::cell::RefCell;

/// The clients of a phase, a group for each name, and those who stand by meanwhile.
#[derive(Default)]
pub(super) struct Clients {
    groups: RefCell<Vec<Vec<Client>>>,
    bystanders: Vec<Vec<Client>>,
}

impl Clients {
    /// Looks at all of the phase, but for those who go their own way.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Client>) -> T) -> T {
        look(&mut self.groups.borrow().iter().flatten())
    }

    /// Whether this is so of any of the phase.
    pub(super) fn any(&self, is: impl Fn(&Client) -> bool) -> bool {
        self.look(|mut all| Iterator::any(&mut all, is))
    }

    /// Whether this is so of all of the phase.
    pub(super) fn all(&self, are: impl Fn(&Client) -> bool) -> bool {
        self.look(|mut all| Iterator::all(&mut all, are))
    }

    /// Whether anybody has a connection, of the phase or standing by.
    pub(super) fn is_anybody_connected(&self) -> bool {
        let mut bystanders = self.bystanders.iter().flatten();
        self.any(Client::is_connected) || bystanders.any(Client::is_connected)
    }

    /// All of the phase leave.
    pub(super) async fn leave(&mut self) {
        for client in self.groups.get_mut().iter_mut().flatten() {
            client.close().await;
        }
        self.groups.get_mut().clear();
    }

    /// Everybody leaves, whoever stood by too.
    pub(super) async fn leave_all(&mut self) {
        self.groups.get_mut().append(&mut self.bystanders);
        self.leave().await;
    }

    /// Those of a phase come: whoever stood by comes back, or new ones are made.
    pub(super) fn enter(&mut self, phase: Phase, made: impl FnOnce() -> Vec<Vec<Client>>) {
        let groups = match phase {
            Phase::BystanderAgain => std::mem::take(&mut self.bystanders),
            _ => made(),
        };
        self.groups.replace(groups);
    }

    /// One more name, with a client behind it where one comes.
    pub(super) fn come(&self, client: Option<Client>) {
        self.groups.borrow_mut().push(client.into_iter().collect());
    }

    /// Those of the phase stand by while others come.
    pub(super) fn stand_by(&mut self) {
        self.bystanders = self.groups.take();
    }

    /// Takes out those behind a name, so that each can go its own way.
    pub(super) fn take(&self, who: usize) -> Option<Vec<Client>> {
        let mut groups = self.groups.borrow_mut();
        groups.get_mut(who).map(std::mem::take)
    }

    /// Puts them back.
    pub(super) fn put_back(&self, who: usize, group: Vec<Client>) {
        if let Some(place) = self.groups.borrow_mut().get_mut(who) {
            *place = group;
        }
    }
}
