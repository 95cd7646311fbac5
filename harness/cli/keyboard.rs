//! The keys of a terminal, each as it is typed, while a run lasts.

use crate::sys::socket::watched;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::unix::AsyncFd;

/// How the terminal was before keys were read from it, where they are. It is to be put back by whoever ends or stops this process.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The keys of the terminal that we stand in the foreground of; it is as it was once this is dropped.
#[must_use = "the terminal is as it was once this is dropped"]
pub(super) struct Keyboard(AsyncFd<Rc<OwnedFd>>);

impl Keyboard {
    /// The keys, where there is a terminal and it is ours. Keys are read while an event loop runs. A pager that reads what we print has
    /// the same terminal, and the keys are for it.
    pub(super) fn taken() -> Option<Self> {
        let has_pager = !io::stdout().is_terminal() || !io::stderr().is_terminal();
        if has_pager || !is_ours() {
            return None;
        }
        let terminal = stdin().try_clone_to_owned().ok()?;
        let keys = watched(Rc::new(terminal)).ok()?;
        take().then(|| Self(keys))
    }

    /// The next keys that are typed.
    pub(super) async fn typed(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut readable = self.0.readable().await?;
            // Who reads without being in the foreground is stopped for it.
            if is_ours() && has_input() {
                let mut keys = [0; 64];
                let read = rustix::io::read(stdin(), &mut keys)?;
                return match read {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    read => Ok(keys[..read].to_vec()),
                };
            }
            readable.clear_ready();
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Takes the terminal again, where it was given back for a while and is ours.
pub(super) fn take_again() {
    if is_ours() {
        take();
    }
}

/// Puts the terminal back as it was.
pub(super) fn give_back() {
    if let Some(before) = before().take() {
        // Where it has gone away there is nothing to put back; and who is not in its foreground has no say.
        let _ = is_ours().then(|| tcsetattr(stdin(), OptionalActions::Now, &before));
    }
}

/// Has each key come at once, and unseen. Those that interrupt and stop do so as before.
fn take() -> bool {
    let mut kept = before();
    let Ok(found) = tcgetattr(stdin()) else {
        return false;
    };
    let mut keys = found.clone();
    keys.local_modes
        .remove(LocalModes::ICANON | LocalModes::ECHO);
    keys.special_codes[SpecialCodeIndex::VMIN] = 1;
    keys.special_codes[SpecialCodeIndex::VTIME] = 0;
    let is_taken = tcsetattr(stdin(), OptionalActions::Now, &keys).is_ok();
    if is_taken && kept.is_none() {
        kept.replace(found);
    }
    is_taken
}

/// Whether there is a terminal, and we are in its foreground.
fn is_ours() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|foreground| foreground == getpgrp())
}

fn has_input() -> bool {
    let mut stdin = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
    let now = Timespec::default();
    poll(&mut stdin, Some(&now)).is_ok_and(|ready| ready > 0)
}

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}
