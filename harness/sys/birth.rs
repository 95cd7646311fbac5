//! How a supervisor is forked: into which namespaces, and from what.

use super::fork::clone_with_signals_blocked;
use super::life::{Birth, Origin, life};
use super::net_tables::{ask_for_small_ones, write_file};
use super::nursery::Nursery;
use super::own_folders::Kept;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::ffi::c_int;
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
    pub(super) stage: &'static str,
    #[source]
    pub(super) source: std::io::Error,
}

/// The stages that can fail in the new process, by their number on the control socket.
pub(super) const STAGES: [&str; 6] = [
    "creating the namespaces",
    "mapping the user into its namespace",
    "making mounts private",
    "mounting /proc",
    "bringing the loopback interface up",
    "becoming the reaper of descendants",
];

/// A supervisor that was forked.
pub(super) struct Born {
    pub(super) pid: i32,
    pub(super) nursed: Option<(Arc<Nursery>, OwnedFd)>,
}

/// The nurseries that somebody holds: for namespaces of root, and for those of others.
static NURSERIES: [Mutex<Weak<Nursery>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

/// Where supervisors are forked into such namespaces: on the host, where they inherit what is orphaned, by the harness alone.
pub(super) fn nursery(namespaces: Namespaces) -> Option<Arc<Nursery>> {
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
pub(super) fn born_in_nursery(
    namespaces: Namespaces,
    kept: &Kept,
    theirs: BorrowedFd<'_>,
) -> Option<Born> {
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

pub(super) fn born_of_harness(
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

pub(super) fn failed(stage: &'static str) -> impl FnOnce(Errno) -> ForkError {
    move |source| ForkError {
        stage,
        source: source.into(),
    }
}

/// The lines that map the user's own ids to themselves in a new user namespace (user_namespaces(7)).
pub(super) struct IdMaps {
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
    pub(super) fn write(&self) -> Result<(), Errno> {
        write_file(c"/proc/self/setgroups", b"deny")?;
        write_file(c"/proc/self/gid_map", &self.gid)?;
        write_file(c"/proc/self/uid_map", &self.uid)
    }
}
