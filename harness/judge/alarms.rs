//! The invariant *alarm*: what a server, or what watches it, says itself of a defect.

use super::cause::{Alarmed, Occasion, StepRef};
use crate::model::alarm::Alarm;
use crate::model::check::Severity;
use crate::model::invariant::Invariant;
use crate::model::phase::Phase;
use crate::model::scenario::Line;
use crate::model::trial::Trial;
use crate::transcript::event::{ClientEvent, ServerEvent, Transcript, What};
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
    for event in transcript.server_events() {
        let ServerEvent::Alarm { alarm, began } = event else {
            continue;
        };
        let is_should = alarm.severity() == Severity::Should;
        if is_should && story.is_told_to_end(*began) || was_sent(alarm, transcript) {
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

/// Whether a client has sent the words: a server may log what it is told.
fn was_sent(alarm: &Alarm, transcript: &Transcript) -> bool {
    let first = alarm.text.first().map_or("", String::as_str);
    let said: Vec<&str> = alarm.words().filter(|word| first.contains(word)).collect();
    transcript.events.iter().any(|event| match &event.what {
        What::Client(_, ClientEvent::Sent(bytes)) => {
            let sent = String::from_utf8_lossy(bytes);
            said.iter().any(|said| sent.contains(said))
        }
        _ => false,
    })
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
                    (phase != Phase::Scenario).then_some(Deed::Came)
                }
                What::StepBegan(step) if phase == Phase::Scenario => {
                    let line = steps.get(*step).copied();
                    line.filter(|line| line.step.form().does.is_deed())
                        .map(Deed::Did)
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
        let deeds = self.deeds.iter().rev();
        let deeds = deeds.filter(move |(at, _)| began.is_some_and(|began| *at <= began));
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
