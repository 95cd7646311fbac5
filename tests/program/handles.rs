use crate::kit::sockdrill;
use sockdrill::handles::Property;
use sockdrill::{Client, End, Isolation, Profile, Server, Signal, Target};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn reference(name: &str) -> Target {
    Target::reference(name, Path::new(env!("CARGO_BIN_EXE_sockdrill"))).unwrap()
}

/// An echo server that ends with the first connection that is reset.
fn fragile() -> Target {
    let mut target = reference("echo");
    target
        .command
        .extend(["--violate", "reset/mid-request"].map(str::to_owned));
    target
}

/// What a test says that fails.
async fn failure(test: impl Future<Output = ()>) -> String {
    let mut test = std::pin::pin!(test);
    let failed = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| test.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(said) => Poll::Ready(Err(said)),
        }
    });
    let said = failed.await.expect_err("it is to fail");
    *said.downcast::<String>().expect("a failure is a text")
}

fn must_be_send<T: Send>(value: T) -> T {
    value
}

/// Tells everybody else what one says.
const HUB: &str = r#"
import socket, sys, threading
hub = socket.create_server(("127.0.0.1", int(sys.argv[1])))
all = []
def serve(one):
    while said := one.recv(4096):
        for other in list(all):
            if other is not one: other.sendall(said)
    all.remove(one)
    one.close()
while True:
    one, _ = hub.accept()
    all.append(one)
    threading.Thread(target=serve, args=[one], daemon=True).start()
"#;

async fn hub() -> Server {
    let target = Target::command(["python3", "-c", HUB, "{port}"], Profile::unknown());
    Server::start(&target).alone().await.unwrap()
}

/// Longer than it takes to see that a server rests.
async fn work() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn clients_take_their_steps_side_by_side() {
    let server = hub().await;
    let (alice, bob) = (server.connect("alice").await, server.connect("bob").await);
    let waits = must_be_send(alice.expect("news").into_future());
    let speaks = async {
        work().await;
        bob.send("news").await;
    };
    tokio::join!(waits, speaks);
    server.finish().await;
}

#[tokio::test]
async fn pauses_of_who_speaks_are_no_end_of_what_another_one_hears() {
    let server = hub().await;
    let (alice, bob) = (server.connect("alice").await, server.connect("bob").await);
    let speaks = bob
        .send("news")
        .in_pieces(2)
        .every(Duration::from_millis(500));
    tokio::join!(alice.expect("news").into_future(), speaks.into_future());
    server.finish().await;
}

#[test]
fn pauses_of_who_speaks_in_the_background_are_none_in_a_file_either() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pauses.drill");
    let steps = "case pauses\nclients: alice bob\nalice connect\nbob connect\n\
         bob send \"news\" in pieces of 2B every 500ms in the background\nalice expect \"news\"\n";
    std::fs::write(&file, steps).unwrap();
    let command = ["--", "python3", "-c", HUB, "{port}"];
    sockdrill(&["run"]).arg(&file).args(command).run().code(0);
}

#[tokio::test]
async fn wait_is_printed_behind_what_others_did_meanwhile() {
    let server = hub().await;
    let (alice, bob) = (server.connect("alice").await, server.connect("bob").await);
    let text = failure(async {
        let hears = alice.expect("news").into_future();
        tokio::join!(hears, bob.send("news").into_future());
        bob.expect("more").within(Duration::from_secs(3)).await;
    });
    let text = text.await;
    let (_, scenario) = text.split_once("  as a scenario:\n").unwrap();
    let steps: Vec<_> = scenario.lines().map(str::trim).collect();
    let at = |step: &str| steps.iter().position(|line| line.contains(step)).unwrap();
    assert!(at("send \"news\"") < at("expect \"news\""), "{text}");
    assert!(at("expect \"news\"") < at("expect \"more\""), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("same.drill");
    std::fs::write(&file, steps.join("\n")).unwrap();
    let command = ["--", "python3", "-c", HUB, "{port}"];
    // A file knows who still acts, and need not wait for the end of the time.
    let reason = "bob expected \"more\"";
    assert!(text.contains(reason), "{text}");
    sockdrill(&["run"])
        .arg(&file)
        .args(command)
        .run()
        .code(1)
        .prints(reason);
}

#[tokio::test]
async fn what_a_client_hears_is_in_the_hands_of_the_test() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.connect("alice").await;
    alice.send("sid=17; ").await;
    let heard = alice.expect_like("sid={sid:[0-9]+};{any} ").await;
    assert_eq!(&heard["sid"], b"17");
    alice.send(&heard["sid"]).await;
    alice.expect("17").await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_comes_while_no_server_runs_is_one_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    // What stands in its way is left there by the second one, and is out of the way of the third.
    let script = r#"echo >> "$1"; [ $(wc -l < "$1") -lt 3 ] || rm -f "$2"; exec "$3" serve echo --path="$2" --port=0"#;
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let starts = starts.to_str().unwrap();
    let command = ["sh", "-c", script, "sh", starts, "{path}", program];
    let target = Target::command(command, Profile::unknown());
    let server = Server::start(&target).alone().await.unwrap();
    server.signal(Signal::Kill).await;
    server.step("start-over-file").await;
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    server.restart().await;
    for client in [&bob, &alice] {
        client.connect().await;
        client.send(client.name()).await;
        client.expect(client.name()).await;
    }
}

