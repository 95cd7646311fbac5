//! What bears a failure out, as data.

use super::sentence;
use crate::judge::Evidence;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A fact that bears a failure out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WrittenFact {
    /// What kind of fact it is, permanent.
    pub kind: String,
    /// As a person reads it, a line each.
    pub text: Vec<String>,
    /// What a program reads of it, where there is more than the kind.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

impl WrittenFact {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let (kind, data) = match evidence {
            Evidence::FailedOf {
                failed,
                tries,
                refused,
            } => (
                "failed-of",
                json!({"failed": failed, "tries": tries, "refused": refused}),
            ),
            Evidence::SmallestCase(case) => ("smallest-case", json!({"case": case.to_string()})),
            Evidence::MadeSmaller { from, to } => ("made-smaller", json!({"from": from, "to": to})),
            Evidence::Also(cause) => (
                "also",
                json!({"kind": cause.kind(), "key": cause.key(), "data": cause}),
            ),
            Evidence::Exit(exit) => ("exit", json!({"exit": exit})),
            Evidence::Alarm(lines) => ("alarm", json!({"lines": lines})),
            Evidence::Unproven(doubt) => ("unproven", json!({"doubt": doubt.kind()})),
            Evidence::Output(output) => ("output", json!({"text": output})),
            Evidence::LeftOut(events) => ("left-out", json!({"events": events})),
            Evidence::Event(event) => (
                "event",
                json!({
                    "at_us": event.at.as_micros() as u64,
                    "who": event.who,
                    "text": event.text,
                    "wrong": event.is_wrong,
                }),
            ),
        };
        Self {
            kind: kind.to_owned(),
            text: sentence::lines(evidence),
            data,
        }
    }
}
