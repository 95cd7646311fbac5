//! A board of what is being tried at this moment: whoever tries something writes down what he is at, and others read there what each
//! waits for, and since when.

use crate::model::phase::Phase;
use crate::model::scenario::Scenario;
use crate::model::spent::{ALL, SpentOn};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// All that is being tried. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<Arc<Trial>>>>);

/// One check, case or observation that is being tried, in one trial or in several at once.
#[derive(Debug)]
struct Trial {
    name: String,
    begun: Instant,
    next_seat: AtomicUsize,
    /// What each of those is at who perform it.
    doings: Mutex<BTreeMap<usize, Doing>>,
}

/// What one is at who performs a trial.
#[derive(Debug, Default)]
struct Doing {
    /// The part of the trial whose steps are gone through.
    phase: Option<(Phase, Arc<Scenario>)>,
    /// The steps that have begun and are not over, by their numbers: how many take each, and since when.
    steps: BTreeMap<usize, Open>,
    /// What else time is spent on, in the order of [`ALL`].
    spent_on: [Option<Open>; ALL.len()],
}

#[derive(Clone, Copy, Debug)]
struct Open {
    count: usize,
    since: Instant,
}

/// What is waited for in a trial.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// For what a step brings: the step of this number in the scenario of a phase.
    Step {
        /// The part of the trial.
        phase: Phase,
        /// What its clients do.
        scenario: Arc<Scenario>,
        /// Which of its steps.
        number: usize,
    },
    /// For something else that time is spent on.
    Spent(SpentOn),
}

/// What is done once something was seen, of which all else is a part.
const AGAIN: [SpentOn; 2] = [SpentOn::Confirmation, SpentOn::Again];

/// Something that is being tried, as it stands at this moment.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// What it is called.
    pub name: String,
    /// For how long it has been tried.
    pub tried: Duration,
    /// What it waits for longest, and for how long.
    pub waits: Option<(Wait, Duration)>,
    /// What that is done for, where something was seen already: to make sure of a failure, or to try again what proved nothing.
    pub again: Option<SpentOn>,
}

/// What is tried stands on the board for as long as this is held.
#[must_use = "it stands on the board no longer once this is dropped"]
#[derive(Debug)]
pub(crate) struct Shown {
    board: Board,
    trial: Arc<Trial>,
}

/// Who performs a trial writes here what he is at.
#[derive(Debug)]
pub(crate) struct Seat {
    trial: Arc<Trial>,
    number: usize,
}

impl Board {
    /// Puts something on the board.
    pub(crate) fn show(&self, name: &str) -> Shown {
        let trial = Arc::new(Trial {
            name: name.to_owned(),
            begun: Instant::now(),
            next_seat: AtomicUsize::new(0),
            doings: Mutex::default(),
        });
        held(&self.0).push(Arc::clone(&trial));
        let board = self.clone();
        Shown { board, trial }
    }

    /// What stands on it, what began first in front.
    pub(crate) fn sights(&self) -> Vec<Sight> {
        let trials = held(&self.0).clone();
        trials.iter().map(|trial| trial.sight()).collect()
    }
}

impl Shown {
    /// A seat at it.
    pub(crate) fn seat(&self) -> Seat {
        Seat::at(&self.trial)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let trial = &self.trial;
        held(&self.board.0).retain(|other| !Arc::ptr_eq(other, trial));
    }
}

impl Seat {
    fn at(trial: &Arc<Trial>) -> Self {
        Self {
            number: trial.next_seat.fetch_add(1, Ordering::Relaxed),
            trial: Arc::clone(trial),
        }
    }

    /// Another seat at the same trial.
    pub(crate) fn another(&self) -> Self {
        Self::at(&self.trial)
    }

    /// The steps of this phase come next.
    pub(super) fn enter(&self, phase: Phase, scenario: &Scenario) {
        let scenario = Arc::new(scenario.clone());
        self.write(|doing| {
            doing.steps.clear();
            doing.phase = Some((phase, scenario));
        });
    }

    /// The phase is over.
    pub(super) fn leave(&self) {
        self.write(|doing| {
            doing.steps.clear();
            doing.phase = None;
        });
    }

    /// A step begins, which many may take side by side.
    pub(super) fn begin_step(&self, number: usize) {
        self.write(|doing| {
            let open = doing.steps.remove(&number);
            doing.steps.insert(number, Open::one_more(open));
        });
    }

    /// One of those who took a step has done so.
    pub(super) fn end_step(&self, number: usize) {
        self.write(|doing| {
            if let Some(rest) = doing.steps.remove(&number).and_then(Open::one_less) {
                doing.steps.insert(number, rest);
            }
        });
    }

    /// Time is spent on something from now on.
    pub(super) fn begin(&self, what: SpentOn) {
        self.write(|doing| {
            let open = &mut doing.spent_on[what as usize];
            *open = Some(Open::one_more(open.take()));
        });
    }

