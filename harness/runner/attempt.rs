//! A check's scenarios, one after the other: when a server is used again, what is put off, and what comes of all of them.

use super::alarms;
use super::job::Job;
use crate::judge::cut_coverage::Coverage;
use crate::judge::{Doubt, Skip, Verdict};
use crate::model::dialogue;
use crate::model::error::Error;
use crate::model::scenario::Scenario;
use crate::model::subject::Subject;
use crate::model::system_call::RareAnswer;
use crate::model::trial::Trial;
use crate::report::data::Exhibit;
use crate::report::trace::Trace;
use crate::session::Session;
use crate::transcript::event::{EventLine, Transcript};
use std::sync::Arc;

/// How often something that failed, or that proved nothing, is tried on servers of its own.
pub(super) const TRIES: usize = 3;

/// What came of trying a check's scenarios.
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    /// The check that had shown what it fails by before, where one had.
    pub(super) under: Option<&'static str>,
    pub(super) failed: Option<Scenario>,
    /// The events of the last scenario.
    pub(super) transcript: Vec<EventLine>,
    /// What was seen of the scenario that failed, or of the first that proved nothing.
    pub(super) trace: Option<Box<Trace>>,
    /// What was judged where it failed and that is to be kept.
    pub(super) exhibit: Option<Arc<Exhibit>>,
    /// Where the profile's request was cut.
    pub(super) coverage: Option<Coverage>,
    /// Which of the scenarios proved nothing.
    pub(super) unsure: Vec<usize>,
    /// How many cases of them proved nothing alone either, where they have several.
    pub(super) unproven: usize,
}

impl Attempt {
    /// Whether there is something to repeat: a scenario that failed, or an alarm that was heard.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || alarms::is_recommended(&self.verdict)
    }

    /// Adds what came of other scenarios, but for the verdict.
    pub(super) fn add(&mut self, other: Self) {
        self.transcript = other.transcript;
        self.trace = other.trace;
        self.unsure.extend(other.unsure);
        self.coverage = match (self.coverage.take(), other.coverage) {
            (Some(one), Some(other)) => Some(one.with(other)),
            (one, other) => one.or(other),
        };
    }

    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            under: None,
            failed: None,
            transcript: Vec::new(),
            trace: None,
            exhibit: None,
            coverage: None,
            unsure: Vec::new(),
            unproven: 0,
        }
    }
}

/// How each of the scenarios is tried.
#[derive(Clone, Copy)]
pub(super) struct TrialOptions {
    /// Each has a server of its own.
    pub(super) fresh_server: bool,
    /// One that has none of its own may have one that another check has left.
    pub(super) shares_servers: bool,
    /// A polite client comes before and after, and a bystander stands beside.
    pub(super) polite: bool,
    /// How often one that proves nothing is tried.
    pub(super) tries: usize,
    /// What fails is held against the server only where it is nothing that the server may have chosen.
    pub(super) ask: bool,
    /// Once a server was looked on at in vain for as long as a time-out of its own may wake it, or as what grows may be given back,
    /// the others are not tried: they are of the same kind, and would be waited for as long.
    pub(super) ends_when_late: bool,
}

impl<'a> Job<'a> {
    /// Performs scenarios one after the other; a server is used again as long as it is undisturbed.
    pub(super) async fn try_all(
        self,
        scenarios: &[Scenario],
        options: TrialOptions,
    ) -> Result<Attempt, Error> {
        self.try_on(None, scenarios.iter().enumerate(), options)
            .await
    }

    /// The same with those that come, each with its number, beginning with a server that runs already. What proved nothing, and may
    /// do so by chance or for the load of others, is put off until all are through.
    pub(super) async fn try_on<'s>(
        self,
        mut session: Option<Session<'a>>,
        scenarios: impl Iterator<Item = (usize, &'s Scenario)>,
        options: TrialOptions,
    ) -> Result<Attempt, Error> {
        let mut tally = Tally::of(self.subject, self.check.is_some());
        let mut put_off = Vec::new();
        for (n, scenario) in scenarios {
            if tally.has_run_out_of_calls(scenario) {
                continue;
            }
            let suits = |session: &Session<'a>| session.holds_up(&scenario.answered_calls());
            let server = match session.take().filter(suits) {
                Some(session) => session,
                None => self.server_for(scenario, options).await?,
            };
            let (once, used) = self.once(server, n, scenario, options).await?;
            tally.cover(&once);
            let stays = once.verdict == Verdict::Pass && !options.fresh_server;
            session = used.filter(|_| stays && !self.is_for_one());
            if options.tries > 1 && once.may_pass() {
                put_off.push(once);
                self.findings.has_told(self.purpose);
                continue;
            }
            // What is seldom done is not to lie on the stack of all that is.
            let concludes = Box::pin(self.concludes(once, &mut tally, options));
            if let Some(failed) = concludes.await? {
                return Ok(failed);
            }
            if tally.is_late && options.ends_when_late {
                break;
            }
        }
        self.leave_to_others(session, tally.last.as_ref(), options);
        for once in put_off {
            if tally.is_late && options.ends_when_late {
                break;
            }
            let again = self.once_again(once, options).await;
            let concludes = Box::pin(self.concludes(again, &mut tally, options));
            if let Some(failed) = concludes.await? {
                return Ok(failed);
            }
        }
        // Thousands of clients make hundreds of thousands of lines, and nobody reads those of what has passed.
        Ok(tally.attempt(self.settings.verbose))
    }

