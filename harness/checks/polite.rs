//! What every other check builds on.

use crate::checks::counterexample::{answer, each, listen};
use crate::model::check::{Check, Counterexample, Gate, Severity};
use crate::model::dialogue::{Talk, scenario};
use crate::model::need::Need;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "polite/exchange",
    requirement: "A polite client is served as the profile promises.",
    why: "A server that does not give the promised reply to the promised request cannot be drilled by dialogue; \
          either the server or its profile is wrong.",
    provoked: "One client connects, goes through the exchange of the profile and closes.",
    cure: "Correct the server, or the [[exchange]] or model of its profile.",
    needs: &[Need::DIALOGUE],
    severity: Severity::Must,
    fresh_server: false,
    gate: Some(Gate::Serving(|_| true)),
    drawn: false,
    scenarios: |subject| {
        let polite = Talk::of(0).polite(subject).lines();
        vec![scenario("a polite client", &[("alice", 1)], vec![polite])]
    },
    counterexample: Counterexample {
        instead_of: "uppercase",
        serve: |address| {
            each(&listen(address)?, |stream| {
                answer(stream, <[u8]>::to_ascii_lowercase)
            })
        },
    },
}];
