//! Trials on a server: who stands beside whom, when a server is used again, and what is repeated.

use super::saved;
use super::settings::Settings;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{Evidence, Finding, Skip, Verdict, judge, next};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::dialogue::{self, ClientSteps, scenario};
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::profile::Serves;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::trial::Trial;
use crate::session::Session;
use crate::transcript::event::{EventLine, Transcript};
use std::sync::Arc;

/// How often something that failed, or that proved nothing, is tried on servers of its own.
pub(super) const TRIES: usize = 3;

/// What came of trying a check's scenarios.
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    pub(super) failed: Option<Scenario>,
    /// The events of the last scenario.
    pub(super) transcript: Vec<EventLine>,
    /// Where the profile's request was cut.
    pub(super) coverage: Option<Coverage>,
    /// Which of the scenarios proved nothing.
    #[cfg_attr(
        not(feature = "property"),
        expect(dead_code, reason = "only drawn ones are looked at again")
    )]
    pub(super) unsure: Vec<usize>,
    /// How many cases of them proved nothing alone either, where they have several.
    pub(super) unproven: usize,
}

impl Attempt {
    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
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
    /// The check, the case or the observation that trials are made for.
    purpose: &'a str,
}

/// How each of the scenarios is tried.
#[derive(Clone, Copy)]
pub(super) struct TrialOptions {
    /// Each has a server of its own.
    pub(super) fresh_server: bool,
    /// A polite client comes before and after, and a bystander stands beside.
    pub(super) polite: bool,
    /// How often one that proves nothing is tried.
    pub(super) tries: usize,
    /// What fails is held against the server only where it is nothing that the server may have chosen.
    pub(super) ask: bool,
}

impl<'a> Job<'a> {
    pub(super) fn new(target: &'a Target, subject: &'a Subject, settings: &'a Settings) -> Self {
        Self {
            target,
            subject,
            settings,
            purpose: "probe",
        }
    }

    /// The same for a check, a case or an observation.
    pub(super) fn of(self, purpose: &'a str) -> Self {
        Self { purpose, ..self }
    }

