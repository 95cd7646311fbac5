//! A descriptor of another process, looked at through a copy that is held no longer than the look: one that is kept would delay the
//! server's FIN.

use super::proc_file::text_of;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// A copy of a descriptor of another process.
#[derive(Debug)]
pub(crate) struct Borrowed {
    copy: OwnedFd,
    /// Whether calls on it never wait (`O_NONBLOCK`, open(2)).
    pub(crate) is_non_blocking: bool,
    pub(crate) kind: BorrowedKind,
}

/// What stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BorrowedKind {
    /// A socket that takes connections.
    Listener,
    /// A socket of a stream that does not.
    Stream,
    /// A socket of datagrams.
    Datagrams,
    /// A file of the file system.
    File,
    /// A pipe, a terminal or anything else.
    Other,
}

impl Borrowed {
    /// The copy of a thread's descriptor.
    ///
    /// # Errors
    /// It is not open, the process has ended, or nobody may look into it: `PTRACE_MODE_ATTACH_REALCREDS` is asked for
    /// (pidfd_getfd(2)).
    pub(crate) fn of(thread: i32, descriptor: i32) -> Result<Self, Errno> {
        let process = pidfd_open(process_of(thread)?, PidfdFlags::empty())?;
        let copy = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())?;
        let flags = rustix::fs::fcntl_getfl(&copy)?;
        let kind = kind_of(copy.as_fd())?;
        Ok(Self {
            copy,
            is_non_blocking: flags.contains(rustix::fs::OFlags::NONBLOCK),
            kind,
        })
    }

    /// What tells it from all others that are open at the same time.
    pub(crate) fn identity(&self) -> Result<(u64, u64), Errno> {
        let stat = rustix::fs::fstat(&self.copy)?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

impl AsFd for Borrowed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.copy.as_fd()
    }
}

/// The process that a thread is of (proc_pid_status(5)).
fn process_of(thread: i32) -> Result<Pid, Errno> {
    let status = text_of(format!("/proc/{thread}/status"))?;
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    let group = group.and_then(|group| group.trim().parse().ok());
    group.and_then(Pid::from_raw).ok_or(Errno::SRCH)
}

fn kind_of(descriptor: BorrowedFd<'_>) -> Result<BorrowedKind, Errno> {
    let mode = rustix::fs::fstat(descriptor)?.st_mode;
    Ok(match FileType::from_raw_mode(mode) {
        FileType::Socket if sockopt::socket_acceptconn(descriptor)? => BorrowedKind::Listener,
        FileType::Socket if sockopt::socket_type(descriptor)? == SocketType::DGRAM => {
            BorrowedKind::Datagrams
        }
        FileType::Socket => BorrowedKind::Stream,
        FileType::RegularFile => BorrowedKind::File,
        _ => BorrowedKind::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;

    fn own(descriptor: impl AsRawFd) -> Borrowed {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        Borrowed::of(own, descriptor.as_raw_fd()).unwrap()
    }

    #[test]
    fn descriptor_is_told_by_what_stands_behind_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = tempfile::tempfile().unwrap();
        let (pipe, _) = rustix::pipe::pipe().unwrap();
        assert_eq!(own(&listener).kind, BorrowedKind::Listener);
        let stream = own(&stream);
        assert_eq!(stream.kind, BorrowedKind::Stream);
        assert!(stream.is_non_blocking && !own(&listener).is_non_blocking);
        assert_eq!(own(&datagrams).kind, BorrowedKind::Datagrams);
        assert_eq!(own(&file).kind, BorrowedKind::File);
        assert_eq!(own(&pipe).kind, BorrowedKind::Other);
        assert_eq!(own(&pipe).identity(), own(&pipe).identity());
    }
}
