//! What a client does, and how long it waits for what it is owed.

use super::phases::{Flow, Session, go_on_if};
use super::quiescence::{Poll, looks_every};
use super::starting::Reception;
use crate::kernel::Row;
use crate::launch::Server;
use crate::model::action::Action;
use crate::model::expectation::Expectation;
use crate::model::form::{Need, Wait};
use crate::model::limits::{
    LET_IN_WITHIN, LOOK_ASIDE, LOOK_EVERY, LOOK_ON_FOR, LOOKS_TO_BLAME, MOST_OF_A_STEP,
    SERVED_WITHIN, SILENCE, STEP_WITHIN,
};
use crate::model::profile::Serves;
use crate::session::client::Client;
use crate::session::outgoing::Division;
use crate::transcript::client_state::{Matcher, Progress};
use crate::transcript::event::{ClientEvent, Ended, Exit, What};
use crate::transcript::fault::Fault;
use crate::transcript::instead::{Got, Instead};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// What waits unread while the server sleeps, since when, and how many looks in a row have shown it.
#[derive(Clone, Copy)]
struct Held {
    unread_bytes: u64,
    since: Instant,
    looks: u64,
}

impl Held {
    fn now(unread_bytes: u64) -> Self {
        Self {
            unread_bytes,
            since: Instant::now(),
            looks: 0,
        }
    }
}

/// A client's wait for something.
struct Waiting {
    way: Wait,
    asked: tokio::time::Instant,
    limit: Duration,
    deadline: tokio::time::Instant,
    /// Nobody has said how long.
    is_patient: bool,
    /// It is held against the server, so that it is waited for as long as the server may still act.
    looks_on: bool,
    /// The look before it.
    begun: u64,
    /// The first look at the server since.
    before: Option<Poll>,
    /// How many looks in a row have shown that nothing of the server is left.
    dead_looks: u64,
    /// The look since which nothing was on its way, nor did the server do anything.
    quiet_since: Option<u64>,
    held: Held,
    /// The same where nothing moves any more.
    standstill: Held,
    /// A part of the reply was seen to wait for an acknowledgement.
    is_nagled: bool,
    /// Another one has been tried, to tell whether this one hopes in vain.
    another_tried: bool,
    /// Somebody has written how long, and has not got all of it.
    has_limit: bool,
    /// That time is over, and was not all the server's, or what came in it was not taken yet.
    in_grace: bool,
    /// How late we were to see that the time was over, where something had come meanwhile.
    we_were_late: Option<Duration>,
}

impl Waiting {
    fn for_this(what: &Expectation, within: Option<Duration>, begun: u64) -> Self {
        let way = what.form().does.wait();
        let unsaid = match way {
            Wait::Absence => SILENCE,
            Wait::Event | Wait::Kernel | Wait::Either => STEP_WITHIN,
        };
        let limit = within.unwrap_or_else(|| unsaid + what.not_before());
        let asked = tokio::time::Instant::now();
        Self {
            way,
            asked,
            limit,
            deadline: asked + limit,
            is_patient: within.is_none() && way != Wait::Absence,
            looks_on: within.is_none() && matches!(way, Wait::Event | Wait::Kernel),
            begun,
            before: None,
            dead_looks: 0,
            quiet_since: None,
            held: Held::now(0),
            standstill: Held::now(0),
            is_nagled: false,
            another_tried: false,
            has_limit: within.is_some(),
            in_grace: false,
            we_were_late: None,
        }
    }

    /// All that has to come is there, and more may belong to it: that is waited for until the server rests, or the time is up.
    fn is_for_more(&mut self) {
        (self.is_patient, self.looks_on, self.another_tried) = (false, false, true);
        self.has_limit = false;
    }

    /// Whether this look is not the first since which all is quiet: what was still on its way at the one before may have woken
    /// the server behind it.
    fn was_quiet_before(&mut self, now: u64, is_quiet: bool) -> bool {
        self.quiet_since = is_quiet.then(|| self.quiet_since.unwrap_or(now));
        self.quiet_since.is_some_and(|since| since < now)
    }
}

/// How many clients wait at once. What each of them looks for by itself is looked for the more seldom, the more they are: the
/// looks of thousands would leave no time for what they wait for.
#[derive(Debug, Default)]
pub(super) struct Waiters(Cell<usize>);

