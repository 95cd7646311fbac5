//! From a server and a client of its own to a profile, or a scenario: what they say to each other is recorded, repeated, and held
//! against itself.
//!
//! - `relay` stands between the two and writes down what each says; `watch` runs the client.
//! - `script` is what a client has done, as steps that can be repeated; `replies` has what the server says to them.
//! - `said_back` finds what the client has said that the server had told it.
//! - `holes` finds what varies of it, and makes templates of the rest.
//! - `learn` and `record` put this together; `written` is the file.

mod again;
mod holes;
mod learn;
mod record;
mod relay;
mod replies;
mod said_back;
mod script;
mod tape;
mod watch;
mod written;

pub(crate) use learn::{Learned, learn};
pub(crate) use record::{Recorded, record};
pub(crate) use watch::Pair;
