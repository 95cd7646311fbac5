//! What the kernel shows, and what it does not: nothing is held against a server, or in its favour, that was not seen.

use crate::kit::{Run, sockdrill};
use rstest::rstest;

const DEFERRED: &str = "fixtures/external/deferred";

/// Its listener has TCP_DEFER_ACCEPT, so that the kernel tells it of nobody who has not spoken.
#[test]
fn client_that_the_kernel_keeps_from_the_server_is_not_accepted() {
    let reason = "the kernel keeps clients from the server that have not spoken yet";
    let run = sockdrill(&[
        "check",
        "--only",
        "crowd/one-at-a-time",
        "--only",
        "polite/exchange",
    ])
    .args(["--speaks", &format!("{DEFERRED}.toml")])
    .args(["--", "python3", &format!("{DEFERRED}.py"), "{port}"])
    .run()
    .code(0)
    .prints("1 passed, 0 failed, 0 inconclusive, 1 skipped");
    run.prints(reason);
}

/// Performs a case on a server.
fn run_case(steps: &str, server: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    std::fs::write(&file, format!("case it\n  clients: alice\n{steps}")).unwrap();
    sockdrill(&[
        "run",
        "--verbose",
        &file.to_string_lossy(),
        "--speaks",
        "echo",
    ])
    .args(["--", "python3", server, "{port}"])
    .run()
}

#[test]
fn connection_that_waits_for_its_first_byte_is_told_as_such() {
    let steps = "  alice connect\n  alice require accepted\n  alice close\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    std::fs::write(&file, format!("case it\n  clients: alice\n\n{steps}")).unwrap();
    let run = sockdrill(&["run", "--verbose", "--no-tests", "pass"])
        .arg(&file)
        .args(["--speaks", &format!("{DEFERRED}.toml")])
        .args(["--", "python3", &format!("{DEFERRED}.py"), "{port}"])
        .run()
        .code(0)
        .prints("alice * is kept from the server until it speaks (TCP_DEFER_ACCEPT)");
    let says_proven = run.stdout.contains("accepted: proven");
    run.demand(!says_proven, "it is not accepted");
}

/// Whatever the scenario was about, and whether it came to its end or not.
#[test]
fn server_that_lives_on_without_its_listener_has_failed() {
    const SERVER: &str = "fixtures/external/drops_its_listener.py";
    let reason = "the server lives, and no longer listens";
    let goes_on = "  alice connect\n  alice send \"bye\"\n  alice expect \"bye\"\n  alice close\n";
    run_case(goes_on, SERVER).code(1).prints(reason);
    let unproven = "  alice connect\n  alice send \"bye\"\n  alice expect \"bye\"\n  alice require fin within 100ms\n";
    run_case(unproven, SERVER).code(1).prints(reason);
    let waived = format!("  waive: listens \"it is for few\"\n{goes_on}");
    let run = run_case(&waived, SERVER);
    let is_told = run.stdout.contains(reason);
    run.demand(!is_told, "it is waived");
}

#[test]
fn server_that_lives_on_without_its_socket_for_datagrams_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bye.drill");
    let case = |word: &str| {
        let steps = format!("  alice send \"{word}\"\n  alice expect \"{word}\"\n");
        format!(
            "case a word\n  clients: alice\n\n  alice connect\n{steps}  alice close\n  settle\n"
        )
    };
    let run = |word: &str| {
        std::fs::write(&file, case(word)).unwrap();
        sockdrill(&["run", "--speaks", "udp-echo", &file.to_string_lossy()])
            .args([
                "--",
                "python3",
                "fixtures/external/drops_its_datagrams.py",
                "{port}",
            ])
            .run()
    };
    run("bye")
        .code(1)
        .prints("the server lives, and no longer listens");
    run("hello").code(0);
}

#[rstest]
#[case::end_of_a_side("udp-echo", "alice half-close", "a stream, TCP or Unix")]
#[case::end_that_is_seen("udp-echo", "alice expect fin", "a stream, TCP or Unix")]
#[case::reset("udp-echo", "alice reset", "TCP")]
#[case::descriptor("echo", "alice send-descriptor \"!\"", "a Unix socket")]
#[case::silence_for_an_answer("echo", "alice expect \"a\" or silence", "datagrams")]
fn step_that_does_not_happen_over_the_server_s_transport_is_not_run(
    #[case] server: &str,
    #[case] step: &str,
    #[case] over: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    let case =
        format!("server: {server}\n\ncase it\n  clients: alice\n\n  alice connect\n  {step}\n");
    std::fs::write(&file, case).unwrap();
    let run = sockdrill(&["run", "--verbose"]).arg(&file).run().code(3);
    run.prints(format!("line 7, `{step}`, takes {over}"));
}

