//! All verdicts of a run, as data; text, JSON and JUnit are written from it.

use crate::judge::cut_coverage::Coverage;
use crate::judge::{Cause, Verdict};
use crate::launch::Known;
use crate::model::error::ExitCode;
use crate::model::invariant::Invariant;
use crate::report::concluded::{NoTests, TooLittle};
use crate::report::sentence;
use crate::transcript::event::EventLine;
use crate::transcript::story::story;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

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
    /// The seed of generated payloads.
    pub seed: u64,
    /// How long the run took.
    pub duration: Duration,
    /// The run ended early: a server that does not serve a polite client shows nothing else.
    pub serves_nobody: bool,
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
    /// How many scenarios were performed.
    pub scenarios: usize,
    /// Where the request was cut, if it was.
    pub(crate) coverage: Option<Coverage>,
    /// How long it took.
    pub duration: Duration,
    /// The command that repeats exactly this.
    pub reproduce: Option<String>,
    /// The scenario that failed, as a `.drill` file.
    pub scenario: Option<String>,
    /// What the drawn clients of a property have tried.
    pub tried: Option<String>,
    /// The events of the last scenario, or of the one that failed.
    pub(crate) transcript: Vec<EventLine>,
}

/// How a result counts.
///
/// ```
/// use sockdrill::Outcome;
///
/// assert_eq!(Outcome::Inconclusive.word(), "inconclusive");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Outcome {
    /// The requirement held.
    Pass,
    /// It did not.
    Fail,
    /// It did not, which is known and has a reason.
    Known,
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
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Skip => "skip",
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
            scenarios: 1,
            coverage: None,
            duration: Duration::ZERO,
            reproduce: None,
            scenario: None,
            tried: None,
            transcript: Vec::new(),
        }
    }

    /// How the result counts: a known failure does not fail the run, but one that has gone away does.
    pub fn outcome(&self) -> Outcome {
        match (&self.verdict, &self.known) {
            (Verdict::Pass, None) => Outcome::Pass,
            (Verdict::Pass, Some(_)) => Outcome::Fail,
            (Verdict::Fail(_), Some(_)) => Outcome::Known,
            (Verdict::Fail(_), None) if self.lenient => Outcome::Warn,
            (Verdict::Fail(_), None) => Outcome::Fail,
            (Verdict::Inconclusive(_), _) => Outcome::Inconclusive,
            (Verdict::Skip(_), _) => Outcome::Skip,
        }
    }

    /// Whether its server could not even be started.
    pub(crate) fn could_not_run(&self) -> bool {
        matches!(&self.verdict, Verdict::Inconclusive(doubt) if doubt.is_of_no_run())
    }

    /// The sentence that goes with the verdict, if there is one.
    pub fn reason(&self) -> Option<String> {
        let sentence = sentence::of(&self.verdict);
        match (&self.verdict, &self.known) {
            (Verdict::Pass, Some(known)) => Some(format!(
                "passes although it is listed as known ({known}); remove it from the list"
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

    /// What the server did wrong, where it did.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match &self.verdict {
            Verdict::Fail(finding) => Some(&finding.cause),
            Verdict::Pass | Verdict::Inconclusive(_) | Verdict::Skip(_) => None,
        }
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    format: u32,
    target: &'a str,
    isolation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation_reason: Option<&'a str>,
    seed: u64,
    duration_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    serves_nobody: bool,
    summary: Summary,
    checks: Vec<JsonCheck<'a>>,
    findings: Vec<JsonFinding<'a>>,
    observations: &'a BTreeMap<String, String>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Broken recommendations.
    pub warn: usize,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    id: &'a str,
    family: &'a str,
    requirement: &'a str,
    verdict: &'static str,
    scenarios: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<JsonCoverage>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<JsonCause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    under: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reproduce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<&'a str>,
}

/// What a failure is about, for programs.
#[derive(Serialize)]
struct JsonCause<'a> {
    kind: &'static str,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invariant: Option<&'static str>,
    data: &'a Cause,
}

impl<'a> From<&'a Cause> for JsonCause<'a> {
    fn from(cause: &'a Cause) -> Self {
        Self {
            kind: cause.kind(),
            key: cause.key(),
            invariant: cause.invariant().map(Invariant::name),
            data: cause,
        }
    }
}

