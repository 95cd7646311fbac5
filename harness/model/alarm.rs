//! Alarms: what a server, or a tool that watches it, says of a defect by itself. Every form is one row of [`FORMS`].

use super::check::Severity;
use super::data::find;
use serde::{Deserialize, Serialize};

/// An alarm that a server has printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    /// The name of its form.
    pub form: String,
    /// What it says in a line.
    pub title: String,
    /// All of it.
    pub text: Vec<String>,
}

impl Alarm {
    /// What alarms of the same defect have in common: all but numbers and addresses, those of lines of source kept.
    pub(crate) fn shape(&self) -> String {
        shape(&self.title)
    }

    /// The words by which alarms of its form are known.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static str> {
        let begins = AlarmForm::named(&self.form).map_or(&[][..], |form| form.begins);
        begins.iter().map(|begins| begins.text())
    }

    /// How grave it is.
    pub(crate) fn severity(&self) -> Severity {
        AlarmForm::named(&self.form).map_or(Severity::Must, |form| form.severity)
    }
}

/// How alarms of one kind look.
#[derive(Debug)]
pub(crate) struct AlarmForm {
    /// What it is, as reports say it.
    pub name: &'static str,
    /// How its first line is told from any other.
    pub begins: &'static [Begins],
    /// What a later line begins with, blanks aside, where the first one alone may be anybody's.
    pub then: Option<&'static str>,
    /// Up to where it goes.
    pub ends: Ends,
    /// Which of its lines says most.
    pub title: Title,
    /// Whether it is a failure, or a broken recommendation.
    pub severity: Severity,
}

impl AlarmForm {
    fn named(name: &str) -> Option<&'static Self> {
        FORMS.iter().find(|form| form.name == name)
    }
}

/// How a first line is told from others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begins {
    /// It begins so.
    With(&'static str),
    /// This is somewhere in it.
    Has(&'static str),
    /// The first is somewhere in it, and the second behind that.
    HasBoth(&'static str, &'static str),
    /// This follows a file, a line and a column.
    AtSource(&'static str),
}

impl Begins {
    /// What is looked for first.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::With(text) | Self::Has(text) | Self::HasBoth(text, _) | Self::AtSource(text) => {
                text
            }
        }
    }

    /// Whether its text stands there in a line, and the line is such a first one.
    pub(crate) fn is_in(self, line: &[u8], at: usize) -> bool {
        let text = self.text().as_bytes();
        let (before, rest) = line.split_at(at);
        rest.starts_with(text)
            && match self {
                Self::With(_) => at == 0,
                Self::Has(_) => true,
                Self::HasBoth(_, then) => find(&rest[text.len()..], then.as_bytes()).is_some(),
                Self::AtSource(_) => is_source(before),
            }
    }
}

/// Up to where an alarm goes, of which the first line is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ends {
    /// It is one line.
    There,
    /// With the line that has one of these.
    With(&'static [&'static str]),
    /// Before an empty line.
    Blank,
    /// So many lines follow whatever they are, and then those that are indented or begin so.
    Lines(usize, &'static [&'static str]),
    /// Indented lines follow, and one that is not; and the same again where another exception was its cause.
    Python,
    /// Lines of the kinds that a trace of goroutines has.
    Go,
}

/// Which line of an alarm says most.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Title {
    /// The first one, from the text by which it was known.
    First,
    /// The first one, from there, and the one behind it.
    FirstTwo,
    /// The last one, with the last place in the source that was named before it.
    Exception,
    /// The line that has this, or the first one.
    Line(&'static str),
}

use Begins::{AtSource, Has, HasBoth, With};

