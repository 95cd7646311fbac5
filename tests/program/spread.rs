//! A run in parts, the report of all of them, a run that has to end in time, and where its time went.

use crate::kit::{Run, Sockdrill, sockdrill};
use rstest::rstest;
use serde_json::Value;
use sockdrill::Settings;
use sockdrill::suite::Suite;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A few checks of a server that dies of a reset, with checks that others build on.
fn of_a_broken_server(arguments: &[&str]) -> Sockdrill {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let mut run = sockdrill(&["check", "--speaks", "echo", "--jobs", "2"]);
    for glob in [
        "polite",
        "reset/after-connect",
        "reset/mid-request",
        "reset/before-reply",
    ] {
        run = run.args(["--only", glob]);
    }
    run.args(arguments)
        .args(["--", program, "serve", "echo"])
        .args(["--violate", "reset/mid-request", "--port", "{port}"])
}

/// The reports of all parts of a run, as files.
fn parts(by: &str, of: usize) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let file = |n: usize| folder.path().join(format!("{n}.json"));
    for n in 1..=of {
        let part = format!("{by}:{n}/{of}");
        let json = file(n).to_string_lossy().into_owned();
        of_a_broken_server(&["--timings", "--partition", &part, "--json", &json]).run();
    }
    let files = (1..=of).map(file).collect();
    (folder, files)
}

/// What a report says of each check.
fn told(report: &Value) -> Vec<[&str; 2]> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks
        .map(|check| ["id", "verdict"].map(|field| check[field].as_str().unwrap()))
        .collect()
}

#[rstest]
#[case("slice")]
#[case("hash")]
fn parts_of_a_run_make_the_report_of_the_whole(#[case] by: &str) {
    let (folder, mut files) = parts(by, 2);
    files.reverse();
    let whole = folder.path().join("whole.json");
    of_a_broken_server(&["--json", &whole.to_string_lossy()])
        .run()
        .code(1);
    let whole: Value = serde_json::from_slice(&std::fs::read(whole).unwrap()).unwrap();
    let merged = folder.path().join("merged.json");
    let html = folder.path().join("merged.html");
    let junit = folder.path().join("merged.xml");
    let run = sockdrill(&["report", "merge"])
        .args(&files)
        .arg("--json")
        .arg(&merged)
        .arg("--html")
        .arg(&html)
        .arg("--junit")
        .arg(&junit)
        .run()
        .code(1)
        .prints("1 finding, shown by ")
        .prints("fail          reset/mid-request")
        .prints("fix: ")
        .prints("where the time went");
    let merged: Value = serde_json::from_slice(&std::fs::read(merged).unwrap()).unwrap();
    assert_eq!(told(&whole), told(&merged), "{run:?}");
    assert_eq!(whole["summary"], merged["summary"]);
    assert_eq!(
        whole["findings"].as_array().unwrap().len(),
        merged["findings"].as_array().unwrap().len()
    );
    let html = std::fs::read_to_string(html).unwrap();
    assert!(html.contains("<summary>Transcript</summary>"), "{html}");
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(junit.contains("<failure "), "{junit}");
    sockdrill(&["report", "merge"])
        .arg(&files[0])
        .run()
        .code(1)
        .prints(format!("no report of {by}:1/2: not all of the run is told"));
}

