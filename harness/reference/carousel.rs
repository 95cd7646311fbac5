//! A carousel with forty seats: who comes when all are taken gets the seat of the one who has sat there the longest. A word has to be
//! whole in time.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::{ReferenceServer, Room};
use crate::model::profile::Drops;
use std::io;
use std::time::Duration;

pub(super) const CAROUSEL: ReferenceServer = ReferenceServer {
    room: Some(Room {
        most: 40,
        refusal: b"YOUR TURN IS OVER\n",
        drops: Drops::Oldest,
    }),
    ..ReferenceServer::stream(
        "carousel",
        "Answers RIDE with ROUND AND ROUND, where each line is whole within two seconds; of forty who are there the one who came \
         first goes when another comes.",
        |client| Box::pin(converse(client)),
    )
};

/// More than any word.
const LINE_BYTES: usize = 64 << 10;

/// Who has begun a line has ended it by then, or is shown out.
const WHOLE_WITHIN: Duration = Duration::from_secs(2);

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let mut lines = Lines::up_to(LINE_BYTES).whole_within(WHOLE_WITHIN);
    while let Some(whole) = lines.next(client).await? {
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let answer: &[u8] = match line {
                b"RIDE\n" => b"ROUND AND ROUND\n",
                _ => b"WHAT?\n",
            };
            client.write_all(answer).await?;
        }
    }
    Ok(())
}
