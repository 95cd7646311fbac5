//! The accept queue: how deep it is, what happens when it is full, and when descriptors run out.

use super::derive::{held_to_the_last, in_deeper_time};
use crate::checks::counterexample::{die_of, each, echo, listen, listen_with};
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::defect::Defect;
use crate::model::dialogue::{
    ClientSteps, scenario, server_does, server_expects, server_requires, settle,
};
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::need::Need;
use crate::model::scenario::Line;
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use crate::sys::socket::tcp_info;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A queue deeper than this takes more sockets to fill than a quick run opens.
const QUICK_DEPTH: u32 = 1_100;

/// The promised limit, capped as the kernel caps it where the server runs.
fn promised(subject: &Subject) -> Option<u32> {
    let promised = subject.profile.promises.backlog?;
    Some(subject.somaxconn.map_or(promised, |cap| promised.min(cap)))
}

/// A crowd that comes to the accept queue, or to the door where that is full.
fn crowd_arrives(subject: &Subject) -> Vec<Line> {
    ClientSteps::of(0)
        .connect_without_waiting()
        .speak_if_deferred(subject)
        .lines()
}

/// The limit that can be filled in this run.
fn fillable(subject: &Subject) -> Option<u32> {
    subject
        .place
        .backlog
        .filter(|backlog| subject.deep || *backlog <= QUICK_DEPTH)
}

