//! The phases of a trial: what is done on one server, a part after the other.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A part of a trial that clients perform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// A polite client is served by the undisturbed server.
    Before,
    /// A bystander connects and is served, and stays.
    BystanderConnects,
    /// The scenario itself.
    Scenario,
    /// The bystander, who has been silent meanwhile, is served again on the same connection.
    BystanderAgain,
    /// A polite client is served again.
    After,
    /// As many polite clients at once as the scenario has.
    Crowd,
    /// Polite clients in number.
    Pressure,
}

impl Phase {
    /// Whether its clients only give the server something to do: nobody is blamed for what they do not get.
    pub(crate) fn is_only_work(self) -> bool {
        matches!(self, Self::Crowd | Self::Pressure)
    }
}

/// When a sample of what the kernel holds for the server is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Moment {
    /// After the first polite client, before the scenario.
    Baseline,
    /// After all clients have left.
    After,
    /// After polite clients, one after the other and then at once, have filled what pools there are.
    Warm,
    /// After the scenario was repeated so and so often.
    Dose,
    /// After polite clients in number.
    Pressed,
    /// After nobody has been there for a while.
    Alone,
}

/// What is to be done next on the same server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The clients of a phase do what they have to do.
    Perform(Phase),
    /// What the kernel holds for the server is written down, once it has come back to rest.
    Sample(Moment),
    /// Nobody comes for so long, and a sample is taken then.
    LeaveAlone(Duration),
    /// How many workers the server has is written down at once.
    CountWorkers,
}

impl Next {
    /// Whether it is to tell a leak from what is given back, behind doses that have not.
    pub(crate) fn is_to_tell_growth(self) -> bool {
        matches!(
            self,
            Self::LeaveAlone(_) | Self::Perform(Phase::Pressure) | Self::Sample(Moment::Pressed)
        )
    }
}
