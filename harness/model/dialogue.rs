//! What a polite client says to a server of a given profile, as steps.

use crate::model::action::{Action, ConnectOptions};
use crate::model::data::{Data, Segmentation};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::profile::{Exchange, Framing, Model, Profile, Rule, Speech};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use crate::model::template::Template;
use std::time::Duration;

/// The request that checks send to a server with a model.
const MODEL_REQUEST: &[u8] = b"hello from sockdrill\n";

/// As much of it as the server is promised to take.
fn model_request(model: &Model) -> Vec<u8> {
    let words = model.at_most(MODEL_REQUEST.len()) - 1;
    [&MODEL_REQUEST[..words], b"\n"].concat()
}

/// The request of the good exchange that checks cut, repeat and break off: the last one of a dialogue.
pub(crate) fn request(profile: &Profile) -> Option<Vec<u8>> {
    match &profile.speech {
        Speech::Unknown => None,
        Speech::Dialogue { exchanges, .. } => {
            exchanges.last().map(|exchange| exchange.send.clone())
        }
        Speech::Model(model) => Some(model_request(model)),
    }
}

/// Requests that a client makes on one connection, each behind the reply to the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    /// Each with what is owed for it; where the server does not reply, that it is read.
    pub(crate) asked: Vec<(Vec<u8>, Expectation)>,
    /// How many of the first are those of another conversation, too.
    pub(crate) shared: usize,
}

/// The conversations in which each request is made that the profile has: one with all exchanges of a dialogue, or where the server
/// closes after an exchange, one for each that does not open it.
pub(crate) fn conversations(profile: &Profile) -> Vec<Conversation> {
    let Speech::Dialogue { exchanges, .. } = &profile.speech else {
        let owed = reply(profile).unwrap_or(Expectation::Taken);
        let asked = request(profile).map(|request| (request, owed));
        let asked = asked.into_iter().collect();
        return vec![Conversation { asked, shared: 0 }];
    };
    let asked = |exchange: &Exchange| (exchange.send.clone(), owed(&exchange.reply));
    let opening: Vec<_> = profile.earlier_exchanges().map(asked).collect();
    let earlier = &exchanges[..exchanges.len().saturating_sub(1)];
    let closes = profile.closes_after_exchange();
    let alone = earlier
        .iter()
        .filter(|exchange| closes && !exchange.is_opening());
    let last = exchanges.last().into_iter().map(|last| (last, 0));
    let all = alone.map(|exchange| (exchange, opening.len())).chain(last);
    all.map(|(exchange, shared)| Conversation {
        asked: [&opening[..], &[asked(exchange)]].concat(),
        shared,
    })
    .collect()
}

/// The first half of the request, which is none yet; `None` where any byte is one.
pub(crate) fn half_a_request(profile: &Profile) -> Option<Vec<u8>> {
    let framing = profile.model().map(|model| model.framing);
    let is_stream = framing == Some(Framing::Stream);
    let mut request = request(profile).filter(|request| request.len() > 1 && !is_stream)?;
    request.truncate(request.len() / 2);
    Some(request)
}

/// What a client says first on a connection, whole.
pub(crate) fn first_request(profile: &Profile) -> Option<Vec<u8>> {
    let first = profile.earlier_exchanges().next();
    first
        .map(|exchange| exchange.send.clone())
        .or_else(|| request(profile))
}

/// The beginning of a ClientHello (RFC 8446, section 5.1).
const FIRST_OF_TLS: &[u8] = b"\x16\x03\x01";

/// The beginning of what a client says first, which is no request yet, unless one byte is.
fn first_words(profile: &Profile) -> Option<Vec<u8>> {
    if profile.tls.is_some() {
        return Some(FIRST_OF_TLS.to_vec());
    }
    let mut words = first_request(profile)?;
    words.truncate(words.len().div_ceil(2));
    Some(words)
}

/// What is owed for [`request`]; `None` where the server does not reply.
pub(crate) fn reply(profile: &Profile) -> Option<Expectation> {
    match &profile.speech {
        Speech::Unknown => None,
        Speech::Dialogue { exchanges, .. } => {
            exchanges.last().map(|exchange| owed(&exchange.reply))
        }
        Speech::Model(model) => model
            .reply(&Data::literal(model_request(model)))
            .map(Expectation::Data),
    }
}

