//! Time: silent clients, slow clients, and a server that was stopped for a while.

use super::needs::LATE;
use crate::checks::counterexample::{Stream, answer, each, echo, echo_once_heard, listen};
use crate::model::action::{Action, ConnectOptions, ReadRate};
use crate::model::check::{Check, Counterexample, Policy};
use crate::model::data::{Data, Segmentation, Source};
use crate::model::defect::Defect;
use crate::model::dialogue::{
    self, ClientSteps, pause, repeat, scenario, server_does, server_expects_within, settle,
};
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::invariant::Invariant;
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Need;
use crate::model::profile::{Framing, IdleTimeout, Model};
use crate::model::scenario::{Line, Scenario, Waiver};
use crate::model::server_action::ServerAction;
use crate::model::subject::Subject;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// As many are in use of their connections at a time as are needed to get the descriptors of those before them.
const IN_USE: u32 = 8;

/// So many times a slow reader reads while the time-out passes once, and takes half of what the kernel keeps for it.
const READS_IN_THAT: u32 = 256;

fn idle_timeout(subject: &Subject) -> Option<Duration> {
    subject.profile.promises.idle_timeout?.time()
}

/// How long the end of a client may be waited for that is to come after the promised time, once most of that is over.
fn fair_margin(promised: Duration) -> Duration {
    promised.mul_f64(0.8) + Duration::from_secs(3)
}

/// Expects silence for most of the promised time, then the end within a fair margin after it.
fn closes_in_time(steps: ClientSteps, promised: Duration) -> Vec<Line> {
    closes_within(steps, promised, fair_margin(promised))
}

/// The same, but for how long the end is waited for.
fn closes_within(steps: ClientSteps, promised: Duration, within: Duration) -> Vec<Line> {
    let mut lines = steps.lines();
    lines.push(pause(IdleTimeout::margin(promised)));
    lines.extend(ClientSteps::of(0).expect_to_be_kept().lines());
    lines.extend(ends_within(0, within));
    lines
}

fn ends_by_then(who: usize, promised: Duration) -> Vec<Line> {
    ends_within(who, fair_margin(promised))
}

fn ends_within(who: usize, within: Duration) -> Vec<Line> {
    let ends = ClientSteps::of(who).expect_within(Expectation::any_end(), within);
    ends.then(Action::Close).lines()
}

/// So many bytes in as few lines as are promised, since what is owed for a line may be sent as a whole.
fn in_few_words(model: Model, bytes: usize, seed: u64) -> Data {
    match model.framing {
        Framing::Stream | Framing::Datagram => model.payload_of(bytes, seed),
        Framing::Line => {
            let longest = model.at_most(bytes);
            let line = Source::Text {
                bytes: longest,
                seed,
                line: true,
            };
            Data::from(line).times((bytes / longest).max(1) as u32)
        }
    }
}

/// A deadline that is over by so much late, or by its own time, may as well be one that a loaded host has come late to: no drip is made
/// that would show no more.
const LATE_BY_LOAD: Duration = Duration::from_secs(1);

/// A client of which a byte of its request comes now and then, and the last one never; and for how long its end is waited for.
struct Drip {
    send: Action,
    within: Duration,
}

impl Drip {
    /// Up to the time when nobody waits for the end any more, or as long as the request lasts. `None` where each byte could have moved
    /// a deadline and that would not show, or the client may not be silent from one byte to the next.
    fn of(request: Option<Vec<u8>>, subject: &Subject, gone_after: Duration) -> Option<Self> {
        let model = subject.profile.model();
        let mut words = match model.map(|model| (model, model.framing)) {
            // Any byte is a request.
            Some((_, Framing::Stream | Framing::Datagram)) => return None,
            Some((model, Framing::Line)) => b"a".repeat(model.at_most(17)),
            None => request?,
        };
        words.pop();
        let begun = IdleTimeout::margin(gone_after);
        let lasts = begun + fair_margin(gone_after);
        let every = (lasts / words.len().max(1) as u32).min(gone_after / 2);
        // A deadline that each byte moves is over a whole time after the last one.
        let last = every * words.len().saturating_sub(1) as u32;
        let not_moved = last + gone_after.mul_f64(0.75);
        let patience = subject.profile.promises.patience();
        let is_kept = patience.is_none_or(|patience| every < IdleTimeout::margin(patience));
        let shows = not_moved >= gone_after + gone_after.max(LATE_BY_LOAD);
        (is_kept && shows).then(|| Self {
            send: Action::Send {
                data: Data::literal(words),
                segmentation: Segmentation::Pieces(1),
                as_records: subject.speaks_tls(),
                every: Some(every),
                background: true,
            },
            within: lasts.min(not_moved) - begun,
        })
    }

    /// The scenario of a client that comes so far, and then drips.
    fn scenario(self, name: &str, steps: ClientSteps, gone_after: Duration) -> Scenario {
        let lines = closes_within(steps.then(self.send), gone_after, self.within);
        scenario(name, &[("oscar", 1)], vec![lines])
    }
}

