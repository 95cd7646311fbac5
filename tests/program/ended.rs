//! Servers that seem to have ended, and what is left of those that have.

use crate::kit::sockdrill;
use rstest::rstest;

/// The kernel shows nothing of a process by its first thread once that has ended.
#[test]
fn server_whose_first_thread_has_ended_is_seen_by_those_that_serve() {
    sockdrill(&["check", "--speaks", "echo"])
        .args(["--only", "polite", "--only", "stop/term-idle"])
        .args(["--only", "timeout/frozen-server", "--only", "crowd/churn"])
        .args([
            "--",
            "python3",
            "fixtures/external/leader_ends.py",
            "{port}",
        ])
        .run()
        .code(0)
        .prints(", 0 failed, 0 inconclusive, 0 skipped");
}

/// An io_uring has the listening socket too, and is put away some time after the end.
#[test]
fn server_is_started_again_once_the_kernel_has_let_go_of_its_port() {
    sockdrill(&["check", "--speaks", "echo", "--only", "time-wait"])
        .args(["--", "python3", "fixtures/external/ring.py", "{port}"])
        .run()
        .code(0)
        .prints("pass          time-wait/restart-killed")
        .prints("pass          time-wait/restart-connected");
}

/// Whenever its first process ends: it is no failure of a server, and no pass either.
#[rstest]
fn server_that_goes_into_the_background_is_told_how_it_is_drilled(
    #[values("0", "0.05", "0.3")] seconds: &str,
) {
    let server = format!(
        "{}/fixtures/hostile/goes_into_the_background.py",
        env!("CARGO_MANIFEST_DIR")
    );
    let run = sockdrill(&["check", "--speaks", "echo", "--only", "polite", "--only"]);
    let run = run.args(["reset", "--", "python3", &server, "{port}", seconds]);
    let run = run.run();
    let told = format!("{}{}", run.stdout, run.stderr);
    let reason = "put itself into the background, and its first process";
    let is_told = told.contains(reason) && !matches!(run.code, Some(1));
    run.demand(is_told, "it is a failure, or not told why");
}

/// Whoever takes EINTR for an end drops connections when nothing but SIGSTOP and SIGCONT has come: no half-close is to blame.
#[test]
fn server_that_ends_connections_when_it_is_interrupted_is_told_so() {
    let run = |how: &str| {
        sockdrill(&[
            "check",
            "--only",
            "half-close/after-request",
            "--speaks",
            "uppercase",
        ])
        .args([
            "--",
            "python3",
            "fixtures/external/ends_when_interrupted.py",
            "{port}",
            how,
        ])
        .reporting()
        .run()
    };
    let broken = run("ends").code(1);
    broken
        .prints("nothing had reached the server since but SIGSTOP and SIGCONT")
        .prints("fail with EINTR");
    run("goes-on").code(0).prints("1 passed");
}

/// An echo server that ends by SIGPIPE, or keeps the descriptor of whoever resets.
const ECHO: &str = "\
import signal, socket, sys, threading
if sys.argv[2] == 'piped':
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
kept = []
def serve(client):
    try:
        while data := client.recv(65536):
            client.sendall(data)
    except OSError:  # It is told, where there is nobody any more.
        if sys.argv[2] == 'keeps':
            return kept.append(client)
        client.send(b'what is wrong?')
    client.close()
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=128)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=[client], daemon=True).start()
";

/// What is wrong is not always what the check that came upon it is about.
#[rstest]
#[case::by_a_signal("piped", "Ignore SIGPIPE, or send with MSG_NOSIGNAL")]
#[case::of_a_descriptor("keeps", "Close what was opened for a client")]
fn server_is_mended_by_what_is_wrong_with_it(#[case] how: &str, #[case] fix: &str) {
    let run = sockdrill(&["check", "--speaks", "echo", "--only", "reset/mid-request"]);
    let run = run.reporting();
    let run = run.args(["--", "python3", "-c", ECHO, "{port}", how]).run();
    let run = run.code(1).prints(format!("fix: {fix}"));
    let of = |told: &serde_json::Value| told["fix"].as_str().unwrap_or_default().to_owned();
    assert!(of(&run.report["checks"][0]).starts_with(fix));
    assert!(of(&run.report["findings"][0]).starts_with(fix));
}
