//! What is too much for a server that somebody else has started, and has not given to be flooded.

use super::action::Action;
use super::expectation::Expectation;
use super::scenario::{Line, Scenario, Step};
use std::fmt;

/// As many connections are what a browser or two and their users make: no server of anybody is in danger by them.
const CONNECTIONS: u64 = 64;

/// The same of bytes in both directions: those of a page with its pictures.
const BYTES: u64 = 1 << 20;

/// More than is done to a server of somebody else, unless that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// So many connections.
    Connections(u64),
    /// So many bytes in both directions.
    Bytes(u64),
}

impl Flood {
    /// What a scenario floods a server with, where it does.
    pub(crate) fn of(scenario: &Scenario) -> Option<Self> {
        let load = Load::of(&scenario.lines, scenario);
        if load.connections > CONNECTIONS {
            return Some(Self::Connections(load.connections));
        }
        (load.bytes > BYTES).then_some(Self::Bytes(load.bytes))
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(connections) => write!(f, "{connections} connections"),
            Self::Bytes(bytes) => write!(f, "{} KiB", bytes >> 10),
        }
    }
}

/// What lines ask of a server.
#[derive(Default)]
struct Load {
    connections: u64,
    bytes: u64,
}

impl Load {
    fn of(lines: &[Line], scenario: &Scenario) -> Self {
        let mut all = Self::default();
        for line in lines {
            let (load, times) = match &line.step {
                Step::Client { who, action } => {
                    let group = scenario.clients.get(*who);
                    (
                        Self::of_action(action),
                        group.map_or(1, |group| group.members),
                    )
                }
                Step::Repeat { times, lines } => (Self::of(lines, scenario), *times),
                _ => continue,
            };
            let times = u64::from(times);
            let add = |sum: u64, one: u64| sum.saturating_add(one.saturating_mul(times));
            all.connections = add(all.connections, load.connections);
            all.bytes = add(all.bytes, load.bytes);
        }
        all
    }

    fn of_action(action: &Action) -> Self {
        let (connections, bytes) = match action {
            Action::Connect(_) => (1, 0),
            Action::Send { data, .. } | Action::SendWithoutSource(data) => (0, data.length()),
            Action::Expect { what, .. } | Action::Require { what, .. } => match what {
                Expectation::Data(data) | Expectation::DataOrSilence(data) => (0, data.length()),
                _ => (0, 0),
            },
            _ => (0, 0),
        };
        let bytes = bytes as u64;
        Self { connections, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::action::ConnectOptions;
    use crate::model::data::{Data, Segmentation};
    use crate::model::dialogue::scenario;

    /// A crowd of so many that come so often and send so much each time.
    fn crowd(members: u32, times: u32, bytes: usize) -> Scenario {
        let data = Data::literal(vec![b'x'; bytes]);
        let send = Action::Send {
            data,
            segmentation: Segmentation::Whole,
            every: None,
            as_records: false,
            background: false,
        };
        let actions = [Action::Connect(ConnectOptions::default()), send];
        let lines = actions.map(|action| Line::from(Step::Client { who: 0, action }));
        let lines = lines.to_vec();
        let repeated = vec![Line::from(Step::Repeat { times, lines })];
        scenario("a crowd", &[("mallory", members)], vec![repeated])
    }

    #[test]
    fn everybody_counts_each_time_that_he_comes() {
        assert_eq!(Flood::of(&crowd(8, 8, 1)), None);
        assert_eq!(Flood::of(&crowd(13, 5, 1)), Some(Flood::Connections(65)));
        assert_eq!(Flood::of(&crowd(4, 4, 64 << 10)), None);
        let flood = Flood::of(&crowd(4, 4, 65 << 10));
        assert_eq!(flood, Some(Flood::Bytes(1_040 << 10)));
        assert_eq!(flood.unwrap().to_string(), "1040 KiB");
    }
}
