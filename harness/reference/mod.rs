//! The reference servers: correct by every promise of their profiles, under every legal but hostile client.
//!
//! One server is one file here, one row of [`SERVERS`] and one profile of the same name in `fixtures/profiles`. A file
//! holds the conversation only: accepting, draining, lingering and stopping are the same for all and live in
//! `lifecycle`, `conversation`, `datagrams` and `path_datagrams`.

mod banner;
pub(crate) mod blocking;
mod carousel;
mod chat;
mod club;
mod console;
mod conversation;
mod datagrams;
mod discard;
mod doorman;
mod eager;
mod echo;
mod framed;
mod http_one;
mod ledger;
mod lifecycle;
mod line_echo;
mod line_idle;
mod lines;
mod listener;
mod path_datagrams;
#[cfg(feature = "tls")]
mod records;
#[cfg(not(feature = "tls"))]
#[path = "no_records.rs"]
mod records;
mod server;
mod table;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod udp_echo;
mod udp_receiver;
mod udp_timeout;
mod uppercase;
mod welcome_gate;

pub use lifecycle::Running;
pub(crate) use lifecycle::serve;
pub use server::ReferenceServer;
pub(crate) use table::{SERVERS, find};
pub(crate) use tls::Tls;
