//! One client: a socket made in the lab, driven by the steps of a scenario, reading all the time unless it stalls.

use crate::kernel::{Row, State};
use crate::launch::lab::Lab;
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::address::Address;
use crate::model::data::Data;
use crate::model::expectation::End;
use crate::model::limits::{
    DELAY_WORTH_RECORDING, LOOK_EVERY, LOOK_SOON, SEND_WITHIN, SILENCE, TAKEN_WITHIN,
};
use crate::model::profile::Transport;
use crate::model::tls::TlsOptions;
use crate::session::blame::{is_of_server, is_told_of_server};
use crate::session::guests::{Guest, Guests};
use crate::session::heard::Heard;
use crate::session::outgoing::{Division, Piece, Pieces, pieces, pieces_of_hello, send_all};
use crate::session::recorder::Recorder;
use crate::session::socket::Socket;
use crate::session::sources::Sources;
use crate::session::tls::Tls;
use crate::sys::socket::{send_window, tcp_info, unsent_bytes};
use crate::transcript::event::{ClientEvent, ClientId, What};
use crate::transcript::fault::Fault;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketType};
use socket2::{SockAddr, SockRef};
use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadMode {
    Free,
    Stalled,
    AtRate(ReadRate),
}

/// How a connection is read, as who reads it and who says so share it: a channel would take more than all else of a client.
#[derive(Debug)]
struct Mode {
    now: Cell<ReadMode>,
    /// Holds a permit where it has changed since who reads looked last.
    changed: Notify,
}

/// A client of a scenario, connected or not.
#[derive(Debug)]
pub(crate) struct Client {
    id: ClientId,
    recorder: Recorder,
    lab: Arc<Lab>,
    /// Where the server listens by now.
    listens_at: Rc<RefCell<Address>>,
    /// Where it did when this client asked for a connection last.
    server: Address,
    transport: Transport,
    link: Option<Link>,
    last_local: Option<SocketAddr>,
    sources: Sources,
    guests: Guests,
    /// The server is on another host, whose kernel shows nothing.
    is_far: bool,
    /// How many of its crowd come after it.
    after: u32,
    /// It is one of so many that the kernel would be slow to find a port for each.
    picks_its_port: bool,
    /// How the coming connection is read.
    next_mode: ReadMode,
    /// When it began the last that it has done.
    pub(super) deed_began: Option<Instant>,
}

#[derive(Debug)]
struct Link {
    socket: Rc<Socket>,
    mode: Rc<Mode>,
    driver: JoinHandle<()>,
    /// Sends in the background, while there is something to send.
    writers: Vec<JoinHandle<()>>,
    /// What of `sent` was there before the part that is being sent in the background.
    part_from: Rc<Cell<Option<u64>>>,
    peer: Rc<SockAddr>,
    /// How many bytes the kernel has taken from us.
    sent: Rc<Cell<u64>>,
    /// What makes records of what it says, once it speaks TLS.
    tls: Rc<OnceCell<Box<Tls>>>,
    /// Whether it pauses between the pieces of what it sends in the background.
    is_paced: bool,
    /// When what is sent in the background last went out, or goes out next after a pause of ours.
    due: Rc<Cell<Option<Instant>>>,
    /// How late it was, all in all, with what it was to do at a pace.
    late: Rc<Cell<Duration>>,
    /// Over TCP, whether the server was seen to have accepted it when that was looked at last.
    is_accepted: Cell<bool>,
    /// The server counts it.
    _guest: Guest,
}

/// A socket that is connected to somewhere, and what the call said where the connection is under way.
type Opened = (OwnedFd, SockAddr, Option<Errno>);

/// How long the server's end of a connection is given to go that is reset, or ended by both sides.
const GOES_WITHIN: Duration = Duration::from_secs(1);

/// In a crowd of so many the kernel finds a port for each as fast as for one.
const FOUND_A_PORT_SOON: u32 = 4_096;

/// How many ports are tried that somebody has, or had a moment ago, before the kernel is left to look at all of them.
const PORTS_TRIED: usize = 64;

/// States of our own socket (`include/net/tcp_states.h`).
const SYN_SENT: u8 = 2;
const CLOSE: u8 = 7;

impl Client {
    pub(crate) fn new(
        id: ClientId,
        recorder: Recorder,
        lab: Arc<Lab>,
        listens_at: Rc<RefCell<Address>>,
        transport: Transport,
        sources: Sources,
        guests: Guests,
    ) -> Self {
        let server = listens_at.borrow().clone();
        Self {
            id,
            recorder,
            lab,
            server,
            listens_at,
            transport,
            link: None,
            last_local: None,
            sources,
            guests,
            is_far: false,
            after: 0,
            picks_its_port: false,
            next_mode: ReadMode::Free,
            deed_began: None,
        }
    }

    /// The same of a server on another host, or not.
    pub(crate) fn far(self, is_far: bool) -> Self {
        Self { is_far, ..self }
    }

    /// The same client as one of a crowd of so many. On the plain host ports are the kernel's to give.
    pub(crate) fn among(mut self, members: u32) -> Self {
        let is_large = members > FOUND_A_PORT_SOON;
        self.after = members.saturating_sub(self.id.member + 1);
        self.picks_its_port = is_large && self.transport == Transport::Tcp && self.lab.is_private();
        self
    }

    pub(crate) fn id(&self) -> ClientId {
        self.id
    }

    pub(crate) fn record(&self, event: ClientEvent) {
        self.recorder.record(What::Client(self.id, event));
    }

    /// Opens a socket and asks for a connection; what becomes of it is written down when it is known.
    pub(crate) async fn connect(&mut self, options: &ConnectOptions) {
        self.release().await;
        // One that was started again without a port of its own may have found another.
        self.server.clone_from(&self.listens_at.borrow());
        self.record(ClientEvent::Connecting);
        if options.same_port {
            self.port_is_given_back().await;
        }
        match self.open(options) {
            Ok((socket, peer, pending)) => {
                if let (true, Some(errno)) = (options.without_waiting, pending) {
                    self.record(ClientEvent::Underway(describe(errno)));
                }
                self.drive(socket, peer, pending.is_some());
            }
            Err(error) => {
                disprove_own_socket(&self.recorder, error, is_of_server(error));
                self.record(ClientEvent::ConnectFailed {
                    refused: error == Errno::CONNREFUSED,
                    error: describe(error),
                });
            }
        }
    }

