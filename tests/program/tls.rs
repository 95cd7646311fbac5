//! Clients that speak TLS, with servers that get it right and with such that do not.

use crate::kit::{Run, sockdrill};
use std::fmt::Write as _;
use std::path::Path;

/// Runs a case on the server over TLS that breaks its word in these ways.
fn against(ways: &[&str], steps: &str) -> Run {
    let here = std::env::current_dir().unwrap();
    let server = here.join("fixtures/scenarios/language/tls.py");
    let mut command = vec!["python3", server.to_str().unwrap(), "{port}"];
    command.extend(ways);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("case.drill");
    std::fs::write(&file, case(steps)).unwrap();
    let run = sockdrill(&["run", "--verbose"]).arg(&file).arg("--");
    run.args(command).run()
}

fn case(steps: &str) -> String {
    let mut case = "case c\n  clients: alice mallory crowd[50]\n\n".to_owned();
    for step in steps.lines() {
        writeln!(case, "  {step}").unwrap();
    }
    case
}

const EXCHANGE: &str = "alice connect
alice start-tls name \"localhost\" alpn \"capitals\" \"http/1.1\"
alice expect secured within 20s
alice send \"hello\\n\"
alice expect \"HE{rest:[A-Z]+}\\n\"
alice send \"{rest}\\n\"
alice expect \"LLO\\n\"
alice never \"password\"
";

#[test]
fn versions_ciphers_and_what_is_spoken_inside_are_told() {
    for (ways, version) in [
        (&[][..], "TLS 1.3, TLS13_"),
        (&["1.2"], "TLS 1.2, TLS_ECDHE_"),
    ] {
        let run = against(ways, EXCHANGE).code(0);
        run.prints(format!("alice * is secured: {version}"))
            .prints(", ALPN capitals")
            .prints("alice > \"hello\\n\"")
            .prints("alice < \"HELLO\\n\"");
    }
}

#[test]
fn hello_and_records_are_cut_and_paced_as_all_that_is_sent() {
    let steps = "mallory connect
mallory start-tls in pieces of 1B
mallory expect secured
mallory send \"hello\\n\" cut at 1 5 20
mallory send \"again\\n\" in pieces of 1B every 1ms
mallory expect \"HELLO\\nAGAIN\\n\"
";
    for version in ["1.2", "1.3"] {
        let run = against(&[version], steps).code(0);
        run.prints("mallory > ClientHello, bytes 0 to 1 of")
            .prints("mallory > 4 bytes of TLS records")
            .prints("mallory > 15 bytes of TLS records");
    }
}

#[test]
fn no_byte_is_lost_where_what_comes_is_more_than_what_is_read() {
    let steps = "alice connect
alice start-tls
alice expect secured
alice send text 300KiB seed 7 in the background
alice send \"\\n\" in the background
alice expect text 300KiB seed 7 in capitals
alice expect \"\\n\"
alice expect taken
alice send \"BYE\\n\"
alice expect fin, all bytes first
alice close
server expect rest
";
    for version in ["1.2", "1.3"] {
        let run = against(&[version], steps).code(0);
        run.prints("alice < close_notify")
            .prints("bytes have come since TLS began");
    }
}

#[test]
fn fin_without_close_notify_is_a_fin_and_is_told() {
    let steps = format!("{EXCHANGE}alice half-close\nalice expect fin, all bytes first\n");
    let told = against(&["cuts"], &steps).code(0);
    told.prints("alice > close_notify")
        .prints("alice > fin")
        .prints("bytes have come since TLS began, and no close_notify");
    let whole = against(&[], &steps).code(0);
    let is_cut = whole.stdout.contains("no close_notify");
    whole.demand(!is_cut, "a whole stream is no cut one");
}

#[test]
fn only_the_beginning_of_a_hello_comes_and_then_whatever_is_said_next() {
    for end in ["reset", "vanish", "half-close", "close"] {
        let steps = format!(
            "mallory connect\nmallory start-tls first 100B in pieces of 40B\nmallory {end}\n{EXCHANGE}"
        );
        against(&[], &steps)
            .code(0)
            .prints("mallory > ClientHello, bytes 80 to 100 of");
    }
    let steps =
        "mallory connect\nmallory start-tls first 100B\nmallory expect fin or reset within 20s\n";
    against(&["hasty"], steps).code(0);
}

#[test]
fn server_that_dies_of_a_reset_inside_of_a_handshake_has_crashed() {
    let steps = format!(
        "repeat 5\n  mallory connect\n  mallory start-tls first 100B\n  mallory require taken\n  mallory reset\nend\nsettle\n{EXCHANGE}"
    );
    against(&[], &steps).code(0);
    against(&["crashes"], &steps).code(1).prints("SIGABRT");
}

