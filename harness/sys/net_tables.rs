//! The tables of connections of a network namespace.

use super::message::retry;
use rustix::io::Errno;
use std::ffi::CStr;

/// The sizes of the tables of connections that a network namespace gives to those that are made inside of it.
const TABLES: [(&CStr, &[u8]); 2] = [
    (c"/proc/sys/net/ipv4/tcp_child_ehash_entries", b"512"),
    (c"/proc/sys/net/ipv4/udp_child_hash_entries", b"256"),
];

/// What the kernel sets by the size of the table (`tcp_set_hashinfo`, net/ipv4/tcp_ipv4.c): a small one would end
/// TIME_WAIT early.
const LIMITS_OF_TABLES: [&CStr; 2] = [
    c"/proc/sys/net/ipv4/tcp_max_tw_buckets",
    c"/proc/sys/net/ipv4/tcp_max_syn_backlog",
];

/// What goes with the size of a table, as it was before the table was a small one.
pub(super) struct Limits([([u8; 32], usize); LIMITS_OF_TABLES.len()]);

impl Limits {
    /// Sets the limits of the network namespace that this process is in.
    pub(super) fn set(&self) -> Result<(), Errno> {
        let mut limits = LIMITS_OF_TABLES.iter().zip(&self.0);
        limits.try_for_each(|(path, (text, bytes))| write_file(path, &text[..*bytes]))
    }
}

/// Asks for small tables in the network namespaces that are made from here on, where tables of connections are their own.
/// Without, all namespaces share that of the host, of which the kernel goes through hundreds of thousands of places for
/// every list of a lab's dozen connections. The limits that go with them have to be set as they were, so that nothing but
/// the time that a list takes depends on them. Nothing where the kernel knows no such tables, as before Linux 6.1.
pub(super) fn ask_for_small_ones() -> Option<Limits> {
    let [in_time_wait, in_syn_received] = LIMITS_OF_TABLES;
    let before = [
        read_start(in_time_wait).ok()?,
        read_start(in_syn_received).ok()?,
    ];
    let asked = TABLES.map(|(path, entries)| write_file(path, entries).is_ok());
    asked.contains(&true).then_some(Limits(before))
}

/// Moves on into a network namespace with small tables.
pub(super) fn take_small_ones() -> Result<(), Errno> {
    let Some(limits) = ask_for_small_ones() else {
        return Ok(());
    };
    // SAFETY: unshare(2) touches no memory; this process has one thread and no socket but the control socket.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => limits.set(),
        _ => Ok(()),
    }
}

pub(super) fn write_file(path: &CStr, value: &[u8]) -> Result<(), Errno> {
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    retry(|| rustix::io::write(&file, value)).map(drop)
}

/// The beginning of a file, and how many bytes of it there are.
pub(super) fn read_start(path: &CStr) -> Result<([u8; 32], usize), Errno> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let mut text = [0; 32];
    let bytes = retry(|| rustix::io::read(&file, &mut text))?;
    Ok((text, bytes))
}
