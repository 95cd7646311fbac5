//! What a server says itself of a defect is evidence: reports of sanitizers fail, panics and tracebacks are warned of.

use crate::kit::{Run, sockdrill};
use crate::verdict;
use rstest::rstest;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVER: &str = "fixtures/external/sounds_an_alarm.py";

/// A client that resets, and whatever stands at the top of its case.
fn resets(waived: &str) -> String {
    format!(
        "case a reset\n  clients: mallory\n{waived}\n  mallory connect\n  mallory send \"hello\"\n  \
         mallory expect \"hello\"\n  mallory reset\n  settle\n"
    )
}

/// Runs a case on the server in one of its ways.
fn run(way: &str, case: &str, options: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alarm.drill");
    std::fs::write(&file, case).unwrap();
    sockdrill(&["run", "--speaks", "echo"])
        .arg(file)
        .args(options)
        .reporting()
        .args(["--", "python3", SERVER, way, "{port}"])
        .run()
}

#[rstest]
#[case::of_a_server_that_goes_on("goes-on")]
#[case::of_one_that_ends_by_it("ends")]
#[case::in_a_flood("floods")]
fn report_of_a_sanitizer_is_a_failure_with_its_text_and_the_step_before(#[case] way: &str) {
    let run = run(way, &resets(""), &[]).code(1);
    let check = &run.report["checks"][0];
    assert_eq!(check["cause"]["kind"], "alarm");
    assert_eq!(check["cause"]["invariant"], "alarm");
    assert_eq!(check["cause"]["data"]["severity"], "must");
    // Where a server grows, the case is repeated, and so is the report.
    run.prints("heap-use-after-free server.c:212 in session_write; ")
        .prints("after `mallory reset`")
        .prints("READ of size 8 at 0x602000000010 thread T0");
}

#[rstest]
#[case::of_rust("panics", "a Rust panic: panicked at src/main.rs:12:34")]
#[case::of_python(
    "traceback",
    "ConnectionResetError: [Errno 104] Connection reset by peer"
)]
fn panic_that_a_client_brings_about_is_a_broken_recommendation(
    #[case] way: &str,
    #[case] words: &str,
) {
    let warned = run(way, &resets(""), &[]).code(0);
    let told = verdict(&warned, "alarm::a reset");
    assert!(told.starts_with("warn") && told.contains(words), "{told}");
    assert!(told.ends_with("after `mallory reset`"), "{told}");
    warned.prints("repeat: ");
    run(way, &resets(""), &["--strict"]).code(1);
    let waived = resets("  waive: alarm \"its log is like that\"\n");
    let passed = run(way, &waived, &["--strict"]).code(0);
    assert_eq!(verdict(&passed, "alarm::a reset"), "pass: ");
}

#[rstest]
#[case::a_polite_client("polite", "5 ×", "first when a polite client had come")]
#[case::the_start("starts", "", "before anybody had come")]
fn alarm_is_laid_at_the_door_of_what_was_done_before(
    #[case] way: &str,
    #[case] times: &str,
    #[case] occasion: &str,
) {
    let run = run(way, &resets(""), &[]).code(0);
    let told = verdict(&run, "alarm::a reset");
    assert!(told.contains(times) && told.ends_with(occasion), "{told}");
}

#[test]
fn server_that_logs_what_a_client_says_has_sounded_no_alarm() {
    let says = "==7==ERROR: AddressSanitizer: heap-use-after-free";
    let case = resets("").replace("hello", says);
    run("logs", &case, &["--strict"]).code(0);
}

#[test]
fn language_that_ends_by_an_exception_when_it_is_told_to_has_sounded_no_alarm() {
    let case = "case the end\n  clients: alice\n\n  alice connect\n  server signal TERM\n  server expect exit\n";
    let told = run("told", case, &["--strict"]).code(0);
    assert_eq!(verdict(&told, "alarm::the end"), "pass: ");
}

