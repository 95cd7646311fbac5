//! What a server leaves behind: a leak is told from a pool, from what is collected late and from what is swept up.

use crate::kit::{Run, sockdrill};
use rstest::rstest;

/// What is said of a server that leaves something behind in one of its ways.
fn left_behind(way: &str, check: &str) -> Run {
    let server = "fixtures/external/leaves_something.py";
    sockdrill(&["check", "--only", check, "--speaks", "echo"])
        .args(["--", "python3", server, way, "{port}"])
        .run()
}

/// A server that does so with what is left, and what is said of it.
#[rstest]
#[case::one_in_ten("one-in-ten", "reset/after-connect", "open sockets grow by 0.")]
#[case::every_byte("every-byte", "bytes/endless-line", "memory grows by ")]
fn what_goes_on_growing_is_told_as_a_rate(
    #[case] way: &str,
    #[case] check: &str,
    #[case] reason: &str,
) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let run = left_behind(way, check).code(1);
    run.prints(format!("fail          {check}  {reason}"))
        .prints(" a connection: ");
}

#[rstest]
#[case::pool("up-to-thirty")]
#[case::garbage("when-collected")]
#[case::sweep("every-six-seconds")]
fn what_is_used_again_or_given_back_late_is_no_leak(#[case] way: &str) {
    if !crate::gives_descriptors(256) {
        return;
    }
    let check = "reset/after-connect";
    left_behind(way, check)
        .code(0)
        .prints(format!("pass          {check}"));
}
