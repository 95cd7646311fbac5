//! Who is there, and who has left and may still be counted by a server that holds only so many.

use super::observer::Observer;
use super::phases::Session;
use super::quiescence::count_in;
use crate::kernel::State;
use crate::model::limits::{LOOK_EVERY, LOOK_SOON, LOOKS_TO_BLAME, RETURN_WITHIN};
use crate::model::spent::SpentOn;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// The connections of a server's clients. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guests(Rc<Cell<GuestBook>>);

/// What is known of them, which goes where the server goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GuestBook {
    /// How many are there.
    there: u32,
    /// How many the server may count: those who are there, and those of whose leaving it need not have come to know.
    counted: u32,
    /// Whether the server waits for us alone whenever it has nothing to do, once that was seen.
    parks: Option<bool>,
    /// It was seen to keep who had left for longer than it may.
    lingers: bool,
}

/// A connection that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Guest(Guests);

impl Guests {
    /// Those of a server that others have left.
    pub(super) fn known_as(book: GuestBook) -> Self {
        Self(Rc::new(Cell::new(book)))
    }

    pub(super) fn book(&self) -> GuestBook {
        self.0.get()
    }

    fn note(&self, change: impl FnOnce(&mut GuestBook)) {
        let mut book = self.0.get();
        change(&mut book);
        self.0.set(book);
    }

    /// One more has come.
    pub(super) fn one_more(&self) -> Guest {
        self.note(|book| {
            book.there += 1;
            book.counted += 1;
        });
        Guest(self.clone())
    }

    /// One has left of whom the server cannot know that: it counts for good.
    pub(super) fn one_for_good(&self) {
        self.note(|book| book.there += 1);
    }

    /// The server has come to know of all who have left, or has had its time for that.
    fn are_let_go(&self) {
        self.note(|book| book.counted = book.there);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.note(|book| book.there -= 1);
    }
}

impl Session<'_> {
    /// Waits until the server has room for one more, where it promises to hold so many and no more.
    pub(super) async fn make_room(&self) {
        if let Some(most) = self.target.profile.promises.most() {
            self.observer.make_room(most).await;
        }
    }
}

impl Observer {
    /// Waits until a server that holds so many has room for one more, or has had its time for that: it may come to know of those
    /// who have left only when it has let in those who come after them.
    async fn make_room(&self, most: u32) {
        let guests = &self.guests;
        if guests.book().parks.is_none() {
            let parks = self.parks().await;
            guests.note(|book| book.parks = parks);
        }
        let counted = || guests.book().counted;
        if counted() < most {
            return;
        }
        let _rest = self.turn.spends_on(SpentOn::Rest);
        let (asked, begun) = (Instant::now(), self.looks.get().number);
        let first = self.stillness();
        let within = match guests.book().lingers {
            true => LOOK_EVERY * LOOKS_TO_BLAME as u32,
            false => RETURN_WITHIN,
        };
        // Others of a crowd may have found meanwhile that there is room.
        while counted() >= most {
            // Nothing announces what a server counts no more.
            tokio::time::sleep(self.between_looks()).await;
            let waited = asked.elapsed();
            let is_late = waited >= within && !self.is_starved_since(Some(first), waited, within);
            if is_late || self.has_let_go(begun) {
                // One that keeps who has left is not waited for as long each time; nor is it known how any other rests.
                guests.note(|book| {
                    let keeps = self.looks.get().rests() && book.parks == Some(false);
                    book.lingers |= is_late && keeps;
                    if is_late {
                        book.parks = Some(false);
                    }
                });
                return guests.are_let_go();
            }
        }
    }

    /// Whether the server waits for us alone, where two looks show it at rest between which it has not run: one may find it so in
    /// passing. One that does not may wait until it counts somebody no more, once somebody has come.
    async fn parks(&self) -> Option<bool> {
        let first = self.stillness();
        tokio::time::sleep(LOOK_SOON).await;
        let is_same = first.at_rest && self.stillness() == first;
        let nobody_came = self.guests.book().counted == 0;
        is_same
            .then_some(first.parked)
            .filter(|parks| *parks || nobody_came)
    }

    /// Whether the server has rested since look `begun`, unless it is known that it does not, and has done with all who have left.
    fn has_let_go(&self, begun: u64) -> bool {
        let last = self.fresh_look();
        let rests = last.rests() && last.number > begun + 1;
        (rests || self.is_known_to_be_busy) && self.knows_who_has_left(last.still.parked)
    }

    /// Whether the server has come to know of all who have left: nothing but us wakes it, where that is how it rests, or none of their
    /// connections is open.
    fn knows_who_has_left(&self, is_parked: bool) -> bool {
        let rows = self.port().map(|port| self.lab.diag().connections(port));
        let Ok(rows) = rows.unwrap_or(Ok(Vec::new())) else {
            return false;
        };
        let book = self.guests.book();
        let there = book.there as usize;
        let open = count_in(State::Established, &rows);
        let left = count_in(State::CloseWait, &rows);
        // Of an end that is still on its way it has not been told.
        let parks = book.parks != Some(false);
        open <= there && (is_parked || !parks && open + left <= there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_left_is_counted_until_the_server_has_let_go() {
        let guests = Guests::default();
        let (alice, bob) = (guests.one_more(), guests.one_more());
        drop(alice);
        assert_eq!((guests.book().there, guests.book().counted), (1, 2));
        let _carol = guests.one_more();
        assert_eq!((guests.book().there, guests.book().counted), (2, 3));
        guests.are_let_go();
        assert_eq!((guests.book().there, guests.book().counted), (2, 2));
        guests.one_for_good();
        drop(bob);
        guests.are_let_go();
        assert_eq!((guests.book().there, guests.book().counted), (2, 2));
    }

    #[test]
    fn book_goes_where_the_server_goes() {
        let guests = Guests::default();
        drop(guests.one_more());
        let taken_up = Guests::known_as(guests.book());
        assert_eq!((taken_up.book().there, taken_up.book().counted), (0, 1));
    }
}
