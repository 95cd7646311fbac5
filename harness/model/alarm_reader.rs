//! From the text that a server prints to the alarms in it, a piece at a time.

use super::alarm::{Alarm, AlarmForm, Begins, Ends, FORMS, Title};
use std::sync::LazyLock;

/// So much of a line is looked at: no alarm begins further behind.
const LOOKED_AT: usize = 2 << 10;

/// As many lines as an alarm has at most: a report of a sanitizer has a hundred, a trace of all goroutines some more.
const MOST_LINES: usize = 400;

/// Reads what a server prints, and finds the alarms in it; `T` is when their first lines came.
#[derive(Debug)]
pub(crate) struct AlarmReader<T> {
    /// The line that has begun.
    line: Vec<u8>,
    open: Option<Open<T>>,
    found: Vec<(T, Alarm)>,
    /// How many have been found, and how many bytes of their texts are kept.
    all: usize,
    kept: usize,
}

/// So many alarms are told one by one: a server that sounds one for everything is known by then.
const MOST_ALARMS: usize = 10_000;

/// So much of their texts is kept, in bytes, and of those behind no more than their titles.
const KEPT_OF_TEXTS: usize = 1 << 20;

/// What stands for a text that is not kept.
const NOT_KEPT: &str = "(its text is not kept: the alarms before it fill 1 MiB)";

/// An alarm of which more may come.
#[derive(Debug)]
struct Open<T> {
    at: T,
    form: &'static AlarmForm,
    /// Where the text by which it was known stands in its first line.
    known_at: usize,
    lines: Vec<String>,
}

impl<T> Default for AlarmReader<T> {
    fn default() -> Self {
        Self {
            line: Vec::new(),
            open: None,
            found: Vec::new(),
            all: 0,
            kept: 0,
        }
    }
}

impl<T: Copy> AlarmReader<T> {
    /// Takes in what was printed next.
    pub(crate) fn take_in(&mut self, bytes: &[u8], at: T) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            // Nearly every line is whole, and nothing that is looked for.
            let is_whole = text.len() < piece.len() && self.line.is_empty();
            let looked_at = &text[..text.len().min(LOOKED_AT)];
            if is_whole && self.open.is_none() && begun(looked_at).is_none() {
                continue;
            }
            let room = LOOKED_AT.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if text.len() < piece.len() {
                self.end_line(at);
            }
        }
    }

    /// The alarms that have ended, each with when it began; `all` says that nothing more will come of one that has not.
    pub(crate) fn take(&mut self, all: bool, at: T) -> Vec<(T, Alarm)> {
        if all {
            if !self.line.is_empty() {
                self.end_line(at);
            }
            self.close();
        }
        std::mem::take(&mut self.found)
    }

    fn end_line(&mut self, at: T) {
        let line = std::mem::take(&mut self.line);
        if let Some(open) = &mut self.open {
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            match open.after(&line) {
                After::GoesOn => return open.lines.push(line),
                After::EndsWithIt => {
                    open.lines.push(line);
                    return self.close();
                }
                After::EndedBefore => self.close(),
            }
        }
        if let Some((form, known_at)) = begun(&line) {
            let line = String::from_utf8_lossy(&line)
                .trim_end_matches('\r')
                .to_owned();
            self.open = Some(Open {
                at,
                form,
                known_at,
                lines: vec![line],
            });
        }
        // The buffer is kept for the next line.
        self.line = line_buffer(line);
    }

    fn close(&mut self) {
        let Some(open) = self.open.take().filter(Open::is_confirmed) else {
            return;
        };
        let times = open.times().min(MOST_ALARMS - self.all);
        let bytes = open.lines.iter().map(String::len).sum::<usize>();
        let text = match self.kept + times * bytes > KEPT_OF_TEXTS && self.all > 0 {
            true => vec![NOT_KEPT.to_owned()],
            false => open.lines.clone(),
        };
        let alarm = Alarm {
            form: open.form.name.to_owned(),
            title: open.title(),
            text,
        };
        self.all += times;
        self.kept += times * bytes;
        self.found
            .extend(std::iter::repeat_n((open.at, alarm), times));
    }
}

fn line_buffer(mut line: Vec<u8>) -> Vec<u8> {
    line.clear();
    line
}

/// What a further line is to an alarm.
enum After {
    GoesOn,
    EndsWithIt,
    EndedBefore,
}

