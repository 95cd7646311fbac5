//! What a run comes to where not all of it could be done.

use crate::kit::{Sockdrill, sockdrill};
use rstest::rstest;
use sockdrill::suite::Suite;
use sockdrill::{Profile, Target};
use std::path::Path;

#[test]
fn failure_is_told_although_the_server_cannot_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("lock");
    // A lab of its own has folders for temporary files of its own, where the lock would go with it.
    let run = sockdrill(&["check", "--only", "reset/after-connect", "--speaks", "echo"])
        .args(["--isolation", "host"])
        .reporting()
        .args(["--", "python3", "fixtures/external/locks_itself_out.py"])
        .arg(lock)
        .arg("{port}")
        .run()
        .code(1)
        .prints("the server exited with status 1");
    let evidence = run.report["checks"][0]["evidence"][0].as_str().unwrap();
    assert!(
        evidence.starts_with("failed 1 of 1; it could not be started again: "),
        "{evidence}"
    );
}

/// A file with one case, on a server that its target says how to start.
fn case_on(folder: &Path, name: &str, command: &[&str], expected: &str) -> String {
    let command = serde_json::to_string(command).unwrap();
    let target = folder.join(format!("{name}.toml"));
    std::fs::write(target, format!("command = {command}\nspeaks = \"echo\"\n")).unwrap();
    let case = folder.join(format!("{name}.drill"));
    let text = format!(
        "server: {name}.toml\n\ncase it answers\n  clients: alice\n\n  alice connect\n  alice send \"abc\"\n  \
         alice expect \"{expected}\"\n"
    );
    std::fs::write(&case, text).unwrap();
    case.to_string_lossy().into_owned()
}

/// However many rounds pass, one whose server does not start is what the run comes to.
#[test]
fn run_of_which_a_round_has_no_server_is_not_green() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let script = "test -e \"$1\" && exit 7; touch \"$1\"; shift; exec \"$@\"";
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let begun = begun.to_str().unwrap();
    let once = [
        "sh", "-c", script, "sh", begun, program, "serve", "echo", "--port", "{port}",
    ];
    let case = case_on(folder.path(), "once", &once, "abc");
    // A lab of its own has folders for temporary files of its own.
    sockdrill(&["run", "--isolation", "host", "--repeat", "2", &case])
        .run()
        .code(3)
        .prints("it could not be run: ")
        .prints("(tried 2 times, of which 1 proved nothing)");
}

/// A server that is not there, or ends at once, keeps nobody from hearing of the others.
#[rstest]
#[case::not_there(&["./no-such-server", "{port}"], "no such program")]
#[case::ends_at_once(&["sh", "-c", "exit 7", "{port}"], "exited with status 7")]
fn server_that_does_not_start_is_the_result_of_its_case(
    #[case] broken: &[&str],
    #[case] reason: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let echo = [program, "serve", "echo", "--port", "{port}"];
    let cases = [
        case_on(folder.path(), "a_good", &echo, "abc"),
        case_on(folder.path(), "b_broken", broken, "abc"),
        case_on(folder.path(), "c_fails", &echo, "ABC"),
    ];
    let run = |files: &[String]| sockdrill(&["run"]).args(files).reporting().run();
    let all = run(&cases).code(1);
    let of = |n: usize| all.report["checks"][n]["verdict"].as_str().unwrap();
    assert_eq!([of(0), of(1), of(2)], ["pass", "inconclusive", "fail"]);
    assert_eq!(all.report["checks"][1]["doubt"], "could-not-run");
    let said = all.report["checks"][1]["reason"].as_str().unwrap();
    assert!(said.contains(reason), "{said}");
    run(&cases[..2])
        .code(3)
        .prints("one of them could not be run");
}

#[test]
fn server_that_does_not_start_is_an_error_of_its_junit_case() {
    let folder = tempfile::tempdir().unwrap();
    let case = case_on(
        folder.path(),
        "broken",
        &["sh", "-c", "exit 7", "{port}"],
        "abc",
    );
    let junit = folder.path().join("junit.xml");
    let run = sockdrill(&["run", &case, "--junit"]).arg(&junit).run();
    run.code(3);
    let text = std::fs::read_to_string(junit).unwrap();
    assert!(text.contains("<error "), "{text}");
}

/// No datagram is sent to a server that takes none.
fn all_skipped() -> Sockdrill {
    sockdrill(&["check", "echo", "--only", "datagram/empty"])
}

#[test]
fn run_that_skips_all_has_concluded_nothing_and_says_so() {
    all_skipped().run().code(3).prints("nothing was concluded");
    let warned = all_skipped().args(["--no-tests", "warn"]).run();
    warned.code(0).prints("nothing was concluded");
    let passed = all_skipped().args(["--no-tests", "pass"]).run();
    let is_silent = !passed.stdout.contains("concluded");
    passed
        .demand(is_silent, "what may be so is not told")
        .code(0);
}

