//! The findings of a report as commands of GitHub's workflows, each of which it shows beside the line of a scenario, and as a page for
//! the summary of a step.

use super::data::Outcome;
use super::several::Document;
use super::written::WrittenCheck;
use crate::foreign::{HTML, LINE, WORKFLOW_DATA, WORKFLOW_PROPERTY};
use std::fmt::Write as _;

/// How many errors are shown of a step, and how many warnings.
const MOST: usize = 10;

/// How much of one text is told: a server may say megabytes.
const MOST_TEXT: usize = 4_000;

/// How many findings the summary has in full.
const MOST_IN_FULL: usize = 50;

/// What is shown of a finding.
struct Annotation<'a> {
    /// Its target, where there are several.
    of: Option<&'a str>,
    checks: Vec<&'a WrittenCheck>,
}

impl Document {
    /// The commands that have a workflow show what failed, and warn of what may; `place` says what a file is called in the repository,
    /// where it is of it.
    pub(crate) fn to_workflow_commands(&self, place: &dyn Fn(&str) -> Option<String>) -> String {
        let (errors, warnings): (Vec<_>, Vec<_>) = self
            .annotations()
            .into_iter()
            .partition(|one| one.is_error());
        let command = |kind: &str, these: &[Annotation<'_>]| {
            let shown = if these.len() > MOST { MOST - 1 } else { MOST };
            let mut text = String::new();
            for one in these.iter().take(shown) {
                let _ = writeln!(text, "{}", one.command(kind, place));
            }
            let rest: Vec<&str> = these.iter().skip(shown).map(Annotation::name).collect();
            if !rest.is_empty() {
                let words = format!(
                    "{} more are not shown here: {}",
                    rest.len(),
                    rest.join(", ")
                );
                let _ = writeln!(
                    text,
                    "::{kind} title=sockdrill::{}",
                    WORKFLOW_DATA.text(beginning(&words))
                );
            }
            text
        };
        command("error", &errors) + &command("warning", &warnings)
    }

    /// What is shown: the findings in their order, what fails without being one, and what could not be run.
    fn annotations(&self) -> Vec<Annotation<'_>> {
        let reports = self.reports();
        let mut all = Vec::new();
        for report in reports {
            let of = (reports.len() > 1).then_some(report.target.as_str());
            let not_run = report.checks.iter().filter(|check| check.could_not_run());
            let shown = report
                .failing()
                .into_iter()
                .chain(not_run.map(|check| vec![check]));
            let shown = shown.map(|checks| Annotation { of, checks });
            all.extend(shown.filter(|one| one.is_error() || one.is_warning()));
        }
        all
    }

    /// The summary of a step, of so many bytes at most: GitHub shows it as Markdown, in which all of ours is HTML, and no text of a server is
    /// anything but text.
    pub(crate) fn to_summary(&self, most_bytes: usize) -> String {
        let mut text = self.summary_head();
        let left_out = "\n<p>More is left out here: the summary of a step has little room.</p>\n";
        let room = most_bytes.saturating_sub(left_out.len());
        for (n, one) in self.annotations().iter().enumerate() {
            let part = one.details();
            if n >= MOST_IN_FULL || text.len() + part.len() > room {
                text.push_str(left_out);
                break;
            }
            text.push_str(&part);
        }
        match text.len() <= most_bytes {
            true => text,
            false => String::new(),
        }
    }

    fn summary_head(&self) -> String {
        match self {
            Self::One(report) => format!(
                "<h3>sockdrill: {}</h3>\n\n<p>{}</p>\n",
                inline(&report.target),
                inline(&report.counts().join("; "))
            ),
            Self::Several(several) => format!(
                "<h3>sockdrill</h3>\n\n<p>{}</p>\n\n{}",
                inline(&several.counts()),
                several.matrix.html()
            ),
        }
    }
}

impl Annotation<'_> {
    fn name(&self) -> &str {
        &self.checks[0].id
    }

    fn has(&self, outcome: Outcome) -> bool {
        self.checks.iter().any(|check| check.verdict == outcome)
    }

    fn is_error(&self) -> bool {
        self.has(Outcome::Fail) || self.checks[0].could_not_run()
    }

    fn is_warning(&self) -> bool {
        self.has(Outcome::Flaky) || self.has(Outcome::Warn)
    }

    fn title(&self) -> String {
        let of = self.of.map_or_else(String::new, |of| format!(" ({of})"));
        format!("{}{of}", self.name())
    }

    fn command(&self, kind: &str, place: &dyn Fn(&str) -> Option<String>) -> String {
        let check = self.checks[0];
        let property = |name: &str, value: &str| {
            let value = LINE.text(beginning(value)).into_owned();
            format!("{name}={}", WORKFLOW_PROPERTY.text(&value))
        };
        let at = check.at.as_ref();
        let at = at.and_then(|at| Some((at, place(at.file.as_ref()?)?)));
        let mut properties = match at {
            Some((at, file)) => vec![
                property("file", &file),
                property("line", &at.line.to_string()),
                property("col", &at.column.to_string()),
            ],
            None => Vec::new(),
        };
        properties.push(property("title", &self.title()));
        let mut text = check.requirement.clone();
        if let Some(reason) = &check.reason {
            let _ = write!(text, "\n{}", beginning(reason));
        }
        if let Some(command) = &check.reproduce {
            let _ = write!(text, "\nrepeat: {}", beginning(command));
        }
        let properties = properties.join(",");
        format!("::{kind} {properties}::{}", WORKFLOW_DATA.text(&text))
    }

    /// A finding in full, folded.
    fn details(&self) -> String {
        let check = self.checks[0];
        let also: Vec<&str> = self.checks[1..]
            .iter()
            .map(|check| check.id.as_str())
            .collect();
        let parts = [
            ("", check.picture()),
            ("", check.evidence.join("\n")),
            ("also shown by", also.join("\n")),
            ("fix", check.fix.clone().unwrap_or_default()),
            ("repeat", check.reproduce.clone().unwrap_or_default()),
        ];
        let mut text = format!(
            "\n<details><summary>{} {}: {}</summary>\n",
            check.verdict.word(),
            inline(&self.title()),
            inline(check.reason.as_deref().unwrap_or_default())
        );
        let _ = write!(text, "\n<p>{}</p>\n", inline(&check.requirement));
        for (title, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
            if !title.is_empty() {
                let _ = write!(text, "\n<p>{title}:</p>\n");
            }
            // An element that ends nowhere but at its own end, and stands in front of no text: nothing in it is Markdown.
            let part = HTML.text(beginning(part.trim_end()));
            let _ = write!(text, "\n<pre>{part}</pre>\n");
        }
        text + "\n</details>\n"
    }
}

