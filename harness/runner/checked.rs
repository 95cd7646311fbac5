//! One check against one server, and what the target's file says of its result.

use super::abreast::abreast;
use super::alarms::{self, Heard};
use super::attempt::{Attempt, TrialOptions};
use super::descriptors;
use super::drawn::{Batches, concluded, saved_cases, tried_by};
use super::job::Job;
use super::lessened::{lessened, reached};
use super::parallel::{block_on, wait_in_line};
use super::retried::retried;
use super::selection::glob_matches;
use crate::judge::{Doubt, Finding, Skip, Verdict};
use crate::launch::{Known, Target};
use crate::model::check::{Check, Severity};
use crate::model::date::Date;
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::scenario::Scenario;
use crate::report::data::CheckResult;
use crate::report::place::Place;
use std::cell::Cell;
use std::time::{Instant, SystemTime};

/// Tries a check on a server that is known already, and once more where it fails and that was asked for.
pub(super) fn retried_result(
    check: &'static Check,
    unserved: Option<&Verdict>,
    job: Job<'_>,
) -> CheckResult {
    let _told = tracing::debug_span!("check", id = check.id).entered();
    let is_tried = not_tried(check, unserved, job).is_none();
    let audience = &job.settings.audience;
    // What is tried for the sake of others is not told.
    let _shown = is_tried.then(|| match job.settings.selects(check.id) {
        true => audience.sees_begin(check.id, job.turn),
        false => audience.sees(check.id, job.turn),
    });
    let is_first = Cell::new(true);
    retried(job.settings, job.findings.end(), || {
        // What it has found itself is no reason to look less closely.
        let aside = job.findings.aside();
        match is_first.replace(false) {
            true => check_result(check, unserved, job),
            false => check_result(check, unserved, job.finding(&aside)),
        }
    })
}

/// Tries a check on a server that is known already.
fn check_result(check: &'static Check, unserved: Option<&Verdict>, job: Job<'_>) -> CheckResult {
    let heard = Heard::default();
    let job = job.of_check(check, &heard);
    let begun = Instant::now();
    let (scenarios, attempt) = match not_tried(check, unserved, job) {
        Some(verdict) => (Vec::new(), Attempt::of(verdict)),
        None => {
            let tried = tried(check, job);
            job.findings.has_told(check.id);
            tried
        }
    };
    let attempt = about_another(check, attempt);
    let attempt = Attempt {
        verdict: heard.beside(attempt.verdict),
        ..attempt
    };
    let known = known(check, job.target, &attempt.verdict);
    let invariant = broken_beside(check, &attempt.verdict);
    let reproduce = attempt.has_failed();
    let reproduce = reproduce.then(|| job.settings.repeating(&["--only", check.id]));
    let scenario = attempt.failed.as_ref();
    let scenario = scenario.map(|scenario| shown(check, scenario, &attempt.verdict).to_string());
    CheckResult {
        id: check.id.to_owned(),
        family: check.family().to_owned(),
        requirement: invariant
            .map_or(check.requirement, Invariant::requirement)
            .to_owned(),
        fix: Some(fix(check, &attempt.verdict)),
        lenient: is_lenient(check, job, &attempt.verdict),
        known: known.map(|known| known.reason.clone()),
        known_once: known_once(check, job.target).cloned(),
        scenarios: scenarios.len(),
        coverage: attempt.coverage,
        started: Some(SystemTime::now() - begun.elapsed()),
        duration: begun.elapsed(),
        tried: tried_by(check, &scenarios, job.subject, attempt.unproven),
        reproduce: reproduce.flatten(),
        at: at(scenario.as_deref(), &attempt.verdict),
        scenario,
        under: attempt.under.map(str::to_owned),
        tries: None,
        place: 0,
        shows: None,
        spent: job.turn.spent(),
        verdict: attempt.verdict,
        transcript: attempt.transcript,
        trace: attempt.trace,
        exhibit: attempt.exhibit,
    }
}

/// As much of a scenario as it takes to fail. What was drawn was made small already, and is found again by what it is.
fn shown(check: &Check, scenario: &Scenario, verdict: &Verdict) -> Scenario {
    match verdict {
        Verdict::Fail(finding) if !check.policy.drawn => reached(scenario, finding),
        _ => scenario.clone(),
    }
}

/// Where in its scenario a check failed.
fn at(scenario: Option<&str>, verdict: &Verdict) -> Option<Place> {
    match verdict {
        Verdict::Fail(finding) => Place::in_scenario(scenario?, finding),
        Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_) => None,
    }
}

