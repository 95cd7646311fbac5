//! Judging: from what was seen of a trial to the one verdict on it.

use super::alarms;
use super::cause::Cause;
use super::doubt::{Doubt, NoSuchCall, Skip};
use super::ending::{deafness, deafness_so_far, ended_by, last_exit, unexpected_end};
use super::failed_step::{FailedStep, first_failed_step};
use super::forbidden::{Forbidden, forbidden};
use super::growth;
use super::haste::hidden_haste;
use super::interrupted::with_its_interruption;
use super::invariants::{invariants, left_so_far};
use super::verdict::{Evidence, Finding, Halt, Verdict};
use super::wrong_event::{with_the_wrong_byte, wrong_event};
use crate::model::expectation::Expectation;
use crate::model::limits::LOOK_ON_FOR;
use crate::model::phase::Phase;
use crate::model::trial::Trial;
use crate::transcript::event::{EventLine, ServerEvent, Transcript, What};
use crate::transcript::fault::Fault;
use crate::transcript::instead::Instead;
use crate::transcript::story::story;

/// Judges what was seen.
pub(crate) fn judge(trial: &Trial, transcript: &Transcript) -> Verdict {
    let failure = first_failed_step(trial, transcript);
    let early =
        |failed: &&FailedStep| matches!(failed.phase, Phase::Before | Phase::BystanderConnects);
    let alarms = alarms::failures(trial, transcript);
    let texts: Vec<_> = alarms.iter().map(|alarm| alarm.text.clone()).collect();
    let alarms = alarms.into_iter().map(Cause::Alarm);
    // What says itself what is wrong says more than how it ended for that.
    let death = unexpected_end(trial, transcript);
    let leaves = |_: &&Cause| texts.is_empty() && is_in_background(transcript);
    if let Some(Cause::Died { exit, .. }) = death.as_ref().filter(leaves) {
        return Verdict::Inconclusive(Doubt::InBackground { exit: *exit });
    }
    let (came, unkept) = match forbidden(trial, transcript) {
        Forbidden::Came(cause) => (Some(cause), None),
        Forbidden::Unkept(bytes) => (None, Some(Doubt::unkept(bytes))),
        Forbidden::DidNotCome => (None, None),
    };
    let mut grave = alarms.chain(death).chain(came).peekable();
    let is_grave = grave.peek().is_some();
    // A death is the server's fault in every phase: it may be late fruit of what an earlier trial did to it.
    if let Some(failed) = failure.as_ref().filter(early).filter(|_| !is_grave) {
        return Verdict::Inconclusive(Doubt::NotServedBefore {
            step: Box::new(failed.cause.clone()),
            exit: last_exit(transcript),
        });
    }
    let deafness = deafness(trial, transcript);
    if let Some(doubt) = refused(transcript, &Fault::Room) {
        return Verdict::Inconclusive(doubt);
    }
    if let Some(doubt) = refused(transcript, &Fault::OwnSocket).filter(|_| !is_grave) {
        return Verdict::Inconclusive(doubt);
    }
    if let Some(doubt) = without_backend(transcript).filter(|_| !is_grave) {
        return Verdict::Inconclusive(doubt);
    }
    let broken = invariants(trial, transcript);
    let failed = failure.as_ref().map(FailedStep::in_its_phase);
    let failed = failed.map(|step| with_its_end(step, transcript));
    let causes = grave.chain(deafness).chain(failed).chain(broken);
    let causes = causes.map(|cause| with_its_interruption(cause, transcript));
    let mut causes = news_first(causes, trial);
    let Some(cause) = causes.next() else {
        if is_deferred(transcript) {
            return Verdict::Skip(Skip::Deferred);
        }
        let doubt = not_yet(trial, transcript)
            .or_else(|| uncalled(transcript))
            .or_else(|| unproven(transcript))
            .or(unkept)
            .or_else(|| hidden_haste(trial, transcript))
            .or_else(|| grace(transcript))
            .or_else(|| growth::open(trial, transcript).map(Doubt::StillGrows))
            .or_else(|| growth::untold(trial, transcript).map(Doubt::Unrepeatable));
        return doubt.map_or(Verdict::Pass, Verdict::Inconclusive);
    };
    let others: Vec<Cause> = causes.collect();
    let ours = failure
        .as_ref()
        .filter(|_| others.is_empty() && !cause.is_of_the_server())
        .and_then(|failed| failed.blames_us(trial, transcript));
    match ours {
        Some(doubt) => Verdict::Inconclusive(doubt),
        None => {
            let halt = failure.map(|failed| failed.halt);
            Verdict::Fail(Finding {
                evidence: evidence(trial, transcript, (&cause, halt.as_ref()), others, texts),
                halt: halt.map(Box::new),
                cause,
            })
        }
    }
}

