//! Doubts: why a trial proves nothing, and why a requirement is not looked at.

use super::cause::{Cause, Growth, StepRef};
use super::choice::Choice;
use super::deeds::Deed;
use super::thresholds::STARVED_FROM_A;
use super::verdict::Verdict;
use crate::model::flood::Flood;
use crate::model::form::Over;
use crate::model::limits::STEP_WITHIN;
use crate::model::need::Unmet;
use crate::model::profile::Transport;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::transcript::event::{Exit, Transcript};
use crate::transcript::fault::Fault;
use std::time::Duration;

/// Why nothing is proven: one variant a reason. The sentences are the report's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A fault is not proven to have happened.
    Unproven {
        /// The fault.
        fault: Fault,
        /// What was seen instead.
        evidence: String,
    },
    /// Our own host refused what a client needed.
    HostRefused {
        /// What it refused.
        fault: Fault,
        /// What it said.
        evidence: String,
    },
    /// The server makes no call that the rare answer of a step could be given to: it has nothing to do with this server.
    NoSuchCall(NoSuchCall),
    /// The undisturbed server did not serve a polite client.
    NotServedBefore {
        /// What that client did not get.
        step: Box<Cause>,
        /// How the server ended, where it did.
        exit: Option<Exit>,
    },
    /// The server does not rest, and uses hardly any processor time either.
    TooLittleToCallBusy {
        /// What it was expected to show.
        step: Box<Cause>,
    },
    /// The server ended a connection whose client we had kept silent for longer than the server promises to wait, or than
    /// the scenario says where nothing is promised.
    SilentByUs {
        /// What the client did not get.
        step: Box<Cause>,
        /// How long it was silent.
        silent: Duration,
        /// How long a client may be, where that is promised.
        timeout: Option<Duration>,
    },
    /// The server ended a connection whose client had been about its request for longer than the server promises to wait for
    /// the whole of it.
    SlowByUs {
        /// What the client did not get.
        step: Box<Cause>,
        /// For how long its request had been under way.
        under_way: Duration,
        /// How long it may be.
        timeout: Duration,
    },
    /// The server may do on purpose what it was seen to do, and its profile says nothing of that.
    Chosen {
        /// What the client did not get.
        step: Box<Cause>,
        /// What the server may have chosen.
        choice: Choice,
    },
    /// What was done to the server accounts for it.
    Excused {
        /// What was not shown.
        step: Box<Cause>,
        /// What was done.
        deed: Deed,
    },
    /// The kernel dropped datagrams that did not fit a receive buffer.
    KernelDropped {
        /// What the client did not get.
        step: Box<Cause>,
        /// How many.
        datagrams: u64,
    },
    /// The server has not done it, and may still do it: a thread of it waits with a time-out.
    NotYet {
        /// What it has not done.
        step: Box<Cause>,
        /// How long it was looked on at.
        after: Duration,
    },
    /// It was not shown, and nothing tells whether the server, which somebody else has started, is still at work.
    Unseen {
        /// What the client did not get.
        step: Box<Cause>,
        /// How long it was waited for.
        after: Duration,
    },
    /// It failed, and when it was repeated it did not: others may have had to do with a server that somebody else has started.
    NotAgain {
        /// What it failed by.
        cause: Box<Cause>,
        /// How often it failed.
        failed: usize,
        /// Of how many times.
        tries: usize,
    },
    /// The kernel dropped the client's handshake when the server's accept queue was full, and has not repeated it since there
    /// is room.
    KeptOut {
        /// What the client did not get.
        step: Box<Cause>,
        /// For how long it asked.
        after: Duration,
    },
    /// The server's first process has ended, as nobody had asked it to, and the server goes on.
    InBackground {
        /// How it ended.
        exit: Exit,
    },
    /// Bytes were still arriving when the limit ran out.
    StillArriving {
        /// What the client did not get.
        step: Box<Cause>,
    },
    /// More came than is kept, and what is not kept would decide.
    Unkept {
        /// What the client did not get, as far as is known.
        step: Box<Cause>,
        /// How many bytes had come.
        bytes: usize,
    },
    /// The server was still reading when the limit ran out, and had not read all.
    StillReading {
        /// What was not shown.
        step: Box<Cause>,
    },
    /// The harness itself did not get to run for a good part of the limit.
    Starved {
        /// What was not shown in time.
        step: Box<Cause>,
        /// For how long.
        by: Duration,
    },
    /// What must not come at once came late enough by no more than the time for which the harness, or the server, did not get to
    /// run.
    MayBeTooSoon {
        /// Who waited for it.
        client: String,
        /// Before which time it must not come.
        after: Duration,
        /// When it came, as was seen.
        waited: Duration,
        /// For how long nobody ran.
        by: Duration,
    },
    /// What was to come within a limit came later, and the server or the harness was kept from running for so much of the time that it
    /// may have been in time otherwise.
    MayBeTooLate {
        /// How long it was waited for.
        waited: Duration,
        /// How much of that the server could not use.
        lost: Duration,
    },
    /// Something still grew when there was no time left to tell a leak from a pool, or from a heap that is collected late.
    StillGrows(Growth),
    /// Something was left by each connection, and the scenario could not be taken again to tell a leak by that.
    Unrepeatable(Growth),
    /// The first conversation with the server has failed already.
    Unserved {
        /// What came of it.
        verdict: Box<Verdict>,
    },
    /// The server could not be started again.
    NotStarted {
        /// Why, as who started it tells.
        reason: String,
    },
    /// The server did something wrong, which is not what the check is about.
    Referred {
        /// What it did.
        cause: Box<Cause>,
        /// The checks that are about it.
        see: &'static [&'static str],
    },
    /// The server could not be started at all.
    CouldNotRun {
        /// Why, as who started it tells.
        reason: String,
    },
    /// The run, which has found something, was over before.
    OutOfRun {
        /// For how long such a run goes on.
        within: Duration,
    },
    /// It failed on a server that other checks had left as they found it, and on a fresh one it did not.
    SecondHand {
        /// What it failed by.
        cause: Box<Cause>,
        /// The checks that had used the server before, oldest first.
        used_by: Vec<&'static str>,
    },
    /// The budget of the run was over before.
    OutOfBudget {
        /// How much time there was.
        budget: Duration,
        /// Whether it had been begun.
        begun: bool,
    },
    /// What the check itself may take was used up before.
    OutOfCheckBudget {
        /// How much time there was.
        budget: Duration,
        /// Whether it had been begun, or the first look at the server took that long.
        begun: bool,
    },
    /// So much had failed before that nothing more was to be begun.
    EnoughFailed {
        /// How much.
        failed: usize,
    },
    /// The user has ended the run before.
    Interrupted {
        /// Whether it had been begun.
        begun: bool,
    },
    /// Too many of the cases that were drawn prove nothing.
    CasesUnproven {
        /// How many prove nothing.
        unproven: usize,
        /// Of how many.
        all: usize,
        /// Why the first of them does not.
        first: Box<Self>,
    },
}

