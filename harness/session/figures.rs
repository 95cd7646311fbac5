//! What the kernel holds for the server while a trial goes on, noted for who looks at its course.

use super::observer::Observer;
use crate::kernel::Figures;
use crate::kernel::{Activity, Process, Row, State};
use crate::launch::Server;
use crate::sys::own_use::thread_time;
use std::collections::BTreeMap;
use std::time::Duration;

impl Observer {
    /// Notes what the kernel holds for the server, where it is time for that, with its processes as the last look has shown them: a
    /// look of its own would be one more among those by which the server is judged. Where there was none yet, this is the first.
    pub(super) fn look_at_figures(&self) {
        if !self.spacing.get().is_due(self.began.elapsed()) {
            return;
        }
        let before = thread_time();
        let still = match self.looks.get().number {
            0 => self.stillness(),
            _ => self.looks.get().still,
        };
        self.note_figures(&still, before);
    }

    /// Notes what the kernel holds for the server when all has been seen.
    pub(super) fn note_last_figures(&self) {
        self.spacing.take();
        self.note_figures(&self.stillness(), thread_time());
    }

    /// Notes what the kernel holds for the server, where it is time for that. Its threads were found at this; what we do for it began
    /// when this thread had used so much processor time.
    pub(super) fn note_figures(&self, still: &Activity, before: Duration) {
        let at = self.began.elapsed();
        let server = self.server.as_ref();
        let Some(server) = server.filter(|server| !server.is_elsewhere()) else {
            return;
        };
        if !self.spacing.get().is_due(at) {
            return;
        }
        self.recorder.note(self.figures(server, still));
        let spacing = self.spacing.get().after(at, thread_time() - before);
        self.spacing.set(spacing);
    }

    fn figures(&self, server: &Server, still: &Activity) -> Figures {
        let (accept_queue, backlog) = self.listener().unwrap_or_default();
        let port = self.port();
        let rows = port.and_then(|port| self.lab.diag().connections(port).ok());
        let rows = rows.unwrap_or_default();
        let mut watched = self.watched.borrow_mut();
        let held = watched.held();
        let living = || watched.processes().filter(|process| !process.is_zombie());
        Figures {
            accept_queue,
            backlog,
            connections: by_state(&rows),
            unread_bytes: rows.iter().map(|row| u64::from(row.receive_queue)).sum(),
            open_files: held.sockets + held.files.values().sum::<usize>(),
            processes: living().count(),
            threads: living().map(|process| process.threads).sum(),
            resident_bytes: living().map(Process::resident_bytes).sum(),
            processor_time: still.ran,
            output_bytes: server.output_bytes(),
        }
    }
}

/// How many connections there are in each state.
fn by_state(rows: &[Row]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.state).or_default() += 1;
    }
    let named = counts.into_iter();
    named
        .map(|(state, count)| (state.word().to_owned(), count))
        .collect()
}
