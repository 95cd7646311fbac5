//! Where the time of a run went, as a table.

use super::written::{WrittenCheck, milliseconds};
use crate::model::literal::Measured;
use crate::model::spent::{ALL, Spent, SpentOn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// How many checks are named that took the longest.
const SLOWEST: usize = 8;

/// How wide a column is.
const WIDTH: usize = 12;

/// Where the time of a run went.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    /// What was spent by all that ran side by side.
    pub spent: Spent,
    /// The processor time of our own process.
    pub processor: Duration,
    /// The most memory that it had.
    pub peak_memory_bytes: u64,
}

/// The same as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenTimings {
    spent_ms: BTreeMap<String, u64>,
    /// How long each server took to start.
    starts_ms: Vec<u64>,
    processor_ms: u64,
    peak_memory_bytes: u64,
}

impl WrittenTimings {
    pub(super) fn of(timings: &Timings) -> Self {
        Self {
            spent_ms: Self::of_one(&timings.spent),
            starts_ms: timings
                .spent
                .starts
                .iter()
                .copied()
                .map(milliseconds)
                .collect(),
            processor_ms: milliseconds(timings.processor),
            peak_memory_bytes: timings.peak_memory_bytes,
        }
    }

    /// What one result's time was spent on.
    pub(super) fn of_one(spent: &Spent) -> BTreeMap<String, u64> {
        let spent = ALL.map(|what| (what.word().to_owned(), milliseconds(spent.on(what))));
        spent.into_iter().collect()
    }

    /// Adds those of another part of the run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (word, time) in &other.spent_ms {
            let spent = self.spent_ms.entry(word.clone()).or_default();
            *spent = sum([&*spent, time]);
        }
        self.starts_ms.extend(&other.starts_ms);
        self.processor_ms = sum([&self.processor_ms, &other.processor_ms]);
        self.peak_memory_bytes = self.peak_memory_bytes.max(other.peak_memory_bytes);
    }

    /// The table: what time was spent on, and which checks took the longest.
    pub(super) fn table(&self, checks: &[WrittenCheck], wall_ms: u64) -> String {
        let all = sum(self.spent_ms.values());
        let mut text = "where the time went, summed over what ran side by side:\n".to_owned();
        for what in ALL {
            let time = spent_on(what, &self.spent_ms);
            let share = share(time, all);
            let line = format!(
                "  {:<WIDTH$} {:<37} {} {share:>4} %{}",
                what.word(),
                in_words(what),
                Seconds(time),
                self.beside(what)
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "  {:<50} {}", "all of these", Seconds(all));
        let _ = writeln!(
            text,
            "  {:<50} {}         {} of processor time ({} % of one), {} MiB of memory at most",
            "by the clock, and of the host",
            Seconds(wall_ms),
            Measured(Duration::from_millis(self.processor_ms)),
            share(self.processor_ms, wall_ms),
            self.peak_memory_bytes.div_ceil(1 << 20)
        );
        text + &slowest(checks)
    }

    /// What else is to be said of it.
    fn beside(&self, what: SpentOn) -> String {
        let mut starts = self.starts_ms.clone();
        starts.sort_unstable();
        match (what, starts.get(starts.len() / 2)) {
            (SpentOn::Start, Some(median)) => format!(
                "  {} started, {} for one of them (median), {} for all",
                starts.len(),
                Measured(Duration::from_millis(*median)),
                Measured(Duration::from_millis(sum(&starts)))
            ),
            _ => String::new(),
        }
    }
}

/// All of these times. They may be of a file that anybody has written: what is too much is the most that there is.
fn sum<'a>(times: impl IntoIterator<Item = &'a u64>) -> u64 {
    let times = times.into_iter();
    times.fold(0, |all, time| all.saturating_add(*time))
}

/// The checks that took the longest, with what it was spent on.
fn slowest(checks: &[WrittenCheck]) -> String {
    let spent = checks
        .iter()
        .filter_map(|check| Some((check, check.spent_ms.as_ref()?)));
    let mut spent: Vec<_> = spent
        .map(|(check, spent)| (check, spent, sum(spent.values())))
        .filter(|(_, _, all)| *all > 0)
        .collect();
    spent.sort_by_key(|(_, _, all)| std::cmp::Reverse(*all));
    spent.truncate(SLOWEST);
    if spent.is_empty() {
        return String::new();
    }
    let words = ALL.map(|what| format!("{:>WIDTH$}", what.word()));
    let mut text = format!(
        "\n  {:<32} {:>9} {}\n",
        "the slowest, in seconds",
        "all",
        words.join(" ")
    );
    for (check, spent, all) in spent {
        let times = ALL.map(|what| format!("{:>WIDTH$.2}", spent_on(what, spent) as f64 / 1e3));
        let _ = writeln!(
            text,
            "  {:<32} {:>9.2} {}",
            check.id,
            all as f64 / 1e3,
            times.join(" ")
        );
    }
    text
}

fn spent_on(what: SpentOn, spent: &BTreeMap<String, u64>) -> u64 {
    spent.get(what.word()).copied().unwrap_or(0)
}

/// What time is spent on, in more than a word.
fn in_words(what: SpentOn) -> &'static str {
    match what {
        SpentOn::Line => "waiting in line",
        SpentOn::Confirmation => "making sure of failures",
        SpentOn::Again => "trying again what proved nothing",
        SpentOn::Start => "start-up of servers",
        SpentOn::Rest => "waiting for rest",
        SpentOn::Scenario => "replies, and time that scenarios want",
        SpentOn::Work => "own work",
        SpentOn::Else => "all else",
    }
}

/// How many hundredths of all it is.
fn share(part: u64, all: u64) -> u64 {
    let [part, all] = [part, all].map(u128::from);
    (part * 100 + all / 2).checked_div(all).unwrap_or(0) as u64
}

/// Milliseconds as seconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>7.2} s", self.0 as f64 / 1e3)
    }
}