impl<T> Open<T> {
    fn after(&self, line: &str) -> After {
        let goes_on = |does: bool| {
            if does {
                After::GoesOn
            } else {
                After::EndedBefore
            }
        };
        let is_indented = line.starts_with([' ', '\t']);
        if self.lines.len() >= MOST_LINES {
            return After::EndedBefore;
        }
        match self.form.ends {
            Ends::There => After::EndedBefore,
            Ends::Blank => goes_on(!line.trim().is_empty()),
            Ends::With(ends) if ends.iter().any(|end| has_end(line, end)) => After::EndsWithIt,
            // The report before was cut short.
            Ends::With(_) => goes_on(!self.is_another(line)),
            Ends::Lines(many, others) => {
                let is_other = others.iter().any(|other| line.starts_with(other));
                goes_on(self.lines.len() <= many || is_indented || is_other)
            }
            Ends::Python => goes_on(self.goes_on_as_python(line)),
            Ends::Go => goes_on(self.goes_on_as_go(line)),
        }
    }

    fn is_another(&self, line: &str) -> bool {
        begun(line.as_bytes()).is_some_and(|(form, _)| std::ptr::eq(form, self.form))
    }

    /// It goes on until each of its headers has its exception: one may have been met while another was handled, and threads
    /// print their tracebacks through each other.
    fn goes_on_as_python(&self, line: &str) -> bool {
        let said = self.lines.iter().rfind(|line| !line.is_empty());
        let has_more = self.count(is_exception) < self.count(is_header);
        has_more || line.is_empty() || is_link(line) || said.is_some_and(|said| is_link(said))
    }

    /// How many alarms of the kind it is: those that one another brought about are one.
    fn times(&self) -> usize {
        let links = self.count(is_link);
        match self.form.ends {
            Ends::Python => self.count(is_header).saturating_sub(links).max(1),
            _ => 1,
        }
    }

    fn count(&self, is_of_kind: fn(&str) -> bool) -> usize {
        self.lines.iter().filter(|line| is_of_kind(line)).count()
    }

    fn goes_on_as_go(&self, line: &str) -> bool {
        let is_before_the_trace = !self.lines.iter().any(|line| line.starts_with("goroutine "));
        let kinds = [
            "goroutine ",
            "created by ",
            "[signal ",
            "\t",
            "exit status ",
            "panic(",
        ];
        let is_of_trace =
            kinds.iter().any(|kind| line.starts_with(kind)) || line.ends_with(')') && is_call(line);
        is_of_trace || line.is_empty() || is_before_the_trace && self.lines.len() < 4
    }

    fn is_confirmed(&self) -> bool {
        let Some(then) = self.form.then else {
            return true;
        };
        let behind = self.lines.iter().skip(1);
        let mut behind = behind.map(|line| line.trim_start());
        behind.any(|line| line.starts_with(then))
    }

    fn title(&self) -> String {
        let first = self.lines.first().map_or("", String::as_str);
        let known = first.get(self.known_at..).unwrap_or(first);
        let title = match self.form.title {
            Title::First => known.trim_start_matches("== ").to_owned(),
            Title::FirstTwo => match self.lines.get(1) {
                Some(second) => format!("{} {}", without_thread(known), second.trim()),
                None => without_thread(known).to_owned(),
            },
            Title::Line(has) => {
                let line = self.lines.iter().find(|line| line.contains(has));
                let line = line.map_or(known, String::as_str).trim();
                line.strip_prefix("SUMMARY: ").unwrap_or(line).to_owned()
            }
            Title::Exception => self.exception(),
        };
        title.trim().chars().take(LONGEST_TITLE).collect()
    }

    fn exception(&self) -> String {
        let said = self.lines.iter().rfind(|line| is_exception(line));
        let said = said.map_or("", |line| line.trim());
        let place = self.lines.iter().rev().find_map(|line| {
            let place = line.trim().strip_prefix("File \"")?;
            let (file, rest) = place.split_once('"')?;
            let name = file.rsplit('/').next()?;
            let line = rest.split(", in ").next()?;
            Some(format!("{name}{line}"))
        });
        match place {
            Some(place) => format!("{said} ({place})"),
            None => said.to_owned(),
        }
    }
}

