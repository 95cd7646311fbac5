//! From a case to a scenario: what the profile does not allow is left out, and what each client is owed is worked out.

use super::rules::{Kind, Rules};
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::dialogue::ClientSteps;
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::need::Need;
use crate::model::profile::{Exchange, HalfClose, Model, Rule, Speech, Transport};
use crate::model::scenario::{ClientGroup, Line, Scenario, Step};
use crate::model::server_action::{ServerAction, Streams};
use crate::model::system_call::RareAnswer;
use crate::model::template::Template;
use std::collections::BTreeSet;
use std::time::Duration;

/// What clients might do, before anything is known of the server.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// The part of each client.
    pub(super) plans: Vec<ClientPlan>,
    /// Where in the case the server is stopped, as a share of it, and for how many steps.
    pub(super) freeze: Option<(u8, u8)>,
    /// Where in the case, as a share of the places for it, the server is ended and started again.
    pub(super) restart: Option<u8>,
    /// What the kernel answers calls of the server with meanwhile.
    pub(super) answers: Vec<RareAnswer>,
}

/// What one client does.
#[derive(Clone, Debug)]
pub(super) struct ClientPlan {
    /// Its connections, one after the other.
    pub(super) connections: Vec<Connection>,
    /// How much later than the step before each of its steps comes, in turns; not at all where nothing is said.
    pub(super) gaps: Vec<u8>,
}

/// A connection from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) connect: ConnectKind,
    pub(super) messages: Vec<Message>,
    /// Something that is begun and left unfinished before the client leaves.
    pub(super) unfinished: Option<usize>,
    /// Everything is said once more, the last first, as a network that doubles and swaps datagrams does.
    pub(super) again: bool,
    pub(super) close: CloseKind,
}

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectKind {
    Plain,
    SmallBuffer,
    SmallSegments,
    /// From the port of the connection before, where that was reset.
    SamePort,
}

/// Something that a client says.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) content: Content,
    /// How many bytes, the delimiter included.
    pub(super) size: usize,
    pub(super) seed: u64,
    /// How often it follows itself in the same breath.
    pub(super) times: u32,
    pub(super) segmentation: Segmentation<Spot>,
    pub(super) waiting: Waiting,
}

/// What bytes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Letters,
    Noise,
    Nul,
    NoText,
    MultiByte,
    Delimiters,
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    Start(usize),
    End(usize),
    Share(u16),
    Power(u32),
}

/// How a client deals with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Waits for it.
    Hear,
    /// Goes on, and waits for it later.
    GoOn,
    /// Does not read until others have had their turn.
    Stall,
    /// Reads it slowly.
    Slow,
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseKind {
    /// With everything that it is owed.
    Close,
    /// Half-closes, and stays for what it is owed and for the end.
    HalfClose,
    /// By a reset, without hearing the last answer.
    Reset,
    /// By a close, without hearing the last answer.
    Abrupt,
}

/// What may be on its way to a client that does not wait for it. It fits the buffers of the kernel, so that a server
/// that reads and writes in turn does not come to a stop.
const UNHEARD_BYTES: usize = 24 << 10;

/// What is sent while the server is stopped, or to a client that does not read, without being sent in the background.
const PILED_BYTES: usize = 8 << 10;

/// Payloads on connections with small buffers or segments, which take long.
const SMALL_WAY_BYTES: usize = 64 << 10;

/// The largest payload of a UDP datagram over IPv4 (udp(7)).
const LARGEST_DATAGRAM: usize = 65_507;

/// What a datagram may have at most for its loss to be held against the server: every buffer holds it (RFC 1035,
/// section 2.3.4, asks for no more).
const SURE_DATAGRAM: usize = 512;

/// What a datagram may have at most for others to wait beside it in a receive buffer of the usual size.
const SMALL_DATAGRAM: usize = 2 << 10;

/// How long is waited for a reply that need not come, where the kernel does not show that none will.
const MAY_BE_SILENT: Duration = Duration::from_millis(500);

/// How many segments a message is divided into at most; each waits for the server.
const MOST_SEGMENTS: usize = 48;

/// The names of the clients.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];

