//! Looks at the server through the kernel: whether it has come to rest, and what waits in its queues.

use super::clients::Clients;
use super::observer::Observer;
use crate::kernel::{Activity, BUSY_FROM, OwnTime, RestDetector, Row, State, percent, shows_waits};
use crate::launch::Answerer;
use crate::launch::lab::Lab;
use crate::launch::{LookBehind, Server};
use crate::model::address::Address;
use crate::model::limits::{
    CATCH_UP_WITHIN, DELAY_WORTH_RECORDING, LOOK_ASIDE, LOOK_EVERY, LOOK_SOON, LOOKS_TO_BLAME,
    PATIENCE_WITH_THE_STARVED, SERVED_WITHIN, SETTLE_WITHIN, SILENCE, STEP_WITHIN, WORTH_A_PLACE,
};
use crate::model::spent::SpentOn;
use crate::session::client::Client;
use crate::sys::own_use::thread_time;
use crate::transcript::event::ServerEvent;
use crate::transcript::fault::Fault;
use std::time::{Duration, Instant};

impl Observer {
    /// Lets a server that serves one after the other get through those who have left: as long as its accept queue
    /// becomes shorter, the next client has no claim to be served at once.
    pub(super) async fn catch_up(&self) {
        let _rest = self.turn.spends_on(SpentOn::Rest);
        let begun = Instant::now();
        let (mut shortest, mut since) = (u32::MAX, begun);
        while let Some((queue @ 1.., _)) = self.listener() {
            if queue < shortest {
                (shortest, since) = (queue, Instant::now());
            }
            if since.elapsed() > STEP_WITHIN || begun.elapsed() > CATCH_UP_WITHIN {
                return;
            }
            // Nothing announces that a connection has been accepted.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether at least `looks` looks in a row, all later than look `begun`, found the server waiting for us alone and
    /// not having run in between. All clients of a crowd share the looks.
    pub(super) fn is_settled(&self, begun: u64, looks: u64) -> bool {
        let last = self.fresh_look();
        last.settled >= looks && last.number > begun + looks
    }

    /// Whether a time-out of its own, or what it is at, may still make the server do what it owes: in none of the last
    /// looks did all of its threads wait for ever. Where the kernel does not show what they wait in, nothing says so.
    pub(super) fn may_still_act(&self) -> bool {
        shows_waits() && self.fresh_look().parked < LOOKS_TO_BLAME
    }

    /// How long is waited between two looks. One at hundreds of threads that all run takes milliseconds, and looks are not to
    /// take the processor from the server.
    pub(super) fn between_looks(&self) -> Duration {
        match self.turn.is_aside() {
            true => LOOK_ASIDE,
            // It doubles, so that who waits by it need not begin anew with each look.
            false => {
                let took = self.looks.get().took;
                let rare = [1, 2, 4].map(|times| LOOK_EVERY * times);
                let enough = rare.into_iter().find(|every| *every >= took * 4);
                enough.unwrap_or(LOOK_ASIDE)
            }
        }
    }

    /// How long is waited before the next look, after so many. One at a server that is at work is soon followed by others, which
    /// may find it done. Of a server whose threads all wait for us alone, two looks show the same at any distance unless one of
    /// them has run in between; any other that rests is given its time to show that it does not.
    pub(super) fn before_another_look(&self, last: &Activity, looks: u32) -> Duration {
        let is_told_soon = !last.at_rest || is_for_us(last, &self.lab);
        match is_told_soon && looks <= LOOKS_SOON {
            true => LOOK_SOON,
            false => LOOK_EVERY,
        }
    }

    /// A look at the server's threads that is hardly older than the time between two looks.
    pub(super) fn fresh_look(&self) -> Poll {
        let last = self.looks.get();
        if last
            .at
            .is_none_or(|at| at.elapsed() >= self.between_looks())
        {
            self.record_destroyed_sockets();
            self.ends.record_soon();
            self.lab.look_at_room();
            self.count_drops_behind();
            let begun = Instant::now();
            let still = self.stillness();
            // What stands behind it may wake it as clients do.
            let behind = self.backends.look(&mut self.behind.borrow_mut());
            let is_same = last.still == still;
            let parked = is_same && still.parked && behind.is_parked;
            let settled = parked && self.lab.is_private();
            let rests = is_same && still.at_rest && behind.rests;
            let own_time_behind = self.backends.own_time(&self.behind.borrow());
            let now = Instant::now();
            let rests_since = rests.then(|| last.rests_since.unwrap_or(now));
            let own_time = self.watched.borrow().own_time(&still);
            self.note_figures(&still, thread_time());
            self.leave_place_while_it_rests(rests_since);
            self.looks.set(Poll {
                number: last.number + 1,
                at: Some(now),
                took: now - begun,
                rests_since,
                parked: if parked { last.parked + 1 } else { 0 },
                settled: if settled { last.settled + 1 } else { 0 },
                still,
                own_time: Some(own_time),
                own_time_behind,
            });
        }
        self.looks.get()
    }

    /// While neither the server nor any of its clients does anything, others go on in their place.
    fn leave_place_while_it_rests(&self, since: Option<Instant>) {
        match since {
            Some(since) if since.elapsed() >= WORTH_A_PLACE => self.turn.pause(),
            Some(_) => {}
            None => self.turn.come_back_if_free(),
        }
    }

    /// Whether a server that has been waited for so long since a look could not use as much of it as would leave it less than its
    /// limit: it was kept from running, for a processor or for the disk, or may just be. Its time is not what a clock beside it shows.
    pub(super) fn has_time_left(&self, before: &Poll, waited: Duration, limit: Duration) -> bool {
        let now = self.fresh_look();
        let own_times = now.own_time.into_iter().chain(now.own_time_behind);
        let may_be_lost: Duration = own_times.map(|own_time| own_time.may_be_kept).sum();
        let lost = self.lost_since(before) + may_be_lost;
        waited.saturating_sub(lost) < limit && waited < limit * PATIENCE_WITH_THE_STARVED
    }

    /// How much of the time since a look the server could not use, or what stands behind it.
    fn lost_since(&self, before: &Poll) -> Duration {
        let now = self.fresh_look();
        let lost = |own_times: Option<(OwnTime, OwnTime)>| {
            own_times.map_or(Duration::ZERO, |(now, before)| now.lost_since(before))
        };
        lost(now.own_time.zip(before.own_time))
            + lost(now.own_time_behind.zip(before.own_time_behind))
    }

    /// Writes down that what was waited for came when the time for it was over, and the server could not use all of that, or that we
    /// had come so much too late to know when it came.
    pub(super) fn record_grace(&self, before: &Poll, waited: Duration, we_were_late: Duration) {
        let lost = self.lost_since(before) + we_were_late;
        self.record_server(ServerEvent::Grace { waited, lost });
    }

    /// Writes down how much processor time the server has used since a look, and has lacked, where there was one.
    pub(super) fn record_ran_since(&self, before: Option<Poll>) {
        if let Some(Poll { still: before, .. }) = before {
            let now = self.fresh_look().still;
            let lacked = now.delayed.saturating_sub(before.delayed);
            self.record_server(ServerEvent::Ran(now.ran.saturating_sub(before.ran)));
            if lacked > DELAY_WORTH_RECORDING {
                self.record_server(ServerEvent::Lacked(lacked));
            }
        }
    }

    /// Gives the server the time to come to rest; a server that does not is held to nothing here. As long as it reads what
    /// clients have written, it is on its way there, however slow it or the host is; what it has not read when that takes
    /// too long is not proven to have reached it.
    pub(super) async fn settle(&self, clients: &Clients) {
        self.comes_to_rest(clients).await;
        self.hear_of_its_end().await;
    }

    /// Where no process of the server is left, who has waited for it has yet to say so: what is done next is not to be taken for
    /// what has ended it.
    async fn hear_of_its_end(&self) {
        let is_ours = self.server.as_ref().and_then(Server::process).is_some();
        if !is_ours || self.has_living_process() {
            return;
        }
        let told = async {
            loop {
                let next = self.recorder.next_fact();
                if self.recorder.server_state().exit.is_some() {
                    return;
                }
                next.await;
            }
        };
        // One that is still there then is there for whoever comes next.
        let _ = tokio::time::timeout(STEP_WITHIN, told).await;
    }

    /// Whether a process of the server had not ended at the last look, or has not now.
    fn has_living_process(&self) -> bool {
        let lived = self
            .watched
            .borrow()
            .processes()
            .any(|process| !process.is_zombie());
        lived || self.living().next().is_some()
    }

    /// Whether the server has ended, and nothing of it is left.
    fn is_gone(&self) -> bool {
        self.recorder.server_state().exit.is_some() && self.living().next().is_none()
    }

    async fn comes_to_rest(&self, clients: &Clients) {
        let _rest = self.turn.spends_on(SpentOn::Rest);
        let begun = Instant::now();
        let (mut taken, mut since) = (0, begun);
        let (mut last, mut shortest, mut looks) = (None, u32::MAX, 0);
        let (mut first, mut behind) = (None, LookBehind::default());
        loop {
            if begun.elapsed() > SERVED_WITHIN {
                let evidence = "the server was still reading it";
                return self.prove(Fault::Sent, false, evidence);
            }
            self.record_destroyed_sockets();
            let quiet = clients.all(Client::is_idle);
            let is_at_work = self.watched.borrow_mut().is_at_work();
            let now = match is_at_work {
                true => Activity::default(),
                false => self.stillness(),
            };
            let read = clients.look(|all| all.map(Client::read_bytes).sum());
            // On a loaded host it may be we who have not come to write, or to read what keeps the server from reading, or to look.
            if read != taken || clients.any(Client::lags_behind) {
                (taken, since, first) = (read, Instant::now(), None);
            } else if self.is_gone() {
                return;
            }
            first = first.or_else(|| (!is_at_work).then_some(now));
            let limit = self.settles_within(quiet, now.at_rest);
            let waited = since.elapsed();
            if waited >= limit && !self.is_starved_since(first, waited, limit) {
                // Who comes next would find a queue that those who have left still fill.
                match self.listener() {
                    Some((queue @ 1.., _)) if queue < shortest => {
                        (shortest, since) = (queue, Instant::now());
                    }
                    _ => return,
                }
            }
            let rests_behind = self.backends.look(&mut behind).rests;
            if quiet && now.at_rest && last == Some(now) && rests_behind {
                return;
            }
            last = quiet.then_some(now);
            // Nothing announces that another process has come to rest.
            looks += 1;
            tokio::time::sleep(self.before_another_look(&now, looks)).await;
        }
    }

    /// Waits until nothing more comes of itself: what must never come may come late. A server whose threads wait for us alone is told
    /// at once, and any other listened to for as long as any silence is.
    pub(super) async fn hear_nothing_more(&self) {
        let begun = Instant::now();
        let first_look = self.fresh_look().number;
        while !self.is_settled(first_look, LOOKS_TO_BLAME) && begun.elapsed() < SILENCE {
            tokio::time::sleep(self.between_looks()).await;
        }
    }

    /// Whether a server that has been waited for so long would run and has hardly got a processor since it was looked at first.
    pub(super) fn is_starved_since(
        &self,
        first: Option<Activity>,
        waited: Duration,
        limit: Duration,
    ) -> bool {
        // Of who is not seen nobody can say what it lacks.
        let is_seen = self
            .server
            .as_ref()
            .is_some_and(|server| !server.is_elsewhere());
        let lacks = |first: &Activity| self.stillness().lacks_a_processor_since(first, waited);
        let has_time = waited < limit * PATIENCE_WITH_THE_STARVED;
        is_seen && has_time && first.as_ref().is_some_and(lacks)
    }

    /// How long a server that does not come to rest is given for it, since it took what clients wrote.
    fn settles_within(&self, quiet: bool, at_rest: bool) -> Duration {
        match quiet || at_rest {
            // It has read all, and will not rest: some of its rounds are enough.
            true if self.is_known_to_be_busy => LOOK_EVERY * LOOKS_TO_BLAME as u32,
            true => SETTLE_WITHIN,
            // One that sleeps over what clients have still to write takes no more of it; one that does not may lack a processor.
            false => STEP_WITHIN,
        }
    }

    pub(super) fn stillness(&self) -> Activity {
        match self.server.as_ref().filter(|server| !server.is_elsewhere()) {
            Some(server) => {
                let mut seen = self.watched.borrow_mut().look(server.output_pipe());
                // Whose call waits for us sleeps, and does not rest.
                seen.at_rest &= !self.answerer().is_some_and(Answerer::is_awaited);
                seen.parked &= seen.at_rest;
                seen.held_up = self.answerer().map_or(0, Answerer::held_up);
                seen
            }
            // Of who is not seen nothing says that it rests.
            None => Activity::default(),
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self.server.as_ref()?.address() {
            Address::Inet(address) => Some(address.port()),
            Address::Path(_) => None,
        }
    }

    /// The listener's accept queue and its limit.
    pub(super) fn listener(&self) -> Option<(u32, u32)> {
        let server = self.server.as_ref()?;
        let mut rows = match server.address() {
            Address::Inet(_) => server.listeners(),
            Address::Path(_) => server.at_path(),
        };
        rows.retain(|row| row.state == State::Listen);
        let queue = rows.iter().map(|row| row.receive_queue).sum();
        let backlog = rows.iter().map(|row| row.send_queue).min()?;
        Some((queue, backlog))
    }

    /// Whether bytes wait to be read by the server.
    pub(super) fn has_unread_connections(&self) -> bool {
        let rows = self
            .port()
            .and_then(|port| self.lab.diag().connections(port).ok());
        rows.unwrap_or_default()
            .iter()
            .any(|row| row.receive_queue > 0)
    }

    pub(super) fn count_connections(&self, state: State) -> usize {
        let rows = self
            .port()
            .and_then(|port| self.lab.diag().connections(port).ok());
        count_in(state, &rows.unwrap_or_default())
    }
}

/// So many looks follow each other soon.
const LOOKS_SOON: u32 = 3;

/// Whether all threads of a server wait for us alone.
pub(super) fn is_for_us(look: &Activity, lab: &Lab) -> bool {
    look.parked && lab.is_secluded()
}

/// How many of these connections are in a state.
pub(super) fn count_in(state: State, rows: &[Row]) -> usize {
    rows.iter().filter(|row| row.state == state).count()
}

/// The last look at the server's threads.
#[derive(Clone, Copy, Default)]
pub(super) struct Poll {
    pub(super) number: u64,
    at: Option<Instant>,
    /// How long it took.
    took: Duration,
    /// Since when looks have shown the server at rest, and the same.
    rests_since: Option<Instant>,
    pub(super) still: Activity,
    /// What the server has made of its time until then.
    own_time: Option<OwnTime>,
    /// The same of those behind it.
    own_time_behind: Option<OwnTime>,
    /// How many looks in a row have found the same as the one before, and all threads in waits without a time-out.
    parked: u64,
    /// The same of a server that waits for us alone.
    settled: u64,
}

impl Poll {
    /// Whether the server slept when it was looked at, and had not run since the look before.
    pub(super) fn rests(&self) -> bool {
        self.rests_since.is_some()
    }
}

/// The times at which to look. On a loaded host looks come late; they must not all come at once then, as a burst of them
/// shows no more than one.
pub(super) fn looks_every(time: Duration) -> tokio::time::Interval {
    let mut looks = tokio::time::interval(time);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    looks
}

/// Whether a server has used as much processor time as one that is busy uses within a limit.
pub(super) fn is_busy(rest: &RestDetector, limit: Duration) -> bool {
    rest.is_held_up_in_a_loop() || percent(rest.ran, limit) >= BUSY_FROM
}

/// Whether a server takes all that it gets and has got too little to be judged, as on a loaded host: what it does may
/// still be work that ends.
pub(super) fn is_starved_of_proof(rest: &RestDetector, limit: Duration) -> bool {
    let is_plain = rest.is_a_loop() && is_busy(rest, limit);
    rest.spins() && !is_plain && rest.watched < limit * PATIENCE_WITH_THE_STARVED
}
