use crate::kit::{Run, sockdrill};
use rstest::rstest;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A server that answers, and is silent for far longer than anybody waits once it is told to.
const SERVER: &str = "
import socket, sys, threading, time
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
def serve(client):
    while data := client.recv(4096):
        if b'hush' in data:
            time.sleep(600)
        client.sendall(data)
    client.close()
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
";

const CASES: &str = "
speaks: echo

case hello comes back
  clients: alice

  alice connect
  alice send \"hello\"
  alice expect \"hello\"

case a silence ends
  clients: alice

  alice connect
  alice send \"hush\"
  alice expect \"hush\" within 5m
";

/// A folder with the server and its cases, and the words that run those.
fn hushed() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let [server, cases] = ["server.py", "hush.drill"].map(|name| folder.path().join(name));
    std::fs::write(&server, SERVER).unwrap();
    std::fs::write(&cases, CASES).unwrap();
    let path = |path: PathBuf| path.display().to_string();
    let words = [
        "run",
        &path(cases),
        "--",
        "python3",
        &path(server),
        "{port}",
    ];
    (folder, words.map(str::to_owned).to_vec())
}

/// What a run has shown on a terminal.
struct Shown {
    text: String,
    /// Whether keys came one by one at each of the steps, and at the end.
    raw: Vec<bool>,
    code: Option<i64>,
}

/// Runs the program on a terminal of 80 columns, with a person who does these things.
#[track_caller]
fn on_a_terminal(words: &[String], variables: &[(&str, &str)], steps: &Value) -> Shown {
    let program = [env!("CARGO_BIN_EXE_sockdrill").to_owned()];
    typed(&[&program[..], words].concat(), variables, steps)
}

/// Runs a command there.
#[track_caller]
fn typed(command: &[String], variables: &[(&str, &str)], steps: &Value) -> Shown {
    let mut person = Command::new("python3");
    person
        .arg("tests/program/terminal.py")
        .args(["80", &steps.to_string(), "--"])
        .args(command)
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("TERM", "xterm-256color");
    for unset in [
        "CI",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "SOCKDRILL_LOG",
    ] {
        person.env_remove(unset);
    }
    person.envs(variables.iter().copied());
    let output = person.output().expect("python3 is there");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let text = result["shown"].as_str().unwrap().to_owned();
    assert_eq!(result["left"], json!([]), "{text}");
    let raw = result["raw"].as_array().unwrap();
    Shown {
        text,
        raw: raw.iter().map(|raw| raw.as_bool().unwrap()).collect(),
        code: result["code"].as_i64(),
    }
}

impl Shown {
    #[track_caller]
    fn demand(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "no `{part}` in {}", self.text);
        self
    }

    /// The text without what moves the cursor and what colours.
    fn plain(&self) -> String {
        let mut plain = String::new();
        let mut rest = self.text.as_str();
        while let Some((before, behind)) = rest.split_once('\x1b') {
            plain.push_str(before);
            let end = behind.find(|c: char| c.is_ascii_alphabetic());
            rest = &behind[end.map_or(behind.len(), |end| end + 1)..];
        }
        plain + rest
    }
}

/// Whether a text has what colours, as terminals understand it.
fn is_coloured(text: &str) -> bool {
    text.contains("\x1b[3") || text.contains("\x1b[1m") || text.contains("\x1b[2m")
}

/// What draws a line anew.
const REDRAWN: &str = "\x1b[2K";

const WAITS: &str = "hush::a silence ends: alice waits for \"hush\", ";

#[test]
fn terminal_shows_what_is_waited_for_and_tells_it_when_asked() {
    let (_folder, words) = hushed();
    let steps = json!([
        {"until": "          hush::hello comes back"},
        {"until": WAITS, "type": "t"},
        {"until": "1 being tried:", "signal": "SIGUSR1"},
        {"until": "1 being tried:", "type": "no such key"},
        {"until": "not done after 20 s: alice waits", "type": "\u{3}"},
    ]);
    let shown = on_a_terminal(&words, &[], &steps);
    shown
        .demand(REDRAWN)
        .demand("1 of 2 cases, ")
        .demand("interrupted: the servers are being stopped")
        .demand("1 passed, 0 failed, 1 inconclusive, 0 skipped");
    assert_eq!(shown.code, Some(130));
    // Keys came one by one until the end, and do not any more.
    assert_eq!(shown.raw, [true, true, true, true, true, false]);
    let plain = shown.plain();
    let told = "  hush::a silence ends, ";
    assert_eq!(plain.matches(told).count(), 2, "{plain}");
}

