//! A script that is performed on servers that have just been started.

use super::replies::Replies;
use super::script::Script;
use super::watch::interrupted;
use crate::launch::Target;
use crate::model::error::Error;
use crate::model::literal::Excerpt;
use crate::runner::{Circumstances, Settings, block_on, replayed};
use std::time::{Duration, SystemTime};

/// Performs it so often on one server, and returns what the server said each time.
pub(super) fn said_again(
    server: &Target,
    script: &Script,
    settings: &Settings,
    (circumstances, times): (Circumstances, usize),
) -> Result<Vec<Replies>, Error> {
    let (scenario, lines) = script.scenario();
    let seen = replayed(server, &scenario, settings, (circumstances, times))?;
    let replies = seen.iter().map(|seen| Replies::to(script, &lines, seen));
    match seen.len() == times {
        true => Ok(replies.collect()),
        false => Err(interrupted()),
    }
}

/// The client got another kind of answer itself than who repeats its words.
pub(super) fn told_otherwise(told: &[u8], heard: &[u8]) -> Error {
    Error::NotLearned(format!(
        "the client was told {}, and who says the same again is told {}; what the client says may depend on what it was told \
         before, as with a token, which cannot be repeated; let the client do without",
        Excerpt::of(told),
        Excerpt::of(heard)
    ))
}

/// Waits until the clock shows another second: what servers make of the time, a date or the mark of a file, is the same within one.
pub(super) fn until_another_second() -> Result<(), Error> {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let begun = Duration::from_nanos(since.subsec_nanos().into());
    let rest = Duration::from_secs(1).saturating_sub(begun);
    block_on(async move { tokio::time::sleep(rest).await })
}