#[test]
fn run_for_which_nothing_is_selected_is_what_its_user_says() {
    let nothing = |no_tests: &str| {
        sockdrill(&[
            "check",
            "echo",
            "--only",
            "reset",
            "--skip",
            "reset",
            "--no-tests",
            no_tests,
        ])
        .run()
    };
    nothing("fail").code(4).complains("nothing selected");
    nothing("warn").code(0).prints("warning: nothing selected");
    nothing("pass").code(0);
}

/// What a suite is about is there, or the suite fails; what is of a package may be missing.
#[test]
fn server_of_a_suite_that_is_not_there_is_a_failure() {
    let echo = Profile::find("echo").unwrap();
    let missing = Target::command(["./no-such-server", "{port}"], echo);
    let tests = Suite::of(missing).scenarios("fixtures/failing").tests();
    let ends: Vec<_> = tests.into_iter().map(sockdrill::suite::Test::run).collect();
    assert!(!ends.is_empty());
    for end in ends {
        let failure = end.unwrap_err();
        assert!(failure.contains("no such program"), "{failure}");
    }
}

/// Nothing that is built on the first conversation is held against it.
#[test]
fn server_that_serves_one_client_and_no_other_has_one_defect() {
    let run = sockdrill(&[
        "check", "--only", "polite", "--only", "reset", "--speaks", "echo",
    ])
    .args([
        "--",
        "python3",
        "fixtures/external/serves_the_first.py",
        "{port}",
    ])
    .run()
    .code(1)
    .prints("fail          polite/exchange  bob expected \"hello from sockdrill\\n\"");
    run.prints("1 failed");
}

/// Checks leave servers to each other: what adds up over them is no failure of the one that meets it, and is not hidden either.
#[test]
fn server_that_fails_once_others_have_used_it_is_inconclusive() {
    let ids = [
        "partial/byte-by-byte",
        "bytes/empty-write",
        "half-close/silent",
        "bytes/urgent",
    ];
    let only = ids.iter().flat_map(|id| ["--only", id]);
    let run = sockdrill(&["check", "--jobs", "2", "--speaks", "echo"])
        .args(only)
        .reporting()
        .args(["--", "python3", "fixtures/external/wears_out.py", "{port}"])
        .run();
    run.code(0)
        .prints("not on a fresh server, though, but on one that ");
}

/// Who repeats what has failed leaves its place to those who repeat something else.
#[rstest]
#[case::at_once("")]
#[case::that_take_long("  pause 700ms\n")]
fn failures_of_as_many_as_run_at_a_time_are_all_repeated(#[case] then: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let echo = [program, "serve", "echo", "--port", "{port}"];
    let one = case_on(folder.path(), "one", &echo, "ABC");
    let another = case_on(folder.path(), "another", &echo, "ABC");
    for case in [&one, &another] {
        let text = std::fs::read_to_string(case).unwrap();
        let text = text.replace("alice connect\n", &format!("alice connect\n{then}"));
        std::fs::write(case, text).unwrap();
    }
    let run = sockdrill(&["run", "--jobs", "2", &one, &another])
        .reporting()
        .run();
    let run = run.code(1);
    for check in run.report["checks"].as_array().unwrap() {
        let evidence = check["evidence"][0].as_str().unwrap();
        assert_eq!(evidence, "failed 3 of 3");
    }
}

/// Its threads wait for ever, and bytes lie there that it does not read: it is as certain as where all queues are empty, and no
/// time limit has to say it.
#[test]
fn server_that_forgets_to_read_on_is_told_by_what_it_does_not_read() {
    let run = sockdrill(&["check", "--only", "half-close/reply-complete"])
        .args(["--speaks", "fixtures/broken/profiles/echo-none.toml"])
        .reporting()
        .args(["--", "node", "fixtures/broken/pause_never_resumed.js"])
        .run()
        .code(1);
    let reason = run.report["checks"][0]["reason"].as_str().unwrap();
    let told = "and nothing more will come: the server waits, and does not read ";
    assert!(reason.contains(told), "{reason}");
}

/// A worker that waits for a client who is gone without a word learns of it from the kernel, and goes on with the next one.
#[rstest]
#[case::bystander_takes_the_last("3")]
#[case::one_is_left_for_who_is_gone("4")]
fn server_that_the_kernel_s_keepalive_wakes_is_waited_for(#[case] workers: &str) {
    let run = sockdrill(&["check", "--only", "reset/half-open", "--speaks", "echo"])
        .args(["--", "python3", "fixtures/external/pool_with_keepalive.py"])
        .args(["{port}", workers])
        .run();
    run.code(0);
}
