//! All verdicts of a run, as data; text, JSON and JUnit are written from it.

use crate::judge::cut_coverage::Coverage;
use crate::judge::{Cause, Evidence, Finding, Verdict};
use crate::launch::Known;
use crate::model::error::ExitCode;
use crate::model::partition::Partition;
use crate::model::scenario::Scenario;
use crate::model::spent::Spent;
use crate::model::trial::Trial;
use crate::report::concluded::NoTests;
use crate::report::fact::WrittenFact;
use crate::report::findings::{Told, grouped};
#[cfg(feature = "cli")]
use crate::report::piece::Piece;
use crate::report::place::Place;
use crate::report::sentence;
use crate::report::timings::Timings;
use crate::report::trace::Trace;
use crate::report::written::{Written, WrittenCheck};
use crate::transcript::event::{EventLine, Transcript};
use crate::transcript::story::story;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// All verdicts of a run.
///
/// ```no_run
/// use sockdrill::{Profile, Settings, Target, check};
///
/// let target = Target::command(["./server", "{port}"], Profile::unknown());
/// let report = check(&target, &Settings::default(), &|_| {})?;
/// std::fs::write("report.json", report.to_json()).expect("a folder to write to");
/// println!("{}", report.closing_text());
/// # Ok::<(), sockdrill::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The server that was drilled.
    pub target: String,
    /// `namespace` or `host`.
    pub isolation: String,
    /// Why the server ran on the plain host although a namespace was preferred.
    pub why_host: Option<String>,
    /// Why what servers write outside of their own folder goes to the host, where it does.
    pub why_writes_to_host: Option<String>,
    /// The address of a server that somebody else has started: of it only what its clients see is judged.
    pub elsewhere: Option<String>,
    /// The seed of generated payloads.
    pub seed: u64,
    /// When the run began, as the clock of the host said.
    pub started: SystemTime,
    /// How long the run took.
    pub duration: Duration,
    /// The run ended early: a server that does not serve a polite client shows nothing else.
    pub serves_nobody: bool,
    /// The user has ended the run, and this is what was known by then.
    pub interrupted: bool,
    /// Why trials could not be saved that were to be, where that is so: nothing else is missing.
    pub unsaved: Option<String>,
    /// What is flaky fails the run.
    pub flaky_fails: bool,
    /// The time that the run had, where it had a budget.
    pub budget: Option<Duration>,
    /// Which part of a run over several machines it is, where it is one.
    pub partition: Option<Partition>,
    /// Where the time went, where that was asked for.
    pub(crate) timings: Option<Timings>,
    /// The results, in the order of the table.
    pub results: Vec<CheckResult>,
    /// What was observed and not judged: the server's passport.
    pub observations: BTreeMap<String, String>,
}

/// The result of one check, or of one case of a scenario file.
///
/// ```
/// use sockdrill::{CheckResult, Outcome};
///
/// /// What a person has to look at.
/// fn complaint(result: &CheckResult) -> Option<String> {
///     (result.outcome() == Outcome::Fail).then(|| result.details())
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckResult {
    /// The check's id, or the file's stem, two colons and the case's name.
    pub id: String,
    /// The family, or the file.
    pub family: String,
    /// What must hold.
    pub requirement: String,
    /// How servers that fail are mended, where it is a check.
    pub fix: Option<String>,
    /// What was seen.
    pub(crate) verdict: Verdict,
    /// A failure counts only with `--strict`.
    pub lenient: bool,
    /// The reason for which a failure is known, where it is.
    pub known: Option<String>,
    /// What was known of the check, where that has had its time.
    pub(crate) known_once: Option<Known>,
    /// The check that shows the same defect more simply, where one does: the finding is told there.
    pub under: Option<String>,
    /// How often it was tried as a whole, where that is more than once.
    pub(crate) tries: Option<Tries>,
    /// How many scenarios were performed.
    pub scenarios: usize,
    /// Where the request was cut, if it was.
    pub(crate) coverage: Option<Coverage>,
    /// When it began, where it was tried.
    pub started: Option<SystemTime>,
    /// How long it took.
    pub duration: Duration,
    /// The command that repeats exactly this.
    pub reproduce: Option<String>,
    /// The scenario that failed, as a `.drill` file.
    pub scenario: Option<String>,
    /// What the drawn clients of a property have tried.
    pub tried: Option<String>,
    /// Its place among all results of the run that this one may be a part of.
    pub(crate) place: usize,
    /// What it has shown of the server, where it has been made sure of: reports of several machines are grouped by it.
    pub(crate) shows: Option<Shows>,
    /// What its time was spent on.
    pub(crate) spent: Spent,
    /// Where in its scenario it failed.
    pub(crate) at: Option<Place>,
    /// The events of the last scenario, or of the one that failed.
    pub(crate) transcript: Vec<EventLine>,
    /// What was seen of the scenario that failed, or of the one that proved nothing.
    pub(crate) trace: Option<Box<Trace>>,
    /// What was judged where it failed and that was to be kept.
    pub(crate) exhibit: Option<Arc<Exhibit>>,
}

