//! What counts as busy, starved, grown or flooded: every number that a verdict turns on, with its reason.

use std::time::Duration;

/// The share of one processor, in percent, that a server does not use for the chores that some do now and then, clients or
/// none.
pub(super) const CERTAINLY_BUSY: u32 = 50;

/// A time limit that runs out so soon after bytes have come was too short, or the host too slow.
pub(super) const FLOWS_WITHIN: Duration = Duration::from_millis(500);

/// A reply that has not come in so many times as long as the quickest one took is not one that takes a while.
pub(super) const OFTEN_AS_LONG: u32 = 100;

/// A harness that did not get to run for this part of a limit may have missed what came in time.
pub(super) const STARVED_FROM_A: u32 = 4;

/// A server that ran for more than this part of a limit did not lack the time: whatever kept us waiting, it was busy with
/// something else.
pub(super) const RAN_FROM_A: u32 = 2;

/// One that wants more counts for no more than so many times what it got: threads that wake now and then wait on a loaded host for
/// far longer than they run.
pub(super) const LACKS_AT_MOST: u32 = 3;

/// What a server may print during a scenario: a line a connection is fair, a line a turn of a busy loop is not.
pub(super) const OUTPUT_BOUND: u64 = 8 << 20;

/// What a server may print beside that for each byte it is sent: one that logs its traffic in hexadecimal, as it comes
/// and as it goes, prints about ten.
pub(super) const LOGGED_FOR_A_BYTE: u64 = 16;

/// What a server may print beside that for each connection: a story of its life with every error's trace.
pub(super) const LOGGED_FOR_A_CONNECTION: u64 = 64 << 10;

/// How many lines a server may print in bursts while nobody does anything: a table of all that it knows, now and then.
pub(super) const LINES_BOUND: u64 = 10_000;

/// How many beside that for each connection: when many time out at once, each may leave a trace.
pub(super) const LINES_FOR_A_CONNECTION: u64 = 100;

// Growth. No number here tells a leak from a pool: that is told by what growing doses add. They say how far is looked.

/// What one run must add to the memory of a server to be worth doses, in bytes. Less is what any first time costs.
pub(super) const LEAST_MEMORY: u64 = 1 << 20;

/// The part of its memory that one run must add to be worth doses.
pub(super) const LEAST_PART_OF_MEMORY: u64 = 8;

/// How many mappings one run must add, one for each connection at least, to be worth doses: heaps of threads and stacks
/// that are kept for the next one add some.
pub(super) const WORTH_DOSES_OF_MAPPINGS: usize = 8;

/// The part of what the doses before promise that a dose adds where it goes on in proportion: allocators take memory in pieces
/// that are larger than what is lost, and chance has a hand in what stays.
pub(super) const IN_PROPORTION: f64 = 0.9;

/// The part of it that the dose behind polite clients in number adds: what they leave behind is used for a part of it.
pub(super) const LEAST_PART_OF_TAIL: f64 = 0.5;

/// Doses between which memory grows by less than this part of their mean show no slope.
pub(super) const SLOPE_FROM_A: f64 = 0.5;

/// How many doses are made at least, so that there are steps to compare.
pub(super) const LEAST_DOSES: usize = 2;

/// For how long doses go on growing while it is open whether what grows is a leak: a cache is filled by thousands.
pub(super) const DOSES_WITHIN: Duration = Duration::from_secs(12);

/// The largest cache of memory, in connections, that what every client costs is told from: OpenSSL keeps 20,480 sessions
/// (`SSL_SESSION_CACHE_MAX_SIZE_DEFAULT`), and caches of applications have round numbers of thousands.
pub(super) const LARGEST_CACHE: usize = 24_576;

/// The largest, in bytes.
pub(super) const LARGEST_CACHE_BYTES: isize = 256 << 20;

/// The largest cache of open files that what every client costs is told from: more than the usual limit on them leaves room for
/// (1,024, getrlimit(2)), and at most half of what the server's own limit does, beyond which a leak meets it and is not seen to go on.
pub(super) const LARGEST_CACHE_OF_FILES: usize = 1_100;

/// What is taken for the limit of a server of which it is not known.
pub(super) const USUAL_LIMIT_OF_FILES: usize = 1_024;

/// The largest cache of threads and the like.
pub(super) const LARGEST_CACHE_OF_OTHERS: usize = 512;

/// The part of what a connection of the scenario costs that one of a polite client costs where every client costs it.
pub(super) const ALIKE_FROM: f64 = 0.5;

/// So many would be added by a dose as long as the time for which nobody is there: fewer may come before it or behind.
pub(super) const ADDED_TO_TELL: isize = 4;

/// How often in a row a server must grow with nobody there, to be one that does.
pub(super) const TIMES_ALONE: usize = 2;

/// So many must be promised by the doses before for a dose that adds none to say that a pool is full.
pub(super) const PLAINLY_PROMISED: f64 = 2.0;

/// So many units in a dose to which nothing was added: what comes less often is chance.
pub(super) const SELDOM: usize = 100;

/// So many units to one that was added, or more, by all doses there was time for: that too is chance.
pub(super) const SELDOM_TO_ONE: usize = 10;

/// Doses end where the server has taken so many bytes: it is the host's memory.
pub(super) const MOST_MEMORY: u64 = 1 << 30;

/// How many times what lived at the baseline a heap may grow by before it is collected: V8 lets one grow to four times what
/// lived when it was collected last, Go and CPython to less, with what timers still hold on top.
pub(super) const COLLECTED_BEFORE: u64 = 4;

/// The largest pool that doses tell from a leak where polite clients do not fill it; they go on until so many are added,
/// or the time is over.
pub(super) const LARGEST_POOL: usize = 100;

/// How many must be added when the time is over for that to be told from a pool.
pub(super) const LEAST_LEAK: usize = 12;

/// How often polite clients come in number, to let a collector come by.
pub(super) const PRESSED_TIMES: usize = 5;

/// For how long they come.
pub(super) const PRESSED_WITHIN: Duration = Duration::from_secs(10);

/// For how long polite clients fill pools.
pub(super) const WARM_WITHIN: Duration = Duration::from_secs(4);

/// As many workers as a pool may have; Tomcat stops at 200, Apache's event workers at 400.
pub(super) const MOST_IN_A_POOL: usize = 512;

/// A pool that adds no worker for so many clients in a row is full.
pub(super) const FULL_AFTER: usize = 16;
