//! What the kernel shows of a server: its sockets, its processes, and whether anything more will come.

mod counters;
mod diag;
mod obituary;
mod process;
mod rest;

pub(crate) use counters::{Counters, RECEIVE_BUFFER_ERRORS};
pub(crate) use diag::{Diag, Row, State};
pub(crate) use obituary::{Obituaries, Obituary};
pub(crate) use process::{Descriptors, Process, tree};
pub(crate) use rest::{
    BUSY_FROM, OutputPipe, RestWatch, Stillness, occupations, percent, stillness,
};
