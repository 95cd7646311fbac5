//! The copy of this process that goes on by itself: what runs in it is async-signal-safe (fork(2)).

use super::message::retry;
use super::socket::check;
use rustix::fd::RawFd;
use rustix::io::Errno;
use std::ffi::c_int;

/// Clones this process with every signal blocked, so that no handler of the harness ever runs in the child.
pub(super) fn clone_with_signals_blocked(
    flags: c_int,
    child: impl FnOnce() -> c_int,
) -> Result<i32, Errno> {
    // SAFETY: the signal sets live on this stack; the child runs only `child`, which keeps to async-signal-safe
    // calls, and leaves by `_exit`, so no destructor of the harness runs twice.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let pid = raw_clone(flags);
        if pid == 0 {
            libc::_exit(child());
        }
        let errno = *libc::__errno_location();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        if pid < 0 {
            return Err(Errno::from_raw_os_error(errno));
        }
        Ok(pid as i32)
    }
}

/// `clone` as `fork` with extra flags: no new stack, `SIGCHLD` at the end.
///
/// # Safety
/// In the child only async-signal-safe calls are allowed.
pub(super) unsafe fn raw_clone(flags: c_int) -> libc::c_long {
    // SAFETY: the caller promises what the child does.
    unsafe { clone_telling(flags, std::ptr::null_mut()) }
}

/// The same with a descriptor of the child, of which the child knows nothing.
///
/// # Safety
/// In the child only async-signal-safe calls are allowed.
pub(super) unsafe fn raw_clone_with_pidfd(flags: c_int) -> Result<(i32, RawFd), Errno> {
    let mut pidfd: c_int = -1;
    // SAFETY: the caller promises what the child does; the kernel writes one integer, to this stack.
    let pid = unsafe { clone_telling(flags | libc::CLONE_PIDFD, &raw mut pidfd) };
    check(pid as c_int)?;
    Ok((pid as i32, pidfd))
}

/// # Safety
/// In the child only async-signal-safe calls are allowed, and the place is one that the kernel may write to as the flags say.
unsafe fn clone_telling(flags: c_int, told: *mut c_int) -> libc::c_long {
    // SAFETY: the caller promises what the child does; without CLONE_VM the child has its own copy of this stack.
    unsafe {
        libc::syscall(
            libc::SYS_clone,
            (flags | libc::SIGCHLD) as libc::c_ulong,
            0usize,
            told,
            0usize,
            0usize,
        )
    }
}

/// Closes every descriptor but the control socket: a copy of a client's socket held here would swallow its FIN.
pub(super) fn keep_only(control: RawFd) {
    // SAFETY: close_range(2) touches no memory; standard streams go too, so that nobody waits for our end of a pipe.
    unsafe {
        if control > 0 {
            libc::syscall(libc::SYS_close_range, 0u32, control as u32 - 1, 0u32);
        }
        libc::syscall(libc::SYS_close_range, control as u32 + 1, u32::MAX, 0u32);
    }
}

/// Waits for a child of ours that ends.
pub(super) fn wait_for_child(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // ECHILD: the embedding program has reaped it already, which serves as well.
        let _ =
            retry(|| rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()));
    }
}
