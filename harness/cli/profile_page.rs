//! Every word of a profile as a page of documentation: what it says, what it may be, and which checks build on it.

use super::markdown::cell;
use super::unlocked::{Changed, by_a_promise, by_the_conversation};
use crate::model::promise::{PROMISES, Promise};
use std::fmt::Write as _;

/// A word of the part of a profile that says what the server speaks.
struct Word {
    /// Its key in files; behind a dot it is one of `[[exchange]]`.
    name: &'static str,
    /// What it says, in one sentence.
    about: &'static str,
    /// What it may be.
    values: &'static str,
    /// A line of a profile that has it.
    example: &'static str,
}

/// What a profile may say of the conversation.
const WORDS: &[Word] = &[
    Word {
        name: "transport",
        about: "How bytes reach the server; left out where it is for the listener to tell.",
        values: "tcp, udp, unix or unix-datagram",
        example: "transport = \"tcp\"",
    },
    Word {
        name: "speaks-first",
        about: "The server speaks first; its greeting says what.",
        values: "true or false",
        example: "speaks-first = true",
    },
    Word {
        name: "greeting",
        about: "What the server says before its client does.",
        values: "a text with holes",
        example: r"greeting = '220 {line}\r\n'",
    },
    Word {
        name: "tls",
        about: "The server speaks TLS from the first byte on, and everything else inside of it.",
        values: "a table of name, alpn, version (1.2 or 1.3), certificate and key, each of which may be left out",
        example: "tls = { name = \"localhost\" }",
    },
    Word {
        name: "exchange",
        about: "What a client says, and what it gets for it.",
        values: "tables, each below a line `[[exchange]]`",
        example: r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n' }]",
    },
    Word {
        name: "exchange.send",
        about: "What a client sends; nothing in the first exchange makes its reply the greeting.",
        values: "a text",
        example: r"send = 'PING\r\n'",
    },
    Word {
        name: "exchange.reply",
        about: "What the server must answer; {any} stands for any bytes, {line} for any without a newline, and something must \
                stand behind either.",
        values: "a text with holes",
        example: r"reply = '+PONG\r\n'",
    },
    Word {
        name: "exchange.once",
        about: "true: it opens a conversation, and is made once a connection; false: it is answered again on the same \
                connection.",
        values: "true or false",
        example: "once = false",
    },
    Word {
        name: "model",
        about: "The rule that gives the reply to any payload, in the place of exchanges.",
        values: "echo, ascii-uppercase or discard",
        example: "model = \"echo\"",
    },
    Word {
        name: "framing",
        about: "The unit that the rule is applied to.",
        values: "stream, line or datagram",
        example: "framing = \"line\"",
    },
    Word {
        name: "promises",
        about: "What is promised is held against the server; what is not is observed and reported.",
        values: "the table below",
        example: "promises = { serves = \"concurrently\" }",
    },
];

/// Ways in which a profile may describe a conversation: nothing, and what it is held against to see what it adds.
const CONVERSATIONS: &[(&str, &str)] = &[
    (
        "",
        r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n' }]",
    ),
    ("", r"greeting = '220 {line}\r\n'"),
    (
        r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n' }]",
        r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n', once = false }]",
    ),
    (
        r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n' }]",
        "model = \"echo\"\nframing = \"line\"",
    ),
    (
        r"exchange = [{ send = 'PING\r\n', reply = '+PONG\r\n' }]",
        "model = \"echo\"\nframing = \"stream\"",
    ),
    (
        "transport = \"udp\"\nexchange = [{ send = 'PING', reply = 'PONG' }]",
        "transport = \"udp\"\nmodel = \"echo\"\nframing = \"datagram\"",
    ),
];

/// Values of promises that are neither a word nor the example of their row.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("idle-timeout", "\"5s\""),
    ("stop", "{ within = \"5s\" }"),
    ("stop", "{ within = \"5s\", in-flight = \"completes\" }"),
    (
        "stop",
        "{ within = \"5s\", sessions = \"waited-for\", drain = \"30s\" }",
    ),
];

const HEAD: &str = "\
# Every word of a profile

This page is what `sockdrill list promises --format markdown` prints. [Profiles](profiles.md) tells what they are for, and a
[schema](profile.schema.json) has the same for editors.

In a target file all of it stands below `[profile]`, and the promises below `[profile.promises]`. A time is a number with its unit, `ms`, `s`,
`m` or `h`, such as `\"1.5s\"`; a size has `B`, `KiB` or `MiB`, and `1KiB` is 1,024 bytes. A text has the escapes of scenario files (`\\r`, `\\n`,
`\\x00`), which single quotes of TOML leave alone; holes are `{any}` and `{line}`.

## What it speaks

| word | what it says | what it may be | example |
| --- | --- | --- | --- |
";

const PROMISES_HEAD: &str = "
## What it promises

Nothing has to be promised. What is not is observed, and never judged.

| promise | what it says | what it may be | example |
| --- | --- | --- | --- |
";

const UNLOCKED_HEAD: &str = "
## What each of them unlocks

For each value the checks that have it among what they need, and those that do not apply to a server that says so. What else a check needs
stands in [Checks](checks.md), and `sockdrill check` says what is missing. A value that is not listed unlocks nothing by itself: it
says what is owed in checks that apply anyway. `exchange` and `greeting` are held against a profile that says nothing, what stands
below them against one that has an exchange.

