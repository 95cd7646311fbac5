//! Performs scenarios on one server, and writes down what its clients and the kernel see; decides nothing.

mod account;
mod anonymous;
mod arrivals;
mod backends;
mod blame;
mod board;
mod calibration;
mod client;
mod client_steps;
mod clients;
mod ends;
mod facts;
mod figures;
mod guests;
mod heard;
mod helpers;
mod idle;
mod interpreter;
mod observer;
mod open_files;
mod outgoing;
mod own_delay;
mod penalties;
mod phases;
mod quiescence;
mod recorder;
mod sampler;
mod second;
mod server_steps;
mod socket;
mod sources;
mod starting;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod told;
mod turn;

pub(crate) use board::{Board, Seat, Shown, Sight, Wait};
pub(crate) use idle::Idle;
pub(crate) use phases::Session;
pub(crate) use turn::{Places, Turn};
