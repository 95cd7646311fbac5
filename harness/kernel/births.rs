//! Which processes are born and how they end, as the kernel tells it the moment it happens.
//!
//! The process events connector (`linux/cn_proc.h`) tells of every process of the host, to whoever asks from the first pid
//! and user namespace: since Linux 6.6 to every user. Elsewhere, as in a container, it tells nothing, and the process tree
//! is looked at instead.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::sync::Mutex;

/// What the kernel tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessEvent {
    /// A process was born.
    Born {
        /// Its parent.
        parent: i32,
        /// It.
        pid: i32,
    },
    /// A thread of a process ended.
    Ended {
        /// The process.
        pid: i32,
        /// Whether it is the thread that the process began with, whose end is that of the process as a rule.
        is_first_thread: bool,
        /// The wait status (wait(2)).
        status: i32,
    },
}

/// `CN_IDX_PROC` and `CN_VAL_PROC` (`linux/connector.h`): who speaks.
const PROCESSES: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
const FORK: u32 = 0x0000_0001;
const NONZERO_EXIT: u32 = 0x2000_0000;
const EXIT: u32 = 0x8000_0000;
/// A message stands behind the heads of netlink (16 bytes) and of the connector (20 bytes).
const HEADS: usize = 36;
/// `struct proc_event`: its kind, the processor and the time, and then what it is about.
const ABOUT_AT: usize = HEADS + 16;

/// The kernel's messages about processes of the host.
#[derive(Debug)]
pub(super) struct ProcessEvents {
    netlink: Mutex<OwnedFd>,
}

impl ProcessEvents {
    /// Subscribes to births, and to ends that are not status 0. Whether the kernel heeds it shows in a birth.
    pub(super) fn subscribe() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let netlink = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            flags,
            Some(CONNECTOR),
        )?;
        rustix::net::bind(&netlink, &SocketAddrNetlink::new(0, PROCESSES))?;
        // A busy host tells of hundreds before they are read about; more than it permits is cut by the kernel.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&netlink, 4 << 20);
        rustix::net::send(&netlink, &subscription(), SendFlags::empty())?;
        Ok(Self {
            netlink: Mutex::new(netlink),
        })
    }

    /// Takes what has come since the last call.
    ///
    /// # Errors
    /// `ENOBUFS` where some of it was lost for want of room.
    pub(super) fn take(&self) -> Result<Vec<ProcessEvent>, Errno> {
        let netlink = self.netlink.lock().map_err(|_| Errno::BADF)?;
        let mut found = Vec::new();
        let mut buffer = [0u8; 256];
        loop {
            match rustix::net::recv(&*netlink, &mut buffer[..], RecvFlags::empty()) {
                Ok((_, bytes)) => found.extend(event(&buffer[..bytes])),
                Err(Errno::AGAIN) => return Ok(found),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Another descriptor of the socket, to wait for what comes.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        let netlink = self.netlink.lock().ok()?;
        let netlink: BorrowedFd<'_> = netlink.as_fd();
        netlink.try_clone_to_owned().ok()
    }
}

fn subscription() -> Vec<u8> {
    let body: Vec<u8> = [LISTEN, FORK | NONZERO_EXIT]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    let mut message = Vec::new();
    message.extend_from_slice(&((HEADS + body.len()) as u32).to_ne_bytes());
    // `NLMSG_DONE`, which the connector asks for; no flags, sequence or sender.
    message.extend_from_slice(&3u16.to_ne_bytes());
    message.extend_from_slice(&[0; 10]);
    for word in [PROCESSES, PROCESSES, 0, 0] {
        message.extend_from_slice(&word.to_ne_bytes());
    }
    message.extend_from_slice(&(body.len() as u16).to_ne_bytes());
    message.extend_from_slice(&[0; 2]);
    message.extend_from_slice(&body);
    message
}

/// Reads `struct proc_event` behind its heads; threads that are born are nobody's business.
pub(super) fn event(message: &[u8]) -> Option<ProcessEvent> {
    let word = |at: usize| {
        Some(u32::from_ne_bytes(
            message.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    let about = |n: usize| word(ABOUT_AT + 4 * n);
    let [first, second, third, fourth] = [about(0)?, about(1)?, about(2)?, about(3)?];
    match word(HEADS)? {
        // The parent's thread and process, then the child's.
        FORK if third == fourth => Some(ProcessEvent::Born {
            parent: second as i32,
            pid: fourth as i32,
        }),
        // The thread and its process, then the wait status.
        EXIT | NONZERO_EXIT => Some(ProcessEvent::Ended {
            pid: second as i32,
            is_first_thread: first == second,
            status: third as i32,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u32, about: [u32; 4]) -> Vec<u8> {
        let mut message = vec![0; HEADS];
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&[0; 12]);
        message.extend(about.iter().flat_map(|word| word.to_ne_bytes()));
        message
    }

    #[test]
    fn births_of_processes_and_ends_of_threads_are_read() {
        let born = ProcessEvent::Born { parent: 7, pid: 9 };
        assert_eq!(event(&message(FORK, [8, 7, 9, 9])), Some(born));
        // A thread of the parent.
        assert_eq!(event(&message(FORK, [8, 7, 9, 7])), None);
        for kind in [EXIT, NONZERO_EXIT] {
            let ended = ProcessEvent::Ended {
                pid: 7,
                is_first_thread: false,
                status: 11,
            };
            assert_eq!(event(&message(kind, [8, 7, 11, 17])), Some(ended));
        }
        // What the kernel answers to the subscription.
        assert_eq!(event(&message(0, [0; 4])), None);
        assert_eq!(event(&[0; 20]), None);
    }
}
