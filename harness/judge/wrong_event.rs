//! The event of a transcript that was not to happen.

use super::cause::Cause;
use super::verdict::Halt;
use crate::transcript::event::{ClientEvent, ClientId, Event, EventLine, Told, What};
use crate::transcript::instead::Instead;

/// Which event shows a cause, if one does: how the server, or a process of it, ended, or what ended the step that failed; `client` is
/// whom the cause is about.
pub(super) fn wrong_event(
    lines: &[EventLine],
    cause: &Cause,
    halt: Option<&Halt>,
    client: Option<&str>,
) -> Option<usize> {
    if let Some(exit) = cause.exit() {
        let exit = exit.to_string();
        let ends = |line: &EventLine| is_of(line, "server") && line.text.contains(&exit);
        return lines.iter().position(ends);
    }
    if matches!(cause, Cause::DidNotStart { .. }) {
        return lines
            .iter()
            .rposition(|line| is_of(line, "server") && line.text.starts_with("does not start"));
    }
    if let Cause::Forbidden { client, at, .. } = cause {
        let who = client.as_deref().unwrap_or("server");
        return lines
            .iter()
            .position(|line| line.at == *at && is_of(line, who));
    }
    let (instead, halt) = (cause.instead()?, halt?);
    lines.iter().rposition(|line| match client {
        _ if line.at > halt.at => false,
        _ if line.tells_of_a_step => line.at == halt.at,
        Some(client) => is_of(line, client) && shows(line, instead),
        None => is_of(line, "server"),
    })
}

/// Of the reads up to the one that is told at a place, the one with the first byte that is not what was owed: what was read behind it
/// is not what is wrong. Events other than reads stay what they are.
pub(super) fn with_the_wrong_byte(
    events: &[Event],
    told: &[Told<'_>],
    last: usize,
    halt: &Halt,
) -> usize {
    let read = told.get(last).and_then(|told| read(told.event));
    let behind = halt.difference.as_ref().and_then(|difference| {
        let behind = difference.actual_bytes.checked_sub(difference.offset)?;
        (behind > 0).then_some(behind)
    });
    let (Some((id, _)), Some(behind)) = (read, behind) else {
        return last;
    };
    let Some(at) = read_before(events, id, behind, halt) else {
        return last;
    };
    let holds = |told: &Told<'_>| is_read_of(told.event, id) && told.event.at <= at.at;
    told[..=last].iter().rposition(holds).unwrap_or(last)
}

/// The read of a client with the byte that stands so far before the end of all that it had read when a step was over.
fn read_before<'a>(
    events: &'a [Event],
    id: ClientId,
    behind: usize,
    halt: &Halt,
) -> Option<&'a Event> {
    let before = events.iter().rev().skip_while(|event| event.at > halt.at);
    let mut of_the_phase = before.take_while(|event| !matches!(event.what, What::Phase(_)));
    let mut length = 0;
    of_the_phase.find(|event| {
        length += match read(event) {
            Some((of, bytes)) if of == id => bytes,
            _ => 0,
        };
        length >= behind
    })
}

fn is_read_of(event: &Event, id: ClientId) -> bool {
    read(event).is_some_and(|(of, _)| of == id)
}

/// Who has read, and how many bytes.
fn read(event: &Event) -> Option<(ClientId, usize)> {
    match &event.what {
        What::Client(id, ClientEvent::Received(bytes)) => Some((*id, bytes.len())),
        _ => None,
    }
}

fn is_of(line: &EventLine, who: &str) -> bool {
    line.who.as_deref() == Some(who)
}