    /// Makes a socket and asks for the connection; also says what the call said where it is under way.
    fn open(&self, options: &ConnectOptions) -> Result<Opened, Errno> {
        let picks = self.picks_its_port && !options.same_port;
        for _ in 0..if picks { PORTS_TRIED } else { 0 } {
            match self.open_from(self.sources.port(), options) {
                Err(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => {}
                opened => return opened,
            }
        }
        let port = match (options.same_port, self.last_local) {
            (true, Some(last)) => last.port(),
            _ => 0,
        };
        self.open_from(port, options)
    }

    fn open_from(&self, port: u16, options: &ConnectOptions) -> Result<Opened, Errno> {
        let peer = self.peer(options)?;
        let kind = match self.transport.is_datagram() {
            true => SocketType::DGRAM,
            false => SocketType::STREAM,
        };
        let family = AddressFamily::from_raw(peer.family());
        let more = self.after as usize;
        let socket = self.lab.socket_of_many(family, kind, more)?;
        let socket_options = SockRef::from(&socket);
        let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
        if self.transport == Transport::Tcp {
            socket_options.set_tcp_nodelay(true).map_err(errno)?;
            // Coming back from the same port takes it on both sockets (socket(7)).
            socket_options.set_reuse_address(true).map_err(errno)?;
            if let Some(bytes) = options.segment_size {
                socket_options.set_tcp_mss(bytes as u32).map_err(errno)?;
            }
        }
        if let Some(bytes) = options.receive_buffer {
            socket_options.set_recv_buffer_size(bytes).map_err(errno)?;
        }
        self.bind(port, options, &socket_options, &peer)
            .map_err(errno)?;
        if self.transport.is_datagram() {
            return Ok((socket, peer, None));
        }
        match socket_options.connect(&peer) {
            Ok(()) => Ok((socket, peer, None)),
            Err(error) => match errno(error) {
                // A full Unix backlog is EAGAIN (unix(7)); there is no event for its end.
                errno @ (Errno::INPROGRESS | Errno::AGAIN) => Ok((socket, peer, Some(errno))),
                other => Err(other),
            },
        }
    }

    fn peer(&self, options: &ConnectOptions) -> Result<SockAddr, Errno> {
        match &self.server {
            Address::Path(path) => {
                SockAddr::unix(self.lab.reached(path)).map_err(|_| Errno::NAMETOOLONG)
            }
            Address::Inet(address) => {
                let ip = options.to.unwrap_or_else(|| address.ip());
                Ok(SocketAddr::new(ip, address.port()).into())
            }
        }
    }

    /// Binds where that has to be done, to a port where it is not 0.
    fn bind(
        &self,
        port: u16,
        options: &ConnectOptions,
        socket: &SockRef<'_>,
        peer: &SockAddr,
    ) -> std::io::Result<()> {
        let to = peer.as_socket().map(|peer| peer.ip());
        let apart = || to.and_then(|to| self.sources.next(to, options.same_port && port != 0));
        if let Some(ip) = options.from.or_else(apart) {
            return socket.bind(&SocketAddr::new(ip, port).into());
        }
        match peer.as_socket() {
            Some(peer) if options.same_port && port != 0 => {
                let ip = self.last_local.unwrap_or(peer).ip();
                socket.bind(&SocketAddr::new(ip, port).into())
            }
            Some(peer) if port != 0 || self.transport.is_datagram() => {
                let any: IpAddr = match peer.ip() {
                    IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                };
                socket.bind(&SocketAddr::new(any, port).into())
            }
            Some(_) => Ok(()),
            // An unnamed datagram socket cannot be answered.
            None if self.transport.is_datagram() => self.bind_to_a_name(socket),
            None => Ok(()),
        }
    }

    /// The first client has the short name that an empty address asks for (unix(7), autobind); those of others are longer and
    /// longer, since some servers keep the length of the first.
    fn bind_to_a_name(&self, socket: &SockRef<'_>) -> std::io::Result<()> {
        use rustix::net::{SocketAddrUnix, bind};
        let place = self
            .id
            .who
            .saturating_mul(7)
            .saturating_add(self.id.member as usize);
        let name = match place {
            0 => SocketAddrUnix::new_unnamed(),
            place => SocketAddrUnix::new_abstract_name(
                abstract_name((30 + place).min(LONGEST_NAME)).as_bytes(),
            )?,
        };
        Ok(bind(socket.as_fd(), &name)?)
    }

    fn drive(&mut self, socket: OwnedFd, peer: SockAddr, pending: bool) {
        let is_connected = !pending || !self.transport.is_local();
        let socket = match is_connected {
            true => Socket::watched(socket),
            false => Ok(Socket::unconnected(socket)),
        };
        let socket = match socket {
            Ok(socket) => Rc::new(socket),
            Err(error) => {
                let errno = errno_of(&error);
                disprove_own_socket(&self.recorder, errno, false);
                return self.record(ClientEvent::ConnectFailed {
                    refused: false,
                    error: error.to_string(),
                });
            }
        };
        let late = Rc::<Cell<Duration>>::default();
        let (sent, tls) = (Rc::default(), Rc::default());
        let peer = Rc::new(peer);
        let mode = Rc::new(Mode {
            now: Cell::new(std::mem::replace(&mut self.next_mode, ReadMode::Free)),
            changed: Notify::new(),
        });
        let driver = Driver {
            id: self.id,
            recorder: self.recorder.clone(),
            socket: Rc::clone(&socket),
            mode: Rc::clone(&mode),
            datagram: self.transport.is_datagram(),
            peer: Rc::clone(&peer),
            late: Rc::clone(&late),
            sent: Rc::clone(&sent),
            tls: Rc::clone(&tls),
            gone: Cell::default(),
        };
        if !pending {
            driver.connected();
        }
        let driver = tokio::task::spawn_local(driver.run(pending));
        self.last_local = local_address(&socket);
        self.link = Some(Link {
            socket,
            mode,
            driver,
            writers: Vec::new(),
            part_from: Rc::default(),
            peer,
            sent,
            tls,
            is_paced: false,
            due: Rc::default(),
            late,
            is_accepted: Cell::default(),
            _guest: self.guests.one_more(),
        });
    }

    /// Sends data in segments.
    pub(crate) async fn send(
        &mut self,
        data: &Data,
        division: Division<'_>,
        every: Option<Duration>,
    ) {
        match pieces(data, self.id.member, division, self.tls()) {
            Ok(pieces) => self.send_pieces(pieces, every).await,
            Err(why) => self.say_nothing(why),
        }
    }

    /// Begins a TLS handshake, and sends its first message in segments.
    pub(crate) async fn start_tls(&mut self, options: &TlsOptions) {
        let Some(link) = &self.link else {
            return self.record(ClientEvent::SendFailed("not connected".to_owned()));
        };
        let (tls, hello) = match Tls::begin(options) {
            Ok(begun) => begun,
            Err(why) => return self.say_nothing(&why),
        };
        if options.is_longer_than(hello) {
            let evidence = format!("the ClientHello has {hello} bytes, and is not cut there");
            let step = Action::StartTls(options.clone()).to_string();
            self.recorder.prove(Fault::Step(step), false, evidence);
        }
        if link.tls.set(Box::new(tls)).is_err() {
            return self.say_nothing("TLS has begun on this connection already");
        }
        let pieces = pieces_of_hello(options, hello);
        self.send_pieces(pieces, options.every).await;
    }

    fn tls(&self) -> Option<&Tls> {
        Some(&**self.link.as_ref()?.tls.get()?)
    }

    /// Writes down that it does not say what the scenario has it say.
    fn say_nothing(&self, why: &str) {
        self.recorder.prove(Fault::Sent, false, why);
        self.record(ClientEvent::SendFailed(why.to_owned()));
    }

    /// Sends pieces one after the other. Without a pause between them, each waits until the kernel shows that the server has
    /// read the one before, so that the cut is one that the server has seen.
    async fn send_pieces(&self, pieces: Pieces, every: Option<Duration>) {
        let last = pieces.len().saturating_sub(1);
        let mut unread = 0;
        for (n, piece) in pieces.enumerate() {
            if !self.send_piece(piece).await {
                return;
            }
            match every {
                _ if n == last => {}
                Some(pause) => self.pause(pause).await,
                None if unread == 0 && self.wait_taken().await => {}
                None => unread += 1,
            }
        }
        if unread > 0 {
            self.recorder.prove(
                Fault::Cut,
                false,
                format!("the server did not read {unread} segments before the next came"),
            );
        }
    }

    /// Sends data while the scenario goes on; the end of the connection ends it too.
    pub(crate) async fn send_in_background(
        &mut self,
        data: &Data,
        division: Division<'_>,
        every: Option<Duration>,
    ) {
        let Some(link) = &mut self.link else {
            return self.record(ClientEvent::SendFailed("not connected".to_owned()));
        };
        let tls = Rc::clone(&link.tls);
        let inside = tls.get().map(|tls| &**tls);
        let pieces = match pieces(data, self.id.member, division, inside) {
            Ok(pieces) => pieces,
            Err(why) => return self.say_nothing(why),
        };
        let (id, recorder, transport) = (self.id, self.recorder.clone(), self.transport);
        let (socket, peer) = (Rc::clone(&link.socket), Rc::clone(&link.peer));
        let (sent, due) = (Rc::clone(&link.sent), Rc::clone(&link.due));
        let (late, part) = (Rc::clone(&link.late), Rc::clone(&link.part_from));
        link.is_paced |= every.is_some();
        link.writers.push(tokio::task::spawn_local(async move {
            let last = pieces.len().saturating_sub(1);
            for (n, piece) in pieces.enumerate() {
                part.set(Some(sent.get()));
                let inside = tls.get().map(|tls| &**tls);
                let done = send_all(&socket, &peer, &piece, transport, inside, &sent).await;
                part.set(None);
                let event = match done {
                    Ok(()) => piece.told,
                    Err(errno) => {
                        disprove_own_socket(&recorder, errno, is_told_of_server(errno));
                        ClientEvent::SendFailed(describe(errno))
                    }
                };
                recorder.record(What::Client(id, event));
                if done.is_err() {
                    return;
                }
                due.set(due.get().max(Some(Instant::now())));
                if let Some(pause) = every.filter(|_| n < last) {
                    due.set(due.get().max(Some(Instant::now() + pause)));
                    keep_pace(pause, &late).await;
                }
            }
        }));
        // What the kernel takes at once is sent before the scenario goes on.
        tokio::task::yield_now().await;
    }

    /// Whether the client has nothing under way that the server has yet to take.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.link {
            Some(link) => {
                let has_been_taken = link.sent.get() == 0 && link.is_accepted.get();
                // What another host's server has taken nobody sees.
                let is_taken = self.is_far || has_been_taken || self.is_taken();
                let is_over = is_taken && self.has_been_told(link) || self.has_ended();
                self.has_written_all() && is_over && !self.owes_an_end()
            }
            None => true,
        }
    }

    /// Whether nothing of what the server says is still on its way to who speaks TLS, and reads. What TLS says by itself, such as
    /// session tickets, holds up what comes behind it until it is acknowledged (RFC 896), which may take 40 ms.
    fn has_been_told(&self, link: &Link) -> bool {
        let reads = link.mode.now.get() == ReadMode::Free;
        if link.tls.get().is_none() || !reads || self.is_far {
            return true;
        }
        let is_empty = |row: Row| row.send_queue == 0;
        self.server_row().is_none_or(is_empty) && !is_readable(link)
    }

    /// Until when it is itself busy saying what it says in the background. A server that does not take it ends that.
    pub(crate) fn speaks_until(&self) -> Option<Instant> {
        self.link.as_ref()?.due.get()
    }

    /// How many bytes the server has read of what it writes, where it writes as fast as they are taken.
    pub(crate) fn read_bytes(&self) -> u64 {
        let speaks = |link: &&Link| !link.is_paced && link.sent.get() > 0;
        let Some(link) = self.link.as_ref().filter(speaks) else {
            return 0;
        };
        let unread = || unsent_bytes(link.socket.get_ref().as_fd()).map_or(0, |bytes| bytes as u64);
        match self.transport {
            Transport::Tcp => self.server_row().map_or(0, |row| {
                let received = row.received.unwrap_or(0);
                received.saturating_sub(row.receive_queue.into())
            }),
            // On Unix sockets SIOCOUTQ counts what the peer has not read (unix(7)), with what the kernel needs beside.
            Transport::Unix => link.sent.get().saturating_sub(unread()),
            Transport::Udp | Transport::UnixDatagram => link.sent.get(),
        }
    }

    /// How late it has been since it was asked last with what it was to do at a pace.
    pub(crate) fn take_lateness(&self) -> Option<Duration> {
        let late = self.link.as_ref()?.late.take();
        (late > DELAY_WORTH_RECORDING).then_some(late)
    }

    /// Pauses between two pieces of what it sends.
    async fn pause(&self, time: Duration) {
        match &self.link {
            Some(link) => keep_pace(time, &link.late).await,
            None => tokio::time::sleep(time).await,
        }
    }

    /// Whether nothing is left of what it sends in the background.
    pub(crate) fn has_written_all(&self) -> bool {
        let mut writers = self.link.iter().flat_map(|link| &link.writers);
        writers.all(JoinHandle::is_finished)
    }

    /// Whether the kernel would take more of what it still has to write, or has something that it reads, or has yet to bring: where
    /// it dropped segments for want of room, it brings them again after a fifth of a second, or two. It is not the server who is late.
    pub(crate) fn lags_behind(&self) -> bool {
        let is_stream = !self.transport.is_datagram();
        let link = self
            .link
            .as_ref()
            .filter(|link| is_stream && !link.is_paced);
        link.filter(|_| !self.has_written_all())
            .is_some_and(|link| {
                let reads = link.mode.now.get() == ReadMode::Free;
                let waits = || rustix::io::ioctl_fionread(link.socket.get_ref()).unwrap_or(0) > 0;
                let unsent =
                    || unsent_bytes(link.socket.get_ref().as_fd()).is_ok_and(|bytes| bytes > 0);
                let comes = |row: &Row| row.send_queue > 0 || row.receive_queue == 0 && unsent();
                let is_on_its_way = || self.server_row().as_ref().is_some_and(comes);
                is_writable(link) || reads && (waits() || is_on_its_way())
            })
    }

    /// Whether something has come that it is free to read and has not come to read yet.
    pub(crate) fn is_behind_with_reading(&self) -> bool {
        let link = self.link.as_ref().filter(|link| !link.is_paced);
        let link = link.filter(|link| link.mode.now.get() == ReadMode::Free);
        let mut client_states = self.recorder.client_states();
        let state = client_states.of(self.id);
        link.is_some_and(|link| {
            state.is_connected() && state.ended().is_none() && is_readable(link)
        })
    }

    /// How many bytes have come to the server and wait to be read by it.
    pub(crate) fn unread_bytes(&self) -> u64 {
        let Some(link) = &self.link else {
            return 0;
        };
        match self.transport {
            Transport::Tcp => self.server_row().map_or(0, |row| row.receive_queue.into()),
            // On Unix sockets SIOCOUTQ counts what the peer has not read (unix(7)).
            Transport::Unix | Transport::Udp | Transport::UnixDatagram => {
                unsent_bytes(link.socket.get_ref().as_fd()).map_or(0, |bytes| bytes as u64)
            }
        }
    }

    /// How many bytes of the server's wait to be sent although they would fit a segment and nothing but an acknowledgement is
    /// lacking.
    pub(crate) fn held_by_nagle(&self) -> u64 {
        let row = self
            .server_row()
            .filter(|_| self.transport == Transport::Tcp);
        let Some((bytes, segment)) = row.as_ref().and_then(|row| row.not_sent) else {
            return 0;
        };
        let awaits = row.is_some_and(|row| row.send_queue > bytes);
        match awaits && bytes < segment {
            true => bytes.into(),
            false => 0,
        }
    }

    async fn send_piece(&self, piece: Piece) -> bool {
        let Some(link) = &self.link else {
            self.record(ClientEvent::SendFailed("not connected".to_owned()));
            return false;
        };
        let moved = || (link.sent.get(), self.unread_bytes());
        let (transport, tls) = (self.transport, self.tls());
        let sending = send_all(&link.socket, &link.peer, &piece, transport, tls, &link.sent);
        match while_it_moves(SEND_WITHIN, moved, sending).await {
            Some(Ok(())) => {
                self.record(piece.told.clone());
                return true;
            }
            Some(Err(errno)) => self.fail_to_send(errno),
            None => {
                let why = "the server does not read".to_owned();
                self.recorder.prove(Fault::Sent, false, why.clone());
                self.record(ClientEvent::SendFailed(why));
            }
        }
        false
    }

    fn fail_to_send(&self, errno: Errno) {
        disprove_own_socket(&self.recorder, errno, is_told_of_server(errno));
        self.record(ClientEvent::SendFailed(describe(errno)));
    }

    /// Waits until the server has read all that was sent; not for one that has read nothing for a while.
    async fn wait_taken(&self) -> bool {
        let (mut unread, mut since) = (u64::MAX, Instant::now());
        for round in 0.. {
            if self.is_taken() || self.has_ended() {
                return true;
            }
            let now = self.unread_bytes();
            if now < unread {
                (unread, since) = (now, Instant::now());
            }
            if since.elapsed() > TAKEN_WITHIN {
                return false;
            }
            // The kernel has no event for "the peer has read": look again at once, then ever more slowly.
            match round {
                0..20 => tokio::task::yield_now().await,
                _ => tokio::time::sleep(LOOK_SOON).await,
            }
        }
        false
    }

    /// Whether it has a connection, or is on its way to one.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Whether it has a connection, or is on its way to one that nobody has refused.
    pub(crate) fn may_send(&self) -> bool {
        self.is_connected() && !self.recorder.client_states().of(self.id).has_failed()
    }

    /// Whether the server has ended the connection, as the client has read or, where it does not read, as the kernel has told.
    pub(crate) fn has_ended(&self) -> bool {
        let mut client_states = self.recorder.client_states();
        let state = client_states.of(self.id);
        state.ended().is_some() || state.is_destroyed()
    }

    /// Whether the kernel shows that the server has accepted the connection, and read all that was sent.
    pub(crate) fn is_taken(&self) -> bool {
        let Some(link) = &self.link else {
            return false;
        };
        match self.transport {
            // On Unix sockets SIOCOUTQ counts what the peer has not read (unix(7)).
            Transport::Unix => {
                unsent_bytes(link.socket.get_ref().as_fd()).is_ok_and(|bytes| bytes == 0)
            }
            Transport::Tcp => {
                let unsent = unsent_bytes(link.socket.get_ref().as_fd()).unwrap_or(0);
                let row = self.server_row();
                // What has arrived may be acknowledged only 40 ms later (RFC 1122, section 4.2.3.2).
                let has_arrived = |row: &Row| {
                    unsent == 0 || row.received.is_some_and(|bytes| bytes >= link.sent.get())
                };
                let row = row.filter(|row| row.inode != 0);
                link.is_accepted.set(row.is_some());
                row.is_some_and(|row| row.receive_queue == 0 && has_arrived(&row))
            }
            Transport::Udp => self.datagram_queue_is_empty(link),
            Transport::UnixDatagram => {
                unsent_bytes(link.socket.get_ref().as_fd()).is_ok_and(|bytes| bytes == 0)
            }
        }
    }

    fn datagram_queue_is_empty(&self, link: &Link) -> bool {
        let port = link.peer.as_socket().map(|peer| peer.port());
        let rows = self.lab.diag().udp().unwrap_or_default();
        let mut mine = rows
            .iter()
            .filter(|row| row.local.map(|local| local.port()) == port)
            .peekable();
        !self.is_far && mine.peek().is_some() && mine.all(|row| row.receive_queue == 0)
    }

    /// The server's end of the connection in the kernel's table.
    pub(crate) fn server_row(&self) -> Option<Row> {
        let link = self.link.as_ref()?;
        let local = self.last_local?;
        let peer = link.peer.as_socket()?;
        self.lab.diag().find(peer, local).ok()?
    }

    /// Whether the kernel shows a connection that nobody has accepted.
    pub(crate) fn lies_in_a_queue(&self) -> bool {
        let has_come = |row: &Row| {
            row.inode == 0 && matches!(row.state, State::Established | State::CloseWait)
        };
        self.server_row().as_ref().is_some_and(has_come)
    }

    /// Whether the kernel shows the connection in the hands of a server process.
    pub(crate) fn is_accepted(&self) -> bool {
        match self.transport {
            Transport::Tcp => self.server_row().is_some_and(|row| row.inode != 0),
            Transport::Unix => {
                let Address::Path(path) = &self.server else {
                    return false;
                };
                let rows = self.lab.listening_at(path);
                self.recorder.client_states().of(self.id).is_connected()
                    && rows.first().is_some_and(|row| row.receive_queue == 0)
            }
            Transport::Udp | Transport::UnixDatagram => true,
        }
    }

    /// Whether the kernel keeps a client from the server that has not sent anything, as the server has asked it to
    /// (`TCP_DEFER_ACCEPT`, tcp(7)): its handshake is not complete although the accept queue has room.
    pub(crate) fn is_deferred(&self) -> bool {
        let row = self.server_row();
        self.transport == Transport::Tcp && row.is_some_and(|row| self.is_kept_back(&row))
    }

    fn is_kept_back(&self, server_end: &Row) -> bool {
        let has_room = |row: &Row| {
            row.local.map(|at| at.port()) == server_end.local.map(|at| at.port())
                && row.receive_queue == 0
        };
        let listeners = || self.lab.diag().listeners().unwrap_or_default();
        server_end.state.is_half_open()
            && self.recorder.client_states().of(self.id).is_connected()
            && listeners().iter().any(has_room)
    }

    /// Whether the kernel shows its own end of the last connection in TIME_WAIT.
    pub(crate) fn is_in_time_wait(&self) -> bool {
        let Address::Inet(server) = &self.server else {
            return false;
        };
        let rows = self.lab.diag().connections_to(server.port());
        rows.unwrap_or_default().iter().any(|row| {
            row.state == State::TimeWait
                && row.local.map(|local| local.port()) == self.last_local.map(|local| local.port())
        })
    }

    /// Whether nothing more fits the queue of what it has not read: who connects to a Unix datagram socket may write only while
    /// there is room in it (`unix_dgram_poll` of the kernel).
    pub(crate) fn has_no_room(&self) -> bool {
        self.link.as_ref().is_some_and(|link| {
            let may_write = || {
                let asker = self.lab.socket(AddressFamily::UNIX, SocketType::DGRAM)?;
                let name = rustix::net::getsockname(link.socket.get_ref())?;
                rustix::net::connect(&asker, &name)?;
                let mut asked = [PollFd::new(&asker, PollFlags::OUT)];
                rustix::event::poll(&mut asked, Some(&Timespec::default()))?;
                rustix::io::Result::Ok(asked[0].revents().contains(PollFlags::OUT))
            };
            may_write() == Ok(false)
        })
    }

    /// What a read that does not wait says, where it finds nothing (recv(2), `MSG_DONTWAIT`).
    pub(crate) fn finds_nothing(&self) -> Option<String> {
        let link = self.link.as_ref()?;
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let found = rustix::net::recv(link.socket.get_ref(), &mut [0u8; 1][..], look);
        found
            .err()
            .filter(|errno| *errno == Errno::AGAIN)
            .map(describe)
    }

    /// Whether nothing of this connection is on its way: neither ours to the server nor the server's to us.
    pub(crate) fn is_quiet(&self) -> bool {
        let Some(link) = &self.link else {
            return true;
        };
        let says_more = !self.has_written_all() || self.owes_an_end();
        if says_more || link.mode.now.get() == ReadMode::Stalled {
            return false;
        }
        let is_drained = match self.transport {
            Transport::Tcp => {
                let unsent = unsent_bytes(link.socket.get_ref().as_fd()).unwrap_or(0);
                let drained = |row: &Row| row.send_queue == 0 && row.receive_queue == 0;
                unsent == 0 && self.server_row().is_none_or(|row| drained(&row))
            }
            Transport::Udp | Transport::Unix | Transport::UnixDatagram => self.is_taken(),
        };
        // What has left the server's queue is in ours, in this order. Who reads slowly has heard all once nothing is left to read.
        is_drained && self.has_heard_all(link)
    }

    /// Whether it reads, and has yet to read what the server has sent: on a loaded host, or through a small window, that takes its time.
    pub(crate) fn has_more_to_read(&self) -> bool {
        let reads = |link: &&Link| link.mode.now.get() != ReadMode::Stalled;
        let Some(link) = self.link.as_ref().filter(reads) else {
            return false;
        };
        let is_on_its_way = || self.server_row().is_some_and(|row| row.send_queue > 0);
        let is_stream = !self.transport.is_datagram();
        is_stream && (is_readable(link) || self.transport == Transport::Tcp && is_on_its_way())
    }

    /// How many bytes of it the server has not read, where nothing moves any more: it has heard all that the server has sent, and
    /// nothing of it can come to the server that is not there.
    pub(crate) fn unread_at_a_standstill(&self) -> Option<u64> {
        let link = self.link.as_ref()?;
        let hears = link.mode.now.get() != ReadMode::Stalled && self.transport == Transport::Tcp;
        if !hears || !has_said_all(link) || can_deliver(link) {
            return None;
        }
        let row = self.server_row().filter(|row| row.inode != 0)?;
        let is_unread = row.send_queue == 0 && row.receive_queue > 0;
        let is_unread = is_unread && self.has_heard_all(link);
        is_unread.then_some(row.receive_queue.into())
    }

    /// Whether it writes nothing more by itself before it goes on to its next step.
    pub(crate) fn has_said_all(&self) -> bool {
        self.link.as_ref().is_none_or(has_said_all) && !self.owes_an_end()
    }

    /// Whether it will say by itself that it has said all.
    fn owes_an_end(&self) -> bool {
        self.tls().is_some_and(Tls::owes_an_end) && !self.has_ended()
    }

    /// Its own address, where it has one.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.last_local
    }

    /// Whether all that the kernel has for us has been written down: the handshake, bytes, the end.
    fn has_heard_all(&self, link: &Link) -> bool {
        let mut client_states = self.recorder.client_states();
        let state = client_states.of(self.id);
        state.is_connected() && (state.ended().is_some() || !is_readable(link))
    }

    /// Whether our SYN has not been answered. It is repeated by the kernel, so an answer may still come.
    pub(crate) fn is_calling(&self) -> bool {
        self.tcp_state() == Some(SYN_SENT)
    }

    /// Whether the client is yet to come to a server that has room for it, or is there and we have not come to notice.
    pub(crate) fn is_yet_to_come(&self) -> bool {
        self.is_in_unnoticed() || self.is_kept_out()
    }

    /// Whether the kernel alone keeps the client from a server that has room for it: a handshake that finds the accept queue
    /// full is dropped, and repeated ever more seldom (tcp(7), `tcp_syn_retries`), or with what the client has sent.
    fn is_kept_out(&self) -> bool {
        let (Some(link), Address::Inet(server)) = (&self.link, &self.server) else {
            return false;
        };
        if self.is_far {
            return false;
        }
        let has_sent = || unsent_bytes(link.socket.get_ref().as_fd()).is_ok_and(|bytes| bytes > 0);
        let is_half_open = || {
            self.server_row()
                .is_some_and(|row| row.state.is_half_open())
        };
        // A queue takes one more than its limit (`sk_acceptq_is_full` of the kernel).
        let has_room = |row: &Row| {
            row.local.is_some_and(|local| local.port() == server.port())
                && row.receive_queue <= row.send_queue
        };
        let listeners = || self.lab.diag().listeners().unwrap_or_default();
        (self.is_calling() || has_sent() && is_half_open()) && listeners().iter().any(has_room)
    }

    /// Whether the handshake is complete, and it is we who have not come to notice.
    fn is_in_unnoticed(&self) -> bool {
        let is_told = self.recorder.client_states().of(self.id).is_connected();
        let state = self.tcp_state().filter(|_| !is_told);
        state.is_some_and(|state| !matches!(state, SYN_SENT | CLOSE))
    }

    /// How the server has ended the connection as the kernel shows it: a client that does not read does not notice.
    pub(crate) fn unnoticed_end(&self) -> Option<&'static str> {
        if self.tcp_state() == Some(CLOSE) {
            return Some("it was reset");
        }
        // Its end is queued behind what the client does not read. What it still reads is thrown away.
        let ended = [State::FinWait1, State::FinWait2, State::Closing];
        let row = self.server_row()?;
        ended
            .contains(&row.state)
            .then_some("the server has ended its side")
    }

    fn tcp_state(&self) -> Option<u8> {
        let link = self.link.as_ref();
        let link = link.filter(|_| self.transport == Transport::Tcp)?;
        let info = tcp_info(link.socket.get_ref().as_fd()).ok()?;
        Some(info.tcpi_state)
    }

    /// Says that it has said all, where it speaks TLS and the kernel takes that at once.
    fn say_all(&self) {
        let Some((link, tls)) = self.link.as_ref().zip(self.tls()) else {
            return;
        };
        if !self.has_ended() && tls.say_all(link.socket.get_ref(), &link.sent) {
            self.record(ClientEvent::SaidAll);
        }
    }

    pub(crate) fn half_close(&mut self) {
        self.say_all();
        if let Some(link) = &self.link {
            // ENOTCONN: the connection is gone already, which the reader has written down.
            let _ = rustix::net::shutdown(link.socket.get_ref(), Shutdown::Write);
            self.record(ClientEvent::HalfClosed);
        }
    }

    pub(crate) async fn send_urgent(&mut self, byte: u8) {
        let Some(link) = &self.link else {
            return self.record(ClientEvent::SendFailed("not connected".to_owned()));
        };
        match rustix::net::send(
            link.socket.get_ref(),
            &[byte],
            SendFlags::OOB | SendFlags::NOSIGNAL,
        ) {
            Ok(_) => {
                link.sent.set(link.sent.get() + 1);
                self.record(ClientEvent::Sent(vec![byte].into()));
            }
            Err(errno) => self.fail_to_send(errno),
        }
    }

    /// Sends a byte with a descriptor of ours beside it.
    pub(crate) async fn send_descriptor(&mut self, byte: u8) {
        use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
        let Some(link) = &self.link else {
            return self.record(ClientEvent::SendFailed("not connected".to_owned()));
        };
        let gift = match std::fs::File::open("/dev/null") {
            Ok(file) => file,
            Err(error) => return self.fail_to_send(errno_of(&error)),
        };
        let fds = [gift.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let bytes = [std::io::IoSlice::new(std::slice::from_ref(&byte))];
        match sendmsg(
            link.socket.get_ref(),
            &bytes,
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => {
                link.sent.set(link.sent.get() + 1);
                self.record(ClientEvent::Sent(vec![byte].into()));
            }
            Err(errno) => self.fail_to_send(errno),
        }
    }

    /// Sends a datagram that names no sender.
    pub(crate) async fn send_without_source(&mut self, data: &Data) {
        let bytes = data.bytes(self.id.member);
        let address = match &self.server {
            Address::Path(path) => Address::Path(self.lab.reached(path)),
            inet => inet.clone(),
        };
        let (is_read, evidence) = match super::anonymous::send_to(&address, &bytes, &self.lab).await
        {
            Ok(true) => (true, "it was read".to_owned()),
            Ok(false) => (false, "nobody has read it".to_owned()),
            Err(errno) => (false, errno.to_string()),
        };
        self.record(ClientEvent::SentWithoutSource(bytes.len()));
        let step = Action::SendWithoutSource(data.clone()).to_string();
        self.recorder.prove(Fault::Step(step), is_read, evidence);
    }

    pub(crate) fn set_rate(&mut self, rate: Option<ReadRate>) {
        let mode = rate.map_or(ReadMode::Free, ReadMode::AtRate);
        self.set_mode(mode);
        self.record(ClientEvent::Reading);
    }

    pub(crate) fn stall(&mut self) {
        self.set_mode(ReadMode::Stalled);
        self.record(ClientEvent::Stalled);
    }

    fn set_mode(&mut self, mode: ReadMode) {
        match &self.link {
            Some(link) => {
                link.mode.now.set(mode);
                link.mode.changed.notify_one();
            }
            None => self.next_mode = mode,
        }
    }

    pub(crate) async fn close(&mut self) {
        if self.link.is_some() {
            self.say_all();
            self.release().await;
            self.record(ClientEvent::Closed);
        }
    }

    /// Closes with RST, and looks in the kernel for what shows it.
    pub(crate) async fn reset(&mut self) {
        let Some(link) = &self.link else {
            return;
        };
        let _ = SockRef::from(link.socket.get_ref()).set_linger(Some(Duration::ZERO));
        self.guests.one_by_reset();
        if self.transport != Transport::Tcp {
            self.release().await;
            return self.record(ClientEvent::Reset);
        }
        let state = tcp_info(link.socket.get_ref().as_fd()).map(|info| info.tcpi_state);
        let ends = local_address(&link.socket).zip(link.peer.as_socket());
        self.release().await;
        self.record(ClientEvent::Reset);
        // These are the states in which a close with zero linger sends RST (`tcp_need_reset`, net/ipv4/tcp.c).
        let sends = matches!(state, Ok(1 | 3 | 4 | 5 | 8));
        let gone = match ends {
            Some((local, peer)) if !self.is_far => self.row_goes(local, peer).await,
            _ => false,
        };
        let evidence = match (sends, gone) {
            (true, _) if self.is_far => {
                "nothing shows the server's end, on another host".to_owned()
            }
            (false, _) => "the connection had ended before".to_owned(),
            (true, false) => "the server's end still stands in the kernel's table".to_owned(),
            (true, true) => "the server's end is gone from the kernel's table".to_owned(),
        };
        self.recorder.prove(Fault::Reset, sends && gone, evidence);
    }

    /// Waits until the server has closed its end of the connection before: until then ours is in FIN_WAIT2, whose
    /// port `connect` refuses to take again, unlike that of TIME_WAIT (`tcp_twsk_unique`, net/ipv4/tcp_ipv4.c).
    async fn port_is_given_back(&self) {
        if let (Some(local), Address::Inet(server)) = (self.last_local, &self.server) {
            self.row_goes(local, *server).await;
        }
    }

    /// Waits until the server's end of a connection is gone from the kernel's table, or only its TIME_WAIT is left.
    async fn row_goes(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < GOES_WITHIN {
            match self.lab.diag().find(peer, local) {
                Ok(None) => return true,
                Ok(Some(row)) if row.state == State::TimeWait => return true,
                Ok(Some(_)) | Err(_) => {}
            }
            // What we send crosses the loopback at once unless the machine is loaded; no event tells of the server.
            tokio::time::sleep((begun.elapsed() / 4).clamp(LOOK_SOON, LOOK_EVERY)).await;
        }
        false
    }

    /// Is gone without a word; the server's end must still stand afterwards.
    pub(crate) async fn vanish(&mut self) {
        let Some(link) = &self.link else {
            return;
        };
        let ends = local_address(&link.socket).zip(link.peer.as_socket());
        let done = self.lab.supervisor().vanish(link.socket.get_ref().as_fd());
        if let Err(errno) = done {
            return self
                .recorder
                .prove(Fault::Vanish, false, format!("TCP_REPAIR: {errno}"));
        }
        // Nothing tells the server that it is gone.
        self.guests.one_for_good();
        self.release().await;
        self.record(ClientEvent::Vanished);
        let row = ends.and_then(|(local, peer)| self.lab.diag().find(peer, local).ok()?);
        let evidence = match &row {
            Some(row) => format!("the server's end is still {:?}", row.state),
            None => "the server's end is gone too".to_owned(),
        };
        self.recorder.prove(Fault::Vanish, row.is_some(), evidence);
    }

    /// Whether it is to leave although it could have sent more: not where the server has ended the connection, or TLS on it, or does
    /// not read on, nor where the client itself does not read, which holds a server up that answers.
    fn cuts_itself_short(&self) -> bool {
        self.link.as_ref().is_some_and(|link| {
            let reads = link.mode.now.get() == ReadMode::Free;
            reads
                && !self.has_written_all()
                && !self.tls().is_some_and(Tls::is_over_for_server)
                && !self.recorder.client_states().of(self.id).is_held_up()
        })
    }

    /// Stops reading for good and closes the socket; returns when the kernel has it back.
    pub(crate) async fn release(&mut self) {
        if self.cuts_itself_short() {
            let evidence = "the client left before all was written".to_owned();
            self.recorder.prove(Fault::Sent, false, evidence);
        }
        if let Some(link) = self.link.take() {
            for task in link.writers.into_iter().chain([link.driver]) {
                task.abort();
                // A task that was aborted has let go of the socket once it has been joined.
                let _ = task.await;
            }
            let part = link.part_from.get().map(|from| link.sent.get() - from);
            if let Some(bytes @ 1..) = part {
                self.record(ClientEvent::SentPart(bytes));
            }
        }
    }
}

