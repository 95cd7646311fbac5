//! The scenario files of the repository, each case a test of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    sockdrill::suite::Suite::of("fixtures/scenarios")
        .program(env!("CARGO_BIN_EXE_sockdrill"))
        .main()
}