    /// Performs a scenario; the server comes with it if it has passed.
    async fn once<'s>(
        self,
        server: Session<'a>,
        n: usize,
        scenario: &'s Scenario,
        options: TrialOptions,
    ) -> Result<(Once<'s>, Option<Session<'a>>), Error> {
        let mut trial = self.trial(scenario, options.polite);
        trial.is_undisturbed = !options.polite || scenario.is_polite();
        let (verdict, seen, used) = self.decided_by(server, &trial).await?;
        let verdict = self.unless_helper(verdict, &mut trial, &seen).await?;
        let once = Once {
            n,
            scenario,
            trial,
            verdict,
            seen,
        };
        Ok((once, used))
    }

    /// Performs once more, when nobody else is at work, what proved nothing.
    async fn once_again<'s>(self, once: Once<'s>, options: TrialOptions) -> Once<'s> {
        let Verdict::Inconclusive(doubt) = once.verdict else {
            return once;
        };
        let (verdict, seen) = self.tried_again(doubt, &once.trial, options.tries).await;
        Once {
            verdict,
            seen: seen.unwrap_or(once.seen),
            ..once
        }
    }

    /// Concludes from what was seen of a scenario; a failure is what comes of all of them.
    async fn concludes<'s>(
        self,
        once: Once<'s>,
        tally: &mut Tally<'s>,
        options: TrialOptions,
    ) -> Result<Option<Attempt>, Error> {
        let (verdict, under) = match tally.chosen_before(&once) {
            Some(doubt) => (Verdict::Inconclusive(doubt.clone()), None),
            None => {
                self.concluded(once.verdict, &once.trial, &once.seen, options)
                    .await?
            }
        };
        self.findings.has_told(self.purpose);
        if !matches!(verdict, Verdict::Fail(_)) {
            tally.add(once.n, once.scenario, verdict, once.seen);
            return Ok(None);
        }
        let exhibit = self.exhibit(&verdict, &once.trial, &once.seen);
        let (transcript, trace) = once.seen.lines_and_trace(once.scenario);
        Ok(Some(Attempt {
            under,
            exhibit,
            failed: Some(once.scenario.clone()),
            transcript,
            trace: Some(trace),
            coverage: tally.coverage.clone().if_any(),
            ..Attempt::of(verdict)
        }))
    }
}

/// A scenario that was performed, and what came of it.
struct Once<'s> {
    n: usize,
    scenario: &'s Scenario,
    trial: Trial,
    verdict: Verdict,
    seen: Transcript,
}

impl Once<'_> {
    /// Whether it proved nothing, and may do so another time.
    fn may_pass(&self) -> bool {
        matches!(&self.verdict, Verdict::Inconclusive(doubt) if doubt.may_pass(&self.seen))
    }
}

