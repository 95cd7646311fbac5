//! What the supervisor does in its own process: it starts servers, reaps them and opens sockets, as it is asked to.
//!
//! The child of a multi-threaded process may only do what is async-signal-safe (fork(2)): nothing here or
//! below allocates, locks or panics.

use super::birth::Stage;
use super::fork::{keep_only, raw_clone};
use super::hidden::hide;
use super::image::{Place, become_server, is_filtered, map, told};
use super::message::{MOST_SOCKETS, answer, receive_message, retry, send_message};
use super::net_tables::{Limits, take_small_ones, write_file};
use super::own_root::{self, Order};
use super::removal::remove_folder;
use super::socket::check;
use super::supervisor::{MESSAGE_BYTES, MOST_DESCRIPTORS, Operation};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use std::ffi::{CStr, c_int};

/// A process that the supervisor started and has not reaped yet.
#[derive(Clone, Copy)]
pub(super) struct Child {
    pid: i32,
    status: RawFd,
}

pub(super) const MOST_CHARGES: usize = 64;

/// What a supervisor is born with; all of it was allocated before the fork.
pub(super) struct Birth<'a> {
    /// Where the tables of its network are small already: the limits that go with those of the host.
    pub(super) limits: Option<&'a Limits>,
    /// What its root is made with; nothing on the host.
    pub(super) order: Option<Order<'a>>,
}

/// The supervisor's whole life, in the forked process; returns its exit code.
pub(super) fn life(birth: &Birth<'_>, control: RawFd) -> c_int {
    // SAFETY: the descriptor came through the fork and is closed by nobody else in this process.
    let control = unsafe { BorrowedFd::borrow_raw(control) };
    keep_only(control.as_raw_fd());
    let _ = rustix::process::setsid();
    // SAFETY: the disposition of a signal of this process alone. Ignored, it would say nothing of servers.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let root = match settle_in(birth) {
        Ok(root) => root,
        Err((stage, errno)) => return refuse(control, stage, errno),
    };
    let Ok(children) = child_signals() else {
        return 1;
    };
    if tell_of_birth(control, &root).is_err() {
        return 1;
    }
    let mut charges = [None; MOST_CHARGES];
    serve_requests(control, children, &mut charges);
    if let (Some(order), Err(_)) = (&birth.order, &root) {
        // Whoever is left may still write.
        sweep(&mut charges);
        remove_folder(order.folder);
    }
    0
}

/// Tells the harness what failed; returns the exit code.
pub(super) fn refuse(control: BorrowedFd<'_>, stage: Stage, errno: Errno) -> c_int {
    let _ = answer(control, [errno.raw_os_error(), stage as i32, 0], None);
    1
}

/// Hands over a descriptor of this process and one of its root, or says why it has none of its own.
fn tell_of_birth(control: BorrowedFd<'_>, root: &Result<OwnedFd, Errno>) -> Result<(), Errno> {
    let own = rustix::process::pidfd_open(
        rustix::process::getpid(),
        rustix::process::PidfdFlags::empty(),
    )?;
    let why = root.as_ref().err().map_or(0, |errno| errno.raw_os_error());
    let mut words = [0; 12];
    for (place, word) in words.chunks_exact_mut(4).zip([0, 0, why]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    match root {
        Ok(root) => send_message(control, &words, &[own.as_fd(), root.as_fd()]),
        Err(_) => send_message(control, &words, &[own.as_fd()]),
    }
}

/// Comes to be where servers are to live; returns a root of its own, or why there is none.
fn settle_in(birth: &Birth<'_>) -> Result<Result<OwnedFd, Errno>, (Stage, Errno)> {
    let at = |stage| move |errno: Errno| (stage, errno);
    let Some(order) = &birth.order else {
        become_reaper()
            .and_then(|()| hide())
            .map_err(at(Stage::Reaper))?;
        return Ok(Err(Errno::NOSYS));
    };
    end_with_parent().map_err(at(Stage::Namespaces))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", private).map_err(at(Stage::PrivateMounts))?;
    let root = own_root::take(order);
    if root.is_err() {
        live_with_host_root(order.folder)?;
    }
    match birth.limits {
        Some(limits) => limits.set(),
        None => take_small_ones(),
    }
    .map_err(at(Stage::Namespaces))?;
    super::socket::loopback_up().map_err(at(Stage::Loopback))?;
    Ok(root)
}

/// Only what is private to the pid namespace is its own then, and a folder that it removes as its last act.
fn live_with_host_root(folder: &CStr) -> Result<(), (Stage, Errno)> {
    let at = |stage| move |errno: Errno| (stage, errno);
    let processes = own_root::processes().map_err(at(Stage::Processes))?;
    own_root::attach(&processes, CWD, c"/proc").map_err(at(Stage::Processes))?;
    own_root::guard_the_host().map_err(at(Stage::PrivateMounts))?;
    // SAFETY: integers only. Killed, it could not remove the folder.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0, 0) })
        .map_err(at(Stage::Namespaces))?;
    make_own_folder(folder).map_err(at(Stage::Folder))
}

/// Servers that give up root must still be able to write, and no umask narrows that.
pub(super) fn make_own_folder(folder: &CStr) -> Result<(), Errno> {
    rustix::fs::mkdirat(CWD, folder, Mode::RWXU)?;
    let mode = Mode::from_raw_mode(0o1777);
    rustix::fs::chmodat(CWD, folder, mode, AtFlags::empty())
}

pub(super) fn become_reaper() -> Result<(), Errno> {
    // SAFETY: prctl with integer arguments only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

/// Ends with its parent (`PR_SET_PDEATHSIG`, prctl(2)), unless that has ended already. A nursery ends with the harness, also where
/// its supervisors wait for something else than requests; of an end before this they hear from the control socket.
pub(super) fn end_with_parent() -> Result<(), Errno> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })
}

