//! Which cases and checks a command line chooses.

use super::arguments::{RunArgs, Selection};
use super::filterset::{Candidate, Filterset};
use super::filterset_reader::{Among, read};
use crate::checks;
use crate::model::check::Check;
use crate::model::error::Error;
use crate::runner::{CaseRun, Settings, glob_matches};

/// The cases that are chosen of those that there are.
///
/// # Errors
/// None is, or what is to be left out names nothing.
pub(super) fn chosen_cases(
    mut cases: Vec<CaseRun>,
    arguments: &RunArgs,
) -> Result<Vec<CaseRun>, Error> {
    let has = |text: &str, case: &CaseRun| glob_matches(&format!("*{text}*"), &case.id);
    let names_one = |text: &&String| cases.iter().any(|case| has(text, case));
    // What it was meant to leave out would run.
    if let Some(text) = arguments.skip.iter().find(|text| !names_one(text)) {
        return Err(Error::Unknown {
            kind: "case",
            name: text.clone(),
            hint: ", which --skip names; --list names them".to_owned(),
        });
    }
    if let Some(text) = arguments.only.iter().find(|text| !names_one(text)) {
        return Err(Error::NothingSelected(format!(
            "no case matches --only {text}; --list names them"
        )));
    }
    let sets = filtersets(&arguments.shared.selection, Among::Cases)?;
    let all = cases.len();
    cases.retain(|case| {
        let is_named = |texts: &[String]| texts.iter().any(|text| has(text, case));
        let candidate = Candidate {
            name: &case.id,
            file: &case.file,
            tags: tags(case),
            family: "",
        };
        (arguments.only.is_empty() || is_named(&arguments.only))
            && !is_named(&arguments.skip)
            && is_chosen(&sets, candidate)
    });
    match cases.is_empty() && all > 0 {
        true => Err(Error::NothingSelected(format!(
            "of {all} cases none is chosen by {}",
            words(
                &arguments.shared.selection,
                &arguments.only,
                &arguments.skip
            )
        ))),
        false => Ok(cases),
    }
}

/// The tags of a case.
pub(super) fn tags(case: &CaseRun) -> &[String] {
    &case.tags
}

/// The checks that expressions choose of those that the settings choose; `None` where there is no expression.
///
/// # Errors
/// One of them is none, or no check is chosen.
pub(super) fn chosen_checks(
    selection: &Selection,
    settings: &Settings,
) -> Result<Option<Vec<&'static str>>, Error> {
    let sets = filtersets(selection, Among::Checks)?;
    if sets.is_empty() {
        return Ok(None);
    }
    let candidate = |check: &&Check| Candidate {
        name: check.id,
        file: "",
        tags: &[],
        family: check.family(),
    };
    let table = checks::all();
    let chosen = table
        .into_iter()
        .filter(|check| is_chosen(&sets, candidate(check)));
    let ids: Vec<&str> = chosen.map(|check| check.id).collect();
    match ids.iter().any(|id| settings.selects(id)) {
        true => Ok(Some(ids)),
        false => Err(Error::NothingSelected(format!(
            "no check is chosen by {}",
            words(selection, &settings.only, &settings.skip)
        ))),
    }
}

fn filtersets(selection: &Selection, among: Among) -> Result<Vec<Filterset>, Error> {
    let expressions = selection.filter_expr.iter();
    expressions.map(|text| read(text, among)).collect()
}

/// Several expressions choose what one of them does.
fn is_chosen(sets: &[Filterset], candidate: Candidate<'_>) -> bool {
    sets.is_empty() || sets.iter().any(|set| set.chooses(candidate))
}

/// The options that have chosen.
fn words(selection: &Selection, only: &[String], skip: &[String]) -> String {
    let of = |option: &'static str, texts: &[String]| {
        let texts = texts.iter().map(|text| format!("{option} {text}"));
        texts.collect::<Vec<_>>()
    };
    let all = [
        of("--only", only),
        of("--skip", skip),
        of("-E", &selection.filter_expr),
    ];
    all.concat().join(" ")
}
