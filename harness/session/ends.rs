//! The ends of the server's processes beside its first one, written down as they become known.

use super::recorder::Recorder;
use crate::kernel::Process;
use crate::launch::lab::Lab;
use crate::model::limits::LOOK_EVERY;
use crate::sys::socket::watched;
use crate::transcript::event::{Exit, ServerEvent, What};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;

/// A shared watch on the processes of one lab for one transcript.
#[derive(Clone)]
pub(super) struct Ends(Rc<Watch>);

struct Watch {
    lab: Arc<Lab>,
    recorder: Recorder,
    /// Those whose end is told of elsewhere: the server's first process, and second instances.
    elsewhere: RefCell<HashSet<i32>>,
    /// Those that were there before a client was, each with its name.
    workers: RefCell<HashMap<i32, String>>,
    /// Those that may have been.
    candidates: RefCell<HashMap<i32, String>>,
    looked: Cell<Option<Instant>>,
}

impl Ends {
    pub(super) fn new(lab: Arc<Lab>, recorder: Recorder) -> Self {
        Self(Rc::new(Watch {
            lab,
            recorder,
            elsewhere: RefCell::default(),
            workers: RefCell::default(),
            candidates: RefCell::default(),
            looked: Cell::default(),
        }))
    }

    /// A server has come up, and nobody has spoken to it yet.
    pub(super) fn begin(&self, first: i32, processes: &[Process]) {
        self.tell_elsewhere(first);
        self.0.workers.borrow_mut().clear();
        self.look_for_workers(processes);
    }

    /// The end of this process is told of by whoever started it.
    pub(super) fn tell_elsewhere(&self, pid: i32) {
        self.0.elsewhere.borrow_mut().insert(pid);
    }

    /// No client is connected: who is there now and stays is there for all of them.
    pub(super) fn look_for_workers(&self, processes: &[Process]) {
        self.0.candidates.borrow_mut().extend(named(processes));
    }

    /// The server has come to rest; who was there before and is there now, is a worker.
    pub(super) fn settle_workers(&self, processes: &[Process]) {
        let mut candidates = self.0.candidates.borrow_mut();
        let there = named(processes).filter(|(pid, _)| candidates.contains_key(pid));
        self.0.workers.borrow_mut().extend(there);
        candidates.clear();
    }

    /// Writes down who has ended. Where the kernel does not tell and the tree has to be looked at, this is done no more
    /// often than other looks are.
    pub(super) fn record_soon(&self) {
        let is_due = |at: Instant| at.elapsed() >= LOOK_EVERY;
        if self.0.lab.ends().is_told() || self.0.looked.get().is_none_or(is_due) {
            self.record();
        }
    }

    /// Writes down who has ended.
    pub(super) fn record(&self) {
        self.record_those(|_| true);
    }

    /// Writes down who has crashed before anybody looked. Scripts that start a server ask much of programs that say no.
    pub(super) fn record_crashes(&self) {
        self.record_those(Exit::is_crash);
    }

    fn record_those(&self, are_told: fn(Exit) -> bool) {
        self.0.looked.set(Some(Instant::now()));
        for end in self.0.lab.ends().take() {
            let exit = Exit::from_wait_status(end.status);
            if self.0.elsewhere.borrow().contains(&end.pid) || !are_told(exit) {
                continue;
            }
            self.0
                .recorder
                .record(What::Server(ServerEvent::ProcessEnded {
                    pid: end.pid,
                    exit,
                    worker: self.0.workers.borrow().get(&end.pid).cloned(),
                }));
        }
    }

    /// Forgets who has ended: we have ended them.
    pub(super) fn discard(&self) {
        drop(self.0.lab.ends().take());
    }

    /// Writes down who ends from now on, as the kernel tells it; `None` where it does not.
    pub(super) fn watch(&self) -> Option<JoinHandle<()>> {
        let told = watched(Rc::new(self.0.lab.ends().descriptor()?)).ok()?;
        let ends = self.clone();
        Some(tokio::task::spawn_local(async move {
            // Where messages were lost, those that still come are no better than looks, and far more.
            while ends.0.lab.ends().is_told()
                && let Ok(mut ready) = told.readable().await
            {
                ready.clear_ready();
                ends.record();
            }
        }))
    }
}

fn named(processes: &[Process]) -> impl Iterator<Item = (i32, String)> {
    let living = processes.iter().filter(|process| !process.is_zombie());
    living.map(|process| (process.pid, process.name.clone()))
}
