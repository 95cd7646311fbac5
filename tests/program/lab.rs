//! Where servers run, and what is read from the kernel there.

use crate::kit::sockdrill;
use rstest::rstest;
use sockdrill::Outcome;
use sockdrill::Profile;
use sockdrill::ReferenceServer;
use sockdrill::Settings;
use sockdrill::Target;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOCKDRILL: &str = env!("CARGO_BIN_EXE_sockdrill");

/// The user that owns nothing (`nobody`).
const NOBODY: u32 = 65_534;

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn fifty_servers_with_the_same_port_run_at_once() {
    let echo = Profile::find("echo").unwrap();
    let target = Target::command(words(&[SOCKDRILL, "serve", "echo", "--port", "7777"]), echo);
    let mut settings = Settings::default();
    settings.only.push("polite/exchange".to_owned());
    let doctor = sockdrill(&["doctor"]).run();
    if doctor.stdout.contains("missing  namespace") {
        doctor.demand(
            !crate::host::is_required("namespace"),
            "no namespace, although one is required",
        );
        return;
    }
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let run = || {
            let report = sockdrill::check(&target, &settings, &|_| {}).unwrap();
            report.results[0].outcome()
        };
        let threads: Vec<_> = (0..50).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(outcomes, vec![Outcome::Pass; 50]);
}

/// A copy of the program that every user may run.
fn program_for_all(folder: &Path) -> PathBuf {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("sockdrill");
    // By another process: a child that is forked meanwhile would hold our descriptor, and ETXTBSY be the answer (execve(2)).
    let copied = Command::new("cp").arg(SOCKDRILL).arg(&program).status();
    assert!(copied.unwrap().success());
    program
}

#[rstest]
#[case::namespace("auto")]
#[case::host("host")]
fn ordinary_user_drills_a_server(#[case] isolation: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program_for_all(folder.path()));
    command.args([
        "check",
        "echo",
        "--only",
        "reset",
        "--only",
        "polite",
        "--isolation",
        isolation,
    ]);
    command.current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// Runs one case against a Python server and returns what was printed.
fn run_case(steps: &str, server: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("case.drill");
    let script = folder.path().join("server.py");
    std::fs::write(&case, format!("case it\n  clients: alice bob\n\n{steps}")).unwrap();
    std::fs::write(&script, server).unwrap();
    let output = Command::new(SOCKDRILL)
        .args(["run", "--verbose"])
        .arg(&case)
        .args(["--", "python3"])
        .arg(&script)
        .arg("{port}")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const LISTEN: &str = "import socket, sys, time, threading, signal, asyncio\n\
    s = socket.socket()\n\
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind(('127.0.0.1', int(sys.argv[1])))\n\
    s.listen(16)\n";

#[test]
fn silence_of_a_parked_server_is_concluded_from_the_kernel() {
    let server =
        format!("{LISTEN}while True:\n    c, _ = s.accept()\n    while c.recv(100): pass\n");
    let printed = run_case(
        "  alice connect\n  alice send \"a\"\n  alice expect silence within 60s\n",
        &server,
    );
    assert!(printed.contains("nothing more will come"), "{printed}");
    assert!(printed.starts_with("pass"), "{printed}");
}

#[rstest]
#[case::sleep("    time.sleep(2); c.sendall(b'late')\n")]
#[case::alarm(
    "    signal.signal(signal.SIGALRM, lambda *_: c.sendall(b'late')); signal.alarm(2); c.recv(1)\n"
)]
#[case::alarm_that_is_waited_for(
    "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); signal.alarm(2)\n    signal.sigwait([signal.SIGALRM]); c.sendall(b'late')\n"
)]
#[case::alarm_that_is_read(
    "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); signal.alarm(2)\n    import ctypes, os; alarm = (1 << 13).to_bytes(128, 'little')\n    os.read(ctypes.CDLL(None).signalfd(-1, alarm, 0), 128); c.sendall(b'late')\n"
)]
#[case::timer_thread("    threading.Timer(2, lambda: c.sendall(b'late')).start(); c.recv(1)\n")]
#[case::receive_timeout(
    "    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b'\\2' + b'\\0' * 15)\n    try: c.recv(1)\n    except OSError: c.sendall(b'late')\n"
)]
#[case::poll_timeout(
    "    c.settimeout(2)\n    try: c.recv(1)\n    except OSError: c.sendall(b'late')\n"
)]
fn silence_is_not_concluded_while_a_timer_runs(#[case] late: &str) {
    let server = format!(
        "{LISTEN}while True:\n    c, _ = s.accept()\n    if not c.recv(1): continue\n{late}"
    );
    let printed = run_case(
        "  alice connect\n  alice send \"a\"\n  alice expect silence within 10s\n",
        &server,
    );
    assert!(printed.contains("got \"late\""), "{printed}");
}

