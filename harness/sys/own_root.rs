//! A root of a lab's own: all of the host is seen, and what a server writes goes with the lab.
//!
//! The new root is a tmpfs of a bounded size. What lies on the host comes in as its plan says ([`super::root_plan`]): mostly
//! each folder below an overlay whose upper layer is that memory (Documentation/filesystems/overlayfs.rst), so that a
//! program, a configuration or a library is found as before. `/proc` is that of the lab's processes, `/sys` is to be
//! read, `/dev` has the devices that are nobody's. The host's root is left with pivot_root(2).
//!
//! As all that the supervisor does in its own process, [`take`] neither allocates nor panics.

use super::root_plan::{Entry, Sight, next_entry};
use super::socket::check;
use super::stack_text::StackText;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::ffi::CStr;

/// What a root is made with.
pub(super) struct Order<'a> {
    pub(super) plan: &'a [u8],
    /// The path of the folder of the lab's own.
    pub(super) folder: &'a CStr,
    /// The most that all servers of the lab may write, as tmpfs(5) takes it.
    pub(super) size: &'a CStr,
    pub(super) in_user_namespace: bool,
}

/// What of a mode is no type (inode(7)).
const PERMISSIONS: u32 = 0o7777;

/// Where the new root is put together: of all folders the one of which nothing below is layered.
const SITE: &CStr = c"/sys";

/// Devices that every program may use, and no other (as in the container runtimes' specification).
const DEVICES: [&CStr; 6] = [
    c"dev/null",
    c"dev/zero",
    c"dev/full",
    c"dev/random",
    c"dev/urandom",
    c"dev/tty",
];

/// What programs expect to find beside them.
const DEVICE_LINKS: [(&CStr, &CStr); 5] = [
    (c"/proc/self/fd", c"dev/fd"),
    (c"/proc/self/fd/0", c"dev/stdin"),
    (c"/proc/self/fd/1", c"dev/stdout"),
    (c"/proc/self/fd/2", c"dev/stderr"),
    (c"pts/ptmx", c"dev/ptmx"),
];

/// What of `/proc` is the whole kernel's, which user 0 may write to in every user namespace that has the host's user 0.
const OF_THE_KERNEL: [&CStr; 4] = [c"proc/sys", c"proc/sysrq-trigger", c"proc/irq", c"proc/bus"];

/// Moves into a root of its own, and returns it.
///
/// # Errors
/// The host refuses a step; then all is as it was.
pub(super) fn take(order: &Order<'_>) -> Result<OwnedFd, Errno> {
    if order.plan.is_empty() {
        return Err(Errno::NOSYS);
    }
    // Modes are what they are on the host.
    let narrowed = rustix::process::umask(Mode::empty());
    let taken = take_with_modes(order);
    rustix::process::umask(narrowed);
    taken
}

fn take_with_modes(order: &Order<'_>) -> Result<OwnedFd, Errno> {
    let host = open(CWD, c"/", OFlags::DIRECTORY)?;
    // Before the site covers it, and is one of the mounts that are copied.
    let system = copied(CWD, SITE)?;
    let whole = whole_host(order.plan)?;
    let memory = tmpfs(order.size)?;
    attach(&memory, CWD, SITE)?;
    let built = Site::prepared(order, host, memory, whole).and_then(|site| {
        site.build(&system)?;
        site.enter()
    });
    built.inspect_err(|_| leave_site())
}

/// A path without the slash at its beginning.
fn below_root(path: &CStr) -> Result<&CStr, Errno> {
    let bytes = path.to_bytes_with_nul();
    let below = bytes.strip_prefix(b"/").unwrap_or(bytes);
    CStr::from_bytes_with_nul(below).map_err(|_| Errno::INVAL)
}

fn leave_site() {
    let _ = rustix::process::chdir(c"/");
    let _ = rustix::mount::unmount(SITE, UnmountFlags::DETACH);
}

/// A copy of all mounts of the host, where the plan begins with that.
fn whole_host(plan: &[u8]) -> Result<Option<OwnedFd>, Errno> {
    let mut rest = plan;
    match next_entry(&mut rest) {
        Some(entry) if entry.sight == Sight::Shared && entry.path.is_empty() => {
            copied(CWD, c"/").map(Some)
        }
        _ => Ok(None),
    }
}

/// A root that is being put together.
struct Site<'a> {
    order: &'a Order<'a>,
    host: OwnedFd,
    /// The memory that holds all layers.
    memory: OwnedFd,
    root: OwnedFd,
}

