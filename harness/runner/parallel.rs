//! Work on several threads at a time, until the user ends the run.

use super::settings::Settings;
use crate::model::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `run` over all items on `jobs` threads; results come back, and are shown, in the order of the items.
pub(super) fn map_in_order<T: Sync, R: Send>(
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
pub(super) fn block_on<T>(settings: &Settings, work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Kernel {
            doing: "making an event loop",
            source,
        })?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        tokio::select! {
            result = work => Ok(result),
            () = settings.interrupt.until_raised() => Err(Error::Interrupted),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..50).collect();
        let seen = Mutex::new(Vec::new());
        let results =
            map_in_order(&items, 8, |n| Ok(*n), &|n| seen.lock().unwrap().push(*n)).unwrap();
        assert_eq!(results, items);
        assert_eq!(*seen.lock().unwrap(), items);
    }
}
