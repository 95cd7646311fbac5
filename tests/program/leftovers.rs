use crate::{eventually, marked};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
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
