//! `.drill` files: one step a line, read into [`Scenario`]s that cannot be wrong, and printed from them.
//!
//! - [`DrillFile`] is a parsed file; it prints in the canonical form, and what is printed parses to the same value.
//! - [`format`](fn@format) prints canonically too, and keeps comments and blank lines.
//! - [`usages`] lists the language.
//!
//! The language itself is in tables: `sentence` has the lines, `steps` the steps.

mod awaited;
mod bounds;
mod builder;
mod calls;
mod diagnostic;
mod file;
mod json;
mod json_place;
mod language;
mod layout;
mod payload;
mod possible;
mod reader;
mod shared;
mod statement;
mod steps;
mod terms;
mod tokens;

#[cfg(test)]
mod tests;

pub(crate) use awaited::awaited;
pub(crate) use diagnostic::{Diagnostic, Place, snippet};
pub use file::DrillFile;
#[cfg(any(fuzzing, test))]
pub(crate) use file::format;
pub(crate) use file::{Case, DrillText, step_of, why_impossible};
pub(crate) use language::{Part, Usage, usages};
pub(crate) use shared::{Backend, Origin};
pub(crate) use statement::named;