/// How many abstract names were given away.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// The longest name, without the byte in front that makes it abstract (unix(7)).
const LONGEST_NAME: usize = 107;

/// A name of this length at most that nobody else has on this host.
fn abstract_name(length: usize) -> String {
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    let name = format!("sockdrill-{}-{number}", std::process::id());
    format!("{name:x<length$}")
}

/// Whether nothing more is written by itself: all is, or the kernel takes no more of it.
fn has_said_all(link: &Link) -> bool {
    let has_written = link.writers.iter().all(JoinHandle::is_finished);
    has_written || !link.is_paced && !is_writable(link)
}

/// Whether bytes that a TCP socket of ours has taken may still come to the server, which is as long as some are underway, or the
/// server's kernel has room for some.
fn can_deliver(link: &Link) -> bool {
    let socket = link.socket.get_ref().as_fd();
    let unsent = || unsent_bytes(socket).is_ok_and(|bytes| bytes > 0);
    let are_underway = || tcp_info(socket).map_or(true, |info| info.tcpi_unacked > 0);
    unsent() && (are_underway() || send_window(socket) != Some(0))
}

fn is_readable(link: &Link) -> bool {
    !shown_at_once(link, PollFlags::IN).is_empty()
}

/// Whether the kernel takes more; of a connection that has failed it takes nothing.
fn is_writable(link: &Link) -> bool {
    shown_at_once(link, PollFlags::OUT) == PollFlags::OUT
}

