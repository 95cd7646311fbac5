//! How many descriptors this process may have, and who may take some of them now: no trial begins that would run out.

use crate::judge::Skip;
use crate::launch::lab::most_ahead;
use crate::model::scenario::Scenario;
use crate::session::Turn;
use crate::sys::own_limits::{most_open_files, open_files_now};
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a lab, its server and the loop that drives both take, with the sockets that are opened ahead.
pub(super) fn of_a_lab() -> u64 {
    20 + most_ahead() as u64
}

/// What is left for what takes some for a moment, as starting a server does, and for the run itself.
const IN_RESERVE: u64 = 20;

/// As many as anybody needs at a time; the kernel would give some hosts a thousand times more.
const MOST: u64 = 1 << 18;

/// What there is for trials.
struct Stock {
    size: u64,
    left: Arc<Semaphore>,
}

fn stock() -> &'static Stock {
    static STOCK: OnceLock<Stock> = OnceLock::new();
    STOCK.get_or_init(|| {
        let free = most_open_files().saturating_sub(open_files_now() + IN_RESERVE);
        let size = free.min(MOST);
        Stock {
            size,
            left: Arc::new(Semaphore::new(size as usize)),
        }
    })
}

/// How many of these jobs there are descriptors for.
pub(super) fn jobs(wanted: usize) -> usize {
    wanted.min((stock().size / of_a_lab()) as usize).max(1)
}

/// The most clients that a trial can have on this host, beside those that come before it and stand by.
pub(super) fn most_clients() -> u32 {
    stock().size.saturating_sub(of_a_lab() + BESIDE).max(1) as u32
}

/// A polite client and a bystander.
const BESIDE: u64 = 2;

/// The most that any of these scenarios takes.
pub(super) fn needed(scenarios: &[Scenario]) -> u64 {
    let clients = |scenario: &Scenario| {
        let groups = scenario.clients.iter();
        groups.map(|group| u64::from(group.members)).sum::<u64>()
    };
    let most = scenarios.iter().map(clients).max();
    of_a_lab() + BESIDE + most.unwrap_or(0)
}

/// Waits until so many are free, and holds them.
pub(super) async fn take(needed: u64) -> Result<Option<OwnedSemaphorePermit>, Skip> {
    let stock = stock();
    if needed > stock.size {
        let given = stock.size;
        return Err(Skip::TooFewDescriptors { needed, given });
    }
    // The semaphore is closed by nobody.
    let left = Arc::clone(&stock.left).acquire_many_owned(needed as u32);
    Ok(left.await.ok())
}

/// The same of who has a turn. Who holds what is waited for may itself wait for a place.
pub(super) async fn take_in_turn(
    needed: u64,
    turn: &Turn,
) -> Result<Option<OwnedSemaphorePermit>, Skip> {
    match take_at_once(needed) {
        Some(held) => Ok(Some(held)),
        None => {
            turn.make_room();
            turn.in_line(take(needed)).await
        }
    }
}

/// The same where so many are free now.
pub(super) fn take_at_once(needed: u64) -> Option<OwnedSemaphorePermit> {
    let needed = u32::try_from(needed).ok()?;
    Arc::clone(&stock().left)
        .try_acquire_many_owned(needed)
        .ok()
}

/// What up to so many more take who perform these scenarios at the same time, as far as it is free.
pub(super) fn take_for_others(scenarios: &[Scenario], most: usize) -> Vec<OwnedSemaphorePermit> {
    let needed = needed(scenarios);
    (0..most).map_while(|_| take_at_once(needed)).collect()
}

/// The same where less has to do.
pub(super) async fn take_what_there_is(needed: u64, turn: &Turn) -> Option<OwnedSemaphorePermit> {
    let there_is = needed.min(stock().size);
    take_in_turn(there_is, turn).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::scenario;

    #[test]
    fn largest_crowd_is_what_counts() {
        let of = |members| scenario("case", &[("crowd", members), ("alice", 1)], Vec::new());
        assert_eq!(needed(&[of(10), of(100), of(1)]), of_a_lab() + BESIDE + 101);
    }

    #[tokio::test]
    async fn what_the_host_never_gives_is_not_waited_for() {
        let given = stock().size;
        assert_eq!(
            take(given + 1).await.err(),
            Some(Skip::TooFewDescriptors {
                needed: given + 1,
                given
            })
        );
        assert!(
            take_what_there_is(given + 1, &Turn::default())
                .await
                .is_some()
        );
    }
}
