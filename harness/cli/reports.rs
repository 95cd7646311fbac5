//! The reports of a run, in the forms that were asked for.

use super::arguments::{Forms, Shared};
use super::bundle;
use super::destination::Destination;
use super::events;
use super::github;
use super::live::Live;
use super::named::name_in;
use super::output::{complain, say, say_counts, say_pieces};
use crate::drill::DrillFile;
use crate::foreign::LINE;
use crate::launch::{Target, command_line};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::data::{CheckResult, Report};
use crate::report::piece::Piece;
use crate::report::several::{Document, Several};
use crate::report::written::Written;
use crate::runner;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Tries all places that reports are to be written to, before there is anything to lose: each that cannot be written to is said.
pub(super) fn try_places(shared: &Shared) -> Result<(), Error> {
    let folders = [
        ("artifacts", &shared.artifacts),
        ("transcripts", &shared.transcripts),
    ];
    let folders = folders.into_iter().filter_map(|(option, folder)| {
        let folder = folder.as_ref()?;
        Some(Destination::of(option, folder).tried_as_folder())
    });
    refuse_one_for_two(&shared.forms)?;
    let events = shared.events.iter().map(|path| events::tried(path));
    all_but_the_last(tried(&shared.forms).chain(events).chain(folders))
}

/// The same of the files alone.
pub(super) fn try_files(forms: &Forms) -> Result<(), Error> {
    refuse_one_for_two(forms)?;
    all_but_the_last(tried(forms))
}

/// A file that two forms were written to would hold the second.
fn refuse_one_for_two(forms: &Forms) -> Result<(), Error> {
    let mut paths: Vec<&PathBuf> = asked(forms).map(|(path, ..)| path).collect();
    paths.sort();
    if paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Error::Usage(
            "a report is written to a file, and `-` is none; name one, such as /dev/stdout"
                .to_owned(),
        ));
    }
    let twice = paths.windows(2).find(|pair| pair[0] == pair[1]);
    match twice.filter(|pair| !pair[0].starts_with("/dev")) {
        Some(pair) => Err(Error::Usage(format!(
            "{} is named for two reports; give each a file of its own",
            pair[0].display()
        ))),
        None => Ok(()),
    }
}

fn tried(forms: &Forms) -> impl Iterator<Item = Result<(), Error>> {
    asked(forms).map(|(_, destination, _)| destination.tried_as_file())
}

/// Says all errors but the last, which is for the caller to say.
fn all_but_the_last(tried: impl Iterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let mut errors: Vec<Error> = tried.filter_map(Result::err).collect();
    let last = errors.pop();
    errors.iter().for_each(complain);
    last.map_or(Ok(()), Err)
}

/// What makes a report in one of its forms.
type Form = fn(&Document) -> String;

/// The files that reports are to be written to, and what makes them.
fn asked(forms: &Forms) -> impl Iterator<Item = (&PathBuf, Destination<'_>, Form)> {
    let all: [(_, _, Form); 4] = [
        ("json", &forms.json, Document::to_json),
        ("junit", &forms.junit, Document::to_junit),
        ("html", &forms.html, Document::to_html),
        (
            "code-quality",
            &forms.code_quality,
            Document::to_code_quality,
        ),
    ];
    let asked = all.into_iter();
    asked.filter_map(|(option, path, form)| {
        let path = path.as_ref()?;
        Some((path, Destination::of(option, path), form))
    })
}

/// What the end of a run says beside its report.
pub(super) struct Close<'a> {
    /// What was skipped was not shown, and is told a line for each reason.
    pub(super) folds_skipped: bool,
    /// What is to be said besides.
    pub(super) notes: &'a dyn Fn(&Report) -> Vec<Piece>,
    /// What else was written.
    pub(super) events: Option<&'a Path>,
}

impl Ending<'_> {
    /// One that folds what was skipped, and says no more.
    pub(super) fn folded() -> Self {
        Self {
            folds_skipped: true,
            ..Self::default()
        }
    }
}

impl<'a> Close<'a> {
    /// The end of a run that was seen.
    pub(super) fn of(live: &'a Live) -> Self {
        Self {
            folds_skipped: true,
            notes: &|_| Vec::new(),
            events: live.events(),
        }
    }
}

