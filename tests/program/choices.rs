//! What a server does not promise is observed, and never held against it.

use crate::kit::{Run, sockdrill};
use crate::{speaking, verdict};
use rstest::rstest;

const SERVER: &str = "fixtures/external/has_its_ways.py";

/// What the server speaks, and what it promises beside.
fn profile(exchange: &str, promises: &str) -> String {
    format!(
        "transport = \"tcp\"\n[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n{exchange}\n[promises]\n\
         serves = \"concurrently\"\nafter-exchange = \"stays-open\"\n{promises}\n"
    )
}

/// Holds the server in one of its ways to what a profile promises.
fn check(how: &str, profile: &str, only: &[&str]) -> Run {
    let arguments = [vec!["--strict"], speaking::only(only)].concat();
    speaking::check(profile, &arguments, &["python3", SERVER, how, "{port}"])
}

const TOGETHER: &[&str] = &["partial/coalesced", "partial/straddle"];

#[rstest]
#[case::greeted_once("greeted-once")]
#[case::in_turns("in-turns")]
fn requests_do_not_come_together_where_pipelining_is_not_promised(#[case] how: &str) {
    let ids = [TOGETHER, &["property/exchange", "timeout/idle-kept"]].concat();
    let run = check(how, &profile("", "idle-timeout = \"none\""), &ids).code(0);
    for id in TOGETHER {
        let verdict = verdict(&run, id);
        assert_eq!(verdict, "skip: pipelining = \"answers\" is not promised");
    }
}

/// Who promises it is held to it.
#[test]
fn server_that_answers_in_turns_breaks_the_promise_of_pipelining() {
    let run = check(
        "in-turns",
        &profile("", "pipelining = \"answers\""),
        TOGETHER,
    );
    let run = run.code(1);
    assert!(
        verdict(&run, "partial/coalesced").starts_with("fail"),
        "{run:?}"
    );
}

#[rstest]
#[case::greeted_once("greeted-once", "does not answer the same request again")]
#[case::in_turns("in-turns", "answers the same request again")]
fn that_an_exchange_can_be_made_again_is_tried(#[case] how: &str, #[case] seen: &str) {
    let run = check(
        how,
        &profile("", "idle-timeout = \"none\""),
        &["polite", "timeout/idle-kept"],
    )
    .code(0);
    let again = run.report["observations"]["answers_again"]
        .as_str()
        .unwrap();
    assert!(again.starts_with(seen), "{again}");
    let kept = verdict(&run, "timeout/idle-kept");
    assert_eq!(kept.starts_with("skip"), how == "greeted-once", "{kept}");
}

#[test]
fn server_that_promises_to_answer_again_is_held_to_it() {
    let run = check(
        "greeted-once",
        &profile("once = false", ""),
        &["partial/one-by-one"],
    )
    .code(1);
    let again = verdict(&run, "partial/one-by-one");
    assert!(again.starts_with("fail"), "{again}");
}

/// The opening comes before each of the cases that are derived from the exchange behind it.
#[test]
fn opening_is_made_once_on_each_connection() {
    let exchanges = "once = true\n[[exchange]]\nsend = 'good day\\n'\nreply = 'GOOD DAY\\n'";
    let promises = "pipelining = \"answers\"\nidle-timeout = \"none\"";
    let ids = [
        "polite",
        "partial",
        "property",
        "timeout/idle-kept",
        "reset/mid-request",
    ];
    check("greeted-once", &profile(exchanges, promises), &ids)
        .code(0)
        .prints("pass          partial/coalesced")
        .prints("pass          partial/one-by-one");
}

/// `{line}` ends with its line, and the report says what each hole took of a reply that does not fit.
#[test]
fn mismatch_tells_what_each_hole_took() {
    let profile = profile(
        "[[exchange]]\nsend = 'a b c\\n'\nreply = '{line} {any}C!\\n'",
        "",
    );
    let run = check("plain", &profile, &["polite"]).code(1);
    let verdict = verdict(&run, "polite/exchange");
    assert!(
        verdict.contains("{line} took \"A\"; {any} took \"B C\\n\""),
        "{verdict}"
    );
}

