//! The supervisor: a process of ours that stands between the harness and the server.
//!
//! It is forked without `exec`, from the harness or from a small copy of it ([`super::nursery`]), so it needs no second program
//! and works from any test binary.
//! It starts servers, reaps them, opens sockets where the server lives, and ends everything below it when the
//! harness lets go of the control socket, however the harness ends, `SIGKILL` included.
//!
//! In a namespace the supervisor is process 1 and the kernel takes everything along with it (pid_namespaces(7)). On the
//! plain host it is a child subreaper (`PR_SET_CHILD_SUBREAPER`, prctl(2)) and kills its descendants one by one.
//! Servers get `SIGKILL` as parent-death signal; the supervisor has one thread, so the signal follows the process, not
//! a thread that happens to end.
//!
//! What it does itself is in [`super::life`], how it is forked in [`super::birth`].

use super::birth::{self, Born, ForkError, Namespaces};
use super::fork::wait_for_child;
use super::hidden::look_at_proc;
use super::image::Image;
use super::message::{
    Answer, LOOK, MOST_SOCKETS, await_answer, is_ready, is_stopped, send_message,
};
use super::notification::Listener;
use super::nursery::{Nursery, control_sockets};
use super::root_plan::{self, Writes};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::Signal;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is to be where a supervisor lives.
pub(crate) struct Home<'a> {
    /// A folder for its servers, that goes with it. It is made on the host only where servers have the host's root.
    pub(crate) folder: &'a Path,
    pub(crate) writes: Writes,
}

/// One command for [`Supervisor::spawn`].
pub(crate) struct SpawnRequest<'a> {
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Vec<CString>,
    pub(crate) directory: CString,
    pub(crate) stdin: BorrowedFd<'a>,
    pub(crate) stdout: BorrowedFd<'a>,
    pub(crate) stderr: BorrowedFd<'a>,
    /// Receives the wait status as four native-endian bytes when the process has been reaped.
    pub(crate) status: BorrowedFd<'a>,
    /// The standard descriptors that the process is to find closed.
    pub(crate) closed: &'a [RawFd],
    /// Becomes descriptor 3, with `LISTEN_PID` set to the process (sd_listen_fds(3)).
    pub(crate) listener: Option<BorrowedFd<'a>>,
    /// The soft and the hard limit on open files.
    pub(crate) open_files: [u64; 2],
    /// The instructions of a filter, of whose calls somebody is to be told (seccomp_unotify(2)).
    pub(crate) filter: Option<&'a [u64]>,
}

/// A started process.
pub(crate) struct Spawned {
    pub(crate) pidfd: OwnedFd,
    /// The process id as the harness sees it; 0 where the process has ended already.
    pub(crate) pid: i32,
    /// Tells of the calls that its filter holds up, where it has one.
    pub(crate) listener: Option<Listener>,
}

/// The harness's handle on a supervisor. Dropping it ends the supervisor and everything below it, and waits for that.
#[derive(Debug)]
pub(crate) struct Supervisor {
    control: Mutex<Option<OwnedFd>>,
    born: Born,
    /// The supervisor itself, and its process id as the harness sees it.
    process: Option<(OwnedFd, i32)>,
    root: Option<OwnedFd>,
    why_not_layered: Option<std::io::Error>,
}

#[repr(i32)]
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Spawn = 1,
    Socket = 2,
    Sweep = 3,
    Write = 4,
    Vanish = 5,
    Join = 6,
}

pub(super) const MESSAGE_BYTES: usize = 1024;
pub(super) const MOST_DESCRIPTORS: usize = 6;

