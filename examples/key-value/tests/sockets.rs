//! The store's scenarios, and the checks of what every server owes to clients that leave in their own ways.

mod store;

use sockdrill::Settings;
use sockdrill::suite::Suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut settings = Settings::default();
    settings.only = ["polite", "reset", "half-close"].map(str::to_owned).into();
    Suite::of(store::target())
        .settings(settings)
        .scenarios("tests/scenarios")
        .checks()
        .main()
}
