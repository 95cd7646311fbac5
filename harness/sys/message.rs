//! Messages between the harness and the processes that it has forked, with descriptors beside them (unix(7)).

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

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

/// How long an answer may take. Nothing that is asked for waits for a server, but for the end of one that was killed.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How often is looked at who does not answer.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Waits for the answer of a process as long as one may come: not from one that is stopped or traced, as a server of the same
/// user may do to it on the plain host.
pub(super) fn await_answer(from: BorrowedFd<'_>, pid: i32) -> Result<Answer, Errno> {
    let asked = Instant::now();
    while !is_ready(from, LOOK)? {
        if asked.elapsed() >= ANSWER_WITHIN || is_stopped(pid) {
            return Err(Errno::TIMEDOUT);
        }
    }
    receive_answer(from)
}

/// Waits until a descriptor is readable; false where it is not in time.
pub(super) fn is_ready(fd: BorrowedFd<'_>, within: Duration) -> Result<bool, Errno> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let within = Timespec::try_from(within).map_err(|_| Errno::INVAL)?;
    let mut ready = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    retry(|| poll(&mut ready, Some(&within))).map(|ready| ready > 0)
}

/// Whether a process is stopped or traced (proc_pid_stat(5)).
pub(super) fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.iter().rposition(|byte| *byte == b')');
    let state = behind_name.and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'T' | b't'))
}

fn receive_answer(from: BorrowedFd<'_>) -> Result<Answer, Errno> {
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
