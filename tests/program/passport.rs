use crate::kit::sockdrill;
use rstest::rstest;
use serde_json::Value;

/// Leaves nothing but a check that takes a moment and the passport: with `--only` most of it would be left out.
#[rustfmt::skip]
const FEW: &[&str] = &[
    "--skip", "reset", "--skip", "half-close", "--skip", "partial", "--skip", "timeout", "--skip", "time-wait",
    "--skip", "backlog", "--skip", "crowd", "--skip", "bytes", "--skip", "datagram", "--skip", "address",
    // Whoever skips the whole family skips its observation too.
    "--skip", "stop/term*", "--skip", "stop/int", "--skip", "stop/std*",
    "--skip", "property", "--skip", "syscall", "--skip", "local/stale-path", "--skip", "local/foreign-file", "--skip", "local/passed-descriptors",
];

/// What is observed of a server that `sockdrill serve` runs, or a shell.
fn passport(options: &[&str], speaks: &str, server: &[&str]) -> Value {
    let serve = [env!("CARGO_BIN_EXE_sockdrill"), "serve"];
    let command = match server.first() {
        Some(&"sh") => server.to_vec(),
        _ => [&serve[..], server].concat(),
    };
    let check = sockdrill(&["check", "--speaks", speaks]).reporting();
    let run = check.args(options).arg("--").args(command).run().code(0);
    run.report["observations"].clone()
}

const TAKES_NO_NOTICE: &str = concat!(
    "trap '' HUP; exec ",
    env!("CARGO_BIN_EXE_sockdrill"),
    " serve echo --port $0"
);

#[rstest]
#[case::end("echo", &["echo", "--port", "{port}"], "hup", "was ended by signal 1 (SIGHUP)")]
#[case::no_end("echo", &["sh", "-c", TAKES_NO_NOTICE, "{port}"], "hup", "goes on and serves")]
#[case::end_of_datagrams("udp-echo", &["udp-echo", "--port", "{port}"], "hup", "was ended by signal 1 (SIGHUP)")]
#[case::patient("echo", &["echo", "--port", "{port}"], "idle", "stays open (watched for 2 s)")]
#[case::impatient("echo", &["echo", "--violate", "timeout/idle-kept", "--port", "{port}"], "idle", "closed by the server after 1.")]
#[case::answers("echo", &["echo", "--port", "{port}"], "half_close", "answers, then fin")]
#[case::drops("echo", &["echo", "--violate", "half-close/after-request", "--port", "{port}"], "half_close", "does not answer, then fin")]
#[case::waits_for_the_client("echo", &["echo", "--port", "{port}"], "time_wait", "client")]
#[case::closes_first("banner", &["banner", "--port", "{port}"], "time_wait", "server")]
#[case::closes("banner", &["banner", "--port", "{port}"], "close_after_reply", "fin")]
#[case::says_no_more_than_it_hears("udp-echo", &["udp-echo", "--port", "{port}"], "amplification", "1.00 reply bytes for each request byte")]
#[case::knows_where_it_was_asked("udp-echo", &["udp-echo", "--port", "{port}", "--host", "0.0.0.0"], "reply_source", "the address that was asked")]
#[case::does_not("udp-echo", &["udp-echo", "--violate", "datagram/reply-source", "--port", "{port}"], "reply_source", "127.0.0.1, asked on 127.0.0.2")]
#[case::takes_any_line("line-echo", &["line-echo", "--port", "{port}"], "longest", "answers 4194305 bytes")]
#[case::takes_no_longer_line("line-echo", &["line-idle", "--port", "{port}"], "longest", "answers 65536 bytes, and not 65537; to have it judged, promise longest = \"64KiB\"")]
#[case::asks("line-echo", &["line-idle", "--port", "{port}"], "unasked", "\": are you still there?\\n\" after ")]
#[case::asks_nothing("chat", &["chat", "--port", "{port}"], "unasked", "nothing (watched for 2 s)")]
#[case::holds_back("echo", &["echo", "--port", "{port}"], "output_limit", "reads no more of it")]
#[case::has_a_limit("echo", &["eager", "--port", "{port}"], "output_limit", "ends the connection")]
#[case::has_none("echo", &["echo", "--violate", "partial/backpressure", "--port", "{port}"], "output_limit", "reads all and keeps the replies")]
#[case::holds_back_on_a_path("echo", &["echo", "--path", "{path}"], "output_limit", "reads no more of it")]
#[case::tidy("echo", &["echo", "--path", "{path}"], "path_after_term", "removed")]
#[case::lets_go("echo", &["echo", "--port", "{port}"], "listener_after_end", "goes with its last process")]
#[case::untidy("echo", &["echo", "--violate", "local/stale-path", "--path", "{path}"], "path_after_term", "left behind")]
fn what_a_server_does_is_observed(
    #[case] speaks: &str,
    #[case] server: &[&str],
    #[case] name: &str,
    #[case] value: &str,
) {
    let passport = passport(FEW, speaks, server);
    let seen = passport[name].as_str().unwrap_or_default();
    assert!(seen.starts_with(value), "{name}: {passport:#}");
}

