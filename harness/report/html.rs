//! The report as one HTML page that needs nothing from elsewhere: it is made of the report as it is written down.

use super::data::Outcome;
use super::filters;
use super::piece::unbroken;
use super::several::{Document, Several};
use super::svg::drawing::{Drawing, shortened};
use super::svg::growth::Plot;
use super::written::{Written, WrittenCheck};
use crate::foreign::TERMINAL;
use crate::model::literal::Measured;
use crate::report::trace::{Trace, TracedCrowd, TracedEnd};
use askama::Template;
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");

/// So many characters of one text are told: what is longer is in the report that the page is made of.
const MOST_TEXT: usize = 20_000;

/// So many characters of a reason.
const MOST_REASON: usize = 4_000;

/// So many ends of a crowd are told, those of most members: where each has bytes of its own there are as many as members.
const MOST_ENDS: usize = 4;

/// So many of the slowest are told.
const SLOWEST: usize = 10;

impl Written {
    /// The report as an HTML page: verdicts, and of each failure a picture of what happened, what the kernel knew meanwhile, how it is
    /// repeated and how it is mended.
    pub(crate) fn to_html(&self) -> String {
        page(std::slice::from_ref(self), &self.target, None)
    }
}

impl Document {
    /// The page of a report; of several targets it has the matrix.
    pub(crate) fn to_html(&self) -> String {
        match self {
            Self::One(report) => report.to_html(),
            Self::Several(several) => {
                let title = several.matrix.targets.join(", ");
                page(&several.targets, &title, Some(MatrixView::of(several)))
            }
        }
    }
}

/// A page of runs, one after the other, below what they come to side by side.
fn page(reports: &[Written], title: &str, matrix: Option<MatrixView>) -> String {
    let harmless: Vec<Written> = reports.iter().map(harmless).collect();
    let runs = harmless.iter().enumerate().map(|(n, written)| {
        let prefix = match harmless.len() {
            1 => String::new(),
            _ => prefix(n),
        };
        RunView::of(written, prefix)
    });
    let page = Page {
        title: format!("sockdrill: {}", TERMINAL.text(&shortened(title, 200))),
        style_hash: hash(STYLE),
        script_hash: hash(SCRIPT),
        style: STYLE,
        script: SCRIPT,
        matrix,
        runs: runs.collect(),
        foot: foot(&harmless),
    };
    page.render().unwrap_or_default()
}

/// The hash by which a page permits what stands in it (Content Security Policy, section 2.3.1).
fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref())
    )
}

fn foot(reports: &[Written]) -> String {
    let first = reports.first();
    let version = first.map_or("", |report| report.sockdrill.as_str());
    format!(
        "Made by sockdrill {version} of a report of --json. Nothing here is loaded from elsewhere."
    )
}

/// The same report in whose texts nothing does anything but be seen: servers and scenarios say what they like. Markup is left to the
/// template, which writes all text as text.
fn harmless(report: &Written) -> Written {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    make_harmless(&mut value);
    serde_json::from_value(value).unwrap_or_else(|_| report.clone())
}

fn make_harmless(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(shown) = TERMINAL.text(text) {
                *text = shown;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_harmless),
        Value::Object(fields) => fields.values_mut().for_each(make_harmless),
        _ => {}
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: String,
    style_hash: String,
    script_hash: String,
    style: &'static str,
    script: &'static str,
    matrix: Option<MatrixView>,
    runs: Vec<RunView<'a>>,
    foot: String,
}

/// What several targets came to, side by side.
struct MatrixView {
    counts: String,
    columns: Vec<String>,
    rows: Vec<MatrixRow>,
    notes: Vec<String>,
}

struct MatrixRow {
    id: String,
    cells: Vec<Cell>,
}

struct Cell {
    word: &'static str,
    anchor: String,
}

impl MatrixView {
    fn of(several: &Several) -> Self {
        let text = |text: &str| TERMINAL.text(&shortened(text, 200)).into_owned();
        let rows = several.matrix.rows.iter().map(|row| MatrixRow {
            id: text(&row.id),
            cells: row
                .verdicts
                .iter()
                .enumerate()
                .map(|(n, verdict)| Cell {
                    word: verdict.map_or("", Outcome::word),
                    anchor: text(&anchor(&prefix(n), &row.id)),
                })
                .collect(),
        });
        Self {
            counts: text(&several.counts()),
            columns: several
                .matrix
                .targets
                .iter()
                .map(|name| text(name))
                .collect(),
            rows: rows.collect(),
            notes: several
                .matrix
                .notes()
                .iter()
                .map(|note| text(note))
                .collect(),
        }
    }
}

