//! `sockdrill replay`: a failure that was bundled, once more.

use super::arguments::{IsolationArg, ReplayArgs};
use super::bundle_index::{Index, SCENARIO, TARGET};
use super::output::{say_result, warn};
use super::reports::{Ending, conclude, try_files};
use super::signals::interrupt;
use super::target::commanded;
use crate::foreign::LINE;
use crate::launch::Target;
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::data::{CheckResult, Outcome, Report};
use crate::report::piece::Piece;
use crate::report::several::Document;
use crate::runner::{self, CaseRun, Given, Settings};
use clap::ValueEnum;
use std::path::Path;

pub(super) fn replay(mut arguments: ReplayArgs) -> Result<ExitCode, Error> {
    let index = Index::read(&arguments.folder)?;
    let isolation = IsolationArg::from_str(&index.settings.isolation, false);
    let isolation = isolation.map_err(|_| Error::Malformed {
        file: arguments.folder.display().to_string(),
        message: format!(
            "settings.isolation: there is no `{}`; write auto, namespace or host",
            LINE.text(&index.settings.isolation)
        ),
    })?;
    let folder = arguments.folder.canonicalize();
    let folder = folder.map_err(Error::file("reading", &arguments.folder))?;
    try_files(&arguments.forms)?;
    let target = target(&folder, &index, &arguments.command)?;
    if arguments.command.is_empty() {
        arguments.forms.spell_out();
        go_to(&index.folder);
    }
    let case = case(&folder, &index, target)?;
    let settings = Settings {
        isolation: isolation.into(),
        seed: index.settings.seed,
        strict: index.settings.strict,
        interrupt: interrupt()?,
        ..Settings::default()
    };
    let report = runner::run_cases(&[case], &settings, &say_result)?;
    let document = Document::of(vec![report.written()]);
    let ending = Ending {
        folds_skipped: true,
        notes: vec![Piece::prose("", 0, compared(&index, &report))],
        events: None,
    };
    let code = conclude(&document, &arguments.forms, NoTests::Fail, &ending);
    Ok(code)
}

/// The server of the bundle, or another build of it.
fn target(folder: &Path, index: &Index, command: &[String]) -> Result<Target, Error> {
    let mut target = Target::read(&folder.join(TARGET))?;
    target.name.clone_from(&index.target);
    if let Some(elsewhere) = &mut target.elsewhere {
        elsewhere.own_host |= index.settings.i_own_this_host;
        elsewhere.may_be_flooded |= index.settings.flood;
    }
    if command.is_empty() {
        return Ok(target);
    }
    let other = commanded(command)?;
    // Where somebody else had started it, nothing is said of how it comes up.
    let ready_within = match target.elsewhere {
        Some(_) => other.ready_within,
        None => target.ready_within,
    };
    Ok(Target {
        name: other.name,
        command: other.command,
        elsewhere: None,
        ready_within,
        ..target
    })
}

/// The server runs where it ran: its arguments may be names of files there.
fn go_to(folder: &Path) {
    if std::env::set_current_dir(folder).is_err() {
        warn(&format!(
            "{}, in which the server ran, is not there: it runs in this folder",
            folder.display()
        ));
    }
}

fn case(folder: &Path, index: &Index, target: Target) -> Result<CaseRun, Error> {
    let given = Given {
        target: Some(target),
        ..Given::default()
    };
    let file = folder.join(SCENARIO);
    let cases = runner::cases_of(&file.to_string_lossy(), &given)?;
    let Ok([mut case]) = <[CaseRun; 1]>::try_from(cases) else {
        return Err(Error::Malformed {
            file: file.display().to_string(),
            message: "a bundle is about one case, and this file has another number of them"
                .to_owned(),
        });
    };
    case.id.clone_from(&index.id);
    case.as_before = Some(index.trial.again());
    Ok(case)
}

/// What it comes to, beside what it had come to.
fn compared(index: &Index, report: &Report) -> String {
    let result = report.results.first();
    let outcome = result.map(CheckResult::outcome);
    let finding = result.and_then(CheckResult::finding);
    let keys = finding.map(|finding| finding.causes().map(|cause| cause.key()));
    let keys: Vec<String> = keys.map_or_else(Vec::new, Iterator::collect);
    let before = LINE.text(&index.reason);
    match (outcome, keys.first()) {
        // One of several may come first now.
        (_, Some(_)) if keys.contains(&index.cause) => {
            format!("it fails as it did ({})", LINE.text(&index.cause))
        }
        (_, Some(key)) => format!(
            "it fails, and not as it did: now by {}, then by {}: {before}",
            LINE.text(key),
            LINE.text(&index.cause)
        ),
        (Some(Outcome::Pass), None) => format!("it passes now; it had failed: {before}"),
        _ => format!("nothing is known of whether it still fails; it had failed: {before}"),
    }
}
