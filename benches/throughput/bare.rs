//! What is done to a server in as few system calls as it takes.

use rustix::process::{Pid, Signal, kill_process};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How many connections a round has.
const CONNECTIONS: u32 = 1_000;

/// How many servers a round has.
const SERVERS: u32 = 20;

const WORD: &[u8; 5] = b"hello";

/// How long a server takes from its start, in namespaces of its own, until it has ended and been waited for, with an exchange
/// between; unshare(1) makes the namespaces, which is one `exec` more.
pub(super) fn server() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    for n in 0..SERVERS {
        let path = folder.path().join(n.to_string());
        let mut unshare = Command::new("unshare");
        let namespaces = ["--net", "--pid", "--mount", "--fork", "--kill-child"];
        unshare
            .args(owned_by_a_user())
            .args(namespaces)
            .arg(program());
        let path_of = path.to_string_lossy().into_owned();
        unshare
            .args(["serve", "echo", "--path", &path_of])
            .stdout(Stdio::null())
            // Some say that they cannot be killed as their child was.
            .stderr(Stdio::null());
        let mut child = unshare.spawn().expect("unshare(1)");
        let mut stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(_) => std::thread::yield_now(),
            }
        };
        exchange_with(&mut stream);
        drop(stream);
        end_server_of(&child);
        child.wait().expect("our child");
    }
    begun.elapsed() / SERVERS
}

/// Ends what unshare(1) has started, and will wait for.
fn end_server_of(unshare: &Child) {
    let id = unshare.id();
    let children = format!("/proc/{id}/task/{id}/children");
    let children = std::fs::read_to_string(children).expect("the kernel tells of children");
    let server = children.trim().parse().ok().and_then(Pid::from_raw);
    kill_process(server.expect("one child"), Signal::KILL).expect("our child's child");
}

/// How long a test of VTest2, or of the varnishtest(1) that it comes from, takes of a server that is a thread of its own; `None`
/// where neither is installed.
pub(super) fn vtest() -> Option<Duration> {
    const CASES: u32 = 200;
    const CASE: &str = "vtest \"an exchange\"\nserver s1 {\n\trxreq\n\ttxresp\n} -start\n\
        client c1 -connect ${s1_sock} {\n\ttxreq\n\trxresp\n} -run\n";
    let folder = tempfile::tempdir().expect("a folder");
    let case = folder.path().join("exchange.vtc");
    std::fs::write(&case, CASE).expect("a file");
    let times = CASES.to_string();
    ["vtest", "varnishtest"].into_iter().find_map(|program| {
        let mut tests = Command::new(program);
        tests.args(["-q", "-j", "2", "-n", &times]).arg(&case);
        let begun = Instant::now();
        let status = tests.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let took = begun.elapsed();
        status
            .is_ok_and(|status| status.success())
            .then(|| took / CASES)
    })
}

/// What lets who is not root make namespaces.
fn owned_by_a_user() -> &'static [&'static str] {
    static IS_ROOT: OnceLock<bool> = OnceLock::new();
    match IS_ROOT.get_or_init(|| rustix::process::geteuid().is_root()) {
        true => &[],
        false => &["--user", "--map-root-user"],
    }
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_sockdrill")
}

/// An echo server, and where it listens.
struct Echo {
    child: Child,
    address: SocketAddr,
}

impl Echo {
    fn start() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut echo = Command::new(program());
        echo.args(["serve", "echo", "--port", &address.port().to_string()]);
        let child = echo
            .stdout(Stdio::null())
            .spawn()
            .expect("the program is built");
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("a connection")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange_with(stream: &mut (impl Read + Write)) {
    let mut reply = [0; WORD.len()];
    stream.write_all(WORD).expect("a request");
    stream.read_exact(&mut reply).expect("a reply");
}

/// How long a client takes that connects, exchanges a word and closes.
pub(super) fn exchange() -> Duration {
    let echo = Echo::start();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        exchange_with(&mut echo.connect());
    }
    begun.elapsed() / CONNECTIONS
}

/// How long a client takes that connects and resets.
pub(super) fn reset() -> Duration {
    let echo = Echo::start();
    let begun = Instant::now();
    for _ in 0..CONNECTIONS {
        let stream = echo.connect();
        let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.expect("SO_LINGER");
    }
    begun.elapsed() / CONNECTIONS
}

/// How long so many MiB take to the server and back.
pub(super) fn bytes(mebibytes: usize) -> Duration {
    let echo = Echo::start();
    let mut reads = echo.connect();
    let mut writes = reads.try_clone().expect("a descriptor");
    let size = mebibytes << 20;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let chunk = vec![b'x'; 1 << 16];
            for _ in 0..size / chunk.len() {
                writes.write_all(&chunk).expect("bytes are taken");
            }
        });
        let mut buffer = vec![0; 1 << 16];
        let mut read = 0;
        while read < size {
            read += reads.read(&mut buffer).expect("bytes come back");
        }
    });
    begun.elapsed()
}

/// How long a crowd takes that connects, and of which each says a word when all are there.
pub(super) fn crowd(members: usize) -> Duration {
    let echo = Echo::start();
    let begun = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..members).map(|_| echo.connect()).collect();
    for stream in &mut crowd {
        stream.write_all(WORD).expect("a request");
    }
    for stream in &mut crowd {
        stream.read_exact(&mut [0; WORD.len()]).expect("a reply");
    }
    drop(crowd);
    begun.elapsed()
}
