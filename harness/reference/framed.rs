//! Sends one object behind the length of it, and closes.

use super::conversation::Conversation;
use super::server::ReferenceServer;
use std::io;

pub(super) const FRAMED: ReferenceServer = ReferenceServer::stream(
    "framed",
    "Sends one JSON object behind a header of four bytes, its length in network byte order, then closes.",
    |client| Box::pin(converse(client)),
);

const OBJECT: &str = r#"{"from":"framed","numbers":[1,2,3],"text":"hello"}"#;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let length = OBJECT.len() as u32;
    let frame = [&length.to_be_bytes(), OBJECT.as_bytes()].concat();
    client.write_all(&frame).await
}
