//! Restarting on the same port: who closes first holds TIME_WAIT, and a server must live with its own.

use super::derive::{
    SECOND_INSTANCE, killed_and_started_again, second_instance, with_connect_options,
};
use crate::checks::counterexample::{die_of, each, echo, listen, listen_with};
use crate::model::action::{Action, ConnectOptions};
use crate::model::address::Address;
use crate::model::check::{Check, Counterexample, Policy, Referral};
use crate::model::defect::Defect;
use crate::model::dialogue::{ClientSteps, repeat, scenario, server_does, server_requires, settle};
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::need::Need;
use crate::model::scenario::Line;
use crate::model::server_action::{ServerAction, Signal, Streams};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

fn without_reuse(address: &Address) -> std::io::Result<()> {
    each(&listen_with(address, false, 1_024)?, echo)
}

fn start_again() -> Line {
    server_does(ServerAction::Start(Streams::Usual))
}

const WHY: &str = "A bind over connections of the past needs SO_REUSEADDR on the old and the new server (socket(7)); \
                   without it a restart fails with EADDRINUSE: https://github.com/neondatabase/neon/issues/801 \
                   https://github.com/open62541/open62541/issues/6463";

const CURE: &str = "Set SO_REUSEADDR before bind, always.";

static UNFINISHED: Mutex<Option<HashMap<SocketAddr, Vec<u8>>>> = Mutex::new(None);
static SERVED: AtomicUsize = AtomicUsize::new(0);

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "time-wait/restart",
        requirement: "A server that is started again while connections of its port are in TIME_WAIT listens at once.",
        why: WHY,
        method: "The server is ended with a client connected, so that its side closes first; TIME_WAIT is seen in the \
                   kernel's table; the server is started again.",
        quantities: "",
        fix: CURE,
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            Some(vec![scenario(
                "restart over TIME_WAIT",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open_accepted(subject).lines(),
                    vec![
                        server_does(ServerAction::Signal(Signal::Kill)),
                        server_requires(ServerExpectation::Exit(None)),
                        server_requires(ServerExpectation::Gone),
                    ],
                    // What an io_uring had is closed some time after its process has ended.
                    ClientSteps::of(0)
                        .require(Expectation::any_end())
                        .then(Action::Close)
                        .lines(),
                    vec![server_requires(ServerExpectation::TimeWait), start_again()],
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "did-not-start",
            serve: without_reuse,
        },
    },
    Check {
        id: "time-wait/restart-connected",
        requirement: "A server that is ended by TERM with clients connected can be started again at once.",
        why: WHY,
        method: "The server is ended by SIGTERM with clients connected that do not close, and started again.",
        quantities: "",
        fix: CURE,
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let open = ClientSteps::of(0).open_accepted(subject).lines();
            let restart = vec![
                server_does(ServerAction::Signal(super::stop::signal(subject))),
                super::stop::requires_exit(subject)?,
                start_again(),
            ];
            Some(vec![scenario(
                "restart with clients connected",
                &[("alice", 1)],
                vec![open, restart],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "did-not-start",
            serve: without_reuse,
        },
    },
    Check {
        id: "time-wait/restart-killed",
        requirement: "A server that was killed with clients connected can be started again at once.",
        why: WHY,
        method: "The server is killed (SIGKILL) with clients connected that do not close, and started again.",
        quantities: "",
        fix: CURE,
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let open = ClientSteps::of(0).open_accepted(subject).lines();
            Some(vec![scenario(
                "restart after a kill",
                &[("alice", 1)],
                vec![open, killed_and_started_again()],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "did-not-start",
            serve: without_reuse,
        },
    },
    Check {
        id: "time-wait/second-instance",
        requirement: "A second server on the same port ends with an error, or shares the port where that is promised, and \
                      leaves the first one undisturbed.",
        why: "A server that ignores the error of bind, or announces itself before it, runs on without a socket: \
              https://github.com/xerj-org/xerj/pull/466",
        method: "The same command is started a second time beside the first, with a folder of its own. Where \
                   second-instance is not promised, it may share the port.",
        quantities: "",
        fix: "Let an error of bind or listen end the program with a non-zero status.",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS, Need::OWN_SOCKET],
        policy: SECOND_INSTANCE,
        scenarios: |subject| Some(vec![second_instance(subject)]),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "second-instance-ended-well",
            serve: |address| match listen(address) {
                Ok(listener) => each(&listener, echo),
                Err(_) => Ok(()),
            },
        },
    },
    Check {
        id: "time-wait/inherited-listener",
        requirement: "No helper that a server has started keeps its listening socket, so that a server that was killed can be \
                      started again beside what it leaves.",
        why: "A listening socket without close-on-exec is inherited by every program that is started, and its port taken for as \
              long as one of them lives: https://github.com/zeek/zeek/issues/5798 \
              https://github.com/cesanta/mongoose/issues/1302 https://github.com/mojolicious/mojo/issues/606",
        method: "The process that listens is killed with all that run its program; whoever runs another lives on. A client comes: \
                   who takes it was handed the socket, and who leaves it in the queue has inherited it. Then the server is \
                   started again.",
        quantities: "",
        fix: "Open the socket with SOCK_CLOEXEC, or set FD_CLOEXEC before the first program is started (socket(2), fcntl(2)).",
        defect: &Defect::LISTEN,
        needs: &[Need::TCP, Need::MANY_CONNECTIONS, Need::OWN_SOCKET],
        policy: Policy {
            fresh_server: true,
            referrals: &[Referral {
                cause: "did-not-start",
                see: &["time-wait/restart-killed"],
            }],
            ..Policy::MUST
        },
        scenarios: |_| {
            let again = server_does(ServerAction::StartBesideHelpers);
            Some(vec![scenario(
                "killed, and its helpers live on",
                &[],
                vec![vec![again]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "listener-inherited",
            serve: |address| {
                let listener = listen(address)?;
                rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty())?;
                std::process::Command::new("sleep").arg("3600").spawn()?;
                each(&listener, echo)
            },
        },
    },
    Check {
        id: "time-wait/port-reuse",
        requirement: "A client that comes back from the same port is served as a new one, with no byte of the past.",
        why: "State that is kept by the client's address outlives its connection: \
              https://github.com/facebookarchive/nailgun/pull/76",
        method: "A client leaves half a conversation and connects again from the port it had.",
        quantities: "",
        fix: "Keep the state of a connection with its descriptor, and drop both together.",
        defect: &Defect::MANY,
        needs: &[
            Need::TCP,
            Need::LONG_REQUEST,
            Need::MANY_CONNECTIONS,
            Need::SAME_ADDRESS,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = crate::model::dialogue::request(&subject.profile).unwrap_or_default();
            let half = ClientSteps::of(0)
                .open(subject)
                .send(&request[..request.len() / 2]);
            let options = ConnectOptions {
                same_port: true,
                ..ConnectOptions::default()
            };
            let again = with_connect_options(ClientSteps::of(0).polite(subject).lines(), &options);
            Some(vec![scenario(
                "the same client port again",
                &[("alice", 1)],
                vec![
                    half.lines(),
                    vec![settle()],
                    ClientSteps::of(0).then(Action::Close).lines(),
                    again,
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let from = stream.peer_addr()?;
                    let mut buffer = [0; 4096];
                    loop {
                        let read = stream.read(&mut buffer);
                        let mut unfinished = UNFINISHED
                            .lock()
                            .map_err(|_| std::io::Error::other("poisoned"))?;
                        let all = unfinished.get_or_insert_default();
                        let bytes = read?;
                        if bytes == 0 {
                            return Ok(());
                        }
                        let kept = all.entry(from).or_default();
                        kept.extend_from_slice(&buffer[..bytes]);
                        if kept.ends_with(b"\n") {
                            stream.write_all(&std::mem::take(kept))?;
                        }
                    }
                })
            },
        },
    },
    Check {
        id: "time-wait/churn",
        requirement: "More than a thousand short connections are all served, and TIME_WAIT stands where the close order puts it.",
        why: "Something is used up with every connection, and runs out after some hundreds: \
              https://github.com/projecteru/redis-cerberus/pull/29",
        method: "Eleven hundred clients are served, four at a time where that is promised.",
        quantities: "Eleven hundred are more than the 1,024 descriptors that are usual, and than what tables of slots \
                     commonly hold: what is used up with every connection is at its end. With --deep eleven thousand, \
                     which still have each a port of the 28,232 that clients get (ip_local_port_range).",
        fix: "Give back all that a connection took when it ends.",
        defect: &Defect::LEAK,
        needs: &[Need::TCP, Need::DIALOGUE, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let crowd = match subject.profile.serves_concurrently() {
                true => subject.at_once(4),
                false => 1,
            };
            let rounds = subject.deeper(1_100_u32).div_ceil(crowd);
            let polite = ClientSteps::of(0).polite(subject).lines();
            Some(vec![scenario(
                "many short connections",
                &[("alice", crowd)],
                vec![vec![repeat(rounds, polite)]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let served = SERVED.fetch_add(1, Ordering::Relaxed);
                    if served > 500 {
                        return die_of(Err(std::io::Error::other("out of connections")));
                    }
                    echo(stream)
                })
            },
        },
    },
];
