//! What is talked about: scenarios, what servers promise, what is required of them, as values that cannot be wrong.

pub mod action;
pub mod address;
pub mod check;
pub mod data;
pub mod date;
pub mod dialogue;
pub mod error;
pub mod expectation;
pub(crate) mod form;
pub mod invariant;
pub(crate) mod limits;
pub(crate) mod literal;
pub mod need;
pub mod phase;
pub mod profile;
pub mod promise;
pub mod scenario;
pub mod server_action;
pub mod subject;
pub mod trial;
