//! The kernel's socket tables through `sock_diag` (sock_diag(7)): a request, a dump of rows, no privilege needed.

use crate::sys::supervisor::Supervisor;
use rustix::buffer::spare_capacity;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;

/// An answer always comes from the kernel at once; the limit keeps a surprise from hanging the harness.
const ANSWERS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// As much as one datagram of an answer has.
const LONGEST_ANSWER: usize = 64 << 10;

const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NETLINK_SOCK_DIAG: i32 = 4;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_VFS: u32 = 2;
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_VFS: u16 = 1;
const UNIX_DIAG_RQLEN: u16 = 4;
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_SKV6ONLY: u16 = 11;

/// What is told of each socket besides.
const EXTENSIONS: u8 = 1 << (INET_DIAG_SKMEMINFO - 1);

/// The state of a row (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    /// For UDP: bound and not connected.
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    NewSynRecv,
}

impl State {
    const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynRecv,
    ];

    /// The word of the kernel's headers, as `netstat` has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv | Self::NewSynRecv => "SYN_RECV",
            Self::FinWait1 => "FIN_WAIT1",
            Self::FinWait2 => "FIN_WAIT2",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::Closing => "CLOSING",
        }
    }

    /// Whether the handshake has begun and is not complete.
    pub(crate) fn is_half_open(self) -> bool {
        matches!(self, Self::SynRecv | Self::NewSynRecv)
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// A socket in the kernel's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) state: State,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    /// For Unix sockets, the name it was bound to.
    pub(crate) path: Option<Vec<u8>>,
    /// For Unix sockets, the file that was made then; it may have other names by now (link(2), rename(2)).
    pub(crate) file: Option<FileId>,
    /// Whose it is, where the table says so.
    pub(crate) uid: Option<u32>,
    /// 0 while no process holds the socket: not accepted yet, or closed already.
    pub(crate) inode: u32,
    /// For a listener, the length of the accept queue; else the bytes that wait to be read.
    pub(crate) receive_queue: u32,
    /// For a listener, the limit of the accept queue; else the bytes not acknowledged by the peer.
    pub(crate) send_queue: u32,
    /// For an IPv6 listener, that it takes no IPv4.
    pub(crate) v6_only: bool,
    /// Packets that this socket had to drop.
    pub(crate) drops: u32,
    /// How many bytes have come from the peer, where one TCP socket was asked for.
    pub(crate) received: Option<u64>,
    /// How many bytes wait to be sent for the first time, and how large a segment is, where one TCP socket was asked for.
    pub(crate) not_sent: Option<(u32, u32)>,
}

impl Row {
    /// The other end of a connection, as it is called there: an IPv6 socket of an IPv4 client names it by a mapped address (ipv6(7)).
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let peer = self.remote?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    /// Whether nothing is on its way from it: its handshake is over, and all that it has sent is acknowledged.
    pub(crate) fn is_calm(&self) -> bool {
        let opens = matches!(
            self.state,
            State::SynSent | State::SynRecv | State::NewSynRecv
        );
        self.send_queue == 0 && !opens
    }

    /// A listener of nobody.
    #[cfg(test)]
    pub(crate) fn listening_at(local: SocketAddr) -> Self {
        Self {
            state: State::Listen,
            local: Some(local),
            remote: None,
            path: None,
            file: None,
            uid: None,
            inode: 0,
            receive_queue: 0,
            send_queue: 0,
            v6_only: false,
            drops: 0,
            received: None,
            not_sent: None,
        }
    }

    /// Whether it is a Unix socket that was bound to this path, or whose file stands there now.
    pub(crate) fn is_at(&self, path: &Path, there: Option<FileId>) -> bool {
        let wanted = path.as_os_str().as_encoded_bytes();
        let name = self.path.as_deref();
        // The kernel counts the byte that ends the path.
        let by_name = name.is_some_and(|name| name.strip_suffix(&[0]).unwrap_or(name) == wanted);
        by_name || there.is_some() && self.file == there
    }
}

