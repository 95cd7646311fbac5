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
//! The child of a multi-threaded process may only do what is async-signal-safe (fork(2)): nothing in [`life`] or
//! below allocates, locks or panics.

use super::fork::{clone_with_signals_blocked, keep_only, raw_clone, wait_for_child};
use super::message::{
    Answer, MOST_SOCKETS, answer, receive_answer, receive_message, retry, send_message,
};
use super::net_tables::{Limits, ask_for_small_ones, take_small_ones, write_file};
use super::nursery::{Nursery, control_sockets};
use super::own_folders::{self, Kept};
use super::own_memory::give_memory_back;
use super::socket::check;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use std::ffi::{CStr, CString, c_char, c_int};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

/// The namespaces that a supervisor is born into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// Those of the harness.
    Host,
    /// Its own network, pid and mount namespace; needs CAP_SYS_ADMIN.
    Own,
    /// The same inside an own user namespace; needs no privilege where the host permits it.
    OwnInUserNamespace,
}

impl Namespaces {
    fn clone_flags(self) -> c_int {
        let private = libc::CLONE_NEWNET | libc::CLONE_NEWPID | libc::CLONE_NEWNS;
        match self {
            Self::Host => 0,
            Self::Own => private,
            Self::OwnInUserNamespace => private | libc::CLONE_NEWUSER,
        }
    }
}

/// Where the birth of a supervisor failed, and with what.
#[derive(Debug, thiserror::Error)]
#[error("{stage}")]
pub(crate) struct ForkError {
    stage: &'static str,
    #[source]
    source: std::io::Error,
}

/// The stages that can fail in the new process, by their number on the control socket.
const STAGES: [&str; 6] = [
    "creating the namespaces",
    "mapping the user into its namespace",
    "making mounts private",
    "mounting /proc",
    "bringing the loopback interface up",
    "becoming the reaper of descendants",
];

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

/// A supervisor that was forked.
struct Born {
    pid: i32,
    nursed: Option<(Arc<Nursery>, OwnedFd)>,
}

/// The nurseries that somebody holds: for namespaces of root, and for those of others.
static NURSERIES: [Mutex<Weak<Nursery>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

/// Where supervisors are forked into such namespaces: on the host, where they inherit what is orphaned, by the harness alone.
fn nursery(namespaces: Namespaces) -> Option<Arc<Nursery>> {
    let mut current = place(namespaces)?.lock().ok()?;
    let opened = match current.upgrade() {
        Some(opened) => opened,
        None => Arc::new(open_nursery(namespaces).ok()?),
    };
    *current = Arc::downgrade(&opened);
    Some(opened)
}

fn place(namespaces: Namespaces) -> Option<&'static Mutex<Weak<Nursery>>> {
    match namespaces {
        Namespaces::Host => None,
        Namespaces::Own => Some(&NURSERIES[0]),
        Namespaces::OwnInUserNamespace => Some(&NURSERIES[1]),
    }
}

/// Whoever comes next opens another one.
fn forget(namespaces: Namespaces) {
    if let Some(Ok(mut current)) = place(namespaces).map(Mutex::lock) {
        *current = Weak::new();
    }
}

/// It has a network, and where need be a user, namespace of its own: in that one is asked for small tables in those of supervisors.
fn open_nursery(namespaces: Namespaces) -> Result<Nursery, Errno> {
    let maps = IdMaps::of_this_user();
    let user = namespaces.clone_flags() & libc::CLONE_NEWUSER;
    let of_supervisors = namespaces.clone_flags() & !libc::CLONE_NEWUSER;
    Nursery::open([libc::CLONE_NEWNET | user, of_supervisors], || {
        if user != 0 {
            maps.write()?;
        }
        let limits = ask_for_small_ones();
        Ok(move |control: RawFd, kept: &[u8]| {
            let birth = Birth {
                namespaces,
                origin: Origin::Nursery(limits.as_ref()),
                kept,
            };
            life(&birth, control)
        })
    })
}

/// Nothing where there is no nursery, or it cannot fork one: the harness says then what the host refuses.
fn born_in_nursery(namespaces: Namespaces, kept: &Kept, theirs: BorrowedFd<'_>) -> Option<Born> {
    let nursery = nursery(namespaces)?;
    let Ok(newborn) = nursery.bear(kept.as_bytes(), theirs) else {
        // The next one is forked from another.
        forget(namespaces);
        return None;
    };
    Some(Born {
        pid: newborn.pid,
        nursed: Some((nursery, newborn.pidfd)),
    })
}

