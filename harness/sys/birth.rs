//! How a supervisor is forked: into which namespaces, and from what.

use super::fork::clone_with_signals_blocked;
use super::guard::{Guarded, guard};
use super::id_maps::IdMaps;
use super::life::{Birth, life};
use super::net_tables::ask_for_small_ones;
use super::nursery::Nursery;
use super::own_root::Order;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::ffi::{CStr, c_int};
use std::sync::{Arc, Mutex, Weak};

/// The namespaces that a supervisor is born into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// Those of the harness.
    Host,
    /// Its own network, pid, mount, IPC and host name namespace; needs CAP_SYS_ADMIN.
    Own,
    /// The same inside an own user namespace; needs no privilege where the host permits it.
    OwnInUserNamespace,
}

impl Namespaces {
    /// Those of each supervisor, and those that its nursery is in.
    fn clone_flags(self) -> [c_int; 2] {
        let private = libc::CLONE_NEWNET
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        match self {
            Self::Host => [0, 0],
            Self::Own => [private, libc::CLONE_NEWNET],
            Self::OwnInUserNamespace => [private, libc::CLONE_NEWNET | libc::CLONE_NEWUSER],
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

/// What can fail on the way to a supervisor that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Stage {
    Namespaces,
    Ids,
    PrivateMounts,
    Processes,
    Loopback,
    Reaper,
    Folder,
}

const STAGES: [(Stage, &str); 7] = [
    (Stage::Namespaces, "creating the namespaces"),
    (Stage::Ids, "mapping the user into its namespace"),
    (Stage::PrivateMounts, "making mounts private"),
    (Stage::Processes, "mounting /proc"),
    (Stage::Loopback, "bringing the loopback interface up"),
    (Stage::Reaper, "becoming the reaper of descendants"),
    (Stage::Folder, "making a folder for the server"),
];

impl ForkError {
    /// Whether the folder of the lab could not be made.
    pub(crate) fn is_of_folder(&self) -> bool {
        let mut stages = STAGES.iter();
        stages.any(|(stage, name)| *stage == Stage::Folder && *name == self.stage)
    }

    pub(super) fn of(stage: &'static str, source: Errno) -> Self {
        Self {
            stage,
            source: source.into(),
        }
    }

    /// From the number of a stage, as it came through a socket.
    pub(super) fn at(number: i32, source: Errno) -> Self {
        let stage = STAGES.iter().find(|(stage, _)| *stage as i32 == number);
        Self::of(
            stage.map_or("starting the new process", |(_, name)| name),
            source,
        )
    }
}

/// A supervisor that was forked, or what will fork it.
#[derive(Debug)]
pub(super) struct Born {
    /// Ends when nothing is left of the lab.
    pub(super) last: OwnedFd,
    /// The child of ours that is to be waited for.
    pub(super) child: Option<i32>,
    pub(super) nursery: Option<Arc<Nursery>>,
}

/// What a supervisor is told in one letter: the order for its root, with texts that each end with a zero byte.
pub(super) fn letter(folder: &CStr, size: &CStr, plan: &[u8]) -> Vec<u8> {
    [folder.to_bytes_with_nul(), size.to_bytes_with_nul(), plan].concat()
}

fn order(letter: &[u8], in_user_namespace: bool) -> Option<Order<'_>> {
    let folder = CStr::from_bytes_until_nul(letter).ok()?;
    let rest = letter.get(folder.count_bytes() + 1..)?;
    let size = CStr::from_bytes_until_nul(rest).ok()?;
    Some(Order {
        folder,
        size,
        plan: rest.get(size.count_bytes() + 1..)?,
        in_user_namespace,
    })
}

/// The nurseries that somebody holds: for namespaces of root, and for those of others.
static NURSERIES: [Mutex<Weak<Nursery>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

fn place(namespaces: Namespaces) -> &'static Mutex<Weak<Nursery>> {
    match namespaces {
        Namespaces::OwnInUserNamespace => &NURSERIES[1],
        Namespaces::Own | Namespaces::Host => &NURSERIES[0],
    }
}

/// Where supervisors are forked into such namespaces.
fn find_nursery(namespaces: Namespaces) -> Result<Arc<Nursery>, ForkError> {
    let gone = |_| ForkError::at(Stage::Namespaces as i32, Errno::CHILD);
    let mut current = place(namespaces).lock().map_err(gone)?;
    let opened = match current.upgrade() {
        Some(opened) => opened,
        None => Arc::new(open_nursery(namespaces)?),
    };
    *current = Arc::downgrade(&opened);
    Ok(opened)
}

/// Whoever comes next opens another one.
fn forget(namespaces: Namespaces) {
    if let Ok(mut current) = place(namespaces).lock() {
        *current = Weak::new();
    }
}

/// It has a network, and where need be a user, namespace of its own: in that one is asked for small tables in those of supervisors.
fn open_nursery(namespaces: Namespaces) -> Result<Nursery, ForkError> {
    let [of_supervisors, own] = namespaces.clone_flags();
    let in_user_namespace = namespaces == Namespaces::OwnInUserNamespace;
    let maps = in_user_namespace.then(IdMaps::of_this_user);
    Nursery::open([own, of_supervisors], maps.as_ref(), || {
        let limits = ask_for_small_ones();
        move |control: RawFd, letter: &[u8]| {
            let birth = Birth {
                limits: limits.as_ref(),
                order: order(letter, in_user_namespace),
            };
            life(&birth, control)
        }
    })
}

/// Forks one from a nursery; from another one, where that has ended.
pub(super) fn in_namespaces(
    namespaces: Namespaces,
    letter: &[u8],
    theirs: BorrowedFd<'_>,
) -> Result<Born, ForkError> {
    let failed = |errno| ForkError::at(Stage::Namespaces as i32, errno);
    let mut nursery = find_nursery(namespaces)?;
    let last = match nursery.bear(letter, theirs) {
        Err(Errno::CONNRESET | Errno::PIPE) => {
            forget(namespaces);
            nursery = find_nursery(namespaces)?;
            nursery.bear(letter, theirs)
        }
        born => born,
    };
    Ok(Born {
        last: last.map_err(failed)?,
        child: None,
        nursery: Some(nursery),
    })
}

/// Forks one among the processes of the host, below a guard.
pub(super) fn on_host(folder: &CStr, theirs: &OwnedFd) -> Result<Born, ForkError> {
    let failed = |errno| ForkError::at(Stage::Reaper as i32, errno);
    let guarded = Guarded {
        folder,
        control: theirs.as_raw_fd(),
    };
    let child = clone_with_signals_blocked(0, || guard(&guarded)).map_err(failed)?;
    let pid = rustix::process::Pid::from_raw(child).ok_or(Errno::SRCH);
    let last =
        pid.and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()));
    Ok(Born {
        last: last.map_err(failed)?,
        child: Some(child),
        nursery: None,
    })
}
