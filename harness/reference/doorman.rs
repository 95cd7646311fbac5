//! A door with a crowd before it: who comes is greeted and asked for one word, and the more are there the fewer are let in. Where
//! somebody with a wrong word came from, nobody is let in for a while.

use super::conversation::Conversation;
use super::lines::Lines;
use super::server::{ReferenceServer, Room};
use crate::model::profile::Drops;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) const DOORMAN: ReferenceServer = ReferenceServer {
    room: Some(Room {
        most: 40,
        refusal: LATER,
        drops: Drops::Some,
    }),
    ..ReferenceServer::stream(
        "doorman",
        "Greets, lets in who says PASS, then closes; of those who come while forty are there some are turned away, and for a while \
         whoever comes from where somebody with a wrong word came from.",
        |client| Box::pin(converse(client)),
    )
};

/// What those are told who are turned away.
const LATER: &[u8] = b"COME BACK LATER\n";

/// More than any word.
const LINE_BYTES: usize = 64 << 10;

/// For how long nobody is let in from where somebody with a wrong word came from.
const TURNED_AWAY: Duration = Duration::from_secs(3);

/// Where those with a wrong word came from, and until when nobody is let in from there.
static UNWELCOME: LazyLock<Mutex<HashMap<IpAddr, Instant>>> = LazyLock::new(Mutex::default);

/// Those who are unwelcome yet.
fn unwelcome() -> MutexGuard<'static, HashMap<IpAddr, Instant>> {
    let mut unwelcome = UNWELCOME.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    unwelcome.retain(|_, until| *until > now);
    unwelcome
}

async fn converse(client: &mut Conversation) -> io::Result<()> {
    let source = client.source();
    if source.is_some_and(|source| unwelcome().contains_key(&source)) {
        return client.write_all(LATER).await;
    }
    client.write_all(b"hello from doorman\n").await?;
    let said = Lines::up_to(LINE_BYTES).next(client).await?;
    let mut lines = said
        .iter()
        .flat_map(|said| said.split_inclusive(|byte| *byte == b'\n'));
    match lines.next() {
        Some(b"PASS\n") => client.write_all(b"GO IN\n").await,
        Some(_) => {
            let until = Instant::now() + TURNED_AWAY;
            unwelcome().extend(source.map(|source| (source, until)));
            client.write_all(b"GO AWAY\n").await
        }
        None => Ok(()),
    }
}