fn born_of_harness(
    namespaces: Namespaces,
    kept: &Kept,
    theirs: &OwnedFd,
) -> Result<Born, ForkError> {
    let maps = IdMaps::of_this_user();
    let birth = Birth {
        namespaces,
        origin: Origin::Harness(&maps),
        kept: kept.as_bytes(),
    };
    let control = theirs.as_raw_fd();
    let pid = clone_with_signals_blocked(namespaces.clone_flags(), || life(&birth, control));
    let pid = pid.map_err(failed(STAGES[0]))?;
    Ok(Born { pid, nursed: None })
}

fn failed(stage: &'static str) -> impl FnOnce(Errno) -> ForkError {
    move |source| ForkError {
        stage,
        source: source.into(),
    }
}

#[repr(i32)]
#[derive(Clone, Copy)]
enum Operation {
    Spawn = 1,
    Socket = 2,
    Sweep = 3,
    Write = 4,
    Vanish = 5,
}

const MESSAGE_BYTES: usize = 1024;
const MOST_DESCRIPTORS: usize = 6;

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
        let (ours, born) = match born_in_nursery(namespaces, &kept, theirs.as_fd()) {
            Some(born) => (ours, born),
            // One may have been forked all the same: it is told by the end of the sockets that were for it.
            None => {
                let sockets = control_sockets().map_err(failed("opening the control socket"))?;
                let (ours, theirs) = sockets;
                (ours, born_of_harness(namespaces, &kept, &theirs)?)
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

/// The lines that map the user's own ids to themselves in a new user namespace (user_namespaces(7)).
struct IdMaps {
    uid: Vec<u8>,
    gid: Vec<u8>,
}

impl IdMaps {
    fn of_this_user() -> Self {
        let line = |id: u32| format!("{id} {id} 1").into_bytes();
        Self {
            uid: line(rustix::process::geteuid().as_raw()),
            gid: line(rustix::process::getegid().as_raw()),
        }
    }

    /// Maps those of this process, which is in a new user namespace.
    fn write(&self) -> Result<(), Errno> {
        write_file(c"/proc/self/setgroups", b"deny")?;
        write_file(c"/proc/self/gid_map", &self.gid)?;
        write_file(c"/proc/self/uid_map", &self.uid)
    }
}

/// A command laid out in a memory file, so that the supervisor can map it and call `execve` without allocating.
///
/// Words first (counts, then offsets, which the supervisor turns into pointers), then the strings they point to.
struct Image {
    memory: OwnedFd,
    bytes: usize,
}

/// The words before the argument and environment offsets.
#[repr(usize)]
#[derive(Clone, Copy)]
enum Word {
    Program,
    Directory,
    SoftOpenFiles,
    HardOpenFiles,
    Arguments,
    Environment,
    First,
}

/// What the supervisor's child overwrites with its own process id; there is room for the longest.
const LISTEN_PID: &[u8] = b"LISTEN_PID=0000000000";

impl Image {
    fn of(request: &SpawnRequest<'_>) -> Result<Self, Errno> {
        let mut environment: Vec<&[u8]> = request
            .environment
            .iter()
            .map(|entry| entry.to_bytes())
            .collect();
        if request.listener.is_some() {
            environment.extend([LISTEN_PID, b"LISTEN_FDS=1"]);
        }
        let words = Word::First as usize + request.arguments.len() + environment.len() + 2;
        let mut strings = Vec::new();
        let mut place = |text: &[u8]| {
            let offset = words * 8 + strings.len();
            strings.extend_from_slice(text);
            strings.push(0);
            offset as u64
        };
        let [soft, hard] = request.open_files;
        let mut table = vec![
            place(request.program.to_bytes()),
            place(request.directory.to_bytes()),
            soft,
            hard,
            request.arguments.len() as u64,
            environment.len() as u64,
        ];
        table.extend(request.arguments.iter().map(|text| place(text.to_bytes())));
        table.push(0);
        table.extend(environment.iter().map(|text| place(text)));
        table.push(0);
        let mut image: Vec<u8> = table.iter().flat_map(|word| word.to_ne_bytes()).collect();
        image.extend_from_slice(&strings);
        let memory =
            rustix::fs::memfd_create("sockdrill-command", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut rest = image.as_slice();
        while !rest.is_empty() {
            let written = retry(|| rustix::io::write(&memory, rest))?;
            rest = &rest[written..];
        }
        Ok(Self {
            memory,
            bytes: image.len(),
        })
    }
}

/// A process that the supervisor started and has not reaped yet.
#[derive(Clone, Copy)]
struct Child {
    pid: i32,
    status: RawFd,
}

const MOST_CHARGES: usize = 64;

/// What a supervisor is born with; all of it was allocated before the fork.
struct Birth<'a> {
    namespaces: Namespaces,
    origin: Origin<'a>,
    kept: &'a [u8],
}

/// What a supervisor is a copy of.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Harness(&'a IdMaps),
    /// A small process in the user namespace of supervisors. Where the tables of its network are small already, these are the
    /// limits that go with those of the host.
    Nursery(Option<&'a Limits>),
}

/// The supervisor's whole life, in the forked process; returns its exit code.
fn life(birth: &Birth<'_>, control: RawFd) -> c_int {
    // SAFETY: the descriptor came through the fork and is closed by nobody else in this process.
    let control = unsafe { BorrowedFd::borrow_raw(control) };
    keep_only(control.as_raw_fd());
    let _ = rustix::process::setsid();
    // SAFETY: the disposition of a signal of this process alone. Ignored, it would say nothing of servers.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    if let Err((stage, errno)) = settle_in(birth.namespaces, birth.origin) {
        let _ = answer(control, [errno.raw_os_error(), stage, 0], None);
        return 1;
    }
    let own_folders = match birth.namespaces {
        Namespaces::Host => false,
        Namespaces::Own => own_folders::take(birth.kept, false),
        Namespaces::OwnInUserNamespace => own_folders::take(birth.kept, true),
    };
    let namespaces = birth.namespaces;
    if let Origin::Harness(_) = birth.origin {
        give_memory_back();
    }
    let Ok(children) = child_signals() else {
        return 1;
    };
    if answer(control, [0, i32::from(own_folders), 0], None).is_err() {
        return 1;
    }
    let mut charges = [None; MOST_CHARGES];
    serve_requests(control, children, &mut charges);
    end_everything(namespaces, &mut charges);
    0
}

fn settle_in(namespaces: Namespaces, origin: Origin<'_>) -> Result<(), (i32, Errno)> {
    let at = |stage: i32| move |errno: Errno| (stage, errno);
    if namespaces == Namespaces::Host {
        // SAFETY: prctl with integer arguments only.
        let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
        return check(done).map_err(at(5));
    }
    if let (Namespaces::OwnInUserNamespace, Origin::Harness(maps)) = (namespaces, origin) {
        maps.write().map_err(at(1))?;
    }
    // SAFETY: all pointers are to constant, nul-terminated strings, or null where mount(2) allows it.
    unsafe {
        let private = (libc::MS_REC | libc::MS_PRIVATE) as libc::c_ulong;
        let null = std::ptr::null();
        let root = c"/".as_ptr();
        check(libc::mount(null, root, null, private, null.cast())).map_err(at(2))?;
        let quiet = (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC) as libc::c_ulong;
        let proc = c"proc".as_ptr();
        check(libc::mount(
            proc,
            c"/proc".as_ptr(),
            proc,
            quiet,
            null.cast(),
        ))
        .map_err(at(3))?;
    }
    match origin {
        Origin::Nursery(Some(limits)) => limits.set(),
        Origin::Nursery(None) | Origin::Harness(_) => take_small_ones(),
    }
    .map_err(at(0))?;
    super::socket::loopback_up().map_err(at(4))
}

/// Opens a descriptor that is readable when a child has ended; every signal is blocked already.
fn child_signals() -> Result<OwnedFd, Errno> {
    // SAFETY: the set lives on this stack, and the returned descriptor is owned by nobody else.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Answers with as many sockets as it gets of those that are asked for, or with why there is none.
fn open_sockets(control: BorrowedFd<'_>, of: [c_int; 3], many: usize) -> Result<(), Errno> {
    let mut opened = [const { None::<OwnedFd> }; MOST_SOCKETS];
    let mut descriptors = [control; MOST_SOCKETS];
    let mut count = 0;
    for place in opened.iter_mut().take(many) {
        match open_socket(of[0], of[1], of[2]) {
            Ok(socket) => *place = Some(socket),
            Err(errno) if count == 0 => {
                return answer(control, [errno.raw_os_error(), 0, 0], None);
            }
            Err(_) => break,
        }
        count += 1;
    }
    for (place, socket) in descriptors.iter_mut().zip(opened.iter().flatten()) {
        *place = socket.as_fd();
    }
    send_message(control, &[0; 12], &descriptors[..count])
}

fn serve_requests(
    control: BorrowedFd<'_>,
    children: OwnedFd,
    charges: &mut [Option<Child>; MOST_CHARGES],
) {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let mut ready = [
            PollFd::from_borrowed_fd(control, PollFlags::IN),
            PollFd::from_borrowed_fd(children.as_fd(), PollFlags::IN),
        ];
        if retry(|| poll(&mut ready, None)).is_err() {
            return;
        }
        let [asked, ended] = ready.map(|fd| !fd.revents().is_empty());
        if ended {
            let mut scratch = [0u8; 128 * 8];
            let _ = rustix::io::read(&children, &mut scratch);
            reap(charges);
        }
        if asked && serve_one(control, charges).is_none() {
            return;
        }
    }
}

/// Serves one request; `None` when the harness is gone.
fn serve_one(control: BorrowedFd<'_>, charges: &mut [Option<Child>; MOST_CHARGES]) -> Option<()> {
    let mut message = [0u8; MESSAGE_BYTES];
    let mut descriptors = [const { None }; MOST_DESCRIPTORS];
    let received = match receive_message(control, &mut message, &mut descriptors) {
        Err(errno @ Errno::MFILE) => {
            return answer(control, [errno.raw_os_error(), 0, 0], None).ok();
        }
        received => received.ok()?,
    };
    let (head, body) = message.get(..received)?.split_at_checked(16)?;
    let mut words = [0i32; 4];
    for (word, bytes) in words.iter_mut().zip(head.chunks_exact(4)) {
        *word = i32::from_ne_bytes(bytes.try_into().ok()?);
    }
    let [operation, a, b, c] = words;
    if operation == Operation::Socket as i32 {
        let many = i32::from_ne_bytes(body.try_into().ok()?);
        return open_sockets(control, [a, b, c], many as usize).ok();
    }
    let result = if operation == Operation::Spawn as i32 {
        spawn(a as usize, b != 0, c, descriptors, charges).map(Some)
    } else if operation == Operation::Sweep as i32 {
        sweep(charges);
        Ok(None)
    } else if operation == Operation::Write as i32 {
        write_requested(body, a as usize).map(|()| None)
    } else if operation == Operation::Vanish as i32 {
        let [socket, ..] = descriptors;
        super::socket::vanish(socket).map(|()| None)
    } else {
        Err(Errno::NOSYS)
    };
    match result {
        Ok(fd) => answer(control, [0, 0, 0], fd.as_ref().map(AsFd::as_fd)),
        Err(errno) => answer(control, [errno.raw_os_error(), 0, 0], None),
    }
    .ok()
}

fn write_requested(body: &[u8], path_bytes: usize) -> Result<(), Errno> {
    let (path, value) = body.split_at_checked(path_bytes).ok_or(Errno::INVAL)?;
    write_file(
        CStr::from_bytes_with_nul(path).map_err(|_| Errno::INVAL)?,
        value,
    )
}

fn open_socket(family: c_int, kind: c_int, protocol: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: socket(2) with integers; the descriptor it returns is ours alone.
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol);
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn spawn(
    bytes: usize,
    listening: bool,
    closed: c_int,
    descriptors: [Option<OwnedFd>; MOST_DESCRIPTORS],
    charges: &mut [Option<Child>; MOST_CHARGES],
) -> Result<OwnedFd, Errno> {
    let [
        Some(memory),
        Some(stdin),
        Some(stdout),
        Some(stderr),
        Some(status),
        listener,
    ] = descriptors
    else {
        return Err(Errno::BADF);
    };
    let charge = charges
        .iter_mut()
        .find(|charge| charge.is_none())
        .ok_or(Errno::MFILE)?;
    let image = map(&memory, bytes)?;
    let (failure_in, failure_out) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let streams = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
    let listener = listener.filter(|_| listening);
    // SAFETY: the child calls only `become_server`, which is async-signal-safe and does not return on success.
    let pid = unsafe { raw_clone(0) };
    if pid == 0 {
        let listener = listener.map(IntoRawFd::into_raw_fd);
        let errno = become_server(image, streams, closed, listener);
        let _ = rustix::io::write(&failure_out, &errno.raw_os_error().to_ne_bytes());
        // SAFETY: leaves without running destructors of the copied process.
        unsafe { libc::_exit(127) };
    }
    // SAFETY: the mapping was made above and is used no more.
    unsafe { libc::munmap(image.cast(), bytes) };
    check(pid as c_int)?;
    drop(failure_out);
    let mut errno = [0u8; 4];
    if let Ok(4) = retry(|| rustix::io::read(&failure_in, &mut errno)) {
        return Err(Errno::from_raw_os_error(i32::from_ne_bytes(errno)));
    }
    let pid = pid as i32;
    *charge = Some(Child {
        pid,
        status: status.into_raw_fd(),
    });
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
}

fn map(memory: &OwnedFd, bytes: usize) -> Result<*mut u64, Errno> {
    // SAFETY: a fresh private mapping of a file that the harness has filled; checked for failure.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            memory.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(Errno::NOMEM);
    }
    Ok(address.cast())
}

