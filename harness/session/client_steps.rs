//! What a client does, and how long it waits for what it is owed.

use super::phases::{Flow, Session};
use super::quiescence::looks;
use crate::launch::Server;
use crate::model::action::Action;
use crate::model::expectation::Expectation;
use crate::model::form::Need;
use crate::model::limits::{LOOKS_TO_BLAME, SERVED_WITHIN, SILENCE, STEP_WITHIN};
use crate::model::profile::Serves;
use crate::session::client::Client;
use crate::transcript::client::{Look, Sought};
use crate::transcript::event::{ClientEvent, ClientId, Ended, Exit, What};
use crate::transcript::fault::Fault;
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

impl Session<'_> {
    pub(super) async fn client_move(
        &self,
        id: ClientId,
        client: &mut Client,
        action: &Action,
    ) -> (Ended, Flow) {
        self.prove_connection(client, action);
        match action {
            Action::Connect(dial) => {
                client.connect(dial).await;
                if !dial.without_waiting {
                    return self.expect(id, client, &Expectation::Connected, None).await;
                }
            }
            Action::Send {
                data,
                background: true,
                ..
            } => client.send_in_background(data).await,
            Action::Send {
                data, cut, every, ..
            } => client.send(data, cut, *every).await,
            Action::SendUrgent(byte) => client.send_urgent(*byte).await,
            Action::SendDescriptor(byte) => client.send_descriptor(*byte).await,
            Action::HalfClose => client.half_close(),
            Action::Reset => client.reset().await,
            Action::Close => client.close().await,
            Action::Vanish => client.vanish().await,
            Action::Stall => client.stall(),
            Action::Read(pace) => client.set_pace(*pace),
            Action::Expect { what, within } => return self.expect(id, client, what, *within).await,
            Action::Require { what, within } => {
                let (how, flow) = self.expect(id, client, what, *within).await;
                self.prove(
                    Fault::Required(what.clone()),
                    flow.is_continue(),
                    "read from the connection and the kernel's tables",
                );
                return (how, flow);
            }
        }
        (Ended::Done, Flow::Continue(()))
    }

    /// Writes down that a step does not happen where there is no connection for it.
    fn prove_connection(&self, client: &Client, action: &Action) {
        let form = action.form();
        let acts = form.does.is_deed();
        let needed = matches!(form.needs, Some(Need::Connection | Need::SendingSide));
        if acts && needed && !client.may_send() {
            let fault = Fault::Step(action.to_string());
            self.prove(fault, false, "there is no connection");
        }
    }

    async fn expect(
        &self,
        id: ClientId,
        client: &Client,
        what: &Expectation,
        within: Option<Duration>,
    ) -> (Ended, Flow) {
        let mut sought = Sought::new(what, id.member);
        let how = self.wait_for(id, client, what, &mut sought, within).await;
        if matches!(what, Expectation::End { .. }) {
            self.await_obituary(id).await;
        }
        let mut views = self.recorder.views();
        let view = views.of(id);
        match view.look(&mut sought, how != Ended::Done) {
            Look::Met => {
                view.consume(&sought);
                (how, Flow::Continue(()))
            }
            Look::Pending | Look::Broken(_) => (how, Flow::Break(())),
        }
    }

    /// Waits until an expectation is met or broken, until the kernel shows that nothing more will come, or until
    /// the time is up.
    async fn wait_for(
        &self,
        id: ClientId,
        client: &Client,
        what: &Expectation,
        sought: &mut Sought<'_>,
        within: Option<Duration>,
    ) -> Ended {
        let absence = matches!(what, Expectation::Silence | Expectation::Pending);
        let limit = within.unwrap_or(if absence { SILENCE } else { STEP_WITHIN });
        let asked = tokio::time::Instant::now();
        let mut deadline = asked + limit;
        // A crowd is served one after the other: as long as anybody is, nobody has waited in vain.
        let is_patient = within.is_none() && !absence;
        let mut look = looks();
        let asks_kernel = matches!(
            what,
            Expectation::Accepted
                | Expectation::Taken
                | Expectation::HeldBack
                | Expectation::Nothing
                | Expectation::TimeWait
        );
        if !asks_kernel {
            look.reset();
        }
        let begun = self.looks.get().number;
        let mut ran_before = None;
        let may_fail_to_come = absence || matches!(what, Expectation::DataOrSilence(_));
        let (mut dead_looks, mut held) = (0, Held::now(0));
        let facts = self.recorder.facts_of(id);
        loop {
            let next_fact = facts.notified();
            if self.recorder.views().of(id).look(sought, false) != Look::Pending {
                return Ended::Done;
            }
            tokio::select! {
                biased;
                () = next_fact => {}
                () = tokio::time::sleep_until(deadline) => {
                    let later = self.recorder.last_served(id).map(|at| at + limit);
                    let later = later.map(|at| (asked + SERVED_WITHIN).min(at.into()));
                    match later.filter(|later| is_patient && *later > deadline) {
                        Some(later) => deadline = later,
                        None => {
                            self.note_ran_since(ran_before);
                            return Ended::OutOfTime(limit);
                        }
                    }
                }
                _ = look.tick() => {
                    let ran = self.fresh_look().still.ran;
                    ran_before = ran_before.or(Some(ran));
                    dead_looks = if self.is_dead(client) { dead_looks + 1 } else { 0 };
                    if dead_looks >= LOOKS_TO_BLAME && !may_fail_to_come {
                        return Ended::Done;
                    }
                    if *what == Expectation::HeldBack {
                        held = self.look_for_restraint(id, client, held);
                    }
                    let looks = if absence { 1 } else { LOOKS_TO_BLAME };
                    let settled = || self.is_settled(begun, looks) && self.is_quiet(client, what);
                    if !self.look_in_kernel(id, client, what) && settled() {
                        return Ended::Settled;
                    }
                }
            }
        }
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
    /// shown so, it is written down. A server that is about to read would be ready to run.
    fn look_for_restraint(&self, id: ClientId, client: &Client, before: Held) -> Held {
        let unread_bytes = client.unread_bytes();
        let is_same = unread_bytes > 0 && unread_bytes == before.unread_bytes;
        if !is_same || !self.fresh_look().still.at_rest {
            return Held::now(unread_bytes);
        }
        let looks = before.looks + 1;
        if looks >= LOOKS_TO_BLAME && before.since.elapsed() >= SILENCE {
            let event = ClientEvent::HeldBack { unread_bytes };
            self.recorder.note(What::Client(id, event));
        }
        Held { looks, ..before }
    }

    /// Whether no process of the server is left and nothing that it has sent is on its way, so that no more will come.
    fn is_dead(&self, client: &Client) -> bool {
        let dead = |server: &Server| {
            let left = || {
                server
                    .processes()
                    .iter()
                    .any(|process| !process.is_zombie())
            };
            server.process().exit().is_some() && !left()
        };
        // The kernel goes on sending for a stream whose owner has ended; datagrams are there at once or never.
        let nothing_comes = |server: &Server| server.transport().is_datagram() || client.is_quiet();
        self.server
            .as_ref()
            .is_some_and(|server| dead(server) && nothing_comes(server))
    }

    /// Asks the kernel for facts that no event announces; true where one was found.
    fn look_in_kernel(&self, id: ClientId, client: &Client, what: &Expectation) -> bool {
        let (found, event) = match what {
            Expectation::Accepted => (client.is_accepted(), ClientEvent::Accepted),
            Expectation::Taken => (
                client.is_taken() || self.has_had_its_datagram(),
                ClientEvent::Taken,
            ),
            Expectation::HeldBack if client.is_cut_off() => {
                (true, ClientEvent::SendFailed("it was reset".to_owned()))
            }
            Expectation::HeldBack => (client.is_idle() && !client.has_ended(), ClientEvent::Taken),
            Expectation::TimeWait => (client.is_in_time_wait(), ClientEvent::TimeWait),
            Expectation::Nothing => match client.finds_nothing() {
                Some(error) => (true, ClientEvent::Nothing(error)),
                None => return false,
            },
            _ => return false,
        };
        if found {
            self.recorder.note(What::Client(id, event));
        }
        found
    }

    /// Whether a server for one datagram has ended in good order: its socket, which would show that the queue is empty,
    /// went with it.
    fn has_had_its_datagram(&self) -> bool {
        let is_for_one = self.target.profile.promises.serves == Some(Serves::OneConnection);
        self.server.as_ref().is_some_and(|server| {
            is_for_one
                && server.transport().is_datagram()
                && server.process().exit() == Some(Exit::Status(0))
        })
    }
}
