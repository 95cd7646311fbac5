//! How much a file may ask for: a slip of the finger is an error at its place, and no hour of work.

use std::time::Duration;

/// As many lines as anyone reads in a transcript, and then some.
pub(super) const MOST_TIMES: u32 = 1_000_000;

/// Beyond it stand the limits of ports and open files.
pub(super) const MOST_FILES: u32 = 1_000_000;

/// The clients of a case, all crowds together: one address has no more ports (1024 to 65535), and a process seldom more descriptors.
pub(super) const MOST_CLIENTS: u32 = 64_512;

/// The names of a case, each of which is looked for in every line.
pub(super) const MOST_NAMES: usize = 1_000;

/// Deeper nesting of blocks serves nobody who reads the file.
pub(super) const DEEPEST: usize = 16;

/// Files that include each other; one that includes itself comes to that too.
pub(super) const DEEPEST_INCLUDE: usize = 8;

/// The steps of a file, in all of its cases, which take a few hundred bytes each.
pub(super) const MOST_STEPS: usize = 100_000;

/// The cases of a file, each of which starts a server.
pub(super) const MOST_CASES: usize = 10_000;

/// A line, in bytes, which may hold a payload that is written out.
pub(super) const LONGEST_LINE: usize = 4 << 20;

/// The pieces that a step divides its data into.
pub(super) const MOST_PIECES: usize = 1_000_000;

/// Any time that is written in a step, and all pauses of a case together: time-outs of hours are drilled overnight.
pub(super) const LONGEST_TIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The same in words.
pub(super) const LONGEST_TIME_IN_WORDS: &str = "a week (168h)";
