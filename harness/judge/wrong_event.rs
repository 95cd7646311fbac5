//! The event of a transcript that was not to happen.

use super::cause::Cause;
use super::verdict::Halt;
use crate::transcript::event::EventLine;
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
    use crate::model::expectation::{End, Expectation, ServerExpectation};
    use crate::transcript::event::{Ended, Exit};
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

    /// The text of the event that is wrong, where the step was over at this time.
    fn wrong(cause: &Cause, over: u64, client: Option<&str>) -> Option<String> {
        let halt = Halt {
            step: StepRef {
                line: 3,
                text: String::new(),
                step: None,
            },
            at: Duration::from_millis(over),
            round: 1,
            difference: None,
        };
        let lines = transcript();
        let at = wrong_event(&lines, cause, Some(&halt), client)?;
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
