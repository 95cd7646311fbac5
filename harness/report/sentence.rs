//! Verdicts in words: every sentence that a report has for a cause, a doubt, or a fact that bears it out.

use super::step;
use crate::judge::{
    Alarmed, Cause, Choice, Deed, Doubt, Evidence, Growth, NoSuchCall, Occasion, Skip, StepRef,
    Unit, Verdict, text_of,
};
use crate::model::figure::Figure;
use crate::model::literal::{Measured, Shown};
use crate::model::need::Unmet;
use crate::model::profile::{Drops, Framing, TooLong};
use crate::model::subject::Broken;
use crate::transcript::event::Exit;
use crate::transcript::server_state::SecondInstance;
use std::fmt;

/// How far something had come.
fn how_far(begun: bool) -> &'static str {
    if begun { "concluded" } else { "tried" }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died { exit, after: None } => write!(f, "the server {exit}"),
            Self::Died {
                exit,
                after: Some(step),
            } => write!(f, "the server {exit} after `{}`", step.text),
            Self::ProcessDied {
                exit,
                worker,
                after,
            } => {
                match worker {
                    Some(name) => write!(f, "a worker of the server ({name}) {exit}")?,
                    None => write!(f, "a process of the server {exit}")?,
                }
                match after {
                    Some(step) => write!(f, " after `{}`", step.text),
                    None => Ok(()),
                }
            }
            Self::NoLongerListens => f.write_str("the server lives, and no longer listens"),
            Self::Replaced => f.write_str(
                "the server has ended, and somebody has started it again: it listens on another socket than before",
            ),
            Self::EndedBySignal {
                exit: exit @ Exit::Signal(_),
                step,
                ..
            } => write!(f, "the server {exit}, which was sent to it: {step}"),
            Self::EndedBySignal { signal, exit, step } => {
                write!(f, "the server {exit} when it was sent SIG{signal}: {step}")
            }
            Self::Interrupted { step } => write!(
                f,
                "{step}: nothing had reached the server since but SIGSTOP and SIGCONT, after which calls such as epoll_wait, and recv with \
                 a time-out, fail with EINTR; that is no reason to end anything, and they are to be made again (signal(7), \
                 \"Interruption of system calls and library functions by stop signals\")"
            ),
            Self::StepFailed {
                client,
                expected,
                how,
                instead,
                took,
            } => {
                f.write_str(&step::of_client(client, expected, *how, instead))?;
                let mut took = took.iter();
                took.try_for_each(|took| write!(f, "; {} took {}", took.hole, took.bytes))
            }
            Self::Crosstalk { of, step } => write!(f, "bytes of {of} reached another: {step}"),
            Self::ServerStepFailed {
                expected,
                how,
                instead,
            } => f.write_str(&step::of_server(expected, *how, instead)),
            Self::BackendStepFailed {
                backend,
                expected,
                how,
                instead,
            } => {
                // All that is said of the server is said of one behind it.
                let text = step::of_server(expected, *how, instead);
                f.write_str(&text.replace("the server", &format!("the backend {backend}")))
            }
            Self::DidNotStart { reason } => write!(f, "the server did not start again: {reason}"),
            Self::ListenerInherited { program, second } => {
                write!(
                    f,
                    "{program}, which the server has started, has its listening socket when it is killed, and takes nobody"
                )?;
                match second {
                    Some(SecondInstance::Ended(exit)) => {
                        write!(f, "; the server, started again, {exit}")
                    }
                    Some(SecondInstance::Shares) => f.write_str(
                        "; started again, the server shares the port with it, and part of the clients wait there",
                    ),
                    _ => Ok(()),
                }
            }
            Self::FileRemoved => {
                f.write_str("the server removed a regular file that stood at its path")
            }
            Self::RunsOverFile => {
                f.write_str("the server runs although a regular file stands at its path")
            }
            Self::SecondInstanceRuns => {
                f.write_str("a second server on the same address keeps running")
            }
            Self::SecondInstanceRunsWithout => {
                f.write_str("a second server on the same address keeps running without it")
            }
            Self::SecondInstanceShares => {
                f.write_str("a second server, which was not to share it, listens at the same address")
            }
            Self::SecondInstanceTakesOver => f.write_str(
                "a second server takes the address over from the first, which runs on and no client reaches any more",
            ),
            Self::SecondInstanceEnded { exit } => write!(
                f,
                "a second server, which was to listen at the same address, {exit}"
            ),
            Self::SecondInstanceTries => {
                f.write_str("a second server on the same address still tries")
            }
            Self::SecondInstanceEndedWell => f.write_str(
                "a second server on the same address ended with status 0, as if all were well",
            ),
            Self::NotServed { step } => {
                write!(f, "a polite client was not served afterwards: {step}")
            }
            Self::Disturbed { step } => {
                write!(f, "a client that only stood by was disturbed: {step}")
            }
            Self::Left(growth) => growth.fmt(f),
            Self::LeftUnread => {
                f.write_str("what clients who have left had sent is not read by the server")
            }
            Self::Busy { percent, toil } => {
                write!(
                    f,
                    "the server has nothing to do and uses {percent} % of a processor"
                )?;
                toil.iter().try_for_each(|toil| toil.fmt(f))
            }
            Self::Queued { connections } => f.write_str(&step::queued(*connections)),
            Self::Alarm(alarm) => alarm.fmt(f),
            Self::Babbled { lines } => write!(
                f,
                "the server printed {lines} lines in bursts while no client did anything"
            ),
            Self::Forbidden { client, text, .. } => match client {
                Some(client) => write!(f, "{text} came to {client}, to whom it must never come"),
                None => write!(f, "the server printed {text}, which it must never print"),
            },
            Self::Flooded { bytes } => write!(f, "the server printed {} MiB", bytes >> 20),
        }
    }
}