/// What has come of scenarios so far.
struct Tally<'s> {
    /// The profile's request, which some of them cut.
    request: Vec<u8>,
    coverage: Coverage,
    /// They are those of a check, rather than of somebody's own file.
    is_of_check: bool,
    passed: bool,
    skipped: Option<Skip>,
    /// The rare answers for which there were not enough calls.
    run_out: Vec<RareAnswer>,
    /// Which of them proved nothing, and why the first did.
    unsure: Vec<usize>,
    doubt: Option<Doubt>,
    /// One of them was waited for in vain.
    is_late: bool,
    /// What the server was found to have chosen, and what has shown it.
    chosen: Option<(&'s Scenario, Doubt)>,
    last: Option<(&'s Scenario, Transcript)>,
    /// The events of the first that proved nothing.
    doubtful: Vec<EventLine>,
    /// What was seen of that.
    trace: Option<Box<Trace>>,
}

impl<'s> Tally<'s> {
    fn of(subject: &Subject, is_of_check: bool) -> Self {
        let request = dialogue::request(&subject.profile).unwrap_or_default();
        Self {
            coverage: Coverage::of(&request),
            request,
            is_of_check,
            passed: false,
            skipped: None,
            run_out: Vec::new(),
            unsure: Vec::new(),
            doubt: None,
            is_late: false,
            chosen: None,
            last: None,
            doubtful: Vec::new(),
            trace: None,
        }
    }

    /// Whether a scenario is about a call behind the last one that the server makes.
    fn has_run_out_of_calls(&self, scenario: &Scenario) -> bool {
        let answers = scenario.rare_answers().into_iter();
        let mut later = answers.filter(|answer| answer.first() > 1);
        later.any(|answer| self.run_out.contains(&answer.series()))
    }

    /// Notes where a scenario has cut the request.
    fn cover(&mut self, once: &Once<'_>) {
        self.coverage.add(&once.trial, &once.seen, &self.request);
    }

    /// What the server has chosen, where the same was seen before and explains a failure.
    fn chosen_before(&self, once: &Once<'_>) -> Option<&Doubt> {
        let (before, doubt) = self.chosen.as_ref()?;
        let is_the_same = before.lines == once.scenario.lines && doubt.explains(&once.verdict);
        is_the_same.then_some(doubt)
    }

    /// Adds a scenario that has not failed.
    fn add(&mut self, n: usize, scenario: &'s Scenario, verdict: Verdict, seen: Transcript) {
        match verdict {
            Verdict::Pass => self.passed = true,
            // That is what comes of all of them.
            Verdict::Fail(_) => {}
            Verdict::Skip(why) => self.skipped = self.skipped.take().or(Some(why)),
            // What a check does to calls that the server does not make is no matter of this server.
            Verdict::Inconclusive(Doubt::NoSuchCall(none)) if self.is_of_check => {
                self.skipped = self.skipped.take().or(Some(Skip::NoSuchCall(none)));
                let answers = scenario.rare_answers().into_iter();
                self.run_out.extend(answers.map(|answer| answer.series()));
            }
            Verdict::Inconclusive(why) => {
                self.unsure.push(n);
                if matches!(why, Doubt::Chosen { .. }) {
                    self.chosen = Some((scenario, why.clone()));
                }
                self.is_late |= why.is_of_time();
                if self.doubt.is_none() {
                    let (lines, trace) = seen.lines_and_trace(scenario);
                    (self.doubtful, self.trace) = (lines, Some(trace));
                    self.doubt = Some(why);
                }
            }
        }
        self.last = Some((scenario, seen));
    }

    /// What has come of all of them; the events of what passed are told only where that is wanted.
    fn attempt(mut self, tells_all: bool) -> Attempt {
        self.unsure.sort_unstable();
        let last = self.last.filter(|_| tells_all);
        let transcript = match self.doubt {
            Some(_) => self.doubtful,
            None => last.map_or_else(Vec::new, |(scenario, seen)| seen.lines(scenario)),
        };
        let verdict = match (self.doubt, self.skipped) {
            (Some(why), _) => Verdict::Inconclusive(why),
            (None, why) if !self.passed => Verdict::Skip(why.unwrap_or(Skip::NothingToDo)),
            (None, _) => Verdict::Pass,
        };
        Attempt {
            transcript,
            trace: self.trace,
            coverage: self.coverage.if_any(),
            unsure: self.unsure,
            ..Attempt::of(verdict)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::NoSuchCall;
    use crate::model::dialogue::scenario;
    use crate::model::profile::{Profile, Transport};
    use crate::model::subject::Place;

    /// What comes of scenarios with these verdicts.
    fn tallied(is_of_check: bool, verdicts: &[Verdict]) -> Verdict {
        let subject = Subject::of(Profile::unknown(), Place::on(Transport::Tcp));
        let scenario = scenario("one", &[], vec![]);
        let mut tally = Tally::of(&subject, is_of_check);
        for (n, verdict) in verdicts.iter().enumerate() {
            tally.add(n, &scenario, verdict.clone(), Transcript::default());
        }
        tally.attempt(false).verdict
    }

    #[test]
    fn call_that_a_server_never_makes_is_skipped_of_a_check_and_proves_nothing_of_a_scenario() {
        let none = |step: &str| NoSuchCall {
            step: step.to_owned(),
            evidence: "the server made no such call".to_owned(),
        };
        let doubt = |step| Verdict::Inconclusive(Doubt::NoSuchCall(none(step)));
        let skip = |step| Verdict::Skip(Skip::NoSuchCall(none(step)));
        assert_eq!(tallied(true, &[doubt("a"), doubt("b")]), skip("a"));
        assert_eq!(tallied(false, &[doubt("a"), doubt("b")]), doubt("a"));
        // One of several scenarios of a check has shown something.
        assert_eq!(tallied(true, &[doubt("a"), Verdict::Pass]), Verdict::Pass);
        assert_eq!(tallied(false, &[doubt("a"), Verdict::Pass]), doubt("a"));
    }
}