/// What a failure was judged by.
#[derive(Clone, Debug)]
pub(crate) struct Exhibit {
    /// What was to be done.
    pub trial: Trial,
    /// What was seen.
    pub transcript: Transcript,
    /// What the judge says of it, before anything was repeated.
    pub verdict: Verdict,
    /// The scenario that failed first, where the one that was to be done is a smaller one made of it.
    pub made_of: Option<Scenario>,
}

/// How often something was tried as a whole, in rounds of a run or because it had failed, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tries {
    /// How often.
    pub times: usize,
    /// How often it failed.
    pub failed: usize,
    /// How often it proved nothing.
    pub unproven: usize,
    /// It was tried again because it had failed.
    #[serde(skip)]
    pub is_retry: bool,
    /// It passed then.
    #[serde(skip)]
    pub is_flaky: bool,
}

impl Tries {
    /// The first of them.
    pub(crate) fn first_of(verdict: &Verdict) -> Self {
        let mut tries = Self::default();
        tries.add(verdict);
        tries
    }

    /// Adds another one.
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.times += 1;
        self.failed += usize::from(matches!(verdict, Verdict::Fail(_)));
        self.unproven += usize::from(matches!(verdict, Verdict::Inconclusive(_)));
    }
}

/// What a failure of a check has shown: what its scenario is made of, and the keys of all causes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shows {
    /// What its steps are called, but for what polite clients do.
    pub words: BTreeSet<String>,
    /// The keys of the causes.
    pub keys: Vec<String>,
}

/// How a result counts.
///
/// ```
/// use sockdrill::Outcome;
///
/// assert_eq!(Outcome::Inconclusive.word(), "inconclusive");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// The requirement held.
    Pass,
    /// It did not.
    Fail,
    /// It did not, which is known and has a reason.
    Known,
    /// It did not, and did when it was tried again.
    Flaky,
    /// It did not, and is only recommended.
    Warn,
    /// Nothing is proven.
    Inconclusive,
    /// It does not apply.
    Skip,
}

impl Outcome {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Known => "known",
            Self::Flaky => "flaky",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Skip => "skip",
        }
    }

    /// How much it counts as a failure; what is none counts for nothing.
    pub(crate) fn weight(self) -> usize {
        match self {
            Self::Fail => 4,
            Self::Flaky => 3,
            Self::Warn => 2,
            Self::Known => 1,
            Self::Pass | Self::Inconclusive | Self::Skip => 0,
        }
    }
}

impl CheckResult {
    /// The result of one scenario of which nothing but the verdict is known yet.
    pub(crate) fn of(id: &str, family: &str, requirement: &str, verdict: Verdict) -> Self {
        Self {
            id: id.to_owned(),
            family: family.to_owned(),
            requirement: requirement.to_owned(),
            fix: None,
            verdict,
            lenient: false,
            known: None,
            known_once: None,
            under: None,
            tries: None,
            scenarios: 1,
            coverage: None,
            started: None,
            duration: Duration::ZERO,
            reproduce: None,
            scenario: None,
            tried: None,
            place: 0,
            shows: None,
            spent: Spent::default(),
            at: None,
            transcript: Vec::new(),
            trace: None,
            exhibit: None,
        }
    }

    /// How the result counts: a known failure does not fail the run, but one that has gone away does.
    pub fn outcome(&self) -> Outcome {
        match (&self.verdict, &self.known) {
            (Verdict::Pass, None) => Outcome::Pass,
            (Verdict::Pass, Some(_)) => Outcome::Fail,
            (Verdict::Fail(_), Some(_)) => Outcome::Known,
            (Verdict::Fail(_), None) if self.lenient => Outcome::Warn,
            (Verdict::Fail(_), None) if self.is_flaky() => Outcome::Flaky,
            (Verdict::Fail(_), None) => Outcome::Fail,
            (Verdict::Inconclusive(_), _) => Outcome::Inconclusive,
            (Verdict::Skip(_), _) => Outcome::Skip,
        }
    }

