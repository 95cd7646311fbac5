//! Servers with faults that need two things at once, such as a cut and a size, or two clients and a reset.

use crate::in_turn::{Heard, in_turn};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server that is faulty on purpose.
pub(crate) struct Faulty {
    /// The name of its tests, which says what the fault needs.
    pub(crate) name: &'static str,
    /// The profile that it claims to follow.
    pub(crate) speaks: &'static str,
    /// The check that finds the fault.
    pub(crate) check: &'static str,
    /// Its life on a port.
    pub(crate) serve: fn(u16) -> io::Result<()>,
}

/// Serves every connection in a thread of its own.
fn each(
    port: u16,
    conversation: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let conversation = Arc::new(conversation);
    loop {
        let (mut stream, _) = listener.accept()?;
        let conversation = Arc::clone(&conversation);
        // An error ends the conversation and nothing else.
        std::thread::spawn(move || conversation(&mut stream));
    }
}

/// Answers every read of up to `size` bytes with what `reply` makes of it, until the client has finished.
fn answer(
    stream: &mut TcpStream,
    size: usize,
    mut reply: impl FnMut(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => stream.write_all(&reply(&buffer[..bytes]))?,
        }
    }
}

/// The lines that end with some bytes, of which one has `begun`.
fn whole_lines(begun: &mut Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    begun.extend_from_slice(bytes);
    let end = begun.iter().rposition(|byte| *byte == b'\n');
    begun.drain(..end.map_or(0, |end| end + 1)).collect()
}

fn datagrams(
    port: u16,
    mut react: impl FnMut(&UdpSocket, &[u8], SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    let mut buffer = vec![0; 65_536];
    loop {
        if let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            react(&socket, &buffer[..bytes], from)?;
        }
    }
}

/// A cut and a size: a short read behind a full buffer is taken for an end, and its last byte for a terminator.
fn cut_and_size(port: u16) -> io::Result<()> {
    each(port, |stream| {
        let mut last = 0;
        answer(stream, 65_536, move |bytes| {
            let was_large = std::mem::replace(&mut last, bytes.len()) >= 2_048;
            let is_rest = was_large && bytes.len() >= 1_024;
            bytes[..bytes.len() - usize::from(is_rest)].to_vec()
        })
    })
}

/// Two clients and a reset: while another is connected, a reset ends the accept loop.
fn reset_beside_another(port: u16) -> io::Result<()> {
    let connected = AtomicUsize::new(0);
    each(port, move |stream| {
        connected.fetch_add(1, Ordering::SeqCst);
        let result = answer(stream, 65_536, <[u8]>::to_vec);
        let others = connected.fetch_sub(1, Ordering::SeqCst) > 1;
        if others && matches!(&result, Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
        {
            std::process::exit(1);
        }
        result
    })
}

/// A slow reader and a large reply: what the kernel does not take at once is dropped.
fn slow_and_large(port: u16) -> io::Result<()> {
    each(port, |stream| {
        socket2::SockRef::from(&*stream).set_send_buffer_size(16 << 10)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let bytes = stream.read(&mut buffer)?;
            if bytes == 0 {
                return Ok(());
            }
            stream.set_nonblocking(true)?;
            let mut rest = &buffer[..bytes];
            let begun = std::time::Instant::now();
            while !rest.is_empty() && begun.elapsed() < Duration::from_millis(2) {
                match stream.write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        std::thread::yield_now();
                    }
                    Err(error) => return Err(error),
                }
            }
            stream.set_nonblocking(false)?;
        }
    })
}

/// A large datagram and an empty one: the length of zero behind it is taken for an end.
fn empty_behind_large(port: u16) -> io::Result<()> {
    let mut was_large = false;
    datagrams(port, |socket, bytes, from| {
        if bytes.is_empty() && was_large {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        was_large = bytes.len() > 1_024;
        let _ = socket.send_to(bytes, from);
        Ok(())
    })
}

/// A length and a cut: a line that fills the buffer exactly loses its newline, which is taken for an empty line.
fn full_line_without_its_newline(port: u16) -> io::Result<()> {
    each(port, |stream| {
        let mut line: Vec<u8> = Vec::new();
        answer(stream, 4_096, |bytes| {
            let mut said = Vec::new();
            let was_full = line.len() == 1_023;
            line.extend_from_slice(bytes);
            if was_full && bytes[0] == b'\n' {
                line.truncate(1_022);
                line.extend_from_slice(bytes);
            }
            while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                said.extend(line.drain(..=end));
            }
            said
        })
    })
}

/// An empty line and a line behind it in the same read: the doubled delimiter is skipped as one.
fn doubled_newline(port: u16) -> io::Result<()> {
    each(port, |stream| {
        answer(stream, 65_536, |bytes| {
            let mut said = bytes.to_vec();
            if let Some(at) = bytes.windows(3).position(|three| three == b"\n\n\n") {
                said.remove(at);
            }
            said
        })
    })
}

