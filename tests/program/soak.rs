//! `ci/soak`, which measures how often a verdict is wrong: it would be believed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// What it prints and comes to with a program in the place of sockdrill.
fn soak(program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("ci/soak")
        .args(arguments)
        .env("SOCKDRILL", program)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.unwrap();
    let printed = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (status.code(), printed.concat())
}

const SOCKDRILL: &str = env!("CARGO_BIN_EXE_sockdrill");

/// A script that calls sockdrill in a way of its own.
fn instead(script: &str) -> tempfile::TempPath {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!("#!/bin/sh\nsockdrill={SOCKDRILL}\n{script}\n");
    std::fs::write(file.path(), text).unwrap();
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(file.path(), executable).unwrap();
    file.into_temp_path()
}

const ONE: [&str; 3] = ["counterexamples", "--only", "polite/exchange"];

#[test]
fn broken_server_that_is_found_out_is_no_wrong_verdict() {
    let (code, printed) = soak(Path::new(SOCKDRILL), &ONE);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("wrong verdicts: 0 of 1, 0.000 % (95 %: 0.000 to 97.500 %)"),
        "{printed}"
    );
    assert!(printed.contains("left something: 0 of 1,"), "{printed}");
}

/// Without its fault the server passes, which is what may not happen to a broken one.
#[test]
fn broken_server_that_is_passed_is_counted_and_told() {
    let blind = instead(
        r#"set -- "$@" END; while [ "$1" != END ]; do
        case "$1" in --violate) shift ;; *) set -- "$@" "$1" ;; esac; shift; done; shift; exec "$sockdrill" "$@""#,
    );
    let (code, printed) = soak(&blind, &ONE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("wrong: polite/exchange: polite/exchange is pass"),
        "{printed}"
    );
    assert!(printed.contains("wrong verdicts: 1 of 1"), "{printed}");
}

#[test]
fn correct_server_that_is_failed_is_counted_and_told() {
    let only = ["correct", "--only", "uppercase-one"];
    let strange = instead(
        r#"case "$1" in check) echo '{"checks":[{"id":"a","verdict":"fail","reason":"no"}]}' > "$3" ;; *) exec "$sockdrill" "$@" ;; esac"#,
    );
    let (code, printed) = soak(&strange, &only);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("wrong: uppercase-one: a is fail: no"),
        "{printed}"
    );
}

#[test]
fn run_that_leaves_something_or_says_nothing_is_told() {
    let leaves = instead(
        r#"case "$1" in check) sleep 1000 & until grep -q sleep "/proc/$!/comm"; do :; done; echo "error: no" >&2 ;; *) exec "$sockdrill" "$@" ;; esac"#,
    );
    let (code, printed) = soak(&leaves, &ONE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("left behind: sleep"), "{printed}");
    let mute = instead(r#"case "$1" in check) exit 7 ;; *) exec "$sockdrill" "$@" ;; esac"#);
    let (code, printed) = soak(&mute, &ONE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("ended with 7"), "{printed}");
}

#[test]
fn intervals_are_those_of_clopper_and_pearson() {
    let tried = "import doctest, sys; from importlib.machinery import SourceFileLoader; sys.dont_write_bytecode = True; \
                 tried = doctest.testmod(SourceFileLoader('soak', 'ci/soak').load_module()); \
                 sys.exit(tried.failed or not tried.attempted)";
    let python = Command::new("python3").args(["-c", tried]).output();
    let python = python.unwrap();
    assert!(python.status.success(), "{python:?}");
}

#[test]
fn crash_behind_a_report_and_a_figure_without_a_conclusion_are_told() {
    let report = r#"'{"checks":[{"id":"a","verdict":"VERDICT"}]}' > "$3""#;
    let says = |verdict: &str, then: &str| {
        let report = report.replace("VERDICT", verdict);
        instead(&format!(
            r#"case "$1" in check) echo {report}; {then} ;; *) exec "$sockdrill" "$@" ;; esac"#
        ))
    };
    let (code, printed) = soak(&says("fail", "kill -SEGV $$"), &ONE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("ended with -11"), "{printed}");
    let (code, printed) = soak(&says("inconclusive", "exit 3"), &ONE);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("inconclusive verdicts: 1 of 1"),
        "{printed}"
    );
}

/// Its own server is nothing that a run has left.
#[test]
fn broken_server_at_an_address_is_none_that_was_left() {
    let (code, printed) = soak(
        Path::new(SOCKDRILL),
        &["elsewhere", "--only", "polite/exchange"],
    );
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("wrong verdicts: 0 of 1,"), "{printed}");
}