impl fmt::Display for Alarmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server prints {}", self.form)?;
        if self.times > 1 {
            write!(f, " {} ×", self.times)?;
        }
        write!(f, ": {}", self.title)?;
        let first = if self.times > 1 { "first " } else { "" };
        match &self.occasion {
            Occasion::Start => write!(f, "; {first}before anybody had come"),
            Occasion::Polite => write!(f, "; {first}when a polite client had come"),
            Occasion::After(step) => write!(f, "; {first}after `{}`", step.text),
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Connection => "a connection",
            Unit::Run => "a run",
            Unit::PoliteClient => "with each polite client that comes and leaves",
        };
        let verb = match self.figure {
            Figure::Memory => "grows",
            _ => "grow",
        };
        write!(
            f,
            "{} {verb} by {} {unit}: ",
            self.figure.name(),
            Rate(self)
        )?;
        for (n, dose) in self.doses.iter().enumerate() {
            let between = if n == 0 { "" } else { ", " };
            let added = Amount(self.figure, dose.added as f64);
            write!(f, "{between}{added} with {}", dose.units)?;
        }
        match self.figure {
            Figure::CloseWait => f.write_str("; the server never closes its side"),
            Figure::Zombies => f.write_str("; nobody waits for them, though clients come"),
            _ => Ok(()),
        }
    }
}

/// What grows by less a unit grows by one in so many.
const SELDOM: f64 = 0.05;

/// What each unit adds, and how far doses differ from that where they do.
struct Rate<'a>(&'a Growth);

impl fmt::Display for Rate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(growth) = self;
        let rate = growth.rate();
        let apart = growth.doses.iter().map(|dose| (dose.rate() - rate).abs());
        let apart = apart.fold(0.0, f64::max);
        // So little of what is counted in whole units is told better by how many of them there are to one.
        if growth.figure != Figure::Memory && rate > 0.0 && rate < SELDOM {
            return write!(f, "1 in {:.0}", 1.0 / rate);
        }
        write!(f, "{}", Amount(growth.figure, rate))?;
        match apart * 50.0 > rate {
            true => write!(f, " (± {})", Amount(growth.figure, apart)),
            false => Ok(()),
        }
    }
}

