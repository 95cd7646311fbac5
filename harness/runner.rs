//! From a target and a selection of checks to a report: who is tried on which server, and what is repeated.

use crate::check::{Address, Check, Ground, Severity};
use crate::coverage::Coverage;
use crate::error::Error;
use crate::event::Transcript;
use crate::judge::{Finding, Trial, Verdict, judge, name};
use crate::kernel::Row;
use crate::lab::{Isolation, Lab};
use crate::passport::{OBSERVATIONS, Observation, Seen};
use crate::profile::{Profile, Serves, Transport};
#[cfg(feature = "property")]
use crate::property;
use crate::report::{CheckResult, Report};
use crate::scenario::DrillFile;
use crate::servers;
use crate::stage::Stage;
use crate::step::{Invariant, Line, Scenario, Waiver};
use crate::talk::{self, Talk, scenario, settle};
use crate::target::{Server, Target};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{RwLock, watch};

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where servers run.
    pub isolation: Isolation,
    /// How many servers run at a time; waits overlap, so more than there are processors.
    pub jobs: usize,
    /// The seed of generated payloads.
    pub seed: u64,
    /// Every position and the large counts.
    pub deep: bool,
    /// How many cases of each property are drawn; `None` for few, or with `deep` for many.
    pub cases: Option<usize>,
    /// Globs over check ids; empty means all.
    pub only: Vec<String>,
    /// Globs over check ids to leave out.
    pub skip: Vec<String>,
    /// A drawn case that fails is made as small as it goes.
    pub shrink: bool,
    /// The folder of cases that have failed before; those of properties are repeated first.
    pub saved: Option<PathBuf>,
    /// Recommendations count as requirements.
    pub strict: bool,
    /// Becomes true when the user ends the run.
    pub interrupt: watch::Receiver<bool>,
    /// How the target was named on the command line, for the command that repeats a failure.
    pub invocation: Invocation,
}

/// How a target was named on the command line.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The words that name it and its profile.
    pub target: Vec<String>,
    /// The server's command, as it stood behind `--`.
    pub command: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            isolation: Isolation::Auto,
            jobs: 8,
            seed: 1,
            deep: false,
            cases: None,
            shrink: true,
            saved: None,
            only: Vec::new(),
            skip: Vec::new(),
            strict: false,
            interrupt: watch::channel(false).1,
            invocation: Invocation::default(),
        }
    }
}

/// How often something that failed, or that proved nothing, is tried on servers of its own.
const TRIES: usize = 3;

/// Checks a target against the checks of a table.
///
/// `on_result` is called with each result, in the order of the table.
///
/// # Errors
/// The server could not be started, or nothing was selected.
pub fn check(
    target: &Target,
    table: &[&'static Check],
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    refuse_misspelt(target, table, settings)?;
    let selected: Vec<&'static Check> = table
        .iter()
        .copied()
        .filter(|check| is_selected(check.id, settings))
        .collect();
    if selected.is_empty() {
        return Err(Error::NothingSelected(format!(
            "every check that matches {} matches --skip {} too",
            match settings.only.as_slice() {
                [] => "anything".to_owned(),
                only => format!("--only {}", only.join(" --only ")),
            },
            settings.skip.join(" --skip ")
        )));
    }
    let begun = Instant::now();
    let first = block_on(settings, acquaint(target, settings))??;
    let target = Target {
        profile: first.profile.clone(),
        ..target.clone()
    };
    // What others build on comes first: a promise that is broken is reported once, and not built on. The bystander
    // builds on it too, whatever is selected.
    let is_selected_too = is_selected(CONCURRENT, settings);
    let concurrent = table.iter().find(|check| {
        check.id == CONCURRENT && (is_selected_too || talk::can_stand_by(&target.profile))
    });
    let concurrent = concurrent
        .map(|check| check_result(check, &target, &first, settings))
        .transpose()?;
    let broken = concurrent
        .as_ref()
        .is_some_and(|result| matches!(result.verdict, Verdict::Fail(_)));
    let target = match broken {
        true => without_concurrency(target),
        false => target,
    };
    let first = match broken && is_selected_too {
        true => first.without_concurrency(),
        false => first,
    };
    let run_one = |check: &'static Check| match &concurrent {
        Some(result) if check.id == CONCURRENT => Ok(result.clone()),
        _ => check_result(check, &target, &first, settings),
    };
    let mut work: Vec<Work> = selected.into_iter().map(Work::Check).collect();
    // In the middle, long waits are still to come, which those of the observations overlap; the first results come out.
    let middle = work.len() / 2;
    let observed = worth_a_server(&first, &target, settings);
    let observed = observed
        .into_iter()
        .map(|(observation, scenario)| Work::Observe(observation, scenario));
    work.splice(middle..middle, observed);
    // On the plain host two servers with the same fixed port would meet.
    let alone = !first.private && !target.takes_any_place();
    let jobs = if alone { 1 } else { settings.jobs };
    let done = side_by_side(
        &work,
        jobs,
        |work| match work {
            Work::Check(check) => run_one(check).map(|result| Done::Checked(Box::new(result))),
            Work::Observe(observation, scenario) => {
                observe(observation, scenario, &target, &first, settings)
                    .map(|value| Done::Observed(observation.name, value))
            }
        },
        &|done| {
            if let Done::Checked(result) = done {
                on_result(result);
            }
        },
    )?;
    let mut results = Vec::new();
    let mut observations = first_observations(&first, &target, settings);
    for done in done {
        match done {
            Done::Checked(result) => results.push(*result),
            Done::Observed(name, value) => {
                observations.insert(name.to_owned(), value);
            }
        }
    }
    Ok(Report {
        target: target.name.clone(),
        isolation: first.isolation.to_owned(),
        why_host: first.why_host.clone(),
        seed: settings.seed,
        duration: begun.elapsed(),
        results,
        observations,
    })
}

