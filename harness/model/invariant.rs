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
        self.row().map_or("", |row| row.requirement)
    }

    /// How servers are mended that do not hold it.
    pub(crate) fn fix(self) -> &'static str {
        self.row().map_or("", |row| row.fix)
    }

    fn row(self) -> Option<&'static InvariantRow> {
        INVARIANTS.iter().find(|row| row.invariant == self)
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
    /// How servers are mended that do not hold it.
    pub(crate) fix: &'static str,
}

/// Every invariant there is.
pub(crate) const INVARIANTS: &[InvariantRow] = &[
    InvariantRow {
        invariant: Invariant::Alive,
        name: "alive",
        requirement: "The server neither ends by itself nor crashes, and none of its processes does before it is told to.",
        fix: "Let an error on a connection end that connection and nothing else; a worker that ends takes its clients with it.",
    },
    InvariantRow {
        invariant: Invariant::Listens,
        name: "listens",
        requirement: "As long as the server lives and has not been told to end, it listens.",
        fix: "Keep the listening socket for as long as the server lives: an error of accept, or of a client, is no reason to close it.",
    },
    InvariantRow {
        invariant: Invariant::Served,
        name: "served",
        requirement: "A polite client is served before the scenario and after it.",
        fix: "Whatever a client does, come back to accept, and to the clients that wait.",
    },
    InvariantRow {
        invariant: Invariant::Bystanders,
        name: "bystanders",
        requirement: "Nobody else notices: no byte of another client reaches a bystander, and it is served again on the same connection.",
        fix: "Keep all that belongs to a connection with that connection, and end that one alone.",
    },
    InvariantRow {
        invariant: Invariant::OpenFiles,
        name: "open-files",
        requirement: "Open files are back at their number from before the scenario.",
        fix: "Close what was opened for a client on every way out of its conversation, also after an error.",
    },
    InvariantRow {
        invariant: Invariant::CloseWait,
        name: "close-wait",
        requirement: "No connection that its client has closed is still held (CLOSE_WAIT), with unread bytes or without.",
        fix: "Close the connection on every way out: at the end of input (read returned 0), after an error, and after a time-out.",
    },
    InvariantRow {
        invariant: Invariant::Threads,
        name: "threads",
        requirement: "Threads and child processes are back at their number from before the scenario.",
        fix: "Let the thread or process of a client end with its conversation, and join it or wait for it.",
    },
    InvariantRow {
        invariant: Invariant::Zombies,
        name: "zombies",
        requirement: "Every child process that has ended is waited for.",
        fix: "Wait for each child that ends (waitpid(2) at SIGCHLD, with WNOHANG until there is none left).",
    },
    InvariantRow {
        invariant: Invariant::IdleCpu,
        name: "idle-cpu",
        requirement: "A server with nothing to do spends no CPU time.",
        fix: "Wait for what is awaited: ask for readiness only of descriptors that are dealt with, and take away what has ended or cannot be served now.",
    },
    InvariantRow {
        invariant: Invariant::Memory,
        name: "memory",
        requirement: "Memory stays bounded, however often the scenario is repeated.",
        fix: "Free what was kept for a client on every way out, and bound what is kept for all.",
    },
    InvariantRow {
        invariant: Invariant::Queues,
        name: "queues",
        requirement: "No connection is left in the accept queue.",
        fix: "Accept until there is nobody left to accept, and come back to accept whatever a client does.",
    },
    InvariantRow {
        invariant: Invariant::Output,
        name: "output",
        requirement: "The server does not flood its output.",
        fix: "Write down an error once, or once in a while: its cause is met again with each client.",
    },
    InvariantRow {
        invariant: Invariant::Alarm,
        name: "alarm",
        requirement: "The server prints no report of a sanitizer, a heap check or a failed assertion; and no client brings about a panic, an uncaught exception or a traceback (a recommendation).",
        fix: "Mend what it tells of, or catch what is thrown where the conversation is held.",
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
            assert!(row.fix.ends_with('.'), "{}", row.fix);
        }
    }
}