impl Rules<'_> {
    /// The scenario of some cases, one after the other on the same server.
    pub(super) fn batch(&self, name: &str, cases: &[Case]) -> Scenario {
        // What failed tells by its line to which case it belongs.
        let numbered = |(number, case)| {
            let steps = self.lines(case).into_iter();
            steps.map(move |line: Line| Line { number, ..line })
        };
        let lines: Vec<Line> = (1..).zip(cases).flat_map(numbered).collect();
        let acts = |who: &usize| {
            lines
                .iter()
                .any(|line| matches!(line.step, Step::Client { who: acting, .. } if acting == *who))
        };
        let last = (0..NAMES.len()).rev().find(acts).unwrap_or(0);
        let clients = NAMES[..=last].iter().map(|name| ClientGroup {
            name: (*name).to_owned(),
            members: 1,
        });
        Scenario {
            name: name.to_owned(),
            clients: clients.collect(),
            waived: Vec::new(),
            lines,
        }
    }

    fn lines(&self, case: &Case) -> Vec<Line> {
        let most = match self.is_one_connection() {
            true => 1,
            false => self.room().min(NAMES.len()),
        };
        let plans = case.plans.iter().take(most).enumerate();
        let lines = plans.flat_map(|(who, plan)| {
            let lines = self.plan(who, &plan.connections).into_iter();
            lines.zip(moments(&plan.gaps))
        });
        let mut lines: Vec<(Line, u32)> = lines.collect();
        if self.subject.profile.serves_concurrently() {
            // The sort is stable: the steps of a client, and those of the same moment, keep their order.
            lines.sort_by_key(|(_, moment)| *moment);
        }
        let together: Vec<Line> = lines.into_iter().map(|(line, _)| line).collect();
        let answers = self.answers(case);
        let restored = (!answers.is_empty()).then_some(ServerAction::RestoreCalls);
        let of_server = |action| Line::from(Step::Server(action));
        let (answers, restored) = (answers.into_iter().map(of_server), restored.map(of_server));
        let together = answers.chain(together).chain(restored).collect();
        let together = match case.restart {
            Some(at) => self.restart(together, at),
            None => together,
        };
        match case.freeze {
            Some((at, steps)) => self.freeze(together, at, steps.into()),
            None => together,
        }
    }

    /// The rare answers of a case. Of the other transports neither the edges nor the ends can be told.
    fn answers(&self, case: &Case) -> Vec<ServerAction> {
        let may = self.subject.place.transport == Transport::Tcp
            && Need::ANSWERED_CALLS.unmet(self.subject).is_none();
        let answers = case.answers.iter().filter(move |_| may);
        answers.copied().map(ServerAction::Answer).collect()
    }

    /// How many clients the server has room for, beside one that stands by.
    fn room(&self) -> usize {
        let most = self.subject.profile.promises.most();
        let room = most.map(|most| most - u32::from(self.subject.bystander));
        room.map_or(usize::MAX, |room| room as usize)
    }

    fn plan(&self, who: usize, connections: &[Connection]) -> Vec<Line> {
        let most = if self.is_one_connection() {
            1
        } else {
            connections.len()
        };
        let mut lines = Vec::new();
        let mut was_reset = false;
        for connection in &connections[..most.min(connections.len())] {
            let options = self.connect_options(connection.connect, was_reset);
            let mut speaker = Speaker::new(self, who, options);
            speaker.connection(connection);
            was_reset = speaker.was_reset;
            lines.extend(speaker.steps.lines());
        }
        lines
    }

    fn connect_options(&self, connect: ConnectKind, was_reset: bool) -> ConnectOptions {
        let mut options = ConnectOptions::default();
        if self.subject.place.transport == Transport::Tcp {
            match connect {
                ConnectKind::Plain => {}
                ConnectKind::SmallBuffer => options.receive_buffer = Some(4 << 10),
                ConnectKind::SmallSegments => options.segment_size = Some(88),
                // After an orderly end the port is in TIME_WAIT, and our own host refuses it; with the port comes the address.
                ConnectKind::SamePort => {
                    let may = !self.subject.profile.promises.penalises_addresses();
                    options.same_port = was_reset && may;
                }
            }
        }
        options
    }

    /// Ends the server as it promises to be ended, and starts it again, at a moment when nobody is connected.
    fn restart(&self, mut lines: Vec<Line>, at: u8) -> Vec<Line> {
        let stop = self.subject.profile.promises.stop;
        let Some(stop) = stop.filter(|_| self.can_restart()) else {
            return lines;
        };
        let places = without_clients(&lines);
        let at = places[usize::from(at) * places.len() / 256];
        let exit = ServerAction::Expect {
            what: ServerExpectation::Exit(None),
            within: Some(stop.within),
        };
        let steps = [
            ServerAction::Signal(stop.signal),
            exit,
            ServerAction::Start(Streams::Usual),
        ];
        lines.splice(at..at, steps.map(|step| Step::Server(step).into()));
        lines
    }

    /// Stops the server around some steps for which it need not run: it then finds all at once what they have done.
    fn freeze(&self, mut lines: Vec<Line>, at: u8, steps: usize) -> Vec<Line> {
        if self.subject.place.transport == Transport::UnixDatagram || self.subject.is_elsewhere {
            return lines;
        }
        let from = usize::from(at) * lines.len() / 256;
        let mut piled = 0;
        let queue = self.subject.place.backlog.unwrap_or(1).max(1) as usize;
        // Where nothing is known of the queue it is taken to be full.
        let mut dialled = not_accepted(&lines[..from]).unwrap_or(queue);
        let mut goes_on = |line: &Line| match &line.step {
            Step::Client { action, .. } => match action {
                Action::Send {
                    data,
                    background: false,
                    ..
                } => {
                    piled += data.length();
                    piled <= PILED_BYTES
                }
                // A socket for datagrams needs nothing of the server.
                Action::Connect(_) if self.kind == Kind::Datagram => true,
                Action::Connect(_) => {
                    dialled += 1;
                    dialled <= queue && !self.subject.place.transport.is_local()
                }
                Action::HalfClose | Action::Reset | Action::Close => true,
                _ => false,
            },
            _ => false,
        };
        let run = lines[from..].iter().take(steps);
        let run = run.take_while(|line| goes_on(line)).count();
        if run == 0 {
            return lines;
        }
        for line in &mut lines[from..from + run] {
            // A server that does not run reads no segment, so that none can wait for it.
            if let Step::Client {
                action:
                    Action::Send {
                        segmentation,
                        as_records,
                        ..
                    },
                ..
            } = &mut line.step
            {
                (*segmentation, *as_records) = (Segmentation::Whole, false);
            }
        }
        lines.insert(from + run, Step::Server(ServerAction::Continue).into());
        lines.insert(from, Step::Server(ServerAction::Stop).into());
        lines
    }

    fn model(&self) -> Option<Model> {
        self.subject.profile.model()
    }

    fn half_close(&self) -> Option<HalfClose> {
        self.subject.profile.promises.half_close
    }

    fn can_restart(&self) -> bool {
        // What becomes of the path of a Unix socket is for the family local.
        let is_local = self.subject.place.transport.is_local();
        !self.is_one_connection() && !is_local && !self.subject.is_elsewhere
    }

    fn can_reset(&self) -> bool {
        self.subject.place.transport == Transport::Tcp && !self.is_one_connection()
    }
}