/// What a run comes to, in which there may have been nothing to try: writes the reports that were asked for and the end of
/// the text, and returns the exit code. `server` is the one that a result is of.
pub(super) fn finish<'a>(
    ran: Result<Report, Error>,
    shared: &Shared,
    close: &Close<'_>,
    server: &dyn Fn(&CheckResult) -> Option<&'a Target>,
) -> Result<(Option<Report>, ExitCode), Error> {
    let no_tests = shared.no_tests.into();
    let report = match ran {
        Err(error @ Error::NothingSelected(_)) if no_tests != NoTests::Fail => {
            if no_tests == NoTests::Warn {
                say(&format!("warning: {}", error.chain()));
            }
            return Ok((None, ExitCode::Passed));
        }
        ran => ran?,
    };
    let ending = Ending {
        folds_skipped: close.folds_skipped,
        notes: (close.notes)(&report),
        events: close.events,
    };
    let document = Document::of(vec![report.written()]);
    let code = conclude(&document, &shared.forms, no_tests, &ending);
    github::annotate(&document);
    let code = all_written(code, saved_of(&report, shared, server));
    Ok((Some(report), code))
}

/// Writes the scenarios of a run's failures into the folder for them, and says what could not be saved of it besides.
pub(super) fn saved_of<'a>(
    report: &Report,
    shared: &Shared,
    server: &dyn Fn(&CheckResult) -> Option<&'a Target>,
) -> Vec<Result<(), Error>> {
    let names = names(&report.results);
    let results = report.results.iter().zip(&names);
    let saved = results.flat_map(|(result, name)| {
        [saved, bundled].map(|save| save(result, name, server(result), shared))
    });
    let unsaved = report.unsaved.iter().map(|reason| {
        Err(Error::Unwritable {
            option: "transcripts",
            path: shared.transcripts.clone().unwrap_or_default(),
            reason: reason.clone(),
        })
    });
    saved.chain(unsaved).collect()
}

/// The end of a text, but for what the report itself says.
#[derive(Default)]
pub(super) struct Ending<'a> {
    /// What was skipped is told a line for each reason.
    pub(super) folds_skipped: bool,
    /// What is to be said besides.
    pub(super) notes: Vec<Piece>,
    /// What else was written.
    pub(super) events: Option<&'a Path>,
}

/// Writes a report in the forms that were asked for, and the end of its text, and returns the exit code.
pub(super) fn conclude(
    document: &Document,
    forms: &Forms,
    no_tests: NoTests,
    ending: &Ending<'_>,
) -> ExitCode {
    match document {
        Document::One(report) => say_end_of_one(report, no_tests, ending),
        Document::Several(several) => say_matrix(several, no_tests, ending),
    }
    let code = document.exit_code(no_tests);
    // What a run has found is told by now, whoever reads the reports, or does not.
    let mut paths = Vec::new();
    let written = asked(forms).map(|(path, destination, form)| {
        destination.write(&form(document))?;
        paths.push(path.as_path());
        Ok(())
    });
    let code = all_written(code, written);
    github::summarise(document);
    paths.extend(ending.events);
    say_paths(&paths);
    code
}

/// The end of the text of a run on one target: what is to be looked at, and how many results came out in each way.
pub(super) fn say_end_of_one(report: &Written, no_tests: NoTests, ending: &Ending<'_>) {
    let code = report.exit_code(no_tests);
    if ending.folds_skipped {
        say_pieces(&report.skipped());
    }
    say_pieces(&report.observed());
    say_pieces(&report.told());
    say_pieces(&report.told_again());
    say_pieces(&[Piece::gap()]);
    let remarks = report.remarks().into_iter().chain(report.place_in_words());
    let remarks: Vec<Piece> = remarks.map(|words| Piece::prose("", 0, words)).collect();
    say_pieces(&remarks);
    say_pieces(&ending.notes);
    if let Some(too_little) = report.too_little().filter(|why| why.is_told(no_tests)) {
        say_pieces(&[Piece::prose("", 0, too_little.to_string())]);
    }
    let (totals, counts) = (report.totals(), report.summary.in_words());
    let rest = totals.strip_prefix(&counts).unwrap_or_default();
    say_counts(&counts, rest, code == ExitCode::Passed);
}

/// What several targets came to.
fn say_matrix(several: &Several, no_tests: NoTests, ending: &Ending<'_>) {
    let mut codes = several.targets.iter();
    let has_passed = codes.all(|report| report.exit_code(no_tests) == ExitCode::Passed);
    say(&format!("\n{}\n", several.matrix.text().trim_end()));
    say_pieces(&ending.notes);
    say_counts(&several.counts(), "", has_passed);
}