#[test]
fn nothing_on_a_terminal_is_wider_than_it_but_commands_and_events() {
    let words = [
        "check",
        "echo",
        "--only",
        "reset/*",
        "--only",
        "datagram/*",
        "--only",
        "stop/stdout-closed",
        "--skip",
        "reset/many",
        "--timings",
    ];
    let words = words.map(str::to_owned);
    let shown = on_a_terminal(&words, &[("CI", "true")], &json!([]));
    shown
        .demand("where the time went")
        .demand("the slowest, in seconds");
    for line in shown.plain().lines() {
        let is_exact = line.starts_with("  repeat: ") || line.contains(" ms  ");
        assert!(is_exact || line.chars().count() <= 80, "{line}");
    }
}

/// What is said beside results is broken as they are: errors, an interrupt, and what is otherwise than in an earlier report.
#[test]
fn messages_and_differences_are_no_wider_than_a_terminal() {
    let (folder, words) = hushed();
    let steps = json!([{"until": WAITS, "type": "\u{3}"}]);
    let interrupted = on_a_terminal(&words, &[], &steps);
    interrupted.demand("interrupted: the servers are being stopped, and");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, server) in [("old.json", &["echo"][..]), ("new.json", BROKEN_ECHO)] {
        let only = ["check", "--only", "reset/mid-request", "--json"];
        sockdrill(&only).arg(path(name)).args(server).run();
    }
    let of = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        on_a_terminal(&words, &[], &json!([]))
    };
    let [old, new] = [path("old.json"), path("new.json")];
    let diff = of(&["diff", &old, &new]);
    diff.demand("worse     reset/mid-request");
    let nothing = of(&["replay", env!("CARGO_TARGET_TMPDIR")]);
    nothing.demand("is no bundle");
    let texts = [interrupted.plain(), diff.plain(), nothing.plain()];
    for line in texts.iter().flat_map(|text| text.lines()) {
        // What was drawn over was never wider, and stands in one line here.
        let line = line.rsplit('\r').next().unwrap_or_default();
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// A server that a reset kills.
const BROKEN_ECHO: &[&str] = &[
    "--speaks",
    "echo",
    "--",
    env!("CARGO_BIN_EXE_sockdrill"),
    "serve",
    "echo",
    "--violate",
    "reset/mid-request",
];

#[test]
fn run_that_is_stopped_leaves_the_terminal_as_it_was_and_goes_on() {
    let (_folder, words) = hushed();
    let steps = json!([
        {"until": WAITS, "type": "\u{1a}"},
        {"until": "", "stopped": true, "continue": true},
        {"until": WAITS, "type": "t"},
        {"until": "being tried:", "signal": "SIGTERM"},
    ]);
    let shown = on_a_terminal(&words, &[], &steps);
    assert_eq!(shown.code, Some(130));
    assert_eq!(
        shown.raw,
        [true, false, true, true, false],
        "{}",
        shown.text
    );
}

/// A shell that goes on while the run does has the line that it writes its prompt on.
#[test]
fn nothing_is_drawn_behind_a_prompt() {
    let (_folder, words) = hushed();
    let steps = json!([
        {"until": WAITS, "type": "\u{1a}"},
        {"until": "", "stopped": true, "continue": "behind"},
        // Who takes long is told wherever he is, by when the line would have been drawn a hundred times.
        {"until": "not done after 20 s: alice waits", "signal": "SIGTERM"},
    ]);
    let shown = on_a_terminal(&words, &[], &steps);
    assert_eq!(shown.code, Some(130), "{}", shown.text);
    let (_, behind) = shown.text.split_once("prompt> ").unwrap();
    assert!(behind.contains("not done after 20 s"), "{behind}");
    for drawn in ["of 2 cases, ", "begins, ", REDRAWN] {
        assert!(!behind.contains(drawn), "{behind:?}");
    }
}

#[test]
fn pager_has_the_keys_for_itself() {
    let (_folder, words) = hushed();
    let piped = [
        "sh",
        "-c",
        "\"$@\" | cat",
        "sh",
        env!("CARGO_BIN_EXE_sockdrill"),
    ];
    let piped = piped.map(str::to_owned);
    let steps = json!([{"until": "pass          hush::hello comes back", "type": "\u{3}"}]);
    let shown = typed(&[&piped[..], &words].concat(), &[], &steps);
    assert_eq!(shown.raw, [false, false], "{}", shown.text);
}

#[test]
fn second_interrupt_leaves_the_terminal_as_it_was() {
    let (_folder, words) = hushed();
    // As one who holds the key down: it is one interrupt for half a second.
    let held: Vec<_> = (0..3)
        .map(|_| json!({"until": "", "type": "\u{3}"}))
        .collect();
    let mut steps = vec![json!({"until": WAITS, "type": "\u{3}"})];
    steps.extend(held);
    let shown = on_a_terminal(&words, &[], &json!(steps));
    assert_eq!(shown.code, Some(130));
    assert_eq!(shown.raw.last(), Some(&false));
}

#[rstest]
#[case::in_ci(("CI", "true"))]
#[case::on_a_dumb_terminal(("TERM", "dumb"))]
fn line_is_drawn_only_where_somebody_looks_on(#[case] variable: (&str, &str)) {
    let words = ["check", "echo", "--only", "polite/exchange"].map(str::to_owned);
    let shown = on_a_terminal(&words, &[variable], &json!([]));
    assert_eq!(shown.code, Some(0));
    shown.demand("pass");
    assert!(!shown.text.contains(REDRAWN), "{}", shown.text);
    assert!(!shown.text.contains(" being tried"), "{}", shown.text);
}

#[test]
fn words_are_coloured_on_terminals_unless_somebody_says_otherwise() {
    let words = |more: &[&str]| {
        let words = ["check", "echo", "--only", "polite/exchange"];
        let words = words.iter().chain(more);
        words.map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let coloured = |words: &[String], variables: &[(&str, &str)]| {
        is_coloured(&on_a_terminal(words, variables, &json!([])).text)
    };
    assert!(coloured(&words(&[]), &[]));
    assert!(!coloured(&words(&[]), &[("NO_COLOR", "1")]));
    assert!(!coloured(&words(&["--color", "never"]), &[]));
    assert!(coloured(
        &words(&["--color", "always"]),
        &[("NO_COLOR", "1")]
    ));
}

#[test]
fn pipe_is_coloured_only_where_that_is_forced() {
    let run = |variable: (&str, &str), more: &[&str]| {
        let mut run = sockdrill(&["check", "echo", "--only", "polite/exchange"]).args(more);
        for unset in ["CI", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            run.command.env_remove(unset);
        }
        run.command.env(variable.0, variable.1);
        run.run().code(0).stdout
    };
    assert!(!run(("TERM", "xterm"), &[]).contains('\x1b'));
    assert!(is_coloured(&run(("CLICOLOR_FORCE", "1"), &[])));
    assert!(is_coloured(&run(("TERM", "xterm"), &["--color", "always"])));
}

#[test]
fn log_has_plain_lines_and_says_what_takes_long() {
    let (_folder, words) = hushed();
    let mut run = Command::new(env!("CARGO_BIN_EXE_sockdrill"));
    run.args(&words)
        .env("TERM", "xterm")
        .env_remove("CLICOLOR_FORCE");
    run.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&run);
    let mut errors = BufReader::new(run.stderr.take().unwrap());
    let slow =
        "slow          hush::a silence ends  not done after 20 s: alice waits for \"hush\", ";
    let mut line = String::new();
    while !line.contains(slow) {
        assert!(errors.read_line(&mut line).unwrap() > 0, "{line}");
    }
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    let mut output = String::new();
    run.stdout
        .take()
        .unwrap()
        .read_to_string(&mut output)
        .unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    for text in [line, rest, output] {
        assert!(
            !text.contains(|c: char| c.is_control() && c != '\n'),
            "{text:?}"
        );
    }
}

#[test]
fn what_was_skipped_is_a_line_for_each_reason_unless_all_is_to_be_told() {
    let check = [
        "check",
        "echo",
        "--only",
        "datagram/*",
        "--only",
        "polite/exchange",
    ];
    let run = sockdrill(&check).run().code(0);
    let reasons: Vec<_> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("skip"))
        .collect();
    let told = reasons
        .iter()
        .map(|line| line.strip_prefix("skipped       ").unwrap());
    let counts = told.map(|line| {
        line.split_once(" check")
            .unwrap()
            .0
            .parse::<usize>()
            .unwrap()
    });
    let skipped: usize = counts.sum();
    let words = format!(" {skipped} skipped");
    assert!(
        skipped > reasons.len() && run.stdout.contains(&words),
        "{}",
        run.stdout
    );
    let run = sockdrill(&check).arg("-v").run().code(0);
    let each = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("skip          datagram/"));
    assert_eq!(each.count(), skipped, "{}", run.stdout);
}

