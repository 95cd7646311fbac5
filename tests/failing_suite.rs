//! A suite of which every test fails, for its server dies of a reset.

use sockdrill::Profile;
use sockdrill::Settings;
use sockdrill::Target;
use sockdrill::suite::Suite;
use std::process::ExitCode;

/// A server that breaks one check.
const BROKEN: &[&str] = &[
    env!("CARGO_BIN_EXE_sockdrill"),
    "serve",
    "echo",
    "--violate",
    "reset/mid-request",
    "--port",
    "{port}",
];

fn main() -> ExitCode {
    let profile = Profile::find("echo").expect("a built-in profile");
    // The rest of the catalogue has better places.
    let mut settings = Settings::default();
    settings.only = vec!["reset/mid-request".to_owned()];
    settings.seed = 7;
    Suite::of(Target::command(BROKEN.iter().copied(), profile))
        .scenarios("fixtures/failing")
        .checks()
        .settings(settings)
        .program(BROKEN[0])
        .main()
}
