//! The report as one HTML page that needs nothing from elsewhere.

use crate::foreign::HTML;
use crate::report::written::{Written, WrittenCheck};
use std::fmt::Write as _;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-page'">
<style nonce="page">
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }
pre { background: #f5f5f5; padding: .75rem; overflow-x: auto }
td:first-child { font-weight: 600; white-space: nowrap }
.pass { color: #17692d } .fail { color: #b3141f } .warn, .known, .flaky, .inconclusive { color: #8a5a00 } .skip { color: #666 }
section { border-left: 4px solid #b3141f; padding-left: 1rem; margin: 1.5rem 0 }
</style>
"#;

impl Written {
    /// The report as an HTML page: verdicts, reasons, and of each failure the evidence and the transcript.
    pub(crate) fn to_html(&self) -> String {
        let mut page = HEAD.to_owned();
        let target = escaped(&self.target);
        let _ = writeln!(
            page,
            "<title>sockdrill: {target}</title>\n<h1>{target}</h1>"
        );
        for words in self.counts() {
            let _ = writeln!(page, "<p>{}</p>", escaped(&words));
        }
        for checks in self.findings() {
            failure(&mut page, &checks);
        }
        page.push_str(
            "<h2>Verdicts</h2>\n<table>\n<tr><th>verdict<th>id<th>requirement<th>reason\n",
        );
        for check in &self.checks {
            let word = check.verdict.word();
            let _ = writeln!(
                page,
                "<tr><td class=\"{word}\">{word}<td>{}<td>{}<td>{}",
                escaped(&check.id),
                escaped(&check.requirement),
                escaped(check.reason.as_deref().unwrap_or_default())
            );
        }
        page.push_str("</table>\n");
        if let Some(timings) = &self.timings {
            let table = timings.table(&self.checks, self.duration_ms);
            let _ = writeln!(
                page,
                "<h2>Time</h2>\n<pre>{}</pre>",
                escaped(table.trim_end())
            );
        }
        if !self.observations.is_empty() {
            page.push_str("<h2>Observed, not judged</h2>\n<table>\n");
            for (name, value) in &self.observations {
                let _ = writeln!(page, "<tr><td>{}<td>{}", escaped(name), escaped(value));
            }
            page.push_str("</table>\n");
        }
        page
    }
}

fn failure(page: &mut String, checks: &[&WrittenCheck]) {
    let (check, also) = (checks[0], &checks[1..]);
    let also: Vec<&str> = also.iter().map(|check| check.id.as_str()).collect();
    let word = check.verdict.word();
    let _ = writeln!(
        page,
        "<section>\n<h2><span class=\"{word}\">{word}</span> {}</h2>\n<p>{}</p>\n<p><strong>{}</strong></p>",
        escaped(&check.id),
        escaped(&check.requirement),
        escaped(check.reason.as_deref().unwrap_or_default())
    );
    let parts = [
        ("Where", check.picture()),
        ("Evidence", check.evidence.join("\n")),
        ("Also shown by", also.join("\n")),
        ("Fix", check.fix.clone().unwrap_or_default()),
        ("Repeat", check.reproduce.clone().unwrap_or_default()),
        ("Scenario", check.scenario.clone().unwrap_or_default()),
        ("Transcript", check.transcript.join("\n")),
    ];
    for (title, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
        let open = if *title == "Transcript" { "" } else { " open" };
        let _ = writeln!(
            page,
            "<details{open}><summary>{title}</summary><pre>{}</pre></details>",
            escaped(text.trim_end())
        );
    }
    page.push_str("</section>\n");
}

/// Text in which nothing is markup: servers and scenarios say what they like.
fn escaped(text: &str) -> std::borrow::Cow<'_, str> {
    HTML.text(text)
}