/// Whether the server replies at all.
pub(crate) fn replies(profile: &Profile) -> bool {
    match &profile.speech {
        Speech::Unknown => false,
        Speech::Dialogue { .. } => true,
        Speech::Model(model) => model.rule != Rule::Discard,
    }
}

fn owed(template: &Template) -> Expectation {
    match template.as_literal() {
        Some(bytes) => Expectation::Data(Data::literal(bytes)),
        None => Expectation::Template(template.clone()),
    }
}

/// How many steps a client takes until it has come in, and the server has yet to hear a word of its protocol.
pub(crate) fn steps_to_come_in(subject: &Subject) -> usize {
    ClientSteps::of(0).connect().secured(subject).lines.len()
}

/// The lines of one client, in the making.
#[derive(Clone, Debug)]
pub(crate) struct ClientSteps {
    who: usize,
    lines: Vec<Line>,
}

impl ClientSteps {
    /// Nothing yet, by the client at this index.
    pub(crate) fn of(who: usize) -> Self {
        Self {
            who,
            lines: Vec::new(),
        }
    }

    /// Adds one action.
    #[must_use]
    pub(crate) fn then(mut self, action: Action) -> Self {
        let who = self.who;
        self.lines.push(Step::Client { who, action }.into());
        self
    }

    /// Connects and waits for the handshake.
    #[must_use]
    pub(crate) fn connect(self) -> Self {
        self.then(Action::Connect(ConnectOptions::default()))
    }

    /// Connects and goes on at once, whatever becomes of it.
    #[must_use]
    pub(crate) fn connect_without_waiting(self) -> Self {
        self.then(Action::Connect(ConnectOptions {
            without_waiting: true,
            ..ConnectOptions::default()
        }))
    }

