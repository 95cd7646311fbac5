//! Calls of another process that read or write, done here with fewer bytes than it asked for.
//!
//! A call that waits for its answer is not interrupted, so that what is done for it is done once, before the process goes on.

use super::borrowed::{Borrowed, BorrowedKind};
use crate::sys::foreign_memory::{self, Piece};
use crate::sys::notification::{Answer, Call, Listener};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::pipe::SpliceFlags;

/// The arguments of a call that reads or writes, whatever it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    pieces: Vec<Piece>,
    flags: u32,
    /// Where the kernel says how long the other end's address is: a stream has none.
    length_of_address: Option<Piece>,
    /// Where the header of a message is, without ancillary data.
    header: Option<u64>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortened {
    /// It has had fewer bytes than these, for which it had asked, and there was more.
    Of(usize),
    /// It was left to the kernel: it asks for no more, or for something else than bytes, or would write less only behind a signal.
    LeftAlone,
    /// It waits, as it does in the kernel, for something to come.
    Waits,
}

/// `struct msghdr` on machines of 64 bits: where its members are, and how long it is (recvmsg(2)).
const HEADER_BYTES: usize = 56;
const NAME_LENGTH: u64 = 8;
const PIECES: usize = 16;
const COUNT: usize = 24;
const CONTROL_LENGTH: usize = 40;
const FLAGS: u64 = 48;

/// So many pieces at most (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1_024;

impl Shape {
    /// `None` for a call that is not done here.
    fn of(call: &Call) -> Option<Self> {
        let [_, a, b, c, _, e] = call.arguments;
        let plain = |flags| Self {
            pieces: vec![Piece {
                at: a,
                bytes: b as usize,
            }],
            flags,
            length_of_address: None,
            header: None,
        };
        match call.number {
            libc::SYS_read | libc::SYS_write => Some(plain(0)),
            libc::SYS_sendto => Some(plain(c as u32)),
            libc::SYS_recvfrom => Some(Self {
                length_of_address: (e != 0).then_some(Piece { at: e, bytes: 4 }),
                ..plain(c as u32)
            }),
            libc::SYS_readv | libc::SYS_writev => Some(Self {
                pieces: pieces(call.thread, a, b as usize)?,
                ..plain(0)
            }),
            libc::SYS_recvmsg | libc::SYS_sendmsg => Self::of_message(call.thread, a, b as u32),
            _ => None,
        }
    }

    /// That of a message without ancillary data, which belongs to certain bytes.
    fn of_message(thread: i32, header: u64, flags: u32) -> Option<Self> {
        let whole = Piece {
            at: header,
            bytes: HEADER_BYTES,
        };
        let mut bytes = [0; HEADER_BYTES];
        foreign_memory::read(thread, &[whole], &mut bytes).ok()?;
        let word = |at: usize| {
            let word = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(word))
        };
        if word(CONTROL_LENGTH)? > 0 {
            return None;
        }
        Some(Self {
            pieces: pieces(thread, word(PIECES)?, word(COUNT)? as usize)?,
            flags,
            length_of_address: Some(Piece {
                at: header + NAME_LENGTH,
                bytes: 4,
            }),
            header: Some(header),
        })
    }

    fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    fn has(&self, flag: i32) -> bool {
        self.flags & flag as u32 != 0
    }

    /// Hands bytes over, and says that they came from nowhere in particular.
    fn fill(&self, thread: i32, bytes: &[u8]) -> Result<(), Errno> {
        foreign_memory::write(thread, &self.pieces, bytes)?;
        if let Some(length) = self.length_of_address {
            foreign_memory::write(thread, &[length], &0u32.to_ne_bytes())?;
        }
        match self.header {
            Some(header) => {
                let flags = Piece {
                    at: header + FLAGS,
                    bytes: 4,
                };
                foreign_memory::write(thread, &[flags], &0u32.to_ne_bytes())
            }
            None => Ok(()),
        }
    }
}

/// The pieces that an array of `struct iovec` names.
fn pieces(thread: i32, at: u64, count: usize) -> Option<Vec<Piece>> {
    let mut bytes = vec![0; count.min(MOST_PIECES) * 16];
    let array = Piece {
        at,
        bytes: bytes.len(),
    };
    foreign_memory::read(thread, &[array], &mut bytes).ok()?;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    let pieces = bytes.chunks_exact(16).map(|one| {
        let (at, length) = one.split_at(8);
        Some(Piece {
            at: word(at)?,
            bytes: word(length)? as usize,
        })
    });
    pieces.collect()
}

