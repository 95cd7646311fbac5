//! Properties: how many cases are drawn, which earlier ones are repeated first, and the smallest one that fails.

#[cfg(feature = "property")]
use super::attempt::TrialOptions;
use super::attempt::{Attempt, TRIES};
#[cfg(feature = "property")]
use super::descriptors;
use super::job::Job;
#[cfg(feature = "property")]
use super::servers::Servers;
use super::settings::Settings;
#[cfg(feature = "property")]
use super::sure::Tried;
use crate::checks;
use crate::drill::DrillFile;
#[cfg(feature = "property")]
use crate::judge::{Doubt, Evidence, Verdict};
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
#[cfg(feature = "property")]
use crate::model::spent::SpentOn;
use crate::model::stable_hash::fnv_1a;
use crate::model::subject::Subject;
#[cfg(feature = "property")]
use crate::property;
use crate::report::data::CheckResult;
#[cfg(feature = "property")]
use crate::session::Places;
use std::path::PathBuf;
#[cfg(feature = "property")]
use tokio::sync::OwnedSemaphorePermit;

/// How many cases of a property a quick run has: no row of the table should take longer than its longest wait.
const FEW_CASES: usize = 30;

/// How many a deep run has.
const MANY_CASES: usize = 1_000;

/// How many cases of each property are drawn.
pub(super) fn how_many(settings: &Settings) -> usize {
    let usual = if settings.deep { MANY_CASES } else { FEW_CASES };
    settings.cases.unwrap_or(usual)
}

/// What the clients of a drawn check have tried.
#[cfg(feature = "property")]
pub(super) fn tried_by(
    check: &Check,
    scenarios: &[Scenario],
    subject: &Subject,
    unproven: usize,
) -> Option<String> {
    let is_drawn = check.policy.drawn && !scenarios.is_empty();
    is_drawn.then(|| {
        let concluded = match unproven {
            0 => String::new(),
            unproven => format!(", of which {unproven} proved nothing"),
        };
        let coverage = property::Coverage::of(scenarios);
        format!("{} cases{concluded}: {coverage}", subject.cases)
    })
}

/// Nothing is drawn without the feature.
#[cfg(not(feature = "property"))]
pub(super) fn tried_by(_: &Check, _: &[Scenario], _: &Subject, _: usize) -> Option<String> {
    None
}

/// The scenarios of a check, where some may be drawn, each a batch of several cases.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "property"),
    expect(dead_code, reason = "nothing is drawn")
)]
pub(super) struct Batches<'a> {
    pub(super) check: &'a Check,
    /// How many saved ones are in front of those that were drawn.
    pub(super) saved: usize,
}

impl Batches<'_> {
    /// How often one that proves nothing is tried: what is drawn not as a whole, but case by case.
    pub(super) fn tries(self) -> usize {
        if self.check.policy.drawn { 1 } else { TRIES }
    }
}

/// What drawn scenarios come to: looked at case by case where they prove nothing, and made small where they fail.
#[cfg(feature = "property")]
pub(super) async fn concluded(
    attempt: Attempt,
    batches: Batches<'_>,
    scenarios: &[Scenario],
    job: Job<'_>,
) -> Result<Attempt, Error> {
    let attempt = case_by_case(attempt, batches, scenarios, job).await?;
    Ok(made_small(attempt, batches, scenarios, job).await)
}

/// Nothing is drawn without the feature.
#[cfg(not(feature = "property"))]
pub(super) async fn concluded(
    attempt: Attempt,
    _: Batches<'_>,
    _: &[Scenario],
    _: Job<'_>,
) -> Result<Attempt, Error> {
    Ok(attempt)
}

/// Where scenarios of a drawn check proved nothing, looks at each of their cases alone: what one of them lacks says
/// nothing of the others.
#[cfg(feature = "property")]
async fn case_by_case(
    attempt: Attempt,
    batches: Batches<'_>,
    scenarios: &[Scenario],
    job: Job<'_>,
) -> Result<Attempt, Error> {
    let rules = property::Rules::of(job.subject).filter(|_| batches.check.policy.drawn);
    let (Verdict::Inconclusive(doubt), Some(rules)) = (&attempt.verdict, rules) else {
        return Ok(attempt);
    };
    // What they lack is a word in the profile.
    if matches!(doubt, Doubt::Chosen { .. }) {
        return Ok(attempt);
    }
    let cases_of = |n: &usize| match n.checked_sub(batches.saved) {
        Some(batch) => rules.cases_of(batch),
        None => vec![scenarios[*n].clone()],
    };
    let cases: Vec<Scenario> = attempt.unsure.iter().flat_map(cases_of).collect();
    let all = job.subject.cases + batches.saved;
    let options = TrialOptions {
        fresh_server: false,
        shares_servers: false,
        polite: true,
        tries: TRIES,
        ask: true,
        ends_when_late: false,
    };
    let mut failed = None;
    let verdict_of = async |case: &Scenario| {
        let alone = job.try_all(std::slice::from_ref(case), options).await?;
        let verdict = alone.verdict.clone();
        failed = Some(alone).filter(|alone| matches!(alone.verdict, Verdict::Fail(_)));
        Ok(verdict)
    };
    let unproven = property::unproven(&cases, all, verdict_of).await?;
    if let Some(failed) = failed {
        return Ok(failed);
    }
    let verdict = match property::is_too_little(unproven, all) {
        true => Verdict::Inconclusive(Doubt::CasesUnproven {
            unproven,
            all,
            first: Box::new(doubt.clone()),
        }),
        false => Verdict::Pass,
    };
    Ok(Attempt {
        verdict,
        unproven,
        ..attempt
    })
}

