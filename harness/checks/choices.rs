//! What a server that fails a check may have chosen: where its profile does not say, it is tried before the server is blamed.

use super::derive::{from_elsewhere, with_connect_options};
use super::observations::Sighting;
use super::{longest, output, unasked};
use crate::judge::{Cause, Choice};
use crate::model::action::Action;
use crate::model::data::{Match, Segmentation, Source};
use crate::model::dialogue::{self, ClientSteps, pause, repeat, scenario, settle};
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Need;
use crate::model::profile::{Drops, Speech, Transport};
use crate::model::scenario::{Line, Scenario, Step};
use crate::model::subject::Subject;
use crate::model::unasked::Unasked;
use crate::transcript::event::{ClientEvent, ClientId, Transcript, What};
use crate::transcript::instead::Instead;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Something that servers choose; a row of [`QUESTIONS`] is all there is to it.
pub(crate) struct Question {
    /// Whether the profile leaves it open.
    pub(crate) is_open: fn(&Subject) -> bool,
    /// Whether a failure may come of it.
    pub(crate) fits: fn(&Cause) -> bool,
    /// What tells, after this failure: on an undisturbed server all of it can be done, unless the server has chosen so.
    pub(crate) tries: fn(&Sighting<'_>) -> Option<Scenario>,
    /// What a server has chosen that did not let all of it be done.
    pub(crate) read: fn(&Sighting<'_>) -> Option<Found>,
}

/// What a server seems to have chosen.
pub(crate) struct Found {
    pub(crate) choice: Choice,
    /// What can be done if it is that, and not if it is a fault.
    pub(crate) confirm: Option<Scenario>,
    /// What can be done only if it is more exactly this.
    pub(crate) closer: Option<(Scenario, Choice)>,
    /// What is to be tried before any of it is known, and read in the place of what was.
    pub(crate) further: Option<Scenario>,
    /// What tells it more exactly, read as the first was.
    pub(crate) sharper: Option<Scenario>,
    /// What the clients met with whom it was seen; another time it has to be the same.
    pub(crate) manner: Option<Manner>,
}

/// What a client meets for which there is no room: what it was told, and how its connection ended where it was told nothing.
pub(crate) type Manner = (Vec<u8>, Option<End>);

impl Found {
    /// What was chosen, and nothing that would tell more of it.
    pub(super) fn of(choice: Choice) -> Self {
        Self {
            choice,
            confirm: None,
            closer: None,
            further: None,
            sharper: None,
            manner: None,
        }
    }
}

/// The most clients that are held to find a limit.
const MOST_HELD: usize = 600;

/// Every question there is, in the order in which they are asked.
pub(crate) const QUESTIONS: &[Question] = &[
    Question {
        is_open: longest::may_be_met,
        fits: |cause| matches!(cause, Cause::StepFailed { .. }),
        tries: longest::climbed,
        read: longest::longest,
    },
    Question {
        is_open: unasked::is_open,
        fits: unasked::is_told_something_else,
        tries: |seen| {
            let time = unasked::silence_before_words(seen.transcript)?;
            Some(unasked::silent_from_the_start(seen.subject, time))
        },
        read: unasked::found,
    },
    Question {
        is_open: unasked::is_open,
        fits: unasked::is_told_something_else,
        tries: |seen| {
            let time = unasked::silence_before_words(seen.transcript)?;
            Some(unasked::silent_once_served(seen.subject, time))
        },
        read: unasked::found,
    },
    Question {
        is_open: output::may_be_met,
        fits: is_ended,
        tries: output::unread_as_in,
        read: output::limit,
    },
    Question {
        is_open: promises_no_limit,
        fits: is_for_lack_of_room,
        tries: |seen| {
            let connects = |event: &ClientEvent| matches!(event, ClientEvent::Connecting);
            let came = seen.client_events().filter(|(_, event)| connects(event));
            let came = came.count() + BEYOND;
            Some(arrivals(seen.subject, came.min(MOST_HELD), 1))
        },
        read: met_on_arrival,
    },
    Question {
        is_open: promises_no_limit,
        fits: is_for_lack_of_room,
        tries: |seen| {
            let clients = seen.scenario.clients.iter();
            let members: u32 = clients.map(|group| group.members).sum();
            // One may stand by, and one have been before.
            let members = (members as usize + 2).min(MOST_HELD);
            Some(one_by_one(seen.subject, members, comes_and_is_served))
        },
        read: limit,
    },
    Question {
        is_open: |subject| {
            let promises = &subject.profile.promises;
            promises.login_timeout.is_none() && promises.idle_timeout.is_none()
        },
        fits: is_ended,
        tries: |seen| {
            let mut lines = ClientSteps::of(0).polite(seen.subject).lines();
            let comes_in = dialogue::steps_to_come_in(seen.subject);
            lines.insert(comes_in, pause(silence_before_an_end(seen.transcript)?));
            Some(silent_client(lines))
        },
        read: |seen| gives_up(seen, true),
    },
    Question {
        is_open: |subject| subject.profile.promises.idle_timeout.is_none(),
        fits: is_ended,
        tries: |seen| {
            let mut lines = ClientSteps::of(0).open(seen.subject).lines();
            lines.push(pause(silence_before_an_end(seen.transcript)?));
            let rest = ClientSteps::of(0).request_and_reply(seen.subject);
            lines.extend(rest.finish(seen.subject).lines());
            Some(silent_client(lines))
        },
        read: |seen| gives_up(seen, false),
    },
    Question {
        is_open: |subject| {
            let needs = [Need::STREAM, Need::EXCHANGES, Need::STAYS_OPEN];
            let has_meaning = needs.iter().all(|need| need.unmet(subject).is_none());
            has_meaning && subject.profile.promises.throttling.is_none()
        },
        fits: |cause| matches!(cause, Cause::Left(_) | Cause::LeftUnread),
        tries: |seen| says_noise(seen).then(|| noise(seen.subject)),
        read: throttles,
    },
];

fn promises_no_limit(subject: &Subject) -> bool {
    subject.profile.promises.most_connections.is_none() && can_be_held(subject)
}

/// Whether a failure may come of a limit of connections.
fn is_for_lack_of_room(cause: &Cause) -> bool {
    match cause {
        // Who stands by has been there for longest.
        Cause::Disturbed { step } => is_ended(step),
        Cause::StepFailed { .. } | Cause::Queued { .. } => true,
        Cause::ServerStepFailed { expected, .. } => {
            matches!(expected, ServerExpectation::AcceptQueue(_))
        }
        _ => false,
    }
}

/// So many come beyond a limit that each of them is turned away by what is exact, and hardly by what throws dice.
pub(super) const BEYOND: usize = 12;

/// How often so many clients come that one is turned away, to learn at how many that begins.
const ROUNDS: u32 = 10;

/// Clients that come one after the other, say nothing, or no more than the kernel asks of them, and stay, whatever the
/// server makes of them; then all leave, and come again.
pub(super) fn arrivals(subject: &Subject, clients: usize, rounds: u32) -> Scenario {
    let names: Vec<String> = (1..=clients).map(|n| format!("client-{n}")).collect();
    let names: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let leaves = |who| ClientSteps::of(who).then(Action::Close);
    let mut round: Vec<Line> = (0..clients).flat_map(|who| comes(subject, who)).collect();
    round.push(settle());
    round.extend((0..clients).flat_map(|who| leaves(who).lines()));
    round.push(settle());
    scenario(
        "one client after the other comes and stays",
        &names,
        vec![vec![repeat(rounds, round)]],
    )
}

/// Who waits to be accepted has not been let in; where the server rests meanwhile, it turns nobody away.
fn comes(subject: &Subject, who: usize) -> Vec<Line> {
    let comes = ClientSteps::of(who).arrive(subject);
    let accepted = ClientSteps::of(who).expect_within(Expectation::Accepted, STEP_WITHIN);
    [comes.lines(), vec![settle()], accepted.lines()].concat()
}

/// The same of one that is served before it stays.
pub(super) fn is_served(subject: &Subject, who: usize) -> Vec<Line> {
    ClientSteps::of(who).come_to_stay(subject).lines()
}

/// The same, where whatever comes of it is seen before the next one comes.
fn comes_and_is_served(subject: &Subject, who: usize) -> Vec<Line> {
    [is_served(subject, who), vec![settle()]].concat()
}

/// What became of clients that came one after the other.
#[derive(Default)]
struct Arrivals {
    came: usize,
    turned_away: usize,
    /// How many were there at least when one was turned away.
    held: Option<usize>,
    /// Whether one was let in that came after one who was not.
    is_let_in_later: bool,
    manners: HashSet<Manner>,
}

/// What became of one client.
#[derive(Default)]
struct Arrival {
    told: Vec<u8>,
    end: Option<End>,
    has_left: bool,
}

impl Arrivals {
    fn of(seen: &Sighting<'_>) -> Self {
        let unasked = seen.subject.profile.unasked();
        let mut arrivals = Self::default();
        let mut round: Vec<(ClientId, Arrival)> = Vec::new();
        for event in &seen.transcript.events {
            let What::Client(id, happened) = &event.what else {
                continue;
            };
            if matches!(happened, ClientEvent::Connected { .. }) {
                if round.iter().any(|(other, _)| other == id) {
                    arrivals.add(&std::mem::take(&mut round), &unasked);
                }
                round.push((*id, Arrival::default()));
            }
            if let Some((_, arrival)) = round.iter_mut().find(|(other, _)| other == id) {
                arrival.apply(happened);
            }
        }
        arrivals.add(&round, &unasked);
        arrivals
    }

    fn add(&mut self, round: &[(ClientId, Arrival)], unasked: &Unasked) {
        let mut inside = 0;
        let mut is_full = false;
        for (_, arrival) in round {
            self.came += 1;
            let Some(end) = arrival.end else {
                inside += 1;
                self.is_let_in_later |= is_full;
                continue;
            };
            is_full = true;
            self.turned_away += 1;
            self.held = Some(self.held.map_or(inside, |held| held.min(inside)));
            let told = &arrival.told[unasked.before(&arrival.told)..];
            let how = told.is_empty().then_some(end);
            self.manners.insert((told.to_vec(), how));
        }
    }
}

impl Arrival {
    fn apply(&mut self, happened: &ClientEvent) {
        match happened {
            ClientEvent::Received(bytes) => self.told.extend_from_slice(&bytes.bytes()),
            ClientEvent::Ended(end) if !self.has_left => self.end = Some(*end),
            ClientEvent::Closed => self.has_left = true,
            _ => {}
        }
    }
}

/// The limit that is met by clients that come and stay.
pub(super) fn met_on_arrival(seen: &Sighting<'_>) -> Option<Found> {
    turned_away(seen).or_else(|| gives_places_away(seen, comes))
}

/// Those beyond a limit, or some of them, are all closed in the same manner.
fn turned_away(seen: &Sighting<'_>) -> Option<Found> {
    let arrivals = Arrivals::of(seen);
    let held = arrivals.held.filter(|held| *held > 0)?;
    let mut manners = arrivals.manners.iter();
    let (Some(manner), None) = (manners.next(), manners.next()) else {
        return None;
    };
    // Who was welcome was not turned away.
    if is_greeting(seen.subject, &manner.0) {
        return None;
    }
    let found = match arrivals.is_let_in_later {
        false => exact_limit(seen.subject, held, true),
        true => some_are_dropped(seen.subject, held, &arrivals),
    };
    Some(Found {
        manner: Some(manner.clone()),
        ..found
    })
}

/// Whoever comes is let in, and stays longer than those of the older half, some of whom go.
fn gives_places_away(seen: &Sighting<'_>, comes: Comes) -> Option<Found> {
    let places = GivenAway::of(seen).filter(|_| seen.came_to_the_last_step())?;
    let silence = silence_before_an_end(seen.transcript)?;
    let held = places.held();
    let (choice, kept) = match places.are_the_first() {
        true => {
            let limit = Choice::Limit {
                held,
                closes: true,
                an_address: false,
                drops: Drops::Oldest,
            };
            (limit, held)
        }
        // With several workers, each of which has so many places, it is chance where one is to go first.
        false => (Choice::GivesPlacesAway(held), held.div_ceil(2)),
    };
    Some(Found {
        confirm: Some(held_for(seen.subject, kept, comes, silence)),
        ..Found::of(choice)
    })
}

/// What is seen of a server that gives the places of clients to others.
#[derive(Default)]
struct GivenAway {
    came: Vec<ClientId>,
    /// Those who were there when the last one came.
    there: Vec<ClientId>,
    /// Those whose connections have been ended.
    gone: HashSet<ClientId>,
    /// Those who have left by themselves.
    left: HashSet<ClientId>,
    /// How many were there when one more came, and the first of them went.
    held: Option<usize>,
    /// Whether somebody has gone who is not of the older half.
    is_another_matter: bool,
}

impl GivenAway {
    /// What one more client costs those of the older half who are there; nothing where it costs nobody his place, or others theirs.
    fn of(seen: &Sighting<'_>) -> Option<Self> {
        let mut given_away = Self::default();
        for event in &seen.transcript.events {
            if let What::Client(id, happened) = &event.what {
                given_away.apply(*id, happened);
            }
        }
        let is_it = given_away.held() > 0 && !given_away.is_another_matter;
        is_it.then_some(given_away)
    }

    fn apply(&mut self, id: ClientId, happened: &ClientEvent) {
        match happened {
            // Its place may have been another's before we come to know that it has one.
            ClientEvent::Connecting => {
                self.there.clone_from(&self.came);
                self.there.retain(|id| !self.gone.contains(id));
                self.came.push(id);
            }
            ClientEvent::Closed => drop(self.left.insert(id)),
            ClientEvent::Ended(_) if !self.left.contains(&id) => self.goes(id),
            _ => {}
        }
    }

    fn goes(&mut self, id: ClientId) {
        self.held.get_or_insert(self.there.len());
        let older = &self.there[..self.there.len().div_ceil(2)];
        // That all go when one more comes is another matter, and so is that this one does.
        self.is_another_matter |= !older.contains(&id);
        self.gone.insert(id);
    }

    fn held(&self) -> usize {
        self.held.unwrap_or(0)
    }

    /// Whether it were always those who came first.
    fn are_the_first(&self) -> bool {
        let first = &self.came[..self.gone.len()];
        first.iter().all(|id| self.gone.contains(id))
    }
}

/// How a client comes that is to stay.
pub(super) type Comes = fn(&Subject, usize) -> Vec<Line>;

/// As many as there is room for stay for so long: no time-out is over by then.
fn held_for(subject: &Subject, clients: usize, comes: Comes, time: Duration) -> Scenario {
    let is_there = |who| ClientSteps::of(who).expect_to_be_kept().lines();
    let come = (0..clients).flat_map(|who| comes(subject, who));
    let are_there = (0..clients).flat_map(is_there);
    let lines = come.chain([pause(time)]).chain(are_there).collect();
    one_after_the_other(clients, lines)
}

/// Whether this is what the server says to whoever comes, or the beginning of it.
fn is_greeting(subject: &Subject, told: &[u8]) -> bool {
    let Speech::Dialogue {
        greeting: Some(greeting),
        ..
    } = &subject.profile.speech
    else {
        return false;
    };
    !told.is_empty() && !matches!(greeting.matches(told), Match::Wrong(_))
}

/// A limit beyond which some are turned away, as random early drop does it.
fn some_are_dropped(subject: &Subject, held: usize, arrivals: &Arrivals) -> Found {
    // A server that drops as many of those who come alone would hardly let all of these in.
    let alone = (SURE_TO_SHOW * arrivals.came).div_ceil(arrivals.turned_away);
    let polite = ClientSteps::of(0).polite(subject).lines();
    // Who has left may be counted until the server has come to it.
    let mut few = vec![repeat(held.div_ceil(2) as u32, polite)];
    few.push(settle());
    let times = alone.div_ceil(held.div_ceil(2)) as u32;
    Found {
        confirm: Some(scenario(
            "one client after the other, each of whom leaves",
            &[("alice", 1)],
            vec![vec![repeat(times, few)]],
        )),
        sharper: Some(arrivals_beyond(subject, held)),
        ..Found::of(Choice::Limit {
            held,
            closes: true,
            an_address: false,
            drops: Drops::Some,
        })
    }
}

/// How often as many clients come alone as one was turned away of: that none of them is, by chance, happens to one server in a
/// thousand.
const SURE_TO_SHOW: usize = 7;

fn arrivals_beyond(subject: &Subject, held: usize) -> Scenario {
    arrivals(subject, held + 1, ROUNDS)
}

/// Whether a client says something that is neither a request nor the beginning of one.
fn says_noise(seen: &Sighting<'_>) -> bool {
    let Speech::Dialogue { exchanges, .. } = &seen.subject.profile.speech else {
        return false;
    };
    let is_speech = |bytes: &[u8]| {
        let mut requests = exchanges.iter().map(|exchange| exchange.send.as_slice());
        requests.any(|request| request.starts_with(bytes) || bytes.starts_with(request))
    };
    let lines = seen.scenario.steps().into_iter();
    let mut sent = lines.filter_map(|line| match &line.step {
        Step::Client {
            action: Action::Send { data, .. },
            ..
        } => Some(data.bytes(0)),
        _ => None,
    });
    sent.any(|bytes| !is_speech(&bytes))
}

/// A line that is longer than any request, and fits every buffer of the kernel.
const NOISE_BYTES: usize = 8 << 10;

/// How long a server is watched that does not read on.
const THROTTLED_WITHIN: Duration = Duration::from_secs(10);

/// A server that takes longer than that to read what has come takes no notice of it on purpose.
pub(super) const NOTICED_WITHIN: Duration = Duration::from_secs(1);

/// A client that says what is no request, and then a request.
pub(super) fn noise(subject: &Subject) -> Scenario {
    let noise = Source::Text {
        bytes: NOISE_BYTES,
        seed: subject.seed,
        line: true,
    };
    let steps = ClientSteps::of(0)
        .open(subject)
        .send_data(noise.into(), Segmentation::Whole)
        .expect(Expectation::Taken);
    // Only whether the request is read is of interest; what comes of it is the protocol's.
    let steps = match dialogue::request(&subject.profile) {
        Some(request) => steps
            .send(request)
            .expect_within(Expectation::Taken, THROTTLED_WITHIN),
        None => steps,
    };
    let mut lines = steps.lines();
    lines.push(settle());
    scenario("a line that is no request", &[("alice", 1)], vec![lines])
}

/// How long after a client's last words the server had read them, or had ended the connection.
pub(super) fn read_on_after(seen: &Sighting<'_>) -> Option<Duration> {
    let (mut said, mut read) = (None, None);
    for (at, event) in seen.client_events() {
        match event {
            ClientEvent::Sent(_) => (said, read) = (Some(at), None),
            ClientEvent::Taken => read = read.or(Some(at)),
            _ => {}
        }
    }
    seen.came_to_the_last_step().then_some(read? - said?)
}

/// Whether the server took its time before it read on, or ended the connection.
pub(super) fn throttles(seen: &Sighting<'_>) -> Option<Found> {
    let mut events = seen.client_events();
    let said = events.find_map(|(at, event)| matches!(event, ClientEvent::Sent(_)).then_some(at));
    let ended = seen.ended().zip(said).map(|((at, _), said)| at - said);
    let late = read_on_after(seen).or(ended)?;
    (late >= NOTICED_WITHIN).then(|| Found::of(Choice::Throttles(late)))
}

/// Whether clients can be there at the same time, and stay: those whom an exchange would end have not made it.
pub(super) fn can_be_held(subject: &Subject) -> bool {
    let needs = [Need::STREAM, Need::SEVERAL_AT_ONCE, Need::REPLY];
    needs.iter().all(|need| need.unmet(subject).is_none()) && subject.profile.has_request()
}

/// Clients that connect one after the other, are served, and stay.
pub(super) fn one_by_one(subject: &Subject, clients: usize, comes: Comes) -> Scenario {
    let come = (0..clients).flat_map(|who| comes(subject, who));
    one_after_the_other(clients, come.collect())
}

/// So many clients that are served and stay, and what comes then.
fn held(subject: &Subject, clients: usize, then: Vec<Line>) -> Scenario {
    let come = (0..clients).flat_map(|who| is_served(subject, who));
    one_after_the_other(clients, come.chain(then).collect())
}

/// What so many clients do, of whom each stays, and perhaps one more.
fn one_after_the_other(clients: usize, mut lines: Vec<Line>) -> Scenario {
    let names: Vec<String> = (0..=clients).map(|n| format!("client-{}", n + 1)).collect();
    let names: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    lines.push(settle());
    scenario(
        "one client after the other, each of whom stays",
        &names,
        vec![lines],
    )
}

/// The limit that is met when clients come one by one and are served.
pub(super) fn limit(seen: &Sighting<'_>) -> Option<Found> {
    if seen.came_to_the_last_step() {
        return gives_places_away(seen, comes_and_is_served);
    }
    let events = seen.transcript.events.iter();
    let clients = events.filter_map(|event| match &event.what {
        What::Client(id, happened) => Some((id.who, happened)),
        _ => None,
    });
    let last = clients.clone().map(|(who, _)| who).max()?;
    let closes = clients
        .clone()
        .any(|(who, event)| who == last && matches!(event, ClientEvent::Ended(_)));
    // Who is answered while all the others stay is not kept out.
    let all_stay = clients.take_while(|(_, event)| !matches!(event, ClientEvent::Closed));
    let of_last = all_stay.filter(|(who, _)| *who == last);
    let is_kept_out = closes || !is_answered(of_last.map(|(_, event)| event));
    if !is_kept_out && seen.subject.profile.promises.unasked.is_none() {
        return None;
    }
    let held_before = (last > 0).then_some(last)?;
    Some(exact_limit(seen.subject, held_before, closes))
}

/// Whether something has come for a client since it spoke first.
fn is_answered<'a>(events: impl Iterator<Item = &'a ClientEvent>) -> bool {
    let mut since = events.skip_while(|event| !matches!(event, ClientEvent::Sent(_)));
    since.any(|event| matches!(event, ClientEvent::Received(_)))
}

/// A limit beyond which everybody is turned away, or waits.
fn exact_limit(subject: &Subject, held_before: usize, closes: bool) -> Found {
    let limit = |an_address| Choice::Limit {
        held: held_before,
        closes,
        an_address,
        drops: Drops::All,
    };
    let next = ClientSteps::of(held_before)
        .open(subject)
        .request_and_reply(subject);
    // There are servers that let nobody in before many have left. One that waits for the last of them has them wait in vain.
    let many = (held_before - 1).max(1);
    let leave = |who| ClientSteps::of(who).then(Action::Close).lines();
    let leave: Vec<Line> = (0..many).flat_map(leave).collect();
    let from_elsewhere = with_connect_options(next.clone().lines(), &from_elsewhere());
    let is_tcp = subject.place.transport == Transport::Tcp;
    Found {
        confirm: Some(held(
            subject,
            held_before,
            [leave, vec![settle()], next.lines()].concat(),
        )),
        closer: is_tcp.then(|| (held(subject, held_before, from_elsewhere), limit(true))),
        ..Found::of(limit(false))
    }
}

/// Whether a client found its connection ended.
pub(super) fn is_ended(cause: &Cause) -> bool {
    let Cause::StepFailed { instead, .. } = cause else {
        return false;
    };
    matches!(
        instead,
        Instead::EndedAfter { .. }
            | Instead::Ended(_)
            | Instead::EndedFirst(_)
            | Instead::SendingFailed(_)
    )
}

fn silent_client(lines: Vec<Line>) -> Scenario {
    one_client("a client that is silent for a while", lines)
}

fn one_client(name: &str, lines: Vec<Line>) -> Scenario {
    scenario(name, &[("alice", 1)], vec![lines])
}

/// How long a client had been silent before its connection was ended, at most, and a little longer.
fn silence_before_an_end(transcript: &Transcript) -> Option<Duration> {
    let ends = |event: &ClientEvent| matches!(event, ClientEvent::Ended(_));
    silence_before(transcript, ends, |event| {
        matches!(event, ClientEvent::Received(_))
    })
}

/// How long a client had been silent at most before this happened to it, and a little longer; what breaks its silence beside its
/// own words. It may have happened in an earlier silence than the last, and we have come to notice only when it had spoken again.
pub(super) fn silence_before(
    transcript: &Transcript,
    this: impl Fn(&ClientEvent) -> bool,
    breaks: impl Fn(&ClientEvent) -> bool,
) -> Option<Duration> {
    let mut spoke: BTreeMap<ClientId, (Duration, Duration)> = BTreeMap::new();
    let mut longest = None;
    for event in &transcript.events {
        let What::Client(id, happened) = &event.what else {
            continue;
        };
        let silences = spoke
            .get(id)
            .map(|(last, silent)| (event.at - *last).max(*silent));
        if this(happened) {
            longest = longest.max(silences);
        }
        let is_new = matches!(happened, ClientEvent::Connected { .. });
        let speaks = matches!(happened, ClientEvent::Sent(_));
        if is_new || speaks || breaks(happened) {
            let silent = silences.filter(|_| !is_new).unwrap_or_default();
            spoke.insert(*id, (event.at, silent));
        }
    }
    // A clock of the server that ticks may let the next one wait for a little longer.
    longest.map(|longest| longest.mul_f64(1.25))
}

/// When the server gave up on a client that was silent.
fn gives_up(seen: &Sighting<'_>, at_login: bool) -> Option<Found> {
    if seen.came_to_the_last_step() {
        return None;
    }
    let after = silence_before_an_end(seen.transcript)?.div_f64(1.25);
    Some(Found {
        // Who is turned away whatever he does has not been silent for too long.
        confirm: Some(one_client(
            "a client that is not silent",
            ClientSteps::of(0).polite(seen.subject).lines(),
        )),
        ..Found::of(Choice::GivesUp { after, at_login })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, connected, failed, says, server, told};
    use crate::transcript::event::Ended;
    use crate::transcript::instead::Got;

    const LINES: &str = "model = \"echo\"\nframing = \"line\"\n";

    fn fin() -> ClientEvent {
        ClientEvent::Ended(End::Fin)
    }

    /// Clients that came one after the other to a server that says nothing by itself; what the ones with these words were told
    /// before their connections ended, and all leave at last.
    fn come(profile: &str, met: &[Option<&str>]) -> Staged {
        let subject = server(profile);
        let scenario = arrivals(&subject, met.len(), 1);
        let mut staged = Staged::of(&subject, scenario).whole();
        for (who, words) in met.iter().enumerate() {
            staged = staged.client(1, who, connected());
            if let Some(words) = words {
                staged = staged.client(2, who, told(words)).client(3, who, fin());
            }
        }
        for who in 0..met.len() {
            let left = staged.client(4, who, ClientEvent::Closed);
            staged = left.client(5, who, fin());
        }
        staged
    }

    fn limit_of(found: Option<Found>) -> Option<(usize, Drops)> {
        match found?.choice {
            Choice::Limit { held, drops, .. } => Some((held, drops)),
            _ => None,
        }
    }

    #[test]
    fn limit_is_how_many_are_there_when_all_who_come_then_meet_the_same() {
        let full = Some("FULL\n");
        let of = |met: &[Option<&str>]| limit_of(come(LINES, met).read(turned_away));
        assert_eq!(of(&[None, None, full, full]), Some((2, Drops::All)));
        assert_eq!(of(&[None, full]), Some((1, Drops::All)));
        assert_eq!(of(&[None, full, None, full]), Some((1, Drops::Some)));
        // Nobody was let in, nobody was turned away, or not all in the same manner.
        assert_eq!(of(&[full, full]), None);
        assert_eq!(of(&[None, None]), None);
        assert_eq!(of(&[None, None, full, Some("NO\n")]), None);
    }

    #[test]
    fn who_is_turned_away_is_told_something_or_meets_an_end() {
        let manner = |profile: &str, words| {
            let found = come(profile, &[None, Some(words)]).read(turned_away);
            found.unwrap().manner.unwrap()
        };
        assert_eq!(manner(LINES, "FULL\n"), (b"FULL\n".to_vec(), None));
        assert_eq!(manner(LINES, ""), (Vec::new(), Some(End::Fin)));
        // What the server says to everybody counts for nothing.
        let speaks = format!("{LINES}[promises]\nunasked = [': hi\\n']\n");
        assert_eq!(manner(&speaks, ": hi\nFULL\n").0, b"FULL\n");
    }

    #[test]
    fn who_is_greeted_is_not_turned_away() {
        let greets = "speaks-first = true\ngreeting = 'hello\\n'\n[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n";
        let of = |words| limit_of(come(greets, &[None, Some(words)]).read(turned_away));
        assert_eq!(of("hello\n"), None);
        assert_eq!(of("hel"), None);
        assert_eq!(of("FULL\n"), Some((1, Drops::All)));
        assert_eq!(of(""), Some((1, Drops::All)));
    }

    #[test]
    fn least_that_were_there_in_any_round_are_the_limit() {
        let subject = server(LINES);
        let mut staged = Staged::of(&subject, arrivals(&subject, 4, 2)).whole();
        for (round, held) in [3, 2].into_iter().enumerate() {
            let at = 10 * round as u64;
            for who in 0..4 {
                staged = staged.client(at, who, connected());
                if who >= held {
                    staged = staged.client(at + 1, who, fin());
                }
            }
            for who in 0..4 {
                staged = staged.client(at + 2, who, ClientEvent::Closed);
            }
        }
        assert_eq!(limit_of(staged.read(turned_away)), Some((2, Drops::All)));
        let arrivals = staged.read(Arrivals::of);
        assert_eq!((arrivals.came, arrivals.turned_away), (8, 3));
    }

    /// One in four is turned away: of seven times as many, who come alone, one would hardly be spared.
    #[test]
    fn limit_that_is_not_exact_is_confirmed_by_as_many_who_come_alone_as_would_show_it() {
        let met = [
            None,
            None,
            None,
            Some("FULL\n"),
            None,
            None,
            None,
            Some("FULL\n"),
        ];
        let found = come(LINES, &met).read(turned_away).unwrap();
        let confirm = found.confirm.unwrap().to_string();
        // Three were there: two come, then the server has the time to notice that they have left.
        assert!(confirm.contains("repeat 14\n"), "{confirm}");
        assert!(confirm.contains("repeat 2\n"), "{confirm}");
        let sharper = found.sharper.unwrap().to_string();
        assert!(sharper.contains("repeat 10\n"), "{sharper}");
        assert!(sharper.contains("client-4 connect"), "{sharper}");
        assert!(!sharper.contains("client-5"), "{sharper}");
    }

    #[test]
    fn exact_limit_is_confirmed_by_all_but_one_who_leave_and_closer_looked_at_from_another_address()
    {
        let found = come(LINES, &[None, None, None, Some("FULL\n")]).read(turned_away);
        let found = found.unwrap();
        let confirm = found.confirm.unwrap().to_string();
        let comes = confirm.find("client-4 connect").unwrap();
        for leaves in ["client-1 close", "client-2 close"] {
            assert!(confirm.find(leaves).unwrap() < comes, "{confirm}");
        }
        assert!(!confirm.contains("client-3 close"), "{confirm}");
        let of_one = come(LINES, &[None, Some("FULL\n")]).read(turned_away);
        let confirm = of_one.unwrap().confirm.unwrap().to_string();
        assert!(confirm.contains("client-1 close"), "{confirm}");
        let (closer, choice) = found.closer.unwrap();
        assert!(
            closer
                .to_string()
                .contains("client-4 connect from 127.0.0.2")
        );
        let is_of_an_address = matches!(
            choice,
            Choice::Limit {
                an_address: true,
                ..
            }
        );
        assert!(is_of_an_address);
        // A Unix socket has no other address to come from.
        let unix = format!("transport = \"unix\"\n{LINES}");
        let found = come(&unix, &[None, Some("FULL\n")]).read(turned_away);
        assert!(found.unwrap().closer.is_none());
    }

    #[test]
    fn one_of_those_who_are_served_and_stay_meets_the_limit() {
        let subject = server(LINES);
        let stays = |last: usize, event: ClientEvent| {
            let scenario = one_by_one(&subject, 4, is_served);
            let staged = Staged::of(&subject, scenario).until(2);
            let came = (0..=last).fold(staged, |staged, who| staged.client(1, who, connected()));
            came.client(2, last, event)
        };
        let of = |staged: Staged| match staged.read(limit)?.choice {
            Choice::Limit { held, closes, .. } => Some((held, closes)),
            _ => None,
        };
        assert_eq!(of(stays(2, fin())), Some((2, true)));
        assert_eq!(of(stays(2, told("?"))), Some((2, false)));
        // The first one already, or none of them.
        assert_eq!(of(stays(0, fin())), None);
        assert_eq!(of(stays(2, fin()).whole()), None);
        // It was another one's connection that ended.
        assert_eq!(
            of(stays(2, told("?")).client(3, 1, fin())),
            Some((2, false))
        );
    }

    /// Four come and are let in; some find their connections ended when another has come.
    fn come_and_go(scenario: fn(&Subject, usize) -> Scenario, gone: &[(usize, usize)]) -> Staged {
        let subject = server(LINES);
        let mut staged = Staged::of(&subject, scenario(&subject, 4)).whole();
        for who in 0..4 {
            staged = staged.client(1_000 * who as u64, who, ClientEvent::Connecting);
            staged = staged.client(1_000 * who as u64, who, connected());
            for (gone, _) in gone.iter().filter(|(_, at)| *at == who) {
                staged = staged.client(1_000 * who as u64 + 1, *gone, fin());
            }
        }
        (0..4).fold(staged, |staged, who| {
            let left = staged.client(4_000, who, ClientEvent::Closed);
            left.client(4_001, who, fin())
        })
    }

    fn served(subject: &Subject, clients: usize) -> Scenario {
        one_by_one(subject, clients, comes_and_is_served)
    }

    #[test]
    fn place_of_who_came_first_goes_to_the_next() {
        let arrive = |subject: &Subject, clients| arrivals(subject, clients, 1);
        let of = |gone: &[(usize, usize)]| {
            let arrived = limit_of(come_and_go(arrive, gone).read(met_on_arrival));
            let served = limit_of(come_and_go(served, gone).read(limit));
            assert_eq!(arrived, served);
            arrived
        };
        assert_eq!(of(&[(0, 2), (1, 3)]), Some((2, Drops::Oldest)));
        // Several go at once, in whatever order that is noticed.
        assert_eq!(of(&[(1, 3), (0, 3)]), Some((3, Drops::Oldest)));
        // Each of several workers gives its own places away.
        let found = come_and_go(served, &[(1, 3)]).read(limit).unwrap();
        assert_eq!(found.choice, Choice::GivesPlacesAway(3));
        let confirm = found.confirm.unwrap().to_string();
        assert!(confirm.contains("client-2 connect") && !confirm.contains("client-3 connect"));
        assert_eq!(of(&[]), None);
        let is_found = |gone| come_and_go(served, gone).read(limit).is_some();
        assert!(!is_found(&[(1, 2), (2, 3)]), "one of the younger half");
        assert!(!is_found(&[(0, 2), (1, 2)]), "all who are there");
        assert!(!is_found(&[(0, 0), (1, 1), (2, 2), (3, 3)]), "everybody");
        // There is one place, which goes from each to the next.
        assert_eq!(of(&[(0, 1), (1, 2), (2, 3)]), Some((1, Drops::Oldest)));
    }

    #[test]
    fn place_that_is_given_away_is_confirmed_by_those_who_stay_as_long_where_nobody_else_comes() {
        let gone = &[(0, 2), (1, 3)];
        let found = come_and_go(served, gone).read(limit).unwrap();
        let confirm = found.confirm.unwrap().to_string();
        assert!(confirm.contains("client-2 send"), "{confirm}");
        assert!(!confirm.contains("client-3 connect"), "{confirm}");
        // Until another had come, the first had been silent for four seconds at last.
        assert!(confirm.contains("pause 5"), "{confirm}");
        assert!(confirm.contains("client-1 expect silence"), "{confirm}");
        // Who was only let in stays as such.
        let arrive = |subject: &Subject, clients| arrivals(subject, clients, 1);
        let found = come_and_go(arrive, gone).read(met_on_arrival).unwrap();
        let confirm = found.confirm.unwrap().to_string();
        assert!(!confirm.contains("client-2 send"), "{confirm}");
    }

    const PINGS: &str = "[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n[promises]\nafter-exchange = \"stays-open\"\n";

    #[test]
    fn what_is_neither_a_request_nor_the_beginning_of_one_is_noise() {
        let of = |profile: &str, words: &str| {
            let sent = ClientSteps::of(0).connect().send(words).lines();
            let case = scenario("case", &[("alice", 1)], vec![sent]);
            Staged::of(&server(profile), case).read(says_noise)
        };
        assert!(of(PINGS, "HELP\n"));
        assert!(!of(PINGS, "PI") && !of(PINGS, "PING\n") && !of(PINGS, "PING\nPING\n"));
        assert!(!of(LINES, "HELP\n"));
    }

    /// A client whose noise is taken after a while, or whose connection ends.
    fn noisy(events: &[(u64, ClientEvent)]) -> Staged {
        let subject = server(PINGS);
        let staged = Staged::of(&subject, noise(&subject)).until(1);
        let events = events.iter();
        events.fold(staged, |staged, (at, event)| {
            staged.client(*at, 0, event.clone())
        })
    }

    #[test]
    fn server_reads_on_when_it_first_takes_what_was_said_last() {
        let taken = || ClientEvent::Taken;
        let after = |events: &[(u64, ClientEvent)]| {
            let time = noisy(events).whole().read(read_on_after);
            time.map(|time| time.as_millis())
        };
        let said = [(0, says("?")), (100, taken()), (1_000, says("?"))];
        assert_eq!(after(&said), None);
        let read = [&said[..], &[(3_000, taken()), (4_000, taken())]].concat();
        assert_eq!(after(&read), Some(2_000));
        assert_eq!(noisy(&read).read(read_on_after), None);
        assert_eq!(after(&[(0, taken())]), None);
    }

    #[test]
    fn server_throttles_that_takes_a_second_or_more() {
        let throttled = |staged: Staged| match staged.read(throttles)?.choice {
            Choice::Throttles(time) => Some(time.as_millis()),
            _ => None,
        };
        let reads = |at| {
            let read = [(1_000, says("?")), (at, ClientEvent::Taken)];
            throttled(noisy(&read).whole())
        };
        assert_eq!(reads(2_000), Some(1_000));
        assert_eq!(reads(1_999), None);
        let ends = |at| throttled(noisy(&[(1_000, says("?")), (at, fin())]));
        assert_eq!(ends(4_000), Some(3_000));
        assert_eq!(ends(1_500), None);
        assert_eq!(throttled(noisy(&[(1_000, says("?"))])), None);
    }

    #[test]
    fn silence_is_that_before_an_end_and_a_quarter_longer() {
        let heard = |event: ClientEvent, at| {
            let staged = noisy(&[(0, connected()), (4_000, event), (at, fin())]);
            let silence = staged.read(|seen| silence_before_an_end(seen.transcript));
            silence.map(|time| time.as_millis())
        };
        assert_eq!(heard(ClientEvent::Reading, 8_000), Some(10_000));
        assert_eq!(heard(says("?"), 8_000), Some(5_000));
        assert_eq!(heard(told("?"), 8_000), Some(5_000));
        let nobody = noisy(&[(0, connected())]);
        assert_eq!(
            nobody.read(|seen| silence_before_an_end(seen.transcript)),
            None
        );
    }

    /// On a loaded host we may speak before we come to notice what the server has said, or done, in our silence.
    #[test]
    fn silence_may_be_over_when_its_end_is_noticed() {
        let late = [(0, connected()), (4_000, says("?")), (4_010, fin())];
        let silence = noisy(&late).read(|seen| silence_before_an_end(seen.transcript));
        assert_eq!(silence, Some(Duration::from_secs(5)));
        let told = [
            (0, connected()),
            (4_000, says("?")),
            (4_010, told("are you there?")),
        ];
        let silence = noisy(&told).read(|seen| unasked::silence_before_words(seen.transcript));
        assert!(silence.unwrap() > Duration::from_secs(5));
    }

    #[test]
    fn longest_silence_of_any_client_counts() {
        let silence = noisy(&[(0, connected()), (2_000, fin())])
            .client(2_000, 1, connected())
            .client(6_000, 1, fin())
            .client(7_000, 1, connected())
            .client(8_000, 1, fin());
        let silence = silence.read(|seen| silence_before_an_end(seen.transcript));
        assert_eq!(silence, Some(Duration::from_secs(5)));
    }

    #[test]
    fn server_gives_up_on_who_was_silent_for_so_long() {
        let ended = || noisy(&[(0, connected()), (4_000, fin())]);
        let found = ended().read(|seen| gives_up(seen, true)).unwrap();
        let after = Duration::from_secs(4);
        let at_login = true;
        assert_eq!(found.choice, Choice::GivesUp { after, at_login });
        // It is no time-out that meets who speaks at once, too.
        let confirm = found.confirm.unwrap().to_string();
        assert!(
            confirm.contains("send") && !confirm.contains("pause"),
            "{confirm}"
        );
        assert!(ended().whole().read(|seen| gives_up(seen, true)).is_none());
    }

    #[test]
    fn only_a_client_whose_connection_was_ended_is_ended() {
        let got = || Got::Bytes(crate::model::literal::Excerpt::of(b"?"));
        assert!(is_ended(&failed(Instead::Ended(End::Fin))));
        assert!(is_ended(&failed(Instead::EndedFirst(End::Fin))));
        assert!(is_ended(&failed(Instead::SendingFailed(String::new()))));
        assert!(!is_ended(&failed(Instead::Got(got()))));
        assert!(!is_ended(&Cause::Replaced));
    }

    #[test]
    fn lack_of_room_shows_in_clients_and_in_the_accept_queue() {
        let server_failed = |expected| Cause::ServerStepFailed {
            expected,
            how: Ended::Settled,
            instead: Instead::Ended(End::Fin),
        };
        let is_it = |cause: &Cause| is_for_lack_of_room(cause);
        assert!(is_it(&failed(Instead::Ended(End::Fin))));
        assert!(is_it(&Cause::Queued { connections: 1 }));
        assert!(is_it(&server_failed(ServerExpectation::AcceptQueue(3))));
        // Who stands by goes for others, or is told something else.
        let disturbed = |instead| Cause::Disturbed {
            step: Box::new(failed(instead)),
        };
        assert!(is_it(&disturbed(Instead::Ended(End::Fin))));
        let told = Got::Bytes(crate::model::literal::Excerpt::of(b"?"));
        assert!(!is_it(&disturbed(Instead::Got(told))));
        assert!(!is_it(&server_failed(ServerExpectation::Gone)));
        assert!(!is_it(&Cause::Replaced));
    }

    /// Which questions are open for a server, in their order.
    fn open(profile: &str) -> Vec<usize> {
        let subject = server(profile);
        let questions = QUESTIONS.iter().enumerate();
        let open = questions.filter(|(_, question)| (question.is_open)(&subject));
        open.map(|(at, _)| at).collect()
    }

    #[test]
    fn question_is_open_as_long_as_nothing_is_promised_of_it() {
        let promising = |what: &str| {
            open(&format!(
                "{LINES}[promises]\nafter-exchange = \"stays-open\"\n{what}\n"
            ))
        };
        assert_eq!(promising(""), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(promising("longest = \"64KiB\""), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(promising("unasked = []"), [0, 3, 4, 5, 6, 7]);
        assert_eq!(promising("output-limit = \"1MiB\""), [0, 1, 2, 4, 5, 6, 7]);
        let most = "most-connections = \"unlimited\"";
        assert_eq!(promising(most), [0, 1, 2, 3, 6, 7]);
        assert_eq!(promising("idle-timeout = \"5s\""), [0, 1, 2, 3, 4, 5]);
        assert_eq!(promising("login-timeout = \"5s\""), [0, 1, 2, 3, 4, 5, 7]);
        let in_turn = promising("serves = \"one-at-a-time\"");
        assert_eq!(in_turn, [0, 1, 2, 3, 6, 7]);
        // Whoever is only greeted, and whoever is closed, is held by nobody.
        let greets = open("speaks-first = true\ngreeting = 'hello\\n'\n");
        assert_eq!(greets, [1, 2, 6, 7]);
        // Only of exchanges can something be no request.
        assert_eq!(open(PINGS), [1, 2, 4, 5, 6, 7, 8]);
        let throttling = format!("{PINGS}throttling = \"1s\"\n");
        assert_eq!(open(&throttling), [1, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn dozen_more_come_than_came_when_there_was_no_room_and_two_more_stay() {
        let subject = server(LINES);
        let case = scenario("case", &[("crowd", 3), ("alice", 1)], vec![]);
        let came = (0..3).fold(Staged::of(&subject, case), |staged, who| {
            staged.client(1, who, ClientEvent::Connecting)
        });
        let tries = |at: usize| came.read(QUESTIONS[at].tries).unwrap().clients.len();
        assert_eq!(tries(4), 3 + BEYOND);
        // There is a name for one who comes last.
        assert_eq!(tries(5), 4 + 2 + 1);
    }

    #[test]
    fn silent_client_is_silent_before_its_login_or_before_its_next_request() {
        let subject = server(LINES);
        let case = scenario("case", &[("alice", 1)], vec![]);
        let ended = Staged::of(&subject, case).client(0, 0, connected());
        let ended = ended.client(4_000, 0, fin());
        let silent_at = |at: usize| {
            let tried = ended.read(QUESTIONS[at].tries).unwrap();
            let pause = |line: &Line| matches!(line.step, Step::Pause(time) if time == Duration::from_secs(5));
            tried.lines.iter().position(pause)
        };
        assert_eq!(silent_at(6), Some(1));
        assert_eq!(silent_at(7), Some(1));
        let greets = "speaks-first = true\ngreeting = 'hello\\n'\n[[exchange]]\nonce = true\nsend = 'HI\\n'\nreply = 'IN\\n'\n[[exchange]]\nsend = 'PING\\n'\nreply = 'PONG\\n'\n";
        let ended = Staged::of(&server(greets), scenario("case", &[("alice", 1)], vec![]));
        let ended = ended.client(0, 0, connected()).client(4_000, 0, fin());
        let text = |at: usize| ended.read(QUESTIONS[at].tries).unwrap().to_string();
        let before = |text: &str, word: &str| text.find("pause") < text.find(word);
        assert!(before(&text(6), "HI"));
        assert!(!before(&text(7), "HI") && before(&text(7), "PING"));
    }
}
