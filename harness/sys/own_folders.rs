//! Folders for temporary files of a lab's own: what the host has there is seen, and what a server writes goes with the lab.
//!
//! Process ids are the same in every new pid namespace, so that servers side by side would meet each other in whatever
//! they name by their own. Each folder is covered by an overlay whose upper layer is memory
//! (Documentation/filesystems/overlayfs.rst): a program, a configuration or a socket that lies there is found as before.
//!
//! As all that the supervisor does in its own process, [`take`] neither allocates nor panics.

use super::socket::check;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where programs put temporary files, and what they share by name (shm_overview(7)).
const FOLDERS: [&CStr; 3] = [c"/tmp", c"/var/tmp", c"/dev/shm"];

/// Whether a path lies in one of these folders.
pub(crate) fn is_below(path: &Path) -> bool {
    let mut folders = FOLDERS.iter();
    folders.any(|folder| path.starts_with(OsStr::from_bytes(folder.to_bytes())))
}

/// What lies in these folders and stays the host's own: what is mounted there, and the folder that a lab shares with us. Paths
/// that each end with a zero byte.
pub(super) struct Kept(Vec<u8>);

impl Kept {
    pub(super) fn of_this_host(folder: &Path) -> Self {
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts = mounts.split(|byte| *byte == b'\n').filter_map(mount_point);
        let kept = mounts.chain([folder.to_owned()]);
        let kept = kept.filter(|path| is_below(path) && !is_folder_itself(path));
        let paths = kept.filter_map(|path| CString::new(path.as_os_str().as_bytes()).ok());
        Self(paths.flat_map(CString::into_bytes_with_nul).collect())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn is_folder_itself(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    FOLDERS.iter().any(|folder| folder.to_bytes() == bytes)
}

/// The fifth word of a line, in which spaces and the like are written as octal numbers (proc_pid_mountinfo(5)).
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let word = line.split(|byte| *byte == b' ').nth(4)?;
    let (mut path, mut rest) = (Vec::new(), word);
    while let Some((byte, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| *byte == b'\\');
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok());
        let number = number.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.push(number.unwrap_or(*byte));
        rest = if number.is_some() { &after[3..] } else { after };
    }
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}

/// Covers each folder that there is, but for what is kept of it, as [`Kept::as_bytes`] says it; true where that was possible for the first one. Where it is not, all is as it was.
pub(super) fn take(kept: &[u8], in_user_namespace: bool) -> bool {
    let folders = FOLDERS.map(|folder| open(folder, OFlags::DIRECTORY | OFlags::NOFOLLOW).ok());
    // Before anything is covered: by its path it is found no more then.
    let Some(held) = hold(kept) else {
        return false;
    };
    let [first, ..] = FOLDERS;
    let Ok(layers) = layers(first) else {
        return false;
    };
    let mut covered = [false; FOLDERS.len()];
    for (n, (folder, below)) in FOLDERS.iter().zip(&folders).enumerate() {
        let done = below.as_ref().is_some_and(|below| {
            let overlay = Overlay {
                below,
                layers: &layers,
                number: n,
                in_user_namespace,
            };
            overlay.covers(folder, &held).is_ok()
        });
        if let Some(place) = covered.get_mut(n) {
            *place = done;
        }
        if n == 0 && !done {
            uncover(first);
            return false;
        }
    }
    covered[0]
}

/// What is kept, with its path.
type Held<'a> = [Option<(OwnedFd, &'a CStr)>; MOST_KEPT];

/// As many mounts as are looked for in folders for temporary files.
const MOST_KEPT: usize = 64;

/// Opens what is kept; nothing where there is too much of it.
fn hold(kept: &[u8]) -> Option<Held<'_>> {
    let mut held = [const { None }; MOST_KEPT];
    let mut places = held.iter_mut();
    for path in kept.split_inclusive(|byte| *byte == 0) {
        let path = CStr::from_bytes_with_nul(path).ok()?;
        let place = places.next()?;
        // What is gone, or covered by another mount, needs no keeping.
        *place = open(path, OFlags::empty()).ok().map(|fd| (fd, path));
    }
    Some(held)
}

