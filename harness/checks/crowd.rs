//! Many clients at once, and after one another.

use super::derive::{bulk, held_to_the_last, in_deeper_time, served_beside, without_a_word};
use crate::checks::counterexample::{
    Listener, Stream, answer, die_of, each, echo, echo_once_heard, listen, one_at_a_time,
};
use crate::model::action::Action;
use crate::model::check::{Check, Counterexample, Gate, Policy, Referral};
use crate::model::data::Data;
use crate::model::data::Segmentation;
use crate::model::defect::Defect;
use crate::model::dialogue::{
    self, ClientSteps, repeat, scenario, server_expects_within, server_requires, settle,
};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Need;
use crate::model::profile::{Drops, MostConnections, Refused};
use crate::model::scenario::{Line, Scenario, Waiver};
use crate::model::subject::Subject;
use crate::model::template::Template;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
static SERVED: AtomicUsize = AtomicUsize::new(0);
static SHARED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects what is read in a buffer that all conversations share.
fn shared_buffer(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        let poisoned = |_| std::io::Error::other("poisoned");
        SHARED
            .lock()
            .map_err(poisoned)?
            .extend_from_slice(&buffer[..bytes]);
        std::thread::yield_now();
        let mut shared = SHARED
            .lock()
            .map_err(|_| std::io::Error::other("poisoned"))?;
        let take = bytes.min(shared.len());
        let reply: Vec<u8> = shared.drain(..take).collect();
        drop(shared);
        stream.write_all(&reply)?;
    }
}

/// Many clients that each compare every byte with the pattern of their own that they have sent.
fn each_its_own_bytes(subject: &Subject) -> Option<Vec<Scenario>> {
    let model = subject.profile.model()?;
    let data = bulk(model, 32 << 10, subject.seed);
    let reply = model.reply(&data)?;
    let steps = ClientSteps::of(0)
        .open(subject)
        .send_parts(data, Segmentation::Pieces(INSIDE_OF_LINES), subject)
        .expect(Expectation::Data(reply))
        .finish(subject);
    // A buffer that all share is overwritten while a write from it waits for a client that does not read.
    let much = bulk(model, 8 << 20, subject.seed);
    let stalled = model.reply(&much).map(|reply| {
        let send = ClientSteps::of(0)
            .open(subject)
            .then(Action::Stall)
            .send_in_background(much)
            .lines();
        let read = ClientSteps::of(0)
            .then(Action::Read(None))
            .expect_within(Expectation::Data(reply), Duration::from_secs(30))
            .finish(subject);
        scenario(
            "each client its own bytes, read late",
            &[("crowd", subject.with_room(4))],
            vec![send, vec![settle()], read.lines()],
        )
    });
    let mut scenarios = vec![scenario(
        "each client its own bytes",
        &[("crowd", subject.at_once(subject.deeper_crowd(50)))],
        vec![vec![repeat(2, in_deeper_time(steps.lines(), subject))]],
    )];
    scenarios.extend(stalled);
    Some(scenarios)
}

/// Pieces of about 4 KiB end inside of lines of 1 KiB, so that some of a line waits for the rest while others are heard.
const INSIDE_OF_LINES: usize = (4 << 10) - 5;

/// How many clients come at once to a server that has just started: several for each worker of a small pool.
const AT_A_COLD_SERVER: u32 = 16;

/// On how many such servers. What happens on one of two is found on five of them with a chance of 97 in a hundred.
const COLD_SERVERS: usize = 5;

/// Starts a worker for a client, unless one of those that were started is free.
fn cold_pool(listener: &Listener) -> std::io::Result<()> {
    let (give, take) = std::sync::mpsc::channel::<Stream>();
    let take = Arc::new(Mutex::new(take));
    let free = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, _) = listener.accept()?;
        if free.load(Ordering::SeqCst) == 0 {
            let (take, free) = (Arc::clone(&take), Arc::clone(&free));
            free.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                loop {
                    let next = take.lock().map(|take| take.recv());
                    let Ok(Ok(mut stream)) = next else { return };
                    // Whose client has not spoken counts as free: there is room for more, and no one is started for them.
                    let _ = stream.peek(&mut [0]);
                    free.fetch_sub(1, Ordering::SeqCst);
                    // An error ends the conversation and nothing else.
                    let _ = echo(&mut stream);
                    free.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        if give.send(stream).is_err() {
            return Ok(());
        }
    }
}

