use crate::host::is_required;
use crate::kit::{Run, sockdrill};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// What is installed by `ci/readers`.
fn readers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/readers")
}

/// Whether the readers are there, which is demanded where they are required.
#[expect(
    clippy::print_stderr,
    reason = "a test of this kind cannot be ignored when it runs"
)]
fn readers_are_there() -> bool {
    let validates = Command::new("xmllint").arg("--version").output().is_ok();
    let are_there = validates && readers().join("junit-10.xsd").is_file();
    assert!(
        are_there || !is_required("readers"),
        "no readers of JUnit, although they are required: ci/readers installs them, and libxml2-utils has xmllint"
    );
    if !are_there {
        eprintln!("not tried: ci/readers has installed no readers of JUnit");
    }
    are_there
}

/// What readers see in the file.
fn read(folder: &TempDir) -> Value {
    let output = Command::new(readers().join("venv/bin/python"))
        .arg("fixtures/junit/readers.py")
        .arg(folder.path().join("r.xml"))
        .arg(folder.path())
        .output()
        .expect("ci/readers has installed it");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Holds the file to the schemas of those that validate.
fn demand_validity(folder: &TempDir, suites: usize) {
    let validated = |arguments: &[&str], name: &str| {
        let file = folder.path().join(name);
        let output = Command::new("xmllint")
            .arg("--noout")
            .args(arguments)
            .arg(&file)
            .output();
        let output = output.expect("libxml2-utils has it");
        let text = std::fs::read_to_string(file).unwrap();
        assert!(output.status.success(), "{output:?}\n{text}");
    };
    let schema = readers().join("junit-10.xsd");
    validated(&["--schema", schema.to_str().unwrap()], "testsuites.xml");
    for n in 0..suites {
        let name = format!("suite-{n}.xml");
        validated(&["--relaxng", "fixtures/junit/surefire.rng"], &name);
    }
}

fn within(folder: &TempDir, arguments: &[&str]) -> Run {
    let mut program = sockdrill(arguments);
    program.command.current_dir(folder.path());
    program.reporting().run()
}

fn case<'a>(read: &'a Value, name: &str) -> &'a Value {
    let cases = read["junitparser"][0]["cases"].as_array().unwrap();
    let found = cases.iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {read:#}"))
}

/// A target of which something fails, passes, is known to fail, is only recommended, and does not apply.
fn of_every_kind() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let command = [
        PROGRAM,
        "serve",
        "echo",
        "--violate",
        "stop/stdout-closed",
        "--port",
        "{port}",
    ];
    let known = "[[known]]\ncheck = \"partial/*\"\nreason = \"<&> a test\"\n";
    let text = format!("command = {command:?}\nspeaks = \"echo\"\n{known}");
    std::fs::write(folder.path().join("server.toml"), text).unwrap();
    folder
}

#[test]
fn readers_see_when_and_where_each_check_was_tried_and_what_came_of_it() {
    if !readers_are_there() {
        return;
    }
    let folder = of_every_kind();
    let only = [
        "polite/exchange",
        "stop/stdout-closed",
        "datagram/empty",
        "partial/every-cut",
    ];
    let only: Vec<&str> = only.iter().flat_map(|id| ["--only", id]).collect();
    let arguments = [
        "check",
        "server.toml",
        "echo",
        "--junit",
        "r.xml",
        "--strict",
    ];
    let run = within(&folder, &[&arguments, &only[..]].concat()).code(1);
    let seen = read(&folder);
    demand_validity(&folder, 2);
    let suite = &seen["junitparser"][0];
    let report = &run.report["targets"][0];
    assert_eq!(suite["name"], "server");
    assert_eq!(suite["hostname"], report["host"]["name"]);
    let second = |time: &Value| time.as_str().unwrap()[..19].to_owned();
    assert_eq!(second(&suite["timestamp"]), second(&report["started"]));
    assert_eq!(suite["properties"]["seed"], "1");
    assert_eq!(suite["properties"]["isolation"], report["isolation"]);
    let passed = case(&seen, "polite/exchange");
    assert_eq!(passed["classname"], "polite");
    assert!(passed["time"].as_f64() > Some(0.0), "{passed:#}");
    let (begun, tried) = (second(&suite["timestamp"]), second(&passed["timestamp"]));
    assert!(begun <= tried && tried <= second(&case(&seen, "stop/stdout-closed")["timestamp"]));
    let failed = case(&seen, "stop/stdout-closed");
    assert_eq!(failed["results"][0][0], "Failure", "{failed:#}");
    let kind = &run.report["targets"][0]["checks"]
        .as_array()
        .unwrap()
        .iter();
    let kind = kind
        .clone()
        .find(|check| check["id"] == "stop/stdout-closed")
        .unwrap();
    assert_eq!(failed["results"][0][1], kind["cause"]["kind"]);
    assert_eq!(failed["properties"]["finding"], kind["cause"]["key"]);
    assert_eq!(failed["properties"]["reproduce"], kind["reproduce"]);
    assert_eq!(failed["properties"]["requirement"], kind["requirement"]);
    assert!(
        failed["output"].as_str().unwrap().contains("transcript:\n"),
        "{failed:#}"
    );
    // What is skipped, and what is known to fail or to pass.
    let skipped = case(&seen, "datagram/empty");
    assert_eq!(skipped["results"][0][0], "Skipped");
    assert!(
        skipped["results"][0][2]
            .as_str()
            .unwrap()
            .starts_with("skip: ")
    );
    assert_eq!(skipped["properties"]["verdict"], "skip");
    let page = &seen["junit2html"]["cases"];
    assert_eq!(page.as_array().unwrap().len(), 8, "{page:#}");
}

