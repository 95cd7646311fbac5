//! The invariant *alarm*: what a server, or what watches it, says itself of a defect.

use super::cause::{Alarmed, Occasion, StepRef};
use crate::model::alarm::Alarm;
use crate::model::check::Severity;
use crate::model::data::find;
use crate::model::form::Does;
use crate::model::invariant::Invariant;
use crate::model::passage::Passage;
use crate::model::phase::Phase;
use crate::model::scenario::Line;
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, ServerEvent, Transcript, What};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The alarms that are failures.
pub(super) fn failures(trial: &Trial, transcript: &Transcript) -> Vec<Alarmed> {
    let mut alarms = alarms(trial, transcript);
    alarms.retain(|alarm| alarm.severity == Severity::Must);
    alarms
}

/// The alarms that are broken recommendations, whatever becomes of the trial beside.
pub(crate) fn recommendations(trial: &Trial, transcript: &Transcript) -> Vec<Alarmed> {
    let mut alarms = alarms(trial, transcript);
    alarms.retain(|alarm| alarm.severity == Severity::Should);
    alarms
}

/// Each alarm once, those of one shape counted.
fn alarms(trial: &Trial, transcript: &Transcript) -> Vec<Alarmed> {
    let mut alarms: Vec<Alarmed> = Vec::new();
    if trial.waives(Invariant::Alarm) || !sounds(transcript) {
        return alarms;
    }
    let story = Story::of(trial, transcript);
    let mut said = Said::by_clients(transcript);
    let had_an_answer = transcript.has_rare_answers();
    for event in transcript.server_events() {
        let ServerEvent::Alarm { alarm, began } = event else {
            continue;
        };
        let is_should = alarm.severity() == Severity::Should;
        // Whoever writes down an error that we have made does as it should.
        let is_of_ours = is_should && had_an_answer;
        let is_told = is_should && story.is_told_to_end(*began);
        if is_of_ours || is_told || said.has_words_of(alarm) {
            continue;
        }
        add(&mut alarms, alarmed(alarm, story.occasion(*began)));
    }
    alarms
}

/// Adds an alarm to those that were sounded before.
pub(crate) fn add(alarms: &mut Vec<Alarmed>, alarm: Alarmed) {
    let alike = |other: &&mut Alarmed| other.form == alarm.form && other.shape == alarm.shape;
    match alarms.iter_mut().find(alike) {
        Some(known) => known.times += alarm.times,
        None => alarms.push(alarm),
    }
}

fn alarmed(alarm: &Alarm, occasion: Occasion) -> Alarmed {
    Alarmed {
        form: alarm.form.clone(),
        title: alarm.title.clone(),
        shape: alarm.shape(),
        times: 1,
        occasion,
        severity: alarm.severity(),
        text: alarm.text.clone(),
    }
}

fn sounds(transcript: &Transcript) -> bool {
    let mut events = transcript.server_events();
    events.any(|event| matches!(event, ServerEvent::Alarm { .. }))
}

/// What clients have said, each payload once: a server may log what it is told, and sound thousands of alarms.
struct Said<'a> {
    payloads: HashSet<&'a [u8]>,
    /// Those that are made again where they are looked at.
    parts: Vec<&'a Passage>,
    /// The words that were looked for in them, and whether they are there.
    words: HashMap<&'static str, bool>,
}

impl<'a> Said<'a> {
    fn by_clients(transcript: &'a Transcript) -> Self {
        let said = transcript
            .events
            .iter()
            .filter_map(|event| match &event.what {
                What::Client(_, ClientEvent::Sent(bytes)) => Some(bytes),
                _ => None,
            });
        let parts = said.clone().filter(|bytes| bytes.plain().is_none());
        Self {
            payloads: said.clone().filter_map(Passage::plain).collect(),
            parts: parts.collect(),
            words: HashMap::new(),
        }
    }

    /// Whether the words are among it by which an alarm is known.
    fn has_words_of(&mut self, alarm: &Alarm) -> bool {
        let first = alarm.text.first().map_or("", String::as_str);
        let mut words = alarm.words().filter(|word| first.contains(word));
        words.any(|word| self.has(word))
    }

