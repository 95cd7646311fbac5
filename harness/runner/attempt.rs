//! Trials on a server: who stands beside whom, when a server is used again, and what is repeated.

use super::saved;
use super::settings::Settings;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{Doubt, Evidence, Finding, Skip, Verdict, judge, next};
use crate::launch::Target;
use crate::launch::lab::Lab;
use crate::model::dialogue::{self, ClientSteps, repeat, scenario};
use crate::model::error::Error;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::profile::Serves;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::trial::Trial;
use crate::session::{Session, Turn};
use crate::transcript::event::{EventLine, Transcript};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often something that failed, or that proved nothing, is tried on servers of its own.
pub(super) const TRIES: usize = 3;

/// For how long a failure is repeated: how often it fails is worth less than the other checks.
const REPEATED_WITHIN: Duration = Duration::from_secs(20);

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
    turn: &'a Turn,
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
    pub(super) fn new(
        target: &'a Target,
        subject: &'a Subject,
        settings: &'a Settings,
        turn: &'a Turn,
    ) -> Self {
        Self {
            target,
            subject,
            settings,
            turn,
            purpose: "probe",
        }
    }

    /// The same for a check, a case or an observation.
    pub(super) fn of(self, purpose: &'a str) -> Self {
        Self { purpose, ..self }
    }

    /// Starts a server in a lab of its own.
    pub(super) async fn start(self) -> Result<Session<'a>, Error> {
        self.turn.come_back().await;
        let lab = Arc::new(Lab::open(self.settings.isolation)?);
        Session::start(self.target, lab, self.turn.clone()).await
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
        self.turn.hold(self.settings.exclusive.alone().await);
        let performed = self.performed(&mut session, trial).await;
        self.turn.end_trial();
        Ok(performed?.0)
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
        let (mut skipped, mut passed) = (None, false);
        let request = dialogue::request(&self.subject.profile).unwrap_or_default();
        let mut coverage = Coverage::of(&request);
        let mut chosen: Option<(&Scenario, Doubt)> = None;
        for (n, scenario) in scenarios.iter().enumerate() {
            let mut used = match session.take() {
                Some(session) => session,
                None => self.start().await?,
            };
            let mut trial = self.trial(scenario, options.polite);
            trial.is_undisturbed = !options.polite || scenario.is_polite();
            let (verdict, seen) = self.beside_others(&mut used, &trial).await?;
            let verdict = self.unless_helper(verdict, &mut trial, &seen).await?;
            coverage.add(&trial, &seen, &request);
            let is_undisturbed = verdict == Verdict::Pass;
            let stays = is_undisturbed && !options.fresh_server && !self.is_for_one();
            session = stays.then_some(used);
            let failed = matches!(verdict, Verdict::Fail(_));
            let ask = async |verdict| match options.ask {
                true => self.unless_chosen(verdict, &trial, &seen).await,
                false => Ok(verdict),
            };
            let known = chosen.as_ref().filter(|(before, doubt)| {
                before.lines == scenario.lines && doubt.explains(&verdict)
            });
            let verdict = match known {
                Some((_, doubt)) => Verdict::Inconclusive(doubt.clone()),
                None => ask(verdict).await?,
            };
            let verdict = match verdict {
                // What the server does on purpose it does each time.
                chosen @ Verdict::Inconclusive(_) if failed => chosen,
                verdict if failed => self.again(verdict, &trial, options.tries).await,
                verdict => ask(self.again(verdict, &trial, options.tries).await).await?,
            };
            last = Some((scenario, seen));
            match verdict {
                Verdict::Pass => passed = true,
                Verdict::Skip(why) => skipped = skipped.or(Some(why)),
                Verdict::Inconclusive(why) => {
                    unsure.push(n);
                    if matches!(why, Doubt::Chosen { .. }) {
                        chosen = Some((scenario, why.clone()));
                    }
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
        let verdict = match (doubt, skipped) {
            (Some(why), _) => Verdict::Inconclusive(why),
            (None, Some(why)) if !passed => Verdict::Skip(why),
            (None, _) => Verdict::Pass,
        };
        Ok(Attempt {
            transcript: told(last),
            coverage: coverage.if_any(),
            unsure,
            ..Attempt::of(verdict)
        })
    }

    /// Performs a trial on a server while others are performed on theirs, and judges it.
    pub(super) async fn beside_others(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        self.turn.come_back().await;
        self.turn.hold(self.settings.exclusive.shared().await);
        let performed = self.performed(session, trial).await;
        self.turn.end_trial();
        performed
    }

    /// Repeats what failed on fresh servers, to say how often it fails; repeats what proved nothing, until it does or
    /// has been tried so often.
    async fn again(self, verdict: Verdict, trial: &Trial, tries: usize) -> Verdict {
        let decided = match verdict {
            // What it needs is time, which another try would take once more, or a word in the profile.
            late @ Verdict::Inconclusive(Doubt::NotYet { .. } | Doubt::Chosen { .. }) => late,
            Verdict::Inconclusive(doubt) => self.until_decided(doubt, trial, tries).await,
            decided => decided,
        };
        match decided {
            Verdict::Fail(finding) => Verdict::Fail(self.counted(finding, trial).await),
            decided => decided,
        }
    }

    async fn until_decided(self, mut doubt: Doubt, trial: &Trial, tries: usize) -> Verdict {
        for _ in 1..tries {
            match self.alone_on_fresh_server(trial).await {
                Ok(Verdict::Inconclusive(again)) => doubt = again,
                Ok(decided) => return decided,
                Err(_) => break,
            }
        }
        Verdict::Inconclusive(doubt)
    }

    /// What was seen is in the report, however often it is seen again, and also where that cannot be tried.
    async fn counted(self, finding: Finding, trial: &Trial) -> Finding {
        let trial = trial.clone().again();
        let mut tried = Tried::default();
        tried.count_failure();
        let begun = Instant::now();
        for _ in 1..TRIES {
            if begun.elapsed() > REPEATED_WITHIN {
                break;
            }
            match self.on_fresh_server(&trial).await {
                Ok((again, _)) => tried.count(&again),
                Err(error) => {
                    tried.refused = Some(error.chain());
                    break;
                }
            }
        }
        tried.told_with(finding)
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
