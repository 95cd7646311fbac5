//! Answers the calls of a server that its filter holds up: those that a step speaks of in a rare way, and all others as the kernel
//! does.

use super::rare::{About, Waiting, about, answer_rarely};
use crate::kernel::{Identity, descriptors_of};
use crate::model::address::Address;
use crate::model::system_call::{Only, RareAnswer, SystemCall, When, With};
use crate::sys::notification::{Answer, Call, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// A thread that answers for as long as there is somebody to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answerer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    listener: Listener,
    /// Where the server's first process was told to print to.
    output: Identity,
    orders: Mutex<Vec<Order>>,
    /// How many there were, which gives each its number.
    orders_so_far: AtomicU64,
    given: Mutex<Vec<Given>>,
    /// How many calls have waited for an answer so far.
    held_up: AtomicU64,
    /// It has taken a call in hand that it may not have answered yet.
    is_at_work: AtomicBool,
    /// Tells that a rare answer was given.
    news: Notify,
}

/// A rare answer that is to be given, and how far that has come.
#[derive(Debug)]
struct Order {
    number: u64,
    answer: RareAnswer,
    /// Where the server is reached: the calls are meant that are about a socket of this address.
    server: Address,
    /// Where those clients come from whose connections are left alone.
    spared: Vec<SocketAddr>,
    since: Instant,
    tally: Tally,
    /// How many descriptors each process had when it was answered so first, where that counts.
    full: HashMap<i32, usize>,
}

/// How often a rare answer was, or could have been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many calls of its kind there were of which nobody may see what they are about.
    pub(crate) unseen: u32,
    /// How many calls of its kind there were, on what it is about.
    pub(crate) calls: u32,
    /// How many of them the kernel could have answered so.
    pub(crate) eligible: u32,
    /// How many were answered so.
    pub(crate) given: u32,
}

/// A rare answer that was given.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The thread that had called.
    pub(crate) thread: i32,
    pub(crate) answer: RareAnswer,
    /// The call, by its own name.
    pub(crate) call: &'static str,
    /// Which of those that the kernel could have answered so, counted from 1.
    pub(crate) nth: u32,
    /// How many bytes it had asked for, where it was given fewer.
    pub(crate) asked_for: Option<usize>,
}

/// What an order has for a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// The kernel does it.
    Nothing,
    /// The same from the kernel, which would not say it any more if what it speaks of came meanwhile.
    TheSame,
    /// The rare answer.
    Rare,
}

/// What is done about a call.
enum Reaction {
    /// The kernel does it.
    GoesOn,
    /// It fails as it would have by itself.
    Fails(Errno),
    /// It is to have a rare answer.
    Rare(Box<Waiting>),
}

impl Order {
    /// Counts a call that comes now, and says what it gets.
    fn take(&mut self, kind: SystemCall, about: &About, call: &Call, now: Instant) -> Gets {
        let is_meant = self.answer.call == kind
            && about.of(&self.server) == Some(self.answer.of)
            && !about.is_with(&self.spared);
        if !is_meant {
            return Gets::Nothing;
        }
        self.tally.calls += 1;
        if about.fails_so_by_itself(self.answer) {
            return Gets::TheSame;
        }
        if !about.may_have(self.answer) || !self.is_full(call.thread) {
            return Gets::Nothing;
        }
        self.tally.eligible += 1;
        let eligible = self.tally.eligible;
        let is_given = match self.answer.when {
            When::From { first, times } => eligible >= first && eligible - first < times,
            When::For(time) => now.duration_since(self.since) < time,
            When::Always => true,
        };
        match is_given {
            true => Gets::Rare,
            false => Gets::Nothing,
        }
    }

    /// Counts a call of its kind that cannot be looked into. One on a descriptor that is not open fails by itself.
    fn miss(&mut self, why: Errno) {
        self.tally.unseen += u32::from(why != Errno::BADF);
    }

    /// Whether the process of a thread may have no more descriptors than it has, where that counts.
    fn is_full(&mut self, thread: i32) -> bool {
        if self.answer.only() != Only::Full {
            return true;
        }
        descriptors_of(thread).is_some_and(|(process, held)| {
            let most = self.full.entry(process).or_insert(held);
            held >= *most
        })
    }