/// Turns the forked child into the server; returns only on failure.
fn become_server(
    image: *mut u64,
    streams: [RawFd; 3],
    closed: c_int,
    listener: Option<RawFd>,
) -> Errno {
    match exec(image, streams, closed, listener) {
        Err(errno) => errno,
        Ok(never) => match never {},
    }
}

fn exec(
    image: *mut u64,
    streams: [RawFd; 3],
    closed: c_int,
    listener: Option<RawFd>,
) -> Result<std::convert::Infallible, Errno> {
    let _ = rustix::process::setsid();
    // SAFETY: integers only. The parent is the supervisor, which cannot have ended: it waits for our answer on a pipe.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
    place_descriptors(streams, listener)?;
    close_streams(closed);
    // SAFETY: the image holds the words counted in `Word`, then offsets, then nul-terminated strings; every offset
    // was made by `Image::of`. The mapping is private, so turning offsets into pointers in place is ours to do.
    unsafe {
        let word = |n: Word| *image.add(n as usize);
        let base = image.cast::<u8>();
        let text = |offset: u64| base.add(offset as usize).cast::<c_char>();
        limit_open_files(word(Word::SoftOpenFiles), word(Word::HardOpenFiles))?;
        let no_core = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &no_core);
        check(libc::chdir(text(word(Word::Directory))))?;
        let arguments = image.add(Word::First as usize);
        let count = word(Word::Arguments) as usize;
        let environment = arguments.add(count + 1);
        relocate(arguments, count, base);
        relocate(environment, word(Word::Environment) as usize, base);
        if listener.is_some() {
            write_listen_pid(environment, word(Word::Environment) as usize);
        }
        default_signals();
        libc::execve(
            text(word(Word::Program)),
            arguments.cast(),
            environment.cast(),
        );
    }
    check(-1)?;
    Err(Errno::NOEXEC)
}