#[test]
fn reset_that_destroys_a_reply_is_told_from_one_that_does_not() {
    let server = format!(
        "{LISTEN}while True:\n    c, _ = s.accept()\n    if c.recv(1):\n        c.setblocking(False)\n        c.send(b'x' * 3000000)\n    c.close()\n"
    );
    let steps = "  alice connect receive-buffer 4KiB\n  alice stall\n  alice send \"ab\"\n  settle\n  alice read\n  alice expect \"x\"\n  alice expect reset\n";
    let printed = run_case(steps, &server);
    assert!(printed.contains("destroyed"), "{printed}");
}

/// The kernel takes these limits from the size of the table of connections, which in a lab is a small one.
#[test]
fn lab_holds_as_many_connections_in_time_wait_as_any_namespace() {
    let Ok(entries) = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_ehash_entries") else {
        // Before Linux 6.1 all namespaces share one table.
        return;
    };
    // What a namespace shares with others is told as a negative number.
    let entries = entries.trim().parse::<i64>().unwrap().abs();
    let limits = "cd /proc/sys/net/ipv4; cat tcp_max_tw_buckets tcp_max_syn_backlog; exit 3";
    let check = sockdrill(&[
        "check",
        "--isolation",
        "namespace",
        "--",
        "sh",
        "-c",
        limits,
    ]);
    let printed = check.run().stderr;
    let lines: Vec<_> = printed.lines().map(str::trim).collect();
    let in_time_wait = (entries / 2).to_string();
    let in_syn_received = (entries / 128).max(128).to_string();
    let expected = [in_time_wait.as_str(), in_syn_received.as_str()];
    assert!(lines.windows(2).any(|two| two == expected), "{printed}");
}

#[test]
fn several_listeners_are_listed_and_one_can_be_chosen() {
    let script = "import socket, sys, threading\n\
        a = socket.create_server(('127.0.0.1', 7101)); b = socket.create_server(('127.0.0.1', 7102))\n\
        def serve(s):\n    while True:\n        c, _ = s.accept(); c.close()\n\
        threading.Thread(target=serve, args=(a,), daemon=True).start()\nserve(b)\n";
    let check = |more: &[&str]| {
        sockdrill(&["check", "--only", "reset/after-connect"])
            .args(more)
            .args(["--", "python3", "-c", script])
            .run()
    };
    check(&[])
        .code(3)
        .complains("127.0.0.1:7101")
        .complains("127.0.0.1:7102");
    check(&["--listen", "7102"])
        .code(0)
        .prints("127.0.0.1:7102");
    check(&["--listen", "tcp"]).code(2).complains(
        "`tcp` is neither a port nor an address; write which listener is meant, such as",
    );
}

#[test]
fn listener_that_is_chosen_is_a_port_or_an_address_and_named_where_it_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let check = |listen: &str| {
        let target = format!(
            "command = [\"python3\", \"-c\", \"import socket, sys, time; s = socket.create_server(('127.0.0.1', \
             int(sys.argv[1]))); time.sleep(600)\", \"{{port}}\"]\nready-within = \"2s\"\nlisten = \"{listen}\"\n"
        );
        std::fs::write(&file, target).unwrap();
        sockdrill(&["check", &file.to_string_lossy()]).run()
    };
    check("tcp").code(2).complains(
        "3 | listen = \"tcp\"\n  |          ^^^^^\nlisten: `tcp` is neither a port nor an address",
    );
    check("1")
        .code(3)
        .complains(" (listen = \"1\") was awaited for 2");
}

