//! The passport: what is observed of a server and never judged. Every observation is one row of [`OBSERVATIONS`].

use super::derive::killed_and_started_again;
use super::{choices, longest, output, penalties, reply_time, stop, unasked};
use crate::checks;
use crate::judge::{Choice, timeout_promise};
use crate::model::action::{Action, ConnectOptions};
use crate::model::data::{Data, Segmentation};
use crate::model::dialogue::{
    self, ClientSteps, pause, scenario, server_does, server_expects, server_expects_within, settle,
};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::limits::{LOOK_ON_FOR, SILENCE, STEP_WITHIN};
use crate::model::literal::{Excerpt, Measured};
use crate::model::need::Need;
use crate::model::phase::Moment;
use crate::model::profile::{Drops, IdleTimeout, Longest, STOP_WITHIN};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::{Second, ServerAction, Signal};
use crate::model::subject::Subject;
use crate::transcript::event::{ClientEvent, Sample, ServerEvent, Transcript, What};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// One thing that is observed; a literal in [`OBSERVATIONS`] is all there is to it.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The key in reports, permanent.
    pub name: &'static str,
    /// The id under which it stands among the checks, where it has one; permanent.
    pub id: Option<&'static str>,
    /// What is observed, in one sentence.
    pub about: &'static str,
    /// What must be known of the server, or hold here; otherwise there is nothing to observe.
    pub needs: &'static [Need],
    /// When it is observed.
    pub(super) occasion: Occasion,
    /// How it is read; `None` where the occasion did not come to the point.
    read: fn(&Sighting<'_>) -> Option<String>,
    /// The line of a profile that promises what was observed; `None` where it is promised, or is nothing to promise.
    line: fn(&Sighting<'_>) -> Option<String>,
}

/// What is observed has no word among the promises.
const NO_LINE: fn(&Sighting<'_>) -> Option<String> = |_| None;

/// What stands between what was observed and the line that promises it.
pub(crate) const PROMISED_BY: &str = "; to have it judged, promise ";

/// What was observed, apart from the line that promises it.
pub(crate) fn with_its_line(told: &str) -> (&str, Option<&str>) {
    match told.split_once(PROMISED_BY) {
        Some((value, line)) => (value, Some(line)),
        None => (told, None),
    }
}

/// When something is observed.
#[derive(Debug)]
pub(super) enum Occasion {
    /// During the first conversation, which every run begins with.
    Probe,
    /// During a scenario of its own, on a server of its own.
    Own(fn(&Subject) -> Option<Scenario>),
}

/// What an observation is read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting<'a> {
    /// The server.
    pub(crate) subject: &'a Subject,
    /// What was performed.
    pub(crate) scenario: &'a Scenario,
    /// What was seen of it.
    pub(crate) transcript: &'a Transcript,
}

impl Sighting<'_> {
    /// What happened at clients, with its time.
    pub(super) fn client_events(&self) -> impl Iterator<Item = (Duration, &ClientEvent)> {
        self.transcript
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Client(_, happened) => Some((event.at, happened)),
                _ => None,
            })
    }

    pub(super) fn ended(&self) -> Option<(Duration, End)> {
        self.client_events().find_map(|(at, event)| match event {
            ClientEvent::Ended(end) => Some((at, *end)),
            _ => None,
        })
    }

    /// Whether the last step was come to, so that all before it were done.
    pub(super) fn came_to_the_last_step(&self) -> bool {
        self.came_to_step(self.scenario.steps().len().saturating_sub(1))
    }

    /// Whether a step was come to, numbered in the order of the text.
    pub(super) fn came_to_step(&self, number: usize) -> bool {
        let began = |what: &What| matches!(what, What::StepBegan(step) if *step == number);
        self.transcript
            .events
            .iter()
            .any(|event| began(&event.what))
    }

    fn exit(&self) -> Option<String> {
        self.transcript
            .server_events()
            .find_map(|event| match event {
                ServerEvent::Exited(exit) => Some(exit.to_string()),
                _ => None,
            })
    }

    /// The server when its first client had left.
    fn idle(&self) -> Option<&Sample> {
        let sample = |moment| self.transcript.sample(moment);
        sample(Moment::After).or_else(|| sample(Moment::Baseline))
    }

    /// Says why nothing could be read.
    fn why_not(&self) -> String {
        match self.exit() {
            Some(exit) => format!("not observed: the server {exit} first"),
            None => "not observed: the conversation did not come to the point".to_owned(),
        }
    }
}

impl Observation {
    /// The value, read from what the first conversation showed; `None` where it has another occasion or no meaning.
    pub(crate) fn at_the_probe(&self, seen: &Sighting<'_>) -> Option<String> {
        match self.occasion {
            Occasion::Probe if self.has_meaning(seen.subject) => self.seen(seen),
            _ => None,
        }
    }

    /// The scenario of its own; `None` where it needs none, or has no meaning for this server.
    pub(crate) fn scenario(&self, subject: &Subject) -> Option<Scenario> {
        match self.occasion {
            Occasion::Own(scenario) if self.has_meaning(subject) => scenario(subject),
            _ => None,
        }
    }

    /// The value, or in words why there is none.
    pub(crate) fn value(&self, seen: &Sighting<'_>) -> String {
        self.seen(seen).unwrap_or_else(|| seen.why_not())
    }

    /// What was seen, with the line that promises it.
    fn seen(&self, seen: &Sighting<'_>) -> Option<String> {
        let value = (self.read)(seen)?;
        Some(match (self.line)(seen) {
            Some(line) => format!("{value}{PROMISED_BY}{line}"),
            None => value,
        })
    }

    fn has_meaning(&self, subject: &Subject) -> bool {
        self.needs.iter().all(|need| need.unmet(subject).is_none())
    }
}

/// The observation with a name, or with an id among the checks.
pub(crate) fn find(name: &str) -> Option<&'static Observation> {
    OBSERVATIONS
        .iter()
        .find(|observation| observation.name == name || observation.id == Some(name))
}

/// Every need that a check or an observation has, in the order in which they first have it.
pub(crate) fn needs() -> Vec<&'static Need> {
    let checks = checks::all().into_iter().flat_map(|check| check.needs);
    let observations = OBSERVATIONS.iter().flat_map(|row| row.needs);
    let mut needs: Vec<&Need> = Vec::new();
    for need in checks.chain(observations) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    needs
}

/// How many clients a server is to serve at the same time to be thought of as one without a limit: more than the limits
/// an address that are usual.
const SERVED_AT_ONCE: usize = 64;

/// The limit of connections that was met, with clients that were served or, where that ends them, that only came.
fn met_limit(seen: &Sighting<'_>) -> Option<choices::Found> {
    match Need::STAYS_OPEN.unmet(seen.subject) {
        None => choices::limit(seen),
        Some(_) => choices::met_on_arrival(seen),
    }
}

fn closed_after(time: Duration, end: End) -> String {
    format!(
        "closed by the server after {:.1} s ({end})",
        time.as_secs_f64()
    )
}

/// How long after a client's last words its connection was ended.
fn ended_after_the_last_word(seen: &Sighting<'_>) -> Option<(Duration, End)> {
    let said = |event: &ClientEvent| matches!(event, ClientEvent::Sent(_));
    let said = seen.client_events().filter(|(_, event)| said(event)).last();
    let (at, end) = seen.ended()?;
    Some((at.saturating_sub(said?.0), end))
}

