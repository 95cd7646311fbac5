//! A trial: a scenario with the polite conversations around it, all on one server.

use super::figure::Figure;
use super::invariant::Invariant;
use super::phase::Phase;
use super::profile::{IdleTimeout, Profile, Serves};
use super::scenario::{Line, Scenario};
use super::unasked::Unasked;
use std::time::Duration;

/// The key of the cause that a server with nothing to do does not rest.
pub(crate) const BUSY: &str = "busy";

/// A scenario with the polite conversations around it: what a transcript is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// What is performed in which phase; a phase that is missing is left out.
    phases: Vec<(Phase, Scenario)>,
    /// The server ends by itself, with status 0, once it has served one connection.
    pub ends_after_one: bool,
    /// The server may end the connection of a client that has been silent for so long.
    pub closes_silent_after: Option<Duration>,
    /// The server may end the connection of a client whose request has been under way for so long.
    pub closes_unfinished_after: Option<Duration>,
    /// How long the server may take no notice of a client that has said what is no request, or too much.
    pub throttling: Duration,
    /// What grows was told from a pool already, by a trial with as many doses as that takes: few are enough to see it again.
    pub few_doses: bool,
    /// Nothing happens that a server might take its time after: who is not served at last has waited in vain.
    pub is_undisturbed: bool,
    /// Nothing is promised of clients that are silent.
    pub may_close_silent: bool,
    /// A client that takes what it is owed is no silent one.
    pub reading_is_use: bool,
    /// The server promises to serve several at a time.
    pub serves_at_once: bool,
    /// All that is asked for is answered in the same way, as by a model.
    pub replies_alike: bool,
    /// What the server may say at any time by itself.
    pub unasked: Unasked,
    /// With these statuses processes of the server end also while no client is there.
    pub helpers_end_with: Vec<i32>,
    /// The keys of causes that a simpler scenario has shown: they are told where they are seen again, and what else is tested
    /// is judged as if they were waived.
    pub known: Vec<String>,
}

impl Trial {
    /// A scenario with nobody around it.
    pub(crate) fn alone(scenario: Scenario) -> Self {
        Self {
            phases: vec![(Phase::Scenario, scenario)],
            ends_after_one: false,
            closes_silent_after: None,
            closes_unfinished_after: None,
            throttling: Duration::ZERO,
            few_doses: false,
            is_undisturbed: false,
            may_close_silent: false,
            reading_is_use: false,
            serves_at_once: false,
            replies_alike: false,
            unasked: Unasked::default(),
            helpers_end_with: Vec::new(),
            known: Vec::new(),
        }
    }

    /// The same with what clients do in another phase.
    #[must_use]
    pub(crate) fn with(mut self, phase: Phase, scenario: Scenario) -> Self {
        self.phases.retain(|(present, _)| *present != phase);
        self.phases.push((phase, scenario));
        self
    }

    /// The same with what the server promises of itself.
    #[must_use]
    pub(crate) fn of(self, profile: &Profile) -> Self {
        let promises = &profile.promises;
        Self {
            ends_after_one: promises.serves == Some(Serves::OneConnection),
            throttling: promises.throttling.unwrap_or_default(),
            may_close_silent: promises.idle_timeout.is_none(),
            serves_at_once: profile.serves_concurrently(),
            replies_alike: profile.model().is_some(),
            unasked: profile.unasked(),
            closes_silent_after: promises.patience().map(IdleTimeout::margin),
            closes_unfinished_after: promises.time_for_a_request().map(IdleTimeout::margin),
            ..self
        }
    }

    /// The same where what it fails by is known already, and looked for again.
    #[must_use]
    pub(crate) fn again(self) -> Self {
        Self {
            few_doses: true,
            ..self
        }
    }

    /// The same where these causes are known.
    #[must_use]
    pub(crate) fn knowing(self, known: Vec<String>) -> Self {
        Self { known, ..self }
    }

    /// Whether it is known that the server does not come to rest by itself: there is no use in waiting for it.
    pub(crate) fn is_known_to_be_busy(&self) -> bool {
        self.known.iter().any(|key| key == BUSY)
    }

    /// The scenario that the trial is about.
    pub(crate) fn scenario(&self) -> &Scenario {
        &self.phases[0].1
    }

    /// What is performed in which phase, the scenario that the trial is about first.
    pub(crate) fn phases(&self) -> impl Iterator<Item = (Phase, &Scenario)> {
        let phases = self.phases.iter();
        phases.map(|(phase, scenario)| (*phase, scenario))
    }

    /// What is performed in a phase, where there is anything.
    pub(crate) fn performs(&self, phase: Phase) -> Option<&Scenario> {
        let mut phases = self.phases.iter();
        phases
            .find(|(present, _)| *present == phase)
            .map(|(_, scenario)| scenario)
    }

    /// The lines of a phase, numbered in the order of the text, those inside of blocks included.
    pub(crate) fn steps(&self, phase: Phase) -> Vec<&Line> {
        self.performs(phase).map_or_else(Vec::new, Scenario::steps)
    }

    /// Whether the scenario sets an invariant aside.
    pub(crate) fn waives(&self, invariant: Invariant) -> bool {
        let mut waived = self.scenario().waived.iter();
        waived.any(|waiver| waiver.invariant == invariant)
    }

    /// Whether it is known that the server does not bring a figure back, or nothing is held against it: there is no use in
    /// waiting for it.
    pub(crate) fn gives_up(&self, figure: Figure) -> bool {
        self.waives(figure.invariant()) || self.knows(figure)
    }

    /// Whether a leak of this figure is known already.
    pub(crate) fn knows(&self, figure: Figure) -> bool {
        self.known.contains(&figure.key())
    }
}