/// Whether a client sees in an event what it was not to see: bytes, or else how its connection ended or was not made. What it
/// does itself, and what the kernel tells of it, it does not see.
fn shows(line: &EventLine, instead: &Instead) -> bool {
    let mut begins = match instead {
        Instead::Wrong { .. } | Instead::Got(_) | Instead::GotBeforeEnd(_) => ["< \""].iter(),
        // How far the server reads no client sees.
        Instead::AllRead | Instead::ReadOn => [].iter(),
        Instead::NotSecured(_) => ["* TLS fails"].iter(),
        _ => ["< ", "is ", "> fails"].iter(),
    };
    begins.any(|begin| line.text.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::StepRef;
    use crate::model::data::Data;
    use crate::model::expectation::{End, Expectation, ServerExpectation};
    use crate::model::passage::Passage;
    use crate::model::phase::Phase;
    use crate::transcript::difference::{Difference, Escaped};
    use crate::transcript::event::{Ended, Exit, Transcript};
    use crate::transcript::instead::Got;
    use std::time::Duration;

    fn line(at: u64, who: Option<&str>, text: &str) -> EventLine {
        EventLine {
            at: Duration::from_millis(at),
            who: who.map(str::to_owned),
            text: text.to_owned(),
            tells_of_a_step: who.is_none(),
            is_wrong: false,
        }
    }

    fn transcript() -> Vec<EventLine> {
        vec![
            line(0, Some("server"), "listens"),
            line(1, Some("alice"), "> \"hel\""),
            line(2, Some("alice"), "< \"HEL\""),
            line(3, Some("bob"), "< \"HELLO\""),
            line(4, Some("alice"), "< fin"),
            line(5, Some("alice"), "* server's socket is gone"),
            line(6, Some("server"), "exited with status 1"),
            line(6, None, "* nothing more within 1s"),
            line(7, Some("alice"), "< \"late\""),
            line(8, Some("bob"), "* TLS fails: no"),
            line(8, Some("bob"), "< fin"),
        ]
    }

    fn step_failed(instead: Instead) -> Cause {
        Cause::StepFailed {
            client: "alice".to_owned(),
            expected: Box::new(Expectation::Silence),
            how: Ended::Done,
            instead,
            took: Vec::new(),
        }
    }

    fn halt(over: u64) -> Halt {
        Halt {
            step: StepRef {
                line: 3,
                text: String::new(),
                step: None,
            },
            at: Duration::from_millis(over),
            round: 1,
            difference: None,
        }
    }

    /// The text of the event that is wrong, where the step was over at this time.
    fn wrong(cause: &Cause, over: u64, client: Option<&str>) -> Option<String> {
        let lines = transcript();
        let at = wrong_event(&lines, cause, Some(&halt(over)), client)?;
        Some(lines[at].text.clone())
    }

    #[test]
    fn what_ended_a_step_is_wrong_and_not_what_others_see_or_what_comes_later() {
        let got = || Instead::GotBeforeEnd(Got::Nothing);
        let of_alice = |instead, over| wrong(&step_failed(instead), over, Some("alice"));
        assert_eq!(of_alice(got(), 5).unwrap(), "< \"HEL\"");
        assert_eq!(of_alice(Instead::Ended(End::Fin), 5).unwrap(), "< fin");
        let waited = of_alice(Instead::SoFar(Got::Nothing), 6);
        assert_eq!(waited.unwrap(), "* nothing more within 1s");
        assert_eq!(of_alice(got(), 1), None);
        let failed = step_failed(Instead::NotSecured("no".to_owned()));
        let fails = wrong(&failed, 8, Some("bob"));
        assert_eq!(fails.unwrap(), "* TLS fails: no");
    }

    /// The read that is told with a wrong byte so far into what came, where these were read one after the other.
    fn told_wrong(reads: &[(u64, &str)], over: u64, offset: usize) -> String {
        let scenario = crate::model::dialogue::scenario("case", &[("alice", 1)], vec![]);
        let id = ClientId { who: 0, member: 0 };
        let at = |at, what| Event {
            at: Duration::from_millis(at),
            what,
        };
        let read = |(when, text): &(u64, &str)| {
            let bytes = Passage::all(&Data::literal(text.as_bytes()), 0);
            // What stands between reads keeps them from being one.
            let deed = at(*when - 1, What::Client(id, ClientEvent::HalfClosed));
            [
                deed,
                at(*when, What::Client(id, ClientEvent::Received(bytes))),
            ]
        };
        let began = at(0, What::Phase(Phase::Scenario));
        let events: Vec<Event> = [began]
            .into_iter()
            .chain(reads.iter().flat_map(read))
            .collect();
        let came = |(when, _): &&(u64, &str)| *when <= over;
        let came: String = reads.iter().filter(came).map(|(_, text)| *text).collect();
        let seen = Transcript::of(events);
        let told = seen.told(&scenario);
        let lines: Vec<EventLine> = told.iter().map(|told| told.line.clone()).collect();
        let halt = Halt {
            difference: Some(Difference {
                offset,
                from: 0,
                expected: None,
                actual: Escaped(came.clone().into_bytes()),
                expected_bytes: None,
                actual_bytes: came.len(),
                goes_on_at: None,
            }),
            ..halt(over)
        };
        let cause = step_failed(Instead::GotBeforeEnd(Got::Nothing));
        let last = wrong_event(&lines, &cause, Some(&halt), Some("alice")).unwrap();
        let wrong = with_the_wrong_byte(seen.before_repeats(), &told, last, &halt);
        lines[wrong].text.clone()
    }

    #[test]
    fn read_with_the_first_wrong_byte_is_wrong_and_not_what_was_read_behind_it() {
        let reads = [(10, "abc"), (20, "dXf"), (30, "ghi"), (40, "jkl")];
        assert_eq!(told_wrong(&reads, 30, 4), "< \"dXf\"");
        assert_eq!(told_wrong(&reads, 30, 2), "< \"abc\"");
        assert_eq!(told_wrong(&reads, 30, 3), "< \"dXf\"");
        assert_eq!(told_wrong(&reads, 30, 6), "< \"ghi\"");
        // What is missing is in no read.
        assert_eq!(told_wrong(&reads, 30, 9), "< \"ghi\"");
    }

    #[test]
    fn end_of_the_server_is_wrong_where_that_is_the_cause() {
        let exit = Exit::Status(1);
        let died = Cause::Died { exit, after: None };
        let otherwise = Cause::ServerStepFailed {
            expected: ServerExpectation::Exit(Some(3)),
            how: Ended::Done,
            instead: Instead::Exited(exit),
        };
        for cause in [died, otherwise] {
            assert_eq!(wrong(&cause, 0, None).unwrap(), "exited with status 1");
        }
        assert_eq!(wrong(&Cause::LeftUnread, 9, None), None);
    }
}
