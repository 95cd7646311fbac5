//! The first look at a server: where it listens, and whether it serves a polite client.

use super::chosen::answered_otherwise;
use super::descriptors;
use super::drawn;
use super::findings::Findings;
use super::job::Job;
use super::settings::Settings;
use crate::checks::observations::Sighting;
use crate::checks::penalties::has_more_addresses;
use crate::checks::stop;
use crate::judge::{Choice, Doubt, Verdict};
use crate::kernel::Row;
use crate::launch::foreground;
use crate::launch::lab::{Lab, answers_calls};
use crate::launch::{Server, Target};
use crate::model::action::Action;
use crate::model::dialogue::{ClientSteps, scenario, settle};
use crate::model::error::Error;
use crate::model::expectation::Expectation;
use crate::model::invariant::Invariant;
use crate::model::need::Need;
use crate::model::profile::{Serves, Transport};
use crate::model::scenario::{Line, Scenario, Waiver};
use crate::model::spent::Spent;
use crate::model::subject::{Place, Subject};
use crate::model::trial::{BUSY, Trial};
use crate::session::{Session, Turn};
use crate::sys::nursery::Nursery;
use crate::transcript::event::Transcript;
use std::sync::Arc;
use std::time::Duration;

/// How often a server is stopped that seems to take its time, before it is taken for one that answers at once: on a loaded host it
/// is we who are late.
const TRIES_TO_CATCH: u32 = 3;

/// What the first look at a server tells.
pub(super) struct Probed {
    pub(super) subject: Subject,
    pub(super) why_host: Option<String>,
    pub(super) why_writes_to_host: Option<String>,
    /// The first conversation, and what was seen of it.
    conversation: Scenario,
    transcript: Transcript,
    /// Why the server does not even serve a polite client.
    pub(super) unserved: Option<Verdict>,
    /// What the time of the look was spent on.
    pub(super) spent: Spent,
    /// What the other labs of the run come from.
    _nursery: Option<Arc<Nursery>>,
}

impl Probed {
    /// What an observation is read from that is made in the first conversation.
    pub(super) fn sighting(&self) -> Sighting<'_> {
        Sighting {
            subject: &self.subject,
            scenario: &self.conversation,
            transcript: &self.transcript,
        }
    }
}

/// What the first look at a server is called while it lasts.
const FIRST_LOOK: &str = "first look";

