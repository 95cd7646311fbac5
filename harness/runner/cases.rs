//! Cases of scenario files, each on a server of its own.

use super::alarms::{self, Heard};
use super::attempt::{Attempt, TRIES, TrialOptions};
use super::audience::Happening;
use super::begun::Begun;
use super::check_budget;
use super::descriptors;
use super::findings::Findings;
use super::job::Job;
use super::parallel::{block_on, longest_first, map_in_order, wait_in_line};
use super::probe::subject_of;
use super::retried::retried;
use super::run_end::RunEnd;
use super::saved::make_folder;
use super::scenario_files::{prefix_below, scenario_files};
use super::selection::part_of;
use super::settings::Settings;
use crate::drill::{Backend, Case, Diagnostic, DrillFile, DrillText, Origin};
use crate::foreign::LINE;
use crate::judge::{Doubt, Skip, Verdict};
use crate::launch::lab::Lab;
use crate::launch::{Project, Target};
use crate::model::error::{Error, ExitCode};
use crate::model::mistake::{Mistake, Mistakes};
use crate::model::scenario::Scenario;
use crate::model::spent::Spent;
use crate::reference;
use crate::report::data::{CheckResult, Report};
use crate::report::place::Place;
use crate::session::{Session, Turn};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// A case of a scenario file, with the server that it is for.
#[derive(Clone, Debug)]
pub(crate) struct CaseRun {
    /// The file's stem, two colons and the name of the case.
    pub id: String,
    /// The file, for reports.
    pub file: String,
    /// The case, from the steps of the setup on.
    pub scenario: Scenario,
    /// The line that it begins at; 0 where the file has none.
    pub line: usize,
    /// The names by which it is chosen.
    pub tags: Vec<String>,
    /// Why it is known to fail, where it is.
    pub known: Option<String>,
    /// What it promises beside the profile, as its file says it.
    promises: Vec<String>,
    /// What stands behind its server, as its file names it.
    backends: Arc<[Backend]>,
    /// Where the steps stand that it begins with and that other files have.
    included: Arc<[Origin]>,
    /// The server, with what it promises in this case.
    pub target: Target,
    /// What the file says, to be asked again once it is known what the server is reached over.
    text: Arc<DrillText>,
    /// How it was performed when it failed, where that is to be repeated.
    pub as_before: Option<AsBefore>,
}

/// How a scenario is performed that is repeated as it has failed.
#[derive(Clone, Debug)]
pub(crate) struct AsBefore {
    /// A polite client comes before and after, and a bystander stands beside.
    pub polite: bool,
    /// What fails is held against the server only where it is nothing that the server may have chosen.
    pub asks: bool,
    /// A client that takes what it is owed is no silent one.
    pub reading_is_use: bool,
    /// The keys of causes that had been found before.
    pub known: Vec<String>,
}

impl CaseRun {
    /// Where it stands: its file, its line, and its name.
    pub(crate) fn place(&self) -> (PathBuf, usize, String) {
        let file = Path::new(&self.file);
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        (file, self.line, self.scenario.name.clone())
    }
}

/// What is decided outside of a scenario file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The server for every case, in the place of the one that the file names.
    pub target: Option<Target>,
    /// The profile's name or file, in the place of the target's own.
    pub speaks: Option<String>,
    /// The sockdrill program that starts reference servers; the program that runs now where `None`.
    pub program: Option<PathBuf>,
    /// The project file, which names targets and profiles.
    pub project: Project,
}

