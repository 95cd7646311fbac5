//! What a profile can promise: every promise is one row.

/// One thing that a server may promise in its profile. The file of `sockdrill init`, `sockdrill list promises` and the
/// published schema of profiles follow from the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// Its key in files, permanent.
    pub name: &'static str,
    /// What is promised, in one sentence.
    pub about: &'static str,
    /// The words that it may be.
    pub words: &'static [&'static str],
    /// What else it may be.
    pub otherwise: Option<&'static str>,
    /// A value, as it is written in files.
    pub example: &'static str,
}

/// Every promise there is.
pub(crate) const PROMISES: &[Promise] = &[
    Promise {
        name: "serves",
        about: "How many clients it serves at a time: any number, one while the others wait, or one before it ends.",
        words: &["concurrently", "one-at-a-time", "one-connection"],
        otherwise: None,
        example: "\"concurrently\"",
    },
    Promise {
        name: "after-exchange",
        about: "What it does with the connection after an exchange.",
        words: &["stays-open", "closes"],
        otherwise: None,
        example: "\"stays-open\"",
    },
    Promise {
        name: "half-close",
        about: "What it does for a client that has half-closed: it answers what was asked, or closes at once.",
        words: &["answers", "closes"],
        otherwise: None,
        example: "\"answers\"",
    },
    Promise {
        name: "idle-timeout",
        about: "When it gives up on a silent client.",
        words: &["none"],
        otherwise: Some("a time, such as \"30s\""),
        example: "\"none\"",
    },
    Promise {
        name: "login-timeout",
        about: "When it gives up on a client that has not spoken, or not logged in.",
        words: &[],
        otherwise: Some("a time, such as \"10s\""),
        example: "\"10s\"",
    },
    Promise {
        name: "request-timeout",
        about: "When it gives up on a client whose request has begun and is not whole, however often a byte of it comes.",
        words: &[],
        otherwise: Some("a time, such as \"20s\""),
        example: "\"20s\"",
    },
    Promise {
        name: "most-connections",
        about: "How many connections it holds at most, in all or from one address, and what the next one sees: it waits, or is \
                closed, behind a text or without; or only some of those that come then are, or the oldest of those who are in, \
                and the next one is served.",
        words: &["unlimited"],
        otherwise: Some(
            "a table of in-all or an-address (a number), refused (waits or closed), text (what the refused one reads) and \
             drops (all or some of those that come then, or the oldest)",
        ),
        example: "{ an-address = 20, refused = \"closed\" }",
    },
    Promise {
        name: "longest",
        about: "How many bytes a line (its newline counted) or a datagram has at most, where the model is of lines or datagrams, and \
                what becomes of a longer one: its connection is closed, behind a text or without; it is answered with a text, cut \
                as if it had ended there, or dropped, and the conversation goes on.",
        words: &[],
        otherwise: Some(
            "a size, such as \"64KiB\", or a table of size, refused (closed, answered, cut or dropped) and text (what is read \
             where it is closed or answered)",
        ),
        example: "{ size = \"64KiB\", refused = \"closed\" }",
    },
    Promise {
        name: "output-limit",
        about: "How much of its output may wait for a client that does not read, where the model is of a stream or of lines: it ends the \
                connection of a client for whom more waits.",
        words: &[],
        otherwise: Some("a size, such as \"1MiB\""),
        example: "\"1MiB\"",
    },
    Promise {
        name: "throttling",
        about: "How long it lets a client wait that has said what is no request, or too much.",
        words: &[],
        otherwise: Some("a time, such as \"8s\""),
        example: "\"8s\"",
    },
    Promise {
        name: "penalties",
        about: "Whether it turns away for a while, once clients misbehave or come too often, whoever comes from their address: \
                each of our clients comes from an address of its own then.",
        words: &["none", "an-address"],
        otherwise: None,
        example: "\"none\"",
    },
    Promise {
        name: "backlog",
        about: "The limit of its accept queue, as it gives it to listen(2).",
        words: &[],
        otherwise: Some("a number"),
        example: "128",
    },
    Promise {
        name: "unasked",
        about: "What it says by itself to any client at any time, in front of a reply or between its lines, such as the question \
                whether a silent client is still there; clients pass over it.",
        words: &[],
        otherwise: Some("a list of texts, as replies are written"),
        example: r"['PING :{any}\r\n']",
    },
    Promise {
        name: "pipelining",
        about: "Whether it answers each of several requests that arrive together, or its protocol forbids them.",
        words: &["answers", "forbidden"],
        otherwise: None,
        example: "\"answers\"",
    },
    Promise {
        name: "starting",
        about: "What it does for clients that come as soon as it listens: it serves them, or turns them away in words of its own, \
                such as an error that its protocol has for it, until it has started (within ready-within).",
        words: &["serves", "turns-away"],
        otherwise: None,
        example: "\"serves\"",
    },
    Promise {
        name: "second-instance",
        about: "What a second instance on the same address does: it ends with an error, listens at the same port too, or takes \
                the path of a Unix socket, or the datagrams, over from the first.",
        words: &["ends", "shares-port", "takes-over"],
        otherwise: None,
        example: "\"ends\"",
    },
    Promise {
        name: "stop",
        about: "The signal that ends it, the time that it takes at most, whether it completes what is in flight, and what becomes \
                of clients that are connected: they are closed, waited for (for the time of drain at most), or kept by \
                a process of their own.",
        words: &[],
        otherwise: Some(
            "a table of signal, within (a time), in-flight (completes or dropped), sessions (closed, waited-for or kept) and \
             drain (a time, where they are waited for)",
        ),
        example: "{ signal = \"TERM\", within = \"5s\", in-flight = \"completes\", sessions = \"closed\" }",
    },
];

