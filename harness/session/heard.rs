//! What who speaks inside of TLS is told by it.

use crate::transcript::event::ClientEvent;

/// What comes of bytes that have come.
#[derive(Debug)]
pub(super) enum Heard {
    /// The text in them.
    Plain(Vec<u8>),
    /// What they say of TLS itself.
    Told(ClientEvent),
}

/// Why no records are made of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mute {
    /// They cannot be made yet: the scenario is too early with it.
    NotYet(&'static str),
    /// They cannot be made any more: TLS has failed, or is over.
    Over,
}
