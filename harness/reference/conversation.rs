//! One connection, from its first byte to an end that destroys nothing.

use super::tls::Tls;
use crate::model::profile::Sessions;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// When the server was told to stop, for every conversation to see; `None` while it serves.
pub(super) type Stopping = watch::Receiver<Option<Instant>>;

/// How long a stopping server takes input. A request that has begun may be completed in this time.
pub(super) const DRAIN: Duration = Duration::from_secs(3);

/// How long an end is waited for after our own; closing at once over unread input would send a reset, which destroys
/// what the client has not read yet.
const LINGER: Duration = Duration::from_secs(1);

/// The longest that unread input is drained from a client that goes on sending after our end.
const LINGER_AT_MOST: Duration = Duration::from_secs(10);

/// The silence after which a stopping server takes a client that has spoken for idle.
const QUIET: Duration = Duration::from_secs(1);

/// The same for a client that has not spoken: only what is already under way can still arrive.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// How long a client may take for its handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

/// What a conversation reads at a time. Thousands of them are open at once and each has its own.
pub(super) const BUFFER_BYTES: usize = 8 << 10;

/// A connected stream socket of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The address that the client comes from, where it has one.
    fn source(&self) -> Option<IpAddr>;

    /// Has short answers leave at once, where they are held back otherwise, and the kernel lets it (`TCP_NODELAY`).
    fn answer_at_once(&self);
}

impl Stream for TcpStream {
    fn source(&self) -> Option<IpAddr> {
        self.peer_addr().ok().map(|peer| peer.ip())
    }

    fn answer_at_once(&self) {
        let _ = self.set_nodelay(true);
    }
}

impl Stream for UnixStream {
    fn source(&self) -> Option<IpAddr> {
        None
    }

    fn answer_at_once(&self) {}
}

/// A connection with a client. Nothing is buffered here: who does not read is not read from.
pub(super) struct Conversation {
    stream: Box<dyn Stream>,
    stopping: Stopping,
    sessions: Sessions,
    has_spoken: bool,
}

impl Conversation {
    pub(super) fn new(stream: Box<dyn Stream>, stopping: Stopping, sessions: Sessions) -> Self {
        Self {
            stream,
            stopping,
            sessions,
            has_spoken: false,
        }
    }

    /// The same over TLS, once the handshake is complete; an error means that the client is gone, or takes too long.
    pub(super) async fn secured(mut self, tls: Option<Tls>) -> io::Result<Self> {
        let Some(tls) = tls else {
            return Ok(self);
        };
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let stream = tokio::select! {
            biased;
            () = given_up(&mut self.stopping, UNDER_WAY) => return Err(late()),
            secured = timeout(HANDSHAKE_WITHIN, tls.secure(self.stream)) => secured.map_err(|_| late())??,
        };
        Ok(Self { stream, ..self })
    }

    /// The address that the client comes from, where it has one.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.stream.source()
    }

    /// Has short answers leave at once, where that can be had.
    pub(super) fn answer_at_once(&self) {
        self.stream.answer_at_once();
    }

    /// Reads what comes next. Nothing means the end: the client's, or that of a server that stops and has an idle client.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(self.patience(), buffer).await
    }

    /// How long a server that stops waits for the next request.
    fn patience(&self) -> Duration {
        match self.sessions {
            Sessions::WaitedFor { .. } => DRAIN,
            Sessions::Closed | Sessions::Kept if self.has_spoken => QUIET,
            Sessions::Closed | Sessions::Kept => UNDER_WAY,
        }
    }

    /// Reads more of a request that has begun. A server that stops waits for it as long as it can.
    pub(super) async fn read_rest(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(DRAIN, buffer).await
    }

    async fn read_with(&mut self, patience: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        let count = tokio::select! {
            biased;
            () = given_up(&mut self.stopping, patience) => 0,
            count = self.stream.read(buffer) => count?,
        };
        self.has_spoken |= count > 0;
        Ok(count)
    }

    /// Reads what comes next, and writes meanwhile as much of `waiting` as the client takes.
    pub(super) async fn read_while_writing(
        &mut self,
        buffer: &mut [u8],
        waiting: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let patience = self.patience();
        let Self {
            stream, stopping, ..
        } = self;
        let moves = poll_fn(|context| {
            while !waiting.is_empty()
                && let Poll::Ready(written) = Pin::new(&mut *stream).poll_write(context, waiting)
            {
                waiting.drain(..written?);
            }
            // What TLS has made of it may wait for the client, too.
            if let Poll::Ready(flushed) = Pin::new(&mut *stream).poll_flush(context) {
                flushed?;
            }
            let mut into = ReadBuf::new(buffer);
            let read = Pin::new(&mut *stream).poll_read(context, &mut into);
            read.map_ok(|()| into.filled().len())
        });
        let count = tokio::select! {
            biased;
            () = given_up(stopping, patience) => 0,
            count = moves => count?,
        };
        self.has_spoken |= count > 0;
        Ok(count)
    }

    /// Writes all of it, at the client's pace.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Ends our side, then takes what the client still sends until it ends too or has had its time.
    pub(super) async fn finish(mut self) {
        // A client that has reset the connection has ended it for us: ENOTCONN.
        let _ = self.stream.shutdown().await;
        let _ = timeout(LINGER_AT_MOST, self.discard_input()).await;
    }

    async fn discard_input(&mut self) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(Ok(1..)) = timeout(LINGER, self.stream.read(&mut buffer)).await {}
    }
}

/// Waits until the server has been told to stop and then for `patience`, but never past the drain.
async fn given_up(stopping: &mut Stopping, patience: Duration) {
    let told = stopping.wait_for(Option::is_some).await;
    let told = told
        .ok()
        .and_then(|told| *told)
        .unwrap_or_else(Instant::now);
    sleep_until((Instant::now() + patience).min(told + DRAIN)).await;
}