#[test]
fn hole_that_cannot_end_is_an_error_with_a_caret() {
    let profile = profile("[[exchange]]\nsend = 'a\\n'\nreply = 'A{any}'", "");
    check("plain", &profile, &["polite"])
        .code(2)
        .complains("reply = 'A{any}'\n  |           ^^^^^")
        .complains("nothing tells where {any} ends");
}

/// Who promises nothing about stopping is held to nothing, and what it does is observed.
#[rstest]
#[case::drains("drains", "waits for its client and ends", "waited-for")]
#[case::forks("forks", "ends and has its client served on", "kept")]
#[case::plain("plain", "closes its client and ends", "closed")]
fn how_a_server_stops_is_observed(#[case] how: &str, #[case] seen: &str, #[case] sessions: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ways.toml");
    std::fs::write(&file, profile("", "")).unwrap();
    // Observations are left out where few checks are asked for.
    #[rustfmt::skip]
    let rest = ["polite", "reset", "half-close", "partial", "timeout", "time-wait", "backlog", "crowd", "bytes", "address", "property", "syscall"];
    let run = sockdrill(&["check", "--speaks", &file.to_string_lossy()])
        .args(rest.iter().flat_map(|glob| ["--skip", glob]))
        .reporting()
        .args(["--", "python3", SERVER, how, "{port}"])
        .run()
        .code(0);
    for id in [
        "stop/term-idle",
        "stop/term-idle-client",
        "stop/term-twice",
        "stop/int",
        "stop/sessions",
    ] {
        let verdict = verdict(&run, id);
        assert!(verdict.starts_with("skip"), "{id}: {verdict}");
    }
    let stop = run.report["observations"]["stop"].as_str().unwrap();
    assert!(stop.starts_with(seen), "{stop}");
    assert!(
        stop.contains(&format!("sessions = \"{sessions}\" }}")),
        "{stop}"
    );
}

/// What is promised of those who are connected at the end is held against the server.
#[rstest]
#[case::drains("drains", "waited-for", "pass")]
#[case::drains_for_a_while("drains", "waited-for\", drain = \"10s", "pass")]
#[case::drains_and_should_close("drains", "closed", "fail")]
#[case::drains_and_should_leave("drains", "kept", "fail")]
#[case::forks("forks", "kept", "pass")]
#[case::forks_and_should_close("forks", "closed", "fail")]
#[case::plain("plain", "closed", "pass")]
#[case::plain_and_should_wait("plain", "waited-for", "fail")]
fn what_is_promised_of_sessions_is_judged(
    #[case] how: &str,
    #[case] sessions: &str,
    #[case] expected: &str,
) {
    let stop = format!("stop = {{ within = \"2s\", sessions = \"{sessions}\" }}");
    let run = check(how, &profile("once = false", &stop), &["stop/sessions"]);
    let verdict = verdict(&run, "stop/sessions");
    assert!(verdict.starts_with(expected), "{verdict}");
}

/// The checks for which clients are connected at the same time.
const CROWDS: &[&str] = &[
    "crowd/parallel",
    "crowd/churn",
    "backlog/burst",
    "timeout/silent-crowd",
];

/// What is said of the crowds that did not pass, of which there are some.
fn not_passed(run: &Run) -> Vec<String> {
    let told = CROWDS.iter().map(|id| verdict(run, id));
    let told: Vec<_> = told
        .filter(|verdict| !verdict.starts_with("pass"))
        .collect();
    assert!(!told.is_empty(), "{run:?}");
    told
}

/// A limit that is met by a crowd is found, and the report tells the line that promises it.
#[rstest]
#[case::an_address("five", "{ an-address = 5, refused = \"closed\" }")]
#[case::in_all("full", "{ in-all = 5, refused = \"closed\" }")]
#[case::resets("five-reset", "{ in-all = 5, refused = \"closed\" }")]
#[case::waits("five-wait", "{ in-all = 5, refused = \"waits\" }")]
#[case::waits_for_three("five-sleep", "{ in-all = 5, refused = \"waits\" }")]
fn limit_of_connections_is_no_failure_where_none_is_promised(
    #[case] how: &str,
    #[case] line: &str,
) {
    let run = check(how, &profile("once = false", ""), CROWDS);
    let run = run.demand(true, "a report");
    for verdict in not_passed(&run) {
        let promise = format!("promise most-connections = {line}");
        assert!(
            verdict.starts_with("inconclusive") && verdict.contains(&promise),
            "{verdict}"
        );
    }
}

