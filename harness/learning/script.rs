//! What a client has said, in turn with its server, and the scenario that says it again.

use super::holes::{Suspected, template};
use super::tape::{Heard, Side, Tape};
use crate::model::action::Action;
use crate::model::data::Data;
use crate::model::dialogue::{ClientSteps, pause, scenario, settle};
use crate::model::expectation::Expectation;
use crate::model::profile::Transport;
use crate::model::scenario::{Line, Scenario};
use crate::model::template::Template;
use std::time::Duration;

/// What a client says, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) said: Vec<u8>,
    pub(super) answered: Vec<u8>,
}

/// One connection, in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    pub(super) over: Transport,
    /// What the server said first.
    pub(super) greeting: Vec<u8>,
    pub(super) turns: Vec<Turn>,
}

impl Talk {
    fn new(over: Transport) -> Self {
        Self {
            over,
            greeting: Vec::new(),
            turns: Vec::new(),
        }
    }

    /// Adds what one side has said: a reply is over when the client speaks again, and each datagram is a whole.
    fn add(&mut self, side: Side, bytes: &[u8]) {
        let whole = self.over.is_datagram();
        match (side, self.turns.last_mut()) {
            (Side::Client, Some(turn)) if turn.answered.is_empty() && !whole => {
                turn.said.extend_from_slice(bytes);
            }
            (Side::Client, _) => self.turns.push(Turn {
                said: bytes.to_vec(),
                answered: Vec::new(),
            }),
            (Side::Server, Some(turn)) if turn.answered.is_empty() || !whole => {
                turn.answered.extend_from_slice(bytes);
            }
            // Who is answered by several datagrams is owed the first of them.
            (Side::Server, Some(_)) => {}
            (Side::Server, None) => self.greeting.extend_from_slice(bytes),
        }
    }

    /// How much of it is answered.
    fn answers(&self) -> usize {
        let answered = self.turns.iter().filter(|turn| !turn.answered.is_empty());
        answered.count()
    }

    /// Whether anything is to be learned from it.
    pub(super) fn is_something(&self) -> bool {
        self.answers() > 0 || !self.greeting.is_empty()
    }

    /// The same without what was not answered at the end, as farewells are not.
    fn trimmed(mut self) -> Self {
        while self
            .turns
            .last()
            .is_some_and(|turn| turn.answered.is_empty())
        {
            self.turns.pop();
        }
        self
    }
}

/// The connections of a tape, each in turns.
pub(super) fn talks(tape: &Tape) -> Vec<Talk> {
    let mut talks: Vec<Talk> = tape
        .connections
        .iter()
        .map(|over| Talk::new(*over))
        .collect();
    for sound in &tape.sounds {
        if let Heard::Said(side, bytes) = &sound.what {
            talks[sound.of].add(*side, bytes);
        }
    }
    talks.into_iter().map(Talk::trimmed).collect()
}

/// The connection that tells the most: the first of those with the most answers.
pub(super) fn best(talks: Vec<Talk>) -> Option<Talk> {
    let something = talks.into_iter().filter(Talk::is_something);
    something.reduce(|best, next| match next.answers() > best.answers() {
        true => next,
        false => best,
    })
}

/// The same words as they would have been said to the server itself: the relay had another port.
pub(super) fn without_relay(said: &[u8], (relay, server): (u16, u16)) -> Vec<u8> {
    if relay == server {
        return said.to_vec();
    }
    let places = ["127.0.0.1", "localhost"].map(|host| {
        let place = |port: u16| format!("{host}:{port}").into_bytes();
        (place(relay), place(server))
    });
    let mut said = said.to_vec();
    for (ours, theirs) in places {
        // What counts its bytes still counts right.
        if ours.len() == theirs.len() {
            let mut at = 0;
            while let Some(found) = crate::model::data::find(&said[at..], &ours) {
                let end = at + found + ours.len();
                said[at + found..end].copy_from_slice(&theirs);
                at = end;
            }
        }
    }
    said
}

