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

/// The last of the crowd waits longer than a client does on whom the server has turned its back.
#[test]
fn crowd_is_waited_for_as_long_as_it_is_served_one_after_the_other() {
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
        .prints("output \"good bye\" within 300ms, but it has not printed that");
}