#[test]
fn server_that_waits_for_the_rest_of_a_hello_serves_nobody_else() {
    let steps =
        format!("mallory connect\nmallory start-tls first 100B\nmallory require taken\n{EXCHANGE}");
    against(&[], &steps).code(0);
    let told = against(&["hangs"], &steps).code(1);
    told.prints("alice");
}

#[test]
fn crowd_of_handshakes_goes_through_with_cuts() {
    let steps = "crowd connect
crowd start-tls in pieces of 100B
crowd expect secured
crowd send text 1KiB seed 1
crowd send \"\\n\"
crowd expect text 1KiB seed 1 in capitals
crowd expect \"\\n\"
crowd close
";
    against(&["1.3"], steps).code(0);
    against(&["1.2"], steps).code(0);
}

#[test]
fn what_must_never_come_is_found_behind_what_tls_says_by_itself() {
    let steps = "alice connect
alice never \"HELLO\"
alice start-tls
alice expect secured
alice send \"hello\\n\"
";
    for version in ["1.2", "1.3"] {
        let told = against(&[version], steps).code(1);
        told.prints("\"HELLO\" came to alice, to whom it must never come");
    }
}

#[test]
fn tls_begins_where_the_scenario_says_so() {
    let steps = "alice connect
alice send \"STARTTLS\\r\\n\"
alice expect \"220{line}\\n\"
alice start-tls
alice expect secured
alice send \"hello\\n\"
alice expect \"HELLO\\n\"
alice send \"BYE\\n\"
alice expect fin, all bytes first
";
    against(&["starttls"], steps).code(0);
}

#[test]
fn server_that_speaks_no_tls_is_told_with_what_it_said() {
    let steps = "alice connect\nalice start-tls in pieces of 200B\nalice expect secured\n";
    let told = against(&["plain"], steps).code(1);
    told.prints(
        "alice's TLS handshake was not completed: what the server said in the handshake cannot be read as TLS: \"what?\\n\"",
    );
    let told = against(&["refuses"], steps).code(1);
    let told = told.prints(
        "alice's TLS handshake was not completed: the server ended the handshake with alert `handshake_failure`",
    )
    .prints("actual    the server ended the handshake with alert `handshake_failure`");
    let marked = told
        .stdout
        .lines()
        .find(|line| line.trim().starts_with('!'));
    assert!(marked.unwrap().contains("TLS fails"), "{marked:?}");
}

/// A client that uploads more than its kernel takes, to a server that reads on once another client comes.
const UPLOAD: &str = "alice connect
alice start-tls
alice expect secured
alice send text 16MiB seed 1 in the background
";

#[test]
fn server_that_answers_early_and_reads_on_is_judged_by_what_it_said() {
    let heard = format!("{UPLOAD}alice expect \"413 too large\\n\"\nmallory connect\nsettle\n");
    for version in ["1.2", "1.3"] {
        for more in [
            "",
            "alice send \"more\"\n",
            "alice send \"more\" cut at 1\n",
        ] {
            let told = against(&[version, "full"], &format!("{heard}{more}")).code(0);
            let told = told.prints("alice < close_notify");
            // It reads all that was under way when it said so, and hears an end of that.
            told.prints(match more {
                "" => "alice > close_notify",
                _ => "alice > fails: Broken pipe",
            });
        }
        let leaves = format!("{UPLOAD}alice expect \"413 too large\\n\"\nalice close\n");
        against(&[version, "full"], &leaves).code(0);
        let told = against(
            &[version, "full"],
            &format!("{heard}alice expect \"bye\\n\"\n"),
        );
        told.code(1).prints("alice expected \"bye\\n\"");
    }
}

#[test]
fn server_that_breaks_tls_amid_an_upload_is_the_one_that_is_blamed() {
    let steps = format!("{UPLOAD}mallory connect\nsettle\nalice expect \"200 fine\\n\"\n");
    for version in ["1.2", "1.3"] {
        let told = against(&[version, "spoils"], &steps).code(1);
        told.prints("alice * TLS fails: a record that came cannot be read as TLS: ");
    }
}

#[test]
fn who_ends_its_side_amid_an_upload_is_not_kept_from_it_by_this_host() {
    let steps = "alice connect
alice start-tls
alice expect secured
alice stall
alice send text 16MiB seed 1 in the background
alice half-close
alice read
alice expect fin or reset within 20s
";
    let told = against(&["1.3"], steps);
    let is_refused = told.stdout.contains("this host refused");
    told.demand(!is_refused, "it is no refusal of the host");
}

