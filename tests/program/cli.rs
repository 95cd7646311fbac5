use crate::kit::sockdrill;
use crate::marked;
use rstest::rstest;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The arguments of a check that fails at once.
const FAILING: &[&str] = &[
    "check",
    "--speaks",
    "echo",
    "--only",
    "reset/mid-request",
    "--seed",
    "7",
];

/// The server that it fails on.
const BROKEN: &[&str] = &[
    "--",
    env!("CARGO_BIN_EXE_sockdrill"),
    "serve",
    "echo",
    "--violate",
    "reset/mid-request",
    "--port",
    "{port}",
];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn server_that_keeps_its_promises_is_exit_code_0() {
    sockdrill(&["check", "echo", "--only", "polite/exchange"])
        .run()
        .code(0)
        .prints("pass          polite/exchange")
        .prints("1 passed, 0 failed");
}

#[test]
fn broken_requirement_is_exit_code_1_with_evidence_and_a_command_that_repeats_it() {
    let repeat = "/sockdrill check --speaks echo --only reset/mid-request --seed 7 -- ";
    sockdrill(FAILING)
        .args(BROKEN)
        .run()
        .code(1)
        .prints("reset/mid-request: A server survives a reset after any byte of a request.")
        .prints("failed 3 of 3")
        .prints("the server exited with status 1 (wait status)")
        .prints(repeat);
}

#[test]
fn failed_scenario_is_written_as_a_file_that_fails_again() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = folder.path().join("artifacts");
    sockdrill(FAILING)
        .arg("--artifacts")
        .arg(&artifacts)
        .args(BROKEN)
        .run()
        .code(1);
    let file = artifacts.join("reset-mid-request.drill");
    let text = read(&file);
    assert!(text.contains("mallory reset"), "{text}");
    let again = "\n# sockdrill run --speaks echo ";
    assert!(text.contains(again) && text.contains(" -- "), "{text}");
    sockdrill(&["fmt", "--check"]).arg(&file).run().code(0);
    sockdrill(&["run", "--speaks", "echo"])
        .arg(&file)
        .args(BROKEN)
        .run()
        .code(1);
    sockdrill(&["run", "--speaks", "echo"])
        .arg(&file)
        .args(["--", BROKEN[1], "serve", "echo", "--port", "{port}"])
        .run()
        .code(0);
}

/// What a case or a check has failed by is run again by its file alone, from wherever that is.
#[test]
fn failed_scenario_names_its_server_from_the_folder_it_lies_in() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let server = serde_json::to_string(&BROKEN[1..]).unwrap();
    let target = format!("command = {server}\nspeaks = \"echo\"\n");
    write("servers/broken server.toml", &target);
    let case = "server: \"../servers/broken server.toml\"\n\ncase it answers in capitals\n  clients: alice\n\n  \
                alice connect\n  alice send \"abc\"\n  alice expect \"ABC\"\n";
    write("cases/a.drill", case);
    let within = |words: &[&str]| {
        let mut run = sockdrill(words);
        run.command.current_dir(folder.path());
        run.run()
    };
    within(&["run", "cases", "--artifacts", "found/here"]).code(1);
    let server = "servers/broken server.toml";
    let reset = ["--only", "reset/mid-request"];
    within(&[&["check", server, "--artifacts", "found/here"], &reset[..]].concat()).code(1);
    for file in ["a--it-answers-in-capitals.drill", "reset-mid-request.drill"] {
        let file = format!("found/here/{file}");
        let text = read(&folder.path().join(&file));
        let named = "\nserver: \"../../servers/broken server.toml\"\n";
        assert!(text.contains(named), "{text}");
        within(&["fmt", "--check", &file]).code(0);
        within(&["run", &file]).code(1);
    }
    let words = ["run", "cases", "--artifacts", "found"];
    within(&words).code(1);
    sockdrill(&["run"])
        .arg(folder.path().join("found"))
        .run()
        .code(1);
}