/// How many connections the server may have left in its queue; `None` where nothing shows that it has accepted any. It
/// accepts in the order in which they came (accept(2)), so that an answer to one tells of all before it.
fn not_accepted(lines: &[Line]) -> Option<usize> {
    let (mut connected, mut accepted) = (0, None);
    let mut latest = [0; NAMES.len()];
    for line in lines {
        match &line.step {
            Step::Client {
                who,
                action: Action::Connect(_),
            } => {
                connected += 1;
                latest[*who] = connected;
            }
            Step::Client {
                who,
                action: Action::Expect { .. },
            } => accepted = accepted.max(Some(latest[*who])),
            // It has a queue of its own.
            Step::Server(ServerAction::Start(_)) => accepted = Some(connected),
            _ => {}
        }
    }
    accepted.map(|accepted| connected - accepted)
}

/// The places between lines, the first and the last included, at which no client is connected.
fn without_clients(lines: &[Line]) -> Vec<usize> {
    let mut connected = BTreeSet::new();
    let mut places = vec![0];
    for (line, place) in lines.iter().zip(1..) {
        match &line.step {
            Step::Client {
                who,
                action: Action::Close | Action::Reset,
            } => drop(connected.remove(who)),
            Step::Client { who, .. } => drop(connected.insert(*who)),
            _ => {}
        }
        if connected.is_empty() {
            places.push(place);
        }
    }
    places
}