impl Doubt {
    /// What must never come may be among so many bytes that nobody has kept.
    pub(super) fn unkept(bytes: usize) -> Self {
        Self::Unproven {
            fault: Fault::Step("never".to_owned()),
            evidence: format!("{bytes} bytes that came are not kept"),
        }
    }

    /// The kind of doubt, permanent.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unproven { .. } => "unproven",
            Self::HostRefused { .. } => "host-refused",
            Self::NoSuchCall(_) => "no-such-call",
            Self::NotServedBefore { .. } => "not-served-before",
            Self::TooLittleToCallBusy { .. } => "too-little-to-call-busy",
            Self::SilentByUs { .. } => "silent-by-us",
            Self::SlowByUs { .. } => "slow-by-us",
            Self::Chosen { .. } => "chosen",
            Self::Excused { deed, .. } => match deed {
                Deed::Killed => "killed",
                Deed::ToldToEnd(_) => "told-to-end",
                Deed::FilesLimited(_) => "files-limited",
                Deed::Deferred => "deferred",
            },
            Self::KernelDropped { .. } => "kernel-dropped",
            Self::NotYet { .. } => "not-yet",
            Self::Unseen { .. } => "unseen",
            Self::NotAgain { .. } => "not-again",
            Self::KeptOut { .. } => "kept-out",
            Self::InBackground { .. } => "in-background",
            Self::StillArriving { .. } => "still-arriving",
            Self::Unkept { .. } => "unkept",
            Self::StillReading { .. } => "still-reading",
            Self::Starved { .. } => "starved",
            Self::MayBeTooSoon { .. } => "may-be-too-soon",
            Self::MayBeTooLate { .. } => "may-be-too-late",
            Self::StillGrows(_) => "still-grows",
            Self::Unrepeatable(_) => "unrepeatable",
            Self::Unserved { .. } => "unserved",
            Self::NotStarted { .. } => "not-started",
            Self::Referred { .. } => "referred",
            Self::CouldNotRun { .. } => "could-not-run",
            Self::OutOfRun { .. } => "out-of-run",
            Self::SecondHand { .. } => "second-hand",
            Self::OutOfBudget { .. } => "out-of-budget",
            Self::OutOfCheckBudget { .. } => "out-of-check-budget",
            Self::EnoughFailed { .. } => "enough-failed",
            Self::Interrupted { .. } => "interrupted",
            Self::CasesUnproven { .. } => "cases-unproven",
        }
    }

    /// Whether another try may come to a conclusion. What a host refuses it refuses again; what takes time, or a word in the
    /// profile, does so once more; and where a fault was waited for in vain while nobody lacked a processor, or a state was that
    /// the server did not come to by itself, it is no matter of chance or of load.
    pub(crate) fn may_pass(&self, seen: &Transcript) -> bool {
        match self {
            Self::NotYet { .. }
            | Self::Unseen { .. }
            | Self::NotAgain { .. }
            | Self::StillReading { .. }
            | Self::Chosen { .. }
            | Self::SecondHand { .. }
            | Self::InBackground { .. }
            | Self::Unrepeatable(_)
            | Self::NoSuchCall(_)
            | Self::HostRefused { .. } => false,
            Self::Unproven { fault, .. } => {
                let is_a_race = !fault.is_of_a_state() && seen.waited_in_vain() < STEP_WITHIN;
                is_a_race || seen.starved() * STARVED_FROM_A > STEP_WITHIN
            }
            _ => true,
        }
    }

    /// Whether it was waited for in vain for as long as anything is.
    pub(crate) fn is_of_time(&self) -> bool {
        matches!(
            self,
            Self::NotYet { .. } | Self::Unseen { .. } | Self::StillGrows(_)
        )
    }

    /// Whether what was seen says more than the reason does.
    pub(crate) fn has_a_story(&self) -> bool {
        !matches!(
            self,
            Self::Chosen { .. }
                | Self::Unserved { .. }
                | Self::NotStarted { .. }
                | Self::CouldNotRun { .. }
                | Self::OutOfRun { .. }
                | Self::OutOfBudget { .. }
                | Self::OutOfCheckBudget { .. }
                | Self::EnoughFailed { .. }
                | Self::Interrupted { .. }
                | Self::Referred { .. }
        )
    }

    /// Whether what a server was found to have chosen explains another failure of the same kind, too.
    pub(crate) fn explains(&self, verdict: &Verdict) -> bool {
        match (self, verdict) {
            (Self::Chosen { step, choice }, Verdict::Fail(finding)) => {
                step.kind() == finding.cause.kind() && choice.explains(&finding.cause)
            }
            _ => false,
        }
    }
}

