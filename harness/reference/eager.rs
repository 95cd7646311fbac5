//! Returns what it gets, and reads on whatever its clients have read.

use super::conversation::{BUFFER_BYTES, Conversation};
use super::server::ReferenceServer;
use std::io;

pub(super) const EAGER: ReferenceServer = ReferenceServer::stream(
    "eager",
    "Returns what it gets, reads on while its replies wait, and ends a client for whom more than 256 KiB wait.",
    |client| Box::pin(converse(client)),
);

/// The limit that the profile promises.
const OUTPUT_LIMIT: usize = 256 << 10;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut waiting = Vec::new();
    loop {
        let count = client.read_while_writing(&mut buffer, &mut waiting).await?;
        if count == 0 {
            return client.write_all(&waiting).await;
        }
        waiting.extend_from_slice(&buffer[..count]);
        if waiting.len() > OUTPUT_LIMIT {
            return Err(io::Error::other("too much waits for this client"));
        }
    }
}