    fn is_flaky(&self) -> bool {
        self.tries.is_some_and(|tries| tries.is_flaky)
    }

    /// The sentence that goes with the verdict, if there is one, and how often it was tried, where that is more than once.
    pub fn reason(&self) -> Option<String> {
        match (self.reason_of_one(), self.tries) {
            (Some(reason), Some(tries)) => Some(format!("{reason} ({})", Self::counted(tries))),
            (None, Some(tries)) => Some(Self::counted(tries)),
            (reason, None) => reason,
        }
    }

    /// How often it was tried, and what came of that.
    fn counted(tries: Tries) -> String {
        let Tries {
            times,
            failed,
            unproven,
            is_retry,
            is_flaky: _,
        } = tries;
        let word = if is_retry { "tries" } else { "times" };
        match (failed, unproven) {
            (0, 0) => format!("tried {times} times"),
            (0, unproven) => format!("tried {times} times, of which {unproven} proved nothing"),
            (failed, _) => format!("failed {failed} of {times} {word}"),
        }
    }

    /// The sentence that goes with the verdict alone.
    fn reason_of_one(&self) -> Option<String> {
        let sentence = sentence::of(&self.verdict);
        match (&self.verdict, &self.known) {
            (Verdict::Pass, Some(known)) => Some(format!(
                "passes although it is known to fail ({known}); remove what says so"
            )),
            (Verdict::Fail(_), Some(known)) => Some(format!("{} (known: {known})", sentence?)),
            (Verdict::Fail(_), None) => Some(sentence? + &self.known_until()),
            (Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_), _) => sentence,
        }
    }

    /// Says of a failure that it was known, until when and why.
    fn known_until(&self) -> String {
        let over = self.known_once.as_ref();
        let over = over.and_then(|known| Some((known.until?, &known.reason)));
        over.map_or_else(String::new, |(until, reason)| {
            format!(" (known until {until}: {reason})")
        })
    }

    /// What was seen of a failure, or of what proved nothing, a line each.
    pub fn evidence(&self) -> Vec<String> {
        match &self.verdict {
            Verdict::Inconclusive(doubt) if doubt.has_a_story() => {
                let story = story(&self.transcript, None);
                story.lines.iter().map(ToString::to_string).collect()
            }
            verdict => sentence::evidence(verdict),
        }
    }

    /// The same of a failure as data.
    pub(super) fn facts(&self) -> Vec<WrittenFact> {
        let evidence = self.finding().map(|finding| finding.evidence.iter());
        evidence
            .into_iter()
            .flatten()
            .map(WrittenFact::of)
            .collect()
    }

    /// What the server did wrong, where it did.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.finding().map(|finding| &finding.cause)
    }

    /// The same with what bears it out.
    pub(crate) fn finding(&self) -> Option<&Finding> {
        match &self.verdict {
            Verdict::Fail(finding) => Some(finding),
            Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_) => None,
        }
    }

    /// The event that was not to happen, where one event shows what failed.
    pub(crate) fn wrong_event(&self) -> Option<&EventLine> {
        let mut evidence = self.finding()?.evidence.iter();
        evidence.find_map(|evidence| match evidence {
            Evidence::Event(event) if event.is_wrong => Some(event),
            _ => None,
        })
    }
}

/// How many results came out in each way.
///
/// ```
/// use sockdrill::{Report, Summary};
///
/// /// Whether enough has passed for a green light.
/// fn is_enough(report: &Report) -> bool {
///     let Summary { pass, fail, .. } = report.summary();
///     fail == 0 && pass > 20
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Requirements that held.
    pub pass: usize,
    /// Requirements that were broken.
    pub fail: usize,
    /// Requirements about which nothing is proven.
    pub inconclusive: usize,
    /// Requirements that do not apply.
    pub skip: usize,
    /// Broken requirements that are known, with a reason.
    pub known: usize,
    /// Requirements that were broken, and held when they were tried again.
    #[serde(default)]
    pub flaky: usize,
    /// Broken recommendations.
    pub warn: usize,
}

