//! A scenario that failed, made smaller before it is shown: without what it takes no part of to see the same.

use super::attempt::{Attempt, TRIES};
use super::job::Job;
use super::sure::Tried;
use crate::judge::{Cause, Evidence, Finding, Verdict};
use crate::model::error::Error;
use crate::model::expectation::Expectation;
use crate::model::lesser::{conversations, fewer, without};
use crate::model::profile::MostConnections;
use crate::model::scenario::Scenario;
use crate::model::spent::SpentOn;
use crate::model::subject::Subject;
use crate::report::data::Exhibit;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Puts a smaller scenario in the place of one that failed, where that shows the same as surely. It is sought for no longer than it
/// took to find the failure; where the run is over before, or the server cannot be started again, there is what was seen.
pub(super) async fn lessened(
    attempt: Attempt,
    polite: bool,
    found: Duration,
    job: Job<'_>,
) -> Attempt {
    let Some((wanted, whole)) = to_be_lessened(&attempt, job) else {
        return attempt;
    };
    let search = Search {
        job,
        wanted: &wanted,
        polite,
        until: Instant::now() + found,
    };
    let _confirmation = job.turn.spends_on(SpentOn::Confirmation);
    let smaller = tokio::select! {
        biased;
        smaller = search.smallest(&whole) => smaller,
        _ = job.until_over() => Ok(None),
    };
    match smaller {
        Ok(Some(smaller)) => told_beside(smaller, &attempt, &whole),
        Ok(None) | Err(_) => attempt,
    }
}

/// What a smaller scenario has to show, and the one that has shown it, where it failed each time.
fn to_be_lessened(attempt: &Attempt, job: Job<'_>) -> Option<(Wanted, Scenario)> {
    let Verdict::Fail(finding) = &attempt.verdict else {
        return None;
    };
    let is_sought = job.settings.shrink && attempt.under.is_none() && !job.subject.is_elsewhere;
    let is_sure = finding.evidence.iter().any(failed_each_time);
    let whole = reached(attempt.failed.as_ref()?, finding);
    let has_more = conversations(&whole).len() > 1 || !fewer(&whole).is_empty();
    let is_wrong = finding.cause.is_wrong_without_others();
    let is_shown = is_wrong && is_owed_alone(finding, &whole, job.subject) && has_more;
    (is_sought && is_sure && is_shown).then(|| (Wanted::of(finding), whole))
}

/// Whether what a client did not get, where that is what failed, is owed to whoever asks for it: it had spoken on its connection,
/// and it is not what those are told for whom there is no room.
fn is_owed_alone(finding: &Finding, whole: &Scenario, subject: &Subject) -> bool {
    let Cause::StepFailed { expected, .. } = &finding.cause else {
        return true;
    };
    let promises = &subject.profile.promises;
    let refusal = promises
        .most_connections
        .as_ref()
        .and_then(MostConnections::text);
    let is_refusal = refusal.is_some_and(|text| **expected == Expectation::Template(text.clone()));
    let halt = finding.halt.as_ref();
    let step = halt.and_then(|halt| halt.step.step);
    !is_refusal && step.is_some_and(|step| whole.has_spoken_before(step))
}

fn failed_each_time(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::FailedOf { failed, tries, .. } if failed == tries && *tries == TRIES)
}

/// As much of a scenario as was performed: behind the step at which it stopped nothing was, and it fails without.
pub(super) fn reached(scenario: &Scenario, finding: &Finding) -> Scenario {
    let halt = finding.halt.as_ref();
    match halt.and_then(|halt| halt.step.step) {
        Some(step) => scenario.up_to(step),
        None => scenario.clone(),
    }
}

/// What is to be seen again: the same defect, at the same step where that is one of a client.
struct Wanted {
    key: String,
    step: Option<String>,
    /// The step of the first scenario that a person looks at.
    last_before: Option<usize>,
}

impl Wanted {
    fn of(finding: &Finding) -> Self {
        let is_of_a_step = finding.cause.invariant().is_none();
        let step = finding.halt.as_ref().filter(|_| is_of_a_step);
        Self {
            key: finding.cause.key(),
            step: step.map(|halt| halt.step.text.clone()),
            last_before: finding.step().and_then(|step| step.step),
        }
    }

    fn is_seen_in(&self, verdict: &Verdict) -> bool {
        match verdict {
            Verdict::Fail(finding) => {
                let seen = Self::of(finding);
                seen.key == self.key && seen.step == self.step
            }
            Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_) => false,
        }
    }
}

struct Search<'a> {
    job: Job<'a>,
    wanted: &'a Wanted,
    /// Polite clients come before and after, as they did.
    polite: bool,
    until: Instant,
}

