//! Whether every step of a case can happen where it stands: what each client and the server have come to by then.

use crate::model::action::Action;
use crate::model::data::Segmentation;
use crate::model::expectation::{Expectation, ServerExpectation};
use crate::model::form::{Does, Need, Wait};
use crate::model::profile::Transport;
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::server_action::{ServerAction, Signal};
use crate::model::spelling::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A step that cannot happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Impossible {
    /// Its number in the order of the text, from zero, blocks counted.
    pub(super) step: usize,
    /// Why not.
    pub(super) title: String,
    /// What to write.
    pub(super) label: String,
    /// The words of the step that are meant; its first word where it says nothing.
    words: Option<String>,
}

impl Impossible {
    /// The place in the step's line that is meant.
    pub(super) fn span(&self, line: &str) -> Option<Range<usize>> {
        let words = self.words.as_deref()?;
        let start = line.find(words)?;
        Some(start..start + words.len())
    }
}

/// The first step that cannot happen with a server that is reached over this, where that is known.
pub(super) fn first_impossible(scenario: &Scenario, over: Option<Transport>) -> Option<Impossible> {
    let mut state = State {
        clients: vec![Client::default(); scenario.clients.len()],
        server: Life::Runs,
        limits_files: false,
        answers_calls: false,
        is_signalled: false,
        is_killed: false,
        has_streams: over.is_some_and(|transport| !transport.is_datagram()),
        has_datagrams: over.is_some_and(Transport::is_datagram),
        captured: BTreeMap::new(),
        in_some_ways: BTreeSet::new(),
    };
    walk(scenario, &scenario.lines, 0, &mut state).err()
}

/// What everybody has come to.
#[derive(Clone, PartialEq, Eq)]
struct State {
    clients: Vec<Client>,
    server: Life,
    limits_files: bool,
    answers_calls: bool,
    /// It was sent a signal since it was started.
    is_signalled: bool,
    /// It was ended by KILL, and not started since.
    is_killed: bool,
    /// Connections end with the server; a socket for datagrams is there for the next one too.
    has_streams: bool,
    /// No connection tells of the end of the server, and what comes from it comes at once.
    has_datagrams: bool,
    /// The variables that have a value, and the crowd each of which has one of its own.
    captured: BTreeMap<String, Option<usize>>,
    /// Those that only some of several ways capture.
    in_some_ways: BTreeSet<String>,
}