/// A client that never says a word, and where connections stay open one that has been served: beside the first, where two can be
/// served at a time.
fn who_is_silent(subject: &Subject, promised: Duration) -> Vec<Scenario> {
    // Of a client that the kernel keeps from it the server knows nothing.
    let silent = |who| {
        ClientSteps::of(who)
            .greeted(subject)
            .require(Expectation::Accepted)
    };
    let served = |who| {
        ClientSteps::of(who)
            .open(subject)
            .request_and_reply(subject)
    };
    let alone =
        |name, who, steps, time| scenario(name, &[(who, 1)], vec![closes_in_time(steps, time)]);
    let needs = [Need::DIALOGUE, Need::STAYS_OPEN];
    let can_be_served =
        subject.profile.has_request() && needs.iter().all(|need| need.unmet(subject).is_none());
    // Who has not logged in may be gone before.
    let silent_for = subject.profile.promises.patience().unwrap_or(promised);
    let together = Need::CONCURRENT.unmet(subject).is_none() && silent_for == promised;
    match (can_be_served, together) {
        (false, _) => vec![alone("a silent client", "mallory", silent(0), silent_for)],
        (true, false) => vec![
            alone("a silent client", "mallory", silent(0), silent_for),
            alone("a client that falls silent", "oscar", served(0), promised),
        ],
        (true, true) => vec![scenario(
            "a silent client, and one that falls silent",
            &[("mallory", 1), ("oscar", 1)],
            vec![
                silent(0).lines(),
                served(1).lines(),
                vec![pause(IdleTimeout::margin(promised))],
                ClientSteps::of(0).expect_to_be_kept().lines(),
                ClientSteps::of(1).expect_to_be_kept().lines(),
                ends_by_then(0, promised),
                ends_by_then(1, promised),
            ],
        )],
    }
}

/// Clients that do not log in: one says nothing, and one never comes to the end of its first words.
fn who_does_not_log_in(subject: &Subject) -> Option<Vec<Scenario>> {
    let promises = &subject.profile.promises;
    promises.login_timeout?;
    let silent = ClientSteps::of(0).greeted(subject);
    let silent = closes_in_time(silent.require(Expectation::Accepted), promises.patience()?);
    let silent = scenario("mallory does not log in", &[("mallory", 1)], vec![silent]);
    let gone_after = promises.time_for_a_request()?;
    let first = dialogue::first_request(&subject.profile);
    let drips = Drip::of(first, subject, gone_after).map(|drip| {
        let comes = ClientSteps::of(0).greeted(subject);
        drip.scenario("oscar does not log in", comes, gone_after)
    });
    Some([Some(silent), drips].into_iter().flatten().collect())
}

/// Within which time a request has to come whole, behind all that comes before it.
fn time_for_a_request(subject: &Subject) -> Option<Duration> {
    let promises = &subject.profile.promises;
    let is_first = subject.profile.earlier_exchanges().next().is_none();
    match is_first {
        true => promises.time_for_a_request(),
        false => promises.request_timeout,
    }
}

/// After which time somebody has to go who stops in the middle of it.
fn time_to_stop_in_a_request(subject: &Subject) -> Option<Duration> {
    let whole = time_for_a_request(subject).into_iter();
    whole.chain(idle_timeout(subject)).min()
}

/// Clients whose request has no end: one stops in the middle of it, and of another one a byte comes now and then.
fn who_does_not_end_a_request(subject: &Subject) -> Option<Vec<Scenario>> {
    let half = dialogue::half_a_request(&subject.profile)?;
    let stops = ClientSteps::of(0).open(subject).send(half);
    let stops = closes_in_time(stops, time_to_stop_in_a_request(subject)?);
    let stops = scenario("half a request, and no end", &[("mallory", 1)], vec![stops]);
    let later = half_a_later_request(subject);
    let gone_after = time_for_a_request(subject)?;
    let request = dialogue::request(&subject.profile);
    let drips = Drip::of(request, subject, gone_after).map(|drip| {
        let comes = ClientSteps::of(0).open(subject);
        drip.scenario("a request a byte at a time, and no end", comes, gone_after)
    });
    Some([Some(stops), later, drips].into_iter().flatten().collect())
}

/// A client that stops in the middle of its second request, which it begins when a deadline that counts from its first one, or from
/// before, is over.
fn half_a_later_request(subject: &Subject) -> Option<Scenario> {
    let promised = subject.profile.promises.request_timeout?;
    let needs = [Need::STAYS_OPEN, Need::ANSWERS_AGAIN];
    let may_be_silent = subject.profile.promises.patience();
    let may_be_silent = may_be_silent.is_none_or(|time| promised < IdleTimeout::margin(time));
    if !may_be_silent || needs.iter().any(|need| need.unmet(subject).is_some()) {
        return None;
    }
    let half = dialogue::half_a_request(&subject.profile)?;
    let served = ClientSteps::of(0).open(subject).request_and_reply(subject);
    let begins = ClientSteps::of(0).expect_to_be_kept().send(half);
    let lines = [
        served.lines(),
        vec![pause(promised)],
        closes_in_time(begins, promised),
    ];
    let stops = "half a later request, and no end";
    Some(scenario(stops, &[("mallory", 1)], lines.to_vec()))
}

