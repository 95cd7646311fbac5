//! What the time of a turn is spent on: one account, kept by all that the turn does.

use super::board::Seat;
use crate::model::spent::{ALL, Spent, SpentOn};
use crate::sys::own_use::thread_time;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The account of a turn. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Account(Rc<RefCell<Ledger>>);

#[derive(Debug)]
struct Ledger {
    spent: Spent,
    /// How many are at each of the things that time is spent on: the clients of a crowd wait side by side.
    open: [usize; ALL.len()],
    /// Until when all is written down, on the clock and of the processor time of this thread.
    until: (Instant, Duration),
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            spent: Spent::default(),
            open: Default::default(),
            until: (Instant::now(), thread_time()),
        }
    }
}

/// Time is spent on something for as long as this is held.
#[must_use = "nothing is spent on it once this is dropped"]
#[derive(Debug)]
pub(crate) struct Spending {
    account: Account,
    on: SpentOn,
    began: Instant,
    /// Where others read of it.
    seat: Option<Rc<Seat>>,
}

impl Account {
    /// Begins to spend time on something, of which others read at this seat.
    pub(super) fn begin(&self, on: SpentOn, seat: Option<Rc<Seat>>) -> Spending {
        self.0.borrow_mut().change(on, |open| open + 1);
        if let Some(seat) = &seat {
            seat.begin(on);
        }
        Spending {
            account: self.clone(),
            on,
            began: Instant::now(),
            seat,
        }
    }

    /// Adds what was spent elsewhere.
    pub(super) fn add(&self, elsewhere: &Spent) {
        self.0.borrow_mut().spent.add(elsewhere);
    }

    /// What was spent so far.
    pub(super) fn spent(&self) -> Spent {
        let mut ledger = self.0.borrow_mut();
        ledger.write_down();
        ledger.spent.clone()
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let mut ledger = self.account.0.borrow_mut();
        ledger.change(self.on, |open| open - 1);
        if self.on == SpentOn::Start {
            ledger.spent.starts.push(self.began.elapsed());
        }
        if let Some(seat) = &self.seat {
            seat.end(self.on);
        }
    }
}

impl Ledger {
    /// Writes down what was spent before this begins or ends, where it makes a difference: clocks are not read for each client
    /// of a crowd.
    fn change(&mut self, on: SpentOn, count: impl Fn(usize) -> usize) {
        let open = count(self.open[on as usize]);
        if open == 0 || self.open[on as usize] == 0 {
            self.write_down();
        }
        self.open[on as usize] = open;
    }

    fn write_down(&mut self) {
        let now = (Instant::now(), thread_time());
        let time = now.0 - self.until.0;
        let mut open = ALL.iter().zip(self.open);
        let on = open.find(|(_, open)| *open > 0);
        let on = on.map_or(SpentOn::Else, |(on, _)| *on);
        let work = match on.has_its_work() {
            true => Duration::ZERO,
            false => now.1.saturating_sub(self.until.1).min(time),
        };
        self.spent.spend(SpentOn::Work, work);
        self.spent.spend(on, time - work);
        self.until = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits, and returns for how long at least.
    async fn wait() -> Duration {
        let time = Duration::from_millis(20);
        tokio::time::sleep(time).await;
        time
    }

    #[tokio::test]
    async fn time_is_spent_on_the_gravest_of_what_is_done_at_once() {
        let account = Account::default();
        let scenario = account.begin(SpentOn::Scenario, None);
        let (one, two) = (
            account.begin(SpentOn::Rest, None),
            account.begin(SpentOn::Rest, None),
        );
        drop(one);
        let rested = wait().await;
        drop(two);
        drop(scenario);
        let spent = account.spent();
        assert!(spent.on(SpentOn::Rest) >= rested / 2, "{spent:?}");
        assert!(spent.on(SpentOn::Scenario) < rested / 2, "{spent:?}");
    }

    #[tokio::test]
    async fn servers_that_are_started_are_counted_also_while_a_failure_is_made_sure_of() {
        let account = Account::default();
        let confirmation = account.begin(SpentOn::Confirmation, None);
        let start = account.begin(SpentOn::Start, None);
        let started = wait().await;
        drop(start);
        drop(confirmation);
        let spent = account.spent();
        assert_eq!(spent.starts.len(), 1);
        assert!(spent.starts[0] >= started / 2, "{spent:?}");
        assert_eq!(spent.on(SpentOn::Start), Duration::ZERO);
        assert!(spent.on(SpentOn::Confirmation) >= started / 2, "{spent:?}");
    }
}