/// Its listener has TCP_DEFER_ACCEPT, and it spins when it has no descriptor for the next client: a crowd that says nothing
/// would never come to it.
#[test]
fn crowd_that_is_to_reach_a_server_speaks_where_the_kernel_keeps_who_does_not() {
    if !crate::gives_descriptors(256) {
        return;
    }
    let check = |how: &str| {
        sockdrill(&["check", "--only", "backlog/descriptor-limit"])
            .args(["--speaks", "fixtures/external/deferred_loop.toml"])
            .args([
                "--",
                "python3",
                "fixtures/external/deferred_loop.py",
                how,
                "{port}",
            ])
            .run()
    };
    check("pauses")
        .code(0)
        .prints("pass          backlog/descriptor-limit");
    check("spins")
        .code(1)
        .prints("fail          backlog/descriptor-limit");
}

/// What was not reached is told with the reason.
#[test]
fn crowd_that_the_kernel_has_kept_from_the_server_is_told() {
    if !crate::gives_descriptors(256) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    let steps = "  server limit-open-files 8\n  crowd connect\n  server require out-of-files\n  crowd close\n";
    std::fs::write(&file, format!("case it\n  clients: crowd[16]\n\n{steps}")).unwrap();
    let run = sockdrill(&["run", &file.to_string_lossy()])
        .args(["--speaks", "fixtures/external/deferred_loop.toml"])
        .args([
            "--",
            "python3",
            "fixtures/external/deferred_loop.py",
            "pauses",
            "{port}",
        ])
        .run();
    run.prints(
        "the kernel keeps 16 clients from the server that have not spoken (TCP_DEFER_ACCEPT)",
    );
}

/// What a case does to a server is not held against it: the steps, a server, and what is said of it.
#[rstest]
#[case::killed(
    "  alice send \"a\"\n  server stop\n  alice send \"b\"\n  server signal KILL\n  alice expect \"ab\"\n",
    "echo",
    "the case had killed the server that the connection was to"
)]
#[case::limited(
    "  server limit-open-files 0\n  bob connect\n  bob send \"a\"\n  bob expect \"a\" within 1s\n",
    "echo",
    "the case had limited the server's open files"
)]
#[case::nobody_waits_to_be_accepted(
    "  server stop\n  bob connect\n  server expect accept-queue 2 within 1s\n",
    DEFERRED,
    "the server's listener defers"
)]
#[case::nobody_is_told_of_the_end(
    "  server stop\n  server signal KILL\n  alice expect reset or fin within 1s\n",
    DEFERRED,
    "the server's listener defers"
)]
fn what_a_case_does_to_a_server_is_not_held_against_it(
    #[case] steps: &str,
    #[case] server: &str,
    #[case] doubt: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    let case = format!("case it\n  clients: alice bob\n\n  alice connect\n{steps}");
    let run = match server {
        DEFERRED => {
            std::fs::write(&file, case).unwrap();
            sockdrill(&["run", &file.to_string_lossy()])
                .args(["--speaks", &format!("{DEFERRED}.toml")])
                .args(["--", "python3", &format!("{DEFERRED}.py"), "{port}"])
                .run()
        }
        name => {
            std::fs::write(&file, format!("server: {name}\n\n{case}")).unwrap();
            sockdrill(&["run", &file.to_string_lossy()]).run()
        }
    };
    run.code(3).prints(doubt);
}

/// The servers of Python's own do not know the signal, and end by it.
#[test]
fn signal_that_ended_a_server_is_told_as_the_cause() {
    let steps =
        "\n  alice connect\n  server signal HUP\n  alice send \"x\"\n  alice expect \"x\"\n";
    run_case(steps, "fixtures/external/drops_its_listener.py")
        .code(1)
        .prints("the server was ended by signal 1 (SIGHUP), which was sent to it: alice expected");
}
