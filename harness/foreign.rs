//! Foreign text: what a server, a file, a process, an argument or the environment says, made harmless for where it is written.
//!
//! Whoever writes for people or programs passes all of a text through its [`Destination`], so that nothing is forgotten: what is ours
//! holds no character that is shown differently.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Where text is written to.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The control characters that are ours there, and stay.
    keeps: &'static [char],
    /// What stands for a character that is markup there.
    markup: &'static [(char, &'static str)],
    /// How a character is shown that could do something there.
    show: fn(char, &mut String),
}

/// Lines for a person, in a terminal or a log.
pub(crate) const TERMINAL: Destination = Destination {
    keeps: LAYOUT,
    markup: &[],
    show: as_escape,
};

/// A name within a line, which it may not end: what follows would look like a line of ours.
pub(crate) const LINE: Destination = Destination {
    keeps: &[],
    markup: &[],
    show: as_escape,
};

/// A piece of HTML that we write ourselves, within its elements and quoted attributes.
#[cfg(feature = "report")]
pub(crate) const HTML: Destination = Destination {
    keeps: LAYOUT,
    markup: &[
        ('&', "&amp;"),
        ('<', "&lt;"),
        ('>', "&gt;"),
        ('"', "&quot;"),
        ('\'', "&#39;"),
    ],
    show: as_escape,
};

/// A file of XML 1.0, whose markup is for its writer. It permits few control characters (its section 2.2), in no spelling at all.
#[cfg(feature = "report")]
pub(crate) const XML: Destination = Destination {
    keeps: LAYOUT,
    markup: &[],
    show: as_escape,
};

/// JSON that was written already: whatever is left to be shown stands within its strings, which read the same afterwards.
pub(crate) const JSON: Destination = Destination {
    keeps: LAYOUT,
    markup: &[],
    show: as_utf16_escape,
};

/// What a command of GitHub's workflows tells (its toolkit's `escapeData`).
#[cfg(feature = "report")]
pub(crate) const WORKFLOW_DATA: Destination = Destination {
    keeps: &['\t'],
    markup: &[('%', "%25"), ('\n', "%0A")],
    show: as_escape,
};

/// A property of such a command.
#[cfg(feature = "report")]
pub(crate) const WORKFLOW_PROPERTY: Destination = Destination {
    keeps: &[],
    markup: &[('%', "%25"), (':', "%3A"), (',', "%2C")],
    show: as_escape,
};

/// A text of several lines as one that a step of GitHub's workflows may print: none of its lines is a command. Its runner takes for one what
/// begins with two colons, whatever spaces stand before them, and in the older form what has `##[` anywhere.
#[cfg(feature = "cli")]
pub(crate) fn without_commands(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    if !text.lines().any(is_command) {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| match line.trim_start().strip_prefix("::") {
        Some(rest) => {
            let space = &line[..line.len() - rest.len() - 2];
            format!("{space}\\x3a:{rest}")
        }
        None => line.to_owned(),
    };
    let lines = text.split('\n').map(line);
    let text = lines.collect::<Vec<_>>().join("\n");
    Cow::Owned(text.replace("##[", "#\\x23["))
}

/// What our own lines are laid out with.
const LAYOUT: &[char] = &['\n', '\t'];

impl Destination {
    /// The text as it may be written there.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(first) = text.find(|c| self.is_changed(c)) else {
            return Cow::Borrowed(text);
        };
        let (before, rest) = text.split_at(first);
        let mut harmless = String::with_capacity(text.len() + 16);
        harmless.push_str(before);
        for c in rest.chars() {
            match self.markup.iter().find(|(markup, _)| *markup == c) {
                Some((_, instead)) => harmless.push_str(instead),
                None if self.is_changed(c) => (self.show)(c, &mut harmless),
                None => harmless.push(c),
            }
        }
        Cow::Owned(harmless)
    }

    fn is_changed(&self, c: char) -> bool {
        is_active(c) && !self.keeps.contains(&c)
            || self.markup.iter().any(|(markup, _)| *markup == c)
    }
}

/// Whether a character does something where it is shown, instead of being seen: it moves the cursor, changes colours, rings, turns
/// the direction of what stands around it, or is no character at all.
pub(crate) fn is_active(c: char) -> bool {
    c.is_control()
        || ACTIVE
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
}

