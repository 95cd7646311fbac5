//! A server with one thread, for faults that show in what one client finds of another: what happened first is taken first,
//! however late the thread comes.

use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

/// What there is to hear of a connection.
pub(crate) enum Heard<'a> {
    Connected,
    Bytes(&'a [u8]),
    /// Its client has finished, or was reset.
    Ended {
        reset: bool,
    },
}

/// Serves all connections, each known by a number of its own, with what `answer` makes of what is heard.
///
/// Of those that are there the newest is heard first: what it has sent has come before anything that the older ones, who
/// stand by, say to find out. Then one new connection after the other is taken and heard.
pub(crate) fn in_turn(
    port: u16,
    mut answer: impl FnMut(usize, Heard<'_>) -> Vec<u8>,
) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let mut connections: Vec<Connection> = Vec::new();
    for number in 0.. {
        let stream = loop {
            // After it was accepted, so that all that it was preceded by is heard first.
            let accepted = listener.accept();
            for connection in connections.iter_mut().rev() {
                connection.go_on(&mut answer);
            }
            connections.retain(|connection| !connection.is_over());
            match accepted {
                Ok((stream, _)) => break stream,
                Err(_) => wait(&listener, &connections)?,
            }
        };
        stream.set_nonblocking(true)?;
        answer(number, Heard::Connected);
        connections.push(Connection {
            number,
            stream,
            owed: Vec::new(),
            has_ended: false,
            was_reset: false,
        });
    }
    Ok(())
}

struct Connection {
    number: usize,
    stream: TcpStream,
    /// What the kernel has not taken yet; nothing more is read before it has.
    owed: Vec<u8>,
    has_ended: bool,
    /// A write has told of it; the read after it finds no error any more.
    was_reset: bool,
}

impl Connection {
    fn go_on(&mut self, answer: &mut impl FnMut(usize, Heard<'_>) -> Vec<u8>) {
        let mut buffer = [0; 4_096];
        while self.pay() && !self.has_ended {
            let heard = match self.stream.read(&mut buffer) {
                Ok(0) => Heard::Ended {
                    reset: self.was_reset,
                },
                Ok(bytes) => Heard::Bytes(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => Heard::Ended { reset: true },
            };
            self.has_ended = matches!(heard, Heard::Ended { .. });
            self.owed = answer(self.number, heard);
        }
    }

    /// Writes what is owed; false while the kernel does not take it.
    fn pay(&mut self) -> bool {
        while !self.owed.is_empty() {
            match self.stream.write(&self.owed) {
                Ok(bytes) => drop(self.owed.drain(..bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => {
                    self.was_reset = true;
                    self.owed.clear();
                }
            }
        }
        true
    }

    fn is_over(&self) -> bool {
        self.has_ended && self.owed.is_empty()
    }
}

/// Waits until there is anything to do.
fn wait(listener: &TcpListener, connections: &[Connection]) -> io::Result<()> {
    let awaited = connections.iter().map(|connection| {
        let for_what = match connection.owed.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::OUT,
        };
        PollFd::new(&connection.stream, for_what)
    });
    let mut awaited: Vec<_> = awaited.collect();
    awaited.push(PollFd::new(listener, PollFlags::IN));
    match poll(&mut awaited, None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
