//! What is seen of a run while it lasts: the line of a terminal, results as they come, what takes long, and on request what is waited
//! for.

use super::arguments::Shared;
use super::events::Events;
use super::keyboard::{Keyboard, give_back, take_again};
use super::layout::{cut, width};
use super::line::{Line, above_it};
use super::output::{complain, say_pieces_aside, say_slow};
use crate::model::error::{Error, ExitCode};
use crate::report::data::{CheckResult, Outcome, Report};
use crate::report::piece::Piece;
use crate::report::waits::Waiting;
use crate::report::written::Written;
use crate::runner::{Audience, Happening, Settings};
use crate::session::Sight;
use crate::sys::signals::as_if_not_caught;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

/// What is not done by then is said; and again each time that it has taken twice as long. It is more than all but few checks take.
const SLOW: Duration = Duration::from_secs(20);

/// How often the line is drawn anew: its seconds are seen to go by.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// How often it is looked for what takes long, where no line is drawn.
const LOOKED_EVERY: Duration = Duration::from_secs(1);

/// The key that asks what is waited for.
const KEY: u8 = b't';

/// What is seen of a run while it lasts.
pub(super) struct Live {
    course: Arc<Course>,
    watch: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Results are shown as they come.
    at_once: bool,
}

/// What is known of the course of a run.
struct Course {
    /// What its results are of.
    word: &'static str,
    begun: Instant,
    counts: Mutex<Counts>,
    events: Option<Events>,
    /// How a result is shown.
    show: Show,
}

/// How a result is shown.
pub(super) type Show = Box<dyn Fn(&CheckResult) + Send + Sync>;

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    planned: usize,
    done: usize,
    failed: usize,
    /// Which round of several it is.
    round: Option<usize>,
}

impl Live {
    /// What is seen of a run that begins now, with its results shown in this way.
    ///
    /// # Errors
    /// What happens cannot be written where it is to be.
    pub(super) fn begin(word: &'static str, shared: &Shared, show: Show) -> Result<Self, Error> {
        let path = shared.events.as_deref();
        let events = path.map(|path| Events::begin(path, shared.seed));
        let course = Course {
            word,
            begun: Instant::now(),
            counts: Mutex::default(),
            events: events.transpose()?,
            show,
        };
        Ok(Self {
            course: Arc::new(course),
            watch: None,
            at_once: false,
        })
    }

    /// The server that the run is of.
    pub(super) fn is_of(&self, target: &str) {
        *self.course.counts() = Counts::default();
        let events = self.course.events.as_ref();
        events.inspect(|events| events.are_of(target));
    }

    /// The settings of a run that is seen, from now on.
    pub(super) fn seen(&mut self, settings: Settings) -> Settings {
        let line = Line::drawn();
        self.at_once = line.is_some() && settings.rounds.is_none();
        let (course, at_once) = (Arc::clone(&self.course), self.at_once);
        let audience = Audience::of(move |happening| course.hear(happening, at_once));
        self.watch = Watch::begin(Arc::clone(&self.course), audience.clone(), line);
        Settings {
            audience,
            ..settings
        }
    }

    /// Shows a result in its order, unless it was shown when it came.
    pub(super) fn result(&self, result: &CheckResult) {
        if !self.at_once {
            (self.course.show)(result);
        }
    }

    /// The run is over: nothing is drawn any more, and the terminal is as it was.
    pub(super) fn over(&mut self) {
        if let Some((end, watch)) = self.watch.take() {
            drop(end);
            let _ = watch.join();
        }
    }

    /// The file that events are written to, where there is one.
    pub(super) fn events(&self) -> Option<&Path> {
        self.course.events.as_ref()?.file()
    }

    /// Says what the run on one of several servers came to.
    pub(super) fn one_ended(&self, report: &Written, code: ExitCode) {
        let events = self.course.events.as_ref();
        events.inspect(|events| events.ended(Some(report), &Ok(code)));
    }