    fn has(&mut self, word: &'static str) -> bool {
        let is_in = |bytes: &&[u8]| find(bytes, word.as_bytes()).is_some();
        let payloads = self.payloads.iter();
        *self.words.entry(word).or_insert_with(|| {
            let mut parts = self.parts.iter();
            payloads.clone().any(is_in) || parts.any(|part| is_in(&&*part.bytes()))
        })
    }
}

/// Whether a polite client comes in a phase before whom nothing was done to the server.
fn comes_first(phase: Phase) -> bool {
    matches!(phase, Phase::Before | Phase::BystanderConnects)
}

/// What was done, and when.
struct Story<'a> {
    trial: &'a Trial,
    deeds: Vec<(Duration, Deed<'a>)>,
}

#[derive(Clone, Copy)]
enum Deed<'a> {
    Started,
    Came,
    Did(&'a Line),
    ToldToEnd,
}

impl<'a> Story<'a> {
    fn of(trial: &'a Trial, transcript: &Transcript) -> Self {
        let steps = trial.steps(Phase::Scenario);
        let mut phase = Phase::Before;
        let mut deeds = Vec::new();
        for event in &transcript.events {
            let deed = match &event.what {
                What::Phase(next) => {
                    phase = *next;
                    // A report may take its time: who comes behind a scenario is not blamed for what that has done.
                    comes_first(phase).then_some(Deed::Came)
                }
                What::StepBegan(step) if phase == Phase::Scenario => {
                    steps.get(*step).copied().and_then(deed)
                }
                What::Server(ServerEvent::Started { .. }) => Some(Deed::Started),
                What::Server(ServerEvent::Signalled { signal, .. }) if signal.orders_end() => {
                    Some(Deed::ToldToEnd)
                }
                _ => None,
            };
            deeds.extend(deed.map(|deed| (event.at, deed)));
        }
        Self { trial, deeds }
    }

    /// What was done until then, the last first.
    fn until(&self, began: Option<Duration>) -> impl Iterator<Item = Deed<'a>> {
        // They are in the order of their times.
        let until = |began| self.deeds.partition_point(|(at, _)| *at <= began);
        let deeds = self.deeds[..began.map_or(0, until)].iter().rev();
        deeds.map(|(_, deed)| *deed)
    }

    /// Whether the server had been told to end then. How a language ends a program that is told to may be an exception.
    fn is_told_to_end(&self, began: Option<Duration>) -> bool {
        let mut lives = self
            .until(began)
            .take_while(|deed| !matches!(deed, Deed::Started));
        lives.any(|deed| matches!(deed, Deed::ToldToEnd))
    }

    fn occasion(&self, began: Option<Duration>) -> Occasion {
        let mut deeds = self.until(began);
        let deed = deeds.find(|deed| !matches!(deed, Deed::ToldToEnd));
        match deed {
            Some(Deed::Did(line)) => Occasion::After(StepRef::of(line, self.trial.scenario())),
            Some(Deed::Came) => Occasion::Polite,
            Some(Deed::Started | Deed::ToldToEnd) | None => Occasion::Start,
        }
    }
}

