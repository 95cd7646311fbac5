//! One call of a server that is to have a rare answer: what it is about, whether the kernel could answer it so, and the answer.

use super::answerer::Given;
use crate::kernel::{
    Borrowed, BorrowedKind, Identity, Shortened, has_signal, read_at_most, write_at_most,
};
use crate::model::address::Address;
use crate::model::system_call::{Of, Only, RareAnswer, SystemCall, Then, With};
use crate::sys::foreign_memory::{self, Piece};
use crate::sys::notification::{Answer, Call, Listener};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::net::SocketAddr;

/// What a call is about.
#[derive(Debug)]
pub(super) enum About {
    /// The process, or what it does not have yet.
    Process {
        /// The call would not wait.
        is_hasty: bool,
    },
    /// A descriptor, by a copy of it.
    Descriptor {
        copy: Borrowed,
        /// It is where the server's first process was told to print to, whatever its number by now.
        is_output: bool,
        /// This call would not wait, whatever its descriptor says.
        is_hasty: bool,
    },
}

impl About {
    /// What it is to a server that is reached here; `None` for what is none of its business with clients.
    pub(super) fn of(&self, server: &Address) -> Option<Of> {
        let Self::Descriptor {
            copy, is_output, ..
        } = self
        else {
            return Some(Of::Process);
        };
        let of_kind = match copy.kind {
            BorrowedKind::Listener => Some(Of::Listener),
            BorrowedKind::Stream => Some(Of::Connections),
            BorrowedKind::Datagrams => Some(Of::Datagrams),
            BorrowedKind::File | BorrowedKind::Other => None,
        };
        match of_kind.filter(|_| is_at(copy, server)) {
            Some(of) => Some(of),
            None if *is_output => Some(Of::Output),
            None => (copy.kind == BorrowedKind::File).then_some(Of::Files),
        }
    }

    /// Whether it is about a connection with one of these clients.
    pub(super) fn is_with(&self, clients: &[SocketAddr]) -> bool {
        let peer = match self {
            Self::Descriptor { copy, .. } => copy.peer(),
            Self::Process { .. } => None,
        };
        let is_of = |peer: SocketAddr| {
            let same = |client: &&SocketAddr| {
                client.ip().to_canonical() == peer.ip().to_canonical()
                    && client.port() == peer.port()
            };
            clients.iter().any(|client| same(&client))
        };
        peer.is_some_and(is_of)
    }

    /// Whether the kernel answers it so, as there is nothing to read.
    pub(super) fn fails_so_by_itself(&self, answer: RareAnswer) -> bool {
        let Self::Descriptor { copy, is_hasty, .. } = self else {
            return false;
        };
        let is_of_input = answer.then() == Then::ComesNow && !answer.is_of_bytes();
        let never_waits = copy.is_non_blocking || *is_hasty;
        is_of_input && never_waits && copy.is_tcp() && copy.is_empty()
    }

    /// Whether the kernel could answer it so.
    pub(super) fn may_have(&self, answer: RareAnswer) -> bool {
        let (copy, is_hasty) = match self {
            Self::Process { is_hasty } => return !is_hasty,
            Self::Descriptor { copy, is_hasty, .. } => (copy, is_hasty),
        };
        let is_true = match answer.only() {
            Only::Any | Only::Full => true,
            Only::NonBlocking => copy.is_non_blocking || *is_hasty,
            // What finds something returns it, whatever signals come.
            Only::Timed => {
                let waits = !copy.is_non_blocking && !is_hasty && copy.is_empty();
                waits && copy.has_read_timeout()
            }
            Only::Connected => copy.has_peer(),
        };
        // Only of TCP the other end can be told, and the waits of this one.
        let is_possible = match answer.then() {
            Then::Reset | Then::ComesNow => copy.is_tcp(),
            Then::AsBefore | Then::TakesOne => true,
        };
        is_true && is_possible
    }
}

/// Whether a socket is one of the server's address, which its connections have too.
fn is_at(socket: &Borrowed, server: &Address) -> bool {
    match server {
        Address::Inet(server) => socket.own_port() == Some(server.port()),
        // A server may have bound it by another way to the same file.
        Address::Path(server) => {
            let own = socket.own_path();
            own.is_some_and(|own| own.file_name() == server.file_name())
        }
    }
}

