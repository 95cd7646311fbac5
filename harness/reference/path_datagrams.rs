//! The same servers of datagrams on a path.

use super::console::Console;
use super::datagrams::{BUFFER_BYTES, LAST_DATAGRAMS, LAST_WORDS, Reaction};
use socket2::Socket;
use std::fmt;
use std::io;
use std::os::unix::net::SocketAddr;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

/// Reacts to every datagram until told to stop, then to those that have arrived.
pub(super) async fn live(
    socket: Socket,
    react: fn(&[u8], &dyn fmt::Display) -> Reaction,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut desk = Desk {
        replies: socket.try_clone()?.into(),
        socket: UnixDatagram::from_std(socket.into())?,
        console: Console::open()?,
        react,
        buffer: vec![0; BUFFER_BYTES],
    };
    tokio::select! {
        biased;
        () = stop => {}
        () = desk.serve() => {}
    }
    // Nobody may be reading what is printed.
    let _ = timeout(LAST_WORDS, desk.clear()).await;
    Ok(())
}

struct Desk {
    socket: UnixDatagram,
    /// The same socket: the runtime's own takes one queue without room for a want of room for all.
    replies: std::os::unix::net::UnixDatagram,
    console: Console,
    react: fn(&[u8], &dyn fmt::Display) -> Reaction,
    buffer: Vec<u8>,
}

impl Desk {
    async fn serve(&mut self) {
        loop {
            if let Ok((count, from)) = self.socket.recv_from(&mut self.buffer).await {
                self.deal_with(count, &from.into()).await;
            }
        }
    }

    async fn clear(mut self) {
        for _ in 0..LAST_DATAGRAMS {
            let Ok((count, from)) = self.socket.try_recv_from(&mut self.buffer) else {
                break;
            };
            self.deal_with(count, &from.into()).await;
        }
        self.console.close().await;
    }

    async fn deal_with(&self, count: usize, from: &SocketAddr) {
        match (self.react)(&self.buffer[..count], &Sender(from)) {
            // What does not fit the queue of a sender who does not read is lost: waiting for room would keep all others from
            // being served. One who has gone, or has no address, is no concern of theirs either.
            Reaction::Answer(answer) => {
                let _ = self.replies.send_to_addr(&answer, from);
            }
            Reaction::Print(line) => self.console.print(line).await,
        }
    }
}

/// A sender, as it is named in what is printed.
struct Sender<'a>(&'a SocketAddr);

impl fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_pathname() {
            Some(path) => path.display().fmt(f),
            None => f.write_str("somebody"),
        }
    }
}
