//! What was observed, and what follows of it for clients and server as far as it goes.

pub(crate) mod asked;
pub(crate) mod client_state;
pub(crate) mod difference;
pub(crate) mod event;
pub(crate) mod fault;
pub(crate) mod instead;
pub(crate) mod server_state;
pub(crate) mod story;
