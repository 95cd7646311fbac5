//! The host of a run, for who reads its report elsewhere.

use serde::{Deserialize, Serialize};

/// The host that a run was on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// Its name (uname(2)).
    pub name: String,
    /// The release of its kernel.
    pub kernel: String,
    /// Its kind of processor.
    pub machine: String,
    /// How many processors this process may use.
    pub processors: usize,
}

impl Host {
    /// The one that this process is on.
    pub(crate) fn of_this_process() -> Self {
        let system = rustix::system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        Self {
            name: text(system.nodename()),
            kernel: text(system.release()),
            machine: text(system.machine()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