impl Supervisor {
    /// Forks a supervisor into `namespaces`, where `home` says what is to be there.
    ///
    /// # Errors
    /// Names the stage at which the host refused.
    pub(crate) fn fork(namespaces: Namespaces, home: &Home<'_>) -> Result<Self, ForkError> {
        let failed = |errno| ForkError::of("opening the control socket", errno);
        look_at_proc();
        let (ours, theirs) = control_sockets().map_err(failed)?;
        let folder = c_string(home.folder)?;
        let (plan, why_not_layered) = root_plan::plan(home.writes);
        let born = match namespaces {
            Namespaces::Host => birth::on_host(&folder, &theirs)?,
            Namespaces::Own | Namespaces::OwnInUserNamespace => {
                let letter = birth::letter(&folder, &layer_size(), &plan);
                birth::in_namespaces(namespaces, &letter, theirs.as_fd())?
            }
        };
        drop(theirs);
        let mut supervisor = Self {
            control: Mutex::new(Some(ours)),
            born,
            process: None,
            root: None,
            why_not_layered: None,
        };
        supervisor.await_birth()?;
        if let Some(error) = why_not_layered {
            supervisor.why_not_layered = Some(std::io::Error::other(error));
        }
        Ok(supervisor)
    }

    /// Waits until it lives, and takes what it hands over.
    fn await_birth(&mut self) -> Result<(), ForkError> {
        let failed = |errno| ForkError::of("hearing from the new process", errno);
        let answer = self.receive().map_err(failed)?;
        let [errno, stage, why_no_root] = answer.words;
        if errno != 0 {
            return Err(ForkError::at(stage, Errno::from_raw_os_error(errno)));
        }
        let mut descriptors = answer.descriptors.into_iter().flatten();
        let process = descriptors.next().ok_or(Errno::SRCH).map_err(failed)?;
        let pid = pid_of(&process).map_err(failed)?;
        self.process = Some((process, pid));
        self.root = descriptors.next();
        self.why_not_layered = match self.root {
            Some(_) => None,
            None => Some(std::io::Error::from_raw_os_error(why_no_root)),
        };
        Ok(())
    }

    /// The process id of the supervisor as the harness sees it.
    pub(crate) fn pid(&self) -> i32 {
        self.process.as_ref().map_or(0, |(_, pid)| *pid)
    }

    /// What it was forked from, if not from the harness: the next one is forked sooner for as long as somebody holds that.
    pub(crate) fn nursery(&self) -> Option<Arc<Nursery>> {
        self.born.nursery.clone()
    }

