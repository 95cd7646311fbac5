//! What is learned of a server from a client of its own, and what is recorded of the two.

use crate::kit::{Run, Sockdrill, sockdrill};
use rstest::rstest;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Whether a program is there, which is demanded where its package is required.
#[expect(
    clippy::print_stderr,
    reason = "a test of this kind cannot be ignored when it runs"
)]
fn is_there(program: &str, arguments: &[&str], package: &str) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let is_there = command.status().is_ok_and(|status| status.success());
    assert!(
        is_there || !crate::host::is_required(package),
        "no {program}, although {package} is required"
    );
    if !is_there {
        eprintln!("not tried: {program} is not installed");
    }
    is_there
}

/// A client that says lines, each once it has heard the answer to the one before, and ends; behind `quit` once the server has.
const LINES: &str = "
import socket, sys
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
heard = client.makefile('rb')
heard.readline()
for line in sys.argv[2:]:
    client.sendall(line.encode() + b'\\r\\n')
    while not heard.readline().strip().endswith((b'yours', b'.', b'bye', b'6', b'?')):
        pass
if sys.argv[-1] == 'quit':
    heard.read()
";

fn varied() -> String {
    let server = std::fs::canonicalize("fixtures/external/varied.py").unwrap();
    format!("python3 {} {{port}}", server.display())
}

/// Learns, or records, from a server and a client, in a folder of its own.
fn taught(command: &str, file: &str, server: &str, client: &[&str]) -> (TempDir, Sockdrill) {
    let folder = tempfile::tempdir().unwrap();
    let mut told = sockdrill(&[command, "-o", file, "--server", server]);
    told.command.current_dir(folder.path());
    (folder, told.arg("--").args(client))
}

/// The program in a folder.
fn within(folder: &TempDir, arguments: &[&str]) -> Run {
    let mut told = sockdrill(arguments);
    told.command.current_dir(folder.path());
    told.run()
}

fn read(folder: &TempDir, file: &str) -> String {
    std::fs::read_to_string(folder.path().join(file)).unwrap()
}

