//! What sockdrill takes, beside the same in bare system calls: servers from start to end, connections, bytes, a crowd, drawn
//! cases, and what a whole battery uses of the host. It prints and judges nothing: `cargo bench --bench throughput`, behind
//! `--` perhaps with words of which a row has to have one.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

/// The floor: the same without sockdrill.
mod bare;
/// The same by sockdrill.
mod drilled;

use std::time::Duration;

/// How often most figures are taken; the median is printed.
const ROUNDS: usize = 3;

/// A figure, and what is the least that it can be.
struct Row {
    name: &'static str,
    rounds: usize,
    /// How long one of its kind takes.
    drilled: fn() -> Drilled,
    /// `None` where what it takes is not there.
    bare: fn() -> Option<Duration>,
    shown: fn(Duration) -> String,
}

/// How long something took by sockdrill, and the most memory that sockdrill had.
struct Drilled {
    took: Duration,
    peak_bytes: u64,
}

const ROWS: &[Row] = &[
    Row {
        name: "a server: start, exchange, stop",
        rounds: ROUNDS,
        drilled: || drilled::servers(1),
        bare: || Some(bare::server()),
        shown: milliseconds,
    },
    Row {
        name: "a server, two at a time",
        rounds: ROUNDS,
        drilled: || drilled::servers(2),
        bare: || Some(bare::server()),
        shown: milliseconds,
    },
    Row {
        name: "a server, beside VTest2's threads",
        rounds: ROUNDS,
        drilled: || drilled::servers(2),
        bare: bare::vtest,
        shown: milliseconds,
    },
    Row {
        name: "connect, exchange, close",
        rounds: ROUNDS,
        drilled: || drilled::connections("send \"hello\"\nexpect \"hello\"\nclose"),
        bare: || Some(bare::exchange()),
        shown: microseconds,
    },
    Row {
        name: "connect, reset",
        rounds: ROUNDS,
        drilled: || drilled::connections("reset"),
        bare: || Some(bare::reset()),
        shown: microseconds,
    },
    Row {
        name: "16 MiB through echo",
        rounds: ROUNDS,
        drilled: || drilled::bytes(16),
        bare: || Some(bare::bytes(16)),
        shown: milliseconds,
    },
    Row {
        name: "64 MiB through echo",
        rounds: ROUNDS,
        drilled: || drilled::bytes(64),
        bare: || Some(bare::bytes(64)),
        shown: milliseconds,
    },
    Row {
        name: "crowd of 1,000: a word each",
        rounds: ROUNDS,
        drilled: || drilled::crowd(1_000),
        bare: || Some(bare::crowd(1_000)),
        shown: milliseconds,
    },
    Row {
        name: "crowd of 10,000: a word each",
        rounds: 1,
        drilled: || drilled::crowd(10_000),
        bare: || Some(bare::crowd(10_000)),
        shown: milliseconds,
    },
    Row {
        name: "property/stream, a case",
        rounds: ROUNDS,
        drilled: || drilled::property("echo", "property/stream"),
        bare: || Some(bare::exchange()),
        shown: rate,
    },
    Row {
        name: "property/line, a case",
        rounds: ROUNDS,
        drilled: || drilled::property("line-echo", "property/line"),
        bare: || Some(bare::exchange()),
        shown: rate,
    },
    Row {
        name: "property/datagram, a case",
        rounds: ROUNDS,
        drilled: || drilled::property("udp-echo", "property/datagram"),
        bare: || None,
        shown: rate,
    },
    Row {
        name: "property/exchange, a case",
        rounds: ROUNDS,
        drilled: || drilled::property("chat", "property/exchange"),
        bare: || Some(bare::exchange()),
        shown: rate,
    },
];

fn main() {
    // Cargo says what kind of a run this is.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    println!(
        "{:<34} {:>14} {:>14} {:>7} {:>9}",
        "", "sockdrill", "bare", "ratio", "memory"
    );
    for row in ROWS.iter().filter(|row| is_wanted(row.name)) {
        println!("{}", line(row));
    }
    for server in ["echo", "redis", "memcached", "nginx"] {
        let name = format!("battery on {server}");
        if is_wanted(&name) {
            drilled::print_battery(&name, server);
        }
    }
}

fn line(row: &Row) -> String {
    let (mut drilled, mut peak_bytes) = (Vec::new(), 0);
    for _ in 0..row.rounds {
        let round = (row.drilled)();
        drilled.push(round.took);
        peak_bytes = round.peak_bytes.max(peak_bytes);
    }
    let drilled = median(drilled);
    let bare: Option<Vec<Duration>> = (0..row.rounds).map(|_| (row.bare)()).collect();
    let bare = bare.map(median);
    let ratio = bare.map(|bare| drilled.as_secs_f64() / bare.as_secs_f64());
    format!(
        "{:<34} {:>14} {:>14} {:>7} {:>5} MiB",
        row.name,
        (row.shown)(drilled),
        bare.map(row.shown).unwrap_or_default(),
        ratio.map(|ratio| format!("{ratio:.1}")).unwrap_or_default(),
        peak_bytes >> 20
    )
}

fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds[rounds.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

/// How many there are a second.
fn rate(time: Duration) -> String {
    format!("{:.0} /s", 1.0 / time.as_secs_f64())
}
