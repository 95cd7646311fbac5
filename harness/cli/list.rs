//! `sockdrill list`: what there is, for people and for programs.

use super::arguments::{Format, Listing};
use super::grammar::grammar;
use super::language_page::language_page;
use super::markdown::checks_page;
use super::output::say;
use super::profile_page::profile_page;
use crate::checks;
use crate::checks::observations::{self, OBSERVATIONS, Observation};
use crate::drill;
use crate::model::check::Check;
use crate::model::error::{Error, ExitCode};
use crate::model::invariant::{INVARIANTS, InvariantRow};
use crate::model::literal::name_in;
use crate::model::need::Need;
use crate::model::profile::Profile;
use crate::model::promise::{PROMISES, Promise};
use crate::model::system_call::{LEGAL_FAILURES, LegalFailure, Of};
use crate::reference;

pub(super) fn list(what: Listing, format: Format) -> Result<ExitCode, Error> {
    let rows: Vec<Row> = match what {
        Listing::Checks => checks::all().into_iter().map(check_row).collect(),
        Listing::Observations => OBSERVATIONS.iter().map(observation_row).collect(),
        Listing::Servers => reference::SERVERS
            .iter()
            .map(|server| named(server.name, server.about))
            .collect(),
        Listing::Profiles => Profile::built_in()
            .iter()
            .map(|(name, text)| named(name, &first_comment(text)))
            .collect(),
        Listing::Needs => observations::needs().into_iter().map(need_row).collect(),
        Listing::Promises => PROMISES.iter().map(promise_row).collect(),
        Listing::Invariants => INVARIANTS.iter().map(invariant_row).collect(),
        Listing::Answers => LEGAL_FAILURES.iter().map(failure_row).collect(),
        Listing::Steps => drill::usages()
            .into_iter()
            .map(|row| Row {
                json: serde_json::json!({
                    "part": row.part.title(),
                    "step": row.usage,
                    "about": row.about,
                    "example": row.example,
                }),
                // The lines are long: what one does stands below it.
                name: format!("{}\n    {}\n    {}", row.usage, row.about, row.example),
                about: String::new(),
            })
            .collect(),
    };
    match (format, what) {
        (Format::Json, _) => print_rows(rows, true),
        (Format::Markdown, Listing::Checks) => say(checks_page().trim_end()),
        (Format::Markdown, Listing::Promises) => say(profile_page().trim_end()),
        (Format::Markdown, Listing::Steps) => say(language_page().trim_end()),
        (Format::Markdown, _) => {
            return Err(Error::Usage(
                "only `list checks`, which holds the observations too, `list promises` and `list steps` have a --format markdown"
                    .to_owned(),
            ));
        }
        (Format::Textmate, Listing::Steps) => say(grammar().trim_end()),
        (Format::Textmate, _) => {
            return Err(Error::Usage(
                "only `list steps` has a --format textmate, a grammar for editors".to_owned(),
            ));
        }
        (Format::Text, _) => print_rows(rows, false),
    }
    Ok(ExitCode::Passed)
}

/// Prints lines, or a JSON array of all there is to say.
pub(super) fn print_rows(rows: Vec<Row>, as_json: bool) {
    if as_json {
        let rows: Vec<_> = rows.into_iter().map(|row| row.json).collect();
        return say(&serde_json::Value::Array(rows).to_string());
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for Row { name, about, .. } in rows {
        say(format!("{name:<width$}  {about}").trim_end());
    }
}

/// A line of a list, and all there is to say of it.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) json: serde_json::Value,
}

fn named(name: &str, about: &str) -> Row {
    Row {
        name: name.to_owned(),
        about: about.to_owned(),
        json: serde_json::json!({ "name": name, "about": about }),
    }
}

pub(super) fn check_row(check: &Check) -> Row {
    Row {
        name: check.id.to_owned(),
        about: check.requirement.to_owned(),
        json: serde_json::json!({
            "id": check.id,
            "family": check.family(),
            "requirement": check.requirement,
            "why": check.why,
            "defect": check.defect.name,
            "provoked": check.method,
            "quantities": check.quantities,
            "cure": check.fix,
            "needs": check.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "severity": check.policy.severity.word(),
            "counterexample": {
                "instead_of": check.counterexample.instead_of,
                "command": format!("sockdrill serve {}", check.counterexample_arguments().join(" ")),
            },
        }),
    }
}

fn observation_row(observation: &Observation) -> Row {
    Row {
        name: observation.name.to_owned(),
        about: observation.about.to_owned(),
        json: serde_json::json!({
            "name": observation.name,
            "id": observation.id,
            "about": observation.about,
            "needs": observation.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    }
}

fn promise_row(promise: &Promise) -> Row {
    Row {
        name: promise.name.to_owned(),
        about: promise.about.to_owned(),
        json: serde_json::json!({
            "name": promise.name,
            "about": promise.about,
            "values": promise.words,
            "otherwise": promise.otherwise,
            "example": promise.example,
        }),
    }
}

fn failure_row(row: &LegalFailure) -> Row {
    let errors: Vec<_> = row.errors.iter().map(|error| error.name).collect();
    let call = row.call.name();
    let of = name_in(Of::ALL, row.of);
    Row {
        name: format!(
            "fail {call} of {of} with {}\n    {}",
            errors.join(" "),
            row.source
        ),
        about: String::new(),
        json: serde_json::json!({
            "call": call,
            "of": of,
            "errors": errors,
            "source": row.source,
        }),
    }
}

fn invariant_row(row: &InvariantRow) -> Row {
    Row {
        name: row.name.to_owned(),
        about: row.requirement.to_owned(),
        json: serde_json::json!({ "name": row.name, "requirement": row.requirement }),
    }
}

fn need_row(need: &Need) -> Row {
    Row {
        name: need.word.to_owned(),
        about: need.reason.to_owned(),
        json: serde_json::json!({ "need": need.word, "unmet": need.reason }),
    }
}

fn first_comment(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches('#').trim().to_owned()
}
