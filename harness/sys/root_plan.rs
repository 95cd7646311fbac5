//! What a lab's own root is made of: worked out by the harness, which may allocate, and carried out by [`super::own_root`].
//!
//! An overlay takes a folder of the host only where nothing is mounted below it (in a user namespace such mounts are locked,
//! mount_namespaces(7), and the kernel gives nobody what they cover). So a folder without mounts becomes a layer as it
//! is, and one with mounts becomes a folder of memory whose entries are gone through in the same way.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::io;
use std::ops::Bound;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where programs put temporary files, and what they share by name (shm_overview(7)).
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// What the supervisor makes itself.
const MADE: [&str; 3] = ["/proc", "/sys", "/dev"];

/// How something of the host is seen in the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sight {
    /// Below a layer of memory. Where the host cannot layer it, the whole root fails.
    Layered = b'o',
    /// Below a layer of memory, or only to be read where the host cannot layer it.
    LayeredOrRead = b'e',
    /// To be read.
    Read = b'r',
    /// As it is, writes included.
    Shared = b'b',
    /// A folder of memory with the same name.
    Folder = b'd',
    /// A symbolic link.
    Link = b'l',
}

const SIGHTS: [Sight; 6] = [
    Sight::Layered,
    Sight::LayeredOrRead,
    Sight::Read,
    Sight::Shared,
    Sight::Folder,
    Sight::Link,
];

/// One entry of a plan, as it is read without allocating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) sight: Sight,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Without the slash at its beginning; empty for the root itself.
    pub(super) path: &'a CStr,
    /// Where a link leads.
    pub(super) target: &'a CStr,
}

/// Takes the next entry of a plan.
pub(super) fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (head, after) = rest.split_at_checked(13)?;
    let (first, numbers) = head.split_first()?;
    let sight = SIGHTS.into_iter().find(|sight| *sight as u8 == *first)?;
    let mut words = [0u32; 3];
    for (word, bytes) in words.iter_mut().zip(numbers.chunks_exact(4)) {
        *word = u32::from_ne_bytes(bytes.try_into().ok()?);
    }
    let path = CStr::from_bytes_until_nul(after).ok()?;
    let after = after.get(path.count_bytes() + 1..)?;
    let target = CStr::from_bytes_until_nul(after).ok()?;
    *rest = after.get(target.count_bytes() + 1..)?;
    let [mode, uid, gid] = words;
    Some(Entry {
        sight,
        mode,
        uid,
        gid,
        path,
        target,
    })
}

/// The longest plan, in bytes: what fits into a message with a margin.
pub(super) const LONGEST_PLAN: usize = 60 << 10;

/// How many entries of a folder are gone through one by one.
const MOST_ENTRIES: usize = 1_000;

/// How much of a plan a folder may take in which no server works, in bytes: beyond it, the folder is only to be read.
const MOST_OF_A_FOLDER: usize = 8 << 10;

/// Why what servers write is not layered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{folder} cannot be read", folder = folder.display())]
    Unread {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{folder} has mounts below it, or is an ancestor of such a folder with more than {MOST_ENTRIES} entries", folder = folder.display())]
    Mounts { folder: PathBuf },
    #[error("{folder} belongs to a user or group that has no place in a user namespace of this user", folder = folder.display())]
    Owner { folder: PathBuf },
    #[error(
        "before Linux 6.6, tmpfs keeps no attributes that an overlay in a user namespace needs"
    )]
    Attributes,
    #[error("the host has too many mounts")]
    TooLong,
}

/// What a target's writes outside of the folders for temporary files come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Writes {
    /// A layer of memory that vanishes with the lab.
    #[default]
    Layer,
    /// The host's own files.
    Host,
}

/// A plan under way.
struct Survey<'a> {
    mounts: &'a Mounts,
    /// What has to be writable: where the server works.
    wanted: Vec<PathBuf>,
    plan: Vec<u8>,
}

/// A plan for this host, as bytes for [`next_entry`]. Where it cannot be layered, also why.
pub(super) fn plan(writes: Writes) -> (Vec<u8>, Option<PlanError>) {
    let mounts = Mounts::of_this_host();
    let layered = match writes {
        Writes::Layer => Some(layered(&mounts)),
        Writes::Host => None,
    };
    match layered {
        Some(Ok(plan)) => (plan, None),
        refused => (shared(&mounts), refused.and_then(Result::err)),
    }
}

/// Everything is layered or to be read.
fn layered(mounts: &Mounts) -> Result<Vec<u8>, PlanError> {
    if !keeps_attributes() {
        return Err(PlanError::Attributes);
    }
    let mut survey = Survey::of(mounts);
    survey.is_fit()?;
    survey.folder(Path::new("/"))?;
    survey.add_wanted();
    match survey.plan.len() {
        ..=LONGEST_PLAN => Ok(survey.plan),
        _ => Err(PlanError::TooLong),
    }
}

/// All as it is, but for the folders for temporary files.
fn shared(mounts: &Mounts) -> Vec<u8> {
    let mut survey = Survey::of(mounts);
    survey.add(Sight::Shared, Path::new("/"), None, Path::new(""));
    for folder in TEMPORARY {
        survey.add_layer(Path::new(folder));
    }
    survey.plan
}