/// Puts the standard streams at 0, 1 and 2 and the listener at 3; marks all above as closed on exec.
fn place_descriptors(streams: [RawFd; 3], listener: Option<RawFd>) -> Result<(), Errno> {
    // SAFETY: descriptor numbers only. Sources are moved above the targets first, so that none is overwritten.
    unsafe {
        let mut high = [0; 3];
        for (place, fd) in high.iter_mut().zip(streams) {
            *place = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10);
            check(*place)?;
        }
        let listener = listener.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10));
        for (target, fd) in (0..).zip(high) {
            check(libc::dup2(fd, target))?;
        }
        let mut first_hidden = 3u32;
        if let Some(fd) = listener {
            check(libc::dup2(fd, 3))?;
            first_hidden = 4;
        }
        let cloexec = 1u32 << 2;
        check(libc::syscall(libc::SYS_close_range, first_hidden, u32::MAX, cloexec) as c_int)
    }
}

/// Closes the standard streams whose bits are set.
fn close_streams(closed: c_int) {
    for fd in (0..3).filter(|fd| closed & 1 << fd != 0) {
        // SAFETY: a descriptor number only, of a stream that was placed there for the server alone.
        unsafe { libc::close(fd) };
    }
}

unsafe fn relocate(words: *mut u64, count: usize, base: *mut u8) {
    for n in 0..count {
        // SAFETY: the caller passes a table of `count` offsets into the mapping at `base`.
        unsafe {
            let word = words.add(n);
            *word = base.add(*word as usize) as u64;
        }
    }
}