#[test]
fn last_line_says_where_reports_are() {
    let folder = tempfile::tempdir().unwrap();
    let [json, html] = ["r.json", "r.html"].map(|name| folder.path().join(name));
    let run = sockdrill(&["check", "echo", "--only", "polite/exchange"]);
    let run = run
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .run()
        .code(0);
    let reports = format!("reports: {}, {}", json.display(), html.display());
    let mut lines = run.stdout.lines().rev();
    assert_eq!(lines.next(), Some(&*reports), "{run:?}");
    assert!(lines.next().unwrap().starts_with("1 passed, "), "{run:?}");
}

/// The events that a file has, each of which is a line.
fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[test]
fn events_of_the_output_are_alone_there() {
    let run = sockdrill(&[
        "run",
        "fixtures/scenarios/reset/mid-request.drill:4",
        "--events",
        "-",
    ]);
    let run = run.run().code(0).complains("pass          mid-request::");
    let events = events(&run.stdout);
    assert_eq!(
        kinds(&events),
        ["run-started", "check-started", "result", "run-ended"]
    );
    assert_eq!(events[0]["planned"], 1);
    assert_eq!(events[2]["check"]["verdict"], "pass");
    assert_eq!(events[3]["exit_code"], 0);
}

/// What a descriptor of ours gets that is a pipe.
fn through_a_pipe(words: &[&str]) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_sockdrill"));
    let script = format!("\"$0\" {} 3>&1 >/dev/null 2>&1", words.join(" "));
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn events_go_to_a_descriptor_too_and_rounds_are_told_apart() {
    let words = [
        "check",
        "echo",
        "--only",
        "polite/exchange",
        "--repeat",
        "2",
        "--events",
        "/dev/fd/3",
    ];
    let events = events(&through_a_pipe(&words));
    let started = ["check-started", "result"];
    let wanted = [&["run-started"][..], &started, &started, &["run-ended"]].concat();
    assert_eq!(kinds(&events), wanted);
    let rounds: Vec<_> = events.iter().map(|event| event["round"].as_u64()).collect();
    assert_eq!(rounds, [Some(1), Some(1), Some(1), Some(2), Some(2), None]);
}

