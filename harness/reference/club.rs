//! A house with rules: a greeting before anything else, room for so many, and an end that waits for who is in.

use super::conversation::{Conversation, DRAIN};
use super::lines::Lines;
use super::server::{ReferenceServer, Room};
use crate::model::profile::{Drops, Sessions};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

pub(super) const CLUB: ReferenceServer = ReferenceServer {
    sessions: Sessions::WaitedFor { drain: Some(DRAIN) },
    room: Some(Room {
        most: 40,
        refusal: b"FULL\n",
        drops: Drops::All,
    }),
    ..ReferenceServer::stream(
        "club",
        "Welcomes whoever says HELLO, once a connection, and answers PING with PONG from then on.",
        |client| Box::pin(converse(client)),
    )
};

/// More than any of the words.
const LINE_BYTES: usize = 64 << 10;

/// Who has not said hello by then is shown out.
const LOGIN: Duration = Duration::from_secs(5);

/// How many have been welcomed.
static WELCOMED: AtomicU64 = AtomicU64::new(0);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    let mut is_welcome = false;
    let Ok(first) = timeout(LOGIN, lines.next(client)).await else {
        return Ok(());
    };
    let mut next = first?;
    while let Some(whole) = next {
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
        next = lines.next(client).await?;
    }
    Ok(())
}
