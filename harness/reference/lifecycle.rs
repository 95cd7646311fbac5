//! The life of a server: listen, serve, and when told to stop, finish what has begun.

use super::conversation::{Conversation, DRAIN, Stream};
use super::listener::{self, Bound, Listener};
use super::server::{Manner, ReferenceServer, Room, Talk};
use super::tls::Tls;
use super::{console, datagrams};
use crate::model::address::Address;
use crate::model::profile::{Drops, Serves};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Runs a reference server until SIGTERM or SIGINT, and prints `listening on ADDRESS` on standard output once it
/// listens. Further signals while it finishes what has begun change nothing.
///
/// # Errors
/// It could not listen at the address.
pub(crate) fn serve(
    server: &ReferenceServer,
    address: &Address,
    tls: Option<Tls>,
) -> io::Result<()> {
    let runtime = runtime()?;
    // The handlers are in place before anybody can learn that the server is up.
    let stop = {
        let _inside = runtime.enter();
        told_to_stop()?
    };
    let bound = server.listen(address)?;
    console::print(&format!("listening on {}", bound.address));
    runtime.block_on(server.live(bound, tls, stop))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A reference server in this process; dropping it cuts its connections and stops it.
///
/// ```
/// use sockdrill::ReferenceServer;
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let echo = ReferenceServer::find("echo").expect("a reference server").start()?;
/// let mut client = TcpStream::connect(echo.address())?;
/// client.write_all(b"hello")?;
/// let mut reply = [0; 5];
/// client.read_exact(&mut reply)?;
/// assert_eq!(&reply, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping it stops the server"]
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(server: &ReferenceServer) -> io::Result<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = server.listen(&Address::Inet(anywhere))?;
        let address = bound.socket.local_addr()?.as_socket().unwrap_or(anywhere);
        let runtime = runtime()?;
        let (stop, stopped) = oneshot::channel();
        let server = *server;
        let life = async move {
            tokio::select! {
                _ = stopped => {}
                _ = server.live(bound, None, std::future::pending()) => {}
            }
        };
        let thread = thread::Builder::new().name(server.name.to_owned());
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread.spawn(move || runtime.block_on(life))?),
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed, and one more in a drop would abort.
            let _ = thread.join();
        }
    }
}

impl ReferenceServer {
    fn listen(&self, address: &Address) -> io::Result<Bound> {
        match self.manner {
            Manner::Stream(_) => listener::stream(address, self.backlog),
            Manner::Datagram(_) | Manner::Wait(..) => listener::datagram(address),
        }
    }

    async fn live(
        &self,
        bound: Bound,
        tls: Option<Tls>,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        match self.manner {
            Manner::Stream(converse) => {
                let service = Service {
                    tls,
                    ..Service::new(self, converse, Listener::new(bound)?)
                };
                service.live(stop).await;
                Ok(())
            }
            Manner::Datagram(react) => datagrams::live(bound.socket, react, stop).await,
            Manner::Wait(patience, line) => {
                datagrams::wait(bound.socket, patience, line, stop).await
            }
        }
    }
}

/// What is left after the drain for clients to take their last bytes; then everything is cut. With the drain it stays
/// well below the five seconds that the profiles promise, for hosts that are slow.
const LAST_LINGER: Duration = Duration::from_millis(500);

/// A server of connections at work.
struct Service {
    server: ReferenceServer,
    converse: fn(&mut Conversation) -> Talk<'_>,
    /// `None` where it speaks without.
    tls: Option<Tls>,
    /// `None` once no further connection is wanted.
    listener: Option<Listener>,
    stopping: watch::Sender<Option<Instant>>,
    conversations: JoinSet<()>,
    /// Where the places of those who came first go to others, whom to tell so, and in which words: the first is the oldest.
    places: VecDeque<oneshot::Sender<&'static [u8]>>,
    /// Conversations with those for whom there was no room.
    refusals: JoinSet<()>,
    /// How many have come when there was no room for certain.
    came_too_late: usize,
}

impl Service {
    fn new(
        server: &ReferenceServer,
        converse: fn(&mut Conversation) -> Talk<'_>,
        listener: Listener,
    ) -> Self {
        Self {
            server: *server,
            converse,
            tls: None,
            listener: Some(listener),
            stopping: watch::Sender::new(None),
            conversations: JoinSet::new(),
            places: VecDeque::new(),
            refusals: JoinSet::new(),
            came_too_late: 0,
        }
    }