#[tokio::test]
async fn name_that_files_do_not_have_is_none_for_a_client() {
    let server = Server::start(&reference("echo")).await.unwrap();
    for name in ["server", "settle", "end", "a[3]", "é", ""] {
        let text = failure(async { drop(server.client(name)) }).await;
        assert!(
            text.contains(&format!("`{name}`")) && text.contains("write a name such as `alice`"),
            "{text}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn failure_says_what_the_same_scenario_says_in_a_file() {
    let server = Server::start(&reference("uppercase")).await.unwrap();
    let text = failure(async {
        let alice = server.connect("alice").await;
        alice.send("hello\n").await;
        alice.expect("hello\n").await;
    });
    let text = text.await;
    assert!(text.starts_with("tests/program/handles.rs:"), "{text}");
    assert!(
        text.contains(": failure says what the same scenario says in a file\n"),
        "{text}"
    );
    assert!(
        text.contains("  repeat: cargo test -p sockdrill --test program -- --exact "),
        "{text}"
    );
    let reason = text.lines().nth(1).unwrap().trim();
    assert!(
        reason.starts_with("alice expected \"hello\\n\", got \"HELLO\\n\""),
        "{text}"
    );
    let (_, scenario) = text.split_once("  as a scenario:\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("same.drill");
    let scenario: Vec<_> = scenario.lines().map(str::trim).collect();
    std::fs::write(
        &file,
        format!("server: uppercase\n\n{}\n", scenario.join("\n")),
    )
    .unwrap();
    sockdrill(&["run"]).arg(&file).run().code(1).prints(reason);
    // Whoever goes on is told the same.
    let again = failure(async { server.client("bob").connect().await });
    assert_eq!(again.await, text);
}

#[tokio::test]
async fn step_that_cannot_happen_is_refused_and_changes_nothing() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.client("alice");
    let text = failure(async { alice.send("hello").await }).await;
    assert!(text.contains("this step cannot happen: "), "{text}");
    alice.connect().await;
    alice.send("hello").await;
    alice.expect("hello").await;
    server.finish().await;
}

#[tokio::test]
async fn line_that_says_no_step_is_shown_in_its_place() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.client("alice");
    let text = failure(async { alice.step("sned \"hello\"").await }).await;
    assert!(
        text.contains("did you mean `send`?") && text.contains("handles.rs:"),
        "{text}"
    );
    let text = failure(async { drop(server.client("alice")) }).await;
    assert_eq!(text, "there is a client called alice already");
}

#[tokio::test]
async fn step_that_was_given_up_is_judged_with_the_rest() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.connect("alice").await;
    let never = alice.expect("nobody says this").into_future();
    let in_vain = tokio::time::timeout(Duration::from_millis(1), never).await;
    assert!(in_vain.is_err());
    let text = failure(async { server.finish().await }).await;
    assert!(
        text.contains("alice expected \"nobody says this\""),
        "{text}"
    );
}

#[tokio::test]
async fn crash_that_nobody_has_noticed_fails_the_drop() {
    let server = Server::start(&fragile()).await.unwrap();
    let mallory = server.connect("mallory").await;
    mallory.send("hel").await;
    mallory.reset().await;
    server.settle().await;
    let text = failure(async { drop(server) }).await;
    assert!(
        text.contains("the server exited with status 1 after `mallory reset`"),
        "{text}"
    );
}

/// Prints and sends back what a client says, and ends where that is `end`.
const FRAIL: &str = r#"
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    one, _ = server.accept()
    while said := one.recv(4096):
        if said == b"end": sys.exit(3)
        print(said, flush=True)
        one.sendall(said)