/// What is said again, and what is waited for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) said: Vec<u8>,
    pub(super) awaited: Option<Expectation>,
}

/// What all of these replies have in common, as something to wait for: where it has come, so has the reply.
pub(super) fn awaited(replies: &[Vec<u8>], over: Transport) -> Option<Expectation> {
    let is_datagram = over.is_datagram();
    if replies.iter().any(Vec::is_empty) {
        return None;
    }
    template(replies, is_datagram, Suspected::Clocks).map(expected)
}

/// Bytes of any kind, at least one, and all of them until the server comes to rest.
const SOMETHING: &str = r"{:[\x00-\xff]+}";

/// That anything comes at all, to be waited for where it varies.
pub(super) fn something() -> Option<Expectation> {
    let template = Template::parse(SOMETHING).ok();
    template.map(Expectation::Template)
}

/// A template as something to expect.
pub(super) fn expected(template: Template) -> Expectation {
    match template.as_literal() {
        Some(bytes) => Expectation::Data(Data::literal(bytes)),
        None => Expectation::Template(template),
    }
}

/// For as long a server at rest may still have something to say: Nagle's algorithm holds the last segment back until the one before
/// is acknowledged, which our kernel may put off (`TCP_DELACK_MAX`).
const HELD_BACK: Duration = Duration::from_millis(200);

/// One thing that a client does, or waits for.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Connect,
    Say(Vec<u8>),
    /// It hears what the server says until that comes to rest; this much of it is waited for.
    Hear(Option<Expectation>),
    HalfClose,
    /// It finds that the server has ended the connection.
    FindEnd,
    Close,
}

/// What clients do in turn, each by its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub(super) moves: Vec<(usize, Move)>,
    /// What the clients were told when they did it themselves, each by the number of the move that hears it.
    pub(super) told: Vec<(usize, Vec<u8>)>,
}

impl Script {
    /// A client that says all of it in turn, gives the server the time to come to rest after each, and closes.
    pub(super) fn in_turn(greeting: Option<Expectation>, asks: &[Ask]) -> Self {
        let mut moves = vec![Move::Connect, Move::Hear(greeting)];
        for ask in asks {
            moves.push(Move::Say(ask.said.clone()));
            moves.push(Move::Hear(ask.awaited.clone()));
        }
        moves.push(Move::Close);
        Self {
            moves: moves.into_iter().map(|move_| (0, move_)).collect(),
            told: Vec::new(),
        }
    }

    /// How many requests have been made by a move.
    pub(super) fn asked_by(&self, n: usize) -> usize {
        let moves = self.moves.iter().take(n + 1);
        moves
            .filter(|(_, what)| matches!(what, Move::Say(_)))
            .count()
    }

    /// The same as a scenario, and of each of its lines the number of the move that it belongs to.
    pub(super) fn scenario(&self) -> (Scenario, Vec<usize>) {
        let (mut lines, mut moves) = (Vec::new(), Vec::new());
        for (n, (who, move_)) in self.moves.iter().enumerate() {
            let steps = ClientSteps::of(*who);
            let of_move = match move_ {
                Move::Connect => steps.connect().lines(),
                Move::Say(bytes) => steps.send(bytes.clone()).lines(),
                Move::Hear(Some(awaited)) => {
                    let mut lines = steps.expect(awaited.clone()).lines();
                    lines.push(settle());
                    lines
                }
                Move::FindEnd => vec![settle()],
                Move::Hear(None) => vec![settle(), pause(HELD_BACK), settle()],
                Move::HalfClose => steps.then(Action::HalfClose).lines(),
                Move::Close => steps.then(Action::Close).lines(),
            };
            moves.extend(std::iter::repeat_n(n, of_move.len()));
            lines.extend(of_move);
        }
        (self.named("what was said", lines), moves)
    }

    /// A scenario of its clients.
    pub(super) fn named(&self, name: &str, lines: Vec<Line>) -> Scenario {
        let clients = self.moves.iter().map(|(who, _)| who + 1).max();
        let names: Vec<String> = (0..clients.unwrap_or(0)).map(client_name).collect();
        let clients: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        scenario(name, &clients, vec![lines])
    }
}

