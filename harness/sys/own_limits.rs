//! The limit on our own descriptors: raised for us, and left to servers as it was given to us.

use std::sync::OnceLock;

/// The limits on open files that this process was started with (RLIMIT_NOFILE, getrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

static GIVEN: OnceLock<OpenFiles> = OnceLock::new();

/// What this process was started with. The first call raises the soft limit to the hard one: a crowd of clients takes
/// more descriptors than most programs do, and a limit of ours is no fault of a server.
pub(crate) fn open_files() -> OpenFiles {
    *GIVEN.get_or_init(|| {
        let given = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let raised = rustix::process::Rlimit {
            current: given.maximum,
            maximum: given.maximum,
        };
        // Where that is refused we have what we were given.
        let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
        OpenFiles {
            soft: given.current.unwrap_or(libc::RLIM_INFINITY),
            hard: given.maximum.unwrap_or(libc::RLIM_INFINITY),
        }
    })
}

/// How many descriptors this process may have in all.
pub(crate) fn most_open_files() -> u64 {
    open_files();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

/// How many descriptors this process has now.
pub(crate) fn open_files_now() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}
