use crate::host::is_required;
use std::path::Path;
use std::process::{Command, Output};

/// What a shell makes of a command in a folder of the repository.
fn pasted(command: &str, folder: &str) -> Output {
    let mut shell = Command::new("sh");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    shell
        .args(["-c", command])
        .env("PWD", &folder)
        .env("CARGO_NET_OFFLINE", "true")
        .current_dir(folder);
    // What cargo has told this test is not for others.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_")) {
        shell.env_remove(name);
    }
    // `ring` is compiled again where the second differs, and all that is made of it.
    let shell = shell.env_remove("CARGO_MANIFEST_DIR").env_remove("OUT_DIR");
    shell.output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What stands behind a word at the beginning of lines.
fn behind<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let lines = text.lines();
    let lines = lines.filter_map(|line| line.trim().strip_prefix(word));
    lines.map(str::trim).collect()
}

#[test]
fn failed_tests_of_a_package_are_repeated_by_the_commands_that_they_print() {
    // As from a folder of another package of the workspace, where the paths of this one lead nowhere.
    let here = "examples/line-server";
    let run = "cargo test -p sockdrill --test failing-suite";
    let printed = stdout(&pasted(run, here));
    assert!(printed.contains("0 passed; 2 failed"), "{printed}");
    assert!(
        printed.contains("A server survives a reset after any byte of a request."),
        "{printed}"
    );
    let tests = behind(&printed, "as a test: ");
    assert_eq!(tests.len(), 2, "{printed}");
    for test in tests {
        let again = pasted(test, here);
        assert_eq!(again.status.code(), Some(101), "{test}: {again:?}");
        assert!(
            stdout(&again).contains("0 passed; 1 failed"),
            "{test}: {again:?}"
        );
    }
    let commands = behind(&printed, "repeat: ");
    assert_eq!(commands.len(), 2, "{printed}");
    for command in commands {
        let again = pasted(command, here);
        assert_eq!(again.status.code(), Some(1), "{command}: {again:?}");
        assert!(
            stdout(&again).contains("0 passed, 1 failed"),
            "{command}: {again:?}"
        );
    }
}

/// The tests of a package that has habits of its own: a server on tokio, and rstest cases beside scenarios and checks.
const KEY_VALUE: &str = "examples/key-value";

#[test]
fn package_with_rstest_cases_passes_under_cargo_test() {
    let run = pasted("cargo test --test clients --test sockets", KEY_VALUE);
    let printed = stdout(&run);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert!(
        printed.contains("test what_was_set_last_is_what_comes_back ... ok"),
        "{printed}"
    );
    assert!(
        printed.contains("test checks::reset::mid-request"),
        "{printed}"
    );
    assert!(
        printed.contains("test quit::one of two clients quits"),
        "{printed}"
    );
}

#[test]
fn package_with_rstest_cases_passes_under_nextest() {
    let version = pasted("cargo nextest --version", KEY_VALUE);
    if !version.status.success() {
        assert!(!is_required("nextest"), "{version:?}");
        return;
    }
    let run = "cargo nextest run --test clients --test sockets --color never";
    let run = pasted(run, KEY_VALUE);
    let told = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{told}");
    assert!(
        told.contains("key-value::clients server_is_there_for_all_who_share_it::case_1"),
        "{told}"
    );
    assert!(told.contains(" passed, 0 skipped"), "{told}");
}

/// What the tests of a store say that is broken on purpose.
#[track_caller]
fn fails_with(bug: &str, tests: &str, words: &[&str]) {
    let run = format!("{bug} cargo test {tests}");
    let run = pasted(&run, KEY_VALUE);
    let printed = stdout(&run);
    assert_ne!(run.status.code(), Some(0), "{bug}: {printed}");
    for words in words {
        assert!(
            printed.contains(words),
            "{bug}: `{words}` is not in\n{printed}"
        );
    }
}

#[test]
fn server_that_a_reset_ends_fails_the_tests_in_rust_and_the_checks_alike() {
    let words = [
        "tests/clients.rs:",
        ": half a request does not disturb the next one",
        // After which step it ends is for the host to say.
        "the server exited with status 1 after `",
        "last output of the server: fatal: Connection reset by peer",
        "repeat: cargo test -p key-value --test clients -- --exact half_a_request_does_not_disturb_the_next_one",
        "      mallory send \"SET key \"\n      mallory reset\n",
    ];
    fails_with("KEY_VALUE_BUG=fragile", "--test clients half_a", &words);
    let words = [
        "fatal: Connection reset by peer",
        "A server survives a reset",
    ];
    fails_with(
        "KEY_VALUE_BUG=fragile",
        "--test sockets reset::mid-request",
        &words,
    );
}

#[test]
fn connections_that_are_never_let_go_fail_the_test_that_has_passed_by_then() {
    let words = [
        "connections in CLOSE_WAIT grow by 1",
        "request is the same however it is cut, case 1 whole",
    ];
    fails_with(
        "KEY_VALUE_BUG=hoards",
        "--test clients case_1_whole",
        &words,
    );
    let words = ["assertion failed: !server.sockets()"];
    fails_with(
        "KEY_VALUE_BUG=hoards",
        "--test clients no_socket_behind",
        &words,
    );
}

#[test]
fn case_that_breaks_a_property_is_made_small_and_told_with_its_seed() {
    // The shortest key, and the shortest value of which not all comes back.
    let words = [
        "fails (seed 7); the smallest that does of ",
        ": ([(\"a\", \"",
        "\")], 1)",
        "wrong from byte 10 on",
        "repeat: cargo test -p key-value --test clients -- --exact what_was_set_last_is_what_comes_back",
    ];
    fails_with(
        "KEY_VALUE_BUG=clips",
        "--test clients what_was_set_last",
        &words,
    );
}

#[test]
fn server_that_is_not_there_fails_with_its_name() {
    let words = ["no such program", "./no-such-store"];
    fails_with("KEY_VALUE=./no-such-store", "--test sockets quit", &words);
    let words = ["the store starts", "no-such-store"];
    fails_with("KEY_VALUE=./no-such-store", "--test clients half_a", &words);
}

/// The part of the README on tests in Rust shows one of the example.
#[test]
fn readme_shows_a_test_in_rust_of_the_example() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let (readme, tests) = (
        read("README.md"),
        read("examples/key-value/tests/clients.rs"),
    );
    let (_, test) = readme.split_once("```rust\n#[rstest]\n").unwrap();
    let (test, _) = test.split_once("```").unwrap();
    assert!(tests.contains(test), "tests/clients.rs has\n{test}");
}

/// The part of the README on packages of one's own shows the test of the example.
#[test]
fn readme_shows_the_test_of_the_example() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let (readme, test) = (
        read("README.md"),
        read("examples/line-server/tests/sockets.rs"),
    );
    let (_, code) = test.split_once("\n\n").unwrap();
    assert!(readme.contains(code.trim_end()), "README.md shows\n{code}");
}
