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