    /// Says what all of it came to, and whether that could be written.
    pub(super) fn ended(
        mut self,
        done: Result<(Option<Report>, ExitCode), Error>,
    ) -> Result<ExitCode, Error> {
        self.over();
        let Some(events) = &self.course.events else {
            return done.map(|(_, code)| code);
        };
        let report = done.as_ref().ok().and_then(|(report, _)| report.as_ref());
        let report = report.map(Report::written);
        let code = done.map(|(_, code)| code);
        events.ended(report.as_ref(), &code);
        match (code, events.written()) {
            (Ok(ExitCode::Passed), Err(error)) => Err(error),
            (code, Err(error)) => {
                complain(&error);
                code
            }
            (code, Ok(())) => code,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.over();
    }
}

impl Course {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, happening: Happening<'_>, at_once: bool) {
        let events = self.events.as_ref();
        match happening {
            Happening::Round(round) => {
                *self.counts() = Counts {
                    round: Some(round),
                    ..Counts::default()
                };
                events.inspect(|events| events.round(round));
            }
            Happening::Planned(planned) => {
                self.counts().planned = planned;
                events.inspect(|events| events.planned(planned));
            }
            Happening::Begun(id) => {
                events.inspect(|events| events.begun(id));
            }
            Happening::Concluded(result) => {
                self.counts().add(result);
                events.inspect(|events| events.concluded(result));
                if at_once {
                    (self.show)(result);
                }
            }
        }
    }

    /// How far the run is.
    fn in_words(&self) -> String {
        let counts = *self.counts();
        if counts.planned == 0 {
            return format!("begins, {}", seconds(self.begun.elapsed()));
        }
        let round = counts.round;
        let round = round.map_or_else(String::new, |round| format!("round {round}, "));
        let failed = match counts.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        format!(
            "{round}{} of {} {}s{failed}, {}",
            counts.done,
            counts.planned.max(counts.done),
            self.word,
            seconds(self.begun.elapsed())
        )
    }
}

impl Counts {
    fn add(&mut self, result: &CheckResult) {
        self.done += 1;
        self.failed += usize::from(result.outcome() == Outcome::Fail);
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// What something waits for, and for how long.
fn waits(sight: &Sight) -> String {
    match Waiting::of(sight) {
        Some(waiting) => {
            let waited = Duration::from_millis(waiting.waited_ms);
            format!("{}, {}", waiting.waits_for, seconds(waited))
        }
        None => "is at work".to_owned(),
    }
}

/// Looks at a run while it lasts.
struct Watch {
    course: Arc<Course>,
    audience: Audience,
    line: Option<Line>,
    /// When each of those that are tried is slow, or slower.
    slow: HashMap<String, Duration>,
}

impl Watch {
    /// Looks on from a thread of its own; where there is none to be had, nobody does.
    fn begin(
        course: Arc<Course>,
        audience: Audience,
        line: Option<Line>,
    ) -> Option<(oneshot::Sender<()>, JoinHandle<()>)> {
        let (end, ended) = oneshot::channel();
        let (ready, installed) = std::sync::mpsc::channel::<()>();
        let watch = Self {
            course,
            audience,
            line,
            slow: HashMap::new(),
        };
        let look = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            if let Ok(runtime) = runtime {
                runtime.block_on(watch.look_on(ended, ready));
            }
        };
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let thread = thread.spawn(look).ok()?;
        // Whoever asks once the run has begun is answered.
        let _ = installed.recv();
        Some((end, thread))
    }

    async fn look_on(
        mut self,
        mut ended: oneshot::Receiver<()>,
        ready: std::sync::mpsc::Sender<()>,
    ) {
        let mut asked = caught(SignalKind::user_defined1());
        let mut keyboard = Keyboard::taken();
        let mut stops = Stops::caught(keyboard.is_some() || self.line.is_some());
        drop(ready);
        let mut looks = tokio::time::interval(match self.line {
            Some(_) => DRAWN_EVERY,
            None => LOOKED_EVERY,
        });
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = &mut ended => return,
                signal = stops.next() => stop(signal),
                () = come(&mut asked) => self.tell(),
                keys = typed(keyboard.as_ref()) => match keys {
                    Ok(keys) if keys.contains(&KEY) => self.tell(),
                    Ok(_) => {}
                    Err(_) => keyboard = None,
                },
                _ = looks.tick() => self.look(),
            }
        }
    }

    /// Draws the line, and says what takes long.
    fn look(&mut self) {
        let sights = self.audience.sights();
        self.slow
            .retain(|name, _| sights.iter().any(|sight| sight.name == *name));
        for sight in &sights {
            let slow = self.slow.entry(sight.name.clone()).or_insert(SLOW);
            if sight.tried >= *slow {
                while sight.tried >= *slow {
                    *slow *= 2;
                }
                self.course.say_slow(sight);
            }
        }
        if let Some(line) = &self.line {
            line.draw(self.course.line(&sights, width(io::stderr())));
        }
    }

    /// Tells what is tried, and what each waits for.
    fn tell(&self) {
        let sights = self.audience.sights();
        let head = format!("{}, {} being tried:", self.course.in_words(), sights.len());
        let rows = sights.iter().map(|sight| {
            let (name, tried) = (&sight.name, seconds(sight.tried));
            let text = format!("{name}, {tried}: {}", waits(sight));
            Piece::prose("  ", 4, text)
        });
        let pieces: Vec<Piece> = [Piece::prose("", 2, head)]
            .into_iter()
            .chain(rows)
            .collect();
        say_pieces_aside(&pieces);
    }
}

