//! Samples: what the kernel holds for the server before and after a scenario.

use super::observer::Observer;
use super::quiescence::{is_busy, is_for_us, is_starved_of_proof};
use crate::kernel::{
    Activity, BUSY_FROM, Held, Idleness, Labour, Memory, RestDetector, State, Toil, percent,
};
use crate::launch::{LookBehind, Server};
use crate::model::figure::Figure;
use crate::model::invariant::Invariant;
use crate::model::limits::{LOOK_EVERY, LOOK_ON_FOR, LOOKS_TO_BLAME, RETURN_WITHIN};
use crate::model::phase::Moment;
use crate::model::spent::SpentOn;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, ServerEvent, Transcript, What};
use std::collections::HashMap;
use std::time::{Duration, Instant};

impl Observer {
    /// Takes a sample once the server has come back to its baseline, or cannot be expected to any more; none of a server
    /// that has ended, which holds nothing.
    ///
    /// A server that lets those wait who said what is no request notices only so much later that they have left. One that is
    /// known to be busy is not waited for as one that may come to rest.
    pub(super) async fn sample(&mut self, moment: Moment, trial: &Trial) {
        if self.server().is_some_and(Server::is_elsewhere) {
            return self.record(What::Sample(moment, Box::new(unseen())));
        }
        let _rest = self.turn.spends_on(SpentOn::Rest);
        let home = self.recorder.with(|transcript| home(transcript, moment));
        let begun = Instant::now();
        let has_taken = moment == Moment::Pressed && self.recorder.with(has_taken_memory);
        let all_files = home.as_ref().map(Sample::open_files);
        let mut leftovers = Leftovers::at(moment, has_taken);
        let mut looks = Polls::of(self.idleness);
        let labour = Labour::of(&self.processes());
        let mut still_looks = 0;
        loop {
            self.ends.record_soon();
            let (mut sample, is_still) = looks.take(self, is_patient(moment), all_files);
            let is_home = |sample: &Sample| {
                !has_taken && home.iter().all(|home| !is_above(sample, home, trial))
            };
            still_looks = if is_still { still_looks + 1 } else { 0 };
            let will_not = still_looks >= LOOKS_TO_BLAME && self.lab.is_private();
            if self.server().is_none() {
                return;
            }
            sample.spins = looks.rest.spins() && is_busy(&looks.rest, RETURN_WITHIN);
            let out_of_time = begun.elapsed() > RETURN_WITHIN + trial.throttling;
            // Who still waits to be accepted is given the time of a server that may lack a processor.
            let is_taken = home
                .iter()
                .all(|home| sample.accept_queue <= home.accept_queue);
            let is_busy_still = self.is_known_to_be_busy && looks.is_busy() && is_taken;
            // How a server idles is no proof against it.
            let is_proof = moment != Moment::Baseline;
            let needs_more = is_proof && is_starved_of_proof(&looks.rest, RETURN_WITHIN);
            let given_up = will_not || is_busy_still || out_of_time && !needs_more;
            if given_up
                && !will_not
                && !is_busy_still
                && leftovers.may_go(self, &sample, home.as_ref(), trial)
            {
                self.turn.step_aside();
                tokio::time::sleep(self.between_looks()).await;
                continue;
            }
            sample.may_still_go = leftovers.were_left;
            let is_known = is_proof || looks.rest.tells_idleness();
            if given_up || (sample.at_rest && is_home(&sample) && is_known) {
                self.tell_files_apart(&mut sample);
                // The kernel goes through the table of all connections for this, which is dear.
                sample.close_wait = self.count_connections(State::CloseWait);
                if moment == Moment::Baseline {
                    self.baseline_delay = self.stillness().longest_delay;
                    self.idleness = looks.rest.seen();
                    let limits = self.living();
                    let limits = limits.filter_map(|process| process.descriptors_limit());
                    sample.files_limit = limits.min();
                }
                self.weigh(&mut sample, moment);
                if moment == Moment::After && !sample.at_rest {
                    self.record_toil(&labour, None, sample.accept_queue);
                }
                return self.record(What::Sample(moment, Box::new(sample)));
            }
            // Nothing announces that a server has cleaned up; its state is looked at again.
            tokio::time::sleep(looks.apart(self)).await;
        }
    }