#[test]
fn check_keeps_its_verdict_beside_an_alarm() {
    let check = |way: &str| {
        sockdrill(&["check", "--speaks", "echo", "--only", "reset/after-connect"])
            .args(["--only", "reset/mid-request", "--only", "polite"])
            .reporting()
            .args(["--", "python3", SERVER, way, "{port}"])
            .run()
    };
    let warned = check("panics").code(0);
    assert!(verdict(&warned, "reset/mid-request").starts_with("warn"));
    assert_eq!(verdict(&warned, "polite/exchange"), "pass: ");
    let key = |run: &Run| run.report["findings"][0]["key"].clone();
    assert!(
        key(&warned)
            .to_string()
            .contains("alarm/panicked at src/main.rs:12:34")
    );
    let quiet = check("quiet").code(0);
    assert!(quiet.report["findings"].as_array().unwrap().is_empty());
}

#[test]
fn flood_of_lines_while_nobody_does_anything_is_seen_although_it_ends() {
    let case = resets("").replace("settle", "pause 2s\n  settle");
    let flooded = run("babbles", &case, &[]).code(1);
    let told = verdict(&flooded, "alarm::a reset");
    assert!(
        told.contains("lines in bursts while no client did anything"),
        "{told}"
    );
    assert_eq!(flooded.report["checks"][0]["cause"]["invariant"], "output");
    // As many lines of a log, each told by a client.
    let crowd = "case many come\n  clients: crowd[40]\n\n  crowd connect\n  pause 1s\n  crowd close\n  settle\n";
    run("chats", crowd, &["--strict"]).code(0);
}

/// Who speaks in the background does nothing that is written down, until it leaves.
#[test]
fn log_of_what_was_sent_in_the_background_is_no_flood() {
    let case = "case many lines\n  clients: mallory\n\n  mallory connect\n  mallory stall\n  \
                mallory send \"x\\nx\\nx\\nx\\nx\\nx\\nx\\nx\\n\" * 1000000 in the background\n  settle\n  mallory close\n  settle\n";
    run("has-a-log", case, &["--strict"]).code(0);
}

/// A program of the page on sanitizers, built as it says; none where the compiler has no sanitizers.
fn built(folder: &Path, flags: &[&str]) -> Option<PathBuf> {
    let program = folder.join(format!("server{}", flags.len()));
    let built = Command::new("cc")
        .args(["-g", "-pthread"])
        .args(flags)
        .arg("-o")
        .arg(&program)
        .arg("fixtures/external/uses_what_it_freed.c")
        .output();
    let is_built = built.is_ok_and(|output| output.status.success());
    assert!(
        is_built || !crate::host::is_required("sanitizers"),
        "no sanitizers of C, although they are required"
    );
    is_built.then_some(program)
}

const SANITIZED: &str = "-fsanitize=address,undefined";

#[test]
fn page_on_sanitizers_says_what_is_said_of_a_sanitizer_s_build() {
    let page = std::fs::read_to_string("docs/sanitizers.md").unwrap();
    let shown = page.lines().find(|line| line.starts_with("fail ")).unwrap();
    assert!(page.contains("-DBUG -g -fsanitize=address,undefined"));
    let folder = tempfile::tempdir().unwrap();
    let programs = [&["-DBUG", SANITIZED][..], &[SANITIZED]];
    let [Some(broken), Some(correct)] = programs.map(|flags| built(folder.path(), flags)) else {
        return;
    };
    let check = |program: &Path, only: &[&str]| {
        sockdrill(&["check", "--speaks", "echo"])
            .args(only.iter().flat_map(|only| ["--only", only]))
            .reporting()
            .arg("--")
            .arg(program)
            .arg("{port}")
            .run()
    };
    // How long the report takes decides of the step.
    let (shown, _) = shown.split_once("; after").unwrap();
    check(&broken, &["reset/mid-request"]).code(1).prints(shown);
    // What is freed is kept, and is no leak.
    check(
        &correct,
        &["reset/mid-request", "crowd/churn", "reset/storm"],
    )
    .code(0);
}
