//! What grows with every run of a scenario: a leak, or a pool that is being filled, or a heap that is not yet collected.

use super::cause::{Figure, Growth};
use super::doubt::{Doubt, Useful};
use super::thresholds::{
    ADDED_BY_HASTE, FILES_OF_A_WORKER, GOES_ON_FROM, HEAP_MIB, KEPT_FOR_A_BYTE, MIB_OF_A_WORKER,
    MOST_IN_A_POOL, MOST_RUNS, RESERVED_BEFORE, WARM_UP_MIB,
};
use crate::model::invariant::Invariant;
use crate::model::phase::Moment;
use crate::model::trial::Trial;
use crate::transcript::event::{Sample, Transcript, What};

/// The baseline and what a figure is after one run, where it has grown by more than may stay without a second run.
fn growth(
    transcript: &Transcript,
    read: impl Fn(&Sample) -> usize,
    may_stay: usize,
) -> Option<(usize, usize)> {
    let baseline = read(transcript.sample(Moment::Baseline)?);
    let after = read(transcript.sample(Moment::After)?);
    (after > baseline + may_stay).then_some((baseline, after))
}

/// A figure that a leak would raise, and what it may be without one.
struct Watched {
    figure: Figure,
    invariant: Invariant,
    read: fn(&Sample) -> usize,
    /// How much may be added by one run and stay, without a second run.
    may_stay: usize,
    /// How much may be added until a pool is full, or a heap is collected.
    pool: fn(&Added<'_>) -> usize,
    /// What else than a leak grows so.
    or_else: Useful,
}

/// What a server has now that it did not have at its baseline.
struct Added<'a> {
    baseline: &'a Sample,
    now: &'a Sample,
    /// What clients have sent to it.
    sent_bytes: u64,
}

impl Added<'_> {
    fn workers(&self) -> usize {
        self.now.threads.saturating_sub(self.baseline.threads)
    }

    /// As many mebibytes as heaps and workers explain, and data that the server is there to keep.
    fn explained_mib(&self) -> usize {
        let grown = |read: fn(&Sample) -> u64| read(self.now).saturating_sub(read(self.baseline));
        let (used, reserved) = (
            grown(|sample| sample.memory_bytes),
            grown(|sample| sample.address_space_bytes),
        );
        // A heap that had its place in the address space from the beginning may be collected at any size.
        if reserved * RESERVED_BEFORE < used {
            return usize::MAX;
        }
        let mib = |bytes: u64| (bytes >> 20) as usize;
        let of_a_process = mib(self.baseline.memory_bytes) / self.baseline.processes.max(1);
        let workers = self.workers() * of_a_process.max(MIB_OF_A_WORKER);
        HEAP_MIB * self.now.processes.max(1) + workers + mib(self.sent_bytes * KEPT_FOR_A_BYTE)
    }
}

const FIGURES: &[Watched] = &[
    Watched {
        invariant: Invariant::OpenFiles,
        figure: Figure::OpenSockets,
        read: |sample| sample.sockets,
        may_stay: 0,
        pool: |_| 0,
        or_else: Useful::Pool,
    },
    Watched {
        invariant: Invariant::OpenFiles,
        figure: Figure::OpenFiles,
        read: |sample| sample.files,
        may_stay: 0,
        pool: |added| added.workers() * FILES_OF_A_WORKER,
        or_else: Useful::Pool,
    },
    Watched {
        invariant: Invariant::Threads,
        figure: Figure::Threads,
        read: |sample| sample.threads,
        may_stay: 0,
        pool: |_| MOST_IN_A_POOL,
        or_else: Useful::Pool,
    },
    Watched {
        invariant: Invariant::Threads,
        figure: Figure::Processes,
        read: |sample| sample.processes,
        may_stay: 0,
        pool: |_| MOST_IN_A_POOL,
        or_else: Useful::Pool,
    },
    Watched {
        invariant: Invariant::Memory,
        figure: Figure::Memory,
        read: |sample| (sample.memory_bytes >> 20) as usize,
        may_stay: WARM_UP_MIB,
        pool: |added| added.explained_mib(),
        or_else: Useful::Heap,
    },
];

/// Whether only another run of the script can tell a leak from a pool that is being filled, from children that are
/// waited for when the next client comes, and from garbage that is collected late.
pub(super) fn needs_another_run(trial: &Trial, transcript: &Transcript) -> bool {
    match transcript.samples(Moment::Again).count() {
        0 => needs_second_run(trial, transcript),
        again if again + 1 < MOST_RUNS => {
            growing(trial, transcript).any(|growing| growing.may_tell)
        }
        _ => false,
    }
}

