//! One report of all parts of a run that was spread over machines.

use super::findings::Findings;
use super::run_end::RunEnd;
use super::simplest::{Row, under_the_simplest};
use crate::checks;
use crate::model::date::{from_utc, utc};
use crate::model::error::Error;
use crate::model::partition::Partition;
use crate::report::data::Outcome;
use crate::report::several::Document;
use crate::report::written::{Written, WrittenCheck};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The report of a run of which these are the parts, each with the file that it was read from, and the parts that are not
/// among them. Reports of several targets are put beside each other.
///
/// # Errors
/// There is none, or they are of different runs.
pub(crate) fn merged(files: Vec<(PathBuf, Document)>) -> Result<(Document, Vec<String>), Error> {
    let mut targets: Vec<Vec<(PathBuf, Written)>> = Vec::new();
    for (file, document) in files {
        for part in document.into_reports() {
            let mut known = targets.iter_mut();
            let known = known.find(|parts| parts[0].1.target == part.target);
            match known {
                Some(parts) => parts.push((file.clone(), part)),
                None => targets.push(vec![(file.clone(), part)]),
            }
        }
    }
    let are_several = targets.len() > 1;
    let (mut wholes, mut missing) = (Vec::new(), Vec::new());
    for parts in targets {
        let (whole, absent) = of_one_target(parts)?;
        let named = |part| match are_several {
            true => format!("{part} of {}", whole.target),
            false => part,
        };
        missing.extend(absent.into_iter().map(named));
        wholes.push(whole);
    }
    match wholes.is_empty() {
        true => Err(Error::Usage("there is no report to merge".to_owned())),
        false => Ok((Document::of(wholes), missing)),
    }
}

/// The same of the parts that are of one target.
fn of_one_target(parts: Vec<(PathBuf, Written)>) -> Result<(Written, Vec<String>), Error> {
    let missing = missing(&parts);
    let mut parts = parts.into_iter();
    let Some((first, mut whole)) = parts.next() else {
        return Err(Error::Usage("there is no report to merge".to_owned()));
    };
    for (file, part) in parts {
        refuse_another_run(&first, &whole, &file, &part)?;
        add(&mut whole, part);
    }
    whole.partition = None;
    whole.checks = in_order(std::mem::take(&mut whole.checks));
    group(&mut whole.checks);
    Ok((whole.summed_up(), missing))
}

fn refuse_another_run(
    first: &Path,
    whole: &Written,
    file: &Path,
    part: &Written,
) -> Result<(), Error> {
    let differs = |what: &str, one: &str, other: &str| {
        Err(Error::Usage(format!(
            "{} and {} are no parts of one run: the {what} is {one} in the one and {other} in the other",
            first.display(),
            file.display()
        )))
    };
    if whole.seed != part.seed {
        return differs("seed", &whole.seed.to_string(), &part.seed.to_string());
    }
    Ok(())
}

/// Has all times of both count from the beginning of the one that began first.
fn since_the_first(whole: &mut Written, part: &mut Written) {
    let begun = |report: &Written| from_utc(report.started.as_ref()?);
    let Some((one, other)) = begun(whole).zip(begun(part)) else {
        return;
    };
    let first = one.min(other);
    for (report, begun) in [(&mut *whole, one), (part, other)] {
        let later = begun.duration_since(first).unwrap_or_default();
        let later = u64::try_from(later.as_millis()).unwrap_or(u64::MAX);
        let times = report.checks.iter_mut();
        let times = times.filter_map(|check| check.started_ms.as_mut());
        times.for_each(|time| *time = time.saturating_add(later));
    }
    whole.started = Some(utc(first));
}

/// Adds a part that ran beside the others.
fn add(whole: &mut Written, mut part: Written) {
    since_the_first(whole, &mut part);
    whole.duration_ms = whole.duration_ms.max(part.duration_ms);
    whole.budget_ms = whole.budget_ms.max(part.budget_ms);
    whole.serves_nobody |= part.serves_nobody;
    whole.interrupted |= part.interrupted;
    whole.flaky_fails |= part.flaky_fails;
    if whole.isolation_reason.is_none() && part.isolation_reason.is_some() {
        whole.isolation = part.isolation;
        whole.isolation_reason = part.isolation_reason;
    }
    whole.checks.extend(part.checks);
    for (name, value) in part.observations {
        whole.observations.entry(name).or_insert(value);
    }
    match (&mut whole.timings, part.timings) {
        (Some(timings), Some(other)) => timings.add(&other),
        (timings @ None, other) => *timings = other,
        (Some(_), None) => {}
    }
}

/// The results in the order of the whole run. What several parts have looked at, such as what all others build on, is told
/// once, as the part tells it that came to the gravest end.
fn in_order(mut checks: Vec<WrittenCheck>) -> Vec<WrittenCheck> {
    let gravity = |check: &WrittenCheck| match check.verdict {
        Outcome::Fail => 0,
        Outcome::Flaky => 1,
        Outcome::Warn => 2,
        Outcome::Known => 3,
        Outcome::Inconclusive => 4,
        Outcome::Pass => 5,
        Outcome::Skip => 6,
    };
    checks.sort_by(|one, other| {
        let key = |check: &WrittenCheck| (check.place, check.id.clone(), gravity(check));
        key(one).cmp(&key(other))
    });
    checks.dedup_by(|later, earlier| (later.place, &later.id) == (earlier.place, &earlier.id));
    checks
}

/// Puts what each check has found under the simplest one that shows it, wherever that was tried.
fn group(checks: &mut [WrittenCheck]) {
    let findings = Findings::of_a_run(RunEnd::default());
    for check in checks::all() {
        let shown = checks.iter().filter(|row| row.id == check.id);
        let shown = shown.filter_map(|row| row.shows.as_ref());
        shown.for_each(|shows| findings.add_shown(check, shows));
    }
    for check in checks.iter_mut().filter(|check| check.cause.is_some()) {
        let head = check.under.as_ref().unwrap_or(&check.id);
        let alike = findings.first_alike(head).map(str::to_owned);
        check.under = alike.or_else(|| check.under.take());
    }
    let rows = checks.iter_mut().map(|check| Row {
        id: &check.id,
        key: check.cause.as_ref().map(|cause| cause.key.clone()),
        is_alarm: check
            .cause
            .as_ref()
            .is_some_and(|cause| cause.kind == "alarm"),
        under: &mut check.under,
    });
    under_the_simplest(rows.collect(), &findings);
}

/// The parts that are missing of a run of which some are there.
fn missing(parts: &[(PathBuf, Written)]) -> Vec<String> {
    let there = parts.iter().filter_map(|(_, part)| part.partition.clone());
    let there: BTreeSet<String> = there.collect();
    let known = there.iter().filter_map(|part| part.parse().ok());
    let all = known.flat_map(Partition::all).map(|part| part.to_string());
    let all: BTreeSet<String> = all.collect();
    all.difference(&there).cloned().collect()
}
