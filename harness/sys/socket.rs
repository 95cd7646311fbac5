//! Socket calls that the safe crates do not offer.

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

/// The error of the last call of this thread, where its result says that there is one.
pub(super) fn check(result: libc::c_int) -> Result<(), Errno> {
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

/// The network namespace that a socket is in (`SIOCGSKNS`, netdevice(7)); needs CAP_NET_ADMIN over it.
pub(crate) fn network_of(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const SIOCGSKNS: libc::c_ulong = 0x894c;
    // SAFETY: the request has no argument and returns a descriptor that nobody else has.
    unsafe {
        let fd = libc::ioctl(socket.as_raw_fd(), SIOCGSKNS as _, 0);
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Sets an option whose value is a number (setsockopt(2)).
fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<(), Errno> {
    // SAFETY: the option value is an int on this stack and its size is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
}

/// An option whose value is a number (getsockopt(2)).
fn option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
) -> Result<libc::c_int, Errno> {
    let mut value = 0;
    let mut bytes = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most the bytes of an int, which is on this stack.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut value).cast(),
            &raw mut bytes,
        )
    })?;
    Ok(value)
}

/// Tells whoever waits for it that there is something to read of a socket of TCP, where there is: setting SO_RCVLOWAT, to what it is,
/// does so (tcp_set_rcvlowat of the kernel).
pub(crate) fn wake_reader(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let least = option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, least)
}

/// The same of room to write: setting TCP_NOTSENT_LOWAT, to what it is, does so (do_tcp_setsockopt of the kernel).
pub(crate) fn wake_writer(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let most = option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, most)
}

/// Puts a TCP socket into repair mode, in which its last close sends nothing, and closes this descriptor.
pub(crate) fn vanish(socket: Option<OwnedFd>) -> Result<(), Errno> {
    let socket = socket.ok_or(Errno::BADF)?;
    const TCP_REPAIR: libc::c_int = 19;
    set_option(socket.as_fd(), libc::IPPROTO_TCP, TCP_REPAIR, 1)
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

/// How many bytes the peer of a socket of ours has room for, as it has said last (`tcpi_snd_wnd` of `linux/tcp.h`, since Linux 5.4).
pub(crate) fn send_window(socket: BorrowedFd<'_>) -> Option<u32> {
    const AT: usize = 228 / size_of::<u32>();
    let mut info = [0u32; AT + 1];
    let mut bytes = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `bytes` bytes into an array of plain integers.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut bytes,
        )
    })
    .ok()?;
    (bytes as usize == size_of_val(&info)).then_some(info[AT])
}

/// How many datagrams the kernel has dropped for a socket (`SO_MEMINFO`, linux/sock_diag.h).
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut figures = [0u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut bytes = size_of_val(&figures) as libc::socklen_t;
    // SAFETY: the kernel writes at most `bytes` bytes into an array of plain integers.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            figures.as_mut_ptr().cast(),
            &mut bytes,
        )
    })?;
    Ok(figures[libc::SK_MEMINFO_DROPS as usize])
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
    let before = open_files(pid)?;
    let after = libc::rlimit {
        rlim_cur: soft.min(before.rlim_max),
        rlim_max: before.rlim_max,
    };
    set_open_files(pid, &after)?;
    Ok(before.rlim_cur)
}

/// Asks whether [`limit_open_files`] is permitted, by setting the limits of another process that it has.
pub(crate) fn keep_open_files(pid: i32) -> Result<(), Errno> {
    set_open_files(pid, &open_files(pid)?)
}

fn open_files(pid: i32) -> Result<libc::rlimit, Errno> {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct lives on this stack.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limits) })?;
    Ok(limits)
}

fn set_open_files(pid: i32, limits: &libc::rlimit) -> Result<(), Errno> {
    // SAFETY: the kernel reads one struct.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, limits, std::ptr::null_mut()) })
}

