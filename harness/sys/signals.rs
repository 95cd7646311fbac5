//! Signals taken by waiting for them, in a thread, where a handler could do next to nothing.

use std::io;

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid argument for sigemptyset, which initialises it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        set
    }
}

/// Blocks signals in this thread and in all that it starts from now on (pthread_sigmask(3)).
pub(crate) fn block(signals: &[i32]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: the set lives on this stack.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Waits until one of the blocked signals has come, and returns its number (sigwait(3)).
pub(crate) fn wait_for(signals: &[i32]) -> io::Result<i32> {
    let set = set_of(signals);
    let mut number = 0;
    // SAFETY: both live on this stack.
    match unsafe { libc::sigwait(&set, &mut number) } {
        0 => Ok(number),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
