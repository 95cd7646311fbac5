//! Whether anything more will come from a server: what its threads wait in, and whether a timer can wake them.

use super::proc_file::text_of;
use super::process::{Process, has_ended};
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// What a look at a process tree shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Every thread sleeps or is stopped.
    pub(crate) at_rest: bool,
    /// A thread waits for us to read what it prints, which it goes on with at once.
    pub(crate) prints: bool,
    /// What was read of that so far, in bytes.
    pub(crate) printed_bytes: u64,
    /// Every thread waits in a call without a timeout and no timer is armed: only we can wake it.
    pub(crate) parked: bool,
    /// CPU time of all threads since they began.
    pub(crate) ran: Duration,
    /// The longest time that a thread was ready to run and did not get a processor.
    pub(crate) longest_delay: Duration,
    /// The time that all threads together were ready to run and did not get a processor.
    pub(crate) delayed: Duration,
    /// Context switches of all threads: they tell two looks apart between which a thread ran.
    switches: u64,
    /// Those among them by which a thread went to sleep of its own accord.
    sleeps: u64,
    /// How many calls have waited for an answer from us so far: in each of them a thread sleeps that would have gone on.
    pub(crate) held_up: u64,
}

/// The pipe that we read what a server prints from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputPipe {
    pub(crate) inode: u64,
    /// What was read from it so far.
    pub(crate) bytes: u64,
}

impl Activity {
    /// Whether the server would run, and has had a processor for less than half of the time that has passed since an earlier look.
    pub(crate) fn lacks_a_processor_since(&self, before: &Self, passed: Duration) -> bool {
        !self.at_rest && self.ran.saturating_sub(before.ran) * 2 < passed
    }

    /// How often a thread went to sleep since an earlier look, but for those times when it waited for us.
    fn own_sleeps_since(&self, before: &Self) -> u64 {
        let sleeps = self.sleeps.saturating_sub(before.sleeps);
        sleeps.saturating_sub(self.held_up.saturating_sub(before.held_up))
    }

    /// What there is to be seen where nothing runs, of a server that prints to this pipe.
    pub(super) fn of_nobody(output: OutputPipe) -> Self {
        Self {
            printed_bytes: output.bytes,
            at_rest: true,
            parked: true,
            ..Self::default()
        }
    }
}

/// Looks at every thread of a process tree that prints to this pipe.
pub(crate) fn stillness(processes: &[Process], output: OutputPipe) -> Activity {
    let mut seen = Activity::of_nobody(output);
    for process in processes.iter().filter(|process| !process.is_zombie()) {
        for thread in process.thread_ids() {
            let folder = process.folder_of(thread);
            ThreadLook::of(process, &folder, Pace::of(&folder), output).add_to(&mut seen);
        }
        seen.parked = seen.parked && !has_timer(process);
    }
    seen
}

/// Whether the kernel shows what threads wait in.
pub(crate) fn shows_waits() -> bool {
    fs::read("/proc/thread-self/syscall").is_ok()
}

/// What a server does in its idle moments, with no client there: a game that never rests is as busy as ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Idleness {
    /// The share of one processor that it uses, in percent.
    ran_percent: u32,
    /// The share that it wants: on a loaded host it gets less.
    wanted_percent: u32,
    /// How often a thread goes to sleep of its own accord, in a second.
    sleeps: u64,
}

/// Looks at a server that is asked whether it rests, over a while: a loop that spins is caught sleeping now and then.
#[derive(Debug, Default)]
pub(crate) struct RestDetector {
    idle: Idleness,
    looks: VecDeque<(Instant, Activity)>,
    first: Option<(Instant, Activity)>,
    unchanged: u32,
    /// The time since the first look.
    pub(crate) watched: Duration,
    /// The processor time used since the first look.
    pub(crate) ran: Duration,
    wanted: Duration,
    /// How often a thread went to sleep since the first look, but for those times.
    sleeps: u64,
    /// How many calls have waited for us since the first look.
    held_up: u64,
    printed_bytes: u64,
}

/// The least share of one processor, in percent, that a server uses which does not rest.
pub(crate) const BUSY_FROM: u32 = 20;

/// The least share of one processor, in percent, that a server wants which does not rest: on a loaded host it gets less.
const WANTS_FROM: u32 = 50;

