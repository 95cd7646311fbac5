//! What is made sure of before it is told: what failed is repeated, and what proved nothing is tried again.

use super::attempt::TrialOptions;
use super::checked::{fails_the_run, is_listed};
use super::descriptors;
use super::findings::{Claim, Claimed};
use super::job::Job;
use crate::judge::{Cause, Doubt, Evidence, Finding, Verdict, judge};
use crate::model::error::Error;
use crate::model::limits::WORTH_A_PLACE;
use crate::model::spent::SpentOn;
use crate::model::trial::Trial;
use crate::session::Session;
use crate::transcript::event::Transcript;
use futures_util::future::{Either, maybe_done, select};

impl<'a> Job<'a> {
    /// Performs a trial; where it does not pass on a server that others have used, a fresh one decides, and more of them where
    /// chance may have. The session is that of the server which passes it.
    pub(super) async fn decided_by(
        self,
        mut session: Session<'a>,
        trial: &Trial,
    ) -> Result<(Verdict, Transcript, Option<Session<'a>>), Error> {
        let (verdict, seen) = self.beside_others(&mut session, trial).await?;
        let used_by = session.used_by().to_vec();
        if verdict == Verdict::Pass {
            return Ok((verdict, seen, Some(session)));
        }
        drop(session);
        if used_by.is_empty() {
            return Ok((verdict, seen, None));
        }
        let mut session = self.start_for(trial.scenario()).await?;
        let (again, seen_again) = self.beside_others(&mut session, trial).await?;
        match (verdict, again) {
            (Verdict::Fail(Finding { cause, .. }), Verdict::Pass | Verdict::Inconclusive(_)) => {
                drop(session);
                let mut more = self.twice_more(trial).await.into_iter().flatten();
                let failed = more.find(|(verdict, _)| matches!(verdict, Verdict::Fail(_)));
                let cause = Box::new(cause);
                let doubt = || Verdict::Inconclusive(Doubt::SecondHand { cause, used_by });
                let (verdict, seen) = failed.unwrap_or_else(|| (doubt(), seen));
                Ok((verdict, seen, None))
            }
            (_, Verdict::Pass) => Ok((Verdict::Pass, seen_again, Some(session))),
            (_, again) => Ok((again, seen_again, None)),
        }
    }

