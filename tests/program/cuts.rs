//! Where requests are cut, and what is owed before the rest of one has come.

use crate::kit::Run;
use crate::{speaking, verdict};
use rstest::rstest;

/// The request that is easily cut wrongly is not the last.
const PROFILE: &str = "transport = \"tcp\"\n[[exchange]]\nsend = 'PUT 6\\nabcdef'\nreply = 'abcdef\\n'\n\
                       [[exchange]]\nsend = 'PING\\n'\nreply = 'OK\\n'\n[promises]\nserves = \"concurrently\"\n\
                       after-exchange = \"stays-open\"\npipelining = \"answers\"\n";

fn check(how: &str, ids: &[&str]) -> Run {
    let server = [
        "python3",
        "fixtures/external/reads_in_its_way.py",
        how,
        "{port}",
    ];
    speaking::check(PROFILE, &speaking::only(ids), &server)
}

#[rstest]
#[case::every_request("at-once", "partial/every-cut")]
#[case::every_request_in_bytes("at-once", "partial/byte-by-byte")]
#[case::reply_before_the_rest_of_the_next("withholds", "partial/straddle")]
fn request_is_answered_however_it_comes(#[case] how: &str, #[case] id: &str) {
    let run = check(how, &[id]).code(1);
    let told = verdict(&run, id);
    assert!(told.starts_with("fail"), "{told}");
    check("correct", &[id]).code(0);
}

/// The kernel holds all that a client can ask for by requests whose replies are so short.
#[test]
fn who_asks_for_less_than_the_kernel_holds_is_not_held_back() {
    let run = check("correct", &["partial/backpressure", "partial/straddle"]).code(0);
    let told = verdict(&run, "partial/backpressure");
    assert!(told.starts_with("skip"), "{told}");
}

#[test]
fn what_is_kept_of_the_last_thousands_of_clients_is_no_leak() {
    let id = "time-wait/churn";
    let told = verdict(&check("caches", &[id]), id);
    assert!(!told.starts_with("fail"), "{told}");
}