/// Says where reports are.
fn say_paths(paths: &[&Path]) {
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    if !paths.is_empty() {
        say(&format!("reports: {}", paths.join(", ")));
    }
}

/// The exit code where not all could be written, of which each is said: what a run has found, and that the user has ended it,
/// is no less true.
pub(super) fn all_written(
    code: ExitCode,
    written: impl IntoIterator<Item = Result<(), Error>>,
) -> ExitCode {
    let written = written.into_iter();
    let missing = written.filter_map(Result::err).inspect(complain).count();
    match code {
        ExitCode::Passed if missing > 0 => ExitCode::CouldNotRun,
        code => code,
    }
}

/// What the files of each result are called, none as those of another one.
fn names(results: &[CheckResult]) -> Vec<String> {
    let mut taken = HashMap::new();
    let name = |result: &CheckResult| {
        let name = runner::artifact_name(result);
        let times = taken.entry(name.clone()).or_insert(0);
        *times += 1;
        match *times {
            1 => name,
            times => format!("{name}-{times}"),
        }
    };
    let failed = |result: &CheckResult| result.scenario.is_some();
    let mut name = name;
    let names = results.iter().map(|result| match failed(result) {
        true => name(result),
        false => String::new(),
    });
    names.collect()
}

/// Writes all that was seen of a failure into a folder of its own, beside its scenario.
fn bundled(
    result: &CheckResult,
    name: &str,
    server: Option<&Target>,
    shared: &Shared,
) -> Result<(), Error> {
    match shared.artifacts.as_ref().zip(server) {
        Some((folder, server)) => bundle::write(result, server, (folder, name), shared),
        None => Ok(()),
    }
}

/// Writes the scenario of a failure into the folder for them, if there is one.
fn saved(
    result: &CheckResult,
    name: &str,
    server: Option<&Target>,
    shared: &Shared,
) -> Result<(), Error> {
    let Some((folder, scenario)) = shared.artifacts.as_ref().zip(result.scenario.as_ref()) else {
        return Ok(());
    };
    let name = format!("{name}.drill");
    let about = format!("# {}: {}\n", result.id, result.requirement);
    let file = server.map(|server| of_server(scenario, server, folder, shared));
    let (text, read) = match file.transpose() {
        Ok(None) => (about + scenario, Ok(())),
        Ok(Some(file)) => {
            let unnamed = server.filter(|_| file.server.is_none());
            let again = unnamed.map(|server| again_on(server, &folder.join(&name), shared));
            let again = again.map_or_else(String::new, |again| format!("# {again}\n"));
            (format!("{about}{again}{file}"), Ok(()))
        }
        // What was found is not lost for it.
        Err(error) => (about + scenario, Err(error)),
    };
    let written = Destination::of("artifacts", folder).write_within(&name, &text);
    written.and(read)
}

/// A scenario as a file of this folder, which names its server where a file can, and what stands behind it.
///
/// # Errors
/// It cannot be read, on whatever transport.
fn of_server(
    scenario: &str,
    server: &Target,
    folder: &Path,
    shared: &Shared,
) -> Result<DrillFile, Error> {
    let mut file = DrillFile::parse_over_any("scenario", scenario)?;
    file.server = name_in(folder, server);
    // The command that runs it on a server without a name says what that speaks.
    let speaks = shared.speaks.as_ref().filter(|_| file.server.is_some());
    file.speaks = speaks.cloned();
    for backend in &mut file.backends {
        let target = server.backends.get(&backend.name);
        let named = target.and_then(|target| name_in(folder, target));
        // Where the file that failed names none it is the server's own.
        backend.server = backend.server.take().map(|own| named.unwrap_or(own));
    }
    Ok(file)
}

/// The command that runs a file on a server that no file can name.
fn again_on(server: &Target, file: &Path, shared: &Shared) -> String {
    let file = file.to_string_lossy();
    let speaks = shared.speaks.iter().flat_map(|name| ["--speaks", name]);
    let words = ["sockdrill", "run"].into_iter().chain(speaks);
    let run = match &server.elsewhere {
        Some(elsewhere) => command_line(words.chain(["--address", &elsewhere.address, &file])),
        None => {
            let words = words.chain([&*file, "--"]);
            command_line(words.chain(server.command.iter().map(String::as_str)))
        }
    };
    LINE.text(&run).into_owned()
}
