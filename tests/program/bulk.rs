//! What is wrong only where much comes at a time, or many.

use crate::{speaking, verdict};
use rstest::rstest;

const PROFILE: &str = "transport = \"tcp\"\nmodel = \"echo\"\nframing = \"line\"\n[promises]\nserves = \"concurrently\"\n";

#[rstest]
#[case::exchanged(
    "swaps",
    "partial/tiny-window",
    "fail: alice expected lines 256KiB of 1KiB"
)]
#[case::said_twice(
    "repeats",
    "partial/tiny-window",
    "fail: alice expected lines 256KiB of 1KiB"
)]
#[case::said_twice_at_the_end(
    "repeats-last",
    "partial/coalesced",
    "fail: alice was to hear nothing, and got"
)]
#[case::long_and_said_twice("twice", "partial/large", "fail: alice was to hear nothing, and got")]
#[case::misspelt_in_company("misspells", "crowd/parallel", "fail: crowd[")]
#[case::as_they_came("exact", "partial/tiny-window", "pass")]
#[case::all_of_them("exact", "partial/coalesced", "pass")]
#[case::long_ones("exact", "partial/large", "pass")]
fn lines_come_each_once_and_in_order(#[case] how: &str, #[case] id: &str, #[case] said: &str) {
    let server = [
        "python3",
        "fixtures/external/errs_in_bulk.py",
        how,
        "{port}",
    ];
    let run = speaking::check(PROFILE, &speaking::only(&[id]), &server);
    let verdict = verdict(&run, id);
    assert!(verdict.starts_with(said), "{verdict}");
}
