//! Rare answers of the kernel: which may be given to which call, and when.

use super::bounds::MOST_TIMES;
use super::diagnostic::Diagnostic;
use super::reader::{Choice, Read, Reader};
use crate::model::server_action::ServerAction;
use crate::model::system_call::{
    ErrorName, LEGAL_FAILURES, Of, RareAnswer, SystemCall, When, With,
};
use std::time::Duration;

/// What may follow an answer.
#[derive(Default)]
struct Tail {
    first: Option<u32>,
    times: Option<u32>,
    time: Option<Duration>,
    always: bool,
    if_any: bool,
}

const CHOICES: &[Choice<Tail>] = &[
    ("from", |tail, line| {
        tail.first = Some(line.count(1..=MOST_TIMES)?);
        Ok(())
    }),
    ("*", |tail, line| {
        tail.times = Some(line.count(1..=MOST_TIMES)?);
        Ok(())
    }),
    ("for", |tail, line| {
        tail.time = Some(line.duration()?);
        Ok(())
    }),
    ("if-any", |tail, _| {
        tail.if_any = true;
        Ok(())
    }),
    ("always", |tail, _| {
        tail.always = true;
        Ok(())
    }),
];

/// `accept with ECONNABORTED`.
pub(super) fn failure(line: &mut Reader<'_>) -> Read<ServerAction> {
    let call = line.one_of("a system call", SystemCall::ALL)?;
    let legal: Vec<_> = LEGAL_FAILURES
        .iter()
        .filter(|row| row.call == call)
        .collect();
    let about: Vec<_> = legal.iter().map(|row| row.of).collect();
    let of = of(call, &about, line)?;
    let errors = legal.iter().filter(|row| row.of == of);
    let errors: Vec<(ErrorName, &str)> = errors
        .flat_map(|row| row.errors)
        .map(|error| (*error, error.name))
        .collect();
    line.one_of("what it fails with", &[((), "with")])?;
    let error = line.one_of("an error that the manual pages promise", &errors)?;
    answer(call, of, With::Error(error), line)
}

/// `read to 1B`.
pub(super) fn shortening(line: &mut Reader<'_>) -> Read<ServerAction> {
    let calls = [(SystemCall::Read, "read"), (SystemCall::Write, "write")];
    let call = line.one_of("a call that has a length", &calls)?;
    let of = of(call, &[Of::Connections], line)?;
    line.one_of("how many bytes", &[((), "to")])?;
    let bytes = line.some_size()?;
    answer(call, of, With::AtMost(bytes), line)
}

/// What the call is about, where that is written.
fn of(call: SystemCall, about: &[Of], line: &mut Reader<'_>) -> Read<Of> {
    if !line.took("of") {
        return Ok(call.usually_of());
    }
    let names = Of::ALL.iter().filter(|(of, _)| about.contains(of));
    let names: Vec<_> = names.copied().collect();
    line.one_of("what the call is about", &names)
}

fn answer(call: SystemCall, of: Of, with: With, line: &mut Reader<'_>) -> Read<ServerAction> {
    let start = line.start();
    let tail: Tail = line.choices(CHOICES)?;
    let times = tail.times.is_some() || tail.first.is_some();
    let when = match (tail.time, tail.always) {
        (None, false) => When::From {
            first: tail.first.unwrap_or(1),
            times: tail.times.unwrap_or(1),
        },
        (Some(time), false) if !times => When::For(time),
        (None, true) if !times => When::Always,
        _ => {
            let title = "`for`, `always` and a number of calls exclude each other";
            return Err(Diagnostic::new(line.since(start), title));
        }
    };
    Ok(ServerAction::Answer(RareAnswer {
        call,
        of,
        with,
        when,
        if_any: tail.if_any,
    }))
}

#[cfg(test)]
mod tests {
    use crate::drill::DrillFile;

    fn case(step: &str) -> String {
        format!("case c\n  clients: alice\n\n  server {step}\n  alice connect\n")
    }