/// A glob that names nothing is a slip: what it was meant to leave out would run, and what it was meant to run would not.
fn refuse_misspelt(
    target: &Target,
    table: &[&'static Check],
    settings: &Settings,
) -> Result<(), Error> {
    let names_check = |glob: &str| table.iter().any(|check| glob_matches(glob, check.id));
    let names_observation = |glob: &str| {
        let mut ids = OBSERVATIONS.iter().filter_map(|row| row.id);
        ids.any(|id| glob_matches(glob, id))
    };
    let list = "`sockdrill list checks` names them";
    if let Some(glob) = settings.only.iter().find(|glob| !names_check(glob)) {
        return Err(Error::NothingSelected(match names_observation(glob) {
            true => format!("--only {glob} names what is observed without --only and never judged"),
            false => format!("no check matches --only {glob}; {list}"),
        }));
    }
    let skips = settings.skip.iter().map(|glob| (glob, "--skip"));
    let known = target.known.iter().map(|known| (&known.check, "[[known]]"));
    let mut globs = skips.chain(known);
    match globs.find(|(glob, _)| !names_check(glob) && !names_observation(glob)) {
        Some((glob, place)) => Err(Error::Unknown {
            kind: "check",
            name: glob.clone(),
            hint: format!(", which {place} names; {list}"),
        }),
        None => Ok(()),
    }
}

/// The same target, of which nobody expects that it serves concurrently.
fn without_concurrency(mut target: Target) -> Target {
    target.profile.promises.serves = None;
    target
}

/// Whether an id is chosen by `--only` and not by `--skip`.
fn is_selected(id: &str, settings: &Settings) -> bool {
    let chosen =
        settings.only.is_empty() || settings.only.iter().any(|glob| glob_matches(glob, id));
    chosen && !settings.skip.iter().any(|glob| glob_matches(glob, id))
}

/// Matches a glob in which `*` stands for any text; a family's name stands for all of it.
pub fn glob_matches(glob: &str, id: &str) -> bool {
    if id.split('/').next() == Some(glob) {
        return true;
    }
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| id.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Runs `run` over all items on `jobs` threads; results come back, and are shown, in the order of the items.
pub(crate) fn side_by_side<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    run: impl Fn(&T) -> Result<R, Error> + Sync,
    on_result: &(dyn Fn(&R) + Sync),
) -> Result<Vec<R>, Error> {
    struct Done<R> {
        results: Vec<Option<R>>,
        shown: usize,
        error: Option<Error>,
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Done {
        results: items.iter().map(|_| None).collect(),
        shown: 0,
        error: None,
    });
    let work = || {
        while let Some((n, item)) = items
            .iter()
            .enumerate()
            .nth(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = run(item);
            let Ok(mut done) = done.lock() else { return };
            match result {
                Ok(result) => done.results[n] = Some(result),
                Err(error) => {
                    done.error.get_or_insert(error);
                    next.store(items.len(), Ordering::Relaxed);
                }
            }
            while let Some(Some(result)) = done.results.get(done.shown) {
                on_result(result);
                done.shown += 1;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(work);
        }
    });
    let done = done
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    match done.error {
        Some(error) => Err(error),
        None => Ok(done.results.into_iter().flatten().collect()),
    }
}

/// Runs a future on a thread's own runtime, until the user interrupts it.
fn block_on<T>(settings: &Settings, work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Kernel {
            doing: "making an event loop",
            source,
        })?;
    let mut interrupt = settings.interrupt.clone();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::select! {
            result = work => Ok(result),
            Ok(_) = interrupt.wait_for(|interrupted| *interrupted) => Err(Error::Interrupted),
        }
    })
}

/// What the first look at a server tells.
struct Acquaintance {
    profile: Profile,
    transport: Transport,
    backlog: Option<u32>,
    private: bool,
    wildcard: bool,
    ipv6: bool,
    dual_stack: bool,
    isolation: &'static str,
    why_host: Option<String>,
    address: Address,
    /// The first conversation, and what was seen of it.
    conversation: Scenario,
    transcript: Transcript,
    /// Why the server does not even serve a polite client.
    unserved: Option<String>,
    not_concurrent: bool,
}

impl Acquaintance {
    /// What checks and observations can build on.
    fn ground(&self, target: &Target, settings: &Settings) -> Ground<'_> {
        Ground {
            profile: &self.profile,
            transport: self.transport,
            backlog: self.backlog,
            seed: settings.seed,
            deep: settings.deep,
            cases: settings
                .cases
                .unwrap_or(if settings.deep { MANY_CASES } else { FEW_CASES }),
            not_concurrent: self.not_concurrent,
            own_namespace: self.private,
            wildcard: self.wildcard,
            socket_is_given: target.listen_fds,
            ipv6: self.ipv6,
            dual_stack: self.dual_stack,
            told_loopback: target.names_loopback(),
        }
    }

    /// What an observation is read from, where `transcript` is what was seen of `scenario`.
    fn seen<'a>(
        &'a self,
        ground: &'a Ground<'a>,
        scenario: &'a Scenario,
        transcript: &'a Transcript,
    ) -> Seen<'a> {
        Seen {
            ground,
            address: &self.address,
            isolation: self.isolation,
            scenario,
            transcript,
        }
    }

    /// The same of a server that was found not to serve concurrently, whatever its profile says.
    fn without_concurrency(mut self) -> Self {
        self.profile.promises.serves = None;
        self.not_concurrent = true;
        self
    }
}

