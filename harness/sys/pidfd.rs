//! What the kernel keeps of a process for whoever holds a descriptor of it, also after somebody else has waited for it.

use rustix::fd::{AsRawFd, BorrowedFd};

/// `PIDFD_INFO_EXIT` (`linux/pidfd.h`): asks for the wait status, and is set where there is one.
const EXIT: u64 = 1 << 3;

/// The first version of `struct pidfd_info` (`linux/pidfd.h`).
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_GET_INFO`, `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: libc::c_ulong =
    3 << 30 | (size_of::<Info>() as libc::c_ulong) << 16 | 0xff << 8 | 11;

/// The wait status of a process that has ended and been waited for; `None` before that, and on kernels older than
/// Linux 6.15, which do not keep it.
pub(crate) fn wait_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let mut info = Info {
        mask: EXIT,
        ..Info::default()
    };
    // SAFETY: the kernel writes at most the size that the request's number names, which is that of the struct.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}
