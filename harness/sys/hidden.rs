//! Whom the processes between the harness and a server are hidden from.

use super::socket::check;
use rustix::io::Errno;
use std::sync::OnceLock;

/// Whether `/proc` would show us a process that we may not trace.
static SHOWS_ALL: OnceLock<bool> = OnceLock::new();

/// Looks what `/proc` shows, for those to know who are forked from here on.
pub(super) fn look_at_proc() {
    SHOWS_ALL.get_or_init(|| {
        let mounts = std::fs::read("/proc/self/mounts").unwrap_or_default();
        !hides_others(&mounts) || may_trace_all()
    });
}

/// Nobody but the host's root traces this process from here on, or reads what it has of the harness's memory
/// (`PR_SET_DUMPABLE`, prctl(2); ptrace(2)). Where `/proc` would hide it for that from the harness too, it stays as it is: nothing could be
/// seen of the servers below it.
pub(super) fn hide() -> Result<(), Errno> {
    if SHOWS_ALL.get() == Some(&false) {
        return Ok(());
    }
    // SAFETY: prctl with integer arguments only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}

/// Whether `/proc` is mounted so that it shows a user its own processes alone (`hidepid`, proc(5)).
fn hides_others(mounts: &[u8]) -> bool {
    let lines = mounts.split(|byte| *byte == b'\n');
    let words = |line: &'_ [u8]| -> Vec<String> {
        let line = String::from_utf8_lossy(line).into_owned();
        line.split(' ').map(str::to_owned).collect()
    };
    // What was mounted last lies on top.
    let mut options = lines.map(words).filter_map(|words| match words.as_slice() {
        [_, place, _, options, ..] if place == "/proc" => Some(options.clone()),
        _ => None,
    });
    let options = options.next_back().unwrap_or_default();
    let mut hidden = options
        .split(',')
        .filter_map(|option| option.strip_prefix("hidepid="));
    hidden.any(|value| !matches!(value, "0" | "off"))
}

/// Whether this process has CAP_SYS_PTRACE in effect (capabilities(7)).
fn may_trace_all() -> bool {
    const CAP_SYS_PTRACE: u32 = 19;
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    effective.is_some_and(|bits| bits >> CAP_SYS_PTRACE & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_hides_others_where_its_uppermost_mount_says_so() {
        let proc = |options: &str| format!("proc /proc proc rw,nosuid{options} 0 0\n");
        for hiding in [
            ",hidepid=2",
            ",hidepid=invisible",
            ",hidepid=1",
            ",gid=4,hidepid=ptraceable",
        ] {
            assert!(hides_others(proc(hiding).as_bytes()), "{hiding}");
        }
        for showing in ["", ",hidepid=0", ",hidepid=off"] {
            assert!(!hides_others(proc(showing).as_bytes()), "{showing}");
        }
        let later = proc(",hidepid=2") + &proc("");
        assert!(!hides_others(later.as_bytes()));
        assert!(!hides_others(
            b"proc /other/proc proc rw,hidepid=2 0 0\n\xff\xfe\n"
        ));
    }
}