/// Whether a failure is of a recommendation, and counts with `--strict` only.
fn is_lenient(check: &Check, job: Job<'_>, verdict: &Verdict) -> bool {
    let is_recommended = check.policy.severity == Severity::Should
        && broken_beside(check, verdict).is_none()
        && !(check.policy.promised)(job.subject)
        || alarms::is_recommended(verdict);
    is_recommended && !job.settings.strict
}

/// Whether a failure of a check fails the run.
pub(super) fn fails_the_run(check: &Check, job: Job<'_>, verdict: &Verdict) -> bool {
    !is_listed(check, job, verdict) && !is_lenient(check, job, verdict)
}

/// Whether the target's file lists a failure of a check.
pub(super) fn is_listed(check: &Check, job: Job<'_>, verdict: &Verdict) -> bool {
    known(check, job.target, verdict).is_some()
}

/// What is said of a check without trying it, where it does not apply or nobody is served.
fn not_tried(check: &Check, unserved: Option<&Verdict>, job: Job<'_>) -> Option<Verdict> {
    if let Some(unmet) = check.unmet(job.subject) {
        return Some(Verdict::Skip(Skip::Unmet(unmet)));
    }
    if let Some(skip) = not_elsewhere(check, job) {
        return Some(Verdict::Skip(skip));
    }
    if let Some(over) = job.findings.is_over() {
        return Some(over.verdict_on_the_untried());
    }
    let unserved = unserved.filter(|_| !check.judges_serving(job.subject))?;
    let verdict = Box::new(unserved.clone());
    Some(Verdict::Inconclusive(Doubt::Unserved { verdict }))
}

/// Why a check is not tried on a server that somebody else has started: what one of its scenarios is about would be missing.
fn not_elsewhere(check: &Check, job: Job<'_>) -> Option<Skip> {
    let subject = Some(job.subject).filter(|subject| subject.is_elsewhere)?;
    let scenarios = (check.scenarios)(subject).unwrap_or_default();
    scenarios
        .iter()
        .find_map(|scenario| Skip::out_of_reach(subject, scenario))
}

fn tried(check: &'static Check, job: Job<'_>) -> (Vec<Scenario>, Attempt) {
    let mut scenarios = (check.scenarios)(job.subject).unwrap_or_default();
    let mut saved = saved_cases(check, job.settings);
    saved.retain(|saved| Skip::out_of_reach(job.subject, saved).is_none());
    let batches = Batches {
        check,
        saved: saved.len(),
    };
    scenarios.splice(0..0, saved);
    let needed = descriptors::needed(&scenarios);
    let taken = descriptors::take_in_turn(needed, job.turn);
    let _held = match wait_in_line(job.settings, taken) {
        Ok(Ok(held)) => held,
        Ok(Err(skip)) => return (scenarios, Attempt::of(Verdict::Skip(skip))),
        Err(over) => return (scenarios, Attempt::of(over.verdict_on_the_untried())),
    };
    let attempt = performed(batches, &scenarios, job.in_time_of(&scenarios));
    // It started before, so what keeps it from starting now is no fault of the command.
    let attempt = attempt.unwrap_or_else(|error| {
        let reason = error.chain();
        Attempt::of(Verdict::Inconclusive(match error {
            Error::NotReached { .. } => Doubt::CouldNotRun { reason },
            _ => Doubt::NotStarted { reason },
        }))
    });
    (scenarios, attempt)
}

/// What comes of trials, unless the time of the run is over before, or theirs.
pub(super) async fn in_time(
    job: Job<'_>,
    trials: impl Future<Output = Result<Attempt, Error>>,
) -> Result<Attempt, Error> {
    let trials = std::pin::pin!(trials);
    // What has failed ends by itself then, and is told.
    tokio::select! {
        biased;
        attempt = trials => attempt,
        over = job.until_over() => Ok(Attempt::of(over.verdict())),
    }
}

/// Performs all scenarios of a check, and concludes from them.
fn performed(batches: Batches<'_>, scenarios: &[Scenario], job: Job<'_>) -> Result<Attempt, Error> {
    let check = batches.check;
    let options = TrialOptions {
        fresh_server: check.policy.fresh_server,
        shares_servers: true,
        polite: !check.judges_serving(job.subject),
        tries: batches.tries(),
        ask: true,
        ends_when_late: !check.policy.drawn && !job.settings.deep,
    };
    if !check.policy.drawn {
        let begun = Instant::now();
        let tried = async {
            let attempt = job.try_all(scenarios, options).await?;
            Ok(Box::pin(lessened(attempt, options.polite, begun.elapsed(), job)).await)
        };
        return block_on(in_time(job, tried))?;
    }
    let attempt = abreast(scenarios, options, job)?;
    let concluded = concluded(attempt, batches, scenarios, job);
    block_on(in_time(job, concluded))?
}

