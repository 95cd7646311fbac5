//! Addresses that are turned away for a while: rate limits of connections, and penalties for what was said.

use super::choices::{self, BEYOND};
use super::derive::{from_elsewhere, with_connect_options};
use super::observations::Sighting;
use crate::judge::Cause;
use crate::model::action::Action;
use crate::model::address::Address;
use crate::model::dialogue::{ClientSteps, repeat, scenario};
use crate::model::need::Need;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::transcript::event::ClientEvent;

/// Whether nothing is promised of penalties, and an address of its own would make a difference to a client.
pub(crate) fn is_open(subject: &Subject) -> bool {
    let needs = [Need::REPLY, Need::MANY_CONNECTIONS];
    let has_meaning = needs.iter().all(|need| need.unmet(subject).is_none());
    has_meaning && subject.profile.promises.penalties.is_none() && has_more_addresses(subject)
}

/// Whether there is more than one address from which a client can come to the server.
pub(crate) fn has_more_addresses(subject: &Subject) -> bool {
    // All addresses of 127.0.0.0/8 are this host's; what others it has is not known.
    let has_more =
        |address: &Address| matches!(address, Address::Inet(address) if address.is_ipv4());
    has_more(&subject.place.address) && !subject.is_far()
}

/// Whether a failure may come of a penalty.
pub(crate) fn fits(cause: &Cause) -> bool {
    match cause {
        Cause::StepFailed { .. } | Cause::NotServed { .. } => true,
        // Whoever is connected may pay too.
        Cause::Disturbed { step } => choices::is_ended(step),
        _ => false,
    }
}

/// The most polite clients that come one after the other to provoke a penalty.
const MOST_POLITE: usize = 1_200;

/// How many polite clients it may take to bring a penalty about: some more than came, or spoke, when it was met.
pub(crate) fn provoked_by(seen: &Sighting<'_>) -> usize {
    let count = |counts: fn(&ClientEvent) -> bool| {
        let events = seen.client_events();
        events.filter(|(_, event)| counts(event)).count()
    };
    let came = count(|event| matches!(event, ClientEvent::Connecting));
    let spoke = count(|event| matches!(event, ClientEvent::Sent(_)));
    (came.max(spoke) + BEYOND).min(MOST_POLITE)
}

/// How many come from one address to see whether it is turned away: more than a person brings about.
const CAME: u32 = 50;

/// Many come from one address and leave at once; then one comes from another, and one more from the first.
pub(super) fn many_from_one(subject: &Subject) -> Scenario {
    let leaves = ClientSteps::of(0).connect().then(Action::Close).lines();
    let other = ClientSteps::of(1).polite(subject).lines();
    let other = with_connect_options(other, &from_elsewhere());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::staged::{Staged, failed, says, server};
    use crate::model::expectation::End;
    use crate::model::literal::Excerpt;
    use crate::model::profile::Transport;
    use crate::model::subject::Place;
    use crate::transcript::instead::{Got, Instead};
    use std::net::Ipv6Addr;

    const LINES: &str = "model = \"echo\"\nframing = \"line\"\n";

    #[test]
    fn penalties_are_open_where_nothing_is_promised_and_there_are_more_addresses() {
        assert!(is_open(&server(LINES)));
        assert!(!is_open(&server(&format!(
            "{LINES}[promises]\npenalties = \"none\"\n"
        ))));
        assert!(!is_open(&server(
            "model = \"discard\"\nframing = \"line\"\n"
        )));
        let one = Subject {
            place: Place {
                address: Address::Inet((Ipv6Addr::LOCALHOST, 0).into()),
                ..Place::on(Transport::Tcp)
            },
            ..server(LINES)
        };
        assert!(!is_open(&one));
    }

    #[test]
    fn server_on_another_host_is_called_from_one_address() {
        let at = |address: [u8; 4]| Subject {
            is_elsewhere: true,
            place: Place {
                address: Address::Inet((address, 80).into()),
                ..Place::on(Transport::Tcp)
            },
            ..server(LINES)
        };
        assert!(has_more_addresses(&at([127, 0, 0, 1])));
        assert!(!has_more_addresses(&at([192, 0, 2, 1])));
    }

    #[test]
    fn failure_of_a_client_or_an_end_of_who_stands_by_may_come_of_a_penalty() {
        let got = || failed(Instead::Got(Got::Bytes(Excerpt::of(b"?"))));
        let ended = || failed(Instead::Ended(End::Fin)).into();
        assert!(fits(&got()));
        assert!(fits(&Cause::NotServed { step: got().into() }));
        assert!(fits(&Cause::Disturbed { step: ended() }));
        assert!(!fits(&Cause::Disturbed { step: got().into() }));
        assert!(!fits(&Cause::Replaced));
    }

    #[test]
    fn penalty_is_provoked_by_a_dozen_more_than_came_or_spoke() {
        let case = scenario("case", &[("alice", 1)], vec![]);
        let provoked = |came, spoke| {
            let subject = server(LINES);
            let staged = Staged::of(&subject, case.clone());
            let staged = (0..came).fold(staged, |staged, at| {
                staged.client(at, 0, ClientEvent::Connecting)
            });
            let staged = (0..spoke).fold(staged, |staged, at| staged.client(at, 0, says("?")));
            staged.read(provoked_by)
        };
        assert_eq!(provoked(30, 2), 30 + BEYOND);
        assert_eq!(provoked(1, 3), 3 + BEYOND);
        assert_eq!(provoked(1_300, 0), MOST_POLITE);
    }

    #[test]
    fn address_is_turned_away_where_the_last_polite_client_is_not_served() {
        let subject = server(LINES);
        let staged = || Staged::of(&subject, many_from_one(&subject));
        let steps = many_from_one(&subject).steps().len();
        let polite = ClientSteps::of(0).polite(&subject).lines().len();
        assert_eq!(staged().whole().read(turns_away_an_address), Some(false));
        let began = steps - polite;
        assert_eq!(
            staged().until(began).read(turns_away_an_address),
            Some(true)
        );
        assert_eq!(staged().until(began - 1).read(turns_away_an_address), None);
        let words = |until| staged().until(until).read(observed).unwrap_or_default();
        assert!(words(began).starts_with("turns away an address"));
        assert!(words(steps - 1).starts_with("serves an address"));
    }
}
