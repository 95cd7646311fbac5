//! Checks as tests.

use super::builder::Suite;
use super::outcome::{end_of, unless_unsaved};
use super::repeat::check_again;
use super::test::{End, Test};
use crate::checks;
use crate::launch::Target;
use crate::runner::{self, Settings};

/// A test for each check that is not left out.
pub(super) fn tests(suite: &Suite, target: &Target) -> Vec<Test> {
    let table = checks::all();
    let selected = match runner::selected(target, &table, &suite.settings) {
        Ok(selected) => selected,
        Err(error) => {
            return vec![Test::new("checks", move || Err(error.chain()))];
        }
    };
    let tests = selected.into_iter().map(|check| {
        let settings = Settings {
            only: vec![check.id.to_owned()],
            skip: Vec::new(),
            partition: None,
            invocation: check_again(suite, target),
            ..suite.settings.clone()
        };
        let name = format!("checks::{}", check.id.replace('/', "::"));
        let server = target.clone();
        Test::of(target, name.clone(), move || run(&server, &settings, &name))
    });
    tests.collect()
}

/// Runs the one check that the settings choose.
fn run(target: &Target, settings: &Settings, name: &str) -> Result<End, String> {
    let report = runner::check(target, settings, &|_| {}).map_err(|error| error.chain())?;
    match report.results.as_slice() {
        [result] => unless_unsaved(end_of(result, name), report.unsaved),
        results => Err(format!("{} results of one check", results.len())),
    }
}
