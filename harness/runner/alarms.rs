//! Alarms that are broken recommendations: what they come to beside the verdict of a check in which they were heard.

use crate::judge::{Alarmed, Cause, Evidence, Finding, Verdict, add_alarm};
use crate::model::check::Severity;
use std::cell::RefCell;

/// The alarms of all trials that were made for one purpose.
#[derive(Debug, Default)]
pub(super) struct Heard(RefCell<Vec<Alarmed>>);

impl Heard {
    /// Adds those of a trial.
    pub(super) fn add(&self, alarms: Vec<Alarmed>) {
        let mut heard = self.0.borrow_mut();
        for alarm in alarms {
            add_alarm(&mut heard, alarm);
        }
    }

    /// All that was heard.
    pub(super) fn all(self) -> Vec<Alarmed> {
        self.0.into_inner()
    }

    /// The verdict with what was heard: a failure keeps its cause, and is told of them; whatever else it is, the first of them
    /// is a failure.
    pub(super) fn beside(&self, verdict: Verdict) -> Verdict {
        let mut heard = self.0.take().into_iter();
        let verdict = match verdict {
            Verdict::Fail(_) => verdict,
            other => match heard.next() {
                Some(first) => alone(first, other),
                None => return other,
            },
        };
        told_of(verdict, heard)
    }
}

/// A failure by an alarm alone.
fn alone(alarm: Alarmed, otherwise: Verdict) -> Verdict {
    let text = Evidence::Alarm(alarm.text.clone());
    let doubt = match otherwise {
        Verdict::Inconclusive(doubt) => Some(Evidence::Unproven(doubt)),
        _ => None,
    };
    Verdict::Fail(Finding {
        cause: Cause::Alarm(alarm),
        halt: None,
        evidence: [text].into_iter().chain(doubt).collect(),
    })
}

fn told_of(verdict: Verdict, alarms: impl Iterator<Item = Alarmed>) -> Verdict {
    let Verdict::Fail(mut finding) = verdict else {
        return verdict;
    };
    let told = alarms.flat_map(|alarm| {
        let text = Evidence::Alarm(alarm.text.clone());
        [Evidence::Also(Cause::Alarm(alarm)), text]
    });
    // Behind how often it failed, and before its story.
    let first = finding.evidence.first();
    let behind = usize::from(matches!(
        first,
        Some(Evidence::FailedOf { .. } | Evidence::Alarm(_))
    ));
    finding.evidence.splice(behind..behind, told);
    Verdict::Fail(finding)
}

/// Whether a failure is by such an alarm, which a run fails by with `--strict` only.
pub(super) fn is_recommended(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Fail(Finding { cause: Cause::Alarm(alarm), .. }) if alarm.severity == Severity::Should
    )
}
