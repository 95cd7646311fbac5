//! Handles on a running server and its clients, for tests that are written in Rust.
//!
//! A [`Server`] is started from a [`Target`](crate::Target), in a lab of its own as for a `.drill` file; its [`Client`]s take the
//! steps of such files.
//!
#![doc = include_str!("../../docs/rust.md")]

mod backend;
mod client;
mod evidence;
mod failure;
mod heard;
mod order;
#[cfg(feature = "property")]
mod property;
mod repeat;
mod server;
mod stage;
mod start;
mod step;

pub use backend::Backend;
pub use client::Client;
pub use evidence::Socket;
pub use heard::Heard;
#[cfg(feature = "property")]
pub use property::Property;
pub(crate) use repeat::test_again;
pub use server::Server;
pub use start::Start;
pub use step::{Arrive, Connect, Expect, ExpectEnd, ExpectLike, Sending, Step};
