use crate::kit::sockdrill;
use serde_json::Value;

/// Runs one check and returns its part of the report.
fn check(id: &str, arguments: &[&str]) -> Value {
    let check = sockdrill(&["check", "--only", id]);
    let run = check.reporting().args(arguments).run();
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    run.report["checks"][0].clone()
}

#[test]
fn check_that_cuts_everywhere_says_so() {
    for id in [
        "partial/every-cut",
        "partial/byte-by-byte",
        "reset/mid-request",
        "half-close/mid-request",
    ] {
        let coverage = &check(id, &["echo"])["coverage"];
        assert_eq!(coverage["cut_points"], 20, "{id}: {coverage}");
        assert_eq!(coverage["of"], 20, "{id}: {coverage}");
        assert_eq!(coverage["text"], "cut points 1..20 of 20");
    }
}

#[test]
fn check_that_cuts_nothing_has_no_coverage() {
    assert_eq!(check("polite/exchange", &["echo"])["coverage"], Value::Null);
}

#[test]
fn sample_of_a_long_request_is_counted_and_a_deep_run_leaves_no_cut_out() {
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("long.toml");
    let request = "x".repeat(300);
    let text =
        format!("transport = \"tcp\"\n[[exchange]]\nsend = '{request}'\nreply = '{request}'\n");
    std::fs::write(&profile, text).unwrap();
    let profile = profile.to_string_lossy();
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let server = [
        "--speaks", &*profile, "--", program, "serve", "echo", "--port", "{port}",
    ];
    let quick = &check("reset/mid-request", &server)["coverage"];
    let cut = quick["cut_points"].as_u64().unwrap();
    assert!((12..300).contains(&cut), "{quick}");
    assert_eq!(quick["text"], format!("{cut} of 299 cut points"));
    let deep = &check("reset/mid-request", &[&["--deep"], &server[..]].concat())["coverage"];
    assert_eq!(deep["text"], "cut points 1..299 of 299");
}

#[test]
fn cuts_that_a_failure_kept_from_being_made_are_not_counted() {
    let broken = [
        "--speaks",
        "echo",
        "--",
        env!("CARGO_BIN_EXE_sockdrill"),
        "serve",
        "echo",
    ];
    let violate = ["--violate", "reset/mid-request", "--port", "{port}"];
    let result = check("reset/mid-request", &[&broken[..], &violate].concat());
    assert_eq!(result["verdict"], "fail");
    let cut = result["coverage"]["cut_points"].as_u64().unwrap();
    assert!((1..20).contains(&cut), "{result}");
}

#[test]
fn verbose_check_says_what_it_did() {
    sockdrill(&["check", "echo", "--only", "partial/every-cut", "--verbose"])
        .run()
        .code(0)
        .prints("1 scenario, cut points 1..20 of 20, ")
        .prints(" s\n");
}