/// Starts the server once, talks to it politely, and tells what is to be known of it.
pub(super) async fn probe(
    target: &Target,
    settings: &Settings,
    findings: &Findings,
) -> Result<Probed, Error> {
    let lab = Arc::new(Lab::of(target, settings.isolation)?);
    let why_host = lab.why_host().map(str::to_owned);
    let why_writes_to_host = lab.why_unbounded();
    let nursery = lab.nursery();
    let turn = Turn::default();
    let _shown = settings.audience.sees(FIRST_LOOK, &turn);
    let mut session = Session::start(target, lab.clone(), turn.clone()).await?;
    let mut subject = subject_of(&session, &lab, target, settings)?;
    let mut trial = Trial::alone(first_conversation(&subject)).of(&subject.profile);
    let job = Job::new(target, &subject, settings, &turn, findings);
    job.be_alone_at_it().await;
    let (mut verdict, mut transcript) = job.performed(&mut session, &trial).await?;
    if is_reset_at_end(&verdict) && goes_on(&subject) {
        subject.resets_at_end = true;
        trial = Trial::alone(first_conversation(&subject)).of(&subject.profile);
        let job = Job::new(target, &subject, settings, &turn, findings);
        (verdict, transcript) = job.performed(&mut session, &trial).await?;
    }
    let job = Job::new(target, &subject, settings, &turn, findings);
    let verdict = job.unless_helper(verdict, &mut trial, &transcript).await?;
    let turned_away = turned_away(&verdict);
    let answers_otherwise = answered_otherwise(&verdict).is_some();
    let mut reply_time = transcript.last_reply_time();
    let mut unserved = (verdict != Verdict::Pass && turned_away.is_none()).then_some(verdict);
    // What does not rest behind the first client is waited for once.
    let known: Vec<String> = transcript
        .is_busy_at_last()
        .then(|| BUSY.to_owned())
        .into_iter()
        .collect();
    if unserved.is_none() && goes_on(&subject) {
        trial = trial.knowing(known.clone());
        let (_, seen) = job.perform(&mut session, &trial).await?;
        reply_time = reply_time.into_iter().chain(seen.last_reply_time()).min();
        let verdict = job.judged(&trial, &seen);
        let verdict = job.unless_helper(verdict, &mut trial, &seen).await?;
        unserved = (verdict != Verdict::Pass).then_some(verdict);
        if turned_away.is_some() {
            transcript = seen;
        }
    }
    let mut subject = Subject {
        turned_away: session.turned_away().or(turned_away),
        answers_otherwise,
        reply_time,
        ..subject
    };
    if unserved.is_none()
        && let Some(scenario) = stop::caught_unanswered(&subject)
    {
        let trial = Trial::alone(scenario)
            .of(&subject.profile)
            .knowing(known.clone());
        let job = Job::new(target, &subject, settings, &turn, findings);
        let is_caught = is_caught(job, &mut session, &trial).await;
        subject.takes_its_time = is_caught;
    }
    if unserved.is_none() && may_defer(&subject) {
        let silent = Trial::alone(silent_client())
            .of(&subject.profile)
            .knowing(known.clone());
        let job = Job::new(target, &subject, settings, &turn, findings);
        let (_, seen) = job.perform(&mut session, &silent).await?;
        subject.place.deferred = seen.shows_deferral();
    }
    if unserved.is_none() && may_answer_again(&subject) {
        let again = Trial::alone(same_again(&subject))
            .of(&subject.profile)
            .knowing(known.clone());
        let job = Job::new(target, &subject, settings, &turn, findings);
        let (_, seen) = job.perform(&mut session, &again).await?;
        let verdict = job.judged(&again, &seen);
        if verdict == Verdict::Pass {
            subject = subject.answering_again();
        }
    }
    let needs = [Need::STREAM, Need::SEVERAL_AT_ONCE];
    let takes_more = needs.iter().all(|need| need.unmet(&subject).is_none());
    let subject = Subject {
        process_for_each: takes_more && session.has_a_process_for_each().await,
        open_files: session.open_files(),
        may_be_limited: session.may_be_limited(),
        ..subject
    };
    Ok(Probed {
        spent: turn.spent(),
        subject,
        why_host,
        why_writes_to_host,
        conversation: trial.scenario().clone(),
        transcript,
        unserved,
        _nursery: nursery,
    })
}

/// Whether the server can be stopped between a request that it has read and its answer.
async fn is_caught(job: Job<'_>, session: &mut Session<'_>, trial: &Trial) -> bool {
    for _ in 0..TRIES_TO_CATCH {
        let seen = match goes_on(job.subject) {
            true => job.perform(session, trial).await.map(|(_, seen)| seen),
            false => job.on_fresh_server(trial).await.map(|(_, seen)| seen),
        };
        if seen.is_ok_and(|seen| seen.has_shown(&stop::unanswered())) {
            return true;
        }
    }
    false
}

/// Whether a polite client got all that it was owed, and then a reset.
fn is_reset_at_end(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fail(finding) if finding.causes().count() == 1 && finding.cause.is_reset_at_end())
}

/// How much later a client was served than the first one, who was turned away.
fn turned_away(verdict: &Verdict) -> Option<Duration> {
    match verdict {
        Verdict::Inconclusive(Doubt::Chosen {
            choice: Choice::TurnsAway(later),
            ..
        }) => Some(*later),
        _ => None,
    }
}

/// What is known of a server that has just been started.
///
/// # Errors
/// Its first process has ended, although something listens; or a promise has no meaning at the address where it listens.
pub(super) fn subject_of(
    session: &Session<'_>,
    lab: &Lab,
    target: &Target,
    settings: &Settings,
) -> Result<Subject, Error> {
    let server = session
        .server()
        .ok_or_else(|| foreground::refusal(target))?;
    let known = Subject::of(target.profile.clone(), place_of(session, server));
    let subject = Subject {
        own_namespace: lab.is_private(),
        may_answer_calls: answers_calls().is_ok(),
        isolation: lab.isolation(),
        is_elsewhere: target.elsewhere.is_some(),
        may_be_flooded: target.may_be_flooded(),
        told_loopback: target.names_loopback(),
        socket_is_given: target.listen_fds,
        seed: settings.seed,
        deep: settings.deep,
        cases: drawn::how_many(settings),
        most_clients: descriptors::most_clients(),
        somaxconn: lab.somaxconn(),
        send_buffer: lab.send_buffer().unwrap_or(known.send_buffer),
        ..known
    };
    let has_meaning =
        !target.profile.promises.penalises_addresses() || has_more_addresses(&subject);
    match has_meaning {
        true => Ok(subject),
        false => Err(Error::Usage(format!(
            "promises.penalties = \"an-address\" has each client come from an address of its own, of which there are many for a \
             server on 127.0.0.1, and one for a server on {}: let it listen on an IPv4 address, or remove the promise",
            subject.place.address
        ))),
    }
}

