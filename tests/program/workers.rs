//! How the processes of a server end that are not its first one.

use crate::kit::{Run, Sockdrill, sockdrill};
use rstest::rstest;
use std::process::Command;

const SERVER: &str = "fixtures/external/workers.py";

/// Holds the server in one of its ways to what it owes a client that resets.
fn resets(way: &str, options: &[&str]) -> Sockdrill {
    sockdrill(&[
        "check",
        "--only",
        "reset/after-connect",
        "--only",
        "reset/mid-request",
    ])
    .args(["--speaks", "fixtures/external/workers.toml"])
    .args(options)
    .args(["--", "python3", SERVER, way, "{port}"])
}

#[rstest]
#[case::worker_that_is_replaced(
    "crashes",
    "a worker of the server (python3) was ended by signal 11 (SIGSEGV)"
)]
#[case::worker_with_a_status("ends", "a worker of the server (python3) exited with status 3")]
#[case::process_for_one_client(
    "crashes-one",
    "a process of the server was ended by signal 6 (SIGABRT)"
)]
fn process_that_dies_of_its_client_is_a_failure(
    #[case] way: &str,
    #[case] reason: &str,
    #[values("auto", "host")] isolation: &str,
) {
    resets(way, &["--isolation", isolation])
        .run()
        .code(1)
        .prints(reason);
}

/// In a pid namespace of somebody else the kernel tells nothing of births, and the tree is looked at instead.
#[test]
fn worker_that_dies_is_seen_where_only_the_tree_can_be_looked_at() {
    let elsewhere = ["-Ur", "--pid", "--fork", "--mount-proc"];
    let may = Command::new("unshare").args(elsewhere).arg("true").output();
    if !may.is_ok_and(|may| may.status.success()) {
        return;
    }
    let inner = resets("crashes", &[]).command;
    let mut command = Command::new("unshare");
    command.args(elsewhere).arg(inner.get_program());
    let output = command.args(inner.get_args()).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    // Where it was not looked at before its client came, it may have been there for that one alone.
    let dies = [
        "a worker of the server (python3)",
        "a process of the server",
    ]
    .map(|who| printed.contains(&format!("{who} was ended by signal 11 (SIGSEGV)")));
    assert!(dies.contains(&true), "{printed}");
}

#[rstest]
#[case::status_says_that_the_client_has_left("says-left")]
#[case::broken_pipe_says_so_too("broken-pipe")]
#[case::worker_ends_well_and_is_replaced("retires")]
#[case::one_that_is_asked_for_a_moment_says_no("asks")]
fn process_that_ends_as_servers_do_is_no_failure(#[case] way: &str) {
    let run: Run = resets(way, &[]).run();
    let holds = !run.stdout.contains("of the server");
    run.demand(holds, "an end is held against the server")
        .code(0);
}

/// Tells a server that a shell has started, and waits for, to end.
fn stops_behind_a_shell(arguments: &str) -> Run {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let script = format!("\"{program}\" serve {arguments} --port {{port}}; exit $?");
    let run = sockdrill(&["check", "--only", "stop/term-idle", "--speaks", "echo"]);
    run.args(["--", "sh", "-c", &script]).run()
}

#[test]
fn signal_goes_to_the_server_that_a_shell_has_started() {
    stops_behind_a_shell("echo").code(0).prints("1 passed");
}

#[test]
fn server_that_ignores_a_signal_does_so_behind_a_shell_too() {
    stops_behind_a_shell("echo --violate stop/term-idle")
        .code(1)
        .prints("which listens; the first process has only started it");
}
