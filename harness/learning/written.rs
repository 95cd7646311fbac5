//! The target file of what was learned.

use crate::checks::observations::with_its_line;
use crate::launch::Target;
use crate::model::literal::escaped;
use crate::model::profile::Transport;
use crate::model::promise::{PROMISES, Promise};
use crate::model::template::Template;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A request and what it is answered.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) send: Vec<u8>,
    pub(super) reply: Template,
    /// Whether it is answered again on the same connection; `None` where that was not tried.
    pub(super) again: Option<bool>,
    /// What else is to be known of it.
    pub(super) remark: Option<String>,
}

/// What was learned of a server.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    pub(super) over: Transport,
    pub(super) greeting: Option<Template>,
    pub(super) exchanges: Vec<Exchange>,
    /// What was seen of what it may promise: the key of the promise, its line, and what was seen in words.
    pub(super) seen: Vec<Seen>,
    /// What was left out, in sentences.
    pub(super) remarks: Vec<String>,
}

/// What was seen of what a server may promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The line that promises it.
    pub(super) line: String,
    /// What was seen.
    pub(super) value: String,
}

impl Seen {
    /// What was seen, where a line of a profile promises it.
    pub(super) fn of(observations: &BTreeMap<String, String>) -> Vec<Self> {
        let observed = observations.values().map(|told| with_its_line(told));
        let observed = observed.filter_map(|(value, line)| {
            let line = line?.to_owned();
            let value = value.to_owned();
            Some(Self { line, value })
        });
        observed.filter(|seen| seen.promise().is_some()).collect()
    }

    /// The key of the promise.
    fn promise(&self) -> Option<&'static str> {
        let (key, _) = self.line.split_once(" = ")?;
        let mut rows = PROMISES.iter().map(|row| row.name);
        rows.find(|name| *name == key)
    }
}

/// The text of the file: what starts the server, what it speaks, and what it may promise in comments, for its owner to confirm.
pub(super) fn text(server: &Target, lesson: &Lesson, how: &str) -> String {
    let mut text = commented(&format!("Written by: {how}"));
    text.push('\n');
    started(&mut text, server);
    let _ = writeln!(
        text,
        "\n# What a client says and what it gets for it. In a reply, {{any}} stands for any bytes, {{line}} for any without a \
         newline,\n# and {{:REGEX}} for what a regular expression takes: that is what has varied when the same was said again, on servers of another\n# \
         process number, port, age and second. What is the same on this host each time, such as its name, versions and limits, stands as\n# \
         it was.\n[profile]\ntransport = \"{}\"",
        lesson.over
    );
    if let Some(greeting) = &lesson.greeting {
        let _ = writeln!(
            text,
            "speaks-first = true\ngreeting = {}",
            quoted(&greeting.text())
        );
    }
    for remark in &lesson.remarks {
        let _ = writeln!(text, "# {remark}");
    }
    for exchange in &lesson.exchanges {
        let _ = writeln!(text);
        if let Some(remark) = &exchange.remark {
            let _ = writeln!(text, "# {remark}");
        }
        let _ = writeln!(text, "[[profile.exchange]]");
        if let Some(again) = exchange.again {
            let _ = writeln!(text, "once = {}", !again);
        }
        let _ = writeln!(text, "send = {}", quoted(&escaped(&exchange.send)));
        let _ = writeln!(text, "reply = {}", quoted(&exchange.reply.text()));
    }
    promises(&mut text, &lesson.seen);
    text
}

/// Lines as a comment.
pub(super) fn commented(lines: &str) -> String {
    lines.lines().map(|line| format!("# {line}\n")).collect()
}

/// What starts the server, as files have it.
fn started(text: &mut String, server: &Target) {
    let value = |words: &[String]| toml::Value::from(words.to_vec());
    let _ = writeln!(text, "command = {}", value(&server.command));
    if let Some(listen) = &server.listen {
        let _ = writeln!(text, "listen = {}", toml::Value::from(listen.as_str()));
    }
    let usual = Target::command([""; 0], server.profile.clone()).ready_within;
    if server.ready_within != usual {
        let shown = crate::model::literal::Shown(server.ready_within);
        let _ = writeln!(text, "ready-within = \"{shown}\"");
    }
    if server.listen_fds {
        let _ = writeln!(text, "listen-fds = true");
    }
    for (name, table) in [
        ("environment", &server.environment),
        ("files", &server.files),
    ] {
        let table: toml::Table = table
            .iter()
            .map(|(key, value)| (key.clone(), toml::Value::from(value.as_str())))
            .collect();
        if !table.is_empty() {
            let _ = write!(text, "\n[{name}]\n{table}");
        }
    }
}

