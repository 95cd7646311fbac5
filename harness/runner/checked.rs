//! One check against one server, and what the target's file says of its result.

use super::attempt::{Attempt, Job, TrialOptions};
use super::descriptors;
use super::drawn::{Batches, concluded, saved_cases, tried_by};
use super::parallel::{block_on, wait_in_line};
use super::selection::glob_matches;
use crate::judge::{Doubt, Skip, Verdict};
use crate::launch::{Known, Target};
use crate::model::check::{Check, Severity};
use crate::model::date::Date;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::report::data::CheckResult;
use std::time::Instant;

/// Tries a check on a server that is known already.
pub(super) fn check_result(
    check: &'static Check,
    unserved: Option<&Verdict>,
    job: Job<'_>,
) -> Result<CheckResult, Error> {
    let job = job.of(check.id);
    let begun = Instant::now();
    let (scenarios, attempt) = match not_tried(check, unserved, job) {
        Some(verdict) => (Vec::new(), Attempt::of(verdict)),
        None => tried(check, job)?,
    };
    let known = known(check, job.target, &attempt.verdict);
    Ok(CheckResult {
        id: check.id.to_owned(),
        family: check.family().to_owned(),
        requirement: check.requirement.to_owned(),
        lenient: check.policy.severity == Severity::Should && !job.settings.strict,
        known: known.map(|known| known.reason.clone()),
        known_once: known_once(check, job.target).cloned(),
        scenarios: scenarios.len(),
        coverage: attempt.coverage,
        duration: begun.elapsed(),
        tried: tried_by(check, &scenarios, job.subject, attempt.unproven),
        reproduce: attempt
            .failed
            .as_ref()
            .and_then(|_| job.settings.repeating(&["--only", check.id])),
        scenario: attempt.failed.map(|scenario| scenario.to_string()),
        verdict: attempt.verdict,
        transcript: attempt.transcript,
    })
}

/// What is said of a check without trying it, where it does not apply or nobody is served.
fn not_tried(check: &Check, unserved: Option<&Verdict>, job: Job<'_>) -> Option<Verdict> {
    if let Some(unmet) = check.unmet(job.subject) {
        return Some(Verdict::Skip(Skip::Unmet(unmet)));
    }
    let unserved = unserved.filter(|_| !check.judges_serving(job.subject))?;
    let verdict = Box::new(unserved.clone());
    Some(Verdict::Inconclusive(Doubt::Unserved { verdict }))
}

fn tried(check: &'static Check, job: Job<'_>) -> Result<(Vec<Scenario>, Attempt), Error> {
    let mut scenarios = (check.scenarios)(job.subject).unwrap_or_default();
    let saved = saved_cases(check, job.settings);
    let batches = Batches {
        check,
        saved: saved.len(),
    };
    scenarios.splice(0..0, saved);
    let needed = descriptors::needed(&scenarios);
    let _held = match wait_in_line(job.settings, descriptors::take(needed))? {
        Ok(held) => held,
        Err(skip) => return Ok((scenarios, Attempt::of(Verdict::Skip(skip)))),
    };
    let attempt = match block_on(job.settings, performed(batches, &scenarios, job))? {
        Ok(attempt) => attempt,
        // It started before, so what keeps it from starting now is no fault of the command.
        Err(error) => Attempt::of(Verdict::Inconclusive(Doubt::NotStarted {
            reason: error.chain(),
        })),
    };
    Ok((scenarios, attempt))
}

/// Performs all scenarios of a check, and concludes from them.
async fn performed(
    batches: Batches<'_>,
    scenarios: &[Scenario],
    job: Job<'_>,
) -> Result<Attempt, Error> {
    let check = batches.check;
    let options = TrialOptions {
        fresh_server: check.policy.fresh_server,
        polite: !check.judges_serving(job.subject),
        tries: batches.tries(),
    };
    let attempt = job.try_all(scenarios, options).await?;
    concluded(attempt, batches, scenarios, job).await
}

/// What the target's file says of a result, where that has not had its time.
fn known<'a>(check: &Check, target: &'a Target, verdict: &Verdict) -> Option<&'a Known> {
    let known = listed(check, target).find(|known| !has_expired(known));
    known.filter(|known| match verdict {
        Verdict::Skip(_) => false,
        Verdict::Pass => !known.sometimes,
        Verdict::Fail(_) | Verdict::Inconclusive(_) => true,
    })
}

/// What the target's file says of a result, where all of that has had its time.
fn known_once<'a>(check: &Check, target: &'a Target) -> Option<&'a Known> {
    let first = listed(check, target).next();
    first.filter(|_| listed(check, target).all(has_expired))
}

fn listed<'a>(check: &Check, target: &'a Target) -> impl Iterator<Item = &'a Known> {
    let known = target.known.iter();
    known.filter(|known| glob_matches(&known.check, check.id))
}

fn has_expired(known: &Known) -> bool {
    known.until.is_some_and(|until| until < Date::today())
}
