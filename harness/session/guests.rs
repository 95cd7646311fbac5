//! Who is there, and who has left and may still be counted by a server that holds only so many.

use super::observer::Observer;
use super::phases::Session;
use crate::kernel::{Activity, Row, State};
use crate::model::limits::{LOOK_SOON, LOOKS_TO_BLAME, PATIENCE_WITH_THE_STARVED, RETURN_WITHIN};
use crate::model::spent::SpentOn;
use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

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
    /// How many of those are gone without a word, of which the server cannot know.
    for_good: u32,
    /// Some of those who left since the server has let go did it by a reset.
    has_resets: bool,
    /// How many have left so far.
    left: u64,
    /// Whether the server waits for us alone whenever it has nothing to do, once that was seen.
    parks: Option<bool>,
    /// It was seen to keep who had left for longer than it may.
    lingers: bool,
}

impl GuestBook {
    /// Whether nothing says yet that the server rests in another way than to wait for us alone.
    fn may_park(&self) -> bool {
        self.parks != Some(false)
    }

    /// Whether a server that holds so many may have no room for one more until it has come to know of who has left: where all whom it
    /// counts are there, there is none to be waited for.
    fn may_gain_room(&self, most: u32) -> bool {
        self.counted >= most && self.counted > self.there
    }
}

/// A connection that is there until this is dropped.
#[derive(Debug)]
pub(crate) struct Guest(Guests);

/// How things stand while room is waited for, since the last one has left.
struct Standstill {
    since: Instant,
    first: Activity,
    /// How many have left.
    left: u64,
}

/// The connections that a server has of clients who have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OfWhoHasLeft {
    /// Their end is still on its way, as it may be for long where the kernel has many packets to deliver.
    untold: u32,
    /// Their end has come, and the server still holds its side.
    kept: u32,
}