/// A server that listens although its first process has ended: it can be neither watched nor told to end.
fn in_background(target: &Target) -> Error {
    Error::EndedEarly {
        how: "put itself into the background, and its first process ended".to_owned(),
        awaited: "it could be drilled; give it the option that keeps it in the foreground"
            .to_owned(),
        waited: std::time::Duration::ZERO,
        output: String::new(),
        command: target.command_line(),
    }
}

/// Starts the server once, talks to it politely, and notes what it does.
async fn acquaint(target: &Target, settings: &Settings) -> Result<Acquaintance, Error> {
    let lab = Arc::new(Lab::open(settings.isolation)?);
    let isolation = lab.isolation();
    let why_host = lab.why_host().map(str::to_owned);
    let private = lab.is_private();
    let mut stage = Stage::set(target, lab).await?;
    let (transport, address, wildcard) = match stage.server() {
        Some(server) => (
            server.transport(),
            server.address().clone(),
            server.is_on_every_address(),
        ),
        None => return Err(in_background(target)),
    };
    let rows = stage
        .server()
        .map(|server| server.listeners())
        .unwrap_or_default();
    let v6 = |row: &&Row| row.local.is_some_and(|local| local.is_ipv6());
    let ipv6 = rows.iter().any(|row| v6(&row));
    let dual_stack = rows
        .iter()
        .filter(v6)
        .any(|row| !row.v6_only && row.local.is_some_and(|local| local.ip().is_unspecified()));
    let profile = Profile {
        transport: Some(transport),
        ..target.profile.clone()
    };
    let listener = stage.listener().filter(|_| !transport.is_datagram());
    let backlog = listener.map(|(_, backlog)| backlog);
    // What a served client leaves behind is a finding of the checks, and no reason not to look at them.
    let beside = Invariant::ALL.iter().map(|(invariant, _)| *invariant);
    let beside = beside.filter(|invariant| *invariant != Invariant::Alive);
    let polite = Scenario {
        waived: beside
            .map(|invariant| Waiver {
                invariant,
                reason: "only whether it serves is of interest".to_owned(),
            })
            .collect(),
        ..scenario(
            "a polite client",
            &[("alice", 1)],
            vec![with_a_look_at_the_end(Talk::of(0).polite(&profile).lines())],
        )
    };
    let trial = Trial {
        ends_after_one: profile.promises.serves == Some(Serves::OneConnection),
        ..Trial::alone(polite)
    };
    let transcript = stage.perform(&trial).await?;
    let unserved = match judge(&trial, &transcript) {
        Verdict::Fail(finding) => Some(finding.reason),
        Verdict::Inconclusive(reason) => Some(reason),
        Verdict::Pass | Verdict::Skip(_) => None,
    };
    Ok(Acquaintance {
        address,
        conversation: trial.script,
        transcript,
        profile,
        transport,
        backlog,
        private,
        wildcard,
        ipv6,
        dual_stack,
        isolation,
        why_host,
        unserved,
        not_concurrent: false,
    })
}

fn empty() -> Scenario {
    scenario("nothing", &[], vec![])
}

/// The same lines, with the time for what the server does by itself before the client closes.
fn with_a_look_at_the_end(mut lines: Vec<Line>) -> Vec<Line> {
    lines.insert(lines.len().saturating_sub(1), settle());
    lines
}

/// What the first conversation showed.
fn first_observations(
    first: &Acquaintance,
    target: &Target,
    settings: &Settings,
) -> BTreeMap<String, String> {
    let ground = first.ground(target, settings);
    let seen = first.seen(&ground, &first.conversation, &first.transcript);
    let values = OBSERVATIONS.iter().filter_map(|observation| {
        Some((
            observation.name.to_owned(),
            observation.at_acquaintance(&seen)?,
        ))
    });
    values.collect()
}

/// The observations that are worth a server of their own: all that have a meaning, unless few checks were asked for or
/// there is nobody to observe.
fn worth_a_server(
    first: &Acquaintance,
    target: &Target,
    settings: &Settings,
) -> Vec<(&'static Observation, Scenario)> {
    if !settings.only.is_empty() || first.unserved.is_some() {
        return Vec::new();
    }
    let ground = first.ground(target, settings);
    let scenarios = OBSERVATIONS
        .iter()
        .filter(|observation| observation.id.is_none_or(|id| is_selected(id, settings)))
        .filter_map(|observation| Some((observation, observation.scenario(&ground)?)));
    scenarios.collect()
}

/// Performs the scenario of an observation and says what was observed, or in words why nothing was.
fn observe(
    observation: &Observation,
    scenario: &Scenario,
    target: &Target,
    first: &Acquaintance,
    settings: &Settings,
) -> Result<String, Error> {
    let trial = trial(scenario, &first.profile, false);
    let work = async { beside_others(&mut set_stage(target, settings).await?, &trial).await };
    match block_on(settings, work)? {
        Ok(transcript) => {
            let ground = first.ground(target, settings);
            Ok(observation.value(&first.seen(&ground, scenario, &transcript)))
        }
        Err(error) => {
            let reason = error.chain();
            // What follows in further lines is for who starts the server himself.
            let reason = reason.lines().next().unwrap_or_default();
            Ok(format!("not observed: {reason}"))
        }
    }
}

