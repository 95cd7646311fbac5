//! Takes everything and says nothing.

use super::conversation::{BUFFER_BYTES, Conversation};
use super::server::ReferenceServer;
use std::io;

pub(super) const DISCARD: ReferenceServer =
    ReferenceServer::stream("discard", "Takes everything and says nothing.", |client| {
        Box::pin(converse(client))
    });

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
