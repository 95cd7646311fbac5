//! The observer: how the server ends, what it prints, what the kernel tells of it, who starved.

use super::ends::Ends;
use super::guests::Guests;
use super::quiescence::Poll;
use super::turn::Turn;
use crate::kernel::Spacing;
use crate::kernel::tree_of;
use crate::kernel::{
    Counters, Idleness, Memory, Process, RECEIVE_BUFFER_ERRORS, RestDetector, Table, Watched,
    occupations,
};
use crate::launch::lab::Lab;
use crate::launch::{Answerer, Backends, Burst, DropsBehind, LookBehind, Server, Tally};
use crate::model::address::Address;
use crate::model::limits::{
    DELAY_WORTH_RECORDING, LET_GO_WITHIN, LOOK_EVERY, LOOK_ON_FOR, LOOK_SOON, LOOKS_TO_BLAME,
    MAY_DIE_WITHIN, RETURN_WITHIN, STEP_WITHIN,
};
use crate::model::literal::{Size, name_in};
use crate::model::phase::Moment;
use crate::model::system_call::{Of, RareAnswer, With};
use crate::model::unasked::Unasked;
use crate::session::calibration;
use crate::session::own_delay;
use crate::session::recorder::Recorder;
use crate::session::sources::Sources;
use crate::transcript::event::{ClientEvent, ClientId, Ended, Exit, ServerEvent, Transcript, What};
use crate::transcript::fault::Fault;
use rustix::process::{Pid, getsid};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A server in its lab as the kernel shows it, and the transcript in which that is written down.
pub(super) struct Observer {
    pub(super) turn: Turn,
    pub(super) lab: Arc<Lab>,
    pub(super) server: Option<Server>,
    /// Where it listens, or did last.
    pub(super) listens_at: Rc<RefCell<Address>>,
    /// The servers that stand behind it.
    pub(super) backends: Backends,
    pub(super) recorder: Recorder,
    /// What the server may say at any time by itself.
    unasked: Unasked,
    /// Where its clients come from.
    pub(super) sources: Sources,
    /// Whom the server may count.
    pub(super) guests: Guests,
    /// The sockets on which a server listened that somebody else has started.
    listening: RefCell<Vec<u32>>,
    pub(super) exit_watch: Option<JoinHandle<()>>,
    /// The memory of each process at the baseline.
    pub(super) memory: HashMap<i32, Memory>,
    pub(super) ends: Ends,
    /// It was seen to listen at the beginning.
    listened: Cell<bool>,
    ends_watch: Option<JoinHandle<()>>,
    pub(super) began: Instant,
    /// What no server of the trial may print.
    pub(super) forbidden: RefCell<Vec<Vec<u8>>>,
    pub(super) baseline_delay: Duration,
    /// The same of the backends.
    baseline_delay_behind: Duration,
    /// What the server does with no client there.
    pub(super) idleness: Idleness,
    /// It is known that it does not come to rest: nobody waits for that.
    pub(super) is_known_to_be_busy: bool,
    /// The counters of the lab's network at the beginning of the transcript.
    counters: Counters,
    pub(super) looks: Cell<Poll>,
    /// What the backends were at when it was looked last.
    pub(super) behind: RefCell<LookBehind>,
    /// The datagrams that were dropped on their way to backends.
    drops_behind: RefCell<DropsBehind>,
    /// The backends that run of which a step has awaited the end.
    pub(super) awaited_ends: RefCell<HashSet<String>>,
    /// The processes in the lab.
    pub(super) watched: RefCell<Watched>,
    /// When what the kernel holds for the server is noted next.
    pub(super) spacing: Cell<Spacing>,
}

impl Observer {
    pub(super) fn of(
        (server, backends): (Server, Backends),
        unasked: &Unasked,
        lab: Arc<Lab>,
        turn: Turn,
    ) -> Self {
        let recorder = Recorder::new(unasked);
        Self {
            watched: RefCell::new(Watched::below(lab.supervisor().pid())),
            ends: Ends::new(Arc::clone(&lab), recorder.clone()),
            ends_watch: None,
            listened: Cell::default(),
            turn,
            lab,
            listens_at: Rc::new(RefCell::new(server.address().clone())),
            server: Some(server),
            backends,
            recorder,
            unasked: unasked.clone(),
            sources: Sources::default(),
            guests: Guests::default(),
            listening: RefCell::default(),
            exit_watch: None,
            memory: HashMap::new(),
            began: Instant::now(),
            forbidden: RefCell::default(),
            baseline_delay: Duration::ZERO,
            baseline_delay_behind: Duration::ZERO,
            idleness: Idleness::default(),
            is_known_to_be_busy: false,
            counters: Counters::default(),
            looks: Cell::default(),
            behind: RefCell::default(),
            drops_behind: RefCell::default(),
            awaited_ends: RefCell::default(),
            spacing: Cell::default(),
        }
    }