/// How many are connected to the counterexample of the silent crowd.
static CONNECTED: AtomicUsize = AtomicUsize::new(0);

/// Held by the one of them that is polled.
static POLLED: Mutex<()> = Mutex::new(());

/// Echoes, and asks again at once where there is nothing yet.
fn echo_polling(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => stream.write_all(&buffer[..bytes])?,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "timeout/idle-closes",
        requirement: "A client that sends nothing is disconnected when the promised time is over, and not before.",
        why: "Connections without a time-out pile up until descriptors or workers run out: \
              https://github.com/kite-org/kite/pull/461 https://github.com/gd-arnold/tiny-nginx/issues/3",
        method: "A client connects and is silent; another makes an exchange and is silent then.",
        quantities: "",
        fix: "Give each connection a deadline, and close it when the deadline has passed.",
        defect: &Defect::DEADLINE,
        needs: &[Need::STREAM, Need::IDLE_TIMEOUT],
        policy: Policy::MUST,
        scenarios: |subject| Some(who_is_silent(subject, idle_timeout(subject)?)),
        counterexample: Counterexample {
            instead_of: "welcome-gate",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, gate),
        },
    },
    Check {
        id: "timeout/idle-mid-request",
        requirement: "A client that falls silent inside a request is disconnected when the promised time is over.",
        why: "The deadline is dropped with the first byte, and a half request is waited for without end: \
              https://github.com/ninenines/cowboy/pull/212",
        method: "A client sends half a request and is silent.",
        quantities: "",
        fix: "Keep the deadline until the request is complete.",
        defect: &Defect::DEADLINE,
        needs: &[
            Need::STREAM,
            Need::IDLE_TIMEOUT,
            Need::LONG_REQUEST,
            Need::STAYS_OPEN,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let half = dialogue::half_a_request(&subject.profile)?;
            let half = ClientSteps::of(0).open(subject).send(half);
            let lines = closes_in_time(half, time_to_stop_in_a_request(subject)?);
            Some(vec![scenario(
                "half a request, then silence",
                &[("mallory", 1)],
                vec![lines],
            )])
        },
        counterexample: Counterexample {
            instead_of: "line-idle",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, deadline_until_first_byte),
        },
    },
    Check {
        id: "timeout/login-closes",
        requirement: "A client that does not log in is disconnected when the promised time is over, and not before, whether it \
                      says nothing or does not come to an end.",
        why: "A deadline that each byte moves is none for who sends one now and then (slowloris), and holds a worker for ever: \
              https://github.com/gd-arnold/tiny-nginx/issues/3 https://github.com/ninenines/cowboy/pull/212",
        method: "A client connects and is silent; another one sends its first request a byte at a time, and never the last \
                 one.",
        quantities: "",
        fix: "Give each connection a deadline for its login when it is accepted, and let no byte move it.",
        defect: &Defect::DEADLINE,
        needs: &[Need::STREAM, Need::LOGIN_TIMEOUT],
        policy: Policy::MUST,
        scenarios: who_does_not_log_in,
        counterexample: Counterexample {
            instead_of: "club",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    // Each byte moves the deadline.
                    stream.set_read_timeout(Some(CLUB_LOGIN))?;
                    let socket = stream.try_clone()?;
                    super::stop::member_who(stream, || {
                        let _ = socket.set_read_timeout(None);
                    })
                })
            },
        },
    },
    Check {
        id: "timeout/request-closes",
        requirement: "A client that begins a request and does not end it is disconnected when the promised time is over, and not \
                      before, whether it stops or goes on without an end.",
        why: "A deadline that each byte moves is none for who sends one now and then (slowloris), and holds a worker for ever: \
              https://github.com/gd-arnold/tiny-nginx/issues/3 https://github.com/ninenines/cowboy/pull/212",
        method: "A client sends half of its request and is silent; another one does so with its second request, when it has been \
                 silent for as long; one sends its request a byte at a time, and never the last one.",
        quantities: "A byte comes at every half of the promised time at most, so that a deadline which each byte moves would be \
                     over much later; of a request of fewer than five bytes, or where that takes less than a second, it would not show, and only half of one is sent. \
                     --deep changes nothing.",
        fix: "Give each request a deadline when its first byte comes, or before, and let no other byte move it.",
        defect: &Defect::DEADLINE,
        needs: &[Need::STREAM, Need::REQUEST_TIMEOUT, Need::LONG_REQUEST],
        policy: Policy::MUST,
        scenarios: who_does_not_end_a_request,
        counterexample: Counterexample {
            instead_of: "carousel",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, deadline_that_each_byte_moves),
        },
    },
    Check {
        id: "timeout/activity-extends",
        requirement: "A connection in use is not cut by the idle time-out.",
        why: "A deadline that is set once and never moved ends conversations in the middle: \
              https://github.com/nodejs/node/issues/52649",
        method: "Clients come, are served and leave; at half of the time-out others come, as many, and make an exchange at every \
                 quarter of it, until twice the time-out is over.",
        quantities: "Eight come again at once, so that descriptors of clients that have left are used again; six \
                     exchanges at a quarter of the time-out, behind half of it, last for twice the time-out, and a \
                     deadline that was never moved is over by then. --deep changes nothing: the promise says how long \
                     it takes.",
        fix: "Move the deadline with every exchange.",
        defect: &Defect::DEADLINE,
        needs: &[
            Need::STREAM,
            Need::IDLE_TIMEOUT,
            Need::DIALOGUE,
            Need::STAYS_OPEN,
            Need::ANSWERS_AGAIN,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let promised = idle_timeout(subject)?;
            // Others get the descriptors of those who have left, and nothing else that was kept of them.
            let members = match Need::CONCURRENT.unmet(subject) {
                None => subject.at_once(IN_USE).min(subject.with_room(IN_USE)),
                Some(_) => 1,
            };
            let exchange = ClientSteps::of(1).request_and_reply(subject).lines();
            let mut now_and_then = vec![pause(promised.mul_f64(0.25))];
            now_and_then.extend(exchange);
            Some(vec![scenario(
                "an exchange now and then",
                &[("early", members), ("alice", members)],
                vec![
                    ClientSteps::of(0).polite(subject).lines(),
                    vec![pause(promised.mul_f64(0.5))],
                    ClientSteps::of(1).open(subject).lines(),
                    vec![repeat(6, now_and_then)],
                    ClientSteps::of(1).finish(subject).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "line-idle",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, deadline_never_moves),
        },
    },
    Check {
        id: "timeout/slow-reader-kept",
        requirement: "A client that takes a long reply a little at a time is not cut by the idle time-out.",
        why: "The time counts from what the client has said last, or a time-out of a send from its beginning; who reads for longer \
              gets a part: https://github.com/twisted/twisted/issues/12498 https://github.com/NuSkooler/enigma-bbs/issues/262",
        method: "A client asks for more than the kernel keeps for it, at once and where it may in a single line, and reads all the \
                 time, for three times the time-out.",
        quantities: "One and a half times the send buffer is more than the kernel takes at once, and is read for \
                     three times the time-out. Without --deep time-outs of up to 10 s are tried, with it any.",
        fix: "Move the deadline whenever the client has taken something.",
        defect: &Defect::WHOLE_WRITES,
        needs: &[
            Need::STREAM,
            Need::SHORT_IDLE_TIMEOUT,
            Need::MODEL,
            Need::REPLY,
            Need::NO_OUTPUT_LIMIT,
        ],
        policy: Policy {
            reading_is_use: true,
            ..Policy::SHOULD
        },
        scenarios: |subject| {
            let promised = idle_timeout(subject)?;
            let model = subject.profile.model()?;
            // The server hears of it when a third of what it has given to the kernel is taken (tcp(7), `sk_stream_write_space`).
            let slowly = ReadRate {
                bytes: subject.send_buffer / (2 * READS_IN_THAT) as usize,
                every: promised / READS_IN_THAT,
            };
            let data = in_few_words(model, subject.send_buffer * 3 / 2, subject.seed);
            let options = ConnectOptions {
                receive_buffer: Some(64 << 10),
                ..ConnectOptions::default()
            };
            let reply = model.reply(&data)?;
            let steps = ClientSteps::of(0)
                .then(Action::Connect(options))
                .secured(subject)
                .then(Action::Read(Some(slowly)))
                .send_in_background(data)
                .expect_within(
                    Expectation::Data(reply),
                    promised * 5 + Duration::from_secs(20),
                )
                .finish(subject);
            Some(vec![scenario(
                "a reply that is read for longer than the time-out",
                &[("alice", 1)],
                vec![steps.lines()],
            )])
        },
        counterexample: Counterexample {
            instead_of: "line-idle",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, deadline_from_last_word),
        },
    },
    Check {
        id: "timeout/idle-kept",
        requirement: "A connection that was silent for a while is still answered, where no time-out is promised.",
        why: "A time-out that nobody asked for cuts clients that think: \
              https://github.com/nodejs/node/issues/17749",
        method: "A client makes an exchange, is silent for six and a half seconds, and makes another. Many servers that have a \
                   time-out nobody asked for have one of two or five; with --deep it is silent for 65 seconds, for those of 30 and 60.",
        quantities: "Six and a half seconds are longer than time-outs of one, two and five seconds. With --deep 65 \
                     seconds: longer than those of 30 and 60.",
        fix: "Wait for clients without a deadline, or promise one.",
        defect: &Defect::DEADLINE,
        needs: &[
            Need::STREAM,
            Need::NO_IDLE_TIMEOUT,
            Need::DIALOGUE,
            Need::STAYS_OPEN,
            Need::ANSWERS_AGAIN,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let silence = subject.deeper(Duration::from_millis(6_500));
            let request = dialogue::request(&subject.profile)?;
            let exchange =
                |steps: ClientSteps| steps.send(request.clone()).expect_reply(subject).lines();
            Some(vec![scenario(
                "silence between two exchanges",
                &[("alice", 1)],
                vec![
                    exchange(ClientSteps::of(0).open(subject)),
                    vec![pause(silence)],
                    exchange(ClientSteps::of(0)),
                    ClientSteps::of(0).finish(subject).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "timeout/drip",
        requirement: "A client whose request trickles in keeps nobody else from being served.",
        why: "A drip-fed request holds a worker for as long as it likes (slowloris): \
              https://github.com/gd-arnold/tiny-nginx/issues/3",
        method: "A request comes in up to ten pieces, and another client is served behind each.",
        quantities: "Three are more than a server has that serves one client after the other, or two. With --deep \
                     thirty, as far as places, descriptors and the accept queue allow.",
        fix: "Never wait for one client in a loop that serves all.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::LONG_REQUEST, Need::CONCURRENT],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile).unwrap_or_default();
            let served = ClientSteps::of(0).polite(subject).lines();
            let trickles = request.chunks(request.len().div_ceil(DROPS).max(1));
            let trickles = trickles.flat_map(|drop| {
                let drop = ClientSteps::of(1).send(drop).lines();
                [drop, served.clone()].concat()
            });
            // A server may have no patience with such a client, and owes it nothing here. What it answers all the same is read:
            // who leaves it unread leaves by a reset.
            let leaves = ClientSteps::of(1).then(Action::Close).lines();
            Some(vec![scenario(
                "a request that trickles in",
                &[("alice", 1), ("mallory", subject.deeper_few(3))],
                vec![
                    ClientSteps::of(1).open(subject).lines(),
                    trickles.collect(),
                    vec![settle()],
                    leaves,
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| echo_once_heard(&listen(address)?),
        },
    },
    Check {
        id: "timeout/silent-crowd",
        requirement: "Silent connections cost a server no processor time, and others are served beside them.",
        why: "A connection that has nothing to say is polled in a loop: \
              https://github.com/evilnet/nefarious2/pull/111 https://github.com/tvheadend/tvheadend/issues/2232",
        method: "Some clients are served and stay, two hundred others connect and are silent, or begin to speak and are, where \
                 the kernel keeps others from the server (TCP_DEFER_ACCEPT); the server must come to rest, as it does with \
                 nobody there.",
        quantities: "Two hundred that are looked at in turn cost processor time that would not show with one, and are \
                     as many as the threads of a usual pool. With --deep two thousand, as far as the server has \
                     descriptors for: more than the 1,024 of a set of select(2).",
        fix: "Wait for events; never poll a connection that has nothing to say.",
        defect: &Defect::MANY,
        needs: &[Need::STREAM, Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let concurrent = subject.profile.serves_concurrently();
            let most = subject.deeper_crowd(SILENT);
            let crowd = match (concurrent, subject.place.backlog) {
                (true, _) => most,
                (false, backlog) => backlog.unwrap_or(0).clamp(1, most),
            };
            let crowd = subject.with_room(crowd);
            let arrive = match concurrent {
                // Of who has not begun to speak a server may not know.
                true => ClientSteps::of(1)
                    .connect_without_waiting()
                    .expect(Expectation::Connected)
                    .speak_if_deferred(subject),
                false => ClientSteps::of(1).connect_without_waiting(),
            };
            let crowd = crowd.min(subject.most_clients.saturating_sub(1));
            let served = match concurrent {
                // Of one whose handshake finds the queue full, and is answered by a cookie, a server may never know (tcp_syncookies).
                true => {
                    let served = subject.at_once((crowd / 2).min(SERVED_AND_SILENT));
                    // Of a crowd of one, that one is silent.
                    served.min(crowd.saturating_sub(1))
                }
                false => 0,
            };
            let mut clients = vec![("alice", 1), ("mallory", crowd - served)];
            let (mut stay, mut polite) = (Vec::new(), Vec::new());
            if concurrent {
                polite = ClientSteps::of(0).polite(subject).lines();
            }
            if served > 0 {
                clients.push(("bob", served));
                stay = ClientSteps::of(2).come_to_stay(subject).lines();
            }
            let mut waived = vec![Waiver {
                invariant: Invariant::Bystanders,
                reason:
                    "who stands by is silent, too: how the server idles is seen with nobody there"
                        .to_owned(),
            }];
            // Doses of so many take minutes of a server with a thread for each.
            let rough = [Invariant::Memory, Invariant::Threads].map(|invariant| Waiver {
                invariant,
                reason: "what is kept of thousands may serve the next: crowd/churn is about it"
                    .to_owned(),
            });
            waived.extend(rough.into_iter().filter(|_| subject.deep));
            let silent = |(how, arrive): (&str, ClientSteps)| {
                let rests =
                    server_expects_within(ServerExpectation::Rest, subject.deeper(STEP_WITHIN));
                let parts = vec![
                    stay.clone(),
                    arrive.lines(),
                    vec![settle(), rests],
                    polite.clone(),
                    ClientSteps::of(1).then(Action::Close).lines(),
                ];
                Scenario {
                    waived: waived.clone(),
                    ..scenario(format!("a silent crowd{how}"), &clients, parts)
                }
            };
            let secured = || {
                let connected = ClientSteps::of(1)
                    .connect_without_waiting()
                    .expect(Expectation::Connected);
                (", over TLS", connected.secured(subject))
            };
            let secured = (concurrent && subject.speaks_tls()).then(secured);
            let ways = std::iter::once(("", arrive)).chain(secured);
            Some(ways.map(silent).collect())
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "server-step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    // One of a crowd is polled; two hundred that are would leave the host nothing to see it with.
                    let is_crowd = CONNECTED.fetch_add(1, Ordering::SeqCst) > 50;
                    let polled = is_crowd.then(|| POLLED.try_lock().ok()).flatten();
                    stream.set_nonblocking(polled.is_some())?;
                    let ended = echo_polling(stream);
                    CONNECTED.fetch_sub(1, Ordering::SeqCst);
                    ended
                })
            },
        },
    },
    Check {
        id: "timeout/late-send",
        requirement: "A client that speaks only two seconds after it connected is answered.",
        why: "A server that expects the first bytes with the connection gives up too early: \
              https://github.com/hapijs/hapi/issues/3738",
        method: "A client connects, waits two seconds, and sends its request.",
        quantities: "",
        fix: "Wait for the first bytes as long as for any others.",
        defect: &Defect::DEADLINE,
        needs: &[
            Need::STREAM,
            Need::DIALOGUE,
            Need::REQUEST,
            Need::IDLE_PROMISE,
            Need::TIME_TO_BE_LATE,
        ],
        policy: Policy::MUST,
        scenarios: |subject| {
            let request = dialogue::request(&subject.profile)?;
            Some(vec![scenario(
                "the request comes late",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open(subject).lines(),
                    vec![pause(LATE)],
                    ClientSteps::of(0)
                        .send(request)
                        .expect_reply(subject)
                        .finish(subject)
                        .lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                    stream.peek(&mut [0])?;
                    stream.set_read_timeout(None)?;
                    echo(stream)
                })
            },
        },
    },
    Check {
        id: "timeout/frozen-server",
        requirement: "A server that was stopped for a second serves the clients that waited, and lives on.",
        why: "SIGSTOP and SIGCONT make waits return EINTR, handler or not (signal(7)); servers take it for fatal: \
              https://github.com/MisterTea/EternalTerminal/pull/516 https://github.com/h2o/h2o/pull/2358",
        method: "The server is stopped for a second while a client connects, then runs on; it is stopped again while it waits \
                 for a client that it has accepted and that has not spoken yet, whose request it must answer.",
        quantities: "",
        fix: "Repeat a call that was interrupted.",
        defect: &Defect::INTERRUPTED,
        needs: &[Need::MANY_CONNECTIONS],
        policy: Policy::MUST,
        scenarios: |subject| {
            let polite = ClientSteps::of(0).polite(subject);
            let frozen = [
                vec![server_does(ServerAction::Stop)],
                ClientSteps::of(1).connect_without_waiting().lines(),
                vec![
                    pause(Duration::from_secs(1)),
                    server_does(ServerAction::Continue),
                ],
                ClientSteps::of(1).then(Action::Close).lines(),
                polite.lines(),
            ];
            let between = scenario(
                "a second of standstill",
                &[("alice", 1), ("mallory", 1)],
                frozen.to_vec(),
            );
            Some(
                [Some(between), frozen_in_a_read(subject)]
                    .into_iter()
                    .flatten()
                    .collect(),
            )
        },
        counterexample: Counterexample {
            instead_of: "echo",
            shows: "alive",
            serve: |address| {
                let listener = listen(address)?;
                std::thread::spawn(|| {
                    let mut last = Instant::now();
                    loop {
                        std::thread::park_timeout(Duration::from_millis(100));
                        // A watchdog that takes a pause for a hang.
                        if last.elapsed() > Duration::from_millis(900) {
                            std::process::exit(1);
                        }
                        last = Instant::now();
                    }
                });
                each(&listener, echo)
            },
        },
    },
];

/// A server that is stopped while it waits for what a client says, where there is something to say. A wait with a time limit
/// is interrupted by that (signal(7)), and it is given the time to come to it.
fn frozen_in_a_read(subject: &Subject) -> Option<Scenario> {
    let is_stream = !subject.place.transport.is_datagram();
    dialogue::request(&subject.profile).filter(|_| is_stream)?;
    // Its client is silent meanwhile.
    if Need::TIME_TO_BE_LATE.unmet(subject).is_some() {
        return None;
    }
    let alice = || ClientSteps::of(0);
    let steps = vec![
        alice().open_accepted(subject).lines(),
        vec![
            settle(),
            server_does(ServerAction::Stop),
            pause(Duration::from_secs(1)),
            server_does(ServerAction::Continue),
            settle(),
        ],
        alice().request_and_reply(subject).finish(subject).lines(),
    ];
    Some(scenario(
        "a second of standstill in a read",
        &[("alice", 1)],
        steps,
    ))
}

/// Lets in whoever says `1`, and waits for that without end.
pub(super) fn gate(stream: &mut Stream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    match stream.read(&mut buffer)? {
        0 => Ok(()),
        bytes if &buffer[..bytes] == b"1" => stream.write_all(b"welcome to server"),
        _ => stream.write_all(b"please go out"),
    }
}

/// The promised time of the profile `club` for the first word.
const CLUB_LOGIN: Duration = Duration::from_secs(5);

/// So many are silent.
const SILENT: u32 = 200;

/// In how many pieces a request trickles in at most.
const DROPS: usize = 10;

/// So many of a silent crowd have been served.
const SERVED_AND_SILENT: u32 = 16;

/// The promised time of the profile `line-idle`.
const LINE_IDLE: Duration = Duration::from_secs(2);

/// The promised time of the profile `carousel` for a whole line.
const CAROUSEL_WHOLE: Duration = Duration::from_secs(2);

fn deadline_that_each_byte_moves(stream: &mut Stream) -> std::io::Result<()> {
    let mut is_whole = true;
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout((!is_whole).then_some(CAROUSEL_WHOLE))?;
        let count = stream.read(&mut buffer)?;
        let bytes = &buffer[..count];
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        stream.write_all(&b"ROUND AND ROUND\n".repeat(lines))?;
        is_whole = match bytes.last() {
            Some(byte) => *byte == b'\n',
            None => return Ok(()),
        };
    }
}

fn deadline_until_first_byte(stream: &mut Stream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LINE_IDLE))?;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let bytes = stream.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        line.extend_from_slice(&buffer[..bytes]);
        let complete = line.ends_with(b"\n");
        stream.set_read_timeout(complete.then_some(LINE_IDLE))?;
        if complete {
            stream.write_all(&std::mem::take(&mut line))?;
        }
    }
}

/// Takes all that comes, writes it beside that, and ends who has said nothing for so long, whatever is still owed.
fn deadline_from_last_word(stream: &mut Stream) -> std::io::Result<()> {
    let (queue, owed) = std::sync::mpsc::channel::<Vec<u8>>();
    let mut writer = stream.try_clone()?;
    std::thread::spawn(move || owed.iter().try_for_each(|bytes| writer.write_all(&bytes)));
    stream.set_read_timeout(Some(LINE_IDLE))?;
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        queue.send(buffer[..bytes].to_vec()).unwrap_or(());
    }
    stream.shutdown(std::net::Shutdown::Both)
}

fn deadline_never_moves(stream: &mut Stream) -> std::io::Result<()> {
    let deadline = Instant::now() + LINE_IDLE;
    let whole = stream.try_clone()?;
    std::thread::spawn(move || {
        while Instant::now() < deadline {
            std::thread::park_timeout(deadline - Instant::now());
        }
        whole.shutdown(std::net::Shutdown::Both)
    });
    answer(stream, <[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::server;

    #[test]
    fn end_is_waited_for_behind_the_promised_time_for_most_of_it_and_three_seconds() {
        assert_eq!(
            fair_margin(Duration::from_secs(10)),
            Duration::from_secs(11)
        );
    }

    fn lines(promises: &str) -> Subject {
        server(&format!(
            "model = \"echo\"\nframing = \"line\"\n[promises]\n{promises}\n"
        ))
    }

    #[test]
    fn much_is_said_in_one_line_or_in_as_few_as_are_taken() {
        let model = |promises: &str| lines(promises).profile.model().unwrap();
        let words = in_few_words(model(""), 10_000, 1);
        assert_eq!(
            (
                words.length(),
                words.bytes(0).iter().filter(|byte| **byte == b'\n').count()
            ),
            (10_000, 1)
        );
        let words = in_few_words(model("longest = \"3000B\""), 10_000, 1);
        assert_eq!(words.length(), 9_000);
    }

    #[test]
    fn request_without_an_end_lasts_until_nobody_waits_for_the_end_any_more() {
        let gone_after = Duration::from_secs(10);
        let drip = |promises: &str| paced(Drip::of(None, &lines(promises), gone_after));
        let waited = fair_margin(gone_after);
        let every = (IdleTimeout::margin(gone_after) + waited) / 16;
        assert_eq!(drip("idle-timeout = \"10s\""), Some((16, every, waited)));
        assert_eq!(drip(""), Some((16, every, waited)));
        // A byte would come too late; any byte is a request.
        assert_eq!(drip("idle-timeout = \"1s\""), None);
        let stream =
            server("model = \"echo\"\nframing = \"stream\"\n[promises]\nidle-timeout = \"10s\"\n");
        assert!(Drip::of(None, &stream, gone_after).is_none());
    }

    /// How many bytes come, how far apart, and for how long the end is waited for behind most of the promised time.
    fn paced(drip: Option<Drip>) -> Option<(usize, Duration, Duration)> {
        let drip = drip?;
        match drip.send {
            Action::Send {
                data,
                every: Some(every),
                ..
            } => Some((data.length(), every, drip.within)),
            _ => None,
        }
    }

    /// A server that counts anew at each byte would end it so much later that it shows.
    #[test]
    fn request_of_few_bytes_is_watched_for_as_long_as_it_lasts() {
        let subject = lines("");
        let exchange = server("[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n");
        let of = |request: &[u8], seconds| {
            let gone_after = Duration::from_secs(seconds);
            paced(Drip::of(Some(request.to_vec()), &exchange, gone_after))
        };
        let millis = Duration::from_millis;
        // The last byte comes after a second and a half: a deadline that was moved is over a second later.
        let (half, short) = (millis(500), millis(2_250) - millis(700));
        assert_eq!(of(b"PING\n", 1), Some((4, half, short)));
        assert_eq!(of(b"PIN\n", 1), None);
        let soon = Drip::of(Some(b"PING\n".to_vec()), &exchange, half);
        assert_eq!(paced(soon), None);
        assert_eq!(of(b"", 1), None);
        assert!(paced(Drip::of(None, &subject, Duration::from_secs(1))).is_some());
    }

    #[test]
    fn client_in_a_request_is_given_up_when_the_first_of_the_promised_times_is_over() {
        let exchange = "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n";
        let opening =
            format!("[[exchange]]\nonce = true\nsend = 'HI\\n'\nreply = 'IN\\n'\n{exchange}");
        let of = |exchanges: &str, promises: &str| {
            let subject = server(&format!("{exchanges}[promises]\n{promises}\n"));
            let times = [time_to_stop_in_a_request, time_for_a_request];
            times.map(|time| time(&subject).map(|time| time.as_secs()))
        };
        assert_eq!(of(exchange, "request-timeout = \"9s\""), [Some(9), Some(9)]);
        let silent = "request-timeout = \"9s\"\nidle-timeout = \"5s\"";
        assert_eq!(of(exchange, silent), [Some(5), Some(9)]);
        let login = "request-timeout = \"9s\"\nlogin-timeout = \"5s\"";
        assert_eq!(of(exchange, login), [Some(5), Some(5)]);
        assert_eq!(of(&opening, login), [Some(9), Some(9)]);
        assert_eq!(of(exchange, "idle-timeout = \"none\""), [None, None]);
    }

    #[test]
    fn client_falls_silent_where_it_can_be_served_and_stay() {
        let named = |profile: &str| {
            let scenarios = who_is_silent(&server(profile), Duration::from_secs(5));
            let names = scenarios.into_iter().map(|scenario| scenario.name);
            names.collect::<Vec<_>>()
        };
        let exchange = "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n[promises]\nidle-timeout = \"5s\"\n";
        assert_eq!(named(exchange), ["a silent client"]);
        let stays = format!("{exchange}after-exchange = \"stays-open\"\n");
        assert_eq!(
            named(&stays),
            ["a silent client", "a client that falls silent"]
        );
        let together = format!("{stays}serves = \"concurrently\"\n");
        assert_eq!(
            named(&together),
            ["a silent client, and one that falls silent"]
        );
        let greets = "speaks-first = true\ngreeting = 'hello\\n'\n[promises]\nidle-timeout = \"5s\"\nafter-exchange = \"stays-open\"\n";
        assert_eq!(named(greets), ["a silent client"]);
        // Who has not logged in is gone sooner.
        let login = format!("{together}login-timeout = \"2s\"\n");
        let apart = ["a silent client", "a client that falls silent"];
        assert_eq!(named(&login), apart);
        let scenarios = who_is_silent(&server(&login), Duration::from_secs(5));
        let pauses: Vec<_> = scenarios.iter().map(Scenario::pauses).collect();
        let margins = [2, 5].map(|time| IdleTimeout::margin(Duration::from_secs(time)));
        assert_eq!(pauses, margins);
    }

    #[test]
    fn later_request_has_its_time_where_the_client_may_be_silent_before_it() {
        let later = |promises: &str| {
            let exchange = "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\nonce = false\n";
            let subject = server(&format!(
                "{exchange}[promises]\nrequest-timeout = \"2s\"\n{promises}\n"
            ));
            half_a_later_request(&subject).is_some()
        };
        let stays = "after-exchange = \"stays-open\"\n";
        assert!(later(stays));
        assert!(later(&format!("{stays}idle-timeout = \"3s\"")));
        assert!(!later(&format!("{stays}idle-timeout = \"2s\"")));
        assert!(!later("after-exchange = \"closes\""));
    }
}
