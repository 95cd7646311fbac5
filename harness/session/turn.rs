//! A trial's turn among the few that are performed at a time, which it gives back to wait for long.

use super::account::{Account, Spending};
use super::board::Seat;
use crate::model::spent::{Spent, SpentOn};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many trials wait aside, for each that is performed: a server that is waited for takes memory, and no processor.
const ASIDE_FOR_EACH: usize = 4;

/// The places of those who are performed at a time, and of those who have stepped aside.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    most: usize,
    at_work: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    /// Told when a place is left.
    left: Arc<Notify>,
}

/// A place among those who are at work, or all of them; it is left when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    // Fields are dropped in their order: who is told finds it free.
    _permit: OwnedSemaphorePermit,
    _left: Left,
}

#[derive(Debug)]
struct Left(Arc<Notify>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl Places {
    /// So many at a time.
    pub(crate) fn of(jobs: usize) -> Self {
        Self {
            most: jobs,
            at_work: Arc::new(Semaphore::new(jobs)),
            aside: Arc::new(Semaphore::new(jobs * ASIDE_FOR_EACH)),
            left: Arc::default(),
        }
    }

    /// How many are performed at a time.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Waits for a place; none where there is nobody to wait for.
    pub(crate) async fn take(&self) -> Option<Place> {
        // Told of also where whoever waits leaves the line with a place that was given already: what waits is dropped first.
        let _left = Left(Arc::clone(&self.left));
        let permit = Arc::clone(&self.at_work).acquire_owned();
        // The semaphore is closed by nobody.
        Some(self.place(permit.await.ok()?))
    }

    /// A place where one is free.
    fn take_at_once(&self) -> Option<Place> {
        let permit = Arc::clone(&self.at_work).try_acquire_owned().ok()?;
        Some(self.place(permit))
    }

    /// Waits until nobody has a place nor waits for one, and takes all of them.
    async fn take_last(&self) -> Place {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            // Whoever waits for a place has what is given back before this is told.
            let all = Arc::clone(&self.at_work).try_acquire_many_owned(self.most as u32);
            match all {
                Ok(all) => return self.place(all),
                Err(_) => left.await,
            }
        }
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        Place {
            _permit: permit,
            _left: Left(Arc::clone(&self.left)),
        }
    }
}

/// A trial's turn. A server that may need a minute for what it owes is waited for beside the others: who waits so long
/// steps aside, and the next trial begins. It does not wait for a place again before it is over, since that would keep its
/// clients silent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Rc<Held>);

#[derive(Debug, Default)]
struct Held {
    places: Option<Places>,
    at_work: RefCell<Option<Place>>,
    aside: RefCell<Option<OwnedSemaphorePermit>>,
    /// What else keeps others from going on, for one trial.
    guard: RefCell<Option<Box<dyn Any>>>,
    /// Nobody else is to be performed meanwhile.
    is_alone: Cell<bool>,
    account: Account,
    /// Where others read what is done in it.
    seat: RefCell<Option<Rc<Seat>>>,
}

impl Turn {
    /// The turn of who holds one of the places.
    pub(crate) fn at(places: Places, place: Option<Place>) -> Self {
        Self(Rc::new(Held {
            places: Some(places),
            at_work: RefCell::new(place),
            ..Held::default()
        }))
    }

    /// The places of those among whom it has its turn, where there is more than one.
    pub(crate) fn places(&self) -> Option<&Places> {
        self.0.places.as_ref().filter(|places| places.most > 1)
    }

    /// Whether others may be performed beside it.
    pub(crate) fn may_have_others(&self) -> bool {
        self.places().is_some()
    }

    /// A turn of its own for what is done beside this one, on the same account; it has no place yet.
    pub(crate) fn another(&self) -> Self {
        Self(Rc::new(Held {
            places: self.0.places.clone(),
            account: self.0.account.clone(),
            seat: RefCell::new(self.another_seat().map(Rc::new)),
            ..Held::default()
        }))
    }

    /// Lets others read what is done in it.
    pub(crate) fn sits_at(&self, seat: Option<Seat>) {
        self.0.seat.replace(seat.map(Rc::new));
    }

    /// A seat for what is done beside it.
    pub(crate) fn another_seat(&self) -> Option<Seat> {
        self.seat().map(|seat| seat.another())
    }

    /// Where others read what is done in it, where they do.
    pub(super) fn seat(&self) -> Option<Rc<Seat>> {
        self.0.seat.borrow().clone()
    }

    /// Spends its time on something for as long as what is returned is held.
    pub(crate) fn spends_on(&self, what: SpentOn) -> Spending {
        self.0.account.begin(what, self.seat())
    }

    /// Waits in line for what others give.
    pub(crate) async fn in_line<T>(&self, what: impl Future<Output = T>) -> T {
        let _line = self.spends_on(SpentOn::Line);
        what.await
    }

    /// What its time was spent on so far.
    pub(crate) fn spent(&self) -> Spent {
        self.0.account.spent()
    }

    /// Adds what was spent on the same in other threads.
    pub(crate) fn has_spent(&self, elsewhere: &Spent) {
        self.0.account.add(elsewhere);
    }

