//! What one client has seen so far, folded from events; the runner and the judge look at the same value.

use crate::model::action::Action;
use crate::model::data::{Data, Excerpt, Match};
use crate::model::expectation::{End, Expectation};
use crate::model::passage::Passage;
use crate::model::stream::{Compared, Stop, Stream};
use crate::model::template::{Template, Took};
use crate::model::unasked::Unasked;
use crate::transcript::event::{ClientEvent, ClientId, Event, What};
use crate::transcript::instead::{Got, Instead, Wanted};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Whether something that was expected has been seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has been seen.
    Met,
    /// It may still come.
    Pending,
    /// It can no longer come, because of this.
    Broken(Instead),
}

/// Something that is looked for, again and again while it has not come.
#[derive(Clone, Debug)]
pub(crate) struct Matcher<'a> {
    what: &'a Expectation,
    /// The bytes that are wanted.
    wanted: Passage,
    /// How many of them have been compared.
    compared: usize,
    /// How many bytes stand before and between those, of what the server says unasked.
    passed: usize,
    /// How many bytes of the stream it takes, once it has come.
    used: usize,
    /// What would decide it has come, and nobody has kept it.
    lacks_bytes: bool,
    /// It is all there, unless what comes next belongs to it.
    may_be_whole: bool,
    /// The ways in which it may come, where there are several, or it must not come at once.
    ways: Vec<Self>,
    /// The first of them in which it has come.
    came: Option<usize>,
}

impl<'a> Matcher<'a> {
    /// What is expected of a member of a crowd.
    pub(crate) fn new(what: &'a Expectation, member: u32) -> Self {
        let wanted = match what {
            Expectation::Data(data) | Expectation::DataOrSilence(data) => {
                Passage::all(data, member)
            }
            _ => Passage::from(Vec::new()),
        };
        let ways = match what {
            Expectation::OneOf(all) => all.iter().map(|way| Self::new(way, member)).collect(),
            Expectation::NotBefore { what, .. } => vec![Self::new(what, member)],
            _ => Vec::new(),
        };
        Self {
            what,
            wanted,
            compared: 0,
            passed: 0,
            used: 0,
            lacks_bytes: false,
            may_be_whole: false,
            ways,
            came: None,
        }
    }

    /// Whether it is all there, unless what comes next belongs to it.
    pub(crate) fn may_be_whole(&self) -> bool {
        self.may_be_whole || self.ways.iter().any(Self::may_be_whole)
    }

    /// The way in which it has come, or the only one that there is.
    fn way(&self) -> &Self {
        let at = self.came.unwrap_or(0);
        self.ways.get(at).map_or(self, Self::way)
    }

    /// Holds the stream against the bytes that are wanted; what was compared before is not compared again. What the server says
    /// unasked may stand before them, and between their lines.
    fn compare(&mut self, got: &Stream, unasked: &Unasked) -> Match {
        loop {
            let place = self.compared + self.passed;
            let Compared { same, stop } = got.compare(place, &self.wanted, self.compared);
            let wrong = self.compared + same;
            match stop {
                None if wrong == self.wanted.len() => return Match::Full(place + same),
                None => {
                    self.compared = wrong;
                    return Match::Partial;
                }
                Some(Stop::Unkept) => {
                    self.lacks_bytes = true;
                    return Match::Partial;
                }
                Some(Stop::Wrong) if unasked.texts().is_empty() => {
                    return Match::Wrong(wrong + self.passed);
                }
                Some(Stop::Wrong) => {}
            }
            let line = self.line_of(wrong);
            match unasked.at_of(got, line + self.passed) {
                Match::Full(bytes) => {
                    self.passed += bytes;
                    self.compared = line;
                }
                Match::Partial => return Match::Partial,
                Match::Wrong(_) => return Match::Wrong(wrong + self.passed),
            }
        }
    }

    /// Where the line begins in which a wanted byte stands.
    fn line_of(&self, at: usize) -> usize {
        let before = self.wanted.slice(0..at);
        let newline = before.iter().rposition(|byte| *byte == b'\n');
        newline.map_or(0, |newline| newline + 1)
    }

    /// Holds the stream against a text with holes; what the server says unasked may stand before it.
    fn matches(&mut self, template: &Template, got: &Stream, unasked: &Unasked) -> Match {
        loop {
            match got.decide(self.passed, |bytes| template.matches(bytes)) {
                Match::Full(bytes) => return Match::Full(self.passed + bytes),
                Match::Partial => {
                    self.lacks_bytes = got.kept_from(self.passed) + self.passed < got.len();
                    return Match::Partial;
                }
                Match::Wrong(at) => match unasked.at_of(got, self.passed) {
                    Match::Full(bytes) => self.passed += bytes,
                    Match::Partial => return Match::Partial,
                    Match::Wrong(_) => return Match::Wrong(self.passed + at),
                },
            }
        }
    }

    /// What the next bytes are a part of, and from where on, where all that has come is a part of that.
    pub(crate) fn foresees(&self) -> Option<(&Arc<Data>, usize)> {
        let (data, _, end) = self.wanted.place()?;
        (self.compared < end).then_some((data, self.compared))
    }
}

/// How far a client's connection has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Link {
    #[default]
    None,
    Pending,
    Up,
    Failed {
        refused: bool,
        error: String,
    },
}

/// How far a client has come with TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Tls {
    #[default]
    None,
    Begun,
    Secured,
    Failed(String),
}

/// What one client has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientState {
    /// What the server may say to it at any time.
    unasked: Unasked,
    link: Link,
    tls: Tls,
    /// Bytes received and not yet consumed by an expectation.
    stream: Stream,
    datagrams: VecDeque<Vec<u8>>,
    /// Datagrams that might have been lost, and were taken to be: they may still come, and are nobody's fault then.
    late: Vec<Vec<u8>>,
    takes_datagrams: bool,
    /// The server's address as it was dialled, and another one that a reply came from.
    peer: Option<SocketAddr>,
    foreign: Option<SocketAddr>,
    ended: Option<End>,
    accepted: bool,
    /// Its connection lay in the accept queue, one of so many, when it was looked at last.
    queued: Option<u32>,
    deferred: bool,
    taken: bool,
    held_back: bool,
    full: bool,
    nothing: bool,
    time_wait: bool,
    /// When something came to it last.
    came_last: Option<Duration>,
    /// How long it has waited for what came last.
    waited: Option<Duration>,
    send_failed: Option<String>,
    /// Bytes that have come to this client: what it reads of them is less where it speaks TLS.
    received_bytes: u64,
    /// How many of them came before it began to.
    received_before_tls: u64,
    /// Bytes that the server had sent when its socket died, those among them that were acknowledged not counted.
    unacknowledged_bytes: u64,
    acknowledged_bytes: u64,
    destroyed: bool,
    /// Another connection had the same ends before; what the kernel tells of its death cannot be told from ours.
    reused_address: bool,
}

impl ClientState {
    /// A client that has seen nothing yet, of a server that may say this at any time.
    fn hearing(unasked: &Unasked) -> Self {
        Self {
            unasked: unasked.clone(),
            ..Self::default()
        }
    }

    /// Whether the kernel keeps the client from the server, as far as was seen.
    pub(crate) fn is_deferred(&self) -> bool {
        self.deferred && !self.accepted
    }

