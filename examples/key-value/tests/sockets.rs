//! The store's scenarios, and the checks of what every server owes to clients that leave in their own ways.

use sockdrill::suite::Suite;
use sockdrill::{Profile, Settings, Target};
use std::process::ExitCode;

fn main() -> ExitCode {
    let profile = Profile::find("tests/server.toml").expect("tests/server.toml is a profile");
    let command = [env!("CARGO_BIN_EXE_key-value"), "{addr}"];
    let mut settings = Settings::default();
    settings.only = ["polite", "reset", "half-close"].map(str::to_owned).into();
    Suite::of(Target::command(command, profile))
        .settings(settings)
        .scenarios("tests/scenarios")
        .checks()
        .main()
}