/// Whether a client was told anything after its last words.
fn is_told_after_the_last_word(seen: &Sighting<'_>) -> bool {
    let events: Vec<_> = seen.client_events().map(|(_, event)| event).collect();
    let mut since = events.rsplitn(2, |event| matches!(event, ClientEvent::Sent(_)));
    let since = since.next().unwrap_or_default();
    since
        .iter()
        .any(|event| matches!(event, ClientEvent::Received(_)))
}

/// How long a silent client watches the server.
const WATCHED: Duration = Duration::from_secs(2);

/// How long a server has to do something about a signal that it may as well ignore.
const OBEYS_WITHIN: Duration = Duration::from_secs(1);

/// An address of the machine that is not the usual one.
const OTHER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A polite client. Nobody tells the sender of a datagram that the server is gone, so that it waits no longer than for
/// the server's end.
fn after_the_signal(subject: &Subject) -> Vec<Line> {
    let mut lines = ClientSteps::of(0).polite(subject).lines();
    for line in lines
        .iter_mut()
        .filter(|_| subject.place.transport.is_datagram())
    {
        if let Step::Client {
            action: Action::Expect { within, .. },
            ..
        } = &mut line.step
        {
            *within = Some(OBEYS_WITHIN);
        }
    }
    lines
}

/// What was seen of a server that was told to end while a client was connected.
struct Told {
    /// What became of the client, and how long the end took: from when it was told, or where it waited, from when the
    /// client had left.
    ended: Option<(&'static str, Duration)>,
    /// How long the server was watched.
    since: Duration,
}

impl Told {
    fn of(seen: &Sighting<'_>) -> Option<Self> {
        let events = &seen.transcript.events;
        let at = |wanted: &dyn Fn(&What) -> bool| {
            let mut found = events.iter().filter(|event| wanted(&event.what));
            found.next().map(|event| event.at)
        };
        let told = at(&|what| matches!(what, What::Server(ServerEvent::Signalled { .. })))?;
        let left = at(&|what| matches!(what, What::Client(_, ClientEvent::Closed)))?;
        let exited = at(&|what| matches!(what, What::Server(ServerEvent::Exited(_))));
        let is_closed = seen.ended().is_some();
        let ended = exited.map(|exited| match exited < left {
            true if is_closed => ("closed", exited - told),
            true => ("kept", exited - told),
            false => ("waited-for", exited - left),
        });
        let last = events.last().map_or(told, |event| event.at);
        Some(Self {
            ended,
            since: last - told,
        })
    }
}

/// Whether a client that has half-closed is answered; `None` where it did not come to that.
fn answers_after_half_close(seen: &Sighting<'_>) -> Option<bool> {
    let mut events = seen.client_events();
    events.find(|(_, event)| **event == ClientEvent::HalfClosed)?;
    let unasked = seen.subject.profile.unasked();
    Some(events.any(|(_, event)| {
        matches!(event, ClientEvent::Received(bytes) if !unasked.is_all_of(&bytes.bytes()))
    }))
}

/// Every observation there is, in the order of the alphabet, as in reports.
pub(crate) const OBSERVATIONS: &[Observation] = &[
    Observation {
        name: "address",
        id: None,
        about: "Where the server listens.",
        needs: &[],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.subject.place.address.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "amplification",
        id: Some("datagram/no-amplification"),
        about: "How many bytes the server sends for each byte of a datagram: what a forged sender would be hit with.",
        needs: &[Need::DATAGRAM, Need::DIALOGUE],
        occasion: Occasion::Probe,
        read: |seen| {
            let (mut asked, mut answered) = (0, 0);
            for (_, event) in seen.client_events() {
                match event {
                    ClientEvent::Sent(bytes) => asked += bytes.len(),
                    ClientEvent::Datagram { bytes, .. } => answered += bytes.len(),
                    _ => {}
                }
            }
            let ratio = answered as f64 / asked as f64;
            (asked > 0).then(|| format!("{ratio:.2} reply bytes for each request byte"))
        },
        line: NO_LINE,
    },
    Observation {
        name: "answers_again",
        id: None,
        about: "Whether the server answers its last exchange again on the same connection, where nothing is said of it.",
        needs: &[Need::STREAM, Need::EXCHANGES, Need::STAYS_OPEN],
        occasion: Occasion::Probe,
        read: |seen| {
            let is_tried = seen.subject.profile.answers_again().is_none();
            is_tried.then(|| match seen.subject.answers_again {
                true => "answers the same request again".to_owned(),
                false => "does not answer the same request again".to_owned(),
            })
        },
        line: |seen| {
            let once = !seen.subject.answers_again;
            Some(format!("once = {once} in its [[exchange]]"))
        },
    },
    Observation {
        name: "at_rest_when_idle",
        id: None,
        about: "Whether every thread of the server waits when no client is there.",
        needs: &[Need::OWN_PROCESS],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.idle()?.at_rest.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "backlog",
        id: None,
        about: "The limit of the accept queue, as the kernel has it.",
        needs: &[Need::STREAM],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.subject.place.backlog?.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "close_after_reply",
        id: None,
        about: "What the server does with the connection after its reply: fin, reset, or it stays open.",
        needs: &[Need::STREAM, Need::DIALOGUE],
        occasion: Occasion::Probe,
        read: |seen| {
            let ended = seen.ended().map(|(_, end)| end.to_string());
            Some(ended.unwrap_or_else(|| "stays open".to_owned()))
        },
        line: |seen| {
            let promises = &seen.subject.profile.promises;
            let word = match seen.ended().map(|(_, end)| end) {
                None => "stays-open",
                Some(End::Fin) => "closes",
                Some(_) => return None,
            };
            let is_open = promises.after_exchange.is_none() && seen.subject.profile.has_request();
            is_open.then(|| format!("after-exchange = \"{word}\""))
        },
    },
    Observation {
        name: "half_close",
        id: None,
        about: "What the server does when a request and the client's FIN arrive together.",
        needs: &[Need::STREAM, Need::DIALOGUE],
        occasion: Occasion::Own(|subject| {
            let request = dialogue::request(&subject.profile)?;
            let ask = ClientSteps::of(0).send(request).then(Action::HalfClose);
            let watch = ClientSteps::of(0)
                .expect_within(Expectation::any_end(), WATCHED)
                .then(Action::Close);
            Some(scenario(
                "a request and FIN arrive together",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open(subject).lines(),
                    vec![server_does(ServerAction::Stop)],
                    ask.lines(),
                    vec![server_does(ServerAction::Continue)],
                    watch.lines(),
                ],
            ))
        }),
        read: |seen| {
            let answers = answers_after_half_close(seen)?;
            let answer = if answers {
                "answers, "
            } else {
                "does not answer, "
            };
            Some(match seen.ended() {
                Some((_, end)) => format!("{answer}then {end}"),
                None => format!("{answer}and stays open"),
            })
        },
        line: |seen| {
            let is_open = seen.subject.profile.promises.half_close.is_none();
            // Who keeps the connection does neither.
            let (_, end) = seen.ended().filter(|_| is_open)?;
            let word = match answers_after_half_close(seen)? {
                true if end == End::Fin => "answers",
                true => return None,
                false => "closes",
            };
            Some(format!("half-close = \"{word}\""))
        },
    },
    Observation {
        name: "hup",
        id: Some("stop/hup-ignored-or-obeyed"),
        about: "What the server does when it is sent SIGHUP, which asks some to end and others to read their settings again.",
        needs: &[Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|subject| {
            Some(scenario(
                "hung up",
                &[("alice", 1)],
                vec![
                    vec![server_does(ServerAction::Signal(Signal::Hup)), settle()],
                    after_the_signal(subject),
                    vec![server_expects_within(
                        ServerExpectation::Exit(None),
                        OBEYS_WITHIN,
                    )],
                ],
            ))
        }),
        read: |seen| {
            Some(match seen.exit() {
                Some(exit) => exit,
                None if seen.came_to_the_last_step() => "goes on and serves".to_owned(),
                None => "goes on and does not serve".to_owned(),
            })
        },
        line: NO_LINE,
    },
    Observation {
        name: "idle",
        id: None,
        about: "What the server does with a client that connects and is silent.",
        needs: &[Need::STREAM],
        occasion: Occasion::Own(|subject| {
            Some(scenario(
                "a silent client",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).connect().secured(subject).lines(),
                    vec![pause(WATCHED)],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            ))
        }),
        read: |seen| {
            let connected = seen.client_events().find_map(|(at, event)| match event {
                ClientEvent::Connected { .. } => Some(at),
                _ => None,
            })?;
            Some(match seen.ended() {
                Some((at, end)) => closed_after(at - connected, end),
                None => format!("stays open (watched for {} s)", WATCHED.as_secs()),
            })
        },
        line: |seen| {
            let promises = &seen.subject.profile.promises;
            let is_open = promises.idle_timeout.is_none() && promises.login_timeout.is_none();
            let connected = seen.client_events().find_map(|(at, event)| match event {
                ClientEvent::Connected { .. } => Some(at),
                _ => None,
            })?;
            let after = seen.ended()?.0 - connected;
            let choice = Choice::GivesUp {
                after,
                at_login: true,
            };
            is_open.then(|| choice.promise())?
        },
    },
    Observation {
        name: "isolation",
        id: None,
        about: "Where the server ran: in a namespace of its own, or on the plain host.",
        needs: &[],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.subject.isolation.to_owned()),
        line: NO_LINE,
    },
    Observation {
        name: "listener_after_end",
        id: None,
        about: "Whether the listening socket of a server that was killed outlives its last process, and how long.",
        needs: &[Need::TCP, Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|subject| {
            let open = ClientSteps::of(0).open(subject).lines();
            Some(scenario(
                "killed, and started again",
                &[("alice", 1)],
                vec![open, killed_and_started_again()],
            ))
        }),
        read: |seen| {
            let kept = |event: &ServerEvent| match event {
                ServerEvent::LetGo(after) => {
                    Some(format!("outlives its last process by {}", Measured(*after)))
                }
                ServerEvent::NotLetGo(after) => Some(format!(
                    "is there {} after its last process",
                    Measured(*after)
                )),
                _ => None,
            };
            let mut events = seen.transcript.server_events();
            let at_once = || "goes with its last process".to_owned();
            let is_restarted = seen.transcript.is_restarted();
            let outlived = events.find_map(kept);
            outlived.or_else(|| is_restarted.then(at_once))
        },
        line: NO_LINE,
    },
    Observation {
        name: "longest",
        id: None,
        about: "How long a line, its newline counted, or a datagram may be to be answered, where that is not promised.",
        needs: &[Need::MODEL, Need::REPLY, Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|subject| {
            let is_open = longest::may_be_met(subject);
            is_open.then(|| longest::usual_ladder(subject)).flatten()
        }),
        read: |seen| {
            let (answered, refused) = longest::answered(seen)?;
            Some(match refused {
                None => format!("answers {answered} bytes"),
                Some(refused) => format!("answers {answered} bytes, and not {refused}"),
            })
        },
        line: |seen| {
            let (bytes, refused) = longest::answered(seen)?;
            let choice = Choice::Longest {
                longest: Longest {
                    bytes,
                    refused: None,
                },
                framing: seen.subject.profile.model()?.framing,
            };
            refused.and_then(|_| choice.promise())
        },
    },
    Observation {
        name: "memory_mib",
        id: None,
        about: "The resident memory of the server when no client is there, in MiB, without the pages of files and those that are shared.",
        needs: &[Need::OWN_PROCESS],
        occasion: Occasion::Probe,
        read: |seen| {
            let idle = seen.idle()?;
            let mebibytes = idle.memory_bytes >> 20;
            Some(match idle.shadowed {
                true => format!(
                    "{mebibytes}; a sanitizer keeps what is freed, so that growth of memory is not judged"
                ),
                false => mebibytes.to_string(),
            })
        },
        line: NO_LINE,
    },
    Observation {
        name: "most_connections",
        id: None,
        about: "How many clients the server serves at the same time, of so many who come one by one, where that is not promised.",
        needs: &[
            Need::STREAM,
            Need::REPLY,
            Need::REQUEST,
            Need::SEVERAL_AT_ONCE,
        ],
        occasion: Occasion::Own(|subject| {
            let is_open = subject.profile.promises.most_connections.is_none();
            is_open.then(|| match Need::STAYS_OPEN.unmet(subject) {
                None => choices::one_by_one(subject, SERVED_AT_ONCE, choices::is_served),
                Some(_) => choices::arrivals(subject, SERVED_AT_ONCE, 1),
            })
        }),
        read: |seen| {
            Some(match met_limit(seen).map(|found| found.choice) {
                Some(Choice::Limit {
                    held,
                    drops: Drops::Some,
                    ..
                }) => format!("holds {held} and closes some of those that come then"),
                Some(Choice::Limit {
                    held,
                    drops: Drops::Oldest,
                    ..
                })
                | Some(Choice::GivesPlacesAway(held)) => {
                    format!("holds {held}, then closes those who came first")
                }
                Some(Choice::Limit {
                    held, closes: true, ..
                }) => format!("holds {held} and closes the next"),
                Some(Choice::Limit { held, .. }) => {
                    format!("holds {held} and leaves the next unanswered")
                }
                _ => match Need::STAYS_OPEN.unmet(seen.subject) {
                    None => format!("serves {SERVED_AT_ONCE} at the same time"),
                    Some(_) => format!("holds {SERVED_AT_ONCE} at the same time"),
                },
            })
        },
        line: |seen| {
            let Some(found) = met_limit(seen) else {
                let promises = &seen.subject.profile.promises;
                let is_served = Need::STAYS_OPEN.unmet(seen.subject).is_none();
                let is_open = promises.serves.is_none() && is_served;
                return is_open.then(|| "serves = \"concurrently\"".to_owned());
            };
            match found.choice {
                // It may as well be a time-out that those who came first have met.
                Choice::Limit {
                    drops: Drops::Oldest,
                    ..
                } => None,
                choice => choice.promise(),
            }
        },
    },
    Observation {
        name: "open_files",
        id: None,
        about: "How many open files a process of the server may have: descriptors above 1,023, where select(2) ends, are in use \
                by none that may have fewer.",
        needs: &[Need::OWN_PROCESS],
        occasion: Occasion::Probe,
        read: |seen| {
            let limit = seen.subject.open_files?;
            Some(match limit <= 1_024 {
                true => format!("at most {limit}, so that no descriptor above 1,023 is tried"),
                false => format!("at most {limit}"),
            })
        },
        line: NO_LINE,
    },
    Observation {
        name: "output_limit",
        id: None,
        about: "What the server does about a client that asks for 4 MiB and does not read, where output-limit is not promised.",
        needs: output::MAY_BE_MET,
        occasion: Occasion::Own(output::unread),
        read: |seen| {
            let what = match output::Fate::of(0, seen)? {
                output::Fate::Ended { .. } => "ends the connection",
                output::Fate::HeldBack => "reads no more of it",
                output::Fate::Kept => "reads all and keeps the replies",
            };
            Some(what.to_owned())
        },
        line: NO_LINE,
    },
    Observation {
        name: "path_after_term",
        id: Some("local/path-removed"),
        about: "Whether the path of a Unix socket is still there when its server has ended at SIGTERM.",
        needs: &[Need::LOCAL, Need::OWN_SOCKET, Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|_| {
            Some(scenario(
                "told to end",
                &[],
                vec![vec![
                    server_does(ServerAction::Signal(Signal::Term)),
                    server_expects_within(ServerExpectation::Exit(None), STOP_WITHIN),
                    server_expects(ServerExpectation::Gone),
                ]],
            ))
        }),
        read: |seen| {
            let remains = |event: &ServerEvent| match event {
                ServerEvent::PathRemains(true) => Some("left behind".to_owned()),
                ServerEvent::PathRemains(false) => Some("removed".to_owned()),
                _ => None,
            };
            seen.transcript.server_events().find_map(remains)
        },
        line: NO_LINE,
    },
    Observation {
        name: "penalties",
        id: None,
        about: "Whether an address from which many clients have come at once is turned away, where that is not promised.",
        needs: &[Need::TCP, Need::REPLY, Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|subject| {
            penalties::is_open(subject).then(|| penalties::many_from_one(subject))
        }),
        read: penalties::observed,
        line: |seen| {
            let is_turned_away = penalties::turns_away_an_address(seen)?;
            is_turned_away.then(|| Choice::Penalises(Duration::ZERO).promise())?
        },
    },
    Observation {
        name: "pipelining",
        id: None,
        about: "Whether the server answers both of two requests that arrive together, where nothing is promised of it.",
        needs: &[Need::STREAM, Need::EXCHANGES, Need::ANSWERS_AGAIN],
        occasion: Occasion::Own(|subject| {
            let request = dialogue::request(&subject.profile)?;
            let is_said = subject.profile.promises.pipelining.is_some();
            let steps = ClientSteps::of(0)
                .open(subject)
                .send_data(Data::literal(request).times(2), Segmentation::Whole)
                .expect_reply(subject)
                .expect_reply(subject)
                .then(Action::Close);
            (!is_said).then(|| {
                scenario(
                    "two requests arrive together",
                    &[("alice", 1)],
                    vec![steps.lines()],
                )
            })
        }),
        read: |seen| {
            Some(match (seen.came_to_the_last_step(), seen.ended()) {
                (true, _) => "answers both of two requests that arrive together".to_owned(),
                (false, Some((_, end))) => {
                    format!("does not answer two requests that arrive together, then {end}")
                }
                (false, None) => "does not answer two requests that arrive together".to_owned(),
            })
        },
        line: |seen| {
            let word = match seen.came_to_the_last_step() {
                true => "answers",
                false => "forbidden",
            };
            Some(format!("pipelining = \"{word}\""))
        },
    },
    Observation {
        name: "processes",
        id: None,
        about: "How many processes the server has when no client is there.",
        needs: &[Need::OWN_PROCESS],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.idle()?.processes.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "reply_source",
        id: None,
        about: "The address that a reply comes from when a server that is bound to all addresses was asked on 127.0.0.2.",
        needs: &[Need::DATAGRAM, Need::DIALOGUE, Need::REPLY, Need::WILDCARD],
        occasion: Occasion::Own(|subject| {
            let options = ConnectOptions {
                to: Some(OTHER_ADDRESS.into()),
                from: Some(Ipv4Addr::LOCALHOST.into()),
                ..ConnectOptions::default()
            };
            let steps = ClientSteps::of(0)
                .then(Action::Connect(options))
                .send(dialogue::request(&subject.profile)?)
                .expect_reply(subject)
                .then(Action::Close);
            Some(scenario(
                "asked on another address",
                &[("alice", 1)],
                vec![steps.lines()],
            ))
        }),
        read: |seen| {
            let from = seen.client_events().find_map(|(_, event)| match event {
                ClientEvent::Datagram { from, .. } => from.as_deref().copied(),
                _ => None,
            })?;
            Some(match from.ip() == IpAddr::from(OTHER_ADDRESS) {
                true => "the address that was asked".to_owned(),
                false => format!("{}, asked on {OTHER_ADDRESS}", from.ip()),
            })
        },
        line: NO_LINE,
    },
    Observation {
        name: "reply_time",
        id: None,
        about: "How long the server's replies take to begin and to be whole, and whether a part of them waits for an acknowledgement of the part before (Nagle's algorithm).",
        needs: &[
            Need::DIALOGUE,
            Need::REPLY,
            Need::REQUEST,
            Need::MANY_CONNECTIONS,
        ],
        occasion: Occasion::Own(reply_time::exchanges),
        read: reply_time::observed,
        line: NO_LINE,
    },
    Observation {
        name: "request_timeout",
        id: None,
        about: "What the server does with a client that begins a request and does not end it, where request-timeout is not promised.",
        needs: &[Need::STREAM, Need::LONG_REQUEST],
        occasion: Occasion::Own(|subject| {
            let is_open = subject.profile.promises.request_timeout.is_none();
            let half = dialogue::half_a_request(&subject.profile).filter(|_| is_open)?;
            let begins = ClientSteps::of(0).open(subject).send(half);
            Some(scenario(
                "a request without an end",
                &[("alice", 1)],
                vec![
                    begins.lines(),
                    vec![pause(WATCHED)],
                    ClientSteps::of(0).then(Action::Close).lines(),
                ],
            ))
        }),
        read: |seen| {
            Some(match ended_after_the_last_word(seen) {
                Some((time, end)) => closed_after(time, end),
                None if is_told_after_the_last_word(seen) => {
                    "answers before it has come to its end".to_owned()
                }
                None => format!("is waited for (watched for {} s)", WATCHED.as_secs()),
            })
        },
        line: |seen| {
            let (time, _) = ended_after_the_last_word(seen)?;
            // A server may have no patience with a client that is silent, whatever it has said before, and end who talks nonsense.
            seen.subject.profile.promises.idle_timeout?;
            let patience = seen.subject.profile.promises.patience();
            let is_silence = patience.is_some_and(|patience| IdleTimeout::margin(patience) <= time);
            let is_a_time = time >= SILENCE && !is_silence;
            is_a_time.then(|| timeout_promise("request-timeout", time))
        },
    },
    Observation {
        name: "second_instance",
        id: None,
        about: "What a second instance on the same address does, which has a folder of its own.",
        needs: &[Need::MANY_CONNECTIONS, Need::OWN_SOCKET],
        occasion: Occasion::Own(|_| {
            let second = server_does(ServerAction::StartSecond(Second::EitherWay));
            Some(scenario("a second instance", &[], vec![vec![second]]))
        }),
        read: |seen| {
            let became = |event: &ServerEvent| match event {
                ServerEvent::SecondEnded(exit, _) => Some(exit.to_string()),
                ServerEvent::SecondShares => Some("shares the port".to_owned()),
                ServerEvent::SecondTakesOver => Some("takes the address over".to_owned()),
                ServerEvent::SecondWithout => Some("runs without the address".to_owned()),
                ServerEvent::SecondTries => {
                    let tried = LOOK_ON_FOR.as_secs();
                    Some(format!("still tries (watched for {tried} s)"))
                }
                ServerEvent::SecondElsewhere(_) => Some("listens elsewhere".to_owned()),
                _ => None,
            };
            seen.transcript.server_events().find_map(became)
        },
        line: |seen| {
            let promised = seen.subject.profile.promises.second_instance.is_some();
            let mut events = seen.transcript.server_events();
            let word = events.find_map(|event| match event {
                ServerEvent::SecondEnded(..) => Some("ends"),
                ServerEvent::SecondShares => Some("shares-port"),
                ServerEvent::SecondTakesOver => Some("takes-over"),
                _ => None,
            });
            let word = word.filter(|_| !promised)?;
            Some(format!("second-instance = \"{word}\""))
        },
    },
    Observation {
        name: "starting",
        id: None,
        about: "Whether the server serves a client that comes as soon as it listens, or turns clients away for a while.",
        needs: &[Need::REPLY],
        occasion: Occasion::Probe,
        read: |seen| {
            Some(match seen.subject.turned_away {
                Some(time) => format!(
                    "turns clients away in words of its own, and serves one that comes {} later",
                    Measured(time)
                ),
                None => "serves the first client".to_owned(),
            })
        },
        line: |seen| {
            let is_open = seen.subject.profile.promises.starting.is_none();
            let turned_away = seen.subject.turned_away.filter(|_| is_open)?;
            Choice::TurnsAway(turned_away).promise()
        },
    },
    Observation {
        name: "stop",
        id: None,
        about: "What becomes of a client that is connected when the server is told to end, and when it ends, where that is not promised.",
        needs: &[Need::STREAM, Need::MANY_CONNECTIONS],
        occasion: Occasion::Own(|subject| {
            let is_promised = Need::SESSIONS.unmet(subject).is_none();
            let lines = vec![
                stop::served_and_silent(subject).lines(),
                vec![
                    server_does(ServerAction::Signal(stop::signal(subject))),
                    pause(OBEYS_WITHIN),
                    settle(),
                ],
                ClientSteps::of(0).then(Action::Close).lines(),
                vec![
                    server_expects_within(ServerExpectation::Exit(None), STOP_WITHIN),
                    server_expects_within(ServerExpectation::Gone, OBEYS_WITHIN),
                ],
            ];
            let told = scenario("told to end, with a client", &[("alice", 1)], lines);
            (!is_promised).then_some(told)
        }),
        read: |seen| {
            Some(match Told::of(seen)? {
                Told {
                    ended: Some((sessions, after)),
                    ..
                } => {
                    let what = match sessions {
                        "closed" => "closes its client and ends",
                        "kept" => "ends and has its client served on",
                        _ => "waits for its client and ends",
                    };
                    format!("{what}, {} later", Measured(after))
                }
                Told { since, .. } => {
                    format!("still runs {} later, its client gone", Measured(since))
                }
            })
        },
        line: |seen| {
            let (sessions, after) = Told::of(seen)?.ended?;
            let promises = &seen.subject.profile.promises;
            if promises.stop.is_some() {
                return Some(format!("sessions = \"{sessions}\" in stop"));
            }
            // Another host may be slower, and a promise is no measurement: less than any step may take is asked of nobody.
            let usual = STEP_WITHIN.as_secs_f64();
            let within = (after.as_secs_f64() * 2.0).ceil().max(usual);
            Some(format!(
                "stop = {{ signal = \"{}\", within = \"{within}s\", sessions = \"{sessions}\" }}",
                stop::signal(seen.subject)
            ))
        },
    },
    Observation {
        name: "threads",
        id: None,
        about: "How many threads the server has when no client is there.",
        needs: &[Need::OWN_PROCESS],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.idle()?.threads.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "throttling",
        id: None,
        about: "How long the server reads no more of a client that has said what is no request, where that is not promised.",
        needs: &[Need::STREAM, Need::EXCHANGES, Need::STAYS_OPEN],
        occasion: Occasion::Own(|subject| {
            let is_open = subject.profile.promises.throttling.is_none();
            is_open.then(|| choices::noise(subject))
        }),
        read: |seen| {
            Some(match (choices::read_on_after(seen), seen.ended()) {
                (Some(late), _) if late < choices::NOTICED_WITHIN => "reads on".to_owned(),
                (Some(late), _) => format!("reads on {} later", Measured(late)),
                (None, Some((_, end))) => format!("ends the connection ({end})"),
                (None, None) => "reads no more".to_owned(),
            })
        },
        line: |seen| choices::throttles(seen)?.choice.promise(),
    },
    Observation {
        name: "time_wait",
        id: None,
        about: "Who is left with the connection in TIME_WAIT after a polite conversation: whoever closed first.",
        needs: &[Need::TCP],
        occasion: Occasion::Own(|subject| {
            let watch = server_expects_within(ServerExpectation::TimeWait, OBEYS_WITHIN);
            Some(scenario(
                "a polite client",
                &[("alice", 1)],
                vec![ClientSteps::of(0).polite(subject).lines(), vec![watch]],
            ))
        }),
        read: |seen| {
            let (mut server, mut client) = (None, None);
            for event in seen.transcript.server_events() {
                match event {
                    ServerEvent::TimeWait(rows) => server = Some(*rows > 0),
                    ServerEvent::TimeWaitOfClients(rows) => client = Some(*rows > 0),
                    _ => {}
                }
            }
            let holder = match (server?, client?) {
                (true, true) => "server and client",
                (true, false) => "server",
                (false, true) => "client",
                (false, false) => "nobody",
            };
            Some(holder.to_owned())
        },
        line: NO_LINE,
    },
    Observation {
        name: "transport",
        id: None,
        about: "How bytes reach the server.",
        needs: &[],
        occasion: Occasion::Probe,
        read: |seen| Some(seen.subject.place.transport.to_string()),
        line: NO_LINE,
    },
    Observation {
        name: "unasked",
        id: None,
        about: "What the server says by itself to a client that is silent, where that is not promised.",
        needs: &[Need::STREAM, Need::DIALOGUE],
        occasion: Occasion::Own(|subject| {
            let is_open = unasked::is_open(subject);
            is_open.then(|| unasked::silent_once_served(subject, WATCHED))
        }),
        read: |seen| {
            Some(match unasked::heard(seen) {
                Some((words, after)) => format!(
                    "{} after {} of silence",
                    Excerpt::of(&words),
                    Measured(after)
                ),
                None if !seen.came_to_the_last_step() => return None,
                None => format!("nothing (watched for {} s)", WATCHED.as_secs()),
            })
        },
        line: |seen| unasked::says(seen)?.promise(),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, connected, says, server, told};
    use crate::model::subject::Place;
    use crate::transcript::event::Exit;

    #[test]
    fn names_are_in_the_order_of_the_alphabet_and_stand_once() {
        let names: Vec<_> = OBSERVATIONS.iter().map(|row| row.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn every_observation_is_a_sentence() {
        for row in OBSERVATIONS {
            assert!(row.about.ends_with('.'), "{}: {}", row.name, row.about);
        }
    }

    /// What is read under a name from these events, of a server that does not matter.
    fn read(name: &str, what: Vec<What>) -> String {
        let profile = crate::model::profile::Profile::unknown();
        let place = Place::on(crate::model::profile::Transport::Tcp);
        let subject = Subject::of(profile, place);
        let events = (0..)
            .zip(what)
            .map(|(second, what)| crate::transcript::event::Event {
                at: Duration::from_secs(second),
                what,
            });
        let row = OBSERVATIONS.iter().find(|row| row.name == name);
        row.expect("an observation").value(&Sighting {
            subject: &subject,
            scenario: &scenario("nothing", &[], vec![]),
            transcript: &Transcript::of(events.collect()),
        })
    }

    fn client(event: ClientEvent) -> What {
        What::Client(
            crate::transcript::event::ClientId { who: 0, member: 0 },
            event,
        )
    }

    #[test]
    fn reply_before_the_fin_is_no_answer_to_it() {
        let reply = || client(ClientEvent::Received(b"hello".to_vec().into()));
        let fin = || client(ClientEvent::HalfClosed);
        assert_eq!(
            read("half_close", vec![reply(), fin()]),
            "does not answer, and stays open"
        );
        assert_eq!(
            read("half_close", vec![fin(), reply()]),
            "answers, and stays open"
        );
    }

    #[test]
    fn time_wait_may_be_left_to_nobody() {
        let rows = |server, client| {
            vec![
                What::Server(ServerEvent::TimeWaitOfClients(client)),
                What::Server(ServerEvent::TimeWait(server)),
            ]
        };
        assert_eq!(read("time_wait", rows(0, 0)), "nobody");
        assert_eq!(read("time_wait", rows(1, 1)), "server and client");
    }

    #[test]
    fn what_did_not_come_to_the_point_is_not_guessed() {
        let died = What::Server(ServerEvent::Exited(Exit::Status(1)));
        assert_eq!(
            read("idle", vec![died]),
            "not observed: the server exited with status 1 first"
        );
        assert!(read("half_close", vec![]).starts_with("not observed: "));
    }

    const LINES: &str = "model = \"echo\"\nframing = \"line\"\n";

    fn row(name: &str) -> &'static Observation {
        find(name).expect("an observation")
    }

    /// What is staged for an observation of a server.
    fn staged(name: &str, subject: &Subject) -> Staged {
        Staged::of(subject, row(name).scenario(subject).unwrap())
    }

    fn value(name: &str, staged: &Staged) -> String {
        staged.read(|seen| row(name).value(seen))
    }

    fn fin() -> ClientEvent {
        ClientEvent::Ended(End::Fin)
    }

    #[test]
    fn observation_is_found_by_its_name_or_its_id() {
        assert_eq!(find("hup").map(|row| row.name), Some("hup"));
        let by_id = find("stop/hup-ignored-or-obeyed");
        assert_eq!(by_id.map(|row| row.name), Some("hup"));
        assert!(find("nothing").is_none());
    }

    #[test]
    fn need_of_checks_or_observations_is_listed_once() {
        let words: Vec<_> = needs().iter().map(|need| need.word).collect();
        let once: std::collections::HashSet<_> = words.iter().collect();
        assert_eq!(once.len(), words.len());
        // One of checks alone, and one of observations alone.
        assert!(
            words.contains(&"wildcard") && words.contains(&"TCP"),
            "{words:?}"
        );
        assert!(words.len() > 40, "{words:?}");
    }

    #[test]
    fn observation_of_the_first_conversation_is_made_where_it_has_a_meaning() {
        let at_the_probe = |name: &str, profile: &str| {
            let subject = server(profile);
            let nothing = Staged::of(&subject, scenario("nothing", &[], vec![]));
            nothing.read(|seen| row(name).at_the_probe(seen))
        };
        assert_eq!(at_the_probe("transport", LINES).as_deref(), Some("tcp"));
        assert_eq!(
            at_the_probe("close_after_reply", LINES).as_deref(),
            Some("stays open; to have it judged, promise after-exchange = \"stays-open\"")
        );
        assert_eq!(
            at_the_probe("close_after_reply", "transport = \"tcp\"\n"),
            None
        );
        // It has an occasion of its own.
        assert_eq!(at_the_probe("idle", LINES), None);
        assert!(row("transport").scenario(&server(LINES)).is_none());
        assert!(row("idle").scenario(&server(LINES)).is_some());
    }

    #[test]
    fn amplification_is_what_is_sent_for_each_byte() {
        let subject = server("transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n");
        let nothing = || Staged::of(&subject, scenario("nothing", &[], vec![]));
        let datagram = |bytes: usize| ClientEvent::Datagram {
            from: None,
            bytes: vec![0; bytes],
        };
        let asked = nothing()
            .client(0, 0, says("four"))
            .client(0, 0, says("four"));
        let answered = asked.client(1, 0, datagram(10)).client(1, 0, datagram(2));
        let expected = "1.50 reply bytes for each request byte";
        assert_eq!(value("amplification", &answered), expected);
        let unasked = nothing().client(1, 0, datagram(2));
        assert!(value("amplification", &unasked).starts_with("not observed"));
    }

    #[test]
    fn again_is_observed_where_nothing_is_said_of_it() {
        let pings = |once: &str| {
            server(&format!(
                "[[exchange]]\n{once}send = 'PING\\n'\nreply = 'PONG\\n'\n"
            ))
        };
        let seen = |subject: &Subject| {
            let nothing = Staged::of(subject, scenario("nothing", &[], vec![]));
            value("answers_again", &nothing)
        };
        let no = "does not answer the same request again; to have it judged, promise once = true in its [[exchange]]";
        assert_eq!(seen(&pings("")), no);
        let yes = "answers the same request again; to have it judged, promise once = false in its [[exchange]]";
        assert_eq!(seen(&pings("").answering_again()), yes);
        assert!(seen(&pings("once = true\n")).starts_with("not observed"));
    }

    #[test]
    fn what_is_said_unasked_is_no_answer_to_a_fin() {
        let subject = server(&format!("{LINES}[promises]\nunasked = [': hi\\n']\n"));
        let said = |words| {
            let finished = staged("half_close", &subject).client(0, 0, ClientEvent::HalfClosed);
            value(
                "half_close",
                &finished.client(1, 0, told(words)).client(2, 0, fin()),
            )
        };
        let promised = |word: &str| format!("; to have it judged, promise half-close = \"{word}\"");
        assert_eq!(
            said(": hi\n"),
            "does not answer, then fin".to_owned() + &promised("closes")
        );
        assert_eq!(
            said("hello\n"),
            "answers, then fin".to_owned() + &promised("answers")
        );
    }

    #[test]
    fn server_that_is_hung_up_ends_or_goes_on_and_serves_or_does_not() {
        let subject = server(LINES);
        let hung_up = || staged("hup", &subject);
        assert_eq!(value("hup", &hung_up().whole()), "goes on and serves");
        assert_eq!(
            value("hup", &hung_up().until(2)),
            "goes on and does not serve"
        );
        let exited = hung_up().server(1, ServerEvent::Exited(Exit::Status(0)));
        assert_eq!(value("hup", &exited), "exited with status 0");
    }

    #[test]
    fn signal_is_obeyed_within_a_second_by_who_takes_datagrams() {
        let limits = |profile: &str| {
            let lines = after_the_signal(&server(profile));
            let within = lines.iter().filter_map(|line| match line.action()? {
                Action::Expect { within, .. } => Some(*within),
                _ => None,
            });
            within.collect::<Vec<_>>()
        };
        let udp = "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"\n";
        assert_eq!(limits(udp), [Some(OBEYS_WITHIN)]);
        assert_eq!(limits(LINES), [None]);
    }

    #[test]
    fn silent_client_is_kept_or_given_up() {
        let silent = |promises: &str| {
            let subject = server(&format!("{LINES}[promises]\n{promises}\n"));
            staged("idle", &subject).client(500, 0, connected())
        };
        let open = silent("").client(2_500, 0, ClientEvent::Closed);
        assert_eq!(value("idle", &open), "stays open (watched for 2 s)");
        let closed = |promises: &str| value("idle", &silent(promises).client(2_000, 0, fin()));
        let seen = "closed by the server after 1.5 s (fin)";
        let promise = format!("{seen}; to have it judged, promise login-timeout = \"1500ms\"");
        assert_eq!(closed(""), promise);
        assert_eq!(closed("idle-timeout = \"5s\""), seen);
        assert_eq!(closed("login-timeout = \"5s\""), seen);
    }

    #[test]
    fn client_that_does_not_end_its_request_is_waited_for_or_given_up() {
        let begun = |promises: &str| {
            let subject = server(&format!("{LINES}[promises]\n{promises}\n"));
            let begun = staged("request_timeout", &subject).client(100, 0, connected());
            begun.client(500, 0, says("hel"))
        };
        let open = begun("").client(2_500, 0, ClientEvent::Closed);
        let open = value("request_timeout", &open);
        assert_eq!(open, "is waited for (watched for 2 s)");
        let closed =
            |promises: &str| value("request_timeout", &begun(promises).client(2_000, 0, fin()));
        let seen = "closed by the server after 1.5 s (fin)";
        let promise = format!("{seen}; to have it judged, promise request-timeout = \"1500ms\"");
        // A server may have no patience with who is silent, whatever that one has said before.
        assert_eq!(closed(""), seen);
        assert_eq!(closed("idle-timeout = \"2s\""), seen);
        assert_eq!(closed("idle-timeout = \"5s\""), promise);
        assert_eq!(closed("idle-timeout = \"none\""), promise);
        let login = "idle-timeout = \"none\"\nlogin-timeout = \"2s\"";
        assert_eq!(closed(login), seen);
        let never = || begun("idle-timeout = \"none\"");
        let at_once = value("request_timeout", &never().client(510, 0, fin()));
        assert_eq!(at_once, "closed by the server after 0.0 s (fin)");
        let told = value("request_timeout", &never().client(510, 0, told("what?\n")));
        assert_eq!(told, "answers before it has come to its end");
    }

    #[test]
    fn listener_goes_with_its_process_or_outlives_it() {
        let subject = server(LINES);
        let killed = |event| {
            value(
                "listener_after_end",
                &staged("listener_after_end", &subject).server(1, event),
            )
        };
        let second = Duration::from_secs(1);
        assert_eq!(
            killed(ServerEvent::LetGo(second)),
            "outlives its last process by 1.00 s"
        );
        assert_eq!(
            killed(ServerEvent::NotLetGo(second)),
            "is there 1.00 s after its last process"
        );
        assert!(killed(ServerEvent::Stopped).starts_with("not observed"));
    }

    #[test]
    fn longest_that_is_answered_is_promised_where_a_longer_one_is_not() {
        let subject = server(LINES);
        let ladder = || staged("longest", &subject);
        let refused = value("longest", &ladder().until(6));
        let expected = "answers 2 bytes, and not 3; to have it judged, promise longest = \"2B\"";
        assert_eq!(refused, expected);
        let all = value("longest", &ladder().whole());
        assert!(
            all.starts_with("answers ") && !all.contains("promise"),
            "{all}"
        );
    }

    #[test]
    fn memory_under_a_sanitizer_is_said_not_to_be_judged() {
        let memory = |shadowed| {
            let sample = Sample {
                memory_bytes: 5 << 20,
                shadowed,
                ..Sample::default()
            };
            read(
                "memory_mib",
                vec![What::Sample(Moment::Baseline, sample.into())],
            )
        };
        assert_eq!(memory(false), "5");
        assert!(memory(true).starts_with("5; a sanitizer"));
    }

    #[test]
    fn server_is_idle_when_its_first_client_has_left() {
        let threads = |moment, threads| {
            let sample = Sample {
                threads,
                ..Sample::default()
            };
            What::Sample(moment, sample.into())
        };
        let both = vec![threads(Moment::Baseline, 2), threads(Moment::After, 3)];
        assert_eq!(read("threads", both), "3");
        assert_eq!(read("threads", vec![threads(Moment::Baseline, 2)]), "2");
    }

    #[test]
    fn clients_who_stay_are_served_up_to_a_limit() {
        let stays = server(&format!(
            "{LINES}[promises]\nafter-exchange = \"stays-open\"\n"
        ));
        let most = |subject: &Subject| staged("most_connections", subject);
        let all = value("most_connections", &most(&stays).whole());
        let promised = "; to have it judged, promise serves = \"concurrently\"";
        assert_eq!(all, "serves 64 at the same time".to_owned() + promised);
        let two = |staged: Staged| {
            (0..3).fold(staged.until(2), |staged, who| {
                staged.client(1, who, connected())
            })
        };
        let closed = value("most_connections", &two(most(&stays)).client(2, 2, fin()));
        let promise = "holds 2 and closes the next; to have it judged, promise most-connections = { in-all = 2, refused = \"closed\" }";
        assert_eq!(closed, promise);
        let waits = value("most_connections", &two(most(&stays)));
        assert!(
            waits.starts_with("holds 2 and leaves the next unanswered"),
            "{waits}"
        );
        let oldest = (0..3).fold(most(&stays).whole(), |staged, who| {
            let comes = staged.client(1, who, ClientEvent::Connecting);
            comes.client(1, who, connected())
        });
        let oldest = value("most_connections", &oldest.client(2, 0, fin()));
        assert_eq!(oldest, "holds 2, then closes those who came first");
        // Clients whom an exchange ends have come, and nothing more.
        let closes = server(&format!("{LINES}[promises]\nafter-exchange = \"closes\"\n"));
        let all = value("most_connections", &most(&closes).whole());
        assert_eq!(all, "holds 64 at the same time");
        let some = two(most(&closes)).client(2, 1, fin());
        let some = value("most_connections", &some);
        assert!(
            some.starts_with("holds 1 and closes some of those that come then"),
            "{some}"
        );
    }

    #[test]
    fn descriptors_beyond_the_reach_of_select_are_tried_where_there_can_be_any() {
        let files = |open_files| {
            let subject = Subject {
                open_files,
                ..server(LINES)
            };
            value(
                "open_files",
                &Staged::of(&subject, scenario("nothing", &[], vec![])),
            )
        };
        assert_eq!(files(Some(1_025)), "at most 1025");
        assert!(files(Some(1_024)).ends_with("so that no descriptor above 1,023 is tried"));
        assert!(files(None).starts_with("not observed"));
    }

    #[test]
    fn client_that_does_not_read_is_ended_held_back_or_kept() {
        let subject = server(&format!(
            "{LINES}[promises]\nafter-exchange = \"stays-open\"\n"
        ));
        let what = |event| {
            value(
                "output_limit",
                &staged("output_limit", &subject).client(0, 0, event),
            )
        };
        let failed = ClientEvent::SendFailed("broken pipe".to_owned());
        assert_eq!(what(failed), "ends the connection");
        let held = ClientEvent::HeldBack { unread_bytes: 1 };
        assert_eq!(what(held), "reads no more of it");
        assert_eq!(what(ClientEvent::Taken), "reads all and keeps the replies");
    }

    #[test]
    fn path_is_removed_or_left_behind() {
        let path = |remains| {
            let remains = What::Server(ServerEvent::PathRemains(remains));
            read("path_after_term", vec![remains])
        };
        assert_eq!(path(true), "left behind");
        assert_eq!(path(false), "removed");
    }

    #[test]
    fn address_that_is_turned_away_is_promised() {
        let subject = server(LINES);
        let many = || staged("penalties", &subject);
        let last = row("penalties").scenario(&subject).unwrap().steps().len() - 1;
        let polite = ClientSteps::of(0).polite(&subject).lines().len();
        let served = value("penalties", &many().whole());
        assert!(
            served.starts_with("serves") && !served.contains("promise"),
            "{served}"
        );
        let away = value("penalties", &many().until(last + 1 - polite));
        assert!(
            away.ends_with("promise penalties = \"an-address\""),
            "{away}"
        );
    }

    #[test]
    fn two_requests_that_come_together_are_answered_or_not() {
        let subject =
            server("[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n").answering_again();
        let two = || staged("pipelining", &subject);
        let answers = value("pipelining", &two().whole());
        assert!(
            answers.ends_with("promise pipelining = \"answers\""),
            "{answers}"
        );
        let silent = value("pipelining", &two().until(1));
        let expected = "does not answer two requests that arrive together; to have it judged, promise pipelining = \"forbidden\"";
        assert_eq!(silent, expected);
        let ended = value("pipelining", &two().until(1).client(1, 0, fin()));
        assert!(
            ended.starts_with("does not answer two requests that arrive together, then fin"),
            "{ended}"
        );
        let said = server(
            "[[exchange]]\nonce = false\nsend = 'PING\\n'\nreply = 'PONG\\n'\n[promises]\npipelining = \"answers\"\n",
        );
        assert!(row("pipelining").scenario(&said).is_none());
    }

    #[test]
    fn reply_comes_from_the_address_that_was_asked_or_from_another_one() {
        let from = |ip: [u8; 4]| {
            let from = Some(Box::new((ip, 80).into()));
            let bytes = Vec::new();
            read(
                "reply_source",
                vec![client(ClientEvent::Datagram { from, bytes })],
            )
        };
        assert_eq!(from([127, 0, 0, 2]), "the address that was asked");
        assert_eq!(from([127, 0, 0, 1]), "127.0.0.1, asked on 127.0.0.2");
    }

    #[test]
    fn second_instance_ends_or_runs_in_one_way_or_another() {
        let second = |event, promises: &str| {
            let subject = server(&format!("{LINES}[promises]\n{promises}\n"));
            value(
                "second_instance",
                &staged("second_instance", &subject).server(1, event),
            )
        };
        let ended = || ServerEvent::SecondEnded(Exit::Status(1), None);
        let promise = "exited with status 1; to have it judged, promise second-instance = \"ends\"";
        assert_eq!(second(ended(), ""), promise);
        assert_eq!(
            second(ended(), "second-instance = \"ends\""),
            "exited with status 1"
        );
        let said = |event| second(event, "");
        assert!(said(ServerEvent::SecondShares).contains("second-instance = \"shares-port\""));
        assert!(said(ServerEvent::SecondTakesOver).contains("second-instance = \"takes-over\""));
        assert_eq!(said(ServerEvent::SecondWithout), "runs without the address");
        assert!(said(ServerEvent::SecondTries).starts_with("still tries"));
        let elsewhere = ServerEvent::SecondElsewhere("127.0.0.1:40000".to_owned());
        assert_eq!(said(elsewhere), "listens elsewhere");
    }

    #[test]
    fn server_that_turns_clients_away_at_first_is_said_to() {
        let starting = |turned_away, promises: &str| {
            let subject = Subject {
                turned_away,
                ..server(&format!("{LINES}[promises]\n{promises}\n"))
            };
            value(
                "starting",
                &Staged::of(&subject, scenario("nothing", &[], vec![])),
            )
        };
        assert_eq!(starting(None, ""), "serves the first client");
        let later = Some(Duration::from_secs(1));
        assert!(starting(later, "").ends_with("promise starting = \"turns-away\""));
        let promised = starting(later, "starting = \"turns-away\"");
        assert!(
            promised.ends_with("serves one that comes 1.00 s later"),
            "{promised}"
        );
    }

    #[test]
    fn server_that_is_told_to_end_closes_its_client_or_keeps_it_or_waits_for_it() {
        let subject = server(LINES);
        let signalled = ServerEvent::Signalled {
            signal: Signal::Term,
            inside: None,
        };
        let exit = || ServerEvent::Exited(Exit::Status(0));
        let told_to = || staged("stop", &subject).server(1_000, signalled.clone());
        let closed = told_to().client(1_100, 0, fin()).server(1_500, exit());
        let closed = value("stop", &closed.client(3_000, 0, ClientEvent::Closed));
        let promise = "closes its client and ends, 500.0 ms later; to have it judged, promise stop = { signal = \"TERM\", within = \"5s\", sessions = \"closed\" }";
        assert_eq!(closed, promise);
        let kept = told_to()
            .server(1_500, exit())
            .client(3_000, 0, ClientEvent::Closed);
        assert!(
            value("stop", &kept).starts_with("ends and has its client served on, 500.0 ms later")
        );
        let waits = told_to()
            .client(3_000, 0, ClientEvent::Closed)
            .server(4_600, exit());
        let waits = value("stop", &waits);
        assert!(
            waits.starts_with("waits for its client and ends, 1.60 s later"),
            "{waits}"
        );
        assert!(
            waits.contains("within = \"5s\", sessions = \"waited-for\""),
            "{waits}"
        );
        let stays = told_to().client(3_000, 0, ClientEvent::Closed);
        assert_eq!(
            value("stop", &stays),
            "still runs 2.00 s later, its client gone"
        );
        let promised = server(&format!(
            "{LINES}[promises]\nstop = {{ signal = \"TERM\", within = \"5s\" }}\n"
        ));
        let promised = staged("stop", &promised).server(1_000, signalled.clone());
        let promised = promised
            .server(1_500, exit())
            .client(3_000, 0, ClientEvent::Closed);
        assert!(value("stop", &promised).ends_with("promise sessions = \"kept\" in stop"));
    }

    #[test]
    fn client_that_says_what_is_no_request_is_read_on_sooner_or_later_or_ended() {
        let subject = server(
            "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n[promises]\nafter-exchange = \"stays-open\"\n",
        );
        let noisy = || staged("throttling", &subject).client(1_000, 0, says("?"));
        let reads = |at| {
            value(
                "throttling",
                &noisy().client(at, 0, ClientEvent::Taken).whole(),
            )
        };
        assert_eq!(reads(1_999), "reads on");
        let late = "reads on 1.00 s later; to have it judged, promise throttling = \"1s\"";
        assert_eq!(reads(2_000), late);
        assert_eq!(
            value("throttling", &noisy().client(1_100, 0, fin())),
            "ends the connection (fin)"
        );
        assert_eq!(value("throttling", &noisy()), "reads no more");
    }

    #[test]
    fn one_of_both_is_left_in_time_wait() {
        let rows = |server, client| {
            let rows = [
                What::Server(ServerEvent::TimeWait(server)),
                What::Server(ServerEvent::TimeWaitOfClients(client)),
            ];
            read("time_wait", rows.to_vec())
        };
        assert_eq!(rows(1, 0), "server");
        assert_eq!(rows(0, 1), "client");
    }

    #[test]
    fn what_is_said_to_a_silent_client_is_told_and_promised() {
        let subject = server(&format!(
            "{LINES}[promises]\nafter-exchange = \"stays-open\"\n"
        ));
        let scenario = row("unasked").scenario(&subject).unwrap();
        let is_pause = |line: &Line| matches!(line.step, Step::Pause(_));
        let silence = scenario.lines.iter().position(is_pause).unwrap();
        let silent = || {
            staged("unasked", &subject)
                .client(0, 0, connected())
                .until(silence)
        };
        let said = value(
            "unasked",
            &silent().client(1_000, 0, told("still there?\n")),
        );
        assert!(
            said.starts_with(
                "\"still there?\\n\" after 1.00 s of silence; to have it judged, promise unasked = "
            ),
            "{said}"
        );
        assert!(value("unasked", &silent()).starts_with("not observed"));
        assert_eq!(
            value("unasked", &staged("unasked", &subject).whole()),
            "nothing (watched for 2 s)"
        );
    }
}