#[test]
fn hello_that_is_not_cut_where_it_was_to_be_proves_nothing() {
    let steps = "alice connect\nalice start-tls cut at 60000\nalice expect secured\n";
    against(&[], steps)
        .code(3)
        .prints("bytes, and is not cut there");
}

#[test]
fn reproducer_says_that_it_speaks_no_tls() {
    let file = Path::new("fixtures/scenarios/language/tls.drill:5");
    let run = sockdrill(&["repro"]).arg(file).run().code(2);
    run.complains("a reproducer cannot say `alice start-tls");
}

/// Who closes behind its close_notify may find our answer there, unread; the kernel then resets what is over.
#[test]
fn server_that_goes_with_our_last_word_unread_has_ended_in_order() {
    let steps = "alice connect
alice start-tls
alice expect secured
alice send \"hello\\n\"
alice expect \"HELLO\\n\"
alice send \"BYE\\n\"
alice expect fin, all bytes first
";
    for version in ["1.2", "1.3"] {
        against(&[version, "goes"], steps)
            .code(0)
            .prints("alice > close_notify")
            .prints("it has closed with our close_notify unread");
    }
}

/// What a target says of a server, run with checks that are selected.
fn checked(target: &str, only: &str) -> Run {
    let here = std::env::current_dir().unwrap();
    let server = here.join("fixtures/scenarios/language/tls.py");
    let folder = tempfile::tempdir().unwrap();
    let text = target.replace("SERVER", server.to_str().unwrap());
    std::fs::write(folder.path().join("server.toml"), text).unwrap();
    let certificates = here.join("fixtures/scenarios/language");
    for name in ["tls-cert.pem", "tls-key.pem"] {
        std::fs::copy(certificates.join(name), folder.path().join(name)).unwrap();
    }
    let only = only.split(',').flat_map(|only| ["--only", only]);
    let run = sockdrill(&["check"]).args(only).reporting();
    run.arg(folder.path().join("server.toml")).run()
}

const CAPITALS: &str = r#"
command = ["python3", "SERVER", "{port}"]
[profile]
transport = "tcp"
model = "ascii-uppercase"
framing = "line"
[profile.tls]
name = "localhost"
alpn = ["capitals"]
version = "1.2"
[profile.promises]
serves = "concurrently"
after-exchange = "stays-open"
"#;

#[test]
fn checks_of_a_server_over_tls_are_made_over_tls() {
    let only = "polite,partial/every-cut,crowd/one-silent,bytes/garbage";
    checked(CAPITALS, only)
        .code(0)
        .prints("pass          partial/every-cut");
    let hangs = CAPITALS.replace("\"{port}\"]", "\"{port}\", \"hangs\"]");
    let told = checked(&hangs, "crowd/one-silent").code(1);
    told.prints("fail          crowd/one-silent");
    let peeks = CAPITALS.replace("\"{port}\"]", "\"{port}\", \"peeks\"]");
    let told = checked(&peeks, "partial/byte-by-byte,partial/straddle").code(1);
    told.prints("fail          partial/byte-by-byte")
        .prints("alice start-tls name \"localhost\" alpn \"capitals\" version 1.2 in pieces of 1B")
        .prints("pass          partial/straddle");
}

