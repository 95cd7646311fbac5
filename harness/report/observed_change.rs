//! Which observations are otherwise than they were. What is measured differs a little each time, which is no news.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Observations whose numbers are those of one run: only their words are compared.
const OF_ONE_RUN: &[&str] = &["address", "reply_time"];

/// Observations that are a measured number and nothing else.
const MEASURED: &[&str] = &["memory_mib"];

/// So much more of them is none.
const FEW: f64 = 2.0;

/// What stands behind a number that was measured, and how much more of it may be the host's: who is busy lets others wait.
const UNITS: &[(&str, f64)] = &[("ms", 100.0), ("s", 0.1), ("min", 0.0)];

/// How many times another one a measured number may be, and be none.
const ALIKE: f64 = 2.0;

/// An observation that is otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Observed {
    pub name: String,
    /// None where nothing was observed.
    pub old: Option<String>,
    pub new: Option<String>,
}

/// The observations that are otherwise, sorted by name.
pub(super) fn changes(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<Observed> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let observed = names.into_iter().map(|name| Observed {
        name: name.clone(),
        old: old.get(name).cloned(),
        new: new.get(name).cloned(),
    });
    observed.filter(Observed::is_news).collect()
}

impl Observed {
    fn is_news(&self) -> bool {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => !is_alike(&self.name, old, new),
            (old, new) => old != new,
        }
    }
}

fn is_alike(name: &str, old: &str, new: &str) -> bool {
    let (old, new): (Vec<&str>, Vec<&str>) = (words(old), words(new));
    let is_of_one_run = OF_ONE_RUN.contains(&name);
    let of_a_unit = |n: usize| {
        let unit = old.get(n + 1)?.trim_end_matches([')', ',', '.', ';']);
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        known.map(|(_, slack)| *slack)
    };
    let slack = |n: usize| match MEASURED.contains(&name) {
        true => Some(FEW),
        false => of_a_unit(n),
    };
    let alike = |(n, (old, new)): (usize, (&&str, &&str))| {
        let numbers = number(old).zip(number(new));
        let is_near = |old: f64, new: f64| {
            slack(n).is_some_and(|slack| old.max(new) <= ALIKE * old.min(new) + slack)
        };
        old == new || numbers.is_some_and(|(old, new)| is_of_one_run || is_near(old, new))
    };
    old.len() == new.len() && old.iter().zip(&new).enumerate().all(alike)
}

/// The words of an observation; an address and its port are two.
fn words(text: &str) -> Vec<&str> {
    text.split([' ', ':', '(']).collect()
}

fn number(word: &str) -> Option<f64> {
    word.trim_end_matches([')', ',', '.', ';']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_news_where_it_is_of_another_kind() {
        for (name, old, new, alike) in [
            ("idle", "closes after 5.0 s", "closes after 5.1 s", true),
            ("idle", "closes after 5.0 s", "closes after 60.0 s", false),
            (
                "idle",
                "closes after 5.0 s",
                "stays open (watched for 2 s)",
                false,
            ),
            (
                "idle",
                "open (watched for 2 s)",
                "open (watched for 3 s)",
                true,
            ),
            ("backlog", "1024", "1000", false),
            ("memory_mib", "20", "22", true),
            ("memory_mib", "20", "60", false),
            ("memory_mib", "1", "3", true),
            ("stop", "ends 0.3 ms later", "ends 16.1 ms later", true),
            ("stop", "ends 0.3 ms later", "ends 4.2 s later", false),
            ("address", "127.0.0.1:40001", "127.0.0.1:51234", true),
            ("address", "127.0.0.1:40001", "0.0.0.0:40001", false),
            (
                "reply_time",
                "begins after 0.0 ms (worst 1.4 ms), 20 exchanges",
                "begins after 0.0 ms (worst 4.4 ms), 20 exchanges",
                true,
            ),
            (
                "hup",
                "was ended by signal 1 (SIGHUP)",
                "exits with status 1",
                false,
            ),
        ] {
            assert_eq!(is_alike(name, old, new), alike, "{old} {new}");
        }
    }

    #[test]
    fn what_is_observed_no_more_is_told() {
        let one = BTreeMap::from([("idle".to_owned(), "stays open".to_owned())]);
        let told = changes(&one, &BTreeMap::new());
        assert_eq!((told.len(), &told[0].new), (1, &None));
        assert!(changes(&one, &one).is_empty());
    }
}
