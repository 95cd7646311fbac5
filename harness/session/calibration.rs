//! Our own echo server under the same load: a limit that it would miss too is not held against another.

use crate::model::limits::CALIBRATED_WITHIN;
use crate::reference::{self, Running};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How many round trips are made; the slowest counts.
const ROUND_TRIPS: usize = 5;

static ECHO: OnceLock<Option<Running>> = OnceLock::new();

/// The slowest of a few conversations with our own echo server; the longest wait where it did not answer at all.
pub(crate) fn slowest_round_trip() -> Duration {
    let echo = ECHO.get_or_init(|| reference::find("echo").and_then(|echo| echo.start().ok()));
    let Some(echo) = echo else {
        // Nothing to compare with, and nothing to excuse.
        return Duration::ZERO;
    };
    let times = (0..ROUND_TRIPS).map(|_| {
        let begun = Instant::now();
        match round_trip(echo) {
            Ok(()) => begun.elapsed(),
            Err(_) => CALIBRATED_WITHIN,
        }
    });
    times.max().unwrap_or_default()
}

fn round_trip(echo: &Running) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&echo.address(), CALIBRATED_WITHIN)?;
    stream.set_read_timeout(Some(CALIBRATED_WITHIN))?;
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])
}
