//! Signals taken by waiting for them, in a thread, where a handler could do next to nothing; and those that are ignored.

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

/// Lets a write fail that goes beyond the limit on the size of files, in the place of the signal that ends us (signal(7), SIGXFSZ).
/// Servers are started with the default of every signal.
pub(crate) fn ignore_file_size_signal() {
    // SAFETY: no handler is installed, so that nothing runs; the call cannot fail for this signal.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Whether whoever has started us has seen to it that the end of a terminal does not end us (nohup(1)).
pub(crate) fn outlives_terminal() -> bool {
    // SAFETY: an all-zero value is a valid place for what is there now, which is only asked for.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Ends this process at once: nothing is waited for, and no handler runs that might wait.
pub(crate) fn end_at_once(status: i32) -> ! {
    // SAFETY: the call takes no memory of ours, and does not return.
    unsafe { libc::_exit(status) }
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

/// Does with a signal that is caught what is done where it is not: this process stops, and goes on behind the call, or ends.
pub(crate) fn as_if_not_caught(signal: i32) {
    // SAFETY: all-zero is a valid action, and SIG_DFL one that runs nothing; both actions live on this stack. What is installed
    // meanwhile is the default, and afterwards what was there before.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        let mut caught: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, &default, &mut caught) == 0 {
            libc::raise(signal);
            libc::sigaction(signal, &caught, std::ptr::null_mut());
        }
    }
}
