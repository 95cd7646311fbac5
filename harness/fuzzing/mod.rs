//! Fuzzing: what reads the bytes of others, each with what must hold whatever they are.
//!
//! [`TARGETS`] is the table. cargo-fuzz (`fuzz/`) and the loop in `tests`, which needs no tool, both try what is in it; only they
//! see this module. `docs/fuzzing.md` tells how.

#[cfg(test)]
mod edits;
mod laws;
mod python;
mod seeds;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Fuzzed, TARGETS};
