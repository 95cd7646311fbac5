use crate::kit::sockdrill;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sockdrill");

/// What a run came to: its exit code, and each verdict with its id.
#[derive(Debug, PartialEq)]
struct Came {
    code: Option<i32>,
    verdicts: Vec<String>,
}

impl Came {
    fn of(output: &Output) -> Self {
        let verdicts = stdout(output);
        let verdicts = verdicts.lines().take_while(|line| !line.is_empty());
        let verdicts = verdicts.map(|line| line.split("  ").take(2).collect::<Vec<_>>());
        let verdicts = verdicts.map(|words| words.join("  "));
        Self {
            code: output.status.code(),
            verdicts: verdicts.collect(),
        }
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Undoes the entities of XML and HTML.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#38;", "&")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// What stands behind `before` on each of its lines, up to `end`.
fn all_behind(text: &str, before: &str, end: &str) -> Vec<String> {
    let parts = text.split(before).skip(1);
    let parts = parts.map(|rest| rest.split(end).next().unwrap_or_default());
    parts.map(str::to_owned).collect()
}

/// The commands that repeat a failure, in each form of a report that has been written into `folder`.
fn commands(output: &Output, folder: &Path) -> Vec<(&'static str, Vec<String>)> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let json: Value = serde_json::from_str(&read("report.json")).unwrap();
    let json = json["checks"].as_array().unwrap().iter();
    let json = json.filter_map(|check| check["reproduce"].as_str().map(str::to_owned));
    let html = all_behind(
        &read("report.html"),
        "<pre class=\"command\" tabindex=\"0\">",
        "</pre>",
    );
    let junit = all_behind(&read("report.xml"), "  repeat: ", "\n");
    let plain = |texts: Vec<String>| texts.iter().map(|text| unescaped(text)).collect();
    vec![
        ("text", all_behind(&stdout(output), "  repeat: ", "\n")),
        ("JSON", json.collect()),
        ("HTML", plain(html)),
        ("JUnit", plain(junit)),
    ]
}

/// Runs the program in a folder, pastes every command that its reports print into a shell there, and compares. Returns
/// one of the commands.
fn repeats(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let (options, rest) = arguments.split_at(1);
    let output = Command::new(program)
        .current_dir(folder)
        .args(options)
        .args([
            "--json",
            "report.json",
            "--junit",
            "report.xml",
            "--html",
            "report.html",
        ])
        .args(rest)
        .output()
        .unwrap();
    let came = Came::of(&output);
    let printed = commands(&output, folder);
    let (_, first) = &printed[0];
    let [command] = first.as_slice() else {
        panic!("one failure and its command: {output:?}");
    };
    for (form, commands) in &printed {
        // What only warns is no failure for JUnit, which says no more of it.
        if *form == "JUnit" && came.code == Some(0) {
            continue;
        }
        assert_eq!(commands, first, "{form}");
    }
    let pasted = Command::new("sh")
        .current_dir(folder)
        .args(["-c", command])
        .output()
        .unwrap();
    assert_eq!(Came::of(&pasted), came, "{command}: {pasted:?}");
    command.clone()
}

/// A server that breaks a check, as it stands behind `--`.
fn broken<'a>(server: &'a str, check: &'a str) -> [&'a str; 8] {
    [
        "--",
        PROGRAM,
        "serve",
        server,
        "--violate",
        check,
        "--port",
        "{port}",
    ]
}

fn checked(options: &[&str], server: &str, check: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["check", "--only", check];
    arguments.extend(options);
    let broken = broken(server, check);
    arguments.extend(broken);
    repeats(folder.path(), PROGRAM, &arguments)
}

#[test]
fn failed_check_is_repeated_by_its_command() {
    let command = checked(
        &["--speaks", "echo", "--seed", "7"],
        "echo",
        "reset/mid-request",
    );
    let expected = "check --speaks echo --only reset/mid-request --seed 7 -- ";
    assert!(
        command.starts_with(&format!("{PROGRAM} {expected}")),
        "{command}"
    );
}

#[test]
fn recommendation_that_fails_a_strict_run_fails_the_repeated_one() {
    let command = checked(
        &["--strict", "--speaks", "echo"],
        "echo",
        "stop/stdout-closed",
    );
    assert!(command.contains(" --strict "), "{command}");
    let command = checked(&["--speaks", "echo"], "echo", "stop/stdout-closed");
    assert!(!command.contains("--strict"), "{command}");
}

#[test]
fn run_on_the_plain_host_is_repeated_there() {
    let options = ["--isolation", "host", "--speaks", "echo"];
    let command = checked(&options, "echo", "reset/mid-request");
    assert!(command.contains(" --isolation host "), "{command}");
}

#[test]
fn drawn_case_is_repeated_with_its_seed_its_number_and_the_saved_ones() {
    let options = [
        "--speaks",
        "echo",
        "--cases",
        "12",
        "--seed",
        "3",
        "--artifacts",
        "cases found",
    ];
    let command = checked(&options, "echo", "property/stream");
    for part in [" --cases 12 ", " --seed 3 ", " --artifacts 'cases found' "] {
        assert!(command.contains(part), "{part}: {command}");
    }
}

/// A case that a server fails which dies of a reset.
const CASE: &str = "\
case a reset
  clients: alice mallory