/// What the addresses of one of several runs begin with.
fn prefix(n: usize) -> String {
    format!("{n}.")
}

/// One run.
struct RunView<'a> {
    anchor: String,
    written: &'a Written,
    word: &'static str,
    answer: String,
    counts: Vec<(&'static str, usize)>,
    words: Vec<String>,
    facts: Vec<String>,
    /// What stands above the findings.
    heading: &'static str,
    findings: Vec<FindingView<'a>>,
    families: Vec<FamilyView<'a>>,
    passport: Vec<(String, String)>,
    course: Option<Course>,
    slowest: Vec<Slow>,
    longest_ms: u64,
    timings: String,
}

/// One defect.
struct FindingView<'a> {
    anchor: String,
    word: &'static str,
    check: Texts<'a>,
    /// The sentence, and what stands below it.
    reason: String,
    below: String,
    shot: Option<Shot>,
    plot: Option<Plot>,
    place: String,
    evidence: String,
    also: Vec<Link>,
    scenario: String,
    transcript: String,
}

/// What a result says of itself.
struct Texts<'a> {
    id: &'a str,
    requirement: &'a str,
    why: Option<&'a str>,
    fix: Option<&'a str>,
    reproduce: Option<String>,
}

struct Link {
    anchor: String,
    id: String,
}

struct FamilyView<'a> {
    name: &'a str,
    rows: Vec<Row<'a>>,
}

/// One result among all.
struct Row<'a> {
    anchor: String,
    /// It is a finding, and has its own place above.
    is_told_above: bool,
    word: &'static str,
    check: Texts<'a>,
    reason: String,
    time: String,
    shot: Option<Shot>,
}

/// A trial to look at.
struct Shot {
    id: String,
    drawing: Drawing,
    /// Quiet times are cut.
    scale: bool,
    folded: usize,
    crowds: Vec<CrowdView>,
    left_out: usize,
    data: String,
}

/// What became of a crowd.
struct CrowdView {
    name: String,
    members: usize,
    ends: Vec<TracedEnd>,
    /// How many came to other ends.
    others: usize,
}

/// When each result was tried.
struct Course {
    bars: Vec<CourseBar>,
    height: usize,
    lasts: String,
}

struct CourseBar {
    anchor: String,
    word: &'static str,
    x: f64,
    y: usize,
    width: f64,
    title: String,
}

struct Slow {
    anchor: String,
    id: String,
    ms: u64,
    time: String,
}

impl<'a> RunView<'a> {
    fn of(written: &'a Written, prefix: String) -> Self {
        let anchor = |check: &WrittenCheck| anchor(&prefix, &check.id);
        let mut groups = written.findings();
        groups.sort_by_key(|checks| Reverse(gravest(checks).weight()));
        let gravest = groups.first().map(|checks| gravest(checks));
        let heads: BTreeSet<&str> = groups.iter().map(|checks| checks[0].id.as_str()).collect();
        let findings = groups
            .iter()
            .enumerate()
            .map(|(n, checks)| FindingView::of(checks, &anchor, format!("{prefix}trace-{n}")));
        let findings = findings.collect();
        let rows = written.checks.iter().enumerate().map(|(n, check)| {
            let is_told_above = heads.contains(check.id.as_str());
            (
                check.family.as_str(),
                Row::of(check, &anchor, is_told_above, format!("{prefix}row-{n}")),
            )
        });
        let summary = &written.summary;
        let counts = [
            ("fail", summary.fail),
            ("flaky", summary.flaky),
            ("warn", summary.warn),
            ("known", summary.known),
            ("inconclusive", summary.inconclusive),
            ("pass", summary.pass),
            ("skip", summary.skip),
        ];
        let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        Self {
            anchor: format!("{prefix}run"),
            word: glance(written),
            answer: answer(written),
            counts,
            heading: gravest.map_or("", heading),
            words: written.left_out_of_it(),
            facts: facts(written),
            findings,
            families: by_family(rows),
            passport: written
                .observations
                .iter()
                .map(|(name, value)| (name.replace('_', " "), shortened(value, MOST_REASON)))
                .collect(),
            course: course(written, &anchor),
            slowest: slowest(written, &anchor),
            longest_ms: written
                .checks
                .iter()
                .map(|check| check.duration_ms)
                .max()
                .unwrap_or(1)
                .max(1),
            timings: written
                .timings
                .as_ref()
                .map(|timings| timings.table(&written.checks, written.duration_ms))
                .map(|pieces| unbroken(&pieces))
                .unwrap_or_default(),
            written,
        }
    }
}