/// What a step does to the server, if anything. It may print what it does at a signal before we have noted that it was sent.
fn deed(line: &Line) -> Option<Deed<'_>> {
    match line.step.form().does {
        Does::Signals(signal) if signal.orders_end() => Some(Deed::ToldToEnd),
        does => does.is_deed().then_some(Deed::Did(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Cause, Verdict, judge};
    use crate::model::action::Action;
    use crate::model::alarm_reader::AlarmReader;
    use crate::model::dialogue::{ClientSteps, scenario};
    use crate::model::scenario::{Step, Waiver};
    use crate::model::server_action::{ServerAction, Signal};
    use crate::transcript::event::{ClientId, Event, Exit};

    const PANIC: &str = "thread 'main' panicked at src/main.rs:1:2:\nboom\n";
    const REPORT: &str =
        "==7==ERROR: AddressSanitizer: SEGV\nSUMMARY: AddressSanitizer: SEGV a.c:1 in f\n";

    /// A client that connects and resets.
    fn trial() -> Trial {
        let lines = ClientSteps::of(0).connect().then(Action::Reset).lines();
        let polite = ClientSteps::of(0).connect().then(Action::Close).lines();
        let of = |lines| scenario("case", &[("mallory", 1)], vec![lines]);
        Trial::alone(of(lines)).with(Phase::Before, of(polite))
    }

    fn says(text: &str, began: Option<u64>) -> What {
        let mut reader = AlarmReader::default();
        reader.take_in(text.as_bytes(), ());
        let (_, alarm) = reader.take(true, ()).remove(0);
        let began = began.map(Duration::from_secs);
        let alarm = Box::new(alarm);
        What::Server(ServerEvent::Alarm { alarm, began })
    }

    /// A polite client comes after 1 s, the scenario begins after 2 s, and its second step, a reset, after 4 s.
    fn seen(then: Vec<What>) -> Transcript {
        let story = [
            What::Server(ServerEvent::Started { pid: 7 }),
            What::Phase(Phase::Before),
            What::Phase(Phase::Scenario),
            What::StepBegan(0),
            What::StepBegan(1),
        ];
        let all = (0..).zip(story.into_iter().chain(then));
        let events = all.map(|(second, what)| Event {
            at: Duration::from_secs(second),
            what,
        });
        Transcript::of(events.collect())
    }

    #[test]
    fn alarm_is_held_against_what_was_done_when_it_began() {
        let occasion = |began| {
            let seen = seen(vec![says(PANIC, began)]);
            recommendations(&trial(), &seen).remove(0).occasion
        };
        assert_eq!(occasion(None), Occasion::Start);
        assert_eq!(occasion(Some(1)), Occasion::Polite);
        match occasion(Some(4)) {
            Occasion::After(step) => assert_eq!(step.text, "mallory reset"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn alarms_of_a_shape_are_one_and_what_is_recommended_decides_nothing() {
        let seen = seen(vec![says(PANIC, Some(4)), says(PANIC, Some(5))]);
        let told = recommendations(&trial(), &seen);
        assert_eq!((told.len(), told[0].times), (1, 2));
        assert!(!matches!(judge(&trial(), &seen), Verdict::Fail(_)));
    }

    #[test]
    fn report_says_more_than_the_end_that_it_brings() {
        let end = What::Server(ServerEvent::Exited(Exit::Status(1)));
        let Verdict::Fail(finding) = judge(&trial(), &seen(vec![says(REPORT, Some(4)), end]))
        else {
            panic!("no failure");
        };
        assert_eq!(
            finding.cause.key(),
            "alarm/AddressSanitizer: SEGV a.c:1 in f"
        );
        let also = |evidence: &crate::judge::Evidence| {
            matches!(evidence, crate::judge::Evidence::Also(Cause::Died { .. }))
        };
        assert!(finding.evidence.iter().any(also));
    }

    #[test]
    fn two_deaths_by_one_signal_are_two_findings_where_two_alarms_tell_of_them() {
        const ABORT: i32 = 6;
        let killed = || What::Server(ServerEvent::Exited(Exit::Signal(ABORT)));
        let found = |text: &str, known: &[String]| match judge(
            &trial().knowing(known.to_vec()),
            &seen(vec![says(text, Some(4)), killed()]),
        ) {
            Verdict::Fail(finding) => finding,
            other => panic!("no failure: {other:?}"),
        };
        let heap = found("free(): invalid pointer\n", &[]);
        let known: Vec<_> = heap.causes().map(Cause::key).collect();
        let set = found(
            "*** bit out of range 0 - FD_SETSIZE on fd_set ***: terminated\n",
            &known,
        );
        assert_eq!(heap.cause.key(), "alarm/free(): invalid pointer");
        assert!(set.cause.key().contains("FD_SETSIZE"), "{:?}", set.cause);
        assert!(!known.contains(&set.cause.key()));
    }

    #[test]
    fn report_behind_a_signal_counts_and_a_panic_does_not() {
        let signal = Signal::Term;
        let told = What::Server(ServerEvent::Signalled {
            signal,
            inside: None,
        });
        let seen = seen(vec![told, says(PANIC, Some(6)), says(REPORT, Some(7))]);
        assert_eq!(recommendations(&trial(), &seen), []);
        assert_eq!(failures(&trial(), &seen).len(), 1);
    }

    #[test]
    fn what_a_client_has_sent_is_no_alarm_of_the_server() {
        let id = ClientId { who: 0, member: 0 };
        let sent = ClientEvent::Sent(b"ERROR: AddressSanitizer: SEGV".to_vec().into());
        let seen = seen(vec![What::Client(id, sent), says(REPORT, Some(6))]);
        assert_eq!(failures(&trial(), &seen), []);
    }

    #[test]
    fn waived_alarm_is_not_told() {
        let mut waiving = trial().scenario().clone();
        waiving.waived.push(Waiver {
            invariant: Invariant::Alarm,
            reason: "it is known".to_owned(),
        });
        let seen = seen(vec![says(REPORT, Some(4))]);
        assert_eq!(failures(&trial(), &seen).len(), 1);
        assert_eq!(failures(&Trial::alone(waiving), &seen), []);
    }

    #[test]
    fn alarms_of_one_form_and_two_shapes_are_two() {
        let other = REPORT.replace("a.c:1 in f", "b.c:2 in g");
        let seen = seen(vec![says(REPORT, Some(4)), says(&other, Some(5))]);
        let told = failures(&trial(), &seen);
        let times: Vec<_> = told.iter().map(|alarm| alarm.times).collect();
        assert_eq!(times, [1, 1]);
    }

    /// What was done last, where this comes behind the reset and then an alarm.
    fn occasion_behind(what: Vec<What>) -> Occasion {
        let began = 4 + what.len() as u64;
        let seen = seen([what, vec![says(PANIC, Some(began))]].concat());
        recommendations(&trial(), &seen).remove(0).occasion
    }

    #[test]
    fn polite_client_behind_a_scenario_is_not_blamed_for_what_that_has_done() {
        match occasion_behind(vec![What::Phase(Phase::After)]) {
            Occasion::After(step) => assert_eq!(step.text, "mallory reset"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn steps_of_a_polite_client_are_no_steps_of_the_scenario() {
        let comes = vec![What::Phase(Phase::BystanderConnects), What::StepBegan(1)];
        assert_eq!(occasion_behind(comes), Occasion::Polite);
    }

    #[test]
    fn alarm_of_a_server_that_was_started_again_is_not_of_what_was_done_to_the_one_before() {
        let again = What::Server(ServerEvent::Started { pid: 8 });
        assert_eq!(occasion_behind(vec![again]), Occasion::Start);
    }

    /// A server may print what it does at a signal before anybody has noted that it was sent.
    #[test]
    fn panic_counts_unless_the_server_was_ordered_to_end() {
        let panics = |signal: Signal, noted: bool| {
            let sends = Step::Server(ServerAction::Signal(signal));
            let trial = Trial::alone(scenario("case", &[], vec![vec![sends.into()]]));
            let sent = What::Server(ServerEvent::Signalled {
                signal,
                inside: None,
            });
            let begins = [What::Phase(Phase::Scenario), What::StepBegan(0)];
            let sent = noted.then_some(sent);
            let what: Vec<_> = begins.into_iter().chain(sent).collect();
            let began = 4 + what.len() as u64;
            let seen = seen([what, vec![says(PANIC, Some(began))]].concat());
            recommendations(&trial, &seen).len()
        };
        for noted in [false, true] {
            assert_eq!(panics(Signal::Term, noted), 0, "{noted}");
            assert_eq!(panics(Signal::Hup, noted), 1, "{noted}");
        }
    }
}
