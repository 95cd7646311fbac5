//! What is otherwise in a report than in an earlier one: of findings, of what is known at all, and of what was observed.

use super::data::Outcome;
use super::observed_change::{Observed, changes};
use super::written::{FORMAT, Written, WrittenCheck};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What stands for the cause of a failure that has none: what is listed as known has passed.
const NO_CAUSE: &str = "passes-although-known";

/// The name of the schema that describes it: docs/diff.schema.json has it as its `$id`.
const SCHEMA: &str = "urn:sockdrill:diff:1";

/// What is otherwise, of all targets that both have.
#[derive(Debug, Serialize)]
pub(crate) struct Diff {
    #[serde(rename = "$schema")]
    pub schema: &'static str,
    pub format: u32,
    /// Whether anything is worse.
    pub worse: bool,
    pub targets: Vec<TargetDiff>,
    /// The targets that only the earlier one has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Those that only the later one has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
}

/// What is otherwise of one target.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TargetDiff {
    pub target: String,
    /// Failures that were not there, or count for more than they did.
    pub worse: Vec<Change>,
    /// Findings of which all checks pass now.
    pub better: Vec<Change>,
    /// Findings that count for less than they did, or that the same checks show otherwise.
    pub changed: Vec<Change>,
    /// Findings that are as they were.
    pub still: Vec<Change>,
    /// What was concluded, and is not any more: that is no improvement, whatever it was.
    pub lost: Vec<Known>,
    /// What passes now, and of which nothing was known.
    pub gained: Vec<Known>,
    pub observations: Vec<Observed>,
    /// Something was concluded, and nothing of it is concluded now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tells_nothing: bool,
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub what: What,
    /// The key of its cause.
    pub key: String,
    /// The checks that show it, the one first that shows it most simply.
    pub checks: Vec<String>,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Outcome>,
}

/// In which way a finding is otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// It was not there.
    New,
    /// It was there, and fails checks that passed.
    Spread,
    /// It was there, and counts for more.
    Graver,
    /// It is there no more.
    Fixed,
    /// It counts for less.
    Milder,
    /// The same checks fail, for another reason.
    Otherwise,
    /// It is as it was.
    Still,
}

/// What is known of a check, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Known {
    pub check: String,
    /// None where it is not in the report at all.
    pub was: Option<Outcome>,
    pub is: Option<Outcome>,
    /// Why nothing is concluded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Diff {
    /// What is otherwise in the later ones of these reports: targets are told apart by their names, and where there is one in each they
    /// are two builds of one server, whatever they are called.
    pub(crate) fn of(old: &[Written], new: &[Written]) -> Self {
        let is_pair = old.len() == 1 && new.len() == 1;
        let alike = |one: &Written, other: &Written| is_pair || one.target == other.target;
        let pairs = new.iter().filter_map(|new| {
            let old = old.iter().find(|old| alike(old, new))?;
            Some(TargetDiff::of(old, new))
        });
        let targets: Vec<TargetDiff> = pairs.collect();
        let only = |these: &[Written], others: &[Written]| {
            let is_alone = |one: &&Written| !others.iter().any(|other| alike(one, other));
            let alone = these.iter().filter(is_alone);
            alone.map(|one| one.target.clone()).collect()
        };
        Self {
            schema: SCHEMA,
            format: FORMAT,
            worse: targets.iter().any(|target| !target.worse.is_empty()),
            targets,
            gone: only(old, new),
            added: only(new, old),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        // Strings and numbers only: there is nothing in it that cannot be written.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{}\n", crate::foreign::JSON.text(&text))
    }
}

/// A defect with all that fail for it.
type Failing<'a> = Vec<&'a WrittenCheck>;

/// The results of a report by their names.
type Checks<'a> = BTreeMap<&'a str, &'a WrittenCheck>;

impl TargetDiff {
    fn of(old: &Written, new: &Written) -> Self {
        let (before, now) = (by_id(old), by_id(new));
        let (past, present) = (old.failing(), new.failing());
        let mut diff = Self {
            target: new.target.clone(),
            observations: changes(&old.observations, &new.observations),
            ..Self::default()
        };
        for finding in &present {
            let earlier = past.iter().find(|earlier| is_same(earlier, finding));
            diff.add_present(finding, earlier, &before);
        }
        for finding in &past {
            if !present.iter().any(|later| is_same(finding, later)) {
                diff.add_past(finding, &now);
            }
        }
        diff.add_knowledge(&before, &now);
        diff.tells_nothing = tells_nothing(&before, &now);
        diff
    }

