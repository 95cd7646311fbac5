//! What every other check builds on.

use crate::checks::counterexample::{answer, each, listen};
use crate::model::check::{Check, Counterexample, Gate, Policy};
use crate::model::dialogue::{ClientSteps, scenario};
use crate::model::need::Need;
use crate::model::profile::Serves;

pub(super) const CHECKS: &[Check] = &[Check {
    id: "polite/exchange",
    requirement: "A polite client is served as the profile promises, and so is the next one.",
    why: "A server that does not give the promised reply to the promised request cannot be drilled by dialogue; \
          either the server or its profile is wrong.",
    method: "A client connects, goes through the exchange of the profile and closes; a second one does the same after it.",
    fix: "Correct the server, or the [[exchange]] or model of its profile.",
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
        serve: |address| {
            each(&listen(address)?, |stream| {
                answer(stream, <[u8]>::to_ascii_lowercase)
            })
        },
    },
}];