/// The promises: those of which something was seen, with what it was, and the others with an example.
fn promises(text: &mut String, seen: &[Seen]) {
    let _ = writeln!(
        text,
        "\n# What the server promises is held against it; what it does not promise is observed and reported, never judged.\n# \
         Take the # away from what is meant.\n[profile.promises]"
    );
    let line_of = |name: &str| seen.iter().find(|seen| seen.promise() == Some(name));
    let (tried, others): (Vec<&Promise>, Vec<&Promise>) =
        PROMISES.iter().partition(|row| line_of(row.name).is_some());
    for row in tried {
        if let Some(seen) = line_of(row.name) {
            let _ = writeln!(
                text,
                "# {}\n# It was seen: {}\n# {}",
                row.about, seen.value, seen.line
            );
        }
    }
    let _ = writeln!(
        text,
        "\n# Of the others nothing was seen; the values are examples."
    );
    for row in others {
        let _ = writeln!(text, "# {}\n# {}", row.about, row.setting());
    }
}

/// A text between single quotes, in which TOML takes all but such quotes as they are.
fn quoted(escaped: &str) -> String {
    format!("'{}'", escaped.replace('\'', r"\x27"))
}

/// The target that a text describes, as if it were in the file.
///
/// # Errors
/// It is not understood, which is a fault of ours.
pub(super) fn understood(text: &str, name: &str) -> Result<Target, crate::model::error::Error> {
    Target::parse(name, text, Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::{AfterExchange, Profile};

    fn lesson() -> Lesson {
        let template = |text| Template::parse(text).unwrap();
        Lesson {
            over: Transport::Tcp,
            greeting: Some(template(r"it's {line}\n")),
            exchanges: vec![Exchange {
                send: b"say 'x' \\{\0\xff\n".to_vec(),
                reply: template(r"\'{any}\'\r\n"),
                again: Some(false),
                remark: Some("It varies.".to_owned()),
            }],
            seen: vec![Seen {
                line: "after-exchange = \"closes\"".to_owned(),
                value: "fin".to_owned(),
            }],
            remarks: vec!["Left out.".to_owned()],
        }
    }

    #[test]
    fn file_says_what_was_learned_and_promises_nothing() {
        let command = ["./it's", "--at={addr}", "a \"b\""];
        let server = Target::command(command, Profile::unknown());
        let text = text(
            &server,
            &lesson(),
            "sockdrill learn -- python3 -c 'a\nb = 1'",
        );
        let target = understood(&text, "t").unwrap();
        assert_eq!(target.command, command);
        let profile = &target.profile;
        assert_eq!(profile.promises, Default::default());
        let request = crate::model::dialogue::request(profile).unwrap();
        assert_eq!(request, lesson().exchanges[0].send);
        assert_eq!(profile.answers_again(), Some(false), "{text}");
    }

    #[test]
    fn line_that_was_seen_promises_where_its_sign_is_taken_away() {
        let server = Target::command(["s"], Profile::unknown());
        let text = text(&server, &lesson(), "sockdrill learn");
        let meant = text.replace(
            "# after-exchange = \"closes\"",
            "after-exchange = \"closes\"",
        );
        let promises = understood(&meant, "t").unwrap().profile.promises;
        assert_eq!(promises.after_exchange, Some(AfterExchange::Closes));
    }

    #[test]
    fn only_lines_of_promises_are_seen() {
        let observations = [
            (
                "a",
                "fin; to have it judged, promise after-exchange = \"closes\"",
            ),
            (
                "b",
                "again; to have it judged, promise once = true in its [[exchange]]",
            ),
            ("c", "17"),
        ];
        let observations = observations.map(|(name, told)| (name.to_owned(), told.to_owned()));
        assert_eq!(Seen::of(&observations.into()), lesson().seen);
    }
}