    fn apply(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::Connecting => {
                *self = Self {
                    link: Link::Pending,
                    ..Self::hearing(&self.unasked)
                };
            }
            ClientEvent::Connected {
                peer, datagrams, ..
            } => {
                self.link = Link::Up;
                self.peer = peer.as_deref().copied();
                self.takes_datagrams = *datagrams;
            }
            ClientEvent::ConnectFailed { refused, error } => {
                self.link = Link::Failed {
                    refused: *refused,
                    error: error.clone(),
                };
            }
            // Whoever has spoken is no longer kept from the server.
            ClientEvent::Sent(_) => (self.taken, self.deferred) = (false, false),
            ClientEvent::SentOfRecords(_) => self.taken = false,
            ClientEvent::Hello { .. } => {
                (self.taken, self.deferred) = (false, false);
                if self.tls == Tls::None {
                    self.tls = Tls::Begun;
                    self.received_before_tls = self.received_bytes;
                }
            }
            ClientEvent::Secured { .. } => self.tls = Tls::Secured,
            ClientEvent::TlsFailed(why) => self.tls = Tls::Failed(why.clone()),
            ClientEvent::TlsOver { came_bytes, .. } => {
                self.received_bytes = self.received_before_tls + came_bytes;
            }
            ClientEvent::SendFailed(error) => self.send_failed = Some(error.clone()),
            ClientEvent::Nothing(_) => self.nothing = true,
            ClientEvent::Received(bytes) => {
                self.received_bytes += bytes.len() as u64;
                self.stream.push(bytes);
            }
            ClientEvent::Datagram { bytes, from } => {
                // The port may differ: some protocols answer from a new one (RFC 1350, section 4).
                let elsewhere =
                    |from: &SocketAddr| self.peer.is_some_and(|peer| peer.ip() != from.ip());
                let from = from.as_deref().copied();
                self.foreign = self.foreign.or_else(|| from.filter(elsewhere));
                self.datagrams.push_back(bytes.clone());
            }
            ClientEvent::Ended(end) => self.ended = Some(*end),
            ClientEvent::Accepted => self.accepted = true,
            ClientEvent::Deferred => self.deferred = true,
            ClientEvent::Taken => self.taken = true,
            ClientEvent::HeldBack { .. } => self.held_back = true,
            ClientEvent::Full => self.full = true,
            ClientEvent::TimeWait => self.time_wait = true,
            ClientEvent::Waited(time) => self.waited = Some(*time),
            ClientEvent::ServerSocketDestroyed {
                lost_bytes,
                delivered_bytes,
            } => {
                self.destroyed = true;
                if !self.reused_address {
                    self.unacknowledged_bytes += lost_bytes;
                    self.acknowledged_bytes += delivered_bytes;
                }
            }
            ClientEvent::NotTaken(many) => self.queued = Some(*many),
            ClientEvent::Underway(_)
            | ClientEvent::HalfClosed
            | ClientEvent::Reset
            | ClientEvent::Closed
            | ClientEvent::Vanished
            | ClientEvent::SentPart(_)
            | ClientEvent::SentWithoutSource(_)
            | ClientEvent::SaidAll
            | ClientEvent::AnswerUnread
            | ClientEvent::HeardAll
            | ClientEvent::Stalled
            | ClientEvent::Late(_)
            | ClientEvent::MoreToRead
            | ClientEvent::Unsent { .. }
            | ClientEvent::Reading => {}
        }
    }

    /// Bytes that the server had for this client and that never came. What came may not be acknowledged yet when a reset
    /// ends the connection (RFC 1122, section 4.2.3.2).
    fn lost_bytes(&self) -> u64 {
        let come_since = self.received_bytes.saturating_sub(self.acknowledged_bytes);
        self.unacknowledged_bytes.saturating_sub(come_since)
    }

    /// When something came to it last: bytes, a connection, or the end of one.
    pub(crate) fn came_last(&self) -> Option<Duration> {
        self.came_last
    }

    /// How the connection ended, if it has.
    pub(crate) fn ended(&self) -> Option<End> {
        self.ended
    }

    /// Whether the kernel has told of the end of the server's socket.
    pub(crate) fn is_destroyed(&self) -> bool {
        self.destroyed
    }

    /// How many connections lie in the accept queue with its own, where it has waited for anything in vain.
    pub(crate) fn queued(&self) -> Option<u32> {
        self.queued.filter(|_| self.so_far() == Got::Nothing)
    }

    /// Whether the handshake is complete.
    pub(crate) fn is_connected(&self) -> bool {
        self.link == Link::Up
    }

    /// Whether there will be no connection.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.link, Link::Failed { .. })
    }

    /// Whether it is not for the client that what it sends does not come through.
    pub(crate) fn is_held_up(&self) -> bool {
        self.has_failed() || self.held_back || self.ended.is_some() || self.send_failed.is_some()
    }

    /// Where bytes stand in the stream that no expectation has consumed, behind those that the server says unasked.
    fn unexpected_from(&self) -> usize {
        self.unasked.before_of(&self.stream)
    }

    /// Whether such bytes have come.
    fn has_unread_bytes(&self) -> bool {
        self.unexpected_from() < self.stream.len()
    }

    /// Whether bytes have come that no expectation has consumed.
    fn has_unexpected_bytes(&self) -> bool {
        self.has_unread_bytes() || self.next_datagram(&|_| false).is_some()
    }

    /// The same of bytes that will not become what the server may say unasked. Once it is `settled` nothing becomes of them.
    fn has_stray_bytes(&self, settled: bool) -> bool {
        let may_become_unasked =
            || self.unasked.at_of(&self.stream, self.unexpected_from()) == Match::Partial;
        let may_go_on = !settled && self.ended.is_none();
        self.has_unexpected_bytes() && !(may_go_on && may_become_unasked())
    }

    /// Whether a datagram that is awaited has simply not come.
    pub(crate) fn lacks_datagram(&self) -> bool {
        self.takes_datagrams && self.send_failed.is_none() && !self.has_unexpected_bytes()
    }

    /// The first datagram that fits, or that is neither wanted nor merely late.
    fn next_datagram(&self, fits: &dyn Fn(&[u8]) -> bool) -> Option<usize> {
        let mut late = self.late.clone();
        self.datagrams.iter().position(|datagram| {
            let at = late.iter().position(|late| late == datagram);
            fits(datagram) || at.map(|at| late.swap_remove(at)).is_none()
        })
    }

    /// Looks for what is expected. `settled` says that nothing more will come.
    pub(crate) fn look(&self, sought: &mut Matcher<'_>, settled: bool) -> Progress {
        match sought.what {
            Expectation::Data(_) => self.look_for_data(sought),
            Expectation::Template(template) => self.look_for_template(sought, template, settled),
            Expectation::OneOf(_) => self.look_for_one(sought, settled),
            Expectation::NotBefore { after, .. } => {
                let seen = sought.ways.first_mut().map(|way| self.look(way, settled));
                match (seen.unwrap_or(Progress::Pending), self.waited) {
                    (Progress::Met, Some(waited)) if waited < *after => {
                        Progress::Broken(Instead::TooSoon { waited })
                    }
                    (seen, _) => seen,
                }
            }
            Expectation::DataOrSilence(_) => match self.look_for_data(sought) {
                Progress::Pending if settled => Progress::Met,
                other => other,
            },
            Expectation::Silence => self.look_for_silence(settled),
            Expectation::Open => match self.ended {
                Some(end) => Progress::Broken(Instead::Ended(end)),
                None if settled => Progress::Met,
                None => Progress::Pending,
            },
            Expectation::Nothing => self.look_for_nothing(),
            Expectation::Connected => match &self.link {
                Link::Up => Progress::Met,
                Link::Failed { error, .. } => {
                    Progress::Broken(Instead::NotConnected(error.clone()))
                }
                Link::None | Link::Pending => Progress::Pending,
            },
            Expectation::Pending => match &self.link {
                Link::Pending if settled => Progress::Met,
                Link::None | Link::Pending => Progress::Pending,
                Link::Up => Progress::Broken(Instead::Established),
                Link::Failed { error, .. } => {
                    Progress::Broken(Instead::NotConnected(error.clone()))
                }
            },
            Expectation::Secured => match self.tls {
                Tls::Secured => Progress::Met,
                _ => self
                    .why_not_more()
                    .map_or(Progress::Pending, Progress::Broken),
            },
            Expectation::Refused => match &self.link {
                Link::Failed { refused: true, .. } => Progress::Met,
                Link::Failed { error, .. } => Progress::Broken(Instead::NotRefused(error.clone())),
                Link::Up => Progress::Broken(Instead::Established),
                Link::None | Link::Pending => Progress::Pending,
            },
            // A connection that the server has ended was in its hands before; of one that it is not told of it owes nothing.
            Expectation::Accepted
                if self.accepted || self.deferred || self.ended == Some(End::Fin) =>
            {
                Progress::Met
            }
            Expectation::Taken if self.taken => Progress::Met,
            Expectation::HeldBack => self.look_for_restraint(settled),
            Expectation::TimeWait if self.time_wait => Progress::Met,
            Expectation::Full if self.full => Progress::Met,
            Expectation::TimeWait | Expectation::Full => Progress::Pending,
            Expectation::Accepted | Expectation::Taken => match self.ended {
                Some(end) => Progress::Broken(Instead::EndedFirst(end)),
                None => Progress::Pending,
            },
            Expectation::End {
                kinds,
                all_bytes_first,
            } => self.look_for_end(kinds, *all_bytes_first),
        }
    }

    fn look_for_data(&self, sought: &mut Matcher<'_>) -> Progress {
        if self.takes_datagrams {
            return self.look_for_datagram(&|datagram| datagram == &*sought.wanted.bytes());
        }
        let outcome = sought.compare(&self.stream, &self.unasked);
        self.conclude(outcome, sought, &|sought| {
            Wanted::Bytes(sought.wanted.excerpt())
        })
    }

    fn look_for_template(
        &self,
        sought: &mut Matcher<'_>,
        template: &Template,
        settled: bool,
    ) -> Progress {
        if self.takes_datagrams {
            return self.look_for_datagram(&|datagram| is_whole(template, datagram));
        }
        let mut outcome = sought.matches(template, &self.stream, &self.unasked);
        if outcome == Match::Partial && template.is_open() && !sought.lacks_bytes {
            let rest = self.stream.first_from(sought.passed, usize::MAX);
            let whole = match template.matches_last(&rest) {
                Match::Full(bytes) => Some(sought.passed + bytes),
                Match::Partial | Match::Wrong(_) => None,
            };
            // A pattern that may take more has come to its end where nothing more comes.
            match whole.filter(|_| settled || self.ended.is_some()) {
                Some(bytes) => outcome = Match::Full(bytes),
                None => sought.may_be_whole = whole.is_some(),
            }
        }
        self.conclude(outcome, sought, &|_| Wanted::Template(template.clone()))
    }

    /// The first of several ways that fits, however what comes is cut into segments: a later one is taken where no earlier one can come
    /// any more. None fits that comes behind other bytes.
    fn look_for_one(&self, sought: &mut Matcher<'_>, settled: bool) -> Progress {
        let mut broken = None;
        let mut is_pending = false;
        for (at, way) in sought.ways.iter_mut().enumerate() {
            let is_end = matches!(way.what, Expectation::End { .. });
            let seen = match is_end && self.has_stray_bytes(settled) {
                true => Progress::Broken(Instead::GotBeforeEnd(self.so_far())),
                false => self.look(way, settled),
            };
            match seen {
                Progress::Met if is_pending && !settled && self.ended.is_none() => {
                    sought.may_be_whole = true;
                    return Progress::Pending;
                }
                Progress::Met => {
                    sought.came = Some(at);
                    return Progress::Met;
                }
                Progress::Pending => is_pending = true,
                Progress::Broken(instead) => {
                    let before = broken.as_ref().map(agrees);
                    if before.is_none_or(|before| before < agrees(&instead)) {
                        broken = Some(instead);
                    }
                }
            }
        }
        match broken.filter(|_| !is_pending) {
            Some(instead) => Progress::Broken(instead),
            None => Progress::Pending,
        }
    }

    /// A datagram that fits, which unlike bytes of a stream has to come even where it is empty.
    fn look_for_datagram(&self, fits: &dyn Fn(&[u8]) -> bool) -> Progress {
        if let (Some(foreign), Some(peer)) = (self.foreign, self.peer) {
            return Progress::Broken(Instead::Elsewhere {
                asked: peer.ip(),
                answered: foreign.ip(),
            });
        }
        match self.next_datagram(fits).map(|at| &self.datagrams[at]) {
            Some(datagram) if fits(datagram) => Progress::Met,
            Some(datagram) => Progress::Broken(Instead::Got(Got::Datagram(Excerpt::of(datagram)))),
            // Datagrams are kept one by one, but for those of a flood.
            None if self.stream.len() > 0 => Progress::Broken(Instead::Unkept {
                bytes: self.stream.len(),
            }),
            None => self
                .why_not_more()
                .map_or(Progress::Pending, Progress::Broken),
        }
    }

    /// What a match, or the lack of one, means for bytes that are expected next.
    fn conclude(
        &self,
        outcome: Match,
        sought: &mut Matcher<'_>,
        wanted: &dyn Fn(&Matcher<'_>) -> Wanted,
    ) -> Progress {
        match outcome {
            Match::Full(bytes) => {
                sought.used = bytes;
                Progress::Met
            }
            Match::Wrong(at) => {
                let from = self.unexpected_from();
                let at = at.saturating_sub(from);
                let (near, before) = self.around(from, at);
                Progress::Broken(Instead::Wrong {
                    near,
                    before,
                    at,
                    wanted: wanted(sought),
                })
            }
            Match::Partial if sought.lacks_bytes => Progress::Broken(Instead::Unkept {
                bytes: self.stream.len(),
            }),
            Match::Partial => self
                .why_not_more()
                .map_or(Progress::Pending, Progress::Broken),
        }
    }

    /// The received bytes near the first wrong one, and how many came before them, counted from a byte on.
    fn around(&self, from: usize, at: usize) -> (Excerpt, usize) {
        let before = at.saturating_sub(16);
        let near = self.stream.first_from(from + before, at + 16 - before);
        (Excerpt::of(&near), before)
    }

    /// Why no more bytes can come, where that is so.
    fn why_not_more(&self) -> Option<Instead> {
        if let Tls::Failed(why) = &self.tls {
            return Some(Instead::NotSecured(why.clone()));
        }
        let sending = self.send_failed.clone();
        if let Some(end) = self.ended {
            let got = self.so_far();
            return Some(Instead::EndedAfter { got, end, sending });
        }
        if let Link::Failed { error, .. } = &self.link {
            return Some(Instead::NotConnected(error.clone()));
        }
        // What the server sent before it closed can still be read, and the end comes behind it.
        let failed = sending.filter(|_| self.link != Link::Up || self.takes_datagrams);
        failed.map(Instead::SendingFailed)
    }

    /// Bytes that nobody has kept, where they may have been what the server may say unasked.
    fn unkept_unasked(&self) -> Option<Instead> {
        let at = self.unexpected_from();
        let kept = self.stream.kept_from(at);
        let is_cut = at + kept < self.stream.len() && !self.unasked.texts().is_empty();
        let may_go_on = || self.unasked.at_of(&self.stream, at) == Match::Partial;
        let bytes = self.stream.len();
        (is_cut && (kept == 0 || may_go_on())).then_some(Instead::Unkept { bytes })
    }

    fn look_for_silence(&self, settled: bool) -> Progress {
        if let Some(unkept) = self.unkept_unasked() {
            return Progress::Broken(unkept);
        }
        if self.has_stray_bytes(settled) {
            return Progress::Broken(Instead::Got(self.so_far()));
        }
        match self.ended {
            Some(end) => Progress::Broken(Instead::Ended(end)),
            None if settled => Progress::Met,
            None => Progress::Pending,
        }
    }

    fn look_for_nothing(&self) -> Progress {
        match self.look_for_silence(false) {
            Progress::Pending if self.nothing => Progress::Met,
            other => other,
        }
    }

    fn look_for_restraint(&self, settled: bool) -> Progress {
        let over = self.ended.is_some() || self.send_failed.is_some();
        match settled {
            _ if self.taken => Progress::Broken(Instead::AllRead),
            _ if self.held_back || over => Progress::Met,
            true => Progress::Broken(Instead::ReadOn),
            false => Progress::Pending,
        }
    }

    fn look_for_end(&self, kinds: &[End], all_bytes_first: bool) -> Progress {
        if all_bytes_first && let Some(unkept) = self.unkept_unasked() {
            return Progress::Broken(unkept);
        }
        if all_bytes_first && self.has_stray_bytes(false) {
            return Progress::Broken(Instead::GotBeforeEnd(self.so_far()));
        }
        match self.ended {
            Some(end) if all_bytes_first && self.lost_bytes() > 0 => {
                let bytes = self.lost_bytes();
                Progress::Broken(Instead::Destroyed { end, bytes })
            }
            Some(end) if kinds.contains(&end) => Progress::Met,
            Some(end) => Progress::Broken(Instead::EndedOtherwise(end)),
            None => Progress::Pending,
        }
    }

    /// What has been received and not been expected.
    pub(crate) fn so_far(&self) -> Got {
        match self.datagrams.front() {
            Some(datagram) => Got::Datagram(Excerpt::of(datagram)),
            None if !self.has_unread_bytes() => Got::Nothing,
            None => Got::Bytes(self.stream.excerpt_from(self.unexpected_from())),
        }
    }

    /// What the holes of an expected text took of what has come.
    pub(crate) fn took(&self, what: &Expectation) -> Vec<Took> {
        let template = match what {
            Expectation::Template(template) => template,
            Expectation::NotBefore { what, .. } => return self.took(what),
            _ => return Vec::new(),
        };
        match self.datagrams.front() {
            Some(datagram) => template.took(datagram),
            None => template.took(&self.stream.first_from(self.unexpected_from(), usize::MAX)),
        }
    }

    /// What has come on its stream and was not expected so far, from a byte on of what stands behind what the server says unasked:
    /// as many bytes at most.
    pub(crate) fn unread_from(&self, at: usize, most: usize) -> Vec<u8> {
        self.stream.first_from(self.unexpected_from() + at, most)
    }

    /// How many bytes there are of those.
    pub(crate) fn unread(&self) -> usize {
        self.stream.len() - self.unexpected_from()
    }

    /// The first datagram that no expectation has consumed, and that does not come late.
    pub(crate) fn unexpected_datagram(&self) -> Option<&[u8]> {
        let at = self.next_datagram(&|_| false)?;
        self.datagrams.get(at).map(Vec::as_slice)
    }

    /// Takes what a met expectation has used up out of the state, and returns what it captures of that.
    fn consume(&mut self, sought: &Matcher<'_>) -> Vec<(String, Vec<u8>)> {
        self.waited = None;
        let sought = sought.way();
        if self.takes_datagrams {
            return self.consume_datagram(sought);
        }
        if *sought.what == Expectation::Nothing {
            self.nothing = false;
        }
        let captured = match sought.what {
            Expectation::Template(template) if template.captures().next().is_some() => {
                let bytes = sought.used.saturating_sub(sought.passed);
                template.captured(&self.stream.first_from(sought.passed, bytes))
            }
            _ => Vec::new(),
        };
        self.stream.drop_first(sought.used);
        captured
    }

    fn consume_datagram(&mut self, sought: &Matcher<'_>) -> Vec<(String, Vec<u8>)> {
        let fits = |datagram: &[u8]| match sought.what {
            Expectation::Data(_) | Expectation::DataOrSilence(_) => {
                datagram == &*sought.wanted.bytes()
            }
            Expectation::Template(template) => is_whole(template, datagram),
            _ => false,
        };
        let at = self.next_datagram(&fits);
        match at.filter(|at| fits(&self.datagrams[*at])) {
            Some(at) => {
                let datagram = self.datagrams.remove(at).unwrap_or_default();
                if let Expectation::Template(template) = sought.what {
                    return template.captured_of_whole(&datagram);
                }
            }
            None if matches!(sought.what, Expectation::DataOrSilence(_)) => {
                self.late.push(sought.wanted.bytes().into_owned());
            }
            None => self.nothing &= *sought.what != Expectation::Nothing,
        }
        Vec::new()
    }
}

