//! The checks of several servers, one after the other.

use super::arguments::{CheckArgs, Shared};
use super::check::{blind, drilled, narrowed};
use super::github;
use super::last_run::LastRun;
use super::layers::Layers;
use super::live::Live;
use super::output::{complain_of, say, say_heading, say_sentences_aside};
use super::reports::{Ending, all_written, conclude, saved_of, say_end_of_one};
use crate::checks;
use crate::launch::Target;
use crate::model::error::{Error, ExitCode};
use crate::report::data::Report;
use crate::report::several::Document;
use crate::runner::{self, Invocation, Settings};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A target, how it is drilled, and where its files go.
struct One {
    target: Target,
    settings: Settings,
    shared: Shared,
}

/// Drills each of them, tells of each under its name, and ends with the matrix.
pub(super) fn check(
    targets: Vec<Target>,
    settings: &Settings,
    arguments: &CheckArgs,
    layers: &Layers,
    live: &mut Live,
) -> Result<(Option<Report>, ExitCode), Error> {
    let shared = &arguments.shared;
    let words = &arguments.targets;
    let all: Vec<One> = targets
        .into_iter()
        .zip(words)
        .map(|(target, word)| One::of(target, word, settings, shared))
        .collect();
    let all = worth_a_run(all, &LastRun::of(&layers.project))?;
    let begun = Instant::now();
    let mut reports: Vec<Report> = Vec::new();
    for (n, one) in all.iter().enumerate() {
        say_heading(&one.target.name, n, all.len());
        let settings = one.settings_beside(&reports, all.len(), begun.elapsed());
        live.is_of(&one.target.name);
        let report = one.report(&settings, layers, live);
        let ending = Ending {
            folds_skipped: !arguments.verbose,
            notes: blind(&one.target, &settings, &report),
            events: None,
        };
        let written = report.written();
        say_end_of_one(&written, shared.no_tests.into(), &ending);
        live.one_ended(&written, written.exit_code(shared.no_tests.into()));
        reports.push(report);
    }
    let document = Document::of(reports.iter().map(Report::written).collect());
    let ending = Ending {
        events: live.events(),
        ..Ending::default()
    };
    let code = conclude(&document, &shared.forms, shared.no_tests.into(), &ending);
    github::annotate(&document);
    let saved = all.iter().zip(&reports);
    let saved =
        saved.flat_map(|(one, report)| saved_of(report, &one.shared, &|_| Some(&one.target)));
    let code = all_written(code, saved.collect::<Vec<_>>());
    let code = enough_have_passed(code, &reports, arguments.min_checks);
    Ok((None, code))
}

/// Those of which there is anything to try: with `--last-failed` what has failed is tried, and on no other target anything.
///
/// # Errors
/// None is, or what is chosen is not understood.
fn worth_a_run(all: Vec<One>, last: &LastRun) -> Result<Vec<One>, Error> {
    let mut worth = Vec::new();
    let mut reason = None;
    for mut one in all {
        let target = Some(&one.target);
        match narrowed(one.settings.clone(), last, &one.shared, target) {
            Ok(settings) => {
                // What is wrong with it is said before hours have gone by.
                runner::selected(&one.target, &checks::all(), &settings)?;
                one.settings = settings;
                worth.push(one);
            }
            Err(error @ Error::NothingSelected(_)) => {
                say_sentences_aside(&format!("{}: {}", one.target.name, error.chain()));
                reason = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match (worth.is_empty(), reason) {
        (true, Some(reason)) => Err(reason),
        _ => Ok(worth),
    }
}

impl One {
    fn of(target: Target, word: &str, settings: &Settings, shared: &Shared) -> Self {
        let own = |folder: &Option<PathBuf>| folder.as_ref().map(|folder| below(folder, &target));
        let shared = Shared {
            artifacts: own(&shared.artifacts),
            transcripts: own(&shared.transcripts),
            ..shared.clone()
        };
        let invocation = settings.invocation.as_ref();
        let settings = Settings {
            saved: shared.artifacts.clone(),
            transcripts: shared.transcripts.clone(),
            invocation: invocation.map(|whole| repeating(whole, word, &shared)),
            ..settings.clone()
        };
        Self {
            target,
            settings,
            shared,
        }
    }

    /// How it is drilled after others: with its part of the time that is left, and until enough has failed on all of them.
    fn settings_beside(&self, before: &[Report], all: usize, elapsed: Duration) -> Settings {
        let left = u32::try_from(all - before.len()).unwrap_or(u32::MAX);
        let budget = self.settings.budget;
        let failed: usize = before.iter().map(|report| report.summary().fail).sum();
        let max_fail = self.settings.max_fail;
        Settings {
            budget: budget.map(|budget| told_well(budget.saturating_sub(elapsed) / left)),
            max_fail: max_fail.map(|most| most.saturating_sub(failed)),
            ..self.settings.clone()
        }
    }

    /// What came of it. That one server cannot be started says nothing of the others.
    fn report(&self, settings: &Settings, layers: &Layers, live: &mut Live) -> Report {
        let ran = drilled(&self.target, settings, layers, live);
        ran.unwrap_or_else(|error| {
            complain_of(&self.target.name, &error);
            runner::not_started(&self.target, settings, &error)
        })
    }
}

/// A part of a budget, as people write times.
fn told_well(time: Duration) -> Duration {
    let to = if time.as_secs() >= 10 { 1_000 } else { 100 };
    Duration::from_millis(time.as_millis() as u64 / to * to)
}

/// The folder of a target among those of several.
fn below(folder: &Path, target: &Target) -> PathBuf {
    let plain = |c: char| c.is_alphanumeric() || ['-', '_', '.'].contains(&c);
    let name = target.name.replace(|c| !plain(c), "-");
    folder.join(name.trim_matches('.'))
}

/// The command that repeats a part of the run on one of the targets.
fn repeating(whole: &Invocation, word: &str, shared: &Shared) -> Invocation {
    let mut before = whole.before.clone();
    // What was found before is repeated first: each target has a folder of its own for it.
    if let Some(at) = before.iter().position(|word| word == "--artifacts") {
        before.drain(at..(at + 2).min(before.len()));
    }
    if let Some(folder) = &shared.artifacts {
        before.extend(["--artifacts".to_owned(), folder.display().to_string()]);
    }
    before.push(word.to_owned());
    Invocation {
        before,
        after: whole.after.clone(),
    }
}

/// The exit code where each target was to pass so many checks.
fn enough_have_passed(code: ExitCode, reports: &[Report], least: Option<usize>) -> ExitCode {
    // Of what the user did not wait for nothing is demanded.
    let Some(least) = least.filter(|_| code != ExitCode::Interrupted) else {
        return code;
    };
    let passed = |report: &&Report| report.summary().pass;
    let few = reports.iter().filter(|report| passed(report) < least);
    let few: Vec<&Report> = few.collect();
    for report in &few {
        let passed = report.summary().pass;
        say(&format!(
            "{}: {passed} checks passed, and --min-checks wants {least}",
            report.target
        ));
    }
    if few.is_empty() {
        code
    } else {
        ExitCode::Failed
    }
}
