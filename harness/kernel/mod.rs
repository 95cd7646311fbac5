//! What the kernel shows of a server: its sockets, its processes, and whether anything more will come.

mod diag;
mod process;
mod rest;

pub(crate) use diag::{Diag, Row, State};
pub(crate) use process::{Process, tree};
pub(crate) use rest::{Stillness, stillness};