/// When the steps of a client come, in turns from the beginning of the case.
fn moments(gaps: &[u8]) -> impl Iterator<Item = u32> {
    let gaps = gaps.iter().copied().chain(std::iter::repeat(0));
    gaps.scan(0, |moment, gap| {
        *moment += u32::from(gap);
        Some(*moment)
    })
}

/// A client in the making: what it says, and what it is owed for it.
struct Speaker<'a> {
    rules: &'a Rules<'a>,
    steps: ClientSteps,
    options: ConnectOptions,
    /// What it is owed and has not waited for.
    owed: Vec<Owed>,
    owed_bytes: usize,
    /// A request was cut, so that a server that closes after its answer may do so before the rest has come.
    was_cut: bool,
    /// It does not read at full speed.
    is_held: bool,
    /// It reads, but slowly.
    is_slow: bool,
    was_reset: bool,
}

/// An answer that is owed.
struct Owed {
    what: Expectation,
    within: Option<Duration>,
}

impl<'a> Speaker<'a> {
    fn new(rules: &'a Rules<'a>, who: usize, options: ConnectOptions) -> Self {
        Self {
            rules,
            steps: ClientSteps::of(who),
            options,
            owed: Vec::new(),
            owed_bytes: 0,
            was_cut: false,
            is_held: false,
            is_slow: false,
            was_reset: false,
        }
    }

    fn then(&mut self, action: Action) {
        let steps = std::mem::replace(&mut self.steps, ClientSteps::of(0));
        self.steps = steps.then(action);
    }

    fn send(&mut self, data: Data, segmentation: Segmentation, background: bool) {
        let as_records = self.rules.subject.speaks_tls() && segmentation != Segmentation::Whole;
        self.then(Action::Send {
            data,
            segmentation,
            every: None,
            as_records,
            background,
        });
    }

    fn expect(&mut self, what: Expectation) {
        self.then(Action::Expect { what, within: None });
    }

    fn owe(&mut self, what: Expectation, within: Option<Duration>, bytes: usize) {
        self.owed.push(Owed { what, within });
        self.owed_bytes += bytes;
    }

    /// Waits for all that is owed; a client that reads slowly goes on doing so until it has it.
    fn hear(&mut self) {
        if self.is_held && !self.is_slow && !self.owed.is_empty() {
            self.read();
        }
        for Owed { what, within } in std::mem::take(&mut self.owed) {
            self.then(Action::Expect { what, within });
        }
        self.owed_bytes = 0;
        if self.is_held {
            self.read();
        }
    }

    fn read(&mut self) {
        self.then(Action::Read(None));
        (self.is_held, self.is_slow) = (false, false);
    }

    fn stall(&mut self) {
        self.hear();
        self.then(Action::Stall);
        self.is_held = true;
    }

    fn connection(&mut self, connection: &Connection) {
        self.then(Action::Connect(self.options.clone()));
        let steps = std::mem::replace(&mut self.steps, ClientSteps::of(0));
        self.steps = steps.secured(self.rules.subject);
        match self.rules.kind {
            Kind::Stream | Kind::Line => self.converse(connection),
            Kind::Datagram => self.throw(connection),
            Kind::Exchange => self.exchange(connection),
        }
    }

    /// How the client leaves, where the rules do not allow what was drawn.
    fn close(&self, connection: &Connection) -> CloseKind {
        match connection.close {
            CloseKind::Reset | CloseKind::Abrupt if self.rules.is_one_connection() => {
                CloseKind::Close
            }
            CloseKind::Reset if !self.rules.can_reset() => CloseKind::Abrupt,
            CloseKind::HalfClose if self.rules.half_close().is_none() => CloseKind::Close,
            other => other,
        }
    }

