//! Before a server is blamed for what it may have chosen, and its profile does not say, it is tried.

use super::attempt::Job;
use super::probe::only_served;
use crate::checks::choices::{Found, QUESTIONS, Question};
use crate::checks::observations::Sighting;
use crate::judge::{Cause, Choice, Doubt, Verdict};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::transcript::event::Transcript;

impl Job<'_> {
    /// The verdict on a scenario, or the doubt whether the server has chosen what it was seen to do.
    pub(super) async fn unless_chosen(
        self,
        verdict: Verdict,
        scenario: &Scenario,
        transcript: &Transcript,
    ) -> Result<Verdict, Error> {
        let Verdict::Fail(finding) = &verdict else {
            return Ok(verdict);
        };
        let seen = Sighting {
            subject: self.subject,
            scenario,
            transcript,
        };
        Ok(match self.choice(&finding.cause, &seen).await? {
            Some(choice) => Verdict::Inconclusive(Doubt::Chosen {
                step: Box::new(finding.cause.clone()),
                choice,
            }),
            None => verdict,
        })
    }

    /// What the server has chosen, where that explains a failure.
    async fn choice(self, cause: &Cause, seen: &Sighting<'_>) -> Result<Option<Choice>, Error> {
        for question in QUESTIONS {
            if (question.is_open)(self.subject) && (question.fits)(cause) {
                let chosen = self.answer(question, seen).await?;
                if chosen.is_some() {
                    return Ok(chosen);
                }
            }
        }
        Ok(None)
    }

    async fn answer(
        self,
        question: &Question,
        seen: &Sighting<'_>,
    ) -> Result<Option<Choice>, Error> {
        let Some(scenario) = (question.tries)(seen) else {
            return Ok(None);
        };
        let Some(found) = self.found(question, &scenario).await? else {
            return Ok(None);
        };
        // What differs from one time to the next is an accident.
        let again = self.found(question, &scenario).await?;
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
        let sharper = match &found.sharper {
            Some(scenario) => self.found(question, scenario).await?,
            None => None,
        };
        Ok(Some(match sharper {
            Some(sharper) => choice.seen_again(&sharper.choice),
            None => choice,
        }))
    }

    /// What an undisturbed server seems to have chosen.
    async fn found(self, question: &Question, scenario: &Scenario) -> Result<Option<Found>, Error> {
        let (_, transcript) = self.tried(scenario).await?;
        Ok((question.read)(&Sighting {
            subject: self.subject,
            scenario,
            transcript: &transcript,
        }))
    }

    /// What comes of a scenario alone, on a server of its own, whatever it leaves behind.
    async fn tried(self, scenario: &Scenario) -> Result<(Verdict, Transcript), Error> {
        let trial = Trial::alone(only_served(scenario.clone())).of(&self.subject.profile);
        self.on_fresh_server(&trial).await
    }
}
