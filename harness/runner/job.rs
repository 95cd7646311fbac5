//! What trials are made for, and the servers that they are performed on.

use super::alarms::Heard;
use super::attempt::TrialOptions;
use super::cases::AsBefore;
use super::check_budget;
use super::descriptors;
use super::findings::{Findings, Shape};
use super::run_end::Over;
use super::saved;
use super::servers::Servers;
use super::settings::Settings;
use crate::judge::{Alarmed, Verdict, begins_to_tell, judge, next, recommendations};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::check::Check;
use crate::model::dialogue::ClientSteps;
use crate::model::error::Error;
use crate::model::profile::Serves;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::system_call::SystemCall;
use crate::model::trial::Trial;
use crate::report::data::Exhibit;
use crate::session::{Session, Turn};
use crate::transcript::event::Transcript;
use std::sync::Arc;
use std::time::Duration;

/// A server's command, what is known of the server, and how it is tried.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) target: &'a Target,
    pub(super) subject: &'a Subject,
    pub(super) settings: &'a Settings,
    pub(super) turn: &'a Turn,
    /// What the checks of the run have found so far.
    pub(super) findings: &'a Findings,
    /// The check, the case or the observation that trials are made for.
    pub(super) purpose: &'a str,
    /// The check, where it is one.
    pub(super) check: Option<&'static Check>,
    /// The alarms that are heard in them.
    heard: Option<&'a Heard>,
    /// The servers that checks leave to each other.
    pub(super) servers: Option<&'a Servers>,
    /// For how long it may go on, beside waiting for others.
    most: Option<Duration>,
    /// How it was performed before, where that is to be repeated.
    pub(super) before: Option<&'a AsBefore>,
}

/// What of a job others can do, on threads of their own.
#[derive(Clone, Copy)]
pub(super) struct Share<'a> {
    target: &'a Target,
    subject: &'a Subject,
    settings: &'a Settings,
    findings: &'a Findings,
    purpose: &'a str,
    check: Option<&'static Check>,
    servers: Option<&'a Servers>,
    most: Option<Duration>,
}

impl<'a> Share<'a> {
    /// The job of one of them, who has a turn and hears alarms.
    pub(super) fn taken<'b>(self, turn: &'b Turn, heard: &'b Heard) -> Job<'b>
    where
        'a: 'b,
    {
        Job {
            target: self.target,
            subject: self.subject,
            settings: self.settings,
            turn,
            findings: self.findings,
            purpose: self.purpose,
            check: self.check,
            heard: Some(heard),
            servers: self.servers,
            most: self.most,
            before: None,
        }
    }
}

impl<'a> Job<'a> {
    pub(super) fn new(
        target: &'a Target,
        subject: &'a Subject,
        settings: &'a Settings,
        turn: &'a Turn,
        findings: &'a Findings,
    ) -> Self {
        Self {
            target,
            subject,
            settings,
            turn,
            findings,
            purpose: "probe",
            check: None,
            heard: None,
            servers: None,
            most: None,
            before: None,
        }
    }

    /// The same as it was performed before.
    pub(super) fn as_before(self, before: Option<&'a AsBefore>) -> Self {
        Self { before, ..self }
    }