#[test]
fn file_that_repeats_a_failure_over_tls_says_so_and_repeats_it() {
    let wrong = CAPITALS.replace("ascii-uppercase", "echo");
    let run = checked(&wrong, "polite/exchange").code(1);
    let case = run.report["checks"][0]["scenario"].as_str().unwrap();
    let begins = "alice start-tls name \"localhost\" alpn \"capitals\" version 1.2\n";
    assert!(case.contains(begins), "{case}");
    assert!(case.contains("alice expect secured\n"), "{case}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("again.drill");
    std::fs::write(&file, case).unwrap();
    let here = std::env::current_dir().unwrap();
    let server = here.join("fixtures/scenarios/language/tls.py");
    let again = sockdrill(&["run"]).arg(&file).arg("--");
    let again = again.args(["python3", server.to_str().unwrap(), "{port}"]);
    again
        .run()
        .code(1)
        .prints("alice expected \"hello from sockdrill\\n\"");
}

#[test]
fn records_come_in_parts_where_they_are_to() {
    let steps = "alice connect
alice start-tls
alice expect secured
alice send \"hello\\n\" cut at 2 as records
alice expect \"HELLO\\n\"
alice send \"hello\\n\" in pieces of 1B as records every 1ms
alice expect \"HELLO\\n\"
";
    let told = against(&["1.3"], steps).code(0);
    told.prints("alice > \"he\"").prints("alice > \"llo\\n\"");
    let told = against(
        &[],
        "alice connect\nalice send \"hello\" cut at 2 as records\n",
    )
    .code(2);
    told.complains("alice has not begun TLS, which has records");
    let told = against(&[], "alice connect\nalice send \"hello\" as records\n").code(2);
    told.complains("nothing says where a record ends");
}

/// Of no certificate.
const ANOTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIBDERjoxjSIu2rPVDTfMnbBlEzK/obH0+Vw1U6JfZU8q\n-----END PRIVATE KEY-----\n";

#[test]
fn client_speaks_the_version_that_it_is_told_and_shows_who_it_is() {
    let version = |version: &str| {
        format!("alice connect\nalice start-tls version {version}\nalice expect secured\n")
    };
    against(&[], &version("1.2"))
        .code(0)
        .prints("is secured: TLS 1.2");
    against(&["1.2"], &version("1.3"))
        .code(1)
        .prints("alert `protocol_version`");
    against(&[], &version("1.1")).code(2).complains("1.2");
    let here = std::env::current_dir().unwrap();
    let certificates = here.join("fixtures/scenarios/language");
    let shown = |certificate: &str, key: &str| {
        let path = |name: &str| certificates.join(name).display().to_string();
        let (certificate, key) = (path(certificate), path(key));
        format!(
            "alice connect\nalice start-tls certificate \"{certificate}\" key \"{key}\"\nalice expect secured\nalice send \"hello\\n\"\nalice expect \"HELLO\\n\"\n"
        )
    };
    for version in ["1.2", "1.3"] {
        let asks = [version, "asks"];
        against(&asks, &shown("tls-cert.pem", "tls-key.pem")).code(0);
        let nobody = "alice connect\nalice start-tls\nalice send \"hello\\n\"\n";
        let nobody = nobody.replace("alice send", "alice expect secured\nalice send");
        let nobody = format!("{nobody}alice expect \"HELLO\\n\"\n");
        let told = against(&asks, &nobody).code(1);
        let is_doubled = told.stdout.contains("TLS fails: TLS failed");
        told.demand(!is_doubled, "it is told once");
    }
    let told = against(&[], &shown("tls-key.pem", "tls-key.pem")).code(2);
    told.complains("has no certificate in PEM").complains("^");
    let told = against(&[], &shown("tls-cert.pem", "tls-cert.pem")).code(2);
    told.complains("has no private key in PEM");
    let told = against(&[], &shown("nowhere.pem", "tls-key.pem")).code(2);
    told.complains("nowhere.pem");
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&other, ANOTHER_KEY).unwrap();
    let told = against(&[], &shown("tls-cert.pem", &other.path().to_string_lossy()));
    told.code(2)
        .complains("has another key than the certificate in")
        .complains("^");
    let alone = "alice connect\nalice start-tls certificate \"a.pem\"\n";
    against(&[], alone).code(2);
}

#[test]
fn profile_over_tls_that_is_wrong_is_told_with_its_place() {
    for (tls, complaint) in [
        ("name = \"127.0.0.1\"", "tls.name: write the name of a host"),
        ("alpn = [\"\"]", "tls.alpn: write names of 1 to 255 bytes"),
        ("version = \"1.1\"", "tls.version: write \"1.2\" or \"1.3\""),
        (
            "certificate = \"tls-cert.pem\"",
            "certificate and key go together",
        ),
        (
            "certificate = \"nowhere.pem\"\nkey = \"tls-key.pem\"",
            "tls.certificate: reading",
        ),
        (
            "certificate = \"tls-cert.pem\"\nkey = \"tls-cert.pem\"",
            "has no private key in PEM",
        ),
        ("nmae = \"localhost\"", "unknown field `nmae`"),
    ] {
        let target =
            format!("command = [\"python3\", \"SERVER\", \"{{port}}\"]\n[profile.tls]\n{tls}\n");
        let told = checked(&target, "polite").code(2);
        told.complains(complaint).complains("^");
    }
    let datagrams = "command = [\"true\"]\n[profile]\ntransport = \"udp\"\n[profile.tls]\n";
    checked(datagrams, "polite")
        .code(2)
        .complains("it is of connections");
}

#[test]
fn server_that_asks_who_its_clients_are_is_told_by_the_profile() {
    let known = CAPITALS
        .replace(
            "version = \"1.2\"",
            "certificate = \"tls-cert.pem\"\nkey = \"tls-key.pem\"",
        )
        .replace("\"{port}\"]", "\"{port}\", \"asks\"]");
    checked(&known, "polite,half-close/mid-request").code(0);
}
