//! Who stands beside the clients of a scenario: a polite client before and after, a bystander, and polite clients in number.

use super::job::Job;
use crate::model::dialogue::{ClientSteps, repeat, scenario};
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::trial::Trial;

impl Job<'_> {
    /// Puts the polite client before and after a scenario, and a bystander beside it, where there can be one.
    pub(super) fn trial(self, script: &Scenario, polite: bool) -> Trial {
        let mut trial = trial(script, self.subject, polite && !self.is_for_one());
        trial.reading_is_use = self.check.is_some_and(|check| check.policy.reading_is_use);
        if let Some(before) = self.before {
            trial.reading_is_use = before.reading_is_use;
            trial.known.clone_from(&before.known);
        }
        trial
    }
}

/// Puts the polite client before and after a scenario, and a bystander beside it.
pub(super) fn trial(script: &Scenario, subject: &Subject, polite: bool) -> Trial {
    let mut trial = Trial::alone(script.clone()).of(&subject.profile);
    // What a server does without those behind it, and how soon it finds them again, is its own matter.
    let polite = polite && !trial.waives(Invariant::Served) && !script.acts_on_backends();
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
