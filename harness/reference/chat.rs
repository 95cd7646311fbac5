//! An operator with one answer to everything.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::ReferenceServer;
use std::io;

pub(super) const CHAT: ReferenceServer = ReferenceServer::stream(
    "chat",
    "Answers each line as an operator would; `exit` ends the conversation.",
    |client| Box::pin(converse(client)),
);

/// More than anybody types.
const LINE_BYTES: usize = 64 << 10;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES);
    while let Some(whole) = lines.next(client).await? {
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let said = without_end(line);
            if said == b"exit" {
                return client.write_all(b"operator: goodbye\n").await;
            }
            client.write_all(&answer(said)).await?;
        }
    }
    Ok(())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The bytes go back as they came: they need not be text.
fn answer(said: &[u8]) -> Vec<u8> {
    [b"operator: you said ", said, b"\n"].concat()
}
