//! Returns what it gets in capitals, in three ways of taking clients.

use super::conversation::{BUFFER_BYTES, Conversation};
use super::server::ReferenceServer;
use crate::model::profile::Serves;
use std::io;

pub(super) const UPPERCASE: ReferenceServer = ReferenceServer::stream(
    "uppercase",
    "Returns what it gets with ASCII letters in capitals, for any number of clients at once.",
    |client| Box::pin(converse(client)),
);

pub(super) const UPPERCASE_ONE: ReferenceServer = ReferenceServer {
    name: "uppercase-one",
    about: "Returns what it gets with ASCII letters in capitals, for one client after the other.",
    serves: Serves::OneAtATime,
    ..UPPERCASE
};

pub(super) const UPPERCASE_ONCE: ReferenceServer = ReferenceServer {
    name: "uppercase-once",
    about: "Returns what it gets with ASCII letters in capitals, for one client, then ends.",
    serves: Serves::OneConnection,
    ..UPPERCASE
};

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        buffer[..count].make_ascii_uppercase();
        client.write_all(&buffer[..count]).await?;
    }
}
