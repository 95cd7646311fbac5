//! Addresses that are turned away for a while: rate limits of connections, and penalties for what was said.

use super::choices::BEYOND;
use super::derive::with_connect_options;
use super::observations::Sighting;
use crate::judge::Cause;
use crate::model::action::{Action, ConnectOptions};
use crate::model::address::Address;
use crate::model::dialogue::{ClientSteps, repeat, scenario};
use crate::model::need::Need;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::transcript::event::ClientEvent;
use std::net::Ipv4Addr;

/// Whether nothing is promised of penalties, and an address of its own would make a difference to a client.
pub(crate) fn is_open(subject: &Subject) -> bool {
    let needs = [Need::REPLY, Need::MANY_CONNECTIONS];
    let has_meaning = needs.iter().all(|need| need.unmet(subject).is_none());
    has_meaning && subject.profile.promises.penalties.is_none() && has_more_addresses(subject)
}

/// Whether there is more than one address from which a client can come to the server.
pub(crate) fn has_more_addresses(subject: &Subject) -> bool {
    matches!(subject.place.address, Address::Inet(address) if address.is_ipv4())
}

/// Whether a failure may come of a penalty.
pub(crate) fn fits(cause: &Cause) -> bool {
    matches!(cause, Cause::StepFailed { .. } | Cause::NotServed { .. })
}

/// The most polite clients that come one after the other to provoke a penalty.
const MOST_POLITE: usize = 1_200;

/// What brings a penalty about: what the clients have done, or that so many came.
pub(crate) fn provocations(seen: &Sighting<'_>) -> [Scenario; 2] {
    let connects = |event: &ClientEvent| matches!(event, ClientEvent::Connecting);
    let came = seen.client_events().filter(|(_, event)| connects(event));
    let polite = ClientSteps::of(0).polite(seen.subject).lines();
    let times = (came.count() + BEYOND).min(MOST_POLITE);
    let many = scenario(
        "one polite client after the other",
        &[("alice", 1)],
        vec![vec![repeat(times as u32, polite)]],
    );
    [seen.scenario.clone(), many]
}

/// How many come from one address to see whether it is turned away: more than a person brings about.
const CAME: u32 = 50;

/// Many come from one address and leave at once; then one comes from another, and one more from the first.
pub(super) fn many_from_one(subject: &Subject) -> Scenario {
    let leaves = ClientSteps::of(0).connect().then(Action::Close).lines();
    let elsewhere = ConnectOptions {
        from: Some(Ipv4Addr::new(127, 0, 0, 2).into()),
        ..ConnectOptions::default()
    };
    let other = with_connect_options(ClientSteps::of(1).polite(subject).lines(), &elsewhere);
    scenario(
        "many from one address",
        &[("alice", 1), ("bob", 1)],
        vec![
            vec![repeat(CAME, leaves)],
            other,
            ClientSteps::of(0).polite(subject).lines(),
        ],
    )
}

/// Whether the address that many came from was turned away, where one from another was served meanwhile.
pub(super) fn turns_away_an_address(seen: &Sighting<'_>) -> Option<bool> {
    if seen.came_to_the_last_step() {
        return Some(false);
    }
    let polite = ClientSteps::of(0).polite(seen.subject).lines().len();
    let last = seen.scenario.steps().len() - polite;
    seen.came_to_step(last).then_some(true)
}

/// What was seen of it, in words.
pub(super) fn observed(seen: &Sighting<'_>) -> Option<String> {
    let came = format!("an address from which {CAME} clients have come in a row");
    Some(match turns_away_an_address(seen)? {
        true => format!("turns away {came}"),
        false => format!("serves {came}"),
    })
}