/// The causes that no simpler scenario has shown, and then those that are known. Who did not get something of a server that had
/// ended did not get it for that reason.
fn news_first(causes: impl Iterator<Item = Cause>, trial: &Trial) -> impl Iterator<Item = Cause> {
    let causes: Vec<Cause> = causes.collect();
    let has_ended = causes.iter().any(Cause::is_an_end);
    let is_told = |cause: &Cause| {
        trial.known.contains(&cause.key()) || has_ended && !cause.is_of_the_server()
    };
    let (known, news): (Vec<_>, Vec<_>) = causes.into_iter().partition(is_told);
    news.into_iter().chain(known)
}

/// What a server did not show, with the signal that had ended it, where that is not said yet.
fn with_its_end(step: Cause, transcript: &Transcript) -> Cause {
    let says_so = matches!(
        step,
        Cause::ServerStepFailed {
            instead: Instead::Exited(_),
            ..
        }
    );
    match ended_by(transcript).filter(|_| !says_so) {
        Some((signal, exit)) => Cause::EndedBySignal {
            signal,
            exit,
            step: Box::new(step),
        },
        None => step,
    }
}

/// Why the harness could not play its part, if it is this that was refused.
fn refused(transcript: &Transcript, what: &Fault) -> Option<Doubt> {
    let mut unproven = transcript.unproven();
    let (fault, evidence) = unproven.find(|(fault, _)| *fault == what)?;
    Some(Doubt::HostRefused {
        fault: fault.clone(),
        evidence: evidence.to_owned(),
    })
}

/// What came too late by the clock, and may have come in time by what the server could use of it.
fn grace(transcript: &Transcript) -> Option<Doubt> {
    let mut events = transcript.before_repeats().iter();
    events.find_map(|event| match event.what {
        What::Server(ServerEvent::Grace { waited, lost }) => {
            Some(Doubt::MayBeTooLate { waited, lost })
        }
        _ => None,
    })
}

/// What of a server is not held against it: one that stands behind it has ended, and nobody had told that to.
fn without_backend(transcript: &Transcript) -> Option<Doubt> {
    let mut unproven = transcript.unproven();
    let (fault, evidence) = unproven.find(|(fault, _)| matches!(fault, Fault::Backend(_)))?;
    Some(Doubt::Unproven {
        fault: fault.clone(),
        evidence: evidence.to_owned(),
    })
}

/// Whether the server goes on without its first process, and none of the others has crashed.
fn is_in_background(transcript: &Transcript) -> bool {
    let events = || transcript.server_events();
    let crashes = |event: &ServerEvent| matches!(event, ServerEvent::ProcessEnded { exit, .. } if exit.is_crash());
    events().any(|event| matches!(event, ServerEvent::InBackground)) && !events().any(crashes)
}

/// Whether a case asks for a client in the server's hands that has not spoken, of a server that has the kernel keep such.
fn is_deferred(transcript: &Transcript) -> bool {
    let accepted = Fault::Required(Expectation::Accepted);
    transcript.shows_deferral() && transcript.unproven().any(|(fault, _)| *fault == accepted)
}

/// A rare answer for which the server has made no call.
fn uncalled(transcript: &Transcript) -> Option<Doubt> {
    let mut unproven = transcript.unproven();
    unproven.find_map(|(fault, evidence)| match fault {
        Fault::Called(step) => Some(Doubt::NoSuchCall(NoSuchCall {
            step: step.clone(),
            evidence: evidence.to_owned(),
        })),
        _ => None,
    })
}

