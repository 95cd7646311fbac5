//! What a server does a while after the end of a connection is waited for.

use crate::sockdrill;
use predicates::str::contains;

const SERVER: &str = "fixtures/strangers/takes_its_time.py";

/// Until the server has closed its end, the client's own host refuses to give its port again.
#[test]
fn client_comes_back_from_its_port_once_the_server_has_closed_too() {
    sockdrill(&[
        "check",
        "--only",
        "time-wait/port-reuse",
        "--speaks",
        "echo",
    ])
    .args(["--", "python3", SERVER, "closes-late", "{port}"])
    .assert()
    .code(0)
    .stdout(contains("1 passed"));
}

#[test]
fn server_that_dies_long_after_it_has_closed_is_named_with_its_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("late.drill");
    let scenario = "case a byte that kills\n  clients: alice\n\n  alice connect\n  alice send \"\\xff\\n\"\n  alice expect \"\\xff\\n\"\n";
    std::fs::write(&file, scenario).unwrap();
    sockdrill(&["run", &file.to_string_lossy(), "--speaks", "echo"])
        .args(["--", "python3", SERVER, "dies-late", "{port}"])
        .assert()
        .code(1)
        .stdout(contains("the server exited with status 3"));
}
