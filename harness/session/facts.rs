//! What a wait for the server looks for in the kernel, and writes down where it is news.

use super::observer::Observer;
use super::open_files::OpenFilesLimits;
use super::quiescence::count_in;
use crate::kernel::{Process, RestDetector, State};
use crate::launch::Answerer;
use crate::model::address::Address;
use crate::model::expectation::ServerExpectation;
use crate::transcript::event::ServerEvent;
use std::time::Instant;

impl Observer {
    /// Reads from the kernel what an expectation is about, and writes it down where it is news.
    pub(super) fn record_server_facts(
        &self,
        what: &ServerExpectation,
        rest: &mut RestDetector,
        files: &OpenFilesLimits,
    ) {
        let Some(server) = &self.server else {
            return;
        };
        let event = match what {
            ServerExpectation::Exit(_) => return,
            ServerExpectation::Output(text) => match server
                .process()
                .is_some_and(|process| process.has_printed(text))
            {
                true => ServerEvent::Printed(text.clone()),
                false => return,
            },
            ServerExpectation::Gone => {
                let left = self.living().count();
                if let (0, Address::Path(path)) = (left, server.address()) {
                    let remains = self.lab.standing(path).symlink_metadata().is_ok();
                    self.record_news(ServerEvent::PathRemains(remains));
                }
                match left {
                    0 => ServerEvent::Gone,
                    left => ServerEvent::LeftBehind(left),
                }
            }
            ServerExpectation::AcceptQueue(_) | ServerExpectation::Backlog(_) => {
                match self.listener() {
                    Some((queue, backlog)) => ServerEvent::Listener { queue, backlog },
                    None => return,
                }
            }
            ServerExpectation::Rest if rest.take(Instant::now(), self.stillness()) => {
                ServerEvent::Rests {
                    rests: true,
                    cpu_percent: rest.cpu_percent(),
                    spins: false,
                }
            }
            // How busy it is says most at the end of the wait.
            ServerExpectation::Rest => return,
            ServerExpectation::Descriptor(_) => match self.highest_descriptor() {
                Some(event) => event,
                None => return,
            },
            ServerExpectation::OutOfFiles => match self.open_files(files, false) {
                Some(event) => event,
                None => return,
            },
            ServerExpectation::Answered => {
                self.record_answers();
                let given = self.answerer().is_some_and(Answerer::has_given_all);
                ServerEvent::AllAnswered(given)
            }
            ServerExpectation::TimeWait | ServerExpectation::NoTimeWait => {
                self.record_news(ServerEvent::TimeWaitOfClients(self.clients_in_time_wait()));
                ServerEvent::TimeWait(self.count_connections(State::TimeWait))
            }
        };
        self.record_news(event);
    }

    /// The highest descriptor of all that the processes of the server have.
    fn highest_descriptor(&self) -> Option<ServerEvent> {
        let highest = |process: &Process| process.descriptor_numbers().into_iter().max();
        let processes = self.processes().into_iter();
        let each = processes.filter_map(|process| Some((highest(&process)?, process)));
        let (number, process) = each.max_by_key(|(number, _)| *number)?;
        Some(ServerEvent::Descriptors {
            highest: number.unsigned_abs(),
            limit: process
                .descriptors_limit()
                .map_or(u64::MAX, |limit| limit as u64),
        })
    }

    /// How near the server is to its limit on open files; `settled` where nobody waits any more to be taken.
    pub(super) fn open_files(&self, files: &OpenFilesLimits, settled: bool) -> Option<ServerEvent> {
        let (held, limit) = files.fewest_left(&self.processes())?;
        Some(ServerEvent::OpenFiles {
            held,
            limit,
            waiting: self.listener().map_or(0, |(queue, _)| queue),
            settled,
        })
    }

    fn record_news(&self, event: ServerEvent) {
        if self.recorder.is_news(&event) {
            self.record_server(event);
        }
    }

    fn clients_in_time_wait(&self) -> usize {
        let rows = self
            .port()
            .and_then(|port| self.lab.diag().connections_to(port).ok());
        count_in(State::TimeWait, &rows.unwrap_or_default())
    }
}
