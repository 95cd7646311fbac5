//! Handles on a running server and its clients, for tests that are written in Rust.
//!
//! A [`Server`] is started from a [`Target`](crate::Target), in a lab of its own as for a `.drill` file. Its [`Client`]s take
//! the same steps as those of files, on sockets of the server's own network, and what they are owed is judged by the same judge:
//! a step that fails panics with what was expected, what was seen instead, and the transcript.
//!
//! ```no_run
//! use sockdrill::{End, Profile, Server, Target};
//!
//! #[tokio::test]
//! async fn half_a_request_does_not_disturb_the_next_one() {
//!     let target = Target::command(["target/debug/server", "{port}"], Profile::unknown());
//!     let server = Server::start(&target).await.expect("the server starts");
//!     let mallory = server.connect("mallory").await;
//!     mallory.send("hel").await;
//!     mallory.reset().await;
//!     let alice = server.connect("alice").await;
//!     alice.send("hello\r\n").await;
//!     alice.expect("hello\r\n").await;
//!     alice.half_close().await;
//!     alice.expect_end(End::Fin).await;
//!     server.finish().await;
//! }
//! # fn main() {}
//! ```
//!
//! It works on any runtime of tokio, also where its clock is paused: each server has a thread of its own on which its clients
//! act, whatever thread a test or a fixture runs on, and however soon that thread ends. Steps are awaited; one that is not
//! awaited is not taken.

mod client;
mod evidence;
mod failure;
mod order;
#[cfg(feature = "property")]
mod property;
mod repeat;
mod server;
mod stage;
mod start;
mod step;

pub use client::Client;
pub use evidence::Socket;
#[cfg(feature = "property")]
pub use property::Property;
pub(crate) use repeat::test_again;
pub use server::Server;
pub use start::Start;
pub use step::{Arrive, Connect, Expect, ExpectEnd, Send, Step};