/// The same file with each promise taken out of its comment of which something was seen.
fn confirmed(text: &str) -> String {
    let mut is_seen = false;
    let lines = text.lines().map(|line| {
        let line = match is_seen {
            true => line.strip_prefix("# ").unwrap(),
            false => line,
        };
        is_seen = line.starts_with("# It was seen: ");
        line.to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn what_varies_is_learned_as_holes_and_the_file_passes_as_it_is_and_confirmed() {
    let lines = ["-c", LINES, "{port}", "add 1 2 3", "id", "list", "quit"];
    let client = [&["python3"][..], &lines].concat();
    let (folder, told) = taught("learn", "line.toml", &varied(), &client);
    told.run()
        .code(0)
        .prints("pass          polite/exchange")
        .prints("sockdrill check line.toml");
    let text = read(&folder, "line.toml");
    for part in [
        "greeting = 'welcome {:[0-9]+}, it is {line}\\r\\n'",
        "# Left out, since the server closes behind it: \"quit\\r\\n\"",
        "once = false\nsend = 'add 1 2 3\\r\\n'\nreply = 'sum 6\\r\\n'",
        "reply = 'id {",
        "} is yours\\r\\n'",
        "send = 'list\\r\\n'\nreply = '{any}.\\r\\n'",
        "# after-exchange = \"stays-open\"",
        "# half-close = \"answers\"",
        "# pipelining = \"answers\"",
        "# serves = \"concurrently\"",
        "# stop = { signal = \"TERM\"",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let some = ["--only", "polite", "--only", "partial/byte-by-byte"];
    within(&folder, &[&["check", "line.toml"][..], &some].concat())
        .code(0)
        .prints("pass          partial/byte-by-byte");
    let confirmed = confirmed(&text);
    std::fs::write(folder.path().join("confirmed.toml"), confirmed).unwrap();
    let more = ["--only", "half-close/after-request", "--only", "polite"];
    within(&folder, &[&["check", "confirmed.toml"][..], &more].concat())
        .code(0)
        .prints("pass          polite/again");
}

/// A server that counts what it is asked, below the folder that the session is written into.
const COUNTS: &str = "\
import itertools, socketserver, sys
numbers = itertools.count(8)
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b'hello\\r\\n')
        for line in self.rfile:
            self.wfile.write(b'number %d of %s is yours\\r\\n' % (next(numbers), line.strip()))
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever(None)
";

#[test]
fn recorded_file_names_its_target_from_where_it_lies_and_numbers_are_digits() {
    let client = ["python3", "-c", LINES, "{port}", "one", "two"];
    let file = "sub/session.drill";
    let (folder, told) = taught("record", file, "servers/counts.toml", &client);
    for name in ["sub", "servers"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let command = serde_json::to_string(&["python3", "-c", COUNTS, "{port}"]).unwrap();
    let target = format!("command = {command}\n");
    std::fs::write(folder.path().join("servers/counts.toml"), target).unwrap();
    told.run().code(0);
    let text = read(&folder, file);
    assert!(
        text.contains("\nserver: ../servers/counts.toml\n"),
        "{text}"
    );
    let numbers = "alice expect \"number {:[0-9]+} of one is yours\\r\\n\"";
    assert!(text.contains(numbers), "{text}");
    within(&folder, &["run", file]).code(0);
    sockdrill(&["run"])
        .arg(folder.path().join(file))
        .run()
        .code(0);
}

#[test]
fn session_that_is_recorded_passes_when_it_is_run() {
    let client = ["python3", "-c", LINES, "{port}", "id", "list", "quit"];
    let (folder, told) = taught("record", "session.drill", &varied(), &client);
    let run = told.run().code(0);
    let (_, next) = run.stdout.split_once("next:\n  ").unwrap();
    let words = next.trim().strip_prefix("sockdrill ").unwrap();
    let words: Vec<&str> = words.split(' ').collect();
    within(&folder, &words).code(0).prints("1 passed");
    let text = read(&folder, "session.drill");
    let (_, case) = text.split_once("\n\n").unwrap();
    // Some of them have too few digits to show that they are a hash.
    let case = case.replace("id {:[0-9a-f]+} is", "id {line} is");
    assert_eq!(
        case,
        "case a session, session\n  clients: alice\n\n  alice connect\n  \
         alice expect \"welcome {:[0-9]+}, it is {line}\\r\\n\"\n  alice send \"id\\r\\n\"\n  \
         alice expect \"id {line} is yours\\r\\n\"\n  alice send \"list\\r\\n\"\n  alice expect \"{any}.\\r\\n\"\n  \
         alice send \"quit\\r\\n\"\n  alice expect \"bye\\r\\n\"\n  alice expect fin, all bytes first\n  alice close\n"
    );
}

#[test]
fn server_on_a_unix_socket_and_one_that_answers_once_are_learned() {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let server = format!("{program} serve uppercase --path {{path}}");
    let client = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'abc\\n'); \
                  s.shutdown(1); print(s.recv(99))";
    let (folder, told) = taught(
        "learn",
        "u.toml",
        &server,
        &["python3", "-c", client, "{path}"],
    );
    told.run().code(0);
    let text = read(&folder, "u.toml");
    assert!(text.contains("transport = \"unix\""), "{text}");
    assert!(text.contains("reply = 'ABC\\n'"), "{text}");
    let client = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); \
                  s.sendall(b'GET / HTTP/1.1\\r\\nHost: localhost:' + sys.argv[1].encode() + b'\\r\\n\\r\\n'); print(s.recv(999))";
    let (folder, told) = taught(
        "learn",
        "h.toml",
        "http-one",
        &["python3", "-c", client, "{port}"],
    );
    told.run().code(0);
    let text = read(&folder, "h.toml");
    assert!(text.contains("# after-exchange = \"closes\""), "{text}");
    assert!(!text.contains("once ="), "{text}");
}

#[rstest]
#[case::never_came(&["true"], "the client never connected to 127.0.0.1:")]
#[case::never_came_and_failed(&["false"], "the client exited with status 1, and never connected to")]
#[case::slip(&["echo", "{prt}"], "did you mean {port}?")]
#[case::not_there(&["no-such-client", "{port}"], "starting `no-such-client`: no such program")]
#[case::never_ends(
    &["python3", "-c", "import socket, sys, signal; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); signal.pause()", "{port}"],
    "the client still ran after 2s; let it end by itself, or give it more time with --within"
)]
#[case::fails(
    &["python3", "-c", "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.exit('it broke')", "{port}"],
    "it broke"
)]
#[case::says_nothing(
    &["python3", "-c", "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))", "{port}"],
    "the server said nothing to it"
)]
fn client_that_shows_nothing_is_told_and_nothing_is_written(
    #[case] client: &[&str],
    #[case] complaint: &str,
) {
    for command in ["learn", "record"] {
        let is_empty_session = complaint.starts_with("the server said nothing");
        if command == "record" && is_empty_session {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut told = sockdrill(&[
            command, "-o", "x", "--within", "2s", "--server", "echo", "--",
        ]);
        told.command.current_dir(folder.path());
        told.args(client).run().complains(complaint);
        assert!(!folder.path().join("x").exists());
    }
}

#[test]
fn what_a_challenge_hides_and_what_ends_nowhere_is_told() {
    let server = "
import os, socket, sys
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    client, _ = server.accept()
    salt = os.urandom(6).hex().encode()
    client.sendall(salt + b'\\n')
    client.sendall(b'in\\n' if client.recv(99) == salt[::-1] else b'')
    client.close()
";
    let client = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); \
                  s.sendall(s.recv(12)[::-1]); s.recv(1); print(s.recv(9))";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("challenge.py");
    std::fs::write(&file, server).unwrap();
    let server = format!("python3 {} {{port}}", file.display());
    let (place, told) = taught(
        "learn",
        "x.toml",
        &server,
        &["python3", "-c", client, "{port}"],
    );
    told.run().code(3).complains("as with a challenge");
    assert!(!place.path().join("x.toml").exists());
}

