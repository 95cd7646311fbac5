//! How the processes of a lab end, the server's workers too, whoever waits for them.
//!
//! A parent that waits for its child takes the wait status with it. Two sources outlive that: the kernel's own messages
//! ([`super::births`]), which miss nobody, and a descriptor of the process that was got while it lived, from which Linux
//! 6.15 and newer tell the status for good. Older kernels tell it until the parent has waited, which we see or not. A
//! process that is born and ends between two looks at the tree is seen by the messages alone.

use super::births::{ProcessEvent, ProcessEvents};
use super::process::{Process, tree, zombie_status};
use crate::sys::pidfd::wait_status;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

/// A process that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessEnd {
    pub(crate) pid: i32,
    /// The wait status (wait(2)).
    pub(crate) status: i32,
}

/// How the processes below one that started them end.
#[derive(Debug)]
pub(crate) struct ProcessEnds {
    root: i32,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// `None` where the kernel does not tell us.
    events: Option<ProcessEvents>,
    processes: HashMap<i32, Watched>,
}

/// A process of the lab.
#[derive(Debug, Default)]
struct Watched {
    pidfd: Option<OwnedFd>,
    /// It has been told of.
    has_ended: bool,
}

/// What is subscribed to before there is a lab, so that the kernel can be seen to heed it.
#[derive(Debug)]
pub(crate) struct Subscription(Option<ProcessEvents>);

impl Subscription {
    pub(crate) fn ask() -> Self {
        Self(ProcessEvents::subscribe().ok())
    }
}

impl ProcessEnds {
    /// Watches what `root` starts, which was itself born since the subscription.
    pub(crate) fn below(root: i32, subscription: Subscription) -> Self {
        let tells_of_root = |events: &ProcessEvents| {
            let told = events.take().unwrap_or_default();
            let mut told = told.into_iter();
            told.any(|event| matches!(event, ProcessEvent::Born { pid, .. } if pid == root))
        };
        Self {
            root,
            known: Mutex::new(Known {
                events: subscription.0.filter(tells_of_root),
                processes: HashMap::new(),
            }),
        }
    }

    /// Whether the kernel tells of every birth and every end.
    pub(crate) fn is_told(&self) -> bool {
        self.known.lock().is_ok_and(|known| known.events.is_some())
    }

    /// What becomes readable when there is something to tell, where the kernel tells it.
    pub(crate) fn descriptor(&self) -> Option<OwnedFd> {
        let known = self.known.lock().ok()?;
        known.events.as_ref()?.descriptor()
    }

    /// Those that have ended since the last call, in another way than with status 0.
    pub(crate) fn take(&self) -> Vec<ProcessEnd> {
        let Ok(mut known) = self.known.lock() else {
            return Vec::new();
        };
        match known.events.as_ref().map(ProcessEvents::take) {
            Some(Ok(events)) => known.hear(self.root, &events),
            // Some of it is lost, so that it no longer tells of everybody.
            Some(Err(_)) => {
                known.events = None;
                known.look(&tree(self.root))
            }
            None => known.look(&tree(self.root)),
        }
    }
}

impl Known {
    fn hear(&mut self, root: i32, events: &[ProcessEvent]) -> Vec<ProcessEnd> {
        let mut ended = Vec::new();
        for event in events {
            match *event {
                ProcessEvent::Born { parent, pid }
                    if parent == root || self.processes.contains_key(&parent) =>
                {
                    self.processes.insert(pid, Watched::default());
                }
                // The first thread may end long before the others, which pthread_exit(3) does with status 0; a signal is the
                // end of all of them.
                ProcessEvent::Ended {
                    pid,
                    is_first_thread,
                    status,
                } if is_first_thread && status != 0 || status & 0x7f != 0 => {
                    ended.extend(self.end(pid, status));
                }
                // Of who ends with status 0 nothing is told, and its number may be given to a process of somebody else.
                ProcessEvent::Born { pid, .. } => {
                    self.processes.remove(&pid);
                }
                ProcessEvent::Ended { .. } => {}
            }
        }
        ended
    }

    /// Notes an end; one that is told a second time, by another thread, is known.
    fn end(&mut self, pid: i32, status: i32) -> Option<ProcessEnd> {
        let process = self.processes.get_mut(&pid)?;
        let is_news = !std::mem::replace(&mut process.has_ended, true);
        is_news.then_some(ProcessEnd { pid, status })
    }