#[test]
fn json_report_has_the_fields_of_format_1() {
    let only = ["--only", "polite/exchange", "--only", "datagram/empty"];
    let run = sockdrill(&["check", "echo", "--seed", "7"]).reporting();
    let report = run.args(only).run().code(0).report;
    let mut required = vec![
        "$schema",
        "checks",
        "duration_ms",
        "findings",
        "format",
        "host",
        "isolation",
        "observations",
        "seed",
        "sockdrill",
        "started",
        "summary",
        "target",
    ];
    // Only on hosts that permit no namespace.
    if report["isolation"] == "host" {
        required.push("isolation_reason");
        required.sort_unstable();
    }
    assert_eq!(keys(&report), required);
    assert_eq!(report["format"], 1);
    assert_eq!(report["target"], "echo");
    assert!(
        ["namespace", "host"]
            .map(Value::from)
            .contains(&report["isolation"])
    );
    assert_eq!(report["seed"], 7);
    assert!(report["duration_ms"].is_u64());
    let summary = serde_json::json!({"pass": 1, "fail": 0, "inconclusive": 0, "skip": 1, "known": 0, "warn": 0, "flaky": 0});
    assert_eq!(report["summary"], summary);
    assert!(report["observations"]["close_after_reply"].is_string());
    let [passed, skipped] = report["checks"].as_array().unwrap().as_slice() else {
        panic!("two checks were selected: {report}");
    };
    assert_eq!(
        keys(passed),
        [
            "duration_ms",
            "family",
            "id",
            "place",
            "requirement",
            "scenarios",
            "started_ms",
            "verdict"
        ]
    );
    assert_eq!(passed["id"], "polite/exchange");
    assert_eq!(passed["family"], "polite");
    assert_eq!(passed["verdict"], "pass");
    assert!(passed["requirement"].as_str().unwrap().ends_with('.'));
    assert!(passed["scenarios"].as_u64().unwrap() > 0);
    assert_eq!(
        keys(skipped),
        [
            "duration_ms",
            "family",
            "id",
            "place",
            "reason",
            "requirement",
            "scenarios",
            "started_ms",
            "verdict"
        ]
    );
    assert_eq!(skipped["verdict"], "skip");
    assert_eq!(skipped["reason"], "the server does not take datagrams");
}

#[test]
fn json_report_of_a_failure_has_reason_evidence_and_repeat_command() {
    let run = sockdrill(FAILING).reporting().args(BROKEN).run();
    let report = run.code(1).report;
    assert_eq!(report["summary"]["fail"], 1);
    let check = &report["checks"][0];
    assert_eq!(check["verdict"], "fail");
    assert!(
        check["reason"]
            .as_str()
            .unwrap()
            .contains("exited with status 1"),
        "{check}"
    );
    assert!(
        check["evidence"]
            .as_array()
            .unwrap()
            .iter()
            .all(Value::is_string)
    );
    assert_eq!(check["evidence"][0], "failed 3 of 3");
    let reproduce = check["reproduce"].as_str().unwrap();
    let called = concat!(env!("CARGO_BIN_EXE_sockdrill"), " check ");
    assert!(
        reproduce.starts_with(called) && reproduce.contains("--seed 7"),
        "{reproduce}"
    );
    assert!(
        check["scenario"].as_str().unwrap().starts_with("case "),
        "{check}"
    );
}

#[test]
fn junit_report_has_a_case_a_check_and_no_raw_markup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.xml");
    sockdrill(FAILING)
        .arg("--junit")
        .arg(&file)
        .args(BROKEN)
        .run()
        .code(1);
    let text = read(&file);
    assert!(text.starts_with("<?xml"), "{text}");
    let case = "<testcase name=\"reset/mid-request\" classname=\"reset\"";
    assert!(
        text.contains(case) && text.contains("failures=\"1\""),
        "{text}"
    );
    assert!(text.contains("mallory &gt; &quot;h&quot;"), "{text}");
}

#[test]
fn run_has_a_json_report_with_a_case_in_the_place_of_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(&file, TWO_CASES).unwrap();
    let run = sockdrill(&["run"]).reporting().arg(&file).run();
    let report = run.code(0).report;
    assert_eq!(report["format"], 1);
    assert_eq!(report["checks"][0]["id"], "talk::a word");
    assert_eq!(report["checks"][1]["id"], "talk::another word");
}

const TWO_CASES: &str = "\
server: echo

case a word
  clients: alice

  alice connect
  alice send \"one\"
  alice expect \"one\"

case another word
  clients: alice

  alice connect
  alice send \"two\"
  alice expect \"two\"
";

#[test]
fn file_with_a_line_addresses_the_case_that_the_line_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(&file, TWO_CASES).unwrap();
    sockdrill(&["run", &format!("{}:14", file.display())])
        .run()
        .code(0)
        .prints("1 passed")
        .prints("talk::another word");
    sockdrill(&["run", &format!("{}:1", file.display())])
        .run()
        .code(4);
}

