use crate::kit::{Run, Sockdrill, sockdrill};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A case that an echo server passes, and one that it fails.
const CASES: &str = "\
server: echo

case hello comes back
  clients: alice

  alice connect
  alice send \"hello\"
  alice expect \"hello\" within 1s

case hello comes back in capitals
  clients: alice

  alice connect
  alice send \"hello\"
  alice expect \"HELLO\" within 1s
";

/// A folder of these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The program with these words in a folder, which keeps there what has failed.
fn within(folder: &Path, words: &[&str]) -> Sockdrill {
    let mut program = sockdrill(words);
    program.command.current_dir(folder);
    program
        .command
        .env("XDG_STATE_HOME", folder.join(".states"));
    program
}

/// The words in front of each line of a list, or of results, up to its end.
fn first_words(run: &Run) -> Vec<String> {
    let lines = run.stdout.lines().take_while(|line| !line.is_empty());
    let lines = lines.map(|line| line.split("  ").next().unwrap_or_default());
    lines.map(str::to_owned).collect()
}

fn ids(run: &Run) -> Vec<&str> {
    let checks = run.report["checks"].as_array().unwrap().iter();
    checks.map(|check| check["id"].as_str().unwrap()).collect()
}

#[test]
fn folder_is_listed_in_order_without_a_server() {
    let missing = CASES.replace("server: echo", "server: gone.toml");
    let folder = folder(&[
        ("b.drill", &missing),
        ("gone.toml", "command = [\"./gone\"]\n"),
        ("a/one.drill", CASES),
        ("a/target/old.drill", CASES),
        (".git/hidden.drill", CASES),
        ("package.json", "{}"),
    ]);
    let listed = within(folder.path(), &["run", ".", "--list"])
        .run()
        .code(0)
        .prints("a::one::hello comes back in capitals  ./a/one.drill:10\n");
    let expected = [
        "a::one::hello comes back",
        "a::one::hello comes back in capitals",
        "b::hello comes back",
        "b::hello comes back in capitals",
    ];
    assert_eq!(first_words(&listed), expected);
    let json = within(folder.path(), &["run", ".", "--list", "--format", "json"]).run();
    let rows: Value = serde_json::from_str(&json.stdout).unwrap();
    let ids: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["id"])
        .collect();
    assert_eq!(ids, expected);
    assert_eq!(rows[3]["line"], 10);
    assert_eq!(rows[3]["server"], "gone");
}

#[test]
fn folder_is_run_and_one_without_scenarios_is_nothing_selected() {
    let folder = folder(&[("s/a.drill", CASES), ("empty/readme.txt", "")]);
    let run = within(folder.path(), &["run", "s"])
        .reporting()
        .run()
        .code(1);
    assert_eq!(
        ids(&run),
        ["a::hello comes back", "a::hello comes back in capitals"]
    );
    within(folder.path(), &["run", "empty"])
        .run()
        .code(4)
        .complains("there is no scenario file below empty");
    within(folder.path(), &["run", "empty", "--no-tests=pass"])
        .run()
        .code(0);
    sockdrill(&["run"])
        .run()
        .code(2)
        .complains("a folder of them");
}

#[test]
fn cases_are_chosen_by_a_part_of_their_names_or_by_an_expression() {
    let folder = folder(&[("a.drill", CASES), ("b.drill", CASES)]);
    let chosen = |words: &[&str]| {
        let words = [&["run", ".", "--list"], words].concat();
        first_words(&within(folder.path(), &words).run().code(0))
    };
    let capitals = [
        "a::hello comes back in capitals",
        "b::hello comes back in capitals",
    ];
    assert_eq!(chosen(&["--only", "capitals"]), capitals);
    assert_eq!(chosen(&["--only", "b::*in"]), capitals[1..]);
    assert_eq!(
        chosen(&["--skip", "capitals", "--skip", "a::"]),
        ["b::hello comes back"]
    );
    assert_eq!(
        chosen(&["-E", "file(b.drill) & test(/capitals$/)"]),
        capitals[1..]
    );
    assert_eq!(
        chosen(&["-E", "test(=a::hello comes back)"]),
        ["a::hello comes back"]
    );
    assert_eq!(
        chosen(&[
            "-E",
            "none()",
            "-E",
            "all() - file(a)",
            "--only",
            "capitals"
        ]),
        capitals[1..]
    );
    assert_eq!(chosen(&["--partition", "slice:2/4"]), [capitals[0]]);
}

