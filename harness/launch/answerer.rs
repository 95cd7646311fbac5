//! Answers the calls of a server that its filter holds up: those that a step speaks of in a rare way, and all others as the kernel
//! does.

use crate::kernel::{Borrowed, BorrowedKind, Shortened, read_at_most, write_at_most};
use crate::model::system_call::{Of, RareAnswer, SystemCall, When, With};
use crate::sys::notification::{Answer, Call, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A thread that answers for as long as there is somebody to answer.
#[derive(Debug)]
pub(crate) struct Answerer {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Vec<Order>>,
    given: Mutex<Vec<Given>>,
}

/// A rare answer that is to be given, and how far that has come.
#[derive(Debug)]
struct Order {
    answer: RareAnswer,
    since: Instant,
    /// How many calls it could have been given to.
    seen: u32,
    /// How many it was given to.
    given: u32,
}

/// A rare answer that is given no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) answer: RareAnswer,
    /// How many calls it could have been given to.
    pub(crate) seen: u32,
    /// How many it was given to.
    pub(crate) given: u32,
}

/// A rare answer that was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) at: Instant,
    /// The thread that had called.
    pub(crate) thread: i32,
    pub(crate) answer: RareAnswer,
    /// Which of the calls that it could have been given to, counted from 1.
    pub(crate) nth: u32,
}

impl Order {
    /// Whether a call gets it that comes now.
    fn takes(&mut self, call: SystemCall, of: Of, now: Instant) -> bool {
        if self.answer.call != call || self.answer.of != of {
            return false;
        }
        self.seen += 1;
        let is_given = match self.answer.when {
            When::From { first, times } => self.seen >= first && self.seen - first < times,
            When::For(time) => now.duration_since(self.since) < time,
            When::Always => true,
        };
        self.given += u32::from(is_given);
        is_given
    }
}

impl Answerer {
    /// Answers from now on what a listener tells of.
    pub(super) fn start(listener: Listener) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("call-answers".to_owned())
            .spawn(move || answer_all(&listener, &own))?;
        Ok(Self { shared })
    }

    /// Gives a rare answer from now on.
    pub(crate) fn order(&self, answer: RareAnswer) {
        let order = Order {
            answer,
            since: Instant::now(),
            seen: 0,
            given: 0,
        };
        let orders = self.shared.orders.lock();
        orders.unwrap_or_else(PoisonError::into_inner).push(order);
    }

    /// Gives none any more; returns what came of each.
    pub(crate) fn end(&self) -> Vec<Tally> {
        let orders = self.shared.orders.lock();
        let mut orders = orders.unwrap_or_else(PoisonError::into_inner);
        let ended = orders.drain(..).map(|order| Tally {
            answer: order.answer,
            seen: order.seen,
            given: order.given,
        });
        ended.collect()
    }

    /// Takes those that were given since the last call.
    pub(crate) fn take_given(&self) -> Vec<Given> {
        let given = self.shared.given.lock();
        std::mem::take(&mut *given.unwrap_or_else(PoisonError::into_inner))
    }
}

/// How often is looked whether a read that waits here was interrupted, of which nobody tells: until then our copy of its socket holds
/// up the FIN.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// A read that waits for something to come, as it would in the kernel.
struct Waiting {
    call: Call,
    socket: Borrowed,
    given: Given,
    most: usize,
}

