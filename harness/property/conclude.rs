//! How many cases were concluded, where batches as a whole were not.

use super::rules::Rules;
use crate::judge::Verdict;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use std::time::{Duration, Instant};

/// The longest that cases are performed one by one; what is left then has proven nothing.
const TIME: Duration = Duration::from_secs(30);

/// Performs cases one by one and counts those that prove nothing, of `all` that there are. Ends at once where one fails,
/// and performs no more where the others do not matter.
///
/// # Errors
/// What keeps a case from being performed.
pub(crate) async fn unproven(
    cases: &[Scenario],
    all: usize,
    mut verdict_of: impl AsyncFnMut(&Scenario) -> Result<Verdict, Error>,
) -> Result<usize, Error> {
    let begun = Instant::now();
    let mut unproven = 0;
    for (n, case) in cases.iter().enumerate() {
        if begun.elapsed() > TIME || is_too_little(unproven, all) {
            return Ok(unproven + cases.len() - n);
        }
        match verdict_of(case).await? {
            Verdict::Inconclusive(_) => unproven += 1,
            Verdict::Fail(_) => break,
            Verdict::Pass | Verdict::Skip(_) => {}
        }
    }
    Ok(unproven)
}

/// Whether less than half of all cases are left that have shown something: then the property has not been looked at.
pub(crate) fn is_too_little(unproven: usize, all: usize) -> bool {
    unproven * 2 > all
}

impl Rules<'_> {
    /// Each case of a batch as a scenario of its own.
    pub(crate) fn cases_of(&self, batch: usize) -> Vec<Scenario> {
        let first = batch * self.cases_a_batch() + 1;
        let cases = self.cases(batch).into_iter();
        let numbered = (first..).zip(cases);
        numbered
            .map(|(number, case)| self.batch(&format!("case {number}"), &[case]))
            .collect()
    }
}
