//! Before a server is blamed that may turn an address away for what has come from it, it is tried from several.

use super::job::Job;
use crate::checks::observations::Sighting;
use crate::checks::penalties::{fits, is_open, provoked_by};
use crate::judge::{Cause, Choice, Verdict};
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::session::Session;

/// What became of an address from which something was done.
pub(super) enum Penalty {
    /// It is served as others are.
    None,
    /// It is turned away, and served again in a while.
    ForAWhile(Choice),
    /// It is turned away, as if the places of clients that have left were lost.
    ForGood,
}

impl<'a> Job<'a> {
    /// The penalty that explains a failure: where each connection comes from an address of its own it does not fail, and the
    /// one address is turned away where another is not, and for a while.
    pub(super) async fn penalty(
        self,
        cause: &Cause,
        trial: &Trial,
        seen: &Sighting<'_>,
    ) -> Result<Penalty, Error> {
        // To provoke one takes hundreds of clients.
        let may_provoke = !self.subject.is_elsewhere || self.subject.may_be_flooded;
        if !may_provoke || !is_open(self.subject) || !fits(cause) || self.fails_apart(trial).await?
        {
            return Ok(Penalty::None);
        }
        let clients = provoked_by(seen);
        // What differs from one time to the next is an accident.
        if self.provoked(seen.scenario, clients).await?.is_none() {
            return Ok(Penalty::None);
        }
        let Some(session) = self.provoked(seen.scenario, clients).await? else {
            return Ok(Penalty::None);
        };
        Ok(match session.forgives().await {
            Some(time) => Penalty::ForAWhile(Choice::Penalises(time)),
            // Who leaves without a word has its place yet.
            None if seen.scenario.vanishes() => Penalty::None,
            None => Penalty::ForGood,
        })
    }

    /// Whether it fails in that way too where each connection comes from an address of its own.
    async fn fails_apart(self, trial: &Trial) -> Result<bool, Error> {
        let mut session = self.start().await?;
        session.come_apart();
        let trial = trial.clone().again();
        let (verdict, _) = self.beside_others(&mut session, &trial).await?;
        Ok(matches!(verdict, Verdict::Fail(finding) if fits(&finding.cause)))
    }

    /// A server that turns the address away from which the clients of a scenario and so many polite ones have come.
    async fn provoked(
        self,
        scenario: &Scenario,
        clients: usize,
    ) -> Result<Option<Session<'a>>, Error> {
        let session = self.left_by(scenario).await?;
        let penalises = session.penalises_an_address(clients).await;
        Ok(penalises.then_some(session))
    }
}
