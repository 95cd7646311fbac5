//! Returns lines, and asks a client that sends no whole line for a second whether it is still there, before it gives up on it.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::ReferenceServer;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const LINE_IDLE: ReferenceServer = ReferenceServer::stream(
    "line-idle",
    "Returns what it gets a line at a time, of 64 KiB at most; asks after a second without a whole line whether the client is \
     still there, and closes after another one.",
    |client| Box::pin(converse(client)),
);

/// Half of the silence that the profile promises to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What it then says by itself, which the profile tells.
const QUESTION: &[u8] = b": are you still there?\n";

/// The longest line, which the profile promises.
const LINE_BYTES: usize = 64 << 10;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    let mut was_asked = false;
    loop {
        match timeout(PATIENCE, lines.next(client)).await {
            Ok(next) => {
                let Some(whole) = next? else {
                    return Ok(());
                };
                client.write_all(&whole).await?;
                was_asked = false;
            }
            Err(_) if was_asked => return Ok(()),
            Err(_) => {
                client.write_all(QUESTION).await?;
                was_asked = true;
            }
        }
    }
}
