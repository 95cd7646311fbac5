use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use rstest::rstest;
use sockdrill::{ReferenceServer, Running};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn start(name: &str) -> Running {
    let server = ReferenceServer::find(name).expect("a reference server");
    server.start().expect("a free port")
}

/// What a server says to a client that sends `payload`, a segment for each part between `cuts`, and then half-closes.
fn said(server: SocketAddr, payload: &[u8], cuts: &[Index]) -> io::Result<Vec<u8>> {
    let mut reader = TcpStream::connect(server)?;
    reader.set_read_timeout(Some(Duration::from_secs(10)))?;
    // Without Nagle's algorithm a write is a segment.
    reader.set_nodelay(true)?;
    let mut writer = reader.try_clone()?;
    let mut cuts: Vec<_> = cuts
        .iter()
        .map(|cut| cut.index(payload.len() + 1))
        .collect();
    cuts.sort_unstable();
    std::thread::scope(|scope| {
        // A server that writes while nobody reads may stop reading in its turn.
        let written = scope.spawn(move || {
            let mut from = 0;
            for to in cuts.into_iter().chain([payload.len()]) {
                writer.write_all(&payload[from..to])?;
                from = to;
            }
            writer.shutdown(Shutdown::Write)
        });
        let mut said = Vec::new();
        reader.read_to_end(&mut said)?;
        written.join().expect("it does not panic")?;
        Ok(said)
    })
}

/// What one of a few clients does next.
#[derive(Clone, Debug)]
enum Move {
    /// Sends, and compares what comes back.
    Says(Vec<u8>),
    /// Sends, and resets without waiting for anything.
    Resets(Vec<u8>),
    /// Closes with its answer unread.
    Leaves(Vec<u8>),
}

fn moves() -> impl Strategy<Value = Vec<(usize, Move)>> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..200);
    let one = prop_oneof![
        3 => bytes().prop_map(Move::Says),
        1 => bytes().prop_map(Move::Resets),
        1 => bytes().prop_map(Move::Leaves),
    ];
    prop::collection::vec((0..4_usize, one), 1..40)
}

/// Carries out a move of the client that is connected in `seat`, or connects it first.
fn carry_out(seat: &mut Option<TcpStream>, server: SocketAddr, step: &Move) -> io::Result<()> {
    let stream = match seat {
        Some(stream) => stream,
        None => seat.insert(TcpStream::connect(server)?),
    };
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    match step {
        Move::Says(bytes) => {
            stream.write_all(bytes)?;
            let mut echoed = vec![0; bytes.len()];
            stream.read_exact(&mut echoed)?;
            match echoed == *bytes {
                true => Ok(()),
                false => Err(io::Error::other("the echo is not what was sent")),
            }
        }
        Move::Resets(bytes) => {
            stream.write_all(bytes)?;
            // Closing with a linger of zero sends RST (socket(7)).
            SockRef::from(&*stream).set_linger(Some(Duration::ZERO))?;
            *seat = None;
            Ok(())
        }
        Move::Leaves(bytes) => {
            stream.write_all(bytes)?;
            *seat = None;
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn echo_returns_any_payload_however_it_is_cut(
        payload in prop::collection::vec(any::<u8>(), 0..20_000),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let server = start("echo");
        prop_assert_eq!(said(server.address(), &payload, &cuts)?, payload);
    }

    #[test]
    fn uppercase_capitalises_ascii_and_nothing_else_however_it_is_cut(
        payload in prop::collection::vec(any::<u8>(), 0..20_000),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let server = start("uppercase");
        prop_assert_eq!(said(server.address(), &payload, &cuts)?, payload.to_ascii_uppercase());
    }

    #[test]
    fn line_echo_returns_whole_lines_however_they_are_cut(
        text in "[ -~]{0,200}(\n[ -~]{0,200}){0,20}\n",
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let server = start("line-echo");
        prop_assert_eq!(said(server.address(), text.as_bytes(), &cuts)?, text.as_bytes());
    }

    #[test]
    fn no_sequence_of_clients_that_come_and_go_disturbs_those_that_talk(moves in moves()) {
        let server = start("echo");
        let mut seats = [const { None }; 4];
        for (client, step) in &moves {
            carry_out(&mut seats[*client], server.address(), step)?;
        }
    }
}

/// A client that is within its rights, and no pleasure.
#[derive(Clone, Copy, Debug)]
enum Mallory {
    ResetsMidMessage,
    HalfCloses,
    IsSilent,
    NeverReads,
}

impl Mallory {
    /// Misbehaves, and stays connected for as long as the returned stream lives.
    async fn meets(self, server: SocketAddr, request: &[u8]) -> io::Result<tokio::net::TcpStream> {
        let mut stream = tokio::net::TcpStream::connect(server).await?;
        match self {
            Self::ResetsMidMessage => {
                stream.write_all(&request[..request.len() / 2]).await?;
                stream.set_zero_linger()?;
                drop(stream);
                tokio::net::TcpStream::connect(server).await
            }
            Self::HalfCloses => {
                stream.write_all(request).await?;
                stream.shutdown().await?;
                Ok(stream)
            }
            Self::IsSilent => Ok(stream),
            Self::NeverReads => {
                for _ in 0..100 {
                    stream.write_all(request).await?;
                }
                Ok(stream)
            }
        }
    }
}

#[rstest]
#[case::echo("echo", "hello", "hello")]
#[case::uppercase("uppercase", "hello", "HELLO")]
#[case::line_echo("line-echo", "hello\n", "hello\n")]
#[case::chat("chat", "good morning\n", "operator: you said good morning\n")]
#[case::banner("banner", "", "hello from banner\r\n")]
#[case::welcome_gate("welcome-gate", "1", "welcome to server")]
#[case::http_one(
    "http-one",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/1.1 200 OK\r\n"
)]
#[timeout(Duration::from_secs(20))]
#[tokio::test]
async fn polite_client_is_served_beside_and_after(
    #[case] name: &str,
    #[case] request: &str,
    #[case] reply: &str,
    #[values(
        Mallory::ResetsMidMessage,
        Mallory::HalfCloses,
        Mallory::IsSilent,
        Mallory::NeverReads
    )]
    mallory: Mallory,
) {
    let server = start(name);
    // A server that closes first may cut mallory short, which is its right.
    let beside = mallory.meets(server.address(), request.as_bytes()).await;
    assert_eq!(
        polite(server.address(), request, reply.len())
            .await
            .unwrap(),
        reply
    );
    drop(beside);
    assert_eq!(
        polite(server.address(), request, reply.len())
            .await
            .unwrap(),
        reply
    );
}

async fn polite(server: SocketAddr, request: &str, reply_bytes: usize) -> io::Result<String> {
    let mut alice = tokio::net::TcpStream::connect(server).await?;
    alice.write_all(request.as_bytes()).await?;
    let mut reply = vec![0; reply_bytes];
    alice.read_exact(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}
