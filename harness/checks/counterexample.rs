//! What counterexamples are made of: plain blocking sockets and a thread a connection, so that each needs to say
//! only what it does wrong.

pub(crate) use crate::reference::blocking::{Listener, Stream};

use crate::model::address::Address;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

/// A backlog that no check fills by accident.
const BACKLOG: i32 = 1_024;

/// Listens as a correct server does.
pub(crate) fn listen(address: &Address) -> io::Result<Listener> {
    listen_with(address, true, BACKLOG)
}

/// Listens with or without SO_REUSEADDR, and with the given backlog.
pub(crate) fn listen_with(address: &Address, reuse: bool, backlog: i32) -> io::Result<Listener> {
    let socket = bound(address, reuse)?;
    socket.listen(backlog)?;
    announce(&socket);
    Ok(Listener::from(socket))
}

/// A socket that is about to listen.
pub(crate) fn bound(address: &Address, reuse: bool) -> io::Result<Socket> {
    let Address::Inet(address) = address else {
        return Err(io::Error::other("counterexamples listen on IP addresses"));
    };
    let socket = Socket::new(
        Domain::for_address(*address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(reuse)?;
    socket.bind(&SockAddr::from(*address))?;
    Ok(socket)
}

/// Binds a datagram socket.
pub(crate) fn bind(address: &Address) -> io::Result<UdpSocket> {
    bind_with(address, false)
}

/// Binds a datagram socket to a port that others may have too.
pub(crate) fn bind_shared(address: &Address) -> io::Result<UdpSocket> {
    bind_with(address, true)
}

fn bind_with(address: &Address, shared: bool) -> io::Result<UdpSocket> {
    let Address::Inet(address) = address else {
        return Err(io::Error::other("counterexamples listen on IP addresses"));
    };
    let socket = Socket::new(
        Domain::for_address(*address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_address(shared)?;
    socket.bind(&SockAddr::from(*address))?;
    announce(&socket);
    Ok(socket.into())
}

fn announce(socket: &Socket) {
    if let Some(address) = socket
        .local_addr()
        .ok()
        .and_then(|address| address.as_socket())
    {
        // Nobody may be reading.
        let _ = writeln!(io::stdout(), "listening on {address}");
    }
}

/// Serves every connection in a thread of its own; an error ends the conversation and nothing else.
pub(crate) fn each(
    listener: &Listener,
    conversation: impl Fn(&mut Stream) -> io::Result<()> + Send + Copy + 'static,
) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                std::thread::spawn(move || stream.open().and_then(|()| conversation(&mut stream)));
            }
            // Out of descriptors: a connection has to end first.
            Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
        }
    }
}

/// Sends everything back, in a thread a connection; but it hears the first words of a client before it accepts the next one,
/// and serves a client that stops in the middle of a line to its end first.
pub(crate) fn echo_once_heard(listener: &Listener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        let first = first_words(&mut stream);
        let is_whole = first.ends_with(b"\n");
        let conversation = std::thread::spawn(move || {
            stream.set_read_timeout(None)?;
            stream.write_all(&first)?;
            echo(&mut stream)
        });
        if !is_whole {
            let _ = conversation.join();
        }
    }
}

/// What a client says first, up to the end of a line, its own end, or the first moment in which it says nothing more.
fn first_words(stream: &mut Stream) -> Vec<u8> {
    const A_MOMENT: Duration = Duration::from_millis(50);
    let mut words = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    // An error ends the conversation and nothing else.
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        words.extend_from_slice(&buffer[..bytes]);
        if words.ends_with(b"\n") || stream.set_read_timeout(Some(A_MOMENT)).is_err() {
            break;
        }
    }
    words
}

/// Serves one connection after the other.
pub(crate) fn one_at_a_time(
    listener: &Listener,
    mut conversation: impl FnMut(&mut Stream) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        // An error ends the conversation and nothing else.
        let _ = conversation(&mut stream);
    }
}

/// Answers every read with what `reply` makes of it, until the client has finished.
pub(crate) fn answer(
    stream: &mut Stream,
    mut reply: impl FnMut(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => stream.write_all(&reply(&buffer[..bytes]))?,
        }
    }
}

/// Sends everything back.
pub(crate) fn echo(stream: &mut Stream) -> io::Result<()> {
    answer(stream, <[u8]>::to_vec)
}

/// Ends the whole server where an error should have ended one conversation.
pub(crate) fn die_of(result: io::Result<()>) -> io::Result<()> {
    if let Err(error) = &result {
        let _ = writeln!(io::stderr(), "fatal: {error}");
        std::process::exit(1);
    }
    result
}
