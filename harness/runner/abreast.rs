//! Scenarios that have nothing to do with each other, on as many servers at once as there are places for.

use super::alarms::Heard;
use super::attempt::{Attempt, TrialOptions};
use super::checked::in_time;
use super::descriptors;
use super::job::Job;
use super::parallel::block_on;
use crate::judge::{Skip, Verdict};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::spent::Spent;
use crate::session::{Places, Seat, Turn};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Performs the scenarios of a check. What comes of them is what would come of them one after the other on one server: the first
/// one that fails is told, and those behind it are of no interest.
pub(super) fn abreast(
    scenarios: &[Scenario],
    options: TrialOptions,
    job: Job<'_>,
) -> Result<Attempt, Error> {
    let queue = Queue::of(scenarios);
    let share = job.share();
    let seat = job.turn.another_seat();
    let afar = |places: &Places| {
        let (turn, heard) = (Turn::at(places.clone(), None), Heard::default());
        turn.sits_at(seat.as_ref().map(Seat::another));
        let came = queue.work(options, share.taken(&turn, &heard));
        (came, turn.spent(), heard.all())
    };
    let (mine, others) = std::thread::scope(|scope| {
        let places = job.turn.places();
        let others = places.into_iter().flat_map(|places| {
            let more = places.most().min(scenarios.len()).saturating_sub(1);
            let held = descriptors::take_for_others(scenarios, more);
            let afar = &afar;
            // Where the host has no more threads, those that there are do it.
            held.into_iter().map_while(move |held| {
                let performs = move || {
                    let _held = held;
                    afar(places)
                };
                std::thread::Builder::new()
                    .spawn_scoped(scope, performs)
                    .ok()
            })
        });
        let others: Vec<_> = others.collect();
        let mine = queue.work(options, job);
        // The others may be waiting for a place.
        job.turn.make_room();
        let others = others.into_iter().map(std::thread::ScopedJoinHandle::join);
        (mine, others.collect::<Vec<_>>())
    });
    let mut came = vec![mine];
    let mut spent = Spent::default();
    for other in others {
        let (other, on, alarms) = other.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        came.push(other);
        spent.add(&on);
        job.hear(alarms);
    }
    job.turn.has_spent(&spent);
    // Whoever was of no more interest has left it open.
    job.findings.has_told(job.purpose);
    together(came.into_iter().flatten().collect())
}

/// The scenarios, which those who perform them take from the front.
struct Queue<'a> {
    scenarios: &'a [Scenario],
    next: AtomicUsize,
    /// The first that has failed so far, or could not be performed.
    first: watch::Sender<usize>,
}

/// What came of the scenarios that one has performed, up to the last of them.
struct Came {
    last: usize,
    attempt: Result<Attempt, Error>,
}

impl<'a> Queue<'a> {
    fn of(scenarios: &'a [Scenario]) -> Self {
        Self {
            scenarios,
            next: AtomicUsize::new(0),
            first: watch::Sender::new(usize::MAX),
        }
    }

    /// The next one, as long as none before it has failed.
    fn next(&self) -> Option<(usize, &'a Scenario)> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let is_of_interest = n < *self.first.borrow();
        self.scenarios
            .get(n)
            .filter(|_| is_of_interest)
            .map(|scenario| (n, scenario))
    }

    /// Performs one after the other; nothing comes of it where they are of no interest any more.
    fn work(&self, options: TrialOptions, job: Job<'_>) -> Option<Came> {
        let at = Cell::new(None);
        let next = || self.next().inspect(|(n, _)| at.set(Some(*n)));
        let performed = block_on(async {
            let performed = job.try_on(None, std::iter::from_fn(next), options);
            tokio::select! {
                biased;
                attempt = in_time(job, performed) => Some(attempt),
                () = self.until_of_no_interest(&at) => None,
            }
        });
        let attempt = performed.transpose()?.and_then(|attempt| attempt);
        // Who has found none left has nothing to tell.
        let last = at.get().unwrap_or(usize::MAX);
        let is_an_end = match &attempt {
            Ok(attempt) => matches!(attempt.verdict, Verdict::Fail(_)),
            Err(_) => true,
        };
        if is_an_end {
            self.first
                .send_if_modified(|first| std::mem::replace(first, last.min(*first)) > last);
        }
        Some(Came { last, attempt })
    }