/// Every form there is; the first that fits a line is taken.
pub(crate) const FORMS: &[AlarmForm] = &[
    AlarmForm {
        name: "a sanitizer's report",
        begins: &[
            Has("ERROR: AddressSanitizer: "),
            Has("ERROR: HWAddressSanitizer: "),
            Has("ERROR: LeakSanitizer: detected"),
            Has("ERROR: MemorySanitizer: "),
            Has("ERROR: ThreadSanitizer: "),
            Has("ERROR: UndefinedBehaviorSanitizer: "),
            Has("WARNING: MemorySanitizer: "),
            Has("WARNING: ThreadSanitizer: "),
        ],
        then: None,
        ends: Ends::With(&["SUMMARY: "]),
        title: Title::Line("SUMMARY: "),
        severity: Severity::Must,
    },
    AlarmForm {
        name: "undefined behaviour",
        begins: &[AtSource(": runtime error: ")],
        then: None,
        ends: Ends::Lines(0, &["SUMMARY: "]),
        title: Title::Line(""),
        severity: Severity::Must,
    },
    AlarmForm {
        name: "a data race",
        begins: &[With("WARNING: DATA RACE")],
        then: None,
        ends: Ends::With(&["=================="]),
        title: Title::Line(".go:"),
        severity: Severity::Must,
    },
    AlarmForm {
        name: "valgrind's report",
        begins: &[
            HasBoth("== ", "Invalid read of size"),
            HasBoth("== ", "Invalid write of size"),
            HasBoth("== ", "Invalid free() / delete"),
            HasBoth("== ", "Mismatched free() / delete"),
            HasBoth("== ", "Conditional jump or move depends on uninitialised"),
            HasBoth("== ", "Use of uninitialised value"),
            HasBoth("== ", "points to uninitialised byte"),
            HasBoth("== ", "points to unaddressable byte"),
            HasBoth("== ", "Source and destination overlap"),
            HasBoth("== ", "Possible data race during"),
        ],
        then: Some("=="),
        ends: Ends::With(&["== \n"]),
        title: Title::First,
        severity: Severity::Must,
    },
    AlarmForm {
        name: "a failed heap check",
        begins: &[
            With("double free or corruption"),
            With("corrupted size vs. prev_size"),
            With("corrupted double-linked list"),
            With("free(): invalid"),
            With("free(): double free"),
            With("free(): corrupted"),
            With("free(): unaligned"),
            With("free(): too many chunks"),
            With("malloc(): corrupted"),
            With("malloc(): invalid"),
            With("malloc(): memory corruption"),
            With("malloc(): mismatching"),
            With("malloc(): unsorted"),
            With("malloc(): unaligned"),
            With("malloc(): smallbin"),
            With("malloc(): largebin"),
            With("malloc_consolidate(): "),
            With("realloc(): invalid"),
            With("munmap_chunk(): invalid"),
            HasBoth("*** Error in ", "***"),
        ],
        then: None,
        ends: Ends::There,
        title: Title::First,
        severity: Severity::Must,
    },
    // Of what is built with -D_FORTIFY_SOURCE or -fstack-protector.
    AlarmForm {
        name: "a failed check of the C library",
        begins: &[
            HasBoth("*** ", " detected ***"),
            HasBoth("*** ", " ***: terminated"),
        ],
        then: None,
        ends: Ends::There,
        title: Title::First,
        severity: Severity::Must,
    },
    AlarmForm {
        name: "a failed assertion",
        begins: &[
            HasBoth(": Assertion `", "' failed"),
            HasBoth(": Assertion '", "' failed"),
            With("Assertion failed: "),
            HasBoth("ERROR:", ": assertion failed: "),
            HasBoth("-CRITICAL **: ", ": assertion '"),
        ],
        then: None,
        ends: Ends::There,
        title: Title::Line(""),
        severity: Severity::Must,
    },
    AlarmForm {
        name: "a Rust panic",
        begins: &[HasBoth("thread '", " panicked at ")],
        then: None,
        ends: Ends::Lines(1, &["stack backtrace:", "note: "]),
        title: Title::FirstTwo,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "a Go panic",
        begins: &[
            Has("http: panic serving "),
            Has("panic serving "),
            With("panic: "),
            With("fatal error: "),
        ],
        then: Some("goroutine "),
        ends: Ends::Go,
        title: Title::First,
        severity: Severity::Should,
    },
    // Whatever a server says when it has recovered, the stack that it prints (runtime/debug.Stack) has the call of panic in it.
    AlarmForm {
        name: "a recovered Go panic",
        begins: &[With("goroutine ")],
        then: Some("panic("),
        ends: Ends::Go,
        title: Title::First,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "a Python traceback",
        begins: &[Has("Traceback (most recent call last)")],
        then: Some("File \""),
        ends: Ends::Python,
        title: Title::Exception,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "a Ruby exception",
        begins: &[Has(
            "terminated with exception (report_on_exception is true)",
        )],
        then: None,
        ends: Ends::Lines(1, &[]),
        title: Title::Line(":in "),
        severity: Severity::Should,
    },
    AlarmForm {
        name: "a PHP fatal error",
        begins: &[With("PHP Fatal error: "), With("Fatal error: Uncaught ")],
        then: None,
        ends: Ends::Lines(0, &["Stack trace:", "#"]),
        title: Title::First,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "an Erlang crash report",
        begins: &[With("=CRASH REPORT===="), Has("Error in process <")],
        then: None,
        ends: Ends::Blank,
        title: Title::Line("exception"),
        severity: Severity::Should,
    },
    AlarmForm {
        name: "an Elixir exception",
        begins: &[With("** (")],
        then: Some("("),
        ends: Ends::Lines(0, &[]),
        title: Title::First,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "a C++ exception",
        begins: &[With("terminate called "), With("libc++abi: terminating")],
        then: None,
        ends: Ends::Lines(0, &[]),
        title: Title::FirstTwo,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "an OCaml exception",
        begins: &[With("Fatal error: exception ")],
        then: None,
        ends: Ends::There,
        title: Title::First,
        severity: Severity::Should,
    },
    AlarmForm {
        name: "an unhandled rejection",
        begins: &[Has("UnhandledPromiseRejection")],
        then: None,
        ends: Ends::Lines(0, &[]),
        title: Title::First,
        severity: Severity::Should,
    },
    // Of Java, JavaScript, .NET and their like: the exception, and the calls that it came through.
    AlarmForm {
        name: "an exception with its trace",
        begins: &[Has("Exception"), Has("Error")],
        then: Some("at "),
        ends: Ends::Lines(0, &["Caused by: ", "Emitted 'error' event"]),
        title: Title::Line(""),
        severity: Severity::Should,
    },
];

