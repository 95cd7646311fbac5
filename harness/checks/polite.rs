//! What every other check builds on.

use crate::checks::counterexample::{answer, each, listen};
use crate::model::check::{Check, Counterexample, Gate, Policy};
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::need::Need;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "polite/exchange",
    requirement: "A polite client is served as the profile promises.",
    why: "A server that does not give the promised reply to the promised request cannot be drilled by dialogue; \
          either the server or its profile is wrong.",
    method: "One client connects, goes through the exchange of the profile and closes.",
    fix: "Correct the server, or the [[exchange]] or model of its profile.",
    needs: &[Need::DIALOGUE],
    policy: Policy {
        gate: Some(Gate::Serving(|_| true)),
        ..Policy::MUST
    },
    scenarios: |subject| {
        let polite = ClientSteps::of(0).polite(subject).lines();
        Some(vec![scenario(
            "a polite client",
            &[("alice", 1)],
            vec![polite],
        )])
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
