//! Writes a scenario as a Python program that needs nothing but Python, for a maintainer who has no sockdrill.
//!
//! The program starts the server, performs the steps, and says in one sentence what the server has broken. Of the
//! invariants it looks at those that can be seen plainly: the server lives, it serves a polite client afterwards, and
//! it has closed the connections that its clients have left.

mod arguments;
mod ground;
mod parts;
mod pattern;
mod program;
mod python;
mod steps;
#[cfg(test)]
mod tests;

pub(crate) use program::Reproducer;
