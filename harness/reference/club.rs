//! A house with rules: a greeting before anything else, room for so many, and an end that waits for who is in.

use super::conversation::{Conversation, DRAIN};
use super::lines::Lines;
use super::server::ReferenceServer;
use crate::model::profile::Sessions;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const CLUB: ReferenceServer = ReferenceServer {
    sessions: Sessions::WaitedFor { drain: Some(DRAIN) },
    ..ReferenceServer::stream(
        "club",
        "Welcomes whoever says HELLO, once a connection, and answers PING with PONG from then on.",
        |client| Box::pin(converse(client)),
    )
};

/// More than any of the words.
const LINE_BYTES: usize = 64 << 10;

/// How many have been welcomed.
static WELCOMED: AtomicU64 = AtomicU64::new(0);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    let mut is_welcome = false;
    while let Some(whole) = lines.next(client).await? {
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let answer = match (is_welcome, line) {
                (false, b"HELLO\n") => {
                    let number = WELCOMED.fetch_add(1, Ordering::Relaxed) + 1;
                    format!("WELCOME as number {number}\n")
                }
                (true, b"PING\n") => "PONG\n".to_owned(),
                _ => return client.write_all(b"OUT OF TURN\n").await,
            };
            is_welcome = true;
            client.write_all(answer.as_bytes()).await?;
        }
    }
    Ok(())
}
