//! What a step was to show and did not, in words: what the kernel knows of it, and not the step's own word.

use crate::judge::Cause;
use crate::model::expectation::{End, Expectation, ServerExpectation};
use crate::model::literal::Shown;
use crate::transcript::event::Ended;
use crate::transcript::fault::Fault;
use crate::transcript::instead::{Got, Instead};
use std::fmt;

/// ` within 1s`, where a limit ran out.
struct Limit(Ended);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ended::OutOfTime(limit) => write!(f, " within {}", Shown(limit)),
            Ended::Done
            | Ended::Settled
            | Ended::StandsStill(_)
            | Ended::NotYet(_)
            | Ended::KeptOut(_) => Ok(()),
        }
    }
}

/// What a client was owed and did not see.
pub(super) fn of_client(
    client: &str,
    expected: &Expectation,
    how: Ended,
    instead: &Instead,
) -> String {
    let within = Limit(how);
    let has_come = |what: &str| match instead {
        Instead::SoFar(Got::Nothing) => format!("{what}{within}"),
        other => format!("{what}{within}: {other}"),
    };
    let rests = match (instead, how) {
        (Instead::SoFar(_), Ended::Settled) => {
            ": it waits, all queues are empty, and nothing more will come".to_owned()
        }
        (Instead::SoFar(_), Ended::StandsStill(unread)) => {
            format!(": it waits, does not read {unread} bytes, and nothing more will come")
        }
        _ => String::new(),
    };
    match expected {
        _ if matches!(instead, Instead::AcceptQueue(_)) => {
            format!("{}{within}", not_taken(client, instead))
        }
        Expectation::End { .. } => match instead {
            Instead::SoFar(Got::Nothing) => {
                format!("the server did not close {client}'s connection{within}{rests}")
            }
            Instead::SoFar(got) => {
                format!(
                    "the server sent {client} {got} and did not close the connection{within}{rests}"
                )
            }
            Instead::Got(_) | Instead::GotBeforeEnd(_) => {
                format!("{client}'s connection was to end by {expected}, and {client} {instead}")
            }
            other => format!("{client}'s connection was to end by {expected}, and {other}"),
        },
        Expectation::HeldBack => {
            format!("{client}, who reads nothing of it, was to be held back{within}, and {instead}")
        }
        Expectation::Full => has_come(&format!("{client}'s queue did not become full of replies")),
        Expectation::Connected => has_come(&format!("{client} could not connect")),
        Expectation::Secured => {
            let what = format!("{client}'s TLS handshake was not completed");
            let read_no_more = match how {
                Ended::StandsStill(unread) => format!(", and does not read {unread} bytes"),
                _ => String::new(),
            };
            match instead {
                Instead::SoFar(_) if !rests.is_empty() => {
                    format!("{what}, and nothing more will come: the server waits{read_no_more}")
                }
                Instead::SoFar(_) => format!("{what}{within}"),
                other => format!("{what}{within}: {other}"),
            }
        }
        Expectation::Accepted => {
            has_come(&format!("the server did not accept {client}'s connection"))
        }
        Expectation::Taken => has_come(&format!("the server did not read what {client} had sent")),
        Expectation::Refused => format!("{client} was to be refused, and {instead}"),
        Expectation::Open => format!("{client}'s connection was to stay open, and {instead}"),
        Expectation::Silence | Expectation::Nothing => {
            format!("{client} was to hear nothing, and {instead}")
        }
        Expectation::NotBefore { after, .. } if matches!(instead, Instead::TooSoon { .. }) => {
            let after = Shown(*after);
            format!(
                "{client} was to wait {after} for {}, and {instead}",
                shown(expected)
            )
        }
        Expectation::NotBefore { what, .. } => of_client(client, what, how, instead),
        Expectation::Data(_)
        | Expectation::OneOf(_)
        | Expectation::Template(_)
        | Expectation::DataOrSilence(_)
        | Expectation::Pending
        | Expectation::TimeWait => {
            let rests = match (instead, how) {
                (Instead::SoFar(_), Ended::Settled) => {
                    " and nothing more will come: the server waits, all queues are empty".to_owned()
                }
                (Instead::SoFar(_), Ended::StandsStill(unread)) => format!(
                    " and nothing more will come: the server waits, and does not read {unread} bytes"
                ),
                _ => String::new(),
            };
            format!(
                "{client} expected {}{within}, {instead}{rests}",
                shown(expected)
            )
        }
    }
}

