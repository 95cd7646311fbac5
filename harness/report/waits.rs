//! What a trial waits for, in words and for programs.

use super::written::milliseconds;
use crate::model::action::Action;
use crate::model::literal::Shown;
use crate::model::phase::Phase;
use crate::model::scenario::{ClientGroup, Scenario, Step};
use crate::model::server_action::ServerAction;
use crate::model::spent::SpentOn;
use crate::session::{Sight, Wait};
use serde::Serialize;
use std::time::Duration;

/// So many characters of a step are told: what follows is data.
const TOLD: usize = 160;

/// What a trial waits for at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Waiting {
    /// In words.
    pub waits_for: String,
    /// For how long it has waited.
    pub waited_ms: u64,
    /// What its time is spent on, by the word of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<&'static str>,
    /// The part of the trial in which it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The step as a line of a scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Its line in the file, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

impl Waiting {
    /// What something waits for that is being tried, if it does.
    pub(crate) fn of(sight: &Sight) -> Option<Self> {
        let (wait, waited) = sight.waits.as_ref()?;
        let waiting = Self::of_one(wait, *waited);
        let again = sight
            .again
            .filter(|_| waiting.on != Some(SpentOn::Line.word()));
        let waits_for = match again {
            Some(again) => format!("{}: {}", spent(again), waiting.waits_for),
            None => waiting.waits_for,
        };
        Some(Self {
            waits_for,
            ..waiting
        })
    }

    fn of_one(wait: &Wait, waited: Duration) -> Self {
        let waited_ms = milliseconds(waited);
        match wait {
            Wait::Spent(on) => Self {
                waits_for: spent(*on).to_owned(),
                waited_ms,
                on: Some(on.word()),
                phase: None,
                step: None,
                line: None,
            },
            Wait::Step {
                phase,
                scenario,
                number,
            } => Self {
                waits_for: format!("{}{}", of_phase(*phase), of_step(scenario, *number)),
                waited_ms,
                on: None,
                phase: Some(*phase),
                step: text_of(scenario, *number),
                line: line_of(scenario, *number),
            },
        }
    }
}

fn text_of(scenario: &Scenario, number: usize) -> Option<String> {
    let line = *scenario.steps().get(number)?;
    Some(short(line.step.text(&scenario.clients)))
}

fn line_of(scenario: &Scenario, number: usize) -> Option<usize> {
    let line = scenario.steps().get(number)?.number;
    (line > 0).then_some(line)
}

fn of_step(scenario: &Scenario, number: usize) -> String {
    let steps = scenario.steps();
    let step = steps.get(number).map(|line| &line.step);
    step.map_or_else(String::new, |step| short(words(step, &scenario.clients)))
}

fn words(step: &Step, clients: &[ClientGroup]) -> String {
    let name = |who: usize| clients.get(who).map_or("?", |group| &group.name);
    match step {
        Step::Client {
            who,
            action: Action::Expect { what, .. } | Action::Require { what, .. },
        } => format!("{} waits for {what}", name(*who)),
        Step::Server(ServerAction::Expect { what, .. } | ServerAction::Require { what, .. }) => {
            format!("server {what} is waited for")
        }
        Step::Backend {
            name,
            action: ServerAction::Expect { what, .. } | ServerAction::Require { what, .. },
        } => format!("{name} {what} is waited for"),
        Step::Pause(time) => format!("a pause of {}", Shown(*time)),
        Step::Settle => spent(SpentOn::Rest).to_owned(),
        step => step.text(clients),
    }
}

/// Which part of a trial is meant, where it is not the scenario itself.
fn of_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Scenario => "",
        Phase::Before => "before the scenario, ",
        Phase::BystanderConnects => "a bystander comes, ",
        Phase::BystanderAgain => "the bystander asks again, ",
        Phase::After => "after the scenario, ",
        Phase::Crowd | Phase::Pressure => "in a crowd of polite clients, ",
    }
}

fn spent(on: SpentOn) -> &'static str {
    match on {
        SpentOn::Line => "waits for other checks to make room",
        SpentOn::Confirmation => "makes sure of a failure",
        SpentOn::Again => "tries again what proved nothing",
        SpentOn::Start => "waits for the server to listen",
        SpentOn::Rest => "waits for the server to come to rest",
        SpentOn::Scenario => "performs a scenario",
        SpentOn::Work | SpentOn::Else => "works",
    }
}

fn short(text: String) -> String {
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::DrillFile;
    use std::sync::Arc;

    fn seen(wait: Wait, again: Option<SpentOn>) -> Waiting {
        let waits = Some((wait, Duration::from_millis(1_500)));
        let (name, tried) = ("a/check".to_owned(), Duration::from_secs(3));
        let sight = Sight {
            name,
            tried,
            waits,
            again,
        };
        Waiting::of(&sight).unwrap()
    }

    fn waits(steps: &str, number: usize, phase: Phase) -> Waiting {
        let text = format!("server: echo\n\ncase a word\n  clients: alice\n\n{steps}");
        let file = DrillFile::parse_over_any("a file", &text).unwrap();
        let wait = Wait::Step {
            phase,
            scenario: Arc::new(file.cases[0].scenario.clone()),
            number,
        };
        seen(wait, None)
    }

    #[test]
    fn who_waits_is_named_with_what_he_waits_for() {
        let steps = "  alice connect\n  alice expect fin within 2s\n  pause 3s\n";
        let end = waits(steps, 1, Phase::Scenario);
        assert_eq!(end.waits_for, "alice waits for fin");
        assert_eq!(end.waited_ms, 1_500);
        assert_eq!(end.step.as_deref(), Some("alice expect fin within 2s"));
        assert_eq!(end.line, Some(7));
        let connects = waits(steps, 0, Phase::After);
        assert_eq!(connects.waits_for, "after the scenario, alice connect");
        let pause = waits(steps, 2, Phase::Scenario);
        assert_eq!(pause.waits_for, "a pause of 3s");
        assert_eq!(waits(steps, 9, Phase::Scenario).waits_for, "");
    }

    #[test]
    fn data_of_a_step_is_told_in_part() {
        let steps = format!("  alice connect\n  alice expect \"{}\"\n", "é".repeat(400));
        let told = waits(&steps, 1, Phase::Scenario).waits_for;
        assert!(told.chars().count() <= TOLD + 1, "{told}");
    }

    #[test]
    fn what_is_no_step_has_the_word_of_the_report() {
        let line = seen(Wait::Spent(SpentOn::Line), Some(SpentOn::Again));
        assert_eq!(line.on, Some("line"));
        assert_eq!(line.waits_for, "waits for other checks to make room");
        let start = seen(Wait::Spent(SpentOn::Start), Some(SpentOn::Confirmation));
        let words = "makes sure of a failure: waits for the server to listen";
        assert_eq!(start.waits_for, words);
    }
}
