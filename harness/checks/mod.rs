//! The catalogue: every check is one literal in the file of its family.

mod address;
mod backlog;
mod bytes;
pub(crate) mod choices;
pub(crate) mod counterexample;
mod crowd;
mod datagram;
pub(crate) mod defects;
mod derive;
mod half_close;
mod local;
mod longest;
mod needs;
pub(crate) mod observations;
mod output;
mod partial;
pub(crate) mod penalties;
mod polite;
#[cfg(feature = "property")]
mod property;
mod reply_time;
mod reset;
#[cfg(test)]
pub(crate) mod snapshots;
#[cfg(test)]
mod staged;
pub(crate) mod stop;
mod syscall;
mod table;
mod time_wait;
mod timeout;
#[cfg(any(test, feature = "cli"))]
pub(crate) mod typical;
mod unasked;

pub use table::all;
pub(crate) use table::find;