/// Up to which byte what came is what was wanted, which says more of several ways than their order.
fn agrees(instead: &Instead) -> usize {
    match instead {
        Instead::Wrong { at, .. } => *at,
        Instead::EndedAfter {
            got: Got::Bytes(_), ..
        } => usize::MAX,
        _ => 0,
    }
}

fn is_whole(template: &Template, datagram: &[u8]) -> bool {
    template.matches_whole(datagram) == Match::Full(datagram.len())
}

/// What every client of a phase has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientStates {
    /// What the server may say to each of them at any time.
    unasked: Unasked,
    clients: BTreeMap<ClientId, ClientState>,
    addresses: BTreeMap<SocketAddr, ClientId>,
    /// The address of the connection that each client has, or last had.
    latest: BTreeMap<ClientId, SocketAddr>,
    /// Every address that a connection has had, in earlier phases too.
    used: BTreeSet<SocketAddr>,
    /// What was captured under a name in the phase, and by whom; last of all by the last.
    captured: BTreeMap<String, Vec<(ClientId, Vec<u8>)>>,
}

impl ClientStates {
    /// Clients of a server that may say this at any time.
    pub(crate) fn hearing(unasked: &Unasked) -> Self {
        Self {
            unasked: unasked.clone(),
            ..Self::default()
        }
    }