    /// What a failure comes to: whether the server may have chosen it, and how often it fails. Where a simpler check has shown it,
    /// that is known, and the rest of what was seen is judged; the name of that check comes with it.
    async fn made_sure_of(
        self,
        mut finding: Finding,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<(Verdict, Option<&'static str>), Error> {
        let Some(shape) = self.shape(trial) else {
            return Ok((
                self.confirmed(finding, trial, seen, options, None).await?,
                None,
            ));
        };
        self.turn.make_room();
        loop {
            let key = finding.cause.key();
            let claim = self.findings.claim(&finding, &shape);
            let claimed = match self.turn.in_line(claim).await {
                Claim::Known(check) => {
                    let known = self.findings.known_to(&shape);
                    match judge(&trial.clone().knowing(known), seen) {
                        Verdict::Fail(same) if same.cause.key() == key => {
                            return Ok((Verdict::Fail(same), Some(check)));
                        }
                        Verdict::Fail(other) => {
                            finding = other;
                            continue;
                        }
                        verdict => return Ok((verdict, None)),
                    }
                }
                Claim::First(claimed) => Some(claimed),
                Claim::Alone => None,
            };
            let verdict = self
                .confirmed(finding, trial, seen, options, claimed)
                .await?;
            return Ok((verdict, None));
        }
    }

    /// Asks whether the server may have chosen what it fails by, and repeats it where it has not; of what the target's file lists
    /// once is enough.
    async fn confirmed(
        self,
        finding: Finding,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
        claimed: Option<Claimed>,
    ) -> Result<Verdict, Error> {
        let _confirmation = self.turn.spends_on(SpentOn::Confirmation);
        let verdict = Verdict::Fail(finding);
        // What took long is repeated while it is asked about, where there is room for that.
        let takes_long = seen.lasted() >= WORTH_A_PLACE && !self.lists(&verdict);
        let needed = descriptors::needed(std::slice::from_ref(trial.scenario()));
        let room = Some(needed).filter(|_| takes_long && self.may_have_others_beside());
        let room = room.and_then(descriptors::take_at_once);
        let turn = self.turn.another();
        let meanwhile = self.with(self.subject, &turn);
        let job = if room.is_some() { meanwhile } else { self };
        let mut counted = std::pin::pin!(maybe_done(job.counted(trial)));
        let asked = self.asked(verdict, trial, seen, options);
        let verdict = match room {
            Some(_) => {
                // Each needs places of its own, and neither may keep one that the other waits for.
                self.turn.make_room();
                beside(asked, counted.as_mut()).await?
            }
            None => asked.await?,
        };
        self.turn.make_room();
        // What the server does on purpose it does each time.
        let mut check = self.check.iter();
        let is_grave = check.any(|check| fails_the_run(check, self, &verdict));
        let once = self.lists(&verdict);
        let Verdict::Fail(finding) = verdict else {
            return Ok(verdict);
        };
        if let Some(claimed) = claimed {
            claimed.is_known_now(&finding, is_grave);
        }
        if once {
            return Ok(Verdict::Fail(Tried::once().told_with(finding)));
        }
        counted.as_mut().await;
        let tried = counted.take_output().unwrap_or_else(Tried::once);
        Ok(
            match self.subject.is_elsewhere && tried.failed < tried.concluded {
                true => Verdict::Inconclusive(Doubt::NotAgain {
                    cause: Box::new(finding.cause),
                    failed: tried.failed,
                    tries: tried.concluded,
                }),
                false => Verdict::Fail(tried.told_with(finding)),
            },
        )
    }

    /// Whether the target's file lists a failure.
    fn lists(self, verdict: &Verdict) -> bool {
        self.check
            .is_some_and(|check| is_listed(check, self, verdict))
    }

    /// What comes of a scenario: a failure is made sure of, and the name of the simpler check comes with it that had shown it.
    pub(super) async fn concluded(
        self,
        verdict: Verdict,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<(Verdict, Option<&'static str>), Error> {
        match verdict {
            Verdict::Fail(finding) => self.made_sure_of(finding, trial, seen, options).await,
            other => Ok((self.asked(other, trial, seen, options).await?, None)),
        }
    }

    async fn asked(
        self,
        verdict: Verdict,
        trial: &Trial,
        seen: &Transcript,
        options: TrialOptions,
    ) -> Result<Verdict, Error> {
        match options.ask {
            true => match self.unless_chosen(verdict.clone(), trial, seen).await {
                // Nobody is left to be asked, which is part of what it has come to.
                Err(Error::NotReached { .. }) => Ok(verdict),
                asked => asked,
            },
            false => Ok(verdict),
        }
    }

    /// Repeats what proved nothing until it does, or has been tried so often; what was seen then comes with it. It comes behind all
    /// others: whoever was starved by their load has none of it then, and none of them is stopped for it.
    pub(super) async fn tried_again(
        self,
        doubt: Doubt,
        trial: &Trial,
        tries: usize,
    ) -> (Verdict, Option<Transcript>) {
        let _again = self.turn.spends_on(SpentOn::Again);
        self.turn.be_last().await;
        let mut last = (Verdict::Inconclusive(doubt), None);
        for _ in 1..tries {
            let Ok((verdict, seen)) = self.alone_on_fresh_server(trial).await else {
                break;
            };
            last = (verdict, Some(seen));
            if !matches!(last.0, Verdict::Inconclusive(_)) {
                break;
            }
        }
        last
    }

    /// How often it fails, of two times more. What was seen is in the report, however often it is seen again, and also where that
    /// cannot be tried.
    async fn counted(self, trial: &Trial) -> Tried {
        let trial = trial.clone().again();
        let again = tokio::select! {
            biased;
            again = self.twice_more(&trial) => Some(again),
            _ = self.until_over() => None,
        };
        self.turn.make_room();
        let mut tried = Tried::once();
        for again in again.into_iter().flatten() {
            match again {
                Ok((again, _)) => tried.count(&again),
                Err(error) => tried.refused = Some(error.chain()),
            }
        }
        tried
    }
}

/// What comes of one thing, beside which another is begun.
async fn beside<T>(wanted: impl Future<Output = T>, other: impl Future<Output = ()> + Unpin) -> T {
    match select(std::pin::pin!(wanted), other).await {
        Either::Left((came, _)) => came,
        Either::Right(((), wanted)) => wanted.await,
    }
}

/// How often a trial failed, of how many that came to a conclusion.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) failed: usize,
    concluded: usize,
    /// Why the server could not be started once more, where it could not.
    refused: Option<String>,
    /// What another try has shown that one look at is enough.
    for_good: Option<Cause>,
}

impl Tried {
    /// It has failed, and was not tried again.
    pub(super) fn once() -> Self {
        let mut tried = Self::default();
        tried.count_failure();
        tried
    }

    fn count_failure(&mut self) {
        self.failed += 1;
        self.concluded += 1;
    }

    /// Counts a try, where it came to a conclusion.
    pub(super) fn count(&mut self, again: &Verdict) {
        match again {
            Verdict::Fail(finding) => {
                let mut for_good = finding.causes().filter(|cause| cause.is_seen_for_good());
                self.for_good = self.for_good.take().or_else(|| for_good.next().cloned());
                self.count_failure();
            }
            Verdict::Pass => self.concluded += 1,
            Verdict::Inconclusive(_) | Verdict::Skip(_) => {}
        }
    }

    /// Says it in the evidence.
    pub(super) fn told_with(self, mut finding: Finding) -> Finding {
        let how_often = Evidence::FailedOf {
            failed: self.failed,
            tries: self.concluded,
            refused: self.refused,
        };
        let is_new = |cause: &Cause| finding.causes().all(|told| told.key() != cause.key());
        let also = self.for_good.filter(is_new).map(Evidence::Also);
        finding
            .evidence
            .splice(0..0, [how_often].into_iter().chain(also));
        finding
    }
}
