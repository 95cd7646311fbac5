//! Some servers speak by themselves to clients that are silent, which is their choice where they say the same each time.

use crate::kit::{Run, sockdrill};
use crate::{speaking, verdict};
use rstest::rstest;

const SERVER: &str = "fixtures/external/asks_whether_you_are_there.py";

/// What most of its ways say.
const PING: &str = r"unasked = ['PING :x\r\n']";

/// A check whose client is silent once it has been served, and one whose client has said nothing.
const SILENT: &[&str] = &["timeout/idle-kept", "timeout/frozen-server"];

/// Holds the server in one of its ways to a conversation and a promise more.
fn check_speaking(how: &str, speech: &str, promise: &str, only: &[&str]) -> Run {
    let profile = format!(
        "transport = \"tcp\"\n{speech}[promises]\nserves = \"concurrently\"\nafter-exchange = \"stays-open\"\n\
         idle-timeout = \"none\"\npipelining = \"answers\"\nhalf-close = \"answers\"\n{promise}\n"
    );
    let server = ["python3", SERVER, how, "{port}"];
    speaking::check(&profile, &speaking::only(only), &server)
}

fn check(how: &str, promise: &str, only: &[&str]) -> Run {
    let exchange = "[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n";
    check_speaking(how, exchange, promise, only)
}

/// Whoever writes down what was told is held to it, and keeps it.
#[rstest]
#[case::at_any_time("often", PING)]
#[case::after_a_silence("when-silent", PING)]
#[case::once_served("the-served", PING)]
#[case::with_a_number("counts", r"unasked = ['PING {any}\r\n']")]
#[case::in_two_lines("lines", r"unasked = [': are you\n: still there?\n']")]
#[case::without_a_line("a-space", "unasked = [' ']")]
fn what_is_said_to_who_is_silent_is_a_choice_which_the_report_names(
    #[case] how: &str,
    #[case] line: &str,
) {
    let run = check(how, "", SILENT);
    let told = verdict(&run, "timeout/idle-kept");
    assert!(
        told.starts_with("inconclusive") && told.ends_with(&format!("promise {line}")),
        "{told}"
    );
    let told = verdict(&run, "timeout/frozen-server");
    assert!(told.starts_with("inconclusive"), "{told}");
    check(how, line, SILENT).code(0);
}

/// Nobody takes it for an answer, an end or a disturbance, whatever is done to the server.
#[test]
fn server_that_speaks_often_is_drilled_as_others_are() {
    let exchange = "[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n";
    let families = [
        "polite",
        "half-close",
        "partial/every-cut",
        "partial/straddle",
        "timeout",
        "crowd/parallel",
        "crowd/one-silent",
        "bytes",
        "reset/mid*",
    ];
    check_speaking("often", exchange, PING, &families)
        .code(0)
        .prints("pass          polite/exchange")
        .prints("pass          timeout/silent-crowd")
        .prints("pass          crowd/parallel");
}

/// Nor where all that it answers is known.
#[test]
fn server_that_speaks_often_is_drilled_with_drawn_words_as_others_are() {
    let model = "model = \"ascii-uppercase\"\nframing = \"line\"\n";
    let families = ["partial/slow-reader", "crowd/no-crosstalk", "property"];
    check_speaking("often", model, PING, &families)
        .code(0)
        .prints("pass          partial/slow-reader")
        .prints("pass          crowd/no-crosstalk")
        .prints("pass          property/line");
}

/// A part of an answer may have strayed, what differs from one time to the next is an accident, and a text that is said to be said
/// explains no other.
#[rstest]
#[case::part_of_an_answer("repeats", "")]
#[case::other_words_each_time("rambles", "")]
#[case::another_text("when-silent", r"unasked = ['NOTICE {any}\r\n']")]
#[case::another_text_beside_it("rambles", PING)]
#[case::that_it_says_nothing("when-silent", "unasked = []")]
fn server_that_says_something_else_has_failed(#[case] how: &str, #[case] promise: &str) {
    let told = verdict(
        &check(how, promise, &["timeout/idle-kept"]).code(1),
        "timeout/idle-kept",
    );
    assert!(told.starts_with("fail"), "{told}");
}

/// Plays a case, of one client, on the server in one of its ways.
fn run(how: &str, promise: &str, case: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let [profile, file] = ["asks.toml", "case.drill"].map(|name| folder.path().join(name));
    std::fs::write(
        &profile,
        format!("transport = \"tcp\"\n[promises]\n{promise}\n"),
    )
    .unwrap();
    std::fs::write(&file, format!("case c\n  clients: alice\n\n{case}")).unwrap();
    sockdrill(&[
        "run",
        "--speaks",
        &profile.to_string_lossy(),
        &file.to_string_lossy(),
    ])
    .args(["--", "python3", SERVER, how, "{port}"])
    .run()
}

/// A scenario is played as the profile says that the server speaks.
#[rstest]
#[case::promised(PING, 0)]
#[case::not_promised("", 1)]
fn scenario_passes_over_what_the_server_says_by_itself(#[case] promise: &str, #[case] code: i32) {
    let case = "  alice connect\n  alice expect silence within 1s\n  alice send \"hello\\n\"\n  alice expect \"HELLO\\n\"\n  \
                pause 500ms\n  alice half-close\n  alice expect fin, all bytes first\n";
    run("often", promise, case).code(code);
}

/// What it says by itself is nothing that arrives still of what is missing.
#[test]
fn server_that_asks_on_and_does_not_answer_has_failed() {
    let case = "  alice connect\n  server stop\n  pause 1s\n  server continue\n  pause 300ms\n  alice send \"hello\\n\"\n  \
                alice expect \"HELLO\\n\" within 2s\n";
    run("goes-deaf", PING, case)
        .code(1)
        .prints("alice expected \"HELLO\\n\" within 2s, got nothing");
    run("often", PING, case).code(0);
}