    fn look(&mut self, tree: &[Process]) -> Vec<ProcessEnd> {
        for process in tree {
            let watched = self.processes.entry(process.pid).or_default();
            if watched.pidfd.is_none() && !watched.has_ended {
                let pid = Pid::from_raw(process.pid);
                watched.pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            }
        }
        let mut ended = Vec::new();
        for (pid, watched) in &mut self.processes {
            if !watched.has_ended && watched.is_over() {
                watched.has_ended = true;
                let status = watched.wait_status(*pid).filter(|status| *status != 0);
                ended.extend(status.map(|status| ProcessEnd { pid: *pid, status }));
                watched.pidfd = None;
            }
        }
        // The number of one that was waited for may be given to another.
        let listed: HashSet<i32> = tree.iter().map(|process| process.pid).collect();
        self.processes
            .retain(|pid, watched| !watched.has_ended || listed.contains(pid));
        ended
    }
}

impl Watched {
    /// Whether it has ended (pidfd_open(2)).
    fn is_over(&self) -> bool {
        let Some(pidfd) = &self.pidfd else {
            return false;
        };
        let mut ready = [PollFd::new(pidfd, PollFlags::IN)];
        let at_once = rustix::event::Timespec::default();
        matches!(poll(&mut ready, Some(&at_once)), Ok(1..))
    }

    /// From its descriptor where somebody has waited for it already, else from the zombie that is left.
    fn wait_status(&self, pid: i32) -> Option<i32> {
        let kept = || wait_status(self.pidfd.as_ref()?.as_fd());
        // It may be waited for between the two.
        kept().or_else(|| zombie_status(pid)).or_else(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            events: None,
            processes: HashMap::new(),
        }
    }

    /// Of a lab that began with process 1, whose first process is 7.
    fn heard(events: &[ProcessEvent]) -> Vec<ProcessEnd> {
        let first = ProcessEvent::Born { parent: 1, pid: 7 };
        known().hear(1, &[&[first], events].concat())
    }

    fn ended(pid: i32, is_first_thread: bool, status: i32) -> ProcessEvent {
        ProcessEvent::Ended {
            pid,
            is_first_thread,
            status,
        }
    }

    #[test]
    fn worker_that_its_parent_has_waited_for_is_told_of_once() {
        let born = ProcessEvent::Born { parent: 7, pid: 8 };
        let told = heard(&[born, ended(8, false, 11), ended(8, true, 11)]);
        assert_eq!(told, [ProcessEnd { pid: 8, status: 11 }]);
    }

    #[test]
    fn thread_that_ends_with_a_status_of_its_own_ends_no_process() {
        assert_eq!(heard(&[ended(7, false, 0x100)]), []);
        assert_eq!(heard(&[ended(7, true, 0x100)]).len(), 1);
        // The first one has ended by itself, and the others have not.
        let later = [ended(7, true, 0), ended(7, false, 11)];
        assert_eq!(heard(&later), [ProcessEnd { pid: 7, status: 11 }]);
    }

    #[test]
    fn process_of_somebody_else_is_nobody_s_worker() {
        let born = ProcessEvent::Born { parent: 4, pid: 8 };
        assert_eq!(heard(&[born, ended(8, true, 11)]), []);
    }

    #[test]
    fn number_of_a_worker_that_is_gone_may_be_that_of_somebody_else() {
        let worker = ProcessEvent::Born { parent: 7, pid: 8 };
        let stranger = ProcessEvent::Born { parent: 4, pid: 8 };
        let its_child = ProcessEvent::Born { parent: 8, pid: 9 };
        let events = [
            worker,
            stranger,
            its_child,
            ended(9, true, 9),
            ended(8, true, 6),
        ];
        assert_eq!(heard(&events), []);
    }

    #[test]
    fn child_that_was_looked_at_while_it_lived_is_told_of_before_and_after_it_is_waited_for() {
        for is_waited_for in [false, true] {
            let mut child = std::process::Command::new("sh");
            child.args(["-c", "read line; exit 3"]);
            let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
            let pid = child.id() as i32;
            let mut known = known();
            let look = |known: &mut Known| known.look(&tree(std::process::id() as i32));
            let told = |ends: Vec<ProcessEnd>| ends.into_iter().find(|end| end.pid == pid);
            assert_eq!(told(look(&mut known)), None);
            drop(child.stdin.take());
            let ends = if is_waited_for {
                child.wait().unwrap();
                look(&mut known)
            } else {
                let id = rustix::process::WaitId::Pid(Pid::from_raw(pid).unwrap());
                let options =
                    rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
                rustix::process::waitid(id, options).unwrap();
                look(&mut known)
            };
            // Kernels before Linux 6.15 keep nothing of a process that was waited for.
            if let Some(end) = told(ends) {
                assert_eq!(end.status, 0x300);
            } else {
                assert!(is_waited_for);
            }
            assert_eq!(told(look(&mut known)), None);
            child.wait().unwrap();
        }
    }
}