/// One defect: the check that shows it most simply, and all that fail for it.
#[derive(Serialize)]
struct JsonFinding<'a> {
    key: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
    checks: Vec<&'a str>,
}

/// Counts for programs, and the words of the text report for people.
#[derive(Serialize)]
struct JsonCoverage {
    cut_points: usize,
    of: usize,
    text: String,
}

impl From<&Coverage> for JsonCoverage {
    fn from(coverage: &Coverage) -> Self {
        Self {
            cut_points: coverage.covered(),
            of: coverage.places(),
            text: coverage.to_string(),
        }
    }
}

/// What is said where a run ends with its first finding.
const SERVES_NOBODY: &str = "\nThe run ends here: the server, as its profile describes it, does not serve a polite client, so that nothing else \
    can be told of it.\nCorrect the profile where it is wrong (`sockdrill init` writes one from what the server does), or else the server.\n";

impl Report {
    /// How many results came out in each way.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for result in &self.results {
            let count = match result.outcome() {
                Outcome::Pass => &mut summary.pass,
                Outcome::Fail => &mut summary.fail,
                Outcome::Known => &mut summary.known,
                Outcome::Warn => &mut summary.warn,
                Outcome::Inconclusive => &mut summary.inconclusive,
                Outcome::Skip => &mut summary.skip,
            };
            *count += 1;
        }
        summary
    }

    /// The defects that were found, in the order of the table: each with the result that shows it most simply, and those of the
    /// checks that it also fails.
    pub fn findings(&self) -> Vec<Vec<&CheckResult>> {
        let fails = self
            .results
            .iter()
            .filter(|result| result.cause().is_some());
        let (heads, others): (Vec<_>, Vec<_>) =
            fails.partition(|result| self.head_of(result).is_none());
        let also = |head: &CheckResult| {
            let others = others.iter().copied();
            others
                .filter(move |other| other.under.as_ref() == Some(&head.id))
                .collect::<Vec<_>>()
        };
        let findings = heads
            .into_iter()
            .map(|head| [vec![head], also(head)].concat());
        findings.collect()
    }

    /// The result that a failure is told under, where that is not itself.
    fn head_of(&self, result: &CheckResult) -> Option<&CheckResult> {
        let head = result.under.as_ref()?;
        let mut results = self.results.iter();
        results.find(|other| other.id == *head && other.cause().is_some() && other.under.is_none())
    }

    /// The exit code of the run: a failure comes first; where all was skipped, or more proved nothing than proved anything,
    /// too little was concluded.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code_with(NoTests::Fail)
    }

    /// The same where something else is to become of a run in which nothing was tried.
    pub fn exit_code_with(&self, no_tests: NoTests) -> ExitCode {
        match self.too_little() {
            _ if self.summary().fail > 0 => ExitCode::Failed,
            Some(too_little) => too_little.exit_code(no_tests),
            None => ExitCode::Passed,
        }
    }

    /// Why the run says too little of its server, if it does.
    pub(crate) fn too_little(&self) -> Option<TooLittle> {
        let not_run = self.results.iter().filter(|result| result.could_not_run());
        TooLittle::of(&self.summary(), not_run.count())
    }

    /// The report as JSON, format 1.
    pub fn to_json(&self) -> String {
        let checks = self.results.iter().map(|result| JsonCheck {
            id: &result.id,
            family: &result.family,
            requirement: &result.requirement,
            verdict: result.outcome().word(),
            scenarios: result.scenarios,
            coverage: result.coverage.as_ref().map(JsonCoverage::from),
            duration_ms: result.duration.as_millis() as u64,
            reason: result.reason(),
            cause: result.cause().map(JsonCause::from),
            under: result.under.as_deref(),
            doubt: match &result.verdict {
                Verdict::Inconclusive(doubt) => Some(doubt.kind()),
                Verdict::Pass | Verdict::Fail(_) | Verdict::Skip(_) => None,
            },
            evidence: result.evidence(),
            reproduce: result.reproduce.as_deref(),
            scenario: result.scenario.as_deref(),
            tried: result.tried.as_deref(),
        });
        let findings = self.findings().into_iter().map(|results| JsonFinding {
            key: results[0].cause().map(Cause::key).unwrap_or_default(),
            reason: results[0].reason().unwrap_or_default(),
            fix: results[0].fix.as_deref(),
            checks: results.iter().map(|result| result.id.as_str()).collect(),
        });
        let report = JsonReport {
            format: 1,
            target: &self.target,
            isolation: &self.isolation,
            isolation_reason: self.why_host.as_deref(),
            seed: self.seed,
            duration_ms: self.duration.as_millis() as u64,
            serves_nobody: self.serves_nobody,
            summary: self.summary(),
            checks: checks.collect(),
            findings: findings.collect(),
            observations: &self.observations,
        };
        // Strings and numbers only: there is nothing in it that cannot be written.
        let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The report as a JUnit file.
    #[cfg(feature = "report")]
    pub fn to_junit(&self) -> String {
        use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
        let mut report = quick_junit::Report::new("sockdrill");
        let mut suite = TestSuite::new(self.target.as_str());
        for result in &self.results {
            let reason = result.reason().unwrap_or_default();
            let status = match result.outcome() {
                Outcome::Pass => TestCaseStatus::success(),
                Outcome::Fail => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(reason);
                    status.set_description(result.details());
                    status
                }
                Outcome::Inconclusive if result.could_not_run() => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                    status.set_message(reason);
                    status
                }
                Outcome::Known | Outcome::Warn | Outcome::Inconclusive | Outcome::Skip => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(format!("{}: {reason}", result.outcome().word()));
                    status
                }
            };
            let mut case = TestCase::new(result.id.as_str(), status);
            case.set_classname(result.family.as_str());
            case.set_time(result.duration);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
        report.to_string().unwrap_or_default()
    }

    /// The last lines of a run: the passport, every failure in full, and the counts.
    pub fn closing_text(&self) -> String {
        let mut text = String::new();
        if !self.observations.is_empty() {
            text.push_str("\nobserved, not judged:\n");
            for (name, value) in &self.observations {
                let _ = writeln!(text, "  {name:<24} {value}");
            }
        }
        let is_told =
            |result: &CheckResult| matches!(result.outcome(), Outcome::Fail | Outcome::Warn);
        let mut findings = self.findings();
        // Its simplest check may be listed as known, and another may not.
        findings.retain(|results| results.iter().any(|result| is_told(result)));
        for results in findings {
            let _ = write!(text, "\n{}", finding(&results));
        }
        let is_unclear = |result: &&CheckResult| {
            result.outcome() == Outcome::Inconclusive && !result.evidence().is_empty()
        };
        for result in self.results.iter().filter(is_unclear) {
            let _ = write!(text, "\n{}", result.details());
        }
        // What is listed as known and passes is no finding, and has to be looked at.
        for result in self
            .results
            .iter()
            .filter(|result| result.cause().is_none() && is_told(result))
        {
            let _ = write!(text, "\n{}", result.details());
        }
        if self.serves_nobody {
            text.push_str(SERVES_NOBODY);
        }
        let _ = writeln!(text, "\n{}", self.counts().join("\n"));
        text
    }

    /// The counts, the time and the seed, in a line; a second one says why there was no namespace.
    pub(crate) fn summary_line(&self) -> String {
        let summary = self.summary();
        let mut line = format!(
            "{} passed, {} failed, {} inconclusive, {} skipped",
            summary.pass, summary.fail, summary.inconclusive, summary.skip
        );
        for (count, word) in [(summary.known, "known"), (summary.warn, "warned")] {
            if count > 0 {
                let _ = write!(line, ", {count} {word}");
            }
        }
        let _ = write!(
            line,
            " in {:.1} s (seed {}, isolation {})",
            self.duration.as_secs_f64(),
            self.seed,
            self.isolation
        );
        if let Some(why) = &self.why_host {
            let _ = write!(
                line,
                "\nno namespace: {why}; `sockdrill doctor` tells how to permit it"
            );
        }
        line
    }
}

