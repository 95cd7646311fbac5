//! A command laid out in a memory file, and the process that it becomes.

use super::message::retry;
use super::notification;
use super::socket::check;
use super::supervisor::SpawnRequest;
use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::{CStr, c_char, c_int};

/// A command laid out in a memory file, so that the supervisor can map it and call `execve` without allocating.
///
/// Words first (counts, then offsets, which the supervisor turns into pointers), then the strings they point to.
pub(super) struct Image {
    pub(super) memory: OwnedFd,
    pub(super) bytes: usize,
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
    /// How many instructions the filter has; it stands behind the offsets.
    Filter,
    /// What the child tells: the errno with which it failed, and the listener of its filter, each and one more.
    Failure,
    Listener,
    First,
}

/// What a child has told of its way to become the server.
pub(super) struct Told {
    /// Why it has not become it.
    pub(super) failure: Option<Errno>,
    /// The listener of its filter, in the table of descriptors that it shared.
    pub(super) listener: Option<RawFd>,
}

/// What the supervisor's child overwrites with its own process id; there is room for the longest.
const LISTEN_PID: &[u8] = b"LISTEN_PID=0000000000";

impl Image {
    pub(super) fn of(request: &SpawnRequest<'_>) -> Result<Self, Errno> {
        let mut environment: Vec<&[u8]> = request
            .environment
            .iter()
            .map(|entry| entry.to_bytes())
            .collect();
        if request.listener.is_some() {
            environment.extend([LISTEN_PID, b"LISTEN_FDS=1"]);
        }
        let filter = request.filter.unwrap_or_default();
        let offsets = request.arguments.len() + environment.len() + 2;
        let words = Word::First as usize + offsets + filter.len();
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
            filter.len() as u64,
            0,
            0,
        ];
        table.extend(request.arguments.iter().map(|text| place(text.to_bytes())));
        table.push(0);
        table.extend(environment.iter().map(|text| place(text)));
        table.push(0);
        table.extend(filter);
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

pub(super) fn map(memory: &OwnedFd, bytes: usize) -> Result<*mut u64, Errno> {
    // SAFETY: a fresh mapping of a file that the harness has filled and writes to no more; checked for failure.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            memory.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(Errno::NOMEM);
    }
    Ok(address.cast())
}

/// What a forked child finds when it becomes the server.
pub(super) struct Place {
    pub(super) streams: [RawFd; 3],
    /// A bit for each of them that is to be closed.
    pub(super) closed: c_int,
    /// The supervisor.
    pub(super) parent: Pid,
}

/// Turns the forked child into the server; returns only on failure, which it has told then.
pub(super) fn become_server(image: *mut u64, place: &Place, listener: Option<RawFd>) {
    let Err(errno) = exec(image, place, listener);
    tell(image, Word::Failure, errno.raw_os_error());
}

/// Has the supervisor know a number that is not negative. It shares the image; a filter could hold up each call that tells more.
fn tell(image: *mut u64, word: Word, number: c_int) {
    // SAFETY: every image has these words, and the supervisor reads them when the child has ended or become the server.
    unsafe { *image.add(word as usize) = number as u64 + 1 };
}

/// Whether a server has a filter to take on.
pub(super) fn is_filtered(image: *const u64) -> bool {
    // SAFETY: every image has this word.
    unsafe { *image.add(Word::Filter as usize) > 0 }
}

/// What the child of an image has told, once it has become the server or ended.
pub(super) fn told(image: *const u64) -> Told {
    // SAFETY: every image has these words, and nobody writes to them any more.
    let word = |word: Word| unsafe { *image.add(word as usize) };
    let number = |told: u64| told.checked_sub(1).map(|number| number as c_int);
    Told {
        failure: number(word(Word::Failure)).map(Errno::from_raw_os_error),
        listener: number(word(Word::Listener)),
    }
}

/// Takes the image's filter on, where it has one: its listener is the supervisor's as well by the table of descriptors that both share
/// until then.
fn take_filter(image: *mut u64) -> Result<(), Errno> {
    // SAFETY: the image holds its filter behind its offsets, as `Image::of` has laid it out.
    let listener = unsafe {
        let word = |n: Word| *image.add(n as usize) as usize;
        if word(Word::Filter) == 0 {
            return Ok(());
        }
        let offsets = word(Word::Arguments) + word(Word::Environment) + 2;
        let filter = image.add(Word::First as usize + offsets);
        notification::install(filter.cast(), word(Word::Filter))?
    };
    tell(image, Word::Listener, listener);
    // SAFETY: integers only; the listener in the child's own table is its alone.
    unsafe {
        check(libc::unshare(libc::CLONE_FILES))?;
        check(libc::close(listener))
    }
}

fn exec(
    image: *mut u64,
    place: &Place,
    listener: Option<RawFd>,
) -> Result<std::convert::Infallible, Errno> {
    let _ = rustix::process::setsid();
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
    // Whoever ends before that is asked for gives no signal (prctl(2)).
    if rustix::process::getppid() != Some(place.parent) {
        return Err(Errno::SRCH);
    }
    give_up_rights(place.parent)?;
    take_filter(image)?;
    place_descriptors(place.streams, listener)?;
    close_streams(place.closed);
    // SAFETY: the image holds the words counted in `Word`, then offsets, then nul-terminated strings; every offset
    // was made by `Image::of`. Nobody else uses the mapping meanwhile, so turning offsets into pointers in place is ours to do.
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

/// The capabilities (capabilities(7)) that reach beyond a lab where user 0 is the host's, or that would undo its mounts: a server has
/// no use for them. Devices, kernel modules and clocks are the host's in every namespace.
const BEYOND_A_LAB: [u32; 11] = [
    2,  // CAP_DAC_READ_SEARCH, with which files are opened by handles
    19, // CAP_SYS_PTRACE, with which the supervisor is traced
    21, // CAP_SYS_ADMIN
    16, // CAP_SYS_MODULE
    17, // CAP_SYS_RAWIO
    22, // CAP_SYS_BOOT
    25, // CAP_SYS_TIME
    27, // CAP_MKNOD
    34, // CAP_SYSLOG
    38, // CAP_PERFMON
    39, // CAP_BPF
];

/// As process 1 the supervisor is in a lab. On the host, a program that changes its user (set-user-ID, execve(2)) would be one that
/// an ordinary user cannot end.
fn give_up_rights(supervisor: Pid) -> Result<(), Errno> {
    if supervisor == Pid::INIT {
        for capability in BEYOND_A_LAB {
            // SAFETY: integers only. EPERM: an ordinary user's server has none to lose.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) };
        }
        return inherit_no_rights();
    }
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        // SAFETY: integers only.
        false => check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }),
    }
}

/// What is inheritable, or ambient, would outlive `execve` without being in the bounding set.
fn inherit_no_rights() -> Result<(), Errno> {
    /// `_LINUX_CAPABILITY_VERSION_3` (capget(2)).
    const VERSION: u32 = 0x2008_0522;
    // The version and no process, which is this one; then effective, permitted and inheritable rights, low and high.
    let head = [VERSION, 0];
    let mut rights = [[0u32; 3]; 2];
    // SAFETY: both live on this stack and have the sizes that the version says; what the kernel is given back, it has just told.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        );
        check(libc::syscall(libc::SYS_capget, head.as_ptr(), rights.as_mut_ptr()) as c_int)?;
        for [_, _, inheritable] in &mut rights {
            *inheritable = 0;
        }
        check(libc::syscall(libc::SYS_capset, head.as_ptr(), rights.as_ptr()) as c_int)
    }
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
