//! The readers of what the kernel says, each given the same bytes: whatever they are, there is an answer.

use super::births::event;
use super::counters::{in_datagrams, take_in};
use super::destroyed::destroyed;
use super::diag::{attributes, inet_row, messages as bodies, take_messages, unix_row};
use super::process::{Memory, Process, children_of_thread};
use super::rest::{OutputPipe, Pace, ThreadLook, is_armed, may_be_alarmed, occupation};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

/// Datagrams of netlink.
pub(crate) fn messages(bytes: &[u8]) -> bool {
    let mut rows = 0;
    for dump in [true, false] {
        let _ = take_messages(bytes, dump, &mut |body| {
            rows += usize::from(inet_row(body).is_some());
            rows += usize::from(unix_row(body).is_some());
        });
    }
    let dead = bodies(bytes).into_iter().filter_map(destroyed).count();
    let _ = attributes(bytes);
    rows + dead > 0 || event(bytes).is_some()
}

/// Rows of `sock_diag` with attributes, the end of a list, an error, and a birth.
pub(crate) fn message_seeds() -> Vec<Vec<u8>> {
    const ROW: u16 = 20;
    let attribute = |kind: u16, value: &[u8]| {
        let length = 4 + value.len() as u16;
        let mut all = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        all.extend_from_slice(value);
        all.resize(all.len().next_multiple_of(4), 0);
        all
    };
    let message = |kind: u16, body: &[u8]| {
        let mut all = (16 + body.len() as u32).to_ne_bytes().to_vec();
        all.extend_from_slice(&kind.to_ne_bytes());
        all.extend_from_slice(&[0; 10]);
        all.extend_from_slice(body);
        all
    };
    let mut inet = vec![0; 72];
    inet[..2].copy_from_slice(&[2, 1]);
    // `INET_DIAG_INFO`, `INET_DIAG_SKMEMINFO`, `INET_DIAG_SKV6ONLY`.
    for (kind, length) in [(2, 232), (7, 36), (11, 1)] {
        inet.extend(attribute(kind, &vec![1; length]));
    }
    let mut local = vec![1, 1, 10, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // `UNIX_DIAG_NAME`, `UNIX_DIAG_VFS`, `UNIX_DIAG_RQLEN`.
    for (kind, value) in [(0, &b"/run/server.sock\0"[..]), (1, &[1; 8]), (4, &[2; 8])] {
        local.extend(attribute(kind, value));
    }
    let done = message(3, &[0; 4]);
    let list = [message(ROW, &inet), message(ROW, &inet), done.clone()].concat();
    let locals = [message(ROW, &local), message(ROW, &local), done].concat();
    // `PROC_EVENT_FORK`, behind the head of the connector.
    let mut born = vec![0; 36];
    born[20] = 1;
    born.extend([[7u8, 0, 0, 0], [7, 0, 0, 0], [8, 0, 0, 0], [8, 0, 0, 0]].concat());
    let error = message(2, &2i32.wrapping_neg().to_ne_bytes());
    vec![list, locals, message(3, &born), error]
}

/// The files of `/proc` that are read of a thread.
const NAMES: [&str; 7] = [
    "stat",
    "status",
    "schedstat",
    "syscall",
    "children",
    "fd",
    "fdinfo",
];

/// A folder as a thread has one in `/proc`, of which every file is the same one.
struct Folder {
    /// Taken away with the process' own temporary files.
    folder: tempfile::TempDir,
    file: PathBuf,
}

static FOLDER: LazyLock<Option<Folder>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().ok()?;
    let file = folder.path().join("bytes");
    for name in NAMES {
        symlink(&file, folder.path().join(name)).ok()?;
    }
    Some(Folder { folder, file })
});

/// Files of `/proc`: whoever names a process, or a file that it has open, chooses bytes in them.
pub(crate) fn proc_files(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let memory = Memory::parse(&text);
    let _ = (
        memory.is_shadowed(),
        memory.own_bytes(),
        memory.taken_since(&memory),
    );
    let mut counters = BTreeMap::new();
    take_in(&text, &mut counters);
    let datagrams = in_datagrams(&text);
    let own = Process::read(std::process::id() as i32).zip(FOLDER.as_ref());
    let Some((process, place)) = own.filter(|(_, place)| fs::write(&place.file, bytes).is_ok())
    else {
        return false;
    };
    let folder = place.folder.path().to_string_lossy();
    let pace = Pace::of(&folder);
    let output = OutputPipe { inode: 1, bytes: 0 };
    let _ = ThreadLook::of(&process, &folder, pace, output);
    let _ = (pace.tells_stillness(), may_be_alarmed(&folder));
    let children = children_of_thread(&folder);
    let _ = (is_armed(&folder, ""), occupation(&folder));
    memory.mappings() + counters.len() + children.len() > 0 || datagrams.is_some()
}

/// What the kernel says of this process, and of its network.
pub(crate) fn proc_seeds() -> Vec<Vec<u8>> {
    let names = [
        "stat",
        "status",
        "schedstat",
        "syscall",
        "smaps",
        "limits",
        "io",
        "net/snmp",
        "net/snmp6",
        "net/netstat",
    ];
    let files = names
        .into_iter()
        .filter_map(|name| fs::read(format!("/proc/self/{name}")).ok());
    let stopped = b"7 (a) b) T 1 7 7 0 -1".to_vec();
    let waiting = b"7 (\xff) S 1 7 7 0 -1\n202 0x1 0x80 0x0 0x0 0x0 0x0 0x7ffd 0x7f00".to_vec();
    let timer = b"clockid: 0\nticks: 0\nit_value: (0, 0)\nSigBlk:\t0000000000002000".to_vec();
    let written = [stopped, waiting, timer].into_iter();
    // Of a long list of mappings the first say what all do.
    files
        .map(|mut file| {
            file.truncate(4 << 10);
            file
        })
        .chain(written)
        .collect()
}