#[test]
fn failing_case_shows_what_was_expected_and_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(
        &file,
        TWO_CASES.replace("expect \"two\"", "expect \"three\""),
    )
    .unwrap();
    sockdrill(&["run"])
        .arg(&file)
        .run()
        .code(1)
        .prints("alice expected \"three\", got \"two\"")
        .prints("talk.drill:15");
}

#[test]
fn verbose_run_prints_every_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(&file, TWO_CASES).unwrap();
    sockdrill(&["run", "--verbose"])
        .arg(&file)
        .run()
        .code(0)
        .prints("alice > \"one\"")
        .prints("alice < \"one\"");
}

#[test]
fn misspelt_step_is_shown_with_a_caret_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(&file, TWO_CASES.replace("alice connect", "alice conect")).unwrap();
    sockdrill(&["run"])
        .arg(&file)
        .run()
        .code(2)
        .complains("talk.drill:6:9")
        .complains("^^^^^^ did you mean `connect`?");
}

#[rstest]
#[case::profile(&["check", "--speaks", "nonesuch", "--", "true"], "there is no profile `nonesuch`")]
#[case::target(&["check", "nonesuch"], "there is no target `nonesuch`")]
#[case::server(&["serve", "nonesuch"], "there is no reference server `nonesuch`")]
#[case::profile_that_is_nearly_one(&["check", "--speaks", "ehco", "--", "true"], "; did you mean `echo`?")]
#[case::target_that_is_nearly_one(&["check", "ehco"], "; did you mean `echo`?")]
#[case::server_that_is_nearly_one(&["serve", "ehco"], "; did you mean `echo`?")]
#[case::check_that_is_nearly_one(&["explain", "reset/mid-reqest"], "; did you mean `reset/mid-request`?")]
#[case::check(&["explain", "nonesuch"], "there is no check `nonesuch`")]
#[case::counterexample(&["serve", "uppercase", "--violate", "reset/mid-request"], "serve echo --violate reset/mid-request")]
#[case::nothing_to_check(&["check"], "sockdrill check -- ./server --port {port}")]
#[case::target_and_command(&["check", "echo", "--", "true"], "give one of a TARGET")]
#[case::option(&["check", "echo", "--nonesuch"], "--nonesuch")]
fn what_does_not_exist_is_exit_code_2_with_what_to_write(
    #[case] arguments: &[&str],
    #[case] message: &str,
) {
    sockdrill(arguments).run().code(2).complains(message);
}

#[test]
fn program_tells_what_it_is_about_where_it_is_asked_to_and_nothing_else() {
    let run = |level: Option<&str>| {
        let mut run = sockdrill(&["run", "fixtures/mistaken/wrong-byte.drill"]);
        run.command.env_remove("SOCKDRILL_LOG");
        level.map(|level| run.command.env("SOCKDRILL_LOG", level));
        run.run()
    };
    let silent = run(None).code(1);
    assert_eq!(silent.stderr, "");
    let told = run(Some("debug")).code(1);
    for part in [
        "case{id=\"wrong-byte::a zero for an O\"}",
        "server starts target=",
        "StepBegan",
    ] {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
    assert!(!told.stderr.contains("HELLO"), "{}", told.stderr);
    assert!(run(Some("trace")).stderr.contains("HELLO"));
    run(Some("loud")).code(2).complains("there are off, error,");
}

#[test]
fn malformed_profile_is_exit_code_2_with_its_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.toml");
    std::fs::write(&file, "transport = \"carrier pigeon\"\n").unwrap();
    sockdrill(&["check", "--speaks", &file.to_string_lossy(), "--", "true"])
        .run()
        .code(2)
        .complains("odd.toml")
        .complains("carrier pigeon");
}

#[test]
fn malformed_target_is_exit_code_2_with_its_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("odd.toml");
    std::fs::write(&file, "command = [\"true\"]\ncomand = 1\n").unwrap();
    sockdrill(&["check", &file.to_string_lossy()])
        .run()
        .code(2)
        .complains("odd.toml")
        .complains("comand");
}