impl<'a> Site<'a> {
    fn prepared(
        order: &'a Order<'a>,
        host: OwnedFd,
        memory: OwnedFd,
        whole: Option<OwnedFd>,
    ) -> Result<Self, Errno> {
        let memory = open(&memory, c".", OFlags::DIRECTORY)?;
        for (name, mode) in [
            (c"root", 0o755),
            (c"upper", 0o700),
            (c"work", 0o700),
            (c"folder", 0o1777),
        ] {
            make_folder(&memory, name, mode)?;
        }
        let mount = match whole {
            Some(whole) => whole,
            None => copied(&memory, c"root")?,
        };
        // What is a mount can become the root.
        attach(&mount, &memory, c"root")?;
        let root = open(&memory, c"root", OFlags::DIRECTORY)?;
        Ok(Self {
            order,
            host,
            memory,
            root,
        })
    }

    fn build(&self, system: &OwnedFd) -> Result<(), Errno> {
        self.add_devices()?;
        let (mut rest, mut number) = (self.order.plan, 0);
        while let Some(entry) = next_entry(&mut rest) {
            number += 1;
            self.add(&entry, number)?;
        }
        self.add_own_folder()?;
        self.add_processes()?;
        make_folder(&self.root, c"sys", 0o555)?;
        set_read_only(system)?;
        attach(system, &self.root, c"sys")
    }

    fn add(&self, entry: &Entry<'_>, number: usize) -> Result<(), Errno> {
        match entry.sight {
            Sight::Shared => Ok(()),
            Sight::Link => rustix::fs::symlinkat(entry.target, &self.root, entry.path),
            Sight::Folder => self.add_folder(entry),
            Sight::Read => self.add_read(entry),
            Sight::Layered => self.add_layered(entry, number),
            Sight::LayeredOrRead => self
                .add_layered(entry, number)
                .or_else(|_| self.add_read(entry)),
        }
    }

    fn add_folder(&self, entry: &Entry<'_>) -> Result<(), Errno> {
        if entry.path.is_empty() {
            return Ok(());
        }
        make_folder(&self.root, entry.path, entry.mode & PERMISSIONS)?;
        // Refused where the owner has no place in the user namespace.
        let _ = give(&self.root, entry.path, entry);
        Ok(())
    }

    /// What cannot be seen at all is no loss for a server.
    fn add_read(&self, entry: &Entry<'_>) -> Result<(), Errno> {
        let Ok(seen) = copied(&self.host, entry.path) else {
            return Ok(());
        };
        set_read_only(&seen)?;
        let is_folder = FileType::from_raw_mode(entry.mode).is_dir();
        make_place(&self.root, entry.path, is_folder)?;
        attach(&seen, &self.root, entry.path)
    }

