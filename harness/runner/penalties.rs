//! Before a server is blamed that may turn an address away for what has come from it, it is tried from several.

use super::attempt::Job;
use super::probe::only_served;
use crate::checks::observations::Sighting;
use crate::checks::penalties::{fits, is_open, provocations};
use crate::judge::{Cause, Choice, Verdict};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::session::Session;

impl<'a> Job<'a> {
    /// The penalty that explains a failure: where each connection comes from an address of its own it does not fail, and the
    /// one address is turned away where another is not, and for a while.
    pub(super) async fn penalty(
        self,
        cause: &Cause,
        trial: &Trial,
        seen: &Sighting<'_>,
    ) -> Result<Option<Choice>, Error> {
        if !is_open(self.subject) || !fits(cause) || self.fails_apart(trial).await? {
            return Ok(None);
        }
        for provocation in &provocations(seen) {
            // What differs from one time to the next is an accident.
            if self.provoked(provocation).await?.is_some()
                && let Some(session) = self.provoked(provocation).await?
            {
                return Ok(session.forgives().await.map(Choice::Penalises));
            }
        }
        Ok(None)
    }

    /// Whether it fails in that way too where each connection comes from an address of its own.
    async fn fails_apart(self, trial: &Trial) -> Result<bool, Error> {
        let mut session = self.start().await?;
        session.come_apart();
        let trial = trial.clone().again();
        let (verdict, _) = self.beside_others(&mut session, &trial).await?;
        Ok(matches!(verdict, Verdict::Fail(finding) if fits(&finding.cause)))
    }

    /// A server that turns the address away that something has just come from.
    async fn provoked(self, provocation: &Scenario) -> Result<Option<Session<'a>>, Error> {
        let trial = Trial::alone(only_served(provocation.clone())).of(&self.subject.profile);
        let mut session = self.start().await?;
        self.beside_others(&mut session, &trial).await?;
        Ok(session.penalises_an_address().await.then_some(session))
    }
}