    /// Whether all that it is for have had it.
    fn is_done(&self) -> bool {
        match self.answer.when {
            When::From { times, .. } => self.tally.given >= times,
            When::For(time) => self.tally.given > 0 && self.since.elapsed() >= time,
            When::Always => self.tally.given > 0,
        }
    }
}

impl Answerer {
    /// Answers from now on what a listener tells of a server that prints there.
    pub(super) fn start(listener: Listener, output: Identity) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            listener,
            output,
            orders: Mutex::default(),
            orders_so_far: AtomicU64::default(),
            given: Mutex::default(),
            held_up: AtomicU64::default(),
            is_at_work: AtomicBool::default(),
            news: Notify::new(),
        });
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("call-answers".to_owned())
            .spawn(move || own.answer_all())?;
        Ok(Self { shared })
    }

    /// Gives a rare answer from now on to calls of a server that is reached here, but for those about connections with clients who come
    /// from there.
    pub(crate) fn order(&self, answer: RareAnswer, server: Address, spared: Vec<SocketAddr>) {
        let order = Order {
            number: self.shared.orders_so_far.fetch_add(1, Ordering::SeqCst),
            answer,
            server,
            spared,
            since: Instant::now(),
            tally: Tally::default(),
            full: HashMap::new(),
        };
        self.shared.with_orders(|orders| orders.push(order));
    }

    /// Whether every rare answer has come to all that it is for.
    pub(crate) fn has_given_all(&self) -> bool {
        self.shared
            .with_orders(|orders| orders.iter().all(Order::is_done))
    }

    /// Gives none any more; returns what came of each.
    pub(crate) fn end(&self) -> Vec<(RareAnswer, Tally)> {
        let ended = self.shared.with_orders(std::mem::take);
        let ended = ended.into_iter().map(|order| (order.answer, order.tally));
        ended.collect()
    }

    /// Takes those that were given since the last call.
    pub(crate) fn take_given(&self) -> Vec<Given> {
        let given = self.shared.given.lock();
        std::mem::take(&mut *given.unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until another one is given.
    pub(crate) async fn next_given(&self) {
        self.shared.news.notified().await;
    }

    /// How many calls of the server have waited for an answer so far.
    pub(crate) fn held_up(&self) -> u64 {
        self.shared.held_up.load(Ordering::SeqCst)
    }

    /// Whether a call of the server waits for us: its thread sleeps, and is not at rest.
    pub(crate) fn is_awaited(&self) -> bool {
        // In this order: whoever takes a call in hand says so first.
        self.shared.is_told() || self.shared.is_at_work.load(Ordering::SeqCst)
    }
}

/// How often is looked whether a read that waits here was interrupted, of which nobody tells: until then our copy of its socket holds
/// up the FIN.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// So many calls that have had a rare answer are told one by one; a loop that tries again makes thousands.
const TOLD: u32 = 16;

impl Shared {
    fn with_orders<T>(&self, look: impl FnOnce(&mut Vec<Order>) -> T) -> T {
        let orders = self.orders.lock();
        look(&mut orders.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is a call of which nobody was told yet.
    fn is_told(&self) -> bool {
        let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
        let told = poll(&mut ready, Some(&Timespec::default()));
        told.is_ok() && ready[0].revents().contains(PollFlags::IN)
    }

    /// Answers until nobody is left who could ask.
    fn answer_all(&self) {
        let mut waiting = Vec::new();
        while self.answer_next(&mut waiting) {
            self.is_at_work.store(false, Ordering::SeqCst);
        }
        // Of who has ended nothing waits for us.
        self.is_at_work.store(false, Ordering::SeqCst);
    }

    /// Answers what there is to answer next; false where nobody is left who could ask.
    fn answer_next(&self, waiting: &mut Vec<Waiting>) -> bool {
        let told = match self.look(waiting) {
            Ok(told) => told,
            Err(errno) => return errno == Errno::INTR,
        };
        self.is_at_work.store(true, Ordering::SeqCst);
        let still = waiting.drain(..).filter_map(|one| self.go_on(one));
        *waiting = still.collect();
        if !told.contains(PollFlags::IN) {
            return !told.intersects(PollFlags::HUP | PollFlags::ERR);
        }
        match self.listener.next() {
            Ok(Some(call)) => {
                self.held_up.fetch_add(1, Ordering::SeqCst);
                waiting.extend(self.answer(call));
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Waits until there is something to do; returns what the listener has to tell.
    fn look(&self, waiting: &[Waiting]) -> Result<PollFlags, Errno> {
        let sockets = waiting.iter().map(Waiting::poll_entry);
        let mut ready: Vec<_> = std::iter::once(PollFd::new(&self.listener, PollFlags::IN))
            .chain(sockets)
            .collect();
        let limit = (!waiting.is_empty()).then_some(&LOOK);
        poll(&mut ready, limit)?;
        Ok(ready[0].revents())
    }

    /// Answers a call; returns it where it waits.
    fn answer(&self, call: Call) -> Option<Waiting> {
        let plain = match self.reaction(&call) {
            Reaction::Rare(waiting) => return self.go_on(*waiting),
            Reaction::Fails(errno) => Answer::Fails(errno),
            Reaction::GoesOn => Answer::GoesOn,
        };
        self.listener.answer(&call, plain);
        None
    }

    /// Goes on with a call that is to have a rare answer; returns it where it still waits.
    fn go_on(&self, one: Waiting) -> Option<Waiting> {
        let number = one.order;
        if !self.with_orders(|orders| orders.iter().any(|order| order.number == number)) {
            one.leave(&self.listener);
            return None;
        }
        answer_rarely(one, &self.listener, |order, given| self.note(order, given))
    }

    /// Notes that the answer of this number was given.
    fn note(&self, number: u64, given: Given) {
        let times = self.with_orders(|orders| {
            let mut orders = orders.iter_mut();
            let order = orders.find(|order| order.number == number);
            order.map_or(0, |order| {
                order.tally.given += 1;
                order.tally.given
            })
        });
        if times > TOLD {
            return;
        }
        let all = self.given.lock();
        all.unwrap_or_else(PoisonError::into_inner).push(given);
        self.news.notify_waiters();
    }

    /// What is done about a call, by the first kind that it is of of which somebody has something for it.
    fn reaction(&self, call: &Call) -> Reaction {
        let kinds = SystemCall::of_number(call.number);
        let reactions = kinds.map(|(kind, name)| self.reaction_to(kind, name, call));
        let mut done = reactions.filter(|reaction| !matches!(reaction, Reaction::GoesOn));
        done.next().unwrap_or(Reaction::GoesOn)
    }

    /// The same where it is of this kind.
    fn reaction_to(&self, kind: SystemCall, name: &'static str, call: &Call) -> Reaction {
        let is_meant =
            self.with_orders(|orders| orders.iter().any(|order| order.answer.call == kind));
        // What nobody asks about costs no look.
        if !is_meant {
            return Reaction::GoesOn;
        }
        let about = match about(kind, call, self.output) {
            Ok(about) => about,
            Err(errno) => {
                self.with_orders(|orders| {
                    let of_kind = orders.iter_mut().filter(|order| order.answer.call == kind);
                    of_kind.for_each(|order| order.miss(errno));
                });
                return Reaction::GoesOn;
            }
        };
        let now = Instant::now();
        let taken = self.with_orders(|orders| {
            let mut gets = orders.iter_mut().map(|order| {
                let gets = order.take(kind, &about, call, now);
                (order.number, gets, order.answer, order.tally.eligible)
            });
            gets.find(|(_, gets, ..)| *gets != Gets::Nothing)
        });
        match taken {
            None | Some((_, Gets::Nothing, ..)) => Reaction::GoesOn,
            Some((number, Gets::Rare, answer, nth)) => {
                let given = Given {
                    thread: call.thread,
                    answer,
                    call: name,
                    nth,
                    asked_for: None,
                };
                Reaction::Rare(Box::new(Waiting::of(*call, about, number, given)))
            }
            Some((_, Gets::TheSame, answer, _)) => match answer.with {
                With::Error(error) => Reaction::Fails(Errno::from_raw_os_error(error.number)),
                With::AtMost(_) => Reaction::GoesOn,
            },
        }
    }
}