    /// Whether these bytes are what the server says unasked, so that nobody is served by them.
    pub(crate) fn are_unasked(&self, bytes: &Passage) -> bool {
        let speaks_unasked = !self.unasked.texts().is_empty() && bytes.cut().is_none();
        speaks_unasked && self.unasked.is_all_of(&bytes.bytes())
    }

    /// Takes an event in.
    pub(crate) fn apply(&mut self, told: &Event) {
        match &told.what {
            // The bystander's connection is the same in the phases that follow its arrival.
            What::Phase(_) => {
                self.clients.retain(|id, _| *id == ClientId::BYSTANDER);
                self.addresses.retain(|_, id| *id == ClientId::BYSTANDER);
                self.captured.clear();
            }
            What::Client(id, event) => {
                let (at, mut reused) = (told.at, false);
                match event {
                    ClientEvent::Connecting => {
                        self.latest.remove(id);
                    }
                    ClientEvent::Connected {
                        local: Some(local), ..
                    } => {
                        reused = !self.used.insert(**local);
                        self.addresses.insert(**local, *id);
                        self.latest.insert(*id, **local);
                    }
                    _ => {}
                }
                let client = self.of(*id);
                client.apply(event);
                let comes = matches!(
                    event,
                    ClientEvent::Connected { .. }
                        | ClientEvent::ConnectFailed { .. }
                        | ClientEvent::Received(_)
                        | ClientEvent::Datagram { .. }
                        | ClientEvent::Ended(_)
                        | ClientEvent::Secured { .. }
                );
                if comes {
                    client.came_last = Some(at);
                }
                client.reused_address |= reused;
            }
            _ => {}
        }
    }

    /// The client that has, or last had, this address. An address that it had before its latest connection is nobody's:
    /// what the kernel tells late of an earlier connection must not be taken for news of the present one.
    pub(crate) fn client_at(&self, address: SocketAddr) -> Option<ClientId> {
        let owner = self.addresses.get(&address).copied();
        owner.filter(|id| self.latest.get(id) == Some(&address))
    }

    /// Looks for what a client expects, as [`ClientState::look`] does. What is met is taken out of its state with all that it uses up,
    /// and what it captures of that is kept.
    pub(crate) fn take(
        &mut self,
        id: ClientId,
        sought: &mut Matcher<'_>,
        settled: bool,
    ) -> Progress {
        let state = self.of(id);
        let seen = state.look(sought, settled);
        if seen != Progress::Met {
            return seen;
        }
        for (name, bytes) in state.consume(sought) {
            let all = self.captured.entry(name).or_default();
            all.retain(|(by, _)| *by != id);
            all.push((id, bytes));
        }
        seen
    }

    /// What a client has captured in the phase, by its names.
    pub(crate) fn captured_by(&self, id: ClientId) -> Vec<(String, Vec<u8>)> {
        let all = self.captured.iter();
        let own = all.filter_map(|(name, all)| {
            let (_, bytes) = all.iter().find(|(by, _)| *by == id)?;
            Some((name.clone(), bytes.clone()))
        });
        own.collect()
    }