    /// A conversation with a server that has a model for bytes or lines.
    fn converse(&mut self, connection: &Connection) {
        let Some(model) = self.rules.model() else {
            return;
        };
        let close = self.close(connection);
        let closes = self.rules.subject.profile.closes_after_exchange();
        let most = if closes { 1 } else { connection.messages.len() };
        let messages = &connection.messages[..most.min(connection.messages.len())];
        for (n, message) in messages.iter().enumerate() {
            let data = self.payload(message);
            let is_unheard =
                n + 1 == messages.len() && matches!(close, CloseKind::Reset | CloseKind::Abrupt);
            // Bytes have no end, so that such a server may answer whatever it has read first.
            let segmentation = match closes && self.rules.kind == Kind::Stream {
                true => Segmentation::Whole,
                false => message.segmentation.of_bytes(data.length()),
            };
            self.say(message.waiting, model, data, segmentation, is_unheard);
        }
        let mut is_unfinished = false;
        if let (Kind::Line, Some(size)) = (self.rules.kind, connection.unfinished) {
            if close == CloseKind::Close {
                self.hear();
            }
            // Who does not read may not be able to send either.
            if !closes && !self.is_held {
                is_unfinished = true;
                // A line that is longer than the longest has been too long before it is whole.
                let most = model.at_most(PILED_BYTES + 1) - 1;
                self.send(
                    text(size.clamp(1, most), 7, false),
                    Segmentation::Whole,
                    false,
                );
            }
        }
        self.leave(close, model.rule == Rule::Discard, is_unfinished);
    }

    fn say(
        &mut self,
        waiting: Waiting,
        model: Model,
        data: Data,
        segmentation: Segmentation,
        is_unheard: bool,
    ) {
        let bytes = data.length();
        let Some(reply) = model.reply(&data) else {
            return self.send(data, segmentation, false);
        };
        let reply = Expectation::Data(reply);
        match waiting {
            Waiting::Hear | Waiting::GoOn => {
                let unheard = model.may_wait(UNHEARD_BYTES);
                if waiting == Waiting::Hear || self.owed_bytes + bytes > unheard {
                    self.hear();
                }
                // Who leaves without the answer need not wait until all is sent.
                match is_unheard && bytes > unheard {
                    true => self.send(data, Segmentation::Whole, true),
                    false => self.send(data, segmentation, false),
                }
                self.owe(reply, None, bytes);
                let waits = waiting == Waiting::Hear || self.owed_bytes > unheard;
                if waits && !is_unheard {
                    self.hear();
                }
            }
            Waiting::Stall => {
                self.stall();
                self.send(data, Segmentation::Whole, bytes > PILED_BYTES);
                self.owe(reply, Some(PATIENCE), bytes);
            }
            Waiting::Slow => {
                self.hear();
                let rate = ReadRate {
                    bytes: (bytes / 64).max(512),
                    every: Duration::from_millis(1),
                };
                self.then(Action::Read(Some(rate)));
                (self.is_held, self.is_slow) = (true, true);
                self.send(data, Segmentation::Whole, true);
                self.owe(reply, Some(PATIENCE), bytes);
            }
        }
        if self.is_held && !is_unheard {
            self.hear();
        }
    }

    /// The end of a connection.
    fn leave(&mut self, close: CloseKind, is_discard: bool, is_unfinished: bool) {
        let closes = self.rules.subject.profile.closes_after_exchange();
        let end = |kinds: &[End], all_bytes_first| Expectation::End {
            kinds: kinds.to_vec(),
            all_bytes_first,
        };
        match close {
            CloseKind::Reset => {
                self.was_reset = true;
                return self.then(Action::Reset);
            }
            CloseKind::Abrupt => {}
            CloseKind::HalfClose if self.rules.half_close() == Some(HalfClose::Answers) => {
                self.then(Action::HalfClose);
                self.hear();
                match closes && self.was_cut || is_unfinished && self.rules.kind == Kind::Exchange {
                    true => self.expect(end(&[End::Fin, End::Reset], false)),
                    false => self.expect(end(&[End::Fin], !is_unfinished)),
                }
            }
            CloseKind::HalfClose => {
                self.hear();
                self.then(Action::HalfClose);
                match is_discard {
                    true => self.expect(end(&[End::Fin], true)),
                    false => self.expect(end(&[End::Fin, End::Reset], false)),
                }
            }
            CloseKind::Close => {
                self.hear();
                if is_discard {
                    self.expect(Expectation::Taken);
                } else if closes && !is_unfinished {
                    match self.was_cut {
                        true => self.expect(end(&[End::Fin, End::Reset], false)),
                        false => self.expect(end(&[End::Fin], true)),
                    }
                }
            }
        }
        self.then(Action::Close);
    }