impl Waiters {
    /// Counts one more until what is returned is dropped.
    fn one_more(&self) -> OneWaiter<'_> {
        self.0.set(self.0.get() + 1);
        OneWaiter(&self.0)
    }

    /// In how many rounds they are looked after, of so many that they follow each other without haste.
    fn rounds(&self) -> u32 {
        (self.0.get() / OF_A_ROUND + 1).next_power_of_two() as u32
    }
}

/// How many clients are looked after in the time between two looks.
const OF_A_ROUND: usize = 256;

struct OneWaiter<'a>(&'a Cell<usize>);

impl Drop for OneWaiter<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Session<'_> {
    pub(super) async fn client_move(&self, client: &mut Client, action: &Action) -> (Ended, Flow) {
        self.prove_connection(client, action);
        let action = &*self.filled(client, action);
        if action.bytes() > MOST_OF_A_STEP {
            let fault = Fault::Step(action.form().word.to_owned());
            let evidence = "with what was captured it comes to more than 64 MiB";
            self.observer.prove(fault, false, evidence);
            return (Ended::Done, Flow::Break(()));
        }
        if action.form().does.is_deed() {
            client.deed_began = Some(Instant::now());
        }
        match action {
            Action::Connect(options) => {
                // Its last place is free before another is asked for, which nobody takes in between.
                client.release().await;
                self.make_room().await;
                client.connect(options).await;
                if !options.without_waiting {
                    let wait = Waiting::for_this(&Expectation::Connected, None, self.looked());
                    return self.expect(client, &Expectation::Connected, wait).await;
                }
            }
            Action::Send {
                data,
                segmentation,
                every,
                as_records,
                background,
            } => {
                let division = Division::of(segmentation, *as_records);
                match background {
                    true => client.send_in_background(data, division, *every).await,
                    false => Box::pin(client.send(data, division, *every)).await,
                }
            }
            Action::StartTls(options) => Box::pin(client.start_tls(options)).await,
            Action::SendUrgent(byte) => client.send_urgent(*byte).await,
            Action::SendDescriptor(byte) => client.send_descriptor(*byte).await,
            Action::SendWithoutSource(data) => client.send_without_source(data).await,
            Action::HalfClose => client.half_close(),
            Action::Reset => client.reset().await,
            Action::Close => client.close().await,
            Action::Vanish => client.vanish().await,
            Action::Stall => client.stall(),
            Action::Read(rate) => client.set_rate(*rate),
            // The judge looks for it in all that comes.
            Action::Never(data) => {
                if data.length() == 0 {
                    let fault = Fault::Step("never".to_owned());
                    self.observer
                        .prove(fault, false, "what was captured is nothing");
                }
            }
            Action::Expect { what, within } => {
                let wait = Waiting::for_this(what, *within, self.looked());
                return self.expect(client, what, wait).await;
            }
            Action::Require { what, within } => {
                let wait = Waiting {
                    looks_on: false,
                    ..Waiting::for_this(what, *within, self.looked())
                };
                let (how, flow) = self.expect(client, what, wait).await;
                let shown = flow.is_continue() && !self.lacks_its_server(client, what);
                let evidence = match shown || flow.is_break() {
                    true => "read from the connection and the kernel's tables",
                    false => "the kernel keeps the client from the server until it speaks",
                };
                let required = Fault::Required(what.clone());
                self.observer.prove(required, shown, evidence);
                return (how, go_on_if(shown));
            }
        }
        (Ended::Done, Flow::Continue(()))
    }

    /// An action with what was captured before.
    fn filled<'b>(&self, client: &Client, action: &'b Action) -> Cow<'b, Action> {
        let client_states = self.observer.recorder.client_states();
        client_states.filled(client.id(), action)
    }

    /// Whether a connection that has to be in the server's hands is kept from it by the kernel.
    fn lacks_its_server(&self, client: &Client, what: &Expectation) -> bool {
        let mut client_states = self.observer.recorder.client_states();
        *what == Expectation::Accepted && client_states.of(client.id()).is_deferred()
    }

    /// Writes down that a step does not happen where there is no connection for it.
    fn prove_connection(&self, client: &Client, action: &Action) {
        let form = action.form();
        let acts = form.does.is_deed();
        let needed = matches!(
            form.needs,
            Some(Need::Connection | Need::SendingSide | Need::Peer)
        );
        if acts && needed && !client.may_send() {
            let fault = Fault::Step(action.to_string());
            self.observer.prove(fault, false, "there is no connection");
        }
    }

    /// The number of the last look at the server.
    fn looked(&self) -> u64 {
        self.observer.looks.get().number
    }

    async fn expect(&self, client: &Client, what: &Expectation, waiting: Waiting) -> (Ended, Flow) {
        let id = client.id();
        let mut sought = Matcher::new(what, id.member);
        let asked = waiting.asked;
        let how = self.wait_for(client, what, &mut sought, waiting).await;
        if matches!(what, Expectation::End { .. }) {
            self.observer.await_destroy_event(id).await;
        }
        if what.not_before() > Duration::ZERO {
            // A deed takes effect between its beginning and its end: a server that has waited so long since has not come too soon.
            let since = client.deed_began.unwrap_or_else(|| asked.into_std());
            let waited = self.observer.recorder.arrived(id, since);
            let waited = ClientEvent::Waited(waited);
            self.observer.record(What::Client(id, waited));
        }
        let mut client_states = self.observer.recorder.client_states();
        match client_states.take(id, &mut sought, how != Ended::Done) {
            Progress::Met => (how, Flow::Continue(())),
            Progress::Pending | Progress::Broken(_) => (how, Flow::Break(())),
        }
    }

    /// Waits until an expectation is met or broken, until the kernel shows that nothing more will come, or until
    /// the time is up.
    async fn wait_for(
        &self,
        client: &Client,
        what: &Expectation,
        sought: &mut Matcher<'_>,
        mut waiting: Waiting,
    ) -> Ended {
        let _counted = self.waiting.one_more();
        let mut look = looks_every(LOOK_EVERY);
        if waiting.way != Wait::Kernel {
            look.reset();
        }
        if waiting.has_limit {
            // What the server cannot use of its time counts from the beginning.
            waiting.before = Some(self.observer.fresh_look());
        }
        let id = client.id();
        let facts = self.observer.recorder.waiting_for(id);
        loop {
            let next_fact = facts.notified();
            let recorder = &self.observer.recorder;
            if recorder.client_states().of(id).look(sought, false) != Progress::Pending {
                self.note_grace(&waiting);
                return Ended::Done;
            }
            if sought.may_be_whole() {
                waiting.is_for_more();
            }
            if let Some(next) = sought.foresees() {
                recorder.foresee(id, next);
            }
            let ended = tokio::select! {
                biased;
                () = next_fact => None,
                () = tokio::time::sleep_until(waiting.deadline) => {
                    if takes_first_what_came(client, &mut waiting) {
                        continue;
                    }
                    let is_first = !std::mem::replace(&mut waiting.another_tried, true);
                    // Every client of a crowd has room for what it waits in; few come to this.
                    match is_first && Box::pin(self.hopes_in_vain(client, what)).await {
                        true => Some(Ended::OutOfTime(waiting.limit)),
                        false => self.at_deadline(client, &mut waiting),
                    }
                }
                _ = look.tick() => self.at_look(client, what, &mut waiting),
            };
            if let Some(ended) = ended {
                return ended;
            }
            let apart = self.observer.between_looks() * self.waiting.rounds();
            if look.period() != apart {
                look = looks_every(apart);
                look.reset();
            }
        }
    }

    /// Whether a client whom alone the server has answered since it listens hopes for the rest of what was whole: what has come
    /// may be the beginning of what it is owed, and one who comes after it is served meanwhile.
    async fn hopes_in_vain(&self, client: &Client, what: &Expectation) -> bool {
        let recorder = &self.observer.recorder;
        let so_far = recorder.client_states().of(client.id()).so_far();
        Instead::SoFar(so_far).is_another_answer(what)
            && recorder.with(|seen| seen.first_answered().is_some())
            && self.received(SILENCE).await == Reception::Served
    }

    /// The time is up, unless others of a crowd are served meanwhile: as long as anybody is, nobody has waited in vain. A
    /// client that is itself still speaking, however late the host lets it, is owed nothing before it has done.
    fn at_deadline(&self, client: &Client, waiting: &mut Waiting) -> Option<Ended> {
        let served = self.observer.recorder.last_served(client.id());
        let served =
            served.map(|at| (waiting.asked + SERVED_WITHIN).min((at + waiting.limit).into()));
        let spoken = client.speaks_until();
        let later = served.max(spoken.map(|at| (at + waiting.limit).into()));
        match later.filter(|later| waiting.is_patient && *later > waiting.deadline) {
            Some(later) => {
                waiting.deadline = later;
                None
            }
            None => self.in_vain(client, waiting),
        }
    }

    /// Whether it has been waited for in vain: as long as the server may still act, or the kernel has to let the client in, it is
    /// looked on at, beside others.
    fn in_vain(&self, client: &Client, waiting: &mut Waiting) -> Option<Ended> {
        let waited = waiting.asked.elapsed();
        let limit = waiting.limit;
        let (bound, next_look, ended) = if waiting.looks_on && client.is_yet_to_come() {
            (LET_IN_WITHIN, limit, Ended::KeptOut(LET_IN_WITHIN))
        } else if waiting.looks_on && self.server().is_some_and(Server::is_elsewhere) {
            // Nothing of it is seen but that others are served meanwhile.
            (SERVED_WITHIN, LOOK_ASIDE, Ended::NotYet(SERVED_WITHIN))
        } else if waiting.looks_on && self.observer.may_still_act() {
            (LOOK_ON_FOR, LOOK_ASIDE, Ended::NotYet(LOOK_ON_FOR))
        } else {
            (Duration::ZERO, limit, Ended::OutOfTime(limit))
        };
        if waited < bound {
            self.observer.turn.step_aside();
            waiting.deadline += next_look;
            return None;
        }
        if self.keeps_its_time(waiting, waited) {
            waiting.in_grace |= waiting.has_limit;
            waiting.deadline = tokio::time::Instant::now() + self.observer.between_looks();
            return None;
        }
        self.observer.record_ran_since(waiting.before);
        if client.has_more_to_read() {
            client.record(ClientEvent::MoreToRead);
        }
        if client.lies_in_a_queue()
            && let Some((queue @ 1.., _)) = self.observer.listener()
        {
            client.record(ClientEvent::NotTaken(queue));
        }
        Some(ended)
    }

    /// Whether what has not come in so long may still come within the limit of a server that was kept from running meanwhile.
    fn keeps_its_time(&self, waiting: &Waiting, waited: Duration) -> bool {
        let before = waiting.before.filter(|_| waiting.way != Wait::Absence);
        before.is_some_and(|before| self.observer.has_time_left(&before, waited, waiting.limit))
    }

    fn note_grace(&self, waiting: &Waiting) {
        if let Some(before) = waiting.before.filter(|_| waiting.in_grace) {
            let we_were_late = waiting.we_were_late.unwrap_or_default();
            let waited = waiting.asked.elapsed();
            self.observer.record_grace(&before, waited, we_were_late);
        }
    }

    /// Looks in the kernel for what no event tells of, and whether anything may still come.
    fn at_look(&self, client: &Client, what: &Expectation, waiting: &mut Waiting) -> Option<Ended> {
        let look = self.observer.fresh_look();
        waiting.before = waiting.before.or(Some(look));
        waiting.dead_looks = match self.is_dead(client) {
            true => waiting.dead_looks + 1,
            false => 0,
        };
        let must_come = matches!(waiting.way, Wait::Event | Wait::Kernel);
        if waiting.dead_looks >= LOOKS_TO_BLAME && must_come {
            return Some(Ended::Done);
        }
        if !waiting.is_nagled && self.observer.fresh_look().still.at_rest {
            waiting.is_nagled = self.look_for_nagle(client);
        }
        if *what == Expectation::HeldBack {
            waiting.held = self.look_for_restraint(client, waiting.held);
        }
        let looks = match waiting.way {
            Wait::Absence => 1,
            Wait::Event | Wait::Kernel | Wait::Either => LOOKS_TO_BLAME,
        };
        let found = waiting.way == Wait::Kernel && self.look_in_kernel(client, what);
        if found {
            return None;
        }
        // Any newer look at which the rest is judged only asks for more.
        let now = self.observer.fresh_look().number;
        let is_quiet = self.observer.is_settled(waiting.begun, looks)
            && self.is_quiet(client, what)
            && !self.others_may_act(waiting.way);
        match waiting.was_quiet_before(now, is_quiet) {
            true => Some(Ended::Settled),
            false => self.at_standstill(client, waiting),
        }
    }

    /// Whether nothing more will come although bytes wait: for as long as the kernel may take to repeat what was lost, all threads of
    /// the server wait without reading them, and nothing of ours moves.
    fn at_standstill(&self, client: &Client, waiting: &mut Waiting) -> Option<Ended> {
        let is_alone = waiting.way == Wait::Event && self.at_once.get() == 1 && !self.is_told.get();
        let stands = is_alone && self.observer.is_settled(waiting.begun, LOOKS_TO_BLAME);
        let client = Some(client).filter(|_| stands);
        let unread_bytes = client.and_then(Client::unread_at_a_standstill);
        let before = waiting.standstill;
        waiting.standstill = match unread_bytes {
            Some(unread_bytes) if unread_bytes == before.unread_bytes => Held {
                looks: before.looks + 1,
                ..before
            },
            now => Held::now(now.unwrap_or(0)),
        };
        let lasts = waiting.standstill.looks >= LOOKS_TO_BLAME
            && waiting.standstill.since.elapsed() >= SILENCE;
        let unread_bytes = unread_bytes.filter(|_| lasts)?;
        if self.nothing_else_moves(client?) {
            return Some(Ended::StandsStill(unread_bytes));
        }
        // What still moved may have woken the server just now: it has all of that time again.
        waiting.standstill = Held::now(unread_bytes);
        None
    }

    /// Whether what is waited for may still be brought about by somebody else than the server: by a client that goes on by itself,
    /// and where nobody knows what is told next, by whatever that may be. What is to stay away does so until then.
    fn others_may_act(&self, way: Wait) -> bool {
        let is_told = self.is_told.get();
        let must_come = matches!(way, Wait::Event | Wait::Kernel);
        let is_beside_others = is_told && (must_come || self.at_once.get() > 1);
        is_beside_others || (is_told || must_come) && !self.clients.all(Client::has_said_all)
    }

    /// Whether nobody else says anything by itself, and the kernel shows nothing underway between the server and anybody else, who is
    /// there: of who has gone without a word the server's kernel may learn yet, by keepalive or by a time-out.
    fn nothing_else_moves(&self, client: &Client) -> bool {
        let diag = self.observer.lab.diag();
        let Some(port) = self.observer.port() else {
            return false;
        };
        let (Ok(theirs), Ok(ours)) = (diag.connections(port), diag.connections_to(port)) else {
            return false;
        };
        let own = client.local();
        let there: HashSet<_> = ours.iter().map(|row| row.local).collect();
        let has_peer = |row: &Row| row.inode == 0 || there.contains(&row.peer());
        let mut others = ours.iter().filter(|row| row.local != own);
        self.clients.all(Client::has_said_all)
            && theirs.iter().all(|row| row.is_calm() && has_peer(row))
            && others.all(Row::is_calm)
    }

    /// Whether nothing of a client is on its way. A SYN that was not answered is repeated, so that an answer may
    /// still come, unless the lack of one is what is expected.
    fn is_quiet(&self, client: &Client, what: &Expectation) -> bool {
        match client.is_calling() {
            true => *what == Expectation::Pending,
            false => client.is_quiet(),
        }
    }

    /// Whether the server sleeps over the same bytes of a client as at the look before. When enough looks in a row have
    /// shown so, it is written down. A server that is about to read would be ready to run; of one that never rests only time
    /// tells.
    fn look_for_restraint(&self, client: &Client, before: Held) -> Held {
        let unread_bytes = client.unread_bytes();
        if unread_bytes == 0 || unread_bytes != before.unread_bytes {
            return Held::now(unread_bytes);
        }
        let looks = match self.observer.fresh_look().still.at_rest {
            true => before.looks + 1,
            false => 0,
        };
        let sleeps_over_it = looks >= LOOKS_TO_BLAME && before.since.elapsed() >= SILENCE;
        if sleeps_over_it || before.since.elapsed() >= STEP_WITHIN {
            let event = ClientEvent::HeldBack { unread_bytes };
            self.observer.record(What::Client(client.id(), event));
        }
        Held { looks, ..before }
    }

    /// Whether the rest of a reply of which a part has come waits in the kernel for an acknowledgement of that part, and nothing
    /// is lacking of the server.
    fn look_for_nagle(&self, client: &Client) -> bool {
        let so_far = self
            .observer
            .recorder
            .client_states()
            .of(client.id())
            .so_far();
        if so_far == Got::Nothing {
            return false;
        }
        let bytes = client.held_by_nagle();
        if bytes > 0 {
            let event = ClientEvent::Unsent { bytes };
            self.observer.record(What::Client(client.id(), event));
        }
        bytes > 0
    }

    /// Whether no process of the server is left and nothing that it has sent is on its way, so that no more will come.
    fn is_dead(&self, client: &Client) -> bool {
        let dead =
            |server: &Server| server.exit().is_some() && self.observer.living().next().is_none();
        // The kernel goes on sending for a stream whose owner has ended; datagrams are there at once or never.
        let nothing_comes = |server: &Server| server.transport().is_datagram() || client.is_quiet();
        self.observer
            .server
            .as_ref()
            .is_some_and(|server| dead(server) && nothing_comes(server))
    }

    /// Asks the kernel for facts that no event announces; true where one was found.
    fn look_in_kernel(&self, client: &Client, what: &Expectation) -> bool {
        let (found, event) = match what {
            Expectation::Accepted => match client.is_deferred() {
                true => (true, ClientEvent::Deferred),
                false => (client.is_accepted(), ClientEvent::Accepted),
            },
            Expectation::Taken => (
                client.has_written_all() && client.is_taken() || self.has_had_its_datagram(),
                ClientEvent::Taken,
            ),
            Expectation::HeldBack => match client.unnoticed_end() {
                Some(how) => (true, ClientEvent::SendFailed(how.to_owned())),
                None => (client.is_idle() && !client.has_ended(), ClientEvent::Taken),
            },
            Expectation::TimeWait => (client.is_in_time_wait(), ClientEvent::TimeWait),
            Expectation::Full => (client.has_no_room(), ClientEvent::Full),
            Expectation::Nothing => match client.finds_nothing() {
                Some(error) => (true, ClientEvent::Nothing(error)),
                None => return false,
            },
            _ => return false,
        };
        if found {
            self.observer.record(What::Client(client.id(), event));
        }
        found
    }

    /// Whether a server for one datagram has ended in good order: its socket, which would show that the queue is empty,
    /// went with it.
    fn has_had_its_datagram(&self) -> bool {
        let is_for_one = self.target.profile.promises.serves == Some(Serves::OneConnection);
        self.observer.server.as_ref().is_some_and(|server| {
            is_for_one && server.transport().is_datagram() && server.exit() == Some(Exit::Status(0))
        })
    }
}