/// Who promises a limit is not asked for more, and held to it.
#[rstest]
#[case::an_address("five", "{ an-address = 5, refused = \"closed\" }", "pass")]
#[case::in_all(
    "full",
    "{ in-all = 5, refused = \"closed\", text = 'FULL\\n' }",
    "pass"
)]
#[case::resets("five-reset", "{ in-all = 5, refused = \"closed\" }", "pass")]
#[case::waits("five-wait", "{ in-all = 5, refused = \"waits\" }", "pass")]
#[case::waits_for_three("five-sleep", "{ in-all = 5, refused = \"waits\" }", "pass")]
#[case::more("five", "{ an-address = 9, refused = \"closed\" }", "fail")]
#[case::fewer("five", "{ an-address = 4, refused = \"closed\" }", "fail")]
#[case::no_text(
    "five",
    "{ an-address = 5, refused = \"closed\", text = 'FULL\\n' }",
    "fail"
)]
#[case::closes("five", "{ an-address = 5, refused = \"waits\" }", "fail")]
fn limit_of_connections_that_is_promised_is_judged(
    #[case] how: &str,
    #[case] limit: &str,
    #[case] expected: &str,
) {
    let promises = format!("idle-timeout = \"none\"\nmost-connections = {limit}");
    let ids = [CROWDS, &["crowd/most-connections"]].concat();
    let run = check(how, &profile("once = false", &promises), &ids);
    let told = verdict(&run, "crowd/most-connections");
    assert!(told.starts_with(expected), "{told}");
    if expected == "pass" {
        run.code(0);
    }
}

/// Who is let in beyond a limit, and another has to go, is one of the ways to keep it; who stands by is the first to go.
#[rstest]
#[case::nobody_stands_by("oldest-goes", "", TWENTY)]
#[case::one_stands_by("oldest-goes", "idle-timeout = \"none\"", TWENTY)]
#[case::one_of_the_older("older-goes", "", "a profile has no word for it")]
fn place_of_an_older_one_may_go_to_the_next_where_nothing_is_promised(
    #[case] how: &str,
    #[case] promises: &str,
    #[case] advice: &str,
) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let run = check(how, &profile("once = false", promises), CROWDS);
    for verdict in not_passed(&run) {
        assert!(
            verdict.starts_with("inconclusive") && verdict.contains(advice),
            "{verdict}"
        );
    }
}

const TWENTY: &str =
    "promise most-connections = { in-all = 20, refused = \"closed\", drops = \"oldest\" }";

#[rstest]
#[case::as_promised("oldest-goes", 20, "oldest", "pass")]
#[case::fewer("oldest-goes", 21, "oldest", "fail")]
#[case::more("oldest-goes", 19, "oldest", "fail")]
#[case::turns_the_next_away("full", 5, "oldest", "fail")]
#[case::another_than_the_oldest("newest-goes", 20, "oldest", "fail")]
#[case::nobody("plain", 20, "oldest", "fail")]
#[case::place_is_lost("forgets-the-oldest", 20, "oldest", "fail")]
#[case::once("oldest-goes-once", 20, "oldest", "fail")]
#[case::another_too("oldest-and-newest-go", 20, "oldest", "fail")]
#[case::all("all-go", 20, "oldest", "fail")]
#[case::not_the_next("oldest-goes", 20, "all", "fail")]
fn promise_that_the_oldest_goes_is_judged(
    #[case] how: &str,
    #[case] most: u32,
    #[case] drops: &str,
    #[case] expected: &str,
) {
    let limit = format!("{{ in-all = {most}, refused = \"closed\", drops = \"{drops}\" }}");
    let promises = format!("idle-timeout = \"none\"\nmost-connections = {limit}");
    let ids = [CROWDS, &["crowd/most-connections"]].concat();
    let ids = if expected == "pass" {
        &ids[..]
    } else {
        &["crowd/most-connections"]
    };
    let run = check(how, &profile("once = false", &promises), ids);
    let told = verdict(&run, "crowd/most-connections");
    assert!(told.starts_with(expected), "{told}");
    if expected == "pass" {
        run.code(0);
    }
}

