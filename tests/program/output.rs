//! What waits for a client that does not read may be too much for a server, which is its choice.

use crate::kit::Run;
use crate::{speaking, verdict};
use rstest::rstest;

const SERVER: &str = "fixtures/external/has_its_output_limit.py";

/// Holds the server in one of its ways to what is promised, and to nothing else.
fn check(how: &str, framing: &str, promise: &str, only: &[&str]) -> Run {
    let (transport, how, address) = match how.strip_prefix("unix ") {
        None => ("tcp", how, "{port}"),
        Some(how) => ("unix", how, "{path}"),
    };
    let profile = format!(
        "transport = \"{transport}\"\nmodel = \"echo\"\nframing = \"{framing}\"\n[promises]\nserves = \"concurrently\"\n{promise}\n"
    );
    let server = ["python3", SERVER, how, address];
    speaking::check(&profile, &speaking::only(only), &server)
}

/// The checks whose clients let output wait.
const LATE: &[&str] = &[
    "partial/slow-reader",
    "partial/stalled-reader",
    "partial/full-duplex",
    "partial/large",
    "crowd/no-crosstalk",
];

/// Whoever writes down what was told is held to it, and keeps it.
#[rstest]
#[case::much("a-mebibyte", "stream")]
#[case::little("little", "stream")]
#[case::behind_what_the_kernel_has("in-good-order", "stream")]
#[case::lines("little", "line")]
#[case::much_of_a_path("unix a-mebibyte", "stream")]
fn limit_of_waiting_output_is_a_choice_which_the_report_names(
    #[case] how: &str,
    #[case] framing: &str,
) {
    let run = check(how, framing, "", LATE).demand(true, "a report");
    let told: Vec<_> = LATE.iter().map(|id| verdict(&run, id)).collect();
    let (_, line) = told[1].rsplit_once("promise ").expect("a line to promise");
    for verdict in &told {
        let is_named = verdict.contains("does not read") || verdict.contains("read none");
        assert!(
            verdict.starts_with("pass") || verdict.starts_with("inconclusive") && is_named,
            "{verdict}"
        );
    }
    let property = format!("property/{framing}");
    let ids = [LATE, &["partial/output-limit", &property]].concat();
    let run = check(how, framing, line, &ids).code(0);
    for id in ids {
        let told = verdict(&run, id);
        assert!(told.starts_with("pass"), "{line}: {id}: {told}");
    }
}

/// No choice is what lets nothing wait at all, keeps the connection, or ends that of a client who reads.
#[rstest]
#[case::full_buffer_is_no_error("takes-full-for-broken", "partial/slow-reader")]
#[case::full_buffer_of_who_stalls("takes-full-for-broken", "partial/stalled-reader")]
#[case::full_buffer_of_who_is_slower("takes-full-for-broken", "partial/tiny-window")]
#[case::full_buffer_of_a_path("unix takes-full-for-broken", "partial/slow-reader")]
#[case::bytes_are_lost("drops-the-rest", "partial/slow-reader")]
#[case::bytes_are_lost_of_a_server_that_is_slow("drops-the-rest-slowly", "partial/slow-reader")]
#[case::what_was_read_counts("counts-for-ever", "partial/full-duplex")]
fn server_that_cannot_wait_for_a_client_has_failed(#[case] how: &str, #[case] id: &str) {
    let told = verdict(&check(how, "stream", "", &[id]).code(1), id);
    assert!(told.starts_with("fail"), "{told}");
}

/// Nor is it one where a limit is promised.
#[rstest]
#[case::none_is_there("has-none", "1MiB", "partial/output-limit")]
#[case::bytes_are_lost("drops-the-rest", "1MiB", "partial/output-limit")]
#[case::it_is_less("a-mebibyte", "8MiB", "partial/stalled-reader")]
#[case::nothing_may_wait("takes-full-for-broken", "1MiB", "partial/stalled-reader")]
#[case::what_was_read_counts("counts-for-ever", "1MiB", "partial/full-duplex")]
fn promise_of_a_limit_of_waiting_output_is_judged(
    #[case] how: &str,
    #[case] limit: &str,
    #[case] id: &str,
) {
    let promise = format!("output-limit = \"{limit}\"");
    let told = verdict(&check(how, "stream", &promise, &[id]).code(1), id);
    assert!(told.starts_with("fail"), "{told}");
}
