//! What stands above the cases of a file and is shared by them, its own or of files that it includes.

use super::diagnostic::{Diagnostic, Place};
use super::payload::Payload;
use super::statement::Statement;
use super::terms::Terms;
use crate::model::mistake::Mistake;
use crate::model::scenario::{ClientGroup, Line, Step, Waiver, text_of, with_each_step};

/// The steps that each case begins with, and who takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// The clients, which all cases have.
    pub(crate) clients: Vec<ClientGroup>,
    /// The invariants that no case holds the server to.
    pub(crate) waived: Vec<Waiver>,
    /// The steps.
    pub(crate) lines: Vec<Line>,
    /// Where those of other files stand, in the order of the text, those that begin a block included.
    pub(crate) origins: Vec<Origin>,
}

/// Where a step stands that another file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// What messages call the file.
    pub(crate) file: String,
    /// The line, counted from one; 0 where the file has no lines of its own.
    pub(crate) number: usize,
    /// What it says.
    pub(crate) text: String,
}

impl Setup {
    /// Puts another one behind it, whose steps name its own clients.
    pub(super) fn add(&mut self, other: Self) {
        let before = self.clients.len();
        let moved = |step: &Step| match step {
            Step::Client { who, action } => Step::Client {
                who: who + before,
                action: action.clone(),
            },
            step => step.clone(),
        };
        self.lines.extend(with_each_step(&other.lines, &moved));
        self.clients.extend(other.clients);
        self.waived.extend(other.waived);
        self.origins.extend(other.origins);
    }

    /// Its own part as a file has it, behind so many clients of others.
    pub(super) fn text(&self, others: usize) -> String {
        let mut text = "setup\n".to_owned();
        text.push_str(&heading(&self.clients[others..], &self.waived, &[]));
        text.push('\n');
        text.push_str(&text_of(&self.lines, &self.clients));
        text
    }
}

/// What stands between the name of a case, or of a setup, and its steps.
pub(super) fn heading(clients: &[ClientGroup], waived: &[Waiver], terms: &[String]) -> String {
    let mut text = String::new();
    for line in terms {
        text.push_str(&format!("  {line}\n"));
    }
    if !clients.is_empty() {
        let clients: Vec<_> = clients.iter().map(ClientGroup::to_string).collect();
        text.push_str(&format!("  clients: {}\n", clients.join(" ")));
    }
    for waiver in waived {
        text.push_str(&format!("  waive: {waiver}\n"));
    }
    text
}

/// A server that stands behind the one that is drilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Backend {
    /// Its name in steps, and in the target's placeholders.
    pub(crate) name: String,
    /// Its target, by name or file; nothing where the server's own target has it.
    pub(crate) server: Option<String>,
}

/// Where a file names the targets of backends, which makes no difference to what it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namings(Vec<Naming>);

impl PartialEq for Namings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Namings {}

impl Namings {
    /// Adds where this is said, if it names one.
    pub(super) fn add(&mut self, naming: Option<Naming>) {
        self.0.extend(naming);
    }

    /// Adds those of another file.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The mistake that the target of the backend of this name makes of where it is named.
    pub(super) fn mistake(&self, of: &str, message: &str) -> Option<Mistake> {
        let mut all = self.0.iter();
        let naming = all.find(|naming| naming.backend == of)?;
        Some(Mistake {
            message: message.to_owned(),
            ..naming.place.clone()
        })
    }
}

/// Where a file names the target of a backend.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    /// The name of that backend.
    backend: String,
    /// The place, of which nothing wrong is told yet.
    place: Mistake,
}

impl Naming {
    /// Where this is said; nothing where it names no backend.
    pub(super) fn of(said: &Statement, place: Place<'_>) -> Option<Self> {
        let Statement::Backend(Backend { name, server }) = said else {
            return None;
        };
        let (backend, value) = (name.clone(), server.as_ref().unwrap_or(name));
        let end = place.text.trim_end().len();
        let found = place.text.rfind(value.as_str());
        let span = found.map_or(0..end, |at| at..at + value.len());
        let place = Diagnostic::new(span, "").at(place);
        Some(Self { backend, place })
    }
}

/// What a file has above its cases, with what the files have that it includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// The servers that stand behind the drilled one.
    pub(crate) backends: Vec<Backend>,
    /// Where their targets are named.
    pub(super) namings: Namings,
    /// The data that has names.
    pub(crate) payloads: Vec<Payload>,
    /// On what terms cases are run.
    pub(crate) terms: Terms,
    /// What cases begin with.
    pub(crate) setup: Setup,
}

impl Shared {
    /// Puts what another file shares behind it.
    ///
    /// # Errors
    /// Both give a name to something.
    pub(super) fn add(&mut self, other: Self) -> Result<(), String> {
        let of_payloads = other.payloads.iter().find(|payload| {
            let mut own = self.payloads.iter();
            own.any(|own| own.name == payload.name)
        });
        if let Some(payload) = of_payloads {
            return Err(format!("there is a payload `{}` already", payload.name));
        }
        let of_backends = other.backends.iter().find(|backend| {
            let mut own = self.backends.iter();
            own.any(|own| own.name == backend.name)
        });
        if let Some(backend) = of_backends {
            return Err(format!("there is a backend `{}` already", backend.name));
        }
        let of_clients = other.setup.clients.iter().find(|group| {
            let mut own = self.setup.clients.iter();
            own.any(|own| own.name == group.name)
        });
        if let Some(group) = of_clients {
            return Err(format!("there is a client `{}` already", group.name));
        }
        self.backends.extend(other.backends);
        self.namings.extend(other.namings);
        self.payloads.extend(other.payloads);
        self.terms = other.terms.within_those(&self.terms);
        self.setup.add(other.setup);
        Ok(())
    }
}