    /// Datagrams, several times each, and with `again` the same once more in the other order.
    fn throw(&mut self, connection: &Connection) {
        let again = connection
            .messages
            .iter()
            .rev()
            .filter(|_| connection.again);
        let messages: Vec<&Message> = connection.messages.iter().chain(again).collect();
        let leaves_early = matches!(connection.close, CloseKind::Reset | CloseKind::Abrupt);
        for (n, message) in messages.iter().enumerate() {
            self.throw_one(message, leaves_early && n + 1 == messages.len());
        }
        if !leaves_early {
            self.hear();
        }
        if connection.close == CloseKind::HalfClose {
            // There is no half of it to close; the client stays for what it is not owed.
            self.expect(Expectation::Silence);
        }
        self.then(Action::Close);
    }

    /// A datagram. Nothing keeps the answers to different ones in order, so that a client waits for those to one
    /// before it sends another; those of other clients may be on their way meanwhile.
    fn throw_one(&mut self, message: &Message, is_last: bool) {
        let Some(model) = self.rules.model() else {
            return;
        };
        let bytes = model.at_most(message.size.min(LARGEST_DATAGRAM));
        // The queue of a Unix socket holds ten (`net.unix.max_dgram_qlen`), and then blocks those who send.
        let is_alone =
            bytes > SMALL_DATAGRAM || self.rules.subject.place.transport != Transport::Udp;
        let times = if is_alone { 1 } else { message.times };
        let data = match bytes {
            0 => Data::literal(""),
            bytes => self.bytes(message, bytes),
        };
        let Some((reply, within)) = self.reply_to(&data) else {
            return;
        };
        let all = bytes * times as usize;
        let differs = self.owed.iter().any(|owed| owed.what != reply);
        if differs || self.owed_bytes + all > PILED_BYTES {
            self.hear();
        }
        if !is_alone && matches!(message.waiting, Waiting::Stall | Waiting::Slow) {
            self.stall();
        }
        for _ in 0..times {
            self.send(data.clone(), Segmentation::Whole, false);
            if reply != Expectation::Taken || self.owed.is_empty() {
                self.owe(reply.clone(), within, bytes);
            }
        }
        let is_unheard = is_last && !is_alone;
        if !is_unheard && (is_alone || message.waiting != Waiting::GoOn) {
            self.hear();
        }
    }

    /// What is owed for a datagram. One that is empty, or that may not fit a buffer, may be dropped whole.
    fn reply_to(&self, data: &Data) -> Option<(Expectation, Option<Duration>)> {
        Some(match self.rules.model()?.reply(data) {
            None => (Expectation::Taken, None),
            Some(reply) if (1..=SURE_DATAGRAM).contains(&data.length()) => {
                (Expectation::Data(reply), None)
            }
            Some(reply) => (Expectation::DataOrSilence(reply), Some(MAY_BE_SILENT)),
        })
    }