/// The gravest verdict of those that one defect has.
fn gravest(checks: &[&WrittenCheck]) -> Outcome {
    let verdicts = checks.iter().map(|check| check.verdict);
    verdicts
        .max_by_key(|verdict| verdict.weight())
        .unwrap_or(Outcome::Pass)
}

/// What findings are called of which this is the gravest.
fn heading(gravest: Outcome) -> &'static str {
    match gravest {
        Outcome::Flaky => "What failed and then passed",
        Outcome::Warn => "What is recommended otherwise",
        Outcome::Known => "What is known to fail",
        _ => "What broke",
    }
}

/// What a run comes to, as a word for its colour.
fn glance(written: &Written) -> &'static str {
    let summary = &written.summary;
    match () {
        () if summary.fail > 0 => "fail",
        () if written.too_little().is_some() || written.interrupted => "inconclusive",
        () => "pass",
    }
}

fn answer(written: &Written) -> String {
    let broken = written
        .findings()
        .iter()
        .filter(|checks| checks[0].verdict == Outcome::Fail)
        .count();
    match (written.summary.fail, broken) {
        (0, _) => match written.too_little() {
            Some(why) => why.to_string(),
            None if written.interrupted => "interrupted".to_owned(),
            None => "nothing broke".to_owned(),
        },
        (1, 0 | 1) => "1 check failed".to_owned(),
        (fail, 1) => format!("1 defect, shown by {fail} checks"),
        (fail, 0) => format!("{fail} failed"),
        (fail, broken) => format!("{broken} defects, shown by {fail} checks"),
    }
}

fn facts(written: &Written) -> Vec<String> {
    let host = written.host.as_ref();
    let facts = [
        Some(format!("took {}", milliseconds(written.duration_ms))),
        written.started.as_ref().map(|at| format!("began {at}")),
        Some(format!("seed {}", written.seed)),
        Some(format!("isolation {}", written.isolation)),
        host.map(|host| {
            format!(
                "Linux {} on {} processors ({})",
                host.kernel, host.processors, host.name
            )
        }),
    ];
    facts.into_iter().flatten().collect()
}

fn milliseconds(time: u64) -> String {
    Measured(Duration::from_millis(time)).to_string()
}

fn anchor(prefix: &str, id: &str) -> String {
    let plain = |c: char| if c.is_whitespace() { '-' } else { c };
    format!(
        "{prefix}{}",
        shortened(id, 200).chars().map(plain).collect::<String>()
    )
}

