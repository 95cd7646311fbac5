//! The server's socket tests: every scenario of `tests/scenarios`, and every check that applies to it. Nobody who speaks to it
//! knows of urgent data.

use sockdrill::suite::Suite;
use sockdrill::{Profile, Target};
use std::process::ExitCode;

fn main() -> ExitCode {
    let profile = Profile::find("tests/server.toml").expect("tests/server.toml is a profile");
    let command = [env!("CARGO_BIN_EXE_line-server"), "{port}"];
    Suite::of(Target::command(command, profile))
        .scenarios("tests/scenarios")
        .checks()
        .skip("bytes/urgent")
        .main()
}
