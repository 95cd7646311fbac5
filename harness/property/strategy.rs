//! What is drawn, and how often: the sizes, the places and the manners at which servers break.

use super::plan::{
    Case, ClientPlan, CloseKind, ConnectKind, Connection, Content, Message, Spot, Waiting,
};
use super::rules::Kind;
use crate::model::data::Segmentation;
use crate::model::system_call::{ErrorName, RareAnswer, SystemCall, When, With};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{BoxedStrategy, Just, Strategy};
use proptest::{option, prop_oneof};

/// Cases for servers that answer in the given unit.
pub(super) fn cases(kind: Kind) -> BoxedStrategy<Case> {
    let plan = (vec(connection(kind), 1..=2), vec(0..8u8, 0..=24))
        .prop_map(|(connections, gaps)| ClientPlan { connections, gaps });
    let freeze = option::weighted(0.25, (any::<u8>(), 1..=8u8));
    let restart = option::weighted(0.03, any::<u8>());
    let answers = option::weighted(0.5, vec(answer(), 1..=2));
    (vec(plan, 1..=4), freeze, restart, answers)
        .prop_map(|(plans, freeze, restart, answers)| Case {
            plans,
            freeze,
            restart,
            answers: answers.unwrap_or_default(),
        })
        .boxed()
}

/// Rare answers by which nobody is owed anything else.
fn answer() -> impl Strategy<Value = RareAnswer> {
    let bytes = prop_oneof![
        3 => Just(1usize),
        3 => 2..16usize,
        1 => Just(1_000usize),
        1 => 4_095..=4_097usize,
    ];
    let shortened = (
        prop_oneof![Just(SystemCall::Read), Just(SystemCall::Write)],
        bytes.prop_map(With::AtMost),
    );
    let waits = prop_oneof![
        (Just(SystemCall::Wait), Just(With::Error(ErrorName::EINTR))),
        (Just(SystemCall::Read), Just(With::Error(ErrorName::EAGAIN))),
        (Just(SystemCall::Read), Just(With::Error(ErrorName::EINTR))),
    ];
    let what = prop_oneof![3 => shortened, 1 => waits];
    (what, 1..6u32, 1..12u32).prop_map(|((call, with), first, times)| RareAnswer {
        call,
        of: call.usually_of(),
        with,
        when: When::From { first, times },
        if_any: true,
    })
}

fn connection(kind: Kind) -> impl Strategy<Value = Connection> {
    let connect = prop_oneof![
        8 => Just(ConnectKind::Plain),
        1 => Just(ConnectKind::SmallBuffer),
        1 => Just(ConnectKind::SmallSegments),
        3 => Just(ConnectKind::SamePort),
    ];
    let close = prop_oneof![
        3 => Just(CloseKind::Close),
        2 => Just(CloseKind::HalfClose),
        2 => Just(CloseKind::Reset),
        1 => Just(CloseKind::Abrupt),
    ];
    let again = match kind {
        Kind::Datagram => proptest::bool::weighted(0.25).boxed(),
        Kind::Stream | Kind::Line | Kind::Exchange => Just(false).boxed(),
    };
    (
        vec(message(kind), 0..=3),
        option::weighted(0.3, 1..40usize),
        close,
        connect,
        again,
    )
        .prop_map(|(messages, unfinished, close, connect, again)| Connection {
            connect,
            messages,
            unfinished,
            again,
            close,
        })
}

fn message(kind: Kind) -> impl Strategy<Value = Message> {
    let content = prop_oneof![
        6 => Just(Content::Letters),
        3 => Just(Content::Noise),
        1 => Just(Content::Nul),
        1 => Just(Content::NoText),
        1 => Just(Content::MultiByte),
        1 => Just(Content::Delimiters),
    ];
    let waiting = prop_oneof![
        5 => Just(Waiting::Hear),
        3 => Just(Waiting::GoOn),
        1 => Just(Waiting::Stall),
        1 => Just(Waiting::Slow),
    ];
    let times = prop_oneof![3 => Just(1u32), 1 => 2..=4u32];
    (
        sizes(kind),
        segmentation(),
        times,
        waiting,
        content,
        0..8u64,
    )
        .prop_map(
            |(size, segmentation, times, waiting, content, seed)| Message {
                content,
                size,
                seed,
                times,
                segmentation,
                waiting,
            },
        )
}

fn segmentation() -> impl Strategy<Value = Segmentation<Spot>> {
    let spot = prop_oneof![
        3 => Just(Spot::End(1)),
        2 => Just(Spot::Start(1)),
        1 => (2..8usize).prop_map(Spot::Start),
        1 => (2..8usize).prop_map(Spot::End),
        1 => (4..17u32).prop_map(Spot::Power),
        3 => any::<u16>().prop_map(Spot::Share),
    ];
    let pieces = prop_oneof![
        Just(1usize),
        Just(2),
        Just(3),
        Just(16),
        Just(64),
        Just(1_000),
        Just(1_024),
        Just(1_460),
        Just(4_096)
    ];
    prop_oneof![
        4 => Just(Segmentation::Whole),
        4 => vec(spot, 1..=3).prop_map(Segmentation::At),
        1 => pieces.prop_map(Segmentation::Pieces),
    ]
}

/// Sizes around which buffers end: the powers of two, the multiples of common buffers, nothing, and one.
fn sizes(kind: Kind) -> impl Strategy<Value = usize> {
    let near = |size: usize, step: usize| (size + step).saturating_sub(1);
    // The buffers of most servers have between 256 bytes and 16 KiB.
    let power = prop_oneof![0..=16u32, 8..=14u32];
    let around_a_power = (power, 0..=2usize).prop_map(move |(power, step)| near(1 << power, step));
    let common = prop_oneof![
        Just(512usize),
        Just(1_000),
        Just(1_024),
        Just(1_460),
        Just(1_500),
        Just(2_048),
        Just(4_096),
        Just(8_192)
    ];
    let around_a_multiple = (common, 1..=4usize, 0..=2usize)
        .prop_map(move |(size, times, step)| near(size * times, step));
    let large = (17..=18u32, 0..=2usize).prop_map(move |(power, step)| near(1 << power, step));
    let largest = match kind {
        // Longer lines are the matter of the checks on large payloads.
        Kind::Line => Just(65_535usize).boxed(),
        Kind::Datagram => (65_500..=65_507usize).boxed(),
        Kind::Stream | Kind::Exchange => large.boxed(),
    };
    let empty = match kind {
        Kind::Datagram => 3,
        _ => 1,
    };
    prop_oneof![
        empty => Just(0usize),
        5 => 1..=40usize,
        10 => around_a_power,
        4 => around_a_multiple,
        2 => 41..5_000usize,
        2 => largest,
    ]
}
