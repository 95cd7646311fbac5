//! A relay in front of a server, which passes on what each side says and writes it down.

use super::tape::{Heard, Recorder, Shared, Side};
use crate::foreign::LINE;
use crate::launch::Server;
use crate::launch::lab::Lab;
use crate::model::address::Address;
use crate::model::error::Error;
use crate::model::profile::Transport;
use rustix::net::{AddressFamily, SocketType};
use socket2::SockAddr;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixListener, UnixStream};
use tokio::task::JoinSet;

/// As much as is read at once; no datagram is longer (udp(7)).
const AT_ONCE: usize = 64 << 10;

/// So many ports beside the server's are tried: others of the server's own may be taken.
const PORTS_TRIED: usize = 64;

/// The ports below are for those who ask for them by number (`ip_unprivileged_port_start`).
const FIRST_PORT: u16 = 1024;

/// A client connects once or a few times; one that connects on and on is no example of anything.
const MOST_CONNECTIONS: usize = 1_000;

/// A relay in front of a server. What it passes on ends with its event loop.
pub(super) struct Relay {
    pub(super) recorder: Recorder,
    /// The port that clients are told, of TCP and UDP.
    pub(super) port: u16,
    /// The path that clients are told.
    pub(super) path: PathBuf,
    /// Ends what it does when it is dropped.
    _at_work: JoinSet<()>,
}

/// Where the server is, as the relay reaches it.
#[derive(Clone)]
enum Way {
    Inet(SocketAddr),
    Path(PathBuf),
}

impl Relay {
    /// Listens beside a server in its lab.
    ///
    /// # Errors
    /// There is no port for it, or no path.
    pub(super) fn before(server: &Server, lab: &Arc<Lab>) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Kernel {
            doing: "listening in front of the server",
            source,
        };
        let recorder = Recorder::new();
        let path = lab.folder().join("relay");
        let mut at_work = JoinSet::new();
        let way = match server.address() {
            Address::Inet(address) => Way::Inet(*address),
            Address::Path(path) => Way::Path(lab.reached(path)),
        };
        if server.transport() == Transport::UnixDatagram {
            return Err(Error::Usage(
                "a Unix socket of datagrams has no relay: write its profile by hand (sockdrill init)".to_owned(),
            ));
        }
        let (tcp, udp, port) = listeners(lab).map_err(failed)?;
        let unix = unix_listener(lab, &path).map_err(failed)?;
        let (of_tcp, of_unix) = (passing(&recorder, lab, &way), passing(&recorder, lab, &way));
        at_work.spawn_local(async move {
            while let Ok((client, _)) = tcp.accept().await {
                of_tcp.take(client);
            }
        });
        at_work.spawn_local(async move {
            while let Ok((client, _)) = unix.accept().await {
                of_unix.take(client);
            }
        });
        if let Way::Inet(address) = way {
            let of_udp = passing(&recorder, lab, &Way::Inet(address));
            at_work.spawn_local(of_udp.datagrams(udp, address));
        }
        Ok(Self {
            recorder,
            port,
            path,
            _at_work: at_work,
        })
    }

    /// Where clients are to come, as an error names it.
    pub(super) fn place(&self, server: &Server) -> String {
        match server.address() {
            Address::Inet(_) => format!("127.0.0.1:{}", self.port),
            Address::Path(_) => LINE.text(&self.path.to_string_lossy()).into_owned(),
        }
    }
}

/// Sockets for TCP and UDP at one port: the first free one beside that of the lab.
fn listeners(lab: &Lab) -> io::Result<(TcpListener, UdpSocket, u16)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in ports_beside(lab.port()).take(PORTS_TRIED) {
        match bound(lab, port) {
            Ok((tcp, udp)) => return Ok((tcp, udp, port)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The ports behind this one, and then those before it.
fn ports_beside(port: u16) -> impl Iterator<Item = u16> {
    let behind = (port..=u16::MAX).skip(1);
    behind.chain((FIRST_PORT..port).rev())
}

fn bound(lab: &Lab, port: u16) -> io::Result<(TcpListener, UdpSocket)> {
    let place = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let socket = |kind| {
        let socket = socket2::Socket::from(lab.socket(AddressFamily::INET, kind)?);
        socket.set_nonblocking(true)?;
        socket.bind(&place)?;
        io::Result::Ok(socket)
    };
    let tcp = socket(SocketType::STREAM)?;
    tcp.listen(128)?;
    let udp = socket(SocketType::DGRAM)?;
    Ok((
        TcpListener::from_std(tcp.into())?,
        UdpSocket::from_std(udp.into())?,
    ))
}

fn unix_listener(lab: &Lab, path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::from(lab.socket(AddressFamily::UNIX, SocketType::STREAM)?);
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(lab.standing(path))?)?;
    socket.listen(128)?;
    UnixListener::from_std(socket.into())
}

/// What passes on the words of clients that come to one place.
struct Passing {
    recorder: Recorder,
    lab: Arc<Lab>,
    way: Way,
}

fn passing(recorder: &Recorder, lab: &Arc<Lab>, way: &Way) -> Passing {
    Passing {
        recorder: recorder.clone(),
        lab: Arc::clone(lab),
        way: way.clone(),
    }
}

impl Passing {
    /// Takes a client of a stream, unless there were too many.
    fn take<C: AsyncRead + AsyncWrite + Unpin + 'static>(&self, client: C) {
        let tape = self.recorder.tape();
        if tape.borrow().connections.len() >= MOST_CONNECTIONS {
            return;
        }
        let over = match self.way {
            Way::Inet(_) => Transport::Tcp,
            Way::Path(_) => Transport::Unix,
        };
        let talk = Talk::begin(tape, over);
        let (lab, way) = (Arc::clone(&self.lab), self.way.clone());
        tokio::task::spawn_local(async move {
            // A server that refuses the connection has ended it.
            let passed = match way {
                Way::Inet(address) => match connected(&lab, address).await {
                    Ok(server) => talk.pass(client, server).await,
                    Err(error) => Err(error),
                },
                Way::Path(path) => match UnixStream::connect(path).await {
                    Ok(server) => talk.pass(client, server).await,
                    Err(error) => Err(error),
                },
            };
            if passed.is_err() {
                talk.hear(Heard::Ended(Side::Server));
            }
            talk.tape.borrow_mut().end(talk.of);
        });
    }

    /// Passes on datagrams: each sender is a client, and what comes back from the server goes to who has asked from there.
    async fn datagrams(self, socket: UdpSocket, server: SocketAddr) {
        let socket = Rc::new(socket);
        let mut clients: HashMap<SocketAddr, (Talk, Rc<UdpSocket>)> = HashMap::new();
        let mut answering = JoinSet::new();
        let mut tape = self.recorder.tape();
        let mut buffer = vec![0; AT_ONCE];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
            let of_this_run = self.recorder.tape();
            if !Rc::ptr_eq(&tape, &of_this_run) {
                // Who sends from there now is another client.
                clients.clear();
                answering.abort_all();
                tape = of_this_run;
            }
            if clients.len() >= MOST_CONNECTIONS && !clients.contains_key(&from) {
                continue;
            }
            let (talk, way) = match clients.entry(from) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    let Ok(way) = way_for_datagrams(&self.lab, server) else {
                        continue;
                    };
                    let talk = Talk::begin(Rc::clone(&tape), Transport::Udp);
                    let way = Rc::new(way);
                    let (client, back) = (Rc::clone(&socket), Rc::clone(&way));
                    answering.spawn_local(answers(talk.clone(), back, client, from));
                    new.insert((talk, way))
                }
            };
            talk.hear(Heard::Said(Side::Client, buffer[..bytes].to_vec()));
            // Nobody is told of a datagram that is lost.
            let _ = way.send(&buffer[..bytes]).await;
        }
    }
}

