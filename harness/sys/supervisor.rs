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

use super::birth::{self, ForkError, Namespaces, STAGES, failed};
use super::fork::wait_for_child;
use super::image::Image;
use super::message::{Answer, MOST_SOCKETS, receive_answer, retry, send_message};
use super::nursery::{Nursery, control_sockets};
use super::own_folders::Kept;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The namespaces that a supervisor is born into.

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
}

/// A started process.
pub(crate) struct Spawned {
    pub(crate) pidfd: OwnedFd,
    /// The process id as the harness sees it; 0 where the process has ended already.
    pub(crate) pid: i32,
}

/// The harness's handle on a supervisor. Dropping it ends the supervisor and everything below it, and waits for that.
#[derive(Debug)]
pub(crate) struct Supervisor {
    control: Mutex<Option<OwnedFd>>,
    pid: i32,
    /// Where it was forked, and a descriptor of it, unless it is a child of ours.
    nursed: Option<(Arc<Nursery>, OwnedFd)>,
    has_own_folders: bool,
}

#[repr(i32)]
#[derive(Clone, Copy)]
pub(super) enum Operation {
    Spawn = 1,
    Socket = 2,
    Sweep = 3,
    Write = 4,
    Vanish = 5,
}

pub(super) const MESSAGE_BYTES: usize = 1024;
pub(super) const MOST_DESCRIPTORS: usize = 6;

impl Supervisor {
    /// Forks a supervisor into `namespaces`; in those of its own, `folder` is the same for the harness and for servers,
    /// wherever it lies.
    ///
    /// # Errors
    /// Names the stage at which the host refused.
    pub(crate) fn fork(namespaces: Namespaces, folder: &Path) -> Result<Self, ForkError> {
        let sockets = control_sockets().map_err(failed("opening the control socket"))?;
        let (ours, theirs) = sockets;
        let kept = Kept::of_this_host(folder);
        let (ours, born) = match birth::born_in_nursery(namespaces, &kept, theirs.as_fd()) {
            Some(born) => (ours, born),
            // One may have been forked all the same: it is told by the end of the sockets that were for it.
            None => {
                let sockets = control_sockets().map_err(failed("opening the control socket"))?;
                let (ours, theirs) = sockets;
                (ours, birth::born_of_harness(namespaces, &kept, &theirs)?)
            }
        };
        drop(theirs);
        let mut supervisor = Self {
            control: Mutex::new(Some(ours)),
            pid: born.pid,
            nursed: born.nursed,
            has_own_folders: false,
        };
        supervisor.has_own_folders = supervisor.await_birth()?;
        Ok(supervisor)
    }

    /// Waits until it lives; true where folders for temporary files are its own.
    fn await_birth(&self) -> Result<bool, ForkError> {
        let answer = self.receive().map_err(|source| ForkError {
            stage: "hearing from the new process",
            source: source.into(),
        })?;
        match answer.words {
            [0, own_folders, _] => Ok(own_folders != 0),
            [errno, stage, _] => Err(ForkError {
                stage: STAGES
                    .get(stage as usize)
                    .copied()
                    .unwrap_or("starting the new process"),
                source: std::io::Error::from_raw_os_error(errno),
            }),
        }
    }

    /// The process id of the supervisor as the harness sees it.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// What it was forked from, if not from the harness: the next one is forked sooner for as long as somebody holds that.
    pub(crate) fn nursery(&self) -> Option<Arc<Nursery>> {
        self.nursed.as_ref().map(|(nursery, _)| Arc::clone(nursery))
    }

    /// Whether servers have folders for temporary files of their own.
    pub(crate) fn has_own_folders(&self) -> bool {
        self.has_own_folders
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
        let pidfd = self.request(head, &[], &given)?.ok_or(Errno::SRCH)?;
        let pid = pid_of(&pidfd)?;
        Ok(Spawned { pidfd, pid })
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
        let guard = self.control.lock().map_err(|_| Errno::BADF)?;
        let control = guard.as_ref().ok_or(Errno::BADF)?;
        let mut message = Vec::with_capacity(16 + body.len());
        for word in head {
            message.extend_from_slice(&word.to_ne_bytes());
        }
        message.extend_from_slice(body);
        send_message(control.as_fd(), &message, descriptors)?;
        let answer = receive_answer(control.as_fd())?;
        match answer.words[0] {
            0 => Ok(answer),
            errno => Err(Errno::from_raw_os_error(errno)),
        }
    }

    fn receive(&self) -> Result<Answer, Errno> {
        let guard = self.control.lock().map_err(|_| Errno::BADF)?;
        receive_answer(guard.as_ref().ok_or(Errno::BADF)?.as_fd())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Ok(mut control) = self.control.lock() {
            control.take();
        }
        match &self.nursed {
            Some((_, pidfd)) => until_ended(pidfd),
            None => wait_for_child(self.pid),
        }
    }
}

/// Waits for the end of a process that somebody else's child is. As process 1 it ends when all below it have ended.
fn until_ended(pidfd: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, poll};
    let _ = retry(|| poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None));
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
        let namespaces = match rustix::process::geteuid().is_root() {
            true => Namespaces::Own,
            false => Namespaces::OwnInUserNamespace,
        };
        let folder = std::env::temp_dir();
        let opens =
            |supervisor: &Supervisor| supervisor.socket(AddressFamily::INET, SocketType::STREAM, 0);
        let Ok(first) = Supervisor::fork(namespaces, &folder) else {
            // The host permits no namespaces.
            return;
        };
        if let Some(nursery) = first.nursery() {
            nursery.kill();
        }
        let second = Supervisor::fork(namespaces, &folder).unwrap();
        assert!(opens(&first).is_ok() && opens(&second).is_ok());
    }
}