/// Whether a line is a function with its arguments, as a trace of a goroutine has them.
fn is_call(line: &str) -> bool {
    line.split_once('(')
        .is_some_and(|(name, _)| !name.contains(' ') && name.contains('.'))
}

/// What stands between an exception and the one that was met while it was handled.
const LINKS: &[&str] = &[
    "During handling of the above exception",
    "The above exception was the direct cause",
];

fn is_link(line: &str) -> bool {
    LINKS.iter().any(|link| line.starts_with(link))
}

/// Whether a line is the first one of a traceback.
fn is_header(line: &str) -> bool {
    line.contains("Traceback (most recent call last)")
}

/// Whether a line is an exception, as it stands at the end of a traceback.
fn is_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    !name.is_empty() && name.chars().all(is_of_name) && !name.starts_with(char::is_numeric)
}

/// A title is a line of a report.
const LONGEST_TITLE: usize = 300;

fn without_thread(line: &str) -> &str {
    line.find("panicked at ").map_or(line, |at| &line[at..])
}

/// Whether a line has an end; one with a newline is the whole end of the line.
fn has_end(line: &str, end: &str) -> bool {
    match end.strip_suffix(" \n") {
        Some(end) => line.trim_end().ends_with(end),
        None => line.contains(end),
    }
}

/// A way in which an alarm of a form begins.
#[derive(Clone, Copy)]
struct Beginning {
    /// The form's place in the table.
    row: usize,
    begins: Begins,
}

/// What is looked for, by its first byte: a server that floods its output is not to wait for us.
struct Sought {
    /// At the beginning of a line.
    first: Vec<Vec<Beginning>>,
    /// Anywhere in it.
    within: Vec<Vec<Beginning>>,
    /// Whether anything that is looked for anywhere begins with these two bytes.
    is_anchor: Vec<bool>,
}

static SOUGHT: LazyLock<Sought> = LazyLock::new(|| {
    let mut sought = Sought {
        first: vec![Vec::new(); 256],
        within: vec![Vec::new(); 256],
        is_anchor: vec![false; 1 << 16],
    };
    for (row, form) in FORMS.iter().enumerate() {
        for begins in form.begins.iter().copied() {
            let byte = usize::from(begins.text().as_bytes()[0]);
            let is_first = matches!(begins, Begins::With(_));
            let place = if is_first {
                &mut sought.first
            } else {
                &mut sought.within
            };
            place[byte].push(Beginning { row, begins });
            let pair = pair(begins.text().as_bytes());
            sought.is_anchor[pair] |= !is_first;
        }
    }
    sought
});

