//! A server's process tree through `/proc` (proc(5)).

use super::proc_file::text_of;
use crate::foreign::LINE;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// One process of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// What it is called, as a line may hold it.
    pub(crate) name: String,
    /// The state letter of the first thread that has not ended: `R`, `S`, `T`, …; `Z` where all have.
    pub(crate) state: char,
    /// Its threads that have not ended.
    pub(crate) threads: usize,
    /// The thread by which `/proc` shows what all of them share. The first one may end long before the others
    /// (pthread_exit(3)), and shows nothing any more.
    spokesman: i32,
}

impl Process {
    pub(crate) fn is_zombie(&self) -> bool {
        has_ended(self.state)
    }

    /// Whether it has ended and its parent has not waited for it; what is orphaned is for `init` to wait for.
    pub(crate) fn is_neglected(&self, init: i32) -> bool {
        self.is_zombie() && self.parent != init
    }

    pub(super) fn read(pid: i32) -> Option<Self> {
        let stat = text_of(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        // A program names its processes as it likes (PR_SET_NAME(2const)), with brackets and ends of lines.
        let name = LINE.text(head.split_once('(')?.1).into_owned();
        // Field 3 of proc_pid_stat(5) is the first of the tail.
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let first = Self {
            pid,
            parent: number(4)? as i32,
            name,
            state: fields.first()?.chars().next()?,
            threads: number(20)? as usize,
            spokesman: pid,
        };
        Some(match first.is_zombie() && first.threads > 1 {
            true => first.by_another_thread(),
            false => first,
        })
    }

    /// The same as a thread shows it that has not ended, where there is one.
    fn by_another_thread(self) -> Self {
        let threads = self.thread_ids().into_iter();
        let mut living = threads.filter_map(|thread| {
            let stat = text_of(format!("/proc/{}/task/{thread}/stat", self.pid)).ok()?;
            let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
            (!has_ended(state)).then_some((thread, state))
        });
        match living.next() {
            Some((spokesman, state)) => Self {
                spokesman,
                state,
                threads: self.threads - 1,
                ..self
            },
            None => self,
        }
    }

    /// Where `/proc` shows what its threads share.
    pub(super) fn folder(&self) -> String {
        // A thread that is there for one client may have ended meanwhile.
        let now = (self.spokesman != self.pid).then(|| Self::read(self.pid));
        let spokesman = now.flatten().map_or(self.spokesman, |now| now.spokesman);
        format!("/proc/{}/task/{spokesman}", self.pid)
    }

    /// A descriptor of it, or of the thread that still has what its first one had (pidfd_open(2)).
    pub(super) fn pidfd(&self) -> Option<OwnedFd> {
        let flags = match self.spokesman == self.pid {
            true => PidfdFlags::empty(),
            false => PidfdFlags::from_bits_retain(PIDFD_THREAD),
        };
        pidfd_open(Pid::from_raw(self.spokesman)?, flags).ok()
    }

    /// The program that it runs; `None` where this may not be seen.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        fs::read_link(format!("{}/exe", self.folder())).ok()
    }

    /// Its memory, a region for each of its mappings (proc_pid_smaps(5)).
    pub(crate) fn memory(&self) -> Memory {
        let smaps = text_of(format!("{}/smaps", self.folder()));
        Memory::parse(&smaps.unwrap_or_default())
    }

    /// Its memory that has a place (the second number of proc_pid_statm(5)), in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let statm = text_of(format!("/proc/{}/statm", self.pid)).unwrap_or_default();
        let pages = statm.split_ascii_whitespace().nth(1);
        let pages: u64 = pages.and_then(|pages| pages.parse().ok()).unwrap_or(0);
        pages * rustix::param::page_size() as u64
    }

    /// Its threads' ids.
    pub(crate) fn thread_ids(&self) -> Vec<i32> {
        threads_of(self.pid)
    }

    /// The folder of one of its threads in `/proc`.
    pub(super) fn folder_of(&self, thread: i32) -> String {
        format!("/proc/{}/task/{thread}", self.pid)
    }

    /// The numbers of its open descriptors.
    pub(crate) fn descriptor_numbers(&self) -> Vec<i32> {
        numbers_in(&format!("{}/fd", self.folder()))
    }

    /// How many it may have open (the soft RLIMIT_NOFILE, proc_pid_limits(5)).
    pub(crate) fn descriptors_limit(&self) -> Option<usize> {
        let limits = text_of(format!("{}/limits", self.folder())).ok()?;
        let mut rows = limits
            .lines()
            .filter_map(|line| line.strip_prefix("Max open files"));
        rows.next()?.split_whitespace().next()?.parse().ok()
    }

    /// Its open descriptors.
    pub(crate) fn descriptors(&self) -> Descriptors {
        let mut found = Descriptors::default();
        let folder = format!("{}/fd", self.folder());
        for number in self.descriptor_numbers() {
            if let Ok(target) = fs::read_link(format!("{folder}/{number}")) {
                *found.targets.entry(target).or_default() += 1;
            }
        }
        found
    }
}