#[test]
fn file_that_is_there_is_replaced_by_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "mine").unwrap();
    for command in ["learn", "record"] {
        within(
            &folder,
            &[command, "-o", "x", "--server", "echo", "--", "true"],
        )
        .code(2)
        .complains("x is there already: name another file, or replace it with --force");
    }
    assert_eq!(read(&folder, "x"), "mine");
}

/// A server that people run, with the client that comes with it.
#[rstest]
#[case::redis("redis", &["redis-cli", "--version"], &["redis-cli", "-p", "{port}", "ping"], "reply = '+PONG\\r\\n'")]
#[case::nginx(
    "nginx",
    &["curl", "--version"],
    &["curl", "-s", "http://127.0.0.1:{port}/hello.txt"],
    "Date: {line}\\r\\n"
)]
#[case::smtp(
    "aiosmtpd",
    &["python3", "--version"],
    &["python3", "-c", "import smtplib, sys; s = smtplib.SMTP('127.0.0.1', int(sys.argv[1])); s.noop(); s.quit()", "{port}"],
    "send = 'noop\\r\\n'\nreply = '250 OK\\r\\n'"
)]
#[case::dns(
    "dnsmasq",
    &["python3", "--version"],
    &[
        "python3", "-c",
        "import os, socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', int(sys.argv[1]))); \
         s.send(os.urandom(2) + bytes.fromhex('0100000100000000000003777777076578616d706c6504746573740000010001')); s.recv(999)",
        "{port}"
    ],
    "# The client says something else here each time"
)]
fn server_that_people_run_is_learned(
    #[case] name: &str,
    #[case] client_is_there: &[&str],
    #[case] client: &[&str],
    #[case] part: &str,
) {
    let target = std::fs::canonicalize(format!("fixtures/targets/{name}.toml")).unwrap();
    let target = target.to_string_lossy();
    let server = match name {
        "redis" => "redis-server",
        other => other,
    };
    let (program, arguments) = client_is_there.split_first().unwrap();
    let path = format!("command -v {server}");
    let has_server = ["/usr/sbin", "/usr/local/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(server).is_file())
        || is_there("sh", &["-c", &path], name);
    if !has_server || !is_there(program, arguments, name) {
        return;
    }
    let (folder, told) = taught("learn", "real.toml", &target, client);
    told.run().code(0).prints("wrote     real.toml");
    let text = read(&folder, "real.toml");
    assert!(text.contains(part), "{part} is not in\n{text}");
    within(
        &folder,
        &["check", "real.toml", "--only", "polite", "--only", "reset"],
    )
    .code(0)
    .prints("pass          polite/exchange");
}

#[rstest]
#[case::option(
    &["check", "./server", "--port", "{port}"],
    " check -- ./server --port {port}"
)]
#[case::program(&["check", "sh"], "it is a program, and a server's command stands behind `--`: -- sh")]
#[case::program_with_arguments(&["check", "sh", "7000"], "it is a program, and a server's command stands behind `--`: -- sh")]
#[case::folder(&["check", "--", "./nowhere"], "it was looked for from /")]
#[case::name_in_braces(&["check", "--", "sh", "-c", "x {Port}"], "did you mean {port}?")]
fn slip_at_the_start_is_told_with_what_was_meant(#[case] words: &[&str], #[case] told: &str) {
    let run = sockdrill(words).run();
    let is_error = run.code == Some(2) || run.code == Some(3);
    run.demand(is_error, "it is an error").complains(told);
}