/// Whether a text ends with a line and a column of a file.
fn is_source(text: &[u8]) -> bool {
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut parts = text.rsplit(|byte| *byte == b':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    column.is_some_and(number) && line.is_some_and(number) && file.is_some_and(|f| !f.is_empty())
}

/// A title without what differs from one time to the next.
fn shape(title: &str) -> String {
    let mut shape = String::new();
    let mut rest = title;
    while let Some(first) = rest.chars().next() {
        let length = match first.is_ascii_alphanumeric() {
            true => rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, later) = rest.split_at(length);
        match is_number(word) && !stands_at_source(&shape) {
            true => shape.push('N'),
            false => shape.push_str(word),
        }
        rest = later;
    }
    shape
}

/// Whether a word is a number or an address. What has a letter in it beside may be a name.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    has_digit && (is_decimal || is_hex && (digits.len() >= 6 || digits.len() < word.len()))
}

/// Whether a number behind this is one of a line of source, or of a column in it: `main.rs:12:5`, `server.py, line 12`.
fn stands_at_source(before: &str) -> bool {
    if before.ends_with(", line ") {
        return true;
    }
    let Some(before) = before.strip_suffix(':') else {
        return false;
    };
    let name = before.trim_end_matches(|c: char| c.is_ascii_digit());
    // The line, behind which the column stands.
    let name = name.strip_suffix(':').unwrap_or(before);
    let is_extension = |end: &str| {
        (1..=4).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    name.rsplit_once('.')
        .is_some_and(|(_, end)| is_extension(end) && end != "N")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_keeps_lines_of_source_and_leaves_out_what_differs() {
        let rows = [
            (
                "panicked at src/main.rs:12:5: index 7 of 3",
                "panicked at src/main.rs:12:5: index N of N",
            ),
            (
                "http: panic serving 127.0.0.1:4711: boom",
                "http: panic serving N.N.N.N:N: boom",
            ),
            (
                "heap-use-after-free on address 0x602000000010 at pc 0x55d1",
                "heap-use-after-free on address N at pc N",
            ),
            (
                "ConnectionResetError: [Errno 104] Connection reset by peer, at a.py, line 12",
                "ConnectionResetError: [Errno N] Connection reset by peer, at a.py, line 12",
            ),
            (
                "free(): double free detected in tcache 2",
                "free(): double free detected in tcache N",
            ),
        ];
        for (title, wanted) in rows {
            assert_eq!(shape(title), wanted);
        }
    }

    #[test]
    fn forms_have_names_of_their_own() {
        for form in FORMS {
            let named = FORMS.iter().filter(|other| other.name == form.name);
            assert_eq!(named.count(), 1, "{}", form.name);
            assert!(form.begins.iter().all(|begins| !begins.text().is_empty()));
        }
    }
}