    /// Returns when one before that which is performed now has failed.
    async fn until_of_no_interest(&self, at: &Cell<Option<usize>>) {
        let mut changes = self.first.subscribe();
        // The sender is here.
        let _ = changes
            .wait_for(|first| at.get().is_some_and(|at| at > *first))
            .await;
    }
}

/// What would have come of all of them one after the other.
fn together(mut came: Vec<Came>) -> Result<Attempt, Error> {
    came.sort_by_key(|came| came.last);
    let mut parts = Vec::new();
    for Came { attempt, .. } in came {
        let attempt = attempt?;
        if matches!(attempt.verdict, Verdict::Fail(_)) {
            return Ok(attempt);
        }
        parts.push(attempt);
    }
    let first_doubt = |attempt: &Attempt| attempt.unsure.first().copied();
    let is_unsure = |attempt: &&Attempt| matches!(attempt.verdict, Verdict::Inconclusive(_));
    let unsure = parts.iter().filter(is_unsure);
    let first = unsure.min_by_key(|attempt| first_doubt(attempt).unwrap_or(usize::MAX));
    let passed = |attempt: &&Attempt| attempt.verdict == Verdict::Pass;
    let telling = first.or_else(|| parts.iter().find(passed));
    let verdict = telling
        .or_else(|| parts.first())
        .map_or(Verdict::Skip(Skip::NothingToDo), |attempt| {
            attempt.verdict.clone()
        });
    let mut whole = Attempt::of(verdict);
    for part in parts {
        whole.add(part);
    }
    whole.unsure.sort_unstable();
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Cause, Doubt, Finding};

    fn came(last: usize, verdict: Verdict, unsure: &[usize]) -> Came {
        let attempt = Attempt {
            unsure: unsure.to_vec(),
            ..Attempt::of(verdict)
        };
        Came {
            last,
            attempt: Ok(attempt),
        }
    }

    fn fails(reason: &str) -> Verdict {
        let reason = reason.to_owned();
        Verdict::Fail(Finding {
            cause: Cause::DidNotStart { reason },
            halt: None,
            evidence: Vec::new(),
        })
    }

    fn doubts(reason: &str) -> Verdict {
        let reason = reason.to_owned();
        Verdict::Inconclusive(Doubt::CouldNotRun { reason })
    }

    #[test]
    fn first_that_fails_is_told_whoever_was_done_first() {
        let all = vec![
            came(5, fails("later"), &[]),
            came(7, Verdict::Pass, &[]),
            came(2, fails("first"), &[1]),
        ];
        assert_eq!(together(all).unwrap().verdict, fails("first"));
    }

    #[test]
    fn what_cannot_be_performed_ends_all_behind_it() {
        let refused = |last| Came {
            last,
            attempt: Err(Error::NothingSelected(String::new())),
        };
        let behind = vec![came(4, fails("first"), &[]), refused(5)];
        assert_eq!(together(behind).unwrap().verdict, fails("first"));
        assert!(together(vec![refused(3), came(4, fails("later"), &[])]).is_err());
    }

    #[test]
    fn doubt_is_the_first_one_and_all_that_are_unsure_are_looked_at() {
        let all = vec![
            came(3, doubts("second"), &[2]),
            came(4, Verdict::Pass, &[]),
            came(5, doubts("first"), &[1, 5]),
        ];
        let whole = together(all).unwrap();
        assert_eq!(whole.verdict, doubts("first"));
        assert_eq!(whole.unsure, [1, 2, 5]);
    }

    #[test]
    fn what_is_skipped_is_told_where_nothing_passed() {
        let skipped = || Verdict::Skip(Skip::NothingToDo);
        let all = vec![came(1, skipped(), &[]), came(2, Verdict::Pass, &[])];
        assert_eq!(together(all).unwrap().verdict, Verdict::Pass);
        let all = vec![came(1, skipped(), &[]), came(2, skipped(), &[])];
        assert_eq!(together(all).unwrap().verdict, skipped());
        assert_eq!(together(Vec::new()).unwrap().verdict, skipped());
    }

    #[test]
    fn nothing_behind_a_failure_is_begun() {
        let scenario = crate::model::dialogue::scenario("case", &[("alice", 1)], Vec::new());
        let scenarios = vec![scenario; 4];
        let queue = Queue::of(&scenarios);
        let numbers = |queue: &Queue<'_>| queue.next().map(|(n, _)| n);
        assert_eq!(numbers(&queue), Some(0));
        queue.first.send_replace(2);
        assert_eq!(numbers(&queue), Some(1));
        assert_eq!(numbers(&queue), None);
    }
}