#[test]
fn every_check_is_in_one_part() {
    let ids = |part: &str| {
        let run = sockdrill(&["check", "echo", "--only", "datagram", "--no-tests", "pass"])
            .args(["--partition", part])
            .reporting()
            .run()
            .code(0);
        let checks = run.report["checks"].as_array().unwrap().iter();
        let ids = checks.map(|check| check["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let whole = sockdrill(&["check", "echo", "--only", "datagram", "--no-tests", "pass"])
        .reporting()
        .run();
    let all = whole.report["checks"].as_array().unwrap().len();
    let mut parts = ["slice:1/3", "slice:2/3", "slice:3/3"].map(ids).concat();
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(parts.len(), all);
}

#[test]
fn cases_are_spread_too() {
    let part = |part: &str| {
        sockdrill(&["run", "fixtures/scenarios/reset/mid-request.drill"])
            .args(["--partition", part])
            .run()
            .code(0)
    };
    let printed = ["slice:1/2", "slice:2/2"].map(|of| part(of).stdout);
    let counted = printed
        .iter()
        .map(|text| text.matches("mid-request::").count());
    assert_eq!(counted.sum::<usize>(), 2, "{printed:?}");
    sockdrill(&["run", "fixtures/scenarios/reset/mid-request.drill"])
        .args(["--partition", "slice:3/3"])
        .run()
        .code(4)
        .complains("of the 2 that are selected none is in --partition slice:3/3");
}

#[test]
fn reports_that_are_none_or_of_another_run_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let report = |server: &str| {
        let file = folder.path().join(format!("{server}.json"));
        sockdrill(&["check", server, "--only", "polite/exchange", "--json"])
            .arg(&file)
            .run()
            .code(0);
        file
    };
    let echo = report("echo");
    let other = folder.path().join("other.json");
    let text = std::fs::read_to_string(&echo).unwrap();
    std::fs::write(&other, text.replace("\"seed\": 1", "\"seed\": 7")).unwrap();
    sockdrill(&["report", "merge"])
        .args([&echo, &other])
        .run()
        .code(2)
        .complains("are no parts of one run: the seed is 1 in the one and 7 in the other");
    sockdrill(&["report", "merge", "README.md"])
        .run()
        .code(2)
        .complains("README.md: this is no report of --json");
    let text = std::fs::read_to_string(&echo).unwrap();
    std::fs::write(&echo, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    sockdrill(&["report", "merge"])
        .arg(&echo)
        .run()
        .code(2)
        .complains("this report has format 2, and format 1 is understood");
}

#[rstest]
#[case::no_time(&["--budget", "0s"], "no time is no budget")]
#[case::no_unit(&["--budget", "30"], "write a duration with its unit")]
#[case::no_part(&["--partition", "slice:4/3"], "`slice:4/3` is no part of a run; write slice:1/3")]
#[case::other_word(&["--partition", "count:1/3"], "write slice:1/3 or hash:1/3")]
fn budgets_and_parts_that_mean_nothing_are_exit_code_2(
    #[case] arguments: &[&str],
    #[case] message: &str,
) {
    for command in [["check", "echo"], ["run", "case.drill"]] {
        sockdrill(&command)
            .args(arguments)
            .run()
            .code(2)
            .complains(message);
    }
}

/// A check that takes some seconds, and one that takes none.
fn in_time(budget: &str) -> Run {
    sockdrill(&["check", "echo", "--only", "timeout/idle-kept"])
        .args(["--only", "polite/exchange", "--budget", budget])
        .reporting()
        .run()
}

#[test]
fn run_ends_within_its_budget_and_says_what_it_leaves_out() {
    let begun = Instant::now();
    let run = in_time("2s")
        .code(0)
        .prints("pass          polite/exchange")
        .prints("inconclusive  timeout/idle-kept  not concluded: the run's budget of 2s was over")
        .prints("left out: 1 of 2 checks, for which the budget of 2s was too short");
    // It promises nothing about a host on which it does not come to its turn.
    assert!(begun.elapsed() < Duration::from_secs(6), "{run:?}");
    assert_eq!(run.report["budget_ms"], 2_000);
    let doubts = run.report["checks"].as_array().unwrap().iter();
    let doubts: Vec<_> = doubts.filter_map(|check| check["doubt"].as_str()).collect();
    assert_eq!(doubts, ["out-of-budget"]);
}

#[test]
fn budget_that_leaves_out_all_has_concluded_nothing() {
    in_time("1ms")
        .code(3)
        .prints("not tried: the run's budget of 1ms was over")
        .prints("nothing was concluded: the budget was over before");
    sockdrill(&["run", "fixtures/scenarios/reset/mid-request.drill"])
        .args(["--budget", "1ms"])
        .run()
        .code(3)
        .prints("left out: 2 of 2 cases");
}

#[test]
fn what_fails_within_the_budget_fails_the_run() {
    of_a_broken_server(&["--budget", "30s"])
        .run()
        .code(1)
        .prints("fail          reset/mid-request");
}

#[test]
fn time_of_a_run_is_accounted_for() {
    let run = sockdrill(&["check", "echo", "--only", "polite", "--only", "reset"])
        .arg("--timings")
        .reporting()
        .run()
        .code(0)
        .prints("where the time went, summed over what ran side by side:")
        .prints("start-up of servers")
        .prints("the slowest, in seconds");
    let sum = |spent: &Value| {
        let spent = spent.as_object().unwrap().values();
        spent.map(|time| time.as_u64().unwrap()).sum::<u64>()
    };
    let timings = &run.report["timings"];
    assert!(timings["processor_ms"].as_u64().unwrap() > 0, "{timings}");
    let starts = timings["starts_ms"].as_array().unwrap().len();
    assert!(starts > 1, "{timings}");
    let checks = run.report["checks"].as_array().unwrap().iter();
    for check in checks.filter(|check| check["verdict"] == "pass") {
        let (spent, took) = (
            sum(&check["spent_ms"]),
            check["duration_ms"].as_u64().unwrap(),
        );
        assert!(spent.abs_diff(took) <= took / 5 + 50, "{check}");
    }
    let of_the_checks: u64 = run.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| sum(&check["spent_ms"]))
        .sum();
    assert!(sum(&timings["spent_ms"]) >= of_the_checks, "{timings}");
}

#[test]
fn suite_is_spread_by_the_names_of_its_tests() {
    let names = |partition: Option<&str>| {
        let mut settings = Settings::default();
        settings.partition = partition.map(|part| part.parse().unwrap());
        let suite = Suite::of_scenarios("fixtures/scenarios/reset").settings(settings);
        let tests = suite.tests().into_iter();
        tests.map(|test| test.name().to_owned()).collect::<Vec<_>>()
    };
    let whole = names(None);
    let parts = ["hash:1/2", "hash:2/2"].map(|part| names(Some(part)));
    let in_both = |name: &&String| parts[0].contains(name) == parts[1].contains(name);
    assert!(whole.len() > 2 && parts.iter().all(|part| !part.is_empty()));
    assert_eq!(whole.iter().find(in_both), None, "{parts:?}");
}
