//! What stands in the place of TLS where it is not built in: there is none.

use super::heard::{Heard, Mute};
use super::socket::Socket;
use crate::model::tls::TlsOptions;
use crate::transcript::event::ClientEvent;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::cell::Cell;

/// TLS on one connection, of which there is none.
#[derive(Debug)]
pub(super) enum Tls {}

impl Tls {
    pub(super) fn begin(_: &TlsOptions) -> Result<(Self, usize), String> {
        Err("this sockdrill was built without its feature `tls`".to_owned())
    }

    pub(super) fn say(&self, _: &[u8], _: bool) -> Result<usize, Errno> {
        match *self {}
    }

    pub(super) fn mute(&self) -> Option<Mute> {
        match *self {}
    }

    pub(super) fn is_over_for_server(&self) -> bool {
        match *self {}
    }

    pub(super) fn owes_an_end(&self) -> bool {
        match *self {}
    }

    pub(super) fn has_answered_the_end(&self) -> bool {
        match *self {}
    }

    pub(super) fn has_nothing_to_say(&self) -> bool {
        match *self {}
    }

    pub(super) fn let_go(&self, _: usize, _: bool) {
        match *self {}
    }

    pub(super) fn say_all(&self, _: &OwnedFd, _: &Cell<u64>) -> bool {
        match *self {}
    }

    pub(super) fn needs_a_hand(&self) -> bool {
        match *self {}
    }

    pub(super) async fn flush(&self, _: &Socket, _: &Cell<u64>) -> Result<(), Errno> {
        match *self {}
    }

    pub(super) fn hear(&self, _: &[u8], _: &OwnedFd, _: &Cell<u64>) -> Vec<Heard> {
        match *self {}
    }

    pub(super) fn over(&self, _: bool) -> ClientEvent {
        match *self {}
    }
}
