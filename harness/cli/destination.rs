//! Where files are written: tried before a run, and written whole or not at all.

use crate::model::error::Error;
use rustix::fs::{Access, CWD, RenameFlags, access, renameat_with};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// How many links are followed, as open(2) does.
const MOST_LINKS: usize = 40;

/// Where an option says that something is written.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    option: &'static str,
    path: &'a Path,
}

impl<'a> Destination<'a> {
    pub(super) fn of(option: &'static str, path: &'a Path) -> Self {
        Self { option, path }
    }

    /// Tries whether a file can be written there. Nothing is left behind, and what is there stays as it is.
    pub(super) fn tried_as_file(self) -> Result<(), Error> {
        try_file(self.path).map_err(|error| self.unwritable(&error))
    }

    /// The same of a folder that files are to be written to, which may still have to be made.
    pub(super) fn tried_as_folder(self) -> Result<(), Error> {
        try_folder(self.path).map_err(|error| match error.kind() {
            ErrorKind::NotADirectory => self.is_no_folder(self.path),
            _ => self.unwritable(&error),
        })
    }

    /// Writes a file there.
    pub(super) fn write(self, text: &str) -> Result<(), Error> {
        write(self.path, text.as_bytes()).map_err(|error| self.unwritable(&error))
    }

    /// Writes a file of this name into the folder, which is made where it is missing.
    pub(super) fn write_within(self, name: &str, text: &str) -> Result<(), Error> {
        let made = std::fs::create_dir_all(self.path);
        made.map_err(|error| self.unwritable(&error))?;
        let path = self.path.join(name);
        Destination::of(self.option, &path).write(text)
    }

    /// The file there, empty, to be written to piece by piece.
    pub(super) fn opened(self) -> Result<File, Error> {
        let opened = match place(self.path) {
            Ok(Place::File(file, _)) => File::create(file),
            Ok(Place::Open(path)) => File::options().append(true).open(path),
            Err(error) => Err(error),
        };
        opened.map_err(|error| self.unwritable(&error))
    }

    /// Writes a folder of this name with these files into the folder, which is made where it is missing: all of them or none. What
    /// has a file called `mark` is replaced as a whole, and nothing else.
    pub(super) fn replace_folder_within(
        self,
        name: &str,
        files: &[(&str, &[u8])],
        mark: &str,
    ) -> Result<(), Error> {
        let made = std::fs::create_dir_all(self.path);
        made.map_err(|error| self.unwritable(&error))?;
        let path = self.path.join(name);
        let there = Destination::of(self.option, &path);
        if path.symlink_metadata().is_ok() && !path.join(mark).is_file() {
            let reason = format!(
                "something else is there, which has no {mark}; move it away, or name another folder"
            );
            return Err(there.because(reason));
        }
        replace_folder(&path, files).map_err(|error| there.unwritable(&error))
    }

    pub(super) fn unwritable(self, error: &io::Error) -> Error {
        let folder = folder_of(self.path);
        let reason = match error.kind() {
            ErrorKind::IsADirectory => "this is a folder; name a file in it".to_owned(),
            ErrorKind::NotFound if !folder.exists() => {
                let folder = folder.display();
                format!("there is no folder {folder}; make it, or name another one")
            }
            ErrorKind::NotADirectory => return self.is_no_folder(folder),
            _ if is_refused(error) || error.kind() == ErrorKind::NotFound => {
                format!("{error}; name a place that can be written to")
            }
            _ => error.to_string(),
        };
        self.because(reason)
    }

    fn is_no_folder(self, path: &Path) -> Error {
        let path = path.display();
        self.because(format!("{path} is no folder; name another one"))
    }

    fn because(self, reason: String) -> Error {
        Error::Unwritable {
            option: self.option,
            path: self.path.to_owned(),
            reason,
        }
    }
}

/// The folder that a path is in.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or_else(|| Path::new("."))
}

fn try_file(path: &Path) -> io::Result<()> {
    match place(path)? {
        Place::File(file, None) => tempfile::tempfile_in(folder_of(&file)).map(drop),
        Place::File(file, Some(_)) => Ok(access(&file, Access::WRITE_OK)?),
        // It is not opened: a pipe would be waited for, and of some devices that is the use.
        Place::Open(path) => Ok(access(&path, Access::WRITE_OK)?),
    }
}