impl OfWhoHasLeft {
    /// Those among the connections of a server, beside the clients' side of the same: a socket that nobody holds is of who has left.
    fn among(theirs: &[Row], ours: &[Row]) -> Self {
        let there: HashSet<_> = ours
            .iter()
            .filter(|row| row.inode != 0)
            .map(|row| row.local)
            .collect();
        let left = || theirs.iter().filter(|row| !there.contains(&row.peer()));
        let is_held = |row: &Row| row.inode != 0;
        // A server may have ended its side first, and wait for the end of theirs.
        let is_untold = |row: &&Row| match row.state {
            State::Established => true,
            State::FinWait1 | State::FinWait2 => is_held(row),
            _ => false,
        };
        let is_kept = |row: &&Row| match row.state {
            State::CloseWait => true,
            State::LastAck | State::Closing => is_held(row),
            _ => false,
        };
        Self {
            untold: left().filter(is_untold).count() as u32,
            kept: left().filter(is_kept).count() as u32,
        }
    }
}

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
        self.note(|book| {
            book.there += 1;
            book.for_good += 1;
        });
    }

    /// One leaves by a reset: the server may still hold a socket that is no connection any more.
    pub(super) fn one_by_reset(&self) {
        self.note(|book| book.has_resets = true);
    }

    /// The server has come to know of all who have left, or has had its time for that.
    fn are_let_go(&self) {
        self.note(|book| {
            book.counted = book.there;
            book.has_resets = false;
        });
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.note(|book| {
            book.there -= 1;
            book.left += 1;
        });
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
        // One that is stopped comes to know of nobody, however long it is waited for.
        let may_gain_room = || guests.book().may_gain_room(most) && !self.is_stopped();
        if !may_gain_room() {
            return;
        }
        let _rest = self.turn.spends_on(SpentOn::Rest);
        let begun = self.looks.get().number;
        let mut standstill = self.standstill();
        // Others of a crowd may have found meanwhile that there is room.
        while may_gain_room() {
            // Nothing announces what a server counts no more.
            tokio::time::sleep(self.between_looks()).await;
            if guests.book().left != standstill.left {
                standstill = self.standstill();
            }
            if self.has_let_go(begun, standstill.first.ran) {
                return guests.are_let_go();
            }
            if self.looks.get().number > begun + 1 && self.is_late(&standstill) {
                // One that keeps who has left is not waited for as long each time; nor is it known how any other rests.
                guests.note(|book| {
                    book.lingers |= self.looks.get().rests() && !book.may_park();
                    book.parks = Some(false);
                });
                return guests.are_let_go();
            }
        }
    }

    /// Whether none of the server's processes runs, for they are all stopped.
    fn is_stopped(&self) -> bool {
        let mut living = self.living().peekable();
        living.peek().is_some() && living.all(|process| process.state == 'T')
    }

    /// How things stand with the clients.
    fn standstill(&self) -> Standstill {
        Standstill {
            since: Instant::now(),
            first: self.stillness(),
            left: self.guests.book().left,
        }
    }

    /// Whether the server has had its time to notice that the last one has left, who has been seen to leave by its kernel.
    fn is_late(&self, standstill: &Standstill) -> bool {
        let within = match self.guests.book().lingers {
            true => self.between_looks() * LOOKS_TO_BLAME as u32,
            false => RETURN_WITHIN,
        };
        let waited = standstill.since.elapsed();
        let is_underway = || {
            let left = self.of_who_has_left();
            left.is_some_and(|left| left.untold > self.guests.book().for_good)
        };
        waited >= within
            && !self.is_starved_since(Some(standstill.first), waited, within)
            && (waited >= within * PATIENCE_WITH_THE_STARVED || !is_underway())
    }

    /// The connections that the server has of clients who have left; none of a server without a port. Nothing where the kernel does
    /// not tell.
    fn of_who_has_left(&self) -> Option<OfWhoHasLeft> {
        let Some(port) = self.port() else {
            return Some(OfWhoHasLeft::default());
        };
        let [theirs, ours] = self.lab.diag().both_sides(port).ok()?;
        Some(OfWhoHasLeft::among(&theirs, &ours))
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

    /// Whether the server has rested since look `begun`, unless it is known that it does not, and has done with all who have left; it
    /// had run for so long when the last one left.
    fn has_let_go(&self, begun: u64, ran: Duration) -> bool {
        let last = self.fresh_look();
        let is_busy = self.is_known_to_be_busy;
        let may_rest = last.rests() || is_busy;
        let is_seen_to_run = self.guests.book().may_park() && !last.still.parked;
        if last.number <= begun + 1 || !may_rest || is_seen_to_run {
            return false;
        }
        // Others may have left since that look. What has come of it to the server shows in the next one, and what has not in the
        // kernel's table before.
        let left = self.of_who_has_left();
        let now = self.stillness();
        let still_rests = last.rests() && now == last.still;
        let has_run = now.ran > ran;
        (still_rests || is_busy)
            && left.is_some_and(|left| self.is_done_with(left, now.parked, has_run))
    }

    /// Whether the server has come to know of all who have left, of whom none is on its way: nothing but us wakes it, where that is how
    /// it rests, or it holds none of their connections, or where that does not show has run since the last has left.
    fn is_done_with(&self, left: OfWhoHasLeft, is_parked: bool, has_run: bool) -> bool {
        let book = self.guests.book();
        // No table tells whether it holds a Unix socket whose peer has gone, or one that was reset.
        let is_told = self.port().is_some() && !book.has_resets;
        let has_closed = left.untold + left.kept <= book.for_good && (is_told || has_run);
        left.untold <= book.for_good && (is_parked || !book.may_park() && has_closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn who_has_left_is_counted_until_the_server_has_let_go() {
        let guests = Guests::default();
        let (alice, bob) = (guests.one_more(), guests.one_more());
        drop(alice);
        assert_eq!((guests.book().there, guests.book().counted), (1, 2));
        assert!(guests.book().may_gain_room(2) && !guests.book().may_gain_room(3));
        let _carol = guests.one_more();
        assert_eq!((guests.book().there, guests.book().counted), (2, 3));
        guests.are_let_go();
        assert_eq!((guests.book().there, guests.book().counted), (2, 2));
        assert!(!guests.book().may_gain_room(2), "nobody has left");
        guests.one_for_good();
        drop(bob);
        guests.are_let_go();
        assert_eq!((guests.book().there, guests.book().counted), (2, 2));
    }

    fn row(state: State, from: u16, to: u16, inode: u32) -> Row {
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        Row {
            state,
            remote: at(to),
            inode,
            ..Row::listening_at(at(from).unwrap())
        }
    }

    #[test]
    fn connection_of_who_has_left_is_told_from_that_of_who_is_there() {
        let (port, alice, bob, carol, dora) = (7000, 1, 2, 3, 4);
        let theirs = [
            row(State::Established, port, alice, 11),
            row(State::Established, port, bob, 12),
            row(State::CloseWait, port, carol, 13),
            row(State::CloseWait, port, dora, 14),
        ];
        let ours = [
            row(State::Established, alice, port, 21),
            row(State::FinWait1, bob, port, 0),
            row(State::FinWait2, carol, port, 0),
            // She has only ended her side.
            row(State::FinWait2, dora, port, 24),
        ];
        let left = OfWhoHasLeft::among(&theirs, &ours);
        assert_eq!(left, OfWhoHasLeft { untold: 1, kept: 1 });
        // A reset that is on its way leaves nothing on the client's side.
        let left = OfWhoHasLeft::among(&theirs[..1], &[]);
        assert_eq!(left, OfWhoHasLeft { untold: 1, kept: 0 });
        // The server has ended its side first, and holds what it has not closed.
        let ended = |state, inode| OfWhoHasLeft::among(&[row(state, port, alice, inode)], &[]);
        let (untold, kept) = (
            OfWhoHasLeft { untold: 1, kept: 0 },
            OfWhoHasLeft { untold: 0, kept: 1 },
        );
        assert_eq!(ended(State::FinWait2, 11), untold);
        assert_eq!(ended(State::LastAck, 11), kept);
        assert_eq!(ended(State::FinWait2, 0), OfWhoHasLeft::default());
        assert_eq!(ended(State::LastAck, 0), OfWhoHasLeft::default());
    }

    #[test]
    fn book_goes_where_the_server_goes() {
        let guests = Guests::default();
        drop(guests.one_more());
        let taken_up = Guests::known_as(guests.book());
        assert_eq!((taken_up.book().there, taken_up.book().counted), (0, 1));
    }
}