/// What a poll shows that does not wait.
fn shown_at_once(link: &Link, wanted: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(link.socket.get_ref(), wanted)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    match rustix::event::poll(&mut fds, Some(&at_once)) {
        Ok(_) => fds[0].revents(),
        Err(_) => wanted,
    }
}

fn local_address(socket: &Socket) -> Option<SocketAddr> {
    SockRef::from(socket.get_ref())
        .local_addr()
        .ok()?
        .as_socket()
}

/// Writes down that our own host kept a client from doing its part, where an error is not for the server to answer for.
fn disprove_own_socket(recorder: &Recorder, errno: Errno, is_of_server: bool) {
    if !is_of_server {
        recorder.prove(Fault::OwnSocket, false, describe(errno));
    }
}

/// The number of an error; of one that has none, that of an argument which cannot be.
fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

/// Pauses, and counts what that took longer than it should.
async fn keep_pace(time: Duration, late: &Cell<Duration>) {
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    // The clock of the event loop ticks once a millisecond.
    late.set(late.get() + begun.elapsed().saturating_sub(time + LOOK_SOON));
}

/// Does something that goes on for as long as it moves; nothing where nothing has moved for so long.
async fn while_it_moves<T, M: PartialEq>(
    limit: Duration,
    moved: impl Fn() -> M,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    // Most of it is done at once, and to ask what has moved takes longer.
    let at_once = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context)));
    if let Poll::Ready(done) = at_once.await {
        return Some(done);
    }
    let mut last = moved();
    loop {
        if let Ok(done) = tokio::time::timeout(limit, &mut work).await {
            return Some(done);
        }
        let now = moved();
        if now == last {
            return None;
        }
        last = now;
    }
}