fn try_folder(path: &Path) -> io::Result<()> {
    let there = std::fs::metadata(path);
    match there {
        Ok(there) if there.is_dir() => tempfile::tempfile_in(path).map(drop),
        Ok(_) => Err(ErrorKind::NotADirectory.into()),
        // Those above it that are missing are made with it.
        Err(error) if error.kind() == ErrorKind::NotFound && folder_of(path) != path => {
            try_folder(folder_of(path))
        }
        Err(error) => Err(error),
    }
}

/// What a path leads to.
enum Place {
    /// A file, which may have to be made.
    File(PathBuf, Option<Metadata>),
    /// What is written to as it is: a device, a pipe, or what a process has open.
    Open(PathBuf),
}

/// Follows links, so that they stay.
fn place(path: &Path) -> io::Result<Place> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = folder_of(&path).canonicalize()?;
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        let here = folder.join(name);
        // Whoever has a file open, as a shell has our output, has no use for another one in its place.
        if folder.starts_with("/proc") {
            return Ok(Place::Open(here));
        }
        match here.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Place::File(here, None));
            }
            Err(error) => return Err(error),
            Ok(there) if there.is_symlink() => path = folder.join(here.read_link()?),
            Ok(there) if there.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(there) if there.is_file() => return Ok(Place::File(here, Some(there))),
            Ok(_) => return Ok(Place::Open(here)),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Writes a file whole or not at all: it is written beside its place, and then put there.
pub(super) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    match place(path)? {
        Place::File(file, there) => replace(&file, there, text),
        Place::Open(path) => {
            let mut open = File::options().append(true).open(path)?;
            open.write_all(text)
        }
    }
}

/// Writes a file where there is none, in the same way; returns whether it has.
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<bool> {
    let mut beside = beside(path)?;
    beside.as_file_mut().write_all(text)?;
    match beside.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// A file in the same folder.
fn beside(file: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".sockdrill-")
        // As of any file that is made: the umask takes its part.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(file))
}

fn replace(file: &Path, there: Option<Metadata>, text: &[u8]) -> io::Result<()> {
    if there.is_some() {
        // Who may replace it may still not be meant to write to it.
        access(file, Access::WRITE_OK)?;
    }
    let mut beside = match beside(file) {
        Ok(beside) => beside,
        // The file may be ours where its folder is not.
        Err(error) if there.is_some() && is_refused(&error) => return std::fs::write(file, text),
        Err(error) => return Err(error),
    };
    // The file itself: its name is no matter of who reads an error.
    beside.as_file_mut().write_all(text)?;
    if let Some(there) = &there {
        beside.as_file().set_permissions(there.permissions())?;
        // It stays whose it was, where we may say so.
        let _ = fchown(beside.as_file(), Some(there.uid()), Some(there.gid()));
    }
    match beside.persist(file) {
        Ok(_) => Ok(()),
        // A file that is a mount stays in its place.
        Err(error) if error.error.kind() == ErrorKind::ResourceBusy => std::fs::write(file, text),
        Err(error) => Err(error.error),
    }
}

/// Puts a folder with these files in a place, in exchange for what is there.
fn replace_folder(path: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    let beside = tempfile::Builder::new()
        .prefix(".sockdrill-")
        // As of any folder that is made: the umask takes its part.
        .permissions(Permissions::from_mode(0o777))
        .tempdir_in(folder_of(path))?;
    let made = beside.path().join("made");
    std::fs::create_dir(&made)?;
    for (name, bytes) in files {
        std::fs::write(made.join(name), bytes)?;
    }
    // The one that was there is removed with the temporary one.
    match path.exists() {
        true => exchange(&made, path, &beside.path().join("earlier")),
        false => std::fs::rename(&made, path),
    }
}

