//! Keeps values under keys for as long as it runs: `SET key value`, `GET key` and `QUIT`, a line each.
//!
//! `KEY_VALUE_BUG` breaks it on purpose, for the tests of its tests.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast;

/// The longest line, so that nobody fills the memory with one.
const LONGEST_LINE: u64 = 4096;

type Values = Arc<Mutex<HashMap<String, String>>>;

/// What is wrong with it, where something is to be.
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// The end of one conversation by an error is the end of all.
    Fragile,
    /// Connections are never let go.
    Hoards,
    /// Of long values not all comes back.
    Clips,
}

impl Bug {
    fn of_environment() -> Self {
        match std::env::var("KEY_VALUE_BUG").as_deref() {
            Ok("fragile") => Self::Fragile,
            Ok("hoards") => Self::Hoards,
            Ok("clips") => Self::Clips,
            _ => Self::None,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:4001")).await?;
    let mut stop = signal(SignalKind::terminate())?;
    let (stopping, _) = broadcast::channel::<()>(1);
    let (values, bug) = (Values::default(), Bug::of_environment());
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (values, mut stopped) = (Arc::clone(&values), stopping.subscribe());
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = stopped.recv() => {}
                            ended = converse(stream, values, bug) => match ended {
                                Err(error) if bug == Bug::Fragile => fall(&error),
                                // What one client does is no other's trouble.
                                _ => {}
                            },
                        }
                    });
                }
                // Out of descriptors: a connection has to end first.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
    eprintln!("stopping");
    let _ = stopping.send(());
    Ok(())
}

fn fall(error: &io::Error) -> ! {
    eprintln!("fatal: {error}");
    std::process::exit(1)
}

async fn converse(mut stream: TcpStream, values: Values, bug: Bug) -> io::Result<()> {
    let (reads, mut writes) = stream.split();
    let mut reads = BufReader::new(reads);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reads).take(LONGEST_LINE);
        bounded.read_until(b'\n', &mut line).await?;
        if !line.ends_with(b"\n") {
            break;
        }
        let words = String::from_utf8_lossy(&line);
        let Some(answer) = answer(words.trim_end(), &values, bug) else {
            break;
        };
        writes.write_all(answer.as_bytes()).await?;
    }
    if bug == Bug::Hoards {
        std::mem::forget(stream.into_std()?);
    }
    Ok(())
}

/// The answer to a line; `None` ends the conversation.
fn answer(line: &str, values: &Values, bug: Bug) -> Option<String> {
    let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match (word, rest.split_once(' ')) {
        ("QUIT", _) => return None,
        ("SET", Some((key, value))) => {
            values.insert(key.to_owned(), value.to_owned());
            "OK\r\n".to_owned()
        }
        ("GET", None) => match values.get(rest) {
            Some(value) if bug == Bug::Clips => format!("VALUE {value:.4}\r\n"),
            Some(value) => format!("VALUE {value}\r\n"),
            None => "NONE\r\n".to_owned(),
        },
        _ => "ERROR\r\n".to_owned(),
    })
}
