//! What a server does a while after the end of a connection is waited for.

use crate::kit::{Run, sockdrill};

const SERVER: &str = "fixtures/external/takes_its_time.py";

/// Performs a scenario on the server in one of its ways.
fn run(scenario: &str, speaks: &str, how: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.drill");
    std::fs::write(&file, scenario).unwrap();
    sockdrill(&["run", &file.to_string_lossy(), "--speaks", speaks])
        .args(["--", "python3", SERVER, how, "{port}"])
        .run()
}

/// Holds the server in one of its ways to one check, which it passes.
fn passes(check: &str, how: &str) {
    sockdrill(&["check", "--only", check, "--speaks", "echo"])
        .args(["--", "python3", SERVER, how, "{port}"])
        .run()
        .code(0)
        .prints("1 passed");
}

/// Until the server has closed its end, the client's own host refuses to give its port again.
#[test]
fn client_comes_back_from_its_port_once_the_server_has_closed_too() {
    passes("time-wait/port-reuse", "closes-late");
}

/// Who leaves a slow server while it still reads has not sent it what the check is about.
#[test]
fn server_that_reads_on_is_given_all_that_it_is_to_get() {
    passes("bytes/endless-line", "reads-slowly");
}

/// A client that does not read does not hear of it, but it has been let go.
#[test]
fn server_that_ends_its_side_and_drains_the_rest_buffers_nothing() {
    passes("partial/backpressure", "parts");
}

/// No verdict on a server that a time-out of its own will wake.
#[test]
fn server_that_answers_after_six_seconds_is_waited_for() {
    let scenario = "case a slow look-up\n  clients: alice\n\n  alice connect\n  alice send \"abc\"\n  \
                    alice expect \"abc\"\n";
    run(scenario, "echo", "answers-late")
        .code(0)
        .prints("1 passed");
}

/// A SYN that finds the queue full is dropped, and repeated after 7, 11 and 19 seconds: from the twelfth on it is the kernel that
/// keeps the client from a server that has taken all who were there.
#[test]
fn client_whose_handshake_was_dropped_is_waited_for() {
    let scenario = "case a full queue\n  clients: mallory[2] alice\n\n  server stop\n  mallory connect\n  \
                    server require accept-queue 2\n  alice connect without-waiting\n  alice expect pending\n  \
                    mallory close\n  pause 11500ms\n  server continue\n  alice expect connected\n  alice send \"abc\\n\"\n  \
                    alice expect \"ABC\\n\"\n";
    run(scenario, "uppercase-in-turn", "has-a-short-queue")
        .code(0)
        .prints("1 passed");
}

/// A check of a second instance of a server that begins to listen so.
fn second_instance(promise: &str, listens: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("second.toml");
    let text = format!(
        "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\n{promise}\n"
    );
    std::fs::write(&profile, text).unwrap();
    let server = format!(
        "import os, socket, sys, time\nport, folder = int(sys.argv[1]), sys.argv[2]\n{listens}\n\
         while True:\n    \
             c, _ = s.accept()\n    \
             while d := c.recv(4096): c.sendall(d)\n    \
             c.close()\n"
    );
    let only = ["--strict", "--only", "time-wait/second-instance"];
    sockdrill(&["check", "--speaks"])
        .arg(&profile)
        .args(only)
        .args(["--", "python3", "-c", &server, "{port}", "{dir}"])
        .run()
}

/// It tries for longer than five seconds.
const TRIES: &str = "for attempt in range(7):\n    \
        try: s = socket.create_server(('127.0.0.1', port)); break\n    \
        except OSError: time.sleep(1)\n\
    else: sys.exit('the port is in use')";

const SHARES: &str = "s = socket.create_server(('127.0.0.1', port), reuse_port=True)";

const RUNS_WITHOUT: &str = "import threading\ntry: s = socket.create_server(('127.0.0.1', port))\n\
    except OSError: threading.Event().wait()";

/// Where its port is taken it asks for any.
const TAKES_ANOTHER: &str = "try: s = socket.create_server(('127.0.0.1', port))\n\
    except OSError: s = socket.create_server(('127.0.0.1', 0))";

const TAKES_ANOTHER_ADDRESS: &str = "try: s = socket.create_server(('127.0.0.1', port))\n\
    except OSError: s = socket.create_server(('127.0.0.2', port))";

/// What others listen at is not what clients come to.
const HAS_ANOTHER_PORT_TOO: &str = "import threading\nother = socket.create_server(('127.0.0.1', 0))\n\
    try: s = socket.create_server(('127.0.0.1', port))\n\
    except OSError: threading.Event().wait()";

/// A lock of its own is in the way of nobody.
const LOCKS: &str = "s = socket.create_server(('127.0.0.1', port), reuse_port=True)\n\
    os.mkdir(os.path.join(folder, 'lock'))";

