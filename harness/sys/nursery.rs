//! A small process that supervisors are forked from: whoever has a copy of the harness's memory makes the harness pay for a
//! copy of each page that it writes to from then on, and the table of those pages is dear to copy itself.
//!
//! It is forked from the harness without `exec` as supervisors are, lives for as long as somebody holds it, and ends when the
//! harness lets go of its socket, however the harness ends. Nobody waits for what it forks (`SIGCHLD` is ignored, wait(2)):
//! the harness sees the end by a descriptor of the process.

use super::birth::{ForkError, Stage};
use super::fork::{clone_with_signals_blocked, keep_only, raw_clone_with_pidfd, wait_for_child};
use super::hidden::hide;
use super::id_maps::IdMaps;
use super::life::refuse;
use super::message::{answer, await_answer, receive_message, send_message};
use super::own_memory::give_memory_back;
use super::root_plan::LONGEST_PLAN;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::ffi::c_int;
use std::sync::Mutex;

/// The harness's handle on it. Dropping it ends the process, and waits for that.
#[derive(Debug)]
pub(crate) struct Nursery {
    control: Mutex<Option<OwnedFd>>,
    pid: i32,
}

/// The longest letter to a newborn.
const LONGEST_LETTER: usize = LONGEST_PLAN + (4 << 10);

/// A pair of sockets between the harness and a process that it forks.
pub(super) fn control_sockets() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)
}

impl Nursery {
    /// Forks one into the namespaces of the first flags, of which a user namespace has these ids. What `begin` comes to there is
    /// the life of each that it forks into those of the second: it is given its socket and its letter, and returns its exit code.
    ///
    /// # Errors
    /// The host refuses it.
    pub(super) fn open<Life: Fn(RawFd, &[u8]) -> c_int>(
        [own, of_newborns]: [c_int; 2],
        ids: Option<&IdMaps>,
        begin: impl FnOnce() -> Life,
    ) -> Result<Self, ForkError> {
        let at = |stage: Stage| move |errno| ForkError::at(stage as i32, errno);
        let (ours, theirs) = control_sockets().map_err(at(Stage::Namespaces))?;
        let fd = theirs.as_raw_fd();
        let pid = clone_with_signals_blocked(own, || live(fd, of_newborns, begin));
        let pid = pid.map_err(at(Stage::Namespaces))?;
        drop(theirs);
        let nursery = Self {
            control: Mutex::new(Some(ours)),
            pid,
        };
        // The ids of root can be given from outside alone (user_namespaces(7)); it waits for that.
        if let Some(ids) = ids {
            ids.write(pid).map_err(at(Stage::Ids))?;
        }
        let begun = nursery.asked(|control| send_message(control, &[0], &[]));
        begun.map_err(at(Stage::Namespaces))?;
        Ok(nursery)
    }

    /// Forks a process that has this end of a pair of sockets, and nothing else; returns a descriptor of it.
    ///
    /// # Errors
    /// The host refuses it, the letter is too long, or the nursery has ended.
    pub(super) fn bear(&self, letter: &[u8], end: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        if letter.len() >= LONGEST_LETTER {
            return Err(Errno::MSGSIZE);
        }
        // A message of no bytes would be the end of all.
        let message = [&[0], letter].concat();
        let newborn = self.asked(|control| send_message(control, &message, &[end]))?;
        newborn.ok_or(Errno::SRCH)
    }

    /// Ends it whatever it does, with all that it has forked.
    pub(super) fn kill(&self) {
        // Nobody has waited for it yet, so that its number is given to no other.
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// Asks, and waits for the answer.
    fn asked(
        &self,
        ask: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
    ) -> Result<Option<OwnedFd>, Errno> {
        let control = self.control.lock().map_err(|_| Errno::BADF)?;
        let control = control.as_ref().ok_or(Errno::BADF)?.as_fd();
        ask(control)?;
        let answer = await_answer(control, self.pid).inspect_err(|errno| {
            if *errno == Errno::TIMEDOUT {
                self.kill();
            }
        })?;
        match answer.words {
            [0, ..] => Ok(answer.first()),
            [errno, ..] => Err(Errno::from_raw_os_error(errno)),
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        if let Ok(mut control) = self.control.lock() {
            control.take();
        }
        wait_for_child(self.pid);
    }
}

/// The nursery's whole life, in the forked process; returns its exit code. As in all that runs there, nothing allocates,
/// locks or panics.
fn live<Life: Fn(RawFd, &[u8]) -> c_int>(
    control: RawFd,
    of_newborns: c_int,
    begin: impl FnOnce() -> Life,
) -> c_int {
    // SAFETY: the descriptor came through the fork and is closed by nobody else in this process.
    let control = unsafe { BorrowedFd::borrow_raw(control) };
    keep_only(control.as_raw_fd());
    let _ = rustix::process::setsid();
    // SAFETY: the disposition of a signal of this process alone.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    if receive_message(control, &mut [0], &mut []).is_err() {
        return 1;
    }
    let life = begin();
    give_memory_back();
    // All that it forks is so as well.
    if let Err(errno) = hide() {
        return refuse(control, Stage::Namespaces, errno);
    }
    let begun = answer(control, [0, 0, 0], None);
    while begun.is_ok() && fork_one(control, of_newborns, &life).is_some() {}
    0
}

/// Forks one that is asked for; `None` when the harness is gone.
fn fork_one(
    control: BorrowedFd<'_>,
    of_newborns: c_int,
    life: impl Fn(RawFd, &[u8]) -> c_int,
) -> Option<()> {
    let mut message = [0u8; LONGEST_LETTER];
    let mut ends = [const { None::<OwnedFd> }; 1];
    let bytes = receive_message(control, &mut message, &mut ends).ok()?;
    let (_, letter) = message.get(..bytes)?.split_first()?;
    let [Some(end)] = ends else {
        return answer(control, [Errno::BADF.raw_os_error(), 0, 0], None).ok();
    };
    // SAFETY: the child runs only `life`, which keeps to async-signal-safe calls, and leaves by `_exit`.
    let forked = unsafe {
        let forked = raw_clone_with_pidfd(of_newborns);
        if let Ok((0, _)) = forked {
            libc::_exit(life(end.as_raw_fd(), letter));
        }
        forked
    };
    match forked {
        Ok((_, pidfd)) => {
            // SAFETY: the kernel has just opened it for this process.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            answer(control, [0, 0, 0], Some(pidfd.as_fd()))
        }
        Err(errno) => answer(control, [errno.raw_os_error(), 0, 0], None),
    }
    .ok()
}