#[test]
fn selection_of_nothing_is_exit_code_4() {
    sockdrill(&["check", "echo", "--only", "nonesuch"])
        .run()
        .code(4)
        .complains("--only nonesuch")
        .complains("sockdrill list checks");
    sockdrill(&["check", "echo", "--only", "reset", "--skip", "reset/*"])
        .run()
        .code(4);
}

#[test]
fn skipped_checks_are_not_run() {
    let run = sockdrill(&[
        "check", "echo", "--only", "bytes", "--skip", "*/nul", "--jobs", "1",
    ])
    .run()
    .code(0)
    .prints("bytes/invalid-utf8");
    assert!(!run.stdout.contains("bytes/nul"), "{run:?}");
}

#[test]
fn fewer_passes_than_min_checks_is_a_failure() {
    sockdrill(&[
        "check",
        "echo",
        "--only",
        "polite/exchange",
        "--min-checks",
        "1",
    ])
    .run()
    .code(0);
    sockdrill(&[
        "check",
        "echo",
        "--only",
        "polite/exchange",
        "--min-checks",
        "2",
    ])
    .run()
    .code(1)
    .prints("1 checks passed, and --min-checks wants 2");
}

#[test]
fn seed_is_printed() {
    sockdrill(&["check", "echo", "--only", "polite", "--seed", "4711"])
        .run()
        .code(0)
        .prints("seed 4711");
}

#[test]
fn missing_binary_is_a_clear_error_with_exit_code_3() {
    sockdrill(&["check", "--", "./no-such-server", "{port}"])
        .run()
        .code(3)
        .complains("starting `./no-such-server`: no such program");
}

#[rstest]
fn server_that_exits_at_once_is_exit_code_3_with_its_status_and_last_words(
    #[values("namespace", "host")] isolation: &str,
) {
    let server = ["sh", "-c", "echo cannot read my settings >&2; exit 78"];
    sockdrill(&["check", "--isolation", isolation, "--"])
        .args(server)
        .run()
        .code(3)
        .complains("the server exited with status 78")
        .complains("cannot read my settings");
}

#[test]
fn server_that_never_listens_is_exit_code_3_with_what_was_awaited_and_for_how_long() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("silent.toml");
    let marker = format!("{}", 1_000_000_000 + std::process::id());
    let text = format!("command = [\"sleep\", \"{marker}\"]\nready-within = \"500ms\"\n");
    std::fs::write(&file, text).unwrap();
    sockdrill(&["check", &file.to_string_lossy()])
        .run()
        .code(3)
        .complains("the server did not listen: any listener of its process tree was awaited for 5")
        .complains("see that {port} is in the right place of the command")
        .complains(format!("command: sleep {marker}"));
    assert_eq!(marked(&marker), Vec::<String>::new());
}

#[test]
fn server_whose_port_is_taken_is_exit_code_3_with_who_has_it() {
    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    let server = [
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
        "--port",
        &port,
    ];
    sockdrill(&["check", "--isolation", "host", "--"])
        .args(server)
        .run()
        .code(3)
        .complains(format!(
            "port {port} is taken: process {} ",
            std::process::id()
        ))
        .complains("let the command take any port by writing {port} in it");
}

#[test]
fn server_whose_port_is_taken_outside_does_not_care_in_a_namespace() {
    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = squatter.local_addr().unwrap().port().to_string();
    let server = [
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
        "--port",
        &port,
    ];
    sockdrill(&[
        "check",
        "--isolation",
        "namespace",
        "--speaks",
        "echo",
        "--only",
        "polite",
        "--",
    ])
    .args(server)
    .run()
    .code(0);
}

#[rstest]
#[case::checks("checks", "id", "reset/mid-request")]
#[case::observations("observations", "name", "half_close")]
#[case::servers("servers", "name", "echo")]
#[case::profiles("profiles", "name", "uppercase")]
#[case::steps("steps", "step", "settle")]
#[case::needs("needs", "need", "long request")]
#[case::promises("promises", "name", "pipelining")]
#[case::invariants("invariants", "name", "queues")]
fn lists_are_the_same_in_text_and_json(
    #[case] what: &str,
    #[case] key: &str,
    #[case] member: &str,
) {
    let text = sockdrill(&["list", what]).run().code(0).stdout;
    let json = sockdrill(&["list", what, "--format", "json"]).run().stdout;
    let rows: Vec<Value> = serde_json::from_str(&json).unwrap();
    // What is said of a step stands below it, indented.
    let is_below = |line: &&str| line.starts_with("    ");
    let lines: Vec<_> = text.lines().filter(|line| !is_below(line)).collect();
    assert_eq!(rows.len(), lines.len());
    assert!(rows.iter().any(|row| row[key] == member), "{rows:?}");
    for (row, line) in rows.iter().zip(lines) {
        assert!(line.starts_with(row[key].as_str().unwrap()), "{line}");
    }
    if what == "steps" {
        let below: Vec<_> = text.lines().filter(is_below).map(str::trim).collect();
        let said = rows.iter().flat_map(|row| [&row["about"], &row["example"]]);
        let said: Vec<_> = said.map(|text| text.as_str().unwrap()).collect();
        assert_eq!(below, said);
    }
}