/// Whether the memory of a layer keeps attributes of users (`user.*`, xattr(7)), without which an overlay in a user namespace cannot
/// tell that a folder was made anew.
fn keeps_attributes() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    (number(), number()) >= (Some(6), Some(6))
}

impl<'a> Survey<'a> {
    fn of(mounts: &'a Mounts) -> Self {
        let mut wanted: Vec<PathBuf> = TEMPORARY.iter().map(PathBuf::from).collect();
        wanted.extend(std::env::current_dir());
        wanted.extend(std::env::temp_dir().canonicalize());
        wanted.retain(|folder| folder != Path::new("/"));
        Self {
            mounts,
            wanted,
            plan: Vec::new(),
        }
    }

    /// Whether a server can work below layers as it would without them.
    fn is_fit(&self) -> Result<(), PlanError> {
        for folder in &self.wanted {
            let Ok(found) = folder.symlink_metadata() else {
                continue;
            };
            let folder = || folder.clone();
            if self.has_mounts_below(&folder()) {
                // What lies directly in it could be neither written to nor removed.
                return Err(PlanError::Mounts { folder: folder() });
            }
            if !has_a_place(&found) && may_write(&folder()) {
                return Err(PlanError::Owner { folder: folder() });
            }
        }
        Ok(())
    }

    fn see(&mut self, path: &Path) -> Result<(), PlanError> {
        let is_wanted = self.is_wanted(path);
        if self.mounts.is_of_network(path) && !is_wanted {
            // It may be of a host that does not answer: not even its mode is asked for.
            self.add(Sight::Read, path, None, Path::new(""));
            return Ok(());
        }
        let Ok(found) = path.symlink_metadata() else {
            return Ok(());
        };
        let kind = found.file_type();
        if kind.is_symlink() {
            let target = path.read_link().unwrap_or_default();
            self.add(Sight::Link, path, Some(&found), &target);
        } else if kind.is_file() {
            self.add(Sight::Read, path, Some(&found), Path::new(""));
        } else if !kind.is_dir() {
            // Somebody of the host listens or reads there: no business of a lab's.
        } else if self.has_mounts_below(path) {
            return self.folder_or_read(path, is_wanted);
        } else if is_empty(path) {
            self.add(Sight::Folder, path, Some(&found), Path::new(""));
        } else {
            let sight = match is_wanted {
                true => Sight::Layered,
                false => Sight::LayeredOrRead,
            };
            self.add(sight, path, Some(&found), Path::new(""));
        }
        Ok(())
    }

    fn folder_or_read(&mut self, path: &Path, is_wanted: bool) -> Result<(), PlanError> {
        let before = self.plan.len();
        let done = self.folder(path);
        if is_wanted {
            return done;
        }
        if done.is_err() || self.plan.len() - before > MOST_OF_A_FOLDER {
            self.plan.truncate(before);
            let found = path.symlink_metadata().ok();
            self.add(Sight::Read, path, found.as_ref(), Path::new(""));
        }
        Ok(())
    }

    /// A folder of memory, and what is in it.
    fn folder(&mut self, path: &Path) -> Result<(), PlanError> {
        let unread = |source| PlanError::Unread {
            folder: path.to_owned(),
            source,
        };
        let found = path.symlink_metadata().map_err(unread)?;
        self.add(Sight::Folder, path, Some(&found), Path::new(""));
        let entries = std::fs::read_dir(path).map_err(unread)?;
        for (n, entry) in entries.enumerate() {
            if n == MOST_ENTRIES {
                return Err(PlanError::Mounts {
                    folder: path.to_owned(),
                });
            }
            let entry = entry.map_err(unread)?.path();
            if !MADE.iter().any(|made| entry == Path::new(made)) {
                self.see(&entry)?;
            }
        }
        Ok(())
    }

    /// Where a server works, a layer of its own: in one that begins further above, folders on the way are copied up, which a
    /// user namespace refuses where their owners have no place in it. All have of root's.
    fn add_wanted(&mut self) {
        if rustix::process::geteuid().is_root() {
            return;
        }
        for folder in std::mem::take(&mut self.wanted) {
            self.add_layer(&folder);
        }
    }

    fn add_layer(&mut self, folder: &Path) {
        let found = folder.symlink_metadata();
        if let Some(found) = found.ok().filter(std::fs::Metadata::is_dir) {
            self.add(Sight::Layered, folder, Some(&found), Path::new(""));
        }
    }

    fn has_mounts_below(&self, path: &Path) -> bool {
        self.mounts.is_any_below(path)
    }

    fn is_wanted(&self, path: &Path) -> bool {
        self.wanted.iter().any(|wanted| wanted.starts_with(path))
    }