/// The least share of one processor, in percent, that a loop wants which never sleeps: its watch begins and ends in the
/// midst of slices.
const SPINS_FROM: u32 = 80;

/// A loop that waits for a moment in each of its rounds, for a lock or for who reads its log, goes to sleep so many times
/// more often than the server does when it is idle, and at least so often in a second.
const RESTLESS_FROM: (u64, u64) = (4, 50);

/// How long a server must have been seen at rest.
const REST_SHOWS_WITHIN: Duration = Duration::from_millis(250);

/// A loop that spins sleeps less often than once in this time.
const A_WHILE: Duration = Duration::from_millis(200);

/// How many looks tell rest from a moment's pause.
const ENOUGH_LOOKS: usize = 16;

/// What a server may print while it comes to rest, in bytes; a loop that logs each of its rounds prints far more.
const LOG_LINES: u64 = 4 << 10;

/// How many looks in a row at a server whose threads have not run between them show the same.
const UNCHANGED_LOOKS: u32 = 8;

impl RestDetector {
    /// The same for a server of which is known what it does when it is idle.
    pub(crate) fn beside(idle: Idleness) -> Self {
        Self {
            idle,
            ..Self::default()
        }
    }

    /// What the server did at last: by then it rests, if it ever does.
    pub(crate) fn seen(&self) -> Idleness {
        // What it did before it slept is work that it had been given, and what it waited for was its turn on a loaded host.
        if self.has_slept() || self.waits_for_us() {
            return Idleness::default();
        }
        self.seen_lately()
    }

    /// Whether what was seen says how the server idles: the work that it has just been given is none of that.
    pub(crate) fn tells_idleness(&self) -> bool {
        let lately = self.seen_lately();
        let hardly_runs = lately.wanted_percent < BUSY_FROM;
        self.has_slept() || self.waits_for_us() || hardly_runs || self.watched >= REST_SHOWS_WITHIN
    }

    /// Whether nothing has run between the last two looks, and nothing but us wakes the server.
    fn waits_for_us(&self) -> bool {
        let last = self.looks.back();
        self.unchanged > 0 && last.is_some_and(|(_, last)| last.at_rest && last.parked)
    }

    fn seen_lately(&self) -> Idleness {
        let ends = self.looks.front().zip(self.looks.back());
        let Some(((begun, before), (now, still))) = ends else {
            return Idleness::default();
        };
        let watched = *now - *begun;
        let ran = still.ran.saturating_sub(before.ran);
        let wanted = ran + still.delayed.saturating_sub(before.delayed);
        Idleness {
            ran_percent: percent(ran, watched),
            wanted_percent: percent(wanted, watched),
            sleeps: in_a_second(still.own_sleeps_since(before), watched),
        }
    }

    /// Whether the server uses more of a processor than it does when it is idle.
    fn runs(&self) -> bool {
        percent(self.ran, self.watched) >= BUSY_FROM + self.idle.ran_percent
    }

    /// Whether it goes to sleep far more often than it does when it is idle, or hardly at all: work that ends is not done so.
    pub(crate) fn is_a_loop(&self) -> bool {
        let (times, least) = RESTLESS_FROM;
        let sleeps = in_a_second(self.sleeps, self.watched);
        self.sleeps_seldom() || self.floods() || sleeps >= self.idle.sleeps * times + least
    }

    /// Whether it makes call after call that waits for us, and sleeps for far fewer of them: whoever tries again after a pause sleeps
    /// once for each.
    pub(crate) fn is_held_up_in_a_loop(&self) -> bool {
        let (_, least) = RESTLESS_FROM;
        let is_often = in_a_second(self.held_up, self.watched) >= least;
        is_often && self.sleeps * 2 < self.held_up
    }

    fn sleeps_seldom(&self) -> bool {
        u128::from(self.sleeps) * A_WHILE.as_millis() <= self.watched.as_millis()
    }

    fn floods(&self) -> bool {
        self.printed_bytes > LOG_LINES
    }