    /// Time is spent on it no longer.
    pub(super) fn end(&self, what: SpentOn) {
        self.write(|doing| {
            let open = &mut doing.spent_on[what as usize];
            *open = open.take().and_then(Open::one_less);
        });
    }

    fn write(&self, change: impl FnOnce(&mut Doing)) {
        change(held(&self.trial.doings).entry(self.number).or_default());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        held(&self.trial.doings).remove(&self.number);
    }
}

impl Open {
    fn one_more(open: Option<Self>) -> Self {
        match open {
            Some(Self { count, since }) => Self {
                count: count + 1,
                since,
            },
            None => Self {
                count: 1,
                since: Instant::now(),
            },
        }
    }

    fn one_less(self) -> Option<Self> {
        let count = self.count - 1;
        (count > 0).then_some(Self { count, ..self })
    }
}

impl Trial {
    fn sight(&self) -> Sight {
        let doings = held(&self.doings);
        let waits = doings.values().filter_map(Doing::waits);
        let longest = waits.min_by_key(|(_, since)| *since);
        let is_open = |on: &SpentOn| {
            let mut doings = doings.values();
            doings.any(|doing| doing.spent_on[*on as usize].is_some())
        };
        Sight {
            name: self.name.clone(),
            tried: self.begun.elapsed(),
            waits: longest.map(|(wait, since)| (wait, since.elapsed())),
            again: AGAIN.into_iter().find(is_open),
        }
    }
}

impl Doing {
    /// What is waited for, and since when: to be let go on, for the step that has taken longest, or else for what time is spent on
    /// that began last.
    fn waits(&self) -> Option<(Wait, Instant)> {
        let spent_on = |what: SpentOn| self.spent_on[what as usize];
        let in_line = spent_on(SpentOn::Line).map(|open| (Wait::Spent(SpentOn::Line), open.since));
        in_line.or_else(|| self.step()).or_else(|| {
            let all = ALL.iter().filter(|what| !AGAIN.contains(what));
            let open = all.filter_map(|what| Some((*what, spent_on(*what)?)));
            let last = open.max_by_key(|(_, open)| open.since);
            last.map(|(what, open)| (Wait::Spent(what), open.since))
        })
    }

    fn step(&self) -> Option<(Wait, Instant)> {
        let (phase, scenario) = self.phase.as_ref()?;
        let (number, open) = self.steps.iter().min_by_key(|(_, open)| open.since)?;
        let wait = Wait::Step {
            phase: *phase,
            scenario: Arc::clone(scenario),
            number: *number,
        };
        Some((wait, open.since))
    }
}

/// Who has panicked while he wrote is told elsewhere: what he wrote is read all the same.
fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::scenario;

    fn waits(board: &Board) -> Option<Wait> {
        let sights = board.sights();
        sights[0].waits.as_ref().map(|(wait, _)| wait.clone())
    }

    #[test]
    fn what_is_tried_stands_on_the_board_with_what_it_waits_for_longest() {
        let board = Board::default();
        let shown = board.show("a/check");
        let (one, other) = (shown.seat(), shown.seat().another());
        assert!(waits(&board).is_none());
        one.begin(SpentOn::Scenario);
        one.enter(
            Phase::Scenario,
            &scenario("case", &[("alice", 2)], Vec::new()),
        );
        one.begin_step(3);
        one.begin_step(3);
        one.begin_step(4);
        other.begin(SpentOn::Start);
        assert!(matches!(waits(&board), Some(Wait::Step { number: 3, .. })));
        one.end_step(3);
        assert!(matches!(waits(&board), Some(Wait::Step { number: 3, .. })));
        one.end_step(3);
        assert!(matches!(waits(&board), Some(Wait::Step { number: 4, .. })));
        one.leave();
        one.end(SpentOn::Scenario);
        assert!(matches!(waits(&board), Some(Wait::Spent(SpentOn::Start))));
        drop(other);
        assert!(waits(&board).is_none());
        drop(shown);
        assert!(board.sights().is_empty());
    }

    #[test]
    fn who_waits_in_line_waits_for_nothing_else() {
        let board = Board::default();
        let shown = board.show("a/check");
        let seat = shown.seat();
        seat.begin(SpentOn::Confirmation);
        seat.begin(SpentOn::Line);
        assert!(matches!(waits(&board), Some(Wait::Spent(SpentOn::Line))));
        seat.end(SpentOn::Line);
        seat.begin(SpentOn::Rest);
        assert!(matches!(waits(&board), Some(Wait::Spent(SpentOn::Rest))));
        seat.end(SpentOn::Rest);
        assert!(waits(&board).is_none());
        assert_eq!(board.sights()[0].again, Some(SpentOn::Confirmation));
    }
}
