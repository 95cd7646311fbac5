use crate::kit::sockdrill;
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
        .run()
        .code(0)
        .prints("known         reset/mid-request")
        .prints("(known: issue 17)")
        .prints("0 failed")
        .prints("1 known");
}

#[test]
fn known_failure_whose_day_is_over_is_a_failure_again() {
    let (_folder, file) = target(
        Some("reset/mid-request"),
        &format!("{KNOWN}\nuntil = \"2020-01-31\""),
    );
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .run()
        .code(1)
        .prints("1 failed")
        .prints("(known until 2020-01-31: issue 17)");
}

#[test]
fn known_failure_that_has_gone_away_is_a_failure_that_says_what_to_do() {
    let (_folder, file) = target(None, KNOWN);
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .run()
        .code(1)
        .prints("fail          reset/mid-request  passes although it is known to fail (issue 17); remove what says so");
}

#[test]
fn known_failure_that_shows_only_sometimes_may_pass() {
    let (_folder, file) = target(None, &format!("{KNOWN}\nsometimes = true"));
    sockdrill(&["check", "--only", "reset/mid-request"])
        .arg(&file)
        .run()
        .code(0)
        .prints("1 passed");
}

#[test]
fn known_failure_of_a_check_that_does_not_apply_is_a_skip() {
    let (_folder, file) = target(None, "check = \"datagram/empty\"\nreason = \"issue 18\"");
    sockdrill(&["check", "--only", "datagram/empty", "--no-tests", "pass"])
        .arg(&file)
        .run()
        .code(0)
        .prints("1 skipped");
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
        .run()
        .code(2)
        .complains(message);
}

#[test]
fn broken_recommendation_fails_a_strict_run_only() {
    let (_folder, file) = target(
        Some("stop/stdout-closed"),
        "check = \"datagram\"\nreason = \"x\"",
    );
    let only = ["check", "--only", "stop/stdout-closed"];
    sockdrill(&only)
        .arg(&file)
        .run()
        .code(0)
        .prints("warn          stop/stdout-closed")
        .prints("0 failed")
        .prints("1 warned");
    sockdrill(&only)
        .arg("--strict")
        .arg(&file)
        .run()
        .code(1)
        .prints("fail          stop/stdout-closed")
        .prints("1 failed");
}

#[test]
fn misspelt_glob_is_an_error_beside_one_that_is_not() {
    sockdrill(&["check", "echo", "--only", "polite", "--only", "resett"])
        .run()
        .code(4)
        .complains("no check matches --only resett; `sockdrill list checks`");
    sockdrill(&["check", "echo", "--only", "rest/storm"])
        .run()
        .code(4)
        .complains("names them; did you mean `reset/storm`?");
    sockdrill(&["check", "echo", "--skip", "resett/*"])
        .run()
        .code(2)
        .complains("there is no check `resett/*`, which --skip names");
    sockdrill(&["check", "echo", "--only", "stop/hup-ignored-or-obeyed"])
        .run()
        .code(4)
        .complains("names what is observed without --only and never judged");
}

#[test]
fn selection_of_which_nothing_is_left_names_both_sides() {
    sockdrill(&["check", "echo", "--only", "reset", "--skip", "reset/*"])
        .run()
        .code(4)
        .complains("every check that matches --only reset matches --skip reset/* too");
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
        "polite/exchange",
    ];
    let check = |least| {
        let command = sockdrill(&["check", "--min-checks", least]);
        command.args(only).arg(&file).run()
    };
    check("1").code(0);
    check("2")
        .code(1)
        .prints("1 checks passed, and --min-checks wants 2");
}
