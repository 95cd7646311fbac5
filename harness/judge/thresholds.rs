//! What counts as busy, starved, grown or flooded: every number that a verdict turns on, with its reason.

use std::time::Duration;

/// The share of one processor, in percent, that a server does not use for the chores that some do now and then, clients or
/// none.
pub(super) const CERTAINLY_BUSY: u32 = 50;

/// A time limit that runs out so soon after bytes have come was too short, or the host too slow.
pub(super) const FLOWS_WITHIN: Duration = Duration::from_millis(500);

/// A harness that did not get to run for this part of a limit may have missed what came in time.
pub(super) const STARVED_FROM_A: u32 = 4;

/// A server that ran for more than this part of a limit did not lack the time: whatever kept us waiting, it was busy with
/// something else.
pub(super) const RAN_FROM_A: u32 = 2;

/// What a server may print during a scenario: a line a connection is fair, a line a turn of a busy loop is not.
pub(super) const OUTPUT_BOUND: u64 = 8 << 20;

/// What a server may print beside that for each byte it is sent: one that logs its traffic in hexadecimal, as it comes
/// and as it goes, prints about ten.
pub(super) const LOGGED_FOR_A_BYTE: u64 = 16;

/// Allocators keep what they were given back, and warm-up costs memory.
pub(super) const WARM_UP_MIB: usize = 64;

/// As much garbage as the heap of a process may hold before it is collected, where it takes its address space as it needs it.
pub(super) const HEAP_MIB: usize = 1 << 10;

/// A heap that took less than one byte in so many of what it uses from the system had its place from the beginning.
pub(super) const RESERVED_BEFORE: u64 = 2;

/// What a worker may have for itself: its stack and its part of the heap. One that is a process may have as much as those
/// that were there before, since what they share from before they parted is counted for each.
pub(super) const MIB_OF_A_WORKER: usize = 64;

/// As many bytes as a server may keep for each that it is sent; some are there to keep what they get.
pub(super) const KEPT_FOR_A_BYTE: u64 = 16;

/// As many workers as a pool may have; Tomcat stops at 200, Apache's event workers at 400.
pub(super) const MOST_IN_A_POOL: usize = 512;

/// As many workers as haste may add to a pool that was filled by one client after the other: one for a client that comes
/// while the last is not done with.
pub(super) const ADDED_BY_HASTE: usize = 64;

/// As many files as a worker may hold for itself: an epoll instance, its timer and its bell, a log, a database.
pub(super) const FILES_OF_A_WORKER: usize = 8;

/// A later step of growth that is as large as this part of the first one, or larger, goes on: what is lost with each run
/// may come on top of what the first one warmed up.
pub(super) const GOES_ON_FROM: (usize, usize) = (3, 4);

/// How often a scenario is run at most until it is clear whether what it adds is a leak.
pub(super) const MOST_RUNS: usize = 5;

/// How long a scenario is repeated on a server that goes on adding workers, to tell a leak.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A pool that adds no worker for so many clients in a row is full.
pub(super) const FULL_AFTER: usize = 16;
