//! Abrupt resets: a client may send RST at any moment, and no moment may be fatal to the server.

use super::derive::{bulk, cuts, without_a_word};
use crate::checks::counterexample::{die_of, each, echo, echo_once_heard, listen};
use crate::model::action::Action;
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::Data;
use crate::model::defect::Defect;
use crate::model::dialogue::{self, ClientSteps, repeat, scenario, server_does, settle};
use crate::model::invariant::Invariant;
use crate::model::need::Need;
use crate::model::scenario::{Scenario, Waiver};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many connections fit the accept queue of a stopped server, up to `wanted` (backlog + 1, listen(2)).
fn that_fit(subject: &Subject, wanted: u32) -> u32 {
    subject
        .place
        .backlog
        .map_or(1, |backlog| wanted.min(backlog + 1))
}

fn large_request(subject: &Subject) -> Option<Data> {
    Some(bulk(subject.profile.model()?, 256 << 10, subject.seed))
}

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static CONVERSATIONS: AtomicUsize = AtomicUsize::new(0);

/// More than the 1,024 at which tables of slots and counters of connections commonly end.
const MANY: u32 = 1_100;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "reset/before-accept",
        requirement: "A server goes on accepting when clients reset their connections before they were accepted.",
        why: "Linux hands such a connection out by accept(2), and what is called on it next fails: getpeername with \
              ENOTCONN, options with EINVAL. Servers end their accept loop over it: \
              https://github.com/tiny-http/tiny-http/issues/180 https://github.com/hickory-dns/hickory-dns/pull/3726",
        method: "The server is stopped (SIGSTOP), clients connect and reset, the server runs on (SIGCONT).",
        quantities: "Twenty, or as many as the accept queue holds, are several for each worker of a small pool; one \
                     is enough for a loop that takes it for fatal. With --deep two hundred.",
        fix: "Treat every error of a new connection as the end of that connection, and accept the next.",
        defect: &Defect::ACCEPT,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let crowd = that_fit(subject, subject.deeper(20)).min(subject.most_clients);
            Some(vec![scenario(
                "clients reset before they are accepted",
                &[("mallory", crowd)],
                vec![
                    vec![server_does(ServerAction::Stop)],
                    ClientSteps::of(0).connect().then(Action::Reset).lines(),
                    vec![server_does(ServerAction::Continue), settle()],
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    stream.peer_addr()?;
                    std::thread::spawn(move || echo(&mut stream));
                }
            },
        },
    },
    Check {
        id: "reset/after-connect",
        requirement: "A server survives connections that are reset at once, and keeps no descriptor of them.",
        why: "A port scan does this. Servers have unwrapped the error of the first read, or leaked the descriptor: \
              https://github.com/cyphernet-labs/netservices.rs/issues/37 https://github.com/mattn/http-server/pull/7",
        method: "Fifty times, a client connects and resets at once.",
        quantities: "Fifty add enough to be worth growing doses, which tell a descriptor that is kept of each \
                     connection from a pool (Growth in evidence.md). What adds up to a limit is for reset/many. With \
                     --deep five hundred.",
        fix: "Close the descriptor on every path out of a conversation, errors included.",
        defect: &Defect::RESET,
        needs: &[Need::OWN_PROCESS, Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let resets = |(how, comes): (&str, ClientSteps)| {
                let steps = comes.then(Action::Reset).lines();
                let lines = vec![repeat(subject.deeper(50), steps), settle()];
                let name = format!("connect and reset, again and again{how}");
                scenario(name, &[("mallory", 1)], vec![lines])
            };
            Some(without_a_word(0, subject).into_iter().map(resets).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "open-files",
            serve: |address| {
                let listener = listen(address)?;
                loop {
                    let (mut stream, _) = listener.accept()?;
                    std::thread::spawn(move || {
                        if echo(&mut stream).is_err() {
                            std::mem::forget(stream);
                        }
                    });
                }
            },
        },
    },
    Check {
        id: "reset/mid-request",
        requirement: "A server survives a reset after any byte of a request.",
        why: "A read that fails with ECONNRESET ends the whole server where nothing catches it: \
              https://github.com/chipsalliance/caliptra-mcu-sw/issues/1137 https://github.com/gattaca-com/flux/pull/7",
        method: "For each position of the request, a client sends that much of it and resets.",
        quantities: "Of a request of up to 24 bytes every position is tried, of a longer one the first and the last \
                     six and about a dozen between: parsers change their state at the edges. With --deep every \
                     position.",
        fix: "Let an error of a read end the conversation and nothing else.",
        defect: &Defect::RESET,
        needs: &[Need::TCP, Need::LONG_REQUEST, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let lines = cuts(request.len(), subject.deep)
                .into_iter()
                .flat_map(|at| {
                    let half = ClientSteps::of(0).open(subject).send(&request[..at]);
                    let reset = ClientSteps::of(0).then(Action::Reset);
                    // Behind the reset too: what comes of it is not told of the client that comes next.
                    [half.lines(), vec![settle()], reset.lines(), vec![settle()]].concat()
                });
            Some(vec![scenario(
                "part of a request, then reset",
                &[("mallory", 1)],
                vec![lines.collect()],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| each(&listen(address)?, |stream| die_of(echo(stream))),
        },
    },
    Check {
        id: "reset/before-reply",
        requirement: "A server survives writing a reply to a client that has reset.",
        why: "The write fails with EPIPE and raises SIGPIPE, which kills the process where it is not ignored: \
              https://github.com/mangband/mangband/issues/552 https://github.com/stonier/ecl_core/issues/34",
        method: "The server is stopped while a request and a reset arrive behind each other, then runs on: it reads \
                   the request and writes its reply to a dead peer. The same with a FIN before the reset, and without \
                   stopping it.",
        quantities: "With the server stopped one would do, for the order is certain: five times each give the workers \
                     of a small pool their turn. Twenty without stopping it are left to chance. With --deep fifty and \
                     two hundred.",
        fix: "Ignore SIGPIPE (or send with MSG_NOSIGNAL), and let an error of a write end the conversation only.",
        defect: &Defect::RESET,
        needs: &[
            Need::TCP,
            Need::DIALOGUE,
            Need::MANY_CONNECTIONS,
            Need::REQUEST,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let stopped = [
                ClientSteps::of(0).open_accepted(subject).lines(),
                vec![server_does(ServerAction::Stop)],
                ClientSteps::of(0)
                    .send(request.clone())
                    .then(Action::Reset)
                    .lines(),
                vec![server_does(ServerAction::Continue), settle()],
            ];
            // A reset behind a FIN is reported as EPIPE, so that the first write raises SIGPIPE; otherwise it is
            // ECONNRESET, and a server that gives up at it never makes the second write (tcp_input.c: tcp_reset).
            let finished = [
                ClientSteps::of(0).open_accepted(subject).lines(),
                vec![server_does(ServerAction::Stop)],
                ClientSteps::of(0)
                    .send(request.clone())
                    .then(Action::HalfClose)
                    .then(Action::Reset)
                    .lines(),
                vec![server_does(ServerAction::Continue), settle()],
            ];
            let running = ClientSteps::of(0)
                .open(subject)
                .send(request)
                .then(Action::Reset);
            Some(vec![
                scenario(
                    "a request, FIN and a reset arrive together",
                    &[("mallory", 1)],
                    vec![vec![repeat(subject.deeper(5), finished.concat())]],
                ),
                scenario(
                    "a request and a reset arrive together",
                    &[("mallory", 1)],
                    vec![vec![repeat(subject.deeper(5), stopped.concat())]],
                ),
                scenario(
                    "reset right after a request",
                    &[("mallory", 1)],
                    vec![vec![repeat(subject.deeper(20), running.lines()), settle()]],
                ),
            ])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut buffer = [0; 4096];
                    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
                        die_of(stream.write_all(&buffer[..bytes]))?;
                    }
                    Ok(())
                })
            },
        },
    },
    Check {
        id: "reset/mid-reply",
        requirement: "A server survives a reset in the middle of a large reply.",
        why: "The write of the rest fails; servers have died of it or leaked the connection: \
              https://github.com/scality/cloudserver/pull/1100",
        method: "A client sends a large request, does not read, and resets while the reply is on its way.",
        quantities: "4 MiB are many times what the kernel takes at first for a client that does not read (128 KiB, \
                     tcp_rmem, and a send buffer that grows with it), so that the rest still waits when the reset \
                     comes. Three show a death; doses show what is kept. With --deep thirty times.",
        fix: "Let an error of a write end the conversation, and close its descriptor.",
        defect: &Defect::RESET,
        needs: &[Need::TCP, Need::REPLY, Need::MODEL, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let data = large_request(subject)?;
            let mut lines = ClientSteps::of(0)
                .open(subject)
                .then(Action::Stall)
                .send_in_background(data.times(16))
                .lines();
            lines.push(settle());
            lines.extend(ClientSteps::of(0).then(Action::Reset).lines());
            Some(vec![scenario(
                "reset with a large reply on its way",
                &[("mallory", 1)],
                vec![vec![repeat(subject.deeper(3), lines), settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut buffer = vec![0; 64 << 10];
                    loop {
                        match stream.read(&mut buffer) {
                            Ok(bytes @ 1..) => die_of(stream.write_all(&buffer[..bytes]))?,
                            _ => return Ok(()),
                        }
                    }
                })
            },
        },
    },
    Check {
        id: "reset/unread-reply",
        requirement: "A server survives clients that close with its reply unread.",
        why: "A close with unread data sends RST (RFC 2525, section 2.17); the server's next read or write fails: \
              https://github.com/suntong/dbab--pre1.3.3/issues/9",
        method: "Ten times, a client sends a request, does not read the reply, and closes.",
        quantities: "Ten give the workers of a small pool their turn, and doses show what is kept of each. With \
                     --deep a hundred.",
        fix: "Let an error of a read or write end the conversation and nothing else.",
        defect: &Defect::RESET,
        needs: &[
            Need::TCP,
            Need::DIALOGUE,
            Need::REPLY,
            Need::MANY_CONNECTIONS,
            Need::REQUEST,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let mut lines = ClientSteps::of(0)
                .open(subject)
                .then(Action::Stall)
                .send(request)
                .lines();
            lines.push(settle());
            // Who says close_notify first has ended in order, whatever follows; who is killed says nothing.
            let leaves = match subject.speaks_tls() {
                true => Action::Reset,
                false => Action::Close,
            };
            lines.extend(ClientSteps::of(0).then(leaves).lines());
            Some(vec![scenario(
                "close with the reply unread",
                &[("mallory", 1)],
                vec![vec![repeat(subject.deeper(10), lines), settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| each(&listen(address)?, |stream| die_of(echo(stream))),
        },
    },
    Check {
        id: "reset/storm",
        requirement: "Clients that talk are served exactly and in time while hundreds of others reset.",
        why: "Error paths that are slow, or that touch the wrong connection, show only in numbers: \
              https://github.com/quickfix/quickfix/issues/747 https://github.com/panjf2000/gnet/issues/621",
        method: "Five hundred connections are reset after a request, and as many inside of one, twenty at a time or as \
                   many as the accept queue holds, while another client talks.",
        quantities: "Five hundred of either kind leave what goes wrong with one in a hundred no good chance to be \
                     missed, and what is lost with each fills the limits of some hundreds that are usual. With --deep \
                     five thousand.",
        fix: "Keep the state of a connection with the connection, and close each descriptor exactly once.",
        defect: &Defect::RESET,
        needs: &[
            Need::TCP,
            Need::DIALOGUE,
            Need::CONCURRENT,
            Need::REQUEST,
            Need::CROWD,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let crowd = subject.at_once_again(20, 2);
            let half = request[..request.len() / 2].to_vec();
            let reset_after = |said: Vec<u8>| {
                let opened = ClientSteps::of(1).open(subject);
                let spoken = match said.is_empty() {
                    true => opened,
                    false => opened.send(said),
                };
                spoken.then(Action::Reset).lines()
            };
            // Where places are few, those that the server has not noticed to be free count for it too.
            let storm = match subject.profile.promises.most() {
                Some(_) => reset_after(half),
                None => [reset_after(request), reset_after(half)].concat(),
            };
            let polite = ClientSteps::of(0).polite(subject).lines();
            Some(vec![scenario(
                "a storm of resets beside a client that talks",
                &[("alice", 1), ("mallory", crowd)],
                vec![vec![
                    repeat(subject.deeper(500) / crowd, [storm, polite].concat()),
                    settle(),
                ]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let result = echo(stream);
                    let broken =
                        CONVERSATIONS.fetch_add(usize::from(result.is_err()), Ordering::Relaxed);
                    if broken > 50 {
                        std::process::exit(1);
                    }
                    result
                })
            },
        },
    },
    Check {
        id: "reset/many",
        requirement: "A server that has seen more than a thousand resets serves on.",
        why: "A counter of connections that an error path never counts down is full after some hundreds, and a table of slots \
              that it never clears has none left: https://github.com/rsanchez-wsu/jfiles/issues/254 \
              https://github.com/sockudo/sockudo/issues/51",
        method: "Eleven hundred connections are reset on one server, after a request where there is one, twenty at a time or as \
                   many as the accept queue holds: more than the 1,024 at which counters and tables of slots end.",
        quantities: "Eleven hundred are more than the 1,024 at which counters, tables of slots and the usual limit on \
                     descriptors end. With --deep eleven thousand: more than 4,096 and 10,000 too.",
        fix: "Count down where the connection is dropped, on every path out of a conversation.",
        defect: &Defect::LEAK,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let batch = subject.at_once(20);
            let crowd = match subject.profile.serves_concurrently() {
                true => batch,
                false => 1,
            };
            let opened = ClientSteps::of(0).open(subject);
            let spoken = match dialogue::request(&subject.profile) {
                Some(request) => opened.send(request),
                None => opened,
            };
            let reset = spoken.then(Action::Reset).lines();
            let lines = vec![repeat(batch / crowd, reset), settle()];
            let scenario = scenario(
                "more than a thousand resets",
                &[("mallory", crowd)],
                vec![vec![repeat(subject.deeper(MANY).div_ceil(batch), lines)]],
            );
            let waived = vec![Waiver {
                invariant: Invariant::Memory,
                reason: "what so many cost is measured where there are fewer: reset/after-connect"
                    .to_owned(),
            }];
            Some(vec![Scenario { waived, ..scenario }])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "served",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    if TAKEN.fetch_add(1, Ordering::Relaxed) >= 1_000 {
                        // No place is left.
                        return Ok(());
                    }
                    echo(stream)?;
                    TAKEN.fetch_sub(1, Ordering::Relaxed);
                    Ok(())
                })
            },
        },
    },
    Check {
        id: "reset/half-open",
        requirement: "A client that is gone without FIN or RST does not keep others from being served.",
        why: "A peer that loses its power says nothing; a thread that waits for it waits for ever: \
              https://github.com/ArcadeData/arcadedb/issues/6761 https://github.com/ClickHouse/ClickHouse/pull/10751",
        method: "A client sends half a request and vanishes: its socket is destroyed silently (TCP_REPAIR, tcp(7)).",
        quantities: "Three are more than a server has that serves one client after the other, or two. With --deep \
                     thirty, as far as places, descriptors and the accept queue allow: more than a small pool of \
                     workers has.",
        fix: "Serve each connection independently, and give it a time-out or keepalive.",
        defect: &Defect::MANY,
        needs: &[
            Need::TCP,
            Need::LONG_REQUEST,
            Need::OWN_NAMESPACE,
            Need::CONCURRENT,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let half = &request[..request.len() / 2];
            let polite = ClientSteps::of(0).polite(subject).lines();
            let mut gone = ClientSteps::of(1).open(subject).send(half).lines();
            // What the server still has to say would draw an RST, and be an end like any other.
            gone.push(settle());
            gone.extend(ClientSteps::of(1).then(Action::Vanish).lines());
            let waived = [Invariant::OpenFiles, Invariant::Threads].map(|invariant| Waiver {
                invariant,
                reason: "the server cannot know that the client is gone".to_owned(),
            });
            Some(vec![Scenario {
                waived: waived.to_vec(),
                ..scenario(
                    "a client is gone without a word",
                    &[("alice", 1), ("mallory", subject.deeper_few(3))],
                    vec![gone, polite],
                )
            }])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| echo_once_heard(&listen(address)?),
        },
    },
];