/// Text and a cut in the middle of a character: each read is decoded by itself, but only where there is a beginning.
fn character_in_two_reads(port: u16) -> io::Result<()> {
    each(port, |stream| {
        answer(stream, 65_536, |bytes| match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() => bytes[..error.valid_up_to()].to_vec(),
            _ => bytes.to_vec(),
        })
    })
}

/// A half-close and a backlog: what is owed beyond a buffer is dropped at the end of the input.
fn half_close_with_backlog(port: u16) -> io::Result<()> {
    each(port, |stream| {
        let mut buffer = vec![0; 4 << 10];
        loop {
            let bytes = stream.read(&mut buffer)?;
            if bytes == 0 {
                return Ok(());
            }
            stream.set_nonblocking(true)?;
            let mut next = [0; 1];
            let ends = matches!(stream.peek(&mut next), Ok(0));
            stream.set_nonblocking(false)?;
            let kept = if ends { bytes.min(100) } else { bytes };
            stream.write_all(&buffer[..kept])?;
        }
    })
}

/// Two clients and halves of lines: what has begun is kept in one place for all.
fn shared_half_line(port: u16) -> io::Result<()> {
    let mut begun = Vec::new();
    let mut connected = 0;
    in_turn(port, move |_, heard| match heard {
        Heard::Connected => {
            connected += 1;
            if connected == 1 {
                begun.clear();
            }
            Vec::new()
        }
        Heard::Bytes(bytes) => whole_lines(&mut begun, bytes),
        Heard::Ended { .. } => {
            connected -= 1;
            Vec::new()
        }
    })
}

/// A reset in the middle of a line, and another client that begins: it inherits the half.
fn half_line_survives_reset(port: u16) -> io::Result<()> {
    let mut left = Vec::new();
    let mut begun: HashMap<usize, Vec<u8>> = HashMap::new();
    in_turn(port, move |number, heard| match heard {
        Heard::Connected => {
            begun.insert(number, std::mem::take(&mut left));
            Vec::new()
        }
        Heard::Bytes(bytes) => whole_lines(begun.entry(number).or_default(), bytes),
        Heard::Ended { reset } => {
            let half = begun.remove(&number).unwrap_or_default();
            if reset {
                left = half;
            }
            Vec::new()
        }
    })
}

/// A half-close and an unfinished line: the descriptor is never closed.
fn leak_of_unfinished_half_close(port: u16) -> io::Result<()> {
    each(port, |stream| {
        let mut begun = Vec::new();
        answer(stream, 4_096, |bytes| whole_lines(&mut begun, bytes))?;
        if !begun.is_empty() {
            std::mem::forget(stream.try_clone()?);
            stream.shutdown(std::net::Shutdown::Write)?;
        }
        Ok(())
    })
}

/// A reset and the same port again: what was owed to the connection before is sent to the new one.
fn stale_bytes_for_the_same_port(port: u16) -> io::Result<()> {
    let owed: Mutex<HashMap<u16, Vec<u8>>> = Mutex::default();
    each(port, move |stream| {
        let peer = stream.peer_addr()?.port();
        if let Some(stale) = owed.lock().unwrap().remove(&peer) {
            stream.write_all(&stale)?;
        }
        let mut last = Vec::new();
        let result = answer(stream, 65_536, |bytes| {
            last = bytes.to_vec();
            bytes.to_vec()
        });
        if result.is_err() {
            owed.lock().unwrap().insert(peer, last);
        }
        result
    })
}

/// Two senders and two sizes: a large datagram of one goes to the one before, where that is another.
fn large_datagram_to_the_wrong_sender(port: u16) -> io::Result<()> {
    let mut last = None;
    datagrams(port, |socket, bytes, from| {
        let before = last.replace(from).unwrap_or(from);
        let to = if bytes.len() > 256 { before } else { from };
        let _ = socket.send_to(bytes, to);
        Ok(())
    })
}

/// Three datagrams at once, of which one is large: those that follow each other within a moment are taken together, and
/// the first one of them is answered twice.
fn pile_with_a_large_one(port: u16) -> io::Result<()> {
    datagrams(port, |socket, bytes, from| {
        let mut pile = vec![(bytes.to_vec(), from)];
        // Longer than an idle host takes between two steps of a client.
        socket.set_read_timeout(Some(Duration::from_millis(15)))?;
        let mut buffer = vec![0; 65_536];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
            pile.push((buffer[..bytes].to_vec(), from));
        }
        socket.set_read_timeout(None)?;
        if pile.len() > 2 && pile.iter().any(|(bytes, _)| bytes.len() > 64) {
            pile[1] = pile[0].clone();
        }
        for (bytes, from) in pile {
            let _ = socket.send_to(&bytes, from);
        }
        Ok(())
    })
}