    fn add_layered(&self, entry: &Entry<'_>, number: usize) -> Result<(), Errno> {
        let below = open(&self.host, entry.path, OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
        let upper = StackText::of(format_args!("upper/{number}"))?;
        let work = StackText::of(format_args!("work/{number}"))?;
        make_folder(&self.memory, upper.as_c_str()?, entry.mode & PERMISSIONS)?;
        make_folder(&self.memory, work.as_c_str()?, 0o700)?;
        // The merged folder has the owner of its upper layer.
        let _ = give(&self.memory, upper.as_c_str()?, entry);
        let layered = self.overlay(&below, number)?;
        make_folder(&self.root, entry.path, 0o755)?;
        attach(&layered, &self.root, entry.path)
    }

    fn overlay(&self, below: &OwnedFd, number: usize) -> Result<OwnedFd, Errno> {
        let (below, memory) = (below.as_raw_fd(), self.memory.as_raw_fd());
        let of_memory =
            |kind| StackText::of(format_args!("/proc/self/fd/{memory}/{kind}/{number}"));
        let overlay = rustix::mount::fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let set = |key: &CStr, value: &StackText| {
            rustix::mount::fsconfig_set_string(overlay.as_fd(), key, value.as_c_str()?)
        };
        set(
            c"lowerdir",
            &StackText::of(format_args!("/proc/self/fd/{below}"))?,
        )?;
        set(c"upperdir", &of_memory("upper")?)?;
        set(c"workdir", &of_memory("work")?)?;
        // In a user namespace an overlay keeps its notes in attributes that every user may write.
        if self.order.in_user_namespace {
            rustix::mount::fsconfig_set_flag(overlay.as_fd(), c"userxattr")?;
        }
        mounted(&overlay)
    }

    /// The one folder that is not seen through an overlay: what it holds is the lab's alone.
    fn add_own_folder(&self) -> Result<(), Errno> {
        let path = below_root(self.order.folder)?;
        if make_folder(&self.root, path, 0o1777) == Err(Errno::NOENT) {
            make_folder(&self.root, c"tmp", 0o1777)?;
            make_folder(&self.root, path, 0o1777)?;
        }
        attach(&copied(&self.memory, c"folder")?, &self.root, path)
    }

    fn add_processes(&self) -> Result<(), Errno> {
        make_folder(&self.root, c"proc", 0o555)?;
        attach(&processes()?, &self.root, c"proc")?;
        guard_the_kernel(&self.root)
    }

    fn add_devices(&self) -> Result<(), Errno> {
        for (folder, mode) in [(c"dev", 0o755), (c"dev/shm", 0o1777), (c"dev/pts", 0o755)] {
            make_folder(&self.memory, folder, mode)?;
        }
        for device in DEVICES {
            // A host may lack one, as containers do.
            if let Ok(seen) = copied(&self.host, device) {
                make_place(&self.memory, device, false)?;
                attach(&seen, &self.memory, device)?;
            }
        }
        for (target, link) in DEVICE_LINKS {
            rustix::fs::symlinkat(target, &self.memory, link)?;
        }
        let terminals = rustix::mount::fsopen(c"devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(terminals.as_fd(), c"ptmxmode", c"0666")?;
        attach(&mounted(&terminals)?, &self.memory, c"dev/pts")?;
        make_folder(&self.root, c"dev", 0o755)?;
        attach(&copied(&self.memory, c"dev")?, &self.root, c"dev")
    }

    /// Leaves the host's root.
    fn enter(self) -> Result<OwnedFd, Errno> {
        rustix::process::fchdir(&self.root)?;
        // The old root comes to lie on the new one, whence it is taken away (pivot_root(2)).
        rustix::process::pivot_root(c".", c".")?;
        rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
        rustix::process::chdir(c"/")?;
        Ok(self.root)
    }
}

/// Where something is to be mounted.
fn make_place(at: impl AsFd, path: &CStr, is_folder: bool) -> Result<(), Errno> {
    if is_folder {
        return make_folder(at, path, 0o755);
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(at, path, flags, Mode::RUSR).map(drop)
}

/// What is the whole kernel's is to be read there, but for what the lab's own network is made with. An ordinary user may not write
/// to it anyway.
pub(super) fn guard_the_kernel(root: &OwnedFd) -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let network = copied(root, c"proc/sys/net")?;
    for path in OF_THE_KERNEL {
        match copied(root, path) {
            Err(Errno::NOENT) => {}
            seen => {
                let seen = seen?;
                set_read_only(&seen)?;
                attach(&seen, root, path)?;
            }
        }
    }
    attach(&network, root, c"proc/sys/net")
}

/// The same where servers have the host's root.
pub(super) fn guard_the_host() -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let root = open(CWD, c"/", OFlags::DIRECTORY)?;
    let guarded = guard_the_kernel(&root).and_then(|()| {
        let system = copied(&root, c"sys")?;
        set_read_only(&system)?;
        attach(&system, &root, c"sys")
    });
    match guarded {
        // Before Linux 5.12 mounts are not made so (mount_setattr(2)), and a host may have no such folder.
        Err(Errno::NOSYS | Errno::NOENT) => Ok(()),
        guarded => guarded,
    }
}

/// The processes of this pid namespace, as a file system.
pub(super) fn processes() -> Result<OwnedFd, Errno> {
    let processes = rustix::mount::fsopen(c"proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(processes.as_fd())?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    rustix::mount::fsmount(processes.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, quiet)
}

fn tmpfs(size: &CStr) -> Result<OwnedFd, Errno> {
    let memory = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(memory.as_fd(), c"mode", c"0755")?;
    rustix::mount::fsconfig_set_string(memory.as_fd(), c"size", size)?;
    mounted(&memory)
}

fn mounted(of: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::mount::fsconfig_create(of.as_fd())?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    rustix::mount::fsmount(of.as_fd(), flags, MountAttrFlags::empty())
}

/// A copy of what is mounted at and below a path, in no place yet.
fn copied(at: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    rustix::mount::open_tree(at, path, flags)
}

pub(super) fn attach(mount: &OwnedFd, at: impl AsFd, path: &CStr) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(mount.as_fd(), c"", at, path, flags)
}

fn open(at: impl AsFd, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// Makes a folder, unless it is there.
fn make_folder(at: impl AsFd, path: &CStr, mode: u32) -> Result<(), Errno> {
    match rustix::fs::mkdirat(at, path, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Gives a path to the owner of an entry.
fn give(at: impl AsFd, path: &CStr, entry: &Entry<'_>) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::chownat(&at, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    // A change of the owner takes bits of the mode away (chown(2)).
    rustix::fs::chmodat(
        at,
        path,
        Mode::from_raw_mode(entry.mode & PERMISSIONS),
        AtFlags::empty(),
    )
}

/// Lets nobody write to what is mounted there, and to all that is mounted below (mount_setattr(2)).
fn set_read_only(mount: &OwnedFd) -> Result<(), Errno> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a constant, nul-terminated string; the struct lives on this stack and its size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    } as libc::c_int)
}
