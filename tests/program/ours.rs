//! What is ours is not held against a server: what a host refuses, what servers side by side would share, and how little
//! there is of something.

use crate::kit::{Run, sockdrill};
use rstest::rstest;
use std::path::Path;
use std::process::Command;

const SOCKDRILL: &str = env!("CARGO_BIN_EXE_sockdrill");

/// What the servers of these tests have in common: an echo for any number of clients.
const ECHO: &str = "import os, socket, sys, threading, time\n\
    def echo(c):\n    \
        with c:\n        \
            try:\n            \
                while d := c.recv(65536): c.sendall(d)\n        \
            except OSError: pass\n\
    def serve(s, talk=echo):\n    \
        while True:\n        \
            c, _ = s.accept()\n        \
            threading.Thread(target=talk, args=(c,), daemon=True).start()\n";

/// A check of such a server.
fn check(options: &[&str], server: &str) -> Run {
    let script = format!("{ECHO}{server}");
    sockdrill(&["check"])
        .args(options)
        .args(["--", "python3", "-c", &script, "{port}"])
        .run()
}

/// The program with such a limit on its descriptors.
fn with_descriptors(limit: &str, options: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")])
        .arg(SOCKDRILL)
        .args(options)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), printed)
}

/// Who holds what another one waits for may itself wait for the place that this one has.
#[test]
fn checks_that_pause_and_checks_that_wait_for_descriptors_all_end() {
    let only = ["timeout/frozen-server", "reset/after-connect"];
    let only = only.iter().flat_map(|id| ["--only", id]);
    let options: Vec<&str> = ["check", "echo"].into_iter().chain(only).collect();
    let (code, printed) = with_descriptors("-n 64", &options);
    assert_eq!(code, Some(0), "{printed}");
}

#[rstest]
#[case::few("-n 64")]
#[case::some("-n 256")]
fn check_that_takes_more_descriptors_than_there_are_is_skipped(#[case] limit: &str) {
    let options = [
        "check",
        "echo",
        "--only",
        "crowd/parallel",
        "--only",
        "backlog/overflow-recovers",
        "--only",
        "reset/after-connect",
    ];
    let (code, printed) = with_descriptors(limit, &options);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("descriptors, and this host has"),
        "{printed}"
    );
    assert!(printed.contains("2 passed, 0 failed"), "{printed}");
}

#[test]
fn soft_limit_is_raised_for_us_and_left_to_the_server() {
    if !crate::gives_descriptors(256) {
        return;
    }
    let server = format!(
        "{ECHO}import resource\nassert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200\n\
         serve(socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=300))\n"
    );
    let (code, printed) = with_descriptors(
        "-S -n 200",
        &[
            "check", "--speaks", "echo", "--only", "polite", "--", "python3", "-c", &server,
            "{port}",
        ],
    );
    assert_eq!(code, Some(0), "{printed}");
}

/// Process ids are the same in every lab.
#[test]
fn servers_side_by_side_do_not_meet_in_files_that_are_named_by_process_id() {
    let name = format!("/tmp/sockdrill-test-{}-", std::process::id());
    let server = format!(
        "path = '{name}%d' % os.getpid(); mine = os.urandom(8); open(path, 'wb').write(mine)\n\
         def talk(c):\n    \
             while d := c.recv(4096):\n        \
                 if open(path, 'rb').read() != mine: os._exit(1)\n        \
                 c.sendall(d)\n    \
             c.close()\n\
         serve(socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128), talk)\n"
    );
    check(
        &[
            "--speaks",
            "echo",
            "--only",
            "half-close",
            "--only",
            "partial",
        ],
        &server,
    )
    .code(0);
    let left = std::fs::read_dir("/tmp").unwrap().flatten();
    let left = left.filter(|entry| entry.path().starts_with(&name)).count();
    assert_eq!(left, 0);
}

/// A program, a configuration and a socket may lie where the lab has a folder of its own.
#[test]
fn server_in_a_folder_for_temporary_files_is_found_with_what_it_needs() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let script = folder.path().join("server.py");
    let settings = folder.path().join("settings");
    std::fs::write(&settings, "hello").unwrap();
    let place = folder.path().join("place");
    let server = format!(
        "{ECHO}assert open({settings:?}).read() == 'hello'\n\
         s = socket.socket(socket.AF_UNIX); s.bind({place:?}); s.listen(64); serve(s)\n"
    );
    std::fs::write(&script, server).unwrap();
    let profile = folder.path().join("echo.toml");
    let text = "transport = \"unix\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\nhalf-close = \"answers\"\n";
    std::fs::write(&profile, text).unwrap();
    sockdrill(&[
        "check",
        "--only",
        "half-close",
        "--only",
        "polite",
        "--speaks",
    ])
    .arg(&profile)
    .args(["--", "python3"])
    .arg(&script)
    .run()
    .code(0);
    assert!(Path::new(&settings).is_file());
}