#[test]
fn events_end_with_an_end_whatever_the_run_comes_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let last = |run: Run| {
        let events = events(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(kinds(&events)[0], "run-started", "{run:?}");
        let last = events.last().unwrap().clone();
        assert_eq!(last["event"], "run-ended");
        assert_eq!(last["exit_code"], run.code.unwrap());
        last
    };
    let run = |words: &[&str]| {
        sockdrill(&["check", "--events"])
            .arg(&file)
            .args(words)
            .run()
    };
    let broken = last(run(&["--", "false"]).code(3));
    assert!(
        broken["error"].as_str().unwrap().contains("false"),
        "{broken}"
    );
    last(run(&["no-such-server"]).code(2));
    last(run(&["echo", "--only", "no/such"]).code(4));
    let nowhere = sockdrill(&["check", "echo", "--events", "/no/such/folder/file"]);
    nowhere
        .run()
        .code(3)
        .complains("--events /no/such/folder/file");
}

#[test]
fn events_come_while_the_run_lasts_also_of_one_that_is_interrupted() {
    let (_folder, mut words) = hushed();
    words.splice(1..1, ["--events".to_owned(), "-".to_owned()]);
    let mut run = Command::new(env!("CARGO_BIN_EXE_sockdrill"))
        .args(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let mut seen = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let is_slow = |event: &Value| event["event"] == "slow" && event["id"] == "hush::a silence ends";
    let slow = seen.find(is_slow).unwrap();
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let events: Vec<Value> = seen.collect();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(slow["waits_for"], "alice waits for \"hush\"");
    assert_eq!(slow["step"], "alice expect \"hush\" within 5m");
    let last = events.last().unwrap();
    assert_eq!(
        (&last["exit_code"], &last["interrupted"]),
        (&json!(130), &json!(true))
    );
}
