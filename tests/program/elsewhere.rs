//! A server that somebody else has started, at an address.

use crate::kit::{Run, sockdrill};
use rstest::rstest;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A reference server that somebody has started, correct or not.
struct Somebodys {
    process: Child,
    address: String,
}

impl Somebodys {
    fn starting(name: &str, violate: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sockdrill"));
        command.args(["serve", name]);
        command.args(violate.iter().flat_map(|check| ["--violate", check]));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let printed = process.stdout.take().unwrap();
        BufReader::new(printed).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap();
        Self {
            address: address.to_owned(),
            process,
        }
    }

    fn check(&self, profile: &str, arguments: &[&str]) -> Run {
        let run = sockdrill(&["check", "--address", &self.address, "--speaks", profile]);
        run.args(arguments).reporting().run()
    }
}

impl Drop for Somebodys {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The verdict on a check, and why.
fn verdict<'a>(run: &'a Run, id: &str) -> (&'a str, &'a str) {
    let checks = run.report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == id).unwrap();
    let reason = check["reason"].as_str().unwrap_or_default();
    (check["verdict"].as_str().unwrap(), reason)
}

#[test]
fn correct_server_is_drilled_by_its_clients_alone_and_lives() {
    let mut server = Somebodys::starting("echo", None);
    let run = server.check(
        "echo",
        &["--only", "polite", "--only", "partial", "--only", "stop"],
    );
    let run = run.code(0).prints("only what its clients see was judged");
    assert_eq!(run.report["elsewhere"], server.address.as_str());
    for id in ["polite/again", "partial/every-cut", "partial/straddle"] {
        assert_eq!(verdict(&run, id).0, "pass", "{id}");
    }
    let (outcome, why) = verdict(&run, "stop/term-idle");
    assert_eq!(outcome, "skip");
    assert!(
        why.contains("somebody else has started the server"),
        "{why}"
    );
    assert!(
        server.process.try_wait().unwrap().is_none(),
        "it still runs"
    );
}

#[rstest]
#[case::ends_all("reset/mid-request", "echo", "mallory could not connect")]
#[case::holds_up_all("crowd/one-silent", "echo", "nobody takes it")]
#[case::loses_the_beginning("partial/every-cut", "echo", "wrong from byte 0 on")]
fn broken_server_fails_by_what_its_clients_see(
    #[case] check: &str,
    #[case] profile: &str,
    #[case] what: &str,
) {
    let server = Somebodys::starting(profile, Some(check));
    let run = server.check(profile, &["--only", check]).code(1);
    let (outcome, why) = verdict(&run, check);
    assert_eq!(outcome, "fail");
    assert!(why.contains(what), "{why}");
}

/// What a server keeps of its clients shows in its process alone.
#[rstest]
#[case("reset/after-connect")]
#[case("half-close/silent")]
#[case("crowd/churn")]
#[case("half-close/mid-request")]
fn what_nobody_sees_is_not_passed(#[case] check: &str) {
    let server = Somebodys::starting("echo", Some(check));
    let run = server.check("echo", &["--only", check, "--flood"]).code(3);
    let (outcome, why) = verdict(&run, check);
    assert_eq!(outcome, "skip");
    assert!(
        why.contains("somebody else has started the server"),
        "{why}"
    );
}

/// Whoever manages it starts it again at once.
#[test]
fn server_that_ends_and_is_there_again_has_ended() {
    // An address that nobody else listens on.
    let address = SocketAddr::from((Ipv4Addr::new(127, 83, 68, 1), 7_000));
    let is_over = Arc::new(AtomicBool::new(false));
    let manager = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::Relaxed) {
                let mut command = Command::new(env!("CARGO_BIN_EXE_sockdrill"));
                command.args([
                    "serve",
                    "echo",
                    "--violate",
                    "reset/mid-request",
                    "--port",
                    "7000",
                    "--host",
                ]);
                let server = command.arg(address.ip().to_string()).stderr(Stdio::null());
                server.stdout(Stdio::null()).status().unwrap();
            }
        }
    });
    // Nobody stands by where nothing is promised.
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("profile.toml");
    let exchange = "transport = \"tcp\"\n[[exchange]]\nsend = 'hello'\nreply = 'hello'\n";
    std::fs::write(&profile, exchange).unwrap();
    let run = sockdrill(&[
        "check",
        "--only",
        "reset/mid-request",
        "--ready-within",
        "5m",
    ]);
    let run = run.args(["--address", &address.to_string(), "--speaks"]);
    let run = run.arg(&profile).reporting().run();
    is_over.store(true, Ordering::Relaxed);
    // A reset inside of a request is its end.
    while !manager.is_finished() {
        if let Ok(mut last) = TcpStream::connect(address) {
            let _ = socket2::SockRef::from(&last).set_linger(Some(Duration::ZERO));
            let _ = last.write_all(b"h");
        }
    }
    manager.join().unwrap();
    let (outcome, why) = verdict(&run, "reset/mid-request");
    assert_eq!(outcome, "fail", "{why}");
    // On a loaded host it may not be back when the next client comes.
    let is_told = [
        "it listens on another socket than before",
        "Connection refused",
    ];
    assert!(is_told.iter().any(|words| why.contains(words)), "{why}");
}

