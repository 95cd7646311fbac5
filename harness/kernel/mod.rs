//! What the kernel shows of a server: its sockets, its processes, and whether anything more will come.

mod births;
mod borrowed;
mod counters;
mod destroyed;
mod diag;
mod ends;
mod figures;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod proc_file;
mod process;
mod rest;
mod shortened;
mod toil;
mod watched;

pub(crate) use borrowed::{
    Borrowed, BorrowedKind, Identity, descriptors_of, has_signal, permitted,
};
pub(crate) use counters::{Counters, RECEIVE_BUFFER_ERRORS, datagrams_read};
pub(crate) use destroyed::{DestroyEvents, DestroyedSocket};
pub(crate) use diag::{Diag, FileId, Row, State, Table};
pub(crate) use ends::{ProcessEnds, Subscription};
pub(crate) use figures::{Figures, Spacing};
pub(crate) use process::{Descriptors, FileKind, Memory, Process, holder, tree, tree_of};
pub(crate) use rest::{
    Activity, BUSY_FROM, Idleness, OutputPipe, RestDetector, occupations, percent, shows_waits,
    stillness,
};
pub(crate) use shortened::{Shortened, read_at_most, write_at_most};
pub(crate) use toil::{Labour, Toil};
pub(crate) use watched::{Held, OwnTime, Watched};
