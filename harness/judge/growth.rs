//! Growth: what a server adds with growing doses of a scenario tells a leak from a pool that is being filled, and from
//! what is collected late. A leak goes on in proportion to the doses; a pool, a cache or a heap stops.

use super::cause::{Growth, Step, Unit};
use super::thresholds::{
    ADDED_TO_TELL, ALIKE_FROM, COLLECTED_BEFORE, DOSES_WITHIN, IN_PROPORTION, LARGEST_CACHE,
    LARGEST_CACHE_BYTES, LARGEST_CACHE_OF_FILES, LARGEST_CACHE_OF_OTHERS, LARGEST_POOL,
    LEAST_DOSES, LEAST_LEAK, LEAST_MEMORY, LEAST_PART_OF_MEMORY, LEAST_PART_OF_TAIL, MOST_MEMORY,
    PLAINLY_PROMISED, SELDOM, SELDOM_TO_ONE, SLOPE_FROM_A, TIMES_ALONE, USUAL_LIMIT_OF_FILES,
    WORTH_DOSES_OF_MAPPINGS,
};
use crate::model::figure::Figure;
use crate::model::invariant::Invariant;
use crate::model::phase::{Moment, Phase};
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, Sample, Transcript, What};
use std::time::Duration;

/// What the judge has to see next to tell what grows from a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The server warm: pools filled by polite clients, one after the other and then as many at once as the scenario has.
    Warmth,
    /// The scenario so many times, then a polite client, behind whom some servers clean up.
    Dose(usize),
    /// Polite clients in number, where there can be any, whose work lets a collector come by; then the time that a server
    /// may take which a time-out of its own can still wake.
    Pressure,
    /// Nobody for so long, to tell what grows with clients from what grows with time.
    Solitude(Duration),
}

/// What is to be seen next of what grows, if anything is.
pub(super) fn wanted(trial: &Trial, transcript: &Transcript) -> Option<Wanted> {
    let points = points(transcript);
    let last = points.last()?;
    let courses = courses(trial, &points);
    let any = |outlook| courses.iter().any(|course| course.outlook() == outlook);
    let is_pressed = points.iter().any(|point| point.moment == Moment::Pressed);
    let is_over = is_over(&points, last.at);
    // Doses of a slow scenario are few, and between them nobody waits for what is given back a moment later.
    let is_grave = |course: &Course| match course.outlook() {
        Outlook::Steady => true,
        Outlook::Open => is_over && !course.figure.is_rough(),
        Outlook::Level | Outlook::Leak => false,
    };
    let grave = || courses.iter().filter(|course| is_grave(course));
    match last.moment {
        Moment::Baseline => None,
        Moment::After => (!courses.is_empty()).then_some(Wanted::Warmth),
        Moment::Warm => Some(Wanted::Dose(1)),
        Moment::Dose if is_pressed => {
            let last = last_dose(&points);
            match courses.iter().any(Course::may_be_a_cache) {
                true if !is_over => Some(Wanted::Dose(2 * last)),
                _ => {
                    let wanes = courses.iter().any(Course::wanes);
                    wanes.then_some(Wanted::Dose(last))
                }
            }
        }
        Moment::Dose if grave().next().is_some() && !trial.few_doses => solitude(grave()),
        Moment::Dose if is_over || !any(Outlook::Open) => None,
        Moment::Dose => Some(Wanted::Dose(2 * last_dose(&points))),
        // What clients have left may come to light a moment after them, and then no more.
        Moment::Alone => solitude(grave().filter(|course| course.may_grow_alone()))
            .or_else(|| grave().next().map(|_| Wanted::Pressure)),
        Moment::Pressed => any(Outlook::Steady).then(|| Wanted::Dose(last_dose(&points))),
    }
}

/// The key of what has grown in one run, where doses are to begin that tell whether it goes on.
pub(crate) fn begins_to_tell(trial: &Trial, transcript: &Transcript) -> Option<String> {
    let points = points(transcript);
    points.last().filter(|last| last.moment == Moment::After)?;
    let first = courses(trial, &points).into_iter().next()?;
    Some(first.figure.key())
}

/// For how long nobody is to come, to tell whether any of these grows with time alone.
fn solitude<'a>(courses: impl Iterator<Item = &'a Course>) -> Option<Wanted> {
    let long = courses.filter_map(Course::time_to_tell).max()?;
    Some(Wanted::Solitude(long))
}

/// Whether a dose that has begun is cut short: no time is left for the rest of it.
pub(super) fn is_cut_short(transcript: &Transcript) -> bool {
    let events = &transcript.events;
    let now = events.last().map_or(Duration::ZERO, |event| event.at);
    is_over(&points(transcript), now)
}

/// What goes on growing: each leak, surely, and of those that are known already what one run has shown.
pub(super) fn leaks(trial: &Trial, transcript: &Transcript) -> Vec<Growth> {
    let leaks = outlooks(trial, transcript, |outlook| match outlook {
        Outlook::Leak => true,
        // It was pressed, and left alone, when it was told from a pool.
        Outlook::Steady => trial.few_doses,
        Outlook::Level | Outlook::Open => false,
    });
    leaks.into_iter().chain(known(trial, transcript)).collect()
}

/// The leaks that are known already, and that one run shows again: a unit at least with each connection.
fn known(trial: &Trial, transcript: &Transcript) -> Vec<Growth> {
    let points = points(transcript);
    let known = raised(&points, |figure| {
        !trial.waives(figure.invariant()) && trial.knows(figure)
    });
    let known = known.into_iter().filter(Course::is_left_by_each);
    known.map(|course| course.of_first()).collect()
}

/// What the first run has left, one at least with each connection, where the scenario could not be taken again to tell whether that
/// goes on.
pub(super) fn untold(trial: &Trial, transcript: &Transcript) -> Option<Growth> {
    let points = points(transcript);
    let baseline = points.first()?;
    let [.., before, last] = points.as_slice() else {
        return None;
    };
    match last.moment {
        Moment::Warm => {}
        // Where nobody can be polite beside it, it is the scenario that is to warm the server.
        Moment::After if has_stopped(transcript) => {}
        _ => return None,
    }
    let level = |point: &Point<'_>, figure| point.sample.figure(figure) as isize;
    let is_left = |course: &Course| {
        let (figure, first) = (course.figure, course.first);
        let is_there = level(last, figure) - level(baseline, figure) >= first.units.max(1) as isize;
        // Some of the polite clients that came meanwhile have added to a pool, or each of them to what may be a leak.
        let added = level(last, figure) - level(before, figure);
        let fills_a_pool = added > 0 && added < last.polite as isize;
        // Workers are a pool more often than a leak, and the first run may have filled it.
        let are_workers = figure.invariant() == Invariant::Threads;
        course.is_left_by_each() && is_there && !fills_a_pool && !are_workers
    };
    let mut courses = courses(trial, &points).into_iter();
    courses.find(is_left).map(|course| course.of_first())
}

/// Whether something was not gone through behind the last sample.
fn has_stopped(transcript: &Transcript) -> bool {
    let events = transcript.events.iter().rev();
    let mut since = events.take_while(|event| !matches!(event.what, What::Sample(..)));
    since.any(|event| matches!(event.what, What::Stopped))
}

/// What still grew when the time was over, so that it may be a leak.
pub(super) fn open(trial: &Trial, transcript: &Transcript) -> Option<Growth> {
    let open = outlooks(trial, transcript, |outlook| match outlook {
        Outlook::Open => true,
        Outlook::Steady => !trial.few_doses,
        Outlook::Level | Outlook::Leak => false,
    });
    open.into_iter().next()
}

fn outlooks(
    trial: &Trial,
    transcript: &Transcript,
    is_meant: impl Fn(Outlook) -> bool,
) -> Vec<Growth> {
    let points = points(transcript);
    let is_dosed = points.iter().any(|point| point.moment == Moment::Dose);
    let courses = courses(trial, &points).into_iter().filter(|_| is_dosed);
    courses
        .filter(|course| is_meant(course.outlook()))
        .map(Course::into_growth)
        .collect()
}

/// A sample, with what was done since the one before.
struct Point<'a> {
    at: Duration,
    moment: Moment,
    sample: &'a Sample,
    /// How often the scenario was performed.
    runs: usize,
    /// How many connections were made by it.
    connections: usize,
    /// How many were made by polite clients beside it.
    polite: usize,
}