#[test]
fn case_of_a_file_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(&file, TWO_CASES).unwrap();
    let drawn = sockdrill(&["fmt", "--to", "picture"]).arg(&file).run();
    drawn.code(0).prints("│ connect ──").prints("│ must\n");
    assert_eq!(read(&file), TWO_CASES);
}

/// Words of several lines as one line.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_check_is_explained_with_a_picture_and_in_five_languages() {
    for check in sockdrill::catalogue() {
        let broken = format!(
            "serve {} --violate {}",
            check.counterexample.instead_of, check.id
        );
        let run = sockdrill(&["explain", check.id]).run().code(0);
        let text = in_one_line(&run.stdout);
        let has_requirement = text.contains(check.requirement);
        let picture = run.stdout.lines().filter(|line| line.contains('│'));
        let has_picture =
            picture.count() > 1 && run.stdout.contains("│ must") || run.stdout.contains("│ should");
        let run = run
            .demand(has_requirement, "the requirement")
            .demand(has_picture, "the picture")
            .prints("how servers are mended:")
            .prints(broken);
        let languages = ["C", "Python", "Go", "Node.js", "Rust"];
        let run = languages.iter().fold(run, |run, language| {
            run.prints(format!("\nin {language}:\n"))
        });
        let is_command = |line: &&str| line.contains("sockdrill") || line.contains("://");
        let text = run.stdout.clone();
        let mut lines = text.lines().filter(|line| !is_command(line));
        let wide = lines.find(|line| line.chars().count() > 80);
        run.demand(wide.is_none(), &format!("too wide: {wide:?}"));
    }
}

#[test]
fn explanation_shows_the_language_that_is_chosen_and_a_kind_of_defect_a_whole_program() {
    let run = sockdrill(&["explain", "reset/before-reply", "--lang", "go"]).run();
    let run = run.code(0).prints("\nin Go:\n");
    let others = ["\nin C:\n", "\nin Rust:\n"];
    let is_alone = others.iter().all(|other| !run.stdout.contains(other));
    run.demand(is_alone, "one language");
    sockdrill(&["explain", "framing"])
        .run()
        .code(0)
        .prints("uwplse/verdi-raft#53")
        .prints("  partial/straddle\n");
    let whole = sockdrill(&["explain", "framing", "--lang", "python"]).run();
    let whole = whole.code(0).prints("\n    while True:\n");
    let is_clean = !whole.stdout.contains("#:") && !whole.stdout.contains("#-");
    whole.demand(is_clean, "no mark");
    sockdrill(&["explain", "framming"])
        .run()
        .code(2)
        .complains("did you mean `framing`?");
}

/// A mistake that does not break a check in a language is no help to whoever failed it.
#[test]
fn what_is_often_written_is_shown_under_the_checks_that_it_breaks() {
    let mistakes = |check, language| {
        let run = sockdrill(&["explain", check, "--lang", language]).run();
        let run = run.code(0).prints("\n  + ");
        let lines = run.stdout.lines();
        let mistakes = lines.filter_map(|line| line.strip_prefix("  - "));
        (mistakes.collect::<Vec<_>>().join("\n"), run)
    };
    let (decoded, _) = mistakes("bytes/invalid-utf8", "python");
    assert_eq!(decoded.trim(), "send_whole(client, line.decode().encode())");
    let (none, nul) = mistakes("bytes/nul", "python");
    assert_eq!(none, "");
    nul.prints("A NUL ends nothing in Python");
    let (none, own) = mistakes("crowd/own-bytes", "c");
    assert_eq!(none, "");
    own.prints("No mistake that was tried here breaks this check: only what is right is shown.");
    // What breaks it is that the lines are left out.
    let (none, reply) = mistakes("reset/before-reply", "c");
    assert_eq!(none, "");
    let tells = reply.stdout.contains("No mistake");
    reply.demand(!tells, "the signal is what matters");
}