  mallory connect
  mallory send \"hel\"
  mallory expect taken
  mallory reset
  alice connect
  alice send \"hello\"
  alice expect \"hello\" within 1s
";

/// Writes a file of scenarios into a folder and runs it there.
fn run_file(program: &str, name: &str, text: &str, options: &[&str], server: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), text).unwrap();
    let mut arguments = vec!["run", name];
    arguments.extend(options);
    arguments.extend(server);
    repeats(folder.path(), program, &arguments)
}

#[test]
fn failed_case_is_repeated_on_the_server_of_the_command_line() {
    let broken = broken("echo", "reset/mid-request");
    let command = run_file(PROGRAM, "case.drill", CASE, &[], &broken);
    assert!(command.contains("run case.drill:"), "{command}");
    assert!(command.ends_with(" --port {port}"), "{command}");
}

#[test]
fn failed_case_is_repeated_with_its_profile_seed_and_isolation() {
    let options = ["--speaks", "echo", "--seed", "9", "--isolation", "host"];
    let broken = broken("echo", "reset/mid-request");
    let command = run_file(PROGRAM, "case.drill", CASE, &options, &broken);
    for part in [" --speaks echo ", " --seed 9 ", " --isolation host "] {
        assert!(command.contains(part), "{part}: {command}");
    }
}

#[test]
fn failed_case_of_a_file_that_names_its_server_is_repeated_on_it() {
    let text = format!("server: uppercase\n\n{CASE}");
    let command = run_file(PROGRAM, "case.drill", &text, &[], &[]);
    assert_eq!(command, format!("{PROGRAM} run case.drill:12"));
}

#[test]
fn failed_case_of_a_file_without_lines_is_repeated_by_its_name() {
    let step = |text: &str| {
        format!(
            "\"alice connect\", \"alice send \\\"hi\\\"\", \"alice expect \\\"{text}\\\" within 1s\""
        )
    };
    let case = |name: &str, text: &str| {
        let steps = step(text);
        format!("{{\"name\": \"{name}\", \"clients\": [\"alice\"], \"steps\": [{steps}]}}")
    };
    let cases = [case("a (small) one", "ho"), case("the other", "hi")].join(", ");
    let text = format!("{{\"server\": \"echo\", \"cases\": [{cases}]}}");
    let command = run_file(PROGRAM, "case.json", &text, &["--only", "small"], &[]);
    let expected = r#"--filter-expr "test(=case::a (small\\) one)" case.json"#;
    assert!(command.ends_with(expected), "{command}");
}

#[test]
fn names_that_a_shell_would_take_apart_are_in_quotes() {
    let script = format!(
        "exec \"$0\" serve echo --violate {} --port \"$1\"",
        "reset/mid-request"
    );
    let server = ["--", "sh", "-c", &script, PROGRAM, "{port}"];
    let command = run_file(PROGRAM, "it's a $case;.drill", CASE, &[], &server);
    let name = Command::new("sh")
        .args(["-c", &format!("set -- {command}; printf %s \"$3\"")])
        .output()
        .unwrap();
    let name = String::from_utf8_lossy(&name.stdout).into_owned();
    assert!(
        name.starts_with("it's a $case;.drill:"),
        "{name}: {command}"
    );
}

#[test]
fn program_is_called_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(PROGRAM, folder.path().join("drill")).unwrap();
    let text = format!("server: uppercase\n\n{CASE}");
    std::fs::write(folder.path().join("case.drill"), text).unwrap();
    let command = repeats(folder.path(), "./drill", &["run", "case.drill"]);
    assert!(command.starts_with("./drill run "), "{command}");
}

/// A server on two ports, of which one answers in the wrong way.
const TWO_PORTS: &str = "import socket, threading\n\
    a, b = (socket.create_server(('127.0.0.1', port)) for port in (7101, 7102))\n\
    def serve(s, answer):\n    while True:\n        c, _ = s.accept()\n        c.recv(9); c.sendall(answer); c.close()\n\
    threading.Thread(target=serve, args=(a, b'right'), daemon=True).start()\nserve(b, b'wrong')\n";

#[test]
fn listener_that_was_chosen_is_chosen_again() {
    let folder = tempfile::tempdir().unwrap();
    let target = format!("command = [\"python3\", \"-c\", '''{TWO_PORTS}''']\n");
    std::fs::write(folder.path().join("two.toml"), target).unwrap();
    let text = "server: two.toml\n\ncase one exchange\n  clients: alice\n\n  alice connect\n  alice send \"?\"\n  alice expect \"right\"\n";
    std::fs::write(folder.path().join("case.drill"), text).unwrap();
    let command = repeats(
        folder.path(),
        PROGRAM,
        &["run", "--listen", "7102", "case.drill"],
    );
    assert!(command.contains(" --listen 7102 "), "{command}");
    let mut other = sockdrill(&["run", "--listen", "7101", "case.drill"]);
    other.command.current_dir(folder.path());
    other.run().code(0);
}
