//! Before a server is blamed for what it may have chosen, and its profile does not say, it is tried.

use super::job::Job;
use super::penalties::Penalty;
use super::probe::only_served;
use crate::checks::choices::{Found, QUESTIONS, Question};
use crate::checks::observations::Sighting;
use crate::judge::{Cause, Choice, Doubt, Evidence, Finding, Skip, Verdict};
use crate::model::dialogue::{ClientSteps, pause, scenario};
use crate::model::error::Error;
use crate::model::limits::WORTH_A_PLACE;
use crate::model::phase::Phase;
use crate::model::scenario::{Line, Scenario};
use crate::model::trial::Trial;
use crate::session::Session;
use crate::transcript::event::{Exit, ServerEvent, Transcript};
use std::time::Duration;

/// For how long a server is watched at least to which nobody comes.
const WATCHED_FOR: Duration = Duration::from_secs(1);

/// The status that a worker is said to have ended with.
fn status_of_a_worker(verdict: &Verdict) -> Option<i32> {
    match verdict {
        Verdict::Fail(Finding {
            cause:
                Cause::ProcessDied {
                    exit: Exit::Status(status),
                    ..
                },
            ..
        }) => Some(*status),
        _ => None,
    }
}

impl<'a> Job<'a> {
    /// Performs a trial on a server and judges it. Where its first client was answered in other words, the verdict is the
    /// doubt whether the server was about to start, if the same server serves one that comes later.
    pub(super) async fn performed(
        self,
        session: &mut Session<'_>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript), Error> {
        // Questions to a server are scenarios too.
        if let Some(skip) = Skip::out_of_reach(self.subject, trial.scenario()) {
            return Ok((Verdict::Skip(skip), Transcript::default()));
        }
        let (trial, seen) = self.perform(session, trial).await?;
        let verdict = self.judged(&trial, &seen);
        let verdict = self.unless_starting(verdict, session, &trial, &seen).await;
        Ok((verdict, seen))
    }

    async fn unless_starting(
        self,
        verdict: Verdict,
        session: &Session<'_>,
        trial: &Trial,
        seen: &Transcript,
    ) -> Verdict {
        // Who has been waited for in vain once does not come to serve another time.
        let is_open =
            self.subject.profile.promises.starting.is_none() && !self.subject.answers_otherwise;
        let has_started = seen.is_restarted() || session.is_its_first_transcript();
        let first = seen.first_answered();
        let first = first.filter(|first| first.after < self.target.ready_within);
        let step = answered_otherwise(&verdict).filter(|_| is_open && has_started);
        let step = step.filter(|step| self.is_of_a_polite_client(step, trial, seen));
        let Some((step, first)) = step.zip(first) else {
            return verdict;
        };
        match session.comes_to_serve().await {
            Some(later) => Verdict::Inconclusive(Doubt::Chosen {
                step: Box::new(step.clone()),
                choice: Choice::TurnsAway(later.saturating_sub(first.came)),
            }),
            None => verdict,
        }
    }

    /// Whether the client of a step says nothing but what a polite one says: what another is answered is no matter of starting.
    fn is_of_a_polite_client(self, step: &Cause, trial: &Trial, seen: &Transcript) -> bool {
        let Cause::StepFailed { client, .. } = step else {
            return false;
        };
        match seen.last_phase() {
            Some(Phase::Before | Phase::After) => true,
            Some(Phase::Scenario) => {
                let said = trial.scenario().actions_of(client);
                let polite = ClientSteps::of(0).polite(self.subject).lines();
                let polite: Vec<_> = polite.iter().filter_map(Line::action).collect();
                !said.is_empty() && said.chunks(polite.len()).all(|chunk| chunk == polite)
            }
            _ => false,
        }
    }

    /// The verdict on a scenario, or the doubt whether the server has chosen what it was seen to do.
    pub(super) async fn unless_chosen(
        self,
        verdict: Verdict,
        trial: &Trial,
        transcript: &Transcript,
    ) -> Result<Verdict, Error> {
        let (cause, asks) = match &verdict {
            Verdict::Fail(finding) => (&finding.cause, true),
            // It may be more than that.
            Verdict::Inconclusive(Doubt::SilentByUs {
                step,
                timeout: None,
                ..
            }) => (&**step, true),
            Verdict::Inconclusive(Doubt::NotYet { step, .. } | Doubt::Unseen { step, .. }) => {
                (&**step, false)
            }
            _ => return Ok(verdict),
        };
        let seen = Sighting {
            subject: self.subject,
            scenario: trial.scenario(),
            transcript,
        };
        let chosen = match self.choice_seen_before(cause, &seen).await? {
            None if asks => self.choice_or_penalty(cause, trial, &seen).await?,
            seen_before => seen_before,
        };
        Ok(match chosen {
            Some(choice) => Verdict::Inconclusive(Doubt::Chosen {
                step: Box::new(cause.clone()),
                choice,
            }),
            None => verdict,
        })
    }