#[test]
fn background_and_several_ports_are_told_with_what_to_write() {
    let daemon = "import os, socket, sys, signal
s = socket.create_server(('127.0.0.1', int(sys.argv[1])))
if os.fork() == 0: signal.pause()";
    sockdrill(&["check", "--", "python3", "-c", daemon, "{port}"])
        .run()
        .code(3)
        .complains("start it in the foreground: ");
    let two = "import socket, signal
a, b = (socket.create_server(('127.0.0.1', port)) for port in (8001, 8002)); signal.pause()";
    sockdrill(&[
        "check",
        "--isolation",
        "namespace",
        "--",
        "python3",
        "-c",
        two,
    ])
    .run()
    .code(3)
    .complains("choose one with --listen 127.0.0.1:8001, or listen = ");
}

#[test]
fn blind_run_tells_what_a_profile_would_unlock() {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let command = [program, "serve", "echo", "--port", "{port}"];
    sockdrill(&["check", "--budget", "3s", "--"])
        .args(command)
        .run()
        .prints("nothing is known of what the server speaks: a profile has up to ")
        .prints(format!(
            "sockdrill learn -o sockdrill.toml --server '{program} serve echo --port {{port}}' -- CLIENT…"
        ));
}

/// A server that answers each line by an expression of `line`, the bytes of it, and `token`, some that are other ones on each connection.
fn answering(folder: &TempDir, answer: &str, seconds: f64) -> String {
    let server = format!(
        "
import os, socket, sys, threading, time
server = socket.create_server(('127.0.0.1', int(sys.argv[1])))
def serve(client):
    token = os.urandom(6).hex().encode()
    for line in client.makefile('rb'):
        threading.Event().wait({seconds})
        client.sendall({answer})
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
"
    );
    let file = folder.path().join("answering.py");
    std::fs::write(&file, server).unwrap();
    format!("python3 {} {{port}}", file.display())
}

/// A client that says two lines, and waits for something to come for each.
const TWO: &str =
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for line in b'hi\\n', b'yo\\n':
    s.sendall(line); s.recv(99)";

