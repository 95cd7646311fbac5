use crate::kit::{Run, sockdrill};
use rstest::rstest;
use serde_json::{Value, json};

/// Cases that fail on a server that is right.
fn failing(server: &str, steps: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.drill");
    let text = format!(
        "server: {server}\n\ncase it\n  clients: alice crowd[3]\n\n  alice connect\n{steps}"
    );
    std::fs::write(&file, text).unwrap();
    sockdrill(&["run"]).reporting().arg(&file).run().code(1)
}

fn check(run: &Run) -> &Value {
    &run.report["checks"][0]
}

/// The lines between the reason and the evidence.
fn picture(run: &Run) -> Vec<&str> {
    let lines = run.stdout.lines().skip_while(|line| !line.contains("--> "));
    let lines = lines
        .skip(1)
        .take_while(|line| !line.starts_with("    failed"));
    lines
        .map(|line| line.get(2..).unwrap_or_default())
        .collect()
}

#[rstest]
#[case::another_byte(
    "  alice send \"hello\"\n  alice expect \"HELL0\" within 1s # zero\n",
    &[
        "  |",
        "8 |   alice expect \"HELL0\" within 1s # zero",
        "  |                ^^^^^^^",
        "expected  \"HELL0\"",
        "actual    \"HELLO\"",
        "               ^ byte 4 of 5",
    ]
)]
#[case::bytes_that_are_missing(
    "  alice send \"hel\"\n  alice half-close\n  alice expect \"HELLO\"\n",
    &[
        "  |",
        "9 |   alice expect \"HELLO\"",
        "  |                ^^^^^^^",
        "expected  \"HELLO\"",
        "actual    \"HEL\"",
        "              ^ 2 bytes of 5 missing, from byte 3 on",
    ]
)]
#[case::bytes_in_the_place_of_silence(
    "  alice send \"hello\"\n  alice expect silence\n",
    &[
        "  |",
        "8 |   alice expect silence",
        "  |                ^^^^^^^",
        "expected  silence",
        "actual    \"HELLO\"",
        "           ^ 5 bytes came",
    ]
)]
#[case::an_end_in_the_place_of_bytes(
    "  alice half-close\n  alice expect \"HELLO\"\n",
    &[
        "  |",
        "8 |   alice expect \"HELLO\"",
        "  |                ^^^^^^^",
        "expected  \"HELLO\"",
        "actual    got nothing, then fin",
    ]
)]
#[case::another_status(
    "  server signal TERM\n  server expect exit 3\n",
    &[
        "  |",
        "8 |   server expect exit 3",
        "  |                 ^^^^^^",
        "expected  exit 3",
        "actual    it exited with status 0",
    ]
)]
#[case::the_second_round_of_a_block(
    "  repeat 2\n    alice send \"a\"\n    settle\n    alice expect \"A\"\n    alice send \"b\"\n  end\n",
    &[
        "   |",
        "10 |     alice expect \"A\"",
        "   |                  ^^^ the 2nd time",
        "expected  \"A\"",
        "actual    \"BA\"",
        "           ^ byte 0 of 1",
    ]
)]
fn failed_step_is_pointed_at_with_both_sides(#[case] steps: &str, #[case] shown: &[&str]) {
    let run = failing("uppercase", steps);
    assert_eq!(picture(&run), shown, "{}", run.stdout);
}

#[test]
fn difference_far_inside_of_a_long_payload_is_shown_in_numbers_with_its_place() {
    let run = failing(
        "echo",
        "  alice send pattern 40000B seed 7\n  alice send \"x\"\n  alice expect pattern 64KiB seed 7 within 300ms\n",
    );
    let shown = picture(&run);
    assert!(
        shown[3].starts_with("expected  b5 65 ee 8c 23 89 5d 43 51 "),
        "{shown:#?}"
    );
    assert!(
        shown[4].starts_with("actual    b5 65 ee 8c 23 89 5d 43 78 "),
        "{shown:#?}"
    );
    assert!(shown[5].ends_with("^ byte 40000 of 65536"), "{shown:#?}");
    let difference = &check(&run)["difference"];
    assert_eq!(difference["offset"], 40_000);
    assert_eq!(difference["actual_bytes"], 40_001);
}