fn way_for_datagrams(lab: &Lab, server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::from(lab.socket(family(server), SocketType::DGRAM)?);
    socket.set_nonblocking(true)?;
    socket.connect(&server.into())?;
    UdpSocket::from_std(socket.into())
}

/// Passes on what the server answers to one client.
async fn answers(talk: Talk, server: Rc<UdpSocket>, client: Rc<UdpSocket>, to: SocketAddr) {
    let mut buffer = vec![0; AT_ONCE];
    while let Ok(bytes) = server.recv(&mut buffer).await {
        talk.hear(Heard::Said(Side::Server, buffer[..bytes].to_vec()));
        let _ = client.send_to(&buffer[..bytes], to).await;
    }
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

async fn connected(lab: &Lab, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket2::Socket::from(lab.socket(family(server), SocketType::STREAM)?);
    socket.set_nonblocking(true)?;
    TcpSocket::from_std_stream(socket.into())
        .connect(server)
        .await
}

/// One connection on the tape.
#[derive(Clone)]
struct Talk {
    of: usize,
    tape: Shared,
}

impl Talk {
    /// A client has come.
    fn begin(tape: Shared, over: Transport) -> Self {
        let of = tape.borrow_mut().begin(over);
        Self { of, tape }
    }

    fn hear(&self, what: Heard) {
        self.tape.borrow_mut().hear(self.of, what);
    }

    /// Passes on what both say until both have ended.
    async fn pass(
        &self,
        client: impl AsyncRead + AsyncWrite + Unpin,
        server: impl AsyncRead + AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        let there = self.pass_on(Side::Client, from_client, to_server);
        let back = self.pass_on(Side::Server, from_server, to_client);
        tokio::join!(there, back);
        Ok(())
    }

    /// Passes on what one side says until it ends, or the other is gone.
    async fn pass_on(
        &self,
        side: Side,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) {
        let mut buffer = vec![0; AT_ONCE];
        // A reset is an end, too.
        while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
            self.hear(Heard::Said(side, buffer[..bytes].to_vec()));
            if to.write_all(&buffer[..bytes]).await.is_err() {
                // The other is gone, and who reads from it hears so. This one has ended nothing.
                return;
            }
        }
        self.hear(Heard::Ended(side));
        let _ = to.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::block_on;

    /// What is heard where the client says this and ends, and is passed on to this server.
    fn heard(said: &[u8], to: impl AsyncWrite + Unpin) -> Vec<Heard> {
        let recorder = Recorder::new();
        let talk = Talk::begin(recorder.tape(), Transport::Tcp);
        block_on(talk.pass_on(Side::Client, said, to)).unwrap();
        let sounds = recorder.take().sounds;
        sounds.into_iter().map(|sound| sound.what).collect()
    }

    #[test]
    fn side_that_still_speaks_has_not_ended_where_the_other_is_gone() {
        let said = || Heard::Said(Side::Client, b"words".to_vec());
        let (there, gone) = tokio::io::duplex(AT_ONCE);
        drop(gone);
        assert_eq!(heard(b"words", there), [Heard::Came, said()]);
        let all = [Heard::Came, said(), Heard::Ended(Side::Client)];
        assert_eq!(heard(b"words", tokio::io::sink()), all);
    }

    #[test]
    fn ports_beside_the_last_one_are_those_before_it() {
        let first = |port| ports_beside(port).take(3).collect::<Vec<_>>();
        assert_eq!(first(7000), [7001, 7002, 7003]);
        assert_eq!(first(65534), [65535, 65533, 65532]);
        assert_eq!(first(65535), [65534, 65533, 65532]);
    }
}
