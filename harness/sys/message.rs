//! Messages between the harness and the processes that it has forked, with descriptors beside them (unix(7)).

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;

/// How many sockets come with one answer: the kernel takes up to 253 descriptors (`SCM_MAX_FD`, unix(7)), and what is spared
/// by more than these is little.
pub(super) const MOST_SOCKETS: usize = 64;

/// Repeats a call that a signal interrupted.
pub(super) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

pub(super) fn send_message(
    to: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = SendFlags::NOSIGNAL;
    retry(|| rustix::net::sendmsg(to, &[IoSlice::new(bytes)], &mut control, flags)).map(drop)
}

/// What the supervisor answers.
pub(super) struct Answer {
    pub(super) words: [i32; 3],
    pub(super) descriptors: [Option<OwnedFd>; MOST_SOCKETS],
}

impl Answer {
    /// The one descriptor that came with it.
    pub(super) fn first(self) -> Option<OwnedFd> {
        self.descriptors.into_iter().flatten().next()
    }
}

pub(super) fn receive_answer(from: BorrowedFd<'_>) -> Result<Answer, Errno> {
    let mut words = [0u8; 12];
    let mut descriptors = [const { None }; MOST_SOCKETS];
    let received = receive_message(from, &mut words, &mut descriptors)?;
    if received != words.len() {
        return Err(Errno::CONNRESET);
    }
    let word = |n: usize| {
        i32::from_ne_bytes([
            words[n * 4],
            words[n * 4 + 1],
            words[n * 4 + 2],
            words[n * 4 + 3],
        ])
    };
    Ok(Answer {
        words: [word(0), word(1), word(2)],
        descriptors,
    })
}

pub(super) fn receive_message(
    from: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut [Option<OwnedFd>],
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry(|| {
        rustix::net::recvmsg(
            from,
            &mut [IoSliceMut::new(bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    // A descriptor that the limit of this process leaves no place for is dropped, and nothing else says so (recvmsg(2)).
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::MFILE);
    }
    let mut places = descriptors.iter_mut();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            for (place, fd) in (&mut places).zip(fds) {
                *place = Some(fd);
            }
        }
    }
    Ok(received.bytes)
}

pub(super) fn answer(
    control: BorrowedFd<'_>,
    words: [i32; 3],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut bytes = [0u8; 12];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    match descriptor {
        Some(fd) => send_message(control, &bytes, &[fd]),
        None => send_message(control, &bytes, &[]),
    }
}
