//! The guard: on the plain host, a process above the supervisor that ends what a lab had once the supervisor or the harness is
//! gone, however that came.
//!
//! A server there may stop, trace or kill its parent, which is a process of the same user. The guard is the parent of that
//! one, and the reaper of all that is below it (`PR_SET_CHILD_SUBREAPER`, prctl(2)): nothing that a server forks escapes. It
//! makes the lab's folder before anything else, and removes it as its last act.

use super::birth::Stage;
use super::fork::{keep_only, raw_clone};
use super::hidden::hide;
use super::life::{
    Birth, MOST_CHARGES, become_reaper, child_signals, end_with_parent, life, make_own_folder,
    refuse, sweep,
};
use super::message::retry;
use super::own_memory::give_memory_back;
use super::removal::remove_folder;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::ffi::{CStr, c_int};

/// What a guard is given; all of it was allocated before the fork.
pub(super) struct Guarded<'a> {
    /// The path of the folder that it makes and removes.
    pub(super) folder: &'a CStr,
    /// The supervisor's end of the control socket.
    pub(super) control: RawFd,
}

/// The guard's whole life, in the forked process; returns its exit code. As in all that runs there, nothing allocates, locks
/// or panics.
pub(super) fn guard(guarded: &Guarded<'_>) -> c_int {
    keep_only(guarded.control);
    let _ = rustix::process::setsid();
    // What was allocated is given back.
    let mut place = [0; libc::PATH_MAX as usize];
    let Some(folder) = copied(guarded.folder, &mut place) else {
        return 1;
    };
    give_memory_back();
    // SAFETY: the descriptor came through the fork and is closed by nobody else in this process.
    let control = unsafe { BorrowedFd::borrow_raw(guarded.control) };
    let children = match prepared(folder) {
        Ok(children) => children,
        Err((stage, errno)) => return refuse(control, stage, errno),
    };
    let own = own_pid();
    // SAFETY: the child runs only `life`, which keeps to async-signal-safe calls, and leaves by `_exit`.
    let supervisor = unsafe { raw_clone(0) } as c_int;
    if supervisor == 0 {
        drop(children);
        let birth = Birth {
            limits: None,
            order: None,
        };
        // SAFETY: leaves without running destructors of the copied process.
        unsafe { libc::_exit(follow(own, || life(&birth, guarded.control))) };
    }
    if supervisor > 0 {
        watch(control, &children, supervisor);
    }
    sweep(&mut [None; MOST_CHARGES]);
    remove_folder(folder);
    0
}

/// A text on this stack; `None` where it is longer than any path (path_resolution(7)).
fn copied<'a>(text: &CStr, place: &'a mut [u8]) -> Option<&'a CStr> {
    let bytes = text.to_bytes_with_nul();
    place.get_mut(..bytes.len())?.copy_from_slice(bytes);
    CStr::from_bytes_until_nul(place).ok()
}

fn own_pid() -> c_int {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Ends with its parent, also where that has ended before this is asked for (`PR_SET_PDEATHSIG`, prctl(2)).
fn follow(parent: c_int, life: impl FnOnce() -> c_int) -> c_int {
    let asked = end_with_parent();
    // SAFETY: no memory is touched.
    match asked.is_ok() && unsafe { libc::getppid() } == parent {
        true => life(),
        false => 1,
    }
}

fn prepared(folder: &CStr) -> Result<OwnedFd, (Stage, Errno)> {
    become_reaper().map_err(|errno| (Stage::Reaper, errno))?;
    // SAFETY: the disposition of a signal of this process alone. Ignored, it would say nothing of the supervisor.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let children = child_signals().map_err(|errno| (Stage::Reaper, errno))?;
    hide().map_err(|errno| (Stage::Reaper, errno))?;
    make_own_folder(folder).map_err(|errno| (Stage::Folder, errno))?;
    Ok(children)
}

/// Waits until the harness has let go of its end of the socket, or the supervisor has ended.
fn watch(control: BorrowedFd<'_>, children: &OwnedFd, supervisor: c_int) {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        // Without a flag, only the end of the other side is told (poll(2)): messages are for the supervisor.
        let mut ready = [
            PollFd::from_borrowed_fd(control, PollFlags::empty()),
            PollFd::new(children, PollFlags::IN),
        ];
        if retry(|| poll(&mut ready, None)).is_err() {
            return;
        }
        let [let_go, ended] = ready.map(|fd| !fd.revents().is_empty());
        if ended {
            let mut scratch = [0u8; 128 * 8];
            let _ = rustix::io::read(children.as_fd(), &mut scratch);
        }
        if let_go || (ended && reap_until(supervisor)) {
            return;
        }
    }
}

/// Reaps all that has ended; true where it is among it.
fn reap_until(supervisor: c_int) -> bool {
    loop {
        let mut status: c_int = 0;
        // SAFETY: `status` lives on this stack.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            pid if pid == supervisor => return true,
            ..=0 => return false,
            _ => {}
        }
    }
}