/// A rare answer to which there was no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoSuchCall {
    /// The step that was to give it.
    pub(crate) step: String,
    /// What the server did instead.
    pub(crate) evidence: String,
}

/// Why a requirement is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Something that the check needs is not given.
    Unmet(Unmet),
    /// A client that has not spoken is kept from the server by the kernel, as the server has asked it to.
    Deferred,
    /// The server makes no call of the kind that the check is about.
    NoSuchCall(NoSuchCall),
    /// A step of the scenario does not happen over the server's transport.
    NotOver {
        /// The step.
        step: StepRef,
        /// What it happens over.
        over: Over,
        /// What the server is reached over.
        transport: Transport,
    },
    /// The check has no scenario for this server.
    NothingToDo,
    /// A step is done to the server's processes, or looks at them, and somebody else has started it.
    NotOurs {
        /// The step.
        step: StepRef,
    },
    /// Only the server's end of the connection shows whether a step has happened, and it is on another host.
    NotSeen {
        /// The step.
        step: StepRef,
    },
    /// A step connects to another host than the server's, and nothing keeps it in a network of its own.
    OtherHost {
        /// The step.
        step: StepRef,
    },
    /// It floods a server that somebody else has started.
    Floods(Flood),
    /// It takes more descriptors than this host gives to one process.
    TooFewDescriptors {
        /// How many it takes.
        needed: u64,
        /// How many there are for it.
        given: u64,
    },
}

