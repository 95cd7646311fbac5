//! An address may be turned away for a while for what has come from it, which is a server's choice where others are served.

use crate::kit::{Run, sockdrill};
use crate::{speaking, verdict};
use rstest::rstest;

const SERVER: &str = "fixtures/external/turns_an_address_away.py";

/// Holds the server in one of its ways to what is promised of penalties.
fn check(how: &str, promise: &str, arguments: &[&str]) -> Run {
    let profile = format!(
        "transport = \"tcp\"\n[[exchange]]\nsend = 'hello\\n'\nreply = 'HELLO\\n'\n[promises]\n\
         serves = \"concurrently\"\nafter-exchange = \"stays-open\"\n{promise}\n"
    );
    let arguments = [&["--strict"], arguments].concat();
    speaking::check(&profile, &arguments, &["python3", SERVER, how, "{port}"])
}

const AN_ADDRESS: &str = "penalties = \"an-address\"";

/// The report tells the line that promises it, and whoever writes it down keeps it.
#[rstest]
#[case::for_what_was_said("bans", "bytes/garbage")]
#[case::for_coming_too_often("limits", "crowd/churn")]
#[case::for_coming_at_once("limits", "crowd/parallel")]
#[case::for_resets("limits", "reset/after-connect")]
fn penalty_of_an_address_is_a_choice_which_the_report_names(#[case] how: &str, #[case] id: &str) {
    let run = check(how, "", &["--only", id]);
    let told = verdict(&run, id);
    assert!(
        told.starts_with("inconclusive") && told.contains(&format!("promise {AN_ADDRESS}")),
        "{told}"
    );
    let run = check(how, AN_ADDRESS, &["--only", id]).code(0);
    let told = verdict(&run, id);
    assert!(told.starts_with("pass"), "{told}");
}

/// Where everybody is turned away for what one has said, no address of its own helps.
#[rstest]
#[case::nothing_is_promised("punishes-everybody", "")]
#[case::an_address_is_promised("punishes-everybody", AN_ADDRESS)]
#[case::none_is_promised("bans", "penalties = \"none\"")]
fn clients_who_are_turned_away_for_what_others_have_done_are_a_failure(
    #[case] how: &str,
    #[case] promise: &str,
) {
    let run = check(how, promise, &["--only", "bytes/garbage"]).code(1);
    let told = verdict(&run, "bytes/garbage");
    assert!(told.starts_with("fail"), "{told}");
}

/// What a server does of itself to those who come often is seen without any check.
#[rstest]
#[case::limits("limits", "turns away an address", true)]
#[case::bans("bans", "serves an address", false)]
fn address_that_many_come_from_is_observed(
    #[case] how: &str,
    #[case] seen: &str,
    #[case] promises: bool,
) {
    // Observations are left out where few checks are asked for.
    #[rustfmt::skip]
    let rest = ["polite", "reset", "half-close", "partial", "timeout", "time-wait", "backlog", "crowd", "bytes", "address", "property", "syscall"];
    let rest: Vec<_> = rest.iter().flat_map(|glob| ["--skip", glob]).collect();
    let run = check(how, "", &rest).code(0);
    let observed = run.report["observations"]["penalties"].as_str().unwrap();
    assert!(observed.starts_with(seen), "{observed}");
    assert_eq!(observed.ends_with(AN_ADDRESS), promises, "{observed}");
}

/// A server that has but one address to be reached from cannot be held to it.
#[test]
fn penalty_of_an_address_has_no_meaning_where_there_is_only_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("penalties.toml");
    let text = format!(
        "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\n{AN_ADDRESS}\n"
    );
    std::fs::write(&file, text).unwrap();
    let server = env!("CARGO_BIN_EXE_sockdrill");
    sockdrill(&["check", "--speaks", &file.to_string_lossy(), "--"])
        .args([server, "serve", "echo", "--host", "::1", "--port", "{port}"])
        .run()
        .code(2)
        .complains("one for a server on [::1]");
}
