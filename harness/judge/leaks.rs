//! What grows with every run of a scenario: a leak, or a pool that is being filled, or a heap that is not yet collected.

use super::Trial;
use crate::event::{Moment, Sample, Transcript, What};
use crate::step::Invariant;

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

/// A figure that a leak would raise.
struct Figure {
    invariant: Invariant,
    /// How a person calls it.
    name: &'static str,
    read: fn(&Sample) -> usize,
    /// How much may be added by one run and stay, without a second run.
    may_stay: usize,
    /// How much is added until a pool is full, or a heap is collected, by the number of threads that were added.
    pool: fn(usize) -> usize,
    /// What else than a leak grows so.
    or_else: &'static str,
}

const FIGURES: &[Figure] = &[
    Figure {
        invariant: Invariant::OpenFiles,
        name: "open sockets",
        read: |sample| sample.sockets,
        may_stay: 0,
        pool: |_| 0,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::OpenFiles,
        name: "open files",
        read: |sample| sample.files,
        may_stay: 0,
        pool: |workers| workers * FILES_OF_A_WORKER,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Threads,
        name: "threads",
        read: |sample| sample.threads,
        may_stay: 0,
        pool: |_| POOL_BOUND,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Threads,
        name: "processes",
        read: |sample| sample.processes,
        may_stay: 0,
        pool: |_| POOL_BOUND,
        or_else: POOL,
    },
    Figure {
        invariant: Invariant::Memory,
        name: "mebibytes of memory",
        read: |sample| (sample.memory_bytes >> 20) as usize,
        may_stay: WARM_UP_MIB,
        pool: |workers| HEAP_MIB + workers * MIB_OF_A_WORKER,
        or_else: "a heap that is collected late",
    },
];

const POOL: &str = "a pool being filled";

/// Allocators keep what they were given back, and warm-up costs memory.
const WARM_UP_MIB: usize = 64;

/// As much garbage as a heap may hold before it is collected. Java's starts with a 64th of the machine's memory, and
/// grows from there only when it collects.
const HEAP_MIB: usize = 1 << 10;

/// What a worker may have for itself: its stack, its part of the heap, and, where it is a process, all that it shares
/// with the others and that is counted for each.
const MIB_OF_A_WORKER: usize = 64;

/// As many workers as a pool may have; Tomcat stops at 200, Apache's event workers at 400.
pub(crate) const POOL_BOUND: usize = 512;

/// How often a script is run at most until it is clear whether what it adds is a leak.
const MOST_RUNS: usize = 5;

/// As many files as a worker may hold for itself: an epoll instance, its timer and its bell, a log, a database.
const FILES_OF_A_WORKER: usize = 8;

/// Whether only another run of the script can tell a leak from a pool that is being filled, from children that are
/// waited for when the next client comes, and from garbage that is collected late.
pub fn needs_another_run(trial: &Trial, transcript: &Transcript) -> bool {
    match transcript.samples(Moment::Again).count() {
        0 => needs_second_run(trial, transcript),
        again if again + 1 < MOST_RUNS => {
            growing(trial, transcript).any(|growing| growing.may_tell)
        }
        _ => false,
    }
}

/// Whether more runs can tell what a server adds whose pool was filled from a leak.
pub fn still_grows(trial: &Trial, transcript: &Transcript) -> bool {
    growing(trial, transcript).any(|growing| !growing.is_leak)
}

/// Whether polite clients, one after the other, have to fill what may be a pool, so that one more run can tell.
pub fn needs_filling(trial: &Trial, transcript: &Transcript) -> bool {
    !trial.after.lines.is_empty() && still_grows(trial, transcript)
}

pub(super) fn needs_second_run(trial: &Trial, transcript: &Transcript) -> bool {
    let has_grown = |figure: &Figure| growth(transcript, figure.read, figure.may_stay).is_some();
    let zombies = growth(transcript, |sample| sample.zombies, 0).is_some();
    FIGURES
        .iter()
        .any(|figure| !trial.waives(figure.invariant) && has_grown(figure))
        || (!trial.waives(Invariant::Zombies) && zombies)
}

/// A figure that grew again whenever the same was done again.
pub(super) struct Growing {
    pub(super) text: String,
    or_else: &'static str,
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
    let crowd: u32 = trial.script.cast.iter().map(|cast| cast.members).sum();
    (crowd as usize).max(64)
}

fn grows_again(trial: &Trial, transcript: &Transcript, figure: &Figure) -> Option<Growing> {
    let (baseline, after) = growth(transcript, figure.read, figure.may_stay)?;
    let last = transcript.sample(Moment::Again)?;
    let workers = transcript
        .sample(Moment::Baseline)
        .map_or(0, |first| last.threads.saturating_sub(first.threads));
    let pool = (figure.pool)(workers);
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
    let times = match again.len() {
        1 => String::new(),
        times => format!(" {times} times"),
    };
    let seen = if since.is_empty() {
        [&[after], &again[..]].concat()
    } else {
        since
    };
    goes_on(first, &seen).then(|| Growing {
        text: format!(
            "{} are not back to the baseline: {baseline} before, {after} after, {last} after the same again{times}",
            figure.name
        ),
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

/// Whether each step is as large as the first one was, or nearly so.
pub(super) fn goes_on(first: usize, seen: &[usize]) -> bool {
    let mut steps = seen.windows(2);
    steps.all(|step| is_as_large(step[1].saturating_sub(step[0]) as u64, first as u64))
}

fn is_as_large(step: u64, first: u64) -> bool {
    step * 4 >= first * 3
}

/// What was added and stays, and may be of use: thread pools add a worker a task until they are full, and a heap of
/// garbage grows until it is collected.
pub(super) fn pool_or_leak(trial: &Trial, transcript: &Transcript) -> Option<String> {
    growing(trial, transcript)
        .find(|growing| !growing.is_leak)
        .map(|growing| format!("{}; {} does the same", growing.text, growing.or_else))
}
