use crate::sockdrill;
use predicates::prelude::*;
use predicates::str::contains;
use rstest::rstest;
use std::path::PathBuf;
use tempfile::TempDir;

/// A target file for echo, broken in the given way or correct, that lists a failure as known.
fn target(violates: Option<&str>, known: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let mut command = vec![
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
        "--port",
        "{port}",
    ];
    command.extend(violates.iter().flat_map(|check| ["--violate", check]));
    let text = format!("command = {command:?}\nspeaks = \"echo\"\n[[known]]\n{known}\n");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

const KNOWN: &str = "check = \"reset/mid-request\"\nreason = \"issue 17\"";

#[rstest]
#[case::without_end("")]
#[case::until_a_day_to_come("until = \"2999-12-31\"")]
#[case::without_quotes("until = 2999-12-31")]
fn known_failure_is_no_failure(#[case] until: &str) {
    let (_folder, file) = target(Some("reset/mid-request"), &format!("{KNOWN}\n{until}"));
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .assert()
        .code(0)
        .stdout(
            contains("known         reset/mid-request")
                .and(contains("(known: issue 17)"))
                .and(contains("0 failed").and(contains("1 known"))),
        );
}

#[test]
fn known_failure_whose_day_is_over_is_a_failure_again() {
    let (_folder, file) = target(
        Some("reset/mid-request"),
        &format!("{KNOWN}\nuntil = \"2020-01-31\""),
    );
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .assert()
        .code(1)
        .stdout(contains("1 failed").and(contains("(known until 2020-01-31: issue 17)")));
}

#[test]
fn known_failure_that_has_gone_away_is_a_failure_that_says_what_to_do() {
    let (_folder, file) = target(None, KNOWN);
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .assert()
        .code(1)
        .stdout(contains(
            "fail          reset/mid-request  passes although it is listed as known (issue 17); remove it",
        ));
}

#[test]
fn known_failure_that_shows_only_sometimes_may_pass() {
    let (_folder, file) = target(None, &format!("{KNOWN}\nsometimes = true"));
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .assert()
        .code(0)
        .stdout(contains("1 passed"));
}

#[test]
fn known_failure_of_a_check_that_does_not_apply_is_a_skip() {
    let (_folder, file) = target(None, "check = \"datagram/empty\"\nreason = \"issue 18\"");
    sockdrill(&["check", "--only", "datagram/empty"])
        .arg(&file)
        .assert()
        .code(0)
        .stdout(contains("1 skipped"));
}

#[rstest]
#[case::check(
    "check = \"reset/mid-reqest\"\nreason = \"x\"",
    "there is no check `reset/mid-reqest`, which [[known]] names"
)]
#[case::date(
    "check = \"reset\"\nreason = \"x\"\nuntil = \"soon\"",
    "`soon` is no date; write one such as"
)]
#[case::reason("check = \"reset\"", "missing field `reason`")]
fn known_failure_that_means_nothing_is_exit_code_2(#[case] known: &str, #[case] message: &str) {
    let (_folder, file) = target(None, known);
    sockdrill(&["check"])
        .arg(&file)
        .assert()
        .code(2)
        .stderr(contains(message));
}

#[test]
fn broken_recommendation_fails_a_strict_run_only() {
    let (_folder, file) = target(
        Some("stop/stdout-closed"),
        "check = \"datagram\"\nreason = \"x\"",
    );
    let only = ["check", "--only", "stop/stdout-closed"];
    sockdrill(&only).arg(&file).assert().code(0).stdout(
        contains("warn          stop/stdout-closed")
            .and(contains("0 failed").and(contains("1 warned"))),
    );
    sockdrill(&only)
        .arg("--strict")
        .arg(&file)
        .assert()
        .code(1)
        .stdout(contains("fail          stop/stdout-closed").and(contains("1 failed")));
}

#[test]
fn misspelt_glob_is_an_error_beside_one_that_is_not() {
    sockdrill(&["check", "echo", "--only", "polite", "--only", "resett"])
        .assert()
        .code(4)
        .stderr(contains(
            "no check matches --only resett; `sockdrill list checks`",
        ));
    sockdrill(&["check", "echo", "--skip", "resett/*"])
        .assert()
        .code(2)
        .stderr(contains("there is no check `resett/*`, which --skip names"));
    sockdrill(&["check", "echo", "--only", "stop/hup-ignored-or-obeyed"])
        .assert()
        .code(4)
        .stderr(contains(
            "names what is observed without --only and never judged",
        ));
}

#[test]
fn selection_of_which_nothing_is_left_names_both_sides() {
    sockdrill(&["check", "echo", "--only", "reset", "--skip", "reset/*"])
        .assert()
        .code(4)
        .stderr(contains(
            "every check that matches --only reset matches --skip reset/* too",
        ));
}

#[test]
fn skips_and_known_failures_do_not_count_for_min_checks() {
    let (_folder, file) = target(Some("reset/mid-request"), KNOWN);
    let only = [
        "--only",
        "reset/mid-request",
        "--only",
        "datagram/empty",
        "--only",
        "polite",
    ];
    let check = |least| {
        let mut command = sockdrill(&["check", "--min-checks", least]);
        command.args(only).arg(&file).assert()
    };
    check("1").code(0);
    check("2")
        .code(1)
        .stdout(contains("1 checks passed, and --min-checks wants 2"));
}