#[test]
fn replies_of_a_slow_server_are_all_recorded_and_learned_to_be_given_again() {
    let place = tempfile::tempdir().unwrap();
    let server = answering(
        &place,
        "b'OK ' + os.urandom(6).hex().encode() + b'\\n'",
        0.5,
    );
    let client = ["python3", "-c", TWO, "{port}"];
    let (folder, told) = taught("record", "slow.drill", &server, &client);
    told.run().code(0);
    let text = read(&folder, "slow.drill");
    let expected = text.matches("alice expect \"OK {:[0-9a-f]+}\\n\"").count();
    assert_eq!(expected, 2, "{text}");
    let (folder, told) = taught("learn", "slow.toml", &server, &client);
    told.run().code(0);
    let text = read(&folder, "slow.toml");
    assert!(text.contains("once = false"), "{text}");
    assert!(!text.contains("once = true"), "{text}");
}

#[test]
fn reply_that_ends_with_what_varies_is_expected_as_long_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let server = answering(&place, "b'\\0\\x06' + os.urandom(6)", 0.0);
    let client = ["python3", "-c", TWO, "{port}"];
    let (folder, told) = taught("record", "ends.drill", &server, &client);
    told.run().code(0);
    let text = read(&folder, "ends.drill");
    let expected = text.matches(r#"alice expect "\0\x06{:[\x00-\xff]{6}}""#);
    assert_eq!(expected.count(), 2, "{text}");
}

#[test]
fn reply_to_a_token_that_is_no_longer_good_is_no_lesson() {
    let place = tempfile::tempdir().unwrap();
    let answer = "b'TOKEN ' + token + b'\\n' if line == b'LOGIN\\n' else b'OK data\\n' if line == b'GET ' + token + b'\\n' else b'ERR no\\n'";
    let server = answering(&place, answer, 0.0);
    let client = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.sendall(b'LOGIN\\n'); \
                  s.sendall(b'GET ' + s.recv(99).split()[1] + b'\\n'); s.recv(99)";
    for command in ["learn", "record"] {
        let client = ["python3", "-c", client, "{port}"];
        let (folder, told) = taught(command, "x", &server, &client);
        let run = told.run().code(3);
        let run = run.complains(
            "the client was told \"OK data\\n\", and who says the same again is told \"ERR no\\n\"",
        );
        if command == "learn" {
            let back = "the client says it again in \"GET ";
            assert!(run.stderr.contains(back), "{}", run.stderr);
        }
        assert!(!folder.path().join("x").exists());
    }
}

#[test]
fn session_in_which_the_server_says_nothing_is_not_recorded() {
    let client =
        "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))";
    let client = ["python3", "-c", client, "{port}"];
    let (folder, told) = taught("record", "x", "echo", &client);
    told.run()
        .code(3)
        .complains("there is nothing that a scenario could hold it to");
    assert!(!folder.path().join("x").exists());
}

/// A process number, a port, an age: the same on each server of a lab, unless that makes them vary.
#[test]
fn what_a_lab_can_vary_is_learned_to_vary_and_a_number_as_a_whole() {
    let server = std::fs::canonicalize("fixtures/external/tells_of_itself.py").unwrap();
    let server = format!("python3 {} {{port}}", server.display());
    let client = "import socket, sys\n\
                  client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                  client.sendall(b'stat\\n')\nclient.makefile('rb').readline()\n";
    let client = ["python3", "-c", client, "{port}"];
    let (folder, told) = taught("learn", "s.toml", &server, &client);
    told.run().code(0);
    let text = read(&folder, "s.toml");
    let reply =
        r"reply = 'pid={:[0-9]+} port={:[0-9]+} seconds={:[0-9]+} load {:[0-9.]+} version 2.1\r\n'";
    assert!(text.contains(reply), "{text}");
    within(&folder, &["check", "s.toml", "--only", "polite"]).code(0);
    let broken = text.replace("{port}\"]", "{port}\", \"silent\"]");
    std::fs::write(folder.path().join("broken.toml"), broken).unwrap();
    let run = within(&folder, &["check", "broken.toml", "--only", "polite"]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
}
