//! System calls that wait for an answer from here (seccomp_unotify(2)).
//!
//! A filter in the server (seccomp(2)) holds up some of its calls; the kernel tells the listener of each, and the call goes on, fails
//! or returns as the listener's owner says. Where nobody has the listener any more, such calls fail with ENOSYS.

use super::socket::check;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use std::ffi::{c_int, c_long};

/// Where the kernel tells of calls.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// What its answer goes to.
    id: u64,
    /// The thread, as the harness sees it.
    pub(crate) thread: i32,
    /// What is called (syscalls(2)).
    pub(crate) number: c_long,
    pub(crate) arguments: [u64; 6],
}

#[cfg(test)]
impl Call {
    /// A call of the thread that asks, for which nobody waits.
    pub(crate) fn staged(number: c_long, arguments: [u64; 6]) -> Self {
        Self {
            id: 0,
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
            number,
            arguments,
        }
    }
}

/// How a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel does it.
    GoesOn,
    /// It is not done, and fails.
    Fails(Errno),
    /// It is not done, and returns a number.
    Returns(i64),
}

impl Listener {
    pub(super) fn of(descriptor: OwnedFd) -> Self {
        let listener = Self(descriptor);
        // EINVAL: the kernel is older than 6.6, and hands the processor over less soon.
        let _ = listener.control(
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            std::ptr::without_provenance_mut(SYNC_WAKE_UP),
        );
        listener
    }

    /// The next call that waits; `None` where there is none any more of those that were told.
    ///
    /// # Errors
    /// The kernel refuses to say.
    pub(crate) fn next(&self) -> Result<Option<Call>, Errno> {
        // SAFETY: integers only, and the kernel asks for zeroes.
        let mut told: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        match self.control(libc::SECCOMP_IOCTL_NOTIF_RECV, (&raw mut told).cast()) {
            Ok(()) => Ok(Some(Call {
                id: told.id,
                thread: told.pid as i32,
                number: c_long::from(told.data.nr),
                arguments: told.data.args,
            })),
            // It was interrupted, or has ended with its process, before it was told of.
            Err(Errno::NOENT | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Answers a call; false where it waits no more: a signal has interrupted it, or its process has ended.
    pub(crate) fn answer(&self, call: &Call, answer: Answer) -> bool {
        let (value, error, goes_on) = match answer {
            Answer::GoesOn => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
            Answer::Fails(errno) => (0, -errno.raw_os_error(), 0),
            Answer::Returns(value) => (value, 0, 0),
        };
        let mut response = libc::seccomp_notif_resp {
            id: call.id,
            val: value,
            error,
            flags: goes_on as u32,
        };
        self.control(libc::SECCOMP_IOCTL_NOTIF_SEND, (&raw mut response).cast())
            .is_ok()
    }

    /// Whether a call still waits. What was read of its process before this was its own: its number is not given to another.
    pub(crate) fn still_waits(&self, call: &Call) -> bool {
        let mut id = call.id;
        self.control(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, (&raw mut id).cast())
            .is_ok()
    }

    fn control(&self, request: libc::Ioctl, argument: *mut libc::c_void) -> Result<(), Errno> {
        // SAFETY: each caller passes what the request reads or writes, which lives for as long as the call.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (linux/seccomp.h, since 6.6).
const SYNC_WAKE_UP: usize = 1;

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (linux/seccomp.h, since 5.19): a call that somebody has been told of is not interrupted by
/// a signal that has a handler. Otherwise calls would fail with EINTR of which no page says so, and what is done for one could be done
/// twice.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// Takes a filter of so many instructions on for this thread and all that it starts; returns its listener. Without CAP_SYS_ADMIN this
/// takes `PR_SET_NO_NEW_PRIVS` (seccomp(2)), and set-user-ID programs gain nothing.
///
/// # Safety
/// So many instructions stand there.
pub(super) unsafe fn install(
    filter: *mut libc::sock_filter,
    instructions: usize,
) -> Result<RawFd, Errno> {
    let program = libc::sock_fprog {
        len: instructions as u16,
        filter,
    };
    // SAFETY: the caller promises the instructions, which the kernel copies.
    let install = || unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE_RECV,
            &raw const program,
        ) as c_int
    };
    let mut listener = install();
    if check(listener) == Err(Errno::ACCESS) {
        // SAFETY: integers only.
        check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
        listener = install();
    }
    check(listener)?;
    Ok(listener)
}

/// Takes a filter on for a thread that makes none of its calls, and ends: whether that is permitted here.
///
/// # Errors
/// The kernel, or a filter that this process has itself, refuses it.
pub(crate) fn permitted() -> Result<(), Errno> {
    let of_nobody = || {
        let mut instructions = filter([libc::SYS_acct]);
        // SAFETY: a `sock_filter` has eight bytes, and so many stand there.
        let listener = unsafe { install(instructions.as_mut_ptr().cast(), instructions.len()) }?;
        // SAFETY: the kernel has just opened it for us.
        drop(unsafe { OwnedFd::from_raw_fd(listener) });
        Ok(())
    };
    let tried = std::thread::spawn(of_nobody).join();
    tried.unwrap_or(Err(Errno::NOSYS))
}

/// The instructions of a filter that tells of the calls of these numbers, and lets all others through, as all of another architecture.
pub(crate) fn filter(numbers: impl IntoIterator<Item = c_long>) -> Vec<u64> {
    let rules = numbers
        .into_iter()
        .map(|number| (number, Vec::new()))
        .collect();
    let (others, these) = (SeccompAction::Allow, SeccompAction::Trap);
    let program = TargetArch::try_from(std::env::consts::ARCH)
        .and_then(|arch| SeccompFilter::new(rules, others, these, arch))
        .and_then(BpfProgram::try_from);
    let instructions = program.unwrap_or_default().into_iter();
    let instructions = instructions.map(|instruction| {
        let returns = u32::from(instruction.code) == libc::BPF_RET | libc::BPF_K;
        // The crate has no name for the first, and lets no program of another architecture live.
        let k = match instruction.k {
            libc::SECCOMP_RET_TRAP if returns => libc::SECCOMP_RET_USER_NOTIF,
            libc::SECCOMP_RET_KILL_PROCESS if returns => libc::SECCOMP_RET_ALLOW,
            k => k,
        };
        let [c0, c1] = instruction.code.to_ne_bytes();
        let [k0, k1, k2, k3] = k.to_ne_bytes();
        u64::from_ne_bytes([c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3])
    });
    instructions.collect()
}
