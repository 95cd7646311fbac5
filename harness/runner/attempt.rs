//! Trials on a server: who stands beside whom, when a server is used again, and what is repeated.

use super::alarms::{self, Heard};
use super::checked::{fails_the_run, is_listed};
use super::descriptors;
use super::findings::{Claim, Claimed, Findings, Shape};
use super::saved;
use super::servers::Servers;
use super::settings::Settings;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{
    Alarmed, Doubt, Evidence, Finding, Skip, Verdict, begins_to_tell, judge, next, recommendations,
};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::check::Check;
use crate::model::dialogue::{self, ClientSteps, repeat, scenario};
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::profile::Serves;
use crate::model::scenario::Scenario;
use crate::model::spent::SpentOn;
use crate::model::subject::Subject;
use crate::model::trial::Trial;
use crate::session::{Session, Turn};
use crate::transcript::event::{EventLine, Transcript};
use std::sync::Arc;

/// How often something that failed, or that proved nothing, is tried on servers of its own.
pub(super) const TRIES: usize = 3;

/// What came of trying a check's scenarios.
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    /// The check that had shown what it fails by before, where one had.
    pub(super) under: Option<&'static str>,
    pub(super) failed: Option<Scenario>,
    /// The events of the last scenario.
    pub(super) transcript: Vec<EventLine>,
    /// Where the profile's request was cut.
    pub(super) coverage: Option<Coverage>,
    /// Which of the scenarios proved nothing.
    pub(super) unsure: Vec<usize>,
    /// How many cases of them proved nothing alone either, where they have several.
    pub(super) unproven: usize,
}

impl Attempt {
    /// Whether there is something to repeat: a scenario that failed, or an alarm that was heard.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || alarms::is_recommended(&self.verdict)
    }

    /// Adds what came of other scenarios, but for the verdict.
    pub(super) fn add(&mut self, other: Self) {
        self.transcript = other.transcript;
        self.unsure.extend(other.unsure);
        self.coverage = match (self.coverage.take(), other.coverage) {
            (Some(one), Some(other)) => Some(one.with(other)),
            (one, other) => one.or(other),
        };
    }

    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            under: None,
            failed: None,
            transcript: Vec::new(),
            coverage: None,
            unsure: Vec::new(),
            unproven: 0,
        }
    }
}

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
    purpose: &'a str,
    /// The check, where it is one.
    pub(super) check: Option<&'static Check>,
    /// The alarms that are heard in them.
    heard: Option<&'a Heard>,
    /// The servers that checks leave to each other.
    pub(super) servers: Option<&'a Servers>,
}