/// Opens a descriptor that is readable when a child has ended; every signal is blocked already.
pub(super) fn child_signals() -> Result<OwnedFd, Errno> {
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
        spawn(a as usize, b != 0, c, descriptors, charges)
    } else if operation == Operation::Sweep as i32 {
        sweep(charges);
        Ok(NOTHING)
    } else if operation == Operation::Write as i32 {
        write_requested(body, a as usize).map(|()| NOTHING)
    } else if operation == Operation::Vanish as i32 {
        let [socket, ..] = descriptors;
        super::socket::vanish(socket).map(|()| NOTHING)
    } else if operation == Operation::Join as i32 {
        let [network, ..] = descriptors;
        join(network).map(|()| NOTHING)
    } else {
        Err(Errno::NOSYS)
    };
    match result {
        Ok(given) => hand_over(control, given),
        Err(errno) => answer(control, [errno.raw_os_error(), 0, 0], None),
    }
    .ok()
}

/// What most answers bring.
const NOTHING: [Option<OwnedFd>; 2] = [const { None }; 2];

/// Answers with these descriptors.
fn hand_over(control: BorrowedFd<'_>, given: [Option<OwnedFd>; 2]) -> Result<(), Errno> {
    let words = [0; 12];
    match &given {
        [Some(one), Some(other)] => send_message(control, &words, &[one.as_fd(), other.as_fd()]),
        [Some(one), None] | [None, Some(one)] => send_message(control, &words, &[one.as_fd()]),
        [None, None] => send_message(control, &words, &[]),
    }
}

/// Its servers, and the sockets that it opens, are in this network from now on (setns(2)).
fn join(network: Option<OwnedFd>) -> Result<(), Errno> {
    let network = network.ok_or(Errno::BADF)?;
    let kind = Some(rustix::thread::LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(network.as_fd(), kind)
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
) -> Result<[Option<OwnedFd>; 2], Errno> {
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
    let streams = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
    let listener = listener.filter(|_| listening);
    let place = Place {
        streams,
        closed,
        parent: rustix::process::getpid(),
    };
    // Goes on when the child has become the server or has ended (CLONE_VFORK, clone(2)): until then both use one table of descriptors,
    // where the child takes a filter on.
    let shared = if is_filtered(image) {
        libc::CLONE_FILES
    } else {
        0
    };
    // SAFETY: the child calls only `become_server`, which is async-signal-safe and does not return on success.
    let pid = unsafe { raw_clone(libc::CLONE_VFORK | shared) };
    if pid == 0 {
        become_server(image, &place, listener.map(IntoRawFd::into_raw_fd));
        // SAFETY: leaves without running destructors of the copied process.
        unsafe { libc::_exit(127) };
    }
    let told = told(image);
    // SAFETY: the mapping was made above and is used no more; of the listener nobody else knows.
    let listener = unsafe {
        libc::munmap(image.cast(), bytes);
        told.listener.map(|fd| OwnedFd::from_raw_fd(fd))
    };
    check(pid as c_int)?;
    if let Some(errno) = told.failure {
        return Err(errno);
    }
    let pid = pid as i32;
    *charge = Some(Child {
        pid,
        status: status.into_raw_fd(),
    });
    let pid = rustix::process::Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    Ok([Some(pidfd), listener])
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
pub(super) fn sweep(charges: &mut [Option<Child>; MOST_CHARGES]) {
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
    let Ok(list) = rustix::fs::open(c"/proc/thread-self/children", flags, Mode::empty()) else {
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