    /// Whether the server rests by now.
    pub(crate) fn take(&mut self, now: Instant, still: Activity) -> bool {
        let unchanged = self.looks.back().is_some_and(|(_, last)| *last == still);
        self.unchanged = if unchanged { self.unchanged + 1 } else { 0 };
        self.looks.push_back((now, still));
        let (begun, first) = *self.first.get_or_insert((now, still));
        self.watched = now - begun;
        self.ran = still.ran.saturating_sub(first.ran);
        self.wanted = self.ran + still.delayed.saturating_sub(first.delayed);
        self.sleeps = still.own_sleeps_since(&first);
        self.held_up = still.held_up.saturating_sub(first.held_up);
        self.printed_bytes = still.printed_bytes.saturating_sub(first.printed_bytes);
        self.has_slept() || self.has_rested(now, still)
    }

    /// Whether so many looks in a row have found it asleep that nothing of it has run in between.
    fn has_slept(&self) -> bool {
        let sleeps = self.looks.back().is_some_and(|(_, last)| last.at_rest);
        sleeps && self.unchanged >= UNCHANGED_LOOKS
    }

    /// The share of one processor used since the first look, in percent.
    pub(crate) fn cpu_percent(&self) -> u32 {
        percent(self.ran, self.watched)
    }

    /// Whether the server has wanted most of a processor since the first look, whatever it got and does when it is idle.
    pub(crate) fn wants_a_processor(&self) -> bool {
        self.is_held_up_in_a_loop() || percent(self.wanted, self.watched) >= WANTS_FROM
    }

    /// Whether the server has run whenever it got a processor since the first look, beyond what it does when it is idle.
    /// One that works now and then sleeps in between, however long a loaded host makes it wait to run, and hardly uses
    /// what it gets; a loop may sleep in each round, as one that floods its log does while we read it, and beside it other
    /// threads may.
    pub(crate) fn spins(&self) -> bool {
        let wants = percent(self.wanted, self.watched) >= SPINS_FROM + self.idle.wanted_percent;
        let runs_on = wants && (self.sleeps_seldom() || self.floods() || self.runs());
        runs_on || self.is_held_up_in_a_loop()
    }

    /// Whether little processor time was used, and little more was wanted, for long enough. On a loaded machine a loop
    /// that spins gets little and wants all, and one that floods its log waits for who reads it.
    fn has_rested(&mut self, now: Instant, still: Activity) -> bool {
        let old = |(at, _): &(Instant, Activity)| now - *at >= REST_SHOWS_WITHIN;
        // On a loaded host we look seldom, and have to look for longer.
        while self.looks.len() > ENOUGH_LOOKS && self.looks.get(1).is_some_and(old) {
            self.looks.pop_front();
        }
        if self.looks.len() < ENOUGH_LOOKS {
            return false;
        }
        let Some((at, before)) = self.looks.front().copied().filter(old) else {
            return false;
        };
        let ran = still.ran.saturating_sub(before.ran);
        let wanted = ran + still.delayed.saturating_sub(before.delayed);
        // The time that a thread has waited for a processor is counted when it gets one: until then it shows as running.
        let found_running = self.looks.iter().filter(|(_, look)| !look.at_rest).count();
        let floods = still.printed_bytes - before.printed_bytes > LOG_LINES;
        let printed = floods || self.looks.iter().any(|(_, look)| look.prints);
        let runs = found_running * 2 > self.looks.len() && self.idle.wanted_percent < WANTS_FROM;
        percent(ran, now - at) < BUSY_FROM + self.idle.ran_percent
            && percent(wanted, now - at) < WANTS_FROM + self.idle.wanted_percent
            && !printed
            && !runs
            && !self.is_held_up_in_a_loop()
    }
}

fn in_a_second(count: u64, time: Duration) -> u64 {
    match time.as_millis() as u64 {
        0 => 0,
        milliseconds => count * 1_000 / milliseconds,
    }
}

/// A part of a time in percent; of no time at all, nothing.
pub(crate) fn percent(part: Duration, whole: Duration) -> u32 {
    match whole.as_micros() {
        0 => 0,
        whole => (part.as_micros() * 100 / whole) as u32,
    }
}

/// What differs between two looks at a thread that has run in between, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    state: Option<char>,
    /// Nothing where the kernel does not count it.
    schedule: Option<Schedule>,
}

/// What the kernel's scheduler counts of a thread (`schedstat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Schedule {
    ran: Duration,
    delayed: Duration,
    slices: u64,
}

