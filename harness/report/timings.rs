//! Where the time of a run went, as a table.

use super::piece::Piece;
use super::written::{WrittenCheck, milliseconds};
use crate::model::literal::Measured;
use crate::model::spent::{ALL, Spent, SpentOn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many checks are named that took the longest.
const SLOWEST: usize = 8;

/// How wide the words for what time is spent on are.
const WIDTH: usize = 12;

/// How far what is said beside a row is indented.
const BESIDE: usize = WIDTH + 3;

/// Less is 0.00 seconds.
const LEAST_TOLD: f64 = 0.005;

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
    pub(super) fn table(&self, checks: &[WrittenCheck], wall_ms: u64) -> Vec<Piece> {
        let all = sum(self.spent_ms.values());
        let head = "where the time went, summed over what ran side by side:";
        let mut pieces = vec![Piece::exact(head)];
        for what in ALL {
            let time = spent_on(what, &self.spent_ms);
            pieces.push(Piece::exact(format!(
                "  {:<WIDTH$} {:<37} {} {:>4} %",
                what.word(),
                in_words(what),
                Seconds(time),
                share(time, all)
            )));
            pieces.extend(self.beside(what));
        }
        let row = |name, time| Piece::exact(format!("  {name:<50} {}", Seconds(time)));
        pieces.extend([row("all of these", all), row("by the clock", wall_ms)]);
        let of_the_host = format!(
            "{} of processor time ({} % of one), {} MiB of memory at most",
            Measured(Duration::from_millis(self.processor_ms)),
            share(self.processor_ms, wall_ms),
            self.peak_memory_bytes.div_ceil(1 << 20)
        );
        pieces.push(Piece::prose("  of the host  ", BESIDE, of_the_host));
        pieces.extend(slowest(checks));
        pieces
    }

    /// What else is to be said of it.
    fn beside(&self, what: SpentOn) -> Option<Piece> {
        let mut starts = self.starts_ms.clone();
        starts.sort_unstable();
        let median = starts.get(starts.len() / 2);
        let median = median.filter(|_| what == SpentOn::Start)?;
        let text = format!(
            "{} started, {} for one of them (median), {} for all",
            starts.len(),
            Measured(Duration::from_millis(*median)),
            Measured(Duration::from_millis(sum(&starts)))
        );
        Some(Piece::prose(" ".repeat(BESIDE), BESIDE, text))
    }
}

/// All of these times. They may be of a file that anybody has written: what is too much is the most that there is.
fn sum<'a>(times: impl IntoIterator<Item = &'a u64>) -> u64 {
    let times = times.into_iter();
    times.fold(0, |all, time| all.saturating_add(*time))
}

/// The checks that took the longest, with what it was spent on.
fn slowest(checks: &[WrittenCheck]) -> Vec<Piece> {
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
        return Vec::new();
    }
    let head = [Piece::gap(), Piece::exact("  the slowest, in seconds")];
    let rows = spent.into_iter().map(|(check, spent, all)| {
        let lead = format!("  {:>8.2}  ", all as f64 / 1e3);
        Piece::prose(lead, BESIDE, format!("{}: {}", check.id, parts(spent)))
    });
    head.into_iter().chain(rows).collect()
}

/// What the time of one check was spent on, the most first; what came to nothing is not told.
fn parts(spent: &BTreeMap<String, u64>) -> String {
    let mut parts = ALL.map(|what| (spent_on(what, spent), what.word()));
    parts.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let told = parts.iter().map(|(time, word)| (*time as f64 / 1e3, word));
    let told = told.filter(|(seconds, _)| *seconds >= LEAST_TOLD);
    let told: Vec<String> = told
        .map(|(seconds, word)| format!("{word} {seconds:.2}"))
        .collect();
    told.join(", ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_a_check_is_told_by_what_took_most_of_it() {
        let spent = [("scenario", 1_234), ("rest", 4_000), ("line", 4)];
        let spent = spent.map(|(word, time)| (word.to_owned(), time));
        let told = parts(&BTreeMap::from(spent));
        assert_eq!(told, "rest 4.00, scenario 1.23");
    }
}
