use crate::kit::{Run, sockdrill};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// Saves the report of a build of the echo server, which breaks what a check is about, if one is named.
fn build(folder: &TempDir, name: &str, violates: Option<&str>, options: &[&str]) {
    let file = folder.path().join(name);
    let broken = violates.map(|check| ["--violate", check]);
    sockdrill(&[
        "check",
        "--speaks",
        "echo",
        "--only",
        "polite",
        "--only",
        "reset/mid-request",
    ])
    .args(options)
    .arg("--json")
    .arg(&file)
    .args(["--", PROGRAM, "serve", "echo", "--port", "{port}"])
    .args(broken.into_iter().flatten())
    .run();
    assert!(file.is_file());
}

fn diff(folder: &TempDir, old: &str, new: &str) -> Run {
    let mut diff = sockdrill(&["diff", old, new]);
    diff.command.current_dir(folder.path());
    diff.reporting().run()
}

fn report(folder: &TempDir, name: &str) -> Value {
    let text = std::fs::read(folder.path().join(name)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Saves the same report with a change.
fn spoilt(folder: &TempDir, of: &str, name: &str, spoil: &dyn Fn(&mut Value)) {
    let mut report = report(folder, of);
    spoil(&mut report);
    std::fs::write(folder.path().join(name), report.to_string()).unwrap();
}

#[test]
fn build_that_breaks_something_is_worse_and_the_other_way_round_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    build(&folder, "good.json", None, &[]);
    // Another port, other processes, other times.
    build(
        &folder,
        "again.json",
        None,
        &["--seed", "7", "--isolation", "host"],
    );
    build(&folder, "bad.json", Some("reset/mid-request"), &[]);
    build(
        &folder,
        "bad-again.json",
        Some("reset/mid-request"),
        &["--seed", "7"],
    );
    let worse = diff(&folder, "good.json", "bad.json").code(1);
    let worse = worse.prints("worse     reset/mid-request  [died/status-1]");
    let worse = worse.prints("1 worse, 0 fixed, 0 still there");
    assert_eq!(worse.report["worse"], true);
    let change = &worse.report["targets"][0]["worse"][0];
    assert_eq!(
        (&change["what"], &change["was"]),
        (&json!("new"), &json!("pass"))
    );
    let fixed = diff(&folder, "bad.json", "good.json").code(0);
    fixed
        .prints("fixed     reset/mid-request")
        .prints("0 worse, 1 fixed, 0 still there");
    let still = diff(&folder, "bad.json", "bad-again.json").code(0);
    still
        .prints("still     reset/mid-request")
        .prints("0 worse, 0 fixed, 1 still there");
    let none = diff(&folder, "good.json", "again.json").code(0);
    let none = none.prints("0 worse, 0 fixed, 0 still there");
    // That it ran elsewhere is no matter of the server, and said.
    let observed = none.report["targets"][0]["observations"]
        .as_array()
        .unwrap();
    let names: Vec<&Value> = observed.iter().map(|observed| &observed["name"]).collect();
    assert!(
        !names.contains(&&json!("address")) || names.contains(&&json!("isolation")),
        "{none:?}"
    );
}

#[test]
fn what_is_not_known_any_more_is_neither_worse_nor_mended() {
    let folder = tempfile::tempdir().unwrap();
    build(&folder, "good.json", None, &[]);
    build(&folder, "bad.json", Some("reset/mid-request"), &[]);
    let unproven = |report: &mut Value| {
        let checks = report["checks"].as_array_mut().unwrap();
        let check = checks
            .iter_mut()
            .find(|check| check["id"] == "reset/mid-request");
        let check = check.unwrap();
        check["verdict"] = "inconclusive".into();
        check["reason"] = "the host was too busy".into();
        check.as_object_mut().unwrap().remove("cause");
    };
    spoilt(&folder, "bad.json", "unproven.json", &unproven);
    for old in ["good.json", "bad.json"] {
        let lost = diff(&folder, old, "unproven.json").code(0);
        let lost = lost.prints("is inconclusive: the host was too busy");
        let lost = lost.prints("0 worse, 0 fixed, 0 still there, 1 not concluded any more");
        assert_eq!(
            lost.report["targets"][0]["lost"][0]["check"],
            "reset/mid-request"
        );
    }
    diff(&folder, "unproven.json", "good.json")
        .code(0)
        .prints("1 newly concluded");
    let nothing = |report: &mut Value| report["checks"] = json!([]);
    spoilt(&folder, "good.json", "nothing.json", &nothing);
    let lost = diff(&folder, "good.json", "nothing.json").code(3);
    lost.complains("nothing that was concluded before is concluded now");
}

#[test]
fn observations_that_are_otherwise_are_told_and_judged_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    build(&folder, "old.json", None, &[]);
    let other = |report: &mut Value| {
        report["observations"]["backlog"] = "5".into();
        report["observations"]["memory_mib"] = "3".into();
    };
    spoilt(&folder, "old.json", "new.json", &other);
    let told = diff(&folder, "old.json", "new.json").code(0);
    let told = told
        .prints("observed  backlog: 1024 -> 5\n")
        .prints("1 observed otherwise");
    let observed = &told.report["targets"][0]["observations"];
    assert_eq!(
        *observed,
        json!([{"name": "backlog", "old": "1024", "new": "5"}])
    );
}

#[test]
fn targets_are_compared_with_those_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let of_two = |name: &str, targets: [&str; 2]| {
        sockdrill(&["check", "--only", "polite/exchange", "--json"])
            .arg(folder.path().join(name))
            .args(targets)
            .run()
            .code(0);
    };
    of_two("old.json", ["echo", "uppercase"]);
    of_two("new.json", ["discard", "echo"]);
    let told = diff(&folder, "old.json", "new.json").code(0);
    let told = told
        .prints("echo: all as it was\n")
        .prints("uppercase: not in the later report");
    let told = told.prints("discard: not in the earlier report");
    assert_eq!(told.report["gone"], json!(["uppercase"]));
    assert_eq!(told.report["targets"].as_array().unwrap().len(), 1);
    let another = |report: &mut Value| report["targets"] = json!([report["targets"][0].clone()]);
    spoilt(&folder, "old.json", "one.json", &another);
    of_two("others.json", ["discard", "line-echo"]);
    diff(&folder, "old.json", "others.json")
        .code(2)
        .complains("no target in common");
}

#[test]
fn what_is_no_report_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    build(&folder, "good.json", None, &[]);
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("text.json", "no report");
    write("format.json", r#"{"format": 2}"#);
    write("none.json", r#"{"format": 1, "targets": []}"#);
    for name in ["text.json", "format.json", "none.json"] {
        diff(&folder, "good.json", name).code(2).complains(name);
    }
    diff(&folder, "good.json", "absent.json")
        .code(3)
        .complains("absent.json");
    assert!(!Path::new("absent.json").exists());
}