/// The files with the cases of a property that have failed in earlier runs. One that is no longer understood has had its time.
fn read_saved(check: &Check, settings: &Settings) -> Vec<Result<DrillFile, Error>> {
    let Some(folder) = settings.saved.as_ref().filter(|_| check.policy.drawn) else {
        return Vec::new();
    };
    let begins = artifact_stem(check.id) + "-";
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&begins) && name.ends_with(".drill")
    });
    files.sort();
    files
        .iter()
        .map(|path| DrillFile::read_found(path))
        .collect()
}

/// The same where they can be read.
pub(super) fn saved_cases(check: &Check, settings: &Settings) -> Vec<Scenario> {
    let read = read_saved(check, settings).into_iter().flatten();
    read.flat_map(|file| file.cases)
        .map(|case| case.scenario)
        .collect()
}

/// Why files of saved cases are left out, of all checks that draw any.
pub(crate) fn unreadable_saved_cases(settings: &Settings) -> Vec<Error> {
    let all = checks::all().into_iter();
    let read = all.flat_map(|check| read_saved(check, settings));
    read.filter_map(Result::err).collect()
}

/// The name of a check, or of a case, as the name of a file.
fn artifact_stem(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Longer names are cut: no file system takes more than 255 bytes, some of which others need.
const LONGEST_STEM: usize = 150;

/// What the file, without its ending, and the folder are called that the failed scenario of a result is saved in. Each case of a
/// property has its own, so that later runs can repeat all of them.
pub(crate) fn artifact_name(result: &CheckResult) -> String {
    let mut stem = artifact_stem(&result.id);
    if stem.len() > LONGEST_STEM {
        // Each character is a byte.
        stem.truncate(LONGEST_STEM);
        stem.push_str(&format!("-{:08x}", fnv_1a(result.id.bytes()) >> 32));
    }
    match &result.scenario {
        // What clients have tried is said of drawn scenarios alone.
        Some(scenario) if result.tried.is_some() => {
            let steps = scenario.lines().skip(1);
            // The same case has the same name in every run and on every machine.
            let hash = fnv_1a(steps.flat_map(str::bytes));
            format!("{stem}-{:08x}", hash >> 32)
        }
        _ => stem,
    }
}

/// Puts the smallest case that fails in the place of a drawn one that did.
#[cfg(feature = "property")]
async fn made_small(
    attempt: Attempt,
    batches: Batches<'_>,
    scenarios: &[Scenario],
    job: Job<'_>,
) -> Attempt {
    let is_shrunk = batches.check.policy.drawn && job.settings.shrink && attempt.under.is_none();
    let failed = attempt.failed.as_ref().filter(|_| is_shrunk);
    let drawn = &scenarios[batches.saved..];
    let batch = failed.and_then(|failed| drawn.iter().position(|drawn| drawn == failed));
    let (Some(batch), Some(rules)) = (batch, property::Rules::of(job.subject)) else {
        return attempt;
    };
    let held = others(drawn, job);
    let at_once = held.len() + 1;
    job.turn.make_room();
    // Where one server runs at a time, none stays behind.
    let servers = Servers::at_most(if job.may_have_servers() { at_once } else { 0 });
    let fails = async |scenario: &Scenario, again: bool| {
        let turn = job.turn.another();
        let job = job.with(job.subject, &turn).sharing(&servers);
        let trial = job.trial(scenario, true).again();
        let verdict = match again {
            true => job.on_fresh_server(&trial).await?.0,
            false => job.on_some_server(&trial).await?,
        };
        Ok(matches!(verdict, Verdict::Fail(_)))
    };
    let name = format!("the smallest case of seed {}", job.settings.seed);
    let line = match &attempt.verdict {
        Verdict::Fail(finding) => finding.line(),
        _ => 0,
    };
    let smaller = async {
        let _confirmation = job.turn.spends_on(SpentOn::Confirmation);
        let found = property::smallest(&rules, batch, line, &name, at_once, fails).await?;
        surest(&found, job).await
    };
    // Where the server cannot be started once more, there is still what was seen of the first case.
    let smaller: Result<Option<Attempt>, Error> = tokio::select! {
        biased;
        smaller = smaller => smaller,
        _ = job.until_over() => Ok(None),
    };
    smaller.ok().flatten().unwrap_or(attempt)
}

/// What others take who try cases beside this one, as far as there are places and descriptors for them.
#[cfg(feature = "property")]
fn others(scenarios: &[Scenario], job: Job<'_>) -> Vec<OwnedSemaphorePermit> {
    // What is tried ahead may be in vain: it should take nobody's processor.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let places = job.turn.places().map_or(1, Places::most);
    descriptors::take_for_others(scenarios, places.min(processors) - 1)
}

/// The first of ever larger cases that fails each time, or the one that fails most often: the smallest may have failed
/// by luck, and one that is a little larger is then of more use.
#[cfg(feature = "property")]
async fn surest(found: &[Scenario], job: Job<'_>) -> Result<Option<Attempt>, Error> {
    let mut surest = None;
    let mut best = 0;
    for n in [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32] {
        let Some(small) = found.get(n).filter(|_| best < TRIES) else {
            break;
        };
        let (failed, attempt) = confirmed(small, job).await?;
        if failed > best {
            (best, surest) = (failed, Some(attempt));
        }
    }
    Ok(surest)
}

/// Repeats a small case on fresh servers, and says how often it failed.
#[cfg(feature = "property")]
async fn confirmed(small: &Scenario, job: Job<'_>) -> Result<(usize, Attempt), Error> {
    let trial = job.trial(small, true).again();
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
        let mut finding = tried.told_with(finding);
        let case = Evidence::SmallestCase(small.clone());
        finding.evidence.insert(1, case);
        seen.verdict = Verdict::Fail(finding);
    }
    Ok((failed, seen))
}