    /// Begins a transcript.
    pub(super) fn begin(&mut self) {
        self.recorder = Recorder::new(&self.unasked);
        self.spacing.take();
        self.began = Instant::now();
        self.forbidden.borrow_mut().clear();
        self.ends = Ends::new(Arc::clone(&self.lab), self.recorder.clone());
        self.begin_backends();
        self.baseline_delay_behind = self.backends.longest_delay();
        self.begin_life();
        // What happened before is no less true for having been seen by nobody.
        self.ends.record_crashes();
        self.ends_watch = self.ends.watch();
        self.watch_exit();
        self.drops_behind.replace(self.backends.drops());
        self.counters = Counters::of(self.lab.supervisor().pid());
        self.lab.destroy_events();
    }

    /// Writes down that the server runs, before anybody has spoken to it.
    pub(super) fn begin_life(&self) {
        if let Some(server) = &self.server {
            let Some(pid) = server.pid() else {
                self.listening.replace(server.sockets());
                return self.record_server(ServerEvent::Elsewhere);
            };
            self.record_server(ServerEvent::Started { pid });
            for text in self.forbidden.borrow().iter() {
                server.process().map(|process| process.forbid(text));
            }
            self.ends.begin(pid, &server.processes());
            self.listened.set(self.is_reachable());
        }
    }

    /// Ends the transcript.
    pub(super) fn end(&mut self) -> Transcript {
        self.ends.record();
        self.record_replacement();
        self.record_background();
        self.prove_backends();
        self.record_counters();
        self.record_room();
        self.note_last_figures();
        for watch in [self.exit_watch.take(), self.ends_watch.take()] {
            watch.inspect(JoinHandle::abort);
        }
        self.recorder.take()
    }

    /// The server was started again: whoever connects from now on goes where it listens now.
    pub(super) fn goes_on_as(&mut self, server: Server) {
        self.listens_at.replace(server.address().clone());
        self.server = Some(server);
    }

    /// The server, while one runs.
    pub(super) fn server(&self) -> Option<&Server> {
        self.server
            .as_ref()
            .filter(|server| server.exit().is_none())
    }

    /// Ends what still runs of the server, and waits until the kernel has let go of its listening socket. Returns for how long
    /// that was in vain, where it was.
    pub(super) async fn end_server(&mut self) -> Option<Duration> {
        let place = self.server.as_ref().map(Server::port_in_its_table);
        drop(self.server.take());
        self.until_free(place.flatten()).await
    }

    /// The same of a server of which nothing is left.
    pub(super) async fn until_let_go(&self) -> Option<Duration> {
        let place = self
            .server
            .as_ref()
            .filter(|_| self.living().next().is_none());
        self.until_free(place.and_then(Server::port_in_its_table))
            .await
    }

    async fn until_free(&self, place: Option<(Table, u16)>) -> Option<Duration> {
        let (table, port) = place?;
        let begun = Instant::now();
        let mut looks = 0;
        while self.lab.diag().is_bound(table, port) {
            if begun.elapsed() > LET_GO_WITHIN {
                self.record_server(ServerEvent::NotLetGo(begun.elapsed()));
                return Some(begun.elapsed());
            }
            looks += 1;
            // The kernel announces sockets that die when their memory is given back, and not that an address is free.
            tokio::time::sleep(LOOK_SOON).await;
        }
        if looks > 0 {
            self.record_server(ServerEvent::LetGo(begun.elapsed()));
        }
        None
    }

    /// The processes of the server, those among them that have ended and were not waited for too.
    pub(super) fn processes(&self) -> Vec<Process> {
        self.server
            .as_ref()
            .map(Server::processes)
            .unwrap_or_default()
    }

    /// The processes of the server that have not ended.
    pub(super) fn living(&self) -> impl Iterator<Item = Process> {
        let processes = self.processes().into_iter();
        processes.filter(|process| !process.is_zombie())
    }

    /// The sockets that each process of the server has.
    pub(super) fn sockets_of_each(&self) -> HashMap<i32, HashSet<u32>> {
        let sockets = |process: Process| (process.pid, process.descriptors().sockets().collect());
        self.living().map(sockets).collect()
    }

    pub(super) fn count_workers(&self) {
        let workers = self.living().map(|process| process.threads + 1).sum();
        self.record_server(ServerEvent::Workers(workers));
    }