/// The lab's own limit counts, whatever the host has.
#[test]
fn promised_backlog_is_cut_as_the_kernel_cuts_it_in_the_lab() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "{ECHO}serve(socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128))\n"
    );
    let target = folder.path().join("cut.toml");
    let text = format!(
        "command = [\"python3\", \"-c\", '''{script}''', \"{{port}}\"]\n\
         [profile]\ntransport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n\
         [profile.promises]\nserves = \"concurrently\"\nbacklog = 128\n\
         [lab.sysctl]\n\"net.core.somaxconn\" = 8\n"
    );
    std::fs::write(&target, text).unwrap();
    sockdrill(&[
        "check",
        "--isolation",
        "namespace",
        "--only",
        "backlog/depth",
    ])
    .arg(&target)
    .run()
    .code(0)
    .prints("1 passed");
}

/// Its answers have come, and the last of them is acknowledged only 40 ms later.
#[test]
fn reset_behind_answers_that_have_come_destroys_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("unread.drill");
    let steps = "case every byte, then a reset\n  clients: alice\n\n  alice connect\n  alice send \"a\"\n  \
                 alice expect \"xxxxxxxx\"\n  alice send \"bc\"\n  alice expect \"xxxxxxxx\"\n  \
                 alice expect fin or reset, all bytes first\n";
    std::fs::write(&case, steps).unwrap();
    let server = format!(
        "{ECHO}def talk(c):\n    \
             for _ in range(2):\n        \
                 if c.recv(1): c.sendall(b'x' * 8)\n    \
             c.close()\n\
         serve(socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128), talk)\n"
    );
    sockdrill(&["run"])
        .arg(&case)
        .args(["--", "python3", "-c", &server, "{port}"])
        .run()
        .code(0);
}

/// A login time that nobody promises is no reason to fail a server: no client waits for others before it speaks.
#[test]
fn server_that_gives_clients_half_a_second_to_speak_is_not_kept_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("grace.toml");
    let text = "transport = \"tcp\"\nspeaks-first = true\ngreeting = 'hello\\n'\n[[exchange]]\nsend = 'alice\\n'\n\
                reply = 'welcome alice\\n'\n[promises]\nserves = \"concurrently\"\nafter-exchange = \"stays-open\"\n";
    std::fs::write(&profile, text).unwrap();
    let server = "def talk(c):\n    \
            with c:\n        \
                try:\n            \
                    c.sendall(b'hello\\n'); c.settimeout(0.5)\n            \
                    for line in c.makefile('rb'): c.settimeout(None); c.sendall(b'welcome ' + line)\n        \
                except OSError: pass\n\
        s = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=4)\n\
        while True:\n    \
            c, _ = s.accept(); threading.Thread(target=talk, args=(c,), daemon=True).start(); time.sleep(0.05)\n";
    let profile = profile.to_string_lossy();
    let only = ["--only", "backlog/burst", "--only", "timeout/late-send"];
    let options = [&["--speaks", &profile][..], &only].concat();
    check(&options, server)
        .code(0)
        .prints("no idle-timeout is promised either way");
}

/// What runs out is the descriptors of one process.
#[test]
fn server_with_a_process_for_each_client_is_not_held_to_the_descriptors_of_one() {
    let server = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
        s = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128)\n\
        while True:\n    \
            c, _ = s.accept()\n    \
            if os.fork() == 0: s.close(); echo(c); os._exit(0)\n    \
            c.close()\n";
    check(
        &[
            "--speaks",
            "echo",
            "--only",
            "backlog/descriptor-limit",
            "--only",
            "polite",
        ],
        server,
    )
    .code(0)
    .prints("each client has a process of the server for itself");
}

/// A game's loop is as busy with clients as without.
#[test]
fn server_that_never_rests_is_not_accused_of_it() {
    let server = "def tick():\n    \
            while True:\n        \
                until = time.monotonic() + 0.03\n        \
                while time.monotonic() < until: pass\n        \
                time.sleep(0.001)\n\
        threading.Thread(target=tick, daemon=True).start()\n\
        serve(socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=256))\n";
    check(
        &["--speaks", "echo", "--only", "timeout/silent-crowd"],
        server,
    )
    .code(0);
}