/// A text in the middle of a line. Each line of the summary is a block of HTML, in which nothing is Markdown; and in code nobody is mentioned
/// and nothing is linked.
fn inline(text: &str) -> String {
    let line = LINE.text(beginning(text)).into_owned();
    format!("<code>{}</code>", HTML.text(&line))
}

/// As much of a text as is told.
fn beginning(text: &str) -> &str {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::written::Written;
    use serde_json::json;

    /// All that may end something, or begin something.
    const HOSTILE: &str =
        "a%0A\n::error ::b\r</pre></details><img src=x onerror=y>`x`\n\n# @all #1 ,:";

    fn check(id: &str, file: Option<&str>) -> serde_json::Value {
        let at = file.map(
            |file| json!({"file": file, "line": 7, "column": 3, "end_column": 9, "text": "  x"}),
        );
        let mut check = json!({
            "id": id, "family": "f", "requirement": "It holds.", "verdict": "fail", "scenarios": 1, "duration_ms": 1,
            "reason": HOSTILE, "evidence": [HOSTILE],
            "cause": {"kind": "died", "key": "died/signal-11", "data": null},
        });
        if let Some(at) = at {
            check["at"] = at;
        }
        check
    }

    fn document(checks: Vec<serde_json::Value>) -> Document {
        let report = json!({
            "format": 1, "target": HOSTILE, "isolation": "host", "seed": 1, "duration_ms": 1,
            "summary": {"pass": 0, "fail": 0, "inconclusive": 0, "skip": 0, "known": 0, "warn": 0},
            "checks": checks, "observations": {},
        });
        Document::of(vec![Written::of_value("r", report).unwrap()])
    }

    fn commands(document: &Document) -> Vec<String> {
        let text = document.to_workflow_commands(&|file| Some(format!("sub/{file}")));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn finding_is_one_command_on_the_line_of_its_scenario_whatever_the_server_says() {
        let told = commands(&document(vec![check("a,b::c", Some("a,b.drill"))]));
        let wanted = "::error file=sub/a%2Cb.drill,line=7,col=3,title=a%2Cb%3A%3Ac::It holds.%0Aa%250A%0A::error ::b\\r</pre>\
            </details><img src=x onerror=y>`x`%0A%0A# @all #1 ,:";
        assert_eq!(told, [wanted]);
        let nowhere = commands(&document(vec![check("reset", None)]));
        assert!(
            nowhere[0].starts_with("::error title=reset::It holds."),
            "{nowhere:?}"
        );
    }

    #[test]
    fn of_more_than_are_shown_the_rest_is_named_in_the_last_one() {
        let checks = |many: usize| (0..many).map(|n| check(&format!("c{n}"), None)).collect();
        assert_eq!(commands(&document(checks(10))).len(), 10);
        let told = commands(&document(checks(13)));
        assert_eq!(told.len(), 10);
        assert_eq!(
            told[9],
            "::error title=sockdrill::4 more are not shown here: c9, c10, c11, c12"
        );
    }

    #[test]
    fn nothing_that_a_server_says_is_anything_but_text_in_the_summary() {
        let text = document(vec![check("reset", None)]).to_summary(1 << 20);
        assert!(
            !text.contains("<img") && text.contains("&lt;img src=x"),
            "{text}"
        );
        // Its own, and no other.
        assert_eq!(text.matches("</details>").count(), 1, "{text}");
        assert_eq!(text.matches("</pre>").count(), 1, "{text}");
        for line in text.lines().filter(|line| line.contains("@all")) {
            assert!(line.starts_with('<') || line.starts_with('#'), "{line}");
        }
    }

    #[test]
    fn summary_takes_no_more_room_than_there_is() {
        let mut long = check("reset", None);
        long["reason"] = "x".repeat(1 << 20).into();
        long["evidence"] = json!(["y".repeat(1 << 20)]);
        let document = document(vec![long; 400]);
        for most in [0, 100, 10_000, 1 << 20] {
            let text = document.to_summary(most);
            assert!(text.len() <= most, "{} of {most}", text.len());
            assert!(
                most < 10_000 || text.contains("More is left out here"),
                "{most}"
            );
        }
        assert!(commands(&document).iter().all(|line| line.len() < 20_000));
    }
}
