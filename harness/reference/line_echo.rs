//! Returns lines, each when it is whole.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::ReferenceServer;
use std::io;

pub(super) const LINE_ECHO: ReferenceServer = ReferenceServer::stream(
    "line-echo",
    "Returns what it gets a line at a time, each when its newline has come.",
    |client| Box::pin(converse(client)),
);

/// Longer than the longest line that the checks send, and little enough to hold for a few clients at once.
const LINE_BYTES: usize = 32 << 20;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    while let Some(whole) = lines.next(client).await? {
        client.write_all(&whole).await?;
    }
    Ok(())
}