fn open(path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Memory for what servers write, mounted where the first overlay will cover it.
fn layers(folder: &CStr) -> Result<OwnedFd, Errno> {
    mount(
        Some(c"tmpfs"),
        folder,
        Some(c"tmpfs"),
        0,
        Some(c"mode=0755"),
    )?;
    open(folder, OFlags::empty()).inspect_err(|_| uncover(folder))
}

fn uncover(folder: &CStr) {
    // SAFETY: a constant, nul-terminated string.
    unsafe { libc::umount2(folder.as_ptr(), libc::MNT_DETACH) };
}

/// A folder of the host below a layer of memory.
struct Overlay<'a> {
    below: &'a OwnedFd,
    layers: &'a OwnedFd,
    number: usize,
    in_user_namespace: bool,
}

impl Overlay<'_> {
    fn covers(&self, folder: &CStr, held: &Held<'_>) -> Result<(), Errno> {
        let (number, layers) = (self.number, self.layers.as_raw_fd());
        // The merged folder has the mode of its upper layer, which a umask must not narrow.
        let mode = Mode::from_raw_mode(rustix::fs::fstat(self.below)?.st_mode);
        for kind in ["upper", "work"] {
            let name = Text::of(format_args!("{kind}{number}"))?;
            rustix::fs::mkdirat(self.layers, name.as_c_str()?, Mode::RWXU)?;
            let path = Text::of(format_args!("/proc/self/fd/{layers}/{kind}{number}"))?;
            rustix::fs::chmod(path.as_c_str()?, mode)?;
        }
        let below = self.below.as_raw_fd();
        // In a user namespace an overlay keeps its notes in attributes that every user may write (`userxattr`).
        let notes = if self.in_user_namespace {
            ",userxattr"
        } else {
            ""
        };
        let options = Text::of(format_args!(
            "lowerdir=/proc/self/fd/{below},upperdir=/proc/self/fd/{layers}/upper{number},\
             workdir=/proc/self/fd/{layers}/work{number}{notes}"
        ))?;
        let overlay = Some(c"overlay");
        mount(overlay, folder, overlay, 0, Some(options.as_c_str()?))?;
        let held = held.iter().flatten();
        for (fd, path) in held.filter(|(_, path)| is_in(folder, path)) {
            let from = Text::of(format_args!("/proc/self/fd/{}", fd.as_raw_fd()))?;
            let bind = libc::MS_BIND | libc::MS_REC;
            mount(Some(from.as_c_str()?), path, None, bind, None)
                .inspect_err(|_| uncover(folder))?;
        }
        Ok(())
    }
}

fn is_in(folder: &CStr, path: &CStr) -> bool {
    let rest = path.to_bytes().strip_prefix(folder.to_bytes());
    rest.is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> Result<(), Errno> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is to a nul-terminated string that outlives the call, or null where mount(2) allows it.
    check(unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(options).cast(),
        )
    })
}

/// A short text on the stack.
struct Text {
    bytes: [u8; 192],
    length: usize,
}

impl Text {
    fn of(text: std::fmt::Arguments<'_>) -> Result<Self, Errno> {
        let mut written = Self {
            bytes: [0; 192],
            length: 0,
        };
        written.write_fmt(text).map_err(|_| Errno::NAMETOOLONG)?;
        Ok(written)
    }

    fn as_c_str(&self) -> Result<&CStr, Errno> {
        CStr::from_bytes_until_nul(&self.bytes).map_err(|_| Errno::NAMETOOLONG)
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self
            .bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_a_mount_is_read_with_its_spaces() {
        let line = b"41 27 0:25 / /tmp/two\\040words rw,relatime - tmpfs tmpfs rw";
        assert_eq!(mount_point(line), Some(PathBuf::from("/tmp/two words")));
        assert_eq!(mount_point(b"short"), None);
    }

    #[test]
    fn what_lies_beside_a_folder_is_not_in_it() {
        assert!(is_in(c"/tmp", c"/tmp/a"));
        assert!(!is_in(c"/tmp", c"/tmpfiles/a"));
        assert!(!is_in(c"/tmp", c"/tmp"));
        assert!(is_below(Path::new("/var/tmp/a")) && !is_below(Path::new("/var/lib")));
    }
}
