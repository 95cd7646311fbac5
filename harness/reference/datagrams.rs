//! Servers of datagrams: each is taken whole and reacted to alone.

use super::console::Console;
use super::path_datagrams;
use crate::sys::socket::{receive_with_destination, send_from, tell_destinations};
use socket2::{Domain, Socket};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// What a server does about one datagram.
pub(super) enum Reaction {
    /// It sends a datagram to the sender.
    Answer(Vec<u8>),
    /// It prints a line.
    Print(String),
}

/// The line that is printed of a datagram and its sender, or of the lack of one.
pub(super) type Remark = fn(Option<(&[u8], SocketAddr)>) -> String;

/// More than a datagram can hold, so that none is ever cut.
pub(super) const BUFFER_BYTES: usize = 64 << 10;

/// Datagrams that have arrived before the stop are still reacted to, but a flood must not hold the server up.
pub(super) const LAST_DATAGRAMS: usize = 1024;

/// Reacts to every datagram until told to stop, then to those that have arrived.
pub(super) async fn live(
    socket: Socket,
    react: fn(&[u8], &dyn fmt::Display) -> Reaction,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    if socket.domain()? == Domain::UNIX {
        return path_datagrams::live(socket, react, stop).await;
    }
    let socket = UdpSocket::from_std(socket.into())?;
    let on_every_address =
        matches!(socket.local_addr()?.ip(), IpAddr::V4(ip) if ip.is_unspecified());
    if on_every_address {
        tell_destinations(socket.as_fd())?;
    }
    let mut desk = Desk {
        console: Console::open()?,
        socket,
        on_every_address,
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

/// Waits for one datagram as long as the patience lasts, prints a line on what came, and ends.
pub(super) async fn wait(
    socket: Socket,
    patience: Duration,
    remark: Remark,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket.into())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let came = tokio::select! {
        biased;
        () = stop => return Ok(()),
        came = timeout(patience, socket.recv_from(&mut buffer)) => came,
    };
    let came = match came {
        Ok(received) => Some(received?),
        Err(_elapsed) => None,
    };
    let console = Console::open()?;
    let line = remark(came.map(|(count, from)| (&buffer[..count], from)));
    // Nobody may be reading what is printed.
    let _ = timeout(LAST_WORDS, async {
        console.print(line).await;
        console.close().await;
    })
    .await;
    Ok(())
}

/// How long a stopping server takes for its last datagrams and lines.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

struct Desk {
    socket: UdpSocket,
    /// Bound to all IPv4 addresses, so that the one asked has to be told for each datagram.
    on_every_address: bool,
    console: Console,
    react: fn(&[u8], &dyn fmt::Display) -> Reaction,
    buffer: Vec<u8>,
}

impl Desk {
    async fn serve(&mut self) {
        loop {
            // An error tells of an earlier answer that could not be delivered: it concerns one sender.
            if let Ok((count, from, to)) = self.receive().await {
                self.deal_with(count, from, to).await;
            }
        }
    }

    /// Receives a datagram, with the address it was sent to where a wildcard socket has to know that.
    async fn receive(&mut self) -> io::Result<(usize, SocketAddr, Option<Ipv4Addr>)> {
        let socket = &self.socket;
        let buffer = &mut self.buffer;
        if !self.on_every_address {
            let (count, from) = socket.recv_from(buffer).await?;
            return Ok((count, from, None));
        }
        let receive = || receive_with_destination(socket.as_fd(), buffer);
        let (count, from, to) = socket.async_io(Interest::READABLE, receive).await?;
        Ok((count, from.into(), to))
    }

    async fn clear(mut self) {
        for _ in 0..LAST_DATAGRAMS {
            let Ok((count, from)) = self.socket.try_recv_from(&mut self.buffer) else {
                break;
            };
            self.deal_with(count, from, None).await;
        }
        self.console.close().await;
    }

    async fn deal_with(&self, count: usize, from: SocketAddr, to: Option<Ipv4Addr>) {
        match (self.react)(&self.buffer[..count], &from) {
            Reaction::Answer(answer) => {
                // A sender that cannot be reached any more is no concern of the others.
                let _ = self.answer(&answer, from, to).await;
            }
            Reaction::Print(line) => self.console.print(line).await,
        }
    }

    /// Answers from the address that was asked; left alone, the kernel would choose one by the route (ip(7)).
    async fn answer(
        &self,
        answer: &[u8],
        from: SocketAddr,
        to: Option<Ipv4Addr>,
    ) -> io::Result<()> {
        let (SocketAddr::V4(from), Some(to)) = (from, to) else {
            return self.socket.send_to(answer, from).await.map(drop);
        };
        let send = || send_from(self.socket.as_fd(), answer, from, to);
        self.socket.async_io(Interest::WRITABLE, send).await
    }
}