    async fn choice_or_penalty(
        self,
        cause: &Cause,
        trial: &Trial,
        seen: &Sighting<'_>,
    ) -> Result<Option<Choice>, Error> {
        match self.penalty(cause, trial, seen).await? {
            Penalty::ForAWhile(penalty) => Ok(Some(penalty)),
            Penalty::ForGood => Ok(None),
            Penalty::None => self.choice(cause, seen).await,
        }
    }

    /// What another check has found the server to have chosen, where that is seen once more after this failure, and explains it.
    async fn choice_seen_before(
        self,
        cause: &Cause,
        seen: &Sighting<'_>,
    ) -> Result<Option<Choice>, Error> {
        for (question, choice) in self.findings.choices() {
            let question = &QUESTIONS[question];
            let may_explain = (question.is_open)(self.subject) && (question.fits)(cause);
            let Some(scenario) = (question.tries)(seen).filter(|_| may_explain) else {
                continue;
            };
            let found = self.found(question, scenario).await?;
            let is_like = found.is_some_and(|(found, _)| found.choice.is_like(&choice));
            if is_like && choice.explains(cause) && self.gives_back(&choice, seen.scenario).await? {
                return Ok(Some(choice));
            }
        }
        Ok(None)
    }

    /// The verdict on a trial, or what is to be said of it where a process ended as some of the server do with no client there:
    /// a helper that is asked for a moment, and says no, is no worker.
    pub(super) async fn unless_helper(
        self,
        verdict: Verdict,
        trial: &mut Trial,
        transcript: &Transcript,
    ) -> Result<Verdict, Error> {
        let Some(status) = status_of_a_worker(&verdict) else {
            return Ok(verdict);
        };
        let watched = (transcript.lasted() * 2).max(WATCHED_FOR);
        let nobody = scenario("nobody comes", &[], vec![vec![pause(watched)]]);
        let (_, alone) = self.tried(&nobody).await?;
        let mut ends = alone.server_events();
        let is_helper = |event: &ServerEvent| matches!(event, ServerEvent::ProcessEnded { exit: Exit::Status(ended), .. } if *ended == status);
        if !ends.any(is_helper) {
            return Ok(verdict);
        }
        trial.helpers_end_with.push(status);
        Ok(self.judged(trial, transcript))
    }

    /// What the server has chosen, where that explains a failure.
    async fn choice(self, cause: &Cause, seen: &Sighting<'_>) -> Result<Option<Choice>, Error> {
        for (n, question) in QUESTIONS.iter().enumerate() {
            if (question.is_open)(self.subject) && (question.fits)(cause) {
                let chosen = self.answer(question, seen).await?;
                if let Some(choice) = chosen.filter(|choice| choice.explains(cause)) {
                    let explains = self.gives_back(&choice, seen.scenario).await?;
                    let choice = Some(choice).filter(|_| explains);
                    self.findings.add_choice(n, choice.as_ref());
                    return Ok(choice);
                }
            }
        }
        Ok(None)
    }

    /// Whether the places of clients that have left are there for others, where a limit of them is to explain a failure. Who leaves
    /// without a word has its place yet.
    async fn gives_back(self, choice: &Choice, scenario: &Scenario) -> Result<bool, Error> {
        let is_of_places = matches!(choice, Choice::Limit { .. } | Choice::GivesPlacesAway(_));
        if !is_of_places || scenario.vanishes() {
            return Ok(true);
        }
        Ok(self.left_by(scenario).await?.comes_to_serve_again().await)
    }

