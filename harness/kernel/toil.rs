//! What a server that does not rest is at, as far as the kernel counts it for everybody: system calls of a kind are seen by
//! tracers alone, except that proc_pid_io(5) counts those that read and write.

use super::proc_file::text_of;
use super::process::Process;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, Instant};

/// Fewer ticks of a hundredth of a second say little of where they were spent.
const TICKS_TO_TELL: u64 = 20;

/// So many calls in a second are worth a word: a server with nothing to do makes none.
const MANY_CALLS: u64 = 1_000;

/// What a server was at while it was watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Toil {
    /// The part of its processor time that it spent in the kernel, in percent.
    pub(crate) kernel_percent: Option<u32>,
    /// How often in a second it called `read` and the like.
    pub(crate) reads: u64,
    /// How often in a second it called `write` and the like.
    pub(crate) writes: u64,
    /// How many descriptors it may have, where all are in use.
    pub(crate) all_files: Option<u64>,
    /// Connections that wait to be accepted.
    pub(crate) queued: u32,
}

impl Toil {
    /// Whether connections wait that no descriptor is left for.
    pub(crate) fn lacks_files(&self) -> Option<u64> {
        self.all_files.filter(|_| self.queued > 0)
    }
}

impl fmt::Display for Toil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(percent) = self.kernel_percent {
            write!(f, ", {percent} % of that in the kernel")?;
        }
        for (call, times) in [("read", self.reads), ("write", self.writes)] {
            if times >= MANY_CALLS {
                write!(f, ", and calls {call} {times} times a second")?;
            }
        }
        Ok(())
    }
}

/// What the kernel has counted of a server so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labour {
    at: Instant,
    user_ticks: u64,
    kernel_ticks: u64,
    reads: u64,
    writes: u64,
}

impl Labour {
    /// Of all of its processes.
    pub(crate) fn of(processes: &[Process]) -> Self {
        let mut labour = Self {
            at: Instant::now(),
            user_ticks: 0,
            kernel_ticks: 0,
            reads: 0,
            writes: 0,
        };
        for process in processes {
            labour.add(process.pid);
        }
        labour
    }

    fn add(&mut self, pid: i32) {
        let stat = text_of(format!("/proc/{pid}/stat")).unwrap_or_default();
        let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
        // Fields 14 and 15 of proc_pid_stat(5); field 3 is the first of the tail.
        let mut ticks = tail.split_ascii_whitespace().skip(14 - 3);
        let mut next = || ticks.next().and_then(|ticks| ticks.parse::<u64>().ok());
        self.user_ticks += next().unwrap_or(0);
        self.kernel_ticks += next().unwrap_or(0);
        let io = text_of(format!("/proc/{pid}/io")).unwrap_or_default();
        let count = |name| {
            let value = io.lines().find_map(|line| line.strip_prefix(name));
            value.map_or(0, |value| value.trim().parse::<u64>().unwrap_or(0))
        };
        self.reads += count("syscr:");
        self.writes += count("syscw:");
    }

    /// What has been done since then.
    pub(crate) fn since(&self, before: &Self) -> Toil {
        let user = self.user_ticks.saturating_sub(before.user_ticks);
        let kernel = self.kernel_ticks.saturating_sub(before.kernel_ticks);
        let all = user + kernel;
        let time = self.at.saturating_duration_since(before.at);
        Toil {
            kernel_percent: (all >= TICKS_TO_TELL).then(|| (kernel * 100 / all) as u32),
            reads: in_a_second(self.reads.saturating_sub(before.reads), time),
            writes: in_a_second(self.writes.saturating_sub(before.writes), time),
            ..Toil::default()
        }
    }
}

/// Of what came within a part of a second nothing is said.
fn in_a_second(count: u64, time: Duration) -> u64 {
    count / time.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_in_between_is_told_by_its_share_and_its_rate() {
        let at = Instant::now();
        let labour = |seconds, user_ticks, kernel_ticks, reads| Labour {
            at: at + Duration::from_secs(seconds),
            user_ticks,
            kernel_ticks,
            reads,
            writes: 7,
        };
        let toil = labour(5, 110, 390, 60_000).since(&labour(0, 10, 90, 10));
        let told = ", 75 % of that in the kernel, and calls read 11998 times a second";
        assert_eq!(toil.to_string(), told);
        let idle = labour(5, 11, 91, 60).since(&labour(0, 10, 90, 10));
        assert_eq!(idle.to_string(), "");
    }
}