impl Report {
    /// The last lines of a run: how many findings there are, where that says something, and how many results.
    pub(crate) fn counts(&self) -> Vec<String> {
        let findings = self.findings_in_words().into_iter();
        findings.chain([self.summary_line()]).collect()
    }

    /// How many defects have failed checks, and how many checks, where that is more than one.
    fn findings_in_words(&self) -> Option<String> {
        let fails =
            |result: &&CheckResult| result.outcome() == Outcome::Fail && result.cause().is_some();
        let findings = self.findings();
        let findings = findings.iter().filter(|results| results.iter().any(fails));
        let findings: Vec<usize> = findings
            .map(|results| results.iter().filter(|result| fails(result)).count())
            .collect();
        let counted = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        // What has a remedy is a check.
        let is_of_checks = self.results.iter().any(|result| result.fix.is_some());
        let word = if is_of_checks { "check" } else { "case" };
        let shown_by: usize = findings.iter().sum();
        let n = findings.len();
        let words = format!(
            "{}, shown by {}",
            counted(n, "finding"),
            counted(shown_by, word)
        );
        (shown_by > 1).then_some(words)
    }
}

/// A defect in full: the check that shows it most simply, and the names of those that it also fails.
fn finding(results: &[&CheckResult]) -> String {
    let also: Vec<&str> = results[1..]
        .iter()
        .map(|result| result.id.as_str())
        .collect();
    let mut text = results[0].details();
    if !also.is_empty() {
        let _ = writeln!(text, "  also shown by: {}", also.join(", "));
    }
    text
}

