//! Whatever a user names or a server sends, the program stays small, and says which bound it has come to.

use crate::kit::{Run, sockdrill};
use rstest::rstest;
use std::path::Path;
use std::process::{Command, Stdio};

const ECHO: &[&str] = &[
    "--",
    env!("CARGO_BIN_EXE_sockdrill"),
    "serve",
    "echo",
    "--port",
    "{port}",
];

const CASE: &str = "case hello\n  clients: alice\n\n  alice connect\n  alice send \"hello\"\n  alice expect \"hello\"\n";

/// Makes a pipe with a name, which nobody writes to.
fn make_pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[rstest]
#[case::repro(&["repro", "fixtures/scenarios/reset/mid-request.drill", "-o", "/nowhere/x.py"])]
#[case::record(&["record", "-o", "/nowhere/x.drill", "--server", "sockdrill serve echo --port {port}", "--", "true"])]
fn place_that_cannot_be_written_to_is_told_before_anything_is_done(#[case] arguments: &[&str]) {
    let run = sockdrill(arguments).run().code(3);
    run.complains("there is no folder /nowhere; make it")
        .prints("");
}

#[test]
fn target_file_in_the_place_of_a_scenario_is_one_mistake() {
    let run = sockdrill(&["run", "fixtures/external/lines.toml"]).run();
    run.code(2)
        .complains("sockdrill check fixtures/external/lines.toml");
}

#[rstest]
#[case::scenario(&["run", "/dev/zero"], "larger than 16MiB, the most that a scenario file may have")]
#[case::fmt(&["fmt", "--check", "/dev/zero"], "larger than 16MiB")]
#[case::repro(&["repro", "/dev/zero"], "larger than 16MiB")]
#[case::target(&["check", "/dev/zero"], "larger than 1MiB, the most that a profile or target file may have")]
#[case::profile(&["check", "--speaks", "/dev/zero", "--", "true"], "larger than 1MiB")]
#[case::report(&["report", "merge", "/dev/zero"], "larger than 256MiB, the most that a report may have")]
#[case::target_folder(&["check", "/"], "reading /: Is a directory")]
#[case::nothing(&["run", "/nowhere.drill"], "reading /nowhere.drill: No such file")]
fn file_that_is_none_is_an_error_that_says_why(#[case] arguments: &[&str], #[case] why: &str) {
    sockdrill(arguments).run().code(3).complains(why);
}

/// The shell's `<(…)` and `-` of other programs are such pipes.
#[test]
fn pipe_that_is_named_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("case.drill");
    make_pipe(&pipe);
    let text = format!("server: echo\n\n{CASE}");
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::write(pipe, text).unwrap())
    };
    sockdrill(&["run"]).arg(&pipe).run().code(0);
    writer.join().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockdrill"));
    let mut child = command
        .args(["run", "/dev/stdin"])
        .args(ECHO)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, CASE.as_bytes()).unwrap();
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A check that finds these among the cases that it has saved.
fn check_with_saved(folder: &Path) -> Run {
    let only = ["--only", "property/stream", "--cases", "1"];
    let run = sockdrill(&["check", "--speaks", "echo", "--artifacts"]).arg(folder);
    run.args(only).args(ECHO).run()
}

#[test]
fn saved_case_that_cannot_be_read_is_said_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    make_pipe(&file("property-stream-1.drill"));
    std::fs::write(file("property-stream-2.drill"), b"\xff").unwrap();
    std::fs::write(file("property-stream-3.drill"), "case of yesterday\n").unwrap();
    std::fs::write(file("property-stream-4.drill"), CASE).unwrap();
    check_with_saved(folder.path())
        .code(0)
        .complains("warning: a saved case is left out: reading ")
        .complains("property-stream-1.drill: it is no regular file")
        .complains("property-stream-2.drill: line 1, column 1: the byte \\xff is no UTF-8 text")
        .complains("this case has no steps")
        .complains("warning: 3 saved cases are left out");
    std::fs::remove_file(file("property-stream-1.drill")).unwrap();
    std::fs::remove_file(file("property-stream-2.drill")).unwrap();
    std::fs::remove_file(file("property-stream-3.drill")).unwrap();
    let run = check_with_saved(folder.path()).code(0);
    let is_silent = run.stderr.is_empty();
    run.demand(is_silent, "nothing is left out");
}

