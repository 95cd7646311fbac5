//! How a folder is removed with all that is in it, by a process that may not allocate.

use super::stack_text::StackText;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Removes a folder and all below it; what this user may not remove stays. No symbolic link is followed.
///
/// A server chooses what is below, as deep as it likes, so that there is neither recursion nor a descriptor for each level: each round
/// goes down to a folder without folders, and takes that away.
pub(super) fn remove_folder(path: &CStr) {
    while let Ok(folder) = open_folder(CWD, path) {
        if !remove_one_below(folder) {
            break;
        }
    }
    let _ = rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR);
}

fn open_folder(at: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// Removes the files of a folder, and one folder of those below it; false where there was none, or none that could be removed.
fn remove_one_below(mut folder: OwnedFd) -> bool {
    let Some((mut name, mut below)) = emptied(&folder) else {
        return false;
    };
    while let Some((next, deeper)) = emptied(&below) {
        folder = std::mem::replace(&mut below, deeper);
        name = next;
    }
    let name = CStr::from_bytes_until_nul(&name);
    name.is_ok_and(|name| rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR).is_ok())
}

/// As long as a name can be, with its end.
type Name = [u8; 256];

/// Removes the files of a folder; returns the first folder in it that can be opened.
fn emptied(folder: &OwnedFd) -> Option<(Name, OwnedFd)> {
    let mut first = None;
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(folder, &mut space);
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let is_folder = entry.file_type() == FileType::Directory
            || rustix::fs::unlinkat(folder, name, AtFlags::empty()).is_err();
        if is_folder && first.is_none() {
            first = openable(folder, name);
        }
    }
    first
}

fn openable(folder: &OwnedFd, name: &CStr) -> Option<(Name, OwnedFd)> {
    let mut kept = [0; 256];
    let bytes = name.to_bytes();
    kept.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let opened = open_folder(folder, name).or_else(|_| {
        // A server may have taken the right to list it from its owner.
        permit(folder, name)?;
        open_folder(folder, name)
    });
    Some((kept, opened.ok()?))
}

fn permit(folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let path = StackText::of(format_args!("/proc/self/fd/{}", found.as_raw_fd()))?;
    rustix::fs::chmod(path.as_c_str()?, Mode::RWXU)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn folder_goes_with_all_that_is_in_it_and_nothing_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        std::fs::create_dir_all(at("folder/a/b/c")).unwrap();
        std::fs::create_dir_all(at("folder/d/e")).unwrap();
        std::fs::create_dir(at("beside")).unwrap();
        for file in [
            "folder/one",
            "folder/a/b/two",
            "folder/d/e/three",
            "beside/kept",
        ] {
            std::fs::write(at(file), "text").unwrap();
        }
        std::os::unix::fs::symlink(at("beside"), at("folder/d/link")).unwrap();
        let deep = "x/".repeat(1_500);
        let mut folder = at("folder");
        for _ in 0..3 {
            std::fs::create_dir_all(folder.join(&deep)).unwrap();
            folder = folder.join("x");
        }
        let path = CString::new(at("folder").as_os_str().as_bytes()).unwrap();
        remove_folder(&path);
        assert!(!at("folder").exists());
        assert!(at("beside/kept").exists());
    }
}
