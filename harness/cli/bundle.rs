//! A failure as a folder that has all that is needed to see it again: `--artifacts` writes one beside each scenario.

use super::arguments::Shared;
use super::bundle_index::{Index, Performed, RanWith, SCENARIO, TARGET, TRIAL};
use super::bundle_words::{output, port, readme};
use super::destination::Destination;
use crate::checks;
use crate::drill::DrillFile;
use crate::foreign::{LINE, TERMINAL};
use crate::launch::Target;
use crate::model::date::utc;
use crate::model::error::Error;
use crate::model::phase::Phase;
use crate::model::scenario::Scenario;
use crate::report::data::{CheckResult, Exhibit};
use crate::report::pcapng::pcapng;
use crate::reproducer::Reproducer;
use crate::runner::{BUNDLE_INDEX, SavedTrial};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::Path;

/// What of the environment is written down: how programs are found, and in which language and time they speak.
const TOLD: &[&str] = &[
    "PATH",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LANG",
    "LC_ALL",
    "TZ",
];

/// A file of a bundle, and what it is.
struct File {
    name: &'static str,
    about: &'static str,
    bytes: Vec<u8>,
}

/// Writes the bundle of a failure into the folder of `--artifacts`, all of it or nothing, in the place of an earlier one.
///
/// # Errors
/// It cannot be written there, or its scenario cannot be read.
pub(super) fn write(
    result: &CheckResult,
    server: &Target,
    (folder, name): (&Path, &str),
    shared: &Shared,
) -> Result<(), Error> {
    let (Some(exhibit), Some(scenario)) = (&result.exhibit, &result.scenario) else {
        return Ok(());
    };
    let mut files = files(result, exhibit, scenario, server)?;
    let index = index(result, exhibit, server, shared, &files);
    let text = toml::to_string(&index).map_err(|error| Error::Malformed {
        file: BUNDLE_INDEX.to_owned(),
        message: error.to_string(),
    })?;
    files.push(File {
        name: "README.txt",
        about: "this list, for people",
        bytes: readme(
            &index,
            result,
            &folder.join(name),
            port(&exhibit.transcript),
        )
        .into(),
    });
    let mut all: Vec<(&str, &[u8])> = files.iter().map(|file| (file.name, &*file.bytes)).collect();
    all.push((BUNDLE_INDEX, text.as_bytes()));
    Destination::of("artifacts", folder).replace_folder_within(name, &all, BUNDLE_INDEX)
}

fn files(
    result: &CheckResult,
    exhibit: &Exhibit,
    scenario: &str,
    server: &Target,
) -> Result<Vec<File>, Error> {
    let text = drill(result, scenario)?;
    let file = DrillFile::parse_over_any(SCENARIO, &text)?;
    let mut trial = Vec::new();
    let saved = SavedTrial::of(&result.id, exhibit);
    let unwritten = |error: String| Error::Malformed {
        file: SCENARIO.to_owned(),
        message: error,
    };
    saved
        .write(&mut trial)
        .map_err(|error| unwritten(error.to_string()))?;
    let file_of = |name, about, bytes: Vec<u8>| File { name, about, bytes };
    let (output, told) = output(&exhibit.transcript);
    let mut files = vec![
        file_of(
            TARGET,
            "how the server is started, and what it speaks and promises",
            server.table().to_string().into(),
        ),
        file_of(
            TRIAL,
            "all that was seen, and what was said of it: `sockdrill judge` reads it",
            trial,
        ),
        file_of(
            "output.txt",
            "what the server printed, with the times",
            told.into(),
        ),
        file_of(
            "output.raw",
            "the same as output.txt, byte for byte",
            output,
        ),
        file_of(
            "evidence.txt",
            "what was wrong, as the run told it",
            TERMINAL.text(&result.details()).into_owned().into(),
        ),
        file_of(
            "evidence.json",
            "the same as evidence.txt, as the JSON report has it",
            result.to_json().into(),
        ),
    ];
    if let Some(case) = file.cases.first() {
        let packets = pcapng(&exhibit.trial, &exhibit.transcript, &case.scenario);
        let packets = packets.map_err(|error| unwritten(error.to_string()))?;
        files.push(file_of(
            "trace.pcapng",
            "what clients sent and received, for Wireshark and tshark",
            packets,
        ));
        files.push(program(&case.scenario, server));
    }
    files.push(file_of(SCENARIO, "the scenario that failed", text.into()));
    if let Some(original) = &exhibit.made_of {
        files.push(file_of(
            "original.drill",
            "the scenario that failed first, of which scenario.drill was made",
            drill(result, &original.to_string())?.into(),
        ));
    }
    Ok(files)
}

