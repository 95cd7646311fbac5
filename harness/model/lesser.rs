//! What a scenario can do without: a server that is correct passes it with or without a conversation that others have.
//!
//! What is done to the server, and all that is waited for between, stays in its place: what clients may expect depends on it. Nor is
//! a conversation taken apart, for who expects an answer has asked before.

use super::action::Action;
use super::scenario::{ClientGroup, Line, Scenario, Step, steps_of};
use std::ops::{Shr, Sub};

/// The conversations of a scenario, each as the numbers of its lines: from a `connect` to the next one of the same client. A block
/// is a line of them; who speaks in a block with others is left in peace.
pub(crate) fn conversations(scenario: &Scenario) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut last: Vec<Option<usize>> = vec![None; scenario.clients.len()];
    let mixed = scenario
        .lines
        .iter()
        .filter(|line| line.clients().is_none());
    let mixed: Vec<&Line> = steps_of(mixed);
    for (number, line) in scenario.lines.iter().enumerate() {
        let alone = |who: &usize| !mixed.iter().any(|line| is_of(line, *who));
        let Some(who) = line.clients().filter(alone) else {
            continue;
        };
        match last[who].filter(|_| !begins(line)) {
            Some(conversation) => found[conversation].push(number),
            None => {
                last[who] = Some(found.len());
                found.push(vec![number]);
            }
        }
    }
    found
}

/// Whether a conversation begins with this line.
fn begins(line: &Line) -> bool {
    match &line.step {
        Step::Repeat { lines, .. } => lines.first().is_some_and(begins),
        _ => matches!(line.action(), Some(Action::Connect(_))),
    }
}

/// The scenario without lines, with none of the names and pauses for breath that are about nobody any more.
pub(crate) fn without(scenario: &Scenario, left_out: &[usize]) -> Scenario {
    let lines = scenario.lines.iter().enumerate();
    let stays = lines.filter(|(number, _)| !left_out.contains(number));
    let mut lines: Vec<Line> = Vec::new();
    for (_, line) in stays {
        let waits = matches!(line.step, Step::Settle | Step::Barrier);
        let is_again = lines.last().is_none_or(|last| last.step == line.step);
        if !(waits && is_again) {
            lines.push(line.clone());
        }
    }
    let mut rest = Scenario {
        lines,
        ..scenario.clone()
    };
    drop_names(&mut rest);
    rest
}

/// Takes out the names of clients of whom there is no line.
fn drop_names(scenario: &mut Scenario) {
    for who in (0..scenario.clients.len()).rev() {
        if !steps_of(&scenario.lines)
            .iter()
            .any(|line| is_of(line, who))
        {
            scenario.clients.remove(who);
            close_up(&mut scenario.lines, who);
        }
    }
}

fn is_of(line: &Line, name: usize) -> bool {
    matches!(line.step, Step::Client { who, .. } if who == name)
}

/// Gives those behind a name that is gone the numbers that they have without it.
fn close_up(lines: &mut [Line], gone: usize) {
    for line in lines {
        match &mut line.step {
            Step::Client { who, .. } => *who -= usize::from(*who > gone),
            Step::Repeat { lines, .. } => close_up(lines, gone),
            _ => {}
        }
    }
}

/// The scenario with fewer members of a crowd, or fewer rounds of a block, the fewest first.
pub(crate) fn fewer(scenario: &Scenario) -> Vec<Scenario> {
    let mut found = Vec::new();
    for (n, group) in scenario.clients.iter().enumerate() {
        for members in smaller(group.members) {
            let mut fewer = scenario.clone();
            fewer.clients[n] = ClientGroup {
                members,
                ..group.clone()
            };
            found.push(fewer);
        }
    }
    for (n, line) in scenario.lines.iter().enumerate() {
        let Step::Repeat { times, lines } = &line.step else {
            continue;
        };
        for times in smaller(*times) {
            let mut fewer = scenario.clone();
            fewer.lines[n].step = Step::Repeat {
                times,
                lines: lines.clone(),
            };
            found.push(fewer);
        }
    }
    found
}

