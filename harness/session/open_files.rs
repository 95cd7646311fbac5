//! Limits on open files that a scenario has lowered.

use crate::kernel::Process;
use crate::sys::socket::{keep_open_files, limit_open_files};
use rustix::io::Errno;

/// The limits on open files that are lower than they were.
#[derive(Default)]
pub(super) struct OpenFilesLimits(Vec<Limited>);

struct Limited {
    pid: i32,
    before: u64,
    limit: u64,
}

impl OpenFilesLimits {
    /// Leaves each process so many descriptors, and returns the lowest limit of all of them.
    ///
    /// # Errors
    /// Which process the host does not let us limit, and why.
    pub(super) fn lower(
        &mut self,
        processes: &[Process],
        spare: u32,
    ) -> Result<Option<u64>, String> {
        let mut lowest = None;
        for process in processes {
            let limit = limit_with_room(&process.descriptor_numbers(), spare);
            let pid = process.pid;
            match limit_open_files(pid, limit) {
                Ok(before) => {
                    self.0.push(Limited { pid, before, limit });
                    lowest = Some(lowest.unwrap_or(limit).min(limit));
                }
                Err(Errno::SRCH) => {}
                Err(error) => {
                    return Err(format!(
                        "prlimit({pid}) of {}: {error}; of another user's process it takes CAP_SYS_RESOURCE",
                        process.name
                    ));
                }
            }
        }
        Ok(lowest)
    }

    /// Notes that these processes were started with a limit, which is theirs for good.
    pub(super) fn started_with(&mut self, limit: u64, processes: &[Process]) {
        let limited = processes.iter().map(|process| Limited {
            pid: process.pid,
            before: limit,
            limit,
        });
        self.0.extend(limited);
    }

    /// Gives back what was taken, and returns each limit that stands again.
    pub(super) fn restore(&mut self) -> Vec<u64> {
        let limited = self.0.extract_if(.., |one| one.limit != one.before);
        // ESRCH: a worker that has ended needs no limit.
        let restored = limited.filter(|one| limit_open_files(one.pid, one.before).is_ok());
        restored.map(|one| one.before).collect()
    }

    /// Descriptors in use and the limit on them, in the process with a lowered limit that has the fewest left.
    pub(super) fn fewest_left(&self, processes: &[Process]) -> Option<(u64, u64)> {
        let held = self.0.iter().filter_map(|limited| {
            let mut processes = processes.iter();
            let process = processes.find(|process| process.pid == limited.pid)?;
            let below = |number: &i32| u64::from(number.unsigned_abs()) < limited.limit;
            let held = process.descriptor_numbers().into_iter().filter(below);
            Some((held.count() as u64, limited.limit))
        });
        held.min_by_key(|(held, limit)| limit.saturating_sub(*held))
    }
}

/// Whether the host lets us limit each of these processes: it is asked to set what is set.
pub(super) fn may_be_limited(processes: &[Process]) -> bool {
    let mut processes = processes.iter();
    processes.all(|process| !matches!(keep_open_files(process.pid), Err(Errno::PERM)))
}

/// The lowest limit that leaves each of these processes so many descriptors.
pub(super) fn lowest_with_room(processes: &[Process], spare: u32) -> Option<u64> {
    let limits = processes.iter();
    limits
        .map(|process| limit_with_room(&process.descriptor_numbers(), spare))
        .max()
}

/// The limit below which exactly `room` descriptor numbers are free: the limit is one on numbers (RLIMIT_NOFILE,
/// getrlimit(2)).
fn limit_with_room(used: &[i32], room: u32) -> u64 {
    let free = (0..).filter(|number| !used.contains(number));
    let last = free.take(room as usize).last();
    last.map_or(0, |last| last as u64 + 1)
}