static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// Accepts this many connections, then never again.
fn accept_only(address: &Address, most: usize) -> std::io::Result<()> {
    let listener = listen(address)?;
    loop {
        if ACCEPTED.fetch_add(1, Ordering::Relaxed) >= most {
            std::thread::park();
        }
        let (mut stream, _) = listener.accept()?;
        std::thread::spawn(move || echo(&mut stream));
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "backlog/depth",
        requirement: "The accept queue is as deep as promised: one more than the backlog connect, the next one waits.",
        why: "A tiny backlog costs clients seconds of repeated SYNs in a burst: \
              https://github.com/grobian/carbon-c-relay/issues/143 https://github.com/ElementsProject/lightning/issues/2378",
        method: "The limit is read from the kernel. With the server stopped, backlog + 1 clients connect; one more gets no answer, and \
                 is not refused.",
        quantities: "One more than the promised limit, capped by net.core.somaxconn, is what listen(2) lets in. \
                     Without --deep limits of up to 1,100 are filled, more than the 1,024 that are often asked for; \
                     with it any.",
        fix: "Pass the promised number to listen(2); it is capped by net.core.somaxconn.",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::BACKLOG, Need::ONE_LISTENER],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let limit = promised(subject).filter(|limit| subject.deep || *limit <= QUICK_DEPTH)?;
            let shown = scenario(
                "the limit that the kernel shows",
                &[],
                vec![vec![server_expects(ServerExpectation::Backlog(limit))]],
            );
            let filled = scenario(
                "the queue filled to its limit",
                &[("crowd", limit + 1), ("late", 1)],
                vec![
                    vec![server_does(ServerAction::Stop)],
                    // The server is stopped: that a handshake takes its time on a loaded host is no fault of its own.
                    crowd_arrives(subject),
                    vec![server_requires(ServerExpectation::AcceptQueue(limit + 1))],
                    ClientSteps::of(1)
                        .connect_without_waiting()
                        .expect(Expectation::Pending)
                        .lines(),
                    vec![server_does(ServerAction::Continue)],
                    ClientSteps::of(0).then(Action::Close).lines(),
                    ClientSteps::of(1).then(Action::Close).lines(),
                ],
            );
            Some(vec![shown, filled])
        },
        counterexample: Counterexample {
            instead_of: "welcome-gate",
            shows: "server-step-failed",
            serve: |address| each(&listen_with(address, true, 1)?, super::timeout::gate),
        },
    },
    Check {
        id: "backlog/burst",
        requirement: "Twice as many clients as the accept queue holds can connect at once, and all are served.",
        why: "A burst shows what a trickle hides: accept that stops, or is starved by the connections it made: \
              https://github.com/ai-dynamo/dynamo/pull/15080 https://github.com/HigherOrderCO/Bend/pull/977",
        method: "Twice the limit (at most 512) connect at once; each is served, and stays until all have been.",
        quantities: "Twice the queue, so that it overflows however soon the server takes the first ones; 512 are \
                     twice a queue of 256, and four times 128 (SOMAXCONN before Linux 5.4). With --deep up to 5,120: \
                     more than 4,096, today's somaxconn, as far as the server has descriptors for.",
        fix: "Accept until there is nothing to accept, with a backlog to match the load.",
        defect: &Defect::LISTEN,
        needs: &[
            Need::STREAM,
            Need::DIALOGUE,
            Need::CONCURRENT,
            Need::TIME_FOR_A_BURST,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let most = subject.deeper_crowd(512);
            let crowd = subject
                .place
                .backlog
                .map_or(256, |backlog| (backlog * 2).clamp(2, most));
            let crowd = subject.with_room(crowd);
            // Who is in speaks at once: a client that waited for the last of them would be silent all that time.
            let mut lines = ClientSteps::of(0)
                .connect_without_waiting()
                .expect(Expectation::Connected)
                .lines();
            // The polite conversation less its connect, which is done.
            lines.extend(
                ClientSteps::of(0)
                    .polite(subject)
                    .lines()
                    .into_iter()
                    .skip(1),
            );
            Some(vec![scenario(
                "a burst of clients",
                &[("crowd", crowd)],
                vec![in_deeper_time(held_to_the_last(lines), subject)],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| accept_only(address, 100),
        },
    },
    Check {
        id: "backlog/overflow-recovers",
        requirement: "A server whose accept queue has overflowed serves again at once.",
        why: "What overflowed while the server was busy must not follow it for ever: \
              https://github.com/dlang-community/DCD/pull/396",
        method: "With the server stopped, more clients connect than the queue holds; the full queue is seen in the \
                   kernel's table; the server runs on.",
        quantities: "Ten more than the queue holds are dropped whatever the server does, for it is stopped. Without \
                     --deep queues of up to 1,100 are filled, with it any.",
        fix: "Accept in a loop until accept(2) says that there is nothing left.",
        defect: &Defect::ACCEPT,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS, Need::ONE_LISTENER],
        policy: Policy::MUST,
        scenarios: |subject| {
            let limit = fillable(subject)?;
            Some(vec![scenario(
                "the queue overflows",
                &[("crowd", limit + 10)],
                vec![
                    vec![server_does(ServerAction::Stop)],
                    crowd_arrives(subject),
                    vec![
                        server_requires(ServerExpectation::AcceptQueue(limit + 1)),
                        server_does(ServerAction::Continue),
                        settle(),
                    ],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "served",
            serve: |address| {
                // A server that gives up once its queue has ever been full.
                let listener = listen_with(address, true, 64)?;
                let mut gives_up = false;
                loop {
                    // Of a listener these are how many wait, and its limit (tcp_get_info of the kernel).
                    let info = tcp_info(listener.as_fd())?;
                    gives_up |= info.tcpi_unacked >= info.tcpi_sacked;
                    if gives_up {
                        std::thread::park();
                        continue;
                    }
                    let (mut stream, _) = listener.accept()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "backlog/queue-drains",
        requirement: "A server with nothing to do leaves no connection in its accept queue.",
        why: "An edge-triggered loop that accepts once an event leaves the rest to wait for the next client: \
              https://github.com/h2o/h2o/issues/268",
        method: "With the server stopped, several clients connect at once; it runs on and must take them all.",
        quantities: "Five, or one more than the backlog, come as one event: a loop that accepts once an event leaves \
                     four. With --deep fifty, as far as the accept queue and the descriptors allow.",
        fix: "Accept until EAGAIN, or use level-triggered events.",
        defect: &Defect::ACCEPT,
        needs: &[Need::STREAM, Need::CONCURRENT],
        policy: Policy::MUST,
        scenarios: |subject| {
            let crowd = subject
                .place
                .backlog
                .map_or(1, |backlog| (backlog + 1).min(subject.deeper_crowd(5)));
            let crowd = subject.with_room(crowd);
            Some(vec![scenario(
                "several wait at once",
                &[("crowd", crowd)],
                vec![
                    vec![server_does(ServerAction::Stop)],
                    ClientSteps::of(0)
                        .connect()
                        .speak_if_deferred(subject)
                        .lines(),
                    vec![
                        server_requires(ServerExpectation::AcceptQueue(crowd)),
                        server_does(ServerAction::Continue),
                        server_expects(ServerExpectation::AcceptQueue(0)),
                    ],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                use rustix::event::epoll;
                let listener = listen(address)?;
                let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&events, &listener, epoll::EventData::new_u64(0), edges)?;
                loop {
                    // One connection an event, and an event is thought to come with each.
                    let mut found = Vec::with_capacity(1);
                    epoll::wait(&events, rustix::buffer::spare_capacity(&mut found), None)?;
                    let (mut stream, _) = listener.accept()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "backlog/descriptor-limit",
        requirement: "A server that runs out of descriptors neither ends nor spins, and serves again when it has some.",
        why: "accept fails with EMFILE and leaves the connection queued: loops spin, flood their log, or end: \
              https://github.com/joyent/libuv/issues/690 https://github.com/MDA2AV/ioxide/issues/222 \
              https://github.com/civetweb/civetweb/issues/962",
        method: "The limit on open files is lowered to a few more than are in use (prlimit(2)), or the server is started \
                   with such a limit where it has changed its user; more clients connect than that (and begin to speak, \
                   where the kernel keeps others from the server, TCP_DEFER_ACCEPT), and leave again; then the limit is \
                   restored.",
        quantities: "Sixteen come to a server that may open eight more descriptors, so that some of them meet EMFILE \
                     whatever else it opens. --deep changes nothing.",
        fix: "On EMFILE stop accepting until a connection has ended or some time has passed.",
        defect: &Defect::ACCEPT,
        needs: &[
            Need::STREAM,
            Need::SEVERAL_AT_ONCE,
            Need::TAKES_A_CROWD,
            Need::SHARED_PROCESS,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            // A reply may need a descriptor of its own, as a file that is served does; that of a model needs none.
            let old_client = |steps: ClientSteps| match subject.profile.model() {
                Some(_) => steps,
                None => ClientSteps::of(1),
            };
            let (opens, talks) = (
                ClientSteps::of(1).open_accepted(subject),
                ClientSteps::of(1).request_and_reply(subject),
            );
            Some(vec![scenario(
                "descriptors run out",
                &[("crowd", 16), ("alice", 1)],
                vec![
                    // Before anybody comes: a server that may not be limited while it runs is started again.
                    vec![server_does(ServerAction::LimitOpenFiles(8))],
                    old_client(opens).lines(),
                    crowd_arrives(subject),
                    vec![
                        server_requires(ServerExpectation::OutOfFiles),
                        server_expects(ServerExpectation::Rest),
                    ],
                    old_client(talks).lines(),
                    ClientSteps::of(0).then(Action::Close).lines(),
                    vec![server_does(ServerAction::RestoreOpenFiles), settle()],
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    match listener.accept() {
                        Ok((mut stream, _)) => {
                            std::thread::spawn(move || echo(&mut stream));
                        }
                        Err(error) => return die_of(Err(error)),
                    }
                }
            },
        },
    },
];
