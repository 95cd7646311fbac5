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
    let shows = |course: &Course| {
        let first = course.first;
        !course.figure.is_rough() && first.added >= first.units.max(1) as isize
    };
    let known = known.into_iter().filter(shows);
    known
        .map(|course| Growth {
            figure: course.figure,
            unit: course.unit,
            doses: vec![course.first],
        })
        .collect()
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
                self.is_little() || declines(last, before) && declines(before, first)
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
