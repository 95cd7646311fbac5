//! Samples: what the kernel holds for the server before and after a scenario.

use super::observer::Observer;
use super::quiescence::{is_busy, is_starved_of_proof};
use crate::kernel::{self, Activity, BUSY_FROM, RestDetector, State, percent};
use crate::model::limits::{LOOK_EVERY, LOOKS_TO_BLAME, RETURN_WITHIN};
use crate::model::phase::Moment;
use crate::transcript::event::{Sample, Transcript, What};
use std::time::{Duration, Instant};

impl Observer {
    /// Takes a sample once the server has come back to its baseline, or cannot be expected to any more; none of a server
    /// that has ended, which holds nothing.
    ///
    /// A server that lets those wait who said what is no request notices only `throttling` later that they have left.
    pub(super) async fn sample(&mut self, moment: Moment, throttling: Duration) {
        let home = self.recorder.with(|transcript| home(transcript, moment));
        let begun = Instant::now();
        let mut looks = Polls::default();
        let mut parked_looks = 0;
        loop {
            let (mut sample, parked) = looks.take(self);
            let is_home = |sample: &Sample| home.iter().all(|home| !is_above(sample, home));
            parked_looks = if parked { parked_looks + 1 } else { 0 };
            let will_not = parked_looks >= LOOKS_TO_BLAME && self.lab.is_private();
            if self.server().is_none() {
                return;
            }
            sample.spins = looks.rest.spins() && is_busy(&looks.rest, RETURN_WITHIN);
            let out_of_time = begun.elapsed() > RETURN_WITHIN + throttling;
            let given_up =
                will_not || out_of_time && !is_starved_of_proof(&looks.rest, RETURN_WITHIN);
            if given_up || (sample.at_rest && is_home(&sample)) {
                // The kernel goes through the table of all connections for this, which is dear.
                sample.close_wait = self.count_connections(State::CloseWait);
            }
            if given_up || (sample.at_rest && is_home(&sample)) {
                if moment == Moment::Baseline {
                    self.baseline_delay = self.stillness().longest_delay;
                }
                self.zombies = self.zombies();
                for process in self.processes() {
                    let memory = process.memory();
                    sample.memory_bytes += memory.own_bytes;
                    sample.address_space_bytes += memory.address_space_bytes;
                }
                return self.record(What::Sample(moment, sample));
            }
            // Nothing announces that a server has cleaned up; its state is looked at again.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The children of the server that have ended and that it has not waited for.
    fn zombies(&self) -> Vec<i32> {
        let init = self.lab.supervisor().pid();
        let processes = self.processes().into_iter();
        processes
            .filter(|process| process.is_neglected(init))
            .map(|process| process.pid)
            .collect()
    }

    fn look(&self) -> Sample {
        let processes = self.processes().into_iter();
        let (zombies, living): (Vec<_>, Vec<_>) = processes.partition(kernel::Process::is_zombie);
        let init = self.lab.supervisor().pid();
        let neglected = zombies.iter().filter(|zombie| zombie.is_neglected(init));
        let seen_before = |zombie: &&kernel::Process| self.zombies.contains(&zombie.pid);
        let mut sample = Sample {
            processes: living.len(),
            zombies: neglected.clone().count(),
            unreaped: neglected.filter(|zombie| seen_before(zombie)).count(),
            ..Sample::default()
        };
        let mut held = kernel::Descriptors::default();
        for process in &living {
            held.share_with(process.descriptors());
            sample.threads += process.threads;
        }
        sample.sockets = held.socket_count();
        sample.files = held.file_count();
        sample.output_bytes = self
            .server
            .as_ref()
            .map_or(0, |server| server.process().output_bytes());
        sample.accept_queue = self.listener().map_or(0, |(queue, _)| queue);
        sample
    }
}

/// Polls that follow each other, to tell rest from a moment's pause.
#[derive(Default)]
struct Polls {
    rest: RestDetector,
    last: Option<(Instant, Activity)>,
}

impl Polls {
    /// Takes a sample; also says whether the server is parked and has not run since the look before.
    fn take(&mut self, observer: &Observer) -> (Sample, bool) {
        let mut sample = observer.look();
        let now = Instant::now();
        let still = observer.stillness();
        self.rest.take(now, still);
        sample.cpu_percent = self.rest.cpu_percent();
        let mut parked = false;
        if let Some((at, last)) = &self.last {
            let lately = percent(still.ran.saturating_sub(last.ran), now - *at);
            sample.at_rest = still.at_rest && last.at_rest && lately < BUSY_FROM;
            parked = still.parked && *last == still;
        }
        self.last = Some((now, still));
        (sample, parked)
    }
}

/// What a server is waited for to come back to: its baseline, and when the same is done again, for what a leak would
/// raise further, what it has had before.
fn home(transcript: &Transcript, moment: Moment) -> Option<Sample> {
    let baseline = transcript.sample(Moment::Baseline)?.clone();
    let before: &[Moment] = match moment {
        Moment::Baseline | Moment::After => &[],
        Moment::Filled | Moment::Again => &[Moment::After, Moment::Filled, Moment::Again],
    };
    let before = before.iter().flat_map(|moment| transcript.samples(*moment));
    Some(before.fold(baseline, |home, before| Sample {
        sockets: home.sockets.max(before.sockets),
        files: home.files.max(before.files),
        threads: home.threads.max(before.threads),
        processes: home.processes.max(before.processes),
        ..home
    }))
}

fn is_above(sample: &Sample, baseline: &Sample) -> bool {
    sample.sockets > baseline.sockets
        || sample.files > baseline.files
        || sample.threads > baseline.threads
        || sample.processes > baseline.processes
        || sample.zombies > baseline.zombies
        || sample.close_wait > baseline.close_wait
        || sample.accept_queue > baseline.accept_queue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::event::Event;

    #[test]
    fn server_is_waited_for_only_where_it_has_more_than_ever_before() {
        let sample = |threads, zombies| Sample {
            threads,
            zombies,
            ..Sample::default()
        };
        let seen = [
            (Moment::Baseline, sample(10, 0)),
            (Moment::After, sample(14, 3)),
            (Moment::Again, sample(12, 0)),
        ];
        let events = seen.map(|(moment, sample)| Event {
            at: Duration::ZERO,
            what: What::Sample(moment, sample),
        });
        let events = events.to_vec();
        let transcript = Transcript { events };
        let home = |moment| home(&transcript, moment);
        assert_eq!(home(Moment::After), Some(sample(10, 0)));
        // Children are waited for when a client comes, or now and then: they are given the time for it.
        assert_eq!(home(Moment::Again), Some(sample(14, 0)));
    }
}