    fn told(step: &str) -> String {
        match DrillFile::parse("a.drill", &case(step)) {
            Ok(_) => panic!("this parses: {step}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_form_is_printed_as_it_was_written() {
        for step in [
            "fail accept with ECONNABORTED",
            "fail accept with ECONNABORTED from 3",
            "fail accept with ECONNABORTED * 8",
            "fail accept with EMFILE from 2 * 8",
            "fail accept with ENFILE for 1500ms",
            "fail accept with ENOBUFS always",
            "fail read with EAGAIN",
            "fail read of datagrams with ECONNREFUSED",
            "fail write with EPIPE if-any",
            "fail write of datagrams with EPERM always if-any",
            "fail write of files with EIO",
            "fail write of output with ENOSPC always",
            "fail wait with EINTR",
            "fail getpeername with ENOTCONN",
            "fail setsockopt with EINVAL",
            "fail shutdown with ENOTCONN",
            "fail fork with EAGAIN * 3",
            "fail open with EMFILE always",
            "fail mmap with ENOMEM from 100",
            "shorten read to 1B",
            "shorten read to 1B always",
            "shorten write to 4KiB from 2 * 3 if-any",
            "shorten write to 7B for 2s",
        ] {
            let text = case(step);
            let file = DrillFile::parse("a.drill", &text).unwrap();
            assert_eq!(file.to_string(), text);
        }
    }

    #[test]
    fn what_goes_without_saying_is_not_printed() {
        for (written, printed) in [
            (
                "fail accept of listener with EMFILE from 1 * 1",
                "fail accept with EMFILE",
            ),
            (
                "shorten read of connections to 1B if-any always",
                "shorten read to 1B always if-any",
            ),
            (
                "fail fork of process with EAGAIN * 3 from 2",
                "fail fork with EAGAIN from 2 * 3",
            ),
        ] {
            let file = DrillFile::parse("a.drill", &case(written)).unwrap();
            assert_eq!(file.to_string(), case(printed));
        }
    }

    #[test]
    fn what_no_page_promises_is_refused() {
        let promised = "an error that the manual pages promise";
        for (step, said) in [
            ("fail accept with ENOSPC", promised),
            // A write that does not wait for room may have none, and is told again when it has: that is no failure.
            ("fail write with EAGAIN", promised),
            ("fail write of datagrams with EPIPE", promised),
            ("fail read with ECONNABORTED", promised),
            ("fail mmap with EMFILE", promised),
            ("fail close with EIO", "a system call"),
            ("fail poll with EINTR", "a system call"),
            (
                "fail accept of connections with EMFILE",
                "what the call is about",
            ),
            ("fail read of files with EAGAIN", "what the call is about"),
            (
                "fail fork of listener with EAGAIN",
                "what the call is about",
            ),
            ("fail accept ECONNABORTED", "what it fails with"),
            ("shorten fork to 1B", "a call that has a length"),
            ("shorten accept to 1B", "a call that has a length"),
            ("shorten write of output to 1B", "what the call is about"),
            ("shorten read of datagrams to 1B", "what the call is about"),
            ("shorten read 1B", "how many bytes"),
        ] {
            let told = told(step);
            assert!(told.contains(said), "{step}: {told}");
        }
        let near = told("fail accept with ECONABORTED");
        assert!(near.contains("did you mean `ECONNABORTED`?"), "{near}");
    }

    #[test]
    fn times_counts_and_always_exclude_each_other() {
        let excluded = "`for`, `always` and a number of calls exclude each other";
        for tail in [
            "* 3 for 1s",
            "for 1s from 2",
            "always * 2",
            "from 2 always",
            "for 1s always",
        ] {
            let told = told(&format!("fail accept with EMFILE {tail}"));
            assert!(told.contains(excluded), "{tail}: {told}");
        }
        for tail in ["* 0", "from 0", "* 1000001", "for", "to 1B", "* 2 * 2"] {
            told(&format!("fail accept with EMFILE {tail}"));
        }
        for size in ["0B", "1", "all"] {
            told(&format!("shorten read to {size}"));
        }
    }
}