/// Whether a state is that of a thread which has ended.
pub(super) fn has_ended(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

/// `PIDFD_THREAD` (pidfd_open(2), since Linux 6.9): a descriptor of one thread.
const PIDFD_THREAD: u32 = libc::O_EXCL as u32;

/// The process that has a socket, as far as this user may see it.
pub(crate) fn holder(inode: u32) -> Option<Process> {
    let mut processes = numbers_in("/proc").into_iter().filter_map(Process::read);
    processes.find(|process| process.descriptors().sockets().any(|held| held == inode))
}

/// The wait status of a process that has ended and that nobody has waited for yet (field 52 of proc_pid_stat(5)).
pub(super) fn zombie_status(pid: i32) -> Option<i32> {
    let stat = text_of(format!("/proc/{pid}/stat")).ok()?;
    let (_, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let is_zombie = Process::read(pid)?.is_zombie();
    fields.get(52 - 3)?.parse().ok().filter(|_| is_zombie)
}

/// The memory of a process: its mappings in the order of their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    regions: Vec<Region>,
}

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Region {
    start: u64,
    end: u64,
    /// Whether it may be written: what is only reserved has no place yet.
    writable: bool,
    /// What the process alone has written there, in pages or in swap: the kernel takes other pages back when it needs them,
    /// or they are not its alone.
    own_bytes: u64,
}

/// GHC and V8 reserve a tebibyte; AddressSanitizer takes fourteen, the others a hundred.
const MOST_RESERVED: u64 = 8 << 40;

impl Memory {
    pub(super) fn parse(smaps: &str) -> Self {
        let mut regions: Vec<Region> = Vec::new();
        for line in smaps.lines() {
            if let Some(region) = Region::parse(line) {
                regions.push(region);
            } else if let Some(region) = regions.last_mut() {
                let names = ["Private_Dirty:", "Swap:"].into_iter();
                let found = names.filter_map(|name| kibibytes(line, name));
                region.own_bytes = sum(found.chain([region.own_bytes]));
            }
        }
        Self { regions }
    }

    /// How many mappings there are.
    pub(crate) fn mappings(&self) -> usize {
        self.regions.len()
    }

    /// Whether a sanitizer watches it: one that has a shadow byte for each few bytes of all addresses takes more of them than any
    /// program does, and keeps what was freed for a while, to see whether it is used.
    pub(crate) fn is_shadowed(&self) -> bool {
        let reserved = sum(self.regions.iter().map(|region| region.end - region.start));
        reserved > MOST_RESERVED
    }

    /// What the process alone has written, in bytes.
    pub(crate) fn own_bytes(&self) -> u64 {
        sum(self.regions.iter().map(|region| region.own_bytes))
    }

    /// What it has written since in regions that it did not have before. A heap that had its place already may be used up
    /// before it is collected for the first time.
    pub(crate) fn taken_since(&self, before: &Self) -> u64 {
        let taken = self.regions.iter().map(|region| {
            let meets =
                |old: &&Region| old.writable && old.start < region.end && region.start < old.end;
            let old = before.regions.iter().filter(meets);
            // Mappings that have grown, or that were joined since, are held against all that they consist of.
            let (size, written) = old.fold((0, 0), |(size, written), old| {
                (
                    sum([size, old.end - old.start]),
                    sum([written, old.own_bytes]),
                )
            });
            let grown = (region.end - region.start).saturating_sub(size);
            grown.min(region.own_bytes.saturating_sub(written))
        });
        sum(taken)
    }
}

/// All of them, or the most that there is.
fn sum(parts: impl IntoIterator<Item = u64>) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}

impl Region {
    /// Of the line at the head of a mapping, such as `7f12-7f14 rw-p …`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        (start <= end).then_some(())?;
        Some(Self {
            start,
            end,
            writable: words.next()?.contains('w'),
            own_bytes: 0,
        })
    }
}

/// The value of a line such as `Swap:             1234 kB`, in bytes.
fn kibibytes(line: &str, name: &str) -> Option<u64> {
    let value = line.strip_prefix(name)?.trim_end_matches("kB").trim();
    value.parse::<u64>().ok().map(|number| number << 10)
}