    async fn live(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = stop => self.drain().await,
            () = self.serve() => {}
        }
    }

    /// Serves until there is neither a listener nor a conversation left. A conversation that ends makes the accept
    /// start anew, and with it one that waits for a free descriptor.
    async fn serve(&mut self) {
        while let Some(listener) = &self.listener {
            tokio::select! {
                biased;
                Some(_) = self.conversations.join_next() => {}
                Some(_) = self.refusals.join_next() => {}
                stream = listener.accept(), if self.has_room() => self.welcome(stream),
            }
        }
        while self.conversations.join_next().await.is_some() {}
    }

    fn has_room(&self) -> bool {
        self.server.serves == Serves::Concurrently || self.conversations.is_empty()
    }

    fn welcome(&mut self, stream: Option<Box<dyn Stream>>) {
        let Some(stream) = stream else { return };
        if self.server.serves == Serves::OneConnection {
            // Refused is kinder to the others than a wait that ends in a reset.
            self.listener = None;
        }
        let room = self.server.room;
        match room {
            Some(room) if self.turns_away(room) => self.refuse(stream, room),
            _ => self.begin(stream),
        }
    }

    /// Whether there is no room for another one; where only some are dropped it is every other one, and each of them once
    /// there are twice as many.
    fn turns_away(&mut self, room: Room) -> bool {
        let held = self.conversations.len();
        if held < room.most {
            return false;
        }
        self.came_too_late += 1;
        match room.drops {
            Drops::Oldest => false,
            Drops::All => true,
            Drops::Some => held >= 2 * room.most || self.came_too_late % 2 == 1,
        }
    }

    fn begin(&mut self, stream: Box<dyn Stream>) {
        let conversation = self.conversation(stream);
        let (place, is_given_away) = oneshot::channel();
        if let Some(room) = self.server.room.filter(|room| room.drops == Drops::Oldest) {
            self.give_places_away(room);
            self.places.push_back(place);
        }
        let (tls, converse) = (self.tls.clone(), self.converse);
        self.conversations.spawn(async move {
            // An error means that the client is gone, which ends one conversation and never the server.
            if let Ok(conversation) = conversation.secured(tls).await {
                hold(conversation, converse, is_given_away).await;
            }
        });
    }

    /// Gives the places of those who came first to others, as far as none is free for one more.
    fn give_places_away(&mut self, room: Room) {
        // Who has left by itself has left a place that is free.
        self.places.retain(|place| !place.is_closed());
        let too_many = (self.places.len() + 1).saturating_sub(room.most);
        for oldest in self.places.drain(..too_many) {
            // It may have left by itself now.
            let _ = oldest.send(room.refusal);
        }
    }

    fn refuse(&mut self, stream: Box<dyn Stream>, room: Room) {
        let (conversation, tls) = (self.conversation(stream), self.tls.clone());
        self.refusals.spawn(async move {
            // An error means that the client is gone, to whom nothing is to be said then.
            let Ok(mut conversation) = conversation.secured(tls).await else {
                return;
            };
            if conversation.write_all(room.refusal).await.is_ok() {
                conversation.finish().await;
            }
        });
    }

    fn conversation(&self, stream: Box<dyn Stream>) -> Conversation {
        Conversation::new(stream, self.stopping.subscribe(), self.server.sessions)
    }

    /// Takes nobody new, and gives those who are in the time to finish.
    async fn drain(&mut self) {
        self.stopping.send_replace(Some(Instant::now()));
        // The kernel holds one more connection than the backlog says.
        let limit = self.server.backlog as usize + 1;
        let waiting = match self.listener.take() {
            Some(listener) => listener.close(limit).unwrap_or_default(),
            None => Vec::new(),
        };
        let _ = timeout(DRAIN + LAST_LINGER, self.finish(waiting.into())).await;
    }

    async fn finish(&mut self, mut waiting: VecDeque<Box<dyn Stream>>) {
        while !(waiting.is_empty() && self.conversations.is_empty()) {
            match self.has_room().then(|| waiting.pop_front()).flatten() {
                Some(stream) => self.begin(stream),
                None => {
                    self.conversations.join_next().await;
                }
            }
        }
    }
}

async fn hold(
    mut conversation: Conversation,
    converse: fn(&mut Conversation) -> Talk<'_>,
    is_given_away: oneshot::Receiver<&'static [u8]>,
) {
    let is_told = tokio::select! {
        biased;
        ended = converse(&mut conversation) => Err(ended),
        Ok(words) = is_given_away => Ok(words),
    };
    let ended = match is_told {
        Ok(words) => conversation.write_all(words).await,
        Err(ended) => ended,
    };
    // An error means that the client is gone, which ends one conversation and never the server.
    if ended.is_ok() {
        conversation.finish().await;
    }
}