/// A call that moves bytes between two descriptors, of which the socket is one.
struct Move {
    /// The other one.
    other: Borrowed,
    bytes: usize,
    /// Where it says from where in its file it moves, and goes on there; else the file's own place is meant.
    place: Option<Piece>,
}

impl Move {
    /// `None` for a call that does not, or of which nobody may look into the other descriptor.
    fn of(call: &Call) -> Option<Self> {
        let [first, second, third, fourth, fifth, _] = call.arguments;
        let (other, place, bytes) = match call.number {
            // From a file to a socket.
            libc::SYS_sendfile => (second, third, fourth),
            // From a socket to a pipe, or from a pipe to a socket.
            libc::SYS_splice if second == 0 && fourth == 0 => {
                let pipe = Borrowed::of(call.thread, first as i32).ok()?;
                let is_first = pipe.kind == BorrowedKind::Other;
                (if is_first { first } else { third }, 0, fifth)
            }
            _ => return None,
        };
        Some(Self {
            other: Borrowed::of(call.thread, other as i32).ok()?,
            bytes: bytes as usize,
            place: (place != 0).then_some(Piece {
                at: place,
                bytes: 8,
            }),
        })
    }

    /// So many bytes of the file, of which there is more, and where they begin.
    fn bytes_of_file(&self, call: &Call, most: usize) -> Option<(Vec<u8>, u64)> {
        let from = self.place_in_file(call)?;
        let mut bytes = vec![0; most + 1];
        let came = rustix::io::pread(&self.other, &mut bytes, from).ok()?;
        bytes.truncate(most);
        (came > most).then_some((bytes, from))
    }

    fn place_in_file(&self, call: &Call) -> Option<u64> {
        let Some(place) = self.place else {
            return rustix::fs::tell(&self.other).ok();
        };
        let mut bytes = [0; 8];
        foreign_memory::read(call.thread, &[place], &mut bytes).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }

    fn go_to(&self, call: &Call, place_in_file: u64) -> bool {
        match self.place {
            None => rustix::fs::seek(&self.other, SeekFrom::Start(place_in_file)).is_ok(),
            Some(place) => {
                let bytes = place_in_file.to_ne_bytes();
                foreign_memory::write(call.thread, &[place], &bytes).is_ok()
            }
        }
    }
}

/// Moves at most so many bytes from a pipe to a socket, or from a socket to a pipe.
fn splice_at_most(
    most: usize,
    call: &Call,
    (from, to): (&Borrowed, &Borrowed),
    asked_for: usize,
    listener: &Listener,
) -> Shortened {
    let there = rustix::io::ioctl_fionread(from).unwrap_or_default();
    let is_some = asked_for > most && there > most as u64;
    let flags = SpliceFlags::NONBLOCK;
    let moved = is_some.then(|| rustix::pipe::splice(from, None, to, None, most, flags));
    let Some(Ok(moved @ 1..)) = moved else {
        return leave_alone(call, listener);
    };
    listener.answer(call, Answer::Returns(moved as i64));
    from.tell_of_input_again();
    to.tell_of_room_again();
    Shortened::Of(asked_for)
}

/// Reads at most so many bytes for a call.
pub(crate) fn read_at_most(
    most: usize,
    call: &Call,
    socket: &Borrowed,
    listener: &Listener,
) -> Shortened {
    if let Some(moved) = Move::of(call) {
        let ends = (socket, &moved.other);
        return splice_at_most(most, call, ends, moved.bytes, listener);
    }
    let shape = Shape::of(call).filter(|shape| shape.bytes() > most);
    let special = [
        libc::MSG_PEEK,
        libc::MSG_WAITALL,
        libc::MSG_OOB,
        libc::MSG_ERRQUEUE,
        libc::MSG_TRUNC,
    ];
    let is_of_bytes = |shape: &Shape| !special.iter().any(|flag| shape.has(*flag));
    let Some(shape) = shape.filter(is_of_bytes) else {
        return leave_alone(call, listener);
    };
    // One more shows whether there is more.
    let mut seen = vec![0; most + 1];
    let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let came = match recv(socket, &mut *seen, look) {
        Ok((_, came)) => came,
        Err(Errno::AGAIN) if waits_for_ever(socket, &shape) => return Shortened::Waits,
        Err(Errno::AGAIN) => return leave_alone(call, listener),
        // The kernel tells of it once.
        Err(errno) => {
            listener.answer(call, Answer::Fails(errno));
            return Shortened::LeftAlone;
        }
    };
    if came <= most {
        return leave_alone(call, listener);
    }
    if shape.fill(call.thread, &seen[..most]).is_err() {
        return leave_alone(call, listener);
    }
    let _ = recv(socket, &mut seen[..most], RecvFlags::DONTWAIT);
    listener.answer(call, Answer::Returns(most as i64));
    // The rest comes now: behind a short read nothing is left to read (epoll(7)), and who waits for an edge needs one.
    socket.tell_of_input_again();
    Shortened::Of(shape.bytes())
}