/// What a run does on a server of its own.
enum Work {
    Check(&'static Check),
    Observe(&'static Observation, Scenario),
}

/// What came of it.
enum Done {
    Checked(Box<CheckResult>),
    Observed(&'static str, String),
}

fn check_result(
    check: &'static Check,
    target: &Target,
    first: &Acquaintance,
    settings: &Settings,
) -> Result<CheckResult, Error> {
    let begun = Instant::now();
    let ground = first.ground(target, settings);
    let mut scenarios = Vec::new();
    let mut tried = match (check.unmet(&ground), &first.unserved) {
        (Some(reason), _) => Tried::verdict(Verdict::Skip(reason)),
        (None, Some(reason)) if check.id != POLITE => Tried::verdict(Verdict::Inconclusive(
            format!("the undisturbed server does not serve a polite client: {reason}"),
        )),
        (None, _) => {
            scenarios = (check.scenarios)(&ground);
            let saved = saved_cases(check, settings);
            scenarios.splice(0..0, saved.iter().cloned());
            // What is drawn is not tried again as a whole, but case by case.
            let tries = if check.family() == DRAWN { 1 } else { TRIES };
            let work = try_all(
                &scenarios,
                check.fresh_server,
                check.id != POLITE,
                tries,
                target,
                settings,
            );
            let work = async {
                let drawn = &scenarios[saved.len()..];
                let tried = work.await?;
                let cases = (scenarios.as_slice(), saved.len());
                let tried = case_by_case(tried, check, &ground, cases, target, settings).await?;
                made_small(tried, check, &ground, drawn, target, settings).await
            };
            match block_on(settings, work)? {
                Ok(tried) => tried,
                // It started before, so what keeps it from starting now is no fault of the command.
                Err(error) => Tried::verdict(Verdict::Inconclusive(format!(
                    "the server could not be started again: {}",
                    error.chain()
                ))),
            }
        }
    };
    let mut listed = target
        .known
        .iter()
        .filter(|known| glob_matches(&known.check, check.id));
    let known = listed
        .clone()
        .find(|known| !is_over(known.until.as_deref()));
    if let (Verdict::Fail(finding), None, Some(over)) = (&mut tried.verdict, known, listed.next()) {
        let until = over.until.as_deref().unwrap_or_default();
        finding
            .reason
            .push_str(&format!(" (known until {until}: {})", over.reason));
    }
    Ok(CheckResult {
        id: check.id.to_owned(),
        family: check.family().to_owned(),
        requirement: check.requirement.to_owned(),
        lenient: check.severity == Severity::Should && !settings.strict,
        known: known
            .filter(|known| match tried.verdict {
                Verdict::Skip(_) => false,
                Verdict::Pass => !known.sometimes,
                _ => true,
            })
            .map(|known| known.reason.clone()),
        scenarios: scenarios.len(),
        coverage: tried.coverage,
        duration: begun.elapsed(),
        tried: tried_by(check, &scenarios, &ground, tried.unproven),
        reproduce: tried
            .failed
            .as_ref()
            .map(|_| repeat_command(check.id, settings)),
        scenario: tried.failed.map(|scenario| scenario.to_string()),
        verdict: tried.verdict,
        transcript: tried.transcript,
    })
}

/// How many cases of a property a quick run has: no row of the table should take longer than its longest wait.
const FEW_CASES: usize = 30;

/// How many a deep run has.
const MANY_CASES: usize = 1_000;

/// The check that the profile's own exchange works; where it fails, no other can conclude anything.
const POLITE: &str = "polite/exchange";

/// The check that the promise to serve concurrently is kept, on which others build.
const CONCURRENT: &str = "crowd/one-silent";

fn is_over(until: Option<&str>) -> bool {
    until.is_some_and(|until| *until < *today())
}

/// Today's date, as `YYYY-MM-DD`.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400) as i64;
    // Days to a civil date: the year begins in March, so that the leap day is its last.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// What the clients of a drawn check have tried.
#[cfg(feature = "property")]
fn tried_by(
    check: &Check,
    scenarios: &[Scenario],
    ground: &Ground<'_>,
    unproven: usize,
) -> Option<String> {
    let is_drawn = check.family() == DRAWN && !scenarios.is_empty();
    is_drawn.then(|| {
        let concluded = match unproven {
            0 => String::new(),
            unproven => format!(", of which {unproven} proved nothing"),
        };
        let coverage = property::Coverage::of(scenarios);
        format!("{} cases{concluded}: {coverage}", ground.cases)
    })
}

/// Nothing is drawn without the feature.
#[cfg(not(feature = "property"))]
fn tried_by(_: &Check, _: &[Scenario], _: &Ground<'_>, _: usize) -> Option<String> {
    None
}

/// Where scenarios of a drawn check proved nothing, looks at each of their cases alone: what one of them lacks says
/// nothing of the others. `saved` scenarios are in front of the drawn ones.
#[cfg(feature = "property")]
async fn case_by_case(
    tried: Tried,
    check: &Check,
    ground: &Ground<'_>,
    (scenarios, saved): (&[Scenario], usize),
    target: &Target,
    settings: &Settings,
) -> Result<Tried, Error> {
    let rules = property::Rules::of(ground).filter(|_| check.family() == DRAWN);
    let (Verdict::Inconclusive(reason), Some(rules)) = (&tried.verdict, rules) else {
        return Ok(tried);
    };
    let cases_of = |n: &usize| match n.checked_sub(saved) {
        Some(chapter) => rules.cases_of(chapter),
        None => vec![scenarios[*n].clone()],
    };
    let cases: Vec<Scenario> = tried.unsure.iter().flat_map(cases_of).collect();
    let all = ground.cases + saved;
    let mut failed = None;
    let verdict_of = async |case: &Scenario| {
        let case = std::slice::from_ref(case);
        let alone = try_all(case, false, true, TRIES, target, settings).await?;
        let verdict = alone.verdict.clone();
        failed = Some(alone).filter(|alone| matches!(alone.verdict, Verdict::Fail(_)));
        Ok(verdict)
    };
    let unproven = property::unproven(&cases, all, verdict_of).await?;
    if let Some(failed) = failed {
        return Ok(failed);
    }
    let verdict = match property::is_too_little(unproven, all) {
        true => Verdict::Inconclusive(format!(
            "{unproven} of {all} cases proved nothing: {reason}"
        )),
        false => Verdict::Pass,
    };
    Ok(Tried {
        verdict,
        unproven,
        ..tried
    })
}

/// Nothing is drawn without the feature.
#[cfg(not(feature = "property"))]
async fn case_by_case(
    tried: Tried,
    _: &Check,
    _: &Ground<'_>,
    _: (&[Scenario], usize),
    _: &Target,
    _: &Settings,
) -> Result<Tried, Error> {
    Ok(tried)
}

/// The cases of a property that have failed in earlier runs. A file that is no longer understood has had its time.
fn saved_cases(check: &Check, settings: &Settings) -> Vec<Scenario> {
    let Some(folder) = settings.saved.as_ref().filter(|_| check.family() == DRAWN) else {
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
    let read = files.iter().filter_map(|path| DrillFile::read(path).ok());
    read.flat_map(|file| file.cases)
        .map(|case| case.scenario)
        .collect()
}

/// The name of a check as the name of a file.
fn artifact_stem(id: &str) -> String {
    id.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// The file that the failed scenario of a result is saved in. Each case of a property has a file of its own, so that
/// later runs can repeat all of them.
pub fn artifact_name(result: &CheckResult) -> String {
    let stem = artifact_stem(&result.id);
    match &result.scenario {
        Some(scenario) if result.family == DRAWN => {
            let steps = scenario.lines().skip(1);
            // FNV-1a: the same case has the same name in every run and on every machine.
            let hash = steps
                .flat_map(str::bytes)
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            format!("{stem}-{:08x}.drill", hash >> 32)
        }
        _ => format!("{stem}.drill"),
    }
}

/// The family of the checks whose scenarios are drawn.
const DRAWN: &str = "property";

/// Puts the smallest case that fails in the place of a drawn one that did.
#[cfg(feature = "property")]
async fn made_small(
    tried: Tried,
    check: &Check,
    ground: &Ground<'_>,
    scenarios: &[Scenario],
    target: &Target,
    settings: &Settings,
) -> Result<Tried, Error> {
    let failed = tried
        .failed
        .as_ref()
        .filter(|_| check.family() == DRAWN && settings.shrink);
    let chapter = failed.and_then(|failed| scenarios.iter().position(|drawn| drawn == failed));
    let (Some(chapter), Some(rules)) = (chapter, property::Rules::of(ground)) else {
        return Ok(tried);
    };
    let one_connection = target.profile.promises.serves == Some(Serves::OneConnection);
    let polite = !one_connection;
    let fails = async |scenario: &Scenario| {
        let mut stage = set_stage(target, settings).await?;
        let trial = trial(scenario, &target.profile, polite);
        let seen = beside_others(&mut stage, &trial).await?;
        Ok(matches!(judge(&trial, &seen), Verdict::Fail(_)))
    };
    let name = format!("the smallest case of seed {}", settings.seed);
    let line = match &tried.verdict {
        Verdict::Fail(finding) => finding.line,
        _ => 0,
    };
    let found = property::smallest(&rules, chapter, line, &name, fails).await?;
    let mut surest = None;
    // The smallest may fail by luck; one that is a little larger is then of more use.
    for small in [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
        .into_iter()
        .filter_map(|n| found.get(n))
    {
        let (failed, tried) = confirmed(small, target, settings, polite).await?;
        let best = surest.as_ref().map_or(0, |(failed, _)| *failed);
        if failed > best {
            surest = Some((failed, tried));
        }
        if failed == TRIES {
            break;
        }
    }
    Ok(surest.map_or(tried, |(_, surest)| surest))
}

/// Repeats a small case on fresh servers, and says how often it failed.
#[cfg(feature = "property")]
async fn confirmed(
    small: &Scenario,
    target: &Target,
    settings: &Settings,
    polite: bool,
) -> Result<(usize, Tried), Error> {
    let trial = trial(small, &target.profile, polite);
    let mut failed = 0;
    let mut seen = Tried::verdict(Verdict::Pass);
    for _ in 0..TRIES {
        let mut stage = set_stage(target, settings).await?;
        let transcript = beside_others(&mut stage, &trial).await?;
        let verdict = judge(&trial, &transcript);
        if matches!(verdict, Verdict::Fail(_)) {
            failed += 1;
            seen = Tried {
                failed: Some(small.clone()),
                transcript: transcript.lines(&|id| name(small, id)),
                ..Tried::verdict(verdict)
            };
        }
    }
    if let Verdict::Fail(finding) = seen.verdict {
        let mut finding = counted(finding, failed);
        let case = small.to_string();
        let case = case.lines().filter(|line| !line.is_empty());
        let case = case.map(|line| format!("  {line}"));
        let case = std::iter::once("the smallest case that fails:".to_owned()).chain(case);
        finding.evidence.splice(1..1, case);
        seen.verdict = Verdict::Fail(finding);
    }
    Ok((failed, seen))
}

/// Nothing is drawn without the feature.
#[cfg(not(feature = "property"))]
async fn made_small(
    tried: Tried,
    _: &Check,
    _: &Ground<'_>,
    _: &[Scenario],
    _: &Target,
    _: &Settings,
) -> Result<Tried, Error> {
    Ok(tried)
}

fn repeat_command(id: &str, settings: &Settings) -> String {
    let Invocation { target, command } = &settings.invocation;
    let seed = settings.seed.to_string();
    let mut words = vec!["sockdrill", "check"];
    words.extend(target.iter().map(String::as_str));
    words.extend(["--only", id, "--seed", &seed]);
    if let Some(command) = command {
        words.extend(["--", command]);
    }
    words.join(" ")
}

/// What came of a check's scenarios.
pub(crate) struct Tried {
    pub(crate) verdict: Verdict,
    pub(crate) failed: Option<Scenario>,
    /// The events of the last scenario, as a person reads them.
    pub(crate) transcript: Vec<String>,
    /// Where the profile's request was cut.
    coverage: Option<Coverage>,
    /// Which of the scenarios proved nothing.
    unsure: Vec<usize>,
    /// How many cases of them proved nothing alone either, where they have several.
    unproven: usize,
}

impl Tried {
    fn verdict(verdict: Verdict) -> Self {
        Self {
            verdict,
            failed: None,
            transcript: Vec::new(),
            coverage: None,
            unsure: Vec::new(),
            unproven: 0,
        }
    }
}

/// Performs scenarios one after the other; a server is used again as long as it is undisturbed.
pub(crate) async fn try_all(
    scenarios: &[Scenario],
    fresh_server: bool,
    polite: bool,
    tries: usize,
    target: &Target,
    settings: &Settings,
) -> Result<Tried, Error> {
    try_on(
        None,
        scenarios,
        fresh_server,
        polite,
        tries,
        target,
        settings,
    )
    .await
}

/// The same, beginning with a server that runs already.
async fn try_on<'a>(
    mut stage: Option<Stage<'a>>,
    scenarios: &[Scenario],
    fresh_server: bool,
    polite: bool,
    tries: usize,
    target: &'a Target,
    settings: &Settings,
) -> Result<Tried, Error> {
    if scenarios.is_empty() {
        return Ok(Tried::verdict(Verdict::Skip(
            "there is nothing to do for this server".to_owned(),
        )));
    }
    let one_connection = target.profile.promises.serves == Some(Serves::OneConnection);
    let (mut unsure, mut reason) = (Vec::new(), None);
    let mut transcript = Vec::new();
    let request = talk::request(&target.profile).unwrap_or_default();
    let mut coverage = Coverage::of(&request);
    for (n, scenario) in scenarios.iter().enumerate() {
        let mut used = match stage.take() {
            Some(stage) => stage,
            None => set_stage(target, settings).await?,
        };
        let profile = profile_on(&used, target);
        let trial = trial(scenario, &profile, polite && !one_connection);
        let seen = beside_others(&mut used, &trial).await?;
        let verdict = judge(&trial, &seen);
        coverage.add(&trial, &seen, &request);
        transcript = seen.lines(&|id| name(scenario, id));
        if verdict == Verdict::Pass && !fresh_server && !one_connection {
            stage = Some(used);
            continue;
        }
        drop(used);
        match again(verdict, &trial, tries, target, settings).await? {
            Verdict::Pass | Verdict::Skip(_) => {}
            Verdict::Inconclusive(why) => {
                unsure.push(n);
                reason = reason.or(Some(why));
            }
            fail @ Verdict::Fail(_) => {
                return Ok(Tried {
                    failed: Some(scenario.clone()),
                    transcript,
                    coverage: coverage.if_any(),
                    ..Tried::verdict(fail)
                });
            }
        }
    }
    let verdict = reason.map_or(Verdict::Pass, Verdict::Inconclusive);
    Ok(Tried {
        transcript,
        coverage: coverage.if_any(),
        unsure,
        ..Tried::verdict(verdict)
    })
}

async fn set_stage<'a>(target: &'a Target, settings: &Settings) -> Result<Stage<'a>, Error> {
    let lab = Arc::new(Lab::open(settings.isolation)?);
    Stage::set(target, lab).await
}

/// The target's profile, with the transport on which its server was found.
fn profile_on(stage: &Stage<'_>, target: &Target) -> Profile {
    let found = stage.server().map(Server::transport);
    Profile {
        transport: found.or(target.profile.transport),
        ..target.profile.clone()
    }
}

/// Held by all who perform a trial; alone by one whose trial proved nothing while others ran beside it. The load that
/// one server under test makes is no excuse for another, nor for itself.
static FLOOR: RwLock<()> = RwLock::const_new(());

async fn beside_others(stage: &mut Stage<'_>, trial: &Trial) -> Result<Transcript, Error> {
    let _shared = FLOOR.read().await;
    stage.perform(trial).await
}

async fn alone(stage: &mut Stage<'_>, trial: &Trial) -> Result<Transcript, Error> {
    let _alone = FLOOR.write().await;
    stage.perform(trial).await
}

/// Puts the polite client before and after a scenario, and a bystander beside it.
fn trial(script: &Scenario, profile: &Profile, polite: bool) -> Trial {
    let waives = |invariant| {
        let mut waived = script.waived.iter();
        waived.any(|waiver| waiver.invariant == invariant)
    };
    let polite = polite && !waives(Invariant::Served);
    let stands_by = polite
        && talk::can_stand_by(profile)
        && !script.ends_server()
        && !waives(Invariant::Bystanders)
        && !waives(Invariant::Alive);
    let when = |wanted: bool, name: &str, talk: Talk| match wanted {
        true => scenario(format!("a {name} client"), &[(name, 1)], vec![talk.lines()]),
        false => empty(),
    };
    let client = Talk::of(0);
    let around = when(polite, "polite", client.clone().polite(profile));
    let arrival = client.clone().open(profile).request_and_reply(profile);
    Trial {
        before: around.clone(),
        arrival: when(stands_by, "bystanding", arrival),
        script: script.clone(),
        recall: when(stands_by, "bystanding", client.request_and_reply(profile)),
        after: around,
        ends_after_one: profile.promises.serves == Some(Serves::OneConnection),
    }
}

/// Repeats what failed on fresh servers, to say how often it fails; repeats what proved nothing, until it does or has
/// been tried so often.
async fn again(
    verdict: Verdict,
    trial: &Trial,
    tries: usize,
    target: &Target,
    settings: &Settings,
) -> Result<Verdict, Error> {
    match verdict {
        Verdict::Fail(finding) => {
            let mut failed = 1;
            for _ in 1..TRIES {
                let mut stage = set_stage(target, settings).await?;
                let seen = beside_others(&mut stage, trial).await?;
                if matches!(judge(trial, &seen), Verdict::Fail(_)) {
                    failed += 1;
                }
            }
            Ok(Verdict::Fail(counted(finding, failed)))
        }
        Verdict::Inconclusive(mut reason) => {
            for _ in 1..tries {
                let mut stage = set_stage(target, settings).await?;
                let seen = alone(&mut stage, trial).await?;
                match judge(trial, &seen) {
                    Verdict::Inconclusive(again) => reason = again,
                    Verdict::Fail(finding) => return Ok(Verdict::Fail(counted(finding, 1))),
                    decided => return Ok(decided),
                }
            }
            Ok(Verdict::Inconclusive(reason))
        }
        decided => Ok(decided),
    }
}

fn counted(finding: Finding, failed: usize) -> Finding {
    let how_often = match failed {
        TRIES => format!("failed {failed} of {TRIES}"),
        _ => format!("failed {failed} of {TRIES} (intermittent)"),
    };
    let mut evidence = vec![how_often];
    evidence.extend(finding.evidence);
    Finding {
        evidence,
        ..finding
    }
}

/// A case of a scenario file, with the server that it is for.
#[derive(Clone, Debug)]
pub struct CaseRun {
    /// The file's stem, two colons and the name of the case.
    pub id: String,
    /// The file, for reports.
    pub file: String,
    /// The case.
    pub scenario: Scenario,
    /// The server.
    pub target: Target,
}

/// What is decided outside of a scenario file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The server for every case, in the place of the one that the file names.
    pub target: Option<Target>,
    /// The profile's name or file, in the place of the target's own.
    pub speaks: Option<String>,
    /// The sockdrill program that starts reference servers; the program that runs now where `None`.
    pub program: Option<PathBuf>,
}

/// Reads the cases of a scenario file; `file.drill:14` is the case that line 14 is in.
///
/// # Errors
/// The file cannot be read or understood, names no server, or has no such line.
pub fn cases_of(place: &str, given: &Given) -> Result<Vec<CaseRun>, Error> {
    let (path, line) = match place
        .rsplit_once(':')
        .and_then(|(path, line)| Some((path, line.parse().ok()?)))
    {
        Some((path, line)) => (Path::new(path), Some(line)),
        None => (Path::new(place), None),
    };
    let file = DrillFile::read(path)?;
    let mut target = match (&given.target, &file.server) {
        (Some(target), _) => target.clone(),
        (None, Some(name)) => target_of_file(name, path, given.program.as_deref())?,
        (None, None) => {
            return Err(Error::Usage(format!(
                "{}: no server; write `server: NAME_OR_FILE` at its top, or give a command after `--`",
                path.display()
            )));
        }
    };
    match (&given.speaks, &file.speaks) {
        (Some(speaks), _) => target.profile = Profile::find(speaks)?,
        (None, Some(speaks)) if !target.profile.has_dialogue() => {
            target.profile = Profile::find(speaks)?;
        }
        (None, _) => {}
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let chosen = line.map(|line: usize| file.cases.iter().filter(|case| case.line <= line).count());
    if chosen == Some(0) {
        return Err(Error::NothingSelected(format!(
            "no case begins at or above {place}"
        )));
    }
    let cases = file.cases.iter().enumerate();
    let cases = cases.filter(|(n, _)| chosen.is_none_or(|chosen| n + 1 == chosen));
    Ok(cases
        .map(|(_, case)| CaseRun {
            id: format!("{stem}::{}", case.scenario.name),
            file: path.display().to_string(),
            scenario: case.scenario.clone(),
            target: target.clone(),
        })
        .collect())
}

/// A target that a scenario file names: by name, or as a path beside the file or from here.
fn target_of_file(name: &str, file: &Path, program: Option<&Path>) -> Result<Target, Error> {
    let beside = file.with_file_name(name);
    match program {
        _ if beside.is_file() => Target::read(&beside),
        Some(program) if servers::find(name).is_some() => Target::reference(name, program),
        _ => Target::find(name),
    }
}

/// Runs cases of scenario files and reports on them.
///
/// # Errors
/// A server could not be started, or there is no case.
pub fn run_cases(
    cases: &[CaseRun],
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    let Some(first) = cases.first() else {
        return Err(Error::NothingSelected(
            "there is no case in these files".to_owned(),
        ));
    };
    let begun = Instant::now();
    let lab = Lab::open(settings.isolation)?;
    let (isolation, why_host) = (
        lab.isolation().to_owned(),
        lab.why_host().map(str::to_owned),
    );
    drop(lab);
    let results = side_by_side(
        cases,
        settings.jobs,
        |case| run_case(case, settings),
        on_result,
    )?;
    Ok(Report {
        target: first.target.name.clone(),
        isolation,
        why_host,
        seed: settings.seed,
        duration: begun.elapsed(),
        results,
        observations: BTreeMap::new(),
    })
}

/// Runs one case and says what came of it.
///
/// # Errors
/// The server could not be started.
pub fn run_case(case: &CaseRun, settings: &Settings) -> Result<CheckResult, Error> {
    let begun = Instant::now();
    let tried = block_on(settings, try_case(case, settings))??;
    Ok(CheckResult {
        id: case.id.clone(),
        family: case.file.clone(),
        requirement: case.scenario.name.clone(),
        lenient: false,
        known: None,
        scenarios: 1,
        // The file itself says where it cuts.
        coverage: None,
        duration: begun.elapsed(),
        tried: None,
        reproduce: tried
            .failed
            .as_ref()
            .map(|_| format!("sockdrill run {}:{}", case.file, line_of(case, &tried))),
        scenario: tried.failed.as_ref().map(ToString::to_string),
        verdict: tried.verdict,
        transcript: tried.transcript,
    })
}

fn line_of(case: &CaseRun, tried: &Tried) -> usize {
    let failed = match &tried.verdict {
        Verdict::Fail(finding) => finding.line,
        _ => 0,
    };
    let first = case.scenario.lines.first().map_or(1, |line| line.number);
    failed.max(first)
}

async fn try_case(case: &CaseRun, settings: &Settings) -> Result<Tried, Error> {
    let stage = set_stage(&case.target, settings).await?;
    if stage.server().is_none() {
        return Err(in_background(&case.target));
    }
    let scenarios = std::slice::from_ref(&case.scenario);
    let stage = Some(stage);
    try_on(stage, scenarios, true, true, TRIES, &case.target, settings).await
}

/// A channel that turns true when the user interrupts the program (SIGINT, SIGTERM).
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn interrupts() -> Result<watch::Receiver<bool>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| Error::Kernel {
        doing: "waiting for signals",
        source,
    };
    let (interrupt, seen) = watch::channel(false);
    let (ready, installed) = std::sync::mpsc::channel();
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let (mut int, mut term) = (
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            );
            let _ = ready.send(());
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            interrupt.send_replace(true);
            // Stays, so that further signals do not end the program before it has cleaned up.
            std::future::pending::<std::io::Result<()>>().await
        })
    };
    std::thread::Builder::new()
        .name("interrupts".to_owned())
        .spawn(listen)
        .map_err(failed)?;
    // An error ends the thread and drops the sender; then the default of the signals stands, which ends us too.
    let _ = installed.recv();
    Ok(seen)
}