impl Course {
    fn say_slow(&self, sight: &Sight) {
        let (name, tried) = (&sight.name, sight.tried);
        let waits = waits(sight);
        say_slow(&format!(
            "{name}  not done after {}: {waits}",
            seconds(tried)
        ));
        if let Some(events) = &self.events {
            events.slow(name, tried, Waiting::of(sight).as_ref());
        }
    }

    /// The line of a terminal so wide: how far the run is and what is tried, and below it what is waited for longest.
    fn line(&self, sights: &[Sight], width: usize) -> String {
        let names: Vec<&str> = sights.iter().map(|sight| sight.name.as_str()).collect();
        let names = names.join(", ");
        let colon = if names.is_empty() { "" } else { ": " };
        let head = cut(&format!("{}{colon}{names}", self.in_words()), width);
        let waited = |sight: &&Sight| sight.waits.as_ref().map(|(_, waited)| *waited);
        match sights.iter().max_by_key(waited) {
            Some(sight) => {
                let waits = format!("{}: {}", sight.name, waits(sight));
                format!("{head}\n  {}", cut(&waits, width.saturating_sub(2)))
            }
            None => head,
        }
    }
}

/// The signals that stop and continue this process, and the one that ends it with an image of its memory: the terminal is put in
/// order first.
struct Stops([(i32, Option<Signal>); 3]);

impl Stops {
    fn caught(is_needed: bool) -> Self {
        let all = [libc::SIGTSTP, libc::SIGCONT, libc::SIGQUIT];
        Self(all.map(|number| {
            let caught = is_needed.then(|| caught(SignalKind::from_raw(number)));
            (number, caught.flatten())
        }))
    }

    async fn next(&mut self) -> i32 {
        let [stop, go_on, quit] = &mut self.0;
        tokio::select! {
            () = come(&mut stop.1) => stop.0,
            () = come(&mut go_on.1) => go_on.0,
            () = come(&mut quit.1) => quit.0,
        }
    }
}

/// Does what a signal is for, with the terminal as it was before; and takes it again behind that.
fn stop(signal: i32) {
    if signal == libc::SIGCONT {
        return take_again();
    }
    give_back();
    above_it(|| {
        as_if_not_caught(signal);
        // Whoever sees the line again may type.
        take_again();
    });
}

/// A signal that is caught from now on, where the host lets us.
fn caught(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

/// Returns when a signal comes.
async fn come(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Returns what is typed.
async fn typed(keyboard: Option<&Keyboard>) -> io::Result<Vec<u8>> {
    match keyboard {
        Some(keyboard) => keyboard.typed().await,
        None => std::future::pending().await,
    }
}