/// Open descriptors: how many there are of each target of the links in `/proc/PID/fd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    targets: HashMap<PathBuf, usize>,
}

impl Descriptors {
    /// Adds those of another process. What a parent and its children hold alike is one thing that they share: each
    /// worker of a pool inherits the listening socket and the log.
    pub(crate) fn share_with(&mut self, other: &Self) {
        for (target, count) in &other.targets {
            let held = self.targets.entry(target.clone()).or_default();
            *held = (*count).max(*held);
        }
    }

    /// The inodes of the sockets.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = u32> {
        self.targets.keys().filter_map(|target| socket(target))
    }

    /// How many are sockets.
    pub(crate) fn socket_count(&self) -> usize {
        self.count(|target| socket(target).is_some())
    }

    /// How many of each kind are something else.
    pub(crate) fn file_counts(&self) -> BTreeMap<FileKind, usize> {
        let mut counts = BTreeMap::new();
        for (target, count) in &self.targets {
            if socket(target).is_none() {
                *counts.entry(FileKind::of(target)).or_default() += count;
            }
        }
        counts
    }

    fn count(&self, of: impl Fn(&Path) -> bool) -> usize {
        let counted = self.targets.iter().filter(|(target, _)| of(target));
        counted.map(|(_, count)| count).sum()
    }
}

/// What a descriptor stands for that is no socket.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FileKind {
    /// A file or folder.
    File,
    /// An end of a pipe.
    Pipe,
    /// A device.
    Device,
    /// An epoll instance (epoll(7)).
    Epoll,
    /// An event counter (eventfd(2)).
    EventFd,
    /// A timer (timerfd_create(2)).
    Timer,
    /// Anything else.
    Other,
}

impl FileKind {
    /// Every kind with its name in sentences.
    pub(crate) const ALL: &[(Self, &'static str)] = &[
        (Self::File, "open files"),
        (Self::Pipe, "open ends of pipes"),
        (Self::Device, "open devices"),
        (Self::Epoll, "epoll instances"),
        (Self::EventFd, "event counters"),
        (Self::Timer, "timers"),
        (Self::Other, "other descriptors"),
    ];

    /// The kind of what `/proc/PID/fd` calls a descriptor's target (proc_pid_fd(5)).
    fn of(target: &Path) -> Self {
        let name = target.to_string_lossy();
        let kinds = [
            ("pipe:[", Self::Pipe),
            ("anon_inode:[eventpoll]", Self::Epoll),
            ("anon_inode:[eventfd", Self::EventFd),
            ("anon_inode:[timerfd]", Self::Timer),
            ("anon_inode:", Self::Other),
            ("/dev/", Self::Device),
            ("/", Self::File),
        ];
        let mut kinds = kinds.into_iter();
        kinds
            .find(|(prefix, _)| name.starts_with(prefix))
            .map_or(Self::Other, |(_, kind)| kind)
    }
}

/// The inode of a socket, from what `/proc/PID/fd` calls it.
fn socket(target: &Path) -> Option<u32> {
    let name = target.to_str()?;
    name.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

fn numbers_in(folder: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The processes below `root`, which is not one of them. Orphans are there too: the supervisor inherits them.
pub(crate) fn tree(root: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut waiting = children(root);
    while let Some(pid) = waiting.pop() {
        if let Some(process) = Process::read(pid) {
            // The children of one that has ended are another one's.
            if !process.is_zombie() {
                waiting.extend(children(pid));
            }
            found.push(process);
        }
    }
    found.sort_by_key(|process| process.pid);
    found
}

/// A process and those below it.
pub(crate) fn tree_of(pid: i32) -> Vec<Process> {
    let below = tree(pid);
    Process::read(pid).into_iter().chain(below).collect()
}

fn children(pid: i32) -> Vec<i32> {
    let of = |thread: i32| children_of_thread(&format!("/proc/{pid}/task/{thread}"));
    threads_of(pid).into_iter().flat_map(of).collect()
}

/// The threads of a process. The kernel tells how many there are as links of the folder, as it does of any folder in another, and
/// one that is alone has the number of its process: to list it takes five system calls.
fn threads_of(pid: i32) -> Vec<i32> {
    const OF_AN_EMPTY_FOLDER: u64 = 2;
    let folder = format!("/proc/{pid}/task");
    match rustix::fs::stat(&folder) {
        Ok(found) if found.st_nlink == OF_AN_EMPTY_FOLDER + 1 => vec![pid],
        _ => numbers_in(&folder),
    }
}

/// The children of a thread whose folder in `/proc` this is.
pub(super) fn children_of_thread(folder: &str) -> Vec<i32> {
    let list = text_of(format!("{folder}/children")).unwrap_or_default();
    let pids = list.split_ascii_whitespace();
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    #[test]
    fn child_that_has_ended_is_neglected_by_its_parent_and_not_by_init() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_raw(pid).unwrap()), ended).unwrap();
        let zombie = Process::read(pid).unwrap();
        assert!(zombie.is_neglected(1));
        assert!(!zombie.is_neglected(std::process::id() as i32));
        child.wait().unwrap();
    }

