//! How well the harness itself is served by the machine: the longest time for which a thread that only sleeps was
//! not woken. Limits are held against a server only where this is small.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// How often the thread wants to be woken.
const BEAT: Duration = Duration::from_millis(20);

/// Delays below this are ordinary.
const NOTICED: Duration = Duration::from_millis(50);

/// How many delays are remembered.
const REMEMBERED: usize = 1_000;

static DELAYS: Mutex<VecDeque<(Instant, Duration)>> = Mutex::new(VecDeque::new());
static STARTED: OnceLock<()> = OnceLock::new();

/// Starts the measurement, once for the process.
pub(crate) fn start() {
    STARTED.get_or_init(|| {
        let started = std::thread::Builder::new().name("pulse".to_owned());
        // Without the thread nothing is measured, and nothing is excused by it.
        let _ = started.spawn(beat);
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where sleeping is what is measured"
)]
fn beat() {
    loop {
        let before = Instant::now();
        std::thread::sleep(BEAT);
        let late = before.elapsed().saturating_sub(BEAT);
        if late > NOTICED
            && let Ok(mut delays) = DELAYS.lock()
        {
            delays.push_back((Instant::now(), late));
            if delays.len() > REMEMBERED {
                delays.pop_front();
            }
        }
    }
}

/// How badly we were served since a moment: the longest delay, or half of all of them where many short ones add up;
/// zero where none was out of the ordinary.
pub(crate) fn delay_since(moment: Instant) -> Duration {
    let Ok(delays) = DELAYS.lock() else {
        return Duration::ZERO;
    };
    let since = delays.iter().rev().take_while(|(at, _)| *at >= moment);
    let (longest, all) = since.fold(
        (Duration::ZERO, Duration::ZERO),
        |(longest, all), (_, late)| (longest.max(*late), all + *late),
    );
    longest.max(all / 2)
}
