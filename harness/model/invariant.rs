//! What every server is held to after every scenario, seen from outside.

use super::literal::name_in;

/// What every server is held to after every scenario, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invariant {
    /// No exit and no crash signal.
    Alive,
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
    /// Receive queues and accept queue are drained.
    Queues,
    /// The server does not flood its output.
    Output,
}

impl Invariant {
    /// Every invariant with its name in files.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::Alive, "alive"),
        (Self::Served, "served"),
        (Self::Bystanders, "bystanders"),
        (Self::OpenFiles, "open-files"),
        (Self::CloseWait, "close-wait"),
        (Self::Threads, "threads"),
        (Self::Zombies, "zombies"),
        (Self::IdleCpu, "idle-cpu"),
        (Self::Memory, "memory"),
        (Self::Queues, "queues"),
        (Self::Output, "output"),
    ];

    pub(crate) fn name(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}
