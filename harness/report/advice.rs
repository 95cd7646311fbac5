//! How a server is mended by what is wrong with it, whatever it was that showed it.

use crate::judge::Cause;
use crate::model::invariant::Invariant;
use crate::transcript::event::Exit;

/// What is said of a server that a signal has ended, for those of which there is more to say than of any other end.
const OF_SIGNALS: &[(i32, &str)] = &[
    (
        libc::SIGPIPE,
        "Ignore SIGPIPE, or send with MSG_NOSIGNAL: a write to a client that has gone, or to an output that nobody reads, raises it. \
         Let the error of the write end that conversation and nothing else.",
    ),
    (
        libc::SIGKILL,
        "Find out who sent SIGKILL: the kernel does where memory is at its end (`dmesg` tells), and supervisors do. Bound what is kept \
         for clients.",
    ),
];

/// What is said of a crash by any other signal.
const OF_A_CRASH: &str = "Mend the crash: what the server printed last, a debugger, or a build with -fsanitize=address names the line. Check every length and index \
     that comes from outside, and use nothing after it is freed or closed.";

/// What is said of causes that break no invariant, or that say more than theirs.
const OF_KINDS: &[(&str, &str)] = &[
    (
        "crosstalk",
        "Keep buffers and replies with their connection, not with the process or a descriptor's number, and close each descriptor \
         exactly once.",
    ),
    (
        "interrupted",
        "Repeat a call that was interrupted: a stop and SIGCONT make a wait return EINTR, and that is no error (signal(7)).",
    ),
    (
        "left-unread",
        "Read from each connection until its end of input or an error, also after the client has left.",
    ),
];

/// Matters that the advice of a check is good for where its counterexample shows another one of them.
const ALIKE: &[&[Invariant]] = &[
    &[Invariant::OpenFiles, Invariant::CloseWait],
    &[Invariant::Served, Invariant::Bystanders, Invariant::Queues],
];

impl Cause {
    /// How a server is mended that failed a check for this, where the check has advice of its own and its counterexample breaks it by
    /// what is named: that advice where it is the same matter, else what is to be said of this cause whoever comes upon it.
    pub(crate) fn fix(&self, own: &str, shown: &str) -> String {
        let is_own = self.is_alike(shown);
        match self.exit().and_then(of_signal) {
            Some(advice) => advice.to_owned(),
            None if self.is_crash() && is_own => format!("{own} {OF_A_CRASH}"),
            None if self.is_crash() => OF_A_CRASH.to_owned(),
            None if is_own => own.to_owned(),
            None => self.advice().unwrap_or(own).to_owned(),
        }
    }

    /// What is to be said of it whoever comes upon it. That a client is not served comes of what was done to the server: that is said
    /// by who did it.
    fn advice(&self) -> Option<&'static str> {
        let of_kind = OF_KINDS.iter().find(|(kind, _)| *kind == self.kind());
        let of_invariant = || {
            self.invariant()
                .filter(|broken| *broken != Invariant::Served)
        };
        of_kind
            .map(|(_, advice)| *advice)
            .or_else(|| of_invariant().map(Invariant::fix))
    }

    /// The name of the invariant that is broken, or of the kind where it is none.
    fn matter(&self) -> &'static str {
        self.invariant()
            .map_or_else(|| self.kind(), Invariant::name)
    }

    fn is_alike(&self, shown: &str) -> bool {
        let is_one = |invariant: &Invariant| invariant.name() == shown;
        let mut alike = ALIKE.iter().filter(|all| all.iter().any(is_one));
        let broken = self.invariant();
        self.matter() == shown
            || alike.any(|all| broken.is_some_and(|broken| all.contains(&broken)))
    }
}

fn of_signal(exit: Exit) -> Option<&'static str> {
    let row = OF_SIGNALS
        .iter()
        .find(|(signal, _)| exit == Exit::Signal(*signal));
    row.map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::Step;
    use crate::judge::{Growth, Unit};
    use crate::model::figure::Figure;

    const OWN: &str = "Do what the check is about.";

    fn died(exit: Exit) -> Cause {
        Cause::Died { exit, after: None }
    }

    fn left(figure: Figure) -> Cause {
        let doses = vec![Step { units: 3, added: 3 }];
        Cause::Left(Growth {
            figure,
            unit: Unit::Connection,
            doses,
        })
    }

    #[test]
    fn what_a_check_is_about_is_mended_as_it_says() {
        assert_eq!(died(Exit::Status(1)).fix(OWN, "alive"), OWN);
        assert_eq!(left(Figure::Sockets).fix(OWN, "open-files"), OWN);
        // The same descriptor is told by either figure.
        assert_eq!(left(Figure::Sockets).fix(OWN, "close-wait"), OWN);
        assert_eq!(Cause::Queued { connections: 2 }.fix(OWN, "served"), OWN);
        assert_eq!(
            Cause::DidNotStart {
                reason: String::new()
            }
            .fix(OWN, "alive"),
            OWN
        );
    }

    #[test]
    fn what_another_thing_broke_is_mended_as_that_is() {
        let of = |cause: Cause, shown| cause.fix(OWN, shown);
        assert_eq!(
            of(died(Exit::Status(1)), "step-failed"),
            Invariant::Alive.fix()
        );
        assert_eq!(
            of(left(Figure::Sockets), "alive"),
            Invariant::OpenFiles.fix()
        );
        assert_eq!(
            of(left(Figure::Threads), "open-files"),
            Invariant::Threads.fix()
        );
        let not_served = Cause::NotServed {
            step: Box::new(Cause::FileRemoved),
        };
        assert_eq!(of(not_served, "alive"), OWN, "what was done is why");
        assert!(of(Cause::LeftUnread, "alive").contains("Read from each connection"));
    }

    #[test]
    fn signal_that_ended_a_server_says_more_than_any_check() {
        for shown in ["alive", "step-failed"] {
            let piped = died(Exit::Signal(libc::SIGPIPE)).fix(OWN, shown);
            assert!(piped.starts_with("Ignore SIGPIPE"), "{piped}");
            let killed = died(Exit::Signal(libc::SIGKILL)).fix(OWN, shown);
            assert!(killed.contains("SIGKILL"), "{killed}");
        }
        let crashed = died(Exit::Signal(libc::SIGSEGV));
        assert_eq!(crashed.fix(OWN, "step-failed"), OF_A_CRASH);
        assert_eq!(crashed.fix(OWN, "alive"), format!("{OWN} {OF_A_CRASH}"));
    }

    #[test]
    fn advice_of_a_kind_is_of_one_that_there_is() {
        let step = || Box::new(Cause::FileRemoved);
        let of = String::new();
        let all = [
            Cause::Crosstalk { of, step: step() },
            Cause::Interrupted { step: step() },
            Cause::LeftUnread,
        ];
        assert_eq!(all.len(), OF_KINDS.len());
        for cause in all {
            let row = OF_KINDS.iter().find(|(kind, _)| *kind == cause.kind());
            assert_eq!(cause.advice(), row.map(|(_, advice)| *advice));
            assert!(cause.advice().is_some(), "{}", cause.kind());
        }
    }
}
