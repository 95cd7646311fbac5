//! The figures that the kernel counts for a server, and that a leak raises.

use super::invariant::Invariant;
use super::literal::name_in;
use crate::kernel::FileKind;
use serde::Serialize;

/// A figure that a leak raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Figure {
    /// Connections in CLOSE_WAIT.
    CloseWait,
    /// Open sockets.
    Sockets,
    /// Other open descriptors, of one kind.
    Files(FileKind),
    /// Children that have ended and were not waited for.
    Zombies,
    /// Processes.
    Processes,
    /// Threads.
    Threads,
    /// Bytes of memory.
    Memory,
    /// Mappings.
    Mappings,
}

impl Figure {
    /// What is counted. What says most of a defect comes first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let files = FileKind::ALL.iter().map(|(kind, _)| Self::Files(*kind));
        let after = [
            Self::Zombies,
            Self::Processes,
            Self::Threads,
            Self::Memory,
            Self::Mappings,
        ];
        let before = [Self::CloseWait, Self::Sockets].into_iter();
        before.chain(files).chain(after)
    }

    /// Whether it is taken and given back in pieces that are larger than what is used.
    pub(crate) fn is_rough(self) -> bool {
        matches!(self, Self::Memory | Self::Mappings)
    }

    /// The invariant that it is held to.
    pub(crate) fn invariant(self) -> Invariant {
        match self {
            Self::CloseWait => Invariant::CloseWait,
            Self::Sockets | Self::Files(_) => Invariant::OpenFiles,
            Self::Zombies => Invariant::Zombies,
            Self::Processes | Self::Threads => Invariant::Threads,
            Self::Memory | Self::Mappings => Invariant::Memory,
        }
    }

    /// The key of the cause that it goes on growing.
    pub(crate) fn key(self) -> String {
        format!("left/{}", self.name().replace(' ', "-").to_lowercase())
    }

    /// What it is called in keys of causes and in sentences.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CloseWait => "connections in CLOSE_WAIT",
            Self::Sockets => "open sockets",
            Self::Files(kind) => name_in(FileKind::ALL, kind),
            Self::Zombies => "zombie children",
            Self::Processes => "processes",
            Self::Threads => "threads",
            Self::Memory => "memory",
            Self::Mappings => "mappings",
        }
    }
}