    /// Starts a server in a lab of its own.
    async fn start(self) -> Result<Session<'a>, Error> {
        let lab = Arc::new(Lab::open(self.settings.isolation)?);
        Session::start(self.target, lab).await
    }

    /// Whether the server is for one connection, and ends with it.
    fn is_for_one(self) -> bool {
        self.subject.profile.promises.serves == Some(Serves::OneConnection)
    }

    /// Puts the polite client before and after a scenario, and a bystander beside it, where there can be one.
    pub(super) fn trial(self, script: &Scenario, polite: bool) -> Trial {
        trial(script, self.subject, polite && !self.is_for_one())
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
    async fn alone_on_fresh_server(self, trial: &Trial) -> Result<Verdict, Error> {
        let mut session = self.start().await?;
        let _alone = self.settings.exclusive.alone().await;
        let seen = perform(&mut session, trial).await?;
        self.judged(trial, &seen)
    }

    /// Judges what was seen of a trial, and saves all of it where that is wanted.
    pub(super) fn judged(self, trial: &Trial, seen: &Transcript) -> Result<Verdict, Error> {
        let verdict = judge(trial, seen);
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
        self.try_on(None, scenarios, options).await
    }

    /// The same, beginning with a server that runs already.
    pub(super) async fn try_on(
        self,
        mut session: Option<Session<'a>>,
        scenarios: &[Scenario],
        options: TrialOptions,
    ) -> Result<Attempt, Error> {
        if scenarios.is_empty() {
            return Ok(Attempt::of(Verdict::Skip(Skip::NothingToDo)));
        }
        let (mut unsure, mut doubt, mut last) = (Vec::new(), None, None);
        let request = dialogue::request(&self.subject.profile).unwrap_or_default();
        let mut coverage = Coverage::of(&request);
        for (n, scenario) in scenarios.iter().enumerate() {
            let mut used = match session.take() {
                Some(session) => session,
                None => self.start().await?,
            };
            let trial = self.trial(scenario, options.polite);
            let (verdict, seen) = self.beside_others(&mut used, &trial).await?;
            coverage.add(&trial, &seen, &request);
            let is_undisturbed = verdict == Verdict::Pass;
            let stays = is_undisturbed && !options.fresh_server && !self.is_for_one();
            session = stays.then_some(used);
            let verdict = self.again(verdict, &trial, options.tries).await?;
            let verdict = match options.ask {
                true => self.unless_chosen(verdict, scenario, &seen).await?,
                false => verdict,
            };
            last = Some((scenario, seen));
            match verdict {
                Verdict::Pass | Verdict::Skip(_) => {}
                Verdict::Inconclusive(why) => {
                    unsure.push(n);
                    doubt = doubt.or(Some(why));
                }
                fail @ Verdict::Fail(_) => {
                    return Ok(Attempt {
                        failed: Some(scenario.clone()),
                        transcript: told(last),
                        coverage: coverage.if_any(),
                        ..Attempt::of(fail)
                    });
                }
            }
        }
        let verdict = doubt.map_or(Verdict::Pass, Verdict::Inconclusive);
        Ok(Attempt {
            transcript: told(last),
            coverage: coverage.if_any(),
            unsure,
            ..Attempt::of(verdict)
        })
    }

    async fn beside_others(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        let _shared = self.settings.exclusive.shared().await;
        let seen = perform(session, trial).await?;
        Ok((self.judged(trial, &seen)?, seen))
    }

    /// Repeats what failed on fresh servers, to say how often it fails; repeats what proved nothing, until it does or
    /// has been tried so often.
    async fn again(self, verdict: Verdict, trial: &Trial, tries: usize) -> Result<Verdict, Error> {
        match verdict {
            Verdict::Fail(finding) => {
                let mut failed = 1;
                for _ in 1..TRIES {
                    let (again, _) = self.on_fresh_server(trial).await?;
                    failed += usize::from(matches!(again, Verdict::Fail(_)));
                }
                Ok(Verdict::Fail(counted(finding, failed)))
            }
            Verdict::Inconclusive(mut doubt) => {
                for _ in 1..tries {
                    match self.alone_on_fresh_server(trial).await? {
                        Verdict::Inconclusive(again) => doubt = again,
                        Verdict::Fail(finding) => return Ok(Verdict::Fail(counted(finding, 1))),
                        decided => return Ok(decided),
                    }
                }
                Ok(Verdict::Inconclusive(doubt))
            }
            decided => Ok(decided),
        }
    }
}

/// Performs one phase after the other, as the judge asks for them.
pub(super) async fn perform(session: &mut Session<'_>, trial: &Trial) -> Result<Transcript, Error> {
    session.begin();
    while let Some(next) = session.seen(|transcript| next(trial, transcript)) {
        session.perform(next, trial).await?;
    }
    Ok(session.finish().await)
}

/// Puts the polite client before and after a scenario, and a bystander beside it.
fn trial(script: &Scenario, subject: &Subject, polite: bool) -> Trial {
    let mut trial = Trial::alone(script.clone()).of(&subject.profile);
    let polite = polite && !trial.waives(Invariant::Served);
    let stands_by = polite
        && subject.bystander
        && !script.ends_server()
        && !trial.waives(Invariant::Bystanders)
        && !trial.waives(Invariant::Alive);
    let client = ClientSteps::of(0);
    if polite {
        let around = one("polite", client.clone().polite(subject));
        trial = trial
            .with(Phase::Before, around.clone())
            .with(Phase::After, around);
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

/// Says in the evidence how many of the tries failed.
pub(super) fn counted(mut finding: Finding, failed: usize) -> Finding {
    let tries = TRIES;
    let how_often = Evidence::FailedOf { failed, tries };
    finding.evidence.insert(0, how_often);
    finding
}