unsafe fn write_listen_pid(environment: *mut u64, count: usize) {
    for n in 0..count {
        // SAFETY: the table holds pointers to nul-terminated strings of the private mapping.
        unsafe {
            let entry = *environment.add(n) as *mut c_char;
            if CStr::from_ptr(entry).to_bytes() == LISTEN_PID {
                let place = entry.add(b"LISTEN_PID=".len());
                let mut digits = [0u8; 10];
                let mut count = 0;
                let mut pid = libc::getpid();
                while pid > 0 && count < digits.len() {
                    digits[count] = b'0' + (pid % 10) as u8;
                    pid /= 10;
                    count += 1;
                }
                for (n, digit) in digits[..count].iter().rev().enumerate() {
                    *place.add(n) = *digit as c_char;
                }
                *place.add(count) = 0;
            }
        }
    }
}

fn limit_open_files(soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: the struct lives on this stack.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })
}

/// Restores every signal to its default: Rust programs ignore SIGPIPE, and an ignored signal survives `execve`.
fn default_signals() {
    // SAFETY: dispositions and mask of this process only; failures (SIGKILL, SIGSTOP) are expected.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Reaps all that has ended and reports the charges among it.
fn reap(charges: &mut [Option<Child>; MOST_CHARGES]) {
    let mut status: c_int = 0;
    loop {
        // SAFETY: `status` lives on this stack.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return;
        }
        report(pid, status, charges);
    }
}

