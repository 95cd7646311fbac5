//! The first look at a server: where it listens, and whether it serves a polite client.

use super::attempt::{Job, performed};
use super::drawn;
use crate::checks::observations::Sighting;
use crate::judge::Verdict;
use crate::kernel::Row;
use crate::launch::lab::Lab;
use crate::launch::{Server, Target};
use crate::model::check::{Address, Broken, Ground, Need};
use crate::model::dialogue::{Talk, scenario, settle};
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::profile::{Profile, Transport};
use crate::model::scenario::{Line, Scenario, Waiver};
use crate::model::trial::Trial;
use crate::session::Session;
use crate::transcript::event::Transcript;
use std::sync::Arc;

/// What the first look at a server tells.
pub(super) struct Acquaintance {
    pub(super) profile: Profile,
    place: Place,
    /// Whether the server has a network namespace to itself.
    pub(super) private: bool,
    pub(super) isolation: &'static str,
    pub(super) why_host: Option<String>,
    /// The first conversation, and what was seen of it.
    pub(super) conversation: Scenario,
    pub(super) transcript: Transcript,
    /// Why the server does not even serve a polite client.
    pub(super) unserved: Option<Verdict>,
    broken: Vec<Broken>,
}

impl Acquaintance {
    /// What checks and observations can build on.
    pub(super) fn ground(&self, job: Job<'_>) -> Ground<'_> {
        let settings = job.settings;
        Ground {
            backlog: self.place.backlog,
            seed: settings.seed,
            deep: settings.deep,
            cases: drawn::how_many(settings),
            broken: &self.broken,
            own_namespace: self.private,
            wildcard: self.place.wildcard,
            shared_port: self.place.shared_port,
            socket_is_given: job.target.listen_fds,
            ipv6: self.place.ipv6,
            dual_stack: self.place.dual_stack,
            told_loopback: job.target.names_loopback(),
            ..Ground::of(&self.profile, self.place.transport)
        }
    }

    /// What an observation is read from, where `transcript` is what was seen of `scenario`.
    pub(super) fn sighting<'a>(
        &'a self,
        ground: &'a Ground<'a>,
        scenario: &'a Scenario,
        transcript: &'a Transcript,
    ) -> Sighting<'a> {
        Sighting {
            ground,
            address: &self.place.address,
            isolation: self.isolation,
            scenario,
            transcript,
        }
    }

    /// The same of a server that was found not to serve concurrently, whatever its profile says.
    pub(super) fn without_concurrency(mut self, check: &'static str) -> Self {
        self.profile.promises.serves = None;
        self.broken.push(Broken {
            need: Need::CONCURRENT,
            what: "serving concurrently",
            check,
        });
        self
    }
}

/// Where a server was found to listen.
struct Place {
    transport: Transport,
    address: Address,
    backlog: Option<u32>,
    wildcard: bool,
    shared_port: bool,
    ipv6: bool,
    dual_stack: bool,
}

impl Place {
    fn of(stage: &Session<'_>, server: &Server) -> Self {
        let (transport, rows) = (server.transport(), server.listeners());
        let ip = |row: &Row| row.local.map(|local| local.ip().to_canonical());
        let v6 = |row: &&Row| ip(row).is_some_and(|ip| ip.is_ipv6());
        let on_all = |row: &Row| ip(row).is_some_and(|ip| ip.is_unspecified());
        let listener = stage.listener().filter(|_| !transport.is_datagram());
        Self {
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
}

/// Starts the server once, talks to it politely, and notes what it does.
pub(super) async fn acquaint(job: Job<'_>) -> Result<Acquaintance, Error> {
    let lab = Arc::new(Lab::open(job.settings.isolation)?);
    let isolation = lab.isolation();
    let why_host = lab.why_host().map(str::to_owned);
    let private = lab.is_private();
    let mut stage = Session::start(job.target, lab).await?;
    let place = match stage.server() {
        Some(server) => Place::of(&stage, server),
        None => return Err(in_background(job.target)),
    };
    let profile = Profile {
        transport: Some(place.transport),
        ..job.target.profile.clone()
    };
    let trial = Trial::alone(first_conversation(&profile)).of(&profile);
    let transcript = performed(&mut stage, &trial).await?;
    let verdict = job.judged(&trial, &transcript)?;
    let unserved = (verdict != Verdict::Pass).then_some(verdict);
    Ok(Acquaintance {
        conversation: trial.scenario().clone(),
        transcript,
        profile,
        place,
        private,
        isolation,
        why_host,
        unserved,
        broken: Vec::new(),
    })
}

/// A polite client's conversation. What a served client leaves behind is a finding of the checks, and no reason not to
/// look at them.
fn first_conversation(profile: &Profile) -> Scenario {
    let beside = Invariant::ALL.iter().map(|(invariant, _)| *invariant);
    let beside = beside.filter(|invariant| *invariant != Invariant::Alive);
    let waived = beside.map(|invariant| Waiver {
        invariant,
        reason: "only whether it serves is of interest".to_owned(),
    });
    let lines = with_a_look_at_the_end(Talk::of(0).polite(profile).lines());
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
pub(super) fn in_background(target: &Target) -> Error {
    Error::EndedEarly {
        how: "put itself into the background, and its first process ended".to_owned(),
        awaited: "it could be drilled; give it the option that keeps it in the foreground"
            .to_owned(),
        waited: std::time::Duration::ZERO,
        output: String::new(),
        command: target.command_line(),
    }
}