    fn add(&mut self, sight: Sight, path: &Path, found: Option<&std::fs::Metadata>, target: &Path) {
        let words = found.map_or([libc::S_IFDIR | 0o755, 0, 0], |found| {
            [found.mode(), found.uid(), found.gid()]
        });
        self.plan.push(sight as u8);
        for word in words {
            self.plan.extend_from_slice(&word.to_ne_bytes());
        }
        let path = path.strip_prefix("/").unwrap_or(path);
        for text in [path, target] {
            self.plan.extend_from_slice(text.as_os_str().as_bytes());
            self.plan.push(0);
        }
    }
}

/// Whether a folder is seen to have nothing in it, so that one of memory is the same.
fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Whether an owner has a place in a new user namespace: of an ordinary user it has the one user and the one group.
fn has_a_place(found: &std::fs::Metadata) -> bool {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    user.is_root() || found.uid() == user.as_raw() && found.gid() == group.as_raw()
}

/// Whether this user may write in a folder in which not everybody may.
fn may_write(folder: &Path) -> bool {
    const EVERYBODY: u32 = 0o002;
    let is_of_all = folder
        .metadata()
        .is_ok_and(|found| found.mode() & EVERYBODY != 0);
    !is_of_all && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Where something is mounted on this host, and of which kind it is.
struct Mounts(BTreeMap<PathBuf, Vec<u8>>);

impl Mounts {
    fn of_this_host() -> Self {
        let lines = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let mounts = lines.split(|byte| *byte == b'\n').filter_map(mount);
        Self(mounts.collect())
    }

    fn is_any_below(&self, path: &Path) -> bool {
        let from = (Bound::Excluded(path), Bound::Unbounded);
        let behind = self.0.range::<Path, _>(from);
        let mut below = behind.map(|(mount, _)| mount);
        below.next().is_some_and(|mount| mount.starts_with(path))
    }

    /// Whether it is a mount that may wait for another host, or for a program.
    fn is_of_network(&self, path: &Path) -> bool {
        const KINDS: [&[u8]; 8] = [
            b"nfs", b"cifs", b"smb", b"fuse", b"autofs", b"ceph", b"afs", b"9p",
        ];
        let kind = self.0.get(path);
        kind.is_some_and(|kind| KINDS.iter().any(|start| kind.starts_with(start)))
    }
}

/// Where something is mounted, and of which kind it is, which stands behind a dash (proc_pid_mountinfo(5)).
fn mount(line: &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let mut words = line.split(|byte| *byte == b' ');
    let kind = words.by_ref().skip_while(|word| *word != b"-").nth(1)?;
    Some((mount_point(line)?, kind.to_vec()))
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
        rest = match number {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    Some(PathBuf::from(OsString::from_vec(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn place_of_a_mount_is_read_with_its_spaces() {
        let line = b"41 27 0:25 / /tmp/two\\040words rw,relatime - tmpfs tmpfs rw";
        let place = PathBuf::from("/tmp/two words");
        assert_eq!(mount(line), Some((place, b"tmpfs".to_vec())));
        assert_eq!(mount(b"short"), None);
    }

    /// What a plan for a folder with such mounts says, a word for each entry.
    fn planned(folder: &Path, mounts: &[&Path], wanted: &Path) -> Result<Vec<String>, PlanError> {
        let mounts = mounts
            .iter()
            .map(|mount| ((*mount).to_owned(), b"ext4".to_vec()));
        let mounts = Mounts(mounts.collect());
        let mut survey = Survey {
            mounts: &mounts,
            wanted: vec![wanted.to_owned()],
            plan: Vec::new(),
        };
        survey.see(folder)?;
        let (mut rest, mut told) = (survey.plan.as_slice(), Vec::new());
        while let Some(entry) = next_entry(&mut rest) {
            let path = PathBuf::from("/").join(OsStr::from_bytes(entry.path.to_bytes()));
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            told.push(format!("{:?} {name}", entry.sight));
        }
        told.sort();
        Ok(told)
    }

    #[test]
    fn folder_with_a_mount_below_it_is_made_of_its_entries() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["disk/mounted/has", "plain/has", "work/has", "empty"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("plain", at("link")).unwrap();
        let _listens = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let whole = planned(folder.path(), &[], &at("work/here")).unwrap();
        assert_eq!(whole, ["Layered "]);
        let mounted = at("disk/mounted");
        let split = planned(folder.path(), &[&mounted], &at("work/here")).unwrap();
        let expected = [
            "Folder ",
            "Folder disk",
            "Folder empty",
            "LayeredOrRead disk/mounted",
            "LayeredOrRead plain",
            "Layered work",
            "Link link",
            "Read file",
        ];
        let mut expected = expected.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(split, expected);
    }

    #[test]
    fn folder_of_too_much_is_only_read_unless_the_server_works_there() {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().join("0");
        for n in 0..=MOST_ENTRIES {
            std::fs::create_dir(folder.path().join(n.to_string())).unwrap();
        }
        let elsewhere = planned(folder.path(), &[&mounted], Path::new("/elsewhere")).unwrap();
        assert_eq!(elsewhere, ["Read "]);
        let here = planned(folder.path(), &[&mounted], folder.path());
        assert!(matches!(here, Err(PlanError::Mounts { .. })));
    }
}