impl Skip {
    /// Why a scenario is not run: it reaches further than it may, or, with a server that somebody else has started, takes what only
    /// who starts one has.
    pub(crate) fn out_of_reach(subject: &Subject, scenario: &Scenario) -> Option<Self> {
        if let Some(line) = scenario.first_to_another_host(subject) {
            let step = StepRef::of(line, scenario);
            return Some(Self::OtherHost { step });
        }
        if !subject.is_elsewhere {
            return None;
        }
        if let Some(line) = scenario.first_of_server() {
            let step = StepRef::of(line, scenario);
            return Some(Self::NotOurs { step });
        }
        if let Some(line) = scenario
            .first_seen_at_the_server()
            .filter(|_| subject.is_far())
        {
            let step = StepRef::of(line, scenario);
            return Some(Self::NotSeen { step });
        }
        let flood = Flood::of(scenario).filter(|_| !subject.may_be_flooded);
        flood.map(Self::Floods)
    }

    /// Why a scenario is not run with a server that is reached over this transport, where it cannot happen over it.
    pub(crate) fn over(transport: Transport, scenario: &Scenario) -> Option<Self> {
        let line = scenario.first_impossible_over(transport)?;
        Some(Self::NotOver {
            step: StepRef::of(line, scenario),
            over: line.step.form().over,
            transport,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::verdict::Finding;
    use crate::model::action::{Action, ConnectOptions};
    use crate::model::address::Address;
    use crate::model::data::Excerpt;
    use crate::model::dialogue::{ClientSteps, scenario, server_does};
    use crate::model::expectation::{Expectation, ServerExpectation};
    use crate::model::profile::Profile;
    use crate::model::scenario::Line;
    use crate::model::server_action::ServerAction;
    use crate::model::subject::Place;
    use crate::transcript::event::{Ended, Event, What};
    use crate::transcript::instead::{Got, Instead};

    /// A trial in which a fault was waited for in vain for so long, while somebody lacked a processor for so long.
    fn seen(seconds: u64, lacked_ms: u64) -> Transcript {
        let missing = What::Proof {
            fault: Box::new(Fault::Sent),
            shown: false,
            evidence: String::new(),
        };
        let starved = What::Starved(Duration::from_millis(lacked_ms));
        let event = |seconds: u64, what| Event {
            at: Duration::from_secs(seconds),
            what,
        };
        let then = 60 + seconds;
        Transcript::of(vec![
            event(60, What::StepBegan(1)),
            event(then, missing),
            event(then, starved),
        ])
    }

    #[test]
    fn fault_is_waited_for_again_where_that_may_have_been_chance_or_load() {
        let unproven = Doubt::Unproven {
            fault: Fault::Sent,
            evidence: String::new(),
        };
        assert!(unproven.may_pass(&seen(1, 0)), "a race that was lost");
        assert!(unproven.may_pass(&seen(10, 2_000)), "a loaded host");
        assert!(!unproven.may_pass(&seen(10, 100)), "time that is spent");
        let unproven = Doubt::Unproven {
            fault: Fault::RequiredOfServer(ServerExpectation::Descriptor(1_024)),
            evidence: String::new(),
        };
        assert!(!unproven.may_pass(&seen(1, 0)), "it rests as it is");
        assert!(unproven.may_pass(&seen(1, 2_000)), "a loaded host");
    }

    #[test]
    fn what_a_host_refuses_is_not_asked_for_again() {
        let refused = Doubt::HostRefused {
            fault: Fault::Sent,
            evidence: "EPERM".to_owned(),
        };
        assert!(!refused.may_pass(&seen(1, 0)));
    }

    #[test]
    fn what_a_server_chose_explains_failures_of_its_kind_that_it_may_cause() {
        let reset = |text: &str| Cause::StepFailed {
            client: "alice".to_owned(),
            expected: Box::new(Expectation::Silence),
            how: Ended::Settled,
            instead: Instead::Got(Got::Bytes(Excerpt::of(text.as_bytes()))),
            took: Vec::new(),
        };
        let fails = |cause| {
            Verdict::Fail(Finding {
                cause,
                halt: None,
                evidence: Vec::new(),
            })
        };
        let says = Doubt::Chosen {
            step: Box::new(reset("bye\n")),
            choice: Choice::SaysUnasked {
                texts: vec![b"bye\n".to_vec()],
                after: Duration::from_secs(1),
                was_served: true,
            },
        };
        assert!(says.explains(&fails(reset("bye\n"))));
        assert!(!says.explains(&fails(reset("what?\n"))));
        assert!(!says.explains(&fails(Cause::LeftUnread)));
        assert!(!says.explains(&Verdict::Pass));
        let still = Doubt::StillReading {
            step: Box::new(Cause::LeftUnread),
        };
        assert!(!still.explains(&fails(Cause::LeftUnread)));
        // What was chosen is told whole in the reason; what was seen of the other says more.
        assert!(!says.has_a_story());
        assert!(still.has_a_story());
    }

    #[test]
    fn step_that_a_transport_does_not_have_is_named_where_its_case_is_skipped() {
        let resets = ClientSteps::of(0).connect().then(Action::Reset).lines();
        let resets = scenario("case", &[("mallory", 1)], vec![resets]);
        assert_eq!(Skip::over(Transport::Tcp, &resets), None);
        let Some(Skip::NotOver {
            step, transport, ..
        }) = Skip::over(Transport::Udp, &resets)
        else {
            panic!("there is no reset over UDP");
        };
        assert_eq!(step.text, "mallory reset");
        assert_eq!(transport, Transport::Udp);
    }

    /// Why these steps are not taken with a server that somebody else has started, or nobody else, at this address.
    fn skipped(is_elsewhere: bool, ip: [u8; 4], lines: &[Line]) -> Option<&'static str> {
        let place = Place {
            address: Address::Inet((ip, 80).into()),
            ..Place::on(Transport::Tcp)
        };
        let subject = Subject {
            is_elsewhere,
            ..Subject::of(Profile::unknown(), place)
        };
        let case = scenario("case", &[("crowd", 60_000)], vec![lines.to_vec()]);
        Skip::out_of_reach(&subject, &case).map(|skip| match skip {
            Skip::OtherHost { .. } => "another host",
            Skip::NotOurs { .. } => "not ours",
            Skip::NotSeen { .. } => "not seen",
            Skip::Floods(_) => "floods",
            _ => "something else",
        })
    }

    #[test]
    fn server_that_somebody_else_has_started_is_not_stopped_or_flooded_nor_looked_into_from_afar() {
        const HERE: [u8; 4] = [127, 0, 0, 1];
        const FAR: [u8; 4] = [192, 0, 2, 1];
        let stop = [server_does(ServerAction::Stop)];
        assert_eq!(skipped(false, HERE, &stop), None);
        assert_eq!(skipped(true, HERE, &stop), Some("not ours"));
        let taken = ClientSteps::of(0).require(Expectation::Accepted).lines();
        assert_eq!(skipped(true, HERE, &taken), None);
        assert_eq!(skipped(true, FAR, &taken), Some("not seen"));
        let crowd = ClientSteps::of(0).connect().lines();
        assert_eq!(skipped(true, HERE, &crowd), Some("floods"));
        assert_eq!(skipped(false, HERE, &crowd), None);
        let to = Some([192, 0, 2, 2].into());
        let away = Action::Connect(ConnectOptions {
            to,
            ..ConnectOptions::default()
        });
        let away = ClientSteps::of(0).then(away).lines();
        assert_eq!(skipped(false, HERE, &away), Some("another host"));
    }

    #[test]
    fn what_was_waited_for_as_long_as_anything_is_a_matter_of_time() {
        let step = || {
            let lines = ClientSteps::of(0).connect().lines();
            let case = scenario("case", &[("alice", 1)], vec![lines]);
            StepRef::of(&case.lines[0], &case)
        };
        let after = Duration::from_secs(30);
        let cause = || {
            Box::new(Cause::Died {
                exit: Exit::Status(1),
                after: Some(step()),
            })
        };
        let unseen = Doubt::Unseen {
            step: cause(),
            after,
        };
        assert!(unseen.is_of_time());
        let starved = Doubt::Starved {
            step: cause(),
            by: after,
        };
        assert!(!starved.is_of_time());
    }
}