/// How each of the scenarios is tried.
#[derive(Clone, Copy)]
pub(super) struct TrialOptions {
    /// Each has a server of its own.
    pub(super) fresh_server: bool,
    /// One that has none of its own may have one that another check has left.
    pub(super) shares_servers: bool,
    /// A polite client comes before and after, and a bystander stands beside.
    pub(super) polite: bool,
    /// How often one that proves nothing is tried.
    pub(super) tries: usize,
    /// What fails is held against the server only where it is nothing that the server may have chosen.
    pub(super) ask: bool,
    /// Once a server was looked on at in vain for as long as a time-out of its own may wake it, or as what grows may be given back,
    /// the others are not tried: they are of the same kind, and would be waited for as long.
    pub(super) ends_when_late: bool,
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
        self.turn.come_back().await;
        let lab = Arc::new(Lab::open(self.settings.isolation)?);
        Session::start(self.target, lab, self.turn.clone()).await
    }

    /// A server for a scenario: one that others have left, where that makes no difference.
    async fn server_for(
        self,
        scenario: &Scenario,
        options: TrialOptions,
    ) -> Result<Session<'a>, Error> {
        let Some(servers) = self.shared_servers(scenario, options) else {
            return self.start().await;
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

    /// Performs a trial; where it does not pass on a server that others have used, a fresh one decides, and more of them where
    /// chance may have. The session is that of the server which passes it.
    async fn decided_by(
        self,
        mut session: Session<'a>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript, Option<Session<'a>>), Error> {
        let (verdict, seen) = self.beside_others(&mut session, trial).await?;
        let used_by = session.used_by().to_vec();
        if verdict == Verdict::Pass {
            return Ok((verdict, seen, Some(session)));
        }
        drop(session);
        if used_by.is_empty() {
            return Ok((verdict, seen, None));
        }
        let mut session = self.start().await?;
        let (again, seen_again) = self.beside_others(&mut session, trial).await?;
        match (verdict, again) {
            (Verdict::Fail(Finding { cause, .. }), Verdict::Pass | Verdict::Inconclusive(_)) => {
                drop(session);
                let mut more = self.twice_more(trial).await.into_iter().flatten();
                let failed = more.find(|(verdict, _)| matches!(verdict, Verdict::Fail(_)));
                let cause = Box::new(cause);
                let doubt = || Verdict::Inconclusive(Doubt::SecondHand { cause, used_by });
                let (verdict, seen) = failed.unwrap_or_else(|| (doubt(), seen));
                Ok((verdict, seen, None))
            }
            (_, Verdict::Pass) => Ok((Verdict::Pass, seen_again, Some(session))),
            (_, again) => Ok((again, seen_again, None)),
        }
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
    fn leave_to_others(
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
    fn is_for_one(self) -> bool {
        self.subject.profile.promises.serves == Some(Serves::OneConnection)
    }

    /// Puts the polite client before and after a scenario, and a bystander beside it, where there can be one.
    pub(super) fn trial(self, script: &Scenario, polite: bool) -> Trial {
        let mut trial = trial(script, self.subject, polite && !self.is_for_one());
        trial.reading_is_use = self.check.is_some_and(|check| check.policy.reading_is_use);
        trial
    }

    /// Performs a trial on a server of its own, and judges it.
    pub(super) async fn on_fresh_server(
        self,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        let mut session = self.start().await?;
        self.beside_others(&mut session, trial).await
    }

    /// The same with no other trial of the run beside it.
    async fn alone_on_fresh_server(self, trial: &Trial) -> Result<(Verdict, Transcript), Error> {
        let mut session = self.start().await?;
        let alone = self.settings.exclusive.alone();
        self.turn.hold_alone(self.turn.in_line(alone).await);
        let performed = self.performed(&mut session, trial).await;
        self.turn.end_trial();
        performed
    }

    /// Judges what was seen of a trial, and saves all of it where that is wanted.
    pub(super) fn judged(self, trial: &Trial, seen: &Transcript) -> Result<Verdict, Error> {
        let verdict = judge(trial, seen);
        self.hear(recommendations(trial, seen));
        if let Some(folder) = &self.settings.transcripts {
            saved::save(folder, self.purpose, trial, seen, &verdict)?;
        }
        Ok(verdict)
    }

    /// Performs scenarios one after the other; a server is used again as long as it is undisturbed.
    pub(super) async fn try_all(
        self,
        scenarios: &[Scenario],
        options: TrialOptions,
    ) -> Result<Attempt, Error> {
        self.try_on(None, scenarios.iter().enumerate(), options)
            .await
    }

    /// The same with those that come, each with its number, beginning with a server that runs already.
    pub(super) async fn try_on(
        self,
        mut session: Option<Session<'a>>,
        scenarios: impl Iterator<Item = (usize, &Scenario)>,
        options: TrialOptions,
    ) -> Result<Attempt, Error> {
        let (mut unsure, mut doubt, mut last) = (Vec::new(), None, None);
        let (mut skipped, mut passed) = (None, false);
        let request = dialogue::request(&self.subject.profile).unwrap_or_default();
        let mut coverage = Coverage::of(&request);
        let mut chosen: Option<(&Scenario, Doubt)> = None;
        for (n, scenario) in scenarios {
            let used = match session.take() {
                Some(session) => session,
                None => self.server_for(scenario, options).await?,
            };
            let mut trial = self.trial(scenario, options.polite);
            trial.is_undisturbed = !options.polite || scenario.is_polite();
            let (verdict, seen, used) = self.decided_by(used, &trial).await?;
            let verdict = self.unless_helper(verdict, &mut trial, &seen).await?;
            coverage.add(&trial, &seen, &request);
            let is_undisturbed = verdict == Verdict::Pass;
            let stays = is_undisturbed && !options.fresh_server && !self.is_for_one();
            session = used.filter(|_| stays);
            let known = chosen.as_ref().filter(|(before, doubt)| {
                before.lines == scenario.lines && doubt.explains(&verdict)
            });
            let (verdict, under) = match (known, verdict) {
                (Some((_, doubt)), _) => (Verdict::Inconclusive(doubt.clone()), None),
                (None, Verdict::Fail(finding)) => {
                    self.made_sure_of(finding, &trial, &seen, options).await?
                }
                (None, verdict) => self.decided(verdict, &trial, &seen, options).await?,
            };
            self.findings.has_told(self.purpose);
            last = Some((scenario, seen));
            match verdict {
                Verdict::Pass => passed = true,
                Verdict::Skip(why) => skipped = skipped.or(Some(why)),
                Verdict::Inconclusive(why) => {
                    unsure.push(n);
                    if matches!(why, Doubt::Chosen { .. }) {
                        chosen = Some((scenario, why.clone()));
                    }
                    let is_late = matches!(why, Doubt::NotYet { .. } | Doubt::StillGrows(_));
                    doubt = doubt.or(Some(why));
                    if is_late && options.ends_when_late {
                        break;
                    }
                }
                fail @ Verdict::Fail(_) => {
                    return Ok(Attempt {
                        under,
                        failed: Some(scenario.clone()),
                        transcript: told(last),
                        coverage: coverage.if_any(),
                        ..Attempt::of(fail)
                    });
                }
            }
        }
        self.leave_to_others(session, last.as_ref(), options);
        let verdict = match (doubt, skipped) {
            (Some(why), _) => Verdict::Inconclusive(why),
            (None, why) if !passed => Verdict::Skip(why.unwrap_or(Skip::NothingToDo)),
            (None, _) => Verdict::Pass,
        };
        // Thousands of clients make hundreds of thousands of lines, and nobody reads those of what has passed.
        let is_told = self.settings.verbose || matches!(verdict, Verdict::Inconclusive(_));
        Ok(Attempt {
            transcript: told(last.filter(|_| is_told)),
            coverage: coverage.if_any(),
            unsure,
            ..Attempt::of(verdict)
        })
    }

    /// What a failure comes to: whether the server may have chosen it, and how often it fails. Where a simpler check has shown it,
    /// that is known, and the rest of what was seen is judged; the name of that check comes with it.
    async fn made_sure_of(
        self,
        mut finding: Finding,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<(Verdict, Option<&'static str>), Error> {
        let Some(shape) = self.shape(trial) else {
            return Ok((
                self.confirmed(finding, trial, seen, options, None).await?,
                None,
            ));
        };
        self.turn.make_room();
        loop {
            let key = finding.cause.key();
            let claim = self.findings.claim(&finding, &shape);
            let claimed = match self.turn.in_line(claim).await {
                Claim::Known(check) => {
                    let known = self.findings.known_to(&shape);
                    match judge(&trial.clone().knowing(known), seen) {
                        Verdict::Fail(same) if same.cause.key() == key => {
                            return Ok((Verdict::Fail(same), Some(check)));
                        }
                        Verdict::Fail(other) => {
                            finding = other;
                            continue;
                        }
                        verdict => return Ok((verdict, None)),
                    }
                }
                Claim::First(claimed) => Some(claimed),
                Claim::Alone => None,
            };
            let verdict = self
                .confirmed(finding, trial, seen, options, claimed)
                .await?;
            return Ok((verdict, None));
        }
    }

    /// Asks whether the server may have chosen what it fails by, and repeats it where it has not; of what the target's file lists
    /// once is enough.
    async fn confirmed(
        self,
        finding: Finding,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
        claimed: Option<Claimed>,
    ) -> Result<Verdict, Error> {
        let _confirmation = self.turn.spends_on(SpentOn::Confirmation);
        let verdict = self
            .asked(Verdict::Fail(finding), trial, seen, options)
            .await?;
        // What the server does on purpose it does each time.
        let is_grave = self
            .check
            .is_some_and(|check| fails_the_run(check, self, &verdict));
        let is_listed = self
            .check
            .is_some_and(|check| is_listed(check, self, &verdict));
        let Verdict::Fail(finding) = verdict else {
            return Ok(verdict);
        };
        if let Some(claimed) = claimed {
            claimed.is_known_now(&finding, is_grave);
        }
        let finding = match is_listed {
            true => Tried::once().told_with(finding),
            false => self.counted(finding, trial).await,
        };
        Ok(Verdict::Fail(finding))
    }

    /// What comes of what proved nothing, or passed: it is tried again until it does, and a failure then is made sure of.
    async fn decided(
        self,
        verdict: Verdict,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<(Verdict, Option<&'static str>), Error> {
        let (again, seen_again) = self.again(verdict, trial, seen, options.tries).await;
        let seen = seen_again.as_ref().unwrap_or(seen);
        match again {
            Verdict::Fail(finding) => self.made_sure_of(finding, trial, seen, options).await,
            other => Ok((self.asked(other, trial, seen, options).await?, None)),
        }
    }

    async fn asked(
        self,
        verdict: Verdict,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<Verdict, Error> {
        match options.ask {
            true => self.unless_chosen(verdict, trial, seen).await,
            false => Ok(verdict),
        }
    }

    /// Performs a trial on a server while others are performed on theirs, and judges it.
    pub(super) async fn beside_others(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        self.turn.come_back().await;
        let shared = self.settings.exclusive.shared();
        self.turn.hold(self.turn.in_line(shared).await);
        let performed = self.performed(session, trial).await;
        self.turn.end_trial();
        performed
    }

    /// Repeats what proved nothing, where that may pass, until it does or has been tried so often; what was seen then comes with it.
    async fn again(
        self,
        verdict: Verdict,
        trial: &Trial,
        seen: &Transcript,
        tries: usize,
    ) -> (Verdict, Option<Transcript>) {
        match verdict {
            Verdict::Inconclusive(doubt) if doubt.may_pass(seen) => {
                self.until_decided(doubt, trial, tries).await
            }
            decided => (decided, None),
        }
    }

    async fn until_decided(
        self,
        mut doubt: Doubt,
        trial: &Trial,
        tries: usize,
    ) -> (Verdict, Option<Transcript>) {
        let _again = self.turn.spends_on(SpentOn::Again);
        for _ in 1..tries {
            match self.alone_on_fresh_server(trial).await {
                Ok((Verdict::Inconclusive(again), _)) => doubt = again,
                Ok((decided, seen)) => return (decided, Some(seen)),
                Err(_) => break,
            }
        }
        (Verdict::Inconclusive(doubt), None)
    }

    /// Whether several servers can run at a time: on the plain host two with the same fixed port would meet.
    pub(super) fn may_have_servers(self) -> bool {
        self.subject.own_namespace || self.target.takes_any_place()
    }

    /// How often it fails, of two times more. What was seen is in the report, however often it is seen again, and also where that
    /// cannot be tried.
    async fn counted(self, finding: Finding, trial: &Trial) -> Finding {
        let trial = trial.clone().again();
        let again = tokio::select! {
            biased;
            again = self.twice_more(&trial) => Some(again),
            _ = self.findings.until_over() => None,
        };
        let mut tried = Tried::once();
        for again in again.into_iter().flatten() {
            match again {
                Ok((again, _)) => tried.count(&again),
                Err(error) => tried.refused = Some(error.chain()),
            }
        }
        tried.told_with(finding)
    }

    /// The verdicts of two trials more, on two servers at once where there is room for them.
    pub(super) async fn twice_more(
        self,
        trial: &Trial,
    ) -> [Result<(Verdict, Transcript), Error>; 2] {
        let needed = descriptors::needed(std::slice::from_ref(trial.scenario()));
        let may_have_others = self.may_have_servers() && self.turn.may_have_others();
        let room = descriptors::take_at_once(needed).filter(|_| may_have_others);
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

/// How often a trial failed, of how many that came to a conclusion.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) failed: usize,
    concluded: usize,
    /// Why the server could not be started once more, where it could not.
    refused: Option<String>,
}

impl Tried {
    /// It has failed, and was not tried again.
    pub(super) fn once() -> Self {
        let mut tried = Self::default();
        tried.count_failure();
        tried
    }

    fn count_failure(&mut self) {
        self.failed += 1;
        self.concluded += 1;
    }

    /// Counts a try, where it came to a conclusion.
    pub(super) fn count(&mut self, again: &Verdict) {
        match again {
            Verdict::Fail(_) => self.count_failure(),
            Verdict::Pass => self.concluded += 1,
            Verdict::Inconclusive(_) | Verdict::Skip(_) => {}
        }
    }

    /// Says it in the evidence.
    pub(super) fn told_with(self, mut finding: Finding) -> Finding {
        let how_often = Evidence::FailedOf {
            failed: self.failed,
            tries: self.concluded,
            refused: self.refused,
        };
        finding.evidence.insert(0, how_often);
        finding
    }
}

/// Puts the polite client before and after a scenario, and a bystander beside it.
fn trial(script: &Scenario, subject: &Subject, polite: bool) -> Trial {
    let mut trial = Trial::alone(script.clone()).of(&subject.profile);
    let polite = polite && !trial.waives(Invariant::Served);
    let stands_by = polite
        && subject.bystander
        && !script.ends_server()
        && (subject.may_be_limited || !script.limits_files())
        && !trial.waives(Invariant::Bystanders)
        && !trial.waives(Invariant::Alive);
    let client = ClientSteps::of(0);
    if polite {
        let around = one("polite", client.clone().polite(subject));
        trial = trial
            .with(Phase::Before, around.clone())
            .with(Phase::After, around);
        for (phase, work) in work_beside(script, subject) {
            trial = trial.with(phase, work);
        }
    }
    if stands_by {
        let connects = client.clone().open(subject).request_and_reply(subject);
        let again = client.request_and_reply(subject);
        trial = trial
            .with(Phase::BystanderConnects, one("bystanding", connects))
            .with(Phase::BystanderAgain, one("bystanding", again));
    }
    trial
}

/// How many polite clients let a collector come by, where it has not yet.
const IN_NUMBER: u32 = 128;

/// What polite clients do, as many at once as the scenario has and then in number, to tell what is used again and what is
/// collected late from what is lost.
fn work_beside(script: &Scenario, subject: &Subject) -> Vec<(Phase, Scenario)> {
    let most = script.clients.iter().map(|group| group.members).max();
    let crowd = match subject.profile.serves_concurrently() {
        true => subject.at_once(most.unwrap_or(1)),
        false => 1,
    };
    let polite = ClientSteps::of(0).polite(subject).lines();
    let of = |members, lines| scenario("polite clients", &[("polite", members)], vec![lines]);
    let members = crowd.min(IN_NUMBER);
    let in_number = of(members, vec![repeat(IN_NUMBER / members, polite.clone())]);
    let at_once = (crowd > 1).then(|| (Phase::Crowd, of(crowd, polite)));
    let work = at_once.into_iter();
    work.chain([(Phase::Pressure, in_number)]).collect()
}

/// What a client does who is alone.
fn one(name: &str, steps: ClientSteps) -> Scenario {
    scenario(
        format!("a {name} client"),
        &[(name, 1)],
        vec![steps.lines()],
    )
}

/// The events of a scenario that was performed.
fn told(last: Option<(&Scenario, Transcript)>) -> Vec<EventLine> {
    last.map_or_else(Vec::new, |(scenario, seen)| seen.lines(scenario))
}