/// Whether it takes a pool that polite clients have filled, one after the other, and more runs, to tell what a server adds
/// from a leak.
pub(super) fn still_grows(trial: &Trial, transcript: &Transcript) -> bool {
    growing(trial, transcript).any(|growing| !growing.is_leak)
}

pub(super) fn needs_second_run(trial: &Trial, transcript: &Transcript) -> bool {
    let has_grown = |figure: &Watched| growth(transcript, figure.read, figure.may_stay).is_some();
    let zombies = growth(transcript, |sample| sample.zombies, 0).is_some();
    FIGURES
        .iter()
        .any(|figure| !trial.waives(figure.invariant) && has_grown(figure))
        || (!trial.waives(Invariant::Zombies) && zombies)
}

/// A figure that grew again whenever the same was done again.
pub(super) struct Growing {
    pub(super) growth: Growth,
    or_else: Useful,
    /// No pool that is being filled grows so much.
    pub(super) is_leak: bool,
    /// Few more runs fill the largest pool, and more than that.
    may_tell: bool,
}

/// What grows again when the same is done again, as much as before: a leak does, and a pool until it is full.
pub(super) fn growing(trial: &Trial, transcript: &Transcript) -> impl Iterator<Item = Growing> {
    FIGURES
        .iter()
        .filter(|figure| !trial.waives(figure.invariant))
        .filter_map(|figure| grows_again(trial, transcript, figure))
}

/// How much a server may add whose pool was filled by one client after the other: a worker for each client that is
/// connected at once, or for one that comes while the last is not done with, until there are some dozens.
fn added_by_haste(trial: &Trial) -> usize {
    let crowd: u32 = trial
        .scenario()
        .clients
        .iter()
        .map(|group| group.members)
        .sum();
    (crowd as usize).max(ADDED_BY_HASTE)
}

fn grows_again(trial: &Trial, transcript: &Transcript, figure: &Watched) -> Option<Growing> {
    let (baseline, after) = growth(transcript, figure.read, figure.may_stay)?;
    let last = transcript.sample(Moment::Again)?;
    let pool = (figure.pool)(&Added {
        baseline: transcript.sample(Moment::Baseline)?,
        now: last,
        sent_bytes: transcript.sent_bytes(),
    });
    let again: Vec<usize> = transcript.samples(Moment::Again).map(figure.read).collect();
    let since: Vec<usize> = since_filled(transcript).map(figure.read).collect();
    let last = (figure.read)(last);
    let grown = last.saturating_sub(baseline);
    let first = after - baseline;
    // A pool that is full grows no more; what came before it was says nothing.
    let added = since
        .first()
        .map_or(0, |filled| last.saturating_sub(*filled));
    let counts_workers = figure.invariant == Invariant::Threads;
    let is_leak = grown > pool || counts_workers && added > added_by_haste(trial);
    let seen = if since.is_empty() {
        [&[after], &again[..]].concat()
    } else {
        since
    };
    goes_on(first, figure.may_stay, &seen).then(|| Growing {
        growth: Growth {
            figure: figure.figure,
            baseline,
            after,
            last,
            again: again.len(),
        },
        or_else: figure.or_else,
        is_leak,
        may_tell: !is_leak && first * MOST_RUNS > pool,
    })
}

/// The sample of a pool that was filled, and those after it.
fn since_filled(transcript: &Transcript) -> impl Iterator<Item = &Sample> {
    let samples = transcript
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Sample(moment, sample) => Some((*moment, sample)),
            _ => None,
        });
    let samples = samples.skip_while(|(moment, _)| *moment != Moment::Filled);
    samples.map(|(_, sample)| sample)
}

/// Whether each step is as large as the first one was, or nearly so, or too large by itself: what is lost with each run may
/// come on top of what the first one warmed up.
fn goes_on(first: usize, may_stay: usize, seen: &[usize]) -> bool {
    let mut steps = seen.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let (part, of) = GOES_ON_FROM;
    let is_large = |step: usize| step * of >= first * part || (may_stay > 0 && step > may_stay);
    steps.all(is_large)
}

/// What was added and stays, and may be of use: thread pools add a worker a task until they are full, and a heap of
/// garbage grows until it is collected.
pub(super) fn pool_or_leak(trial: &Trial, transcript: &Transcript) -> Option<Doubt> {
    growing(trial, transcript)
        .find(|growing| !growing.is_leak)
        .map(|growing| Doubt::PoolOrLeak {
            growth: growing.growth,
            or_else: growing.or_else,
        })
}