/// The same datagram again after a longer one: it is taken for a repetition, and what is behind it is the longer one's.
fn same_again_behind_longer(port: u16) -> io::Result<()> {
    let mut seen: HashMap<(SocketAddr, Vec<u8>), usize> = HashMap::new();
    let mut last: Vec<u8> = Vec::new();
    datagrams(port, move |socket, bytes, from| {
        let times = seen.entry((from, bytes.to_vec())).or_insert(0);
        *times += 1;
        let mut said = bytes.to_vec();
        if *times > 1 && !bytes.is_empty() && last.len() > bytes.len() {
            said.extend_from_slice(&last[bytes.len()..]);
        }
        last = bytes.to_vec();
        let _ = socket.send_to(&said, from);
        Ok(())
    })
}

/// Two requests and a half of a third in one read: the half is thrown away with the buffer.
fn two_requests_and_a_half(port: u16) -> io::Result<()> {
    each(port, |stream| {
        let mut begun: Vec<u8> = Vec::new();
        answer(stream, 4_096, |bytes| {
            begun.extend_from_slice(bytes);
            let (mut said, mut lines) = (Vec::new(), 0);
            while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = begun.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                said.extend([b"operator: you said ", line, b"\n"].concat());
                lines += 1;
            }
            if lines >= 2 {
                begun.clear();
            }
            said
        })
    })
}

/// A reader that has stalled and a reset of another: the lock that it holds is never released.
fn stalled_beside_reset(port: u16) -> io::Result<()> {
    let is_poisoned = Arc::new(AtomicBool::new(false));
    let connected = AtomicUsize::new(0);
    each(port, move |stream| {
        connected.fetch_add(1, Ordering::SeqCst);
        let poisoned = Arc::clone(&is_poisoned);
        let result = answer(stream, 65_536, |bytes| {
            // Only long words are looked up, and the look-up is what the reset has broken.
            match poisoned.load(Ordering::SeqCst) && bytes.len() >= 1_000 {
                true => Vec::new(),
                false => bytes.to_vec(),
            }
        });
        let others = connected.fetch_sub(1, Ordering::SeqCst) > 1;
        if result.is_err() && others {
            is_poisoned.store(true, Ordering::SeqCst);
        }
        result
    })
}

/// Every faulty server.
pub(crate) const ALL: &[Faulty] = &[
    Faulty {
        name: "cut_and_size",
        speaks: "echo",
        check: "property/stream",
        serve: cut_and_size,
    },
    Faulty {
        name: "reset_beside_another",
        speaks: "echo",
        check: "property/stream",
        serve: reset_beside_another,
    },
    Faulty {
        name: "slow_and_large",
        speaks: "echo",
        check: "property/stream",
        serve: slow_and_large,
    },
    Faulty {
        name: "character_in_two_reads",
        speaks: "echo",
        check: "property/stream",
        serve: character_in_two_reads,
    },
    Faulty {
        name: "half_close_with_backlog",
        speaks: "echo",
        check: "property/stream",
        serve: half_close_with_backlog,
    },
    Faulty {
        name: "stale_bytes_for_the_same_port",
        speaks: "echo",
        check: "property/stream",
        serve: stale_bytes_for_the_same_port,
    },
    Faulty {
        name: "reset_beside_another_breaks_long_words",
        speaks: "echo",
        check: "property/stream",
        serve: stalled_beside_reset,
    },
    Faulty {
        name: "full_line_without_its_newline",
        speaks: "line-echo",
        check: "property/line",
        serve: full_line_without_its_newline,
    },
    Faulty {
        name: "doubled_newline",
        speaks: "line-echo",
        check: "property/line",
        serve: doubled_newline,
    },
    Faulty {
        name: "shared_half_line",
        speaks: "line-echo",
        check: "property/line",
        serve: shared_half_line,
    },
    Faulty {
        name: "half_line_survives_reset",
        speaks: "line-echo",
        check: "property/line",
        serve: half_line_survives_reset,
    },
    Faulty {
        name: "leak_of_unfinished_half_close",
        speaks: "line-echo",
        check: "property/line",
        serve: leak_of_unfinished_half_close,
    },
    Faulty {
        name: "empty_behind_large",
        speaks: "udp-echo",
        check: "property/datagram",
        serve: empty_behind_large,
    },
    Faulty {
        name: "large_datagram_to_the_wrong_sender",
        speaks: "udp-echo",
        check: "property/datagram",
        serve: large_datagram_to_the_wrong_sender,
    },
    Faulty {
        name: "pile_with_a_large_one",
        speaks: "udp-echo",
        check: "property/datagram",
        serve: pile_with_a_large_one,
    },
    Faulty {
        name: "same_again_behind_longer",
        speaks: "udp-echo",
        check: "property/datagram",
        serve: same_again_behind_longer,
    },
    Faulty {
        name: "two_requests_and_a_half",
        speaks: "chat",
        check: "property/exchange",
        serve: two_requests_and_a_half,
    },
];