#[test]
fn what_has_no_meaning_for_a_server_is_not_observed() {
    let datagrams = passport(FEW, "udp-echo", &["udp-echo", "--port", "{port}"]);
    for name in [
        "backlog",
        "close_after_reply",
        "half_close",
        "idle",
        "time_wait",
        "path_after_term",
    ] {
        assert_eq!(datagrams[name], Value::Null, "{datagrams:#}");
    }
}

#[test]
fn few_checks_cost_no_server_for_the_passport() {
    let passport = passport(&["--only", "polite"], "echo", &["echo", "--port", "{port}"]);
    assert_eq!(passport["close_after_reply"], "stays open");
    assert_eq!(
        passport["isolation"].as_str().map(str::is_empty),
        Some(false)
    );
    assert_eq!(passport["idle"], Value::Null, "{passport:#}");
}

#[test]
fn observation_that_is_skipped_is_not_made() {
    let options = [FEW, &["--skip", "stop/hup*"]].concat();
    let passport = passport(&options, "echo", &["echo", "--port", "{port}"]);
    assert_eq!(passport["hup"], Value::Null, "{passport:#}");
    assert_eq!(passport["time_wait"], "client");
}

#[test]
fn server_that_does_not_start_again_is_not_observed_and_the_passport_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let once = format!(
        "mkdir {} || exit 9; exec {} serve echo --port $0",
        folder.path().join("started").display(),
        env!("CARGO_BIN_EXE_sockdrill")
    );
    // In a lab, what a server writes to a folder for temporary files is its own.
    let run = sockdrill(&["check", "--speaks", "echo", "--isolation", "host"])
        .reporting()
        .args(FEW)
        .args(["--", "sh", "-c", &once, "{port}"])
        .run()
        .code(3);
    let passport = &run.report["observations"];
    assert_eq!(passport["close_after_reply"], "stays open");
    for name in ["idle", "half_close", "hup", "time_wait"] {
        let seen = passport[name].as_str().unwrap();
        assert!(
            seen.starts_with("not observed: the server exited with status 9"),
            "{seen}"
        );
        assert!(!seen.contains('\n'), "{seen}");
    }
}

/// What a server makes of SIGHUP is observed and never judged; a crash is neither.
#[test]
fn crash_that_an_observation_meets_is_a_failure() {
    let script = "import os, signal, socket, sys\n\
                  signal.signal(signal.SIGHUP, lambda *_: os.abort())\n\
                  listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
                  while True:\n    \
                  listener.accept()[0].close()\n";
    let families = [
        "reset",
        "half-close",
        "partial",
        "timeout",
        "time-wait",
        "backlog",
        "crowd",
        "stop/term*",
        "stop/int",
        "stop/std*",
        "bytes",
        "datagram",
        "local",
        "address",
        "property",
    ];
    let skipped = families.iter().flat_map(|family| ["--skip", family]);
    sockdrill(&["check"])
        .args(skipped)
        .args(["--", "python3", "-c", script, "{port}"])
        .run()
        .code(1)
        .prints("was ended by signal 6 (SIGABRT)");
}