    /// Writes down what the server is at that does not rest.
    pub(super) fn record_toil(&self, before: &Labour, all_files: Option<u64>, queued: u32) {
        let toil = Labour::of(&self.processes()).since(before);
        self.record_server(ServerEvent::Toils(Toil {
            all_files,
            queued,
            ..toil
        }));
    }

    /// Looks at all descriptors, where they were only counted.
    fn tell_files_apart(&self, sample: &mut Sample) {
        let held = self.watched.borrow_mut().held();
        sample.sockets = held.sockets;
        sample.files = held.files;
    }

    /// Counts the memory of all processes.
    fn weigh(&mut self, sample: &mut Sample, moment: Moment) {
        let memory: HashMap<i32, Memory> = self
            .living()
            .map(|process| (process.pid, process.memory()))
            .collect();
        let nothing = Memory::default();
        for (pid, memory) in &memory {
            let before = self.memory.get(pid).unwrap_or(&nothing);
            sample.memory_bytes += memory.own_bytes();
            sample.mappings += memory.mappings();
            sample.shadowed |= memory.is_shadowed();
            if moment != Moment::Baseline {
                sample.taken_bytes += memory.taken_since(before);
            }
        }
        if moment == Moment::Baseline {
            self.memory = memory;
        }
    }

    /// What the server holds, and what its threads are at. Where it has plainly more descriptors open than this many, they are counted,
    /// and not told apart: to look at thousands takes longer than what they are waited for.
    fn look(&self, plainly_above: Option<usize>) -> (Sample, Activity) {
        let still = self.stillness();
        let mut watched = self.watched.borrow_mut();
        let count = plainly_above.and_then(|most| {
            let count = watched.open_files_of_one()?;
            (count > most).then_some(count)
        });
        let held = match count {
            Some(sockets) => Held {
                sockets,
                ..Held::default()
            },
            None => watched.held(),
        };
        let (zombies, living): (Vec<_>, Vec<_>) =
            watched.processes().partition(|process| process.is_zombie());
        let init = self.lab.supervisor().pid();
        let neglected = zombies.iter().filter(|zombie| zombie.is_neglected(init));
        let server = self.server.as_ref();
        let sample = Sample {
            processes: living.len(),
            zombies: neglected.count(),
            threads: living.iter().map(|process| process.threads).sum(),
            sockets: held.sockets,
            files: held.files,
            output_bytes: server.map_or(0, Server::output_bytes),
            accept_queue: self.listener().map_or(0, |(queue, _)| queue),
            ..Sample::default()
        };
        (sample, still)
    }
}

/// What there is to be seen of a server that somebody else has started: nothing that it holds, and nothing that it does.
fn unseen() -> Sample {
    Sample {
        at_rest: true,
        ..Sample::default()
    }
}

/// What a server that a time-out of its own may still wake has left: it is looked on at for longer.
struct Leftovers {
    moment: Moment,
    /// The doses have cost memory. Whether that is given back shows only in the dose behind: a heap keeps it for later.
    has_taken: bool,
    since: Option<Instant>,
    /// They were there when it was looked on at for long enough.
    were_left: bool,
}

impl Leftovers {
    fn at(moment: Moment, has_taken: bool) -> Self {
        Self {
            moment,
            has_taken,
            since: None,
            were_left: false,
        }
    }

    /// Whether clients who have gone, or children who have ended, still wait for the server, and it may still act.
    fn may_go(
        &mut self,
        observer: &Observer,
        sample: &Sample,
        home: Option<&Sample>,
        trial: &Trial,
    ) -> bool {
        let Some(home) = home.filter(|_| observer.may_still_act()) else {
            return false;
        };
        let are_left = match self.moment {
            // What grows is given more to grow with before it is looked on at.
            Moment::After => {
                sample.accept_queue > home.accept_queue || observer.has_unread_connections()
            }
            Moment::Pressed => self.has_taken || is_above(sample, home, trial),
            Moment::Baseline | Moment::Warm | Moment::Dose | Moment::Alone => false,
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        self.were_left = are_left && since.elapsed() >= LOOK_ON_FOR.saturating_sub(RETURN_WITHIN);
        are_left && !self.were_left
    }
}

/// A server that is known to be busy shows again within so long that it is.
const BUSY_SHOWS_WITHIN: Duration = Duration::from_millis(500);

/// Polls that follow each other, to tell rest from a moment's pause.
struct Polls {
    rest: RestDetector,
    last: Option<(Instant, Activity)>,
    /// What the backends were at.
    behind: LookBehind,
    /// How many there were.
    taken: u32,
}

impl Polls {
    fn of(idleness: Idleness) -> Self {
        Self {
            rest: RestDetector::beside(idleness),
            last: None,
            behind: LookBehind::default(),
            taken: 0,
        }
    }

