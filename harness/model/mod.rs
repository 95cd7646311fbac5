//! What is talked about: scenarios, what servers promise, what is required of them, as values that cannot be wrong.

pub(crate) mod action;
pub(crate) mod address;
pub(crate) mod alarm;
pub(crate) mod alarm_reader;
pub(crate) mod check;
pub(crate) mod data;
pub(crate) mod date;
pub(crate) mod dialogue;
pub(crate) mod error;
pub(crate) mod expectation;
pub(crate) mod figure;
pub(crate) mod form;
pub(crate) mod invariant;
pub(crate) mod limits;
pub(crate) mod literal;
pub(crate) mod need;
pub(crate) mod passage;
pub(crate) mod phase;
pub(crate) mod profile;
pub(crate) mod promise;
pub(crate) mod scenario;
pub(crate) mod server_action;
pub(crate) mod subject;
pub(crate) mod template;
pub(crate) mod trial;
pub(crate) mod unasked;
