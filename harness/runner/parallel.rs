//! Work on several things at a time.

use super::run_end::Over;
use super::settings::Settings;
use crate::model::error::Error;
use crate::model::limits::WORTH_A_PLACE;
use crate::session::{Places, Turn};
use std::cmp::Reverse;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// The place in the order in which things begin of one that waits so long: the longest waits come first, so that all else
/// happens meanwhile.
pub(super) fn longest_first(wait: Duration) -> impl Ord {
    Reverse(Some(wait).filter(|wait| *wait >= WORTH_A_PLACE))
}

/// Runs `run` over all items, `jobs` at a time beside those that have stepped aside, each on a thread of its own. They begin
/// in the order that `begins` says; results come back, and are shown, in the order of the items.
pub(super) fn map_in_order<T: Sync, R: Send, K: Ord>(
    items: &[T],
    begins: impl Fn(&T) -> K,
    jobs: usize,
    run: impl Fn(&T, &Turn) -> R + Sync,
    on_result: &(dyn Fn(&R) + Sync),
) -> Vec<R> {
    struct Done<R> {
        results: Vec<Option<R>>,
        shown: usize,
    }
    let done = Mutex::new(Done {
        results: items.iter().map(|_| None).collect(),
        shown: 0,
    });
    let work = |n: usize, item: &T, turn: &Turn| {
        let result = run(item, turn);
        let Ok(mut done) = done.lock() else { return };
        done.results[n] = Some(result);
        while let Some(Some(result)) = done.results.get(done.shown) {
            on_result(result);
            done.shown += 1;
        }
    };
    let places = Places::of(jobs.max(1));
    std::thread::scope(|scope| {
        let mut begun: Vec<(usize, &T)> = items.iter().enumerate().collect();
        begun.sort_by_cached_key(|(_, item)| begins(item));
        for (n, item) in begun {
            let place = wait_for(places.take());
            let (work, places) = (&work, places.clone());
            scope.spawn(move || work(n, item, &Turn::at(places, place)));
        }
    });
    let done = done
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    done.results.into_iter().flatten().collect()
}

/// Waits for what another thread gives, without the descriptors that an event loop takes.
fn wait_for<T>(what: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut what = std::pin::pin!(what);
    loop {
        match what.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The same, unless the user ends the run before.
pub(super) fn wait_in_line<T>(
    settings: &Settings,
    what: impl Future<Output = T>,
) -> Result<T, Over> {
    wait_for(async {
        tokio::select! {
            given = what => Ok(given),
            () = settings.interrupt.until_raised() => Err(Over::Interrupted),
        }
    })
}

/// Runs a future on a thread's own runtime. It is to end by itself when the run is over.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = event_loop()?;
    let local = tokio::task::LocalSet::new();
    // Pinned here, since each move of a large future takes as much of the stack once more.
    Ok(local.block_on(&runtime, std::pin::pin!(work)))
}

fn event_loop() -> Result<tokio::runtime::Runtime, Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    runtime.map_err(|source| Error::Kernel {
        doing: "making an event loop",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_once(_: &usize) -> impl Ord + use<> {
        longest_first(Duration::ZERO)
    }

    #[test]
    fn what_waits_longest_begins_first_and_is_shown_in_its_place() {
        let begun = Mutex::new(Vec::new());
        let seen = Mutex::new(Vec::new());
        let run = |n: &usize, _: &Turn| {
            begun.lock().unwrap().push(*n);
            *n
        };
        let waits = |n: &usize| Duration::from_millis([0, 10, 700, 6_500][*n]);
        let begins = |n: &usize| longest_first(waits(n));
        map_in_order(&[0, 1, 2, 3], begins, 1, run, &|n| {
            seen.lock().unwrap().push(*n);
        });
        assert_eq!(begun.into_inner().unwrap(), [3, 2, 0, 1]);
        assert_eq!(seen.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..50).collect();
        let seen = Mutex::new(Vec::new());
        let results = map_in_order(&items, at_once, 8, |n, _| *n, &|n| {
            seen.lock().unwrap().push(*n);
        });
        assert_eq!(results, items);
        assert_eq!(*seen.lock().unwrap(), items);
    }
}