/// Where a server was found to listen.
fn place_of(session: &Session<'_>, server: &Server) -> Place {
    let (transport, rows) = (server.transport(), server.listeners());
    let ip = |row: &Row| row.local.map(|local| local.ip().to_canonical());
    let v6 = |row: &&Row| ip(row).is_some_and(|ip| ip.is_ipv6());
    let on_all = |row: &Row| ip(row).is_some_and(|ip| ip.is_unspecified());
    let listener = session.listener().filter(|_| !transport.is_datagram());
    Place {
        transport,
        address: server.address().clone(),
        backlog: listener.map(|(_, backlog)| backlog),
        wildcard: server.is_on_every_address(),
        shared_port: rows
            .iter()
            .any(|row| rows.iter().filter(|other| other.local == row.local).count() > 1),
        ipv6: rows.iter().any(|row| v6(&row)),
        dual_stack: rows
            .iter()
            .filter(v6)
            .any(|row| !row.v6_only && on_all(row)),
        deferred: false,
    }
}

/// Whether it can be told by trying alone that the last exchange is answered again, and something can be built on it.
fn may_answer_again(subject: &Subject) -> bool {
    let promises_nothing = subject.profile.answers_again().is_none();
    promises_nothing
        && !subject.place.transport.is_datagram()
        && Need::STAYS_OPEN.unmet(subject).is_none()
        && subject.profile.has_request()
}

/// A client that makes the last exchange again on its connection.
fn same_again(subject: &Subject) -> Scenario {
    let steps = ClientSteps::of(0)
        .open(subject)
        .request_and_reply(subject)
        .request_and_reply(subject)
        .then(Action::Close);
    only_served(scenario(
        "the same again",
        &[("alice", 1)],
        vec![steps.lines()],
    ))
}

/// A polite client's conversation. What a served client leaves behind is a finding of the checks, and no reason not to
/// look at them.
fn first_conversation(subject: &Subject) -> Scenario {
    let lines = with_a_look_at_the_end(ClientSteps::of(0).polite(subject).lines());
    only_served(scenario("a polite client", &[("alice", 1)], vec![lines]))
}

/// The same with everything waived but that it is served.
pub(super) fn only_served(scenario: Scenario) -> Scenario {
    let beside = Invariant::ALL.iter().map(|(invariant, _)| *invariant);
    let beside = beside.filter(|invariant| *invariant != Invariant::Alive);
    let waived = beside.map(|invariant| Waiver {
        invariant,
        reason: "only whether it serves is of interest".to_owned(),
    });
    Scenario {
        waived: waived.collect(),
        ..scenario
    }
}

/// Whether it makes a difference that the kernel keeps silent clients from the server.
fn may_defer(subject: &Subject) -> bool {
    goes_on(subject) && subject.place.transport == Transport::Tcp && subject.profile.has_request()
}

/// Whether there can be a second client.
fn goes_on(subject: &Subject) -> bool {
    subject.profile.promises.serves != Some(Serves::OneConnection)
}

/// A client that says nothing.
fn silent_client() -> Scenario {
    let client = ClientSteps::of(0).connect().expect(Expectation::Accepted);
    let lines = client.then(Action::Close).lines();
    only_served(scenario("a silent client", &[("alice", 1)], vec![lines]))
}

/// The same lines, with the time for what the server does by itself before the client closes.
fn with_a_look_at_the_end(mut lines: Vec<Line>) -> Vec<Line> {
    lines.insert(lines.len().saturating_sub(1), settle());
    lines
}