fn describe(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

/// The part of a client that runs by itself: it finishes the handshake, then reads.
struct Driver {
    id: ClientId,
    recorder: Recorder,
    socket: Rc<Socket>,
    mode: Rc<Mode>,
    datagram: bool,
    peer: Rc<SockAddr>,
    late: Rc<Cell<Duration>>,
    sent: Rc<Cell<u64>>,
    tls: Rc<OnceCell<Box<Tls>>>,
    /// The end of the connection that asking for the outcome of the handshake has told of, and that no read tells again.
    gone: Cell<Option<End>>,
}

/// As much as one read takes; larger than any datagram.
const READ_BYTES: usize = 128 << 10;

thread_local! {
    /// What a read is made into: thousands of connections read on one thread, one after the other.
    static READ_INTO: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl Driver {
    fn record(&self, event: ClientEvent) {
        self.recorder.record(What::Client(self.id, event));
    }

    fn connected(&self) {
        let socket = SockRef::from(self.socket.get_ref());
        self.record(ClientEvent::Connected {
            local: socket
                .local_addr()
                .ok()
                .and_then(|address| address.as_socket())
                .map(Box::new),
            peer: self.peer.as_socket().map(Box::new),
            datagrams: self.datagram,
        });
    }

    async fn run(self, pending: bool) {
        if pending && !self.finish_handshake().await {
            return;
        }
        self.read().await;
    }

    async fn finish_handshake(&self) -> bool {
        let outcome = match self.peer.as_socket() {
            Some(_) => self.handshake_outcome().await,
            None => self.retry_unix_connect().await,
        };
        match outcome {
            Ok(()) => {
                self.connected();
                true
            }
            Err(error) => {
                let errno = errno_of(&error);
                if let Some(end) = end_of_the_connected(errno) {
                    self.connected();
                    self.gone.set(Some(end));
                    return true;
                }
                disprove_own_socket(&self.recorder, errno, is_told_of_server(errno));
                self.record(ClientEvent::ConnectFailed {
                    refused: error.kind() == std::io::ErrorKind::ConnectionRefused,
                    error: error.to_string(),
                });
                false
            }
        }
    }

    async fn handshake_outcome(&self) -> std::io::Result<()> {
        let _ = self.socket.writable().await?;
        match SockRef::from(self.socket.get_ref()).take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn retry_unix_connect(&self) -> std::io::Result<()> {
        loop {
            match SockRef::from(self.socket.get_ref()).connect(&self.peer) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                other => return other,
            }
        }
    }

    async fn read(&self) {
        loop {
            let rate = match self.mode.now.get() {
                ReadMode::AtRate(rate) => Some(rate),
                ReadMode::Free => None,
                ReadMode::Stalled => {
                    self.mode.changed.notified().await;
                    continue;
                }
            };
            let room = rate.map_or(READ_BYTES, |rate| rate.bytes.min(READ_BYTES));
            let Some(()) = self.read_once(room).await else {
                return;
            };
            match rate {
                // The shortest sleep is a millisecond, which is a pause where none is wanted.
                Some(rate) if rate.every.is_zero() => tokio::task::yield_now().await,
                Some(rate) => keep_pace(rate.every, &self.late).await,
                None => {}
            }
        }
    }

    /// Reads once, so many bytes at most; `None` at the end of the connection.
    async fn read_once(&self, most: usize) -> Option<()> {
        let mut guard = tokio::select! {
            guard = self.socket.readable() => guard.ok()?,
            // A change of the rate takes effect before the next byte.
            () = self.mode.changed.notified() => return Some(()),
            () = self.say_rest() => return Some(()),
            () = self.answer_the_end() => return Some(()),
        };
        let attempt = READ_INTO.with_borrow_mut(|buffer| {
            let buffer = &mut buffer[..most];
            guard.try_io(|socket| self.read_into(socket.get_ref(), buffer))
        });
        match attempt {
            Err(_) | Ok(Ok(Some(()))) => {
                // However much comes, others have their turn.
                tokio::task::coop::consume_budget().await;
                Some(())
            }
            Ok(Ok(None)) => {
                self.end(self.gone.get().unwrap_or(End::Fin));
                None
            }
            Ok(Err(error)) => {
                let errno = errno_of(&error);
                disprove_own_socket(&self.recorder, errno, is_told_of_server(errno));
                self.end(end(errno));
                None
            }
        }
    }

    /// Says that it has said all to a server that has said so, and ends the connection no further in that time. Said at once it would
    /// come to many a server between its last word and its close(2), which resets a connection with bytes unread (tcp(7)).
    async fn answer_the_end(&self) {
        let tls = self.tls.get().filter(|tls| tls.owes_an_end());
        let Some(tls) = tls else {
            return std::future::pending().await;
        };
        tokio::time::sleep(SILENCE).await;
        if tls.has_nothing_to_say() && tls.say_all(self.socket.get_ref(), &self.sent) {
            self.record(ClientEvent::SaidAll);
        }
    }

    /// Says the rest of what TLS says by itself, where there is some: the kernel did not take it at once.
    async fn say_rest(&self) {
        let tls = self.tls.get().filter(|tls| tls.needs_a_hand());
        let said = match tls {
            Some(tls) => tls.flush(&self.socket, &self.sent).await,
            None => std::future::pending().await,
        };
        if said.is_err() {
            // That nothing more can be said is told by what is read.
            std::future::pending::<()>().await;
        }
    }

    fn end(&self, end: End) {
        let Some(tls) = self.tls.get() else {
            return self.record(ClientEvent::Ended(end));
        };
        // The kernel resets what is closed with bytes unread, and those are our answer to the end of all that was to be said.
        let is_answered = end == End::Reset && tls.has_answered_the_end();
        if is_answered {
            self.record(ClientEvent::AnswerUnread);
        }
        let end = if is_answered { End::Fin } else { end };
        self.record(tls.over(end == End::Fin));
        self.record(ClientEvent::Ended(end));
    }

    /// Reads a datagram, or as much of a stream as fits, and writes it down; `None` at the end of a stream.
    fn read_into(&self, socket: &OwnedFd, buffer: &mut [u8]) -> std::io::Result<Option<()>> {
        if self.datagram {
            let (bytes, _, from) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::empty())?;
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            self.recorder
                .receive_datagram(self.id, from, &buffer[..bytes]);
            return Ok(Some(()));
        }
        let (bytes, _) = rustix::net::recv(socket, &mut *buffer, RecvFlags::empty())?;
        if bytes == 0 {
            return Ok(None);
        }
        match self.tls.get() {
            None => self.recorder.receive(self.id, &buffer[..bytes]),
            Some(tls) => {
                for heard in tls.hear(&buffer[..bytes], socket, &self.sent) {
                    match heard {
                        Heard::Plain(text) => self.recorder.receive(self.id, &text),
                        Heard::Told(event) => self.record(event),
                    }
                }
            }
        }
        Ok(Some(()))
    }
}

/// How the connection ended, where this outcome of a handshake says that it was complete, and the connection reset before we came
/// to look: a reset in answer to a SYN is `ECONNREFUSED`, and one behind the server's FIN `EPIPE` (tcp_input.c: tcp_reset).
fn end_of_the_connected(outcome: Errno) -> Option<End> {
    match outcome {
        Errno::CONNRESET => Some(End::Reset),
        Errno::PIPE => Some(End::Fin),
        _ => None,
    }
}

fn end(errno: Errno) -> End {
    match errno {
        Errno::TIMEDOUT => End::Timeout,
        Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH => End::Unreachable,
        _ => End::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use std::io::{Read, Write};

    /// Nobody asks for the outcome before the server has reset the connection, behind these words.
    fn outcome_of_one_that_is_reset(words: &[u8]) -> (Errno, Vec<u8>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = socket2::Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let pending = socket.connect(&listener.local_addr().unwrap().into());
        assert_eq!(errno_of(&pending.unwrap_err()), Errno::INPROGRESS);
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(words).unwrap();
        SockRef::from(&server)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(server);
        let mut fds = [PollFd::new(&socket, PollFlags::empty())];
        rustix::event::poll(&mut fds, None).unwrap();
        let outcome = socket.take_error().unwrap().unwrap();
        let mut told = Vec::new();
        std::net::TcpStream::from(socket)
            .read_to_end(&mut told)
            .unwrap();
        (errno_of(&outcome), told)
    }

    #[test]
    fn connection_that_is_reset_before_anybody_looks_was_made() {
        for words in [b"".as_slice(), b"full"] {
            let (outcome, told) = outcome_of_one_that_is_reset(words);
            assert_eq!(end_of_the_connected(outcome), Some(End::Reset));
            assert_eq!(told, words);
        }
        assert_eq!(end_of_the_connected(Errno::CONNREFUSED), None);
    }
}