    /// Whether it has been busy for as long as it was looked at, and that was not too short to tell: with several of its kind on
    /// a host each gets little of what it wants.
    fn is_busy(&self) -> bool {
        let watched = self.rest.watched;
        let is_seen = is_busy(&self.rest, watched) || self.rest.wants_a_processor();
        watched >= BUSY_SHOWS_WITHIN && is_seen
    }

    /// How long is waited before the next one.
    fn apart(&self, observer: &Observer) -> Duration {
        let last = self.last.as_ref().map(|(_, last)| last);
        last.map_or(LOOK_EVERY, |last| {
            observer.before_another_look(last, self.taken)
        })
    }

    /// Takes a sample; also says whether the server has not run since the look before, and waits: for us alone, where it is
    /// to be looked at patiently, as nothing but us can change then what it holds.
    fn take(
        &mut self,
        observer: &Observer,
        patiently: bool,
        plainly_above: Option<usize>,
    ) -> (Sample, bool) {
        let (mut sample, still) = observer.look(plainly_above);
        let now = Instant::now();
        self.rest.take(now, still);
        sample.cpu_percent = self.rest.cpu_percent();
        let mut is_still = false;
        if let Some((at, last)) = &self.last {
            let lately = percent(still.ran.saturating_sub(last.ran), now - *at);
            // What follows soon tells of nobody who may wake by himself, nor how much he runs.
            let has_waited = now - *at >= LOOK_EVERY;
            let tells = has_waited || *last == still && is_for_us(&still, &observer.lab);
            sample.at_rest = tells && still.at_rest && last.at_rest && lately < BUSY_FROM;
            let waits = if patiently {
                still.parked
            } else {
                sample.at_rest
            };
            is_still = has_waited && waits && *last == still;
        }
        let behind = observer.backends.look(&mut self.behind);
        is_still &= if patiently {
            behind.is_parked
        } else {
            behind.rests
        };
        self.taken += 1;
        self.last = Some((now, still));
        (sample, is_still)
    }
}

/// Whether a server is given its time to come back to what it held before. Between doses it is not: what it gives back
/// late shows in a later one, and at the end.
fn is_patient(moment: Moment) -> bool {
    match moment {
        Moment::Baseline | Moment::After | Moment::Pressed => true,
        Moment::Warm | Moment::Dose | Moment::Alone => false,
    }
}

/// What a server is waited for to come back to.
fn home(transcript: &Transcript, moment: Moment) -> Option<Sample> {
    let before = match moment {
        Moment::Baseline | Moment::After | Moment::Warm => Moment::Baseline,
        Moment::Dose | Moment::Alone => Moment::Dose,
        Moment::Pressed => Moment::Warm,
    };
    transcript.sample(before).cloned()
}

/// Whether doses have cost memory worth a word.
fn has_taken_memory(transcript: &Transcript) -> bool {
    let taken = |moment| {
        transcript
            .sample(moment)
            .map_or(0, |sample| sample.taken_bytes)
    };
    taken(Moment::Dose).saturating_sub(taken(Moment::Warm)) > 1 << 20
}

/// Whether the server has more than it had, of what it is waited for to bring back. Of what kind its files are does not matter.
fn is_above(sample: &Sample, home: &Sample, trial: &Trial) -> bool {
    let awaited = |figure: &Figure| !figure.is_rough() && !trial.gives_up(*figure);
    let (files, others): (Vec<Figure>, Vec<Figure>) = Figure::all()
        .filter(awaited)
        .partition(|figure| matches!(figure, Figure::Files(_)));
    let all_files = |of: &Sample| -> usize { files.iter().map(|kind| of.figure(*kind)).sum() };
    let is_queued = || sample.accept_queue > home.accept_queue;
    all_files(sample) > all_files(home)
        || others
            .iter()
            .any(|figure| sample.figure(*figure) > home.figure(*figure))
        || !trial.waives(Invariant::Queues) && is_queued()
}