/// So many come too late that some are turned away where only some are.
const LATE_COMERS: u32 = 8;

/// Clients that came to stay are there yet, and leave.
fn still_there() -> Vec<Line> {
    ClientSteps::of(0)
        .expect_to_be_kept()
        .then(Action::Close)
        .lines()
}

/// Clients too many speak before they see that they are: what nobody reads of them keeps no place, and nothing else.
fn those_too_many_speak(crowd: u32, subject: &Subject) -> Option<Scenario> {
    let request = dialogue::first_request(&subject.profile)?;
    let late = match subject.speaks_tls() {
        // They may be turned away before they are secured, and have said something by then.
        true => ClientSteps::of(1).arrive(subject),
        false => ClientSteps::of(1)
            .connect()
            .send_in_background(Data::literal(request)),
    };
    let late = late.expect_end(&[End::Fin, End::Reset]).then(Action::Close);
    let again = ClientSteps::of(2).come_to_stay(subject).then(Action::Close);
    Some(scenario(
        "those too many speak",
        &[("crowd", crowd), ("late", 1), ("again", crowd)],
        vec![
            ClientSteps::of(0).come_to_stay(subject).lines(),
            vec![repeat(subject.deeper(TURNED_AWAY), late.lines()), settle()],
            still_there(),
            vec![settle()],
            again.lines(),
        ],
    ))
}

/// So many places are needed for one more to be given away than to the first who comes late.
const PLACES_FOR_TWO: u32 = 4;

/// As many as are promised stay; whoever comes then is served and stays, and the one who came first sees that it has to go; then
/// the next one.
fn the_oldest_goes(most: u32, text: Option<&Template>, subject: &Subject) -> Scenario {
    let twice = u32::from(most >= PLACES_FOR_TWO);
    let clients = [
        ("oldest", 1),
        ("older", twice),
        ("crowd", most.saturating_sub(2 + twice)),
        ("newest", u32::from(most > 1)),
        ("late", 1),
        ("later", twice),
        ("again", most),
    ];
    let clients: Vec<_> = clients.into_iter().filter(|(_, many)| *many > 0).collect();
    let each = |names: &[&str], does: &dyn Fn(ClientSteps) -> ClientSteps| {
        let all = clients.iter().enumerate();
        let these = all.filter(|(_, (name, _))| names.contains(name));
        let lines = these.flat_map(|(who, _)| does(ClientSteps::of(who)).lines());
        lines.collect::<Vec<_>>()
    };
    let come = |names: &[&str]| each(names, &|steps| steps.come_to_stay(subject));
    let stay = |names: &[&str]| each(names, &ClientSteps::expect_to_be_kept);
    let goes = |name| each(&[name], &|steps| is_shown_out(steps, text, subject));
    let leave = |names: &[&str]| each(names, &|steps| steps.then(Action::Close));
    // A server that may wake by itself is not waited for: those who are silent meanwhile would be gone.
    let rests = || match subject.profile.promises.patience() {
        None => vec![settle()],
        Some(_) => Vec::new(),
    };
    let parts = vec![
        come(&["oldest", "older", "crowd", "newest"]),
        stay(&["oldest", "older", "crowd", "newest"]),
        [come(&["late"]), goes("oldest"), rests()].concat(),
        stay(&["newest", "late"]),
        match twice {
            0 => Vec::new(),
            _ => [come(&["later"]), goes("older"), rests()].concat(),
        },
        stay(&["newest", "late", "later"]),
        leave(&["oldest", "older", "crowd", "newest", "late", "later"]),
        vec![settle()],
        [come(&["again"]), rests(), stay(&["again"])].concat(),
        leave(&["again"]),
    ];
    scenario(
        "one more than is promised, for whom the oldest goes",
        &clients,
        parts,
    )
}

/// A client for which there is no room sees what is promised, before any time-out is over that would end it as well.
fn is_shown_out(client: ClientSteps, text: Option<&Template>, subject: &Subject) -> ClientSteps {
    let told = text.cloned().map(Expectation::Template);
    let told = told.into_iter().fold(client, ClientSteps::expect);
    let end = Expectation::any_end();
    match subject.profile.promises.patience() {
        None => told.expect(end),
        Some(patience) => told.expect_within(end, STEP_WITHIN.min(patience / 2)),
    }
}