    #[test]
    fn descriptors_are_told_apart_by_what_they_stand_for() {
        let kinds = [
            ("pipe:[12]", FileKind::Pipe),
            ("anon_inode:[eventpoll]", FileKind::Epoll),
            ("anon_inode:[eventfd:7]", FileKind::EventFd),
            ("anon_inode:[timerfd]", FileKind::Timer),
            ("anon_inode:inotify", FileKind::Other),
            ("/dev/null", FileKind::Device),
            ("/var/log/access.log", FileKind::File),
            ("/memfd:heap (deleted)", FileKind::File),
            ("net:[4026531840]", FileKind::Other),
        ];
        for (target, kind) in kinds {
            assert_eq!(FileKind::of(Path::new(target)), kind, "{target}");
        }
    }

    /// Other tests take and give back memory of the same process, so that this one has a process to itself.
    #[test]
    fn memory_of_a_process_is_counted() {
        let name = "kernel::process::tests::memory_of_this_process_is_counted";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name, "--ignored"]).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("1 passed"), "{printed}");
    }

    #[test]
    #[ignore = "it wants a process to itself"]
    fn memory_of_this_process_is_counted() {
        let process = || Process::read(std::process::id() as i32).unwrap();
        let before = process().memory();
        let kept = vec![1_u8; 32 << 20];
        let after = process().memory();
        assert!(after.own_bytes() - before.own_bytes() >= (31 << 20));
        assert!(after.taken_since(&before) >= (31 << 20));
        assert!(after.mappings() > 10);
        assert_eq!(kept.len(), 32 << 20);
    }

    #[test]
    fn memory_is_taken_where_there_was_no_place_for_it() {
        let of = |regions: &[(u64, u64, u64)]| {
            let lines = regions.iter().map(|(start, end, dirty)| {
                format!("{start:x}-{end:x} rw-p 00000000 00:00 0\nSize: 9 kB\nPrivate_Dirty: {dirty} kB\nSwap: 1 kB\n")
            });
            Memory::parse(&lines.collect::<String>())
        };
        let (heap, new) = ((0x10_0000, 0x80_0000), (0xa0_0000, 0xb0_0000));
        let before = of(&[(heap.0, heap.1, 100)]);
        assert_eq!(before.own_bytes(), 101 << 10);
        let used = of(&[(heap.0, heap.1, 5_000)]);
        assert_eq!(used.taken_since(&before), 0);
        let more = of(&[(heap.0, heap.1, 5_000), (new.0, new.1, 300)]);
        assert_eq!(more.taken_since(&before), 301 << 10);
        let reserved = format!("{:x}-{:x} ---p 00000000 00:00 0\n", new.0, new.1);
        assert_eq!(more.taken_since(&Memory::parse(&reserved)), 5_302 << 10);
        let grown = of(&[(heap.0, heap.1 + 0x4000, 5_000)]);
        assert_eq!(grown.taken_since(&before), 16 << 10);
    }

    fn held(targets: &[(&str, usize)]) -> Descriptors {
        let targets = targets
            .iter()
            .map(|(name, count)| (PathBuf::from(name), *count));
        Descriptors {
            targets: targets.collect(),
        }
    }

    #[test]
    fn descriptors_that_workers_inherit_are_counted_once() {
        let mut tree = held(&[("socket:[7]", 1), ("/dev/null", 1)]);
        for _ in 0..20 {
            tree.share_with(&held(&[("socket:[7]", 1), ("/dev/null", 1)]));
        }
        let device = |count| BTreeMap::from([(FileKind::Device, count)]);
        assert_eq!((tree.socket_count(), tree.file_counts()), (1, device(1)));
        tree.share_with(&held(&[("socket:[8]", 1), ("/dev/null", 3)]));
        assert_eq!((tree.socket_count(), tree.file_counts()), (2, device(3)));
        assert_eq!(tree.sockets().sum::<u32>(), 15);
    }
}