/// What was expected and what was the case instead, where a step was to show something.
pub(super) fn pair(cause: &Cause) -> Option<(String, String)> {
    match cause {
        Cause::StepFailed {
            expected,
            how,
            instead,
            ..
        } => Some((
            format!("{}{}", shown(expected), Limit(*how)),
            instead.to_string(),
        )),
        Cause::ServerStepFailed {
            expected,
            how,
            instead,
        }
        | Cause::BackendStepFailed {
            expected,
            how,
            instead,
            ..
        } => Some((format!("{expected}{}", Limit(*how)), instead.to_string())),
        Cause::Crosstalk { of, step } => {
            let (expected, actual) = pair(step)?;
            Some((expected, format!("{actual}: bytes of {of}")))
        }
        Cause::NotServed { step }
        | Cause::Disturbed { step }
        | Cause::EndedBySignal { step, .. }
        | Cause::Interrupted { step } => pair(step),
        _ => None,
    }
}

/// What was expected, cut where it is long, as what came is.
fn shown(expected: &Expectation) -> String {
    match expected {
        Expectation::Data(data) => data.excerpt(),
        Expectation::DataOrSilence(data) => format!("{} or silence", data.excerpt()),
        Expectation::Template(template) => template.excerpt(),
        Expectation::OneOf(all) => all.iter().map(shown).collect::<Vec<_>>().join(" or "),
        Expectation::NotBefore { what, .. } => shown(what),
        other => other.to_string(),
    }
}

/// What the server was to show and did not.
pub(super) fn of_server(expected: &ServerExpectation, how: Ended, instead: &Instead) -> String {
    let within = Limit(how);
    if let Instead::Exited(_) = instead {
        return format!("{}, and {instead}", owed(expected));
    }
    match (expected, instead) {
        (ServerExpectation::Exit(None), Instead::Runs) => format!("the server did not end{within}"),
        (ServerExpectation::Gone, Instead::Processes(left)) => {
            format!("{left} of the server's processes are left{within}")
        }
        (ServerExpectation::AcceptQueue(0), Instead::AcceptQueue(Some(connections))) => {
            format!("{}{within}", queued(*connections))
        }
        (
            ServerExpectation::Rest,
            Instead::Busy {
                toil: Some(toil), ..
            },
        ) if let Some(files) = toil.lacks_files() => {
            let queued = queued(toil.queued);
            format!(
                "with no descriptor left, for it has all of {files}, the server does not come to rest{within}: {instead}, \
                 while {queued}"
            )
        }
        (ServerExpectation::Rest, busy) => {
            format!("the server does not come to rest{within}: {busy}")
        }
        (ServerExpectation::Output(_), Instead::NotPrinted) => {
            format!("the server has not printed {}{within}", printed(expected))
        }
        _ => format!("{}{within}, and {instead}", owed(expected)),
    }
}

/// A client whose connection is not accepted.
fn not_taken(client: &str, instead: &Instead) -> String {
    match instead {
        Instead::AcceptQueue(Some(many @ 2..)) => format!(
            "{client}'s connection is one of {many} that lie in the accept queue, and nobody takes them"
        ),
        _ => format!("{client}'s connection lies in the accept queue, and nobody takes it"),
    }
}

/// Connections that are not accepted.
pub(super) fn queued(connections: u32) -> String {
    match connections {
        1 => "a connection lies in the accept queue, and nobody takes it".to_owned(),
        many => format!("{many} connections lie in the accept queue, and nobody takes them"),
    }
}

fn owed(expected: &ServerExpectation) -> String {
    match expected {
        ServerExpectation::Exit(None) => "the server was to end".to_owned(),
        ServerExpectation::Exit(Some(status)) => {
            format!("the server was to end with status {status}")
        }
        other => format!("the server was to show {}", state(other)),
    }
}

fn printed(expected: &ServerExpectation) -> String {
    let form = expected.to_string();
    form.split_once(' ')
        .map_or_else(|| form.clone(), |(_, text)| text.to_owned())
}

/// A state of the server, as the kernel shows it.
fn state(expected: &ServerExpectation) -> String {
    match expected {
        ServerExpectation::Exit(None) => "its end".to_owned(),
        ServerExpectation::Exit(Some(status)) => format!("its end with status {status}"),
        ServerExpectation::Gone => "that none of its processes is left".to_owned(),
        ServerExpectation::AcceptQueue(length) => {
            format!("{length} connections in its accept queue")
        }
        ServerExpectation::Backlog(limit) => format!("a backlog of {limit}"),
        ServerExpectation::TimeWait => "a connection of its own in TIME_WAIT".to_owned(),
        ServerExpectation::NoTimeWait => "no connection of its own in TIME_WAIT".to_owned(),
        ServerExpectation::Rest => "rest".to_owned(),
        ServerExpectation::Output(_) => format!("the output {}", printed(expected)),
        ServerExpectation::OutOfFiles => "that it is out of descriptors".to_owned(),
        ServerExpectation::Answered => "that its calls have had every rare answer".to_owned(),
        ServerExpectation::Descriptor(number) => format!("descriptor {number} in use"),
    }
}

