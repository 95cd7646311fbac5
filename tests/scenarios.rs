//! The scenario files of the repository, and the cases that have failed before, each case a test of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    sockdrill::suite::Suite::of_scenarios("fixtures/scenarios")
        .scenarios("fixtures/regressions")
        .program(env!("CARGO_BIN_EXE_sockdrill"))
        .main()
}