    /// Comes back to a place, where it has left one.
    pub(crate) async fn come_back(&self) {
        let aside = self.0.aside.take();
        let has_left = self.0.at_work.borrow().is_none();
        if let Some(places) = self.0.places.as_ref().filter(|_| has_left) {
            let place = self.in_line(places.take()).await;
            self.0.at_work.replace(place);
        }
        drop(aside);
    }

    /// The same in the midst of a trial, where there is a place free: nobody is kept silent for it.
    pub(crate) fn come_back_if_free(&self) {
        let places = self.0.places.as_ref().filter(|_| self.is_aside());
        let place = places.and_then(Places::take_at_once);
        if place.is_some() {
            self.0.at_work.replace(place);
            self.0.aside.take();
        }
    }

    /// Waits until all others have had their turn, or wait aside, and keeps them from another one until it makes room.
    pub(crate) async fn be_last(&self) {
        let Some(places) = &self.0.places else { return };
        self.make_room();
        let all = self.in_line(places.take_last()).await;
        self.0.at_work.replace(Some(all));
    }

    /// Lets others go on while there is no server to be performed on.
    pub(crate) fn make_room(&self) {
        self.end_trial();
        self.0.at_work.take();
    }

    /// Whether it has stepped aside.
    pub(crate) fn is_aside(&self) -> bool {
        self.0.aside.borrow().is_some()
    }

    /// Holds something until the trial is over, or waits for long.
    pub(crate) fn hold(&self, guard: impl Any) {
        self.0.guard.replace(Some(Box::new(guard)));
    }

    /// The same of what keeps all others away.
    pub(crate) fn hold_alone(&self, guard: impl Any) {
        self.hold(guard);
        self.0.is_alone.set(true);
    }

    /// Whether all others are kept away.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.is_alone.get()
    }

    /// The trial is over.
    pub(crate) fn end_trial(&self) {
        self.0.guard.take();
        self.0.is_alone.set(false);
    }

    /// Lets others go on for a while in which nothing happens; who is to be alone stays so.
    pub(crate) fn pause(&self) {
        if !self.0.is_alone.get() {
            self.step_aside();
        }
    }

    /// Lets others go on, unless too many wait aside already, or one server is to run at a time.
    pub(crate) fn step_aside(&self) {
        if let Some(places) = self
            .0
            .places
            .as_ref()
            .filter(|places| places.most > 1 && self.0.aside.borrow().is_none())
        {
            let Ok(aside) = Arc::clone(&places.aside).try_acquire_owned() else {
                return;
            };
            self.0.aside.replace(Some(aside));
            self.0.at_work.take();
        }
        self.end_trial();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn who_waits_for_long_makes_room_and_comes_back_when_there_is_some() {
        let places = Places::of(2);
        let first = Turn::at(places.clone(), places.take().await);
        assert_eq!(places.at_work.available_permits(), 1);
        first.step_aside();
        first.step_aside();
        assert_eq!(places.aside.available_permits(), 2 * ASIDE_FOR_EACH - 1);
        let others = [places.take().await, places.take().await];
        drop(others);
        first.come_back().await;
        assert_eq!(places.at_work.available_permits(), 1);
        assert_eq!(places.aside.available_permits(), 2 * ASIDE_FOR_EACH);
    }

    #[tokio::test]
    async fn who_has_stepped_aside_comes_back_in_between_where_there_is_a_place_free() {
        let places = Places::of(2);
        let first = Turn::at(places.clone(), places.take().await);
        first.pause();
        let others = [places.take().await, places.take().await];
        first.come_back_if_free();
        assert!(first.is_aside());
        drop(others);
        first.come_back_if_free();
        assert!(!first.is_aside());
        assert_eq!(places.at_work.available_permits(), 1);
        assert_eq!(places.aside.available_permits(), 2 * ASIDE_FOR_EACH);
    }

    #[tokio::test]
    async fn who_is_to_be_last_comes_behind_all_who_wait_and_keeps_them_away_then() {
        let places = Places::of(2);
        let last = Turn::at(places.clone(), places.take().await);
        let at_work = (places.take().await, places.take_at_once());
        let mut waits = Box::pin(last.be_last());
        let mut later = Box::pin(places.take());
        assert!((&mut waits).now_or_never().is_none());
        drop(at_work);
        let in_time = later.as_mut().await;
        assert!((&mut waits).now_or_never().is_none(), "one is at work");
        drop(in_time);
        waits.await;
        assert!(places.take_at_once().is_none());
        last.make_room();
        assert_eq!(places.at_work.available_permits(), 2);
    }

    #[tokio::test]
    async fn who_is_to_be_alone_and_who_is_the_only_one_at_a_time_keep_their_place() {
        let places = Places::of(2);
        let alone = Turn::at(places.clone(), places.take().await);
        alone.hold_alone(());
        alone.pause();
        assert!(!alone.is_aside());
        alone.end_trial();
        alone.pause();
        assert!(alone.is_aside());
        let places = Places::of(1);
        let only = Turn::at(places.clone(), places.take().await);
        only.step_aside();
        assert!(!only.is_aside());
    }
}
