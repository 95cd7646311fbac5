//! Reads once and lets in whoever says `1`.

use super::conversation::Conversation;
use super::server::ReferenceServer;
use std::io;
use std::time::Duration;
use tokio::time::timeout;

pub(super) const WELCOME_GATE: ReferenceServer = ReferenceServer {
    backlog: 5,
    ..ReferenceServer::stream(
        "welcome-gate",
        "Reads once, within five seconds: `1` is welcome, everything else is not; then it closes.",
        |client| Box::pin(converse(client)),
    )
};

/// The silence that the profile promises to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is read of a message; more is not looked at.
const MESSAGE_BYTES: usize = 1024;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut message = [0; MESSAGE_BYTES];
    let Ok(count) = timeout(PATIENCE, client.read(&mut message)).await else {
        return Ok(());
    };
    match &message[..count?] {
        b"" => Ok(()),
        b"1" => client.write_all(b"welcome to server").await,
        _ => client.write_all(b"please go out").await,
    }
}