#[test]
fn what_chooses_nothing_says_so() {
    let folder = folder(&[("a.drill", CASES)]);
    let run = |words: &[&str]| within(folder.path(), &[&["run", "."], words].concat()).run();
    run(&["--only", "capitols"])
        .code(4)
        .complains("no case matches --only capitols");
    run(&["--skip", "capitols"])
        .code(2)
        .complains("there is no case `capitols`");
    run(&["-E", "test(x)"])
        .code(4)
        .complains("of 2 cases none is chosen by -E test(x)");
    run(&["-E", "test(x)", "--no-tests=pass"]).code(0);
    run(&["-E", "test(a) | flie(b)"])
        .code(2)
        .complains("did you mean `file`?");
    run(&["-E", "tag(slow)"]).code(4);
    run(&["-E", "family(reset)"])
        .code(2)
        .complains("asked of checks, and these are cases");
    sockdrill(&["check", "echo", "-E", "test(no such)", "--no-tests=pass"])
        .run()
        .code(0);
    sockdrill(&["check", "echo", "-E", "test(no such)"])
        .run()
        .code(4);
}

#[test]
fn checks_are_listed_as_they_are_chosen() {
    let words = ["check", "--list", "-E", "family(reset) & test(#*/m*)"];
    let listed = sockdrill(&words).run().code(0);
    assert_eq!(
        first_words(&listed),
        ["reset/mid-request", "reset/mid-reply", "reset/many"]
    );
    let words = [
        "check",
        "--list",
        "--format=json",
        "--only",
        "reset/mid-request",
    ];
    let rows: Value = serde_json::from_str(&sockdrill(&words).run().code(0).stdout).unwrap();
    assert_eq!(rows[0]["id"], "reset/mid-request");
    assert!(rows[0]["requirement"].is_string());
}

#[test]
fn checks_are_run_as_an_expression_chooses_them() {
    let words = [
        "check",
        "echo",
        "-E",
        "test(=polite/exchange) | test(=reset/mid-request)",
    ];
    let run = sockdrill(&words)
        .args(["--skip", "reset"])
        .reporting()
        .run()
        .code(0);
    assert_eq!(ids(&run), ["polite/exchange"]);
}

/// How many results have this doubt.
fn doubts(run: &Run, doubt: &str) -> usize {
    let checks = run.report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["doubt"] == doubt).count()
}

#[test]
fn run_that_fails_fast_begins_nothing_more() {
    // While the first failures are made sure of some others begin, which come to their end.
    let files: Vec<String> = (0..12).map(|n| format!("{n}.drill")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), CASES)).collect();
    let folder = folder(&files);
    let words = ["run", ".", "--jobs", "1", "--only", "capitals"];
    let run = |more: &[&str]| {
        within(folder.path(), &words)
            .args(more)
            .reporting()
            .run()
            .code(1)
    };
    let fast = run(&["--fail-fast"]).prints("of 12 cases, since enough had failed");
    assert!(doubts(&fast, "enough-failed") > 0);
    let all = run(&["--max-fail", "all"]);
    assert_eq!(all.report["summary"]["fail"], 12);
    let ample = run(&["--max-fail", "12"]);
    assert_eq!(doubts(&ample, "enough-failed"), 0);
    within(folder.path(), &["run", ".", "--max-fail", "0"])
        .run()
        .code(2);
    within(
        folder.path(),
        &["run", ".", "--fail-fast", "--no-fail-fast"],
    )
    .run()
    .code(2);
}

/// The command of an echo server that breaks a check.
fn echo_that_breaks(check: &str) -> [&str; 7] {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    [
        program,
        "serve",
        "echo",
        "--violate",
        check,
        "--port",
        "{port}",
    ]
}