impl Search<'_> {
    /// The smallest that is found, where it is smaller and shows the same as often.
    async fn smallest(&self, whole: &Scenario) -> Result<Option<Attempt>, Error> {
        let less = self.up_to_its_cause(whole).await?;
        let less = self.without_others(less).await?;
        let less = self.with_fewer(less).await?;
        if less == *whole {
            return Ok(None);
        }
        let (failed, attempt) = confirmed(&less, self.polite, self.job).await?;
        let is_as_sure = failed == TRIES && self.wanted.is_seen_in(&attempt.verdict);
        Ok(is_as_sure.then_some(attempt))
    }

    /// Leaves out what came behind the last step before an end or an alarm, where it ended later.
    async fn up_to_its_cause(&self, whole: &Scenario) -> Result<Scenario, Error> {
        let sooner = self.wanted.last_before.map(|step| whole.up_to(step));
        match sooner.filter(|sooner| sooner != whole) {
            Some(sooner) if self.shows(&sooner).await? => Ok(sooner),
            _ => Ok(whole.clone()),
        }
    }

    /// Leaves out conversations: all but the last at once, then half of them at a time, and ever fewer.
    async fn without_others(&self, mut less: Scenario) -> Result<Scenario, Error> {
        let mut size = conversations(&less).len().saturating_sub(1);
        while size > 0 {
            let mut at = 0;
            loop {
                let all = conversations(&less);
                let Some(some) = all.get(at..(at + size).min(all.len())) else {
                    break;
                };
                let rest = without(&less, &some.concat());
                // Nobody is left where all have gone.
                match some.len() < all.len() && !some.is_empty() && self.shows(&rest).await? {
                    true => less = rest,
                    false if some.is_empty() => break,
                    false => at += some.len(),
                }
            }
            size /= 2;
        }
        Ok(less)
    }

    /// Takes members from crowds and rounds from blocks.
    async fn with_fewer(&self, mut less: Scenario) -> Result<Scenario, Error> {
        'again: loop {
            for fewer in fewer(&less) {
                if self.shows(&fewer).await? {
                    less = fewer;
                    continue 'again;
                }
            }
            return Ok(less);
        }
    }

    /// Whether a scenario shows what is wanted; once the search has taken too long, none does.
    async fn shows(&self, scenario: &Scenario) -> Result<bool, Error> {
        if Instant::now() >= self.until {
            return Ok(false);
        }
        let trial = self.job.trial(scenario, self.polite).again();
        let (verdict, _) = self.job.on_fresh_server(&trial).await?;
        Ok(self.wanted.is_seen_in(&verdict))
    }
}

/// Repeats a smaller scenario on fresh servers, and says how often it failed.
pub(super) async fn confirmed(
    small: &Scenario,
    polite: bool,
    job: Job<'_>,
) -> Result<(usize, Attempt), Error> {
    let trial = job.trial(small, polite).again();
    let mut tried = Tried::default();
    let mut seen = Attempt::of(Verdict::Pass);
    let first = job.on_fresh_server(&trial).await;
    let [second, third] = job.twice_more(&trial).await;
    for once in [first, second, third] {
        let (verdict, transcript) = once?;
        tried.count(&verdict);
        if matches!(verdict, Verdict::Fail(_)) {
            let (lines, trace) = transcript.lines_and_trace(small);
            seen = Attempt {
                failed: Some(small.clone()),
                transcript: lines,
                trace: Some(trace),
                exhibit: job.exhibit(&verdict, &trial, &transcript),
                ..Attempt::of(verdict)
            };
        }
    }
    let failed = tried.failed;
    if let Verdict::Fail(finding) = seen.verdict {
        seen.verdict = Verdict::Fail(tried.told_with(finding));
    }
    Ok((failed, seen))
}

/// The smaller one with what else is known of the larger one.
fn told_beside(mut smaller: Attempt, larger: &Attempt, whole: &Scenario) -> Attempt {
    if let (Verdict::Fail(finding), Some(less)) = (&mut smaller.verdict, &smaller.failed) {
        let (from, to) = (whole.size(), less.size());
        finding
            .evidence
            .insert(1, Evidence::MadeSmaller { from, to });
    }
    let exhibit = smaller.exhibit.map(|exhibit| {
        Arc::new(Exhibit {
            made_of: Some(whole.clone()),
            ..Exhibit::clone(&exhibit)
        })
    });
    Attempt {
        exhibit,
        coverage: larger.coverage.clone(),
        unsure: larger.unsure.clone(),
        ..smaller
    }
}