/// Whether a read waits until something comes.
fn waits_for_ever(socket: &Borrowed, shape: &Shape) -> bool {
    !socket.is_non_blocking && !shape.has(libc::MSG_DONTWAIT) && !socket.has_read_timeout()
}

/// Writes at most so many bytes for a call that does not wait. One that waits writes all, unless a signal comes (send(2)).
pub(crate) fn write_at_most(
    most: usize,
    call: &Call,
    socket: &Borrowed,
    listener: &Listener,
) -> Shortened {
    match Move::of(call) {
        Some(moved) if call.number == libc::SYS_splice => {
            let ends = (&moved.other, socket);
            splice_at_most(most, call, ends, moved.bytes, listener)
        }
        Some(moved) => send_file_at_most(most, call, socket, &moved, listener),
        None => send_at_most(most, call, socket, listener),
    }
}

fn send_file_at_most(
    most: usize,
    call: &Call,
    socket: &Borrowed,
    file: &Move,
    listener: &Listener,
) -> Shortened {
    let is_meant = file.bytes > most;
    let taken = is_meant.then(|| file.bytes_of_file(call, most)).flatten();
    let sent = taken.and_then(|(bytes, begun)| {
        let sent = send_some(socket, &bytes)?;
        file.go_to(call, begun + sent as u64).then_some(sent)
    });
    returns(sent, file.bytes, call, socket, listener)
}

fn send_at_most(most: usize, call: &Call, socket: &Borrowed, listener: &Listener) -> Shortened {
    let shape = Shape::of(call).filter(|shape| shape.bytes() > most);
    let is_of_bytes =
        |shape: &Shape| !shape.has(libc::MSG_OOB) && socket.kind == BorrowedKind::Stream;
    let Some(shape) = shape.filter(is_of_bytes) else {
        return leave_alone(call, listener);
    };
    let mut bytes = vec![0; most];
    let is_read = foreign_memory::read(call.thread, &shape.pieces, &mut bytes).is_ok();
    let sent = is_read.then(|| send_some(socket, &bytes)).flatten();
    returns(sent, shape.bytes(), call, socket, listener)
}

/// Sends what there is room for. Where there is none, or an end, the kernel says so itself.
fn send_some(socket: &Borrowed, bytes: &[u8]) -> Option<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let is_open = rustix::net::getpeername(socket).is_ok();
    let sent = is_open.then(|| send(socket, bytes, flags).ok());
    sent.flatten().filter(|sent| *sent > 0)
}

/// The call has had so many bytes sent, of those for which it asked.
fn returns(
    sent: Option<usize>,
    asked_for: usize,
    call: &Call,
    socket: &Borrowed,
    listener: &Listener,
) -> Shortened {
    let Some(sent) = sent else {
        return leave_alone(call, listener);
    };
    listener.answer(call, Answer::Returns(sent as i64));
    socket.tell_of_room_again();
    Shortened::Of(asked_for)
}