    /// The exchanges of a dialogue, of which only the timing and the cuts vary.
    fn exchange(&mut self, connection: &Connection) {
        let profile = &self.rules.subject.profile;
        let Speech::Dialogue {
            greeting,
            exchanges,
        } = &profile.speech
        else {
            return;
        };
        let close = self.close(connection);
        let leaves_early = matches!(close, CloseKind::Reset | CloseKind::Abrupt);
        let closes = profile.closes_after_exchange();
        if let Some(greeting) = greeting {
            self.owe(owed(greeting), None, 0);
            // A client that is to be spoken to first does not speak before.
            if !(leaves_early && connection.messages.is_empty()) {
                self.hear();
            }
        }
        let exchanges: Vec<&Exchange> = match closes {
            // What opens the conversation comes first on each connection, behind it any of the others.
            true => {
                self.opening();
                let others = exchanges.iter().filter(|exchange| !exchange.is_opening());
                others.collect()
            }
            false => exchanges.iter().collect(),
        };
        let asked = self.ask(&exchanges, connection, leaves_early);
        let next = match closes {
            true => exchanges.last(),
            false => exchanges.get(asked),
        }
        .copied();
        let has_begun = close != CloseKind::HalfClose && self.begin(next, connection.unfinished);
        // What a server says to a client that ends before all has been said is not promised.
        let is_whole = asked >= exchanges.len() || closes && asked > 0;
        let is_unfinished = has_begun || close == CloseKind::HalfClose && !is_whole;
        let ends_itself = asked > 0 || exchanges.is_empty();
        match close {
            // Nothing was asked, so that there is no exchange after which it would close.
            CloseKind::Close if closes && !ends_itself => {
                self.hear();
                self.then(Action::Close);
            }
            close => self.leave(close, false, is_unfinished),
        }
    }

    /// Goes through what a connection to a server that closes after an exchange begins with.
    fn opening(&mut self) {
        let earlier = self.rules.subject.profile.earlier_exchanges();
        for exchange in earlier {
            self.send(
                Data::literal(exchange.send.clone()),
                Segmentation::Whole,
                false,
            );
            self.owe(owed(&exchange.reply), None, 0);
            self.hear();
        }
    }

    /// Goes through the exchanges that are whole, and returns how many there were.
    fn ask(
        &mut self,
        exchanges: &[&Exchange],
        connection: &Connection,
        leaves_early: bool,
    ) -> usize {
        let profile = &self.rules.subject.profile;
        let pipelined = profile.answers_pipelined();
        let closes = profile.closes_after_exchange();
        let messages = &connection.messages;
        for (n, message) in messages.iter().enumerate() {
            let exchange = match closes {
                true if n > 0 || connection.unfinished.is_some() => None,
                true => exchanges.get(message.size % exchanges.len().max(1)),
                false if pipelined => exchanges.get(n).or_else(|| exchanges.last()),
                false => exchanges.get(n),
            };
            let Some(exchange) = exchange.copied() else {
                return n;
            };
            let times = match pipelined && n + 1 >= exchanges.len() {
                true => message.times,
                false => 1,
            };
            self.ask_one(exchange, times, message);
            // What is agreed on in an opening decides how the rest is to be said.
            let goes_on = pipelined && message.waiting == Waiting::GoOn && !exchange.is_opening();
            let is_unheard = leaves_early && n + 1 == messages.len();
            if !goes_on && !is_unheard {
                self.hear();
            }
        }
        messages.len()
    }

    fn ask_one(&mut self, exchange: &Exchange, times: u32, message: &Message) {
        let data = Data::literal(exchange.send.clone()).times(times);
        let segmentation = message.segmentation.of_bytes(data.length());
        self.was_cut |= segmentation != Segmentation::Whole;
        if message.waiting == Waiting::Stall {
            self.stall();
        }
        self.send(data, segmentation, false);
        for _ in 0..times {
            self.owe(owed(&exchange.reply), None, 0);
        }
    }

    /// Sends the beginning of a request, where one is to be left unfinished; says whether it did.
    fn begin(&mut self, next: Option<&Exchange>, unfinished: Option<usize>) -> bool {
        let next = next.filter(|next| next.send.len() > 1 && !self.is_held);
        let (Some(size), Some(next)) = (unfinished, next) else {
            return false;
        };
        self.hear();
        let beginning = &next.send[..1 + size % (next.send.len() - 1)];
        self.send(Data::literal(beginning), Segmentation::Whole, false);
        true
    }