/// Whether something has come that nobody of ours has read when the time is over: on a loaded host it may have come in time, and is
/// taken before anybody is blamed. What stays away is another matter.
fn takes_first_what_came(client: &Client, waiting: &mut Waiting) -> bool {
    let must_come = waiting.way != Wait::Absence;
    if !must_come || waiting.we_were_late.is_some() || !client.is_behind_with_reading() {
        return false;
    }
    waiting.we_were_late = Some(waiting.deadline.elapsed());
    waiting.in_grace |= waiting.has_limit;
    waiting.deadline = tokio::time::Instant::now() + LOOK_ASIDE;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_has_to_be_quiet_at_two_looks_in_a_row() {
        let mut waiting = Waiting::for_this(&Expectation::Silence, None, 0);
        let looks = [
            (7, true),
            (7, true),
            (8, true),
            (9, false),
            (10, true),
            (11, true),
        ];
        let quiet = looks.map(|(look, is_quiet)| waiting.was_quiet_before(look, is_quiet));
        assert_eq!(quiet, [false, false, true, false, false, true]);
    }

    #[test]
    fn each_of_a_large_crowd_is_looked_after_less_often_than_one_alone() {
        let waiting = Waiters::default();
        let alone = waiting.one_more();
        assert_eq!(waiting.rounds(), 1);
        let crowd: Vec<_> = (0..10_000).map(|_| waiting.one_more()).collect();
        assert_eq!(waiting.rounds(), 64);
        drop((alone, crowd));
        assert_eq!(waiting.rounds(), 1);
    }
}
