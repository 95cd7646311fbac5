//! Verdicts in words: every sentence that a report has for a cause, a doubt, or a fact that bears it out.

use crate::judge::{Cause, Choice, Doubt, Evidence, Growth, Skip, Useful, Verdict};
use crate::model::literal::{Measured, Shown};
use crate::model::need::Unmet;
use crate::model::subject::Broken;
use crate::transcript::event::Ended;
use crate::transcript::instead::Instead;
use std::fmt;

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died { exit, after: None } => write!(f, "the server {exit}"),
            Self::Died {
                exit,
                after: Some(step),
            } => write!(f, "the server {exit} after `{}`", step.text),
            Self::StepFailed {
                client,
                expected,
                how,
                instead,
                took,
            } => {
                write!(f, "{client} expected {expected}{}, {instead}", Limit(*how))?;
                if let (Instead::SoFar(_), Ended::Settled) = (instead, how) {
                    f.write_str(
                        " and nothing more will come: the server waits, all queues are empty",
                    )?;
                }
                let mut took = took.iter();
                took.try_for_each(|took| write!(f, "; {} took {}", took.hole, took.bytes))
            }
            Self::ServerStepFailed {
                expected,
                instead: instead @ Instead::Exited(_),
                ..
            } => write!(f, "server was expected to show {expected}: {instead}"),
            Self::ServerStepFailed {
                expected,
                how,
                instead,
            } => write!(
                f,
                "server was expected to show {expected}{}, but {instead}",
                Limit(*how)
            ),
            Self::DidNotStart { reason } => write!(f, "the server did not start again: {reason}"),
            Self::FileRemoved => {
                f.write_str("the server removed a regular file that stood at its path")
            }
            Self::RunsOverFile => {
                f.write_str("the server runs although a regular file stands at its path")
            }
            Self::SecondInstanceRuns => {
                f.write_str("a second server on the same address keeps running")
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
            Self::CloseWait { connections } => write!(
                f,
                "{connections} connections are left in CLOSE_WAIT: the server never closed its side"
            ),
            Self::Unreaped { children } => write!(
                f,
                "{children} children have ended and were not waited for, though clients have come since"
            ),
            Self::Busy { percent } => write!(
                f,
                "the server has nothing to do and uses {percent} % of a processor"
            ),
            Self::Queued { connections } => {
                write!(f, "{connections} connections are left in the accept queue")
            }
            Self::Flooded { bytes } => write!(f, "the server printed {} MiB", bytes >> 20),
        }
    }
}

/// ` within 1s`, where a limit ran out.
struct Limit(Ended);

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ended::OutOfTime(limit) => write!(f, " within {}", Shown(limit)),
            Ended::Done | Ended::Settled => Ok(()),
        }
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            figure,
            baseline,
            after,
            last,
            again,
        } = self;
        write!(
            f,
            "{} are not back to the baseline: {baseline} before, {after} after, {last} after the same again",
            figure.name()
        )?;
        match again {
            1 => Ok(()),
            times => write!(f, " {times} times"),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unproven { fault, evidence } => {
                write!(f, "{fault} is not proven to have happened: {evidence}")
            }
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
            } => write!(
                f,
                "{step}, but the client had been silent for {}, and the server may close after {}",
                Measured(*silent),
                Shown(*timeout)
            ),
            Self::Chosen { step, choice } => write!(
                f,
                "{step}, but {choice}; if that is meant, promise {}",
                choice.promise()
            ),
            Self::KernelDropped { step, datagrams } => write!(
                f,
                "{step}, but the kernel dropped {datagrams} datagrams that did not fit a receive buffer"
            ),
            Self::StillArriving { step } => write!(f, "{step}, but bytes were still arriving"),
            Self::Starved { step, by } => write!(
                f,
                "{step}, but the harness itself did not get to run for {}",
                Measured(*by)
            ),
            Self::PoolOrLeak { growth, or_else } => {
                let or_else = match or_else {
                    Useful::Pool => "a pool being filled",
                    Useful::Heap => "a heap that is collected late",
                };
                write!(f, "{growth}; {or_else} does the same")
            }
            Self::Unserved { verdict } => write!(
                f,
                "the undisturbed server does not serve a polite client: {}",
                of(verdict).unwrap_or_default()
            ),
            Self::NotStarted { reason } => {
                write!(f, "the server could not be started again: {reason}")
            }
            Self::CasesUnproven {
                unproven,
                all,
                first,
            } => write!(f, "{unproven} of {all} cases proved nothing: {first}"),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit {
                held,
                closes,
                an_address,
            } => {
                let does = if *closes { "closes" } else { "does not answer" };
                let from = if *an_address { " from one address" } else { "" };
                write!(
                    f,
                    "the server {does} a further client{from} while it holds {held}, and serves one when another has left"
                )
            }
            Self::Throttles(time) => write!(
                f,
                "the server takes no notice for {} of a client that has said what is no request",
                Measured(*time)
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

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(Unmet::NotGiven(need)) => f.write_str(need.reason),
            Self::Unmet(Unmet::Broken(Broken { what, check, .. })) => {
                write!(f, "builds on {what}, which is broken: see {check}")
            }
            Self::NothingToDo => f.write_str("there is nothing to do for this server"),
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

fn lines(evidence: &Evidence) -> Vec<String> {
    let line = match evidence {
        Evidence::FailedOf { failed, tries } if failed == tries => {
            format!("failed {failed} of {tries}")
        }
        Evidence::FailedOf { failed, tries } => {
            format!("failed {failed} of {tries} (intermittent)")
        }
        Evidence::SmallestCase(case) => {
            let case = case.to_string();
            let case = case.lines().filter(|line| !line.is_empty());
            let title = std::iter::once("the smallest case that fails:".to_owned());
            return title.chain(case.map(|line| format!("  {line}"))).collect();
        }
        Evidence::Also(cause) => cause.to_string(),
        Evidence::Exit(exit) => format!("the server {exit} (wait status)"),
        Evidence::Output(output) => format!("last output of the server: {output}"),
        Evidence::Earlier(events) => format!("({events} earlier events left out)"),
        Evidence::Event(event) => event.to_string(),
    };
    vec![line]
}
