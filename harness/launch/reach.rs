//! What a target may reach: kernel parameters of its own network, and files below its own folder.

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Whether a kernel parameter belongs to a network namespace (network_namespaces(7)): all others are the host's as well.
pub(super) fn parameter(name: &str) -> Result<(), String> {
    let words: Vec<&str> = name.split('.').collect();
    let is_plain = |word: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        !word.is_empty() && word.bytes().all(fits)
    };
    match words.as_slice() {
        ["net", _, ..] if words.iter().all(is_plain) => Ok(()),
        _ => Err(format!(
            "[lab.sysctl]: {name:?} is no parameter of a network namespace; those that a lab has of its own begin with `net.`, \
             such as \"net.ipv4.tcp_fin_timeout\""
        )),
    }
}

/// Whether the name of a file stays below the folder that it is for.
pub(super) fn file(name: &str) -> Result<(), String> {
    let mut parts = Path::new(name).components();
    let stays = parts.all(|part| matches!(part, Component::Normal(_)));
    match stays && !name.is_empty() && !name.ends_with('/') && !name.contains('\0') {
        true => Ok(()),
        false => Err(format!(
            "[files]: {name:?} does not stay below the server's folder; write a relative path without `..`, which lies in {{dir}}"
        )),
    }
}

/// How many links are followed on the way to a file, as the kernel does (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The path below a root to which a path of its inhabitants leads: a link to an absolute path leads nowhere else.
pub(super) fn resolved(root: BorrowedFd<'_>, path: &Path) -> PathBuf {
    let mut reached = PathBuf::new();
    let mut rest: Vec<OsString> = parts_from_behind(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            reached.pop();
            continue;
        }
        let next = reached.join(&part);
        match rustix::fs::readlinkat(root, &next, Vec::new()) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                if target.is_absolute() {
                    reached.clear();
                }
                rest.extend(parts_from_behind(target));
            }
            _ => reached = next,
        }
    }
    reached
}

/// The names of a path and its `..`, the last one first.
fn parts_from_behind(path: &Path) -> Vec<OsString> {
    let mut parts: Vec<_> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect();
    parts.reverse();
    parts
}

/// Writes a file below a folder. The server may have been there before: nothing that it has left is followed.
pub(super) fn write_below(folder: &Path, name: &Path, content: &[u8]) -> io::Result<()> {
    let mut at = open_folder(None, folder)?;
    let mut parts = name.components().peekable();
    while let Some(Component::Normal(part)) = parts.next() {
        let part = Path::new(part);
        if parts.peek().is_none() {
            return write_anew(&at, part, content);
        }
        match rustix::fs::mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        at = open_folder(Some(&at), part)?;
    }
    Err(Errno::INVAL.into())
}

fn open_folder(at: Option<&OwnedFd>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match at {
        Some(at) => rustix::fs::openat(at, path, flags | OFlags::NOFOLLOW, Mode::empty()),
        None => rustix::fs::openat(CWD, path, flags, Mode::empty()),
    };
    Ok(opened?)
}

/// Makes an empty folder below another, writable for every user, whatever stood there before.
pub(super) fn make_below(folder: &Path, name: &str) -> io::Result<()> {
    let at = open_folder(None, folder)?;
    let made = || rustix::fs::mkdirat(&at, name, Mode::RWXU);
    match made() {
        Err(Errno::EXIST) => {
            // It follows no link.
            std::fs::remove_dir_all(folder.join(name))?;
            made()?;
        }
        done => done?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(&at, name, flags, Mode::empty())?;
    // Servers that give up root must still be able to write, and no umask narrows that.
    Ok(rustix::fs::fchmod(made, Mode::from_raw_mode(0o1777))?)
}

fn write_anew(at: &OwnedFd, name: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o666))?;
    std::fs::File::from(file).write_all(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;

    #[test]
    fn only_parameters_of_a_network_are_a_labs_own() {
        for name in ["net.core.somaxconn", "net.ipv4.conf.lo.rp_filter"] {
            assert_eq!(parameter(name), Ok(()), "{name}");
        }
        for name in [
            "kernel.core_pattern",
            "vm.overcommit_memory",
            "net",
            "net.",
            "net..core",
            "net.ipv4/../../kernel.core_pattern",
            "/net.core.somaxconn",
            "",
        ] {
            assert!(parameter(name).is_err(), "{name}");
        }
    }

    #[test]
    fn files_stay_below_their_folder() {
        for name in ["a", "a/b.conf", "./a"] {
            assert_eq!(file(name).is_ok(), !name.starts_with('.'), "{name}");
        }
        for name in ["", "/etc/passwd", "../a", "a/../../b", "..", "a/", "a\0b"] {
            assert!(file(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn links_lead_nowhere_but_below_their_root() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("run/deep")).unwrap();
        std::fs::create_dir(at("var")).unwrap();
        symlink("/run", at("var/run")).unwrap();
        symlink("../../../../etc", at("run/up")).unwrap();
        symlink("round", at("round")).unwrap();
        let root = open_folder(None, folder.path()).unwrap();
        for (path, below) in [
            ("/run/deep/socket", "run/deep/socket"),
            ("/var/run/deep/socket", "run/deep/socket"),
            ("/var/run/../run/socket", "run/socket"),
            ("/run/up/passwd", "etc/passwd"),
            ("/../../etc", "etc"),
            ("/", ""),
        ] {
            let found = resolved(root.as_fd(), Path::new(path));
            assert_eq!(found, Path::new(below), "{path}");
        }
        assert_eq!(
            resolved(root.as_fd(), Path::new("/round")),
            Path::new("round")
        );
    }

    #[test]
    fn nothing_that_a_server_has_left_is_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = outside.path().join("kept");
        std::fs::write(&kept, "theirs").unwrap();
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(&kept, at("conf")).unwrap();
        std::os::unix::fs::symlink(outside.path(), at("sub")).unwrap();
        write_below(folder.path(), Path::new("conf"), b"ours").unwrap();
        assert_eq!(std::fs::read(at("conf")).unwrap(), b"ours");
        assert!(write_below(folder.path(), Path::new("sub/kept"), b"ours").is_err());
        assert_eq!(std::fs::read(&kept).unwrap(), b"theirs");
        write_below(folder.path(), Path::new("new/file"), b"ours").unwrap();
        assert_eq!(std::fs::read(at("new/file")).unwrap(), b"ours");
    }
}