    /// The root of its servers, where that is not the host's.
    pub(crate) fn root(&self) -> Option<BorrowedFd<'_>> {
        self.root.as_ref().map(AsFd::as_fd)
    }

    /// Why its servers write to the host's own files although that was not wanted.
    pub(crate) fn why_not_layered(&self) -> Option<&std::io::Error> {
        self.why_not_layered.as_ref()
    }

    /// Starts a process below the supervisor.
    ///
    /// # Errors
    /// The errno of `execve`, or of what had to be done before it.
    pub(crate) fn spawn(&self, request: &SpawnRequest<'_>) -> Result<Spawned, Errno> {
        let image = Image::of(request)?;
        let descriptors = [
            Some(image.memory.as_fd()),
            Some(request.stdin),
            Some(request.stdout),
            Some(request.stderr),
            Some(request.status),
            request.listener,
        ];
        let given: Vec<_> = descriptors.into_iter().flatten().collect();
        let head = [
            Operation::Spawn as i32,
            image.bytes as i32,
            i32::from(request.listener.is_some()),
            request.closed.iter().fold(0, |closed, fd| closed | 1 << fd),
        ];
        let answer = self.ask(head, &[], &given)?;
        let mut descriptors = answer.descriptors.into_iter().flatten();
        let pidfd = descriptors.next().ok_or(Errno::SRCH)?;
        let listener = descriptors.next().map(Listener::of);
        let pid = pid_of(&pidfd)?;
        Ok(Spawned {
            pidfd,
            pid,
            listener,
        })
    }

    /// Opens a socket in the supervisor's network namespace.
    pub(crate) fn socket(
        &self,
        family: AddressFamily,
        kind: SocketType,
        protocol: i32,
    ) -> Result<OwnedFd, Errno> {
        let mut opened = self.sockets(family, kind, protocol, 1)?;
        opened.pop().ok_or(Errno::BADF)
    }

    /// Opens up to so many sockets in the supervisor's network namespace, at least one.
    pub(crate) fn sockets(
        &self,
        family: AddressFamily,
        kind: SocketType,
        protocol: i32,
        many: usize,
    ) -> Result<Vec<OwnedFd>, Errno> {
        let head = [
            Operation::Socket as i32,
            i32::from(family.as_raw()),
            kind.as_raw() as i32,
            protocol,
        ];
        let many = many.clamp(1, MOST_SOCKETS) as i32;
        let answer = self.ask(head, &many.to_ne_bytes(), &[])?;
        Ok(answer.descriptors.into_iter().flatten().collect())
    }

    /// Kills and reaps every process below the supervisor; returns when none is left.
    pub(crate) fn sweep(&self) -> Result<(), Errno> {
        self.request([Operation::Sweep as i32, 0, 0, 0], &[], &[])
            .map(drop)
    }

    /// Writes `value` to the file at `path`, as seen from the supervisor's namespaces (sysctls, mostly).
    pub(crate) fn write(&self, path: &CStr, value: &[u8]) -> Result<(), Errno> {
        let mut body = path.to_bytes_with_nul().to_vec();
        body.extend_from_slice(value);
        if body.len() > MESSAGE_BYTES - 16 {
            return Err(Errno::MSGSIZE);
        }
        let head = [
            Operation::Write as i32,
            path.to_bytes_with_nul().len() as i32,
            body.len() as i32,
            0,
        ];
        self.request(head, &body, &[]).map(drop)
    }

    /// Closes the connection behind `socket` without a FIN or RST (`TCP_REPAIR`, tcp(7)); the caller drops its own
    /// descriptor afterwards. Needs CAP_NET_ADMIN over the supervisor's network namespace.
    pub(crate) fn vanish(&self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.request([Operation::Vanish as i32, 0, 0, 0], &[], &[socket])
            .map(drop)
    }

    /// Leaves the network namespace that it was born into for this one: what it starts and opens from now on is there.
    ///
    /// # Errors
    /// It has no rights over it, as over that of another user namespace.
    pub(crate) fn join(&self, network: BorrowedFd<'_>) -> Result<(), Errno> {
        self.request([Operation::Join as i32, 0, 0, 0], &[], &[network])
            .map(drop)
    }

    fn request(
        &self,
        head: [i32; 4],
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Option<OwnedFd>, Errno> {
        Ok(self.ask(head, body, descriptors)?.first())
    }

    fn ask(
        &self,
        head: [i32; 4],
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Answer, Errno> {
        let mut guard = self.control.lock().map_err(|_| Errno::BADF)?;
        let control = guard.as_ref().ok_or(Errno::OWNERDEAD)?;
        let mut message = Vec::with_capacity(16 + body.len());
        for word in head {
            message.extend_from_slice(&word.to_ne_bytes());
        }
        message.extend_from_slice(body);
        send_message(control.as_fd(), &message, descriptors)?;
        let answer = await_answer(control.as_fd(), self.pid());
        if answer
            .as_ref()
            .is_err_and(|errno| *errno == Errno::TIMEDOUT)
        {
            // What it would answer later is nobody's.
            guard.take();
            self.kill();
        }
        let answer = answer?;
        match answer.words[0] {
            0 => Ok(answer),
            errno => Err(Errno::from_raw_os_error(errno)),
        }
    }

    /// Ends it whatever it does; in a namespace all below it goes along, on the host the guard sees to that.
    fn kill(&self) {
        let process = self.process.as_ref().map_or(&self.born.last, |(fd, _)| fd);
        // ESRCH: it has ended.
        let _ = rustix::process::pidfd_send_signal(process, Signal::KILL);
    }

    fn receive(&self) -> Result<Answer, Errno> {
        let guard = self.control.lock().map_err(|_| Errno::BADF)?;
        await_answer(guard.as_ref().ok_or(Errno::BADF)?.as_fd(), self.pid())
    }

    /// Ends it with all below it; false where something is left, as it would be of a process that waits for a dead disk.
    pub(crate) fn end(&self) -> bool {
        if let Ok(mut control) = self.control.lock() {
            control.take();
        }
        let ended = self.is_gone_within(END_WITHIN) || {
            self.kill();
            self.is_gone_within(END_WITHIN)
        };
        if let Some(child) = self.born.child.filter(|_| ended) {
            wait_for_child(child);
        }
        ended
    }

    fn is_gone_within(&self, within: Duration) -> bool {
        let begun = Instant::now();
        let last = &self.born.last;
        while !is_ready(last.as_fd(), LOOK).unwrap_or(true) {
            if pid_of(last).is_ok_and(is_stopped) {
                // A server of the same user has stopped the guard.
                let _ = rustix::process::pidfd_send_signal(last, Signal::CONT);
            }
            if begun.elapsed() >= within {
                return false;
            }
        }
        true
    }
}

/// How long what was killed may take to be gone.
const END_WITHIN: Duration = Duration::from_secs(30);

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end();
    }
}