    /// Sends bytes in one segment.
    #[must_use]
    pub(crate) fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.send_data(Data::literal(bytes), Segmentation::Whole)
    }

    /// Sends data in the given segments.
    #[must_use]
    pub(crate) fn send_data(self, data: Data, segmentation: Segmentation) -> Self {
        self.then(Action::Send {
            data,
            segmentation,
            every: None,
            as_records: false,
            background: false,
        })
    }

    /// Sends data in segments that a server sees as such: where it speaks TLS, each is a record of its own, for of a part of a record
    /// nothing is heard inside.
    #[must_use]
    pub(crate) fn send_parts(
        self,
        data: Data,
        segmentation: Segmentation,
        subject: &Subject,
    ) -> Self {
        let as_records = subject.speaks_tls() && segmentation != Segmentation::Whole;
        self.then(Action::Send {
            data,
            segmentation,
            every: None,
            as_records,
            background: false,
        })
    }

    /// Sends data without waiting until all of it is sent.
    #[must_use]
    pub(crate) fn send_in_background(self, data: Data) -> Self {
        self.then(Action::Send {
            data,
            segmentation: Segmentation::Whole,
            every: None,
            as_records: false,
            background: true,
        })
    }

    /// Expects something within the default limit.
    #[must_use]
    pub(crate) fn expect(self, what: Expectation) -> Self {
        self.then(Action::Expect { what, within: None })
    }

    /// Waits for something without which the case proves nothing.
    #[must_use]
    pub(crate) fn require(self, what: Expectation) -> Self {
        self.then(Action::Require { what, within: None })
    }

    /// Expects something within a limit.
    #[must_use]
    pub(crate) fn expect_within(self, what: Expectation, within: Duration) -> Self {
        let within = Some(within);
        self.then(Action::Expect { what, within })
    }

    /// Finds its connection still open, and nothing to read.
    #[must_use]
    pub(crate) fn expect_to_be_kept(self) -> Self {
        self.expect_within(Expectation::Silence, Duration::from_millis(1))
    }

    /// Expects the connection to end by FIN or RST.
    #[must_use]
    pub(crate) fn expect_end(self, kinds: &[End]) -> Self {
        self.expect(Expectation::End {
            kinds: kinds.to_vec(),
            all_bytes_first: false,
        })
    }

    /// Begins TLS on its connection, where the server speaks it, and does not wait for the end of the handshake.
    #[must_use]
    pub(crate) fn begin_tls(self, subject: &Subject) -> Self {
        match &subject.profile.tls {
            Some(options) => self.then(Action::StartTls(options.clone())),
            None => self,
        }
    }

    /// Goes through the TLS handshake on its connection, where the server speaks TLS.
    #[must_use]
    pub(crate) fn secured(self, subject: &Subject) -> Self {
        match subject.speaks_tls() {
            true => self.begin_tls(subject).expect(Expectation::Secured),
            false => self,
        }
    }

    /// Connects and hears the greeting, where there is one.
    #[must_use]
    pub(crate) fn greeted(self, subject: &Subject) -> Self {
        let connected = self.connect().secured(subject);
        match greeting(&subject.profile) {
            Some(greeting) => connected.expect(greeting),
            None => connected,
        }
    }

    /// Connects, and says what a server has to hear to know of it: nothing, its first words where the kernel keeps silent clients back, or
    /// the beginning of TLS.
    #[must_use]
    pub(crate) fn arrive(self, subject: &Subject) -> Self {
        let connected = self.connect();
        match subject.speaks_tls() {
            true => connected.begin_tls(subject),
            false => connected.speak_if_deferred(subject),
        }
    }

    /// Begins to speak where the kernel keeps from the server who has not (`TCP_DEFER_ACCEPT`, tcp(7)): the first words
    /// bring a client that is connected into its accept queue.
    #[must_use]
    pub(crate) fn speak_if_deferred(self, subject: &Subject) -> Self {
        match first_words(&subject.profile).filter(|_| subject.place.deferred) {
            // Nobody waits for those whose handshake is not over.
            Some(words) => self.send_in_background(Data::literal(words)),
            None => self,
        }
    }

    /// Comes into the server's hands as far as one can that stays: with the whole exchange, where that does not end the
    /// connection.
    #[must_use]
    pub(crate) fn come_to_stay(self, subject: &Subject) -> Self {
        match subject.profile.has_request() && !subject.profile.closes_after_exchange() {
            true => self.open(subject).request_and_reply(subject),
            // Who speaks TLS has spoken.
            false if subject.speaks_tls() => self.open(subject).expect(Expectation::Accepted),
            false => self
                .open(subject)
                .speak_if_deferred(subject)
                .expect(Expectation::Accepted),
        }
    }

    /// Connects and goes through all that comes before the last request: the greeting, then the earlier exchanges.
    #[must_use]
    pub(crate) fn open(self, subject: &Subject) -> Self {
        let steps = self.greeted(subject);
        let earlier = subject.profile.earlier_exchanges();
        earlier.fold(steps, Self::exchange)
    }

    /// Makes sure that the server has the connection in hand: by its first words where it has any, else by the kernel.
    #[must_use]
    pub(crate) fn open_accepted(self, subject: &Subject) -> Self {
        let steps = self.open(subject);
        let has_to_speak = subject.place.deferred && !subject.speaks_tls();
        let steps = match has_to_speak && !subject.profile.closes_after_exchange() {
            // Nobody but who has spoken is in the hands of this server.
            true => steps.request_and_reply(subject),
            false => steps,
        };
        match subject.place.transport.is_datagram() {
            true => steps,
            false => steps.require(Expectation::Accepted),
        }
    }

    fn exchange(self, exchange: &Exchange) -> Self {
        self.send(exchange.send.clone())
            .expect(owed(&exchange.reply))
    }

    /// Sends the request and expects what is owed for it; nothing where the profile has no request.
    #[must_use]
    pub(crate) fn request_and_reply(self, subject: &Subject) -> Self {
        match request(&subject.profile) {
            Some(request) => self.send(request).expect_reply(subject),
            None => self,
        }
    }

    /// Expects what is owed for the request; where nothing is, that the server has read it.
    #[must_use]
    pub(crate) fn expect_reply(self, subject: &Subject) -> Self {
        self.expect(reply(&subject.profile).unwrap_or(Expectation::Taken))
    }

    /// The same in no more time than a client takes that nobody keeps waiting.
    #[must_use]
    pub(crate) fn expect_reply_in_time(self, subject: &Subject) -> Self {
        let owed = reply(&subject.profile).unwrap_or(Expectation::Taken);
        self.expect_within(owed, subject.in_time())
    }

    /// The request, and what is owed for it in no more time than a client takes that nobody keeps waiting; then its end.
    #[must_use]
    pub(crate) fn served_in_time(self, subject: &Subject) -> Self {
        let steps = self.open(subject);
        let Some(request) = request(&subject.profile) else {
            return steps.finish(subject);
        };
        let steps = steps.send(request).expect_reply_in_time(subject);
        steps.finish(subject)
    }

    /// Ends politely: waits for the server's end where it closes first, then closes.
    #[must_use]
    pub(crate) fn finish(self, subject: &Subject) -> Self {
        let steps = match subject.profile.closes_after_exchange() {
            true => self.expect(Expectation::End {
                kinds: match subject.resets_at_end {
                    true => vec![End::Fin, End::Reset],
                    false => vec![End::Fin],
                },
                all_bytes_first: true,
            }),
            false => self,
        };
        steps.then(Action::Close)
    }

    /// The whole of a polite conversation: what the profile tells, or for an unknown server a connection that it
    /// takes in hand.
    #[must_use]
    pub(crate) fn polite(self, subject: &Subject) -> Self {
        let datagram = subject.profile.is_modelled_in(Framing::Datagram)
            || subject.place.transport.is_datagram();
        match request(&subject.profile) {
            None if datagram => self
                .connect()
                .send("sockdrill")
                .expect(Expectation::Taken)
                .then(Action::Close),
            None if subject.profile.has_dialogue() => self.open(subject).finish(subject),
            None => self
                .greeted(subject)
                .expect(Expectation::Accepted)
                .then(Action::Close),
            Some(_) => self
                .open(subject)
                .request_and_reply(subject)
                .finish(subject),
        }
    }

    /// The lines so far.
    pub(crate) fn lines(self) -> Vec<Line> {
        self.lines
    }
}

