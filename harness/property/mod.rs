//! Scenarios that nobody wrote down: drawn from what the profile allows, and made small when one fails.
//!
//! A [`Case`] is what clients of some number might do. Any case becomes a legal scenario, for [`Rules::batch`] leaves
//! out what the profile does not allow and works out what each client is owed. Several cases in a row are a batch,
//! one scenario for one server, so that the look at the server around it is taken once for all of them.

mod conclude;
mod coverage;
mod plan;
mod rules;
mod shrink;
mod strategy;
#[cfg(test)]
mod tests;

pub(crate) use conclude::{is_too_little, unproven};
pub(crate) use coverage::Coverage;
pub(crate) use rules::Rules;
pub(crate) use shrink::smallest;