/// Reads the cases of a scenario file, or of all of a folder; `file.drill:14` is the case that line 14 is in.
///
/// # Errors
/// A file cannot be read or understood, names no server, or has no such line, or the folder has no scenario file.
pub(crate) fn cases_of(place: &str, given: &Given) -> Result<Vec<CaseRun>, Error> {
    let path = Path::new(place);
    if path.is_dir() {
        return cases_below(path, given);
    }
    let (path, line) = match place
        .rsplit_once(':')
        .and_then(|(path, line)| Some((path, line.parse().ok()?)))
    {
        Some((path, line)) => (Path::new(path), Some(line)),
        None => (path, None),
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let cases = cases_of_file(path, &stem, given)?;
    let Some(line) = line else {
        return Ok(cases);
    };
    // A line that the file does not have is a slip.
    let is_there = cases.first().is_none_or(|case| case.text.has_line(line));
    let chosen = cases.into_iter().rfind(|case| case.line <= line);
    let chosen = chosen.filter(|_| is_there);
    match chosen {
        Some(case) => Ok(vec![case]),
        None => Err(Error::NothingSelected(format!(
            "there is no case at {place}"
        ))),
    }
}

/// The cases of all scenario files below a folder, in the order of the files.
fn cases_below(folder: &Path, given: &Given) -> Result<Vec<CaseRun>, Error> {
    let files = scenario_files(folder)?;
    if files.is_empty() {
        return Err(Error::NothingSelected(format!(
            "there is no scenario file below {}; they are called NAME.drill, and what is hidden or in a folder `target` is left out",
            folder.display()
        )));
    }
    with_all_mistakes(files.iter().map(|file| match file.is_file() {
        true => cases_of_file(file, &prefix_below(folder, file), given),
        false => Err(Error::Usage(format!(
            "{} is no regular file",
            file.display()
        ))),
    }))
}

/// The cases of several files; the mistakes of all of them, where there are some.
///
/// # Errors
/// As for one of them.
pub(crate) fn with_all_mistakes(
    files: impl Iterator<Item = Result<Vec<CaseRun>, Error>>,
) -> Result<Vec<CaseRun>, Error> {
    let (mut cases, mut mistakes) = (Vec::new(), None::<Mistakes>);
    for file in files {
        match file {
            Ok(more) => cases.extend(more),
            Err(Error::Scenario(more)) => {
                mistakes = Some(match mistakes {
                    Some(before) => {
                        let untold = more.but_for(|mistake| is_told(&before, mistake));
                        before.and(untold)
                    }
                    None => more,
                });
            }
            Err(error) => return Err(error),
        }
    }
    mistakes.map_or(Ok(cases), |mistakes| Err(Error::Scenario(mistakes)))
}

/// Whether a mistake is among these: files that include the same one have its mistakes in common, by whatever way they go to it.
fn is_told(told: &Mistakes, mistake: &Mistake) -> bool {
    let real = |mistake: &Mistake| Path::new(&mistake.file).canonicalize().ok();
    let is_same = |other: &Mistake| {
        let place = |mistake: &Mistake| (mistake.line, mistake.column, mistake.message.clone());
        let has_file = other.file == mistake.file || real(other) == real(mistake);
        place(other) == place(mistake) && has_file
    };
    told.all().iter().any(is_same)
}

/// A target file in the place of a scenario file: each of its lines would be a mistake.
fn refuse_target_file(path: &Path) -> Result<(), Error> {
    match path.extension().is_some_and(|ending| ending == "toml") {
        true => Err(Error::Usage(format!(
            "{0} is a target file, and no scenario: sockdrill check {0}, or name it in a scenario by `server:`",
            path.display()
        ))),
        false => Ok(()),
    }
}

/// All cases of a file, called so in front of their names.
fn cases_of_file(path: &Path, prefix: &str, given: &Given) -> Result<Vec<CaseRun>, Error> {
    refuse_target_file(path)?;
    let text = Arc::new(DrillText::read(path)?);
    let file = text.parsed(None)?;
    // It is there for others, which include it.
    if file.cases.is_empty() {
        return Ok(Vec::new());
    }
    let mut target = match (&given.target, &file.server) {
        (Some(target), _) => target.clone(),
        (None, Some(name)) => target_of_file(name, path, given).map_err(|error| {
            in_its_line(&text, ("server:", name), "server", &error).unwrap_or(error)
        })?,
        (None, None) => {
            return Err(Error::Usage(format!(
                "{}: no server; write `server: NAME_OR_FILE` at its top, or give an --address or a command after `--`",
                path.display()
            )));
        }
    };
    match (&given.speaks, &file.speaks) {
        (Some(speaks), _) => target.profile = given.project.profile(speaks)?,
        (None, Some(speaks)) => {
            let is_needed = !target.profile.has_dialogue();
            // A file may lie elsewhere, and nobody needs it; a name is a slip wherever it stands.
            if is_needed || !speaks.contains(['/', '.']) {
                let found = given.project.profile(speaks);
                let found = found.map_err(|error| {
                    in_its_line(&text, ("speaks:", speaks), "speaks", &error).unwrap_or(error)
                })?;
                target.profile = if is_needed { found } else { target.profile };
            }
        }
        (None, None) => {}
    }
    let of_others = file.beside.backends.len();
    for (number, backend) in file.all_backends().enumerate() {
        let (setting, way) = (
            format!("backend: {}", backend.name),
            format!("backends[{}].server", number.saturating_sub(of_others)),
        );
        let said = backend.server.as_deref().unwrap_or_default();
        target = with_backend(target, backend, path, given).map_err(|error| {
            in_its_line(&text, (&setting, said), &way, &error)
                .unwrap_or_else(|| file.target_refused(&backend.name, error))
        })?;
    }
    // What the server is reached over says whether connections end with it.
    let file = match target.profile.transport {
        None => file,
        over => text.parsed(over)?,
    };
    let backends: Arc<[Backend]> = file.all_backends().cloned().collect();
    let included: Arc<[Origin]> = file.beside.setup.origins.as_slice().into();
    let run = |case: &Case| {
        let terms = file.terms_of(case);
        Ok(CaseRun {
            id: id_of(prefix, &case.scenario),
            file: path.display().to_string(),
            scenario: file.performed(case),
            line: case.line,
            tags: terms.tags,
            known: terms.expected.map(|expected| expected.reason),
            target: promising(&target, &terms.promises, &text)?,
            promises: terms.promises,
            backends: Arc::clone(&backends),
            included: Arc::clone(&included),
            text: Arc::clone(&text),
            as_before: None,
        })
    };
    file.cases.iter().map(run).collect()
}

/// What is wrong with a name, or with what it names, in the line of the file that says it, unless that is another file.
fn in_its_line(text: &DrillText, said: (&str, &str), way: &str, error: &Error) -> Option<Error> {
    let mistake = match error {
        Error::Unknown { kind, name, hint } => {
            let title = format!("there is no {kind} `{}`", LINE.text(name));
            Diagnostic::unknown_name(&title, hint)
        }
        error if error.exit_code() == ExitCode::Usage => Diagnostic::new(0..0, error.to_string()),
        _ => return None,
    };
    text.mistake_in(said, way, mistake)
}

/// The target with these promises beside those of its profile.
fn promising(target: &Target, promises: &[String], text: &DrillText) -> Result<Target, Error> {
    let mut target = target.clone();
    for said in promises {
        let profile = target.profile.promising_also(said);
        target.profile = profile.map_err(|error| {
            let mistake = Diagnostic::new(0..0, error.as_str());
            let placed = text.mistake_in(("promise:", said), "", mistake);
            placed.unwrap_or_else(|| Error::Malformed {
                file: text.name().to_owned(),
                message: format!("promise: {said}: {error}"),
            })
        })?;
    }
    Ok(target)
}

/// The target with a backend behind it that a scenario file names, which is its own where the file says no more.
fn with_backend(
    target: Target,
    backend: &Backend,
    file: &Path,
    given: &Given,
) -> Result<Target, Error> {
    let malformed = |message: String| Error::Malformed {
        file: file.display().to_string(),
        message,
    };
    let name = &backend.name;
    match &backend.server {
        Some(server) => {
            let behind = target_of_file(server, file, given)?;
            target.with_backend(name, behind).map_err(malformed)
        }
        None if target.backends.contains_key(name) => Ok(target),
        None => Err(malformed(format!(
            "backend {name}: the target {} has none of that name; write `backend: {name} FILE`, or [backends.{name}] in the target",
            target.name
        ))),
    }
}

/// A target that a scenario file names: by name, or as a path beside the file or from here.
fn target_of_file(name: &str, file: &Path, given: &Given) -> Result<Target, Error> {
    let beside = file.with_file_name(name);
    let project = &given.project;
    match &given.program {
        _ if beside.is_file() => Target::read_in(&beside, project),
        Some(program) if reference::find(name).is_some() && project.target(name).is_none() => {
            Target::reference(name, program)
        }
        _ => Target::find_in(name, project),
    }
}

/// Runs cases of scenario files and reports on them.
///
/// # Errors
/// There is no case, or no lab.
pub(crate) fn run_cases(
    cases: &[CaseRun],
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    let Some(first) = cases.first() else {
        return Err(Error::NothingSelected(
            "there is no case in these files".to_owned(),
        ));
    };
    let cases: Vec<(usize, &CaseRun)> = cases.iter().enumerate().collect();
    let cases = part_of(cases, settings, |(_, case)| &case.id)?;
    make_folder(settings)?;
    let begun = Begun::now();
    let end = RunEnd::of(settings);
    let lab = Lab::of(&first.target, settings.isolation)?;
    settings.audience.hears(Happening::Planned(cases.len()));
    let (isolation, why_host) = (
        lab.isolation().to_owned(),
        lab.why_host().map(str::to_owned),
    );
    let why_writes_to_host = lab.why_unbounded();
    let _nursery = lab.nursery();
    drop(lab);
    let results = map_in_order(
        &cases,
        |(_, case)| match settings.budget {
            // As they stand in their files.
            Some(_) => longest_first(Duration::ZERO),
            None => longest_first(case.scenario.pauses()),
        },
        at_a_time(&cases, settings),
        |&(place, case), turn| {
            let _shown = settings.audience.sees_begin(&case.id, turn);
            let result = retried(settings, &end, || {
                let ran = run_in_turn(case, settings, &end, turn);
                // What keeps one server from running says nothing of the others.
                ran.unwrap_or_else(|error| not_run(case, &error))
            });
            let result = CheckResult { place, ..result };
            settings.audience.hears(Happening::Concluded(&result));
            result
        },
        on_result,
    );
    let mut spent = Spent::default();
    results.iter().for_each(|result| spent.add(&result.spent));
    Ok(Report {
        target: first.target.name.clone(),
        isolation,
        why_host,
        why_writes_to_host,
        elsewhere: first
            .target
            .elsewhere
            .as_ref()
            .map(|there| there.address.clone()),
        seed: settings.seed,
        started: begun.started(),
        duration: begun.elapsed(),
        serves_nobody: false,
        interrupted: settings.interrupt.is_raised(),
        unsaved: settings.unsaved.take(),
        flaky_fails: settings.flaky_fails,
        budget: settings.budget,
        partition: settings.partition,
        timings: settings.timings.then(|| begun.timings(spent)),
        results,
        observations: BTreeMap::new(),
    })
}

/// How many cases are run at a time; of a server that somebody else has started there is but one.
fn at_a_time(cases: &[(usize, &CaseRun)], settings: &Settings) -> usize {
    match cases
        .iter()
        .any(|(_, case)| case.target.elsewhere.is_some())
    {
        true => 1,
        false => descriptors::jobs(settings.jobs),
    }
}

/// Runs one case and says what came of it.
///
/// # Errors
/// The server could not be started.
pub(crate) fn run_case(case: &CaseRun, settings: &Settings) -> Result<CheckResult, Error> {
    let end = RunEnd::of(settings);
    run_in_turn(case, settings, &end, &Turn::default())
}

fn run_in_turn(
    case: &CaseRun,
    settings: &Settings,
    end: &RunEnd,
    turn: &Turn,
) -> Result<CheckResult, Error> {
    let _told = tracing::debug_span!("case", id = case.id).entered();
    let begun = Instant::now();
    let needed = descriptors::needed(std::slice::from_ref(&case.scenario));
    let heard = Heard::default();
    let findings = Findings::of_a_run(end.of_part());
    let taken = descriptors::take_in_turn(needed, turn);
    let (_held, attempt) = match wait_in_line(settings, taken) {
        Ok(Ok(held)) => {
            let tried = in_time(case, settings, turn, &findings, &heard);
            (held, block_on(tried)??)
        }
        Ok(Err(skip)) => (None, Attempt::of(Verdict::Skip(skip))),
        Err(over) => (None, Attempt::of(over.verdict_on_the_untried())),
    };
    let attempt = Attempt {
        verdict: heard.beside(attempt.verdict),
        ..attempt
    };
    let is_recommended = alarms::is_recommended(&attempt.verdict);
    let reproduce = attempt.has_failed();
    let reproduce = reproduce.then(|| place_of(case, &attempt));
    let reproduce = reproduce.and_then(|place| {
        let place: Vec<&str> = place.iter().map(String::as_str).collect();
        settings.repeating(&place)
    });
    Ok(CheckResult {
        started: Some(SystemTime::now() - begun.elapsed()),
        duration: begun.elapsed(),
        spent: turn.spent(),
        reproduce,
        lenient: is_recommended && !settings.strict,
        ..result(case, attempt)
    })
}

/// The result of a case whose server could not be started.
fn not_run(case: &CaseRun, error: &Error) -> CheckResult {
    let reason = error.chain();
    result(
        case,
        Attempt::of(Verdict::Inconclusive(Doubt::CouldNotRun { reason })),
    )
}

fn result(case: &CaseRun, attempt: Attempt) -> CheckResult {
    let scenario = attempt.failed.as_ref();
    let scenario =
        scenario.map(|scenario| DrillFile::promising(scenario, &case.promises, &case.backends));
    let at = match &attempt.verdict {
        Verdict::Fail(finding) => Place::in_included(&case.included, finding)
            .or_else(|| Place::in_file(&case.text, case.line, finding))
            .or_else(|| Place::in_scenario(scenario.as_deref()?, finding)),
        Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_) => None,
    };
    CheckResult {
        at,
        scenario,
        transcript: attempt.transcript,
        trace: attempt.trace,
        exhibit: attempt.exhibit,
        known: case.known.clone(),
        ..CheckResult::of(&case.id, &case.file, &case.scenario.name, attempt.verdict)
    }
}