/// So many, or so many bytes.
struct Amount(Figure, f64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(figure, amount) = *self;
        let (amount, unit) = match figure {
            Figure::Memory if amount.abs() >= 1_048_576.0 => (amount / 1_048_576.0, " MiB"),
            Figure::Memory => (amount / 1024.0, " KiB"),
            _ => (amount, ""),
        };
        match amount.fract().abs() < 0.05 || amount.abs() >= 100.0 {
            true => write!(f, "{amount:.0}{unit}"),
            false if amount.abs() < 1.0 => write!(f, "{amount:.2}{unit}"),
            false => write!(f, "{amount:.1}{unit}"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven { fault, evidence } => {
                write!(f, "{}: {evidence}", step::unproven(fault))
            }
            Self::NoSuchCall(none) => none.fmt(f),
            Self::HostRefused { fault, evidence } => {
                write!(f, "this host refused {fault}: {evidence}")
            }
            Self::NotServedBefore { step, exit } => {
                write!(
                    f,
                    "the undisturbed server did not serve a polite client: {step}"
                )?;
                match exit {
                    Some(exit) => write!(f, "; the server {exit}"),
                    None => Ok(()),
                }
            }
            Self::TooLittleToCallBusy { step } => write!(f, "{step}: too little to call it busy"),
            Self::SilentByUs {
                step,
                silent,
                timeout,
            } => {
                let silent = Measured(*silent);
                write!(
                    f,
                    "{step}, but the client had been silent for {silent}, and "
                )?;
                match timeout {
                    Some(time) => write!(f, "the server may close after {}", Shown(*time)),
                    None => f.write_str("no idle-timeout is promised either way"),
                }
            }
            Self::SlowByUs {
                step,
                under_way,
                timeout,
            } => write!(
                f,
                "{step}, but the client's request had been under way for {}, and the server may close after {}",
                Measured(*under_way),
                Shown(*timeout)
            ),
            Self::Chosen { step, choice } => match choice.promise() {
                Some(promise) => write!(
                    f,
                    "{step}, but {choice}; if that is meant, promise {promise}"
                ),
                None => write!(
                    f,
                    "{step}, but {choice}; if that is meant, give it room for more, for a profile has no word for it"
                ),
            },
            Self::Excused { step, deed } => write!(f, "{step}, but {deed}"),
            Self::KernelDropped { step, datagrams } => write!(
                f,
                "{step}, but the kernel dropped {datagrams} datagrams that did not fit a receive buffer"
            ),
            Self::NotYet { step, after } => write!(
                f,
                "not yet after {} s: {step}, and a time-out of its own may still wake the server",
                after.as_secs()
            ),
            Self::Unseen { step, after } => write!(
                f,
                "not within {} s: {step}; somebody else has started the server, so that nothing tells whether it is still at work",
                after.as_secs()
            ),
            Self::NotAgain {
                cause,
                failed,
                tries,
            } => write!(
                f,
                "{cause}, {failed} of {tries} times; somebody else has started the server, and others may have had to do with it"
            ),
            Self::InBackground { exit } => write!(
                f,
                "the server put itself into the background, and its first process {exit}; give it the option that keeps it in the \
                 foreground"
            ),
            Self::KeptOut { step, after } => write!(
                f,
                "{step}, but the kernel dropped its handshake when the accept queue was full, and has not repeated it in {} s \
                 at a moment at which there was room",
                after.as_secs()
            ),
            // That it read on is what the step says.
            Self::StillReading { step } => write!(f, "{step}; where it stops is not known"),
            Self::Unkept { step, .. } => write!(
                f,
                "{step}: nothing is known of the bytes that were not kept (8 MiB of what a scenario neither sends nor expects are, or \
                 32 MiB of all scenarios at a time, and 16 KiB of each connection)"
            ),
            Self::StillArriving { step } => write!(f, "{step}, but bytes were still arriving"),
            Self::Starved { step, by } => write!(
                f,
                "{step}, but the harness itself did not get to run for {}",
                Measured(*by)
            ),
            Self::MayBeTooSoon {
                client,
                after,
                waited,
                by,
            } => write!(
                f,
                "{client} waited {} for what must not come before {}, but the harness or the server did not get to run for {}, so that it \
                 may have come too soon",
                Measured(*waited),
                Shown(*after),
                Measured(*by)
            ),
            Self::MayBeTooLate { waited, lost } => write!(
                f,
                "what was waited for came after {}, when its time was over; for {} of that the server, what stands behind it, or the \
                 harness was ready and got no processor, or waited for the disk",
                Measured(*waited),
                Measured(*lost)
            ),
            Self::StillGrows(growth) => write!(
                f,
                "{growth}; not clear yet whether that goes on, as a leak does, or stops, as a pool or a heap does"
            ),
            Self::Unrepeatable(growth) => write!(
                f,
                "{growth}; whether that goes on, as a leak does, is not known: the steps cannot be taken again on the same server"
            ),
            Self::Unserved { verdict } => write!(
                f,
                "the undisturbed server does not serve a polite client: {}",
                of(verdict).unwrap_or_default()
            ),
            Self::NotStarted { reason } => {
                write!(f, "the server could not be started again: {reason}")
            }
            Self::Referred { cause, see } => {
                write!(f, "{cause}; that is the matter of {}", see.join(" or "))
            }
            Self::CouldNotRun { reason } => write!(f, "it could not be run: {reason}"),
            Self::OutOfRun { within } => write!(
                f,
                "not concluded: a run that has found something ends after {} s, unless it is --no-fail-fast",
                within.as_secs()
            ),
            Self::SecondHand { cause, used_by } => write!(
                f,
                "{cause}; not on a fresh server, though, but on one that {} had used before",
                used_by.join(", ")
            ),
            Self::OutOfBudget { budget, begun } => write!(
                f,
                "not {}: the run's budget of {} was over",
                how_far(*begun),
                Shown(*budget)
            ),
            Self::EnoughFailed { failed } => {
                let s = if *failed == 1 { "" } else { "s" };
                write!(f, "not tried: the run ends after {failed} failure{s}")
            }
            Self::OutOfCheckBudget { budget, begun } => {
                let what = if *begun {
                    "it"
                } else {
                    "the first look at the server"
                };
                write!(
                    f,
                    "not {}: {what} took longer than {} (--check-budget)",
                    how_far(*begun),
                    Shown(*budget)
                )
            }
            Self::Interrupted { begun } => {
                write!(f, "not {}: the run was interrupted", how_far(*begun))
            }
            Self::CasesUnproven {
                unproven,
                all,
                first,
            } => write!(f, "{unproven} of {all} cases proved nothing: {first}"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed => f.write_str("the case had killed the server that the connection was to"),
            Self::ToldToEnd(signal) => {
                write!(f, "the case had told the server to end by SIG{signal}")
            }
            Self::FilesLimited(limit) => {
                write!(f, "the case had limited the server's open files (to {limit})")
            }
            Self::Deferred => f.write_str(
                "the server's listener defers: the kernel keeps a client from it that has not spoken (TCP_DEFER_ACCEPT)",
            ),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit {
                held,
                drops: Drops::Oldest,
                ..
            } => write!(
                f,
                "the server closes who came first, and has been silent since, when another client comes while it holds {held}, \
                 and holds as many for as long"
            ),
            Self::Limit {
                held,
                drops: Drops::Some,
                ..
            } => write!(
                f,
                "the server closes some of the clients that come while it holds {held} or more, and serves each that comes \
                 alone"
            ),
            Self::Limit {
                held,
                closes,
                an_address,
                drops: Drops::All,
            } => {
                let does = if *closes { "closes" } else { "does not answer" };
                let from = if *an_address { " from one address" } else { "" };
                write!(
                    f,
                    "the server {does} a further client{from} while it holds {held}, and serves one once there is room"
                )
            }
            Self::GivesPlacesAway(held) => write!(
                f,
                "the server closes one of the older clients, and not always the oldest, when another comes while it holds {held} or \
                 more, as several workers do that have so many places each, and keeps half as many for as long"
            ),
            Self::Longest { longest, framing } => {
                let bytes = longest.bytes;
                let longer = match framing {
                    Framing::Datagram => format!("a datagram of more than {bytes} bytes"),
                    Framing::Line | Framing::Stream => {
                        format!("a line of more than {bytes} bytes, its newline counted")
                    }
                };
                match &longest.refused {
                    None => write!(f, "the server does not take {longer}"),
                    Some(TooLong::Closed(None)) => {
                        write!(f, "the server closes the connection of who sends {longer}")
                    }
                    Some(TooLong::Closed(Some(text))) => write!(
                        f,
                        "the server says {text} to who sends {longer}, and closes the connection"
                    ),
                    Some(TooLong::Answered(text)) => {
                        write!(f, "the server says {text} to who sends {longer}")
                    }
                    Some(TooLong::Cut) => write!(f, "the server cuts {longer}, there"),
                    Some(TooLong::Dropped) => write!(f, "the server does not answer {longer}"),
                }
            }
            Self::SaysUnasked {
                texts,
                after,
                was_served,
            } => {
                let text = text_of([texts]);
                let text = text.map(|text| text.to_string()).unwrap_or_default();
                let who = match was_served {
                    true => "a client that has been served and is silent",
                    false => "a client that has said nothing",
                };
                write!(
                    f,
                    "the server says {text} by itself to {who} for {}",
                    Measured(*after)
                )
            }
            Self::OutputLimit { asked } => write!(
                f,
                "the server ends the connection of a client that has asked for {asked} bytes and read none, and serves in full \
                 one that has asked for half of them and reads late"
            ),
            Self::Throttles(time) => write!(
                f,
                "the server takes no notice for {} of a client that has said what is no request",
                Measured(*time)
            ),
            Self::Penalises(time) => write!(
                f,
                "the server turns away for {} whoever comes from the address of the clients before, and serves those from others",
                Measured(*time)
            ),
            Self::TurnsAway(later) => write!(
                f,
                "it was the first client of a server that had just begun to listen, and one that came {} later was served",
                Measured(*later)
            ),
            Self::GivesUp { after, at_login } => {
                let who = match at_login {
                    true => "a client that has said nothing",
                    false => "a client that has been silent",
                };
                write!(f, "the server gives up on {who} for {}", Measured(*after))
            }
        }
    }
}

impl fmt::Display for NoSuchCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, evidence } = self;
        write!(f, "there was no call for `{step}`: {evidence}")
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(Unmet::NotGiven(need)) => f.write_str(need.reason),
            Self::Unmet(Unmet::Broken(Broken { what, check, .. })) => {
                write!(f, "builds on {what}, which is broken: see {check}")
            }
            Self::Deferred => f.write_str(
                "the kernel keeps clients from the server that have not spoken yet (TCP_DEFER_ACCEPT)",
            ),
            Self::NotOver {
                step: StepRef { line, text, .. },
                over,
                transport,
            } => write!(
                f,
                "line {line}, `{text}`, takes {over}, and the server is reached over {transport}"
            ),
            Self::NotOurs { step } => write!(
                f,
                "somebody else has started the server, and `{}` takes its process",
                step.text
            ),
            Self::NotSeen { step } => write!(
                f,
                "nothing shows that `{}` has happened, as the server is on another host",
                step.text
            ),
            Self::OtherHost { step } => write!(
                f,
                "`{}` connects to another host, which a network of the server's own alone keeps from being reached",
                step.text
            ),
            Self::Floods(flood) => write!(
                f,
                "it floods a server that somebody else has started, with {flood}; --flood permits that"
            ),
            Self::NothingToDo => f.write_str("there is nothing to do for this server"),
            Self::NoSuchCall(none) => none.fmt(f),
            Self::TooFewDescriptors { needed, given } => write!(
                f,
                "it takes {needed} descriptors, and this host has {given} for it (ulimit -Hn)"
            ),
        }
    }
}

