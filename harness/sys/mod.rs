//! Everything that the language cannot check: raw system calls, and the process forked without `exec`.
//!
//! No other module may use `unsafe`. What is exported here is safe to call.
#![expect(
    unsafe_code,
    reason = "the one module that talks to the kernel below the safe wrappers"
)]

pub(crate) mod birth;
pub(crate) mod cpu_clock;
pub(crate) mod foreign_memory;
mod fork;
mod guard;
mod hidden;
mod id_maps;
mod image;
mod life;
pub(crate) mod message;
mod net_tables;
pub(crate) mod notification;
pub(crate) mod nursery;
pub(crate) mod own_limits;
mod own_memory;
mod own_root;
pub(crate) mod own_use;
pub(crate) mod pidfd;
mod removal;
pub(crate) mod root_plan;
pub(crate) mod signals;
pub(crate) mod socket;
mod stack_text;
pub(crate) mod supervisor;
