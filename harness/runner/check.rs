//! From a target and a selection of checks to a report.

use super::alarms::Heard;
use super::audience::Happening;
use super::begun::Begun;
use super::check_budget;
use super::checked::retried_result;
use super::descriptors;
use super::findings::Findings;
use super::job::Job;
use super::observed::{first_observations, observe};
use super::parallel::{block_on, longest_first, map_in_order, wait_in_line};
use super::probe::{Probed, probe};
use super::run_end::{Over, RunEnd};
use super::saved;
use super::selection::{part_of, selected};
use super::servers::Servers;
use super::settings::Settings;
use super::simplest::{Row, under_the_simplest};
use super::work::{self, What, Work};
use crate::checks;
use crate::judge::{Cause, Doubt, Verdict};
use crate::launch::Target;
use crate::launch::lab::{Isolation, Lab};
use crate::model::check::Check;
use crate::model::error::Error;
use crate::model::spent::Spent;
use crate::model::subject::Subject;
use crate::report::data::{CheckResult, Outcome, Report};
use crate::session::Turn;
use std::collections::BTreeMap;
use std::time::Duration;

/// Checks a server against every check of the catalogue that applies to it and that the settings choose.
///
/// `on_result` is called with each result, in the order of the catalogue.
///
/// # Errors
/// The server could not be started, or nothing was selected.
///
/// ```no_run
/// use sockdrill::{ExitCode, Profile, Settings, Target, check};
///
/// let target = Target::command(["./server", "{port}"], Profile::find("http")?);
/// let mut settings = Settings::default();
/// settings.only = vec!["reset".to_owned(), "half-close".to_owned()];
/// let report = check(&target, &settings, &|result| println!("{}", result.line()))?;
/// assert_eq!(report.exit_code(), ExitCode::Passed);
/// # Ok::<(), sockdrill::Error>(())
/// ```
pub fn check(
    target: &Target,
    settings: &Settings,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Result<Report, Error> {
    let table = checks::all();
    let whole = selected(target, &table, settings)?;
    let placed = whole.iter().copied().enumerate().collect();
    let chosen = part_of(placed, settings, |(_, check): &(usize, &Check)| check.id)?;
    saved::make_folder(settings)?;
    settings.audience.hears(Happening::Planned(chosen.len()));
    let begun = Begun::now();
    let turn = Turn::default();
    let taken = descriptors::take_what_there_is(descriptors::needed(&[]), &turn);
    let findings = Findings::of_a_run(RunEnd::of(settings));
    let probed = match wait_in_line(settings, taken) {
        Ok(_held) => block_on(in_time(target, settings, &findings, &turn))??,
        Err(over) => Err(over),
    };
    let probed = match probed {
        Ok(probed) => probed,
        Err(over) => {
            let report = untried(target, settings, &chosen, over, begun)?;
            let told = report.results.iter().map(Happening::Concluded);
            told.for_each(|told| settings.audience.hears(told));
            report.results.iter().for_each(on_result);
            return Ok(report);
        }
    };
    let target = Target {
        found_to_turn_away: probed.subject.turned_away.is_some(),
        ..target.on(probed.subject.place.transport)
    };
    let first = Job::new(&target, &probed.subject, settings, &turn, &findings);
    let tried = Tried::of(&table, &probed, first);
    let all = work::all(&whole, &probed, settings);
    let mut came = Came {
        results: tried.placed(&all),
        observations: first_observations(&probed),
        spent: tried.spent(&probed),
    };
    let is_told = |result: &&CheckResult| {
        let is_chosen = chosen.iter().any(|(_, check)| check.id == result.id);
        is_chosen || tried.serves_nobody || result.cause().is_some()
    };
    let told = came.results.iter().filter(is_told);
    told.for_each(|result| settings.audience.hears(Happening::Concluded(result)));
    match tried.serves_nobody {
        true => came.results.iter().for_each(on_result),
        false => {
            let work = work::part_of(all, settings.partition);
            // What others build on is told by each part of a run where it is broken.
            came.results.retain(|result| result.cause().is_some());
            let is_of_another_part =
                |result: &&CheckResult| !work.iter().any(|work| work.place == result.place);
            let elsewhere = came.results.iter().filter(is_of_another_part);
            elsewhere.for_each(on_result);
            let parts = performed(&work, &tried, first, on_result);
            parts.into_iter().for_each(|part| came.add(part));
        }
    }
    group(&mut came.results, &findings);
    Ok(Report {
        target: target.name.clone(),
        isolation: probed.subject.isolation.to_owned(),
        why_host: probed.why_host.clone(),
        why_writes_to_host: probed.why_writes_to_host.clone(),
        elsewhere: target.address_elsewhere(),
        seed: settings.seed,
        started: begun.started(),
        duration: begun.elapsed(),
        serves_nobody: tried.serves_nobody,
        interrupted: settings.interrupt.is_raised(),
        unsaved: settings.unsaved.take(),
        flaky_fails: settings.flaky_fails,
        budget: settings.budget,
        partition: settings.partition,
        timings: settings.timings.then(|| begun.timings(came.spent)),
        results: came.results,
        observations: came.observations,
    })
}

/// What the server is, unless the run is over before that is known, or the first look at it has no end.
async fn in_time(
    target: &Target,
    settings: &Settings,
    findings: &Findings,
    turn: &Turn,
) -> Result<Result<Probed, Over>, Error> {
    let most = check_budget::of(&[], settings);
    tokio::select! {
        biased;
        probed = probe(target, settings, findings) => probed.map(Ok),
        over = findings.until_over() => Ok(Err(over)),
        over = check_budget::until_used(Some(most), turn) => Ok(Err(over)),
    }
}

/// The report of a run that was over before the server was known.
fn untried(
    target: &Target,
    settings: &Settings,
    chosen: &[(usize, &'static Check)],
    over: Over,
    begun: Begun,
) -> Result<Report, Error> {
    let lab = Lab::of(target, settings.isolation)?;
    let verdict = || over.verdict_on_the_untried();
    let results = chosen.iter().map(|(place, check)| CheckResult {
        place: *place,
        ..CheckResult::of(check.id, check.family(), check.requirement, verdict())
    });
    Ok(Report {
        target: target.name.clone(),
        isolation: lab.isolation().to_owned(),
        why_host: lab.why_host().map(str::to_owned),
        why_writes_to_host: lab.why_unbounded(),
        elsewhere: target.address_elsewhere(),
        seed: settings.seed,
        started: begun.started(),
        duration: begun.elapsed(),
        serves_nobody: false,
        interrupted: settings.interrupt.is_raised(),
        unsaved: settings.unsaved.take(),
        flaky_fails: settings.flaky_fails,
        budget: settings.budget,
        partition: settings.partition,
        timings: settings.timings.then(|| begun.timings(Spent::default())),
        results: results.collect(),
        observations: BTreeMap::new(),
    })
}

/// The report of a target whose server could not be started, beside those of others.
pub(crate) fn not_started(target: &Target, settings: &Settings, error: &Error) -> Report {
    let lab = Lab::of(target, settings.isolation).ok();
    let isolation = lab
        .as_ref()
        .map_or_else(|| Isolation::Host.word(), Lab::isolation);
    let reason = error.chain();
    let verdict = Verdict::Inconclusive(Doubt::CouldNotRun { reason });
    Report {
        target: target.name.clone(),
        isolation: isolation.to_owned(),
        why_host: lab
            .as_ref()
            .and_then(|lab| lab.why_host().map(str::to_owned)),
        why_writes_to_host: None,
        elsewhere: target.address_elsewhere(),
        seed: settings.seed,
        started: Begun::now().started(),
        duration: Duration::ZERO,
        serves_nobody: false,
        interrupted: settings.interrupt.is_raised(),
        unsaved: settings.unsaved.take(),
        flaky_fails: settings.flaky_fails,
        budget: settings.budget,
        partition: settings.partition,
        timings: None,
        results: vec![CheckResult::of(
            "start",
            "start",
            "The server can be started.",
            verdict,
        )],
        observations: BTreeMap::new(),
    }
}

/// Performs all that is to be done, several at a time. Where there may not be time for all, what tells the most begins first.
fn performed(
    work: &[Work],
    tried: &Tried<'_>,
    first: Job<'_>,
    on_result: &(dyn Fn(&CheckResult) + Sync),
) -> Vec<Came> {
    let (share, jobs) = (first.share(), jobs(first));
    // Where one server runs at a time, none stays behind.
    let servers = Servers::at_most(if jobs > 1 { jobs } else { 0 });
    let worth = first
        .settings
        .budget
        .map(|_| work::worth(work, &tried.subject));
    map_in_order(
        work,
        |work| {
            let rank = worth.as_ref().map(|worth| work.rank(worth));
            (rank, longest_first(work.pauses(&tried.subject)))
        },
        jobs,
        |work, turn| {
            let heard = Heard::default();
            let job = share.taken(turn, &heard).with(&tried.subject, turn);
            let came = match &work.what {
                What::Observe(observation, _) if job.findings.is_over().is_some() => {
                    Came::unobserved(observation.name)
                }
                What::Check(check) => tried.or_try(check, job.sharing(&servers)),
                What::Observe(observation, scenario) => {
                    let (value, crash) = observe(observation, scenario, job);
                    Came::observed(observation.name, value, crash, turn)
                }
            };
            let came = came.at(work.place);
            let is_new = |result: &&CheckResult| tried.has_not_tried(&result.id);
            let new = came.results.iter().filter(is_new);
            new.for_each(|result| first.settings.audience.hears(Happening::Concluded(result)));
            came
        },
        &|came: &Came| came.results.iter().for_each(on_result),
    )
}

/// What came of a run, or of a part of it.
struct Came {
    results: Vec<CheckResult>,
    observations: BTreeMap<String, String>,
    spent: Spent,
}

impl Came {
    fn of(checked: CheckResult, spent: Spent) -> Self {
        Self {
            spent,
            results: vec![checked],
            observations: BTreeMap::new(),
        }
    }

    /// What was observed, and the crash that was seen besides.
    fn observed(name: &str, value: String, crash: Option<CheckResult>, turn: &Turn) -> Self {
        Self {
            results: crash.into_iter().collect(),
            observations: BTreeMap::from([(name.to_owned(), value)]),
            spent: turn.spent(),
        }
    }

    /// The run was over before.
    fn unobserved(name: &str) -> Self {
        let value = "not observed: the run was over before".to_owned();
        Self {
            results: Vec::new(),
            spent: Spent::default(),
            observations: BTreeMap::from([(name.to_owned(), value)]),
        }
    }

    /// The same with its place in the whole run.
    fn at(mut self, place: usize) -> Self {
        let results = self.results.iter_mut();
        results.for_each(|result| result.place = place);
        self
    }

    /// Adds what came of a part; a result that is there already is the same.
    fn add(&mut self, came: Self) {
        let is_new = |result: &CheckResult| !self.results.iter().any(|known| known.id == result.id);
        let is_new = came.results.iter().all(is_new);
        if is_new {
            self.results.extend(came.results);
        }
        self.spent.add(&came.spent);
        self.observations.extend(came.observations);
    }
}

/// Puts what each check has found under the simplest one that shows it, and all in the order of the whole run.
fn group(results: &mut [CheckResult], findings: &Findings) {
    results.sort_by_key(|result| result.place);
    for result in results.iter_mut().filter(|result| result.cause().is_some()) {
        result.shows = findings.shown_by(&result.id);
    }
    let rows = results.iter_mut().map(|result| Row {
        key: result.cause().map(Cause::key),
        is_alarm: matches!(result.cause(), Some(Cause::Alarm(_))),
        id: &result.id,
        under: &mut result.under,
    });
    under_the_simplest(rows.collect(), findings);
}

/// What others build on was tried before them.
struct Tried<'a> {
    results: Vec<CheckResult>,
    /// What is left of the server: a promise that is broken is reported once, and not built on.
    subject: Subject,
    /// Why not even a polite client is served, where none is.
    unserved: Option<&'a Verdict>,
    /// Nothing is to be told of the server but that.
    serves_nobody: bool,
}

impl<'a> Tried<'a> {
    fn of(table: &[&'static Check], probed: &'a Probed, first: Job<'_>) -> Self {
        let mut tried = Self {
            results: Vec::new(),
            subject: probed.subject.clone(),
            unserved: probed.unserved.as_ref(),
            serves_nobody: false,
        };
        tried.try_serving(table, first);
        let is_over = first.findings.is_over().is_some();
        // What nobody waited for is nothing that the server has done.
        tried.serves_nobody = tried.unserved.is_some() && !tried.results.is_empty() && !is_over;
        if !tried.serves_nobody {
            tried.try_promises(table, first);
        }
        tried
    }

    /// Tries whether a polite client is served as the server owes it.
    fn try_serving(&mut self, table: &[&'static Check], first: Job<'_>) {
        let strict = Subject {
            resets_at_end: false,
            ..self.subject.clone()
        };
        let is_meant =
            |check: &&Check| check.judges_serving(&strict) && check.unmet(&strict).is_none();
        for check in table
            .iter()
            .copied()
            .filter(|check| is_meant(check) && first.settings.selects(check.id))
        {
            let turn = Turn::default();
            let job = first.with(&strict, &turn);
            self.results.push(retried_result(check, self.unserved, job));
        }
        // The first look may have come at a bad moment.
        let has_passed = |result: &CheckResult| result.outcome() == Outcome::Pass;
        if self.results.iter().any(has_passed) {
            self.unserved = None;
        }
    }

    /// Tries the promises that others build on. The bystander builds on promises too, whatever is selected.
    fn try_promises(&mut self, table: &[&'static Check], first: Job<'_>) {
        for check in table {
            let Some(without) = check.subject_without(&self.subject) else {
                continue;
            };
            let is_selected = first.settings.selects(check.id);
            if !is_selected && self.subject.bystander == without.bystander {
                continue;
            }
            let turn = Turn::default();
            let job = first.with(&self.subject, &turn);
            // What is not reported is known to nobody else: it would be lost.
            let aside = first.findings.aside();
            let job = match is_selected {
                true => job,
                false => job.finding(&aside),
            };
            let result = retried_result(check, self.unserved, job);
            // What a simpler check has shown is not what this promise is about.
            if matches!(result.verdict, Verdict::Fail(_)) && result.under.is_none() {
                match is_selected {
                    true => self.subject = without,
                    // Who leaves the check out wants the others tried as if it had passed.
                    false => self.subject.bystander = without.bystander,
                }
            }
            self.results.push(result);
        }
    }

    /// What came of a check that was tried before, and else of one that is tried now.
    fn or_try(&self, check: &'static Check, job: Job<'_>) -> Came {
        let result = match self.results.iter().find(|result| result.id == check.id) {
            // What was spent on it is counted already.
            Some(result) => return Came::of(result.clone(), Spent::default()),
            None => retried_result(check, self.unserved, job),
        };
        let spent = result.spent.clone();
        Came::of(result, spent)
    }

    fn has_not_tried(&self, id: &str) -> bool {
        !self.results.iter().any(|result| result.id == id)
    }

    /// The results of what is reported of it, each with its place in the whole run.
    fn placed(&self, all: &[Work]) -> Vec<CheckResult> {
        let place = |result: &CheckResult| {
            let mut all = all.iter();
            all.find(|work| matches!(work.what, What::Check(check) if check.id == result.id))
                .map(|work| work.place)
        };
        let placed = self.results.iter().filter_map(|result| {
            Some(CheckResult {
                place: place(result)?,
                ..result.clone()
            })
        });
        placed.collect()
    }

    /// What was spent on it, and on the first look at the server.
    fn spent(&self, probed: &Probed) -> Spent {
        let mut spent = probed.spent.clone();
        self.results
            .iter()
            .for_each(|result| spent.add(&result.spent));
        spent
    }
}

/// How many servers run at a time.
fn jobs(job: Job<'_>) -> usize {
    match job.may_have_servers() {
        true => descriptors::jobs(job.settings.jobs),
        false => 1,
    }
}