/// No more come together than have room, however few that are.
#[test]
fn nobody_comes_beyond_a_small_limit_that_is_promised() {
    let limit = "most-connections = { in-all = 2, refused = \"closed\", text = 'FULL\\n' }";
    let promises = format!("idle-timeout = \"none\"\n{limit}");
    let ids = [
        "property",
        "partial",
        "timeout/drip",
        "crowd/most-connections",
    ];
    let run = check("two", &profile("once = false", &promises), &ids).code(0);
    let told = verdict(&run, "crowd/most-connections");
    assert!(told.starts_with("pass"), "{told}");
}

/// A time-out that closes the oldest is no limit.
#[test]
fn promise_that_the_oldest_goes_is_not_kept_by_a_time_out() {
    let limit = "most-connections = { in-all = 5, refused = \"closed\", drops = \"oldest\" }";
    let promises = format!("idle-timeout = \"20s\"\n{limit}");
    let profile = profile("once = false", &promises);
    let run = check("gives-up", &profile, &["crowd/most-connections"]).code(1);
    let told = verdict(&run, "crowd/most-connections");
    assert!(told.starts_with("fail"), "{told}");
}

/// What no limit explains is a failure.
#[rstest]
#[case::all_go("all-go", "crowd/parallel")]
#[case::starves("starves", "crowd/parallel")]
#[case::forgets_its_places("forgets-five", "crowd/churn")]
#[case::forgets_the_places_of_resets("forgets-resets", "reset/storm")]
fn crowd_that_is_not_served_for_another_reason_is_a_failure(#[case] how: &str, #[case] id: &str) {
    let run = check(how, &profile("", ""), &[id]).code(1);
    let told = verdict(&run, id);
    assert!(told.starts_with("fail"), "{told}");
}

/// Who gives up on a silent client is held to nothing about it where nothing is promised, and to what is.
#[rstest]
#[case::nothing("", "skip")]
#[case::login_timeout("login-timeout = \"500ms\"", "skip")]
#[case::never("idle-timeout = \"none\"", "fail")]
fn time_for_the_first_word_is_a_choice(#[case] promises: &str, #[case] expected: &str) {
    let run = check(
        "hurries",
        &profile("once = false", promises),
        &["timeout/late-send"],
    );
    let told = verdict(&run, "timeout/late-send");
    assert!(told.starts_with(expected), "{told}");
}

/// Whose request trickles in is owed nothing by a server that wants it whole.
#[test]
fn client_whose_request_trickles_in_may_be_shown_out() {
    let run = check("impatient", &profile("", ""), &["timeout/drip"]).code(0);
    assert!(verdict(&run, "timeout/drip").starts_with("pass"), "{run:?}");
}

/// Nothing is held against a server for the time for which it takes no notice of noise, where that is promised.
#[test]
fn noise_may_be_answered_late() {
    check(
        "throttles",
        &profile("", "throttling = \"7s\""),
        &["bytes/garbage"],
    )
    .code(0);
}

/// What `turns_away.py` speaks, and what it promises beside.
fn door(how: &str, promises: &str) -> String {
    let greeting = match how {
        "deferred" => "",
        _ => "speaks-first = true\ngreeting = 'good day\\n'\n",
    };
    format!(
        "transport = \"tcp\"\n{greeting}[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n[promises]\n\
         serves = \"concurrently\"\nafter-exchange = \"closes\"\n{promises}\n"
    )
}

/// Holds a server that turns clients away to what a profile promises.
fn check_door(how: &str, promises: &str, only: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("door.toml");
    std::fs::write(&file, door(how, promises)).unwrap();
    let only = only.iter().flat_map(|glob| ["--only", glob]);
    sockdrill(&["check", "--strict", "--speaks", &file.to_string_lossy()])
        .args(only)
        .reporting()
        .args([
            "--",
            "python3",
            "fixtures/external/turns_away.py",
            how,
            "{port}",
        ])
        .run()
}

