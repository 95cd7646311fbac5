//! Datagrams that name no sender, to whom nobody can reply.

use crate::kernel::datagrams_read;
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::limits::{LOOK_SOON, STEP_WITHIN};
use crate::sys::socket::{fill_in_checksum, unsent_bytes};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType, sendto};
use std::net::SocketAddr;
use std::time::Instant;

/// Sends such a datagram; true once somebody has read it.
pub(super) async fn send_to(server: &Address, bytes: &[u8], lab: &Lab) -> Result<bool, Errno> {
    match server {
        Address::Inet(address) => {
            let pid = lab.supervisor().pid();
            let before = datagrams_read(pid);
            from_port_zero(*address, bytes, lab)?;
            Ok(comes_true(|| datagrams_read(pid) > before).await)
        }
        Address::Path(path) => {
            let socket = lab.socket(AddressFamily::UNIX, SocketType::DGRAM)?;
            let to = SocketAddrUnix::new(path.as_path())?;
            sendto(&socket, bytes, SendFlags::empty(), &to)?;
            // The kernel counts the datagram to its sender until it was read.
            Ok(comes_true(|| unsent_bytes(socket.as_fd()) == Ok(0)).await)
        }
    }
}

/// Port 0 says that no reply is wanted (RFC 768); no socket of UDP is given it, so the header is ours.
fn from_port_zero(to: SocketAddr, bytes: &[u8], lab: &Lab) -> Result<(), Errno> {
    let socket = raw(to, lab)?;
    let length = u16::try_from(8 + bytes.len()).map_err(|_| Errno::MSGSIZE)?;
    // Over IPv4 a checksum of 0 says that there is none.
    let header = [0, to.port(), length, 0].map(u16::to_be_bytes);
    let packet = [&header.concat(), bytes].concat();
    sendto(
        &socket,
        &packet,
        SendFlags::empty(),
        &SocketAddr::new(to.ip(), 0),
    )
    .map(drop)
}

fn raw(to: SocketAddr, lab: &Lab) -> Result<OwnedFd, Errno> {
    if to.is_ipv4() {
        return lab.raw_udp(AddressFamily::INET);
    }
    let socket = lab.raw_udp(AddressFamily::INET6)?;
    fill_in_checksum(socket.as_fd())?;
    Ok(socket)
}

/// The kernel has no event for it.
async fn comes_true(is_true: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_true() {
        if begun.elapsed() > STEP_WITHIN {
            return false;
        }
        tokio::time::sleep(LOOK_SOON).await;
    }
    true
}