/// The words of a command line that name a case: by the line at which it failed, or where its file has no lines of its own by its
/// name.
fn place_of(case: &CaseRun, attempt: &Attempt) -> Vec<String> {
    if case.line > 0 {
        return vec![format!("{}:{}", case.file, line_of(case, attempt))];
    }
    let stem = Path::new(&case.file).file_stem().unwrap_or_default();
    let id = id_of(&stem.to_string_lossy(), &case.scenario);
    let expression = format!("test(={})", in_expression(&id));
    ["--filter-expr", &expression, &case.file]
        .map(str::to_owned)
        .to_vec()
}

/// A text as an expression of `-E` has it.
fn in_expression(text: &str) -> String {
    text.replace('\\', r"\\").replace(')', r"\)")
}

fn id_of(prefix: &str, scenario: &Scenario) -> String {
    format!("{}::{}", LINE.text(prefix), scenario.name)
}

fn line_of(case: &CaseRun, attempt: &Attempt) -> usize {
    let failed = match &attempt.verdict {
        Verdict::Fail(finding) => finding.line(),
        _ => 0,
    };
    // A step of the setup stands above all cases.
    failed.max(case.line).max(1)
}

/// Tries a case, unless the run is over before, or its own time.
async fn in_time(
    case: &CaseRun,
    settings: &Settings,
    turn: &Turn,
    findings: &Findings,
    heard: &Heard,
) -> Result<Attempt, Error> {
    let most = check_budget::of(std::slice::from_ref(&case.scenario), settings);
    // What has failed ends by itself then, and is told.
    tokio::select! {
        biased;
        attempt = try_case(case, settings, turn, findings, heard) => attempt,
        over = findings.until_over() => Ok(Attempt::of(over.verdict())),
        over = check_budget::until_used(Some(most), turn) => Ok(Attempt::of(over.verdict())),
    }
}