/// The invariant that was broken where a check recommends something else: that holds for every server, and is no
/// recommendation.
fn broken_beside(check: &Check, verdict: &Verdict) -> Option<Invariant> {
    let Verdict::Fail(Finding { cause, .. }) = verdict else {
        return None;
    };
    let invariant = cause.invariant()?;
    let is_beside =
        check.policy.severity == Severity::Should && !check.policy.recommends.contains(&invariant);
    is_beside.then_some(invariant)
}

/// How the server is mended. Where an invariant was broken beside what a check recommends, what the check says is about something
/// else.
fn fix(check: &Check, verdict: &Verdict) -> String {
    match (verdict, broken_beside(check, verdict)) {
        (Verdict::Fail(finding), None) => finding.cause.fix(check.fix, check.counterexample.shows),
        (Verdict::Fail(finding), Some(broken)) => finding.cause.fix(broken.fix(), ""),
        (Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_), _) => check.fix.to_owned(),
    }
}

/// The same attempt, which proves nothing of the check where what it shows is the matter of another one.
fn about_another(check: &Check, attempt: Attempt) -> Attempt {
    let Verdict::Fail(Finding { cause, .. }) = &attempt.verdict else {
        return attempt;
    };
    let mut referrals = check.policy.referrals.iter();
    match referrals.find(|referral| referral.cause == cause.kind()) {
        Some(referral) => Attempt {
            verdict: Verdict::Inconclusive(Doubt::Referred {
                cause: Box::new(cause.clone()),
                see: referral.see,
            }),
            failed: None,
            ..attempt
        },
        None => attempt,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use crate::judge::Cause;
    use crate::model::check::Referral;
    use std::collections::HashSet;

    #[test]
    fn what_is_the_matter_of_another_check_names_a_cause_and_checks_that_there_are() {
        let reason = String::new();
        let started = || {
            Box::new(Cause::DidNotStart {
                reason: String::new(),
            })
        };
        let causes = [
            Cause::DidNotStart { reason },
            Cause::Crosstalk {
                of: "bob".to_owned(),
                step: started(),
            },
        ];
        let kinds = causes.iter().map(Cause::kind).chain(["step-failed"]);
        let kinds: HashSet<_> = kinds.collect();
        let all = checks::all();
        let referrals = all.iter().flat_map(|check| check.policy.referrals);
        for Referral { cause, see } in referrals {
            assert!(kinds.contains(cause), "{cause}");
            for id in *see {
                let about = all.iter().find(|check| check.id == *id);
                let about = about.unwrap_or_else(|| panic!("there is no {id}"));
                let mut sent_on = about.policy.referrals.iter();
                assert!(!sent_on.any(|further| further.cause == *cause), "{id}");
            }
        }
    }

    #[test]
    fn recommendation_excuses_no_loss_that_it_is_not_about() {
        let died = Verdict::Fail(Finding {
            cause: Cause::NoLongerListens,
            halt: None,
            evidence: Vec::new(),
        });
        for check in checks::all() {
            let is_recommended = check.policy.severity == Severity::Should;
            let is_about_it = check.policy.recommends.contains(&Invariant::Listens);
            let beside = broken_beside(check, &died).is_some();
            assert_eq!(beside, is_recommended && !is_about_it, "{}", check.id);
        }
    }

    #[test]
    fn failure_for_what_another_check_is_about_proves_nothing_of_this_one() {
        let fails = |cause| {
            Attempt::of(Verdict::Fail(Finding {
                cause,
                halt: None,
                evidence: Vec::new(),
            }))
        };
        let restart = Cause::DidNotStart {
            reason: "EADDRINUSE".to_owned(),
        };
        let all = checks::all();
        let about = |check: &Check| {
            let mut referrals = check.policy.referrals.iter();
            referrals.any(|referral| referral.cause == restart.kind())
        };
        let stop = all.iter().find(|check| about(check)).unwrap();
        let verdict = about_another(stop, fails(restart.clone())).verdict;
        assert!(matches!(
            verdict,
            Verdict::Inconclusive(Doubt::Referred { .. })
        ));
        let verdict = about_another(stop, fails(Cause::FileRemoved)).verdict;
        assert!(matches!(verdict, Verdict::Fail(_)));
        let other = stop.policy.referrals[0].see[0];
        let other = all.iter().find(|check| check.id == other).unwrap();
        let verdict = about_another(other, fails(restart)).verdict;
        assert!(matches!(verdict, Verdict::Fail(_)));
    }
}