"#;

#[tokio::test]
async fn failure_that_came_before_the_drop_and_was_told_to_nobody_fails_it() {
    let target = Target::command(["python3", "-c", FRAIL, "{port}"], Profile::unknown());
    let server = Server::start(&target).alone().await.unwrap();
    let alice = server.connect("alice").await;
    alice.send("hello").await;
    alice.expect("hello").await;
    alice.send("end").await;
    let never = alice.expect("nobody says this").into_future();
    let in_vain = tokio::time::timeout(Duration::ZERO, never).await;
    assert!(in_vain.is_err());
    // What it has printed is there to be read until the step has failed.
    while !server.output().await.is_empty() {}
    let text = failure(async { drop(server) }).await;
    assert!(text.contains("the server exited with status 3"), "{text}");
}

/// The server says nothing by itself, so that what has begun before lasts as long as it may.
#[tokio::test]
async fn drop_waits_for_nothing_that_was_begun_before_it() {
    let (longest, soon) = (Duration::from_secs(3_600), Duration::from_millis(300));
    for concludes in [true, false] {
        let server = Server::start(&reference("echo")).alone().await.unwrap();
        let alice = server.connect("alice").await;
        let never = alice.expect("nobody says this").within(longest);
        let never = tokio::time::timeout(Duration::ZERO, never.into_future());
        assert!(never.await.is_err());
        if concludes {
            let finishes = tokio::time::timeout(soon, server.finish());
            assert!(finishes.await.is_err());
            continue;
        }
        let alone = server.step("expect exit within 3600s").into_future();
        assert!(tokio::time::timeout(soon, alone).await.is_err());
        drop(server);
    }
}

#[tokio::test]
async fn failure_that_a_test_was_told_is_not_told_again_by_the_drop() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.connect("alice").await;
    alice.send("hello").await;
    let text = failure(async { alice.expect("other").await }).await;
    assert!(text.contains("alice expected \"other\""), "{text}");
    drop(server);
}

#[tokio::test]
async fn result_of_a_crash_is_returned_where_nobody_is_to_panic() {
    let server = Server::start(&fragile()).await.unwrap();
    let mallory = server.connect("mallory").await;
    mallory.send("hel").await;
    mallory.reset().await;
    let result = server.conclude().await.unwrap();
    assert_eq!(result.outcome(), sockdrill::Outcome::Fail);
    assert!(
        result.details().contains("mallory > reset"),
        "{}",
        result.details()
    );
}

/// The parent of a process is a thread, and a signal comes with the end of that (prctl(2)).
#[test]
fn server_outlives_the_thread_and_the_runtime_that_started_it() {
    let starts = || Server::start(&reference("echo")).wait().unwrap();
    let server = std::thread::spawn(starts).join().unwrap();
    for name in ["alice", "bob"] {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let speaks = async |client: Client| {
            client.connect().await;
            client.send("hello").await;
            client.expect("hello").await;
        };
        runtime.block_on(speaks(server.client(name)));
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(server.finish());
}

#[tokio::test]
async fn server_is_stopped_and_started_again() {
    let server = Server::start(&reference("echo")).await.unwrap();
    let alice = server.connect("alice").await;
    server.stop().await;
    alice.expect_end(End::Fin).or(End::Reset).await;
    assert!(
        server
            .sockets()
            .iter()
            .all(|socket| socket.state != "LISTEN")
    );
    server.restart().await;
    assert!(
        server
            .sockets()
            .iter()
            .any(|socket| socket.state == "LISTEN")
    );
    server.signal(Signal::Term).await;
    server.step("expect exit 0").await;
    server.finish().await;
}

#[tokio::test]
async fn streams_reach_the_server_in_its_own_network_and_on_the_host() {
    for isolation in [Isolation::Auto, Isolation::Host] {
        let server = Server::start(&reference("echo"))
            .isolation(isolation)
            .alone();
        let server = server.await.unwrap();
        let mut stream = server.client("raw").stream().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        server.settle().await;
        let ends = |socket: &sockdrill::handles::Socket| socket.state == "ESTABLISHED";
        let its_end = server.sockets().into_iter().find(ends).unwrap();
        assert_eq!(its_end.remote, Some(stream.local_addr().unwrap()));
        drop(stream);
        server.finish().await;
    }
}

#[tokio::test]
async fn server_at_a_path_has_clients_too() {
    let program = env!("CARGO_BIN_EXE_sockdrill");
    let command = [program, "serve", "echo", "--path={path}", "--port=0"];
    let target = Target::command(command, Profile::unknown());
    let server = Server::start(&target).await.unwrap();
    let alice = server.connect("alice").await;
    alice.send("hello").await;
    alice.expect("hello").await;
    let mut stream = alice.unix_stream().await.unwrap();
    stream.write_all(b"raw").await.unwrap();
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).await.unwrap();
    drop(stream);
    assert!(server.address().is_none() && server.path().is_some());
    assert!(alice.stream().await.is_err());
    server.finish().await;
}

