//! Returns lines, and gives up on a client that sends no whole line for two seconds.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::ReferenceServer;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const LINE_IDLE: ReferenceServer = ReferenceServer::stream(
    "line-idle",
    "Returns what it gets a line at a time, of 64 KiB at most, and closes after two seconds without a whole line.",
    |client| Box::pin(converse(client)),
);

/// The silence that the profile promises to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest line, which the profile promises.
const LINE_BYTES: usize = 64 << 10;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    while let Ok(next) = timeout(PATIENCE, lines.next(client)).await {
        let Some(whole) = next? else {
            return Ok(());
        };
        client.write_all(&whole).await?;
    }
    Ok(())
}
