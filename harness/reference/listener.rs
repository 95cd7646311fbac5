//! Sockets that listen: every option is set before the bind, and nothing that is in use is taken away.

use super::conversation::Stream;
use crate::model::address::Address;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// After this silence the kernel asks a client's kernel whether it is still there, so that a peer that vanished
/// without a word does not hold a descriptor for ever. A client that is merely silent answers and stays.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// A pause after an accept that failed for want of something, mostly descriptors. The queue stays readable
/// meanwhile, so that trying again at once would spin.
const RETRY: Duration = Duration::from_millis(200);

/// A socket that is bound, and for streams listens, and is non-blocking.
pub(super) struct Bound {
    pub(super) socket: Socket,
    pub(super) address: Address,
    file: Option<SocketFile>,
}

/// Listens for connections.
pub(super) fn stream(address: &Address, backlog: u32) -> io::Result<Bound> {
    let bound = match address {
        Address::Inet(address) => tcp(*address)?,
        Address::Path(path) => unix(path, Type::STREAM)?,
    };
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    bound.socket.listen(backlog)?;
    bound.socket.set_nonblocking(true)?;
    Ok(bound)
}

/// Takes datagrams. Without SO_REUSEADDR: on UDP that would let a second server share the port.
pub(super) fn datagram(address: &Address) -> io::Result<Bound> {
    let bound = match address {
        Address::Inet(address) => udp(*address)?,
        Address::Path(path) => unix(path, Type::DGRAM)?,
    };
    bound.socket.set_nonblocking(true)?;
    Ok(bound)
}

fn udp(address: SocketAddr) -> io::Result<Bound> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    bind_inet(socket, address)
}

fn tcp(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of an earlier life in TIME_WAIT must not forbid the port; a live listener still does.
    socket.set_reuse_address(true)?;
    // On Linux accepted sockets inherit these two, which saves calls that can fail on a connection already reset.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    bind_inet(socket, address)
}

fn bind_inet(socket: Socket, address: SocketAddr) -> io::Result<Bound> {
    if address.is_ipv6() {
        // `::` takes IPv4 clients too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Bound {
        socket,
        address: Address::Inet(address),
        file: None,
    })
}

fn unix(path: &Path, kind: Type) -> io::Result<Bound> {
    remove_if_stale(path)?;
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(Bound {
        socket,
        address: Address::Path(path.to_owned()),
        file: Some(SocketFile::at(path)?),
    })
}

/// Removes the socket file of a server that is no more. What is not a socket, or is one in use, stays for the bind to
/// fail on.
fn remove_if_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && is_abandoned(path)? {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Whether no socket is bound to the file. A datagram socket asks, so that a live stream server refuses the type
/// (EPROTOTYPE) instead of finding a connection in its queue (unix(7)).
fn is_abandoned(path: &Path) -> io::Result<bool> {
    let refused = UnixDatagram::unbound()?.connect(path).err();
    Ok(refused.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

/// The file of a Unix socket; it goes when the listener goes, unless another server has put its own there.
struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            device_and_inode: device_and_inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if device_and_inode(&self.path).is_ok_and(|now| now == self.device_and_inode) {
            // Nothing can be done about a failure here, and the next start removes a stale file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// A listener at work.
pub(super) struct Listener {
    socket: Listening,
    _file: Option<SocketFile>,
}

enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Puts a listening socket to work; called inside the runtime.
    pub(super) fn new(bound: Bound) -> io::Result<Self> {
        let socket = match bound.address {
            Address::Inet(_) => Listening::Tcp(TcpListener::from_std(bound.socket.into())?),
            Address::Path(_) => Listening::Unix(UnixListener::from_std(bound.socket.into())?),
        };
        Ok(Self {
            socket,
            _file: bound.file,
        })
    }

    /// Waits for the next connection; `None` after a failure, once it makes sense to try again.
    pub(super) async fn accept(&self) -> Option<Box<dyn Stream>> {
        match self.socket.accept().await {
            Ok(stream) => Some(stream),
            Err(error) if concerns_one_client(&error) => None,
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                None
            }
        }
    }

    /// Stops listening and returns the connections that were waiting, at most `limit`: closing with them in the queue
    /// would reset clients that have been told that they are connected.
    pub(super) fn close(self, limit: usize) -> io::Result<Vec<Box<dyn Stream>>> {
        self.socket.take_queue(limit)
    }
}

impl Listening {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }

    /// Asks the kernel and not the runtime, which may not have heard of the latest connections.
    fn take_queue(self, limit: usize) -> io::Result<Vec<Box<dyn Stream>>> {
        let mut streams: Vec<Box<dyn Stream>> = Vec::new();
        match self {
            Self::Tcp(listener) => {
                for stream in listener
                    .into_std()?
                    .incoming()
                    .take(limit)
                    .map_while(Result::ok)
                {
                    stream.set_nonblocking(true)?;
                    streams.push(Box::new(TcpStream::from_std(stream)?));
                }
            }
            Self::Unix(listener) => {
                for stream in listener
                    .into_std()?
                    .incoming()
                    .take(limit)
                    .map_while(Result::ok)
                {
                    stream.set_nonblocking(true)?;
                    streams.push(Box::new(UnixStream::from_std(stream)?));
                }
            }
        }
        Ok(streams)
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::Interrupted
    )
}