| value | checks that build on it | checks that it rules out |
| --- | --- | --- |
";

/// The tables of all that a profile may say, as Markdown.
pub(super) fn profile_page() -> String {
    let mut page = HEAD.to_owned();
    for word in WORDS {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | `{}` |",
            word.name, word.about, word.values, word.example
        );
    }
    page.push_str(PROMISES_HEAD);
    for promise in PROMISES {
        let _ = writeln!(
            page,
            "| `{0}` | {1} | {2} | `{0} = {3}` |",
            promise.name,
            cell(promise.about),
            cell(&may_be(promise)),
            promise.example
        );
    }
    page.push_str(UNLOCKED_HEAD);
    for (before, text) in CONVERSATIONS {
        let changed = by_the_conversation(before, text);
        page.push_str(&row(&text.replace('\n', ", "), &changed));
    }
    for promise in PROMISES {
        for value in values(promise) {
            let setting = format!("{} = {value}", promise.name);
            page.push_str(&row(&setting, &by_a_promise(&setting)));
        }
    }
    page
}

/// A row of what a value changes; nothing where it changes nothing.
fn row(value: &str, changed: &Changed) -> String {
    let listed = |ids: &[&str]| match ids {
        [] => "none".to_owned(),
        ids => ids.join(", "),
    };
    match changed {
        Changed { gained, lost } if gained.is_empty() && lost.is_empty() => String::new(),
        Changed { gained, lost } => {
            format!("| `{value}` | {} | {} |\n", listed(gained), listed(lost))
        }
    }
}

/// What a promise may be, in words.
fn may_be(promise: &Promise) -> String {
    let words = promise.words.iter().map(|word| format!("`{word}`"));
    let all: Vec<_> = words.chain(promise.otherwise.map(str::to_owned)).collect();
    match all.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        all => all.concat(),
    }
}

/// The values of a promise: each of its words, others that change something, and its example where that is none of them.
fn values(promise: &Promise) -> Vec<String> {
    let words = promise.words.iter().map(|word| format!("\"{word}\""));
    let others = OTHER_VALUES
        .iter()
        .filter(|(name, _)| *name == promise.name);
    let others = others.map(|(_, value)| (*value).to_owned());
    let mut all: Vec<_> = words.chain(others).collect();
    if !all.iter().any(|value| value == promise.example) {
        all.push(promise.example.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::Profile;
    use std::collections::BTreeSet;

    /// The words that the parser knows where one is written that it does not.
    fn known(text: &str) -> BTreeSet<String> {
        let error = Profile::parse("p", text).unwrap_err().chain();
        let (_, list) = error.split_once("expected").unwrap();
        list.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn words_are_what_is_understood_and_nothing_else_is() {
        let (inner, outer): (Vec<_>, Vec<_>) = WORDS
            .iter()
            .map(|word| word.name)
            .partition(|name| name.contains('.'));
        let outer: BTreeSet<_> = outer.into_iter().map(str::to_owned).collect();
        let inner: BTreeSet<_> = inner
            .into_iter()
            .map(|name| name.replace("exchange.", ""))
            .collect();
        assert_eq!(known("unheard-of = 1"), outer);
        assert_eq!(known("exchange = [{ unheard-of = 1 }]"), inner);
    }

    #[test]
    fn words_say_what_the_schema_says() {
        let schema = include_str!("../../docs/profile.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        for word in WORDS {
            let path = word.name.replace('.', "/items/properties/");
            let path = format!("/properties/{path}/description");
            let about = schema.pointer(&path).and_then(serde_json::Value::as_str);
            let about = about.unwrap_or_else(|| panic!("{path} is not described"));
            assert!(about.starts_with(word.about), "{}: {about}", word.name);
        }
    }

    #[test]
    fn conversations_are_understood_and_each_unlocks_checks() {
        for (before, text) in CONVERSATIONS {
            for profile in [before, text] {
                assert!(Profile::parse("p", profile).is_ok(), "{profile}");
            }
            let unlocked = by_the_conversation(before, text).gained;
            assert!(!unlocked.is_empty(), "{text}");
        }
    }

    #[test]
    fn values_are_understood_and_those_that_no_row_has_unlock_checks() {
        for promise in PROMISES {
            for value in values(promise) {
                let text = format!("[promises]\n{} = {value}", promise.name);
                assert!(Profile::parse("p", &text).is_ok(), "{text}");
            }
        }
        for (name, value) in OTHER_VALUES {
            let setting = format!("{name} = {value}");
            assert!(!by_a_promise(&setting).gained.is_empty(), "{setting}");
        }
    }

    #[test]
    fn promises_unlock_checks_of_the_family_that_is_about_them_and_rule_others_out() {
        for (value, family) in [
            ("half-close = \"answers\"", "half-close/"),
            ("serves = \"one-at-a-time\"", "crowd/"),
            ("backlog = 128", "backlog/"),
            ("longest = \"64KiB\"", "bytes/"),
        ] {
            let unlocked = by_a_promise(value).gained;
            assert!(unlocked.iter().any(|id| id.starts_with(family)), "{value}");
        }
        let once = by_a_promise("serves = \"one-connection\"");
        assert!(once.gained.is_empty() && !once.lost.is_empty(), "{once:?}");
        let nothing = "starting = \"serves\"";
        assert_eq!(row(nothing, &by_a_promise(nothing)), "");
    }
}