/// The sentence that goes with a verdict; only a pass has none.
pub(crate) fn of(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Fail(finding) => Some(finding.cause.to_string()),
        Verdict::Inconclusive(doubt) => Some(doubt.to_string()),
        Verdict::Skip(skip) => Some(skip.to_string()),
    }
}

/// What bears a failure out, in lines.
pub(crate) fn evidence(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Fail(finding) => finding.evidence.iter().flat_map(lines).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn lines(evidence: &Evidence) -> Vec<String> {
    let line = match evidence {
        Evidence::FailedOf {
            failed,
            tries,
            refused,
        } => {
            let intermittent = if failed == tries {
                ""
            } else {
                " (intermittent)"
            };
            let refused = refused.as_ref();
            let refused = refused.map(|why| format!("; it could not be started again: {why}"));
            let text = format!("failed {failed} of {tries}{intermittent}");
            let text = text + &refused.unwrap_or_default();
            return text.lines().map(str::to_owned).collect();
        }
        Evidence::SmallestCase(case) => {
            let case = case.to_string();
            let case = case.lines().filter(|line| !line.is_empty());
            let title = std::iter::once("the smallest case that fails:".to_owned());
            return title.chain(case.map(|line| format!("  {line}"))).collect();
        }
        Evidence::MadeSmaller { from, to } => {
            format!("made smaller: {to} show the same as {from}")
        }
        Evidence::Also(cause) => cause.to_string(),
        Evidence::Exit(exit) => format!("the server {exit} (wait status)"),
        Evidence::Alarm(text) => {
            let text = text.iter().map(|line| format!("  {}", line.trim_end()));
            let title = std::iter::once("the server printed:".to_owned());
            return title.chain(text).collect();
        }
        Evidence::Unproven(doubt) => format!("beside that the check proves nothing: {doubt}"),
        Evidence::Output(output) => format!("last output of the server: {output}"),
        Evidence::LeftOut(events) => format!("({events} other events left out)"),
        Evidence::Event(event) => event.to_string(),
    };
    vec![line]
}
