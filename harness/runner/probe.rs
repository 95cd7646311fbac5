//! The first look at a server: where it listens, and whether it serves a polite client.

use super::attempt::{Job, perform};
use super::descriptors;
use super::drawn;
use super::settings::Settings;
use crate::checks::observations::Sighting;
use crate::judge::Verdict;
use crate::kernel::Row;
use crate::launch::lab::Lab;
use crate::launch::{Server, Target};
use crate::model::dialogue::{ClientSteps, scenario, settle};
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::need::Need;
use crate::model::scenario::{Line, Scenario, Waiver};
use crate::model::subject::{Place, Subject};
use crate::model::trial::Trial;
use crate::session::{Session, Turn};
use crate::transcript::event::Transcript;
use std::sync::Arc;

/// What the first look at a server tells.
pub(super) struct Probed {
    pub(super) subject: Subject,
    pub(super) why_host: Option<String>,
    /// The first conversation, and what was seen of it.
    conversation: Scenario,
    transcript: Transcript,
    /// Why the server does not even serve a polite client.
    pub(super) unserved: Option<Verdict>,
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

/// Starts the server once, talks to it politely, and tells what is to be known of it.
pub(super) async fn probe(target: &Target, settings: &Settings) -> Result<Probed, Error> {
    let lab = Arc::new(Lab::open(settings.isolation)?);
    let why_host = lab.why_host().map(str::to_owned);
    let turn = Turn::default();
    let mut session = Session::start(target, lab.clone(), turn.clone()).await?;
    let subject = subject_of(&session, &lab, target, settings)?;
    let trial = Trial::alone(first_conversation(&subject)).of(&subject.profile);
    let transcript = perform(&mut session, &trial).await?;
    let verdict = Job::new(target, &subject, settings, &turn).judged(&trial, &transcript)?;
    let unserved = (verdict != Verdict::Pass).then_some(verdict);
    let needs = [Need::STREAM, Need::SEVERAL_AT_ONCE];
    let takes_more = needs.iter().all(|need| need.unmet(&subject).is_none());
    let subject = Subject {
        process_for_each: takes_more && session.has_a_process_for_each().await,
        may_be_limited: session.may_be_limited(),
        ..subject
    };
    Ok(Probed {
        subject,
        why_host,
        conversation: trial.scenario().clone(),
        transcript,
        unserved,
    })
}

/// What is known of a server that has just been started.
///
/// # Errors
/// Its first process has ended, although something listens.
pub(super) fn subject_of(
    session: &Session<'_>,
    lab: &Lab,
    target: &Target,
    settings: &Settings,
) -> Result<Subject, Error> {
    let server = session.server().ok_or_else(|| in_background(target))?;
    Ok(Subject {
        own_namespace: lab.is_private(),
        isolation: lab.isolation(),
        told_loopback: target.names_loopback(),
        socket_is_given: target.listen_fds,
        seed: settings.seed,
        deep: settings.deep,
        cases: drawn::how_many(settings),
        most_clients: descriptors::most_clients(),
        somaxconn: lab.somaxconn(),
        ..Subject::of(target.profile.clone(), place_of(session, server))
    })
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
    }
}

/// A polite client's conversation. What a served client leaves behind is a finding of the checks, and no reason not to
/// look at them.
fn first_conversation(subject: &Subject) -> Scenario {
    let beside = Invariant::ALL.iter().map(|(invariant, _)| *invariant);
    let beside = beside.filter(|invariant| *invariant != Invariant::Alive);
    let waived = beside.map(|invariant| Waiver {
        invariant,
        reason: "only whether it serves is of interest".to_owned(),
    });
    let lines = with_a_look_at_the_end(ClientSteps::of(0).polite(subject).lines());
    Scenario {
        waived: waived.collect(),
        ..scenario("a polite client", &[("alice", 1)], vec![lines])
    }
}

/// The same lines, with the time for what the server does by itself before the client closes.
fn with_a_look_at_the_end(mut lines: Vec<Line>) -> Vec<Line> {
    lines.insert(lines.len().saturating_sub(1), settle());
    lines
}

/// A server that listens although its first process has ended: it can be neither watched nor told to end.
fn in_background(target: &Target) -> Error {
    Error::EndedEarly {
        how: "put itself into the background, and its first process ended".to_owned(),
        awaited: "it could be drilled; give it the option that keeps it in the foreground"
            .to_owned(),
        waited: std::time::Duration::ZERO,
        output: String::new(),
        command: target.command_line(),
    }
}