#[test]
fn known_failure_is_told_from_what_was_skipped() {
    if !readers_are_there() {
        return;
    }
    let folder = of_every_kind();
    let text = std::fs::read_to_string(folder.path().join("server.toml")).unwrap();
    let text = text.replace("partial/*", "stop/stdout-closed");
    std::fs::write(folder.path().join("server.toml"), text).unwrap();
    let only = ["--only", "stop/stdout-closed", "--only", "polite/exchange"];
    let arguments = ["check", "server.toml", "--junit", "r.xml"];
    within(&folder, &[&arguments[..], &only].concat()).code(0);
    let seen = read(&folder);
    demand_validity(&folder, 1);
    let known = case(&seen, "stop/stdout-closed");
    assert_eq!(known["results"][0][0], "Skipped", "{known:#}");
    let message = known["results"][0][2].as_str().unwrap();
    assert!(
        message.starts_with("known: ") && message.contains("<&> a test"),
        "{message}"
    );
    assert_eq!(known["properties"]["verdict"], "known");
}

#[test]
fn case_has_its_file_and_line_and_one_that_passes_in_the_end_its_failure() {
    if !readers_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Counts in a file of the host how often it was asked, and answers wrongly three times: the first try, and the two that make sure.
    let server = "
import os, socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('<![CDATA[ ]]> \\x1b[31m\\0 %0A', flush=True)
while True:
    client, _ = listener.accept()
    word = client.recv(100)
    if word == b'flaky':
        with open('asked', 'a') as asked:
            asked.write('x')
        if os.path.getsize('asked') <= 3:
            word = b'no'
    client.sendall(word)
    client.close()
";
    std::fs::write(folder.path().join("server.py"), server).unwrap();
    let case_of = |word: &str, wanted: &str| {
        format!(
            "case {word}\n  clients: alice\n\n  alice connect\n  alice send \"{word}\"\n  alice expect \"{wanted}\" within 2s\n\n"
        )
    };
    let cases = case_of("flaky", "flaky") + &case_of("good", "good") + &case_of("bad", "other");
    std::fs::write(folder.path().join("cases.drill"), cases).unwrap();
    let arguments = [
        "run",
        "cases.drill",
        "--retries",
        "2",
        "--isolation",
        "host",
        "--jobs",
        "1",
    ];
    let server = ["--junit", "r.xml", "--", "python3", "server.py", "{port}"];
    let mut program = sockdrill(&[&arguments[..], &server].concat());
    program.command.current_dir(folder.path());
    program.run().code(1);
    let seen = read(&folder);
    demand_validity(&folder, 1);
    let good = case(&seen, "cases::good");
    assert_eq!(
        (&good["file"], &good["line"]),
        (&"cases.drill".into(), &Value::Null)
    );
    let bad = case(&seen, "cases::bad");
    assert_eq!(
        (&bad["file"], &bad["line"]),
        (&"cases.drill".into(), &"20".into())
    );
    let flaky = case(&seen, "cases::flaky");
    assert_eq!(flaky["results"], Value::Array(Vec::new()), "{flaky:#}");
    assert_eq!(flaky["reruns"], Value::from(vec!["flakyFailure"]));
    assert_eq!(flaky["properties"]["verdict"], "flaky");
    assert_eq!(bad["reruns"].as_array().unwrap().len(), 2, "{bad:#}");
    assert!(
        bad["reruns"]
            .as_array()
            .unwrap()
            .iter()
            .all(|tag| tag == "rerunFailure")
    );
    assert!(
        bad["output"]
            .as_str()
            .unwrap()
            .contains("the server printed:\n"),
        "{bad:#}"
    );
}