    /// An action of a client with the bytes of its variables: what the client has captured itself, or else whoever did so last.
    pub(crate) fn filled<'a>(&self, id: ClientId, action: &'a Action) -> Cow<'a, Action> {
        if action.variables().is_empty() {
            return Cow::Borrowed(action);
        }
        let value = |name: &str| {
            let all = self.captured.get(name)?;
            let (last, bytes) = all.last()?;
            // Each of a crowd has its own.
            let mut own = all.iter().filter(|(by, _)| last.who == id.who && *by == id);
            Some(own.next().map_or(bytes, |(_, bytes)| bytes).clone())
        };
        Cow::Owned(action.filled(&value))
    }

    /// What a client has seen.
    /// The addresses that a client has come from.
    pub(crate) fn sources_of(&self, id: ClientId) -> Vec<SocketAddr> {
        let own = self.addresses.iter().filter(|(_, owner)| **owner == id);
        own.map(|(address, _)| *address).collect()
    }

    pub(crate) fn of(&mut self, id: ClientId) -> &mut ClientState {
        let new = || ClientState::hearing(&self.unasked);
        self.clients.entry(id).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::data::Source;
    use crate::model::passage::Cut;
    use crate::model::phase::Phase;

    #[test]
    fn late_news_of_a_connection_of_an_earlier_phase_is_not_held_against_who_has_its_port_now() {
        let (mallory, polite) = (Phase::Scenario.client(0, 0), Phase::After.client(0, 0));
        let connected = ClientEvent::Connected {
            local: Some(SocketAddr::from(([127, 0, 0, 1], 1)).into()),
            peer: None,
            datagrams: false,
        };
        let destroyed = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 684,
            delivered_bytes: 0,
        };
        let mut client_states = ClientStates::default();
        let events = [
            What::Phase(Phase::Scenario),
            What::Client(mallory, connected.clone()),
            What::Phase(Phase::After),
            What::Client(polite, connected),
            What::Client(polite, destroyed),
        ];
        for what in events {
            let at = Duration::ZERO;
            client_states.apply(&Event { at, what });
        }
        assert_eq!(client_states.of(polite).lost_bytes(), 0);
    }

    #[test]
    fn late_news_of_an_earlier_connection_is_of_nobody() {
        let alice = ClientId { who: 0, member: 0 };
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut client_states = ClientStates::default();
        let mut happen = |event| {
            client_states.apply(&Event {
                at: Duration::ZERO,
                what: What::Client(alice, event),
            });
            [
                client_states.client_at(at(1)),
                client_states.client_at(at(2)),
            ]
        };
        let connected = |port| ClientEvent::Connected {
            local: Some(at(port).into()),
            peer: None,
            datagrams: false,
        };
        happen(ClientEvent::Connecting);
        assert_eq!(happen(connected(1)), [Some(alice), None]);
        assert_eq!(happen(ClientEvent::Connecting), [None, None]);
        assert_eq!(happen(connected(2)), [None, Some(alice)]);
    }

    #[test]
    fn client_is_held_back_where_not_all_that_it_sends_is_read() {
        let looked = |events: &[ClientEvent], settled| {
            let mut state = ClientState::default();
            events.iter().for_each(|event| state.apply(event));
            state.look(&mut Matcher::new(&Expectation::HeldBack, 0), settled)
        };
        let held = ClientEvent::HeldBack { unread_bytes: 7 };
        let failed = ClientEvent::SendFailed("Connection reset by peer".to_owned());
        assert_eq!(looked(&[], false), Progress::Pending);
        assert_eq!(looked(&[held], false), Progress::Met);
        assert_eq!(looked(&[failed], false), Progress::Met);
        for broken in [
            looked(&[], true),
            looked(&[ClientEvent::Taken], false),
            looked(&[ClientEvent::Taken, ClientEvent::Ended(End::Fin)], false),
        ] {
            assert!(matches!(broken, Progress::Broken(_)), "{broken:?}");
        }
    }

    #[test]
    fn answer_can_be_read_after_sending_has_failed() {
        let mut state = ClientState::default();
        let reply = Expectation::Data(Data::literal("go out"));
        let mut sought = Matcher::new(&reply, 0);
        state.apply(&ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: false,
        });
        state.apply(&ClientEvent::SendFailed("Broken pipe".to_owned()));
        assert_eq!(state.look(&mut sought, false), Progress::Pending);
        state.apply(&ClientEvent::Received(b"go out".to_vec().into()));
        assert_eq!(state.look(&mut sought, false), Progress::Met);
    }

    /// What is seen of an expectation by a client for datagrams that has received these.
    fn look(what: &Expectation, received: &[&[u8]]) -> Progress {
        let mut state = ClientState::default();
        state.apply(&ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams: true,
        });
        for bytes in received {
            state.apply(&ClientEvent::Datagram {
                from: None,
                bytes: bytes.to_vec(),
            });
        }
        state.look(&mut Matcher::new(what, 0), false)
    }

    /// A client of a server that says `PING :` and something at any time, which has received this in pieces.
    fn pinged(pieces: &[&str]) -> ClientState {
        let ping = Template::parse(r"PING :{any}\r\n").unwrap();
        let mut state = ClientState::hearing(&[ping].into_iter().collect());
        for piece in pieces {
            state.apply(&ClientEvent::Received(piece.as_bytes().into()));
        }
        state
    }

    fn text(text: &str) -> Expectation {
        Expectation::Data(Data::literal(text))
    }

    #[test]
    fn what_is_said_unasked_is_passed_over_before_a_reply_and_between_its_lines() {
        let holes = Expectation::Template(Template::parse(r"+P{any}G\r\n").unwrap());
        let came: [(&[&str], &Expectation); 5] = [
            (&["PING :1\r\nPING :2\r\n+PONG\r\n"], &text("+PONG\r\n")),
            (&["PING :1\r\n+PONG\r\n"], &holes),
            (&["1\n2\nPING :1\r\n3\n"], &text("1\n2\n3\n")),
            // The reply begins as that does, and that is what was looked for before.
            (&["PIPING :1\r\n"], &text("PIPING :1\r\n")),
            (&["PING :1\r\n"], &text("PING :1\r\n")),
        ];
        for (pieces, owed) in came {
            let mut state = pinged(pieces);
            let mut sought = Matcher::new(owed, 0);
            assert_eq!(state.look(&mut sought, false), Progress::Met, "{pieces:?}");
            state.consume(&sought);
            assert_eq!(state.stream.len(), 0, "{pieces:?}");
        }
    }

    #[test]
    fn beginning_of_what_is_said_unasked_is_waited_for() {
        let reply = text("+PONG\r\n");
        let mut sought = Matcher::new(&reply, 0);
        let mut state = pinged(&[]);
        for piece in ["PI", "NG :", "1\r", "\nPIN", "G :2\r\n", "+PO"] {
            state.apply(&ClientEvent::Received(piece.as_bytes().into()));
            assert_eq!(state.look(&mut sought, false), Progress::Pending, "{piece}");
        }
        assert_eq!(state.so_far(), Got::Bytes(Excerpt::of(b"+PO")));
        state.apply(&ClientEvent::Received(b"NG\r\nPING :3\r\n".to_vec().into()));
        assert_eq!(state.look(&mut sought, false), Progress::Met);
        state.consume(&sought);
        assert!(!state.has_unexpected_bytes());
        assert_eq!(state.so_far(), Got::Nothing);
    }

    #[test]
    fn another_text_than_what_is_said_unasked_is_wrong() {
        for (pieces, from) in [
            (["PING :1\r\n", "PONG\r\n"], 0),
            (["PING :1\r\n+P", "ING\r\n"], 2),
            (["+PONG\r\n", "NOTICE\r\n"], 7),
        ] {
            let owed = text("+PONG\r\n+PONG\r\n");
            let state = pinged(&pieces);
            match state.look(&mut Matcher::new(&owed, 0), false) {
                Progress::Broken(Instead::Wrong { at, .. }) => assert_eq!(at, from),
                other => panic!("{pieces:?}: {other:?}"),
            }
        }
        // Nothing stands between the bytes of a line, and without a profile nothing is unasked.
        let owed = text("+PONG\r\n");
        for state in [
            pinged(&["+POPING :1\r\nNG\r\n"]),
            ClientState {
                unasked: Unasked::default(),
                ..pinged(&["PING :1\r\n+PONG\r\n"])
            },
        ] {
            let seen = state.look(&mut Matcher::new(&owed, 0), false);
            assert!(matches!(seen, Progress::Broken(_)), "{seen:?}");
        }
    }

    #[test]
    fn nothing_is_known_of_silence_where_what_may_be_unasked_was_not_kept() {
        for (kept, is_unkept) in [("PING :1\r\n", true), ("PING :", true), ("NO", false)] {
            let mut state = pinged(&[kept]);
            state
                .stream
                .push(&Cut::of(&b"2\r\nPING :3\r\n".repeat(9)).into());
            for settled in [false, true] {
                let seen = state.look(&mut Matcher::new(&Expectation::Silence, 0), settled);
                let unkept = matches!(seen, Progress::Broken(Instead::Unkept { .. }));
                assert_eq!(unkept, is_unkept, "{kept:?}: {seen:?}");
            }
        }
    }

    #[test]
    fn silence_is_where_only_what_is_said_unasked_comes() {
        let seen = |pieces: &[&str], what: &Expectation, settled: bool| {
            let mut state = pinged(pieces);
            state.nothing = true;
            if matches!(what, Expectation::End { .. }) {
                state.ended = Some(End::Fin);
            }
            state.look(&mut Matcher::new(what, 0), settled)
        };
        let end = Expectation::End {
            kinds: vec![End::Fin],
            all_bytes_first: true,
        };
        for what in [Expectation::Silence, Expectation::Nothing, end] {
            let whole = seen(&["PING :1\r\nPING :2\r\n"], &what, true);
            assert_eq!(whole, Progress::Met, "{what:?}");
            let other = seen(&["PING :1\r\n+PONG\r\n"], &what, false);
            assert!(matches!(other, Progress::Broken(_)), "{what:?}: {other:?}");
        }
        let begun = seen(&["PING :1\r\nPI"], &Expectation::Silence, false);
        assert_eq!(begun, Progress::Pending);
        let and_no_more = seen(&["PING :1\r\nPI"], &Expectation::Silence, true);
        assert!(matches!(and_no_more, Progress::Broken(_)));
    }

    #[test]
    fn empty_datagram_has_to_come() {
        let empty = Expectation::Data(Data::literal(""));
        assert_eq!(look(&empty, &[]), Progress::Pending);
        assert_eq!(look(&empty, &[b""]), Progress::Met);
        assert!(matches!(look(&empty, &[b"x"]), Progress::Broken(_)));
    }

    #[test]
    fn bytes_that_came_and_were_not_acknowledged_are_not_lost() {
        let mut state = ClientState::default();
        state.apply(&ClientEvent::Received(vec![b'x'; 51].into()));
        let dies = |lost_bytes| ClientEvent::ServerSocketDestroyed {
            lost_bytes,
            delivered_bytes: 34,
        };
        state.apply(&dies(17));
        assert_eq!(state.lost_bytes(), 0);
        let mut state = ClientState::default();
        state.apply(&ClientEvent::Received(vec![b'x'; 51].into()));
        state.apply(&dies(100));
        assert_eq!(state.lost_bytes(), 83);
    }

    #[test]
    fn datagram_that_comes_late_is_not_taken_for_the_next() {
        let data = |bytes: &str| Data::literal(bytes);
        let (may_come, comes) = (
            Expectation::DataOrSilence(data("large")),
            Expectation::Data(data("small")),
        );
        let receive = |state: &mut ClientState, bytes: &str| {
            state.apply(&ClientEvent::Datagram {
                from: None,
                bytes: bytes.into(),
            });
        };
        let mut state = ClientState {
            takes_datagrams: true,
            ..ClientState::default()
        };
        let mut large = Matcher::new(&may_come, 0);
        assert_eq!(state.look(&mut large, true), Progress::Met);
        state.consume(&large);
        receive(&mut state, "large");
        let mut small = Matcher::new(&comes, 0);
        assert_eq!(state.look(&mut small, false), Progress::Pending);
        receive(&mut state, "small");
        assert_eq!(state.look(&mut small, false), Progress::Met);
        state.consume(&small);
        assert!(!state.has_unexpected_bytes());
        receive(&mut state, "large");
        assert!(state.has_unexpected_bytes(), "late twice");
    }

    #[test]
    fn hole_at_the_end_takes_the_rest_of_a_datagram() {
        let hole = |text: &str| Expectation::Template(Template::parse(text).unwrap());
        assert_eq!(look(&hole("ok {any}"), &[b"ok 17"]), Progress::Met);
        assert_eq!(look(&hole("ok {any}7"), &[b"ok 1727"]), Progress::Met);
        assert!(matches!(
            look(&hole("ok {any}7"), &[b"ok 178"]),
            Progress::Broken(_)
        ));
    }

    /// A client that has seen these.
    fn after(events: &[ClientEvent]) -> ClientState {
        let mut state = ClientState::default();
        events.iter().for_each(|event| state.apply(event));
        state
    }

    fn connected(datagrams: bool) -> ClientEvent {
        ClientEvent::Connected {
            local: None,
            peer: None,
            datagrams,
        }
    }

    fn refused() -> ClientEvent {
        ClientEvent::ConnectFailed {
            refused: true,
            error: "Connection refused".to_owned(),
        }
    }

    fn received(bytes: &[u8]) -> ClientEvent {
        ClientEvent::Received(bytes.into())
    }

    fn datagram(bytes: &[u8]) -> ClientEvent {
        ClientEvent::Datagram {
            from: None,
            bytes: bytes.into(),
        }
    }

    fn seen(what: &Expectation, events: &[ClientEvent], settled: bool) -> Progress {
        after(events).look(&mut Matcher::new(what, 0), settled)
    }

    #[test]
    fn connection_is_there_once_its_handshake_is_complete() {
        let of = |events: &[ClientEvent]| {
            let state = after(events);
            (state.is_connected(), state.has_failed())
        };
        assert_eq!(of(&[]), (false, false));
        assert_eq!(of(&[ClientEvent::Connecting]), (false, false));
        assert_eq!(
            of(&[ClientEvent::Connecting, connected(false)]),
            (true, false)
        );
        assert_eq!(of(&[ClientEvent::Connecting, refused()]), (false, true));
    }

    #[test]
    fn client_is_held_up_by_whatever_keeps_what_it_sends_from_the_server() {
        let held_up = [
            refused(),
            ClientEvent::HeldBack { unread_bytes: 7 },
            ClientEvent::Ended(End::Fin),
            ClientEvent::SendFailed("Broken pipe".to_owned()),
        ];
        for event in held_up {
            let state = after(std::slice::from_ref(&event));
            assert!(state.is_held_up(), "{event:?}");
        }
        assert!(!after(&[connected(false), received(b"x")]).is_held_up());
    }

    #[test]
    fn client_is_kept_from_the_server_until_it_has_spoken_or_is_accepted() {
        let of = |events: &[ClientEvent]| after(events).is_deferred();
        assert!(of(&[ClientEvent::Deferred]));
        assert!(!of(&[ClientEvent::Deferred, ClientEvent::Accepted]));
        let spoke = ClientEvent::Sent(b"a".to_vec().into());
        assert!(!of(&[ClientEvent::Deferred, spoke]));
        assert!(!of(&[ClientEvent::Accepted]));
        assert!(!of(&[]));
    }

    fn hello() -> ClientEvent {
        ClientEvent::Hello {
            from: 0,
            to: 200,
            of: 200,
        }
    }

    fn secured() -> ClientEvent {
        ClientEvent::Secured {
            version: "TLS 1.3".to_owned(),
            cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
            protocol: None,
        }
    }

    #[test]
    fn client_is_secured_until_tls_fails_whatever_comes_behind_that() {
        let of = |events: &[ClientEvent]| seen(&Expectation::Secured, events, false);
        assert_eq!(of(&[connected(false), hello()]), Progress::Pending);
        assert_eq!(of(&[connected(false), hello(), secured()]), Progress::Met);
        // Segments of the hello that the server has answered already change nothing.
        assert_eq!(
            of(&[connected(false), hello(), secured(), hello()]),
            Progress::Met
        );
        let why = "the server ended the handshake with alert `handshake_failure`";
        let failed = ClientEvent::TlsFailed(why.to_owned());
        let end = ClientEvent::Ended(End::Fin);
        let events = [connected(false), hello(), failed, end.clone()];
        let broken = Progress::Broken(Instead::NotSecured(why.to_owned()));
        assert_eq!(of(&events), broken);
        assert_eq!(seen(&data_of("HELLO"), &events, false), broken);
        let ended = of(&[connected(false), hello(), end]);
        assert!(
            matches!(ended, Progress::Broken(Instead::EndedAfter { .. })),
            "{ended:?}"
        );
    }

    #[test]
    fn what_is_read_over_tls_is_less_than_what_has_come_and_nothing_of_that_is_lost() {
        let dies = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 30,
            delivered_bytes: 1_070,
        };
        let events = |came_bytes| {
            let over = ClientEvent::TlsOver {
                came_bytes,
                is_cut: false,
            };
            let before = [connected(false), received(b"220 go"), hello(), secured()];
            let behind = [received(b"hello"), over, dies.clone()];
            [before.to_vec(), behind.to_vec()].concat()
        };
        // What has come may not be acknowledged.
        assert_eq!(after(&events(1_094)).lost_bytes(), 0);
        assert_eq!(after(&events(1_080)).lost_bytes(), 14);
    }

    #[test]
    fn who_says_hello_has_spoken() {
        let of = |events: &[ClientEvent]| {
            let state = after(events);
            (state.is_deferred(), state.taken)
        };
        assert_eq!(of(&[ClientEvent::Deferred, hello()]), (false, false));
        assert_eq!(of(&[ClientEvent::Taken, hello()]), (false, false));
        let part = ClientEvent::SentOfRecords(5);
        assert_eq!(of(&[ClientEvent::Taken, part]), (false, false));
    }

    #[test]
    fn end_of_a_connection_is_not_that_of_the_servers_socket() {
        let destroyed = ClientEvent::ServerSocketDestroyed {
            lost_bytes: 0,
            delivered_bytes: 0,
        };
        let of = |event| {
            let state = after(&[event]);
            (state.ended(), state.is_destroyed())
        };
        assert_eq!(
            of(ClientEvent::Ended(End::Reset)),
            (Some(End::Reset), false)
        );
        assert_eq!(of(destroyed), (None, true));
    }

    /// Who got something was taken from the queue.
    #[test]
    fn queue_that_a_client_lies_in_tells_only_while_it_gets_nothing() {
        let waits = ClientEvent::NotTaken(3);
        let mut state = after(&[waits]);
        assert_eq!(state.queued(), Some(3));
        state.apply(&received(b"x"));
        assert_eq!(state.queued(), None);
        assert_eq!(after(&[]).queued(), None);
    }

    #[test]
    fn datagram_is_missed_where_none_came_and_none_was_refused() {
        let lacks = |events: &[ClientEvent]| after(events).lacks_datagram();
        assert!(lacks(&[connected(true)]));
        assert!(!lacks(&[connected(false)]));
        let failed = ClientEvent::SendFailed("Connection refused".to_owned());
        assert!(!lacks(&[connected(true), failed]));
        assert!(!lacks(&[connected(true), datagram(b"x")]));
    }

    /// A connection that the server ends was in its hands, and it is not told of one that is kept from it.
    #[test]
    fn client_is_accepted_where_the_server_has_had_it_or_need_not() {
        let met = [
            ClientEvent::Accepted,
            ClientEvent::Deferred,
            ClientEvent::Ended(End::Fin),
        ];
        let accepted = Expectation::Accepted;
        for event in met {
            assert_eq!(seen(&accepted, &[event], false), Progress::Met);
        }
        assert_eq!(seen(&accepted, &[], false), Progress::Pending);
        let reset = seen(&accepted, &[ClientEvent::Ended(End::Reset)], false);
        assert_eq!(reset, Progress::Broken(Instead::EndedFirst(End::Reset)));
    }

    #[test]
    fn what_shows_by_nothing_is_met_only_once_nothing_more_will_come() {
        let may_come = Expectation::DataOrSilence(Data::literal("x"));
        let connecting = [ClientEvent::Connecting];
        for (what, before) in [
            (may_come, &[][..]),
            (Expectation::Open, &[]),
            (Expectation::Silence, &[]),
            (Expectation::Pending, &connecting),
        ] {
            assert_eq!(seen(&what, before, false), Progress::Pending, "{what}");
            assert_eq!(seen(&what, before, true), Progress::Met, "{what}");
        }
        let there = seen(&Expectation::Pending, &[connected(false)], true);
        assert_eq!(there, Progress::Broken(Instead::Established));
        let ended = seen(&Expectation::Open, &[ClientEvent::Ended(End::Fin)], true);
        assert_eq!(ended, Progress::Broken(Instead::Ended(End::Fin)));
    }

    #[test]
    fn what_the_kernel_shows_of_a_connection_is_waited_for() {
        for (what, shows) in [
            (Expectation::TimeWait, ClientEvent::TimeWait),
            (Expectation::Full, ClientEvent::Full),
            (Expectation::Nothing, ClientEvent::Nothing(String::new())),
        ] {
            assert_eq!(seen(&what, &[], false), Progress::Pending, "{what}");
            assert_eq!(seen(&what, &[shows], false), Progress::Met, "{what}");
        }
    }

    #[test]
    fn nothing_is_looked_for_anew_once_it_was_seen() {
        let nothing = || ClientEvent::Nothing(String::new());
        for events in [vec![nothing()], vec![connected(true), nothing()]] {
            let mut state = after(&events);
            let silence = Matcher::new(&Expectation::Silence, 0);
            state.consume(&silence);
            let mut sought = Matcher::new(&Expectation::Nothing, 0);
            assert_eq!(state.look(&mut sought, false), Progress::Met);
            state.consume(&sought);
            assert_eq!(state.look(&mut sought, false), Progress::Pending);
        }
    }

    #[test]
    fn bytes_of_a_flood_that_nobody_kept_are_neither_right_nor_wrong() {
        let flood = || ClientEvent::Received(Cut::of(&b"x".repeat(4_096)).into());
        let wanted = "x".repeat(4_096);
        let holes = Template::parse(&format!("{wanted}{{any}}y")).unwrap();
        for what in [text(&wanted), Expectation::Template(holes)] {
            let came = seen(&what, &[flood()], false);
            assert_eq!(came, Progress::Broken(Instead::Unkept { bytes: 4_096 }));
        }
        let came = seen(&text("x"), &[connected(true), flood()], false);
        assert_eq!(came, Progress::Broken(Instead::Unkept { bytes: 4_096 }));
        let begun = Expectation::Template(Template::parse("x{any}y").unwrap());
        assert_eq!(seen(&begun, &[received(b"xx")], false), Progress::Pending);
    }

    #[test]
    fn wrong_byte_is_told_with_sixteen_before_it_and_as_many_from_it_on() {
        let came: Vec<u8> = (b'0'..=b'z').collect();
        let mut owed = came.clone();
        owed[20] = b'!';
        let owed = Expectation::Data(Data::literal(owed));
        match seen(&owed, &[received(&came)], false) {
            Progress::Broken(Instead::Wrong {
                near, before, at, ..
            }) => {
                assert_eq!(near, Excerpt::of(&came[4..36]));
                assert_eq!((before, at), (4, 20));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_with_holes_behind_what_is_said_unasked_is_wrong_from_its_own_bytes_on() {
        let holes = Expectation::Template(Template::parse(r"+P{any}G\r\n").unwrap());
        let looked = |state: ClientState| state.look(&mut Matcher::new(&holes, 0), false);
        assert_eq!(looked(pinged(&["PING :1\r\n+P"])), Progress::Pending);
        match looked(pinged(&["PING :1\r\n+XONG\r\n"])) {
            Progress::Broken(Instead::Wrong { at, .. }) => assert_eq!(at, 1),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn datagram_that_fits_a_text_with_holes_is_used_up_and_another_is_not() {
        let mut state = after(&[connected(true), datagram(b"ok 17"), datagram(b"no")]);
        let ok = Expectation::Template(Template::parse("ok {any}").unwrap());
        state.consume(&Matcher::new(&ok, 0));
        assert_eq!(state.so_far(), Got::Datagram(Excerpt::of(b"no")));
        state.consume(&Matcher::new(&ok, 0));
        assert_eq!(state.so_far(), Got::Datagram(Excerpt::of(b"no")));
        // Only what might have been lost may come late.
        assert!(state.late.is_empty());
        state.consume(&Matcher::new(&text("yes"), 0));
        assert!(state.late.is_empty());
    }

    #[test]
    fn bytes_that_continue_what_is_owed_are_foreseen() {
        let pattern = Expectation::Data(
            Source::Pattern {
                bytes: 4_096,
                seed: 1,
            }
            .into(),
        );
        let Expectation::Data(data) = &pattern else {
            unreachable!();
        };
        let begun = after(&[received(&data.bytes(0)[..100])]);
        let mut sought = Matcher::new(&pattern, 0);
        assert_eq!(begun.look(&mut sought, false), Progress::Pending);
        let foreseen = sought.foresees().map(|(of, at)| ((**of).clone(), at));
        assert_eq!(foreseen, Some((data.clone(), 100)));
    }

    #[test]
    fn bytes_are_unasked_where_all_of_them_are_known_to_be() {
        let ping = Template::parse(r"PING :{any}\r\n").unwrap();
        let speaks = ClientStates::hearing(&[ping].into_iter().collect());
        let ping = || Passage::from(b"PING :1\r\n".to_vec());
        assert!(speaks.are_unasked(&ping()));
        assert!(!speaks.are_unasked(&b"PING :1\r\n+OK\r\n".to_vec().into()));
        let kept_in_part = Cut::of(&b"PING :1\r\n".repeat(900));
        assert!(!speaks.are_unasked(&kept_in_part.into()));
        assert!(!ClientStates::default().are_unasked(&ping()));
        assert!(!ClientStates::default().are_unasked(&Vec::new().into()));
    }

    #[test]
    fn clients_of_a_phase_are_new_and_the_bystander_stays() {
        let mallory = Phase::Scenario.client(0, 0);
        let mut client_states = ClientStates::default();
        let ended = || ClientEvent::Ended(End::Fin);
        for what in [
            What::Client(mallory, ended()),
            What::Client(ClientId::BYSTANDER, ended()),
            What::Phase(Phase::Scenario),
        ] {
            let at = Duration::ZERO;
            client_states.apply(&Event { at, what });
        }
        assert_eq!(client_states.of(mallory).ended(), None);
        let bystander = client_states.of(ClientId::BYSTANDER);
        assert_eq!(bystander.ended(), Some(End::Fin));
    }

    #[test]
    fn address_of_an_earlier_phase_is_of_nobody_but_the_bystander() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let came = |id, port| {
            let local = Some(at(port).into());
            let (peer, datagrams) = (None, false);
            What::Client(
                id,
                ClientEvent::Connected {
                    local,
                    peer,
                    datagrams,
                },
            )
        };
        let mallory = Phase::Scenario.client(0, 0);
        let mut client_states = ClientStates::default();
        for what in [
            came(mallory, 1),
            came(ClientId::BYSTANDER, 2),
            What::Phase(Phase::After),
        ] {
            let at = Duration::ZERO;
            client_states.apply(&Event { at, what });
        }
        assert_eq!(client_states.client_at(at(1)), None);
        assert_eq!(client_states.client_at(at(2)), Some(ClientId::BYSTANDER));
    }

    fn of_text(events: Vec<ClientEvent>) -> ClientState {
        let mut state = ClientState::default();
        events.iter().for_each(|event| state.apply(event));
        state
    }

    fn came(text: &str) -> ClientEvent {
        ClientEvent::Received(text.as_bytes().to_vec().into())
    }

    fn holes(text: &str) -> Expectation {
        Expectation::Template(Template::parse_with_variables(text).unwrap())
    }

    #[test]
    fn pattern_that_nothing_follows_ends_where_nothing_more_comes() {
        let number = holes("{n:[0-9]+}");
        let look = |events, settled| {
            let mut sought = Matcher::new(&number, 0);
            let seen = of_text(events).look(&mut sought, settled);
            (seen, sought.may_be_whole())
        };
        assert_eq!(look(vec![], false), (Progress::Pending, false));
        assert_eq!(look(vec![came("17")], false), (Progress::Pending, true));
        assert_eq!(look(vec![came("17")], true).0, Progress::Met);
        assert_eq!(look(vec![came("17 ")], false).0, Progress::Met);
        let end = ClientEvent::Ended(End::Fin);
        assert_eq!(look(vec![came("17"), end.clone()], false).0, Progress::Met);
        assert!(matches!(
            look(vec![came("x"), end], false).0,
            Progress::Broken(_)
        ));
    }

    #[test]
    fn first_way_that_fits_is_taken_and_an_end_only_where_nothing_else_came() {
        let end = Expectation::End {
            kinds: vec![End::Fin],
            all_bytes_first: false,
        };
        let ways = Expectation::OneOf(vec![holes("yes {line}\n"), data_of("no"), end]);
        let fin = || ClientEvent::Ended(End::Fin);
        let look = |events| of_text(events).look(&mut Matcher::new(&ways, 0), false);
        assert_eq!(look(vec![came("n")]), Progress::Pending);
        assert_eq!(look(vec![came("no")]), Progress::Met);
        assert_eq!(look(vec![came("yes 1\n")]), Progress::Met);
        assert_eq!(look(vec![fin()]), Progress::Met);
        assert!(matches!(look(vec![came("x"), fin()]), Progress::Broken(_)));
        assert!(matches!(look(vec![came("n"), fin()]), Progress::Broken(_)));
        // What nobody has kept of the ways may still be the end.
        assert_eq!(look(vec![]), Progress::Pending);
        let ab = Expectation::OneOf(vec![data_of("ab"), data_of("a")]);
        let mut sought = Matcher::new(&ab, 0);
        let begun = of_text(vec![came("a")]);
        assert_eq!(begun.look(&mut sought, false), Progress::Pending);
        assert!(sought.may_be_whole());
        assert_eq!(begun.look(&mut sought, true), Progress::Met);
        assert_eq!(sought.came, Some(1));
        let whole = of_text(vec![came("a"), came("b")]);
        assert_eq!(whole.look(&mut sought, false), Progress::Met);
        assert_eq!(sought.came, Some(0));
        let mut state = of_text(vec![came("no more")]);
        let mut sought = Matcher::new(&ways, 0);
        assert_eq!(state.look(&mut sought, false), Progress::Met);
        state.consume(&sought);
        assert_eq!(state.so_far().to_string(), "\" more\"");
    }

    fn data_of(text: &str) -> Expectation {
        Expectation::Data(Data::literal(text))
    }

    #[test]
    fn what_comes_before_its_time_is_too_soon() {
        let later = Expectation::NotBefore {
            after: Duration::from_millis(200),
            what: Box::new(data_of("now")),
        };
        let look = |events| of_text(events).look(&mut Matcher::new(&later, 0), false);
        let waited = |ms| ClientEvent::Waited(Duration::from_millis(ms));
        assert_eq!(look(vec![waited(300)]), Progress::Pending);
        assert_eq!(look(vec![came("now"), waited(200)]), Progress::Met);
        let waited_too_little = Duration::from_millis(199);
        let too_soon = Progress::Broken(Instead::TooSoon {
            waited: waited_too_little,
        });
        assert_eq!(look(vec![came("now"), waited(199)]), too_soon);
    }

    #[test]
    fn variable_is_what_was_captured_last_and_each_of_a_crowd_has_its_own() {
        let (one, two, other) = (
            ClientId { who: 0, member: 0 },
            ClientId { who: 0, member: 1 },
            ClientId { who: 1, member: 0 },
        );
        let mut states = ClientStates::default();
        let number = holes("{n:[0-9]+};");
        for (id, text) in [(one, "1;"), (two, "2;")] {
            let what = What::Client(id, came(text));
            states.apply(&Event {
                at: Duration::ZERO,
                what,
            });
            let mut sought = Matcher::new(&number, id.member);
            assert_eq!(states.take(id, &mut sought, false), Progress::Met);
        }
        let wants = Action::Expect {
            what: holes("<{n}>"),
            within: None,
        };
        let filled = |states: &ClientStates, id| states.filled(id, &wants).to_string();
        assert_eq!(filled(&states, one), "expect \"<1>\"");
        assert_eq!(filled(&states, two), "expect \"<2>\"");
        assert_eq!(filled(&states, other), "expect \"<2>\"");
        let what = What::Client(other, came("3;"));
        states.apply(&Event {
            at: Duration::ZERO,
            what,
        });
        states.take(other, &mut Matcher::new(&number, 0), false);
        assert_eq!(filled(&states, one), "expect \"<3>\"");
        let what = What::Phase(Phase::Scenario);
        states.apply(&Event {
            at: Duration::ZERO,
            what,
        });
        assert_eq!(filled(&states, one), "expect \"<>\"");
    }
}
