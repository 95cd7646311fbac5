//! What was observed, and what follows of it for clients and server as far as it goes.

pub mod client_state;
pub mod event;
pub mod fault;
pub mod instead;
pub mod server_state;