    async fn answer(
        self,
        question: &Question,
        seen: &Sighting<'_>,
    ) -> Result<Option<Choice>, Error> {
        let Some(scenario) = (question.tries)(seen) else {
            return Ok(None);
        };
        let Some((found, again)) = self.found_twice(question, scenario).await? else {
            return Ok(None);
        };
        // What differs from one time to the next is an accident.
        let is_same =
            |again: &Found| again.choice.is_like(&found.choice) && again.manner == found.manner;
        let Some(again) = again.filter(is_same) else {
            return Ok(None);
        };
        if let Some(confirm) = &found.confirm
            && self.tried(confirm).await?.0 != Verdict::Pass
        {
            return Ok(None);
        }
        if let Some((scenario, closer)) = found.closer
            && self.tried(&scenario).await?.0 == Verdict::Pass
        {
            return Ok(Some(closer));
        }
        let choice = found.choice.seen_again(&again.choice);
        let sharper = match found.sharper {
            Some(scenario) => self.found(question, scenario).await?,
            None => None,
        };
        Ok(Some(match sharper {
            Some((sharper, _)) => choice.seen_again(&sharper.choice),
            None => choice,
        }))
    }

    /// What an undisturbed server seems to have chosen, and what it seems to another time, which is the same where it waits.
    async fn found_twice(
        self,
        question: &Question,
        mut scenario: Scenario,
    ) -> Result<Option<(Found, Option<Found>)>, Error> {
        while scenario.pauses() >= WORTH_A_PLACE && self.may_have_others_beside() {
            let [first, second] = self.twice_more(&self.alone(&scenario)).await;
            let Some(mut found) = self.read(question, &scenario, &first?.1) else {
                return Ok(None);
            };
            if let Some(further) = found.further.take() {
                scenario = further;
                continue;
            }
            let mut again = self.read(question, &scenario, &second?.1);
            if let Some(further) = again.as_mut().and_then(|again| again.further.take()) {
                again = self.found(question, further).await?.map(|(again, _)| again);
            }
            return Ok(Some((found, again)));
        }
        let Some((found, told)) = self.found(question, scenario).await? else {
            return Ok(None);
        };
        let again = self.found(question, told).await?;
        Ok(Some((found, again.map(|(again, _)| again))))
    }

    /// What an undisturbed server seems to have chosen, with the scenario that told it at last.
    async fn found(
        self,
        question: &Question,
        mut scenario: Scenario,
    ) -> Result<Option<(Found, Scenario)>, Error> {
        loop {
            let (_, transcript) = self.tried(&scenario).await?;
            let mut found = self.read(question, &scenario, &transcript);
            match found.as_mut().and_then(|found| found.further.take()) {
                Some(further) => scenario = further,
                None => return Ok(found.map(|found| (found, scenario))),
            }
        }
    }

    /// What a question makes of what was seen of a scenario.
    fn read(self, question: &Question, scenario: &Scenario, seen: &Transcript) -> Option<Found> {
        let found = (question.read)(&Sighting {
            subject: self.subject,
            scenario,
            transcript: seen,
        });
        let promises = &self.subject.profile.promises;
        found.filter(|found| !found.choice.contradicts(promises))
    }

    /// A server of its own as a scenario alone has left it.
    pub(super) async fn left_by(self, scenario: &Scenario) -> Result<Session<'a>, Error> {
        let mut session = self.start().await?;
        self.beside_others(&mut session, &self.alone(scenario))
            .await?;
        Ok(session)
    }

    /// A scenario with nobody beside it, whatever it leaves behind.
    fn alone(self, scenario: &Scenario) -> Trial {
        Trial::alone(only_served(scenario.clone())).of(&self.subject.profile)
    }

    /// What comes of a scenario alone, on a server of its own, whatever it leaves behind.
    async fn tried(self, scenario: &Scenario) -> Result<(Verdict, Transcript), Error> {
        self.on_fresh_server(&self.alone(scenario)).await
    }
}

/// The step of a client that was answered in other words than it was owed, where a verdict rests on that alone.
pub(super) fn answered_otherwise(verdict: &Verdict) -> Option<&Cause> {
    let cause = match verdict {
        Verdict::Fail(finding) => {
            let mut evidence = finding.evidence.iter();
            let is_all = !evidence.any(|evidence| matches!(evidence, Evidence::Also(_)));
            is_all.then_some(&finding.cause)?
        }
        Verdict::Inconclusive(Doubt::NotServedBefore { step, exit: None })
        | Verdict::Inconclusive(
            Doubt::SilentByUs { step, .. }
            | Doubt::NotYet { step, .. }
            | Doubt::Unseen { step, .. },
        ) => step,
        Verdict::Inconclusive(_) | Verdict::Pass | Verdict::Skip(_) => return None,
    };
    let step = match cause {
        Cause::NotServed { step } => step,
        other => other,
    };
    match step {
        Cause::StepFailed {
            expected, instead, ..
        } if instead.is_another_answer(expected) => Some(step),
        _ => None,
    }
}