/// So many are turned away one after the other.
const TURNED_AWAY: u32 = 5;

/// More than the 1,024 descriptors that a set of select(2) has room for, by as many as a server may have open besides.
const HELD: u32 = 1_100;

/// The numbers of an fd_set end below it (FD_SETSIZE, select(2)).
const SET_SIZE: u32 = 1_024;

/// How long a server may take to come to rest that has just been given a thousand connections, each a thread or more.
const RESTS_WITHIN: Duration = Duration::from_secs(10);

/// So many connect together.
const TOGETHER: u32 = 100;

/// In so many groups at most they come to a server that has promised nothing, whose queue may stay full: each is waited for.
const MOST_GROUPS: u32 = 20;

/// How many connections a server is to hold here: as many as it promises, and as it and we have descriptors for.
fn to_hold(subject: &Subject) -> u32 {
    let wanted = subject.with_room(subject.deeper(HELD));
    wanted.min(subject.may_hold()).max(1)
}

/// A thousand connections and more, held.
fn held(subject: &Subject) -> Scenario {
    let concurrent = subject.profile.serves_concurrently();
    let many = to_hold(subject);
    // One that is not in time is not waited for: a queue may be full, and the server has promised nothing.
    let arrive = |who| match concurrent {
        true => ClientSteps::of(who)
            .connect_without_waiting()
            .expect(Expectation::Connected)
            .speak_if_deferred(subject),
        false => ClientSteps::of(who).connect_without_waiting(),
    };
    let together = subject.at_once(TOGETHER.min(many));
    let groups = match concurrent {
        true => many / together,
        false => (many / together).min(MOST_GROUPS),
    };
    let names: Vec<String> = (1..=groups).map(|n| format!("crowd-{n}")).collect();
    let mut clients = vec![("alice", 1)];
    clients.extend(names.iter().map(|name| (name.as_str(), together)));
    let mut lines = Vec::new();
    for who in 1..=groups as usize {
        lines.extend(arrive(who).lines());
        lines.push(settle());
    }
    if groups * together >= SET_SIZE {
        lines.push(server_requires(ServerExpectation::Descriptor(SET_SIZE)));
    }
    lines.push(server_expects_within(
        ServerExpectation::Rest,
        subject.deeper(RESTS_WITHIN),
    ));
    if concurrent {
        lines.extend(ClientSteps::of(0).polite(subject).lines());
    }
    for who in 1..=groups as usize {
        lines.extend(ClientSteps::of(who).then(Action::Close).lines());
    }
    let waived = [
        (
            Invariant::Bystanders,
            "who stands by is silent, too: how the server idles is seen with nobody there",
        ),
        (
            Invariant::Memory,
            "what is kept of a thousand connections may serve the next: crowd/churn is about it",
        ),
        (
            Invariant::Threads,
            "a pool may have grown to a thousand: crowd/churn is about it",
        ),
    ];
    let waived = waived.map(|(invariant, reason)| Waiver {
        invariant,
        reason: reason.to_owned(),
    });
    Scenario {
        waived: waived.to_vec(),
        ..scenario("more than a thousand are held", &clients, vec![lines])
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "crowd/one-silent",
        requirement: "One client that says nothing keeps nobody else from being served.",
        why: "The handshake or the first read is done in the accept loop: \
              https://github.com/estuary/flow/pull/2333 https://github.com/danielealbano/cachegrand/pull/424",
        method: "A client connects and is silent; another is served.",
        quantities: "",
        fix: "Accept in one place, and serve each connection by itself.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::CONCURRENT],
        policy: Policy {
            gate: Some(Gate::Promise {
                need: Need::CONCURRENT,
                what: "serving concurrently",
                forget: |promises| promises.serves = None,
            }),
            ..Policy::MUST
        },
        scenarios: |subject| {
            let beside = |(how, silent): (&str, ClientSteps)| {
                // Below TLS nobody is greeted.
                let is_heard = how.is_empty() != subject.speaks_tls();
                let greeting = dialogue::greeting(&subject.profile).filter(|_| is_heard);
                // Who waits for no request may be done with a client that is silent.
                let hears =
                    dialogue::request(&subject.profile).map(|_| greeting.into_iter().collect());
                scenario(
                    format!("one silent client{how}"),
                    &[("alice", 1), ("mallory", 1)],
                    served_beside(silent.lines(), hears, subject),
                )
            };
            Some(without_a_word(1, subject).into_iter().map(beside).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| echo_once_heard(&listen(address)?),
        },
    },
    Check {
        id: "crowd/parallel",
        requirement: "Many clients at once are all served exactly.",
        why: "A pool of workers that is smaller than the crowd makes the rest wait for ever: \
              https://github.com/projecteru/redis-cerberus/pull/29",
        method: "A hundred clients, or as many as the accept queue holds, connect; once all are \
                   there, each sends its request and reads its reply, and stays until all have been answered.",
        quantities: "A hundred are more than the pools have that servers start with unless told otherwise, such as \
                     10, 16, 25 or 64. A larger one that is meant is to be promised (most-connections). With --deep a \
                     thousand, as far as the server has descriptors for: more than the 200 of Tomcat and the 400 of \
                     Apache.",
        fix: "Do not tie a worker to a connection, or queue connections for workers.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::DIALOGUE, Need::CONCURRENT],
        policy: Policy::MUST,
        scenarios: |subject| {
            let crowd = subject.at_once(subject.deeper_crowd(100));
            let mut polite = held_to_the_last(ClientSteps::of(0).polite(subject).lines());
            // All are there, and the server has done with them what it does with a new client, before one speaks.
            polite.insert(dialogue::steps_to_come_in(subject), settle());
            let polite = in_deeper_time(polite, subject);
            Some(vec![scenario(
                "many at once",
                &[("crowd", crowd)],
                vec![polite],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    if AT_ONCE.fetch_add(1, Ordering::Relaxed) >= 60 {
                        // No worker is left for this one.
                        std::thread::park();
                    }
                    let result = echo(stream);
                    AT_ONCE.fetch_sub(1, Ordering::Relaxed);
                    result
                })
            },
        },
    },
    Check {
        id: "crowd/all-answered",
        requirement: "Each of several clients that come at once to a server that has just started is answered, although all of them stay.",
        why: "A pool that is about to start its first workers gives two clients to one of them, and nobody else comes to take the \
              second: https://github.com/cherrypy/cherrypy/issues/1205 https://github.com/yhirose/cpp-httplib/issues/1891",
        method: "Before anybody else has come, sixteen clients connect at once, send their requests, and stay until all have been \
                   answered; so on five servers one after the other, since a pool is cold once only. Of tiny_http 0.12, with \
                   a pool of four, nine of ten such servers leave thirteen unanswered.",
        quantities: "Sixteen are several for each worker of a small pool: tiny_http leaves 13 of 16 unanswered. What \
                     happens on one of two cold servers is found on five with a chance of 97 in a hundred. With \
                     --deep fifty servers: what happens on one of ten is found as surely as 99 in a hundred.",
        fix: "Count the clients that wait for a worker together with the workers that are free, or do not tie one to a connection.",
        defect: &Defect::MANY,
        needs: &[
            Need::OWN_PROCESS,
            Need::STREAM,
            Need::DIALOGUE,
            Need::CONCURRENT,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| {
            let servers = subject.deeper(COLD_SERVERS);
            let crowd = subject.at_once(AT_A_COLD_SERVER);
            let steps = ClientSteps::of(0).connect_without_waiting();
            let comes = steps.expect(Expectation::Connected).lines();
            // The polite conversation less its connect, which is done.
            let polite = ClientSteps::of(0).polite(subject).lines().split_off(1);
            let lines = held_to_the_last([comes, polite].concat());
            let waived = vec![Waiver {
                invariant: Invariant::Served,
                reason: "nobody comes before the first ones".to_owned(),
            }];
            let one = |number| Scenario {
                waived: waived.clone(),
                ..scenario(
                    format!("many at once are the first, server {number}"),
                    &[("crowd", crowd)],
                    vec![lines.clone()],
                )
            };
            Some((1..=servers).map(one).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| cold_pool(&listen(address)?),
        },
    },
    Check {
        id: "crowd/no-crosstalk",
        requirement: "No byte of one client reaches another.",
        why: "A descriptor closed twice, or a buffer shared by mistake, sends data to the wrong peer: \
              https://github.com/quickfix/quickfix/issues/747 https://github.com/MonetDB/MonetDB/issues/4066",
        method: "Fifty clients each send a pattern of their own in pieces, interleaved, and compare every byte.",
        quantities: "Fifty with 32 KiB each, in pieces of some 4 KiB that end inside of lines, have their reads and writes mixed hundreds of times; \
                     four who read late ask for 8 MiB each, more than the largest send buffer (4 MiB, tcp_wmem) \
                     takes. With --deep five hundred, as far as the server has descriptors for; late readers stay \
                     four, for all that is sent is kept.",
        fix: "Keep buffers with their connection, and close each descriptor exactly once.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY, Need::CONCURRENT],
        policy: Policy {
            referrals: &[Referral {
                cause: "step-failed",
                see: &["crowd/own-bytes"],
            }],
            ..Policy::MUST
        },
        scenarios: each_its_own_bytes,
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "crosstalk",
            serve: |address| each(&listen(address)?, shared_buffer),
        },
    },
    Check {
        id: "crowd/own-bytes",
        requirement: "Each of many clients at once gets all of its own bytes, in order.",
        why: "What the kernel does not take at once is forgotten, or two threads write to one connection: \
              https://github.com/hyperium/hyper/pull/1803",
        method: "Fifty clients each send a pattern of their own in pieces, interleaved, and compare every byte.",
        quantities: "Fifty with 32 KiB each, in pieces of some 4 KiB that end inside of lines, have their reads and writes mixed hundreds of times. \
                     With --deep five hundred, as far as the server has descriptors for.",
        fix: "Keep what was not written with its connection, and write to each from one place.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[Need::STREAM, Need::MODEL, Need::REPLY, Need::CONCURRENT],
        policy: Policy {
            referrals: &[Referral {
                cause: "crosstalk",
                see: &["crowd/no-crosstalk"],
            }],
            ..Policy::MUST
        },
        // Who reads late is for the family partial.
        scenarios: |subject| Some(vec![each_its_own_bytes(subject)?.swap_remove(0)]),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let many = AT_ONCE.fetch_add(1, Ordering::Relaxed) >= 10;
                    let mut left = 6 << 10;
                    let result = answer(stream, |bytes| {
                        // Each of so many has a share of memory, and what is beyond it is lost.
                        let kept = if many {
                            bytes.len().min(left)
                        } else {
                            bytes.len()
                        };
                        left -= kept.min(left);
                        bytes[..kept].to_vec()
                    });
                    AT_ONCE.fetch_sub(1, Ordering::Relaxed);
                    result
                })
            },
        },
    },
    Check {
        id: "crowd/connect-and-leave",
        requirement: "Clients that connect and leave without a word cost the server no descriptor.",
        why: "The path that handles no request forgets to close: https://github.com/mattn/http-server/pull/7",
        method: "Two hundred clients connect and close.",
        quantities: "Two hundred (fifty where one is served at a time) add enough to be worth growing doses, which \
                     tell a descriptor that is kept from a pool (Growth in evidence.md). With --deep ten times as \
                     many.",
        fix: "Close the descriptor on every path out of a conversation.",
        defect: &Defect::LEAK,
        needs: &[Need::OWN_PROCESS, Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy {
            gate: Some(Gate::Serving(|subject| !subject.profile.has_dialogue())),
            ..Policy::MUST
        },
        scenarios: |subject| {
            let (crowd, rounds) = match subject.profile.serves_concurrently() {
                true => (subject.at_once(20), subject.deeper(10)),
                false => (1, subject.deeper(50)),
            };
            let leaves = |(how, comes): (&str, ClientSteps)| {
                let leave = comes.then(Action::Close).lines();
                scenario(
                    format!("connect and close{how}"),
                    &[("crowd", crowd)],
                    vec![vec![repeat(rounds, leave), settle()]],
                )
            };
            Some(without_a_word(0, subject).into_iter().map(leaves).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "close-wait",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    if stream.peek(&mut [0])? == 0 {
                        std::mem::forget(stream.try_clone()?);
                    }
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "crowd/churn",
        requirement: "A thousand connections, some at a time, are served exactly and leave nothing behind.",
        why: "What is kept of each connection adds up: descriptors, threads, memory: \
              https://github.com/GreptimeTeam/greptimedb/pull/4019",
        method: "Twenty clients at once, or as many as the accept queue holds, are served again and again.",
        quantities: "A thousand show what is kept of one connection in a hundred, and make a KiB that is kept of each \
                     the MiB that is worth growing doses (Growth in evidence.md). With --deep ten thousand.",
        fix: "Give back all that a connection took when it ends.",
        defect: &Defect::LEAK,
        needs: &[
            Need::OWN_PROCESS,
            Need::STREAM,
            Need::DIALOGUE,
            Need::CONCURRENT,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let crowd = subject.at_once(20);
            let rounds = subject.deeper(1_000) / crowd;
            let polite = ClientSteps::of(0).polite(subject).lines();
            Some(vec![scenario(
                "some at a time",
                &[("crowd", crowd)],
                vec![vec![repeat(rounds, polite), settle()]],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "close-wait",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    echo(stream)?;
                    if SERVED.fetch_add(1, Ordering::Relaxed) % 10 == 9 {
                        // A conversation now and then is remembered for good.
                        std::mem::forget(stream.try_clone()?);
                    }
                    die_of(Ok(()))
                })
            },
        },
    },
    Check {
        id: "crowd/most-connections",
        requirement: "As many clients as promised are held at a time, and the next one, or the oldest, sees what is promised.",
        why: "A client too many is left without a word, or ends those that are in; a slot that is not given back is lost: \
              https://github.com/projecteru/redis-cerberus/pull/29",
        method: "As many clients as promised are served and stay; one more connects; the others leave, and one is served. \
                 Where those too many are closed, some speak before they see it; then all leave, and as many are served again. Where \
                 the oldest goes, it is that one who sees it, and the one more comes as those before it and stays; then one more, for the next oldest.",
        quantities: "As many as promised, and one more, or eight where only some of those too many are turned away; \
                     five that speak and are turned away show a place that is kept of any, for all promised places \
                     are asked for again. With --deep fifty of these.",
        fix: "Count the connections that are open, and say to the next one what is promised, or leave it in the queue.",
        defect: &Defect::ACCEPT,
        needs: &[
            Need::OWN_PROCESS,
            Need::STREAM,
            Need::REPLY,
            Need::REQUEST,
            Need::MOST_CONNECTIONS,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let promises = &subject.profile.promises;
            let most = promises.most()?;
            let Some(MostConnections::Limit { refused, drops, .. }) = &promises.most_connections
            else {
                return None;
            };
            // A bystander is one of them.
            let crowd = most.checked_sub(u32::from(subject.bystander))?.max(1);
            if let (Refused::Closed(text), Drops::Oldest) = (refused, drops) {
                return Some(vec![the_oldest_goes(most, text.as_ref(), subject)]);
            }
            let served = ClientSteps::of(0).come_to_stay(subject);
            let late = ClientSteps::of(1);
            let (sees, then) = match refused {
                // Any of them may be let in, and whoever was in is none the worse for it.
                Refused::Closed(_) if *drops == Drops::Some => {
                    let late = late.arrive(subject).lines();
                    let leave = ClientSteps::of(1).then(Action::Close).lines();
                    let polite = ClientSteps::of(2).polite(subject).lines();
                    let all = [served.lines(), late, vec![settle()], still_there(), leave];
                    return Some(vec![scenario(
                        "more than are promised to be held",
                        &[("crowd", crowd), ("late", LATE_COMERS), ("alice", 1)],
                        vec![all.concat(), vec![settle()], polite, vec![settle()]],
                    )]);
                }
                Refused::Closed(text) => {
                    let late = late.arrive(subject);
                    let late = is_shown_out(late, text.as_ref(), subject);
                    (late.then(Action::Close), Vec::new())
                }
                Refused::Waits => {
                    // The polite conversation less its connect, which is done.
                    let polite = ClientSteps::of(1).polite(subject).lines();
                    let late = late.connect().expect(Expectation::Silence);
                    (late, polite.into_iter().skip(1).collect())
                }
            };
            let leave = still_there();
            let one_more = scenario(
                "one more than is promised",
                &[("crowd", crowd), ("late", 1)],
                vec![served.lines(), sees.lines(), leave, then, vec![settle()]],
            );
            let speak =
                matches!(refused, Refused::Closed(_)).then(|| those_too_many_speak(crowd, subject));
            Some(std::iter::once(one_more).chain(speak.flatten()).collect())
        },
        counterexample: Counterexample {
            instead_of: "club",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, super::stop::member),
        },
    },
    Check {
        id: "crowd/held",
        requirement: "A server that holds more than a thousand connections neither ends nor spins, and serves one more.",
        why: "select(2) knows no descriptor above 1,023, and writes beyond its set: \
              https://github.com/esnet/iperf/issues/1604 https://github.com/microsoft/omi/issues/625 \
              https://github.com/samhocevar/rinetd/issues/1",
        method: "Eleven hundred clients connect and stay, or as many as are promised and as the server and the host have \
                   descriptors for; the kernel shows that descriptors above 1,023 are in use, where the server may have so many. \
                   The server must come to rest, and serve another client where it serves concurrently.",
        quantities: "Eleven hundred are more than the 1,024 numbers of a set of select(2) (FD_SETSIZE), by as many \
                     descriptors as a server may have open besides; that 1,024 is in use is required. With --deep \
                     eleven thousand, as far as the server and the host have descriptors for.",
        fix: "Use poll(2) or epoll(7), or refuse connections whose descriptor is FD_SETSIZE or more.",
        defect: &Defect::MANY,
        needs: &[
            Need::STREAM,
            Need::SEVERAL_AT_ONCE,
            Need::CROWD,
            Need::SHARED_PROCESS,
            Need::TIME_FOR_A_BURST,
            Need::HOLDS_CLIENTS,
        ],
        policy: Policy {
            fresh_server: true,
            ..Policy::MUST
        },
        scenarios: |subject| Some(vec![held(subject)]),
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                // So many as the limit on descriptors allows, for a set that has room for 1,024.
                crate::sys::own_limits::open_files();
                each(&listen(address)?, |stream| {
                    if stream.as_raw_fd() >= 1_024 {
                        std::process::abort();
                    }
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "crowd/one-at-a-time",
        requirement: "A second client of a server that serves one at a time waits, and is served after the first.",
        why: "The one who waits is forgotten, or cut off with the first one.",
        method: "A client talks and stays; a second one connects and sends its request; the first one leaves.",
        quantities: "",
        fix: "Go back to accept when a conversation has ended, however it ended.",
        defect: &Defect::MANY,
        needs: &[
            Need::STREAM,
            Need::DIALOGUE,
            Need::ONE_AT_A_TIME,
            Need::REQUEST,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            let bob = || ClientSteps::of(1);
            let (waits, then) = match subject.speaks_tls() {
                // Who waits is not secured before its turn.
                true => {
                    let asks = bob().expect(Expectation::Secured).send(request.clone());
                    (bob().connect().begin_tls(subject), asks)
                }
                false => (bob().connect().send(request.clone()), bob()),
            };
            let waits = waits.expect(Expectation::Silence);
            let then = then.expect_reply(subject).finish(subject);
            Some(vec![scenario(
                "a second client waits",
                &[("alice", 1), ("bob", 1)],
                vec![
                    ClientSteps::of(0).open_accepted(subject).lines(),
                    waits.lines(),
                    ClientSteps::of(0)
                        .send(request)
                        .expect_reply(subject)
                        .finish(subject)
                        .lines(),
                    then.lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "uppercase-one",
            shows: "step-failed",
            serve: |address| {
                let listener = listen(address)?;
                one_at_a_time(&listener, |stream| {
                    let mut buffer = [0; 1024];
                    loop {
                        let bytes = stream.read(&mut buffer)?;
                        if bytes == 0 {
                            return Ok(());
                        }
                        stream.write_all(&buffer[..bytes].to_ascii_uppercase())?;
                        // Whoever waits meanwhile is sent away.
                        listener.set_nonblocking(true)?;
                        while listener.accept().is_ok() {}
                        listener.set_nonblocking(false)?;
                    }
                })
            },
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    /// One buffer for the input of all would hold nothing of anybody else's when a piece comes that is whole lines.
    #[test]
    fn pieces_of_a_crowd_end_inside_of_lines() {
        let subject = server("model = \"echo\"\nframing = \"line\"\n");
        let scenarios = each_its_own_bytes(&subject).unwrap();
        let steps = scenarios[0].steps();
        let sent = steps.into_iter().find_map(|line| match line.action()? {
            Action::Send {
                data,
                segmentation: Segmentation::Pieces(bytes),
                ..
            } => Some((data.bytes(0), *bytes)),
            _ => None,
        });
        let (bytes, piece) = sent.unwrap();
        let all_but_the_last = &bytes[..bytes.len() - 1];
        let mut pieces = all_but_the_last.chunks_exact(piece);
        assert!(pieces.len() > 3);
        assert!(pieces.all(|piece| piece.last() != Some(&b'\n')));
    }
}