impl Promise {
    /// The setting as it is written in files, with what else it may be in a comment.
    pub(crate) fn setting(&self) -> String {
        let is_shown = |word: &&str| self.example == format!("\"{word}\"");
        let others = self.words.iter().filter(|word| !is_shown(word)).copied();
        let others = others.chain(self.otherwise.filter(|_| !self.words.is_empty()));
        let others: Vec<_> = others.collect();
        let setting = format!("{} = {}", self.name, self.example);
        match others.is_empty() {
            true => setting,
            false => format!("{setting} # or {}", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::profile::{Profile, Promises};

    fn parsed(promise: &str) -> Result<Promises, String> {
        let profile = Profile::parse("p", &format!("[promises]\n{promise}\n"));
        profile
            .map(|profile| profile.promises)
            .map_err(|error| error.to_string())
    }

    /// The words in backquotes behind `expected`, as the parser of profiles knows them.
    fn expected(error: &str) -> Vec<&str> {
        let (_, list) = error.split_once("expected").unwrap_or_default();
        list.split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn rows_are_what_is_understood_and_nothing_else_is() {
        let error = parsed("unheard-of = 1").unwrap_err();
        let mut known = expected(&error);
        let mut rows: Vec<_> = PROMISES.iter().map(|row| row.name).collect();
        known.sort_unstable();
        rows.sort_unstable();
        assert_eq!(known, rows, "{error}");
    }

    #[test]
    fn words_of_a_row_are_what_is_understood_and_nothing_else_is() {
        for row in PROMISES {
            for word in row.words {
                let promises = parsed(&format!("{} = \"{word}\"", row.name));
                assert_ne!(promises, Ok(Promises::default()), "{}", row.name);
                assert!(promises.is_ok(), "{promises:?}");
            }
            if row.otherwise.is_none() {
                let error = parsed(&format!("{} = \"strange\"", row.name)).unwrap_err();
                assert_eq!(expected(&error), row.words, "{error}");
            }
        }
    }

    #[test]
    fn every_row_is_a_sentence_with_an_example_that_promises_something() {
        for row in PROMISES {
            assert!(row.about.ends_with('.'), "{}", row.about);
            let promises = parsed(&row.setting());
            assert!(promises.is_ok(), "{promises:?}");
            assert_ne!(promises, Ok(Promises::default()), "{}", row.name);
        }
    }
}