async fn try_case(
    case: &CaseRun,
    settings: &Settings,
    turn: &Turn,
    findings: &Findings,
    heard: &Heard,
) -> Result<Attempt, Error> {
    let target = &case.target;
    turn.come_back().await;
    // Enough may have failed while there was no place for it.
    if let Some(over) = findings.is_over() {
        return Ok(Attempt::of(over.verdict_on_the_untried()));
    }
    let lab = Lab::of(target, settings.isolation)?;
    let lab = Arc::new(lab.holding_up(case.scenario.answered_calls()));
    let session = Session::start(target, lab.clone(), turn.clone()).await?;
    let subject = subject_of(&session, &lab, target, settings)?;
    let transport = subject.place.transport;
    if let Some(skip) = Skip::over(transport, &case.scenario) {
        return Ok(Attempt::of(Verdict::Skip(skip)));
    }
    if let Some(skip) = Skip::out_of_reach(&subject, &case.scenario) {
        return Ok(Attempt::of(Verdict::Skip(skip)));
    }
    if target.profile.transport.is_none() {
        // Now it is known what can happen.
        case.text.parsed(Some(transport))?;
    }
    let before = case.as_before.as_ref();
    let job = Job::new(target, &subject, settings, turn, findings).of(&case.id, heard);
    let job = job.as_before(before);
    let job = job.in_time_of(std::slice::from_ref(&case.scenario));
    // The session keeps its lab for as long as its server is used.
    drop(lab);
    let options = TrialOptions {
        fresh_server: true,
        shares_servers: false,
        polite: before.is_none_or(|before| before.polite),
        tries: TRIES,
        // Who writes a scenario says what he expects.
        ask: before.is_some_and(|before| before.asks),
        ends_when_late: false,
    };
    job.try_on(Some(session), std::iter::once((0, &case.scenario)), options)
        .await
}