impl Pace {
    /// The pace of a thread whose folder in `/proc` this is.
    pub(super) fn of(folder: &str) -> Self {
        let state = thread_state(folder);
        Self {
            state: state.filter(|state| *state != 'D' || !waits_for_its_child(folder)),
            schedule: text_of(format!("{folder}/schedstat"))
                .ok()
                .and_then(|text| Schedule::parse(&text)),
        }
    }

    /// Whether a thread whose process has not run meanwhile shows this again: it sleeps, and nothing has woken it.
    pub(super) fn is_shown_again(self, folder: &str) -> bool {
        self.tells_stillness() && thread_state(folder) == self.state
    }

    /// How long a thread was kept from running between a look that showed it like this and a later one, so far apart: it was
    /// ready and got no processor, which the kernel counts once it gets one, or it waited for the disk all the time.
    pub(super) fn kept_until(self, later: Self, apart: Duration) -> Duration {
        let (Some(before), Some(now)) = (self.schedule, later.schedule) else {
            return Duration::ZERO;
        };
        match (self.state, later.state) {
            (Some('D'), Some('D')) if before == now => apart,
            _ => now.delayed.saturating_sub(before.delayed),
        }
    }

    /// The processor time that the thread had used.
    pub(super) fn ran(self) -> Duration {
        self.schedule
            .map_or(Duration::ZERO, |schedule| schedule.ran)
    }

    /// Whether a thread that shows the same another time may have waited for a processor in between.
    pub(super) fn is_ready(self) -> bool {
        self.state == Some('R')
    }

    /// Whether a thread that shows the same another time has not run in between: all else is as it was, too.
    pub(super) fn tells_stillness(self) -> bool {
        matches!(self.state, Some('S' | 'T' | 't' | 'I')) && self.schedule.is_some()
    }
}

impl Schedule {
    /// Nanoseconds on a processor, nanoseconds waiting for one, slices.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().ok());
        let schedule = Self {
            ran: Duration::from_nanos(numbers.next()??),
            delayed: Duration::from_nanos(numbers.next()??),
            slices: numbers.next()??,
        };
        // A kernel that counts nothing says so of all.
        (schedule.slices > 0).then_some(schedule)
    }
}

/// Whether a thread that shows as waiting for the disk waits until its child runs another program, or ends (vfork(2)).
fn waits_for_its_child(folder: &str) -> bool {
    let forks = [libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3];
    Call::of(folder).is_some_and(|call| forks.contains(&call.number))
}

/// What a look at a thread shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct ThreadLook {
    pub(super) pace: Pace,
    prints: bool,
    parked: bool,
    switches: u64,
    sleeps: u64,
}

impl ThreadLook {
    /// Looks at a thread of a process that shows this pace, in a folder of `/proc`.
    pub(super) fn of(process: &Process, folder: &str, pace: Pace, output: OutputPipe) -> Self {
        let call = (pace.state == Some('S'))
            .then(|| Call::of(folder))
            .flatten();
        let prints = |call: &Call| call.prints(folder, output);
        let waits = |call: &Call| call.waits_without_timeout(process, folder);
        let status = text_of(format!("{folder}/status")).unwrap_or_default();
        let count = |name| {
            let value = status.lines().find_map(|line| line.strip_prefix(name));
            value.map_or(0, |value| value.trim().parse::<u64>().unwrap_or(0))
        };
        let sleeps = count("voluntary_ctxt_switches:");
        Self {
            pace,
            prints: call.as_ref().is_some_and(prints),
            parked: match pace.state {
                Some('T' | 't') => true,
                _ => call.as_ref().is_some_and(waits),
            },
            switches: sleeps.saturating_add(count("nonvoluntary_ctxt_switches:")),
            sleeps,
        }
    }

    /// Adds it to what is seen of all threads.
    pub(super) fn add_to(self, seen: &mut Activity) {
        // The first thread of a process stays in sight until the last one has ended.
        if self.pace.state.is_some_and(has_ended) {
            return;
        }
        seen.prints |= self.prints;
        seen.at_rest &= matches!(self.pace.state, Some('S' | 'T' | 't' | 'I')) && !seen.prints;
        seen.parked &= self.parked;
        seen.sleeps += self.sleeps;
        seen.switches += self.switches;
        if let Some(schedule) = self.pace.schedule {
            seen.ran += schedule.ran;
            seen.longest_delay = seen.longest_delay.max(schedule.delayed);
            seen.delayed += schedule.delayed;
        }
    }
}