/// A file as the kernel's tables name it: the device, and the lower half of the inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u32,
    inode: u32,
}

impl FileId {
    /// The file at a path.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = rustix::fs::lstat(path).ok()?;
        let (major, minor) = (
            rustix::fs::major(found.st_dev),
            rustix::fs::minor(found.st_dev),
        );
        Some(Self {
            // `MKDEV` of `linux/kdev_t.h`.
            device: major << 20 | minor,
            inode: found.st_ino as u32,
        })
    }
}

/// A `sock_diag` socket in the server's network namespace.
#[derive(Debug)]
pub(crate) struct Diag {
    netlink: Mutex<OwnedFd>,
}

/// The table to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Tcp,
    Udp,
}

impl Table {
    fn protocol(self) -> u8 {
        match self {
            Self::Tcp => libc::IPPROTO_TCP as u8,
            Self::Udp => libc::IPPROTO_UDP as u8,
        }
    }
}

impl Diag {
    /// Opens a `sock_diag` socket where the supervisor lives.
    pub(crate) fn open(supervisor: &Supervisor) -> Result<Self, Errno> {
        let netlink =
            supervisor.socket(AddressFamily::NETLINK, SocketType::RAW, NETLINK_SOCK_DIAG)?;
        rustix::net::sockopt::set_socket_timeout(
            &netlink,
            rustix::net::sockopt::Timeout::Recv,
            Some(ANSWERS_WITHIN),
        )?;
        // A full dump of a busy host is larger than the default buffer.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&netlink, 4 << 20);
        Ok(Self {
            netlink: Mutex::new(netlink),
        })
    }

    /// The TCP listeners.
    pub(crate) fn listeners(&self) -> Result<Vec<Row>, Errno> {
        self.inet(Table::Tcp, 1 << 10)
    }

    /// The UDP sockets that are bound and not connected.
    pub(crate) fn udp(&self) -> Result<Vec<Row>, Errno> {
        self.inet(Table::Udp, 1 << 7)
    }

    /// Whether a port is taken by who listens, or for datagrams is bound and not connected.
    pub(crate) fn is_bound(&self, table: Table, port: u16) -> bool {
        let rows = match table {
            Table::Tcp => self.listeners(),
            Table::Udp => self.udp(),
        };
        let rows = rows.unwrap_or_default();
        rows.iter()
            .any(|row| row.local.is_some_and(|local| local.port() == port))
    }

    /// Whether a socket for datagrams has a port, connected to somebody or not.
    pub(crate) fn has_udp(&self, port: u16) -> bool {
        let rows = self.inet(Table::Udp, u32::MAX).unwrap_or_default();
        rows.iter()
            .any(|row| row.local.is_some_and(|local| local.port() == port))
    }

    /// The TCP connections in any state but LISTEN whose local port is `port`.
    pub(crate) fn connections(&self, port: u16) -> Result<Vec<Row>, Errno> {
        let mut rows = self.inet(Table::Tcp, !(1 << 10))?;
        rows.retain(|row| row.local.is_some_and(|local| local.port() == port));
        Ok(rows)
    }

    /// The TCP connections in any state whose remote port is `port`: the clients' side of the same.
    pub(crate) fn connections_to(&self, port: u16) -> Result<Vec<Row>, Errno> {
        let mut rows = self.inet(Table::Tcp, !(1 << 10))?;
        rows.retain(|row| row.remote.is_some_and(|remote| remote.port() == port));
        Ok(rows)
    }

