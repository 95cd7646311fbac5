//! The processor time of another process, to the nanosecond, by one call however many threads it has.

use std::mem::MaybeUninit;
use std::time::Duration;

/// The processor time that all threads of a process have used (clock_getcpuclockid(3)); `None` where it has ended.
pub(crate) fn processor_time(pid: i32) -> Option<Duration> {
    let mut clock = MaybeUninit::uninit();
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: each call writes what its pointer is to where it succeeds, and only then it is read.
    unsafe {
        if libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) != 0 {
            return None;
        }
        if libc::clock_gettime(clock.assume_init(), time.as_mut_ptr()) != 0 {
            return None;
        }
        let time = time.assume_init();
        Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::processor_time;

    #[test]
    fn grows_while_a_process_runs_and_is_none_of_one_that_is_gone() {
        let mut child = std::process::Command::new("sh");
        let mut child = child.args(["-c", "while :; do :; done"]).spawn().unwrap();
        let pid = child.id() as i32;
        let before = processor_time(pid).unwrap();
        while processor_time(pid).unwrap() == before {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(processor_time(pid), None);
    }
}
