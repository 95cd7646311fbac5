//! What every other check builds on.

use super::derive::held_to_the_last;
use crate::checks::counterexample::{Stream, answer, each, listen};
use crate::model::action::Action;
use crate::model::check::{Check, Counterexample, Gate, Policy};
use crate::model::defect::Defect;
use crate::model::dialogue::{ClientSteps, repeat, scenario, settle, steps_to_come_in};
use crate::model::expectation::Expectation;
use crate::model::need::Need;
use crate::model::profile::Serves;
use std::io::{Read, Write};
use std::sync::Mutex;

/// How often an exchange is made on one connection, where it is answered again: what closes behind some of them counts. Some servers
/// have a limit that is meant for a session's need of such (Exim's is ten commands, `smtp_accept_max_nonmail`).
const EXCHANGES: u32 = 6;

/// The client who came last.
static LAST: Mutex<Option<Stream>> = Mutex::new(None);

/// Answers whoever came last, whoever has spoken.
fn answer_the_last(stream: &mut Stream) -> std::io::Result<()> {
    if let Ok(mut last) = LAST.lock() {
        *last = Some(stream.try_clone()?);
    }
    answer(stream, |bytes| {
        if let Ok(Some(last)) = LAST.lock().as_deref() {
            // Whoever that is may have left.
            let _ = (&*last).write_all(&bytes.to_ascii_uppercase());
        }
        Vec::new()
    })
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "polite/exchange",
        requirement: "A polite client is served as the profile promises, and so is the next one.",
        why: "A server that does not give the promised reply to the promised request cannot be drilled by dialogue; \
          either the server or its profile is wrong.",
        method: "A client connects, goes through the exchange of the profile and closes; a second one does the same after it.",
        quantities: "",
        fix: "Correct the server, or the [[exchange]] or model of its profile.",
        defect: &Defect::FRAMING,
        needs: &[Need::DIALOGUE],
        policy: Policy {
            gate: Some(Gate::Serving(|_| true)),
            ..Policy::MUST
        },
        scenarios: |subject| {
            let polite = |who| ClientSteps::of(who).polite(subject).lines();
            let is_for_one = subject.profile.promises.serves == Some(Serves::OneConnection);
            Some(vec![match is_for_one {
                true => scenario("a polite client", &[("alice", 1)], vec![polite(0)]),
                false => scenario(
                    "a polite client and the next one",
                    &[("alice", 1), ("bob", 1)],
                    vec![polite(0), polite(1)],
                ),
            }])
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    answer(stream, <[u8]>::to_ascii_lowercase)
                })
            },
        },
    },
    Check {
        id: "polite/again",
        requirement: "Two polite clients who are there at once are served like one.",
        why: "What belongs to a connection is kept in one place for all, so that the second client takes it over from the first: \
              https://github.com/quickfix/quickfix/issues/747",
        method: "Two clients connect; once both are there, each goes through the exchange of the profile, and neither leaves before \
                   the other has been answered.",
        quantities: "",
        fix: "Keep all that belongs to a connection with that connection, and answer each datagram to its sender.",
        defect: &Defect::MANY,
        needs: &[Need::DIALOGUE, Need::CONCURRENT],
        policy: Policy::MUST,
        scenarios: |subject| {
            let mut polite = held_to_the_last(ClientSteps::of(0).polite(subject).lines());
            polite.insert(steps_to_come_in(subject), settle());
            Some(vec![scenario(
                "two polite clients at once",
                &[("pair", subject.with_room(2))],
                vec![polite],
            )])
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| each(&listen(address)?, answer_the_last),
        },
    },
    Check {
        id: "polite/stays-open",
        requirement: "A connection that is promised to stay open after an exchange does.",
        why: "Clients that keep connections for the next request lose it to a server that closes: \
              https://github.com/psf/requests/issues/3458",
        method: "A client goes through the exchange of the profile, six times where it is answered again; once the server has \
                 come to rest its connection is open.",
        quantities: "Twenty are more than a server answers that closes behind a few of them. With --deep two hundred: \
                     more than the hundred behind which Apache closes (MaxKeepAliveRequests).",
        fix: "Keep the connection for the next request, or promise after-exchange = \"closes\".",
        defect: &Defect::DEADLINE,
        needs: &[Need::STREAM, Need::DIALOGUE, Need::PROMISES_OPEN],
        policy: Policy::MUST,
        scenarios: |subject| {
            let talks = ClientSteps::of(0).request_and_reply(subject).lines();
            let talks = match subject.answers_again {
                true => vec![repeat(subject.deeper(EXCHANGES), talks)],
                false => talks,
            };
            let stays = ClientSteps::of(0).expect(Expectation::Open);
            Some(vec![scenario(
                "after the reply",
                &[("alice", 1)],
                vec![
                    ClientSteps::of(0).open(subject).lines(),
                    talks,
                    vec![settle()],
                    stays.then(Action::Close).lines(),
                ],
            )])
        },
        counterexample: Counterexample {
            instead_of: "uppercase",
            shows: "step-failed",
            serve: |address| {
                each(&listen(address)?, |stream| {
                    let mut line = [0; 4096];
                    let bytes = stream.read(&mut line)?;
                    stream.write_all(&line[..bytes].to_ascii_uppercase())
                })
            },
        },
    },
];
