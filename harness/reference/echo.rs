//! Returns what it gets.

use super::conversation::{BUFFER_BYTES, Conversation};
use super::server::ReferenceServer;
use std::io;

pub(super) const ECHO: ReferenceServer = ReferenceServer::stream(
    "echo",
    "Returns what it gets, for any number of clients at once.",
    |client| Box::pin(converse(client)),
);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        client.write_all(&buffer[..count]).await?;
    }
}