const NAMES: &[&str] = &[
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy",
];

/// What the client of this number is called.
pub(super) fn client_name(who: usize) -> String {
    match NAMES.get(who) {
        Some(name) => (*name).to_owned(),
        None => format!("client{}", who + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(over: Transport, said: &[(Side, &str)]) -> Tape {
        let mut tape = Tape::new();
        let of = tape.begin(over);
        for (side, text) in said {
            tape.hear(of, Heard::Said(*side, text.as_bytes().to_vec()));
        }
        tape
    }

    fn turns(talk: &Talk) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let turns = talk.turns.iter();
        turns
            .map(|turn| (text(&turn.said[..]), text(&turn.answered[..])))
            .collect()
    }

    use Side::{Client, Server};

    #[test]
    fn reply_is_over_when_the_client_speaks_again() {
        let said = [
            (Server, "220 "),
            (Server, "hi"),
            (Client, "HE"),
            (Client, "LO"),
            (Server, "2"),
            (Server, "50"),
            (Client, "QUIT"),
        ];
        let talks = talks(&tape(Transport::Tcp, &said));
        assert_eq!(talks[0].greeting, b"220 hi");
        assert_eq!(turns(&talks[0]), [("HELO", "250")]);
    }

    #[test]
    fn each_datagram_is_a_whole_and_the_first_answer_counts() {
        let said = [(Client, "a"), (Client, "b"), (Server, "B"), (Server, "C")];
        let talks = talks(&tape(Transport::Udp, &said));
        assert_eq!(turns(&talks[0]), [("a", ""), ("b", "B")]);
    }

    #[test]
    fn connection_with_the_most_answers_tells_the_most() {
        let mut tape = tape(Transport::Tcp, &[(Client, "a"), (Server, "A")]);
        let of = tape.begin(Transport::Tcp);
        for (side, text) in [(Client, "x"), (Server, "X"), (Client, "y"), (Server, "Y")] {
            tape.hear(of, Heard::Said(side, text.as_bytes().to_vec()));
        }
        let best = best(talks(&tape)).unwrap();
        assert_eq!(turns(&best), [("x", "X"), ("y", "Y")]);
    }

    #[test]
    fn port_of_the_relay_becomes_that_of_the_server() {
        let host = b"Host: 127.0.0.1:7001\r\nReferer: localhost:7001";
        let told = without_relay(host, (7001, 7000));
        assert_eq!(told, b"Host: 127.0.0.1:7000\r\nReferer: localhost:7000");
        assert_eq!(without_relay(host, (7001, 80)), host);
    }

    #[test]
    fn port_stands_where_the_server_has_none_of_its_own() {
        let host = b"Host: 127.0.0.1:7001\r\nReferer: localhost:7001";
        assert_eq!(without_relay(host, (7001, 7001)), host);
    }

    #[test]
    fn what_replies_have_in_common_is_waited_for() {
        let of = |replies: &[&str], over| {
            let replies: Vec<Vec<u8>> = replies.iter().map(|r| r.as_bytes().to_vec()).collect();
            awaited(&replies, over).map(|awaited| match awaited {
                Expectation::Data(data) => data.to_string(),
                Expectation::Template(template) => template.to_string(),
                _ => unreachable!(),
            })
        };
        let tcp = |replies| of(replies, Transport::Tcp);
        assert_eq!(tcp(&["+OK\r\n", "+OK\r\n"]).unwrap(), r#""+OK\r\n""#);
        assert_eq!(tcp(&["at 17.", "at 9."]).unwrap(), r#""at {line}.""#);
        assert_eq!(tcp(&["at 17", "at 9"]), None);
        assert_eq!(tcp(&["a", ""]), None);
        assert_eq!(of(&["1", "2"], Transport::Udp).unwrap(), r#""{line}""#);
    }
}
