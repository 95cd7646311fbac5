//! Servers of datagrams: each is taken whole and reacted to alone.

use super::console::Console;
use socket2::Socket;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What a server does about one datagram.
pub(super) enum Reaction {
    /// It sends a datagram to the sender.
    Answer(Vec<u8>),
    /// It prints a line.
    Print(String),
}

/// More than a datagram can hold, so that none is ever cut.
const BUFFER_BYTES: usize = 64 << 10;

/// Datagrams that have arrived before the stop are still reacted to, but a flood must not hold the server up.
const LAST_DATAGRAMS: usize = 1024;

/// Reacts to every datagram until told to stop, then to those that have arrived.
pub(super) async fn live(
    socket: Socket,
    react: fn(&[u8], SocketAddr) -> Reaction,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket.into())?;
    let mut desk = Desk {
        console: Console::open()?,
        socket,
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

/// How long a stopping server takes for its last datagrams and lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

struct Desk {
    socket: UdpSocket,
    console: Console,
    react: fn(&[u8], SocketAddr) -> Reaction,
    buffer: Vec<u8>,
}

impl Desk {
    async fn serve(&mut self) {
        loop {
            // An error tells of an earlier answer that could not be delivered: it concerns one sender.
            if let Ok((count, from)) = self.socket.recv_from(&mut self.buffer).await {
                self.deal_with(count, from).await;
            }
        }
    }

    async fn clear(mut self) {
        for _ in 0..LAST_DATAGRAMS {
            let Ok((count, from)) = self.socket.try_recv_from(&mut self.buffer) else {
                break;
            };
            self.deal_with(count, from).await;
        }
        self.console.close().await;
    }

    async fn deal_with(&self, count: usize, from: SocketAddr) {
        match (self.react)(&self.buffer[..count], from) {
            Reaction::Answer(answer) => {
                // A sender that cannot be reached any more is no concern of the others.
                let _ = self.socket.send_to(&answer, from).await;
            }
            Reaction::Print(line) => self.console.print(line).await,
        }
    }
}