#[test]
fn bytes_that_were_lost_are_counted() {
    let run = failing(
        "echo",
        "  alice send \"0123456789abcdefghijklmnopqrstuv\"\n  alice expect \"0123456789---abcdefghijklmnopqrstuv\"\n",
    );
    run.prints("byte 10 of 35: goes on as was owed from byte 13 on, 3 bytes are missing");
}

#[test]
fn event_that_was_not_to_happen_is_marked_also_where_a_crowd_is_told() {
    let run = failing(
        "uppercase",
        "  crowd connect\n  crowd send \"a\"\n  crowd expect \"b\"\n",
    );
    let of = |lines: &Value| -> Vec<String> {
        let lines = lines.as_array().unwrap().iter();
        let lines = lines.filter_map(|line| line.as_str().unwrap().strip_prefix('!'));
        lines.map(str::to_owned).collect()
    };
    let (evidence, transcript) = (of(&check(&run)["evidence"]), of(&check(&run)["transcript"]));
    assert_eq!(evidence.len(), 1, "{evidence:?}");
    assert!(evidence[0].ends_with("< \"A\""), "{evidence:?}");
    assert!(evidence[0].contains("crowd["), "{evidence:?}");
    assert_eq!(transcript, evidence);
}

#[test]
fn place_and_difference_are_fields_of_every_report() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| folder.path().join(name);
    let file = "fixtures/mistaken/wrong-byte.drill";
    let run = sockdrill(&["run", file]).reporting();
    let run = run.arg("--junit").arg(of("report.xml"));
    let run = run.arg("--html").arg(of("report.html")).run().code(1);
    let result = check(&run);
    let at = json!({
        "file": file,
        "line": 9,
        "column": 16,
        "end_column": 25,
        "text": "  alice expect \"HELL0\\n\" within 1s",
    });
    assert_eq!(result["at"], at);
    assert_eq!(result["expected"], "\"HELL0\\n\"");
    let difference = json!({
        "offset": 4,
        "from": 0,
        "expected": "HELL0\\n",
        "actual": "HELLO\\n",
        "expected_bytes": 6,
        "actual_bytes": 6,
    });
    assert_eq!(result["difference"], difference);
    let read = |name: &str| std::fs::read_to_string(of(name)).unwrap();
    let junit = read("report.xml");
    assert!(
        junit.contains(&format!("file=\"{file}\" line=\"9\"")),
        "{junit}"
    );
    let html = read("report.html");
    let rows = "expected  &#34;HELL0\\n&#34;\nactual    &#34;HELLO\\n&#34;\n";
    assert!(html.contains(rows), "{html}");
}

/// Nobody has the scenario of a check at hand.
#[test]
fn check_shows_the_steps_before_the_one_that_failed_and_names_no_file() {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let check_it = [
        "check",
        "--speaks",
        "echo",
        "--only",
        "half-close/after-request",
    ];
    let violate = [
        "serve",
        "echo",
        "--violate",
        "half-close/after-request",
        "--port",
        "{port}",
    ];
    let run = sockdrill(&check_it).reporting().args(["--", program]);
    let run = run.args(violate).run().code(1);
    let run =
        run.prints("  7 |   alice expect \"hello from sockdrill\\n\"\n    |                ^^^^");
    let run = run.prints("  6 |   alice half-close\n");
    let run = run.prints("  more: sockdrill explain half-close/after-request\n");
    let at = &check(&run)["at"];
    let scenario = check(&run)["scenario"].as_str().unwrap();
    assert_eq!(at.get("file"), None);
    let line = scenario
        .lines()
        .nth(at["line"].as_u64().unwrap() as usize - 1);
    assert_eq!(line, at["text"].as_str());
}
