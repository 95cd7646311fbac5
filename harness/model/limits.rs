//! How long is waited, and how often is looked: every time limit that a verdict can come to depend on, with its reason.
//!
//! A limit that is met costs nothing. One that is missed is held against the server only where nothing shows that the
//! host, or the harness, was to blame. What `sockdrill repro` writes waits for as long.

use std::time::Duration;

/// What one step sends or expects, in bytes; more would hold the harness's memory to account, not the server.
pub(crate) const MOST_OF_A_STEP: usize = 64 << 20;

/// How long a step may take where a scenario does not say. Generous: a reply on loopback takes a millisecond.
pub(crate) const STEP_WITHIN: Duration = Duration::from_secs(5);

/// How long a server is looked on at that a time-out of its own may still wake, where a scenario does not say how long it
/// has. Others are tried meanwhile.
pub(crate) const LOOK_ON_FOR: Duration = Duration::from_secs(60);

/// How long a client is waited for whose handshake the kernel has dropped: it is repeated each second at first, and then after
/// 7, 11, 19, 35 and 67 seconds (`tcp_syn_linear_timeouts` of the kernel's `ip-sysctl.rst`; before Linux 6.5 after 1, 3, 7, 15, 31
/// and 63), and that is not the server's time.
pub(crate) const LET_IN_WITHIN: Duration = Duration::from_secs(70);

/// How long `silence` is listened for where the kernel cannot tell that nothing more will come: far longer than a reply
/// takes on loopback, and short enough to be waited for in full each time.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);

/// How long a server may take to return to its baseline once all clients are gone.
pub(crate) const RETURN_WITHIN: Duration = STEP_WITHIN;

/// How long `settle` waits for a server that does not come to rest, nor takes anything of what clients have still to
/// write. Nothing is held against one that does not.
pub(crate) const SETTLE_WITHIN: Duration = Duration::from_millis(500);

/// How long a client may be kept waiting by a server that goes on serving others of its crowd, or itself.
pub(crate) const SERVED_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may take to get through the clients of a scenario that have left: as long as its queue gets shorter,
/// it is at work.
pub(crate) const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// How long a server that still runs, or that no longer listens, is taken to be on its way out.
pub(crate) const MAY_DIE_WITHIN: Duration = Duration::from_secs(1);

/// How long the kernel may keep the listening socket of a server of which no process is left: what an io_uring had is put
/// away by a queue of its own, some milliseconds later where the host is idle.
pub(crate) const LET_GO_WITHIN: Duration = STEP_WITHIN;

/// How long a server is looked on at that turns an address away, to tell a penalty from a place that is lost.
pub(crate) const FORGIVES_WITHIN: Duration = LOOK_ON_FOR;

/// The longest that one segment waits until the server has read the one before.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// The longest that the kernel may refuse to take any of our bytes.
pub(crate) const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long our own echo server is waited for when it is measured.
pub(crate) const CALIBRATED_WITHIN: Duration = Duration::from_secs(10);

/// How often the kernel is asked for what it has no event for: some tens of a reply's time, a thousandth of a limit.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often is looked at a server that is waited for aside: a tenth of what a look costs those who are at work.
pub(crate) const LOOK_ASIDE: Duration = Duration::from_millis(50);

/// How often is looked for what comes within a millisecond on an idle host, such as room in a queue.
pub(crate) const LOOK_SOON: Duration = Duration::from_millis(1);

/// How many looks in a row must show a server that waits for us alone, before it is blamed for what has not come. One
/// would do on an idle machine; on a loaded one packets may be on their way for a while.
pub(crate) const LOOKS_TO_BLAME: u64 = 8;

/// How many times longer a server is watched that gets hardly any of a loaded host.
pub(crate) const PATIENCE_WITH_THE_STARVED: u32 = 8;

/// From here on a delay of ours, or of the server's threads, is written down beside what was seen.
pub(crate) const DELAY_WORTH_RECORDING: Duration = Duration::from_millis(100);

/// From here on a pause is worth that others begin meanwhile.
pub(crate) const WORTH_A_PLACE: Duration = Duration::from_millis(500);