/// Puts one folder in the place of another, at once where the file system can.
fn exchange(made: &Path, path: &Path, earlier: &Path) -> io::Result<()> {
    match renameat_with(CWD, made, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(_) => std::fs::rename(path, earlier).and_then(|()| std::fs::rename(made, path)),
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn file_is_as_a_plain_one_and_stays_as_it_was_where_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, report] = ["plain", "report"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "").unwrap();
        write(&report, b"one").unwrap();
        assert_eq!(mode(&report), mode(&plain));
        std::fs::set_permissions(&report, Permissions::from_mode(0o640)).unwrap();
        write(&report, b"two").unwrap();
        assert_eq!(std::fs::read(&report).unwrap(), b"two");
        assert_eq!(mode(&report), 0o640);
        assert_eq!(names(folder.path()), ["plain", "report"]);
    }

    #[test]
    fn links_are_followed_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [link, first, second] =
            ["link", "first", "second"].map(|name| folder.path().join(name));
        symlink("first", &link).unwrap();
        symlink("second", &first).unwrap();
        Destination::of("json", &link).tried_as_file().unwrap();
        assert_eq!(names(folder.path()), ["first", "link"]);
        for text in ["one", "two"] {
            Destination::of("json", &link).write(text).unwrap();
            assert_eq!(std::fs::read_to_string(&second).unwrap(), text);
            assert!(link.is_symlink() && first.is_symlink());
        }
        symlink("round", folder.path().join("round")).unwrap();
        assert!(write(&folder.path().join("round"), b"").is_err());
    }

    #[test]
    fn what_somebody_has_open_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let mut output = File::create(&path).unwrap();
        output.write_all(b"said\n").unwrap();
        let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&output));
        let link = folder.path().join("link");
        symlink(open, &link).unwrap();
        Destination::of("json", &link).tried_as_file().unwrap();
        write(&link, b"report\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"said\nreport\n");
        write(Path::new("/dev/null"), b"report").unwrap();
        let full = write(Path::new("/dev/full"), b"report").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn folder_is_written_whole_or_not_at_all_in_the_place_of_its_like() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, files: &[(&str, &[u8])]| {
            let into = Destination::of("artifacts", folder.path());
            into.replace_folder_within(name, files, "mark")
        };
        let mark = || std::fs::read_to_string(folder.path().join("a/mark")).unwrap();
        write("a", &[("mark", b"one"), ("other", b"")]).unwrap();
        write("a", &[("mark", b"two")]).unwrap();
        assert_eq!(names(&folder.path().join("a")), ["mark"]);
        // The last of them cannot be written.
        assert!(write("a", &[("mark", b"three"), ("none/there", b"")]).is_err());
        assert!(write("b", &[("mark", b"three"), ("none/there", b"")]).is_err());
        assert_eq!(mark(), "two");
        std::fs::create_dir(folder.path().join("own")).unwrap();
        let refused = write("own", &[("mark", b"")]).unwrap_err().to_string();
        assert!(refused.contains("something else is there"), "{refused}");
        assert_eq!(names(folder.path()), ["a", "own"]);
    }

    #[test]
    fn what_cannot_be_written_says_what_to_do_and_trying_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("report"), "earlier").unwrap();
        let file = |path: &Path| Destination::of("json", path).tried_as_file();
        let below = |path: &Path| Destination::of("artifacts", path).tried_as_folder();
        let complaint = |tried: Result<(), Error>| tried.unwrap_err().to_string();
        let missing = complaint(file(&at("none/report")));
        assert!(missing.starts_with("--json "), "{missing}");
        assert!(missing.contains("there is no folder "), "{missing}");
        assert!(complaint(file(folder.path())).contains("this is a folder"));
        assert!(complaint(file(&at("new/"))).contains("this is a folder"));
        assert!(complaint(file(&at("report/x"))).contains("report is no folder"));
        assert!(complaint(below(&at("report"))).contains("report is no folder"));
        assert!(complaint(below(&at("report/x"))).contains("is no folder"));
        assert!(below(Path::new("/proc/nothing")).is_err());
        file(&at("report")).unwrap();
        file(&at("other")).unwrap();
        below(&at("a/b/c")).unwrap();
        below(Path::new("not-there")).unwrap();
        assert_eq!(names(folder.path()), ["report"]);
        assert_eq!(std::fs::read(at("report")).unwrap(), b"earlier");
    }
}