/// Beside the control characters of ASCII and of ISO 8859 (C1).
const ACTIVE: &[(char, char)] = &[
    // Those that turn the direction of writing (UAX 9, section 2).
    ('\u{61c}', '\u{61c}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2066}', '\u{2069}'),
    // Ends of lines and paragraphs.
    ('\u{2028}', '\u{2029}'),
    // Invisible annotations.
    ('\u{fff9}', '\u{fffb}'),
    // No characters, which XML does not permit.
    ('\u{fffe}', '\u{ffff}'),
];

/// As `.drill` files write a byte, and Rust what takes more than one.
fn as_escape(c: char, to: &mut String) {
    // Nothing keeps a string from being written to.
    let _ = match c {
        '\n' => write!(to, "\\n"),
        '\r' => write!(to, "\\r"),
        '\t' => write!(to, "\\t"),
        c if c.is_ascii() => write!(to, "\\x{:02x}", u32::from(c)),
        c => write!(to, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// As JSON writes any character (RFC 8259, section 7).
fn as_utf16_escape(c: char, to: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = write!(to, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const HOSTILE: &str =
        "a\x1b[31m\x07\0\r\x7f\u{9b}2J\u{202e}\u{2066}\u{200f}\u{2028}\u{ffff}é漢";

    #[test]
    fn what_would_do_something_is_shown() {
        let shown = r"a\x1b[31m\x07\x00\r\x7f\u{9b}2J\u{202e}\u{2066}\u{200f}\u{2028}\u{ffff}é漢";
        for destination in [TERMINAL, LINE, HTML] {
            assert_eq!(destination.text(HOSTILE), shown, "{destination:?}");
        }
    }

    #[test]
    fn nothing_that_does_something_is_left_anywhere() {
        let all: String = (0..=0x1_ffff).filter_map(char::from_u32).collect();
        for destination in [TERMINAL, LINE, HTML, JSON] {
            let text = destination.text(&all);
            let left: Vec<char> = text.chars().filter(|c| is_active(*c)).collect();
            assert_eq!(
                left,
                destination.keeps.iter().copied().rev().collect::<Vec<_>>()
            );
            let is_markup = |c: &char| destination.markup.iter().any(|(markup, _)| markup == c);
            let seen = |text: &str| -> BTreeSet<char> {
                let seen = text.chars().filter(|c| !is_active(*c));
                seen.filter(|c| !is_markup(c)).collect()
            };
            assert!(seen(&text).is_superset(&seen(&all)), "{destination:?}");
        }
    }

    #[test]
    fn layout_is_ours_but_not_within_a_line() {
        assert_eq!(TERMINAL.text("a\n\tb"), "a\n\tb");
        assert_eq!(LINE.text("pass\nfail"), r"pass\nfail");
        assert!(matches!(TERMINAL.text("as it is\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_is_a_command_of_a_workflow_and_what_one_tells_ends_nothing() {
        let said = "a\n  ::error ::b\n::c\nd ::e\nf ##[g]";
        let told = "a\n  \\x3a:error ::b\n\\x3a:c\nd ::e\nf #\\x23[g]";
        assert_eq!(without_commands(said), told);
        assert!(matches!(without_commands("a::b\n##"), Cow::Borrowed(_)));
        assert_eq!(WORKFLOW_DATA.text("50%\r\n::x"), r"50%25\r%0A::x");
        assert_eq!(WORKFLOW_PROPERTY.text("a:b,c%\n"), r"a%3Ab%2Cc%25\n");
    }

    #[test]
    fn markup_is_text_in_a_page() {
        assert_eq!(
            HTML.text("<a b='\"'>&"),
            "&lt;a b=&#39;&quot;&#39;&gt;&amp;"
        );
    }

    #[test]
    fn json_reads_the_same_as_before() {
        let written = serde_json::to_string_pretty(&[HOSTILE, "\u{1f600}\n"]).unwrap();
        let harmless = JSON.text(&written);
        assert!(harmless.contains(r"\u202e") && harmless.contains(r"\u009b"));
        let read: Vec<String> = serde_json::from_str(&harmless).unwrap();
        assert_eq!(read, [HOSTILE, "\u{1f600}\n"]);
    }
}