#[test]
fn checks_that_fail_fast_leave_the_others_and_the_observations_out() {
    let words = [
        "check",
        "--speaks",
        "echo",
        "--fail-fast",
        "--jobs",
        "1",
        "--",
    ];
    let server = echo_that_breaks("reset/mid-request");
    let run = sockdrill(&words[..6])
        .reporting()
        .arg("--")
        .args(server)
        .run()
        .code(1);
    assert!(doubts(&run, "enough-failed") > 10, "{run:?}");
    let observed = run.report["observations"].as_object().unwrap().values();
    let mut observed = observed.filter_map(Value::as_str);
    assert!(observed.any(|value| value.contains("the run was over before")));
}

/// An echo server that counts its starts and answers in capitals at these, counted from 0.
const SOMETIMES: &str = "\
import os, socket, sys
file = sys.argv[2]
n = os.path.getsize(file) if os.path.exists(file) else 0
open(file, 'a').write('x')
with socket.create_server(('127.0.0.1', int(sys.argv[1]))) as s:
    while True:
        c, _ = s.accept()
        while True:
            try:
                data = c.recv(1000)
            except OSError:
                break
            if not data:
                break
            c.sendall(data.upper() if str(n) in sys.argv[3].split(',') else data)
        c.close()
";

/// A run of one case on a server that answers wrongly at these starts.
fn sometimes(starts: &str, options: &[&str]) -> (Run, TempDir) {
    let case = CASES.split("case ").nth(1).unwrap();
    let folder = folder(&[
        ("a.drill", &format!("case {case}")),
        ("server.py", SOMETIMES),
    ]);
    let server = ["--", "python3", "server.py", "{port}", "count", starts];
    // Starts are counted in a file of the host.
    let words = [
        "run",
        "a.drill",
        "--isolation",
        "host",
        "--jobs",
        "1",
        "--junit",
        "r.xml",
    ];
    let run = within(folder.path(), &words)
        .args(["--html", "r.html", "--artifacts", "found"])
        .args(options)
        .reporting()
        .args(server);
    (run.run(), folder)
}

#[test]
fn what_passes_when_it_is_tried_again_is_flaky_in_every_report() {
    let (run, folder) = sometimes("0,1,2", &["--retries", "2"]);
    let run = run
        .code(0)
        .prints("flaky         a::hello comes back")
        .prints("(failed 1 of 2 tries)")
        .prints("failed 3 of 3")
        .prints("repeat: ")
        .prints("0 passed, 0 failed, 0 inconclusive, 0 skipped, 1 flaky");
    let check = &run.report["checks"][0];
    assert_eq!(check["verdict"], "flaky");
    assert_eq!(check["tries"]["times"], 2);
    assert_eq!(check["cause"]["kind"], "step-failed");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(
        read("r.xml").contains("<flakyFailure "),
        "{}",
        read("r.xml")
    );
    assert!(!read("r.xml").contains("<failure "));
    assert!(read("r.html").contains("class=\"flaky\""));
    assert!(
        folder
            .path()
            .join("found/a--hello-comes-back.drill")
            .is_file()
    );
}

#[test]
fn flaky_fails_where_that_is_wanted() {
    let (run, folder) = sometimes("0", &["--retries", "1", "--flaky=fail"]);
    let run = run
        .code(1)
        .prints("1 flaky")
        .prints("failed 1 of 3 (intermittent)");
    assert_eq!(run.report["flaky_fails"], true);
    let junit = fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(junit.contains("<failure ") && junit.contains("<flakyFailure "));
}

#[test]
fn without_retries_a_failure_that_shows_once_is_one() {
    let (run, _folder) = sometimes("0", &[]);
    let run = run.code(1).prints("failed 1 of 3 (intermittent)");
    assert_eq!(run.report["checks"][0]["tries"], Value::Null);
}

#[test]
fn server_that_ends_is_not_tried_again() {
    let server = echo_that_breaks("reset/mid-request");
    let words = [
        "check",
        "--speaks",
        "echo",
        "--only",
        "reset/mid-request",
        "--retries",
        "3",
    ];
    let run = sockdrill(&words)
        .reporting()
        .arg("--")
        .args(server)
        .run()
        .code(1);
    assert_eq!(run.report["checks"][0]["tries"], Value::Null);
}

