//! The reports of a run, in the forms that were asked for.

use super::arguments::{Forms, Shared};
use super::bundle;
use super::destination::Destination;
use super::named::name_in;
use super::output::{complain, say, say_counts};
use crate::drill::DrillFile;
use crate::foreign::LINE;
use crate::launch::{Target, command_line};
use crate::model::error::{Error, ExitCode};
use crate::report::concluded::NoTests;
use crate::report::data::{CheckResult, Report};
use crate::report::written::Written;
use crate::runner;
use std::collections::HashMap;
use std::path::Path;

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
    all_but_the_last(tried(&shared.forms).chain(folders))
}

/// The same of the files alone.
pub(super) fn try_files(forms: &Forms) -> Result<(), Error> {
    all_but_the_last(tried(forms))
}

fn tried(forms: &Forms) -> impl Iterator<Item = Result<(), Error>> {
    asked(forms).map(|(destination, _)| destination.tried_as_file())
}

/// Says all errors but the last, which is for the caller to say.
fn all_but_the_last(tried: impl Iterator<Item = Result<(), Error>>) -> Result<(), Error> {
    let mut errors: Vec<Error> = tried.filter_map(Result::err).collect();
    let last = errors.pop();
    errors.iter().for_each(complain);
    last.map_or(Ok(()), Err)
}

/// What makes a report in one of its forms.
type Form = fn(&Written) -> String;

/// The files that reports are to be written to, and what makes them.
fn asked(forms: &Forms) -> impl Iterator<Item = (Destination<'_>, Form)> {
    let all: [(_, _, Form); 3] = [
        ("json", &forms.json, Written::to_json),
        ("junit", &forms.junit, Written::to_junit),
        ("html", &forms.html, Written::to_html),
    ];
    let asked = all.into_iter();
    asked.filter_map(|(option, path, form)| Some((Destination::of(option, path.as_ref()?), form)))
}

/// What a run comes to, in which there may have been nothing to try: writes the reports that were asked for and the end of
/// the text, and returns the exit code. `server` is the one that a result is of.
pub(super) fn finish<'a>(
    ran: Result<Report, Error>,
    shared: &Shared,
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
    let code = conclude(&report.written(), &shared.forms, no_tests);
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
    let code = all_written(code, saved.chain(unsaved));
    Ok((Some(report), code))
}

/// Writes a report in the forms that were asked for, and the end of its text, and returns the exit code.
pub(super) fn conclude(report: &Written, forms: &Forms, no_tests: NoTests) -> ExitCode {
    let code = report.exit_code(no_tests);
    let counts = report.summary.in_words();
    for line in report.closing_text().trim_end().lines() {
        match line.strip_prefix(&counts) {
            Some(rest) => say_counts(&counts, rest, code == ExitCode::Passed),
            None => say(line),
        }
    }
    let written = asked(forms).map(|(destination, form)| destination.write(&form(report)));
    let code = all_written(code, written);
    if let Some(too_little) = report.too_little().filter(|why| why.is_told(no_tests)) {
        say(&too_little.to_string());
    }
    code
}

/// The exit code where not all could be written, of which each is said: what a run has found, and that the user has ended it,
/// is no less true.
fn all_written(code: ExitCode, written: impl Iterator<Item = Result<(), Error>>) -> ExitCode {
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