#[rstest]
#[case::loopback("socket.AF_INET, '127.0.0.1'")]
#[case::wildcard("socket.AF_INET, '0.0.0.0'")]
#[case::ipv6("socket.AF_INET6, '::1'")]
#[case::dual_stack("socket.AF_INET6, '::'")]
#[case::ipv4_on_an_ipv6_socket("socket.AF_INET6, '::ffff:127.0.0.1'")]
fn server_is_found_wherever_it_listens(#[case] address: &str) {
    let script = format!(
        "import socket, threading\n\
         family, host = {address}\n\
         dual = host.startswith('::') and host != '::1'\n\
         s = socket.create_server((host, 7103), family=family, backlog=16, dualstack_ipv6=dual)\n\
         def serve(c):\n    \
             try:\n        \
                 while True:\n            \
                     d = c.recv(65536)\n            \
                     if not d: break\n            \
                     c.sendall(d)\n    \
             except (OSError, TypeError): pass\n    \
             c.close()\n\
         while True:\n    \
             c, _ = s.accept()\n    \
             threading.Thread(target=serve, args=(c,), daemon=True).start()\n"
    );
    let only = ["polite", "partial/every-cut", "reset", "address"];
    sockdrill(&["check", "--speaks", "echo"])
        .args(only.iter().flat_map(|glob| ["--only", glob]))
        .args(["--", "python3", "-c", &script])
        .run()
        .code(0);
}

#[test]
fn reference_servers_run_on_a_unix_path() {
    for name in ["echo", "uppercase", "line-echo"] {
        assert!(ReferenceServer::find(name).is_some());
        sockdrill(&["check", "--speaks", name, "--skip", "stop"])
            .args(["--", SOCKDRILL, "serve", name, "--path", "{path}"])
            .run()
            .code(0);
    }
}

#[test]
fn socket_is_handed_to_a_server_that_expects_one() {
    let folder = tempfile::tempdir().unwrap();
    let script = "import os, socket\n\
        assert int(os.environ['LISTEN_PID']) == os.getpid() and os.environ['LISTEN_FDS'] == '1'\n\
        s = socket.socket(fileno=3)\n\
        while True:\n    c, _ = s.accept()\n    c.recv(100)\n    c.sendall(b'hello')\n    c.close()\n";
    let target = format!(
        "command = [\"python3\", \"-c\", '''{script}''']\nlisten-fds = true\n[profile]\n\
         [[profile.exchange]]\nsend = 'hi'\nreply = 'hello'\n[profile.promises]\nafter-exchange = \"closes\"\n"
    );
    let path = folder.path().join("activated.toml");
    std::fs::write(&path, target).unwrap();
    sockdrill(&["check"])
        .arg(&path)
        .args(["--only", "polite"])
        .run()
        .code(0);
}

/// The kernel drops nothing that is sent to a Unix socket: a burst has to wait until the server has made room.
#[test]
fn burst_of_datagrams_waits_for_room_at_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("datagrams.toml");
    let speaks = "transport = \"unix-datagram\"\nmodel = \"echo\"\nframing = \"datagram\"\n\
                  [promises]\nserves = \"concurrently\"\n";
    std::fs::write(&profile, speaks).unwrap();
    let server = "import socket, sys\n\
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  s.bind(sys.argv[1])\n\
                  while True:\n    \
                      d, a = s.recvfrom(1 << 18)\n    \
                      try: s.sendto(d, socket.MSG_DONTWAIT, a)\n    \
                      except (OSError, TypeError): pass\n";
    sockdrill(&["check", "--only", "datagram/*", "--speaks"])
        .arg(&profile)
        .args(["--", "python3", "-c", server, "{path}"])
        .run()
        .code(0);
}

#[rstest]
#[case::abstract_name("'\\0drilled'", "the abstract name @drilled")]
#[case::relative_path("'drilled'", "the relative path drilled")]
fn unix_socket_that_no_client_finds_is_named(#[case] name: &str, #[case] message: &str) {
    let server = format!(
        "import os, socket, tempfile, time\nos.chdir(tempfile.mkdtemp())\n\
         s = socket.socket(socket.AF_UNIX)\ns.bind({name})\ns.listen()\ntime.sleep(60)\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("nowhere.toml");
    let script = folder.path().join("server.py");
    std::fs::write(&script, server).unwrap();
    let settings =
        format!("speaks = \"echo\"\ncommand = [\"python3\", {script:?}]\nready-within = \"5s\"\n");
    std::fs::write(&target, settings).unwrap();
    sockdrill(&["check"])
        .arg(&target)
        .run()
        .code(3)
        .complains(message);
}