/// The first two bytes as a number.
fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The form of an alarm that begins with this line, and where the text stands by which it is known.
fn begun(line: &[u8]) -> Option<(&'static AlarmForm, usize)> {
    let sought = &*SOUGHT;
    let mut best: Option<(usize, usize)> = None;
    let mut look = |beginnings: &[Beginning], at: usize| {
        for Beginning { row, begins } in beginnings {
            let is_better = best.is_none_or(|(best, _)| *row < best);
            if is_better && begins.is_in(line, at) {
                best = Some((*row, at));
            }
        }
    };
    look(&sought.first[usize::from(*line.first()?)], 0);
    for (at, bytes) in line.windows(2).enumerate() {
        if sought.is_anchor[pair(bytes)] {
            look(&sought.within[usize::from(bytes[0])], at);
        }
    }
    best.map(|(row, at)| (&FORMS[row], at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::check::Severity;

    fn alarms(text: &str) -> Vec<Alarm> {
        let whole = read(text.as_bytes(), usize::MAX);
        assert_eq!(whole, read(text.as_bytes(), 1), "cut into single bytes");
        whole
    }

    fn read(text: &[u8], piece: usize) -> Vec<Alarm> {
        let mut reader = AlarmReader::default();
        for bytes in text.chunks(piece.min(text.len().max(1))) {
            reader.take_in(bytes, ());
        }
        let found = reader.take(true, ()).into_iter();
        found.map(|((), alarm)| alarm).collect()
    }

    const ASAN: &str = "=================================================================\n\
        ==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x55 bp 0x7f sp 0x7f\n\
        READ of size 8 at 0x602000000010 thread T0\n    #0 0x55 in session_write server.c:212\n\n\
        0x602000000010 is located 0 bytes inside of 8-byte region\nfreed by thread T0 here:\n    #0 0x1 in free\n\n\
        SUMMARY: AddressSanitizer: heap-use-after-free server.c:212 in session_write\nShadow bytes around\n";

    const RUST: &str = "\nthread 'tokio-rt-worker' (4711) panicked at src/main.rs:12:9:\n\
        called `Result::unwrap()` on an `Err` value: Os { code: 104 }\n\
        note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\naccepted 7\n";

    const GO: &str = "2026/11/28 19:00:00 http: panic serving 127.0.0.1:4711: boom\n\
        goroutine 19 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/lib/go/server.go:1868 +0xb9\n\
        panic({0x6239a0?, 0x6f0e28?})\n\t/usr/lib/go/panic.go:920 +0x270\ncreated by net/http.(*Server).Serve in goroutine 1\n\
        \t/usr/lib/go/server.go:3086 +0x5cb\n2026/11/28 19:00:01 next\n";

    const PYTHON: &str = "Exception in thread Thread-3 (talk):\nTraceback (most recent call last):\n\
        \x20 File \"/usr/lib/python3/threading.py\", line 1043, in _bootstrap\n    self.run()\n\
        \x20 File \"/srv/echo.py\", line 5, in talk\n    d = c.recv(65536)\n\
        ConnectionResetError: [Errno 104] Connection reset by peer\nready\n";

    const CHAINED: &str = "Traceback (most recent call last):\n  File \"a.py\", line 2, in f\n    1/0\n\
        ZeroDivisionError: division by zero\n\nDuring handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  File \"a.py\", line 4, in <module>\n    g()\nKeyError: 'x'\n\n\
        Traceback (most recent call last):\n  File \"b.py\", line 1, in h\n    h()\nValueError: y\n";

    #[test]
    fn alarm_is_told_from_what_is_around_it() {
        let rows: &[(&str, &str, &str, usize)] = &[
            (
                ASAN,
                "a sanitizer's report",
                "AddressSanitizer: heap-use-after-free server.c:212 in session_write",
                9,
            ),
            (
                RUST,
                "a Rust panic",
                "panicked at src/main.rs:12:9: called `Result::unwrap()` on an `Err` value: Os { code: 104 }",
                3,
            ),
            (
                GO,
                "a Go panic",
                "http: panic serving 127.0.0.1:4711: boom",
                8,
            ),
            (
                PYTHON,
                "a Python traceback",
                "ConnectionResetError: [Errno 104] Connection reset by peer (echo.py, line 5)",
                6,
            ),
            (
                "server.c:12:9: runtime error: signed integer overflow: 1 + 2\nnext\n",
                "undefined behaviour",
                "server.c:12:9: runtime error: signed integer overflow: 1 + 2",
                1,
            ),
            (
                "a\nfree(): double free detected in tcache 2\nb\n",
                "a failed heap check",
                "free(): double free detected in tcache 2",
                1,
            ),
            (
                "*** stack smashing detected ***: terminated\n",
                "a failed check of the C library",
                "*** stack smashing detected ***: terminated",
                1,
            ),
            (
                "a\n*** bit out of range 0 - FD_SETSIZE on fd_set ***: terminated\nb\n",
                "a failed check of the C library",
                "*** bit out of range 0 - FD_SETSIZE on fd_set ***: terminated",
                1,
            ),
            (
                "server: server.c:9: talk: Assertion `n > 0' failed.\n",
                "a failed assertion",
                "server: server.c:9: talk: Assertion `n > 0' failed.",
                1,
            ),
            (
                "node:events:497\n      throw er; // Unhandled 'error' event\n      ^\n\nError: read ECONNRESET\n\
                 \x20   at TCP.onStreamRead (node:internal/stream_base_commons:216:20)\nNode.js v20\n",
                "an exception with its trace",
                "Error: read ECONNRESET",
                2,
            ),
            (
                "Error: read ECONNRESET\n    at TCP.onStreamRead (node:internal/stream_base_commons:216:20)\n\
                 Emitted 'error' event on Socket instance at:\n    at emitErrorNT (node:internal/streams/destroy:169:8) {\n\
                 \x20 errno: -104\n}\n\nNode.js v20\n",
                "an exception with its trace",
                "Error: read ECONNRESET",
                5,
            ),
            (
                "2026/11/28 recovered: boom\ngoroutine 19 [running]:\nruntime/debug.Stack()\n\t/usr/lib/go/stack.go:24 +0x65\n\
                 panic({0x6239a0?, 0x6f0e28?})\n\t/usr/lib/go/panic.go:920 +0x270\nnext line\n",
                "a recovered Go panic",
                "goroutine 19 [running]:",
                5,
            ),
            (
                "java.lang.RuntimeException: boom\n\tat Main.main(Main.java:3)\nCaused by: java.io.IOException\n\tat X.y(X.java:1)\n",
                "an exception with its trace",
                "java.lang.RuntimeException: boom",
                4,
            ),
            (
                "#<Thread:0x00007f a.rb:3 run> terminated with exception (report_on_exception is true):\n\
                 a.rb:4:in `read': boom (RuntimeError)\n\tfrom a.rb:3:in `block'\nnext\n",
                "a Ruby exception",
                "a.rb:4:in `read': boom (RuntimeError)",
                3,
            ),
            (
                "terminate called after throwing an instance of 'std::out_of_range'\n  what():  vector\n",
                "a C++ exception",
                "terminate called after throwing an instance of 'std::out_of_range' what():  vector",
                2,
            ),
        ];
        for (text, form, title, lines) in rows {
            let found = alarms(text);
            let [alarm] = found.as_slice() else {
                panic!("{text}: {found:?}");
            };
            assert_eq!((alarm.form.as_str(), alarm.title.as_str()), (*form, *title));
            assert_eq!(alarm.text.len(), *lines, "{:?}", alarm.text);
        }
    }

    #[test]
    fn exceptions_that_one_another_brought_about_are_one_alarm_and_others_are_not() {
        let titles: Vec<_> = alarms(CHAINED)
            .into_iter()
            .map(|alarm| alarm.title)
            .collect();
        assert_eq!(
            titles,
            [
                "KeyError: 'x' (a.py, line 4)",
                "ValueError: y (b.py, line 1)"
            ]
        );
    }

    #[test]
    fn tracebacks_of_threads_that_print_through_each_other_are_counted() {
        let text = "Exception in thread Thread-1 (talk):\nTraceback (most recent call last):\n\
            Exception in thread Thread-2 (talk):\nTraceback (most recent call last):\n\
            \x20 File \"a.py\", line 5, in talk\n  File \"a.py\", line 5, in talk\n\
            ConnectionResetError: [Errno 104] reset\nConnectionResetError: [Errno 104] reset\nnext line\n";
        let titles: Vec<_> = alarms(text).into_iter().map(|alarm| alarm.title).collect();
        assert_eq!(
            titles,
            ["ConnectionResetError: [Errno 104] reset (a.py, line 5)"; 2]
        );
    }

    #[test]
    fn words_that_only_look_like_an_alarm_are_none() {
        let innocent = [
            "panic: false\nread_timeout: 5\n",
            "level=error msg=\"Error reading request\" peer=127.0.0.1:9\nlevel=info msg=\"at work\"\n",
            "DEBUG:: runtime error: none\n",
            "2026/11/28 http: TLS handshake error from 127.0.0.1:4711: EOF\n",
            "[error] 3 free(): nothing\n",
            "==7==LeakSanitizer has encountered a fatal error.\n==7==HINT: LeakSanitizer does not work under ptrace\n",
            "thread 'main' started\n** (see the manual)\n\n",
            "SIGQUIT: quit\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:9 +0x1d\n",
            "connection reset: Error 104\nat 19:00 all is well\n",
            "client says: Traceback (most recent call last):\nclient says: panic: runtime error\n",
            "Traceback (most recent call last) is what we would print; got b'PING'\naccepted 7: yes\n",
        ];
        for text in innocent {
            assert_eq!(alarms(text), [], "{text}");
        }
    }

    #[test]
    fn beginning_of_an_alarm_is_not_lost_in_a_flood() {
        let flood = "a line of a log like any other\n".repeat(10_000);
        let found = alarms(&format!("{flood}{RUST}{flood}{ASAN}{flood}"));
        let severities: Vec<_> = found.iter().map(Alarm::severity).collect();
        assert_eq!(severities, [Severity::Should, Severity::Must]);
        assert!(found[1].text[0].ends_with("sp 0x7f"));
    }
}