impl<'a> FindingView<'a> {
    fn of(
        checks: &[&'a WrittenCheck],
        anchor: &dyn Fn(&WrittenCheck) -> String,
        shot: String,
    ) -> Self {
        let (head, also) = (checks[0], &checks[1..]);
        let reason = shortened(head.reason.as_deref().unwrap_or_default(), MOST_REASON);
        let (reason, below) = reason.split_once('\n').unwrap_or((&reason, ""));
        let also = also.iter().map(|check| Link {
            anchor: anchor(check),
            id: check.id.clone(),
        });
        Self {
            anchor: anchor(head),
            word: head.verdict.word(),
            check: Texts::of(head),
            reason: reason.to_owned(),
            below: below.to_owned(),
            shot: Shot::of(head, shot),
            plot: head.cause.as_ref().and_then(|cause| Plot::of(&cause.data)),
            place: block(&head.picture()),
            evidence: block(&evidence(head)),
            also: also.collect(),
            scenario: block(head.scenario.as_deref().unwrap_or_default()),
            transcript: block(&head.transcript.join("\n")),
        }
    }
}

/// What bears a failure out, but for the events, which a picture shows.
fn evidence(check: &WrittenCheck) -> String {
    let is_shown = |kind: &str| check.trace.is_some() && ["event", "left-out"].contains(&kind);
    let told = check.facts.iter().filter(|fact| !is_shown(&fact.kind));
    let lines: Vec<&str> = told
        .flat_map(|fact| fact.text.iter().map(String::as_str))
        .collect();
    match check.facts.is_empty() {
        true => check.evidence.join("\n"),
        false => lines.join("\n"),
    }
}

impl<'a> Texts<'a> {
    fn of(check: &'a WrittenCheck) -> Self {
        Self {
            id: &check.id,
            requirement: &check.requirement,
            why: check.why.as_deref(),
            fix: check.fix.as_deref(),
            reproduce: check.reproduce.as_deref().map(block),
        }
    }
}

impl<'a> Row<'a> {
    fn of(
        check: &'a WrittenCheck,
        anchor: &dyn Fn(&WrittenCheck) -> String,
        is_told_above: bool,
        shot: String,
    ) -> Self {
        Self {
            anchor: anchor(check),
            is_told_above,
            word: check.verdict.word(),
            check: Texts::of(check),
            reason: row_reason(check),
            time: check.effort(),
            shot: (!is_told_above).then(|| Shot::of(check, shot)).flatten(),
        }
    }
}

fn row_reason(check: &WrittenCheck) -> String {
    let reason = check.reason.as_ref().or(check.tried.as_ref());
    match (&check.under, reason) {
        (Some(head), _) => format!("as {head} shows"),
        (None, reason) => shortened(reason.map_or("", String::as_str), MOST_REASON),
    }
}

/// A text of several lines, of which no more is told than a page takes.
fn block(text: &str) -> String {
    let text = text.trim_end();
    let told: String = text.chars().take(MOST_TEXT).collect();
    match text.len() - told.len() {
        0 => told,
        more => format!("{told}…\n({more} bytes more are in the report of --json)"),
    }
}

impl Shot {
    fn of(check: &WrittenCheck, id: String) -> Option<Self> {
        let trace: &Trace = check.trace.as_deref()?;
        let drawing = Drawing::of(trace)?;
        Some(Self {
            id,
            scale: !drawing.cuts.is_empty(),
            folded: drawing.lanes.iter().filter(|lane| lane.is_folded).count(),
            drawing,
            crowds: trace.crowds.iter().map(CrowdView::of).collect(),
            left_out: trace.left_out,
            data: in_a_script(trace),
        })
    }
}

impl CrowdView {
    fn of(crowd: &TracedCrowd) -> Self {
        let (told, others) = crowd.ends.split_at(crowd.ends.len().min(MOST_ENDS));
        Self {
            name: crowd.name.clone(),
            members: crowd.members,
            ends: told.to_vec(),
            others: others.iter().map(|end| end.members).sum(),
        }
    }
}

/// Data as a script element takes it: nothing in it ends the element.
fn in_a_script(trace: &Trace) -> String {
    let text = serde_json::to_string(trace).unwrap_or_default();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

fn by_family<'a>(rows: impl Iterator<Item = (&'a str, Row<'a>)>) -> Vec<FamilyView<'a>> {
    let mut families: Vec<FamilyView<'a>> = Vec::new();
    for (name, row) in rows {
        match families.last_mut().filter(|family| family.name == name) {
            Some(family) => family.rows.push(row),
            None => families.push(FamilyView {
                name,
                rows: vec![row],
            }),
        }
    }
    families
}

/// When each result was tried, those at the same time below each other.
fn course(written: &Written, anchor: &dyn Fn(&WrittenCheck) -> String) -> Option<Course> {
    let tried = written
        .checks
        .iter()
        .filter_map(|check| Some((check.started_ms?, check)));
    let mut tried: Vec<(u64, &WrittenCheck)> = tried.collect();
    tried.sort_by_key(|(at, _)| *at);
    let end = |(at, check): &(u64, &WrittenCheck)| at + check.duration_ms;
    let lasts = tried.iter().map(end).max()?.max(written.duration_ms).max(1);
    let x = |ms: u64| ms as f64 * 1000.0 / lasts as f64;
    let mut free: Vec<u64> = Vec::new();
    let bars = tried.iter().map(|(at, check)| {
        let until = at + check.duration_ms;
        let row = free.iter().position(|free| free <= at).unwrap_or_else(|| {
            free.push(0);
            free.len() - 1
        });
        free[row] = until;
        CourseBar {
            anchor: anchor(check),
            word: check.verdict.word(),
            x: x(*at),
            y: 4 + 12 * row,
            width: x(check.duration_ms).max(1.5),
            title: format!("{} {}", check.id, milliseconds(check.duration_ms)),
        }
    });
    let bars: Vec<CourseBar> = bars.collect();
    Some(Course {
        bars,
        height: 8 + 12 * free.len(),
        lasts: milliseconds(lasts),
    })
}

fn slowest(written: &Written, anchor: &dyn Fn(&WrittenCheck) -> String) -> Vec<Slow> {
    let mut checks: Vec<&WrittenCheck> = written
        .checks
        .iter()
        .filter(|check| check.duration_ms > 0)
        .collect();
    checks.sort_by_key(|check| Reverse(check.duration_ms));
    let slow = checks.into_iter().take(SLOWEST).map(|check| Slow {
        anchor: anchor(check),
        id: check.id.clone(),
        ms: check.duration_ms,
        time: milliseconds(check.duration_ms),
    });
    slow.collect()
}