    /// What others can do of it.
    pub(super) fn share(self) -> Share<'a> {
        Share {
            target: self.target,
            subject: self.subject,
            settings: self.settings,
            findings: self.findings,
            purpose: self.purpose,
            check: self.check,
            servers: self.servers,
            most: self.most,
        }
    }

    /// The same with what else is known of the server, in a turn of its own.
    pub(super) fn with<'b>(self, subject: &'b Subject, turn: &'b Turn) -> Job<'b>
    where
        'a: 'b,
    {
        Job {
            subject,
            turn,
            ..self
        }
    }

    /// The same where checks leave servers to each other.
    pub(super) fn sharing(self, servers: &'a Servers) -> Self {
        let servers = Some(servers);
        Self { servers, ..self }
    }

    /// The same whose findings are these.
    pub(super) fn finding<'b>(self, findings: &'b Findings) -> Job<'b>
    where
        'a: 'b,
    {
        Job { findings, ..self }
    }

    /// The same for a case or an observation.
    pub(super) fn of(self, purpose: &'a str, heard: &'a Heard) -> Self {
        let heard = Some(heard);
        Self {
            purpose,
            heard,
            ..self
        }
    }

    /// The same for a check.
    pub(super) fn of_check(self, check: &'static Check, heard: &'a Heard) -> Self {
        Self {
            check: Some(check),
            ..self.of(check.id, heard)
        }
    }

    /// The same where all these scenarios, and what is done to be sure of what they show, have their time.
    pub(super) fn in_time_of(self, scenarios: &[Scenario]) -> Self {
        let most = Some(check_budget::of(scenarios, self.settings));
        Self { most, ..self }
    }

    /// Returns when the run is over, or the time that the job has, with the reason.
    pub(super) async fn until_over(self) -> Over {
        tokio::select! {
            biased;
            over = self.findings.until_over() => over,
            over = check_budget::until_used(self.most, self.turn) => over,
        }
    }

    /// Alarms were heard in a trial of it.
    pub(super) fn hear(self, alarms: Vec<Alarmed>) {
        if let Some(heard) = self.heard {
            heard.add(alarms);
        }
    }

    /// What a trial of it is made of, where it is one of a check.
    pub(super) fn shape(self, trial: &Trial) -> Option<Shape> {
        let polite = ClientSteps::of(0).polite(self.subject).lines();
        self.check
            .map(|check| Shape::of(check, trial.scenario(), &polite))
    }

    /// Performs one phase after the other, as the judge asks for them. What other checks find meanwhile is known from then on.
    pub(super) async fn perform(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Trial, Transcript), Error> {
        tracing::debug!(scenario = trial.scenario().name, "trial begins");
        let shape = self.shape(trial);
        let mut trial = trial.clone();
        let mut has_its_turn = false;
        session.begin();
        loop {
            if let Some(shape) = &shape {
                trial.known = self.findings.known_to(shape);
            }
            let Some(next) = session.seen(|transcript| next(&trial, transcript)) else {
                break;
            };
            // What grows in a server that others have used may be theirs: it is for a fresh one to tell, which is soon level.
            if next.is_to_tell_growth() && !session.used_by().is_empty() {
                break;
            }
            let grown = session.seen(|transcript| begins_to_tell(&trial, transcript));
            if let Some((key, shape)) = grown.filter(|_| !has_its_turn).zip(shape.as_ref()) {
                has_its_turn = true;
                self.in_turn_to_tell(&key, shape).await;
                // Meanwhile somebody else may have told.
                continue;
            }
            session.perform(next, &trial).await?;
        }
        Ok((trial, session.finish().await))
    }

    /// Waits while another check tells whether what grows is a leak, since that would be told twice; whoever waits makes room.
    /// All clients have left by then, and none falls silent.
    async fn in_turn_to_tell(self, key: &str, by: &Shape) {
        if self.findings.begins_to_tell(key, by) {
            return;
        }
        self.turn.step_aside();
        if self.turn.is_aside() {
            self.turn.in_line(self.findings.until_told(key, by)).await;
            self.turn.come_back().await;
            let shared = self.settings.exclusive.shared();
            self.turn.hold(self.turn.in_line(shared).await);
        }
    }

    /// Starts a server in a lab of its own.
    pub(super) async fn start(self) -> Result<Session<'a>, Error> {
        self.start_holding_up(Vec::new()).await
    }

    /// The same of a server such calls of which may be given a rare answer.
    async fn start_holding_up(self, calls: Vec<SystemCall>) -> Result<Session<'a>, Error> {
        self.turn.come_back().await;
        let lab = Lab::of(self.target, self.settings.isolation)?.holding_up(calls);
        Session::start(self.target, Arc::new(lab), self.turn.clone()).await
    }

    /// The same of a server for a scenario.
    pub(super) async fn start_for(self, scenario: &Scenario) -> Result<Session<'a>, Error> {
        self.start_holding_up(scenario.answered_calls()).await
    }

    /// A server for a scenario: one that others have left, where that makes no difference.
    pub(super) async fn server_for(
        self,
        scenario: &Scenario,
        options: TrialOptions,
    ) -> Result<Session<'a>, Error> {
        let Some(servers) = self.shared_servers(scenario, options) else {
            return self.start_for(scenario).await;
        };
        self.turn.come_back().await;
        match servers.take() {
            Some(idle) => Ok(Session::taken_up(idle, self.target, self.turn.clone())),
            None => self.start().await,
        }
    }

    /// The servers of the run that are shared, where a scenario is of clients alone.
    fn shared_servers(self, scenario: &Scenario, options: TrialOptions) -> Option<&'a Servers> {
        // Where addresses are punished, those of later clients may have been.
        let may_punish = self.subject.profile.promises.penalises_addresses();
        let is_shared = options.shares_servers
            && !options.fresh_server
            && !may_punish
            && !self.is_for_one()
            && !scenario.acts_on_server();
        self.servers.filter(|_| is_shared)
    }

    /// The verdict of a trial on a server that earlier ones may have left, else on a fresh one; it is left as well where it passes.
    pub(super) async fn on_some_server(self, trial: &Trial) -> Result<Verdict, Error> {
        let options = TrialOptions {
            fresh_server: false,
            shares_servers: true,
            polite: true,
            tries: 1,
            ask: false,
            ends_when_late: false,
        };
        let scenario = trial.scenario();
        let mut session = self.server_for(scenario, options).await?;
        let (verdict, seen) = self.beside_others(&mut session, trial).await?;
        let passed = (verdict == Verdict::Pass).then_some(session);
        self.leave_to_others(passed, Some(&(scenario, seen)), options);
        Ok(verdict)
    }

    /// Leaves a server to other checks that has passed.
    pub(super) fn leave_to_others(
        self,
        session: Option<Session<'a>>,
        last: Option<&(&Scenario, Transcript)>,
        options: TrialOptions,
    ) {
        let Some((session, (scenario, seen))) = session.zip(last) else {
            return;
        };
        if let Some((servers, check)) = self.shared_servers(scenario, options).zip(self.check)
            && let Some(idle) = session.left_idle(check.id, seen)
        {
            servers.put(idle);
        }
    }

    /// Whether the server is for one connection, and ends with it.
    pub(super) fn is_for_one(self) -> bool {
        self.subject.profile.promises.serves == Some(Serves::OneConnection)
    }

    /// Performs a trial on a server of its own, and judges it.
    pub(super) async fn on_fresh_server(
        self,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        let mut session = self.start_for(trial.scenario()).await?;
        self.beside_others(&mut session, trial).await
    }

    /// The same with no other trial of the run beside it.
    pub(super) async fn alone_on_fresh_server(
        self,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        let mut session = self.start_for(trial.scenario()).await?;
        let alone = self.settings.exclusive.alone();
        self.turn.hold_alone(self.turn.in_line(alone).await);
        let performed = self.performed(&mut session, trial).await;
        self.turn.end_trial();
        performed
    }

    /// Judges what was seen of a trial, and saves all of it where that is wanted.
    pub(super) fn judged(self, trial: &Trial, seen: &Transcript) -> Verdict {
        let verdict = judge(trial, seen);
        self.hear(recommendations(trial, seen));
        if let Some(folder) = &self.settings.transcripts {
            let saved = saved::save(folder, self.purpose, trial, seen, &verdict);
            // What was seen is no less true where it cannot be saved.
            saved.unwrap_or_else(|error| self.settings.unsaved.add(&error));
        }
        verdict
    }

    /// What a failure was judged by, where that is to be kept.
    pub(super) fn exhibit(
        self,
        verdict: &Verdict,
        trial: &Trial,
        seen: &Transcript,
    ) -> Option<Arc<Exhibit>> {
        let Verdict::Fail(told) = verdict else {
            return None;
        };
        if !self.settings.keeps_exhibits {
            return None;
        }
        let known = self
            .shape(trial)
            .map(|shape| self.findings.known_to(&shape));
        // It is told by the trial that shows this cause: what others had found meanwhile may have been left out of it.
        let trials = [
            trial.clone(),
            trial.clone().knowing(known.unwrap_or_default()),
        ];
        let judged = trials.map(|trial| (judge(&trial, seen), trial));
        let shows = |verdict: &Verdict| matches!(verdict, Verdict::Fail(found) if found.cause.key() == told.cause.key());
        let [plain, knowing] = judged;
        let (verdict, trial) = if shows(&plain.0) || !shows(&knowing.0) {
            plain
        } else {
            knowing
        };
        Some(Arc::new(Exhibit {
            trial,
            transcript: seen.clone(),
            verdict,
            made_of: None,
        }))
    }

    /// Performs a trial on a server while others are performed on theirs, and judges it.
    pub(super) async fn beside_others(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        self.turn.come_back().await;
        match self.target.elsewhere {
            Some(_) => self.be_alone_at_it().await,
            None => {
                let shared = self.settings.exclusive.shared();
                self.turn.hold(self.turn.in_line(shared).await);
            }
        }
        let performed = self.performed(session, trial).await;
        self.turn.end_trial();
        performed
    }

    /// Keeps all others away from a server of which there is but one, until the trial is over.
    pub(super) async fn be_alone_at_it(self) {
        if self.target.elsewhere.is_some() && !self.turn.is_alone() {
            let alone = self.settings.exclusive.alone();
            self.turn.hold_alone(self.turn.in_line(alone).await);
        }
    }

    /// Whether several servers can run at a time: on the plain host two with the same fixed port would meet.
    pub(super) fn may_have_servers(self) -> bool {
        self.subject.own_namespace || self.target.takes_any_place()
    }

    /// Whether something else may be tried for it at the same time, on another server.
    pub(super) fn may_have_others_beside(self) -> bool {
        self.may_have_servers() && self.turn.may_have_others()
    }

    /// The verdicts of two trials more, on two servers at once where there is room for them.
    pub(super) async fn twice_more(
        self,
        trial: &Trial,
    ) -> [Result<(Verdict, Transcript), Error>; 2] {
        let needed = descriptors::needed(std::slice::from_ref(trial.scenario()));
        let room = descriptors::take_at_once(needed).filter(|_| self.may_have_others_beside());
        if room.is_none() {
            return [
                self.on_fresh_server(trial).await,
                self.on_fresh_server(trial).await,
            ];
        }
        // They need places, which all who repeat something may have; who is done leaves its own to others.
        self.turn.make_room();
        let once = async |turn: Turn| self.with(self.subject, &turn).on_fresh_server(trial).await;
        let (first, second) = tokio::join!(once(self.turn.another()), once(self.turn.another()));
        [first, second]
    }
}
