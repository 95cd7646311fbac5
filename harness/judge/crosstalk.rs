//! Whose bytes a client got that were not the ones it was owed.

use super::cause::Cause;
use crate::model::action::Action;
use crate::model::data::{Data, find};
use crate::model::expectation::Expectation;
use crate::model::scenario::{Line, Scenario, Step};
use crate::transcript::event::ClientId;

/// So many bytes of somebody else are no chance, and so few of them were all that came: names and numbers are short.
pub(super) const TELLING: std::ops::RangeInclusive<usize> = 4..=16;

/// The cause where wrong bytes that a client got are those of another one, of the scenario that it is `of` or of the one
/// `beside` it; `step` is what it did not get. Bytes that it is owed itself, sooner or later, are its own.
pub(super) fn crosstalk(
    (of, beside): (&Scenario, &Scenario),
    client: ClientId,
    wrong: &[u8],
    step: &Cause,
) -> Option<Cause> {
    let wrong = wrong.get(..wrong.len().min(*TELLING.end()))?;
    if wrong.len() < *TELLING.start() {
        return None;
    }
    let holds = |scenario: &Scenario, id: ClientId| {
        let mut owed = owed(scenario, id.who).into_iter();
        owed.any(|data| find(&data.bytes(id.member), wrong).is_some())
    };
    let own = match client == ClientId::BYSTANDER {
        true => ClientId { who: 0, member: 0 },
        false => client,
    };
    if holds(of, own) {
        return None;
    }
    let groups = beside.clients.iter().enumerate();
    let mut all = groups.flat_map(|(who, group)| {
        let members = 0..group.members;
        members.map(move |member| ClientId { who, member })
    });
    let is_own = |other: &ClientId| std::ptr::eq(of, beside) && *other == client;
    let other = all.find(|other| !is_own(other) && holds(beside, *other))?;
    Some(Cause::Crosstalk {
        of: other.name(beside),
        step: Box::new(step.clone()),
    })
}

/// All that the clients behind a name are owed.
fn owed(scenario: &Scenario, who: usize) -> Vec<&Data> {
    let mut found = Vec::new();
    collect(&scenario.lines, who, &mut found);
    found
}

fn collect<'a>(lines: &'a [Line], who: usize, found: &mut Vec<&'a Data>) {
    for line in lines {
        match &line.step {
            Step::Repeat { lines, .. } => collect(lines, who, found),
            Step::Client {
                who: of,
                action: Action::Expect { what, .. },
            } if *of == who => exactly(what, found),
            _ => {}
        }
    }
}

/// The data that an expectation is met by, in one of its ways.
fn exactly<'a>(what: &'a Expectation, found: &mut Vec<&'a Data>) {
    match what {
        Expectation::Data(data) | Expectation::DataOrSilence(data) => found.push(data),
        Expectation::NotBefore { what, .. } => exactly(what, found),
        Expectation::OneOf(ways) => ways.iter().for_each(|way| exactly(way, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::{ClientSteps, repeat, scenario};

    /// Of alice and bob, each of whom is owed a text, and bob his one in a block.
    fn owed_each(alice: &str, bob: &str) -> Scenario {
        let owed = |who, text: &str| {
            let data = Data::literal(text);
            ClientSteps::of(who).expect(Expectation::Data(data)).lines()
        };
        let bob = vec![repeat(2, owed(1, bob))];
        let clients = [("alice", 1), ("bob", 1)];
        scenario("case", &clients, vec![owed(0, alice), bob])
    }

    /// Whose bytes these are that came for alice.
    fn whose(scenario: &Scenario, wrong: &str) -> Option<String> {
        whose_for(0, scenario, wrong)
    }

    fn whose_for(who: usize, scenario: &Scenario, wrong: &str) -> Option<String> {
        let client = ClientId { who, member: 0 };
        let step = Cause::LeftUnread;
        let found = crosstalk((scenario, scenario), client, wrong.as_bytes(), &step)?;
        match found {
            Cause::Crosstalk { of, .. } => Some(of),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bytes_that_another_client_is_owed_are_his() {
        let of_both = owed_each("for alice", "for robert");
        assert_eq!(whose(&of_both, "robert"), Some("bob".to_owned()));
        assert_eq!(whose(&of_both, "rob."), None);
        assert_eq!(whose_for(1, &of_both, "alice"), Some("alice".to_owned()));
    }

    #[test]
    fn bytes_that_a_client_is_owed_sooner_or_later_are_its_own() {
        assert_eq!(whose(&owed_each("hello 12", "hello 34"), "hello"), None);
    }

    #[test]
    fn bytes_of_one_of_several_ways_or_of_later_are_owed_too() {
        let data = |text: &str| Expectation::Data(Data::literal(text));
        let either = Expectation::OneOf(vec![data("HELLO"), data("BYE!!")]);
        let later = Expectation::NotBefore {
            after: std::time::Duration::from_secs(1),
            what: Box::new(data("HELLO")),
        };
        for owed in [either, later] {
            let lines = vec![
                ClientSteps::of(0).expect(owed).lines(),
                ClientSteps::of(1).expect(data("HELLO")).lines(),
            ];
            let of_both = scenario("case", &[("alice", 1), ("bob", 1)], lines);
            assert_eq!(whose(&of_both, "HELLO"), None);
        }
    }

    /// Names and numbers are short, and meet by chance.
    #[test]
    fn four_bytes_tell_and_three_are_chance() {
        let of_both = owed_each("alice", "abcd");
        assert_eq!(whose(&of_both, "abcd"), Some("bob".to_owned()));
        assert_eq!(whose(&of_both, "abc"), None);
    }
}