/// The scenario as a file that stands beside its target.
fn drill(result: &CheckResult, scenario: &str) -> Result<String, Error> {
    let mut file = DrillFile::parse_over_any("scenario", scenario)?;
    file.server = Some(TARGET.to_owned());
    file.speaks = None;
    for backend in &mut file.backends {
        // The target has it.
        backend.server = None;
    }
    let about = format!("{}: {}", result.id, result.requirement);
    Ok(format!("# {}\n{file}", LINE.text(&about)))
}

/// The Python program, or why there is none.
fn program(scenario: &Scenario, server: &Target) -> File {
    let target = Target {
        command: server.command_from_everywhere(),
        ..server.clone()
    };
    let made = match &server.elsewhere {
        None => Reproducer::of(&[scenario], &target),
        Some(_) => Err(Error::Usage(
            "the program would start the server itself, and somebody else has started this one"
                .to_owned(),
        )),
    };
    match made {
        Ok(made) => File {
            name: "reproduce.py",
            about: "the same as scenario.drill, as a program that needs Python 3 and nothing else",
            bytes: made.program.into(),
        },
        Err(error) => File {
            name: "no-program.txt",
            about: "why there is no Python program",
            bytes: format!("{}\n", error.chain()).into(),
        },
    }
}

fn index(
    result: &CheckResult,
    exhibit: &Exhibit,
    server: &Target,
    shared: &Shared,
    files: &[File],
) -> Index {
    let isolation = shared.isolation.to_possible_value();
    let told = TOLD.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        Some(((*name).to_owned(), value))
    });
    let files = files
        .iter()
        .map(|file| (file.name.to_owned(), file.about.to_owned()));
    let kernel = rustix::system::uname();
    let kernel = [kernel.sysname(), kernel.release(), kernel.machine()]
        .map(|part| part.to_string_lossy().into_owned());
    let elsewhere = server.elsewhere.as_ref();
    let trial = &exhibit.trial;
    Index {
        format: Index::FORMAT,
        id: result.id.clone(),
        requirement: result.requirement.clone(),
        reason: result.reason().unwrap_or_default(),
        cause: result.cause().map(|cause| cause.key()).unwrap_or_default(),
        target: server.name.clone(),
        sockdrill: env!("CARGO_PKG_VERSION").to_owned(),
        date: exhibit.transcript.began.map(utc),
        host: kernel.join(" "),
        folder: std::env::current_dir().unwrap_or_default(),
        settings: RanWith {
            seed: shared.seed,
            isolation: isolation.map_or_else(String::new, |word| word.get_name().to_owned()),
            strict: shared.strict,
            i_own_this_host: elsewhere.is_some_and(|there| there.own_host),
            flood: server.may_be_flooded(),
        },
        trial: Performed {
            // Where nobody came before although somebody might have, the scenario says why.
            polite: trial.performs(Phase::Before).is_some() || !trial.is_undisturbed,
            asks: checks::all().iter().any(|check| check.id == result.id),
            reading_is_use: trial.reading_is_use,
            known: trial.known.clone(),
        },
        environment: told.collect(),
        files: files.collect::<BTreeMap<_, _>>(),
    }
}
