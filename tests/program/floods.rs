//! How much is kept of what servers send.

use crate::kit::{Run, sockdrill};
use rstest::rstest;
use std::fmt::Write as _;

/// What the program takes at most beside what it takes for any scenario, however much comes.
const MIB_AT_MOST: u64 = 64;

/// Runs the steps of a client, where the server's target is this.
fn run(target: &str, steps: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.toml"), target).unwrap();
    let mut case = "server: server.toml\n\ncase much\n  clients: alice\n\n".to_owned();
    for step in steps {
        let _ = writeln!(case, "  alice {step}");
    }
    let file = folder.path().join("much.drill");
    std::fs::write(&file, case).unwrap();
    sockdrill(&["run", "--timings"]).reporting().arg(file).run()
}

/// What was said of the case, after a look at what memory the program had.
#[track_caller]
fn said(run: &Run) -> String {
    let peak = run.report["timings"]["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak >> 20 < MIB_AT_MOST, "{} MiB", peak >> 20);
    let row = &run.report["checks"][0];
    let reason = row["reason"].as_str().unwrap_or_default();
    format!("{}: {reason}", row["verdict"].as_str().unwrap())
}

fn flood(steps: &[&str]) -> String {
    let server = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/external/never_stops_talking.py"
    );
    said(&run(
        &format!("command = [\"python3\", \"{server}\", \"{{port}}\"]\n"),
        steps,
    ))
}

fn echo(steps: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let command =
        format!("command = [\"{program}\", \"serve\", \"echo\", \"--port\", \"{{port}}\"]");
    said(&run(&format!("{command}\nspeaks = \"echo\"\n"), steps))
}

#[rstest]
#[case::silence(&["connect", "expect silence", "close"], "fail: ")]
#[case::the_end(&["connect", "expect fin within 1s", "close"], "bytes were still arriving")]
#[case::other_bytes(&["connect", "expect \"hello\"", "close"], "fail: ")]
#[case::what_may_be_among_it(
    &["connect", "expect \"{any}not to be found\" within 20s", "close"],
    "nothing is known of the bytes that were not kept"
)]
fn endless_reply_is_judged_by_what_is_kept_of_it(#[case] steps: &[&str], #[case] verdict: &str) {
    let said = flood(steps);
    assert!(said.contains(verdict), "{said}");
    assert_eq!(said.starts_with("fail"), verdict == "fail: ", "{said}");
}

#[test]
fn megabytes_that_come_back_take_no_memory() {
    const SENDS: &str = "send pattern 64MiB seed 1 in the background";
    let said = echo(&[
        "connect",
        SENDS,
        "expect pattern 64MiB seed 1 within 60s",
        "close",
    ]);
    assert_eq!(said, "pass: ");
}

/// They have come before anybody says what is owed.
#[test]
fn megabytes_are_known_again_by_who_looks_for_them_late() {
    const SENDS: &str = "send line 40MiB seed 1 in the background";
    let owed = ["expect line 40MiB seed 1 within 60s", "close"];
    let said = echo(&[&["connect", SENDS, "expect taken within 60s"], &owed[..]].concat());
    assert_eq!(said, "pass: ");
}