/// Answers until nobody is left who could ask.
fn answer_all(listener: &Listener, shared: &Shared) {
    let mut waiting: Vec<Waiting> = Vec::new();
    loop {
        let told = match look(listener, &waiting) {
            Ok(told) => told,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        waiting = waiting
            .into_iter()
            .filter_map(|one| shared.go_on(one, listener))
            .collect();
        if told.contains(PollFlags::IN) {
            match listener.next() {
                Ok(Some(call)) => waiting.extend(shared.answer(listener, call)),
                Ok(None) => {}
                Err(_) => return,
            }
        } else if told.intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
    }
}

/// Waits until there is something to do; returns what the listener has to tell.
fn look(listener: &Listener, waiting: &[Waiting]) -> Result<PollFlags, Errno> {
    let sockets = waiting.iter().map(|one| PollFd::new(&one.socket, PollFlags::IN));
    let mut ready: Vec<_> = std::iter::once(PollFd::new(listener, PollFlags::IN))
        .chain(sockets)
        .collect();
    let limit = (!waiting.is_empty()).then_some(&LOOK);
    poll(&mut ready, limit)?;
    Ok(ready[0].revents())
}

impl Shared {
    /// Answers a call; returns it where it waits.
    fn answer(&self, listener: &Listener, call: Call) -> Option<Waiting> {
        let Some((given, descriptor)) = self.rare(&call) else {
            listener.answer(&call, Answer::GoesOn);
            return None;
        };
        match given.answer.with {
            With::Error(error) => {
                let fails = Answer::Fails(Errno::from_raw_os_error(error.number));
                if listener.answer(&call, fails) {
                    self.note(given);
                }
                None
            }
            With::AtMost(most) => {
                let Some(socket) = descriptor else {
                    listener.answer(&call, Answer::GoesOn);
                    return None;
                };
                let waiting = Waiting {
                    call,
                    socket,
                    given,
                    most,
                };
                self.go_on(waiting, listener)
            }
        }
    }

    /// Goes on with a call that is to read or write less; returns it where it still waits.
    fn go_on(&self, one: Waiting, listener: &Listener) -> Option<Waiting> {
        let shortened = match one.given.answer.call {
            SystemCall::Write => write_at_most(one.most, &one.call, &one.socket, listener),
            _ => read_at_most(one.most, &one.call, &one.socket, listener),
        };
        match shortened {
            Shortened::Waits => listener.still_waits(&one.call).then_some(one),
            Shortened::To(_) => {
                self.note(one.given);
                None
            }
            Shortened::LeftAlone | Shortened::Interrupted => None,
        }
    }

    fn note(&self, given: Given) {
        let all = self.given.lock();
        all.unwrap_or_else(PoisonError::into_inner).push(given);
    }

    /// The rare answer that a call is to get, and what the call is about.
    fn rare(&self, call: &Call) -> Option<(Given, Option<Borrowed>)> {
        let kind = SystemCall::of_number(call.number)?;
        let orders = self.orders.lock();
        let mut orders = orders.unwrap_or_else(PoisonError::into_inner);
        if !orders.iter().any(|order| order.answer.call == kind) {
            return None;
        }
        let at = Instant::now();
        let (about, descriptor) = about(kind, call)?;
        let (answer, nth) = orders.iter_mut().find_map(|order| {
            let is_next = order.takes(kind, about, at);
            is_next.then_some((order.answer, order.seen))
        })?;
        let given = Given {
            at,
            thread: call.thread,
            answer,
            nth,
        };
        Some((given, descriptor))
    }
}

/// What a call is about; `None` where nobody may look.
fn about(kind: SystemCall, call: &Call) -> Option<(Of, Option<Borrowed>)> {
    match kind {
        SystemCall::Wait | SystemCall::Fork | SystemCall::Open | SystemCall::Map => {
            return Some((Of::Nothing, None));
        }
        _ => {}
    }
    let number = call.arguments[0] as i32;
    let descriptor = Borrowed::of(call.thread, number).ok()?;
    let of = match descriptor.kind {
        _ if is_output(call.thread, number, &descriptor) => Of::Output,
        BorrowedKind::Listener => Of::Listener,
        BorrowedKind::Stream => Of::Connection,
        BorrowedKind::Datagrams => Of::Datagrams,
        BorrowedKind::File => Of::File,
        BorrowedKind::Other => return None,
    };
    Some((of, Some(descriptor)))
}

/// Whether a descriptor is one of the standard outputs, or another one of the same file.
fn is_output(thread: i32, number: i32, descriptor: &Borrowed) -> bool {
    let is_the_same = |standard: i32| {
        let standard = Borrowed::of(thread, standard).ok();
        standard.is_some_and(|standard| standard.identity() == descriptor.identity())
    };
    matches!(number, 1 | 2) || [1, 2].into_iter().any(is_the_same)
}