#[tokio::test]
async fn server_that_is_not_there_is_an_error_with_what_was_looked_for() {
    let target = Target::command(["./no-such-server", "{port}"], Profile::unknown());
    let error = Server::start(&target).await.unwrap_err();
    let text = error.chain();
    assert!(text.contains("no-such-server"), "{text}");
    assert_eq!(
        format!("{error:?}"),
        text,
        "as `expect` and `unwrap` show it"
    );
}

#[test]
#[should_panic = "a property is tried by one case at least"]
fn property_of_no_case_is_refused() {
    let _ = Property::of(0..9_u32).cases(0);
}

#[tokio::test]
async fn failure_is_told_where_no_server_starts_any_more_for_a_smaller_one() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("server");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sockdrill"), &program).unwrap();
    let command = [program.to_str().unwrap(), "serve", "echo", "--port={port}"];
    let target = Target::command(command, Profile::unknown());
    let fails = async |server: &Server, number: u32| {
        server.connect("alice").await;
        std::fs::remove_file(&program).unwrap();
        panic!("{number} is wrong");
    };
    let property = Property::of(1_000..2_000_u32);
    let text = failure(property.run(&target, fails)).await;
    assert!(text.contains(" is wrong\n"), "{text}");
    assert!(
        text.contains("no smaller one could be tried any more: "),
        "{text}"
    );
}

/// The proxy of the recipe, before a server of lines in capitals.
fn proxy() -> Target {
    let of = |file: &str| format!("fixtures/scenarios/backend/{file}");
    let command = ["python3", &of("proxy.py"), "{port}", "{origin.addr}"];
    let mut proxy = Target::command(command, Profile::unknown());
    let origin = Target::command(["python3", &of("origin.py"), "{port}"], Profile::unknown());
    proxy.backends.insert("origin".to_owned(), origin);
    proxy
}

#[tokio::test]
async fn what_stands_behind_a_server_takes_steps_too() {
    let server = Server::start(&proxy()).await.unwrap();
    let alice = server.connect("alice").await;
    alice.send("hi\n").await;
    alice.expect("HI\n").await;
    let origin = server.backend("origin");
    origin.step("expect output \"asked for hi\"").await;
    origin.signal(Signal::Kill).await;
    origin.step("expect exit").await;
    alice.send("hi\n").await;
    alice.expect("NOBODY THERE\n").await;
    origin.restart().await;
    alice.send("hi\n").await;
    alice.expect("HI\n").await;
    alice.close().await;
    server.finish().await;
}

#[tokio::test]
async fn what_a_backend_has_not_done_fails_a_test_in_its_words() {
    let server = Server::start(&proxy()).alone().await.unwrap();
    let origin = server.backend("origin");
    let said = failure(async {
        origin.step("expect output \"asked\" within 300ms").await;
    })
    .await;
    assert!(
        said.contains("the backend origin has not printed \"asked\" within 300ms"),
        "{said}"
    );
    let said = failure(async { drop(server.backend("orgin")) }).await;
    assert!(said.contains("no backend called orgin"), "{said}");
}

#[tokio::test]
async fn clients_speak_tls_in_tests_too() {
    let here = std::env::current_dir().unwrap();
    let script = here.join("fixtures/scenarios/language/tls.py");
    let command = ["python3", script.to_str().unwrap(), "{port}"];
    let target = Target::command(command, Profile::unknown());
    let server = Server::start(&target).await.unwrap();
    let alice = server.connect("alice").await;
    alice.start_tls().await;
    alice.expect_secured().await;
    alice.send("hello\n").cut_at([5]).await;
    alice.expect("HELLO\n").await;
    alice.half_close().await;
    alice.expect_end(End::Fin).await;
    let mallory = server.connect("mallory").await;
    mallory.step("start-tls first 100B").await;
    mallory.reset().await;
    server.finish().await;
}
