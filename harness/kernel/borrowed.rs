//! A descriptor of another process, looked at through a copy that is held no longer than the look: one that is kept would delay the
//! server's FIN.

use super::proc_file::text_of;
use crate::sys::foreign_memory::{self, Piece};
use crate::sys::socket::{wake_reader, wake_writer};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::{SocketAddrUnix, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A copy of a descriptor of another process.
#[derive(Debug)]
pub(crate) struct Borrowed {
    copy: OwnedFd,
    /// Whether calls on it never wait (`O_NONBLOCK`, open(2)).
    pub(crate) is_non_blocking: bool,
    pub(crate) kind: BorrowedKind,
}

/// What tells an open file from all others that are open at the same time: its device and its inode (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// That of a descriptor's file.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn of(descriptor: BorrowedFd<'_>) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(descriptor)?;
        Ok(Self(stat.st_dev, stat.st_ino))
    }
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
        let process = pidfd_of(thread)?;
        let copy = pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty())?;
        let flags = rustix::fs::fcntl_getfl(&copy)?;
        let kind = kind_of(copy.as_fd())?;
        Ok(Self {
            copy,
            is_non_blocking: flags.contains(rustix::fs::OFlags::NONBLOCK),
            kind,
        })
    }

    /// The port that the socket has itself.
    pub(crate) fn own_port(&self) -> Option<u16> {
        let address = SocketAddr::try_from(rustix::net::getsockname(&self.copy).ok()?);
        address.ok().map(|address| address.port())
    }

    /// The path that the socket has itself.
    pub(crate) fn own_path(&self) -> Option<PathBuf> {
        let address = SocketAddrUnix::try_from(rustix::net::getsockname(&self.copy).ok()?).ok()?;
        let path = address.path_bytes()?;
        Some(OsStr::from_bytes(path).into())
    }

    /// The address of its other end.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let peer = rustix::net::getpeername(&self.copy).ok()??;
        SocketAddr::try_from(peer).ok()
    }

    /// Whether somebody is at the other end.
    pub(crate) fn has_peer(&self) -> bool {
        rustix::net::getpeername(&self.copy).is_ok_and(|peer| peer.is_some())
    }

    /// Whether a read finds neither bytes nor an end.
    pub(crate) fn is_empty(&self) -> bool {
        let mut ready = [PollFd::new(&self.copy, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec::default())).is_ok_and(|ready| ready == 0)
    }

    /// Whether a read of it waits for a limited time alone.
    pub(crate) fn has_read_timeout(&self) -> bool {
        let limit = sockopt::socket_timeout(&self.copy, sockopt::Timeout::Recv);
        limit.is_ok_and(|limit| limit.is_some())
    }

    /// Whether it is a socket of TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        let protocol = sockopt::socket_protocol(&self.copy);
        protocol.is_ok_and(|protocol| protocol == Some(rustix::net::ipproto::TCP))
    }

    /// Tells those again who wait for an edge that there is something to read, as if it had come just now.
    pub(crate) fn tell_of_input_again(&self) {
        let _ = wake_reader(self.as_fd());
    }

    /// The same of room to write.
    pub(crate) fn tell_of_room_again(&self) {
        let _ = wake_writer(self.as_fd());
    }

    /// Takes the next connection from the queue and resets it, where one waits. A socket that blocks is left alone: another process of
    /// the server may take it first, and this would wait for one more.
    pub(crate) fn drop_next_connection(&self) {
        if !self.is_non_blocking {
            return;
        }
        if let Ok(connection) = rustix::net::accept(&self.copy) {
            // Closed with a time-out of nothing, it is reset (socket(7), SO_LINGER).
            let _ = sockopt::set_socket_linger(&connection, Some(std::time::Duration::ZERO));
        }
    }

    /// Resets the connection of a socket of TCP: its client gets RST, and the server finds what it finds when a client's RST has come.
    pub(crate) fn reset(&self) {
        let _ = rustix::net::connect_unspec(&self.copy);
        // The socket has no connection any more (ENOTCONN), and is shut down all the same.
        let _ = rustix::net::shutdown(&self.copy, rustix::net::Shutdown::Both);
    }

    /// Takes the error from it of which it would tell next.
    pub(crate) fn forget_error(&self) {
        let _ = sockopt::socket_error(&self.copy);
    }

    /// What tells its file from all others.
    pub(crate) fn identity(&self) -> Result<Identity, Errno> {
        Identity::of(self.as_fd())
    }
}

impl AsFd for Borrowed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.copy.as_fd()
    }
}

/// Whether descriptors and memory of another process may be looked at, as far as this one's own tell: a host may forbid the calls
/// themselves (seccomp(2)).
///
/// # Errors
/// It does.
pub(crate) fn permitted() -> Result<(), Errno> {
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    match Borrowed::of(own, 0) {
        // It may be closed.
        Ok(_) | Err(Errno::BADF) => {}
        Err(errno) => return Err(errno),
    }
    let (from, mut into) = ([1u8], [0u8]);
    let at = from.as_ptr() as u64;
    foreign_memory::read(own, &[Piece { at, bytes: 1 }], &mut into)
}

/// Holds the process of a thread, or since Linux 6.9 the thread itself: the first one of a process may have ended before the others.
fn pidfd_of(thread: i32) -> Result<OwnedFd, Errno> {
    // PIDFD_THREAD (linux/pidfd.h).
    let of_thread = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);
    let id = Pid::from_raw(thread).ok_or(Errno::SRCH)?;
    match pidfd_open(id, of_thread) {
        Err(Errno::INVAL) => pidfd_open(process_of(thread)?, PidfdFlags::empty()),
        other => other,
    }
}

/// Whether a signal waits for a thread that it does not block (proc_pid_status(5)).
pub(crate) fn has_signal(thread: i32) -> bool {
    let status = text_of(format!("/proc/{thread}/status")).unwrap_or_default();
    let set = |name| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value
            .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
            .unwrap_or(0)
    };
    (set("SigPnd:") | set("ShdPnd:")) & !set("SigBlk:") != 0
}

/// How many descriptors the process of a thread has, and which process that is; nothing of one that has ended.
pub(crate) fn descriptors_of(thread: i32) -> Option<(i32, usize)> {
    let process = process_of(thread).ok()?.as_raw_nonzero().get();
    let descriptors = std::fs::read_dir(format!("/proc/{thread}/fd")).ok()?;
    Some((process, descriptors.count()))
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
        assert_eq!(own(listener.as_fd()).kind, BorrowedKind::Listener);
        let stream = own(stream.as_fd());
        assert_eq!(stream.kind, BorrowedKind::Stream);
        assert!(stream.is_non_blocking && !own(listener.as_fd()).is_non_blocking);
        assert_eq!(own(datagrams.as_fd()).kind, BorrowedKind::Datagrams);
        assert_eq!(own(file.as_fd()).kind, BorrowedKind::File);
        assert_eq!(own(pipe.as_fd()).kind, BorrowedKind::Other);
        assert_eq!(own(pipe.as_fd()).identity(), own(pipe.as_fd()).identity());
    }
}
