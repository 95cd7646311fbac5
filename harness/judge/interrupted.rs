//! Whether nothing but that it was stopped and continued had reached a server that then ended, or ended a connection.
//!
//! SIGSTOP cannot be caught and does nothing to a process but keep it from running; still, calls such as epoll_wait(2), and recv(2)
//! with a time-out, fail with EINTR once it runs again (signal(7), "Interruption of system calls and library functions by stop
//! signals").

use super::cause::Cause;
use crate::transcript::event::{ClientEvent, ServerEvent, Transcript, What};

/// The same cause, as what it is where the interruption is proven to be behind it.
pub(super) fn with_its_interruption(cause: Cause, transcript: &Transcript) -> Cause {
    let is_an_end = match &cause {
        Cause::Died { .. } | Cause::ProcessDied { .. } => true,
        cause => cause.instead().is_some_and(|instead| instead.is_an_end()),
    };
    match is_an_end && is_interrupted(transcript) {
        true => Cause::Interrupted {
            step: Box::new(cause),
        },
        false => cause,
    }
}

/// Whether the first end after a stop came before anything else had reached the server.
fn is_interrupted(transcript: &Transcript) -> bool {
    let (mut is_stopped, mut runs_again) = (false, false);
    for event in transcript.before_repeats() {
        match &event.what {
            What::Server(ServerEvent::Stopped) => (is_stopped, runs_again) = (true, false),
            What::Server(ServerEvent::Continued) => runs_again = is_stopped,
            What::Server(ServerEvent::Exited(_) | ServerEvent::ProcessEnded { .. })
            | What::Client(_, ClientEvent::Ended(_)) => return is_stopped && runs_again,
            What::Server(ServerEvent::Signalled { .. } | ServerEvent::Killed) => is_stopped = false,
            What::Client(_, event) if reaches_the_server(event) => is_stopped = false,
            _ => {}
        }
    }
    false
}

/// Whether a server notices what a client did.
fn reaches_the_server(event: &ClientEvent) -> bool {
    matches!(
        event,
        ClientEvent::Connecting
            | ClientEvent::Connected { .. }
            | ClientEvent::Sent(_)
            | ClientEvent::SentPart(_)
            | ClientEvent::Hello { .. }
            | ClientEvent::SentOfRecords(_)
            | ClientEvent::SaidAll
            | ClientEvent::SentWithoutSource(_)
            | ClientEvent::HalfClosed
            | ClientEvent::Reset
            | ClientEvent::Closed
            | ClientEvent::Vanished
            | ClientEvent::Reading
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::Cause;
    use crate::model::expectation::{End, Expectation};
    use crate::model::invariant::Invariant;
    use crate::model::server_action::Signal;
    use crate::transcript::event::{ClientId, Ended, Event, Exit};
    use crate::transcript::instead::{Got, Instead};
    use std::time::Duration;

    const STOPPED: What = What::Server(ServerEvent::Stopped);
    const CONTINUED: What = What::Server(ServerEvent::Continued);

    fn client(event: ClientEvent) -> What {
        What::Client(ClientId { who: 0, member: 0 }, event)
    }

    fn seen(what: &[What]) -> Transcript {
        let events = what.iter().map(|what| Event {
            at: Duration::ZERO,
            what: what.clone(),
        });
        Transcript {
            events: events.collect(),
            began: None,
        }
    }

    fn with_an_end(before: &[What]) -> Transcript {
        let end = client(ClientEvent::Ended(End::Fin));
        seen(&[before, &[end]].concat())
    }

    #[test]
    fn end_after_a_stop_is_of_the_interruption_where_nothing_else_came() {
        let sent = || client(ClientEvent::Sent(b"x".to_vec().into()));
        let signal = What::Server(ServerEvent::Signalled {
            signal: Signal::Hup,
            inside: None,
        });
        for (before, is_of_it) in [
            (vec![STOPPED, CONTINUED], true),
            (vec![sent(), STOPPED, CONTINUED], true),
            (
                vec![STOPPED, client(ClientEvent::Accepted), CONTINUED],
                true,
            ),
            (vec![], false),
            (vec![STOPPED], false),
            (vec![CONTINUED], false),
            (vec![STOPPED, sent(), CONTINUED], false),
            (vec![STOPPED, CONTINUED, sent()], false),
            (vec![STOPPED, CONTINUED, STOPPED], false),
            (
                vec![STOPPED, CONTINUED, client(ClientEvent::HalfClosed)],
                false,
            ),
            (vec![STOPPED, CONTINUED, client(ClientEvent::Closed)], false),
            (vec![STOPPED, CONTINUED, signal], false),
            (
                vec![STOPPED, CONTINUED, What::Server(ServerEvent::Killed)],
                false,
            ),
        ] {
            assert_eq!(
                is_interrupted(&with_an_end(&before)),
                is_of_it,
                "{before:?}"
            );
        }
        let exit = What::Server(ServerEvent::Exited(Exit::Status(1)));
        assert!(is_interrupted(&seen(&[STOPPED, CONTINUED, exit])));
        assert!(!is_interrupted(&seen(&[STOPPED, CONTINUED])));
    }

    #[test]
    fn cause_that_is_no_end_is_none_of_an_interruption() {
        let seen = with_an_end(&[STOPPED, CONTINUED]);
        let step = |instead| Cause::StepFailed {
            client: "alice".to_owned(),
            expected: Box::new(Expectation::Open),
            how: Ended::Done,
            instead,
            took: Vec::new(),
        };
        let ended = || step(Instead::Ended(End::Fin));
        let interrupted = with_its_interruption(ended(), &seen);
        assert_eq!(interrupted.key(), "interrupted/step-failed/fin");
        assert_eq!(interrupted.step(), &ended());
        assert_eq!(interrupted.instead(), Some(&Instead::Ended(End::Fin)));
        assert!(!interrupted.is_an_end() && !interrupted.is_crash());
        assert_eq!((interrupted.invariant(), interrupted.exit()), (None, None));
        let silent = step(Instead::SoFar(Got::Nothing));
        assert_eq!(with_its_interruption(silent.clone(), &seen), silent);
        let undisturbed = with_an_end(&[]);
        assert_eq!(with_its_interruption(ended(), &undisturbed), ended());
        let died = Cause::Died {
            exit: Exit::Signal(11),
            after: None,
        };
        let died = with_its_interruption(died, &seen);
        assert_eq!(died.key(), "interrupted/died/signal-11");
        assert!(died.is_an_end() && died.is_crash());
        assert_eq!(died.invariant(), Some(Invariant::Alive));
        assert_eq!(died.exit(), Some(Exit::Signal(11)));
    }
}