/// Each deeper than anything is read, and than our own stack is.
#[rstest]
#[case::json("json", "{\"cases\":[{\"steps\":", "[", "recursion limit")]
#[case::blocks(
    "json",
    "{\"cases\":[{\"name\":\"x\",\"steps\":[",
    "{\"repeat\":1,\"steps\":[",
    "recursion limit"
)]
#[case::toml("toml", "a=", "[", "max recursion depth met")]
#[case::toml_tables("toml", "a=", "{a=", "max recursion depth met")]
fn nesting_has_a_bound(
    #[case] extension: &str,
    #[case] first: &str,
    #[case] piece: &str,
    #[case] why: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep").with_extension(extension);
    std::fs::write(&file, first.to_owned() + &piece.repeat(100_000)).unwrap();
    let command = if extension == "toml" { "check" } else { "run" };
    sockdrill(&[command])
        .arg(&file)
        .run()
        .code(2)
        .complains(why);
}

#[test]
fn working_folder_that_is_gone_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = "cd \"$1\" && rmdir \"$1\" && exec \"$0\" check --speaks echo -- ./server {port}";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_sockdrill")])
        .arg(&gone)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let why = format!(
        "looking for the working folder {} (deleted)",
        gone.display()
    );
    assert!(said.contains(&why), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
}

/// It listens as soon as it has been given the time.
#[test]
fn slow_starter_is_told_what_gives_it_the_time() {
    const SERVER: &str = "import socket, sys, time\ntime.sleep(float(sys.argv[2]))\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True:\n    c = s.accept()[0]\n    c.sendall(c.recv(9))\n    c.close()";
    let check = |within: &str, sleeps: &str| {
        let run = sockdrill(&[
            "check",
            "--speaks",
            "echo",
            "--only",
            "polite/exchange",
            "--ready-within",
            within,
        ]);
        run.args(["--", "python3", "-c", SERVER, "{port}", sleeps])
            .run()
    };
    check("500ms", "60")
        .code(3)
        .complains("if it needs longer to start, it is given the time by --ready-within 3s, or ready-within = \"3s\" in its target file");
    let slow = check("5m", "2");
    let has_started = !slow.stderr.contains("did not listen");
    slow.demand(has_started, "it has started");
    sockdrill(&["check", "--ready-within", "0s", "echo"])
        .run()
        .code(2)
        .complains("write 1ms or more, and 24h at most, not `0s`");
}

/// Megabytes that the scenario foresees are told by how they are made.
#[test]
fn saved_trial_of_megabytes_takes_little() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("much.drill");
    let steps = "  alice connect\n  alice send pattern 32MiB seed 1 in the background\n  alice expect pattern 32MiB seed 1 within 60s\n  alice close\n";
    std::fs::write(&file, format!("case much\n  clients: alice\n\n{steps}")).unwrap();
    let trials = folder.path().join("trials");
    let run = sockdrill(&["run", "--speaks", "echo", "--timings", "--transcripts"]).arg(&trials);
    let run = run.reporting().arg(&file).args(ECHO).run().code(0);
    let peak = run.report["timings"]["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak < 64 << 20, "{} MiB", peak >> 20);
    let saved = std::fs::read_dir(&trials).unwrap();
    let saved = saved.map(|trial| trial.unwrap().metadata().unwrap().len());
    let saved: Vec<u64> = saved.collect();
    assert!(
        !saved.is_empty() && saved.iter().all(|bytes| *bytes < 4 << 20),
        "{saved:?}"
    );
}