/// Clients are held without the exchange that would end them, and a limit that is not exact is one too.
#[rstest]
#[case::exact("exact", "crowd/parallel", "{ in-all = 10, refused = \"closed\" }")]
#[case::early(
    "early",
    "crowd/parallel",
    "{ in-all = 10, refused = \"closed\", drops = \"some\" }"
)]
#[case::deferred(
    "deferred",
    "timeout/silent-crowd",
    "{ in-all = 10, refused = \"closed\" }"
)]
fn limit_that_is_met_before_an_exchange_is_no_failure_where_none_is_promised(
    #[case] how: &str,
    #[case] id: &str,
    #[case] line: &str,
) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let run = check_door(how, "", &[id]);
    let told = verdict(&run, id);
    let promise = format!("promise most-connections = {line}");
    assert!(
        told.starts_with("inconclusive") && told.contains(&promise),
        "{told}"
    );
    // Who writes down what was told is held to it, and keeps it.
    let ids = [id, "crowd/most-connections"];
    check_door(how, &format!("most-connections = {line}"), &ids).code(0);
}

/// A limit is none that is met by a client who is alone.
#[test]
fn server_that_turns_clients_away_whoever_is_there_has_failed() {
    let run = check_door("anyway", "", &["crowd/parallel"]).code(1);
    let told = verdict(&run, "crowd/parallel");
    assert!(told.starts_with("fail"), "{told}");
}

#[rstest]
#[case::more("exact", "{ in-all = 12, refused = \"closed\" }")]
#[case::fewer("exact", "{ in-all = 9, refused = \"closed\" }")]
#[case::some_of_more("early", "{ in-all = 12, refused = \"closed\", drops = \"some\" }")]
#[case::not_each("early", "{ in-all = 11, refused = \"closed\" }")]
fn limit_that_is_met_before_an_exchange_is_judged_where_it_is_promised(
    #[case] how: &str,
    #[case] limit: &str,
) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let promise = format!("most-connections = {limit}");
    let run = check_door(how, &promise, &["crowd/most-connections"]).code(1);
    let told = verdict(&run, "crowd/most-connections");
    assert!(told.starts_with("fail"), "{told}");
}

/// A client that stops in the middle of a request, and one that never comes to its end, are gone in time.
#[rstest]
#[case::in_time("whole-in-a-second", "1s", "pass")]
#[case::too_early("whole-in-a-second", "3s", "fail")]
#[case::each_byte_counts_anew("byte-in-a-second", "1s", "fail")]
#[case::first_request_alone("first-in-a-second", "1s", "fail")]
#[case::never("plain", "1s", "fail")]
fn time_for_a_whole_request_is_judged_where_it_is_promised(
    #[case] how: &str,
    #[case] time: &str,
    #[case] expected: &str,
) {
    let promise = format!("idle-timeout = \"none\"\nrequest-timeout = \"{time}\"");
    let profile = profile("once = false", &promise);
    let run = check(
        how,
        &profile,
        &["timeout/request-closes", "partial", "timeout/drip"],
    );
    let told = verdict(&run, "timeout/request-closes");
    assert!(told.starts_with(expected), "{told}");
    if expected == "pass" {
        run.code(0);
    }
}

/// A client that says nothing, and one that never comes to the end of its first word, are gone in time.
#[rstest]
#[case::in_time("hurries-in-all", "500ms", "pass")]
#[case::too_early("hurries-in-all", "2s", "fail")]
#[case::never("plain", "1s", "fail")]
fn time_for_a_login_is_judged_where_it_is_promised(
    #[case] how: &str,
    #[case] time: &str,
    #[case] expected: &str,
) {
    let promise = format!("idle-timeout = \"none\"\nlogin-timeout = \"{time}\"");
    let profile = profile("once = false", &promise);
    let run = check(how, &profile, &["timeout/login-closes"]);
    let told = verdict(&run, "timeout/login-closes");
    assert!(told.starts_with(expected), "{told}");
}