    /// Both sides of the TCP connections that are not over yet with a local port, or to one: those of a server, and those of its clients.
    pub(crate) fn both_sides(&self, port: u16) -> Result<[Vec<Row>; 2], Errno> {
        let rows = self.inet(Table::Tcp, !(1 << 10 | 1 << 6))?;
        let at = |end: Option<SocketAddr>| end.is_some_and(|end| end.port() == port);
        let (theirs, mut ours): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| at(row.local));
        ours.retain(|row| at(row.remote));
        Ok([theirs, ours])
    }

    fn inet(&self, table: Table, states: u32) -> Result<Vec<Row>, Errno> {
        if table == Table::Tcp
            && let Ok(rows) = self.tcp_of_both_families(states)
        {
            return Ok(rows);
        }
        let mut rows = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut request = inet_request(family as u8, table, states);
            request.extend_from_slice(&[0; 48]);
            match self.ask(&request, NLM_F_DUMP, &mut |body| {
                rows.extend(inet_row(body));
            }) {
                // The kernel answers ENOENT where a family is not compiled in.
                Err(Errno::NOENT) => {}
                other => other?,
            }
        }
        Ok(rows)
    }

    /// The TCP rows of IPv4 and IPv6: asked in the words of its first version (`struct inet_diag_req`), the kernel goes through its
    /// tables once for both, of which that of listeners is the host's and has tens of thousands of places.
    fn tcp_of_both_families(&self, states: u32) -> Result<Vec<Row>, Errno> {
        let mut request = vec![0, 0, 0, EXTENSIONS];
        request.extend_from_slice(&[0; 48]);
        request.extend_from_slice(&states.to_ne_bytes());
        request.extend_from_slice(&[0; 4]);
        let mut rows = Vec::new();
        self.ask_for(TCPDIAG_GETSOCK, &request, NLM_F_DUMP, &mut |body| {
            rows.extend(inet_row(body));
        })?;
        Ok(rows)
    }

    /// The TCP row with exactly these ends, if there is one.
    pub(crate) fn find(&self, local: SocketAddr, remote: SocketAddr) -> Result<Option<Row>, Errno> {
        let family = match local {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let mut request = inet_request(family as u8, Table::Tcp, u32::MAX);
        request[EXTENSIONS_AT] |= 1 << (INET_DIAG_INFO - 1);
        request.extend_from_slice(&local.port().to_be_bytes());
        request.extend_from_slice(&remote.port().to_be_bytes());
        for address in [local.ip(), remote.ip()] {
            request.extend_from_slice(&sixteen(address));
        }
        request.extend_from_slice(&0u32.to_ne_bytes());
        request.extend_from_slice(&[0xff; 8]);
        let mut found = None;
        match self.ask(&request, 0, &mut |body| found = inet_row(body)) {
            Ok(()) => Ok(found.filter(|row| row.state != State::Listen)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The Unix sockets that listen, or for datagrams are bound.
    pub(crate) fn unix(&self) -> Result<Vec<Row>, Errno> {
        let mut request = vec![libc::AF_UNIX as u8, 0, 0, 0];
        request.extend_from_slice(&u32::MAX.to_ne_bytes());
        request.extend_from_slice(&0u32.to_ne_bytes());
        request.extend_from_slice(
            &(UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN).to_ne_bytes(),
        );
        request.extend_from_slice(&[0xff; 8]);
        let mut rows = Vec::new();
        self.ask(&request, NLM_F_DUMP, &mut |body| {
            rows.extend(unix_row(body));
        })?;
        Ok(rows)
    }

    fn ask(&self, body: &[u8], flags: u16, take: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        self.ask_for(SOCK_DIAG_BY_FAMILY, body, flags, take)
    }

    fn ask_for(
        &self,
        kind: u16,
        body: &[u8],
        flags: u16,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Errno> {
        let netlink = self.netlink.lock().map_err(|_| Errno::BADF)?;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(body);
        rustix::net::send(&*netlink, &message, SendFlags::empty())?;
        let mut answer = Vec::with_capacity(LONGEST_ANSWER);
        loop {
            answer.clear();
            match rustix::net::recv(&*netlink, spare_capacity(&mut answer), RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if take_messages(&answer, flags == NLM_F_DUMP, take)? {
                return Ok(());
            }
        }
    }
}

/// Takes the messages of one datagram; true when the answer is complete.
pub(super) fn take_messages(
    mut bytes: &[u8],
    dump: bool,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool, Errno> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = length as usize;
        let body = bytes.get(16..length).ok_or(Errno::BADMSG)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                return match u32_at(body, 0).unwrap_or(0) as i32 {
                    0 => Ok(true),
                    // The numbers that system calls have for errors (`IS_ERR_VALUE`, linux/err.h), negative.
                    errno @ -4095..=-1 => Err(Errno::from_raw_os_error(-errno)),
                    _ => Err(Errno::BADMSG),
                };
            }
            _ => take(body),
        }
        if !dump {
            return Ok(true);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(false)
}

/// The bodies of the messages of one datagram.
pub(super) fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some(length) = u32_at(bytes, 0) {
        let length = length as usize;
        let Some(body) = bytes.get(16..length) else {
            break;
        };
        found.push(body);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    found
}

/// Where the wanted attributes stand in `struct inet_diag_req_v2`.
const EXTENSIONS_AT: usize = 2;

/// Where `tcpi_bytes_received` stands in `struct tcp_info` (`linux/tcp.h`).
const BYTES_RECEIVED_AT: usize = 128;

/// Where `tcpi_notsent_bytes` stands in it.
const NOT_SENT_AT: usize = 144;

/// Where `tcpi_snd_mss` stands in it.
const SEGMENT_AT: usize = 16;

fn inet_request(family: u8, table: Table, states: u32) -> Vec<u8> {
    let mut request = vec![family, table.protocol(), EXTENSIONS, 0];
    request.extend_from_slice(&states.to_ne_bytes());
    request
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads `struct inet_diag_msg` (`linux/inet_diag.h`).
pub(super) fn inet_row(body: &[u8]) -> Option<Row> {
    let family = *body.first()?;
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
        Some(if i32::from(family) == libc::AF_INET {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        })
    };
    let mut row = Row {
        state: State::from_number(*body.get(1)?)?,
        local: Some(SocketAddr::new(address(8)?, port(4)?)),
        remote: Some(SocketAddr::new(address(24)?, port(6)?)),
        path: None,
        file: None,
        receive_queue: u32_at(body, 56)?,
        send_queue: u32_at(body, 60)?,
        uid: u32_at(body, 64),
        inode: u32_at(body, 68)?,
        v6_only: false,
        drops: 0,
        received: None,
        not_sent: None,
    };
    for (kind, value) in attributes(body.get(72..)?) {
        if kind == INET_DIAG_INFO {
            row.received = u64_at(value, BYTES_RECEIVED_AT);
            row.not_sent = u32_at(value, NOT_SENT_AT).zip(u32_at(value, SEGMENT_AT));
        }
        if kind == INET_DIAG_SKV6ONLY {
            row.v6_only = value.first() == Some(&1);
        }
        // `sk_meminfo`: the ninth word counts drops (`SK_MEMINFO_DROPS`).
        if kind == INET_DIAG_SKMEMINFO {
            row.drops = u32_at(value, 32).unwrap_or(0);
        }
    }
    Some(row)
}

/// Reads `struct unix_diag_msg` (`linux/unix_diag.h`).
pub(super) fn unix_row(body: &[u8]) -> Option<Row> {
    let state = State::from_number(*body.get(2)?)?;
    let mut row = Row {
        state,
        local: None,
        remote: None,
        path: None,
        file: None,
        uid: None,
        inode: u32_at(body, 4)?,
        receive_queue: 0,
        send_queue: 0,
        v6_only: false,
        drops: 0,
        received: None,
        not_sent: None,
    };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            UNIX_DIAG_NAME => row.path = Some(value.to_vec()),
            // `struct unix_diag_vfs`: the inode, then the device.
            UNIX_DIAG_VFS => {
                let file = u32_at(value, 4).zip(u32_at(value, 0));
                row.file = file.map(|(device, inode)| FileId { device, inode });
            }
            UNIX_DIAG_RQLEN => {
                row.receive_queue = u32_at(value, 0).unwrap_or(0);
                row.send_queue = u32_at(value, 4).unwrap_or(0);
            }
            _ => {}
        }
    }
    Some(row)
}

/// Splits netlink attributes (netlink(7)): length, kind, value, padded to four bytes.
pub(super) fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(4..length) else {
            break;
        };
        found.push((kind, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    found
}