fn unproven(transcript: &Transcript) -> Option<Doubt> {
    let (fault, evidence) = transcript.unproven().next()?;
    Some(Doubt::Unproven {
        fault: fault.clone(),
        evidence: evidence.to_owned(),
    })
}

/// What the server has not put right, and may still put right.
fn not_yet(trial: &Trial, transcript: &Transcript) -> Option<Doubt> {
    let step = left_so_far(trial, transcript).or_else(|| deafness_so_far(trial, transcript));
    let step = Box::new(step?);
    let after = LOOK_ON_FOR;
    Some(Doubt::NotYet { step, after })
}

fn evidence(
    trial: &Trial,
    transcript: &Transcript,
    (cause, halt): (&Cause, Option<&Halt>),
    others: Vec<Cause>,
    alarms: Vec<Vec<String>>,
) -> Vec<Evidence> {
    let client = client_of(cause);
    let told = transcript.told(trial.scenario());
    let mut lines: Vec<EventLine> = told.iter().map(|told| told.line.clone()).collect();
    let wrong = wrong_event(&lines, cause, halt, client.as_deref());
    let events = transcript.before_repeats();
    let wrong = wrong.map(|last| match halt {
        Some(halt) => with_the_wrong_byte(events, &told, last, halt),
        None => last,
    });
    if let Some(line) = wrong.and_then(|at| lines.get_mut(at)) {
        line.is_wrong = true;
    }
    let story = story(&lines, client.as_deref());
    let others = others.into_iter().map(Evidence::Also);
    others
        .chain(alarms.into_iter().map(Evidence::Alarm))
        .chain(last_exit(transcript).map(Evidence::Exit))
        .chain(transcript.last_output().map(Evidence::Output))
        .chain((story.left_out > 0).then_some(Evidence::LeftOut(story.left_out)))
        .chain(story.lines.into_iter().map(Evidence::Event))
        .collect()
}

/// The client that a cause is about, as events name it.
fn client_of(cause: &Cause) -> Option<String> {
    match cause {
        Cause::NotServed { .. } => Some("polite client after".to_owned()),
        Cause::Disturbed { .. } => Some("bystander".to_owned()),
        Cause::StepFailed { client, .. } => Some(client.clone()),
        Cause::Forbidden { client, .. } => client.clone(),
        Cause::Crosstalk { step, .. }
        | Cause::EndedBySignal { step, .. }
        | Cause::Interrupted { step } => client_of(step),
        // The step that it ended after begins with who took it.
        Cause::Died { after, .. } | Cause::ProcessDied { after, .. } => {
            let words = &after.as_ref()?.text;
            let client = words.split_whitespace().next();
            client
                .filter(|client| *client != "server")
                .map(str::to_owned)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::StepRef;
    use crate::transcript::event::{Ended, Exit};
    use crate::transcript::instead::Got;

    #[test]
    fn evidence_is_of_the_client_that_a_cause_is_about() {
        let step = || {
            Box::new(Cause::StepFailed {
                client: "alice".to_owned(),
                expected: Box::new(Expectation::Silence),
                how: Ended::Settled,
                instead: Instead::SoFar(Got::Nothing),
                took: Vec::new(),
            })
        };
        let died_after = |text: Option<&str>| Cause::Died {
            exit: Exit::Status(1),
            after: text.map(|text| StepRef {
                line: 3,
                text: text.to_owned(),
                step: None,
            }),
        };
        let of_bob = Cause::Crosstalk {
            of: "bob".to_owned(),
            step: step(),
        };
        let of = [
            (*step(), Some("alice")),
            (of_bob, Some("alice")),
            (
                Cause::NotServed { step: step() },
                Some("polite client after"),
            ),
            (Cause::Disturbed { step: step() }, Some("bystander")),
            (died_after(Some("mallory reset")), Some("mallory")),
            (died_after(Some("server stop")), None),
            (died_after(None), None),
            (Cause::LeftUnread, None),
        ];
        for (cause, client) in of {
            assert_eq!(client_of(&cause).as_deref(), client, "{cause}");
        }
    }
}
