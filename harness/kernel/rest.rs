//! Whether anything more will come from a server: what its threads wait in, and whether a timer can wake them.

use super::process::Process;
use std::fs;
use std::time::Duration;

/// What a look at a process tree shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stillness {
    /// Every thread sleeps or is stopped.
    pub(crate) at_rest: bool,
    /// Every thread waits in a call without a timeout and no timer is armed: only we can wake it.
    pub(crate) parked: bool,
    /// CPU time of all threads since they began.
    pub(crate) ran: Duration,
    /// The longest time that a thread was ready to run and did not get a processor.
    pub(crate) longest_delay: Duration,
    /// Context switches of all threads: they tell two looks apart between which a thread ran.
    switches: u64,
}

/// Looks at every thread of a process tree.
pub(crate) fn stillness(processes: &[Process]) -> Stillness {
    let mut seen = Stillness {
        at_rest: true,
        parked: true,
        ..Stillness::default()
    };
    for process in processes.iter().filter(|process| !process.is_zombie()) {
        for thread in process.thread_ids() {
            look_at_thread(process.pid, thread, &mut seen);
        }
        seen.parked = seen.parked && !has_timer(process.pid);
    }
    seen
}

fn look_at_thread(pid: i32, thread: i32, seen: &mut Stillness) {
    let folder = format!("/proc/{pid}/task/{thread}");
    let state = thread_state(&folder);
    seen.at_rest &= matches!(state, Some('S' | 'T' | 't' | 'I'));
    seen.parked &= match state {
        Some('T' | 't') => true,
        Some('S') => waits_without_timeout(pid, &folder),
        _ => false,
    };
    // schedstat: nanoseconds on a processor, nanoseconds waiting for one, slices.
    if let Ok(text) = fs::read_to_string(format!("{folder}/schedstat")) {
        let mut numbers = text
            .split_ascii_whitespace()
            .map(|n| n.parse().unwrap_or(0));
        let mut next = || Duration::from_nanos(numbers.next().unwrap_or(0));
        seen.ran += next();
        seen.longest_delay = seen.longest_delay.max(next());
    }
    if let Ok(text) = fs::read_to_string(format!("{folder}/status")) {
        let switches = text.lines().filter(|line| line.contains("ctxt_switches"));
        let counts =
            switches.filter_map(|line| line.rsplit('\t').next()?.trim().parse::<u64>().ok());
        seen.switches += counts.sum::<u64>();
    }
}

/// What each thread of a process tree is doing, as a person reads it, with the number of threads that do the same.
pub(crate) fn occupations(processes: &[Process]) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for process in processes {
        for thread in process.thread_ids() {
            let doing = occupation(&format!("/proc/{}/task/{thread}", process.pid));
            *counts
                .entry(format!("{} {doing}", process.name))
                .or_default() += 1;
        }
    }
    let shown = counts.into_iter().map(|(doing, threads)| match threads {
        1 => doing,
        threads => format!("{doing} ({threads} threads)"),
    });
    shown.collect()
}

fn occupation(folder: &str) -> String {
    match thread_state(folder) {
        Some('R') => "runs".to_owned(),
        Some('T' | 't') => "is stopped".to_owned(),
        Some('Z' | 'X') => "has ended".to_owned(),
        Some('D') => "waits for the disk".to_owned(),
        _ => {
            let text = fs::read_to_string(format!("{folder}/syscall")).unwrap_or_default();
            let number = text
                .split_ascii_whitespace()
                .next()
                .and_then(|word| word.parse().ok());
            let known = WAITS.iter().find(|(call, ..)| Some(*call) == number);
            let sleeps =
                number == Some(libc::SYS_clock_nanosleep) || number == Some(libc::SYS_nanosleep);
            match (known, number) {
                (Some((_, name, _)), _) => format!("waits in {name}"),
                (None, _) if sleeps => "sleeps".to_owned(),
                (None, Some(number)) => format!("waits in system call {number}"),
                (None, None) => "waits".to_owned(),
            }
        }
    }
}

