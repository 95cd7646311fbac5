//! What the program tells a maintainer of its own doings, where it is asked to: `SOCKDRILL_LOG=debug` tells checks, trials, starts of
//! servers, phases and steps, with the time that each took, and `trace` all that is seen.

use crate::model::error::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The variable that asks.
const ASKED: &str = "SOCKDRILL_LOG";

/// Writes what is told to the standard error from now on, where that is asked for.
///
/// # Errors
/// What is asked for is no level.
pub(super) fn begin() -> Result<(), Error> {
    let Ok(level) = std::env::var(ASKED) else {
        return Ok(());
    };
    let level: LevelFilter = level.parse().map_err(|_| {
        Error::Usage(format!(
            "{ASKED}={level} is no level; there are off, error, warn, info, debug and trace"
        ))
    })?;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
