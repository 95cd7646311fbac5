//! What the store owes to its clients, as rstest cases.

mod store;

use proptest::prelude::*;
use rstest::{fixture, rstest};
use sockdrill::handles::Property;
use sockdrill::{End, Server, Signal};
use std::time::Duration;
use store::target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[fixture]
async fn server() -> Server {
    Server::start(&target()).await.expect("the store starts")
}

/// One for all tests that ask for it, however they end.
#[fixture]
#[once]
fn shared() -> Server {
    Server::start(&target()).wait().expect("the store starts")
}

#[rstest]
#[tokio::test]
async fn half_a_request_does_not_disturb_the_next_one(#[future(awt)] server: Server) {
    let mallory = server.connect("mallory").await;
    mallory.send("SET key ").await;
    mallory.reset().await;
    let alice = server.connect("alice").await;
    alice.send("SET key value\r\nGET key\r\n").await;
    alice.expect("OK\r\nVALUE value\r\n").await;
    alice.half_close().await;
    alice.expect_end(End::Fin).await;
    server.finish().await;
}

#[rstest]
#[case::whole(usize::MAX)]
#[case::by_the_byte(1)]
#[case::in_words(4)]
#[tokio::test]
async fn request_is_the_same_however_it_is_cut(
    #[future(awt)] server: Server,
    #[case] bytes: usize,
) {
    let alice = server.connect("alice").await;
    alice.send("SET key value\r\n").in_pieces(bytes).await;
    alice.expect("OK\r\n").within(Duration::from_secs(5)).await;
    server.finish().await;
}

#[rstest]
#[tokio::test]
async fn clients_that_have_left_leave_no_socket_behind(#[future(awt)] server: Server) {
    let before = server.open_files().len();
    for name in ["alice", "bob", "carol"] {
        let client = server.connect(name).await;
        client.send("GET nothing\r\n").await;
        client.expect_like("N{line}\r\n").await;
        client.close().await;
    }
    server.settle().await;
    assert!(
        !server
            .sockets()
            .iter()
            .any(|socket| socket.state == "CLOSE_WAIT")
    );
    assert_eq!(server.open_files().len(), before);
    server.finish().await;
}

#[rstest]
#[tokio::test]
async fn store_stops_when_it_is_told_to(#[future(awt)] server: Server) {
    let alice = server.connect("alice").await;
    alice.send("GET nothing\r\n").await;
    alice.expect("NONE\r\n").await;
    server.signal(Signal::Term).await;
    alice.expect_end(End::Fin).or(End::Reset).await;
    server.step("expect exit 0").await;
    assert!(server.output().await.ends_with("stopping\n"));
    server.finish().await;
}

/// Nobody but the test says how long it waits for what no step is about.
#[rstest]
#[timeout(Duration::from_secs(10))]
#[tokio::test]
async fn stream_is_one_of_tokio(#[future(awt)] server: Server) {
    let mut stream = server.client("raw").stream().await.expect("a connection");
    stream
        .write_all(b"GET nothing\r\nQUIT\r\n")
        .await
        .expect("room");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("answers");
    assert_eq!(answers, "NONE\r\n");
    drop(stream);
    server.finish().await;
}

#[rstest]
#[case("alice")]
#[case("bob")]
#[tokio::test]
async fn server_is_there_for_all_who_share_it(shared: &Server, #[case] name: &str) {
    let client = shared.connect(name).await;
    client.send(format!("SET {name} {name}\r\n")).await;
    client.expect("OK\r\n").await;
    client.close().await;
}

/// A key, and what is set under it.
fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-z]{1,8}", "[a-z0-9]{1,40}"), 1..6)
}

#[tokio::test]
async fn what_was_set_last_is_what_comes_back() {
    let property = Property::of((pairs(), 1..32_usize)).cases(16).seed(7);
    let case = async |server: &Server, (pairs, bytes): (Vec<(String, String)>, usize)| {
        let (alice, bob) = (server.connect("alice").await, server.connect("bob").await);
        for (key, value) in pairs {
            alice
                .send(format!("SET {key} {value}\r\n"))
                .in_pieces(bytes)
                .await;
            alice.expect("OK\r\n").await;
            bob.send(format!("GET {key}\r\n")).await;
            bob.expect(format!("VALUE {value}\r\n")).await;
        }
    };
    property.run(&target(), case).await;
}
