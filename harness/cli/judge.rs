//! `sockdrill judge`: what was seen of servers, judged once more without them.

use super::arguments::JudgeArgs;
use super::bundle_index::{Index, TRIAL};
use super::output::{say, say_counts, say_outcome};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::{NoTests, TooLittle};
use crate::report::data::{Outcome, Summary};
use crate::runner::{BUNDLE_INDEX, SavedTrial, SavedVerdict};
use std::path::{Path, PathBuf};

pub(super) fn judge(arguments: &JudgeArgs) -> Result<ExitCode, Error> {
    let files = trials(&arguments.place)?;
    let mut judged = Vec::new();
    let mut others = 0;
    for file in &files {
        let saved = SavedTrial::read(file)?;
        let now = saved.judged_again();
        let outcome = outcome(&now);
        let many = if files.len() > 1 {
            name(file)
        } else {
            String::new()
        };
        // What is observed is never judged: what would be a failure of a check is none of it.
        let is_observed = !saved.check.contains('/') && !saved.check.contains("::");
        let told = format!("{}{}{many}", saved.check, reason(&now));
        match is_observed {
            true => say(&format!("{:<14}{told}", "observed")),
            false => say_outcome(outcome, &format!("{:<14}{told}", outcome.word())),
        }
        others += usize::from(!is_as_before(&saved.verdict, &now));
        if let Some(told) = difference(&saved.verdict, &now) {
            say(&told);
        }
        judged.extend((!is_observed).then_some(outcome));
    }
    let summary = Summary::of(judged.into_iter());
    let too_little = TooLittle::of(&summary, 0, 0);
    let code = match too_little {
        _ if summary.fail > 0 => ExitCode::Failed,
        Some(too_little) => too_little.exit_code(NoTests::Fail),
        None => ExitCode::Passed,
    };
    let others = match others {
        0 => ", as it was said then".to_owned(),
        others => format!(", of which {others} not as it was said then"),
    };
    say("");
    say_counts(&summary.in_words(), &others, code == ExitCode::Passed);
    if let Some(too_little) = too_little.filter(|_| summary.fail == 0) {
        say(&too_little.to_string());
    }
    Ok(code)
}

/// The saved trials of a bundle, of a folder of `--transcripts`, or a single one.
fn trials(place: &Path) -> Result<Vec<PathBuf>, Error> {
    if Index::is_in(place) {
        // What it says of the bundle has to be understood, too.
        Index::read(place)?;
        return Ok(vec![place.join(TRIAL)]);
    }
    if !place.exists() {
        return Err(Error::Usage(format!(
            "{} is not there; name a bundle of --artifacts, a folder of --transcripts, or a file of it",
            place.display()
        )));
    }
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    if place.join(TRIAL).is_file() {
        // Its other files are none of trials.
        return Err(Error::Usage(format!(
            "{} has the {TRIAL} of a bundle and no {BUNDLE_INDEX}, which says what failed; name the whole bundle, or {} alone",
            place.display(),
            place.join(TRIAL).display()
        )));
    }
    let entries = std::fs::read_dir(place).map_err(Error::file("reading", place))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    match files.is_empty() {
        true => Err(Error::NothingSelected(format!(
            "{} is neither a bundle of --artifacts, in which {BUNDLE_INDEX} is, nor a folder of --transcripts, in which \
             there are saved trials, files whose names end in .json{}",
            place.display(),
            Index::below(place)
        ))),
        false => Ok(files),
    }
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    format!("  ({})", name.to_string_lossy())
}

fn outcome(verdict: &SavedVerdict) -> Outcome {
    match verdict {
        SavedVerdict::Pass => Outcome::Pass,
        SavedVerdict::Fail { .. } => Outcome::Fail,
        SavedVerdict::Inconclusive { .. } => Outcome::Inconclusive,
        SavedVerdict::Skip { .. } => Outcome::Skip,
    }
}

fn sentence(verdict: &SavedVerdict) -> &str {
    match verdict {
        SavedVerdict::Pass => "",
        SavedVerdict::Fail { reason, .. }
        | SavedVerdict::Inconclusive { reason }
        | SavedVerdict::Skip { reason } => reason,
    }
}

fn reason(verdict: &SavedVerdict) -> String {
    match sentence(verdict) {
        "" => String::new(),
        sentence => format!("  {sentence}"),
    }
}

fn is_as_before(then: &SavedVerdict, now: &SavedVerdict) -> bool {
    then == now
}

/// What was said then, where it was something else.
fn difference(then: &SavedVerdict, now: &SavedVerdict) -> Option<String> {
    if is_as_before(then, now) {
        return None;
    }
    let same = outcome(then) == outcome(now) && sentence(then) == sentence(now);
    Some(match same {
        true => "    it was said then as well, with other evidence".to_owned(),
        false => format!(
            "    it was said then: {}{}",
            outcome(then).word(),
            reason(then)
        ),
    })
}