#[test]
fn one_failure_among_many_rounds_is_told_with_its_artefact() {
    let (run, folder) = sometimes("3", &["--repeat", "5"]);
    let run = run
        .code(1)
        .prints("(failed 1 of 5 times)")
        .complains("in round 4: fail          a::hello comes back");
    assert_eq!(run.report["checks"][0]["tries"]["failed"], 1);
    assert_eq!(run.report["summary"]["fail"], 1);
    assert!(
        folder
            .path()
            .join("found/a--hello-comes-back.drill")
            .is_file()
    );
    let (run, _folder) = sometimes("1", &["--repeat", "500", "--fail-fast"]);
    assert_eq!(run.code(1).report["checks"][0]["tries"]["times"], 2);
}

#[test]
fn rounds_go_on_for_a_time() {
    let (run, _folder) = sometimes("none", &["--for", "1s"]);
    let run = run.code(0).prints("tried ");
    assert!(run.report["checks"][0]["tries"]["times"].as_u64() > Some(0));
    assert!(run.report["duration_ms"].as_u64() >= Some(1_000));
    sockdrill(&["check", "echo", "--for", "1s", "--repeat", "2"])
        .run()
        .code(2);
}

#[test]
fn checks_are_repeated_too() {
    let words = [
        "check",
        "echo",
        "--only",
        "polite/exchange",
        "--repeat",
        "3",
    ];
    let run = sockdrill(&words)
        .reporting()
        .run()
        .code(0)
        .prints("tried 3 times");
    assert_eq!(run.report["checks"][0]["tries"]["times"], 3);
}

#[test]
fn what_has_failed_is_tried_until_it_passes() {
    let folder = folder(&[("a.drill", CASES), ("b.drill", CASES)]);
    let run = |words: &[&str]| within(folder.path(), words).reporting().run();
    run(&["run", "--last-failed"])
        .code(4)
        .complains("no case has failed here before");
    let all = run(&["run", ".", "--last-failed"]).complains("nothing has failed here before");
    assert_eq!(ids(&all).len(), 4);
    let failed = run(&["run", "--last-failed"]).code(1);
    let capitals = "hello comes back in capitals";
    assert_eq!(
        ids(&failed),
        ["a", "b"].map(|file| format!("{file}::{capitals}"))
    );
    // What is not tried stays as it was.
    run(&["run", "b.drill:3", "a.drill:3"]).code(0);
    assert_eq!(ids(&run(&["run", ".", "--last-failed"])).len(), 2);
    fs::write(
        folder.path().join("a.drill"),
        CASES.replace("HELLO", "hello"),
    )
    .unwrap();
    run(&["run", "--last-failed"]).code(1);
    assert_eq!(
        ids(&run(&["run", "--last-failed"])),
        [format!("b::{capitals}")]
    );
    run(&["run", "a.drill", "--last-failed"])
        .code(4)
        .complains("none of these cases");
}

#[test]
fn checks_that_have_failed_are_tried_alone() {
    let folder = tempfile::tempdir().unwrap();
    let check = |violated: &str, options: &[&str]| {
        let server = echo_that_breaks(violated);
        let run = within(folder.path(), &["check", "--speaks", "echo"]).args(options);
        run.reporting().arg("--").args(server).run()
    };
    let only = ["--only", "polite/exchange", "--only", "reset/mid-request"];
    check("reset/mid-request", &only).code(1);
    let again = check("reset/mid-request", &["--last-failed"]).code(1);
    assert_eq!(ids(&again), ["reset/mid-request"]);
    check("reset/many", &["--last-failed"])
        .code(4)
        .complains("none of these checks");
}

#[test]
fn words_are_coloured_where_that_is_wanted() {
    let folder = folder(&[("a.drill", CASES)]);
    let run = |words: &[&str]| within(folder.path(), &[&["run", "a.drill"], words].concat());
    let green = "\u{1b}[32mpass\u{1b}[0m";
    run(&["--color", "always"]).run().prints(green);
    let mut forced = run(&[]);
    forced.command.env("CLICOLOR_FORCE", "1");
    forced.run().prints(green);
    let mut by_variable = run(&[]);
    by_variable.command.env("SOCKDRILL_COLOR", "always");
    by_variable.run().prints(green);
    for plain in [run(&[]), run(&["--color=never"])] {
        let plain = plain.run();
        assert!(!plain.stdout.contains('\u{1b}'), "{plain:?}");
    }
}