/// Registers a descriptor with the event loop of the calling thread.
pub(crate) fn watched(
    socket: Rc<OwnedFd>,
) -> std::io::Result<tokio::io::unix::AsyncFd<Rc<OwnedFd>>> {
    // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives, and the registration holds it.
    unsafe { tokio::io::unix::AsyncFd::register(socket) }.map_err(std::io::Error::from)
}

/// Makes errors of sent datagrams known to the socket (`IP_RECVERR`, ip(7)).
pub(crate) fn report_errors(socket: &std::net::UdpSocket) -> std::io::Result<()> {
    set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1)?;
    Ok(())
}

/// Lets the kernel fill in the checksum of UDP over IPv6, which may not be left out as over IPv4 (`IPV6_CHECKSUM`, ipv6(7)).
pub(crate) fn fill_in_checksum(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let in_udp_header = 6;
    set_option(
        socket.as_fd(),
        libc::IPPROTO_IPV6,
        libc::IPV6_CHECKSUM,
        in_udp_header,
    )?;
    Ok(())
}

/// Asks for the address that each datagram was sent to (`IP_PKTINFO`, ip(7)).
pub(crate) fn tell_destinations(socket: BorrowedFd<'_>) -> std::io::Result<()> {
    set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    Ok(())
}

/// Room for one `IP_PKTINFO` message, aligned as control data must be.
#[repr(C, align(8))]
struct PacketInfo([u8; 64]);

/// Receives a datagram over IPv4: its length, its sender, and the address that it was sent to where that is told.
pub(crate) fn receive_with_destination(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> std::io::Result<(usize, SocketAddrV4, Option<Ipv4Addr>)> {
    let mut control = PacketInfo([0; 64]);
    // SAFETY: every pointer in the header is to memory of this frame, with its length; the control data is walked with
    // the macros of cmsg(3), and read only where its kind says what it is.
    unsafe {
        let mut from: libc::sockaddr_in = std::mem::zeroed();
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let bytes = libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0);
        check(bytes as libc::c_int)?;
        let mut to = None;
        let mut head = libc::CMSG_FIRSTHDR(&raw const message);
        while !head.is_null() {
            if (*head).cmsg_level == libc::IPPROTO_IP && (*head).cmsg_type == libc::IP_PKTINFO {
                let info: libc::in_pktinfo = std::ptr::read_unaligned(libc::CMSG_DATA(head).cast());
                to = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
            }
            head = libc::CMSG_NXTHDR(&raw const message, head);
        }
        let ip = Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr));
        let from = SocketAddrV4::new(ip, u16::from_be(from.sin_port));
        Ok((bytes as usize, from, to))
    }
}

/// Sends a datagram over IPv4, from the given address of this host.
pub(crate) fn send_from(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    to: SocketAddrV4,
    source: Ipv4Addr,
) -> std::io::Result<()> {
    let mut control = PacketInfo([0; 64]);
    // SAFETY: as above; the one control message is written within the room that CMSG_SPACE counts.
    unsafe {
        let mut name: libc::sockaddr_in = std::mem::zeroed();
        name.sin_family = libc::AF_INET as libc::sa_family_t;
        name.sin_port = to.port().to_be();
        name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
        let mut part = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        let info_bytes = size_of::<libc::in_pktinfo>() as libc::c_uint;
        message.msg_controllen = libc::CMSG_SPACE(info_bytes) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::IPPROTO_IP;
        (*head).cmsg_type = libc::IP_PKTINFO;
        (*head).cmsg_len = libc::CMSG_LEN(info_bytes) as _;
        let mut info: libc::in_pktinfo = std::mem::zeroed();
        info.ipi_spec_dst.s_addr = u32::from(source).to_be();
        std::ptr::write_unaligned(libc::CMSG_DATA(head).cast(), info);
        check(
            libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
                as libc::c_int,
        )?;
    }
    Ok(())
}
