//! Checks as tests.

use super::builder::Suite;
use super::outcome::{completion, in_words};
use super::repeat::check_again;
use super::requirements::if_installed;
use crate::checks;
use crate::launch::Target;
use crate::runner::{self, Settings};
use libtest_mimic::{Completion, Failed, Trial};

/// A test for each check that is not left out.
pub(super) fn trials(suite: &Suite, target: &Target) -> Vec<Trial> {
    let table = checks::all();
    let selected = match runner::selected(target, &table, &suite.settings) {
        Ok(selected) => selected,
        Err(error) => {
            let reason = in_words(&error);
            return vec![Trial::test("checks", move || Err(reason))];
        }
    };
    let trials = selected.into_iter().map(|check| {
        let settings = Settings {
            only: vec![check.id.to_owned()],
            skip: Vec::new(),
            invocation: check_again(suite, target),
            ..suite.settings.clone()
        };
        let name = format!("checks::{}", check.id.replace('/', "::"));
        let server = target.clone();
        if_installed(name.clone(), target, move || run(&server, &settings, &name))
    });
    trials.collect()
}

/// Runs the one check that the settings choose.
fn run(target: &Target, settings: &Settings, name: &str) -> Result<Completion, Failed> {
    let report = runner::check(target, settings, &|_| {});
    let report = report.map_err(|error| in_words(&error))?;
    match report.results.as_slice() {
        [result] => completion(result, name),
        results => Err(Failed::from(format!(
            "{} results of one check",
            results.len()
        ))),
    }
}