/// What a client, or each of a crowd, has come to by its own doing; what the server makes of it is known only when it is
/// seen.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Client {
    connection: Connection,
    /// It does not read from its connection.
    stalls: bool,
    /// It has heard of the end of its connection.
    heard_of_end: bool,
    /// It has sent its last datagram to a server that had ended.
    asks_nobody: bool,
    /// It ended its connection without a FIN.
    has_cut_it_off: bool,
    /// How far it has come with TLS.
    tls: Tls,
    /// It will not read from the next one: said where there is none, this holds for the one to come.
    will_stall: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Tls {
    #[default]
    None,
    Begun,
    /// Only a part of its ClientHello was sent.
    CutShort,
    Secured,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Connection {
    #[default]
    None,
    Open,
    HalfClosed,
    /// Every process that could have its other end has been ended.
    OfEndedServer,
    Refused,
    Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Runs,
    Stopped,
    Ended,
}

/// Goes through lines, of which the first has this number; returns the number of the line behind them.
fn walk(
    scenario: &Scenario,
    lines: &[Line],
    first: usize,
    state: &mut State,
) -> Result<usize, Impossible> {
    let mut number = first;
    for line in lines {
        match &line.step {
            Step::Repeat { times, lines } => {
                number = repeat(scenario, *times, lines, number + 1, state)?;
            }
            step => {
                take(scenario, step, number, state)?;
                number += 1;
            }
        }
    }
    Ok(number)
}

/// Goes through a block until it changes nothing any more: each time begins with what the last has left.
fn repeat(
    scenario: &Scenario,
    times: u32,
    lines: &[Line],
    first: usize,
    state: &mut State,
) -> Result<usize, Impossible> {
    let mut next = first;
    for _ in 0..times {
        let before = state.clone();
        next = walk(scenario, lines, first, state)?;
        if *state == before {
            break;
        }
    }
    Ok(next)
}

fn take(
    scenario: &Scenario,
    step: &Step,
    number: usize,
    state: &mut State,
) -> Result<(), Impossible> {
    let form = step.form();
    let who = match step {
        Step::Client { who, .. } => Some(*who),
        _ => None,
    };
    let client = who.and_then(|who| state.clients.get(who).copied());
    let lacks = form.needs.and_then(|need| {
        let of_client = client.filter(|_| need != Need::Server);
        match of_client {
            Some(client) => client
                .lacks(need)
                .or_else(|| state.has_ended(client, need, form.does))
                .or_else(|| state.answers(client, need, form.does)),
            None => state.lacks(need),
        }
    });
    if let Some((title, label)) = lacks.or_else(|| state.is_in_vain(step)) {
        let name = who.and_then(|who| scenario.clients.get(who));
        let name = name.map_or("", |group| &group.name);
        return Err(Impossible {
            step: number,
            title: title.replace("NAME", name),
            label: label.replace("NAME", name),
            words: None,
        });
    }
    if let Step::Client { who, action } = step {
        state.know(scenario, *who, action, number)?;
    }
    let has_ended = state.has_datagrams && state.server == Life::Ended;
    if let Some(client) = who.and_then(|who| state.clients.get_mut(who)) {
        client.change(form.does);
        if form.does == Does::Talks {
            client.asks_nobody = has_ended;
        }
        if let Step::Client { action, .. } = step {
            client.tls = client.tls.after(action);
        }
        client.has_cut_it_off |= matches!(step, Step::Client { action, .. } if action.cuts_off());
    }
    state.change(form.does);
    Ok(())
}

/// What is missing, and what to write.
type Lack = (&'static str, &'static str);

const STALLS: Lack = (
    "NAME does not read, and learns nothing of what comes",
    "write `NAME read` above",
);

const NOT_YET: Lack = ("NAME has no connection yet", "write `NAME connect` above");

impl Client {
    fn lacks(self, need: Need) -> Option<Lack> {
        let stalls = (self.stalls && need == Need::Reading).then_some(STALLS);
        self.connection.lacks(need).or(stalls)
    }

    /// What has no effect, or cannot come of what it has done.
    fn acts_in_vain(self, action: &Action) -> Option<Lack> {
        if let Some(lack) = self.tls.lacks(action) {
            return Some(lack);
        }
        match action {
            Action::Expect { what, .. } | Action::Require { what, .. } => {
                (*what == Expectation::TimeWait && self.has_cut_it_off).then_some((
                    "NAME has sent no FIN, and what ends so has no TIME_WAIT",
                    "write `NAME close` in the place of what ended its connection",
                ))
            }
            Action::Send {
                data,
                segmentation: Segmentation::At(positions),
                as_records,
                ..
            } => {
                let beside = match as_records {
                    true => 0,
                    false => self.tls.least_beside_data(),
                };
                let inside = match data.variables().is_empty() {
                    true => 1..data.length() + beside,
                    // Behind a variable nobody knows where a byte stands.
                    false => 1..data.known_length() + 1,
                };
                let is_cut = positions.iter().all(|at| inside.contains(at));
                (!is_cut).then_some((
                    "the data is not cut there",
                    "write positions inside of it, in bytes from its beginning, and before its first variable",
                ))
            }
            _ => None,
        }
    }

    fn change(&mut self, does: Does) {
        let has_one = matches!(
            self.connection,
            Connection::Open | Connection::HalfClosed | Connection::OfEndedServer
        );
        match does {
            Does::Stalls | Does::Reads if has_one => self.stalls = does == Does::Stalls,
            Does::Stalls | Does::Reads => self.will_stall = does == Does::Stalls,
            Does::Connects => {
                self.stalls = std::mem::take(&mut self.will_stall);
                (self.heard_of_end, self.has_cut_it_off) = (false, false);
                self.tls = Tls::None;
            }
            Does::HearsOfEnd => self.heard_of_end = true,
            _ => {}
        }
        self.connection.change(does);
    }
}

/// What a record takes beside the data in it, where that is least: a header of five bytes (RFC 8446, section 5.1) and a tag of 16.
const LEAST_OF_A_RECORD: usize = 21;

impl Tls {
    fn after(self, action: &Action) -> Self {
        match action {
            Action::StartTls(options) if options.first.is_some() => Self::CutShort,
            Action::StartTls(_) => Self::Begun,
            action if action.awaits(&Expectation::Secured) => Self::Secured,
            _ => self,
        }
    }

    fn lacks(self, action: &Action) -> Option<Lack> {
        let is_awaited = action.awaits(&Expectation::Secured);
        match (action, self) {
            (Action::StartTls(_), _) if cfg!(not(feature = "tls")) => Some((
                "this sockdrill speaks no TLS",
                "build it with its feature `tls`",
            )),
            (Action::StartTls(options), Self::None) => options.is_not_cut().then_some((
                "the ClientHello is not cut there",
                "write positions inside of what is sent of it, in bytes from its beginning",
            )),
            (Action::StartTls(_), _) => Some((
                "NAME has begun TLS on this connection already",
                "write `NAME connect` above",
            )),
            (_, Self::None) if is_awaited => {
                Some(("NAME has not begun TLS", "write `NAME start-tls` above"))
            }
            (_, Self::CutShort) if is_awaited => Some((
                "NAME sends only a part of its ClientHello, and is never secured",
                "take `first` away from `NAME start-tls`",
            )),
            (
                Action::Send {
                    as_records: true, ..
                },
                Self::None,
            ) => Some((
                "NAME has not begun TLS, which has records",
                "write `NAME start-tls` above, or take `as records` away",
            )),
            (Action::Send { .. }, Self::CutShort) => Some((
                "NAME sends only a part of its ClientHello, and nothing behind it",
                "take `first` away from `NAME start-tls`",
            )),
            (Action::Send { .. }, Self::Begun) => Some((
                "NAME may be in the middle of its TLS handshake",
                "write `NAME expect secured` above",
            )),
            _ => None,
        }
    }

    /// How many bytes are sent with data, at least.
    fn least_beside_data(self) -> usize {
        match self {
            Self::Secured => LEAST_OF_A_RECORD,
            Self::None | Self::Begun | Self::CutShort => 0,
        }
    }
}

impl Connection {
    /// Every process of the server ends: what it has sent can still be read, and the end behind that.
    fn lose_server(&mut self) {
        if matches!(self, Self::Open | Self::HalfClosed) {
            *self = Self::OfEndedServer;
        }
    }

    fn lacks(self, need: Need) -> Option<Lack> {
        match (need, self) {
            (Need::EarlierConnection, Self::None) => Some(NOT_YET),
            (Need::EarlierConnection, _) => None,
            (_, Self::None) => Some(NOT_YET),
            (_, Self::Left) => Some((
                "NAME has no connection any more",
                "write `NAME connect` above, or this before its connection ends",
            )),
            (Need::Socket, _) => None,
            (_, Self::Refused) => Some((
                "NAME was refused, so it has no connection",
                "write `NAME connect` above",
            )),
            (Need::SendingSide, Self::HalfClosed) => Some((
                "NAME has ended its sending side",
                "write this above `NAME half-close`",
            )),
            _ => None,
        }
    }

    fn change(&mut self, does: Does) {
        match does {
            Does::Connects => *self = Self::Open,
            Does::HalfCloses => *self = Self::HalfClosed,
            Does::Leaves => *self = Self::Left,
            Does::WaitsForRefusal => *self = Self::Refused,
            _ => {}
        }
    }
}

impl State {
    /// Makes sure that the variables of an action have a value, and gives one to those that it captures.
    fn know(
        &mut self,
        scenario: &Scenario,
        who: usize,
        action: &Action,
        step: usize,
    ) -> Result<(), Impossible> {
        for name in action.variables() {
            let lack = match self.captured.get(name) {
                None => Some(self.unknown(name)),
                Some(Some(crowd)) if *crowd != who => {
                    let crowd = scenario.clients.get(*crowd);
                    let crowd = crowd.map_or("", |group| &group.name);
                    Some((
                        format!("each of `{crowd}` has a {{{name}}} of its own"),
                        format!("only `{crowd}` can use it"),
                    ))
                }
                Some(_) => None,
            };
            if let Some((title, label)) = lack {
                let words = Some(format!("{{{name}}}"));
                return Err(Impossible {
                    step,
                    title,
                    label,
                    words,
                });
            }
        }
        let is_crowd = scenario
            .clients
            .get(who)
            .is_some_and(|group| group.members > 1);
        let captures = action
            .awaited()
            .map_or_else(Vec::new, Expectation::captures);
        let in_some_ways = action
            .awaited()
            .map_or_else(Vec::new, Expectation::captures_in_some_ways);
        self.in_some_ways
            .extend(in_some_ways.into_iter().map(str::to_owned));
        for name in captures {
            self.captured
                .insert(name.to_owned(), is_crowd.then_some(who));
        }
        Ok(())
    }

    /// What is said of a variable that has no value.
    fn unknown(&self, name: &str) -> (String, String) {
        if self.in_some_ways.contains(name) {
            return (
                format!("{{{name}}} need not have a value here"),
                format!(
                    "each of the ways above that `or` divides has to capture it: write {{{name}:REGEX}} in all of them"
                ),
            );
        }
        let known: Vec<_> = self.captured.keys().map(String::as_str).collect();
        let all = [known.as_slice(), &["any", "line"]].concat();
        let label = match nearest(name, all) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => {
                format!("write {{{name}:REGEX}} in what is expected above, or \\{{ for a brace")
            }
        };
        (format!("{{{name}}} has no value here"), label)
    }

    /// What does not happen on a connection that has ended, or whose server was ended.
    fn has_ended(&self, client: Client, need: Need, does: Does) -> Option<Lack> {
        // That nothing changes is not to be seen where the end comes.
        let is_absence =
            need == Need::Reading && matches!(does, Does::Waits(Wait::Absence | Wait::Kernel));
        if self.has_streams && client.heard_of_end && is_absence {
            return Some((
                "NAME's connection has ended by then",
                "write `NAME connect` above, or this before its end",
            ));
        }
        let is_of_living = is_absence || matches!(need, Need::SendingSide | Need::Peer);
        let is_of_ended = client.connection == Connection::OfEndedServer;
        let label = match self.server {
            Life::Ended => "write this above the end of the server",
            Life::Runs | Life::Stopped => "write `NAME connect` above",
        };
        (is_of_living && is_of_ended).then_some((
            "NAME's connection ended with the server that it was to",
            label,
        ))
    }

    /// What is waited for although what was done before keeps it from coming, or is done to no effect.
    fn is_in_vain(&self, step: &Step) -> Option<Lack> {
        match step {
            Step::Client { who, action } => self.clients.get(*who)?.acts_in_vain(action),
            Step::Server(
                ServerAction::Expect { what, .. } | ServerAction::Require { what, .. },
            ) => self.ends_in_vain(what),
            _ => None,
        }
    }

    /// The end of a server that will not come, or not so.
    fn ends_in_vain(&self, what: &ServerExpectation) -> Option<Lack> {
        let is_of_end = matches!(what, ServerExpectation::Exit(_) | ServerExpectation::Gone);
        let has_status = matches!(what, ServerExpectation::Exit(Some(_)));
        match self.server {
            Life::Stopped if is_of_end => Some((
                "the server is stopped, and ends by nothing but KILL",
                "write `server continue` above",
            )),
            _ if has_status && self.is_killed => Some((
                "the server is ended by KILL, and has no status",
                "write `server expect exit`",
            )),
            _ => None,
        }
    }

    /// What keeps the server from doing what a client waits for.
    fn answers(&self, client: Client, need: Need, does: Does) -> Option<Lack> {
        let waits = need == Need::Reading && does.wait() == Wait::Event;
        if waits && client.asks_nobody {
            return Some((
                "the server had ended when NAME asked, and answers nobody",
                "write `server start` above that, or both before its end",
            ));
        }
        (waits && self.server == Life::Stopped).then_some((
            "the server is stopped, and answers nobody",
            "write `server continue` above",
        ))
    }

    fn lacks(&self, need: Need) -> Option<Lack> {
        match (need, self.server) {
            (Need::LimitedFiles, _) => (!self.limits_files).then_some((
                "the server's open files are not limited",
                "write `server limit-open-files NUMBER` above",
            )),
            (Need::AnsweredCalls, _) => (!self.answers_calls).then_some((
                "no call of the server is answered in a rare way",
                "write `server fail CALL with ERROR` above",
            )),
            (_, Life::Ended) => Some((
                "the server has ended by then",
                "write `server start` above, or this before its end",
            )),
            (Need::SignalledServer, _) => (!self.is_signalled).then_some((
                "no signal was sent to the server before",
                "write `server signal TERM` above, or in the place of this",
            )),
            (Need::StoppedServer, Life::Runs) => Some((
                "the server is not stopped",
                "write `server stop` above, or remove this",
            )),
            (Need::RunningServer, Life::Stopped) => Some((
                "the server is stopped already",
                "write `server continue` above, or remove this",
            )),
            _ => None,
        }
    }

    fn change(&mut self, does: Does) {
        match does {
            Does::Stops => self.server = Life::Stopped,
            Does::Continues => self.server = Life::Runs,
            // Processes that the first one has left behind may go on with its clients.
            Does::WaitsForEnd => self.server = Life::Ended,
            Does::WaitsForAllToEnd | Does::Replaces => self.end_all(),
            Does::Signals(signal) => {
                self.is_signalled = true;
                // It goes to every process, and none can do anything about it.
                if signal == Signal::Kill {
                    self.end_all();
                    self.is_killed = true;
                }
            }
            Does::Starts => {
                self.end_all();
                (self.server, self.limits_files) = (Life::Runs, false);
                self.is_killed = false;
            }
            Does::LimitsFiles => self.limits_files = true,
            Does::RestoresFiles => self.limits_files = false,
            Does::Answers(_) => self.answers_calls = true,
            Does::RestoresCalls => self.answers_calls = false,
            _ => {}
        }
    }

    /// Nothing of the server is left.
    fn end_all(&mut self) {
        (self.server, self.is_signalled) = (Life::Ended, false);
        if self.has_streams {
            let connections = self.clients.iter_mut().map(|client| &mut client.connection);
            connections.for_each(Connection::lose_server);
        }
    }
}
