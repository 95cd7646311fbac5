use crate::kit::{Run, sockdrill};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// What is tried of each target.
const ONLY: &[&str] = &["--only", "polite/exchange", "--only", "reset/mid-request"];

/// A folder with the target file of an echo server that breaks what a check is about.
fn with_a_broken_server(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let words = ["serve", "echo", "--violate", "reset/mid-request"];
    write_target(&folder.path().join(name), &words);
    folder
}

fn write_target(file: &Path, words: &[&str]) {
    let command = [&[PROGRAM], words, &["--port", "{port}"]].concat();
    let text = format!("command = {command:?}\nspeaks = \"echo\"\n");
    std::fs::write(file, text).unwrap();
}

fn check(folder: &Path, arguments: &[&str]) -> Run {
    let mut program = sockdrill(&[&["check"], arguments].concat());
    program.command.current_dir(folder);
    program.reporting().run()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn names(report: &Value) -> Vec<&str> {
    let targets = report["targets"].as_array().unwrap().iter();
    targets
        .map(|target| target["target"].as_str().unwrap())
        .collect()
}

#[test]
fn five_targets_are_drilled_one_after_the_other_and_put_beside_each_other() {
    let folder = with_a_broken_server("broken.toml");
    let targets = ["echo", "uppercase", "broken.toml", "line-echo", "udp-echo"];
    let forms = [
        "--junit",
        "r.xml",
        "--html",
        "r.html",
        "--artifacts",
        "found",
    ];
    let run = check(folder.path(), &[&targets, ONLY, &forms].concat());
    let run = run.code(1).prints("\nbroken (3 of 5)\n");
    let run = run.prints(
        "                   echo   uppercase  broken  line-echo  udp-echo\n\
         reset/mid-request  pass   pass       fail    pass       -\n",
    );
    let run = run
        .prints("1 check passes on all")
        .prints("\n1 of 5 targets failed: ");
    assert_eq!(
        names(&run.report),
        ["echo", "uppercase", "broken", "line-echo", "udp-echo"]
    );
    let row =
        json!({"id": "reset/mid-request", "verdicts": ["pass", "pass", "fail", "pass", "skip"]});
    assert_eq!(run.report["matrix"]["rows"], json!([row]));
    assert_eq!(
        run.report["matrix"]["agreed"],
        json!({"pass": ["polite/exchange"]})
    );
    assert_eq!(run.report["summary"]["fail"], 1);
    // What is to be repeated is one target, with what was found of it.
    let failed = &run.report["targets"][2]["checks"][1];
    let command = failed["reproduce"].as_str().unwrap();
    assert!(
        command.contains(" broken.toml --only reset/mid-request "),
        "{command}"
    );
    assert!(command.contains(" --artifacts found/broken "), "{command}");
    assert!(!command.contains("udp-echo"), "{command}");
    assert!(
        folder
            .path()
            .join("found/broken/reset-mid-request.drill")
            .is_file()
    );
    assert_eq!(
        read(folder.path(), "r.xml").matches("<testsuite ").count(),
        5
    );
    assert!(read(folder.path(), "r.html").contains("reset/mid-request"));
}

#[test]
fn report_of_several_targets_is_read_as_one_of_a_single_target_is() {
    let folder = tempfile::tempdir().unwrap();
    let whole = check(folder.path(), &[&["echo", "uppercase"], ONLY].concat()).code(0);
    std::fs::write(folder.path().join("both.json"), whole.report.to_string()).unwrap();
    for target in ["echo", "uppercase"] {
        let alone = check(folder.path(), &[&[target], ONLY].concat()).code(0);
        let file = folder.path().join(format!("{target}.json"));
        std::fs::write(file, alone.report.to_string()).unwrap();
    }
    for files in [
        &["both.json"][..],
        &["echo.json", "uppercase.json"],
        &["both.json", "echo.json"],
    ] {
        let mut merge = sockdrill(&["report", "merge"]).args(files);
        merge.command.current_dir(folder.path());
        let merged = merge.reporting().run().code(0);
        let merged = merged
            .prints("\n2 checks pass on all\n")
            .prints("uppercase (2 of 2)");
        assert_eq!(merged.report["matrix"], whole.report["matrix"], "{files:?}");
        assert_eq!(names(&merged.report), ["echo", "uppercase"]);
    }
}

#[test]
fn parts_of_runs_of_several_targets_are_merged_a_target_each() {
    let folder = tempfile::tempdir().unwrap();
    let part = |part: &str| {
        let of = format!("slice:{part}/2");
        let run = check(
            folder.path(),
            &[&["echo", "uppercase", "--partition", &of], ONLY].concat(),
        );
        let file = folder.path().join(format!("{part}.json"));
        std::fs::write(file, run.code(0).report.to_string()).unwrap();
    };
    ["1", "2"].iter().for_each(|of| part(of));
    let merge = |files: &[&str]| {
        let mut merge = sockdrill(&["report", "merge"]).args(files);
        merge.command.current_dir(folder.path());
        merge.reporting().run()
    };
    let whole = merge(&["1.json", "2.json"]).code(0);
    assert_eq!(
        whole.report["targets"][1]["checks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    merge(&["1.json"])
        .code(3)
        .prints("no report of slice:2/2 of echo, slice:2/2 of uppercase");
}

#[test]
fn target_that_cannot_be_started_keeps_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("absent.toml"),
        "command = [\"/no/such\"]\n",
    )
    .unwrap();
    let targets = ["absent.toml", "echo"];
    let run = check(folder.path(), &[&targets, ONLY].concat()).code(3);
    let run = run
        .complains("error: absent: starting `/no/such`: no such program")
        .prints("pass          reset/mid-request");
    let run = run
        .prints("\nstart  ?\n")
        .prints("\nabsent: it could not be run: starting `/no/such`: no such program");
    let why = &run.report["matrix"]["not_started"]["absent"];
    assert!(why.as_str().unwrap().contains("no such program"), "{why}");
    let run = run.prints("0 of 2 targets failed, of 1 too little was concluded");
    assert_eq!(
        run.report["targets"][0]["checks"][0]["doubt"],
        "could-not-run"
    );
    assert_eq!(run.report["targets"][1]["summary"]["pass"], 2);
}

#[test]
fn what_is_of_a_single_server_is_refused_for_several() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, complaint) in [
        (
            &["echo", "uppercase", "--", "./server"][..],
            "write a target file",
        ),
        (
            &["echo", "uppercase", "--address", "127.0.0.1:1"],
            "write a target file",
        ),
        (&["echo", "uppercase", "echo"], "echo is named twice"),
        (&["echo", "ehco"], "did you mean `echo`"),
    ] {
        check(folder.path(), arguments).code(2).complains(complaint);
    }
}

