//! A request may be too long for a server, which is its choice where each that is longer meets the same.

use crate::kit::Run;
use crate::{speaking, verdict};
use rstest::rstest;

const SERVER: &str = "fixtures/external/has_its_longest.py";

/// Holds the server in one of its ways to what is promised, and to nothing else.
fn check(how: &str, promise: &str, only: &[&str]) -> Run {
    let (transport, framing) = match how.starts_with("udp") {
        true => ("udp", "datagram"),
        false => ("tcp", "line"),
    };
    let profile = format!(
        "transport = \"{transport}\"\nmodel = \"echo\"\nframing = \"{framing}\"\n[promises]\nserves = \"concurrently\"\n{promise}\n"
    );
    let server = ["python3", SERVER, how, "{port}"];
    speaking::check(&profile, &speaking::only(only), &server)
}

/// The check that sends payloads of every size.
fn every_size(how: &str) -> &'static str {
    match how.starts_with("udp") {
        true => "datagram/largest",
        false => "partial/large",
    }
}

/// Whoever writes down what was told is held to it, and keeps it.
#[rstest]
#[case::closes("closes", "{ size = \"4097B\", refused = \"closed\" }")]
#[case::holds_no_more("holds", "{ size = \"4097B\", refused = \"closed\" }")]
#[case::says(
    "says",
    "{ size = \"4KiB\", refused = \"answered\", text = 'error: line too long\\n' }"
)]
#[case::says_and_closes(
    "says-it's-over",
    "{ size = \"4KiB\", refused = \"closed\", text = 'that\\x27s too long\\n' }"
)]
#[case::says_how_long(
    "counts",
    "{ size = \"4KiB\", refused = \"answered\", text = 'error: {any} bytes is too long\\n' }"
)]
#[case::cuts("cuts", "{ size = \"4KiB\", refused = \"cut\" }")]
#[case::drops("drops", "{ size = \"4KiB\", refused = \"dropped\" }")]
#[case::cuts_datagrams("udp-cuts", "{ size = \"2KiB\", refused = \"cut\" }")]
#[case::says_of_datagrams(
    "udp-says",
    "{ size = \"2KiB\", refused = \"answered\", text = 'too long' }"
)]
fn request_that_is_too_long_is_a_choice_which_the_report_names(
    #[case] how: &str,
    #[case] line: &str,
) {
    let id = every_size(how);
    let told = verdict(&check(how, "", &[id]), id);
    let line = format!("longest = {line}");
    assert!(
        told.starts_with("inconclusive") && told.ends_with(&format!("promise {line}")),
        "{told}"
    );
    check(how, &line, &[id, "bytes/longest"]).code(0);
}

/// Clients that are drawn say nothing that is too long, and where they do the line to promise is told of them too.
#[rstest]
#[case::unpromised("closes", "", "inconclusive")]
#[case::promised("closes", "longest = \"4097B\"", "pass")]
#[case::unpromised_and_not_exact("holds", "", "inconclusive")]
#[case::promised_and_not_exact("holds", "longest = \"4097B\"", "pass")]
#[case::hardly_anything("closes", "longest = \"22B\"", "pass")]
#[case::datagrams("udp-cuts", "longest = \"2KiB\"", "pass")]
fn drawn_requests_are_no_longer_than_promised(
    #[case] how: &str,
    #[case] promise: &str,
    #[case] expected: &str,
) {
    let id = match how.starts_with("udp") {
        true => "property/datagram",
        false => "property/line",
    };
    let told = verdict(&check(how, promise, &[id]), id);
    assert!(told.starts_with(expected), "{told}");
}

/// No choice is what differs from one length to the next, or leaves the server without an answer to anything else.
#[rstest]
#[case::byte_at_the_end_of_a_buffer("loses")]
#[case::wrong_byte("spoils")]
#[case::some_of_them("some")]
#[case::no_room_for_ever("stalls")]
#[case::death("dies")]
#[case::datagram_with_an_old_end("udp-spoils")]
fn server_that_breaks_at_a_length_has_failed(#[case] how: &str) {
    let id = every_size(how);
    let told = verdict(&check(how, "", &[id]).code(1), id);
    assert!(told.starts_with("fail"), "{told}");
}

#[rstest]
#[case::not_so_long("closes", "{ size = \"8KiB\", refused = \"closed\" }")]
#[case::longer("closes", "{ size = \"4KiB\", refused = \"closed\" }")]
#[case::another_end("closes", "{ size = \"4097B\", refused = \"dropped\" }")]
#[case::no_end("says", "{ size = \"4KiB\", refused = \"closed\" }")]
#[case::another_text("says", "{ size = \"4KiB\", refused = \"answered\", text = 'no\\n' }")]
#[case::cut_otherwise("loses", "{ size = \"4KiB\", refused = \"cut\" }")]
#[case::death("dies", "\"4097B\"")]
#[case::datagram_that_is_not_answered("udp-drops", "{ size = \"2049B\", refused = \"dropped\" }")]
#[case::datagram_that_is_cut("udp-cuts", "{ size = \"2KiB\", refused = \"dropped\" }")]
fn promise_of_the_longest_request_is_judged(#[case] how: &str, #[case] promise: &str) {
    let promise = format!("longest = {promise}");
    let run = check(how, &promise, &["bytes/longest"]).code(1);
    let told = verdict(&run, "bytes/longest");
    assert!(told.starts_with("fail"), "{told}");
}

/// What becomes of a longer one need not be promised.
#[rstest]
#[case::closes("closes", "4097B")]
#[case::drops("udp-drops", "2KiB")]
fn length_can_be_promised_alone(#[case] how: &str, #[case] size: &str) {
    let promise = format!("longest = \"{size}\"");
    check(how, &promise, &["bytes/longest"]).code(0);
}
