//! What every server is held to after every scenario, seen from outside.

use super::literal::name_in;

/// What every server is held to after every scenario, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Invariant {
    /// No exit and no crash signal, of a worker either.
    Alive,
    /// The listening socket stays as long as the server lives.
    Listens,
    /// A fresh polite client is served, before and after.
    Served,
    /// The connection of a bystander stays as it was: no byte of another client reaches it, and it is served again.
    Bystanders,
    /// Open files are back at their number before the scenario.
    OpenFiles,
    /// No connection is left in CLOSE_WAIT.
    CloseWait,
    /// Threads and child processes are back at their number before the scenario.
    Threads,
    /// No zombie child is left.
    Zombies,
    /// A server with nothing to do spends no CPU time.
    IdleCpu,
    /// Memory stays bounded.
    Memory,
    /// No connection is left in the accept queue.
    Queues,
    /// The server does not flood its output.
    Output,
    /// The server, or what watches it, sounds no alarm.
    Alarm,
}

impl Invariant {
    /// Every invariant with its name in files.
    pub(crate) const ALL: &[(Self, &'static str)] = &named();

    pub(crate) fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }

    /// What every server owes by it.
    pub(crate) fn requirement(self) -> &'static str {
        let row = INVARIANTS.iter().find(|row| row.invariant == self);
        row.map_or("", |row| row.requirement)
    }
}

/// An invariant as it stands in files and lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvariantRow {
    pub(crate) invariant: Invariant,
    /// Its name in files, permanent.
    pub(crate) name: &'static str,
    /// What every server owes, in one sentence.
    pub(crate) requirement: &'static str,
}

/// Every invariant there is.
pub(crate) const INVARIANTS: &[InvariantRow] = &[
    InvariantRow {
        invariant: Invariant::Alive,
        name: "alive",
        requirement: "The server neither ends by itself nor crashes, and none of its processes does before it is told to.",
    },
    InvariantRow {
        invariant: Invariant::Listens,
        name: "listens",
        requirement: "As long as the server lives and has not been told to end, it listens.",
    },
    InvariantRow {
        invariant: Invariant::Served,
        name: "served",
        requirement: "A polite client is served before the scenario and after it.",
    },
    InvariantRow {
        invariant: Invariant::Bystanders,
        name: "bystanders",
        requirement: "Nobody else notices: no byte of another client reaches a bystander, and it is served again on the same connection.",
    },
    InvariantRow {
        invariant: Invariant::OpenFiles,
        name: "open-files",
        requirement: "Open files are back at their number from before the scenario.",
    },
    InvariantRow {
        invariant: Invariant::CloseWait,
        name: "close-wait",
        requirement: "No connection that its client has closed is still held (CLOSE_WAIT), with unread bytes or without.",
    },
    InvariantRow {
        invariant: Invariant::Threads,
        name: "threads",
        requirement: "Threads and child processes are back at their number from before the scenario.",
    },
    InvariantRow {
        invariant: Invariant::Zombies,
        name: "zombies",
        requirement: "Every child process that has ended is waited for.",
    },
    InvariantRow {
        invariant: Invariant::IdleCpu,
        name: "idle-cpu",
        requirement: "A server with nothing to do spends no CPU time.",
    },
    InvariantRow {
        invariant: Invariant::Memory,
        name: "memory",
        requirement: "Memory stays bounded, however often the scenario is repeated.",
    },
    InvariantRow {
        invariant: Invariant::Queues,
        name: "queues",
        requirement: "No connection is left in the accept queue.",
    },
    InvariantRow {
        invariant: Invariant::Output,
        name: "output",
        requirement: "The server does not flood its output.",
    },
    InvariantRow {
        invariant: Invariant::Alarm,
        name: "alarm",
        requirement: "The server prints no report of a sanitizer, a heap check or a failed assertion; and no client brings about a panic, an uncaught exception or a traceback (a recommendation).",
    },
];

const fn named() -> [(Invariant, &'static str); INVARIANTS.len()] {
    let mut named = [(Invariant::Alive, ""); INVARIANTS.len()];
    let mut n = 0;
    while n < named.len() {
        named[n] = (INVARIANTS[n].invariant, INVARIANTS[n].name);
        n += 1;
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_has_one_row_with_the_name_that_files_have() {
        let error = serde_json::from_str::<Invariant>("\"strange\"").unwrap_err();
        let error = error.to_string();
        let (_, list) = error.split_once("expected").unwrap();
        let known: Vec<_> = list.split('`').skip(1).step_by(2).collect();
        let rows: Vec<_> = INVARIANTS.iter().map(|row| row.name).collect();
        assert_eq!(rows, known);
        for row in INVARIANTS {
            assert_eq!(row.invariant.name(), row.name);
            assert!(row.requirement.ends_with('.'), "{}", row.requirement);
        }
    }
}