/// What was done or required, of which there is no proof.
pub(super) fn unproven(fault: &Fault) -> String {
    match fault {
        Fault::RequiredOfServer(what) => format!("the server did not show {}", state(what)),
        Fault::Required(what) => match what {
            Expectation::Accepted => "the server did not accept the client's connection".to_owned(),
            Expectation::Taken => "the server did not read what the client had sent".to_owned(),
            Expectation::HeldBack => "the client was not held back".to_owned(),
            Expectation::Full => "replies still fit the client's queue".to_owned(),
            Expectation::Connected => "the client could not connect".to_owned(),
            Expectation::Secured => "the client's TLS handshake was not completed".to_owned(),
            Expectation::Nothing | Expectation::Silence => {
                "something had come for the client already: an answer, or the end of its connection"
                    .to_owned()
            }
            Expectation::TimeWait => {
                "the client's end of the connection is not in TIME_WAIT".to_owned()
            }
            Expectation::End { kinds, .. } if kinds.as_slice() == [End::Fin] => {
                "the server did not close the connection".to_owned()
            }
            other => format!("the client did not see {}", shown(other)),
        },
        Fault::Backend(name) => format!("the backend {name} was not there"),
        Fault::SameAddress => {
            "the second instance did not ask for the address of the first".to_owned()
        }
        fault => format!("{fault} is not proven to have happened"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Doubt;
    use crate::kernel::Toil;
    use std::time::Duration;

    fn busy(toil: Toil) -> Instead {
        Instead::Busy {
            percent: 98,
            spins: false,
            toil: Some(toil),
        }
    }

    #[test]
    fn what_the_kernel_knows_of_a_loop_is_said() {
        let toil = Toil {
            kernel_percent: Some(83),
            all_files: Some(12),
            queued: 5,
            ..Toil::default()
        };
        let how = Ended::OutOfTime(Duration::from_secs(5));
        let said = |toil| of_server(&ServerExpectation::Rest, how, &busy(toil));
        assert_eq!(
            said(toil),
            "with no descriptor left, for it has all of 12, the server does not come to rest within 5s: it uses 98 % of \
             a processor, 83 % of that in the kernel, while 5 connections lie in the accept queue, and nobody takes them"
        );
        let rested = Toil { queued: 0, ..toil };
        assert_eq!(
            said(rested),
            "the server does not come to rest within 5s: it uses 98 % of a processor, 83 % of that in the kernel"
        );
        let reads = Toil {
            reads: 210_000,
            ..Toil::default()
        };
        let cause = Cause::Busy {
            percent: 98,
            toil: Some(reads),
        };
        assert_eq!(
            cause.to_string(),
            "the server has nothing to do and uses 98 % of a processor, and calls read 210000 times a second"
        );
    }

    #[test]
    fn handshake_that_is_not_completed_is_told_with_what_was_seen() {
        let told = |how, instead| of_client("alice", &Expectation::Secured, how, &instead);
        let nothing = || Instead::SoFar(Got::Nothing);
        let limit = Ended::OutOfTime(Duration::from_secs(2));
        let what = "alice's TLS handshake was not completed";
        assert_eq!(told(limit, nothing()), format!("{what} within 2s"));
        let rests = format!("{what}, and nothing more will come: the server waits");
        assert_eq!(told(Ended::Settled, nothing()), rests);
        let unread = format!("{rests}, and does not read 100 bytes");
        assert_eq!(told(Ended::StandsStill(100), nothing()), unread);
        let failed = Instead::NotSecured("the server ended it".to_owned());
        let why = format!("{what}: the server ended it");
        assert_eq!(told(Ended::Done, failed), why);
    }

    #[test]
    fn server_that_reads_on_is_told_in_one_sentence() {
        let step = Box::new(Cause::StepFailed {
            client: "mallory".to_owned(),
            expected: Box::new(Expectation::HeldBack),
            how: Ended::OutOfTime(Duration::from_secs(20)),
            instead: Instead::ReadOn,
            took: Vec::new(),
        });
        let told = "mallory, who reads nothing of it, was to be held back within 20s, and the server read on and on; where it \
                    stops is not known";
        assert_eq!(Doubt::StillReading { step }.to_string(), told);
    }
}
