//! What comes of drawn cases does not depend on how many of them are performed at once.

use rstest::rstest;
use sockdrill::{CheckResult, Outcome, Profile, Settings, Target, check};
use std::path::PathBuf;

/// What comes of the cases of one seed, so many batches at a time.
fn result(jobs: usize, file: &str) -> CheckResult {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let file = folder.join("fixtures/broken").join(file);
    let command = ["python3", &file.to_string_lossy()].map(str::to_owned);
    let target = Target::command(command, Profile::find("line-echo").unwrap());
    let mut settings = Settings::default();
    settings.only = vec!["property/line".to_owned()];
    settings.cases = Some(90);
    settings.jobs = jobs;
    settings.shrink = false;
    let report = check(&target, &settings, &|_| {}).unwrap();
    let mut results = report.results.into_iter();
    results.find(|result| result.id == "property/line").unwrap()
}

#[rstest]
#[case::fails("multiple_of_buffer.py", Outcome::Fail)]
#[case::passes("multiple_of_buffer_fixed.py", Outcome::Pass)]
fn first_batch_that_fails_is_told_however_many_are_performed_at_once(
    #[case] file: &str,
    #[case] outcome: Outcome,
) {
    let [one, many] = [1, 6].map(|jobs| result(jobs, file));
    assert_eq!(one.outcome(), outcome, "{}", one.line());
    assert_eq!(many.outcome(), outcome, "{}", many.line());
    assert_eq!(one.scenario, many.scenario);
    assert_eq!(one.tried, many.tried);
}