impl Summary {
    /// Counts how results came out.
    pub(crate) fn of(outcomes: impl Iterator<Item = Outcome>) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            let count = match outcome {
                Outcome::Pass => &mut summary.pass,
                Outcome::Fail => &mut summary.fail,
                Outcome::Known => &mut summary.known,
                Outcome::Flaky => &mut summary.flaky,
                Outcome::Warn => &mut summary.warn,
                Outcome::Inconclusive => &mut summary.inconclusive,
                Outcome::Skip => &mut summary.skip,
            };
            *count += 1;
        }
        summary
    }
}

impl Report {
    /// How many results came out in each way.
    pub fn summary(&self) -> Summary {
        Summary::of(self.results.iter().map(CheckResult::outcome))
    }

    /// The defects that were found, in the order of the table: each with the result that shows it most simply, and those of the
    /// checks that it also fails.
    pub fn findings(&self) -> Vec<Vec<&CheckResult>> {
        let of = |result: &'_ CheckResult| Told {
            id: result.id.clone(),
            fails: result.cause().is_some(),
            under: result.under.clone(),
        };
        let told: Vec<Told> = self.results.iter().map(of).collect();
        let findings = grouped(&told).into_iter();
        let results = |group: Vec<usize>| group.into_iter().map(|n| &self.results[n]).collect();
        findings.map(results).collect()
    }

    /// The exit code of the run: that the user has ended it comes first, and then a failure; where all was skipped, or more proved nothing than proved anything,
    /// too little was concluded. What a budget left no time for counts as neither.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code_with(NoTests::Fail)
    }

    /// The same where something else is to become of a run in which nothing was tried.
    pub fn exit_code_with(&self, no_tests: NoTests) -> ExitCode {
        self.written().exit_code(no_tests)
    }

    /// The report as JSON, format 1.
    pub fn to_json(&self) -> String {
        self.written().to_json()
    }

    /// The report as a JUnit file.
    #[cfg(feature = "report")]
    pub fn to_junit(&self) -> String {
        self.written().to_junit()
    }

    /// The report as an HTML page: verdicts, reasons, and of each failure the evidence and the transcript.
    #[cfg(feature = "report")]
    pub fn to_html(&self) -> String {
        self.written().to_html()
    }

    /// The last lines of a run: the passport, every failure in full, and the counts.
    pub fn closing_text(&self) -> String {
        self.written().closing_text()
    }

    /// The report in the form in which it is written down.
    pub(crate) fn written(&self) -> Written {
        Written::of(self)
    }
}

impl CheckResult {
    /// The line of a result in the list.
    pub fn line(&self) -> String {
        WrittenCheck::of(self).line()
    }

    /// The same, where it may be broken.
    #[cfg(feature = "cli")]
    pub(crate) fn line_piece(&self) -> Piece {
        WrittenCheck::of(self).line_piece()
    }

    /// What was done for the result: scenarios, cuts, time.
    pub fn effort(&self) -> String {
        WrittenCheck::of(self).effort()
    }

    /// The result as the JSON report has it.
    #[cfg(feature = "cli")]
    pub(crate) fn to_json(&self) -> String {
        WrittenCheck::of(self).to_json()
    }