/// The kernel does all of it.
fn leave_alone(call: &Call, listener: &Listener) -> Shortened {
    listener.answer(call, Answer::GoesOn);
    Shortened::LeftAlone
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::c_long;

    fn shape(number: c_long, arguments: [u64; 6]) -> Option<Shape> {
        Shape::of(&Call::staged(number, arguments))
    }

    fn piece(bytes: &mut [u8]) -> Piece {
        Piece {
            at: bytes.as_mut_ptr() as u64,
            bytes: bytes.len(),
        }
    }

    /// An array of `struct iovec`.
    fn vectors(pieces: &[Piece]) -> Vec<u64> {
        let vectors = pieces.iter().map(|piece| [piece.at, piece.bytes as u64]);
        vectors.flatten().collect()
    }

    /// A `struct msghdr`, with so much ancillary data and such flags and a length of an address in it.
    fn header(pieces: &[u64], control: u64) -> [u64; 7] {
        let count = pieces.len() as u64 / 2;
        let at = pieces.as_ptr() as u64;
        [0, 16, at, count, 0, control, 0xFF]
    }

    #[test]
    fn each_call_says_its_pieces_in_its_own_way() {
        let (mut one, mut other) = ([0; 3], [0; 5]);
        let pieces = [piece(&mut one), piece(&mut other)];
        let array = vectors(&pieces);
        let array_at = array.as_ptr() as u64;
        let plain = |number, flags| shape(number, [7, pieces[0].at, 3, flags, 0, 0]).unwrap();
        for number in [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_recvfrom,
            libc::SYS_sendto,
        ] {
            assert_eq!(plain(number, 0).pieces, pieces[..1]);
        }
        // The fourth argument of a read is whatever stood in the register.
        assert!(!plain(libc::SYS_read, u64::MAX).has(libc::MSG_PEEK));
        let flags = (libc::MSG_PEEK | libc::MSG_DONTWAIT) as u64;
        let peeks = plain(libc::SYS_recvfrom, flags);
        assert!(peeks.has(libc::MSG_PEEK) && peeks.has(libc::MSG_DONTWAIT));
        assert!(!peeks.has(libc::MSG_WAITALL));
        for number in [libc::SYS_readv, libc::SYS_writev] {
            let shape = shape(number, [7, array_at, 2, 0, 0, 0]).unwrap();
            assert_eq!((shape.bytes(), &*shape.pieces), (8, &pieces[..]));
        }
        let header = header(&array, 0);
        let at = header.as_ptr() as u64;
        for number in [libc::SYS_recvmsg, libc::SYS_sendmsg] {
            let shape = shape(number, [7, at, libc::MSG_OOB as u64, 0, 0, 0]).unwrap();
            assert_eq!((shape.bytes(), &*shape.pieces), (8, &pieces[..]));
            assert!(shape.has(libc::MSG_OOB) && shape.header == Some(at));
        }
    }

    #[test]
    fn call_with_ancillary_data_or_of_several_messages_is_left_alone() {
        let array = vectors(&[]);
        let header = header(&array, 24);
        let at = header.as_ptr() as u64;
        assert_eq!(shape(libc::SYS_recvmsg, [7, at, 0, 0, 0, 0]), None);
        assert_eq!(shape(libc::SYS_recvmmsg, [7, at, 1, 0, 0, 0]), None);
        assert_eq!(shape(libc::SYS_sendmmsg, [7, at, 1, 0, 0, 0]), None);
        // There is nothing at all.
        assert_eq!(shape(libc::SYS_recvmsg, [7, 8, 0, 0, 0, 0]), None);
        assert_eq!(shape(libc::SYS_readv, [7, 8, 2, 0, 0, 0]), None);
    }

    #[test]
    fn what_is_handed_over_lies_in_its_pieces_and_came_from_nowhere() {
        let own = Call::staged(libc::SYS_read, [0; 6]).thread;
        let (mut one, mut other) = (*b"abc", *b"defgh");
        let array = vectors(&[piece(&mut one), piece(&mut other)]);
        let mut header = header(&array, 0);
        let at = header.as_mut_ptr() as u64;
        let message = shape(libc::SYS_recvmsg, [7, at, 0, 0, 0, 0]).unwrap();
        message.fill(own, b"ABCD").unwrap();
        assert_eq!((&one, &other), (b"ABC", b"Defgh"));
        let [_, name_length, _, count, _, _, flags] = header;
        assert_eq!((name_length, count, flags), (0, 2, 0));
        let mut length = 16u32.to_ne_bytes();
        let told = [7, one.as_mut_ptr() as u64, 3, 0, 0, piece(&mut length).at];
        let from = shape(libc::SYS_recvfrom, told).unwrap();
        from.fill(own, b"xy").unwrap();
        assert_eq!((&one, length), (b"xyC", [0; 4]));
    }

    #[test]
    fn pieces_are_as_many_as_the_kernel_takes() {
        let mut byte = [0; 1];
        let array = vectors(&[piece(&mut byte); MOST_PIECES + 1]);
        let at = array.as_ptr() as u64;
        let own = Call::staged(libc::SYS_readv, [0; 6]).thread;
        assert_eq!(pieces(own, at, usize::MAX).unwrap().len(), MOST_PIECES);
        assert_eq!(pieces(own, at, 0), Some(Vec::new()));
    }
}