/// What the kernel shows to this user, for `sockdrill doctor`.
pub fn capabilities() -> Vec<(String, bool)> {
    let me = std::process::id();
    let can_read = |path: String| std::fs::read_to_string(path).is_ok();
    vec![
        (
            "/proc/PID/task/TID/children: the server's process tree is seen".to_owned(),
            can_read(format!("/proc/{me}/task/{me}/children")),
        ),
        (
            "/proc/PID/task/TID/syscall: silence is concluded at once, not by a time limit"
                .to_owned(),
            can_read(format!("/proc/{me}/task/{me}/syscall")),
        ),
        (
            "/proc/PID/task/TID/schedstat: a starved host is told from a slow server".to_owned(),
            can_read(format!("/proc/{me}/task/{me}/schedstat")),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_takes_a_family_a_star_or_an_id() {
        assert!(glob_matches("reset", "reset/storm"));
        assert!(glob_matches("reset/*", "reset/storm"));
        assert!(glob_matches("*/storm", "reset/storm"));
        assert!(glob_matches("reset/storm", "reset/storm"));
        assert!(!glob_matches("reset/st", "reset/storm"));
        assert!(!glob_matches("res", "reset/storm"));
    }

    #[test]
    fn today_is_a_date() {
        let today = today();
        assert_eq!(today.len(), 10);
        assert!(*"2026-01-01" < *today, "{today}");
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..50).collect();
        let seen = Mutex::new(Vec::new());
        let results =
            side_by_side(&items, 8, |n| Ok(*n), &|n| seen.lock().unwrap().push(*n)).unwrap();
        assert_eq!(results, items);
        assert_eq!(*seen.lock().unwrap(), items);
    }
}