    /// A failure in full: id, requirement, what was seen, how to repeat it.
    pub fn details(&self) -> String {
        WrittenCheck::of(self).details()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::{Step, Unit};
    use crate::judge::{Doubt, Growth};
    use crate::kernel::FileKind;
    use crate::model::figure::Figure;
    use crate::transcript::event::Exit;
    use crate::transcript::fault::Fault;

    fn result(id: &str, verdict: Verdict) -> CheckResult {
        CheckResult::of(id, "family", "It holds.", verdict)
    }

    fn fails(id: &str, cause: Cause) -> CheckResult {
        let finding = Finding {
            cause,
            halt: None,
            evidence: Vec::new(),
        };
        result(id, Verdict::Fail(finding))
    }

    fn left(figure: Figure, added: isize) -> Cause {
        Cause::Left(Growth {
            figure,
            unit: Unit::Run,
            doses: vec![Step { units: 1, added }],
        })
    }

    fn report(results: Vec<CheckResult>) -> Report {
        Report {
            target: "server".to_owned(),
            isolation: "namespace".to_owned(),
            why_host: None,
            why_writes_to_host: None,
            elsewhere: None,
            seed: 1,
            started: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            serves_nobody: false,
            interrupted: false,
            unsaved: None,
            flaky_fails: false,
            budget: None,
            partition: None,
            timings: None,
            results,
            observations: BTreeMap::new(),
        }
    }

    #[test]
    fn failures_for_the_same_defect_are_one_finding() {
        let died = |signal| Cause::Died {
            exit: Exit::Signal(signal),
            after: None,
        };
        let doubt = Doubt::Unproven {
            fault: Fault::Reset,
            evidence: "no counter moved".to_owned(),
        };
        let three = CheckResult {
            under: Some("a/one".to_owned()),
            ..fails("b/three", left(Figure::Sockets, 9))
        };
        let report = report(vec![
            fails("a/one", left(Figure::Sockets, 5)),
            result("a/passes", Verdict::Pass),
            fails("a/two", left(Figure::Files(FileKind::File), 5)),
            three,
            fails("b/four", died(11)),
            fails("b/five", died(6)),
            result("b/proves-nothing", Verdict::Inconclusive(doubt)),
        ]);
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let findings = json["findings"].as_array().unwrap().iter();
        let findings: Vec<_> = findings
            .map(|finding| (finding["key"].clone(), finding["checks"].clone()))
            .collect();
        let shown =
            |key: &str, checks: &[&str]| (serde_json::json!(key), serde_json::json!(checks));
        let wanted = [
            shown("left/open-sockets", &["a/one", "b/three"]),
            shown("left/open-files", &["a/two"]),
            shown("died/signal-11", &["b/four"]),
            shown("died/signal-6", &["b/five"]),
        ];
        assert_eq!(findings, wanted);
        assert_eq!(json["checks"][3]["under"], "a/one");
        let words = "4 findings, shown by 5 checks".to_owned();
        assert_eq!(report.written().findings_in_words(), Some(words));
        let told = report.closing_text();
        assert_eq!(told.matches("also shown by: b/three").count(), 1, "{told}");
        assert!(!told.contains("\nb/three: "), "{told}");
        assert_eq!(json["checks"][0]["cause"]["data"]["doses"][0]["added"], 5);
        assert_eq!(json["checks"][6]["doubt"], "unproven");
    }

    #[test]
    fn run_that_the_user_has_ended_is_exit_code_130_whatever_it_has_found() {
        let untried = || Verdict::Inconclusive(Doubt::Interrupted { begun: false });
        let mut report = report(vec![
            fails("a/one", Cause::FileRemoved),
            result("a/two", untried()),
            result("a/three", untried()),
        ]);
        assert_eq!(report.exit_code(), ExitCode::Failed);
        report.interrupted = true;
        assert_eq!(report.exit_code(), ExitCode::Interrupted);
        assert_eq!(report.written().too_little(), None);
        let told = report.closing_text();
        let words = "interrupted: 2 of 3 checks were not tried to their end\n";
        assert!(told.contains(words), "{told}");
        let lines: Vec<String> = report.results.iter().map(CheckResult::line).collect();
        assert_eq!(
            lines[1],
            "inconclusive  a/two  not tried: the run was interrupted"
        );
        report.results.truncate(1);
        let told = report.closing_text();
        assert!(
            told.contains("interrupted, when all checks were concluded"),
            "{told}"
        );
    }

    #[test]
    fn failure_under_one_that_is_listed_as_known_is_told() {
        let listed = CheckResult {
            known: Some("see issue 7".to_owned()),
            ..fails("a/one", left(Figure::Sockets, 5))
        };
        let under = CheckResult {
            under: Some("a/one".to_owned()),
            ..fails("b/two", left(Figure::Sockets, 9))
        };
        let told = report(vec![listed, under]).closing_text();
        assert!(told.contains("also shown by: b/two"), "{told}");
    }

    #[test]
    fn failure_that_was_known_once_says_until_when() {
        let cause = || Cause::FileRemoved;
        let listed = |until: Option<&str>| Known {
            check: "a/*".to_owned(),
            reason: "see issue 7".to_owned(),
            until: until.map(|until| until.parse().unwrap()),
            sometimes: false,
            line: String::new(),
        };
        let over = CheckResult {
            known_once: Some(listed(Some("2020-02-01"))),
            ..fails("a/one", cause())
        };
        let sentence = cause().to_string();
        let words = format!("{sentence} (known until 2020-02-01: see issue 7)");
        assert_eq!(over.reason(), Some(words));
        assert_eq!(fails("a/one", cause()).reason(), Some(sentence));
    }
}