fn points(transcript: &Transcript) -> Vec<Point<'_>> {
    let mut points = Vec::new();
    let (mut phase, mut runs, mut connections, mut polite) = (Phase::Before, 0, 0, 0);
    for event in &transcript.events {
        match &event.what {
            What::Phase(next) => {
                phase = *next;
                runs += usize::from(phase == Phase::Scenario);
            }
            What::Client(_, ClientEvent::Connected { .. }) => match phase {
                Phase::Scenario => connections += 1,
                _ => polite += 1,
            },
            What::Sample(moment, sample) => {
                let (moment, at) = (*moment, event.at);
                points.push(Point {
                    at,
                    moment,
                    sample,
                    runs: std::mem::take(&mut runs),
                    connections: std::mem::take(&mut connections),
                    polite: std::mem::take(&mut polite),
                });
            }
            _ => {}
        }
    }
    points
}

/// How often the scenario was performed in the last dose.
fn last_dose(points: &[Point<'_>]) -> usize {
    let mut doses = points.iter().rev();
    let dose = doses.find(|point| point.moment == Moment::Dose);
    dose.map_or(1, |dose| dose.runs.max(1))
}

/// Whether no time is left for doses, or no memory; some time is left again for the one behind the pressure.
fn is_over(points: &[Point<'_>], now: Duration) -> bool {
    let begins = |point: &&Point<'_>| matches!(point.moment, Moment::Warm | Moment::Pressed);
    let Some(from) = points.iter().rfind(begins) else {
        return false;
    };
    let doses = points
        .iter()
        .filter(|point| point.moment == Moment::Dose)
        .count();
    let grown = points.last().map_or(0, |last| last.sample.memory_bytes);
    let grown = grown.saturating_sub(from.sample.memory_bytes);
    let is_late = now.saturating_sub(from.at) > DOSES_WITHIN;
    doses >= LEAST_DOSES && (is_late || grown > MOST_MEMORY)
}

/// What a figure did while the scenario was repeated.
struct Course {
    figure: Figure,
    unit: Unit,
    /// What the first run added, while the server may have warmed up.
    first: Step,
    /// What each dose added.
    doses: Vec<Step>,
    /// What each of them added, in places too that the server had before.
    in_all: Vec<Step>,
    /// What came of polite clients in number, once there were some.
    pressed: Option<Step>,
    /// How many doses came after them.
    tried_again: usize,
    /// What the last dose added before nobody was there, and in which time.
    dosed: Option<(isize, Duration)>,
    /// What was added each time that nobody was there, and in which time.
    alone: Vec<(isize, Duration)>,
    /// The memory of the server at its baseline.
    memory_bytes: u64,
    /// How many descriptors a process of it may have.
    files_limit: usize,
    /// There is no time for more doses, or was none before the pressure.
    is_over: bool,
    /// It was told from a pool before.
    is_known: bool,
    /// The clients of the scenario are themselves polite.
    is_undisturbed: bool,
}

/// What is to be thought of a figure that one run of the scenario has raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outlook {
    /// It is level, or it fell back: it is used again, or collected.
    Level,
    /// It grows, and nobody knows yet whether it will go on.
    Open,
    /// Each dose adds as much as the ones before.
    Steady,
    /// It goes on so when polite clients in number have been served.
    Leak,
}

/// The figures that one run has raised, that no waiver sets aside, and of which no leak is known yet.
fn courses(trial: &Trial, points: &[Point<'_>]) -> Vec<Course> {
    let counts = |figure: Figure| !trial.gives_up(figure) && !is_excused(figure, trial);
    let courses = raised(points, counts).into_iter().map(|course| Course {
        is_known: trial.few_doses,
        is_undisturbed: trial.is_undisturbed,
        ..course
    });
    courses.filter(Course::is_worth_doses).collect()
}

/// The courses of the figures that count.
fn raised(points: &[Point<'_>], counts: impl Fn(Figure) -> bool) -> Vec<Course> {
    let mut first = points.iter();
    let baseline = first.find(|point| point.moment == Moment::Baseline);
    let after = first.find(|point| point.moment == Moment::After);
    let Some((baseline, after)) = baseline.zip(after) else {
        return Vec::new();
    };
    // What is freed of a server that a sanitizer watches is kept, up to hundreds of mebibytes.
    let is_kept = |figure: &Figure| baseline.sample.shadowed && figure.is_rough();
    Figure::all()
        .filter(|figure| !is_kept(figure) && counts(*figure))
        .map(|figure| Course::of(figure, baseline, after, points))
        .collect()
}

/// Whether connections or workers may be kept, or are known to be, and with them the memory that they have; or the server is
/// started anew each time, and nothing adds up.
fn is_excused(figure: Figure, trial: &Trial) -> bool {
    let may_keep = [
        Invariant::OpenFiles,
        Invariant::CloseWait,
        Invariant::Threads,
    ];
    let is_kept = |figure: Figure| {
        let invariant = figure.invariant();
        may_keep.contains(&invariant) && (trial.waives(invariant) || trial.knows(figure))
    };
    let is_of_a_process = figure.is_rough() || matches!(figure, Figure::Files(_));
    figure.is_rough() && Figure::all().any(is_kept)
        || is_of_a_process && trial.scenario().starts_server()
}

impl Course {
    fn of(figure: Figure, baseline: &Point<'_>, after: &Point<'_>, points: &[Point<'_>]) -> Self {
        let unit = match after.connections {
            0 => Unit::Run,
            _ => Unit::Connection,
        };
        let level = |point: &Point<'_>| point.sample.figure(figure) as isize;
        let in_all = |point: &Point<'_>| match figure {
            Figure::Memory => point.sample.memory_bytes as isize,
            _ => level(point),
        };
        let step = |of: &dyn Fn(&Point<'_>) -> isize, before: &Point<'_>, point: &Point<'_>| Step {
            units: match unit {
                Unit::Connection => point.connections,
                Unit::Run | Unit::PoliteClient => point.runs.max(1),
            },
            added: of(point) - of(before),
        };
        let pairs = || points.windows(2).map(|pair| (&pair[0], &pair[1]));
        let doses = || pairs().filter(|(_, point)| point.moment == Moment::Dose);
        let all = std::iter::once((baseline, after)).chain(doses());
        let mut pressed = pairs().filter(|(_, point)| point.moment == Moment::Pressed);
        let pressed = pressed.next().map(|(before, point)| Step {
            units: point.polite,
            added: level(point) - level(before),
        });
        let lately = points.iter().rev();
        let lately = lately.take_while(|point| point.moment != Moment::Pressed);
        let dosed_lately = lately.filter(|point| point.moment == Moment::Dose);
        let in_time = |(before, point): (&Point<'_>, &Point<'_>)| {
            let took = point.at.saturating_sub(before.at);
            (level(point) - level(before), took)
        };
        let alone = pairs().filter(|(_, point)| point.moment == Moment::Alone);
        let with_clients = pairs().take_while(|(_, point)| point.moment != Moment::Alone);
        Self {
            figure,
            unit,
            first: step(&level, baseline, after),
            doses: doses()
                .map(|(before, point)| step(&level, before, point))
                .collect(),
            in_all: all
                .map(|(before, point)| step(&in_all, before, point))
                .collect(),
            tried_again: match pressed {
                Some(_) => dosed_lately.count(),
                None => 0,
            },
            dosed: with_clients.last().map(in_time),
            alone: alone.map(in_time).collect(),
            pressed,
            memory_bytes: baseline.sample.memory_bytes,
            files_limit: baseline.sample.files_limit.unwrap_or(USUAL_LIMIT_OF_FILES),
            is_known: false,
            is_undisturbed: false,
            is_over: pressed.is_some()
                || points.last().is_some_and(|last| is_over(points, last.at)),
        }
    }

    /// Whether one run, the first or one of a dose, has added enough. A heap may have had a place for what the first one took.
    fn is_worth_doses(&self) -> bool {
        let a_run = |step: &Step| step.rate() * self.first.units as f64;
        let mut runs = self.in_all.iter().map(a_run);
        runs.any(|added| added >= self.worth_doses() as f64)
    }

    /// Whether one at least was left with each connection of the first run, of what can be counted.
    fn is_left_by_each(&self) -> bool {
        let least = self.first.units.max(1) as isize;
        !self.figure.is_rough() && self.first.added >= least
    }

    /// What the first run alone has shown.
    fn of_first(&self) -> Growth {
        Growth {
            figure: self.figure,
            unit: self.unit,
            doses: vec![self.first],
        }
    }

    /// How much one run must add, to be worth the time that doses take. One is enough of what is used and given back whole; of
    /// memory, smaller leaks show in scenarios with more connections.
    fn worth_doses(&self) -> isize {
        let least = match self.figure {
            Figure::Memory => LEAST_MEMORY.max(self.memory_bytes / LEAST_PART_OF_MEMORY) as usize,
            Figure::Mappings => self.first.units.max(WORTH_DOSES_OF_MAPPINGS),
            _ => 1,
        };
        least as isize
    }

    fn outlook(&self) -> Outlook {
        let (is_level, is_steady) = (self.is_level(), self.is_steady());
        match self.tried_again > 0 {
            _ if is_level || self.has_fallen() || self.is_seldom() => Outlook::Level,
            _ if self.grows_alone() => Outlook::Level,
            true if self.is_full() => Outlook::Level,
            _ if self.is_over && self.is_irregular() => Outlook::Level,
            // It may be a cache that is larger than was looked.
            true if is_steady && !self.excludes_a_cache() => Outlook::Open,
            true if is_steady => Outlook::Leak,
            // What timers and collectors have given back meanwhile is used again.
            true if self.figure.is_rough() => Outlook::Level,
            false if is_steady && self.excludes_a_pool() => Outlook::Steady,
            true | false => Outlook::Open,
        }
    }

    /// Whether it was once lower after more had been done: what is collected late rises and falls.
    fn has_fallen(&self) -> bool {
        let last = self.doses.last().map_or(0, |dose| dose.added);
        let is_a_fall = |added: isize| added < 0 && -added * 2 >= last;
        let pressed = self.pressed.iter().map(|pressed| pressed.added);
        let alone = self.alone.iter().map(|(added, _)| *added);
        let has_fallen = pressed.chain(alone).any(is_a_fall);
        has_fallen || self.doses.iter().any(|dose| dose.added < 0)
    }

    /// How long it takes to tell whether it grows with nobody there: as long as the last dose, or until some would be added.
    fn time_to_tell(&self) -> Option<Duration> {
        let (added, time) = self.dosed?;
        let longer = ADDED_TO_TELL as f64 / added.max(1) as f64;
        Some(time.mul_f64(longer.max(1.0)))
    }

    /// Whether it grows whenever nobody is there, at about the rate at which the last dose added to it: with time, not with
    /// clients.
    fn grows_alone(&self) -> bool {
        self.alone.len() >= TIMES_ALONE && self.has_grown_alone()
    }

    /// Whether it has to be seen once more with nobody there, to tell.
    fn may_grow_alone(&self) -> bool {
        self.alone.len() < TIMES_ALONE && self.has_grown_alone()
    }

    fn has_grown_alone(&self) -> bool {
        let a_second = |added: isize, time: Duration| added as f64 / time.as_secs_f64().max(1e-3);
        let dosed = self
            .dosed
            .map_or(0.0, |(added, time)| a_second(added, time));
        let grows = |(added, time): &(isize, Duration)| {
            *added > 0 && a_second(*added, *time) >= ALIKE_FROM * dosed
        };
        self.alone.iter().all(grows)
    }

    /// Whether the dose behind polite clients added less memory than the one before them: it may have used what they left, or be
    /// the last before a heap is full, and one more tells.
    fn wanes(&self) -> bool {
        let [.., before, last] = self.doses.as_slice() else {
            return false;
        };
        let is_less = last.rate() < IN_PROPORTION * before.rate();
        self.tried_again == 1
            && self.figure.is_rough()
            && is_less
            && self.outlook() == Outlook::Leak
    }

    /// Whether later doses add nothing, or less and less.
    fn is_level(&self) -> bool {
        let last: Vec<&Step> = self.doses.iter().rev().take(3).collect();
        match (self.figure, last.as_slice()) {
            (Figure::Memory, [last, before, first]) => {
                let declines =
                    |step: &Step, before: &Step| step.rate() < IN_PROPORTION * before.rate();
                // A heap that has stopped adds nothing again and again.
                let stands = [last, before, first].iter().all(|step| step.added <= 0);
                self.is_little() || stands || declines(last, before) && declines(before, first)
            }
            (Figure::Memory, [_, _]) => self.is_little(),
            (Figure::Memory, _) => self.is_over && self.is_little(),
            (_, [last, before, ..]) => last.added <= 0 && before.added <= 0,
            _ => false,
        }
    }

    /// Whether the dose behind polite clients in number adds nothing, where the ones before promise something.
    fn is_full(&self) -> bool {
        let Some((last, before)) = self.doses.split_last() else {
            return false;
        };
        let units: usize = before.iter().map(|step| step.units).sum();
        let added: isize = before.iter().map(|step| step.added).sum();
        let promised = added as f64 / units.max(1) as f64 * last.units as f64;
        last.added <= 0 && promised >= PLAINLY_PROMISED
    }

    /// Whether nothing was added to a large dose of what is counted in whole units, or by all doses hardly more than once a dose,
    /// however large they were.
    fn is_seldom(&self) -> bool {
        let mut large = self.doses.iter().filter(|dose| dose.units >= SELDOM);
        let units: usize = self.doses.iter().map(|dose| dose.units).sum();
        let added = self.added().max(0) as usize;
        let now_and_then = added <= self.doses.len() && units >= SELDOM_TO_ONE * added.max(1);
        let is_whole = self.figure != Figure::Memory && !self.is_of_polite_clients();
        is_whole && (large.any(|dose| dose.added <= 0) || self.is_over && now_and_then)
    }

    /// Whether memory has hardly grown in one of the last doses: that is no slope. What is counted in whole units may come now
    /// and then.
    fn is_irregular(&self) -> bool {
        let last = || self.doses.iter().rev().take(3).map(Step::rate);
        let mean = last().sum::<f64>() / last().count().max(1) as f64;
        self.figure.is_rough() && last().any(|rate| rate < mean * SLOPE_FROM_A)
    }

    /// Whether all doses have added less than one would have to, to be worth any.
    fn is_little(&self) -> bool {
        self.added() < self.worth_doses()
    }

    /// What all doses have added.
    fn added(&self) -> isize {
        self.doses.iter().map(|dose| dose.added).sum()
    }

    /// Whether each of the last steps is as large as the ones before promise.
    fn is_steady(&self) -> bool {
        if self.is_of_polite_clients() {
            return self.pressed.is_none_or(|pressed| {
                let doses = self.alone().doses;
                self.goes_on(&pressed, &doses, IN_PROPORTION)
            });
        }
        let mut steps: Vec<Step> = std::iter::once(self.first)
            .chain(self.doses.iter().copied())
            .collect();
        // Of two doses behind the polite clients the first has used what those left.
        if self.tried_again > 1 {
            steps.remove(steps.len() - 2);
        }
        let [.., first, second, third] = steps.as_slice() else {
            return false;
        };
        let grows = [first, second, third].iter().all(|step| step.added > 0);
        // What polite clients in number leave behind is used for a part of the dose behind them.
        let part = match self.tried_again {
            0 => IN_PROPORTION,
            _ => LEAST_PART_OF_TAIL,
        };
        grows
            && self.goes_on(second, &[*first], IN_PROPORTION)
            && self.goes_on(third, &[*first, *second], part)
    }

    /// Whether a step is as large as the ones before promise, or of memory this part of it.
    fn goes_on(&self, step: &Step, before: &[Step], part: f64) -> bool {
        let units: usize = before.iter().map(|step| step.units).sum();
        let added: isize = before.iter().map(|step| step.added).sum();
        let promised = added as f64 / units.max(1) as f64 * step.units as f64;
        let apart = (step.added as f64 - promised).abs();
        match self.figure {
            figure if figure.is_rough() => step.added as f64 >= part * promised,
            // Of children that end together some are waited for, as signals have it that come at once (signal(7)).
            Figure::Zombies => step.added as f64 >= LEAST_PART_OF_TAIL * promised,
            // What is counted in whole units may be one off its share.
            _ => apart <= 1.0 + promised * (1.0 - IN_PROPORTION),
        }
    }

    /// Whether more was added than a pool would hold that polite clients have not filled, or much in all the time there was; and
    /// of memory, whether every collector whose turn comes with the size of what lives has had its turn.
    fn excludes_a_pool(&self) -> bool {
        let added = self.added().max(0) as usize;
        let is_dosed = self.is_over || self.has_looked_far();
        let is_pool_full = match self.is_undisturbed {
            true => self.has_looked_far(),
            false => added >= LARGEST_POOL,
        };
        match self.figure {
            _ if self.is_known => true,
            Figure::Memory => is_dosed && added as u64 >= self.memory_bytes * COLLECTED_BEFORE,
            // Polite clients in number will tell.
            _ if self.is_of_polite_clients() => true,
            _ => is_pool_full || self.is_over && added >= LEAST_LEAK,
        }
    }

    /// Whether it has grown behind polite clients too, and too few have come to tell it from a cache of open files.
    fn may_be_a_cache(&self) -> bool {
        !self.figure.is_rough() && self.outlook() == Outlook::Open && !self.excludes_a_cache()
    }

    /// Whether it is no cache that every client adds to: polite ones do not, or so many have come that the largest would be
    /// full.
    fn excludes_a_cache(&self) -> bool {
        self.has_looked_far() || !self.is_of_all_clients()
    }

    /// Whether a polite client costs about as much as one of the scenario.
    fn is_of_all_clients(&self) -> bool {
        let Some(pressed) = self.pressed.filter(|pressed| pressed.units > 0) else {
            return self.is_undisturbed;
        };
        let units: usize = self.doses.iter().map(|dose| dose.units).sum();
        let rate = self.added() as f64 / units.max(1) as f64;
        self.is_of_polite_clients() || pressed.rate() >= ALIKE_FROM * rate
    }

    /// Whether more connections have come, or more bytes have been taken, than the largest cache holds.
    fn has_looked_far(&self) -> bool {
        let polite = self.pressed.map_or(0, |pressed| pressed.units);
        let units: usize = self.doses.iter().map(|dose| dose.units).sum();
        match self.figure {
            Figure::Memory => {
                let pressed = self.pressed.map_or(0, |pressed| pressed.added);
                units + polite >= LARGEST_CACHE || self.added() + pressed >= LARGEST_CACHE_BYTES
            }
            _ if self.is_of_polite_clients() => polite >= self.largest_cache(),
            _ => units + polite >= self.largest_cache(),
        }
    }

    /// The largest cache of what is counted in whole units.
    fn largest_cache(&self) -> usize {
        match self.figure {
            Figure::Sockets | Figure::Files(_) => LARGEST_CACHE_OF_FILES.min(self.files_limit / 2),
            // Nobody keeps what a client has left for the next one: it may only be collected late.
            _ => LARGEST_CACHE_OF_OTHERS,
        }
    }

    fn into_growth(self) -> Growth {
        match self.is_of_polite_clients() {
            true => self.alone(),
            false => Growth {
                figure: self.figure,
                unit: self.unit,
                doses: self.doses,
            },
        }
    }

    /// The growth by the polite clients behind the doses, by one behind each.
    fn alone(&self) -> Growth {
        let doses = self.doses.iter().map(|dose| Step { units: 1, ..*dose });
        Growth {
            figure: self.figure,
            unit: Unit::PoliteClient,
            doses: doses.collect(),
        }
    }

    /// Whether each dose, however large, has added the same: that is left by the polite client behind it.
    fn is_of_polite_clients(&self) -> bool {
        let (smallest, largest) = (self.doses.first(), self.doses.last());
        let Some((smallest, largest)) = smallest.zip(largest) else {
            return false;
        };
        let alike = self.doses.iter().all(|dose| dose.added == smallest.added);
        let grows = alike && smallest.added > 0 && largest.units > 4 * smallest.units;
        grows && !self.figure.is_rough()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::FileKind;
    use crate::model::dialogue::{scenario, server_does};
    use crate::model::scenario::Waiver;
    use crate::model::server_action::{ServerAction, Streams};
    use crate::transcript::event::{ClientId, Event};
    use proptest::prelude::*;

    const MIB: isize = 1 << 20;

    fn step((units, added): (usize, isize)) -> Step {
        Step { units, added }
    }

    /// What a figure did: what the first run of the scenario added, and what each dose did, to so many connections.
    fn course(figure: Figure, first: (usize, isize), doses: &[(usize, isize)]) -> Course {
        let doses: Vec<Step> = doses.iter().copied().map(step).collect();
        let first = step(first);
        Course {
            figure,
            unit: Unit::Connection,
            first,
            in_all: std::iter::once(first)
                .chain(doses.iter().copied())
                .collect(),
            doses,
            pressed: None,
            tried_again: 0,
            dosed: None,
            alone: Vec::new(),
            memory_bytes: 0,
            files_limit: USUAL_LIMIT_OF_FILES,
            is_over: false,
            is_known: false,
            is_undisturbed: false,
        }
    }

    fn sockets(doses: &[(usize, isize)]) -> Course {
        course(Figure::Sockets, (1, 1), doses)
    }

    /// Doses of a scenario that costs ten mebibytes each time, but for the last.
    fn memory(doses: &[(usize, isize)]) -> Course {
        let doses: Vec<_> = doses
            .iter()
            .map(|(units, added)| (*units, added * MIB))
            .collect();
        course(Figure::Memory, (1, 10 * MIB), &doses)
    }

    /// The same behind polite clients in number, whom this was added by.
    fn behind(pressed: (usize, isize), course: Course) -> Course {
        Course {
            pressed: Some(step(pressed)),
            tried_again: 1,
            is_over: true,
            ..course
        }
    }

    fn late(course: Course) -> Course {
        Course {
            is_over: true,
            ..course
        }
    }

    fn seconds(alone: &[(isize, u64)]) -> Vec<(isize, Duration)> {
        let alone = alone.iter();
        alone
            .map(|(added, time)| (*added, Duration::from_secs(*time)))
            .collect()
    }

    #[test]
    fn memory_is_worth_doses_from_a_mebibyte_on_and_from_an_eighth_of_what_there_was() {
        let of = |memory: u64, added| Course {
            memory_bytes: memory,
            ..course(Figure::Memory, (1, added), &[])
        };
        assert!(of(0, MIB).is_worth_doses());
        assert!(!of(0, MIB - 1).is_worth_doses());
        assert!(of(16 << 20, 2 * MIB).is_worth_doses());
        assert!(!of(16 << 20, 2 * MIB - 1).is_worth_doses());
    }

    #[test]
    fn mappings_are_worth_doses_from_eight_on_and_from_one_for_each_connection() {
        let of = |units, added| course(Figure::Mappings, (units, added), &[]).is_worth_doses();
        assert!(of(3, 8) && !of(3, 7));
        assert!(of(20, 20) && !of(20, 19));
    }

    #[test]
    fn what_is_counted_is_worth_doses_where_a_dose_adds_one_for_each_of_its_runs() {
        let of = |dose| course(Figure::Threads, (10, 0), &[dose]).is_worth_doses();
        assert!(of((20, 2)));
        assert!(!of((20, 1)));
    }

    #[test]
    fn what_is_given_back_has_fallen_where_it_is_half_of_the_last_dose() {
        let pressed = |added| Course {
            pressed: Some(step((128, added))),
            ..sockets(&[(1, 1), (8, 8)])
        };
        let alone = |added| Course {
            alone: seconds(&[(added, 1)]),
            ..sockets(&[(1, 1), (8, 8)])
        };
        assert!(pressed(-4).has_fallen() && alone(-4).has_fallen());
        assert!(!pressed(-3).has_fallen() && !alone(-3).has_fallen());
        assert!(!pressed(9).has_fallen() && !alone(0).has_fallen());
        let nothing = Course {
            pressed: Some(step((128, 0))),
            ..sockets(&[(1, 0)])
        };
        assert!(!nothing.has_fallen());
    }

    #[test]
    fn dose_behind_which_there_is_less_than_before_is_a_fall() {
        assert!(sockets(&[(1, 5), (2, -1), (4, 9)]).has_fallen());
        assert!(!sockets(&[(1, 5), (2, 0), (4, 9)]).has_fallen());
    }

    #[test]
    fn nobody_comes_for_as_long_as_the_last_dose_took_or_until_four_would_be_added() {
        let after = |added| {
            let course = Course {
                dosed: Some((added, Duration::from_secs(10))),
                ..sockets(&[(1, 1)])
            };
            course.time_to_tell()
        };
        assert_eq!(after(8), Some(Duration::from_secs(10)));
        assert_eq!(after(2), Some(Duration::from_secs(20)));
        assert_eq!(after(0), Some(Duration::from_secs(40)));
        assert_eq!(sockets(&[(1, 1)]).time_to_tell(), None);
    }

    /// The last dose added two a second.
    #[test]
    fn what_grows_twice_with_nobody_there_at_half_the_rate_of_a_dose_grows_with_time() {
        let left = |alone: &[(isize, u64)]| {
            let course = Course {
                dosed: Some((20, Duration::from_secs(10))),
                alone: seconds(alone),
                ..sockets(&[(1, 1)])
            };
            (course.grows_alone(), course.may_grow_alone())
        };
        assert_eq!(left(&[]), (false, true));
        assert_eq!(left(&[(10, 10)]), (false, true));
        assert_eq!(left(&[(10, 10), (20, 20)]), (true, false));
        assert_eq!(left(&[(5, 10)]), (false, false));
        assert_eq!(left(&[(10, 10), (10, 20)]), (false, false));
        let idle = Course {
            dosed: Some((0, Duration::from_secs(10))),
            alone: seconds(&[(0, 10)]),
            ..sockets(&[(1, 1)])
        };
        assert!(!idle.may_grow_alone());
    }

    #[test]
    fn memory_wanes_where_the_dose_behind_polite_clients_costs_a_tenth_less_than_the_one_before() {
        let last = |added| memory(&[(1, 10), (2, 20), (4, 40), (8, added)]);
        assert!(behind((128, MIB), last(71)).wanes());
        assert!(!behind((128, MIB), last(72)).wanes());
        // It was tried again already.
        let again = Course {
            tried_again: 2,
            ..behind((128, MIB), last(71))
        };
        assert_eq!(again.outlook(), Outlook::Leak);
        assert!(!again.wanes());
        // Much of it was given back.
        assert!(!behind((128, -40 * MIB), last(71)).wanes());
        // What is counted in whole units is not used for another dose.
        let sockets = behind((128, 0), sockets(&[(1, 2), (2, 4), (4, 8), (8, 14)]));
        assert_eq!(sockets.outlook(), Outlook::Leak);
        assert!(!sockets.wanes());
    }

    #[test]
    fn two_doses_that_add_nothing_are_level() {
        assert!(sockets(&[(1, 0), (2, 0)]).is_level());
        assert!(sockets(&[(1, 1), (2, 0), (4, -1)]).is_level());
        assert!(!sockets(&[(1, 1), (2, 0)]).is_level());
        assert!(!sockets(&[(1, 0), (2, 1)]).is_level());
        assert!(!sockets(&[(1, 0)]).is_level());
    }

    #[test]
    fn memory_is_level_where_each_of_the_last_doses_costs_a_tenth_less_than_the_one_before() {
        assert!(memory(&[(1, 10), (2, 10), (4, 10)]).is_level());
        assert!(!memory(&[(1, 10), (2, 20), (4, 20)]).is_level());
        assert!(!memory(&[(1, 10), (2, 10), (4, 20)]).is_level());
        assert!(!memory(&[(1, 20), (2, 20), (4, 36)]).is_level());
        assert!(memory(&[(1, 20), (2, 20), (4, 35)]).is_level());
    }

    #[test]
    fn memory_is_level_where_the_last_three_doses_cost_nothing() {
        let grown = [(1, 16), (2, 31), (4, 0), (8, 0), (16, 0)];
        assert_eq!(memory(&grown[..3]).outlook(), Outlook::Open);
        assert_eq!(memory(&grown[..4]).outlook(), Outlook::Open);
        assert_eq!(memory(&grown).outlook(), Outlook::Level);
        // Nothing for once is no end of it.
        assert!(!memory(&[(1, 0), (2, 0), (4, 8)]).is_level());
        assert!(!memory(&[(1, 0), (2, 8), (4, 16)]).is_level());
    }

    #[test]
    fn memory_is_level_where_all_doses_cost_less_than_is_worth_any() {
        let of = |doses: &[isize]| {
            let doses: Vec<_> = doses.iter().map(|added| (1, *added)).collect();
            course(Figure::Memory, (1, 0), &doses)
        };
        let (quarter, half) = (MIB / 4, MIB / 2);
        assert!(!of(&[quarter, quarter, half]).is_level());
        assert!(of(&[quarter, quarter, half - 1]).is_level());
        assert!(!of(&[half, half]).is_level());
        assert!(of(&[half, half - 1]).is_level());
        // One dose tells nothing, unless there is no time for another one.
        assert!(!of(&[half]).is_level());
        assert!(late(of(&[half])).is_level());
        assert!(!late(of(&[MIB])).is_level());
    }

    #[test]
    fn pool_is_full_where_two_are_promised_and_none_are_added() {
        assert!(sockets(&[(1, 1), (1, 1), (2, 0)]).is_full());
        assert!(sockets(&[(1, 1), (1, 1), (2, -1)]).is_full());
        assert!(!sockets(&[(1, 1), (1, 1), (2, 1)]).is_full());
        assert!(!sockets(&[(2, 1), (2, 1), (2, 0)]).is_full());
        assert!(!sockets(&[]).is_full());
    }

    #[test]
    fn what_a_hundred_do_not_add_comes_by_chance() {
        let threads = |doses: &[(usize, isize)]| course(Figure::Threads, (1, 1), doses);
        assert!(threads(&[(100, 0)]).is_seldom());
        assert!(!threads(&[(99, 0)]).is_seldom());
        assert!(!threads(&[(100, 1)]).is_seldom());
        assert!(!course(Figure::Memory, (1, 1), &[(100, 0)]).is_seldom());
    }

    #[test]
    fn what_comes_once_a_dose_and_to_one_in_ten_comes_by_chance_where_the_time_is_over() {
        let threads = |doses: &[(usize, isize)]| course(Figure::Threads, (1, 1), doses);
        let is_seldom = |doses: &[(usize, isize)]| late(threads(doses)).is_seldom();
        assert!(is_seldom(&[(10, 1)]) && is_seldom(&[(10, 0)]));
        assert!(!is_seldom(&[(9, 1)]) && !is_seldom(&[(9, 0)]));
        assert!(is_seldom(&[(10, 1), (10, 1)]));
        assert!(!is_seldom(&[(10, 1), (9, 1)]));
        assert!(!is_seldom(&[(30, 2)]));
        assert!(!threads(&[(10, 1)]).is_seldom());
        // That is the polite client behind each dose.
        assert!(!is_seldom(&[(10, 1), (100, 1)]));
    }

    #[test]
    fn memory_is_irregular_where_one_of_the_last_doses_costs_less_than_half_of_their_mean() {
        assert!(memory(&[(1, 10), (1, 10), (1, 1)]).is_irregular());
        assert!(!memory(&[(1, 10), (1, 10), (1, 4)]).is_irregular());
        assert!(!memory(&[(1, 0), (1, 10), (1, 10), (1, 10)]).is_irregular());
        assert!(!sockets(&[(1, 10), (1, 10), (1, 1)]).is_irregular());
    }

    #[test]
    fn step_that_adds_nothing_is_not_steady_although_it_is_near_to_what_is_promised() {
        let of = |first| course(Figure::Sockets, (1, first), &[(1, 1), (1, 1)]);
        assert!(of(1).is_steady());
        assert!(!of(0).is_steady());
        assert!(!course(Figure::Sockets, (1, 1), &[(1, 1)]).is_steady());
    }

    #[test]
    fn each_of_the_last_two_steps_has_to_go_on() {
        let of = |doses: &[(usize, isize)]| course(Figure::Sockets, (1, 10), doses).is_steady();
        assert!(of(&[(1, 10), (2, 20)]));
        assert!(!of(&[(1, 10), (2, 40)]));
        assert!(!of(&[(1, 20), (2, 30)]));
    }

    #[test]
    fn what_polite_clients_left_is_used_for_half_of_the_dose_behind_them() {
        let doses = || memory(&[(1, 10), (2, 20), (4, 20)]);
        assert!(!doses().is_steady());
        assert!(behind((128, 0), doses()).is_steady());
        // Of two doses behind them the first counts no more.
        let doses = || memory(&[(1, 10), (2, 20), (4, 0), (4, 40)]);
        let tried = |tried_again| Course {
            tried_again,
            ..behind((128, 0), doses())
        };
        assert!(!tried(1).is_steady());
        assert!(tried(2).is_steady());
    }

    #[test]
    fn what_polite_clients_are_said_to_leave_they_leave_in_number_too() {
        let pressed = |added| behind((128, added), sockets(&[(1, 1), (8, 1)]));
        assert!(sockets(&[(1, 1), (8, 1)]).is_steady());
        assert!(pressed(128).is_steady());
        assert!(!pressed(0).is_steady());
    }

    /// Ten were added by each connection before.
    #[test]
    fn step_goes_on_where_it_is_within_a_tenth_of_what_is_promised_and_one() {
        let goes_on = |figure, added, part| {
            let before = [(2, 20), (2, 20)].map(step);
            course(figure, (1, 1), &[]).goes_on(&step((10, added)), &before, part)
        };
        let sockets = |added| goes_on(Figure::Sockets, added, IN_PROPORTION);
        assert!(sockets(110) && sockets(90));
        assert!(!sockets(112) && !sockets(88));
        let memory = |added, part| goes_on(Figure::Memory, added, part);
        assert!(memory(90, IN_PROPORTION) && memory(1_000, IN_PROPORTION));
        assert!(!memory(89, IN_PROPORTION));
        assert!(memory(50, LEAST_PART_OF_TAIL) && !memory(49, LEAST_PART_OF_TAIL));
        // Of children that end together some are waited for.
        let zombies = |added| goes_on(Figure::Zombies, added, IN_PROPORTION);
        assert!(zombies(50) && !zombies(49));
    }

    #[test]
    fn pool_holds_a_hundred_at_most_and_a_dozen_where_the_time_is_over() {
        let added = |added| sockets(&[(1, added)]);
        assert!(added(100).excludes_a_pool());
        assert!(!added(99).excludes_a_pool());
        assert!(late(added(12)).excludes_a_pool());
        assert!(!late(added(11)).excludes_a_pool());
        // It was told from a pool before, or polite clients in number will tell.
        let known = Course {
            is_known: true,
            ..added(1)
        };
        assert!(known.excludes_a_pool());
        assert!(sockets(&[(1, 1), (8, 1)]).excludes_a_pool());
    }

    #[test]
    fn pool_of_what_polite_clients_use_too_is_as_large_as_a_cache() {
        let of = |units| Course {
            is_undisturbed: true,
            ..sockets(&[(units, 100)])
        };
        assert!(of(512).excludes_a_pool());
        assert!(!of(511).excludes_a_pool());
    }

    #[test]
    fn heap_may_grow_to_four_times_what_there_was() {
        let of = |units, added| Course {
            memory_bytes: 10 << 20,
            ..memory(&[(units, added)])
        };
        assert!(late(of(1, 40)).excludes_a_pool());
        assert!(!late(of(1, 39)).excludes_a_pool());
        assert!(!of(1, 40).excludes_a_pool());
        assert!(of(LARGEST_CACHE, 40).excludes_a_pool());
    }

    #[test]
    fn every_client_costs_something_where_a_polite_one_costs_half_of_one_of_the_scenario() {
        let of = |pressed, doses: &[(usize, isize)]| {
            let course = behind(pressed, sockets(doses));
            course.is_of_all_clients()
        };
        assert!(of((10, 10), &[(10, 20)]));
        assert!(!of((10, 9), &[(10, 20)]));
        assert!(of((10, 0), &[(1, 1), (8, 1)]));
        // None were polite: it depends on the scenario.
        let nobody = |pressed, is_undisturbed| Course {
            pressed,
            is_undisturbed,
            ..sockets(&[(10, 20)])
        };
        for pressed in [None, Some(step((0, 0)))] {
            assert!(nobody(pressed, true).is_of_all_clients());
            assert!(!nobody(pressed, false).is_of_all_clients());
        }
    }

    #[test]
    fn memory_is_looked_at_until_the_largest_cache_is_full() {
        let far = |dose: (usize, isize), pressed| {
            let course = course(Figure::Memory, (1, 1), &[dose]);
            behind(pressed, course).has_looked_far()
        };
        assert!(far((24_000, 0), (576, 0)) && !far((24_000, 0), (575, 0)));
        assert!(far((1, 255 * MIB), (1, MIB)) && !far((1, 255 * MIB), (1, MIB - 1)));
        assert!(course(Figure::Memory, (1, 1), &[(LARGEST_CACHE, 0)]).has_looked_far());
    }

    #[test]
    fn what_is_counted_is_looked_at_until_the_largest_cache_of_it_is_full() {
        let far = |doses: &[(usize, isize)], pressed| {
            let course = course(Figure::Threads, (1, 1), doses);
            behind((pressed, 0), course).has_looked_far()
        };
        assert!(far(&[(500, 5)], 12) && !far(&[(500, 5)], 11));
        // Of what polite clients leave, they alone count.
        assert!(far(&[(1, 1), (600, 1)], 512) && !far(&[(1, 1), (600, 1)], 511));
    }

    #[test]
    fn cache_of_files_is_at_most_half_of_what_a_process_may_have_open() {
        let of = |figure, files_limit| {
            let course = Course {
                files_limit,
                ..course(figure, (1, 1), &[])
            };
            course.largest_cache()
        };
        assert_eq!(of(Figure::Sockets, 1_024), 512);
        assert_eq!(of(Figure::Sockets, 20_000), LARGEST_CACHE_OF_FILES);
        assert_eq!(of(Figure::Threads, 100), LARGEST_CACHE_OF_OTHERS);
    }

    #[test]
    fn doses_that_add_the_same_although_each_is_larger_are_those_of_the_polite_client_behind_them()
    {
        let is_polite = |doses: &[(usize, isize)]| sockets(doses).is_of_polite_clients();
        assert!(is_polite(&[(1, 1), (5, 1)]) && is_polite(&[(2, 3), (4, 3), (9, 3)]));
        assert!(!is_polite(&[(1, 1), (4, 1)]) && !is_polite(&[(2, 1), (8, 1)]));
        assert!(!is_polite(&[(1, 0), (5, 0)]));
        assert!(!is_polite(&[(1, 1), (3, 2), (5, 1)]) && !is_polite(&[(1, 1), (5, 2)]));
        assert!(!is_polite(&[]));
        let mappings = course(Figure::Mappings, (1, 1), &[(1, 1), (5, 1)]);
        assert!(!mappings.is_of_polite_clients());
        let growth = sockets(&[(1, 1), (5, 1)]).into_growth();
        let doses = [(1, 1), (1, 1)].map(step).to_vec();
        assert_eq!((growth.unit, growth.doses), (Unit::PoliteClient, doses));
    }

    #[test]
    fn outlook_follows_the_doses_and_what_came_behind_them() {
        let doses = || sockets(&[(1, 1), (2, 2), (4, 4), (8, 8)]);
        assert_eq!(doses().outlook(), Outlook::Open);
        assert_eq!(late(doses()).outlook(), Outlook::Steady);
        // Polite clients leave nothing; or each of them costs as much, and it may be a cache; or they made it fall.
        assert_eq!(behind((128, 0), doses()).outlook(), Outlook::Leak);
        let cache = behind((128, 128), doses());
        assert_eq!(cache.outlook(), Outlook::Open);
        assert!(cache.may_be_a_cache());
        assert_eq!(behind((128, -8), doses()).outlook(), Outlook::Level);
        let by_time = Course {
            dosed: Some((8, Duration::from_secs(1))),
            alone: seconds(&[(8, 1), (8, 1)]),
            ..behind((128, 0), doses())
        };
        assert_eq!(by_time.outlook(), Outlook::Level);
        let seldom = sockets(&[(50, 50), (100, 0)]);
        assert_eq!(seldom.outlook(), Outlook::Level);
        assert_eq!(sockets(&[(1, 0), (2, 0)]).outlook(), Outlook::Level);
    }

    #[test]
    fn pool_that_is_full_behind_polite_clients_is_level_and_before_them_open() {
        let doses = || sockets(&[(1, 1), (2, 2), (4, 4), (8, 0)]);
        assert_eq!(behind((128, 0), doses()).outlook(), Outlook::Level);
        assert_eq!(doses().outlook(), Outlook::Open);
    }

    #[test]
    fn memory_that_stops_is_level_once_there_is_no_time_for_more() {
        let doses = || memory(&[(1, 10), (2, 20), (4, 40), (8, 8)]);
        assert_eq!(doses().outlook(), Outlook::Open);
        assert_eq!(late(doses()).outlook(), Outlook::Level);
        // It was used again behind polite clients.
        let less = || {
            let doses = memory(&[(1, 10), (2, 20), (4, 40), (8, 32)]);
            behind((128, MIB), doses)
        };
        assert_eq!(less().outlook(), Outlook::Level);
        let sockets = behind((128, 0), sockets(&[(1, 1), (2, 2), (4, 4), (8, 3)]));
        assert_eq!(sockets.outlook(), Outlook::Open);
    }

    #[test]
    fn memory_that_every_client_costs_is_no_cache_of_files() {
        let doses = || memory(&[(1, 10), (2, 20), (4, 40), (8, 80)]);
        let cache = behind((2, 20 * MIB), doses());
        assert_eq!(cache.outlook(), Outlook::Open);
        assert!(!cache.may_be_a_cache());
        assert_eq!(behind((128, 0), doses()).outlook(), Outlook::Leak);
        // Nobody has come in number yet.
        let open = sockets(&[(1, 1), (2, 2), (4, 4)]);
        assert_eq!(open.outlook(), Outlook::Open);
        assert!(!open.may_be_a_cache());
        let leak = behind((128, 0), sockets(&[(1, 1), (2, 2), (4, 4), (8, 8)]));
        assert!(!leak.may_be_a_cache());
    }

    proptest! {
        /// Whatever is lost by each connection, and however the doses are.
        #[test]
        fn what_every_connection_of_the_scenario_costs_is_a_leak_of_that_rate(
            rate in 1..50_isize,
            times in 1..6_usize,
            connections in 1..20_usize,
        ) {
            let doses: Vec<_> = (0..3).map(|n| {
                let units = connections * (times << n);
                (units, rate * units as isize)
            }).collect();
            let first = (connections, rate * connections as isize);
            let leak = behind((128, 0), course(Figure::Sockets, first, &doses));
            prop_assert_eq!(leak.outlook(), Outlook::Leak);
            prop_assert_eq!(leak.into_growth().rate(), rate as f64);
        }

        /// A pool of any size that is full before the last two doses.
        #[test]
        fn what_stops_is_no_leak(size in 1..500_isize, rest in 2..5_usize) {
            let mut doses = vec![(8, size)];
            doses.extend((0..rest).map(|n| (16 << n, 0)));
            let pool = course(Figure::Sockets, (8, 8), &doses);
            prop_assert_eq!(pool.outlook(), Outlook::Level);
        }

        /// What comes and goes ends where it began, whatever is there meanwhile.
        #[test]
        fn what_comes_and_goes_is_no_leak(noise in proptest::collection::vec(0..100_isize, 4..8)) {
            let mut doses: Vec<_> = noise.windows(2).map(|pair| (8, pair[1] - pair[0])).collect();
            doses.push((8, -noise[noise.len() - 1] - 1));
            let course = course(Figure::Sockets, (8, noise[0]), &doses);
            prop_assert_eq!(course.outlook(), Outlook::Level);
        }
    }

    fn trial() -> Trial {
        Trial::alone(scenario("case", &[("alice", 1)], vec![]))
    }

    /// One look at the server: when, after how many runs of the scenario with a connection each, behind so many polite clients,
    /// and how many sockets it had.
    type Look = (u64, Moment, usize, usize, usize);

    fn seen(looks: &[Look]) -> Transcript {
        let mut events = Vec::new();
        for (at, moment, runs, polite, sockets) in looks {
            let connected = || {
                let made = ClientEvent::Connected {
                    local: None,
                    peer: None,
                    datagrams: false,
                };
                What::Client(ClientId { who: 0, member: 0 }, made)
            };
            let run = || [What::Phase(Phase::Scenario), connected()];
            let mut what: Vec<What> = (0..*runs).flat_map(|_| run()).collect();
            what.push(What::Phase(Phase::After));
            what.extend((0..*polite).map(|_| connected()));
            let sample = Sample {
                sockets: *sockets,
                ..Sample::default()
            };
            what.push(What::Sample(*moment, sample.into()));
            let at = Duration::from_secs(*at);
            events.extend(what.into_iter().map(|what| Event { at, what }));
        }
        Transcript::of(events)
    }

    #[test]
    fn what_was_done_is_counted_from_one_look_to_the_next() {
        let seen = seen(&[
            (0, Moment::Baseline, 0, 1, 3),
            (1, Moment::After, 1, 2, 4),
            (5, Moment::Dose, 3, 1, 7),
        ]);
        let points = points(&seen);
        let told = points.iter().map(|point| {
            let at = point.at.as_secs();
            (
                at,
                point.moment,
                point.runs,
                point.connections,
                point.polite,
            )
        });
        let expected = [
            (0, Moment::Baseline, 0, 0, 1),
            (1, Moment::After, 1, 1, 2),
            (5, Moment::Dose, 3, 3, 1),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(last_dose(&points), 3);
        assert_eq!(last_dose(&points[..2]), 1);
    }

    const BASELINE: Look = (0, Moment::Baseline, 0, 1, 3);
    const AFTER: Look = (0, Moment::After, 1, 1, 4);
    const WARM: Look = (0, Moment::Warm, 0, 9, 4);

    fn dose(at: u64, runs: usize, sockets: usize) -> Look {
        (at, Moment::Dose, runs, 1, sockets)
    }

    /// What is wanted next behind these looks.
    fn next(trial: &Trial, looks: &[Look]) -> Option<Wanted> {
        wanted(trial, &seen(looks))
    }

    #[test]
    fn server_that_has_not_grown_is_given_no_doses() {
        assert_eq!(next(&trial(), &[]), None);
        assert_eq!(next(&trial(), &[BASELINE]), None);
        assert_eq!(
            next(&trial(), &[BASELINE, (0, Moment::After, 1, 1, 3)]),
            None
        );
        assert_eq!(next(&trial(), &[BASELINE, AFTER]), Some(Wanted::Warmth));
        let warm = [BASELINE, AFTER, WARM];
        assert_eq!(next(&trial(), &warm), Some(Wanted::Dose(1)));
    }

    #[test]
    fn doses_grow_as_long_as_it_is_open_and_there_is_time() {
        let doses = |at| [BASELINE, AFTER, WARM, dose(1, 1, 5), dose(at, 2, 7)];
        assert_eq!(next(&trial(), &doses(12)), Some(Wanted::Dose(4)));
        // Too little for a leak, and too late for another dose; then whoever is left alone for a while may give it back.
        let late = Some(Wanted::Solitude(Duration::from_secs(24)));
        assert_eq!(next(&trial(), &doses(13)), late);
        assert_eq!(next(&trial().again(), &doses(13)), None);
        let level = [BASELINE, AFTER, WARM, dose(1, 1, 4), dose(2, 2, 4)];
        assert_eq!(next(&trial(), &level), None);
    }

    /// A hundred with each run: two doses are enough.
    fn steady(then: &[Look]) -> Vec<Look> {
        let after = (0, Moment::After, 1, 1, 103);
        let warm = (0, Moment::Warm, 0, 9, 103);
        let doses = [dose(1, 1, 203), dose(3, 2, 403)];
        let looks = [BASELINE, after, warm].into_iter().chain(doses);
        looks.chain(then.iter().copied()).collect()
    }

    #[test]
    fn what_is_steady_is_left_alone_then_pressed_and_then_tried_again() {
        let looks = |then: &[Look]| next(&trial(), &steady(then));
        let alone = Some(Wanted::Solitude(Duration::from_secs(2)));
        assert_eq!(looks(&[]), alone);
        assert_eq!(
            looks(&[(5, Moment::Alone, 0, 0, 403)]),
            Some(Wanted::Pressure)
        );
        // It grows: once more, to tell whether it does so with time.
        assert_eq!(looks(&[(5, Moment::Alone, 0, 0, 603)]), alone);
        let still = [
            (5, Moment::Alone, 0, 0, 403),
            (6, Moment::Pressed, 0, 128, 403),
        ];
        assert_eq!(looks(&still), Some(Wanted::Dose(2)));
        let fell = [
            (5, Moment::Alone, 0, 0, 403),
            (6, Moment::Pressed, 0, 128, 3),
        ];
        assert_eq!(looks(&fell), None);
        // Where it was told before, what one sees again is enough.
        assert_eq!(next(&trial().again(), &steady(&[])), None);
    }

    #[test]
    fn what_polite_clients_are_themselves_is_given_doses_until_no_cache_would_hold_it() {
        let mut undisturbed = trial();
        undisturbed.is_undisturbed = true;
        assert_eq!(next(&undisturbed, &steady(&[])), Some(Wanted::Dose(4)));
    }

    #[test]
    fn what_polite_clients_cost_too_is_given_larger_doses_until_no_cache_would_hold_it() {
        let looks = |pressed, last: Look| {
            let alone = (5, Moment::Alone, 0, 0, 403);
            let pressed = (6, Moment::Pressed, 0, 128, pressed);
            steady(&[alone, pressed, last])
        };
        let leak = looks(403, dose(7, 2, 603));
        assert_eq!(next(&trial(), &leak), None);
        assert_eq!(leaks(&trial(), &seen(&leak)).len(), 1);
        assert_eq!(open(&trial(), &seen(&leak)), None);
        let cache = |at| looks(403 + 12_800, dose(at, 3, 703 + 12_800));
        assert_eq!(next(&trial(), &cache(7)), Some(Wanted::Dose(6)));
        // No time is left for more.
        assert_eq!(next(&trial(), &cache(19)), None);
        let cache = cache(7);
        assert!(leaks(&trial(), &seen(&cache)).is_empty());
        assert!(open(&trial(), &seen(&cache)).is_some());
    }

    #[test]
    fn what_is_steady_is_a_leak_where_it_was_told_from_a_pool_before() {
        let looks = seen(&steady(&[]));
        assert!(leaks(&trial(), &looks).is_empty());
        assert!(open(&trial(), &looks).is_some());
        assert_eq!(leaks(&trial().again(), &looks).len(), 1);
        let few = [BASELINE, AFTER, WARM, dose(1, 1, 5), dose(2, 2, 7)];
        assert!(leaks(&trial(), &seen(&few)).is_empty());
        assert_eq!(leaks(&trial().again(), &seen(&few)).len(), 1);
        assert_eq!(open(&trial().again(), &looks), None);
    }

    #[test]
    fn nothing_is_said_of_growth_before_the_first_dose() {
        let looks = seen(&[BASELINE, AFTER]);
        assert_eq!(open(&trial(), &looks), None);
        let key = begins_to_tell(&trial(), &looks);
        assert_eq!(key, Some(Figure::Sockets.key()));
        assert_eq!(
            begins_to_tell(&trial(), &seen(&[BASELINE, AFTER, WARM])),
            None
        );
    }

    #[test]
    fn known_leak_is_shown_again_by_one_run_that_costs_one_for_each_connection() {
        let known = trial().knowing(vec![Figure::Sockets.key()]);
        let after = |runs, sockets| seen(&[BASELINE, (0, Moment::After, runs, 1, sockets)]);
        let shown = leaks(&known, &after(2, 5));
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].doses, [step((2, 2))]);
        assert!(leaks(&known, &after(2, 4)).is_empty());
        assert!(leaks(&trial(), &after(2, 5)).is_empty());
        // It is given no doses, and not told where it is waived.
        assert_eq!(next(&known, &[BASELINE, (0, Moment::After, 2, 1, 5)]), None);
        let mut waived = scenario("case", &[("alice", 1)], vec![]);
        waived.waived.push(Waiver {
            invariant: Invariant::OpenFiles,
            reason: "it keeps some".to_owned(),
        });
        let waived = Trial::alone(waived).knowing(vec![Figure::Sockets.key()]);
        assert!(leaks(&waived, &after(2, 5)).is_empty());
    }

    #[test]
    fn memory_of_connections_that_may_be_kept_is_not_held_against_a_server() {
        let waiving = |invariant: &[Invariant]| {
            let mut case = scenario("case", &[("alice", 1)], vec![]);
            let reason = || "it keeps some".to_owned();
            case.waived = invariant
                .iter()
                .map(|invariant| Waiver {
                    invariant: *invariant,
                    reason: reason(),
                })
                .collect();
            Trial::alone(case)
        };
        assert!(!is_excused(Figure::Memory, &trial()));
        assert!(is_excused(Figure::Memory, &waiving(&[Invariant::Threads])));
        assert!(!is_excused(Figure::Memory, &waiving(&[Invariant::Zombies])));
        assert!(!is_excused(
            Figure::Sockets,
            &waiving(&[Invariant::Threads])
        ));
        let known = |figure: Figure| trial().knowing(vec![figure.key()]);
        assert!(is_excused(Figure::Memory, &known(Figure::Sockets)));
        assert!(!is_excused(Figure::Memory, &known(Figure::Zombies)));
    }

    #[test]
    fn what_a_process_holds_does_not_add_up_where_the_scenario_starts_the_server() {
        let starts = server_does(ServerAction::Start(Streams::Usual));
        let starts = Trial::alone(scenario("case", &[], vec![vec![starts]]));
        let (kind, _) = FileKind::ALL[0];
        for figure in [Figure::Memory, Figure::Files(kind)] {
            assert!(is_excused(figure, &starts), "{figure:?}");
            assert!(!is_excused(figure, &trial()), "{figure:?}");
        }
        assert!(!is_excused(Figure::Sockets, &starts));
        assert!(!is_excused(Figure::Threads, &starts));
    }

    #[test]
    fn memory_under_a_sanitizer_is_not_looked_at() {
        let figures = |shadowed| {
            let mut seen = seen(&[BASELINE, AFTER]);
            for event in &mut seen.events {
                if let What::Sample(_, sample) = &mut event.what {
                    sample.shadowed = shadowed;
                }
            }
            let raised = raised(&points(&seen), |figure| figure != Figure::Sockets);
            let raised = raised.into_iter().map(|course| course.figure);
            raised.collect::<Vec<_>>()
        };
        assert!(figures(false).contains(&Figure::Memory));
        assert!(!figures(true).contains(&Figure::Memory));
        assert!(figures(true).contains(&Figure::Threads));
        assert!(!figures(true).contains(&Figure::Sockets));
    }

    #[test]
    fn doses_end_where_the_time_or_the_memory_is_over_and_two_were_made() {
        let is_over_at = |looks: &[Look], now: u64| {
            let seen = seen(looks);
            is_over(&points(&seen), Duration::from_secs(now))
        };
        let doses = [BASELINE, AFTER, WARM, dose(1, 1, 5), dose(2, 2, 7)];
        assert!(!is_over_at(&doses, 12) && is_over_at(&doses, 13));
        assert!(!is_over_at(&doses[..4], 13));
        // There is some time again behind polite clients in number.
        let pressed = (20, Moment::Pressed, 0, 128, 7);
        let again = [&doses[..], &[pressed]].concat();
        assert!(!is_over_at(&again, 32) && is_over_at(&again, 33));
        assert!(!is_over_at(
            &[BASELINE, AFTER, dose(1, 1, 5), dose(2, 2, 7)],
            99
        ));
        assert!(is_cut_short(&seen(
            &[&doses[..], &[dose(13, 4, 9)]].concat()
        )));
        assert!(!is_cut_short(&seen(&doses)));
    }

    #[test]
    fn doses_end_where_the_server_has_taken_a_gibibyte() {
        let grown = |bytes: u64| {
            let mut seen = seen(&[BASELINE, AFTER, WARM, dose(1, 1, 5), dose(2, 2, 7)]);
            let samples = seen
                .events
                .iter_mut()
                .filter_map(|event| match &mut event.what {
                    What::Sample(_, sample) => Some(sample),
                    _ => None,
                });
            samples.last().unwrap().memory_bytes = bytes;
            is_cut_short(&seen)
        };
        assert!(grown((1 << 30) + 1));
        assert!(!grown(1 << 30));
    }
}