    pub(super) fn record(&self, what: What) {
        self.recorder.record(what);
    }

    pub(super) fn record_server(&self, event: ServerEvent) {
        self.record(What::Server(event));
    }

    pub(super) fn watch_exit(&mut self) {
        if let Some(old) = self.exit_watch.take() {
            old.abort();
        }
        let Some(process) = self.server.as_ref().and_then(Server::process) else {
            return;
        };
        let mut ended = process.exit_receiver();
        let answerer = process.answerer().cloned();
        let recorder = self.recorder.clone();
        self.exit_watch = Some(tokio::task::spawn_local(async move {
            if let Ok(exit) = ended.wait_for(Option::is_some).await
                && let Some(exit) = *exit
            {
                // What its calls have had came before.
                answerer.inspect(|answerer| record_given(answerer, &recorder));
                recorder.record(What::Server(ServerEvent::Exited(exit)));
            }
        }));
    }

    /// A client may see the end of its connection before the wait status of the server has come through.
    pub(super) async fn wait_for_the_dying(&mut self) {
        let Some((server, process)) = self
            .server
            .as_ref()
            .and_then(|server| Some((server, server.process()?)))
        else {
            return;
        };
        let has_served = self
            .recorder
            .with(|transcript| transcript.sample(Moment::After).is_some());
        // One that lives is the usual case.
        let has_ended = tokio::select! {
            _ = process.ended() => true,
            () = self.shows_that_it_lives(server, has_served) => false,
        };
        // Who writes its end down may be told of it a moment later than we.
        if has_ended && let Some(watch) = self.exit_watch.take() {
            let _ = watch.await;
        }
    }

