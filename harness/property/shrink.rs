//! From a failing chapter to the smallest case that fails as well.

use super::plan::Play;
use super::{Rules, Tree};
use crate::error::Error;
use crate::step::Scenario;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The most that may be tried, each time on a server of its own.
const ATTEMPTS: usize = 400;

/// How often a case is tried before it counts as one that does not fail: many failures need luck as well.
const TRIES: usize = 2;

/// The longest that may be tried. A case that is not the smallest is better than a long wait.
const TIME: Duration = Duration::from_secs(45);

/// Seeks the smallest case that still fails; `fails` performs a scenario on a healthy server.
///
/// # Errors
/// What keeps a scenario from being performed.
pub(crate) async fn smallest(
    rules: &Rules<'_>,
    chapter: usize,
    name: &str,
    fails: impl AsyncFnMut(&Scenario) -> Result<bool, Error>,
) -> Result<Option<Scenario>, Error> {
    let mut search = Search {
        rules,
        name,
        fails,
        known: HashMap::new(),
        begun: Instant::now(),
        best: None,
    };
    let mut trees = rules.trees(chapter);
    search.leave_out(&mut trees).await?;
    for n in 0..trees.len() {
        search.simplify(&mut trees, n).await?;
    }
    search.leave_out(&mut trees).await?;
    Ok(search.best)
}

struct Search<'a, F> {
    rules: &'a Rules<'a>,
    name: &'a str,
    fails: F,
    /// What came of scenarios that were tried before: different plays often become the same scenario.
    known: HashMap<String, bool>,
    begun: Instant,
    best: Option<Scenario>,
}

impl<F: AsyncFnMut(&Scenario) -> Result<bool, Error>> Search<'_, F> {
    /// Whether these plays fail; once the search has taken too long, none does.
    async fn fails(&mut self, plays: &[Play]) -> Result<bool, Error> {
        let scenario = self.rules.chapter(self.name, plays);
        let text = scenario.to_string();
        if let Some(known) = self.known.get(&text) {
            return Ok(*known);
        }
        if self.known.len() >= ATTEMPTS || self.begun.elapsed() > TIME {
            return Ok(false);
        }
        let mut failed = false;
        for _ in 0..TRIES {
            failed = failed || (self.fails)(&scenario).await?;
        }
        if failed {
            self.best = Some(scenario);
        }
        self.known.insert(text, failed);
        Ok(failed)
    }

    /// Leaves out plays: half of them at a time, then a quarter, then each alone.
    async fn leave_out(&mut self, trees: &mut Vec<Tree>) -> Result<(), Error> {
        let mut size = trees.len().div_ceil(2);
        while size > 0 && trees.len() > 1 {
            let mut at = 0;
            while at < trees.len() && trees.len() > 1 {
                let end = (at + size).min(trees.len());
                let rest = trees[..at].iter().chain(&trees[end..]);
                let rest: Vec<Play> = rest.map(|tree| tree.current()).collect();
                if !rest.is_empty() && self.fails(&rest).await? {
                    trees.drain(at..end);
                } else {
                    at = end;
                }
            }
            size = match size {
                1 => 0,
                size => size.div_ceil(2),
            };
        }
        Ok(())
    }

    /// Makes one play smaller while the others stay as they are.
    async fn simplify(&mut self, trees: &mut [Tree], n: usize) -> Result<(), Error> {
        if !trees[n].simplify() {
            return Ok(());
        }
        loop {
            let plays: Vec<Play> = trees.iter().map(|tree| tree.current()).collect();
            let goes_on = match self.fails(&plays).await? {
                true => trees[n].simplify(),
                false => trees[n].complicate(),
            };
            if !goes_on {
                return Ok(());
            }
        }
    }
}
