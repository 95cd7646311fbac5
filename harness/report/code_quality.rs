//! The findings of a report as GitLab shows them beside a change: the JSON of Code Climate.

use super::data::Outcome;
use super::several::Document;
use super::written::WrittenCheck;
use crate::foreign::{JSON, LINE};
use crate::model::stable_hash::fnv_1a;
use serde::Serialize;

/// How much of one text is told.
const MOST_TEXT: usize = 1_000;

/// One finding.
#[derive(Serialize)]
struct Issue {
    description: String,
    check_name: String,
    /// By which it is known again in the next run: made of nothing that was measured.
    fingerprint: String,
    severity: &'static str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
}

impl Document {
    /// The findings as a list of JSON.
    pub(crate) fn to_code_quality(&self) -> String {
        let mut issues = Vec::new();
        for report in self.reports() {
            let findings = report.failing().into_iter();
            issues.extend(findings.map(|checks| issue(&report.target, &checks)));
        }
        // Strings and numbers only: there is nothing in it that cannot be written.
        let text = serde_json::to_string_pretty(&issues).unwrap_or_default();
        format!("{}\n", JSON.text(&text))
    }
}

fn issue(target: &str, checks: &[&WrittenCheck]) -> Issue {
    let check = checks[0];
    let at = check.at.as_ref();
    let at = at.and_then(|at| Some((at.file.clone()?, at.line)));
    // What is found by a check is in no file of the user's: it is told of the server.
    let (path, begin) = at.unwrap_or_else(|| (target.to_owned(), 1));
    let key = check.cause.as_ref().map_or("", |cause| &cause.key);
    let reason = check.reason.as_deref().unwrap_or_default();
    let description = format!("{} {reason}", check.requirement);
    Issue {
        description: LINE.text(beginning(&description)).into_owned(),
        check_name: check.id.clone(),
        fingerprint: fingerprint(&[target, &check.id, key]),
        severity: severity(checks),
        location: Location {
            path,
            lines: Lines { begin },
        },
    }
}

/// The same in every run in which these are the same.
fn fingerprint(parts: &[&str]) -> String {
    let text = parts.join("\0");
    let turned = text.bytes().rev();
    format!("{:016x}{:016x}", fnv_1a(text.bytes()), fnv_1a(turned))
}

fn severity(checks: &[&WrittenCheck]) -> &'static str {
    let has = |outcome| checks.iter().any(|check| check.verdict == outcome);
    match () {
        () if has(Outcome::Fail) => "major",
        () if has(Outcome::Flaky) || has(Outcome::Warn) => "minor",
        () => "info",
    }
}

fn beginning(text: &str) -> &str {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
