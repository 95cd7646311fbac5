//! Socket calls that the safe crates do not offer.

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result < 0 {
        // SAFETY: errno of this thread.
        return Err(Errno::from_raw_os_error(unsafe {
            *libc::__errno_location()
        }));
    }
    Ok(())
}

/// Brings `lo` up in the network namespace of the calling thread (`SIOCSIFFLAGS`, netdevice(7)).
pub(crate) fn loopback_up() -> Result<(), Errno> {
    // SAFETY: `ifreq` lives on this stack, is zeroed, and names the interface with a terminating nul.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(fd)?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let result = check(libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &request));
        libc::close(fd);
        result
    }
}

/// Puts a TCP socket into repair mode, in which its last close sends nothing, and closes this descriptor.
pub(crate) fn vanish(socket: Option<OwnedFd>) -> Result<(), Errno> {
    let socket = socket.ok_or(Errno::BADF)?;
    const TCP_REPAIR: libc::c_int = 19;
    let on: libc::c_int = 1;
    // SAFETY: the option value is an int on this stack and its size is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_REPAIR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
}

/// The `tcp_info` of a socket of ours (tcp(7), `TCP_INFO`).
pub(crate) fn tcp_info(socket: BorrowedFd<'_>) -> Result<libc::tcp_info, Errno> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut bytes = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `bytes` bytes; the struct is plain integers, valid when zeroed.
    unsafe {
        check(libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut bytes,
        ))?;
        Ok(info.assume_init())
    }
}

/// The bytes that the peer of a stream socket has not acknowledged yet (`SIOCOUTQ`, tcp(7)).
pub(crate) fn unsent_bytes(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) })?;
    Ok(bytes.max(0) as usize)
}

/// Lowers the soft limit on open files of another process of the same user (prlimit(2)); returns the one before.
pub(crate) fn limit_open_files(pid: i32, soft: u64) -> Result<u64, Errno> {
    let mut before = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both structs live on this stack.
    unsafe {
        check(libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            std::ptr::null(),
            &mut before,
        ))?;
        let after = libc::rlimit {
            rlim_cur: soft.min(before.rlim_max),
            rlim_max: before.rlim_max,
        };
        check(libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            &after,
            std::ptr::null_mut(),
        ))?;
    }
    Ok(before.rlim_cur)
}

/// Registers a socket with the event loop of the calling thread.
pub(crate) fn watched(socket: OwnedFd) -> std::io::Result<tokio::io::unix::AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives, and the registration owns it.
    unsafe { tokio::io::unix::AsyncFd::register(socket) }.map_err(std::io::Error::from)
}

/// Makes errors of sent datagrams known to the socket (`IP_RECVERR`, ip(7)).
pub(crate) fn report_errors(socket: &std::net::UdpSocket) -> std::io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option value is an int on this stack and its size is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_RECVERR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}