    fn payload(&self, message: &Message) -> Data {
        let narrow = self.options.receive_buffer.is_some() || self.options.segment_size.is_some();
        let most = if narrow { SMALL_WAY_BYTES } else { usize::MAX };
        let model = self.rules.model();
        let may_wait = model.map_or(usize::MAX, |model| model.may_wait(usize::MAX));
        let most = model.map_or(most, |model| model.at_most(most));
        let size = message.size.clamp(1, most);
        match self.rules.kind {
            Kind::Line => at_most(may_wait, line(message, size, most)),
            _ => self.bytes(message, size),
        }
    }

    fn bytes(&self, message: &Message, size: usize) -> Data {
        let repeated = |unit: &[u8]| match size / unit.len() {
            0 => Data::literal(&unit[..size]),
            times => Data::literal(unit).times(times as u32),
        };
        match message.content {
            Content::Letters => text(size, message.seed, false),
            Content::Noise => Source::Pattern {
                bytes: size,
                seed: message.seed,
            }
            .into(),
            Content::Nul => repeated(b"\0"),
            Content::NoText => repeated(b"\xff"),
            Content::MultiByte => repeated("é".as_bytes()),
            Content::Delimiters => repeated(b"\r\n"),
        }
    }
}

/// The patience with those who read slowly or late.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most that a line of something else than letters has, which has to be written out.
const WRITTEN_BYTES: usize = 128;

/// A line of about `size` bytes, and `most` at most.
fn line(message: &Message, size: usize, most: usize) -> Data {
    let written = size.min(most - 1);
    let body = |unit: &[u8]| {
        let mut bytes = unit.repeat(written.min(WRITTEN_BYTES) / unit.len());
        bytes.push(b'\n');
        Data::literal(bytes)
    };
    match message.content {
        Content::Delimiters => Data::literal("\n").times((size as u32).clamp(2, 64)),
        Content::Letters => text(size, message.seed, true),
        _ if size > WRITTEN_BYTES => text(size, message.seed, true),
        Content::Noise => {
            let bytes = Data::from(Source::Pattern {
                bytes: written,
                seed: message.seed,
            });
            let mut bytes = bytes.bytes(0);
            bytes.retain(|byte| *byte != b'\n');
            bytes.push(b'\n');
            Data::literal(bytes)
        }
        Content::Nul => body(b"\0"),
        Content::NoText => body(b"\xff"),
        Content::MultiByte => body("é".as_bytes()),
    }
    .times_more(message.times)
}

/// The same, as often as not more than so many bytes come of it.
fn at_most(bytes: usize, data: Data) -> Data {
    let times = data.times as usize;
    let once = data.length() / times;
    data.times(times.min((bytes / once).max(1)) as u32)
}

trait TimesMore {
    fn times_more(self, times: u32) -> Self;
}

impl TimesMore for Data {
    fn times_more(self, times: u32) -> Self {
        let times = self.times * times.max(1);
        self.times(times)
    }
}

fn text(bytes: usize, seed: u64, line: bool) -> Data {
    Source::Text { bytes, seed, line }.into()
}

fn owed(template: &Template) -> Expectation {
    match template.as_literal() {
        Some(bytes) => Expectation::Data(Data::literal(bytes)),
        None => Expectation::Template(template.clone()),
    }
}

impl Segmentation<Spot> {
    /// That of a message of this many bytes; whole where no spot is inside of it.
    fn of_bytes(&self, length: usize) -> Segmentation {
        match self {
            Self::Whole => Segmentation::Whole,
            Self::Pieces(size) => match (*size).max(length.div_ceil(MOST_SEGMENTS)).max(1) {
                size if size >= length => Segmentation::Whole,
                size => Segmentation::Pieces(size),
            },
            Self::At(spots) => {
                let mut places: Vec<usize> = spots.iter().map(|spot| spot.place(length)).collect();
                places.retain(|place| *place > 0 && *place < length);
                places.sort_unstable();
                places.dedup();
                match places.is_empty() {
                    true => Segmentation::Whole,
                    false => Segmentation::At(places),
                }
            }
        }
    }
}

impl Spot {
    fn place(self, length: usize) -> usize {
        match self {
            Self::Start(bytes) => bytes,
            Self::End(bytes) => length.saturating_sub(bytes),
            Self::Share(share) => length * usize::from(share) / 65_536,
            Self::Power(power) => 1 << power,
        }
    }
}