/// The system call that a thread is in (`/proc/PID/task/TID/syscall`).
struct Call {
    number: libc::c_long,
    arguments: Vec<u64>,
}

impl Call {
    fn of(folder: &str) -> Option<Self> {
        let text = text_of(format!("{folder}/syscall")).ok()?;
        let mut words = text.split_ascii_whitespace();
        let number = words.next()?.parse().ok()?;
        let arguments =
            words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        Some(Self {
            number,
            arguments: arguments.collect(),
        })
    }

    fn argument(&self, n: usize) -> Option<u64> {
        self.arguments.get(n).copied()
    }

    /// Whether a thread waits for us to read what it prints: it goes on as soon as we have.
    fn prints(&self, folder: &str, output: OutputPipe) -> bool {
        let writes = matches!(self.number, libc::SYS_write | libc::SYS_writev);
        let file = self.argument(0).filter(|_| writes);
        file.is_some_and(|file| is_pipe(&format!("{folder}/fd/{file}"), output.inode))
    }

    fn wait(&self) -> Option<&'static Wait> {
        WAITS.iter().find(|(call, ..)| *call == self.number)
    }

    /// Whether only what is waited for ends it.
    fn waits_without_timeout(&self, process: &Process, folder: &str) -> bool {
        self.wait().is_some_and(|(_, _, forever)| match forever {
            Forever::Always => true,
            Forever::NullAt(n) => self.argument(*n) == Some(0),
            Forever::NegativeAt(n) => self.argument(*n).is_some_and(|time| (time as i32) < 0),
            Forever::Descriptor => self
                .argument(0)
                .is_some_and(|fd| has_no_socket_timeout(process, fd as i32)),
            Forever::Signals => {
                let set = self.argument(0).and_then(|at| signal_set_at(folder, at));
                self.argument(2) == Some(0) && set.is_some_and(|set| !has_alarm(set))
            }
        })
    }
}