/// What the server says first, where it does.
pub(crate) fn greeting(profile: &Profile) -> Option<Expectation> {
    match &profile.speech {
        Speech::Dialogue { greeting, .. } => greeting.as_ref().map(owed),
        _ => None,
    }
}

/// A step that waits for something at the server.
pub(crate) fn server_expects(what: ServerExpectation) -> Line {
    Step::Server(ServerAction::Expect { what, within: None }).into()
}

/// A step that waits for something at the server within a limit.
pub(crate) fn server_expects_within(what: ServerExpectation, within: Duration) -> Line {
    let within = Some(within);
    Step::Server(ServerAction::Expect { what, within }).into()
}

/// A step that waits for something at the server without which the case proves nothing.
pub(crate) fn server_requires(what: ServerExpectation) -> Line {
    Step::Server(ServerAction::Require { what, within: None }).into()
}

/// A step in which time passes.
pub(crate) fn pause(time: Duration) -> Line {
    Step::Pause(time).into()
}

/// A step in which the server comes to rest.
pub(crate) fn settle() -> Line {
    Step::Settle.into()
}

/// A step that does something to the server.
pub(crate) fn server_does(action: ServerAction) -> Line {
    Step::Server(action).into()
}

/// The same lines several times.
pub(crate) fn repeat(times: u32, lines: Vec<Line>) -> Line {
    Step::Repeat { times, lines }.into()
}

/// A scenario of these clients and lines, with nothing waived.
pub(crate) fn scenario(
    name: impl Into<String>,
    clients: &[(&str, u32)],
    parts: Vec<Vec<Line>>,
) -> Scenario {
    Scenario {
        name: name.into(),
        clients: clients
            .iter()
            .map(|(name, members)| crate::model::scenario::ClientGroup {
                name: (*name).to_owned(),
                members: *members,
            })
            .collect(),
        waived: Vec::new(),
        lines: parts.into_iter().flatten().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said in each conversation, with how many of it are said in another one, too.
    fn said(promises: &str) -> Vec<(Vec<String>, usize)> {
        let exchange = |text: &str| format!("[[exchange]]\nsend = '{text}'\nreply = '{text}'\n");
        let opening = format!("{}once = true\n", exchange("hi"));
        let all = [opening, exchange("one"), exchange("two")].concat();
        let profile = format!("{all}[promises]\n{promises}\n");
        let profile = Profile::parse("talks", &profile).unwrap();
        let text = |(bytes, _): &(Vec<u8>, _)| String::from_utf8(bytes.clone()).unwrap();
        let conversations = conversations(&profile).into_iter();
        conversations
            .map(|one| (one.asked.iter().map(text).collect(), one.shared))
            .collect()
    }

    #[test]
    fn each_request_is_made_in_one_conversation_behind_what_opens_it() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let stays = said("after-exchange = \"stays-open\"");
        assert_eq!(stays, [(words(&["hi", "one", "two"]), 0)]);
        let closes = said("after-exchange = \"closes\"");
        let expected = [(words(&["hi", "one"]), 1), (words(&["hi", "two"]), 0)];
        assert_eq!(closes, expected);
    }
}
