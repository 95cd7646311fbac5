//! A part of what is selected, for a run that is spread over machines.

use super::stable_hash::fnv_1a;
use std::fmt;
use std::str::FromStr;

/// A part of what a run selects: other machines take the others, and `sockdrill report merge` makes one report of all.
///
/// ```
/// use sockdrill::Partition;
///
/// let first: Partition = "slice:1/3".parse().expect("the first of three");
/// assert!("slice:4/3".parse::<Partition>().is_err());
/// assert_eq!(first.to_string(), "slice:1/3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    by: By,
    part: usize,
    of: usize,
}

/// How it is told which part something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// By its place among all that are selected, sorted by name: parts are of one size.
    Slice,
    /// By its name alone: whatever else is selected, it stays in its part.
    Hash,
}

/// There are far fewer checks and scenarios; and each part of which there is no report is named.
const MOST_PARTS: usize = 10_000;

/// Why a text says no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no part of a run; write slice:1/3 or hash:1/3 for the first of three, of {MOST_PARTS} at most"
)]
pub struct NoPartition(String);

impl Partition {
    /// Says of each of these names whether it belongs to the part.
    pub(crate) fn takes(self, names: &[&str]) -> Vec<bool> {
        let mut sorted: Vec<usize> = (0..names.len()).collect();
        sorted.sort_by_key(|n| names[*n]);
        let mut takes = vec![false; names.len()];
        for (place, n) in sorted.into_iter().enumerate() {
            let part = match self.by {
                By::Slice => place % self.of,
                By::Hash => (fnv_1a(names[n].bytes()) % self.of as u64) as usize,
            };
            takes[n] = part + 1 == self.part;
        }
        takes
    }

    /// Every part of the run that this is one of.
    pub(crate) fn all(self) -> impl Iterator<Item = Self> {
        (1..=self.of).map(move |part| Self { part, ..self })
    }

    /// The items of which the names belong to the part.
    pub(crate) fn part_of<T>(self, items: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
        let names: Vec<&str> = items.iter().map(name).collect();
        let takes = self.takes(&names);
        let items = items.into_iter().zip(takes);
        let taken = items.filter_map(|(item, takes)| takes.then_some(item));
        taken.collect()
    }
}

impl FromStr for Partition {
    type Err = NoPartition;

    fn from_str(text: &str) -> Result<Self, NoPartition> {
        let read = || {
            let (by, rest) = text.split_once(':')?;
            let by = match by {
                "slice" => By::Slice,
                "hash" => By::Hash,
                _ => return None,
            };
            let (part, of) = rest.split_once('/')?;
            let (part, of) = (part.parse().ok()?, of.parse().ok()?);
            let is_part = (1..=of).contains(&part) && of <= MOST_PARTS;
            is_part.then_some(Self { by, part, of })
        };
        read().ok_or_else(|| NoPartition(text.to_owned()))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, part, of } = self;
        let by = match by {
            By::Slice => "slice",
            By::Hash => "hash",
        };
        write!(f, "{by}:{part}/{of}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = ["d", "a", "g", "b", "e", "c", "f"];

    fn part(text: &str) -> Vec<&'static str> {
        let partition: Partition = text.parse().unwrap();
        partition.part_of(NAMES.to_vec(), |name| name)
    }

    #[test]
    fn every_name_is_in_one_part() {
        for by in ["slice", "hash"] {
            let parts = [1, 2, 3].map(|n| part(&format!("{by}:{n}/3")));
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, ["a", "b", "c", "d", "e", "f", "g"], "{by}");
        }
    }

    #[test]
    fn slices_count_over_sorted_names_and_keep_the_order_that_was_given() {
        assert_eq!(part("slice:1/3"), ["d", "a", "g"]);
        assert_eq!(part("slice:3/3"), ["c", "f"]);
    }

    #[test]
    fn hash_asks_for_the_name_alone() {
        let second: Partition = "hash:2/2".parse().unwrap();
        let alone = |name: &&&str| second.takes(&[name]) == [true];
        let alone: Vec<&str> = NAMES.iter().filter(alone).copied().collect();
        assert_eq!(part("hash:2/2"), alone);
        assert_eq!(fnv_1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn what_is_no_part_says_what_to_write() {
        for text in [
            "slice:0/3",
            "slice:4/3",
            "hash:1",
            "count:1/3",
            "slice:1/0",
            "slice:1/10001",
            "",
        ] {
            let error = text.parse::<Partition>().unwrap_err().to_string();
            assert!(error.contains("write slice:1/3"), "{error}");
        }
    }
}
