//! What we use of the host ourselves: processor time and memory.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The processor time of the thread that asks.
pub(crate) fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// The processor time of this process, the servers that it has started apart.
pub(crate) fn process_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// The most memory that this process has had at a time (VmHWM, proc_pid_status(5)).
pub(crate) fn peak_memory_bytes() -> u64 {
    // The name of a program's file may be no UTF-8, and stands there too.
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