#[test]
fn targets_of_one_name_are_called_as_they_were_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["old", "new"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        write_target(
            &folder.path().join(name).join("server.toml"),
            &["serve", "echo"],
        );
    }
    let targets = ["old/server.toml", "new/server.toml"];
    let run = check(folder.path(), &[&targets, ONLY].concat()).code(0);
    assert_eq!(names(&run.report), targets);
}

#[test]
fn each_target_is_to_pass_as_many_checks_as_are_demanded() {
    let folder = tempfile::tempdir().unwrap();
    let targets = ["echo", "udp-echo", "--min-checks", "2"];
    let run = check(folder.path(), &[&targets, ONLY].concat());
    run.code(1)
        .prints("udp-echo: 1 checks passed, and --min-checks wants 2");
}

#[test]
fn enough_failures_on_one_target_are_enough_for_all() {
    let folder = with_a_broken_server("broken.toml");
    let targets = ["broken.toml", "echo", "--max-fail", "1"];
    let run = check(folder.path(), &[&targets, ONLY].concat()).code(1);
    let verdicts = run.report["targets"][1]["checks"].as_array().unwrap();
    assert!(
        verdicts
            .iter()
            .all(|check| check["doubt"] == "enough-failed"),
        "{run:?}"
    );
}

/// Servers that anybody has, side by side.
#[test]
fn five_servers_of_debian_are_put_beside_each_other() {
    let servers = [
        ("redis", "redis-server"),
        ("memcached", "memcached"),
        ("nginx", "nginx-light"),
        ("lighttpd", "lighttpd"),
        ("mosquitto", "mosquitto"),
    ];
    let is_there = |(name, package): &(&str, &str)| {
        let target = sockdrill::Target::find(&format!("fixtures/targets/{name}.toml")).unwrap();
        let is_there = target.is_installed();
        assert!(
            is_there || !crate::host::is_required(package),
            "no {package}"
        );
        is_there
    };
    if !servers.iter().all(is_there) {
        return;
    }
    let files = servers.map(|(name, _)| format!("fixtures/targets/{name}.toml"));
    let only = ["--only", "polite/exchange", "--only", "reset/mid-reply"];
    let run = sockdrill(&["check"])
        .args(&files)
        .args(only)
        .reporting()
        .run();
    let run = run.code(0).prints("0 of 5 targets failed");
    assert_eq!(names(&run.report), servers.map(|(name, _)| name));
    for target in run.report["targets"].as_array().unwrap() {
        assert!(target["summary"]["pass"].as_u64() >= Some(1), "{target:#}");
    }
}