#[test]
fn server_of_somebody_else_is_flooded_where_that_is_wanted_alone() {
    let server = Somebodys::starting("echo", None);
    let only = ["--only", "crowd/parallel"];
    let run = server.check("echo", &only).code(3);
    let (outcome, why) = verdict(&run, "crowd/parallel");
    assert_eq!(outcome, "skip");
    assert!(
        why.contains("100 connections; --flood permits that"),
        "{why}"
    );
    server
        .check("echo", &[&only[..], &["--flood"]].concat())
        .code(0);
}

#[test]
fn property_is_drawn_of_clients_alone() {
    let server = Somebodys::starting("echo", None);
    let run = server
        .check("echo", &["--only", "property/stream", "--flood"])
        .code(0);
    assert_eq!(verdict(&run, "property/stream").0, "pass");
}

#[test]
fn scenario_is_run_there_unless_it_needs_the_process() {
    let server = Somebodys::starting("echo", None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.drill");
    let text = "case says hello\n  clients: alice\n\n  alice connect\n  alice send \"hello\"\n  alice expect \"hello\"\n  alice close\n\n\
                case ends it\n\n  server signal TERM\n  server expect exit within 5s\n";
    std::fs::write(&file, text).unwrap();
    let run = sockdrill(&["run", "--address", &server.address, "--speaks", "echo"]);
    let run = run.arg(&file).reporting().run().code(0);
    assert_eq!(verdict(&run, "both::says hello").0, "pass");
    let (outcome, why) = verdict(&run, "both::ends it");
    assert_eq!(outcome, "skip");
    assert!(
        why.contains("`server signal TERM` takes its process"),
        "{why}"
    );
}

/// Where nothing keeps a scenario in a network of its own.
#[test]
fn scenario_leads_to_no_other_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("away.drill");
    let text =
        "server: echo\n\ncase connects away\n  clients: alice\n\n  alice connect to 192.0.2.1\n";
    std::fs::write(&file, text).unwrap();
    let run = sockdrill(&["run", "--isolation", "host"])
        .arg(&file)
        .reporting()
        .run();
    let (outcome, why) = verdict(&run, "away::connects away");
    assert_eq!(outcome, "skip");
    assert!(
        why.contains("`alice connect to 192.0.2.1` connects to another host"),
        "{why}"
    );
}

#[test]
fn target_file_may_name_an_address() {
    let server = Somebodys::starting("echo", None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.toml");
    let text = format!("address = {:?}\nspeaks = \"echo\"\n", server.address);
    std::fs::write(&file, &text).unwrap();
    let check = |file: &str| sockdrill(&["check", file, "--only", "polite/exchange"]).run();
    let name = file.display().to_string();
    check(&name).code(0);
    let both = format!("{text}command = [\"true\"]\n");
    std::fs::write(&file, both).unwrap();
    check(&name)
        .code(2)
        .complains("address: it excludes command");
}

#[rstest]
#[case::of_another_host(&["--address", "192.0.2.1:80"], 2, "--i-own-this-host")]
#[case::without_a_port(&["--address", "localhost"], 2, "write HOST:PORT")]
#[case::with_a_command(&["--address", "127.0.0.1:1", "--", "true"], 2, "one of a TARGET, an --address and a COMMAND")]
#[case::in_a_namespace(&["--address", "127.0.0.1:1", "--isolation", "namespace"], 2, "leave out --isolation namespace")]
#[case::flooding_its_own(&["echo", "--flood"], 2, "--flood is for a server that somebody else has started")]
#[case::choosing_a_listener(&["--address", "127.0.0.1:1", "--listen", "80"], 2, "--listen is for a server that is started")]
#[case::where_nothing_is(&["--address", "127.0.0.1:1"], 3, "nothing answers at 127.0.0.1:1: Connection refused")]
#[case::of_no_name(&["--address", "no-such-host.invalid:80"], 3, "nothing answers at no-such-host.invalid:80")]
fn address_that_cannot_be_drilled_is_told(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] what: &str,
) {
    sockdrill(&["check"])
        .args(arguments)
        .run()
        .code(code)
        .complains(what);
}

#[test]
fn server_that_is_to_come_is_waited_for() {
    // A place that refuses clients, and that nobody else can take.
    // Programs that other tests start meanwhile do not inherit it.
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    let socket = socket.unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    rustix::net::bind(&socket, &any).unwrap();
    let there = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    let check = |within: &str| {
        let check = [
            "check",
            "--only",
            "polite/exchange",
            "--speaks",
            "echo",
            "--ready-within",
        ];
        sockdrill(&check)
            .args([within, "--address", &there.to_string()])
            .run()
    };
    check("1500ms")
        .code(3)
        .complains("Connection refused (os error 111), for ");
    rustix::net::listen(&socket, 8).unwrap();
    let listener = TcpListener::from(socket);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || echo(client.unwrap()));
        }
    });
    check("5m").code(0);
}

fn echo(mut client: TcpStream) {
    let mut from = client.try_clone().unwrap();
    // Its client may leave in any way.
    let _ = std::io::copy(&mut from, &mut client);
}
