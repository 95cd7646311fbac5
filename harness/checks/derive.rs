//! What the scenarios of several families are made of.

use crate::model::action::{Action, ConnectOptions};
use crate::model::data::{Data, Source};
use crate::model::dialogue::{scenario, server_does, server_requires};
use crate::model::expectation::ServerExpectation;
use crate::model::need::Need;
use crate::model::profile::{Framing, Model};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::{ServerAction, Signal, Streams};
use crate::model::subject::Subject;

/// The positions at which a request of `length` bytes is cut: every one, or in a quick run of a long request the first
/// and last few and some between.
pub(super) fn cuts(length: usize, deep: bool) -> Vec<usize> {
    const QUICK: usize = 24;
    let all = 1..length;
    if deep || length <= QUICK {
        return all.collect();
    }
    let edge = 6;
    let step = (length / (QUICK - 2 * edge)).max(1);
    all.filter(|at| *at <= edge || *at >= length - edge || at % step == 0)
        .collect()
}

/// How many of `wanted` clients may connect at the same moment without one having to repeat its SYN after a second or
/// more: what overflows the accept queue is the matter of the backlog checks alone.
pub(super) fn at_once(subject: &Subject, wanted: u32) -> u32 {
    let wanted = match subject.profile.promises.most() {
        // Who comes again may be there before the server has noticed that it had left.
        Some(_) => (with_room(subject, wanted) / 2).max(1),
        None => wanted,
    };
    let fitting = |backlog: u32| wanted.min(backlog.saturating_add(1));
    subject.place.backlog.map_or(wanted, fitting)
}

/// How many of `wanted` clients may be connected at the same time beside one that talks and one that stands by.
pub(super) fn with_room(subject: &Subject, wanted: u32) -> u32 {
    let most = subject.profile.promises.most();
    most.map_or(wanted, |most| wanted.min(most.saturating_sub(2).max(1)))
}

/// About this many bytes of payload, in lines of a moderate length where the model is made of lines.
pub(super) fn bulk(model: Model, bytes: usize, seed: u64) -> Data {
    match model.framing {
        Framing::Stream | Framing::Datagram => model.payload(bytes, seed),
        Framing::Line => {
            let line = 1 << 10;
            let source = Source::Text {
                bytes: line,
                seed,
                line: true,
            };
            Data::from(source).times((bytes / line) as u32)
        }
    }
}

/// The server is killed, whatever it does, and its command run again.
pub(super) fn killed_and_started_again() -> Vec<Line> {
    vec![
        server_does(ServerAction::Signal(Signal::Kill)),
        server_requires(ServerExpectation::Exit(None)),
        server_does(ServerAction::Start(Streams::Usual)),
    ]
}

/// A connection of a client that takes a few KiB of a reply before the server has to wait for it.
pub(super) fn small_buffer() -> ConnectOptions {
    ConnectOptions {
        receive_buffer: Some(4 << 10),
        ..ConnectOptions::default()
    }
}

/// The same lines with every connection made in the given way.
pub(super) fn with_connect_options(mut lines: Vec<Line>, options: &ConnectOptions) -> Vec<Line> {
    for line in &mut lines {
        if let Step::Client {
            action: Action::Connect(made),
            ..
        } = &mut line.step
        {
            *made = options.clone();
        }
    }
    lines
}

/// One scenario of all conversations, or one for each where the server ends after a connection.
pub(super) fn in_one_or_each(
    name: &str,
    conversations: Vec<Vec<Line>>,
    subject: &Subject,
) -> Vec<Scenario> {
    let clients = [("alice", 1)];
    match Need::MANY_CONNECTIONS.unmet(subject) {
        None => vec![scenario(name, &clients, conversations)],
        Some(_) => conversations
            .into_iter()
            .map(|lines| scenario(name, &clients, vec![lines]))
            .collect(),
    }
}
