use crate::kit::sockdrill;
use crate::{eventually, marked};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// Servers that are hard to get rid of, as shell scripts: `$0` is the program, `$1` the port, `$2` a number of seconds
/// that no other sleep on this machine has.
const DOUBLE_FORK: &str =
    r#"(setsid sh -c 'sleep "$0" & sleep "$0"' "$2" &) ; exec "$0" serve echo --port "$1""#;
const DEAF_TO_TERM: &str =
    r#"trap '' TERM INT HUP; "$0" serve echo --port "$1" & while :; do sleep "$2"; done"#;
const MANY_CHILDREN: &str =
    r#"for n in $(seq 200); do sleep "$2" & done; exec "$0" serve echo --port "$1""#;

/// Starts a run against a server; the second value is in the command lines of all that it leaves behind.
fn run(script: &str, isolation: &str, only: &str) -> (Child, String) {
    static RUNS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    // Nobody else waits for so many years, and no two tests wait for the same.
    let marker = format!("{}{number:03}", 1_000_000 + std::process::id());
    let run = Command::new(PROGRAM)
        .args([
            "check",
            "--isolation",
            isolation,
            "--speaks",
            "echo",
            "--only",
            only,
            "--jobs",
            "2",
            // What is skipped is told at once, while most of the run is still to come.
            "--verbose",
        ])
        .args(["--", "sh", "-c", script, PROGRAM, "{port}", &marker])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is built");
    (run, marker)
}

/// Checks that take long enough to be interrupted.
const LONG: &str = "timeout";

/// Waits for the first verdict; from then on servers come and go.
fn await_a_verdict(run: &mut Child, marker: &str) {
    let output = run.stdout.take().expect("it is piped");
    let first = BufReader::new(output).lines().next();
    assert!(matches!(first, Some(Ok(_))), "no verdict came");
    assert!(
        eventually(|| !marked(marker).is_empty()),
        "no server came up"
    );
}

fn signal(run: &Child, signal: Signal) {
    let pid = Pid::from_child(run);
    kill_process(pid, signal).expect("it runs");
}

#[rstest]
fn finished_run_leaves_no_process_behind(
    #[values(DOUBLE_FORK, DEAF_TO_TERM, MANY_CHILDREN)] script: &str,
    #[values("namespace", "host")] isolation: &str,
) {
    let (run, marker) = run(script, isolation, "reset/after-connect");
    let output = run.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(marked(&marker), Vec::<String>::new());
}

#[rstest]
fn interrupted_run_is_exit_code_130_and_leaves_no_process_behind(
    #[values(DOUBLE_FORK, DEAF_TO_TERM, MANY_CHILDREN)] script: &str,
    #[values("namespace", "host")] isolation: &str,
    #[values(Signal::INT, Signal::TERM)] how: Signal,
) {
    let (mut run, marker) = run(script, isolation, LONG);
    await_a_verdict(&mut run, &marker);
    signal(&run, how);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(marked(&marker), Vec::<String>::new());
}

#[rstest]
fn killed_run_leaves_no_process_behind(
    #[values(DOUBLE_FORK, DEAF_TO_TERM, MANY_CHILDREN)] script: &str,
    #[values("namespace", "host")] isolation: &str,
) {
    let (mut run, marker) = run(script, isolation, LONG);
    await_a_verdict(&mut run, &marker);
    signal(&run, Signal::KILL);
    run.wait().unwrap();
    // Nobody is left to wait for the last of them, so their end is seen from outside.
    assert!(
        eventually(|| marked(&marker).is_empty()),
        "{:?}",
        marked(&marker)
    );
}

/// As many moments of a run as a few seconds have, from before its first process to after its first verdicts.
#[rstest]
fn nothing_is_left_of_a_run_that_is_killed_at_any_of_two_hundred_moments(
    #[values("namespace", "host")] isolation: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let reaper = Command::new("python3")
        .arg(fixture("kills_the_harness.py"))
        .args(["100", "400"])
        .arg(folder.path())
        .args([PROGRAM, "check", "--isolation", isolation])
        .args(["--speaks", "echo", "--jobs", "2", "--"])
        .args(["sh", "-c", DOUBLE_FORK, PROGRAM, "{port}", "123456"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&reaper.stdout);
    let complaint = String::from_utf8_lossy(&reaper.stderr);
    assert!(told.ends_with(": nothing left\n"), "{told}{complaint}");
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/hostile")
        .join(name)
}

/// On the plain host the server is a process of the same user as those above it: the supervisor and its guard.
#[rstest]
#[case::stops_its_parent("STOP", "1")]
#[case::kills_its_parent("KILL", "1")]
#[case::stops_all_above_it("STOP", "2")]
fn server_that_turns_on_its_parent_holds_up_nobody_and_leaves_nothing(
    #[case] signal: &str,
    #[case] height: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = sockdrill(&["check", "--isolation", "host", "--speaks", "echo"]);
    run.command.env("TMPDIR", folder.path());
    let run = run.args(["--only", "polite/exchange", "--", "python3"]);
    let run = run.arg(fixture("turns_on_its_parent.py"));
    let marker = folder.path().display().to_string();
    let run = run.args(["{port}", signal, height, &marker]).run();
    let is_told = matches!(run.code, Some(1 | 3));
    run.demand(is_told, "it is no success");
    assert_eq!(marked(&marker), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A program that changes its user would be one that an ordinary user cannot end (execve(2)).
#[test]
fn server_with_the_rights_of_root_does_not_get_them_from_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let [program, server] = ["sockdrill", "server"].map(|name| folder.path().join(name));
    for copy in [&program, &server] {
        // By another process: a child that is forked meanwhile would hold our descriptor, and ETXTBSY be the answer (execve(2)).
        let copied = Command::new("cp").arg(PROGRAM).arg(copy).status();
        assert!(copied.unwrap().success());
    }
    std::fs::set_permissions(&server, Permissions::from_mode(0o4755)).unwrap();
    let mut command = Command::new(program);
    command.args(["check", "--isolation", "host", "--speaks", "echo"]);
    command.args(["--only", "polite/exchange", "--only", "reset", "--"]);
    command
        .arg(&server)
        .args(["serve", "echo", "--port={port}"]);
    command.current_dir("/").uid(65_534).gid(65_534);
    command.env("TMPDIR", folder.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{complaint}");
    assert_eq!(marked(&server.display().to_string()), Vec::<String>::new());
}