    /// Returns once nothing says any more that the server is on its way out. An exception that goes through a program
    /// closes its sockets long before the process has ended.
    async fn shows_that_it_lives(&self, server: &Server, has_served: bool) {
        let begun = Instant::now();
        let mut rest = RestDetector::default();
        loop {
            let listens = || server.transport().is_datagram() || self.listener().is_some();
            // A worker that nobody waits for says nothing of a server whose socket is still there.
            let is_told_by = |ended: &Process| -> bool {
                Some(ended.pid) == server.pid()
                    || server.transport().is_datagram()
                    || self.listener().is_none()
            };
            let processes = server.processes();
            let mut ended = processes.iter().filter(|process| process.is_zombie());
            let is_dying = server.exit().is_some() || ended.any(is_told_by);
            let grace = match is_dying {
                // Who has waited for the last of it has yet to get a processor to say so.
                _ if processes.is_empty() => LOOK_ON_FOR,
                true => STEP_WITHIN,
                // It has served somebody since, and come to rest.
                false if has_served => return,
                // Without its listening socket a server is as a rule on its way out.
                false if rest.take(Instant::now(), self.stillness()) && listens() => return,
                false => MAY_DIE_WITHIN,
            };
            if begun.elapsed() > grace {
                return;
            }
            // Its end interrupts this; of its life nothing tells but another look.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Writes down that the server lives without its listening socket, once it has had its time to open it again; one that
    /// may have been told to end has none to open.
    pub(super) async fn record_deafness(&self, may_end: bool) {
        let begun = Instant::now();
        let first_look = self.looks.get().number;
        while self.listened.get() && self.server().is_some() && !self.is_reachable() {
            let will_not = self.is_settled(first_look, LOOKS_TO_BLAME);
            let waited = begun.elapsed();
            let may_still = self.may_still_act();
            if may_end || will_not || waited > RETURN_WITHIN && !may_still {
                return self.record_server(ServerEvent::NoLongerListens);
            }
            if waited > LOOK_ON_FOR {
                return self.record_server(ServerEvent::ListensNotYet(LOOK_ON_FOR));
            }
            if waited > RETURN_WITHIN {
                self.turn.step_aside();
            }
            // Nothing announces that a server listens again, and its end is no less an end for being seen a moment later.
            tokio::time::sleep(self.between_looks()).await;
        }
    }

    /// Whether the server's listening socket is there, or the one that its datagrams come to.
    fn is_reachable(&self) -> bool {
        let Some(server) = &self.server else {
            return false;
        };
        match (server.transport().is_datagram(), server.address()) {
            (false, _) => self.listener().is_some(),
            (true, Address::Inet(address)) => self.lab.diag().has_udp(address.port()),
            (true, Address::Path(_)) => !server.at_path().is_empty(),
        }
    }

    /// Writes down what moved. What a counter of the plain host shows may be anybody's, so that it is noted there only
    /// where it can excuse a server.
    pub(super) fn record_counters(&self) {
        let mut moved = Counters::of(self.lab.supervisor().pid()).since(&self.counters);
        // What was dropped on its way to a backend is nothing that a client has to do without.
        self.count_drops_behind();
        let behind = self.drops_behind.borrow().datagrams();
        let of_buffers = moved.iter_mut();
        for (_, dropped) in of_buffers.filter(|(name, _)| name == RECEIVE_BUFFER_ERRORS) {
            *dropped = dropped.saturating_sub(behind);
        }
        moved.retain(|(_, by)| *by > 0);
        moved.retain(|(name, _)| self.lab.is_private() || name == RECEIVE_BUFFER_ERRORS);
        self.record(What::Counters(moved));
    }

    /// Counts what was dropped on its way to backends, while their sockets are there.
    pub(super) fn count_drops_behind(&self) {
        self.backends
            .count_drops(&mut self.drops_behind.borrow_mut());
    }

    /// Writes down that none of the sockets on which a server of somebody else has listened is there, and others are: it was started again.
    fn record_replacement(&self) {
        let before = self.listening.borrow();
        let now = self.server.as_ref().filter(|server| server.is_elsewhere());
        let now = now.map(Server::sockets).unwrap_or_default();
        let is_another = !now.iter().any(|inode| before.contains(inode));
        if is_another && !now.is_empty() && !before.is_empty() {
            self.record_server(ServerEvent::Replaced);
        }
    }

    /// Writes down that a server has left its first process behind, which is an end that nobody asked for and no failure: another
    /// process, in a session of its own, is there while the socket listens (daemon(3)). Who is forked for a client alone stays in that
    /// of the first one.
    fn record_background(&self) {
        let exit = self.server.as_ref().and_then(|server| server.exit());
        if exit == Some(Exit::Status(0)) && self.is_reachable() && self.has_left_its_session() {
            self.record_server(ServerEvent::InBackground);
        }
    }

    fn has_left_its_session(&self) -> bool {
        let first = self.server.as_ref().and_then(Server::pid);
        let supervisor = self.lab.supervisor().pid();
        let mut others = tree_of(supervisor)
            .into_iter()
            .filter(|process| process.pid != supervisor && !process.is_zombie());
        others.any(|process| {
            let session = Pid::from_raw(process.pid).and_then(|pid| getsid(Some(pid)).ok());
            session.is_some_and(|session| Some(session.as_raw_nonzero().get()) != first)
        })
    }

    /// Writes down that a server found no more room in its lab's layer: what it did for that reason is not its fault.
    pub(super) fn record_room(&self) {
        if let Some(bytes) = self.lab.full_layer() {
            let mib = bytes >> 20;
            let evidence = format!(
                "all {mib} MiB that the servers of a lab may write are used; `[lab] writes = \"host\"` in the target gives it \
                 the host's own files"
            );
            self.recorder.disprove_once(Fault::Room, evidence);
        }
    }

    pub(super) fn record_output(&self) {
        if let Some(server) = &self.server {
            self.record_printed(server.take_output());
            let forbidden = server.process().map(|process| process.printed_forbidden());
            for text in forbidden.unwrap_or_default() {
                self.record_server(ServerEvent::Printed(text));
            }
        }
    }

    /// Writes down what a server has printed, and how many bytes of it were cut off.
    pub(super) fn record_printed(&self, (output, cut_bytes): (Vec<u8>, u64)) {
        if !output.is_empty() {
            self.record_server(ServerEvent::Output(output));
        }
        if cut_bytes > 0 {
            self.record_server(ServerEvent::OutputCut(cut_bytes));
        }
    }

    /// Writes down the bursts of lines and the alarms that have come; of one that has not ended more may come, until `all` is over.
    pub(super) fn record_alarms(&self, all: bool) {
        let server = self.server.as_ref();
        let alarms = server.map(|server| server.take_alarms(all));
        for (at, alarm) in alarms.unwrap_or_default() {
            let began = at.checked_duration_since(self.began);
            let alarm = Box::new(alarm);
            self.record_server(ServerEvent::Alarm { alarm, began });
        }
        let bursts = server.map(|server| server.take_bursts());
        for Burst { began, lines } in bursts.unwrap_or_default() {
            // What came before the transcript is nothing of what it tells of.
            if let Some(began) = began.checked_duration_since(self.began) {
                self.record_server(ServerEvent::Burst { began, lines });
            }
        }
    }

    /// Who answers calls of the server, where somebody holds them up.
    pub(super) fn answerer(&self) -> Option<&Answerer> {
        let process = self.server.as_ref().and_then(|server| server.process());
        process.and_then(|process| process.answerer())
    }

    /// Leaves all calls of the server to the kernel again. A rare answer that no call has had proves nothing.
    pub(super) fn end_answers(&self) {
        let ended = self.answerer().map(Answerer::end);
        self.record_answers();
        for (answer, tally) in ended.unwrap_or_default() {
            if answer.if_any && tally.given == 0 {
                continue;
            }
            let step = format!("server {}", answer.form());
            let had_none_to_shorten = answer.is_of_bytes() && tally.given == 0;
            let fault = match tally.eligible < answer.first() || had_none_to_shorten {
                true => Fault::Called(step),
                false => Fault::Step(step),
            };
            self.prove(fault, tally.given > 0, &self.evidence_of(answer, tally));
        }
    }

    /// What came of a rare answer.
    fn evidence_of(&self, answer: RareAnswer, tally: Tally) -> String {
        let Tally {
            unseen,
            calls,
            eligible,
            given,
        } = tally;
        match (calls, eligible, given) {
            (_, 1.., 1..) => {
                let source = answer.source();
                format!("{given} of {eligible} such calls were answered so ({source})")
            }
            (_, 1.., 0) => format!(
                "of {eligible} such calls none asked for more, or was the one that is meant"
            ),
            (1.., 0, _) => {
                format!("the kernel would not have answered so any of its {calls} such calls")
            }
            (0, 0, _) if unseen > 0 => {
                format!(
                    "nobody may look into the {unseen} such calls that the server made (ptrace(2))"
                )
            }
            (0, 0, _) => {
                let threads = occupations(&self.processes()).join(", ");
                format!("the server made no such call; by now {threads}")
            }
        }
    }

    /// Writes down which calls of the server have had a rare answer.
    pub(super) fn record_answers(&self) {
        if let Some(answerer) = self.answerer() {
            record_given(answerer, &self.recorder);
        }
    }

    /// A reset is seen by the client a moment before the kernel has told of the socket that sent it.
    pub(super) async fn await_destroy_event(&self, id: ClientId) {
        for _ in 0..10 {
            self.record_destroyed_sockets();
            let reset = self.recorder.client_states().of(id).ended()
                == Some(crate::model::expectation::End::Reset);
            if !reset || self.recorder.client_states().of(id).is_destroyed() {
                return;
            }
            tokio::time::sleep(LOOK_SOON).await;
        }
    }

    /// Writes down what the kernel tells of the server's sockets that died, each with its client.
    pub(super) fn record_destroyed_sockets(&self) {
        for dead in self.lab.destroy_events() {
            let client = self.recorder.client_states().client_at(dead.remote);
            if let Some(id) = client.filter(|_| Some(dead.local.port()) == self.port()) {
                let event = ClientEvent::ServerSocketDestroyed {
                    lost_bytes: dead.lost_bytes,
                    delivered_bytes: dead.delivered_bytes,
                };
                self.record(What::Client(id, event));
            }
        }
    }

    /// Writes down how long we, or a thread of the server that was ready to run, did not get a processor.
    pub(super) fn record_starvation(&self) {
        let ours = own_delay::delay_since(self.began);
        let theirs = self
            .stillness()
            .longest_delay
            .saturating_sub(self.baseline_delay);
        let behind = self.backends.longest_delay();
        let behind = behind.saturating_sub(self.baseline_delay_behind);
        let starved = ours.max(theirs).max(behind);
        if starved > DELAY_WORTH_RECORDING {
            self.record(What::Starved(starved));
        }
        let missed = |what: &What| {
            matches!(
                what,
                What::StepEnded {
                    how: Ended::OutOfTime(_),
                    ..
                }
            )
        };
        if self
            .recorder
            .with(|transcript| transcript.events.iter().any(|event| missed(&event.what)))
        {
            self.record(What::Calibrated(calibration::slowest_round_trip()));
        }
    }

    pub(super) fn prove(&self, fault: Fault, shown: bool, evidence: &str) {
        self.recorder.prove(fault, shown, evidence);
    }
}

/// Writes down which calls have had a rare answer.
fn record_given(answerer: &Answerer, recorder: &Recorder) {
    for given in answerer.take_given() {
        let answer = given.answer;
        let with = match (answer.with, given.asked_for) {
            (With::Error(error), _) => error.name.to_owned(),
            (With::AtMost(bytes), asked_for) => {
                let asked_for = Size(asked_for.unwrap_or(bytes));
                format!("{} of {asked_for}", Size(bytes))
            }
        };
        recorder.record(What::Server(ServerEvent::Answered {
            call: given.call.to_owned(),
            of: name_in(Of::ALL, answer.of).to_owned(),
            with,
            nth: given.nth,
            thread: given.thread,
        }));
    }
}
