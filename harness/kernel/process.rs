//! A server's process tree through `/proc` (proc(5)).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One process of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) name: String,
    /// The state letter of the first thread: `R`, `S`, `Z`, `T`, …
    pub(crate) state: char,
    pub(crate) threads: usize,
}

impl Process {
    pub(crate) fn is_zombie(&self) -> bool {
        self.state == 'Z' || self.state == 'X'
    }

    /// Whether it has ended and its parent has not waited for it; what is orphaned is for `init` to wait for.
    pub(crate) fn is_neglected(&self, init: i32) -> bool {
        self.is_zombie() && self.parent != init
    }

    fn read(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        // Field 3 of proc_pid_stat(5) is the first of the tail.
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: number(4)? as i32,
            name,
            state: fields.first()?.chars().next()?,
            threads: number(20)? as usize,
        })
    }

    /// Its memory (proc_pid_statm(5)).
    pub(crate) fn memory(&self) -> Memory {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid)).unwrap_or_default();
        let pages = statm
            .split_ascii_whitespace()
            .map(|word| word.parse::<u64>());
        let mut bytes = pages.map(|pages| pages.unwrap_or(0) * rustix::param::page_size() as u64);
        let mut next = || bytes.next().unwrap_or(0);
        let (address_space_bytes, resident, shared) = (next(), next(), next());
        Memory {
            address_space_bytes,
            own_bytes: resident.saturating_sub(shared),
        }
    }

    /// Its threads' ids.
    pub(crate) fn thread_ids(&self) -> Vec<i32> {
        numbers_in(&format!("/proc/{}/task", self.pid))
    }

    /// The numbers of its open descriptors.
    pub(crate) fn descriptor_numbers(&self) -> Vec<i32> {
        numbers_in(&format!("/proc/{}/fd", self.pid))
    }

    /// Its open descriptors.
    pub(crate) fn descriptors(&self) -> Descriptors {
        let mut found = Descriptors::default();
        let folder = format!("/proc/{}/fd", self.pid);
        for number in self.descriptor_numbers() {
            if let Ok(target) = fs::read_link(format!("{folder}/{number}")) {
                *found.targets.entry(target).or_default() += 1;
            }
        }
        found
    }
}

/// The memory of a process.
pub(crate) struct Memory {
    pub(crate) address_space_bytes: u64,
    /// What is resident, without the pages of files and those that are shared: the kernel takes the first back when it
    /// needs them, and the others are not its alone.
    pub(crate) own_bytes: u64,
}

/// Open descriptors: how many there are of each target of the links in `/proc/PID/fd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    targets: HashMap<PathBuf, usize>,
}

impl Descriptors {
    /// Adds those of another process. What a parent and its children hold alike is one thing that they share: each
    /// worker of a pool inherits the listening socket and the log.
    pub(crate) fn share_with(&mut self, other: Self) {
        for (target, count) in other.targets {
            let held = self.targets.entry(target).or_default();
            *held = count.max(*held);
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

    /// How many are something else.
    pub(crate) fn file_count(&self) -> usize {
        self.count(|target| socket(target).is_none())
    }

    fn count(&self, of: impl Fn(&Path) -> bool) -> usize {
        let counted = self.targets.iter().filter(|(target, _)| of(target));
        counted.map(|(_, count)| count).sum()
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
            waiting.extend(children(pid));
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
    let threads = numbers_in(&format!("/proc/{pid}/task"));
    let lists = threads.iter().filter_map(|thread| {
        fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).ok()
    });
    lists
        .flat_map(|list| {
            let pids: Vec<i32> = list
                .split_ascii_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect();
            pids
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

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
            tree.share_with(held(&[("socket:[7]", 1), ("/dev/null", 1)]));
        }
        assert_eq!((tree.socket_count(), tree.file_count()), (1, 1));
        tree.share_with(held(&[("socket:[8]", 1), ("/dev/null", 3)]));
        assert_eq!((tree.socket_count(), tree.file_count()), (2, 3));
        assert_eq!(tree.sockets().sum::<u32>(), 15);
    }
}
