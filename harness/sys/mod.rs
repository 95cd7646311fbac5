//! Everything that the language cannot check: raw system calls, and the process forked without `exec`.
//!
//! No other module may use `unsafe`. What is exported here is safe to call.
#![expect(
    unsafe_code,
    reason = "the one module that talks to the kernel below the safe wrappers"
)]

pub(crate) mod birth;
pub(crate) mod cpu_clock;
mod fork;
mod image;
mod life;
mod message;
mod net_tables;
pub(crate) mod nursery;
pub(crate) mod own_folders;
pub(crate) mod own_limits;
mod own_memory;
pub(crate) mod own_use;
pub(crate) mod pidfd;
pub(crate) mod signals;
pub(crate) mod socket;
pub(crate) mod supervisor;