/// Whether a link in `/proc/PID/fd` is to a pipe: the standard output of a child may be a client's socket, or a pipe to
/// another process of the server.
fn is_pipe(link: &str, inode: u64) -> bool {
    let target = fs::read_link(link).unwrap_or_default();
    target.as_os_str() == format!("pipe:[{inode}]").as_str()
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

pub(super) fn occupation(folder: &str) -> String {
    match thread_state(folder) {
        Some('R') => "runs".to_owned(),
        Some('T' | 't') => "is stopped".to_owned(),
        Some('Z' | 'X') => "has ended".to_owned(),
        Some('D') => "waits for the disk".to_owned(),
        _ => {
            let call = Call::of(folder);
            let known = call.as_ref().and_then(Call::wait);
            let number = call.as_ref().map(|call| call.number);
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
    let stat = text_of(format!("{folder}/stat")).ok()?;
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
    /// Waits for the signals in the set that the first argument points to; the third is a timeout, and null.
    Signals,
}

/// A system call, its name, and how it says that it waits for ever.
type Wait = (libc::c_long, &'static str, Forever);

const WAITS: &[Wait] = &[
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
    // Who waits there waits for a lock that another process has (fcntl(2), F_SETLKW).
    (libc::SYS_flock, "flock", Forever::Always),
    (libc::SYS_fcntl, "fcntl", Forever::Always),
    (libc::SYS_semop, "semop", Forever::Always),
    (libc::SYS_msgrcv, "msgrcv", Forever::Always),
    (libc::SYS_wait4, "wait4", Forever::Always),
    (libc::SYS_waitid, "waitid", Forever::Always),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend", Forever::Always),
    (
        libc::SYS_rt_sigtimedwait,
        "rt_sigtimedwait",
        Forever::Signals,
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

/// Reads a signal set, as the kernel has it, from the memory of another process.
fn signal_set_at(folder: &str, address: u64) -> Option<u64> {
    let memory = fs::File::open(format!("{folder}/mem")).ok()?;
    let mut set = [0; 8];
    memory.read_exact_at(&mut set, address).ok()?;
    Some(u64::from_ne_bytes(set))
}

fn has_alarm(set: u64) -> bool {
    set & (1 << (libc::SIGALRM - 1)) != 0
}

/// Whether a descriptor of another process is no socket, or one without SO_RCVTIMEO and SO_SNDTIMEO (socket(7)).
///
/// The copy made by `pidfd_getfd` is dropped at once: while it is held the process' own close would send no FIN.
fn has_no_socket_timeout(process: &Process, fd: i32) -> bool {
    use rustix::net::sockopt::{Timeout, socket_timeout};
    let is_socket = fs::read_link(format!("{}/fd/{fd}", process.folder()))
        .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
    if !is_socket {
        return true;
    }
    let copy = process.pidfd().and_then(|pidfd| {
        let flags = rustix::process::PidfdGetfdFlags::empty();
        rustix::process::pidfd_getfd(&pidfd, fd, flags).ok()
    });
    copy.is_some_and(|copy| {
        [Timeout::Recv, Timeout::Send]
            .into_iter()
            .all(|which| matches!(socket_timeout(&copy, which), Ok(None)))
    })
}

/// Whether a timer can wake the process: a POSIX timer, an armed timerfd, SIGALRM, or a ring whose waits cannot be seen.
pub(super) fn has_timer(process: &Process) -> bool {
    let timers = text_of(format!("/proc/{}/timers", process.pid));
    let posix = timers.is_ok_and(|text| !text.is_empty());
    let folder = process.folder();
    posix || may_be_alarmed(&folder) || has_timer_descriptor(&folder)
}

/// Whether SIGALRM would not simply end the process: it is caught, or blocked to be read from a signalfd(2). Of an
/// interval timer that is armed (setitimer(2)) the kernel shows nothing.
pub(super) fn may_be_alarmed(folder: &str) -> bool {
    let Ok(status) = text_of(format!("{folder}/status")) else {
        return true;
    };
    ["SigCgt:", "SigBlk:"].into_iter().any(|name| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_none_or(has_alarm)
    })
}

fn has_timer_descriptor(folder: &str) -> bool {
    let Ok(entries) = fs::read_dir(format!("{folder}/fd")) else {
        return true;
    };
    entries.flatten().any(|entry| {
        let Ok(target) = fs::read_link(entry.path()) else {
            return false;
        };
        match target.to_string_lossy().as_ref() {
            "anon_inode:[io_uring]" => true,
            "anon_inode:[timerfd]" => is_armed(folder, &entry.file_name().to_string_lossy()),
            _ => false,
        }
    })
}

pub(super) fn is_armed(folder: &str, fd: &str) -> bool {
    let Ok(info) = text_of(format!("{folder}/fdinfo/{fd}")) else {
        return true;
    };
    let value = info.lines().find_map(|line| line.strip_prefix("it_value:"));
    value.is_none_or(|value| value.trim() != "(0, 0)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 5 ms at a thread that runs and waits for a processor for so many microseconds in between.
    fn rests_after(looks: u32, ran: u64, delayed: u64) -> bool {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        let look = |n: u32| Activity {
            // Caught asleep at every look, as a loop may be that writes to a log.
            at_rest: true,
            ran: Duration::from_micros(ran) * n,
            delayed: Duration::from_micros(delayed) * n,
            switches: u64::from(n) * u64::from(ran > 0),
            ..Activity::default()
        };
        let times = (0..looks).map(|n| (begun + Duration::from_millis(5) * n, look(n)));
        times
            .map(|(at, still)| watch.take(at, still))
            .last()
            .unwrap_or(false)
    }

    /// Looks every 5 ms for two seconds at a thread that runs for half a millisecond, waits for a processor for four,
    /// and goes to sleep so many times and prints so many bytes in between.
    fn spins(sleeps: u64, printed_bytes: u64) -> bool {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        for n in 0..400 {
            let still = Activity {
                ran: Duration::from_micros(500) * n,
                delayed: Duration::from_millis(4) * n,
                sleeps: sleeps * u64::from(n),
                printed_bytes: printed_bytes * u64::from(n),
                ..Activity::default()
            };
            watch.take(begun + Duration::from_millis(5) * n, still);
        }
        watch.spins()
    }

    #[test]
    fn server_that_would_run_and_may_not_lacks_a_processor() {
        let passed = Duration::from_millis(500);
        let lacks = |ran, at_rest| {
            let now = Activity {
                ran: Duration::from_millis(ran),
                at_rest,
                ..Activity::default()
            };
            now.lacks_a_processor_since(&Activity::default(), passed)
        };
        assert!(lacks(100, false));
        assert!(!lacks(300, false));
        assert!(!lacks(100, true));
    }

    /// A loaded host gives it a processor late for the last that it has to do; then it sleeps.
    #[test]
    fn server_that_came_late_to_its_rest_is_idle_then() {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        for n in 0..10 {
            let has_run = n > 0;
            let still = Activity {
                at_rest: true,
                delayed: Duration::from_millis(40) * u32::from(has_run),
                switches: u64::from(has_run),
                ..Activity::default()
            };
            watch.take(begun + Duration::from_millis(5) * n, still);
        }
        assert_eq!(watch.seen(), Idleness::default());
    }

    /// What a server does that has come to its rest by the last of these looks, each 5 ms after the one before.
    fn idles(looks: &[(u64, bool)]) -> (bool, Idleness) {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        for (n, (wanted, parked)) in (0..).zip(looks) {
            let still = Activity {
                at_rest: true,
                parked: *parked,
                delayed: Duration::from_millis(*wanted),
                switches: *wanted,
                ..Activity::default()
            };
            watch.take(begun + Duration::from_millis(5) * n, still);
        }
        (watch.tells_idleness(), watch.seen())
    }

    /// On a loaded host the last client's request is answered late: that is no way to idle, and no measure for a loop.
    #[test]
    fn work_that_was_given_is_no_idling() {
        let (tells, nothing) = idles(&[(0, true), (4, true), (4, true)]);
        assert!(tells);
        assert_eq!(nothing, Idleness::default());
        // A timer may wake it: it is looked at for longer.
        assert!(!idles(&[(0, false), (4, false), (4, false)]).0);
        assert!(!idles(&[(0, true), (4, true)]).0);
        let hardly: Vec<_> = (0..6).map(|n| (n / 5, false)).collect();
        assert!(idles(&hardly).0);
        let always: Vec<_> = (0..60).map(|n| (4 * n, false)).collect();
        let (tells, idles) = idles(&always);
        assert!(tells);
        assert_eq!(idles.wanted_percent, 80);
    }

    #[test]
    fn loop_that_gets_little_spins_and_a_timer_that_is_late_does_not() {
        assert!(spins(0, 0));
        assert!(!spins(1, 0));
    }

    #[test]
    fn loop_that_floods_its_log_spins_although_it_sleeps_while_that_is_read() {
        assert!(spins(1, 80));
        assert!(!spins(1, 8));
    }

    /// A server of which so much is known, that wants so much of a processor.
    fn busy_as(idle: Idleness, ran: u64) -> (bool, bool) {
        let (mut watch, begun) = (RestDetector::beside(idle), Instant::now());
        let looks = (0..400).map(|n| {
            let still = Activity {
                ran: Duration::from_micros(ran) * n,
                switches: u64::from(n),
                ..Activity::default()
            };
            watch.take(begun + Duration::from_millis(5) * n, still)
        });
        let rests = looks.last().unwrap_or(false);
        (rests, watch.spins())
    }

    #[test]
    fn loop_that_never_rests_is_held_against_what_it_does_when_it_is_idle() {
        let game = Idleness {
            ran_percent: 97,
            wanted_percent: 97,
            sleeps: 30,
        };
        assert_eq!(busy_as(game, 4_850), (true, false));
        assert_eq!(busy_as(Idleness::default(), 4_850), (false, true));
        // A second thread that spins.
        assert_eq!(busy_as(game, 9_850), (false, true));
    }

    #[test]
    fn loop_that_sleeps_in_each_round_spins_where_it_uses_what_it_gets() {
        let spins = |ran, delayed| {
            let (mut watch, begun) = (RestDetector::default(), Instant::now());
            for n in 0..400 {
                let still = Activity {
                    ran: Duration::from_micros(ran) * n,
                    delayed: Duration::from_micros(delayed) * n,
                    sleeps: 20 * u64::from(n),
                    ..Activity::default()
                };
                watch.take(begun + Duration::from_millis(5) * n, still);
            }
            watch.spins()
        };
        assert!(spins(1_200, 3_500));
        // Timers of many clients, on a loaded host.
        assert!(!spins(200, 20_000));
    }

    #[test]
    fn threads_that_do_not_run_rest_after_a_few_looks() {
        assert!(!rests_after(5, 0, 0));
        assert!(rests_after(10, 0, 0));
    }

    #[test]
    fn loop_that_spins_never_rests_however_little_it_gets() {
        assert!(!rests_after(1_000, 4_800, 0));
        assert!(!rests_after(1_000, 500, 4_000));
    }

    /// Whether any of so many looks at what `look` says, so far apart, finds rest.
    fn ever_rests(looks: u32, apart: Duration, look: impl Fn(u32) -> Activity) -> bool {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        (0..looks).any(|n| watch.take(begun + apart * n, look(n)))
    }

    #[test]
    fn loop_that_waits_for_its_log_to_be_read_never_rests() {
        let look = |n: u32| Activity {
            prints: n.is_multiple_of(20),
            ran: Duration::from_micros(100) * n,
            switches: u64::from(n),
            ..Activity::default()
        };
        assert!(!ever_rests(1_000, Duration::from_millis(5), look));
    }

    #[test]
    fn loop_that_waits_for_a_processor_never_rests() {
        let look = |n: u32| Activity {
            ran: Duration::from_millis(1) * n,
            ..Activity::default()
        };
        assert!(!ever_rests(100, Duration::from_millis(20), look));
    }

    /// What it prints fits into the pipe between two looks.
    #[test]
    fn loop_that_logs_never_rests_where_we_look_seldom() {
        let look = |n: u32| Activity {
            at_rest: n.is_multiple_of(2),
            ran: Duration::from_millis(5) * n,
            printed_bytes: (16 << 10) * u64::from(n),
            ..Activity::default()
        };
        assert!(!ever_rests(100, Duration::from_millis(100), look));
    }

    #[test]
    fn server_that_wakes_now_and_then_rests_in_the_end() {
        assert!(!rests_after(20, 100, 50));
        assert!(rests_after(60, 100, 50));
    }

    /// Whether any of two seconds' looks, 5 ms apart, finds rest in a server that makes so many calls in between, in each of which it
    /// waits for us, and goes to sleep so often besides; and whether it spins by then.
    fn held_up(calls: u64, own_sleeps: u64) -> (bool, bool) {
        let (mut watch, begun) = (RestDetector::default(), Instant::now());
        let mut rests = false;
        for n in 0..400 {
            let times = u64::from(n);
            let still = Activity {
                // Caught asleep at every look, for it waits for us.
                at_rest: true,
                ran: Duration::from_micros(20) * n,
                sleeps: (calls + own_sleeps) * times,
                switches: (calls + own_sleeps) * times,
                held_up: calls * times,
                ..Activity::default()
            };
            rests |= watch.take(begun + Duration::from_millis(5) * n, still);
        }
        (rests, watch.spins())
    }

    #[test]
    fn loop_whose_calls_wait_for_us_spins_however_little_it_runs() {
        assert_eq!(held_up(10, 0), (false, true));
        assert_eq!(held_up(1, 0), (false, true));
    }

    #[test]
    fn server_that_sleeps_once_for_each_call_that_waits_for_us_rests() {
        assert_eq!(held_up(1, 1), (true, false));
        // It makes no call at all.
        assert_eq!(held_up(0, 1), (true, false));
    }

    #[test]
    fn sleep_in_a_call_that_waits_for_us_is_none_of_its_own() {
        let look = |sleeps, held_up| Activity {
            sleeps,
            held_up,
            ..Activity::default()
        };
        assert_eq!(look(30, 20).own_sleeps_since(&look(10, 5)), 5);
        // One was answered before its thread had gone to sleep.
        assert_eq!(look(12, 20).own_sleeps_since(&look(10, 5)), 0);
        assert_eq!(look(30, 5).own_sleeps_since(&look(10, 5)), 20);
    }
}