impl CheckResult {
    /// The line of a result in the list.
    pub fn line(&self) -> String {
        let outcome = self.outcome();
        let reason = self.reason().or_else(|| self.tried.clone());
        let reason = match (&self.under, reason) {
            (Some(head), _) => format!("  as {head} shows"),
            (None, Some(reason)) => format!("  {reason}"),
            (None, None) => String::new(),
        };
        format!("{:<13} {}{reason}", outcome.word(), self.id)
    }

    /// What was done for the result: scenarios, cuts, time.
    pub fn effort(&self) -> String {
        let mut text = match self.scenarios {
            1 => "1 scenario".to_owned(),
            n => format!("{n} scenarios"),
        };
        if let Some(coverage) = &self.coverage {
            let _ = write!(text, ", {coverage}");
        }
        let _ = write!(text, ", {:.1} s", self.duration.as_secs_f64());
        text
    }

    /// A failure in full: id, requirement, what was seen, how to repeat it.
    pub fn details(&self) -> String {
        let mut text = format!("{}: {}\n", self.id, self.requirement);
        if let Some(reason) = self.reason() {
            let _ = writeln!(text, "  {reason}");
        }
        for line in self.evidence() {
            let _ = writeln!(text, "    {line}");
        }
        if let Some(coverage) = &self.coverage {
            let _ = writeln!(text, "  until then: {coverage}");
        }
        if let Some(fix) = self.fix.as_ref().filter(|_| self.cause().is_some()) {
            let _ = writeln!(text, "  fix: {fix}\n  more: sockdrill explain {}", self.id);
        }
        if let Some(reproduce) = &self.reproduce {
            let _ = writeln!(text, "  repeat: {reproduce}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cause::{Step, Unit};
    use crate::judge::{Doubt, Finding, Growth};
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
            at: None,
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
            seed: 1,
            duration: Duration::ZERO,
            serves_nobody: false,
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
        let words = "4 findings, shown by 5 cases".to_owned();
        assert_eq!(report.findings_in_words(), Some(words));
        let told = report.closing_text();
        assert_eq!(told.matches("also shown by: b/three").count(), 1, "{told}");
        assert!(!told.contains("\nb/three: "), "{told}");
        assert_eq!(json["checks"][0]["cause"]["data"]["doses"][0]["added"], 5);
        assert_eq!(json["checks"][6]["doubt"], "unproven");
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