fn thread_state(folder: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// How a system call says that it waits for ever.
#[derive(Clone, Copy)]
enum Forever {
    /// Always.
    Always,
    /// This argument is a pointer to a timeout, and null.
    NullAt(usize),
    /// This argument is a number of milliseconds, and negative.
    NegativeAt(usize),
    /// Waits on the descriptor in the first argument, which may have SO_RCVTIMEO or SO_SNDTIMEO.
    Descriptor,
}

const WAITS: &[(libc::c_long, &str, Forever)] = &[
    (libc::SYS_epoll_pwait, "epoll_pwait", Forever::NegativeAt(3)),
    (libc::SYS_epoll_pwait2, "epoll_pwait2", Forever::NullAt(3)),
    (libc::SYS_ppoll, "ppoll", Forever::NullAt(2)),
    (libc::SYS_pselect6, "pselect6", Forever::NullAt(4)),
    (libc::SYS_futex, "futex", Forever::NullAt(3)),
    (libc::SYS_accept, "accept", Forever::Descriptor),
    (libc::SYS_accept4, "accept4", Forever::Descriptor),
    (libc::SYS_read, "read", Forever::Descriptor),
    (libc::SYS_readv, "readv", Forever::Descriptor),
    (libc::SYS_recvfrom, "recvfrom", Forever::Descriptor),
    (libc::SYS_recvmsg, "recvmsg", Forever::Descriptor),
    (libc::SYS_write, "write", Forever::Descriptor),
    (libc::SYS_writev, "writev", Forever::Descriptor),
    (libc::SYS_sendto, "sendto", Forever::Descriptor),
    (libc::SYS_sendmsg, "sendmsg", Forever::Descriptor),
    (libc::SYS_wait4, "wait4", Forever::Always),
    (libc::SYS_waitid, "waitid", Forever::Always),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend", Forever::Always),
    (
        libc::SYS_rt_sigtimedwait,
        "rt_sigtimedwait",
        Forever::NullAt(2),
    ),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", Forever::NegativeAt(3)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", Forever::NegativeAt(2)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", Forever::NullAt(4)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", Forever::Always),
];

/// Reads `/proc/PID/task/TID/syscall`: the number of the call and its six arguments in hexadecimal.
fn waits_without_timeout(pid: i32, folder: &str) -> bool {
    let Ok(text) = fs::read_to_string(format!("{folder}/syscall")) else {
        return false;
    };
    let mut words = text.split_ascii_whitespace();
    let Some(number) = words
        .next()
        .and_then(|word| word.parse::<libc::c_long>().ok())
    else {
        return false;
    };
    let arguments: Vec<u64> = words
        .filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect();
    let argument = |n: usize| arguments.get(n).copied();
    let wait = WAITS.iter().find(|(call, ..)| *call == number);
    wait.is_some_and(|(_, _, forever)| match forever {
        Forever::Always => true,
        Forever::NullAt(n) => argument(*n) == Some(0),
        Forever::NegativeAt(n) => argument(*n).is_some_and(|timeout| (timeout as i32) < 0),
        Forever::Descriptor => argument(0).is_some_and(|fd| has_no_socket_timeout(pid, fd as i32)),
    })
}

/// Whether a descriptor of another process is no socket, or one without SO_RCVTIMEO and SO_SNDTIMEO (socket(7)).
///
/// The copy made by `pidfd_getfd` is dropped at once: while it is held the process' own close would send no FIN.
fn has_no_socket_timeout(pid: i32, fd: i32) -> bool {
    use rustix::net::sockopt::{Timeout, socket_timeout};
    let is_socket = fs::read_link(format!("/proc/{pid}/fd/{fd}"))
        .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
    if !is_socket {
        return true;
    }
    let copy = rustix::process::Pid::from_raw(pid)
        .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok())
        .and_then(|pidfd| {
            let flags = rustix::process::PidfdGetfdFlags::empty();
            rustix::process::pidfd_getfd(&pidfd, fd, flags).ok()
        });
    copy.is_some_and(|copy| {
        [Timeout::Recv, Timeout::Send]
            .into_iter()
            .all(|which| matches!(socket_timeout(&copy, which), Ok(None)))
    })
}

/// Whether a timer can wake the process: a POSIX timer, an armed timerfd, a caught SIGALRM, or a ring whose waits
/// cannot be seen.
fn has_timer(pid: i32) -> bool {
    let posix =
        fs::read_to_string(format!("/proc/{pid}/timers")).is_ok_and(|text| !text.is_empty());
    posix || catches_alarm(pid) || has_timer_descriptor(pid)
}

fn catches_alarm(pid: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|mask| mask & (1 << (libc::SIGALRM - 1)) != 0)
}

fn has_timer_descriptor(pid: i32) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return true;
    };
    entries.flatten().any(|entry| {
        let Ok(target) = fs::read_link(entry.path()) else {
            return false;
        };
        match target.to_string_lossy().as_ref() {
            "anon_inode:[io_uring]" => true,
            "anon_inode:[timerfd]" => is_armed(pid, &entry.file_name().to_string_lossy()),
            _ => false,
        }
    })
}

fn is_armed(pid: i32, fd: &str) -> bool {
    let Ok(info) = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")) else {
        return true;
    };
    let value = info.lines().find_map(|line| line.strip_prefix("it_value:"));
    value.is_none_or(|value| value.trim() != "(0, 0)")
}