#[test]
fn explanation_is_coloured_where_that_is_wished_and_plain_otherwise() {
    let plain = sockdrill(&["explain", "reset/before-reply"]).run();
    let plain = plain.demand(true, "it runs");
    assert!(!plain.stdout.contains('\x1b'));
    let coloured = sockdrill(&["--color", "always", "explain", "reset/before-reply"]).run();
    coloured
        .code(0)
        .prints("\x1b[31m  - ")
        .prints("\x1b[32m  + ");
}

/// What an explanation says is the command of this check alone does what it says.
#[test]
fn commands_of_an_explanation_do_what_is_said_of_them() {
    for id in ["half-close/after-request", "local/stale-path"] {
        let run = sockdrill(&["explain", id]).run().code(0);
        let commands = run.stdout.lines().map(str::trim);
        let checks = commands.filter_map(|line| line.strip_prefix("sockdrill "));
        let checks: Vec<_> = checks.filter(|line| line.starts_with("check ")).collect();
        assert_eq!(checks.len(), 2, "{checks:?}");
        for (line, code) in checks.into_iter().zip([0, 1]) {
            let words = line.replace(
                "-- sockdrill",
                concat!("-- ", env!("CARGO_BIN_EXE_sockdrill")),
            );
            let words: Vec<_> = words.split(' ').collect();
            sockdrill(&words).run().code(code).prints(id);
        }
    }
}

#[test]
fn fmt_formats_in_place_and_check_tells_what_it_would_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.drill");
    std::fs::write(
        &file,
        TWO_CASES.replace("  alice connect", "alice   connect   # hello"),
    )
    .unwrap();
    sockdrill(&["fmt", "--check"])
        .arg(&file)
        .run()
        .code(1)
        .prints("talk.drill is not formatted");
    assert!(read(&file).contains("alice   connect"));
    sockdrill(&["fmt"]).arg(&file).run().code(0);
    assert!(read(&file).contains("  alice connect"), "{}", read(&file));
    assert!(read(&file).contains("# hello"), "{}", read(&file));
    sockdrill(&["fmt", "--check"]).arg(&file).run().code(0);
}

#[test]
fn scenario_as_json_runs_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (drill, json) = (
        folder.path().join("talk.drill"),
        folder.path().join("talk.json"),
    );
    std::fs::write(&drill, TWO_CASES).unwrap();
    let printed = sockdrill(&["fmt", "--to", "json"]).arg(&drill).run();
    std::fs::write(&json, printed.stdout).unwrap();
    sockdrill(&["run"])
        .arg(&json)
        .run()
        .code(0)
        .prints("2 passed");
}

#[test]
fn scenario_files_of_the_repository_are_formatted() {
    let files = std::fs::read_dir("fixtures/scenarios").unwrap().flatten();
    let files = files.flat_map(|topic| std::fs::read_dir(topic.path()).unwrap().flatten());
    let files = files.map(|file| file.path());
    // Targets and their servers may stand beside the scenarios that are about them.
    let is_drill = |file: &PathBuf| file.extension().is_some_and(|ext| ext == "drill");
    let files: Vec<_> = files.filter(is_drill).collect();
    assert!(!files.is_empty());
    sockdrill(&["fmt", "--check"]).args(files).run().code(0);
}

#[test]
fn doctor_says_what_this_host_permits() {
    sockdrill(&["doctor"])
        .run()
        .code(0)
        .prints("host: servers can run in it");
}

#[test]
fn reader_that_goes_away_is_no_error() {
    let command = format!(
        "{} list checks | head -n 1",
        env!("CARGO_BIN_EXE_sockdrill")
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn finished_run_leaves_nothing_behind() {
    let port_marker = format!("sockdrill-marker-{}", std::process::id());
    let program = env!("CARGO_BIN_EXE_sockdrill");
    // The marker is an argument of the shell, which stays beside the server.
    let server = format!("{program} serve echo --port \"$1\" & wait");
    let run = sockdrill(&["check", "--speaks", "echo", "--only", "reset/*", "--"])
        .args(["sh", "-c", &server, &port_marker, "{port}"])
        .run();
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    assert_eq!(marked(&port_marker), Vec::<String>::new());
}