#[rstest::rstest]
#[case::that_ends_late("", TRIES, "1 passed")]
#[case::that_is_to_end("second-instance = \"ends\"", TRIES, "1 passed")]
#[case::that_shares_the_port("", SHARES, "1 passed")]
#[case::that_is_to_share_it("second-instance = \"shares-port\"", SHARES, "1 passed")]
#[case::that_has_its_folder("second-instance = \"shares-port\"", LOCKS, "1 passed")]
#[case::that_shares_against_its_word(
    "second-instance = \"ends\"",
    SHARES,
    "a second server, which was not to share it, listens at the same address"
)]
#[case::that_ends_against_its_word(
    "second-instance = \"shares-port\"",
    "s = socket.create_server(('127.0.0.1', port))",
    "was to listen at the same address, exited with status 1"
)]
#[case::that_runs_without("", RUNS_WITHOUT, "keeps running without it")]
#[case::that_listens_elsewhere("", TAKES_ANOTHER, "it listens at 127.0.0.1:")]
#[case::that_listens_at_another_address("", TAKES_ANOTHER_ADDRESS, "it listens at 127.0.0.2:")]
#[case::that_has_but_another_port("", HAS_ANOTHER_PORT_TOO, "keeps running without it")]
fn report_says_what_became_of_a_second_instance(
    #[case] promise: &str,
    #[case] listens: &str,
    #[case] said: &str,
) {
    second_instance(promise, listens).prints(said);
}

/// The last of the crowd waits longer than a client does on whom the server has turned its back.
#[test]
fn crowd_is_waited_for_as_long_as_it_is_served_one_after_the_other() {
    if !crate::gives_descriptors(256) {
        return;
    }
    let scenario = "case a long queue\n  clients: crowd[60]\n\n  crowd connect\n  crowd send \"abc\\n\"\n  \
                    crowd expect \"ABC\\n\"\n";
    run(scenario, "uppercase-in-turn", "thinks")
        .code(0)
        .prints("1 passed");
}

#[test]
fn server_that_dies_long_after_it_has_closed_is_named_with_its_exit_status() {
    let scenario = "case a byte that kills\n  clients: alice\n\n  alice connect\n  alice send \"\\xff\\n\"\n  alice expect \"\\xff\\n\"\n";
    run(scenario, "echo", "dies-late")
        .code(1)
        .prints("the server exited with status 3");
}

/// A text that does not come is waited for in vain, and the report says which.
#[test]
fn text_that_the_server_does_not_print_fails_the_case() {
    let scenario = "server: udp-receiver\n\ncase a silent operator\n  clients: alice\n\n  alice connect\n  \
                    alice send \"hello\"\n  server expect output \"hello\"\n  \
                    server expect output \"good bye\" within 300ms\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("printed.drill");
    std::fs::write(&file, scenario).unwrap();
    sockdrill(&["run"])
        .arg(&file)
        .run()
        .code(1)
        .prints("the server has not printed \"good bye\" within 300ms");
}

/// On a loaded host an answer lies in the client's queue while nobody of ours gets to run. How long that was is no good part of the
/// limit, and it is all that the answer had left.
#[test]
fn answer_that_may_have_come_in_time_is_held_against_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let scenario = "case a slow answer\n  clients: alice\n\n  alice connect\n  alice send \"abc\\n\"\n  \
                    alice expect \"ABC\\n\" within 1s\n";
    std::fs::write(at("late.drill"), scenario).unwrap();
    // The server finds the harness by its number: a shell keeps it for what it becomes.
    let script = format!(
        "echo $$ > {0}; exec {1} run {2} --isolation host --json {3} -- python3 fixtures/external/stops_its_client.py {{port}} 0.9 {0}",
        at("pid"),
        env!("CARGO_BIN_EXE_sockdrill"),
        at("late.drill"),
        at("report.json"),
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_ne!(output.status.code(), Some(1), "{told}");
    let report = std::fs::read_to_string(at("report.json")).unwrap();
    assert!(report.contains("\"inconclusive\""), "{told}");
}

#[test]
fn answer_that_comes_too_late_by_itself_fails() {
    let scenario = "case a slow answer\n  clients: alice\n\n  alice connect\n  alice send \"abc\\n\"\n  \
                    alice expect \"ABC\\n\" within 1s\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.drill");
    std::fs::write(&file, scenario).unwrap();
    sockdrill(&["run", &file.to_string_lossy()])
        .args([
            "--",
            "python3",
            "fixtures/external/stops_its_client.py",
            "{port}",
            "8.5",
            "-",
        ])
        .run()
        .code(1)
        .prints("alice expected \"ABC\\n\" within 1s, got nothing");
}