/// What a call is about.
///
/// # Errors
/// Nobody may look, or there is nothing of that number.
pub(super) fn about(kind: SystemCall, call: &Call, output: Identity) -> Result<About, Errno> {
    match kind {
        SystemCall::Wait | SystemCall::Fork | SystemCall::Open | SystemCall::Map => {
            let is_hasty = kind == SystemCall::Wait && never_waits(call);
            return Ok(About::Process { is_hasty });
        }
        _ => {}
    }
    let [first, _, third, fourth, ..] = call.arguments;
    let number = match (kind, call.number) {
        (SystemCall::Write, libc::SYS_splice) => third,
        _ => first,
    };
    let flags = match call.number {
        libc::SYS_recvfrom | libc::SYS_sendto => fourth,
        libc::SYS_recvmsg | libc::SYS_sendmsg => third,
        _ => 0,
    };
    let number = number as i32;
    let copy = Borrowed::of(call.thread, number)?;
    Ok(About::Descriptor {
        is_output: copy.identity() == Ok(output),
        is_hasty: flags & libc::MSG_DONTWAIT as u64 != 0,
        copy,
    })
}

/// Whether a call asks what is ready, and does not wait for anything (epoll_wait(2)).
fn never_waits(call: &Call) -> bool {
    let limit = call.arguments[3];
    match call.number {
        libc::SYS_epoll_pwait2 if limit != 0 => {
            let time = Piece {
                at: limit,
                bytes: 16,
            };
            let mut bytes = [1; 16];
            foreign_memory::read(call.thread, &[time], &mut bytes).is_ok() && bytes == [0; 16]
        }
        libc::SYS_epoll_pwait2 => false,
        _ => limit as i32 == 0,
    }
}

/// A call that is to have a rare answer, and may have to wait for something to come, as it would in the kernel.
#[derive(Debug)]
pub(super) struct Waiting {
    call: Call,
    about: About,
    /// The number of its order.
    pub(super) order: u64,
    given: Given,
}

impl Waiting {
    pub(super) fn of(call: Call, about: About, order: u64, given: Given) -> Self {
        Self {
            call,
            about,
            order,
            given,
        }
    }

    /// Leaves it to the kernel.
    pub(super) fn leave(&self, listener: &Listener) {
        listener.answer(&self.call, Answer::GoesOn);
    }

    /// What is waited for.
    pub(super) fn poll_entry(&self) -> PollFd<'_> {
        match &self.about {
            About::Descriptor { copy, .. } => PollFd::new(copy, PollFlags::IN),
            About::Process { .. } => unreachable!("only a read waits"),
        }
    }
}

/// Answers a call in its rare way, and notes that; returns it where it waits.
pub(super) fn answer_rarely(
    mut one: Waiting,
    listener: &Listener,
    note: impl FnOnce(u64, Given),
) -> Option<Waiting> {
    let call = one.call;
    match (one.given.answer.with, &one.about) {
        (With::Error(error), about) => {
            let errno = Errno::from_raw_os_error(error.number);
            if fail(&call, about, one.given.answer, errno, listener) {
                note(one.order, one.given);
            }
            None
        }
        (With::AtMost(most), About::Descriptor { copy, .. }) => {
            let shortened = match one.given.answer.call {
                SystemCall::Write => write_at_most(most, &call, copy, listener),
                _ => read_at_most(most, &call, copy, listener),
            };
            match shortened {
                Shortened::Waits if has_signal(call.thread) => {
                    listener.answer(&call, Answer::GoesOn);
                }
                Shortened::Waits => return listener.still_waits(&call).then_some(one),
                Shortened::Of(asked_for) => {
                    one.given.asked_for = Some(asked_for);
                    note(one.order, one.given);
                }
                Shortened::LeftAlone => {}
            }
            None
        }
        (With::AtMost(_), About::Process { .. }) => {
            listener.answer(&call, Answer::GoesOn);
            None
        }
    }
}

/// Has a call fail, and makes true what that says; false where it waited no more.
fn fail(call: &Call, about: &About, answer: RareAnswer, errno: Errno, listener: &Listener) -> bool {
    let About::Descriptor { copy, .. } = about else {
        return listener.answer(call, Answer::Fails(errno));
    };
    let said = match answer.then() {
        Then::Reset => reset(copy, answer.call, errno),
        Then::AsBefore | Then::TakesOne | Then::ComesNow => Answer::Fails(errno),
    };
    let is_failed = listener.answer(call, said);
    // The next call waits until this has been done.
    match answer.then() {
        Then::TakesOne if is_failed => copy.drop_next_connection(),
        Then::ComesNow if is_failed => copy.tell_of_input_again(),
        _ => {}
    }
    is_failed
}

/// Resets a connection; returns what its call is told. Of a write the kernel says that itself, with the signal that belongs to it.
fn reset(connection: &Borrowed, call: SystemCall, errno: Errno) -> Answer {
    connection.reset();
    if call != SystemCall::Write {
        return Answer::Fails(errno);
    }
    if errno == Errno::PIPE {
        connection.forget_error();
    }
    Answer::GoesOn
}