/// One, and then with what is less by half, by a quarter and so on; taken again and again they meet the smallest that will do.
pub(crate) fn smaller<N>(number: N) -> impl Iterator<Item = N>
where
    N: Copy + PartialOrd + From<u8> + Shr<u32, Output = N> + Sub<Output = N>,
{
    let one = N::from(1);
    let less = (1..u32::BITS).map(move |shift| number - (number >> shift));
    let less = less.take_while(move |less| *less < number);
    let first = (number > one).then_some(one);
    first
        .into_iter()
        .chain(less.filter(move |less| *less > one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialogue::{ClientSteps, repeat, scenario, server_does, settle};
    use crate::model::server_action::ServerAction;

    fn says(who: usize, word: &str) -> Vec<Line> {
        ClientSteps::of(who).connect().send(word).lines()
    }

    /// The lines of the text behind the heading, without indentation.
    fn text(scenario: &Scenario) -> Vec<String> {
        let text = scenario.to_string();
        let lines = text.lines().skip(1).map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    fn of_three() -> Scenario {
        let clients = [("mallory", 1), ("alice", 20)];
        scenario(
            "three conversations",
            &clients,
            vec![
                says(0, "one"),
                vec![settle(), server_does(ServerAction::Stop)],
                says(0, "two"),
                vec![settle()],
                vec![repeat(50, says(1, "three"))],
            ],
        )
    }

    #[test]
    fn conversation_goes_from_a_connect_to_the_next() {
        assert_eq!(
            conversations(&of_three()),
            [vec![0, 1], vec![4, 5], vec![7]]
        );
    }

    #[test]
    fn who_speaks_in_a_block_with_others_is_left_in_peace() {
        let mixed = repeat(
            2,
            [says(0, "a"), vec![server_does(ServerAction::Stop)]].concat(),
        );
        let clients = [("mallory", 1), ("alice", 1)];
        let lines = vec![says(0, "one"), says(1, "two"), vec![mixed]];
        let scenario = scenario("a block", &clients, lines);
        assert_eq!(conversations(&scenario), [vec![2, 3]]);
    }

    #[test]
    fn what_is_done_to_the_server_stays_when_clients_are_left_out() {
        let rest = without(&of_three(), &[0, 1, 4, 5]);
        let lines = [
            "clients: alice[20]",
            "server stop",
            "settle",
            "repeat 50",
            "alice connect",
            "alice send \"three\"",
            "end",
        ];
        assert_eq!(text(&rest), lines);
        let rest = without(&of_three(), &[0, 1, 7]);
        let lines = [
            "clients: mallory",
            "server stop",
            "mallory connect",
            "mallory send \"two\"",
            "settle",
        ];
        assert_eq!(text(&rest), lines);
    }

    #[test]
    fn crowds_and_rounds_become_fewer_the_fewest_first() {
        let sizes = |scenario: &Scenario| match &scenario.lines[7].step {
            Step::Repeat { times, .. } => (scenario.clients[1].members, *times),
            other => panic!("{other:?}"),
        };
        let found: Vec<(u32, u32)> = fewer(&of_three()).iter().map(sizes).collect();
        let members = [1, 10, 15, 18, 19].map(|members| (members, 50));
        let rounds = [1, 25, 38, 44, 47, 49].map(|times| (20, times));
        assert_eq!(found, [&members[..], &rounds[..]].concat());
    }

    #[test]
    fn size_counts_what_each_does_as_often_as_it_is_done() {
        let size = of_three().size();
        assert_eq!(
            (size.clients, size.steps),
            (21, 2 + 2 + 2 + 1 + 50 * 20 * 2)
        );
        assert_eq!(size.to_string(), "21 clients in 2007 steps");
    }
}
