//! Greets and closes.

use super::conversation::Conversation;
use super::server::ReferenceServer;
use std::io;

pub(super) const BANNER: ReferenceServer = ReferenceServer::stream(
    "banner",
    "Greets whoever connects, then closes; who has already written gets the whole greeting too.",
    |client| Box::pin(converse(client)),
);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    client.write_all(b"hello from banner\r\n").await
}
