//! The report as a JUnit file.

use super::data::Outcome;
use super::written::{Written, WrittenCheck};
use std::fmt::Write as _;

/// What a case of a JUnit file can be that is no plain pass.
#[derive(Clone, Copy, PartialEq)]
enum Element {
    Failure,
    Error,
    Skipped,
}

impl Element {
    fn of(check: &WrittenCheck) -> Option<Self> {
        match check.verdict {
            Outcome::Pass => None,
            Outcome::Fail => Some(Self::Failure),
            Outcome::Inconclusive if check.could_not_run() => Some(Self::Error),
            Outcome::Known | Outcome::Warn | Outcome::Inconclusive | Outcome::Skip => {
                Some(Self::Skipped)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

impl Written {
    /// The report as a JUnit file.
    pub(crate) fn to_junit(&self) -> String {
        let count = |wanted| {
            let elements = self.checks.iter().filter_map(Element::of);
            elements.filter(|element| *element == wanted).count()
        };
        let counts = format!(
            "tests=\"{}\" skipped=\"{}\" failures=\"{}\" errors=\"{}\"",
            self.checks.len(),
            count(Element::Skipped),
            count(Element::Failure),
            count(Element::Error)
        );
        let mut file = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sockdrill\" {counts}>\n    \
             <testsuite name=\"{}\" {counts}>\n",
            escaped(&self.target)
        );
        for check in &self.checks {
            file.push_str(&case(check));
        }
        file + "    </testsuite>\n</testsuites>\n"
    }
}

fn case(check: &WrittenCheck) -> String {
    let mut text = format!(
        "        <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
        escaped(&check.id),
        escaped(&check.family),
        check.duration_ms as f64 / 1e3
    );
    let Some(element) = Element::of(check) else {
        return text + "/>\n";
    };
    let reason = check.reason.as_deref().unwrap_or_default();
    let (name, message) = match element {
        Element::Skipped => ("skipped", format!("{}: {reason}", check.verdict.word())),
        other => (other.name(), reason.to_owned()),
    };
    let _ = write!(
        text,
        ">\n            <{name} message=\"{}\"",
        in_a_line(&message)
    );
    match element {
        Element::Failure => {
            let _ = write!(text, ">{}</{name}>", escaped(&check.details()));
        }
        Element::Error | Element::Skipped => text.push_str("/>"),
    }
    text + "\n        </testcase>\n"
}

/// The same as the value of an attribute, in which a line would not end.
fn in_a_line(text: &str) -> String {
    escaped(text).replace('\n', "&#10;")
}

/// Text in which nothing is markup, and nothing that XML 1.0 does not allow: servers say what they like.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\t' | '\n' => safe.push(letter),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other if other.is_control() => safe.extend(other.escape_default()),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_no_markup_and_no_character_that_xml_forbids() {
        let said = "a <b> & \"c\" 'd'\u{1b}[31m\0\u{ffff}\n";
        let safe = "a &lt;b&gt; &amp; &quot;c&quot; &apos;d&apos;\\u{1b}[31m\\u{0}\u{fffd}\n";
        assert_eq!(escaped(said), safe);
    }
}
