//! The scenario of a check that failed is made smaller before it is shown.

use crate::bundle::Place;
use crate::kit::Run;
use rstest::rstest;

const PROFILE: &str = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"stream\"\n[promises]\nserves = \"concurrently\"\n";

fn server() -> String {
    let here = std::env::current_dir().unwrap();
    let server = here.join("fixtures/external/crosses_from_five_on.py");
    server.to_string_lossy().into_owned()
}

fn check(place: &Place, id: &str, more: &[&str]) -> Run {
    let server = server();
    let words = [
        "check",
        "--speaks",
        "echo.toml",
        "--only",
        id,
        "--artifacts",
        "found",
    ];
    let server = ["--", "python3", &server, "{port}"];
    place.run(&[&words[..], more, &server].concat())
}

#[test]
fn failure_is_shown_as_it_was_found_where_that_is_wanted() {
    let place = Place::with(&[("echo.toml", PROFILE)]);
    let run = check(&place, "reset/mid-request", &["--no-shrink"]).code(1);
    let made_smaller = run.stdout.contains("made smaller");
    run.demand(!made_smaller, "it is shown as it was found");
    let original = place.path("found/reset-mid-request/original.drill");
    assert!(!original.exists(), "nothing is smaller than the first");
}

/// The file that is shown fails the server again, and no other.
#[rstest]
#[case::conversations("reset/mid-request", "show the same as 1 client in 56 steps")]
#[case::members_and_rounds("crowd/no-crosstalk", "show the same as 50 clients in 400 steps")]
fn what_others_say_is_left_out_where_the_same_is_seen_without(
    #[case] id: &str,
    #[case] told: &str,
) {
    let place = Place::with(&[("echo.toml", PROFILE)]);
    check(&place, id, &[])
        .code(1)
        .prints("    made smaller: ")
        .prints(told);
    let name = id.replace('/', "-");
    let [small, original] =
        ["scenario", "original"].map(|file| place.read(&format!("found/{name}/{file}.drill")));
    assert_ne!(small, original);
    assert!(small.len() <= original.len(), "{small}");
    let file = format!("found/{name}.drill");
    let server = server();
    let again = ["run", "--speaks", "echo.toml", &file, "--"];
    place
        .run(&[&again[..], &["python3", &server, "{port}"]].concat())
        .code(1);
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let correct = [program, "serve", "echo", "--port", "{port}"];
    place.run(&[&again[..], &correct].concat()).code(0);
}

/// What those are told for whom there is no room is owed only because others are there.
#[test]
fn those_who_take_all_places_are_not_left_out_of_what_the_next_one_is_told() {
    let limit = "most-connections = { in-all = 5, refused = \"closed\", text = 'full\\n' }\n";
    let place = Place::with(&[("echo.toml", &format!("{PROFILE}{limit}"))]);
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let words = [
        "check",
        "--speaks",
        "echo.toml",
        "--only",
        "crowd/most-connections",
    ];
    let unlimited = ["--", program, "serve", "echo", "--port", "{port}"];
    let run = place.run(&[&words[..], &unlimited].concat()).code(1);
    let told = "expected \"full\\n\"";
    let made_smaller = run.stdout.contains("made smaller");
    run.prints(told).demand(!made_smaller, "nobody is left out");
}