fn c_string(path: &Path) -> Result<CString, ForkError> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| ForkError::of("naming the lab's folder", Errno::INVAL))
}

/// How much the servers of a lab may write, as tmpfs(5) takes it: an eighth of the memory, so that labs side by side do not take
/// all of it.
fn layer_size() -> CString {
    CString::from(c"12%")
}

/// Reads the process id that the reader's own pid namespace gives to the process behind `pidfd`; 0 once it was reaped,
/// for which the kernel writes -1.
fn pid_of(pidfd: &OwnedFd) -> Result<i32, Errno> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::SRCH))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .and_then(|pid| pid.trim().parse().ok())
        .map(|pid: i32| pid.max(0))
        .ok_or(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_forked_though_what_others_were_forked_from_has_been_killed() {
        let namespaces = Namespaces::OwnInUserNamespace;
        let home = Home {
            folder: Path::new("/tmp/sockdrill-test"),
            writes: Writes::Layer,
        };
        let opens =
            |supervisor: &Supervisor| supervisor.socket(AddressFamily::INET, SocketType::STREAM, 0);
        let Ok(first) = Supervisor::fork(namespaces, &home) else {
            // The host permits no namespaces.
            return;
        };
        if let Some(nursery) = first.nursery() {
            nursery.kill();
        }
        let second = Supervisor::fork(namespaces, &home).unwrap();
        assert!(opens(&second).is_ok());
        assert!(first.end(), "what a nursery has forked ends with it");
    }

    /// A guard gives back all memory that was allocated, in the arenas of threads first of all.
    #[test]
    fn guard_knows_its_folder_whichever_thread_it_is_of() {
        let folders: Vec<_> = (0..8)
            .map(|n| {
                let name = format!("sockdrill-test-{}-{n}", std::process::id());
                std::env::temp_dir().join(name)
            })
            .collect();
        let fork = |folder: &Path| {
            let writes = Writes::Host;
            // Small arenas are not worth giving back.
            let held: Vec<Vec<u8>> = (0..2_048).map(|_| vec![1; 1_024]).collect();
            let made =
                Supervisor::fork(Namespaces::Host, &Home { folder, writes }).map(|supervisor| {
                    let is_there = folder.is_dir();
                    supervisor.end();
                    is_there && !folder.exists()
                });
            drop(held);
            made.map_err(|error| error.to_string())
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = folders
                .iter()
                .map(|folder| scope.spawn(|| fork(folder)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(all, vec![Ok(true); 8]);
    }
}
