//! What the kernel tells of a TCP socket as it dies: the flight recorder of the server's connections.
//!
//! `sock_diag` multicasts the identity and the last `tcp_info` of every socket that is destroyed
//! (`SKNLGRP_INET_TCP_DESTROY`, `linux/sock_diag.h`). No privilege is needed.

use super::diag::{attributes, inet_row, messages};
use crate::sys::supervisor::Supervisor;
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketType};
use std::net::SocketAddr;
use std::sync::Mutex;

const NETLINK_SOCK_DIAG: i32 = 4;
const INET_DIAG_INFO: u16 = 2;

/// The groups of destroyed TCP sockets over IPv4 and IPv6 (group 1 and group 3), as a mask.
const DESTROYED: u32 = 1 | 1 << 2;

/// A TCP socket that is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DestroyedSocket {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Bytes that were sent, or waited to be sent, and that the peer's kernel never acknowledged.
    pub(crate) lost_bytes: u64,
    /// Bytes that the peer's kernel acknowledged.
    pub(crate) delivered_bytes: u64,
}

/// The kernel's messages about sockets that die in a network namespace.
#[derive(Debug)]
pub(crate) struct DestroyEvents {
    netlink: Mutex<OwnedFd>,
}

impl DestroyEvents {
    /// Subscribes in the supervisor's network namespace.
    pub(crate) fn subscribe(supervisor: &Supervisor) -> Result<Self, Errno> {
        let netlink =
            supervisor.socket(AddressFamily::NETLINK, SocketType::RAW, NETLINK_SOCK_DIAG)?;
        rustix::net::bind(&netlink, &SocketAddrNetlink::new(0, DESTROYED))?;
        rustix::io::ioctl_fionbio(&netlink, true)?;
        // Thousands may die before they are read about.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&netlink, 4 << 20);
        Ok(Self {
            netlink: Mutex::new(netlink),
        })
    }

    /// Takes what has come since the last call.
    pub(crate) fn take(&self) -> Vec<DestroyedSocket> {
        let Ok(netlink) = self.netlink.lock() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut buffer = Vec::with_capacity(8 << 10);
        loop {
            buffer.clear();
            match rustix::net::recv(&*netlink, spare_capacity(&mut buffer), RecvFlags::empty()) {
                Ok(_) => found.extend(messages(&buffer).into_iter().filter_map(destroyed)),
                // Some were lost for want of room; those that were not follow.
                Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(_) => break,
            }
        }
        found
    }
}

pub(super) fn destroyed(body: &[u8]) -> Option<DestroyedSocket> {
    let row = inet_row(body)?;
    let info = attributes(body.get(72..)?);
    let (_, info) = info.into_iter().find(|(kind, _)| *kind == INET_DIAG_INFO)?;
    let word = |at: usize| Some(u64::from_ne_bytes(info.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
    // Offsets in `struct tcp_info` (`linux/tcp.h`): bytes_acked 120, notsent_bytes 144, bytes_sent 200, bytes_retrans 208.
    let acknowledged = word(120)?;
    let waiting = u64::from(half(144)?);
    let sent = word(200)?.saturating_sub(word(208)?);
    Some(DestroyedSocket {
        local: row.local?,
        remote: row.remote?,
        lost_bytes: sent.saturating_sub(acknowledged) + waiting,
        delivered_bytes: acknowledged.min(sent),
    })
}