fn report(pid: i32, status: c_int, charges: &mut [Option<Child>; MOST_CHARGES]) {
    let ended = charges
        .iter_mut()
        .find(|charge| charge.is_some_and(|c| c.pid == pid));
    if let Some(charge) = ended.and_then(Option::take) {
        // SAFETY: the descriptor was given up to the charge when the process was started.
        let pipe = unsafe { OwnedFd::from_raw_fd(charge.status) };
        let _ = rustix::io::write(&pipe, &status.to_ne_bytes());
    }
}

/// Kills and reaps until the kernel says that there is no child left (ECHILD).
fn sweep(charges: &mut [Option<Child>; MOST_CHARGES]) {
    loop {
        kill_children();
        let mut status: c_int = 0;
        // SAFETY: `status` lives on this stack.
        let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
        if pid > 0 {
            report(pid, status, charges);
        } else if !matches!(check(pid), Err(Errno::INTR)) {
            return;
        }
    }
}

/// Sends SIGKILL to every child; orphaned grandchildren become children and are met in the next round.
fn kill_children() {
    // SAFETY: kill(2) with integers. As process 1 of a pid namespace, -1 means everything in it but us.
    if unsafe { libc::getpid() } == 1 {
        // SAFETY: as above.
        unsafe { libc::kill(-1, libc::SIGKILL) };
        return;
    }
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let Ok(list) = rustix::fs::open(
        c"/proc/thread-self/children",
        flags,
        rustix::fs::Mode::empty(),
    ) else {
        return;
    };
    let mut text = [0u8; 4096];
    let mut pid = 0i32;
    while let Ok(read @ 1..) = rustix::io::read(&list, &mut text) {
        for byte in text.iter().take(read) {
            if byte.is_ascii_digit() {
                pid = pid.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if pid > 1 {
                // SAFETY: a child of ours that nobody else reaps, so its number cannot have been given away.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                pid = 0;
            }
        }
    }
}

/// The last act: as process 1 leaving is enough, on the host the descendants are swept.
fn end_everything(namespaces: Namespaces, charges: &mut [Option<Child>; MOST_CHARGES]) {
    if namespaces == Namespaces::Host {
        sweep(charges);
    }
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
