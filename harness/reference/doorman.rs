//! A door with a crowd before it: who comes is greeted and asked for one word, and the more are there the fewer are let in.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::{ReferenceServer, Room};
use crate::model::profile::Drops;
use std::io;

pub(super) const DOORMAN: ReferenceServer = ReferenceServer {
    room: Some(Room {
        most: 40,
        refusal: b"COME BACK LATER\n",
        drops: Drops::Some,
    }),
    ..ReferenceServer::stream(
        "doorman",
        "Greets, lets in who says PASS, then closes; of those who come while forty are there some are turned away.",
        |client| Box::pin(converse(client)),
    )
};

/// More than any word.
const LINE_BYTES: usize = 64 << 10;

async fn converse(client: &mut Conversation) -> io::Result<()> {
    client.write_all(b"hello from doorman\n").await?;
    let said = Lines::up_to(LINE_BYTES).next(client).await?;
    let mut lines = said
        .iter()
        .flat_map(|said| said.split_inclusive(|byte| *byte == b'\n'));
    match lines.next() {
        Some(b"PASS\n") => client.write_all(b"GO IN\n").await,
        Some(_) => client.write_all(b"GO AWAY\n").await,
        None => Ok(()),
    }
}