    /// Adds a finding that is there now.
    fn add_present(
        &mut self,
        finding: &Failing<'_>,
        earlier: Option<&Failing<'_>>,
        before: &Checks<'_>,
    ) {
        let head = finding[0];
        let was = before.get(head.id.as_str()).map(|check| check.verdict);
        let change = |what, was| Change {
            was,
            is: Some(head.verdict),
            ..Change::of(what, finding)
        };
        let Some(earlier) = earlier else {
            self.worse.push(change(What::New, was));
            return;
        };
        let (was, is) = (gravest(earlier), gravest(finding));
        let of_gravity = |what| Change {
            was: Some(was),
            is: Some(is),
            ..Change::of(what, finding)
        };
        match is.weight().cmp(&was.weight()) {
            Ordering::Greater => self.worse.push(of_gravity(What::Graver)),
            Ordering::Less => self.changed.push(of_gravity(What::Milder)),
            Ordering::Equal => self.still.push(Change::of(What::Still, finding)),
        }
        let passed = |check: &&&WrittenCheck| {
            let before = before.get(check.id.as_str());
            before.is_some_and(|before| before.verdict == Outcome::Pass)
        };
        let spread: Failing<'_> = finding.iter().filter(passed).copied().collect();
        if !spread.is_empty() {
            self.worse.push(Change::of(What::Spread, &spread));
        }
    }

    /// Adds a finding that was there, and is not any more. Where something of it is not known now, that is told, and no more.
    fn add_past(&mut self, finding: &Failing<'_>, now: &Checks<'_>) {
        let verdicts = finding.iter().map(|check| now.get(check.id.as_str()));
        let verdicts: Vec<Option<Outcome>> = verdicts
            .map(|check| check.map(|check| check.verdict))
            .collect();
        let change = |what| Change {
            was: Some(gravest(finding)),
            is: verdicts[0],
            ..Change::of(what, finding)
        };
        if verdicts
            .iter()
            .all(|verdict| *verdict == Some(Outcome::Pass))
        {
            self.better.push(change(What::Fixed));
        } else if verdicts
            .iter()
            .flatten()
            .any(|verdict| verdict.weight() > 0)
        {
            self.changed.push(change(What::Otherwise));
        }
    }

    /// Adds what was concluded and is not any more, and what is concluded now.
    fn add_knowledge(&mut self, before: &Checks<'_>, now: &Checks<'_>) {
        let ids = before.keys().chain(now.keys()).copied();
        for id in ids.collect::<BTreeSet<_>>() {
            let (was, is) = (before.get(id), now.get(id));
            let known = Known {
                check: id.to_owned(),
                was: was.map(|check| check.verdict),
                is: is.map(|check| check.verdict),
                reason: is
                    .and_then(|check| check.reason.clone())
                    .unwrap_or_default(),
            };
            match (is_concluded(known.was), is_concluded(known.is)) {
                (true, false) => self.lost.push(known),
                (false, true) if known.is == Some(Outcome::Pass) => self.gained.push(known),
                _ => {}
            }
        }
    }
}

impl Change {
    fn of(what: What, finding: &Failing<'_>) -> Self {
        Self {
            what,
            key: key(finding[0]).to_owned(),
            checks: finding.iter().map(|check| check.id.clone()).collect(),
            reason: finding[0].reason.clone().unwrap_or_default(),
            was: None,
            is: None,
        }
    }
}

fn by_id(report: &Written) -> Checks<'_> {
    let checks = report.checks.iter();
    checks.map(|check| (check.id.as_str(), check)).collect()
}

fn key(check: &WrittenCheck) -> &str {
    check.cause.as_ref().map_or(NO_CAUSE, |cause| &cause.key)
}

/// Whether both are one finding: a check fails in both for the same cause, whatever was measured of it.
fn is_same(one: &Failing<'_>, other: &Failing<'_>) -> bool {
    let heads = key(one[0]) == key(other[0]);
    let in_both = |check: &&WrittenCheck| {
        let mut others = other.iter();
        let there = others.find(|other| other.id == check.id);
        there.is_some_and(|there| heads || key(check) == key(there))
    };
    one.iter().any(in_both)
}

fn gravest(finding: &Failing<'_>) -> Outcome {
    let verdicts = finding.iter().map(|check| check.verdict);
    verdicts
        .max_by_key(|verdict| verdict.weight())
        .unwrap_or(Outcome::Fail)
}

fn is_concluded(verdict: Option<Outcome>) -> bool {
    !matches!(verdict, None | Some(Outcome::Inconclusive | Outcome::Skip))
}

/// Whether something was concluded, and nothing of it is now.
fn tells_nothing(before: &Checks<'_>, now: &Checks<'_>) -> bool {
    let concluded = before
        .values()
        .filter(|check| is_concluded(Some(check.verdict)));
    let mut concluded = concluded.peekable();
    let is_now = |check: &&WrittenCheck| {
        let now = now.get(check.id.as_str());
        is_concluded(now.map(|now| now.verdict))
    };
    concluded.peek().is_some() && !concluded.any(is_now)
}
