//! The sockets of counterexamples: those of the standard library, or the same over TLS, so that a server breaks one requirement in the
//! same few lines over either.

use super::records::Records;
use super::tls::Tls;
use rustix::net::SendFlags;
use socket2::Socket;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How all of them speak TLS, where they do.
static TLS: OnceLock<Tls> = OnceLock::new();

/// Has the counterexample of this process speak TLS.
pub(crate) fn over_tls(tls: Option<Tls>) {
    if let Some(tls) = tls {
        TLS.get_or_init(|| tls);
    }
}

/// A socket that listens.
pub(crate) struct Listener(TcpListener);

impl From<Socket> for Listener {
    fn from(socket: Socket) -> Self {
        Self(socket.into())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// Takes the next connection.
    pub(crate) fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (socket, from) = self.0.accept()?;
        let records = TLS.get().map(Records::of).transpose()?;
        let records = records.map(Arc::new);
        Ok((Stream { socket, records }, from))
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }
}

/// A connection, as the standard library has it.
pub(crate) struct Stream {
    socket: TcpStream,
    /// What is made of what is said, and of what comes, where it speaks TLS; its clones share that.
    records: Option<Arc<Records>>,
}

impl Stream {
    /// Goes through the handshake, where it speaks TLS.
    pub(crate) fn open(&self) -> io::Result<()> {
        while self.records.as_ref().is_some_and(|tls| tls.is_opening()) {
            if !self.hear()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    pub(crate) fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.records {
            None => self.socket.peek(buffer),
            Some(tls) => {
                while !tls.has_text() && self.hear()? {}
                Ok(tls.peek(buffer))
            }
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            records: self.records.clone(),
        })
    }

    pub(crate) fn set_read_timeout(&self, time: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(time)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.say_all();
        }
        self.socket.shutdown(how)
    }

    /// Hears more from the client; whether there was more.
    fn hear(&self) -> io::Result<bool> {
        let Some(tls) = self.records.as_ref().filter(|tls| !tls.has_heard_all()) else {
            return Ok(false);
        };
        let mut buffer = [0; 16 << 10];
        let bytes = (&self.socket).read(&mut buffer)?;
        let was_opening = tls.is_opening();
        let heard = tls.hear(&buffer[..bytes]);
        if was_opening || heard.is_err() {
            // What TLS says to that by itself: a part of the handshake, or an alert.
            tls.send(&mut |records| (&self.socket).write(records))
                .or_else(unless_full)?;
        }
        heard.map(|()| bytes > 0)
    }

    /// Says that it has said all, as far as that goes at once.
    fn say_all(&self) {
        let Some(tls) = &self.records else { return };
        tls.say_all();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        // A client that is gone, or does not read, does not hear it.
        let _ = tls.send(&mut |records| Ok(rustix::net::send(&self.socket, records, flags)?));
    }
}

/// The kernel takes the rest later.
fn unless_full(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let last = self.records.as_ref().map(Arc::strong_count) == Some(1);
        if last {
            self.say_all();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.records else {
            return self.socket.read(buffer);
        };
        while !tls.has_text() && self.hear()? {}
        Ok(tls.take(buffer))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.records else {
            return (&self.socket).write(bytes);
        };
        self.open()?;
        let send = &mut |records: &[u8]| (&self.socket).write(records);
        // What is left of what was said before goes first.
        tls.send(send)?;
        let said = tls.say(bytes);
        tls.send(send).or_else(unless_full)?;
        Ok(said)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
